/* Collecting what is wrong with a configuration. See errors.c. */
#ifndef LINTAS_CONFIG_ERRORS_H
#define LINTAS_CONFIG_ERRORS_H

#include "config.h"

int errors_init(struct cfg_errors *errors); /* 0 or -ENOMEM */
/* key may be NULL. All strings are copied. */
void errors_add(struct cfg_errors *errors, struct cfg_source where, bool warning, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void errors_vadd(struct cfg_errors *errors, struct cfg_source where, bool warning, const char *key,
	const char *fmt, va_list args) __attribute__((format(printf, 5, 0)));
/* Memory is out: everything collected gives way to that one line. Allocates nothing. */
void errors_oom(struct cfg_errors *errors);
/* In the order of files and lines; the last line says how many more. Call once, at the end. */
void errors_finish(struct cfg_errors *errors);

#endif
