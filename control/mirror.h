/* The mirror: what the kernel says, brought to the fast path.
 *
 * netlink.c parses rtnetlink messages; mirror.c keeps links, addresses, neighbours and next-hop
 * objects of every VRF; rib.c the routes, in a trie a VRF and family; legs.c turns next-hop sets
 * into interned path groups and adjacencies of dataplane.h, with tiers from the configuration's
 * paths; audit.c compares for ever. Control thread only. Everything here survives lost, doubled and
 * out-of-order messages: a resync (dump, mark, sweep, replay) makes it right again while the fast
 * path keeps the old state. */
#ifndef LINTAS_MIRROR_H
#define LINTAS_MIRROR_H

#include "control.h"

/* Two netlink sockets inside the VRF's namespace (notifications; dumps), owned from here on. Starts
 * the first dump. */
int mirror_vrf_add(struct vrf *vrf, int notify_fd, int dump_fd); /* after dp_vrf_add */
void mirror_vrf_del(struct vrf *vrf);				 /* after dp_vrf_del */
void mirror_close(void); /* the daemon's end: every VRF, at once */
/* A link was added, removed or changed (shape, tier, shut, partner), or control.running was
 * replaced: called once after dp_publish; rebuilds the adjacencies and groups concerned, and only
 * those. */
void mirror_config_changed(void);
/* Port carrier as the fast path saw it: legs over the link die or revive at once. */
/* What a tunnel leans on beside its underlay (an SA) has come or gone. */
void mirror_tunnels_changed(void);
void mirror_carrier(struct link *link, bool up);
/* health.c heard something of it: legs over the link die, revive or change their tier at once. */
void mirror_health(struct link *link, const char *what);
/* A worker met a neighbour nobody knows: ask the kernel to resolve it (bounded a second). */
void mirror_neigh_miss(struct link *link, const struct ip_addr *addr);
/* A neighbour on a link, kept resolved for as long as it is held. NULL: the link's interface is not
 * known yet, or no memory. Put it back before the link leaves (NULL is fine). */
struct hop;
struct hop *mirror_hop_get(const struct link *link, const struct ip_addr *addr);
void mirror_hop_put(struct hop *hop);
uint32_t mirror_hop_adj(const struct hop *hop); /* the same for as long as it is held */
/* Its BFD session is up, or is not any more. */
void mirror_hop_vouch(struct hop *hop, bool up);
bool mirror_hop_fits(const struct hop *hop, const struct link *link); /* still its interface */
/* The adjacency toward a tunnel's remote end, for dp_link.underlay_adj; 0: unresolved. When the
 * answer or link->carrier of a tunnel changes the mirror calls control_publish() from the event
 * loop, coalesced; it renews the tunnel's own adjacencies itself afterwards: control_publish must
 * not call back into the mirror. */
uint32_t mirror_underlay_adj(const struct link *link);
/* True once every VRF's first dump has been applied to the fast path. */
bool mirror_synced(void);

struct mirror_stats {
	uint64_t messages, overruns, resyncs, interrupted, parse_errors, unknown_links;
	uint64_t audit_rounds, audit_checked, audit_fixed, fib_refused;
	uint64_t routes, neighbours, nexthops, groups, adjacencies;
	uint64_t ignored_routes; /* of other tables, or by source address */
	uint64_t policy_rules;	 /* ip rules beyond the standard three: not mirrored */
	uint64_t neigh_asked,
		neigh_capped; /* resolutions asked of the kernel; not asked, over the link's cap */
	uint64_t route_bytes; /* memory of the routes, without the fast path's */
};
void mirror_stats(struct mirror_stats *ret_stats);
int mirror_resync(struct vrf *vrf); /* NULL = all: as after an overrun */

/* ---- views, for api ---- */
struct mirror_leg {
	struct ip_addr gateway; /* af 0: on link */
	int ifindex;
	char ifname[CFG_NAME_MAX];
	uint16_t link; /* 0: not a link of ours */
	uint16_t weight;
	uint8_t tier;
	bool alive;
	const char *why; /* when not alive: "carrier", "no keys", "neighbour failed" … */
	uint32_t adj;
};

struct mirror_route {
	struct ip_prefix prefix;
	uint8_t type;	  /* RTN_* */
	uint8_t protocol; /* RTPROT_*: the owner */
	uint8_t scope;
	uint32_t table, metric, nhid;
	bool active;	/* the one in the FIB among those of its prefix */
	uint32_t group; /* 0: not in the FIB */
	unsigned n_legs;
	struct mirror_leg legs[DP_LEGS_MAX];
};

/* Routes of a prefix, best first. Calls cb for each; stops when it returns false. */
typedef bool (*mirror_route_cb)(const struct mirror_route *route, void *arg);
int mirror_route_exact(
	const struct vrf *vrf, const struct ip_prefix *prefix, mirror_route_cb cb, void *arg);
int mirror_route_match(
	const struct vrf *vrf, const struct ip_addr *addr, mirror_route_cb cb, void *arg);
/* In order, from the first prefix after *cursor (af 0 = from the start; v4 before v6), within
 * `within` (NULL = all), until cb returns false; *cursor is left at the last prefix shown, so that
 * a listing can go on later whatever changed meanwhile. Returns false at the end. */
bool mirror_route_walk(const struct vrf *vrf, const struct ip_prefix *within,
	struct ip_prefix *cursor, mirror_route_cb cb, void *arg);

struct mirror_neigh {
	struct ip_addr addr;
	const char *state; /* reachable, stale, … */
	uint16_t link;
	uint8_t mac[6];
	uint32_t adj; /* 0: none */
};
void mirror_neigh_walk(
	const struct vrf *vrf, bool (*cb)(const struct mirror_neigh *, void *), void *arg);

struct mirror_group { /* an interned path group */
	uint32_t group;
	uint64_t prefixes; /* that use it */
	unsigned n_legs;
	struct mirror_leg legs[DP_LEGS_MAX];
};
void mirror_group_walk(bool (*cb)(const struct mirror_group *, void *), void *arg);

const char *mirror_protocol_name(uint8_t protocol); /* "bgp", "static", "kernel", "lintas" … */

/* ---- kernel.c: what we write into the kernel, through vrf->nl_request; answers are awaited,
 * bounded ---- */
int kernel_link_up(struct vrf *vrf, int ifindex, bool up);
int kernel_link_mtu(struct vrf *vrf, int ifindex, unsigned mtu);
int kernel_addr_add(struct vrf *vrf, int ifindex, const struct ip_prefix *addr);
int kernel_addr_del(struct vrf *vrf, int ifindex, const struct ip_prefix *addr);
/* Our own static route (LINTAS_RTPROT). -EEXIST when it is there already. */
int kernel_route_add(
	struct vrf *vrf, const struct ip_prefix *prefix, const struct ip_addr *via, int ifindex);
int kernel_route_del(
	struct vrf *vrf, const struct ip_prefix *prefix, const struct ip_addr *via, int ifindex);
/* Many of them without holding up the loop: ops are copied and sent from the event loop in slices.
 * done (may be NULL) follows once, from the loop, with how many failed and the first error; failed
 * (may be NULL) is called for each one that did. Batches of a VRF run one after the other. 0 or
 * -errno, then nothing is called. A VRF's batches are dropped, their done called with -ECANCELED,
 * by kernel_batch_cancel. */
struct kernel_route_op {
	bool add;
	struct ip_prefix prefix;
	struct ip_addr via;
	int ifindex;
};
struct kernel_batch_calls {
	void (*failed)(const struct kernel_route_op *op, int error, void *arg);
	void (*done)(struct vrf *vrf, unsigned n_failed, int first_error, void *arg);
	void *arg;
};
int kernel_route_batch(struct vrf *vrf, const struct kernel_route_op *ops, unsigned n,
	const struct kernel_batch_calls *calls);
void kernel_batch_cancel(struct vrf *vrf);
/* Ask the kernel to resolve a neighbour (NTF_USE), or to keep it resolved (NTF_EXT_MANAGED). No
 * answer, and no waiting: a thread sends it. -EAGAIN: too many wait already. */
int kernel_neigh_use(struct vrf *vrf, int ifindex, const struct ip_addr *addr, bool managed);
/* It is known to be there, at this address of its own (RFC 4861 7.3.1). */
int kernel_neigh_confirm(
	struct vrf *vrf, int ifindex, const struct ip_addr *addr, const uint8_t mac[6]);
/* It may not be there any more: the kernel asks it now, not when its entry has aged. */
int kernel_neigh_doubt(struct vrf *vrf, int ifindex, const struct ip_addr *addr);
bool kernel_neigh_pending(void);		       /* some have not been sent yet */
int kernel_ifindex(struct vrf *vrf, const char *name); /* > 0 or -errno */

#endif
