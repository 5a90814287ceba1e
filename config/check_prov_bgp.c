/* The providers' rules about BGP on one link: who, how fast, how guarded, and how many prefixes.
 *
 * Values are those in force. What is announced is counted before anything runs: an entry that
 * names one prefix is one, an entry with le or ge at least one, so a complaint here is certain;
 * what such an entry lets out beyond that is for the guard at run time. */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"

struct session {
	const struct cfg_link *link;
	const struct cfg_profile *profile;
	const struct cfg_bgp_peer *peer;
	bool v6;
};

static const char *at(char *buf, size_t size, const struct session *s, const char *key)
{
	snprintf(buf, size, "links.%s.bgp.v%c%s%s", s->link->name, s->v6 ? '6' : '4',
		*key ? "." : "", key);
	return buf;
}

#define AT(key) at(path, sizeof(path), s, key)

/* ---- who ---- */

static void asns(const struct parse *p, const struct session *s)
{
	uint32_t own = s->peer->local_as ? s->peer->local_as : p->config->gateway.asn;
	char path[80];

	if (own && profile_has_asn(&s->profile->asn_reserved, own) && s->peer->local_as)
		prov_report(p, PROV_ASN_RESERVED, AT("local_as"),
			"%s keeps AS %u for itself: show it another", s->profile->name, own);
	else if (own && profile_has_asn(&s->profile->asn_reserved, own))
		prov_report(p, PROV_ASN_RESERVED, "gateway.asn",
			"%s keeps AS %u for itself: choose another, or show this neighbour one "
			"with links.%s.bgp.v%c.local_as",
			s->profile->name, own, s->link->name, s->v6 ? '6' : '4');
	if (s->peer->asn && s->profile->asn_theirs.n &&
		!profile_has_asn(&s->profile->asn_theirs, s->peer->asn))
		prov_report(p, PROV_ASN_THEIRS, AT("asn"),
			"AS %u is none of %s's: write the one the provider gave you, as in: asn = "
			"\"%u\";",
			s->peer->asn, s->profile->name, s->profile->asn_theirs.items[0].first);
}

/* Written, but nothing that can be a key: that has been said. */
static bool key_given(const struct session *s)
{
	return config_given(&s->link->given, s->v6 ? "bgp.v6.key" : "bgp.v4.key");
}

static void guards(const struct parse *p, const struct session *s)
{
	const struct cfg_profile *profile = s->profile;
	char path[80];

	if (profile->md5 == CFG_WANT_REQUIRED && !s->peer->key && !key_given(s))
		prov_report(p, PROV_MD5_MISSING, AT("key"),
			"is missing: %s always uses TCP-MD5: put the secret into a file of mode "
			"0600 in %s and name it here",
			profile->name,
			p->config->defaults.keys ? p->config->defaults.keys : "keys");
	if (profile->md5 == CFG_WANT_NONE && s->peer->key)
		prov_report(
			p, PROV_MD5_NONE, AT("key"), "%s has no TCP-MD5: remove it", profile->name);
	if (profile->ttl_one && (s->peer->multihop || s->peer->gtsm))
		prov_report(p, PROV_TTL, AT(s->peer->multihop ? "multihop" : "gtsm"),
			"%s sends with TTL 1 and takes nothing else: remove it", profile->name);
	if (profile->far_passive && s->peer->passive)
		prov_report(p, PROV_BOTH_PASSIVE, AT("passive"),
			"%s waits for us to connect: remove it", profile->name);
	if (s->v6 && profile->no_ipv6)
		prov_report(p, PROV_NO_IPV6, AT(""), "%s carries no IPv6: remove the session",
			profile->name);
}

/* ---- how fast ---- */

static void timers(const struct parse *p, const struct session *s)
{
	const struct cfg_profile *profile = s->profile;
	unsigned keepalive = s->peer->keepalive_s, hold = s->peer->hold_s;
	char path[80];

	if (!keepalive || !hold)
		return;
	AT("hold");
	if (profile->timers_fixed && (keepalive != profile->keepalive_s || hold != profile->hold_s))
		prov_report(p, PROV_TIMERS_FIXED, path,
			"%u and %u s: %s does not negotiate and resets other sessions: leave both "
			"out, or write keepalive = \"%us\"; hold = \"%us\";",
			keepalive, hold, profile->name, profile->keepalive_s, profile->hold_s);
	else if (keepalive < profile->keepalive_min_s || hold < profile->hold_min_s)
		prov_report(p, PROV_TIMERS_MIN, path,
			"%u and %u s: %s takes keepalive from %u s and hold from %u s on: leave "
			"both out, or write keepalive = \"%us\"; hold = \"%us\";",
			keepalive, hold, profile->name, profile->keepalive_min_s,
			profile->hold_min_s, profile->keepalive_s, profile->hold_s);
	else if (profile->hold_thrice && hold != 3 * keepalive)
		prov_report(p, PROV_HOLD_THRICE, path, "%u s: %s wants three times keepalive, %u s",
			hold, profile->name, 3 * keepalive);
}

static enum prov_code bfd_code(const struct cfg_profile *profile)
{
	if (profile->provider && !strcmp(profile->provider, "gcp"))
		return PROV_BFD_GOOGLE;
	if (profile->provider && !strcmp(profile->provider, "alibaba"))
		return PROV_BFD_ALIBABA;
	return PROV_BFD_RANGE;
}

static void bfd(const struct parse *p, const struct session *s)
{
	const struct cfg_profile *profile = s->profile;
	const struct cfg_bfd *b = &s->peer->bfd;
	char path[80];

	AT("bfd");
	if (!b->enabled) {
		if (profile->bfd && profile->bfd_on && profile->detect_ms && s->peer->hold_s)
			prov_report(p, PROV_SLOW, path,
				"a dead neighbour is known after %u s instead of %u ms: remove "
				"bfd = false",
				s->peer->hold_s, profile->detect_ms);
		return;
	}
	if (!profile->bfd)
		prov_report(p, PROV_NO_BFD, path,
			"%s has none: remove it, and let probes watch the path", profile->name);
	else if (b->interval_ms < profile->bfd_min_ms ||
		 (profile->bfd_max_ms && b->interval_ms > profile->bfd_max_ms))
		prov_report(p, bfd_code(profile), path,
			"%u ms: %s takes %u ms%s: write interval = \"%ums\";", b->interval_ms,
			profile->name, profile->bfd_min_ms,
			profile->bfd_max_ms ? pool_printf(p->work, " to %u ms", profile->bfd_max_ms)
					    : " or more",
			profile->bfd_interval_ms);
	else if (b->multiplier < profile->bfd_min_multiplier ||
		 (profile->bfd_max_multiplier && b->multiplier > profile->bfd_max_multiplier))
		prov_report(p, bfd_code(profile), path,
			"multiplier %u: %s takes %u%s: write multiplier = %u;", b->multiplier,
			profile->name, profile->bfd_min_multiplier,
			profile->bfd_max_multiplier
				? pool_printf(p->work, " to %u", profile->bfd_max_multiplier)
				: " or more",
			profile->bfd_multiplier);
	if (b->passive && profile->bfd_far_may_wait)
		prov_report(p, PROV_BFD_PASSIVE, path,
			"%s may be passive too, then nobody begins: remove passive", profile->name);
	if (s->peer->graceful_restart != CFG_RESTART_OFF)
		prov_report(p, PROV_RESTART_BFD, AT("graceful_restart"),
			"BFD ends what graceful restart would keep: leave it out on sessions with "
			"BFD");
}

/* ---- how many ---- */

static void limits(const struct parse *p, const struct session *s)
{
	static const char *const beyond[] = { "takes no more", "takes the session down",
		"resets the session again and again", "drops the rest without a word" };
	const struct cfg_profile *profile = s->profile;
	const struct cfg_filter_list *list = &s->link->bgp.announce;
	uint32_t most = s->peer->max_out, theirs = profile->max_out[s->v6];
	unsigned n = 0;
	char path[80];

	if (!most) {
		prov_report(p, PROV_NO_CAP, AT("max_out"),
			"is missing: how many prefixes may the neighbour be told at most?");
		return;
	}
	if (theirs && most > theirs)
		prov_report(p, PROV_CAP_TOO_HIGH, AT("max_out"),
			"%u: %s takes %u and %s beyond; if it was raised for you, say so in a "
			"profile of your own",
			most, profile->name, theirs, beyond[profile->out_beyond]);
	for (unsigned i = 0; i < list->n; i++)
		n += (list->items[i].prefix.af == AF_INET6) == s->v6;
	snprintf(path, sizeof(path), "links.%s.bgp.announce", s->link->name);
	if (n > most)
		prov_report(p,
			profile->out_beyond == CFG_BEYOND_IGNORED ? PROV_TOO_MANY_IGNORED
								  : PROV_TOO_MANY,
			path,
			"%u IPv%c prefixes or more, %u are allowed: %s %s beyond %u: announce "
			"fewer "
			"and shorter ones",
			n, s->v6 ? '6' : '4', most, profile->name, beyond[profile->out_beyond],
			theirs ? theirs : most);
}

/* ---- lists ---- */

static bool is_all(const struct cfg_filter *filter)
{
	return !filter->prefix.len && cfg_filter_high(filter) == ip_bits(filter->prefix.af);
}

/* Does the entry let out something of 169.254.0.0/16 or fe80::/10? */
static bool link_local(const struct cfg_filter *filter)
{
	static const struct ip_prefix nets[] = {
		{ .af = AF_INET, .len = 16, .bytes = { 169, 254 } },
		{ .af = AF_INET6, .len = 10, .bytes = { 0xfe, 0x80 } }
	};
	const struct ip_prefix *net = &nets[filter->prefix.af == AF_INET6];

	return ip_prefix_covers(net, &filter->prefix) ||
	       (ip_prefix_covers(&filter->prefix, net) && cfg_filter_high(filter) >= net->len);
}

static int by_prefix(const void *x, const void *y)
{
	return ip_prefix_compare(x, y);
}

static void own_prefixes(const struct parse *p, const struct cfg_link *link, const char *path)
{
	const struct cfg_filter_list *list = &link->bgp.announce;
	const struct cfg_prefix_list *own = &link->zone->prefixes;
	struct ip_prefix *sorted = pool_array(p->work, own->n + 1, sizeof(*sorted));
	char text[IP_STRLEN];

	if (own->n)
		memcpy(sorted, own->items, own->n * sizeof(*sorted));
	qsort(sorted, own->n, sizeof(*sorted), by_prefix);
	for (unsigned i = 0; i < list->n; i++)
		if (bsearch(&list->items[i].prefix, sorted, own->n, sizeof(*sorted), by_prefix))
			prov_report(p, PROV_OWN_PREFIX, path,
				"%s is '%s's own, and %s rejects it: remove it",
				ip_prefix_format(&list->items[i].prefix, text), link->zone->name,
				link->profile->name);
}

/* Was reach, or the zone's list, misspelt? That has been said, and nothing follows from it. */
static bool reach_broken(const struct parse *p)
{
	for (unsigned i = 0; i < p->config->n_reach; i++)
		if (!p->config->reach[i].between[0] || !p->config->reach[i].between[1])
			return true;
	return parse_given(p, "reach") && !p->config->n_reach && p->errors->n_fatal;
}

static bool zone_broken(const struct parse *p, const struct cfg_zone *zone)
{
	char path[80];

	snprintf(path, sizeof(path), "%s.%s.prefixes", zone->partner ? "partners" : "clouds",
		zone->name);
	return !zone->prefixes.n && p->errors->n_fatal && parse_given(p, path);
}

static void exports(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_filter_list *list = &link->bgp.announce;
	char path[80], text[IP_STRLEN];

	snprintf(path, sizeof(path), "links.%s.bgp.announce", link->name);
	if (!list->n && !config_given(&link->given, "bgp.announce") && !reach_broken(p))
		prov_report(p, PROV_NO_EXPORT, path,
			"nothing is announced: give announce = [ ... ]; or let reach open it; "
			"announce = [ ]; if that is meant");
	for (unsigned i = 0; i < list->n; i++) {
		if (is_all(&list->items[i]))
			prov_report(p, PROV_EXPORT_ALL, path,
				"%s with all longer ones is everything: name the networks",
				ip_prefix_format(&list->items[i].prefix, text));
		else if (link_local(&list->items[i]))
			prov_report(p, PROV_LINK_LOCAL, path,
				"%s holds link-local networks, which mean something else at every "
				"link: remove it",
				ip_prefix_format(&list->items[i].prefix, text));
	}
	if (link->profile->rejects_own && link->zone)
		own_prefixes(p, link, path);
}

static void imports(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_filter_list *list = &link->bgp.accept;
	char path[80], text[IP_STRLEN];

	snprintf(path, sizeof(path), "links.%s.bgp.accept", link->name);
	if (!list->n && link->zone && link->profile->kind != CFG_KIND_PARTNER &&
		!config_given(&link->given, "bgp.accept") && !zone_broken(p, link->zone))
		prov_report(p, PROV_NO_IMPORT, path,
			"nothing is accepted: give '%s' its prefixes, or accept = [ ... ]; here; "
			"accept = [ ]; if that is meant",
			link->zone->name);
	for (unsigned i = 0; i < list->n; i++)
		if (is_all(&list->items[i]))
			prov_report(p, PROV_IMPORT_ALL, path,
				"%s with all longer ones is everything: name the networks",
				ip_prefix_format(&list->items[i].prefix, text));
}

static void lever(const struct parse *p, const struct cfg_link *link)
{
	static const struct cfg_lever none[CFG_INBOUND_COUNT];
	char path[80];

	snprintf(path, sizeof(path), "links.%s.bgp.inbound", link->name);
	if (config_given(&link->given, "bgp.inbound") &&
		!memcmp(link->profile->levers, none, sizeof(none)))
		prov_report(p, PROV_NO_LEVER, path,
			"%s honours nothing of what BGP can ask: remove it", link->profile->name);
}

void prov_check_bgp(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_bgp_peer *peers[] = { &link->bgp.v4, &link->bgp.v6 };

	if (!link->bgp.present)
		return;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct session s = { link, link->profile, peers[v6], v6 };

		if (!peers[v6]->present)
			continue;
		asns(p, &s);
		guards(p, &s);
		timers(p, &s);
		bfd(p, &s);
		limits(p, &s);
	}
	exports(p, link);
	imports(p, link);
	lever(p, link);
}

/* FRR takes words that are cut short: is the line's first one the beginning of this? */
static bool abbreviates(const char *line, const char *word)
{
	size_t n = strcspn(line, " \t");

	return n >= 2 && n <= strlen(word) && !strncmp(line, word, n);
}

/* What a raw line would put in the place of our own. */
static const char *filter_in(const char *line)
{
	static const char *const words[] = { "route-map", "prefix-list", "filter-list",
		"distribute-list" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (abbreviates(line, words[i]))
			return words[i];
	return NULL;
}

static void raw_line(const struct parse *p, const struct session *s, const char *line)
{
	char path[80];

	line += strspn(line, " \t");
	if (!strncmp(line, "password", 8) || abbreviates(line, "password"))
		prov_report(p, PROV_CLEAR_SECRET, AT("raw"),
			"a secret does not stand in a configuration: put it into a file of mode "
			"0600 in the folder of keys, and name that: key = \"...\";");
	else if (filter_in(line))
		parse_error(p, AT("raw"),
			"%s would replace the filters that accept, announce and reach make: remove "
			"it, and write accept and announce",
			filter_in(line));
}

void prov_check_raw(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_bgp_peer *peers[] = { &link->bgp.v4, &link->bgp.v6 };

	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct session s = { link, link->profile, peers[v6], v6 };

		for (unsigned i = 0; i < peers[v6]->raw.n; i++)
			raw_line(p, &s, peers[v6]->raw.items[i]);
	}
}
