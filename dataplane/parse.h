/* Between parse.c and the exact checks of each family. */
#ifndef LINTAS_PARSE_H
#define LINTAS_PARSE_H

#include "pipeline.h"

#define ETH_MIN	   14
#define IP4_MIN	   20
#define IP6_LEN	   40
#define IP4_MF	   0x2000
#define IP4_DF	   0x4000
#define IP4_OFFSET 0x1fff

#define IP6_CHAIN_HEADERS 8 /* RFC 7112 5: what we are willing to walk */
#define IP6_CHAIN_BYTES	  256

/* parse_four.c: of untagged frames on link `from`, in VRF vrf, how many from the first on are plain
 * IPv4; those are in v, which is empty or of that VRF. pkts goes on for PARSE_PAD more. */
unsigned parse_fours(const struct link *from, const struct vrf_fib *vrf, struct lane *v,
	struct rte_mbuf *const *pkts, unsigned n);

/* parse4.c, parse6.c: every check of a header that is not plain. room: bytes from k->ip to the
 * frame's end. True: k->len and k->note are set and the packet may be routed. False: dropped,
 * punted or answered. */
bool parse4_check(struct worker *w, struct pass *p, struct packet *k, unsigned room,
	const struct link *l, const struct vrf_fib *vrf);
bool parse6_check(struct worker *w, struct pass *p, struct packet *k, unsigned room,
	const struct link *l, const struct vrf_fib *vrf);
bool ip4_martian_src(uint32_t addr);	    /* RFC 1812 5.3.7, host order */
bool ip6_martian_addr(const uint8_t *addr); /* ::, ::1 and what maps IPv4 */

enum ip6_part { IP6_WHOLE, IP6_FRAG_FIRST, IP6_FRAG_LATER };

struct ip6_l4 {
	uint8_t proto; /* of the header at off; of a later fragment: what the fragment header says
			*/
	uint8_t frag;  /* enum ip6_part */
	bool atomic;   /* a fragment header was there, whatever it said */
	uint16_t off;  /* from the IPv6 header */
	uint16_t rh;   /* offset of a routing header with segments left, 0 = none */
};

/* 0, -E2BIG beyond the bounds above, -ENODATA when the packet ends inside the chain; ret_ is filled
 * as far as it was read in every case. */
int ip6_walk(const uint8_t *ip, uint16_t len, struct ip6_l4 *ret_l4);

/* neigh.c: validate and punt, or drop nd_bad; consume m. */
void neigh_arp(struct worker *w, struct rte_mbuf *m, unsigned l3, const struct link *l,
	const struct vrf_fib *vrf);
void neigh_nd(struct worker *w, const struct packet *k, const struct ip6_l4 *l4,
	const struct link *l, const struct vrf_fib *vrf);

#endif
