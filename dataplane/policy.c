/* policy: who may reach whom. A packet goes from the zone of the link it came by to the zone of the
 * link it would leave by; what no `reach` and no service opens is dropped without a word
 * (zone_deny), also inside one VRF. A cloud reaches itself, a partner does not, and links of no
 * zone reach one another. What is for this router itself never comes here: local delivery leaves
 * the line in route. Packets in a row that go the same way, a run, are judged once; meter and tx
 * count and send runs. */
#include "pipeline.h"
#include "snapshot.h"

/* Without a way out (no route, a blackhole) the question is whether the zone may speak at all. */
bool policy_allows(const struct snapshot *s, uint16_t in, uint16_t out)
{
	unsigned from, to;

	if (!s->zones || !in) /* our own may answer anybody */
		return true;
	from = s->zone[in];
	to = out ? s->zone[out] : from;
	return s->reach[from][to / 64] >> (to % 64) & 1;
}

static void refuse(struct worker *w, struct lane *v, const struct run *r)
{
	for (unsigned i = r[-1].end; i < r->end; i++) {
		drop(w, v->m[i], r->in, DP_DROP_zone_deny);
		lane_take(v, i);
	}
}

static void policy_lane(struct worker *w, struct lane *v)
{
	lane_runs(v);
	if (!w->snap->zones)
		return;
	for (const struct run *r = v->run + 1; r <= v->run + v->n_runs; r++)
		if (unlikely(!policy_allows(w->snap, r->in, r->adj->link)))
			refuse(w, v, r);
	if (unlikely(v->gone)) {
		lane_compact(v);
		lane_runs(v);
	}
}

void policy_run(struct worker *w, struct pass *p)
{
	policy_lane(w, &p->v4);
	policy_lane(w, &p->v6);
}
