/* Punt: from a worker up to the kernel, and the thread that carries it there and back.
 *
 * The worker's part is bounded and waits for nothing: the budget of the frame's class on its link,
 * tags off, one write to a ring of its own (one producer, one consumer), and a wake-up only when
 * the thread sleeps. Budgets come before the rings, so that junk of one link or class cannot fill
 * them; they are shared by all workers as one time of arrival per (link, class) (the generic cell
 * rate algorithm: no division, and a frame beyond the budget costs one load). Each
 * class has a ring of its own: where the thread cannot follow, a flood of one loses no frame of
 * another (a lost answer to ARP is a neighbour lost). The thread takes turns: rings, BFD, BGP,
 * LACP, VRRP, ARP and ND first and more of them, neighbour releases, kernel interfaces, timers;
 * each part bounded, so that none starves another; nothing in it can take long. It counts for
 * itself (counters.h). */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ring_elem.h>
#include "counters.h"
#include "hold.h"
#include "lag.h"
#include "pmtu.h"
#include "punt.h"
#include "shed.h"
#include "virtual.h"

#define TURN_HIGH    64 /* frames a turn from a worker's ring: bfd, bgp, lacp, vrrp, neigh */
#define TURN_LOW     16
#define TURN_HOLD    64
#define TURN_RELEASE 256
#define RELEASES     4096
#define EVENTS	     64
#define BURST_MIN    32 /* frames that may come at once */
#define BURST_PER_S  50 /* or this part of a second's budget */
#define CAS_TRIES    8
#define WAIT_MAX_MS  1000

enum { WATCH_BELL = 1u << 16, WATCH_CARRIER }; /* epoll: what is not an interface's index */

struct hold_item { /* in a hold ring */
	struct rte_mbuf *m;
	struct ip_addr nexthop;
};
struct release { /* from control */
	struct ip_addr addr;
	uint8_t ok;
	uint16_t link;
};
_Static_assert(
	sizeof(struct hold_item) % 4 == 0 && sizeof(struct release) % 4 == 0, "rte_ring elements");

static struct {
	struct rte_ring *class[DP_PUNT_COUNT], *hold; /* one worker's */
} queues[DP_WORKERS_MAX];
static struct rte_ring *releases;
static struct worker self; /* only its counters are used */
static int bell_fd = -1, epoll_fd = -1;
static pthread_t thread;
static bool running;
static atomic_bool asleep, stopping;
static _Atomic uint64_t turns, busy_turns;
static uint64_t next_poll; /* of the carriers, TSC */

static struct {
	uint64_t interval, tolerance; /* TSC cycles */
} budget[DP_PUNT_COUNT];
static _Atomic uint64_t due[DP_LINKS_MAX][DP_PUNT_COUNT]; /* when the next frame would be on time */

/* ---- workers ---- */
static void bell_write(void)
{
	uint64_t one = 1;

	if (write(bell_fd, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it rings already */
}

/* After a ring write. The fence pairs with the one between `asleep` and the last look. */
static void bell_ring(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&asleep, memory_order_relaxed) && atomic_exchange(&asleep, false))
		bell_write();
}

static bool budget_admits(uint16_t link, enum dp_punt_class class, uint64_t now)
{
	uint64_t old = atomic_load_explicit(&due[link][class], memory_order_relaxed);

	for (unsigned i = 0; i < CAS_TRIES; i++) {
		uint64_t from = old > now ? old : now;
		if (from - now > budget[class].tolerance)
			return false;
		if (atomic_compare_exchange_weak_explicit(&due[link][class], &old,
			    from + budget[class].interval, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	}
	return false;
}

/* Up to two tags; parse.c has seen that they are whole. */
static void untag(struct rte_mbuf *m)
{
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *);
	unsigned cut = 0;

	while (cut < 8 && m->data_len >= RTE_ETHER_HDR_LEN + cut + 4) {
		uint16_t type = d[12 + cut] << 8 | d[13 + cut];
		if (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ)
			break;
		cut += 4;
	}
	if (cut) {
		memmove(d + cut, d, 2 * RTE_ETHER_ADDR_LEN);
		rte_pktmbuf_adj(m, cut);
	}
}

static void punt_refuse(struct worker *w, struct rte_mbuf *m, uint16_t link,
	enum dp_punt_class class, enum dp_drop reason)
{
	count_add(&w->ctr.punt[class].dropped, 1);
	drop(w, m, link, reason);
}

void punt_send(struct worker *w, struct rte_mbuf *m, uint16_t link, enum dp_punt_class class)
{
	const struct link *l = snapshot_link(w->snap, link);

	if (!l || l->conf.tap < 0) {
		punt_refuse(w, m, link, class, DP_DROP_punt_none);
		return;
	}
	if (!budget_admits(link, class, worker_now(w))) {
		punt_refuse(w, m, link, class, DP_DROP_punt_limited);
		return;
	}
	if (l->conf.encap == DP_ENCAP_ETHER) {
		untag(m);
		virtual_to_kernel(l, rte_pktmbuf_mtod(m, uint8_t *));
	}
	mbuf_meta(m)->link = link;
	mbuf_meta(m)->class = class;
	if (rte_ring_sp_enqueue(queues[w->index].class[class], m)) {
		punt_refuse(w, m, link, class, DP_DROP_punt_full);
		return;
	}
	bell_ring();
}

/* Links have no slow protocols: their budgets are the members'. */
void punt_slow(struct worker *w, struct rte_mbuf *m, uint16_t member)
{
	_Static_assert(DP_PORTS_MAX <= DP_LINKS_MAX, "a budget for each member");

	if (!lag_slow_sane(m))
		return punt_refuse(w, m, 0, DP_PUNT_lacp, DP_DROP_slow_bad);
	if (!budget_admits(member, DP_PUNT_lacp, worker_now(w)))
		return punt_refuse(w, m, 0, DP_PUNT_lacp, DP_DROP_punt_limited);
	mbuf_meta(m)->link = member;
	mbuf_meta(m)->class = DP_PUNT_lacp;
	if (rte_ring_sp_enqueue(queues[w->index].class[DP_PUNT_lacp], m))
		return punt_refuse(w, m, 0, DP_PUNT_lacp, DP_DROP_punt_full);
	bell_ring();
}

void hold_send(struct worker *w, struct rte_mbuf *m, uint16_t in_link, uint16_t out_link,
	const struct ip_addr *nexthop, uint16_t l3_off)
{
	struct hold_item item = { m, *nexthop };
	uint8_t version = *rte_pktmbuf_mtod_offset(m, uint8_t *, l3_off) >> 4;

	*mbuf_meta(m) = (struct mbuf_meta){
		.link = in_link,
		.out_link = out_link,
		.l3_off = l3_off,
		.af = version == 6 ? AF_INET6 : AF_INET,
	};
	if (rte_ring_sp_enqueue_elem(queues[w->index].hold, &item, sizeof(item)))
		drop(w, m, in_link, DP_DROP_neigh_full);
	else
		bell_ring();
}

/* ---- the thread ---- */
void punt_inject(struct worker *w, struct rte_mbuf *m, uint16_t link, enum inject what)
{
	mbuf_meta(m)->class = what;
	if (rte_ring_sp_enqueue(worker_table[tap_worker(link)]->inject, m))
		drop(w, m, what == INJECT_FRAME ? 0 : mbuf_meta(m)->link, DP_DROP_inject_full);
}

static unsigned take_frames(struct rte_ring *ring, unsigned most)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	for (; n < most && !rte_ring_sc_dequeue(ring, (void **)&m); n++)
		if (mbuf_meta(m)->class == DP_PUNT_lacp)
			lag_deliver(&self, m);
		else
			tap_write(&self, m);
	return n;
}

static unsigned take_holds(struct rte_ring *ring, uint64_t now)
{
	struct hold_item item;
	unsigned n = 0;

	for (; n < TURN_HOLD && !rte_ring_sc_dequeue_elem(ring, &item, sizeof(item)); n++)
		hold_add(&self, item.m, &item.nexthop, now);
	return n;
}

/* After the hold rings: what a worker sent up before control knew the neighbour is released with
 * the rest. */
static unsigned take_releases(void)
{
	struct release r;
	unsigned n = 0;

	for (; n < TURN_RELEASE && !rte_ring_sc_dequeue_elem(releases, &r, sizeof(r)); n++)
		hold_settle(&self, r.link, &r.addr, r.ok);
	return n;
}

static unsigned turn_rings(uint64_t now)
{
	unsigned n = tap_update();

	for (unsigned c = 0; c < DP_PUNT_COUNT; c++)
		for (unsigned i = 0; i < port_workers; i++)
			n += take_frames(
				queues[i].class[c], c <= DP_PUNT_neigh ? TURN_HIGH : TURN_LOW);
	for (unsigned i = 0; i < port_workers; i++)
		n += take_holds(queues[i].hold, now);
	return n + take_releases();
}

static bool rings_empty(void)
{
	bool empty = rte_ring_empty(releases);

	for (unsigned i = 0; i < port_workers && empty; i++) {
		empty = rte_ring_empty(queues[i].hold);
		for (unsigned c = 0; c < DP_PUNT_COUNT && empty; c++)
			empty = rte_ring_empty(queues[i].class[c]);
	}
	return empty;
}

/* Timers; milliseconds until the next one. */
static int turn_timers(uint64_t now)
{
	int wait = hold_expire(&self, now);

	pmtu_expire(now);

	if (wait < 0 || wait > WAIT_MAX_MS)
		wait = WAIT_MAX_MS;
	if (now >= next_poll) {
		if (carrier_polls())
			carrier_poll();
		shed_look();
		next_poll = now + rte_get_tsc_hz() * SHED_LOOK_MS / 1000;
	}
	return RTE_MIN(wait, SHED_LOOK_MS);
}

static unsigned turn_events(int wait)
{
	struct epoll_event events[EVENTS];
	unsigned frames = 0;
	uint64_t count;
	int n = epoll_wait(epoll_fd, events, EVENTS, wait);

	atomic_store_explicit(&asleep, false, memory_order_relaxed);
	for (int i = 0; i < n; i++) {
		uint32_t what = events[i].data.u32;
		if (what == WATCH_CARRIER)
			carrier_read();
		else if (what != WATCH_BELL)
			frames += tap_read(&self, what);
		else if (read(bell_fd, &count, sizeof(count)) < 0)
			continue; /* EAGAIN: nothing to clear */
	}
	return frames;
}

static void *punt_main(void *arg)
{
	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		uint64_t now = rte_rdtsc();
		unsigned n = turn_rings(now);
		int wait = turn_timers(now);

		if (n) {
			wait = 0;
		} else {
			atomic_store_explicit(&asleep, true, memory_order_relaxed);
			atomic_thread_fence(memory_order_seq_cst);
			if (!rings_empty())
				wait = 0;
		}
		n += turn_events(wait);
		if (n)
			atomic_fetch_add_explicit(&busy_turns, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&turns, 1, memory_order_release);
	}
	return arg;
}

/* ---- control ---- */
void dp_hold_release(uint16_t link, const struct ip_addr *addr, bool ok)
{
	struct release r;

	if (!releases || link >= DP_LINKS_MAX)
		return;
	memset(&r, 0, sizeof(r));
	r.addr = *addr;
	r.ok = ok;
	r.link = link;
	rte_ring_sp_enqueue_elem(releases, &r, sizeof(r)); /* full: the packets expire */
	bell_ring();
}

int punt_publish(const struct dp_link *links, unsigned n)
{
	int ret = tap_publish(links, n);

	if (!ret)
		punt_wake();
	return ret;
}

void punt_wake(void)
{
	if (bell_fd >= 0)
		bell_write();
}

uint64_t punt_turns(void)
{
	return atomic_load_explicit(&turns, memory_order_acquire);
}

uint64_t punt_busy_turns(void)
{
	return atomic_load_explicit(&busy_turns, memory_order_relaxed);
}

static void budgets_init(void)
{
	uint64_t hz = rte_get_tsc_hz();

	memset(due, 0, sizeof(due));
	for (unsigned c = 0; c < DP_PUNT_COUNT; c++) {
		uint64_t pps = dp_punt_desc[c].budget_pps;
		uint64_t burst = RTE_MAX(pps / BURST_PER_S, (uint64_t)BURST_MIN);

		budget[c].interval = hz / pps;
		budget[c].tolerance = (burst - 1) * budget[c].interval;
	}
}

static struct rte_ring *ring_new(const char *name, unsigned worker, unsigned element, unsigned size)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s%u", name, worker);
	return rte_ring_create_elem(
		full, element, size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static bool rings_create(void)
{
	releases = ring_new("release", 0, sizeof(struct release), RELEASES);
	for (unsigned i = 0; i < port_workers; i++) {
		char name[RTE_RING_NAMESIZE / 2];

		for (unsigned c = 0; c < DP_PUNT_COUNT; c++) {
			snprintf(name, sizeof(name), "punt_%s_", dp_punt_desc[c].name);
			queues[i].class[c] =
				ring_new(name, i, sizeof(void *), dp_punt_desc[c].ring);
			if (!queues[i].class[c])
				return false;
		}
		queues[i].hold = ring_new("hold", i, sizeof(struct hold_item), PUNT_HOLD_RING);
		if (!queues[i].hold)
			return false;
	}
	return releases;
}

static int watch(int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int thread_start(void)
{
	int ret = -pthread_create(&thread, NULL, punt_main, NULL);

	running = !ret;
	if (running)
		pthread_setname_np(thread, "lintas-punt");
	return ret;
}

int punt_start(struct dp_err *err)
{
	int ret;

	if (!rings_create() || counters_init(&self.ctr))
		return dp_fail(err, -ENOMEM,
			"punt thread: need memory for its rings and counters, have none");
	counters_register(&self.ctr, COUNTERS_PUNT);
	budgets_init();
	hold_init();
	shed_init();
	bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bell_fd < 0 || epoll_fd < 0 || watch(bell_fd, WATCH_BELL) ||
		watch(carrier_fd(), WATCH_CARRIER))
		return dp_fail(err, -errno, "punt thread: need its descriptors, have none: %s",
			strerror(errno));
	tap_init(epoll_fd);
	atomic_store(&stopping, false);
	ret = thread_start();
	return !ret ? 0 : dp_fail(err, ret, "punt thread: it does not start: %s", strerror(-ret));
}

static void rings_free(void)
{
	struct hold_item item;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		for (unsigned c = 0; c < DP_PUNT_COUNT; c++) {
			struct rte_ring *ring = queues[i].class[c];

			while (ring && !rte_ring_dequeue(ring, (void **)&m))
				rte_pktmbuf_free(m);
			rte_ring_free(ring);
		}
		while (queues[i].hold &&
			!rte_ring_dequeue_elem(queues[i].hold, &item, sizeof(item)))
			rte_pktmbuf_free(item.m);
		rte_ring_free(queues[i].hold);
	}
	memset(queues, 0, sizeof(queues));
	rte_ring_free(releases);
	releases = NULL;
}

void punt_stop(void)
{
	if (running) {
		atomic_store(&stopping, true);
		punt_wake();
		pthread_join(thread, NULL);
		hold_exit(&self);
	}
	running = false;
	tap_exit();
	rings_free();
	counters_free(&self.ctr);
	if (bell_fd >= 0)
		close(bell_fd);
	if (epoll_fd >= 0)
		close(epoll_fd);
	bell_fd = epoll_fd = -1;
}
