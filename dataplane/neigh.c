/* ARP and neighbour discovery on their way to the kernel: checked first, because the kernel's
 * neighbour table is one for all namespaces and every entry a stranger puts there is one less for a
 * peer.
 *
 * ARP must be Ethernet over IPv4 and its sender connected on this very link (RFC 826; 0.0.0.0 only
 * asks, RFC 5227). Neighbour discovery must pass RFC 4861 6.1 and 7.1 and come in one piece (RFC
 * 6980); its sender must be link-local, unspecified or connected. Router advertisements and
 * redirects mean nothing to a router. */
#include <netinet/icmp6.h>
#include "csum.h"
#include "ether.h"
#include "flow.h"
#include "parse.h"
#include "route.h"

#define ARP_LEN	       28
#define ND_OPTIONS_MAX 64

struct arp { /* RFC 826, Ethernet and IPv4 */
	uint8_t htype[2], ptype[2], hlen, plen, op[2], sha[6], spa[4], tha[6], tpa[4];
};
_Static_assert(sizeof(struct arp) == ARP_LEN, "as on the wire");

static bool arp_valid(const struct arp *a, const struct link *l, const struct vrf_fib *vrf)
{
	unsigned op = flow_be16(a->op);

	if (flow_be16(a->htype) != 1 || flow_be16(a->ptype) != RTE_ETHER_TYPE_IPV4 ||
		a->hlen != 6 || a->plen != 4 || op < 1 || op > 2)
		return false;
	if (!ether_is_unicast(a->sha))
		return false;
	if (!flow_be32(a->spa)) /* RFC 5227 2.1.1: a probe */
		return op == 1;
	return !ip4_martian_src(flow_be32(a->spa)) &&
	       route_on_link(vrf, l->conf.id, AF_INET, a->spa);
}

void neigh_arp(struct worker *w, struct rte_mbuf *m, unsigned l3, const struct link *l,
	const struct vrf_fib *vrf)
{
	if (rte_pktmbuf_data_len(m) < l3 + ARP_LEN ||
		!arp_valid(rte_pktmbuf_mtod_offset(m, const struct arp *, l3), l, vrf))
		return drop(w, m, l->conf.id, DP_DROP_nd_bad);
	punt_send(w, m, l->conf.id, DP_PUNT_neigh);
}

/* RFC 4861 4.6: none of length 0, none past the end. *ret_slla: a source link-layer address is
 * among them. */
static bool options_valid(const uint8_t *o, unsigned len, bool *ret_slla)
{
	for (unsigned i = 0; len && i < ND_OPTIONS_MAX; i++) {
		if (len < 8 || !o[1] || o[1] * 8u > len)
			return false;
		*ret_slla |= o[0] == ND_OPT_SOURCE_LINKADDR;
		len -= o[1] * 8u;
		o += o[1] * 8;
	}
	return !len;
}

static bool source_valid(const uint8_t *ip, const struct link *l, const struct vrf_fib *vrf)
{
	const uint8_t *src = ip + 8;

	return (src[0] == 0xfe && (src[1] & 0xc0) == 0x80) ||
	       route_on_link(vrf, l->conf.id, AF_INET6, src);
}

/* The message at icmp, len bytes; lengths and flags by type. RFC 4861 6.1.1, 7.1.1, 7.1.2. */
static bool message_valid(const uint8_t *ip, const uint8_t *icmp, unsigned len,
	const struct link *l, const struct vrf_fib *vrf)
{
	const uint8_t *dst = ip + 24, *target = icmp + 8;
	static const uint8_t zero[16];
	bool anonymous = !memcmp(ip + 8, zero, 16), slla = false;
	unsigned fixed = icmp[0] == ND_ROUTER_SOLICIT ? 8 : 24;

	if (len < fixed || !options_valid(icmp + fixed, len - fixed, &slla))
		return false;
	if (anonymous ? slla : !source_valid(ip, l, vrf))
		return false;
	switch (icmp[0]) {
	case ND_ROUTER_SOLICIT:
		return true;
	case ND_NEIGHBOR_SOLICIT: /* from ::, only to a solicited-node address */
		return target[0] != 0xff &&
		       (!anonymous || (dst[0] == 0xff && dst[11] == 1 && dst[12] == 0xff));
	case ND_NEIGHBOR_ADVERT: /* to all, never solicited */
		return target[0] != 0xff && !anonymous && !(dst[0] == 0xff && icmp[4] & 0x40);
	default: /* router advertisement, redirect */
		return false;
	}
}

void neigh_nd(struct worker *w, const struct packet *k, const struct ip6_l4 *l4,
	const struct link *l, const struct vrf_fib *vrf)
{
	const uint8_t *ip = k->ip, *icmp = ip + l4->off;
	unsigned len = k->len - l4->off;

	if (l4->atomic || len < 8 || ip[7] != 255 || icmp[1] != 0 ||
		csum_l4(ip, AF_INET6, icmp, len, IPPROTO_ICMPV6) != 0xffff ||
		!message_valid(ip, icmp, len, l, vrf))
		return drop(w, k->m, k->in, DP_DROP_nd_bad);
	punt_send(w, k->m, k->in, DP_PUNT_neigh);
}
