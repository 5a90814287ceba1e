/* Views of ports, links and VRFs.
 *
 * Links come as a stream: the sums over the matrix of a thousand links are more than one callback
 * may take. A stream remembers the name it got to, not a pointer: a reload may come between two
 * steps. */
#include <stdlib.h>
#include <string.h>
#include "bring.h"
#include "probes.h"
#include "sas.h"
#include "swan.h"
#include "views.h"

/* ---- ports ---- */

static json_t *port_json(unsigned port)
{
	struct dp_lag_info lag;
	struct dp_port_info i;

	if (dp_port_info(port, &i))
		return NULL;
	if (!dp_lag_info(port, &lag))
		snprintf(i.device, sizeof(i.device), "%u members", lag.n_members);
	json_t *owner = i.owner < 0 ? json_null() : json_integer(i.owner);
	json_t *speed = i.speed_mbps ? json_integer(i.speed_mbps) : json_null();
	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:b, s:o, s:i, s:i, s:i, s:o,"
			 " s:{s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:{s:i, s:i}}",
		"port", (int)port, "name", i.name, "device", i.device, "driver", i.driver, "mac",
		view_mac(i.mac), "up", i.up, "speed_mbps", speed, "mtu", i.mtu, "rx_queues",
		i.rx_queues, "tx_queues", i.tx_queues, "tx_owner", owner, "rx", "packets",
		(json_int_t)i.rx_packets, "bytes", (json_int_t)i.rx_bytes, "missed",
		(json_int_t)i.rx_missed, "errors", (json_int_t)i.rx_errors, "no_buffer",
		(json_int_t)i.rx_nombuf, "tx", "packets", (json_int_t)i.tx_packets, "bytes",
		(json_int_t)i.tx_bytes, "errors", (json_int_t)i.tx_errors, "buffers", "total",
		(int)i.buffers, "in_use", (int)i.buffers_in_use);
}

void view_port_show(struct api_request *request, const json_t *args)
{
	const char *name = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_STRING, .out = &name } };
	struct dp_port_info info;
	json_t *ports;

	if (!VIEW_ARGS(request, args, table))
		return;
	ports = json_array();
	for (unsigned port = 0; port < DP_PORTS_MAX; port++)
		if (!dp_port_info(port, &info) && (!name || !strcmp(name, info.name)))
			json_array_append_new(ports, port_json(port));
	if (name && !json_array_size(ports)) {
		json_decref(ports);
		api_fail(request, "no port \"%.32s\": `lintasctl port show` lists them", name);
		return;
	}
	api_reply(request, ports);
}

/* ---- links ---- */

static const char *port_name(int port, struct dp_port_info *info)
{
	return port >= 0 && !dp_port_info((unsigned)port, info) ? info->name : NULL;
}

static json_t *link_addresses(const struct cfg_link *cfg)
{
	json_t *list = json_array();

	for (unsigned i = 0; cfg && i < cfg->n_address; i++)
		json_array_append_new(list, view_prefix(&cfg->address[i]));
	return list;
}

/* id: the VNI, or GRE's key. */
static json_t *tunnel_shape(const struct cfg_link *cfg)
{
	static const char *const names[] = { "ethernet", "vxlan", "geneve", "gre", "ipip",
		"ipsec" };
	bool udp = cfg->udp_port;
	json_t *shape = json_pack("{s:s, s:o, s:o, s:s, s:s}", "encap", names[cfg->encap], "local",
		view_addr(&cfg->local), "remote", view_addr(&cfg->remote), "underlay",
		cfg->underlay ? cfg->underlay->name : "-", "inner",
		cfg->outer.inner == CFG_INNER_IP ? "ip" : "ethernet");

	if (udp) {
		json_object_set_new(shape, "vni", json_integer(cfg->vni));
		json_object_set_new(shape, "udp_port", json_integer(cfg->udp_port));
	} else if (cfg->outer.key) {
		json_object_set_new(shape, "key", json_integer(cfg->outer.key));
	}
	return shape;
}

/* By which link of the underlay, and whom, its packets leave now. */
static json_t *tunnel_way(const struct link *l)
{
	struct dp_adj_info info;
	uint32_t adj = mirror_underlay_adj(l);

	if (!adj || dp_adj_info(adj, &info))
		return json_null();
	return json_pack("{s:s, s:o}", "link", view_link_name(info.adj.link), "nexthop",
		view_addr(&info.adj.nexthop));
}

/* IPsec: IKE's state as of some seconds ago, how many keys there are and how old the youngest. */
static json_t *tunnel_keys(const struct link *l)
{
	const struct swan_sa *ike = swan_last(l);
	struct swan_note note = swan_note(l);
	uint64_t age_s = UINT64_MAX, packets_in = 0, packets_out = 0;
	unsigned in = 0, out = 0;

	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa)) {
		struct dp_sa_info info;
		struct xfrm_use use;
		uint64_t age = (now_ns() - sa->added_ns) / 1000000000u;

		if (sa->link != l->id || sa->larval)
			continue;
		sas_use_of(sa, &use, &info);
		in += sa->conf.inbound;
		out += !sa->conf.inbound;
		*(sa->conf.inbound ? &packets_in : &packets_out) += use.packets;
		age_s = age < age_s ? age : age_s;
	}
	return json_pack("{s:s, s:s?, s:b, s:s?, s:i, s:i, s:o, s:I, s:I}", "ike",
		l->cfg->ipsec.algorithm ? "static"
		: ike			? ike->state
					: "down",
		"error", note.fault ? swan_fault_names[note.fault] : NULL, "ready",
		sas_link_ready(l), "why", sas_link_ready(l) ? NULL : sas_link_why(l), "sas_in",
		(int)in, "sas_out", (int)out, "age_s",
		in + out ? json_integer((json_int_t)age_s) : json_null(), "packets_in",
		(json_int_t)packets_in, "packets_out", (json_int_t)packets_out);
}

static json_t *tunnel_now(const struct link *l)
{
	const struct cfg_link *cfg = l->cfg;

	if (!cfg || cfg->encap == CFG_ENCAP_ETHER)
		return json_null();
	return json_pack("{s:i, s:o, s:o}", "mtu", (int)dp_tunnel_mtu(l->id), "way", tunnel_way(l),
		"keys", cfg->encap == CFG_ENCAP_IPSEC ? tunnel_keys(l) : json_null());
}

/* VLAN tags outermost first, or the tunnel's ends. */
static json_t *link_shape(const struct cfg_link *cfg)
{
	if (!cfg)
		return json_null();
	if (cfg->encap != CFG_ENCAP_ETHER)
		return tunnel_shape(cfg);
	json_t *tags = json_array();
	if (cfg->circuit && cfg->circuit->stag)
		json_array_append_new(
			tags, json_pack("{s:i, s:o}", "vid", cfg->circuit->stag, "tpid",
				      json_sprintf("0x%04x", cfg->circuit->stag_tpid)));
	if (cfg->vlan)
		json_array_append_new(
			tags, json_pack("{s:i, s:s}", "vid", cfg->vlan, "tpid", "0x8100"));
	return json_pack("{s:s, s:o}", "encap", "ethernet", "tags", tags);
}

static uint64_t link_drops(uint16_t id)
{
	uint64_t sum = 0;

	for (int reason = 0; reason < DP_DROP_COUNT; reason++)
		sum += dp_link_drop_count(id, (enum dp_drop)reason);
	return sum;
}

static json_t *link_health(const struct link *l)
{
	const char *why;
	bool v6 = health_of(l) != health_probed(l, AF_INET, &why);

	if (v6)
		health_probed(l, AF_INET6, &why);
	if (health_of(l) == HEALTH_GOOD)
		return json_pack("{s:s, s:n}", "state", probes_word(l), "why");
	return json_pack("{s:s, s:o}", "state", health_names[health_of(l)], "why",
		json_sprintf("IPv%c: %s", v6 ? '6' : '4', why));
}

static json_t *link_json(const struct link *l)
{
	const struct cfg_link *cfg = l->cfg;
	const struct cfg_path *path = NULL;
	struct dp_port_info info;
	unsigned tier = 0;

	if (cfg)
		path = config_path_of(control.running, cfg, &tier);
	return json_pack(
		"{s:s, s:s?, s:o, s:i, s:s, s:b, s:s?, s:s?, s:s?, s:b, s:o, s:i, s:i, s:s?, s:o, "
		"s:o, s:s?, s:o,"
		" s:o, s:o, s:I, s:i, s:o}",
		"name", l->name, "connection", cfg ? cfg->connection : NULL, "tunnel",
		tunnel_now(l), "id", l->id, "vrf", l->vrf ? l->vrf->name : "-", "up",
		!view_link_down(l), "why", view_link_down(l), "port", port_name(l->port, &info),
		"zone", cfg && cfg->zone ? cfg->zone->name : NULL, "partner",
		cfg && cfg->zone && cfg->zone->partner, "mac", view_mac(l->mac), "mtu", l->mtu,
		"ifindex", l->ifindex, "circuit", cfg && cfg->circuit ? cfg->circuit->name : NULL,
		"shape", link_shape(cfg), "addresses", link_addresses(cfg), "path",
		path ? path->name : NULL, "tier", path ? json_integer(tier + 1) : json_null(), "rx",
		view_count(dp_link_rx(l->id)), "tx", view_count(dp_link_tx(l->id)), "drops",
		(json_int_t)link_drops(l->id), "withdrawn", (int)bring_withdrawn(l), "health",
		link_health(l));
}

/* One that was asked for by name: its security associations too. */
static json_t *link_whole(const struct link *l)
{
	json_t *link = link_json(l);

	if (l->cfg && l->cfg->encap == CFG_ENCAP_IPSEC)
		json_object_set_new(json_object_get(link, "tunnel"), "sas", view_sas(l));
	return link;
}

struct link_stream {
	char after[CFG_NAME_MAX]; /* the last name shown; "" = none yet */
};

static const struct link *link_following(const char *name)
{
	const struct link *l = link_next(NULL);

	while (l && *name && strcmp(l->name, name) <= 0)
		l = link_next(l);
	return l;
}

static json_t *link_step(void *state)
{
	struct link_stream *s = state;
	uint64_t start = now_ns();
	const struct link *l = link_following(s->after);

	if (!l)
		return NULL;
	json_t *part = json_array();
	do {
		json_array_append_new(part, link_json(l));
		memcpy(s->after, l->name, sizeof(s->after));
		l = link_next(l);
	} while (l && view_time_left(start));
	return part;
}

/* All tunnels of the connection that is called so; NULL: none is. */
static json_t *connection_json(const char *name)
{
	json_t *list = json_array();

	for (const struct link *l = link_next(NULL); l; l = link_next(l))
		if (l->cfg && l->cfg->connection && !strcmp(l->cfg->connection, name))
			json_array_append_new(list, link_whole(l));
	if (json_array_size(list))
		return list;
	json_decref(list);
	return NULL;
}

void view_link_show(struct api_request *request, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "name"));
	json_t *list = name && !link_by_name(name) ? connection_json(name) : NULL;
	struct link *link = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_LINK, .out = &link } };
	struct link_stream *s;

	if (list) {
		api_reply(request, list);
		return;
	}
	if (!VIEW_ARGS(request, args, table))
		return;
	if (link) {
		api_reply(request, json_pack("[o]", link_whole(link)));
	} else if (!(s = calloc(1, sizeof(*s)))) {
		api_fail(request, "lintasd: out of memory");
	} else {
		api_stream(request, link_step, free, s);
	}
}

/* ---- VRFs ---- */

static json_t *vrf_json(const struct vrf *v)
{
	struct dp_fib_info fib = { 0 };
	json_t *links = json_array(), *loopback = json_array();
	const struct cfg_vrf *cfg = config_vrf(control.running, v->name);

	for (const struct link *l = link_next(NULL); l; l = link_next(l))
		if (l->vrf == v)
			json_array_append_new(links, json_string(l->name));
	for (unsigned i = 0; cfg && i < cfg->loopback.n; i++)
		json_array_append_new(loopback, view_prefix(&cfg->loopback.items[i]));
	dp_fib_info(v->id, &fib);
	return json_pack("{s:s, s:i, s:b, s:o, s:o, s:I, s:I, s:I, s:I}", "name", v->name, "id",
		v->id, "adopted", v->adopted, "links", links, "loopback", loopback, "routes4",
		(json_int_t)fib.routes4, "routes6", (json_int_t)fib.routes6, "lookup_bytes",
		(json_int_t)fib.lookup_bytes, "control_bytes", (json_int_t)fib.control_bytes);
}

static json_t *vrf_step(void *state)
{
	struct link_stream *s = state;
	uint64_t start = now_ns();
	const struct vrf *v = vrf_next(NULL);

	while (v && *s->after && strcmp(v->name, s->after) <= 0)
		v = vrf_next(v);
	if (!v)
		return NULL;
	json_t *part = json_array();
	do {
		json_array_append_new(part, vrf_json(v));
		memcpy(s->after, v->name, sizeof(s->after));
		v = vrf_next(v);
	} while (v && view_time_left(start));
	return part;
}

void view_vrf_show(struct api_request *request, const json_t *args)
{
	struct vrf *vrf = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_VRF, .out = &vrf } };
	struct link_stream *s;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (vrf) {
		api_reply(request, json_pack("[o]", vrf_json(vrf)));
	} else if (!(s = calloc(1, sizeof(*s)))) {
		api_fail(request, "lintasd: out of memory");
	} else {
		api_stream(request, vrf_step, free, s);
	}
}
