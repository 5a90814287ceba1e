/* Long walks over the RIB in slices: after a dump, dropping the routes it did not show (those with
 * an old generation; after a dump of one interface's routes only those over it), and taking a RIB
 * apart when its VRF goes. The trie must not change under a walk, so a walk only collects prefixes,
 * and they are worked on between walks; the cursor is a prefix, which need not exist any more when
 * the walk resumes. Control thread only; called from resync.c and mirror.c within their budget. */
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

#define BATCH	   64
#define LOOK_EVERY 128 /* nodes between two looks at the clock */
#define CLEAR_STEP 64

struct sweep {
	const struct mirror_vrf *mv;
	const struct rib *rib;
	uint64_t end_ns;
	uint16_t gen;
	unsigned seen, n;
	struct ip_prefix last;
	struct ip_prefix batch[BATCH];
};

/* Would a dump of the routes over this interface have shown it? */
static bool over(const struct nhset *set, int ifindex)
{
	for (unsigned i = 0; i < set->key.n_legs; i++)
		if (set->key.legs[i].ifindex == ifindex)
			return true;
	return false;
}

static bool swept(const struct rib_route *route, const void *arg)
{
	const struct sweep *s = arg;

	return route->table != RIB_NEIGHBOUR && route->gen != s->gen &&
	       (!s->mv->sync.ifindex || over(route->set, s->mv->sync.ifindex));
}

static bool collect(struct rib_node *node, void *arg)
{
	struct sweep *s = arg;
	const struct rib_route *route = node->routes;

	while (route && !swept(route, s))
		route = route->next;
	if (route)
		s->batch[s->n++] = rib_prefix(s->rib, node);
	if (s->n == BATCH || (++s->seen % LOOK_EVERY == 0 && now_ns() > s->end_ns)) {
		s->last = rib_prefix(s->rib, node);
		return false;
	}
	return true;
}

bool mirror_route_sweep(struct mirror_vrf *mv, uint8_t af, uint64_t end_ns)
{
	struct rib *rib = mirror_rib(mv, af);
	struct sweep s = { .mv = mv,
		.rib = rib,
		.end_ns = end_ns,
		.gen = mv->gen[af == AF_INET ? MIRROR_ROUTE4 : MIRROR_ROUTE6] };
	bool more;

	do {
		s.n = 0;
		more = rib_walk(rib, NULL, &mv->sync.cursor, collect, &s);
		if (more)
			mv->sync.cursor = s.last;
		for (unsigned i = 0; i < s.n; i++)
			mirror_route_drop(mv, rib, &s.batch[i], swept, &s);
		mv->sync.changes += s.n;
	} while (more && now_ns() < end_ns);
	return !more;
}

static void node_gone(struct rib_node *node, void *arg)
{
	struct nhset *set = legs_of_group(node->group);
	struct rib_route *route;

	(void)arg;
	while ((route = node->routes)) {
		node->routes = route->next;
		legs_put(route->set);
		free(route);
	}
	if (set)
		legs_unuse(set);
}

bool mirror_route_clear(struct mirror_vrf *mv, uint64_t end_ns)
{
	bool done;

	do
		done = rib_clear(&mv->rib[0], CLEAR_STEP, node_gone, mv) &&
		       rib_clear(&mv->rib[1], CLEAR_STEP, node_gone, mv);
	while (!done && now_ns() < end_ns);
	return done;
}
