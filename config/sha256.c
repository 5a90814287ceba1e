/* SHA-256 as FIPS 180-4 describes it, for two purposes: to tell whether two sets of files are the
 * same, and as the hash of HMAC (RFC 2104) in authenticated STAMP (RFC 8762 4.4).
 *
 * None of the libraries the programs link offers a digest, and the kernel's AF_ALG socket is not
 * there on every machine on which a configuration is checked. The round constants are the first 32
 * bits of the fractional parts of the cube roots of the first 64 primes (4.2.2), the initial state
 * those of the square roots of the first eight (5.3.3). No step depends on the data but by its
 * length. Pure, any thread. */
#include <string.h>
#include "sha256.h"

static const uint32_t k[64] = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* 6.2.2, one block of 64 bytes */
static void compress(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[64], s[8], t1, t2;

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (unsigned i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, state, sizeof(s));
	for (unsigned i = 0; i < 64; i++) {
		t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25)) +
		     ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22)) +
		     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (unsigned i = 0; i < 8; i++)
		state[i] += s[i];
}

void sha256_init(struct sha256 *sha)
{
	static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memset(sha, 0, sizeof(*sha));
	memcpy(sha->state, initial, sizeof(initial));
}

void sha256_update(struct sha256 *sha, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t at = sha->bytes % 64, n;

	for (sha->bytes += len; len; bytes += n, len -= n) {
		n = len < 64 - at ? len : 64 - at;
		memcpy(sha->block + at, bytes, n);
		at = (at + n) % 64;
		if (!at)
			compress(sha->state, sha->block);
	}
}

void sha256_final(struct sha256 *sha, uint8_t ret_digest[32])
{
	static const uint8_t pad[64] = { 0x80 };
	uint64_t bits = sha->bytes * 8;
	size_t at = sha->bytes % 64;
	uint8_t length[8];

	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_update(sha, pad, at < 56 ? 56 - at : 120 - at);
	sha256_update(sha, length, sizeof(length));
	for (unsigned i = 0; i < 32; i++)
		ret_digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- HMAC, RFC 2104 2 ---- */

#define BLOCK 64

void hmac_key(struct hmac *hmac, const void *key, size_t len)
{
	uint8_t block[BLOCK] = { 0 };

	if (len > BLOCK) {
		sha256_init(&hmac->inner);
		sha256_update(&hmac->inner, key, len);
		sha256_final(&hmac->inner, block);
	} else {
		memcpy(block, key, len);
	}
	for (unsigned i = 0; i < BLOCK; i++)
		block[i] ^= 0x36;
	sha256_init(&hmac->inner);
	sha256_update(&hmac->inner, block, BLOCK);
	for (unsigned i = 0; i < BLOCK; i++)
		block[i] ^= 0x36 ^ 0x5c;
	sha256_init(&hmac->outer);
	sha256_update(&hmac->outer, block, BLOCK);
	explicit_bzero(block, sizeof(block));
}

void hmac_sign(const struct hmac *hmac, const void *data, size_t len, uint8_t ret_mac[32])
{
	struct sha256 sha = hmac->inner;

	sha256_update(&sha, data, len);
	sha256_final(&sha, ret_mac);
	sha = hmac->outer;
	sha256_update(&sha, ret_mac, 32);
	sha256_final(&sha, ret_mac);
	explicit_bzero(&sha, sizeof(sha));
}

_Bool hmac_right(
	const struct hmac *hmac, const void *data, size_t len, const uint8_t *mac, size_t n)
{
	uint8_t right[32], differ = 0;

	hmac_sign(hmac, data, len, right);
	for (size_t i = 0; i < n && i < sizeof(right); i++)
		differ |= right[i] ^ mac[i];
	return !differ && n && n <= sizeof(right);
}

void hmac_wipe(struct hmac *hmac)
{
	explicit_bzero(hmac, sizeof(*hmac));
}
