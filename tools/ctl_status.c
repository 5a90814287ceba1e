/* The status screen: what is well in one line each, what is not by name. */
#include "ctl.h"

static void print_links(FILE *out, const json_t *status)
{
	const json_t *links = json_object_get(status, "links"),
		     *down = json_object_get(links, "down"), *l;
	int64_t not_up = get_int(links, "total") - get_int(links, "up");
	size_t i;

	fprintf(out, "links      %lld of %lld up", (long long)get_int(links, "up"),
		(long long)get_int(links, "total"));
	json_array_foreach(down, i, l)
		fprintf(out, "%s %s (%s)", i ? "," : "; DOWN", get_str(l, "name", "?"),
			get_str(l, "why", "?"));
	if (not_up > (int64_t)json_array_size(down))
		fprintf(out, " and %lld more",
			(long long)(not_up - (int64_t)json_array_size(down)));
	fputc('\n', out);
}

/* What carries, but not as the probes want it. */
static void print_sick(FILE *out, const json_t *status)
{
	const json_t *links = json_object_get(status, "links"),
		     *sick = json_object_get(links, "sick"), *l;
	int64_t more = get_int(links, "not_good") - (int64_t)json_array_size(sick);
	size_t i;

	json_array_foreach(sick, i, l)
		fprintf(out, "health     %s is %s: %s\n", get_str(l, "name", "?"),
			get_str(l, "health", "?"), get_str(l, "why", "?"));
	if (more > 0)
		fprintf(out, "health     and %lld more\n", (long long)more);
}

/* Only paths that are not on their first tier, whole. */
static void print_paths(FILE *out, const json_t *status)
{
	const json_t *path, *dead;
	size_t i, j;

	json_array_foreach(json_object_get(status, "paths"), i, path) {
		const json_t *down = json_object_get(path, "down");

		if (!json_array_size(down))
			continue;
		fprintf(out, "path       %s ", get_str(path, "name", "?"));
		if (get_int(path, "tier"))
			fprintf(out, "on tier %lld of %lld", (long long)get_int(path, "tier"),
				(long long)get_int(path, "tiers"));
		else
			fputs("has no link left", out);
		json_array_foreach(down, j, dead)
			fprintf(out, "%s %s", j ? "," : "; down:", json_string_value(dead));
		fputc('\n', out);
	}
}

static void print_bgp_line(FILE *out, const json_t *status)
{
	const json_t *bgp = json_object_get(status, "bgp"), *s;
	const char *error = get_str(bgp, "error", NULL);
	size_t i;

	if (error)
		fprintf(out, "bgp        %s\n", error);
	if (error || !get_int(bgp, "sessions")) {
		if (!error)
			fputs("bgp        no sessions\n", out);
		return;
	}
	fprintf(out, "bgp        %lld of %lld established", (long long)get_int(bgp, "established"),
		(long long)get_int(bgp, "sessions"));
	json_array_foreach(json_object_get(bgp, "down"), i, s)
		fprintf(out, "%s %s %s %s", i ? "," : ";",
			get_str(s, "link", get_str(s, "vrf", "-")), get_str(s, "peer", "?"),
			get_str(s, "state", "?"));
	fputc('\n', out);
}

static void print_drops_line(FILE *out, const json_t *status)
{
	const json_t *drops = json_object_get(status, "drops"), *d;
	double sum = get_real(drops, "per_second");
	char a[FORMAT_LEN], b[FORMAT_LEN];
	size_t i;

	fprintf(out, "drops      %s/s, %s since start", format_rate(sum, a),
		format_count((uint64_t)get_int(drops, "total"), b));
	json_array_foreach(json_object_get(drops, "top"), i, d)
		fprintf(out, "%s %s %.0f%%", i ? "," : ";", get_str(d, "name", "?"),
			sum > 0 ? 100 * get_real(d, "per_second") / sum : 0);
	fputc('\n', out);
}

static void print_services(FILE *out, const json_t *status)
{
	const json_t *mirror = json_object_get(status, "mirror"),
		     *frr = json_object_get(status, "frr"),
		     *ipsec = json_object_get(status, "ipsec");
	char a[FORMAT_LEN];

	fprintf(out,
		"mirror     %s, %s routes, %lld overruns, %lld resyncs, %lld repaired by the "
		"auditor",
		get_bool(mirror, "synced") ? "in step with the kernel"
					   : "NOT IN STEP YET with the kernel",
		format_count((uint64_t)get_int(mirror, "routes"), a),
		(long long)get_int(mirror, "overruns"), (long long)get_int(mirror, "resyncs"),
		(long long)get_int(mirror, "audit_fixed"));
	if (get_int(mirror, "fib_refused"))
		fprintf(out, "; %lld ROUTES REFUSED by the fast path",
			(long long)get_int(mirror, "fib_refused"));
	if (!get_bool(frr, "managed"))
		fputs("\nfrr        managed elsewhere (routing = \"external\")", out);
	else
		fprintf(out, "\nfrr        %s%s%s",
			get_bool(frr, "in_sync") ? "in sync" : "NOT IN SYNC",
			get_str(frr, "error", NULL) ? ": " : "", get_str(frr, "error", ""));
	if (json_is_object(ipsec))
		fprintf(out, "\nipsec      charon %s%s%s",
			get_int(ipsec, "in_sync") == get_int(ipsec, "vrfs") ? "in sync"
									    : "NOT IN SYNC",
			get_str(ipsec, "error", NULL) ? ": " : "", get_str(ipsec, "error", ""));
	fputc('\n', out);
}

/* "41 B" or "?" */
static const char *each(const json_t *object, const char *key, char *buf)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? format_memory((uint64_t)json_integer_value(value), buf)
				      : "?";
}

static void print_memory(FILE *out, const json_t *status)
{
	const json_t *memory = json_object_get(status, "memory"),
		     *routes = json_object_get(memory, "routes"),
		     *vrfs = json_object_get(memory, "vrfs"),
		     *links = json_object_get(memory, "links"),
		     *groups = json_object_get(memory, "groups"),
		     *adjs = json_object_get(memory, "adjacencies");
	char a[FORMAT_LEN], b[FORMAT_LEN], c[FORMAT_LEN], d[FORMAT_LEN];

	fprintf(out,
		"memory     a route %s in the fast path, %s in control's copy, %s in the mirror "
		"(%s)\n",
		each(routes, "lookup_bytes_each", a), each(routes, "control_bytes_each", b),
		each(routes, "mirror_bytes_each", c),
		format_count((uint64_t)get_int(routes, "count"), d));
	fprintf(out, "           a VRF %s (%lld), a link %s (%lld: counters %s, shape %s)\n",
		each(vrfs, "bytes_each", a), (long long)get_int(vrfs, "count"),
		each(links, "bytes_each", b), (long long)get_int(links, "count"),
		each(links, "counter_bytes", c), each(links, "shape_bytes", d));
	fprintf(out, "           %s path groups %s, %s adjacencies %s\n",
		format_count((uint64_t)get_int(groups, "count"), a), each(groups, "bytes", b),
		format_count((uint64_t)get_int(adjs, "count"), c), each(adjs, "bytes", d));
}

static void print_warnings(FILE *out, const json_t *status)
{
	const json_t *reload = json_object_get(status, "reload");
	const char *neigh = get_str(json_object_get(status, "neighbours"), "warning", NULL);

	if (get_bool(status, "needs_restart"))
		fputs("RESTART    changes of workers, memory or ports wait for a restart of "
		      "lintasd\n",
			out);
	if (get_int(reload, "last_errors"))
		fprintf(out,
			"CONFIG     the last reload was refused with %lld errors: lintasctl config "
			"errors\n",
			(long long)get_int(reload, "last_errors"));
	if (neigh)
		fprintf(out, "NEIGHBOURS %s\n", neigh);
}

void print_status(struct ctl_print *print, const json_t *s)
{
	const json_t *control = json_object_get(s, "control"),
		     *reload = json_object_get(s, "reload");
	FILE *out = print->out;
	char a[FORMAT_LEN];

	fprintf(out, "gateway    %s on %s, generation %lld of %s (%.8s), up %s, %lld worker%s\n",
		get_str(s, "gateway", "?"), get_str(s, "host", "?"),
		(long long)get_int(s, "generation"), get_str(s, "config", "?"),
		get_str(s, "digest", "?"), format_duration(get_int(s, "uptime_s"), a),
		(long long)get_int(s, "workers"), get_int(s, "workers") == 1 ? "" : "s");
	print_links(out, s);
	print_sick(out, s);
	print_paths(out, s);
	print_bgp_line(out, s);
	print_drops_line(out, s);
	print_services(out, s);
	print_memory(out, s);
	fprintf(out,
		"control    longest callback %.1f ms, %lld over 2 ms; %lld reloads, %lld refused, "
		"%lld operations\n",
		(double)get_int(control, "longest_us") / 1000,
		(long long)get_int(control, "stalls"), (long long)get_int(reload, "reloads"),
		(long long)get_int(reload, "failures"), (long long)get_int(reload, "operations"));
	print_warnings(out, s);
}
