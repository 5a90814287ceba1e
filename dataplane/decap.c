/* decap: out of a VXLAN (RFC 7348), at most twice a packet, and on as if received on the tunnel's
 * link.
 *
 * local.c leaves here what is addressed to an end of some tunnel. The UDP checksum is verified when
 * there is one (RFC 7348 5, RFC 6935), flags must say that the VNI is valid, reserved bits are
 * ignored, and the tunnel must be one of ours by VRF, both addresses, port and VNI. Then the outer
 * headers and whatever follows the UDP datagram are cut off and parse sees the inner frame.
 * Congestion marks come along (RFC 6040 4.2): that is the one change to a packet before rewrite. */
#include "csum.h"
#include "flow.h"
#include "parse.h"
#include "pipeline.h"
#include "snapshot.h"

#define UDP_LEN		8
#define VXLAN_LEN	8
#define VXLAN_VNI_VALID 0x08

enum ecn { ECN_NONE, ECN_ECT1, ECN_ECT0, ECN_CE };

static uint8_t tos_of(const uint8_t *ip, uint8_t af)
{
	return af == AF_INET ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

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
	mark = ecn_merge(tos_of(v->ip[last], af) & 3, outer);
	if (mark < 0) {
		drop(w, v->m[last], v->in[last], DP_DROP_tun_bad);
		v->n = last;
	} else if ((unsigned)mark != (tos_of(v->ip[last], af) & 3u)) {
		ecn_write(v->ip[last], af, (unsigned)mark);
	}
}

/* The tunnel's link, NULL when header or tunnel are bad. *ret_len: of the UDP datagram. */
static const struct link *tunnel_of(
	const struct worker *w, const struct packet *k, unsigned *ret_len)
{
	const struct link *under = snapshot_link(w->snap, k->in);
	const uint8_t *udp = k->ip + k->l4, *vxlan = udp + UDP_LEN;
	struct ip_addr local = { .af = k->af }, remote = { .af = k->af };
	unsigned room = k->len - k->l4, src = k->af == AF_INET ? 12 : 8, size = ip_size(k->af), len;

	if (room < UDP_LEN + VXLAN_LEN)
		return NULL;
	len = flow_be16(udp + 4);
	if (len < UDP_LEN + VXLAN_LEN || len > room)
		return NULL;
	if ((udp[6] | udp[7]) && csum_l4(k->ip, k->af, udp, len, IPPROTO_UDP) != 0xffff)
		return NULL;
	if (!(vxlan[0] & VXLAN_VNI_VALID)) /* RFC 7348 5: the I flag */
		return NULL;
	memcpy(remote.bytes, k->ip + src, size);
	memcpy(local.bytes, k->ip + src + size, size);
	*ret_len = len;
	return snapshot_link(
		w->snap, snapshot_match_vxlan(w->snap, under->conf.vrf, &local, &remote,
				 flow_be16(udp + 2), flow_be32(vxlan + 4) >> 8));
}

static void decap(struct worker *w, struct pass *p, const struct packet *k)
{
	unsigned len, before4 = p->v4.n, before6 = p->v6.n, outer = tos_of(k->ip, k->af) & 3;
	const struct link *l = tunnel_of(w, k, &len);
	uint8_t *frame;

	if (!l)
		return drop(w, k->m, k->in, DP_DROP_tun_bad);
	if (k->note >= NOTE_DECAP * DECAPS_MAX)
		return drop(w, k->m, k->in, DP_DROP_tun_depth);
	meter_count(w, k->in, 0, 1, k->len);
	frame = k->ip + k->l4 + UDP_LEN + VXLAN_LEN;
	rte_pktmbuf_adj(k->m, (uint16_t)(frame - rte_pktmbuf_mtod(k->m, uint8_t *)));
	rte_pktmbuf_trim(
		k->m, (uint16_t)(rte_pktmbuf_data_len(k->m) - (len - UDP_LEN - VXLAN_LEN)));
	parse_inner(w, p, k->m, l, (uint8_t)((k->note & ~(NOTE_DECAP - 1)) + NOTE_DECAP));
	if (outer) {
		ecn_apply(w, &p->v4, before4, AF_INET, outer);
		ecn_apply(w, &p->v6, before6, AF_INET6, outer);
	}
}

void decap_run(struct worker *w, struct pass *p)
{
	struct packet todo[VECTOR_MAX];
	unsigned n = p->n_decap;

	memcpy(todo, p->decap, n * sizeof(todo[0]));
	p->n_decap = 0;
	for (unsigned i = 0; i < n; i++)
		decap(w, p, &todo[i]);
}
