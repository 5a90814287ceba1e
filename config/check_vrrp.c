/* Rules about VRRP (RFC 9568): which links may run it, and which addresses can be shared.
 *
 * A virtual address lies in a network of the link and is nobody's own: a router that owns the
 * address it backs up (priority 255) is not offered. check_net.c compares the virtual addresses
 * with those of other links. IPv6 needs a link-local one, because that is what hosts know their
 * router by (5.2.9). */
#include <string.h>
#include "check.h"

static bool connected(const struct cfg_link *link, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < link->n_address; i++)
		if (ip_prefix_contains(&link->address[i], addr))
			return true;
	return addr->af == AF_INET6 && ip_addr_is_link_local(addr);
}

static void addresses(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_prefix_list *list = &link->vrrp.address;
	char path[80], text[IP_STRLEN];
	unsigned n_link_local = 0, n_v6 = 0;

	for (unsigned i = 0; i < list->n; i++) {
		struct ip_addr addr = ip_prefix_addr(&list->items[i]);

		snprintf(path, sizeof(path), "links.%s.vrrp.address[%u]", link->name, i);
		ip_addr_format(&addr, text);
		n_v6 += addr.af == AF_INET6;
		n_link_local += addr.af == AF_INET6 && ip_addr_is_link_local(&addr);
		if (!check_unicast(&addr))
			parse_error(p, path, "%s is not the address of one host", text);
		else if (link->n_address && !connected(link, &addr))
			parse_error(
				p, path, "%s is not in a network of the link's addresses", text);
		for (unsigned k = 0; k < i; k++)
			if (addr.af == AF_INET6 && ip_addr_is_link_local(&addr) &&
				ip_prefix_equal(&list->items[i], &list->items[k]))
				parse_error(p, path, "%s is given twice", text);
	}
	snprintf(path, sizeof(path), "links.%s.vrrp.address", link->name);
	if (n_v6 && n_link_local != 1)
		parse_error(p, path,
			"has %u link-local addresses: IPv6 needs one that the routers share, as "
			"\"fe80::1/128\", and hosts route to it",
			n_link_local);
}

void check_vrrp_all(const struct parse *p)
{
	const struct config *config = p->config;
	char path[80];

	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *link = &config->links[i];

		if (!link->vrrp.present)
			continue;
		snprintf(path, sizeof(path), "links.%s.vrrp", link->name);
		if (link->underlay)
			parse_error(p, path,
				"is for Ethernet links: the ends of a tunnel know each other");
		snprintf(path, sizeof(path), "links.%s.vrrp.interval", link->name);
		if (link->vrrp.interval_ms % 10)
			parse_error(p, path, "%u ms: VRRP counts in steps of 10 ms, take %u ms",
				link->vrrp.interval_ms, (link->vrrp.interval_ms + 5) / 10 * 10);
		addresses(p, link);
	}
}
