/* esp_out: into ESP (RFC 4303 3.3), in tunnel mode, in UDP where a NAT is on the way (RFC 3948).
 *
 * Whoever has a packet for an ESP link, be it rewrite, frag, the kernel or this router itself, puts
 * it into the worker's queue; the queue is emptied after each stage that fills it. Packets of a
 * link go together through the SA that control put into use, in one call of the cipher; on the SA's
 * owner, to whom other workers hand them over. Then each has its outer header and leaves by the
 * underlay's adjacency. Without SA, underlay, sequence number or room the packet is dropped under a
 * name of its own: there is no way from this queue to a port but through the cipher.
 *
 * What does not fit the underlay is answered or cut before it is encrypted, by what this very SA
 * adds. The IV of AES-GCM is the sequence number, so it cannot repeat (RFC 4106 3.1). */
#include "csum.h"
#include "dp.h"
#include "encap.h"
#include "esp.h"
#include "flow.h"
#include "icmp.h"
#include "mss.h"
#include "parse.h"
#include "pmtu.h"
#include "rewrite.h"
#include "snapshot.h"

#define IP6_MTU_MIN 1280u
#define HEAD_MAX    (IP6_LEN + ESP_UDP_LEN + ESP_LEN)
#define HEAD_COPY   64 /* in one piece of constant size; what goes further left is headroom */

struct queue {
	unsigned n;
	struct esp_packet k[VECTOR_MAX];
};
static struct queue queues[DP_WORKERS_MAX] __rte_cache_aligned;

/* RFC 4303 2.4 */
static const uint8_t padding[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

/* What is the same for all packets of a link. */
struct way {
	const struct sa *sa;
	const struct link *l;
	const struct adj *under;
	uint8_t head[HEAD_COPY]; /* outer IP, UDP, ESP without its sequence number; right-aligned */
	uint8_t ip_len, udp_len, head_len;
	uint32_t sum;  /* of the outer IPv4 header as it stands */
	unsigned room; /* bytes before a packet that are written to */
	unsigned most; /* the largest packet that fits the underlay now */
};

/* ---- in groups ---- */
void esp_group(struct esp_groups *g, const uint16_t *keys, unsigned n)
{
	uint8_t slot[2 * VECTOR_MAX], next[VECTOR_MAX], first[VECTOR_MAX], last[VECTOR_MAX];
	unsigned at = 0, differ = 0;

	for (unsigned i = 0; i < n; i++) {
		g->order[i] = (uint8_t)i;
		differ |= keys[i] ^ keys[0];
	}
	if (!differ) {
		g->n = n > 0;
		g->end[0] = (uint8_t)n;
		return;
	}
	memset(slot, 0xff, sizeof(slot));
	g->n = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned h = keys[i] % RTE_DIM(slot);

		next[i] = UINT8_MAX;
		while (slot[h] != UINT8_MAX && keys[first[slot[h]]] != keys[i])
			h = (h + 1) % RTE_DIM(slot);
		if (slot[h] == UINT8_MAX) {
			slot[h] = (uint8_t)g->n;
			first[g->n] = last[g->n] = (uint8_t)i;
			g->n++;
		} else {
			next[last[slot[h]]] = (uint8_t)i;
			last[slot[h]] = (uint8_t)i;
		}
	}
	for (unsigned k = 0; k < g->n; k++) {
		for (unsigned i = first[k]; i != UINT8_MAX; i = next[i])
			g->order[at++] = (uint8_t)i;
		g->end[k] = (uint8_t)at;
	}
}

/* ---- hand-over ---- */
void esp_hand_over(struct worker *w, unsigned worker, struct rte_mbuf *m)
{
	if (rte_ring_enqueue(worker_table[worker]->esp, m))
		return drop(w, m, mbuf_meta(m)->link, DP_DROP_handover_full);
	count_add(&w->ctr.stats.handed_over, 1);
}

static void hand_over(struct worker *w, const struct sa *sa, const struct esp_packet *k)
{
	struct rte_mbuf *m = k->m;

	m->data_off = (uint16_t)(k->ip - (uint8_t *)m->buf_addr);
	m->pkt_len = m->data_len = k->len;
	*mbuf_meta(m) = (struct mbuf_meta){
		.link = k->in, .l3_off = k->note, .af = k->af, .class = ESP_OUT, .out_link = k->link
	};
	esp_hand_over(w, sa->worker, m);
}

/* ---- room ---- */

/* Bytes that `len` become on the wire of the underlay's IP. */
static unsigned outer_len(const struct way *y, unsigned len)
{
	const struct crypto *c = &y->sa->crypto;

	return y->head_len + c->iv_len + RTE_ALIGN_CEIL(len + 2, c->block) + c->icv_len;
}

/* The largest packet whose outer one is no larger than `outer`; 0: none. */
static unsigned fits(const struct crypto *c, unsigned head, unsigned outer)
{
	unsigned other = head + c->iv_len + c->icv_len;

	return outer < other + c->block ? 0 : ((outer - other) & ~(c->block - 1u)) - 2;
}

static void too_big(struct worker *w, const struct way *y, const struct esp_packet *k)
{
	struct packet p = {
		.m = k->m, .ip = k->ip, .len = k->len, .in = k->in, .af = k->af, .note = k->note
	};
	bool v4 = k->af == AF_INET;
	enum dp_drop reason = v4 ? DP_DROP_ip4_too_big : DP_DROP_ip6_too_big;

	if (v4 && !(flow_be16(k->ip + 6) & IP4_DF))
		return frag_esp(w, &p, k->link, y->most);
	if (!k->in)
		return drop(w, k->m, 0, reason);
	icmp_error(w, &p, ICMP_BIG, v4 ? y->most : RTE_MAX(y->most, IP6_MTU_MIN), reason);
}

/* Room before and behind the packet; where only the latter is missing it moves to the front. */
static bool make_room(struct esp_packet *k, unsigned head)
{
	unsigned off = (unsigned)(k->ip - (uint8_t *)k->m->buf_addr), move;
	unsigned end = off + k->len + ESP_TRAILER;

	if (unlikely(off < head))
		return false;
	if (likely(end <= k->m->buf_len))
		return true;
	move = end - k->m->buf_len;
	if (off - head < move)
		return false;
	memmove(k->ip - move, k->ip, k->len);
	k->ip -= move;
	return true;
}

/* ---- encrypting ---- */

static __rte_always_inline void fill_outer(
	const struct way *y, const struct esp_packet *k, uint8_t *outer, unsigned total)
{
	const struct encap *e = &y->l->encap;

	if (unlikely(e->fill & FILL_DF))
		return encap_fill(e, outer, total, k->ip, k->af, y->sa->spi, y->sum);
	mss_clamp(k->ip, k->len, k->af, k->af == AF_INET ? e->mss4 : e->mss6);
	encap_fill_ip(outer, e->af, total, encap_outer_tos(e, encap_tos(k->ip, k->af)), y->sa->spi,
		y->sum);
}

/* All but the cipher's work, as item i of the batch. What the outer header takes from the inner one
 * is read here, before that is encrypted. */
static void seal(const struct way *y, struct esp_packet *k, struct crypto_batch *b, unsigned i)
{
	const struct sa *sa = y->sa;
	const struct crypto *c = &sa->crypto;
	uint8_t *esp = k->ip - c->iv_len - ESP_LEN, *end = k->ip + k->len, *outer;
	unsigned pad = -(k->len + 2u) & (c->block - 1u), total = outer_len(y, k->len);
	uint64_t seq = sa->run->seq + 1;

	__atomic_store_n(&sa->run->seq, seq, __ATOMIC_RELAXED);
	outer = esp + ESP_LEN - y->head_len;
	memcpy(esp + ESP_LEN - HEAD_COPY, y->head, HEAD_COPY);
	fill_outer(y, k, outer, total);
	if (y->udp_len)
		esp_put_be16(outer + y->ip_len + 4, total - y->ip_len);
	esp_put_be32(esp + 4, (uint32_t)seq);
	memcpy(end, padding, sizeof(padding));
	end += pad;
	end[0] = (uint8_t)pad;
	end[1] = k->af == AF_INET ? ESP_NEXT_IP4 : ESP_NEXT_IP6;
	end += 2;
	b->icv[i].va = end;
	if (c->aead) {
		uint64_t iv = rte_cpu_to_be_64(seq);

		memcpy(esp + ESP_LEN, &iv, sizeof(iv));
		esp_aead(b, i, sa, esp + ESP_LEN, seq);
		b->data[i].base = k->ip;
	} else {
		if (c->iv_len) {
			crypto_iv(seq, (uint64_t)sa->index << 32 | sa->spi, b->iv[i]);
			memcpy(esp + ESP_LEN, b->iv[i], CRYPTO_IV_MAX);
		}
		if (sa->esn) { /* RFC 4303 2.2.1: authenticated behind the packet, and not sent */
			esp_put_be32(end, (uint32_t)(seq >> 32));
			end += 4;
			b->icv[i].va = b->kept[i];
		}
		b->data[i].base = esp;
	}
	b->data[i].len = (uint32_t)(end - (uint8_t *)b->data[i].base);
	k->ip = outer;
	k->len = (uint16_t)total;
}

/* What the cipher left to do. */
static void finish(const struct way *y, struct esp_packet *k, struct crypto_batch *b, unsigned i)
{
	const struct crypto *c = &y->sa->crypto;
	uint8_t *udp = k->ip + y->ip_len;

	if (!c->aead && y->sa->esn)
		memcpy(k->ip + k->len - c->icv_len, b->kept[i], c->icv_len);
	if (y->udp_len && y->l->conf.tunnel.checksum && y->l->encap.af == AF_INET6) {
		uint16_t sum = (uint16_t)~csum_l4(
			k->ip, AF_INET6, udp, k->len - (unsigned)y->ip_len, IPPROTO_UDP);

		sum = sum ? sum : 0xffff;
		memcpy(udp + 6, &sum, sizeof(sum));
	}
}

/* One that may not be sealed has been consumed, and why is told. */
static bool may_seal(struct worker *w, const struct way *y, struct esp_packet *k)
{
	const struct sa *sa = y->sa;

	if (unlikely(k->len > y->most) && !encap_may_cut(&y->l->encap, k->af, k->len))
		too_big(w, y, k);
	else if (unlikely(sa_ended(sa)))
		drop(w, k->m, k->in, DP_DROP_esp_limit);
	else if (unlikely(sa->run->seq >= sa->seq_last)) {
		count_add(&sa->run->wrapped, 1);
		drop(w, k->m, k->in, DP_DROP_esp_seq);
	} else if (unlikely(!make_room(k, y->room)))
		drop(w, k->m, k->in, DP_DROP_no_buffer);
	else
		return true;
	return false;
}

/* encap_may_cut said so: in pieces, here or further on, that the far end puts together before it
 * decrypts. */
static void cut_outer(struct worker *w, const struct way *y, const struct esp_packet *k)
{
	struct packet outer = { .m = k->m, .ip = k->ip, .len = k->len, .in = 0, .af = AF_INET };

	k->m->data_off = (uint16_t)(k->ip - (uint8_t *)k->m->buf_addr);
	k->m->pkt_len = k->m->data_len = k->len;
	encap_clear_df(k->ip);
	frag_send(w, &outer, y->under);
}

/* n sealed packets are encrypted and leave; lens: of what was inside. */
static void leave(struct worker *w, const struct way *y, struct esp_packet *k, const uint16_t *lens,
	unsigned n)
{
	struct crypto_batch *b = &crypto_batch[w->index];
	struct rte_mbuf *out[VECTOR_MAX];
	unsigned sent = 0, from = 0, good = 0;
	uint64_t bytes = 0, inside = 0;

	crypto_run(w, &y->sa->crypto, n);
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = k[i].m;

		if (unlikely(b->status[i])) {
			drop(w, m, k[i].in, DP_DROP_esp_crypto);
			continue;
		}
		finish(y, &k[i], b, i);
		mbuf_meta(m)->link = k[i].in;
		if (k[i].in != k[from].in && good) {
			meter_count(w, k[from].in, y->l->id, good, inside);
			good = 0;
			inside = 0;
		}
		from = i;
		good++;
		inside += lens[i];
		if (unlikely(lens[i] > y->most)) {
			cut_outer(w, y, &k[i]);
			continue;
		}
		rewrite_push(m, k[i].ip, k[i].len, y->l->encap.af, y->under, 0);
		bytes += k[i].len;
		out[sent++] = m;
	}
	if (good)
		meter_count(w, k[from].in, y->l->id, good, inside);
	if (sent) {
		meter_count(w, 0, y->under->link, sent, bytes);
		tx_send_bulk(w, y->under->port, out, sent);
	}
}

/* ---- the ways ---- */
static void way_build(struct way *y)
{
	const struct link *l = y->l;
	const struct sa *sa = y->sa;
	uint8_t *h;

	y->ip_len = l->tun_len;
	y->udp_len = sa->udp_local ? ESP_UDP_LEN : 0;
	y->head_len = (uint8_t)(y->ip_len + y->udp_len + ESP_LEN);
	h = y->head + HEAD_COPY - y->head_len;
	memset(y->head, 0, sizeof(y->head));
	memcpy(h, l->tun, y->ip_len);
	if (y->udp_len) { /* RFC 3948 2.1: without a checksum */
		h[l->encap.af == AF_INET ? 9 : 6] = IPPROTO_UDP;
		esp_put_be16(h + y->ip_len, sa->udp_local);
		esp_put_be16(h + y->ip_len + 2, sa->udp_remote);
	}
	memcpy(h + y->ip_len + y->udp_len, &sa->spi, sizeof(sa->spi));
	y->sum = l->encap.af == AF_INET ? rte_raw_cksum(h, IP4_MIN) : 0;
	y->room = sa->crypto.iv_len +
		  RTE_MAX(y->head_len + RTE_MAX((unsigned)y->under->header_len, (unsigned)ADJ_TAIL),
			  (unsigned)HEAD_COPY);
	y->most = RTE_MIN(fits(&sa->crypto, y->head_len, y->under->mtu), pmtu_limit(l->id));
}

/* Why a link sends nothing; -1: it does. */
static int way_find(struct worker *w, uint16_t link, struct way *ret_y)
{
	const struct link *l = snapshot_link(w->snap, link);
	const struct adj *u;

	if (!l || !l->conf.up || l->conf.encap != DP_ENCAP_ESP)
		return DP_DROP_link_down;
	ret_y->l = l;
	ret_y->sa = sa_outbound(link);
	if (!ret_y->sa)
		return DP_DROP_tun_no_sa;
	u = atomic_load_explicit(&adj_table[l->conf.tunnel.underlay_adj], memory_order_acquire);
	if (!u || u->kind != DP_ADJ_FORWARD || u->outer_ip_off || u->mtu < IP4_MIN + HEAD_MAX * 2)
		return DP_DROP_tun_down;
	ret_y->under = u;
	return -1;
}

/* Those of one link. */
static void send_link(struct worker *w, struct esp_packet *k, const uint8_t *order, unsigned n)
{
	struct esp_packet sealed[VECTOR_MAX];
	uint16_t lens[VECTOR_MAX];
	struct way y;
	unsigned ready = 0;
	int reason = way_find(w, k[order[0]].link, &y);

	if (reason < 0 && y.sa->worker == w->index)
		way_build(&y);
	for (unsigned i = 0; i < n; i++) {
		struct esp_packet *one = &k[order[i]];

		if (unlikely(reason >= 0)) {
			drop(w, one->m, one->in, (enum dp_drop)reason);
		} else if (y.sa->worker != w->index) {
			hand_over(w, y.sa, one);
		} else if (may_seal(w, &y, one)) {
			count_add(&y.sa->run->packets, 1);
			count_add(&y.sa->run->bytes, one->len);
			lens[ready] = one->len;
			seal(&y, one, &crypto_batch[w->index], ready);
			sealed[ready++] = *one;
		}
	}
	if (ready) {
		leave(w, &y, sealed, lens, ready);
		sa_used(w, y.sa);
	}
}

void esp_send(struct worker *w, const struct esp_packet *k)
{
	struct queue *q = &queues[w->index];

	if (unlikely(q->n == VECTOR_MAX))
		esp_flush(w);
	q->k[q->n++] = *k;
	w->esp_pending = true;
}

/* What is sent meanwhile, an answer to a packet too big perhaps, waits in the queue again. */
void esp_flush(struct worker *w)
{
	struct queue *q = &queues[w->index];
	struct esp_packet k[VECTOR_MAX];
	uint16_t links[VECTOR_MAX];
	struct esp_groups g;

	while (q->n) {
		unsigned n = q->n, from = 0;

		memcpy(k, q->k, n * sizeof(k[0]));
		for (unsigned i = 0; i < n; i++)
			links[i] = k[i].link;
		q->n = 0;
		esp_group(&g, links, n);
		for (unsigned i = 0; i < g.n; i++) {
			send_link(w, k, g.order + from, g.end[i] - from);
			from = g.end[i];
		}
	}
	w->esp_pending = false;
}
