/* Several tunnels of one connection, and BGP's short form, made long before anything else looks.
 *
 *   aws-vpn = { underlay = "inet"; profile = "aws-s2s-tgw"; bgp = { asn = "64512"; };
 *               tunnels = { a = { remote = ...; address = ...; key = ...; }; b = { ... }; }; };
 *
 * is two links, aws-vpn-a and aws-vpn-b: each inherits every key of the parent, each has an
 * interface, a leg and sessions of its own, and a tier that names aws-vpn means both. It is
 * libconfig's tree that is rewritten, with the lines that people wrote, so that no later station
 * knows of it and every message points to the line to blame. `bgp.asn` of any link becomes a
 * session in each family of its addresses: the neighbour is the other host of a /30, /31, /126 or
 * /127; so it is of a tunnel's v4 and v6 that name none. What is malformed stays as it is, for
 * parse.c to say so. */
#include <string.h>
#include "expand.h"
#include "keys_ipsec.h"
#include "pool.h"
#include "prov.h"
#include "scan.h"
#include "value.h"

typedef config_setting_t node;

static node *member(const node *group, const char *name)
{
	return group && config_setting_is_group(group) ? config_setting_get_member(group, name)
						       : NULL;
}

static const char *string(const node *setting)
{
	return setting && setting->type == CONFIG_TYPE_STRING ? config_setting_get_string(setting)
							      : NULL;
}

/* NULL: the group has one of this name. */
static node *add(node *to, const char *name, int type, unsigned line)
{
	node *new = config_setting_add(to, name, type);

	if (new)
		new->line = line;
	return new;
}

/* A key that the group does not have yet. */
static void add_string(node *to, const char *name, const char *text, unsigned line)
{
	node *new = add(to, name, CONFIG_TYPE_STRING, line);

	if (new)
		config_setting_set_string(new, text);
}

static node *group_of(node *in, const char *name, unsigned line)
{
	node *group = config_setting_get_member(in, name);

	return group ? group : add(in, name, CONFIG_TYPE_GROUP, line);
}

/* A copy under another name, in the place of what has that name. */
static void copy(node *to, const char *name, const node *from)
{
	node *new;

	if (name && config_setting_get_member(to, name))
		config_setting_remove(to, name);
	new = add(to, name, from->type, from->line);
	if (!new)
		return;
	config_setting_set_format(new, from->format);
	switch (from->type) {
	case CONFIG_TYPE_STRING:
		config_setting_set_string(new, config_setting_get_string(from));
		break;
	case CONFIG_TYPE_INT:
		config_setting_set_int(new, config_setting_get_int(from));
		break;
	case CONFIG_TYPE_INT64:
		config_setting_set_int64(new, config_setting_get_int64(from));
		break;
	case CONFIG_TYPE_FLOAT:
		config_setting_set_float(new, config_setting_get_float(from));
		break;
	case CONFIG_TYPE_BOOL:
		config_setting_set_bool(new, config_setting_get_bool(from));
		break;
	default:
		for (int i = 0; i < config_setting_length(from); i++) {
			const node *elem = config_setting_get_elem((node *)from, i);

			copy(new, elem->name, elem);
		}
	}
}

/* ---- BGP's short form ---- */

/* The other host of our network, where there is exactly one. */
static bool other_host(const struct ip_prefix *ours, struct ip_addr *ret_addr)
{
	struct ip_addr addr = ip_prefix_addr(ours);
	unsigned bits = ip_bits(ours->af);
	uint8_t *last = &addr.bytes[bits / 8 - 1];

	if (ours->len == bits - 1)
		*last ^= 1;
	else if (ours->len == bits - 2 && ((*last & 3) == 1 || (*last & 3) == 2))
		*last ^= 3;
	else
		return false;
	*ret_addr = addr;
	return true;
}

/* Our address of that family, as it stands in the link. */
static const node *address_of(const node *link, int af, struct ip_prefix *ret_prefix)
{
	const node *list = member(link, "address"), *at;
	unsigned n = list && config_setting_is_aggregate(list) ? config_setting_length(list)
		     : list				       ? 1
							       : 0;
	char why[VALUE_WHY_LEN];

	for (unsigned i = 0; i < n; i++) {
		at = config_setting_is_aggregate(list) ? config_setting_get_elem((node *)list, i)
						       : list;
		if (string(at) && value_prefix(string(at), ret_prefix, why) == 0 &&
			ret_prefix->af == af)
			return at;
	}
	return NULL;
}

static void session(struct parse *p, node *link, node *bgp, const node *asn, bool v6)
{
	const char *family = v6 ? "v6" : "v4";
	const node *address;
	struct ip_prefix ours;
	struct ip_addr peer;
	char text[IP_STRLEN];
	node *group = config_setting_get_member(bgp, family);

	address = address_of(link, v6 ? AF_INET6 : AF_INET, &ours);
	if (!group && (!address || !asn))
		return;
	group = group ? group : group_of(bgp, family, asn->line);
	if (!group || !config_setting_is_group(group))
		return;
	if (asn && !config_setting_get_member(group, "asn"))
		copy(group, "asn", asn);
	if (config_setting_get_member(group, "peer") || !address)
		return;
	if (other_host(&ours, &peer))
		add_string(group, "peer", ip_addr_format(&peer, text), address->line);
	else
		parse_error(p, pool_printf(p->work, "links.%s.bgp.%s", link->name, family),
			"the neighbour does not follow from %s, which has more than one other "
			"host: write %s",
			string(address),
			member(link, "connection") ? "peer = ...; into the tunnel's group"
			: v6			   ? "v6 = { peer = ...; };"
						   : "v4 = { peer = ...; };");
}

static void sessions(struct parse *p, node *link)
{
	node *bgp = member(link, "bgp");
	const node *asn = member(bgp, "asn");

	if (!bgp || !config_setting_is_group(bgp) || (!asn && !member(link, "connection")))
		return; /* who writes v4 and v6 of a link writes their peers */
	session(p, link, bgp, asn, false);
	session(p, link, bgp, asn, true);
}

/* ---- tunnels ---- */

/* The neighbours of one tunnel, where they are not the other host of its network. */
static void peers(struct parse *p, node *link, const node *key)
{
	bool list = config_setting_is_aggregate(key);
	unsigned n = list ? config_setting_length(key) : 1;
	node *bgp = group_of(link, "bgp", key->line);
	char why[VALUE_WHY_LEN];
	struct ip_addr addr;
	const node *one;

	for (unsigned i = 0; i < n; i++) {
		one = list ? config_setting_get_elem((node *)key, i) : key;
		if (string(one) && value_addr(string(one), &addr, why) == 0)
			copy(group_of(bgp, addr.af == AF_INET6 ? "v6" : "v4", one->line), "peer",
				one);
		else
			parse_error(p, pool_printf(p->work, "links.%s.bgp", link->name),
				"peer must be one address a family, as strings: "
				"peer = \"192.0.2.1\";");
	}
}

/* Where each key of a tunnel goes in the link: see keys_tunnel. */
static void key_to_link(struct parse *p, node *link, const node *key, bool ipsec)
{
	const char *name = key->name;

	if (!strcmp(name, "remote") || !strcmp(name, "local")) {
		copy(group_of(link, "encap", key->line), name, key);
	} else if (!strcmp(name, "key") && !ipsec) {
		copy(group_of(link, "encap", key->line), name, key);
	} else if (!strcmp(name, "key") || !strcmp(name, "local_id") ||
		   !strcmp(name, "remote_id")) {
		copy(group_of(link, "ipsec", key->line), name, key);
	} else if (!strcmp(name, "peer")) {
		peers(p, link, key);
	} else {
		copy(link, name, key);
	}
}

/* What each tunnel has of its own would be lost in the parent without a word. */
static void parent_check(struct parse *p, const node *parent)
{
	static const struct {
		const char *key;
		bool always; /* every tunnel has it */
	} own[] = { { "address", true }, { "remote", true }, { "local", false } };
	const node *tunnels = member(parent, "tunnels"), *at;
	const char *in, *first = config_setting_get_elem((node *)tunnels, 0)->name;
	bool taken;

	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		in = i ? "encap." : "";
		at = i ? member(member(parent, "encap"), own[i].key) : member(parent, own[i].key);
		taken = own[i].always;
		for (int j = 0; j < config_setting_length(tunnels) && !taken; j++)
			taken = member(config_setting_get_elem((node *)tunnels, j), own[i].key);
		if (at && taken)
			parse_error(p,
				pool_printf(p->work, "links.%s.%s%s", parent->name, in, own[i].key),
				"is each tunnel's: write it in tunnels.%s", first);
	}
}

/* One tunnel's group becomes a link. */
static void tunnel(struct parse *p, node *links, const node *parent, const node *from)
{
	const char *name = pool_printf(p->work, "%s-%s", parent->name, from->name),
		   *path = pool_printf(p->work, "links.%s.tunnels.%s", parent->name, from->name),
		   *nearest;
	node *link = add(links, name, CONFIG_TYPE_GROUP, from->line);
	const char *type;

	if (!link) {
		parse_error(p, path,
			"becomes link '%s', which is there already: give one of them "
			"another name",
			name);
		return;
	}
	for (int i = 0; i < config_setting_length(parent); i++) {
		const node *key = config_setting_get_elem((node *)parent, i);

		if (strcmp(key->name, "tunnels"))
			copy(link, key->name, key);
	}
	add_string(link, "connection", parent->name, parent->line);
	type = string(member(member(link, "encap"), "type"));
	for (int i = 0; i < config_setting_length(from); i++) {
		const node *key = config_setting_get_elem((node *)from, i);

		if (strchr(key->name, SCAN_MARK))
			continue; /* the scan has complained */
		nearest = keys_nearest(keys_tunnel, key->name);
		if (keys_find(keys_tunnel, key->name))
			key_to_link(p, link, key, !type || !strcmp(type, "ipsec"));
		else if (prov_is_secret(key->name))
			prov_report(p, PROV_CLEAR_SECRET,
				pool_printf(p->work, "%s.%.60s", path, key->name),
				"a secret does not stand in a configuration: put it into a file of "
				"mode 0600 in the folder of keys, and name that: key = \"...\";");
		else
			parse_error(p, pool_printf(p->work, "%s.%.60s", path, key->name),
				"unknown key of a tunnel%s%s%s", nearest ? ": did you mean '" : "",
				nearest ? nearest : "",
				nearest ? "'?" : ": what holds for all tunnels stands in the link");
	}
	if (group_of(link, "encap", from->line))
		add_string(member(link, "encap"), "type", "ipsec", from->line);
}

static bool is_connection(const node *link)
{
	const node *group = member(link, "tunnels");
	int n = group && config_setting_is_group(group) ? config_setting_length(group) : 0;

	if (!n || n > CFG_TUNNELS_MAX || strchr(link->name, SCAN_MARK))
		return false;
	for (int i = 0; i < n; i++)
		if (!config_setting_is_group(config_setting_get_elem((node *)group, i)))
			return false;
	return true;
}

/* ---- tiers ---- */

/* A tier with a connection's name gets its tunnels' instead. */
static void tier(struct parse *p, const node *links, node *list)
{
	unsigned n = config_setting_is_aggregate(list) ? config_setting_length(list) : 0, m = 0;
	struct {
		const char *name;
		unsigned line;
	} *all = pool_array(p->work, n * CFG_TUNNELS_MAX + 1, sizeof(*all));
	bool found = false;

	for (unsigned i = 0; i < n; i++) {
		node *elem = config_setting_get_elem(list, i);
		const char *name = string(elem);
		node *link = name ? member(links, name) : NULL;
		node *group = link && is_connection(link) ? member(link, "tunnels") : NULL;

		if (!name)
			return;
		if (!group)
			all[m].name = pool_strdup(p->work, name), all[m++].line = elem->line;
		for (int j = 0; group && j < config_setting_length(group); j++) {
			all[m].name = pool_printf(
				p->work, "%s-%s", name, config_setting_get_elem(group, j)->name);
			all[m++].line = elem->line;
			found = true;
		}
	}
	if (!found)
		return;
	while (config_setting_length(list))
		config_setting_remove_elem(list, 0);
	for (unsigned i = 0; i < m; i++) {
		node *elem = add(list, NULL, CONFIG_TYPE_STRING, all[i].line);

		if (elem)
			config_setting_set_string(elem, all[i].name);
	}
}

static void tiers(struct parse *p, const node *links)
{
	node *paths = member(p->root, "paths"), *list;

	for (int i = 0; paths && config_setting_is_group(paths) && i < config_setting_length(paths);
		i++) {
		list = member(config_setting_get_elem(paths, i), "tiers");
		for (int j = 0; list && config_setting_is_aggregate(list) &&
				j < config_setting_length(list);
			j++)
			tier(p, links, config_setting_get_elem(list, j));
	}
}

void expand_all(struct parse *p)
{
	node *links = member(p->root, "links"), *link, *group;
	int n;

	if (!links || !config_setting_is_group(links))
		return;
	tiers(p, links);
	n = config_setting_length(links);
	for (int i = 0; i < n; i++) {
		link = config_setting_get_elem(links, i);
		if (!is_connection(link))
			continue;
		parent_check(p, link);
		group = member(link, "tunnels");
		for (int j = 0; j < config_setting_length(group); j++)
			tunnel(p, links, link, config_setting_get_elem(group, j));
		config_setting_remove(links, link->name);
		i--;
		n--;
	}
	for (int i = 0; i < config_setting_length(links); i++)
		if (!strchr(config_setting_get_elem(links, i)->name, SCAN_MARK))
			sessions(p, config_setting_get_elem(links, i));
}

/* ---- messages ---- */

/* Of "links.vpn-a.mtu" the connection, "vpn", and where ".mtu" begins; NULL: it is no tunnel's. */
static const char *connection_of(const node *links, const char *key, const char **ret_rest)
{
	char name[CFG_NAME_MAX];
	size_t n;

	if (!key || strncmp(key, "links.", 6))
		return NULL;
	n = strcspn(key + 6, ".");
	if (n >= sizeof(name))
		return NULL;
	memcpy(name, key + 6, n);
	name[n] = '\0';
	*ret_rest = key + 6 + n;
	return string(member(member(links, name), "connection"));
}

/* Is it the same word about the same line, of another tunnel of that connection? */
static bool is_again(const node *links, const struct cfg_error *first, const struct cfg_error *e)
{
	const char *rest, *other, *name = connection_of(links, first->key, &rest),
				  *again = connection_of(links, e->key, &other);

	return name && again && !strcmp(name, again) && !strcmp(rest, other) &&
	       strcmp(first->key, e->key) && first->line == e->line &&
	       first->warning == e->warning && !strcmp(first->text, e->text) &&
	       !strcmp(first->file ? first->file : "", e->file ? e->file : "");
}

void expand_fold(struct parse *p)
{
	const node *links = member(p->root, "links");
	struct cfg_errors *errors = p->errors;
	const char *name, *rest = NULL;
	unsigned n;

	for (unsigned i = 0; links && i < errors->n; i++) {
		struct cfg_error *first = &errors->items[i];

		n = i + 1;
		for (unsigned j = i + 1; j < errors->n; j++) {
			if (!is_again(links, first, &errors->items[j]))
				errors->items[n++] = errors->items[j];
			else if (!first->warning)
				errors->n_fatal--;
		}
		if (n == errors->n)
			continue;
		errors->n = n;
		name = connection_of(links, first->key, &rest);
		first->key = pool_printf(errors->pool, "links.%s%s", name, rest);
	}
}
