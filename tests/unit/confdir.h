/* A folder of its own for tests that load configurations: the fixtures of tests/unit/config, copied
 * so that secrets can have the mode they need, and files written by the tests themselves. */
#ifndef LINTAS_CONFDIR_H
#define LINTAS_CONFDIR_H

#include "config/config.h"

const char *confdir_make(void); /* its path; empty after confdir_clean */
void confdir_clean(void);
/* "<folder>/NAME", in one of a few static buffers. */
const char *confdir_path(const char *name);
void confdir_write(const char *name, const char *text, size_t len);
void confdir_key(const char *name); /* a secret below keys/, as private as one must be */
/* Load NAME; on an unexpected error the test fails and the errors are shown. */
struct config *confdir_load(const char *name);
/* Write text as edit.conf beside the good fixture, with OLD replaced by NEW (both may be NULL), and
 * load it. */
struct config *confdir_load_edited(const char *old, const char *new);
char *confdir_read(const char *path, size_t *ret_len); /* malloced, terminated */

#endif
