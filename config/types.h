/* How the value of each type of key is written, read and shown. See types.c. */
#ifndef LINTAS_CONFIG_TYPES_H
#define LINTAS_CONFIG_TYPES_H

#include "keys.h"

struct type {
	const char *name;    /* "an AS number": for messages and the manual */
	const char *example; /* as it stands in a file */
	short accepts;	     /* CONFIG_TYPE_*, of the value or of each of a list's */
	size_t elem;	     /* bytes of one element; 0 = not a list */
	/* The text without quotes into *field (of a list: into one element). 0, or -EINVAL and why.
	 */
	int (*read)(const struct key *key, const char *text, void *field, struct cfg_pool *pool,
		char *why);
	/* One value (of a list: one element) as it stands in a file. */
	void (*write)(const struct key *key, const void *field, FILE *out);
};

/* NULL for the types that are structure. */
const struct type *types_of(const struct key *key);
/* type->example, fit for this key's range. */
const char *types_example(const struct key *key);
/* Is there something to show in this field (group: in the struct that base points to)? */
bool types_is_set(const struct key *key, const void *base);
/* Any value type, lists with their brackets. */
void types_write(const struct key *key, const void *base, FILE *out);
/* A string in quotes, escaped. */
void types_quote(const char *text, FILE *out);

struct types_list { /* any list of the config.h structs */
	void *items;
	unsigned n;
};
struct types_list types_list(const struct key *key, const void *base);

#endif
