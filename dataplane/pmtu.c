/* Path MTU of tunnels (RFC 1191, RFC 8201; RFC 2003 5.1, RFC 2473 7): the underlay's routers answer
 * an outer packet that is too big for them to us, not to the host inside who could do something.
 *
 * So what they say is kept for the tunnel for ten minutes, and the next inner packet that does not
 * fit is answered with an error of our own (rewrite.c). Anybody on the underlay can claim such a
 * thing: believed is only what quotes a packet as this tunnel sends them, ends, protocol, ports and
 * key as far as they are quoted, which was allowed to be cut by nobody and was larger than the MTU
 * that is told; never an MTU below what every path has (576, 1280), never one above what is
 * already known, and no more than so many a second a worker. A forger who knows all that can make a
 * tunnel use packets of 576 bytes for ten minutes, and no worse. */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include "encap.h"
#include "esp.h"
#include "event.h"
#include "pmtu.h"
#include "route.h"

#define KEPT_MS	  (10 * 60 * 1000) /* RFC 1191 6.3, RFC 8201 5.3 */
#define LEAST4	  576
#define LEAST6	  1280
#define ICMP_HEAD 8
#define QUOTE_L4  8 /* RFC 792: at least so much behind the quoted header */
#define HEAR_PPS  50

_Atomic uint64_t pmtu_said[DP_LINKS_MAX];
static atomic_bool any;

static struct {
	uint64_t tokens, stamp;
} __rte_cache_aligned budget[DP_WORKERS_MAX];

struct quote { /* the outer packet as the message shows it */
	uint8_t af, proto;
	const uint8_t *src, *dst, *l4;
	unsigned room, total; /* bytes from l4; of the packet when it was whole */
};

static uint64_t now_ms(uint64_t tsc)
{
	return tsc / (rte_get_tsc_hz() / 1000);
}

static unsigned overhead(const struct link *l)
{
	return l->tun_len + l->l2_len;
}

/* The largest inner packet whose outer one has so many bytes; 0: none. ESP adds what its SA says.
 */
static unsigned carried(const struct link *l, unsigned outer)
{
	const struct sa *sa = l->conf.encap == DP_ENCAP_ESP ? sa_outbound(l->id) : NULL;
	unsigned more = overhead(l);

	if (l->conf.encap != DP_ENCAP_ESP)
		return outer > more ? outer - more : 0;
	if (!sa)
		return 0;
	more += ESP_LEN + (sa->udp_local ? ESP_UDP_LEN : 0) + sa->crypto.iv_len +
		sa->crypto.icv_len;
	if (outer <= more + sa->crypto.block + 2u)
		return 0;
	return ((outer - more) & ~(sa->crypto.block - 1u)) - 2;
}

/* Without what was said: the link's own MTU and what its first hop takes. 0: unresolved. */
static unsigned known_mtu(const struct link *l)
{
	const struct adj *u =
		atomic_load_explicit(&adj_table[l->conf.tunnel.underlay_adj], memory_order_acquire);

	if (!u || u->kind != DP_ADJ_FORWARD)
		return 0;
	return RTE_MIN((unsigned)l->conf.mtu, carried(l, u->mtu));
}

uint16_t dp_tunnel_mtu(uint16_t link)
{
	const struct link *l = snapshot_link(snapshot_published, link);

	if (!l || l->conf.encap == DP_ENCAP_ETHER)
		return 0;
	return (uint16_t)RTE_MIN(known_mtu(l), pmtu_limit(link));
}

/* ---- is it about a packet of ours? ---- */

static bool quote_read(const uint8_t *q, unsigned len, uint8_t af, struct quote *ret)
{
	unsigned head = IP6_LEN;

	if (len < 1 || q[0] >> 4 != (af == AF_INET ? 4 : 6))
		return false;
	if (af == AF_INET)
		head = (q[0] & 15u) * 4;
	if (head < IP4_MIN || len < head + QUOTE_L4)
		return false;
	*ret = (struct quote){ .af = af, .l4 = q + head, .room = len - head };
	if (af == AF_INET) {
		if ((flow_be16(q + 6) & (IP4_DF | IP4_MF | IP4_OFFSET)) != IP4_DF)
			return false;
		ret->proto = q[9];
		ret->src = q + 12;
		ret->dst = q + 16;
		ret->total = flow_be16(q + 2);
	} else {
		ret->proto = q[6];
		ret->src = q + 8;
		ret->dst = q + 24;
		ret->total = flow_be16(q + 4) + IP6_LEN;
	}
	return true;
}

/* By the SA that is in use: what quotes the one before comes too late to matter. */
static bool esp_matches(const struct link *l, const struct quote *q)
{
	const struct sa *sa = sa_outbound(l->id);

	if (!sa)
		return false;
	if (!sa->udp_local)
		return q->proto == PROTO_ESP && !memcmp(q->l4, &sa->spi, 4);
	return q->proto == IPPROTO_UDP && flow_be16(q->l4) == sa->udp_local &&
	       flow_be16(q->l4 + 2) == sa->udp_remote &&
	       (q->room < ESP_UDP_LEN + 4 || !memcmp(q->l4 + ESP_UDP_LEN, &sa->spi, 4));
}

/* Does the header behind the quoted IP header look like this link's, as far as it is there? */
static bool header_matches(const struct link *l, const struct quote *q)
{
	const uint8_t *ours = l->tun + (q->af == AF_INET ? IP4_MIN : IP6_LEN);
	unsigned gre = (unsigned)(l->tun + l->tun_len - ours);

	switch (l->conf.encap) {
	case DP_ENCAP_VXLAN:
	case DP_ENCAP_GENEVE:
		return q->proto == IPPROTO_UDP && flow_be16(q->l4) >= FLOW_PORT_BASE &&
		       !memcmp(q->l4 + 2, ours + 2, 2) &&
		       (q->room < UDP_LEN + VXLAN_LEN ||
			       !memcmp(q->l4 + UDP_LEN + 4, ours + UDP_LEN + 4, 3));
	case DP_ENCAP_GRE: /* flags, and the key where it is */
		return q->proto == PROTO_GRE && !memcmp(q->l4, ours, 2) &&
		       (!l->conf.tunnel.keyed || q->room < gre ||
			       !memcmp(q->l4 + gre - 4, ours + gre - 4, 4));
	case DP_ENCAP_IPIP:
		return (q->proto == PROTO_IPIP && q->l4[0] >> 4 == 4) ||
		       (q->proto == PROTO_IP6 && q->l4[0] >> 4 == 6);
	case DP_ENCAP_ESP:
		return esp_matches(l, q);
	default:
		return false;
	}
}

static bool is_of(const struct link *l, uint16_t vrf, const struct quote *q)
{
	const struct dp_tunnel *t = &l->conf.tunnel;

	return l->conf.encap != DP_ENCAP_ETHER && t->underlay_vrf == vrf && t->local.af == q->af &&
	       !memcmp(t->local.bytes, q->src, ip_size(q->af)) &&
	       !memcmp(t->remote.bytes, q->dst, ip_size(q->af)) && header_matches(l, q);
}

/* ---- lowered, and forgotten ---- */

static void tell(uint16_t link)
{
	struct dp_event event = { .kind = DP_EV_MTU, .port = DP_NONE, .link = link };

	event_send(&event);
}

static void lower(struct worker *w, const struct link *l, unsigned outer)
{
	uint64_t was = atomic_load(&pmtu_said[l->id]), until = now_ms(worker_now(w)) + KEPT_MS;
	unsigned inner = carried(l, outer), limit;

	if (!inner)
		return;
	do {
		limit = RTE_MIN(known_mtu(l), (unsigned)(uint16_t)(was - 1));
		if (inner > limit)
			return;
	} while (!atomic_compare_exchange_weak(&pmtu_said[l->id], &was, until << 16 | (inner + 1)));
	atomic_store(&any, true);
	if (inner < limit)
		tell(l->id);
}

/* Between two ends of a tunnel of ours in this VRF? ESP's pair is known without its UDP. */
static bool between_ends(const struct worker *w, const struct link *l, const struct quote *q)
{
	bool natt = q->proto == IPPROTO_UDP && flow_be16(q->l4) == ESP_PORT;

	return snapshot_is_endpoint(
		w->snap, l->conf.vrf, q->af, q->src, q->dst, natt ? PROTO_ESP : q->proto, 0);
}

void pmtu_hear(struct worker *w, const struct packet *k, const struct link *l, unsigned off)
{
	const uint8_t *icmp = k->ip + off;
	unsigned len = k->len - off, mtu;
	uint64_t cost = rte_get_tsc_hz() / HEAR_PPS;
	struct quote q;
	bool v4 = k->af == AF_INET;

	if (!w->snap->tunnels || len < ICMP_HEAD)
		return;
	if (v4 ? icmp[0] != ICMP_DEST_UNREACH || icmp[1] != ICMP_FRAG_NEEDED
	       : icmp[0] != ICMP6_PACKET_TOO_BIG)
		return;
	mtu = v4 ? flow_be16(icmp + 6) : RTE_MIN(flow_be32(icmp + 4), (uint32_t)UINT16_MAX);
	if (mtu < (v4 ? LEAST4 : LEAST6) ||
		!quote_read(icmp + ICMP_HEAD, len - ICMP_HEAD, k->af, &q) || q.total <= mtu ||
		!between_ends(w, l, &q))
		return;
	if (!budget_take(&budget[w->index].tokens, &budget[w->index].stamp, worker_now(w), cost,
		    cost * HEAR_PPS))
		return;
	if ((v4 ? csum_fold(rte_raw_cksum(icmp, len))
		: csum_l4(k->ip, AF_INET6, icmp, len, IPPROTO_ICMPV6)) != 0xffff)
		return;
	for (unsigned i = 0; i < w->snap->n; i++)
		if (is_of(&w->snap->links[i], l->conf.vrf, &q))
			lower(w, &w->snap->links[i], mtu);
}

void pmtu_expire(uint64_t now)
{
	uint64_t ms = now_ms(now);
	bool left = false;

	if (!atomic_exchange(&any, false))
		return;
	for (unsigned i = 0; i < DP_LINKS_MAX; i++) {
		uint64_t said = atomic_load_explicit(&pmtu_said[i], memory_order_relaxed);

		if (said && said >> 16 <= ms &&
			atomic_compare_exchange_strong(&pmtu_said[i], &said, 0))
			tell((uint16_t)i);
		else if (said)
			left = true;
	}
	if (left)
		atomic_store(&any, true);
}

void pmtu_forget(const struct link *was, const struct link *is)
{
	const struct dp_tunnel *a = &was->conf.tunnel, *b = is ? &is->conf.tunnel : NULL;

	if (was->conf.encap == DP_ENCAP_ETHER)
		return;
	if (!is || is->conf.encap != was->conf.encap || overhead(is) != overhead(was) ||
		a->underlay_vrf != b->underlay_vrf ||
		memcmp(&a->local, &b->local, sizeof(a->local)) ||
		memcmp(&a->remote, &b->remote, sizeof(a->remote)))
		atomic_store(&pmtu_said[was->id], 0);
}
