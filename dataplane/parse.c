/* parse: from bytes on a wire to a checked packet of a link.
 *
 * One pass over the vector. The straight line asks whether a frame is plain: to our MAC, from a
 * sane one, and an IPv4 header without options or fragments, or an IPv6 header, whose every check
 * of RFC 1812 5.2.2 and RFC 8200 3 holds and whose addresses need no second look. Untagged IPv4 is
 * asked four frames at a time (parse_four.c), then each alone (one_frame), tagged frames and those
 * out of a tunnel by frame(), which has to find link and VRF first. What is plain goes into its
 * family's lane. Everything else, good or bad, ends in odd(), which makes the checks one by one, in
 * order, and names what fails; a packet that passes there joins the lane as well. So the straight
 * line decides only speed: nothing is accepted that odd() would refuse.
 *
 * Nothing is decided by a byte that the frame's length does not cover; no byte is written. */
#include <limits.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <smmintrin.h>
#include <rte_ether.h>
#include <rte_prefetch.h>
#include "csum.h"
#include "flow.h"
#include "lag.h"
#include "parse.h"
#include "snapshot.h"
#include "stray.h"
#include "virtual.h"
#include "vrf.h"

#define MAC_MASK      0xffffffffffffu /* of eight bytes read in memory order */
#define MAC_MULTICAST UINT64_C(1)

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

static inline uint32_t load32(const void *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint16_t load16(const void *p)
{
	uint16_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* Is x, which is not 0, a multiple of 0xffff? One multiplication by the inverse of that odd number
 * modulo 2^64: the multiples, and they alone, become their quotients. */
static inline bool multiple_of_ffff(uint64_t x)
{
	return x * -UINT64_C(0x0001000100010001) <= UINT64_C(0x0001000100010001);
}

static inline uint64_t add_around(uint64_t a, uint64_t b)
{
	uint64_t sum;
	bool carry = __builtin_add_overflow(a, b, &sum);

	return sum + carry;
}

/* Every check of RFC 1812 5.2.2, 5.3.7 and 5.3.8; parse4.c has them one by one. The order of bytes
 * does not matter to a one's complement sum (RFC 1071 2 (B)), nor how wide its words are, and it is
 * right when 0xffff divides it. more: room beyond the least header. */
static __rte_always_inline bool plain4(const uint8_t *ip, unsigned more, const struct vrf_fib *vrf,
	uint32_t *ret_dst, uint16_t *ret_len)
{
	uint64_t first = load64(ip), second = load64(ip + 8), sum;
	uint32_t src = (uint32_t)(second >> 32), dst = load32(ip + 16);
	unsigned total = flow_be16(ip + 2);

	sum = add_around(add_around(first, second), dst);
	*ret_dst = rte_be_to_cpu_32(dst);
	*ret_len = (uint16_t)total;
	return likely(total - IP4_MIN <= more) &&
	       likely(!(load32(ip + 4) & (uint32_t)RTE_BE16(IP4_MF | IP4_OFFSET) << 16)) &&
	       likely(multiple_of_ffff(sum)) && likely(!(odd4[src & 0xff] | odd4[dst & 0xff])) &&
	       likely(src != dst) && likely(!vrf_may_own(vrf, vrf_own_bit4(src)));
}

/* RFC 8200 3, and addresses that need no second look. */
static __rte_always_inline bool plain6(
	const uint8_t *ip, unsigned more, const struct vrf_fib *vrf, uint16_t *ret_len)
{
	uint64_t src = load64(ip + 8), dst = load64(ip + 24);
	unsigned payload = flow_be16(ip + 4);

	*ret_len = (uint16_t)(payload + IP6_LEN);
	return likely(payload - 1 < more) && likely(!(odd6[src & 0xff] | odd6[dst & 0xff])) &&
	       likely(src != dst || load64(ip + 16) != load64(ip + 32)) &&
	       likely(!vrf_may_own(vrf, vrf_own_bit6(ip + 8)));
}

/* From somebody else's MAC; ether_check has it one by one. */
static __rte_always_inline bool plain_source(const uint8_t *d, uint64_t own)
{
	uint64_t src = load64(d + 6) << 16;

	return likely(src) && likely(src != own << 16);
}

static __rte_always_inline bool plain_target(const uint8_t *d, uint64_t own)
{
	return likely(!((load64(d) ^ own) & (MAC_MASK | MAC_MULTICAST << 48)));
}

/* To a virtual MAC that the link has: as plain as the rest, but asked last. */
static __rte_always_inline bool plain_virtual(const uint8_t *d, const struct link *l)
{
	return virtual_target(l, load64(d) & (MAC_MASK | MAC_MULTICAST << 48));
}

/* The first 16 bytes of an untagged frame for us: destination, group bit of the source, EtherType,
 * version and header length; 0 in care: anything. */
struct beginning {
	__m128i want, care;
};

static inline struct beginning beginning_of(
	uint64_t own, uint16_t type, uint8_t version, uint8_t version_care)
{
	uint64_t after = (uint64_t)rte_cpu_to_be_16(type) << 32 | (uint64_t)version << 48;
	uint64_t care = UINT64_C(0xffff) << 32 | (uint64_t)version_care << 48;

	return (struct beginning){ _mm_set_epi64x((long long)after, (long long)(own & MAC_MASK)),
		_mm_set_epi64x((long long)care, MAC_MASK | MAC_MULTICAST << 48) };
}

static __rte_always_inline bool begins(const uint8_t *d, const struct beginning *b)
{
	return _mm_testz_si128(_mm_xor_si128(_mm_loadu_si128((const void *)d), b->want), b->care);
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
	} else if (dst != own && !virtual_target(l, dst)) {
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
			pass_put(p, &k, vrf);
		return;
	case RTE_ETHER_TYPE_IPV6:
		k.af = AF_INET6;
		if (parse6_check(w, p, &k, room, l, vrf))
			pass_put(p, &k, vrf);
		return;
	case RTE_ETHER_TYPE_ARP:
		return neigh_arp(w, m, l3, l, vrf);
	default:
		return drop(w, m, in, DP_DROP_eth_type);
	}
}

/* What is behind an Ethernet header, l3 bytes with type_be, that raises no question. */
static __rte_always_inline void packet(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct link *l, unsigned l3, uint16_t type_be, uint8_t note)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l3);
	unsigned room = rte_pktmbuf_data_len(m) - l3;
	const struct vrf_fib *vrf = vrf_get(l->vrf);
	uint32_t dst;
	uint16_t len;

	if (unlikely(!vrf || room < IP4_MIN))
		return odd(w, p, m, l, l3, type_be, note);
	if (type_be == RTE_BE16(RTE_ETHER_TYPE_IPV4) && likely(ip[0] == 0x45) &&
		likely(plain4(ip, room - IP4_MIN, vrf, &dst, &len)))
		lane_put(&p->v4, m, ip, dst, len, l->id, note, vrf, AF_INET);
	else if (type_be == RTE_BE16(RTE_ETHER_TYPE_IPV6) && likely(room > IP6_LEN) &&
		 likely(ip[0] >> 4 == 6) && likely(plain6(ip, room - IP6_LEN, vrf, &len)))
		lane_put(&p->v6, m, ip, 0, len, l->id, note, vrf, AF_INET6);
	else
		odd(w, p, m, l, l3, type_be, note);
}

/* A frame of link l whose layer 2 header, l3 bytes with type_be, is known to be there. */
static __rte_always_inline void frame(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct link *l, unsigned l3, uint16_t type_be, uint8_t note)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);

	mbuf_meta(m)->link = l->id;
	if (unlikely(!plain_source(d, l->own)) ||
		(unlikely(!plain_target(d, l->own)) && !plain_virtual(d, l)))
		return odd(w, p, m, l, l3, type_be, note);
	packet(w, p, m, l, l3, type_be, note);
}

static bool is_tag(uint16_t type_be)
{
	return type_be == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type_be == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

/* Whose a frame is and where its IP header begins. */
struct whose {
	const struct link *link; /* NULL: nobody claims the tags, or they are cut or reserved */
	unsigned l3;
	uint16_t type_be;
};

/* VLAN id 0 is a priority tag (IEEE 802.1Q 9.6): as if it were not there. */
static struct whose tagged(
	const struct snapshot *s, const struct port_match *pm, const uint8_t *d, unsigned have)
{
	const struct tag_slot *slot = NULL;
	unsigned l3 = ETH_MIN, at = 0;
	uint16_t type = load16(d + 12);

	for (unsigned tags = 0; is_tag(type); tags++, l3 += 4) {
		if (tags == 2 || have < l3 + 4)
			return (struct whose){ 0 };
		unsigned vid = flow_be16(d + l3) & (VLAN_IDS - 1);
		bool inner = tags == 1;
		if (vid == VLAN_IDS - 1 || (inner && type != RTE_BE16(RTE_ETHER_TYPE_VLAN)))
			return (struct whose){ 0 };
		if (vid && !inner) {
			slot = &pm->tag[type == RTE_BE16(RTE_ETHER_TYPE_QINQ)][vid];
			at = slot->at;
		} else if (vid) {
			if (!slot || !slot->inner)
				return (struct whose){ 0 };
			at = s->inner[slot->inner - 1][vid];
		}
		type = load16(d + l3 + 2);
	}
	if (l3 == ETH_MIN && type == RTE_BE16(LAG_ETH_SLOW)) /* the port's, not a link's */
		return (struct whose){ NULL, l3, type };
	if (!slot)
		return (struct whose){ pm->untagged, l3, type };
	return (struct whose){ at ? &s->links[at - 1] : NULL, l3, type };
}

/* Untagged, or one tag that a link claims, before IP; everything else asks tagged(). */
static __rte_always_inline struct whose whose(
	const struct snapshot *s, const struct port_match *pm, const uint8_t *d, unsigned have)
{
	uint16_t type = load16(d + 12);

	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4) || type == RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return (struct whose){ pm->untagged, ETH_MIN, type };
	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && have >= ETH_MIN + 4)) {
		unsigned at = pm->tag[0][flow_be16(d + ETH_MIN) & (VLAN_IDS - 1)].at;
		uint16_t inner = load16(d + ETH_MIN + 2);
		if (likely(at && !is_tag(inner)))
			return (struct whose){ &s->links[at - 1], ETH_MIN + 4, inner };
	}
	return tagged(s, pm, d, have);
}

static __rte_noinline void nobodys(
	struct worker *w, struct rte_mbuf *m, const struct port_match *pm)
{
	stray_note(w, pm, m);
	drop(w, m, 0, DP_DROP_eth_vlan);
}

/* Whatever it is, whoever it is for. */
static __rte_always_inline void any_frame(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct snapshot *s, const struct port_match *pm)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned have = rte_pktmbuf_data_len(m);
	struct whose is;

	if (unlikely(have < ETH_MIN)) /* IEEE 802.3 3.1.1 */
		return drop(w, m, 0, DP_DROP_eth_short);
	is = whose(s, pm, d, have);
	if (likely(is.link))
		frame(w, p, m, is.link, is.l3, is.type_be, 0);
	else if (is.type_be == RTE_BE16(LAG_ETH_SLOW) && is.l3 == ETH_MIN)
		lag_slow(w, m);
	else
		nobodys(w, m, pm);
}

/* What is the same for all untagged frames of a vector. */
struct untagged {
	const struct link *link; /* NULL: nobody's */
	const struct vrf_fib *vrf;
	struct beginning four, six;
	unsigned least; /* octets of a frame that may be plain */
};

static inline struct untagged untagged_of(const struct port_match *pm)
{
	const struct link *l = pm->untagged;
	const struct vrf_fib *vrf = l ? vrf_get(l->vrf) : NULL;
	uint64_t own = l ? l->own : 0;

	return (struct untagged){ l, vrf, beginning_of(own, RTE_ETHER_TYPE_IPV4, 0x45, 0xff),
		beginning_of(own, RTE_ETHER_TYPE_IPV6, 0x60, 0xf0),
		vrf ? ETH_MIN + IP4_MIN : UINT_MAX };
}

static __rte_always_inline void one_frame(struct worker *w, struct pass *p, struct rte_mbuf *m,
	const struct untagged *u, const struct port_match *pm)
{
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *), *ip = d + ETH_MIN;
	unsigned have = rte_pktmbuf_data_len(m);
	uint32_t dst;
	uint16_t len;

	if (have < u->least || !likely(plain_source(d, u->link->own)))
		return any_frame(w, p, m, w->snap, pm);
	if (begins(d, &u->four) &&
		likely(plain4(ip, have - ETH_MIN - IP4_MIN, u->vrf, &dst, &len))) {
		mbuf_meta(m)->link = u->link->id;
		lane_put(&p->v4, m, ip, dst, len, u->link->id, 0, u->vrf, AF_INET);
	} else if (begins(d, &u->six) && likely(have > ETH_MIN + IP6_LEN) &&
		   likely(plain6(ip, have - ETH_MIN - IP6_LEN, u->vrf, &len))) {
		mbuf_meta(m)->link = u->link->id;
		lane_put(&p->v6, m, ip, 0, len, u->link->id, 0, u->vrf, AF_INET6);
	} else {
		any_frame(w, p, m, w->snap, pm);
	}
}

/* As long as the frames are what most are, plain and untagged IPv4, four at a time; then four one
 * by one, and so on. */
void parse_run(struct worker *w, struct pass *p, uint16_t port, struct rte_mbuf **pkts, unsigned n)
{
	const struct port_match *pm = w->snap->ports[port] ? w->snap->ports[port] : &no_links;
	const struct untagged u = untagged_of(pm);
	/* Buffers of a pool are alike: where the first has its frame, so have the others. */
	ptrdiff_t frame_at = rte_pktmbuf_mtod(pkts[0], char *) - (char *)pkts[0];
	unsigned i = 0;

	for (unsigned k = 0; k < PARSE_PAD; k++) {
		rte_prefetch0((char *)pkts[RTE_MIN(k, n - 1)] + frame_at);
		pkts[n + k] = pkts[n - 1];
	}
	p->v4.vrf = u.vrf;
	while (i < n) {
		unsigned end;

		if (u.vrf && p->v4.vrf == u.vrf && n - i > 1)
			i += parse_fours(u.link, u.vrf, &p->v4, pkts + i, n - i);
		end = RTE_MIN(i + 4, n);
		for (; i < end; i++) {
			rte_prefetch0((char *)pkts[i + 4] + frame_at);
			one_frame(w, p, pkts[i], &u, pm);
		}
	}
}

void parse_inner(
	struct worker *w, struct pass *p, struct rte_mbuf *m, const struct link *l, uint8_t note)
{
	uint16_t type_be;

	mbuf_meta(m)->link = l->id;
	if (rte_pktmbuf_data_len(m) < ETH_MIN)
		return drop(w, m, l->id, DP_DROP_eth_short);
	type_be = load16(rte_pktmbuf_mtod_offset(m, uint8_t *, 12));
	if (is_tag(type_be)) /* RFC 7348 6.1: an inner tag was not agreed upon */
		return drop(w, m, l->id, DP_DROP_eth_vlan);
	frame(w, p, m, l, ETH_MIN, type_be, note);
}

void parse_inner_ip(struct worker *w, struct pass *p, struct rte_mbuf *m, const struct link *l,
	uint16_t type_be, uint8_t note)
{
	mbuf_meta(m)->link = l->id;
	packet(w, p, m, l, ETH_MIN, type_be, note);
}
