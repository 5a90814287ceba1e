/* `lintasctl profile show [NAME]`: the providers' profiles, a line each, or all that one says and
 * where. Needs no daemon: they are built into this program. Those that a configuration makes itself
 * (`custom`) are shown with --config FILE, or when the usual file can be read; otherwise a
 * configuration that says nothing but the newest version stands in for it, so that the same code
 * reads them. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "config/profile.h"
#include "ctl.h"

#define EFFECTIVE_PREFIX "profile." /* before every key, as a link's effective values have it */

static struct config *config_of_version(const char *version)
{
	int fd = memfd_create("profiles", MFD_CLOEXEC);
	struct config *config = NULL;
	char path[40];

	if (fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (dprintf(fd,
		    "schema = 1; profiles = \"%s\"; gateway = { name = \"profiles\"; "
		    "router_id = \"192.0.2.1\"; workers = \"1\"; };\n",
		    version) > 0)
		config = config_for(path);
	close(fd);
	return config;
}

/* The configuration's profiles where it names any, else the newest that are built in. */
static struct config *config_of(const char *path)
{
	const char *const *versions = profile_versions();
	struct config *config = NULL;

	if (path || !access(CTL_CONFIG, R_OK))
		config = config_for(path ? path : CTL_CONFIG);
	if ((path && !config) || (config && config->n_known))
		return config;
	config_free(config);
	while (*versions && versions[1])
		versions++;
	return *versions ? config_of_version(*versions) : NULL;
}

static void add_value(void *arg, const char *key, const char *value, const char *origin)
{
	if (!strncmp(key, EFFECTIVE_PREFIX, strlen(EFFECTIVE_PREFIX)))
		key += strlen(EFFECTIVE_PREFIX);
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "from", origin));
}

static json_t *rows_of(const struct config *config)
{
	static const char *const kinds[] = { [CFG_KIND_INTERCONNECT] = "interconnect",
		[CFG_KIND_TUNNEL] = "tunnel",
		[CFG_KIND_PARTNER] = "partner",
		[CFG_KIND_INTERNET] = "internet" };
	json_t *rows = json_array();

	for (unsigned i = 0; i < config->n_known; i++) {
		const struct cfg_profile *p = &config->known[i];

		json_array_append_new(
			rows, json_pack("{s:s, s:s?, s:s, s:s, s:s?, s:s?, s:s?}", "name", p->name,
				      "provider", p->provider, "kind", kinds[p->kind], "version",
				      p->version, "date", p->date, "title", p->title, "source",
				      p->where_from));
	}
	return rows;
}

static void print_rows(const json_t *rows)
{
	static const char *const keys[] = { "name", "provider", "kind", "version", "date", "title",
		"source" };
	struct table *t = table_new(stdout, "PROFILE|PROVIDER|KIND|VERSION|DATE|WHAT IT IS|SOURCE");
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		for (unsigned k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			table_cell(t, get_str(row, keys[k], "-"));
		table_row(t);
	}
	table_free(t);
}

static void print_values(const json_t *rows)
{
	struct ctl_print print = { .out = stdout,
		.table = table_new(stdout, CTL_EFFECTIVE_COLUMNS) };
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		print_effective(&print, row);
	table_free(print.table);
}

int run_profile(const json_t *args, bool as_json)
{
	const char *name = get_str(args, "name", NULL);
	struct config *config = config_of(get_str(args, "config", NULL));
	const struct cfg_profile *profile = config && name ? config_profile(config, name) : NULL;
	struct json_out json = { .out = stdout };
	json_t *rows = NULL;
	int status = CTL_ERROR;

	if (!config)
		return CTL_ERROR;
	if (name && !profile) {
		fprintf(stderr,
			"lintasctl: no profile \"%s\": `lintasctl profile show` lists them\n",
			name);
	} else if (profile) {
		rows = json_array();
		if (!config_profile_values(config, profile, add_value, rows))
			status = CTL_OK;
	} else {
		rows = rows_of(config);
		status = CTL_OK;
	}
	if (status == CTL_OK && as_json)
		json_out_part(rows, false, &json);
	else if (status == CTL_OK)
		(profile ? print_values : print_rows)(rows);
	json_decref(rows);
	config_free(config);
	return status;
}
