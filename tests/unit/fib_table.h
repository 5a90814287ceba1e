/* What the tests of forwarding tables share: one face for both families, random prefixes, addresses
 * near them. An IPv4 prefix is the first four of sixteen bytes. Used by the unit tests, by the long
 * ones (tests/fib/) and under ThreadSanitizer (tests/tsan/). */
#ifndef LINTAS_FIB_TABLE_H
#define LINTAS_FIB_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "dataplane/fib.h"

struct prefix {
	uint8_t bytes[16];
	uint8_t len;
};

/* ---- one face for both families ---- */
struct table {
	unsigned bits;
	struct fib4 *v4;
	struct fib6 *v6;
};

static inline void retire_now(void (*fn)(void *ptr), void *ptr)
{
	fn(ptr);
}

static inline struct table table_create(unsigned bits, fib_retire_fn retire)
{
	struct table t = { .bits = bits };

	if (bits == 32)
		t.v4 = fib4_create(retire);
	else
		t.v6 = fib6_create(retire);
	if (!t.v4 && !t.v6)
		abort();
	return t;
}

static inline void table_destroy(struct table *t)
{
	fib4_destroy(t->v4);
	fib6_destroy(t->v6);
}

static inline int table_set(struct table *t, const struct prefix *p, uint32_t value)
{
	return t->v4 ? fib4_set(t->v4, p->bytes, p->len, value)
		     : fib6_set(t->v6, p->bytes, p->len, value);
}

static inline int table_del(struct table *t, const struct prefix *p)
{
	return t->v4 ? fib4_del(t->v4, p->bytes, p->len) : fib6_del(t->v6, p->bytes, p->len);
}

static inline uint32_t host_order(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

#define BULK 64u

/* At most BULK addresses, all in one table as the fast path's straight line asks, or (mixed) each
 * in a table of its own. */
static inline void table_lookup(
	const struct table *t, uint8_t (*addr)[16], uint32_t *ret_value, unsigned n, bool mixed)
{
	const struct fib4 *v4[BULK];
	const struct fib6 *v6[BULK];
	const uint8_t *addr6[BULK];
	uint32_t addr4[BULK];

	for (unsigned i = 0; i < n; i++) {
		v4[i] = t->v4;
		v6[i] = t->v6;
		addr4[i] = host_order(addr[i]);
		addr6[i] = addr[i];
	}
	if (t->v4 && mixed)
		fib4_lookup_bulk(v4, addr4, ret_value, n);
	else if (t->v4)
		fib4_lookup_same(t->v4, addr4, ret_value, n);
	else if (mixed)
		fib6_lookup_bulk(v6, addr6, ret_value, n);
	else
		fib6_lookup_same(t->v6, addr6, ret_value, n);
}

static inline struct fib_usage table_usage(const struct table *t)
{
	struct fib_usage usage;

	if (t->v4)
		fib4_usage(t->v4, &usage);
	else
		fib6_usage(t->v6, &usage);
	return usage;
}

/* ---- random prefixes ---- */
static uint64_t seed; /* each test sets its own */

static inline uint64_t random_next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1dull;
}

static inline unsigned random_below(unsigned n)
{
	return (unsigned)((random_next() >> 32) * n >> 32);
}

static inline void mask(uint8_t *bytes, unsigned len)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = len > 8 * i ? len - 8 * i : 0;

		if (keep < 8)
			bytes[i] &= (uint8_t)(0xff00 >> keep);
	}
}

static inline void random_bytes(uint8_t *bytes, unsigned bits)
{
	uint64_t r[2] = { random_next(), random_next() };

	memset(bytes, 0, 16);
	memcpy(bytes, r, bits / 8);
}

/* Lengths about as the global tables have them, addresses anywhere that is announced. */
static inline struct prefix random_internet(unsigned bits)
{
	static const uint8_t len4[16] = { 24, 24, 24, 24, 24, 24, 24, 24, 24, 22, 22, 23, 23, 20,
		19, 16 };
	static const uint8_t len6[16] = { 48, 48, 48, 48, 48, 48, 48, 44, 44, 40, 36, 32, 32, 29,
		46, 64 };
	struct prefix p;
	unsigned rare = random_below(50);

	random_bytes(p.bytes, bits);
	if (bits == 128)
		p.bytes[0] = (uint8_t)(0x20 | (p.bytes[0] & 0x1f));
	p.len = bits == 32 ? len4[random_below(16)] : len6[random_below(16)];
	if (!rare)
		p.len = (uint8_t)(8 + random_below(bits - 7));
	mask(p.bytes, p.len);
	return p;
}

/* Any length, and so near to each other that everything covers, splits and merges. */
static inline struct prefix random_nested(unsigned bits)
{
	static const uint8_t edges[] = { 0, 1, 11, 12, 13, 31, 32 };
	static const uint8_t edges6[] = { 0, 1, 10, 12, 13, 63, 64, 65, 66, 127, 128 };
	struct prefix p = { .bytes = { 0x2a, 0x10, 0x50, 0x77, 0xc0, 0x01, 0x55, 0xaa, 0x3c, 0,
				    0xff, 9, 8, 7, 6, 5 } };

	for (unsigned flips = 1 + random_below(2); flips; flips--) {
		unsigned bit = random_below(bits);

		p.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	}
	p.len = (uint8_t)random_below(bits + 1);
	if (!random_below(4))
		p.len = bits == 32 ? edges[random_below(sizeof(edges))]
				   : edges6[random_below(sizeof(edges6))];
	mask(p.bytes, bits == 32 && p.len > 32 ? 32 : p.len);
	return p;
}

/* As a cloud's: any length from a site's to a host's, in a few blocks; one of them so dense that
 * hardly an address is free, and (IPv6) one of sites with one subnet each. */
static inline struct prefix random_cloud(unsigned bits)
{
	unsigned block = random_below(8), site = bits == 32 ? 14 : 36;
	struct prefix p;

	random_bytes(p.bytes, bits);
	p.bytes[0] = bits == 32 ? 10 : 0xfd;
	p.bytes[1] = (uint8_t)(block * 29);
	if (bits == 128)
		p.bytes[2] = p.bytes[3] = 0x40;
	p.len = (uint8_t)(site + random_below(bits == 32 ? 19 : 30));
	if (!block) {
		unsigned dense = bits / 8 - 2 - random_below(bits == 32 ? 1 : 3) * 2;

		memset(p.bytes + 2, 7, dense - 2);
		p.len = (uint8_t)(8 * dense + random_below(bits + 1 - 8 * dense));
	} else if (block == 1 && bits == 128) {
		bool site_itself = random_below(2);

		p.bytes[4] = (uint8_t)(random_below(24) << 2);
		p.bytes[5] = site_itself ? 0 : 5;
		memset(p.bytes + 6, 1, 2);
		p.len = site_itself ? 38 : 64;
	}
	mask(p.bytes, p.len);
	return p;
}

/* An address in the prefix, at its ends, or just outside. */
static inline void near(const struct prefix *p, unsigned bits, uint8_t *addr)
{
	uint8_t noise[16];
	unsigned how = random_below(4);

	random_bytes(noise, bits);
	memcpy(addr, p->bytes, 16);
	if (how < 2)
		for (unsigned bit = p->len; bit < bits; bit++)
			if (how == 1 || noise[bit / 8] & 0x80 >> bit % 8)
				addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (how == 2 && p->len)
		addr[(p->len - 1) / 8] ^= (uint8_t)(0x80 >> (p->len - 1) % 8);
	if (bits == 32)
		memset(addr + 4, 0, 12);
}

static inline bool covers(const struct prefix *p, const uint8_t *addr)
{
	uint8_t cut[16];

	memcpy(cut, addr, 16);
	mask(cut, p->len);
	return !memcmp(cut, p->bytes, 16);
}

/* ---- what is run with them: NULL, or what went wrong ---- */
/* fib_diff.c: random updates and lookups against a list of at most 2,000 prefixes. */
const char *fib_against_list(unsigned bits, unsigned updates);
/* fib_diff.c: up to `most` prefixes, then down, up and down again, against a hash. */
const char *fib_against_hash(unsigned bits, unsigned most);
/* fib_churn.c: updates while threads check every answer. */
const char *fib_churn(unsigned bits, unsigned updates);

#endif
