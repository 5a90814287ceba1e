/* Finding a packet's adjacency, for code off the straight line: route.c. */
#ifndef LINTAS_ROUTE_H
#define LINTAS_ROUTE_H

#include <stdatomic.h>
#include "flow.h"
#include "worker.h"

extern const struct adj adj_none; /* adj.c: kind NONE, what every unknown index means */

/* The index of a flow's adjacency, from its group's word; 0 = none. */
static inline uintptr_t route_word_adj(uintptr_t word, uint32_t hash)
{
	if (word & GROUP_SINGLE)
		return word >> 1;
	return word ? ((const struct group *)word)->adj[hash % DP_BUCKETS] : 0;
}

/* Group g's adjacency for a flow hash; never NULL. */
static inline const struct adj *route_group_adj(uint32_t g, uint32_t hash)
{
	uintptr_t word =
		g < DP_GROUPS_MAX ? atomic_load_explicit(&group_table[g], memory_order_acquire) : 0;
	const struct adj *a =
		atomic_load_explicit(&adj_table[route_word_adj(word, hash)], memory_order_acquire);

	return a ? a : &adj_none;
}

/* One lookup: the group, 0 = no route. addr in network order. */
uint32_t route_lookup(const struct vrf_fib *vrf, uint8_t af, const uint8_t *addr);
/* The adjacency a packet of ours would take. */
const struct adj *route_find(const struct vrf_fib *vrf, uint8_t af, const uint8_t *src,
	const uint8_t *dst, uint8_t proto);
/* Is addr a neighbour's on this very link: connected there, not behind a gateway and not ours? */
bool route_on_link(const struct vrf_fib *vrf, uint16_t link, uint8_t af, const uint8_t *addr);
/* Send a finished IP packet of ours by a; consumes m, whose l3 header is at ip. */
void route_own(struct worker *w, struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af,
	const struct adj *a);

#endif
