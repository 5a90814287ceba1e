/* The snapshot: which links there are and how packets find them.
 *
 * dp_publish (control) checks the whole set, builds an immutable struct snapshot from it, and
 * replaces the old one with one store; workers load it before each vector and the old one is freed
 * when they all have been quiescent. A packet finds its link by (port, tags): per port one slot for
 * untagged frames and a table by VLAN id for each outer TPID, whose slots may point to a table of
 * second tags; or, out of a tunnel, by (underlay VRF, kind, local, remote, UDP port, VNI or key) in
 * a hash table that also answers, with kinds that are none, whether an address is an end of any
 * tunnel at all. Each link carries the headers that never change: its Ethernet header with tags,
 * and for a tunnel what encap.c builds.
 *
 * Two links that claim the same packets are refused by the same insertion that fills the tables. */
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <rte_byteorder.h>
#include "counters.h"
#include "encap.h"
#include "ether.h"
#include "flow.h"
#include "pmtu.h"
#include "reclaim.h"
#include "snapshot.h"
#include "virtual.h"

#define VID_NONE      0xffff
#define MTU_MIN	      68 /* RFC 791 3.2 */
#define KEYS_PER_LINK 5

const struct snapshot *_Atomic snapshot_published;

static void snapshot_free(void *ptr)
{
	struct snapshot *s = ptr;

	if (!s)
		return;
	for (unsigned i = 0; i < DP_PORTS_MAX; i++)
		free(s->ports[i]);
	free(s->inner);
	free(s->tunnels);
	free(s->links);
	free(s);
}

/* ---- readers ---- */

const struct link *snapshot_link(const struct snapshot *s, uint16_t id)
{
	return s && id < DP_LINKS_MAX ? snapshot_link_at(s, id) : NULL;
}

static int tpid_table(uint16_t tpid)
{
	return tpid == RTE_ETHER_TYPE_VLAN ? 0 : tpid == RTE_ETHER_TYPE_QINQ ? 1 : -1;
}

uint16_t snapshot_match(const struct snapshot *s, uint16_t port, uint16_t tpid, uint16_t outer_vid,
	uint16_t inner_vid)
{
	const struct port_match *pm = port < DP_PORTS_MAX ? s->ports[port] : NULL;

	if (!pm)
		return DP_NONE;
	if (outer_vid == VID_NONE)
		return pm->untagged ? pm->untagged->conf.id : DP_NONE;
	int table = tpid_table(tpid);
	if (table < 0 || outer_vid >= VLAN_IDS)
		return DP_NONE;
	const struct tag_slot *slot = &pm->tag[table][outer_vid];
	uint16_t at = slot->at;
	if (inner_vid != VID_NONE)
		at = slot->inner && inner_vid < VLAN_IDS ? s->inner[slot->inner - 1][inner_vid] : 0;
	return at ? s->links[at - 1].id : DP_NONE;
}

bool snapshot_is_endpoint(const struct snapshot *s, uint16_t vrf, uint8_t af, const uint8_t *local,
	const uint8_t *remote, uint8_t proto, uint16_t udp_port)
{
	static const uint8_t any[16];
	struct tunnel_key key;

	if (!s->tunnels || !tunnel_proto(s, proto))
		return false;
	if (!remote && proto == IPPROTO_UDP && !tunnel_port(s, udp_port))
		return false;
	key = remote ? tunnel_key(af, TUNNEL_PAIR, local, remote, proto, vrf, 0)
		     : tunnel_key(af, TUNNEL_END, local, any, proto, vrf, udp_port);
	return tunnel_find(s, &key, af)->at;
}

/* ---- building ---- */

static bool conf_valid(const struct dp_link *l)
{
	if (!l->id || l->id >= DP_LINKS_MAX || l->vrf >= DP_VRFS_MAX || l->mtu < MTU_MIN ||
		!memchr(l->name, 0, sizeof(l->name)) || !ether_is_unicast(l->mac) ||
		l->n_virtual > DP_VIRTUAL_MAX || (l->vrid && l->encap != DP_ENCAP_ETHER))
		return false;
	if ((l->src4.af && l->src4.af != AF_INET) || (l->src6.af && l->src6.af != AF_INET6))
		return false;
	if (l->encap != DP_ENCAP_ETHER)
		return l->encap <= DP_ENCAP_ESP && encap_valid(l);
	if (l->port >= DP_PORTS_MAX || l->n_tags > 2)
		return false;
	for (unsigned i = 0; i < l->n_tags; i++) /* a second tag is always 802.1Q's */
		if (!l->vid[i] || l->vid[i] >= VLAN_IDS - 1 || tpid_table(l->tpid[i]) < 0 ||
			(i && l->tpid[i] != RTE_ETHER_TYPE_VLAN))
			return false;
	return true;
}

static void build_headers(struct link *l)
{
	const struct dp_link *c = &l->conf;

	memcpy(l->l2 + 6, c->mac, 6);
	l->l2_len = RTE_ETHER_HDR_LEN;
	if (c->encap != DP_ENCAP_ETHER) {
		l->port = DP_NONE;
		l->plain = !c->tunnel.inner_ether;
		if (l->plain)
			l->l2_len = 0;
		encap_build(l);
		return;
	}
	l->port = c->port;
	for (unsigned i = 0; i < c->n_tags; i++, l->l2_len += 4) {
		encap_be16(l->l2 + 12 + 4 * i, c->tpid[i]);
		encap_be16(l->l2 + 14 + 4 * i, c->vid[i]);
	}
}

static int claim_tags(struct snapshot *s, const struct link *l)
{
	const struct dp_link *c = &l->conf;
	struct port_match *pm = s->ports[c->port];
	uint16_t *at;

	if (!pm)
		pm = s->ports[c->port] = calloc(1, sizeof(*pm));
	if (!pm)
		return -ENOMEM;
	if (!c->n_tags) {
		if (pm->untagged)
			return -EINVAL;
		pm->untagged = l;
		return 0;
	}
	struct tag_slot *slot = &pm->tag[tpid_table(c->tpid[0])][c->vid[0]];
	if (c->n_tags == 2) {
		if (!slot->inner)
			slot->inner = (uint16_t)++s->n_inner;
		at = &s->inner[slot->inner - 1][c->vid[1]];
	} else {
		at = &slot->at;
	}
	if (*at)
		return -EINVAL;
	*at = (uint16_t)(l - s->links + 1);
	return 0;
}

/* One of the keys a tunnel is found by; exact: nobody else may have it. */
static int claim_key(
	struct snapshot *s, const struct link *l, const struct tunnel_key *key, bool exact)
{
	struct tunnel_slot *slot = tunnel_find(s, key, l->encap.af);

	if (exact && slot->at)
		return -EINVAL;
	*slot = (struct tunnel_slot){ *key, (uint16_t)(l - s->links + 1) };
	return 0;
}

/* Protocol and port are a tunnel's at this address, and between these two. */
static void claim_ends(struct snapshot *s, const struct link *l, uint8_t proto, uint16_t port)
{
	static const uint8_t any[16];
	const struct dp_tunnel *c = &l->conf.tunnel;
	uint8_t af = c->local.af;
	struct tunnel_key end =
		tunnel_key(af, TUNNEL_END, c->local.bytes, any, proto, c->underlay_vrf, port);
	struct tunnel_key pair = tunnel_key(
		af, TUNNEL_PAIR, c->local.bytes, c->remote.bytes, proto, c->underlay_vrf, 0);

	claim_key(s, l, &end, false);
	claim_key(s, l, &pair, false);
	s->protos[proto] = true;
}

/* A UDP port is one kind's, whatever the addresses. */
static int claim_udp(struct snapshot *s, const struct link *l, enum tunnel_kind kind)
{
	uint16_t port = l->conf.tunnel.udp_port;

	if (s->udp_kind[port] && s->udp_kind[port] != kind)
		return -EINVAL;
	s->udp_kind[port] = (uint8_t)kind;
	claim_ends(s, l, IPPROTO_UDP, port);
	return 0;
}

/* Its packets are found by their SAs, so links may have the same ends. */
static int claim_esp(struct snapshot *s, const struct link *l)
{
	if (s->udp_kind[ESP_PORT] && s->udp_kind[ESP_PORT] != TUNNEL_ESP)
		return -EINVAL;
	s->udp_kind[ESP_PORT] = TUNNEL_ESP;
	claim_ends(s, l, IPPROTO_UDP, ESP_PORT);
	claim_ends(s, l, PROTO_ESP, 0);
	return 0;
}

static int claim_tunnel(struct snapshot *s, const struct link *l)
{
	static const uint8_t kinds[] = { [DP_ENCAP_VXLAN] = TUNNEL_VXLAN,
		[DP_ENCAP_GENEVE] = TUNNEL_GENEVE,
		[DP_ENCAP_GRE] = TUNNEL_GRE,
		[DP_ENCAP_IPIP] = TUNNEL_IPIP,
		[DP_ENCAP_ESP] = TUNNEL_ESP };
	const struct dp_tunnel *c = &l->conf.tunnel;
	enum tunnel_kind kind = kinds[l->conf.encap];
	bool udp = kind == TUNNEL_VXLAN || kind == TUNNEL_GENEVE;
	struct tunnel_key key;

	if (kind == TUNNEL_ESP)
		return claim_esp(s, l);
	if (kind == TUNNEL_GRE && c->keyed)
		kind = TUNNEL_GRE_KEY;
	key = tunnel_key(c->local.af, kind, c->local.bytes, c->remote.bytes,
		kind == TUNNEL_IPIP ? 0 : c->vni, c->underlay_vrf, udp ? c->udp_port : 0);
	if (claim_key(s, l, &key, true))
		return -EINVAL;
	if (udp)
		return claim_udp(s, l, kind);
	claim_ends(s, l, kind == TUNNEL_IPIP ? PROTO_IPIP : PROTO_GRE, 0);
	if (kind == TUNNEL_IPIP)
		claim_ends(s, l, PROTO_IP6, 0);
	return 0;
}

/* Room for as many as there are: second-tag tables, and a hash table at most half full. */
static int allocate(struct snapshot *s, const struct dp_link *links, unsigned n)
{
	unsigned n_inner = 0, n_tunnels = 0, slots = 8;

	for (unsigned i = 0; i < n; i++) {
		n_inner += links[i].encap == DP_ENCAP_ETHER && links[i].n_tags == 2;
		n_tunnels += links[i].encap != DP_ENCAP_ETHER;
	}
	while (slots < 2 * KEYS_PER_LINK * n_tunnels)
		slots *= 2;
	s->links = aligned_alloc(alignof(struct link), (n ? n : 1) * sizeof(*s->links));
	s->inner = n_inner ? calloc(n_inner, sizeof(*s->inner)) : NULL;
	s->tunnels = n_tunnels ? calloc(slots, sizeof(*s->tunnels)) : NULL;
	if (!s->links || (n_inner && !s->inner) || (n_tunnels && !s->tunnels))
		return -ENOMEM;
	s->tunnel_mask = slots - 1;
	return 0;
}

static int fill(struct snapshot *s, const struct dp_link *links, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct link *l = &s->links[s->n];
		int err;

		if (!conf_valid(&links[i]) || s->index[links[i].id])
			return -EINVAL;
		*l = (struct link){ .id = links[i].id,
			.vrf = links[i].up ? links[i].vrf : VRF_NONE,
			.conf = links[i] };
		memcpy(&l->own, l->conf.mac, sizeof(l->conf.mac));
		virtual_build(l);
		s->index[links[i].id] = (uint16_t)++s->n;
		s->zones |= links[i].zone;
		s->zone[l->id] = links[i].zone;
		memcpy(s->reach[links[i].zone], links[i].reach, sizeof(links[i].reach));
		build_headers(l);
		err = l->conf.encap == DP_ENCAP_ETHER ? claim_tags(s, l) : claim_tunnel(s, l);
		if (err)
			return err;
	}
	return 0;
}

/* Ids that come (back) start from zero: whoever had them before is long quiescent. */
static void forget_counters(const struct snapshot *old, const struct snapshot *s)
{
	static bool used[DP_LINKS_MAX];

	for (unsigned id = 1; id < DP_LINKS_MAX; id++) {
		if (!s->index[id])
			continue;
		if (used[id] && !(old && old->index[id]))
			counters_clear_link((uint16_t)id);
		used[id] = true;
	}
}

int dp_publish(const struct dp_link *links, unsigned n)
{
	struct snapshot *s, *old = (struct snapshot *)(uintptr_t)snapshot_published;
	int err = -EINVAL;

	if (n >= DP_LINKS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	err = allocate(s, links, n);
	if (!err)
		err = fill(s, links, n);
	if (!err)
		err = punt_publish(links, n);
	if (err) {
		snapshot_free(s);
		return err;
	}
	forget_counters(old, s);
	for (unsigned i = 0; old && i < old->n; i++)
		pmtu_forget(&old->links[i], snapshot_link(s, old->links[i].id));
	atomic_store_explicit(&snapshot_published, s, memory_order_release);
	if (old)
		reclaim_defer(snapshot_free, old);
	return 0;
}
