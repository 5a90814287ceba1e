/* policy: who may reach whom. Until there are zones one rule: a partner reaches nothing that no
 * service names and nothing reaches a partner, and services do not exist yet. So a packet that came
 * by a partner's link, or would leave by one, is dropped without a word (partner_deny). What a
 * partner sends to this router itself never comes here: local delivery leaves the line in route. A
 * router without partners skips the stage. */
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

static void policy_lane(struct worker *w, struct lane *v)
{
	uint32_t in = UINT32_MAX, way = 0;
	bool allowed = false;

	for (unsigned i = 0; i < v->n; i++) {
		const struct adj *a = v->adj[i];

		if (v->in[i] != in || a->way != way) {
			in = v->in[i];
			way = a->way;
			allowed = policy_allows(w->snap, v->in[i], a->link);
		}
		if (likely(allowed))
			continue;
		drop(w, v->m[i], v->in[i], DP_DROP_partner_deny);
		lane_take(v, i);
	}
	if (v->gone)
		lane_compact(v);
}

void policy_run(struct worker *w, struct pass *p)
{
	if (!w->snap->partners)
		return;
	policy_lane(w, &p->v4);
	policy_lane(w, &p->v6);
}
