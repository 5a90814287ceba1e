/* The links' kernel interfaces as the punt thread sees them: frames up to the kernel, frames from
 * it.
 *
 * Control owns the descriptors and may close them as soon as dp_publish has returned, so
 * tap_publish makes duplicates, builds the whole set anew and leaves it for the punt thread to take
 * at its next turn; a set that is overtaken by the next one is freed by control, one in use only by
 * the punt thread. A duplicate keeps its epoll registration for as long as anybody (the keeper)
 * holds the file, so it is taken out before it is closed. Reads and writes never block: what the
 * kernel has no room for is dropped and counted. Frames from the kernel are complete Ethernet
 * frames without tags; as the interface has no IFF_VNET_HDR and no offloads the kernel has filled
 * every checksum in and cut every segment. A TUN, of a tunnel with plain IP inside, knows no
 * Ethernet: the header that packets have in here is left out and put before them. An interface that
 * reports an error is left alone until the next dp_publish: level-triggered, it would never let the
 * thread sleep again. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <rte_byteorder.h>
#include "ether.h"
#include "port.h"
#include "punt.h"

#define READ_MAX  16 /* frames a turn from one interface: the others wait no longer than that */
#define SINK_SIZE 16384

#define PROTO_VRRP 112

struct tap {
	int fd;
	uint16_t link, mtu;
	bool watched;
	bool plain; /* a TUN: packets without the Ethernet header that they have on our side */
	uint8_t mac[6];
};

struct tap_set {
	unsigned n;
	uint16_t index[DP_LINKS_MAX]; /* link -> position in tap[] + 1; 0 = no interface */
	uint8_t worker[DP_LINKS_MAX];
	struct tap tap[];
};

static struct tap_set *_Atomic pending; /* from control, not yet taken */
static struct tap_set *taps;		/* punt thread's */
static int epoll_fd = -1;

/* ---- control ---- */
static void set_free(struct tap_set *set)
{
	for (unsigned i = 0; set && i < set->n; i++)
		close(set->tap[i].fd);
	free(set);
}

static unsigned worker_of(const struct dp_link *l)
{
	if (!port_workers)
		return 0;
	if (l->encap != DP_ENCAP_ETHER || l->port >= port_count)
		return l->id % port_workers;
	return port_table[l->port].base; /* its owner, if it has one */
}

/* The duplicate shares its flags with control's descriptor and the keeper's. */
static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy >= 0 && fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK) < 0) {
		int err = errno;
		close(copy);
		errno = err;
		return -1;
	}
	return copy;
}

int tap_publish(const struct dp_link *links, unsigned n)
{
	struct tap_set *set = calloc(1, sizeof(*set) + n * sizeof(set->tap[0]));

	if (!set)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		const struct dp_link *l = &links[i];
		set->worker[l->id] = worker_of(l);
		if (l->tap < 0)
			continue;
		int fd = duplicate(l->tap);
		if (fd < 0) {
			int err = -errno;
			set_free(set);
			return err;
		}
		struct tap *t = &set->tap[set->n];
		*t = (struct tap){ .fd = fd, .link = l->id, .mtu = l->mtu };
		t->plain = l->encap != DP_ENCAP_ETHER && !l->tunnel.inner_ether;
		memcpy(t->mac, l->mac, sizeof(t->mac));
		set->index[l->id] = ++set->n;
	}
	set_free(atomic_exchange(&pending, set));
	return 0;
}

/* ---- punt thread ---- */
static void tap_unwatch(struct tap *t)
{
	if (t->watched)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, t->fd, NULL);
	t->watched = false;
}

static void taps_replace(struct tap_set *set)
{
	for (unsigned i = 0; taps && i < taps->n; i++)
		tap_unwatch(&taps->tap[i]);
	set_free(taps);
	taps = set;
	for (unsigned i = 0; taps && i < taps->n; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		taps->tap[i].watched = !epoll_ctl(epoll_fd, EPOLL_CTL_ADD, taps->tap[i].fd, &event);
	}
}

void tap_init(int fd)
{
	epoll_fd = fd;
}

void tap_exit(void)
{
	taps_replace(NULL);
	set_free(atomic_exchange(&pending, NULL));
}

bool tap_update(void)
{
	struct tap_set *set = atomic_exchange(&pending, NULL);

	if (set)
		taps_replace(set);
	return set;
}

unsigned tap_worker(uint16_t link)
{
	return taps ? taps->worker[link] : 0;
}

static struct tap *tap_of(uint16_t link)
{
	return taps && taps->index[link] ? &taps->tap[taps->index[link] - 1] : NULL;
}

void tap_write(struct worker *self, struct rte_mbuf *m)
{
	struct mbuf_meta *meta = mbuf_meta(m);
	struct dp_punt_stats *stats = &self->ctr.punt[meta->class];
	struct tap *t = tap_of(meta->link);
	enum dp_drop reason = DP_DROP_punt_full;
	unsigned skip = t && t->plain ? RTE_ETHER_HDR_LEN : 0, len = m->data_len - skip;

	if (t && write(t->fd, rte_pktmbuf_mtod_offset(m, void *, skip), len) == (ssize_t)len) {
		count_add(&stats->to_kernel, 1);
		count_add(&self->ctr.punted[meta->link].packets, 1);
		count_add(&self->ctr.punted[meta->link].bytes, m->data_len - RTE_ETHER_HDR_LEN);
		rte_pktmbuf_free(m);
		return;
	}
	if (!t || errno == EBADFD || errno == EPIPE || errno == ENOTCONN)
		reason = DP_DROP_punt_none;
	else if (errno == EIO) /* the interface is shut */
		reason = DP_DROP_link_down;
	count_add(&stats->dropped, 1);
	drop(self, m, meta->link, reason);
}

/* ---- from the kernel ---- */
static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static enum dp_punt_class class_of_ports(uint8_t proto, const uint8_t *l4)
{
	for (unsigned end = 0; end < 4; end += 2) {
		uint16_t port = be16(l4 + end);

		if (proto == IPPROTO_TCP && port == 179)
			return DP_PUNT_bgp;
		if (proto == IPPROTO_UDP && (port == 3784 || port == 3785 || port == 4784))
			return DP_PUNT_bfd;
		if (proto == IPPROTO_UDP && (port == 500 || port == 4500))
			return DP_PUNT_ike;
	}
	return DP_PUNT_other;
}

/* Only for the counters: what the kernel sends is not limited. */
static enum dp_punt_class class_of(const uint8_t *f, unsigned n)
{
	uint16_t type = be16(f + 12);
	unsigned l4 = 14;
	uint8_t proto;

	if (type == RTE_ETHER_TYPE_ARP)
		return DP_PUNT_neigh;
	if (type == RTE_ETHER_TYPE_SLOW)
		return DP_PUNT_lacp;
	if (type == RTE_ETHER_TYPE_IPV4 && n >= 14 + 20 && !(be16(f + 20) & 0x1fff)) {
		proto = f[14 + 9];
		l4 += (f[14] & 15) * 4;
	} else if (type == RTE_ETHER_TYPE_IPV6 && n >= 14 + 40) {
		proto = f[14 + 6];
		l4 += 40;
	} else {
		return DP_PUNT_other;
	}
	if (proto == IPPROTO_ICMP)
		return DP_PUNT_icmp;
	if (proto == PROTO_VRRP)
		return DP_PUNT_vrrp;
	if (n < l4 + 4)
		return DP_PUNT_other;
	if (proto == IPPROTO_ICMPV6) /* RFC 4861: 133 to 137 */
		return f[l4] >= 133 && f[l4] <= 137 ? DP_PUNT_neigh : DP_PUNT_icmp;
	return class_of_ports(proto, f + l4);
}

static bool frame_valid(const uint8_t *f, unsigned n, unsigned mtu, enum dp_drop *ret_reason)
{
	if (n < RTE_ETHER_HDR_LEN) {
		*ret_reason = DP_DROP_eth_short;
		return false;
	}
	uint16_t type = be16(f + 12);
	if (type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ) {
		*ret_reason = DP_DROP_eth_vlan; /* the link's tags are ours to add */
		return false;
	}
	*ret_reason = type == RTE_ETHER_TYPE_IPV6 ? DP_DROP_ip6_too_big : DP_DROP_ip4_too_big;
	return n <= RTE_ETHER_HDR_LEN + mtu;
}

/* Before what came from a TUN: as decap.c does with what comes out of a tunnel. An EtherType of 0
 * is no IP. */
static void ether_put(uint8_t *f, const struct tap *t, unsigned len)
{
	static const uint8_t to[6] = ETHER_PLAIN_SOURCE;
	uint8_t version = len ? f[RTE_ETHER_HDR_LEN] >> 4 : 0;
	uint16_t type = version == 4   ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
			: version == 6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6)
				       : 0;

	memcpy(f, to, sizeof(to));
	memcpy(f + 6, t->mac, sizeof(t->mac));
	memcpy(f + 12, &type, sizeof(type));
}

static void frame_accept(struct worker *self, const struct tap *t, struct rte_mbuf *m, unsigned n)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
	enum dp_drop reason;

	if (!frame_valid(f, n, t->mtu, &reason)) {
		drop(self, m, 0, reason); /* from this router itself, as in the matrix */
		return;
	}
	m->data_len = m->pkt_len = n;
	count_add(&self->ctr.punt[class_of(f, n)].from_kernel, 1);
	*mbuf_meta(m) = (struct mbuf_meta){ .link = t->link, .l3_off = RTE_ETHER_HDR_LEN };
	punt_inject(self, m, t->link, INJECT_FRAME);
}

unsigned tap_read(struct worker *self, unsigned index)
{
	static uint8_t sink[SINK_SIZE];
	struct tap *t = taps && index < taps->n ? &taps->tap[index] : NULL;
	unsigned frames = 0;

	while (t && t->watched && frames < READ_MAX) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool_punt());
		unsigned skip = t->plain ? RTE_ETHER_HDR_LEN : 0;
		uint8_t *to = m ? rte_pktmbuf_mtod(m, uint8_t *) : sink;
		unsigned room = m ? rte_pktmbuf_tailroom(m) : sizeof(sink);
		ssize_t n = read(t->fd, to + skip, room - skip);

		if (n <= 0) {
			bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
			rte_pktmbuf_free(m);
			if (!again)
				tap_unwatch(t);
			break;
		}
		frames++;
		if (skip)
			ether_put(to, t, n);
		if (m)
			frame_accept(self, t, m, n + skip);
		else /* read all the same, or the thread would spin */
			count_add(&self->ctr.drop[0][DP_DROP_no_buffer], 1);
	}
	return frames;
}
