/* IPv6 header checks, one by one, and the walk along extension headers.
 *
 * Routers do not look behind the IPv6 header (RFC 8200 4): hop-by-hop options are ignored, as its
 * section 4.3 permits, and the chain is walked only where something needs what lies behind it:
 * local delivery, the flow hash, and whether an error would answer an error. That walk is bounded
 * in headers and in bytes (RFC 7112, RFC 8883), because a chain costs its reader and not its
 * sender. */
#include <errno.h>
#include "flow.h"
#include "icmp.h"
#include "parse.h"
#include "route.h"
#include "vrf.h"

#define SCOPE_RESERVED	 0
#define SCOPE_LINK_LOCAL 2

/* RFC 4291 2.5.2, 2.5.3, 2.5.5.2: unspecified, loopback, IPv4-mapped. */
bool ip6_martian_addr(const uint8_t *a)
{
	static const uint8_t zero[10];

	if (memcmp(a, zero, 10))
		return false;
	if (a[10] == 0xff && a[11] == 0xff)
		return true;
	return !a[10] && !a[11] && !a[12] && !a[13] && !a[14] && a[15] <= 1;
}

static bool unspecified(const uint8_t *a)
{
	static const uint8_t zero[16];

	return !memcmp(a, zero, 16);
}

static bool header_check(struct worker *w, struct packet *k, unsigned room)
{
	enum dp_drop reason = DP_DROP_ip6_short;
	unsigned payload;

	if (room < IP6_LEN) /* RFC 8200 3 */
		goto bad;
	reason = DP_DROP_ip6_version;
	if (k->ip[0] >> 4 != 6)
		goto bad;
	reason = DP_DROP_ip6_trunc;
	payload = flow_be16(k->ip + 4);
	if (payload + IP6_LEN > room || payload + IP6_LEN > UINT16_MAX)
		goto bad;
	if (!payload &&
		k->ip[6] != IPPROTO_NONE) /* RFC 2675: a jumbogram, or a header that is not there */
		goto bad;
	k->len = (uint16_t)(payload + IP6_LEN);
	return true;
bad:
	drop(w, k->m, k->in, reason);
	return false;
}

static bool address_check(struct worker *w, const struct packet *k, const struct vrf_fib *vrf)
{
	const uint8_t *src = k->ip + 8, *dst = k->ip + 24;
	/* RFC 4861 4.3: a node without an address yet asks its link, and nobody else */
	bool asking = unspecified(src) && dst[0] == 0xff && dst[1] == SCOPE_LINK_LOCAL;

	if (src[0] == 0xff || (ip6_martian_addr(src) && !asking) || ip6_martian_addr(dst) ||
		(dst[0] == 0xff && (dst[1] & 15) == SCOPE_RESERVED)) { /* RFC 4291 2.7 */
		drop(w, k->m, k->in, DP_DROP_ip6_martian);
		return false;
	}
	if (!memcmp(src, dst, 16) ||
		(vrf_may_own(vrf, vrf_own_bit6(src)) &&
			route_group_adj(route_lookup(vrf, AF_INET6, src), 0)->kind ==
				DP_ADJ_LOCAL)) {
		drop(w, k->m, k->in, DP_DROP_ip6_self_src);
		return false;
	}
	return true;
}

static bool link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

bool parse6_check(struct worker *w, struct pass *p, struct packet *k, unsigned room,
	const struct link *l, const struct vrf_fib *vrf)
{
	const uint8_t *dst;

	(void)l;
	if (!header_check(w, k, room) || !address_check(w, k, vrf))
		return false;
	dst = k->ip + 24;
	if (dst[0] == 0xff) {
		if (dst[1] == SCOPE_LINK_LOCAL) /* ff02::/16 */
			local_deliver(w, p, k);
		else
			drop(w, k->m, k->in, DP_DROP_ip6_scope);
		return false;
	}
	if (k->note & NOTE_MULTI) { /* RFC 4443 2.4 (e.4) */
		drop(w, k->m, k->in, DP_DROP_ip6_l2bcast);
		return false;
	}
	if (link_local(dst)) { /* RFC 4291 2.5.6: to our MAC, so to our interface; never routed */
		local_deliver(w, p, k);
		return false;
	}
	if (link_local(k->ip + 8))
		k->note |= NOTE_SCOPE;
	return true;
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
}

int ip6_walk(const uint8_t *ip, uint16_t len, struct ip6_l4 *ret_l4)
{
	struct ip6_l4 *r = ret_l4;

	*r = (struct ip6_l4){ .proto = ip[6], .off = IP6_LEN };
	for (unsigned i = 0; is_extension(r->proto); i++) {
		const uint8_t *h = ip + r->off;
		unsigned size;

		if (r->off + 8u > len)
			return -ENODATA;
		if (r->proto == IPPROTO_FRAGMENT)
			size = 8;
		else if (r->proto == IPPROTO_AH)
			size = (h[1] + 2u) * 4;
		else
			size = (h[1] + 1u) * 8;
		if (i == IP6_CHAIN_HEADERS || r->off + size > IP6_LEN + IP6_CHAIN_BYTES)
			return -E2BIG;
		if (r->off + size > len)
			return -ENODATA;
		if (r->proto == IPPROTO_ROUTING && h[3] && !r->rh)
			r->rh = r->off;
		if (r->proto == IPPROTO_FRAGMENT) {
			unsigned field = flow_be16(h + 2);
			r->atomic = true;
			if (field & 1 || field >> 3)
				r->frag = field >> 3 ? IP6_FRAG_LATER : IP6_FRAG_FIRST;
		}
		r->proto = h[0];
		r->off += size;
		if (r->frag == IP6_FRAG_LATER) /* what follows is not a header */
			return 0;
	}
	return 0;
}
