/* The IPv6 forwarding table: a compressed trie (trie.c) whose root answers for 10 bits, for 16 once
 * it is large.
 *
 * As fib4.c, with more levels and fewer of them filled. Levels end at every 16th bit. 16 bits of
 * few routes are one list, whose ranges are compared all at once; of many, three nodes; a skip
 * compares up to 128 bits, so that a lone route costs one block however long it is. In lookups each
 * round takes every packet that is not done by 16 bits and asks for its next block; who comes to a
 * skip goes on alone, it is nearly there. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "trie.h"

#define CHUNK 64u

#define SMALL_BITS 10u
#define LARGE_BITS (SMALL_BITS + TRIE_STRIDE)

static const struct trie_shape shape = { .first = SMALL_BITS, .bits = 128, .grouped = true };

/* To everybody else a table is a struct fib6, which is nowhere defined. */
static struct trie *trie_of(const struct fib6 *fib)
{
	return (struct trie *)(uintptr_t)fib;
}

struct fib6 *fib6_create(fib_retire_fn retire)
{
	return (struct fib6 *)trie_create(&shape, retire);
}

void fib6_destroy(struct fib6 *fib)
{
	trie_destroy(trie_of(fib));
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

	return trie_set(trie_of(fib), &key, len, value);
}

int fib6_del(struct fib6 *fib, const uint8_t prefix[16], unsigned len)
{
	struct trie_key key = key_of(prefix);

	return trie_del(trie_of(fib), &key, len);
}

void fib6_usage(const struct fib6 *fib, struct fib_usage *ret_usage)
{
	trie_usage(trie_of(fib), ret_usage);
}

/* 16 bits from this byte on. */
static inline uint16_t group_at(const uint8_t *addr, unsigned byte)
{
	uint16_t be;

	memcpy(&be, addr + byte, sizeof(be));
	return be16toh(be);
}

static bool skip_hits(const struct trie_skip *skip, unsigned len, const uint8_t *addr)
{
	if (len <= 64)
		return !((half(addr) ^ skip->hi) >> (64 - len));
	return half(addr) == skip->hi && !((half(addr + 8) ^ skip->lo[0]) >> (128 - len));
}

/* From this word, which decides from bit `depth` on, to the value. */
static uint32_t walk(const char *base, uint32_t word, const uint8_t *addr, unsigned depth)
{
	while (trie_is_ref(word)) {
		const void *block = trie_at(base, word);

		if (word & TRIE_SKIP) {
			const struct trie_skip *skip = block;

			depth = skip->miss_len & 0xff;
			if (!skip_hits(skip, depth, addr))
				return skip->miss_len >> 8;
			word = skip->hit;
		} else if (word & TRIE_LIST) {
			word = trie_word(block, trie_list_item(block, group_at(addr, depth / 8)));
			depth += TRIE_GROUP;
		} else {
			uint64_t bits =
				depth < 64 ? half(addr) << depth : half(addr + 8) << (depth - 64);

			word = trie_word(block, trie_item(block, (uint32_t)(bits >> 58)));
			depth += depth % TRIE_GROUP == 12 ? 4 : TRIE_STRIDE;
		}
	}
	return word & ~TRIE_VALUE;
}

/* The three nodes of a group; from a skip on, the whole way. */
static inline uint32_t through_nodes(
	const char *base, uint32_t word, const uint8_t *addr, unsigned depth)
{
	uint32_t bits = (uint32_t)group_at(addr, depth / 8) << 2;

	for (unsigned shift = 12;; shift -= TRIE_STRIDE, depth += TRIE_STRIDE) {
		const struct trie_node *n = trie_node(base, word);

		word = trie_word(n, trie_item(n, bits >> shift));
		if (!shift || !trie_is_ref(word))
			return word;
		if (word & TRIE_SKIP)
			return TRIE_VALUE | walk(base, word, addr, depth + TRIE_STRIDE);
	}
}

/* The word that decides from bit LARGE_BITS on, whichever root there is; or a skip, done. */
static inline uint32_t start(const struct trie_view *v, const uint8_t *addr)
{
	uint16_t bits = group_at(addr, 0);
	uint32_t word;

	if (v->bits == LARGE_BITS)
		return trie_load(&v->root[bits]);
	word = trie_load(&v->root[bits >> TRIE_STRIDE]);
	if (word & TRIE_SKIP)
		return TRIE_VALUE | walk(v->base, word, addr, SMALL_BITS);
	return trie_word(trie_node(v->base, word), trie_item(trie_node(v->base, word), bits));
}

/* Nothing but a short prefix covers it, perhaps. */
static __attribute__((noinline)) uint32_t lookup_brief(
	const struct trie_view *before, const uint8_t *addr)
{
	struct trie_view v = *before;

	for (;;) {
		uint32_t value;

		if (trie_brief(&v, (uint32_t)(half(addr) >> 32), &value))
			return value;
		v = trie_view(v.trie);
		value = walk(v.base, start(&v, addr), addr, LARGE_BITS);
		if (value)
			return value;
	}
}

static inline void ask(const char *base, uint32_t word)
{
	const char *at = trie_at(base, word);

	__builtin_prefetch(at);
	__builtin_prefetch(at + 48); /* most lists end there */
}

/* At most CHUNK lookups, all in the table seen as *view, or each in its own, view[i]: constant
 * where this is inlined. */
static inline __attribute__((always_inline)) void lookup_chunk(const struct trie_view *view,
	const uint8_t *const *addr, uint32_t *ret_value, unsigned n, const bool mixed)
{
	const struct trie_view one = *view;
	uint32_t word[CHUNK];
	uint8_t active[CHUNK];
	unsigned n_active = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct trie_view v = mixed ? view[i] : one;

		word[i] = start(&v, addr[i]);
		ret_value[i] = word[i] & ~TRIE_VALUE;
		ask(v.base, word[i]);
		active[n_active] = (uint8_t)i;
		n_active += trie_is_ref(word[i]);
	}
	for (unsigned depth = LARGE_BITS; n_active; depth += TRIE_GROUP) {
		unsigned left = 0;

		for (unsigned j = 0; j < n_active; j++) {
			unsigned i = active[j];
			const char *base = mixed ? view[i].base : one.base;
			const struct trie_list *list = trie_at(base, word[i]);
			uint32_t next;

			if (word[i] & TRIE_LIST)
				next = trie_word(
					list, trie_list_item(list, group_at(addr[i], depth / 8)));
			else if (word[i] & TRIE_SKIP)
				next = TRIE_VALUE | walk(base, word[i], addr[i], depth);
			else
				next = through_nodes(base, word[i], addr[i], depth);
			ret_value[i] = next & ~TRIE_VALUE;
			if (!trie_is_ref(next))
				continue;
			word[i] = next;
			ask(base, next);
			active[left++] = (uint8_t)i;
		}
		n_active = left;
	}
	for (unsigned i = 0; i < n; i++)
		if (!ret_value[i])
			ret_value[i] = lookup_brief(mixed ? &view[i] : view, addr[i]);
}

void fib6_lookup_same(
	const struct fib6 *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; addr += chunk, ret_value += chunk, n -= chunk) {
		const struct trie_view view = trie_view(trie_of(fib));

		chunk = n < CHUNK ? n : CHUNK;
		lookup_chunk(&view, addr, ret_value, chunk, false);
	}
}

static void lookup_mixed(
	const struct fib6 *const *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n)
{
	struct trie_view view[CHUNK];

	for (unsigned i = 0; i < n; i++)
		view[i] = trie_view(trie_of(fib[i]));
	lookup_chunk(view, addr, ret_value, n, true);
}

void fib6_lookup_bulk(
	const struct fib6 *const *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n)
{
	for (unsigned chunk; n; fib += chunk, addr += chunk, ret_value += chunk, n -= chunk) {
		chunk = n < CHUNK ? n : CHUNK;
		if (trie_same((const void *const *)fib, chunk))
			fib6_lookup_same(fib[0], addr, ret_value, chunk);
		else
			lookup_mixed(fib, addr, ret_value, chunk);
	}
}
