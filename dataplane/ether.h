/* Ethernet addresses as bytes: rte_ether.h wants them aligned, frames and configuration do not
 * oblige. */
#ifndef LINTAS_ETHER_H
#define LINTAS_ETHER_H

#include <stdbool.h>
#include <stdint.h>
#include <rte_ether.h>

/* From whom a packet seems to come that arrived without an Ethernet header. */
#define ETHER_PLAIN_SOURCE                    \
	{                                     \
		0x02, 'l', 'i', 'n', 't', 'a' \
	}

/* One station's: neither group bit nor all zero. */
static inline bool ether_is_unicast(const uint8_t mac[6])
{
	return !(mac[0] & 1) && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

#endif
