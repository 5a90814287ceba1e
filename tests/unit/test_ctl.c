/* lintasctl without a daemon: words to requests, numbers to text, columns, JSON, and that its
 * command table and the daemon's agree. */
#include <stdlib.h>
#include <string.h>
#include "control/api.h"
#include "tools/ctl.h"
#include "unit.h"

/* ---- words ---- */

/* Splits a line into argv, finds the command; "object verb" or NULL. */
static const char *found(const char *line, json_t **ret_args)
{
	static char name[64], copy[256];
	const struct ctl_command *command;
	char *argv[16], *rest = copy, *word;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) && argc < 16)
		argv[argc++] = word;
	int used = command_find(argc, argv, &command);
	if (used < 0)
		return NULL;
	if (ret_args)
		*ret_args = args_parse(command, argc - used, argv + used);
	snprintf(name, sizeof(name), "%s %s", command->object, command->verb);
	return name;
}

/* The request's arguments as text, or "error". */
static const char *args_of(const char *line)
{
	static char text[256];
	json_t *args = NULL;
	char *dump;

	if (!found(line, &args) || !args)
		return "error";
	dump = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(text, sizeof(text), "%s", dump);
	free(dump);
	json_decref(args);
	return text;
}

static void test_words(void)
{
	static const char *const rows[][2] = {
		{ "status", "status " },
		{ "ro sh", "route show" },
		{ "route", "route show" },
		{ "route g", "route get" },
		{ "li", "link show" },
		{ "l", NULL },
		{ "link sh aws", "link show" },
		{ "link aws-dx1", "link show" },
		{ "stats", "stats " },
		{ "stats d", "stats drops" },
		{ "stats --cycles", "stats cycles" },
		{ "neighbour", "neighbor show" },
		{ "neighbou s", "neighbor show" },
		{ "n", NULL },
		{ "s", NULL },
		{ "stat", NULL },
		{ "re", NULL },
		{ "rel", "reload " },
		{ "foo", NULL },
		{ "", NULL },
		{ "config err", "config errors" },
		{ "c", NULL },
		{ "ne", NULL },
		{ "nei", "neighbor show" },
		{ "statu", "status " },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = found(rows[i][0], NULL);

		if (rows[i][1])
			CU_ASSERT_STRING_EQUAL(name ? name : "", rows[i][1])
		else
			CU_ASSERT_PTR_NULL(name);
	}
}

static void test_arguments(void)
{
	static const char *const rows[][2] = {
		{ "route show", "{}" },
		{ "route show 10.0.0.0/8 longer", "{\"longer\":true,\"prefix\":\"10.0.0.0/8\"}" },
		{ "route show vrf prod fd00::/8", "{\"prefix\":\"fd00::/8\",\"vrf\":\"prod\"}" },
		{ "ro sh v prod lo 10.0.0.0/8",
			"{\"longer\":true,\"prefix\":\"10.0.0.0/8\",\"vrf\":\"prod\"}" },
		{ "route get 10.0.0.1 vrf prod from 10.0.0.2 dport 443",
			"{\"addr\":\"10.0.0.1\",\"dport\":443,\"from\":\"10.0.0.2\",\"vrf\":"
			"\"prod\"}" },
		{ "events --since 1h30m", "{\"since_s\":5400}" },
		{ "events since 90 level warning aws",
			"{\"level\":\"warning\",\"since_s\":90,\"subject\":\"aws\"}" },
		{ "stats --cycles --interval 30s", "{\"interval_s\":30}" },
		{ "route get 10.0.0.1", "error" }, /* a VRF is needed */
		{ "route get vrf prod", "error" },
		{ "route show vrf", "error" },
		{ "route show vrf a vrf b", "error" },
		{ "route show 10.0.0.0/8 11.0.0.0/8", "error" },
		{ "route get 10.0.0.1 vrf prod dport x", "error" },
		{ "events --since soon", "error" },
		{ "events --until 3m", "error" },
		{ "status now", "error" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_STRING_EQUAL(args_of(rows[i][0]), rows[i][1]);
}

/* Every command asks for something the daemon has, with the arguments it has, and nothing is left
 * out. */
static void test_same_commands(void)
{
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		const struct api_command *a = api_commands;
		char args[128] = "";

		if (!c->api)
			continue;
		while (a->name && strcmp(a->name, c->api))
			a++;
		CU_ASSERT_PTR_NOT_NULL_FATAL(a->name);
		for (const struct ctl_arg *arg = c->args; arg->type; arg++) {
			char word[32];

			if (!strcmp(arg->key, "config"))
				continue; /* a file to ask instead of the daemon */
			snprintf(word, sizeof(word), arg->required ? "%s" : "[%s]", arg->key);
			CU_ASSERT_PTR_NOT_NULL(strstr(a->args, word));
			CU_ASSERT_FATAL(strlen(args) + strlen(word) + 2 < sizeof(args));
			strcat(strcat(args, *args ? " " : ""), word);
		}
		CU_ASSERT_EQUAL(strlen(args), strlen(a->args));
	}
	for (const struct api_command *a = api_commands; a->name; a++) {
		const struct ctl_command *c = ctl_commands;

		while (c->object && !(c->api && !strcmp(c->api, a->name)))
			c++;
		CU_ASSERT_PTR_NOT_NULL(c->object);
	}
}

static void expect_help(const char *words, const char *has, const char *has_not)
{
	const struct ctl_command *command;
	char copy[32], *argv[2] = { copy, NULL }, *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	snprintf(copy, sizeof(copy), "%s", words);
	argv[1] = strchr(copy, ' ');
	if (argv[1])
		*argv[1]++ = '\0';
	command_help(command, command_find(argv[1] ? 2 : 1, argv, &command), out);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, has));
	CU_ASSERT_PTR_NULL(strstr(text, has_not));
	free(text);
}

/* An object alone: all it can do. */
static void test_help(void)
{
	expect_help("route", "lintasctl route get ADDRESS", "lintasctl neighbor");
	expect_help("route", "lintasctl route show", "lintasctl neighbor");
	expect_help("route get", "lintasctl route get ADDRESS", "lintasctl route show");
}

/* ---- what is shown ---- */

static void test_numbers(void)
{
	char b[FORMAT_LEN];
	int64_t s = 0;

	CU_ASSERT_STRING_EQUAL(format_count(0, b), "0");
	CU_ASSERT_STRING_EQUAL(format_count(9999, b), "9999");
	CU_ASSERT_STRING_EQUAL(format_count(12345, b), "12.3k");
	CU_ASSERT_STRING_EQUAL(format_count(999999, b), "1.00M");
	CU_ASSERT_STRING_EQUAL(format_count(123456789, b), "123M");
	CU_ASSERT_STRING_EQUAL(format_count(UINT64_MAX, b), "18447P");
	CU_ASSERT_STRING_EQUAL(format_bytes(999, b), "999 B");
	CU_ASSERT_STRING_EQUAL(format_bytes(1500, b), "1.50 kB");
	CU_ASSERT_STRING_EQUAL(format_bytes(1024ull * 1024 * 1024, b), "1.07 GB");
	CU_ASSERT_STRING_EQUAL(format_memory(64ull << 20, b), "64.0 MiB");
	CU_ASSERT_STRING_EQUAL(format_rate(0, b), "0");
	CU_ASSERT_STRING_EQUAL(format_rate(0.25, b), "0.2");
	CU_ASSERT_STRING_EQUAL(format_rate(812.4, b), "812");
	CU_ASSERT_STRING_EQUAL(format_duration(59, b), "59s");
	CU_ASSERT_STRING_EQUAL(format_duration(723, b), "12m03s");
	CU_ASSERT_STRING_EQUAL(format_duration(3600 * 3 + 720, b), "3h12m");
	CU_ASSERT_STRING_EQUAL(format_duration(86400 * 5 + 3600 * 4, b), "5d04h");
	CU_ASSERT_EQUAL(duration_parse("1d2h", &s), 0);
	CU_ASSERT_EQUAL(s, 93600);
	CU_ASSERT(duration_parse("", &s) && duration_parse("5x", &s) && duration_parse("m", &s));
	CU_ASSERT(duration_parse("99999999999999999999", &s) && duration_parse("-5m", &s));
}

/* Rows after the first few hundred are printed at once; a wider cell widens its column from there
 * on. */
static void test_long_table(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct table *t = table_new(out, "A|>B");
	unsigned lines = 0;

	for (int i = 0; i < 1000; i++) {
		table_cellf(t, "%s%d", i == 700 ? "a-much-longer-name-" : "n", i);
		table_cellf(t, "%d", i);
		table_cell(t, "one cell too many is not printed");
		table_row(t);
		if (i == 255) {
			fflush(out);
			CU_ASSERT(len > 256 * 8); /* nothing is kept back any more */
		}
	}
	table_free(t);
	fclose(out);
	for (char *p = text; *p; p++)
		lines += *p == '\n';
	CU_ASSERT_EQUAL(lines, 1001);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "A       B\nn0      0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nn699  699\na-much-longer-name-700  700\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nn701                    701\n"));
	free(text);

	out = open_memstream(&text, &len);
	table_free(table_new(out, "A|B")); /* no rows: no header */
	fclose(out);
	CU_ASSERT_EQUAL(len, 0);
	free(text);
}

static void test_json(void)
{
	static const char *const parts[] = { "[{\"b\":1,\"a\":2}]", "[]", "[{\"c\":3}]" };
	char *text = NULL;
	size_t len;
	struct json_out o = { .out = open_memstream(&text, &len) };

	for (int i = 0; i < 3; i++) {
		json_t *part = json_loads(parts[i], 0, NULL);

		json_out_part(part, i < 2, &o);
		json_decref(part);
	}
	fclose(o.out);
	CU_ASSERT_STRING_EQUAL(text, "[\n{\"b\":1,\"a\":2},\n{\"c\":3}\n]\n");
	free(text);

	struct json_out empty = { .out = open_memstream(&text, &len) };
	json_t *nothing = json_array(), *object = json_pack("{s:i}", "a", 1);
	json_out_part(nothing, false, &empty);
	json_out_part(object, false, &empty);
	fclose(empty.out);
	CU_ASSERT_STRING_EQUAL(text, "[]\n{\n  \"a\": 1\n}\n");
	json_decref(nothing);
	json_decref(object);
	free(text);
}

/* The language as JSON, and a part may end anywhere between lines. */
static void test_config_json(void)
{
	static const char *const parts[] = {
		"[\"schema = 1;\",\"gateway = {\",\" name = \\\"a \\\\\\\"b\\\";\"]",
		("[\" hugepages = false;\",\"};\",\"paths = { aws = { tiers = ( [ \\\"x\\\", "
		 "\\\"y\\\" ], [ \\\"z\\\" ] ); }; };\"]"),
		"[]",
	};
	char *text = NULL;
	size_t len;
	struct json_out o = { .out = open_memstream(&text, &len) };

	for (int i = 0; i < 3; i++) {
		json_t *part = json_loads(parts[i], 0, NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(part);
		config_json_part(part, i < 2, &o);
		json_decref(part);
	}
	fclose(o.out);
	json_t *got = json_loads(text, 0, NULL),
	       *wanted = json_pack("{s:i, s:{s:s, s:b}, s:{s:{s:[[s,s],[s]]}}}", "schema", 1,
		       "gateway", "name", "a \"b", "hugepages", 0, "paths", "aws", "tiers", "x",
		       "y", "z");
	CU_ASSERT_FALSE(o.failed);
	CU_ASSERT(json_equal(got, wanted));
	json_decref(got);
	json_decref(wanted);
	free(text);
}

void unit_ctl(void)
{
	static const struct unit_test tests[] = {
		{ "words", test_words },
		{ "arguments", test_arguments },
		{ "same_commands", test_same_commands },
		{ "help", test_help },
		{ "numbers", test_numbers },
		{ "long_table", test_long_table },
		{ "json", test_json },
		{ "config_json", test_config_json },
	};

	UNIT_SUITE("ctl", tests);
}
