/* pktrun: many numbered packets at once. `stream` sends flows while other commands change the
 * router under them, and tells what became of each flow; `push` runs vectors through a worker's
 * round in this very thread, one at a time, so that a tool which counts instructions sees the same
 * every time. */
#include "flows.h"
#include "pktrun.h"

#define TURN 256 /* packets between two looks at what came out */

static int put(unsigned port, unsigned queue, struct rte_mbuf *m)
{
	return rte_ring_enqueue(wires[port].rx[queue], m);
}

static void take(unsigned port, struct rte_mbuf *m)
{
	flows_received(port, m);
}

/* ---- stream ---- */
static int stream_flows(const json_t *in)
{
	json_t *list = json_object_get(in, "flows"), *j;
	static uint8_t frame[FLOW_FRAME_MAX];
	size_t i;

	flows_clear();
	json_array_foreach(list, i, j) {
		unsigned port = int_get(j, "port", 0), queue = int_get(j, "queue", 0);
		int n = hex_bytes(json_object_get(j, "frame"), frame, sizeof(frame));
		if (n < 0)
			return n;
		if (port >= n_ports || queue >= n_queues)
			return fail(-EINVAL, "no port %u or queue %u", port, queue);
		if (flows_add(frame, n, port, queue) < 0)
			return fail(-EINVAL, "flow %zu: %d bytes, or too many", i, n);
	}
	return n_flows ? 0 : fail(-EINVAL, "stream: no flows");
}

struct stream {
	json_t *during; /* commands, one after each `every` packets, over and over */
	json_int_t count, every, in_flight, sent;
	size_t turn;
	uint64_t deadline;
};

static int stream_command(struct stream *s)
{
	size_t n = json_array_size(s->during);
	json_t *scratch;
	int ret;

	if (!n || s->sent % s->every)
		return 0;
	scratch = json_object();
	ret = command_run(json_array_get(s->during, s->turn++ % n), scratch);
	json_decref(scratch);
	return ret;
}

static int stream_send(struct stream *s)
{
	while (s->sent < s->count * (json_int_t)n_flows) {
		unsigned flow = s->sent % n_flows;
		if ((json_int_t)rte_mempool_in_use_count(frames) < s->in_flight &&
			flows_send(frames, flow, put)) {
			s->sent++;
			int ret = stream_command(s);
			if (ret)
				return ret;
			if (s->sent % TURN)
				continue;
		}
		if (!collect())
			sched_yield();
		if (now_ms() > s->deadline)
			return fail(-ETIMEDOUT, "busy after %lld packets", (long long)s->sent);
	}
	return 0;
}

static json_t *flow_json(const struct flow *f)
{
	json_t *exits = json_array();

	for (unsigned i = 0; i < f->n_exits; i++) {
		const struct flow_exit *e = &f->exits[i];
		json_array_append_new(exits,
			json_pack("{s:i, s:o, s:I, s:i}", "port", e->port, "mac", mac_json(e->mac),
				"packets", (json_int_t)e->packets, "changes", e->changes));
	}
	return json_pack("{s:i, s:I, s:I, s:o}", "sent", f->sent, "received",
		(json_int_t)f->received, "reordered", (json_int_t)f->reordered, "exits", exits);
}

int cmd_stream(json_t *in, json_t *answer)
{
	struct stream s = { .during = json_object_get(in, "during"),
		.count = int_get(in, "count", 1000),
		.every = int_get(in, "every", 1000),
		.in_flight = int_get(in, "in_flight", 1024),
		.deadline = deadline_of(in) };
	json_t *list = json_array();
	int ret = stream_flows(in);

	if (!ret && s.every < 1)
		ret = fail(-EINVAL, "every: at least 1");
	out_take = take;
	if (!ret)
		ret = stream_send(&s);
	if (!ret)
		ret = settle_and_report(in, answer);
	out_take = NULL;
	for (unsigned i = 0; i < n_flows; i++)
		json_array_append_new(list, flow_json(&flows[i]));
	json_object_set_new(answer, "flows", list);
	json_object_set_new(answer, "strange", json_integer(flows_strange));
	return ret;
}

/* ---- push ---- */
/* What is counted: from a vector in the ports' rings to the frames in the transmit rings. */
__attribute__((noinline)) void push_round(struct worker *w)
{
	rx_poll(w);
	tx_flush(w);
}

/* Marks the end of a command's rounds for who watches from outside. */
__attribute__((noinline)) void push_done(unsigned vectors)
{
	__asm__ volatile("" : : "r"(vectors) : "memory");
}

static int push_vector(unsigned port, unsigned first, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		if (!flows_send(frames, (first + i) % n_flows, put))
			return fail(-ENOBUFS, "no room for a vector on port %u", port);
	return 0;
}

/* TSC cycles of the last rounds. */
static uint64_t rounds[1024];

static void push_timed(struct worker *w, unsigned i)
{
	uint64_t begin = rte_rdtsc();

	push_round(w);
	rounds[i % RTE_DIM(rounds)] = rte_rdtsc() - begin;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t rounds_median(unsigned n)
{
	n = RTE_MIN(n, (unsigned)RTE_DIM(rounds));
	qsort(rounds, n, sizeof(rounds[0]), by_size);
	return n ? rounds[n / 2] : 0;
}

/* The worker's own thread is ended first: from then on this one is the worker. */
int cmd_push(json_t *in, json_t *answer)
{
	unsigned vectors = int_get(in, "vectors", 1), size = int_get(in, "size", VECTOR_MAX);
	uint64_t received = 0;
	int ret = stream_flows(in);

	if (!ret && (n_workers != 1 || size - 1 >= VECTOR_MAX))
		ret = fail(-EINVAL, "push: one worker, 1 to %d packets a vector", VECTOR_MAX);
	if (ret)
		return ret;
	worker_join();
	out_take = take;
	for (unsigned i = 0; i < vectors && !ret; i++) {
		ret = push_vector(0, i * size, size);
		if (!ret)
			push_timed(worker_table[0], i);
		collect();
	}
	push_done(vectors);
	out_take = NULL;
	for (unsigned i = 0; i < n_flows; i++)
		received += flows[i].received;
	json_object_set_new(answer, "received", json_integer(received));
	json_object_set_new(answer, "strange", json_integer(flows_strange));
	json_object_set_new(answer, "cycles", json_integer((json_int_t)rounds_median(vectors)));
	return ret;
}
