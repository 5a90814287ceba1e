/* The forwarding tables by themselves, beside DPDK's rte_fib and rte_fib6 on the same core.
 *
 * For each size: the same random routes into both, then lookups in vectors of 64, ours and theirs
 * in turn, many short windows each; the median counts. Cycles are TSC cycles of this thread's CPU
 * time: what others do on the core costs cache, not time. Then what control can do while a worker
 * reads: adds and random updates (half of them deletes) a second of its own CPU time, and the
 * longest single call, median of several runs. And the memory of many small tables. One line each:
 * `bench NAME what=... goal=... pass|miss`; exit 1 when a goal is missed.
 *
 *   fibbench [EAL-ARGS [-- NAME...]]      default: --in-memory --no-pci; NAME: a row's beginning */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include "dataplane/fib.h"
#include "dataplane/reclaim.h"

#define VECTOR	  64u
#define NEXT_HOPS 256u
#define WINDOWS	  15u
#define WINDOW_NS 40000000ull
#define RUNS	  5u
#define VRFS	  256u

/* An address or a prefix; IPv4 is the first four bytes. */
struct route {
	uint8_t bytes[16];
	uint8_t len;
};

struct row {
	const char *name;
	bool v4;
	unsigned routes, flows;
	double cycles, bytes, rates; /* goals: a lookup, the table; 0 = none. rates: has some */
};

static const struct row rows[] = {
	{ "fib4-1k", true, 1000, 2048, 0, 0, 0 },
	{ "fib4-100k", true, 100000, 65536, 0, 0, 0 },
	{ "fib4-1m", true, 1000000, 1u << 20, 20, 16 << 20, 1 },
	{ "fib6-1k", false, 1000, 2048, 0, 0, 0 },
	{ "fib6-20k", false, 20000, 65536, 0, 0, 0 },
	{ "fib6-200k", false, 200000, 1u << 20, 60, 0, 1 },
};
#define GOAL_ADDS    500e3 /* a second */
#define GOAL_UPDATES 300e3
#define GOAL_LONGEST 2000. /* microseconds */
#define GOAL_VRFS    (64u << 20)

static struct {
	const struct row *row;
	struct route *route;
	uint32_t *dst4;
	uint8_t (*dst6)[16];
	const uint8_t **at6; /* as the fast path has them: pointers into packets */
	struct fib4 *v4;
	struct fib6 *v6;
	struct rte_fib *rte4;
	struct rte_fib6 *rte6;
} b;

static int exit_code;

/* ---- random tables ---- */
static uint64_t seed;

static uint64_t random_next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

struct share {
	uint8_t len;
	uint16_t of_1000;
};

static unsigned random_len(const struct share *s)
{
	unsigned r = (unsigned)(random_next() % 1000);

	while (r >= s->of_1000)
		r -= s++->of_1000;
	return s->len;
}

static void keep(uint8_t *bytes, unsigned len)
{
	for (unsigned bit = len; bit < 128; bit++)
		bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* Lengths as the global tables have them; 1 % of IPv4 longer than /24. IPv6 in allocations of /32,
 * eight routes each. */
static struct route random_route(bool v4, unsigned routes)
{
	static const struct share len4[] = { { 16, 14 }, { 17, 8 }, { 18, 14 }, { 19, 25 },
		{ 20, 45 }, { 21, 50 }, { 22, 109 }, { 23, 106 }, { 24, 620 }, { 28, 3 }, { 30, 2 },
		{ 32, 4 } };
	static const struct share len6[] = { { 32, 130 }, { 36, 40 }, { 38, 30 }, { 40, 95 },
		{ 42, 40 }, { 44, 105 }, { 46, 50 }, { 48, 500 }, { 64, 10 } };
	struct route r;
	uint64_t word[2] = { random_next(), random_next() };

	memcpy(r.bytes, word, 16);
	if (v4) {
		r.bytes[0] = (uint8_t)(1 + r.bytes[0] % 223);
		r.len = (uint8_t)random_len(len4);
	} else {
		uint64_t block =
			(word[1] >> 8) % (routes / 8 + 1) * 0x9e3779b97f4a7c15ull ^ 0x1234567;

		block ^= block >> 29;
		block *= 0xbf58476d1ce4e5b9ull;
		r.bytes[0] = (uint8_t)(0x20 + (block >> 56) % 12);
		r.bytes[1] = (uint8_t)(block >> 48);
		r.bytes[2] = (uint8_t)(block >> 40);
		r.bytes[3] = (uint8_t)(block >> 32);
		r.len = (uint8_t)random_len(len6);
	}
	keep(r.bytes, r.len);
	return r;
}

static uint32_t host_order(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Random addresses in random routes. */
static void make_flows(void)
{
	unsigned n = b.row->flows;

	b.dst4 = malloc(n * sizeof(*b.dst4));
	b.dst6 = malloc(n * sizeof(*b.dst6));
	b.at6 = malloc(n * sizeof(*b.at6));
	if (!b.dst4 || !b.dst6 || !b.at6)
		exit(1);
	for (unsigned i = 0; i < n; i++) {
		const struct route *r = &b.route[random_next() % b.row->routes];
		uint64_t noise[2] = { random_next(), random_next() };
		uint8_t *a = b.dst6[i];

		memcpy(a, noise, 16);
		for (unsigned bit = 0; bit < r->len; bit++) {
			uint8_t m = (uint8_t)(0x80 >> bit % 8);
			a[bit / 8] = (uint8_t)((a[bit / 8] & ~m) | (r->bytes[bit / 8] & m));
		}
		b.dst4[i] = host_order(a);
		b.at6[i] = a;
	}
}

/* ---- the tables ---- */
static void give_back(void (*fn)(void *), void *ptr)
{
	fn(ptr);
}

static uint32_t hop(unsigned i)
{
	return 1 + (i * 2654435761u >> 8) % NEXT_HOPS;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void ours_create(fib_retire_fn retire)
{
	b.v4 = b.row->v4 ? fib4_create(retire) : NULL;
	b.v6 = b.row->v4 ? NULL : fib6_create(retire);
	if (!b.v4 && !b.v6)
		exit(1);
}

static void ours_destroy(void)
{
	fib4_destroy(b.v4);
	fib6_destroy(b.v6);
}

static void ours_set(const struct route *r, uint32_t value)
{
	if (b.v4 ? fib4_set(b.v4, r->bytes, r->len, value)
		 : fib6_set(b.v6, r->bytes, r->len, value)) {
		fprintf(stderr, "fibbench: no memory for our table\n");
		exit(1);
	}
}

static void ours_del(const struct route *r) /* it may be gone already */
{
	if (b.v4)
		fib4_del(b.v4, r->bytes, r->len);
	else
		fib6_del(b.v6, r->bytes, r->len);
}

static struct fib_usage ours_usage(void)
{
	struct fib_usage usage;

	if (b.v4)
		fib4_usage(b.v4, &usage);
	else
		fib6_usage(b.v6, &usage);
	return usage;
}

/* Adds a second. */
static double theirs_fill(void)
{
	struct rte_fib_conf c4 = { .type = RTE_FIB_DIR24_8,
		.max_routes = 2 * (int)b.row->routes + 64,
		.dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = 32767 } };
	struct rte_fib6_conf c6 = { .type = RTE_FIB6_TRIE,
		.max_routes = 2 * (int)b.row->routes + 64,
		.trie = { .nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = 1024 + 3 * b.row->routes } };
	uint64_t t;
	int err = 0;

	b.rte4 = b.row->v4 ? rte_fib_create("bench", 0, &c4) : NULL;
	b.rte6 = b.row->v4 ? NULL : rte_fib6_create("bench", 0, &c6);
	t = cpu_ns();
	for (unsigned i = 0; i < b.row->routes && (b.rte4 || b.rte6); i++)
		err |= b.rte4 ? rte_fib_add(b.rte4, host_order(b.route[i].bytes), b.route[i].len,
					hop(i))
			      : rte_fib6_add(b.rte6, b.route[i].bytes, b.route[i].len, hop(i));
	if ((!b.rte4 && !b.rte6) || err) {
		fprintf(stderr, "fibbench: rte_fib: no memory (more huge pages, or --no-huge)\n");
		exit(1);
	}
	return (double)b.row->routes * 1e9 / (double)(cpu_ns() - t);
}

/* ---- lookups ---- */
static volatile uint64_t sink;

static void ours_lookup(unsigned at)
{
	uint32_t value[VECTOR];

	if (b.v4)
		fib4_lookup_same(b.v4, b.dst4 + at, value, VECTOR);
	else
		fib6_lookup_same(b.v6, b.at6 + at, value, VECTOR);
	sink += value[0] ^ value[VECTOR - 1];
}

static void theirs_lookup(unsigned at)
{
	uint64_t value[VECTOR];

	if (b.rte4)
		rte_fib_lookup_bulk(b.rte4, b.dst4 + at, value, VECTOR);
	else
		rte_fib6_lookup_bulk(b.rte6, b.dst6 + at, value, VECTOR);
	sink += value[0] ^ value[VECTOR - 1];
}

static unsigned where; /* goes on from window to window: all flows come round */

static double window(void (*lookup)(unsigned at))
{
	uint64_t begin = cpu_ns(), now, n = 0;

	do {
		for (unsigned i = 0; i < 512; i++) {
			lookup(where);
			where = (where + VECTOR) & (b.row->flows - 1);
		}
		n += 512 * VECTOR;
		now = cpu_ns();
	} while (now - begin < WINDOW_NS);
	return (double)(now - begin) * ((double)rte_get_tsc_hz() / 1e9) / (double)n;
}

static int by_size(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

/* Both must say the same of every flow. */
static bool agree(void)
{
	for (unsigned at = 0; at < b.row->flows; at += VECTOR) {
		uint32_t ours[VECTOR];
		uint64_t theirs[VECTOR];

		if (b.row->v4) {
			fib4_lookup_same(b.v4, b.dst4 + at, ours, VECTOR);
			rte_fib_lookup_bulk(b.rte4, b.dst4 + at, theirs, VECTOR);
		} else {
			fib6_lookup_same(b.v6, b.at6 + at, ours, VECTOR);
			rte_fib6_lookup_bulk(b.rte6, b.dst6 + at, theirs, VECTOR);
		}
		for (unsigned i = 0; i < VECTOR; i++)
			if (ours[i] != theirs[i])
				return false;
	}
	return true;
}

/* value is named `what`; 0 as a goal: none. */
static void report(const char *name, const char *what, double value, double goal, bool at_least)
{
	printf("bench %s %s=%.*f", name, what, value < 1000 ? 1 : 0, value);
	if (goal > 0) {
		bool passed = at_least ? value >= goal : value <= goal;

		printf(" goal=%.0f %s", goal, passed ? "pass" : "miss");
		if (!passed)
			exit_code = 1;
	}
	puts("");
	fflush(stdout);
}

static void run_lookups(const char *name)
{
	double ours[WINDOWS], theirs[WINDOWS], adds;
	struct fib_usage usage;
	char label[64];

	make_flows();
	ours_create(give_back);
	for (unsigned i = 0; i < b.row->routes; i++)
		ours_set(&b.route[i], hop(i));
	adds = theirs_fill();
	if (!agree()) {
		printf("bench %s: answers differ from rte_fib's\n", name);
		exit(1);
	}
	for (unsigned i = 0; i < WINDOWS; i++) {
		ours[i] = window(ours_lookup);
		theirs[i] = window(theirs_lookup);
	}
	usage = ours_usage();
	snprintf(label, sizeof(label), "rte=%.1f rte_adds_per_s=%.0f control_bytes=%lu cycles",
		median(theirs, WINDOWS), adds, (unsigned long)usage.control_bytes);
	report(name, label, median(ours, WINDOWS), b.row->cycles, false);
	snprintf(label, sizeof(label), "%s-memory", name);
	report(label, "bytes", (double)usage.lookup_bytes, b.row->bytes, false);
	ours_destroy();
	rte_fib_free(b.rte4);
	rte_fib6_free(b.rte6);
	free(b.dst4);
	free(b.dst6);
	free(b.at6);
}

/* ---- updates while a worker reads ---- */
static atomic_bool reading;

static void *reader(void *arg)
{
	(void)arg;
	reclaim_online(0);
	while (atomic_load_explicit(&reading, memory_order_relaxed)) {
		ours_lookup(where);
		where = (where + VECTOR) & (b.row->flows - 1);
		reclaim_quiescent(0);
	}
	reclaim_offline(0);
	return NULL;
}

struct rates {
	double adds, updates, longest; /* a second, a second, microseconds */
};

/* The clock of a thread's CPU time is a system call: it is read every STEP calls, and when the TSC
 * says that one was long; what was long by the TSC only was somebody else's time. */
#define STEP 64u

static double adds_longest(void)
{
	uint64_t suspect = rte_get_tsc_hz() / 10000, cpu = cpu_ns();
	double longest = 0;

	for (unsigned i = 0; i < b.row->routes; i++) {
		uint64_t tsc = rte_rdtsc();

		ours_set(&b.route[i], hop(i));
		if (rte_rdtsc() - tsc > suspect) {
			double us = (double)(cpu_ns() - cpu) / 1e3;
			longest = us > longest ? us : longest;
		}
		if (i % STEP == 0) {
			reclaim_poll();
			cpu = cpu_ns();
		}
	}
	return longest;
}

static struct rates one_run(void)
{
	struct rates r;
	unsigned n = b.row->routes;
	uint64_t begin = cpu_ns();

	r.longest = adds_longest();
	r.adds = n * 1e9 / (double)(cpu_ns() - begin);
	begin = cpu_ns();
	for (unsigned i = 0; i < n; i++) {
		uint64_t random = random_next();

		if (random >> 40 & 1)
			ours_set(&b.route[random % n], hop(i));
		else
			ours_del(&b.route[random % n]);
		if (i % STEP == 0)
			reclaim_poll();
	}
	r.updates = n * 1e9 / (double)(cpu_ns() - begin);
	return r;
}

static void run_rates(const char *name)
{
	double adds[RUNS], updates[RUNS], longest[RUNS];
	char label[64];

	make_flows();
	for (unsigned i = 0; i < RUNS; i++) {
		struct rates r;
		pthread_t thread;

		if (reclaim_init(1))
			exit(1);
		ours_create(reclaim_defer);
		atomic_store(&reading, true);
		if (pthread_create(&thread, NULL, reader, NULL))
			exit(1);
		r = one_run();
		atomic_store(&reading, false);
		pthread_join(thread, NULL);
		ours_destroy();
		reclaim_flush();
		adds[i] = r.adds;
		updates[i] = r.updates;
		longest[i] = r.longest;
	}
	snprintf(label, sizeof(label), "%s-adds", name);
	report(label, "per_s", median(adds, RUNS), GOAL_ADDS, true);
	snprintf(label, sizeof(label), "%s-updates", name);
	report(label, "per_s", median(updates, RUNS), GOAL_UPDATES, true);
	snprintf(label, sizeof(label), "%s-longest", name);
	report(label, "us", median(longest, RUNS), GOAL_LONGEST, false);
	free(b.dst4);
	free(b.dst6);
	free(b.at6);
}

static void run_row(const struct row *row)
{
	memset(&b, 0, sizeof(b));
	b.row = row;
	where = 0;
	seed = 88172645463325252ull;
	b.route = malloc(row->routes * sizeof(*b.route));
	if (!b.route)
		exit(1);
	for (unsigned i = 0; i < row->routes; i++)
		b.route[i] = random_route(row->v4, row->routes);
	run_lookups(row->name);
	if (row->rates > 0)
		run_rates(row->name);
	free(b.route);
}

/* Two tables of 100 routes each, as every VRF has them. */
static void run_vrfs(void)
{
	static const struct row small[] = { { "", true, 100, 0, 0, 0, 0 },
		{ "", false, 100, 0, 0, 0, 0 } };
	double bytes = 0;

	for (unsigned i = 0; i < 2 * VRFS; i++) {
		struct fib_usage usage;

		memset(&b, 0, sizeof(b));
		b.row = &small[i % 2];
		ours_create(give_back);
		for (unsigned k = 0; k < b.row->routes; k++) {
			struct route r = random_route(b.row->v4, b.row->routes);
			ours_set(&r, hop(k));
		}
		usage = ours_usage();
		bytes += (double)(usage.lookup_bytes + usage.control_bytes);
		ours_destroy();
	}
	report("fib-256-vrfs", "bytes", bytes, GOAL_VRFS, false);
}

static bool asked(const char *name, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], name, strlen(argv[i])))
			return true;
	return !argc;
}

int main(int argc, char **argv)
{
	static char *defaults[] = { "fibbench", "--in-memory", "--no-pci", "-l0",
		"--log-level=error", NULL };
	int used = argc > 1 ? rte_eal_init(argc, argv) : rte_eal_init(5, defaults);

	if (used < 0)
		return 1;
	argv += argc > used ? used + 1 : argc;
	argc -= argc > used ? used + 1 : argc;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (asked(rows[i].name, argc, argv))
			run_row(&rows[i]);
	if (asked("fib-256-vrfs", argc, argv))
		run_vrfs();
	rte_eal_cleanup();
	return exit_code;
}
