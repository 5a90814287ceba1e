/* SHA-256 (FIPS 180-4), for the digest of a configuration's files, and HMAC (RFC 2104) with it, for
 * authenticated STAMP. */
#ifndef LINTAS_SHA256_H
#define LINTAS_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t bytes; /* fed so far */
	uint8_t block[64];
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t len);
void sha256_final(struct sha256 *sha, uint8_t ret_digest[32]);

/* A key made ready: the states behind the first block of each of HMAC's two hashes. As secret as
 * the key itself; hmac_wipe when it is no longer needed. */
struct hmac {
	struct sha256 inner, outer;
};

void hmac_key(struct hmac *hmac, const void *key, size_t len);
void hmac_sign(const struct hmac *hmac, const void *data, size_t len, uint8_t ret_mac[32]);
/* The first n bytes of the MAC, compared in constant time. */
_Bool hmac_right(
	const struct hmac *hmac, const void *data, size_t len, const uint8_t *mac, size_t n);
void hmac_wipe(struct hmac *hmac);

#endif
