/* The trie behind fib4.c and fib6.c: what control keeps, what it shows to the workers, how one
 * becomes the other.
 *
 * Control's copy is a tree of nodes of 6 bits: each holds the routes that end in it (lengths depth
 * + 1 to depth + 6) and its children, both as bitmaps with packed arrays. What workers see has
 * every answer pushed down: the slots of a node are painted with its routes over the value it
 * inherits, equal neighbours share an item (trie.h). A root table answers for the first 12 bits
 * (IPv6: 10), from 512 routes on for 6 more. With `grouped`, nodes that would only lead on are left
 * out, a node that is a single route is one comparison, and a few nodes of the same 16 bits are one
 * list.
 *
 * An update builds new blocks from the changed node up to the first one that can take the change in
 * one word, then publishes by storing that word: whichever address a reader asks for, its answer
 * changes once. Blocks out of sight are retired after the store. Memory is reserved before anything
 * changes, so that nothing is half-applied. Prefixes of at most 12 bits would reach into too many
 * blocks: they have a table of their own, copied whole on change and asked when the walk ends in 0.
 * A reader takes `top` before the walk and answers only if it is still the same after it: no block
 * is reused under a reader, so in between it was the same all the time.
 *
 * Measured, TSC cycles a random lookup in vectors of 64, 256 next hops, Zen 3 with 32 MB of L3
 * (bench: tools/bench/fibbench.c); adds of the largest table, one thread:
 *   IPv4 routes                 1 k  100 k    1 M   bytes at 1 M   adds/s
 *   this                        4.9    9.8   13.6          7.9 M    760 k
 *   Poptrie, 12-bit root       14.9   13.5   20.1          8.1 M    770 k
 *   DXR, 18-bit root            9.2   18.6   42.3          9.9 M   static
 *   DIR-24-8 (rte_fib)          3.4   10.1   23.1           64 M    610 k
 *   IPv6 routes                 1 k   20 k  200 k     at 200 k
 *   this                         29     48     47          2.3 M    630 k
 *   nodes and skips, no lists    67     95     80          6.1 M    630 k
 *   binary search on lengths     50    133    187         22.7 M   static
 *   8-bit trie (rte_fib6)        15     75    180          252 M    220 k
 * Tried and not kept: BMI2 (no difference) and AVX2 for the lists (5 %), so there is no dispatch;
 * IPv6 packets in rows by the kind of their next block, without a branch (a third slower); huge
 * pages (no difference to lookups). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "trie_own.h"

#define DEPTH_MAX  24u	/* nodes on a path */
#define ROUTES_MAX 126u /* of one node */
#define GROUP_MAX  128u /* nodes that change their form when a group becomes a list, or no list */

struct path {
	struct cnode *at[DEPTH_MAX];
	unsigned n;
};

/* ---- keys ---- */
static struct trie_key key_cut(const struct trie_key *key, unsigned len)
{
	struct trie_key cut = { 0, 0 };

	if (len > 64) {
		cut.hi = key->hi;
		cut.lo = key->lo & ~0ull << (128 - len);
	} else if (len) {
		cut.hi = key->hi & ~0ull << (64 - len);
	}
	return cut;
}

static unsigned common_bits(const struct trie_key *a, const struct trie_key *b)
{
	if (a->hi != b->hi)
		return (unsigned)__builtin_clzll(a->hi ^ b->hi);
	return a->lo != b->lo ? 64 + (unsigned)__builtin_clzll(a->lo ^ b->lo) : 128;
}

/* Depth of the node in which a route of this length ends. */
static unsigned depth_of(const struct trie *t, unsigned len)
{
	unsigned first = t->shape->first, at = len - 1;

	if (t->shape->grouped && at >= TRIE_GROUP)
		return at - at % TRIE_GROUP + at % TRIE_GROUP / TRIE_STRIDE * TRIE_STRIDE;
	return first + (at - first) / TRIE_STRIDE * TRIE_STRIDE;
}

/* ---- control's nodes: bitmaps and packed arrays ---- */
static size_t array_bytes(unsigned n)
{
	return (n + 3) / 4 * 4 *
	       sizeof(uint32_t); /* three of four times there is room for one more */
}

static void array_insert(struct trie *t, uint32_t *block, unsigned n, unsigned pos, uint32_t item)
{
	uint32_t *from = array(t, *block), *to = from;
	uint32_t before = *block;

	if (array_bytes(n + 1) != array_bytes(n)) {
		*block = arena_alloc(t->control, array_bytes(n + 1));
		to = array(t, *block);
		memcpy(to, from, pos * sizeof(*to));
	}
	memmove(to + pos + 1, from + pos, (n - pos) * sizeof(*to));
	to[pos] = item;
	if (to != from && n)
		arena_free(t->control, before, array_bytes(n));
}

static void array_remove(struct trie *t, uint32_t *block, unsigned n, unsigned pos)
{
	uint32_t *from = array(t, *block), *to = from;
	uint32_t before = *block;

	if (n == 1) {
		*block = 0;
	} else if (array_bytes(n - 1) != array_bytes(n)) {
		*block = arena_alloc(t->control, array_bytes(n - 1));
		to = array(t, *block);
		memcpy(to, from, pos * sizeof(*to));
	}
	memmove(to + pos, from + pos + 1, (n - 1 - pos) * sizeof(*to));
	if (*block != before)
		arena_free(t->control, before, array_bytes(n));
}

static unsigned route_bit(
	const struct trie *t, const struct trie_key *key, unsigned depth, unsigned len)
{
	unsigned l = len - depth;

	return 1u << l | slot_of(t, key, depth) >> (TRIE_STRIDE - l);
}

static unsigned child_count(const struct cnode *c)
{
	return (unsigned)__builtin_popcountll(c->children);
}

static struct cnode *child_at(const struct trie *t, const struct cnode *c, unsigned slot)
{
	if (!(c->children >> slot & 1))
		return NULL;
	return cnode(t, array(t, c->child)[child_pos(c, slot)]);
}

static void child_add(struct trie *t, struct cnode *c, unsigned slot, const struct cnode *child)
{
	array_insert(t, &c->child, child_count(c), child_pos(c, slot), block_of(t, child));
	c->children |= 1ull << slot;
}

static void child_remove(struct trie *t, struct cnode *c, unsigned slot)
{
	array_remove(t, &c->child, child_count(c), child_pos(c, slot));
	c->children &= ~(1ull << slot);
}

static struct cnode *cnode_create(
	struct trie *t, const struct trie_key *key, unsigned depth, uint32_t inherit)
{
	struct cnode *c = cnode(t, arena_alloc(t->control, sizeof(*c)));

	memset(c, 0, sizeof(*c));
	c->key = key_cut(key, depth);
	c->depth = (uint8_t)depth;
	c->inherit = inherit;
	return c;
}

/* ---- updates ---- */
static size_t count_below(const struct trie *t, const struct cnode *c)
{
	const uint32_t *child = array(t, c->child);
	size_t n = 1;

	for (unsigned i = child_count(c); i; i--)
		n += count_below(t, cnode(t, *child++));
	return n;
}

/* How many nodes lie wholly within the prefix: those an update of it may rebuild. */
static size_t count_within(const struct trie *t, const struct trie_key *key, unsigned len)
{
	uint32_t block = t->roots[first_of(t, key)];
	const struct cnode *c = block ? cnode(t, block) : NULL;
	size_t n = 0;

	while (c && c->depth + stride_of(t, c->depth) < len &&
		common_bits(&c->key, key) >= c->depth)
		c = child_at(t, c, slot_of(t, key, c->depth));
	if (!c || common_bits(&c->key, key) < (c->depth < len ? c->depth : len))
		return 0;
	if (c->depth >= len)
		return count_below(t, c);
	for (unsigned s = slot_of(t, key, c->depth), end = s + (TRIE_SLOTS >> (len - c->depth));
		s < end; s++)
		if (c->children >> s & 1)
			n += count_below(t, child_at(t, c, s));
	return n;
}

/* From here on no allocation of an update that rebuilds the path and `within` nodes can fail. */
static int reserve(struct trie *t, size_t within, uint32_t value)
{
	int err = trie_show_reserve(t, within + DEPTH_MAX + GROUP_MAX, value);

	if (err)
		return err;
	return arena_reserve(t->control,
		DEPTH_MAX * sizeof(struct cnode) + 4 * array_bytes(ROUTES_MAX + TRIE_SLOTS),
		4 * DEPTH_MAX);
}

static void cnode_free(struct trie *t, struct cnode *c)
{
	trie_show_drop(t, c);
	arena_free(t->control, block_of(t, c), sizeof(*c));
}

/* A node that only leads on to one other: that one takes its place. */
static struct cnode *splice(struct trie *t, struct cnode *parent, struct cnode *c)
{
	uint32_t block = *array(t, c->child);
	struct cnode *child = cnode(t, block);

	trie_show_drop(t, child); /* what it inherits is another's */
	child->inherit = c->inherit;
	array(t, parent->child)[child_pos(parent, slot_of(t, &c->key, parent->depth))] = block;
	arena_free(t->control, c->child, array_bytes(1));
	cnode_free(t, c);
	return child;
}

/* What is left of the path's i-th node: itself, or the one that takes its place, or NULL. */
static struct cnode *tidy(struct trie *t, const struct path *path, unsigned i)
{
	struct cnode *c = path->at[i], *parent = i ? path->at[i - 1] : NULL;

	if (c->n_routes)
		return c;
	if (c->children) {
		bool only = parent && t->shape->grouped && child_count(c) == 1;

		return only ? splice(t, parent, c) : c;
	}
	if (parent)
		child_remove(t, parent, slot_of(t, &c->key, parent->depth));
	else
		t->roots[first_of(t, &c->key)] = 0;
	cnode_free(t, c);
	return NULL;
}

/* The first node of the path that is in the same group as the i-th. */
static struct cnode *first_in_group(const struct trie *t, const struct path *path, unsigned i)
{
	unsigned group = group_of(path->at[i]->depth);

	while (t->shape->grouped && i && group_of(path->at[i - 1]->depth) == group)
		i--;
	return path->at[i];
}

/* The routes of the path's last node have changed: tidy up, build and publish, upwards as far as it
 * takes. */
static void publish(struct trie *t, struct path *path)
{
	unsigned index = first_of(t, &path->at[0]->key);

	for (unsigned i = path->n; i--;) {
		struct cnode *first = first_in_group(t, path, i);
		struct cnode *by = i ? path->at[i - 1] : NULL, *c;
		bool inside = first->listed && first != path->at[i];
		unsigned from = t->shape->first;

		c = tidy(t, path, i);
		if (inside) /* shown in first's list */
			continue;
		if (by) { /* whoever shows what leads to c */
			first = first_in_group(t, path, i - 1);
			if (first->listed)
				by = first;
			from = first->listed ? TRIE_GROUP * (group_of(by->depth) + 1)
					     : by->depth + stride_of(t, by->depth);
		}
		if (c) {
			path->at[i] = c;
			first = first_in_group(t, path, i);
			if (first != c && trie_show_lists(t, first))
				continue; /* and so will it be now */
			trie_show_refresh(t, c, from, c->inherit);
		}
		if (!by)
			trie_show_first(t, index, c ? c->edge : 0);
		else if (!c || !trie_show_edge(t, by, c))
			continue;
		break;
	}
	trie_show_retire(t);
}

/* The node below c on the way to a route of this length: there, or made, also in the middle of a
 * skip. */
static struct cnode *step(struct trie *t, struct cnode *c, const struct trie_key *key, unsigned len)
{
	unsigned slot = slot_of(t, key, c->depth), depth = depth_of(t, len);
	struct cnode *below = child_at(t, c, slot), *fresh;

	if (!t->shape->grouped)
		depth = c->depth + TRIE_STRIDE;
	if (below) {
		unsigned common = common_bits(&below->key, key);

		if (below->depth <= depth && common >= below->depth)
			return below;
		if (depth > common) /* where the ways part */
			depth = depth_of(t, common + 1);
	}
	fresh = cnode_create(t, key, depth, slot_value(t, c, slot));
	if (below) {
		child_add(t, fresh, slot_of(t, &below->key, depth), below);
		array(t, c->child)[child_pos(c, slot)] = block_of(t, fresh);
	} else {
		child_add(t, c, slot, fresh);
	}
	return fresh;
}

/* The way to the node in which the route ends. NULL when not there and not to be made. */
static struct cnode *descend(
	struct trie *t, const struct trie_key *key, unsigned len, bool make, struct path *path)
{
	uint32_t *root = &t->roots[first_of(t, key)];
	unsigned end = depth_of(t, len);
	struct cnode *c;

	if (!*root) {
		if (!make)
			return NULL;
		*root = block_of(t, cnode_create(t, key, t->shape->first, 0));
	}
	trie_show_ask(t, key);
	c = cnode(t, *root);
	path->n = 0;
	path->at[path->n++] = c;
	while (c->depth < end) {
		c = make ? step(t, c, key, len) : child_at(t, c, slot_of(t, key, c->depth));
		if (!c || c->depth > end || common_bits(&c->key, key) < c->depth)
			return NULL;
		path->at[path->n++] = c;
	}
	__builtin_prefetch(array(t, c->value));
	__builtin_prefetch(trie_at(t->base, c->node));
	return c;
}

static int long_set(struct trie *t, const struct trie_key *key, unsigned len, uint32_t value)
{
	struct path path;
	struct cnode *c = descend(t, key, len, false, &path);
	unsigned r = route_bit(t, key, depth_of(t, len), len);
	bool known = c && route_has(c, r);

	if (known && array(t, c->value)[route_pos(c, r)] == value)
		return 0;
	if (reserve(t, count_within(t, key, len), value))
		return -ENOMEM;
	c = descend(t, key, len, true, &path);
	if (known) {
		array(t, c->value)[route_pos(c, r)] = value;
	} else {
		array_insert(t, &c->value, c->n_routes, route_pos(c, r), value);
		c->routes[r / 64] |= 1ull << r % 64;
		c->n_routes++;
		t->n_long++;
	}
	publish(t, &path);
	trie_show_resize(t);
	return 0;
}

static int long_del(struct trie *t, const struct trie_key *key, unsigned len)
{
	struct path path;
	struct cnode *c = descend(t, key, len, false, &path);
	unsigned r = route_bit(t, key, depth_of(t, len), len);

	if (!c || !route_has(c, r))
		return -ENOENT;
	if (reserve(t, count_within(t, key, len), 0))
		return -ENOMEM;
	array_remove(t, &c->value, c->n_routes, route_pos(c, r));
	c->routes[r / 64] &= ~(1ull << r % 64);
	c->n_routes--;
	t->n_long--;
	publish(t, &path);
	trie_show_resize(t);
	return 0;
}

/* Prefixes of at most TRIE_TOP_BITS: value 0 deletes. */
static int brief_set(struct trie *t, const struct trie_key *key, unsigned len, uint32_t value)
{
	unsigned bits = len ? (unsigned)(key->hi >> (64 - len)) : 0, at = 1u << len | bits;
	uint32_t before = t->brief ? t->brief[at] : 0;

	if (!before && !value)
		return -ENOENT;
	if (before == value)
		return 0;
	if (!t->brief)
		t->brief = calloc(2u << TRIE_TOP_BITS, sizeof(*t->brief));
	if (!t->brief)
		return -ENOMEM;
	t->brief[at] = value;
	if (!before)
		t->n_brief++;
	if (!value)
		t->n_brief--;
	if (!trie_show_top(t, at)) {
		if (!t->n_brief) {
			free(t->brief);
			t->brief = NULL;
		}
		return 0;
	}
	t->brief[at] = before;
	if (!before)
		t->n_brief--;
	if (!value)
		t->n_brief++;
	return -ENOMEM;
}

int trie_set(struct trie *t, const struct trie_key *key, unsigned len, uint32_t value)
{
	struct trie_key cut;

	if (len > t->shape->bits || !value || value > FIB_VALUE_MAX)
		return -EINVAL;
	cut = key_cut(key, len);
	return len > TRIE_TOP_BITS ? long_set(t, &cut, len, value) : brief_set(t, &cut, len, value);
}

int trie_del(struct trie *t, const struct trie_key *key, unsigned len)
{
	struct trie_key cut;

	if (len > t->shape->bits)
		return -ENOENT;
	cut = key_cut(key, len);
	return len > TRIE_TOP_BITS ? long_del(t, &cut, len) : brief_set(t, &cut, len, 0);
}

struct trie *trie_create(const struct trie_shape *shape, fib_retire_fn retire)
{
	struct trie *t = aligned_alloc(alignof(struct trie), sizeof(*t));

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->shape = shape;
	t->retire = retire;
	t->lookup = arena_create();
	t->control = arena_create();
	t->roots = calloc((size_t)1 << shape->first, sizeof(*t->roots));
	if (t->lookup && t->control && t->roots && !trie_show_init(t))
		return t;
	trie_destroy(t);
	return NULL;
}

void trie_destroy(struct trie *t)
{
	if (!t)
		return;
	arena_destroy(t->lookup);
	arena_destroy(t->control);
	free(t->roots);
	free(t->brief);
	free(t->old);
	free(t);
}

void trie_usage(const struct trie *t, struct fib_usage *ret_usage)
{
	ret_usage->routes = t->n_brief + t->n_long;
	ret_usage->lookup_bytes = arena_bytes(t->lookup) + t->n_leaves * TRIE_LEAF_BYTES;
	ret_usage->control_bytes = sizeof(*t) + arena_bytes(t->control) +
				   (sizeof(*t->roots) << t->shape->first) +
				   t->old_max * sizeof(*t->old) +
				   (t->brief ? sizeof(*t->brief) << (TRIE_TOP_BITS + 1) : 0);
}
