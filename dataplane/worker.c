/* The worker's loop: one thread on one CPU that waits for nobody.
 *
 * A round: a vector from each rx queue through the pipeline (rx.c), what other workers handed over
 * (tx.c), what the punt thread brought from the kernel or from the hold queue; then the worker is
 * quiescent: it holds no pointer into any published table, and what control replaced meanwhile may
 * be freed. Busy polling spins; adaptive polling naps after idle rounds, longer and longer, 100 us
 * at most, and is off line for reclaim.c meanwhile; probes and their answers do not end that.
 * Control creates workers before they run and joins them before it frees; the counters and buffers
 * in struct worker are the worker's own. */
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <rte_errno.h>
#include <rte_random.h>
#include "bfd.h"
#include "counters.h"
#include "dp.h"
#include "pipeline.h"
#include "port.h"
#include "probe.h"
#include "punt.h"
#include "reclaim.h"
#include "worker.h"

#define IDLE_ROUNDS 64 /* before the first nap */
#define ESP_ROUNDS  4  /* vectors of other workers for one of the own */
#define LEISURE_MAX 16 /* more probes and answers in a round are work like any other */
#define NAP_MIN_NS  1000
#define NAP_MAX_NS  100000

struct worker *worker_table[DP_WORKERS_MAX];

static atomic_bool stopping, adaptive_poll;
static unsigned launched;

/* ---- the loop ---- */
/* From the punt thread: the kernel's frames and the hold queue's packets, each kind in order. */
static unsigned worker_inject(struct worker *w)
{
	struct rte_mbuf *in[VECTOR_MAX], *kind[INJECT_FAIL + 1][VECTOR_MAX];
	unsigned n = rte_ring_dequeue_burst(w->inject, (void **)in, VECTOR_MAX, NULL);
	unsigned n_kind[INJECT_FAIL + 1] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		enum inject what = mbuf_meta(in[i])->class;
		kind[what][n_kind[what]++] = in[i];
	}
	if (n_kind[INJECT_FRAME])
		pipeline_inject(w, kind[INJECT_FRAME], n_kind[INJECT_FRAME]);
	if (n_kind[INJECT_RESUME])
		pipeline_resume(w, kind[INJECT_RESUME], n_kind[INJECT_RESUME]);
	if (n_kind[INJECT_FAIL])
		pipeline_fail(w, kind[INJECT_FAIL], n_kind[INJECT_FAIL]);
	return n;
}

/* From other workers: packets for SAs of this one. */
static unsigned worker_esp(struct worker *w)
{
	struct rte_mbuf *pkts[VECTOR_MAX];
	unsigned total = 0, n = VECTOR_MAX;

	for (unsigned round = 0; round < ESP_ROUNDS && n == VECTOR_MAX; round++) {
		n = rte_ring_dequeue_burst(w->esp, (void **)pkts, VECTOR_MAX, NULL);
		w->now = 0;
		w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
		pipeline_esp(w, pkts, n);
		tx_flush(w);
		total += n;
	}
	return total;
}

static unsigned worker_round(struct worker *w)
{
	unsigned n = rx_poll(w);

	w->sample = false;
	n += tx_inbox(w);
	if (w->esp && !rte_ring_empty(w->esp))
		n += worker_esp(w);
	if (!rte_ring_empty(w->inject)) {
		w->now = 0;
		w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
		n += worker_inject(w);
	}
	unsigned probes = probe_poll(w);
	w->leisure += probes;
	n += probes;
	if (unlikely(atomic_load_explicit(&bfd_news[w->index], memory_order_relaxed)) ||
		(w->bfd_due != BFD_NEVER && rte_rdtsc() >= w->bfd_due))
		bfd_run(w);
	tx_flush(w);
	return n;
}

static void worker_nap(struct worker *w, unsigned idle)
{
	unsigned step = idle - IDLE_ROUNDS;
	long ns = step < 7 ? NAP_MIN_NS << step : NAP_MAX_NS;
	struct timespec nap = { .tv_nsec = RTE_MIN(ns, NAP_MAX_NS) };

	reclaim_offline(w->index);
	nanosleep(&nap, NULL);
	reclaim_online(w->index);
	count_add(&w->ctr.stats.naps, 1);
}

static int worker_main(void *arg)
{
	struct worker *w = arg;
	struct dp_worker_stats *stats = &w->ctr.stats;
	unsigned idle = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	reclaim_online(w->index);
	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		/* Before the first snapshot there is no link that a packet could belong to. */
		bool ready = atomic_load_explicit(&snapshot_published, memory_order_relaxed);
		unsigned n = ready ? worker_round(w) : 0;

		reclaim_quiescent(w->index);
		if (n > w->leisure || n >= LEISURE_MAX) /* else: it would spin for probes alone */
			idle = 0;
		else
			idle++;
		w->leisure = 0;
		if (n) {
			count_add(&w->busy_rounds, 1);
		} else {
			count_add(&stats->idle_polls, 1);
		}
		/* Release: who sees this round counted sees whether it was busy. */
		__atomic_store_n(&stats->polls, stats->polls + 1, __ATOMIC_RELEASE);
		if (idle > IDLE_ROUNDS &&
			atomic_load_explicit(&adaptive_poll, memory_order_relaxed))
			worker_nap(w, idle);
	}
	reclaim_offline(w->index);
	return 0;
}

/* ---- control ---- */
static struct rte_ring *worker_ring(
	const char *name, unsigned worker, unsigned size, unsigned flags)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s%u", name, worker);
	return rte_ring_create(full, size, SOCKET_ID_ANY, flags);
}

static struct worker *worker_new(unsigned index)
{
	struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);

	if (!w)
		return NULL;
	w->index = index;
	w->lcore = index + 1;
	w->random = rte_rand() | 1;
	w->scratch = pool_scratch(index);
	w->inbox = worker_ring("inbox", index, WORKER_INBOX, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	w->inject = worker_ring("inject", index, PUNT_INJECT, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (port_workers > 1)
		w->esp = worker_ring("esp", index, WORKER_ESP, RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
	if (!w->inbox || !w->inject || (port_workers > 1 && !w->esp) || counters_init(&w->ctr)) {
		rte_ring_free(w->esp);
		rte_ring_free(w->inbox);
		rte_ring_free(w->inject);
		rte_free(w);
		return NULL;
	}
	counters_register(&w->ctr, index);
	return w;
}

int worker_create(unsigned n, struct dp_err *err)
{
	for (unsigned i = 0; i < n; i++) {
		worker_table[i] = worker_new(i);
		if (!worker_table[i])
			return dp_fail(err, -ENOMEM,
				"worker %u: need memory for its rings and counters, have none", i);
	}
	if (probe_init(n))
		return dp_fail(err, -ENOMEM, "probes: need memory for their rings, have none");
	return 0;
}

static unsigned worker_cpu(unsigned lcore)
{
	rte_cpuset_t set = rte_lcore_cpuset(lcore);
	unsigned cpu = 0;

	while (cpu + 1 < CPU_SETSIZE && !CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

int worker_launch(bool adaptive, struct dp_err *err)
{
	atomic_store(&stopping, false);
	atomic_store(&adaptive_poll, adaptive);
	unsigned clock_cycles = pipeline_clock_cost();
	for (unsigned i = 0; i < DP_WORKERS_MAX && worker_table[i]; i++) {
		struct worker *w = worker_table[i];
		w->ctr.stats.cpu = worker_cpu(w->lcore);
		w->ctr.stats.clock_cycles = clock_cycles;
		int ret = rte_eal_remote_launch(worker_main, w, w->lcore);
		if (ret)
			return dp_fail(err, ret, "worker %u: its thread does not start: %s", i,
				rte_strerror(-ret));
		launched++;
	}
	return 0;
}

void worker_join(void)
{
	atomic_store(&stopping, true);
	for (unsigned i = 0; i < launched; i++)
		rte_eal_wait_lcore(worker_table[i]->lcore);
	launched = 0;
}

static void worker_drain(struct rte_ring *ring)
{
	struct rte_mbuf *m;

	while (!rte_ring_dequeue(ring, (void **)&m))
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void worker_free(void)
{
	probe_exit();
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		struct worker *w = worker_table[i];

		worker_table[i] = NULL;
		if (!w)
			continue;
		worker_drain(w->inbox);
		if (w->esp)
			worker_drain(w->esp);
		worker_drain(w->inject);
		counters_free(&w->ctr);
		rte_free(w);
	}
}
