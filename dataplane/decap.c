/* decap: out of a VXLAN (RFC 7348), at most twice a packet, and on as if received on the tunnel's
 * link.
 *
 * Route leaves here what is for this router, plain UDP and to a port that tunnels use; local.c, for
 * what is not so plain, what is addressed to an end of some tunnel. Whose it is shows here: what is
 * nobody's is dropped, or goes up to the kernel when no tunnel ends at its address. The UDP
 * checksum is verified when there is one (RFC 7348 5, RFC 6935), flags must say that the VNI is
 * valid, reserved bits are ignored, and the tunnel must be one of ours by VRF, both addresses, port
 * and VNI. Then the outer headers and whatever follows the UDP datagram are cut off and parse sees
 * the inner frame. Congestion marks come along (RFC 6040 4.2): that is the one change to a packet
 * before rewrite. */
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
static inline const struct link *tunnel_of(
	const struct snapshot *s, const struct packet *k, unsigned *ret_len)
{
	const uint8_t *udp = k->ip + k->l4, *vxlan = udp + UDP_LEN;
	const uint8_t *remote = k->ip + (k->af == AF_INET ? 12 : 8),
		      *local = remote + ip_size(k->af);
	const struct link *under = snapshot_link_at(s, k->in);
	unsigned room = k->len - k->l4, len;

	if (room < UDP_LEN + VXLAN_LEN)
		return NULL;
	len = flow_be16(udp + 4);
	if (len < UDP_LEN + VXLAN_LEN || len > room)
		return NULL;
	if ((udp[6] | udp[7]) && csum_l4(k->ip, k->af, udp, len, IPPROTO_UDP) != 0xffff)
		return NULL;
	if (!(vxlan[0] & VXLAN_VNI_VALID)) /* RFC 7348 5: the I flag */
		return NULL;
	*ret_len = len;
	struct vxlan_key key = vxlan_key(k->af, local, remote, flow_be32(vxlan + 4) >> 8,
		under->conf.vrf, flow_be16(udp + 2));
	unsigned at = vxlan_find(s, &key, k->af)->at;
	return at ? &s->links[at - 1] : NULL;
}

/* Not out of a tunnel of ours: malformed or from a stranger, if it is for a tunnel's end at all. */
static __rte_noinline void no_tunnel(struct worker *w, struct pass *p, const struct packet *k)
{
	const struct link *l = snapshot_link_at(w->snap, k->in);
	const uint8_t *local = k->ip + (k->af == AF_INET ? 16 : 24);

	if (snapshot_is_endpoint(
		    w->snap, l->conf.vrf, k->af, local, NULL, flow_be16(k->ip + k->l4 + 2)))
		drop(w, k->m, k->in, DP_DROP_tun_bad);
	else
		local_deliver(w, p, k);
}

/* True: an outer packet ended here. */
static bool decap(struct worker *w, struct pass *p, const struct packet *k)
{
	unsigned len, before4 = p->v4.n, before6 = p->v6.n, outer = tos_of(k->ip, k->af) & 3;
	const struct link *l = tunnel_of(w->snap, k, &len);
	struct rte_mbuf *m = k->m;

	if (unlikely(!l)) {
		no_tunnel(w, p, k);
		return false;
	}
	if (unlikely(k->note >= NOTE_DECAP * DECAPS_MAX)) {
		drop(w, m, k->in, DP_DROP_tun_depth);
		return false;
	}
	m->data_off = (uint16_t)(k->ip + k->l4 + UDP_LEN + VXLAN_LEN - (uint8_t *)m->buf_addr);
	m->pkt_len = m->data_len = (uint16_t)(len - UDP_LEN - VXLAN_LEN);
	parse_inner(w, p, m, l, (uint8_t)((k->note & ~(NOTE_DECAP - 1)) + NOTE_DECAP));
	if (unlikely(outer)) {
		ecn_apply(w, &p->v4, before4, AF_INET, outer);
		ecn_apply(w, &p->v6, before6, AF_INET6, outer);
	}
	return true;
}

void decap_run(struct worker *w, struct pass *p)
{
	unsigned n = p->n_decap, packets = 0;
	uint16_t in = 0;
	uint64_t bytes = 0;

	p->n_decap = 0; /* what ends up here again takes a place whose packet is through */
	for (unsigned i = 0; i < n; i++) {
		const struct packet k = p->decap[i];

		if (k.in != in && packets) {
			meter_count(w, in, 0, packets, bytes);
			packets = 0;
			bytes = 0;
		}
		in = k.in;
		if (decap(w, p, &k)) {
			packets++;
			bytes += k.len;
		}
	}
	if (packets)
		meter_count(w, in, 0, packets, bytes);
}
