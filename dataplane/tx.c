/* Transmit: the last stage. Finished frames gather in one buffer a port and leave in one burst
 * after the vector. A port with fewer tx queues than workers belongs to one of them: the others put
 * their frames into its inbox ring and are done; no queue is ever locked. The ring's tail is
 * relaxed, so a producer that the scheduler takes away in the middle holds up nobody. A LAG's
 * buffer is spread over those of its members (lag.c), which then leave as any other. A worker never
 * waits for a port either: what the port does not take at the second try is dropped and counted for
 * the link it came from. */
#include <string.h>
#include <rte_ethdev.h>
#include "dp.h"
#include "esp.h"
#include "lag.h"
#include "port.h"
#include "worker.h"

#define INBOX_ROUNDS 4

_Static_assert(DP_PORTS_MAX <= 32, "tx_pending has a bit for each port");

static void tx_drop(struct worker *w, struct rte_mbuf **pkts, unsigned n, enum dp_drop reason)
{
	for (unsigned i = 0; i < n; i++)
		drop(w, pkts[i], mbuf_meta(pkts[i])->link, reason);
}

static void tx_port(struct worker *w, unsigned port)
{
	const struct port_tx *tx = &port_worker[w->index].tx[port];
	struct tx_buffer *buffer = &w->tx[port];
	unsigned n = buffer->n, sent;

	buffer->n = 0;
	w->tx_pending &= ~(UINT32_C(1) << port);
	if (!atomic_load_explicit(&port_carrier[port], memory_order_relaxed)) {
		tx_drop(w, buffer->pkts, n, DP_DROP_no_carrier);
		return;
	}
	if (tx->owner >= 0) {
		if (tx->owner == PORT_TX_LAG) {
			lag_spread(w, port, buffer->pkts, n);
			return;
		}
		for (unsigned i = 0; i < n; i++)
			buffer->pkts[i]->port = (uint16_t)port; /* tx_inbox asks */
		sent = rte_ring_enqueue_burst(
			worker_table[tx->owner]->inbox, (void **)buffer->pkts, n, NULL);
		count_add(&w->ctr.stats.handed_over, sent);
		tx_drop(w, buffer->pkts + sent, n - sent, DP_DROP_handover_full);
		return;
	}
	sent = rte_eth_tx_burst(tx->ethdev, tx->queue, buffer->pkts, n);
	if (sent < n)
		sent += rte_eth_tx_burst(tx->ethdev, tx->queue, buffer->pkts + sent, n - sent);
	tx_drop(w, buffer->pkts + sent, n - sent, DP_DROP_tx_full);
}

void tx_send_bulk(struct worker *w, uint16_t port, struct rte_mbuf *const *pkts, unsigned n)
{
	struct tx_buffer *buffer = &w->tx[port];

	if (buffer->n + n > RTE_DIM(buffer->pkts))
		tx_port(w, port);
	memcpy(buffer->pkts + buffer->n, pkts, n * sizeof(pkts[0]));
	buffer->n += n;
	w->tx_pending |= UINT32_C(1) << port;
}

void tx_send(struct worker *w, uint16_t port, struct rte_mbuf *m)
{
	struct tx_buffer *buffer = &w->tx[port];

	if (unlikely(buffer->n == RTE_DIM(buffer->pkts)))
		tx_port(w, port);
	buffer->pkts[buffer->n++] = m;
	w->tx_pending |= UINT32_C(1) << port;
}

void tx_flush(struct worker *w)
{
	if (unlikely(w->esp_pending))
		esp_flush(w);
	while (w->tx_pending)
		tx_port(w, __builtin_ctz(w->tx_pending));
}

unsigned tx_inbox(struct worker *w)
{
	struct rte_mbuf *pkts[VECTOR_MAX];
	unsigned total = 0, n = VECTOR_MAX;

	if (likely(rte_ring_empty(w->inbox)))
		return 0;
	/* Several workers may each hand over a vector while this one takes its own. */
	for (unsigned round = 0; round < INBOX_ROUNDS && n == VECTOR_MAX; round++) {
		n = rte_ring_dequeue_burst(w->inbox, (void **)pkts, VECTOR_MAX, NULL);
		for (unsigned i = 0; i < n; i++)
			tx_send(w, pkts[i]->port, pkts[i]);
		tx_flush(w);
		total += n;
	}
	return total;
}
