/* What is different from one kind of tunnel to the next: encap.c. */
#ifndef LINTAS_ENCAP_H
#define LINTAS_ENCAP_H

#include "csum.h"
#include "parse.h"
#include "snapshot.h"

#define UDP_LEN	   8
#define VXLAN_LEN  8
#define GENEVE_LEN 8
#define GRE_LEN	   4

#define PROTO_IPIP 4
#define PROTO_IP6  41
#define PROTO_GRE  47
#define PROTO_ESP  50

static inline uint8_t encap_tos(const uint8_t *ip, uint8_t af)
{
	return af == AF_INET ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

static inline void encap_be16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

/* ---- what a packet brought ---- */
struct encap_inner {
	const struct link *link;
	uint16_t at, len;      /* of what is inside, from the outer IP header */
	uint16_t type;	       /* its EtherType; 0 = a frame */
	enum dp_drop bad;      /* when there is none */
	struct tunnel_key key; /* what link was found by: the next packet's is often the same */
};

/* k is an outer packet that ends here: proto and l4 are set. False: none of ours, or malformed. in:
 * zero before the first packet of a vector. */
bool encap_open(const struct snapshot *s, const struct packet *k, struct encap_inner *in);

/* ---- what a link sends ---- */
bool encap_valid(const struct dp_link *l);
void encap_build(struct link *l); /* its prebuilt header, and what is to be filled in */

/* The outer IP header's share of that: sum is the IPv4 header's as it stands. */
static __rte_always_inline void encap_fill_ip(
	uint8_t *outer, uint8_t af, unsigned total, uint8_t tos, uint32_t hash, uint32_t sum)
{
	if (af == AF_INET) {
		uint16_t check = (uint16_t)~csum_fold32(
			sum + rte_cpu_to_be_16((uint16_t)total) + rte_cpu_to_be_16(tos));

		outer[1] = tos;
		encap_be16(outer + 2, total);
		memcpy(outer + 10, &check, sizeof(check));
	} else {
		outer[0] = (uint8_t)(0x60 | tos >> 4);
		outer[1] = (uint8_t)(tos << 4 |
				     (hash >> 16 & 15)); /* RFC 6438 2: the flow in the label too */
		encap_be16(outer + 2, hash & 0xffff);
		encap_be16(outer + 4, total - IP6_LEN);
	}
}

static __rte_always_inline void encap_fill_udp(uint8_t *udp, unsigned len, uint32_t hash)
{
	encap_be16(udp, flow_source_port(hash));
	encap_be16(udp + 4, len);
}

/* RFC 6040 4.1, normal mode; the DSCP copied (RFC 2983 3, uniform) or fixed. */
static __rte_always_inline uint8_t encap_outer_tos(const struct encap *e, uint8_t tos)
{
	return (uint8_t)((tos & e->tos_mask) | e->tos_set);
}

/* RFC 4213 3.2.2: IPv6's least MTU must go through; where the path is smaller, and where the tunnel
 * lets its packets be cut, outer IPv4 packets are. */
static inline bool encap_may_cut(const struct encap *e, uint8_t af, unsigned len)
{
	return e->af == AF_INET &&
	       ((e->fill & (FILL_DF | FILL_COPY)) == FILL_DF || (af == AF_INET6 && len <= 1280));
}

/* An outer IPv4 header that is complete: from now on it may be cut. */
void encap_clear_df(uint8_t *outer);

/* All that depends on the packet, of any kind, in a copy of a link's header at outer. total: outer
 * IP bytes; inner: the IP header inside, af 0 when there is none; hash: of the flow; sum: as above.
 */
void encap_fill(const struct encap *e, uint8_t *outer, unsigned total, uint8_t *inner, uint8_t af,
	uint32_t hash, uint32_t sum);

#endif
