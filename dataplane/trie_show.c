/* What workers see of the trie: blocks are built here, published by one store, retired (trie.c has
 * the story).
 *
 * Called by trie.c on the control thread. Everything a reader can reach is immutable but for words,
 * and a word changes only from one right answer to the next. Blocks that an update replaces are
 * collected and retired when its last store is done: not earlier, because the grace period starts
 * with retiring. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "trie_own.h"

#define LARGE_AT   512u	      /* routes longer than TRIE_TOP_BITS: the root table grows */
#define SMALL_AT   256u	      /* and shrinks; from here on the large one is made ready */
#define READY_STEP (1u << 14) /* bytes of it at each update */
#define NODE_BYTES (sizeof(struct trie_node) + TRIE_SLOTS * (sizeof(uint32_t) + sizeof(uint16_t)))
#define SKIP_BYTES (sizeof(struct trie_skip) + sizeof(uint64_t))
#define TOP_BYTES  (sizeof(uint32_t) << TRIE_TOP_BITS)

static uint32_t no_top[1u << TRIE_TOP_BITS]; /* never written */

static void paint(const struct trie *t, const struct cnode *c, uint32_t *slots)
{
	const uint32_t *value = array(t, c->value);

	for (unsigned s = 0; s < TRIE_SLOTS; s++)
		slots[s] = c->inherit ? TRIE_VALUE | c->inherit : 0;
	for (unsigned half = 0; half < 2; half++) /* shorter ones first */
		for (uint64_t left = c->routes[half]; left; left &= left - 1, value++) {
			unsigned r = 64 * half + (unsigned)__builtin_ctzll(left);
			unsigned width = 1u << (TRIE_STRIDE - (31 - (unsigned)__builtin_clz(r)));
			unsigned from = r * width - TRIE_SLOTS;

			for (unsigned s = from; s < from + width; s++)
				slots[s] = TRIE_VALUE | *value;
		}
}

static void *block_at(const struct trie *t, uint32_t word)
{
	return (void *)(uintptr_t)trie_at(t->base, word);
}

static struct trie_root *live_root(const struct trie *t)
{
	return (struct trie_root *)(uintptr_t)trie_root(t);
}

/* Room in the list of replaced blocks was made by reserve(). */
static void replace(struct trie *t, uint32_t *word)
{
	if (*word)
		t->old[t->n_old++] = *word;
	*word = 0;
}

void trie_show_drop(struct trie *t, struct cnode *c)
{
	if (c->edge == c->node)
		c->edge = 0;
	replace(t, &c->edge);
	replace(t, &c->node);
}

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

static uint32_t build_node(struct trie *t, const uint32_t *slots)
{
	uint64_t ends = 0;
	unsigned sides = is_side(slots[TRIE_SLOTS - 1]), at = 0;
	struct trie_node *n;
	uint32_t word;

	for (unsigned s = 0; s < TRIE_SLOTS - 1; s++)
		if (slots[s] != slots[s + 1]) {
			ends |= 1ull << s;
			sides += is_side(slots[s]);
		}
	word = arena_alloc(t->lookup, sides_bytes(sides) + items_bytes(ends)) +
	       (uint32_t)(sides_bytes(sides) / ARENA_UNIT);
	n = block_at(t, word);
	n->ends = ends;
	sides = 0;
	for (unsigned s = TRIE_SLOTS - 1;; s = 63 - (unsigned)__builtin_clzll(ends)) {
		n->item[at] = (uint16_t)slots[s];
		if (is_side(slots[s])) {
			n->item[at] = (uint16_t)(TRIE_SIDE | ++sides);
			atomic_store_explicit(
				trie_side(n, n->item[at]), slots[s], memory_order_relaxed);
		}
		at++;
		ends &= ~(1ull << s);
		if (!ends)
			return word;
	}
}

/* The node that says this value for all slots: it has its place in the arena's second part and is
 * written when first asked for. Sixteen bytes each: four free, the side word, ends (none); the item
 * is in the next one's free ones. */
static uint32_t leaf(struct trie *t, uint32_t word)
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

/* hit: a word; miss: a value. */
static uint32_t build_skip(
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

static bool is_flat(const struct trie *t, const struct cnode *c)
{
	return t->large && c->depth == t->shape->first;
}

/* The route of a node that has only one and nothing else. */
static struct trie_key lone_route(const struct cnode *c, unsigned *ret_len)
{
	unsigned r = c->routes[0] ? (unsigned)__builtin_ctzll(c->routes[0])
				  : 64 + (unsigned)__builtin_ctzll(c->routes[1]);
	unsigned l = 31 - (unsigned)__builtin_clz(r);
	uint64_t bits = (uint64_t)(r << (TRIE_STRIDE - l) & (TRIE_SLOTS - 1)) << 58;
	struct trie_key key = c->key;

	if (c->depth < 64)
		key.hi |= bits >> c->depth;
	else
		key.lo |= bits >> (c->depth - 64);
	*ret_len = c->depth + l;
	return key;
}

static void flat_write(struct trie *t, _Atomic uint32_t *word, const uint32_t *slots)
{
	uint32_t to = 0;

	for (unsigned s = 0; s < TRIE_SLOTS; s++) {
		if (!s || slots[s] != slots[s - 1])
			to = slots[s] & TRIE_VALUE ? leaf(t, slots[s]) : slots[s];
		if (atomic_load_explicit(&word[s], memory_order_relaxed) != to)
			atomic_store_explicit(&word[s], to, memory_order_release);
	}
}

/* What each slot of c leads to; children that inherit something else now are rebuilt first. */
static void fill(struct trie *t, const struct cnode *c, uint32_t *slots)
{
	const uint32_t *child = array(t, c->child);

	paint(t, c, slots);
	for (uint64_t left = c->children; left; left &= left - 1, child++) {
		unsigned s = (unsigned)__builtin_ctzll(left);
		struct cnode *below = cnode(t, *child);

		if (below->inherit != (slots[s] & ~TRIE_VALUE))
			trie_show_refresh(t, below, c->depth, slots[s] & ~TRIE_VALUE);
		slots[s] = below->edge;
	}
}

void trie_show_refresh(struct trie *t, struct cnode *c, unsigned above, uint32_t inherit)
{
	uint32_t slots[TRIE_SLOTS];

	c->inherit = inherit;
	trie_show_drop(t, c);
	if (is_flat(t, c)) {
		fill(t, c, slots);
		flat_write(t, &live_root(t)->word[first_of(t, &c->key) << TRIE_STRIDE], slots);
	} else if (t->shape->skips && c->n_routes == 1 && !c->children) {
		unsigned len;
		struct trie_key key = lone_route(c, &len);

		c->edge = build_skip(t, &key, len, TRIE_VALUE | *array(t, c->value), inherit);
	} else {
		fill(t, c, slots);
		c->edge = c->node = build_node(t, slots);
		if (c->depth > above + TRIE_STRIDE)
			c->edge = build_skip(t, &c->key, c->depth, c->node, inherit);
	}
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

static void free_node(void *ptr)
{
	const struct trie_node *n = ptr;
	unsigned sides = 0;
	size_t front;

	for (int at = __builtin_popcountll(n->ends); at >= 0 && !sides; at--)
		if (n->item[at] & TRIE_SIDE)
			sides = n->item[at] & (TRIE_SIDE - 1); /* the last one is the highest */
	front = sides_bytes(sides);
	free_block((char *)ptr - front, front + items_bytes(n->ends));
}

static void free_skip(void *block)
{
	const struct trie_skip *skip = block;

	free_block(block, sizeof(*skip) + ((skip->miss_len & 0xff) > 64 ? sizeof(uint64_t) : 0));
}

static size_t root_bytes(unsigned bits)
{
	return sizeof(struct trie_root) + (sizeof(uint32_t) << bits);
}

static void free_root(void *block)
{
	free_block(block, root_bytes(((const struct trie_root *)block)->bits));
}

static void free_top(void *block)
{
	free_block(block, TOP_BYTES);
}

void trie_show_retire(struct trie *t)
{
	for (size_t i = 0; i < t->n_old; i++) {
		const void *block = trie_at(t->base, t->old[i]);

		retire_block(t, t->old[i] & TRIE_SKIP ? free_skip : free_node, block);
	}
	t->n_old = 0;
}

int trie_show_reserve(struct trie *t, size_t nodes, uint32_t value)
{
	int err;

	if (t->old_max < 2 * nodes) {
		uint32_t *old = realloc(t->old, 4 * nodes * sizeof(*old));

		if (!old)
			return -ENOMEM;
		t->old = old;
		t->old_max = 4 * nodes;
	}
	err = arena_reserve_aside(t->lookup, ((size_t)value + 2) * TRIE_LEAF_BYTES);
	return err ? err : arena_reserve(t->lookup, nodes * (NODE_BYTES + SKIP_BYTES), 2 * nodes);
}

/* ---- publishing ---- */
bool trie_show_edge(struct trie *t, const struct cnode *c, unsigned slot, uint32_t edge)
{
	_Atomic uint32_t *word;
	uint32_t before;

	if (is_flat(t, c)) {
		word = &live_root(t)->word[first_of(t, &c->key) << TRIE_STRIDE | slot];
	} else if (c->node) {
		const struct trie_node *n = block_at(t, c->node);
		uint16_t item = trie_item(n, slot);

		if (!(item & TRIE_SIDE))
			return false;
		word = trie_side(n, item);
	} else {
		return false;
	}
	before = atomic_load_explicit(word, memory_order_relaxed);
	if (!trie_is_ref(before) || (before & TRIE_BLOCK) >= ARENA_ASIDE)
		return false; /* no child: a word of several slots perhaps */
	atomic_store_explicit(word, edge, memory_order_release);
	return true;
}

void trie_show_first(struct trie *t, unsigned index, uint32_t edge)
{
	struct trie_root *root = live_root(t);

	if (!t->large)
		atomic_store_explicit(&root->word[index], edge, memory_order_release);
	else if (!t->roots[index])
		for (unsigned s = 0; s < TRIE_SLOTS; s++)
			atomic_store_explicit(
				&root->word[index << TRIE_STRIDE | s], 0, memory_order_release);
}

/* Make the other root table the one that is seen: what hangs below it stays, only the first nodes
 * become slots or blocks again. root: zero; its memory and that of the nodes is reserved. */
static void root_publish(struct trie *t, struct trie_root *root, bool large)
{
	unsigned first = t->shape->first;
	const struct trie_root *before = trie_root(t);

	root->bits = first + (large ? TRIE_STRIDE : 0);
	t->large = large;
	for (size_t i = 0; i < (size_t)1 << first; i++) {
		struct cnode *c = t->roots[i] ? cnode(t, t->roots[i]) : NULL;
		uint32_t slots[TRIE_SLOTS];

		if (c && large) {
			trie_show_drop(t, c);
			fill(t, c, slots);
			flat_write(t, &root->word[i << TRIE_STRIDE], slots);
		} else if (c) {
			trie_show_refresh(t, c, first, 0);
			root->word[i] = c->edge;
		}
	}
	atomic_store_explicit(&t->root, root, memory_order_release);
	trie_show_retire(t);
	if (before)
		retire_block(t, free_root, before);
}

/* A few hundred routes at most are below a small root table. */
static int root_small(struct trie *t)
{
	size_t bytes = root_bytes(t->shape->first);
	struct trie_root *root;

	if (trie_show_reserve(t, t->n_long + bytes / NODE_BYTES + 1, 0))
		return -ENOMEM;
	root = block_at(t, arena_alloc(t->lookup, bytes));
	memset(root, 0, bytes);
	root_publish(t, root, false);
	return 0;
}

/* The large table's memory is new, perhaps, and a megabyte of page faults takes milliseconds: so it
 * is asked for a little at each update, and is there before it is needed. */
static void root_large(struct trie *t)
{
	size_t bytes = root_bytes(t->shape->first + TRIE_STRIDE), step;

	if (!t->next) {
		if (trie_show_reserve(t, bytes / NODE_BYTES + 1, 0))
			return;
		t->next = arena_alloc(t->lookup, bytes);
		t->next_bytes = 0;
	}
	step = bytes - t->next_bytes < READY_STEP ? bytes - t->next_bytes : READY_STEP;
	memset((char *)block_at(t, t->next) + t->next_bytes, 0, step);
	t->next_bytes += step;
	if (t->n_long < LARGE_AT || t->next_bytes < bytes || trie_show_reserve(t, t->n_long, 0))
		return;
	root_publish(t, block_at(t, t->next), true);
	t->next = 0;
}

void trie_show_resize(struct trie *t)
{
	if (t->large && t->n_long < SMALL_AT) {
		root_small(t);
	} else if (!t->large && t->n_long >= SMALL_AT) {
		root_large(t);
	} else if (t->next && t->n_long < SMALL_AT / 2) {
		arena_free(t->lookup, t->next, root_bytes(t->shape->first + TRIE_STRIDE));
		t->next = 0;
	}
}

int trie_show_init(struct trie *t)
{
	t->base = arena_base(t->lookup);
	atomic_init(&t->top, no_top);
	atomic_init(&t->root, NULL);
	return root_small(t);
}

/* ---- short prefixes ---- */
static void spread(const struct trie *t, uint32_t *top, unsigned at, uint32_t value)
{
	if (t->brief[at])
		value = t->brief[at];
	if (at >> TRIE_TOP_BITS) {
		top[at & ((1u << TRIE_TOP_BITS) - 1)] = value;
		return;
	}
	spread(t, top, 2 * at, value);
	spread(t, top, 2 * at + 1, value);
}

int trie_show_top(struct trie *t, unsigned at)
{
	const uint32_t *before = trie_top(t);
	uint32_t *top, above = 0;

	if (!t->n_brief) {
		top = no_top;
	} else {
		if (arena_reserve(t->lookup, TOP_BYTES, 1))
			return -ENOMEM;
		top = block_at(t, arena_alloc(t->lookup, TOP_BYTES));
		memcpy(top, before, TOP_BYTES);
		for (unsigned up = at >> 1; up && !above; up >>= 1)
			above = t->brief[up];
		spread(t, top, at, above);
	}
	atomic_store_explicit(&t->top, top, memory_order_release);
	if (before != no_top)
		retire_block(t, free_top, before);
	return 0;
}
