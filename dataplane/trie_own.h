/* Shared by trie.c (control's tree) and trie_show.c (what workers see of it). Control thread only.
 */
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
	uint32_t node;	     /* word of its trie_node; 0: a skip says it all, or the root table */
	uint32_t edge;	     /* word that leads to it: node, or a skip */
	uint8_t depth;
	uint8_t n_routes;
};

/* trie_show.c */
/* No allocation of an update that rebuilds `nodes` nodes and brings this value can fail from here
 * on. 0 or -ENOMEM. */
int trie_show_reserve(struct trie *t, size_t nodes, uint32_t value);
/* New blocks for c, which hangs below a node of depth `above`, and for what inherits differently
 * now. Sets c->edge; nothing is visible before somebody stores that (in a large root table: all is,
 * slot by slot). */
void trie_show_refresh(struct trie *t, struct cnode *c, unsigned above, uint32_t inherit);
/* c leaves: its blocks go with the next trie_show_retire. */
void trie_show_drop(struct trie *t, struct cnode *c);
/* Publish the edge of c's child in this slot in place; false when c has to be refreshed for it. */
bool trie_show_edge(struct trie *t, const struct cnode *c, unsigned slot, uint32_t edge);
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

static inline unsigned slot_of(const struct trie_key *key, unsigned depth)
{
	return (unsigned)((depth < 64 ? key->hi << depth : key->lo << (depth - 64)) >> 58);
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

static inline unsigned child_pos(const struct cnode *c, unsigned slot)
{
	return (unsigned)__builtin_popcountll(c->children & ((1ull << slot) - 1));
}

#endif
