/* The one interface between control and fast path.
 *
 * control/ and tools/ include nothing else from this folder; nothing here includes control/. All
 * calls are made by one thread, the control thread, unless a comment says otherwise; none of them
 * waits for a worker. Indexes (port, VRF, link, adjacency, group) are chosen by the caller, dense
 * and small; index 0 of link, adjacency and group is reserved. Three kinds of publication, each by
 * one store:
 *   - the snapshot (dp_publish): ports' and links' shape, read once per vector;
 *   - the FIB (dp_fib_*): incremental, prefix -> path group;
 *   - path groups and adjacencies (dp_group_set, dp_adj_set): replaced whole, by index.
 * What they replace is freed by dp_reclaim() once every worker has passed a quiescent state.
 * Errors are 0 or -errno; nothing is ever half-applied. */
#ifndef LINTAS_DATAPLANE_H
#define LINTAS_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/ip.h"

#define DP_NAME_MAX    16
#define DP_PORTS_MAX   32 /* members of LAGs are counted too */
#define DP_LAG_MAX     8  /* members of one LAG */
#define DP_DRIVERS_MAX 8
#define DP_WORKERS_MAX 16
#define DP_VRFS_MAX    256
#define DP_LINKS_MAX   1024
#define DP_ZONES_MAX   256
#define DP_ADJS_MAX    65536
#define DP_GROUPS_MAX  65536
#define DP_VIRTUAL_MAX 16  /* virtual addresses of one link */
#define DP_LEGS_MAX    64  /* of one path group */
#define DP_BUCKETS     256 /* of a path group with more than one leg */
#define DP_NONE	       UINT16_MAX

/* ---- start and stop ---- */
struct dp_port_conf {
	char name[DP_NAME_MAX];
	char device[128]; /* PCI address or vdev string */
	uint16_t mtu; /* IP bytes wanted; the device may refuse: dp_port_info tells what it took */
	uint16_t queues; /* rx queues wanted */
	/* Instead of a device: the devices of a link aggregation, and how many of them it takes. */
	char members[DP_LAG_MAX][128];
	uint8_t n_members, min_links;
};

struct dp_conf {
	struct dp_port_conf ports[DP_PORTS_MAX]; /* index = port number from here on; members of
						    LAGs are numbered behind them */
	unsigned n_ports;
	uint8_t cpus[DP_WORKERS_MAX]; /* one worker each */
	unsigned n_workers;
	bool adaptive;			     /* poll mode: nap up to 100 us when idle; else busy */
	bool hugepages;			     /* false: --no-huge */
	uint32_t packet_buffers;	     /* per port; 0 = computed */
	const char *drivers[DP_DRIVERS_MAX]; /* DPDK plug-ins to load, files */
	unsigned n_drivers;
};

/* Starts EAL, pools, ports, the workers and the punt thread. On failure nothing is left running and
 * err (a line of at most len bytes: need, have, what to do) says why. Call once in a process. */
int dp_start(const struct dp_conf *conf, char *err, size_t len);
/* Workers finish their vector, ports stop; returns within a second. */
void dp_stop(void);

/* ---- ports ---- */
struct dp_port_info {
	char name[DP_NAME_MAX], device[128], driver[32];
	uint8_t mac[6];
	bool up;
	uint32_t speed_mbps; /* 0 = unknown */
	uint16_t mtu, rx_queues, tx_queues;
	int owner; /* worker that transmits for all (too few tx queues), or -1 */
	int lag;   /* a member's LAG, or -1; a LAG's figures are the sums over its members */
	uint64_t rx_packets, rx_bytes, rx_missed, rx_errors, rx_nombuf, tx_packets, tx_bytes,
		tx_errors;
	unsigned buffers, buffers_in_use;
};

int dp_port_info(unsigned port, struct dp_port_info *ret_info);

/* Light and error correction, where the driver knows. Any thread, and not the control thread: a
 * transceiver takes milliseconds to answer. */
#define DP_LANES_MAX 4
struct dp_optics {
	bool light_known;
	unsigned lanes;
	float rx_dbm[DP_LANES_MAX], tx_dbm[DP_LANES_MAX]; /* -40: none; tx NAN: not measured */
	float rx_low_dbm; /* the module's own alarm; -40: it has none */
	const char *fec;  /* "RS", "BASE-R", "auto", "off"; NULL: unknown */
};
int dp_port_optics(unsigned port, struct dp_optics *ret_optics);

/* Tags that came in on a port and that no link has, last seen first; returns how many. Untagged IP
 * has n_tags 0. Bounded: of many different ones the latest are kept. */
#define DP_STRAYS_MAX 16
struct dp_stray {
	uint8_t n_tags;
	uint16_t tpid, vid[2]; /* tpid: of the outer tag */
	uint64_t packets, age_ms;
};
unsigned dp_port_strays(unsigned port, struct dp_stray ret_strays[DP_STRAYS_MAX]);

/* ---- link aggregation ---- */
/* A LAG is a port; its members are ports of their own that only LACP speaks on. A member takes part
 * when control says so, and leaves the distribution by itself when its carrier goes: control has to
 * let it in again. The LAG has carrier while at least min_links members distribute. */
struct dp_lag_member {
	uint16_t port; /* for dp_port_info */
	bool collecting, distributing;
	uint16_t slots; /* of 256 that flows fall into */
};

struct dp_lag_info {
	uint8_t n_members, min_links;
	struct dp_lag_member members[DP_LAG_MAX];
};

int dp_lag_info(unsigned port, struct dp_lag_info *ret_info); /* -ENOENT: no LAG */
/* Bit = member. What is received on a member that does not collect is dropped. */
int dp_lag_set_members(unsigned port, uint32_t collecting, uint32_t distributing);

/* Slow protocols (IEEE 802.3 57A): LACP and marker frames of members, whole Ethernet frames. */
#define DP_SLOW_MAX 126

struct dp_slow {
	uint16_t port; /* the LAG */
	uint16_t member;
	uint16_t len; /* what is beyond DP_SLOW_MAX is cut */
	uint8_t bytes[DP_SLOW_MAX];
};

int dp_slow_fd(void); /* readable while there is one; bounded, oldest kept */
bool dp_slow_next(struct dp_slow *ret_slow);
/* -ENOBUFS: no room; -ENETDOWN: the member has no carrier. */
int dp_slow_send(const struct dp_slow *slow);

/* ---- snapshot: links ---- */
enum dp_encap {
	DP_ENCAP_ETHER,
	DP_ENCAP_VXLAN,	 /* RFC 7348: Ethernet inside UDP */
	DP_ENCAP_GENEVE, /* RFC 8926: Ethernet or IP inside UDP */
	DP_ENCAP_GRE,	 /* RFC 2784, 2890: IP inside IP protocol 47 */
	DP_ENCAP_IPIP,	 /* RFC 2003, 2473, 4213: IP inside IP */
	DP_ENCAP_ESP,	 /* RFC 4303, tunnel mode; keys: dp_sa_set */
};

enum dp_df { DP_DF_SET, DP_DF_COPY, DP_DF_CLEAR }; /* of an outer IPv4 header */

#define DP_DSCP_COPY 0xff

/* A tunnel link (any encap but ETHER): found by (underlay VRF, local, remote) and, by kind, UDP
 * port and VNI, or GRE's key. Its inner packets are Ethernet frames (VXLAN; GENEVE with
 * inner_ether) or plain IP: then the link's kernel interface is a TUN, it has no neighbours, and a
 * FORWARD adjacency needs no MAC. */
struct dp_tunnel {
	uint16_t underlay_vrf;
	struct ip_addr local, remote; /* of one family */
	uint32_t underlay_adj; /* adjacency toward remote; 0 = unresolved: packets are dropped by
				  name */
	uint32_t vni;	       /* VXLAN, GENEVE; GRE: its key, if keyed */
	uint16_t udp_port;     /* VXLAN, GENEVE: a port is one kind's in all VRFs, and 4500 ESP's */
	bool inner_ether;      /* VXLAN: true */
	bool keyed;    /* GRE: RFC 2890's key; what comes must have exactly this one, or none */
	bool checksum; /* GRE: the optional checksum is sent; UDP over IPv6: a checksum instead of
			  0; what comes with a checksum is verified in any case */
	uint8_t ttl;   /* of outer packets; 0 = 64 */
	uint8_t dscp;  /* of outer packets, or DP_DSCP_COPY; ECN follows RFC 6040 in any case */
	uint8_t df;    /* enum dp_df */
	uint16_t mss4, mss6; /* TCP's MSS is lowered to this, both directions; 0 = left alone */
};

struct dp_link {
	uint16_t id; /* 1..DP_LINKS_MAX-1, stable for as long as the link exists: counters hang on
			it */
	char name[DP_NAME_MAX];
	uint16_t vrf;
	uint8_t encap;			   /* enum dp_encap */
	bool up;			   /* administratively; carrier is the port's */
	uint8_t zone;			   /* whose it is; 0 = nobody's */
	uint64_t reach[DP_ZONES_MAX / 64]; /* a bit a zone: where packets of this link may go. The
					      same for every link of a zone */
	uint8_t mac[6];			   /* equal to the port's for Ethernet links */
	uint16_t mtu;			   /* largest IP packet */
	int tap; /* descriptor of its kernel interface (IFF_TAP|IFF_NO_PI), or -1; not owned */
	struct ip_addr src4,
		src6; /* what our ICMP errors are sent from; af 0 = 192.0.0.8 / none sent */
	/* Ethernet links */
	uint16_t port;
	uint8_t n_tags; /* 0, 1, 2; outer first */
	uint16_t tpid[2], vid[2];
	/* VRRP on an Ethernet link: `active` by family, IPv4 first: the virtual MAC is ours, and
	 * the addresses, those of active families, are told with it */
	uint8_t vrid; /* its advertisements have a punt class of their own; 0 = VRRP does not run */
	bool active[2];
	uint8_t n_virtual;
	struct ip_addr virtual_addr[DP_VIRTUAL_MAX];
	struct dp_tunnel tunnel; /* any encap but ETHER */
};

/* What fits into a tunnel now: the link's MTU, or less where a router of the underlay said so (RFC
 * 1191, 8201); forgotten after ten minutes, DP_EV_MTU both times. 0: no such tunnel, or unresolved;
 * ESP: or no SA in use, whose cipher is part of it. */
uint16_t dp_tunnel_mtu(uint16_t link);

/* Replace the set of links. The array is copied. -EINVAL and nothing changed when two links claim
 * the same packets, an id repeats or an index is out of range. Counters of ids that vanish are
 * zeroed at reuse. */
int dp_publish(const struct dp_link *links, unsigned n);

/* ---- VRFs and the FIB ---- */
int dp_vrf_add(unsigned vrf); /* two empty FIBs: every lookup answers "no route" */
int dp_vrf_del(unsigned vrf); /* routes go with it */
/* Add or replace. A group may be used by any number of prefixes. -ENOSPC, -ENOMEM: FIB unchanged.
 */
int dp_fib_set(unsigned vrf, const struct ip_prefix *prefix, uint32_t group);
int dp_fib_del(unsigned vrf, const struct ip_prefix *prefix); /* -ENOENT */
/* What a packet to addr would hit, in the structure the workers read; 0 = no route. */
uint32_t dp_fib_lookup(unsigned vrf, const struct ip_addr *addr);

struct dp_fib_info {
	uint64_t routes4, routes6;
	uint64_t lookup_bytes;	/* what workers read */
	uint64_t control_bytes; /* the control copy */
};

int dp_fib_info(unsigned vrf, struct dp_fib_info *ret_info);

/* ---- adjacencies and path groups ---- */
enum dp_adj_kind {
	DP_ADJ_NONE,	    /* no route: ICMP unreachable, net */
	DP_ADJ_LOCAL,	    /* an address of ours: tunnel endpoint or punt */
	DP_ADJ_BLACKHOLE,   /* silent */
	DP_ADJ_UNREACHABLE, /* ICMP unreachable, host */
	DP_ADJ_PROHIBIT,    /* ICMP unreachable, administratively prohibited */
	DP_ADJ_GLEAN,	  /* on link `link`, neighbour not known: hold the packet, report the miss.
			     nexthop     af 0 = the packet's own destination is the neighbour */
	DP_ADJ_FORWARD,	  /* neighbour known: prepend header, send */
	DP_ADJ_FAILED,	  /* neighbour does not answer: ICMP unreachable, address */
	DP_ADJ_BROADCAST, /* subnet broadcast: local copy only, never forwarded */
};

struct dp_adj {
	uint8_t kind;
	uint16_t link; /* egress link: GLEAN, FORWARD, FAILED, BROADCAST */
	struct ip_addr nexthop;
	uint8_t mac[6]; /* FORWARD: of the neighbour (the inner one on a tunnel link) */
};

/* The header is built here from the link's shape in the last snapshot; a tunnel's from its
 * underlay_adj. After dp_publish changed a link, or dp_adj_set an underlay adjacency, set what
 * depends on it again. */
int dp_adj_set(uint32_t adj, const struct dp_adj *a);
int dp_adj_del(uint32_t adj); /* -EBUSY never: the caller orders group, FIB, then adjacency */

struct dp_adj_info {
	struct dp_adj adj;
	uint16_t port, mtu;
	uint16_t header_len;
	uint8_t header[128]; /* exactly what is prepended; Ethernet type 0 where it depends on the
				packet */
};

int dp_adj_info(uint32_t adj, struct dp_adj_info *ret_info);

struct dp_leg {
	uint64_t key; /* identity that survives its adjacency's index: rendezvous ranks by it */
	uint32_t adj;
	uint16_t weight; /* 1..65535 */
	uint8_t tier;	 /* 0 = used first */
	bool alive;
};

/* Replace a group whole. Buckets are a pure function of {(key, weight)} and of which legs of the
 * best living tier are alive; with none alive every packet meets the best tier's first adjacency.
 */
int dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n);
int dp_group_del(uint32_t group);

struct dp_group_info {
	struct dp_leg legs[DP_LEGS_MAX];
	uint16_t buckets_of[DP_LEGS_MAX]; /* how many buckets each leg owns */
	unsigned n_legs, n_buckets;	  /* 1 bucket: single leg */
};

int dp_group_info(uint32_t group, struct dp_group_info *ret_info);
/* The bucket a flow takes; ports may be 0. For `route get ... from`. */
int dp_group_bucket(uint32_t group, const struct ip_addr *src, const struct ip_addr *dst,
	uint8_t proto, uint16_t sport, uint16_t dport, unsigned *ret_bucket, uint32_t *ret_adj);

/* ---- path probes (probe.c) and the STAMP reflector (reflector.c) ----
 * A stream sends probes in turn from `buckets` ports (or ICMP ids) of ours, so that the ways of an
 * ECMP on the path are all met, and judges each probe once: answered, or lost after the timeout. */
#define DP_PROBES_MAX		2048
#define DP_PROBE_BUCKETS_MAX	64
#define DP_PROBE_PORT_MIN	61000			    /* above the ports Linux gives out */
#define DP_PROBE_PORTS		(65536 - DP_PROBE_PORT_MIN) /* all buckets of one type */
#define DP_PROBE_RATE_MAX	1000
#define DP_PROBE_TIMEOUT_MAX_MS 3000

enum dp_probe_type { DP_PROBE_STAMP, DP_PROBE_ICMP, DP_PROBE_TCP, DP_PROBE_TYPES };

struct dp_probe {
	uint8_t type;
	uint8_t buckets;
	uint16_t rate; /* a second, of all buckets together */
	uint16_t vrf, link;
	uint16_t port; /* far one; not for ICMP */
	struct ip_addr src, dst;
	const void *key; /* STAMP, authenticated; not kept */
	size_t key_len;
};

/* Begin or begin anew, counters at zero; it stands still until dp_probe_way. -ENOSPC: no ports. */
int dp_probe_set(unsigned probe, const struct dp_probe *conf);
int dp_probe_del(unsigned probe); /* -ENOENT */
/* By which adjacency; 0: none, every probe is lost. */
int dp_probe_way(unsigned probe, uint32_t adj, uint16_t timeout_ms);

enum dp_probe_fate { DP_PROBE_ANSWERED, DP_PROBE_LOST };
struct dp_probe_outcome {
	uint8_t fate, bucket;
	uint32_t rtt_us;
};

/* Probes that were judged since *cursor (0 = the first), oldest first; *cursor moves. Returns how
 * many; what was overwritten before it was read is skipped. */
unsigned dp_probe_read(
	unsigned probe, uint32_t *cursor, struct dp_probe_outcome *ret_outcomes, unsigned max);

struct dp_probe_stats {	       /* of one bucket */
	uint64_t sent, unsent; /* unsent: of them, the adjacency did not forward: never lost */
	uint64_t received, lost, late, duplicate, reordered;
	uint64_t refused;  /* to the right port from the right address, and not an answer of ours */
	uint64_t quiet_ns; /* since the last answer, or since it began */
	uint16_t port;	   /* our port or ICMP id */
};

int dp_probe_stats(unsigned probe, unsigned bucket, struct dp_probe_stats *ret_stats);

/* Answer STAMP on this link (RFC 8762 4.3); with a key only what is authenticated by it. */
int dp_reflector_set(uint16_t link, bool on, const void *key, size_t key_len);
uint64_t dp_reflector_count(uint16_t link); /* probes answered */

/* ---- events: from workers and the punt thread to control ---- */
enum dp_event_kind {
	DP_EV_PORT_UP,
	DP_EV_PORT_DOWN,
	DP_EV_NEIGH_MISS,
	DP_EV_MEMBER_UP, /* the carrier of a LAG's member */
	DP_EV_MEMBER_DOWN,
	DP_EV_BFD,
	DP_EV_SHED_ON, /* the port loses frames: data is dropped early, control survives */
	DP_EV_SHED_OFF,
	DP_EV_SA,  /* session: the SA whose state is no longer LIVE */
	DP_EV_MTU, /* link: a tunnel whose underlay carries less than thought: see dp_tunnel_mtu */
};

struct dp_event {
	uint8_t kind;
	uint16_t port;	  /* PORT_*, MEMBER_*: the LAG */
	uint16_t link;	  /* NEIGH_MISS; MEMBER_*: which member */
	uint16_t session; /* BFD: its state changed; several changes may be told as one, none is
			     lost */
	struct ip_addr addr;
	uint8_t zeros[3];
};

int dp_event_fd(void); /* readable while there is one; bounded, oldest kept */
bool dp_event_next(struct dp_event *ret_event);
/* A neighbour's fate is known: packets held for it are sent (ok) or answered with unreachable. */
void dp_hold_release(uint16_t link, const struct ip_addr *addr, bool ok);

/* ---- BFD: single-hop sessions (RFC 5880, 5881), each run by one worker ---- */
#define DP_BFD_MAX 1024

enum dp_bfd_state { DP_BFD_ADMIN_DOWN, DP_BFD_DOWN, DP_BFD_INIT, DP_BFD_UP }; /* as on the wire */
enum dp_bfd_diag { /* RFC 5880 4.1: those that we set ourselves */
	DP_BFD_NO_DIAG,
	DP_BFD_EXPIRED = 1,
	DP_BFD_NEIGHBOR_DOWN = 3,
	DP_BFD_ADMINISTRATIVE = 7,
};

enum dp_bfd_reject {
#define BFD_REJECT(name, text, rfc) DP_BFD_REJECT_##name,
#include "bfd.def"
#undef BFD_REJECT
	DP_BFD_REJECT_COUNT
};
extern const char *const dp_bfd_reject_names[DP_BFD_REJECT_COUNT];

struct dp_bfd {
	uint16_t link;
	struct ip_addr local, peer;
	uint32_t adj;	/* toward peer on link; while it is not FORWARD nothing is sent */
	uint32_t discr; /* ours; not 0, unique */
	uint32_t min_tx_us, min_rx_us;
	uint8_t multiplier; /* >= 1 */
	bool passive;	    /* silent until the peer speaks */
	bool shut;	    /* administratively down */
};

/* A session at an index below DP_BFD_MAX; replace to change timers, adjacency or `shut`. Another
 * link, address or discriminator makes it another session. One session for a (link, peer): -EEXIST.
 * The first packet of an active session is sent after 0.75 to 1 s; a peer that until then says it
 * is up with us (we were restarted) is taken at its word, and so is the discriminator it uses. */
int dp_bfd_set(unsigned session, const struct dp_bfd *conf);
int dp_bfd_del(unsigned session); /* a peer that is up is told: administratively down */

struct dp_bfd_info {
	struct dp_bfd conf;
	unsigned worker;
	uint8_t state, diag, remote_state, remote_diag, remote_multiplier;
	uint32_t discr; /* ours, as it is on the wire */
	uint32_t remote_discr, remote_min_tx_us, remote_min_rx_us, remote_echo_us;
	uint64_t tx_us, detect_us; /* as they are in force; detect_us 0: not known yet */
	uint64_t longest_us;	   /* longest silence while up */
	uint64_t silence_us;	   /* since the last packet when it last went down */
	uint64_t since_us;	   /* in this state for so long */
	uint64_t ups, downs, rx, tx, rx_bytes, tx_bytes;
	uint64_t unsent; /* no adjacency, or no buffer */
	uint64_t rejected[DP_BFD_REJECT_COUNT];
};

int dp_bfd_info(unsigned session, struct dp_bfd_info *ret_info); /* -ENOENT, -EAGAIN: just set */

/* Free what no worker can still see; never waits. Call often (a timer, and after bursts). */
void dp_reclaim(void);

/* ---- memory of the tables ---- */
struct dp_memory {
	unsigned vrfs, links, adjacencies, groups;
	uint64_t routes;		      /* of all VRFs, both families */
	uint64_t lookup_bytes, control_bytes; /* of all FIBs: what workers read, control's copy */
	uint64_t vrf_bytes;		      /* of all VRFs beside their FIBs */
	uint64_t link_bytes;		      /* the snapshot: links, and how packets find them */
	int64_t counter_bytes; /* the part of all threads' matrices that is written; < 0: not known
				*/
	uint64_t adjacency_bytes, group_bytes; /* their tables too */
};

void dp_memory(struct dp_memory *ret_memory);

/* ---- counters: any thread ---- */
struct dp_count {
	uint64_t packets, bytes; /* bytes: IP length, without layer 2 and outer headers */
};

enum dp_drop {
#define DROP(name, severity, text, rfc) DP_DROP_##name,
#include "drops.def"
#undef DROP
	DP_DROP_COUNT
};

struct dp_drop_desc {
	const char *name, *severity, *text, *rfc;
};
extern const struct dp_drop_desc dp_drop_desc[DP_DROP_COUNT];

uint64_t dp_drop_count(enum dp_drop reason);
uint64_t dp_link_drop_count(
	uint16_t link, enum dp_drop reason); /* by ingress link; 0 = before a link was known */
struct dp_count dp_pair_count(
	uint16_t in, uint16_t out);	   /* the matrix; link 0 = this router itself */
struct dp_count dp_link_rx(uint16_t link); /* a row's sum, and what was punted or dropped */
struct dp_count dp_link_tx(uint16_t link); /* a column's sum */

/* ---- IPsec: security associations (RFC 4303, tunnel mode, UDP encapsulation of RFC 3948) ----
 * Each is worked on by one worker, its owner; others hand packets over. A link sends by the SA that
 * dp_sa_use names; without one nothing leaves (tun_no_sa), never in clear. Inbound SAs of a link
 * may be several: what arrives is accepted by (underlay VRF, local, SPI) until the SA is deleted.
 */
#define DP_SAS_MAX     4096
#define DP_SA_KEY_MAX  36 /* AES-256-GCM with its salt */
#define DP_SA_AUTH_MAX 64
#define DP_REPLAY_MAX  4096

enum dp_cipher { DP_CIPHER_AES_GCM, DP_CIPHER_AES_CBC, DP_CIPHER_NULL };
enum dp_auth { DP_AUTH_NONE, DP_AUTH_SHA1, DP_AUTH_SHA256, DP_AUTH_SHA384, DP_AUTH_SHA512 };

struct dp_sa {
	uint16_t link; /* an ESP link: the packets' own link */
	bool inbound;
	uint32_t spi;			/* host order; below 256 is refused */
	uint16_t udp_local, udp_remote; /* NAT-T: ports; 0 = plain ESP */
	uint8_t cipher, auth;		/* GCM: auth NONE; GCM's ICV: 16 octets */
	uint8_t key_len, auth_len;	/* octets; GCM: key and 4 octets of salt */
	uint8_t key[DP_SA_KEY_MAX], auth_key[DP_SA_AUTH_MAX];
	bool esn;
	uint16_t replay; /* window, packets: 0 = not checked, else 64 to DP_REPLAY_MAX */
	uint64_t seq;	 /* outbound: last number used; inbound: top of the window */
	/* News (DP_EV_SA) when this much has passed; 0 = never. Hard: the SA stops working. */
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
};

/* The ciphers' drivers, once: wanted by dp_sa_set, which calls it too, but does not say what is
 * missing. -ENOTSUP, -ENOMEM, and a line in err: need, have, what to do. */
int dp_esp_start(char *err, size_t len);
/* At an index below DP_SAS_MAX, which is free or holds the same SA (spi, direction, keys): then
 * limits and ports are replaced. Keys are copied and wiped on delete. -EBUSY: the index holds
 * another; -EEXIST: another inbound SA has this (VRF, local, SPI); -ENOTSUP: algorithm or its key's
 * length, or a local port but 4500; -ENOENT: no such link. Ends are those the link has now: after a
 * dp_publish that changes them, delete and set. */
int dp_sa_set(unsigned sa, const struct dp_sa *conf);
int dp_sa_del(unsigned sa);
/* The outbound SA of a link from the next vector on; -1: none. -EINVAL: not one of this link. */
int dp_sa_use(uint16_t link, int sa);

/* HARD: a limit or the sequence ended; SOFT also when an eighth of the sequence is left. */
enum dp_sa_state { DP_SA_LIVE, DP_SA_SOFT, DP_SA_HARD };

struct dp_sa_info {
	struct dp_sa conf; /* keys are left out */
	unsigned worker;
	uint8_t state;
	struct dp_count through; /* IP bytes inside */
	uint64_t seq;		 /* last sent, or highest received */
	uint64_t used_ns;	 /* since the last packet; UINT64_MAX: never */
	uint64_t bad_icv, replayed, bad_pad, wrapped;
};

int dp_sa_info(unsigned sa, struct dp_sa_info *ret_info); /* -ENOENT */

enum dp_punt_class { /* order = priority */
#define PUNT(name, text, budget, ring) DP_PUNT_##name,
#include "punt.def"
#undef PUNT
	DP_PUNT_COUNT
};

struct dp_punt_desc {
	const char *name, *text;
	uint32_t budget_pps;
	uint32_t ring; /* frames of one worker that may wait */
};
extern const struct dp_punt_desc dp_punt_desc[DP_PUNT_COUNT];
struct dp_punt_stats {
	uint64_t to_kernel, dropped, from_kernel;
};
int dp_punt_stats(enum dp_punt_class class, struct dp_punt_stats *ret_stats);

/* ---- stages: one table, in packet order ---- */
struct dp_stage_desc {
	const char *name, *file, *text;
};
extern const struct dp_stage_desc dp_stage_desc[];
extern const unsigned dp_stage_count;

struct dp_worker_stats {
	unsigned cpu;
	uint64_t vectors, packets; /* packets / vectors = mean vector size */
	uint64_t polls, idle_polls, naps;
	uint64_t handed_over;			   /* to another worker by ring */
	uint64_t sampled_vectors, sampled_packets; /* one vector in 256 is timed */
	uint64_t disturbed_vectors; /* timed, but not in the above: they took over a millisecond, so
				       the CPU was somebody else's */
	uint64_t stage_cycles[16];  /* of the sampled packets, by stage, less clock_cycles a reading
				     */
	unsigned clock_cycles;	    /* what reading the clock costs, measured at start */
};

int dp_worker_stats(unsigned worker, struct dp_worker_stats *ret_stats); /* -ENOENT past the last */

#endif
