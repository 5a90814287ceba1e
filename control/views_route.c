/* `route show`: the mirror's routes of one VRF or all, one prefix, what is below it, or everything.
 *
 * A stream: each step shows the routes that fit into its time, then leaves a cursor (VRF name, last
 * prefix) from which the next step goes on, whatever changed in between. Nothing is copied
 * beforehand, so that a million routes cost no more memory than one part. */
#include <stdlib.h>
#include <string.h>
#include <linux/rtnetlink.h>
#include "views.h"

#define PART_ROUTES 256

static const char *const route_types[] = {
	[RTN_UNICAST] = "unicast",
	[RTN_LOCAL] = "local",
	[RTN_BROADCAST] = "broadcast",
	[RTN_ANYCAST] = "anycast",
	[RTN_MULTICAST] = "multicast",
	[RTN_BLACKHOLE] = "blackhole",
	[RTN_UNREACHABLE] = "unreachable",
	[RTN_PROHIBIT] = "prohibit",
	[RTN_THROW] = "throw",
};

static const char *route_type(uint8_t type)
{
	bool known = type < sizeof(route_types) / sizeof(route_types[0]) && route_types[type];

	return known ? route_types[type] : "unknown";
}

json_t *view_leg(const struct mirror_leg *leg)
{
	return json_pack("{s:o, s:s, s:s?, s:i, s:i, s:b, s:s?}", "via", view_addr(&leg->gateway),
		"dev", leg->ifname, "link", leg->link ? view_link_name(leg->link) : NULL, "weight",
		leg->weight, "tier", leg->tier + 1, "alive", leg->alive, "why",
		leg->alive ? NULL : leg->why);
}

json_t *view_route(const char *vrf, const struct mirror_route *route)
{
	json_t *legs = json_array();
	unsigned n = route->n_legs < DP_LEGS_MAX ? route->n_legs : DP_LEGS_MAX;

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(legs, view_leg(&route->legs[i]));
	return json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:b, s:I, s:o}", "vrf", vrf, "prefix",
		view_prefix(&route->prefix), "type", route_type(route->type), "protocol",
		mirror_protocol_name(route->protocol), "metric", (json_int_t)route->metric, "table",
		(json_int_t)route->table, "nhid", (json_int_t)route->nhid, "active", route->active,
		"group", (json_int_t)route->group, "legs", legs);
}

struct route_stream {
	char vrf[CFG_NAME_MAX]; /* being shown */
	bool one_vrf, all, longer;
	struct ip_prefix within; /* af 0: everything */
	struct ip_prefix cursor;
	/* of the step that runs */
	json_t *part;
	uint64_t start;
	bool any;
	struct ip_prefix last; /* seen, if any */
};

/* Local and broadcast routes are the kernel's bookkeeping of our own addresses: shown when asked
 * for. */
static bool wanted(const struct route_stream *s, const struct mirror_route *route)
{
	return s->all || (route->type != RTN_LOCAL && route->type != RTN_BROADCAST &&
				 route->type != RTN_ANYCAST && route->type != RTN_MULTICAST);
}

/* Stops only between two prefixes: the listing goes on after the last one, and a prefix may have
 * several routes. */
static bool show_route(const struct mirror_route *route, void *arg)
{
	struct route_stream *s = arg;
	bool full = json_array_size(s->part) >= PART_ROUTES || !view_time_left(s->start);

	if (full && s->any && !ip_prefix_equal(&route->prefix, &s->last))
		return false;
	s->any = true;
	s->last = route->prefix;
	if (wanted(s, route))
		json_array_append_new(s->part, view_route(s->vrf, route));
	return true;
}

/* On to the next VRF in name order; false at the end. */
static bool next_vrf(struct route_stream *s)
{
	struct vrf *v = vrf_next(NULL);

	if (s->one_vrf && *s->vrf)
		return false;
	while (v && *s->vrf && strcmp(v->name, s->vrf) <= 0)
		v = vrf_next(v);
	if (!v)
		return false;
	memcpy(s->vrf, v->name, sizeof(s->vrf));
	s->cursor.af = 0;
	return true;
}

/* What is left of the VRF; true when it is not finished. */
static bool walk_vrf(struct route_stream *s, const struct vrf *vrf)
{
	const struct ip_prefix *within = s->within.af ? &s->within : NULL;

	s->any = false;
	if (!mirror_route_walk(vrf, within, &s->cursor, show_route, s))
		return false;
	if (s->any)
		s->cursor = s->last;
	return true;
}

static json_t *route_step(void *state)
{
	struct route_stream *s = state;
	bool more = true;

	s->part = json_array();
	s->start = now_ns();
	do {
		struct vrf *vrf = vrf_by_name(s->vrf); /* may have gone since the last step */

		if (!vrf || !walk_vrf(s, vrf))
			more = next_vrf(s);
	} while (more && view_time_left(s->start) && json_array_size(s->part) < PART_ROUTES);
	if (more || json_array_size(s->part))
		return s->part;
	json_decref(s->part);
	return NULL;
}

/* Exactly one prefix, in one VRF or in each: small. */
static bool collect_route(const struct mirror_route *route, void *arg)
{
	struct route_stream *s = arg;

	json_array_append_new(s->part, view_route(s->vrf, route));
	return json_array_size(s->part) < PART_ROUTES;
}

static json_t *routes_exact(const struct vrf *only, const struct ip_prefix *prefix)
{
	struct route_stream s = { .part = json_array() };

	for (const struct vrf *v = vrf_next(NULL); v; v = vrf_next(v)) {
		if (only && v != only)
			continue;
		memcpy(s.vrf, v->name, sizeof(s.vrf));
		mirror_route_exact(v, prefix, collect_route, &s);
	}
	return s.part;
}

void view_route_show(struct api_request *request, const json_t *args)
{
	struct vrf *vrf = NULL;
	struct ip_prefix prefix = { 0 };
	bool longer = false, all = false;
	const struct view_arg table[] = {
		{ .name = "vrf", .type = VIEW_VRF, .out = &vrf },
		{ .name = "prefix", .type = VIEW_PREFIX, .out = &prefix },
		{ .name = "longer", .type = VIEW_BOOL, .out = &longer },
		{ .name = "all", .type = VIEW_BOOL, .out = &all },
	};
	struct route_stream *s;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (longer && !prefix.af) {
		api_fail(request, "\"longer\" needs a prefix: route show 10.0.0.0/8 longer");
		return;
	}
	if (prefix.af && !ip_prefix_is_network(&prefix)) {
		char text[IP_STRLEN];

		ip_prefix_mask(&prefix);
		api_fail(request, "the prefix has host bits set: did you mean %s?",
			ip_prefix_format(&prefix, text));
		return;
	}
	if (prefix.af && !longer) {
		api_reply(request, routes_exact(vrf, &prefix));
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		api_fail(request, "lintasd: out of memory");
		return;
	}
	s->one_vrf = vrf != NULL;
	s->all = all;
	s->within = prefix;
	if (vrf)
		memcpy(s->vrf, vrf->name, sizeof(s->vrf));
	api_stream(request, route_step, free, s);
}
