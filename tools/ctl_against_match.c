/* Which object of the documents is which link of ours.
 *
 * A pair scores for everything that fits: the id most, then addresses, then circuit and VLAN. Pairs
 * are taken from the best down, each link and each object once, so that of the two tunnels of one
 * connection each finds its own. A VLAN alone makes no pair, and neither does a circuit alone: a
 * pair that should not be would name differences that are none. Everything that can differ and be
 * named (VLAN, one address, even the id) may differ and the pair still be found. */
#include <stdlib.h>
#include <string.h>
#include "ctl_against.h"

#define SCORE_ID      8
#define SCORE_ADDRESS 4
#define SCORE_NETWORK 3
#define SCORE_CIRCUIT 2
#define SCORE_VLAN    2
#define SCORE_LEAST   4

struct pair {
	unsigned link, view;
	int score;
};

static bool same(const char *a, const char *b)
{
	return a && b && !strcasecmp(a, b);
}

static bool same_address(const struct ip_prefix *a, const struct ip_addr *b)
{
	return a->af && a->af == b->af && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int score_session(const struct half_session *ours, const struct cloud_session *s)
{
	struct ip_addr our_addr = ip_prefix_addr(&ours->ours);
	bool a = s->ours.at && same_address(&s->ours.p, &our_addr),
	     b = s->theirs.at && same_address(&s->theirs.p, &ours->theirs);

	if (!s->at || !ours->ours.af)
		return 0;
	if (a || b)
		return SCORE_ADDRESS * (a + b);
	if ((s->theirs.at && same_address(&s->theirs.p, &our_addr)) ||
		(s->ours.at && same_address(&s->ours.p, &ours->theirs)))
		return SCORE_ADDRESS; /* swapped */
	if (s->ours.at) {
		struct ip_addr theirs = ip_prefix_addr(&s->ours.p);

		return ip_prefix_contains(&ours->ours, &theirs) ? SCORE_NETWORK : 0;
	}
	return 0;
}

static int score(const struct half *half, const struct cloud_view *view)
{
	const struct cfg_link *link = half->link;
	const char *circuit = link->circuit ? link->circuit->id : NULL;
	int sum = 0;

	if (half->provider >= 0 && half->provider != (int)view->provider)
		return 0;
	if (same(link->id, view->id) || same(link->id, view->name))
		sum += SCORE_ID;
	else if (link->id && view->id)
		sum -= SCORE_VLAN; /* another object may fit better */
	if (same(circuit, view->parent) || same(circuit, view->id))
		sum += SCORE_CIRCUIT;
	if (view->vlan.at && link->vlan && link->vlan == view->vlan.n)
		sum += SCORE_VLAN;
	if (view->outside.at && same_address(&view->outside.p, &link->remote))
		sum += SCORE_ID;
	if (view->tunnel != half->tunnel)
		sum -= SCORE_NETWORK;
	for (int i = 0; i < 2; i++)
		sum += score_session(&half->s[i], &view->s[i]);
	return sum;
}

static int by_score(const void *x, const void *y)
{
	const struct pair *a = x, *b = y;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	if (a->link != b->link)
		return a->link < b->link ? -1 : 1;
	return a->view < b->view ? -1 : a->view > b->view;
}

/* Only as many pairs of a link as could matter are kept: the best. */
#define PAIRS_OF_LINK 16

static unsigned best_of(
	const struct cloud *cloud, const struct half *halves, unsigned link, struct pair *pairs)
{
	struct pair kept[PAIRS_OF_LINK + 1];
	unsigned n = 0;

	for (unsigned v = 0; v < cloud->n; v++) {
		int points = score(&halves[link], &cloud->views[v]);

		if (points < SCORE_LEAST)
			continue;
		kept[n++] = (struct pair){ link, v, points };
		if (n > PAIRS_OF_LINK) {
			qsort(kept, n, sizeof(*kept), by_score);
			n = PAIRS_OF_LINK;
		}
	}
	memcpy(pairs, kept, n * sizeof(*kept));
	return n;
}

const struct cloud_view **against_match(
	const struct cloud *cloud, const struct half *halves, unsigned n)
{
	const struct cloud_view **found =
		pool_array(cloud->pool, n + 1, sizeof(struct cloud_view *));
	struct pair *pairs = pool_array(cloud->pool, (size_t)n * PAIRS_OF_LINK + 1, sizeof(*pairs));
	bool *taken = pool_array(cloud->pool, cloud->n + 1, sizeof(*taken));
	unsigned n_pairs = 0;

	for (unsigned i = 0; i < n; i++)
		n_pairs += best_of(cloud, halves, i, pairs + n_pairs);
	qsort(pairs, n_pairs, sizeof(*pairs), by_score);
	for (unsigned i = 0; i < n_pairs; i++) {
		if (found[pairs[i].link] || taken[pairs[i].view])
			continue;
		found[pairs[i].link] = &cloud->views[pairs[i].view];
		taken[pairs[i].view] = true;
	}
	return found;
}
