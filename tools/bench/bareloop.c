/* The barest forwarding loop: what `make bench` measures lintasd against.
 *
 * One lcore, one pcap source, one null sink, one rte_fib (or rte_fib6). Per vector of 64: header
 * checks with checksum (RFC 1812 5.2.2), bulk lookup, TTL, checksum, new MAC addresses, send. It
 * knows no neighbours, VRFs, counters, ICMP, path groups or punt: what lintasd costs beyond this is
 * the price of being a router. Packets so far are published in a mapped file so that the bench can
 * read them at any moment.
 *
 *   bareloop EAL-ARGS -- 4|6 RX_PCAP ROUTES STATS      ROUTES: one prefix a line */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_ip.h>

#define VECTOR	  64
#define NEXT_HOPS 256
#define DROP	  0 /* value of "no route" in both FIBs */

static volatile sig_atomic_t stop;
static uint64_t *packets; /* in the mapped file */
static struct rte_fib *fib4;
static struct rte_fib6 *fib6;
static struct rte_ether_hdr next_hop[NEXT_HOPS + 1];

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool valid4(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip)
{
	return m->data_len >= sizeof(struct rte_ether_hdr) + sizeof(*ip) &&
	       ip->version_ihl == 0x45 && rte_be_to_cpu_16(ip->total_length) >= sizeof(*ip) &&
	       rte_be_to_cpu_16(ip->total_length) <= m->data_len - sizeof(struct rte_ether_hdr) &&
	       rte_raw_cksum(ip, sizeof(*ip)) == 0xffff && ip->time_to_live > 1;
}

static unsigned route4(struct rte_mbuf **in, unsigned n, struct rte_mbuf **out)
{
	uint32_t dst[VECTOR];
	uint64_t hop[VECTOR];
	unsigned good = 0, k = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in[i], struct rte_ether_hdr *);
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);

		if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || !valid4(in[i], ip)) {
			rte_pktmbuf_free(in[i]);
			continue;
		}
		dst[good] = rte_be_to_cpu_32(ip->dst_addr);
		in[good++] = in[i];
	}
	rte_fib_lookup_bulk(fib4, dst, hop, good);
	for (unsigned i = 0; i < good; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in[i], struct rte_ether_hdr *);
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);

		if (hop[i] == DROP) {
			rte_pktmbuf_free(in[i]);
			continue;
		}
		ip->time_to_live--;
		ip->hdr_checksum += RTE_BE16(0x0100);
		ip->hdr_checksum += ip->hdr_checksum < RTE_BE16(0x0100);
		eth->dst_addr = next_hop[hop[i]].dst_addr;
		eth->src_addr = next_hop[hop[i]].src_addr;
		out[k++] = in[i];
	}
	return k;
}

static unsigned route6(struct rte_mbuf **in, unsigned n, struct rte_mbuf **out)
{
	uint8_t dst[VECTOR][RTE_FIB6_IPV6_ADDR_SIZE];
	uint64_t hop[VECTOR];
	unsigned good = 0, k = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in[i], struct rte_ether_hdr *);
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eth + 1);

		if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV6) ||
			in[i]->data_len < sizeof(*eth) + sizeof(*ip) ||
			(ip->vtc_flow & RTE_BE32(0xf0000000)) != RTE_BE32(0x60000000) ||
			rte_be_to_cpu_16(ip->payload_len) >
				in[i]->data_len - sizeof(*eth) - sizeof(*ip) ||
			ip->hop_limits <= 1) {
			rte_pktmbuf_free(in[i]);
			continue;
		}
		memcpy(dst[good], ip->dst_addr, sizeof(dst[0]));
		in[good++] = in[i];
	}
	rte_fib6_lookup_bulk(fib6, dst, hop, good);
	for (unsigned i = 0; i < good; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(in[i], struct rte_ether_hdr *);
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eth + 1);

		if (hop[i] == DROP) {
			rte_pktmbuf_free(in[i]);
			continue;
		}
		ip->hop_limits--;
		eth->dst_addr = next_hop[hop[i]].dst_addr;
		eth->src_addr = next_hop[hop[i]].src_addr;
		out[k++] = in[i];
	}
	return k;
}

static int loop(void *v4)
{
	struct rte_mbuf *in[VECTOR], *out[VECTOR];

	while (!stop) {
		unsigned n = rte_eth_rx_burst(0, 0, in, VECTOR);
		unsigned k = v4 ? route4(in, n, out) : route6(in, n, out);
		unsigned sent = rte_eth_tx_burst(1, 0, out, k);

		*(volatile uint64_t *)packets += sent;
		rte_pktmbuf_free_bulk(out + sent, k - sent);
	}
	return 0;
}

static void load_routes(const char *path, bool v4)
{
	char line[64], *slash;
	unsigned n = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		rte_exit(1, "%s: cannot be read\n", path);
	while (fgets(line, sizeof(line), f)) {
		uint8_t a[16];

		slash = strchr(line, '/');
		if (!slash)
			continue;
		*slash = 0;
		if (inet_pton(v4 ? AF_INET : AF_INET6, line, a) != 1)
			rte_exit(1, "%s: not a prefix: %s\n", path, line);
		if (v4 ? rte_fib_add(fib4, (uint32_t)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3],
				 atoi(slash + 1), 1 + n % NEXT_HOPS)
		       : rte_fib6_add(fib6, a, atoi(slash + 1), 1 + n % NEXT_HOPS))
			rte_exit(1, "%s: route %u refused\n", path, n);
		n++;
	}
	fclose(f);
}

static void make_fib(bool v4)
{
	struct rte_fib_conf c4 = { .type = RTE_FIB_DIR24_8,
		.max_routes = 1u << 21,
		.dir24_8 = { .nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = 32767 } };
	struct rte_fib6_conf c6 = { .type = RTE_FIB6_TRIE,
		.max_routes = 1u << 19,
		.trie = { .nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = 1u << 20 } };

	if (v4 ? !(fib4 = rte_fib_create("bare", 0, &c4))
	       : !(fib6 = rte_fib6_create("bare", 0, &c6)))
		rte_exit(1, "no memory for the FIB: give more huge pages\n");
	/* The widest lookup this machine has; refused where it has none, scalar stays. */
	if (v4)
		rte_fib_select_lookup(fib4, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512);
	else
		rte_fib6_select_lookup(fib6, RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512);
}

static void start_port(uint16_t port, const char *name, const char *args, struct rte_mempool *pool)
{
	struct rte_eth_conf conf = { 0 };

	if (rte_eal_hotplug_add("vdev", name, args) || rte_eth_dev_configure(port, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(port, 0, 1024, 0, NULL, pool) ||
		rte_eth_tx_queue_setup(port, 0, 1024, 0, NULL) || rte_eth_dev_start(port))
		rte_exit(1, "port %s does not start\n", name);
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), fd;
	char args[512];
	struct rte_mempool *pool;
	bool v4;

	if (used < 0 || argc - used != 5)
		rte_exit(1, "usage: bareloop EAL-ARGS -- 4|6 RX_PCAP ROUTES STATS\n");
	argv += used;
	v4 = argv[1][0] == '4';
	fd = open(argv[4], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		rte_exit(1, "%s: cannot be written\n", argv[4]);
	packets = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pool = rte_pktmbuf_pool_create(
		"bare", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (packets == MAP_FAILED || !pool)
		rte_exit(1, "no memory\n");
	for (unsigned i = 1; i <= NEXT_HOPS; i++)
		next_hop[i] = (struct rte_ether_hdr){ .dst_addr.addr_bytes = { 2, 0, 0, 0, 1, i },
			.src_addr.addr_bytes = { 2, 0, 0, 0, 0, 9 } };
	make_fib(v4);
	load_routes(argv[3], v4);
	snprintf(args, sizeof(args), "rx_pcap=%s,infinite_rx=1", argv[2]);
	start_port(0, "net_pcap0", args, pool);
	start_port(1, "net_null0", "size=64,copy=0", pool);
	signal(SIGTERM, on_signal);
	puts("ready");
	fflush(stdout);
	rte_eal_mp_remote_launch(loop, v4 ? &fib4 : NULL, SKIP_MAIN);
	rte_eal_mp_wait_lcore();
	return 0;
}
