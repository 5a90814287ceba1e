/* Path groups: rendezvous layout, tiers, replacement. No EAL and no workers: adjacencies are
 * numbers here. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include "dataplane/dataplane.h"
#include "unit.h"

#define G 7 /* the group most tests use */

#ifdef __SANITIZE_ADDRESS__
#define SLOWER 20
#else
#define SLOWER 1
#endif

static uint64_t state = 88172645463325252u;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static struct dp_leg leg(uint64_t key, uint32_t adj, uint16_t weight, uint8_t tier, bool alive)
{
	return (struct dp_leg){
		.key = key, .adj = adj, .weight = weight, .tier = tier, .alive = alive
	};
}

/* Which adjacency each bucket has, found as a packet finds it: flows until every bucket was met. */
static void layout(uint32_t group, uint32_t ret_adj[DP_BUCKETS])
{
	struct ip_addr src = { .af = AF_INET, .bytes = { 10, 0, 0, 1 } }, dst = src;
	bool seen[DP_BUCKETS] = { 0 };
	unsigned met = 0;

	for (unsigned i = 0; i < 100000 && met < DP_BUCKETS; i++) {
		unsigned bucket;
		uint32_t adj;

		dst.bytes[2] = (uint8_t)(i >> 8);
		dst.bytes[3] = (uint8_t)i;
		CU_ASSERT_EQUAL_FATAL(dp_group_bucket(group, &src, &dst, 17, (uint16_t)(i >> 16),
					      53, &bucket, &adj),
			0);
		CU_ASSERT_FATAL(bucket < DP_BUCKETS);
		if (seen[bucket]) {
			CU_ASSERT_EQUAL(ret_adj[bucket], adj);
			continue;
		}
		seen[bucket] = true;
		ret_adj[bucket] = adj;
		met++;
	}
	CU_ASSERT_EQUAL(met, DP_BUCKETS); /* the hash reaches every bucket */
}

static void set(const struct dp_leg *legs, unsigned n)
{
	CU_ASSERT_EQUAL_FATAL(dp_group_set(G, legs, n), 0);
}

/* {A, B, C} less C is {A, B}, whether C is dead or gone, and in whatever order they are listed. */
static void less_one_equals_without(void)
{
	for (unsigned round = 0; round < 50; round++) {
		struct dp_leg a = leg(rnd(), 1, (uint16_t)(1 + rnd() % 100), 0, true);
		struct dp_leg b = leg(rnd(), 2, (uint16_t)(1 + rnd() % 100), 0, true);
		struct dp_leg c = leg(rnd(), 3, (uint16_t)(1 + rnd() % 100), 0, false);
		uint32_t dead[DP_BUCKETS], gone[DP_BUCKETS], turned[DP_BUCKETS];

		set((struct dp_leg[]){ a, b, c }, 3);
		layout(G, dead);
		set((struct dp_leg[]){ a, b }, 2);
		layout(G, gone);
		set((struct dp_leg[]){ c, b, a }, 3);
		layout(G, turned);
		CU_ASSERT_EQUAL(memcmp(dead, gone, sizeof(dead)), 0);
		CU_ASSERT_EQUAL(memcmp(dead, turned, sizeof(dead)), 0);
	}
}

/* A leg that dies moves its own buckets and no other; one that comes back gets exactly those again.
 */
static void moves_no_more_than_needed(void)
{
	struct dp_leg legs[5];
	uint32_t before[DP_BUCKETS], after[DP_BUCKETS], back[DP_BUCKETS];

	for (unsigned i = 0; i < 5; i++)
		legs[i] = leg(rnd(), i + 1, 10, 0, true);
	set(legs, 5);
	layout(G, before);
	legs[2].alive = false;
	set(legs, 5);
	layout(G, after);
	legs[2].alive = true;
	set(legs, 5);
	layout(G, back);
	for (unsigned b = 0; b < DP_BUCKETS; b++) {
		CU_ASSERT_NOT_EQUAL(after[b], 3);
		if (before[b] != 3)
			CU_ASSERT_EQUAL(before[b], after[b]);
	}
	CU_ASSERT_EQUAL(memcmp(before, back, sizeof(before)), 0);
}

/* Shares follow the weights: closely on average over many sets of keys, and never absurdly for one.
 */
static void shares_follow_weights(void)
{
	static const uint16_t weights[] = { 1, 1, 2, 4 };
	enum { ROUNDS = 400, N = 4, SUM = 8 };
	double mean[N] = { 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct dp_leg legs[N];
		struct dp_group_info info;
		unsigned total = 0;

		for (unsigned i = 0; i < N; i++)
			legs[i] = leg(rnd(), i + 1, weights[i], 0, true);
		set(legs, N);
		CU_ASSERT_EQUAL(dp_group_info(G, &info), 0);
		for (unsigned i = 0; i < N; i++) {
			double want = (double)DP_BUCKETS * weights[i] / SUM;
			total += info.buckets_of[i];
			mean[i] += info.buckets_of[i];
			CU_ASSERT(info.buckets_of[i] > want - 32 && info.buckets_of[i] < want + 32);
		}
		CU_ASSERT_EQUAL(total, DP_BUCKETS);
	}
	for (unsigned i = 0; i < N; i++) {
		double want = (double)DP_BUCKETS * weights[i] / SUM;
		CU_ASSERT(mean[i] / ROUNDS > want * 0.97 && mean[i] / ROUNDS < want * 1.03);
	}
}

/* Two equal legs share within a few percent for any keys, even for keys that are small numbers. */
static void two_equal_legs_are_even(void)
{
	for (uint64_t key = 1; key < 500; key++) {
		struct dp_group_info info;

		set((struct dp_leg[]){ leg(key, 1, 1, 0, true), leg(key + 1, 2, 1, 0, true) }, 2);
		CU_ASSERT_EQUAL(dp_group_info(G, &info), 0);
		CU_ASSERT(info.buckets_of[0] >= 128 - 20 && info.buckets_of[0] <= 128 + 20);
	}
}

static void backup_tier_waits(void)
{
	struct dp_leg legs[] = { leg(1, 1, 1, 1, true), leg(2, 2, 1, 0, true),
		leg(3, 3, 1, 0, true) };
	struct dp_group_info info;
	uint32_t adj[DP_BUCKETS];

	set(legs, 3);
	CU_ASSERT_EQUAL(dp_group_info(G, &info), 0);
	CU_ASSERT_EQUAL(info.buckets_of[0], 0);
	CU_ASSERT_EQUAL(info.buckets_of[1] + info.buckets_of[2], DP_BUCKETS);
	legs[1].alive = false;
	set(legs, 3);
	CU_ASSERT_EQUAL(dp_group_info(G, &info), 0);
	CU_ASSERT_EQUAL(info.buckets_of[0], 0);
	CU_ASSERT_EQUAL(info.buckets_of[2], DP_BUCKETS);
	legs[2].alive = false; /* now the backup */
	set(legs, 3);
	layout(G, adj);
	for (unsigned b = 0; b < DP_BUCKETS; b++)
		CU_ASSERT_EQUAL(adj[b], 1);
	legs[0].alive = false; /* nobody: the best tier's first leg says why */
	set(legs, 3);
	layout(G, adj);
	for (unsigned b = 0; b < DP_BUCKETS; b++)
		CU_ASSERT_EQUAL(adj[b], 2);
}

static void single_leg_has_one_bucket(void)
{
	struct dp_leg only = leg(9, 42, 3, 0, true);
	struct ip_addr src = { .af = AF_INET6, .bytes = { 0x20, 1 } },
		       dst = { .af = AF_INET6, .bytes = { 0x20, 2 } };
	struct dp_group_info info;
	unsigned bucket = 99;
	uint32_t adj = 0;

	set(&only, 1);
	CU_ASSERT_EQUAL(dp_group_info(G, &info), 0);
	CU_ASSERT_EQUAL(info.n_buckets, 1);
	CU_ASSERT_EQUAL(info.n_legs, 1);
	CU_ASSERT_EQUAL(info.buckets_of[0], 1);
	CU_ASSERT_EQUAL(memcmp(&info.legs[0], &only, sizeof(only)), 0);
	CU_ASSERT_EQUAL(dp_group_bucket(G, &src, &dst, 6, 1, 2, &bucket, &adj), 0);
	CU_ASSERT_EQUAL(bucket, 0);
	CU_ASSERT_EQUAL(adj, 42);
}

static void bad_groups_change_nothing(void)
{
	struct dp_leg good[] = { leg(1, 11, 1, 0, true), leg(2, 12, 1, 0, true) };
	struct dp_leg many[DP_LEGS_MAX + 1], twins[] = { good[0], good[0] }, bad = good[0];
	uint32_t before[DP_BUCKETS], after[DP_BUCKETS];
	struct ip_addr v4 = { .af = AF_INET }, v6 = { .af = AF_INET6 };
	struct dp_group_info info;
	unsigned bucket;
	uint32_t adj;

	set(good, 2);
	layout(G, before);
	for (unsigned i = 0; i <= DP_LEGS_MAX; i++)
		many[i] = leg(i + 1, i + 1, 1, 0, true);
	CU_ASSERT_EQUAL(dp_group_set(G, many, DP_LEGS_MAX + 1), -EINVAL);
	CU_ASSERT_EQUAL(dp_group_set(G, many, 0), -EINVAL);
	CU_ASSERT_EQUAL(dp_group_set(G, twins, 2), -EINVAL);
	bad.weight = 0;
	CU_ASSERT_EQUAL(dp_group_set(G, &bad, 1), -EINVAL);
	bad = leg(1, DP_ADJS_MAX, 1, 0, true);
	CU_ASSERT_EQUAL(dp_group_set(G, &bad, 1), -EINVAL);
	CU_ASSERT_EQUAL(dp_group_set(0, good, 2), -EINVAL);
	CU_ASSERT_EQUAL(dp_group_set(DP_GROUPS_MAX, good, 2), -EINVAL);
	layout(G, after);
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
	CU_ASSERT_EQUAL(dp_group_bucket(G, &v4, &v6, 6, 1, 2, &bucket, &adj), -EINVAL);
	CU_ASSERT_EQUAL(dp_group_del(G), 0);
	CU_ASSERT_EQUAL(dp_group_del(G), -ENOENT);
	CU_ASSERT_EQUAL(dp_group_info(G, &info), -ENOENT);
	CU_ASSERT_EQUAL(dp_group_bucket(G, &v4, &v4, 6, 1, 2, &bucket, &adj), -ENOENT);
}

/* A thousand groups of four legs lose a leg each: failover must not be felt. */
static void thousand_groups_are_quick(void)
{
	struct timespec t0, t1;
	struct dp_leg legs[4];
	double ms;

	for (unsigned i = 0; i < 4; i++)
		legs[i] = leg(rnd(), i + 1, (uint16_t)(i + 1), 0, true);
	legs[1].alive = false;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (unsigned g = 1000; g < 2000; g++)
		CU_ASSERT_EQUAL_FATAL(dp_group_set(g, legs, 4), 0);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
	CU_ASSERT(ms < 100 * SLOWER);
	for (unsigned g = 1000; g < 2000; g++)
		CU_ASSERT_EQUAL(dp_group_del(g), 0);
}

void unit_group(void)
{
	static const struct unit_test tests[] = {
		{ "less_one_equals_without", less_one_equals_without },
		{ "moves_no_more_than_needed", moves_no_more_than_needed },
		{ "shares_follow_weights", shares_follow_weights },
		{ "two_equal_legs_are_even", two_equal_legs_are_even },
		{ "backup_tier_waits", backup_tier_waits },
		{ "single_leg_has_one_bucket", single_leg_has_one_bucket },
		{ "bad_groups_change_nothing", bad_groups_change_nothing },
		{ "thousand_groups_are_quick", thousand_groups_are_quick },
	};

	UNIT_SUITE("group", tests);
}
