/* meter: the ingress x egress matrix (worker.h says what is counted where). It runs over the lanes
 * after rewrite, so it counts exactly what goes to a port, and reads the arrays only: the length is
 * the packet's own as it came, without layer 2 and tunnel headers. A run of packets between the
 * same two links is one update. */
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

static __rte_always_inline void meter_lane(struct worker *w, struct lane *v, const bool quick)
{
	unsigned i = 0, n = v->n;
	struct run *run = v->run;

	*run = (struct run){ .port = DP_NONE };
	while (i < n) {
		const struct adj *a = v->adj[i];
		uint16_t in = v->in[i];
		unsigned first = i;
		uint64_t bytes = v->len[i];

		while (++i < n && (quick || v->in[i] == in) && v->adj[i]->way == a->way)
			bytes += v->len[i];
		meter_way(w, in, a, i - first, bytes);
		if (a->port != run->port)
			*++run = (struct run){ .port = a->port, .first = (uint8_t)first };
		run->n += (uint8_t)(i - first);
	}
	v->n_runs = (unsigned)(run - v->run);
}

void meter_run(struct worker *w, struct pass *p)
{
	if (p->v4.quick)
		meter_lane(w, &p->v4, true);
	else
		meter_lane(w, &p->v4, false);
	meter_lane(w, &p->v6, false);
}
