/* When links last received something: heard.c. */
#ifndef LINTAS_HEARD_H
#define LINTAS_HEARD_H

#include "control.h"

int heard_start(void);
void heard_stop(void);
/* Since the last packet of any kind, to a few seconds; UINT64_MAX: none was ever seen. */
uint64_t heard_age_ns(const struct link *link);

#endif
