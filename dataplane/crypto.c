/* crypto: ciphers for ESP, by DPDK's drivers over Intel's multi-buffer library.
 *
 * Two virtual devices, made when the first tunnel wants them: crypto_aesni_gcm for AES-GCM and
 * crypto_aesni_mb for AES-CBC with HMAC, which works on several packets at once. Both are used
 * synchronously on the worker that owns the SA (rte_cryptodev_sym_cpu_crypto_process): no queue, no
 * operation objects, no other thread. librte_ipsec is not between them and us: an SA of its
 * carries one inner family only, while ours carries IPv4 and IPv6 under one sequence number, and it
 * does not tell a replayed packet from a forged one; what would remain of it is a header and a
 * trailer (esp_out.c, esp_in.c).
 *
 * A session's memory is wiped when it ends. An IV for CBC must not be foreseen: it is a number
 * encrypted under a key that never leaves this process, drawn anew at each start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <wmmintrin.h>
#include <rte_cpuflags.h>
#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include "crypto.h"

#define SALT	  4
#define ESP_LEN	  8
#define IV_ROUNDS 11 /* of AES-128, each with a random key of its own */

enum device { DEVICE_GCM, DEVICE_MB, DEVICES };
static const char *const names[DEVICES] = { "crypto_aesni_gcm", "crypto_aesni_mb" };

struct crypto_batch crypto_batch[DP_WORKERS_MAX] __rte_cache_aligned;
static int ids[DEVICES] = { -1, -1 };
static struct rte_mempool *sessions;
static __m128i iv_keys[IV_ROUNDS];

static const struct {
	enum rte_crypto_auth_algorithm algorithm;
	uint8_t key_len, icv_len;
} auths[] = {
	[DP_AUTH_SHA1] = { RTE_CRYPTO_AUTH_SHA1_HMAC, 20, 12 },	    /* RFC 2404 */
	[DP_AUTH_SHA256] = { RTE_CRYPTO_AUTH_SHA256_HMAC, 32, 16 }, /* RFC 4868 */
	[DP_AUTH_SHA384] = { RTE_CRYPTO_AUTH_SHA384_HMAC, 48, 24 },
	[DP_AUTH_SHA512] = { RTE_CRYPTO_AUTH_SHA512_HMAC, 64, 32 },
};

/* ---- devices ---- */
static int device_start(enum device d)
{
	struct rte_cryptodev_config conf = { .socket_id = (int)rte_socket_id(),
		.nb_queue_pairs = 1,
		.ff_disable = RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO };
	struct rte_cryptodev_qp_conf queue = { .nb_descriptors = 64 };
	int ret = rte_eal_hotplug_add("vdev", names[d], "");

	if (ret)
		return ret;
	ids[d] = rte_cryptodev_get_dev_id(names[d]);
	if (ids[d] < 0)
		return -ENODEV;
	ret = rte_cryptodev_configure((uint8_t)ids[d], &conf);
	if (!ret)
		ret = rte_cryptodev_queue_pair_setup((uint8_t)ids[d], 0, &queue, conf.socket_id);
	return ret ? ret : rte_cryptodev_start((uint8_t)ids[d]);
}

static void device_stop(enum device d)
{
	if (ids[d] >= 0) {
		rte_cryptodev_stop((uint8_t)ids[d]);
		rte_cryptodev_close((uint8_t)ids[d]);
		rte_eal_hotplug_remove("vdev", names[d]);
	}
	ids[d] = -1;
}

static void batches_init(void)
{
	for (unsigned w = 0; w < DP_WORKERS_MAX; w++) {
		struct crypto_batch *b = &crypto_batch[w];

		for (unsigned i = 0; i < VECTOR_MAX; i++) {
			b->list[i] = (struct rte_crypto_sgl){ &b->data[i], 1 };
			b->ivs[i].va = b->iv[i];
			b->aads[i].va = b->aad[i];
		}
	}
}

static int sessions_create(void)
{
	uint32_t size = 0;

	for (enum device d = 0; d < DEVICES; d++)
		size = RTE_MAX(size, rte_cryptodev_sym_get_private_session_size((uint8_t)ids[d]));
	/* What is deleted is freed a moment later: while all are replaced there are more. */
	sessions = rte_cryptodev_sym_session_pool_create(
		"sa_sessions", DP_SAS_MAX + DP_SAS_MAX / 4, size, 0, 0, SOCKET_ID_ANY);
	return sessions ? 0 : -ENOMEM;
}

int crypto_start(char *err, size_t len)
{
	int ret = 0;

	if (sessions)
		return 0;
	if (rte_cpu_get_flag_enabled(RTE_CPUFLAG_AES) <= 0 ||
		rte_cpu_get_flag_enabled(RTE_CPUFLAG_PCLMULQDQ) <= 0) {
		snprintf(err, len,
			"IPsec: need a CPU with AES-NI and PCLMULQDQ, have none of them here: "
			"let the hypervisor pass them on, or take the IPsec links out of the "
			"configuration");
		return -ENOTSUP;
	}
	if (getrandom(iv_keys, sizeof(iv_keys), 0) != sizeof(iv_keys))
		return -EAGAIN;
	batches_init();
	for (enum device d = 0; !ret && d < DEVICES; d++) {
		ret = device_start(d);
		if (ret)
			snprintf(err, len,
				"IPsec: need DPDK's driver %s, it does not start (%s): install "
				"librte-crypto-ipsec-mb23",
				names[d], strerror(-ret));
	}
	if (!ret && (ret = sessions_create()))
		snprintf(err, len,
			"IPsec: need 8 MB for keys, have less: raise vm.nr_hugepages by 4");
	if (ret)
		crypto_stop();
	return ret;
}

void crypto_stop(void)
{
	rte_mempool_free(sessions);
	sessions = NULL;
	for (enum device d = 0; d < DEVICES; d++)
		device_stop(d);
	explicit_bzero(iv_keys, sizeof(iv_keys));
}

/* ---- sessions ---- */
static int open_gcm(const struct dp_sa *conf, struct crypto *c)
{
	unsigned key = conf->key_len - SALT;
	struct rte_crypto_sym_xform x = { .type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = { .op = conf->inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT
					      : RTE_CRYPTO_AEAD_OP_ENCRYPT,
			.algo = RTE_CRYPTO_AEAD_AES_GCM,
			.key = { conf->key, (uint16_t)key },
			.iv = { 0, 12 }, /* the salt, and what is on the wire */
			.digest_length = 16,
			.aad_length = conf->esn ? 12 : 8 } };

	if (conf->key_len <= SALT || (key != 16 && key != 24 && key != 32) ||
		conf->auth != DP_AUTH_NONE || conf->auth_len)
		return -ENOTSUP;
	c->device = (uint8_t)ids[DEVICE_GCM];
	c->aead = true;
	c->iv_len = 8;
	c->icv_len = 16;
	c->block = 4;
	c->session = rte_cryptodev_sym_session_create(c->device, &x, sessions);
	return c->session ? 0 : -ENOMEM;
}

/* Encrypt, then authenticate; the other way round coming in. */
static int open_chain(const struct dp_sa *conf, struct crypto *c)
{
	bool in = conf->inbound, null = conf->cipher == DP_CIPHER_NULL;
	struct rte_crypto_sym_xform cipher = { .type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher = { .op = in ? RTE_CRYPTO_CIPHER_OP_DECRYPT : RTE_CRYPTO_CIPHER_OP_ENCRYPT,
			.algo = RTE_CRYPTO_CIPHER_AES_CBC,
			.key = { conf->key, conf->key_len },
			.iv = { 0, 16 } } };
	struct rte_crypto_sym_xform auth = { .type = RTE_CRYPTO_SYM_XFORM_AUTH };

	if (conf->auth == DP_AUTH_NONE || conf->auth >= RTE_DIM(auths) ||
		conf->auth_len != auths[conf->auth].key_len)
		return -ENOTSUP;
	if (null ? conf->key_len
		 : conf->key_len != 16 && conf->key_len != 24 && conf->key_len != 32)
		return -ENOTSUP;
	auth.auth.op = in ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE;
	auth.auth.algo = auths[conf->auth].algorithm;
	auth.auth.key.data = conf->auth_key;
	auth.auth.key.length = conf->auth_len;
	auth.auth.digest_length = auths[conf->auth].icv_len;
	c->device = (uint8_t)ids[DEVICE_MB];
	c->iv_len = null ? 0 : 16;
	c->icv_len = auths[conf->auth].icv_len;
	c->block = null ? 4 : 16;
	if (!null) {
		c->ofs.ofs.cipher.head = (uint16_t)(ESP_LEN + c->iv_len);
		c->ofs.ofs.cipher.tail = conf->esn ? 4 : 0;
		in ? (auth.next = &cipher) : (cipher.next = &auth);
	}
	c->session =
		rte_cryptodev_sym_session_create(c->device, null || in ? &auth : &cipher, sessions);
	return c->session ? 0 : -ENOMEM;
}

int crypto_open(const struct dp_sa *conf, struct crypto *ret_crypto)
{
	*ret_crypto = (struct crypto){ 0 };
	if (!sessions)
		return -ENOTSUP;
	switch (conf->cipher) {
	case DP_CIPHER_AES_GCM:
		return open_gcm(conf, ret_crypto);
	case DP_CIPHER_AES_CBC:
	case DP_CIPHER_NULL:
		return open_chain(conf, ret_crypto);
	default:
		return -ENOTSUP;
	}
}

void crypto_close(struct crypto *c)
{
	if (!c->session || !sessions)
		return;
	rte_cryptodev_sym_session_free(c->device, c->session);
	/* Ours alone until the next crypto_open, which is this thread's too. */
	explicit_bzero(c->session, sessions->elt_size);
	c->session = NULL;
}

/* ---- a vector ---- */
void crypto_run(struct worker *w, const struct crypto *c, unsigned n)
{
	struct crypto_batch *b = &crypto_batch[w->index];
	struct rte_crypto_sym_vec v = { .num = n,
		.src_sgl = b->list,
		.iv = b->ivs,
		.digest = b->icv,
		.aad = b->aads,
		.status = b->status };

	rte_cryptodev_sym_cpu_crypto_process(c->device, c->session, c->ofs, &v);
}

__attribute__((target("aes"))) void crypto_iv(
	uint64_t number, uint64_t sa, uint8_t ret_iv[CRYPTO_IV_MAX])
{
	__m128i x = _mm_set_epi64x((long long)sa, (long long)number);

	x = _mm_xor_si128(x, iv_keys[0]);

	for (unsigned i = 1; i < IV_ROUNDS - 1; i++)
		x = _mm_aesenc_si128(x, iv_keys[i]);
	x = _mm_aesenclast_si128(x, iv_keys[IV_ROUNDS - 1]);
	_mm_storeu_si128((__m128i *)(void *)ret_iv, x);
}
