/* Ciphers for ESP: crypto.c. */
#ifndef LINTAS_CRYPTO_H
#define LINTAS_CRYPTO_H

#include <rte_crypto_sym.h>
#include "worker.h"

#define CRYPTO_ICV_MAX 32
#define CRYPTO_IV_MAX  16

/* What an SA does with a packet, and with what. */
struct crypto {
	void *session; /* the driver's; NULL: none */
	uint8_t device;
	bool aead;
	uint8_t iv_len;	 /* as it is on the wire */
	uint8_t icv_len; /* the same */
	uint8_t block;	 /* what is encrypted is a multiple of it, a power of two */
	union rte_crypto_sym_ofs ofs;
};

/* A vector's work for one session. The fixed pointers are set once; packet i's data, length and ICV
 * are written by who fills it. */
struct crypto_batch {
	struct rte_crypto_vec data[VECTOR_MAX];
	struct rte_crypto_va_iova_ptr icv[VECTOR_MAX];
	uint8_t iv[VECTOR_MAX][CRYPTO_IV_MAX];
	uint8_t aad[VECTOR_MAX][16];
	uint8_t kept[VECTOR_MAX][CRYPTO_ICV_MAX]; /* an ICV that is not where it is on the wire */
	int32_t status[VECTOR_MAX];		  /* 0: done, and right */
	struct rte_crypto_sgl list[VECTOR_MAX];
	struct rte_crypto_va_iova_ptr ivs[VECTOR_MAX], aads[VECTOR_MAX];
};
extern struct crypto_batch crypto_batch[DP_WORKERS_MAX];

/* Control. Devices and their memory, once: -ENOTSUP, -ENOMEM, and a line in err that says why. */
int crypto_start(char *err, size_t len);
void crypto_stop(void);
/* -ENOTSUP: no such combination of algorithm and lengths; -ENOMEM. */
int crypto_open(const struct dp_sa *conf, struct crypto *ret_crypto);
void crypto_close(struct crypto *c); /* no worker uses it any more; keys are wiped */

/* Worker: n of its batch. */
void crypto_run(struct worker *w, const struct crypto *c, unsigned n);
/* 16 octets that nobody can foresee, others for each number of each SA (RFC 3602 3). */
void crypto_iv(uint64_t number, uint64_t sa, uint8_t ret_iv[CRYPTO_IV_MAX]);

#endif
