/* See oracle.h. The FIB is a hash of exact prefixes; a lookup tries every length. Indexes in use
 * are counted, so that a group that goes while a prefix still points to it, or an adjacency while a
 * group does, is noticed: that is the order of publication which dataplane.h asks for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "oracle.h"

#ifdef ORACLE_ALONE /* the only fast path in the program: no real one behind it */
#define FAKE(name) name
#define PASS(call)
#else
#define FAKE(name) __wrap_##name
#define PASS(call)      \
	if (!oracle.on) \
	return __real_##call
#endif

struct oracle oracle;

struct fib_key {
	uint32_t vrf;
	struct ip_prefix prefix;
};

struct fib_entry {
	struct fib_key key;
	uint32_t group;
	UT_hash_handle hh;
};

struct group {
	bool set;
	unsigned n;
	struct dp_leg *legs;
	uint64_t prefixes;
};

static struct fib_entry *fib;
static struct group groups[DP_GROUPS_MAX];
static struct dp_adj adjs[DP_ADJS_MAX];
static bool adj_set[DP_ADJS_MAX];
static unsigned adj_users[DP_ADJS_MAX];

static struct fib_key make_key(unsigned vrf, const struct ip_prefix *prefix)
{
	struct fib_key key;

	memset(&key, 0, sizeof(key));
	key.vrf = vrf;
	key.prefix = *prefix;
	ip_prefix_mask(&key.prefix);
	return key;
}

static struct fib_entry *fib_find(unsigned vrf, const struct ip_prefix *prefix)
{
	struct fib_key key = make_key(vrf, prefix);
	struct fib_entry *e;

	HASH_FIND(hh, fib, &key, sizeof(key), e);
	return e;
}

static void fib_drop(struct fib_entry *e)
{
	groups[e->group].prefixes--;
	HASH_DEL(fib, e);
	free(e);
	oracle.routes--;
}

static void group_legs(struct group *g, const struct dp_leg *legs, unsigned n)
{
	for (unsigned i = 0; i < g->n; i++)
		adj_users[g->legs[i].adj]--;
	free(g->legs);
	g->legs = n ? malloc(n * sizeof(*legs)) : NULL;
	if (n)
		memcpy(g->legs, legs, n * sizeof(*legs));
	g->n = n;
	for (unsigned i = 0; i < n; i++)
		adj_users[legs[i].adj]++;
}

void oracle_drop_fib(void)
{
	struct fib_entry *e, *next;

	HASH_ITER(hh, fib, e, next)
		fib_drop(e);
}

void oracle_reset(void)
{
	oracle_drop_fib();
	for (unsigned i = 0; i < DP_GROUPS_MAX; i++) {
		group_legs(&groups[i], NULL, 0);
		groups[i] = (struct group){ 0 };
	}
	memset(adj_set, 0, sizeof(adj_set));
	memset(&oracle, 0, sizeof(oracle));
}

uint32_t oracle_fib(unsigned vrf, const char *prefix)
{
	struct ip_prefix p;
	struct fib_entry *e;

	if (ip_prefix_parse(prefix, &p) < 0)
		abort();
	e = fib_find(vrf, &p);
	return e ? e->group : 0;
}

const struct dp_leg *oracle_group(uint32_t group, unsigned *ret_n)
{
	if (group >= DP_GROUPS_MAX || !groups[group].set)
		return NULL;
	*ret_n = groups[group].n;
	return groups[group].legs;
}

const struct dp_adj *oracle_adj(uint32_t adj)
{
	return adj < DP_ADJS_MAX && adj_set[adj] ? &adjs[adj] : NULL;
}

/* ---- the fast path's side ---- */
#ifndef ORACLE_ALONE
int __real_dp_fib_set(unsigned vrf, const struct ip_prefix *prefix, uint32_t group);
int __real_dp_fib_del(unsigned vrf, const struct ip_prefix *prefix);
uint32_t __real_dp_fib_lookup(unsigned vrf, const struct ip_addr *addr);
int __real_dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n);
int __real_dp_group_del(uint32_t group);
int __real_dp_group_info(uint32_t group, struct dp_group_info *ret_info);
int __real_dp_adj_set(uint32_t adj, const struct dp_adj *a);
int __real_dp_adj_del(uint32_t adj);
int __real_dp_adj_info(uint32_t adj, struct dp_adj_info *ret_info);
void __real_dp_hold_release(uint16_t link, const struct ip_addr *addr, bool ok);
void __real_dp_reclaim(void);
int FAKE(dp_fib_set)(unsigned vrf, const struct ip_prefix *prefix, uint32_t group);
int FAKE(dp_fib_del)(unsigned vrf, const struct ip_prefix *prefix);
uint32_t FAKE(dp_fib_lookup)(unsigned vrf, const struct ip_addr *addr);
int FAKE(dp_group_set)(uint32_t group, const struct dp_leg *legs, unsigned n);
int FAKE(dp_group_del)(uint32_t group);
int FAKE(dp_group_info)(uint32_t group, struct dp_group_info *ret_info);
int FAKE(dp_adj_set)(uint32_t adj, const struct dp_adj *a);
int FAKE(dp_adj_del)(uint32_t adj);
int FAKE(dp_adj_info)(uint32_t adj, struct dp_adj_info *ret_info);
void FAKE(dp_hold_release)(uint16_t link, const struct ip_addr *addr, bool ok);
void FAKE(dp_reclaim)(void);
#endif

int FAKE(dp_fib_set)(unsigned vrf, const struct ip_prefix *prefix, uint32_t group)
{
	struct fib_entry *e;

	PASS(dp_fib_set(vrf, prefix, group));
	if (oracle.fib_error)
		return oracle.fib_error;
	oracle.fib_sets++;
	oracle.disorder += !groups[group].set;
	e = fib_find(vrf, prefix);
	if (!e) {
		e = calloc(1, sizeof(*e));
		e->key = make_key(vrf, prefix);
		HASH_ADD(hh, fib, key, sizeof(e->key), e);
		oracle.routes++;
	} else {
		groups[e->group].prefixes--;
	}
	e->group = group;
	groups[group].prefixes++;
	return 0;
}

int FAKE(dp_fib_del)(unsigned vrf, const struct ip_prefix *prefix)
{
	struct fib_entry *e;

	PASS(dp_fib_del(vrf, prefix));
	e = fib_find(vrf, prefix);
	if (!e)
		return -ENOENT;
	oracle.fib_dels++;
	fib_drop(e);
	return 0;
}

uint32_t FAKE(dp_fib_lookup)(unsigned vrf, const struct ip_addr *addr)
{
	struct ip_prefix p = ip_addr_host(addr);
	struct fib_entry *e;

	PASS(dp_fib_lookup(vrf, addr));
	for (unsigned len = ip_bits(addr->af) + 1; len-- > 0;) {
		p.len = len;
		e = fib_find(vrf, &p);
		if (e)
			return e->group;
	}
	return 0;
}

int FAKE(dp_group_set)(uint32_t group, const struct dp_leg *legs, unsigned n)
{
	PASS(dp_group_set(group, legs, n));
	if (oracle.group_error)
		return oracle.group_error;
	if (!group || group >= DP_GROUPS_MAX || !n || n > DP_LEGS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		oracle.disorder += !adj_set[legs[i].adj];
	oracle.group_sets++;
	oracle.groups += !groups[group].set;
	groups[group].set = true;
	group_legs(&groups[group], legs, n);
	return 0;
}

int FAKE(dp_group_del)(uint32_t group)
{
	PASS(dp_group_del(group));
	if (!groups[group].set)
		return -ENOENT;
	oracle.disorder += groups[group].prefixes != 0;
	group_legs(&groups[group], NULL, 0);
	groups[group].set = false;
	oracle.groups--;
	return 0;
}

int FAKE(dp_group_info)(uint32_t group, struct dp_group_info *ret_info)
{
	PASS(dp_group_info(group, ret_info));
	if (!groups[group].set)
		return -ENOENT;
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->n_legs = groups[group].n;
	memcpy(ret_info->legs, groups[group].legs, groups[group].n * sizeof(*ret_info->legs));
	return 0;
}

int FAKE(dp_adj_set)(uint32_t adj, const struct dp_adj *a)
{
	PASS(dp_adj_set(adj, a));
	if (oracle.adj_error)
		return oracle.adj_error;
	if (!adj || adj >= DP_ADJS_MAX)
		return -EINVAL;
	oracle.adj_sets++;
	oracle.adjs += !adj_set[adj];
	adjs[adj] = *a;
	adj_set[adj] = true;
	return 0;
}

int FAKE(dp_adj_del)(uint32_t adj)
{
	PASS(dp_adj_del(adj));
	if (!adj_set[adj])
		return -ENOENT;
	oracle.disorder += adj_users[adj] != 0;
	adj_set[adj] = false;
	oracle.adjs--;
	return 0;
}

int FAKE(dp_adj_info)(uint32_t adj, struct dp_adj_info *ret_info)
{
	PASS(dp_adj_info(adj, ret_info));
	if (!adj_set[adj])
		return -ENOENT;
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->adj = adjs[adj];
	return 0;
}

void FAKE(dp_hold_release)(uint16_t link, const struct ip_addr *addr, bool ok)
{
	PASS(dp_hold_release(link, addr, ok));
	(void)link, (void)addr;
	oracle.releases_ok += ok;
	oracle.releases_failed += !ok;
}

void FAKE(dp_reclaim)(void)
{
	PASS(dp_reclaim());
}

void oracle_break_fib(unsigned vrf, const char *prefix, uint32_t group)
{
	struct ip_prefix p;

	if (ip_prefix_parse(prefix, &p) < 0)
		abort();
	if (group)
		FAKE(dp_fib_set)(vrf, &p, group);
	else
		FAKE(dp_fib_del)(vrf, &p);
}

void oracle_break_group(uint32_t group)
{
	groups[group].legs[0].alive = !groups[group].legs[0].alive;
}
