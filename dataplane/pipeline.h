/* The state of a vector on its way, beside the packets and not in them: one lane a family, each an
 * array a field, so that a stage touches only what it reads. A lane is dense: whoever takes a
 * packet off the line sets its m[] to NULL and counts `gone`; the stage closes the gaps when it is
 * through. */
#ifndef LINTAS_PIPELINE_H
#define LINTAS_PIPELINE_H

#include <arpa/inet.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_cycles.h>
#include "flow.h"
#include "worker.h"

enum stage {
#define STAGE(name, file, text) STAGE_##name,
#include "stages.def"
#undef STAGE
	STAGE_COUNT
};

enum note {
	NOTE_MULTI = 1,	  /* came in a link-layer broadcast or multicast: causes no ICMP error */
	NOTE_OPTIONS = 2, /* IPv4 options: forwarded within a budget */
	NOTE_SCOPE = 4,	  /* link-local source: goes no further than this router */
	NOTE_DECAP = 8,	  /* times the number of tunnels it came out of, at most DECAPS_MAX */
};
#define NOTE_ODD (NOTE_OPTIONS | NOTE_SCOPE) /* rewrite must look */

struct lane {
	unsigned n, gone;
	bool quick; /* all by one link, with time left and room for a header before them, no note */
	const struct vrf_fib *vrf; /* where all are to be looked up; NULL: see fib4, fib6 */
	struct rte_mbuf *m[VECTOR_MAX];
	uint8_t *ip[VECTOR_MAX]; /* the IP header; checked, len bytes from here are in the frame */
	const struct adj *adj[VECTOR_MAX]; /* from route on */
	union {				   /* when packets differ in their VRF */
		const struct fib4 *fib4[VECTOR_MAX];
		const struct fib6 *fib6[VECTOR_MAX];
	};
	union {
		uint32_t dst4[VECTOR_MAX]; /* host order */
		const uint8_t *dst6[VECTOR_MAX];
	};
	uint32_t group[VECTOR_MAX];
	uint32_t aged[VECTOR_MAX]; /* quick: TTL, protocol and checksum as they will leave */
	uint16_t len[VECTOR_MAX];  /* of the IP packet; what follows in the frame is padding */
	uint16_t in[VECTOR_MAX];   /* ingress link */
	uint8_t note[VECTOR_MAX];
	unsigned
		n_runs; /* from policy on: packets in a row that go the same way, run 1 to n_runs */
	struct run {
		const struct adj *adj; /* one of theirs: link and port are the same for all */
		uint32_t bytes;	       /* IP, up to its end */
		uint16_t in;
		uint8_t end; /* the packet behind its last; run[0] ends at 0 */
	} run[VECTOR_MAX + 1];
};

/* Timing a vector: what passed between two readings of the clock, less what a reading costs. */
static inline uint64_t clock_spent(const struct worker *w, uint64_t from, uint64_t to)
{
	uint64_t cycles = to - from, cost = w->ctr.stats.clock_cycles;

	return cycles > cost ? cycles - cost : 0;
}

unsigned pipeline_clock_cost(void); /* pipeline.c: measure it */

/* One packet, for code off the straight line. */
struct packet {
	struct rte_mbuf *m;
	uint8_t *ip;
	uint16_t len, in;
	uint8_t af, note;
	uint8_t l4, proto; /* decap: what follows the IP header, at so many words from ip */
};

struct sa;

struct arrival { /* at an end of ESP */
	struct packet k;
	const struct sa *sa;
	uint16_t at, len; /* of the ESP packet, from k.ip */
};

struct pass {
	struct lane v4, v6;
	unsigned n_decap;
	struct packet decap[VECTOR_MAX];
	unsigned n_esp;
	struct arrival esp[VECTOR_MAX];
};

static inline struct packet lane_packet(const struct lane *v, unsigned i, uint8_t af)
{
	return (struct packet){ v->m[i], v->ip[i], v->len[i], v->in[i], af, v->note[i], 0, 0 };
}

static inline void lane_take(struct lane *v, unsigned i)
{
	v->m[i] = NULL;
	v->gone++;
}

void lane_compact(struct lane *v); /* pipeline.c: close the gaps */
void lane_runs(struct lane *v);	   /* pipeline.c: find them, anew after gaps were closed */
/* pipeline.c: packet n of the lane, not yet counted in it, is of another VRF than those before. */
void lane_mix(struct lane *v, const struct vrf_fib *vrf, uint8_t af);

/* One more packet; dst: dst4, IPv6: ignored. */
static __rte_always_inline void lane_put(struct lane *v, struct rte_mbuf *m, uint8_t *ip,
	uint32_t dst, uint16_t len, uint16_t in, uint8_t note, const struct vrf_fib *vrf,
	uint8_t af)
{
	unsigned i = v->n;

	if (unlikely(v->vrf != vrf))
		lane_mix(v, vrf, af);
	v->m[i] = m;
	v->ip[i] = ip;
	v->len[i] = len;
	v->in[i] = in;
	v->note[i] = note;
	if (af == AF_INET)
		v->dst4[i] = dst;
	else
		v->dst6[i] = ip + 24;
	v->quick = false;
	v->n = i + 1;
}

/* A packet of either family, from off the straight line. */
static inline void pass_put(struct pass *p, const struct packet *k, const struct vrf_fib *vrf)
{
	if (k->af == AF_INET)
		lane_put(&p->v4, k->m, k->ip, flow_be32(k->ip + 16), k->len, k->in, k->note, vrf,
			AF_INET);
	else
		lane_put(&p->v6, k->m, k->ip, 0, k->len, k->in, k->note, vrf, AF_INET6);
}

/* To be taken out of its tunnel; off: of what follows its IP header. */
static inline void pass_decap(struct pass *p, const struct packet *k, uint8_t proto, unsigned off)
{
	struct packet *to = &p->decap[p->n_decap++];

	*to = *k;
	to->proto = proto;
	to->l4 = (uint8_t)(off / 4);
}

static inline uint64_t worker_random(struct worker *w)
{
	uint64_t x = w->random | !w->random; /* xorshift never leaves zero */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return w->random = x;
}

/* A token bucket in TSC cycles: each event costs `cost`, at most `cap` is saved. */
static inline bool budget_take(
	uint64_t *tokens, uint64_t *stamp, uint64_t now, uint64_t cost, uint64_t cap)
{
	uint64_t have = *tokens + (now - *stamp);

	have = have < *tokens || have > cap ? cap : have;
	*stamp = now;
	*tokens = have >= cost ? have - cost : have;
	return have >= cost;
}

#define PARSE_PAD 8

/* ---- the stages, in packet order; each per family, a lane without packets costs one test ---- */
/* n >= 1 of them; pkts has room for PARSE_PAD more, which parse uses. */
void parse_run(struct worker *w, struct pass *p, uint16_t port, struct rte_mbuf **pkts, unsigned n);
/* parse.c: a frame that came out of a tunnel, as if received on link l. Appends to p, or consumes
 * m. */
void parse_inner(
	struct worker *w, struct pass *p, struct rte_mbuf *m, const struct link *l, uint8_t note);
/* The same of an IP packet in an Ethernet header of ours. */
void parse_inner_ip(struct worker *w, struct pass *p, struct rte_mbuf *m, const struct link *l,
	uint16_t type_be, uint8_t note);
/* route.c: packets from4.. and from6.. of the lanes. */
void route_run(struct worker *w, struct pass *p, unsigned from4, unsigned from6);
void decap_run(struct worker *w, struct pass *p);
/* decap.c: the len bytes at inner, out of k, which is the outer packet, as if received on link l.
 * type: EtherType of an IP packet, 0 = a frame. Consumes k->m. */
void decap_inner(struct worker *w, struct pass *p, const struct packet *k, const struct link *l,
	uint8_t *inner, unsigned len, uint16_t type);
void policy_run(struct worker *w, struct pass *p);
void rewrite_run(struct worker *w, struct pass *p);
void meter_run(struct worker *w, struct pass *p);

/* local.c: for this router. Consumes k->m, or leaves it in p->decap. */
void local_deliver(struct worker *w, struct pass *p, const struct packet *k);
/* policy.c: may a packet from link `in` leave by link `out` (0 = by none: refused or unknown)? */
bool policy_allows(const struct snapshot *s, uint16_t in, uint16_t out);
/* rewrite.c: an IP packet of ours by a, which is FORWARD: header, matrix, port; consumes m. */
void rewrite_own(struct worker *w, struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af,
	const struct adj *a);
/* meter.c: one cell of the matrix. */
void meter_count(struct worker *w, uint16_t in, uint16_t out, uint64_t packets, uint64_t bytes);
/* The same by an adjacency, and the outer packets of a tunnel; or these alone. */
void meter_way(
	struct worker *w, uint16_t in, const struct adj *a, uint64_t packets, uint64_t bytes);
void meter_outer(struct worker *w, const struct adj *a, uint64_t packets, uint64_t bytes);
/* frag.c: larger than a's MTU and allowed to be cut; its TTL has been decremented. Consumes k->m.
 */
void frag_send(struct worker *w, const struct packet *k, const struct adj *a);
/* The same into the ESP link, in pieces of at most mtu. */
void frag_esp(struct worker *w, const struct packet *k, uint16_t link, unsigned mtu);

#endif
