/* Reclamation: nothing runs before every online worker has been quiescent, everything runs in order
 * after, and the queue neither loses nor repeats an entry however long it gets. The last test lets
 * threads read what is replaced all the time; freed memory is overwritten, so that a reader that
 * still sees it would notice. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "dataplane/counters.h"
#include "dataplane/reclaim.h"
#include "dataplane/worker.h"
#include "unit.h"

static unsigned ran, expect, order_wrong;

static void note(void *ptr)
{
	order_wrong += (uintptr_t)ptr != expect;
	expect++;
	ran++;
}

static void start(unsigned workers)
{
	CU_ASSERT_EQUAL_FATAL(reclaim_init(workers), 0);
	ran = expect = order_wrong = 0;
}

static uint64_t waiting(void)
{
	struct reclaim_stats stats;

	reclaim_stats(&stats);
	return stats.waiting;
}

static void waits_for_each(void)
{
	start(2);
	reclaim_online(0);
	reclaim_online(1);
	reclaim_defer(note, (void *)0);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 0);
	reclaim_quiescent(0);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 0);
	reclaim_quiescent(0); /* twice the same is not two */
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 0);
	reclaim_quiescent(1);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 1);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 1);
	CU_ASSERT_EQUAL(waiting(), 0);
}

static void asleep_is_not_waited_for(void)
{
	start(2);
	reclaim_online(0);
	reclaim_online(1);
	reclaim_defer(note, (void *)0);
	reclaim_quiescent(0);
	reclaim_offline(1);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 1);
	reclaim_online(1);
	reclaim_defer(note, (void *)1);
	reclaim_quiescent(0);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 1);
	reclaim_quiescent(1);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 2);
	reclaim_offline(0);
	reclaim_offline(1);
	reclaim_defer(note, (void *)2);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 3);
	CU_ASSERT_EQUAL(order_wrong, 0);
}

static void only_what_is_safe(void)
{
	start(1);
	reclaim_online(0);
	reclaim_defer(note, (void *)0);
	reclaim_defer(note, (void *)1);
	reclaim_quiescent(0);
	reclaim_defer(note, (void *)2);
	reclaim_poll();
	CU_ASSERT_EQUAL(ran, 2);
	CU_ASSERT_EQUAL(waiting(), 1);
	reclaim_flush();
	CU_ASSERT_EQUAL(ran, 3);
	CU_ASSERT_EQUAL(order_wrong, 0);
}

static void long_queue(void)
{
	enum { N = 300000 };

	start(1);
	reclaim_online(0);
	for (uintptr_t i = 0; i < N; i++)
		reclaim_defer(note, (void *)i);
	CU_ASSERT_EQUAL(ran, 0);
	CU_ASSERT_EQUAL(waiting(), N);
	reclaim_quiescent(0);
	for (unsigned i = 0; i < N && waiting(); i++)
		reclaim_poll();
	CU_ASSERT_EQUAL(ran, N);
	CU_ASSERT_EQUAL(order_wrong, 0);
}

/* A burst longer than any pause of the control loop does not pile up as long as workers live. */
static void burst_reclaims_itself(void)
{
	uint64_t most = 0;

	start(1);
	reclaim_online(0);
	for (uintptr_t i = 0; i < 200000; i++) {
		reclaim_defer(note, (void *)i);
		reclaim_quiescent(0);
		most = waiting() > most ? waiting() : most;
	}
	CU_ASSERT(most < 1000);
	reclaim_flush();
	CU_ASSERT_EQUAL(ran, 200000);
	CU_ASSERT_EQUAL(order_wrong, 0);
}

/* A stuck worker: the queue has a bound, beyond it entries are given up, none is freed early. */
static void stuck_worker(void)
{
	struct reclaim_stats stats;
	uintptr_t n = 0;

	start(1);
	reclaim_online(0);
	do {
		reclaim_defer(note, (void *)n++);
		reclaim_stats(&stats);
	} while (!stats.leaked && n < 10000000);
	CU_ASSERT_EQUAL(ran, 0);
	CU_ASSERT_EQUAL(stats.leaked, 1);
	CU_ASSERT(stats.waits >= 1);
	CU_ASSERT_EQUAL(stats.waiting, n - 1);
	reclaim_quiescent(0);
	reclaim_flush();
	CU_ASSERT_EQUAL(ran, n - 1);
	CU_ASSERT_EQUAL(order_wrong, 0);
}

static void defers_again(void *ptr)
{
	uintptr_t left = (uintptr_t)ptr;

	ran++;
	if (left)
		reclaim_defer(defers_again, (void *)(left - 1));
}

static void from_within(void)
{
	start(1);
	reclaim_defer(defers_again, (void *)2000);
	reclaim_flush();
	CU_ASSERT_EQUAL(ran, 2001);
	CU_ASSERT_EQUAL(reclaim_init(0), -EINVAL);
}

/* ---- threads ---- */
struct shared {
	uint64_t a, b; /* b = ~a, until it is freed */
};

static struct shared *_Atomic current;
static atomic_bool stop;
static atomic_uint torn;
static _Atomic uint64_t reads;

static void poison(void *ptr)
{
	memset(ptr, 0x6b, sizeof(struct shared));
	free(ptr);
}

static void *reader(void *arg)
{
	unsigned worker = *(const unsigned *)arg;

	reclaim_online(worker);
	for (unsigned i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
		const struct shared *s = atomic_load_explicit(&current, memory_order_acquire);

		for (unsigned j = 0; j < 50; j++)
			if (s->a != ~s->b)
				atomic_fetch_add(&torn, 1);
		atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
		reclaim_quiescent(worker);
		if (i % 64 == 0) { /* a nap */
			reclaim_offline(worker);
			reclaim_online(worker);
		}
	}
	reclaim_offline(worker);
	return NULL;
}

static void replace_current(uint64_t value)
{
	struct shared *fresh = malloc(sizeof(*fresh)), *before;

	CU_ASSERT_FATAL(fresh != NULL);
	fresh->a = value;
	fresh->b = ~value;
	before = atomic_exchange_explicit(&current, fresh, memory_order_release);
	if (before)
		reclaim_defer(poison, before);
}

static void threads(void)
{
	unsigned worker[3] = { 0, 1, 2 };
	pthread_t thread[3];

	start(3);
	atomic_store(&stop, false);
	atomic_store(&torn, 0);
	atomic_store(&reads, 0);
	replace_current(1);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, reader, &worker[i]), 0);
	for (uint64_t i = 0; i < 100000 || (atomic_load(&reads) < 10000 && !atomic_load(&torn));
		i++) {
		replace_current(i * 0x9e3779b97f4a7c15ull);
		if (i % 100 == 0)
			reclaim_poll();
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	CU_ASSERT_EQUAL(atomic_load(&torn), 0);
	reclaim_flush();
	CU_ASSERT_EQUAL(waiting(), 0);
	free(atomic_exchange(&current, NULL));
}

/* ---- counters: the other thing that workers write and control reads ---- */
static void counters(void)
{
	static struct counters a, b;
	struct dp_punt_stats punt;
	struct dp_worker_stats stats;

	CU_ASSERT(!counters_init(&a) && !counters_init(&b));
	counters_register(&a, 0);
	counters_register(&b, COUNTERS_PUNT);
	count_add(&a.pair[3][4].packets, 2);
	count_add(&a.pair[3][4].bytes, 200);
	count_add(&b.punted[3].packets, 1);
	count_add(&b.punted[3].bytes, 46);
	count_add(&a.drop[3][DP_DROP_tx_full], 1); /* of the two in the matrix */
	count_add(&b.pair[0][4].packets, 5);
	count_add(&a.drop[3][DP_DROP_ip4_ttl], 7);
	count_add(&b.drop[9][DP_DROP_ip4_ttl], 1);
	count_add(&b.punt[DP_PUNT_bgp].to_kernel, 6);
	count_add(&a.punt[DP_PUNT_bgp].dropped, 2);
	count_add(&a.stats.vectors, 11);
	CU_ASSERT_EQUAL(dp_pair_count(3, 4).packets, 2);
	CU_ASSERT_EQUAL(dp_pair_count(3, 4).bytes, 200);
	CU_ASSERT_EQUAL(dp_link_tx(4).packets, 7);
	CU_ASSERT_EQUAL(dp_link_rx(3).packets, 2 + 1 + 7);
	CU_ASSERT_EQUAL(dp_link_rx(3).bytes, 200 + 46);
	CU_ASSERT_EQUAL(dp_drop_count(DP_DROP_ip4_ttl), 8);
	CU_ASSERT_EQUAL(dp_link_drop_count(3, DP_DROP_ip4_ttl), 7);
	CU_ASSERT(!dp_punt_stats(DP_PUNT_bgp, &punt) && punt.to_kernel == 6 && punt.dropped == 2);
	CU_ASSERT(!dp_worker_stats(0, &stats) && stats.vectors == 11);
	CU_ASSERT_EQUAL(dp_worker_stats(1, &stats), -ENOENT);
	CU_ASSERT_EQUAL(dp_worker_stats(COUNTERS_PUNT, &stats), -ENOENT);
	/* Link 3 goes and comes again: zero, without a write where the worker writes; totals stay.
	 */
	counters_clear_link(3);
	CU_ASSERT_EQUAL(a.pair[3][4].packets, 2);
	CU_ASSERT_EQUAL(dp_link_rx(3).packets, 0);
	CU_ASSERT_EQUAL(dp_link_tx(4).packets, 5);
	CU_ASSERT_EQUAL(dp_link_drop_count(3, DP_DROP_ip4_ttl), 0);
	CU_ASSERT_EQUAL(dp_drop_count(DP_DROP_ip4_ttl), 8);
	count_add(&a.pair[3][4].packets, 1);
	CU_ASSERT_EQUAL(dp_link_rx(3).packets, 1);
	/* Out of range is nothing. */
	CU_ASSERT_EQUAL(dp_pair_count(DP_LINKS_MAX, 0).packets, 0);
	CU_ASSERT_EQUAL(dp_link_rx(DP_NONE).packets + dp_link_tx(DP_NONE).packets, 0);
	CU_ASSERT_EQUAL(dp_link_drop_count(DP_NONE, DP_DROP_ip4_ttl), 0);
	counters_free(&a);
	counters_free(&b);
	counters_free(&b);
	CU_ASSERT_EQUAL(dp_worker_stats(0, &stats), -ENOENT);
	CU_ASSERT_EQUAL(dp_drop_count(DP_DROP_ip4_ttl), 0);
}

void unit_reclaim(void)
{
	static const struct unit_test tests[] = {
		{ "waits_for_each", waits_for_each },
		{ "asleep_is_not_waited_for", asleep_is_not_waited_for },
		{ "only_what_is_safe", only_what_is_safe },
		{ "long_queue", long_queue },
		{ "burst_reclaims_itself", burst_reclaims_itself },
		{ "stuck_worker", stuck_worker },
		{ "from_within", from_within },
		{ "threads", threads },
		{ "counters", counters },
	};

	UNIT_SUITE("reclaim", tests);
}
