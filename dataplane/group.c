/* Path groups: which adjacency each flow of a set of routes takes.
 *
 * Control sets a group from its legs; the workers see an array of adjacencies by bucket, or just
 * the one there is, built whole and replaced by one store. The layout is weighted rendezvous: for
 * every bucket each leg has a score that depends on nothing but its key, its weight and the bucket,
 * and the best score of the legs in use owns the bucket. So {A, B, C} less C is {A, B}: a leg that
 * dies gives its buckets to whoever ranks next and moves no other. In use are the living legs of
 * the best tier that has one; with none alive anywhere every bucket meets the best tier's first
 * leg, whose adjacency will say why.
 *
 * Score: each leg draws u in (0, 1) for the bucket and bids -log(u) / weight, lowest wins; then a
 * leg's chance is its share of the weights. Independent draws would scatter the shares as coin
 * tosses do; instead a leg's draws are one shuffle, by its key, of 256 evenly spaced values, which
 * halves the scatter and leaves a table of 256 logarithms. All in integers: every machine and every
 * run computes the same. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "reclaim.h"
#include "route.h"

#define LOG_BITS 24 /* fraction of the fixed-point logarithms */

_Static_assert(DP_BUCKETS == 256, "a shuffle is of bytes; buckets are the hash's low byte");
_Static_assert(DP_ADJS_MAX <= 65536, "what a bucket holds");

/* Control's copy, beside what workers see. */
struct group_legs {
	unsigned n;
	struct dp_leg legs[];
};

_Atomic uintptr_t group_table[DP_GROUPS_MAX];
static struct group_legs *group_legs[DP_GROUPS_MAX];

/* -log2((i + 0.5) / DP_BUCKETS): the bits of log2(2i + 1) by repeated squaring. */
static const uint32_t *log_table(void)
{
	static uint32_t table[DP_BUCKETS];

	if (table[0])
		return table;
	for (unsigned i = DP_BUCKETS; i-- > 0;) {
		uint64_t x = 2 * i + 1;
		unsigned whole = 63 - (unsigned)__builtin_clzll(x);
		uint32_t fraction = 0;

		x <<= 31 - whole; /* 1.0 <= x < 2.0, 31 bits of fraction */
		for (unsigned bit = 0; bit < LOG_BITS; bit++) {
			x = x * x >> 31;
			fraction = fraction << 1 | (x >> 32 & 1);
			x >>= x >> 32 & 1;
		}
		table[i] = (9u << LOG_BITS) - (whole << LOG_BITS | fraction);
	}
	return table;
}

static uint64_t mix(uint64_t key, uint64_t n)
{
	uint64_t x = flow_step(flow_step(key, FLOW_K2), n);

	return flow_step(x, x >> 32);
}

/* The leg's draw for each bucket: 0..255, each once. */
static void shuffle(uint64_t key, uint8_t ret_draw[DP_BUCKETS])
{
	for (unsigned i = 0; i < DP_BUCKETS; i++) { /* Fisher-Yates, from the inside out */
		unsigned j = (unsigned)((mix(key, i) >> 32) * (i + 1) >> 32);
		ret_draw[i] = ret_draw[j];
		ret_draw[j] = (uint8_t)i;
	}
}

/* Which legs own buckets now; returns how many, 0 when none lives. */
static unsigned legs_in_use(const struct dp_leg *legs, unsigned n, uint8_t ret_use[DP_LEGS_MAX])
{
	unsigned used = 0, tier = UINT8_MAX + 1;

	for (unsigned i = 0; i < n; i++)
		if (legs[i].alive && legs[i].tier < tier)
			tier = legs[i].tier;
	for (unsigned i = 0; i < n; i++)
		if (legs[i].alive && legs[i].tier == tier)
			ret_use[used++] = (uint8_t)i;
	return used;
}

static unsigned best_tier_first(const struct dp_leg *legs, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 1; i < n; i++)
		if (legs[i].tier < legs[best].tier)
			best = i;
	return best;
}

/* Does a outbid b for the bucket? The same draw and weight fall to a hash of key and bucket. */
static bool outbids(const struct dp_leg *a, uint32_t log_a, const struct dp_leg *b, uint32_t log_b,
	unsigned bucket)
{
	uint64_t x = (uint64_t)log_a * b->weight, y = (uint64_t)log_b * a->weight;

	if (x != y)
		return x < y;
	uint64_t ha = mix(a->key, DP_BUCKETS + bucket), hb = mix(b->key, DP_BUCKETS + bucket);
	return ha != hb ? ha < hb : a->key < b->key;
}

/* The owner of each bucket as an index into legs. */
static void assign(const struct dp_leg *legs, unsigned n, uint8_t ret_owner[DP_BUCKETS])
{
	static uint8_t draw[DP_LEGS_MAX][DP_BUCKETS]; /* control thread only */
	const uint32_t *log = log_table();
	uint8_t use[DP_LEGS_MAX];
	unsigned used = legs_in_use(legs, n, use);

	if (used <= 1) {
		memset(ret_owner, used ? use[0] : (int)best_tier_first(legs, n), DP_BUCKETS);
		return;
	}
	for (unsigned i = 0; i < used; i++)
		shuffle(legs[use[i]].key, draw[i]);
	for (unsigned b = 0; b < DP_BUCKETS; b++) {
		unsigned best = 0;

		for (unsigned i = 1; i < used; i++)
			if (outbids(&legs[use[i]], log[draw[i][b]], &legs[use[best]],
				    log[draw[best][b]], b))
				best = i;
		ret_owner[b] = use[best];
	}
}

static bool legs_valid(const struct dp_leg *legs, unsigned n)
{
	if (!n || n > DP_LEGS_MAX)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (!legs[i].weight || legs[i].adj >= DP_ADJS_MAX)
			return false;
		for (unsigned k = 0; k < i; k++)
			if (legs[k].key == legs[i].key)
				return false;
	}
	return true;
}

/* The group's word; 0: no memory. */
static uintptr_t group_build(const struct dp_leg *legs, unsigned n)
{
	uint8_t owner[DP_BUCKETS];
	struct group *g;

	if (n == 1)
		return (uintptr_t)legs[0].adj << 1 | GROUP_SINGLE;
	g = malloc(sizeof(*g));
	if (!g)
		return 0;
	assign(legs, n, owner);
	for (unsigned b = 0; b < DP_BUCKETS; b++)
		g->adj[b] = (uint16_t)legs[owner[b]].adj;
	return (uintptr_t)g;
}

static void publish(uint32_t group, uintptr_t word, struct group_legs *legs)
{
	uintptr_t old = atomic_exchange_explicit(&group_table[group], word, memory_order_acq_rel);

	free(group_legs[group]);
	group_legs[group] = legs;
	if (old && !(old & GROUP_SINGLE))
		reclaim_defer(free, (void *)old);
}

int dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n)
{
	struct group_legs *copy;
	uintptr_t word;

	if (!group || group >= DP_GROUPS_MAX || !legs_valid(legs, n))
		return -EINVAL;
	copy = malloc(sizeof(*copy) + n * sizeof(copy->legs[0]));
	word = copy ? group_build(legs, n) : 0;
	if (!word) {
		free(copy);
		return -ENOMEM;
	}
	copy->n = n;
	memcpy(copy->legs, legs, n * sizeof(legs[0]));
	publish(group, word, copy);
	return 0;
}

int dp_group_del(uint32_t group)
{
	if (!group || group >= DP_GROUPS_MAX)
		return -EINVAL;
	if (!group_legs[group])
		return -ENOENT;
	publish(group, 0, NULL);
	return 0;
}

int dp_group_info(uint32_t group, struct dp_group_info *ret_info)
{
	const struct group_legs *g = group < DP_GROUPS_MAX ? group_legs[group] : NULL;
	uint8_t owner[DP_BUCKETS];

	if (!g)
		return -ENOENT;
	memset(ret_info, 0, sizeof(*ret_info));
	memcpy(ret_info->legs, g->legs, g->n * sizeof(g->legs[0]));
	ret_info->n_legs = g->n;
	ret_info->n_buckets = g->n == 1 ? 1 : DP_BUCKETS;
	assign(g->legs, g->n, owner);
	for (unsigned b = 0; b < ret_info->n_buckets; b++)
		ret_info->buckets_of[owner[b]]++;
	return 0;
}

int dp_group_bucket(uint32_t group, const struct ip_addr *src, const struct ip_addr *dst,
	uint8_t proto, uint16_t sport, uint16_t dport, unsigned *ret_bucket, uint32_t *ret_adj)
{
	const struct group_legs *g = group < DP_GROUPS_MAX ? group_legs[group] : NULL;
	uint32_t ports = (uint32_t)sport << 16 | dport, hash;

	if (!g)
		return -ENOENT;
	if (src->af != dst->af || (src->af != AF_INET && src->af != AF_INET6))
		return -EINVAL;
	if (!flow_has_ports(proto))
		ports = 0;
	hash = src->af == AF_INET
		       ? flow_hash4(flow_be32(src->bytes), flow_be32(dst->bytes), proto, ports)
		       : flow_hash6(src->bytes, dst->bytes, proto, ports, 0);
	*ret_bucket = g->n == 1 ? 0 : hash % DP_BUCKETS;
	*ret_adj = (uint32_t)route_word_adj(group_table[group], hash);
	return 0;
}
