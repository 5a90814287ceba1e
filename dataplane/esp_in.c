/* esp_in: out of ESP (RFC 4303 3.4), and on as received on the SA's link.
 *
 * decap.c leaves here what arrived for an end of ours as IP protocol 50, or in UDP to port 4500
 * (RFC 3948; IKE and keepalives, told by their first four octets, go up to the kernel). The SA is
 * found by (underlay VRF, our end, SPI) and must be of the same encapsulation; another worker's
 * packets go to that worker. A vector is opened an SA at a time: what the window refuses is dropped
 * before the cipher is asked, and the window moves only for what the cipher vouches for. Then the
 * trailer is read, and what was inside, IPv4 or IPv6, is parsed like any packet.
 *
 * UDP's checksum is not looked at: it says nothing that the ICV does not (RFC 3948 2.1, 3.1.2).
 * Fragments of outer packets do not come here. */
#include "encap.h"
#include "esp.h"
#include "flow.h"
#include "parse.h"
#include "snapshot.h"

struct opening {
	const struct sa *sa;
	const struct link *l;
	const struct arrival *a[VECTOR_MAX]; /* item i of the batch */
	uint64_t seq[VECTOR_MAX];
	unsigned n;
};

/* ---- whose it is ---- */

/* Between ESP in UDP and IKE. False: consumed. */
static bool in_udp(struct worker *w, struct pass *p, const struct packet *k, struct arrival *a)
{
	const uint8_t *udp = k->ip + a->at;
	unsigned len = a->len < ESP_UDP_LEN ? 0 : flow_be16(udp + 4);

	if (len < ESP_UDP_LEN || len > a->len) {
		drop(w, k->m, k->in, DP_DROP_esp_short);
		return false;
	}
	a->at += ESP_UDP_LEN;
	a->len = (uint16_t)(len - ESP_UDP_LEN);
	if (a->len >= 4 && flow_be32(udp + ESP_UDP_LEN))
		return true;
	local_deliver(w, p, k);
	return false;
}

/* The link is as it was when the SA was set. */
static const struct link *link_of(struct worker *w, const struct sa *sa)
{
	const struct link *l = snapshot_link(w->snap, sa->link);

	if (!l || l->conf.encap != DP_ENCAP_ESP || l->conf.tunnel.underlay_vrf != sa->vrf ||
		!ip_addr_equal(&l->conf.tunnel.local, &sa->local))
		return NULL;
	return l;
}

static void hand_over(struct worker *w, const struct sa *sa, const struct packet *k)
{
	struct rte_mbuf *m = k->m;

	m->data_off = (uint16_t)(k->ip - (uint8_t *)m->buf_addr);
	m->pkt_len = m->data_len = k->len;
	*mbuf_meta(m) = (struct mbuf_meta){ .link = k->in,
		.l3_off = k->note,
		.af = k->af,
		.class = ESP_IN,
		.out_link = (uint16_t)(k->proto << 8 | k->l4) };
	esp_hand_over(w, sa->worker, m);
}

/* No SA of ours, if one of our ESP links ends at this address at all; else it is the kernel's. */
static __rte_noinline void refuse(struct worker *w, struct pass *p, const struct packet *k,
	const struct link *under, enum dp_drop reason)
{
	const uint8_t *local = k->ip + (k->af == AF_INET ? 16 : 24);
	uint16_t port = k->proto == IPPROTO_UDP ? ESP_PORT : 0;

	if (snapshot_is_endpoint(w->snap, under->conf.vrf, k->af, local, NULL, k->proto, port))
		drop(w, k->m, k->in, reason);
	else
		local_deliver(w, p, k);
}

void esp_take(struct worker *w, struct pass *p, const struct packet *k)
{
	struct arrival a = { .k = *k, .at = (uint16_t)(k->l4 * 4) };
	const struct link *under = snapshot_link_at(w->snap, k->in);
	bool udp = k->proto == IPPROTO_UDP;
	uint32_t spi;

	a.len = (uint16_t)(k->len - a.at);
	if (udp && !in_udp(w, p, k, &a))
		return;
	if (unlikely(!under))
		return drop(w, k->m, k->in, DP_DROP_link_down);
	if (unlikely(a.len < ESP_LEN))
		return refuse(w, p, k, under, DP_DROP_esp_short);
	memcpy(&spi, k->ip + a.at, sizeof(spi));
	a.sa = sa_inbound(under->conf.vrf, k->af, k->ip + (k->af == AF_INET ? 16 : 24), spi);
	if (unlikely(!a.sa || udp != !!a.sa->udp_local))
		return refuse(w, p, k, under, DP_DROP_esp_spi);
	if (unlikely(k->note >= NOTE_DECAP * DECAPS_MAX))
		return drop(w, k->m, k->in, DP_DROP_tun_depth);
	if (a.sa->worker != w->index)
		return hand_over(w, a.sa, k);
	p->esp[p->n_esp++] = a;
}

/* ---- before the cipher ---- */

/* Bytes that are encrypted; 0: it cannot be a packet of this SA. */
static unsigned cipher_len(const struct sa *sa, const struct arrival *a)
{
	const struct crypto *c = &sa->crypto;
	unsigned other = ESP_LEN + c->iv_len + c->icv_len, len = a->len - other;

	return a->len < other + 2 || len & (c->block - 1u) ? 0 : len;
}

static void prepare(
	struct opening *o, struct crypto_batch *b, const struct arrival *a, uint64_t seq)
{
	const struct crypto *c = &o->sa->crypto;
	uint8_t *esp = a->k.ip + a->at, *icv = esp + a->len - c->icv_len;
	unsigned i = o->n++;

	o->a[i] = a;
	o->seq[i] = seq;
	b->icv[i].va = icv;
	if (c->aead) {
		esp_aead(b, i, o->sa, esp + ESP_LEN, seq);
		b->data[i].base = esp + ESP_LEN + c->iv_len;
	} else {
		b->data[i].base = esp;
		if (c->iv_len)
			memcpy(b->iv[i], esp + ESP_LEN, CRYPTO_IV_MAX);
		if (o->sa->esn) { /* RFC 4303 2.2.1: where the ICV is */
			memcpy(b->kept[i], icv, c->icv_len);
			b->icv[i].va = b->kept[i];
			esp_put_be32(icv, (uint32_t)(seq >> 32));
			icv += 4;
		}
	}
	b->data[i].len = (uint32_t)(icv - (uint8_t *)b->data[i].base);
}

/* Into the opening, or consumed. */
static void admit(struct worker *w, struct opening *o, const struct arrival *a)
{
	const struct packet *k = &a->k;
	const struct sa *sa = o->sa;
	uint64_t seq;

	if (unlikely(!o->l))
		return drop(w, k->m, k->in, DP_DROP_esp_spi);
	if (unlikely(sa_ended(sa)))
		return drop(w, k->m, k->in, DP_DROP_esp_limit);
	if (unlikely(!cipher_len(sa, a)))
		return drop(w, k->m, k->in, DP_DROP_esp_short);
	seq = sa_seq(sa, flow_be32(k->ip + a->at + 4));
	if (unlikely(!sa_fresh(sa, seq))) {
		count_add(&sa->run->replayed, 1);
		return drop(w, k->m, k->in, DP_DROP_esp_replay);
	}
	prepare(o, &crypto_batch[w->index], a, seq);
}

/* ---- behind it ---- */

/* Bytes of the packet inside, and what it is; -1: the trailer is wrong. RFC 4303 2.4: padding is
 * 1, 2, 3 and so on. */
static int inner_len(const uint8_t *inner, unsigned len, uint8_t *ret_next)
{
	unsigned pad = inner[len - 2], bad = 0;

	*ret_next = inner[len - 1];
	if (pad + 2 > len)
		return -1;
	for (unsigned i = 0; i < pad; i++)
		bad |= inner[len - 2 - pad + i] ^ (i + 1);
	return bad & 0xff ? -1 : (int)(len - 2 - pad);
}

/* True: it was good, whatever was inside. */
static bool arrive(struct worker *w, struct pass *p, const struct opening *o, unsigned i)
{
	const struct arrival *a = o->a[i];
	const struct packet *k = &a->k;
	struct sa_run *run = o->sa->run;
	uint8_t *inner = k->ip + a->at + ESP_LEN + o->sa->crypto.iv_len, next;
	int len;

	if (unlikely(crypto_batch[w->index].status[i])) {
		count_add(&run->bad_icv, 1);
		drop(w, k->m, k->in, DP_DROP_esp_icv);
		return false;
	}
	if (unlikely(!sa_seen(o->sa, o->seq[i]))) { /* twice in this vector */
		count_add(&run->replayed, 1);
		drop(w, k->m, k->in, DP_DROP_esp_replay);
		return false;
	}
	len = inner_len(inner, cipher_len(o->sa, a), &next);
	if (unlikely(len < 0)) {
		count_add(&run->bad_pad, 1);
		drop(w, k->m, k->in, DP_DROP_esp_pad);
		return false;
	}
	count_add(&run->packets, 1);
	count_add(&run->bytes, (uint64_t)len);
	if (likely(next == ESP_NEXT_IP4))
		decap_inner(w, p, k, o->l, inner, (unsigned)len, RTE_ETHER_TYPE_IPV4);
	else if (likely(next == ESP_NEXT_IP6))
		decap_inner(w, p, k, o->l, inner, (unsigned)len, RTE_ETHER_TYPE_IPV6);
	else if (next == ESP_NEXT_NONE) /* RFC 4303 2.6: there is no packet in it */
		drop(w, k->m, k->in, DP_DROP_esp_dummy);
	else
		drop(w, k->m, k->in, DP_DROP_esp_next);
	return true;
}

/* Those of one SA. */
static void open_sa(struct worker *w, struct pass *p, const uint8_t *order, unsigned n)
{
	struct opening o = { .n = 0 };
	uint64_t bytes = 0;
	unsigned good = 0;
	uint16_t in = 0;

	o.sa = p->esp[order[0]].sa;
	o.l = link_of(w, o.sa);
	for (unsigned i = 0; i < n; i++)
		admit(w, &o, &p->esp[order[i]]);
	if (!o.n)
		return;
	crypto_run(w, &o.sa->crypto, o.n);
	for (unsigned i = 0; i < o.n; i++) {
		const struct packet *k = &o.a[i]->k;

		if (k->in != in && good) {
			meter_count(w, in, 0, good, bytes);
			good = 0;
			bytes = 0;
		}
		in = k->in;
		if (arrive(w, p, &o, i)) {
			good++;
			bytes += k->len;
		}
	}
	if (good) {
		meter_count(w, in, 0, good, bytes);
		sa_used(w, o.sa);
	}
}

void esp_open(struct worker *w, struct pass *p)
{
	uint16_t keys[VECTOR_MAX];
	struct esp_groups g;
	unsigned from = 0;

	for (unsigned i = 0; i < p->n_esp; i++)
		keys[i] = p->esp[i].sa->index;
	esp_group(&g, keys, p->n_esp);
	for (unsigned i = 0; i < g.n; i++) {
		open_sa(w, p, g.order + from, g.end[i] - from);
		from = g.end[i];
	}
	p->n_esp = 0;
}
