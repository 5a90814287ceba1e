/* `events` and `monitor`: the log ring as a listing, and as a stream that goes on.
 *
 * Both read the ring by sequence number. A monitor that reads too slowly loses entries when the
 * ring wraps; it is told how many, and the log never waits for it. */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include "views.h"

#define BATCH 64

struct event_stream {
	LIST_ENTRY(event_stream) entry; /* monitors only */
	struct api_request *request;
	uint64_t seq;
	int64_t since_ns; /* wall clock; 0 = all */
	int level;	  /* least severe that is shown */
	char subject[CFG_NAME_MAX];
	bool follow;
};

static LIST_HEAD(, event_stream) monitors = LIST_HEAD_INITIALIZER(monitors);

static const char *const levels[] = { [LOG_LVL_ERR] = "error",
	[LOG_LVL_WARN] = "warning",
	[LOG_LVL_NOTICE] = "notice",
	[LOG_LVL_INFO] = "info",
	[LOG_LVL_DEBUG] = "debug" };

static bool shown(const struct event_stream *s, const struct log_entry *e)
{
	return (int)e->level <= s->level && e->wall_ns >= s->since_ns &&
	       (!*s->subject || !strcmp(s->subject, e->subject));
}

/* The log takes any bytes; JSON only UTF-8. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);
	char clean[sizeof(((struct log_entry *)0)->text)];

	if (value)
		return value;
	snprintf(clean, sizeof(clean), "%s", text);
	for (char *p = clean; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return json_string(clean);
}

static json_t *entry_json(const struct log_entry *e)
{
	unsigned level =
		(unsigned)e->level < sizeof(levels) / sizeof(levels[0]) ? e->level : LOG_LVL_DEBUG;

	return json_pack("{s:I, s:f, s:s, s:o, s:o}", "seq", (json_int_t)e->seq, "time",
		(double)e->wall_ns / 1e9, "level", levels[level], "subject", text_json(e->subject),
		"text", text_json(e->text));
}

static json_t *event_step(void *state)
{
	struct event_stream *s = state;
	struct log_entry entries[BATCH];
	uint64_t next = s->seq;
	unsigned n = log_read(s->seq, entries, BATCH, &next);
	json_t *part;

	if (!n && s->follow)
		return json_null();
	if (!n)
		return NULL;
	part = json_array();
	if (s->follow && entries[0].seq > s->seq)
		json_array_append_new(
			part, json_pack("{s:I}", "lost", (json_int_t)(entries[0].seq - s->seq)));
	for (unsigned i = 0; i < n; i++)
		if (shown(s, &entries[i]))
			json_array_append_new(part, entry_json(&entries[i]));
	s->seq = next;
	return part;
}

static void event_done(void *state)
{
	struct event_stream *s = state;

	if (s->follow)
		LIST_REMOVE(s, entry);
	free(s);
}

static void on_log(const struct log_entry *entry, void *arg)
{
	struct event_stream *s;

	(void)entry, (void)arg;
	LIST_FOREACH(s, &monitors, entry)
		api_wake(s->request); /* also for what it does not show: it has to keep up with the
					 ring */
}

void view_events_start(void)
{
	static bool subscribed; /* the log keeps a subscription for the life of the process */

	if (!subscribed)
		log_subscribe(on_log, NULL);
	subscribed = true;
}

static int level_number(const char *name)
{
	for (int i = 0; i < (int)(sizeof(levels) / sizeof(levels[0])); i++)
		if (!strncmp(levels[i], name, strlen(name)) && strlen(name) >= 3)
			return i;
	return -1;
}

static bool in_ring(const char *subject)
{
	struct log_entry entries[BATCH];
	uint64_t seq = 0;
	unsigned n;

	while ((n = log_read(seq, entries, BATCH, &seq)))
		for (unsigned i = 0; i < n; i++)
			if (!strcmp(entries[i].subject, subject))
				return true;
	return false;
}

/* Somebody waits for ever for the events of a misspelt link. What is gone may still have some. */
static bool subject_known(const char *subject)
{
	const struct config *config = control.running;

	if (!strcmp(subject, "lintasd") || !strcmp(subject, "frr") || link_by_name(subject) ||
		vrf_by_name(subject))
		return true;
	for (unsigned i = 0; i < config->n_ports; i++)
		if (!strcmp(config->ports[i].name, subject))
			return true;
	return in_ring(subject);
}

static struct event_stream *stream_new(
	struct api_request *request, const char *level, const char *subject)
{
	int number = level ? level_number(level) : LOG_LVL_DEBUG;
	struct event_stream *s;
	char names[400];

	if (number < 0) {
		api_fail(request,
			"argument \"level\" must be error, warning, notice, info or debug");
		return NULL;
	}
	if (subject && !subject_known(subject)) {
		api_fail(request,
			"no link \"%.32s\", nor a port, a VRF or a past event of that name: there "
			"is "
			"%s",
			subject, view_names(VIEW_LINK, names, sizeof(names)));
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		api_fail(request, "lintasd: out of memory");
		return NULL;
	}
	s->request = request;
	s->level = number;
	snprintf(s->subject, sizeof(s->subject), "%s", subject ? subject : "");
	return s;
}

void view_events(struct api_request *request, const json_t *args)
{
	const char *level = NULL, *subject = NULL;
	int64_t since_s = 0;
	const struct view_arg table[] = {
		{ .name = "since_s",
			.type = VIEW_INT,
			.out = &since_s,
			.min = 1,
			.max = 10 * 365 * 86400ll },
		{ .name = "level", .type = VIEW_STRING, .out = &level },
		{ .name = "subject", .type = VIEW_STRING, .out = &subject },
	};

	if (!VIEW_ARGS(request, args, table))
		return;
	struct event_stream *s = stream_new(request, level, subject);
	if (!s)
		return;
	if (since_s) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		s->since_ns = ((int64_t)now.tv_sec - since_s) * 1000000000ll + now.tv_nsec;
	}
	api_stream(request, event_step, event_done, s);
}

void view_monitor(struct api_request *request, const json_t *args)
{
	const char *level = NULL, *subject = NULL;
	const struct view_arg table[] = {
		{ .name = "level", .type = VIEW_STRING, .out = &level },
		{ .name = "subject", .type = VIEW_STRING, .out = &subject },
	};
	struct log_entry skip[BATCH];

	if (!VIEW_ARGS(request, args, table))
		return;
	struct event_stream *s = stream_new(request, level, subject);
	if (!s)
		return;
	while (log_read(s->seq, skip, BATCH, &s->seq)) /* from now on; the ring is small */
		;
	s->follow = true;
	LIST_INSERT_HEAD(&monitors, s, entry);
	api_stream(request, event_step, event_done, s);
}
