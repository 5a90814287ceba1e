/* What fib4.c and fib6.c share: the compressed trie that workers walk and control edits (trie.c).
 *
 * A word is a value (0 = nothing more specific than a short prefix), or TRIE_NODE and the block of
 * a node; with TRIE_NARROW or TRIE_SKIP, of a node of values that fit 16 bits, or of a skip. Words
 * are stored and loaded atomically; all else in a block is written before a word that names it and
 * not changed until no reader can hold it. */
#ifndef LINTAS_TRIE_H
#define LINTAS_TRIE_H

#include <stdalign.h>
#include <stdatomic.h>
#include "arena.h"
#include "fib.h"

#define TRIE_NODE     (1u << 31)
#define TRIE_SKIP     (1u << 30)
#define TRIE_NARROW   (1u << 29)
#define TRIE_BLOCK    (TRIE_NARROW - 1)
#define TRIE_STRIDE   6u
#define TRIE_SLOTS    (1u << TRIE_STRIDE)
#define TRIE_TOP_BITS 12u /* prefixes up to this length are in `top` */

/* 64 slots; equal neighbours share a word: bit s of runs = slot s starts a new one. */
struct trie_node {
	uint64_t runs;
	_Atomic uint32_t word[];
};

/* The same, without children and with small values only: half the size, never changed. */
struct trie_narrow {
	uint64_t runs;
	uint16_t word[];
};

/* "The first len bits of the address are these": hit, else miss. hit may be a node; it decides from
 * bit len. */
struct trie_skip {
	uint64_t hi;
	uint32_t hit;
	uint32_t miss_len; /* miss << 8 | len */
	uint64_t lo[];	   /* when len > 64 */
};

/* Indexed by the first `bits` bits. */
struct trie_root {
	uint32_t bits;
	uint32_t unused;
	_Atomic uint32_t word[];
};

struct trie_key { /* left-aligned; IPv4 is the upper half of hi */
	uint64_t hi, lo;
};

/* What differs between the families. */
struct trie_shape {
	unsigned first; /* bits of a small table's root; a large one's are TRIE_STRIDE more */
	unsigned bits;	/* of an address */
	bool skips;	/* lone children and routes hang on a skip, however deep */
};

struct trie {
	/* [published] */
	alignas(64) const struct trie_root *_Atomic root;
	const uint32_t *_Atomic top; /* values of prefixes up to TRIE_TOP_BITS */
	const char *base;
	/* control only */
	alignas(64) const struct trie_shape *shape;
	struct arena *lookup, *control;
	fib_retire_fn retire;
	uint32_t *roots; /* control nodes at depth shape->first, by the bits before */
	uint32_t *brief; /* short prefixes: value of (1 << len | bits); NULL while there is none */
	uint32_t *old;	 /* words of the blocks this update replaces */
	size_t n_old, old_max;
	uint64_t n_brief, n_long; /* routes */
	bool large;
};

int trie_init(struct trie *t, const struct trie_shape *shape, fib_retire_fn retire);
void trie_finish(struct trie *t);
/* key: host bits zero. 0 or -ENOMEM, table unchanged. */
int trie_set(struct trie *t, const struct trie_key *key, unsigned len, uint32_t value);
/* 0, -ENOENT or -ENOMEM, table unchanged. */
int trie_del(struct trie *t, const struct trie_key *key, unsigned len);
void trie_usage(const struct trie *t, struct fib_usage *ret_usage);

/* Readers. */
static inline const void *trie_at(const struct trie *t, uint32_t word)
{
	return t->base + (size_t)(word & TRIE_BLOCK) * ARENA_UNIT;
}

static inline uint32_t trie_load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_acquire);
}

/* The word of a slot; `word` is a node's, wide or narrow. */
static inline uint32_t trie_node_word(const struct trie *t, uint32_t word, unsigned slot)
{
	const struct trie_node *n = trie_at(t, word);
	unsigned at = (unsigned)__builtin_popcountll(n->runs << (TRIE_SLOTS - 1 - slot)) - 1;

	if (word & TRIE_NARROW)
		return ((const struct trie_narrow *)n)->word[at];
	return trie_load(&n->word[at]);
}

static inline const struct trie_root *trie_root(const struct trie *t)
{
	return atomic_load_explicit(
		(const struct trie_root *_Atomic *)&t->root, memory_order_acquire);
}

static inline const uint32_t *trie_top(const struct trie *t)
{
	return atomic_load_explicit((const uint32_t *_Atomic *)&t->top, memory_order_acquire);
}

#endif
