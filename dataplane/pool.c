/* Packet buffers: one pool for each class of port, one a worker for what the router itself makes
 * (ICMP errors, fragments), one for frames from the kernel. Every packet is one segment.
 *
 * Classes: AF_XDP wants the pool to be its UMEM, in chunks of a page at most, so those buffers are
 * exactly a page: 64 bytes of mempool header, 128 of mbuf, 128 headroom, 256 that the kernel keeps
 * before the frame, 3,520 for the frame; an IP packet of 3,498 with two tags. Elsewhere there is
 * room for what ESP puts behind a packet; here esp_out.c moves the packet to the front. All AF_XDP
 * ports share that pool, so that a packet going from one to another is not copied. Every other port
 * shares a pool sized by the largest MTU. A buffer may wait in any port's tx ring, whatever pool it
 * is from, and drivers free lazily: so each pool counts every tx ring, its own rx rings, each
 * worker's vectors, caches and rings, and the held packets. The pools are rings with relaxed tails:
 * a thread that the scheduler takes away in the middle of freeing (the punt thread) then holds up
 * no worker. Control creates and frees; nothing is allocated in between. */
#include <stdio.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include "esp.h"
#include "hold.h"
#include "port.h"
#include "punt.h"

#define POOL_CACHE    256
#define XDP_FILL      2048 /* what the driver puts into a fill ring */
#define XDP_COMPLETE  2048
#define SCRATCH_SPARE 512
#define POOL_OPS      "ring_mt_rts"

static struct rte_mempool *class_pool[PORT_CLASSES], *scratch_pool[DP_WORKERS_MAX], *punt_pool;

/* Bytes of an mbuf's data room. */
static unsigned room_page(void)
{
	return getpagesize() - sizeof(struct rte_mbuf) -
	       RTE_ALIGN(sizeof(struct rte_mempool_objhdr), RTE_MEMPOOL_ALIGN);
}

static unsigned room_for(unsigned mtu)
{
	/* Drivers round a buffer down to whole kilobytes. */
	return RTE_PKTMBUF_HEADROOM +
	       RTE_ALIGN(mtu + PORT_L2_MAX + RTE_ETHER_CRC_LEN + ESP_TRAILER, 1024);
}

static unsigned largest_mtu(int class)
{
	unsigned mtu = 0;

	for (unsigned p = 0; p < port_count; p++)
		if ((class < 0 || port_table[p].class == class) && port_table[p].conf.mtu > mtu)
			mtu = port_table[p].conf.mtu;
	return mtu;
}

static unsigned class_room(int class)
{
	return class == PORT_XDP ? room_page() : room_for(largest_mtu(class));
}

/* Buffers of a pool that all tx rings together can hold on to. AF_XDP copies what is not from its
 * own. */
static unsigned in_tx_rings(bool xdp_pool)
{
	unsigned n = 0;

	for (unsigned p = 0; p < port_count; p++) {
		struct port *port = &port_table[p];

		if (port->class != PORT_XDP)
			n += port->n_txq * PORT_TX_DESC;
		else if (xdp_pool)
			n += port->n_txq * (PORT_TX_DESC + XDP_COMPLETE);
	}
	return n;
}

/* Frames on their way from one worker to another; a worker alone keeps its own. */
static unsigned in_inboxes(void)
{
	return port_workers > 1 ? port_workers * (WORKER_INBOX + WORKER_ESP) : 0;
}

static unsigned class_buffers(int class)
{
	unsigned n = 0, configured = 0, ports = 0;
	unsigned per_worker = port_count * RTE_DIM(((struct tx_buffer *)0)->pkts) + VECTOR_MAX +
			      POOL_CACHE * 3 / 2 + PUNT_RINGS;

	for (unsigned p = 0; p < port_count; p++) {
		struct port *port = &port_table[p];

		if (port->class != class)
			continue;
		ports++;
		configured += port->buffers;
		n += port->n_rxq * (PORT_RX_DESC + (class == PORT_XDP ? XDP_FILL : 0));
	}
	if (!ports)
		return 0;
	if (configured)
		return configured;
	return n + in_tx_rings(class == PORT_XDP) + in_inboxes() + port_workers * per_worker +
	       HOLD_MAX;
}

static unsigned scratch_buffers(void)
{
	/* Errors of ours wait for neighbours too, and all that wait may be one worker's. */
	return (in_tx_rings(false) + in_inboxes()) / port_workers + HOLD_MAX + SCRATCH_SPARE;
}

static unsigned punt_buffers(void)
{
	return in_tx_rings(false) + in_inboxes() + port_workers * PUNT_INJECT + SCRATCH_SPARE;
}

/* With its place in the pool's ring, a power of two. Without huge pages none shares a page with
 * another. */
static size_t buffer_bytes(unsigned room)
{
	size_t bytes = RTE_ALIGN(sizeof(struct rte_mempool_objhdr), RTE_MEMPOOL_ALIGN) +
		       sizeof(struct rte_mbuf) + room;

	return RTE_ALIGN(bytes, (size_t)getpagesize()) + 2 * sizeof(void *);
}

size_t pool_bytes(void)
{
	unsigned room = room_for(largest_mtu(-1));
	size_t bytes = 0;

	for (int c = 0; c < PORT_CLASSES; c++)
		bytes += class_buffers(c) * buffer_bytes(class_room(c));
	return bytes + (port_workers * scratch_buffers() + punt_buffers()) * buffer_bytes(room);
}

/* As rte_pktmbuf_pool_create_by_ops, but without the padding that spreads buffers over memory
 * channels: a buffer must not grow beyond its page. */
static struct rte_mempool *pool_new(const char *name, unsigned n, unsigned cache, unsigned room)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = room };
	struct rte_mempool *pool = rte_mempool_create_empty(name, n, sizeof(struct rte_mbuf) + room,
		cache, sizeof(private), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_SPREAD);
	int ret;

	if (!pool)
		return NULL;
	ret = rte_mempool_set_ops_byname(pool, POOL_OPS, NULL);
	if (!ret) {
		rte_pktmbuf_pool_init(pool, &private);
		ret = rte_mempool_populate_default(pool);
	}
	if (ret < 0) {
		rte_mempool_free(pool);
		rte_errno = -ret;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static struct rte_mempool *pool_make(
	const char *name, unsigned n, unsigned cache, unsigned room, struct dp_err *err)
{
	struct rte_mempool *pool = pool_new(name, n, cache, room);

	if (!pool)
		dp_fail(err, -rte_errno,
			"packet buffers: need %u of %zu bytes for pool %s, %zu MB for all pools, "
			"have less (%s): %slower "
			"queues, workers or packet_buffers",
			n, buffer_bytes(room), name, (pool_bytes() >> 20) + 1,
			rte_strerror(rte_errno),
			rte_eal_has_hugepages() ? "`sysctl -w vm.nr_hugepages=N`, or " : "");
	return pool;
}

static int pool_create_class(int class, struct dp_err *err)
{
	static const char *const names[] = { "packets_xdp", "packets" };
	unsigned n = class_buffers(class);

	if (!n)
		return 0;
	class_pool[class] = pool_make(names[class], n, POOL_CACHE, class_room(class), err);
	if (!class_pool[class])
		return -ENOMEM;
	/* The driver registers one area as UMEM, from the first chunk's address. */
	if (class == PORT_XDP && class_pool[class]->nb_mem_chunks != 1)
		return dp_fail(err, -ENOMEM,
			"packet buffers: need %zu MB in one piece for AF_XDP, have them in %u: "
			"reserve more huge pages",
			(n * buffer_bytes(class_room(class)) >> 20) + 1,
			class_pool[class]->nb_mem_chunks);
	for (unsigned p = 0; p < port_count; p++)
		if (port_table[p].class == class)
			port_table[p].pool = class_pool[class];
	return 0;
}

int pool_create(struct dp_err *err)
{
	unsigned room = room_for(largest_mtu(-1));
	char name[RTE_MEMPOOL_NAMESIZE];

	for (int c = 0; c < PORT_CLASSES; c++) {
		int ret = pool_create_class(c, err);
		if (ret)
			return ret;
	}
	for (unsigned w = 0; w < port_workers; w++) {
		snprintf(name, sizeof(name), "scratch%u", w);
		scratch_pool[w] = pool_make(name, scratch_buffers(), 0, room, err);
		if (!scratch_pool[w])
			return -ENOMEM;
	}
	punt_pool = pool_make("from_kernel", punt_buffers(), 0, room, err);
	return punt_pool ? 0 : -ENOMEM;
}

void pool_free_all(void)
{
	for (int c = 0; c < PORT_CLASSES; c++) {
		rte_mempool_free(class_pool[c]);
		class_pool[c] = NULL;
	}
	for (unsigned w = 0; w < DP_WORKERS_MAX; w++) {
		rte_mempool_free(scratch_pool[w]);
		scratch_pool[w] = NULL;
	}
	rte_mempool_free(punt_pool);
	punt_pool = NULL;
}

struct rte_mempool *pool_scratch(unsigned worker)
{
	return scratch_pool[worker];
}

struct rte_mempool *pool_punt(void)
{
	return punt_pool;
}

unsigned pool_in_use(void)
{
	unsigned n = punt_pool ? rte_mempool_in_use_count(punt_pool) : 0;

	for (int c = 0; c < PORT_CLASSES; c++)
		n += class_pool[c] ? rte_mempool_in_use_count(class_pool[c]) : 0;
	for (unsigned w = 0; w < DP_WORKERS_MAX; w++)
		n += scratch_pool[w] ? rte_mempool_in_use_count(scratch_pool[w]) : 0;
	return n;
}
