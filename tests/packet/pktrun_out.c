/* pktrun: what comes out of the router, when it is all there, and the answer that tells of it. */
#include <time.h>
#include "dataplane/reassemble.h"
#include "pktrun.h"

/* What has been reported already. */
static struct {
	uint64_t drop[DP_LINKS_MAX][DP_DROP_COUNT];
	struct dp_count pair[DP_LINKS_MAX][DP_LINKS_MAX];
	struct dp_punt_stats punt[DP_PUNT_COUNT];
	uint64_t handed_over;
} seen;

/* What came out since the last answer; counts only during a flood. */
static struct {
	json_t *tx, *punt, *events;
	bool counting;
	uint64_t n_tx[DP_PORTS_MAX], n_punt[DP_LINKS_MAX];
	bool carrier[DP_PORTS_MAX];
} out;

void (*out_take)(unsigned p, struct rte_mbuf *m);

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* ---- collecting what comes out ---- */
unsigned collect_port(unsigned p)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	for (unsigned q = 0; q < n_tx_queues; q++)
		for (; !rte_ring_dequeue(wires[p].tx[q], (void **)&m); n++) {
			if (out_take)
				out_take(p, m);
			else if (out.counting)
				out.n_tx[p]++;
			else
				json_array_append_new(
					out.tx, json_pack("{s:i, s:o}", "port", p, "hex",
							hex_json(rte_pktmbuf_mtod(m, uint8_t *),
								m->data_len)));
			rte_pktmbuf_free(m);
		}
	return n;
}

unsigned collect_tap(unsigned link)
{
	static uint8_t buf[FRAME_MAX];
	unsigned n = 0;

	for (ssize_t got; (got = read(taps[link].kernel, buf, sizeof(buf))) > 0; n++) {
		if (out.counting)
			out.n_punt[link]++;
		else
			json_array_append_new(out.punt,
				json_pack("{s:i, s:o}", "link", link, "hex", hex_json(buf, got)));
	}
	return n;
}

static void collect_events(void)
{
	static const char *const kinds[] = { [DP_EV_PORT_UP] = "port_up",
		[DP_EV_PORT_DOWN] = "port_down",
		[DP_EV_NEIGH_MISS] = "neigh_miss",
		[DP_EV_MEMBER_UP] = "member_up",
		[DP_EV_MEMBER_DOWN] = "member_down",
		[DP_EV_BFD] = "bfd",
		[DP_EV_SA] = "sa",
		[DP_EV_MTU] = "mtu" };
	struct dp_event e;

	while (dp_event_next(&e)) {
		json_t *j = json_pack("{s:s}", "kind", kinds[e.kind]);
		if (e.kind == DP_EV_SA) {
			json_object_set_new(j, "sa", json_integer(e.session));
		} else if (e.kind == DP_EV_MTU) {
			json_object_set_new(j, "link", json_integer(e.link));
		} else if (e.kind == DP_EV_NEIGH_MISS) {
			json_object_set_new(j, "link", json_integer(e.link));
			json_object_set_new(j, "addr", addr_json(&e.addr));
		} else {
			json_object_set_new(j, "port", json_integer(e.port));
			out.carrier[e.port] = e.kind == DP_EV_PORT_UP;
		}
		json_array_append_new(out.events, j);
	}
}

unsigned collect(void)
{
	unsigned n = 0;

	for (unsigned p = 0; p < n_ports; p++)
		n += collect_port(p);
	for (unsigned link = 1; link < DP_LINKS_MAX; link++)
		if (taps[link].exists)
			n += collect_tap(link);
	collect_events();
	return n;
}

/* ---- waiting until all is done ---- */
static bool rings_empty(void)
{
	bool empty = true;

	for (unsigned p = 0; p < n_ports; p++)
		for (unsigned q = 0; q < n_queues; q++)
			empty &= rte_ring_empty(wires[p].rx[q]);
	return empty;
}

static uint64_t rounds_of(unsigned w)
{
	return __atomic_load_n(&worker_table[w]->ctr.stats.polls, __ATOMIC_ACQUIRE);
}

static uint64_t busy_rounds(void)
{
	uint64_t n = punt_busy_turns();

	for (unsigned w = 0; w < n_workers; w++)
		n += __atomic_load_n(&worker_table[w]->busy_rounds, __ATOMIC_RELAXED);
	return n;
}

/* Each thread has done two rounds more than at the call: the second was whole. */
static bool rounds_pass(uint64_t deadline)
{
	uint64_t worker[DP_WORKERS_MAX], turns = punt_turns();
	bool passed = false;

	for (unsigned w = 0; w < n_workers; w++)
		worker[w] = rounds_of(w);
	while (!passed && now_ms() < deadline) {
		punt_wake();
		collect();
		sched_yield();
		passed = punt_turns() >= turns + 2;
		for (unsigned w = 0; w < n_workers; w++)
			passed &= rounds_of(w) >= worker[w] + 2;
	}
	return passed;
}

/* A packet waits in a ring, whose reader would be busy in its next whole round, or is in a thread's
 * hand, which has then found this round busy: two idle rounds of all threads at the same time mean
 * there is none. */
static int settle(uint64_t deadline)
{
	for (;;) {
		uint64_t busy = busy_rounds();
		if (!rounds_pass(deadline))
			return fail(-ETIMEDOUT, "busy");
		unsigned n = collect();
		if (!n && rings_empty() && busy_rounds() == busy)
			return 0;
	}
}

uint64_t deadline_of(const json_t *in)
{
	return now_ms() + int_get(in, "timeout_ms", TIMEOUT_MS);
}

/* ---- the answer: what changed ---- */
static uint64_t grown(uint64_t *was, uint64_t is)
{
	uint64_t by = is > *was ? is - *was : 0;

	*was = is;
	return by;
}

static bool link_known(unsigned link)
{
	return !link || taps[link].known;
}

static void report_drops(json_t *answer)
{
	json_t *drops = json_object(), *rows = json_array();

	for (unsigned r = 0; r < DP_DROP_COUNT; r++) {
		const char *name = dp_drop_desc[r].name;
		uint64_t sum = 0;
		for (unsigned link = 0; link < DP_LINKS_MAX; link++) {
			uint64_t by = link_known(link) ? grown(&seen.drop[link][r],
								 dp_link_drop_count(link, r))
						       : 0;
			if (by)
				json_array_append_new(
					rows, json_pack("[i,s,I]", link, name, (json_int_t)by));
			sum += by;
		}
		if (sum)
			json_object_set_new(drops, name, json_integer(sum));
	}
	json_object_set_new(answer, "drops", drops);
	json_object_set_new(answer, "link_drops", rows);
}

static void report_pairs(json_t *answer)
{
	json_t *pairs = json_array();

	for (unsigned a = 0; a < DP_LINKS_MAX; a++)
		for (unsigned b = 0; link_known(a) && b < DP_LINKS_MAX; b++) {
			if (!link_known(b))
				continue;
			struct dp_count c = dp_pair_count(a, b);
			uint64_t packets = grown(&seen.pair[a][b].packets, c.packets);
			uint64_t bytes = grown(&seen.pair[a][b].bytes, c.bytes);
			if (packets || bytes)
				json_array_append_new(
					pairs, json_pack("[i,i,I,I]", a, b, (json_int_t)packets,
						       (json_int_t)bytes));
		}
	json_object_set_new(answer, "pairs", pairs);
}

static void report_classes(json_t *answer)
{
	json_t *classes = json_object();

	for (unsigned c = 0; c < DP_PUNT_COUNT; c++) {
		struct dp_punt_stats is = { 0 }, *was = &seen.punt[c];
		dp_punt_stats(c, &is);
		json_int_t up = grown(&was->to_kernel, is.to_kernel),
			   lost = grown(&was->dropped, is.dropped);
		json_int_t down = grown(&was->from_kernel, is.from_kernel);
		if (up || lost || down)
			json_object_set_new(classes, dp_punt_desc[c].name,
				json_pack("{s:I, s:I, s:I}", "to_kernel", up, "dropped", lost,
					"from_kernel", down));
	}
	json_object_set_new(answer, "classes", classes);
}

static json_t *counts_json(const uint64_t *count, unsigned n)
{
	json_t *j = json_object();
	char key[16];

	for (unsigned i = 0; i < n; i++)
		if (count[i]) {
			snprintf(key, sizeof(key), "%u", i);
			json_object_set_new(j, key, json_integer(count[i]));
		}
	return j;
}

void out_reset(void)
{
	json_decref(out.tx);
	json_decref(out.punt);
	json_decref(out.events);
	out.tx = json_array();
	out.punt = json_array();
	out.events = json_array();
	out.counting = false;
	memset(out.n_tx, 0, sizeof(out.n_tx));
	memset(out.n_punt, 0, sizeof(out.n_punt));
}

static int buffers_missing(void)
{
	return (int)(rte_mempool_in_use_count(frames) + pool_in_use()) - (int)hold_count() -
	       (int)reassemble_count();
}

static int report(json_t *answer)
{
	uint64_t handed = 0;

	for (unsigned w = 0; w < n_workers; w++)
		handed += worker_table[w]->ctr.stats.handed_over;
	report_drops(answer);
	report_pairs(answer);
	report_classes(answer);
	json_object_set_new(
		answer, "tx", out.counting ? counts_json(out.n_tx, n_ports) : json_incref(out.tx));
	json_object_set_new(answer, "punt",
		out.counting ? counts_json(out.n_punt, DP_LINKS_MAX) : json_incref(out.punt));
	json_object_set(answer, "events", out.events);
	json_object_set_new(answer, "held", json_integer(hold_count()));
	json_object_set_new(answer, "handed_over", json_integer(grown(&seen.handed_over, handed)));
	json_object_set_new(answer, "leaked", json_integer(buffers_missing()));
	out_reset();
	return 0;
}

int settle_and_report(const json_t *in, json_t *answer)
{
	int ret = settle(deadline_of(in));

	return ret ? ret : report(answer);
}

void out_count(void)
{
	out.counting = true;
}

bool out_carrier(unsigned p)
{
	return out.carrier[p];
}

void out_carrier_is(unsigned p, bool up)
{
	out.carrier[p] = up;
}
