/* Reads a file whose name ends in .json into the same tree that libconfig makes of the other
 * language.
 *
 * For programs that write configurations. jansson does the reading (and refuses duplicates); this
 * copies objects to groups, arrays to lists, numbers to 64-bit integers, so that the walk over the
 * tree is the same. There are no includes, and the tree knows no lines: messages name the file and
 * the key. */
#include <jansson.h>
#include <string.h>
#include "errors.h"
#include "json.h"
#include "scan.h"

struct copy {
	struct cfg_source where;
	struct cfg_errors *errors;
	bool ok;
};

static void copy_value(struct copy *c, const json_t *value, config_setting_t *parent,
	const char *name, unsigned depth);

static void refuse(struct copy *c, const char *name, const char *why)
{
	errors_add(c->errors, c->where, false, name, "%s", why);
	c->ok = false;
}

static void copy_object(
	struct copy *c, const json_t *object, config_setting_t *group, unsigned depth)
{
	const char *name;
	json_t *value;

	if (json_object_size(object) > SCAN_NAMES_MAX) {
		refuse(c, NULL, "too many names in one object");
		return;
	}
	json_object_foreach((json_t *)object, name, value)
		copy_value(c, value, group, name, depth);
}

static void copy_value(struct copy *c, const json_t *value, config_setting_t *parent,
	const char *name, unsigned depth)
{
	static const int types[] = {
		[JSON_OBJECT] = CONFIG_TYPE_GROUP,
		[JSON_ARRAY] = CONFIG_TYPE_LIST,
		[JSON_STRING] = CONFIG_TYPE_STRING,
		[JSON_INTEGER] = CONFIG_TYPE_INT64,
		[JSON_REAL] = CONFIG_TYPE_FLOAT,
		[JSON_TRUE] = CONFIG_TYPE_BOOL,
		[JSON_FALSE] = CONFIG_TYPE_BOOL,
		[JSON_NULL] = CONFIG_TYPE_NONE,
	};
	config_setting_t *setting;

	if (json_is_null(value) || depth == SCAN_DEPTH_MAX) {
		refuse(c, name,
			json_is_null(value) ? "null is no value: leave the key out"
					    : "too many objects and arrays within one another");
		return;
	}
	if (name && strchr(name, SCAN_MARK))
		setting = NULL;
	else
		setting = config_setting_add(parent, name, types[json_typeof(value)]);
	if (!setting) {
		refuse(c, name,
			"is not a name: letters, digits and '-' are, beginning with a letter");
		return;
	}
	if (json_is_object(value)) {
		copy_object(c, value, setting, depth + 1);
	} else if (json_is_array(value)) {
		for (size_t i = 0; i < json_array_size(value); i++)
			copy_value(c, json_array_get(value, i), setting, NULL, depth + 1);
	} else if (json_is_string(value)) {
		config_setting_set_string(setting, json_string_value(value));
	} else if (json_is_integer(value)) {
		config_setting_set_int64(setting, json_integer_value(value));
	} else if (json_is_real(value)) {
		config_setting_set_float(setting, json_real_value(value));
	} else {
		config_setting_set_bool(setting, json_is_true(value));
	}
}

bool json_tree(const struct source *source, config_t *tree, struct cfg_errors *errors)
{
	struct copy c = { .where = source_where(source, 0), .errors = errors, .ok = true };
	json_error_t error;
	json_t *root = json_loadb(source->text, source->len, JSON_REJECT_DUPLICATES, &error);

	if (!root) {
		c.where.line = error.line > 0 ? error.line : 0;
		errors_add(errors, c.where, false, NULL, "%s", error.text);
		return false;
	}
	if (json_is_object(root))
		copy_object(&c, root, config_root_setting(tree), 0);
	else
		refuse(&c, NULL, "must be one object: { \"schema\": 1, ... }");
	json_decref(root);
	return c.ok;
}
