/* The snapshot: which links there are and how packets find them.
 *
 * dp_publish (control) checks the whole set, builds an immutable struct snapshot from it, and
 * replaces the old one with one store; workers load it before each vector and the old one is freed
 * when they all have been quiescent. A packet finds its link by (port, tags): per port one slot for
 * untagged frames and a table by VLAN id for each outer TPID, whose slots may point to a table of
 * second tags; or, out of a VXLAN, by (underlay VRF, local, remote, UDP port, VNI) in a hash table
 * that also answers, with marker VNIs, whether an address is an end of any tunnel at all. Each link
 * carries the headers that never change: its Ethernet header with tags, and for a tunnel the outer
 * IP, UDP and VXLAN headers.
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
#include "ether.h"
#include "flow.h"
#include "reclaim.h"
#include "snapshot.h"
#include "virtual.h"

#define VID_NONE      0xffff
#define MTU_MIN	      68	       /* RFC 791 3.2 */
#define VNI_ENDPOINT  UINT32_MAX       /* markers, not VNIs: an end of any tunnel, */
#define VNI_PAIR      (UINT32_MAX - 1) /* and a pair of ends */
#define KEYS_PER_LINK 3

const struct snapshot *_Atomic snapshot_published;

static void snapshot_free(void *ptr)
{
	struct snapshot *s = ptr;

	if (!s)
		return;
	for (unsigned i = 0; i < DP_PORTS_MAX; i++)
		free(s->ports[i]);
	free(s->inner);
	free(s->vxlan);
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
	const uint8_t *remote, uint16_t udp_port)
{
	static const uint8_t any[16];
	struct vxlan_key key;

	if (!s->vxlan)
		return false;
	if (!remote && !vxlan_port(s, udp_port))
		return false;
	key = remote ? vxlan_key(af, local, remote, VNI_PAIR, vrf, 0)
		     : vxlan_key(af, local, any, VNI_ENDPOINT, vrf, udp_port);
	return vxlan_find(s, &key, af)->at;
}

/* ---- building ---- */

static bool conf_valid(const struct dp_link *l)
{
	const struct dp_tunnel *t = &l->tunnel;

	if (!l->id || l->id >= DP_LINKS_MAX || l->vrf >= DP_VRFS_MAX || l->mtu < MTU_MIN ||
		!memchr(l->name, 0, sizeof(l->name)) || !ether_is_unicast(l->mac) ||
		l->n_virtual > DP_VIRTUAL_MAX || (l->vrid && l->encap != DP_ENCAP_ETHER))
		return false;
	if ((l->src4.af && l->src4.af != AF_INET) || (l->src6.af && l->src6.af != AF_INET6))
		return false;
	if (l->encap == DP_ENCAP_VXLAN)
		return t->underlay_vrf < DP_VRFS_MAX && t->vni < 1u << 24 && t->udp_port &&
		       t->underlay_adj < DP_ADJS_MAX && t->local.af == t->remote.af &&
		       (t->local.af == AF_INET || t->local.af == AF_INET6);
	if (l->encap != DP_ENCAP_ETHER || l->port >= DP_PORTS_MAX || l->n_tags > 2)
		return false;
	for (unsigned i = 0; i < l->n_tags; i++) /* a second tag is always 802.1Q's */
		if (!l->vid[i] || l->vid[i] >= VLAN_IDS - 1 || tpid_table(l->tpid[i]) < 0 ||
			(i && l->tpid[i] != RTE_ETHER_TYPE_VLAN))
			return false;
	return true;
}

static void put_be16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

/* RFC 7348 5. DF on an IPv4 underlay: the tunnel's MTU is what fits. TTL 64. */
static void build_tunnel(struct link *l)
{
	const struct dp_tunnel *c = &l->conf.tunnel;
	uint8_t *h = l->tun, *udp;

	if (c->local.af == AF_INET) {
		h[0] = 0x45;
		h[6] = 0x40;
		h[8] = 64;
		h[9] = IPPROTO_UDP;
		memcpy(h + 12, c->local.bytes, 4);
		memcpy(h + 16, c->remote.bytes, 4);
		udp = h + 20;
	} else {
		h[0] = 0x60;
		h[6] = IPPROTO_UDP;
		h[7] = 64;
		memcpy(h + 8, c->local.bytes, 16);
		memcpy(h + 24, c->remote.bytes, 16);
		udp = h + 40;
	}
	put_be16(udp + 2, c->udp_port);
	udp[8] = 0x08; /* I: the VNI is valid */
	udp[12] = (uint8_t)(c->vni >> 16);
	put_be16(udp + 13, (uint16_t)c->vni);
	l->tun_len = (uint8_t)(udp + 16 - h);
}

static void build_headers(struct link *l)
{
	const struct dp_link *c = &l->conf;

	memcpy(l->l2 + 6, c->mac, 6);
	l->l2_len = RTE_ETHER_HDR_LEN;
	if (c->encap == DP_ENCAP_VXLAN) {
		l->port = DP_NONE;
		build_tunnel(l);
		return;
	}
	l->port = c->port;
	for (unsigned i = 0; i < c->n_tags; i++, l->l2_len += 4) {
		put_be16(l->l2 + 12 + 4 * i, c->tpid[i]);
		put_be16(l->l2 + 14 + 4 * i, c->vid[i]);
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

static int claim_vxlan(struct snapshot *s, const struct link *l)
{
	static const uint8_t any[16];
	const struct dp_tunnel *c = &l->conf.tunnel;
	const uint8_t *local = c->local.bytes, *remote = c->remote.bytes;
	uint8_t af = c->local.af;
	struct vxlan_key keys[KEYS_PER_LINK] = {
		vxlan_key(af, local, remote, c->vni, c->underlay_vrf, c->udp_port),
		vxlan_key(af, local, any, VNI_ENDPOINT, c->underlay_vrf, c->udp_port),
		vxlan_key(af, local, remote, VNI_PAIR, c->underlay_vrf, 0),
	};

	for (unsigned i = 0; i < KEYS_PER_LINK; i++) {
		struct vxlan_slot *slot = vxlan_find(s, &keys[i], af);
		if (!i && slot->at)
			return -EINVAL;
		*slot = (struct vxlan_slot){ keys[i], (uint16_t)(l - s->links + 1) };
	}
	s->vxlan_ports[c->udp_port / 64] |= UINT64_C(1) << (c->udp_port % 64);
	return 0;
}

/* Room for as many as there are: second-tag tables, and a hash table at most half full. */
static int allocate(struct snapshot *s, const struct dp_link *links, unsigned n)
{
	unsigned n_inner = 0, n_vxlan = 0, slots = 8;

	for (unsigned i = 0; i < n; i++) {
		n_inner += links[i].encap == DP_ENCAP_ETHER && links[i].n_tags == 2;
		n_vxlan += links[i].encap == DP_ENCAP_VXLAN;
	}
	while (slots < 2 * KEYS_PER_LINK * n_vxlan)
		slots *= 2;
	s->links = aligned_alloc(alignof(struct link), (n ? n : 1) * sizeof(*s->links));
	s->inner = n_inner ? calloc(n_inner, sizeof(*s->inner)) : NULL;
	s->vxlan = n_vxlan ? calloc(slots, sizeof(*s->vxlan)) : NULL;
	if (!s->links || (n_inner && !s->inner) || (n_vxlan && !s->vxlan))
		return -ENOMEM;
	s->vxlan_mask = slots - 1;
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
		err = l->conf.encap == DP_ENCAP_VXLAN ? claim_vxlan(s, l) : claim_tags(s, l);
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
	atomic_store_explicit(&snapshot_published, s, memory_order_release);
	if (old)
		reclaim_defer(snapshot_free, old);
	return 0;
}
