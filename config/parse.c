/* Walks libconfig's tree along the table of keys and fills struct config.
 *
 * Two passes. The first makes every object: name, place and an empty struct, in arrays sorted by
 * name, and hangs each on its setting. The second fills them; a reference can then be resolved on
 * the spot, whichever comes first in the file. Whatever does not fit the table is an error with the
 * line of the setting, and the walk goes on; the field stays zero, which the rules of check.c take
 * as "has been complained about". An object that uses a key of a later version is not also told
 * that it lacks keys of this one. */
#include <stdlib.h>
#include <string.h>
#include "errors.h"
#include "parse.h"
#include "pool.h"
#include "prov.h"
#include "scan.h"
#include "types.h"
#include "value.h"

/* ---- places and messages ---- */

/* Does line `line` of the source contain text? */
static bool line_has(const struct source *source, unsigned line, const char *text)
{
	const char *p = source->text, *end;

	for (unsigned i = 1; i < line; i++) {
		p = strchr(p, '\n');
		if (!p)
			return false;
		p++;
	}
	end = strchrnul(p, '\n');
	return memmem(p, end - p, text, strlen(text));
}

/* libconfig reads one token past a string before it notes the line: go back to where the string
 * stands. */
static struct cfg_source place(const struct parse *p, const config_setting_t *setting)
{
	unsigned line = setting->line, first;
	const char *text;

	if (setting->type != CONFIG_TYPE_STRING || setting->name || !setting->parent)
		return source_where(p->source, line);
	first = setting->parent->line;
	text = config_setting_get_string(setting);
	if (p->errors->n < CFG_ERRORS_MAX && line - first < 1000)
		while (line > first && !line_has(p->source, line, text))
			line--;
	return source_where(p->source, line);
}

static void complain(struct parse *p, const config_setting_t *at, const char *name, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/* name: a key inside of p->path, or NULL for p->path itself. */
static void complain(
	struct parse *p, const config_setting_t *at, const char *name, const char *fmt, ...)
{
	char key[sizeof(p->path) + 64];
	va_list args;

	snprintf(key, sizeof(key), "%s%s%.60s", p->path, *p->path && name ? "." : "",
		name ? name : "");
	va_start(args, fmt);
	errors_vadd(p->errors, place(p, at), false, key, fmt, args);
	va_end(args);
}

static size_t enter(struct parse *p, const char *name)
{
	size_t n = strlen(p->path);

	snprintf(p->path + n, sizeof(p->path) - n, "%s%.60s", n ? "." : "", name);
	return n;
}

static void leave(struct parse *p, size_t n)
{
	p->path[n] = '\0';
}

/* The setting at path, or the nearest one around it. */
static const config_setting_t *find(const struct parse *p, const char *path, bool *ret_exact)
{
	const config_setting_t *at = p->root, *next;
	char step[64];
	size_t n;

	for (; *path; path += n) {
		path += *path == '.';
		n = strcspn(path, ".[");
		next = NULL;
		if (*path == '[') {
			n = strcspn(path, "]") + 1;
			if (config_setting_is_aggregate(at))
				next = config_setting_get_elem(
					(config_setting_t *)at, atoi(path + 1));
			else
				next = at; /* a list of one, written without brackets */
		} else if (n < sizeof(step) && config_setting_is_group(at)) {
			memcpy(step, path, n);
			step[n] = '\0';
			next = config_setting_get_member((config_setting_t *)at, step);
		}
		if (!next)
			break;
		at = next;
	}
	*ret_exact = !*path;
	return at;
}

bool parse_given(const struct parse *p, const char *path)
{
	bool exact;

	find(p, path, &exact);
	return exact;
}

static void report(const struct parse *p, const char *path, bool warning, const char *fmt,
	va_list args) __attribute__((format(printf, 4, 0)));

static void report(
	const struct parse *p, const char *path, bool warning, const char *fmt, va_list args)
{
	char key[sizeof(p->path)];
	bool exact;

	snprintf(key, sizeof(key), "%.*s", (int)strcspn(path, "["), path);
	errors_vadd(p->errors, place(p, find(p, path, &exact)), warning, key, fmt, args);
}

void parse_error(const struct parse *p, const char *path, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(p, path, false, fmt, args);
	va_end(args);
}

void parse_warning(const struct parse *p, const char *path, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(p, path, true, fmt, args);
	va_end(args);
}

/* ---- values ---- */

/* The value as text, or NULL when it is not of the type that the key takes. */
static const char *as_text(const config_setting_t *setting, short accepts, char *buf, size_t size)
{
	short type = setting->type == CONFIG_TYPE_INT64 ? CONFIG_TYPE_INT : setting->type;

	if (type == CONFIG_TYPE_STRING &&
		(accepts == type || !strcmp(config_setting_get_string(setting), SCAN_VALUE)))
		return config_setting_get_string(setting);
	if (type != accepts)
		return NULL;
	if (type == CONFIG_TYPE_BOOL)
		return config_setting_get_bool(setting) ? "true" : "false";
	snprintf(buf, size, "%lld",
		setting->type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
						 : config_setting_get_int64(setting));
	return buf;
}

/* One value, or one element of a list, into field. */
static bool parse_value(
	struct parse *p, const struct key *key, const config_setting_t *setting, void *field)
{
	const struct type *type = types_of(key);
	char buf[32], why[VALUE_WHY_LEN] = "";
	const char *text = as_text(setting, type->accepts, buf, sizeof(buf));

	if (!text) {
		complain(p, setting, key->name, "must be %s, as in: %s = %s;", type->name,
			key->name, types_example(key));
		return false;
	}
	if (!strcmp(text, SCAN_VALUE) && p->errors->n_fatal)
		return false; /* the scan has complained */
	if (type->read(key, text, field, p->pool, why) < 0) {
		complain(p, setting, key->name, "%s", why);
		return false;
	}
	return true;
}

static void parse_list(
	struct parse *p, const struct key *key, const config_setting_t *setting, char *field)
{
	const struct type *type = types_of(key);
	bool one = !config_setting_is_array(setting) && !config_setting_is_list(setting);
	unsigned n = one ? 1 : config_setting_length(setting);
	struct types_list list = { NULL, 0 };

	if (n > (unsigned long)key->max) {
		complain(p, setting, key->name, "%u of them: at most %ld", n, key->max);
		return;
	}
	list.items = pool_array(p->pool, n ? n : 1, type->elem);
	for (unsigned i = 0; i < n; i++)
		if (parse_value(p, key,
			    one ? setting : config_setting_get_elem((config_setting_t *)setting, i),
			    (char *)list.items + list.n * type->elem))
			list.n++;
	memcpy(field, &list.items, sizeof(list.items));
	memcpy(field + sizeof(list.items), &list.n, sizeof(list.n));
}

static void parse_per_family(
	struct parse *p, const struct key *key, const config_setting_t *setting, char *field)
{
	unsigned n = config_setting_length(setting);

	if (!config_setting_is_array(setting) && !config_setting_is_list(setting)) {
		parse_value(p, key, setting, field);
		return;
	}
	if (!n)
		complain(p, setting, key->name, "an empty list: leave the key out instead");
	for (unsigned i = 0; i < n && i < 3; i++)
		parse_value(p, key, config_setting_get_elem((config_setting_t *)setting, i), field);
}

/* ---- references ---- */

/* "there is a, b, c" of the objects in a group, bounded. */
static const char *whats_there(struct parse *p, const config_setting_t *group)
{
	unsigned n = group ? config_setting_length(group) : 0, shown = 0;
	const char *text = "", *name;

	for (unsigned i = 0; i < n && shown < 8; i++) {
		name = config_setting_get_elem((config_setting_t *)group, i)->name;
		if (name && !strchr(name, SCAN_MARK))
			text = pool_printf(p->work, "%s%s%.40s", text, shown++ ? ", " : "", name);
	}
	if (!shown)
		return "there is none";
	return pool_printf(
		p->work, "there %s %s%s", shown > 1 ? "are" : "is", text, n > shown ? ", ..." : "");
}

static const char *nearest_member(struct parse *p, const config_setting_t *group, const char *name)
{
	unsigned n = group ? config_setting_length(group) : 0;
	const char **names = pool_array(p->work, n + 1, sizeof(*names));

	for (unsigned i = 0; i < n; i++)
		names[i] = config_setting_get_elem((config_setting_t *)group, i)->name;
	return value_nearest(name, names);
}

/* The object of that name, or NULL after complaining. */
static const void *resolve(struct parse *p, const struct key *key, enum key_kind_id id,
	const config_setting_t *setting)
{
	const struct key_kind *kind = &keys_kinds[id];
	const config_setting_t *group = config_setting_get_member(p->root, kind->group),
			       *target = NULL;
	const char *name, *nearest;

	if (setting->type != CONFIG_TYPE_STRING) {
		complain(p, setting, key->name, "must be the name of a %s, in quotes", kind->one);
		return NULL;
	}
	name = config_setting_get_string(setting);
	if (!strcmp(name, SCAN_VALUE) && p->errors->n_fatal)
		return NULL;
	if (group && config_setting_is_group(group))
		target = config_setting_get_member((config_setting_t *)group, name);
	else
		group = NULL;
	if (target)
		return target->hook; /* NULL: it has been complained about */
	if (p->errors->n == CFG_ERRORS_MAX) {
		complain(p, setting, key->name, "not shown");
		return NULL;
	}
	nearest = nearest_member(p, group, name);
	complain(p, setting, key->name, "no %s '%.40s': %s%s%s%s", kind->one, name,
		nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "",
		whats_there(p, group));
	return NULL;
}

static void parse_tiers(struct parse *p, const struct key *key, const config_setting_t *setting,
	struct cfg_path *path)
{
	unsigned n = config_setting_length(setting), m;
	const config_setting_t *tier;
	const struct cfg_link **links;

	if (!config_setting_is_list(setting) && !(config_setting_is_array(setting) && !n)) {
		complain(p, setting, key->name,
			"must be a list of lists of links, as in: "
			"tiers = ( [ \"a\", \"b\" ], [ \"c\" ] );");
		return;
	}
	if (!n || n > (unsigned long)key->max) {
		complain(p, setting, key->name, "%u tiers: 1 to %ld", n, key->max);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		tier = config_setting_get_elem((config_setting_t *)setting, i);
		m = config_setting_length(tier);
		if ((!config_setting_is_array(tier) && !config_setting_is_list(tier)) || !m) {
			complain(p, tier, key->name,
				"tier %u must be a list of links: [ \"a\", \"b\" ]", i + 1);
			continue;
		}
		links = pool_array(p->pool, m, sizeof(*links));
		path->tiers[path->n_tiers].links = links;
		for (unsigned j = 0; j < m; j++) {
			links[path->tiers[path->n_tiers].n] = resolve(p, key, KIND_LINK,
				config_setting_get_elem((config_setting_t *)tier, j));
			if (links[path->tiers[path->n_tiers].n])
				path->tiers[path->n_tiers].n++;
		}
		path->n_tiers++;
	}
}

static void parse_between(struct parse *p, const struct key *key, const config_setting_t *setting,
	struct cfg_reach *reach)
{
	if (!config_setting_is_aggregate(setting) || config_setting_is_group(setting) ||
		config_setting_length(setting) != 2) {
		complain(p, setting, key->name,
			"must be two clouds, as in: between = [ \"aws\", \"gcp\" ];");
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		reach->between[i] = resolve(p, key, KIND_CLOUD,
			config_setting_get_elem((config_setting_t *)setting, i));
	if (reach->between[0] && reach->between[0] == reach->between[1])
		complain(p, setting, key->name, "the same cloud twice: a cloud reaches itself");
}

/* ---- groups ---- */

static bool is_group(struct parse *p, const config_setting_t *setting, const char *name)
{
	if (config_setting_is_group(setting))
		return true;
	complain(p, setting, name, "must be a group, as in: %.40s = { ... };", name);
	return false;
}

static bool is_group_or_bool(
	struct parse *p, const config_setting_t *setting, const struct key *key)
{
	if (!(key->flags & KEY_OR_BOOL))
		return is_group(p, setting, key->name);
	if (config_setting_is_group(setting))
		return true;
	complain(p, setting, key->name,
		"must be true or false without quotes, or a group: %.40s = true; or %.40s = { ... "
		"};",
		key->name, key->name);
	return false;
}

/* What holds for the keys of a group that is not in the file. */
static void parse_defaults(struct parse *p, const struct key *keys, char *base)
{
	char why[VALUE_WHY_LEN];

	for (; keys->name; keys++) {
		if (keys->type == KEY_GROUP && (keys->flags & KEY_SEALED))
			parse_defaults(p, keys->keys, base + keys->offset);
		else if (keys->fallback)
			types_of(keys)->read(
				keys, keys->fallback, base + keys->offset, p->pool, why);
	}
}

static void parse_subgroup(
	struct parse *p, const struct key *key, const config_setting_t *setting, char *base)
{
	bool given = true;

	if ((key->flags & KEY_OR_BOOL) && setting->type == CONFIG_TYPE_BOOL) {
		given = config_setting_get_bool(setting);
		if (given)
			parse_defaults(p, key->keys, base);
	} else if (is_group_or_bool(p, setting, key)) {
		size_t n = enter(p, key->name);

		parse_group(p, key->keys, setting, base);
		leave(p, n);
	}
	if (key->mark_size == sizeof(bool))
		memcpy(base + key->mark, &given, sizeof(given));
	if (key->flags & KEY_SOURCE)
		((struct cfg_bgp_peer *)base)->src = place(p, setting);
}

static void parse_objects(struct parse *p, const struct key *key, const config_setting_t *group)
{
	unsigned n = config_setting_is_group(group) ? config_setting_length(group) : 0;
	const config_setting_t *setting;
	size_t outer = enter(p, key->name), inner;

	for (unsigned i = 0; i < n; i++) {
		setting = config_setting_get_elem((config_setting_t *)group, i);
		if (!setting->hook)
			continue;
		inner = enter(p, setting->name);
		parse_group(p, keys_kinds[key->kind].keys, setting, setting->hook);
		leave(p, inner);
	}
	leave(p, outer);
}

static void parse_key(
	struct parse *p, const struct key *key, const config_setting_t *setting, char *base)
{
	const void *object;
	const char *text;
	char buf[32];

	switch (key->type) {
	case KEY_PROFILES:
		break; /* profile.c, when all is known that they may be based on */
	case KEY_SCHEMA:
		text = as_text(setting, CONFIG_TYPE_INT, buf, sizeof(buf));
		if (!text || atol(text) != key->min)
			complain(p, setting, key->name,
				"this version reads schema %ld only: write schema = %ld;", key->min,
				key->min);
		break;
	case KEY_GROUP:
		parse_subgroup(p, key, setting, base + key->offset);
		break;
	case KEY_OBJECTS:
		parse_objects(p, key, setting);
		break;
	case KEY_TIERS:
		parse_tiers(p, key, setting, (struct cfg_path *)base);
		break;
	case KEY_BETWEEN:
		parse_between(p, key, setting, (struct cfg_reach *)base);
		break;
	case KEY_REF:
		object = resolve(p, key, key->kind, setting);
		if (object) /* of cloud and partner the other one may have been given */
			memcpy(base + key->offset, &object, sizeof(object));
		break;
	case KEY_TUNNELS:
		complain(p, setting, key->name,
			"must be a group of 1 to %ld groups, as in: tunnels = { a = { remote = "
			"\"192.0.2.1\"; address = \"169.254.33.2/30\"; key = \"a\"; }; };",
			key->max);
		break;
	case KEY_PER_FAMILY:
		parse_per_family(p, key, setting, base + key->offset);
		break;
	default:
		if (types_of(key)->elem)
			parse_list(p, key, setting, base + key->offset);
		else
			parse_value(p, key, setting, base + key->offset);
	}
}

void parse_group(struct parse *p, const struct key *keys, const config_setting_t *group, void *base)
{
	unsigned n = config_setting_length(group);
	const config_setting_t *setting;
	const struct key *key;
	const char *nearest;
	bool later = false;

	parse_defaults(p, keys, base);
	for (unsigned i = 0; i < n; i++) {
		setting = config_setting_get_elem((config_setting_t *)group, i);
		if (strchr(setting->name, SCAN_MARK))
			continue; /* the scan has complained */
		key = keys_find(keys, setting->name);
		if (!key && prov_is_secret(setting->name)) {
			complain(p, setting, setting->name,
				"PROV-%02d: a secret does not stand in a configuration: put it "
				"into a file of mode 0600 in the folder of keys, and name that: "
				"key = \"...\";",
				PROV_CLEAR_SECRET);
		} else if (!key) {
			nearest = keys_nearest(keys, setting->name);
			complain(p, setting, setting->name, "unknown key%s%s%s",
				nearest ? ": did you mean '" : "", nearest ? nearest : "",
				nearest ? "'?" : ": remove it");
		} else if (key->type == KEY_LATER) {
			later = true;
			complain(p, setting, key->name,
				"not implemented yet in this version: remove it");
		} else {
			parse_key(p, key, setting, base);
		}
	}
	for (key = keys; key->name && !later; key++)
		if ((key->flags & KEY_REQUIRED) &&
			!config_setting_get_member((config_setting_t *)group, key->name))
			complain(p, group, key->name, "is missing: %s", key->text);
}

/* ---- objects ---- */

struct found {
	config_setting_t *setting;
	enum key_kind_id kind;
};

static int by_name(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return strcmp(x->setting->name, y->setting->name);
}

/* The named groups of one kind that can become objects, after those already found. */
static unsigned collect(struct parse *p, enum key_kind_id id, struct found *found)
{
	const struct key_kind *kind = &keys_kinds[id];
	config_setting_t *group = config_setting_get_member(p->root, kind->group), *setting;
	unsigned n = 0, length;
	char why[VALUE_WHY_LEN];
	size_t outer;

	if (!group || !is_group(p, group, kind->group))
		return 0;
	outer = enter(p, kind->group);
	length = config_setting_length(group);
	if (length > kind->max)
		complain(p, group, NULL, "%u of them: at most %u", length, kind->max);
	for (unsigned i = 0; i < length && n < kind->max; i++) {
		setting = config_setting_get_elem(group, i);
		if (strchr(setting->name, SCAN_MARK))
			continue;
		if (value_name(setting->name, why) < 0)
			complain(p, setting, setting->name, "%s", why);
		/* one that is too long would be taken for another when cut off */
		if (is_group(p, setting, setting->name) && strlen(setting->name) < CFG_NAME_MAX)
			found[n++] = (struct found){ setting, id };
	}
	leave(p, outer);
	return n;
}

static void make_objects(struct parse *p, enum key_kind_id id)
{
	const struct key_kind *kind = &keys_kinds[id];
	struct found *found = pool_array(p->work, 2 * kind->max, sizeof(*found));
	unsigned n = collect(p, id, found);
	char *items;

	if (id == KIND_CLOUD) /* they share an array: a zone's name is unique */
		n += collect(p, KIND_PARTNER, found + n);
	qsort(found, n, sizeof(*found), by_name);
	items = pool_array(p->pool, n ? n : 1, kind->size);
	for (unsigned i = 0; i < n; i++) {
		struct key_object *object = (struct key_object *)(items + i * kind->size);

		snprintf(object->name, sizeof(object->name), "%s", found[i].setting->name);
		object->src = source_where(p->source, found[i].setting->line);
		if (found[i].kind == KIND_PARTNER)
			((struct cfg_zone *)object)->partner = true;
		if (i && !by_name(&found[i - 1], &found[i]))
			parse_error(p, pool_printf(p->work, "partners.%s", object->name),
				"a cloud has this name as well: give one of them another");
		config_setting_set_hook(found[i].setting, object);
	}
	keys_set_items(p->config, kind, items, n);
}

void parse_tree(struct parse *p)
{
	struct config *config = p->config;

	for (enum key_kind_id id = 0; id < KIND_COUNT; id++)
		if (id != KIND_PARTNER)
			make_objects(p, id);
	parse_group(p, keys_top, p->root, config);
	if (config->defaults.keys && *config->defaults.keys != '/')
		config->defaults.keys = pool_printf(p->pool, "%s/%s",
			strcmp(p->source->dir, "/") ? p->source->dir : "", config->defaults.keys);
}
