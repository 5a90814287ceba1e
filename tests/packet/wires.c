/* Ports of net_ring, for programs that hold the whole router: pktrun and the failover test. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <rte_eth_ring.h>
#include "wires.h"

#define RING_SIZE 4096

struct wire wires[DP_PORTS_MAX];

static struct rte_ring *ring_new(const char *name, unsigned port, unsigned queue)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s%uq%u", name, port, queue);
	return rte_ring_create(full, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int wire_make(unsigned port, unsigned rx_queues, unsigned tx_queues)
{
	struct wire *w = &wires[port];
	char name[16];
	int ethdev;

	for (unsigned q = 0; q < rx_queues; q++)
		w->rx[q] = ring_new("rx", port, q);
	for (unsigned q = 0; q < tx_queues; q++)
		w->tx[q] = ring_new("tx", port, q);
	if (!w->rx[rx_queues - 1] || !w->tx[tx_queues - 1])
		return -ENOMEM;
	snprintf(name, sizeof(name), "p%u", port);
	ethdev = rte_eth_from_rings(name, w->rx, rx_queues, w->tx, tx_queues, 0);
	if (ethdev < 0)
		return -EIO;
	w->ethdev = ethdev;
	return 0;
}

void wires_conf(struct dp_conf *conf, unsigned ports, unsigned workers, unsigned queues)
{
	cpu_set_t set;
	int cpu = -1;

	sched_getaffinity(0, sizeof(set), &set);
	conf->n_ports = ports;
	conf->n_workers = workers;
	for (unsigned w = 0; w < workers; w++) { /* more workers than CPUs share them */
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(cpu, &set));
		conf->cpus[w] = cpu;
	}
	for (unsigned p = 0; p < ports; p++) {
		struct dp_port_conf *c = &conf->ports[p];
		snprintf(c->name, sizeof(c->name), "p%u", p);
		snprintf(c->device, sizeof(c->device), "net_ring_p%u", p);
		c->mtu = 1500;
		c->queues = queues;
	}
}
