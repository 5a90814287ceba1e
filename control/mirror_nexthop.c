/* Next-hop objects of the kernel (RTM_NEWNEXTHOP): single next hops, and groups of them with
 * weights. A route that names an object by id points to one set of legs per object and family, so
 * that replacing the object or a member of it rewrites that set's group and touches no prefix; this
 * holds with net.ipv4.nexthop_compat_mode 0 and 1 alike, for the id is believed and an expanded
 * copy in the route is not. The kernel deletes objects without a word when their device goes, and
 * IPv4 routes without a word when their object goes: both are inferred here at once and confirmed
 * by a dump. An id that a route names before its object is announced is kept as a placeholder.
 * Control thread only. */
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

static struct nexthop *find(const struct mirror_vrf *mv, uint32_t id)
{
	struct nexthop *nexthop;

	HASH_FIND(hh, mv->nexthops, &id, sizeof(id), nexthop);
	return nexthop;
}

static struct nexthop *get(struct mirror_vrf *mv, uint32_t id)
{
	struct nexthop *nexthop = find(mv, id);

	if (nexthop)
		return nexthop;
	if (HASH_COUNT(mv->nexthops) >= MIRROR_NEXTHOPS_MAX)
		return NULL;
	nexthop = calloc(1, sizeof(*nexthop));
	if (!nexthop)
		return NULL;
	nexthop->nl.id = id;
	nexthop->placeholder = true;
	HASH_ADD(hh, mv->nexthops, nl.id, sizeof(id), nexthop);
	if (!nexthop->hh.tbl) {
		free(nexthop);
		return NULL;
	}
	return nexthop;
}

static void release(struct mirror_vrf *mv, struct nexthop *nexthop)
{
	if (!nexthop->placeholder || !LIST_EMPTY(&nexthop->sets))
		return;
	HASH_DEL(mv->nexthops, nexthop);
	free(nexthop);
}

static bool has_member(const struct nexthop *nexthop, uint32_t id)
{
	for (unsigned i = 0; i < nexthop->nl.n_members; i++)
		if (nexthop->nl.members[i].id == id)
			return true;
	return false;
}

static bool stale(struct nexthop *nexthop)
{
	struct nhset *set;

	LIST_FOREACH(set, &nexthop->sets, of_nexthop) {
		set->stale = true;
		legs_dirty(set);
	}
	return !LIST_EMPTY(&nexthop->sets);
}

/* The object changed: so did its own sets and those of groups it is in. True: routes use it. */
static bool changed(struct mirror_vrf *mv, struct nexthop *nexthop)
{
	bool used;

	mirror_moving(mv->vrf->name, "next-hop object changed");
	used = stale(nexthop);
	for (struct nexthop *n = mv->nexthops; n; n = n->hh.next)
		if (has_member(n, nexthop->nl.id))
			used |= stale(n);
	return used;
}

/* ---- sets ---- */

int nexthop_attach(struct nhset *set)
{
	struct nexthop *nexthop = get(set->key.mv, set->key.nhid);

	if (!nexthop)
		return -ENOMEM;
	LIST_INSERT_HEAD(&nexthop->sets, set, of_nexthop);
	return 0;
}

void nexthop_detach(struct nhset *set)
{
	struct nexthop *nexthop;

	if (!set->key.nhid || !set->of_nexthop.le_prev)
		return;
	nexthop = find(set->key.mv, set->key.nhid);
	LIST_REMOVE(set, of_nexthop);
	if (nexthop)
		release(set->key.mv, nexthop);
}

static void leg_of(const struct nl_nexthop *nl, uint16_t weight, struct nhset_key_leg *ret_leg)
{
	ret_leg->ifindex = nl->ifindex;
	ret_leg->weight = weight;
	ret_leg->encap = nl->encap;
	ret_leg->gateway = nl->gateway;
}

/* Two members with one next hop are one leg, with the weight of both. */
static bool merged(struct nhset_key_leg *legs, unsigned n)
{
	unsigned weight;

	for (unsigned i = 0; i < n; i++) {
		if (legs[i].ifindex != legs[n].ifindex ||
			!ip_addr_equal(&legs[i].gateway, &legs[n].gateway))
			continue;
		weight = legs[i].weight + legs[n].weight;
		legs[i].weight = weight > UINT16_MAX ? UINT16_MAX : weight;
		return true;
	}
	return false;
}

unsigned nexthop_legs(const struct nhset *set, struct nhset_key_leg *legs, uint64_t *ret_dead,
	bool *ret_gone, bool *ret_blackhole)
{
	const struct nexthop *nexthop = find(set->key.mv, set->key.nhid), *member;
	unsigned n = 0;

	*ret_dead = 0;
	*ret_blackhole = nexthop && nexthop->nl.blackhole;
	*ret_gone = !nexthop || nexthop->placeholder || nexthop->nl.fdb || nexthop->nl.too_many;
	if (*ret_gone || *ret_blackhole)
		return 0;
	if (!nexthop->nl.n_members) {
		leg_of(&nexthop->nl, 1, &legs[0]);
		*ret_dead = nexthop->nl.dead;
		return 1;
	}
	for (unsigned i = 0; i < nexthop->nl.n_members; i++) {
		member = find(set->key.mv, nexthop->nl.members[i].id);
		if (!member || member->placeholder || member->nl.blackhole || member->nl.fdb ||
			member->nl.n_members)
			continue; /* the kernel has taken it out of the group, or will tell */
		leg_of(&member->nl, nexthop->nl.members[i].weight, &legs[n]);
		if (merged(legs, n))
			continue;
		*ret_dead |= (uint64_t)member->nl.dead << n++;
	}
	return n;
}

void mirror_nexthop_iface_down(struct iface *iface)
{
	struct mirror_vrf *mv = iface->mv;

	for (struct nexthop *n = mv->nexthops; n; n = n->hh.next) {
		if (n->placeholder || n->nl.n_members || n->nl.ifindex != iface->ifindex ||
			n->nl.dead)
			continue;
		n->nl.dead = true;
		changed(mv, n);
	}
}

/* ---- messages ---- */

static void gone(struct mirror_vrf *mv, struct nexthop *nexthop)
{
	uint32_t id = nexthop->nl.id;

	nexthop->placeholder = true;
	if (changed(mv, nexthop)) /* its IPv4 routes go without a word */
		resync_want(mv, 1u << MIRROR_NEXTHOP | MIRROR_ROUTES, 0);
	memset(&nexthop->nl, 0, sizeof(nexthop->nl));
	nexthop->nl.id = id;
	release(mv, nexthop);
}

int mirror_nexthop_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct nl_nexthop nl;
	struct nexthop *nexthop;
	int rc = netlink_parse_nexthop(h, &nl);

	if (rc < 0)
		return rc;
	nexthop = find(mv, nl.id);
	if (nl.deleted) {
		if (nexthop && !nexthop->placeholder)
			gone(mv, nexthop);
		return 0;
	}
	if (!nexthop)
		nexthop = get(mv, nl.id);
	if (!nexthop)
		return -ENOMEM;
	nexthop->gen = mv->gen[MIRROR_NEXTHOP];
	if (!nexthop->placeholder && !memcmp(&nexthop->nl, &nl, sizeof(nl)))
		return 0;
	if (nl.too_many)
		log_event(LOG_LVL_ERR, mv->vrf->name,
			"next-hop group %u has more than %d members: refused", nl.id, DP_LEGS_MAX);
	nexthop->nl = nl;
	nexthop->placeholder = false;
	mv->sync.changes += dump;
	changed(mv, nexthop);
	return 0;
}

void mirror_nexthop_sweep(struct mirror_vrf *mv)
{
	struct nexthop *nexthop, *next;

	HASH_ITER(hh, mv->nexthops, nexthop, next) {
		if (nexthop->placeholder || nexthop->gen == mv->gen[MIRROR_NEXTHOP])
			continue;
		mv->sync.changes++;
		gone(mv, nexthop);
	}
}

void mirror_nexthop_clear(struct mirror_vrf *mv)
{
	struct nexthop *nexthop, *next;

	HASH_ITER(hh, mv->nexthops, nexthop, next) {
		nexthop->placeholder = true;
		release(mv, nexthop);
	}
}
