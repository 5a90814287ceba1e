/* The header an adjacency prepends, taken apart layer by layer for `route get`: Ethernet, VLAN
 * tags, outer IPv4 or IPv6, then what kind of tunnel it is: UDP, VXLAN or GENEVE and the inner
 * Ethernet, or GRE. Where the type of a layer depends on the packet it is left zero by the fast
 * path, and the walk ends there. Never reads past len. */
#include <string.h>
#include <netinet/in.h>
#include "views.h"

struct cut {
	const uint8_t *p;
	unsigned left;
	json_t *layers;
};

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static json_t *addr_at(const uint8_t *p, uint8_t af)
{
	struct ip_addr addr = { .af = af };

	memcpy(addr.bytes, p, ip_size(af));
	return view_addr(&addr);
}

static void take(struct cut *c, unsigned n, json_t *layer)
{
	json_array_append_new(c->layers, layer);
	c->p += n;
	c->left -= n;
}

/* Ethernet and its tags; returns the EtherType that follows, 0 when it is left to the packet. */
static unsigned cut_ethernet(struct cut *c)
{
	unsigned type;

	if (c->left < 14)
		return 0;
	type = be16(c->p + 12);
	take(c, 14,
		json_pack("{s:s, s:o, s:o}", "layer", "ethernet", "dst", view_mac(c->p), "src",
			view_mac(c->p + 6)));
	while ((type == 0x8100 || type == 0x88a8) && c->left >= 4) {
		unsigned tci = be16(c->p), tpid = type;

		type = be16(c->p + 2);
		take(c, 4,
			json_pack("{s:s, s:o, s:i}", "layer", "vlan", "tpid",
				json_sprintf("0x%04x", tpid), "vid", (int)(tci & 0xfff)));
	}
	return type;
}

/* Returns the protocol that follows; 0: it is no IP header, or the packet decides. */
static unsigned cut_ip(struct cut *c, unsigned type)
{
	bool six = type == 0x86dd;
	unsigned len = six ? 40 : 20, addr = six ? 8 : 12, proto;
	uint8_t af = six ? AF_INET6 : AF_INET;

	if ((!six && type != 0x0800) || c->left < len)
		return 0;
	proto = c->p[six ? 6 : 9];
	take(c, len,
		json_pack("{s:s, s:o, s:o, s:i}", "layer", six ? "ipv6" : "ipv4", "src",
			addr_at(c->p + addr, af), "dst", addr_at(c->p + addr + ip_size(af), af),
			"ttl", c->p[six ? 7 : 8]));
	return proto;
}

/* VXLAN or GENEVE: their headers are alike where this looks. */
static void cut_udp(struct cut *c, const char *name)
{
	if (c->left < 16)
		return;
	take(c, 8, json_pack("{s:s, s:i}", "layer", "udp", "dport", (int)be16(c->p + 2)));
	take(c, 8,
		json_pack(
			"{s:s, s:i}", "layer", name, "vni", (int)(be16(c->p + 4) << 8 | c->p[6])));
	cut_ethernet(c);
}

static void cut_gre(struct cut *c)
{
	unsigned len = 4, key = 4;
	json_t *layer;

	if (c->left < 4)
		return;
	if (c->p[0] & 0x80) {
		len += 4;
		key += 4;
	}
	layer = json_pack("{s:s}", "layer", "gre");
	if (c->p[0] & 0x20) {
		len += 4;
		if (c->left >= len)
			json_object_set_new(layer, "key",
				json_integer(
					(json_int_t)be16(c->p + key) << 16 | be16(c->p + key + 2)));
	}
	take(c, c->left < len ? c->left : len, layer);
}

json_t *view_header(const uint8_t *header, unsigned len, enum cfg_encap encap)
{
	struct cut c = { .p = header, .left = len, .layers = json_array() };
	unsigned proto = cut_ip(&c, cut_ethernet(&c));

	if (proto == IPPROTO_UDP && (encap == CFG_ENCAP_VXLAN || encap == CFG_ENCAP_GENEVE))
		cut_udp(&c, encap == CFG_ENCAP_VXLAN ? "vxlan" : "geneve");
	else if (proto == IPPROTO_GRE)
		cut_gre(&c);
	return c.layers;
}
