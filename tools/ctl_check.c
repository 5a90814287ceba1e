/* `lintasctl check FILE`: the daemon's own parser and checks, on any machine: a laptop, a git hook,
 * CI. With --against the providers' side as well: ctl_against_run.c. */
#include "config/config.h"
#include "ctl.h"

static json_t *errors_json(const struct cfg_errors *errors)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < errors->n; i++) {
		const struct cfg_error *e = &errors->items[i];

		json_array_append_new(list, json_pack("{s:s?, s:i, s:b, s:s?, s:s}", "file",
						    e->file, "line", (int)e->line, "warning",
						    e->warning, "key", e->key, "text", e->text));
	}
	return list;
}

static const char *path_of(const json_t *args)
{
	return get_str(args, "config", get_str(args, "file", CTL_CONFIG));
}

struct config *config_for(const char *path)
{
	struct cfg_errors errors = { 0 };
	struct config *config = config_load(path, &errors);

	if (!config) {
		cfg_errors_print(&errors, stderr);
		fprintf(stderr, "%s: %u error%s: `lintasctl check` shows them alone\n", path,
			errors.n_fatal, errors.n_fatal == 1 ? "" : "s");
	}
	cfg_errors_free(&errors);
	return config;
}

int run_check(const json_t *args, bool as_json)
{
	const char *path = path_of(args);
	struct cfg_errors errors = { 0 };
	struct config *config;

	if (get_str(args, "file", NULL) && get_str(args, "config", NULL)) {
		fprintf(stderr, "lintasctl: check FILE and --config FILE say the same: give one\n");
		return CTL_ERROR;
	}
	if (json_object_get(args, "against"))
		return run_against(args, path, as_json);
	config = config_load(path, &errors);
	if (as_json) {
		struct json_out out = { .out = stdout };
		json_t *list = errors_json(&errors);

		json_out_part(list, false, &out);
		json_decref(list);
	} else {
		cfg_errors_print(&errors, stderr);
		if (config)
			printf("%s: fine: %u links, %u VRFs, %u zones, %u ports%s\n", path,
				config->n_links, config->n_vrfs, config->n_zones, config->n_ports,
				errors.n ? " (see the warnings)" : "");
		else
			fprintf(stderr, "%s: %u error%s\n", path, errors.n_fatal,
				errors.n_fatal == 1 ? "" : "s");
	}
	int status = config ? CTL_OK : CTL_ERROR;
	config_free(config);
	cfg_errors_free(&errors);
	return status;
}
