/* What BGP may be told and may tell us: the rules behind the rendered filters, as code.
 *
 * Pure. frr_maps.c renders from these functions what FRR shall do, frr_guard.c and views_routes.c
 * use them to say what FRR did and why; both therefore agree. The rules, in their order: what is
 * nobody's to route (link-locals, martians) goes nowhere, whatever a list says; without a list
 * there are no routes (RFC 8212); `accept` and `announce` say which prefixes; and a route learned
 * from a zone is told only to zones that `reach` opens to it. For the last a route must remember
 * where it came from: a large community (RFC 8092) of the gateway's AS number, FRR_FROM and a
 * number of the zone, hashed from its name so that adding a zone changes no other's. It replaces
 * whatever large communities a neighbour sent, so nobody can forge it, and leaves with nobody. */
#include <string.h>
#include "frr_policy.h"

const char *const frr_verdict_texts[FRR_VERDICTS] = {
	[FRR_PASSES] = "",
	[FRR_NEVER] = "link-local or martian: never routed",
	[FRR_NO_POLICY] = "no policy for this family, so no routes (RFC 8212)",
	[FRR_UNLISTED] = "not in the list",
	[FRR_NO_REACH] = "no reach between its zone and the neighbour's",
	[FRR_QUIET] = "the link is bad and another of its zone is not: it announces nothing",
	[FRR_OVER] = "over max_out: waits for room",
	[FRR_LOOP] = "our AS number is in its path",
	[FRR_NEXT_HOP] = "its next hop cannot be reached",
	[FRR_BACK] = "learned from this neighbour",
	[FRR_KEPT] = ("our filters pass it: its neighbour asked not to (no-export), or it is not "
		      "told yet"),
};

#define V4(a, b, l)          \
	{                    \
		AF_INET, l,  \
		{            \
			a, b \
		}            \
	}
#define V6(a, b, l)          \
	{                    \
		AF_INET6, l, \
		{            \
			a, b \
		}            \
	}
/* RFC 6890 and 4291. Unspecified, loopback, mapped and compatible addresses share ::/16. Not here,
 * because clouds and laboratories route them: 100.64/10, the documentation prefixes. */
static const struct ip_prefix never4[] = { V4(0, 0, 8), V4(127, 0, 8), V4(169, 254, 16),
	V4(224, 0, 3) };
static const struct ip_prefix never6[] = { V6(0, 0, 16), V6(1, 0, 64), V6(0xfe, 0x80, 10),
	V6(0xfe, 0xc0, 10), V6(0xff, 0, 8) };

const struct ip_prefix *frr_never(bool v6, unsigned *ret_n)
{
	*ret_n = v6 ? sizeof(never6) / sizeof(never6[0]) : sizeof(never4) / sizeof(never4[0]);
	return v6 ? never6 : never4;
}

bool frr_is_never(const struct ip_prefix *prefix)
{
	unsigned n;
	const struct ip_prefix *never = frr_never(prefix->af == AF_INET6, &n);

	for (unsigned i = 0; i < n; i++)
		if (ip_prefix_covers(&never[i], prefix))
			return true;
	return false;
}

const struct cfg_bgp_peer *frr_peer(const struct cfg_link *link, bool v6)
{
	const struct cfg_bgp_peer *peer = v6 ? &link->bgp.v6 : &link->bgp.v4;

	return link->bgp.present && peer->present ? peer : NULL;
}

bool frr_is_peer(const struct cfg_link *link, const struct ip_addr *addr)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, addr->af == AF_INET6);

	return peer && (ip_addr_equal(&peer->peer, addr) || ip_addr_equal(&peer->second, addr));
}

static bool matches(const struct cfg_filter *f, const struct ip_prefix *p)
{
	return ip_prefix_covers(&f->prefix, p) && p->len >= cfg_filter_low(f) &&
	       p->len <= cfg_filter_high(f);
}

bool frr_filter_matches(const struct cfg_filter_list *list, const struct ip_prefix *prefix)
{
	for (unsigned i = 0; i < list->n; i++)
		if (matches(&list->items[i], prefix))
			return true;
	return false;
}

static bool has_family(const struct cfg_filter_list *list, uint8_t af)
{
	for (unsigned i = 0; i < list->n; i++)
		if (list->items[i].prefix.af == af)
			return true;
	return false;
}

/* ---- zones ---- */
/* FNV-1a. */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static uint32_t plain_tag(const char *name)
{
	return hash(name) | 0x80000000u;
}

static bool among(const uint32_t *tags, unsigned n, uint32_t tag)
{
	while (n--)
		if (tags[n] == tag)
			return true;
	return false;
}

/* Zones whose names come to one number: the first keeps it, the others take the next one that is
 * nobody's. The links of no zone are first, as if they were of one named "". */
static uint32_t probed_tag(const struct config *config, unsigned index)
{
	uint32_t plain[CFG_ZONES_MAX + 1], given[CFG_ZONES_MAX + 1], tag = 0;
	unsigned n = config->n_zones + 1;

	for (unsigned i = 0; i < n; i++)
		plain[i] = plain_tag(i ? config->zones[i - 1].name : "");
	for (unsigned i = 0; i <= index; i++) {
		tag = plain[i];
		if (among(plain, i, tag))
			while (among(plain, n, tag) || among(given, i, tag))
				tag = (tag + 1) | 0x80000000u;
		given[i] = tag;
	}
	return tag;
}

uint32_t frr_tag(const struct config *config, const struct cfg_zone *zone)
{
	uint32_t tag = plain_tag(zone ? zone->name : "");
	unsigned index = zone ? zone - config->zones + 1 : 0;

	for (unsigned i = 0; i < index; i++)
		if (plain_tag(i ? config->zones[i - 1].name : "") == tag)
			return probed_tag(config, index);
	return tag;
}

/* ---- a link ---- */
enum frr_conduct frr_conduct_of(
	const struct config *config, const struct frr_orders *orders, const struct cfg_link *link)
{
	return orders && orders->conduct ? orders->conduct[link - config->links] : FRR_NORMAL;
}

const struct frr_guard *frr_guard_of(
	const struct frr_orders *orders, const struct cfg_link *link, bool v6)
{
	for (unsigned i = 0; orders && i < orders->n_guards; i++)
		if (orders->guards[i].v6 == v6 && !strcmp(orders->guards[i].link, link->name))
			return &orders->guards[i];
	return NULL;
}

enum cfg_inbound frr_inbound(const struct cfg_link *link, enum frr_conduct conduct)
{
	enum cfg_inbound inbound = link->bgp.inbound;

	if (inbound == CFG_INBOUND_AUTO)
		inbound = CFG_INBOUND_HIGH;
	return conduct != FRR_NORMAL && inbound < CFG_INBOUND_LOW ? CFG_INBOUND_LOW : inbound;
}

const struct cfg_link *frr_link_of_peer(
	const struct config *config, const struct cfg_vrf *vrf, const struct ip_addr *peer)
{
	for (unsigned i = 0; i < config->n_links; i++)
		if (config->links[i].vrf == vrf && frr_is_peer(&config->links[i], peer))
			return &config->links[i];
	return NULL;
}

/* ---- our own prefixes ---- */
static bool is_network(const struct ip_prefix *address, const struct ip_prefix *prefix)
{
	struct ip_prefix network = *address;

	ip_prefix_mask(&network);
	return ip_prefix_equal(&network, prefix);
}

static bool link_declares(const struct cfg_link *link, const struct ip_prefix *prefix)
{
	for (unsigned i = 0; i < link->statics.n; i++)
		if (ip_prefix_equal(&link->statics.items[i], prefix))
			return true;
	for (unsigned i = 0; i < link->n_address; i++)
		if (is_network(&link->address[i], prefix))
			return true;
	return false;
}

bool frr_own_of(const struct config *config, const struct cfg_vrf *vrf,
	const struct ip_prefix *prefix, bool *ret_own, const struct cfg_zone **ret_zone)
{
	const struct cfg_zone *zone = NULL;
	bool found = false;

	for (unsigned i = 0; i < vrf->loopback.n; i++)
		found |= is_network(&vrf->loopback.items[i], prefix);
	*ret_own = found;
	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *link = &config->links[i];

		if (link->vrf != vrf || !link_declares(link, prefix))
			continue;
		if (found && (*ret_own || link->zone != zone))
			return false;
		zone = link->zone;
		found = true;
	}
	*ret_zone = zone;
	return found;
}

/* ---- verdicts ---- */
static enum frr_verdict judge(const struct cfg_filter_list *list, const struct ip_prefix *prefix)
{
	if (frr_is_never(prefix))
		return FRR_NEVER;
	if (!has_family(list, prefix->af))
		return FRR_NO_POLICY;
	return frr_filter_matches(list, prefix) ? FRR_PASSES : FRR_UNLISTED;
}

enum frr_verdict frr_judge_in(const struct cfg_link *link, const struct ip_prefix *prefix)
{
	return judge(&link->bgp.accept, prefix);
}

static bool guard_holds(const struct frr_guard *guard, const struct ip_prefix *prefix)
{
	unsigned low = 0, high = guard->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = ip_prefix_compare(prefix, &guard->items[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

enum frr_verdict frr_judge_out(const struct config *config, const struct frr_orders *orders,
	const struct cfg_link *link, const struct ip_prefix *prefix, bool own,
	const struct cfg_zone *from)
{
	enum frr_verdict verdict = judge(&link->bgp.announce, prefix);
	const struct frr_guard *guard = frr_guard_of(orders, link, prefix->af == AF_INET6);

	if (verdict != FRR_PASSES)
		return verdict;
	if (!own && !config_reaches(config, from, link->zone))
		return FRR_NO_REACH;
	if (frr_conduct_of(config, orders, link) == FRR_SILENT)
		return FRR_QUIET;
	return guard && !guard_holds(guard, prefix) ? FRR_OVER : FRR_PASSES;
}
