/* What fib4.c and fib6.c share: the compressed trie that workers walk and control edits (trie.c).
 *
 * A word is TRIE_VALUE and a value; or the block of a node, with TRIE_LIST of a list, with
 * TRIE_SKIP of a skip; or 0: nothing more specific than a short prefix. Words are stored and loaded
 * atomically; all else in a block is written before a word that names it and not changed until no
 * reader can hold it. Block 0 reads as a node of nothing, and each value has a node that says it
 * for all slots: so a reader may take every word of a root table for a node's, without looking. */
#ifndef LINTAS_TRIE_H
#define LINTAS_TRIE_H

#include <stdalign.h>
#include <emmintrin.h>
#include <stdatomic.h>
#include "arena.h"
#include "fib.h"

#define TRIE_VALUE	(1u << 31)
#define TRIE_SKIP	(1u << 30)
#define TRIE_LIST	(1u << 29)
#define TRIE_BLOCK	((1u << 27) - 1)
#define TRIE_SIDE	0x8000u
#define TRIE_STRIDE	6u
#define TRIE_SLOTS	(1u << TRIE_STRIDE)
#define TRIE_GROUP	16u /* bits of a list; IPv6 levels end where one ends */
#define TRIE_RANGES	32u /* of a list, at most */
#define TRIE_TOP_BITS	12u /* prefixes up to this length are in `top` */
#define TRIE_LEAF_BYTES 16u /* of a node that says one value for all slots */

/* 64 slots; equal neighbours share an item: bit s of ends = slot s is the last of its item. The
 * items come from the last slot's to the first's; slot 63's end is not marked. An item is a value
 * below TRIE_SIDE, 0 = nothing; or TRIE_SIDE | k: the k-th word before the node, k from 1 on, which
 * is a child or a larger value. */
struct trie_node {
	uint64_t ends;
	uint16_t item[];
};

/* 16 bits at once, where they tell few ranges apart: at[0] to at[n - 2] say where each but the
 * first begins, in order; then come n items. Readers read TRIE_RANGES numbers, whatever n is. */
struct trie_list {
	uint16_t n;
	uint16_t at[];
};

/* "The first len bits of the address are these": hit, a word, which decides from bit len; else
 * miss, a value. */
struct trie_skip {
	uint64_t hi;
	uint32_t hit;
	uint32_t miss_len; /* miss << 8 | len */
	uint64_t lo[];	   /* when len > 64 */
};

/* Indexed by the first `bits` bits. */
struct trie_root {
	uint32_t bits;
	_Atomic uint32_t near; /* so few routes that all is in the nearest caches: no need to ask */
	_Atomic uint32_t word[];
};

struct trie_key { /* left-aligned; IPv4 is the upper half of hi */
	uint64_t hi, lo;
};

/* What differs between the families. */
struct trie_shape {
	unsigned first; /* bits of a small table's root; a large one's are TRIE_STRIDE more */
	unsigned bits;	/* of an address */
	bool grouped;	/* lists, skips, and levels that end every TRIE_GROUP bits */
};

struct trie {
	/* [published] */
	alignas(64) const struct trie_root *_Atomic root;
	const uint32_t *_Atomic top; /* values of prefixes up to TRIE_TOP_BITS */
	/* never changes */
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
	uint64_t n_leaves;	  /* nodes of one value for all slots */
	uint32_t next;		  /* the large root table, while it is being made ready */
	size_t next_bytes;	  /* of it are zero */
	bool large;
};

struct trie *trie_create(
	const struct trie_shape *shape, fib_retire_fn retire); /* NULL: no memory */
void trie_destroy(struct trie *t);			       /* NULL is fine */
/* key: host bits zero. 0 or -ENOMEM, table unchanged. */
int trie_set(struct trie *t, const struct trie_key *key, unsigned len, uint32_t value);
/* 0, -ENOENT or -ENOMEM, table unchanged. */
int trie_del(struct trie *t, const struct trie_key *key, unsigned len);
void trie_usage(const struct trie *t, struct fib_usage *ret_usage);

/* Readers. */
static inline const void *trie_at(const char *base, uint32_t word)
{
	return base + (size_t)(word & TRIE_BLOCK) * ARENA_UNIT;
}

/* The same for a word without flags. */
static inline const struct trie_node *trie_node(const char *base, uint32_t word)
{
	return (const struct trie_node *)(base + (size_t)word * ARENA_UNIT);
}

static inline uint32_t trie_load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_acquire);
}

/* slot: its lower 6 bits count. */
static inline uint16_t trie_item(const struct trie_node *n, uint32_t slot)
{
	return n->item[__builtin_popcountll(n->ends >> (slot & (TRIE_SLOTS - 1)))];
}

/* Of a node or a list. */
static inline _Atomic uint32_t *trie_side(const void *node, uint16_t item)
{
	return (_Atomic uint32_t *)(uintptr_t)node - (item & (TRIE_SIDE - 1));
}

static inline uint32_t trie_word(const void *node, uint16_t item)
{
	return item & TRIE_SIDE ? trie_load(trie_side(node, item)) : TRIE_VALUE | item;
}

/* A word that leads on. */
static inline bool trie_is_ref(uint32_t word)
{
	return word - 1 < TRIE_VALUE - 1;
}

/* The item of the last range that begins at or before key. */
static inline uint16_t trie_list_item(const struct trie_list *l, uint16_t key)
{
#if defined(__SANITIZE_THREAD__) /* nothing is read that does not belong to the list */
	unsigned more = 0;

	while (more < l->n - 1u && l->at[more] <= key)
		more++;
#else
	const __m128i *from = (const __m128i *)l;
	const __m128i k = _mm_set1_epi16((int16_t)key), zero = _mm_setzero_si128();
	__m128i begun[4]; /* number <= key: all ones */
	uint64_t mask;
	unsigned more;

	for (unsigned i = 0; i < 4; i++)
		begun[i] = _mm_cmpeq_epi16(_mm_subs_epu16(_mm_loadu_si128(from + i), k), zero);
	mask = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(begun[0], begun[1])) |
	       (uint64_t)_mm_movemask_epi8(_mm_packs_epi16(begun[2], begun[3])) << 16;
	mask &= (1ull << l->n) - 2; /* n itself is the first number */
	more = (unsigned)__builtin_popcountll(mask);
#endif
	return l->at[l->n - 1u + more];
}

/* Bit i: item i is not a value: 0, or a word at the side. n <= 64; all 64 are read. */
static inline uint64_t trie_odd(const uint16_t *item, unsigned n)
{
	uint64_t odd = 0;

	for (unsigned i = 0; i < n; i += 16) {
		const __m128i *at = (const __m128i *)(item + i), one = _mm_set1_epi16(1);
		__m128i signs = _mm_packs_epi16(_mm_sub_epi16(_mm_load_si128(at), one),
			_mm_sub_epi16(_mm_load_si128(at + 1), one));

		odd |= (uint64_t)_mm_movemask_epi8(signs) << i;
	}
	return odd & ~0ull >> (64 - n);
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

/* What one lookup reads of its table, all of it from before the walk. */
struct trie_view {
	const struct trie *trie;
	const char *base;
	const uint32_t *top;
	const _Atomic uint32_t *root;
	unsigned bits; /* of the root */
	bool near;
};

static inline struct trie_view trie_view(const struct trie *t)
{
	const uint32_t *top = trie_top(t);
	const struct trie_root *root = trie_root(t);
	bool near = atomic_load_explicit((_Atomic uint32_t *)&root->near, memory_order_relaxed);

	return (struct trie_view){ t, t->base, top, root->word, root->bits, near };
}

/* Only a short prefix covers the address that begins with these bits: its value. false when short
 * prefixes changed during the walk: once more with a new view then, until they do not. */
static inline bool trie_brief(const struct trie_view *v, uint32_t first_bits, uint32_t *ret_value)
{
	*ret_value = v->top[first_bits >> (32 - TRIE_TOP_BITS)];
	return trie_top(v->trie) == v->top;
}

/* Are all n tables one? */
static inline bool trie_same(const void *const *table, unsigned n)
{
	bool same = true;

	for (unsigned i = 1; i < n; i++)
		same &= table[i] == table[0];
	return same;
}

#endif
