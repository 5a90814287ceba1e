/* The keys of a provider's profile: the language of the files in config/profiles and of the group
 * `custom` in lintas.conf.
 *
 * Rows as in keys.c, relative to struct cfg_profile. None has a default: what neither a profile nor
 * its base says is unknown, and the linter is silent about it. "max_in" and "max_out" are seen from
 * us, as the keys of a link are: out is what we tell the provider. */
#include "keys.h"
#include "profile.h"

#define AT(f) \
	.offset = offsetof(struct cfg_profile, f), .size = sizeof(((struct cfg_profile *)0)->f)
#define LIST(f, n) .offset = offsetof(struct cfg_profile, f), .max = (n)
#define IN(s, f)   .offset = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f)
#define LISTMAX	   256
#define END                  \
	{                    \
		.name = NULL \
	}

_Static_assert(offsetof(struct cfg_asns, n) == sizeof(void *), "list layout");
_Static_assert(offsetof(struct cfg_numbers, n) == sizeof(void *), "list layout");

static const char *const kinds[] = { "interconnect", "tunnel", "partner", "internet", NULL };
static const char *const wants[] = { "optional", "required", "none", NULL };
static const char *const restarts[] = { "off", "helper", "full", NULL };
static const char *const beyonds[] = { "none", "down", "reset", "ignored", NULL };

static const struct key address_keys[] = {
	{ "inside", KEY_NETWORKS, 0, LIST(inside, LISTMAX),
		.text = "The link's addresses are from these networks." },
	{ "reserved", KEY_NETWORKS, 0, LIST(reserved, LISTMAX),
		.text = "The provider keeps these for itself." },
	{ "lengths", KEY_NUMBERS, 0, LIST(lengths[0], 32),
		.text = "Lengths that the link's IPv4 network may have." },
	{ "lengths_v6", KEY_NUMBERS, 0, LIST(lengths[1], 128), .text = "The same of IPv6." },
	{ "ours_first", KEY_BOOL, 0, AT(ours_first),
		.text = "We have the first host of the IPv4 network, the provider the second." },
	END,
};

static const struct key asn_keys[] = {
	{ "theirs", KEY_ASNS, 0, LIST(asn_theirs, LISTMAX),
		.text = "The neighbour's AS number is one of these." },
	{ "reserved", KEY_ASNS, 0, LIST(asn_reserved, LISTMAX),
		.text = "Ours must be none of these." },
	END,
};

static const struct key bfd_keys[] = {
	{ "on", KEY_BOOL, 0, AT(bfd_on),
		.text = "Sessions run it unless the link says otherwise." },
	{ "interval", KEY_TIME, 0, AT(bfd_interval_ms), .min = 50, .max = 60000, .unit_ms = 1,
		.text = "Default interval, both directions." },
	{ "multiplier", KEY_NUMBER, 0, AT(bfd_multiplier), .min = 2, .max = 255,
		.text = "Default multiplier." },
	{ "interval_min", KEY_TIME, 0, AT(bfd_min_ms), .min = 10, .max = 60000, .unit_ms = 1,
		.text = "The provider takes no shorter interval." },
	{ "interval_max", KEY_TIME, 0, AT(bfd_max_ms), .min = 10, .max = 60000, .unit_ms = 1,
		.text = "And no longer one." },
	{ "multiplier_min", KEY_NUMBER, 0, AT(bfd_min_multiplier), .min = 1, .max = 255,
		.text = "The provider takes no smaller multiplier." },
	{ "multiplier_max", KEY_NUMBER, 0, AT(bfd_max_multiplier), .min = 1, .max = 255,
		.text = "And no larger one." },
	{ "passive", KEY_BOOL, 0, AT(bfd_passive), .text = "Our side speaks only when spoken to." },
	{ "far_may_wait", KEY_BOOL, 0, AT(bfd_far_may_wait),
		.text = "The provider's side may be passive, so that ours must begin." },
	END,
};

static const struct key lever_keys[] = {
	{ "communities", KEY_WORDS, 0, IN(cfg_lever, communities), .max = 16,
		.text = "Put on everything announced." },
	{ "prepend", KEY_NUMBER, 0, IN(cfg_lever, prepend), .min = 0, .max = 10,
		.text = "Our AS number so many times more." },
	{ "med", KEY_NUMBER, 0, IN(cfg_lever, med), .min = 0, .max = 4294967295,
		.text = "MED of everything announced; 0: none is sent." },
	END,
};

#define LEVER(word, index, sentence)                                                           \
	{                                                                                      \
		word, KEY_GROUP, 0, .offset = sizeof(struct cfg_lever) * (index),              \
				    .keys = lever_keys, .mark_size = sizeof(struct cfg_lever), \
				    .text = sentence                                           \
	}

static const struct key levers_keys[] = {
	LEVER("high", CFG_INBOUND_HIGH, "For \"high\": send it here."),
	LEVER("medium", CFG_INBOUND_MEDIUM, "For \"medium\"."),
	LEVER("low", CFG_INBOUND_LOW, "For \"low\": only when nothing else is there."),
	LEVER("drain", CFG_INBOUND_DRAIN, "For \"drain\": nothing, the link will go."),
	END,
};

static const struct key ipsec_keys[] = {
	{ "ike", KEY_WORDS, 0, IN(cfg_ipsec, ike), .max = 32,
		.text = "Ciphers of IKE, preferred first." },
	{ "esp", KEY_WORDS, 0, IN(cfg_ipsec, esp), .max = 32,
		.text = "Ciphers of ESP, preferred first." },
	{ "integrity", KEY_WORDS, 0, IN(cfg_ipsec, integrity), .max = 32,
		.text = "Hashes, preferred first." },
	{ "dh", KEY_WORDS, 0, IN(cfg_ipsec, dh), .max = 64,
		.text = "Diffie-Hellman groups of IKE, preferred first." },
	{ "pfs", KEY_WORDS, 0, IN(cfg_ipsec, pfs), .max = 64,
		.text = "Groups of ESP's rekeying, where they differ." },
	{ "ike_lifetime", KEY_TIME, 0, IN(cfg_ipsec, ike_lifetime_s), .min = 60000,
		.max = 864000000, .unit_ms = 1000, .text = "Of the IKE association." },
	{ "esp_lifetime", KEY_TIME, 0, IN(cfg_ipsec, esp_lifetime_s), .min = 60000,
		.max = 864000000, .unit_ms = 1000, .text = "Of a tunnel's keys." },
	{ "esp_lifetime_kbytes", KEY_NUMBER, 0, IN(cfg_ipsec, esp_lifetime_kbytes), .min = 1,
		.max = 4000000000, .unit = "kilobytes", .text = "Or after so much." },
	{ "rekey", KEY_TIME, 0, IN(cfg_ipsec, rekey_s), .min = 1000, .max = 86400000,
		.unit_ms = 1000, .text = "New keys so long before the end." },
	{ "dpd", KEY_TIME, 0, IN(cfg_ipsec, dpd_s), .min = 1000, .max = 3600000, .unit_ms = 1000,
		.text = "Silence after which the far end is asked." },
	{ "replay", KEY_NUMBER, 0, IN(cfg_ipsec, replay), .min = 0, .max = 65536, .unit = "packets",
		.text = "Replay window." },
	{ "lifetime_min", KEY_TIME, 0, IN(cfg_ipsec, lifetime_min_s), .min = 60000,
		.max = 864000000, .unit_ms = 1000, .text = "Neither lifetime may be shorter." },
	{ "lifetime_fixed", KEY_BOOL, 0, IN(cfg_ipsec, lifetime_fixed),
		.text = "The provider takes these lifetimes and no others." },
	{ "initiator", KEY_STRING, 0, IN(cfg_ipsec, initiator), .text = "Who begins." },
	{ "psk", KEY_STRING, 0, IN(cfg_ipsec, psk),
		.text = "What a pre-shared key may look like, for people." },
	{ "psk_chars", KEY_STRING, 0, IN(cfg_ipsec, psk_chars),
		.text = "Characters it is made of: single ones and ranges, blanks between them." },
	{ "psk_first_not", KEY_STRING, 0, IN(cfg_ipsec, psk_first_not),
		.text = "Characters it does not begin with." },
	{ "psk_min", KEY_NUMBER, 0, IN(cfg_ipsec, psk_min), .min = 1, .max = 1000,
		.unit = "characters", .text = "It has no fewer." },
	{ "psk_max", KEY_NUMBER, 0, IN(cfg_ipsec, psk_max), .min = 1, .max = 1000,
		.unit = "characters", .text = "It has no more." },
	{ "fragments", KEY_STRING, 0, IN(cfg_ipsec, fragments),
		.text = "What becomes of packets that do not fit." },
	{ "mss", KEY_WORDS, 0, IN(cfg_ipsec, mss), .max = 32,
		.text = "\"CIPHER MTU MSS\": what fits through." },
	END,
};

const struct key profile_keys[] = {
	{ "base", KEY_STRING, 0, AT(base_name), .otherwise = "it says everything itself",
		.text = "Profile that all keys left out are taken from." },
	{ "title", KEY_STRING, 0, AT(title), .text = "For people." },
	{ "provider", KEY_STRING, 0, AT(provider),
		.text = "Whose: \"aws\", \"gcp\", \"azure\"..." },
	{ "source", KEY_STRING, 0, AT(where_from), .text = "Where its numbers are from." },
	{ "date", KEY_STRING, 0, AT(date), .text = "And of when." },
	{ "kind", KEY_ENUM, 0, AT(kind), .words = kinds, .text = "What sort of link it is." },
	{ "conduct", KEY_WORDS, 0, LIST(conduct, 16), .text = "What else to know, for people." },
	{ "encapsulation", KEY_WORDS, 0, LIST(encaps, 16),
		.text = "\"untagged\", \"vlan\", \"qinq\", or kinds of tunnels: \"vxlan\", "
			"\"gre\", "
			"\"geneve\", \"ipip\", \"ipsec\"." },
	{ "vlan_min", KEY_NUMBER, 0, AT(vlan_min), .min = 1, .max = 4094, .text = "Least VLAN." },
	{ "vlan_max", KEY_NUMBER, 0, AT(vlan_max), .min = 1, .max = 4094, .text = "Largest VLAN." },
	{ "stag_type", KEY_TPID, 0, AT(stag_tpid), .text = "EtherType of the outer tag." },
	{ "lacp", KEY_ENUM, 0, AT(lacp), .words = wants,
		.text = "Does the provider want LACP, on a single circuit too?" },
	{ "min_links", KEY_NUMBER, 0, AT(min_links), .min = 1, .max = CFG_LAG_MAX,
		.text = "Fewest members a lag should have." },
	{ "ecmp_max", KEY_NUMBER, 0, AT(ecmp_max), .min = 1, .max = 1024,
		.text = "The provider shares traffic over so many links at most." },
	{ "together", KEY_NUMBER, 0, AT(together), .min = 1, .max = 64,
		.text = "Fewer links than this to one cloud, and the provider promises nothing." },
	{ "equal", KEY_BOOL, 0, AT(equal),
		.text = "Links to one cloud must look alike in preference and AS path." },
	{ "ipv6", KEY_ENUM, 0, AT(no_ipv6), .words = (const char *const[]){ "yes", "no", NULL },
		.text = "Does it carry IPv6?" },
	{ "mtu", KEY_NUMBER, 0, AT(mtu), .min = 68, .max = 9600, .unit = "bytes",
		.text = "Default of the link's mtu, where the port or underlay has the room." },
	{ "mtu_max", KEY_NUMBER, 0, AT(mtu_max), .min = 68, .max = 9600, .unit = "bytes",
		.text = "The most that the provider carries." },
	{ "mtu_list", KEY_NUMBERS, 0, LIST(mtus, 32), .text = "Nothing but these, where given." },
	{ "mtu_same", KEY_BOOL, 0, AT(mtu_same),
		.text = "Links that carry the same prefix must have the same MTU." },
	{ "address", KEY_GROUP, 0, 0, .keys = address_keys, .text = "Addresses of the link." },
	{ "asn", KEY_GROUP, 0, 0, .keys = asn_keys, .text = "AS numbers." },
	{ "keepalive", KEY_TIME, 0, AT(keepalive_s), .min = 1000, .max = 21845000, .unit_ms = 1000,
		.text = "BGP, default." },
	{ "hold", KEY_TIME, 0, AT(hold_s), .min = 3000, .max = 65535000, .unit_ms = 1000,
		.text = "BGP, default." },
	{ "keepalive_min", KEY_TIME, 0, AT(keepalive_min_s), .min = 1000, .max = 21845000,
		.unit_ms = 1000, .text = "The provider takes no less." },
	{ "hold_min", KEY_TIME, 0, AT(hold_min_s), .min = 3000, .max = 65535000, .unit_ms = 1000,
		.text = "The provider takes no less." },
	{ "timers_fixed", KEY_BOOL, 0, AT(timers_fixed),
		.text = "The provider does not negotiate: keepalive and hold as here, no others." },
	{ "hold_thrice", KEY_BOOL, 0, AT(hold_thrice), .text = "hold is three times keepalive." },
	{ "multihop", KEY_NUMBER, 0, AT(multihop), .min = 0, .max = 255, .unit = "hops",
		.text = "Default of multihop on sessions without BFD; 0: none." },
	{ "ttl_one", KEY_BOOL, 0, AT(ttl_one),
		.text = "The provider sends with TTL 1: multihop and gtsm end the session." },
	{ "md5", KEY_ENUM, 0, AT(md5), .words = wants, .text = "TCP-MD5 of the session." },
	{ "graceful_restart", KEY_ENUM, 0, AT(graceful_restart), .words = restarts,
		.text = "Of sessions without BFD." },
	{ "restart_time", KEY_TIME, 0, AT(restart_s), .min = 1000, .max = 4095000, .unit_ms = 1000,
		.text = "The provider keeps our routes so long while we restart. FRR asks for one "
			"time a VRF: the shortest of its links with graceful_restart = \"full\"." },
	{ "far_passive", KEY_BOOL, 0, AT(far_passive),
		.text = "The provider waits for us to connect." },
	{ "max_in_v4", KEY_NUMBER, 0, AT(max_in[0]), .min = 0, .max = 4000000, .unit = "prefixes",
		.text = "Default of max_in: the provider tells us no more. 0: not known." },
	{ "max_in_v6", KEY_NUMBER, 0, AT(max_in[1]), .min = 0, .max = 4000000, .unit = "prefixes",
		.text = "The same of IPv6." },
	{ "max_out_v4", KEY_NUMBER, 0, AT(max_out[0]), .min = 0, .max = 4000000, .unit = "prefixes",
		.text = "Default of max_out: the provider takes no more. 0: not known." },
	{ "max_out_v6", KEY_NUMBER, 0, AT(max_out[1]), .min = 0, .max = 4000000, .unit = "prefixes",
		.text = "The same of IPv6." },
	{ "in_beyond", KEY_ENUM, 0, AT(in_beyond), .words = beyonds,
		.text = "What the provider does when it has more for us than max_in." },
	{ "out_beyond", KEY_ENUM, 0, AT(out_beyond), .words = beyonds,
		.text = "What the provider does beyond max_out: the session goes down, is reset "
			"again and again, or what is too much is ignored." },
	{ "levers", KEY_GROUP, 0, AT(levers), .keys = levers_keys,
		.text = "How the provider is asked to send more or less traffic here." },
	{ "med_max", KEY_NUMBER, 0, AT(med_max), .min = 1, .max = 4294967295,
		.text = "A larger MED is not what the provider takes it for." },
	{ "preferences", KEY_WORDS, 0, LIST(preferences, 32),
		.text = "Communities of which a prefix may carry only one." },
	{ "rejects_own", KEY_BOOL, 0, AT(rejects_own),
		.text = "The provider refuses prefixes that equal its own." },
	{ "bfd", KEY_GROUP, KEY_OR_BOOL, 0, .keys = bfd_keys,
		.mark = offsetof(struct cfg_profile, bfd), .mark_size = sizeof(bool),
		.text = "BFD of the provider; false: it has none." },
	{ "detect", KEY_TIME, 0, AT(detect_ms), .min = 0, .max = 600000, .unit_ms = 1,
		.text = "A dead neighbour is known within." },
	{ "detect_without_bfd", KEY_TIME, 0, AT(detect_slow_ms), .min = 100, .max = 600000,
		.unit_ms = 1, .text = "The same where the session runs no BFD." },
	{ "tunnel_rate", KEY_RATE, 0, AT(tunnel_bps), .text = "One tunnel carries no more." },
	{ "tunnel_pps", KEY_NUMBER, 0, AT(tunnel_pps), .min = 1, .max = 4000000000,
		.unit = "packets a second", .text = "Nor more packets." },
	{ "ipsec", KEY_GROUP, 0, AT(ipsec), .keys = ipsec_keys,
		.mark_size = sizeof(struct cfg_ipsec),
		.text = "What the provider's tunnels take." },
	END,
};
