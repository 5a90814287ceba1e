/* The barest forwarding loop: what `make bench` measures lintasd against.
 *
 * One lcore, one source, one sink, one rte_fib (or rte_fib6) with 256 next hops. Per vector of 64:
 * header checks with checksum (RFC 1812 5.2.2), bulk lookup by the widest function there is, TTL,
 * checksum, new MAC addresses, send. It knows no neighbours, VRFs, counters, ICMP, path groups or
 * punt: what lintasd costs beyond this is the price of being a router. A vector in which one packet
 * has to be dropped is gone through once more. Packets are counted by the sink, net_bench; for
 * another sink --stats FILE keeps the word where net_bench has it.
 *
 *   bareloop EAL-ARGS -- 4|6 SOURCE SINK ROUTES [--burst N] [--rxtx] [--stats FILE]
 * SOURCE and SINK: devices as in `device =` of lintas.conf; they may be the same one.
 * ROUTES: "PREFIX INDEX" a line, INDEX 1 to 256 names the next hop. The frame then leaves to
 * 02:00:00:00:HH:LL, HHLL the index, from the sink's own address.
 * --rxtx: receive and send, nothing else: the floor. ROUTES is not read.
 * Entries of the FIB have four bytes: with two the lookup prefetches less far and is slower. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_ip.h>

#define VECTOR	    64
#define NEXT_HOPS   256
#define DROP	    0 /* value of "no route" in both FIBs */
#define BUFFERS	    16383
#define STATS_BYTES 4096
#define STATS_SENT  (1024 / sizeof(uint64_t)) /* tx queue 0, packets: source.h */

struct next_hop {
	uint64_t dst_src; /* the first 8 bytes of the frame */
	uint32_t src_rest, spare;
};

static volatile sig_atomic_t stop;
static struct rte_fib *fib4;
static struct rte_fib6 *fib6;
static struct next_hop next_hop[NEXT_HOPS + 1];
static uint16_t port_in, port_out;
static unsigned burst = VECTOR;
static uint64_t *sent_packets; /* in a mapped file, or in `unread` */
static uint64_t unread;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- the loop ---- */
static __rte_always_inline void set_macs(uint8_t *frame, const struct next_hop *hop)
{
	memcpy(frame, &hop->dst_src, 8);
	memcpy(frame + 8, &hop->src_rest, 4);
}

/* Frees what has no route; how many are left. */
static __rte_noinline unsigned drop_unrouted(struct rte_mbuf **pkts, unsigned n, uint64_t *hop)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (hop[i] == DROP) {
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		hop[k] = hop[i];
		pkts[k++] = pkts[i];
	}
	return k;
}

/* Looks at all at once. */
static __rte_always_inline bool any_unrouted(const uint64_t *hop, unsigned n)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < n; i++)
		any |= hop[i] - 1; /* all ones for DROP: next hops are small */
	return any >> 63;
}

/* The 32 bits at `at` in memory order. */
static __rte_always_inline uint32_t word(const uint8_t *at)
{
	uint32_t w;

	memcpy(&w, at, sizeof(w));
	return w;
}

/* RFC 1812 5.2.2 (1) to (5), the TTL, and that the frame is what the type says. The five words of a
 * right header sum up to a multiple of 65,535 (RFC 1071), which one multiplication by the inverse
 * of that tells: what is not divisible comes out larger than any quotient. */
static __rte_always_inline bool bad4(const struct rte_mbuf *m, const uint8_t *frame)
{
	static const uint64_t ones = 0x0001000100010001; /* (2^64 - 1) / 65,535 */
	unsigned length = rte_bswap16(word(frame + 16));
	uint64_t sum = (uint64_t)word(frame + 14) + word(frame + 18) + word(frame + 22) +
		       word(frame + 26) + word(frame + 30);

	/* Type 0x0800, version 4, five words. */
	return unlikely((word(frame + 12) & 0xffffff) != 0x450008) ||
	       unlikely(length < sizeof(struct rte_ipv4_hdr)) ||
	       unlikely(length + sizeof(struct rte_ether_hdr) > m->data_len) ||
	       unlikely(frame[22] < 2) || unlikely(sum * -ones > ones);
}

static __rte_noinline unsigned drop_bad4(struct rte_mbuf **pkts, unsigned n, uint32_t *dst)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (bad4(pkts[i], rte_pktmbuf_mtod(pkts[i], const uint8_t *))) {
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		dst[k] = dst[i];
		pkts[k++] = pkts[i];
	}
	return k;
}

static __rte_always_inline unsigned route4(struct rte_mbuf **pkts, unsigned n)
{
	uint32_t dst[VECTOR];
	uint64_t hop[VECTOR];
	bool bad = false;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		if (bad4(pkts[i], frame))
			bad = true;
		dst[i] = rte_bswap32(word(frame + 30));
	}
	if (unlikely(bad))
		n = drop_bad4(pkts, n, dst);
	rte_fib_lookup_bulk(fib4, dst, hop, n);
	if (unlikely(any_unrouted(hop, n)))
		n = drop_unrouted(pkts, n, hop);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *frame = rte_pktmbuf_mtod(pkts[i], uint8_t *);
		uint64_t ttl = word(frame + 22); /* TTL, protocol, checksum */

		/* TTL one less, checksum 0x0100 more, its carry around (RFC 1624). */
		ttl += 0xffff;
		ttl += ttl >> 32 << 16;
		memcpy(frame + 22, &ttl, 4);
		set_macs(frame, &next_hop[hop[i]]);
	}
	return n;
}

static __rte_always_inline bool bad6(const struct rte_mbuf *m, const uint8_t *frame)
{
	unsigned length = rte_bswap16(word(frame + 18));

	/* Type 0x86dd, version 6. */
	return unlikely((word(frame + 12) & 0xf0ffff) != 0x60dd86) ||
	       unlikely(length + sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv6_hdr) >
			m->data_len) ||
	       unlikely(frame[21] < 2);
}

static __rte_noinline unsigned drop_bad6(struct rte_mbuf **pkts, unsigned n, uint8_t (*dst)[16])
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (bad6(pkts[i], rte_pktmbuf_mtod(pkts[i], const uint8_t *))) {
			rte_pktmbuf_free(pkts[i]);
			continue;
		}
		memcpy(dst[k], dst[i], sizeof(dst[k]));
		pkts[k++] = pkts[i];
	}
	return k;
}

static __rte_always_inline unsigned route6(struct rte_mbuf **pkts, unsigned n)
{
	uint8_t dst[VECTOR][RTE_FIB6_IPV6_ADDR_SIZE];
	uint64_t hop[VECTOR];
	bool bad = false;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		if (bad6(pkts[i], frame))
			bad = true;
		memcpy(dst[i], frame + 38, sizeof(dst[i]));
	}
	if (unlikely(bad))
		n = drop_bad6(pkts, n, dst);
	rte_fib6_lookup_bulk(fib6, dst, hop, n);
	if (unlikely(any_unrouted(hop, n)))
		n = drop_unrouted(pkts, n, hop);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *frame = rte_pktmbuf_mtod(pkts[i], uint8_t *);

		frame[21]--;
		set_macs(frame, &next_hop[hop[i]]);
	}
	return n;
}

enum work { RXTX, ROUTE4, ROUTE6 };

static __rte_always_inline void forward(enum work work)
{
	struct rte_mbuf *pkts[VECTOR];

	while (!stop) {
		unsigned n = rte_eth_rx_burst(port_in, 0, pkts, burst), sent;

		if (!n)
			continue;
		if (work == ROUTE4)
			n = route4(pkts, n);
		else if (work == ROUTE6)
			n = route6(pkts, n);
		sent = rte_eth_tx_burst(port_out, 0, pkts, n);
		*(volatile uint64_t *)sent_packets += sent;
		if (unlikely(sent < n))
			rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	}
}

static int loop(void *arg)
{
	switch (*(enum work *)arg) {
	case RXTX:
		forward(RXTX);
		break;
	case ROUTE4:
		forward(ROUTE4);
		break;
	case ROUTE6:
		forward(ROUTE6);
		break;
	}
	return 0;
}

/* ---- routes ---- */
static void make_fib(bool v4, unsigned routes, unsigned tbl8)
{
	struct rte_fib_conf c4 = { .type = RTE_FIB_DIR24_8,
		.max_routes = routes,
		.dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = tbl8 } };
	struct rte_fib6_conf c6 = { .type = RTE_FIB6_TRIE,
		.max_routes = routes,
		.trie = { .nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = tbl8 } };

	if (v4 ? !(fib4 = rte_fib_create("bare", SOCKET_ID_ANY, &c4))
	       : !(fib6 = rte_fib6_create("bare", SOCKET_ID_ANY, &c6)))
		rte_exit(1, "no FIB with %u tbl8 (%s): more huge pages?\n", tbl8,
			rte_strerror(rte_errno));
	/* The widest lookup this machine has; refused where it has none, scalar stays. */
	if (v4)
		rte_fib_select_lookup(fib4, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512);
	else
		rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512);
}

static int add_route(bool v4, const char *prefix, unsigned length, unsigned hop)
{
	uint8_t a[16];

	if (inet_pton(v4 ? AF_INET : AF_INET6, prefix, a) != 1)
		return -EINVAL;
	return v4 ? rte_fib_add(
			    fib4, (uint32_t)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3], length, hop)
		  : rte_fib6_add(fib6, a, length, hop);
}

/* A line of the file; false at its end. */
static bool read_route(FILE *f, char prefix[64], unsigned *ret_length, unsigned *ret_hop)
{
	char line[128];

	if (!fgets(line, sizeof(line), f))
		return false;
	if (sscanf(line, "%63[^/]/%u %u", prefix, ret_length, ret_hop) != 3 || *ret_hop < 1 ||
		*ret_hop > NEXT_HOPS)
		rte_exit(1, "need PREFIX INDEX, INDEX 1 to %d, not: %s\n", NEXT_HOPS, line);
	return true;
}

/* A FIB reserves a tbl8 for each eight bits of a prefix behind the first 24, or fewer. */
static void load_routes(const char *path, bool v4)
{
	unsigned routes = 256, tbl8 = 256, length, hop;
	FILE *f = fopen(path, "r");
	char prefix[64];

	if (!f)
		rte_exit(1, "%s: cannot be read\n", path);
	for (; read_route(f, prefix, &length, &hop); routes++)
		tbl8 += length > 24 ? (length - 24 + 7) / 8 : 0;
	make_fib(v4, routes, tbl8);
	rewind(f);
	while (read_route(f, prefix, &length, &hop))
		if (add_route(v4, prefix, length, hop))
			rte_exit(1, "%s: %s/%u: no prefix, or no room in the FIB\n", path, prefix,
				length);
	fclose(f);
}

static void make_next_hops(void)
{
	struct rte_ether_addr own;

	if (rte_eth_macaddr_get(port_out, &own))
		rte_exit(1, "the sink has no address\n");
	for (unsigned i = 1; i <= NEXT_HOPS; i++) {
		uint8_t macs[12] = { 2, 0, 0, 0, i >> 8, i & 255 };

		memcpy(macs + 6, own.addr_bytes, 6);
		memcpy(&next_hop[i].dst_src, macs, 8);
		memcpy(&next_hop[i].src_rest, macs + 8, 4);
	}
}

/* ---- devices ---- */
static uint16_t start_port(const char *device, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = { 0 };
	char name[64];
	uint16_t port;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	if (!rte_eth_dev_get_port_by_name(name, &port))
		return port; /* source and sink are one */
	device += strcspn(device, ",");
	if (rte_eal_hotplug_add("vdev", name, *device ? device + 1 : "") ||
		rte_eth_dev_get_port_by_name(name, &port) ||
		rte_eth_dev_configure(port, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(port, 0, 1024, 0, NULL, pool) ||
		rte_eth_tx_queue_setup(port, 0, 1024, 0, NULL) || rte_eth_dev_start(port))
		rte_exit(1, "device %s does not start: see the lines above\n", name);
	return port;
}

/* A FIFO of net_bench keeps its mbufs for itself. */
static unsigned buffers(const char *source)
{
	const char *fifo = strstr(source, ",fifo=");

	return BUFFERS + (fifo ? strtoul(fifo + 6, NULL, 10) : 0);
}

static void map_stats(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	void *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, STATS_BYTES))
		p = mmap(NULL, STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		rte_exit(1, "%s: cannot be written\n", path);
	memset(p, 0, STATS_BYTES);
	sent_packets = (uint64_t *)p + STATS_SENT;
	close(fd);
}

static _Noreturn void usage(void)
{
	rte_exit(1, "usage: bareloop EAL-ARGS -- 4|6 SOURCE SINK ROUTES [--burst N] [--rxtx] "
		    "[--stats FILE]\n");
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "burst", 1, 0, 'b' }, { "rxtx", 0, 0, 'x' },
		{ "stats", 1, 0, 's' }, { 0 } };
	int used = rte_eal_init(argc, argv), c;
	enum work work = ROUTE4;
	struct rte_mempool *pool;

	if (used < 0)
		usage();
	argc -= used, argv += used, optind = 1;
	sent_packets = &unread;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'b')
			burst = strtoul(optarg, NULL, 10);
		else if (c == 'x')
			work = RXTX;
		else if (c == 's')
			map_stats(optarg);
		else
			usage();
	}
	argv += optind;
	if (argc - optind != 4 || burst < 1 || burst > VECTOR ||
		(strcmp(argv[0], "4") && strcmp(argv[0], "6")))
		usage();
	if (work != RXTX && argv[0][0] == '6')
		work = ROUTE6;
	pool = rte_pktmbuf_pool_create(
		"bare", buffers(argv[1]), 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		rte_exit(1, "no memory for packet buffers: give more huge pages\n");
	if (work != RXTX)
		load_routes(argv[3], work == ROUTE4);
	port_in = start_port(argv[1], pool);
	port_out = start_port(argv[2], pool);
	make_next_hops();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	puts("ready");
	fflush(stdout);
	rte_eal_mp_remote_launch(loop, &work, SKIP_MAIN);
	rte_eal_mp_wait_lcore();
	return 0;
}
