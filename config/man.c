/* lintas.conf(5), written from the table of keys: whatever the parser knows stands in the manual.
 *
 * Roff with the man macros, as groff and mandoc read them. Sentences come from the table; only what
 * is not about one key - how a file is written, what a reload does - stands here. Printed by
 * `lintasctl config man` at build time; no state, any thread. */
#include <string.h>
#include "prov.h"
#include "source.h"
#include "types.h"

/* Roff text: a backslash, a dash and a control character at the start of a line are special. */
static void text(FILE *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", out);
		else if (*s == '-')
			fputs("\\-", out);
		else if (*s == '"')
			fputs("\\(dq", out);
		else
			fputc(*s, out);
	}
}

static void words(FILE *out, const struct key *key)
{
	const char *between = " ";

	for (long i = key->min; key->words[i]; i++, between = " or ") {
		fputs(between, out);
		text(out, "\"");
		text(out, key->words[i]);
		text(out, "\"");
	}
	fputs(".\n", out);
}

/* How the value looks, unless the range or the words below say it. */
static void shape(FILE *out, const struct key *key, const struct type *type)
{
	switch (key->type) {
	case KEY_ENUM:
		fputs("One of", out);
		words(out, key);
		break;
	case KEY_REF:
		fprintf(out, "Name of a %s.\n", keys_kinds[key->kind].one);
		break;
	case KEY_BOOL:
		fputs("true or false.\n", out);
		break;
	case KEY_NUMBER:
		fprintf(out, "A number, %ld to %ld%s%s.\n", key->min, key->max,
			key->unit ? " " : "", key->unit ? key->unit : "");
		break;
	case KEY_STRING:
		break;
	default:
		if (!type)
			break;
		fputs("Written as ", out);
		text(out, types_example(key));
		if (key->type == KEY_TIME)
			fprintf(out, ", from %ld to %ld ms", key->min, key->max);
		fprintf(out, type->elem ? ", at most %ld of them.\n" : ".\n", key->max);
	}
}

/* One key and what the table knows of it. */
static void key_entry(FILE *out, const struct key *key)
{
	fputs(".TP\n.B ", out);
	text(out, key->name);
	fputs("\n", out);
	text(out, key->text);
	fputs("\n", out);
	shape(out, key, types_of(key));
	if (key->flags & KEY_REQUIRED)
		fputs("Required.\n", out);
	if (key->fallback || key->otherwise) {
		fputs(key->otherwise ? "Left out: " : "Default: ", out);
		text(out, key->otherwise ? key->otherwise : key->fallback);
		fputs(".\n", out);
	}
	if (key->flags & KEY_RESTART)
		fputs("A change waits for a restart.\n", out);
}

/* Were the keys of this group told of at one before? */
static bool same_as_before(const struct key *keys, const struct key *key)
{
	for (; keys != key; keys++)
		if (keys->type == KEY_GROUP && keys->keys == key->keys)
			return true;
	return false;
}

static void group(FILE *out, const struct key *keys)
{
	for (const struct key *key = keys; key->name; key++) {
		if (key->type == KEY_LATER)
			continue;
		key_entry(out, key);
		if ((key->type != KEY_GROUP && key->type != KEY_TUNNELS) ||
			same_as_before(keys, key))
			continue; /* v6 has the keys of v4 */
		fputs(".RS\n", out);
		group(out, key->keys);
		fputs(".RE\n", out);
	}
}

static void later(FILE *out, const struct key *keys, const char *where)
{
	for (const struct key *key = keys; key->name; key++) {
		if (key->type == KEY_GROUP)
			later(out, key->keys, !strcmp(key->name, "v6") ? "" : key->name);
		if (key->type != KEY_LATER)
			continue;
		fputs(".TP\n.B ", out);
		text(out, key->name);
		fputs("\n", out);
		text(out, key->text);
		fprintf(out, "\nIn %s.\n", where);
	}
}

static void heading(FILE *out, const char *name)
{
	fputs(".SH ", out);
	for (; *name; name++)
		fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
	fputc('\n', out);
}

static void introduction(FILE *out)
{
	fprintf(out,
		".TH LINTAS.CONF 5 \"\" lintas \"lintas manual\"\n"
		".SH NAME\nlintas.conf \\- configuration of the lintas gateway\n"
		".SH SYNOPSIS\n.I /etc/lintas/lintas.conf\n"
		".SH DESCRIPTION\n"
		"The file is written in the language of libconfig: settings are\n.IR name \" = \" "
		"value ;\n"
		"groups stand in braces, lists in brackets, strings in quotes, comments after # or "
		"//.\n"
		"A comma before a closing bracket is an error.\n"
		"Objects are named groups: up to %u of a\\-z, 0\\-9 and \\-, beginning with a "
		"letter.\n"
		".PP\nA line\n.B @include \\(dqfile\\(dq\nis replaced by that file, whose name is "
		"relative to the folder\n"
		"of the main file. Nothing outside of that folder is read. Up to %u files lie "
		"within one another,\n"
		"and all of them together have at most %u bytes.\n"
		".PP\nA file whose name ends in .json holds the same keys as one JSON object, "
		"without includes.\n"
		".PP\nUnknown keys, and keys of a later version, are errors; all errors are "
		"reported at once, each with\n"
		"file, line, key and what to do. A configuration with an error changes nothing.\n",
		CFG_NAME_MAX - 1, SOURCE_DEPTH_MAX, CFG_FILE_BYTES_MAX);
}

static void rules(FILE *out)
{
	fputs(".SH RULES OF THE PROVIDERS\nA link with a\n.B profile\nis held to what its provider "
	      "demands;\n.B lintasctl check\nnames every rule that is broken, with its code, the "
	      "line, and what to write instead.\nA warning does not keep a configuration from "
	      "being "
	      "applied.\n",
		out);
	for (const struct prov_rule *rule = prov_rules; rule->code; rule++) {
		fputs(".TP\n.B ", out);
		text(out, rule->name);
		fprintf(out, "\n(%s) ", rule->warning ? "warning" : "error");
		text(out, rule->title);
		fputs(".\n", out);
	}
}

static void closing(FILE *out)
{
	rules(out);
	fputs(".SH MEMORY\n"
	      "Packets lie in pools of buffers, one for all AF_XDP ports and one for all others. "
	      "Unless\n"
	      ".B packet_buffers\ngives a number for each port, a pool has as many buffers as can "
	      "be in use at\n"
	      "one time: descriptors of the receive rings of its ports and of the transmit rings "
	      "of all ports,\n"
	      "vectors, caches and rings of every worker, and packets that wait for a neighbour. A "
	      "buffer takes\n"
	      "the largest MTU and headers, rounded up to a kilobyte; for AF_XDP exactly a page, "
	      "which holds an\n"
	      "IP packet of 3498 bytes.\n"
	      ".SH RELOAD\n"
	      "SIGHUP and\n.B lintasctl reload\nread everything again, check it, and apply the "
	      "difference.\n"
	      "The same files are no difference. What waits for a restart is named and left as it "
	      "was.\n"
	      ".SH SEE ALSO\n.BR lintasctl (8)\n",
		out);
}

void config_man(FILE *out)
{
	introduction(out);
	for (const struct key *key = keys_top; key->name; key++) {
		if (key->type == KEY_LATER)
			continue;
		heading(out, key->name);
		if (key->type == KEY_OBJECTS) {
			text(out, keys_kinds[key->kind].text);
			fprintf(out, "\nAt most %u of them.\n", keys_kinds[key->kind].max);
			group(out, keys_kinds[key->kind].keys);
		} else if (key->type == KEY_GROUP || key->type == KEY_PROFILES) {
			text(out, key->text);
			fputs("\n", out);
			group(out, key->keys);
		} else {
			key_entry(out, key);
		}
	}
	fputs(".SH NOT IMPLEMENTED YET\nThese keys belong to the language and are refused in this "
	      "version.\n",
		out);
	later(out, keys_top, "the top level");
	for (enum key_kind_id id = 0; id < KIND_COUNT; id++)
		later(out, keys_kinds[id].keys, keys_kinds[id].group);
	closing(out);
}
