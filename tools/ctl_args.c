/* Words after a command, like `ip`: `vrf prod` by keyword, `longer` as a flag, the rest by
 * position, in any order. Keywords may be abbreviated and may be written with two dashes. What a
 * word means beyond its type is for the daemon to judge. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"

static bool is_prefix(const char *abbreviation, const char *word)
{
	return *abbreviation && !strncmp(abbreviation, word, strlen(abbreviation));
}

/* The keyword a word stands for: exactly, or as its only abbreviation. */
static const struct ctl_arg *find_keyword(const struct ctl_command *command, const char *word)
{
	const struct ctl_arg *found = NULL;
	unsigned n = 0;

	if (!strncmp(word, "--", 2))
		word += 2;
	for (const struct ctl_arg *a = command->args; a->type; a++) {
		if (!a->word)
			continue;
		if (!strcmp(a->word, word))
			return a;
		if (is_prefix(word, a->word)) {
			found = a;
			n++;
		}
	}
	return n == 1 ? found : NULL;
}

static const struct ctl_arg *next_position(const struct ctl_command *command, const json_t *args)
{
	for (const struct ctl_arg *a = command->args; a->type; a++)
		if (!a->word && !json_object_get(args, a->key))
			return a;
	return NULL;
}

static json_t *value_of(const struct ctl_arg *arg, const char *text)
{
	int64_t seconds;
	char *end;

	switch (arg->type) {
	case CTL_NUMBER:
		errno = 0;
		long long n = strtoll(text, &end, 10);
		if (!*text || *end || errno) {
			fprintf(stderr, "lintasctl: %s must be a number, not \"%s\"\n", arg->shown,
				text);
			return NULL;
		}
		return json_integer(n);
	case CTL_DURATION:
		if (duration_parse(text, &seconds) || !seconds) {
			fprintf(stderr,
				"lintasctl: %s must be a time such as 90s, 30m, 2h, 1d, not "
				"\"%s\"\n",
				arg->shown, text);
			return NULL;
		}
		return json_integer(seconds);
	default:
		break;
	}
	json_t *value = json_string(text);
	if (!value)
		fprintf(stderr, "lintasctl: %s is not UTF-8\n", arg->shown);
	return value;
}

static int usage_error(const struct ctl_command *command, const char *what, const char *word)
{
	fprintf(stderr, "lintasctl: %s%s%s%s\nusage: ", what, word ? " \"" : "", word ? word : "",
		word ? "\"" : "");
	command_usage(command, stderr);
	return -1;
}

/* All words up to the next option or keyword, added to the list that is there already. A file that
 * is called like a keyword is "./name". */
static int take_list(const struct ctl_command *command, const struct ctl_arg *arg, json_t *args,
	int argc, char **argv)
{
	json_t *list = json_object_get(args, arg->key), *value;
	int used = 1;

	if (!list) {
		list = json_array();
		json_object_set_new(args, arg->key, list);
	}
	for (; used < argc && strncmp(argv[used], "--", 2) && !find_keyword(command, argv[used]);
		used++) {
		value = value_of(arg, argv[used]);
		if (!value)
			return -1;
		json_array_append_new(list, value);
	}
	return used > 1 ? used : usage_error(command, "missing after", argv[0]);
}

/* One argument; returns how many words it took, -1 on error. */
static int take(const struct ctl_command *command, json_t *args, int argc, char **argv)
{
	const struct ctl_arg *arg = find_keyword(command, argv[0]);
	bool keyword = arg != NULL;
	json_t *value;

	if (!arg)
		arg = next_position(command, args);
	if (!arg || (!keyword && !strncmp(argv[0], "--", 2)))
		return usage_error(command, "unexpected", argv[0]);
	if (arg->type == CTL_LIST)
		return take_list(command, arg, args, argc, argv);
	if (json_object_get(args, arg->key))
		return usage_error(command, "given twice:", arg->word);
	if (arg->type == CTL_FLAG) {
		json_object_set_new(args, arg->key, json_true());
		return 1;
	}
	if (keyword && argc < 2)
		return usage_error(command, "missing after", argv[0]);
	value = value_of(arg, argv[keyword]);
	if (!value)
		return -1;
	json_object_set_new(args, arg->key, value);
	return 1 + keyword;
}

json_t *args_parse(const struct ctl_command *command, int argc, char **argv)
{
	json_t *args = json_object();

	for (int i = 0; i < argc;) {
		int used = take(command, args, argc - i, argv + i);

		if (used < 0)
			goto fail;
		i += used;
	}
	for (const struct ctl_arg *a = command->args; a->type; a++)
		if (a->required && !json_object_get(args, a->key)) {
			usage_error(command, "missing:", a->word ? a->word : a->shown);
			goto fail;
		}
	return args;
fail:
	json_decref(args);
	return NULL;
}
