/* Adjacencies: what happens to a packet, and for a neighbour the complete header that goes before
 * it.
 *
 * Control sets them by index; each is built whole, immutable once published, replaced by one store
 * and freed through reclaim.h. On an Ethernet link the header is the neighbour's MAC, ours and the
 * tags; on a tunnel's link it is the underlay's Ethernet header, outer IP and the tunnel's own
 * (encap.c), and the inner Ethernet header if there is one, so that a packet into a tunnel needs no
 * second lookup. Fields that depend on the packet are zero here and patched by rewrite.c. An
 * adjacency whose link is shut or whose tunnel has no resolved underlay keeps its kind but has MTU
 * 0: no packet fits, so rewrite.c looks and drops by name. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ip.h>
#include "ether.h"
#include "parse.h"
#include "reclaim.h"
#include "route.h"
#include "worker.h"

#define ADJ_ALIGN 64 /* a cache line; kind to encap share the first */

_Static_assert(offsetof(struct adj, conf) <= ADJ_ALIGN, "the straight line reads one line");

const struct adj adj_none = { .kind = DP_ADJ_NONE, .port = DP_NONE };
const struct adj *_Atomic adj_table[DP_ADJS_MAX];

/* Bytes a tunnel adds to an IP packet. */
static unsigned overhead(const struct link *l)
{
	return l->tun_len + l->l2_len;
}

static void build_ether(struct adj *a, const struct link *l)
{
	uint8_t *h = a->header + HEADER_MAX - l->l2_len;

	memcpy(h, l->l2, l->l2_len);
	memcpy(h, a->conf.mac, sizeof(a->conf.mac));
	a->header_len = l->l2_len;
	a->port = l->port;
	a->mtu = a->plain_mtu = l->conf.up ? l->conf.mtu : 0;
	memcpy(a->tail + ADJ_TAIL - a->header_len, h, a->header_len);
	a->tail[ADJ_TAIL - 2] = RTE_ETHER_TYPE_IPV4 >> 8;
	a->tail[ADJ_TAIL - 1] = RTE_ETHER_TYPE_IPV4 & 0xff;
}

static void build_tunnel(struct adj *a, const struct link *l)
{
	const struct adj *u = adj_table[l->conf.tunnel.underlay_adj];
	uint8_t *h;

	a->outer_ip_off = a->header_len =
		RTE_ETHER_HDR_LEN; /* a tunnel, even while it leads nowhere */
	a->esp = l->conf.encap == DP_ENCAP_ESP;
	if (!u || u->kind != DP_ADJ_FORWARD || u->outer_ip_off || u->mtu <= overhead(l))
		return;
	if (a->esp) { /* no header that could leave in clear; what it adds its SA knows */
		a->underlay_link = u->link;
		a->port = u->port;
		a->mtu = l->conf.up ? l->conf.mtu : 0;
		return;
	}
	a->header_len = (uint8_t)(u->header_len + overhead(l));
	h = a->header + HEADER_MAX - a->header_len;
	memcpy(h, u->header + HEADER_MAX - u->header_len, u->header_len);
	h[u->header_len - 2] = l->encap.af == AF_INET ? 0x08 : 0x86;
	h[u->header_len - 1] = l->encap.af == AF_INET ? 0x00 : 0xdd;
	h += u->header_len;
	memcpy(h, l->tun, l->tun_len);
	a->outer_sum = l->encap.af == AF_INET ? rte_raw_cksum(h, IP4_MIN) : 0;
	h += l->tun_len;
	memcpy(h, l->l2, l->l2_len);
	if (!l->plain)
		memcpy(h, a->conf.mac, sizeof(a->conf.mac));
	a->outer_ip_off = u->header_len;
	a->encap = l->encap;
	a->underlay_link = u->link;
	a->port = u->port;
	if (l->conf.up)
		a->mtu = RTE_MIN(l->conf.mtu, u->mtu - overhead(l));
}

static bool needs_link(uint8_t kind)
{
	return kind == DP_ADJ_GLEAN || kind == DP_ADJ_FORWARD || kind == DP_ADJ_FAILED ||
	       kind == DP_ADJ_BROADCAST;
}

static void publish(uint32_t adj, const struct adj *a)
{
	const struct adj *old = atomic_exchange_explicit(&adj_table[adj], a, memory_order_acq_rel);

	if (old)
		reclaim_defer(free, (void *)(uintptr_t)old);
}

int dp_adj_set(uint32_t adj, const struct dp_adj *conf)
{
	const struct link *l = NULL;
	struct adj *a;

	if (!adj || adj >= DP_ADJS_MAX || conf->kind > DP_ADJ_BROADCAST)
		return -EINVAL;
	if (needs_link(conf->kind)) {
		l = snapshot_link(snapshot_published, conf->link);
		if (!l)
			return -ENOENT;
	}
	if (conf->kind == DP_ADJ_FORWARD && !l->plain && !ether_is_unicast(conf->mac))
		return -EINVAL;
	a = aligned_alloc(ADJ_ALIGN, RTE_ALIGN(sizeof(*a), ADJ_ALIGN));
	if (!a)
		return -ENOMEM;
	*a = (struct adj){
		.kind = conf->kind, .link = l ? conf->link : 0, .port = DP_NONE, .conf = *conf
	};
	if (conf->kind == DP_ADJ_FORWARD)
		l->conf.encap == DP_ENCAP_ETHER ? build_ether(a, l) : build_tunnel(a, l);
	publish(adj, a);
	return 0;
}

int dp_adj_del(uint32_t adj)
{
	if (!adj || adj >= DP_ADJS_MAX)
		return -EINVAL;
	if (!adj_table[adj])
		return -ENOENT;
	publish(adj, NULL);
	return 0;
}

int dp_adj_info(uint32_t adj, struct dp_adj_info *ret_info)
{
	const struct adj *a = adj < DP_ADJS_MAX ? adj_table[adj] : NULL;

	if (!a)
		return -ENOENT;
	*ret_info = (struct dp_adj_info){
		.adj = a->conf,
		.port = a->port,
		.mtu = a->mtu,
		.header_len = a->port == DP_NONE ? 0 : a->header_len,
	};
	_Static_assert(sizeof(ret_info->header) == sizeof(a->header), "shown whole");
	memcpy(ret_info->header, a->header + HEADER_MAX - a->header_len, a->header_len);
	return 0;
}
