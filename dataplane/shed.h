/* Shedding: when a port receives more than its worker can take, data is dropped early. See shed.c.
 */
#ifndef LINTAS_SHED_H
#define LINTAS_SHED_H

#include <stdatomic.h>
#include "worker.h"

#define SHED_LOOK_MS   100
#define SHED_SHARE_MAX 8 /* sixteenths */

/* By port (a member of a LAG: the member's own): how many sixteenths of a full vector are dropped;
 * set by shed_look. */
extern _Atomic uint8_t shed_share[DP_PORTS_MAX];

/* Punt thread, every SHED_LOOK_MS: do devices report that they lost frames? */
void shed_look(void);
void shed_init(void);

/* Is that, between two looks, a port that is overloaded, or a drizzle? Pure. */
bool shed_is_loss(uint64_t missed, uint64_t received);
/* What one look after the other makes of a port. Pure. */
struct shed_state {
	unsigned share, losses, calm; /* looks in a row with and without losses */
	bool on;		      /* people were told */
};
enum shed_said { SHED_SILENT, SHED_BEGINS, SHED_ENDS };
enum shed_said shed_step(struct shed_state *s, bool lost);

/* A full vector of an overloaded port: that share of it, but no control, is freed and counted.
 * Returns what is left, in order. */
unsigned shed_vector(struct worker *w, struct rte_mbuf **pkts, unsigned n, unsigned share);
/* Is this frame of a protocol that the router itself lives by? Pure; reads len bytes at most. */
bool shed_is_control(const uint8_t *frame, unsigned len);

#endif
