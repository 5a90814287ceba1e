/* `link effective NAME` (also `link show NAME --effective`): every value in force on a link and
 * where it is from, as config_effective says. A link has some eighty values, so one answer. */
#include "views.h"

static void row(void *arg, const char *key, const char *value, const char *origin)
{
	json_array_append_new(
		arg, json_pack("{s:s, s:s, s:s}", "key", key, "value", value, "from", origin));
}

void view_link_effective(struct api_request *request, const json_t *args)
{
	struct link *link = NULL;
	const struct view_arg table[] = {
		{ .name = "name", .type = VIEW_LINK, .out = &link, .required = true }
	};
	json_t *rows;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (!link->cfg) {
		api_fail(request, "link \"%s\" is being removed", link->name);
		return;
	}
	rows = json_array();
	if (config_effective(control.running, link->cfg, row, rows) < 0) {
		json_decref(rows);
		api_fail(request, "lintasd: out of memory");
		return;
	}
	api_reply(request, rows);
}
