/* What the CLI is shown of the mirror: routes by prefix, by address and in order, neighbours, path
 * groups, each with the reasons why a leg is not used. Nothing here changes anything or keeps a
 * pointer beyond its call; a listing that takes many calls resumes by prefix. A neighbour's host
 * route, which is ours and not the kernel's, is shown where it decides (mirror_route_match), not in
 * listings. Control thread only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "mirror_state.h"

const char *mirror_protocol_name(uint8_t protocol)
{
	static const struct {
		uint8_t protocol;
		const char *name;
	} names[] = {
		{ LINTAS_RTPROT, "lintas" }, { RTPROT_UNSPEC, "neighbor" },
		{ RTPROT_REDIRECT, "redirect" }, { RTPROT_KERNEL, "kernel" },
		{ RTPROT_BOOT, "boot" }, { RTPROT_STATIC, "static" }, { RTPROT_RA, "ra" },
		{ RTPROT_ZEBRA, "zebra" }, { RTPROT_BIRD, "bird" }, { RTPROT_DHCP, "dhcp" },
		{ RTPROT_KEEPALIVED, "keepalived" }, { RTPROT_BABEL, "babel" },
		{ RTPROT_BGP, "bgp" }, { RTPROT_ISIS, "isis" }, { RTPROT_OSPF, "ospf" },
		{ RTPROT_RIP, "rip" }, { RTPROT_EIGRP, "eigrp" },
		{ 196, "zstatic" }, /* FRR's staticd */
	};
	static char number[8];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].protocol == protocol)
			return names[i].name;
	snprintf(number, sizeof(number), "%u", protocol);
	return number;
}

/* ---- routes ---- */

static void show_leg(const struct leg *leg, struct mirror_leg *ret_leg)
{
	const struct iface *iface = leg->iface;

	memset(ret_leg, 0, sizeof(*ret_leg));
	ret_leg->gateway = leg->gateway;
	ret_leg->weight = leg->weight;
	ret_leg->alive = legs_alive(leg, &ret_leg->why);
	ret_leg->adj = leg->hop ? leg->hop->adj : 0;
	if (!iface)
		return;
	ret_leg->ifindex = iface->ifindex;
	memcpy(ret_leg->ifname, iface->name, sizeof(ret_leg->ifname));
	ret_leg->link = iface->link_id;
	ret_leg->tier = legs_tier(leg);
}

static void show_route(const struct rib *rib, const struct rib_node *node,
	const struct rib_route *route, struct mirror_route *ret_route)
{
	const struct nhset *set = route->set;

	ret_route->prefix = rib_prefix(rib, node);
	ret_route->type = route->type;
	ret_route->protocol = route->protocol;
	ret_route->scope = route->scope;
	ret_route->table = route->table;
	ret_route->metric = route->table == RIB_NEIGHBOUR ? 0 : route->metric;
	ret_route->nhid = set->key.nhid;
	ret_route->active = node->group && route == mirror_route_best(node) &&
			    legs_of_group(node->group) == set;
	ret_route->group = ret_route->active ? node->group : 0;
	ret_route->n_legs = set->n_legs;
	for (unsigned i = 0; i < set->n_legs; i++)
		show_leg(&set->legs[i], &ret_route->legs[i]);
}

static bool show_node(const struct rib *rib, const struct rib_node *node, bool hosts,
	mirror_route_cb cb, void *arg)
{
	static struct mirror_route shown; /* several KB */
	bool more = true;

	for (const struct rib_route *route = node->routes; route && more; route = route->next) {
		if (route->table == RIB_NEIGHBOUR && !hosts)
			continue;
		show_route(rib, node, route, &shown);
		more = cb(&shown, arg);
	}
	return more;
}

int mirror_route_exact(
	const struct vrf *vrf, const struct ip_prefix *prefix, mirror_route_cb cb, void *arg)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	struct ip_prefix network = *prefix;
	struct rib_node *node;

	ip_prefix_mask(&network);
	node = mv ? rib_find(mirror_rib(mv, network.af), &network, NULL) : NULL;
	if (!node || !node->routes)
		return -ENOENT;
	show_node(mirror_rib(mv, network.af), node, true, cb, arg);
	return 0;
}

static bool has_routes(const struct rib_node *node)
{
	return node->routes;
}

int mirror_route_match(
	const struct vrf *vrf, const struct ip_addr *addr, mirror_route_cb cb, void *arg)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	struct rib_node *node;

	node = mv ? rib_match(mirror_rib(mv, addr->af), addr, has_routes) : NULL;
	if (!node)
		return -ENOENT;
	show_node(mirror_rib(mv, addr->af), node, true, cb, arg);
	return 0;
}

struct listing {
	const struct rib *rib;
	struct ip_prefix *cursor;
	mirror_route_cb cb;
	void *arg;
};

static bool list_node(struct rib_node *node, void *arg)
{
	struct listing *l = arg;

	*l->cursor = rib_prefix(l->rib, node);
	return show_node(l->rib, node, false, l->cb, l->arg);
}

bool mirror_route_walk(const struct vrf *vrf, const struct ip_prefix *within,
	struct ip_prefix *cursor, mirror_route_cb cb, void *arg)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	struct listing l = { .cursor = cursor, .cb = cb, .arg = arg };
	struct ip_prefix network = within ? *within : (struct ip_prefix){ 0 };

	if (within)
		ip_prefix_mask(&network);
	for (unsigned family = 0; mv && family < 2; family++) {
		l.rib = &mv->rib[family];
		if ((within && within->af != l.rib->af) || (family == 0 && cursor->af == AF_INET6))
			continue;
		if (rib_walk(l.rib, within ? &network : NULL, cursor, list_node, &l))
			return true;
	}
	return false;
}

/* ---- neighbours and groups ---- */

static const char *state_name(uint16_t state)
{
	static const char *const names[] = { "incomplete", "reachable", "stale", "delay", "probe",
		"failed", "noarp", "permanent" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (state & 1u << i)
			return names[i];
	return "none";
}

void mirror_neigh_walk(
	const struct vrf *vrf, bool (*cb)(const struct mirror_neigh *, void *), void *arg)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	struct mirror_neigh shown;
	const struct hop *hop;

	for (const struct neigh *neigh = mv ? mv->neighs : NULL; neigh; neigh = neigh->hh.next) {
		if (!neigh->iface->link)
			continue;
		memset(&shown, 0, sizeof(shown));
		shown.addr = neigh->key.addr;
		shown.state = state_name(neigh->state);
		shown.link = neigh->iface->link_id;
		memcpy(shown.mac, neigh->mac, sizeof(shown.mac));
		hop = hop_find(neigh->iface, &neigh->key.addr);
		shown.adj = hop ? hop->adj : 0;
		if (!cb(&shown, arg))
			return;
	}
}

void mirror_group_walk(bool (*cb)(const struct mirror_group *, void *), void *arg)
{
	static struct mirror_group shown; /* several KB */

	for (struct nhset *set = legs_next(NULL); set; set = legs_next(set)) {
		if (!set->group)
			continue;
		shown.group = set->group;
		shown.prefixes = set->prefixes;
		shown.n_legs = set->n_legs;
		for (unsigned i = 0; i < set->n_legs; i++)
			show_leg(&set->legs[i], &shown.legs[i]);
		if (!cb(&shown, arg))
			return;
	}
}
