/* Numbered packets of many flows through the router: what each flow's packets became (flows.c).
 * The last 12 bytes of a frame are its flow and number, so whatever headers it loses or gains, it
 * is known again when it comes out. The frame must end in at least so many bytes of payload. */
#ifndef LINTAS_FLOWS_H
#define LINTAS_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#define FLOWS_MAX	4096
#define FLOW_EXITS_MAX	8
#define FLOW_FRAME_MAX	2048
#define FLOW_TRAILER	12 /* magic, flow, number */
#define FLOW_FRAMES_MIN (14 + 20 + 8 + FLOW_TRAILER)

struct rte_mbuf;
struct rte_mempool;

struct flow_exit { /* a port and a next hop: the frame's destination address */
	uint16_t port;
	uint8_t mac[6];
	uint32_t next;	  /* the least number that would be in order */
	uint32_t changes; /* how often the flow came to this exit from another one */
	uint64_t packets;
};

struct flow {
	uint8_t *frame;
	uint16_t len, port, queue;
	uint32_t sent;
	uint64_t received, reordered;
	int last; /* exit of the packet seen last, or -1 */
	unsigned n_exits;
	struct flow_exit exits[FLOW_EXITS_MAX];
};

extern struct flow flows[FLOWS_MAX];
extern unsigned n_flows;
extern uint64_t flows_strange; /* came out and are no packet of any flow, or by too many exits */

/* Where frames go in: 0, or -1 when the ring is full. The mbuf is consumed only on success. */
typedef int (*flows_put)(unsigned port, unsigned queue, struct rte_mbuf *m);

int flows_add(const uint8_t *frame, unsigned len, unsigned port, unsigned queue);
void flows_clear(void);
/* The next packet of a flow; false: no buffer, or no room where it goes in. */
bool flows_send(struct rte_mempool *pool, unsigned flow, flows_put put);
/* A frame came out of a port. Does not free it. */
void flows_received(unsigned port, const struct rte_mbuf *m);

#endif
