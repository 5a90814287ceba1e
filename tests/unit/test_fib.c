/* Forwarding tables against oracles that are too simple to be wrong: a list searched from end to
 * end, and for large tables a hash of (prefix, length) probed from the longest length down. Both
 * families run the same tests. */
#include <errno.h>
#include <stdlib.h>
#include "fib_table.h"

/* ---- oracles ---- */
struct list {
	struct {
		struct prefix prefix;
		uint32_t value;
	} at[2000];
	unsigned n;
};

static int list_find(const struct list *l, const struct prefix *p)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].prefix.len == p->len && !memcmp(l->at[i].prefix.bytes, p->bytes, 16))
			return (int)i;
	return -1;
}

static uint32_t list_lookup(const struct list *l, const uint8_t *addr)
{
	int len = -1;
	uint32_t value = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].prefix.len > len && covers(&l->at[i].prefix, addr)) {
			len = l->at[i].prefix.len;
			value = l->at[i].value;
		}
	return value;
}

#define HASH_SIZE (1u << 20)

/* Open addressing; a deleted prefix stays with value 0. */
struct hash {
	struct prefix prefix[HASH_SIZE];
	uint32_t value[HASH_SIZE];
	bool used[HASH_SIZE];
	unsigned of_len[129];
};

static uint32_t *hash_slot(struct hash *h, const struct prefix *p, bool make)
{
	uint64_t k[2], x;

	memcpy(k, p->bytes, 16);
	x = (k[0] * 0x9e3779b97f4a7c15ull ^ k[1]) + p->len;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
	for (unsigned i = (unsigned)(x >> 40);; i++) {
		i &= HASH_SIZE - 1;
		if (!h->used[i]) {
			if (!make)
				return NULL;
			h->used[i] = true;
			h->prefix[i] = *p;
			return &h->value[i];
		}
		if (h->prefix[i].len == p->len && !memcmp(h->prefix[i].bytes, p->bytes, 16))
			return &h->value[i];
	}
}

static uint32_t hash_lookup(struct hash *h, const uint8_t *addr, unsigned bits)
{
	for (int len = (int)bits; len >= 0; len--) {
		struct prefix p = { .len = (uint8_t)len };
		const uint32_t *value;

		if (!h->of_len[len])
			continue;
		memcpy(p.bytes, addr, 16);
		mask(p.bytes, (unsigned)len);
		value = hash_slot(h, &p, false);
		if (value && *value)
			return *value;
	}
	return 0;
}

/* ---- tests ---- */
static void check_list(
	const struct table *t, const struct list *l, const struct prefix *p, bool *ret_ok)
{
	uint8_t addr[8][16];
	uint32_t got[8];

	for (unsigned i = 0; i < 8; i++)
		near(i < 4 || !l->n ? p : &l->at[random_below(l->n)].prefix, t->bits, addr[i]);
	table_lookup(t, addr, got, 8, random_below(2));
	for (unsigned i = 0; i < 8; i++)
		*ret_ok = *ret_ok && got[i] == list_lookup(l, addr[i]);
}

/* grow: of 8 operations so many add, the rest delete. */
static void list_step(
	struct table *t, struct list *l, struct prefix *p, unsigned grow, bool *ret_ok)
{
	int at = list_find(l, p);
	uint32_t value = 1 + random_below(random_below(2) ? 3 : FIB_VALUE_MAX);

	if (random_below(8) >= grow) {
		if (l->n && random_below(8)) {
			at = (int)random_below(l->n);
			*p = l->at[at].prefix;
		}
		*ret_ok = *ret_ok && table_del(t, p) == (at < 0 ? -ENOENT : 0);
		if (at >= 0)
			l->at[at] = l->at[--l->n];
	} else if (at >= 0 || l->n < 2000) {
		struct prefix noisy = *p; /* host bits are ignored */

		for (unsigned bit = p->len; bit < t->bits; bit++)
			noisy.bytes[bit / 8] |= (uint8_t)(random_next() & (0x80 >> bit % 8));
		*ret_ok = *ret_ok && !table_set(t, &noisy, value);
		if (at < 0)
			at = (int)l->n++;
		l->at[at].prefix = *p;
		l->at[at].value = value;
	}
}

static void against_list(unsigned bits)
{
	struct list *l = calloc(1, sizeof(*l));
	struct table t = table_create(bits, retire_now);
	bool ok = true;

	seed = 4711 + bits;
	for (unsigned i = 0; i < 30000 && ok; i++) {
		struct prefix p = i / 7500 % 2 ? random_internet(bits) : random_nested(bits);

		list_step(&t, l, &p, i / 2500 % 2 ? 2 : 6, &ok);
		check_list(&t, l, &p, &ok);
	}
	CU_ASSERT(ok);
	CU_ASSERT_EQUAL(table_usage(&t).routes, l->n);
	while (l->n)
		CU_ASSERT_EQUAL(table_del(&t, &l->at[--l->n].prefix), 0);
	CU_ASSERT_EQUAL(table_usage(&t).routes, 0);
	table_destroy(&t);
	free(l);
}

static void against_list4(void)
{
	against_list(32);
}

static void against_list6(void)
{
	against_list(128);
}

static bool hash_step(
	struct table *t, struct hash *h, const struct prefix *p, bool add, uint64_t *n)
{
	uint32_t *value = hash_slot(h, p, add);
	bool known = value && *value;

	if (add) {
		uint32_t fresh = 1 + random_below(256);

		*n += !known;
		h->of_len[p->len] += !known;
		*value = fresh;
		return !table_set(t, p, fresh);
	}
	if (known) {
		*n -= 1;
		h->of_len[p->len]--;
		*value = 0;
	}
	return table_del(t, p) == (known ? 0 : -ENOENT);
}

/* 600,000 operations a family; the table passes the size at which its root changes several times.
 */
static void against_hash(unsigned bits)
{
	static const struct {
		unsigned ops, add; /* of 16 operations */
	} phase[] = { { 200000, 15 }, { 150000, 1 }, { 50000, 14 }, { 100000, 2 }, { 100000, 10 } };
	struct hash *h = calloc(1, sizeof(*h));
	struct prefix *known = calloc(1u << 18, sizeof(*known));
	struct table t = table_create(bits, retire_now);
	unsigned n_known = 0;
	uint64_t n = 0;
	bool ok = true;

	CU_ASSERT_FATAL(h && known);
	seed = 815 + bits;
	for (unsigned i = 0; i < sizeof(phase) / sizeof(phase[0]); i++)
		for (unsigned op = 0; op < phase[i].ops && ok; op++) {
			bool add = random_below(16) < phase[i].add;
			unsigned pick = random_below(n_known ? n_known : 1);
			struct prefix p = known[pick];
			uint8_t addr[4][16];
			uint32_t got[4];

			if (add && (!n_known || random_below(4))) {
				p = random_below(16) ? random_internet(bits) : random_nested(bits);
				if (n_known < 1u << 18)
					known[n_known++] = p;
			} else if (!add && n_known > 1) {
				known[pick] = known[--n_known];
			}
			ok = hash_step(&t, h, &p, add, &n);
			if (op % (bits / 16)) /* the oracle is slow */
				continue;
			near(&p, bits, addr[0]);
			near(&p, bits, addr[1]);
			near(&known[random_below(n_known)], bits, addr[2]);
			random_bytes(addr[3], bits);
			table_lookup(&t, addr, got, 4, op % 3);
			for (unsigned j = 0; j < 4; j++)
				ok = ok && got[j] == hash_lookup(h, addr[j], bits);
		}
	CU_ASSERT(ok);
	CU_ASSERT_EQUAL(table_usage(&t).routes, n);
	table_destroy(&t);
	free(known);
	free(h);
}

static void against_hash4(void)
{
	against_hash(32);
}

static void against_hash6(void)
{
	against_hash(128);
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
	};

	UNIT_SUITE("fib", tests);
	unit_fib_churn();
}
