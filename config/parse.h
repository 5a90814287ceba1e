/* From libconfig's tree to struct config, along the table of keys. See parse.c. */
#ifndef LINTAS_CONFIG_PARSE_H
#define LINTAS_CONFIG_PARSE_H

#include <libconfig.h>
#include "keys.h"
#include "source.h"

struct parse {
	struct config *config;
	struct cfg_pool *pool; /* the configuration's */
	struct cfg_pool *work; /* gone after loading */
	struct cfg_errors *errors;
	const struct source *source;
	config_setting_t *root;
	char path[400]; /* of the key at hand: "links.aws-dx1.bgp.v4" */
};

/* Fills config; adds to errors whatever does not fit the table. */
void parse_tree(struct parse *p);

/* For the rules between keys, which speak of "links.aws-dx1.vlan", or "links.aws-dx1.address[1]":
 */
bool parse_given(const struct parse *p, const char *path); /* does the file say it? */
/* An error or warning at the place of that key, or of the nearest group around it. */
void parse_error(const struct parse *p, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void parse_warning(const struct parse *p, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
