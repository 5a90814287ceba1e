/* Path probes: streams of small packets that leave by one link each and are judged one by one.
 *
 * Control makes a stream, publishes it by index and names the adjacency it leaves by; from then on
 * the stream belongs to one worker. That worker keeps a wheel of milliseconds with the streams'
 * indexes in it, so that a deleted stream is never followed, only missed: once a round it compares
 * the clock with the wheel's next turn, and nothing is due in most. An answer may come in at any
 * worker (receive queues); it is read there and handed over by a ring, for a stream's counters have
 * one writer. Each probe is judged once, answered or lost after the timeout, and control reads the
 * verdicts from a ring per stream that is simply overwritten: a reader that is too slow misses
 * some and knows it. An answer must bring back the cookie of a probe that is on its way, from the
 * right address to the right port; whatever else comes is counted and changes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ring_elem.h>
#include "dp.h"
#include "port.h"
#include "probe.h"
#include "reclaim.h"
#include "route.h"

#define WHEEL                                                                               \
	4096 /* turns of at least half a millisecond: two seconds, longer than any interval \
	      */
#define SENDS_MAX 64 /* in one turn of the loop */
#define ANSWERS	  1024
#define SLOTS_PER_S                                                                  \
	4 /* a window remembers at least four seconds, more than the longest timeout \
	   */
#define OUT_PER_S 2
#define OUT_MIN	  64

_Atomic uint32_t probe_streams, probe_watching;
struct probe_due probe_due[DP_WORKERS_MAX];

static struct probe *_Atomic probe_table[DP_PROBES_MAX];
static _Atomic uint16_t port_owner[DP_PROBE_TYPES][DP_PROBE_PORTS]; /* index + 1 of a stream */
static _Atomic uint32_t generation; /* streams came: the wheels have to be looked after */

static struct wheel {  /* one worker's */
	uint64_t turn; /* the next to be taken */
	uint32_t generation;
	uint16_t head[WHEEL];	      /* index + 1 */
	uint16_t next[DP_PROBES_MAX]; /* index + 1 */
	bool queued[DP_PROBES_MAX];
	struct rte_ring *answers;
} * wheels[DP_WORKERS_MAX];
static unsigned turn_shift, n_workers;

/* ---- judging: the owner ---- */

static void verdict(struct probe *p, uint8_t fate, uint8_t bucket, uint64_t rtt_us)
{
	uint64_t rtt = RTE_MIN(rtt_us, (uint64_t)UINT32_MAX);

	__atomic_store_n(&p->out[p->n_out & p->out_mask],
		(uint64_t)fate << 40 | (uint64_t)bucket << 32 | rtt, __ATOMIC_RELAXED);
	__atomic_store_n(&p->n_out, p->n_out + 1, __ATOMIC_RELEASE);
}

static void expire(struct probe *p, uint64_t now)
{
	uint64_t timeout = rte_get_tsc_hz() / 1000 *
			   atomic_load_explicit(&p->timeout_ms, memory_order_relaxed);

	for (; p->tail != p->seq; p->tail++) {
		struct probe_slot *slot = &p->slots[p->tail & p->mask];

		if (now - slot->tsc < timeout && p->seq - p->tail <= p->mask)
			return;
		if (slot->state != SLOT_OUT)
			continue;
		slot->state = SLOT_LOST;
		count_add(&p->cells[slot->bucket].stats.lost, 1);
		verdict(p, DP_PROBE_LOST, slot->bucket, 0);
	}
}

static bool believe(
	const struct probe *p, const struct probe_slot *slot, const struct probe_answer *answer)
{
	if (slot->state == SLOT_FREE || slot->bucket != answer->bucket)
		return false;
	if (p->conf.type == DP_PROBE_TCP) /* the wire has room for half of it */
		return (uint32_t)slot->cookie == (uint32_t)answer->cookie;
	return slot->seq == answer->seq && slot->cookie == answer->cookie;
}

static bool settle(struct worker *w, struct probe *p, const struct probe_answer *answer)
{
	struct probe_slot *slot = &p->slots[answer->seq & p->mask];
	struct probe_cell *cell = &p->cells[answer->bucket];
	const struct adj *a;

	if (!believe(p, slot, answer)) {
		count_add(&cell->stats.refused, 1);
		return false;
	}
	a = answer->reset ? atomic_load_explicit(&adj_table[p->adj], memory_order_acquire) : NULL;
	if (a && a->kind == DP_ADJ_FORWARD && a->mtu)
		probe_emit(w, p, slot, a, true);
	if (slot->state == SLOT_ANSWERED) {
		count_add(&cell->stats.duplicate, 1);
		return true;
	}
	__atomic_store_n(&cell->last, answer->tsc, __ATOMIC_RELAXED);
	if (slot->state == SLOT_LOST) {
		slot->state = SLOT_ANSWERED;
		count_add(&cell->stats.late, 1);
		return true;
	}
	slot->state = SLOT_ANSWERED;
	count_add(&cell->stats.received, 1);
	if ((int32_t)(slot->seq - cell->highest) < 0)
		count_add(&cell->stats.reordered, 1);
	else
		cell->highest = slot->seq;
	uint64_t cycles = answer->tsc > slot->tsc ? answer->tsc - slot->tsc : 0;
	verdict(p, DP_PROBE_ANSWERED, slot->bucket, cycles * 1000000 / rte_get_tsc_hz());
	return true;
}

bool probe_answered(struct worker *w, struct probe *p, const struct probe_answer *answer)
{
	struct probe_answer copy = *answer;

	if (p->owner == w->index)
		return settle(w, p, answer);
	return !rte_ring_enqueue_elem(
		wheels[p->owner]->answers, &copy, sizeof(copy)); /* full: it will be lost */
}

static unsigned take_answers(struct worker *w, struct wheel *wheel)
{
	struct probe_answer answer;
	unsigned n = 0;

	for (; n < SENDS_MAX && !rte_ring_sc_dequeue_elem(wheel->answers, &answer, sizeof(answer));
		n++) {
		struct probe *p =
			atomic_load_explicit(&probe_table[answer.probe], memory_order_acquire);

		if (p && p->owner == w->index && answer.bucket < p->conf.buckets)
			settle(w, p, &answer);
	}
	return n;
}

/* ---- sending ---- */

static void probe_send(struct worker *w, struct probe *p)
{
	struct probe_slot *slot = &p->slots[p->seq & p->mask];
	struct probe_cell *cell = &p->cells[p->bucket];
	const struct adj *a = atomic_load_explicit(
		&adj_table[atomic_load_explicit(&p->adj, memory_order_relaxed)],
		memory_order_acquire);
	uint64_t now = rte_rdtsc();

	*slot = (struct probe_slot){
		.tsc = now, .seq = p->seq, .state = SLOT_OUT, .bucket = p->bucket
	};
	if (p->conf.type == DP_PROBE_STAMP) /* low bits below a microsecond are anyone's guess */
		slot->cookie = (probe_ntp(w, now) & ~UINT64_C(0xfff)) | (worker_random(w) & 0xfff);
	else if (p->conf.type == DP_PROBE_ICMP)
		slot->cookie = worker_random(w);
	else /* the low bits find the slot again */
		slot->cookie =
			(worker_random(w) & ~(uint64_t)p->mask & UINT32_MAX) | (p->seq & p->mask);
	p->seq++;
	p->bucket = p->bucket + 1 == p->conf.buckets ? 0 : p->bucket + 1;
	if (!a || a->kind != DP_ADJ_FORWARD || !a->mtu || !probe_emit(w, p, slot, a, false)) {
		slot->state = SLOT_FREE; /* what never left is not lost */
		count_add(&cell->stats.unsent, 1);
	}
	count_add(&cell->stats.sent, 1); /* after that: control reads them the other way round */
}

static void enqueue(struct wheel *wheel, uint16_t index, uint64_t due)
{
	uint64_t turn = RTE_MAX(due >> turn_shift, wheel->turn);
	uint16_t *head = &wheel->head[turn % WHEEL];

	wheel->next[index] = *head;
	*head = index + 1;
	wheel->queued[index] = true;
}

/* True when a probe left. */
static bool serve(struct worker *w, struct wheel *wheel, uint16_t index, uint64_t now)
{
	struct probe *p = atomic_load_explicit(&probe_table[index], memory_order_acquire);

	wheel->queued[index] = false;
	if (!p || p->owner != w->index)
		return false;
	if (p->due > now) { /* it is another's that had this index before */
		enqueue(wheel, index, p->due);
		return false;
	}
	expire(p, now);
	probe_send(w, p);
	p->due += p->interval;
	if (p->due <= now) /* the CPU was away: what was missed stays missed */
		p->due = now + p->interval;
	enqueue(wheel, index, p->due);
	return true;
}

/* Streams that are new to this worker: spread over an interval, or all would send at once. */
static void welcome(struct worker *w, struct wheel *wheel, uint64_t now)
{
	uint32_t current = atomic_load_explicit(&generation, memory_order_acquire);

	if (wheel->generation == current)
		return;
	wheel->generation = current;
	for (unsigned i = 0; i < DP_PROBES_MAX; i++) {
		struct probe *p = atomic_load_explicit(&probe_table[i], memory_order_acquire);

		if (!p || p->owner != w->index || wheel->queued[i])
			continue;
		p->due = now + worker_random(w) % p->interval;
		enqueue(wheel, (uint16_t)i, p->due);
	}
}

/* The list is taken out first: what is not due yet may come back to the same slot. */
static unsigned take_turn(struct worker *w, struct wheel *wheel, uint64_t now, unsigned most)
{
	uint16_t *head = &wheel->head[wheel->turn % WHEEL], list = *head;
	unsigned n = 0;

	*head = 0;
	while (list) {
		uint16_t index = list - 1;

		list = wheel->next[index];
		if (n < most) {
			n += serve(w, wheel, index, now);
			continue;
		}
		wheel->next[index] = *head;
		*head = index + 1;
	}
	return n;
}

unsigned probe_run(struct worker *w)
{
	struct wheel *wheel = wheels[w->index];
	uint64_t now = rte_rdtsc(), last = now >> turn_shift;
	unsigned n;

	w->now = 0;
	w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
	n = take_answers(w, wheel);
	if (last - wheel->turn > WHEEL) /* it stood still: every slot once is enough */
		wheel->turn = last - WHEEL;
	welcome(w, wheel, now);
	for (; wheel->turn < last; wheel->turn++) {
		n += take_turn(w, wheel, now, SENDS_MAX - n);
		if (n >= SENDS_MAX)
			break; /* what is left of it comes in the next round */
	}
	probe_due[w->index].at = wheel->turn < last ? now : (last + 1) << turn_shift;
	return n;
}

/* ---- control ---- */

struct probe *probe_of_port(enum dp_probe_type type, uint16_t port)
{
	uint16_t owner;

	if (port < DP_PROBE_PORT_MIN)
		return NULL;
	owner = atomic_load_explicit(
		&port_owner[type][port - DP_PROBE_PORT_MIN], memory_order_acquire);
	return owner ? atomic_load_explicit(&probe_table[owner - 1], memory_order_acquire) : NULL;
}

/* The first ports in a row that nobody has. -ENOSPC or an offset. */
static int ports_find(uint8_t type, unsigned n)
{
	unsigned run = 0;

	for (unsigned i = 0; i < DP_PROBE_PORTS; i++) {
		run = port_owner[type][i] ? 0 : run + 1;
		if (run == n)
			return (int)(i + 1 - n);
	}
	return -ENOSPC;
}

static void ports_mark(const struct probe *p, uint16_t owner)
{
	for (unsigned i = 0; i < p->conf.buckets; i++)
		atomic_store_explicit(&port_owner[p->conf.type][p->base - DP_PROBE_PORT_MIN + i],
			owner, memory_order_release);
}

static void probe_free(void *arg)
{
	struct probe *p = arg;

	if (!p)
		return;
	hmac_wipe(&p->hmac);
	free(p->slots);
	free(p->out);
	free(p);
}

/* Who transmits for the link's port, or anyone. */
static uint16_t owner_of(unsigned probe, uint16_t link)
{
	const struct snapshot *s = snapshot_published;
	const struct link *l = s ? snapshot_link(s, link) : NULL;
	int owner = l && l->port < DP_PORTS_MAX ? port_table[l->port].owner : -1;

	return (uint16_t)(owner >= 0 ? (unsigned)owner : probe % n_workers);
}

static struct probe *probe_new(unsigned index, const struct dp_probe *conf)
{
	uint32_t slots = rte_align32pow2(RTE_MAX(conf->rate * SLOTS_PER_S, 16));
	uint32_t out = rte_align32pow2(RTE_MAX(conf->rate * OUT_PER_S, OUT_MIN));
	struct probe *p = calloc(1, sizeof(*p) + conf->buckets * sizeof(p->cells[0]));

	if (!p)
		return NULL;
	p->conf = *conf;
	p->conf.key = NULL;
	p->index = (uint16_t)index;
	p->owner = owner_of(index, conf->link);
	p->interval = rte_get_tsc_hz() / conf->rate;
	p->born = rte_rdtsc();
	p->mask = slots - 1;
	p->out_mask = out - 1;
	p->timeout_ms = 1000;
	p->slots = calloc(slots, sizeof(p->slots[0]));
	p->out = calloc(out, sizeof(p->out[0]));
	if (p->slots && p->out) {
		p->auth = conf->type == DP_PROBE_STAMP && conf->key;
		if (p->auth)
			hmac_key(&p->hmac, conf->key, conf->key_len);
		return p;
	}
	probe_free(p);
	return NULL;
}

static bool valid(const struct dp_probe *conf)
{
	return conf->type < DP_PROBE_TYPES && conf->buckets &&
	       conf->buckets <= DP_PROBE_BUCKETS_MAX && conf->rate &&
	       conf->rate <= DP_PROBE_RATE_MAX && conf->vrf < DP_VRFS_MAX &&
	       (conf->src.af == AF_INET || conf->src.af == AF_INET6) &&
	       conf->src.af == conf->dst.af && (conf->port || conf->type == DP_PROBE_ICMP);
}

int dp_probe_set(unsigned probe, const struct dp_probe *conf)
{
	struct probe *p;
	int base;

	if (probe >= DP_PROBES_MAX || !valid(conf) || !n_workers)
		return -EINVAL;
	dp_probe_del(probe);
	base = ports_find(conf->type, conf->buckets);
	if (base < 0)
		return base;
	p = probe_new(probe, conf);
	if (!p)
		return -ENOMEM;
	p->base = (uint16_t)(DP_PROBE_PORT_MIN + base);
	atomic_store_explicit(&probe_table[probe], p, memory_order_release);
	ports_mark(p, (uint16_t)(probe + 1));
	atomic_fetch_add(&generation, 1);
	atomic_fetch_add(&probe_watching, 1);
	atomic_fetch_add(&probe_streams, 1);
	return 0;
}

int dp_probe_del(unsigned probe)
{
	struct probe *p = probe < DP_PROBES_MAX ? probe_table[probe] : NULL;

	if (!p)
		return -ENOENT;
	ports_mark(p, 0);
	atomic_store_explicit(&probe_table[probe], NULL, memory_order_release);
	atomic_fetch_sub(&probe_streams, 1);
	atomic_fetch_sub(&probe_watching, 1);
	reclaim_defer(probe_free, p);
	return 0;
}

int dp_probe_way(unsigned probe, uint32_t adj, uint16_t timeout_ms)
{
	struct probe *p = probe < DP_PROBES_MAX ? probe_table[probe] : NULL;

	if (!p)
		return -ENOENT;
	if (adj >= DP_ADJS_MAX || !timeout_ms || timeout_ms > DP_PROBE_TIMEOUT_MAX_MS)
		return -EINVAL;
	atomic_store_explicit(&p->adj, adj, memory_order_relaxed);
	atomic_store_explicit(&p->timeout_ms, timeout_ms, memory_order_relaxed);
	return 0;
}

unsigned dp_probe_read(
	unsigned probe, uint32_t *cursor, struct dp_probe_outcome *ret_outcomes, unsigned max)
{
	const struct probe *p = probe < DP_PROBES_MAX ? probe_table[probe] : NULL;
	uint32_t end, size, from, skip;
	unsigned n;

	if (!p)
		return 0;
	end = __atomic_load_n(&p->n_out, __ATOMIC_ACQUIRE);
	size = p->out_mask + 1;
	from = end - *cursor > size ? end - size : *cursor;
	n = RTE_MIN(end - from, max);
	for (unsigned i = 0; i < n; i++) {
		uint64_t x = __atomic_load_n(&p->out[(from + i) & p->out_mask], __ATOMIC_RELAXED);

		ret_outcomes[i] = (struct dp_probe_outcome){ (uint8_t)(x >> 40), (uint8_t)(x >> 32),
			(uint32_t)x };
	}
	/* What the worker overwrote meanwhile, and the one it may be writing, are not what they
	 * seem. */
	atomic_thread_fence(memory_order_acquire);
	end = __atomic_load_n(&p->n_out, __ATOMIC_RELAXED);
	skip = end - from >= size ? end - from - size + 1 : 0;
	*cursor = from + n;
	if (skip >= n)
		return 0;
	memmove(ret_outcomes, ret_outcomes + skip, (n - skip) * sizeof(ret_outcomes[0]));
	return n - skip;
}

int dp_probe_stats(unsigned probe, unsigned bucket, struct dp_probe_stats *ret_stats)
{
	const struct probe *p = probe < DP_PROBES_MAX ? probe_table[probe] : NULL;
	const uint64_t *from;
	uint64_t *to = (uint64_t *)ret_stats, now = rte_rdtsc(), since;

	if (!p || bucket >= p->conf.buckets)
		return -ENOENT;
	from = (const uint64_t *)&p->cells[bucket].stats;
	for (unsigned i = 0; i < offsetof(struct dp_probe_stats, quiet_ns) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	since = __atomic_load_n(&p->cells[bucket].last, __ATOMIC_RELAXED);
	since = since ? since : p->born;
	ret_stats->quiet_ns =
		now > since ? (uint64_t)((double)(now - since) * 1e9 / (double)rte_get_tsc_hz())
			    : 0;
	ret_stats->port = (uint16_t)(p->base + bucket);
	return 0;
}

/* ---- start and stop ---- */

int probe_init(unsigned n)
{
	char name[RTE_RING_NAMESIZE];

	n_workers = n;
	for (turn_shift = 0; UINT64_C(2) << turn_shift <= rte_get_tsc_hz() / 1000;)
		turn_shift++;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "answers%u", i);
		wheels[i] = calloc(1, sizeof(*wheels[i]));
		if (wheels[i])
			wheels[i]->answers = rte_ring_create_elem(name, sizeof(struct probe_answer),
				ANSWERS, SOCKET_ID_ANY, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
		if (!wheels[i] || !wheels[i]->answers)
			return -ENOMEM;
	}
	return 0;
}

void probe_exit(void)
{
	for (unsigned i = 0; i < DP_PROBES_MAX; i++)
		if (probe_table[i]) {
			ports_mark(probe_table[i], 0);
			probe_free(probe_table[i]);
			probe_table[i] = NULL;
		}
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		if (wheels[i])
			rte_ring_free(wheels[i]->answers);
		free(wheels[i]);
		wheels[i] = NULL;
		probe_due[i].at = 0;
	}
	probe_streams = probe_watching = 0;
	n_workers = 0;
	reflector_exit();
}
