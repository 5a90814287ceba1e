/* Link aggregation (IEEE 802.1AX): a port made of several devices.
 *
 * control decides by LACP which members collect and distribute (dp_lag_set_members); here it is
 * done. Received: a member's packets are the LAG's when it collects, dropped when not; slow
 * protocols always go up, with the member's number. Sent: a flow falls into one of 256 slots, and
 * each slot has a fixed order of preference among the members, the k-th of all orders for slot k,
 * so that shares are even and a member that goes moves only its own flows, evenly to the others.
 * Slots are single bytes, rewritten in place: a packet meets the old or the new owner. Packets of a
 * flow keep their order, except around such a move.
 *
 * A member whose carrier goes leaves the slots at once, in the thread that hears of it (punt or
 * EAL's interrupts), and control is told afterwards. Whoever writes holds the mutex; workers never
 * do. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_ring_elem.h>
#include "event.h"
#include "flow.h"
#include "lag.h"
#include "parse.h"
#include "port.h"
#include "punt.h"

#define SLOW_RING   512
#define SLOW_LACP   1 /* subtypes, IEEE 802.3 57A.4 */
#define SLOW_MARKER 2
#define SLOW_LEN    124 /* octets of either, with the Ethernet header, without FCS */

_Static_assert(DP_PORTS_MAX < LAG_NOBODY, "a slot holds a port number");
_Static_assert(sizeof(struct dp_slow) % 4 == 0, "rte_ring elements are multiples of four bytes");

struct lag lag_table[DP_PORTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rte_ring *slow_ring;
static int slow_fd = -1;

/* ---- who has which slot ---- */
/* The first of `able` in slot k's order of preference. Orders are counted in the factorial system:
 * the first choice is k modulo n, the second the rest modulo n - 1, and so on. */
static unsigned slot_owner(unsigned k, unsigned n, uint32_t able)
{
	uint8_t left[DP_LAG_MAX];

	for (unsigned i = 0; i < n; i++)
		left[i] = (uint8_t)i;
	for (; n; n--) {
		unsigned at = k % n, member = left[at];

		if (able & 1u << member)
			return member;
		k /= n;
		memmove(left + at, left + at + 1, n - at - 1);
	}
	return LAG_NOBODY;
}

/* Under the lock. Slots first, then the carrier: where it is up, somebody sends. */
static void refresh(unsigned p)
{
	struct lag *lag = &lag_table[p];
	bool up = __builtin_popcount(lag->distributing) >= lag->min_links;
	struct dp_event event = { .kind = up ? DP_EV_PORT_UP : DP_EV_PORT_DOWN, .port = p };

	for (unsigned k = 0; k < LAG_SLOTS; k++) {
		unsigned owner = slot_owner(k, lag->n, lag->distributing);

		atomic_store_explicit(&lag->slot[k],
			owner == LAG_NOBODY ? LAG_NOBODY : (uint8_t)lag->port[owner],
			memory_order_relaxed);
	}
	if (atomic_exchange(&port_carrier[p], up) != up)
		event_send(&event);
}

void lag_forget(void)
{
	memset(lag_table, 0, sizeof(lag_table));
	for (unsigned p = 0; p < DP_PORTS_MAX; p++)
		for (unsigned k = 0; k < LAG_SLOTS; k++)
			atomic_store(&lag_table[p].slot[k], LAG_NOBODY);
}

void lag_member_add(unsigned p, unsigned port)
{
	struct lag *lag = &lag_table[p];
	uint8_t min = port_table[p].conf.min_links;

	lag->min_links = min ? min : 1;
	lag->port[lag->n++] = (uint16_t)port;
}

static unsigned member_of(const struct lag *lag, unsigned port)
{
	unsigned i = 0;

	while (i < lag->n && lag->port[i] != port)
		i++;
	return i;
}

void lag_carrier(unsigned port, bool up)
{
	unsigned p = (unsigned)port_table[port].lag;
	struct lag *lag = &lag_table[p];
	unsigned member = member_of(lag, port);
	struct dp_event event = {
		.kind = up ? DP_EV_MEMBER_UP : DP_EV_MEMBER_DOWN, .port = p, .link = member
	};

	if (!up) {
		pthread_mutex_lock(&lock);
		lag->distributing &= ~(1u << member);
		refresh(p);
		pthread_mutex_unlock(&lock);
	}
	event_send(&event);
}

/* ---- control ---- */
int dp_lag_set_members(unsigned p, uint32_t collecting, uint32_t distributing)
{
	struct lag *lag = &lag_table[p];
	uint32_t carrier = 0;

	if (p >= port_count || !lag->n)
		return -ENOENT;
	if ((collecting | distributing) >> lag->n)
		return -EINVAL;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < lag->n; i++)
		carrier |= (uint32_t)atomic_load(&port_carrier[lag->port[i]]) << i;
	atomic_store_explicit(&lag->collecting, collecting, memory_order_relaxed);
	lag->distributing = distributing & carrier;
	refresh(p);
	pthread_mutex_unlock(&lock);
	return 0;
}

int dp_lag_info(unsigned p, struct dp_lag_info *ret_info)
{
	const struct lag *lag = &lag_table[p];

	if (p >= port_count || !lag->n)
		return -ENOENT;
	*ret_info = (struct dp_lag_info){ .n_members = lag->n, .min_links = lag->min_links };
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < lag->n; i++)
		ret_info->members[i] = (struct dp_lag_member){
			.port = lag->port[i],
			.collecting = atomic_load(&lag->collecting) >> i & 1,
			.distributing = lag->distributing >> i & 1,
		};
	for (unsigned k = 0; k < LAG_SLOTS; k++) {
		unsigned member = member_of(lag, atomic_load(&lag->slot[k]));

		if (member < lag->n)
			ret_info->members[member].slots++;
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

/* ---- workers ---- */
/* Of a finished frame: addresses and ports behind up to two tags, or the MACs. The bits are others
 * than those a path group chooses by, or its legs would not mix with the members. */
static unsigned frame_slot(const struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *), *ip;
	unsigned len = rte_pktmbuf_data_len(m), l3 = ETH_MIN, room;
	uint16_t type = flow_be16(d + 12);
	uint32_t hash;

	while ((type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ) && l3 < ETH_MIN + 8 &&
		len >= l3 + 4) {
		type = flow_be16(d + l3 + 2);
		l3 += 4;
	}
	ip = d + l3;
	room = len - l3;
	if (type == RTE_ETHER_TYPE_IPV4 && room >= IP4_MIN && (ip[0] & 15u) * 4 >= IP4_MIN)
		hash = flow_hash(ip, (uint16_t)room, AF_INET);
	else if (type == RTE_ETHER_TYPE_IPV6 && room >= IP6_LEN)
		hash = flow_hash(ip, (uint16_t)room, AF_INET6);
	else
		hash = flow_end(flow_step(flow_be64(d), flow_be32(d + 8)));
	return hash >> 8 & (LAG_SLOTS - 1);
}

void lag_spread(struct worker *w, unsigned p, struct rte_mbuf **pkts, unsigned n)
{
	const struct lag *lag = &lag_table[p];

	for (unsigned i = 0; i < n; i++) {
		unsigned port =
			atomic_load_explicit(&lag->slot[frame_slot(pkts[i])], memory_order_relaxed);

		if (likely(port != LAG_NOBODY))
			tx_send(w, (uint16_t)port, pkts[i]);
		else
			drop(w, pkts[i], mbuf_meta(pkts[i])->link, DP_DROP_no_carrier);
	}
}

static bool is_slow(const struct rte_mbuf *m)
{
	return rte_pktmbuf_data_len(m) >= ETH_MIN &&
	       flow_be16(rte_pktmbuf_mtod_offset(m, const uint8_t *, 12)) == LAG_ETH_SLOW;
}

unsigned lag_collect(
	struct worker *w, uint16_t p, uint16_t member, struct rte_mbuf **pkts, unsigned n)
{
	const struct lag *lag = &lag_table[p];
	uint32_t collecting = atomic_load_explicit(&lag->collecting, memory_order_relaxed);
	bool takes = collecting & 1u << member_of(lag, member);
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		pkts[i]->port = LAG_MARK | member;
		if (likely(takes) || is_slow(pkts[i]))
			pkts[kept++] = pkts[i];
		else
			drop(w, pkts[i], 0, DP_DROP_lag_idle);
	}
	return kept;
}

void lag_slow(struct worker *w, struct rte_mbuf *m)
{
	if (m->port & LAG_MARK)
		punt_slow(w, m, m->port & ~LAG_MARK);
	else /* nobody speaks slow protocols on a port that is no LAG */
		punt_send(w, m, 0, DP_PUNT_lacp);
}

bool lag_slow_sane(const struct rte_mbuf *m)
{
	static const uint8_t address[6] = { 0x01, 0x80, 0xc2, 0, 0, 0x02 }; /* 802.3 57A.3 */
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);

	return rte_pktmbuf_data_len(m) >= SLOW_LEN && !memcmp(d, address, sizeof(address)) &&
	       (d[ETH_MIN] == SLOW_LACP || d[ETH_MIN] == SLOW_MARKER);
}

/* ---- slow protocols: punt thread to control, control to a worker ---- */
static void slow_bell(void)
{
	uint64_t one = 1;

	if (write(slow_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it is readable already */
}

void lag_deliver(struct worker *self, struct rte_mbuf *m)
{
	unsigned port = mbuf_meta(m)->link;
	struct dp_slow slow = { .port = (uint16_t)port_table[port].lag };

	slow.member = (uint16_t)member_of(&lag_table[slow.port], port);
	slow.len = RTE_MIN(rte_pktmbuf_data_len(m), DP_SLOW_MAX);
	memcpy(slow.bytes, rte_pktmbuf_mtod(m, const uint8_t *), slow.len);
	if (rte_ring_sp_enqueue_elem(slow_ring, &slow, sizeof(slow))) {
		count_add(&self->ctr.punt[DP_PUNT_lacp].dropped, 1);
		drop(self, m, 0, DP_DROP_punt_full);
		return;
	}
	count_add(&self->ctr.punt[DP_PUNT_lacp].to_kernel, 1);
	rte_pktmbuf_free(m);
	slow_bell();
}

int dp_slow_fd(void)
{
	return slow_fd;
}

/* The descriptor is cleared when the ring is found empty, and the ring looked at once more. */
bool dp_slow_next(struct dp_slow *ret_slow)
{
	uint64_t count;

	if (!slow_ring)
		return false;
	if (!rte_ring_sc_dequeue_elem(slow_ring, ret_slow, sizeof(*ret_slow)))
		return true;
	if (read(slow_fd, &count, sizeof(count)) < 0)
		return false;
	if (rte_ring_sc_dequeue_elem(slow_ring, ret_slow, sizeof(*ret_slow)))
		return false;
	slow_bell(); /* it came in between, and others may have */
	return true;
}

int dp_slow_send(const struct dp_slow *slow)
{
	const struct lag *lag = slow->port < port_count ? &lag_table[slow->port] : NULL;
	struct rte_mbuf *m;
	unsigned port;

	if (!lag || slow->member >= lag->n || slow->len > DP_SLOW_MAX)
		return -EINVAL;
	port = lag->port[slow->member];
	if (!atomic_load(&port_carrier[port]))
		return -ENETDOWN;
	m = rte_pktmbuf_alloc(pool_punt());
	if (!m)
		return -ENOBUFS;
	memcpy(rte_pktmbuf_append(m, slow->len), slow->bytes, slow->len);
	mbuf_meta(m)->link = 0; /* ours */
	m->port = (uint16_t)port;
	if (!rte_ring_enqueue(worker_table[port_table[port].base]->inbox, m))
		return 0;
	rte_pktmbuf_free(m);
	return -ENOBUFS;
}

/* ---- start and stop ---- */
int lag_init(void)
{
	slow_ring = rte_ring_create_elem("slow", sizeof(struct dp_slow), SLOW_RING, SOCKET_ID_ANY,
		RING_F_SP_ENQ | RING_F_SC_DEQ);
	slow_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (slow_ring && slow_fd >= 0)
		return 0;
	int err = slow_fd < 0 ? -errno : -ENOMEM;
	lag_exit();
	return err;
}

void lag_exit(void)
{
	rte_ring_free(slow_ring);
	slow_ring = NULL;
	if (slow_fd >= 0)
		close(slow_fd);
	slow_fd = -1;
}
