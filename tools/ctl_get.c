/* `route get` for people: the packet's way as an indented story, from the match to the bytes. */
#include <string.h>
#include "ctl.h"

static void print_owner(FILE *out, const json_t *r, bool first)
{
	const json_t *leg;
	size_t i;

	fprintf(out, "%-10s %s %s %s, metric %lld%s%s\n", first ? "match" : "",
		get_str(r, "prefix", "?"), get_str(r, "type", "?"), get_str(r, "protocol", "?"),
		(long long)get_int(r, "metric"), get_int(r, "nhid") ? ", next-hop object" : "",
		get_bool(r, "active") ? "" : "  (not used: a better one exists)");
	json_array_foreach(json_object_get(r, "legs"), i, leg)
		fprintf(out, "%-10s %s dev %s weight %lld%s%s%s\n", i ? "" : "  kernel",
			get_str(leg, "via", "on link"), get_str(leg, "dev", "?"),
			(long long)get_int(leg, "weight"), get_bool(leg, "alive") ? "" : "  dead (",
			get_bool(leg, "alive") ? "" : get_str(leg, "why", "?"),
			get_bool(leg, "alive") ? "" : ")");
}

static void print_layer(FILE *out, const json_t *l)
{
	const char *layer = get_str(l, "layer", "?");

	if (!strcmp(layer, "ethernet"))
		fprintf(out, "eth %s > %s", get_str(l, "src", "?"), get_str(l, "dst", "?"));
	else if (!strcmp(layer, "vlan"))
		fprintf(out, "vlan %lld (%s)", (long long)get_int(l, "vid"),
			get_str(l, "tpid", "?"));
	else if (!strcmp(layer, "udp"))
		fprintf(out, "udp to %lld", (long long)get_int(l, "dport"));
	else if (!strcmp(layer, "vxlan") || !strcmp(layer, "geneve"))
		fprintf(out, "%s %lld", layer, (long long)get_int(l, "vni"));
	else if (!strcmp(layer, "gre") && json_object_get(l, "key"))
		fprintf(out, "gre key %lld", (long long)get_int(l, "key"));
	else if (!strcmp(layer, "gre"))
		fprintf(out, "gre");
	else
		fprintf(out, "%s %s > %s ttl %lld", layer, get_str(l, "src", "?"),
			get_str(l, "dst", "?"), (long long)get_int(l, "ttl"));
}

static void print_hex(FILE *out, const char *hex)
{
	for (size_t i = 0; hex[i] && hex[i + 1]; i += 2)
		fprintf(out, "%s%.2s",
			i == 0	      ? ""
			: i % 32 == 0 ? "\n               "
				      : " ",
			hex + i);
}

static void print_adjacency(FILE *out, const json_t *to)
{
	const json_t *layers = json_object_get(to, "layers"), *layer;
	const char *hex = get_str(to, "header", NULL), *link = get_str(to, "link", NULL);
	char a[FORMAT_LEN], b[FORMAT_LEN];
	size_t i;

	fprintf(out, "    adjacency  %lld %s%s%s", (long long)get_int(to, "adjacency"),
		get_str(to, "kind", "?"), link ? " on " : "", link ? link : "");
	if (get_str(to, "nexthop", NULL))
		fprintf(out, " to %s", get_str(to, "nexthop", ""));
	if (get_str(to, "mac", NULL))
		fprintf(out, " at %s", get_str(to, "mac", ""));
	fprintf(out, ": %s\n", get_str(to, "text", ""));
	if (hex) {
		fprintf(out, "    port       %s, MTU %lld, %zu bytes of header\n",
			get_str(to, "port", "?"), (long long)get_int(to, "mtu"), strlen(hex) / 2);
		fputs("    header     ", out);
		json_array_foreach(layers, i, layer) {
			fputs(i ? " | " : "", out);
			print_layer(out, layer);
		}
		fputs("\n               ", out);
		print_hex(out, hex);
		fputc('\n', out);
	}
	if (link) {
		const json_t *tx = json_object_get(to, "link_tx");

		fprintf(out, "    link       %s %s, sent %s packets, %s\n", link,
			get_bool(to, "link_up") ? "up" : get_str(to, "link_why", "down"),
			format_count((uint64_t)get_int(tx, "packets"), a),
			format_bytes((uint64_t)get_int(tx, "bytes"), b));
	}
}

static void print_leg(FILE *out, const json_t *leg, const json_t *path)
{
	const json_t *to = json_object_get(leg, "to");
	int64_t buckets = get_int(leg, "buckets"), all = get_int(path, "buckets");

	fprintf(out, "  %s %s", get_bool(leg, "taken") ? "=>" : "  ",
		get_str(to, "link", get_str(to, "kind", "?")));
	if (get_str(to, "nexthop", NULL))
		fprintf(out, " via %s", get_str(to, "nexthop", ""));
	fprintf(out, ", tier %lld, weight %lld", (long long)get_int(leg, "tier"),
		(long long)get_int(leg, "weight"));
	if (!get_bool(leg, "alive"))
		fprintf(out, ", DEAD (%s)", get_str(leg, "why", "no reason known"));
	if (buckets)
		fprintf(out, ", share %lld/%lld", (long long)buckets, (long long)all);
	else
		fputs(get_bool(leg, "alive") ? ", in reserve" : "", out);
	fputc('\n', out);
	if (buckets || get_bool(leg, "taken"))
		print_adjacency(out, to);
}

/* The zones whose packets may go there. */
static void print_open_to(FILE *out, const json_t *zones)
{
	const json_t *zone;
	size_t i;

	if (!json_is_array(zones))
		return;
	fputs("open to    ", out);
	json_array_foreach(zones, i, zone)
		fprintf(out, "%s%s", i ? ", " : "", json_string_value(zone));
	fputs(json_array_size(zones) ? "\n" : "nobody: no reach, no service\n", out);
}

void print_get(struct ctl_print *print, const json_t *g)
{
	const json_t *path = json_object_get(g, "path"), *routes = json_object_get(g, "routes"),
		     *item;
	FILE *out = print->out;
	size_t i;

	fprintf(out, "%s in VRF %s: %s\n", get_str(g, "addr", "?"), get_str(g, "vrf", "?"),
		get_str(g, "verdict", "?"));
	json_array_foreach(routes, i, item)
		print_owner(out, item, i == 0);
	if (!get_bool(g, "in_step"))
		fputs("NOT IN STEP: what the workers look up differs from the kernel's route; a "
		      "resync is due\n",
			out);
	print_open_to(out, json_object_get(g, "open_to"));
	if (json_is_null(path))
		return;
	fprintf(out, "path       group %lld, ", (long long)get_int(path, "group"));
	if (get_int(path, "tier"))
		fprintf(out, "tier %lld", (long long)get_int(path, "tier"));
	else
		fputs("no leg alive", out);
	if (get_int(path, "buckets") > 1) {
		const json_t *bucket = json_object_get(path, "bucket");

		if (json_is_integer(bucket))
			fprintf(out, ", bucket %lld of %lld", (long long)json_integer_value(bucket),
				(long long)get_int(path, "buckets"));
		else
			fputs(", bucket by flow (give `from ADDRESS` to see it)", out);
	}
	fputc('\n', out);
	json_array_foreach(json_object_get(path, "legs"), i, item)
		print_leg(out, item, path);
}
