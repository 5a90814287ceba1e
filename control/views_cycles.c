/* `stats cycles`: what a packet costs now, stage by stage, of each worker and of all.
 *
 * Workers count for ever and are never reset, so that two people who look do not disturb each
 * other; who asks gets the difference between two readings, taken an interval apart by a timer of
 * its own. A worker times one vector in 256 and subtracts what reading the clock costs; a stage's
 * cycles are divided by the packets of the timed vectors, all of them, whether or not they needed
 * the stage. */
#include <stdlib.h>
#include <sys/queue.h>
#include "views.h"

#define INTERVAL_S     1
#define INTERVAL_MAX_S 50 /* lintasctl waits for an answer for a minute */

struct reading {
	uint64_t at_ns;
	unsigned n;
	struct dp_worker_stats worker[DP_WORKERS_MAX];
};

struct interval {
	LIST_ENTRY(interval) entry;
	struct api_request *request;
	struct event *timer;
	struct reading begin;
};

static LIST_HEAD(, interval) intervals = LIST_HEAD_INITIALIZER(intervals);

static void read_workers(struct reading *r)
{
	r->at_ns = now_ns();
	for (r->n = 0; r->n < DP_WORKERS_MAX && !dp_worker_stats(r->n, &r->worker[r->n]); r->n++)
		;
}

/* sum += end - begin; begin NULL: since start. */
static void add(struct dp_worker_stats *sum, const struct dp_worker_stats *end,
	const struct dp_worker_stats *begin)
{
	static const struct dp_worker_stats start;

	begin = begin ? begin : &start;
	sum->vectors += end->vectors - begin->vectors;
	sum->packets += end->packets - begin->packets;
	sum->polls += end->polls - begin->polls;
	sum->idle_polls += end->idle_polls - begin->idle_polls;
	sum->sampled_vectors += end->sampled_vectors - begin->sampled_vectors;
	sum->sampled_packets += end->sampled_packets - begin->sampled_packets;
	sum->disturbed_vectors += end->disturbed_vectors - begin->disturbed_vectors;
	for (unsigned i = 0; i < sizeof(sum->stage_cycles) / sizeof(sum->stage_cycles[0]); i++)
		sum->stage_cycles[i] += end->stage_cycles[i] - begin->stage_cycles[i];
	sum->clock_cycles = end->clock_cycles;
}

/* Three places; null where there is nothing to divide by. */
static json_t *ratio(uint64_t a, uint64_t b)
{
	return b ? json_real((double)(uint64_t)((double)a / (double)b * 1000 + 0.5) / 1000)
		 : json_null();
}

static json_t *cycles_json(const struct dp_worker_stats *s)
{
	json_t *stages = json_array();
	uint64_t whole = 0;

	for (unsigned i = 0; i < dp_stage_count; i++) {
		whole += s->stage_cycles[i];
		json_array_append_new(stages,
			json_pack("{s:s, s:o}", "name", dp_stage_desc[i].name, "cycles_per_packet",
				ratio(s->stage_cycles[i], s->sampled_packets)));
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:i, s:o, s:o}", "sampled_vectors",
		(json_int_t)s->sampled_vectors, "disturbed_vectors",
		(json_int_t)s->disturbed_vectors, "sampled_packets", (json_int_t)s->sampled_packets,
		"packets_per_sampled_vector", ratio(s->sampled_packets, s->sampled_vectors),
		"clock_cycles", (int)s->clock_cycles, "stages", stages, "cycles_per_packet",
		ratio(whole, s->sampled_packets));
}

json_t *view_cycles(void)
{
	struct dp_worker_stats sum = { 0 };
	struct reading now;

	read_workers(&now);
	for (unsigned w = 0; w < now.n; w++)
		add(&sum, &now.worker[w], NULL);
	return cycles_json(&sum);
}

/* One row: a worker, or all of them. */
static json_t *row_json(const struct dp_worker_stats *d, double seconds)
{
	json_t *row = cycles_json(d);

	json_object_set_new(row, "packets", json_integer((json_int_t)d->packets));
	json_object_set_new(row, "vectors", json_integer((json_int_t)d->vectors));
	json_object_set_new(row, "packets_per_second",
		json_integer((json_int_t)((double)d->packets / seconds + 0.5)));
	json_object_set_new(row, "packets_per_vector", ratio(d->packets, d->vectors));
	json_object_set_new(row, "busy_polls",
		ratio(d->polls > d->idle_polls ? d->polls - d->idle_polls : 0, d->polls));
	return row;
}

static json_t *interval_json(const struct reading *begin, const struct reading *end)
{
	double seconds = (double)(end->at_ns - begin->at_ns) / 1e9;
	struct dp_worker_stats sum = { 0 };
	json_t *workers = json_array();

	for (unsigned w = 0; w < end->n && w < begin->n; w++) {
		struct dp_worker_stats d = { 0 };

		add(&d, &end->worker[w], &begin->worker[w]);
		add(&sum, &end->worker[w], &begin->worker[w]);
		json_t *row = row_json(&d, seconds);
		json_object_set_new(row, "worker", json_integer(w));
		json_object_set_new(row, "cpu", json_integer(end->worker[w].cpu));
		json_array_append_new(workers, row);
	}
	return json_pack("{s:f, s:o, s:o}", "interval_s", seconds, "workers", workers, "all",
		row_json(&sum, seconds));
}

/* ---- two readings ---- */

static void interval_free(struct interval *i)
{
	LIST_REMOVE(i, entry);
	event_free(i->timer);
	free(i);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct interval *i = arg;
	struct reading end;

	(void)fd, (void)what;
	read_workers(&end);
	api_reply(i->request, interval_json(&i->begin, &end));
	interval_free(i);
}

void view_stats_cycles(struct api_request *request, const json_t *args)
{
	int64_t seconds = INTERVAL_S;
	const struct view_arg table[] = { { .name = "interval_s",
		.type = VIEW_INT,
		.out = &seconds,
		.min = 1,
		.max = INTERVAL_MAX_S } };
	struct interval *i;

	if (!VIEW_ARGS(request, args, table))
		return;
	i = calloc(1, sizeof(*i));
	if (i)
		i->timer = evtimer_new(control.base, on_end, i);
	if (!i || !i->timer) {
		free(i);
		api_fail(request, "lintasd: out of memory");
		return;
	}
	i->request = request;
	LIST_INSERT_HEAD(&intervals, i, entry);
	evtimer_add(i->timer, &(struct timeval){ .tv_sec = seconds });
	read_workers(&i->begin);
}

void view_cycles_stop(void)
{
	struct interval *i;

	while ((i = LIST_FIRST(&intervals))) {
		api_fail(i->request, "lintasd ends");
		interval_free(i);
	}
}
