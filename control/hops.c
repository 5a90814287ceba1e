/* Hops: one neighbour on one link, one adjacency of the fast path. legs.c takes a reference for
 * each leg that is in use, tunnel.c one for each underlay, and the last reference gone frees the
 * adjacency. What is published follows the kernel's neighbour table: FORWARD while it knows the
 * neighbour, GLEAN while it does not (the fast path holds packets and reports the miss), FAILED for
 * some seconds after an answer that we asked for did not come. Next hops of routes and tunnels are
 * kept resolved: the kernel is asked once when the first leg appears and, as long as it has no
 * answer, again with back-off; both are capped per link and second, so a routing table full of junk
 * next hops cannot make us flood a cloud. A neighbour whose BFD session is up is there (RFC 4861
 * 7.3.1, RFC 5881): the kernel is told so when it doubts, and when it gives up all the same,
 * because its questions were lost in an overload, the adjacency stays. Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "index.h"
#include "mirror_state.h"

#define FAILED_MS      3000 /* how long packets are refused before they are held again */
#define BACKOFF_MS     1000
#define BACKOFF_MAX_MS 30000
#define TICK_MAX       512 /* waiting hops looked at in a tick */

static struct hop *hops;
static struct index_pool adjs;
static struct hop *specials[DP_ADJ_BROADCAST + 1];
static TAILQ_HEAD(, hop) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned n_waiting;
static TAILQ_HEAD(, hop) renewing = TAILQ_HEAD_INITIALIZER(renewing);

unsigned hops_count(void)
{
	return HASH_COUNT(hops);
}

int hops_init(void)
{
	static const uint8_t kinds[] = { DP_ADJ_NONE, DP_ADJ_LOCAL, DP_ADJ_BLACKHOLE,
		DP_ADJ_UNREACHABLE, DP_ADJ_PROHIBIT };

	if (!adjs.size)
		index_init(&adjs, DP_ADJS_MAX);
	for (unsigned i = 0; i < sizeof(kinds); i++) {
		if (!specials[kinds[i]])
			specials[kinds[i]] = hop_get(NULL, kinds[i], NULL, false);
		if (!specials[kinds[i]])
			return -errno;
	}
	return 0;
}

void hops_close(void)
{
	for (unsigned i = 0; i <= DP_ADJ_BROADCAST; i++) {
		hop_put(specials[i], false);
		specials[i] = NULL;
	}
}

uint32_t hop_special(uint8_t kind)
{
	return specials[kind]->adj;
}

static void make_key(
	const struct iface *iface, uint8_t kind, const struct ip_addr *nexthop, struct hop_key *key)
{
	memset(key, 0, sizeof(*key));
	key->link = iface ? iface->link_id : 0;
	key->kind = kind;
	if (nexthop)
		key->nexthop = *nexthop;
}

struct hop *hop_find(const struct iface *iface, const struct ip_addr *nexthop)
{
	struct hop_key key;
	struct hop *hop;

	make_key(iface, DP_ADJ_GLEAN, nexthop, &key);
	HASH_FIND(hh, hops, &key, sizeof(key), hop);
	return hop;
}

/* ---- asking ---- */

/* A tunnel of packets has no neighbours. */
static bool is_plain(const struct iface *iface)
{
	return iface && iface->link && iface->link->cfg && cfg_link_is_plain(iface->link->cfg);
}

static bool settled(const struct neigh *neigh)
{
	return neigh_valid(neigh) &&
	       (neigh->managed || (neigh->state & (NUD_PERMANENT | NUD_NOARP)) ||
		       (neigh->flags & NTF_EXT_LEARNED));
}

static void stop_waiting(struct hop *hop)
{
	if (!hop->waiting)
		return;
	TAILQ_REMOVE(&waiting, hop, of_queue);
	hop->waiting = false;
	n_waiting--;
}

static void ask(struct hop *hop, uint64_t now)
{
	struct iface *iface = hop->iface;
	struct neigh *neigh = neigh_find(iface, &hop->key.nexthop);

	if (neigh && settled(neigh)) {
		stop_waiting(hop);
		return;
	}
	if (!iface_usable(iface) || !neigh_may_ask(&iface->gateways))
		return; /* at the next tick */
	kernel_neigh_use(iface->mv->vrf, iface->ifindex, &hop->key.nexthop, true);
	mirror_counters.neigh_asked++;
	hop->asked = hop->managed = true;
	hop->ask_ns = now + hop->backoff_ms * MS;
	hop->backoff_ms *= 2;
	if (hop->backoff_ms > BACKOFF_MAX_MS)
		hop->backoff_ms = BACKOFF_MAX_MS;
	if (neigh && neigh_valid(neigh))
		stop_waiting(hop); /* known already: now it is kept, too */
}

void hop_ask(struct hop *hop, unsigned delay_ms)
{
	uint64_t now = now_ns();

	if (!hop->gateways || !hop->key.nexthop.af || hop->key.kind != DP_ADJ_GLEAN ||
		is_plain(hop->iface))
		return;
	hop->ask_ns = now + delay_ms * MS;
	if (!hop->waiting) {
		TAILQ_INSERT_TAIL(&waiting, hop, of_queue);
		hop->waiting = true;
		n_waiting++;
	}
	if (!delay_ms)
		ask(hop, now);
}

void hops_tick(void)
{
	uint64_t now = now_ns();
	unsigned n = n_waiting < TICK_MAX ? n_waiting : TICK_MAX;
	struct hop *hop;

	while (n-- && (hop = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, hop, of_queue); /* to the end: everybody's turn comes */
		TAILQ_INSERT_TAIL(&waiting, hop, of_queue);
		if (hop->now.kind == DP_ADJ_FAILED && now >= hop->failed_until_ns)
			hop_update(hop, false);
		if (now >= hop->ask_ns)
			ask(hop, now);
	}
}

/* ---- what is published ---- */

static void wanted(const struct hop *hop, struct dp_adj *ret_adj)
{
	struct neigh *neigh;

	memset(ret_adj, 0, sizeof(*ret_adj));
	ret_adj->kind = hop->key.kind;
	ret_adj->link = hop->key.link;
	ret_adj->nexthop = hop->key.nexthop;
	if (hop->key.kind == DP_ADJ_GLEAN && is_plain(hop->iface)) {
		ret_adj->kind = DP_ADJ_FORWARD; /* there is one at the other end, whoever it is */
		return;
	}
	if (hop->key.kind != DP_ADJ_GLEAN || !hop->key.nexthop.af)
		return;
	neigh = neigh_find(hop->iface, &hop->key.nexthop);
	if (neigh && neigh_valid(neigh)) {
		ret_adj->kind = DP_ADJ_FORWARD;
		memcpy(ret_adj->mac, neigh->mac, sizeof(ret_adj->mac));
	} else if (hop->vouched && hop->now.kind == DP_ADJ_FORWARD) {
		*ret_adj = hop->now; /* the kernel's questions or their answers were lost */
	} else if (hop->failed && now_ns() < hop->failed_until_ns) {
		ret_adj->kind = DP_ADJ_FAILED;
	}
}

bool hop_same(const struct dp_adj *a, const struct dp_adj *b)
{
	return a->kind == b->kind && a->link == b->link &&
	       ip_addr_equal(&a->nexthop, &b->nexthop) && !memcmp(a->mac, b->mac, sizeof(a->mac));
}

void hop_update(struct hop *hop, bool force)
{
	struct dp_adj adj;
	int rc;

	wanted(hop, &adj);
	if (force || !hop_same(&adj, &hop->now)) {
		rc = dp_adj_set(hop->adj, &adj);
		if (rc == -ENOENT && hop->iface) {
			hop->iface->unpublished = true; /* its link has left the snapshot */
			return;
		}
		if (rc < 0) {
			log_event(LOG_LVL_ERR, hop->iface ? hop->iface->name : "lintasd",
				"adjacency %u not set: %s", hop->adj, strerror(-rc));
			return; /* the next change or the auditor tries again */
		}
		hop->now = adj;
		tunnels_hop_changed(hop);
	}
	if (adj.kind != DP_ADJ_FORWARD)
		return;
	hop->backoff_ms = BACKOFF_MS;
	if (hop->failed) {
		hop->failed = false;
		mirror_moving(hop->iface->name, "neighbour answers");
		legs_hop_dirty(hop);
	}
}

void hop_renew(struct hop *hop)
{
	if (hop->renew)
		return;
	hop->renew = true;
	TAILQ_INSERT_TAIL(&renewing, hop, of_renew);
}

static void stop_renewing(struct hop *hop)
{
	if (!hop->renew)
		return;
	hop->renew = false;
	TAILQ_REMOVE(&renewing, hop, of_renew);
}

bool hops_flush(uint64_t end_ns)
{
	struct hop *hop;

	for (unsigned n = 1; (hop = TAILQ_FIRST(&renewing)); n++) {
		stop_renewing(hop);
		hop_update(hop, true);
		if (n % 8 == 0 && now_ns() > end_ns)
			break;
	}
	return TAILQ_EMPTY(&renewing);
}

void hop_neigh_confirm(struct hop *hop)
{
	if (hop->now.kind == DP_ADJ_FORWARD && iface_usable(hop->iface) &&
		neigh_may_ask(&hop->iface->gateways))
		kernel_neigh_confirm(
			hop->iface->mv->vrf, hop->iface->ifindex, &hop->key.nexthop, hop->now.mac);
}

void hop_neigh_failed(struct hop *hop)
{
	if (hop->vouched) {
		hop_neigh_confirm(hop);
		hop_ask(hop, hop->backoff_ms); /* should that be lost */
		return;
	}
	if (!hop->asked)
		return;
	hop->failed_until_ns = now_ns() + FAILED_MS * MS;
	if (!hop->failed) {
		hop->failed = true;
		mirror_moving(hop->iface->name, "neighbour failed");
		legs_hop_dirty(hop);
	}
	hop_update(hop, false);
	hop_ask(hop, hop->backoff_ms);
}

/* ---- references ---- */

static struct hop *hop_new(struct iface *iface, const struct hop_key *key)
{
	struct hop *hop = calloc(1, sizeof(*hop));
	int rc;

	if (!hop)
		return NULL;
	hop->key = *key;
	hop->iface = iface;
	hop->backoff_ms = BACKOFF_MS;
	hop->adj = index_take(&adjs);
	rc = -ENOSPC;
	if (!hop->adj)
		goto fail;
	wanted(hop, &hop->now);
	rc = dp_adj_set(hop->adj, &hop->now);
	if (rc < 0)
		goto fail_index;
	HASH_ADD(hh, hops, key, sizeof(hop->key), hop);
	rc = -ENOMEM;
	if (!hop->hh.tbl)
		goto fail_adj;
	if (iface)
		LIST_INSERT_HEAD(&iface->hops, hop, of_iface);
	return hop;
fail_adj:
	dp_adj_del(hop->adj);
fail_index:
	index_give(&adjs, hop->adj);
fail:
	free(hop);
	errno = -rc;
	return NULL;
}

struct hop *hop_get(struct iface *iface, uint8_t kind, const struct ip_addr *nexthop, bool gateway)
{
	struct hop_key key;
	struct hop *hop;

	make_key(iface, kind, nexthop, &key);
	HASH_FIND(hh, hops, &key, sizeof(key), hop);
	if (!hop)
		hop = hop_new(iface, &key);
	if (!hop)
		return NULL;
	hop->refs++;
	if (gateway && !hop->gateways++)
		hop_ask(hop, 0);
	return hop;
}

void hop_put(struct hop *hop, bool gateway)
{
	struct neigh *neigh;

	if (!hop)
		return;
	if (gateway && !--hop->gateways) {
		stop_waiting(hop);
		neigh = hop->managed ? neigh_find(hop->iface, &hop->key.nexthop) : NULL;
		if (neigh && !(neigh->state & (NUD_PERMANENT | NUD_NOARP)) &&
			iface_usable(hop->iface))
			kernel_neigh_use(hop->iface->mv->vrf, hop->iface->ifindex,
				&hop->key.nexthop, false); /* no longer to be kept */
		hop->managed = false;
	}
	if (--hop->refs)
		return;
	stop_renewing(hop);
	dp_adj_del(hop->adj);
	index_give(&adjs, hop->adj);
	HASH_DEL(hops, hop);
	if (hop->iface) {
		LIST_REMOVE(hop, of_iface);
		iface_release(hop->iface);
	}
	free(hop);
}

/* ---- held by those who send packets of their own ---- */
struct hop *mirror_hop_get(const struct link *link, const struct ip_addr *addr)
{
	struct iface *iface = iface_of_link(link);

	return iface ? hop_get(iface, DP_ADJ_GLEAN, addr, true) : NULL;
}

void mirror_hop_put(struct hop *hop)
{
	hop_put(hop, true);
}

uint32_t mirror_hop_adj(const struct hop *hop)
{
	return hop->adj;
}

/* Once it is not up any more, what the kernel thinks counts again, and that may be only what it was
 * told: so it asks the neighbour itself, which may have moved to another MAC address. */
void mirror_hop_vouch(struct hop *hop, bool up)
{
	const uint16_t aging = NUD_REACHABLE | NUD_STALE | NUD_DELAY;
	const struct neigh *neigh = neigh_find(hop->iface, &hop->key.nexthop);

	if (hop->vouched == up)
		return;
	hop->vouched = up;
	if (up)
		return;
	hop_update(hop, false);
	if (neigh && (neigh->state & NUD_FAILED))
		hop_neigh_failed(hop);
	else if (neigh && (neigh->state & aging) && iface_usable(hop->iface) &&
		 neigh_may_ask(&hop->iface->gateways))
		kernel_neigh_doubt(hop->iface->mv->vrf, hop->iface->ifindex, &hop->key.nexthop);
}

bool mirror_hop_fits(const struct hop *hop, const struct link *link)
{
	return hop->iface == iface_of_link(link);
}
