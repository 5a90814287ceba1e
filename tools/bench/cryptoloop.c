/* The cipher by itself: what `make bench` measures lintasd's ESP against.
 *
 * One lcore calls rte_cryptodev_sym_cpu_crypto_process() on AES-256-GCM, 64 packets at a time, in
 * place, with the parameters crypto.c gives it: an IV of 12 octets, 8 octets of AAD, an ICV of 16
 * behind the text. Nothing is received, parsed, sent or even looked at: buffers are those of a
 * vector, over and over, as near to the CPU as they can be. What lintasd needs beyond this and
 * beyond plain forwarding is the price of ESP. Decryption opens noise: the driver does all of its
 * work before it finds the ICV wrong, and only says so.
 *
 *   cryptoloop EAL-ARGS -- STATS
 * STATS: a file as net_bench keeps one (source.h). Its words for first and count, which a source
 * takes its frames by, are octets of text and direction here: 1 to encrypt, 2 to decrypt. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_random.h>

#define DRIVER	    "crypto_aesni_gcm"
#define VECTOR	    64
#define STRIDE	    2304 /* of packet buffers */
#define TEXT_MAX    2048
#define TAG_LEN	    16
#define STATS_BYTES 4096
#define MAGIC	    UINT64_C(0x3168636e65626c)

enum { ENCRYPT = 1, DECRYPT, DIRECTIONS };

/* In words of 8 octets: source.h. */
enum {
	RX_PACKETS = 0,
	RX_BURSTS = 2,
	TX_PACKETS = 1024 / 8,
	CONTROL_HOLD = 2048 / 8 + 1,
	CONTROL_FIRST = 2048 / 8 + 4,
	CONTROL_COUNT = 2048 / 8 + 5,
	FACTS = 2112 / 8,
};

static volatile sig_atomic_t stop;
static volatile uint64_t *words;
static void *sessions[DIRECTIONS];
static uint8_t device;
static uint8_t *buffers;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- the loop ---- */
static void vector_run(unsigned direction, unsigned len)
{
	static uint8_t iv[VECTOR][16], aad[VECTOR][16];
	struct rte_crypto_vec data[VECTOR];
	struct rte_crypto_sgl list[VECTOR];
	struct rte_crypto_va_iova_ptr ivs[VECTOR], aads[VECTOR], tags[VECTOR];
	union rte_crypto_sym_ofs ofs = { .raw = 0 };
	int32_t status[VECTOR];
	struct rte_crypto_sym_vec v = { .num = VECTOR,
		.src_sgl = list,
		.iv = ivs,
		.digest = tags,
		.aad = aads,
		.status = status };

	for (unsigned i = 0; i < VECTOR; i++) {
		uint8_t *text = buffers + (size_t)i * STRIDE;

		data[i] = (struct rte_crypto_vec){ .base = text, .len = len };
		list[i] = (struct rte_crypto_sgl){ &data[i], 1 };
		ivs[i].va = iv[i];
		aads[i].va = aad[i];
		tags[i].va = text + len;
	}
	rte_cryptodev_sym_cpu_crypto_process(device, sessions[direction], ofs, &v);
}

static int loop(void *arg)
{
	(void)arg;
	while (!stop) {
		uint64_t len = words[CONTROL_FIRST], direction = words[CONTROL_COUNT];

		if (words[CONTROL_HOLD] || !len || len > TEXT_MAX || !direction ||
			direction >= DIRECTIONS)
			continue;
		vector_run((unsigned)direction, (unsigned)len);
		words[RX_PACKETS] += VECTOR;
		words[RX_BURSTS]++;
		words[TX_PACKETS] += VECTOR;
	}
	return 0;
}

/* ---- what it takes ---- */
static void device_start(void)
{
	struct rte_cryptodev_config conf = { .nb_queue_pairs = 1,
		.ff_disable = RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO };
	struct rte_cryptodev_qp_conf queue = { .nb_descriptors = VECTOR };
	int id;

	if (rte_eal_hotplug_add("vdev", DRIVER, ""))
		rte_exit(1, "%s does not start: install librte-crypto-ipsec-mb23\n", DRIVER);
	id = rte_cryptodev_get_dev_id(DRIVER);
	if (id < 0 || rte_cryptodev_configure((uint8_t)id, &conf) ||
		rte_cryptodev_queue_pair_setup((uint8_t)id, 0, &queue, 0) ||
		rte_cryptodev_start((uint8_t)id))
		rte_exit(1, "%s cannot be configured\n", DRIVER);
	device = (uint8_t)id;
}

static void sessions_make(void)
{
	static uint8_t key[32] = { 1, 2, 3 };
	struct rte_crypto_sym_xform x = { .type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = { .algo = RTE_CRYPTO_AEAD_AES_GCM,
			.key = { key, sizeof(key) },
			.iv = { 0, 12 },
			.digest_length = TAG_LEN,
			.aad_length = 8 } };
	uint32_t size = rte_cryptodev_sym_get_private_session_size(device);
	struct rte_mempool *pool = rte_cryptodev_sym_session_pool_create(
		"sessions", DIRECTIONS, size, 0, 0, SOCKET_ID_ANY);

	for (unsigned d = ENCRYPT; pool && d < DIRECTIONS; d++) {
		x.aead.op = d == ENCRYPT ? RTE_CRYPTO_AEAD_OP_ENCRYPT : RTE_CRYPTO_AEAD_OP_DECRYPT;
		sessions[d] = rte_cryptodev_sym_session_create(device, &x, pool);
	}
	if (!sessions[ENCRYPT] || !sessions[DECRYPT])
		rte_exit(1, "no sessions of AES-256-GCM\n");
}

static void buffers_make(void)
{
	buffers = rte_malloc("buffers", (size_t)VECTOR * STRIDE, RTE_CACHE_LINE_SIZE);
	if (!buffers)
		rte_exit(1, "no memory for buffers: give more huge pages\n");
	for (size_t i = 0; i < (size_t)VECTOR * STRIDE; i++)
		buffers[i] = (uint8_t)rte_rand();
}

static void map_stats(const char *path)
{
	int fd = open(path, O_RDWR);
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		rte_exit(1, "%s: cannot be mapped: need a file of net_bench's\n", path);
	close(fd);
	words = p;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);

	if (used < 0 || argc - used != 2)
		rte_exit(1, "usage: cryptoloop EAL-ARGS -- STATS\n");
	map_stats(argv[used + 1]);
	device_start();
	sessions_make();
	buffers_make();
	words[FACTS] = MAGIC;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	puts("ready");
	fflush(stdout);
	rte_eal_mp_remote_launch(loop, NULL, SKIP_MAIN);
	rte_eal_mp_wait_lcore();
	return 0;
}
