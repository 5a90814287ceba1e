/* local: packets for this router. An end of a tunnel goes to decap, a BFD session of ours is heard
 * here (bfd.c), a probe or the answer to one goes to probe_packet.c; everything else is the
 * kernel's, by the class that decides its budget (punt.def).
 *
 * Neither TTL nor hop limit counts here (RFC 1812 5.2.7.3). Fragments go up as they come, the
 * kernel puts them together; those between the ends of a tunnel are put together here
 * (reassemble.c). This is the one place beside the flow hash that needs what lies behind an IPv6
 * header, so routing headers and chains are judged here. */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include "bfd.h"
#include "flow.h"
#include "icmp.h"
#include "parse.h"
#include "pmtu.h"
#include "probe.h"
#include "reassemble.h"
#include "snapshot.h"
#include "virtual.h"
#include "vrf.h"

#define UDP_LEN	 8
#define TCP_MIN	 20
#define ICMP_MIN 4 /* type, code, checksum */
#define PORT_BGP 179
#define PORT_IKE 500
#define RH_TYPE	 2 /* offset of the type within a routing header */

static bool is_bfd(uint16_t dport)
{
	return dport == 3784 || dport == 3785 || dport == 4784; /* RFC 5881, 5883 */
}

/* RFC 3948 2.2: four zero octets tell IKE from ESP; a lone 0xff keeps a NAT's mapping alive. */
static bool is_ike(uint16_t dport, const uint8_t *payload, unsigned len)
{
	if (dport == PORT_IKE)
		return true;
	return dport == ESP_PORT && (len < 4 || !flow_be32(payload));
}

static enum dp_punt_class class_of(uint8_t proto, const uint8_t *l4, unsigned len)
{
	switch (proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return DP_PUNT_icmp;
	case IPPROTO_TCP:
		if (len >= TCP_MIN && (flow_be16(l4) == PORT_BGP || flow_be16(l4 + 2) == PORT_BGP))
			return DP_PUNT_bgp;
		return DP_PUNT_other;
	case IPPROTO_UDP:
		if (len >= UDP_LEN && is_bfd(flow_be16(l4 + 2)))
			return DP_PUNT_bfd;
		if (len >= UDP_LEN && is_ike(flow_be16(l4 + 2), l4 + UDP_LEN, len - UDP_LEN))
			return DP_PUNT_ike;
		return DP_PUNT_other;
	default:
		return DP_PUNT_other;
	}
}

/* Is it for a tunnel? */
static bool for_tunnel(const struct worker *w, const struct packet *k, const struct link *l,
	uint8_t proto, unsigned off)
{
	const uint8_t *local = k->ip + (k->af == AF_INET ? 16 : 24);
	uint16_t port = 0;

	if (proto == IPPROTO_UDP) {
		if (off + UDP_LEN > k->len)
			return false;
		port = flow_be16(k->ip + off + 2);
	}
	return snapshot_is_endpoint(w->snap, l->conf.vrf, k->af, local, NULL, proto, port);
}

/* A fragment of what two ends of a tunnel say to each other, IKE included: a later one shows no
 * port. */
static bool between_ends(
	const struct worker *w, const struct packet *k, const struct link *l, uint8_t proto)
{
	const uint8_t *remote = k->ip + (k->af == AF_INET ? 12 : 8);

	return tunnel_proto(w->snap, proto) && snapshot_is_endpoint(w->snap, l->conf.vrf, k->af,
						       remote + ip_size(k->af), remote, proto, 0);
}

/* When it is whole it comes here once more. */
static void whole(struct worker *w, struct pass *p, const struct packet *k, unsigned off)
{
	struct packet all;

	if (reassemble(w, k, off, &all))
		local_deliver(w, p, &all);
}

/* Past the IP header at off. Tunnels first, then probes, then the kernel. */
static void deliver(struct worker *w, struct pass *p, const struct packet *k, const struct link *l,
	uint8_t proto, unsigned off, bool fragment, bool later)
{
	unsigned len = k->len > off ? k->len - off : 0;

	bool ike = proto == IPPROTO_UDP && !later && len >= UDP_LEN &&
		   is_ike(flow_be16(k->ip + off + 2), k->ip + off + UDP_LEN, len - UDP_LEN);

	if (fragment && between_ends(w, k, l, proto))
		return whole(w, p, k, off);
	if (!ike && !later && tunnel_proto(w->snap, proto) && for_tunnel(w, k, l, proto, off)) {
		if (fragment)
			return drop(w, k->m, k->in, DP_DROP_tun_bad); /* of a stranger */
		return pass_decap(p, k, proto, off);
	}
	if (!fragment && virtual_advert(l, k, proto))
		return punt_send(w, k->m, k->in, DP_PUNT_vrrp);
	if (unlikely(atomic_load_explicit(&probe_watching, memory_order_relaxed)) && !fragment &&
		probe_take(w, k, l, proto, off))
		return;
	if (proto == IPPROTO_UDP && !fragment && len >= UDP_LEN &&
		flow_be16(k->ip + off + 2) == BFD_PORT && bfd_receive(w, k, off))
		return;
	punt_send(w, k->m, k->in, later ? DP_PUNT_other : class_of(proto, k->ip + off, len));
}

static void deliver4(struct worker *w, struct pass *p, const struct packet *k, const struct link *l)
{
	unsigned off = (k->ip[0] & 15u) * 4, field = flow_be16(k->ip + 6);
	bool later = field & IP4_OFFSET;

	if (k->ip[9] == IPPROTO_ICMP && !later && off + ICMP_MIN <= k->len &&
		(k->ip[off] == ICMP_REDIRECT || k->ip[off] == ICMP_SOURCE_QUENCH))
		return drop(
			w, k->m, k->in, DP_DROP_icmp_ignored); /* RFC 1812 5.2.7.2, RFC 6633 3 */
	if (k->ip[9] == IPPROTO_ICMP && !(field & (IP4_MF | IP4_OFFSET)) && off < k->len)
		pmtu_hear(w, k, l, off);
	deliver(w, p, k, l, k->ip[9], off, field & (IP4_MF | IP4_OFFSET), later);
}

/* What the first fragment must show at least of the header above (RFC 7112 5). */
static unsigned upper_min(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return TCP_MIN;
	case IPPROTO_UDP:
	case IPPROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

static void deliver6(struct worker *w, struct pass *p, const struct packet *k, const struct link *l)
{
	struct ip6_l4 l4;
	int err = ip6_walk(k->ip, k->len, &l4);

	if (!err && l4.frag == IP6_FRAG_FIRST && l4.off + upper_min(l4.proto) > k->len)
		err = -ENODATA;
	if (err == -ENODATA && l4.frag == IP6_FRAG_FIRST)
		return icmp_error(w, k, ICMP_CHAIN, 0, DP_DROP_ip6_chain);
	if (err)
		return drop(w, k->m, k->in, DP_DROP_ip6_chain);
	if (l4.rh) /* RFC 8200 4.4: none of the types is ours to process, RFC 5095 3: type 0 least
		      of all */
		return icmp_error(w, k, ICMP_PARAMETER, l4.rh + RH_TYPE, DP_DROP_ip6_rh);
	if (l4.proto == IPPROTO_ICMPV6 && l4.frag != IP6_FRAG_LATER &&
		l4.off + ICMP_MIN <= k->len) {
		const struct vrf_fib *vrf = vrf_get(l->conf.vrf); /* gone since parse looked? */
		uint8_t type = k->ip[l4.off];
		if (type >= ND_ROUTER_SOLICIT && type <= ND_REDIRECT)
			return vrf ? neigh_nd(w, k, &l4, l, vrf)
				   : drop(w, k->m, k->in, DP_DROP_no_route);
		if (l4.frag == IP6_WHOLE)
			pmtu_hear(w, k, l, l4.off);
	}
	deliver(w, p, k, l, l4.proto, l4.off, l4.frag != IP6_WHOLE, l4.frag == IP6_FRAG_LATER);
}

void local_deliver(struct worker *w, struct pass *p, const struct packet *k)
{
	const struct link *l = snapshot_link(w->snap, k->in);

	if (unlikely(!l))
		return drop(w, k->m, 0, DP_DROP_link_down);
	if (k->af == AF_INET)
		deliver4(w, p, k, l);
	else
		deliver6(w, p, k, l);
}
