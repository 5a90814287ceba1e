/* Views of counters: drops with their rate, punt classes, stages, workers, the mirror and control
 * itself.
 *
 * Rates need two samples: a timer takes one a second, a share of the reasons at a time, because a
 * reason's counter is a sum over links and workers. */
#include <errno.h>
#include <stdlib.h>
#include "views.h"

#define SAMPLE_SLICES 16 /* timer ticks a second; each samples every 16th reason */

static struct {
	struct event *timer;
	unsigned slice;
	struct sample {
		uint64_t at_ns, count;
		double per_second;
	} drop[DP_DROP_COUNT];
} rates;

static void sample(enum dp_drop reason)
{
	struct sample *s = &rates.drop[reason];
	uint64_t now = now_ns(), count = dp_drop_count(reason);

	if (s->at_ns && now > s->at_ns && count >= s->count)
		s->per_second = (double)(count - s->count) * 1e9 / (double)(now - s->at_ns);
	s->at_ns = now;
	s->count = count;
}

static void on_sample(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	for (unsigned reason = rates.slice; reason < DP_DROP_COUNT; reason += SAMPLE_SLICES)
		sample((enum dp_drop)reason);
	rates.slice = (rates.slice + 1) % SAMPLE_SLICES;
}

int view_rates_start(void)
{
	static const struct timeval period = { 0, 1000000 / SAMPLE_SLICES };

	rates.timer = event_new(control.base, -1, EV_PERSIST, on_sample, NULL);
	if (!rates.timer)
		return -ENOMEM;
	event_priority_set(rates.timer, event_base_get_npriorities(control.base) - 1);
	return event_add(rates.timer, &period) ? -ENOMEM : 0;
}

void view_rates_stop(void)
{
	if (rates.timer)
		event_free(rates.timer);
	rates.timer = NULL;
}

struct view_rate view_drop_rate(enum dp_drop reason)
{
	return (struct view_rate){ rates.drop[reason].count, rates.drop[reason].per_second };
}

/* ---- drops ---- */

static json_t *drop_json(enum dp_drop reason, uint64_t count, bool with_rate)
{
	const struct dp_drop_desc *d = &dp_drop_desc[reason];
	json_t *rate = with_rate ? json_real(rates.drop[reason].per_second) : json_null();

	return json_pack("{s:s, s:I, s:o, s:s, s:s, s:s}", "name", d->name, "packets",
		(json_int_t)count, "per_second", rate, "severity", d->severity, "text", d->text,
		"reference", d->rfc);
}

static json_t *drops_json(const struct link *link, bool all)
{
	json_t *drops = json_array();

	for (unsigned i = 0; i < DP_DROP_COUNT; i++) {
		enum dp_drop reason = (enum dp_drop)i;
		uint64_t count =
			link ? dp_link_drop_count(link->id, reason) : dp_drop_count(reason);

		if (all || count)
			json_array_append_new(drops, drop_json(reason, count, !link));
	}
	return drops;
}

void view_stats_drops(struct api_request *request, const json_t *args)
{
	struct link *link = NULL;
	bool all = false;
	const struct view_arg table[] = {
		{ .name = "link", .type = VIEW_LINK, .out = &link },
		{ .name = "all", .type = VIEW_BOOL, .out = &all },
	};

	if (VIEW_ARGS(request, args, table))
		api_reply(request, drops_json(link, all));
}

/* ---- everything ---- */

static json_t *punt_json(void)
{
	json_t *classes = json_array();
	struct dp_punt_stats s;

	for (unsigned i = 0; i < DP_PUNT_COUNT; i++) {
		if (dp_punt_stats((enum dp_punt_class)i, &s))
			continue;
		json_array_append_new(classes,
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", dp_punt_desc[i].name,
				"text", dp_punt_desc[i].text, "budget_per_second",
				(json_int_t)dp_punt_desc[i].budget_pps, "to_kernel",
				(json_int_t)s.to_kernel, "dropped", (json_int_t)s.dropped,
				"from_kernel", (json_int_t)s.from_kernel));
	}
	return classes;
}

static json_t *workers_json(void)
{
	struct dp_worker_stats s;
	json_t *workers = json_array();

	for (unsigned w = 0; !dp_worker_stats(w, &s); w++)
		json_array_append_new(workers,
			json_pack("{s:i, s:i, s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "worker", (int)w,
				"cpu", (int)s.cpu, "packets", (json_int_t)s.packets, "vectors",
				(json_int_t)s.vectors, "packets_per_vector",
				s.vectors ? json_real((double)s.packets / (double)s.vectors)
					  : json_null(),
				"polls", (json_int_t)s.polls, "idle_polls",
				(json_int_t)s.idle_polls, "naps", (json_int_t)s.naps, "handed_over",
				(json_int_t)s.handed_over));
	return workers;
}

static json_t *mirror_json(void)
{
	struct mirror_stats m = { 0 };

	mirror_stats(&m);
	return json_pack(
		"{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"synced", mirror_synced(), "messages", (json_int_t)m.messages, "overruns",
		(json_int_t)m.overruns, "resyncs", (json_int_t)m.resyncs, "interrupted",
		(json_int_t)m.interrupted, "parse_errors", (json_int_t)m.parse_errors,
		"unknown_links", (json_int_t)m.unknown_links, "audit_rounds",
		(json_int_t)m.audit_rounds, "audit_checked", (json_int_t)m.audit_checked,
		"audit_fixed", (json_int_t)m.audit_fixed, "fib_refused", (json_int_t)m.fib_refused,
		"routes", (json_int_t)m.routes, "neighbours", (json_int_t)m.neighbours, "nexthops",
		(json_int_t)m.nexthops, "groups", (json_int_t)m.groups, "adjacencies",
		(json_int_t)m.adjacencies);
}

static json_t *control_json(void)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "reloads", (json_int_t)control.reloads,
		"reload_failures", (json_int_t)control.reload_failures, "reload_operations",
		(json_int_t)control.reload_ops, "stalls", (json_int_t)control.stalls, "longest_us",
		(json_int_t)(control.longest_ns / 1000));
}

void view_stats(struct api_request *request, const json_t *args)
{
	if (!view_args(request, args, NULL, 0))
		return;
	api_reply(request,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "drops", drops_json(NULL, false),
			"punt", punt_json(), "cycles", view_cycles(), "workers", workers_json(),
			"mirror", mirror_json(), "control", control_json()));
}

void view_stages(struct api_request *request, const json_t *args)
{
	json_t *stages;

	if (!view_args(request, args, NULL, 0))
		return;
	stages = json_array();
	for (unsigned i = 0; i < dp_stage_count; i++)
		json_array_append_new(
			stages, json_pack("{s:s, s:s, s:s}", "name", dp_stage_desc[i].name, "file",
					dp_stage_desc[i].file, "text", dp_stage_desc[i].text));
	api_reply(request, stages);
}
