/* meter: the ingress x egress matrix (worker.h says what is counted where). It runs over the lanes
 * after rewrite, so it counts exactly what goes to a port, and reads the runs only: their length is
 * the packets' own as they came, without layer 2 and tunnel headers. */
#include "pipeline.h"

void meter_count(struct worker *w, uint16_t in, uint16_t out, uint64_t packets, uint64_t bytes)
{
	struct dp_count *c = &w->ctr.pair[in][out];

	count_add(&c->packets, packets);
	count_add(&c->bytes, bytes);
}

void meter_outer(struct worker *w, const struct adj *a, uint64_t packets, uint64_t bytes)
{
	if (a->outer_ip_off)
		meter_count(w, 0, a->underlay_link, packets,
			bytes + packets * (a->header_len - a->outer_ip_off));
}

void meter_way(struct worker *w, uint16_t in, const struct adj *a, uint64_t packets, uint64_t bytes)
{
	meter_count(w, in, a->link, packets, bytes);
	meter_outer(w, a, packets, bytes);
}

static void meter_lane(struct worker *w, const struct lane *v)
{
	for (const struct run *r = v->run + 1; r <= v->run + v->n_runs; r++)
		meter_way(w, r->in, r->adj, r->end - r[-1].end, r->bytes - r[-1].bytes);
}

void meter_run(struct worker *w, struct pass *p)
{
	meter_lane(w, &p->v4);
	meter_lane(w, &p->v6);
}
