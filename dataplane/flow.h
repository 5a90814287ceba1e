/* The flow hash: software, over addresses, protocol and ports as numbers, so that control computes
 * the same (dp_group_bucket) and machines agree. The NIC's hash is not trusted. Fragments hash on
 * addresses only, or the first would part from the others. The low bits choose the bucket, the high
 * ones a tunnel's source port. */
#ifndef LINTAS_FLOW_H
#define LINTAS_FLOW_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_byteorder.h>
#include <rte_common.h>

#define FLOW_K1 0x9e3779b97f4a7c15u
#define FLOW_K2 0xd6e8feb86659fd93u

#define FLOW_PORT_BASE 49152 /* RFC 7348 5: source port from the dynamic range */

static inline uint32_t flow_be32(const uint8_t *p)
{
	uint32_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return rte_be_to_cpu_32(x);
}

static inline uint16_t flow_be16(const uint8_t *p)
{
	uint16_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return rte_be_to_cpu_16(x);
}

static inline uint64_t flow_be64(const uint8_t *p)
{
	uint64_t x;

	__builtin_memcpy(&x, p, sizeof(x));
	return rte_be_to_cpu_64(x);
}

static inline uint64_t flow_step(uint64_t h, uint64_t x)
{
	h = (h ^ x) * FLOW_K1;
	return h ^ h >> 32;
}

static inline uint32_t flow_end(uint64_t h)
{
	h *= FLOW_K2;
	return (uint32_t)(h >> 32 ^ h);
}

/* ports: source << 16 | destination, 0 where there are none; label: IPv6 flow label where ports
 * cannot be read. Fragments: proto and the rest 0. */
static inline uint32_t flow_hash4(uint32_t src, uint32_t dst, uint8_t proto, uint32_t ports)
{
	uint64_t h = flow_step(FLOW_K2, (uint64_t)src << 32 | dst);

	return flow_end(flow_step(h, (uint64_t)proto << 32 | ports));
}

static inline uint32_t flow_hash6(
	const uint8_t *src, const uint8_t *dst, uint8_t proto, uint32_t ports, uint32_t label)
{
	uint64_t h = flow_step(FLOW_K2, flow_be64(src));

	h = flow_step(h, flow_be64(src + 8));
	h = flow_step(h, flow_be64(dst));
	h = flow_step(h, flow_be64(dst + 8));
	return flow_end(flow_step(h, (uint64_t)label << 40 | (uint64_t)proto << 32 | ports));
}

static inline bool flow_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE || proto == IPPROTO_DCCP;
}

static inline uint16_t flow_source_port(uint32_t hash)
{
	return (uint16_t)(FLOW_PORT_BASE + (hash >> 18));
}

/* route.c: of a packet whose header has been checked. */
uint32_t flow_hash(const uint8_t *ip, uint16_t len, uint8_t af);

/* The same, with what most packets are in line: TCP or UDP without options and not in pieces. */
static __rte_always_inline uint32_t flow_hash_plain(const uint8_t *ip, uint16_t len, uint8_t af)
{
	uint8_t proto = af == AF_INET ? ip[9] : ip[6];
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP;

	if (af == AF_INET && ports && ip[0] == 0x45 && len >= 24 && !(flow_be16(ip + 6) & 0x3fff))
		return flow_hash4(
			flow_be32(ip + 12), flow_be32(ip + 16), proto, flow_be32(ip + 20));
	if (af == AF_INET6 && ports && len >= 44)
		return flow_hash6(ip + 8, ip + 24, proto, flow_be32(ip + 40), 0);
	return flow_hash(ip, len, af);
}

#endif
