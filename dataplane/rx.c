/* Receive: the first stage. A worker takes a vector of up to 64 packets from each of its queues in
 * turn, runs it through the pipeline and sends what came out, before it looks at the next queue.
 * The snapshot is read once here, so that all stages see a vector with the same links. One vector
 * in 256 is timed. */
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include "dp.h"
#include "lag.h"
#include "pipeline.h"
#include "port.h"
#include "shed.h"

#define SAMPLE_EVERY 256

/* One in each 256, and not always the same: where queues take turns, every one is met. */
static bool sampled(uint64_t vector)
{
	return (vector + vector / SAMPLE_EVERY) % SAMPLE_EVERY == 0;
}

/* A vector takes microseconds. One that took a millisecond was interrupted by whoever else runs on
 * this CPU, and among some hundred samples it would be all there is to see. */
static void sample_end(struct worker *w, unsigned n, uint64_t begin, uint64_t end)
{
	struct dp_worker_stats *stats = &w->ctr.stats;

	if (end - begin > rte_get_tsc_hz() / 1000) {
		count_add(&stats->disturbed_vectors, 1);
		return;
	}
	count_add(&stats->sampled_vectors, 1);
	count_add(&stats->sampled_packets, n);
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		count_add(&stats->stage_cycles[i], w->lap[i]);
}

static void rx_vector(
	struct worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n, uint64_t begin)
{
	struct dp_worker_stats *stats = &w->ctr.stats;
	uint64_t received = w->sample ? rte_rdtsc() : 0;

	w->now = 0;
	w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
	count_add(&stats->vectors, 1);
	count_add(&stats->packets, n);
	if (!w->sample) {
		pipeline_run(w, port, pkts, n);
		tx_flush(w);
		return;
	}
	memset(w->lap, 0, sizeof(w->lap));
	w->lap[STAGE_rx] = clock_spent(w, begin, received);
	pipeline_run(w, port, pkts, n);
	uint64_t processed = rte_rdtsc();
	tx_flush(w);
	uint64_t end = rte_rdtsc();
	w->lap[STAGE_tx] += clock_spent(w, processed, end);
	sample_end(w, n, begin, end);
}

/* A full vector: what is left of it when its port is overloaded. */
static inline unsigned rx_full(struct worker *w, unsigned port, struct rte_mbuf **pkts)
{
	unsigned share = atomic_load_explicit(&shed_share[port], memory_order_relaxed), n;

	w->backlog = true;
	if (likely(!share))
		return VECTOR_MAX;
	n = shed_vector(w, pkts, VECTOR_MAX, share);
	count_add(&w->ctr.stats.packets, VECTOR_MAX - n);
	return n;
}

/* The same for members of LAGs: as received by the LAG, what it does not want taken out. */
static unsigned rx_members(struct worker *w, const struct port_worker *pw)
{
	struct rte_mbuf *pkts[VECTOR_MAX + PARSE_PAD];
	unsigned total = 0;

	for (unsigned i = 0; i < pw->n_member_rx; i++) {
		const struct port_rx *rx = &pw->member_rx[i];

		w->sample = sampled(w->ctr.stats.vectors);
		uint64_t begin = w->sample ? rte_rdtsc() : 0;
		unsigned n = rte_eth_rx_burst(rx->ethdev, rx->queue, pkts, VECTOR_MAX);
		total += n;
		if (n == VECTOR_MAX)
			n = rx_full(w, rx->member, pkts);
		n = n ? lag_collect(w, rx->port, rx->member, pkts, n) : 0;
		if (n)
			rx_vector(w, rx->port, pkts, n, begin);
	}
	return total;
}

unsigned rx_poll(struct worker *w)
{
	const struct port_worker *pw = &port_worker[w->index];
	struct rte_mbuf *pkts[VECTOR_MAX + PARSE_PAD];
	unsigned total = 0;

	w->backlog = false;
	for (unsigned i = 0; i < pw->n_rx; i++) {
		const struct port_rx *rx = &pw->rx[i];

		w->sample = sampled(w->ctr.stats.vectors);
		uint64_t begin = w->sample ? rte_rdtsc() : 0;
		unsigned n = rte_eth_rx_burst(rx->ethdev, rx->queue, pkts, VECTOR_MAX);
		if (!n)
			continue;
		total += n;
		if (n == VECTOR_MAX)
			n = rx_full(w, rx->port, pkts);
		rx_vector(w, rx->port, pkts, n, begin);
	}
	if (unlikely(pw->n_member_rx))
		total += rx_members(w, pw);
	return total;
}
