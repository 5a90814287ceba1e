/* rewrite: the first stage that changes a packet. TTL and header checksum, then the adjacency's
 * header.
 *
 * The straight line is for a packet that fits the MTU and has time left: the checksum adjusted
 * incrementally (RFC 1624; parse_four.c may have done so already), a right-aligned header of at
 * most 24 bytes copied before the IP header (what goes further left is headroom), and the length
 * set so that padding stays behind. Into a tunnel the copy is of the whole prebuilt outer header,
 * and what depends on the packet is filled in.
 *
 * Off the line: time exceeded, too big (fragments for IPv4 without DF, else an error with the MTU,
 * from which the tunnel's overhead is already taken), options within their budget, links that are
 * down. */
#include "csum.h"
#include "encap.h"
#include "esp.h"
#include "flow.h"
#include "icmp.h"
#include "mss.h"
#include "parse.h"
#include "pmtu.h"
#include "rewrite.h"

#define IP6_MTU_MIN 1280
/* Options take a slow path in other routers: a budget a worker (RFC 6398 5, RFC 7126 3). */
#define OPTIONS_PPS   1000
#define OPTIONS_BURST 100

static struct {
	uint64_t tokens, stamp;
} __rte_cache_aligned options_budget[DP_WORKERS_MAX];

static bool options_allowed(struct worker *w)
{
	uint64_t cost = rte_get_tsc_hz() / OPTIONS_PPS;

	return budget_take(&options_budget[w->index].tokens, &options_budget[w->index].stamp,
		worker_now(w), cost, cost * OPTIONS_BURST);
}

static uint16_t offset_of(const struct rte_mbuf *m, const uint8_t *ip)
{
	return (uint16_t)(ip - (const uint8_t *)m->buf_addr);
}

static inline void set_data(struct rte_mbuf *m, unsigned off, unsigned len)
{
	m->data_off = (uint16_t)off;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

static inline void put_type(uint8_t *ip, uint8_t af)
{
	uint16_t type =
		af == AF_INET ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);

	memcpy(ip - 2, &type, sizeof(type));
}

/* TTL, protocol and checksum are one word, read as little-endian: TTL loses 1; its 16 bits lose
 * 0x0100 in network order, so the checksum above them gains that, which is 1 here, end-around, and
 * never becomes 0xffff (RFC 1624 3). */
static __rte_always_inline void decrement(uint8_t *ip, uint8_t af)
{
	uint32_t word, carry;

	if (af == AF_INET6) {
		ip[7]--;
		return;
	}
	memcpy(&word, ip + 8, sizeof(word));
	carry = (uint32_t)((word + UINT64_C(0x20000)) >> 32);
	word += 0x10000 - 1 + (carry << 16);
	memcpy(ip + 8, &word, sizeof(word));
}

/* What depends on the packet, in a tunnel's header before ip. */
static __rte_always_inline void fill_outer(
	uint8_t *ip, unsigned len, uint8_t af, const struct adj *a, uint32_t hash)
{
	unsigned n = a->header_len - a->outer_ip_off, total = n + len;
	uint8_t *outer = ip - n;

	if (unlikely(!a->encap.straight))
		return encap_fill(&a->encap, outer, total, ip, af, hash, a->outer_sum);
	mss_clamp(ip, len, af, af == AF_INET ? a->encap.mss4 : a->encap.mss6);
	put_type(ip, af);
	encap_fill_ip(outer, a->encap.af, total, encap_outer_tos(&a->encap, encap_tos(ip, af)),
		hash, a->outer_sum);
	if (a->encap.straight == STRAIGHT_GRE)
		return;
	outer += a->encap.af == AF_INET ? IP4_MIN : IP6_LEN;
	encap_fill_udp(outer, (unsigned)(ip + len - outer), hash);
}

/* Copies more than the header, in pieces of constant size, where there is room before it. */
static __rte_always_inline bool push_tunnel(struct rte_mbuf *m, uint8_t *ip, unsigned len,
	uint8_t af, const struct adj *a, unsigned off, uint32_t hash)
{
	unsigned n = a->header_len, at = off - n;
	const uint8_t *end = a->header + HEADER_MAX;

	if (likely(n <= HEADER_MAX / 2 && off >= HEADER_MAX / 2))
		memcpy(ip - HEADER_MAX / 2, end - HEADER_MAX / 2, HEADER_MAX / 2);
	else if (n <= HEADER_MAX * 3 / 4 && off >= HEADER_MAX * 3 / 4)
		memcpy(ip - HEADER_MAX * 3 / 4, end - HEADER_MAX * 3 / 4, HEADER_MAX * 3 / 4);
	else if (off >= n)
		memcpy(ip - n, end - n, n);
	else
		return false;
	fill_outer(ip, len, af, a, hash);
	set_data(m, at, n + len);
	return true;
}

static __rte_always_inline void push_ether(struct rte_mbuf *m, uint8_t *ip, unsigned len,
	uint8_t af, const struct adj *a, unsigned off)
{
	memcpy(ip - ADJ_TAIL, a->tail, ADJ_TAIL);
	if (af == AF_INET6)
		put_type(ip, af);
	set_data(m, off - a->header_len, a->header_len + len);
}

bool rewrite_push(struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af, const struct adj *a,
	uint32_t hash)
{
	unsigned off = offset_of(m, ip);

	if (unlikely(a->esp)) /* never in clear, whoever asks */
		return false;
	if (a->outer_ip_off)
		return push_tunnel(m, ip, len, af, a, off, hash);
	if (off < ADJ_TAIL)
		return false;
	push_ether(m, ip, len, af, a, off);
	return true;
}

static enum dp_drop down_reason(const struct adj *a)
{
	return a->outer_ip_off ? DP_DROP_tun_down : DP_DROP_link_down;
}

void rewrite_own(struct worker *w, struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af,
	const struct adj *a)
{
	if (!a->mtu)
		return drop(w, m, 0, down_reason(a));
	if (a->esp)
		return esp_send(w, &(struct esp_packet){ m, ip, len, 0, a->link, af, 0 });
	if (!rewrite_push(m, ip, len, af, a, a->outer_ip_off ? flow_hash(ip, len, af) : 0))
		return drop(w, m, 0, DP_DROP_no_buffer);
	meter_way(w, 0, a, 1, len);
	tx_send(w, a->port, m);
}

/* Into a tunnel whole, and then cut: the pieces are the underlay's business, counted there. False:
 * not this packet. */
static bool cut_outer(struct worker *w, const struct packet *k, const struct adj *a)
{
	const struct link *l = snapshot_link(w->snap, a->link);
	const struct adj *u = l ? atomic_load_explicit(&adj_table[l->conf.tunnel.underlay_adj],
					  memory_order_acquire)
				: NULL;
	struct packet outer = { .m = k->m, .af = AF_INET };

	if (!u || u->kind != DP_ADJ_FORWARD || k->len > l->conf.mtu ||
		!encap_may_cut(&a->encap, k->af, k->len))
		return false;
	decrement(k->ip, k->af);
	if (!rewrite_push(k->m, k->ip, k->len, k->af, a, flow_hash(k->ip, k->len, k->af))) {
		drop(w, k->m, k->in, DP_DROP_no_buffer);
		return true;
	}
	outer.ip = (uint8_t *)rte_pktmbuf_adj(k->m, a->outer_ip_off);
	outer.len = rte_pktmbuf_data_len(k->m);
	encap_clear_df(outer.ip);
	meter_count(w, k->in, a->link, 1, k->len);
	frag_send(w, &outer, u);
	return true;
}

static void too_big(struct worker *w, const struct packet *k, const struct adj *a)
{
	unsigned mtu = pmtu_adj(a);

	if (a->outer_ip_off && !a->esp && cut_outer(w, k, a))
		return;
	if (k->af == AF_INET6)
		return icmp_error(
			w, k, ICMP_BIG, RTE_MAX(mtu, (unsigned)IP6_MTU_MIN), DP_DROP_ip6_too_big);
	if (flow_be16(k->ip + 6) & IP4_DF)
		return icmp_error(w, k, ICMP_BIG, mtu, DP_DROP_ip4_too_big);
	decrement(k->ip, AF_INET);
	frag_send(w, k, a);
}

/* One of the reasons to leave the line. True: rewritten after all; false: consumed. */
static __rte_noinline bool rewrite_odd(
	struct worker *w, const struct packet *k, const struct adj *a)
{
	uint32_t hash = a->outer_ip_off ? flow_hash(k->ip, k->len, k->af) : 0;

	if (!a->mtu) {
		drop(w, k->m, k->in, down_reason(a));
		return false;
	}
	if (k->note & NOTE_SCOPE) { /* RFC 4291 2.5.6 */
		drop(w, k->m, k->in, DP_DROP_ip6_scope);
		return false;
	}
	if ((k->af == AF_INET ? k->ip[8] : k->ip[7]) < 2) { /* RFC 1812 5.3.1, RFC 8200 3 */
		icmp_error(
			w, k, ICMP_TIME, 0, k->af == AF_INET ? DP_DROP_ip4_ttl : DP_DROP_ip6_hlim);
		return false;
	}
	if ((k->note & NOTE_OPTIONS) && !options_allowed(w)) {
		drop(w, k->m, k->in, DP_DROP_ip4_opt);
		return false;
	}
	if (k->len > pmtu_adj(a)) {
		too_big(w, k, a);
		return false;
	}
	decrement(k->ip, k->af);
	if (a->esp) {
		esp_send(w, &(struct esp_packet){
				    k->m, k->ip, k->len, k->in, a->link, k->af, k->note });
		return false;
	}
	if (!rewrite_push(k->m, k->ip, k->len, k->af, a, hash)) {
		drop(w, k->m, k->in, DP_DROP_no_buffer);
		return false;
	}
	return true;
}

/* quick: constant where this is inlined, see pipeline.h. */
static __rte_always_inline void rewrite_lane(
	struct worker *w, struct lane *v, uint8_t af, const bool quick)
{
	for (unsigned i = 0; i < v->n; i++) {
		const struct adj *a = v->adj[i];
		struct rte_mbuf *m = v->m[i];
		uint8_t *ip = v->ip[i], ttl = af == AF_INET ? ip[8] : ip[7];
		unsigned off = (unsigned)(ip - (uint8_t *)m->buf_addr), len = v->len[i];

		if (quick || (likely(ttl >= 2) && likely(off >= ADJ_TAIL) &&
				     likely(!(v->note[i] & NOTE_ODD)))) {
			if (likely(len <= a->plain_mtu)) {
				quick ? (void)memcpy(ip + 8, &v->aged[i], 4) : decrement(ip, af);
				push_ether(m, ip, len, af, a, off);
				continue;
			}
			if (a->esp && len <= pmtu_adj(a)) {
				quick ? (void)memcpy(ip + 8, &v->aged[i], 4) : decrement(ip, af);
				esp_send(w, &(struct esp_packet){ m, ip, (uint16_t)len, v->in[i],
						    a->link, af, v->note[i] });
				lane_take(v, i);
				continue;
			}
			if (a->outer_ip_off && len <= pmtu_adj(a) && off >= a->header_len) {
				uint32_t hash = a->encap.fill & FILL_FLOW
							? flow_hash_plain(ip, (uint16_t)len, af)
							: 0;

				quick ? (void)memcpy(ip + 8, &v->aged[i], 4) : decrement(ip, af);
				push_tunnel(m, ip, len, af, a, off, hash);
				continue;
			}
		}
		struct packet k = lane_packet(v, i, af);
		if (!rewrite_odd(w, &k, a))
			lane_take(v, i);
	}
	if (unlikely(v->gone)) {
		lane_compact(v);
		lane_runs(v);
	}
}

void rewrite_run(struct worker *w, struct pass *p)
{
	if (p->v4.quick)
		rewrite_lane(w, &p->v4, AF_INET, true);
	else
		rewrite_lane(w, &p->v4, AF_INET, false);
	rewrite_lane(w, &p->v6, AF_INET6, false);
}
