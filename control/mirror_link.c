/* Interfaces of a VRF's namespace and their addresses, as the kernel announces them. An interface
 * that bears the name of one of our links is that link's kernel side; others exist here only
 * because routes name them. An ifindex that a route names before its interface appears is kept as a
 * placeholder, so nothing is lost when messages come out of order. What Linux does not announce is
 * inferred here: an interface that goes down takes IPv4 routes, next-hop objects and legs of
 * multipath routes along in silence, and so does its last IPv4 address. Those legs are dead in the
 * fast path before the callback ends; a dump of the routes in doubt confirms or revives them.
 * Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "mirror_state.h"

struct iface *iface_find(const struct mirror_vrf *mv, int ifindex)
{
	struct iface *iface;

	HASH_FIND_INT(mv->ifaces, &ifindex, iface);
	return iface;
}

struct iface *iface_get(struct mirror_vrf *mv, int ifindex)
{
	struct iface *iface = iface_find(mv, ifindex);

	if (iface)
		return iface;
	if (HASH_COUNT(mv->ifaces) >= MIRROR_IFACES_MAX)
		return NULL;
	iface = calloc(1, sizeof(*iface));
	if (!iface)
		return NULL;
	iface->mv = mv;
	iface->ifindex = ifindex;
	HASH_ADD_INT(mv->ifaces, ifindex, iface);
	if (!iface->hh.tbl) {
		free(iface);
		return NULL;
	}
	return iface;
}

struct iface *iface_of_link(const struct link *link)
{
	struct mirror_vrf *mv = mirror_of(link->vrf);
	struct iface *iface = mv ? iface_find(mv, link->ifindex) : NULL;

	return iface && iface->link == link ? iface : NULL;
}

void iface_release(struct iface *iface)
{
	if (iface->known || !LIST_EMPTY(&iface->legs) || !LIST_EMPTY(&iface->hops) ||
		!LIST_EMPTY(&iface->addrs) || iface->n_neighs)
		return;
	HASH_DEL(iface->mv->ifaces, iface);
	free(iface);
}

bool iface_usable(const struct iface *iface)
{
	return iface && iface->known && iface->link && (iface->flags & IFF_UP) &&
	       (iface->flags & IFF_LOWER_UP);
}

/* ---- the link it belongs to ---- */

static uint64_t digest_bytes(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static uint64_t digest_text(uint64_t h, const char *text)
{
	return digest_bytes(h, text, strlen(text) + 1);
}

/* Everything an adjacency over the link is built from. */
static void shape_of(const struct link *link, struct iface_shape *ret_shape)
{
	const struct cfg_link *cfg = link->cfg;
	uint64_t h = 0xcbf29ce484222325ull;
	uint16_t numbers[] = { link->mtu, cfg->vlan, cfg->udp_port,
		cfg->circuit ? cfg->circuit->stag : 0, cfg->circuit ? cfg->circuit->stag_tpid : 0 };
	unsigned tier = 0;

	h = digest_bytes(h, numbers, sizeof(numbers));
	h = digest_bytes(h, link->mac, sizeof(link->mac));
	h = digest_bytes(h, &link->port, sizeof(link->port));
	h = digest_bytes(h, &cfg->encap, sizeof(cfg->encap));
	h = digest_bytes(h, &cfg->vni, sizeof(cfg->vni));
	h = digest_bytes(h, &cfg->remote, sizeof(cfg->remote));
	h = digest_bytes(h, &cfg->local, sizeof(cfg->local));
	h = digest_bytes(h, &cfg->outer.key, sizeof(cfg->outer.key));
	h = digest_bytes(h, &cfg->outer.inner, sizeof(cfg->outer.inner));
	h = digest_bytes(h, &cfg->outer.checksum, sizeof(cfg->outer.checksum));
	h = digest_bytes(h, &cfg->outer.udp6_checksum, sizeof(cfg->outer.udp6_checksum));
	h = digest_bytes(h, &cfg->outer.ttl, sizeof(cfg->outer.ttl));
	h = digest_bytes(h, &cfg->outer.dscp, sizeof(cfg->outer.dscp));
	h = digest_bytes(h, &cfg->outer.df, sizeof(cfg->outer.df));
	h = digest_text(h, cfg->underlay ? cfg->underlay->name : "");
	config_path_of(control.running, cfg, &tier);
	ret_shape->digest = h;
	ret_shape->tier = tier;
	ret_shape->up = link->up;
}

static void renew_hops(struct iface *iface)
{
	struct hop *hop;

	LIST_FOREACH(hop, &iface->hops, of_iface)
		hop_renew(hop);
}

/* While a configuration is being applied a link may be here before it is published, or longer. */
static void try_again(struct iface *iface)
{
	if (!iface->unpublished)
		return;
	iface->unpublished = false;
	legs_iface_dirty(iface);
	renew_hops(iface);
}

void iface_tick(struct mirror_vrf *mv)
{
	for (struct iface *iface = mv->ifaces; iface; iface = iface->hh.next)
		try_again(iface);
}

/* Tie the interface to the link of its name, or to none, as inventory and configuration are now. */
static void bind_link(struct iface *iface)
{
	struct link *link = iface->known && iface->name[0] ? link_by_name(iface->name) : NULL;
	struct iface_shape before = iface->shape;
	bool same;

	if (link && (link->vrf != iface->mv->vrf || !link->cfg))
		link = NULL;
	same = link == iface->link && (!link || link->id == iface->link_id);
	iface->link = link;
	iface->link_id = link ? link->id : 0;
	memset(&iface->shape, 0, sizeof(iface->shape));
	if (link) {
		link->ifindex = iface->ifindex;
		shape_of(link, &iface->shape);
	}
	if (!same || before.tier != iface->shape.tier || before.up != iface->shape.up)
		legs_iface_dirty(iface);
	if (!same)
		iface->mv->review = iface->mv->neighs;
	else if (before.digest != iface->shape.digest)
		renew_hops(iface);
	try_again(iface);
}

void iface_config_changed(struct mirror_vrf *mv)
{
	for (struct iface *iface = mv->ifaces; iface; iface = iface->hh.next)
		bind_link(iface);
}

/* ---- what Linux does not announce ---- */

/* Have the kernel shown again what it may have dropped: routes over this interface. */
static void doubt(struct iface *iface)
{
	unsigned classes = 1u << MIRROR_NEXTHOP;
	int only = iface->ifindex;
	struct leg *leg;

	LIST_FOREACH(leg, &iface->legs, of_iface) {
		classes |= MIRROR_ROUTES;
		if (leg->set->key.nhid) /* a group that shrank is over this interface no longer */
			only = 0;
	}
	resync_want(iface->mv, classes, only);
}

/* IPv4 routes that name the interface themselves are gone; those by object stay until the object
 * goes. */
static void flushed4(struct iface *iface)
{
	struct leg *leg;

	LIST_FOREACH(leg, &iface->legs, of_iface) {
		if (leg->set->key.af != AF_INET || leg->set->key.nhid || leg->dead)
			continue;
		leg->dead = true;
		legs_dirty(leg->set);
	}
}

static void flags_changed(struct iface *iface, unsigned before)
{
	unsigned both = IFF_UP | IFF_LOWER_UP;
	bool up = (iface->flags & both) == both;
	struct hop *hop;

	mirror_moving(iface->name, up ? "interface up" : "interface down");
	legs_iface_dirty(iface);
	tunnels_stale = true;
	if (up) {
		LIST_FOREACH(hop, &iface->hops, of_iface)
			if (hop->waiting)
				hop->ask_ns = 0; /* at the next tick */
	} else {
		mirror_nexthop_iface_down(iface);
		if ((before & IFF_UP) && !(iface->flags & IFF_UP))
			flushed4(iface);
	}
	doubt(iface);
}

/* ---- links ---- */

/* The link's kernel interface is this one no longer. The link may be gone already. */
static void unname(struct iface *iface)
{
	struct link *link = iface->link;

	if (link && link->used && link->vrf == iface->mv->vrf && link->ifindex == iface->ifindex)
		link->ifindex = 0;
}

static void link_seen(struct iface *iface, const struct nl_link *nl, bool dump)
{
	unsigned watched = IFF_UP | IFF_LOWER_UP, before = iface->flags;
	bool was_known = iface->known, renamed;

	renamed = nl->name[0] && strncmp(iface->name, nl->name, sizeof(iface->name));
	if (renamed) {
		unname(iface);
		memset(iface->name, 0, sizeof(iface->name));
		memcpy(iface->name, nl->name, strnlen(nl->name, sizeof(iface->name) - 1));
	}
	iface->known = true;
	iface->flags = nl->flags;
	iface->gen = iface->mv->gen[MIRROR_LINK];
	if (!was_known || renamed)
		bind_link(iface);
	if (!was_known)
		legs_iface_dirty(iface);
	else if ((before ^ nl->flags) & watched)
		flags_changed(iface, before);
	iface->mv->sync.changes +=
		dump && (!was_known || renamed || ((before ^ nl->flags) & watched));
}

static void link_gone(struct iface *iface)
{
	struct iface_addr *addr;

	mirror_nexthop_iface_down(iface);
	flushed4(iface);
	doubt(iface);
	unname(iface);
	while ((addr = LIST_FIRST(&iface->addrs))) {
		LIST_REMOVE(addr, of_iface);
		free(addr);
	}
	iface->known = false;
	iface->flags = 0;
	bind_link(iface);
	legs_iface_dirty(iface);
	iface_release(iface);
}

int mirror_link_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct iface *iface;
	struct nl_link nl;
	int rc = netlink_parse_link(h, &nl);

	if (rc < 0)
		return rc;
	iface = nl.deleted ? iface_find(mv, nl.ifindex) : iface_get(mv, nl.ifindex);
	if (!iface)
		return nl.deleted ? 0 : -ENOMEM;
	if (!nl.deleted)
		link_seen(iface, &nl, dump);
	else if (iface->known)
		link_gone(iface);
	return 0;
}

void mirror_link_sweep(struct mirror_vrf *mv)
{
	struct iface *iface, *next;

	HASH_ITER(hh, mv->ifaces, iface, next) {
		if (!iface->known || iface->gen == mv->gen[MIRROR_LINK])
			continue;
		mv->sync.changes++;
		link_gone(iface);
	}
}

void mirror_link_forget(struct mirror_vrf *mv)
{
	for (struct iface *iface = mv->ifaces; iface; iface = iface->hh.next) {
		iface->known = false;
		bind_link(iface);
	}
}

/* The VRF goes: nothing refers to its interfaces any more but what is being cleared with it. */
void mirror_link_clear(struct mirror_vrf *mv)
{
	struct iface *iface, *next;
	struct iface_addr *addr;

	HASH_ITER(hh, mv->ifaces, iface, next) {
		while ((addr = LIST_FIRST(&iface->addrs))) {
			LIST_REMOVE(addr, of_iface);
			free(addr);
		}
		iface->known = false;
		iface_release(iface);
	}
}

/* ---- addresses ---- */

static bool has_ipv4(const struct iface *iface)
{
	const struct iface_addr *addr;

	LIST_FOREACH(addr, &iface->addrs, of_iface)
		if (addr->addr.af == AF_INET)
			return true;
	return false;
}

static struct iface_addr *addr_find(const struct iface *iface, const struct ip_prefix *prefix)
{
	struct iface_addr *addr;

	LIST_FOREACH(addr, &iface->addrs, of_iface)
		if (ip_prefix_equal(&addr->addr, prefix))
			return addr;
	return NULL;
}

static void addr_gone(struct iface *iface, struct iface_addr *addr)
{
	bool ipv4 = addr->addr.af == AF_INET;

	LIST_REMOVE(addr, of_iface);
	free(addr);
	if (ipv4 && !has_ipv4(iface)) {
		flushed4(iface);
		doubt(iface);
	}
	iface_release(iface);
}

int mirror_addr_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct iface_addr *addr;
	struct iface *iface;
	struct nl_addr nl;
	int rc = netlink_parse_addr(h, &nl);

	if (rc < 0)
		return rc;
	iface = nl.deleted ? iface_find(mv, nl.ifindex) : iface_get(mv, nl.ifindex);
	if (!iface)
		return nl.deleted ? 0 : -ENOMEM;
	addr = addr_find(iface, &nl.addr);
	if (nl.deleted) {
		if (addr)
			addr_gone(iface, addr);
		return 0;
	}
	if (!addr) {
		addr = calloc(1, sizeof(*addr));
		if (!addr)
			return -ENOMEM;
		addr->addr = nl.addr;
		LIST_INSERT_HEAD(&iface->addrs, addr, of_iface);
		mv->sync.changes += dump;
	}
	addr->gen = mv->gen[MIRROR_ADDR];
	return 0;
}

void mirror_addr_sweep(struct mirror_vrf *mv)
{
	struct iface *iface, *next;
	struct iface_addr *addr, *following;

	HASH_ITER(hh, mv->ifaces, iface, next) {
		for (addr = LIST_FIRST(&iface->addrs); addr; addr = following) {
			following = LIST_NEXT(addr, of_iface);
			if (addr->gen == mv->gen[MIRROR_ADDR])
				continue;
			mv->sync.changes++;
			addr_gone(iface, addr);
		}
	}
}
