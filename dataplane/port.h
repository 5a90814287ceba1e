/* Ports: devices, queues, pools, carrier (port.c, pool.c, carrier.c). Written by dp_start before a
 * worker exists and constant until dp_stop, except port_carrier. */
#ifndef LINTAS_PORT_H
#define LINTAS_PORT_H

#include <stdatomic.h>
#include <rte_mempool.h>
#include "dp.h"
#include "worker.h"

#define PORT_QUEUES_MAX DP_WORKERS_MAX /* more rx queues than workers bring nothing */
#define PORT_RX_DESC	1024
#define PORT_TX_DESC	1024
#define PORT_L2_MAX	(14 + 2 * 4) /* Ethernet and two tags */
#define PORT_MTU_MIN	1280	     /* RFC 8200 5 */
#define PORT_MTU_MAX	9600
#define PORT_XDP_MTU	3498 /* what an AF_XDP chunk, one page, leaves: see pool.c */

enum port_class { PORT_XDP, PORT_WIRE, PORT_CLASSES };
enum port_watch { PORT_WATCH_POLL, PORT_WATCH_LSC, PORT_WATCH_KERNEL, PORT_WATCH_MEMBERS };

struct port {
	struct dp_port_conf conf;
	char bus_name[64]; /* the device's name within DPDK: what stands before the first comma */
	char driver[32];
	uint16_t ethdev; /* DPDK's port id */
	bool plugged;	 /* by us: stopped, closed and unplugged by us */
	bool started;
	uint8_t class;	   /* enum port_class; of a LAG PORT_CLASSES: it has no queues */
	uint8_t watch;	   /* enum port_watch */
	unsigned if_index; /* of the kernel interface underneath; 0 = none */
	uint16_t mtu;	   /* the IP packet it takes */
	uint16_t n_rxq, n_txq;
	uint32_t buffers; /* configured; 0 = computed */
	unsigned base;	  /* rx queue q is polled by worker (base + q) % workers */
	int owner;	  /* the worker that transmits for all, or -1: each has its queue */
	int lag;	  /* of a member: its LAG's number; else -1 */
	uint8_t mac[6];
	struct rte_mempool *pool;
};

extern struct port port_table[DP_PORTS_MAX];
extern unsigned port_count, port_workers;
/* By port: written by whoever watches (punt thread, EAL's interrupt thread), read by workers and
 * control. */
extern _Atomic bool port_carrier[DP_PORTS_MAX];

struct port_rx {
	uint16_t port, ethdev, queue;
	uint16_t member; /* of a LAG, its own port number; else the same as port */
};

struct port_tx {
	uint16_t ethdev, queue;
	int16_t owner; /* another worker's index: hand over; -1: transmit; PORT_TX_LAG */
};
#define PORT_TX_LAG DP_WORKERS_MAX /* spread over the members: lag.c */

/* What a worker polls and where it transmits. */
struct port_worker {
	unsigned n_rx;
	struct port_rx rx[DP_PORTS_MAX * PORT_QUEUES_MAX];
	unsigned n_member_rx; /* queues of LAGs' members, apart: others pay nothing for them */
	struct port_rx member_rx[DP_PORTS_MAX * PORT_QUEUES_MAX];
	struct port_tx tx[DP_PORTS_MAX];
};
extern struct port_worker port_worker[DP_WORKERS_MAX];

/* port.c. In this order; each leaves what it made to port_close. */
int port_plan(
	const struct dp_conf *conf, struct dp_err *err); /* before EAL: names, classes, bounds */
bool port_is_pci(const char *device);

static inline bool port_is_lag(const struct port *port)
{
	return port->conf.n_members;
}

int port_open(struct dp_err *err);  /* find or plug the devices, decide on queues */
int port_setup(struct dp_err *err); /* queues, MTU; needs the pools */
int port_start(struct dp_err *err);
void port_stop(void); /* no more packets; also what an unfinished start left */
void port_close(void);

/* pool.c */
size_t pool_bytes(void); /* an upper estimate of all pools, from port_plan or port_open */
int pool_create(struct dp_err *err);
void pool_free_all(void);
struct rte_mempool *pool_scratch(unsigned worker);
struct rte_mempool *pool_punt(void);
unsigned pool_in_use(void); /* buffers out of all of them */

/* missed.c */
struct rte_eth_stats;
void missed_start(void); /* ports are started */
void missed_stop(void);
/* A device's statistics; -EBUSY: another thread asks for some, and wait is false. Any thread. */
int missed_stats(unsigned p, bool wait, struct rte_eth_stats *ret_stats);
/* Of that device, whose statistics those are. Any thread. */
uint64_t missed_count(unsigned p, const struct rte_eth_stats *stats);

/* carrier.c */
int carrier_start(struct dp_err *err); /* ports are started: initial state, subscriptions */
void carrier_stop(void);
int carrier_fd(void);	  /* rtnetlink socket for the punt thread to wait on, or -1 */
void carrier_read(void);  /* punt thread: fd is readable */
void carrier_poll(void);  /* punt thread: every SHED_LOOK_MS */
bool carrier_polls(void); /* some port must be polled */

#endif
