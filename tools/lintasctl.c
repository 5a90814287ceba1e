/* lintasctl OBJECT VERB: asks lintasd and shows what it says. Documentation: lintasctl(8).
 *
 * Options may stand anywhere; the rest are words for ctl_commands.c and ctl_args.c. Reading order:
 * this file, ctl_commands.c, ctl_args.c, ctl_client.c, then the printers. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include "ctl.h"

#define SOCKET_PATH "/run/lintas/lintas.sock"
#ifndef LINTAS_VERSION
#define LINTAS_VERSION "0.1"
#endif

struct options {
	const char *socket_path, *names;
	bool json, help, version, commands;
};

/* The value of `--name VALUE` or `--name=VALUE`; NULL when argv[i] is not that option. */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len))
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len])
		return NULL;
	if (*i + 1 < argc)
		return argv[++*i];
	fprintf(stderr, "lintasctl: %s needs a value\n", name);
	exit(CTL_ERROR);
}

/* Takes our options out of argv; returns how many words are left in it. */
static int options_parse(int argc, char **argv, struct options *o)
{
	int n = 0;
	const char *value;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j"))
			o->json = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			o->help = true;
		else if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V"))
			o->version = true;
		else if (!strcmp(argv[i], "--commands"))
			o->commands = true;
		else if ((value = option_value("--socket", argc, argv, &i)))
			o->socket_path = value;
		else if ((value = option_value("--names", argc, argv, &i)))
			o->names = value;
		else
			argv[n++] = argv[i];
	}
	return n;
}

/* ---- names for completion ---- */

static void print_name(const json_t *data, bool more, void *arg)
{
	json_t *item;
	size_t i;

	(void)more, (void)arg;
	json_array_foreach(data, i, item)
		if (get_str(item, "name", NULL))
			puts(get_str(item, "name", ""));
}

static int names_list(const struct options *o)
{
	static const char *const kinds[] = { "port", "lag", "link", "vrf" };
	char api[32];
	json_t *args;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i], o->names))
			continue;
		snprintf(api, sizeof(api), "%s show", kinds[i]);
		args = json_object();
		int status = client_call(o->socket_path, api, args, false, print_name, NULL);
		json_decref(args);
		return status;
	}
	fprintf(stderr, "lintasctl: --names port, lag, link or vrf\n");
	return CTL_ERROR;
}

/* ---- one command ---- */

static int command_run(const struct options *o, const struct ctl_command *command, json_t *args)
{
	struct ctl_output output = { .command = command, .print = { .out = stdout } };
	struct json_out json_out = { .out = stdout };
	int status;

	if (command->run && (!command->api || json_object_get(args, "config")))
		return command->run(args, o->json);
	if (o->json) {
		status = client_call(o->socket_path, command->api, args, command->endless,
			command->json ? command->json : json_out_part, &json_out);
		return json_out.failed ? CTL_ERROR : status;
	}
	output.print.named = json_object_get(args, "name");
	status = client_call(
		o->socket_path, command->api, args, command->endless, output_part, &output);
	if (status != CTL_OK)
		output.print.items++; /* nothing came because of an error: that was said */
	output_end(&output);
	return status;
}

/* Output that could not be written is an error, not a short listing. */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		if (errno == EPIPE) /* `| head` has seen enough */
			return status;
		perror("lintasctl: writing the output");
		return CTL_ERROR;
	}
	return status;
}

/* `link show NAME --effective` is `link effective NAME`. Returns how many words are left. */
static int take_effective(int n, char **argv, int used, const struct ctl_command **command)
{
	if (strcmp((*command)->object, "link") || strcmp((*command)->verb, "show"))
		return n;
	for (int i = used; i < n; i++) {
		if (strcmp(argv[i], "--effective"))
			continue;
		memmove(&argv[i], &argv[i + 1], (n - i - 1) * sizeof(*argv));
		while ((*command)->object && strcmp((*command)->verb, "effective"))
			(*command)++;
		return n - 1;
	}
	return n;
}

int main(int argc, char **argv)
{
	const char *from_env = getenv("LINTAS_SOCKET");
	struct options o = { .socket_path = from_env && *from_env ? from_env : SOCKET_PATH };
	const struct ctl_command *command;
	int used, status, n = options_parse(argc, argv, &o);
	json_t *args;

	setlocale(LC_TIME, "");
	if (o.version) {
		printf("lintasctl %s\n", LINTAS_VERSION);
		return finish(CTL_OK);
	}
	if (o.commands || (o.help && !n)) {
		o.commands ? commands_list(stdout) : commands_help(stdout);
		return finish(CTL_OK);
	}
	if (o.names)
		return finish(names_list(&o));
	if (!n) {
		commands_help(stderr);
		return CTL_ERROR;
	}
	used = command_find(n, argv, &command);
	if (used < 0)
		return CTL_ERROR;
	if (o.help) {
		command_help(command, used, stdout);
		return finish(CTL_OK);
	}
	n = take_effective(n, argv, used, &command);
	args = args_parse(command, n - used, argv + used);
	if (!args)
		return CTL_ERROR;
	status = command_run(&o, command, args);
	json_decref(args);
	return finish(status);
}
