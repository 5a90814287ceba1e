/* A fast path that only remembers: what the mirror told it, in which order, and whether that order
 * was safe. The unit binary is linked with --wrap for these functions; while oracle_on is false
 * they are the real ones. */
#ifndef LINTAS_ORACLE_H
#define LINTAS_ORACLE_H

#include "dataplane/dataplane.h"

struct oracle {
	bool on;
	unsigned adj_sets, group_sets, fib_sets, fib_dels, releases_ok, releases_failed;
	unsigned disorder; /* a group before its adjacency, a prefix before its group, or gone too
			      early */
	uint64_t routes;
	unsigned adjs, groups;
	int fib_error, group_error, adj_error; /* what the next sets answer; 0 = success */
};
extern struct oracle oracle;

void oracle_reset(void);
void oracle_drop_fib(void); /* dp_vrf_del of every VRF */
/* The exact prefix's group, 0 = none. */
uint32_t oracle_fib(unsigned vrf, const char *prefix);
const struct dp_leg *oracle_group(uint32_t group, unsigned *ret_n); /* NULL: not set */
const struct dp_adj *oracle_adj(uint32_t adj);			    /* NULL: not set */
/* Behind the mirror's back. */
void oracle_break_fib(unsigned vrf, const char *prefix, uint32_t group); /* 0 deletes */
void oracle_break_group(uint32_t group);

#endif
