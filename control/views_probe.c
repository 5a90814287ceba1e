/* View of the probes: a stream a link and family, with its buckets, as a stream of parts. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "probes.h"
#include "views.h"

static json_t *ratio(int64_t ppm)
{
	return ppm < 0 ? json_null() : json_real((double)ppm / 1e6);
}

static json_t *milliseconds(int64_t us)
{
	return us < 0 ? json_null() : json_real((double)us / 1e3);
}

/* What is measured of a bucket or of the link, into object. */
static json_t *measured(
	json_t *object, const struct estimate_report *r, const struct dp_probe_stats *s)
{
	json_t *more = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
				 " s:I, s:I, s:o}",
		"loss_1m", ratio(r->loss_1m_ppm), "loss_10m", ratio(r->loss_10m_ppm), "p50_ms",
		milliseconds(r->p50_us), "p99_ms", milliseconds(r->p99_us), "jitter_ms",
		milliseconds(r->jitter_us), "usual_ms",
		milliseconds(r->usual_us ? (int64_t)r->usual_us : -1), "sent", (json_int_t)s->sent,
		"unsent", (json_int_t)s->unsent, "answered", (json_int_t)s->received, "lost",
		(json_int_t)s->lost, "late", (json_int_t)s->late, "duplicate",
		(json_int_t)s->duplicate, "reordered", (json_int_t)s->reordered, "refused",
		(json_int_t)s->refused, "before_first", (json_int_t)r->before_first,
		"last_answer_s",
		s->received + s->late ? json_real((double)s->quiet_ns / 1e9) : json_null());

	json_object_update(object, more);
	json_decref(more);
	return object;
}

static json_t *bucket_json(const struct link *link, uint8_t af, uint8_t bucket)
{
	struct estimate_report report;
	struct dp_probe_stats stats;

	probes_bucket(link, af, bucket, &report, &stats);
	return measured(json_pack("{s:i, s:i, s:b}", "bucket", bucket, "port", stats.port,
				"suspect", report.suspect),
		&report, &stats);
}

static json_t *stream_json(const struct link *link, uint8_t af, const struct probes_info *info)
{
	static const char *const types[] = {
		[DP_PROBE_STAMP] = "stamp", [DP_PROBE_ICMP] = "icmp", [DP_PROBE_TCP] = "tcp"
	};
	const struct dp_probe *conf = info->conf;
	struct estimate_report report;
	struct dp_probe_stats stats;
	json_t *buckets = json_array(), *object;

	for (uint8_t b = 0; !info->problem && b < conf->buckets; b++)
		json_array_append_new(buckets, bucket_json(link, af, b));
	probes_bucket(link, af, ESTIMATE_LINK, &report, &stats);
	object = json_pack(
		"{s:s, s:i, s:s, s:s, s:s?, s:o, s:s, s:b, s:i, s:i, s:i, s:o, s:o, s:o, s:o}",
		"link", link->name, "family", af == AF_INET6 ? 6 : 4, "state", info->word, "why",
		info->why, "problem", info->problem, "since_s",
		info->problem ? json_null() : json_real((double)(now_ns() - report.since_ns) / 1e9),
		"type", types[conf->type], "authenticated", info->authenticated, "rate", conf->rate,
		"timeout_ms", info->timeout_ms, "target_port",
		conf->type == DP_PROBE_ICMP ? 0 : conf->port, "target", view_addr(&conf->dst),
		"source", view_addr(&conf->src), "via", view_addr(&info->via), "buckets", buckets);
	return measured(object, &report, &stats);
}

static void link_streams(json_t *part, const struct link *link)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct probes_info info;

	for (unsigned v6 = 0; v6 < 2; v6++)
		if (probes_info(link, families[v6], &info))
			json_array_append_new(part, stream_json(link, families[v6], &info));
}

static json_t *probe_step(void *state)
{
	char *after = state; /* the last name shown; "" = none yet */
	const struct link *l = link_next(NULL);
	uint64_t start = now_ns();
	json_t *part;

	while (l && *after && strcmp(l->name, after) <= 0)
		l = link_next(l);
	if (!l)
		return NULL;
	part = json_array();
	do {
		link_streams(part, l);
		memcpy(after, l->name, CFG_NAME_MAX);
		l = link_next(l);
	} while (l && view_time_left(start));
	return part;
}

void view_probe_show(struct api_request *request, const json_t *args)
{
	struct link *link = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_LINK, .out = &link } };
	json_t *part;
	char *after;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (link) {
		part = json_array();
		link_streams(part, link);
		api_reply(request, part);
	} else if (!(after = calloc(1, CFG_NAME_MAX))) {
		api_fail(request, "lintasd: out of memory");
	} else {
		api_stream(request, probe_step, free, after);
	}
}
