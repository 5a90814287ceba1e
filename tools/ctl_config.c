/* `config show --json`: the running configuration as JSON of the same keys.
 *
 * The daemon sends the configuration as lines of its own language, which is libconfig's; they are
 * read here and written as JSON, value by value. What comes out is a configuration too: config_load
 * takes it from a file whose name ends in .json. */
#include <stdlib.h>
#include <string.h>
#include <libconfig.h>
#include "ctl.h"

static json_t *value_json(const config_setting_t *s);

static json_t *group_json(const config_setting_t *s)
{
	json_t *object = json_object();

	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);

		json_object_set_new(object, config_setting_name(member), value_json(member));
	}
	return object;
}

static json_t *list_json(const config_setting_t *s)
{
	json_t *list = json_array();

	for (int i = 0; i < config_setting_length(s); i++)
		json_array_append_new(list, value_json(config_setting_get_elem(s, (unsigned)i)));
	return list;
}

static json_t *value_json(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return group_json(s);
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return list_json(s);
	case CONFIG_TYPE_INT:
		return json_integer(config_setting_get_int(s));
	case CONFIG_TYPE_INT64:
		return json_integer(config_setting_get_int64(s));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(s));
	case CONFIG_TYPE_STRING:
		return json_string(config_setting_get_string(s));
	default:
		return json_null();
	}
}

static void text_print(struct json_out *o)
{
	config_t tree;
	json_t *object;

	config_init(&tree);
	if (config_read_string(&tree, o->bytes)) {
		object = group_json(config_root_setting(&tree));
		json_dumpf(object, o->out, JSON_INDENT(2));
		fputc('\n', o->out);
		json_decref(object);
	} else {
		fprintf(stderr,
			"lintasctl: line %d of lintasd's configuration cannot be read (%s): is it "
			"another version?\n",
			config_error_line(&tree), config_error_text(&tree));
		o->failed = true;
	}
	config_destroy(&tree);
}

void config_json_part(const json_t *data, bool more, void *arg)
{
	struct json_out *o = arg;
	const json_t *line;
	size_t i;

	if (!o->text)
		o->text = open_memstream(&o->bytes, &o->len);
	if (!o->text) {
		fputs("lintasctl: out of memory\n", stderr);
		exit(CTL_ERROR);
	}
	json_array_foreach(data, i, line)
		fprintf(o->text, "%s\n", json_is_string(line) ? json_string_value(line) : "");
	if (more)
		return;
	fclose(o->text);
	o->text = NULL;
	text_print(o);
	free(o->bytes);
	o->bytes = NULL;
}
