/* `ike show`: a line a tunnel: IKE's association, the keys of the tunnel, what went wrong last. */
#include "ctl.h"

static void cell_seconds(struct table *t, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	char buf[FORMAT_LEN];

	table_cell(
		t, json_is_integer(value) ? format_duration(json_integer_value(value), buf) : "-");
}

void print_ike(struct ctl_print *print, const json_t *r)
{
	const json_t *child = json_object_get(r, "child"), *error = json_object_get(r, "error");
	struct table *t = print->table;

	table_cell(t, get_str(r, "link", "?"));
	table_cell(t, get_str(r, "peer", "-"));
	table_cell(t, get_str(r, "state", "?"));
	cell_seconds(t, r, "since_s");
	cell_seconds(t, r, "rekey_s");
	table_cell(t, get_str(r, "proposal", "-"));
	table_cell(t, get_str(child, "state", "-"));
	cell_seconds(t, child, "since_s");
	cell_seconds(t, child, "rekey_s");
	table_cell(t, get_str(child, "proposal", "-"));
	table_cell(t, !child ? "-" : get_bool(child, "udp") ? "yes" : "no");
	if (error)
		table_cellf(t, "%s: %s", get_str(error, "name", "?"), get_str(error, "advice", ""));
	else
		table_cell(t, "-");
	table_row(t);
}
