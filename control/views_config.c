/* Views of the configuration, and the two commands that change something: reload and resync. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "views.h"

/* ---- config show: a stream of lines ---- */

struct text_stream {
	char *text, *at;
};

static json_t *text_step(void *state)
{
	struct text_stream *s = state;
	uint64_t start = now_ns();

	if (!*s->at)
		return NULL;
	json_t *part = json_array();
	do {
		size_t len = strcspn(s->at, "\n");

		json_array_append_new(part, json_stringn(s->at, len));
		s->at += len + (s->at[len] == '\n');
	} while (*s->at && view_time_left(start));
	return part;
}

static void text_done(void *state)
{
	struct text_stream *s = state;

	free(s->text);
	free(s);
}

void view_config_show(struct api_request *request, const json_t *args)
{
	size_t len = 0;

	if (!view_args(request, args, NULL, 0))
		return;
	struct text_stream *s = calloc(1, sizeof(*s));
	FILE *out = s ? open_memstream(&s->text, &len) : NULL;
	if (!out) {
		free(s);
		api_fail(request, "lintasd: out of memory");
		return;
	}
	config_print(control.running, out);
	if (fclose(out)) {
		text_done(s);
		api_fail(request, "lintasd: out of memory");
		return;
	}
	s->at = s->text;
	api_stream(request, text_step, text_done, s);
}

/* ---- config errors ---- */

static json_t *error_json(const struct cfg_error *e)
{
	return json_pack("{s:s?, s:i, s:b, s:s?, s:s}", "file", e->file, "line", (int)e->line,
		"warning", e->warning, "key", e->key, "text", e->text);
}

void view_config_errors(struct api_request *request, const json_t *args)
{
	json_t *errors;

	if (!view_args(request, args, NULL, 0))
		return;
	errors = json_array();
	for (unsigned i = 0; i < control.last_errors.n; i++)
		json_array_append_new(errors, error_json(&control.last_errors.items[i]));
	api_reply(request, errors);
}

/* ---- reload ---- */

static void fail_reload(struct api_request *request, int err)
{
	const struct cfg_errors *e = &control.last_errors;

	if (err != -EINVAL || !e->n_fatal) {
		api_fail(
			request, "reload failed: %s; `lintasctl events` says more", strerror(-err));
		return;
	}
	for (unsigned i = 0; i < e->n; i++)
		if (!e->items[i].warning) {
			const struct cfg_error *first = &e->items[i];

			api_fail(request,
				"%s:%u: %s%s%s\n%u error%s, nothing changed; "
				"`lintasctl config errors` shows all",
				first->file ? first->file : control.config_path, first->line,
				first->key ? first->key : "", first->key ? ": " : "", first->text,
				e->n_fatal, e->n_fatal == 1 ? "" : "s");
			return;
		}
	api_fail(request, "%u errors, nothing changed; `lintasctl check` shows them", e->n_fatal);
}

static void reload_done(int rc, unsigned ops, void *request)
{
	if (rc)
		fail_reload(request, rc);
	else
		api_reply(request, json_pack("{s:i, s:I, s:b}", "operations", (int)ops,
					   "generation", (json_int_t)control.generation,
					   "needs_restart", control.needs_restart));
}

void view_reload(struct api_request *request, const json_t *args)
{
	int err;

	if (!view_args(request, args, NULL, 0))
		return;
	err = control_reload_async(reload_done, request);
	if (err)
		api_fail(request, "reload: %s",
			err == -EAGAIN ? "too many are waiting already" : strerror(-err));
}

/* ---- resync ---- */

void view_resync(struct api_request *request, const json_t *args)
{
	struct vrf *vrf = NULL;
	const struct view_arg table[] = { { .name = "vrf", .type = VIEW_VRF, .out = &vrf } };
	int err;

	if (!VIEW_ARGS(request, args, table))
		return;
	err = mirror_resync(vrf);
	if (err)
		api_fail(request, "resync: %s", strerror(-err));
	else
		api_reply(request, json_pack("{s:s}", "resync", vrf ? vrf->name : "all"));
}
