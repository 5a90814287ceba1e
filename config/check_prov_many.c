/* The providers' rules about several links: pairs, what one cloud gets from all of them, tiers, and
 * AS numbers that meet.
 *
 * Links are sorted by zone and profile, so that those of one connection stand together; prefixes
 * and AS numbers are sorted by zone. A thousand links cost a few sorts. */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"

static const char *at(char *buf, size_t size, const struct cfg_link *link, const char *key)
{
	snprintf(buf, size, "links.%s%s%s", link->name, *key ? "." : "", key);
	return buf;
}

#define AT(key)	      at(path, sizeof(path), link, key)
#define PAIR_LOOKBACK 16 /* links of one cloud that are compared: a circuit has two */

/* ---- links of one connection ---- */

static int by_group(const void *x, const void *y)
{
	const struct cfg_link *const *a = x, *const *b = y;

	if ((*a)->zone != (*b)->zone)
		return (*a)->zone < (*b)->zone ? -1 : 1;
	if ((*a)->profile != (*b)->profile)
		return (*a)->profile < (*b)->profile ? -1 : 1;
	return *a < *b ? -1 : *a > *b; /* links are sorted by name */
}

static bool has(const struct cfg_words *list, const char *word)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->items[i], word))
			return true;
	return false;
}

static void alone(const struct parse *p, const struct cfg_link *link, unsigned n)
{
	const struct cfg_profile *profile = link->profile;
	enum prov_code code = PROV_ALONE;
	char path[80];

	if (n >= profile->together || link->bgp.v4.second.af || link->bgp.v6.second.af)
		return;
	if (has(&profile->encaps, "gre") && profile->encaps.n == 1)
		code = PROV_ONE_SESSION;
	else if (has(&profile->encaps, "ipsec") && profile->encaps.n == 1)
		code = PROV_ONE_TUNNEL;
	else if (profile->kind == CFG_KIND_INTERCONNECT && profile->provider &&
		 !strcmp(profile->provider, "azure"))
		code = PROV_ONE_CIRCUIT_SIDE;
	prov_report(p, code, AT(""), "%u link%s with %s to '%s', the provider wants %u: add %s", n,
		n == 1 ? "" : "s", profile->name, link->zone->name, profile->together,
		code == PROV_ONE_SESSION     ? "bgp.v4.second, its other address"
		: profile->together - n == 1 ? "the other"
					     : "the others");
}

/* What stands in raw lines about preference. */
static const char *weights(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_words *lists[] = { &link->bgp.v4.raw, &link->bgp.v6.raw };
	const char *all = "";

	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < lists[v6]->n; i++)
			if (!strncmp(lists[v6]->items[i], "weight", 6) ||
				!strncmp(lists[v6]->items[i], "route-map", 9))
				all = pool_printf(
					p->work, "%s%u %s\n", all, v6, lists[v6]->items[i]);
	return all;
}

static void unequal(
	const struct parse *p, const struct cfg_link *first, const struct cfg_link *link)
{
	const struct cfg_lever *a = &first->bgp.levers[first->bgp.inbound],
			       *b = &link->bgp.levers[link->bgp.inbound];
	char path[80];

	if (!link->profile->equal || !first->bgp.present || !link->bgp.present)
		return;
	if (a->prepend != b->prepend)
		prov_report(p, PROV_UNEQUAL, AT("bgp.inbound"),
			"prepends %u times, link '%s' %u: the provider's choice by MED is lost: "
			"same inbound on both",
			b->prepend, first->name, a->prepend);
	else if (strcmp(weights(p, first), weights(p, link)))
		prov_report(p, PROV_UNEQUAL, AT("bgp.v4.raw"),
			"weight or route map differ from link '%s': the provider's choice by MED "
			"is "
			"lost: same lines on both",
			first->name);
}

/* The peering has one inner tag on both ends of an ExpressRoute circuit; the outer tags, or the
 * ports, tell primary and secondary apart. Two links are the ends of one circuit when they share
 * an id or our circuit, and when the cloud has no others. */
static bool ends_of_one(const struct cfg_link *a, const struct cfg_link *b, unsigned n)
{
	if (a->id && b->id)
		return !strcmp(a->id, b->id);
	if (!a->circuit || !b->circuit)
		return false;
	if (a->circuit == b->circuit || n == 2)
		return true;
	return a->circuit->id && b->circuit->id && !strcmp(a->circuit->id, b->circuit->id);
}

static void pair_tags(const struct parse *p, const struct cfg_link *const *links, unsigned n)
{
	const struct cfg_profile *profile = links[0]->profile;
	char path[80];

	if (profile->kind != CFG_KIND_INTERCONNECT || !profile->provider ||
		strcmp(profile->provider, "azure"))
		return;
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = 0; j < i && j < PAIR_LOOKBACK; j++) {
			const struct cfg_link *link = links[i], *other = links[i - 1 - j];

			if (!link->vlan || !other->vlan || link->vlan == other->vlan ||
				!ends_of_one(other, link, n))
				continue;
			prov_report(p, PROV_PAIR_TAGS, AT("vlan"),
				"%u, link '%s' has %u: primary and secondary of a circuit carry a "
				"peering with the same tag: set both alike, each over a circuit "
				"(port or stag) of its own",
				link->vlan, other->name, other->vlan);
			break;
		}
}

static void connections(const struct parse *p, const struct cfg_link **links, unsigned n)
{
	unsigned first = 0;

	qsort(links, n, sizeof(*links), by_group);
	for (unsigned i = 1; i <= n; i++) {
		if (i < n && links[i]->zone == links[first]->zone &&
			links[i]->profile == links[first]->profile) {
			unequal(p, links[first], links[i]);
			continue;
		}
		if (links[first]->zone) {
			alone(p, links[first], i - first);
			pair_tags(p, links + first, i - first);
		}
		first = i;
	}
}

/* ---- one prefix over several links ---- */

struct told {
	const struct cfg_zone *zone;
	struct ip_prefix prefix;
	const struct cfg_link *link;
};

static int by_told(const void *x, const void *y)
{
	const struct told *a = x, *b = y;
	int order;

	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	order = ip_prefix_compare(&a->prefix, &b->prefix);
	return order ? order : (a->link > b->link) - (a->link < b->link);
}

static void mtus(const struct parse *p, const struct cfg_link **links, unsigned n)
{
	uint8_t *said = pool_alloc(p->work, p->config->n_links + 1);
	const struct cfg_link *link;
	struct told *all;
	size_t max = 1, m = 0;
	char path[80];

	for (unsigned i = 0; i < n; i++)
		if (links[i]->profile->mtu_same && links[i]->zone)
			max += links[i]->bgp.announce.n;
	all = pool_array(p->work, max, sizeof(*all));
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; links[i]->profile->mtu_same && links[i]->zone &&
				     j < links[i]->bgp.announce.n;
			j++)
			all[m++] = (struct told){ links[i]->zone,
				links[i]->bgp.announce.items[j].prefix, links[i] };
	qsort(all, m, sizeof(*all), by_told);
	for (size_t i = 1; i < m; i++) {
		link = all[i].link;
		if (all[i].zone != all[i - 1].zone || link->mtu == all[i - 1].link->mtu ||
			!ip_prefix_equal(&all[i].prefix, &all[i - 1].prefix) ||
			said[link - p->config->links]++)
			continue;
		prov_report(p, PROV_MTU_DIFFERS, AT("mtu"),
			"%u, link '%s' has %u and carries the same prefixes: the provider sends "
			"with "
			"the smaller: set both alike",
			link->mtu, all[i - 1].link->name, all[i - 1].link->mtu);
	}
}

/* ---- tiers ---- */

static int by_pointer(const void *x, const void *y)
{
	const struct cfg_profile *const *a = x, *const *b = y;

	return (*a > *b) - (*a < *b);
}

static void tier(const struct parse *p, const struct cfg_path *path, unsigned t)
{
	unsigned n = path->tiers[t].n, run = 1;
	const struct cfg_profile **used = pool_array(p->work, n + 1, sizeof(*used));
	char where[64];

	snprintf(where, sizeof(where), "paths.%s.tiers", path->name);
	for (unsigned i = 0; i < n; i++)
		used[i] = path->tiers[t].links[i]->profile;
	qsort(used, n, sizeof(*used), by_pointer);
	for (unsigned i = 1; i <= n; i++, run++) {
		if (i < n && used[i] == used[i - 1])
			continue;
		if (used[i - 1] && used[i - 1]->ecmp_max && run > used[i - 1]->ecmp_max)
			prov_report(p, PROV_ECMP, where,
				"%u links of %s in tier %u: the provider shares its traffic over "
				"%u at most: put the others into the next tier",
				run, used[i - 1]->name, t + 1, used[i - 1]->ecmp_max);
		run = 0;
	}
}

/* Tunnels have none: one way into the internet may be all there is. */
static const struct cfg_port *port_of(const struct cfg_link *link)
{
	return link->circuit ? link->circuit->port : NULL;
}

/* Is every link of the path, in several tiers, lost with one port? */
static void one_port(const struct parse *p, const struct cfg_path *path)
{
	const struct cfg_port *port = NULL;
	bool profiled = false;
	char where[64];

	if (path->n_tiers < 2)
		return;
	for (unsigned t = 0; t < path->n_tiers; t++)
		for (unsigned i = 0; i < path->tiers[t].n; i++) {
			const struct cfg_link *link = path->tiers[t].links[i];

			if (!port_of(link) || (port && port_of(link) != port))
				return;
			port = port_of(link);
			profiled |= !!link->profile;
		}
	snprintf(where, sizeof(where), "paths.%s.tiers", path->name);
	if (port && profiled && !port->lag.n)
		prov_report(p, PROV_ONE_PORT, where,
			"every link of it is on port '%s': what takes the primary takes the backup "
			"too: put one of them on another port",
			port->name);
}

/* ---- AS numbers ---- */

struct speaker {
	const struct cfg_zone *zone;
	uint32_t asn;
};

static int by_speaker(const void *x, const void *y)
{
	const struct speaker *a = x, *b = y;

	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	return (a->asn > b->asn) - (a->asn < b->asn);
}

/* Does a zone that the link's cloud may hear of speak with this AS number too? */
static const struct cfg_zone *same_asn(const struct parse *p, const struct speaker *all, unsigned n,
	const struct cfg_zone *zone, uint32_t asn)
{
	struct speaker wanted = { NULL, asn };

	for (unsigned i = 0; i < p->config->n_reach; i++) {
		const struct cfg_zone *const *z = p->config->reach[i].between;

		wanted.zone = z[0] == zone ? z[1] : z[1] == zone ? z[0] : NULL;
		if (wanted.zone && wanted.zone != zone &&
			bsearch(&wanted, all, n, sizeof(*all), by_speaker))
			return wanted.zone;
	}
	return NULL;
}

static void as_loops(const struct parse *p)
{
	const struct config *config = p->config;
	struct speaker *all = pool_array(p->work, 2 * config->n_links + 1, sizeof(*all));
	const struct cfg_zone *other;
	const struct cfg_link *link;
	unsigned n = 0;
	char path[80];

	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_bgp_peer *peers[] = { &config->links[i].bgp.v4,
			&config->links[i].bgp.v6 };

		for (unsigned v6 = 0; v6 < 2; v6++)
			if (peers[v6]->present && config->links[i].zone)
				all[n++] =
					(struct speaker){ config->links[i].zone, peers[v6]->asn };
	}
	qsort(all, n, sizeof(*all), by_speaker);
	for (unsigned i = 0; i < config->n_links; i++) {
		link = &config->links[i];
		if (!link->profile || !link->zone)
			continue;
		const struct cfg_bgp_peer *peer =
			link->bgp.v4.present ? &link->bgp.v4 : &link->bgp.v6;
		if (!peer->present || peer->as_override || !peer->asn)
			continue;
		other = same_asn(p, all, n, link->zone, peer->asn);
		if (other)
			prov_report(p, PROV_AS_LOOP, AT("bgp"),
				"'%s' speaks AS %u too, so this neighbour takes its routes for its "
				"own and drops them: another AS number, or as_override = true",
				other->name, peer->asn);
	}
}

/* Has a neighbour in the VRF a way back to this address? */
static bool announced(
	const struct config *config, const struct cfg_vrf *vrf, const struct ip_prefix *host)
{
	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_filter_list *list = &config->links[i].bgp.announce;

		if (config->links[i].vrf != vrf || !config->links[i].bgp.present)
			continue;
		for (unsigned j = 0; j < list->n; j++)
			if (ip_prefix_covers(&list->items[j].prefix, host))
				return true;
	}
	return false;
}

/* The loopback address that the link's probes of this family leave from; NULL: another address. */
static const struct ip_prefix *probe_loopback(const struct cfg_link *link, bool v6)
{
	const struct ip_addr *source = &link->probing.source[v6];

	for (unsigned i = 0; i < link->vrf->loopback.n; i++) {
		const struct ip_prefix *host = &link->vrf->loopback.items[i];

		if (host->af == (v6 ? AF_INET6 : AF_INET) &&
			(!source->af || ip_prefix_contains(host, source)))
			return host;
	}
	return NULL;
}

static void probe_sources(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_bgp_peer *peers[] = { &link->bgp.v4, &link->bgp.v6 };
	char path[80], text[IP_STRLEN];

	for (unsigned v6 = 0; link->vrf && link->bgp.present && v6 < 2; v6++) {
		const struct ip_prefix *host = probe_loopback(link, v6);

		if (!peers[v6]->present || !link->probe[v6].af || !host ||
			announced(p->config, link->vrf, host))
			continue;
		prov_report(p, PROV_PROBE_SOURCE, AT("probing.source"),
			"no link of '%s' announces %s, so no answer can come back to it: give this "
			"link a loopback address of its own and announce it over this link only",
			link->vrf->name, ip_prefix_format(host, text));
	}
}

void prov_check_many(const struct parse *p)
{
	const struct config *config = p->config;
	const struct cfg_link **links = pool_array(p->work, config->n_links + 1, sizeof(*links)),
			      *link;
	unsigned n = 0;
	char path[80];

	for (unsigned i = 0; i < config->n_links; i++)
		if (config->links[i].profile)
			links[n++] = &config->links[i];
	for (unsigned i = 0; i < config->n_links; i++)
		probe_sources(p, &config->links[i]);
	if (!n)
		return;
	link = links[0];
	if (!config->profiles)
		prov_report(p, PROV_NOT_PINNED, AT("profile"),
			"the next upgrade may change what it means: write profiles = \"%s\"; at "
			"the "
			"top level",
			link->profile->version);
	mtus(p, links, n);
	connections(p, links, n);
	for (unsigned i = 0; i < config->n_paths; i++)
		for (unsigned t = 0; t < config->paths[i].n_tiers; t++)
			tier(p, &config->paths[i], t);
	for (unsigned i = 0; i < config->n_paths; i++)
		one_port(p, &config->paths[i]);
	as_loops(p);
}
