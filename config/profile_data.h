/* The profile files as they lie in the program: config/profiles/embed writes the table at build
 * time, so that `lintasctl check` needs no files of its own and an upgrade keeps old versions. */
#ifndef LINTAS_CONFIG_PROFILE_DATA_H
#define LINTAS_CONFIG_PROFILE_DATA_H

struct profile_file {
	const char *version, *name; /* "2026.11", "aws.conf" */
	const char *text;
};

/* By version, then name; one without a version ends them. */
extern const struct profile_file profile_files[];

#endif
