/* parse: from bytes on a wire to a checked packet of a link.
 *
 * One pass over the vector. The straight line asks, in one expression, whether a frame is plain: to
 * our MAC, from a sane one, and an IPv4 header without options or fragments, or an IPv6 header,
 * whose every check of RFC 1812 5.2.2 and RFC 8200 3 holds and whose addresses need no second look.
 * What is plain goes into its family's lane. Everything else, good or bad, goes to odd(), which
 * makes the checks one by one, in order, and names what fails; a packet that passes there joins the
 * lane as well. So the expression below decides only speed: nothing is accepted that odd() would
 * refuse.
 *
 * No byte is read before the length that covers it was checked; no byte is written. */
#include <netinet/in.h>
#include <stdatomic.h>
#include <rte_ether.h>
#include <rte_prefetch.h>
#include "csum.h"
#include "flow.h"
#include "parse.h"
#include "snapshot.h"
#include "vrf.h"

#define PREFETCH_AHEAD 4
#define MAC_MASK       0xffffffffffffu /* of eight bytes read in memory order */
#define MAC_MULTICAST  UINT64_C(1)
#define ETH_SLOW       0x8809 /* IEEE 802.3 57A: LACP */

_Static_assert(
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "MACs are compared as little-endian words");

/* First octet of an address that needs a second look: 0, 127, 224 and above. */
static const uint8_t odd4[256] = { [0] = 1, [127] = 1, [224 ... 255] = 1 };
/* ::/8, fe00::/8 (link-local, site-local) and multicast. */
static const uint8_t odd6[256] = { [0] = 1, [0xfe] = 1, [0xff] = 1 };

static const struct port_match no_links;

static inline uint64_t load64(const void *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint16_t load16(const void *p)
{
	uint16_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline void lane_put4(struct lane *v, struct rte_mbuf *m, uint8_t *ip, uint16_t len,
	uint16_t in, uint8_t note, const struct vrf_fib *vrf)
{
	unsigned i = v->n++;

	v->m[i] = m;
	v->ip[i] = ip;
	v->len[i] = len;
	v->in[i] = in;
	v->note[i] = note;
	v->fib4[i] = vrf->v4;
	v->dst4[i] = flow_be32(ip + 16);
}

static inline void lane_put6(struct lane *v, struct rte_mbuf *m, uint8_t *ip, uint16_t len,
	uint16_t in, uint8_t note, const struct vrf_fib *vrf)
{
	unsigned i = v->n++;

	v->m[i] = m;
	v->ip[i] = ip;
	v->len[i] = len;
	v->in[i] = in;
	v->note[i] = note;
	v->fib6[i] = vrf->v6;
	v->dst6[i] = ip + 24;
}

/* 1 when x is below min: the borrow, so that conditions can be joined without a branch each. */
static inline unsigned below(unsigned x, unsigned min)
{
	return (x - min) >> 31;
}

/* Every check of RFC 1812 5.2.2, 5.3.7 and 5.3.8 as one condition; parse4.c has them one by one. */
static __rte_always_inline bool plain4(const uint8_t *ip, unsigned room, const struct vrf_fib *vrf)
{
	uint64_t first, second, sum;
	uint32_t src, dst, odd;
	unsigned total;

	if (unlikely(room < IP4_MIN))
		return false;
	memcpy(&first, ip, sizeof(first));
	memcpy(&second, ip + 8, sizeof(second));
	memcpy(&src, ip + 12, sizeof(src));
	memcpy(&dst, ip + 16, sizeof(dst));
	total = flow_be16(ip + 2);
	sum = (first & 0xffffffff) + (first >> 32) + (second & 0xffffffff) + (second >> 32) + dst;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16); /* at most 0x10001, so right exactly when 0xffff */
	odd = (ip[0] ^ 0x45u) | ((uint32_t)(first >> 32) & RTE_BE32(IP4_MF | IP4_OFFSET)) |
	      (uint32_t)(sum ^ 0xffff) | odd4[ip[12]] | odd4[ip[16]] | below(total, IP4_MIN) |
	      below(room, total) | (src == dst) |
	      vrf_may_own(vrf, vrf_own_bit4(rte_be_to_cpu_32(src)));
	return !odd;
}

static __rte_always_inline bool plain6(const uint8_t *ip, unsigned room, const struct vrf_fib *vrf)
{
	unsigned payload, odd;

	if (unlikely(room < IP6_LEN))
		return false;
	payload = flow_be16(ip + 4);
	odd = ((ip[0] & 0xf0) ^ 0x60u) | below(room, payload + IP6_LEN) | (payload == 0) |
	      odd6[ip[8]] | odd6[ip[24]] | vrf_may_own(vrf, vrf_own_bit6(ip + 8)) |
	      (((load64(ip + 8) ^ load64(ip + 24)) | (load64(ip + 16) ^ load64(ip + 32))) == 0);
	return !odd;
}

/* To our MAC, from somebody else's; ether_check has it one by one. */
static __rte_always_inline bool plain_ether(const uint8_t *d, const struct link *l)
{
	uint64_t dst = load64(d) << 16, src = load64(d + 6) << 16, own = load64(l->conf.mac) << 16;

	return !((dst ^ own) | (src & MAC_MULTICAST << 16)) && src && src != own;
}

/* Ethernet addresses, one by one. False: dropped. */
static bool ether_check(struct worker *w, struct rte_mbuf *m, const struct link *l, uint8_t *note)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t dst = load64(d) & MAC_MASK, src = load64(d + 6) & MAC_MASK;
	uint64_t own = load64(l->conf.mac) & MAC_MASK;

	if ((src & MAC_MULTICAST) || !src || src == own) {
		drop(w, m, l->conf.id, DP_DROP_eth_src);
		return false;
	}
	if (dst & MAC_MULTICAST) {
		*note |= NOTE_MULTI;
	} else if (dst != own) {
		drop(w, m, l->conf.id, DP_DROP_eth_other);
		return false;
	}
	return true;
}

static __rte_noinline void odd(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct link *l, unsigned l3, uint16_t type_be, uint8_t note)
{
	uint16_t in = l->conf.id;
	const struct vrf_fib *vrf = vrf_get(l->conf.vrf);
	unsigned room = rte_pktmbuf_data_len(m) - l3;
	struct packet k = {
		.m = m, .ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l3), .in = in, .note = note
	};

	if (!ether_check(w, m, l, &k.note))
		return;
	if (!l->conf.up)
		return drop(w, m, in, DP_DROP_link_down);
	if (unlikely(!vrf))
		return drop(w, m, in, DP_DROP_no_route);
	switch (rte_be_to_cpu_16(type_be)) {
	case RTE_ETHER_TYPE_IPV4:
		k.af = AF_INET;
		if (parse4_check(w, p, &k, room, l, vrf))
			lane_put4(&p->v4, m, k.ip, k.len, in, k.note, vrf);
		return;
	case RTE_ETHER_TYPE_IPV6:
		k.af = AF_INET6;
		if (parse6_check(w, p, &k, room, l, vrf))
			lane_put6(&p->v6, m, k.ip, k.len, in, k.note, vrf);
		return;
	case RTE_ETHER_TYPE_ARP:
		return neigh_arp(w, m, l3, l, vrf);
	default:
		return drop(w, m, in, DP_DROP_eth_type);
	}
}

/* A frame of link l whose layer 2 header, l3 bytes with type_be, is known to be there. */
static __rte_always_inline void frame(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct link *l, unsigned l3, uint16_t type_be, uint8_t note)
{
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *), *ip = d + l3;
	unsigned room = rte_pktmbuf_data_len(m) - l3;
	const struct vrf_fib *vrf = vrf_get(l->conf.vrf);

	mbuf_meta(m)->link = l->conf.id;
	if (likely(plain_ether(d, l) && l->conf.up && vrf)) {
		if (type_be == RTE_BE16(RTE_ETHER_TYPE_IPV4) && likely(plain4(ip, room, vrf)))
			return lane_put4(&p->v4, m, ip, flow_be16(ip + 2), l->conf.id, note, vrf);
		if (type_be == RTE_BE16(RTE_ETHER_TYPE_IPV6) && likely(plain6(ip, room, vrf)))
			return lane_put6(&p->v6, m, ip, (uint16_t)(flow_be16(ip + 4) + IP6_LEN),
				l->conf.id, note, vrf);
	}
	odd(w, p, m, l, l3, type_be, note);
}

static bool is_tag(uint16_t type_be)
{
	return type_be == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type_be == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/* The link that claims the tags, NULL when nobody does or they are cut or reserved. VLAN id 0 is a
 * priority tag (IEEE 802.1Q 9.6): as if it were not there. */
static const struct link *tagged(const struct snapshot *s, const struct port_match *pm,
	const uint8_t *d, unsigned have, unsigned *ret_l3, uint16_t *ret_type_be)
{
	const struct tag_slot *slot = NULL;
	unsigned l3 = ETH_MIN;
	uint16_t type = *ret_type_be, id = pm->untagged ? pm->untagged->conf.id : 0;

	for (unsigned tags = 0; is_tag(type); tags++, l3 += 4) {
		if (tags == 2 || have < l3 + 4)
			return NULL;
		unsigned vid = flow_be16(d + l3) & (VLAN_IDS - 1);
		bool inner = tags == 1;
		if (vid == VLAN_IDS - 1 || (inner && type != RTE_BE16(RTE_ETHER_TYPE_VLAN)))
			return NULL;
		if (vid && !inner) {
			slot = &pm->tag[type == RTE_BE16(RTE_ETHER_TYPE_QINQ)][vid];
			id = slot->link;
		} else if (vid) {
			if (!slot || !slot->inner)
				return NULL;
			id = s->inner[slot->inner - 1][vid];
		}
		type = load16(d + l3 + 2);
	}
	*ret_l3 = l3;
	*ret_type_be = type;
	return snapshot_link_at(s, id);
}

void parse_run(struct worker *w, struct pass *p, uint16_t port, struct rte_mbuf **pkts, unsigned n)
{
	const struct port_match *pm = w->snap->ports[port];

	if (unlikely(!pm))
		pm = &no_links;
	for (unsigned i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
		const struct link *l = pm->untagged;
		unsigned l3 = ETH_MIN;
		uint16_t type_be;

		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + PREFETCH_AHEAD], void *));
		if (unlikely(rte_pktmbuf_data_len(m) < ETH_MIN)) { /* IEEE 802.3 3.1.1 */
			drop(w, m, 0, DP_DROP_eth_short);
			continue;
		}
		type_be = load16(d + 12);
		if (is_tag(type_be))
			l = tagged(w->snap, pm, d, rte_pktmbuf_data_len(m), &l3, &type_be);
		else if (unlikely(type_be ==
				  RTE_BE16(ETH_SLOW))) { /* of the port, before any link */
			punt_send(w, m, 0, DP_PUNT_lacp);
			continue;
		}
		if (unlikely(!l)) {
			drop(w, m, 0, DP_DROP_eth_vlan);
			continue;
		}
		frame(w, p, m, l, l3, type_be, 0);
	}
}

void parse_inner(
	struct worker *w, struct pass *p, struct rte_mbuf *m, const struct link *l, uint8_t note)
{
	uint16_t type_be;

	mbuf_meta(m)->link = l->conf.id;
	if (rte_pktmbuf_data_len(m) < ETH_MIN)
		return drop(w, m, l->conf.id, DP_DROP_eth_short);
	type_be = load16(rte_pktmbuf_mtod_offset(m, uint8_t *, 12));
	if (is_tag(type_be)) /* RFC 7348 6.1: an inner tag was not agreed upon */
		return drop(w, m, l->conf.id, DP_DROP_eth_vlan);
	frame(w, p, m, l, ETH_MIN, type_be, note);
}
