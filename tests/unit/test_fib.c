/* Forwarding tables: edges, refusals, memory, and random updates against simple oracles
 * (fib_diff.c; at length in tests/fib/). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "fib_table.h"
#include "unit.h"

static void passes(const char *bad)
{
	if (bad)
		puts(bad);
	CU_ASSERT(!bad);
}

static void against_list4(void)
{
	passes(fib_against_list(32, 60000));
}

static void against_list6(void)
{
	passes(fib_against_list(128, 60000));
}

static void against_hash4(void)
{
	passes(fib_against_hash(32, 100000));
}

static void against_hash6(void)
{
	passes(fib_against_hash(128, 60000));
}

static void churn4(void)
{
	passes(fib_churn(32, 20000));
}

static void churn6(void)
{
	passes(fib_churn(128, 20000));
}

static void edges(void)
{
	struct table t = table_create(32, retire_now), t6 = table_create(128, retire_now);
	const struct prefix any = { .len = 0 }, half = { .bytes = { 0x80 }, .len = 1 };
	const struct prefix pair = { .bytes = { 192, 0, 2, 2 }, .len = 31 };
	const struct prefix host = { .bytes = { 192, 0, 2, 3 }, .len = 32 };
	const struct prefix last = { .bytes = { 255, 255, 255, 255 }, .len = 32 };
	struct prefix pair6 = { .bytes = { 0x20, 1, 0xd, 0xb8, [15] = 2 }, .len = 127 },
		      host6 = pair6;
	uint8_t addr[6][16] = { { 1 }, { 192, 0, 2, 1 }, { 192, 0, 2, 2 }, { 192, 0, 2, 3 },
		{ 192, 0, 2, 4 }, { 255, 255, 255, 255 } };
	uint8_t addr6[4][16];
	uint32_t got[6];

	CU_ASSERT(!table_set(&t, &any, 1) && !table_set(&t, &half, 2) && !table_set(&t, &pair, 3));
	CU_ASSERT(!table_set(&t, &host, FIB_VALUE_MAX) && !table_set(&t, &last, 5));
	table_lookup(&t, addr, got, 6, false);
	CU_ASSERT(got[0] == 1 && got[1] == 2 && got[2] == 3 && got[3] == FIB_VALUE_MAX);
	CU_ASSERT(got[4] == 2 && got[5] == 5);
	CU_ASSERT(
		!table_del(&t, &half) && !table_del(&t, &host) && table_del(&t, &host) == -ENOENT);
	table_lookup(&t, addr, got, 6, false);
	CU_ASSERT(got[0] == 1 && got[1] == 1 && got[2] == 3 && got[3] == 3 && got[4] == 1 &&
		  got[5] == 5);

	host6.len = 128;
	host6.bytes[15] = 3;
	for (unsigned i = 0; i < 4; i++) {
		memcpy(addr6[i], pair6.bytes, 16);
		addr6[i][15] = (uint8_t)(1 + i);
	}
	CU_ASSERT(!table_set(&t6, &any, 1) && !table_set(&t6, &pair6, 2) &&
		  !table_set(&t6, &host6, 3));
	table_lookup(&t6, addr6, got, 4, false);
	CU_ASSERT(got[0] == 1 && got[1] == 2 && got[2] == 3 && got[3] == 1);
	CU_ASSERT(!table_del(&t6, &any) && !table_del(&t6, &pair6));
	table_lookup(&t6, addr6, got, 4, false);
	CU_ASSERT(got[0] == 0 && got[1] == 0 && got[2] == 3 && got[3] == 0);
	table_destroy(&t);
	table_destroy(&t6);
}

static void refuses(void)
{
	struct table t = table_create(32, retire_now), t6 = table_create(128, retire_now);
	struct prefix p = { .bytes = { 10 }, .len = 33 }, p6 = { .bytes = { 0xfd }, .len = 129 };

	CU_ASSERT_EQUAL(table_set(&t, &p, 1), -EINVAL);
	CU_ASSERT_EQUAL(table_set(&t6, &p6, 1), -EINVAL);
	CU_ASSERT_EQUAL(table_del(&t, &p), -ENOENT);
	CU_ASSERT_EQUAL(table_del(&t6, &p6), -ENOENT);
	for (p.len = 0; p.len <= 32; p.len += 8) {
		CU_ASSERT_EQUAL(table_set(&t, &p, 0), -EINVAL);
		CU_ASSERT_EQUAL(table_set(&t, &p, FIB_VALUE_MAX + 1), -EINVAL);
		CU_ASSERT_EQUAL(table_del(&t, &p), -ENOENT);
	}
	CU_ASSERT_EQUAL(table_usage(&t).routes, 0);
	table_destroy(&t);
	table_destroy(&t6);
	fib4_destroy(NULL);
	fib6_destroy(NULL);
}

/* A packet is looked up in its own table, whatever the number of packets. */
static void many_tables(void)
{
	enum { TABLES = 7, N = 333 };
	struct fib4 *fib[TABLES];
	const struct fib4 *of[N];
	uint32_t addr[N], got[N];
	bool ok = true;

	for (unsigned i = 0; i < TABLES; i++) {
		uint8_t prefix[4] = { 10, (uint8_t)i, 0, 0 };

		fib[i] = fib4_create(retire_now);
		CU_ASSERT_FATAL(fib[i] != NULL);
		CU_ASSERT_EQUAL(fib4_set(fib[i], prefix, 0, 1 + i), 0);
		CU_ASSERT_EQUAL(fib4_set(fib[i], prefix, 16, 100 + i), 0);
	}
	for (unsigned n = 0; n <= N; n += 111) {
		for (unsigned i = 0; i < n; i++) {
			of[i] = fib[i % TABLES];
			addr[i] = 10u << 24 | i / TABLES % TABLES << 16 | 1;
			got[i] = 0xdead;
		}
		fib4_lookup_bulk(of, addr, got, n);
		for (unsigned i = 0; i < n; i++)
			ok = ok &&
			     got[i] == i % TABLES + (i / TABLES % TABLES == i % TABLES ? 100 : 1);
	}
	CU_ASSERT(ok);
	for (unsigned i = 0; i < TABLES; i++)
		fib4_destroy(fib[i]);
}

/* The same n routes each time. */
static void memory_fill(struct table *t, unsigned n, bool del)
{
	bool ok = true;

	seed = 99;
	for (unsigned i = 0; i < n; i++) {
		struct prefix p = random_internet(t->bits);

		if (del)
			table_del(t, &p); /* -ENOENT where one came twice */
		else
			ok = ok && !table_set(t, &p, 1 + i % 251);
	}
	CU_ASSERT(ok);
}

/* 256 VRFs of 100 routes a family, control's copy included, take 64 MB at most. */
static void memory_small(void)
{
	uint64_t bytes = 0;

	for (unsigned bits = 32; bits <= 128; bits += 96) {
		struct table t = table_create(bits, retire_now);

		memory_fill(&t, 100, false);
		bytes += 256 * (table_usage(&t).lookup_bytes + table_usage(&t).control_bytes);
		table_destroy(&t);
	}
	CU_ASSERT(bytes <= 64u << 20);
}

/* 16 bytes of lookup structure a route are the goal for 1 M; what routes leave behind is used
 * again. */
static void memory_large(void)
{
	struct table t4 = table_create(32, retire_now), t6 = table_create(128, retire_now);
	uint64_t full;

	memory_fill(&t4, 1000000, false);
	CU_ASSERT(table_usage(&t4).routes > 900000);
	CU_ASSERT(table_usage(&t4).lookup_bytes <= 16u << 20);
	table_destroy(&t4);

	memory_fill(&t6, 100000, false);
	full = table_usage(&t6).lookup_bytes;
	CU_ASSERT(full <= 6u << 20);
	for (unsigned i = 0; i < 3; i++) {
		memory_fill(&t6, 100000, true);
		CU_ASSERT_EQUAL(table_usage(&t6).routes, 0);
		memory_fill(&t6, 100000, false);
	}
	CU_ASSERT(table_usage(&t6).lookup_bytes <= full + full / 4);
	table_destroy(&t6);
}

void unit_fib(void)
{
	static const struct unit_test tests[] = {
		{ "edges", edges },
		{ "refuses", refuses },
		{ "many_tables", many_tables },
		{ "against_list4", against_list4 },
		{ "against_list6", against_list6 },
		{ "against_hash4", against_hash4 },
		{ "against_hash6", against_hash6 },
		{ "memory_small", memory_small },
		{ "memory_large", memory_large },
		{ "churn4", churn4 },
		{ "churn6", churn6 },
	};

	UNIT_SUITE("fib", tests);
}
