/* `status`: one screen. Everything is at hand but BGP, which FRR is asked for; it answers within
 * BGP_WAIT_S or the screen says that it did not. */
#include <stdlib.h>
#include <string.h>
#include "frr.h"
#include "health.h"
#include "swan.h"
#include "views.h"

#define LIST_MAX 32 /* items of a list on one screen; "more" counts the others */

static json_t *ipsec_json(void)
{
	struct swan_status s = { 0 };

	swan_status(&s);
	if (!s.vrfs)
		return json_null();
	return json_pack("{s:i, s:i, s:I, s:I, s:s?}", "vrfs", (int)s.vrfs, "in_sync",
		(int)s.in_sync, "loads", (json_int_t)s.loads, "failures", (json_int_t)s.failures,
		"error", *s.last_error ? s.last_error : NULL);
}

/* ---- links and paths ---- */

static json_t *sick_json(const struct link *l)
{
	enum health health = health_of(l);
	const char *why;

	if (health_probed(l, AF_INET, &why) != health)
		health_probed(l, AF_INET6, &why);
	return json_pack(
		"{s:s, s:s, s:s}", "name", l->name, "health", health_names[health], "why", why);
}

static json_t *links_json(void)
{
	json_t *down = json_array(), *sick = json_array();
	int total = 0, up = 0, n_sick = 0;

	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		const char *why = view_link_down(l);

		if (!why && health_of(l) != HEALTH_GOOD && n_sick++ < LIST_MAX)
			json_array_append_new(sick, sick_json(l));

		total++;
		if (!why)
			up++;
		else if (json_array_size(down) < LIST_MAX)
			json_array_append_new(
				down, json_pack("{s:s, s:s}", "name", l->name, "why", why));
	}
	return json_pack("{s:i, s:i, s:o, s:i, s:o}", "total", total, "up", up, "down", down,
		"not_good", n_sick, "sick", sick);
}

/* The tier in use: the best with a link that carries. */
static json_t *path_json(const struct cfg_path *path)
{
	json_t *dead = json_array();
	int tier = 0;

	for (unsigned t = 0; t < path->n_tiers; t++)
		for (unsigned i = 0; i < path->tiers[t].n; i++) {
			const struct link *l = link_by_name(path->tiers[t].links[i]->name);

			if (!l || view_link_down(l))
				json_array_append_new(
					dead, json_string(path->tiers[t].links[i]->name));
			else if (!tier)
				tier = (int)t + 1;
		}
	return json_pack("{s:s, s:o, s:i, s:o}", "name", path->name, "tier",
		tier ? json_integer(tier) : json_null(), "tiers", (int)path->n_tiers, "down", dead);
}

static json_t *paths_json(void)
{
	json_t *paths = json_array();

	for (unsigned i = 0; i < control.running->n_paths && i < LIST_MAX; i++)
		json_array_append_new(paths, path_json(&control.running->paths[i]));
	return paths;
}

/* ---- drops ---- */

static int by_rate(const void *a, const void *b)
{
	double x = view_drop_rate(*(const enum dp_drop *)a).per_second;
	double y = view_drop_rate(*(const enum dp_drop *)b).per_second;

	return x < y ? 1 : x > y ? -1 : 0;
}

static json_t *drops_json(void)
{
	enum dp_drop order[DP_DROP_COUNT];
	json_t *top = json_array();
	uint64_t total = 0;
	double sum = 0;

	for (int i = 0; i < DP_DROP_COUNT; i++) {
		struct view_rate rate = view_drop_rate(order[i] = (enum dp_drop)i);

		total += rate.total;
		sum += rate.per_second;
	}
	qsort(order, DP_DROP_COUNT, sizeof(order[0]), by_rate);
	for (int i = 0; i < 3; i++) {
		struct view_rate rate = view_drop_rate(order[i]);

		if (rate.per_second > 0)
			json_array_append_new(top,
				json_pack("{s:s, s:f, s:s, s:s}", "name",
					dp_drop_desc[order[i]].name, "per_second", rate.per_second,
					"severity", dp_drop_desc[order[i]].severity, "text",
					dp_drop_desc[order[i]].text));
	}
	return json_pack(
		"{s:f, s:I, s:o}", "per_second", sum, "total", (json_int_t)total, "top", top);
}

/* ---- the kernel's neighbour tables ---- */

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* One table for all namespaces, and 1024 entries is what a fresh system allows. */
static json_t *neighbours_json(uint64_t entries)
{
	long v4 = read_number("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
	long v6 = read_number("/proc/sys/net/ipv6/neigh/default/gc_thresh3");
	long limit = v4 < 0 || (v6 >= 0 && v6 < v4) ? v6 : v4;
	json_t *warning = json_null();

	if (limit >= 0 && entries * 4 >= (uint64_t)limit * 3)
		warning = json_sprintf("the kernel's neighbour table is nearly full (%llu of %ld "
				       "over all namespaces): "
				       "sysctl -w net.ipv4.neigh.default.gc_thresh3=65536 "
				       "net.ipv6.neigh.default.gc_thresh3=65536",
			(unsigned long long)entries, limit);
	else if (limit >= 0 && limit <= 1024)
		warning = json_sprintf(
			"the kernel's neighbour table holds only %ld entries over all namespaces: "
			"sysctl -w net.ipv4.neigh.default.gc_thresh3=65536 "
			"net.ipv6.neigh.default.gc_thresh3=65536",
			limit);
	return json_pack("{s:I, s:o, s:o}", "entries", (json_int_t)entries, "limit",
		limit < 0 ? json_null() : json_integer(limit), "warning", warning);
}

/* ---- services ---- */

static json_t *mirror_json(const struct mirror_stats *m)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "synced", mirror_synced(), "routes",
		(json_int_t)m->routes, "overruns", (json_int_t)m->overruns, "resyncs",
		(json_int_t)m->resyncs, "audit_fixed", (json_int_t)m->audit_fixed, "fib_refused",
		(json_int_t)m->fib_refused);
}

static json_t *frr_json(void)
{
	struct frr_status f = { 0 };
	bool external = control.running->routing == CFG_ROUTING_EXTERNAL;

	frr_status(&f);
	f.last_error[sizeof(f.last_error) - 1] = '\0';
	return json_pack("{s:b, s:b, s:I, s:I, s:I, s:s?}", "managed", !external, "in_sync",
		f.in_sync, "syncs", (json_int_t)f.syncs, "failures", (json_int_t)f.failures,
		"lines_changed", (json_int_t)f.lines_changed, "error",
		!external && !f.in_sync && *f.last_error ? f.last_error : NULL);
}

/* ---- memory ---- */

static json_t *per(uint64_t bytes, uint64_t n)
{
	return n ? json_integer((json_int_t)((bytes + n / 2) / n)) : json_null();
}

/* What workers read of a route and what control keeps of it apart: in the fast path's own copy, and
 * in the mirror, from which the kernel's routes are listed. A link's and a VRF's share is of all
 * there is for links and VRFs. */
static json_t *memory_json(const struct mirror_stats *mirror)
{
	struct dp_memory m;
	bool counted;

	dp_memory(&m);
	counted = m.counter_bytes >= 0;
	uint64_t links = m.link_bytes + (counted ? (uint64_t)m.counter_bytes : 0);
	uint64_t vrfs = m.vrf_bytes + m.lookup_bytes + m.control_bytes;
	return json_pack("{s:{s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:o},"
			 " s:{s:i, s:I, s:o}, s:{s:i, s:I, s:o, s:o},"
			 " s:{s:i, s:I}, s:{s:i, s:I}}",
		"routes", "count", (json_int_t)m.routes, "lookup_bytes", (json_int_t)m.lookup_bytes,
		"control_bytes", (json_int_t)m.control_bytes, "lookup_bytes_each",
		per(m.lookup_bytes, m.routes), "control_bytes_each", per(m.control_bytes, m.routes),
		"mirrored", (json_int_t)mirror->routes, "mirror_bytes",
		(json_int_t)mirror->route_bytes, "mirror_bytes_each",
		per(mirror->route_bytes, mirror->routes), "vrfs", "count", (int)m.vrfs, "bytes",
		(json_int_t)vrfs, "bytes_each", per(vrfs, m.vrfs), "links", "count", (int)m.links,
		"shape_bytes", (json_int_t)m.link_bytes, "counter_bytes",
		counted ? json_integer(m.counter_bytes) : json_null(), "bytes_each",
		counted ? per(links, m.links) : json_null(), "groups", "count", (int)m.groups,
		"bytes", (json_int_t)m.group_bytes, "adjacencies", "count", (int)m.adjacencies,
		"bytes", (json_int_t)m.adjacency_bytes);
}

static json_t *workers_json(void)
{
	struct dp_worker_stats s;
	int n = 0;

	while (!dp_worker_stats((unsigned)n, &s))
		n++;
	return json_integer(n);
}

/* ---- BGP in one line ---- */

static json_t *bgp_json(const json_t *bgp)
{
	json_t *down = json_array(), *s;
	int total = 0, up = 0;
	size_t i;

	json_array_foreach(json_object_get(bgp, "sessions"), i, s) {
		const char *state = json_string_value(json_object_get(s, "state"));

		total++;
		if (state && !strcmp(state, "Established"))
			up++;
		else if (json_array_size(down) < LIST_MAX)
			json_array_append_new(down, json_pack("{s:O, s:O, s:O, s:O}", "peer",
							    json_object_get(s, "peer"), "link",
							    json_object_get(s, "link"), "vrf",
							    json_object_get(s, "vrf"), "state",
							    json_object_get(s, "state")));
	}
	return json_pack("{s:i, s:i, s:o, s:O}", "sessions", total, "established", up, "down", down,
		"error", json_object_get(bgp, "error"));
}

static void reply_status(const json_t *bgp, void *arg)
{
	struct mirror_stats m = { 0 };
	char digest[17];

	mirror_stats(&m);
	for (int i = 0; i < 8; i++)
		snprintf(digest + 2 * i, 3, "%02x", control.running->digest[i]);
	json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:b, s:o}", "gateway",
		control.running->gateway.name, "host", control.hostname, "generation",
		(json_int_t)control.generation, "config", control.config_path, "digest", digest,
		"uptime_s", (json_int_t)((now_ns() - control.start_ns) / 1000000000ull),
		"needs_restart", control.needs_restart, "workers", workers_json());
	json_object_set_new(o, "links", links_json());
	json_object_set_new(o, "paths", paths_json());
	json_object_set_new(o, "bgp", bgp_json(bgp));
	json_object_set_new(o, "drops", drops_json());
	json_object_set_new(o, "mirror", mirror_json(&m));
	json_object_set_new(o, "frr", frr_json());
	json_object_set_new(o, "ipsec", ipsec_json());
	json_object_set_new(o, "memory", memory_json(&m));
	json_object_set_new(o, "neighbours", neighbours_json(m.neighbours));
	json_object_set_new(o, "reload",
		json_pack("{s:I, s:I, s:I, s:i}", "reloads", (json_int_t)control.reloads,
			"failures", (json_int_t)control.reload_failures, "operations",
			(json_int_t)control.reload_ops, "last_errors",
			(int)control.last_errors.n_fatal));
	json_object_set_new(o, "control",
		json_pack("{s:I, s:I}", "stalls", (json_int_t)control.stalls, "longest_us",
			(json_int_t)(control.longest_ns / 1000)));
	api_reply(arg, o);
}

bool view_bgp_wanted(void)
{
	for (unsigned i = 0; i < control.running->n_links; i++)
		if (control.running->links[i].bgp.present)
			return true;
	return control.running->routing == CFG_ROUTING_EXTERNAL;
}

void view_status(struct api_request *request, const json_t *args)
{
	if (!view_args(request, args, NULL, 0))
		return;
	if (!view_bgp_wanted()) {
		json_t *none = json_pack("{s:[], s:n}", "sessions", "error");

		reply_status(none, request);
		json_decref(none);
	} else if (view_bgp_recent()) {
		reply_status(view_bgp_recent(), request);
	} else if (view_bgp_collect(reply_status, request)) {
		api_fail(request, "too many questions to FRR at once: try again");
	}
}
