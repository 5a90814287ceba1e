/* Counters for people: drops, punt classes, stages, workers; and the picture of the pipeline. */
#include <string.h>
#include "ctl.h"

void print_drop(struct ctl_print *print, const json_t *d)
{
	const json_t *rate = json_object_get(d, "per_second");
	struct table *t = print->table;
	char buf[FORMAT_LEN];

	table_cell(t, get_str(d, "name", "?"));
	table_cell(t, format_count((uint64_t)get_int(d, "packets"), buf));
	table_cell(t, json_is_number(rate) ? format_rate(json_number_value(rate), buf) : "-");
	table_cell(t, get_str(d, "severity", "?"));
	table_cell(t, get_str(d, "text", ""));
	table_cell(t, get_str(d, "reference", ""));
	table_row(t);
}

static void print_drops(FILE *out, const json_t *drops)
{
	struct ctl_print print = { .out = out };
	json_t *d;
	size_t i;

	print.table = table_new(out, "DROPPED|>PACKETS|>PER SECOND|SEVERITY|TEXT|REFERENCE");
	json_array_foreach(drops, i, d)
		print_drop(&print, d);
	table_free(print.table);
	if (!json_array_size(drops))
		fputs("nothing was dropped\n", out);
}

static void print_punt(FILE *out, const json_t *classes)
{
	struct table *t = table_new(out, "TO THE KERNEL|>UP|>DOWN|>DROPPED|>BUDGET/S|TEXT");
	json_t *c;
	size_t i;
	char buf[FORMAT_LEN];

	json_array_foreach(classes, i, c) {
		table_cell(t, get_str(c, "name", "?"));
		table_cell(t, format_count((uint64_t)get_int(c, "to_kernel"), buf));
		table_cell(t, format_count((uint64_t)get_int(c, "from_kernel"), buf));
		table_cell(t, format_count((uint64_t)get_int(c, "dropped"), buf));
		table_cell(t, format_count((uint64_t)get_int(c, "budget_per_second"), buf));
		table_cell(t, get_str(c, "text", ""));
		table_row(t);
	}
	table_free(t);
}

static void print_stages(FILE *out, const json_t *cycles)
{
	struct table *t = table_new(out, "STAGE|>CYCLES A PACKET");
	json_t *s;
	size_t i;

	json_array_foreach(json_object_get(cycles, "stages"), i, s) {
		const json_t *per_packet = json_object_get(s, "cycles_per_packet");

		table_cell(t, get_str(s, "name", "?"));
		if (json_is_number(per_packet))
			table_cellf(t, "%.1f", json_number_value(per_packet));
		else
			table_cell(t, "-");
		table_row(t);
	}
	table_cell(t, "whole");
	table_cellf(t, "%.1f", get_real(cycles, "cycles_per_packet"));
	table_row(t);
	table_free(t);
	fprintf(out,
		"(since start; one vector in 256 is timed: %lld packets so far; now: lintasctl "
		"stats "
		"cycles)\n",
		(long long)get_int(cycles, "sampled_packets"));
}

static void print_workers(FILE *out, const json_t *workers)
{
	struct table *t = table_new(out,
		"WORKER|>CPU|>PACKETS|>VECTORS|>PACKETS/VECTOR|>BUSY POLLS|>NAPS|>HANDED OVER");
	json_t *w;
	size_t i;
	char buf[FORMAT_LEN];

	json_array_foreach(workers, i, w) {
		int64_t polls = get_int(w, "polls"), busy = polls - get_int(w, "idle_polls");

		table_cellf(t, "%lld", (long long)get_int(w, "worker"));
		table_cellf(t, "%lld", (long long)get_int(w, "cpu"));
		table_cell(t, format_count((uint64_t)get_int(w, "packets"), buf));
		table_cell(t, format_count((uint64_t)get_int(w, "vectors"), buf));
		table_cellf(t, "%.1f", get_real(w, "packets_per_vector"));
		table_cellf(t, "%.2f%%",
			polls > 0 && busy >= 0 ? 100.0 * (double)busy / (double)polls : 0);
		table_cell(t, format_count((uint64_t)get_int(w, "naps"), buf));
		table_cell(t, format_count((uint64_t)get_int(w, "handed_over"), buf));
		table_row(t);
	}
	table_free(t);
}

/* Every number of an object with its name: mirror, control. */
static void print_numbers(FILE *out, const char *title, json_t *object)
{
	const char *key;
	json_t *value;
	unsigned n = 0;

	fprintf(out, "%s", title);
	json_object_foreach(object, key, value)
		if (json_is_integer(value))
			fprintf(out, "%s %s %lld", n++ ? "," : "", key,
				(long long)json_integer_value(value));
	fputc('\n', out);
}

void print_stats(struct ctl_print *print, const json_t *s)
{
	FILE *out = print->out;

	print_drops(out, json_object_get(s, "drops"));
	fputc('\n', out);
	print_punt(out, json_object_get(s, "punt"));
	fputc('\n', out);
	print_stages(out, json_object_get(s, "cycles"));
	fputc('\n', out);
	print_workers(out, json_object_get(s, "workers"));
	fputc('\n', out);
	print_numbers(out, "mirror: ", json_object_get(s, "mirror"));
	print_numbers(out, "control:", json_object_get(s, "control"));
}

/* The picture: one stage below the other, an arrow between. The README shows exactly this. */
void print_stage(struct ctl_print *print, const json_t *s)
{
	if (print->items)
		fputs("    |\n    v\n", print->out);
	fprintf(print->out, "%-9s %-12s %s\n", get_str(s, "name", "?"), get_str(s, "file", ""),
		get_str(s, "text", ""));
}
