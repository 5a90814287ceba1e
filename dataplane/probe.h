/* Path probes and the STAMP reflector, seen from the fast path: probe.c schedules and judges,
 * probe_packet.c writes and reads what is on the wire, reflector.c answers others. */
#ifndef LINTAS_PROBE_H
#define LINTAS_PROBE_H

#include <stdatomic.h>
#include "config/sha256.h"
#include "pipeline.h"

enum slot_state { SLOT_FREE, SLOT_OUT, SLOT_ANSWERED, SLOT_LOST };

struct probe_slot {	 /* one probe on its way: the owner's */
	uint64_t cookie; /* what the answer must bring back */
	uint64_t tsc;
	uint32_t seq;
	uint8_t state, bucket;
};

struct probe_cell { /* [counter] one bucket */
	struct dp_probe_stats stats;
	uint64_t last;	  /* TSC of the last answer */
	uint32_t highest; /* sequence number answered so far */
};

/* A stream. Made by control, then its owner writes all that follows `timeout`; everybody may read
 * what is before. */
struct probe {
	struct dp_probe conf;
	uint16_t index, base; /* base: our first port */
	uint16_t owner;	      /* the worker that sends it and judges its answers */
	bool auth;
	struct hmac hmac;
	uint64_t interval, born; /* TSC */
	uint32_t mask, out_mask; /* of slots, of outcomes */
	_Atomic uint32_t adj;	 /* by control */
	_Atomic uint32_t timeout_ms;

	uint64_t due;
	uint32_t seq, tail; /* the next to send; the oldest not judged */
	uint8_t bucket;
	uint32_t n_out; /* [counter] outcomes so far */
	struct probe_slot *slots;
	uint64_t *out; /* fate << 40 | bucket << 32 | RTT in us */
	struct probe_cell cells[];
};

/* What came back, read by whichever worker received it. */
struct probe_answer {
	uint64_t cookie, tsc;
	uint32_t seq;
	uint16_t probe;
	uint8_t bucket;
	uint8_t reset; /* TCP: a half-open connection waits there */
};

/* ---- probe.c ---- */
extern _Atomic uint32_t probe_streams;	/* how many there are */
extern _Atomic uint32_t probe_watching; /* streams and reflectors: may a packet for us be theirs? */
struct probe_due {
	uint64_t at;
} __rte_cache_aligned;
extern struct probe_due probe_due[DP_WORKERS_MAX];

int probe_init(unsigned n_workers); /* before workers run; 0 or -ENOMEM */
void probe_exit(void);		    /* after them */
unsigned probe_run(struct worker *w);

/* Once a round: a load while there are no streams, else a look at the clock. Returns packets. */
static inline unsigned probe_poll(struct worker *w)
{
	if (likely(!atomic_load_explicit(&probe_streams, memory_order_relaxed)))
		return 0;
	return rte_rdtsc() < probe_due[w->index].at ? 0 : probe_run(w);
}

/* The stream that owns this port or ICMP id of ours; NULL: none. */
struct probe *probe_of_port(enum dp_probe_type type, uint16_t port);
/* An answer that is whole and, where that is asked for, authenticated. False: not to a probe of
 * this stream (or: not believed twice). */
bool probe_answered(struct worker *w, struct probe *p, const struct probe_answer *answer);

/* ---- probe_packet.c ---- */
/* For local.c: l4 at off, of a packet that is no fragment. True: it was a probe's, or an answer to
 * one, and is consumed. */
bool probe_take(struct worker *w, const struct packet *k, const struct link *l, uint8_t proto,
	unsigned off);
/* Send slot's probe, or the reset behind one, by a; false: no buffer. */
bool probe_emit(struct worker *w, const struct probe *p, const struct probe_slot *slot,
	const struct adj *a, bool reset);
/* Time of day, NTP format (RFC 5905 6), from the TSC: asked of the system once a second at most. */
uint64_t probe_ntp(struct worker *w, uint64_t tsc);

static inline void probe_put16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static inline void probe_put32(uint8_t *p, uint32_t x)
{
	x = rte_cpu_to_be_32(x);
	__builtin_memcpy(p, &x, sizeof(x));
}

static inline void probe_put64(uint8_t *p, uint64_t x)
{
	x = rte_cpu_to_be_64(x);
	__builtin_memcpy(p, &x, sizeof(x));
}

/* An IP header of ours before len bytes of proto; addresses in network order. Returns its end. */
uint8_t *probe_ip(struct worker *w, uint8_t *ip, uint8_t af, const uint8_t *src, const uint8_t *dst,
	uint8_t proto, unsigned len, uint8_t ttl, uint8_t tos);
/* IPv4 and IPv6 alike: fill the checksum at l4 + at, which is zero now. */
void probe_checksum(
	const uint8_t *ip, uint8_t af, uint8_t *l4, unsigned len, uint8_t proto, unsigned at);

/* ---- reflector.c ---- */
/* A UDP packet to port 862 whose checksum is right. False: nobody reflects here; else consumed. */
bool reflector_take(
	struct worker *w, const struct packet *k, const struct link *l, unsigned off, unsigned len);
void reflector_exit(void);

#endif
