/* TCP's maximum segment size, lowered to what fits into a tunnel: mss.c. */
#ifndef LINTAS_MSS_H
#define LINTAS_MSS_H

#include <netinet/in.h>
#include <stdint.h>

/* The len bytes of an IP packet at ip, whose header has been checked; may write to them. */
void mss_lower(uint8_t *ip, unsigned len, uint8_t af, uint16_t most);

#define MSS_SYN 0x02

/* Could it be a SYN? Almost all that is none costs no more than this. */
static inline void mss_clamp(uint8_t *ip, unsigned len, uint8_t af, uint16_t most)
{
	uint8_t proto = af == AF_INET ? ip[9] : ip[6];
	unsigned head = af == AF_INET ? 20 : 40;

	if (!most || proto == IPPROTO_UDP || (af == AF_INET && proto != IPPROTO_TCP))
		return;
	if (proto == IPPROTO_TCP && (af == AF_INET6 || ip[0] == 0x45) &&
		(len < head + 20 || !(ip[head + 13] & MSS_SYN)))
		return;
	mss_lower(ip, len, af, most);
}

#endif
