/* VRRP's share of the fast path (RFC 9568 7.2, 7.3, 8.1.2, 8.2.3): the virtual MAC.
 *
 * Control decides who is active; the snapshot then says which virtual MACs are a link's, a family
 * each, and which addresses are known by them. Frames to a virtual MAC are the link's own (parse.c)
 * and reach the kernel under the MAC it knows. The kernel answers ARP and neighbour discovery for
 * the virtual addresses, which are its interface's, but with the interface's MAC: on the way out
 * ARP of such an address, and neighbour messages about one, get the virtual MAC, in the Ethernet
 * header so that bridges learn it, and inside so that neighbours do. A neighbour advertisement also
 * says that we are a router, which the kernel, not forwarding itself, does not know. Everything
 * else leaves with the port's MAC, as RFC 9568 lets it. Workers' threads; nothing is kept. */
#include <netinet/icmp6.h>
#include "csum.h"
#include "flow.h"
#include "parse.h"
#include "virtual.h"

#define PROTO_VRRP  112
#define GROUP4	    0xe0000012 /* 224.0.0.18 */
#define ARP_LEN	    28
#define ARP_SHA	    8 /* offsets within: sender's MAC and address */
#define ARP_SPA	    14
#define ND_TARGET   8
#define ND_OPTIONS  24
#define ND_OPT_STEP 8

static const uint8_t group6[16] = { 0xff, 0x02, [15] = 0x12 };

static void mac_of(const struct link *l, unsigned v6, uint8_t ret_mac[6])
{
	const uint8_t mac[6] = { 0x00, 0x00, 0x5e, 0x00, v6 ? 0x02 : 0x01, l->conf.vrid };

	memcpy(ret_mac, mac, sizeof(mac));
}

void virtual_build(struct link *l)
{
	uint8_t mac[8] = { 0 };

	for (unsigned v6 = 0; v6 < 2; v6++) {
		l->virtual[v6] = VIRTUAL_NONE;
		if (!l->conf.active[v6] || !l->conf.vrid)
			continue;
		mac_of(l, v6, mac);
		memcpy(&l->virtual[v6], mac, sizeof(mac));
	}
}

void virtual_to_kernel(const struct link *l, uint8_t *frame)
{
	uint64_t dst = 0;

	memcpy(&dst, frame, 6);
	if (virtual_target(l, dst))
		memcpy(frame, l->conf.mac, 6);
}

static bool is_virtual(const struct link *l, uint8_t af, const uint8_t *addr)
{
	for (unsigned i = 0; i < l->conf.n_virtual; i++)
		if (l->conf.virtual_addr[i].af == af &&
			!memcmp(l->conf.virtual_addr[i].bytes, addr, ip_size(af)))
			return true;
	return false;
}

static void arp_rewrite(const struct link *l, uint8_t *frame, unsigned len)
{
	uint8_t *arp = frame + ETH_MIN;

	if (len < ETH_MIN + ARP_LEN || !is_virtual(l, AF_INET, arp + ARP_SPA))
		return;
	mac_of(l, 0, frame + 6);
	mac_of(l, 0, arp + ARP_SHA);
}

/* The MAC in the option that tells one: our kernel's messages are well formed, the bounds are kept
 * all the same. */
static void nd_option(const struct link *l, uint8_t *o, unsigned len, uint8_t type)
{
	for (; len >= ND_OPT_STEP && o[1]; o += o[1] * 8) {
		if (o[1] * 8u > len)
			return;
		if (o[0] == type && o[1] == 1)
			mac_of(l, 1, o + 2);
		len -= o[1] * 8u;
	}
}

/* An advertisement is about its target; a solicitation is from whom it asks for. */
static void nd_rewrite(const struct link *l, uint8_t *frame, unsigned len)
{
	uint8_t *ip = frame + ETH_MIN, *icmp = ip + IP6_LEN;
	unsigned size = len >= ETH_MIN + IP6_LEN ? flow_be16(ip + 4) : 0;
	bool advert;
	uint16_t sum;

	if (size < ND_OPTIONS || ETH_MIN + IP6_LEN + size > len || ip[6] != IPPROTO_ICMPV6)
		return;
	advert = icmp[0] == ND_NEIGHBOR_ADVERT;
	if (!advert && icmp[0] != ND_NEIGHBOR_SOLICIT)
		return;
	if (!is_virtual(l, AF_INET6, advert ? icmp + ND_TARGET : ip + 8))
		return;
	mac_of(l, 1, frame + 6);
	if (advert)
		icmp[4] |= 0x80; /* RFC 9568 8.2.3: R */
	nd_option(l, icmp + ND_OPTIONS, size - ND_OPTIONS,
		advert ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR);
	icmp[2] = icmp[3] = 0;
	sum = (uint16_t)~csum_l4(ip, AF_INET6, icmp, size, IPPROTO_ICMPV6);
	memcpy(icmp + 2, &sum, sizeof(sum));
}

void virtual_from_kernel(const struct link *l, uint8_t *frame, unsigned len)
{
	unsigned type = flow_be16(frame + 12);

	if (type == RTE_ETHER_TYPE_ARP && l->conf.active[0])
		arp_rewrite(l, frame, len);
	else if (type == RTE_ETHER_TYPE_IPV6 && l->conf.active[1])
		nd_rewrite(l, frame, len);
}

bool virtual_advert(const struct link *l, const struct packet *k, uint8_t proto)
{
	if (proto != PROTO_VRRP || !l->conf.vrid)
		return false;
	if (k->af == AF_INET)
		return k->ip[8] == 255 && flow_be32(k->ip + 16) == GROUP4;
	return k->ip[7] == 255 && !memcmp(k->ip + 24, group6, sizeof(group6));
}
