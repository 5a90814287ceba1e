/* A worker and what it owns; the tables it reads; the seams between the pipeline's stages and the
 * machinery around them. Everything below is per worker and written by that worker only, unless a
 * comment says: [published] immutable, replaced by control with one store, freed through reclaim.h;
 *   [counter]   written by the worker, read by control, relaxed 64-bit. */
#ifndef LINTAS_WORKER_H
#define LINTAS_WORKER_H

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include "dataplane.h"
#include "fib.h"

#define VECTOR_MAX 64
#define HEADER_MAX                                                                                \
	128 /* longest header an adjacency prepends: outer Ethernet + 2 tags + IPv6 + UDP + VXLAN \
	       + inner Ethernet */
#define DECAPS_MAX 2
#define TUN_MAX	   56 /* IPv6 + UDP + VXLAN or GENEVE */
#define ADJ_TAIL   24
#define OWN_BITS   8192 /* of a VRF's filter of own addresses */

/* What of a tunnel's prebuilt outer headers depends on the packet; encap.c. */
enum {
	FILL_UDP = 1,	/* source port, length */
	FILL_FLOW = 2,	/* the flow's hash: for the port, or for IPv6's label */
	FILL_TYPE = 4,	/* EtherType of what is inside */
	FILL_PROTO = 8, /* the same, as IP protocol */
	FILL_SUM = 16,	/* GRE's or UDP's checksum */
	FILL_DF = 32,	/* IPv4: identification, and DF with FILL_COPY */
	FILL_COPY = 64,
};

enum { STRAIGHT_UDP = 1, STRAIGHT_GRE };

struct encap {
	uint8_t af;
	uint8_t fill;
	uint8_t type_back;	   /* FILL_TYPE: so many bytes before the inner IP header */
	uint8_t tos_mask, tos_set; /* outer traffic class: (inner & mask) | set */
	uint8_t straight;    /* only what rewrite.c fills in by itself: as if UDP, as if GRE */
	uint16_t mss4, mss6; /* TCP's MSS inside at most; 0 = left alone */
};

/* ---- [published] snapshot: links and how packets find them (snapshot.c) ---- */
struct link {
	/* what a plain packet asks of its ingress link: one cache line */
	uint64_t own; /* the MAC as parse reads it from a frame */
	uint16_t id;
	uint16_t vrf;	     /* VRF_NONE while it is shut: no frame is plain then */
	uint64_t virtual[2]; /* VRRP: MACs that are ours too, by family; VIRTUAL_NONE */

	struct dp_link conf;
	uint16_t port;	/* of the wire it leaves by; for tunnels DP_NONE (their underlay decides) */
	bool plain;	/* a tunnel with IP and no Ethernet inside */
	uint8_t l2_len; /* Ethernet + tags; 0 when plain */
	uint8_t l2[22]; /* prebuilt: destination MAC left zero, source, tags; EtherType left zero */
	uint8_t tun_len; /* tunnels: outer IP and what follows before the inner packet; what
			    `encap` says left zero */
	uint8_t tun[TUN_MAX];
	struct encap encap;
} __rte_cache_aligned;

#define VRF_NONE DP_VRFS_MAX

struct snapshot; /* opaque outside snapshot.c, pipeline stages use the functions below */

/* ---- [published] adjacency and group tables (adj.c, group.c): fixed arrays, entries replaced
 * whole ---- */
struct adj {
	uint8_t kind; /* enum dp_adj_kind */
	uint8_t header_len;
	uint8_t outer_ip_off; /* tunnel: offset of the outer IP header within header; 0 = no tunnel
			       */
	bool esp;	      /* has no header here: esp_out.c */
	union {
		struct {
			uint16_t link; /* egress link: matrix column, MTU, ICMP */
			uint16_t port; /* wire to send on */
		};
		uint32_t way; /* both: what is equal goes the same way */
	};
	uint16_t mtu; /* largest IP packet that may be rewritten with it; 0 = unusable now (link or
			 tunnel down) */
	uint16_t plain_mtu;	/* the same for the straight line: 0 for tunnels too */
	uint16_t underlay_link; /* tunnel: also counted there; else 0 */
	uint32_t outer_sum;	/* of the outer IPv4 header as it stands in `header` */
	uint8_t tail[ADJ_TAIL]; /* the header again when it is no longer than this, right-aligned,
				   with IPv4's EtherType */
	struct encap encap;	/* tunnel */
	struct dp_adj conf;
	uint8_t header[HEADER_MAX]; /* right-aligned */
};

struct group {
	uint16_t adj[DP_BUCKETS];
};

extern const struct adj *_Atomic adj_table[DP_ADJS_MAX];
/* A word a group: 0 = none, its one adjacency << 1 | GROUP_SINGLE, or a struct group's address. */
#define GROUP_SINGLE 1u
extern _Atomic uintptr_t group_table[DP_GROUPS_MAX];

struct vrf_fib {
	/* Host addresses of ours by hash: a clear bit says "not ours" for certain, a set one asks
	 * the FIB. */
	_Atomic uint64_t own[OWN_BITS / 64];
	struct fib4 *v4;
	struct fib6 *v6;
};
extern struct vrf_fib *_Atomic vrf_table[DP_VRFS_MAX + 1]; /* the last is never there */

/* ---- [counter] ----
 * The matrix: a packet is counted in one cell when it is certain to be handed to a port:
 * [ingress][egress], IP bytes without layer 2 and outer headers. Link 0 is this router itself:
 *   [0][out]       what we sent: ICMP errors, frames of the kernel, and on the underlay of a tunnel
 * each outer packet (outer IP bytes), beside its inner packet's [in][tunnel]; [underlay][0]  outer
 * packets that ended here (outer IP bytes); the inner one counts as [tunnel][out]. Neither what was
 * punted nor what was dropped is in the matrix. */
struct counters {
	struct dp_count (*pair)[DP_LINKS_MAX]; /* [in][out], lazily touched pages */
	uint64_t (*drop)[DP_DROP_COUNT];       /* [ingress link][reason] */
	struct dp_count *punted; /* [ingress link]: given to the kernel; bytes behind Ethernet */
	struct dp_punt_stats punt[DP_PUNT_COUNT];
	struct dp_worker_stats stats;
};

struct tx_buffer {
	uint16_t n;
	struct rte_mbuf *pkts[VECTOR_MAX * 2];
};

struct worker {
	unsigned index, lcore;
	const struct snapshot *snap; /* read once per vector */
	struct counters ctr;
	struct tx_buffer tx[DP_PORTS_MAX];
	struct rte_mempool *scratch; /* ICMP errors and fragments: a pool of their own */
	struct rte_ring *inbox;	     /* mbufs other workers hand over for ports this one owns */
	struct rte_ring *esp;	     /* packets for SAs that this one owns; NULL: it is alone */
	bool esp_pending;	     /* esp_out.c's queue is not empty */
	struct rte_ring *inject;     /* mbufs the punt thread read from TAPs, and released holds */
	uint64_t now;	  /* worker_now(): TSC, read when a vector first asks; 0 = not yet */
	uint64_t bfd_due; /* TSC: when bfd.c has something to do; 0: look */
	bool backlog;	  /* a queue was not read empty in this round */
	uint64_t random;  /* xorshift state: IP IDs, jitter */
	uint64_t icmp_tokens, icmp_stamp; /* global ICMP budget of this worker */
	unsigned leisure;     /* of this round: probes and their answers, which are no traffic */
	uint64_t busy_rounds; /* [counter] rounds of its loop that found something to do */
	uint32_t tx_pending;  /* bit = port: tx[port] is not empty */
	bool sample;	      /* set by worker.c for one vector in 256: time its stages */
	uint64_t lap[16];     /* the timed vector's cycles so far, by stage */
};

/* The time, as exact as a budget needs it: reading the clock costs as much as routing a packet. */
static inline uint64_t worker_now(struct worker *w)
{
	if (!w->now)
		w->now = rte_rdtsc();
	return w->now;
}

/* ---- seams ---- */
/* pipeline.c: run 1..VECTOR_MAX packets received on port through every stage. Frees or sends
 * each. pkts: as parse_run wants it. */
void pipeline_run(struct worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n);
/* pipeline.c: frames from a link's kernel interface: complete Ethernet frames, untagged, to be put
 * on the wire as that link's (tags inserted, or the tunnel's header prepended). mbuf_link() names
 * the link. */
void pipeline_inject(struct worker *w, struct rte_mbuf **pkts, unsigned n);
/* pipeline.c: packets held for a neighbour that is now known: from route on, as if just received.
 */
void pipeline_resume(struct worker *w, struct rte_mbuf **pkts, unsigned n);
/* pipeline.c: packets that other workers handed over for an SA of this one (esp_hand_over). */
void pipeline_esp(struct worker *w, struct rte_mbuf **pkts, unsigned n);
/* pipeline.c: packets held for a neighbour that does not answer: ICMP unreachable (host, or address
 * for IPv6), drop reason neigh_fail. mbuf_meta() is as hold_send was told: link, out_link, l3_off,
 * af. */
void pipeline_fail(struct worker *w, struct rte_mbuf **pkts, unsigned n);

/* tx.c: hand a finished frame to a port: buffered, flushed by tx_flush after the vector; a port
 * owned by another worker goes by ring. Always consumes m. What the port does not take (tx_full,
 * handover_full, no_carrier) is charged to mbuf_meta(m)->link, so set that
 * once a packet's ingress link is known (0 for what this router made itself). */
void tx_send(struct worker *w, uint16_t port, struct rte_mbuf *m);
/* n <= VECTOR_MAX of them. */
void tx_send_bulk(struct worker *w, uint16_t port, struct rte_mbuf *const *pkts, unsigned n);
void tx_flush(struct worker *w);

/* punt.c: up to the kernel. The frame is as it came; on an Ethernet link tags are removed here; on
 * a tunnel link the data must already start at the inner Ethernet header. Consumes m. */
void punt_send(struct worker *w, struct rte_mbuf *m, uint16_t link, enum dp_punt_class class);
/* hold.c: neighbour unknown. m is as it came, l3_off bytes before its IP header. Consumes m. */
void hold_send(struct worker *w, struct rte_mbuf *m, uint16_t in_link, uint16_t out_link,
	const struct ip_addr *nexthop, uint16_t l3_off);

/* counters.c */
static inline void count_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED); /* one writer */
}

static inline void drop(struct worker *w, struct rte_mbuf *m, uint16_t link, enum dp_drop reason)
{
	count_add(&w->ctr.drop[link][reason], 1);
	rte_pktmbuf_free(m);
}

/* What travels with an mbuf between threads: where a NIC would leave its hash, which we do not
 * trust, in the cache line that is written anyway. */
struct mbuf_meta {
	uint16_t link;	 /* ingress link, or the link an injected frame belongs to */
	uint16_t l3_off; /* from the data start */
	uint8_t af;
	uint8_t class;	   /* enum dp_punt_class */
	uint16_t out_link; /* hold: where the neighbour is */
};
_Static_assert(sizeof(struct mbuf_meta) <= sizeof(((struct rte_mbuf *)0)->hash), "it fits");

static inline struct mbuf_meta *mbuf_meta(struct rte_mbuf *m)
{
	return (struct mbuf_meta *)(void *)&m->hash;
}

/* snapshot.c: what dp_publish published last, NULL before the first. worker.c loads it (acquire)
 * into w->snap before each vector and is quiescent only between vectors; without one it receives
 * nothing. */
extern const struct snapshot *_Atomic snapshot_published;
/* punt.c, called by dp_publish after every check and allocation and just before the store: the punt
 * thread's own view of the links; descriptors are duplicated, so control may close its own as soon
 * as dp_publish has returned. -ENOMEM, -EMFILE: nothing changed, and dp_publish must change nothing
 * either. */
int punt_publish(const struct dp_link *links, unsigned n);

/* snapshot.c: all readers take w->snap. */
const struct link *snapshot_link(const struct snapshot *s, uint16_t id); /* NULL: no such link */
/* By port and tags; DP_NONE when nobody claims them. vid 0xffff = no such tag. */
uint16_t snapshot_match(const struct snapshot *s, uint16_t port, uint16_t tpid, uint16_t outer_vid,
	uint16_t inner_vid);

#endif
