/* decap: out of a tunnel, at most twice a packet, and on as if received on the tunnel's link.
 *
 * Route leaves here what is for this router, plain and of a protocol or to a port that tunnels use;
 * local.c, for what is not so plain, what is addressed to an end of some tunnel. Whose it is shows
 * in encap.c, which reads the headers of every kind: what is nobody's is dropped, or goes up to the
 * kernel when no tunnel ends at its address. Then the outer headers and whatever follows the outer
 * payload are cut off and parse sees the inner frame; where there was none but an IP packet, it
 * gets an Ethernet header of ours. Congestion marks come along (RFC 6040 4.2) and TCP's MSS is
 * lowered (mss.c): the only changes to a packet before rewrite. */
#include "csum.h"
#include "encap.h"
#include "esp.h"
#include "ether.h"
#include "flow.h"
#include "mss.h"
#include "parse.h"
#include "pipeline.h"
#include "snapshot.h"

enum ecn { ECN_NONE, ECN_ECT1, ECN_ECT0, ECN_CE };

/* RFC 6040 figure 4: the inner mark that leaves; -1: the packet must not. */
static int ecn_merge(unsigned inner, unsigned outer)
{
	if (inner == ECN_NONE)
		return outer == ECN_CE ? -1 : ECN_NONE;
	if (outer == ECN_CE || (outer == ECN_ECT1 && inner == ECN_ECT0))
		return (int)outer;
	return (int)inner;
}

static void ecn_write(uint8_t *ip, uint8_t af, unsigned mark)
{
	if (af == AF_INET6) {
		ip[1] = (uint8_t)((ip[1] & ~0x30) | mark << 4);
		return;
	}
	uint8_t tos = (uint8_t)((ip[1] & ~3) | mark);
	/* RFC 1624: ~(~HC + ~m + m'), the word being version, header length and this octet */
	uint32_t sum = (uint16_t)~flow_be16(ip + 10) + (uint16_t) ~(ip[0] << 8 | ip[1]) +
		       (ip[0] << 8 | tos);
	uint16_t csum = (uint16_t)~csum_fold(sum);
	ip[1] = tos;
	ip[10] = (uint8_t)(csum >> 8);
	ip[11] = (uint8_t)csum;
}

/* The packet that parse put at the lane's end, if it did. */
static void ecn_apply(struct worker *w, struct lane *v, unsigned before, uint8_t af, unsigned outer)
{
	unsigned last = v->n - 1;
	int mark;

	if (v->n == before)
		return;
	mark = ecn_merge(encap_tos(v->ip[last], af) & 3, outer);
	if (mark < 0) {
		drop(w, v->m[last], v->in[last], DP_DROP_tun_bad);
		v->n = last;
	} else if ((unsigned)mark != (encap_tos(v->ip[last], af) & 3u)) {
		ecn_write(v->ip[last], af, (unsigned)mark);
	}
}

/* Not out of a tunnel of ours: malformed or from a stranger, if it is for a tunnel's end at all. */
static __rte_noinline void no_tunnel(
	struct worker *w, struct pass *p, const struct packet *k, enum dp_drop reason)
{
	const struct link *l = snapshot_link_at(w->snap, k->in);
	const uint8_t *local = k->ip + (k->af == AF_INET ? 16 : 24);
	uint16_t port = k->proto == IPPROTO_UDP ? flow_be16(k->ip + k->l4 * 4 + 2) : 0;

	if (snapshot_is_endpoint(w->snap, l->conf.vrf, k->af, local, NULL, k->proto, port))
		drop(w, k->m, k->in, reason);
	else
		local_deliver(w, p, k);
}

/* An Ethernet header of ours over the end of the outer one: the kernel, and whoever looks for the
 * IP header, find the packet as on any link. There is room: an IP header went before. */
static void put_ether(uint8_t *inner, const struct link *l, uint16_t type)
{
	static const uint8_t from[6] = ETHER_PLAIN_SOURCE;
	uint16_t be = rte_cpu_to_be_16(type);

	memcpy(inner - 14, l->conf.mac, 6);
	memcpy(inner - 8, from, 6);
	memcpy(inner - 2, &be, sizeof(be));
}

/* The packet that parse put at the lane's end, if it did: the peer's MSS, on its way to who will
 * send into the tunnel. */
static void mss_apply(struct lane *v, unsigned before, uint8_t af, uint16_t most)
{
	unsigned last = v->n - 1;

	if (v->n != before)
		mss_clamp(v->ip[last], v->len[last], af, most);
}

static __rte_always_inline void take_inner(struct worker *w, struct pass *p, const struct packet *k,
	const struct link *l, uint8_t *inner, unsigned len, uint16_t type)
{
	unsigned before4 = p->v4.n, before6 = p->v6.n, outer = encap_tos(k->ip, k->af) & 3;
	uint8_t note = (uint8_t)((k->note & ~(NOTE_DECAP - 1)) + NOTE_DECAP);
	struct rte_mbuf *m = k->m;

	m->data_off = (uint16_t)(inner - (uint8_t *)m->buf_addr);
	m->pkt_len = m->data_len = (uint16_t)len;
	if (!type) {
		parse_inner(w, p, m, l, note);
	} else {
		put_ether(inner, l, type);
		m->data_off -= ETH_MIN;
		m->pkt_len = m->data_len = (uint16_t)(len + ETH_MIN);
		parse_inner_ip(w, p, m, l, rte_cpu_to_be_16(type), note);
	}
	if (unlikely(outer)) {
		ecn_apply(w, &p->v4, before4, AF_INET, outer);
		ecn_apply(w, &p->v6, before6, AF_INET6, outer);
	}
	if (l->encap.mss4 | l->encap.mss6) {
		mss_apply(&p->v4, before4, AF_INET, l->encap.mss4);
		mss_apply(&p->v6, before6, AF_INET6, l->encap.mss6);
	}
}

void decap_inner(struct worker *w, struct pass *p, const struct packet *k, const struct link *l,
	uint8_t *inner, unsigned len, uint16_t type)
{
	take_inner(w, p, k, l, inner, len, type);
}

/* True: an outer packet ended here. */
static __rte_always_inline bool decap(
	struct worker *w, struct pass *p, const struct packet *k, struct encap_inner *in)
{
	if (unlikely(!encap_open(w->snap, k, in))) {
		no_tunnel(w, p, k, in->bad);
		return false;
	}
	if (unlikely(k->note >= NOTE_DECAP * DECAPS_MAX)) {
		drop(w, k->m, k->in, DP_DROP_tun_depth);
		return false;
	}
	take_inner(w, p, k, in->link, k->ip + in->at, in->len, in->type);
	return true;
}

void decap_run(struct worker *w, struct pass *p)
{
	unsigned n = p->n_decap, packets = 0;
	uint16_t in = 0;
	uint64_t bytes = 0;
	struct encap_inner inner = { 0 };

	p->n_decap = 0; /* what ends up here again takes a place whose packet is through */
	for (unsigned i = 0; i < n; i++) {
		const struct packet k = p->decap[i];

		if (esp_is(w->snap, &k)) {
			esp_take(w, p, &k);
			continue;
		}
		if (k.in != in && packets) {
			meter_count(w, in, 0, packets, bytes);
			packets = 0;
			bytes = 0;
		}
		in = k.in;
		if (decap(w, p, &k, &inner)) {
			packets++;
			bytes += k.len;
		}
	}
	if (packets)
		meter_count(w, in, 0, packets, bytes);
}
