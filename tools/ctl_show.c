/* Tables of objects: ports, links, VRFs, routes, neighbours, path groups, BGP sessions, VRRP. */
#include <stdlib.h>
#include <string.h>
#include "ctl.h"

static void cell_count(struct table *t, const json_t *object, const char *key)
{
	char buf[FORMAT_LEN];

	table_cell(t, format_count((uint64_t)get_int(object, key), buf));
}

static void cell_bytes(struct table *t, const json_t *object, const char *key)
{
	char buf[FORMAT_LEN];

	table_cell(t, format_bytes((uint64_t)get_int(object, key), buf));
}

/* Strings of a list with a separator, cut when the list is absurdly long. */
static const char *join(const json_t *list, const char *separator, char *buf, size_t size)
{
	size_t len = 0, i;
	json_t *item;

	buf[0] = '\0';
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		if (!text)
			continue;
		if (len + strlen(separator) + strlen(text) + 4 >= size) {
			snprintf(buf + len, size - len, "...");
			break;
		}
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? separator : "", text);
	}
	return buf;
}

void print_port(struct ctl_print *print, const json_t *p)
{
	const json_t *rx = json_object_get(p, "rx"), *tx = json_object_get(p, "tx");
	const json_t *buffers = json_object_get(p, "buffers");
	struct table *t = print->table;
	int64_t mbps = get_int(p, "speed_mbps");
	char buf[FORMAT_LEN];

	table_cell(t, get_str(p, "name", "?"));
	table_cell(t, get_bool(p, "up") ? "up" : "no carrier");
	table_cell(t, get_str(p, "device", "?"));
	table_cell(t, get_str(p, "driver", "?"));
	table_cellf(
		t, "%s%s", mbps ? format_rate((double)mbps * 1e6, buf) : "-", mbps ? "bit/s" : "");
	table_cellf(t, "%lld", (long long)get_int(p, "mtu"));
	table_cellf(t, "%lld", (long long)get_int(p, "rx_queues"));
	table_cellf(t, "%lld", (long long)get_int(p, "tx_queues"));
	cell_count(t, rx, "packets");
	cell_count(t, tx, "packets");
	cell_bytes(t, rx, "bytes");
	cell_bytes(t, tx, "bytes");
	table_cell(
		t, format_count((uint64_t)(get_int(rx, "missed") + get_int(rx, "no_buffer")), buf));
	table_cell(t, format_count((uint64_t)(get_int(rx, "errors") + get_int(tx, "errors")), buf));
	table_cellf(t, "%lld/%lld", (long long)get_int(buffers, "in_use"),
		(long long)get_int(buffers, "total"));
	table_row(t);
}

/* ", keys 12m03s old", ", IKE CONNECTING: NO_ANSWER" of an IPsec link. */
static void keys_text(const json_t *keys, char *text, size_t size)
{
	char buf[FORMAT_LEN];

	*text = '\0';
	if (!json_is_object(keys))
		return;
	if (get_bool(keys, "ready"))
		snprintf(text, size, ", keys %s old", format_duration(get_int(keys, "age_s"), buf));
	else
		snprintf(text, size, ", IKE %s%s%s", get_str(keys, "ike", "?"),
			get_str(keys, "error", NULL) ? ": " : "", get_str(keys, "error", ""));
}

/* "colo0", "colo0.101", "colo1.200.7", "vxlan 100 to 10.9.0.2 over inet", "gre to ...". */
static void cell_attachment(struct table *t, const json_t *link)
{
	const json_t *shape = json_object_get(link, "shape"), *tag;
	char text[128], keys[128];
	size_t i, len;

	if (get_str(shape, "remote", NULL)) {
		const json_t *id = json_object_get(shape, "vni");

		id = id ? id : json_object_get(shape, "key");
		snprintf(text, sizeof(text), " %lld", (long long)json_integer_value(id));
		keys_text(json_object_get(json_object_get(link, "tunnel"), "keys"), keys,
			sizeof(keys));
		table_cellf(t, "%s%s to %s over %s%s", get_str(shape, "encap", "?"), id ? text : "",
			get_str(shape, "remote", "?"), get_str(shape, "underlay", "?"), keys);
		return;
	}
	len = (size_t)snprintf(text, sizeof(text), "%.64s", get_str(link, "port", "-"));
	json_array_foreach(json_object_get(shape, "tags"), i, tag)
		if (len < sizeof(text) - 8)
			len += (size_t)snprintf(text + len, sizeof(text) - len, ".%lld",
				(long long)get_int(tag, "vid"));
	table_cell(t, text);
}

static void cell_health(struct table *t, const json_t *health)
{
	const char *state = get_str(health, "state", "-"), *why = get_str(health, "why", NULL);

	if (why)
		table_cellf(t, "%s (%s)", state, why);
	else
		table_cell(t, strcmp(state, "not probed") ? state : "-");
}

/* "  in   c0ffee01  aes256gcm16, 12m03s old, 1.23k packets, 1.50 MB" */
static void below_sa(FILE *out, const json_t *sa)
{
	char age[FORMAT_LEN], packets[FORMAT_LEN], bytes[FORMAT_LEN];
	int64_t refused =
		get_int(sa, "replayed") + get_int(sa, "bad_icv") + get_int(sa, "bad_padding");

	fprintf(out, "  %-3s  %s  %s%s, %s old, %s packets, %s", get_str(sa, "direction", "?"),
		get_str(sa, "spi", "?"), get_str(sa, "algorithm", "?"),
		get_bool(sa, "udp") ? " in UDP" : "", format_duration(get_int(sa, "age_s"), age),
		format_count((uint64_t)get_int(sa, "packets"), packets),
		format_bytes((uint64_t)get_int(sa, "bytes"), bytes));
	if (refused)
		fprintf(out, ", %lld refused", (long long)refused);
	fprintf(out, "%s\n", get_bool(sa, "used") ? "" : ", not used");
}

/* By which way a tunnel's packets leave now, what fits in, and its keys. */
static void below_tunnel(FILE *out, const json_t *link, const json_t *tunnel)
{
	const json_t *way = json_object_get(tunnel, "way"), *keys = json_object_get(tunnel, "keys"),
		     *sa;
	const char *why = get_str(keys, "why", NULL);
	size_t i;

	fprintf(out, "\n%s: ", get_str(link, "name", "?"));
	if (get_str(way, "link", NULL))
		fprintf(out, "leaves by %s via %s", get_str(way, "link", "?"),
			get_str(way, "nexthop", "?"));
	else
		fprintf(out, "no way to %s",
			get_str(json_object_get(link, "shape"), "remote", "its far end"));
	fprintf(out, ", MTU now %lld", (long long)get_int(tunnel, "mtu"));
	if (json_is_object(keys))
		fprintf(out, ", IKE %s%s%s", get_str(keys, "ike", "?"), why ? "; no keys: " : "",
			why ? why : "");
	fputc('\n', out);
	json_array_foreach(json_object_get(tunnel, "sas"), i, sa)
		below_sa(out, sa);
}

void print_link(struct ctl_print *print, const json_t *l)
{
	const json_t *rx = json_object_get(l, "rx"), *tx = json_object_get(l, "tx");
	struct table *t = print->table;
	char text[512];
	int64_t now;

	table_cell(t, get_str(l, "name", "?"));
	table_cell(t, get_bool(l, "up") ? "up" : get_str(l, "why", "down"));
	cell_health(t, json_object_get(l, "health"));
	table_cell(t, get_str(l, "vrf", "-"));
	table_cellf(t, "%s%s", get_str(l, "zone", "-"), get_bool(l, "partner") ? " (partner)" : "");
	if (get_str(l, "path", NULL))
		table_cellf(t, "%s/%lld", get_str(l, "path", ""), (long long)get_int(l, "tier"));
	else
		table_cell(t, "-");
	cell_attachment(t, l);
	table_cell(t, join(json_object_get(l, "addresses"), " ", text, sizeof(text)));
	now = get_int(json_object_get(l, "tunnel"), "mtu");
	if (now && now < get_int(l, "mtu"))
		table_cellf(t, "%lld (now %lld)", (long long)get_int(l, "mtu"), (long long)now);
	else
		table_cellf(t, "%lld", (long long)get_int(l, "mtu"));
	cell_count(t, rx, "packets");
	cell_bytes(t, rx, "bytes");
	cell_count(t, tx, "packets");
	cell_bytes(t, tx, "bytes");
	cell_count(t, l, "drops");
	table_row(t);
	if (!print->named || !json_is_object(json_object_get(l, "tunnel")))
		return;
	if (!print->below)
		print->below = open_memstream(&print->below_text, &print->below_len);
	if (print->below)
		below_tunnel(print->below, l, json_object_get(l, "tunnel"));
}

void print_vrf(struct ctl_print *print, const json_t *v)
{
	struct table *t = print->table;
	char text[1024], buf[FORMAT_LEN];

	table_cell(t, get_str(v, "name", "?"));
	table_cell(t, get_bool(v, "adopted") ? "adopted" : "ours");
	cell_count(t, v, "routes4");
	cell_count(t, v, "routes6");
	table_cell(t, format_memory((uint64_t)get_int(v, "lookup_bytes"), buf));
	table_cell(t, format_memory((uint64_t)get_int(v, "control_bytes"), buf));
	table_cell(t, join(json_object_get(v, "loopback"), " ", text, sizeof(text)));
	table_cell(t, join(json_object_get(v, "links"), " ", text, sizeof(text)));
	table_row(t);
}

/* Cells VIA and DEV of a leg. */
static void cells_via(struct table *t, const json_t *leg)
{
	table_cell(t, get_str(leg, "via", "on link"));
	table_cell(t, get_str(leg, "dev", "-"));
}

static void cell_alive(struct table *t, const json_t *leg)
{
	table_cell(t, get_bool(leg, "alive") ? "alive" : get_str(leg, "why", "dead"));
}

/* A route is a row; its second and further legs are rows that say nothing about the prefix. */
void print_route(struct ctl_print *print, const json_t *r)
{
	const json_t *legs = json_object_get(r, "legs"), *leg;
	const char *type = get_str(r, "type", "?");
	struct table *t = print->table;
	size_t i;

	table_cell(t, get_bool(r, "active") ? "*" : "");
	table_cell(t, get_str(r, "vrf", "?"));
	table_cell(t, get_str(r, "prefix", "?"));
	table_cell(t, get_str(r, "protocol", "?"));
	table_cellf(t, "%lld", (long long)get_int(r, "metric"));
	if (strcmp(type, "unicast") || !json_array_size(legs)) {
		table_cell(t, type);
		if (json_array_size(legs))
			table_cell(t, get_str(json_array_get(legs, 0), "dev", ""));
		table_row(t);
		return;
	}
	json_array_foreach(legs, i, leg) {
		for (int skip = 0; i && skip < 5; skip++)
			table_cell(t, "");
		cells_via(t, leg);
		table_cellf(t, "%lld", (long long)get_int(leg, "tier"));
		table_cellf(t, "%lld", (long long)get_int(leg, "weight"));
		cell_alive(t, leg);
		table_row(t);
	}
}

void print_neighbor(struct ctl_print *print, const json_t *n)
{
	struct table *t = print->table;

	table_cell(t, get_str(n, "vrf", "?"));
	table_cell(t, get_str(n, "address", "?"));
	table_cell(t, get_str(n, "link", "-"));
	table_cell(t, get_str(n, "mac", "-"));
	table_cell(t, get_str(n, "state", "?"));
	table_cellf(t, "%lld", (long long)get_int(n, "adjacency"));
	table_row(t);
}

void print_nexthop(struct ctl_print *print, const json_t *g)
{
	const json_t *legs = json_object_get(g, "legs"), *leg;
	struct table *t = print->table;
	char buf[FORMAT_LEN];
	size_t i;

	json_array_foreach(legs, i, leg) {
		if (i) {
			table_cell(t, "");
			table_cell(t, "");
		} else {
			table_cellf(t, "%lld", (long long)get_int(g, "group"));
			table_cell(t, format_count((uint64_t)get_int(g, "prefixes"), buf));
		}
		cells_via(t, leg);
		table_cellf(t, "%lld", (long long)get_int(leg, "tier"));
		table_cellf(t, "%lld", (long long)get_int(leg, "weight"));
		table_cellf(t, "%lld/%lld", (long long)get_int(leg, "buckets"),
			(long long)get_int(g, "buckets"));
		cell_alive(t, leg);
		table_row(t);
	}
}

/* "ipv4 87/100, ipv6 3": against the limit where there is one */
static void cell_prefixes(
	struct table *t, const json_t *session, const char *which, const char *limit)
{
	json_t *families = json_object_get(session, "families");
	const char *family;
	json_t *counts;
	char text[96] = "";
	size_t len = 0;

	json_object_foreach(families, family, counts) {
		long long max = get_int(counts, limit);

		if (len >= sizeof(text) - 40)
			break;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.8s %lld",
			len ? ", " : "", family, (long long)get_int(counts, which));
		if (max)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "/%lld", max);
	}
	table_cell(t, len ? text : "-");
}

void print_bgp(struct ctl_print *print, const json_t *bgp)
{
	const json_t *session, *sessions = json_object_get(bgp, "sessions");
	const char *error = get_str(bgp, "error", NULL);
	struct table *t;
	char buf[FORMAT_LEN];
	size_t i;

	t = table_new(print->out, "LINK|VRF|PEER|>AS|STATE|>SINCE|RECEIVED|SENT|BFD|ZONE");
	json_array_foreach(sessions, i, session) {
		const json_t *since = json_object_get(session, "since_s");

		table_cell(t, get_str(session, "link", "-"));
		table_cell(t, get_str(session, "vrf", "?"));
		table_cell(t, get_str(session, "peer", "?"));
		table_cellf(t, "%lld", (long long)get_int(session, "remote_as"));
		table_cell(t, get_str(session, "state", "?"));
		table_cell(t, json_is_integer(since)
				      ? format_duration(json_integer_value(since), buf)
				      : "-");
		cell_prefixes(t, session, "received", "max_in");
		cell_prefixes(t, session, "sent", "max_out");
		table_cell(t, get_str(json_object_get(session, "bfd"), "status", "-"));
		table_cell(t, get_str(session, "zone", "-"));
		table_row(t);
	}
	table_free(t);
	if (!json_array_size(sessions))
		fputs("no BGP sessions\n", stderr);
	if (error)
		fprintf(stderr, "%s\n", error);
}

/* "300/300 ms x 3": what one end sends at, wants to receive at, and how many it may miss. */
static void cell_timers(struct table *t, const json_t *end)
{
	if (end)
		table_cellf(t, "%g/%g x %lld", (double)get_int(end, "min_tx_us") / 1000,
			(double)get_int(end, "min_rx_us") / 1000,
			(long long)get_int(end, "multiplier"));
	else
		table_cell(t, "-");
}

static void cell_discarded(struct table *t, const json_t *discarded)
{
	char text[160] = "-";
	size_t at = 0;
	const char *why;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)discarded, why, n)
		if (at + 40 < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s %lld",
				at ? " " : "", why, (long long)json_integer_value(n));
	table_cell(t, text);
}

/* Of a neighbour that says nothing there are no timers, only what RFC 5880 has us assume. */
static void cell_remote(struct table *t, const json_t *session)
{
	const char *state = get_str(session, "state", "?");

	if (!strcmp(state, "up") || !strcmp(state, "init"))
		cell_timers(t, json_object_get(session, "remote"));
	else
		table_cell(t, "-");
}

static int by_link(const void *x, const void *y)
{
	const json_t *a = *(json_t *const *)x, *b = *(json_t *const *)y;
	int order = strcmp(get_str(a, "link", ""), get_str(b, "link", ""));

	return order ? order : strcmp(get_str(a, "peer", ""), get_str(b, "peer", ""));
}

/* Sorted; the caller frees it, not what it points to. */
static json_t **by_links(const json_t *list)
{
	size_t n = json_array_size(list);
	json_t **all = calloc(n + 1, sizeof(*all));

	for (size_t i = 0; all && i < n; i++)
		all[i] = json_array_get(list, i);
	if (all)
		qsort(all, n, sizeof(*all), by_link);
	return all;
}

void print_bfd(struct ctl_print *print, const json_t *bfd)
{
	const json_t *s, *sessions = json_object_get(bfd, "sessions");
	json_t **sorted = by_links(sessions);
	struct table *t;
	char buf[FORMAT_LEN];

	t = table_new(print->out,
		"LINK|PEER|STATE|>SINCE|LOCAL ms|REMOTE ms|>DETECT ms|>LONGEST ms|"
		">RX|>TX|>DOWNS|DISCARDED|DIAGNOSTIC");
	for (unsigned i = 0; sorted && (s = sorted[i]); i++) {
		const char *why = get_str(s, "why", NULL);

		table_cell(t, get_str(s, "link", "?"));
		table_cell(t, get_str(s, "peer", "?"));
		table_cell(t, get_str(s, "state", "?"));
		table_cell(t, format_duration(get_int(s, "since_ms") / 1000, buf));
		cell_timers(t, json_object_get(s, "local"));
		cell_remote(t, s);
		table_cellf(t, "%g", (double)get_int(s, "detect_us") / 1000);
		table_cellf(t, "%.1f", (double)get_int(s, "longest_silence_us") / 1000);
		table_cell(t, format_count((uint64_t)get_int(s, "rx"), buf));
		table_cell(t, format_count((uint64_t)get_int(s, "tx"), buf));
		table_cellf(t, "%lld", (long long)get_int(s, "downs"));
		cell_discarded(t, json_object_get(s, "discarded"));
		table_cell(t, why ? why : get_str(s, "diag", "-"));
		table_row(t);
	}
	table_free(t);
	free(sorted);
	if (!json_array_size(sessions))
		fprintf(stderr, "no BFD sessions: %s\n", get_str(bfd, "bfdd", "?"));
}

void print_vrrp(struct ctl_print *print, const json_t *r)
{
	struct table *t = print->table;
	char text[512], buf[FORMAT_LEN];

	table_cell(t, get_str(r, "link", "?"));
	table_cellf(t, "IPv%lld", (long long)get_int(r, "family"));
	table_cellf(t, "%lld", (long long)get_int(r, "vrid"));
	table_cell(t, get_str(r, "state", "?"));
	table_cell(
		t, format_duration((int64_t)json_number_value(json_object_get(r, "since_s")), buf));
	table_cellf(t, "%lld", (long long)get_int(r, "priority"));
	if (get_str(r, "active", NULL))
		table_cellf(t, "%s (%lld)", get_str(r, "active", ""),
			(long long)get_int(r, "active_priority"));
	else
		table_cell(t, "-");
	table_cell(t, join(json_object_get(r, "addresses"), " ", text, sizeof(text)));
	cell_count(t, r, "in");
	cell_count(t, r, "out");
	cell_discarded(t, json_object_get(r, "errors"));
	table_row(t);
}

void print_bgp_route(struct ctl_print *print, const json_t *r)
{
	const json_t *count = json_object_get(r, "count"),
		     *words = json_object_get(r, "communities");
	struct table *t = print->table;
	char text[512];

	if (count) /* of those not told: how many, by reason */
		table_cellf(t, "%lld %s not told", (long long)json_integer_value(count),
			get_str(r, "family", ""));
	else
		table_cell(t, get_str(r, "prefix", "?"));
	table_cell(t, get_str(r, "direction", "?"));
	table_cell(t, get_str(r, "next_hop", "-"));
	table_cell(t, get_str(r, "path", "-"));
	if (json_is_integer(json_object_get(r, "med")))
		table_cellf(t, "%lld", (long long)get_int(r, "med"));
	else
		table_cell(t, "-");
	table_cell(t, json_array_size(words) ? join(words, " ", text, sizeof(text)) : "-");
	table_cell(t, get_str(r, "from", "-"));
	table_cell(t, get_str(r, "reason", "passes"));
	table_cell(t, get_str(r, "where", "-"));
	table_row(t);
}
