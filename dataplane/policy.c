/* policy: who may reach whom. Until there are zones one rule: a partner reaches nothing that no
 * service names and nothing reaches a partner, and services do not exist yet. So a packet that came
 * by a partner's link, or would leave by one, is dropped without a word (partner_deny). What a
 * partner sends to this router itself never comes here: local delivery leaves the line in route.
 * Packets in a row that go the same way, a run, are judged once; meter and tx count and send runs.
 */
#include "pipeline.h"
#include "snapshot.h"

static inline bool is_partner(const struct snapshot *s, uint16_t id)
{
	return s->partner[id / 64] >> (id % 64) & 1;
}

bool policy_allows(const struct snapshot *s, uint16_t in, uint16_t out)
{
	if (!s->partners || !in) /* our own may answer a partner's */
		return true;
	return !is_partner(s, in) && !is_partner(s, out);
}

static void refuse(struct worker *w, struct lane *v, const struct run *r)
{
	for (unsigned i = r[-1].end; i < r->end; i++) {
		drop(w, v->m[i], r->in, DP_DROP_partner_deny);
		lane_take(v, i);
	}
}

static void policy_lane(struct worker *w, struct lane *v)
{
	lane_runs(v);
	if (!w->snap->partners)
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
