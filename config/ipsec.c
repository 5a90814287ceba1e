/* What ESP's algorithms cost and what they are called: sizes, overhead, if_id, keys of static SAs.
 *
 * A proposal is strongSwan's: words joined by '-', several of one kind being a choice. A word
 * belongs to one kind (cipher, hash, PRF, group, sequence numbers), and what is not in this table
 * is not offered, because the fast path could not serve it. In tunnel mode ESP adds an IP header,
 * UDP's if NATed, 8 octets, the IV, padding up to the cipher's block over what is inside and two
 * octets more, and the ICV (RFC 4303 2); the largest packet inside follows from the MTU outside.
 * AWS's table (tunnel MTU 1446 to 1406 by cipher and hash) comes out to the byte. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ipsec.h"

#define IP4_LEN 20
#define IP6_LEN 40
#define UDP_LEN 8
#define ESP_LEN 8 /* SPI and sequence number */
#define TRAILER 2 /* pad length and next header */

const struct ipsec_word ipsec_words[] = {
	/* word, in profiles, kind, IV, block, ICV, weak, ESP too */
	{ "aes256gcm16", "aes256gcm16", IPSEC_AEAD, 8, 4, 16, false, true },
	{ "aes128gcm16", "aes128gcm16", IPSEC_AEAD, 8, 4, 16, false, true },
	{ "aes192gcm16", "aes192gcm16", IPSEC_AEAD, 8, 4, 16, false, false },
	{ "aes256", "aes256", IPSEC_CBC, 16, 16, 0, true, true },
	{ "aes192", "aes192", IPSEC_CBC, 16, 16, 0, true, true },
	{ "aes128", "aes128", IPSEC_CBC, 16, 16, 0, true, true },
	{ "aes", "aes", IPSEC_CBC, 16, 16, 0, true, true },
	{ "sha512", "sha2-512", IPSEC_HASH, 0, 0, 32, false, true },
	{ "sha384", "sha2-384", IPSEC_HASH, 0, 0, 24, false, true },
	{ "sha256", "sha2-256", IPSEC_HASH, 0, 0, 16, false, true },
	{ "sha1", "sha1", IPSEC_HASH, 0, 0, 12, true, true },
	{ "md5", "md5", IPSEC_HASH, 0, 0, 12, true, false },
	{ "prfsha512", "sha2-512", IPSEC_PRF, 0, 0, 0, false, false },
	{ "prfsha384", "sha2-384", IPSEC_PRF, 0, 0, 0, false, false },
	{ "prfsha256", "sha2-256", IPSEC_PRF, 0, 0, 0, false, false },
	{ "prfsha1", "sha1", IPSEC_PRF, 0, 0, 0, true, false },
	{ "curve25519", "curve25519", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "x25519", "curve25519", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "ecp384", "20", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "ecp256", "19", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "ecp521", "21", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp2048", "14", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp3072", "15", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp4096", "16", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp6144", "17", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp8192", "18", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "modp1024s160", "22", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modp2048s224", "23", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modp2048s256", "24", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modp1536", "5", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modp1024", "2", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modp768", "1", IPSEC_GROUP, 0, 0, 0, true, true },
	{ "modpnone", "none", IPSEC_GROUP, 0, 0, 0, false, true },
	{ "esn", "", IPSEC_ESN, 0, 0, 0, false, true },
	{ "noesn", "", IPSEC_ESN, 0, 0, 0, false, true },
	{ NULL, NULL, 0, 0, 0, 0, false, false },
};

const struct ipsec_word *ipsec_word(const char *text, size_t len)
{
	for (const struct ipsec_word *w = ipsec_words; w->name; w++)
		if (strlen(w->name) == len && !memcmp(w->name, text, len))
			return w;
	return NULL;
}

const char *ipsec_next(const char *at, size_t *ret_len)
{
	at += *at == '-';
	*ret_len = strcspn(at, "-");
	return *ret_len ? at : NULL;
}

/* ---- sizes ---- */

static unsigned room(unsigned mtu, bool ip6, bool udp, unsigned iv, unsigned block, unsigned icv)
{
	unsigned around = (ip6 ? IP6_LEN : IP4_LEN) + (udp ? UDP_LEN : 0) + ESP_LEN + iv + icv;
	unsigned inside = mtu > around ? (mtu - around) / block * block : 0;

	return inside > TRAILER ? inside - TRAILER : 0;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return !a || (b && b < a) ? b : a;
}

/* Of one proposal: every cipher in it with every hash. */
static unsigned proposal_room(const char *proposal, unsigned mtu, bool ip6, bool udp)
{
	const struct ipsec_word *w, *hash;
	unsigned least = 0;
	size_t len, other;

	for (const char *at = proposal; (at = ipsec_next(at, &len)); at += len) {
		w = ipsec_word(at, len);
		if (w && w->kind == IPSEC_AEAD)
			least = smaller(least, room(mtu, ip6, udp, w->iv, w->block, w->icv));
		for (const char *b = proposal;
			w && w->kind == IPSEC_CBC && (b = ipsec_next(b, &other)); b += other) {
			hash = ipsec_word(b, other);
			if (hash && hash->kind == IPSEC_HASH)
				least = smaller(
					least, room(mtu, ip6, udp, w->iv, w->block, hash->icv));
		}
	}
	return least;
}

unsigned config_esp_room(
	const struct cfg_words *esp, unsigned outer_mtu, bool outer_ip6, bool nat_t)
{
	unsigned least = 0;

	for (unsigned i = 0; i < esp->n; i++)
		least = smaller(least, proposal_room(esp->items[i], outer_mtu, outer_ip6, nat_t));
	return least;
}

/* RFC 1918 and 6598; of IPv6 nothing is translated. */
static bool is_private(const struct ip_addr *addr)
{
	const uint8_t *b = addr->bytes;

	return addr->af == AF_INET &&
	       (b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
		       (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64));
}

bool config_nat_t(const struct cfg_link *link)
{
	return link->encap == CFG_ENCAP_IPSEC &&
	       (link->ipsec.nat_t ||
		       (link->ipsec.key && is_private(&link->local) && !is_private(&link->remote)));
}

uint32_t config_if_id(const struct cfg_link *link)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *at = link->name; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	return hash | 0x80000000u;
}

/* ---- static SAs ---- */

static const struct {
	unsigned key, auth; /* octets */
	const char *proposal;
} static_sas[] = {
	[CFG_SA_AES128_GCM] = { 20, 0, "aes128gcm16" },
	[CFG_SA_AES256_GCM] = { 36, 0, "aes256gcm16" },
	[CFG_SA_AES128_SHA1] = { 16, 20, "aes128-sha1" },
	[CFG_SA_AES128_SHA256] = { 16, 32, "aes128-sha256" },
	[CFG_SA_AES256_SHA256] = { 32, 32, "aes256-sha256" },
	[CFG_SA_AES256_SHA384] = { 32, 48, "aes256-sha384" },
	[CFG_SA_AES256_SHA512] = { 32, 64, "aes256-sha512" },
};

const char *ipsec_static_proposal(enum cfg_sa_algorithm algorithm)
{
	return static_sas[algorithm].proposal;
}

unsigned ipsec_static_digits(enum cfg_sa_algorithm algorithm)
{
	return 2 * (static_sas[algorithm].key + static_sas[algorithm].auth);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Octets from hex digits; white space at the end passes. The number, or -EINVAL. */
static int unhex(const char *text, size_t n, uint8_t *ret_octets, size_t max)
{
	size_t i = 0;

	if (n > 1 && text[0] == '0' && (text[1] | 0x20) == 'x')
		i = 2;
	while (n > i && strchr(" \t\r\n", text[n - 1]))
		n--;
	if ((n - i) % 2 || (n - i) / 2 > max)
		return -EINVAL;
	for (size_t out = 0; i < n; i += 2, out++) {
		if (hex(text[i]) < 0 || hex(text[i + 1]) < 0)
			return -EINVAL;
		ret_octets[out] = (uint8_t)(hex(text[i]) << 4 | hex(text[i + 1]));
	}
	return (int)((n - (text[0] == '0' && n > 1 && (text[1] | 0x20) == 'x' ? 2 : 0)) / 2);
}

int config_sa_keys(const struct config *config, const struct cfg_link *link,
	const struct cfg_sa *sa, struct cfg_sa_keys *ret_keys)
{
	unsigned key = static_sas[link->ipsec.algorithm].key,
		 auth = static_sas[link->ipsec.algorithm].auth;
	char path[CFG_STRING_MAX * 2], text[256];
	uint8_t octets[sizeof(ret_keys->key) + sizeof(ret_keys->auth)];
	struct stat st;
	int fd, n, err = 0;
	ssize_t got = 0;

	snprintf(path, sizeof(path), "%s/%s", config->defaults.keys, sa->key);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (got = read(fd, text, sizeof(text))) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_mode & 077)
		err = -EACCES;
	close(fd);
	n = err ? err : unhex(text, (size_t)got, octets, sizeof(octets));
	if (!err && n != (int)(key + auth))
		err = -EINVAL;
	if (!err) {
		ret_keys->key_len = key;
		ret_keys->auth_len = auth;
		memcpy(ret_keys->key, octets, key);
		memcpy(ret_keys->auth, octets + key, auth);
	}
	explicit_bzero(text, sizeof(text));
	explicit_bzero(octets, sizeof(octets));
	return err;
}
