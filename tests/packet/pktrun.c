/* pktrun: the real pipeline with real workers, packets in and packets out, without NIC or huge pages.
 *
 * One JSON object a line on stdin, one JSON object a line on stdout in answer, until end of file. Ports are
 * net_ring devices whose rings this program fills and drains; kernel interfaces are SOCK_SEQPACKET pairs.
 * Only `start` needs EAL; everything else is a thin coat over dataplane.h, names and meanings are the same.
 * Addresses and prefixes are text ("10.0.0.1", "2001:db8::/64", "" = none), MACs "02:00:00:00:00:01", frames
 * hex. Every answer has "ok": true, or "ok": false and "error": text (a failed dp_ call adds "errno": "EINVAL").
 *
 *   {"cmd":"start", "ports":2, "workers":1}
 *        optional: "queues":1 (rx queues a port), "tx_queues":1 (below "workers": the port is owned by one
 *        worker, others hand over), "mtu":1500 (of every port), "adaptive":true, "buffers":256
 *        -> "ports":[{"name","device","mac","mtu","up","rx_queues","tx_queues","owner"}]; ports are up
 *   {"cmd":"publish", "links":[{"id":1, "name":"a", "vrf":0, "port":0, "mac":M, "mtu":1500, "tags":[[33024,100]],
 *        "up":true, "partner":false, "tap":true, "src4":"10.0.0.1", "src6":"2001:db8::1"},
 *        {"id":9, "encap":"vxlan", ..., "underlay_vrf":0, "vni":7, "local":A, "remote":A, "udp_port":4789,
 *        "underlay_adj":5}]}      the whole set; "tags" outermost first as [tpid, vid]; "tap" keeps its socket
 *        for as long as the id stays. Defaults: name "link<id>", vrf 0, port 0, mtu 1500, up, tap true
 *   {"cmd":"vrf_add", "vrf":0}    {"cmd":"vrf_del", "vrf":0}
 *   {"cmd":"fib_set", "vrf":0, "prefix":P, "group":1}     {"cmd":"fib_del", "vrf":0, "prefix":P}
 *   {"cmd":"fib_lookup", "vrf":0, "addr":A} -> "group"    {"cmd":"fib_info", "vrf":0}
 *   {"cmd":"adj_set", "adj":1, "kind":"forward", "link":2, "nexthop":A, "mac":M}
 *        kind: none local blackhole unreachable prohibit glean forward failed broadcast
 *   {"cmd":"adj_del", "adj":1}    {"cmd":"adj_info", "adj":1} -> "kind","link","port","mtu","header" (hex)
 *   {"cmd":"group_set", "group":1, "legs":[{"adj":1, "key":1, "weight":1, "tier":0, "alive":true}]}
 *   {"cmd":"group_del", "group":1}   {"cmd":"group_info", "group":1} -> "legs":[{...,"buckets"}], "n_buckets"
 *   {"cmd":"group_bucket", "group":1, "src":A, "dst":A, "proto":17, "sport":1, "dport":2} -> "bucket","adj"
 *   {"cmd":"batch", "cmds":[{...}, ...]}   any of the above, stopping at the first that fails ("index")
 *   {"cmd":"port", "port":0, "up":false}   loss or return of carrier; answers once the event has been seen
 *
 * These move packets; each answers when every packet has been dealt with (all rings empty, every thread idle
 * for two whole rounds), at the latest after "timeout_ms" (default 5000; then "ok": false, "error": "busy"):
 *   {"cmd":"send", "port":0, "frames":[hex, ...]}        optional "queue":0
 *        or "sends":[{"port":0,"frames":[...]}, ...] for several ports before waiting
 *   {"cmd":"from_kernel", "link":1, "frames":[hex, ...]} the kernel sends on the link's interface
 *   {"cmd":"hold_release", "link":2, "addr":A, "ok":true}
 *   {"cmd":"wait", "held":0}                              until so many packets are held (they expire after 3 s)
 *   {"cmd":"settle"}
 * and answers what has happened since the answer before it:
 *   "tx":    [{"port":1, "hex":H}, ...]     in order for each port
 *   "punt":  [{"link":1, "hex":H}, ...]     in order for each link
 *   "drops": {"ip4_csum":1}                 by reason, all links; "link_drops":[[link, "ip4_csum", 1], ...]
 *   "pairs": [[in, out, packets, bytes]]    the matrix, rows that changed
 *   "classes": {"icmp":{"to_kernel":1, "dropped":0, "from_kernel":0}}   punt classes that changed
 *   "events":[{"kind":"neigh_miss", "link":2, "addr":A}, {"kind":"port_down", "port":0}]
 *   "held":  packets waiting for a neighbour now
 *   "handed_over": packets that went to another worker by ring
 *   "leaked": buffers missing from the pools beyond those held: always 0 in a correct program
 *
 *   {"cmd":"flood", "port":0, "frame":hex, "count":1000}  the same frame so often; answers as send does, but
 *        "tx" and "punt" are counts: {"1": 1000}
 *   {"cmd":"stats"} -> "workers":[{...}], "ports":[{...}]
 *   {"cmd":"stop"}  -> "leaked", "ms" it took; the program ends at end of file */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include "dataplane/dataplane.h"
#include "dataplane/dp.h"
#include "dataplane/hold.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"
#include "dataplane/worker.h"

#define QUEUES_MAX  DP_WORKERS_MAX
#define RING_SIZE   4096
#define POOL_SIZE   4095
#define FRAME_MAX   9800
#define FLOOD_BURST 256
#define TIMEOUT_MS  5000

/* ---- the world outside the router ---- */
static struct {
	struct rte_ring *rx[QUEUES_MAX], *tx[QUEUES_MAX]; /* as the router sees them */
	uint16_t ethdev;
} port[DP_PORTS_MAX];
static unsigned n_ports, n_queues, n_tx_queues, n_workers;
static struct rte_mempool *frames;
static struct {
	int router, kernel; /* the two ends of the pair that stands for the TAP */
	bool exists, known; /* now; ever */
} tap[DP_LINKS_MAX];

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

static bool started;
static char why[512];

static int __attribute__((format(printf, 2, 3))) fail(int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return ret;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

/* ---- text ---- */
static json_t *hex_json(const uint8_t *data, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	static char text[2 * FRAME_MAX + 1];

	for (size_t i = 0; i < n && i < FRAME_MAX; i++) {
		text[2 * i] = digit[data[i] >> 4];
		text[2 * i + 1] = digit[data[i] & 15];
	}
	return json_stringn(text, 2 * (n < FRAME_MAX ? n : FRAME_MAX));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ?
		c - 'A' + 10 : -1;
}

/* Bytes, or -EINVAL. */
static int hex_bytes(const json_t *j, uint8_t *ret_data, size_t room)
{
	const char *text = json_string_value(j);
	size_t n = text ? strlen(text) / 2 : 0;

	if (!text || strlen(text) % 2 || n > room)
		return fail(-EINVAL, "a frame is an even number of hex digits, at most %zu bytes", room);
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return fail(-EINVAL, "not hex: %.20s...", text);
		ret_data[i] = high << 4 | low;
	}
	return n;
}

static int addr_get(const json_t *in, const char *key, struct ip_addr *ret_addr)
{
	const char *text = json_string_value(json_object_get(in, key));

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (!text || !*text)
		return 0;
	return ip_addr_parse(text, ret_addr) ? fail(-EINVAL, "%s: not an address: %s", key, text) : 0;
}

static int prefix_get(const json_t *in, struct ip_prefix *ret_prefix)
{
	const char *text = json_string_value(json_object_get(in, "prefix"));

	if (!text || ip_prefix_parse(text, ret_prefix))
		return fail(-EINVAL, "prefix: not one: %s", text ? text : "missing");
	return 0;
}

static int mac_get(const json_t *in, uint8_t *ret_mac)
{
	const char *text = json_string_value(json_object_get(in, "mac"));
	int end = 0;

	if (!text)
		return 0;
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &ret_mac[0], &ret_mac[1], &ret_mac[2], &ret_mac[3],
		&ret_mac[4], &ret_mac[5], &end) != 6 || text[end])
		return fail(-EINVAL, "mac: not one: %s", text);
	return 0;
}

static json_int_t int_get(const json_t *in, const char *key, json_int_t otherwise)
{
	const json_t *j = json_object_get(in, key);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

static bool bool_get(const json_t *in, const char *key, bool otherwise)
{
	const json_t *j = json_object_get(in, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}

static json_t *mac_json(const uint8_t *m)
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static json_t *addr_json(const struct ip_addr *addr)
{
	char text[IP_STRLEN];

	return json_string(addr->af ? ip_addr_format(addr, text) : "");
}

/* ---- collecting what comes out ---- */
static unsigned collect_port(unsigned p)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	for (unsigned q = 0; q < n_tx_queues; q++)
		for (; !rte_ring_dequeue(port[p].tx[q], (void **)&m); n++) {
			if (out.counting)
				out.n_tx[p]++;
			else
				json_array_append_new(out.tx, json_pack("{s:i, s:o}", "port", p, "hex",
					hex_json(rte_pktmbuf_mtod(m, uint8_t *), m->data_len)));
			rte_pktmbuf_free(m);
		}
	return n;
}

static unsigned collect_tap(unsigned link)
{
	static uint8_t buf[FRAME_MAX];
	unsigned n = 0;

	for (ssize_t got; (got = read(tap[link].kernel, buf, sizeof(buf))) > 0; n++) {
		if (out.counting)
			out.n_punt[link]++;
		else
			json_array_append_new(out.punt, json_pack("{s:i, s:o}", "link", link, "hex", hex_json(buf, got)));
	}
	return n;
}

static void collect_events(void)
{
	static const char *const kinds[] = { "port_up", "port_down", "neigh_miss" };
	struct dp_event e;

	while (dp_event_next(&e)) {
		json_t *j = json_pack("{s:s}", "kind", kinds[e.kind]);
		if (e.kind == DP_EV_NEIGH_MISS) {
			json_object_set_new(j, "link", json_integer(e.link));
			json_object_set_new(j, "addr", addr_json(&e.addr));
		} else {
			json_object_set_new(j, "port", json_integer(e.port));
			out.carrier[e.port] = e.kind == DP_EV_PORT_UP;
		}
		json_array_append_new(out.events, j);
	}
}

static unsigned collect(void)
{
	unsigned n = 0;

	for (unsigned p = 0; p < n_ports; p++)
		n += collect_port(p);
	for (unsigned link = 1; link < DP_LINKS_MAX; link++)
		if (tap[link].exists)
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
			empty &= rte_ring_empty(port[p].rx[q]);
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

/* A packet waits in a ring, whose reader would be busy in its next whole round, or is in a thread's hand,
 * which has then found this round busy: two idle rounds of all threads at the same time mean there is none. */
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

static uint64_t deadline_of(const json_t *in)
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
	return !link || tap[link].known;
}

static void report_drops(json_t *answer)
{
	json_t *drops = json_object(), *rows = json_array();

	for (unsigned r = 0; r < DP_DROP_COUNT; r++) {
		const char *name = dp_drop_desc[r].name;
		uint64_t sum = 0;
		for (unsigned link = 0; link < DP_LINKS_MAX; link++) {
			uint64_t by = link_known(link) ? grown(&seen.drop[link][r], dp_link_drop_count(link, r)) : 0;
			if (by)
				json_array_append_new(rows, json_pack("[i,s,I]", link, name, (json_int_t)by));
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
				json_array_append_new(pairs, json_pack("[i,i,I,I]", a, b, (json_int_t)packets,
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
		json_int_t up = grown(&was->to_kernel, is.to_kernel), lost = grown(&was->dropped, is.dropped);
		json_int_t down = grown(&was->from_kernel, is.from_kernel);
		if (up || lost || down)
			json_object_set_new(classes, dp_punt_desc[c].name, json_pack("{s:I, s:I, s:I}", "to_kernel", up,
				"dropped", lost, "from_kernel", down));
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

static void out_reset(void)
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
	return (int)(rte_mempool_in_use_count(frames) + pool_in_use()) - (int)hold_count();
}

static int report(json_t *answer)
{
	uint64_t handed = 0;

	for (unsigned w = 0; w < n_workers; w++)
		handed += worker_table[w]->ctr.stats.handed_over;
	report_drops(answer);
	report_pairs(answer);
	report_classes(answer);
	json_object_set_new(answer, "tx", out.counting ? counts_json(out.n_tx, n_ports) : json_incref(out.tx));
	json_object_set_new(answer, "punt",
		out.counting ? counts_json(out.n_punt, DP_LINKS_MAX) : json_incref(out.punt));
	json_object_set(answer, "events", out.events);
	json_object_set_new(answer, "held", json_integer(hold_count()));
	json_object_set_new(answer, "handed_over", json_integer(grown(&seen.handed_over, handed)));
	json_object_set_new(answer, "leaked", json_integer(buffers_missing()));
	out_reset();
	return 0;
}

static int settle_and_report(const json_t *in, json_t *answer)
{
	int ret = settle(deadline_of(in));

	return ret ? ret : report(answer);
}

/* ---- start and stop ---- */
static struct rte_ring *ring_new(const char *name, unsigned p, unsigned q, unsigned flags)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s%uq%u", name, p, q);
	return rte_ring_create(full, RING_SIZE, SOCKET_ID_ANY, flags);
}

static int port_new(unsigned p)
{
	char name[16];

	for (unsigned q = 0; q < n_queues; q++)
		port[p].rx[q] = ring_new("rx", p, q, RING_F_SP_ENQ | RING_F_SC_DEQ);
	for (unsigned q = 0; q < n_tx_queues; q++)
		port[p].tx[q] = ring_new("tx", p, q, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!port[p].rx[n_queues - 1] || !port[p].tx[n_tx_queues - 1])
		return fail(-ENOMEM, "no memory for port %u's rings", p);
	snprintf(name, sizeof(name), "p%u", p);
	int ethdev = rte_eth_from_rings(name, port[p].rx, n_queues, port[p].tx, n_tx_queues, 0);
	if (ethdev < 0)
		return fail(-EIO, "port %u: no ring device", p);
	port[p].ethdev = ethdev;
	return 0;
}

static void conf_fill(const json_t *in, struct dp_conf *conf)
{
	cpu_set_t set;
	int cpu = -1;

	sched_getaffinity(0, sizeof(set), &set);
	conf->n_ports = n_ports;
	conf->n_workers = n_workers;
	conf->adaptive = bool_get(in, "adaptive", true);
	conf->packet_buffers = int_get(in, "buffers", 256); /* net_ring receives into none of them */
	for (unsigned w = 0; w < n_workers; w++) { /* more workers than CPUs share them */
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(cpu, &set));
		conf->cpus[w] = cpu;
	}
	for (unsigned p = 0; p < n_ports; p++) {
		struct dp_port_conf *c = &conf->ports[p];
		snprintf(c->name, sizeof(c->name), "p%u", p);
		snprintf(c->device, sizeof(c->device), "net_ring_p%u", p);
		c->mtu = int_get(in, "mtu", 1500);
		c->queues = n_queues;
	}
}

static json_t *port_json(unsigned p)
{
	uint8_t mac[6] = { 0x02, 0, 0, 0, 0x01, p }; /* net_ring has none: ours to give to the links */
	struct dp_port_info i;

	if (dp_port_info(p, &i))
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I}", "name", i.name, "device",
		i.device, "mac", mac_json(mac), "mtu", i.mtu, "up", i.up, "rx_queues", i.rx_queues, "tx_queues",
		i.tx_queues, "owner", i.owner, "buffers", i.buffers, "buffers_in_use", i.buffers_in_use, "rx_packets",
		(json_int_t)i.rx_packets, "tx_packets", (json_int_t)i.tx_packets, "tx_errors", (json_int_t)i.tx_errors);
}

static json_t *ports_json(void)
{
	json_t *ports = json_array();

	for (unsigned p = 0; p < n_ports; p++)
		json_array_append_new(ports, port_json(p));
	return ports;
}

static int cmd_start(json_t *in, json_t *answer)
{
	static struct dp_conf conf;
	struct dp_err err = { why, sizeof(why) };
	int ret;

	if (n_ports)
		return fail(-EALREADY, "started already: start another process");
	n_workers = int_get(in, "workers", 1);
	n_queues = int_get(in, "queues", 1);
	n_tx_queues = int_get(in, "tx_queues", 1);
	n_ports = int_get(in, "ports", 2);
	if (n_ports - 1 >= DP_PORTS_MAX || n_queues - 1 >= QUEUES_MAX || n_tx_queues - 1 >= QUEUES_MAX ||
		n_workers - 1 >= DP_WORKERS_MAX)
		return fail(-EINVAL, "ports, workers, queues: out of range");
	conf_fill(in, &conf);
	ret = dp_eal_start(&conf, &err);
	for (unsigned p = 0; !ret && p < n_ports; p++)
		ret = port_new(p);
	if (ret)
		return ret;
	unsigned room = RTE_MAX(int_get(in, "mtu", 1500) + 512, 2048);
	frames = rte_pktmbuf_pool_create("frames", POOL_SIZE, 0, 0, RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY);
	if (!frames)
		return fail(-ENOMEM, "no memory for frames");
	ret = dp_start(&conf, why, sizeof(why));
	if (ret)
		return ret;
	started = true;
	out_reset();
	json_object_set_new(answer, "ports", ports_json());
	collect_events(); /* the ports have come up: part of the start */
	out_reset();
	return 0;
}

static int cmd_stop(json_t *in, json_t *answer)
{
	uint64_t begin = now_ms();

	(void)in;
	started = false;
	dp_stop();
	json_object_set_new(answer, "ms", json_integer(now_ms() - begin));
	out.counting = true;
	for (unsigned p = 0; p < n_ports; p++) {
		struct rte_mbuf *m;
		collect_port(p);
		for (unsigned q = 0; q < n_queues; q++) /* sent, never received */
			while (!rte_ring_dequeue(port[p].rx[q], (void **)&m))
				rte_pktmbuf_free(m);
	}
	json_object_set_new(answer, "leaked", json_integer(rte_mempool_in_use_count(frames)));
	return 0;
}

/* ---- links ---- */
static int tags_get(const json_t *in, struct dp_link *l)
{
	json_t *tags = json_object_get(in, "tags"), *tag;
	size_t i;

	if (json_array_size(tags) > 2)
		return fail(-EINVAL, "link %u: two tags at most", l->id);
	json_array_foreach(tags, i, tag) {
		l->tpid[i] = json_integer_value(json_array_get(tag, 0));
		l->vid[i] = json_integer_value(json_array_get(tag, 1));
	}
	l->n_tags = json_array_size(tags);
	return 0;
}

static int tap_get(struct dp_link *l)
{
	int ends[2], size = 1 << 20;

	if (!tap[l->id].exists) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
			return fail(-errno, "no socket pair for link %u", l->id);
		tap[l->id].router = ends[0];
		tap[l->id].kernel = ends[1];
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		tap[l->id].exists = true;
	}
	l->tap = tap[l->id].router;
	return 0;
}

static int link_get(const json_t *in, struct dp_link *l)
{
	const char *encap = json_string_value(json_object_get(in, "encap"));
	const char *name = json_string_value(json_object_get(in, "name"));
	int ret;

	memset(l, 0, sizeof(*l));
	l->id = int_get(in, "id", 0);
	if (l->id >= DP_LINKS_MAX)
		return fail(-EINVAL, "link id %u: out of range", l->id);
	snprintf(l->name, sizeof(l->name), "link%u", l->id);
	if (name)
		snprintf(l->name, sizeof(l->name), "%s", name);
	l->vrf = int_get(in, "vrf", 0);
	l->port = int_get(in, "port", 0);
	l->encap = encap && !strcmp(encap, "vxlan") ? DP_ENCAP_VXLAN : DP_ENCAP_ETHER;
	l->up = bool_get(in, "up", true);
	l->partner = bool_get(in, "partner", false);
	l->mtu = int_get(in, "mtu", 1500);
	l->underlay_vrf = int_get(in, "underlay_vrf", 0);
	l->vni = int_get(in, "vni", 0);
	l->udp_port = int_get(in, "udp_port", 4789);
	l->underlay_adj = int_get(in, "underlay_adj", 0);
	l->tap = -1;
	if ((ret = mac_get(in, l->mac)) || (ret = addr_get(in, "src4", &l->src4)) ||
		(ret = addr_get(in, "src6", &l->src6)) || (ret = addr_get(in, "local", &l->local)) ||
		(ret = addr_get(in, "remote", &l->remote)) || (ret = tags_get(in, l)))
		return ret;
	tap[l->id].known = true;
	return bool_get(in, "tap", true) ? tap_get(l) : 0;
}

static int cmd_publish(json_t *in, json_t *answer)
{
	static struct dp_link links[DP_LINKS_MAX];
	static bool used[DP_LINKS_MAX];
	json_t *list = json_object_get(in, "links"), *j;
	size_t i;
	int ret = 0;

	(void)answer;
	if (!json_is_array(list) || json_array_size(list) > DP_LINKS_MAX)
		return fail(-EINVAL, "links: need an array of at most %d", DP_LINKS_MAX);
	memset(used, 0, sizeof(used));
	json_array_foreach(list, i, j) {
		if ((ret = link_get(j, &links[i])))
			return ret;
		used[links[i].id] = links[i].tap >= 0;
	}
	ret = dp_publish(links, json_array_size(list));
	for (unsigned id = 1; !ret && id < DP_LINKS_MAX; id++) {
		if (!tap[id].exists || used[id])
			continue;
		collect_tap(id);
		close(tap[id].router); /* the punt thread has its own */
		close(tap[id].kernel);
		tap[id].exists = false;
	}
	return ret;
}

/* ---- routes, adjacencies, groups ---- */
static const char *const adj_kinds[] = { "none", "local", "blackhole", "unreachable", "prohibit", "glean",
	"forward", "failed", "broadcast" };

static int cmd_vrf_add(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_vrf_add(int_get(in, "vrf", 0));
}

static int cmd_vrf_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_vrf_del(int_get(in, "vrf", 0));
}

static int cmd_fib_set(json_t *in, json_t *answer)
{
	struct ip_prefix prefix;
	int ret = prefix_get(in, &prefix);

	(void)answer;
	return ret ? ret : dp_fib_set(int_get(in, "vrf", 0), &prefix, int_get(in, "group", 0));
}

static int cmd_fib_del(json_t *in, json_t *answer)
{
	struct ip_prefix prefix;
	int ret = prefix_get(in, &prefix);

	(void)answer;
	return ret ? ret : dp_fib_del(int_get(in, "vrf", 0), &prefix);
}

static int cmd_fib_lookup(json_t *in, json_t *answer)
{
	struct ip_addr addr;
	int ret = addr_get(in, "addr", &addr);

	if (!ret)
		json_object_set_new(answer, "group", json_integer(dp_fib_lookup(int_get(in, "vrf", 0), &addr)));
	return ret;
}

static int cmd_fib_info(json_t *in, json_t *answer)
{
	struct dp_fib_info i;
	int ret = dp_fib_info(int_get(in, "vrf", 0), &i);

	if (!ret) {
		json_object_set_new(answer, "routes4", json_integer(i.routes4));
		json_object_set_new(answer, "routes6", json_integer(i.routes6));
		json_object_set_new(answer, "lookup_bytes", json_integer(i.lookup_bytes));
		json_object_set_new(answer, "control_bytes", json_integer(i.control_bytes));
	}
	return ret;
}

static int cmd_adj_set(json_t *in, json_t *answer)
{
	const char *kind = json_string_value(json_object_get(in, "kind"));
	struct dp_adj a = { .link = int_get(in, "link", 0) };
	int ret;

	(void)answer;
	while (kind && a.kind < RTE_DIM(adj_kinds) && strcmp(kind, adj_kinds[a.kind]))
		a.kind++;
	if (!kind || a.kind == RTE_DIM(adj_kinds))
		return fail(-EINVAL, "kind: unknown: %s", kind ? kind : "missing");
	if ((ret = addr_get(in, "nexthop", &a.nexthop)) || (ret = mac_get(in, a.mac)))
		return ret;
	return dp_adj_set(int_get(in, "adj", 0), &a);
}

static int cmd_adj_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_adj_del(int_get(in, "adj", 0));
}

static int cmd_adj_info(json_t *in, json_t *answer)
{
	struct dp_adj_info i;
	int ret = dp_adj_info(int_get(in, "adj", 0), &i);

	if (ret)
		return ret;
	json_object_set_new(answer, "kind", json_string(adj_kinds[i.adj.kind]));
	json_object_set_new(answer, "link", json_integer(i.adj.link));
	json_object_set_new(answer, "nexthop", addr_json(&i.adj.nexthop));
	json_object_set_new(answer, "mac", mac_json(i.adj.mac));
	json_object_set_new(answer, "port", json_integer(i.port));
	json_object_set_new(answer, "mtu", json_integer(i.mtu));
	json_object_set_new(answer, "header", hex_json(i.header, i.header_len));
	return 0;
}

static int cmd_group_set(json_t *in, json_t *answer)
{
	json_t *list = json_object_get(in, "legs"), *j;
	struct dp_leg legs[DP_LEGS_MAX];
	size_t i;

	(void)answer;
	if (json_array_size(list) > DP_LEGS_MAX)
		return fail(-EINVAL, "legs: at most %d", DP_LEGS_MAX);
	json_array_foreach(list, i, j)
		legs[i] = (struct dp_leg){
			.key = int_get(j, "key", int_get(j, "adj", 0)),
			.adj = int_get(j, "adj", 0),
			.weight = int_get(j, "weight", 1),
			.tier = int_get(j, "tier", 0),
			.alive = bool_get(j, "alive", true),
		};
	return dp_group_set(int_get(in, "group", 0), legs, json_array_size(list));
}

static int cmd_group_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_group_del(int_get(in, "group", 0));
}

static int cmd_group_info(json_t *in, json_t *answer)
{
	struct dp_group_info i;
	int ret = dp_group_info(int_get(in, "group", 0), &i);
	json_t *legs = json_array();

	for (unsigned k = 0; !ret && k < i.n_legs; k++)
		json_array_append_new(legs, json_pack("{s:I, s:I, s:i, s:i, s:b, s:i}", "key", (json_int_t)i.legs[k].key,
			"adj", (json_int_t)i.legs[k].adj, "weight", i.legs[k].weight, "tier", i.legs[k].tier, "alive",
			i.legs[k].alive, "buckets", i.buckets_of[k]));
	json_object_set_new(answer, "legs", legs);
	json_object_set_new(answer, "n_buckets", json_integer(ret ? 0 : i.n_buckets));
	return ret;
}

static int cmd_group_bucket(json_t *in, json_t *answer)
{
	struct ip_addr src, dst;
	unsigned bucket = 0;
	uint32_t adj = 0;
	int ret;

	if ((ret = addr_get(in, "src", &src)) || (ret = addr_get(in, "dst", &dst)))
		return ret;
	ret = dp_group_bucket(int_get(in, "group", 0), &src, &dst, int_get(in, "proto", 0), int_get(in, "sport", 0),
		int_get(in, "dport", 0), &bucket, &adj);
	json_object_set_new(answer, "bucket", json_integer(bucket));
	json_object_set_new(answer, "adj", json_integer(adj));
	return ret;
}

/* ---- packets ---- */
static struct rte_mbuf *frame_get(const json_t *hex, int *ret_err)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(frames);
	int n;

	if (!m) {
		*ret_err = fail(-ENOBUFS, "no buffer for another frame");
		return NULL;
	}
	/* What follows a frame in its buffer must never matter. */
	memset(m->buf_addr, 0xa5, m->buf_len);
	n = hex_bytes(hex, rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m));
	if (n < 0) {
		rte_pktmbuf_free(m);
		*ret_err = n;
		return NULL;
	}
	m->data_len = m->pkt_len = n;
	return m;
}

static int send_one(const json_t *in)
{
	unsigned p = int_get(in, "port", 0), q = int_get(in, "queue", 0);
	json_t *list = json_object_get(in, "frames"), *hex;
	size_t i;
	int ret = 0;

	if (p >= n_ports || q >= n_queues)
		return fail(-EINVAL, "no port %u or queue %u", p, q);
	json_array_foreach(list, i, hex) {
		struct rte_mbuf *m = frame_get(hex, &ret);
		if (!m)
			return ret;
		if (rte_ring_enqueue(port[p].rx[q], m)) {
			rte_pktmbuf_free(m);
			return fail(-ENOBUFS, "too many frames at once");
		}
	}
	return 0;
}

static int cmd_send(json_t *in, json_t *answer)
{
	json_t *list = json_object_get(in, "sends"), *j;
	size_t i;
	int ret = 0;

	if (!list)
		ret = send_one(in);
	json_array_foreach(list, i, j)
		if (!ret)
			ret = send_one(j);
	return ret ? ret : settle_and_report(in, answer);
}

static int cmd_from_kernel(json_t *in, json_t *answer)
{
	static uint8_t buf[FRAME_MAX];
	json_t *list = json_object_get(in, "frames"), *hex;
	unsigned link = int_get(in, "link", 0);
	size_t i;

	if (link >= DP_LINKS_MAX || !tap[link].exists)
		return fail(-EINVAL, "link %u has no interface", link);
	json_array_foreach(list, i, hex) {
		uint64_t deadline = deadline_of(in);
		int n = hex_bytes(hex, buf, sizeof(buf));
		if (n < 0)
			return n;
		while (write(tap[link].kernel, buf, n) < 0) {
			if (errno != EAGAIN || now_ms() > deadline)
				return fail(-errno, "the interface takes no more");
			collect();
		}
	}
	return settle_and_report(in, answer);
}

static int cmd_flood(json_t *in, json_t *answer)
{
	uint64_t left = int_get(in, "count", 1), deadline = deadline_of(in);
	unsigned p = int_get(in, "port", 0);
	int ret = 0;

	if (p >= n_ports)
		return fail(-EINVAL, "no port %u", p);
	out.counting = true;
	struct rte_mbuf *first = frame_get(json_object_get(in, "frame"), &ret);
	if (!first)
		return ret;
	while (left) {
		unsigned n = rte_ring_empty(port[p].rx[0]) ? RTE_MIN(left, (uint64_t)FLOOD_BURST) : 0;
		for (; n; n--, left--) {
			struct rte_mbuf *m = rte_pktmbuf_copy(first, frames, 0, UINT32_MAX);
			if (!m || rte_ring_enqueue(port[p].rx[0], m)) {
				rte_pktmbuf_free(m);
				break;
			}
		}
		if (!collect())
			sched_yield();
		if (now_ms() > deadline) {
			ret = fail(-ETIMEDOUT, "busy");
			break;
		}
	}
	rte_pktmbuf_free(first);
	return ret ? ret : settle_and_report(in, answer);
}

static int cmd_hold_release(json_t *in, json_t *answer)
{
	struct ip_addr addr;
	int ret = addr_get(in, "addr", &addr);

	if (ret)
		return ret;
	dp_hold_release(int_get(in, "link", 0), &addr, bool_get(in, "ok", true));
	return settle_and_report(in, answer);
}

static int cmd_wait(json_t *in, json_t *answer)
{
	uint64_t deadline = deadline_of(in);
	unsigned held = int_get(in, "held", 0);

	while (hold_count() != held) {
		collect();
		sched_yield();
		if (now_ms() > deadline)
			return fail(-ETIMEDOUT, "still %u held", hold_count());
	}
	return settle_and_report(in, answer);
}

static int cmd_settle(json_t *in, json_t *answer)
{
	return settle_and_report(in, answer);
}

static int cmd_port(json_t *in, json_t *answer)
{
	unsigned p = int_get(in, "port", 0);
	bool up = bool_get(in, "up", true);
	struct dp_port_info info;
	uint64_t deadline = deadline_of(in);
	int ret;

	if (p >= n_ports || dp_port_info(p, &info))
		return fail(-EINVAL, "no port %u", p);
	out.carrier[p] = info.up;
	ret = up ? rte_eth_dev_set_link_up(port[p].ethdev) : rte_eth_dev_set_link_down(port[p].ethdev);
	while (!ret && out.carrier[p] != up) {
		collect();
		sched_yield();
		if (now_ms() > deadline)
			return fail(-ETIMEDOUT, "no event for port %u", p);
	}
	return ret ? ret : settle_and_report(in, answer);
}

static int cmd_stats(json_t *in, json_t *answer)
{
	json_t *workers = json_array();
	struct dp_worker_stats s;

	(void)in;
	for (unsigned w = 0; !dp_worker_stats(w, &s); w++) {
		json_t *stages = json_object();
		for (unsigned i = 0; i < dp_stage_count; i++)
			json_object_set_new(stages, dp_stage_desc[i].name, json_integer(s.stage_cycles[i]));
		json_array_append_new(workers, json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "cpu", s.cpu,
			"vectors", (json_int_t)s.vectors, "packets", (json_int_t)s.packets, "polls", (json_int_t)s.polls,
			"idle_polls", (json_int_t)s.idle_polls, "naps", (json_int_t)s.naps, "handed_over",
			(json_int_t)s.handed_over, "sampled_packets", (json_int_t)s.sampled_packets, "stage_cycles",
			stages));
	}
	json_object_set_new(answer, "workers", workers);
	json_object_set_new(answer, "ports", ports_json());
	return 0;
}

/* ---- commands ---- */
static int run(json_t *in, json_t *answer);

static int cmd_batch(json_t *in, json_t *answer)
{
	json_t *list = json_object_get(in, "cmds"), *j;
	size_t i;

	json_array_foreach(list, i, j) {
		int ret = run(j, answer);
		if (ret) {
			json_object_set_new(answer, "index", json_integer(i));
			return ret;
		}
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(json_t *in, json_t *answer);
} commands[] = {
	{ "start", cmd_start }, { "stop", cmd_stop }, { "publish", cmd_publish }, { "batch", cmd_batch },
	{ "vrf_add", cmd_vrf_add }, { "vrf_del", cmd_vrf_del }, { "fib_set", cmd_fib_set }, { "fib_del", cmd_fib_del },
	{ "fib_lookup", cmd_fib_lookup }, { "fib_info", cmd_fib_info }, { "adj_set", cmd_adj_set },
	{ "adj_del", cmd_adj_del }, { "adj_info", cmd_adj_info }, { "group_set", cmd_group_set },
	{ "group_del", cmd_group_del }, { "group_info", cmd_group_info }, { "group_bucket", cmd_group_bucket },
	{ "send", cmd_send }, { "from_kernel", cmd_from_kernel }, { "flood", cmd_flood },
	{ "hold_release", cmd_hold_release }, { "wait", cmd_wait }, { "settle", cmd_settle }, { "port", cmd_port },
	{ "stats", cmd_stats },
};

static int run(json_t *in, json_t *answer)
{
	const char *name = json_string_value(json_object_get(in, "cmd"));
	int ret;

	*why = 0;
	for (unsigned i = 0; name && i < RTE_DIM(commands); i++)
		if (!strcmp(name, commands[i].name)) {
			if (strcmp(name, "start") && !started)
				return fail(-EINVAL, "start comes first");
			ret = commands[i].run(in, answer);
			if (started)
				dp_reclaim();
			return ret;
		}
	return fail(-EINVAL, "no command %s", name ? name : "given");
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		json_error_t e;
		json_t *in = json_loads(line, 0, &e), *answer = json_object();
		int ret = in ? run(in, answer) : fail(-EINVAL, "not JSON: %s at %d", e.text, e.position);

		json_object_set_new(answer, "ok", json_boolean(!ret));
		if (ret) {
			json_object_set_new(answer, "error", json_string(*why ? why : strerror(-ret)));
			json_object_set_new(answer, "errno", json_string(strerrorname_np(-ret)));
		}
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(in);
		json_decref(answer);
	}
	free(line);
	return 0;
}
