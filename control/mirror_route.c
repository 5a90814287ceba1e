/* Routes: from a message to the RIB, from the RIB to the FIB. Per prefix the RIB keeps every route
 * the kernel has (tables local and main), best first, in the kernel's own order; the first that the
 * fast path can use is installed. What a message means differs by family, and here is where that is
 * known:
 *
 * - IPv4: a route is (table, tos, metric) and its next hops; `append` adds a further route under
 *   the same key, which takes over silently when the first goes; multipath is replaced whole.
 * - IPv6: next hops of one (table, metric) with gateways form one set; a message shows the whole
 *   set, but a deletion may name a single leg, which is subtracted; without gateway each interface
 *   has its own route.
 *
 * In a dump nothing says "replace": what is there and not yet seen in this round is replaced in
 * place, so a change needs one store and leaves no gap. All of it is idempotent. Control thread
 * only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

union any_key {
	struct nhset_key key;
	uint8_t bytes[NHSET_KEY_BYTES(DP_LEGS_MAX)];
};

struct change { /* one message, understood */
	struct mirror_vrf *mv;
	struct rib *rib;
	struct nl_route nl;
	struct nhset *set; /* a reference is held; NULL on deletion of what nobody has */
	uint16_t gen;
	bool dump;
};

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

/* ---- routes of a prefix ---- */

static int rank(uint8_t table)
{
	return table == RT_TABLE_LOCAL ? 0 : table == RT_TABLE_MAIN ? 1 : 2;
}

/* <0, 0, >0: route goes before, is of the same key as, goes after (table, metric, tos). */
static int order(const struct rib_route *route, uint8_t table, uint32_t metric, uint8_t tos)
{
	if (route->table != table)
		return rank(route->table) - rank(table);
	if (route->metric != metric)
		return route->metric < metric ? -1 : 1;
	return (int)tos - route->tos; /* the larger tos first, as the kernel keeps them */
}

static int order_nl(const struct rib_route *route, const struct nl_route *nl)
{
	return order(route, (uint8_t)nl->table, nl->metric, nl->tos);
}

static bool exact(const struct rib_route *route, const struct change *c)
{
	return !order_nl(route, &c->nl) && route->type == c->nl.type && route->set == c->set;
}

/* The routes of a prefix hold a reference to their set; so does a change. */
static void fill(struct rib_route *route, const struct change *c)
{
	c->set->routes++;
	if (route->set)
		legs_put(route->set);
	route->set = c->set;
	route->table = c->nl.table;
	route->metric = c->nl.metric;
	route->tos = c->nl.tos;
	route->type = c->nl.type;
	route->protocol = c->nl.protocol;
	route->scope = c->nl.scope;
	route->gen = c->gen;
}

static int add_at(struct rib_route **slot, const struct change *c)
{
	struct rib_route *route = calloc(1, sizeof(*route));

	if (!route)
		return -ENOMEM;
	fill(route, c);
	route->next = *slot;
	*slot = route;
	c->mv->routes++;
	return 0;
}

static void remove_at(struct mirror_vrf *mv, struct rib_route **slot)
{
	struct rib_route *route = *slot;

	*slot = route->next;
	mv->routes -= route->table != RIB_NEIGHBOUR;
	legs_put(route->set);
	free(route);
}

static struct rib_route **find_exact(struct rib_node *node, const struct change *c)
{
	struct rib_route **slot = &node->routes;

	while (*slot && !exact(*slot, c))
		slot = &(*slot)->next;
	return *slot ? slot : NULL;
}

/* Where routes of the message's key begin, and where they end. */
static struct rib_route **first_of(struct rib_node *node, const struct nl_route *nl)
{
	struct rib_route **slot = &node->routes;

	while (*slot && order_nl(*slot, nl) < 0)
		slot = &(*slot)->next;
	return slot;
}

static struct rib_route **end_of(struct rib_node *node, const struct nl_route *nl)
{
	struct rib_route **slot = first_of(node, nl);

	while (*slot && !order_nl(*slot, nl))
		slot = &(*slot)->next;
	return slot;
}

/* In a dump: what this round has shown of the key comes first, in the order shown. */
static int dump_put(struct rib_node *node, struct change *c,
	bool (*same_place)(const struct rib_route *, const struct change *))
{
	struct rib_route **slot = first_of(node, &c->nl), **seen = find_exact(node, c), *route;

	while (*slot && !order_nl(*slot, &c->nl) && (*slot)->gen == c->gen)
		slot = &(*slot)->next;
	if (seen) {
		route = *seen;
		if (route->gen != c->gen && seen != slot) { /* it is not where the kernel has it */
			*seen = route->next;
			route->next = *slot;
			*slot = route;
			c->mv->sync.changes++;
		}
		fill(route, c);
		return 0;
	}
	c->mv->sync.changes++;
	for (seen = slot; *seen && !order_nl(*seen, &c->nl); seen = &(*seen)->next)
		if ((*seen)->gen != c->gen && same_place(*seen, c)) {
			fill(*seen, c);
			return 0;
		}
	return add_at(slot, c);
}

/* ---- IPv4 ---- */

static bool any_route(const struct rib_route *route, const struct change *c)
{
	(void)route, (void)c;
	return true;
}

static int put4(struct rib_node *node, struct change *c)
{
	struct rib_route **slot = find_exact(node, c);

	if (slot) { /* doubled, or told again by a dump's replay */
		fill(*slot, c);
		return 0;
	}
	if (c->nl.flags & NLM_F_APPEND)
		return add_at(end_of(node, &c->nl), c);
	slot = first_of(node, &c->nl);
	if ((c->nl.flags & NLM_F_REPLACE) && *slot && !order_nl(*slot, &c->nl)) {
		fill(*slot, c);
		return 0;
	}
	return add_at(slot, c);
}

static int del4(struct rib_node *node, struct change *c)
{
	struct rib_route **slot = c->set ? find_exact(node, c) : NULL;

	/* Legs that we do not know it by: it may have lost some in silence. The first of its type,
	 * then. */
	if (!slot)
		for (slot = first_of(node, &c->nl); *slot && !order_nl(*slot, &c->nl);
			slot = &(*slot)->next)
			if ((*slot)->type == c->nl.type)
				break;
	if (*slot && !order_nl(*slot, &c->nl))
		remove_at(c->mv, slot);
	return 0;
}

/* ---- IPv6 ---- */

static bool same_place6(const struct rib_route *route, const struct change *c)
{
	bool gateway = legs_has_gateway(c->set);

	if (legs_has_gateway(route->set) != gateway || route->set->key.nhid != c->set->key.nhid)
		return false;
	if (gateway)
		return true;
	return route->type == c->nl.type && route->set->n_legs && c->set->n_legs &&
	       route->set->legs[0].iface == c->set->legs[0].iface;
}

static int put6(struct rib_node *node, struct change *c)
{
	struct rib_route **slot = find_exact(node, c), **first = first_of(node, &c->nl), **at;
	bool replace = c->nl.flags & NLM_F_REPLACE;

	if (slot) {
		fill(*slot, c);
		return 0;
	}
	for (at = first; *at && !order_nl(*at, &c->nl); at = &(*at)->next)
		if (same_place6(*at, c) ||
			(replace && legs_has_gateway((*at)->set) == legs_has_gateway(c->set)))
			break;
	if ((!*at || order_nl(*at, &c->nl)) && replace)
		at = first; /* of the other sort: the kernel replaces the first, then */
	if (*at && !order_nl(*at, &c->nl)) {
		fill(*at, c);
		return 0;
	}
	return add_at(end_of(node, &c->nl), c);
}

/* What is left of a set without the message's legs; NULL: nothing, or none of them is in it. */
static struct nhset *subtract(const struct nhset *set, const struct nl_route *nl, bool *ret_any)
{
	union any_key left;
	unsigned n = 0;

	*ret_any = false;
	memset(&left, 0, sizeof(left));
	memcpy(&left, &set->key, sizeof(set->key));
	for (unsigned i = 0; i < set->key.n_legs; i++) {
		bool named = false;

		for (unsigned k = 0; k < nl->n_legs && !named; k++)
			named = nl->legs[k].ifindex == set->key.legs[i].ifindex &&
				ip_addr_equal(&nl->legs[k].gateway, &set->key.legs[i].gateway);
		if (named)
			*ret_any = true;
		else
			left.key.legs[n++] = set->key.legs[i];
	}
	left.key.n_legs = n;
	return *ret_any && n ? legs_get(&left.key) : NULL;
}

static int del6(struct rib_node *node, struct change *c)
{
	struct rib_route **slot = c->set ? find_exact(node, c) : NULL;
	struct nhset *left;
	bool any;

	if (slot) {
		remove_at(c->mv, slot);
		return 0;
	}
	if (c->nl.nhid || kind_of(c->nl.type) != DP_ADJ_FORWARD)
		return 0;
	for (slot = first_of(node, &c->nl); *slot && !order_nl(*slot, &c->nl);
		slot = &(*slot)->next) {
		if ((*slot)->set->key.nhid || (*slot)->set->key.kind != DP_ADJ_FORWARD)
			continue;
		left = subtract((*slot)->set, &c->nl, &any);
		if (!any)
			continue;
		if (left) {
			legs_put((*slot)->set);
			(*slot)->set = left;
		} else {
			remove_at(c->mv, slot);
		}
		break;
	}
	return 0;
}

/* ---- messages ---- */

static int apply(struct change *c)
{
	bool v4 = c->nl.prefix.af == AF_INET, under;
	struct rib_node *node;
	int rc;

	if (c->nl.deleted) {
		node = rib_find(c->rib, &c->nl.prefix, &under);
		if (!node)
			return 0;
		rc = v4 ? del4(node, c) : del6(node, c);
	} else {
		node = rib_get(c->rib, &c->nl.prefix, &under);
		if (!node)
			return -ENOMEM;
		if (c->dump)
			rc = dump_put(node, c, v4 ? any_route : same_place6);
		else
			rc = v4 ? put4(node, c) : put6(node, c);
	}
	if (under) /* hosts in it may be reached another way now */
		neighs_stale(c->mv);
	/* refused: counted, and the auditor tries again */
	mirror_route_install(c->mv, c->rib, node);
	if (!node->routes && !node->group)
		rib_prune(c->rib, &c->nl.prefix);
	return rc;
}

void mirror_route_drop(struct mirror_vrf *mv, struct rib *rib, const struct ip_prefix *prefix,
	bool (*which)(const struct rib_route *route, const void *arg), const void *arg)
{
	bool under;
	struct rib_node *node = rib_find(rib, prefix, &under);
	struct rib_route **slot;

	if (!node)
		return;
	slot = &node->routes;
	while (*slot)
		if (which(*slot, arg))
			remove_at(mv, slot);
		else
			slot = &(*slot)->next;
	if (under)
		neighs_stale(mv);
	mirror_route_install(mv, rib, node);
	if (!node->routes && !node->group)
		rib_prune(rib, prefix);
}

int mirror_route_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct change c; /* not zeroed: its legs are large, and the parser fills what counts */
	char text[IP_STRLEN];
	union any_key any;
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

int mirror_route_host(struct mirror_vrf *mv, struct neigh *neigh, bool add)
{
	struct change c;
	struct rib_node *node;
	union any_key any;
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
	if (node && add && !find_exact(node, &c)) {
		rc = add_at(end_of(node, &c.nl), &c);
		mv->routes -= !rc; /* not the kernel's */
	} else if (node && !add && find_exact(node, &c)) {
		remove_at(mv, find_exact(node, &c));
	}
	neigh->host = add && node && !rc;
	if (node) {
		rc = mirror_route_install(mv, c.rib, node);
		if (!node->routes && !node->group)
			rib_prune(c.rib, &c.nl.prefix);
	}
	legs_put(c.set);
	return node ? rc : add ? -ENOMEM : 0;
}
