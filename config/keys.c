/* One table says what lintas.conf may contain.
 *
 * A row is a key: name, type, where its value goes in the structs of config.h, range, default, and
 * the sentence the manual prints. parse.c walks a file along these rows (and so refuses what has
 * none), diff.c and print.c walk two configurations or one, man.c writes lintas.conf(5). To add a
 * key is to add a field to config.h and a row here; rules between keys are check.c's. Rows of type
 * KEY_LATER belong to the language but not to this version: they are refused by name, because a key
 * that is ignored is a promise that is not kept. */
#include <string.h>
#include "keys.h"
#include "keys_ipsec.h"
#include "value.h"

#define AT(s, f)      .offset = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f)
#define LIST(s, f, n) .offset = offsetof(struct s, f), .max = (n)
#define LATER(n, t)                                     \
	{                                               \
		.name = n, .type = KEY_LATER, .text = t \
	}
#define END                  \
	{                    \
		.name = NULL \
	}
#define PREFIXES_MAX 1000000
#define WORDS_MAX    64
#define KEYS_MAX     99 /* of one group */

/* A list's length stands right behind its pointer, whatever the struct. */
_Static_assert(offsetof(struct cfg_prefix_list, n) == sizeof(void *), "list layout");
_Static_assert(offsetof(struct cfg_filter_list, n) == sizeof(void *), "list layout");
_Static_assert(
	offsetof(struct cfg_link, n_address) == offsetof(struct cfg_link, address) + sizeof(void *),
	"list layout");
_Static_assert(offsetof(struct cfg_bgp_peer, src) == sizeof(void *), "KEY_SOURCE layout");

static const char *const polls[] = { "busy", "adaptive", NULL };
static const char *const ipsecs[] = { "lintas", "kernel", NULL };
static const char *const routings[] = { "frr", "external", NULL };
static const char *const lacps[] = { "fast", "slow", "off", NULL };
static const char *const inbounds[] = { "auto", "high", "medium", "low", "drain", NULL };
static const char *const restarts[] = { "off", "helper", "full", NULL };
static const char *const probes[] = { "stamp", "icmp", "tcp", NULL };
static const char *const tracks[] = { "none", "probe", NULL };
static const char *const states[] = { "up", "shut", NULL };
static const char *const encaps[] = { "ether", "vxlan", "geneve", "gre", "ipip", "ipsec", NULL };
static const char *const inners[] = { "ether", "ip", NULL };
static const char *const dfs[] = { "set", "copy", "clear", NULL };
static const char *const checksums[] = { "zero", "full", NULL };
static const char *const dscps[] = { CFG_DSCP_NAMES, NULL };

static const struct key gateway_keys[] = {
	{ "name", KEY_NAME, KEY_REQUIRED, AT(cfg_gateway, name),
		.text = "Name of this gateway in status and logs." },
	{ "router_id", KEY_ADDR, 0, AT(cfg_gateway, router_id),
		.otherwise = "needed where BGP is used",
		.text = "BGP router id, an IPv4 address that no other router has." },
	{ "asn", KEY_ASN, 0, AT(cfg_gateway, asn), .otherwise = "needed where BGP is used",
		.text = "AS number of this gateway." },
	{ "workers", KEY_CPUS, KEY_REQUIRED | KEY_RESTART, AT(cfg_gateway, workers),
		.text = "CPUs that forward packets, one worker each; leave at least one CPU to the "
			"rest." },
	{ "poll", KEY_ENUM, KEY_RESTART, AT(cfg_gateway, poll), .words = polls, .fallback = "busy",
		.text = "Workers always poll, or nap up to 100 microseconds when idle "
			"(laboratory)." },
	{ "ipsec", KEY_ENUM, KEY_RESTART, AT(cfg_gateway, ipsec), .words = ipsecs,
		.fallback = "lintas",
		.text = "Whom charon gives the keys it negotiates: lintasd, by way of "
			"lintas-xfrm.so; or a kernel that has IPsec, whose SAs lintasd follows, "
			"for "
			"who runs charon himself." },
	{ "hugepages", KEY_BOOL, KEY_RESTART, AT(cfg_gateway, hugepages), .fallback = "true",
		.text = "Use huge pages; false where there are none: slower." },
	{ "packet_buffers", KEY_NUMBER, KEY_RESTART, AT(cfg_gateway, packet_buffers), .min = 1024,
		.max = 1 << 22, .unit = "buffers", .otherwise = "computed, see MEMORY",
		.text = "Packet buffers of each port." },
	END,
};

static const struct key defaults_keys[] = {
	{ "readers", KEY_STRING, KEY_RESTART, AT(cfg_defaults, readers), .otherwise = "root only",
		.text = "Group whose members may look with lintasctl." },
	{ "writers", KEY_STRING, KEY_RESTART, AT(cfg_defaults, writers), .otherwise = "root only",
		.text = "Group whose members may change things with lintasctl; when readers is "
			"given too, they must be among those as well." },
	{ "keys", KEY_STRING, 0, AT(cfg_defaults, keys), .fallback = "keys",
		.text = "Folder of secrets, relative to the main file's: one file a key, one line, "
			"mode 0600." },
	{ "frr_sockets", KEY_STRING, KEY_RESTART, AT(cfg_defaults, frr_sockets),
		.fallback = "/run/frr",
		.text = "Folder of FRR's vty sockets; lintas-keeper must be started with the same "
			"--frr-sockets." },
	LATER("metrics", "Address and port of the metrics listener."),
	END,
};

static const struct key port_keys[] = {
	{ "device", KEY_DEVICE, KEY_RESTART, AT(cfg_port, device), .otherwise = "it is a lag",
		.text = "PCI address, or DPDK device string such as \"net_af_xdp0,iface=eth1\"." },
	{ "mtu", KEY_NUMBER, KEY_RESTART, AT(cfg_port, mtu), .min = 68, .max = 9600,
		.unit = "bytes", .fallback = "1500",
		.text = "Largest IP packet, without tags; AF_XDP devices take 3498 at most." },
	{ "lag", KEY_WORDS, KEY_RESTART, LIST(cfg_port, lag, CFG_LAG_MAX),
		.otherwise = "the port is one device",
		.text = "Devices of a link aggregation, written as device; one is enough where the "
			"provider wants LACP on a single circuit." },
	{ "lacp", KEY_ENUM, KEY_RESTART, AT(cfg_port, lacp), .words = lacps, .fallback = "fast",
		.text = "LACP (IEEE 802.1AX) of a lag: partner speaks every second or every 30 "
			"seconds; off: members count while they have carrier." },
	{ "min_links", KEY_NUMBER, KEY_RESTART, AT(cfg_port, min_links), .min = 0,
		.max = CFG_LAG_MAX, .fallback = "1", .unit = "members",
		.text = "A lag with fewer usable members is down." },
	{ "queues", KEY_NUMBER, KEY_RESTART, AT(cfg_port, queues), .min = 1, .max = CFG_WORKERS_MAX,
		.fallback = "1", .text = "Receive queues." },
	END,
};

static const struct key vrf_keys[] = {
	{ "loopback", KEY_HOSTS, 0, LIST(cfg_vrf, loopback, CFG_ADDRESSES_MAX),
		.text = "Addresses of the router itself in this VRF, /32 and /128." },
	END,
};

static const struct key cloud_keys[] = {
	{ "provider", KEY_STRING, 0, AT(cfg_zone, provider), .text = "Who runs it; shown." },
	{ "region", KEY_STRING, 0, AT(cfg_zone, region), .text = "Where it is; shown." },
	{ "account", KEY_STRING, 0, AT(cfg_zone, account), .text = "Whose it is; shown." },
	{ "prefixes", KEY_NETWORKS, 0, LIST(cfg_zone, prefixes, PREFIXES_MAX),
		.text = "Networks it owns; what its links accept by BGP unless they say "
			"otherwise." },
	{ "centre", KEY_STRING, 0, AT(cfg_zone, centre),
		.text = "Cost centre of all its links; shown." },
	LATER("budget", "Monthly budget."),
	END,
};

static const struct key partner_keys[] = {
	{ "vrf", KEY_REF, KEY_REQUIRED, AT(cfg_zone, vrf), .kind = KIND_VRF,
		.text = "Its VRF, which holds only its own links." },
	{ "prefixes", KEY_NETWORKS, 0, LIST(cfg_zone, prefixes, PREFIXES_MAX),
		.text = "Networks it owns; may overlap with another partner's." },
	{ "centre", KEY_STRING, 0, AT(cfg_zone, centre),
		.text = "Cost centre of all its links; shown." },
	{ "noc", KEY_STRING, 0, AT(cfg_zone, noc), .text = "Whom to call; shown." },
	LATER("nat", "Translation of its addresses where they overlap."),
	END,
};

static const struct key circuit_keys[] = {
	{ "port", KEY_REF, KEY_REQUIRED, AT(cfg_circuit, port), .kind = KIND_PORT,
		.text = "Port it is plugged into." },
	{ "id", KEY_STRING, 0, AT(cfg_circuit, id), .text = "What the provider calls it; shown." },
	{ "xconnect", KEY_STRING, 0, AT(cfg_circuit, xconnect),
		.text = "Cross-connect's number; shown." },
	{ "rate", KEY_RATE, 0, AT(cfg_circuit, rate_bps), .text = "What was ordered; shown." },
	{ "stag", KEY_NUMBER, 0, AT(cfg_circuit, stag), .min = 1, .max = 4094,
		.otherwise = "no outer tag", .text = "Outer VLAN of every link on it (QinQ)." },
	{ "stag_type", KEY_TPID, 0, AT(cfg_circuit, stag_tpid), .fallback = "0x8100",
		.text = "EtherType of the outer tag, \"0x8100\" or \"0x88a8\"." },
	LATER("charges", "What it costs, by tariff."),
	END,
};

static const struct key encap_keys[] = {
	{ "type", KEY_ENUM, KEY_REQUIRED, AT(cfg_link, encap), .words = encaps, .min = 1,
		.text = "Kind of tunnel. What is inside is Ethernet (vxlan; geneve unless inner "
			"says "
			"otherwise) or plain IP of both families (gre, ipip, ipsec): then the link "
			"has no "
			"neighbours, and its kernel interface is point-to-point." },
	{ "remote", KEY_ADDR, KEY_REQUIRED, AT(cfg_link, remote),
		.text = "Far end of the tunnel." },
	{ "local", KEY_ADDR, 0, AT(cfg_link, local),
		.otherwise = "the underlay's first of that family",
		.text = "Our end of the tunnel: an address of the underlay link or of its VRF's "
			"loopback." },
	{ "vni", KEY_NUMBER, 0, AT(cfg_link, vni), .min = 0, .max = 0xffffff,
		.otherwise = "needed by vxlan; geneve: 0",
		.text = "Network identifier of vxlan and geneve." },
	{ "port", KEY_NUMBER, 0, AT(cfg_link, udp_port), .min = 1, .max = 65535,
		.otherwise = "4789 of vxlan, 6081 of geneve",
		.text = "UDP port of both ends. The source port says which flow is inside, so that "
			"routers between the ends can spread flows." },
	{ "inner", KEY_ENUM, 0, AT(cfg_link, outer.inner), .words = inners, .fallback = "ether",
		.text = "What geneve carries: Ethernet frames, or packets (as AWS's gateway load "
			"balancer)." },
	{ "key", KEY_NUMBER, 0, AT(cfg_link, outer.key), .min = 1, .max = 0xffffffff,
		.otherwise = "without a key",
		.text = "Key of gre (RFC 2890), the same in both directions; a number of "
			"2147483648 or "
			"more is written with an L behind it." },
	{ "checksum", KEY_BOOL, 0, AT(cfg_link, outer.checksum), .fallback = "false",
		.text = "Send gre with its checksum; one that comes in is verified in any case." },
	{ "udp6_checksum", KEY_ENUM, 0, AT(cfg_link, outer.udp6_checksum), .words = checksums,
		.fallback = "zero",
		.text = "UDP checksum of vxlan and geneve over IPv6: none (RFC 6935; a Linux peer "
			"then "
			"needs udp6zerocsumrx), or over the whole packet." },
	{ "ttl", KEY_NUMBER, 0, AT(cfg_link, outer.ttl), .min = 1, .max = 255, .fallback = "64",
		.text = "Time to live of outer packets." },
	{ "dscp", KEY_ENUM, 0, AT(cfg_link, outer.dscp), .words = dscps, .fallback = "copy",
		.text = "DSCP of outer packets by its name (RFC 2474, 2597, 3246), or copied from "
			"the "
			"packet inside. Congestion marks follow RFC 6040 in any case." },
	{ "df", KEY_ENUM, 0, AT(cfg_link, outer.df), .words = dfs, .fallback = "set",
		.text = "Don't-fragment of outer IPv4 packets: set (what the underlay says of its "
			"MTU "
			"is told to the sender inside), copied from the packet inside, or clear "
			"(an "
			"outer packet that is too big is cut)." },
	{ "mss_clamp", KEY_BOOL, 0, AT(cfg_link, outer.clamp), .fallback = "true",
		.text = "Lower TCP's MSS to what fits, in both directions." },
	END,
};

static const struct key bfd_keys[] = {
	{ "interval", KEY_TIME, 0, AT(cfg_bfd, interval_ms), .min = 50, .max = 60000, .unit_ms = 1,
		.fallback = "300ms", .text = "Between two packets, in both directions." },
	{ "multiplier", KEY_NUMBER, 0, AT(cfg_bfd, multiplier), .min = 2, .max = 255,
		.fallback = "3", .text = "So many lost in a row end the session." },
	{ "passive", KEY_BOOL, 0, AT(cfg_bfd, passive), .fallback = "false",
		.text = "Speak only when spoken to." },
	END,
};

static const struct key peer_keys[] = {
	{ "peer", KEY_ADDR, KEY_REQUIRED, AT(cfg_bgp_peer, peer),
		.text = "Neighbour's address on this link. Of a tunnel in tunnels, or with "
			"bgp.asn, it may be left out where our address has one other host." },
	{ "second", KEY_ADDR, 0, AT(cfg_bgp_peer, second), .otherwise = "one session",
		.text = "Address of a second neighbour on this link, with a session on the same "
			"terms: "
			"AWS's Transit Gateway Connect has two in one tunnel." },
	{ "asn", KEY_ASN, KEY_REQUIRED, AT(cfg_bgp_peer, asn), .text = "Neighbour's AS number." },
	{ "local_as", KEY_ASN, 0, AT(cfg_bgp_peer, local_as), .otherwise = "gateway.asn",
		.text = "AS number we show this neighbour." },
	{ "key", KEY_SECRET, 0, AT(cfg_bgp_peer, key), .otherwise = "no TCP-MD5",
		.text = "Name of the file in defaults.keys that holds the TCP-MD5 secret." },
	{ "bfd", KEY_GROUP, KEY_OR_BOOL, AT(cfg_bgp_peer, bfd), .keys = bfd_keys,
		.mark_size = sizeof(bool), .otherwise = "no BFD",
		.text = "true, or a group of the following." },
	{ "keepalive", KEY_TIME, 0, AT(cfg_bgp_peer, keepalive_s), .min = 1000, .max = 21845000,
		.unit_ms = 1000, .otherwise = "a third of hold, or FRR's",
		.text = "Between two keepalives." },
	{ "hold", KEY_TIME, 0, AT(cfg_bgp_peer, hold_s), .min = 1000, .max = 65535000,
		.unit_ms = 1000, .otherwise = "three times keepalive, or FRR's",
		.text = "Silence that ends the session; 3 s at least." },
	{ "multihop", KEY_NUMBER, 0, AT(cfg_bgp_peer, multihop), .min = 2, .max = 255,
		.unit = "hops", .otherwise = "the neighbour is on the link, TTL 1",
		.text = "The neighbour is up to so many hops away." },
	{ "gtsm", KEY_NUMBER, 0, AT(cfg_bgp_peer, gtsm), .min = 1, .max = 254, .unit = "hops",
		.otherwise = "off",
		.text = "Refuse packets from farther away than this (RFC 5082); not with "
			"multihop." },
	{ "allowas_in", KEY_NUMBER, 0, AT(cfg_bgp_peer, allowas_in), .min = 1, .max = 10,
		.otherwise = "never",
		.text = "Accept routes that show our own AS number up to so many times." },
	{ "as_override", KEY_BOOL, 0, AT(cfg_bgp_peer, as_override), .fallback = "false",
		.text = "Replace the neighbour's AS number in what it is told by ours, where two "
			"attachments of a provider share one." },
	{ "passive", KEY_BOOL, 0, AT(cfg_bgp_peer, passive), .fallback = "false",
		.text = "Wait for the neighbour to connect." },
	{ "graceful_restart", KEY_ENUM, 0, AT(cfg_bgp_peer, graceful_restart), .words = restarts,
		.fallback = "off",
		.text = "RFC 4724: keep the neighbour's routes while it restarts (helper), and ask "
			"it to keep ours too (full). Not together with BFD." },
	{ "max_in", KEY_NUMBER, 0, AT(cfg_bgp_peer, max_in), .min = 1, .max = 4000000,
		.unit = "prefixes", .otherwise = "the profile's, or no limit",
		.text = "More than this from the neighbour ends the session." },
	{ "max_out", KEY_NUMBER, 0, AT(cfg_bgp_peer, max_out), .min = 1, .max = 4000000,
		.unit = "prefixes", .otherwise = "the profile's, or no limit",
		.text = "No more than this is ever told to the neighbour: what was told stays, the "
			"rest waits, and lintasd says so." },
	{ "raw", KEY_WORDS, 0, LIST(cfg_bgp_peer, raw, WORDS_MAX),
		.text = "Lines for FRR that lintas knows nothing of, each what follows \"neighbor "
			"ADDRESS\": checked by FRR only." },
	END,
};

static const struct key bgp_keys[] = {
	{ "v4", KEY_GROUP, KEY_SOURCE, AT(cfg_bgp, v4), .keys = peer_keys,
		.mark_size = sizeof(bool), .text = "Session over IPv4, carrying IPv4." },
	{ "v6", KEY_GROUP, KEY_SOURCE, AT(cfg_bgp, v6), .keys = peer_keys,
		.mark_size = sizeof(bool),
		.text = "Session over IPv6, carrying IPv6; keys as in v4." },
	{ "accept", KEY_FILTERS, 0, LIST(cfg_bgp, accept, PREFIXES_MAX),
		.otherwise = "the zone's prefixes and all longer ones",
		.text = "What may be learned: \"10.0.0.0/8\", \"10.0.0.0/8 le 24\", \"10.0.0.0/8 "
			"ge 16 le 24\"." },
	{ "announce", KEY_FILTERS, 0, LIST(cfg_bgp, announce, PREFIXES_MAX),
		.otherwise = "the prefixes of the clouds that reach opens to its cloud; nothing "
			     "without (RFC 8212)",
		.text = "What may be told, written as in accept." },
	{ "inbound", KEY_ENUM, 0, AT(cfg_bgp, inbound), .words = inbounds, .fallback = "auto",
		.text = "How much of the traffic toward us the provider shall send here; auto "
			"follows the tier of paths. Said with what the profile's provider "
			"honours." },
	{ "asn", KEY_ASN, 0, AT(cfg_bgp, asn), .otherwise = "each session gives its own",
		.text = "AS number of the neighbour in both families. Each family of the link's "
			"addresses then has a session, with the other host of its /30, /31, /126 "
			"or /127 "
			"where no peer is given." },
	END,
};

static const struct key static_keys[] = {
	{ "prefixes", KEY_NETWORKS, KEY_REQUIRED, LIST(cfg_link, statics, PREFIXES_MAX),
		.text = "Networks routed to the next hop." },
	{ "via", KEY_PER_FAMILY, KEY_REQUIRED, AT(cfg_link, static_via),
		.text = "Next hop on this link: one address, or a list with one of each family." },
	{ "track", KEY_ENUM, 0, AT(cfg_link, track), .words = tracks, .fallback = "none",
		.text = "What decides, beside the interface, whether the routes are alive." },
	END,
};

static const struct key probing_keys[] = {
	{ "type", KEY_ENUM, 0, AT(cfg_probing, type), .words = probes, .fallback = "icmp",
		.text = "STAMP (RFC 8762), ICMP echo, or the first packet of a TCP connection." },
	{ "port", KEY_NUMBER, 0, AT(cfg_probing, port), .min = 1, .max = 65535,
		.otherwise = "862 for STAMP, 443 for TCP", .text = "Port at the far host." },
	{ "rate", KEY_NUMBER, 0, AT(cfg_probing, rate), .min = 1, .max = 1000, .fallback = "10",
		.unit = "probes a second", .text = "How often each link is probed." },
	{ "buckets", KEY_NUMBER, 0, AT(cfg_probing, buckets), .min = 1, .max = 64, .fallback = "1",
		.text = "Different source ports used in turn, so that every way of an ECMP on the "
			"path is seen; each is judged by itself." },
	{ "key", KEY_SECRET, 0, AT(cfg_probing, key), .otherwise = "unauthenticated",
		.text = "File in defaults.keys with the HMAC key of authenticated STAMP." },
	{ "source", KEY_PER_FAMILY, 0, AT(cfg_probing, source),
		.otherwise = "the VRF's loopback, or else the link's address",
		.text = "Our address that the far host answers to. An answer comes back as routing "
			"has it, by whichever link announces this address: give each link a "
			"loopback address of its own and announce it over that link only, or the "
			"verdict is about another link's way back." },
	END,
};

static const struct key slo_keys[] = {
	{ "loss", KEY_PPM, 0, AT(cfg_slo, loss_ppm), .min = 100, .max = 1000000, .otherwise = "1 %",
		.text = "So much loss makes a link grey; a tenth of it is good." },
	{ "p99", KEY_TIME, 0, AT(cfg_slo, p99_ms), .min = 1, .max = 60000, .unit_ms = 1,
		.otherwise = "not judged", .text = "99 of 100 probes come back within this." },
	{ "jitter", KEY_TIME, 0, AT(cfg_slo, jitter_ms), .min = 1, .max = 60000, .unit_ms = 1,
		.otherwise = "not judged",
		.text = "Mean difference between two round trips in a row." },
	{ "rise", KEY_TIME, 0, AT(cfg_slo, rise_ms), .min = 1, .max = 60000, .unit_ms = 1,
		.otherwise = "20ms", .text = "The median may rise so far above its own past." },
	END,
};

static const struct key vrrp_keys[] = {
	{ "id", KEY_NUMBER, KEY_REQUIRED, AT(cfg_vrrp, id), .min = 1, .max = 255,
		.text = "Virtual router id." },
	{ "address", KEY_HOSTS, KEY_REQUIRED, LIST(cfg_vrrp, address, CFG_ADDRESSES_MAX),
		.text = "Addresses that belong to whoever is active." },
	{ "priority", KEY_NUMBER, 0, AT(cfg_vrrp, priority), .min = 1, .max = 254,
		.fallback = "100", .text = "The highest becomes active." },
	{ "interval", KEY_TIME, 0, AT(cfg_vrrp, interval_ms), .min = 10, .max = 40950, .unit_ms = 1,
		.fallback = "1s", .text = "Between two advertisements." },
	{ "preempt", KEY_BOOL, 0, AT(cfg_vrrp, preempt), .fallback = "true",
		.text = "Take over from a router of lower priority." },
	END,
};

#define PROBE_KEYS(s, other)                                                                       \
	{ "probe", KEY_PER_FAMILY, 0, AT(s, probe), .otherwise = other,                            \
		.text = "Far host that is probed, one of each family." },                          \
		{ "probing", KEY_GROUP, 0, AT(s, probing), .keys = probing_keys,                   \
			.mark = offsetof(struct cfg_probing, rate), .mark_size = sizeof(uint16_t), \
			.text = "How it is probed." },                                             \
	{                                                                                          \
		"slo", KEY_GROUP, 0, AT(s, slo), .keys = slo_keys,                                 \
						 .mark_size = sizeof(struct cfg_slo),              \
						 .text = "What a link must keep."                  \
	}

const struct key keys_link[] = {
	{ "state", KEY_ENUM, 0, AT(cfg_link, shut), .words = states, .fallback = "up",
		.otherwise = "up, or shut with a profile",
		.text = "\"shut\" keeps it configured and carries nothing." },
	{ "circuit", KEY_REF, 0, AT(cfg_link, circuit), .kind = KIND_CIRCUIT,
		.otherwise = "it is a tunnel over underlay",
		.text = "Circuit of an Ethernet link." },
	{ "underlay", KEY_REF, 0, AT(cfg_link, underlay), .kind = KIND_LINK,
		.otherwise = "it is an Ethernet link on circuit",
		.text = "Link that carries the tunnel." },
	{ "vlan", KEY_NUMBER, 0, AT(cfg_link, vlan), .min = 1, .max = 4094, .otherwise = "untagged",
		.text = "VLAN; with a circuit's stag the inner one." },
	{ "vrf", KEY_REF, KEY_REQUIRED, AT(cfg_link, vrf), .kind = KIND_VRF,
		.text = "VRF the link is in." },
	{ "cloud", KEY_REF, 0, AT(cfg_link, zone), .kind = KIND_CLOUD,
		.otherwise = "not a cloud's link", .text = "Cloud the link leads to." },
	{ "partner", KEY_REF, 0, AT(cfg_link, zone), .kind = KIND_PARTNER,
		.otherwise = "not a partner's link", .text = "Partner the link leads to." },
	{ "id", KEY_STRING, 0, AT(cfg_link, id), .text = "What the provider calls it; shown." },
	{ "address", KEY_ADDRESSES, KEY_REQUIRED, LIST(cfg_link, address, CFG_ADDRESSES_MAX),
		.text = "Our addresses with the length of their networks, both families." },
	{ "gateway", KEY_PER_FAMILY, 0, AT(cfg_link, gateway), .otherwise = "no default route",
		.text = "Next hop of a default route: one address, or a list with one of each "
			"family." },
	{ "mtu", KEY_NUMBER, 0, AT(cfg_link, mtu), .min = 68, .max = 9600, .unit = "bytes",
		.otherwise = "the port's, or the underlay's less the tunnel's overhead",
		.text = "Largest IP packet." },
	{ "encap", KEY_GROUP, 0, 0, .keys = encap_keys, .mark = offsetof(struct cfg_link, encap),
		.mark_size = sizeof(enum cfg_encap), .otherwise = "an Ethernet link",
		.text = "How a tunnel wraps packets." },
	{ "bgp", KEY_GROUP, 0, AT(cfg_link, bgp), .keys = bgp_keys, .mark_size = sizeof(bool),
		.otherwise = "no BGP", .text = "BGP on this link, at most one session a family." },
	{ "static", KEY_GROUP, 0, 0, .keys = static_keys,
		.mark = offsetof(struct cfg_link, static_via),
		.mark_size = sizeof(((struct cfg_link *)0)->static_via),
		.otherwise = "no static routes", .text = "Static routes over this link." },
	{ "profile", KEY_STRING, 0, AT(cfg_link, profile_name), .otherwise = "no provider's rules",
		.text = "The provider's rules: what is not given here comes from there, and "
			"\"lintasctl check\" tells what breaks them. Such a link is shut unless "
			"state says \"up\"." },
	{ "centre", KEY_STRING, 0, AT(cfg_link, centre), .otherwise = "the cloud's or partner's",
		.text = "Cost centre; shown." },
	{ "vrrp", KEY_GROUP, 0, AT(cfg_link, vrrp), .keys = vrrp_keys, .mark_size = sizeof(bool),
		.otherwise = "no VRRP",
		.text = "Addresses shared with another gateway (RFC 9568), for neighbours without "
			"BGP. Whoever is active answers for them with the virtual MAC; \"lintasctl "
			"vrrp show\" tells who is." },
	{ "reflector", KEY_BOOL, 0, AT(cfg_link, reflector), .fallback = "false",
		.text = "Answer STAMP probes to this link's addresses (stateless)." },
	PROBE_KEYS(cfg_link, "the path's"),
	LATER("charges", "What it costs, by tariff."),
	LATER("nat", "Translation of addresses on the link."),
	{ "ipsec", KEY_GROUP, 0, AT(cfg_link, ipsec), .keys = keys_ipsec,
		.mark_size = sizeof(struct cfg_keying), .otherwise = "no IPsec",
		.text = "How a tunnel of type ipsec gets its keys: IKEv2 with a pre-shared key, or "
			"static "
			"SAs." },
	{ "tunnels", KEY_TUNNELS, 0, 0, .max = CFG_TUNNELS_MAX, .keys = keys_tunnel,
		.otherwise = "the link is one tunnel, or none",
		.text = "Several tunnels of one connection, each a named group of the keys below: "
			"a and b of link vpn become the links vpn-a and vpn-b, which inherit all "
			"else "
			"of it and are of type ipsec unless encap says otherwise. A path that "
			"names "
			"vpn means all of them." },
	{ "connection", KEY_STRING, 0, AT(cfg_link, connection),
		.otherwise = "the link that tunnels stood in, or none",
		.text = "Connection at the provider that the link is one tunnel of." },
	END,
};

static const struct key path_keys[] = {
	{ "tiers", KEY_TIERS, KEY_REQUIRED, .max = CFG_TIERS_MAX,
		.text = "Lists of links, best first: all of the best tier that lives share the "
			"load." },
	PROBE_KEYS(cfg_path, "its links are not probed"),
	END,
};

static const struct key reach_keys[] = {
	{ "between", KEY_BETWEEN, KEY_REQUIRED, .max = 2, .text = "The two clouds." },
	END,
};

#define KIND(s, field) \
	sizeof(struct s), offsetof(struct config, field), offsetof(struct config, n_##field)

const struct key_kind keys_kinds[KIND_COUNT] = {
	[KIND_PORT] = { "ports", "port", CFG_PORT, port_keys, KIND(cfg_port, ports), CFG_PORTS_MAX,
		"Devices that packets come from and go to." },
	[KIND_VRF] = { "vrfs", "VRF", CFG_VRF, vrf_keys, KIND(cfg_vrf, vrfs), CFG_VRFS_MAX,
		"Separate routing tables; each is a network namespace of the same name." },
	[KIND_CLOUD] = { "clouds", "cloud", CFG_ZONE, cloud_keys, KIND(cfg_zone, zones),
		CFG_OBJECTS_MAX, "Zones that own prefixes and policy." },
	[KIND_PARTNER] = { "partners", "partner", CFG_ZONE, partner_keys, KIND(cfg_zone, zones),
		CFG_OBJECTS_MAX, "Zones of other companies: a VRF of their own, default deny." },
	[KIND_CIRCUIT] = { "circuits", "circuit", CFG_CIRCUIT, circuit_keys,
		KIND(cfg_circuit, circuits), CFG_OBJECTS_MAX, "What was ordered from a provider." },
	[KIND_LINK] = { "links", "link", CFG_LINK, keys_link, KIND(cfg_link, links), CFG_LINKS_MAX,
		"Layer-3 attachments; the name is the kernel interface's." },
	[KIND_PATH] = { "paths", "path", CFG_PATH, path_keys, KIND(cfg_path, paths),
		CFG_OBJECTS_MAX,
		"Which links of a cloud are used first; the name is the cloud's." },
	[KIND_REACH] = { "reach", "reach", CFG_REACH, reach_keys, KIND(cfg_reach, reach),
		CFG_OBJECTS_MAX,
		"Clouds that may speak to each other: told by BGP both ways and permitted in the "
		"fast path. What is not named here is refused." },
};

const struct key keys_top[] = {
	{ "schema", KEY_SCHEMA, KEY_REQUIRED, .min = 1, .max = 1,
		.text = "Version of this language: 1." },
	{ "routing", KEY_ENUM, 0, AT(config, routing), .words = routings, .fallback = "frr",
		.text = "FRR configured by lintasd, or any routing daemon configured elsewhere." },
	{ "profiles", KEY_STRING, 0, AT(config, profiles), .otherwise = "the newest there is",
		.text = "Version of the providers' profiles, as in \"2026.11\": an upgrade of the "
			"package then changes no effective value." },
	{ "custom", KEY_PROFILES, .keys = profile_keys,
		.text = "Profiles of your own, with the keys of those that are shipped (in "
			"share/lintas/profiles): base names the one that all keys left out are "
			"from. One that is called as a shipped one stands in its place." },
	{ "gateway", KEY_GROUP, KEY_REQUIRED | KEY_SEALED, AT(config, gateway),
		.keys = gateway_keys, .text = "This machine." },
	{ "defaults", KEY_GROUP, KEY_SEALED, AT(config, defaults), .keys = defaults_keys,
		.text = "What holds for all objects." },
	{ "ports", KEY_OBJECTS, .kind = KIND_PORT },
	{ "vrfs", KEY_OBJECTS, .kind = KIND_VRF },
	{ "clouds", KEY_OBJECTS, .kind = KIND_CLOUD },
	{ "partners", KEY_OBJECTS, .kind = KIND_PARTNER },
	{ "circuits", KEY_OBJECTS, .kind = KIND_CIRCUIT },
	{ "links", KEY_OBJECTS, .kind = KIND_LINK },
	{ "paths", KEY_OBJECTS, .kind = KIND_PATH },
	{ "reach", KEY_OBJECTS, .kind = KIND_REACH },
	LATER("zones", "Zones that are neither a cloud nor a partner."),
	LATER("tariffs", "Prices."),
	LATER("guards", "Limits of what one change may do."),
	LATER("tenants", "Who pays within a zone."),
	LATER("nat", "Translation of addresses."),
	LATER("services", "Endpoints published across zones."),
	LATER("canaries", "Gradual moves of traffic."),
	END,
};

const struct key *keys_find(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

const char *keys_nearest(const struct key *keys, const char *name)
{
	const char *candidates[KEYS_MAX + 1];
	unsigned n = 0;

	for (; keys->name && n < KEYS_MAX; keys++)
		if (keys->type != KEY_LATER)
			candidates[n++] = keys->name;
	candidates[n] = NULL;
	return value_nearest(name, candidates);
}

bool keys_is_kind(const void *object, enum key_kind_id kind)
{
	if (kind == KIND_CLOUD || kind == KIND_PARTNER)
		return ((const struct cfg_zone *)object)->partner == (kind == KIND_PARTNER);
	return true;
}

/* config.h has an array of its own type for each kind: its pointer is read and written as bytes. */

unsigned keys_count(const struct config *config, const struct key_kind *kind)
{
	unsigned n;

	memcpy(&n, (const char *)config + kind->count, sizeof(n));
	return n;
}

const void *keys_item(const struct config *config, const struct key_kind *kind, unsigned i)
{
	const char *items;

	memcpy(&items, (const char *)config + kind->items, sizeof(items));
	return items + i * kind->size;
}

void keys_set_items(struct config *config, const struct key_kind *kind, void *items, unsigned n)
{
	memcpy((char *)config + kind->items, &items, sizeof(items));
	memcpy((char *)config + kind->count, &n, sizeof(n));
}
