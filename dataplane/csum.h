/* Internet checksums (RFC 1071) of headers and of what follows them. */
#ifndef LINTAS_CSUM_H
#define LINTAS_CSUM_H

#include <arpa/inet.h>
#include <rte_ip.h>

static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Of a sum of at most 65,536 words. */
static inline uint16_t csum_fold32(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/* Sum of pseudo header (RFC 768, RFC 8200 8.1) and the len bytes at l4: 0xffff when the checksum
 * within is right; ~ of it is the checksum to write when the field was zero. */
static inline uint16_t csum_l4(
	const uint8_t *ip, uint8_t af, const uint8_t *l4, uint32_t len, uint8_t proto)
{
	uint64_t sum = af == AF_INET ? rte_raw_cksum(ip + 12, 8) : rte_raw_cksum(ip + 8, 32);

	return csum_fold(sum + htonl(len) + htons(proto) + rte_raw_cksum(l4, len));
}

#endif
