/* The IPv4 forwarding table: a compressed trie (trie.c) whose root answers for 12 bits, for 18 once
 * it is large.
 *
 * Control sets and deletes; workers look up in bulk. A lookup is one word of the root table, then
 * one node for every 6 bits: for a /24 in a large table one node, two dependent cache lines. Both
 * steps are done for all packets alike, without a branch: every word of the root names a node, if
 * need be one that says the same for all slots. The first loop asks for the nodes of all packets,
 * the second finds them there. What is left, found in one mask, is rare: nodes further down, and
 * addresses that only a short prefix covers (`top` in trie.c). */
#include <stdlib.h>
#include "trie.h"

#define CHUNK 64u

#define SMALL_BITS 12u
#define LARGE_BITS (SMALL_BITS + TRIE_STRIDE)

static const struct trie_shape shape = { .first = SMALL_BITS, .bits = 32, .grouped = false };

/* To everybody else a table is a struct fib4, which is nowhere defined. */
static struct trie *trie_of(const struct fib4 *fib)
{
	return (struct trie *)(uintptr_t)fib;
}

struct fib4 *fib4_create(fib_retire_fn retire)
{
	return (struct fib4 *)trie_create(&shape, retire);
}

void fib4_destroy(struct fib4 *fib)
{
	trie_destroy(trie_of(fib));
}

static struct trie_key key_of(const uint8_t *p)
{
	uint32_t addr = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

	return (struct trie_key){ (uint64_t)addr << 32, 0 };
}

int fib4_set(struct fib4 *fib, const uint8_t prefix[4], unsigned len, uint32_t value)
{
	struct trie_key key = key_of(prefix);

	return trie_set(trie_of(fib), &key, len, value);
}

int fib4_del(struct fib4 *fib, const uint8_t prefix[4], unsigned len)
{
	struct trie_key key = key_of(prefix);

	return trie_del(trie_of(fib), &key, len);
}

void fib4_usage(const struct fib4 *fib, struct fib_usage *ret_usage)
{
	trie_usage(trie_of(fib), ret_usage);
}

static inline const struct trie_node *root_node(
	const struct trie_view *v, uint32_t addr, unsigned bits)
{
	return trie_node(v->base, trie_load(&v->root[addr >> (32 - bits)]));
}

/* From the slot of this node down to a value. bits: the address from that slot's bits on. */
static inline uint32_t walk(const char *base, const struct trie_node *node, uint32_t bits)
{
	uint32_t word = trie_word(node, trie_item(node, bits >> (32 - TRIE_STRIDE)));

	while (trie_is_ref(word)) {
		bits <<= TRIE_STRIDE;
		node = trie_node(base, word);
		word = trie_word(node, trie_item(node, bits >> (32 - TRIE_STRIDE)));
	}
	return word & ~TRIE_VALUE;
}

/* What the straight line has no answer for. */
static __attribute__((noinline)) uint32_t lookup_rest(const struct trie_view *before, uint32_t addr)
{
	struct trie_view v = *before;

	for (;; v = trie_view(v.trie)) {
		uint32_t value = walk(v.base, root_node(&v, addr, v.bits), addr << v.bits);

		if (value || trie_brief(&v, addr, &value))
			return value;
	}
}

/* At most CHUNK lookups, all in the table seen as *view; bits: of its root. Or, with bits = 0, each
 * in a table of its own, view[i]. near: do not ask first. Constant where this is inlined. */
static inline __attribute__((always_inline)) void lookup_chunk(const struct trie_view *view,
	const uint32_t *addr, uint32_t *ret_value, unsigned n, const unsigned bits, const bool near)
{
	const struct trie_view one = *view;
	const struct trie_node *node[CHUNK];
	alignas(16) uint16_t item[CHUNK];

#pragma GCC unroll 4
	for (unsigned i = 0; i < n && !near; i++) {
		const struct trie_view v = bits ? one : view[i];

		node[i] = root_node(&v, addr[i], bits ? bits : v.bits);
		__builtin_prefetch(node[i]);
		__builtin_prefetch((const char *)node[i] + 24); /* most nodes end there */
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < n; i++) {
		unsigned shift = 32 - TRIE_STRIDE - (bits ? bits : view[i].bits);

		item[i] = trie_item(
			near ? root_node(&one, addr[i], bits) : node[i], addr[i] >> shift);
	}
	for (unsigned i = 0; i < n; i++)
		ret_value[i] = item[i];
	for (uint64_t odd = trie_odd(item, n); odd; odd &= odd - 1) {
		unsigned i = (unsigned)__builtin_ctzll(odd);

		ret_value[i] = lookup_rest(bits ? view : &view[i], addr[i]);
	}
}

/* A small root answers for next to nobody: no straight line, but all is near. */
static void lookup_small(
	const struct trie_view *view, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	const struct trie_view one = *view;

	for (unsigned i = 0; i < n; i++) {
		uint32_t value =
			walk(one.base, root_node(&one, addr[i], SMALL_BITS), addr[i] << SMALL_BITS);

		ret_value[i] = value ? value : lookup_rest(view, addr[i]);
	}
}

static void lookup_near(
	const struct trie_view *view, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	lookup_chunk(view, addr, ret_value, n, LARGE_BITS, true);
}

static void lookup_far(
	const struct trie_view *view, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	lookup_chunk(view, addr, ret_value, n, LARGE_BITS, false);
}

static void lookup_mixed(
	const struct fib4 *const *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	struct trie_view view[CHUNK];

	for (unsigned i = 0; i < n; i++)
		view[i] = trie_view(trie_of(fib[i]));
	lookup_chunk(view, addr, ret_value, n, 0, false);
}

void fib4_lookup_same(const struct fib4 *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; addr += chunk, ret_value += chunk, n -= chunk) {
		const struct trie_view view = trie_view(trie_of(fib));

		chunk = n < CHUNK ? n : CHUNK;
		if (view.bits == SMALL_BITS)
			lookup_small(&view, addr, ret_value, chunk);
		else if (view.near)
			lookup_near(&view, addr, ret_value, chunk);
		else
			lookup_far(&view, addr, ret_value, chunk);
	}
}

void fib4_lookup_bulk(
	const struct fib4 *const *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; fib += chunk, addr += chunk, ret_value += chunk, n -= chunk) {
		chunk = n < CHUNK ? n : CHUNK;
		if (trie_same((const void *const *)fib, chunk))
			fib4_lookup_same(fib[0], addr, ret_value, chunk);
		else
			lookup_mixed(fib, addr, ret_value, chunk);
	}
}
