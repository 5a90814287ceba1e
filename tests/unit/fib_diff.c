/* Forwarding tables against oracles that are too simple to be wrong: a list searched from end to
 * end, and for large tables a hash of (prefix, length) probed from the longest length down. Both
 * families, every kind of prefix of fib_table.h; every update is followed by lookups near it and
 * anywhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "fib_table.h"

static char why[160];

static const char *wrong(const struct table *t, const uint8_t *addr, uint32_t got, uint32_t want)
{
	char text[33] = "";

	for (unsigned i = 0; i < t->bits / 8; i++)
		sprintf(text + 2 * i, "%02x", addr[i]);
	snprintf(why, sizeof(why), "address %s: %u instead of %u", text, got, want);
	return why;
}

/* ---- a list ---- */
#define LIST_MAX 2000u

typedef unsigned __int128 bits128;

struct list {
	struct prefix prefix[LIST_MAX];
	bits128 bits[LIST_MAX], mask[LIST_MAX];
	uint32_t value[LIST_MAX];
	unsigned n;
};

static bits128 bits_of(const uint8_t *bytes)
{
	bits128 all = 0;

	for (unsigned i = 0; i < 16; i++)
		all = all << 8 | bytes[i];
	return all;
}

static int list_find(const struct list *l, const struct prefix *p)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->prefix[i].len == p->len && !memcmp(l->prefix[i].bytes, p->bytes, 16))
			return (int)i;
	return -1;
}

static void list_put(struct list *l, unsigned at, const struct prefix *p, uint32_t value)
{
	l->prefix[at] = *p;
	l->bits[at] = bits_of(p->bytes);
	l->mask[at] = p->len ? ~(bits128)0 << (128 - p->len) : 0;
	l->value[at] = value;
}

static void list_remove(struct list *l, unsigned at)
{
	l->n--;
	list_put(l, at, &l->prefix[l->n], l->value[l->n]);
}

static uint32_t list_lookup(const struct list *l, const uint8_t *addr)
{
	bits128 bits = bits_of(addr);
	int best = -1;

	for (unsigned i = 0; i < l->n; i++)
		if (!((bits ^ l->bits[i]) & l->mask[i]) &&
			(best < 0 || l->prefix[i].len > l->prefix[best].len))
			best = (int)i;
	return best < 0 ? 0 : l->value[best];
}

/* Of 8 updates `grow` add, the rest delete. The prefix it was about is left in *p. */
static bool list_step(struct table *t, struct list *l, struct prefix *p, unsigned grow)
{
	int at = list_find(l, p);
	uint32_t value = 1 + random_below(random_below(2) ? 3 : FIB_VALUE_MAX);
	struct prefix noisy;

	if (random_below(8) >= grow) {
		if (l->n && random_below(8)) {
			at = (int)random_below(l->n);
			*p = l->prefix[at];
		}
		if (table_del(t, p) != (at < 0 ? -ENOENT : 0))
			return false;
		if (at >= 0)
			list_remove(l, (unsigned)at);
		return true;
	}
	if (at < 0 && l->n == LIST_MAX)
		return true;
	noisy = *p; /* host bits are ignored */
	for (unsigned bit = p->len; bit < t->bits; bit++)
		noisy.bytes[bit / 8] |= (uint8_t)(random_next() & (0x80 >> bit % 8));
	if (table_set(t, &noisy, value))
		return false;
	list_put(l, at < 0 ? l->n++ : (unsigned)at, p, value);
	return true;
}

static const char *list_check(const struct table *t, const struct list *l, const struct prefix *p)
{
	uint8_t addr[4][16];
	uint32_t got[4];

	for (unsigned i = 0; i < 4; i++)
		near(i < 2 || !l->n ? p : &l->prefix[random_below(l->n)], t->bits, addr[i]);
	table_lookup(t, addr, got, 4, random_below(2));
	for (unsigned i = 0; i < 4; i++) {
		uint32_t want = list_lookup(l, addr[i]);

		if (got[i] != want)
			return wrong(t, addr[i], got[i], want);
	}
	return NULL;
}

static struct prefix random_prefix(unsigned bits, unsigned kind)
{
	return kind % 3 == 0   ? random_nested(bits)
	       : kind % 3 == 1 ? random_internet(bits)
			       : random_cloud(bits);
}

const char *fib_against_list(unsigned bits, unsigned updates)
{
	struct list *l = calloc(1, sizeof(*l));
	struct table t = table_create(bits, retire_now);
	const char *bad = l ? NULL : "no memory";

	seed = 4711 + bits;
	for (unsigned i = 0; i < updates && !bad; i++) {
		struct prefix p = random_prefix(bits, i / 7500);

		if (!list_step(&t, l, &p, i / 2500 % 2 ? 2 : 6))
			bad = "an update was refused";
		else
			bad = list_check(&t, l, &p);
	}
	if (!bad && table_usage(&t).routes != l->n)
		bad = "the number of routes";
	while (!bad && l->n)
		if (table_del(&t, &l->prefix[--l->n]))
			bad = "a delete was refused";
	if (!bad && table_usage(&t).routes)
		bad = "routes are left";
	table_destroy(&t);
	free(l);
	return bad;
}

/* ---- a hash ---- */
/* Open addressing, at most a quarter used; a deleted prefix stays with value 0. */
struct hash {
	struct prefix *prefix; /* n of all three */
	uint32_t *value;
	bool *used;
	unsigned n;
	unsigned of_len[129];
	struct prefix *known; /* n_known of them were added, and perhaps deleted */
	unsigned n_known, n_routes;
};

static bool hash_create(struct hash *h, unsigned most)
{
	memset(h, 0, sizeof(*h));
	for (h->n = 1024; h->n < 4 * most;)
		h->n *= 2;
	h->prefix = calloc(h->n, sizeof(*h->prefix));
	h->value = calloc(h->n, sizeof(*h->value));
	h->used = calloc(h->n, sizeof(*h->used));
	h->known = calloc(most, sizeof(*h->known));
	return h->prefix && h->value && h->used && h->known;
}

static void hash_destroy(struct hash *h)
{
	free(h->prefix);
	free(h->value);
	free(h->used);
	free(h->known);
}

static uint32_t *hash_slot(struct hash *h, const struct prefix *p, bool make)
{
	uint64_t k[2], x;

	memcpy(k, p->bytes, 16);
	x = (k[0] * 0x9e3779b97f4a7c15ull ^ k[1]) + p->len;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
	for (unsigned i = (unsigned)(x >> 32);; i++) {
		i &= h->n - 1;
		if (!h->used[i]) {
			if (!make)
				return NULL;
			h->used[i] = true;
			h->prefix[i] = *p;
			return &h->value[i];
		}
		if (h->prefix[i].len == p->len && !memcmp(h->prefix[i].bytes, p->bytes, 16))
			return &h->value[i];
	}
}

static uint32_t hash_lookup(struct hash *h, const uint8_t *addr, unsigned bits)
{
	for (int len = (int)bits; len >= 0; len--) {
		struct prefix p = { .len = (uint8_t)len };
		const uint32_t *value;

		if (!h->of_len[len])
			continue;
		memcpy(p.bytes, addr, 16);
		mask(p.bytes, (unsigned)len);
		value = hash_slot(h, &p, false);
		if (value && *value)
			return *value;
	}
	return 0;
}

static bool hash_step(struct table *t, struct hash *h, const struct prefix *p, bool add)
{
	uint32_t *value = hash_slot(h, p, add);
	bool known = value && *value;

	if (add) {
		uint32_t fresh = 1 + random_below(256);

		h->n_routes += !known;
		h->of_len[p->len] += !known;
		*value = fresh;
		return !table_set(t, p, fresh);
	}
	if (known) {
		h->n_routes--;
		h->of_len[p->len]--;
		*value = 0;
	}
	return table_del(t, p) == (known ? 0 : -ENOENT);
}

static const char *hash_check(const struct table *t, struct hash *h, const struct prefix *p)
{
	uint8_t addr[3][16];
	uint32_t got[3];

	near(p, t->bits, addr[0]);
	near(&h->known[random_below(h->n_known)], t->bits, addr[1]);
	random_bytes(addr[2], t->bits);
	table_lookup(t, addr, got, 3, random_below(2));
	for (unsigned i = 0; i < 3; i++) {
		uint32_t want = hash_lookup(h, addr[i], t->bits);

		if (got[i] != want)
			return wrong(t, addr[i], got[i], want);
	}
	return NULL;
}

/* Updates of which `add` in 16 add, and lookups after one in four, or sixteen. */
static const char *hash_phase(
	struct table *t, struct hash *h, unsigned most, unsigned updates, unsigned add)
{
	const char *bad = NULL;

	for (unsigned i = 0; i < updates && !bad; i++) {
		bool up = random_below(16) < add || !h->n_known;
		unsigned pick = random_below(h->n_known ? h->n_known : 1);
		struct prefix p = h->known[pick];

		if (up && (!h->n_known || random_below(4)) && h->n_known < most) {
			p = random_prefix(t->bits, random_below(16) ? 1 : random_below(3));
			h->known[h->n_known++] = p;
		} else if (!up && h->n_known > 1) {
			h->known[pick] = h->known[--h->n_known];
		}
		if (!hash_step(t, h, &p, up))
			bad = "an update was refused";
		else if (i % (t->bits / 8) == 0) /* the oracle is slow */
			bad = hash_check(t, h, &p);
	}
	return bad;
}

const char *fib_against_hash(unsigned bits, unsigned most)
{
	/* The table passes the size at which its root changes several times. */
	static const struct {
		unsigned of_4, add;
	} phase[] = { { 5, 16 }, { 3, 1 }, { 1, 14 }, { 2, 2 }, { 1, 10 } };
	struct table t = table_create(bits, retire_now);
	struct hash h;
	const char *bad = hash_create(&h, most) ? NULL : "no memory";

	seed = 815 + bits;
	for (unsigned i = 0; i < sizeof(phase) / sizeof(phase[0]) && !bad; i++)
		bad = hash_phase(&t, &h, most, most / 4 * phase[i].of_4, phase[i].add);
	if (!bad && table_usage(&t).routes != h.n_routes)
		bad = "the number of routes";
	table_destroy(&t);
	hash_destroy(&h);
	return bad;
}
