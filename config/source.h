/* The text of a configuration: the main file with everything it includes, as one buffer whose lines
 * are still known by file and line. See source.c. */
#ifndef LINTAS_CONFIG_SOURCE_H
#define LINTAS_CONFIG_SOURCE_H

#include "config.h"

#define SOURCE_DEPTH_MAX 8    /* includes within includes */
#define SOURCE_FILES_MAX 1024 /* files of one configuration; one included twice counts twice */

struct source_segment { /* from line `from` of the buffer on: lines of `where.file` from
			   `where.line` on */
	unsigned from;
	struct cfg_source where;
};

struct source {
	const char *dir; /* the main file's folder, absolute: nothing outside of it is read */
	char *text;	 /* all of it, terminated */
	size_t len;
	struct source_segment *segments;
	unsigned n_segments;
	uint8_t digest[32];
	bool json; /* the main file's name ends in .json: nothing was expanded */
};

/* Read everything. false: an error was added. Memory comes from pool. */
bool source_read(
	struct source *source, const char *path, struct cfg_pool *pool, struct cfg_errors *errors);
/* Where a line of the buffer came from. */
struct cfg_source source_where(const struct source *source, unsigned line);
/* Past the string or comment that begins at p; p itself when none does; NULL when it does not end.
 */
const char *source_skip(const char *p, const char *end);

#endif
