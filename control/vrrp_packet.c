/* VRRP version 3 on the wire (RFC 9568 5, 7.1, 8.1.2, 8.2.3): parse and build, nothing else.
 *
 * Frames are whole, Ethernet to checksum, because a packet socket carries them: the virtual MAC is
 * the source of what we send. RFC 9568 5.2.8 sums IPv4 without a pseudo header; its predecessor
 * could be read otherwise and keepalived reads it so. Both are taken, and the reader is told which,
 * so that we can speak as we are spoken to. Nothing is read before its length is known to be there.
 * Pure functions. */
#include <netinet/in.h>
#include <string.h>
#include "vrrp_packet.h"

#define PROTO_VRRP 112
#define ETH_LEN	   14
#define IP4_LEN	   20
#define IP6_LEN	   40
#define FIXED_LEN  8 /* version and type, VRID, priority, count, interval, checksum */
#define TTL	   255

const char *const vrrp_error_names[VRRP_ERRORS] = {
	[VRRP_FINE] = "fine",
	[VRRP_BAD_IP] = "ip",
	[VRRP_BAD_TTL] = "ttl",
	[VRRP_BAD_VERSION] = "version",
	[VRRP_BAD_TYPE] = "type",
	[VRRP_BAD_LENGTH] = "length",
	[VRRP_BAD_CHECKSUM] = "checksum",
	[VRRP_BAD_VRID] = "vrid",
	[VRRP_BAD_SOURCE] = "source",
	[VRRP_OTHER_ADDRESSES] = "addresses",
	[VRRP_OTHER_INTERVAL] = "interval",
};

static const uint8_t group4[4] = { 224, 0, 0, 18 };
static const uint8_t group6[16] = { 0xff, 0x02, [15] = 0x12 };

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static uint32_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* RFC 1071 over the message and, as asked for, the pseudo header; 0 when the checksum in it is
 * right. */
static uint16_t checksum(
	const uint8_t *ip, uint8_t af, const uint8_t *msg, size_t len, uint8_t proto, bool pseudo)
{
	uint32_t sum = 0;

	if (pseudo)
		sum = sum_of(ip + (af == AF_INET ? 12 : 8), 2 * ip_size(af), proto + (uint32_t)len);
	return fold(sum_of(msg, len, sum));
}

/* ---- parse ---- */

static const uint8_t *ip4(const uint8_t *ip, size_t room, size_t *ret_len)
{
	size_t head, total;

	if (room < IP4_LEN || ip[0] >> 4 != 4)
		return NULL;
	head = (ip[0] & 15u) * 4;
	total = be16(ip + 2);
	if (head < IP4_LEN || total < head || total > room)
		return NULL;
	if (ip[9] != PROTO_VRRP || be16(ip + 6) & 0x3fff || memcmp(ip + 16, group4, 4))
		return NULL; /* a fragment, or not to VRRP's group */
	*ret_len = total - head;
	return ip + head;
}

static const uint8_t *ip6(const uint8_t *ip, size_t room, size_t *ret_len)
{
	if (room < IP6_LEN || ip[0] >> 4 != 6 || be16(ip + 4) > room - IP6_LEN)
		return NULL;
	if (ip[6] != PROTO_VRRP || memcmp(ip + 24, group6, 16))
		return NULL;
	*ret_len = be16(ip + 4);
	return ip + IP6_LEN;
}

static void read_addresses(const uint8_t *p, uint8_t af, struct vrrp_advert *a)
{
	for (unsigned i = 0; i < a->n && i < VRRP_ADDRESSES_MAX; i++, p += ip_size(af)) {
		a->address[i].af = af;
		memcpy(a->address[i].bytes, p, ip_size(af));
	}
}

enum vrrp_error vrrp_parse(const uint8_t *frame, size_t len, struct vrrp_advert *ret_advert)
{
	struct vrrp_advert *a = ret_advert;
	const uint8_t *ip = frame + ETH_LEN, *msg = NULL;
	size_t have = 0, size;

	*a = (struct vrrp_advert){ 0 };
	if (len < ETH_LEN)
		return VRRP_BAD_IP;
	a->af = be16(frame + 12) == 0x0800 ? AF_INET : AF_INET6;
	if (be16(frame + 12) == 0x0800)
		msg = ip4(ip, len - ETH_LEN, &have);
	else if (be16(frame + 12) == 0x86dd)
		msg = ip6(ip, len - ETH_LEN, &have);
	if (!msg)
		return VRRP_BAD_IP;
	a->source.af = a->af;
	memcpy(a->source.bytes, ip + (a->af == AF_INET ? 12 : 8), ip_size(a->af));
	if ((a->af == AF_INET ? ip[8] : ip[7]) != TTL) /* 7.1: it came over a router */
		return VRRP_BAD_TTL;
	if (have < FIXED_LEN)
		return VRRP_BAD_LENGTH;
	if (msg[0] >> 4 != 3)
		return VRRP_BAD_VERSION;
	if ((msg[0] & 15) != 1) /* 5.2.2: ADVERTISEMENT is the only type */
		return VRRP_BAD_TYPE;
	size = FIXED_LEN + (size_t)msg[3] * ip_size(a->af);
	if (!msg[3] || have < size) /* 5.2.5: at least one address; 7.1: the complete message */
		return VRRP_BAD_LENGTH;
	a->pseudo = !checksum(ip, a->af, msg, size, PROTO_VRRP, true);
	if (!a->pseudo && (a->af == AF_INET6 || checksum(ip, a->af, msg, size, PROTO_VRRP, false)))
		return VRRP_BAD_CHECKSUM;
	a->vrid = msg[1];
	a->priority = msg[2];
	a->n = msg[3];
	a->interval_cs = be16(msg + 4) & VRRP_INTERVAL_MAX;
	read_addresses(msg + FIXED_LEN, a->af, a);
	return VRRP_FINE;
}

/* ---- build ---- */

void vrrp_mac(uint8_t vrid, uint8_t af, uint8_t ret_mac[6])
{
	const uint8_t mac[6] = { 0x00, 0x00, 0x5e, 0x00, af == AF_INET ? 0x01 : 0x02, vrid };

	memcpy(ret_mac, mac, sizeof(mac));
}

static void put_ethernet(uint8_t *frame, uint8_t vrid, uint8_t af, uint8_t last)
{
	static const uint8_t to4[5] = { 0x01, 0x00, 0x5e, 0x00, 0x00 };
	static const uint8_t to6[5] = { 0x33, 0x33, 0x00, 0x00, 0x00 };

	memcpy(frame, af == AF_INET ? to4 : to6, 5);
	frame[5] = last;
	vrrp_mac(vrid, af, frame + 6);
	put16(frame + 12, af == AF_INET ? 0x0800 : 0x86dd);
}

/* An IP header without options before len octets of proto. Returns its end. */
static uint8_t *put_ip(
	uint8_t *ip, const struct ip_addr *source, const uint8_t *group, size_t len, uint8_t proto)
{
	if (source->af == AF_INET) {
		memset(ip, 0, IP4_LEN);
		ip[0] = 0x45;
		ip[1] = 0xc0; /* RFC 2474 4.2.2.1: network control */
		put16(ip + 2, (unsigned)(IP4_LEN + len));
		ip[8] = TTL;
		ip[9] = proto;
		memcpy(ip + 12, source->bytes, 4);
		memcpy(ip + 16, group, 4);
		put16(ip + 10, fold(sum_of(ip, IP4_LEN, 0)));
		return ip + IP4_LEN;
	}
	memset(ip, 0, IP6_LEN);
	ip[0] = 0x6c;
	put16(ip + 4, (unsigned)len);
	ip[6] = proto;
	ip[7] = TTL;
	memcpy(ip + 8, source->bytes, 16);
	memcpy(ip + 24, group, 16);
	return ip + IP6_LEN;
}

size_t vrrp_build(const struct vrrp_advert *a, uint8_t ret_frame[VRRP_FRAME_MAX])
{
	uint8_t *ip = ret_frame + ETH_LEN, *msg, *p;
	unsigned n = a->n < VRRP_ADDRESSES_MAX ? a->n : VRRP_ADDRESSES_MAX;
	size_t len = FIXED_LEN + n * ip_size(a->af);

	put_ethernet(ret_frame, a->vrid, a->af, 0x12);
	msg = put_ip(ip, &a->source, a->af == AF_INET ? group4 : group6, len, PROTO_VRRP);
	msg[0] = 0x31;
	msg[1] = a->vrid;
	msg[2] = a->priority;
	msg[3] = (uint8_t)n;
	put16(msg + 4, a->interval_cs & VRRP_INTERVAL_MAX);
	put16(msg + 6, 0);
	p = msg + FIXED_LEN;
	for (unsigned i = 0; i < n; i++, p += ip_size(a->af))
		memcpy(p, a->address[i].bytes, ip_size(a->af));
	put16(msg + 6, checksum(ip, a->af, msg, len, PROTO_VRRP, a->pseudo || a->af == AF_INET6));
	return (size_t)(p - ret_frame);
}

static size_t announce4(uint8_t vrid, const struct ip_addr *addr, uint8_t *frame)
{
	static const uint8_t head[8] = { 0, 1, 8, 0, 6, 4, 0, 1 }; /* RFC 826: a request */
	uint8_t *arp = frame + ETH_LEN;

	memset(frame, 0xff, 6);
	vrrp_mac(vrid, AF_INET, frame + 6);
	put16(frame + 12, 0x0806);
	memcpy(arp, head, sizeof(head));
	vrrp_mac(vrid, AF_INET, arp + 8);
	memcpy(arp + 14, addr->bytes, 4);
	memset(arp + 18, 0, 6);
	memcpy(arp + 24, addr->bytes, 4);
	return ETH_LEN + 28;
}

/* RFC 4861 4.4, 7.2.6: router and override, not solicited; with the target's MAC. */
static size_t announce6(
	uint8_t vrid, const struct ip_addr *addr, const struct ip_addr *source, uint8_t *frame)
{
	static const uint8_t all[16] = { 0xff, 0x02, [15] = 0x01 };
	uint8_t *ip = frame + ETH_LEN, *icmp;
	const size_t len = 24 + 8;

	put_ethernet(frame, vrid, AF_INET6, 0x01);
	icmp = put_ip(ip, source, all, len, IPPROTO_ICMPV6);
	memset(icmp, 0, len);
	icmp[0] = 136;
	icmp[4] = 0xa0;
	memcpy(icmp + 8, addr->bytes, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	vrrp_mac(vrid, AF_INET6, icmp + 26);
	put16(icmp + 2, checksum(ip, AF_INET6, icmp, len, IPPROTO_ICMPV6, true));
	return ETH_LEN + IP6_LEN + len;
}

size_t vrrp_announce(uint8_t vrid, const struct ip_addr *addr, const struct ip_addr *source,
	uint8_t ret_frame[VRRP_FRAME_MAX])
{
	return addr->af == AF_INET ? announce4(vrid, addr, ret_frame)
				   : announce6(vrid, addr, source, ret_frame);
}
