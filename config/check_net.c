/* Rules about addresses: those of a VRF together, next hops, static routes, and BGP neighbours.
 *
 * Within a VRF an address belongs to one link and connected networks do not overlap; in different
 * VRFs everything may repeat. All networks are sorted, so that one that covers others stands before
 * them and a stack of open ones finds every overlap in one pass. A next hop must lie in a connected
 * network of its own link and not be ours: the kernel would refuse the route, or worse, take it by
 * another link. IPv6 link-local networks are on every link and therefore left out of the
 * comparison. */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"

static const char *at(char *buf, size_t size, const struct cfg_link *link, const char *key)
{
	snprintf(buf, size, "links.%s.%s", link->name, key);
	return buf;
}

#define AT(key) at(path, sizeof(path), link, key)

static char family(const struct ip_addr *addr)
{
	return addr->af == AF_INET6 ? '6' : '4';
}

bool check_unicast(const struct ip_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t loopback[16] = { [15] = 1 }, zero[16];
	const uint8_t *b = addr->bytes;

	if (addr->af == AF_INET)
		return b[0] != 0 && b[0] != 127 && b[0] < 224; /* RFC 1122 3.2.1.3 */
	return b[0] != 0xff && memcmp(b, zero, 16) && memcmp(b, loopback, 16) &&
	       memcmp(b, mapped, sizeof(mapped)); /* RFC 4291 2.5, 2.7 */
}

/* ---- a link's own addresses ---- */

static void own_addresses(const struct parse *p, const struct cfg_link *link)
{
	char path[80], text[IP_STRLEN], key[24];
	struct ip_prefix last;
	struct ip_addr addr;

	for (unsigned i = 0; i < link->n_address; i++) {
		addr = ip_prefix_addr(&link->address[i]);
		ip_prefix_format(&link->address[i], text);
		snprintf(key, sizeof(key), "address[%u]", i);
		AT(key);
		if (!check_unicast(&addr)) {
			parse_error(p, path, "%s is not the address of one host", text);
			continue;
		}
		if (!link->address[i].len)
			parse_error(p, path, "%s: the length 0 would connect everything", text);
		if (link->address[i].len + 2u > ip_bits(addr.af))
			continue; /* point to point, RFC 3021 and RFC 6164, or one host */
		last = link->address[i];
		for (unsigned bit = last.len; bit < ip_bits(last.af); bit++)
			last.bytes[bit / 8] |= 0x80 >> bit % 8;
		if (ip_prefix_is_network(&link->address[i]))
			parse_error(p, path,
				"%s is the network itself: give the address of the interface",
				text);
		else if (addr.af == AF_INET && ip_prefix_equal(&last, &link->address[i]))
			parse_error(p, path, "%s is the broadcast address of its network", text);
	}
}

/* ---- addresses of all links ---- */

struct net {
	const struct cfg_vrf *vrf;
	const struct cfg_link *link; /* NULL: the loopback */
	const char *list;	     /* the key it is from */
	unsigned index;		     /* in that list */
	struct ip_prefix network;
	struct ip_addr addr;
	bool told; /* has been complained about */
};

static int by_address(const void *x, const void *y)
{
	const struct net *a = x, *b = y;
	int order;

	if (a->vrf != b->vrf)
		return a->vrf < b->vrf ? -1 : 1;
	order = memcmp(&a->addr, &b->addr, sizeof(a->addr));
	if (!order && a->link == b->link)
		order = strcmp(a->list, b->list); /* "address" before "vrrp.address" */
	if (order || a->link == b->link)
		return order ? order : (int)a->index - (int)b->index;
	return !a->link ? -1 : !b->link ? 1 : strcmp(a->link->name, b->link->name);
}

static int by_network(const void *x, const void *y)
{
	const struct net *a = x, *b = y;
	int order;

	if (a->vrf != b->vrf)
		return a->vrf < b->vrf ? -1 : 1;
	order = ip_prefix_compare(&a->network, &b->network);
	return order ? order : by_address(x, y);
}

static void net_path(const struct net *net, char *buf, size_t size)
{
	if (net->link)
		snprintf(buf, size, "links.%s.%s[%u]", net->link->name, net->list, net->index);
	else
		snprintf(buf, size, "vrfs.%s.%s[%u]", net->vrf->name, net->list, net->index);
}

static unsigned collect(const struct cfg_vrf *vrf, const struct cfg_link *link, const char *key,
	const struct ip_prefix *list, unsigned n, struct net *nets)
{
	unsigned found = 0;

	for (unsigned i = 0; vrf && i < n; i++) {
		struct net *net = &nets[found];

		*net = (struct net){ vrf, link, key, i, list[i], ip_prefix_addr(&list[i]), false };
		ip_prefix_mask(&net->network);
		if (link && net->addr.af == AF_INET6 && ip_addr_is_link_local(&net->addr))
			continue;
		found++;
	}
	return found;
}

static void same_addresses(const struct parse *p, struct net *nets, unsigned n)
{
	const struct net *a;
	struct net *b;
	char path[80], text[IP_STRLEN];

	qsort(nets, n, sizeof(*nets), by_address);
	for (unsigned i = 1; i < n; i++) {
		a = &nets[i - 1];
		b = &nets[i];
		if (a->vrf != b->vrf || !ip_addr_equal(&a->addr, &b->addr))
			continue;
		b->told = true;
		net_path(b, path, sizeof(path));
		ip_addr_format(&b->addr, text);
		if (!a->link)
			parse_error(p, path, "%s is an address of the loopback of VRF '%s' already",
				text, a->vrf->name);
		else if (a->link == b->link)
			parse_error(p, path, "%s is given twice", text);
		else
			parse_error(p, path,
				"%s is an address of link '%s' (%s:%u) in the same VRF already",
				text, a->link->name, a->link->src.file, a->link->src.line);
	}
}

static void overlaps(const struct parse *p, struct net *nets, unsigned n)
{
	const struct net *open[256], *a; /* deeper than any chain in which nothing overlaps */
	unsigned depth = 0;
	char path[80], outer[IP_STRLEN], inner[IP_STRLEN];

	qsort(nets, n, sizeof(*nets), by_network);
	for (unsigned i = 0; i < n; i++) {
		const struct net *b = &nets[i];

		if (!b->link || b->told)
			continue; /* a loopback inside of a network is no conflict */
		while (depth && (open[depth - 1]->vrf != b->vrf ||
					!ip_prefix_covers(&open[depth - 1]->network, &b->network)))
			depth--;
		for (unsigned j = depth; j-- > 0;) {
			a = open[j];
			if (a->link == b->link)
				continue;
			net_path(b, path, sizeof(path));
			parse_error(p, path,
				"network %s overlaps with %s of link '%s' (%s:%u) in the same VRF",
				ip_prefix_format(&b->network, inner),
				ip_prefix_format(&a->network, outer), a->link->name,
				a->link->src.file, a->link->src.line);
			break;
		}
		if (depth < sizeof(open) / sizeof(open[0]))
			open[depth++] = b;
	}
}

static void all_addresses(const struct parse *p)
{
	const struct config *config = p->config;
	unsigned n = 0, max = 1;
	struct net *nets;

	for (unsigned i = 0; i < config->n_links; i++)
		max += config->links[i].n_address + config->links[i].vrrp.address.n;
	for (unsigned i = 0; i < config->n_vrfs; i++)
		max += config->vrfs[i].loopback.n;
	nets = pool_array(p->work, max, sizeof(*nets));
	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *link = &config->links[i];

		n += collect(link->vrf, link, "address", link->address, link->n_address, nets + n);
		n += collect(link->vrf, link, "vrrp.address", link->vrrp.address.items,
			link->vrrp.address.n, nets + n);
	}
	for (unsigned i = 0; i < config->n_vrfs; i++)
		n += collect(&config->vrfs[i], NULL, "loopback", config->vrfs[i].loopback.items,
			config->vrfs[i].loopback.n, nets + n);
	same_addresses(p, nets, n);
	overlaps(p, nets, n);
}

/* ---- next hops ---- */

/* The connected network of the link that addr lies in, or NULL. */
static const struct ip_prefix *connected(const struct cfg_link *link, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < link->n_address; i++)
		if (ip_prefix_contains(&link->address[i], addr))
			return &link->address[i];
	return NULL;
}

/* May packets of this link be sent to addr? path says where it is written. */
static void next_hop(const struct parse *p, const struct cfg_link *link, const struct ip_addr *addr,
	const char *path)
{
	char text[IP_STRLEN];
	struct ip_addr own;

	if (!addr->af)
		return;
	ip_addr_format(addr, text);
	for (unsigned i = 0; i < link->n_address; i++) {
		own = ip_prefix_addr(&link->address[i]);
		if (ip_addr_equal(&own, addr)) {
			parse_error(p, path, "%s is the link's own address", text);
			return;
		}
	}
	if (addr->af == AF_INET6 && ip_addr_is_link_local(addr))
		return; /* every link has that network */
	if (!check_unicast(addr))
		parse_error(p, path, "%s is not the address of one host", text);
	else if (link->n_address && !connected(link, addr))
		parse_error(p, path, "%s is not in a network of the link's addresses", text);
}

static int by_prefix(const void *x, const void *y)
{
	return ip_prefix_compare(x, y);
}

static const char *const probe_words[] = {
	[CFG_PROBE_STAMP] = "STAMP", [CFG_PROBE_ICMP] = "ICMP", [CFG_PROBE_TCP] = "TCP"
};

static void statics(const struct parse *p, const struct cfg_link *link)
{
	struct ip_prefix *sorted;
	bool used[2] = { false, false };
	char path[80], text[IP_STRLEN], key[40];

	if (!link->statics.n)
		return;
	sorted = pool_array(p->work, link->statics.n, sizeof(*sorted));
	memcpy(sorted, link->statics.items, link->statics.n * sizeof(*sorted));
	for (unsigned i = 0; i < link->statics.n; i++) {
		const struct ip_prefix *s = &link->statics.items[i];
		const struct ip_addr *via = &link->static_via[s->af == AF_INET6];
		const struct ip_prefix *net = via->af ? connected(link, via) : NULL;

		used[s->af == AF_INET6] = true;
		snprintf(key, sizeof(key), "static.prefixes[%u]", i);
		if (net && s->len > net->len && ip_prefix_contains(s, via))
			parse_error(p, AT(key),
				"%s would be reached by itself: its next hop lies in it",
				ip_prefix_format(s, text));
		if (!s->len && link->gateway[s->af == AF_INET6].af)
			parse_error(p, AT(key),
				"%s is the default route that 'gateway' gives already",
				ip_prefix_format(s, text));
	}
	qsort(sorted, link->statics.n, sizeof(*sorted), by_prefix);
	for (unsigned i = 1; i < link->statics.n; i++)
		if (ip_prefix_equal(&sorted[i - 1], &sorted[i]))
			parse_error(p, AT("static.prefixes"), "%s is given twice",
				ip_prefix_format(&sorted[i], text));
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (used[v6] && link->track == CFG_TRACK_PROBE && link->static_via[v6].af &&
			!link->probe[v6].af)
			parse_error(p, AT("static.track"),
				"has nothing to ask for IPv%c: give the link probe = \"ADDRESS\", "
				"a "
				"host behind the next hop that answers %s",
				v6 ? '6' : '4', probe_words[link->probing.type]);
		if (used[v6] && !link->static_via[v6].af && parse_given(p, AT("static.via")))
			parse_error(p, AT("static.via"),
				"has no IPv%c next hop for the IPv%c prefixes", v6 ? '6' : '4',
				v6 ? '6' : '4');
		if (!used[v6] && link->static_via[v6].af)
			parse_error(p, AT("static.via"),
				"has an IPv%c next hop, but no prefix is IPv%c", v6 ? '6' : '4',
				v6 ? '6' : '4');
	}
}

/* ---- routes of all links ---- */

struct route {
	const struct cfg_vrf *vrf;
	const struct cfg_link *link;
	struct ip_prefix prefix;
	int index; /* in static.prefixes; GATEWAY; CONNECTED */
};

#define CONNECTED -2 /* sorts before the others: what it collides with is to blame */
#define GATEWAY	  -1

static int by_route(const void *x, const void *y)
{
	const struct route *a = x, *b = y;
	int order;

	if (a->vrf != b->vrf)
		return a->vrf < b->vrf ? -1 : 1;
	order = ip_prefix_compare(&a->prefix, &b->prefix);
	if (order)
		return order;
	if ((a->index == CONNECTED) != (b->index == CONNECTED))
		return a->index == CONNECTED ? -1 : 1;
	order = strcmp(a->link->name, b->link->name);
	return order ? order : (a->index > b->index) - (a->index < b->index);
}

static unsigned link_routes(const struct cfg_link *link, struct route *routes)
{
	unsigned n = 0;

	for (unsigned i = 0; i < link->n_address; i++) {
		routes[n] = (struct route){ link->vrf, link, link->address[i], CONNECTED };
		ip_prefix_mask(&routes[n++].prefix);
	}
	for (unsigned i = 0; i < 2; i++)
		if (link->gateway[i].af)
			routes[n++] = (struct route){ link->vrf, link,
				{ .af = link->gateway[i].af }, GATEWAY };
	for (unsigned i = 0; i < link->statics.n; i++)
		routes[n++] = (struct route){ link->vrf, link, link->statics.items[i], i };
	return n;
}

/* One prefix, one static next hop in a VRF: the kernel would take the first and refuse the other.
 */
static void all_routes(const struct parse *p)
{
	const struct config *config = p->config;
	char path[80], text[IP_STRLEN];
	struct route *routes;
	size_t n = 0, max = 1;

	for (unsigned i = 0; i < config->n_links; i++)
		max += config->links[i].n_address + 2 + config->links[i].statics.n;
	routes = pool_array(p->work, max, sizeof(*routes));
	for (unsigned i = 0; i < config->n_links; i++)
		if (config->links[i].vrf)
			n += link_routes(&config->links[i], routes + n);
	qsort(routes, n, sizeof(*routes), by_route);
	for (size_t i = 1; i < n; i++) {
		const struct route *a = &routes[i - 1], *b = &routes[i];

		if (a->vrf != b->vrf || !ip_prefix_equal(&a->prefix, &b->prefix) ||
			b->index == CONNECTED || (a->link == b->link && a->index != CONNECTED))
			continue; /* statics() tells what one link says twice */
		ip_prefix_format(&b->prefix, text);
		if (b->index == GATEWAY)
			snprintf(path, sizeof(path), "links.%s.gateway", b->link->name);
		else
			snprintf(path, sizeof(path), "links.%s.static.prefixes[%d]", b->link->name,
				b->index);
		if (a->index == CONNECTED)
			parse_error(p, path, "%s is the connected network of link '%s' (%s:%u)",
				text, a->link->name, a->link->src.file, a->link->src.line);
		else
			parse_error(p, path,
				"%s has a static next hop on link '%s' (%s:%u) already: several "
				"are not "
				"implemented yet in this version",
				text, a->link->name, a->link->src.file, a->link->src.line);
	}
}

/* ---- BGP ---- */

#define HOLD_MIN 3 /* RFC 4271 4.2 */

static void hold_short(const struct parse *p, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, const char *path)
{
	if (link->profile)
		prov_report(p, PROV_TIMERS_MIN, path, "%u s: %s refuses less than %u s",
			peer->hold_s, link->profile->name,
			link->profile->hold_min_s ? link->profile->hold_min_s : HOLD_MIN);
	else
		parse_error(p, path, "%u s is out of range: %u s at least", peer->hold_s, HOLD_MIN);
}

/* A neighbour by multihop may be a host behind the link, when a route of the link leads there. */
static bool far_away(const struct parse *p, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, const char *path)
{
	char text[IP_STRLEN];

	if (!peer->multihop || !peer->peer.af || connected(link, &peer->peer) ||
		(peer->peer.af == AF_INET6 && ip_addr_is_link_local(&peer->peer)))
		return false;
	ip_addr_format(&peer->peer, text);
	if (!check_unicast(&peer->peer)) {
		parse_error(p, path, "%s is not the address of one host", text);
		return true;
	}
	for (unsigned i = 0; i < link->statics.n; i++)
		if (ip_prefix_contains(&link->statics.items[i], &peer->peer))
			return true;
	if (!link->gateway[peer->peer.af == AF_INET6].af)
		parse_error(p, path,
			"%s is not in a network of the link, and nothing leads there: add it to "
			"static.prefixes",
			text);
	return true;
}

static void second(const struct parse *p, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, const char *name)
{
	char path[80], key[24], text[IP_STRLEN];

	snprintf(key, sizeof(key), "bgp.%s.second", name);
	AT(key);
	if (peer->second.af != peer->peer.af)
		parse_error(p, path, "and 'peer' are of different families");
	else if (ip_addr_equal(&peer->second, &peer->peer))
		parse_error(p, path, "is 'peer' itself: leave it out");
	else if (!connected(link, &peer->second))
		parse_error(p, path, "%s is not in a network of the link",
			ip_addr_format(&peer->second, text));
	else
		next_hop(p, link, &peer->second, path);
}

static void session(const struct parse *p, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, uint8_t af, const char *name)
{
	uint32_t own = p->config->gateway.asn;
	char path[80], key[24];

	if (!peer->present)
		return;
	snprintf(key, sizeof(key), "bgp.%s.peer", name);
	AT(key);
	if (peer->peer.af && peer->peer.af != af)
		parse_error(p, path, "is an IPv%c address: session '%s' takes the other family",
			family(&peer->peer), name);
	else if (!far_away(p, link, peer, path))
		next_hop(p, link, &peer->peer, path);
	if (peer->second.af && peer->peer.af)
		second(p, link, peer, name);
	snprintf(key, sizeof(key), "bgp.%s.gtsm", name);
	if (peer->gtsm && peer->multihop)
		parse_error(p, AT(key),
			"and multihop exclude each other: gtsm says how far away the neighbour is");
	snprintf(key, sizeof(key), "bgp.%s.local_as", name);
	AT(key);
	if (peer->local_as && peer->local_as == own)
		parse_error(p, path, "%u is the gateway's own AS number: leave it out", own);
	else if (peer->local_as && peer->local_as == peer->asn)
		parse_error(p, path, "%u is the neighbour's AS number as well", peer->asn);
	snprintf(key, sizeof(key), "bgp.%s.hold", name);
	AT(key);
	if (peer->hold_s && peer->hold_s < HOLD_MIN)
		hold_short(p, link, peer, path);
	else if (peer->hold_s && peer->keepalive_s >= peer->hold_s)
		parse_error(p, AT(key),
			"%u s is not longer than keepalive, %u s: take three times that",
			peer->hold_s, peer->keepalive_s);
}

/* Filters of a family that no session carries do nothing: say so. */
static void filters(const struct parse *p, const struct cfg_link *link,
	const struct cfg_filter_list *list, const char *name)
{
	char path[80], key[24];
	bool idle[2] = { false, false };

	for (unsigned i = 0; i < list->n; i++)
		idle[list->items[i].prefix.af == AF_INET6] = true;
	snprintf(key, sizeof(key), "bgp.%s", name);
	AT(key);
	if (!parse_given(p, path))
		return;
	if (idle[0] && !link->bgp.v4.present)
		parse_warning(p, path, "has IPv4 prefixes, but there is no session v4");
	if (idle[1] && !link->bgp.v6.present)
		parse_warning(p, path, "has IPv6 prefixes, but there is no session v6");
}

/* FRR tells neighbours of a VRF apart by address only. Connected networks that overlap are refused
 * elsewhere; link-local neighbours and those behind a next hop can repeat from link to link. */
struct neighbour {
	const struct cfg_link *link;
	const struct ip_addr *addr;
};

static int by_neighbour(const void *x, const void *y)
{
	const struct neighbour *a = x, *b = y;
	int order;

	if (a->link->vrf != b->link->vrf)
		return a->link->vrf < b->link->vrf ? -1 : 1;
	order = memcmp(a->addr, b->addr, sizeof(*a->addr));
	return order ? order : (a->link > b->link) - (a->link < b->link);
}

static void neighbours(const struct parse *p)
{
	struct neighbour *all = pool_array(p->work, 2 * p->config->n_links + 1, sizeof(*all));
	const struct cfg_link *link;
	char path[80], key[16];
	unsigned n = 0;

	for (unsigned i = 0; i < p->config->n_links; i++) {
		const struct cfg_bgp_peer *peers[] = { &p->config->links[i].bgp.v4,
			&p->config->links[i].bgp.v6 };

		link = &p->config->links[i];
		for (unsigned v6 = 0; v6 < 2; v6++)
			if (peers[v6]->present && peers[v6]->peer.af && link->vrf &&
				!connected(link, &peers[v6]->peer))
				all[n++] = (struct neighbour){ link, &peers[v6]->peer };
	}
	qsort(all, n, sizeof(*all), by_neighbour);
	for (unsigned i = 1; i < n; i++) {
		link = all[i].link;
		if (link->vrf != all[i - 1].link->vrf || link == all[i - 1].link ||
			!ip_addr_equal(all[i].addr, all[i - 1].addr))
			continue;
		snprintf(key, sizeof(key), "bgp.v%c.peer", family(all[i].addr));
		prov_report(p, PROV_PEER_TWICE, AT(key),
			"link '%s' has this neighbour already in VRF %s: use addresses that differ",
			all[i - 1].link->name, link->vrf->name);
	}
}

static bool bgp(const struct parse *p, const struct cfg_link *link)
{
	char path[80];

	if (!link->bgp.present)
		return false;
	if (!parse_given(p, AT("bgp.v4")) && !parse_given(p, AT("bgp.v6")) &&
		!parse_given(p, AT("bgp.asn")))
		parse_error(p, AT("bgp"), "has no session: give v4 = { ... }; or v6 = { ... };");
	session(p, link, &link->bgp.v4, AF_INET, "v4");
	session(p, link, &link->bgp.v6, AF_INET6, "v6");
	prov_check_raw(p, link);
	filters(p, link, &link->bgp.accept, "accept");
	filters(p, link, &link->bgp.announce, "announce");
	if (!link->zone && !link->bgp.accept.items && !parse_given(p, AT("bgp.accept")))
		parse_warning(p, AT("bgp"),
			"accepts nothing: the link is of no zone, and 'accept' is not given");
	if (p->config->routing == CFG_ROUTING_EXTERNAL)
		parse_warning(p, AT("bgp"),
			"is not configured by lintasd: routing is \"external\", so it only "
			"documents");
	return true;
}

void check_net_all(const struct parse *p)
{
	const struct config *config = p->config;
	const struct cfg_link *link;
	bool any_bgp = false;
	char path[80];

	for (unsigned i = 0; i < config->n_links; i++) {
		link = &config->links[i];
		own_addresses(p, link);
		for (unsigned v6 = 0; v6 < 2; v6++) {
			next_hop(p, link, &link->gateway[v6], AT("gateway"));
			next_hop(p, link, &link->static_via[v6], AT("static.via"));
		}
		statics(p, link);
		any_bgp |= bgp(p, link);
	}
	neighbours(p);
	all_addresses(p);
	all_routes(p);
	if (any_bgp && config->routing == CFG_ROUTING_FRR) {
		if (!parse_given(p, "gateway.asn"))
			parse_error(p, "gateway.asn", "is missing: links use BGP");
		if (!parse_given(p, "gateway.router_id"))
			parse_error(p, "gateway.router_id", "is missing: links use BGP");
	}
}
