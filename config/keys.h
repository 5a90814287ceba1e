/* The table of keys: the whole language, once. See keys.c. */
#ifndef LINTAS_CONFIG_KEYS_H
#define LINTAS_CONFIG_KEYS_H

#include "config.h"

enum key_type {
	/* structure: parse.c, print.c and diff.c walk these */
	KEY_GROUP,    /* fixed keys: key->keys, relative to key->offset */
	KEY_OBJECTS,  /* named groups: key->kind */
	KEY_TIERS,    /* ( [ "a", "b" ], [ "c" ] ) */
	KEY_BETWEEN,  /* [ "a", "b" ]: two clouds */
	KEY_REF,      /* the name of an object of key->kind; stored as a pointer */
	KEY_PROFILES, /* named groups of profile_keys */
	KEY_SCHEMA,   /* the number of the language; not stored */
	KEY_TUNNELS,  /* named groups of key->keys, gone from the tree before: expand.c */
	KEY_LATER,    /* belongs to the language, refused in this version */
	/* values: types.c reads and writes these */
	KEY_BOOL,
	KEY_NUMBER,
	KEY_ENUM, /* key->words; stored as their index */
	KEY_STRING,
	KEY_NAME, /* stored in place, as KEY_DEVICE */
	KEY_DEVICE,
	KEY_SECRET, /* the name of a file in defaults.keys */
	KEY_ASN,
	KEY_RATE,
	KEY_TIME, /* stored in units of key->unit_ms */
	KEY_TPID,
	KEY_PPM, /* "0.1%", stored in millionths */
	KEY_ADDR,
	KEY_PER_FAMILY, /* one address, or a list of one per family; struct ip_addr[2] */
	KEY_CPUS,
	/* lists: an array's pointer, its length behind it */
	KEY_NETWORKS,
	KEY_ADDRESSES,
	KEY_HOSTS,
	KEY_FILTERS,
	KEY_WORDS,   /* strings */
	KEY_NUMBERS, /* whole numbers */
	KEY_ASNS,    /* AS numbers and ranges of them, strings */
};

enum key_kind_id {
	KIND_PORT,
	KIND_VRF,
	KIND_CLOUD,
	KIND_PARTNER,
	KIND_CIRCUIT,
	KIND_LINK,
	KIND_PATH,
	KIND_REACH,
	KIND_COUNT
};

/* Of the DSCP, outer.c has their values. */
#define CFG_DSCP_NAMES                                                                           \
	"copy", "cs0", "cs1", "af11", "af12", "af13", "cs2", "af21", "af22", "af23", "cs3",      \
		"af31", "af32", "af33", "cs4", "af41", "af42", "af43", "cs5", "va", "ef", "cs6", \
		"cs7"

#define KEY_REQUIRED 1	/* in a group that is there */
#define KEY_RESTART  2	/* a change waits for a restart */
#define KEY_OR_BOOL  4	/* a group for which true and false stand as well */
#define KEY_SOURCE   8	/* a group that begins { bool present; struct cfg_source src; */
#define KEY_SEALED   16 /* a group that cannot be left out */

struct key {
	const char *name;
	enum key_type type;
	unsigned flags;
	size_t offset, size;   /* in the struct of the group the key is in */
	long min, max;	       /* of a number; of a time in ms; how many in a list */
	unsigned unit_ms;      /* times */
	const char *fallback;  /* default, written as in a file without quotes; NULL = none */
	const char *otherwise; /* for the manual: what holds when it is left out */
	const char *unit;      /* for the manual */
	const char *const *words,
		*const *later;	/* of an enum: from index min on; not yet implemented */
	const struct key *keys; /* of a group; the last has no name */
	/* A group is there when any of these bytes (relative to its struct) is not zero; 0 bytes =
	 * always. */
	size_t mark, mark_size;
	enum key_kind_id kind;
	const char *text; /* for the manual */
};

struct key_kind { /* a top-level group of named groups; every such struct begins { char name[]; src;
		   */
	const char *group, *one;
	enum cfg_object object;
	const struct key *keys;
	size_t size;	     /* of one struct */
	size_t items, count; /* where struct config has them */
	unsigned max;
	const char *text; /* for the manual */
};

struct key_object { /* what every object begins with */
	char name[CFG_NAME_MAX];
	struct cfg_source src;
};

extern const struct key keys_top[];
extern const struct key keys_link[];
extern const struct key profile_keys[]; /* profile_keys.c: relative to struct cfg_profile */
extern const struct key_kind keys_kinds[KIND_COUNT];

const struct key *keys_find(const struct key *keys, const char *name);
/* The implemented name nearest to an unknown one, or NULL. */
const char *keys_nearest(const struct key *keys, const char *name);

/* The objects of one kind; clouds and partners share an array: ask keys_is_kind. */
unsigned keys_count(const struct config *config, const struct key_kind *kind);
const void *keys_item(const struct config *config, const struct key_kind *kind, unsigned i);
void keys_set_items(struct config *config, const struct key_kind *kind, void *items, unsigned n);

bool keys_is_kind(const void *object, enum key_kind_id kind);

#endif
