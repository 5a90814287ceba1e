/* Receive and transmit of net_bench: the two functions under every measured ratio.
 *
 * Receive takes mbufs from the queue's pool, resets them as drivers do (four words of the first
 * cache line) and copies the whole frame into each: the router changes what it gets, so every
 * packet is written anew. Transmit counts, keeps a sample now and then, and gives the mbufs back to
 * their pool in one go when they are what nearly all are: one segment, one reference, one
 * pool. One body each, compiled twice, for any machine and for AVX2; which one runs is decided when
 * the device is made. Each queue has one worker. */
#include <string.h>
#include <rte_cpuflags.h>
#include <rte_mbuf.h>
#include "source.h"

#define AVX2 __attribute__((target("avx2")))

typedef uint8_t block __attribute__((vector_size(SOURCE_BLOCK), aligned(1), may_alias));
typedef uint64_t word __attribute__((may_alias));
typedef uint64_t words2 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint32_t words4 __attribute__((vector_size(16), aligned(1), may_alias));

/* ---- receive ---- */
/* What waits in the stage goes back. */
void burst_forget(struct rx_queue *q)
{
	rte_pktmbuf_free_bulk(q->stage + q->staged_at, q->staged - q->staged_at);
	q->staged = q->staged_at = 0;
}

/* Reads control: which frames from now on, how many, how fast. Whatever stands there is survived.
 */
void burst_control(struct rx_queue *q)
{
	const struct control_line *c = q->control;
	uint64_t first, count, limit;

	burst_forget(q);
	q->generation = atomic_load_explicit(&c->generation, memory_order_acquire);
	first = c->first < q->frames->n_frames ? c->first : 0;
	count = q->frames->n_frames - first;
	if (c->count && c->count < count)
		count = c->count;
	limit = c->limit;
	/* Frame i of the file is queue i % stride's, whatever is chosen. */
	q->end = first + count;
	q->first = first + (q->stride + q->index - first % q->stride) % q->stride;
	q->next = q->first;
	q->left = UINT64_MAX;
	if (limit)
		q->left = (limit + q->stride - 1 - (q->first - first)) / q->stride;
	q->stamp = c->stamp != 0;
	q->pace = (c->pace & ~SOURCE_OWN_TIME) * q->stride;
	q->own_time = c->pace & SOURCE_OWN_TIME;
	q->own_tsc = 0;
	q->due = 0;
	q->burst = c->burst && c->burst < SOURCE_BURST ? c->burst : SOURCE_BURST;
	if (c->hold || q->first >= q->end)
		q->burst = 0;
}

static __rte_always_inline void mbuf_fill(
	struct rte_mbuf *m, uint64_t rearm, struct frame f, const uint8_t *blocks)
{
	uint8_t *to = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	const uint8_t *from = blocks + (size_t)f.at * SOURCE_BLOCK;
	uint32_t len = f.len, n = f.blocks;

	*(words2 *)&m->rearm_data = (words2){ rearm, 0 };
	/* packet_type, pkt_len, data_len and vlan_tci, hash */
	*(words4 *)&m->rx_descriptor_fields1 = (words4){ 0, len, len, 0 };
	for (;;) {
		*(block *)to = *(const block *)from;
		if (likely(--n == 0))
			return;
		to += SOURCE_BLOCK;
		from += SOURCE_BLOCK;
	}
}

/* The mbufs' first line and the line the frame begins in, of memory that nobody touched for long.
 */
static inline void mbufs_prefetch(struct rte_mbuf **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(pkts[i]);
		rte_prefetch0((uint8_t *)(pkts[i] + 1) + RTE_PKTMBUF_HEADROOM);
	}
}

static inline unsigned mbufs_get(struct rx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	if (q->fifo) {
		n = fifo_get(q->fifo, pkts, n);
		mbufs_prefetch(pkts, n);
		return n;
	}
	return rte_mempool_get_bulk(q->pool, (void **)pkts, n) ? 0 : n;
}

/* n fresh packets of the next n frames, or 0; n is at least 1. */
static __rte_always_inline unsigned fill(struct rx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	const struct frame *frame = q->frames->frame;
	const uint8_t *blocks = q->frames->block;
	uint64_t rearm = q->rearm;
	unsigned stride = q->stride, done = 0;

	n = mbufs_get(q, pkts, n);
	while (done < n) {
		uint32_t i = q->next, end = q->end;

		for (; done < n && i < end; i += stride, done++) {
			struct frame ahead = frame[i + FRAMES_AHEAD * stride];

			rte_prefetch0(blocks + (size_t)ahead.at * SOURCE_BLOCK);
			mbuf_fill(pkts[done], rearm, frame[i], blocks);
			q->bytes += frame[i].len;
		}
		q->next = i < end ? i : q->first;
	}
	return n;
}

/* Small bursts come out of a stage that is filled by whole vectors, as with NICs, whose packets
 * were written some time before they are received. */
static __rte_always_inline unsigned fill_staged(
	struct rx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	if (q->staged_at == q->staged) {
		q->staged_at = 0;
		q->staged = fill(q, q->stage, RTE_MIN(q->left, (uint64_t)SOURCE_BURST));
	}
	n = RTE_MIN(n, (unsigned)q->staged - q->staged_at);
	for (unsigned i = 0; i < n; i++)
		pkts[i] = q->stage[q->staged_at++];
	return n;
}

static __rte_always_inline uint16_t rx_body(void *queue, struct rte_mbuf **pkts, uint16_t want)
{
	struct rx_queue *q = queue;
	unsigned n;

	if (unlikely(atomic_load_explicit(&q->control->generation, memory_order_relaxed) !=
		     q->generation))
		burst_control(q);
	n = RTE_MIN(want, q->burst);
	n = RTE_MIN(n, q->left);
	if (unlikely(q->pace))
		n = time_due(q, n);
	if (unlikely(!n))
		return 0;
	n = likely(q->burst == SOURCE_BURST) ? fill(q, pkts, n) : fill_staged(q, pkts, n);
	if (unlikely(!n)) {
		q->line->no_mbufs++;
		return 0;
	}
	if (unlikely(q->pace || q->stamp))
		time_stamp(q, pkts, n);
	q->left -= n;
	q->line->packets += n;
	q->line->bytes = q->bytes;
	q->line->bursts++;
	return n;
}

static uint16_t rx_default(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rx_body(queue, pkts, n);
}

AVX2 static uint16_t rx_avx2(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	return rx_body(queue, pkts, n);
}

static uint16_t rx_nothing(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue, (void)pkts, (void)n;
	return 0;
}

/* ---- transmit ---- */
static void sample_take(struct tx_queue *q, const struct rte_mbuf *m)
{
	uint64_t n = atomic_fetch_add_explicit(q->sequence, 1, memory_order_relaxed);
	struct sample *s = &q->samples[n % q->slots];
	uint32_t len = RTE_MIN(m->pkt_len, sizeof(s->data));
	const void *data;

	atomic_store_explicit(&s->sequence, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	s->length = m->pkt_len;
	s->queue = q->index;
	data = rte_pktmbuf_read(m, 0, len, s->data);
	if (data != s->data)
		memcpy(s->data, data, len);
	memset(s->data + len, 0, sizeof(s->data) - len);
	atomic_store_explicit(&s->sequence, n + 1, memory_order_release);
	q->line->sampled++;
}

/* One frame in `every` on average, at random distances: a fixed one would meet the same flows. */
static __rte_noinline void samples_take(struct tx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	uint64_t at = q->until;

	while (at < n) {
		sample_take(q, pkts[at]);
		q->random ^= q->random << 13, q->random ^= q->random >> 7,
			q->random ^= q->random << 17;
		at += 1 + (q->random >> 16) % (2 * q->every - 1);
	}
	q->until = at;
}

/* Anything but one segment, one reference, one pool. */
static __rte_noinline void mbufs_free(struct rte_mbuf **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct fifo *fifo = fifo_of(pkts[i]->pool);
		struct rte_mbuf *next, *m = pkts[i];

		for (; fifo && m; m = next) {
			next = m->next;
			struct rte_mbuf *free = rte_pktmbuf_prefree_seg(m);
			if (free)
				fifo_put(fifo, &free, 1);
		}
		if (!fifo)
			rte_pktmbuf_free(m);
	}
}

static __rte_always_inline uint16_t tx_body(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const union {
		struct {
			uint16_t data_off, refcnt, nb_segs, port;
		} field;
		uint64_t word;
	} plain = { { 0, 1, 1, 0 } }, mask = { { 0, UINT16_MAX, UINT16_MAX, 0 } };
	struct tx_queue *q = queue;
	uint64_t bytes = 0, odd = 0;
	struct rte_mempool *pool;

	if (unlikely(!n))
		return 0;
	if (unlikely(q->until < n))
		samples_take(q, pkts, n);
	q->until -= n;
	if (unlikely(q->control->stamp))
		time_ages(q, pkts, n);
	pool = pkts[0]->pool;
	for (unsigned i = 0; i < n; i++) {
		const struct rte_mbuf *m = pkts[i];

		odd |= (*(const word *)(const void *)&m->rearm_data & mask.word) ^ plain.word;
		odd |= m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
		odd |= (uintptr_t)m->pool ^ (uintptr_t)pool;
		bytes += m->pkt_len;
	}
	q->line->packets += n;
	q->line->bytes += bytes;
	q->line->bursts++;
	if (unlikely(odd)) {
		mbufs_free(pkts, n);
		return n;
	}
	struct fifo *fifo = fifo_of(pool);
	if (unlikely(fifo != NULL))
		fifo_put(fifo, pkts, n);
	else
		rte_mempool_put_bulk(pool, (void **)pkts, n);
	return n;
}

static uint16_t tx_default(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	return tx_body(queue, pkts, n);
}

AVX2 static uint16_t tx_avx2(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	return tx_body(queue, pkts, n);
}

/* ---- which ---- */
eth_rx_burst_t burst_rx(const struct frames *frames)
{
	if (!frames->n_frames)
		return rx_nothing;
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) > 0 ? rx_avx2 : rx_default;
}

eth_tx_burst_t burst_tx(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) > 0 ? tx_avx2 : tx_default;
}
