/* Shedding: when a port receives more than its worker can take, control survives. See shed.c. */
#ifndef LINTAS_SHED_H
#define LINTAS_SHED_H

#include <stdatomic.h>
#include "worker.h"

/* By port (a member of a LAG: the member's own); set and cleared by shed_look. */
extern atomic_bool shed_ports[DP_PORTS_MAX];

/* Punt thread, every so many milliseconds: do devices report that they lost frames? */
#define SHED_LOOK_MS 100
void shed_look(void);
void shed_init(void);
/* A full vector of an overloaded port: what is no control is freed and counted. Returns what is
 * left, in order. */
unsigned shed_vector(struct worker *w, struct rte_mbuf **pkts, unsigned n);
/* Is this frame of a protocol that the router itself lives by? Pure; reads len bytes at most. */
bool shed_is_control(const uint8_t *frame, unsigned len);

#endif
