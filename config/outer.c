/* The outer headers of tunnels: what each kind adds to a packet, and the names of code points.
 *
 * Sizes are those of RFC 7348 5 (outer IP, UDP, VXLAN, inner Ethernet), RFC 8926 3 (the same with
 * GENEVE's eight bytes, and Ethernet only when it carries frames), RFC 2784 and 2890 (four bytes,
 * and four each for checksum and key), RFC 2003 and 2473 (none but the outer IP header). A tunnel's
 * MTU is its underlay's less this; for IPsec see ipsec.c. */
#include <netinet/in.h>
#include "config.h"

#define IP4_LEN	   20
#define IP6_LEN	   40
#define UDP_LEN	   8
#define ETHER_LEN  14
#define VXLAN_LEN  8
#define GENEVE_LEN 8
#define GRE_LEN	   4
#define GRE_OPTION 4 /* checksum, key */

unsigned config_overhead(const struct cfg_link *link, unsigned underlay_mtu)
{
	unsigned ip = link->remote.af == AF_INET6 ? IP6_LEN : IP4_LEN;

	switch (link->encap) {
	case CFG_ENCAP_VXLAN:
		return ip + UDP_LEN + VXLAN_LEN + ETHER_LEN;
	case CFG_ENCAP_GENEVE:
		return ip + UDP_LEN + GENEVE_LEN +
		       (link->outer.inner == CFG_INNER_ETHER ? ETHER_LEN : 0);
	case CFG_ENCAP_GRE:
		return ip + GRE_LEN + (link->outer.key ? GRE_OPTION : 0) +
		       (link->outer.checksum ? GRE_OPTION : 0);
	case CFG_ENCAP_IPIP:
		return ip;
	case CFG_ENCAP_IPSEC:
		return underlay_mtu - config_esp_room(&link->ipsec.esp, underlay_mtu,
					      link->remote.af == AF_INET6, config_nat_t(link));
	case CFG_ENCAP_ETHER:
		break;
	}
	return 0;
}

/* In the order of CFG_DSCP_NAMES. */
uint8_t config_dscp(const struct cfg_outer *outer)
{
	static const uint8_t values[] = { CFG_DSCP_COPY, 0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26,
		28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56 };

	return outer->dscp < sizeof(values) ? values[outer->dscp] : 0;
}
