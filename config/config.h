/* The checked configuration: what lintas.conf means, and the difference between two of them.
 *
 * Pure: no DPDK, no root, no network card. config_load() turns files into a struct config or a list
 * of *all* errors; nothing half-read ever leaves it. A struct config is immutable once loaded;
 * every byte of it hangs on the struct and goes with config_free(). One table of keys (keys.c)
 * drives parsing, the refusal of unknown and not-yet-implemented keys, types, units, ranges,
 * defaults and lintas.conf(5).
 *
 * Objects are arrays of structs, sorted by name; references between objects are resolved to
 * pointers. */
#ifndef LINTAS_CONFIG_H
#define LINTAS_CONFIG_H

#include <stdio.h>
#include "ip.h"

#define CFG_NAME_MAX	   16 /* with the terminator: IFNAMSIZ, a link's name is its interface's */
#define CFG_DEVICE_MAX	   128
#define CFG_LAG_MAX	   8	       /* devices of one link aggregation */
#define CFG_FILE_BYTES_MAX (16u << 20) /* all files of one configuration together */
#define CFG_CPUS_MAX	   64
#define CFG_TIERS_MAX	   4
#define CFG_WORKERS_MAX	   16
#define CFG_PORTS_MAX	   32
#define CFG_VRFS_MAX	   256
#define CFG_ZONES_MAX	   255 /* clouds and partners together */
#define CFG_LINKS_MAX	   1023
#define CFG_OBJECTS_MAX	   1024 /* of every other kind */
#define CFG_TUNNELS_MAX	   8	/* of one connection */
#define CFG_ADDRESSES_MAX  16	/* of one link or loopback */
#define CFG_KEY_MAX	   80	/* bytes of a TCP-MD5 secret, as the kernel takes them */
#define CFG_STRING_MAX	   200
#define CFG_ERRORS_MAX	   100 /* shown of one load; one line more says how many there were */

struct cfg_source { /* where an object or value was written */
	const char *file;
	unsigned line;
};

/* Which keys of an object were written, and where: "bgp.v4.hold". */
struct cfg_given {
	const char *key;
	struct cfg_source src;
};

struct cfg_given_list {
	struct cfg_given *items;
	unsigned n;
};

struct cfg_prefix_list {
	struct ip_prefix *items;
	unsigned n;
};

/* "10.0.0.0/8", "10.0.0.0/8 le 24", "10.0.0.0/8 ge 16 le 24": what BGP accepts or announces. */
struct cfg_filter {
	struct ip_prefix prefix;
	uint8_t ge, le; /* 0 = not given */
};

/* The shortest and longest prefix an entry lets through; `ge` alone reaches up to 32 or 128. */
static inline unsigned cfg_filter_low(const struct cfg_filter *filter)
{
	return filter->ge ? filter->ge : filter->prefix.len;
}

static inline unsigned cfg_filter_high(const struct cfg_filter *filter)
{
	return filter->le   ? filter->le
	       : filter->ge ? ip_bits(filter->prefix.af)
			    : filter->prefix.len;
}

struct cfg_filter_list {
	struct cfg_filter *items;
	unsigned n;
};

struct cfg_words { /* any list of strings */
	const char **items;
	unsigned n;
};

enum cfg_poll { CFG_POLL_BUSY, CFG_POLL_ADAPTIVE };
enum cfg_ipsec_by { CFG_IPSEC_LINTAS, CFG_IPSEC_KERNEL }; /* who charon gives its keys to */
enum cfg_routing { CFG_ROUTING_FRR, CFG_ROUTING_EXTERNAL };

struct cfg_gateway {
	char name[CFG_NAME_MAX];
	struct ip_addr router_id; /* IPv4 */
	uint32_t asn;
	uint8_t workers[CFG_CPUS_MAX]; /* CPU numbers, one worker each */
	unsigned n_workers;
	enum cfg_poll poll;
	enum cfg_ipsec_by ipsec;
	bool hugepages;		 /* false: run without, slower; default true */
	uint32_t packet_buffers; /* mbufs a port; 0 = from the formula in lintas.conf(5) */
};

struct cfg_defaults {
	const char *readers, *writers; /* group names for the CLI socket; NULL = root only */
	const char *keys;	       /* folder of secrets, one file a key, mode 0600 */
	const char *frr_sockets;       /* FRR's vty socket folder, default "/run/frr" */
};

enum cfg_lacp { CFG_LACP_FAST, CFG_LACP_SLOW, CFG_LACP_OFF };

struct cfg_port {
	char name[CFG_NAME_MAX];
	struct cfg_source src;
	char device[CFG_DEVICE_MAX]; /* PCI address or DPDK vdev string; "" = it is a lag */
	struct cfg_words lag;	     /* devices of a link aggregation; one is legal */
	enum cfg_lacp lacp;	     /* of a lag: how often the partner shall speak; off = static */
	uint8_t min_links;	     /* of a lag: with fewer it is down; 1 by default */
	uint16_t mtu;		     /* largest IP packet without tags, bytes */
	uint16_t queues;	     /* rx queues; 1 by default */
};

struct cfg_vrf {
	char name[CFG_NAME_MAX]; /* also the namespace's name below /run/netns */
	struct cfg_source src;
	struct cfg_prefix_list loopback; /* host addresses on lo */
};

struct cfg_zone { /* a cloud or a partner: owns prefixes, policy, later a bill */
	char name[CFG_NAME_MAX];
	struct cfg_source src;
	bool partner;
	uint8_t id;	   /* 1.., in this configuration */
	uint64_t reach[4]; /* a bit an id: whom it reaches; bit 0 never: no zone */
	const char *provider, *region, *account; /* clouds; informational here */
	const char *centre;			 /* who pays; shown, and what the bill is told by */
	const char *noc;			 /* partners: whom to call */
	const struct cfg_vrf *vrf;		 /* partners only */
	struct cfg_prefix_list prefixes;
};

struct cfg_circuit {
	char name[CFG_NAME_MAX];
	struct cfg_source src;
	const struct cfg_port *port;
	const char *id, *xconnect;
	uint64_t rate_bps;  /* 0 = not given */
	uint16_t stag;	    /* outer VLAN of every link on it; 0 = none */
	uint16_t stag_tpid; /* 0x8100 or 0x88a8 */
};

/* ---- providers ---- */
/* What becomes of a session, or of a route, beyond a limit of the peer. */
enum cfg_beyond { CFG_BEYOND_NONE, CFG_BEYOND_DOWN, CFG_BEYOND_RESET, CFG_BEYOND_IGNORED };
/* What we ask the provider to do with traffic toward us. AUTO follows the tier of `paths`: the
 * first high, the second medium, all others low; high where there is no path. */
enum cfg_inbound {
	CFG_INBOUND_AUTO,
	CFG_INBOUND_HIGH,
	CFG_INBOUND_MEDIUM,
	CFG_INBOUND_LOW,
	CFG_INBOUND_DRAIN,
	CFG_INBOUND_COUNT
};
/* How a provider is asked: attributes on what we announce. Nothing set: it honours none. */
struct cfg_lever {
	struct cfg_words communities; /* "7224:7100" */
	uint8_t prepend;	      /* our AS number so many times more */
	bool has_med;
	uint32_t med;
};
enum cfg_restart { CFG_RESTART_OFF, CFG_RESTART_HELPER, CFG_RESTART_FULL };
struct cfg_profile; /* profile.h: the provider's rules */

struct cfg_bfd {
	bool enabled;
	bool passive;	      /* speak only when spoken to (RFC 5880 6.1) */
	uint16_t interval_ms; /* both directions */
	uint8_t multiplier;
};

struct cfg_bgp_peer { /* sessions of one family */
	bool present;
	struct cfg_source src;
	struct ip_addr peer;
	struct ip_addr second; /* one more session on the same terms; af 0 = none */
	uint32_t asn;
	uint32_t local_as; /* 0 = the gateway's */
	const char *key;   /* name of the MD5 secret, NULL = none */
	struct cfg_bfd bfd;
	uint16_t keepalive_s, hold_s; /* 0 = FRR's default */
	uint8_t multihop;	      /* 0 = the peer is on the link, TTL 1 */
	uint8_t gtsm;		      /* RFC 5082: at most so many hops away; 0 = off */
	uint8_t allowas_in;	      /* our AS so many times in what is learned; 0 = never */
	bool as_override, passive;
	enum cfg_restart graceful_restart;
	uint32_t max_in, max_out; /* prefixes; 0 = no limit. max_out: the rest waits */
	struct cfg_words raw;	  /* lines for FRR we know nothing of, after "neighbor ADDRESS " */
};

struct cfg_bgp {
	bool present;
	uint32_t asn; /* of both sessions, unless they say otherwise */
	struct cfg_bgp_peer v4, v6;
	struct cfg_filter_list accept; /* default: the zone's prefixes, le 32 / 128 */
	struct cfg_filter_list
		announce; /* default: what `reach` opens; nothing without (RFC 8212) */
	enum cfg_inbound inbound;
	struct cfg_lever levers[CFG_INBOUND_COUNT]; /* the profile's; [AUTO] is not used */
};

/* ---- liveness beyond BFD ---- */
enum cfg_probe_type { CFG_PROBE_STAMP, CFG_PROBE_ICMP, CFG_PROBE_TCP };
struct cfg_probing {		  /* how `probe` is probed */
	enum cfg_probe_type type; /* default icmp */
	uint16_t port;		  /* 862 for STAMP; TCP must say */
	uint16_t rate;		  /* probes a second, 1..1000; default 10 */
	uint8_t buckets;	  /* different source ports in turn: ECMP on the way; default 1 */
	const char *key;	  /* STAMP: name of the HMAC secret (RFC 8762 4.4); NULL = none */
	struct ip_addr source[2]; /* default: the VRF's loopback, else the link's address */
};
struct cfg_slo { /* what a link must keep; 0 = not asked for */
	uint32_t loss_ppm;
	uint16_t p99_ms, jitter_ms;
	uint16_t rise_ms; /* of the median over its own past; default 20 */
};

enum cfg_track { CFG_TRACK_NONE, CFG_TRACK_PROBE };
struct cfg_vrrp { /* RFC 9568, version 3 */
	bool present;
	uint8_t id, priority; /* default 100 */
	uint16_t interval_ms; /* default 1 s; a multiple of 10 ms */
	bool preempt;
	struct cfg_prefix_list address; /* /32 and /128 */
};

enum cfg_encap {
	CFG_ENCAP_ETHER,
	CFG_ENCAP_VXLAN,
	CFG_ENCAP_GENEVE,
	CFG_ENCAP_GRE,
	CFG_ENCAP_IPIP,
	CFG_ENCAP_IPSEC,
};
enum cfg_inner { CFG_INNER_ETHER, CFG_INNER_IP };
enum cfg_df { CFG_DF_SET, CFG_DF_COPY, CFG_DF_CLEAR };

/* How a tunnel wraps packets, whatever its kind. */
struct cfg_outer {
	enum cfg_inner inner; /* resolved: VXLAN Ethernet, GRE, IPIP and IPsec IP */
	uint32_t key;	      /* GRE's, RFC 2890; 0 = none */
	bool checksum;	      /* GRE: sent with one */
	bool udp6_checksum;   /* VXLAN, GENEVE over IPv6: sent with one instead of 0 */
	uint8_t ttl;	      /* of outer packets */
	uint8_t dscp;	      /* of outer packets: config_dscp() */
	enum cfg_df df;	      /* of outer IPv4 packets */
	bool clamp;	      /* TCP's MSS is lowered to what fits */
};

enum cfg_initiator { CFG_INITIATOR_AUTO, CFG_INITIATOR_US, CFG_INITIATOR_THEM };
enum cfg_sa_algorithm { /* of static SAs; names in keys_ipsec.c, sizes in ipsec.c */
	CFG_SA_NONE,
	CFG_SA_AES128_GCM,
	CFG_SA_AES256_GCM,
	CFG_SA_AES128_SHA1,
	CFG_SA_AES128_SHA256,
	CFG_SA_AES256_SHA256,
	CFG_SA_AES256_SHA384,
	CFG_SA_AES256_SHA512,
};

struct cfg_sa { /* one direction of a tunnel without IKE */
	uint32_t spi;
	const char *key; /* name of the secret: hex digits, cipher's key and then the hash's */
};

/* How a tunnel gets its keys. What neither the link nor its profile says is resolved by
 * resolve_ipsec.c: proposals are strongSwan's words, best first. */
struct cfg_keying {
	const char *key;		  /* name of the pre-shared key; NULL: static SAs */
	const char *local_id, *remote_id; /* resolved: the tunnel's ends */
	struct cfg_words ike, esp;
	uint32_t ike_lifetime_s, esp_lifetime_s;
	uint32_t rekey_s; /* new keys so long before the end */
	uint32_t dpd_s;
	uint64_t esp_lifetime_kbytes; /* 0 = by time only */
	uint32_t replay;
	bool esn, nat_t; /* nat_t: ESP in UDP always */
	bool strict;	 /* neither CBC nor SHA-1 nor small groups */
	enum cfg_initiator initiator;
	enum cfg_sa_algorithm algorithm;
	struct cfg_sa in, out;
};

struct cfg_link {
	char name[CFG_NAME_MAX]; /* = kernel interface name, unique in the router */
	struct cfg_source src;
	bool shut;
	const struct cfg_circuit *circuit; /* physical links */
	const struct cfg_link *underlay;   /* tunnels */
	const struct cfg_vrf *vrf;
	const struct cfg_zone *zone;	   /* NULL: an underlay such as "inet" */
	const struct cfg_profile *profile; /* NULL: none given; its values are filled in already */
	const char *profile_name;
	const char *id, *centre;
	const char *connection; /* of which it is one tunnel; NULL: of none */
	uint16_t vlan;		/* inner (or only) VLAN; 0 = untagged */
	uint16_t mtu; /* IP MTU, always resolved: given, or port's, or underlay less overhead */
	struct ip_prefix *address; /* interface addresses, host bits meant */
	unsigned n_address;
	struct ip_addr gateway[2]; /* default route per family: [0] v4, [1] v6; af 0 = none */
	enum cfg_encap encap;
	uint32_t vni; /* VXLAN, GENEVE */
	struct ip_addr remote,
		local;	   /* tunnel ends; local resolved from the underlay's addresses */
	uint16_t udp_port; /* VXLAN, GENEVE; always resolved */
	struct cfg_outer outer;
	struct cfg_keying ipsec;
	struct cfg_bgp bgp;
	struct cfg_prefix_list statics;
	struct ip_addr static_via[2]; /* per family */
	enum cfg_track track;	      /* statics leave the kernel while the probe says bad */
	struct ip_addr probe[2];      /* default: the path's; af 0 = not probed */
	struct cfg_probing probing;   /* default: the path's */
	struct cfg_slo slo;	      /* default: the path's */
	struct cfg_vrrp vrrp;
	bool reflector; /* answers STAMP probes to our addresses */
	struct cfg_given_list given;
};

/* Packets inside, no Ethernet: no neighbours, and a TUN for a kernel interface. */
static inline bool cfg_link_is_plain(const struct cfg_link *link)
{
	return link->encap != CFG_ENCAP_ETHER && link->outer.inner == CFG_INNER_IP;
}

struct cfg_path {		 /* tiers of links to one cloud; ECMP inside a tier */
	char name[CFG_NAME_MAX]; /* = the cloud's */
	struct cfg_source src;
	const struct cfg_zone *zone;
	struct {
		const struct cfg_link **links;
		unsigned n;
	} tiers[CFG_TIERS_MAX];
	unsigned n_tiers;
	struct ip_addr probe[2];
	struct cfg_probing probing;
	struct cfg_slo slo;
};

struct cfg_reach { /* two clouds that may speak to each other, in BGP and in the fast path */
	char name[CFG_NAME_MAX];
	struct cfg_source src;
	const struct cfg_zone *between[2];
};

struct config {
	struct cfg_gateway gateway;
	struct cfg_defaults defaults;
	enum cfg_routing routing;
	const char *profiles;	   /* pinned version of the profiles */
	struct cfg_profile *known; /* shipped ones and own ones over them, by name */
	unsigned n_known;
	struct cfg_port *ports;
	unsigned n_ports;
	struct cfg_vrf *vrfs;
	unsigned n_vrfs;
	struct cfg_zone *zones;
	unsigned n_zones;
	struct cfg_circuit *circuits;
	unsigned n_circuits;
	struct cfg_link *links;
	unsigned n_links;
	struct cfg_path *paths;
	unsigned n_paths;
	struct cfg_reach *reach;
	unsigned n_reach;
	uint8_t digest[32];    /* SHA-256 over every file read, in order: same files, same digest */
	struct cfg_pool *pool; /* owns all of the above */
};

/* ---- errors ---- */
struct cfg_error {
	const char *file; /* NULL when no file is to blame */
	unsigned line;
	bool warning;
	const char *key;  /* dotted, "links.aws-dx1.vlan", or NULL */
	const char *text; /* what is wrong, and what to do */
};

struct cfg_errors {
	struct cfg_error *items;
	unsigned n;	  /* bounded: after CFG_ERRORS_MAX one line says how many more */
	unsigned n_fatal; /* errors, without warnings */
	struct cfg_pool *pool;
	unsigned n_more; /* not shown, beyond CFG_ERRORS_MAX */
};

void cfg_errors_free(struct cfg_errors *errors);
/* "file:line: key: text", one line each. */
void cfg_errors_print(const struct cfg_errors *errors, FILE *out);

/* ---- load ---- */
/* Read, parse and check PATH with everything it includes. Returns the configuration, or NULL when
 * there was any error; *ret_errors is filled in both cases (warnings) and must be freed. Reads only
 * files below PATH's folder. May be called from any one thread at a time (libconfig keeps an
 * include state). */
struct config *config_load(const char *path, struct cfg_errors *ret_errors);
void config_free(struct config *config);

const struct cfg_link *config_link(const struct config *config, const char *name);
const struct cfg_vrf *config_vrf(const struct config *config, const char *name);
/* Path and tier (0 = best) of a link; NULL and 0 when no path names it. */
const struct cfg_path *config_path_of(
	const struct config *config, const struct cfg_link *link, unsigned *ret_tier);

/* Bytes that the tunnel adds to a packet; 0: no tunnel. IPsec: the most of its proposals, padding
 * of the largest packet included, given the underlay's MTU. */
unsigned config_overhead(const struct cfg_link *link, unsigned underlay_mtu);
/* The largest packet inside of ESP in tunnel mode, of the worst proposal of these; 0: none fits. */
unsigned config_esp_room(
	const struct cfg_words *esp, unsigned outer_mtu, bool outer_ip6, bool nat_t);
/* Is ESP sent in UDP? It is forced, or we send from a private address to a public one. */
bool config_nat_t(const struct cfg_link *link);
/* What tells charon's and the kernel's SAs of this link from others': never 0. */
uint32_t config_if_id(const struct cfg_link *link);

/* The keys of a static SA, from its file. 0, -errno of reading, -EINVAL: not this algorithm's. */
struct cfg_sa_keys {
	uint8_t key[36], auth[64];
	unsigned key_len, auth_len; /* key: GCM's with four octets of salt */
};
int config_sa_keys(const struct config *config, const struct cfg_link *link,
	const struct cfg_sa *sa, struct cfg_sa_keys *ret_keys);
/* 0..63, or CFG_DSCP_COPY: that of the packet inside. */
#define CFG_DSCP_COPY 0xff
uint8_t config_dscp(const struct cfg_outer *outer);

/* May packets, and BGP, go between these two? A zone reaches itself unless it is a partner; what
 * belongs to no zone (NULL) reaches what belongs to none. */
bool config_reaches(
	const struct config *config, const struct cfg_zone *a, const struct cfg_zone *b);

/* Where the list says key, or NULL. */
const struct cfg_source *config_given(const struct cfg_given_list *list, const char *key);

/* Every value in force on a link, in the order of the tables: key, value as a file would have it,
 * and where it is from ("lintas.conf:31", "profile aws-dx-transit 2026.11", "path aws",
 * "default"); then what the profile demands, its keys with "profile." in front. 0 or -ENOMEM. */
typedef void config_effective_fn(void *arg, const char *key, const char *value, const char *origin);
int config_effective(const struct config *config, const struct cfg_link *link,
	config_effective_fn *callback, void *arg);
/* All that a profile says; keys begin with "profile.". */
int config_profile_values(const struct config *config, const struct cfg_profile *profile,
	config_effective_fn *callback, void *arg);

/* Write the configuration as it is in force, defaults filled in, secrets named but never shown. */
void config_print(const struct config *config, FILE *out);

/* ---- difference ---- */
enum cfg_object {
	CFG_GATEWAY,
	CFG_DEFAULTS,
	CFG_PORT,
	CFG_VRF,
	CFG_ZONE,
	CFG_CIRCUIT,
	CFG_LINK,
	CFG_PATH,
	CFG_REACH
};
enum cfg_change { CFG_ADD, CFG_DEL, CFG_MOD };

struct cfg_op {
	enum cfg_change change;
	enum cfg_object object;
	char name[CFG_NAME_MAX];
	const void *before, *after; /* into the two configs; NULL where there is none */
	const char *what;	    /* keys that differ, "mtu 1460->1500, vlan 101->102" */
	bool restart; /* cannot be applied live (workers, memory, a port's device or queues) */
};

struct cfg_diff {
	struct cfg_op *
		ops; /* in an order that can be applied: deletions of users first, additions last */
	unsigned n;
	struct cfg_pool *pool;
};

/* Both configs must outlive the diff; before may be NULL (everything is added). 0 or -ENOMEM. */
int config_diff(const struct config *before, const struct config *after, struct cfg_diff *ret_diff);
void cfg_diff_free(struct cfg_diff *diff);

/* Key table as lintas.conf(5), roff. */
void config_man(FILE *out);

#endif
