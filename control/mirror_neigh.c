/* Neighbours, as the kernel's ARP and ND know them. One that a next hop or tunnel waits for makes
 * its adjacency forward; one that lies in a connected prefix of its link becomes a host route of
 * ours, so that packets to it need no lookup of their own; both go when the neighbour goes or
 * fails. The fast path reports destinations that nobody knows (mirror_neigh_miss): the kernel is
 * asked to resolve them, at most NEIGH_ASKS_PER_S a link, so that a scan of a /64 neither floods
 * the cloud nor pushes established neighbours out (RFC 6583 7); a host that did not answer is
 * refused for a second without asking again. A host that the kernel thinks stale is asked after:
 * the fast path's traffic tells the kernel nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define REFUSE_MS  1000 /* a failed host is not asked for again within */

struct neigh *neigh_find(const struct iface *iface, const struct ip_addr *addr)
{
	struct neigh_key key;
	struct neigh *neigh;

	memset(&key, 0, sizeof(key));
	key.ifindex = iface->ifindex;
	key.addr = *addr;
	HASH_FIND(hh, iface->mv->neighs, &key, sizeof(key), neigh);
	return neigh;
}

bool neigh_valid(const struct neigh *neigh)
{
	static const uint8_t zero[6];

	return (neigh->state & NUD_USABLE) && neigh->has_mac && !(neigh->mac[0] & 1) &&
	       memcmp(neigh->mac, zero, sizeof(zero));
}

bool neigh_may_ask(struct ask_bucket *bucket)
{
	uint64_t second = now_ns() / 1000000000u;

	if (bucket->second != second) {
		bucket->second = second;
		bucket->used = 0;
	}
	return bucket->used++ < NEIGH_ASKS_PER_S;
}

/* ---- host routes ---- */

static bool has_kernel_route(const struct rib_node *node)
{
	const struct rib_route *route = mirror_route_best(node);

	return route && route->table != RIB_NEIGHBOUR;
}

/* Does the kernel send packets for it straight out of its link? */
static bool on_link(const struct neigh *neigh)
{
	const struct ip_addr *addr = &neigh->key.addr;
	const struct rib_node *node;
	const struct nhset *set;

	node = rib_match(mirror_rib(neigh->iface->mv, addr->af), addr, has_kernel_route);
	if (!node || node->len == ip_bits(addr->af))
		return false; /* the kernel has a route for exactly this host */
	set = mirror_route_best(node)->set;
	return legs_connected(set) && set->legs[0].iface == neigh->iface;
}

static void review(struct neigh *neigh)
{
	bool host = neigh->iface->link && neigh_valid(neigh) && on_link(neigh);

	if (host != neigh->host)
		mirror_route_host(neigh->iface->mv, neigh, host);
}

bool mirror_neigh_review(struct mirror_vrf *mv, uint64_t end_ns)
{
	struct neigh *neigh;

	for (unsigned n = 1; (neigh = mv->review); n++) {
		mv->review =
			neigh->hh.next; /* host routes do not start a review: they are under none */
		review(neigh);
		if (n % 8 == 0 && now_ns() > end_ns)
			break;
	}
	return !mv->review;
}

/* ---- what the kernel says ---- */

static bool forwarding(const struct neigh *neigh)
{
	struct hop *hop = neigh->iface->link ? hop_find(neigh->iface, &neigh->key.addr) : NULL;

	return hop && hop->now.kind == DP_ADJ_FORWARD;
}

/* Its state is new: adjacency, host route, and then the packets that were held for it. */
static void settle(struct neigh *neigh, bool was_valid)
{
	struct iface *iface = neigh->iface;
	bool valid = neigh_valid(neigh);
	struct hop *hop;

	if (!iface->link)
		return;
	hop = hop_find(iface, &neigh->key.addr);
	if (hop)
		hop_update(hop, false);
	if (hop && hop->vouched && (neigh->state & NUD_PROBE))
		hop_neigh_confirm(hop);
	review(neigh);
	if (valid && !was_valid)
		dp_hold_release(iface->link_id, &neigh->key.addr, forwarding(neigh));
	if (neigh->state & NUD_FAILED) {
		neigh->failed_ns = now_ns();
		hop = hop_find(
			iface, &neigh->key.addr); /* its last use may have been the host route */
		if (hop)
			hop_neigh_failed(hop);
		dp_hold_release(iface->link_id, &neigh->key.addr, false);
	}
	if ((neigh->state & NUD_STALE) && neigh->host && neigh_may_ask(&iface->misses))
		kernel_neigh_use(iface->mv->vrf, iface->ifindex, &neigh->key.addr, neigh->managed);
}

static struct neigh *neigh_new(struct mirror_vrf *mv, const struct nl_neigh *nl)
{
	struct iface *iface;
	struct neigh *neigh;

	if (HASH_COUNT(mv->neighs) >= MIRROR_NEIGHS_MAX) {
		log_event(LOG_LVL_WARN, mv->vrf->name, "more than %u neighbours: ignored",
			MIRROR_NEIGHS_MAX);
		return NULL;
	}
	iface = iface_get(mv, nl->ifindex);
	neigh = iface ? calloc(1, sizeof(*neigh)) : NULL;
	if (!neigh)
		return NULL;
	neigh->key.ifindex = nl->ifindex;
	neigh->key.addr = nl->addr;
	neigh->iface = iface;
	HASH_ADD(hh, mv->neighs, key, sizeof(neigh->key), neigh);
	if (!neigh->hh.tbl) {
		free(neigh);
		iface_release(iface);
		return NULL;
	}
	iface->n_neighs++;
	return neigh;
}

static void neigh_gone(struct neigh *neigh)
{
	struct iface *iface = neigh->iface;
	struct ip_addr addr = neigh->key.addr;
	bool was_valid = neigh_valid(neigh);
	struct hop *hop;

	if (neigh->host)
		mirror_route_host(iface->mv, neigh, false);
	if (iface->mv->review == neigh)
		iface->mv->review = neigh->hh.next;
	HASH_DEL(iface->mv->neighs, neigh);
	free(neigh);
	hop = iface->link ? hop_find(iface, &addr) : NULL;
	if (hop) {
		hop_update(hop, false);
		hop_ask(hop, was_valid ? 0 : hop->backoff_ms);
	}
	if (iface->link && !was_valid)
		dp_hold_release(iface->link_id, &addr, false);
	iface->n_neighs--;
	iface_release(iface);
}

static bool multicast(const struct ip_addr *addr)
{
	return addr->af == AF_INET ? (addr->bytes[0] & 0xf0) == 0xe0 : addr->bytes[0] == 0xff;
}

int mirror_neigh_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct neigh_key key;
	struct neigh *neigh;
	struct nl_neigh nl;
	bool was_valid, same_mac;
	int rc = netlink_parse_neigh(h, &nl);

	if (rc < 0 || multicast(&nl.addr))
		return rc;
	memset(&key, 0, sizeof(key));
	key.ifindex = nl.ifindex;
	key.addr = nl.addr;
	HASH_FIND(hh, mv->neighs, &key, sizeof(key), neigh);
	if (nl.deleted) {
		if (neigh)
			neigh_gone(neigh);
		return 0;
	}
	if (!neigh)
		neigh = neigh_new(mv, &nl);
	if (!neigh)
		return 0; /* full: what is known stays */
	neigh->gen = mv->gen[MIRROR_NEIGH];
	was_valid = neigh_valid(neigh);
	same_mac = neigh->has_mac == nl.has_mac && !memcmp(neigh->mac, nl.mac, sizeof(nl.mac));
	neigh->flags = nl.flags;
	neigh->managed = nl.managed;
	if (neigh->state == nl.state && same_mac)
		return 0;
	neigh->state = nl.state;
	neigh->has_mac = nl.has_mac;
	memcpy(neigh->mac, nl.mac, sizeof(neigh->mac));
	/* The kernel ages entries (reachable, stale, delay) without a word: that is nothing it kept
	 * from us. */
	mv->sync.changes += dump && (!same_mac || was_valid != neigh_valid(neigh));
	settle(neigh, was_valid);
	return 0;
}

void mirror_neigh_sweep(struct mirror_vrf *mv)
{
	struct neigh *neigh, *next;

	HASH_ITER(hh, mv->neighs, neigh, next) {
		if (neigh->gen == mv->gen[MIRROR_NEIGH])
			continue;
		mv->sync.changes++;
		neigh_gone(neigh);
	}
}

void mirror_neigh_clear(struct mirror_vrf *mv)
{
	struct neigh *neigh, *next;

	mv->review = NULL;
	HASH_ITER(hh, mv->neighs, neigh, next) {
		HASH_DEL(mv->neighs, neigh);
		neigh->iface->n_neighs--;
		iface_release(neigh->iface);
		free(neigh);
	}
}

/* ---- what the fast path says ---- */

void mirror_neigh_miss(struct link *link, const struct ip_addr *addr)
{
	struct iface *iface = iface_of_link(link);
	struct neigh *neigh;
	struct hop *hop;

	if (!iface || multicast(addr)) {
		dp_hold_release(link->id, addr, false);
		return;
	}
	neigh = neigh_find(iface, addr);
	if (neigh && neigh_valid(neigh)) { /* the answer was quicker than the question */
		review(neigh);
		dp_hold_release(link->id, addr, forwarding(neigh));
		return;
	}
	hop = hop_find(iface, addr);
	if (neigh && (neigh->state & NUD_FAILED) && now_ns() - neigh->failed_ns < REFUSE_MS * MS) {
		dp_hold_release(link->id, addr, false);
		return;
	}
	if (hop)
		hop->asked = true; /* kept resolved anyway: see hops.c for when it is asked again */
	if (!iface_usable(iface) || !neigh_may_ask(&iface->misses)) {
		mirror_counters.neigh_capped++;
		return;
	}
	kernel_neigh_use(iface->mv->vrf, iface->ifindex, addr, hop && hop->gateways);
	mirror_counters.neigh_asked++;
}
