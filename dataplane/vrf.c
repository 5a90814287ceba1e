/* VRFs: a pair of FIBs each, and the filter of own addresses.
 *
 * Control adds and deletes; workers find a VRF by index and hold it for a vector at most, so a
 * deleted one goes through reclaim.h with both its FIBs. Beside the FIBs control keeps the set of
 * own host addresses: the prefixes of full length whose group ended in a LOCAL adjacency when they
 * were set. From it comes a bitmap by hash that lets a worker rule out, with one load, that a
 * source address is ours (RFC 1812 5.3.8); only where the bit is set does it look the source up. A
 * bit is cleared when the last address behind it has gone, by rewriting its word. Set the group
 * before the prefix: the filter looks when the prefix is set. */
#include <errno.h>
#include <stdlib.h>
#include <uthash.h>
#include "reclaim.h"
#include "route.h"
#include "vrf.h"

#define OWN_MAX 4096 /* own host addresses of one VRF */

struct own {
	struct ip_addr addr;
	UT_hash_handle hh;
};

struct vrf {
	struct vrf_fib fib; /* first: what workers see */
	struct own *own;    /* control's */
};

struct vrf_fib *_Atomic vrf_table[DP_VRFS_MAX + 1];

static void vrf_free(void *ptr)
{
	struct vrf *v = ptr;
	struct own *o, *next;

	HASH_ITER(hh, v->own, o, next) {
		HASH_DEL(v->own, o);
		free(o);
	}
	fib4_destroy(v->fib.v4);
	fib6_destroy(v->fib.v6);
	free(v);
}

static struct vrf *vrf_of(unsigned vrf)
{
	return vrf < DP_VRFS_MAX ? (struct vrf *)vrf_table[vrf] : NULL;
}

int dp_vrf_add(unsigned vrf)
{
	struct vrf *v;

	if (vrf >= DP_VRFS_MAX)
		return -EINVAL;
	if (vrf_of(vrf))
		return -EEXIST;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->fib.v4 = fib4_create(reclaim_defer);
	v->fib.v6 = fib6_create(reclaim_defer);
	if (!v->fib.v4 || !v->fib.v6) {
		vrf_free(v);
		return -ENOMEM;
	}
	atomic_store_explicit(&vrf_table[vrf], &v->fib, memory_order_release);
	return 0;
}

int dp_vrf_del(unsigned vrf)
{
	struct vrf *v = vrf_of(vrf);

	if (!v)
		return vrf < DP_VRFS_MAX ? -ENOENT : -EINVAL;
	atomic_store_explicit(&vrf_table[vrf], NULL, memory_order_release);
	reclaim_defer(vrf_free, v);
	return 0;
}

/* ---- own addresses ---- */

static unsigned own_bit(const struct ip_addr *a)
{
	uint32_t addr4;

	memcpy(&addr4, a->bytes, sizeof(addr4));
	return a->af == AF_INET ? vrf_own_bit4(addr4) : vrf_own_bit6(a->bytes);
}

static void own_set_word(struct vrf *v, unsigned word)
{
	uint64_t bits = 0;
	struct own *o, *next;

	HASH_ITER(hh, v->own, o, next)
		if (own_bit(&o->addr) / 64 == word)
			bits |= UINT64_C(1) << (own_bit(&o->addr) % 64);
	atomic_store_explicit(&v->fib.own[word], bits, memory_order_relaxed);
}

static struct own *own_find(struct vrf *v, const struct ip_addr *a)
{
	struct own *o;

	HASH_FIND(hh, v->own, a, sizeof(*a), o);
	return o;
}

static int own_add(struct vrf *v, const struct ip_addr *a)
{
	unsigned bit = own_bit(a);
	struct own *o;

	if (own_find(v, a))
		return 0;
	if (HASH_COUNT(v->own) >= OWN_MAX)
		return -ENOSPC;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->addr = *a;
	HASH_ADD(hh, v->own, addr, sizeof(o->addr), o);
	atomic_fetch_or_explicit(
		&v->fib.own[bit / 64], UINT64_C(1) << (bit % 64), memory_order_relaxed);
	return 0;
}

static void own_del(struct vrf *v, const struct ip_addr *a)
{
	struct own *o = own_find(v, a);

	if (!o)
		return;
	HASH_DEL(v->own, o);
	free(o);
	own_set_word(v, own_bit(a) / 64);
}

static bool group_is_local(uint32_t group)
{
	return route_group_adj(group, 0)->kind == DP_ADJ_LOCAL;
}

/* ---- the FIB ---- */

static bool prefix_valid(const struct ip_prefix *p)
{
	return (p->af == AF_INET || p->af == AF_INET6) && p->len <= ip_bits(p->af);
}

int dp_fib_set(unsigned vrf, const struct ip_prefix *prefix, uint32_t group)
{
	struct vrf *v = vrf_of(vrf);
	struct ip_addr addr = ip_prefix_addr(prefix);
	bool local, known;
	int err;

	if (!v || !prefix_valid(prefix) || !group || group >= DP_GROUPS_MAX)
		return v || vrf >= DP_VRFS_MAX ? -EINVAL : -ENOENT;
	local = prefix->len == ip_bits(prefix->af) && group_is_local(group);
	known = own_find(v, &addr);
	if (local) { /* into the filter first: it may only err by asking too often */
		err = own_add(v, &addr);
		if (err)
			return err;
	}
	err = prefix->af == AF_INET ? fib4_set(v->fib.v4, prefix->bytes, prefix->len, group)
				    : fib6_set(v->fib.v6, prefix->bytes, prefix->len, group);
	if (local ? err && !known : !err && known && prefix->len == ip_bits(prefix->af))
		own_del(v, &addr);
	return err;
}

int dp_fib_del(unsigned vrf, const struct ip_prefix *prefix)
{
	struct vrf *v = vrf_of(vrf);
	int err;

	if (!v || !prefix_valid(prefix))
		return v || vrf >= DP_VRFS_MAX ? -EINVAL : -ENOENT;
	err = prefix->af == AF_INET ? fib4_del(v->fib.v4, prefix->bytes, prefix->len)
				    : fib6_del(v->fib.v6, prefix->bytes, prefix->len);
	if (!err && prefix->len == ip_bits(prefix->af)) {
		struct ip_addr addr = ip_prefix_addr(prefix);
		own_del(v, &addr);
	}
	return err;
}

uint32_t dp_fib_lookup(unsigned vrf, const struct ip_addr *addr)
{
	struct vrf *v = vrf_of(vrf);

	return v ? route_lookup(&v->fib, addr->af, addr->bytes) : 0;
}

int dp_fib_info(unsigned vrf, struct dp_fib_info *ret_info)
{
	struct vrf *v = vrf_of(vrf);
	struct fib_usage u4, u6;

	if (!v)
		return vrf < DP_VRFS_MAX ? -ENOENT : -EINVAL;
	fib4_usage(v->fib.v4, &u4);
	fib6_usage(v->fib.v6, &u6);
	*ret_info = (struct dp_fib_info){
		.routes4 = u4.routes,
		.routes6 = u6.routes,
		.lookup_bytes = u4.lookup_bytes + u6.lookup_bytes,
		.control_bytes = u4.control_bytes + u6.control_bytes,
	};
	return 0;
}
