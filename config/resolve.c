/* Fills in what a file may leave out because it follows from something else.
 *
 * Runs after the walk and before the rules, so that the rules see the configuration as it will be
 * in force: a link's MTU from its port or underlay, a tunnel's own address from its underlay, what
 * BGP accepts from the zone's prefixes, one BGP timer from the other, the cloud of a path from its
 * name. What a provider's profile fills in is resolve_profile.c's, what paths and reach say
 * resolve_path.c's. A chain of tunnels ends at an Ethernet link after two at most, because the fast
 * path decapsulates at most twice; a chain that does not is refused here, and whatever hangs on it
 * keeps MTU 0, which the rules pass over. */
#include <string.h>
#include "pool.h"
#include "profile.h"
#include "resolve.h"

#define TUNNELS_MAX 2

#define VXLAN_PORT  4789 /* RFC 7348 8, RFC 8926 8 */
#define GENEVE_PORT 6081

/* Tunnels from this link down to the Ethernet link; more than TUNNELS_MAX when there is no end. */
static unsigned tunnels(const struct cfg_link *link)
{
	unsigned n = 0;

	for (; link->underlay && n <= TUNNELS_MAX; link = link->underlay)
		n++;
	return n;
}

static bool over_itself(const struct cfg_link *link, unsigned n_links)
{
	const struct cfg_link *under = link->underlay;

	for (unsigned i = 0; under && i < n_links; i++, under = under->underlay)
		if (under == link)
			return true;
	return false;
}

/* The profile's, as far as there is room for it. */
static uint16_t default_mtu(const struct cfg_link *link)
{
	uint16_t room = 0, under;

	if (link->mtu)
		return link->mtu;
	if (link->circuit && link->circuit->port) {
		room = link->circuit->port->mtu;
	} else if (link->underlay && !link->circuit) {
		under = default_mtu(link->underlay);
		room = under > config_overhead(link, under) ? under - config_overhead(link, under)
							    : 0;
	}
	return link->profile && link->profile->mtu && link->profile->mtu < room ? link->profile->mtu
										: room;
}

/* What a kind of tunnel has of itself. */
static void outer(struct parse *p, struct cfg_link *link)
{
	enum cfg_inner inner = link->encap == CFG_ENCAP_VXLAN ? CFG_INNER_ETHER : CFG_INNER_IP;
	char path[80];

	if (link->encap == CFG_ENCAP_ETHER)
		return;
	snprintf(path, sizeof(path), "links.%s.encap.inner", link->name);
	if (link->encap != CFG_ENCAP_GENEVE) {
		if (link->outer.inner != inner && parse_given(p, path))
			parse_error(p, path, "is for geneve: the others carry one thing only");
		link->outer.inner = inner;
	}
	if (link->encap == CFG_ENCAP_VXLAN && !link->udp_port)
		link->udp_port = VXLAN_PORT;
	else if (link->encap == CFG_ENCAP_GENEVE && !link->udp_port)
		link->udp_port = GENEVE_PORT;
}

static void tunnel(struct parse *p, struct cfg_link *link)
{
	const struct cfg_link *under = link->underlay;
	struct ip_addr addr;
	char path[80];

	snprintf(path, sizeof(path), "links.%s.encap.local", link->name);
	if (link->encap == CFG_ENCAP_ETHER || !link->remote.af || parse_given(p, path))
		return;
	for (unsigned i = 0; i < under->n_address; i++) {
		addr = ip_prefix_addr(&under->address[i]);
		if (addr.af == link->remote.af &&
			(addr.af == AF_INET || !ip_addr_is_link_local(&addr))) {
			link->local = addr;
			return;
		}
	}
	parse_error(p, path,
		"underlay '%s' has no IPv%c address to send from: give it one, or give 'local'",
		under->name, link->remote.af == AF_INET6 ? '6' : '4');
}

/* Without "accept" a zone's neighbour may tell us of all that the zone owns. */
static void accept_zone(struct parse *p, struct cfg_link *link)
{
	const struct cfg_prefix_list *own = &link->zone->prefixes;
	struct cfg_filter *items = pool_array(p->pool, own->n ? own->n : 1, sizeof(*items));

	for (unsigned i = 0; i < own->n; i++) {
		items[i].prefix = own->items[i];
		if (own->items[i].len < ip_bits(own->items[i].af))
			items[i].le = ip_bits(own->items[i].af);
	}
	link->bgp.accept = (struct cfg_filter_list){ items, own->n };
}

static void timers(struct cfg_bgp_peer *peer)
{
	if (peer->keepalive_s && !peer->hold_s)
		peer->hold_s = 3 * peer->keepalive_s;
	else if (peer->hold_s && !peer->keepalive_s)
		peer->keepalive_s = peer->hold_s / 3;
}

static void link_resolve(struct parse *p, struct cfg_link *link)
{
	char path[80];
	bool endless = tunnels(link) > TUNNELS_MAX;

	snprintf(path, sizeof(path), "links.%s.underlay", link->name);
	if (endless && over_itself(link, p->config->n_links))
		parse_error(p, path, "the tunnel runs over itself: name a link nearer to the port");
	else if (endless)
		parse_error(p, path, "more than %u tunnels within one another", TUNNELS_MAX);
	else if (link->underlay)
		tunnel(p, link);
	resolve_ipsec_ids(p, link);
	if (!endless)
		link->mtu = default_mtu(link);
	snprintf(path, sizeof(path), "links.%s.bgp.accept", link->name);
	if (link->bgp.present && link->zone && !parse_given(p, path))
		accept_zone(p, link);
	timers(&link->bgp.v4);
	timers(&link->bgp.v6);
}

/* A cloud reaches itself and whom `reach` pairs it with; a partner reaches nobody. */
static void zones(struct parse *p)
{
	struct config *config = p->config;
	struct cfg_zone *zone, *pair[2];

	if (config->n_zones > CFG_ZONES_MAX) {
		parse_error(p, "clouds", "%u clouds and partners: at most %u together",
			config->n_zones, CFG_ZONES_MAX);
		return;
	}
	for (unsigned i = 0; i < config->n_zones; i++) {
		zone = &config->zones[i];
		zone->id = (uint8_t)(i + 1);
		if (!zone->partner)
			zone->reach[zone->id / 64] |= UINT64_C(1) << (zone->id % 64);
	}
	for (unsigned i = 0; i < config->n_reach; i++) {
		for (unsigned j = 0; j < 2; j++)
			pair[j] = (struct cfg_zone *)config->reach[i].between[j];
		for (unsigned j = 0; j < 2 && pair[0] && pair[1]; j++)
			pair[j]->reach[pair[!j]->id / 64] |= UINT64_C(1) << (pair[!j]->id % 64);
	}
}

void resolve_all(struct parse *p)
{
	struct config *config = p->config;
	struct cfg_path *path;
	char where[40];

	zones(p);
	resolve_profiles(p);
	for (unsigned i = 0; i < config->n_links; i++) {
		outer(p, &config->links[i]);
		resolve_ipsec(p, &config->links[i]);
	}
	for (unsigned i = 0; i < config->n_links; i++)
		link_resolve(p, &config->links[i]);
	for (unsigned i = 0; i < config->n_paths; i++) {
		path = &config->paths[i];
		for (unsigned j = 0; j < config->n_zones; j++)
			if (!config->zones[j].partner && !strcmp(config->zones[j].name, path->name))
				path->zone = &config->zones[j];
		snprintf(where, sizeof(where), "paths.%s", path->name);
		if (!path->zone)
			parse_error(
				p, where, "no cloud has this name: a path is called as its cloud");
	}
	resolve_paths(p);
}
