/* `stats cycles` for people: a row a worker and one for all, a column a stage, and under it what
 * the numbers are worth. */
#include <ctype.h>
#include <string.h>
#include "ctl.h"

/* "WORKER|…|>RX|>PARSE|…|>WHOLE": as many stages as the answer has. */
static struct table *cycles_table(FILE *out, const json_t *all)
{
	char columns[512] = "WORKER|>CPU|>PACKETS/S|>PACKETS/VECTOR|>BUSY POLLS";
	const json_t *stage;
	size_t i;

	json_array_foreach(json_object_get(all, "stages"), i, stage) {
		size_t len = strlen(columns);

		snprintf(columns + len, sizeof(columns) - len - sizeof("|>WHOLE"), "|>%.16s",
			get_str(stage, "name", "?"));
		for (char *c = columns + len; *c; c++)
			*c = (char)toupper((unsigned char)*c);
	}
	strcat(columns, "|>WHOLE");
	return table_new(out, columns);
}

static void cell_real(struct table *t, const json_t *value, double scale, const char *unit)
{
	if (json_is_number(value))
		table_cellf(t, "%.1f%s", json_number_value(value) * scale, unit);
	else
		table_cell(t, "-");
}

static void cycles_row(struct table *t, const json_t *row)
{
	const json_t *stage;
	char buf[FORMAT_LEN];
	size_t i;

	table_cell(t, format_rate(get_real(row, "packets_per_second"), buf));
	cell_real(t, json_object_get(row, "packets_per_vector"), 1, "");
	cell_real(t, json_object_get(row, "busy_polls"), 100, "%");
	json_array_foreach(json_object_get(row, "stages"), i, stage)
		cell_real(t, json_object_get(stage, "cycles_per_packet"), 1, "");
	cell_real(t, json_object_get(row, "cycles_per_packet"), 1, "");
	table_row(t);
}

static void print_worth(FILE *out, const json_t *all, double seconds)
{
	long long timed = get_int(all, "sampled_vectors"), clock = get_int(all, "clock_cycles");
	long long disturbed = get_int(all, "disturbed_vectors");

	if (timed)
		fprintf(out,
			"cycles a packet over %.1f s, from %lld timed vectors (one in 256) of %.1f "
			"packets; %lld cycles\na stage and vector, which reading the clock costs, "
			"are "
			"subtracted\n",
			seconds, timed, get_real(all, "packets_per_sampled_vector"), clock);
	else if (!disturbed)
		fprintf(out,
			"%lld vectors came in %.1f s and none was timed, which one in 256 is: ask "
			"for longer, as in\n`lintasctl stats cycles interval 30s`\n",
			(long long)get_int(all, "vectors"), seconds);
	if (disturbed)
		fprintf(out,
			"left out: %lld timed vector%s of over a millisecond: something else ran "
			"on "
			"the CPU\n",
			disturbed, disturbed == 1 ? "" : "s");
}

void print_cycles(struct ctl_print *print, const json_t *c)
{
	const json_t *all = json_object_get(c, "all"), *row,
		     *workers = json_object_get(c, "workers");
	struct table *t = cycles_table(print->out, all);
	size_t i;

	json_array_foreach(workers, i, row) {
		table_cellf(t, "%lld", (long long)get_int(row, "worker"));
		table_cellf(t, "%lld", (long long)get_int(row, "cpu"));
		cycles_row(t, row);
	}
	if (json_array_size(workers) != 1) {
		table_cell(t, "all");
		table_cell(t, "");
		cycles_row(t, all);
	}
	table_free(t);
	print_worth(print->out, all, get_real(c, "interval_s"));
}
