/* Shared by trie.c (control's tree), trie_show.c (what workers see of it) and trie_block.c (what
 * that looks like in memory). Control thread only. */
#ifndef LINTAS_TRIE_OWN_H
#define LINTAS_TRIE_OWN_H

#include "trie.h"

/* Routes of depth + 1 to depth + 6 bits, and the nodes below. Offsets are blocks of the control
 * arena. */
struct cnode {
	struct trie_key key; /* its first depth bits */
	uint64_t routes[2];  /* bit 1 << l | (upper l bits of the slot), l = len - depth */
	uint64_t children;   /* bit a slot */
	uint32_t value;	     /* values of the routes, in order of their bits */
	uint32_t child;	     /* the children, in order of their slots */
	uint32_t inherit;    /* value of the longest route above */
	uint32_t node; /* word of its node or list; 0: a skip says it all, or the root table, */
	uint32_t edge; /* word that leads to it: node, or a skip; 0:    or the list it is in */
	uint8_t depth;
	uint8_t from; /* the bit from which on edge decides */
	uint8_t n_routes;
	bool listed; /* node is a list: of this and all below that begin in its group */
};

/* What a list says, in order: from at[i] on it is word[i]. */
struct ranges {
	unsigned n;
	uint16_t at[TRIE_RANGES];
	uint32_t word[TRIE_RANGES];
};

/* trie_block.c: new blocks, from what was reserved. A word each. */
/* changes: bit s is set where slots[s] and slots[s - 1] differ, and may be where not. */
uint32_t block_node(struct trie *t, const uint32_t *slots, uint64_t changes);
uint32_t block_list(struct trie *t, const struct ranges *r);
/* hit: a word; miss: a value. */
uint32_t block_skip(
	struct trie *t, const struct trie_key *key, unsigned len, uint32_t hit, uint32_t miss);
/* The node that says this value for all slots. word: TRIE_VALUE and the value. */
uint32_t block_leaf(struct trie *t, uint32_t word);
bool block_is_leaf(uint32_t word);
uint32_t *block_top(struct trie *t); /* contents undefined */
#define BLOCK_NODE_BYTES                                                                 \
	(sizeof(struct trie_node) + TRIE_SLOTS * (sizeof(uint32_t) + sizeof(uint16_t)) + \
		sizeof(struct trie_skip) +                                               \
		sizeof(uint64_t)) /* a node and a skip to it, at most */
#define BLOCK_TOP_BYTES (sizeof(uint32_t) << TRIE_TOP_BITS)
size_t block_root_bytes(unsigned bits);
/* Give them back when no reader can see them. */
void block_retire(struct trie *t, uint32_t word);
void block_retire_root(struct trie *t, const struct trie_root *root);
void block_retire_top(struct trie *t, const uint32_t *top);

static inline void *block_at(const struct trie *t, uint32_t word)
{
	return (void *)(uintptr_t)trie_at(t->base, word);
}

/* trie_show.c */
/* No allocation of an update that rebuilds `nodes` nodes and brings this value can fail from here
 * on. 0 or -ENOMEM. */
int trie_show_reserve(struct trie *t, size_t nodes, uint32_t value);
/* New blocks for c, which a reader meets when it has looked at `from` bits, and for what inherits
 * differently now. Sets c->edge; nothing is visible before somebody stores that (in a large root
 * table: all is, slot by slot). */
void trie_show_refresh(struct trie *t, struct cnode *c, unsigned from, uint32_t inherit);
/* c leaves, or is in somebody's list: its blocks go with the next trie_show_retire. */
void trie_show_drop(struct trie *t, struct cnode *c);
/* Would c, the first of its group on the way down, be shown as a list now? */
bool trie_show_lists(const struct trie *t, const struct cnode *c);
/* Ask for the word of the root table that leads to the key. */
void trie_show_ask(const struct trie *t, const struct trie_key *key);
/* Publish the edge of c in place, in what `by` shows; false when that has to be refreshed for it.
 */
bool trie_show_edge(struct trie *t, const struct cnode *by, const struct cnode *c);
/* Publish the first node below the root table; edge 0 = there is none any more. */
void trie_show_first(struct trie *t, unsigned index, uint32_t edge);
/* All is published: what was replaced may go. */
void trie_show_retire(struct trie *t);
/* Grow or shrink the root table when the number of routes asks for it; the large one is made ready
 * bit by bit before. No memory: later, then. */
void trie_show_resize(struct trie *t);
/* t->brief[at] has changed: publish its part of the short prefixes' table anew. 0 or -ENOMEM. */
int trie_show_top(struct trie *t, unsigned at);
int trie_show_init(struct trie *t);

static inline struct cnode *cnode(const struct trie *t, uint32_t block)
{
	return (struct cnode *)((char *)arena_base(t->control) + (size_t)block * ARENA_UNIT);
}

static inline uint32_t *array(const struct trie *t, uint32_t block)
{
	return (uint32_t *)((char *)arena_base(t->control) + (size_t)block * ARENA_UNIT);
}

static inline uint32_t block_of(const struct trie *t, const struct cnode *c)
{
	return (uint32_t)(((const char *)c - (char *)arena_base(t->control)) / ARENA_UNIT);
}

/* Bits that a node at this depth decides: with groups 6, 6 and 4. */
static inline unsigned stride_of(const struct trie *t, unsigned depth)
{
	return t->shape->grouped && depth % TRIE_GROUP == 12 ? 4 : TRIE_STRIDE;
}

/* Where the slot has less than 6 bits, they are the upper ones. */
static inline unsigned slot_of(const struct trie *t, const struct trie_key *key, unsigned depth)
{
	uint64_t bits = depth < 64 ? key->hi << depth : key->lo << (depth - 64);

	return (unsigned)(bits >> 58) & ~0u << (TRIE_STRIDE - stride_of(t, depth));
}

static inline unsigned group_of(unsigned depth)
{
	return depth / TRIE_GROUP;
}

static inline unsigned first_of(const struct trie *t, const struct trie_key *key)
{
	return (unsigned)(key->hi >> (64 - t->shape->first));
}

static inline bool route_has(const struct cnode *c, unsigned r)
{
	return c->routes[r / 64] >> r % 64 & 1;
}

static inline unsigned route_pos(const struct cnode *c, unsigned r)
{
	unsigned n = (unsigned)__builtin_popcountll(c->routes[r / 64] & ((1ull << r % 64) - 1));

	return r < 64 ? n : n + (unsigned)__builtin_popcountll(c->routes[0]);
}

static inline uint32_t slot_value(const struct trie *t, const struct cnode *c, unsigned slot)
{
	for (unsigned r = TRIE_SLOTS | slot; r > 1; r >>= 1)
		if (route_has(c, r))
			return array(t, c->value)[route_pos(c, r)];
	return c->inherit;
}

static inline unsigned child_pos(const struct cnode *c, unsigned slot)
{
	return (unsigned)__builtin_popcountll(c->children & ((1ull << slot) - 1));
}

#endif
