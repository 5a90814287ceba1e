/* Writes a configuration in the language it was read from, as it is in force.
 *
 * Walks the table of keys like the parser does: what is set is printed, defaults and values that
 * followed from others included, so that the output says all by itself and reads back as the same
 * configuration. A secret is the name of its file and nothing else is known here. Used by
 * `lintasctl config show`. */
#include "profile.h"
#include "types.h"

static void indent(FILE *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		fputc('\t', out);
}

static void print_group(const struct key *keys, const void *base, unsigned depth, FILE *out);

static void print_objects(const struct config *config, const struct key *key, FILE *out)
{
	const struct key_kind *kind = &keys_kinds[key->kind];
	unsigned n = keys_count(config, kind);
	const struct key_object *object;

	fprintf(out, "%s = {\n", kind->group);
	for (unsigned i = 0; i < n; i++) {
		object = keys_item(config, kind, i);
		if (!keys_is_kind(object, key->kind))
			continue;
		fprintf(out, "\t%s = {\n", object->name);
		print_group(kind->keys, object, 2, out);
		fprintf(out, "\t};\n");
	}
	fprintf(out, "};\n");
}

/* Own profiles, whole: with all that they took from their base. */
static void print_profiles(const struct config *config, const struct key *key, FILE *out)
{
	const char *head = "custom = {\n";

	for (unsigned i = 0; i < config->n_known; i++) {
		if (!config->known[i].custom)
			continue;
		fprintf(out, "%s\t%s = {\n", head, config->known[i].name);
		print_group(key->keys, &config->known[i], 2, out);
		fprintf(out, "\t};\n");
		head = "";
	}
	if (!*head)
		fprintf(out, "};\n");
}

static void print_tiers(const struct cfg_path *path, FILE *out)
{
	fputs("( ", out);
	for (unsigned i = 0; i < path->n_tiers; i++) {
		fputs(i ? ", [ " : "[ ", out);
		for (unsigned j = 0; j < path->tiers[i].n; j++)
			fprintf(out, "%s\"%s\"", j ? ", " : "", path->tiers[i].links[j]->name);
		fputs(" ]", out);
	}
	fputs(" )", out);
}

static void print_between(const struct cfg_reach *reach, FILE *out)
{
	fprintf(out, "[ \"%s\", \"%s\" ]", reach->between[0]->name, reach->between[1]->name);
}

static void print_value(const struct key *key, const char *base, unsigned depth, FILE *out)
{
	const struct key_object *const *ref = (const void *)(base + key->offset);

	indent(out, depth);
	fprintf(out, "%s = ", key->name);
	switch (key->type) {
	case KEY_SCHEMA:
		fprintf(out, "%ld", key->max);
		break;
	case KEY_GROUP:
		fputs("{\n", out);
		print_group(key->keys, base + key->offset, depth + 1, out);
		indent(out, depth);
		fputc('}', out);
		break;
	case KEY_REF:
		fprintf(out, "\"%s\"", (*ref)->name);
		break;
	case KEY_TIERS:
		print_tiers((const struct cfg_path *)base, out);
		break;
	case KEY_BETWEEN:
		print_between((const struct cfg_reach *)base, out);
		break;
	default:
		types_write(key, base, out);
	}
	fputs(";\n", out);
}

/* What a profile would switch on otherwise. */
static void print_off(const struct key *key, unsigned depth, FILE *out)
{
	indent(out, depth);
	fprintf(out, "%s = false;\n", key->name);
}

static void print_group(const struct key *keys, const void *base, unsigned depth, FILE *out)
{
	for (const struct key *key = keys; key->name; key++) {
		if (key->type == KEY_OBJECTS)
			print_objects(base, key, out);
		else if (key->type == KEY_PROFILES)
			print_profiles(base, key, out);
		else if ((key->flags & KEY_OR_BOOL) && !types_is_set(key, base))
			print_off(key, depth, out);
		else if (key->type != KEY_LATER && types_is_set(key, base))
			print_value(key, base, depth, out);
	}
}

void config_print(const struct config *config, FILE *out)
{
	print_group(keys_top, config, 0, out);
}
