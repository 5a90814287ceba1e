/* Next-hop sets and adjacencies: what routes point to, and how the fast path sees it.
 *
 *   route ─▶ nhset ─▶ leg ─▶ hop
 *            group          adjacency        (indexes of dataplane.h)
 *
 * A set is interned: routes with the same legs, or with the same next-hop object, share one, and so
 * one path group. A hop is interned by (link, next hop). A set holds a group and its hops only
 * while the FIB uses it. Control thread only. */
#ifndef LINTAS_LEGS_H
#define LINTAS_LEGS_H

#include <sys/queue.h>
#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(obj) ((void)(obj))
#include <uthash.h>
#include "control.h"

struct iface;
struct mirror_vrf;

/* ---- hops.c: adjacencies ---- */
struct hop_key {
	uint16_t link; /* 0 = none */
	uint8_t kind;  /* DP_ADJ_GLEAN: a neighbour, known or not; BROADCAST; or without link */
	struct ip_addr nexthop;
};

struct hop {
	UT_hash_handle hh;
	struct hop_key key;
	uint32_t adj; /* its index; adjacency indexes are not reused soon */
	unsigned refs;
	unsigned gateways;   /* of them: legs of routes and tunnels; kept resolved */
	struct iface *iface; /* NULL without link */
	LIST_ENTRY(hop) of_iface;
	LIST_HEAD(, leg) legs;
	struct dp_adj now;	  /* as published */
	bool failed;		  /* asked for and no answer: legs over it are dead */
	bool asked;		  /* the kernel was asked to resolve it */
	bool managed;		  /* and to keep it resolved */
	bool vouched;		  /* BFD with it is up: it is there, whatever the kernel thinks */
	bool waiting;		  /* in the queue of those to be asked for */
	uint64_t failed_until_ns; /* packets are refused until then, held after */
	uint64_t ask_ns;	  /* when to ask next */
	unsigned backoff_ms;
	TAILQ_ENTRY(hop) of_queue;
	bool renew; /* waits for hops_flush */
	TAILQ_ENTRY(hop) of_renew;
};

int hops_init(void);
void hops_close(void); /* nothing refers to a hop any more */
/* A reference, published; NULL with errno ENOSPC or ENOMEM. iface may be NULL for kinds without a
 * link. */
struct hop *hop_get(struct iface *iface, uint8_t kind, const struct ip_addr *nexthop, bool gateway);
void hop_put(struct hop *hop, bool gateway); /* NULL is fine */
struct hop *hop_find(const struct iface *iface, const struct ip_addr *nexthop);
/* Its neighbour changed, or the link's shape did (force): publish again what differs. */
void hop_update(struct hop *hop, bool force);
bool hop_same(const struct dp_adj *a, const struct dp_adj *b);
void hop_renew(struct hop *hop);  /* forced, by hops_flush */
bool hops_flush(uint64_t end_ns); /* true: nothing is left */
void hop_neigh_failed(struct hop *hop);
void hop_neigh_confirm(struct hop *hop); /* BFD with it is up, and the kernel doubts it */
void hop_ask(struct hop *hop, unsigned delay_ms);
void hops_tick(void); /* every 100 ms: ask for what is due, let failed ones be tried again */
/* Adjacency of DP_ADJ_NONE, LOCAL, BLACKHOLE, UNREACHABLE or PROHIBIT. */
uint32_t hop_special(uint8_t kind);
unsigned hops_count(void);

/* ---- legs.c: sets ---- */
struct leg {
	struct nhset *set;
	struct iface *iface;
	struct ip_addr gateway; /* af 0: on link */
	uint16_t weight;
	bool encap;
	bool dead;	 /* the kernel says so, or must have taken it out without saying */
	struct hop *hop; /* while the set is in the FIB and the interface is a link */
	LIST_ENTRY(leg) of_iface, of_hop;
};

struct nhset_key_leg {
	int ifindex;
	uint16_t weight;
	bool encap;
	struct ip_addr gateway;
};

struct nhset_key {	       /* bytes are hashed: build it in zeroed memory */
	struct mirror_vrf *mv; /* NULL for kinds without legs */
	uint32_t nhid;	       /* legs come from this object then */
	uint8_t kind;	       /* enum dp_adj_kind; DP_ADJ_FORWARD = by its legs */
	uint8_t af;	       /* of the routes */
	bool host;	       /* a neighbour's host route */
	uint8_t n_legs;
	struct nhset_key_leg legs[];
};
#define NHSET_KEY_BYTES(n) (sizeof(struct nhset_key) + (n) * sizeof(struct nhset_key_leg))

struct nhset {
	UT_hash_handle hh;
	LIST_ENTRY(nhset) of_nexthop;
	bool failing; /* the last attempt to renew it was refused, and that has been said */
	TAILQ_ENTRY(nhset) of_dirty;
	uint32_t routes;    /* routes of the RIB that point here */
	uint32_t prefixes;  /* prefixes of the FIB that use the group */
	uint32_t group;	    /* 0 = none: prefixes is 0 */
	uint64_t published; /* a digest of the group's legs; 0: not as they should be */
	bool dirty;	    /* waits for legs_flush */
	bool stale;	    /* its next-hop object changed: legs have to be built again */
	bool gone;	    /* the object does not exist (any more) */
	bool blackhole;	    /* the object says so */
	unsigned n_legs;
	struct leg *legs;
	struct nhset_key key;
};

int legs_init(void);
/* The set for a key with a reference, or NULL (no memory). */
struct nhset *legs_get(const struct nhset_key *key);
/* Without a reference; NULL: no route has it. */
struct nhset *legs_find(const struct nhset_key *key);
void legs_put(struct nhset *set);
/* One more, one less prefix of the FIB. legs_use publishes the group first: *ret_group or -ENOSPC,
 * -ENOMEM. */
int legs_use(struct nhset *set, uint32_t *ret_group);
void legs_unuse(struct nhset *set);
struct nhset *legs_of_group(uint32_t group);
/* The set, or every set with a leg over the interface or hop, is to be published again: by
 * legs_flush. */
void legs_dirty(struct nhset *set);
void legs_iface_dirty(struct iface *iface);
void legs_hop_dirty(struct hop *hop);
/* Publish what is dirty, until now_ns() passes end_ns. True: nothing is left. */
bool legs_flush(uint64_t end_ns);
/* On link, without gateway: a connected route. */
bool legs_connected(const struct nhset *set);
bool legs_has_gateway(const struct nhset *set);
/* Can packets go by it; *ret_why (may be NULL) says why not. */
bool legs_alive(const struct leg *leg, const char **ret_why);
uint8_t legs_tier(const struct leg *leg);
/* For the auditor: is the group in the fast path what it should be, its adjacencies too; make it
 * so. */
bool legs_published(const struct nhset *set);
void legs_renew(struct nhset *set);
/* Every set, for views: NULL after the last. */
struct nhset *legs_next(struct nhset *after);
unsigned legs_groups(void);
/* What legs_flush published since it was asked last, and prefixes behind it. */
struct legs_moved {
	unsigned groups;
	uint64_t prefixes;
};
struct legs_moved legs_moved(void);

#endif
