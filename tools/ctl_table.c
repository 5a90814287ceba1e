/* Aligned columns for any number of rows in constant memory: the first HELD rows decide the widths,
 * then rows are printed as they come and only ever widen a column. The header is printed with the
 * first row, so an empty table prints nothing. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"

#define COLUMNS_MAX 32
#define HELD	    256

struct table {
	FILE *out;
	char *header[COLUMNS_MAX];
	bool right[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];
	unsigned n_columns;
	char *(*rows)[COLUMNS_MAX]; /* held, NULL cell = empty; the last is being filled */
	unsigned n_rows, cell;
	bool printing; /* widths are decided, the header is out */
};

static void *need(void *memory)
{
	if (!memory) {
		fputs("lintasctl: out of memory\n", stderr);
		exit(CTL_ERROR);
	}
	return memory;
}

struct table *table_new(FILE *out, const char *columns)
{
	struct table *t = need(calloc(1, sizeof(*t)));
	char *copy = need(strdup(columns)), *rest = copy, *name;

	t->out = out;
	t->rows = need(calloc(HELD, sizeof(*t->rows)));
	while ((name = strsep(&rest, "|")) && t->n_columns < COLUMNS_MAX) {
		t->right[t->n_columns] = *name == '>';
		t->header[t->n_columns] = need(strdup(name + (*name == '>')));
		t->width[t->n_columns] = strlen(t->header[t->n_columns]);
		t->n_columns++;
	}
	free(copy);
	return t;
}

/* Terminal columns of a text: its UTF-8 characters. */
static size_t columns_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void print_row(struct table *t, char **cells)
{
	unsigned last = t->n_columns;

	while (last && (!cells[last - 1] || !*cells[last - 1]))
		last--;
	for (unsigned i = 0; i < last; i++) {
		const char *text = cells[i] ? cells[i] : "";
		size_t columns = columns_of(text);
		int pad = (int)(t->width[i] - columns);

		fprintf(t->out, "%s%*s%s%*s", i ? "  " : "", t->right[i] ? pad : 0, "", text,
			t->right[i] || i + 1 == last ? 0 : pad, "");
	}
	fputc('\n', t->out);
}

static void print_held(struct table *t)
{
	if (!t->printing && t->n_rows) {
		print_row(t, t->header);
		t->printing = true;
	}
	for (unsigned r = 0; r < t->n_rows; r++) {
		print_row(t, t->rows[r]);
		for (unsigned i = 0; i < t->n_columns; i++)
			free(t->rows[r][i]);
		memset(t->rows[r], 0, sizeof(t->rows[r]));
	}
	t->n_rows = 0;
}

void table_cell(struct table *t, const char *text)
{
	if (t->cell == t->n_columns)
		return;
	size_t columns = columns_of(text);
	if (columns > t->width[t->cell])
		t->width[t->cell] = columns;
	t->rows[t->n_rows][t->cell++] = need(strdup(text));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = need(NULL);
	va_end(ap);
	table_cell(t, text);
	free(text);
}

void table_row(struct table *t)
{
	t->n_rows++;
	t->cell = 0;
	if (t->printing || t->n_rows == HELD)
		print_held(t);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	print_held(t);
	for (unsigned i = 0; i < t->n_columns; i++)
		free(t->header[i]);
	free(t->rows);
	free(t);
}
