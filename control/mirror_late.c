/* A withdrawal waits a moment. FRR changes an IPv6 route by deleting it and adding it again, and a
 * script may do so with any route: two messages, some microseconds apart when they were sent, but
 * not always in one system call when they are read. Taken literally, every packet between the two
 * has no route, flows of legs that nobody touched among them. So a prefix whose last route by a
 * gateway went stays in the FIB for LATE_MS: what is added meanwhile replaces it by one store. A
 * ring keeps them in order; when it is full the oldest goes at once, so that a table that is
 * withdrawn whole is only LATE_MAX prefixes late. A prefix with another route left, however bad,
 * moves to that at once: it is reached. Control thread only. */
#include "mirror_state.h"

#define LATE_MS	 10
#define LATE_MAX 4096 /* a power of two */

struct late {
	struct mirror_vrf *mv; /* NULL: its VRF has gone */
	struct ip_prefix prefix;
	uint64_t due_ns;
};

static struct late ring[LATE_MAX];
static unsigned first, last; /* free running */

static void take_oldest(void)
{
	const struct late *l = &ring[first++ % LATE_MAX];
	struct rib_node *node;
	struct rib *rib;

	if (!l->mv)
		return;
	rib = mirror_rib(l->mv, l->prefix.af);
	node = rib_find(rib, &l->prefix, NULL);
	if (!node || node->routes || !node->group) /* it is back, or gone otherwise */
		return;
	mirror_route_install(l->mv, rib, node);
	if (!node->group)
		rib_prune(rib, &l->prefix);
}

bool late_put(struct mirror_vrf *mv, const struct rib *rib, const struct rib_node *node)
{
	const struct nhset *set = legs_of_group(node->group);

	if (node->routes || !set || mv->dying || set->key.host || !legs_has_gateway(set))
		return false;
	ring[last++ % LATE_MAX] = (struct late){
		.mv = mv, .prefix = rib_prefix(rib, node), .due_ns = now_ns() + LATE_MS * MS
	};
	if (last - first == LATE_MAX) /* this may be the same prefix's: node is gone then */
		take_oldest();
	return true;
}

bool late_flush(uint64_t end_ns)
{
	uint64_t now = now_ns();

	for (unsigned n = 1; first != last; n++) {
		if (ring[first % LATE_MAX].due_ns > now && end_ns != UINT64_MAX)
			return true;
		take_oldest();
		if (n % 8 == 0 && (now = now_ns()) > end_ns)
			return first == last;
	}
	return true;
}

uint64_t late_due_ns(void)
{
	return first == last ? 0 : ring[first % LATE_MAX].due_ns;
}

void late_forget(const struct mirror_vrf *mv)
{
	for (unsigned i = first; i != last; i++)
		if (ring[i % LATE_MAX].mv == mv)
			ring[i % LATE_MAX].mv = NULL;
}
