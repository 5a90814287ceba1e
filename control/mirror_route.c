/* Routes: from a message to the RIB, and from the RIB to the FIB. mirror_prefix.c keeps, per
 * prefix, every route the kernel has in the tables local and main, best first; the first that the
 * fast path can use is installed here: its next-hop set publishes its group, then the FIB learns
 * the prefix, then what was there before is let go. What the fast path refuses leaves the FIB as it
 * was, is counted and told, and the auditor tries again. Other tables, routes that depend on the
 * source address, and what is per link in IPv6 (fe80::/64, ff00::/8) are not taken. A neighbour's
 * host route is ours, ranks behind every route of the kernel, and follows mirror_neigh.c. Control
 * thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

/* ---- what we take ---- */

static bool is_v6_local_scope(const struct ip_prefix *prefix)
{
	if (prefix->af != AF_INET6 || prefix->bytes[0] < 0xfe)
		return false;
	if (prefix->bytes[0] == 0xff)
		return true;					       /* ff00::/8 of each link */
	return (prefix->bytes[1] & 0xc0) == 0x80 && prefix->len < 128; /* fe80::/64 of each link */
}

static bool wanted(const struct nl_route *nl)
{
	if ((nl->table != RT_TABLE_MAIN && nl->table != RT_TABLE_LOCAL) || nl->from) {
		mirror_counters.ignored_routes++;
		return false;
	}
	return nl->type != RTN_MULTICAST && nl->type != RTN_NAT && nl->type != RTN_XRESOLVE &&
	       nl->type != RTN_UNSPEC && !is_v6_local_scope(&nl->prefix);
}

static uint8_t kind_of(uint8_t type)
{
	switch (type) {
	case RTN_UNICAST:
		return DP_ADJ_FORWARD;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		return DP_ADJ_LOCAL;
	case RTN_BROADCAST:
		return DP_ADJ_BROADCAST;
	case RTN_BLACKHOLE:
		return DP_ADJ_BLACKHOLE;
	case RTN_PROHIBIT:
		return DP_ADJ_PROHIBIT;
	case RTN_THROW:
		return DP_ADJ_NONE;
	default:
		return DP_ADJ_UNREACHABLE;
	}
}

/* ---- keys of next-hop sets ---- */

static int leg_compare(const void *a, const void *b)
{
	const struct nl_leg *x = a, *y = b;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return memcmp(&x->gateway, &y->gateway, sizeof(x->gateway));
}

/* Sorted, and a leg named twice counted once with both weights. Returns how many. */
static unsigned legs_canonical(struct nl_leg *legs, unsigned n)
{
	unsigned kept = 0, weight;

	if (n > 1)
		qsort(legs, n, sizeof(*legs), leg_compare);
	for (unsigned i = 0; i < n; i++) {
		if (kept && !leg_compare(&legs[kept - 1], &legs[i])) {
			weight = legs[kept - 1].weight + legs[i].weight;
			legs[kept - 1].weight = weight > UINT16_MAX ? UINT16_MAX : weight;
			continue;
		}
		legs[kept++] = legs[i];
	}
	return kept;
}

static void key_of(struct mirror_vrf *mv, struct nl_route *nl, struct nhset_key *key)
{
	uint8_t kind = kind_of(nl->type);

	nl->n_legs = legs_canonical(nl->legs, nl->n_legs);
	memset(key, 0, NHSET_KEY_BYTES(nl->n_legs));
	key->kind = kind;
	if (kind != DP_ADJ_FORWARD && kind != DP_ADJ_BROADCAST)
		return;
	key->mv = mv;
	key->af = nl->prefix.af;
	if (kind == DP_ADJ_FORWARD && nl->nhid) {
		key->nhid = nl->nhid; /* the object tells the legs, whatever copy the message has */
		return;
	}
	key->n_legs = nl->n_legs;
	for (unsigned i = 0; i < nl->n_legs; i++) {
		key->legs[i].ifindex = nl->legs[i].ifindex;
		key->legs[i].weight = kind == DP_ADJ_BROADCAST ? 1 : nl->legs[i].weight;
		key->legs[i].encap = nl->legs[i].encap;
		if (kind == DP_ADJ_FORWARD)
			key->legs[i].gateway = nl->legs[i].gateway;
	}
}

/* RTNH_F_DEAD and LINKDOWN as this message has them: the last word counts. */
static void take_flags(struct nhset *set, const struct nl_route *nl)
{
	if (set->key.nhid || set->n_legs != nl->n_legs)
		return;
	for (unsigned i = 0; i < set->n_legs; i++) {
		if (set->legs[i].dead == nl->legs[i].dead)
			continue;
		set->legs[i].dead = nl->legs[i].dead;
		legs_dirty(set);
	}
}

/* ---- from the RIB to the FIB ---- */

struct rib_route *mirror_route_best(const struct rib_node *node)
{
	struct rib_route *route = node->routes;

	while (route && route->tos) /* the fast path does not look at it */
		route = route->next;
	return route;
}

static int refuse(
	struct mirror_vrf *mv, const struct ip_prefix *prefix, struct rib_node *node, int rc)
{
	char text[IP_STRLEN];

	if (!(node->flags & RIB_REFUSED)) {
		mirror_counters.fib_refused++;
		log_event(LOG_LVL_ERR, mv->vrf->name, "route %s refused by the fast path: %s",
			ip_prefix_format(prefix, text), strerror(-rc));
	}
	node->flags |= RIB_REFUSED;
	return rc;
}

static int uninstall(struct mirror_vrf *mv, struct rib *rib, const struct ip_prefix *prefix,
	struct rib_node *node)
{
	struct nhset *old = legs_of_group(node->group);

	if (!mv->dying)
		dp_fib_del(mv->id, prefix);
	node->group = 0;
	rib->installed--;
	legs_unuse(old);
	return 0;
}

static int install(struct mirror_vrf *mv, struct rib *rib, const struct ip_prefix *prefix,
	struct rib_node *node, struct nhset *set)
{
	struct nhset *old = legs_of_group(node->group);
	uint32_t group;
	int rc;

	rc = legs_use(set, &group);
	if (rc < 0)
		return refuse(mv, prefix, node, rc);
	rc = dp_fib_set(mv->id, prefix, group);
	if (rc < 0) {
		legs_unuse(set);
		return refuse(mv, prefix, node, rc); /* what was there stays, exactly */
	}
	rib->installed += !node->group;
	node->group = group;
	node->flags &= ~RIB_REFUSED;
	if (old)
		legs_unuse(old);
	return 0;
}

static void neighs_stale(struct mirror_vrf *mv)
{
	mv->review = mv->neighs; /* all of them, from the first on */
}

int mirror_route_install(struct mirror_vrf *mv, struct rib *rib, struct rib_node *node)
{
	struct rib_route *best = mirror_route_best(node);
	struct ip_prefix prefix = rib_prefix(rib, node);
	bool was = node->flags & RIB_CONNECTED, is;

	is = best && best->table != RIB_NEIGHBOUR && legs_connected(best->set);
	node->flags = is ? node->flags | RIB_CONNECTED : node->flags & ~RIB_CONNECTED;
	if (was || is)
		neighs_stale(mv);
	if (best && node->group && legs_of_group(node->group) == best->set)
		return 0;
	mv->fib_changed = true;
	if (best)
		return install(mv, rib, &prefix, node, best->set);
	node->flags &= ~RIB_REFUSED;
	return node->group ? uninstall(mv, rib, &prefix, node) : 0;
}

/* ---- messages ---- */

/* A prefix's routes are new: what follows from it. The node may be gone afterwards. */
static void changed(struct mirror_vrf *mv, struct rib *rib, struct rib_node *node, bool under)
{
	struct ip_prefix prefix = rib_prefix(rib, node);

	if (under) /* hosts in it may be reached another way now */
		neighs_stale(mv);
	if (late_put(mv, rib, node))
		return;
	mirror_route_install(mv, rib, node); /* refused: counted, the auditor tries again */
	if (!node->routes && !node->group)
		rib_prune(rib, &prefix);
}

static int apply(struct route_change *c)
{
	struct rib_node *node;
	bool under;
	int rc;

	if (c->nl.deleted) {
		node = rib_find(c->rib, &c->nl.prefix, &under);
		if (!node)
			return 0;
		rc = prefix_del(node, c);
	} else {
		node = rib_get(c->rib, &c->nl.prefix, &under);
		if (!node)
			return -ENOMEM;
		rc = prefix_put(node, c);
	}
	changed(c->mv, c->rib, node, under);
	return rc;
}

void mirror_route_drop(struct mirror_vrf *mv, struct rib *rib, const struct ip_prefix *prefix,
	bool (*which)(const struct rib_route *route, const void *arg), const void *arg)
{
	bool under;
	struct rib_node *node = rib_find(rib, prefix, &under);

	if (!node)
		return;
	prefix_drop(mv, node, which, arg);
	changed(mv, rib, node, under);
}

int mirror_route_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct route_change
		c; /* not zeroed: its legs are large, and the parser fills what counts */
	char text[IP_STRLEN];
	union nhset_any_key any;
	int rc;

	rc = netlink_parse_route(h, &c.nl);
	if (rc < 0)
		return rc;
	if (!wanted(&c.nl))
		return 0;
	if (c.nl.too_many && !c.nl.deleted) { /* no half of an ECMP route */
		mirror_counters.fib_refused++;
		log_event(LOG_LVL_ERR, mv->vrf->name,
			"route %s has more than %d next hops: refused",
			ip_prefix_format(&c.nl.prefix, text), DP_LEGS_MAX);
		return 0;
	}
	c.mv = mv;
	c.rib = mirror_rib(mv, c.nl.prefix.af);
	c.gen = mv->gen[c.nl.prefix.af == AF_INET ? MIRROR_ROUTE4 : MIRROR_ROUTE6];
	c.dump = dump;
	key_of(mv, &c.nl, &any.key);
	if (c.nl.deleted) {
		c.set = legs_find(&any.key);
		return apply(&c);
	}
	c.set = legs_get(&any.key);
	if (!c.set)
		return -ENOMEM;
	take_flags(c.set, &c.nl);
	rc = apply(&c);
	legs_put(c.set);
	return rc;
}

/* ---- neighbours' host routes ---- */

static bool is_hosts(const struct rib_route *route, const void *set)
{
	return route->set == set;
}

int mirror_route_host(struct mirror_vrf *mv, struct neigh *neigh, bool add)
{
	struct route_change c;
	struct rib_node *node;
	union nhset_any_key any;
	bool under;
	int rc = 0;

	c.mv = mv;
	c.rib = mirror_rib(mv, neigh->key.addr.af);
	c.gen = 0;
	c.dump = false;
	c.nl.prefix = ip_addr_host(&neigh->key.addr);
	c.nl.table = RIB_NEIGHBOUR;
	c.nl.metric = (uint32_t)neigh->key.ifindex;
	c.nl.tos = 0;
	c.nl.type = RTN_UNICAST;
	c.nl.protocol = RTPROT_UNSPEC;
	c.nl.scope = RT_SCOPE_LINK;
	memset(&any, 0, sizeof(any.key) + sizeof(any.key.legs[0]));
	any.key.mv = mv;
	any.key.kind = DP_ADJ_FORWARD;
	any.key.af = neigh->key.addr.af;
	any.key.host = true;
	any.key.n_legs = 1;
	any.key.legs[0].ifindex = neigh->key.ifindex;
	any.key.legs[0].weight = 1;
	any.key.legs[0].gateway = neigh->key.addr;
	c.set = legs_get(&any.key);
	if (!c.set)
		return -ENOMEM;
	node = add ? rib_get(c.rib, &c.nl.prefix, &under) : rib_find(c.rib, &c.nl.prefix, NULL);
	if (node && add)
		rc = prefix_add_once(node, &c);
	else if (node)
		prefix_drop(mv, node, is_hosts, c.set);
	else if (add)
		rc = -ENOMEM;
	neigh->host = add && !rc;
	if (node)
		changed(mv, c.rib, node, false); /* it is its own review */
	legs_put(c.set);
	return rc;
}
