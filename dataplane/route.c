/* route: FIB -> path group -> bucket -> adjacency.
 *
 * One bulk lookup a lane, in each packet's own VRF, then two array reads a packet. A group with one
 * leg has one bucket and needs no hash; others hash the flow here (flow.h). An adjacency that is no
 * neighbour to forward to takes the packet off the line: for us, refused, unknown, or waiting for a
 * neighbour. Policy comes before every answer: a packet that may not go anywhere learns nothing
 * about where that would have been. */
#include <netinet/in.h>
#include <rte_prefetch.h>
#include "icmp.h"
#include "parse.h"
#include "route.h"
#include "snapshot.h"

uint32_t flow_hash(const uint8_t *ip, uint16_t len, uint8_t af)
{
	if (af == AF_INET) {
		unsigned hlen = (ip[0] & 15u) * 4;
		uint32_t ports = 0;
		uint8_t proto = ip[9];

		if (flow_be16(ip + 6) & (IP4_MF | IP4_OFFSET))
			proto = 0;
		else if (flow_has_ports(proto) && hlen + 4 <= len)
			ports = flow_be32(ip + hlen);
		return flow_hash4(flow_be32(ip + 12), flow_be32(ip + 16), proto, ports);
	}
	struct ip6_l4 l4;
	uint32_t label = flow_be32(ip) & 0xfffff;

	if (ip6_walk(ip, len, &l4))
		return flow_hash6(ip + 8, ip + 24, 0, 0, label);
	if (l4.frag)
		return flow_hash6(ip + 8, ip + 24, 0, 0, 0);
	if (!flow_has_ports(l4.proto))
		return flow_hash6(ip + 8, ip + 24, l4.proto, 0, 0);
	if (l4.off + 4u > len)
		return flow_hash6(ip + 8, ip + 24, l4.proto, 0, label);
	return flow_hash6(ip + 8, ip + 24, l4.proto, flow_be32(ip + l4.off), 0);
}

uint32_t route_lookup(const struct vrf_fib *vrf, uint8_t af, const uint8_t *addr)
{
	uint32_t value = 0;

	if (af == AF_INET) {
		uint32_t host = flow_be32(addr);
		fib4_lookup_bulk((const struct fib4 *const[]){ vrf->v4 }, &host, &value, 1);
	} else if (af == AF_INET6) {
		fib6_lookup_bulk((const struct fib6 *const[]){ vrf->v6 }, &addr, &value, 1);
	}
	return value;
}

const struct adj *route_find(const struct vrf_fib *vrf, uint8_t af, const uint8_t *src,
	const uint8_t *dst, uint8_t proto)
{
	uint32_t hash = af == AF_INET ? flow_hash4(flow_be32(src), flow_be32(dst), proto, 0)
				      : flow_hash6(src, dst, proto, 0, 0);

	return route_group_adj(route_lookup(vrf, af, dst), hash);
}

static bool adj_is_neighbour(const struct adj *a, uint16_t link, uint8_t af, const uint8_t *addr)
{
	if (a->link != link ||
		(a->kind != DP_ADJ_GLEAN && a->kind != DP_ADJ_FORWARD && a->kind != DP_ADJ_FAILED))
		return false;
	return !a->conf.nexthop.af ||
	       (a->conf.nexthop.af == af && !memcmp(a->conf.nexthop.bytes, addr, ip_size(af)));
}

bool route_on_link(const struct vrf_fib *vrf, uint16_t link, uint8_t af, const uint8_t *addr)
{
	uint32_t g = route_lookup(vrf, af, addr);

	for (uint32_t b = 0; b < DP_BUCKETS; b++)
		if (adj_is_neighbour(route_group_adj(g, b), link, af, addr))
			return true;
	return false;
}

static struct ip_addr nexthop_of(const struct adj *a, uint8_t af, const uint8_t *ip)
{
	struct ip_addr addr = { .af = af };

	if (a->conf.nexthop.af)
		return a->conf.nexthop;
	memcpy(addr.bytes, af == AF_INET ? ip + 16 : ip + 24, ip_size(af));
	return addr;
}

static uint16_t l3_offset(struct rte_mbuf *m, const uint8_t *ip)
{
	return (uint16_t)(ip - rte_pktmbuf_mtod(m, uint8_t *));
}

void route_own(struct worker *w, struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af,
	const struct adj *a)
{
	if (a->kind == DP_ADJ_FORWARD) {
		rewrite_own(w, m, ip, len, af, a);
	} else if (a->kind == DP_ADJ_GLEAN) {
		struct ip_addr nh = nexthop_of(a, af, ip);
		hold_send(w, m, 0, a->link, &nh, l3_offset(m, ip));
	} else {
		drop(w, m, 0, DP_DROP_no_route);
	}
}

/* The neighbour is not known yet: hold the packet, unless its time ends here anyway. */
static void glean(struct worker *w, const struct packet *k, const struct adj *a)
{
	struct ip_addr nh = nexthop_of(a, k->af, k->ip);

	if (k->note & NOTE_SCOPE)
		drop(w, k->m, k->in, DP_DROP_ip6_scope);
	else if ((k->af == AF_INET ? k->ip[8] : k->ip[7]) < 2)
		icmp_error(
			w, k, ICMP_TIME, 0, k->af == AF_INET ? DP_DROP_ip4_ttl : DP_DROP_ip6_hlim);
	else
		hold_send(w, k->m, k->in, a->link, &nh, l3_offset(k->m, k->ip));
}

/* Any adjacency but FORWARD. Consumes k->m, or leaves it to decap. */
static __rte_noinline void route_odd(
	struct worker *w, struct pass *p, const struct packet *k, const struct adj *a)
{
	if (a->kind == DP_ADJ_LOCAL)
		return local_deliver(w, p, k);
	if (!policy_allows(w->snap, k->in, a->link))
		return drop(w, k->m, k->in, DP_DROP_zone_deny);
	switch (a->kind) {
	case DP_ADJ_BLACKHOLE:
		return drop(w, k->m, k->in, DP_DROP_blackhole);
	case DP_ADJ_UNREACHABLE:
		return icmp_error(w, k, ICMP_NO_HOST, 0, DP_DROP_unreachable);
	case DP_ADJ_PROHIBIT:
		return icmp_error(w, k, ICMP_PROHIBITED, 0, DP_DROP_prohibit);
	case DP_ADJ_GLEAN:
		return glean(w, k, a);
	case DP_ADJ_FAILED:
		return icmp_error(w, k, ICMP_NO_HOST, 0, DP_DROP_neigh_fail);
	case DP_ADJ_BROADCAST: /* RFC 2644: its own link's broadcast is for us too, others' are
				  nobody's */
		if (k->in == a->link)
			return local_deliver(w, p, k);
		return drop(w, k->m, k->in, DP_DROP_ip4_dbcast);
	default:
		return icmp_error(w, k, ICMP_NO_ROUTE, 0, DP_DROP_no_route);
	}
}

static inline void lookup(struct lane *v, unsigned from, uint8_t af)
{
	unsigned n = v->n - from;

	if (af == AF_INET)
		v->vrf ? fib4_lookup_same(v->vrf->v4, v->dst4 + from, v->group + from, n)
		       : fib4_lookup_bulk(v->fib4 + from, v->dst4 + from, v->group + from, n);
	else
		v->vrf ? fib6_lookup_same(v->vrf->v6, v->dst6 + from, v->group + from, n)
		       : fib6_lookup_bulk(v->fib6 + from, v->dst6 + from, v->group + from, n);
}

/* For an end of ours, not in pieces, and of a protocol or to a port that tunnels use: decap will
 * see whose it is. */
static inline bool for_decap(struct worker *w, struct pass *p, const struct packet *k)
{
	const uint8_t *ip = k->ip;
	unsigned l4 = k->af == AF_INET ? IP4_MIN : IP6_LEN;

	uint8_t proto = k->af == AF_INET ? ip[9] : ip[6];

	if (!tunnel_proto(w->snap, proto))
		return false;
	if (k->af == AF_INET && (ip[0] != 0x45 || flow_be16(ip + 6) & (IP4_MF | IP4_OFFSET)))
		return false;
	if (proto == IPPROTO_UDP &&
		(k->len < l4 + 8 || !tunnel_port(w->snap, flow_be16(ip + l4 + 2))))
		return false;
	pass_decap(p, k, proto, l4);
	return true;
}

static __rte_always_inline void route_lane(
	struct worker *w, struct pass *p, struct lane *v, unsigned from, uint8_t af)
{
	unsigned n = v->n;

	if (from == n)
		return;
	lookup(v, from, af);
	for (unsigned i = from; i < n; i++) {
		uintptr_t word = atomic_load_explicit(
			&group_table[v->group[i] % DP_GROUPS_MAX], memory_order_acquire);
		uint32_t hash = 0;

		if (!(word & GROUP_SINGLE) && likely(word))
			hash = flow_hash_plain(v->ip[i], v->len[i], af);
		const struct adj *a = atomic_load_explicit(
			&adj_table[route_word_adj(word, hash)], memory_order_acquire);
		v->adj[i] = a;
		if (unlikely(!a || a->kind != DP_ADJ_FORWARD)) {
			struct packet k = lane_packet(v, i, af);

			lane_take(v, i);
			if (!a || a->kind != DP_ADJ_LOCAL || !for_decap(w, p, &k))
				route_odd(w, p, &k, a ? a : &adj_none);
		}
	}
	if (unlikely(v->gone))
		lane_compact(v);
}

void route_run(struct worker *w, struct pass *p, unsigned from4, unsigned from6)
{
	route_lane(w, p, &p->v4, from4, AF_INET);
	route_lane(w, p, &p->v6, from6, AF_INET6);
}
