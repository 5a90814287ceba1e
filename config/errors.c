/* The list of everything that is wrong with a configuration, bounded and in the order of the lines.
 *
 * Reading, parsing and checking all add to one list and go on, so that a person mends a file in one
 * round. The first CFG_ERRORS_MAX are kept, the others are counted. The list has a pool of its own,
 * because it outlives the configuration that was refused. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "pool.h"
#include "errors.h"

int errors_init(struct cfg_errors *errors)
{
	jmp_buf oom;

	memset(errors, 0, sizeof(*errors));
	errors->pool = pool_new();
	if (!errors->pool)
		return -ENOMEM;
	errors->pool->oom = &oom;
	if (setjmp(oom)) {
		cfg_errors_free(errors);
		return -ENOMEM;
	}
	/* one for the line that counts the rest */
	errors->items = pool_array(errors->pool, CFG_ERRORS_MAX + 1, sizeof(*errors->items));
	errors->pool->oom = NULL;
	return 0;
}

void cfg_errors_free(struct cfg_errors *errors)
{
	pool_free(errors->pool);
	memset(errors, 0, sizeof(*errors));
}

void errors_vadd(struct cfg_errors *errors, struct cfg_source where, bool warning, const char *key,
	const char *fmt, va_list args)
{
	struct cfg_error *error;

	if (!warning)
		errors->n_fatal++;
	if (errors->n == CFG_ERRORS_MAX) {
		errors->n_more++;
		return;
	}
	error = &errors->items[errors->n];
	error->file = where.file ? pool_strdup(errors->pool, where.file) : NULL;
	error->line = where.line;
	error->warning = warning;
	error->key = key && *key ? pool_strdup(errors->pool, key) : NULL;
	error->text = pool_vprintf(errors->pool, fmt, args);
	errors->n++;
}

void errors_add(struct cfg_errors *errors, struct cfg_source where, bool warning, const char *key,
	const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	errors_vadd(errors, where, warning, key, fmt, args);
	va_end(args);
}

void errors_oom(struct cfg_errors *errors)
{
	errors->items[0] = (struct cfg_error){ .text = "out of memory" };
	errors->n = errors->n_fatal = 1;
	errors->n_more = 0;
}

static int by_place(const void *a, const void *b)
{
	const struct cfg_error *x = a, *y = b;
	int order = strcmp(x->file ? x->file : "", y->file ? y->file : "");

	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	/* nothing points between the items, so that their order of arrival is lost: by key, then
	 * text */
	order = strcmp(x->key ? x->key : "", y->key ? y->key : "");
	return order ? order : strcmp(x->text, y->text);
}

void errors_finish(struct cfg_errors *errors)
{
	struct cfg_error *last = &errors->items[errors->n];

	qsort(errors->items, errors->n, sizeof(*errors->items), by_place);
	if (!errors->n_more)
		return;
	last->text =
		pool_printf(errors->pool, "%u more not shown: mend these first", errors->n_more);
	errors->n++;
}

void cfg_errors_print(const struct cfg_errors *errors, FILE *out)
{
	const struct cfg_error *error;

	for (unsigned i = 0; i < errors->n; i++) {
		error = &errors->items[i];
		if (error->file && error->line)
			fprintf(out, "%s:%u: ", error->file, error->line);
		else if (error->file)
			fprintf(out, "%s: ", error->file);
		fprintf(out, "%s", error->warning ? "warning: " : "error: ");
		if (error->key)
			fprintf(out, "%s: ", error->key);
		fprintf(out, "%s\n", error->text);
	}
}
