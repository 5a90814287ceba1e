/* VRRP version 3 on the wire: whole Ethernet frames in, whole frames out. See vrrp_packet.c. */
#ifndef LINTAS_VRRP_PACKET_H
#define LINTAS_VRRP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include "config/ip.h"

#define VRRP_ADDRESSES_MAX 16
#define VRRP_FRAME_MAX	   (14 + 40 + 8 + VRRP_ADDRESSES_MAX * 16)
#define VRRP_INTERVAL_MAX  4095 /* centiseconds: 12 bits */

/* RFC 9568 7.1 in its order; the last two are counted and the advertisement is taken all the same.
 */
enum vrrp_error {
	VRRP_FINE,
	VRRP_BAD_IP, /* not a whole IP packet to VRRP's group */
	VRRP_BAD_TTL,
	VRRP_BAD_VERSION,
	VRRP_BAD_TYPE,
	VRRP_BAD_LENGTH,
	VRRP_BAD_CHECKSUM,
	VRRP_BAD_VRID,
	VRRP_BAD_SOURCE, /* our own, come back */
	VRRP_OTHER_ADDRESSES,
	VRRP_OTHER_INTERVAL,
	VRRP_ERRORS,
};
extern const char *const vrrp_error_names[VRRP_ERRORS];

struct vrrp_advert {
	uint8_t af, vrid, priority;
	bool pseudo; /* IPv4: the checksum covers a pseudo header, as RFC 5798 was read by some */
	uint16_t interval_cs;
	struct ip_addr source;
	uint8_t n; /* as it was sent; those beyond VRRP_ADDRESSES_MAX are not in `address` */
	struct ip_addr address[VRRP_ADDRESSES_MAX];
};

/* VRID and everything behind it in the enum is the caller's to compare. */
enum vrrp_error vrrp_parse(const uint8_t *frame, size_t len, struct vrrp_advert *ret_advert);
/* From the virtual MAC; n at most VRRP_ADDRESSES_MAX. The frame's length. */
size_t vrrp_build(const struct vrrp_advert *advert, uint8_t ret_frame[VRRP_FRAME_MAX]);
/* All on the link shall know the address by the virtual MAC: a gratuitous ARP request, or an
 * unsolicited neighbour advertisement from `source`. */
size_t vrrp_announce(uint8_t vrid, const struct ip_addr *addr, const struct ip_addr *source,
	uint8_t ret_frame[VRRP_FRAME_MAX]);
void vrrp_mac(uint8_t vrid, uint8_t af, uint8_t ret_mac[6]);

#endif
