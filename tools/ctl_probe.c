/* The table of probes: a row a link and family, and a row a bucket where there are several. */
#include <string.h>
#include "ctl.h"

static void cell_ratio(struct table *t, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_number(value))
		table_cellf(t, "%.2f%%", json_number_value(value) * 100);
	else
		table_cell(t, "-");
}

static void cell_ms(struct table *t, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_number(value))
		table_cellf(t, "%.2fms", json_number_value(value));
	else
		table_cell(t, "-");
}

static void cells_measured(struct table *t, const json_t *m)
{
	static const char *const counts[] = { "answered", "late", "reordered" };
	int64_t sent = get_int(m, "sent") - get_int(m, "unsent") - get_int(m, "before_first");
	char buf[FORMAT_LEN];

	cell_ratio(t, m, "loss_1m");
	cell_ratio(t, m, "loss_10m");
	cell_ms(t, m, "p50_ms");
	cell_ms(t, m, "p99_ms");
	cell_ms(t, m, "jitter_ms");
	/* since there was a way: what left before the first answer came is no loss */
	table_cell(t, format_count(sent > 0 ? (uint64_t)sent : 0, buf));
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		table_cell(t, format_count((uint64_t)get_int(m, counts[i]), buf));
}

void print_probe(struct ctl_print *print, const json_t *p)
{
	const json_t *buckets = json_object_get(p, "buckets"),
		     *since = json_object_get(p, "since_s");
	struct table *t = print->table;
	json_t *b;
	size_t i;

	table_cell(t, get_str(p, "link", "?"));
	table_cellf(t, "%lld", (long long)get_int(p, "family"));
	table_cell(t, "");
	table_cell(t, get_str(p, "state", "?"));
	if (json_is_number(since))
		table_cellf(t, "%.0fs", json_number_value(since));
	else
		table_cell(t, "-");
	cells_measured(t, p);
	table_cellf(t, "%s %s", get_str(p, "type", "?"), get_str(p, "target", "?"));
	table_cell(t, get_str(p, "why", ""));
	table_row(t);
	if (json_array_size(buckets) < 2)
		return;
	json_array_foreach(buckets, i, b) {
		table_cell(t, "");
		table_cell(t, "");
		table_cellf(t, "%lld", (long long)get_int(b, "bucket"));
		table_cell(t, get_bool(b, "suspect") ? "suspect" : "");
		table_cell(t, "");
		cells_measured(t, b);
		table_cellf(t, "from %lld", (long long)get_int(b, "port"));
		table_cell(t, "");
		table_row(t);
	}
}
