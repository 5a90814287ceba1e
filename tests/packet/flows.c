/* Flows: each has a frame, its packets are copies of it with their number in the last bytes. When
 * one comes out, its flow counts it by exit (port and destination address) and looks whether the
 * number is past the one before it at the same exit; two exits have no common order. One thread,
 * which is the world outside the router: pktrun's and the failover test's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_mbuf.h>
#include "flows.h"

#define MAGIC 0x6c616c75u

struct flow flows[FLOWS_MAX];
unsigned n_flows;
uint64_t flows_strange;

int flows_add(const uint8_t *frame, unsigned len, unsigned port, unsigned queue)
{
	struct flow *f = &flows[n_flows];

	if (n_flows == FLOWS_MAX || len < FLOW_FRAMES_MIN || len > FLOW_FRAME_MAX)
		return -EINVAL;
	*f = (struct flow){ .len = len, .port = port, .queue = queue, .last = -1 };
	f->frame = malloc(len);
	if (!f->frame)
		return -ENOMEM;
	memcpy(f->frame, frame, len);
	return (int)n_flows++;
}

void flows_clear(void)
{
	while (n_flows)
		free(flows[--n_flows].frame);
	flows_strange = 0;
}

bool flows_send(struct rte_mempool *pool, unsigned flow, flows_put put)
{
	struct flow *f = &flows[flow];
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint32_t trailer[3] = { MAGIC, flow, f->sent };
	uint8_t *data;

	if (!m)
		return false;
	data = (uint8_t *)rte_pktmbuf_append(m, f->len);
	if (data) {
		memcpy(data, f->frame, f->len - sizeof(trailer));
		memcpy(data + f->len - sizeof(trailer), trailer, sizeof(trailer));
	}
	if (!data || put(f->port, f->queue, m)) {
		rte_pktmbuf_free(m);
		return false;
	}
	f->sent++;
	return true;
}

static struct flow_exit *exit_of(struct flow *f, unsigned port, const uint8_t *mac)
{
	struct flow_exit *e;
	unsigned i = 0;

	while (i < f->n_exits && (f->exits[i].port != port || memcmp(f->exits[i].mac, mac, 6)))
		i++;
	if (i == FLOW_EXITS_MAX)
		return NULL;
	e = &f->exits[i];
	if (i == f->n_exits) {
		*e = (struct flow_exit){ .port = port };
		memcpy(e->mac, mac, 6);
		f->n_exits++;
	}
	e->changes += f->last >= 0 && f->last != (int)i;
	f->last = (int)i;
	return e;
}

void flows_received(unsigned port, const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t trailer[3] = { 0 };
	struct flow_exit *e;
	struct flow *f;

	if (m->data_len >= FLOW_FRAMES_MIN)
		memcpy(trailer, data + m->data_len - sizeof(trailer), sizeof(trailer));
	if (trailer[0] != MAGIC || trailer[1] >= n_flows || trailer[2] >= flows[trailer[1]].sent) {
		flows_strange++;
		return;
	}
	f = &flows[trailer[1]];
	e = exit_of(f, port, data);
	if (!e) {
		flows_strange++;
		return;
	}
	f->received++;
	f->reordered += trailer[2] < e->next; /* a second copy of one is out of order, too */
	e->next = trailer[2] + 1;
	e->packets++;
}
