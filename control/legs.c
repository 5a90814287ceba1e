/* Next-hop sets: what a route of the kernel points to, interned, and published as a path group
 * while the FIB uses it. The key is the kernel's own word, sorted legs or the id of a next-hop
 * object; what we know better (link shut, no carrier, neighbour failed, kernel silently dropped it)
 * makes a leg dead and rewrites the group in place, once, however many prefixes use it. Routes by
 * object have a set of their own per object, so that replacing the object is one rewrite too. Order
 * of publication: adjacencies, group, and only then the FIB (mirror_route.c); the reverse on
 * removal. Events only mark sets dirty; legs_flush publishes them in slices, so that a link with
 * many thousand next hops going down holds up nobody. A leg over an interface that is no link of
 * ours, or that is dead, appears in the group with the unreachable adjacency: it owns no bucket as
 * long as another leg lives, and if none does packets are refused. Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "health.h"
#include "index.h"
#include "mirror_state.h"
#include "sas.h"

static struct nhset *sets;
static struct nhset *by_group[DP_GROUPS_MAX];
static struct index_pool groups;
static unsigned n_groups;
static TAILQ_HEAD(, nhset) dirty = TAILQ_HEAD_INITIALIZER(dirty);
static struct legs_moved moved;

int legs_init(void)
{
	if (!groups.size)
		index_init(&groups, DP_GROUPS_MAX);
	return hops_init();
}

unsigned legs_groups(void)
{
	return n_groups;
}

struct nhset *legs_of_group(uint32_t group)
{
	return group < DP_GROUPS_MAX ? by_group[group] : NULL;
}

struct nhset *legs_next(struct nhset *after)
{
	return after ? after->hh.next : sets;
}

bool legs_connected(const struct nhset *set)
{
	return set->key.kind == DP_ADJ_FORWARD && !set->key.host && set->n_legs == 1 &&
	       !set->legs[0].gateway.af;
}

bool legs_has_gateway(const struct nhset *set)
{
	return set->key.kind == DP_ADJ_FORWARD &&
	       (set->key.nhid || (set->n_legs && set->legs[0].gateway.af));
}

/* An IPsec link whose way is there has no carrier for want of keys. */
static bool keys_missing(const struct link *link)
{
	return link->cfg && link->cfg->encap == CFG_ENCAP_IPSEC && mirror_underlay_adj(link) &&
	       !sas_link_ready(link);
}

bool legs_alive(const struct leg *leg, const char **ret_why)
{
	const struct iface *iface = leg->iface;
	const char *why = NULL;

	if (!iface || !iface->known)
		why = "no such interface";
	else if (!iface->link || !iface->link->used)
		why = "not a link";
	else if (iface->unpublished)
		why = "not published yet";
	else if (leg->encap)
		why = "encapsulation";
	else if (!iface->link->up)
		why = "shut";
	else if (!(iface->flags & IFF_UP))
		why = "interface down";
	else if (!iface->link->carrier || !(iface->flags & IFF_LOWER_UP))
		why = keys_missing(iface->link) ? "no keys" : "carrier";
	else if (leg->dead)
		why = "dropped by the kernel";
	else if (!health_alive(iface->link, leg->set->key.af))
		why = "BFD down";
	else if (leg->hop && leg->hop->failed)
		why = "neighbour failed";
	if (ret_why)
		*ret_why = why;
	return !why;
}

/* ---- legs of a set ---- */

static void legs_unlink(struct leg *legs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!legs[i].iface)
			continue;
		LIST_REMOVE(&legs[i], of_iface);
		iface_release(legs[i].iface);
	}
	free(legs);
}

static int legs_build(
	struct nhset *set, const struct nhset_key_leg *from, unsigned n, uint64_t dead)
{
	struct leg *legs = calloc(n ? n : 1, sizeof(*legs));

	if (!legs)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		legs[i].set = set;
		legs[i].gateway = from[i].gateway;
		legs[i].weight = from[i].weight;
		legs[i].encap = from[i].encap;
		legs[i].dead = dead >> i & 1;
		legs[i].iface =
			from[i].ifindex > 0 ? iface_get(set->key.mv, from[i].ifindex) : NULL;
		if (!legs[i].iface)
			continue;
		LIST_INSERT_HEAD(&legs[i].iface->legs, &legs[i], of_iface);
		mirror_counters.unknown_links += !legs[i].iface->known; /* until it shows up */
	}
	set->legs = legs;
	set->n_legs = n;
	return 0;
}

/* Legs from the set's next-hop object as it is now. The old ones are left to the caller. */
static int legs_rebuild(struct nhset *set)
{
	struct nhset_key_leg from[DP_LEGS_MAX];
	bool gone, blackhole;
	uint64_t dead;
	unsigned n = nexthop_legs(set, from, &dead, &gone, &blackhole);
	int rc = legs_build(set, from, n, dead);

	if (rc < 0)
		return rc;
	set->gone = gone;
	set->blackhole = blackhole;
	set->stale = false;
	return 0;
}

/* ---- hops of a set ---- */

static uint8_t hop_kind(const struct nhset *set)
{
	return set->key.kind == DP_ADJ_BROADCAST ? DP_ADJ_BROADCAST : DP_ADJ_GLEAN;
}

static bool hop_fits(const struct leg *leg)
{
	const struct iface *iface = leg->iface;

	if (!iface || !iface->link || leg->encap)
		return !leg->hop;
	if (!leg->hop && iface->unpublished)
		return true;
	return leg->hop && leg->hop->key.link == iface->link_id && leg->hop->iface == iface;
}

static void leg_drop_hop(struct leg *leg)
{
	struct hop *hop = leg->hop;

	if (!hop)
		return;
	LIST_REMOVE(leg, of_hop);
	leg->hop = NULL;
	hop_put(hop, !leg->set->key.host && leg->gateway.af);
}

static int leg_take_hop(struct leg *leg)
{
	struct iface *iface = leg->iface;

	if (!iface || !iface->link || leg->encap)
		return 0;
	leg->hop = hop_get(
		iface, hop_kind(leg->set), &leg->gateway, !leg->set->key.host && leg->gateway.af);
	if (!leg->hop && errno == ENOENT) { /* the leg is dead until its link is published */
		iface->unpublished = true;
		return 0;
	}
	if (!leg->hop)
		return -errno;
	LIST_INSERT_HEAD(&leg->hop->legs, leg, of_hop);
	return 0;
}

/* ---- the group ---- */

/* FNV-1a, then mixed: the same leg keeps its buckets over restarts and renumbering. */
static uint64_t leg_key(const struct leg *leg)
{
	uint8_t bytes[CFG_NAME_MAX + sizeof(struct ip_addr)] = { 0 };
	uint64_t h = 0xcbf29ce484222325ull;

	if (leg->iface && leg->iface->known)
		memcpy(bytes, leg->iface->name, CFG_NAME_MAX);
	else if (leg->iface)
		memcpy(bytes, &leg->iface->ifindex, sizeof(leg->iface->ifindex));
	memcpy(bytes + CFG_NAME_MAX, &leg->gateway, sizeof(leg->gateway));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		h = (h ^ bytes[i]) * 0x100000001b3ull;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	return h ^ h >> 33;
}

/* The configuration's tier, after what the probes say of the link. */
uint8_t legs_tier(const struct leg *leg)
{
	const struct iface *iface = leg->iface;

	if (!iface)
		return 0;
	return (uint8_t)(iface->shape.tier +
			 (iface->link ? health_tier(iface->link, leg->set->key.af) : 0));
}

static unsigned group_legs(const struct nhset *set, struct dp_leg *legs)
{
	uint8_t kind = set->key.kind;

	if (set->blackhole)
		kind = DP_ADJ_BLACKHOLE;
	else if ((kind == DP_ADJ_FORWARD || kind == DP_ADJ_BROADCAST) && !set->n_legs)
		kind = DP_ADJ_UNREACHABLE; /* its object is gone, or nothing was named */
	if (kind != DP_ADJ_FORWARD && kind != DP_ADJ_BROADCAST) {
		legs[0] = (struct dp_leg){
			.key = kind + 1, .adj = hop_special(kind), .weight = 1, .alive = true
		};
		return 1;
	}
	for (unsigned i = 0; i < set->n_legs; i++) {
		const struct leg *leg = &set->legs[i];
		bool usable = leg->hop && !leg->dead;

		legs[i] = (struct dp_leg){ .key = leg_key(leg),
			.weight = leg->weight,
			.adj = usable ? leg->hop->adj : hop_special(DP_ADJ_UNREACHABLE),
			.tier = legs_tier(leg),
			.alive = legs_alive(leg, NULL) };
	}
	return set->n_legs;
}

static uint64_t digest(const struct dp_leg *legs, unsigned n)
{
	uint64_t h = 0xcbf29ce484222325ull ^ n;

	_Static_assert(sizeof(*legs) == 16, "no holes: what is in them would count");
	for (const uint8_t *p = (const uint8_t *)legs; p < (const uint8_t *)(legs + n); p++)
		h = (h ^ *p) * 0x100000001b3ull;
	return h ? h : 1;
}

/* An event that changes nothing (the kernel's interface follows the port) publishes nothing. */
static int group_publish(struct nhset *set)
{
	struct dp_leg legs[DP_LEGS_MAX];
	unsigned n = group_legs(set, legs);
	uint64_t wanted = digest(legs, n);
	int rc;

	if (wanted == set->published)
		return 0;
	tunnels_stale = true;
	rc = dp_group_set(set->group, legs, n);
	set->published = rc < 0 ? 0 : wanted;
	if (rc < 0 || !set->prefixes)
		return rc;
	moved.groups++;
	moved.prefixes += set->prefixes;
	return 0;
}

bool legs_published(const struct nhset *set)
{
	struct dp_leg legs[DP_LEGS_MAX];
	struct dp_group_info group;
	struct dp_adj_info adj;
	unsigned n;

	if (set->dirty) /* about to be */
		return true;
	n = group_legs(set, legs);
	if (dp_group_info(set->group, &group) < 0 || group.n_legs != n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (legs[i].key != group.legs[i].key || legs[i].adj != group.legs[i].adj ||
			legs[i].weight != group.legs[i].weight ||
			legs[i].tier != group.legs[i].tier || legs[i].alive != group.legs[i].alive)
			return false;
	for (unsigned i = 0; i < set->n_legs; i++) {
		const struct hop *hop = set->legs[i].hop;

		if (hop && !hop->renew &&
			(dp_adj_info(hop->adj, &adj) < 0 || !hop_same(&adj.adj, &hop->now)))
			return false;
	}
	return true;
}

void legs_renew(struct nhset *set)
{
	for (unsigned i = 0; i < set->n_legs; i++)
		if (set->legs[i].hop)
			hop_renew(set->legs[i].hop);
	set->published = 0;
	legs_dirty(set);
}

/* Legs and hops as they should be now, the group with them; what they replace goes last. */
static int set_refresh(struct nhset *set)
{
	struct leg *old = NULL;
	struct hop *drop[DP_LEGS_MAX];
	unsigned n_old = 0, n_drop = 0;
	int rc = 0, e;

	if (set->stale && set->key.nhid) {
		old = set->legs;
		n_old = set->n_legs;
		e = legs_rebuild(set);
		if (e < 0)
			return e;
	}
	if (set->prefixes) {
		for (unsigned i = 0; i < set->n_legs; i++) {
			struct leg *leg = &set->legs[i];

			if (hop_fits(leg))
				continue;
			if (leg->hop) {
				LIST_REMOVE(leg, of_hop);
				drop[n_drop++] = leg->hop;
				leg->hop = NULL;
			}
			e = leg_take_hop(leg);
			rc = e < 0 ? e : rc; /* the leg stays out until there is room */
		}
		e = group_publish(set);
		rc = e < 0 ? e : rc;
	}
	for (unsigned i = 0; i < n_drop; i++)
		hop_put(drop[i], !set->key.host && drop[i]->key.nexthop.af);
	for (unsigned i = 0; i < n_old; i++)
		leg_drop_hop(&old[i]);
	if (old)
		legs_unlink(old, n_old);
	return rc;
}

int legs_use(struct nhset *set, uint32_t *ret_group)
{
	int rc = -ENOSPC;
	unsigned i;

	if (set->prefixes) {
		set->prefixes++;
		*ret_group = set->group;
		return 0;
	}
	set->group = index_take(&groups);
	if (!set->group)
		return rc;
	for (i = 0; i < set->n_legs; i++) {
		rc = leg_take_hop(&set->legs[i]);
		if (rc < 0)
			goto fail;
	}
	rc = group_publish(set);
	if (rc < 0)
		goto fail;
	set->prefixes = 1;
	by_group[set->group] = set;
	n_groups++;
	*ret_group = set->group;
	return 0;
fail:
	while (i--)
		leg_drop_hop(&set->legs[i]);
	index_give(&groups, set->group);
	set->group = 0;
	return rc;
}

static void set_free(struct nhset *set)
{
	if (set->routes || set->prefixes)
		return;
	if (set->dirty)
		TAILQ_REMOVE(&dirty, set, of_dirty);
	nexthop_detach(set);
	HASH_DEL(sets, set);
	legs_unlink(set->legs, set->n_legs);
	free(set);
}

void legs_unuse(struct nhset *set)
{
	if (--set->prefixes)
		return;
	dp_group_del(set->group);
	set->published = 0;
	by_group[set->group] = NULL;
	index_give(&groups, set->group);
	n_groups--;
	set->group = 0;
	for (unsigned i = 0; i < set->n_legs; i++)
		leg_drop_hop(&set->legs[i]);
	set_free(set);
}

/* ---- interning ---- */

struct nhset *legs_find(const struct nhset_key *key)
{
	struct nhset *set;

	HASH_FIND(hh, sets, key, NHSET_KEY_BYTES(key->n_legs), set);
	return set;
}

struct nhset *legs_get(const struct nhset_key *key)
{
	struct nhset *set = legs_find(key);
	int rc;

	if (set) {
		set->routes++;
		return set;
	}
	set = calloc(1, sizeof(*set) + key->n_legs * sizeof(key->legs[0]));
	if (!set)
		return NULL;
	memcpy(&set->key, key, NHSET_KEY_BYTES(key->n_legs));
	rc = key->nhid ? nexthop_attach(set) : 0;
	if (rc < 0)
		goto fail;
	rc = key->nhid ? legs_rebuild(set) : legs_build(set, key->legs, key->n_legs, 0);
	if (rc < 0)
		goto fail_attach;
	HASH_ADD(hh, sets, key, NHSET_KEY_BYTES(key->n_legs), set);
	if (!set->hh.tbl)
		goto fail_legs;
	set->routes = 1;
	return set;
fail_legs:
	legs_unlink(set->legs, set->n_legs);
fail_attach:
	nexthop_detach(set);
fail:
	free(set);
	return NULL;
}

void legs_put(struct nhset *set)
{
	set->routes--;
	set_free(set);
}

/* ---- changes ---- */

void legs_dirty(struct nhset *set)
{
	if (set->dirty)
		return;
	set->dirty = true;
	TAILQ_INSERT_TAIL(&dirty, set, of_dirty);
}

void legs_iface_dirty(struct iface *iface)
{
	struct leg *leg;

	LIST_FOREACH(leg, &iface->legs, of_iface)
		legs_dirty(leg->set);
}

void legs_hop_dirty(struct hop *hop)
{
	struct leg *leg;

	LIST_FOREACH(leg, &hop->legs, of_hop)
		legs_dirty(leg->set);
}

struct legs_moved legs_moved(void)
{
	struct legs_moved since = moved;

	moved = (struct legs_moved){ 0 };
	return since;
}

bool legs_flush(uint64_t end_ns)
{
	TAILQ_HEAD(, nhset) failed = TAILQ_HEAD_INITIALIZER(failed);
	struct nhset *set;
	bool done;
	int rc;

	for (unsigned n = 1; (set = TAILQ_FIRST(&dirty)); n++) {
		TAILQ_REMOVE(&dirty, set, of_dirty);
		rc = set_refresh(set);
		if (rc < 0) { /* as it was, in the fast path; again at the next tick: memory or room
				 may come */
			if (!set->failing)
				log_event(LOG_LVL_ERR, "lintasd", "path group %u not renewed: %s",
					set->group, strerror(-rc));
			set->failing = true;
			TAILQ_INSERT_TAIL(&failed, set, of_dirty);
			continue;
		}
		set->dirty = set->failing = false;
		if (n % 8 == 0 && now_ns() > end_ns)
			break;
	}
	done = TAILQ_EMPTY(&dirty);
	TAILQ_CONCAT(&dirty, &failed, of_dirty);
	return done;
}
