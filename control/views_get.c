/* `route get`: one packet's fate explained from the structures the packet itself would meet.
 *
 * Longest match in the mirror → which protocol owns it → its kernel legs → tier and buckets of the
 * path group → adjacency, with the header it prepends → counters of the egress link. The group
 * comes from the workers' FIB (dp_fib_lookup), not from the mirror: where the two differ, the
 * answer says so. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <linux/rtnetlink.h>
#include "mirror.h"
#include "sas.h"
#include "views.h"

struct flow {
	struct ip_addr dst, src;
	uint8_t proto;
	uint16_t sport, dport;
};

struct found {
	json_t *routes;
	const char *vrf;
	bool any;
	struct mirror_route active; /* of the longest match */
	bool have_active;
};

static bool collect(const struct mirror_route *route, void *arg)
{
	struct found *f = arg;

	f->any = true;
	json_array_append_new(f->routes, view_route(f->vrf, route));
	if (route->active && !f->have_active) {
		f->active = *route;
		f->have_active = true;
	}
	return json_array_size(f->routes) < 32;
}

static const char *adj_kind(uint8_t kind)
{
	static const char *const names[] = {
		[DP_ADJ_NONE] = "none",
		[DP_ADJ_LOCAL] = "local",
		[DP_ADJ_BLACKHOLE] = "blackhole",
		[DP_ADJ_UNREACHABLE] = "unreachable",
		[DP_ADJ_PROHIBIT] = "prohibit",
		[DP_ADJ_GLEAN] = "glean",
		[DP_ADJ_FORWARD] = "forward",
		[DP_ADJ_FAILED] = "failed",
		[DP_ADJ_BROADCAST] = "broadcast",
	};

	return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "unknown";
}

/* What becomes of the packet, in words. */
static const char *adj_text(uint8_t kind)
{
	switch (kind) {
	case DP_ADJ_LOCAL:
		return "an address of this router: tunnel endpoint, or up to the kernel";
	case DP_ADJ_BLACKHOLE:
		return "dropped silently";
	case DP_ADJ_UNREACHABLE:
		return "dropped, answered with ICMP host unreachable";
	case DP_ADJ_PROHIBIT:
		return "dropped, answered with ICMP administratively prohibited";
	case DP_ADJ_GLEAN:
		return "next hop not resolved yet: the first packets are held while the kernel "
		       "asks";
	case DP_ADJ_FORWARD:
		return "forwarded";
	case DP_ADJ_FAILED:
		return "next hop does not answer: dropped, answered with ICMP unreachable";
	case DP_ADJ_BROADCAST:
		return "broadcast of a connected subnet: to this router only, never forwarded";
	default:
		return "dropped as no_route, answered with ICMP network unreachable";
	}
}

static const char partner_text[] =
	"the way is known, but a partner reaches nothing that no service names, and is reached by "
	"nothing: packets of others are dropped as zone_deny; this router's own are sent";

static json_t *hex(const uint8_t *bytes, unsigned len)
{
	char text[2 * 128 + 1] = "";

	for (unsigned i = 0; i < len && i < 128; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static json_t *adjacency_json(uint32_t adj)
{
	struct dp_adj_info a;
	struct dp_port_info port;
	const struct link *link;
	unsigned len;

	if (dp_adj_info(adj, &a))
		return json_null();
	link = a.adj.link ? link_by_id(a.adj.link) : NULL;
	len = a.header_len < sizeof(a.header) ? a.header_len : sizeof(a.header);
	json_t *o = json_pack("{s:I, s:s, s:s, s:s?, s:o}", "adjacency", (json_int_t)adj, "kind",
		adj_kind(a.adj.kind), "text", adj_text(a.adj.kind), "link",
		link ? link->name : NULL, "nexthop", view_addr(&a.adj.nexthop));
	if (a.adj.kind == DP_ADJ_FORWARD) {
		json_object_set_new(o, "mac", view_mac(a.adj.mac));
		json_object_set_new(o, "port",
			dp_port_info(a.port, &port) ? json_null() : json_string(port.name));
		json_object_set_new(o, "mtu", json_integer(a.mtu));
		json_object_set_new(o, "header", hex(a.header, len));
		json_object_set_new(o, "layers",
			view_header(a.header, len,
				link && link->cfg ? link->cfg->encap : CFG_ENCAP_ETHER));
	}
	if (link) {
		const char *down = view_link_down(link);

		json_object_set_new(o, "link_up", json_boolean(!down));
		json_object_set_new(o, "link_why", down ? json_string(down) : json_null());
		json_object_set_new(o, "link_rx", view_count(dp_link_rx(link->id)));
		json_object_set_new(o, "link_tx", view_count(dp_link_tx(link->id)));
	}
	return o;
}

/* The kernel's leg that stands behind an adjacency, if the mirror's route has it. */
static const struct mirror_leg *leg_of(const struct found *f, uint32_t adj)
{
	for (unsigned i = 0; f->have_active && i < f->active.n_legs && i < DP_LEGS_MAX; i++)
		if (f->active.legs[i].adj == adj)
			return &f->active.legs[i];
	return NULL;
}

/* Why a leg is dead; of an IPsec link without keys, where they went. When none is alive the group
 * has one leg that is no link's: then why the first of the route's is. */
static json_t *leg_why(const struct found *f, const struct mirror_leg *m)
{
	const struct link *link;

	for (unsigned i = 0; !m && f->have_active && i < f->active.n_legs && i < DP_LEGS_MAX; i++)
		if (!f->active.legs[i].alive)
			m = &f->active.legs[i];
	if (!m || !m->why)
		return json_null();
	link = m->link ? link_by_id(m->link) : NULL;
	if (link && !strcmp(m->why, "no keys"))
		return json_sprintf("no keys: %s", sas_link_why(link));
	return json_string(m->why);
}

/* A group without buckets has one leg that is used, whatever the flow. */
static bool only_leg(const struct dp_group_info *g, uint32_t *ret_adj)
{
	for (unsigned i = 0; i < g->n_legs && i < DP_LEGS_MAX; i++)
		if (g->buckets_of[i]) {
			*ret_adj = g->legs[i].adj;
			return true;
		}
	return false;
}

/* Nothing is forwarded to a partner, or from one, that no service names. */
static bool is_partner(const struct link *link)
{
	return link && link->cfg && link->cfg->zone && link->cfg->zone->partner;
}

/* Legs of the group as the workers have it: tier, share, whether the flow in question takes it. */
static json_t *group_json(const struct found *f, uint32_t group, const struct flow *flow)
{
	struct dp_group_info g;
	unsigned bucket = 0, best = UINT8_MAX;
	uint32_t taken = 0;
	bool hashed;

	if (dp_group_info(group, &g))
		return json_null();
	hashed = g.n_buckets == 1 ? only_leg(&g, &taken)
				  : flow->src.af && !dp_group_bucket(group, &flow->src, &flow->dst,
							    flow->proto, flow->sport, flow->dport,
							    &bucket, &taken);
	json_t *legs = json_array();
	for (unsigned i = 0; i < g.n_legs && i < DP_LEGS_MAX; i++) {
		const struct mirror_leg *m = leg_of(f, g.legs[i].adj);
		json_t *leg = json_pack("{s:I, s:i, s:i, s:b, s:o, s:i, s:b, s:o}", "adjacency",
			(json_int_t)g.legs[i].adj, "tier", g.legs[i].tier + 1, "weight",
			g.legs[i].weight, "alive", g.legs[i].alive, "why",
			g.legs[i].alive ? json_null() : leg_why(f, m), "buckets", g.buckets_of[i],
			"taken", hashed && g.legs[i].adj == taken, "to",
			adjacency_json(g.legs[i].adj));
		json_array_append_new(legs, leg);
		if (g.legs[i].alive && g.legs[i].tier < best)
			best = g.legs[i].tier;
	}
	return json_pack("{s:I, s:i, s:o, s:o, s:o}", "group", (json_int_t)group, "buckets",
		(int)g.n_buckets, "tier", best == UINT8_MAX ? json_null() : json_integer(best + 1),
		"bucket", hashed ? json_integer(bucket) : json_null(), "legs", legs);
}

/* The link of the first leg in use, or NULL. */
static const struct link *leads_to(uint32_t group)
{
	struct dp_group_info g;
	struct dp_adj_info a;

	if (!group || dp_group_info(group, &g))
		return NULL;
	for (unsigned i = 0; i < g.n_legs && i < DP_LEGS_MAX; i++)
		if (g.buckets_of[i] && !dp_adj_info(g.legs[i].adj, &a))
			return link_by_id(a.adj.link);
	return NULL;
}

/* The drop reason of policy for what the group leads to, or NULL. */
static const char *denied_by(uint32_t group)
{
	return is_partner(leads_to(group)) ? "zone_deny" : NULL;
}

/* The zones whose packets may go where the group leads to; null: links of no zone. */
static json_t *open_to(uint32_t group)
{
	const struct link *link = leads_to(group);
	const struct config *config = control.running;
	json_t *names;

	if (!link || !link->cfg || !link->cfg->zone)
		return json_null();
	names = json_array();
	for (unsigned i = 0; i < config->n_zones; i++)
		if (config_reaches(config, &config->zones[i], link->cfg->zone))
			json_array_append_new(names, json_string(config->zones[i].name));
	return names;
}

static bool is_partners(const char *vrf)
{
	for (const struct link *link = link_next(NULL); link; link = link_next(link))
		if (is_partner(link) && !strcmp(link->vrf->name, vrf))
			return true;
	return false;
}

/* One sentence: what happens, or why nothing does. */
static json_t *verdict(
	const struct found *f, uint32_t group, const struct ip_addr *dst, const char *vrf)
{
	char text[IP_STRLEN];
	struct dp_group_info g;
	struct dp_adj_info a;

	ip_addr_format(dst, text);
	if (!group && f->have_active && f->active.group)
		return json_sprintf(
			"the kernel has a route to %s but the fast path has none: a resync or the "
			"auditor brings it; until then packets are dropped as no_route",
			text);
	if (!group && f->any)
		return json_sprintf(
			"the kernel's route to %s is not in the fast path; packets are dropped as "
			"no_route, answered with ICMP network unreachable",
			text);
	if (!group && is_partners(vrf))
		return json_sprintf(
			"no route to %s in VRF %s: what its partner sends there is dropped "
			"as zone_deny, without an answer",
			text, vrf);
	if (!group)
		return json_sprintf(
			"no route to %s in VRF %s: packets are dropped as no_route, answered with "
			"ICMP network unreachable",
			text, vrf);
	if (dp_group_info(group, &g) || !g.n_legs)
		return json_string("the path group is empty");
	for (unsigned i = 0; i < g.n_legs && i < DP_LEGS_MAX; i++)
		if (g.buckets_of[i] && !dp_adj_info(g.legs[i].adj, &a))
			return json_string(denied_by(group) ? partner_text : adj_text(a.adj.kind));
	return json_string("no leg is alive: packets meet the first leg of the best tier");
}

static int proto_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "icmp", IPPROTO_ICMP },
		{ "icmpv6", IPPROTO_ICMPV6 }, { "esp", IPPROTO_ESP }, { "gre", IPPROTO_GRE } };
	char *end;

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcasecmp(name, known[i].name))
			return known[i].number;
	long n = strtol(name, &end, 10);
	return *name && !*end && n >= 0 && n <= 255 ? (int)n : -1;
}

static bool flow_check(struct api_request *request, struct flow *flow, const char *proto,
	int64_t sport, int64_t dport)
{
	int number = proto ? proto_number(proto) : IPPROTO_TCP;

	if (flow->src.af && flow->src.af != flow->dst.af) {
		api_fail(request, "\"from\" is of another address family than the destination");
		return false;
	}
	if (number < 0) {
		api_fail(request, "argument \"proto\" must be tcp, udp, icmp, icmpv6, esp, gre or "
				  "a number 0..255");
		return false;
	}
	flow->proto = (uint8_t)number;
	flow->sport = (uint16_t)sport;
	flow->dport = (uint16_t)dport;
	return true;
}

void view_route_get(struct api_request *request, const json_t *args)
{
	struct flow flow = { 0 };
	struct vrf *vrf = NULL;
	const char *proto = NULL;
	int64_t sport = 0, dport = 0;
	const struct view_arg table[] = {
		{ .name = "addr", .type = VIEW_ADDR, .out = &flow.dst, .required = true },
		{ .name = "vrf", .type = VIEW_VRF, .out = &vrf, .required = true },
		{ .name = "from", .type = VIEW_ADDR, .out = &flow.src },
		{ .name = "proto", .type = VIEW_STRING, .out = &proto },
		{ .name = "sport", .type = VIEW_INT, .out = &sport, .max = 65535 },
		{ .name = "dport", .type = VIEW_INT, .out = &dport, .max = 65535 },
	};

	if (!VIEW_ARGS(request, args, table) || !flow_check(request, &flow, proto, sport, dport))
		return;
	struct found *f = calloc(1, sizeof(*f));
	if (!f) {
		api_fail(request, "lintasd: out of memory");
		return;
	}
	f->routes = json_array();
	f->vrf = vrf->name;
	mirror_route_match(vrf, &flow.dst, collect, f);
	uint32_t group = dp_fib_lookup(vrf->id, &flow.dst);
	bool agree = (f->have_active ? f->active.group : 0) == group;
	api_reply(request,
		json_pack("{s:o, s:s, s:o, s:{s:i, s:i, s:i}, s:o, s:s?, s:o, s:o, s:o, s:b}",
			"addr", view_addr(&flow.dst), "vrf", vrf->name, "from",
			view_addr(&flow.src), "flow", "proto", flow.proto, "sport", flow.sport,
			"dport", flow.dport, "verdict", verdict(f, group, &flow.dst, vrf->name),
			"denied", denied_by(group), "open_to", open_to(group), "routes", f->routes,
			"path", group ? group_json(f, group, &flow) : json_null(), "in_step",
			agree));
	free(f);
}
