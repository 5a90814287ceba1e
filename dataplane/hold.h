/* Packets waiting for a neighbour (hold.c). Punt thread only, except where it says otherwise. */
#ifndef LINTAS_HOLD_H
#define LINTAS_HOLD_H

#include <rte_mbuf.h>
#include "dataplane.h"

#define HOLD_MAX       4096 /* packets in all */
#define HOLD_LINK_MAX  256  /* neighbours a link */
#define HOLD_NEIGH_MAX 4    /* packets a neighbour */
#define HOLD_SECONDS   3

struct worker;

void hold_init(void);
void hold_exit(struct worker *self); /* frees what is held, counted as neigh_fail */
/* A packet that a worker sent up, its meta filled; consumes it. now in TSC cycles. */
void hold_add(struct worker *self, struct rte_mbuf *m, const struct ip_addr *nexthop, uint64_t now);
/* The neighbour's packets go back to a worker, to be resumed or failed. */
void hold_settle(struct worker *self, uint16_t link, const struct ip_addr *addr, bool ok);
/* Expire what has waited long enough. Returns milliseconds to the next expiry, -1 = nothing is
 * held. */
int hold_expire(struct worker *self, uint64_t now);
unsigned hold_count(void); /* packets held; any thread */

#endif
