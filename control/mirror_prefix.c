/* The routes of one prefix, in the kernel's own order, which is not told but has to be kept: the
 * first one counts, and the next takes over in silence when it goes. What a message means differs
 * by family, and here is where that is known:
 *
 * - IPv4: a route is (table, tos, metric) and its next hops; `append` adds a further route under
 *   the same key, which takes over silently when the first goes; multipath is replaced whole.
 * - IPv6: next hops of one (table, metric) with gateways form one set; a message shows the whole
 *   set, but a deletion may name a single leg, which is subtracted; without gateway each interface
 *   has its own route.
 *
 * In a dump nothing says "replace": what is there and not yet seen in this round is replaced in
 * place, so a change needs one store and leaves no gap. All of it is idempotent. Control thread
 * only; called by mirror_route.c, which installs what has become first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

/* ---- order ---- */

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

static bool exact(const struct rib_route *route, const struct route_change *c)
{
	return !order_nl(route, &c->nl) && route->type == c->nl.type && route->set == c->set;
}

/* The routes of a prefix hold a reference to their set; so does a change. */
static void fill(struct rib_route *route, const struct route_change *c)
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

static int add_at(struct rib_route **slot, const struct route_change *c)
{
	struct rib_route *route = calloc(1, sizeof(*route));

	if (!route)
		return -ENOMEM;
	fill(route, c);
	route->next = *slot;
	*slot = route;
	c->mv->routes += route->table != RIB_NEIGHBOUR;
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

static struct rib_route **find_exact(struct rib_node *node, const struct route_change *c)
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
static int dump_put(struct rib_node *node, struct route_change *c,
	bool (*same_place)(const struct rib_route *, const struct route_change *))
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

static bool any_route(const struct rib_route *route, const struct route_change *c)
{
	(void)route, (void)c;
	return true;
}

static int put4(struct rib_node *node, struct route_change *c)
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

static int del4(struct rib_node *node, struct route_change *c)
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

static bool same_place6(const struct rib_route *route, const struct route_change *c)
{
	bool gateway = legs_has_gateway(c->set);

	if (legs_has_gateway(route->set) != gateway || route->set->key.nhid != c->set->key.nhid)
		return false;
	if (gateway)
		return true;
	return route->type == c->nl.type && route->set->n_legs && c->set->n_legs &&
	       route->set->legs[0].iface == c->set->legs[0].iface;
}

static int put6(struct rib_node *node, struct route_change *c)
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
	union nhset_any_key left;
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

static int del6(struct rib_node *node, struct route_change *c)
{
	struct rib_route **slot = c->set ? find_exact(node, c) : NULL;
	struct nhset *left;
	bool any;

	if (slot) {
		remove_at(c->mv, slot);
		return 0;
	}
	if (c->nl.nhid || c->nl.type != RTN_UNICAST)
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

/* ---- for mirror_route.c ---- */

int prefix_put(struct rib_node *node, struct route_change *c)
{
	bool v4 = c->nl.prefix.af == AF_INET;

	if (c->dump)
		return dump_put(node, c, v4 ? any_route : same_place6);
	return v4 ? put4(node, c) : put6(node, c);
}

int prefix_del(struct rib_node *node, struct route_change *c)
{
	return c->nl.prefix.af == AF_INET ? del4(node, c) : del6(node, c);
}

int prefix_add_once(struct rib_node *node, const struct route_change *c)
{
	return find_exact(node, c) ? 0 : add_at(end_of(node, &c->nl), c);
}

void prefix_drop(struct mirror_vrf *mv, struct rib_node *node,
	bool (*which)(const struct rib_route *route, const void *arg), const void *arg)
{
	struct rib_route **slot = &node->routes;

	while (*slot)
		if (which(*slot, arg))
			remove_at(mv, slot);
		else
			slot = &(*slot)->next;
}
