/* What a link has from the path it is in, and from the clouds it may speak to.
 *
 * How much traffic the provider is asked to send (inbound) follows the tier; what is probed, how,
 * and what is promised (probe, probing, slo) is the path's unless the link says it; what BGP
 * announces without a list of its own is what `reach` opens: the prefixes of those clouds and all
 * longer ones, nothing else. One walk over paths and one over reach, so a thousand links cost a
 * thousand steps. */
#include <string.h>
#include "pool.h"
#include "resolve.h"

#define RATE	   10
#define RISE_MS	   20
#define PORT_STAMP 862 /* RFC 8762 */
#define PORT_TCP   443

/* ---- announce ---- */

static unsigned append(struct cfg_filter *items, unsigned n, const struct cfg_zone *zone)
{
	for (unsigned i = 0; i < zone->prefixes.n; i++, n++) {
		items[n].prefix = zone->prefixes.items[i];
		if (items[n].prefix.len < ip_bits(items[n].prefix.af))
			items[n].le = ip_bits(items[n].prefix.af);
	}
	return n;
}

/* Each cloud that the one at `of` reaches, once, whatever reach repeats. */
static struct cfg_filter_list reachable(struct parse *p, const struct cfg_zone *of)
{
	const struct config *config = p->config;
	const struct cfg_zone *other;
	struct cfg_filter_list list = { NULL, 0 };
	uint8_t *seen = pool_alloc(p->work, config->n_zones + 1);
	unsigned sum = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		if (pass && !sum)
			return list;
		if (pass)
			list.items = pool_array(p->pool, sum, sizeof(*list.items));
		for (unsigned i = 0; i < config->n_reach; i++) {
			const struct cfg_zone *const *z = config->reach[i].between;

			other = z[0] == of ? z[1] : z[1] == of ? z[0] : NULL;
			if (!other || other == of || seen[other - config->zones] > pass)
				continue;
			seen[other - config->zones] = pass + 1;
			if (pass)
				list.n = append(list.items, list.n, other);
			else
				sum += other->prefixes.n;
		}
	}
	return list;
}

static void announce(struct parse *p)
{
	struct config *config = p->config;
	struct cfg_filter_list *of_zone =
		pool_array(p->work, config->n_zones + 1, sizeof(*of_zone));
	uint8_t *known = pool_alloc(p->work, config->n_zones + 1);
	struct cfg_link *link;
	size_t zone;

	for (unsigned i = 0; i < config->n_links && config->n_reach; i++) {
		link = &config->links[i];
		if (!link->bgp.present || !link->zone || config_given(&link->given, "bgp.announce"))
			continue;
		zone = link->zone - config->zones;
		if (!known[zone]++)
			of_zone[zone] = reachable(p, link->zone);
		link->bgp.announce = of_zone[zone];
	}
}

/* ---- probes ---- */

static void probing_defaults(struct cfg_probing *probing)
{
	if (!probing->rate) {
		*probing = (struct cfg_probing){ .type = CFG_PROBE_ICMP, .rate = RATE };
		probing->buckets = 1;
	}
	if (!probing->port && probing->type != CFG_PROBE_ICMP)
		probing->port = probing->type == CFG_PROBE_STAMP ? PORT_STAMP : PORT_TCP;
}

static bool first_of(const struct ip_prefix *list, unsigned n, bool v6, struct ip_addr *ret_addr)
{
	struct ip_addr addr;

	for (unsigned i = 0; i < n; i++) {
		addr = ip_prefix_addr(&list[i]);
		if ((addr.af == AF_INET6) == v6 && !(v6 && ip_addr_is_link_local(&addr))) {
			*ret_addr = addr;
			return true;
		}
	}
	return false;
}

/* A far host answers to the VRF's loopback, which every link of the VRF can be reached for; a
 * neighbour on the link's own network knows the link's address, and perhaps nothing else. */
static void probe_source(struct cfg_link *link, bool v6)
{
	struct ip_addr *source = &link->probing.source[v6];
	bool near = false;

	for (unsigned i = 0; i < link->n_address; i++)
		near |= ip_prefix_contains(&link->address[i], &link->probe[v6]);
	if (near || !link->vrf ||
		!first_of(link->vrf->loopback.items, link->vrf->loopback.n, v6, source))
		first_of(link->address, link->n_address, v6, source);
}

/* Static routes that a probe decides about, and nobody said what to probe: their next hop itself,
 * by ICMP. A link-local one cannot be probed from the VRF's address; check_net.c says so. */
static void track_next_hop(struct cfg_link *link)
{
	const struct ip_addr *via;
	bool v6;

	if (link->track != CFG_TRACK_PROBE ||
		(link->probing.rate && link->probing.type != CFG_PROBE_ICMP))
		return;
	for (unsigned i = 0; i < link->statics.n; i++) {
		v6 = link->statics.items[i].af == AF_INET6;
		via = &link->static_via[v6];
		if (!link->probe[v6].af && via->af && !(v6 && ip_addr_is_link_local(via)))
			link->probe[v6] = *via;
	}
}

static void probes(struct cfg_link *link, const struct cfg_path *path)
{
	if (path && !config_given(&link->given, "probe"))
		memcpy(link->probe, path->probe, sizeof(link->probe));
	if (path && !config_given(&link->given, "probing"))
		link->probing = path->probing;
	if (path && !config_given(&link->given, "slo"))
		link->slo = path->slo;
	track_next_hop(link);
	if (!link->probe[0].af && !link->probe[1].af) {
		link->probing.rate = 0;
		return;
	}
	probing_defaults(&link->probing);
	if (!link->slo.rise_ms)
		link->slo.rise_ms = RISE_MS;
	for (unsigned v6 = 0; v6 < 2; v6++)
		if (link->probe[v6].af && !link->probing.source[v6].af)
			probe_source(link, v6);
}

/* ---- tiers ---- */

struct place {
	const struct cfg_path *path;
	unsigned tier;
};

static struct place *places(struct parse *p)
{
	const struct config *config = p->config;
	struct place *all = pool_array(p->work, config->n_links + 1, sizeof(*all));
	const struct cfg_path *path;
	struct place *place;

	for (unsigned i = 0; i < config->n_paths; i++) {
		path = &config->paths[i];
		for (unsigned t = 0; t < path->n_tiers; t++) {
			for (unsigned j = 0; j < path->tiers[t].n; j++) {
				place = &all[path->tiers[t].links[j] - config->links];
				if (!place->path)
					*place = (struct place){ path, t };
			}
		}
	}
	return all;
}

static enum cfg_inbound by_tier(const struct place *place)
{
	if (!place->path || !place->tier)
		return CFG_INBOUND_HIGH;
	return place->tier == 1 ? CFG_INBOUND_MEDIUM : CFG_INBOUND_LOW;
}

void resolve_paths(struct parse *p)
{
	const struct place *all = places(p);
	struct cfg_link *link;

	for (unsigned i = 0; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		if (link->bgp.present && link->bgp.inbound == CFG_INBOUND_AUTO)
			link->bgp.inbound = by_tier(&all[i]);
		probes(link, all[i].path);
	}
	announce(p);
}
