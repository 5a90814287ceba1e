/* TCP MSS clamping: what a SYN or SYN/ACK through a tunnel promises to take is lowered to what fits
 * into the tunnel, so that the two ends need no ICMP to find out (RFC 4459 3.2; RFC 9293 3.7.1).
 *
 * In both directions: into the tunnel when the outer header is put before the packet, out of it
 * when that has been taken off. Never raised, never added; other options, and everything when the
 * header is not all there, stay as they are. Every length is checked before it is followed. A
 * fragment after the first has no header to look at. The checksum is adjusted for the two bytes
 * (RFC 1624), which may stand across a word's boundary. */
#include "csum.h"
#include "encap.h"
#include "flow.h"
#include "mss.h"
#include "parse.h"

#define TCP_MIN	    20
#define TCP_FLAGS   13
#define TCP_CSUM    16
#define OPT_END	    0
#define OPT_NOP	    1
#define OPT_MSS	    2
#define OPT_MSS_LEN 4

/* Offset of the TCP header; 0: there is none, or not in this packet. */
static unsigned find_tcp(const uint8_t *ip, unsigned len, uint8_t af)
{
	struct ip6_l4 l4;

	if (af == AF_INET)
		return flow_be16(ip + 6) & IP4_OFFSET ? 0 : (ip[0] & 15u) * 4;
	if (ip[6] == IPPROTO_TCP)
		return IP6_LEN;
	if (ip6_walk(ip, (uint16_t)len, &l4) || l4.proto != IPPROTO_TCP ||
		l4.frag == IP6_FRAG_LATER)
		return 0;
	return l4.off;
}

/* odd: it begins at an odd offset, so its two bytes are in two words, each in the other half. */
static void replace(uint8_t *tcp, uint8_t *at, uint16_t most, bool odd)
{
	uint16_t was = flow_be16(at), is = most, sum;

	encap_be16(at, most);
	if (odd) {
		was = rte_bswap16(was);
		is = rte_bswap16(is);
	}
	sum = csum_fold((uint64_t)(uint16_t)~flow_be16(tcp + TCP_CSUM) + (uint16_t)~was + is);
	encap_be16(tcp + TCP_CSUM, (uint16_t)~sum);
}

void mss_lower(uint8_t *ip, unsigned len, uint8_t af, uint16_t most)
{
	unsigned off = find_tcp(ip, len, af), size, head;
	uint8_t *tcp = ip + off;

	if (!off || off + TCP_MIN > len || !(tcp[TCP_FLAGS] & MSS_SYN))
		return;
	head = (tcp[12] >> 4) * 4u;
	if (head < TCP_MIN || off + head > len)
		return;
	for (unsigned i = TCP_MIN; i < head && tcp[i] != OPT_END; i += size) { /* at most 40 */
		size = 1;
		if (tcp[i] == OPT_NOP)
			continue;
		if (i + 1 >= head || tcp[i + 1] < 2 || i + tcp[i + 1] > head)
			return;
		size = tcp[i + 1];
		if (tcp[i] == OPT_MSS && size == OPT_MSS_LEN && flow_be16(tcp + i + 2) > most)
			replace(tcp, tcp + i + 2, most, i % 2);
	}
}
