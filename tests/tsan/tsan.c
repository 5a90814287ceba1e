/* What crosses threads, under ThreadSanitizer: forwarding tables, what control publishes, counters,
 * and packets handed from one worker to the next. The daemon's own sources, pthreads and C11
 * atomics, no EAL. Each test also checks every answer; a race that ThreadSanitizer reports makes
 * the program end with its status.
 *
 * rte_ring and rte_rcu come as inline functions and are watched too. rte_ring in its C11 form and
 * with one producer, as punt and inject have it: the x86 form's plain stores, and an inbox of
 * several producers, are in order on x86 only, which ThreadSanitizer does not know. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include "dataplane/counters.h"
#include "dataplane/reclaim.h"
#include "dataplane/route.h"
#include "dataplane/worker.h"
#include "tests/unit/fib_table.h"

#define READERS 2u

static atomic_bool stop;
static atomic_uint wrong;
static _Atomic uint64_t rounds;

static bool going(void)
{
	return !atomic_load_explicit(&stop, memory_order_relaxed);
}

static void expect(bool ok)
{
	if (!ok)
		atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
}

/* Threads run fn until control has returned and each has gone round often enough. */
static const char *with_threads(unsigned n, void *(*fn)(void *), void (*control)(void))
{
	static const unsigned index[4] = { 0, 1, 2, 3 };
	pthread_t thread[4];
	unsigned started = 0;

	atomic_store(&stop, false);
	atomic_store(&wrong, 0);
	atomic_store(&rounds, 0);
	while (started < n &&
		!pthread_create(&thread[started], NULL, fn, (void *)(uintptr_t)&index[started]))
		started++;
	if (started == n)
		control();
	while (started == n && atomic_load(&rounds) < 200 && !atomic_load(&wrong))
		;
	atomic_store(&stop, true);
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	if (started < n)
		return "no thread";
	return atomic_load(&wrong) ? "a thread saw what never was" : NULL;
}

/* ---- tables ---- */
static const char *fib4_churn(void)
{
	return fib_churn(32, 4000);
}

static const char *fib6_churn(void)
{
	return fib_churn(128, 4000);
}

/* ---- publication: a route that always leads somewhere always does ---- */
#define ROUTES	64u
#define GROUPS	16u /* 1 to GROUPS */
#define ADJS	32u /* 1 to ADJS */
#define VECTORS 20u

static struct ip_prefix route_prefix(uint8_t af, unsigned i)
{
	struct ip_prefix p = { .af = af, .bytes = { 10, (uint8_t)i }, .len = 24 };

	return p;
}

static void route_check(const struct adj *a)
{
	expect(a->kind != DP_ADJ_NONE && a->kind == a->conf.kind);
}

static void route_vector(const struct vrf_fib *vrf, uint32_t low, uint32_t high)
{
	uint32_t addr4[ROUTES], value[ROUTES];
	uint8_t addr6[ROUTES][16];
	const uint8_t *at6[ROUTES];

	for (unsigned i = 0; i < ROUTES; i++) {
		addr4[i] = 10u << 24 | i << 16 | 9;
		memset(addr6[i], 0, 16);
		addr6[i][0] = 10;
		addr6[i][1] = (uint8_t)i;
		at6[i] = addr6[i];
	}
	for (unsigned af = 0; af < 2; af++) {
		if (af)
			fib6_lookup_same(vrf->v6, at6, value, ROUTES);
		else
			fib4_lookup_same(vrf->v4, addr4, value, ROUTES);
		for (unsigned i = 0; i < ROUTES; i++) {
			expect(value[i] >= low && value[i] <= high);
			if (value[i])
				route_check(route_group_adj(value[i], i * 0x9e3779b9u));
		}
	}
}

static void *route_reader(void *arg)
{
	unsigned worker = *(const unsigned *)arg;

	reclaim_online(worker);
	while (going()) {
		const struct vrf_fib *lasting =
			atomic_load_explicit(&vrf_table[0], memory_order_acquire);
		const struct vrf_fib *passing =
			atomic_load_explicit(&vrf_table[1], memory_order_acquire);

		route_vector(lasting, 1, GROUPS);
		if (passing)
			route_vector(passing, 0, 1);
		atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
		reclaim_quiescent(worker);
	}
	reclaim_offline(worker);
	return NULL;
}

static bool set_adj(unsigned i)
{
	static const uint8_t kinds[] = { DP_ADJ_BLACKHOLE, DP_ADJ_UNREACHABLE, DP_ADJ_PROHIBIT,
		DP_ADJ_LOCAL };
	struct dp_adj a = { .kind = kinds[random_below(4)] };

	return !dp_adj_set(i, &a);
}

static bool set_group(unsigned i)
{
	struct dp_leg legs[4];
	unsigned n = 1 + random_below(4), first = random_below(ADJS);

	for (unsigned k = 0; k < n; k++)
		legs[k] = (struct dp_leg){ .key = first + k,
			.adj = 1 + (first + k) % ADJS,
			.weight = 1,
			.alive = random_below(4) };
	return !dp_group_set(i, legs, n);
}

static bool set_route(unsigned vrf, unsigned i, uint32_t group)
{
	struct ip_prefix v4 = route_prefix(AF_INET, i), v6 = route_prefix(AF_INET6, i);

	return !dp_fib_set(vrf, &v4, group) && !dp_fib_set(vrf, &v6, group);
}

static void passing_vrf(void)
{
	expect(!dp_vrf_add(1));
	for (unsigned i = 0; i < ROUTES; i += 3)
		expect(set_route(1, i, 1));
	expect(!dp_vrf_del(1));
}

static void route_control(void)
{
	for (unsigned i = 0; i < 4000; i++) {
		switch (random_below(3)) {
		case 0:
			expect(set_adj(1 + random_below(ADJS)));
			break;
		case 1:
			expect(set_group(1 + random_below(GROUPS)));
			break;
		default:
			expect(set_route(0, random_below(ROUTES), 1 + random_below(GROUPS)));
		}
		if (i % 200 == 0)
			passing_vrf();
		reclaim_poll();
	}
}

static const char *publication(void)
{
	const char *bad;

	seed = 42;
	if (reclaim_init(READERS) || dp_vrf_add(0))
		return "no memory";
	for (unsigned i = 1; i <= ADJS; i++)
		expect(set_adj(i));
	for (unsigned i = 1; i <= GROUPS; i++)
		expect(set_group(i));
	for (unsigned i = 0; i < ROUTES; i++)
		expect(set_route(0, i, 1 + i % GROUPS));
	bad = with_threads(READERS, route_reader, route_control);
	dp_vrf_del(0);
	reclaim_flush();
	return bad;
}

/* ---- counters: each has one writer, anyone reads, control sets links back to zero ---- */
#define WRITERS 2u

static struct counters counted[WRITERS];
static uint64_t written[WRITERS];

/* The first two write, the third reads. */
static void *counter_thread(void *arg)
{
	unsigned i = *(const unsigned *)arg;
	uint64_t before = 0;

	while (going()) {
		uint64_t now;

		atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
		if (i < WRITERS) {
			count_add(&counted[i].pair[3][4].packets, 1);
			count_add(&counted[i].pair[5][4].packets, 1);
			count_add(&counted[i].drop[5][DP_DROP_ip4_ttl], 1);
			written[i]++;
			continue;
		}
		now = dp_pair_count(3, 4).packets;
		expect(now >= before);
		before = now;
		dp_pair_count(5, 4);
		dp_link_drop_count(5, DP_DROP_ip4_ttl);
	}
	return NULL;
}

static void counter_control(void)
{
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = dp_pair_count(3, 4).packets, all;

		counters_clear_link(5);
		all = dp_drop_count(DP_DROP_ip4_ttl);
		expect(dp_link_drop_count(5, DP_DROP_ip4_ttl) <= dp_drop_count(DP_DROP_ip4_ttl));
		expect(dp_pair_count(3, 4).packets >= before);
		expect(dp_drop_count(DP_DROP_ip4_ttl) >= all);
	}
}

static const char *counters(void)
{
	const char *bad;
	uint64_t sum = 0;

	for (unsigned i = 0; i < WRITERS; i++) {
		if (counters_init(&counted[i]))
			return "no memory";
		counters_register(&counted[i], i);
	}
	bad = with_threads(WRITERS + 1, counter_thread, counter_control);
	for (unsigned i = 0; i < WRITERS; i++)
		sum += written[i];
	if (!bad && dp_pair_count(3, 4).packets != sum)
		bad = "the sum is not what was counted";
	counters_clear_link(5);
	if (!bad && dp_pair_count(5, 4).packets + dp_link_drop_count(5, DP_DROP_ip4_ttl))
		bad = "a cleared link does not read zero";
	for (unsigned i = 0; i < WRITERS; i++)
		counters_free(&counted[i]);
	return bad;
}

/* ---- hand-over: two threads give packets to a third and get them back ---- */
#define PACKETS	 256u
#define HANDOVER 20000u /* by each */

static struct rte_mbuf packet[WRITERS][PACKETS];
static struct rte_ring *there[WRITERS], *back[WRITERS];
static atomic_uint handed[WRITERS];

static struct rte_ring *ring_new(unsigned size)
{
	size_t bytes = (size_t)rte_ring_get_memsize(size);
	struct rte_ring *r =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(bytes, (size_t)RTE_CACHE_LINE_SIZE));

	if (r && !rte_ring_init(r, "tsan", size, RING_F_SP_ENQ | RING_F_SC_DEQ))
		return r;
	free(r);
	return NULL;
}

static void give(unsigned from)
{
	for (uint32_t n = 0; n < HANDOVER && going();) {
		struct rte_mbuf *m;

		if (rte_ring_sc_dequeue(back[from], (void **)&m))
			continue;
		*mbuf_meta(m) = (struct mbuf_meta){ .link = (uint16_t)from, .l3_off = 14 };
		m->pkt_len = n;
		while (rte_ring_sp_enqueue(there[from], m))
			if (!going())
				return;
		n++;
	}
}

static void take(void)
{
	uint32_t next[WRITERS] = { 0 };

	for (unsigned from = 0; going(); from = (from + 1) % WRITERS) {
		struct rte_mbuf *m[32];
		unsigned n = rte_ring_dequeue_burst(there[from], (void **)m, RTE_DIM(m), NULL);

		for (unsigned i = 0; i < n; i++) {
			expect(mbuf_meta(m[i])->link == from && mbuf_meta(m[i])->l3_off == 14 &&
				m[i]->pkt_len == next[from]);
			next[from]++;
			expect(!rte_ring_sp_enqueue(back[from], m[i]));
		}
		atomic_store(&handed[from], next[from]);
	}
}

static void *handover_thread(void *arg)
{
	unsigned i = *(const unsigned *)arg;

	atomic_fetch_add(&rounds, 200);
	if (i < WRITERS)
		give(i);
	else
		take();
	return NULL;
}

static void handover_control(void)
{
	while (!atomic_load(&wrong) &&
		(atomic_load(&handed[0]) < HANDOVER || atomic_load(&handed[1]) < HANDOVER))
		;
}

static const char *handover(void)
{
	const char *bad = NULL;

	for (unsigned i = 0; i < WRITERS; i++) {
		there[i] = ring_new(128);
		back[i] = ring_new(2 * PACKETS);
		if (!there[i] || !back[i])
			bad = "no memory";
		for (unsigned k = 0; !bad && k < PACKETS; k++)
			rte_ring_sp_enqueue(back[i], &packet[i][k]);
	}
	if (!bad)
		bad = with_threads(WRITERS + 1, handover_thread, handover_control);
	for (unsigned i = 0; i < WRITERS; i++) {
		free(there[i]);
		free(back[i]);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *(*run)(void);
	} tests[] = {
		{ "tsan.fib4", fib4_churn },
		{ "tsan.fib6", fib6_churn },
		{ "tsan.publication", publication },
		{ "tsan.counters", counters },
		{ "tsan.handover", handover },
	};
	int failed = 0;

	for (unsigned i = 0; i < RTE_DIM(tests); i++) {
		const char *bad;

		if (argc > 2 && !strcmp(argv[1], "--only") && !strstr(tests[i].name, argv[2]))
			continue;
		bad = tests[i].run();
		if (bad)
			printf("FAIL %s: %s\n", tests[i].name, bad);
		else
			printf("PASS %s\n", tests[i].name);
		fflush(stdout);
		failed |= !!bad;
	}
	return failed;
}
