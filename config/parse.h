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
	config_t *shipped; /* profile.c's: the tree of the built-in profiles */
	char path[400];	   /* of the key at hand: "links.aws-dx1.bgp.v4" */
};

/* One group along the rows, into the struct at base; p->path says where. */
void parse_group(
	struct parse *p, const struct key *keys, const config_setting_t *group, void *base);
/* Fills config; adds to errors whatever does not fit the table. */
void parse_tree(struct parse *p);

/* given.c: what a group says, key by key; links get theirs. */
struct cfg_given_list given_collect(const struct parse *p, const config_setting_t *group);
void given_links(const struct parse *p);
/* profile.c: the built-in profiles and those of the configuration. */
void profile_load(struct parse *p);

/* For the rules between keys, which speak of "links.aws-dx1.vlan", or "links.aws-dx1.address[1]":
 */
bool parse_given(const struct parse *p, const char *path); /* does the file say it? */
/* An error or warning at the place of that key, or of the nearest group around it. */
void parse_error(const struct parse *p, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void parse_warning(const struct parse *p, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
