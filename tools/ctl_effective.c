/* `lintasctl link effective NAME`: the daemon's answer as a table, or, with --config FILE, the same
 * from a file by the daemon's own code, without a daemon. */
#include "config/config.h"
#include "ctl.h"

void print_effective(struct ctl_print *print, const json_t *row)
{
	table_cell(print->table, get_str(row, "key", "?"));
	table_cell(print->table, get_str(row, "from", ""));
	table_cell(print->table, get_str(row, "value", "")); /* last: some are long */
	table_row(print->table);
}

static void add_row(void *arg, const char *key, const char *value, const char *origin)
{
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "from", origin));
}

int run_effective(const json_t *args, bool as_json)
{
	const char *name = get_str(args, "name", ""), *path = get_str(args, "config", CTL_CONFIG);
	struct config *config = config_for(path);
	const struct cfg_link *link = config ? config_link(config, name) : NULL;
	struct ctl_output output = { .print = { .out = stdout } };
	struct json_out json = { .out = stdout };
	json_t *rows = json_array(), *row;
	size_t i;

	if (config && !link)
		fprintf(stderr, "lintasctl: %s has no link \"%s\"\n", path, name);
	if (!link || config_effective(config, link, add_row, rows) < 0) {
		json_decref(rows);
		config_free(config);
		return CTL_ERROR;
	}
	if (as_json) {
		json_out_part(rows, false, &json);
	} else {
		output.print.table = table_new(stdout, CTL_EFFECTIVE_COLUMNS);
		json_array_foreach(rows, i, row)
			print_effective(&output.print, row);
		table_free(output.print.table);
	}
	json_decref(rows);
	config_free(config);
	return CTL_OK;
}
