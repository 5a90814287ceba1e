/* Receive: the first stage. A worker takes a vector of up to 64 packets from each of its queues in
 * turn, runs it through the pipeline and sends what came out, before it looks at the next queue.
 * The snapshot is read once here, so that all stages see a vector with the same links. One vector
 * in 256 is timed. */
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include "dp.h"
#include "pipeline.h"
#include "port.h"

#define SAMPLE_EVERY 256

/* One in each 256, and not always the same: where queues take turns, every one is met. */
static bool sampled(uint64_t vector)
{
	return (vector + vector / SAMPLE_EVERY) % SAMPLE_EVERY == 0;
}

static void rx_vector(
	struct worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n, uint64_t begin)
{
	struct dp_worker_stats *stats = &w->ctr.stats;
	uint64_t received = w->now = rte_rdtsc();

	w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
	count_add(&stats->vectors, 1);
	count_add(&stats->packets, n);
	pipeline_run(w, port, pkts, n);
	if (!w->sample) {
		tx_flush(w);
		return;
	}
	uint64_t processed = rte_rdtsc();
	tx_flush(w);
	uint64_t end = rte_rdtsc();
	count_add(&stats->sampled_vectors, 1);
	count_add(&stats->sampled_packets, n);
	count_add(&stats->stage_cycles[STAGE_rx], clock_spent(w, begin, received));
	count_add(&stats->stage_cycles[STAGE_tx], clock_spent(w, processed, end));
}

unsigned rx_poll(struct worker *w)
{
	const struct port_worker *pw = &port_worker[w->index];
	struct rte_mbuf *pkts[VECTOR_MAX + PREFETCH_AHEAD];
	unsigned total = 0;

	for (unsigned i = 0; i < pw->n_rx; i++) {
		const struct port_rx *rx = &pw->rx[i];

		w->sample = sampled(w->ctr.stats.vectors);
		uint64_t begin = w->sample ? rte_rdtsc() : 0;
		unsigned n = rte_eth_rx_burst(rx->ethdev, rx->queue, pkts, VECTOR_MAX);
		if (!n)
			continue;
		rx_vector(w, rx->port, pkts, n, begin);
		total += n;
	}
	return total;
}
