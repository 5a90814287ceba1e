/* Addresses and prefixes: the one representation that config/, control/ and dataplane/ share.
 *
 * An address is always 16 bytes in network order; an IPv4 address fills the first four and the rest
 * is zero, so that two addresses can be compared and hashed as plain bytes. No function allocates.
 */
#ifndef LINTAS_IP_H
#define LINTAS_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IP_STRLEN 64 /* room for any address or prefix as text */

struct ip_addr {
	uint8_t af; /* AF_INET, AF_INET6, or 0 = none */
	uint8_t bytes[16];
};

struct ip_prefix {
	uint8_t af;
	uint8_t len;	   /* 0..32 or 0..128 */
	uint8_t bytes[16]; /* host bits may be set where an interface address is meant */
};

static inline unsigned ip_bits(uint8_t af)
{
	return af == AF_INET6 ? 128 : 32;
}

static inline unsigned ip_size(uint8_t af)
{
	return af == AF_INET6 ? 16 : 4;
}

/* 0, or -EINVAL with ret_ untouched. Accepts exactly what inet_pton accepts, nothing shorter. */
int ip_addr_parse(const char *text, struct ip_addr *ret_addr);
/* "10.0.0.0/8"; the length is required. Host bits are kept: ask ip_prefix_is_network. */
int ip_prefix_parse(const char *text, struct ip_prefix *ret_prefix);

/* Both write a terminated string into buf (IP_STRLEN bytes) and return buf. */
const char *ip_addr_format(const struct ip_addr *addr, char *buf);
const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf);

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_addr_is_link_local(const struct ip_addr *a); /* fe80::/10 or 169.254/16 */
bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_prefix_is_network(const struct ip_prefix *prefix); /* no host bit set */
bool ip_prefix_contains(const struct ip_prefix *outer, const struct ip_addr *addr);
bool ip_prefix_covers(const struct ip_prefix *outer, const struct ip_prefix *inner);
void ip_prefix_mask(struct ip_prefix *prefix); /* clears the host bits */
struct ip_addr ip_prefix_addr(const struct ip_prefix *prefix);
struct ip_prefix ip_addr_host(const struct ip_addr *addr); /* /32 or /128 */
/* Total order: family, bytes, length; for sorting and for resumable listings. */
int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);

#endif
