/* The IPv6 forwarding table: a compressed trie (trie.c) whose root answers for 10 bits, for 16 once
 * it is large.
 *
 * As fib4.c, with more levels and fewer of them filled: a skip compares up to 128 bits at once, so
 * that a lone route costs one block however long it is. Levels end at bit 64, so no step needs bits
 * of both halves. Lookups go round by round: each round takes every packet that is not done one
 * block further and asks for the next. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "trie.h"

#define CHUNK 32u

struct fib6 {
	struct trie trie;
};

static const struct trie_shape shape = { .first = 10, .bits = 128, .skips = true };

struct fib6 *fib6_create(fib_retire_fn retire)
{
	struct fib6 *fib = aligned_alloc(alignof(struct fib6), sizeof(*fib));

	if (fib && trie_init(&fib->trie, &shape, retire)) {
		free(fib);
		return NULL;
	}
	return fib;
}

void fib6_destroy(struct fib6 *fib)
{
	if (!fib)
		return;
	trie_finish(&fib->trie);
	free(fib);
}

static uint64_t half(const uint8_t *p)
{
	uint64_t be;

	memcpy(&be, p, sizeof(be));
	return be64toh(be);
}

static struct trie_key key_of(const uint8_t *p)
{
	return (struct trie_key){ half(p), half(p + 8) };
}

int fib6_set(struct fib6 *fib, const uint8_t prefix[16], unsigned len, uint32_t value)
{
	struct trie_key key = key_of(prefix);

	return trie_set(&fib->trie, &key, len, value);
}

int fib6_del(struct fib6 *fib, const uint8_t prefix[16], unsigned len)
{
	struct trie_key key = key_of(prefix);

	return trie_del(&fib->trie, &key, len);
}

void fib6_usage(const struct fib6 *fib, struct fib_usage *ret_usage)
{
	trie_usage(&fib->trie, ret_usage);
}

/* One block further. bits: the half of the address that `depth` is in, from that bit on. */
struct walk {
	uint64_t bits;
	uint32_t word, depth;
};

static inline void walk_start(struct walk *w, uint64_t hi, const struct trie_root *root)
{
	w->bits = hi << root->bits;
	w->depth = root->bits;
	w->word = trie_load(&root->word[hi >> (64 - root->bits)]);
}

static inline void walk_step(struct walk *w, const struct trie *t, const uint8_t *addr)
{
	const struct trie_skip *skip = trie_at(t->base, w->word);
	unsigned len;

	if (!(w->word & TRIE_SKIP)) {
		const struct trie_node *node = (const struct trie_node *)skip;

		w->word = trie_word(node, trie_item(node, (uint32_t)(w->bits >> 58)));
		w->bits <<= TRIE_STRIDE;
		w->depth += TRIE_STRIDE;
		if (w->depth == 64)
			w->bits = half(addr + 8);
		return;
	}
	len = skip->miss_len & 0xff;
	if (len <= 64 ? (half(addr) ^ skip->hi) >> (64 - len)
		      : half(addr) != skip->hi || (half(addr + 8) ^ skip->lo[0]) >> (128 - len)) {
		w->word = TRIE_VALUE | skip->miss_len >> 8;
		return;
	}
	w->word = skip->hit;
	w->depth = len;
	if (len < 64)
		w->bits = half(addr) << len;
	else if (len < 128)
		w->bits = half(addr + 8) << (len - 64);
}

/* Short prefixes changed during the walk: once more, alone. Ends, unless they change again each
 * time. */
static uint32_t lookup_again(const struct trie *t, const uint8_t *addr)
{
	for (;;) {
		const uint32_t *top = trie_top(t);
		struct walk w;

		walk_start(&w, half(addr), trie_root(t));
		while (trie_is_ref(w.word))
			walk_step(&w, t, addr);
		w.word &= ~TRIE_VALUE;
		if (!w.word)
			w.word = top[half(addr) >> (64 - TRIE_TOP_BITS)];
		if (trie_top(t) == top)
			return w.word;
	}
}

/* What one lookup reads of its table, all of it from before the walk. */
struct view {
	const struct trie *trie;
	const struct trie_root *root;
	const uint32_t *top;
};

static inline struct view view_of(const struct fib6 *fib)
{
	const uint32_t *top = trie_top(&fib->trie);

	return (struct view){ &fib->trie, trie_root(&fib->trie), top };
}

static inline void ask(const struct trie *t, uint32_t word)
{
	const char *at = trie_at(t->base, word);

	__builtin_prefetch(at);
	__builtin_prefetch(at + 24);
}

/* mixed: the packets are in different tables. Constant where this is inlined: one table's view
 * stays in registers. */
static inline __attribute__((always_inline)) void lookup_chunk(const struct fib6 *const *fib,
	const uint8_t *const *addr, uint32_t *ret_value, unsigned n, const bool mixed)
{
	const struct view one = view_of(fib[0]);
	struct view view[CHUNK];
	struct walk walk[CHUNK];
	uint8_t active[CHUNK];
	unsigned n_active = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view_of(fib[i]) : one;

		if (mixed)
			view[i] = v;
		__builtin_prefetch(
			(const void *)&v.root->word[half(addr[i]) >> (64 - v.root->bits)]);
	}
	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view[i] : one;

		walk_start(&walk[i], half(addr[i]), v.root);
		ask(v.trie, walk[i].word);
		active[n_active] = (uint8_t)i;
		n_active += trie_is_ref(walk[i].word);
	}
	while (n_active) {
		unsigned left = 0;

		for (unsigned j = 0; j < n_active; j++) {
			unsigned i = active[j];
			const struct view v = mixed ? view[i] : one;

			walk_step(&walk[i], v.trie, addr[i]);
			ask(v.trie, walk[i].word);
			active[left] = (uint8_t)i;
			left += trie_is_ref(walk[i].word);
		}
		n_active = left;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct view v = mixed ? view[i] : one;

		ret_value[i] = walk[i].word & ~TRIE_VALUE;
		if (ret_value[i])
			continue;
		ret_value[i] = v.top[half(addr[i]) >> (64 - TRIE_TOP_BITS)];
		if (trie_top(v.trie) != v.top)
			ret_value[i] = lookup_again(v.trie, addr[i]);
	}
}

void fib6_lookup_same(
	const struct fib6 *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; addr += chunk, ret_value += chunk, n -= chunk) {
		chunk = n < CHUNK ? n : CHUNK;
		lookup_chunk(&fib, addr, ret_value, chunk, false);
	}
}

void fib6_lookup_bulk(
	const struct fib6 *const *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n)
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
