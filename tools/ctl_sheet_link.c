/* What stands on a link's sheet: the other side's settings, from our configuration as it is in
 * force and the profile's demands.
 *
 * A sheet is JSON from the start: a head, sections of rows (key, label, value, note), and sentences
 * at the end. Keys are the same for all providers, labels are the provider's. A secret is named by
 * its file's name and how it reaches the other side is for people to decide. */
#include <string.h>
#include "config/profile.h"
#include "ctl_sheet.h"

struct sheet {
	const struct cfg_link *link;
	const struct cfg_profile *profile; /* may be NULL */
	struct half half;
	enum sheet_reader reader;
	json_t *rows; /* of the section being written */
};

/* ---- rows ---- */

static void section(struct sheet *s, json_t *sections, const char *title)
{
	s->rows = json_array();
	json_array_append_new(sections, json_pack("{s:s, s:o}", "title", title, "rows", s->rows));
}

static void put(
	struct sheet *s, const char *key, const char *label, json_t *value, const char *note)
{
	json_array_append_new(s->rows, json_pack("{s:s, s:s, s:o, s:s*}", "key", key, "label",
					       label, "value", value, "note", note));
}

static void put_word(
	struct sheet *s, const char *key, enum sheet_word word, json_t *value, const char *note)
{
	put(s, key, sheet_word(s->reader, word), value, note);
}

static json_t *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static json_t *text(const char *fmt, ...)
{
	va_list args;
	json_t *value;

	va_start(args, fmt);
	value = json_vsprintf(fmt, args);
	va_end(args);
	return value;
}

/* ---- layer 2 ---- */

static const char *mtu_note(const struct sheet *s)
{
	if (s->reader == SHEET_AWS && !s->half.tunnel)
		return s->link->mtu > 1500 ? "jumbo frames: on" : "jumbo frames: off";
	if (s->reader == SHEET_AZURE && !s->half.tunnel)
		return "fixed";
	if (s->reader == SHEET_OCI)
		return s->link->mtu > 1500 ? "MTU_9000" : "MTU_1500";
	return NULL;
}

static void put_tags(struct sheet *s)
{
	const struct cfg_circuit *circuit = s->link->circuit;

	if (circuit && circuit->stag)
		put_word(s, "stag", WORD_STAG, json_integer(circuit->stag),
			circuit->stag_tpid == 0x88a8 ? "EtherType 0x88a8" : "EtherType 0x8100");
	if (s->link->vlan)
		put_word(s, "vlan", WORD_VLAN, json_integer(s->link->vlan), NULL);
	else if (circuit)
		put_word(s, "vlan", WORD_VLAN, text("none"), "untagged");
}

static void put_rate(struct sheet *s, uint64_t bps)
{
	if (bps >= 1000000000 && bps % 1000000000 == 0)
		put(s, "rate", "Bandwidth", text("%u Gb/s", (unsigned)(bps / 1000000000)), NULL);
	else if (bps)
		put(s, "rate", "Bandwidth", text("%u Mb/s", (unsigned)(bps / 1000000)), NULL);
}

static void put_encap(struct sheet *s)
{
	const struct cfg_link *link = s->link;

	switch (link->encap) {
	case CFG_ENCAP_VXLAN:
		put(s, "vni", "VXLAN", text("VNI %u, UDP %u", link->vni, link->udp_port), NULL);
		break;
	case CFG_ENCAP_GENEVE:
		put(s, "vni", "GENEVE", text("VNI %u, UDP %u", link->vni, link->udp_port),
			link->outer.inner == CFG_INNER_IP ? "IP inside, both families"
							  : "Ethernet inside");
		break;
	case CFG_ENCAP_GRE:
		put(s, "encap", "Tunnel", text("GRE"),
			link->outer.checksum ? "IP inside, with checksum" : "IP inside");
		put(s, "gre_key", "GRE key",
			link->outer.key ? text("%u", link->outer.key) : text("none"), NULL);
		break;
	case CFG_ENCAP_IPIP:
		put(s, "encap", "Tunnel", text("IP in IP"), "protocols 4 and 41");
		break;
	case CFG_ENCAP_IPSEC:
		put(s, "encap", "Tunnel", text("IPsec, ESP in tunnel mode"), "see below");
		break;
	case CFG_ENCAP_ETHER:
		break;
	}
}

static void layer2(struct sheet *s)
{
	const struct cfg_circuit *circuit = s->link->circuit;

	if (s->link->id)
		put_word(s, "id", WORD_ID, text("%s", s->link->id), NULL);
	if (s->profile && s->reader == SHEET_AWS && strstr(s->profile->name, "-dx-"))
		put(s, "type", "Type",
			text("%s", strstr(s->profile->name, "transit") ? "transit" : "private"),
			NULL);
	if (circuit && circuit->id)
		put_word(s, "circuit", WORD_CIRCUIT, text("%s", circuit->id), NULL);
	if (circuit && circuit->xconnect)
		put(s, "xconnect", "Cross-connect", text("%s", circuit->xconnect), NULL);
	if (circuit)
		put_rate(s, circuit->rate_bps);
	put_tags(s);
	if (circuit && circuit->port && circuit->port->lag.n)
		put(s, "lacp", "LACP",
			text("%s", circuit->port->lacp == CFG_LACP_OFF	  ? "off"
				   : circuit->port->lacp == CFG_LACP_SLOW ? "slow"
									  : "fast"),
			"active on our side");
	if (s->link->remote.af) {
		char a[IP_STRLEN], b[IP_STRLEN];

		put_word(s, "outside", WORD_OUTSIDE,
			text("%s", ip_addr_format(&s->link->remote, a)), NULL);
		put(s, "our_outside", "Tunnel, our end",
			text("%s", ip_addr_format(&s->link->local, b)), NULL);
		put_encap(s);
	}
	if (s->link->mtu)
		put_word(s, "mtu", WORD_MTU, json_integer(s->link->mtu), mtu_note(s));
}

/* ---- BGP ---- */

/* Two links are the ends of one circuit when they share its id, and when the cloud has no others.
 */
static bool is_pair(const struct config *config, const struct cfg_link *a, const struct cfg_link *b)
{
	const char *ids[] = { a->circuit ? a->circuit->id : NULL,
		b->circuit ? b->circuit->id : NULL };
	unsigned n = 0;

	if (a == b || a->zone != b->zone || a->profile != b->profile || !a->circuit || !b->circuit)
		return false;
	if (a->id && b->id)
		return !strcasecmp(a->id, b->id);
	if (ids[0] && ids[1] && !strcasecmp(ids[0], ids[1]))
		return true;
	for (unsigned i = 0; i < config->n_links; i++)
		n += config->links[i].zone == a->zone && config->links[i].profile == a->profile;
	return n == 2;
}

/* Of the two the one with the lower network is the primary. */
static bool is_secondary(const struct sheet *s, const struct ip_prefix *net)
{
	const struct config *config = s->half.config;

	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *other = &config->links[i];
		bool pair = is_pair(config, s->link, other);

		for (unsigned j = 0; pair && j < other->n_address; j++)
			if (other->address[j].af == net->af &&
				memcmp(other->address[j].bytes, net->bytes, sizeof(net->bytes)) < 0)
				return true;
	}
	return false;
}

static void put_network(struct sheet *s, const struct ip_prefix *ours)
{
	struct ip_prefix net = *ours;
	char a[IP_STRLEN];

	ip_prefix_mask(&net);
	if (s->reader == SHEET_GCP && !s->half.tunnel)
		put(s, "network", net.af == AF_INET ? "Candidate range" : "Candidate IPv6 range",
			text("%s", ip_prefix_format(&net, a)), NULL);
	if (s->reader == SHEET_AZURE && !s->half.tunnel)
		put(s, "network", is_secondary(s, &net) ? "Secondary subnet" : "Primary subnet",
			text("%s", ip_prefix_format(&net, a)), NULL);
	if (s->half.tunnel && s->profile && s->profile->kind == CFG_KIND_TUNNEL)
		put(s, "network", "Inside network", text("%s", ip_prefix_format(&net, a)), NULL);
}

static void put_addresses(struct sheet *s, const struct half_session *h)
{
	struct ip_prefix theirs = h->ours;
	char a[IP_STRLEN];

	put_network(s, &h->ours);
	put_word(s, "our_address", WORD_OURS, text("%s", ip_prefix_format(&h->ours, a)), NULL);
	if (!h->theirs.af)
		return;
	if (ip_prefix_contains(&h->ours, &h->theirs)) {
		memcpy(theirs.bytes, h->theirs.bytes, sizeof(theirs.bytes));
		put_word(s, "their_address", WORD_THEIRS, text("%s", ip_prefix_format(&theirs, a)),
			NULL);
	} else {
		put_word(s, "their_address", WORD_THEIRS, text("%s", ip_addr_format(&h->theirs, a)),
			"behind the link");
	}
	if (h->bgp && h->peer->second.af)
		put(s, "second", "    second neighbour",
			text("%s", ip_addr_format(&h->peer->second, a)),
			"a session of its own, all else is the same");
}

static void put_bfd(struct sheet *s, const struct cfg_bfd *bfd)
{
	if (!bfd->enabled) {
		put_word(s, "bfd", WORD_BFD, text("off"), NULL);
		return;
	}
	put_word(s, "bfd", WORD_BFD, text("%u ms x %u", bfd->interval_ms, bfd->multiplier),
		bfd->passive ? "our side waits for yours to begin" : "our side begins");
	if (s->reader == SHEET_GCP)
		put(s, "bfd_mode", "BFD session mode",
			text("%s", bfd->passive ? "ACTIVE" : "ACTIVE or PASSIVE"), NULL);
}

static void put_session(struct sheet *s, const struct half_session *h)
{
	const struct cfg_bgp_peer *peer = h->peer;

	put_addresses(s, h);
	put_word(s, "our_asn", WORD_OUR_ASN, json_integer(h->our_asn), NULL);
	put_word(s, "their_asn", WORD_THEIR_ASN, json_integer(h->their_asn), NULL);
	if (peer->key)
		put_word(s, "key", WORD_KEY, text("\"%s\"", peer->key),
			"a name; the secret goes another way");
	else
		put_word(s, "key", WORD_KEY, text("none"), NULL);
	if (peer->keepalive_s)
		put_word(s, "timers", WORD_TIMERS,
			text("%u s, %u s", peer->keepalive_s, peer->hold_s), NULL);
	put_bfd(s, &peer->bfd);
	if (peer->multihop)
		put(s, "multihop", "eBGP multihop", json_integer(peer->multihop), "hops");
	else if (peer->gtsm)
		put(s, "gtsm", "TTL security", json_integer(peer->gtsm), "send with TTL 255");
	if (peer->passive)
		put(s, "passive", "Connection", text("you open it"), NULL);
}

/* ---- prefixes ---- */

static json_t *filters(const struct cfg_filter_list *list, uint8_t af)
{
	json_t *found = json_array();
	char a[IP_STRLEN], ge[16] = "", le[16] = "";

	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_filter *f = &list->items[i];

		if (f->prefix.af != af)
			continue;
		*ge = *le = '\0';
		if (f->ge)
			snprintf(ge, sizeof(ge), " ge %u", f->ge);
		if (f->le)
			snprintf(le, sizeof(le), " le %u", f->le);
		json_array_append_new(
			found, text("%s%s%s", ip_prefix_format(&f->prefix, a), ge, le));
	}
	return found;
}

static json_t *networks(const struct cfg_prefix_list *list, uint8_t af)
{
	json_t *found = json_array();
	char a[IP_STRLEN];

	for (unsigned i = 0; i < list->n; i++)
		if (list->items[i].af == af)
			json_array_append_new(
				found, text("%s", ip_prefix_format(&list->items[i], a)));
	return found;
}

static const char *beyond(enum cfg_beyond what)
{
	static const char *const texts[] = { "", ", beyond it the session goes down",
		", beyond it the session is reset", ", what is beyond is ignored" };

	return texts[what];
}

static void put_limit(
	struct sheet *s, const char *key, size_t n, uint32_t limit, enum cfg_beyond what)
{
	char listed[40];

	snprintf(listed, sizeof(listed), "%zu listed", n);
	if (limit)
		put(s, key, "    at most", text("%u routes%s", limit, beyond(what)), listed);
}

static void put_prefixes(struct sheet *s, int f)
{
	static const uint8_t afs[] = { AF_INET, AF_INET6 };
	const struct half_session *h = &s->half.s[f];
	const struct cfg_profile *p = s->profile;
	json_t *out = filters(&s->half.announce, afs[f]),
	       *in = filters(&s->link->bgp.accept, afs[f]);
	uint32_t most = h->peer->max_out;

	if (p && p->max_out[f] && (!most || p->max_out[f] < most))
		most = p->max_out[f];
	put_word(s, "announce", WORD_ANNOUNCE, out, NULL);
	put_limit(s, "announce_limit", json_array_size(out), most,
		p ? p->out_beyond : CFG_BEYOND_NONE);
	put_word(s, "accept", WORD_EXPECT, in, NULL);
	put_limit(s, "accept_limit", json_array_size(in), h->peer->max_in,
		h->peer->max_in ? CFG_BEYOND_DOWN : CFG_BEYOND_NONE);
}

/* How we ask for less or more of the traffic toward us. */
static void put_lever(struct sheet *s)
{
	static const char *const names[] = { "auto", "high", "medium", "low", "drain" };
	const struct cfg_lever *lever = &s->link->bgp.levers[s->link->bgp.inbound];
	json_t *communities;

	if (s->link->bgp.inbound == CFG_INBOUND_AUTO)
		return;
	put(s, "inbound", "Preference we ask for", text("%s", names[s->link->bgp.inbound]), NULL);
	communities = json_array();
	for (unsigned i = 0; i < lever->communities.n; i++)
		json_array_append_new(communities, text("%s", lever->communities.items[i]));
	if (lever->communities.n)
		put(s, "communities", "    by communities", communities, NULL);
	else
		json_decref(communities);
	if (lever->prepend)
		put(s, "prepend", "    by our AS number", text("%u times more", lever->prepend),
			NULL);
	if (lever->has_med)
		put(s, "med", "    by MED", json_integer(lever->med), NULL);
}

/* ---- without BGP ---- */

static void put_networks(struct sheet *s, const char *key, const char *label,
	const struct cfg_prefix_list *list, uint8_t af, const char *note)
{
	json_t *prefixes = networks(list, af);

	if (json_array_size(prefixes))
		put(s, key, label, prefixes, note);
	else
		json_decref(prefixes);
}

static void put_static(struct sheet *s, int f)
{
	static const uint8_t afs[] = { AF_INET, AF_INET6 };
	const struct cfg_vrrp *vrrp = &s->link->vrrp;

	put_addresses(s, &s->half.s[f]);
	put_networks(s, "static", "Networks we route to you", &s->link->statics, afs[f], NULL);
	if (!vrrp->present)
		return;
	put_networks(s, "vrrp", "Route to us via", &vrrp->address, afs[f],
		"VRRP, held by our active gateway");
	put(s, "vrrp_id", "VRRP version 3, router id", json_integer(vrrp->id), NULL);
}

/* ---- IPsec ---- */

static void put_words(
	struct sheet *s, const char *key, const char *label, const struct cfg_words *words)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < words->n; i++)
		json_array_append_new(list, text("%s", words->items[i]));
	if (words->n)
		put(s, key, label, list, NULL);
	else
		json_decref(list);
}

static void put_lifetimes(struct sheet *s, const struct cfg_keying *k)
{
	put(s, "lifetimes", "Lifetimes, IKE and ESP",
		text("%u s, %u s", k->ike_lifetime_s, k->esp_lifetime_s), NULL);
	if (k->esp_lifetime_kbytes)
		put(s, "lifetime_kbytes", "Lifetime of ESP by volume",
			text("%llu kB", (unsigned long long)k->esp_lifetime_kbytes), NULL);
	put(s, "dpd", "Dead peer detection", text("%u s", k->dpd_s), NULL);
	put(s, "nat_t", "NAT traversal",
		text("%s", config_nat_t(s->link) ? "on" : "where IKE finds a NAT"),
		"ESP in UDP 4500");
}

/* What the link will propose and say, as `link effective` has it; a key is named, never shown. */
static void put_ours(struct sheet *s, json_t *sections)
{
	const struct cfg_keying *k = &s->link->ipsec;
	const struct cfg_ipsec *i = s->profile ? &s->profile->ipsec : NULL;

	section(s, sections, "IPsec (IKEv2), proposals in order");
	put(s, "ike_version", "IKE version", text("2"), "IKEv1 is not spoken");
	put(s, "key", "Pre-shared key", text("in our file %s", k->key),
		i && i->psk ? i->psk : "send it by another way");
	put(s, "our_id", "We say we are", text("%s", k->local_id), NULL);
	put(s, "their_id", "You say you are", text("%s", k->remote_id), NULL);
	put_words(s, "ike", "IKE, ours", &k->ike);
	put_words(s, "esp", "ESP, ours", &k->esp);
	put_lifetimes(s, k);
	put(s, "selectors", "Traffic selectors", text("0.0.0.0/0, ::/0 on both sides"),
		"route based");
	put(s, "initiator", "Who begins",
		text("%s", k->initiator == CFG_INITIATOR_THEM ? "you" : "we do"), NULL);
	if (i && i->fragments)
		put(s, "fragments", "Fragments", text("%s", i->fragments), NULL);
}

static void put_ipsec(struct sheet *s, json_t *sections)
{
	const struct cfg_ipsec *i = s->profile ? &s->profile->ipsec : NULL;

	if (s->link->encap == CFG_ENCAP_IPSEC && s->link->ipsec.key) {
		put_ours(s, sections);
		return;
	}
	if (!i || !i->ike.n)
		return;
	section(s, sections, "IPsec (IKEv2), proposals in order");
	put_words(s, "ike", "IKE encryption", &i->ike);
	put_words(s, "esp", "ESP encryption", &i->esp);
	put_words(s, "integrity", "Integrity", &i->integrity);
	put_words(s, "dh", "Diffie-Hellman groups", &i->dh);
	put_words(s, "pfs", "Perfect forward secrecy", &i->pfs);
	if (i->ike_lifetime_s)
		put(s, "lifetimes", "Lifetimes, IKE and ESP",
			text("%u s, %u s", i->ike_lifetime_s, i->esp_lifetime_s), NULL);
	if (i->esp_lifetime_kbytes)
		put(s, "lifetime_kbytes", "Lifetime of ESP by volume",
			text("%llu kB", (unsigned long long)i->esp_lifetime_kbytes), NULL);
	if (i->dpd_s)
		put(s, "dpd", "Dead peer detection", text("%u s", i->dpd_s), NULL);
	if (i->initiator)
		put(s, "initiator", "Who begins", text("%s", i->initiator), NULL);
	if (i->psk)
		put(s, "psk", "Pre-shared key may be", text("%s", i->psk), NULL);
	if (i->fragments)
		put(s, "fragments", "Fragments", text("%s", i->fragments), NULL);
	put_words(s, "mss", "Cipher, MTU, MSS", &i->mss);
}

/* ---- all of it ---- */

static enum sheet_reader reader_of(const struct half *half)
{
	static const enum sheet_reader clouds[CLOUD_COUNT] = { [CLOUD_AWS] = SHEET_AWS,
		[CLOUD_GCP] = SHEET_GCP,
		[CLOUD_AZURE] = SHEET_AZURE,
		[CLOUD_OCI] = SHEET_OCI,
		[CLOUD_ALIBABA] = SHEET_ALIBABA };
	const struct cfg_profile *p = half->link->profile;

	if (half->link->zone && half->link->zone->partner)
		return SHEET_PARTNER;
	if (half->provider == CLOUD_AZURE && half->tunnel)
		return SHEET_AZURE_VPN;
	if (half->provider >= 0)
		return clouds[half->provider];
	if (p && p->provider &&
		(!strcmp(p->provider, "megaport") || !strcmp(p->provider, "equinix")))
		return SHEET_FABRIC;
	return SHEET_OTHER;
}

static void put_families(struct sheet *s, json_t *sections)
{
	static const char *const titles[2][2] = { { "Addresses, IPv4", "Addresses, IPv6" },
		{ "BGP, IPv4", "BGP, IPv6" } };

	for (int f = 0; f < 2; f++) {
		if (!s->half.s[f].ours.af)
			continue;
		section(s, sections, titles[s->half.s[f].bgp][f]);
		if (s->half.s[f].bgp) {
			put_session(s, &s->half.s[f]);
			put_prefixes(s, f);
			put_lever(s);
		} else {
			put_static(s, f);
		}
	}
}

static json_t *sentences(const struct cfg_profile *profile)
{
	json_t *list = json_array();

	for (unsigned i = 0; profile && i < profile->conduct.n; i++)
		json_array_append_new(list, json_string(profile->conduct.items[i]));
	return list;
}

json_t *sheet_of(const struct config *config, const struct cfg_link *link)
{
	struct sheet s = { .link = link, .profile = link->profile };
	const struct cfg_zone *zone = link->zone;
	json_t *sections = json_array();
	bool letter;

	s.half = half_of(config, link);
	s.reader = reader_of(&s.half);
	letter = s.reader == SHEET_PARTNER;
	section(&s, sections, s.half.tunnel ? "Tunnel" : sheet_word(s.reader, WORD_OBJECT));
	layer2(&s);
	put_families(&s, sections);
	put_ipsec(&s, sections);
	return json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:o, s:o}", "link",
		link->name, "gateway", config->gateway.name, "zone", zone ? zone->name : NULL,
		"noc", zone ? zone->noc : NULL, "profile", link->profile_name, "title",
		s.profile ? s.profile->title : NULL, "version",
		s.profile ? s.profile->version : NULL, "letter", letter, "shut", link->shut,
		"sections", sections, "notes", letter ? json_array() : sentences(s.profile));
}
