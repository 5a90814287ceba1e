/* `lintasctl link sheet NAME`: what to set at the provider, or to send to a partner; offline.
 *
 * ctl_sheet_link.c makes the sheet as JSON, in the provider's words of ctl_sheet_words.c; here it
 * is printed: labels and values in two columns that keep their shape when pasted into a ticket, a
 * list one entry a line, plain ASCII, no line longer than it must be. For a partner it is a
 * letter. */
#include <string.h>
#include "ctl.h"
#include "ctl_sheet.h"

#define LIST_MAX 40 /* entries shown of one list; --json has all */

static size_t label_width(const json_t *sheet)
{
	json_t *section, *row;
	size_t i, j, width = 0;

	json_array_foreach(json_object_get(sheet, "sections"), i, section)
		json_array_foreach(json_object_get(section, "rows"), j, row) {
			size_t len = strlen(get_str(row, "label", ""));

			width = len > width ? len : width;
		}
	return width;
}

static void print_value(const json_t *value, FILE *out)
{
	if (json_is_integer(value))
		fprintf(out, "%lld", (long long)json_integer_value(value));
	else
		fputs(json_is_string(value) ? json_string_value(value) : "?", out);
}

static void print_row(const json_t *row, size_t width, FILE *out)
{
	const json_t *value = json_object_get(row, "value");
	const char *note = get_str(row, "note", NULL);
	size_t n = json_array_size(value);

	fprintf(out, "  %-*s  ", (int)width, get_str(row, "label", ""));
	if (!json_is_array(value))
		print_value(value, out);
	else if (!n)
		fputs("none", out);
	for (size_t i = 0; i < n && i < LIST_MAX; i++) {
		if (i)
			fprintf(out, "\n  %*s  ", (int)width, "");
		print_value(json_array_get(value, i), out);
	}
	if (n > LIST_MAX)
		fprintf(out, "\n  %*s  and %zu more (--json has all)", (int)width, "",
			n - LIST_MAX);
	if (note)
		fprintf(out, "  (%s)", note);
	fputc('\n', out);
}

static void print_head(const json_t *sheet, FILE *out)
{
	const char *title = get_str(sheet, "title", NULL), *noc = get_str(sheet, "noc", NULL);
	const char *zone = get_str(sheet, "zone", "?");

	if (get_bool(sheet, "letter")) {
		fprintf(out, "To:       %s%s%s\n", zone, noc ? ", " : "", noc ? noc : "");
		fprintf(out, "Subject:  settings of our line, %s on %s\n\n",
			get_str(sheet, "link", "?"), get_str(sheet, "gateway", "?"));
		fputs("This is how our end is set. Please set yours to match, and tell us what "
		      "differs.\n",
			out);
		return;
	}
	fprintf(out, "Link %s of gateway %s", get_str(sheet, "link", "?"),
		get_str(sheet, "gateway", "?"));
	if (title)
		fprintf(out, ": %s (profile %s, %s)", title, get_str(sheet, "profile", "?"),
			get_str(sheet, "version", "?"));
	fputs("\nWhat to set at the other side so that it matches ours:\n", out);
}

void sheet_print(const json_t *sheet, FILE *out)
{
	const json_t *notes = json_object_get(sheet, "notes");
	size_t i, j, width = label_width(sheet);
	json_t *section, *row, *note;

	print_head(sheet, out);
	json_array_foreach(json_object_get(sheet, "sections"), i, section) {
		fprintf(out, "\n%s\n", get_str(section, "title", "?"));
		json_array_foreach(json_object_get(section, "rows"), j, row)
			print_row(row, width, out);
	}
	if (json_array_size(notes))
		fputs("\nTo know\n", out);
	json_array_foreach(notes, i, note)
		fprintf(out, "  - %s\n", json_string_value(note));
	if (get_bool(sheet, "shut"))
		fputs(get_bool(sheet, "letter")
				? "\nOur end is shut until you confirm.\n"
				: "\nOur end is shut: set state = \"up\" when the other side is "
				  "ready.\n",
			out);
}

static void list_links(const struct config *config, const char *name, const char *path)
{
	fprintf(stderr, "lintasctl: no link \"%s\" in %s; its links:", name, path);
	for (unsigned i = 0; i < config->n_links && i < 20; i++)
		fprintf(stderr, " %s", config->links[i].name);
	fprintf(stderr, "%s\n", config->n_links > 20 ? " ..." : "");
}

/* A link, or each tunnel of a connection that is called so. */
static bool is_named(const struct cfg_link *link, const char *name)
{
	return !strcmp(link->name, name) || (link->connection && !strcmp(link->connection, name));
}

int run_sheet(const json_t *args, bool as_json)
{
	const char *path = get_str(args, "config", CTL_CONFIG), *name = get_str(args, "name", "");
	struct config *config = config_for(path);
	struct json_out out = { .out = stdout };
	json_t *all = json_array();
	unsigned n = 0, failed = 0;
	bool single = false; /* a link's own name: an object; a connection's: an array */

	if (!config) {
		json_decref(all);
		return CTL_ERROR;
	}
	for (unsigned i = 0; i < config->n_links; i++) {
		json_t *sheet;

		if (!is_named(&config->links[i], name))
			continue;
		sheet = sheet_of(config, &config->links[i]);
		if (!sheet) {
			failed++;
			fprintf(stderr, "lintasctl: out of memory\n");
		} else if (as_json) {
			json_array_append(all, sheet);
			single = !strcmp(config->links[i].name, name);
		} else {
			fputs(n ? "\n" : "", stdout);
			sheet_print(sheet, stdout);
		}
		json_decref(sheet);
		n++;
	}
	if (as_json && n)
		json_out_part(single ? json_array_get(all, 0) : all, false, &out);
	json_decref(all);
	if (!n)
		list_links(config, name, path);
	config_free(config);
	return n && !failed ? CTL_OK : CTL_ERROR;
}
