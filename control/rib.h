/* The routing information base: one trie per VRF and family, from prefixes to the routes the kernel
 * has for them. Control thread only. A node is a prefix or a fork; only prefixes carry routes. */
#ifndef LINTAS_RIB_H
#define LINTAS_RIB_H

#include <stdbool.h>
#include <stdint.h>
#include "config/ip.h"

struct nhset; /* legs.h */

#define RIB_NEIGHBOUR 0 /* as a table: a neighbour's host route, ours and not the kernel's */

struct rib_route { /* one route of a prefix */
	struct rib_route *next;
	struct nhset *set; /* a reference is held */
	uint32_t metric;
	uint16_t gen;
	uint8_t table; /* RT_TABLE_LOCAL, RT_TABLE_MAIN or RIB_NEIGHBOUR */
	uint8_t tos, type, protocol, scope;
};

enum rib_flags {
	RIB_CONNECTED =
		1,	 /* its active route is on link: neighbours below it may have host routes */
	RIB_REFUSED = 2, /* the fast path did not take it: the auditor tries again */
};

struct rib_node {
	struct rib_node *child[2];
	struct rib_route *routes; /* best first */
	uint32_t group;		  /* what the FIB holds for this prefix; 0 = nothing */
	uint8_t len;
	uint8_t flags;
	uint8_t key[]; /* 4 or 16 bytes */
};

struct rib {
	uint8_t af;
	struct rib_node *root;
	uint64_t nodes;	    /* forks too */
	uint64_t installed; /* prefixes in the FIB */
};

void rib_init(struct rib *rib, uint8_t af);
/* The prefix's node, made if it is not there; NULL: no memory. Host bits must be clear. *ret_under
 * says whether a shorter prefix with RIB_CONNECTED covers it. */
struct rib_node *rib_get(struct rib *rib, const struct ip_prefix *prefix, bool *ret_under);
/* NULL when nothing is there; ret_under may be NULL. */
struct rib_node *rib_find(const struct rib *rib, const struct ip_prefix *prefix, bool *ret_under);
/* The longest prefix that covers addr and that accept() takes; NULL: none. */
struct rib_node *rib_match(const struct rib *rib, const struct ip_addr *addr,
	bool (*accept)(const struct rib_node *node));
/* Drop the prefix's node if it has neither routes nor a place in the FIB. */
void rib_prune(struct rib *rib, const struct ip_prefix *prefix);
struct ip_prefix rib_prefix(const struct rib *rib, const struct rib_node *node);

/* In order (bytes, then length), the prefixes with routes or a place in the FIB that lie within
 * `within` (NULL = all) and come after *after (NULL or af 0 = from the start), until visit returns
 * false. The trie must not change meanwhile. Returns false when the end was reached. */
typedef bool (*rib_visit)(struct rib_node *node, void *arg);
bool rib_walk(const struct rib *rib, const struct ip_prefix *within, const struct ip_prefix *after,
	rib_visit visit, void *arg);
/* Take the trie apart, at most max nodes; gone(node, arg) before each is freed. True when it is
 * empty. */
bool rib_clear(
	struct rib *rib, unsigned max, void (*gone)(struct rib_node *node, void *arg), void *arg);

#endif
