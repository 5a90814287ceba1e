/* Underlays: a tunnel link's packets leave by an adjacency toward its remote end. Here that end is
 * looked up in its underlay's VRF, like any destination, whenever routes, groups or neighbours
 * there changed: the best living leg toward it, its next hop kept resolved. The tunnel has carrier
 * exactly while that adjacency forwards, an IPsec link only if it also has keys (sas.h). When the
 * answer changes the tunnel's legs die or revive at once, then the links are published again
 * (control_publish, from the event loop, coalesced), and the tunnel's own adjacencies are renewed,
 * for their headers begin with the underlay's. The hop the published snapshot names is kept until a
 * newer snapshot is out. A tunnel that would run through itself is unresolved. Control thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"
#include "sas.h"

#define NEST_MAX 4

struct tunnel {
	LIST_ENTRY(tunnel) of_list;
	struct link *link;
	uint16_t id;
	bool wanted;	       /* while the configuration is gone through */
	bool renew;	       /* its own adjacencies are older than the underlay's */
	struct hop *hop;       /* chosen now; a reference */
	struct hop *published; /* named by the snapshot; a reference */
	uint32_t adj;	       /* what mirror_underlay_adj() says; 0: unresolved */
};

static LIST_HEAD(, tunnel) tunnels = LIST_HEAD_INITIALIZER(tunnels);
static struct event *publish_event;
static bool unpublished;
bool tunnels_stale;

static struct tunnel *find(uint16_t id)
{
	struct tunnel *t;

	LIST_FOREACH(t, &tunnels, of_list)
		if (t->id == id)
			return t;
	return NULL;
}

uint32_t mirror_underlay_adj(const struct link *link)
{
	const struct tunnel *t = find(link->id);

	return t ? t->adj : 0;
}

/* ---- publishing ---- */

static void renew_hops(const struct tunnel *t)
{
	struct iface *iface = iface_of_link(t->link);
	struct hop *hop;

	if (!iface)
		return;
	LIST_FOREACH(hop, &iface->hops, of_iface)
		hop_renew(hop);
}

static struct hop *again(struct hop *hop)
{
	return hop ? hop_get(hop->iface, hop->key.kind, &hop->key.nexthop, true) : NULL;
}

static void publish_cb(evutil_socket_t fd, short what, void *arg)
{
	struct timeval later = { .tv_usec = MIRROR_TICK_MS * 1000 };
	struct tunnel *t;
	int rc;

	(void)fd, (void)what, (void)arg;
	rc = control_publish();
	if (rc < 0) {
		log_event(LOG_LVL_ERR, "lintasd", "links not published: %s", strerror(-rc));
		event_add(publish_event, &later);
		return;
	}
	unpublished = false;
	LIST_FOREACH(t, &tunnels, of_list) {
		struct hop *old = t->published;

		if (t->renew)
			renew_hops(t);
		t->renew = false;
		if (old == t->hop)
			continue;
		t->published = again(t->hop);
		hop_put(old, true);
	}
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 2);
}

static void publish_soon(void)
{
	struct timeval soon = { 0 };

	if (!publish_event)
		publish_event = event_new(control.base, -1, 0, publish_cb, NULL);
	if (!publish_event)
		return;
	unpublished = true;
	event_add(publish_event, &soon);
}

/* ---- resolving ---- */

static bool in_fib(const struct rib_node *node)
{
	return node->group;
}

static bool better(const struct leg *leg, const struct leg *best, const struct hop *current)
{
	bool forward, best_forward;

	if (!best)
		return true;
	if (legs_tier(leg) != legs_tier(best))
		return legs_tier(leg) < legs_tier(best);
	forward = leg->hop && leg->hop->now.kind == DP_ADJ_FORWARD;
	best_forward = best->hop && best->hop->now.kind == DP_ADJ_FORWARD;
	if (forward != best_forward)
		return forward;
	return leg->hop && leg->hop == current; /* stay where it is */
}

/* Would packets toward the chosen hop come back to this tunnel? */
static bool through_itself(const struct tunnel *t, const struct hop *hop)
{
	for (unsigned i = 0; i < NEST_MAX; i++) {
		const struct link *link = hop ? hop->iface->link : NULL;
		const struct tunnel *below = link ? find(link->id) : NULL;

		if (!below)
			return false;
		if (below == t)
			return true;
		hop = below->hop;
	}
	return true; /* deeper than anything the fast path forwards */
}

static struct hop *choose(const struct tunnel *t)
{
	const struct cfg_link *cfg = t->link->cfg;
	const struct link *under = cfg && cfg->underlay ? link_by_name(cfg->underlay->name) : NULL;
	struct mirror_vrf *mv = under ? mirror_of(under->vrf) : NULL;
	const struct leg *best = NULL;
	const struct nhset *set;
	struct rib_node *node;
	struct hop *hop;

	node = mv ? rib_match(mirror_rib(mv, cfg->remote.af), &cfg->remote, in_fib) : NULL;
	set = node ? legs_of_group(node->group) : NULL;
	if (!set || set->key.kind != DP_ADJ_FORWARD)
		return NULL;
	for (unsigned i = 0; i < set->n_legs; i++)
		if (legs_alive(&set->legs[i], NULL) && better(&set->legs[i], best, t->hop))
			best = &set->legs[i];
	if (!best)
		return NULL;
	hop = hop_get(
		best->iface, DP_ADJ_GLEAN, best->gateway.af ? &best->gateway : &cfg->remote, true);
	if (hop && through_itself(t, hop)) {
		log_event(LOG_LVL_WARN, t->link->name,
			"the route to its remote end leads into the tunnel");
		hop_put(hop, true);
		return NULL;
	}
	return hop;
}

/* An IPsec link sends by a security association or not at all. */
static bool has_keys(const struct link *link)
{
	return !link->cfg || link->cfg->encap != CFG_ENCAP_IPSEC || sas_link_ready(link);
}

static void resolve(struct tunnel *t)
{
	struct hop *hop = choose(t), *old = t->hop;
	uint32_t adj = hop && hop->now.kind == DP_ADJ_FORWARD ? hop->adj : 0;
	bool carrier = adj && has_keys(t->link);
	struct iface *iface;

	t->hop = hop;
	hop_put(old, true);
	if (adj == t->adj && carrier == t->link->carrier) {
		if (t->renew && !unpublished) {
			t->renew = false;
			renew_hops(t);
		}
		return;
	}
	if (adj != t->adj)
		log_event(LOG_LVL_INFO, t->link->name, adj ? "underlay resolved" : "underlay lost");
	else
		log_event(LOG_LVL_INFO, t->link->name, "%s%s",
			carrier ? "keys are there" : "no keys: ",
			carrier ? "" : sas_link_why(t->link));
	t->adj = adj;
	t->renew = true;
	t->link->carrier = carrier;
	iface = iface_of_link(t->link);
	if (iface)
		legs_iface_dirty(iface);
	publish_soon();
}

void tunnels_resolve(void)
{
	struct tunnel *t;

	tunnels_stale = false;
	LIST_FOREACH(t, &tunnels, of_list)
		resolve(t);
}

void tunnels_hop_changed(const struct hop *hop)
{
	struct tunnel *t;

	LIST_FOREACH(t, &tunnels, of_list)
		if (t->hop == hop) {
			t->renew = true;
			tunnels_stale = true;
		}
}

/* ---- configuration ---- */

static void drop(struct tunnel *t)
{
	LIST_REMOVE(t, of_list);
	hop_put(t->hop, true);
	hop_put(t->published, true);
	free(t);
}

void tunnels_vrf_gone(const struct mirror_vrf *mv)
{
	struct tunnel *t;

	LIST_FOREACH(t, &tunnels, of_list) {
		if (t->hop && t->hop->iface->mv == mv) {
			hop_put(t->hop, true);
			t->hop = NULL;
			t->adj = 0;
		}
		if (t->published && t->published->iface->mv == mv) {
			hop_put(t->published, true);
			t->published = NULL;
		}
	}
}

void tunnels_config_changed(void)
{
	struct tunnel *t, *next;

	LIST_FOREACH(t, &tunnels, of_list)
		t->wanted = false;
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		if (!link->cfg || link->cfg->encap == CFG_ENCAP_ETHER)
			continue;
		t = find(link->id);
		if (!t)
			t = calloc(1, sizeof(*t));
		if (!t)
			continue; /* it stays unresolved until the next change */
		if (!t->link) {
			t->id = link->id;
			LIST_INSERT_HEAD(&tunnels, t, of_list);
			link->carrier = false;
		}
		t->link = link;
		t->wanted = true;
	}
	for (t = LIST_FIRST(&tunnels); t; t = next) {
		next = LIST_NEXT(t, of_list);
		if (!t->wanted) /* the snapshot that named it has been replaced:
				   mirror_config_changed */
			drop(t);
	}
	tunnels_stale = !LIST_EMPTY(&tunnels);
}
