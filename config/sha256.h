/* SHA-256 (FIPS 180-4), for the digest of a configuration's files. */
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

#endif
