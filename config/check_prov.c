/* The providers' rules about one link below BGP: MTU, tags, LACP, addresses, what a partner gets.
 *
 * A rule compares what is in force on the link with what the profile says, and is silent where the
 * profile says nothing; no number of a provider stands here. Each broken rule is one complaint with
 * its code and what to write instead. BGP's rules are check_prov_bgp.c's, those about several links
 * check_prov_many.c's. */
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

#define AT(key) at(path, sizeof(path), link, key)

static bool in(const struct cfg_numbers *list, uint32_t number)
{
	for (unsigned i = 0; i < list->n; i++)
		if (list->items[i] == number)
			return true;
	return false;
}

/* "1500, 8500" */
static const char *text(const struct parse *p, const struct cfg_numbers *list)
{
	const char *all = "";

	for (unsigned i = 0; i < list->n; i++)
		all = pool_printf(p->work, "%s%s%u", all, i ? ", " : "", list->items[i]);
	return all;
}

static void mtu(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_profile *profile = link->profile;
	char path[80];

	if (!link->mtu)
		return;
	if (profile->mtu_max && link->mtu > profile->mtu_max)
		prov_report(p, PROV_MTU, AT("mtu"), "%u: %s carries %u at most: mtu = %u;",
			link->mtu, profile->name, profile->mtu_max, profile->mtu_max);
	else if (profile->mtus.n && !in(&profile->mtus, link->mtu))
		prov_report(p, PROV_MTU_NOT_OFFERED, AT("mtu"),
			"%u is not to be had with %s: choose one of %s", link->mtu, profile->name,
			text(p, &profile->mtus));
}

/* ---- tags, tunnels, LACP ---- */

static bool word_in(const struct cfg_words *list, const char *word)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->items[i], word))
			return true;
	return false;
}

static const char *encapsulation(const struct cfg_link *link)
{
	static const char *const names[] = { NULL, "vxlan", "geneve", "gre", "ipip", "ipsec" };

	if (link->encap != CFG_ENCAP_ETHER)
		return names[link->encap];
	if (!link->circuit)
		return NULL;
	return link->circuit->stag ? "qinq" : link->vlan ? "vlan" : "untagged";
}

/* What to write for the first one that can be written. */
static const char *tag_advice(const struct cfg_words *list)
{
	if (word_in(list, "vlan"))
		return "write vlan, over a circuit without stag";
	if (word_in(list, "qinq"))
		return "write vlan, over a circuit with stag";
	if (word_in(list, "untagged"))
		return "remove vlan";
	return "write underlay, and encap with that type";
}

static void tags(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_profile *profile = link->profile;
	const char *is = encapsulation(link), *may = "";
	const struct cfg_circuit *circuit = link->circuit;
	char path[80];

	if (!link->vlan && parse_given(p, AT("vlan")))
		is = NULL; /* what was meant is not known: it has been complained about */
	for (unsigned i = 0; i < profile->encaps.n; i++)
		may = pool_printf(p->work, "%s%s%s", may, i ? ", " : "", profile->encaps.items[i]);
	if (is && profile->encaps.n && !word_in(&profile->encaps, is))
		prov_report(p, PROV_ENCAPSULATION, AT(link->underlay ? "encap" : "circuit"),
			"the link is %s, %s is %s: %s", is, profile->name, may,
			tag_advice(&profile->encaps));
	else if (link->vlan && profile->vlan_max &&
		 (link->vlan < profile->vlan_min || link->vlan > profile->vlan_max))
		prov_report(p, PROV_VLAN_RANGE, AT("vlan"), "%u: %s takes %u to %u", link->vlan,
			profile->name, profile->vlan_min, profile->vlan_max);
	else if (circuit && circuit->stag && profile->stag_tpid &&
		 circuit->stag_tpid != profile->stag_tpid)
		prov_report(p, PROV_STAG_TYPE, AT("circuit"),
			"circuit '%s' has 0x%04x: write stag_type = \"0x%04x\"; there",
			circuit->name, circuit->stag_tpid, profile->stag_tpid);
	if (profile->lacp == CFG_WANT_REQUIRED && circuit && circuit->port &&
		(!circuit->port->lag.n || circuit->port->lacp == CFG_LACP_OFF))
		prov_report(p, PROV_NO_LACP, AT("circuit"),
			"%s wants LACP, also of one device: give port '%s' lag = [ ... ]; instead "
			"of device, lacp \"fast\" or \"slow\"",
			profile->name, circuit->port->name);
}

/* ---- addresses ---- */

static struct ip_prefix first_host(const struct ip_prefix *address)
{
	struct ip_prefix first = *address;

	ip_prefix_mask(&first);
	first.bytes[ip_bits(first.af) / 8 - 1] |= 1;
	return first;
}

static bool has_host_first(const struct ip_prefix *address)
{
	struct ip_prefix first = first_host(address);

	return address->len + 2u > ip_bits(address->af) || ip_prefix_equal(&first, address);
}

static bool overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_covers(a, b) || ip_prefix_covers(b, a);
}

static bool outside(const struct cfg_prefix_list *list, const struct ip_prefix *network)
{
	bool any = false;

	for (unsigned i = 0; i < list->n; i++) {
		if (ip_prefix_covers(&list->items[i], network))
			return false;
		any |= list->items[i].af == network->af;
	}
	return any;
}

static void address(const struct parse *p, const struct cfg_link *link, unsigned index)
{
	const struct cfg_profile *profile = link->profile;
	const struct ip_prefix *own = &link->address[index];
	const struct cfg_numbers *lengths = &profile->lengths[own->af == AF_INET6];
	struct ip_prefix network = *own, host;
	char path[80], key[24], shown[IP_STRLEN], first[IP_STRLEN];

	ip_prefix_mask(&network);
	snprintf(key, sizeof(key), "address[%u]", index);
	AT(key);
	ip_prefix_format(own, shown);
	host = first_host(own);
	ip_prefix_format(&host, first);
	if (own->af == AF_INET6 && profile->no_ipv6) {
		prov_report(p, PROV_NO_IPV6, path, "%s: %s carries no IPv6: remove it", shown,
			profile->name);
		return;
	}
	for (unsigned i = 0; i < profile->reserved.n; i++) {
		if (!overlap(&profile->reserved.items[i], &network))
			continue;
		prov_report(p, PROV_RESERVED, path,
			"%s is in a block that %s keeps: choose another", shown, profile->name);
		return;
	}
	if (outside(&profile->inside, &network))
		prov_report(p, PROV_OUTSIDE, path, "%s: %s uses %s%s only", shown, profile->name,
			ip_prefix_format(&profile->inside.items[0], (char[IP_STRLEN]){ 0 }),
			profile->inside.n > 1 ? " and others (see --effective)" : "");
	else if (lengths->n && !in(lengths, own->len))
		prov_report(p, PROV_OUTSIDE, path, "%s: %s uses networks of length %s", shown,
			profile->name, text(p, lengths));
	else if (profile->ours_first && !has_host_first(own))
		prov_report(p, PROV_FIRST_HOST, path,
			"%s is not the first host of its network, and that is the one %s leaves to "
			"us: write %s",
			shown, profile->name, first);
}

static void addresses(const struct parse *p, const struct cfg_link *link)
{
	struct ip_addr addr;

	for (unsigned i = 0; i < link->n_address; i++) {
		addr = ip_prefix_addr(&link->address[i]);
		if (addr.af == AF_INET || !ip_addr_is_link_local(&addr))
			address(p, link, i);
	}
}

/* ---- partners ---- */

static int by_prefix(const void *x, const void *y)
{
	return ip_prefix_compare(x, y);
}

static struct ip_prefix *sorted(const struct parse *p, const struct cfg_prefix_list *list)
{
	struct ip_prefix *copy = pool_array(p->work, list->n + 1, sizeof(*copy));

	if (list->n)
		memcpy(copy, list->items, list->n * sizeof(*copy));
	qsort(copy, list->n, sizeof(*copy), by_prefix);
	return copy;
}

/* Static routes may lead only where the partner's networks are. Both sorted: one walk. */
static void allowed(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_prefix_list *own = &link->zone->prefixes;
	const struct ip_prefix *may = sorted(p, own), *routes = sorted(p, &link->statics),
			       *cover = NULL;
	char path[80], shown[IP_STRLEN];
	unsigned j = 0;

	for (unsigned i = 0; i < link->statics.n; i++) {
		for (; j < own->n && ip_prefix_compare(&may[j], &routes[i]) <= 0; j++)
			if (!cover || !ip_prefix_covers(cover, &may[j]))
				cover = &may[j];
		if (routes[i].len && (!cover || !ip_prefix_covers(cover, &routes[i])))
			prov_report(p, PROV_NO_ALLOW_LIST, AT("static.prefixes"),
				"%s is not among the prefixes of partner '%s': add it there, or "
				"remove it here",
				ip_prefix_format(&routes[i], shown), link->zone->name);
	}
}

/* With all longer ones it is worse, and said so by another rule. */
static bool has_default(const struct cfg_filter_list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!cfg_filter_low(&list->items[i]) &&
			cfg_filter_high(&list->items[i]) < ip_bits(list->items[i].prefix.af))
			return true;
	return false;
}

static void partner(const struct parse *p, const struct cfg_link *link)
{
	static const char why[] = "a partner gets and gives no default route: name the networks";
	char path[80];

	if (link->profile->kind != CFG_KIND_PARTNER || !link->zone)
		return;
	if (!link->zone->prefixes.n && !config_given(&link->given, "bgp.accept"))
		prov_report(p, PROV_NO_ALLOW_LIST, AT("partner"),
			"'%s' has no prefixes: name its networks there", link->zone->name);
	else if (link->zone->prefixes.n)
		allowed(p, link);
	if (link->gateway[0].af || link->gateway[1].af)
		prov_report(p, PROV_PARTNER_DEFAULT, AT("gateway"), "%s", why);
	for (unsigned i = 0; i < link->statics.n; i++)
		if (!link->statics.items[i].len)
			prov_report(p, PROV_PARTNER_DEFAULT, AT("static.prefixes"), "%s", why);
	if (has_default(&link->bgp.accept))
		prov_report(p, PROV_PARTNER_DEFAULT, AT("bgp.accept"), "%s", why);
	if (has_default(&link->bgp.announce))
		prov_report(p, PROV_PARTNER_DEFAULT, AT("bgp.announce"), "%s", why);
}

/* ---- own profiles ---- */

static void levers(const struct parse *p, const struct cfg_profile *profile)
{
	static const char *const intents[CFG_INBOUND_COUNT] = { NULL, "high", "medium", "low",
		"drain" };
	const struct cfg_lever *lever;
	unsigned marks;
	char path[120];

	for (unsigned i = CFG_INBOUND_HIGH; i < CFG_INBOUND_COUNT; i++) {
		lever = &profile->levers[i];
		marks = 0;
		for (unsigned j = 0; j < lever->communities.n; j++)
			marks += word_in(&profile->preferences, lever->communities.items[j]);
		snprintf(path, sizeof(path), "custom.%s.levers.%s.communities", profile->name,
			intents[i]);
		if (marks > 1)
			prov_report(p, PROV_PREFERENCES, path,
				"%u communities of preference at once: the provider wants one, "
				"keep one",
				marks);
		snprintf(path, sizeof(path), "custom.%s.levers.%s.med", profile->name, intents[i]);
		if (profile->med_max && lever->med > profile->med_max)
			prov_report(p, PROV_MED, path, "%u: keep it at %u or below", lever->med,
				profile->med_max);
	}
}

/* The big clouds' interconnects know of no static routes. */
static void without_bgp(const struct parse *p, const struct cfg_link *link)
{
	static const char *const all[] = { "aws", "azure", "gcp", "oci" };
	const struct cfg_profile *profile = link->profile;
	char path[80], key[80];

	if (profile->kind != CFG_KIND_INTERCONNECT || !profile->provider || link->bgp.v4.present ||
		link->bgp.v6.present || parse_given(p, at(key, sizeof(key), link, "bgp")))
		return;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(profile->provider, all[i]))
			prov_report(p, PROV_NO_BGP, AT(""),
				"%s routes by BGP only: add bgp = { v4 = { peer = \"...\"; asn = "
				"\"...\"; }; };",
				profile->name);
}

static void check_one(const struct parse *p, const struct cfg_link *link)
{
	char path[80];

	mtu(p, link);
	tags(p, link);
	addresses(p, link);
	partner(p, link);
	if (!link->centre && !(link->zone && link->zone->centre))
		prov_report(p, PROV_NO_CENTRE, AT(""), "who pays? Give centre = \"...\"; here%s",
			link->zone ? " or to its zone" : "");
	without_bgp(p, link);
	prov_check_bgp(p, link);
}

void prov_check_all(const struct parse *p)
{
	for (unsigned i = 0; i < p->config->n_known; i++)
		if (p->config->known[i].custom)
			levers(p, &p->config->known[i]);
	for (unsigned i = 0; i < p->config->n_links; i++) {
		if (p->config->links[i].profile)
			check_one(p, &p->config->links[i]);
		prov_check_ipsec(p, &p->config->links[i]);
	}
	prov_check_many(p);
}
