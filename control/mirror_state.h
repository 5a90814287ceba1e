/* What the mirror's own files share: the kernel's objects as we know them, a VRF's mirror, and who
 * handles which message. Nobody else includes this. Control thread only. */
#ifndef LINTAS_MIRROR_STATE_H
#define LINTAS_MIRROR_STATE_H

#include <linux/neighbour.h>
#include "legs.h"
#include "mirror.h"
#include "netlink.h"
#include "rib.h"

#define MS		    1000000ull
#define MIRROR_TICK_MS	    100
#define MIRROR_NEIGHS_MAX   65536u /* of one VRF; the kernel's own limit is lower */
#define MIRROR_NEXTHOPS_MAX 65536u
#define MIRROR_IFACES_MAX   8192u
/* Notifications waiting for a dump to end, all VRFs together. */
#define MIRROR_QUEUE_BYTES_MAX (64u << 20)
#define NEIGH_ASKS_PER_S       100 /* a link's cap for unknown hosts, and as many for gateways */

/* In the order they are dumped; a notification waits only while its own class is being dumped. */
enum mirror_class {
	MIRROR_LINK,
	MIRROR_ADDR,
	MIRROR_NEXTHOP,
	MIRROR_NEIGH,
	MIRROR_ROUTE4,
	MIRROR_ROUTE6,
	MIRROR_RULE,
	MIRROR_CLASSES,
};
#define MIRROR_ALL    ((1u << MIRROR_CLASSES) - 1)
#define MIRROR_ROUTES (1u << MIRROR_ROUTE4 | 1u << MIRROR_ROUTE6)

struct ask_bucket { /* tokens of this second */
	uint64_t second;
	unsigned used;
};

struct iface_addr {
	LIST_ENTRY(iface_addr) of_iface;
	struct ip_prefix addr;
	uint16_t gen;
};

struct iface_shape { /* what adjacencies and groups over a link depend on */
	uint64_t digest;
	uint8_t tier;
	bool up;
};

struct iface { /* a kernel interface, or an ifindex that a route names before it appears */
	UT_hash_handle hh; /* by ifindex */
	struct mirror_vrf *mv;
	int ifindex;
	bool known; /* RTM_NEWLINK was seen */
	uint16_t gen;
	unsigned flags;
	char name[CFG_NAME_MAX];
	struct link *link; /* NULL: not one of ours */
	uint16_t link_id;
	bool unpublished; /* not in the fast path's snapshot (yet): tried again every tick */
	struct iface_shape shape;
	LIST_HEAD(, leg) legs;
	LIST_HEAD(, hop) hops;
	LIST_HEAD(, iface_addr) addrs;
	unsigned n_neighs;
	struct ask_bucket misses, gateways;
};

struct neigh_key {
	int ifindex;
	struct ip_addr addr;
};

struct neigh {
	UT_hash_handle hh;
	struct neigh_key key;
	struct iface *iface;
	uint16_t state, gen;
	uint8_t flags;
	uint8_t mac[6];
	bool has_mac, managed;
	bool host; /* has a host route of ours in the RIB */
	uint64_t failed_ns;
};

struct nexthop {
	UT_hash_handle hh;    /* by id */
	struct nl_nexthop nl; /* dead: also when its interface must have taken it along */
	bool placeholder;     /* a route names it, the kernel has not announced it */
	uint16_t gen;
	LIST_HEAD(, nhset) sets;
};

struct chunk;

struct resync {			/* sockets and the state of the dump in progress: resync.c */
	int notify_fd, dump_fd; /* dump_fd: the dumper's */
	struct event *notify_event, *dump_event, *work_event, *due_event;
	enum { RESYNC_IDLE, RESYNC_DUMP, RESYNC_REPLAY, RESYNC_SWEEP } phase;
	enum mirror_class class;
	unsigned want;	  /* classes the next round is to dump */
	unsigned todo;	  /* classes left in this round */
	int want_ifindex; /* routes over this interface only; 0 = all */
	int ifindex;	  /* of this round */
	uint32_t seq;
	bool overrun;	      /* messages were lost; set until the socket has been read empty */
	bool told;	      /* and said so, since the last round began */
	bool broken;	      /* this class' dump cannot be trusted: no sweep, once more */
	unsigned again;	      /* classes of this round for which that was so */
	bool overflow;	      /* notifications of this class were dropped */
	unsigned complete;    /* classes that have been dumped whole, in whatever round */
	bool synced;	      /* all of them have */
	bool audit, auditing; /* only the auditor wants it; so does this round */
	unsigned failures;    /* rounds in a row that have to be repeated */
	uint64_t want_ns, round_ns, last_end_ns, last_duration_ns;
	uint64_t replayed, changes; /* in this round */
	struct chunk *queue_head, *queue_tail;
	uint8_t *buf;
	size_t len, offset;
	struct ip_prefix cursor; /* of the sweep */
};

struct mirror_vrf {
	struct vrf *vrf;
	uint16_t id;
	struct iface *ifaces;
	struct neigh *neighs;
	struct nexthop *nexthops;
	struct rib rib[2]; /* [0] IPv4, [1] IPv6 */
	uint16_t gen[MIRROR_CLASSES];
	uint64_t routes;	    /* of the kernel */
	bool fib_changed;	    /* tunnels may resolve differently */
	struct neigh *review;	    /* from here on, see which host routes stay */
	unsigned rules, rules_seen; /* policy rules that are not mirrored */
	bool dying;
	struct resync sync;
	LIST_ENTRY(mirror_vrf) of_list;
};

LIST_HEAD(mirror_vrfs, mirror_vrf);
extern struct mirror_vrfs mirror_vrfs;
extern struct mirror_stats mirror_counters; /* the cumulative ones */

static inline struct rib *mirror_rib(struct mirror_vrf *mv, uint8_t af)
{
	return &mv->rib[af == AF_INET6];
}

/* ---- mirror.c ---- */
struct mirror_vrf *mirror_of(const struct vrf *vrf); /* NULL: none */
/* Apply one message; dump: as part of one. 0 or -errno (-EBADMSG: it could not be parsed). */
int mirror_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
int mirror_class_of(const struct nlmsghdr *h); /* enum mirror_class or -1 */
/* Every callback ends with this: publishes what became dirty, and comes back for the rest. */
void mirror_settle(uint64_t end_ns);
/* Legs over subject may have died or revived: how long it took to move what is behind them is told
 * when it has moved. */
void mirror_moving(const char *subject, const char *what);
/* Publish groups now, before anything else is read. */
void mirror_urgent(void);

/* mirror_vrf_add() without asking anything of the sockets: they are non-blocking and subscribed
 * already. */
int mirror_attach(struct vrf *vrf, int notify_fd, int dump_fd);

/* ---- dumper.c ---- */
#define DUMP_BYTES_MAX 65536 /* of one piece; the kernel fills 32 KB at most */
/* A thread that reads dumps from kernel_fd, owned from here on if 0 is returned. *ret_fd takes
 * requests and gives pieces; closing it ends the thread. */
int dumper_open(int kernel_fd, int *ret_fd);
/* One at a time; type RTM_GET*. Its last message is NLMSG_DONE or NLMSG_ERROR with this seq. */
int dumper_ask(int fd, uint16_t type, uint8_t af, int ifindex, uint32_t seq);

/* ---- resync.c ---- */
int resync_open(struct mirror_vrf *mv, int notify_fd, int dump_fd);
void resync_close(struct mirror_vrf *mv);
/* Dump these classes again soon; ifindex: only routes over it are in doubt. */
void resync_want(struct mirror_vrf *mv, unsigned classes, int ifindex);
/* The same for all, if nothing is wrong: what it changes is counted. */
void resync_audit(struct mirror_vrf *mv);

/* ---- mirror_link.c ---- */
/* Made when not there; NULL: no memory, full. */
struct iface *iface_get(struct mirror_vrf *mv, int ifindex);
struct iface *iface_find(const struct mirror_vrf *mv, int ifindex);
struct iface *iface_of_link(const struct link *link);
void iface_release(struct iface *iface);      /* freed when nothing needs it any more */
bool iface_usable(const struct iface *iface); /* known, ours, up, carrier */
void iface_config_changed(struct mirror_vrf *mv);
void iface_tick(struct mirror_vrf *mv);
int mirror_link_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
int mirror_addr_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
void mirror_link_sweep(struct mirror_vrf *mv);
void mirror_addr_sweep(struct mirror_vrf *mv);
/* The VRF goes: no interface is a link's any more. */
void mirror_link_forget(struct mirror_vrf *mv);
void mirror_link_clear(struct mirror_vrf *mv);

/* ---- mirror_nexthop.c ---- */
int mirror_nexthop_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
void mirror_nexthop_sweep(struct mirror_vrf *mv);
void mirror_nexthop_clear(struct mirror_vrf *mv);
/* Objects over the interface went with it, unannounced. */
void mirror_nexthop_iface_down(struct iface *iface);
/* Tie a set to its object, which must exist by then or will; build its legs. */
int nexthop_attach(struct nhset *set);
void nexthop_detach(struct nhset *set);
/* legs[DP_LEGS_MAX] from the object; returns how many; *ret_gone, *ret_blackhole. */
unsigned nexthop_legs(const struct nhset *set, struct nhset_key_leg *legs, uint64_t *ret_dead,
	bool *ret_gone, bool *ret_blackhole);

/* ---- mirror_neigh.c ---- */
int mirror_neigh_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
void mirror_neigh_sweep(struct mirror_vrf *mv);
void mirror_neigh_clear(struct mirror_vrf *mv);
/* Which host routes stay, from mv->review on. True: done. */
bool mirror_neigh_review(struct mirror_vrf *mv, uint64_t end_ns);
struct neigh *neigh_find(const struct iface *iface, const struct ip_addr *addr);
bool neigh_valid(const struct neigh *neigh);
bool neigh_may_ask(struct ask_bucket *bucket);

/* ---- mirror_prefix.c ---- */
struct route_change { /* one message, understood */
	struct mirror_vrf *mv;
	struct rib *rib;
	struct nl_route nl;
	struct nhset *set; /* a reference is held; NULL on deletion of what nobody has */
	uint16_t gen;
	bool dump;
};

union nhset_any_key {
	struct nhset_key key;
	uint8_t bytes[NHSET_KEY_BYTES(DP_LEGS_MAX)];
};

/* Bring a prefix's routes to what the message says. 0 or -ENOMEM. */
int prefix_put(struct rib_node *node, struct route_change *c);
int prefix_del(struct rib_node *node, struct route_change *c);
int prefix_add_once(struct rib_node *node, const struct route_change *c);
void prefix_drop(struct mirror_vrf *mv, struct rib_node *node,
	bool (*which)(const struct rib_route *route, const void *arg), const void *arg);

/* ---- mirror_route.c ---- */
int mirror_route_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump);
/* A neighbour's host route: in the RIB afterwards, or out of it. 0 or -ENOMEM. */
int mirror_route_host(struct mirror_vrf *mv, struct neigh *neigh, bool add);
/* Take out the routes of a prefix that which() picks; the rest moves up. */
void mirror_route_drop(struct mirror_vrf *mv, struct rib *rib, const struct ip_prefix *prefix,
	bool (*which)(const struct rib_route *route, const void *arg), const void *arg);
/* Bring the FIB to what the node's best route says. */
int mirror_route_install(struct mirror_vrf *mv, struct rib *rib, struct rib_node *node);
struct rib_route *mirror_route_best(const struct rib_node *node);

/* ---- mirror_late.c ---- */
/* The node's last route went: true when its prefix stays in the FIB for a moment. */
bool late_put(struct mirror_vrf *mv, const struct rib *rib, const struct rib_node *node);
/* Take out those whose moment is over; all of them when end_ns is UINT64_MAX. True: none is
 * overdue. */
bool late_flush(uint64_t end_ns);
uint64_t late_due_ns(void); /* of the oldest; 0: none waits */
void late_forget(const struct mirror_vrf *mv);

/* ---- mirror_sweep.c ---- */
/* Drop routes of a family that the dump did not show, from sync.cursor on, until end_ns. True:
 * done. */
bool mirror_route_sweep(struct mirror_vrf *mv, uint8_t af, uint64_t end_ns);
/* Take the RIB apart, a slice at a time. True: done. */
bool mirror_route_clear(struct mirror_vrf *mv, uint64_t end_ns);

/* ---- tunnel.c ---- */
void tunnels_config_changed(void);
void tunnels_vrf_gone(const struct mirror_vrf *mv); /* none may lean on it any more */
void tunnels_resolve(void);			    /* after FIB, groups or neighbours changed */
void tunnels_hop_changed(const struct hop *hop);
extern bool tunnels_stale;

/* ---- audit.c ---- */
void audit_tick(void);
void audit_vrf_gone(const struct mirror_vrf *mv);

#endif
