/* `cloud show`, `partner show` for people: a row a cloud, and what is wrong with it in the last
 * column. */
#include <string.h>
#include "ctl.h"

static void cell_rate(struct table *t, double bps)
{
	char buf[FORMAT_LEN];

	table_cellf(t, "%sbit/s", format_rate(bps, buf));
}

static void cell_of(struct table *t, const json_t *pair)
{
	if (get_int(pair, "all"))
		table_cellf(t, "%lld/%lld", (long long)get_int(pair, "up"),
			(long long)get_int(pair, "all"));
	else
		table_cell(t, "-");
}

/* "212", "5/100" */
static void cell_limit(struct table *t, const json_t *nearest, bool any)
{
	if (!any)
		table_cell(t, "-");
	else if (get_int(nearest, "limit"))
		table_cellf(t, "%lld/%lld", (long long)get_int(nearest, "prefixes"),
			(long long)get_int(nearest, "limit"));
	else
		table_cellf(t, "%lld", (long long)get_int(nearest, "prefixes"));
}

static void cell_list(struct table *t, const json_t *list, const char *separator, const char *none)
{
	char text[512] = "";
	size_t len = 0, i;
	json_t *item;

	json_array_foreach(list, i, item) {
		const char *word = json_string_value(item);

		if (!word)
			continue;
		if (len + strlen(word) + 8 > sizeof(text)) {
			snprintf(text + len, sizeof(text) - len, " ...");
			break;
		}
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", len ? separator : "", word);
	}
	table_cell(t, *text ? text : none);
}

void print_cloud(struct ctl_print *print, const json_t *z)
{
	const json_t *probe = json_object_get(z, "probe");
	const json_t *bgp = json_object_get(z, "bgp");
	struct table *t = print->table;

	table_cell(t, get_str(z, "name", "?"));
	table_cell(t, get_str(z, "state", "?"));
	if (get_int(z, "tiers"))
		table_cellf(t, "%lld/%lld", (long long)get_int(z, "tier"),
			(long long)get_int(z, "tiers"));
	else
		table_cell(t, "-");
	cell_rate(t, get_real(z, "rx_bps"));
	cell_rate(t, get_real(z, "tx_bps"));
	if (get_int(z, "capacity_bps"))
		cell_rate(t, (double)get_int(z, "capacity_bps"));
	else
		table_cell(t, "-");
	cell_of(t, json_object_get(z, "links"));
	cell_of(t, bgp);
	cell_limit(t, json_object_get(z, "in"), get_int(bgp, "up"));
	cell_limit(t, json_object_get(z, "out"), get_int(bgp, "up"));
	if (json_is_object(probe)) {
		table_cellf(t, "%.1fms", get_real(probe, "p99_ms"));
		table_cellf(t, "%.2f%%", get_real(probe, "loss") * 100);
	} else {
		table_cell(t, "-");
		table_cell(t, "-");
	}
	cell_list(t, json_object_get(z, "circuits"), " ", "-");
	cell_list(t, json_object_get(z, "troubles"), "; ", "");
	table_row(t);
}
