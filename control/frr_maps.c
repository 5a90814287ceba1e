/* The filters of frr.conf: prefix lists, community lists and route maps.
 *
 * For frr_render.c, and as pure. Every session has two route maps named after link and family. The
 * one inward denies what is never routed, permits `accept`, sets the metric to 0, so that legs a
 * provider tells apart by MED become multipath (`paths` picks the tier, not BGP), and marks where
 * the route came from; local preference is left alone. The one outward denies everything while the
 * link is silent, denies what is never routed, and has one entry that permits what is in `announce`
 * (or in the guard's list, near the limit) *and* came from a zone that may speak to this one; it
 * pulls the lever of the link's intent and takes all foreign communities off: a neighbour's
 * 7224:7100 must not become our word to AWS. One list of communities a zone, LINTAS-TO-zone, holds
 * what may be told to it: a reach more is one line more, at no moment is more permitted than before
 * and after. Names with capitals cannot be a link's. */
#include <stdlib.h>
#include <string.h>
#include "frr_maps.h"

#define SEQ_SILENT 1
#define SEQ_NEVER  5
#define SEQ_PERMIT 10

void frr_map_name(const struct cfg_link *link, bool v6, bool in, char *name, size_t size)
{
	snprintf(name, size, "%s-%s%c", link->name, in ? "in" : "out", v6 ? '6' : '4');
}

void frr_map_own(bool own, const struct cfg_zone *zone, char *name, size_t size)
{
	snprintf(name, size, own ? "LINTAS-OWN" : "LINTAS-FROM-%s", zone ? zone->name : "NONE");
}

uint32_t frr_local_as(const struct config *config, const struct cfg_bgp_peer *peer)
{
	bool inside = peer->asn == config->gateway.asn; /* FRR refuses local-as there */

	return peer->local_as && !inside ? peer->local_as : config->gateway.asn;
}

static const char *ip(bool v6)
{
	return v6 ? "ipv6" : "ip";
}

/* ---- lists of prefixes ---- */
static void never_write(const struct frr_render *r, bool v6)
{
	char text[IP_STRLEN];
	unsigned n;
	const struct ip_prefix *never = frr_never(v6, &n);

	for (unsigned i = 0; i < n; i++)
		fprintf(r->out, "%s prefix-list LINTAS-NEVER%c permit %s le %u\n", ip(v6),
			v6 ? '6' : '4', ip_prefix_format(&never[i], text), ip_bits(never[i].af));
}

static void filter_write(const struct frr_render *r, const char *name, const struct cfg_filter *f)
{
	char text[IP_STRLEN];

	fprintf(r->out, "%s prefix-list %s permit %s", ip(f->prefix.af == AF_INET6), name,
		ip_prefix_format(&f->prefix, text));
	if (f->ge && f->ge != f->prefix.len)
		fprintf(r->out, " ge %u", f->ge);
	if (f->le && f->le != f->prefix.len)
		fprintf(r->out, " le %u", f->le);
	else if (f->ge == f->prefix.len && !f->le)
		fprintf(r->out, " le %u", ip_bits(f->prefix.af));
	fputc('\n', r->out);
}

/* No sequence numbers: every entry permits, so order says nothing, and an entry more moves no
 * other. */
static void list_write(const struct frr_render *r, const struct cfg_link *link, bool v6, bool in)
{
	const struct cfg_filter_list *list = in ? &link->bgp.accept : &link->bgp.announce;
	const struct frr_guard *guard = in ? NULL : frr_guard_of(r->orders, link, v6);
	char name[40];

	frr_map_name(link, v6, in, name, sizeof(name));
	for (unsigned i = 0; i < list->n; i++)
		if ((list->items[i].prefix.af == AF_INET6) == v6)
			filter_write(r, name, &list->items[i]);
	if (!guard)
		return;
	strcat(name, "-held");
	for (unsigned i = 0; i < guard->n; i++)
		filter_write(r, name, &(struct cfg_filter){ .prefix = guard->items[i] });
}

/* ---- where a route came from ---- */
static void from_write(const struct frr_render *r, const char *map, uint32_t tag)
{
	fprintf(r->out, "route-map %s permit 10\n set large-community %u:%u:%u\nexit\n!\n", map,
		r->config->gateway.asn, FRR_FROM, tag);
}

/* What may be told to `to`: our own, and what came from those who reach it. */
static void reach_write(const struct frr_render *r, const struct cfg_zone *to)
{
	const struct config *config = r->config;
	const char *name = to ? to->name : "NONE";
	const char *form = "bgp large-community-list standard LINTAS-TO-%s permit %u:%u:%u\n";

	fprintf(r->out, form, name, config->gateway.asn, FRR_FROM, FRR_TAG_OWN);
	if (config_reaches(config, NULL, to))
		fprintf(r->out, form, name, config->gateway.asn, FRR_FROM, frr_tag(config, NULL));
	for (unsigned i = 0; i < config->n_zones; i++)
		if (config_reaches(config, &config->zones[i], to))
			fprintf(r->out, form, name, config->gateway.asn, FRR_FROM,
				frr_tag(config, &config->zones[i]));
}

static void zones_write(const struct frr_render *r)
{
	char name[40];

	reach_write(r, NULL);
	for (unsigned i = 0; i < r->config->n_zones; i++)
		reach_write(r, &r->config->zones[i]);
	fprintf(r->out, "!\n");
	frr_map_own(true, NULL, name, sizeof(name));
	from_write(r, name, FRR_TAG_OWN);
	frr_map_own(false, NULL, name, sizeof(name));
	from_write(r, name, frr_tag(r->config, NULL));
	for (unsigned i = 0; i < r->config->n_zones; i++) {
		frr_map_own(false, &r->config->zones[i], name, sizeof(name));
		from_write(r, name, frr_tag(r->config, &r->config->zones[i]));
	}
}

/* ---- levers ---- */
/* FRR prints communities in order of value, the well-known ones by name. */
static uint32_t community_value(const char *text)
{
	char *end;
	unsigned long high = strtoul(text, &end, 10);
	unsigned long low = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;

	return (uint32_t)(high << 16 | (low & 0xffff));
}

static int community_order(const void *a, const void *b)
{
	uint32_t x = community_value(*(const char *const *)a),
		 y = community_value(*(const char *const *)b);

	return x < y ? -1 : x > y;
}

static const char *community_name(const char *text)
{
	static const struct {
		const char *text, *name;
	} known[] = { { "65535:0", "graceful-shutdown" }, { "65535:666", "blackhole" },
		{ "65535:65281", "no-export" }, { "65535:65282", "no-advertise" },
		{ "65535:65283", "local-AS" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(text, known[i].text))
			return known[i].name;
	return text;
}

static void communities_write(const struct frr_render *r, const struct cfg_words *words)
{
	const char *sorted[16];
	unsigned n = words->n < 16 ? words->n : 16;

	fprintf(r->out, " set community%s", n ? "" : " none");
	for (unsigned i = 0; i < n; i++)
		sorted[i] = words->items[i];
	qsort(sorted, n, sizeof(sorted[0]), community_order);
	for (unsigned i = 0; i < n; i++)
		fprintf(r->out, " %s", community_name(sorted[i]));
	fputc('\n', r->out);
}

static void lever_write(
	const struct frr_render *r, const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	enum frr_conduct conduct = frr_conduct_of(r->config, r->orders, link);
	const struct cfg_lever *lever = &link->bgp.levers[frr_inbound(link, conduct)];

	if (lever->prepend) {
		fprintf(r->out, " set as-path prepend");
		for (unsigned i = 0; i < lever->prepend; i++)
			fprintf(r->out, " %u", frr_local_as(r->config, peer));
		fputc('\n', r->out);
	}
	communities_write(r, &lever->communities);
	fprintf(r->out, " set extcommunity none\n set large-community none\n");
	if (lever->has_med)
		fprintf(r->out, " set metric %u\n", lever->med);
}

/* ---- route maps ---- */
static void map_never(const struct frr_render *r, const char *name, bool v6)
{
	fprintf(r->out,
		"route-map %s deny %u\n match %s address prefix-list LINTAS-NEVER%c\nexit\n!\n",
		name, SEQ_NEVER, ip(v6), v6 ? '6' : '4');
}

static void map_in(const struct frr_render *r, const struct cfg_link *link, bool v6)
{
	char name[40];

	frr_map_name(link, v6, true, name, sizeof(name));
	map_never(r, name, v6);
	fprintf(r->out, "route-map %s permit %u\n match %s address prefix-list %s\n", name,
		SEQ_PERMIT, ip(v6), name);
	fprintf(r->out, " set large-community %u:%u:%u\n set metric 0\nexit\n!\n",
		r->config->gateway.asn, FRR_FROM, frr_tag(r->config, link->zone));
}

static void map_out(const struct frr_render *r, const struct cfg_link *link, bool v6)
{
	const struct frr_guard *guard = frr_guard_of(r->orders, link, v6);
	char name[40];

	frr_map_name(link, v6, false, name, sizeof(name));
	if (frr_conduct_of(r->config, r->orders, link) == FRR_SILENT)
		fprintf(r->out, "route-map %s deny %u\nexit\n!\n", name, SEQ_SILENT);
	map_never(r, name, v6);
	fprintf(r->out, "route-map %s permit %u\n match %s address prefix-list %s%s\n", name,
		SEQ_PERMIT, ip(v6), name, guard ? "-held" : "");
	fprintf(r->out, " match large-community LINTAS-TO-%s\n",
		link->zone ? link->zone->name : "NONE");
	lever_write(r, link, frr_peer(link, v6));
	fprintf(r->out, "exit\n!\n");
}

static bool any_session(const struct config *config)
{
	for (unsigned i = 0; i < config->n_links * 2; i++)
		if (frr_peer(&config->links[i / 2], i % 2))
			return true;
	return false;
}

void frr_maps_write(const struct frr_render *r)
{
	const struct config *config = r->config;

	if (!any_session(config))
		return;
	never_write(r, false);
	never_write(r, true);
	for (unsigned i = 0; i < config->n_links * 4; i++)
		if (frr_peer(&config->links[i / 4], i & 2))
			list_write(r, &config->links[i / 4], i & 2, i & 1);
	fprintf(r->out, "!\n");
	zones_write(r);
	for (unsigned i = 0; i < config->n_links * 2; i++) {
		if (!frr_peer(&config->links[i / 2], i % 2))
			continue;
		map_out(r, &config->links[i / 2], i % 2);
		map_in(r, &config->links[i / 2], i % 2);
	}
}
