/* encap: everything that is different from one kind of tunnel to the next. The header a link sends,
 * prebuilt for the snapshot; what of it depends on the packet; and the header of a packet that
 * arrives, read with every check that its RFC asks for.
 *
 *   VXLAN   RFC 7348   UDP, an Ethernet frame inside
 *   GENEVE  RFC 8926   UDP, an Ethernet frame or IP inside, options between
 *   GRE     RFC 2784, 2890   IP protocol 47, IP inside
 *   IPIP    RFC 2003, 2473, 4213   IP protocol 4 or 41, IP inside
 *
 * A link is found by (underlay VRF, kind, local, remote, UDP port, VNI or key): all of it, so a
 * packet of another VRF, from another peer or with another key is nobody's. GRE without a key is
 * another kind than GRE with key 0. What is optional and may be ignored is skipped with its length
 * checked; what must be understood and is not is refused (tun_bad; GENEVE's critical options and
 * control packets under names of their own). A checksum that is there is verified. */
#include "encap.h"
#include "mss.h"

#define TTL 64 /* RFC 1700; also what dp_tunnel calls 0 */

#define VXLAN_VNI_VALID 0x08
#define GENEVE_OAM	0x80
#define GENEVE_CRITICAL 0x80
#define GENEVE_OPTION	4 /* bytes of an option's own header */

#define GRE_CHECKSUM 0x8000
#define GRE_KEY	     0x2000
/* RFC 2784 2.3: bits 1 to 5 but the key's (routing, sequence, strict route, recursion) and the
 * version; bits 6 to 12 are ignored. */
#define GRE_REFUSED 0x5c07
#define GRE_IGNORED 0x03f8

/* ---- a packet that arrives ---- */

static __rte_noinline bool checksum_right(const struct packet *k, const uint8_t *udp, unsigned len)
{
	return csum_l4(k->ip, k->af, udp, len, IPPROTO_UDP) == 0xffff;
}

/* Length of the UDP datagram, 0 when it is wrong or its checksum is; at least so many more than its
 * header. RFC 6935: over IPv6 too a tunnel's checksum may be missing. */
static __rte_always_inline unsigned udp_length(
	const struct packet *k, unsigned room, unsigned least)
{
	const uint8_t *udp = k->ip + k->l4 * 4;
	unsigned len;

	if (room < UDP_LEN + least)
		return 0;
	len = flow_be16(udp + 4);
	if (len < UDP_LEN + least || len > room)
		return 0;
	if (unlikely(udp[6] | udp[7]) && !checksum_right(k, udp, len))
		return 0;
	return len;
}

/* What tells one tunnel from the next, but its ends. */
struct who {
	enum tunnel_kind kind;
	uint16_t port;
	uint32_t vni;
};

static __rte_always_inline bool open_vxlan(
	const struct packet *k, unsigned room, struct encap_inner *in, struct who *who)
{
	const uint8_t *h = k->ip + k->l4 * 4 + UDP_LEN;
	unsigned len = udp_length(k, room, VXLAN_LEN);

	if (!len || !(h[0] & VXLAN_VNI_VALID)) /* RFC 7348 5: the I flag */
		return false;
	who->vni = flow_be32(h + 4) >> 8;
	in->at = (uint16_t)(k->l4 * 4 + UDP_LEN + VXLAN_LEN);
	in->len = (uint16_t)(len - UDP_LEN - VXLAN_LEN);
	return true;
}

/* RFC 8926 3.5: well formed, and none that we would have to understand. */
static bool geneve_options(const uint8_t *o, unsigned len, struct encap_inner *in)
{
	for (unsigned size; len; o += size, len -= size) {
		if (len < GENEVE_OPTION)
			return false;
		size = GENEVE_OPTION + (o[3] & 31u) * 4;
		if (size > len)
			return false;
		if (o[2] & GENEVE_CRITICAL) {
			in->bad = DP_DROP_tun_option;
			return false;
		}
	}
	return true;
}

static __rte_noinline bool open_geneve(
	const struct packet *k, unsigned room, struct encap_inner *in, struct who *who)
{
	const uint8_t *h = k->ip + k->l4 * 4 + UDP_LEN;
	unsigned len = udp_length(k, room, GENEVE_LEN), options;

	if (!len || h[0] >> 6) /* version 0 */
		return false;
	options = (h[0] & 63u) * 4;
	if (len < UDP_LEN + GENEVE_LEN + options || !geneve_options(h + GENEVE_LEN, options, in))
		return false;
	if (h[1] & GENEVE_OAM) { /* 3.4: not to be forwarded; we speak no control protocol */
		in->bad = DP_DROP_tun_control;
		return false;
	}
	in->type = flow_be16(h + 2);
	who->vni = flow_be32(h + 4) >> 8;
	in->at = (uint16_t)(k->l4 * 4 + UDP_LEN + GENEVE_LEN + options);
	in->len = (uint16_t)(len - UDP_LEN - GENEVE_LEN - options);
	return true;
}

static __rte_always_inline bool open_gre(
	const struct packet *k, unsigned room, struct encap_inner *in, struct who *who)
{
	const uint8_t *h = k->ip + k->l4 * 4;
	unsigned flags, size = GRE_LEN;

	if (room < GRE_LEN)
		return false;
	flags = flow_be16(h);
	in->type = flow_be16(h + 2);
	who->kind = TUNNEL_GRE;
	if (unlikely(flags & ~GRE_IGNORED)) {
		if (flags & GRE_REFUSED)
			return false;
		size += (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0);
		if (room < size || ((flags & GRE_CHECKSUM) && rte_raw_cksum(h, room) != 0xffff))
			return false;
		if (flags & GRE_KEY) {
			who->kind = TUNNEL_GRE_KEY;
			who->vni = flow_be32(h + size - 4);
		}
	}
	in->at = (uint16_t)(k->l4 * 4 + size);
	in->len = (uint16_t)(room - size);
	return in->type == RTE_ETHER_TYPE_IPV4 || in->type == RTE_ETHER_TYPE_IPV6;
}

static __rte_always_inline bool open_udp(const struct snapshot *s, const struct packet *k,
	unsigned room, struct encap_inner *in, struct who *who)
{
	who->port = flow_be16(k->ip + k->l4 * 4 + 2);
	who->kind = tunnel_port(s, who->port);
	return likely(who->kind == TUNNEL_VXLAN) ? open_vxlan(k, room, in, who)
						 : open_geneve(k, room, in, who);
}

/* Of GENEVE: IP where the link has IP inside, frames where it has frames. */
static bool geneve_type(const struct link *l, struct encap_inner *in)
{
	if (l->plain)
		return in->type == RTE_ETHER_TYPE_IPV4 || in->type == RTE_ETHER_TYPE_IPV6;
	if (in->type != RTE_ETHER_TYPE_TEB)
		return false;
	in->type = 0;
	return true;
}

/* af: constant where this is inlined. */
static __rte_always_inline bool open_as(
	const struct snapshot *s, const struct packet *k, struct encap_inner *in, uint8_t af)
{
	const uint8_t *remote = k->ip + (af == AF_INET ? 12 : 8);
	const struct link *under = snapshot_link_at(s, k->in), *l;
	unsigned room = k->len - k->l4 * 4u, at;
	struct who who = { .kind = TUNNEL_IPIP };

	in->bad = DP_DROP_tun_bad;
	in->type = 0;
	if (k->proto == IPPROTO_UDP) {
		if (!open_udp(s, k, room, in, &who))
			return false;
	} else if (k->proto == PROTO_GRE) {
		if (!open_gre(k, room, in, &who))
			return false;
	} else {
		in->type = k->proto == PROTO_IPIP ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
		in->at = (uint16_t)(k->l4 * 4);
		in->len = (uint16_t)room;
	}
	const struct tunnel_key key = tunnel_key(
		af, who.kind, remote + ip_size(af), remote, who.vni, under->conf.vrf, who.port);
	if (!tunnel_same(&in->key, &key, af)) {
		at = tunnel_find(s, &key, af)->at;
		in->link = at ? &s->links[at - 1] : NULL;
		in->key = key;
	}
	l = in->link;
	if (unlikely(who.kind == TUNNEL_GENEVE) && l && !geneve_type(l, in))
		return false;
	return l;
}

bool encap_open(const struct snapshot *s, const struct packet *k, struct encap_inner *in)
{
	return likely(k->af == AF_INET) ? open_as(s, k, in, AF_INET) : open_as(s, k, in, AF_INET6);
}

/* ---- what a link sends ---- */

bool encap_valid(const struct dp_link *l)
{
	const struct dp_tunnel *t = &l->tunnel;

	if (t->underlay_vrf >= DP_VRFS_MAX || t->underlay_adj >= DP_ADJS_MAX ||
		t->local.af != t->remote.af || (t->local.af != AF_INET && t->local.af != AF_INET6))
		return false;
	if ((t->dscp > 63 && t->dscp != DP_DSCP_COPY) || t->df > DP_DF_CLEAR)
		return false;
	switch (l->encap) {
	case DP_ENCAP_VXLAN:
		return t->inner_ether && t->vni < 1u << 24 && t->udp_port;
	case DP_ENCAP_GENEVE:
		return t->vni < 1u << 24 && t->udp_port;
	case DP_ENCAP_GRE:
		return !t->inner_ether && (t->keyed || !t->vni);
	default:
		return !t->inner_ether;
	}
}

/* Length, checksum, traffic class and what else encap_fill writes stay zero. Returns its length. */
static unsigned build_ip(uint8_t *h, const struct dp_tunnel *t, uint8_t proto)
{
	uint8_t ttl = t->ttl ? t->ttl : TTL;

	if (t->local.af == AF_INET) {
		h[0] = 0x45;
		h[6] = t->df == DP_DF_SET ? IP4_DF >> 8 : 0;
		h[8] = ttl;
		h[9] = proto;
		memcpy(h + 12, t->local.bytes, 4);
		memcpy(h + 16, t->remote.bytes, 4);
		return IP4_MIN;
	}
	h[0] = 0x60;
	h[6] = proto;
	h[7] = ttl;
	memcpy(h + 8, t->local.bytes, 16);
	memcpy(h + 24, t->remote.bytes, 16);
	return IP6_LEN;
}

static void put_vni(uint8_t *p, uint32_t vni)
{
	p[0] = (uint8_t)(vni >> 16);
	encap_be16(p + 1, (uint16_t)vni);
}

static unsigned build_udp(uint8_t *h, const struct dp_link *c, struct encap *e)
{
	const struct dp_tunnel *t = &c->tunnel;

	encap_be16(h + 2, t->udp_port);
	e->fill |= FILL_UDP | FILL_FLOW | FILL_TYPE;
	if (t->checksum && t->local.af == AF_INET6)
		e->fill |= FILL_SUM;
	e->type_back = 2; /* of the inner Ethernet header */
	h += UDP_LEN;
	if (c->encap == DP_ENCAP_VXLAN) {
		h[0] = VXLAN_VNI_VALID;
	} else if (t->inner_ether) {
		encap_be16(h + 2, RTE_ETHER_TYPE_TEB);
	} else {
		e->type_back = GENEVE_LEN - 2;
	}
	put_vni(h + 4, t->vni);
	return UDP_LEN + GENEVE_LEN;
}

static unsigned build_gre(uint8_t *h, const struct dp_tunnel *t, struct encap *e)
{
	unsigned n = GRE_LEN;

	e->fill |= FILL_TYPE;
	if (t->checksum) {
		h[0] |= GRE_CHECKSUM >> 8;
		e->fill |= FILL_SUM;
		n += 4;
	}
	if (t->keyed) {
		h[0] |= GRE_KEY >> 8;
		encap_be16(h + n, t->vni >> 16);
		encap_be16(h + n + 2, (uint16_t)t->vni);
		n += 4;
	}
	e->type_back = (uint8_t)(n - 2);
	return n;
}

static uint8_t proto_of(const struct dp_link *c)
{
	switch (c->encap) {
	case DP_ENCAP_VXLAN:
	case DP_ENCAP_GENEVE:
		return IPPROTO_UDP;
	case DP_ENCAP_GRE:
		return PROTO_GRE;
	case DP_ENCAP_ESP:
		return PROTO_ESP;
	default:
		return 0; /* IP in IP: by what is inside */
	}
}

void encap_build(struct link *l)
{
	const struct dp_link *c = &l->conf;
	const struct dp_tunnel *t = &c->tunnel;
	struct encap *e = &l->encap;
	unsigned n = build_ip(l->tun, t, proto_of(c));

	*e = (struct encap){ .af = t->local.af, .tos_mask = 0xff };
	if (t->dscp != DP_DSCP_COPY) {
		e->tos_mask = 3;
		e->tos_set = (uint8_t)(t->dscp << 2);
	}
	if (t->local.af == AF_INET6)
		e->fill |= FILL_FLOW;
	else if (t->df != DP_DF_SET)
		e->fill |= t->df == DP_DF_COPY ? FILL_DF | FILL_COPY : FILL_DF;
	if (c->encap == DP_ENCAP_VXLAN || c->encap == DP_ENCAP_GENEVE)
		n += build_udp(l->tun + n, c, e);
	else if (c->encap == DP_ENCAP_GRE)
		n += build_gre(l->tun + n, t, e);
	else if (c->encap == DP_ENCAP_IPIP)
		e->fill |= FILL_PROTO;
	e->mss4 = t->mss4;
	e->mss6 = t->mss6;
	if (e->type_back == 2 && e->fill == (FILL_UDP | FILL_FLOW | FILL_TYPE))
		e->straight = STRAIGHT_UDP;
	else if (e->type_back == 2 && (e->fill & ~FILL_FLOW) == FILL_TYPE)
		e->straight = STRAIGHT_GRE;
	l->tun_len = (uint8_t)n;
}

/* ---- what depends on the packet ---- */

/* RFC 6864 4: whoever lets a packet be cut numbers it; several workers may take the same number at
 * the same time, they begin apart and a datagram's pieces are seconds from any other's. */
static uint16_t next_id(void)
{
	static __thread uint16_t id;

	if (unlikely(!id))
		id = (uint16_t)rte_rdtsc();
	return ++id;
}

/* May the outer packet be cut? IPv6 inside may not be. Returns what the header's sum gains. */
static uint32_t fill_df(const struct encap *e, uint8_t *outer, const uint8_t *inner, uint8_t af)
{
	bool df = e->fill & FILL_COPY && (af != AF_INET || flow_be16(inner + 6) & IP4_DF);
	uint16_t id = df ? 0 : next_id();

	encap_be16(outer + 4, id);
	encap_be16(outer + 6, df ? IP4_DF : 0);
	return rte_cpu_to_be_16(id) + (df ? RTE_BE16(IP4_DF) : 0u);
}

void encap_clear_df(uint8_t *outer)
{
	uint16_t sum;

	encap_be16(outer + 4, next_id());
	encap_be16(outer + 6, 0);
	encap_be16(outer + 10, 0);
	sum = (uint16_t)~rte_raw_cksum(outer, IP4_MIN);
	memcpy(outer + 10, &sum, sizeof(sum));
}

static void fill_sum(const struct encap *e, const uint8_t *outer, uint8_t *l4, unsigned len)
{
	bool udp = e->fill & FILL_UDP;
	uint8_t *at = l4 + (udp ? 6 : GRE_LEN);
	uint16_t sum;

	memset(at, 0, sizeof(sum));
	sum = (uint16_t) ~(
		udp ? csum_l4(outer, e->af, l4, len, IPPROTO_UDP) : rte_raw_cksum(l4, len));
	if (udp && !sum) /* RFC 768: zero would say there is none */
		sum = 0xffff;
	memcpy(at, &sum, sizeof(sum));
}

void encap_fill(const struct encap *e, uint8_t *outer, unsigned total, uint8_t *inner, uint8_t af,
	uint32_t hash, uint32_t sum)
{
	bool v4 = e->af == AF_INET;
	uint8_t *l4 = outer + (v4 ? IP4_MIN : IP6_LEN);
	uint8_t tos = encap_outer_tos(e, af ? encap_tos(inner, af) : 0);

	if (af)
		mss_clamp(inner, total - (unsigned)(inner - outer), af,
			af == AF_INET ? e->mss4 : e->mss6);
	if (e->fill & FILL_PROTO) {
		uint8_t proto = af == AF_INET ? PROTO_IPIP : PROTO_IP6;

		outer[v4 ? 9 : 6] = proto;
		sum += rte_cpu_to_be_16(proto);
	}
	if (e->fill & FILL_DF)
		sum += fill_df(e, outer, inner, af);
	encap_fill_ip(outer, e->af, total, tos, hash, sum);
	if (e->fill & FILL_UDP)
		encap_fill_udp(l4, total - (unsigned)(l4 - outer), hash);
	if ((e->fill & FILL_TYPE) && af) {
		uint16_t type = af == AF_INET ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
					      : RTE_BE16(RTE_ETHER_TYPE_IPV6);

		memcpy(inner - e->type_back, &type, sizeof(type));
	}
	if (e->fill & FILL_SUM)
		fill_sum(e, outer, l4, total - (unsigned)(l4 - outer));
}
