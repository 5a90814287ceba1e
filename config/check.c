/* What must hold between keys and between objects, beyond what one value can say about itself.
 *
 * Every rule adds its complaint and goes on. A field that is zero although the file gives it has
 * been complained about by the walk, so a rule looks only at what is there and asks parse_given
 * before it says that something is missing. Rules that compare all with all sort first. The files:
 * this one has gateway, ports, names, zones and paths; check_link.c a link's shape and what it
 * claims; check_net.c addresses, next hops, routes and neighbours; check_secret.c the secrets. */
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"

/* ---- gateway and defaults ---- */

static void group_name(const struct parse *p, const char *path, const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	if (name && (name[strspn(name, allowed)] || strlen(name) > 31))
		parse_error(p, path, "'%.40s' is not the name of a group", name);
}

static void check_gateway(const struct parse *p)
{
	const struct config *config = p->config;
	const struct ip_addr *id = &config->gateway.router_id;
	static const uint8_t zero[4];

	if (id->af == AF_INET6 || (id->af == AF_INET && !memcmp(id->bytes, zero, sizeof(zero))))
		parse_error(p, "gateway.router_id", "must be an IPv4 address other than 0.0.0.0");
	group_name(p, "defaults.readers", config->defaults.readers);
	group_name(p, "defaults.writers", config->defaults.writers);
	if (config->defaults.frr_sockets && *config->defaults.frr_sockets != '/')
		parse_error(p, "defaults.frr_sockets", "must begin with '/'");
}

/* ---- names ---- */

static void check_names(const struct parse *p)
{
	static const char *const links[] = { "lo", "xvrf", NULL };
	char path[40];

	for (unsigned i = 0; links[i]; i++) {
		snprintf(path, sizeof(path), "links.%s", links[i]);
		if (config_link(p->config, links[i]))
			parse_error(p, path,
				"every VRF has an interface '%s' already: choose another name",
				links[i]);
	}
	if (config_vrf(p->config, "default"))
		parse_error(p, "vrfs.default",
			"FRR calls the host's own namespace so: choose another name");
}

/* ---- ports ---- */

/* The kernel interface in a DPDK device string, or NULL. */
static const char *interface(const char *device, size_t *ret_len)
{
	const char *at = strstr(device, ",iface=");

	if (!at)
		return NULL;
	at += strlen(",iface=");
	*ret_len = strcspn(at, ",");
	return at;
}

/* The part of a device string by which DPDK tells devices apart: the PCI address with its domain.
 */
static void device_id(const char *device, char *buf, size_t size)
{
	bool pci = strncmp(device, "net_", 4);

	snprintf(buf, size, "%s%.*s", pci && strlen(device) == strlen("3b:00.0") ? "0000:" : "",
		(int)strcspn(device, ","), device);
}

static void check_ports(const struct parse *p)
{
	char path[40], mine[CFG_DEVICE_MAX + 8], other[CFG_DEVICE_MAX + 8];
	const struct cfg_port *a, *b;
	const char *if_a, *if_b;
	size_t len_a, len_b;

	for (unsigned i = 0; i < p->config->n_ports; i++) {
		a = &p->config->ports[i];
		snprintf(path, sizeof(path), "ports.%s.device", a->name);
		snprintf(other, sizeof(other), "ports.%s.lag", a->name);
		if (!parse_given(p, path) && !parse_given(p, other))
			parse_error(p, path, "is missing: a device, or the devices of a lag");
		else if (parse_given(p, path) && parse_given(p, other))
			parse_error(
				p, path, "a port is one device or a lag: leave one of them out");
		snprintf(path, sizeof(path), "ports.%s.min_links", a->name);
		if (a->lag.n && !a->min_links)
			prov_report(p, PROV_MIN_LINKS, path,
				"0: the port would be up without a member: write 1 or more");
		else if (a->min_links > (a->lag.n ? a->lag.n : 1))
			parse_error(p, path, "%u, but the port has %u device%s", a->min_links,
				a->lag.n ? a->lag.n : 1, a->lag.n > 1 ? "s" : "");
		device_id(a->device, mine, sizeof(mine));
		for (unsigned j = 0; j < i && *a->device; j++) {
			b = &p->config->ports[j];
			device_id(b->device, other, sizeof(other));
			if_a = interface(a->device, &len_a);
			if_b = interface(b->device, &len_b);
			if (strcasecmp(mine, other) &&
				!(if_a && if_b && len_a == len_b && !memcmp(if_a, if_b, len_a)))
				continue;
			snprintf(path, sizeof(path), "ports.%s.device", a->name);
			parse_error(p, path, "port '%s' uses the same device (%s:%u)", b->name,
				b->src.file, b->src.line);
			break;
		}
	}
}

/* ---- zones ---- */

static const struct cfg_zone *owner_of(const struct config *config, const struct cfg_vrf *vrf)
{
	for (unsigned i = 0; vrf && i < config->n_zones; i++)
		if (config->zones[i].partner && config->zones[i].vrf == vrf)
			return &config->zones[i];
	return NULL;
}

/* A cloud's link and a partner's? check_link.c says it. */
static bool two_zones(const struct parse *p, const struct cfg_link *link)
{
	char cloud[40], partner[40];

	snprintf(cloud, sizeof(cloud), "links.%s.cloud", link->name);
	snprintf(partner, sizeof(partner), "links.%s.partner", link->name);
	return parse_given(p, cloud) && parse_given(p, partner);
}

/* A partner's VRF is its own: nothing of anybody else may be in there. */
static void check_partners(const struct parse *p)
{
	const struct config *config = p->config;
	const struct cfg_zone **owners, *zone, *owner;
	const struct cfg_link *link;
	char path[80];

	owners = pool_array(p->work, config->n_vrfs + 1, sizeof(*owners));
	for (unsigned i = 0; i < config->n_vrfs; i++)
		owners[i] = owner_of(config, &config->vrfs[i]);
	for (unsigned i = 0; i < config->n_zones; i++) {
		zone = &config->zones[i];
		owner = zone->vrf ? owners[zone->vrf - config->vrfs] : zone;
		snprintf(path, sizeof(path), "partners.%s.vrf", zone->name);
		if (zone->partner && owner != zone)
			parse_error(p, path,
				"VRF '%s' is partner '%s's already: each needs one of its own",
				zone->vrf->name, owner->name);
	}
	for (unsigned i = 0; i < config->n_links; i++) {
		link = &config->links[i];
		if (!link->vrf || two_zones(p, link))
			continue;
		owner = owners[link->vrf - config->vrfs];
		snprintf(path, sizeof(path), "links.%s.vrf", link->name);
		if (link->zone && link->zone->partner && link->zone->vrf &&
			link->zone->vrf != link->vrf)
			parse_error(p, path, "partner '%s' is in VRF '%s': put the link there",
				link->zone->name, link->zone->vrf->name);
		else if (owner && (!link->zone || !link->zone->partner))
			parse_error(p, path,
				"VRF '%s' is partner '%s's and holds only its links: choose "
				"another VRF",
				link->vrf->name, owner->name);
	}
}

/* ---- paths ---- */

static void check_path(const struct parse *p, const struct cfg_path *path, uint8_t *seen)
{
	const struct cfg_link *link;
	char where[64];

	snprintf(where, sizeof(where), "paths.%s.tiers", path->name);
	for (unsigned i = 0; i < path->n_tiers; i++) {
		for (unsigned j = 0; j < path->tiers[i].n; j++) {
			link = path->tiers[i].links[j];
			if (path->zone && link->zone != path->zone)
				parse_error(p, where, "link '%s' is not of cloud '%s'%s%s%s",
					link->name, path->name, link->zone ? " but of '" : "",
					link->zone ? link->zone->name : "", link->zone ? "'" : "");
			if (seen[link - p->config->links]++ == 1)
				parse_error(p, where, "link '%s' is named twice", link->name);
		}
	}
	for (unsigned i = 0; i < path->n_tiers; i++)
		for (unsigned j = 0; j < path->tiers[i].n; j++)
			seen[path->tiers[i].links[j] - p->config->links] = 0;
}

void check_all(const struct parse *p)
{
	const struct config *config = p->config;
	uint8_t *seen = pool_alloc(p->work, config->n_links + 1);

	check_gateway(p);
	check_names(p);
	check_ports(p);
	check_partners(p);
	check_link_all(p);
	check_ipsec_all(p);
	check_net_all(p);
	check_vrrp_all(p);
	prov_check_all(p);
	for (unsigned i = 0; i < config->n_paths; i++)
		check_path(p, &config->paths[i], seen);
	check_secret_all(p);
}
