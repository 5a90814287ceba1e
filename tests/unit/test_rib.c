/* The trie against a sorted array: the same prefixes, the same answers, whatever the order of
 * changes; walks that resume after a key that is gone. test_mirror.c has what the mirror makes of
 * it. */
#include <stdlib.h>
#include <string.h>
#include "control/rib.h"
#include "unit.h"

#define N 600

static struct ip_prefix model[N * 2]; /* sorted */
static unsigned n_model;

static uint64_t rnd(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Few bits vary, so that prefixes nest, neighbour and repeat. */
static struct ip_prefix random_prefix(uint8_t af)
{
	struct ip_prefix p = { .af = af, .len = rnd() % (ip_bits(af) + 1) };

	for (unsigned i = 0; i < ip_size(af); i++)
		p.bytes[i] = rnd() % 4 ? (rnd() % 2 ? 0 : 0x80) : (uint8_t)rnd();
	ip_prefix_mask(&p);
	return p;
}

static int compare(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static bool model_has(const struct ip_prefix *p)
{
	return bsearch(p, model, n_model, sizeof(*p), compare);
}

static void model_add(const struct ip_prefix *p)
{
	model[n_model++] = *p;
	qsort(model, n_model, sizeof(*p), compare);
}

static void model_del(const struct ip_prefix *p)
{
	struct ip_prefix *at = bsearch(p, model, n_model, sizeof(*p), compare);

	memmove(at, at + 1, (size_t)(model + n_model - at - 1) * sizeof(*p));
	n_model--;
}

static bool any(const struct rib_node *node)
{
	return node->group;
}

static void check_match(const struct rib *rib)
{
	struct ip_prefix p = random_prefix(rib->af), *best = NULL;
	struct ip_addr addr = ip_prefix_addr(&p);
	struct rib_node *node = rib_match(rib, &addr, any);
	struct ip_prefix found;

	for (unsigned i = 0; i < n_model; i++)
		if (ip_prefix_contains(&model[i], &addr) && (!best || model[i].len >= best->len))
			best = &model[i];
	CU_ASSERT_EQUAL_FATAL(!node, !best);
	if (!node)
		return;
	found = rib_prefix(rib, node);
	CU_ASSERT_FATAL(ip_prefix_equal(&found, best));
}

struct walked {
	const struct rib *rib;
	unsigned n, max;
	struct ip_prefix seen[N * 2];
};

static bool note(struct rib_node *node, void *arg)
{
	struct walked *w = arg;

	w->seen[w->n++] = rib_prefix(w->rib, node);
	return w->n < w->max;
}

static void check_walk(
	const struct rib *rib, const struct ip_prefix *within, const struct ip_prefix *after)
{
	static struct walked w;
	unsigned k = 0;

	w = (struct walked){ .rib = rib, .max = N * 2 };
	CU_ASSERT_FALSE(rib_walk(rib, within, after, note, &w));
	for (unsigned i = 0; i < n_model; i++) {
		if (within && !ip_prefix_covers(within, &model[i]))
			continue;
		if (after && ip_prefix_compare(&model[i], after) <= 0)
			continue;
		CU_ASSERT_FATAL(k < w.n && ip_prefix_equal(&w.seen[k], &model[i]));
		k++;
	}
	CU_ASSERT_EQUAL_FATAL(k, w.n);
}

static void gone(struct rib_node *node, void *arg)
{
	unsigned *n = arg;

	*n += node->group != 0;
}

static void differential(uint8_t af)
{
	struct ip_prefix p, q;
	struct rib_node *node;
	struct rib rib;
	unsigned left = 0;
	bool under;

	rib_init(&rib, af);
	n_model = 0;
	for (unsigned i = 0; i < 12000; i++) {
		p = random_prefix(af);
		if (n_model && (n_model > N || rnd() % 2))
			p = model[rnd() % n_model]; /* one that is there */
		node = rib_find(&rib, &p, NULL);
		CU_ASSERT_EQUAL_FATAL(node != NULL, model_has(&p));
		if (node) {
			node->group = 0;
			rib_prune(&rib, &p);
			model_del(&p);
		} else {
			node = rib_get(&rib, &p, &under);
			CU_ASSERT_FATAL(node != NULL && !node->group);
			node->group = 1;
			model_add(&p);
		}
		check_match(&rib);
		if (i % 16)
			continue;
		q = random_prefix(af);
		check_walk(&rib, NULL, NULL);
		check_walk(&rib, NULL, &p); /* after what was just added, or is just gone */
		check_walk(&rib, NULL, &q);
		q.len %= 8;
		ip_prefix_mask(&q);
		check_walk(&rib, &q, NULL);
		check_walk(&rib, &q, &p);
	}
	CU_ASSERT(rib.nodes < 2 * n_model + 2); /* a prefix and at most one fork each */
	while (!rib_clear(&rib, 7, gone, &left))
		;
	CU_ASSERT_EQUAL(left, n_model);
	CU_ASSERT_EQUAL(rib.nodes, 0);
}

static void differential4(void)
{
	differential(AF_INET);
}

static void differential6(void)
{
	differential(AF_INET6);
}

/* In small steps, with everything shown so far deleted behind the walk. */
static void resumes(void)
{
	static struct walked w;
	struct ip_prefix cursor = { 0 }, p;
	struct rib rib;
	bool under, more;
	unsigned shown = 0;

	rib_init(&rib, AF_INET6);
	n_model = 0;
	while (n_model < N) {
		p = random_prefix(AF_INET6);
		if (model_has(&p))
			continue;
		rib_get(&rib, &p, &under)->group = 1;
		model_add(&p);
	}
	do {
		w = (struct walked){ .rib = &rib, .max = 7 };
		more = rib_walk(&rib, NULL, &cursor, note, &w);
		for (unsigned i = 0; i < w.n; i++, shown++) {
			CU_ASSERT_FATAL(ip_prefix_equal(&w.seen[i], &model[shown]));
			rib_find(&rib, &w.seen[i], NULL)->group = 0;
			rib_prune(&rib, &w.seen[i]);
			cursor = w.seen[i];
		}
	} while (more);
	CU_ASSERT_EQUAL(shown, N);
	CU_ASSERT_EQUAL(rib.nodes, 0);
}

static void under_connected(void)
{
	struct ip_prefix net = { .af = AF_INET, .len = 24, .bytes = { 10, 0, 0 } }, host = net;
	struct rib rib;
	bool under;
	unsigned left = 0;

	rib_init(&rib, AF_INET);
	rib_get(&rib, &net, &under)->group = 1;
	CU_ASSERT_FALSE(under);
	rib_find(&rib, &net, NULL)->flags = RIB_CONNECTED;
	host.len = 32;
	host.bytes[3] = 5;
	rib_get(&rib, &host, &under)->group = 1;
	CU_ASSERT_TRUE(under);
	CU_ASSERT_PTR_NOT_NULL(rib_find(&rib, &host, &under));
	CU_ASSERT_TRUE(under);
	host.bytes[2] = 1;
	rib_get(&rib, &host, &under)->group = 1;
	CU_ASSERT_FALSE(under);
	CU_ASSERT_TRUE(rib_clear(&rib, 100, gone, &left));
}

void unit_rib(void)
{
	static const struct unit_test tests[] = {
		{ "differential4", differential4 },
		{ "differential6", differential6 },
		{ "resumes", resumes },
		{ "under_connected", under_connected },
	};

	UNIT_SUITE("rib", tests);
}
