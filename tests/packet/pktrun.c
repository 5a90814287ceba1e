/* pktrun: the real pipeline with real workers, packets in and out, without NIC or huge pages.
 *
 * One JSON object a line on stdin, one JSON object a line on stdout in answer, until end of file.
 * Ports are net_ring devices whose rings this program fills and drains; kernel interfaces are
 * SOCK_SEQPACKET pairs. Everything is a thin coat over dataplane.h, names and meanings are the
 * same. Addresses and prefixes are text ("10.0.0.1", "2001:db8::/64", "" = none), MACs
 * "02:00:00:00:00:01", frames hex. Every answer has "ok": true, or "ok": false with "error": text
 * and "errno": "EINVAL". A, M, P, H stand for an address, a MAC, a prefix, a frame.
 *
 *   {"cmd":"start", "ports":2, "workers":1}
 *        optional: "queues":1 (rx queues a port), "tx_queues":1 (fewer than workers: the port is
 *        owned by one of them, others hand over), "mtu":1500, "adaptive":true, "buffers":256
 *        -> "ports":[{"name","device","mac","mtu","up","rx_queues","tx_queues","owner"}], all up
 *   {"cmd":"publish", "links":[
 *        {"id":1, "name":"a", "vrf":0, "port":0, "mac":M, "mtu":1500, "tags":[[33024,100]],
 *         "up":true, "zone":0, "reach":1, "tap":true, "src4":A, "src6":A,
 *         "vrid":0, "active":[false,false], "virtual":[A]},
 *        {"id":9, "encap":"vxlan", "underlay_vrf":0, "vni":7, "local":A, "remote":A,
 *         "udp_port":4789, "underlay_adj":5, "inner_ether":true, "keyed":false, "checksum":false,
 *         "ttl":0, "dscp":255, "df":0, "mss4":0, "mss6":0}]}
 *        the whole set. "tags": outermost first, [tpid, vid]. "tap" keeps its socket for as long
 *        as the id stays. Defaults: name "link<id>", vrf 0, port 0, mtu 1500, up, tap true
 *        encap: vxlan geneve gre ipip esp
 *   {"cmd":"tunnel_mtu", "link":9} -> "mtu"
 *   {"cmd":"vrf_add", "vrf":0}    {"cmd":"vrf_del", "vrf":0}
 *   {"cmd":"fib_set", "vrf":0, "prefix":P, "group":1}     {"cmd":"fib_del", "vrf":0, "prefix":P}
 *   {"cmd":"fib_lookup", "vrf":0, "addr":A} -> "group"    {"cmd":"fib_info", "vrf":0}
 *   {"cmd":"adj_set", "adj":1, "kind":"forward", "link":2, "nexthop":A, "mac":M}
 *        kind: none local blackhole unreachable prohibit glean forward failed broadcast
 *   {"cmd":"adj_del", "adj":1}
 *   {"cmd":"adj_info", "adj":1} -> "kind", "link", "nexthop", "mac", "port", "mtu", "header" (hex)
 *   {"cmd":"group_set", "group":1,
 *        "legs":[{"adj":1, "key":1, "weight":1, "tier":0, "alive":true}]}
 *   {"cmd":"group_del", "group":1}
 *   {"cmd":"group_info", "group":1} -> "legs":[{..., "buckets"}], "n_buckets"
 *   {"cmd":"group_bucket", "group":1, "src":A, "dst":A, "proto":17, "sport":1, "dport":2}
 *        -> "bucket", "adj"
 *   sa_set, sa_del, sa_use, sa_info: see pktrun_sa.c
 *   {"cmd":"batch", "cmds":[{...}, ...]}   in order, up to the first that fails ("index")
 *
 * These move packets. Each answers when every packet has been dealt with (all rings empty, every
 * thread idle for two whole rounds), at the latest after "timeout_ms" (default 5000; then
 * "ok": false, "error": "busy"):
 *   {"cmd":"send", "port":0, "frames":[H, ...]}          optional "queue":0
 *        or "sends":[{"port":0, "frames":[...]}, ...]    several ports before waiting
 *   {"cmd":"from_kernel", "link":1, "frames":[H, ...]}   the kernel sends on that interface
 *   {"cmd":"hold_release", "link":2, "addr":A, "ok":true}
 *   {"cmd":"port", "port":0, "up":false}   carrier goes or returns; waits for the event
 *   {"cmd":"wait", "held":0}               until so many are held (they expire after 3 s)
 *   {"cmd":"settle"}
 * and answers with what has happened since the answer before it:
 *   "tx":    [{"port":1, "hex":H}, ...]    in order for each port
 *   "punt":  [{"link":1, "hex":H}, ...]    in order for each link
 *   "drops": {"ip4_csum":1}                by reason, all links
 *   "link_drops": [[1, "ip4_csum", 1]]     the same by ingress link
 *   "pairs": [[in, out, packets, bytes]]   the matrix, what changed
 *   "classes": {"icmp":{"to_kernel":1, "dropped":0, "from_kernel":0}}   what changed
 *   "events":[{"kind":"neigh_miss", "link":2, "addr":A}, {"kind":"port_down", "port":0},
 *             {"kind":"mtu", "link":9}]
 *   "held":  packets waiting for a neighbour now
 *   "handed_over": packets that went to another worker by ring
 *   "leaked": buffers missing from the pools beyond those held: 0 in a correct program
 *
 *   {"cmd":"flood", "port":0, "frame":H, "count":1000}   the same frame so often; answers as send
 *        does, but "tx" and "punt" are counts: {"1": 1000}
 *   {"cmd":"stream", "flows":[{"port":0, "queue":0, "frame":H}], "count":1000}   so many of each,
 *        in turn, numbered in their last 12 bytes; optional "in_flight":1024, and "during":[{...}],
 *        "every":1000: after each 1000 packets the next of these commands; answers as send does,
 *        without "tx", and "flows":[{"sent", "received", "reordered", "exits":[{"port", "mac" of
 *        the next hop, "packets", "changes"}]}], "strange": frames of no flow
 *   {"cmd":"push", "flows":[...], "vectors":1, "size":64}   vectors of these flows in turn, each
 *        through one round of the worker in this thread; no other command that moves packets after
 *        -> "cycles": the median round's
 *   {"cmd":"stats"} -> "workers":[{...}], "ports":[{...}]
 *   {"cmd":"stop"}  -> "leaked", "ms" it took; the program ends at end of file */
#include <rte_eal.h>
#include "pktrun.h"

#define POOL_SIZE   4095
#define FLOOD_BURST 256

struct tap_pair taps[DP_LINKS_MAX];
unsigned n_ports, n_queues, n_tx_queues, n_workers;
struct rte_mempool *frames;
static bool started;

/* ---- start and stop ---- */
static void conf_fill(const json_t *in, struct dp_conf *conf)
{
	wires_conf(conf, n_ports, n_workers, n_queues);
	conf->adaptive = bool_get(in, "adaptive", true);
	conf->packet_buffers =
		int_get(in, "buffers", 256); /* net_ring receives into none of them */
	for (unsigned p = 0; p < n_ports; p++)
		conf->ports[p].mtu = int_get(in, "mtu", 1500);
}

static json_t *port_json(unsigned p)
{
	uint8_t mac[6] = { 0x02, 0, 0, 0, 0x01,
		p }; /* net_ring has none: ours to give to the links */
	struct dp_port_info i;

	if (dp_port_info(p, &i))
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:i, s:b, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I}",
		"name", i.name, "device", i.device, "mac", mac_json(mac), "mtu", i.mtu, "up", i.up,
		"rx_queues", i.rx_queues, "tx_queues", i.tx_queues, "owner", i.owner, "buffers",
		i.buffers, "buffers_in_use", i.buffers_in_use, "rx_packets",
		(json_int_t)i.rx_packets, "tx_packets", (json_int_t)i.tx_packets, "tx_errors",
		(json_int_t)i.tx_errors);
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
	if (n_ports - 1 >= DP_PORTS_MAX || n_queues - 1 >= QUEUES_MAX ||
		n_tx_queues - 1 >= QUEUES_MAX || n_workers - 1 >= DP_WORKERS_MAX)
		return fail(-EINVAL, "ports, workers, queues: out of range");
	conf_fill(in, &conf);
	ret = dp_eal_start(&conf, &err);
	for (unsigned p = 0; !ret && p < n_ports; p++)
		ret = wire_make(p, n_queues, n_tx_queues);
	if (ret)
		return *why ? ret : fail(ret, "no rings or no device for a port");
	unsigned room = RTE_MAX(int_get(in, "mtu", 1500) + 512, 2048);
	frames = rte_pktmbuf_pool_create(
		"frames", POOL_SIZE, 0, 0, RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY);
	if (!frames)
		return fail(-ENOMEM, "no memory for frames");
	ret = dp_start(&conf, why, sizeof(why));
	if (ret)
		return ret;
	started = true;
	out_reset();
	json_object_set_new(answer, "ports", ports_json());
	collect(); /* the ports have come up: part of the start */
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
	out_count();
	for (unsigned p = 0; p < n_ports; p++) {
		struct rte_mbuf *m;
		collect_port(p);
		for (unsigned q = 0; q < n_queues; q++) /* sent, never received */
			while (!rte_ring_dequeue(wires[p].rx[q], (void **)&m))
				rte_pktmbuf_free(m);
	}
	json_object_set_new(answer, "leaked", json_integer(rte_mempool_in_use_count(frames)));
	return 0;
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
	static struct rte_mbuf *pkts[POOL_SIZE];
	json_t *list = json_object_get(in, "frames"), *hex;
	unsigned n = 0;
	size_t i;
	int ret = 0;

	if (p >= n_ports || q >= n_queues)
		return fail(-EINVAL, "no port %u or queue %u", p, q);
	json_array_foreach(list, i, hex) {
		pkts[n] = frame_get(hex, &ret);
		if (!pkts[n])
			break;
		n++;
	}
	/* At once: what is sent in one command is one vector, or as few as can be. */
	if (!ret && n && !rte_ring_enqueue_bulk(wires[p].rx[q], (void **)pkts, n, NULL))
		ret = fail(-ENOBUFS, "too many frames at once");
	if (ret)
		rte_pktmbuf_free_bulk(pkts, n);
	return ret;
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

	if (link >= DP_LINKS_MAX || !taps[link].exists)
		return fail(-EINVAL, "link %u has no interface", link);
	json_array_foreach(list, i, hex) {
		uint64_t deadline = deadline_of(in);
		int n = hex_bytes(hex, buf, sizeof(buf));
		if (n < 0)
			return n;
		while (write(taps[link].kernel, buf, n) < 0) {
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
	out_count();
	struct rte_mbuf *first = frame_get(json_object_get(in, "frame"), &ret);
	if (!first)
		return ret;
	while (left) {
		unsigned n =
			rte_ring_empty(wires[p].rx[0]) ? RTE_MIN(left, (uint64_t)FLOOD_BURST) : 0;
		for (; n; n--, left--) {
			struct rte_mbuf *m = rte_pktmbuf_copy(first, frames, 0, UINT32_MAX);
			if (!m || rte_ring_enqueue(wires[p].rx[0], m)) {
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
	out_carrier_is(p, info.up);
	ret = up ? rte_eth_dev_set_link_up(wires[p].ethdev)
		 : rte_eth_dev_set_link_down(wires[p].ethdev);
	while (!ret && out_carrier(p) != up) {
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
			json_object_set_new(
				stages, dp_stage_desc[i].name, json_integer(s.stage_cycles[i]));
		json_array_append_new(workers,
			json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "cpu", s.cpu,
				"vectors", (json_int_t)s.vectors, "packets", (json_int_t)s.packets,
				"polls", (json_int_t)s.polls, "idle_polls",
				(json_int_t)s.idle_polls, "naps", (json_int_t)s.naps, "handed_over",
				(json_int_t)s.handed_over, "sampled_packets",
				(json_int_t)s.sampled_packets, "stage_cycles", stages));
	}
	json_object_set_new(answer, "workers", workers);
	json_object_set_new(answer, "ports", ports_json());
	return 0;
}

/* ---- commands ---- */
static int cmd_batch(json_t *in, json_t *answer)
{
	json_t *list = json_object_get(in, "cmds"), *j;
	size_t i;

	json_array_foreach(list, i, j) {
		int ret = command_run(j, answer);
		if (ret) {
			json_object_set_new(answer, "index", json_integer(i));
			return ret;
		}
	}
	return 0;
}

static const struct command commands[] = {
	{ "start", cmd_start },
	{ "stop", cmd_stop },
	{ "batch", cmd_batch },
	{ "send", cmd_send },
	{ "from_kernel", cmd_from_kernel },
	{ "flood", cmd_flood },
	{ "stream", cmd_stream },
	{ "push", cmd_push },
	{ "hold_release", cmd_hold_release },
	{ "wait", cmd_wait },
	{ "settle", cmd_settle },
	{ "port", cmd_port },
	{ "stats", cmd_stats },
	{ NULL, NULL },
};

static const struct command *command_find(const char *name)
{
	const struct command *lists[] = { commands, table_commands, sa_commands };

	for (unsigned i = 0; i < RTE_DIM(lists); i++)
		for (const struct command *c = lists[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

int command_run(json_t *in, json_t *answer)
{
	const char *name = json_string_value(json_object_get(in, "cmd"));
	const struct command *command = name ? command_find(name) : NULL;
	int ret;

	*why = 0;
	if (!command)
		return fail(-EINVAL, "no command %s", name ? name : "given");
	if (command->run != cmd_start && !started)
		return fail(-EINVAL, "start comes first");
	ret = command->run(in, answer);
	if (started)
		dp_reclaim();
	return ret;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		json_error_t e;
		json_t *in = json_loads(line, 0, &e), *answer = json_object();
		int ret = in ? command_run(in, answer)
			     : fail(-EINVAL, "not JSON: %s at %d", e.text, e.position);

		json_object_set_new(answer, "ok", json_boolean(!ret));
		if (ret) {
			json_object_set_new(
				answer, "error", json_string(*why ? why : strerror(-ret)));
			json_object_set_new(answer, "errno", json_string(strerrorname_np(-ret)));
		}
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(in);
		json_decref(answer);
	}
	free(line);
	if (started)
		dp_stop();
	return 0;
}
