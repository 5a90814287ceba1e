/* The routes of one VRF and family: a path-compressed binary trie (a patricia trie with the prefix
 * kept in every node). mirror_route.c fills it from netlink, views and the auditor read it. A node
 * costs 34 bytes for IPv4 and 46 for IPv6 before malloc rounds; a prefix at most one node and one
 * fork. There are no parent pointers: every operation starts at the root and keeps what it needs on
 * the stack, so a walk may be interrupted, the trie changed, and the walk resumed after a key that
 * is no longer there. Recursion is not used: depth is bounded by the address length, stacks are
 * arrays. Control thread only. */
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include "rib.h"

#define DEPTH_MAX 130 /* a node per bit, the root, and one to spare */

static unsigned key_size(const struct rib *rib)
{
	return ip_size(rib->af);
}

static unsigned bit_at(const uint8_t *key, unsigned bit)
{
	return key[bit / 8] >> (7 - bit % 8) & 1;
}

static unsigned common32(const uint8_t *a, const uint8_t *b)
{
	uint32_t x, y;

	memcpy(&x, a, 4);
	memcpy(&y, b, 4);
	return x == y ? 32 : (unsigned)__builtin_clz(be32toh(x ^ y));
}

static unsigned common64(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	return x == y ? 64 : (unsigned)__builtin_clzll(be64toh(x ^ y));
}

/* How many leading bits two keys share, not counting beyond limit. */
static unsigned common(const struct rib *rib, const uint8_t *a, const uint8_t *b, unsigned limit)
{
	unsigned n;

	if (rib->af == AF_INET) {
		n = common32(a, b);
	} else {
		n = common64(a, b);
		if (n == 64 && limit > 64)
			n += common64(a + 8, b + 8);
	}
	return n < limit ? n : limit;
}

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static struct rib_node *node_new(struct rib *rib, const uint8_t *key, unsigned len)
{
	struct rib_node *node = calloc(1, sizeof(*node) + key_size(rib));

	if (!node)
		return NULL;
	node->len = len;
	memcpy(node->key, key, (len + 7) / 8);
	if (len % 8)
		node->key[len / 8] &= 0xff << (8 - len % 8);
	rib->nodes++;
	return node;
}

static void node_free(struct rib *rib, struct rib_node *node)
{
	rib->nodes--;
	free(node);
}

void rib_init(struct rib *rib, uint8_t af)
{
	memset(rib, 0, sizeof(*rib));
	rib->af = af;
}

struct ip_prefix rib_prefix(const struct rib *rib, const struct rib_node *node)
{
	struct ip_prefix prefix = { .af = rib->af, .len = node->len };

	memcpy(prefix.bytes, node->key, key_size(rib));
	return prefix;
}

/* Put a fork between *slot and the node below it, or a node above it when new_len is the fork
 * itself. */
static struct rib_node *split(
	struct rib *rib, struct rib_node **slot, const struct ip_prefix *prefix, unsigned shared)
{
	struct rib_node *below = *slot, *fork, *leaf;

	leaf = node_new(rib, prefix->bytes, prefix->len);
	if (!leaf)
		return NULL;
	if (shared == prefix->len) { /* the new prefix covers what is below */
		leaf->child[bit_at(below->key, shared)] = below;
		*slot = leaf;
		return leaf;
	}
	fork = node_new(rib, prefix->bytes, shared);
	if (!fork) {
		node_free(rib, leaf);
		return NULL;
	}
	fork->child[bit_at(below->key, shared)] = below;
	fork->child[bit_at(prefix->bytes, shared)] = leaf;
	*slot = fork;
	return leaf;
}

struct rib_node *rib_get(struct rib *rib, const struct ip_prefix *prefix, bool *ret_under)
{
	struct rib_node **slot = &rib->root, *node;
	bool under = false;

	while ((node = *slot)) {
		unsigned shared =
			common(rib, node->key, prefix->bytes, min(node->len, prefix->len));

		if (shared < node->len) {
			node = split(rib, slot, prefix, shared);
			break;
		}
		if (node->len == prefix->len)
			break;
		under |= node->flags & RIB_CONNECTED;
		slot = &node->child[bit_at(prefix->bytes, node->len)];
	}
	if (!*slot)
		node = *slot = node_new(rib, prefix->bytes, prefix->len);
	*ret_under = under;
	return node;
}

struct rib_node *rib_find(const struct rib *rib, const struct ip_prefix *prefix, bool *ret_under)
{
	struct rib_node *node = rib->root;
	bool under = false;

	while (node && node->len < prefix->len) {
		under |= node->flags & RIB_CONNECTED;
		node = node->child[bit_at(prefix->bytes, node->len)];
	}
	if (ret_under)
		*ret_under = under;
	if (!node || node->len != prefix->len ||
		common(rib, node->key, prefix->bytes, prefix->len) != prefix->len)
		return NULL;
	return node->routes || node->group ? node : NULL;
}

struct rib_node *rib_match(const struct rib *rib, const struct ip_addr *addr,
	bool (*accept)(const struct rib_node *node))
{
	struct rib_node *node = rib->root, *best = NULL;
	unsigned bits = ip_bits(rib->af);

	while (node && common(rib, node->key, addr->bytes, node->len) == node->len) {
		if (accept(node))
			best = node;
		if (node->len == bits)
			break;
		node = node->child[bit_at(addr->bytes, node->len)];
	}
	return best;
}

static bool idle(const struct rib_node *node)
{
	return !node->routes && !node->group;
}

void rib_prune(struct rib *rib, const struct ip_prefix *prefix)
{
	struct rib_node **slot = &rib->root, **above = NULL, *node, *parent;

	while ((node = *slot) && node->len < prefix->len) {
		above = slot;
		slot = &node->child[bit_at(prefix->bytes, node->len)];
	}
	if (!node || node->len != prefix->len || !idle(node) ||
		common(rib, node->key, prefix->bytes, prefix->len) != prefix->len)
		return;
	if (node->child[0] && node->child[1])
		return; /* it stays as a fork */
	*slot = node->child[0] ? node->child[0] : node->child[1];
	node_free(rib, node);
	if (*slot || !above)
		return;
	parent = *above; /* a leaf went: a fork above it with one child left is none */
	if (idle(parent)) {
		*above = parent->child[0] ? parent->child[0] : parent->child[1];
		node_free(rib, parent);
	}
}

/* What of node's surroundings lies after the key *after: pushed so that the nearest is on top. */
static unsigned push_after(
	const struct rib *rib, const struct ip_prefix *after, struct rib_node **stack)
{
	struct rib_node *node = rib->root;
	unsigned n = 0;

	while (node) {
		unsigned shared = common(rib, node->key, after->bytes, min(node->len, after->len));

		if (shared < node->len) { /* below the key, or beside it: after it when its bit is
					     the larger */
			if (shared == after->len || bit_at(node->key, shared))
				stack[n++] = node;
			break;
		}
		if (node->len == after->len) {
			if (node->child[1])
				stack[n++] = node->child[1];
			if (node->child[0])
				stack[n++] = node->child[0];
			break;
		}
		if (!bit_at(after->bytes, node->len) && node->child[1])
			stack[n++] = node->child[1];
		node = node->child[bit_at(after->bytes, node->len)];
	}
	return n;
}

bool rib_walk(const struct rib *rib, const struct ip_prefix *within, const struct ip_prefix *after,
	rib_visit visit, void *arg)
{
	struct rib_node *stack[DEPTH_MAX + 2], *node;
	unsigned n = 0;

	if (after && after->af == rib->af)
		n = push_after(rib, after, stack);
	else if (rib->root)
		stack[n++] = rib->root;
	while (n) {
		node = stack[--n];
		if (within) {
			unsigned len = min(node->len, within->len);

			if (common(rib, node->key, within->bytes, len) != len)
				continue;
			if (node->len < within->len) { /* above it: only one way leads there */
				node = node->child[bit_at(within->bytes, node->len)];
				if (node)
					stack[n++] = node;
				continue;
			}
		}
		if (node->child[1])
			stack[n++] = node->child[1];
		if (node->child[0])
			stack[n++] = node->child[0];
		if (!idle(node) && !visit(node, arg))
			return true;
	}
	return false;
}

bool rib_clear(
	struct rib *rib, unsigned max, void (*gone)(struct rib_node *node, void *arg), void *arg)
{
	while (rib->root && max) {
		struct rib_node **slot = &rib->root, *node;

		while ((*slot)->child[0] || (*slot)->child[1])
			slot = &(*slot)->child[(*slot)->child[0] ? 0 : 1];
		node = *slot;
		*slot = NULL;
		gone(node, arg);
		node_free(rib, node);
		max--;
	}
	return !rib->root;
}
