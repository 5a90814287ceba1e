/* Addresses and prefixes: text to bytes and back, and the few questions everybody asks about them.
 *
 * Linked into every program of the project, so it knows nothing but libc. An address is 16 bytes in
 * network order, IPv4 in the first four and the rest zero (see ip.h): equality is memcmp, and one
 * loop over bits serves both families. Parsing is inet_pton, therefore strict: no leading zeros in
 * IPv4, no zone index, no missing octets; the prefix length is plain decimal without sign, blank or
 * leading zero. Pure functions, safe from any thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "ip.h"

int ip_addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .af = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(addr.af, text, addr.bytes) != 1)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

/* One to three decimal digits, nothing else; -1 when it is anything else. */
static int length_parse(const char *text)
{
	int len = 0;

	if (!text[0] || (text[0] == '0' && text[1]))
		return -1;
	for (unsigned i = 0; text[i]; i++) {
		if (i == 3 || text[i] < '0' || text[i] > '9')
			return -1;
		len = len * 10 + (text[i] - '0');
	}
	return len;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	char head[IP_STRLEN];
	struct ip_addr addr;
	int len;

	if (!slash || (size_t)(slash - text) >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, slash - text);
	head[slash - text] = '\0';
	len = length_parse(slash + 1);
	if (ip_addr_parse(head, &addr) < 0 || len < 0 || (unsigned)len > ip_bits(addr.af))
		return -EINVAL;
	ret_prefix->af = addr.af;
	ret_prefix->len = len;
	memcpy(ret_prefix->bytes, addr.bytes, sizeof(addr.bytes));
	return 0;
}

const char *ip_addr_format(const struct ip_addr *addr, char *buf)
{
	if (!addr->af || !inet_ntop(addr->af, addr->bytes, buf, IP_STRLEN))
		snprintf(buf, IP_STRLEN, "none");
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf)
{
	struct ip_addr addr = ip_prefix_addr(prefix);
	size_t n;

	ip_addr_format(&addr, buf);
	if (prefix->af) {
		n = strlen(buf);
		snprintf(buf + n, IP_STRLEN - n, "/%u", prefix->len);
	}
	return buf;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->af == b->af && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool ip_addr_is_link_local(const struct ip_addr *a)
{
	if (a->af == AF_INET6)
		return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;  /* RFC 4291 2.5.6 */
	return a->af == AF_INET && a->bytes[0] == 169 && a->bytes[1] == 254; /* RFC 3927 */
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->af == b->af && a->len == b->len && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

void ip_prefix_mask(struct ip_prefix *prefix)
{
	unsigned whole = prefix->len / 8, rest = prefix->len % 8;

	if (whole >= sizeof(prefix->bytes))
		return;
	prefix->bytes[whole] &= (uint8_t)(0xff00 >> rest);
	memset(prefix->bytes + whole + 1, 0, sizeof(prefix->bytes) - whole - 1);
}

bool ip_prefix_is_network(const struct ip_prefix *prefix)
{
	struct ip_prefix masked = *prefix;

	ip_prefix_mask(&masked);
	return ip_prefix_equal(&masked, prefix);
}

/* Are the first LEN bits alike? LEN is at most 128. */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;

	if (memcmp(a, b, whole))
		return false;
	return !rest || !((a[whole] ^ b[whole]) & (uint8_t)(0xff00 >> rest));
}

bool ip_prefix_contains(const struct ip_prefix *outer, const struct ip_addr *addr)
{
	return outer->af == addr->af && bits_equal(outer->bytes, addr->bytes, outer->len);
}

bool ip_prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return outer->af == inner->af && outer->len <= inner->len &&
	       bits_equal(outer->bytes, inner->bytes, outer->len);
}

struct ip_addr ip_prefix_addr(const struct ip_prefix *prefix)
{
	struct ip_addr addr = { .af = prefix->af };

	memcpy(addr.bytes, prefix->bytes, sizeof(addr.bytes));
	return addr;
}

struct ip_prefix ip_addr_host(const struct ip_addr *addr)
{
	struct ip_prefix prefix = { .af = addr->af, .len = ip_bits(addr->af) };

	memcpy(prefix.bytes, addr->bytes, sizeof(prefix.bytes));
	return prefix;
}

int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
	int order;

	if (a->af != b->af)
		return a->af < b->af ? -1 : 1;
	order = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
	if (order)
		return order;
	return (a->len > b->len) - (a->len < b->len);
}
