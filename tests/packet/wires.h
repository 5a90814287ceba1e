/* The wires of a router without NICs: net_ring ports whose rings the test fills and drains. */
#ifndef LINTAS_WIRES_H
#define LINTAS_WIRES_H

#include <rte_ring.h>
#include "dataplane/dataplane.h"

#define QUEUES_MAX DP_WORKERS_MAX

struct wire {
	struct rte_ring *rx[QUEUES_MAX], *tx[QUEUES_MAX]; /* as the router sees them */
	uint16_t ethdev;
};
extern struct wire wires[DP_PORTS_MAX];

/* A port's rings and device, "net_ring_p<port>"; EAL runs. 0 or -errno. */
int wire_make(unsigned port, unsigned rx_queues, unsigned tx_queues);
/* conf's workers on the CPUs we may use, in turn, and its ports as wire_make makes them. */
void wires_conf(struct dp_conf *conf, unsigned ports, unsigned workers, unsigned queues);

#endif
