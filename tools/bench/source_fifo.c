/* Cold packet buffers: a FIFO of mbufs between sink and source.
 *
 * A mempool's cache hands out again what was freed last, which is hot; a NIC's ring hands out what
 * has waited longest. With fifo=N, N mbufs leave their pool when the source starts; the source
 * takes them at one end and the sink of the same process puts them back at the other, so each is
 * touched again only after all others. What the router drops goes to the pool as ever, and the FIFO
 * is filled up from there; what is too much, when it comes back after all, goes to the pool too.
 * Several workers may use one FIFO. Opened and closed while no worker runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_malloc.h>
#include "source.h"

#define FIFOS_MAX 8
#define SLACK	  512 /* mbufs that may be on their way through the router */

static struct fifo *fifos[FIFOS_MAX];
static unsigned n_fifos;

struct fifo *fifo_of(const struct rte_mempool *pool)
{
	for (unsigned i = 0; i < n_fifos; i++)
		if (fifos[i]->pool == pool)
			return fifos[i];
	return NULL;
}

/* In random order: neighbours in memory would follow one another for ever. */
static int fifo_fill(struct fifo *fifo)
{
	struct rte_mbuf **pkts = calloc(fifo->size, sizeof(*pkts));
	uint64_t random = 88172645463325252;
	int rc = -ENOMEM;

	if (!pkts || rte_mempool_get_bulk(fifo->pool, (void **)pkts, fifo->size))
		goto out;
	for (unsigned i = fifo->size - 1; i > 0; i--) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		struct rte_mbuf **other = &pkts[random % (i + 1)], *m = *other;
		*other = pkts[i];
		pkts[i] = m;
	}
	rte_ring_enqueue_bulk(fifo->ring, (void **)pkts, fifo->size, NULL);
	rc = 0;
out:
	free(pkts);
	return rc;
}

int fifo_open(struct rte_mempool *pool, unsigned size, const char *name, struct fifo **ret_fifo)
{
	struct fifo *fifo;

	if (n_fifos == FIFOS_MAX || fifo_of(pool)) {
		LOG(ERR, "%s: need a pool without a fifo, have one with\n", name);
		return -EEXIST;
	}
	fifo = rte_zmalloc(name, sizeof(*fifo), RTE_CACHE_LINE_SIZE);
	if (!fifo)
		return -ENOMEM;
	*fifo = (struct fifo){ .pool = pool, .size = size };
	fifo->ring = rte_ring_create(name, size, SOCKET_ID_ANY, RING_F_EXACT_SZ);
	if (!fifo->ring || fifo_fill(fifo)) {
		LOG(ERR,
			"%s: need %u mbufs for the fifo and some more, pool %s has %u of %u: make "
			"it larger\n",
			name, size, pool->name, rte_mempool_avail_count(pool), pool->size);
		rte_ring_free(fifo->ring);
		rte_free(fifo);
		return -ENOMEM;
	}
	fifos[n_fifos++] = fifo;
	*ret_fifo = fifo;
	return 0;
}

void fifo_close(struct fifo *fifo)
{
	struct rte_mbuf *m;

	if (!fifo)
		return;
	for (unsigned i = 0; i < n_fifos; i++)
		if (fifos[i] == fifo)
			fifos[i--] = fifos[--n_fifos];
	while (!rte_ring_dequeue(fifo->ring, (void **)&m))
		rte_mempool_put(fifo->pool, m);
	rte_ring_free(fifo->ring);
	rte_free(fifo);
}

void fifo_put(struct fifo *fifo, struct rte_mbuf **pkts, unsigned n)
{
	unsigned k = rte_ring_enqueue_burst(fifo->ring, (void **)pkts, n, NULL);

	if (unlikely(k < n))
		rte_mempool_put_bulk(fifo->pool, (void **)(pkts + k), n - k);
}

unsigned fifo_get(struct fifo *fifo, struct rte_mbuf **pkts, unsigned n)
{
	struct rte_mbuf *more[SOURCE_BURST];
	unsigned left = 0;

	n = rte_ring_dequeue_burst(fifo->ring, (void **)pkts, n, &left);
	if (unlikely(left + n + SLACK < fifo->size) &&
		!rte_mempool_get_bulk(fifo->pool, (void **)more, SOURCE_BURST))
		fifo_put(fifo, more, SOURCE_BURST);
	return n;
}
