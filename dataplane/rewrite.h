/* Putting headers before packets: rewrite.c. */
#ifndef LINTAS_REWRITE_H
#define LINTAS_REWRITE_H

#include "pipeline.h"

/* Prepend a's header to the IP packet of len bytes at ip in m and cut what follows it. False: no
 * room before ip, m unchanged and still the caller's. hash: the flow's, for tunnels. */
bool rewrite_push(struct rte_mbuf *m, uint8_t *ip, uint16_t len, uint8_t af, const struct adj *a,
	uint32_t hash);

#endif
