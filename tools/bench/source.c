/* net_bench: a device that hands out the frames of a pcap file and swallows what is sent to it.
 *
 * A DPDK driver of ours, loaded with -d (EAL refuses plug-ins below a folder that everybody may
 * write, such as /tmp: copy it to one like /run first), for lintasd, the bare loop, dpdk-testpmd
 * and whatever else links Debian's DPDK: one source and one sink for all that is compared. One
 * device can be both. Up to 16 queues each way, one worker each: frame i of the file goes to rx
 * queue i % n. Arguments, all optional:
 *   frames=PCAP  what to hand out, in turn; none: only a sink
 *   burst=N      packets a receive, 1 to 64 (64)
 *   limit=N      frames to hand out, then nothing; 0 = endless (0)
 *   hold=0|1     1: hand out nothing until control says so (0)
 *   fifo=N       cold: N mbufs go round in a FIFO, see source_fifo.c; the pool needs some more (0)
 *   stats=FILE   counters and control, mapped; a file for each device. source.h describes it
 *   sample=FILE  copies of transmitted frames, mapped; source.h describes it
 *   every=N      one frame in N is sampled, on average; 1 = each (4096)
 *   slots=N      of the sample file (4096)
 *   mac=ADDRESS  (02:00:00:00:be:N of net_benchN)
 * This file: arguments, files, and the operations of an Ethernet device; they run in the main
 * thread. The link is up from start to stop; everything that a real NIC would filter comes in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>
#include "source.h"

#define NAME	  "net_bench"
#define MTU_MAX	  9600
#define SLOTS_MAX (1u << 20)
#define FIFO_MAX  (1u << 22)

RTE_LOG_REGISTER(source_log, pmd.net.bench, NOTICE);

struct device {
	struct rx_queue rx[SOURCE_QUEUES];
	struct tx_queue tx[SOURCE_QUEUES];
	struct frames frames;
	struct fifo *fifo;
	struct stats_file *stats;
	struct sample *samples;
	bool stats_mapped;
	uint64_t fifo_size, slots, every;
	_Atomic uint64_t sequence; /* samples taken so far */
	struct rte_eth_stats base; /* what stats_reset forgets */
	struct rte_ether_addr mac;
	char name[RTE_ETH_NAME_MAX_LEN];
};

/* ---- arguments ---- */
static const char *const keys[] = { "frames", "burst", "limit", "hold", "fifo", "stats", "sample",
	"every", "slots", "mac", NULL };

struct number {
	uint64_t value, least, most;
};

static int number_parse(const char *key, const char *text, void *arg)
{
	struct number *number = arg;
	char *end;

	errno = 0;
	number->value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && number->value >= number->least &&
		number->value <= number->most)
		return 0;
	LOG(ERR, "%s=%s: need a number from %" PRIu64 " to %" PRIu64 "\n", key, text, number->least,
		number->most);
	return -EINVAL;
}

static int number_get(
	struct rte_kvargs *args, const char *key, uint64_t least, uint64_t most, uint64_t *value)
{
	struct number number = { *value, least, most };
	int rc = rte_kvargs_process(args, key, number_parse, &number);

	*value = number.value;
	return rc;
}

/* ---- files ---- */
/* Never made shorter: another device, or the one before, may still have it mapped. */
static void *file_map(const char *path, size_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	void *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, bytes))
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		LOG(ERR, "%s: cannot be mapped: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int open_stats(struct device *d, struct rte_kvargs *args)
{
	const char *path = rte_kvargs_get(args, "stats");
	uint64_t burst = SOURCE_BURST, limit = 0, hold = 0;
	int rc = number_get(args, "burst", 1, SOURCE_BURST, &burst);

	if (!rc)
		rc = number_get(args, "limit", 0, UINT64_MAX, &limit);
	if (!rc)
		rc = number_get(args, "hold", 0, 1, &hold);
	if (rc)
		return rc;
	d->stats_mapped = path != NULL;
	d->stats = path ? file_map(path, sizeof(*d->stats))
			: rte_zmalloc(NAME, sizeof(*d->stats), RTE_CACHE_LINE_SIZE);
	if (!d->stats)
		return -ENOMEM;
	memset(d->stats, 0, sizeof(*d->stats));
	d->stats->control.burst = burst;
	d->stats->control.limit = limit;
	d->stats->control.hold = hold;
	d->stats->control.generation = 1;
	d->stats->frames = d->frames.n_frames;
	d->stats->magic = SOURCE_MAGIC;
	return 0;
}

static int open_samples(struct device *d, struct rte_kvargs *args)
{
	const char *path = rte_kvargs_get(args, "sample");
	int rc;

	d->every = d->slots = 4096;
	rc = number_get(args, "every", 1, UINT32_MAX, &d->every);
	if (!rc)
		rc = number_get(args, "slots", 1, SLOTS_MAX, &d->slots);
	if (rc || !path)
		return rc;
	d->samples = file_map(path, d->slots * sizeof(*d->samples));
	if (!d->samples)
		return -ENOMEM;
	memset(d->samples, 0, d->slots * sizeof(*d->samples));
	return 0;
}

static int open_mac(struct device *d, struct rte_kvargs *args)
{
	const char *text = rte_kvargs_get(args, "mac");

	d->mac = (struct rte_ether_addr){ { 2, 0, 0, 0, 0xbe, atoi(d->name + strlen(NAME)) } };
	if (!text || !rte_ether_unformat_addr(text, &d->mac))
		return 0;
	LOG(ERR, "mac=%s: need an address like 02:00:00:00:be:01\n", text);
	return -EINVAL;
}

static int device_open(struct device *d, struct rte_kvargs *args)
{
	const char *frames = rte_kvargs_get(args, "frames");
	int rc = number_get(args, "fifo", 0, FIFO_MAX, &d->fifo_size);

	if (!rc && frames)
		rc = frames_read(&d->frames, frames);
	if (!rc)
		rc = open_stats(d, args);
	if (!rc)
		rc = open_samples(d, args);
	return rc ? rc : open_mac(d, args);
}

static void device_close(struct device *d)
{
	fifo_close(d->fifo);
	d->fifo = NULL;
	frames_free(&d->frames);
	if (d->stats && d->stats_mapped)
		munmap(d->stats, sizeof(*d->stats));
	else
		rte_free(d->stats);
	d->stats = NULL;
	if (d->samples)
		munmap(d->samples, d->slots * sizeof(*d->samples));
	d->samples = NULL;
}

/* ---- operations: queues, start, stop ---- */
static int op_configure(struct rte_eth_dev *dev)
{
	(void)dev;
	return 0;
}

static int op_rx_queue(struct rte_eth_dev *dev, uint16_t index, uint16_t descriptors,
	unsigned socket, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct device *d = dev->data->dev_private;
	unsigned room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	union {
		struct {
			uint16_t data_off, refcnt, nb_segs, port;
		} field;
		uint64_t word;
	} rearm = { { RTE_PKTMBUF_HEADROOM, 1, 1, dev->data->port_id } };

	(void)descriptors, (void)socket, (void)conf;
	if (d->frames.longest * SOURCE_BLOCK > room) {
		LOG(ERR, "%s: need mbufs with %u bytes for the longest frame, have %u in pool %s\n",
			d->name, d->frames.longest * SOURCE_BLOCK, room, pool->name);
		return -EINVAL;
	}
	d->rx[index] = (struct rx_queue){
		.frames = &d->frames,
		.pool = pool,
		.control = &d->stats->control,
		.line = &d->stats->rx[index],
		.rearm = rearm.word,
		.index = index,
	};
	dev->data->rx_queues[index] = &d->rx[index];
	return 0;
}

static int op_tx_queue(struct rte_eth_dev *dev, uint16_t index, uint16_t descriptors,
	unsigned socket, const struct rte_eth_txconf *conf)
{
	struct device *d = dev->data->dev_private;

	(void)descriptors, (void)socket, (void)conf;
	d->tx[index] = (struct tx_queue){
		.line = &d->stats->tx[index],
		.control = &d->stats->control,
		.ages = d->stats->ages[index],
		.samples = d->samples,
		.sequence = &d->sequence,
		.slots = d->slots,
		.every = d->every,
		.until = d->samples ? 0 : UINT64_MAX,
		.random = UINT64_C(88172645463325252) + index,
		.index = index,
	};
	dev->data->tx_queues[index] = &d->tx[index];
	return 0;
}

static int open_fifo(struct rte_eth_dev *dev)
{
	struct device *d = dev->data->dev_private;
	unsigned n = dev->data->nb_rx_queues;
	int rc = 0;

	if (!d->fifo_size || !d->frames.n_frames)
		return 0;
	for (unsigned q = 1; q < n; q++)
		if (d->rx[q].pool != d->rx[0].pool) {
			LOG(ERR, "%s: fifo: need one pool for all rx queues\n", d->name);
			return -EINVAL;
		}
	if (!d->fifo)
		rc = fifo_open(d->rx[0].pool, d->fifo_size, d->name, &d->fifo);
	for (unsigned q = 0; q < n; q++)
		d->rx[q].fifo = d->fifo;
	return rc;
}

static int op_start(struct rte_eth_dev *dev)
{
	struct device *d = dev->data->dev_private;
	int rc = open_fifo(dev);

	if (rc)
		return rc;
	for (unsigned q = 0; q < dev->data->nb_rx_queues; q++) {
		d->rx[q].stride = dev->data->nb_rx_queues;
		if (d->frames.n_frames)
			burst_control(&d->rx[q]);
		dev->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
	}
	for (unsigned q = 0; q < dev->data->nb_tx_queues; q++)
		dev->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STARTED;
	dev->data->dev_link.link_status = RTE_ETH_LINK_UP;
	return 0;
}

static int op_stop(struct rte_eth_dev *dev)
{
	struct device *d = dev->data->dev_private;

	dev->data->dev_link.link_status = RTE_ETH_LINK_DOWN;
	for (unsigned q = 0; q < dev->data->nb_rx_queues; q++) {
		burst_forget(&d->rx[q]);
		d->rx[q].fifo = NULL;
		dev->data->rx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
	}
	for (unsigned q = 0; q < dev->data->nb_tx_queues; q++)
		dev->data->tx_queue_state[q] = RTE_ETH_QUEUE_STATE_STOPPED;
	fifo_close(d->fifo);
	d->fifo = NULL;
	return 0;
}

static int op_close(struct rte_eth_dev *dev)
{
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	device_close(dev->data->dev_private);
	dev->data->mac_addrs = NULL; /* part of dev_private, not to be freed */
	return 0;
}

/* ---- operations: what it says of itself, what it is told ---- */
static int op_info(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	(void)dev;
	info->max_mac_addrs = 1;
	info->max_rx_pktlen = SOURCE_FRAME_MAX;
	info->min_rx_bufsize = 0;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = MTU_MAX;
	info->max_rx_queues = SOURCE_QUEUES;
	info->max_tx_queues = SOURCE_QUEUES;
	return 0;
}

static int op_link(struct rte_eth_dev *dev, int wait)
{
	(void)dev, (void)wait;
	return 0;
}

static int op_set(struct rte_eth_dev *dev)
{
	(void)dev;
	return 0;
}

static int op_mtu(struct rte_eth_dev *dev, uint16_t mtu)
{
	(void)dev, (void)mtu;
	return 0;
}

static int op_mac(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
	(void)dev, (void)mac;
	return 0;
}

static void stats_sum(const struct device *d, struct rte_eth_stats *s)
{
	for (unsigned q = 0; q < SOURCE_QUEUES; q++) {
		const struct rx_line *rx = &d->stats->rx[q];
		const struct tx_line *tx = &d->stats->tx[q];

		s->q_ipackets[q] = rx->packets, s->ipackets += rx->packets;
		s->q_ibytes[q] = rx->bytes, s->ibytes += rx->bytes;
		s->q_opackets[q] = tx->packets, s->opackets += tx->packets;
		s->q_obytes[q] = tx->bytes, s->obytes += tx->bytes;
		s->rx_nombuf += rx->no_mbufs;
		s->imissed += rx->missed;
	}
}

static int op_stats(struct rte_eth_dev *dev, struct rte_eth_stats *s)
{
	const struct device *d = dev->data->dev_private;
	const struct rte_eth_stats *base = &d->base;

	stats_sum(d, s);
	for (unsigned q = 0; q < SOURCE_QUEUES; q++) {
		s->q_ipackets[q] -= base->q_ipackets[q], s->q_ibytes[q] -= base->q_ibytes[q];
		s->q_opackets[q] -= base->q_opackets[q], s->q_obytes[q] -= base->q_obytes[q];
	}
	s->ipackets -= base->ipackets, s->ibytes -= base->ibytes;
	s->opackets -= base->opackets, s->obytes -= base->obytes;
	s->rx_nombuf -= base->rx_nombuf;
	s->imissed -= base->imissed;
	dev->data->rx_mbuf_alloc_failed = s->rx_nombuf;
	return 0;
}

/* The file goes on counting: others read it. */
static int op_stats_reset(struct rte_eth_dev *dev)
{
	struct device *d = dev->data->dev_private;

	memset(&d->base, 0, sizeof(d->base));
	stats_sum(d, &d->base);
	return 0;
}

static const struct eth_dev_ops ops = {
	.dev_configure = op_configure,
	.rx_queue_setup = op_rx_queue,
	.tx_queue_setup = op_tx_queue,
	.dev_start = op_start,
	.dev_stop = op_stop,
	.dev_close = op_close,
	.dev_infos_get = op_info,
	.link_update = op_link,
	.promiscuous_enable = op_set,
	.promiscuous_disable = op_set,
	.allmulticast_enable = op_set,
	.allmulticast_disable = op_set,
	.mtu_set = op_mtu,
	.mac_addr_set = op_mac,
	.stats_get = op_stats,
	.stats_reset = op_stats_reset,
};

/* ---- the bus ---- */
static int device_create(struct rte_vdev_device *vdev, struct rte_kvargs *args)
{
	struct rte_eth_dev *dev = rte_eth_vdev_allocate(vdev, sizeof(struct device));
	struct device *d;
	int rc;

	if (!dev)
		return -ENOMEM;
	d = dev->data->dev_private;
	snprintf(d->name, sizeof(d->name), "%s", rte_vdev_device_name(vdev));
	rc = device_open(d, args);
	if (rc) {
		device_close(d);
		rte_eth_dev_release_port(dev);
		return rc;
	}
	dev->data->mac_addrs = &d->mac;
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->data->dev_link = (struct rte_eth_link){
		.link_speed = RTE_ETH_SPEED_NUM_100G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
	};
	dev->dev_ops = &ops;
	dev->rx_pkt_burst = burst_rx(&d->frames);
	dev->tx_pkt_burst = burst_tx();
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int probe(struct rte_vdev_device *vdev)
{
	const char *text = rte_vdev_device_args(vdev);
	struct rte_kvargs *args;
	int rc;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -ENOTSUP;
	args = rte_kvargs_parse(text ? text : "", keys);
	if (!args) {
		LOG(ERR,
			"%s: arguments \"%s\" not understood: need KEY=VALUE of frames, burst, "
			"limit, hold, fifo, stats, sample, every, slots, mac\n",
			rte_vdev_device_name(vdev), text);
		return -EINVAL;
	}
	rc = device_create(vdev, args);
	rte_kvargs_free(args);
	return rc;
}

static int remove_device(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (!dev)
		return 0; /* closed already */
	op_close(dev);
	rte_eth_dev_release_port(dev);
	return 0;
}

static struct rte_vdev_driver driver = {
	.probe = probe,
	.remove = remove_device,
};

RTE_PMD_REGISTER_VDEV(net_bench, driver);
RTE_PMD_REGISTER_PARAM_STRING(net_bench,
	"frames=<file> burst=<int> limit=<int> hold=<0|1> fifo=<int> stats=<file> sample=<file> "
	"every=<int> slots=<int> mac=<address>");
