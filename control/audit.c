/* The auditor: for ever, at a bounded rate, is the fast path what the RIB says, and the RIB what
 * the kernel says? Every tick it spends AUDIT_SLICE_US on a walk: each path group and its
 * adjacencies are read back, and each prefix is probed at four addresses (its first, its last, the
 * one after, and one inside at random) in the structure the workers read; what must be found there
 * is the RIB's own longest match for that address, so a probe is right whether or not a longer
 * prefix covers it, and routes the fast path has too many are found as well as those it lacks. Now
 * and then each VRF is dumped again, as after an overrun. What differs is repaired, counted in
 * audit_fixed and logged. Control thread only. */
#include <string.h>
#include "mirror_state.h"

#define AUDIT_SLICE_US	   1000 /* of every tick */
#define KERNEL_AUDIT_MS	   30000
#define KERNEL_AUDIT_SHARE 100 /* at most a hundredth of the time goes into dumps */

static struct {
	struct mirror_vrf *mv; /* being walked */
	unsigned family;       /* 0, 1: its routes */
	uint32_t group;	       /* before the VRFs: every group */
	struct ip_prefix cursor;
	uint64_t random;
	uint64_t end_ns;
} walk = { .random = 0x9e3779b97f4a7c15ull };

static bool in_fib(const struct rib_node *node)
{
	return node->group;
}

static void fixed(const struct mirror_vrf *mv, const struct ip_prefix *prefix, const char *what)
{
	char text[IP_STRLEN];

	mirror_counters.audit_fixed++;
	log_event(LOG_LVL_WARN, mv->vrf->name, "audit: %s %s in the fast path, put right",
		ip_prefix_format(prefix, text), what);
}

/* ---- one address ---- */

static uint32_t expected(
	const struct rib *rib, const struct ip_addr *addr, struct ip_prefix *ret_prefix)
{
	const struct rib_node *node = rib_match(rib, addr, in_fib);

	if (!node)
		return 0;
	*ret_prefix = rib_prefix(rib, node);
	return node->group;
}

static void repair(struct mirror_vrf *mv, const struct rib *rib, const struct ip_addr *addr)
{
	struct ip_prefix right, wrong = ip_addr_host(addr);
	uint32_t group = expected(rib, addr, &right);
	unsigned bits = ip_bits(addr->af);
	const struct rib_node *node;

	for (unsigned len = bits + 1; len-- > (group ? right.len + 1u : 0);) {
		wrong = ip_addr_host(addr);
		wrong.len = len;
		ip_prefix_mask(&wrong);
		node = rib_find(rib, &wrong, NULL);
		if ((!node || !node->group) && !dp_fib_del(mv->id, &wrong))
			fixed(mv, &wrong, "should not be");
	}
	if (dp_fib_lookup(mv->id, addr) == group)
		return;
	if (group && !dp_fib_set(mv->id, &right, group))
		fixed(mv, &right, "was missing or wrong");
	if (dp_fib_lookup(mv->id, addr) != group)
		log_event(LOG_LVL_ERR, mv->vrf->name, "audit: the fast path cannot be put right");
}

static void probe(struct mirror_vrf *mv, const struct rib *rib, const struct ip_addr *addr)
{
	struct ip_prefix prefix;

	mirror_counters.audit_checked++;
	if (dp_fib_lookup(mv->id, addr) != expected(rib, addr, &prefix))
		repair(mv, rib, addr);
}

/* ---- one prefix ---- */

static uint64_t next_random(void)
{
	walk.random ^= walk.random << 13;
	walk.random ^= walk.random >> 7;
	walk.random ^= walk.random << 17;
	return walk.random;
}

/* Host bits of addr below len: those of fill. */
static void set_host_bits(struct ip_addr *addr, unsigned len, const uint8_t *fill)
{
	for (unsigned i = len / 8; i < ip_size(addr->af); i++) {
		uint8_t host = i == len / 8 ? 0xff >> len % 8 : 0xff;

		addr->bytes[i] = (addr->bytes[i] & ~host) | (fill[i] & host);
	}
}

static bool increment(struct ip_addr *addr)
{
	for (unsigned i = ip_size(addr->af); i-- > 0;)
		if (++addr->bytes[i])
			return true;
	return false; /* past the last address */
}

static bool audit_node(struct rib_node *node, void *arg)
{
	struct mirror_vrf *mv = walk.mv;
	const struct rib *rib = arg;
	struct ip_prefix prefix = rib_prefix(rib, node);
	struct ip_addr addr = ip_prefix_addr(&prefix);
	uint64_t fill[2];

	if (node->flags & RIB_REFUSED)
		mirror_route_install(mv, mirror_rib(mv, rib->af), node); /* room may have come */
	walk.cursor = prefix;
	probe(mv, rib, &addr);
	if (prefix.len < ip_bits(rib->af)) {
		fill[0] = next_random();
		fill[1] = next_random();
		set_host_bits(&addr, prefix.len, (const uint8_t *)fill);
		probe(mv, rib, &addr);
		memset(fill, 0xff, sizeof(fill));
		set_host_bits(&addr, prefix.len, (const uint8_t *)fill);
		probe(mv, rib, &addr);
	}
	if (increment(&addr))
		probe(mv, rib, &addr);
	return now_ns() < walk.end_ns;
}

/* ---- the rounds ---- */

static bool audit_groups(void)
{
	struct nhset *set;

	for (; walk.group < DP_GROUPS_MAX; walk.group++) {
		set = legs_of_group(walk.group);
		if (!set || (set->key.mv && set->key.mv->dying))
			continue;
		mirror_counters.audit_checked++;
		if (!legs_published(set)) {
			mirror_counters.audit_fixed++;
			log_event(LOG_LVL_WARN, "lintasd",
				"audit: path group %u was wrong in the fast path", walk.group);
			legs_renew(set);
		}
		if (now_ns() > walk.end_ns)
			return false;
	}
	return true;
}

static void next_vrf(void)
{
	walk.mv = walk.mv ? LIST_NEXT(walk.mv, of_list) : LIST_FIRST(&mirror_vrfs);
	walk.family = 0;
	walk.cursor.af = 0;
	if (walk.mv)
		return;
	mirror_counters.audit_rounds++;
	walk.group = 1;
}

static void kernel_audit(struct mirror_vrf *mv)
{
	uint64_t every = KERNEL_AUDIT_MS * MS, share;

	share = mv->sync.last_duration_ns * KERNEL_AUDIT_SHARE;
	if (share > every)
		every = share;
	if (mv->sync.synced && now_ns() - mv->sync.last_end_ns > every)
		resync_audit(mv);
}

void audit_vrf_gone(const struct mirror_vrf *mv)
{
	if (walk.mv == mv)
		next_vrf();
}

void audit_tick(void)
{
	struct mirror_vrf *mv;
	struct rib *rib;

	LIST_FOREACH(mv, &mirror_vrfs, of_list)
		kernel_audit(mv);
	walk.end_ns = now_ns() + AUDIT_SLICE_US * 1000;
	if (!audit_groups())
		return;
	if (!walk.mv)
		next_vrf();
	while (walk.mv && now_ns() < walk.end_ns) {
		rib = &walk.mv->rib[walk.family];
		if (rib_walk(rib, NULL, &walk.cursor, audit_node, rib))
			return;
		walk.cursor.af = 0;
		if (!walk.family)
			walk.family = 1;
		else
			next_vrf();
	}
}
