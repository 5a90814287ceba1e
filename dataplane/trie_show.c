/* What workers see of the trie: which blocks, published by one store (trie.c has the story).
 *
 * Called by trie.c on the control thread. Everything a reader can reach is immutable but for words,
 * and a word changes only from one right answer to the next. Blocks that an update replaces are
 * collected and retired when its last store is done: not earlier, because the grace period starts
 * with retiring.
 *
 * A control node is shown as a node (trie_block.c), in a large root table, or, with groups,
 * together with all nodes of its group below it as one list, when that has room for their routes
 * and what hangs below them: the list's first node has it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "trie_own.h"

#define LARGE_AT   512u	      /* routes longer than TRIE_TOP_BITS: the root table grows */
#define READY_AT   384u	      /* from here on the large one is made ready */
#define SMALL_AT   256u	      /* it shrinks */
#define READY_STEP (1u << 14) /* bytes of the large one at each update */
#define NEAR_UP_TO 2048u      /* routes whose part of the tables stays in the nearest caches */
#define LIST_FULL  15u /* routes and nodes below that a list holds: two ranges each, and one */
#define LIST_AGAIN 11u /* so few, and a group becomes a list */

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
	c->listed = false;
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
			to = slots[s] & TRIE_VALUE ? block_leaf(t, slots[s]) : slots[s];
		if (atomic_load_explicit(&word[s], memory_order_relaxed) != to)
			atomic_store_explicit(&word[s], to, memory_order_release);
	}
}

/* The word that leads to a child whose slot says `word`; rebuilt if it was for other circumstances.
 */
static uint32_t edge_of(struct trie *t, struct cnode *below, unsigned from, uint32_t word)
{
	uint32_t inherit = word & ~TRIE_VALUE;

	if (!below->edge || below->from != from || below->inherit != inherit)
		trie_show_refresh(t, below, from, inherit);
	return below->edge;
}

/* Bit s: slot s may say something else than the one before, or lead to a child. */
static uint64_t changes(const struct trie *t, const struct cnode *c)
{
	unsigned width = 1u << (TRIE_STRIDE - stride_of(t, c->depth));
	uint64_t at = 1 | c->children | c->children << width;

	for (unsigned half = 0; half < 2; half++)
		for (uint64_t left = c->routes[half]; left; left &= left - 1) {
			unsigned r = 64 * half + (unsigned)__builtin_ctzll(left);
			unsigned bits = TRIE_STRIDE - (31 - (unsigned)__builtin_clz(r));

			at |= 1ull << ((r << bits) - TRIE_SLOTS);
			at |= (1ull << (((r + 1) << bits) - TRIE_SLOTS - 1)) << 1;
		}
	return at;
}

/* What each slot of c leads to. */
static void fill(struct trie *t, const struct cnode *c, uint32_t *slots)
{
	const uint32_t *child = array(t, c->child);
	unsigned stride = stride_of(t, c->depth), width = 1u << (TRIE_STRIDE - stride);

	paint(t, c, slots);
	for (uint64_t left = c->children; left; left &= left - 1, child++) {
		unsigned s = (unsigned)__builtin_ctzll(left);
		uint32_t edge = edge_of(t, cnode(t, *child), c->depth + stride, slots[s]);

		for (unsigned i = s; i < s + width; i++)
			slots[i] = edge;
	}
}

/* ---- lists ---- */
/* The group's bits of the key. */
static unsigned group_bits(const struct trie_key *key, unsigned group)
{
	return (uint16_t)(group < 4 ? key->hi >> (48 - TRIE_GROUP * group)
				    : key->lo >> (112 - TRIE_GROUP * group));
}

static void range_add(struct ranges *r, unsigned at, uint32_t word)
{
	if (at >> TRIE_GROUP) /* the group's end */
		return;
	if (r->n && r->at[r->n - 1] == at)
		r->n--; /* there is something more specific */
	if (r->n && r->word[r->n - 1] == word)
		return;
	r->at[r->n] = (uint16_t)at;
	r->word[r->n++] = word;
}

static void list_fill(struct trie *t, struct cnode *c, struct ranges *r)
{
	unsigned group = group_of(c->depth), start = group_bits(&c->key, group);
	unsigned stride = stride_of(t, c->depth),
		 shift = TRIE_GROUP - c->depth % TRIE_GROUP - stride;
	const uint32_t *child = array(t, c->child);

	for (uint64_t left = changes(t, c); left; left &= left - 1) {
		unsigned s = (unsigned)__builtin_ctzll(left), end;
		uint32_t value = slot_value(t, c, s), word = value ? TRIE_VALUE | value : 0;
		struct cnode *below;

		range_add(r, start + (s >> (TRIE_STRIDE - stride) << shift), word);
		if (!(c->children >> s & 1))
			continue;
		below = cnode(t, *child++);
		end = group_bits(&below->key, group);
		if (group_of(below->depth) == group) {
			trie_show_drop(t, below);
			below->inherit = value;
			list_fill(t, below, r);
			end += 1u << (TRIE_GROUP - below->depth % TRIE_GROUP);
		} else {
			range_add(r, end++, edge_of(t, below, TRIE_GROUP * (group + 1), word));
		}
		range_add(r, end, word);
	}
}

/* They lie scattered: ask for all of them before the first is looked at. */
static void ask_children(const struct trie *t, const struct cnode *c)
{
	const uint32_t *child = array(t, c->child);

	for (unsigned i = (unsigned)__builtin_popcountll(c->children); i; i--, child++) {
		__builtin_prefetch(cnode(t, *child));
		__builtin_prefetch((const char *)(cnode(t, *child) + 1) - 1);
	}
}

/* How many places in c's group say something of their own: routes of the group, and nodes below it,
 * one that hangs where a route ends counted with it. Counts up to the limit. */
static unsigned weight(const struct trie *t, const struct cnode *c, unsigned limit)
{
	const uint32_t *child = array(t, c->child);
	bool last = stride_of(t, c->depth) == 4; /* its slots are single places */
	unsigned n = c->n_routes;

	ask_children(t, c);
	__builtin_prefetch(array(t, c->value)); /* list_fill's next */
	for (uint64_t left = c->children; left && n <= limit; left &= left - 1, child++) {
		const struct cnode *below = cnode(t, *child);
		unsigned slot = (unsigned)__builtin_ctzll(left);

		if (group_of(below->depth) == group_of(c->depth))
			n += weight(t, below, limit - n);
		else
			n += !(last && route_has(c, (TRIE_SLOTS | slot) >> 2));
	}
	return n;
}

bool trie_show_lists(const struct trie *t, const struct cnode *c)
{
	unsigned limit = c->listed ? LIST_FULL : LIST_AGAIN;

	return t->shape->grouped && group_of(c->depth) && weight(t, c, limit) <= limit;
}

void trie_show_refresh(struct trie *t, struct cnode *c, unsigned from, uint32_t inherit)
{
	unsigned start = TRIE_GROUP * group_of(c->depth), begins = c->depth;
	bool list = from <= start && trie_show_lists(t, c);
	uint32_t slots[TRIE_SLOTS];

	c->inherit = inherit;
	c->from = (uint8_t)from;
	trie_show_drop(t, c);
	if (is_flat(t, c)) {
		fill(t, c, slots);
		flat_write(t, &live_root(t)->word[first_of(t, &c->key) << TRIE_STRIDE], slots);
		return;
	}
	if (t->shape->grouped && c->n_routes == 1 && !c->children && !(list && from == start)) {
		unsigned len;
		struct trie_key key = lone_route(c, &len);

		c->edge = block_skip(t, &key, len, TRIE_VALUE | *array(t, c->value), inherit);
		return;
	}
	if (list) {
		struct ranges r = { .n = 0 };

		range_add(&r, 0, inherit ? TRIE_VALUE | inherit : 0);
		list_fill(t, c, &r);
		range_add(&r,
			group_bits(&c->key, group_of(c->depth)) +
				(1u << (TRIE_GROUP - c->depth % TRIE_GROUP)),
			inherit ? TRIE_VALUE | inherit : 0);
		c->node = block_list(t, &r);
		c->listed = true;
		begins = start;
	} else {
		fill(t, c, slots);
		c->node = block_node(t, slots, changes(t, c));
	}
	c->edge = from < begins ? block_skip(t, &c->key, begins, c->node, inherit) : c->node;
}

void trie_show_retire(struct trie *t)
{
	for (size_t i = 0; i < t->n_old; i++)
		block_retire(t, t->old[i]);
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
	return err ? err : arena_reserve(t->lookup, nodes * BLOCK_NODE_BYTES, 2 * nodes);
}

/* ---- publishing ---- */
void trie_show_ask(const struct trie *t, const struct trie_key *key)
{
	const struct trie_root *root = trie_root(t);

	__builtin_prefetch((const void *)&root->word[key->hi >> (64 - root->bits)]);
}

bool trie_show_edge(struct trie *t, const struct cnode *by, const struct cnode *c)
{
	unsigned slot = slot_of(t, &c->key, by->depth);
	_Atomic uint32_t *word;
	uint32_t before;

	if (is_flat(t, by)) {
		word = &live_root(t)->word[first_of(t, &by->key) << TRIE_STRIDE | slot];
	} else {
		const void *block = block_at(t, by->node);
		uint16_t item;

		if (!by->node)
			return false;
		item = by->listed ? trie_list_item(block,
					    (uint16_t)group_bits(&c->key, group_of(by->depth)))
				  : trie_item(block, slot);
		if (!(item & TRIE_SIDE))
			return false;
		word = trie_side(block, item);
	}
	before = atomic_load_explicit(word, memory_order_relaxed);
	if (!trie_is_ref(before) || block_is_leaf(before))
		return false; /* no child: a word of several slots perhaps */
	atomic_store_explicit(word, c->edge, memory_order_release);
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
	root->near = true;
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
		block_retire_root(t, before);
}

/* A few hundred routes at most are below a small root table. */
static int root_small(struct trie *t)
{
	size_t bytes = block_root_bytes(t->shape->first);
	struct trie_root *root;

	if (trie_show_reserve(t, t->n_long + bytes / BLOCK_NODE_BYTES + 1, 0))
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
	size_t bytes = block_root_bytes(t->shape->first + TRIE_STRIDE), step;

	if (!t->next) {
		if (trie_show_reserve(t, bytes / BLOCK_NODE_BYTES + 1, 0))
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
	bool near = t->n_long <= NEAR_UP_TO;

	if (live_root(t)->near != near)
		atomic_store_explicit(&live_root(t)->near, near, memory_order_relaxed);
	if (t->large && t->n_long < SMALL_AT) {
		root_small(t);
	} else if (!t->large && t->n_long >= READY_AT) {
		root_large(t);
	} else if (t->next && t->n_long < SMALL_AT) {
		arena_free(t->lookup, t->next, block_root_bytes(t->shape->first + TRIE_STRIDE));
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
		if (arena_reserve(t->lookup, BLOCK_TOP_BYTES, 1))
			return -ENOMEM;
		top = block_top(t);
		memcpy(top, before, BLOCK_TOP_BYTES);
		for (unsigned up = at >> 1; up && !above; up >>= 1)
			above = t->brief[up];
		spread(t, top, at, above);
	}
	atomic_store_explicit(&t->top, top, memory_order_release);
	if (before != no_top)
		block_retire_top(t, before);
	return 0;
}
