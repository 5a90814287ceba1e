/* From an answer's parts to a command's printer, and safe ways to look into JSON that may come from
 * another version of the daemon: what is missing or of another type reads as nothing. */
#include <stdlib.h>
#include "ctl.h"

const char *get_str(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : otherwise;
}

int64_t get_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

double get_real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

bool get_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void output_part(const json_t *data, bool more, void *arg)
{
	struct ctl_output *o = arg;
	json_t *item;
	size_t i;

	(void)more;
	if (!o->print.table && o->command->columns)
		o->print.table = table_new(o->print.out, o->command->columns);
	if (!json_is_array(data)) {
		o->print.items++;
		o->command->item(&o->print, data);
		return;
	}
	json_array_foreach(data, i, item) {
		o->command->item(&o->print, item);
		o->print.items++;
	}
	if (o->command->endless)
		fflush(o->print.out);
}

void output_end(struct ctl_output *o)
{
	table_free(o->print.table);
	o->print.table = NULL;
	if (o->print.below) {
		fclose(o->print.below);
		fwrite(o->print.below_text, 1, o->print.below_len, o->print.out);
		free(o->print.below_text);
		o->print.below = NULL;
	}
	fflush(o->print.out);
	if (!o->print.items && o->command->empty)
		fprintf(stderr, "%s\n", o->command->empty);
}
