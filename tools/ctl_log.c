/* Lines: events, configuration text, errors of a refused reload, and what a change did. */
#include <time.h>
#include "ctl.h"

void print_event(struct ctl_print *print, const json_t *e)
{
	double when = get_real(e, "time");
	time_t seconds = (time_t)when;
	char text[32] = "?";
	struct tm tm;

	if (json_object_get(e, "lost")) {
		fprintf(print->out, "(%lld events were missed: this reader was too slow)\n",
			(long long)get_int(e, "lost"));
		return;
	}
	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(print->out, "%s.%03d  %-7s  %-15s  %s\n", text,
		(int)((when - (double)seconds) * 1000), get_str(e, "level", "?"),
		get_str(e, "subject", ""), get_str(e, "text", ""));
}

void print_line(struct ctl_print *print, const json_t *line)
{
	fprintf(print->out, "%s\n", json_is_string(line) ? json_string_value(line) : "");
}

/* file:line: key: text, as `lintasctl check` prints them. */
void print_config_error(struct ctl_print *print, const json_t *e)
{
	const char *key = get_str(e, "key", NULL);

	fprintf(print->out, "%s:%lld: %s%s%s%s\n", get_str(e, "file", "lintas.conf"),
		(long long)get_int(e, "line"), get_bool(e, "warning") ? "warning: " : "",
		key ? key : "", key ? ": " : "", get_str(e, "text", ""));
}

void print_reload(struct ctl_print *print, const json_t *r)
{
	if (get_int(r, "operations"))
		fprintf(print->out, "%lld operations, generation %lld%s\n",
			(long long)get_int(r, "operations"), (long long)get_int(r, "generation"),
			get_bool(r, "needs_restart")
				? "; some changes wait for a restart of lintasd"
				: "");
	else
		fprintf(print->out, "nothing to do: generation %lld is what the files say%s\n",
			(long long)get_int(r, "generation"),
			get_bool(r, "needs_restart") ? ", but for changes that wait for a restart"
						     : "");
}

void print_resync(struct ctl_print *print, const json_t *r)
{
	fprintf(print->out,
		"resync of %s started; `lintasctl status` says when the mirror is in step\n",
		get_str(r, "resync", "?"));
}
