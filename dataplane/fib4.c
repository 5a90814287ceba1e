/* The IPv4 forwarding table: a compressed trie (trie.c) whose root answers for 12 bits, for 18 once
 * it is large.
 *
 * Control sets and deletes; workers look up in bulk. A lookup is one word of the root table and,
 * for what is longer, one node for every 6 bits: two dependent loads for a /24. The loads of one
 * packet depend on each other, those of different packets do not: so each step is done for all
 * before the next, and asks for the next one's cache lines. Addresses that the walk finds nothing
 * for belong to a short prefix: see `top` in trie.c. */
#include <stdlib.h>
#include "trie.h"

#define CHUNK 32u

struct fib4 {
	struct trie trie;
};

static const struct trie_shape shape = { .first = 12, .bits = 32, .skips = false };

struct fib4 *fib4_create(fib_retire_fn retire)
{
	struct fib4 *fib = aligned_alloc(alignof(struct fib4), sizeof(*fib));

	if (fib && trie_init(&fib->trie, &shape, retire)) {
		free(fib);
		return NULL;
	}
	return fib;
}

void fib4_destroy(struct fib4 *fib)
{
	if (!fib)
		return;
	trie_finish(&fib->trie);
	free(fib);
}

static struct trie_key key_of(const uint8_t *p)
{
	uint32_t addr = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

	return (struct trie_key){ (uint64_t)addr << 32, 0 };
}

int fib4_set(struct fib4 *fib, const uint8_t prefix[4], unsigned len, uint32_t value)
{
	struct trie_key key = key_of(prefix);

	return trie_set(&fib->trie, &key, len, value);
}

int fib4_del(struct fib4 *fib, const uint8_t prefix[4], unsigned len)
{
	struct trie_key key = key_of(prefix);

	return trie_del(&fib->trie, &key, len);
}

void fib4_usage(const struct fib4 *fib, struct fib_usage *ret_usage)
{
	trie_usage(&fib->trie, ret_usage);
}

/* bits: what is left of the address, left-aligned. */
static uint32_t walk(const struct trie *t, uint32_t word, uint64_t bits)
{
	while (word & TRIE_NODE) {
		word = trie_node_word(t, word, (unsigned)(bits >> 58));
		bits <<= TRIE_STRIDE;
	}
	return word;
}

/* Short prefixes changed during the walk: once more, alone. Ends, unless they change again each
 * time. */
static uint32_t lookup_again(const struct trie *t, uint32_t addr)
{
	for (;;) {
		const uint32_t *top = trie_top(t);
		const struct trie_root *root = trie_root(t);
		uint32_t word = walk(t, trie_load(&root->word[addr >> (32 - root->bits)]),
			(uint64_t)addr << 32 << root->bits);

		if (!word)
			word = top[addr >> (32 - TRIE_TOP_BITS)];
		if (trie_top(t) == top)
			return word;
	}
}

/* What one lookup reads of its table, all of it from before the walk. */
struct view {
	const struct trie *trie;
	const struct trie_root *root;
	const uint32_t *top;
};

static inline struct view view_of(const struct fib4 *fib)
{
	const uint32_t *top = trie_top(&fib->trie);

	return (struct view){ &fib->trie, trie_root(&fib->trie), top };
}

/* mixed: the packets are in different tables. Constant where this is inlined: one table's view
 * stays in registers. */
static inline __attribute__((always_inline)) void lookup_chunk(const struct fib4 *const *fib,
	const uint32_t *addr, uint32_t *ret_value, unsigned n, const bool mixed)
{
	const struct view one = view_of(fib[0]);
	struct view view[CHUNK];
	uint32_t word[CHUNK];

	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view_of(fib[i]) : one;

		if (mixed)
			view[i] = v;
		__builtin_prefetch((const void *)&v.root->word[addr[i] >> (32 - v.root->bits)]);
	}
	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view[i] : one;
		const char *next;

		word[i] = trie_load(&v.root->word[addr[i] >> (32 - v.root->bits)]);
		next = trie_at(v.trie, word[i] & TRIE_NODE ? word[i] : 0);
		__builtin_prefetch(next);
		__builtin_prefetch(next + 32); /* most nodes end there */
	}
	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view[i] : one;
		uint32_t value = walk(v.trie, word[i], (uint64_t)addr[i] << 32 << v.root->bits);

		if (!value) {
			value = v.top[addr[i] >> (32 - TRIE_TOP_BITS)];
			if (trie_top(v.trie) != v.top)
				value = lookup_again(v.trie, addr[i]);
		}
		ret_value[i] = value;
	}
}

void fib4_lookup_same(const struct fib4 *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; addr += chunk, ret_value += chunk, n -= chunk) {
		chunk = n < CHUNK ? n : CHUNK;
		lookup_chunk(&fib, addr, ret_value, chunk, false);
	}
}

void fib4_lookup_bulk(
	const struct fib4 *const *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	while (n) {
		unsigned chunk = n < CHUNK ? n : CHUNK;
		bool mixed = false;

		for (unsigned i = 1; i < chunk; i++)
			mixed |= fib[i] != fib[0];
		if (mixed)
			lookup_chunk(fib, addr, ret_value, chunk, true);
		else
			lookup_chunk(fib, addr, ret_value, chunk, false);
		fib += chunk;
		addr += chunk;
		ret_value += chunk;
		n -= chunk;
	}
}
