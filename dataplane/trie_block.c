/* What workers see of the trie, block by block: built here, given back here. trie.h says what each
 * kind looks like.
 *
 * Called by trie_show.c on the control thread. Building takes what was reserved and cannot fail.
 * Giving back goes through the table's retire function: the block's memory is free when no reader
 * can hold it any more. A block's size is read off the block. */
#include <string.h>
#include "trie_own.h"

/* Does the word stand beside the node, and not in its item? */
static bool is_side(uint32_t word)
{
	return word && !(word & TRIE_VALUE && (word & ~TRIE_VALUE) < TRIE_SIDE);
}

static size_t sides_bytes(unsigned sides)
{
	return (sides * sizeof(uint32_t) + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
}

static size_t items_bytes(uint64_t ends)
{
	return sizeof(struct trie_node) +
	       (1 + (size_t)__builtin_popcountll(ends)) * sizeof(uint16_t);
}

/* Room for a block and `sides` words before it: the block's word. */
static uint32_t alloc(struct trie *t, unsigned sides, size_t bytes)
{
	size_t front = sides_bytes(sides);

	return arena_alloc(t->lookup, front + bytes) + (uint32_t)(front / ARENA_UNIT);
}

/* The item that says this word; larger ones go beside the block. */
static uint16_t item_of(void *block, uint32_t word, unsigned *sides)
{
	uint16_t item = (uint16_t)word;

	if (is_side(word)) {
		item = (uint16_t)(TRIE_SIDE | ++*sides);
		atomic_store_explicit(trie_side(block, item), word, memory_order_relaxed);
	}
	return item;
}

uint32_t block_node(struct trie *t, const uint32_t *slots, uint64_t changes)
{
	uint64_t ends = 0;
	unsigned sides = is_side(slots[TRIE_SLOTS - 1]), at = 0;
	struct trie_node *n;
	uint32_t word;

	for (changes &= ~1ull; changes; changes &= changes - 1) {
		unsigned s = (unsigned)__builtin_ctzll(changes) - 1;

		if (slots[s] != slots[s + 1]) {
			ends |= 1ull << s;
			sides += is_side(slots[s]);
		}
	}
	word = alloc(t, sides, items_bytes(ends));
	n = block_at(t, word);
	n->ends = ends;
	sides = 0;
	n->item[at++] = item_of(n, slots[TRIE_SLOTS - 1], &sides);
	for (unsigned s; ends; ends &= ~(1ull << s)) {
		s = 63 - (unsigned)__builtin_clzll(ends);
		n->item[at++] = item_of(n, slots[s], &sides);
	}
	return word;
}

static size_t list_bytes(unsigned n)
{
	return 2 * n * sizeof(uint16_t);
}

uint32_t block_list(struct trie *t, const struct ranges *r)
{
	struct trie_list *l;
	unsigned sides = 0;
	uint32_t word;

	for (unsigned i = 0; i < r->n; i++)
		sides += is_side(r->word[i]);
	word = alloc(t, sides, list_bytes(r->n));
	l = block_at(t, word);
	sides = 0;
	l->n = (uint16_t)r->n;
	memcpy(l->at, r->at + 1, (r->n - 1) * sizeof(*l->at));
	for (unsigned i = 0; i < r->n; i++)
		l->at[r->n - 1 + i] = item_of(l, r->word[i], &sides);
	return TRIE_LIST | word;
}

/* It has its place in the arena's second part and is written when first asked for. Sixteen bytes
 * each: four free, the side word, ends (none); the item is in the next one's free ones. */
uint32_t block_leaf(struct trie *t, uint32_t word)
{
	uint32_t value = word & ~TRIE_VALUE, block = ARENA_ASIDE + 2 * value + 1;
	struct trie_node *n = block_at(t, block);

	if (!n->item[0]) {
		if (is_side(word))
			atomic_store_explicit(trie_side(n, 1), word, memory_order_relaxed);
		n->item[0] = is_side(word) ? TRIE_SIDE | 1 : (uint16_t)value;
		t->n_leaves++;
	}
	return block;
}

bool block_is_leaf(uint32_t word)
{
	return (word & TRIE_BLOCK) >= ARENA_ASIDE;
}

uint32_t block_skip(
	struct trie *t, const struct trie_key *key, unsigned len, uint32_t hit, uint32_t miss)
{
	uint32_t block = arena_alloc(
		t->lookup, sizeof(struct trie_skip) + (len > 64 ? sizeof(uint64_t) : 0));
	struct trie_skip *skip = block_at(t, block);

	skip->hi = key->hi;
	skip->hit = hit;
	skip->miss_len = miss << 8 | len;
	if (len > 64)
		skip->lo[0] = key->lo;
	return TRIE_SKIP | block;
}

size_t block_root_bytes(unsigned bits)
{
	return sizeof(struct trie_root) + (sizeof(uint32_t) << bits);
}

uint32_t *block_top(struct trie *t)
{
	return block_at(t, arena_alloc(t->lookup, BLOCK_TOP_BYTES));
}

/* ---- retiring ---- */
static void retire_block(struct trie *t, void (*fn)(void *), const void *block)
{
	arena_retire(t->lookup);
	t->retire(fn, (void *)(uintptr_t)block);
}

static void free_block(void *block, size_t bytes)
{
	struct arena *a = arena_of(block);

	arena_free_retired(
		a, (uint32_t)(((char *)block - (char *)arena_base(a)) / ARENA_UNIT), bytes);
}

/* The items' side words are numbered in their order: the last one is the highest. */
static size_t front_bytes(const uint16_t *item, unsigned n)
{
	while (n--)
		if (item[n] & TRIE_SIDE)
			return sides_bytes(item[n] & (TRIE_SIDE - 1));
	return 0;
}

static void free_node(void *ptr)
{
	const struct trie_node *n = ptr;
	size_t front = front_bytes(n->item, 1 + (unsigned)__builtin_popcountll(n->ends));

	free_block((char *)ptr - front, front + items_bytes(n->ends));
}

static void free_list(void *ptr)
{
	const struct trie_list *l = ptr;
	size_t front = front_bytes(l->at + l->n - 1, l->n);

	free_block((char *)ptr - front, front + list_bytes(l->n));
}

static void free_skip(void *block)
{
	const struct trie_skip *skip = block;

	free_block(block, sizeof(*skip) + ((skip->miss_len & 0xff) > 64 ? sizeof(uint64_t) : 0));
}

static void free_root(void *block)
{
	free_block(block, block_root_bytes(((const struct trie_root *)block)->bits));
}

static void free_top(void *block)
{
	free_block(block, BLOCK_TOP_BYTES);
}

void block_retire(struct trie *t, uint32_t word)
{
	void (*fn)(void *) = word & TRIE_SKIP	? free_skip
			     : word & TRIE_LIST ? free_list
						: free_node;

	retire_block(t, fn, trie_at(t->base, word));
}

void block_retire_root(struct trie *t, const struct trie_root *root)
{
	retire_block(t, free_root, root);
}

void block_retire_top(struct trie *t, const uint32_t *top)
{
	retire_block(t, free_top, top);
}
