/* IPv4 fragmentation (RFC 791 3.2, RFC 1812 4.2.2.7): a packet larger than its link, and allowed to
 * be cut.
 *
 * Called by rewrite, off the line. Each piece is a buffer of the worker's scratch pool: header,
 * eight-byte multiples of payload, then the adjacency's header; into a tunnel all with the source
 * port of the flow, so they keep together. Offset and more-fragments of a packet that is itself a
 * fragment carry on. Options go into the first piece whole, into the others only those whose copied
 * bit says so. Either all pieces are sent or none. The packet counts once in the matrix, with its
 * own length. */
#include "csum.h"
#include "esp.h"
#include "flow.h"
#include "parse.h"
#include "pmtu.h"
#include "rewrite.h"

#define FRAGS_MAX  VECTOR_MAX
#define OPT_COPIED 0x80
#define OPT_END	   0
#define OPT_NOP	   1

/* The header of every piece but the first: only copied options, padded. Returns its length. */
static unsigned later_header(const uint8_t *ip, unsigned hlen, uint8_t ret_hdr[60])
{
	unsigned n = IP4_MIN;

	memcpy(ret_hdr, ip, IP4_MIN);
	for (unsigned i = IP4_MIN; i < hlen && ip[i] != OPT_END;) {
		unsigned size = ip[i] == OPT_NOP
					? 1
					: ip[i + 1]; /* parse4.c saw that they are well formed */

		if (ip[i] & OPT_COPIED) {
			memcpy(ret_hdr + n, ip + i, size);
			n += size;
		}
		i += size;
	}
	while (n % 4)
		ret_hdr[n++] = OPT_END;
	ret_hdr[0] = (uint8_t)(0x40 | n / 4);
	return n;
}

static void put_be16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

/* One piece: header, its length, offset field and checksum, and size bytes of payload. NULL: no
 * buffer. */
static struct rte_mbuf *piece(struct worker *w, const uint8_t *hdr, unsigned hlen,
	const uint8_t *payload, unsigned size, unsigned field)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->scratch);
	uint8_t *ip = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(hlen + size)) : NULL;
	uint16_t sum;

	if (!ip) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(ip, hdr, hlen);
	memcpy(ip + hlen, payload, size);
	put_be16(ip + 2, hlen + size);
	put_be16(ip + 6, field);
	put_be16(ip + 10, 0);
	sum = (uint16_t)~rte_raw_cksum(ip, hlen);
	memcpy(ip + 10, &sum, sizeof(sum));
	return m;
}

/* Cut k into pieces of at most mtu bytes; returns how many, 0 = not possible, nothing allocated. */
static unsigned cut(
	struct worker *w, const struct packet *k, unsigned mtu, struct rte_mbuf **ret_pieces)
{
	const uint8_t *ip = k->ip;
	uint8_t later[60];
	unsigned hlen = (ip[0] & 15u) * 4, later_len = later_header(ip, hlen, later);
	unsigned field = flow_be16(ip + 6), at = hlen, n = 0;

	while (at < k->len && n < FRAGS_MAX) {
		unsigned h = n ? later_len : hlen, room = (mtu - h) & ~7u, rest = k->len - at;
		unsigned size = RTE_MIN(room, rest);
		/* reserved bit and MF as they were; MF also on every piece but the last */
		unsigned bits = (field & ~IP4_OFFSET) | (size < rest ? IP4_MF : 0);
		unsigned offset = (field & IP4_OFFSET) + (at - hlen) / 8;

		if (mtu < h + 8)
			break;
		ret_pieces[n] =
			piece(w, n ? later : ip, h, ip + at, size, bits | (offset & IP4_OFFSET));
		if (!ret_pieces[n])
			break;
		at += size;
		n++;
	}
	if (at == k->len)
		return n;
	rte_pktmbuf_free_bulk(ret_pieces, n);
	return 0;
}

void frag_esp(struct worker *w, const struct packet *k, uint16_t link, unsigned mtu)
{
	struct rte_mbuf *pieces[FRAGS_MAX];
	unsigned n = cut(w, k, mtu, pieces);

	if (!n)
		return drop(w, k->m, k->in, DP_DROP_no_buffer);
	for (unsigned i = 0; i < n; i++)
		esp_send(w,
			&(struct esp_packet){ pieces[i], rte_pktmbuf_mtod(pieces[i], uint8_t *),
				rte_pktmbuf_data_len(pieces[i]), k->in, link, AF_INET, k->note });
	rte_pktmbuf_free(k->m);
}

void frag_send(struct worker *w, const struct packet *k, const struct adj *a)
{
	if (a->esp)
		return frag_esp(w, k, a->link, pmtu_adj(a));

	struct rte_mbuf *pieces[FRAGS_MAX];
	uint32_t hash = a->outer_ip_off ? flow_hash(k->ip, k->len, AF_INET) : 0;
	unsigned n = cut(w, k, pmtu_adj(a), pieces);

	if (!n)
		return drop(w, k->m, k->in, DP_DROP_no_buffer);
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pieces[i];

		mbuf_meta(m)->link = k->in;
		unsigned len = rte_pktmbuf_data_len(m);

		if (rewrite_push(
			    m, rte_pktmbuf_mtod(m, uint8_t *), (uint16_t)len, AF_INET, a, hash)) {
			meter_outer(w, a, 1, len);
			tx_send(w, a->port, m);
		} else /* scratch buffers have room for any header; should that change, say so */
			drop(w, m, k->in, DP_DROP_no_buffer);
	}
	meter_count(w, k->in, a->link, 1, k->len);
	rte_pktmbuf_free(k->m);
}
