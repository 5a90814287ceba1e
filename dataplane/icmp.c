/* ICMP errors (RFC 792, RFC 1812 4.3, RFC 4443 2.4): who is answered, how often, and with what.
 *
 * Never an answer to: an ICMP error or an ICMP type we do not know; a broadcast or multicast, of IP
 * or of the link layer (but for IPv6 too big and parameter problems); a fragment after the first; a
 * source that is not one host. The error's source is the ingress link's address and it is routed in
 * the ingress VRF as from ourselves; where no way leads back nothing is sent. Two budgets hold per
 * worker: one for all errors and one for each source, kept in a small table that forgets: a source
 * that shares its slot starts afresh and is still within the first budget. The packet is quoted as
 * it came, and counts once, under what became of it. */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include "csum.h"
#include "flow.h"
#include "icmp.h"
#include "parse.h"
#include "pmtu.h"
#include "route.h"
#include "snapshot.h"
#include "vrf.h"

#define ICMP_HEADER  8
#define QUOTE4_TOTAL 576  /* RFC 1812 4.3.2.3: of the whole error */
#define QUOTE6_TOTAL 1280 /* RFC 4443 2.4 (c) */
#define ICMP_TTL     64
#define ICMP_TOS     0xc0 /* RFC 1812 4.3.2.5: precedence 6 */

#define ALL_PPS	     2000 /* a worker; RFC 1812 4.3.2.8, RFC 4443 2.4 (f) */
#define ALL_BURST    200
#define SOURCE_PPS   100
#define SOURCE_BURST 50
#define SOURCES	     1024 /* slots a worker; a power of two */

static const struct {
	uint8_t type4, code4, type6, code6;
} form[ICMP_WHATS] = {
	[ICMP_NO_ROUTE] = { ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
		ICMP6_DST_UNREACH_NOROUTE },
	[ICMP_NO_HOST] = { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH,
		ICMP6_DST_UNREACH_ADDR },
	[ICMP_PROHIBITED] = { ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH,
		ICMP6_DST_UNREACH_ADMIN },
	[ICMP_TIME] = { ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, ICMP6_TIME_EXCEEDED,
		ICMP6_TIME_EXCEED_TRANSIT },
	[ICMP_BIG] = { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_PACKET_TOO_BIG, 0 },
	[ICMP_PARAMETER] = { ICMP_PARAMETERPROB, 0, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_HEADER },
	[ICMP_CHAIN] = { ICMP_PARAMETERPROB, 0, ICMP6_PARAM_PROB, 3 }, /* RFC 7112 5 */
};

struct source {
	uint64_t key, tokens, stamp;
};
static struct source sources[DP_WORKERS_MAX][SOURCES];

/* ---- who is answered ---- */

/* RFC 1812 4.3.2.7; types as IANA lists them: queries and their replies. */
static bool is_query4(uint8_t type)
{
	switch (type) {
	case ICMP_ECHOREPLY:
	case ICMP_ECHO:
	case 9: /* router advertisement, solicitation: RFC 1256 */
	case 10:
	case ICMP_TIMESTAMP:
	case ICMP_TIMESTAMPREPLY:
	case ICMP_INFO_REQUEST:
	case ICMP_INFO_REPLY:
	case ICMP_ADDRESS:
	case ICMP_ADDRESSREPLY:
	case 42: /* extended echo: RFC 8335 */
	case 43:
		return true;
	default:
		return false;
	}
}

static bool may_answer4(const struct packet *k)
{
	uint32_t src = flow_be32(k->ip + 12), dst = flow_be32(k->ip + 16);
	unsigned hlen = (k->ip[0] & 15u) * 4;

	if ((k->note & NOTE_MULTI) || dst >= 0xe0000000 || ip4_martian_src(src))
		return false;
	if (flow_be16(k->ip + 6) & IP4_OFFSET)
		return false;
	return k->ip[9] != IPPROTO_ICMP || (hlen < k->len && is_query4(k->ip[hlen]));
}

static bool may_answer6(const struct packet *k, enum icmp_what what)
{
	const uint8_t *src = k->ip + 8, *dst = k->ip + 24;
	struct ip6_l4 l4;

	/* RFC 4443 2.4 (e.3): a multicast may be too big, or carry an option that asks for an
	 * answer */
	if (((k->note & NOTE_MULTI) || dst[0] == 0xff) && what != ICMP_BIG)
		return false;
	if (src[0] == 0xff || ip6_martian_addr(src)) /* (e.6) */
		return false;
	if (ip6_walk(k->ip, k->len, &l4)) /* cut or endless: an error might be at its end */
		return what == ICMP_CHAIN;
	if (l4.proto != IPPROTO_ICMPV6 || l4.frag == IP6_FRAG_LATER)
		return true;
	if (l4.off >= k->len)
		return what == ICMP_CHAIN;
	return (k->ip[l4.off] & ICMP6_INFOMSG_MASK) &&
	       k->ip[l4.off] != ND_REDIRECT; /* (e.1), (e.2) */
}

static bool within_budget(struct worker *w, const struct packet *k)
{
	uint64_t hz = rte_get_tsc_hz();
	uint64_t key = k->af == AF_INET ? flow_step(k->in, flow_be32(k->ip + 12))
					: flow_step(flow_step(k->in, flow_be64(k->ip + 8)),
						  flow_be64(k->ip + 16));
	struct source *s = &sources[w->index][flow_end(key) % SOURCES];

	if (s->key != key)
		*s = (struct source){ .key = key };
	if (!budget_take(&s->tokens, &s->stamp, worker_now(w), hz / SOURCE_PPS,
		    hz / SOURCE_PPS * SOURCE_BURST))
		return false;
	return budget_take(&w->icmp_tokens, &w->icmp_stamp, worker_now(w), hz / ALL_PPS,
		hz / ALL_PPS * ALL_BURST);
}

/* ---- with what ---- */

static void put_be16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

/* hdr: where the error's IP header goes, total bytes in all. */
static void write4(struct worker *w, uint8_t *hdr, unsigned total, const struct packet *k,
	const struct ip_addr *src, enum icmp_what what, uint32_t arg)
{
	uint8_t *icmp = hdr + IP4_MIN;
	uint16_t sum;

	memset(hdr, 0, IP4_MIN + ICMP_HEADER);
	hdr[0] = 0x45;
	hdr[1] = ICMP_TOS;
	put_be16(hdr + 2, total);
	put_be16(hdr + 4, (uint16_t)worker_random(w));
	hdr[8] = ICMP_TTL;
	hdr[9] = IPPROTO_ICMP;
	memcpy(hdr + 12, src->bytes, 4);
	memcpy(hdr + 16, k->ip + 12, 4);
	sum = (uint16_t)~rte_raw_cksum(hdr, IP4_MIN);
	memcpy(hdr + 10, &sum, sizeof(sum));
	icmp[0] = form[what].type4;
	icmp[1] = form[what].code4;
	if (what == ICMP_BIG) /* RFC 1191 4 */
		put_be16(icmp + 6, arg);
	else if (what == ICMP_PARAMETER)
		icmp[4] = (uint8_t)arg;
	memcpy(icmp + ICMP_HEADER, k->ip, total - IP4_MIN - ICMP_HEADER);
	sum = (uint16_t)~rte_raw_cksum(icmp, total - IP4_MIN);
	memcpy(icmp + 2, &sum, sizeof(sum));
}

static void write6(uint8_t *hdr, unsigned total, const struct packet *k, const struct ip_addr *src,
	enum icmp_what what, uint32_t arg)
{
	uint8_t *icmp = hdr + IP6_LEN;
	uint16_t sum;

	memset(hdr, 0, IP6_LEN + ICMP_HEADER);
	hdr[0] = 0x60 | ICMP_TOS >> 4;
	hdr[1] = (ICMP_TOS & 15) << 4;
	put_be16(hdr + 4, total - IP6_LEN);
	hdr[6] = IPPROTO_ICMPV6;
	hdr[7] = ICMP_TTL;
	memcpy(hdr + 8, src->bytes, 16);
	memcpy(hdr + 24, k->ip + 8, 16);
	icmp[0] = form[what].type6;
	icmp[1] = form[what].code6;
	put_be16(icmp + 4, arg >> 16);
	put_be16(icmp + 6, arg);
	memcpy(icmp + ICMP_HEADER, k->ip, total - IP6_LEN - ICMP_HEADER);
	sum = (uint16_t)~csum_l4(hdr, AF_INET6, icmp, total - IP6_LEN, IPPROTO_ICMPV6);
	memcpy(icmp + 2, &sum, sizeof(sum));
}

static struct ip_addr source_of(const struct link *l, uint8_t af)
{
	if (af == AF_INET6)
		return l->conf.src6;
	if (l->conf.src4.af)
		return l->conf.src4;
	return (struct ip_addr){ AF_INET,
		{ 192, 0, 0, 8 } }; /* RFC 7600 4.8: the dummy for unnumbered links */
}

/* What the error may be in all: its limit, its way's MTU, and no more than there is to quote. */
static unsigned total_of(const struct worker *w, const struct packet *k, const struct adj *a)
{
	unsigned head = (k->af == AF_INET ? IP4_MIN : IP6_LEN) + ICMP_HEADER;
	unsigned most = k->af == AF_INET ? QUOTE4_TOTAL : QUOTE6_TOTAL;
	const struct link *out = snapshot_link(w->snap, a->link);
	unsigned mtu = a->kind == DP_ADJ_FORWARD ? pmtu_adj(a) : out ? out->conf.mtu : most;

	if (mtu < most)
		most = RTE_MAX(mtu, head);
	return RTE_MIN(most, head + k->len);
}

/* The way back to the source; NULL: none, or not one host. */
static const struct adj *way_back(
	const struct packet *k, const struct link *l, const struct ip_addr *src)
{
	const struct vrf_fib *vrf = vrf_get(l->conf.vrf);
	const uint8_t *to = k->ip + (k->af == AF_INET ? 12 : 8);
	const struct adj *a;

	if (!vrf || !src->af)
		return NULL;
	a = route_find(
		vrf, k->af, src->bytes, to, k->af == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (a->kind == DP_ADJ_GLEAN || (a->kind == DP_ADJ_FORWARD && a->mtu))
		return a;
	return NULL;
}

void icmp_error(struct worker *w, const struct packet *k, enum icmp_what what, uint32_t arg,
	enum dp_drop reason)
{
	const struct link *l = snapshot_link(w->snap, k->in);
	bool ok = l && (k->af == AF_INET ? may_answer4(k) : may_answer6(k, what));
	struct ip_addr src = ok ? source_of(l, k->af) : (struct ip_addr){ 0 };
	const struct adj *a = ok ? way_back(k, l, &src) : NULL;
	struct rte_mbuf *e;
	unsigned total;
	uint8_t *hdr;

	if (!a)
		return drop(w, k->m, k->in, DP_DROP_icmp_suppressed);
	if (!within_budget(w, k))
		return drop(w, k->m, k->in, DP_DROP_icmp_limited);
	total = total_of(w, k, a);
	e = rte_pktmbuf_alloc(w->scratch);
	hdr = e ? (uint8_t *)rte_pktmbuf_append(e, (uint16_t)total) : NULL;
	if (!hdr) {
		rte_pktmbuf_free(e);
		return drop(w, k->m, k->in, DP_DROP_no_buffer);
	}
	if (k->af == AF_INET)
		write4(w, hdr, total, k, &src, what, arg);
	else
		write6(hdr, total, k, &src, what, arg);
	mbuf_meta(e)->link = 0;
	drop(w, k->m, k->in, reason);
	route_own(w, e, hdr, (uint16_t)total, k->af, a);
}
