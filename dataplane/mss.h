/* TCP's maximum segment size, lowered to what fits into a tunnel: mss.c. */
#ifndef LINTAS_MSS_H
#define LINTAS_MSS_H

#include <netinet/in.h>
#include <stdint.h>

/* The len bytes of an IP packet at ip, whose header has been checked; may write to them. */
void mss_lower(uint8_t *ip, unsigned len, uint8_t af, uint16_t most);

/* Could it be TCP? Almost all that is not costs no more than this. */
static inline void mss_clamp(uint8_t *ip, unsigned len, uint8_t af, uint16_t most)
{
	uint8_t proto = af == AF_INET ? ip[9] : ip[6];

	if (most && (proto == IPPROTO_TCP || (af == AF_INET6 && proto != IPPROTO_UDP)))
		mss_lower(ip, len, af, most);
}

#endif
