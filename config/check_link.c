/* Rules of one link by itself, and of what links claim for themselves from ports and underlays.
 *
 * A link is Ethernet on a circuit or a tunnel over another link, never both, never neither; what
 * belongs to the other kind is refused rather than ignored. A claim is what tells a link's packets
 * from another's on the same wire: port and tags, or VRF, ends, UDP port and VNI (key) of a tunnel.
 * Two links with one claim would share their packets by chance, so claims are sorted and equal
 * neighbours refused. */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "pool.h"
#include "prov.h"

#define IP4_MTU_MIN 68	 /* RFC 791 3.2 */
#define IP6_MTU_MIN 1280 /* RFC 8200 5 */
#define NO_PORT	    65536

static const char *at(char *buf, size_t size, const struct cfg_link *link, const char *key)
{
	snprintf(buf, size, "links.%s%s%s", link->name, *key ? "." : "", key);
	return buf;
}

#define AT(key) at(path, sizeof(path), link, key)

/* ---- kind ---- */

static void kind(const struct parse *p, const struct cfg_link *link)
{
	char path[80];
	bool circuit = parse_given(p, AT("circuit")), underlay = parse_given(p, AT("underlay"));
	bool encap = parse_given(p, AT("encap")), vlan = parse_given(p, AT("vlan"));

	/* "tunnels" is refused by name; it stands for an encapsulation */
	if (!circuit && !underlay)
		parse_error(p, AT(""), "needs 'circuit' (Ethernet) or 'underlay' (tunnel)");
	else if (circuit && underlay)
		parse_error(p, AT("underlay"),
			"has a circuit as well: a link is Ethernet or a tunnel, keep one");
	else if (circuit && encap)
		parse_error(p, AT("encap"), "is for tunnels: a link on a circuit has none");
	else if (underlay && !encap && !parse_given(p, AT("tunnels")))
		parse_error(p, AT("encap"),
			"is missing: say how the tunnel over the underlay wraps packets");
	else if (underlay && vlan)
		parse_error(p, AT("vlan"), "is for links on a circuit: a tunnel has none");
	if (circuit && !underlay && link->circuit && link->circuit->stag && !vlan)
		parse_error(p, AT("vlan"),
			"is missing: circuit '%s' has an outer tag (stag), so each link on "
			"it needs an inner one",
			link->circuit->name);
	if (parse_given(p, AT("cloud")) && parse_given(p, AT("partner")))
		parse_error(p, AT("partner"),
			"has a cloud as well: a link leads to one zone, keep one");
}

/* ---- MTU ---- */

static unsigned overhead(const struct cfg_link *link)
{
	return config_overhead(link, link->underlay->mtu);
}

static unsigned room(const struct cfg_link *link)
{
	if (link->circuit)
		return link->circuit->port ? link->circuit->port->mtu : 0;
	if (link->underlay && link->underlay->mtu > overhead(link))
		return link->underlay->mtu - overhead(link);
	return 0;
}

static void mtu(const struct parse *p, const struct cfg_link *link)
{
	unsigned most = room(link);
	char path[80];
	bool ip6 = false;

	for (unsigned i = 0; i < link->n_address; i++)
		ip6 |= link->address[i].af == AF_INET6;
	AT("mtu");
	if (!link->mtu)
		return;
	if (most && link->mtu > most && link->underlay)
		parse_error(p, path,
			"%u does not fit: underlay '%s' has %u, the tunnel takes %u, that leaves "
			"%u",
			link->mtu, link->underlay->name, link->underlay->mtu, overhead(link), most);
	else if (most && link->mtu > most)
		parse_error(p, path, "%u does not fit: port '%s' has %u", link->mtu,
			link->circuit->port->name, most);
	else if (link->mtu < IP4_MTU_MIN)
		parse_error(
			p, path, "%u is less than the %u that IPv4 needs", link->mtu, IP4_MTU_MIN);
	else if (ip6 && link->mtu < IP6_MTU_MIN)
		parse_error(p, path,
			"%u is less than the %u that IPv6 needs, and the link has an IPv6 address",
			link->mtu, IP6_MTU_MIN);
}

/* ---- tunnel ends ---- */

static bool has(const struct ip_prefix *list, unsigned n, const struct ip_addr *addr)
{
	struct ip_addr own;

	for (unsigned i = 0; i < n; i++) {
		own = ip_prefix_addr(&list[i]);
		if (ip_addr_equal(&own, addr))
			return true;
	}
	return false;
}

static bool is_ours(const struct cfg_link *link, const struct ip_addr *addr)
{
	return has(link->address, link->n_address, addr) ||
	       (link->vrf && has(link->vrf->loopback.items, link->vrf->loopback.n, addr));
}

static void ends(const struct parse *p, const struct cfg_link *link)
{
	char path[80], text[IP_STRLEN];

	if (!link->underlay || !link->remote.af)
		return;
	if (!check_unicast(&link->remote))
		parse_error(p, AT("encap.remote"), "%s is not the address of one host",
			ip_addr_format(&link->remote, text));
	else if (is_ours(link->underlay, &link->remote))
		parse_error(p, AT("encap.remote"), "%s is our own address",
			ip_addr_format(&link->remote, text));
	if (!link->local.af)
		return;
	if (link->local.af != link->remote.af)
		parse_error(p, AT("encap.local"), "and 'remote' are of different families");
	else if (!is_ours(link->underlay, &link->local))
		parse_error(p, AT("encap.local"),
			"%s is neither an address of underlay '%s' nor of its VRF's loopback",
			ip_addr_format(&link->local, text), link->underlay->name);
}

/* Keys of the encapsulation that another kind has. */
static void misplaced(const struct parse *p, const struct cfg_link *link)
{
	bool udp = link->encap == CFG_ENCAP_VXLAN || link->encap == CFG_ENCAP_GENEVE;
	bool gre = link->encap == CFG_ENCAP_GRE;
	char path[80];

	if (link->encap == CFG_ENCAP_ETHER)
		return;
	if (link->encap == CFG_ENCAP_VXLAN && !parse_given(p, AT("encap.vni")))
		parse_error(p, path, "is missing: vxlan needs one");
	if (!udp && link->vni)
		parse_error(p, AT("encap.vni"), "is for vxlan and geneve: %s",
			gre ? "gre has 'key'" : "leave it out");
	if (!udp && link->udp_port)
		parse_error(p, AT("encap.port"), "is for vxlan and geneve: leave it out");
	if (!gre && link->outer.key)
		parse_error(
			p, AT("encap.key"), "is for gre: %s", udp ? "write 'vni'" : "leave it out");
	if (!gre && link->outer.checksum)
		parse_error(p, AT("encap.checksum"), "is for gre%s",
			udp ? ": over IPv6 there is 'udp6_checksum'" : "");
	if (link->outer.udp6_checksum && (!udp || link->remote.af != AF_INET6))
		parse_error(p, AT("encap.udp6_checksum"),
			"is for vxlan and geneve over IPv6: leave it out");
	if (link->outer.df != CFG_DF_SET && link->remote.af == AF_INET6)
		parse_error(p, AT("encap.df"), "is for IPv4: IPv6 is never cut on the way");
}

/* ---- claims ---- */

struct claim {
	const struct cfg_link *link;
	const void *on; /* port, or VRF of the underlay */
	struct ip_addr local, remote;
	uint32_t a, b; /* outer and inner VLAN; UDP port and VNI, or kind and key of a tunnel */
};

static int by_claim(const void *x, const void *y)
{
	const struct claim *a = x, *b = y;
	int order;

	if (a->on != b->on)
		return (uintptr_t)a->on < (uintptr_t)b->on ? -1 : 1;
	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	if (a->b != b->b)
		return a->b < b->b ? -1 : 1;
	order = memcmp(&a->local, &b->local, sizeof(a->local));
	return order ? order : memcmp(&a->remote, &b->remote, sizeof(a->remote));
}

static int by_claim_and_name(const void *x, const void *y)
{
	const struct claim *a = x, *b = y;
	int order = by_claim(x, y);

	return order ? order : strcmp(a->link->name, b->link->name);
}

/* false: it has none, or has been complained about */
static bool claim(const struct parse *p, const struct cfg_link *link, struct claim *ret_claim)
{
	struct claim c = { .link = link };
	char path[80];

	if (link->circuit && link->underlay)
		return false;
	if (link->circuit && link->circuit->port) {
		if (!link->vlan && (link->circuit->stag || parse_given(p, AT("vlan"))))
			return false;
		c.on = link->circuit->port;
		c.a = link->circuit->stag;
		c.b = link->vlan;
	} else if (link->encap == CFG_ENCAP_VXLAN && !parse_given(p, AT("encap.vni"))) {
		return false;
	} else if (link->underlay && link->underlay->vrf && link->local.af && link->remote.af) {
		c.on = link->underlay->vrf;
		c.local = link->local;
		c.remote = link->remote;
		c.a = link->udp_port ? link->udp_port : NO_PORT + link->encap;
		c.b = link->udp_port ? link->vni : link->outer.key;
	}
	*ret_claim = c;
	return c.on;
}

static void claims(const struct parse *p)
{
	struct claim *all = pool_array(p->work, p->config->n_links + 1, sizeof(*all));
	const struct cfg_link *link, *other;
	unsigned n = 0;
	char path[80];

	for (unsigned i = 0; i < p->config->n_links; i++)
		if (claim(p, &p->config->links[i], &all[n]))
			n++;
	qsort(all, n, sizeof(*all), by_claim_and_name);
	for (unsigned i = 1; i < n; i++) {
		if (by_claim(&all[i - 1], &all[i]))
			continue;
		link = all[i].link;
		other = all[i - 1].link;
		if (link->encap == CFG_ENCAP_IPSEC)
			prov_report(p, PROV_CHILDREN, AT("encap.remote"),
				"link '%s' (%s:%u) has the same ends: the far end takes one pair "
				"of "
				"SAs a tunnel; route all through one link, or take another address",
				other->name, other->src.file, other->src.line);
		else if (link->underlay)
			parse_error(p,
				AT(link->udp_port	  ? "encap.vni"
					: link->outer.key ? "encap.key"
							  : "encap.remote"),
				"link '%s' (%s:%u) has the same %sends", other->name,
				other->src.file, other->src.line,
				link->udp_port	  ? "VNI and "
				: link->outer.key ? "key and "
						  : "");
		else
			prov_report(p, PROV_CLAIM, AT(link->vlan ? "vlan" : "circuit"),
				"link '%s' (%s:%u) takes the same VLAN of port '%s': choose "
				"another",
				other->name, other->src.file, other->src.line,
				link->circuit->port->name);
	}
}

void check_link_all(const struct parse *p)
{
	const struct cfg_link *link;

	for (unsigned i = 0; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		kind(p, link);
		mtu(p, link);
		ends(p, link);
		misplaced(p, link);
	}
	claims(p);
}
