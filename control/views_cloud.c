/* `cloud show`, `partner show`: one line a cloud or partner: is it well, by which tier, how full,
 * and what is not as it should be.
 *
 * Rates are measured when they are asked for: every link's counters are summed twice, a second
 * apart, a few links a turn of the loop, because a sum is over a row and a column of the matrix.
 * FRR is asked meanwhile (view_bgp_collect). Then the lines are streamed, a few a turn. A reload in
 * between ends it. Prefixes are those of the session nearest to its limit, because that one ends
 * first; the capacity is that of the circuits under the links of the tier in use, each once. */
#include <stdlib.h>
#include <string.h>
#include "health.h"
#include "probes.h"
#include "views.h"

#define MEASURE_NS   1000000000ull
#define SCREENS_MAX  16
#define CIRCUITS_MAX 64 /* under one zone, for its capacity */
#define TROUBLES_MAX 16

struct sample {
	uint64_t rx, tx, at_ns;
	double rx_bps, tx_bps;
};

struct screen {
	struct api_request *request;
	uint64_t generation, start_ns;
	struct event *timer;
	struct sample links[DP_LINKS_MAX];
	unsigned next_link, pass;
	json_t *bgp;
	bool bgp_done, measured;
	bool partners;
	char name[CFG_NAME_MAX]; /* "": all */
	unsigned next_zone;
};

static unsigned n_screens;

/* ---- one zone ---- */
struct totals {
	const struct cfg_zone *zone;
	unsigned up, all, bgp_up, bgp_all;
	double rx_bps, tx_bps;
	unsigned tier, tiers; /* in use, from 1; 0: none */
	uint64_t capacity_bps;
	const struct cfg_circuit *circuits[CIRCUITS_MAX];
	unsigned n_circuits;
	struct nearest {
		json_int_t prefixes;
		uint32_t limit;
	} in, out;
	struct {
		bool known;
		double p99_ms, loss;
	} probe; /* the worst of its links */
	json_t *ids, *troubles;
};

static void trouble(struct totals *t, json_t *text)
{
	if (json_array_size(t->troubles) < TROUBLES_MAX)
		json_array_append_new(t->troubles, text);
	else
		json_decref(text);
}

static bool usable(const struct link *link)
{
	return !view_link_down(link) && health_of(link) != HEALTH_BAD &&
	       (health_alive(link, AF_INET) || health_alive(link, AF_INET6));
}

static const struct cfg_circuit *circuit_under(const struct cfg_link *link)
{
	while (link->underlay)
		link = link->underlay;
	return link->circuit;
}

static void circuit_add(struct totals *t, const struct cfg_link *cfg, bool in_use)
{
	const struct cfg_circuit *c = circuit_under(cfg);

	for (unsigned i = 0; i < t->n_circuits; i++)
		if (t->circuits[i] == c)
			return;
	if (!c || !in_use || t->n_circuits == CIRCUITS_MAX)
		return;
	t->circuits[t->n_circuits++] = c;
	t->capacity_bps += c->rate_bps;
	if (c->id)
		json_array_append_new(t->ids, json_string(c->id));
}

static void numbers_add(struct totals *t, const struct link *link)
{
	struct estimate_report report;
	struct dp_probe_stats stats;
	struct probes_info info;

	for (unsigned f = 0; f < 2; f++) {
		uint8_t af = f ? AF_INET6 : AF_INET;

		if (!probes_info(link, af, &info) || info.problem)
			continue;
		probes_bucket(link, af, ESTIMATE_LINK, &report, &stats);
		if (report.p99_us >= 0) {
			t->probe.known = true;
			if ((double)report.p99_us > t->probe.p99_ms * 1000)
				t->probe.p99_ms = (double)report.p99_us / 1000;
		}
		if (report.loss_1m_ppm >= 0) {
			t->probe.known = true;
			if ((double)report.loss_1m_ppm > t->probe.loss * 1e6)
				t->probe.loss = (double)report.loss_1m_ppm / 1e6;
		}
	}
}

static void health_trouble(struct totals *t, const struct link *link)
{
	const char *why = view_link_down(link), *text;

	if (why) {
		trouble(t, json_sprintf("%s DOWN: %s", link->name, why));
		return;
	}
	for (unsigned f = 0; f < 2; f++) {
		uint8_t af = f ? AF_INET6 : AF_INET;
		enum health health = health_probed(link, af, &text);

		if (!health_alive(link, af))
			trouble(t,
				json_sprintf("%s: BFD of IPv%c down", link->name, f ? '6' : '4'));
		if (health != HEALTH_GOOD)
			trouble(t, json_sprintf("%s %s in IPv%c: %s", link->name,
					   health_names[health], f ? '6' : '4', text));
	}
}

/* The best tier with a link that can be used. */
static void tier_find(struct totals *t)
{
	const struct cfg_path *path = NULL;

	for (unsigned i = 0; i < control.running->n_paths; i++)
		if (control.running->paths[i].zone == t->zone)
			path = &control.running->paths[i];
	t->tiers = path ? path->n_tiers : 0;
	for (unsigned i = 0; path && i < path->n_tiers && !t->tier; i++)
		for (unsigned k = 0; k < path->tiers[i].n && !t->tier; k++) {
			const struct link *l = link_by_name(path->tiers[i].links[k]->name);

			if (l && usable(l))
				t->tier = i + 1;
		}
	if (path && t->tier != 1)
		trouble(t, t->tier ? json_sprintf("tier %u of %u carries", t->tier, t->tiers)
				   : json_sprintf("no tier of %u carries", t->tiers));
}

static void links_add(struct totals *t, const struct screen *s)
{
	unsigned tier;

	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		const struct sample *sample = &s->links[l->id];

		if (!l->cfg || l->cfg->zone != t->zone)
			continue;
		t->all++;
		t->up += !view_link_down(l);
		t->rx_bps += sample->rx_bps;
		t->tx_bps += sample->tx_bps;
		numbers_add(t, l);
		health_trouble(t, l);
		circuit_add(t, l->cfg,
			usable(l) && (!config_path_of(control.running, l->cfg, &tier) ||
					     tier + 1 == t->tier));
	}
	/* None carries: still name what it runs on. */
	for (const struct link *l = link_next(NULL); l && !t->n_circuits; l = link_next(l))
		if (l->cfg && l->cfg->zone == t->zone)
			circuit_add(t, l->cfg, true);
}

static void nearest_take(struct nearest *n, json_int_t prefixes, uint32_t limit)
{
	bool nearer = limit && n->limit ? (double)prefixes / limit > (double)n->prefixes / n->limit
		      : limit || n->limit ? limit != 0
					  : prefixes > n->prefixes;

	if (nearer || (!n->limit && !limit && prefixes > n->prefixes))
		*n = (struct nearest){ prefixes, limit };
}

static json_int_t family_count(const json_t *session, const char *which)
{
	const char *family;
	json_int_t sum = 0;
	json_t *counts;

	json_object_foreach(json_object_get(session, "families"), family, counts)
		sum += json_integer_value(json_object_get(counts, which));
	return sum;
}

static void session_add(struct totals *t, const struct cfg_link *cfg, const json_t *session)
{
	const char *state = json_string_value(json_object_get(session, "state"));
	const char *peer = json_string_value(json_object_get(session, "peer"));
	const struct cfg_bgp_peer *p = peer && strchr(peer, ':') ? &cfg->bgp.v6 : &cfg->bgp.v4;

	t->bgp_all++;
	if (!state || strcmp(state, "Established")) {
		trouble(t, json_sprintf("%s: BGP with %s %s", cfg->name, peer ? peer : "?",
				   state ? state : "unknown"));
		return;
	}
	t->bgp_up++;
	nearest_take(&t->in, family_count(session, "received"), p->max_in);
	nearest_take(&t->out, family_count(session, "sent"), p->max_out);
}

static void sessions_add(struct totals *t, const struct screen *s)
{
	const json_t *sessions = json_object_get(s->bgp, "sessions"), *session;
	size_t i;

	json_array_foreach(sessions, i, session) {
		const char *zone = json_string_value(json_object_get(session, "zone"));
		const char *name = json_string_value(json_object_get(session, "link"));
		const struct cfg_link *cfg;

		if (!zone || strcmp(zone, t->zone->name) || !name ||
			!json_is_true(json_object_get(session, "configured")))
			continue;
		cfg = config_link(control.running, name);
		if (cfg)
			session_add(t, cfg, session);
	}
}

static json_t *nearest_json(const struct nearest *n)
{
	return json_pack("{s:I, s:o}", "prefixes", n->prefixes, "limit",
		n->limit ? json_integer(n->limit) : json_null());
}

static const char *state_of(const struct totals *t)
{
	if (!t->all)
		return "no links";
	if (!t->up || (t->bgp_all && !t->bgp_up))
		return "DOWN";
	return json_array_size(t->troubles) ? "degraded" : "good";
}

static json_t *zone_json(const struct cfg_zone *zone, const struct screen *s)
{
	struct totals t = { .zone = zone, .ids = json_array(), .troubles = json_array() };
	json_t *probe, *tier;

	tier_find(&t);
	links_add(&t, s);
	sessions_add(&t, s);
	probe = t.probe.known
			? json_pack("{s:f, s:f}", "p99_ms", t.probe.p99_ms, "loss", t.probe.loss)
			: json_null();
	tier = t.tier ? json_integer(t.tier) : json_null();
	return json_pack("{s:s, s:b, s:s?, s:s, s:o, s:i, s:f, s:f, s:o, s:{s:i, s:i}, s:{s:i, "
			 "s:i}, s:o, s:o, s:o, s:o, s:o, s:s?}",
		"name", zone->name, "partner", zone->partner, "provider", zone->provider, "state",
		state_of(&t), "tier", tier, "tiers", (int)t.tiers, "rx_bps", t.rx_bps, "tx_bps",
		t.tx_bps, "capacity_bps",
		t.capacity_bps ? json_integer((json_int_t)t.capacity_bps) : json_null(), "links",
		"up", (int)t.up, "all", (int)t.all, "bgp", "up", (int)t.bgp_up, "all",
		(int)t.bgp_all, "in", nearest_json(&t.in), "out", nearest_json(&t.out), "probe",
		probe, "troubles", t.troubles, "circuits", t.ids, "noc", zone->noc);
}

/* ---- the lines ---- */
static void screen_free(void *state)
{
	struct screen *s = state;

	if (s->timer)
		event_free(s->timer);
	json_decref(s->bgp);
	free(s);
	n_screens--;
}

static json_t *screen_step(void *state)
{
	struct screen *s = state;
	uint64_t start = now_ns();
	json_t *part;

	if (s->generation != control.generation)
		return json_string("the configuration was reloaded meanwhile: ask again");
	if (s->next_zone == control.running->n_zones)
		return NULL;
	part = json_array();
	do {
		const struct cfg_zone *zone = &control.running->zones[s->next_zone++];

		if (*s->name ? !strcmp(zone->name, s->name) : zone->partner == s->partners)
			json_array_append_new(part, zone_json(zone, s));
	} while (s->next_zone < control.running->n_zones && view_time_left(start));
	return part;
}

static void screen_show(struct screen *s)
{
	if (!s->measured || !s->bgp_done)
		return;
	event_free(s->timer);
	s->timer = NULL;
	api_stream(s->request, screen_step, screen_free, s);
}

/* ---- measuring ---- */
static void sample(struct sample *s, const struct link *link)
{
	uint64_t now = now_ns(), rx = dp_link_rx(link->id).bytes, tx = dp_link_tx(link->id).bytes;

	if (s->at_ns && rx >= s->rx && tx >= s->tx) {
		s->rx_bps = (double)(rx - s->rx) * 8e9 / (double)(now - s->at_ns);
		s->tx_bps = (double)(tx - s->tx) * 8e9 / (double)(now - s->at_ns);
	}
	*s = (struct sample){ rx, tx, now, s->rx_bps, s->tx_bps };
}

static void on_measure(evutil_socket_t fd, short what, void *arg)
{
	struct timeval wait = { 0, 0 };
	struct screen *s = arg;
	uint64_t start = now_ns(), due;

	(void)fd, (void)what;
	while (s->next_link < DP_LINKS_MAX && view_time_left(start)) {
		const struct link *l = link_by_id((uint16_t)s->next_link);

		if (l)
			sample(&s->links[s->next_link], l);
		s->next_link++;
	}
	if (s->next_link == DP_LINKS_MAX && s->pass++) {
		s->measured = true;
		return screen_show(s);
	}
	if (s->next_link == DP_LINKS_MAX) {
		s->next_link = 1;
		due = s->start_ns + MEASURE_NS;
		if (due > start)
			wait.tv_usec = (suseconds_t)((due - start) / 1000 % 1000000);
	}
	evtimer_add(s->timer, &wait);
}

static void on_bgp(const json_t *bgp, void *arg)
{
	struct screen *s = arg;

	s->bgp = json_incref((json_t *)(uintptr_t)bgp);
	s->bgp_done = true;
	screen_show(s);
}

static bool zone_known(const char *name)
{
	for (unsigned i = 0; i < control.running->n_zones; i++)
		if (!strcmp(control.running->zones[i].name, name))
			return true;
	return false;
}

static void show(struct api_request *request, const json_t *args, bool partners)
{
	static const struct timeval at_once = { 0, 0 };
	const char *name = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_STRING, .out = &name } };
	struct screen *s;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (name && !zone_known(name))
		return api_fail(request,
			"no cloud or partner \"%.32s\": `lintasctl cloud show` and `lintasctl "
			"partner show` list them",
			name);
	s = n_screens < SCREENS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return api_fail(request, "too many look at once: try again");
	n_screens++;
	s->request = request;
	s->generation = control.generation;
	s->start_ns = now_ns();
	s->partners = partners;
	s->next_link = 1;
	if (name)
		snprintf(s->name, sizeof(s->name), "%s", name);
	s->timer = evtimer_new(control.base, on_measure, s);
	if (!s->timer || evtimer_add(s->timer, &at_once)) {
		screen_free(s);
		return api_fail(request, "lintasd: out of memory");
	}
	s->bgp_done = !view_bgp_wanted() || view_bgp_collect(on_bgp, s);
}

void view_cloud_show(struct api_request *request, const json_t *args)
{
	show(request, args, false);
}

void view_partner_show(struct api_request *request, const json_t *args)
{
	show(request, args, true);
}
