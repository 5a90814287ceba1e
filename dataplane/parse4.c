/* IPv4 header checks, one by one: what parse.c sends here is not plain, and is either wrong, and
 * then named, or unusual: a fragment, options, a broadcast, an address that might be ours.
 *
 * RFC 1812 5.2.2 numbers five checks. They are made in its order but for the checksum, whose extent
 * is known only once version and header length are. Only two faults are answered (RFC
 * 1812 5.2.2, 4.3.3.5): a total length beyond the frame and a malformed option. Source routes are
 * dropped (RFC 7126 4.3), other options leave a note for rewrite.c, which forwards them within a
 * budget. */
#include "csum.h"
#include "flow.h"
#include "icmp.h"
#include "parse.h"
#include "route.h"
#include "vrf.h"

#define PTR_TOTAL_LENGTH 2

#define OPT_END	      0
#define OPT_NOP	      1
#define OPT_RR	      7
#define OPT_TIMESTAMP 68
#define OPT_LSRR      131
#define OPT_SSRR      137

bool ip4_martian_src(uint32_t addr)
{
	uint32_t net = addr >> 24;

	return net == 0 || net == 127 || net >= 224;
}

/* RFC 1812 5.3.7, 4.2.2.11; the limited broadcast is none. */
static bool martian_dst(uint32_t addr)
{
	uint32_t net = addr >> 24;

	return net == 0 || net == 127 || (net >= 240 && addr != UINT32_MAX);
}

/* Is the record route or timestamp option at o, length len, well formed? RFC 791 3.1: a pointer
 * that names no slot boundary, or a slot that is not all there. */
static bool recording_option_valid(const uint8_t *o, unsigned len)
{
	unsigned first = o[0] == OPT_RR ? 4 : 5;

	if (len < first - 1 || o[2] < first || (o[2] - first) % 4)
		return false;
	return o[2] > len || o[2] + 3u <= len;
}

/* The offset of the first malformed option, 0 when all are well; *ret_source_route when one is
 * there. */
static unsigned options_check(const uint8_t *ip, unsigned hlen, bool *ret_source_route)
{
	unsigned i = IP4_MIN;

	while (i < hlen && ip[i] != OPT_END) { /* at most 40 rounds */
		if (ip[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= hlen || ip[i + 1] < 2 || i + ip[i + 1] > hlen)
			return i; /* length 0, 1 or past the header */
		if (ip[i] == OPT_LSRR || ip[i] == OPT_SSRR)
			*ret_source_route = true;
		else if (ip[i] == OPT_RR || ip[i] == OPT_TIMESTAMP)
			if (ip[i + 1] < 3 || !recording_option_valid(ip + i, ip[i + 1]))
				return i;
		i += ip[i + 1];
	}
	return 0;
}

static bool header_check(struct worker *w, struct packet *k, unsigned room)
{
	const uint8_t *ip = k->ip;
	unsigned hlen, total;
	enum dp_drop reason;

	reason = DP_DROP_ip4_short;
	if (room < IP4_MIN) /* (1) the link layer's length holds a minimal header */
		goto bad;
	reason = DP_DROP_ip4_version;
	if (ip[0] >> 4 != 4) /* (3) version */
		goto bad;
	reason = DP_DROP_ip4_ihl;
	hlen = (ip[0] & 15u) * 4;
	if (hlen < IP4_MIN) /* (4) header length */
		goto bad;
	reason = DP_DROP_ip4_short;
	if (hlen > room) /* (1) again: this header, before anything sums it up */
		goto bad;
	reason = DP_DROP_ip4_csum;
	if (rte_raw_cksum(ip, hlen) !=
		0xffff) /* (2) checksum; in software, whatever the NIC says */
		goto bad;
	reason = DP_DROP_ip4_totlen;
	total = flow_be16(ip + 2);
	if (total < hlen) /* (5) total length */
		goto bad;
	k->len = (uint16_t)total;
	reason = DP_DROP_ip4_trunc;
	if (total > room) { /* 5.2.2, last paragraph: cut on the way; SHOULD be answered */
		k->len = (uint16_t)room;
		icmp_error(w, k, ICMP_PARAMETER, PTR_TOTAL_LENGTH, reason);
		return false;
	}
	reason = DP_DROP_frag_long;
	if ((flow_be16(ip + 6) & IP4_OFFSET) * 8u + total > UINT16_MAX)
		goto bad; /* RFC 791 3.2: would reassemble to more than a datagram may be */
	return true;
bad:
	drop(w, k->m, k->in, reason);
	return false;
}

static bool source_check(struct worker *w, const struct packet *k, const struct vrf_fib *vrf)
{
	uint32_t src = flow_be32(k->ip + 12), dst = flow_be32(k->ip + 16);

	if (ip4_martian_src(src)) { /* RFC 1812 5.3.7 */
		drop(w, k->m, k->in, DP_DROP_ip4_martian_src);
		return false;
	}
	if (martian_dst(dst)) {
		drop(w, k->m, k->in, DP_DROP_ip4_martian_dst);
		return false;
	}
	/* RFC 1812 5.3.8: from ourselves, or to itself (LAND) */
	if (src == dst ||
		(vrf_may_own(vrf, vrf_own_bit4(rte_cpu_to_be_32(src))) &&
			route_group_adj(route_lookup(vrf, AF_INET, k->ip + 12), 0)->kind ==
				DP_ADJ_LOCAL)) {
		drop(w, k->m, k->in, DP_DROP_ip4_self_src);
		return false;
	}
	return true;
}

/* Multicast and broadcast, by IP or by link layer. False: dealt with. */
static bool destination_check(struct worker *w, struct pass *p, const struct packet *k,
	const struct link *l, const struct vrf_fib *vrf)
{
	uint32_t dst = flow_be32(k->ip + 16);

	if (dst == UINT32_MAX ||
		dst >> 8 == 0xe00000) { /* local only: RFC 1812 5.3.5.1, RFC 5771 4 */
		local_deliver(w, p, k);
		return false;
	}
	if (dst >> 28 == 0xe) {
		drop(w, k->m, k->in, DP_DROP_ip4_mcast);
		return false;
	}
	if (k->note &
		NOTE_MULTI) { /* RFC 1812 5.3.4: only a broadcast of that very link may come so */
		const struct adj *a = route_group_adj(route_lookup(vrf, AF_INET, k->ip + 16), 0);
		if (a->kind != DP_ADJ_BROADCAST || a->link != l->conf.id) {
			drop(w, k->m, k->in, DP_DROP_ip4_l2bcast);
			return false;
		}
	}
	return true;
}

bool parse4_check(struct worker *w, struct pass *p, struct packet *k, unsigned room,
	const struct link *l, const struct vrf_fib *vrf)
{
	unsigned hlen, bad;
	bool source_route = false;

	if (!header_check(w, k, room) || !source_check(w, k, vrf))
		return false;
	hlen = (k->ip[0] & 15u) * 4;
	if (hlen > IP4_MIN) {
		bad = options_check(k->ip, hlen, &source_route);
		if (source_route) {
			drop(w, k->m, k->in, DP_DROP_ip4_opt_sr);
			return false;
		}
		if (bad) {
			icmp_error(w, k, ICMP_PARAMETER, bad, DP_DROP_ip4_opt_bad);
			return false;
		}
		k->note |= NOTE_OPTIONS;
	}
	return destination_check(w, p, k, l, vrf);
}
