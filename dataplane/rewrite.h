/* Putting headers before packets: rewrite.c. */
#ifndef LINTAS_REWRITE_H
#define LINTAS_REWRITE_H

#include "pipeline.h"

/* Prepend a's header to the IP packet of len bytes at ip in m and cut what follows it. False: no
 * room before ip, m unchanged and still the caller's. hash: the flow's, for tunnels. */
bool rewrite_push(struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af, const struct adj *a,
	uint32_t hash);
/* Fill in what depends on the packet in a prebuilt outer IP and UDP header at `outer`. total: outer
 * IP bytes; tos: of the inner packet (RFC 6040 4.1, normal mode; RFC 2983 3, uniform). */
void rewrite_outer(uint8_t *outer, uint8_t af, unsigned total, uint8_t tos, uint32_t hash);

#endif
