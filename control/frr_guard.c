/* The guard at the limits of prefixes: alarms, and what a neighbour near its limit is told.
 *
 * FRR's maximum-prefix-out (8.4) holds the cap, but at it a route whose attributes change is
 * withdrawn, another takes its place, and what waited is not told when there is room. So a session
 * at 80 % of max_out is put under guard: the prefixes it was told become a list of exactly those
 * (`LINK-out4-held`), and the list instead of FRR's counter holds the cap. With every look that
 * follows, prefixes that are gone leave the list, and only when FRR runs that, others that wait are
 * added, first come by order of prefix, while list and what was told together stay within the
 * limit; so no order of events can exceed it. Below 70 % FRR's counter takes over again. frr_diff.c
 * adds the counter before, and takes it away after, everything else.
 *
 * Told by views_sessions.c at every look; asks FRR for two lists of a guarded session, one session
 * at a time. The walk through them goes in slices; sorting and deciding (frr_guard_list.c) are a
 * helper thread's. A lintasd that starts takes over the lists that FRR runs with (frr_sync.c). What
 * nobody holds: the seconds between 80 % and the next look, when FRR's counter decides. Control
 * thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "control.h"
#include "frr.h"
#include "frr_own.h"

#define GUARDED_MAX 20000 /* prefixes; a greater limit is FRR's counter's alone */
#define ALARM	    80	  /* percent */
#define CALM	    70
#define SLICE	    200

struct guard {
	TAILQ_ENTRY(guard) entry;
	struct frr_guard order; /* items: what is told, sorted */
	bool listed;		/* it is rendered */
	bool due;		/* a look has come */
	unsigned waiting;
};

static TAILQ_HEAD(, guard) guards = TAILQ_HEAD_INITIALIZER(guards);
static struct frr_guard *rendered;	   /* what frr_guard_orders() gave out */
static uint8_t alarms[DP_LINKS_MAX][2][2]; /* by link id, family, direction: percent of ALARM */

static struct {
	struct guard *guard; /* NULL: nothing under way */
	const struct config *config;
	json_t *listed, *told;	       /* FRR's answers */
	struct frr_decision *decision; /* the sets that fill */
	void *at, *at_told;	       /* iterators within the objects that are walked */
	struct event *turn;
	char peer[IP_STRLEN]; /* the last route's neighbour, and its link */
	const struct cfg_link *from;
} work;

/* ---- alarms ---- */
static void alarm_tell(const struct cfg_link *link, bool v6, bool out, unsigned n, unsigned max)
{
	const struct link *l = link_by_name(link->name);
	uint8_t *state = l ? &alarms[l->id][v6][out] : NULL;
	uint64_t percent = (uint64_t)n * 100 / (max ? max : 1);
	uint8_t now = percent >= 100 ? 2 : percent >= ALARM ? 1 : 0;
	const char *what = out ? "told" : "learned";

	if (!state || !max || (now < *state && percent >= CALM))
		return;
	if (now > *state && now == 2 && out)
		log_event(LOG_LVL_ERR, link->name,
			"IPv%c: %u prefixes %s, the limit is %u: no more are announced, the rest "
			"waits",
			v6 ? '6' : '4', n, what, max);
	else if (now > *state)
		log_event(now == 2 ? LOG_LVL_ERR : LOG_LVL_WARN, link->name,
			"IPv%c: %u prefixes %s, %u%% of the limit %u%s", v6 ? '6' : '4', n, what,
			(unsigned)percent, max,
			out ? ""
			    : ": beyond it the session ends; what comes is filtered by accept");
	else if (now == 0 && *state)
		log_event(LOG_LVL_NOTICE, link->name, "IPv%c: %u prefixes %s of at most %u again",
			v6 ? '6' : '4', n, what, max);
	*state = now;
}

/* ---- deciding ---- */
static const struct cfg_link *link_of(const struct guard *guard)
{
	return config_link(control.running, guard->order.link);
}

static void guard_free(struct guard *guard)
{
	TAILQ_REMOVE(&guards, guard, entry);
	free(guard->order.items);
	free(guard);
}

static bool still_there(const struct guard *guard)
{
	const struct cfg_link *link = link_of(guard);

	return work.config == control.running && link && frr_peer(link, guard->order.v6);
}

static void decided(struct guard *guard, const struct cfg_link *link, struct frr_decision *d)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, guard->order.v6);

	if (d->candidates.n < (uint64_t)peer->max_out * CALM / 100) {
		if (guard->listed)
			frr_sync();
		guard_free(guard);
		return;
	}
	guard->waiting = d->candidates.n > d->next.n ? d->candidates.n - d->next.n : 0;
	if (d->same)
		return;
	log_event(LOG_LVL_INFO, link->name, "IPv%c: %u prefixes of at most %u are told, %u wait",
		guard->order.v6 ? '6' : '4', d->next.n, peer->max_out, guard->waiting);
	free(guard->order.items);
	guard->order.items = d->next.items;
	guard->order.n = d->next.n;
	d->next = (struct frr_prefixes){ 0 };
	guard->listed = true;
	frr_sync();
}

static void work_end(void);

static void decide_work(void *arg)
{
	frr_guard_decide(arg);
}

static void decide_done(void *arg)
{
	struct frr_decision *d = arg;
	struct guard *guard = work.guard;

	/* Else what FRR said may be older than what it was given. */
	if (!d->rc && frr_settled() && still_there(guard))
		decided(guard, link_of(guard), d);
	work_end();
}

static void decide(struct guard *guard)
{
	struct frr_decision *d = work.decision;

	d->listed = guard->listed;
	d->max = frr_peer(link_of(guard), guard->order.v6)->max_out;
	d->old.items = malloc((guard->order.n ? guard->order.n : 1) * sizeof(*d->old.items));
	if (!d->old.items)
		return work_end();
	d->old.n = guard->order.n;
	if (d->old.n)
		memcpy(d->old.items, guard->order.items, d->old.n * sizeof(*d->old.items));
	if (control_offload(decide_work, decide_done, d))
		work_end(); /* the next look tries again */
}

/* ---- walking FRR's answers ---- */
static void work_next(void);

static void work_end(void)
{
	frr_answer_free(work.listed);
	frr_answer_free(work.told);
	work.listed = work.told = NULL;
	frr_decision_free(work.decision);
	work.decision = NULL;
	work.guard = NULL;
	work_next();
}

static const json_t *best_of(const json_t *paths)
{
	const json_t *path;
	size_t i;

	json_array_foreach(paths, i, path)
		if (json_object_get(path, "bestpath"))
			return path;
	return NULL;
}

/* The link whose neighbour a route came from; NULL: it is our own. */
static const struct cfg_link *route_link(const struct cfg_link *link, const json_t *path)
{
	const char *peer = json_string_value(json_object_get(path, "peerId"));
	struct ip_addr addr;

	if (!peer || ip_addr_parse(peer, &addr))
		return NULL;
	if (strcmp(work.peer, peer)) {
		snprintf(work.peer, sizeof(work.peer), "%s", peer);
		work.from = frr_link_of_peer(work.config, link->vrf, &addr);
	}
	return work.from;
}

static void candidate(const struct cfg_link *link, const char *name, const json_t *paths)
{
	const struct frr_orders orders = { .conduct = NULL };
	const json_t *best = best_of(paths);
	const struct cfg_link *from = best ? route_link(link, best) : NULL;
	const struct cfg_zone *zone = from ? from->zone : NULL;
	struct ip_prefix prefix;
	bool own = false;

	if (!best || from == link || ip_prefix_parse(name, &prefix))
		return;
	if (!from && !frr_own_of(work.config, link->vrf, &prefix, &own, &zone))
		return;
	if (frr_judge_out(work.config, &orders, link, &prefix, own, zone) == FRR_PASSES)
		work.decision->rc |= frr_prefixes_add(&work.decision->candidates, &prefix);
}

/* A slice of both answers; true: both are through. */
static bool walk(const struct cfg_link *link)
{
	json_t *listed = json_object_get(work.listed, "routes"),
	       *told = json_object_get(work.told, "advertisedRoutes");
	struct ip_prefix prefix;
	unsigned i;

	for (i = 0; i < SLICE && work.at; i++) {
		candidate(link, json_object_iter_key(work.at), json_object_iter_value(work.at));
		work.at = json_object_iter_next(listed, work.at);
	}
	for (; i < SLICE && work.at_told; i++) {
		if (!ip_prefix_parse(json_object_iter_key(work.at_told), &prefix))
			work.decision->rc |= frr_prefixes_add(&work.decision->advertised, &prefix);
		work.at_told = json_object_iter_next(told, work.at_told);
	}
	return !work.at && !work.at_told;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct guard *guard = work.guard;

	(void)fd, (void)what, (void)arg;
	if (!still_there(guard))
		work_end();
	else if (!walk(link_of(guard)))
		event_active(work.turn, EV_TIMEOUT, 0);
	else if (work.decision->rc) /* a set that is not whole decides nothing */
		work_end();
	else
		decide(guard);
}

static void on_told(const json_t *json, void *arg)
{
	(void)arg;
	work.decision = json ? calloc(1, sizeof(*work.decision)) : NULL;
	if (!work.decision) {
		work_end();
		return;
	}
	work.told = json_incref((json_t *)(uintptr_t)json);
	work.at = json_object_iter(json_object_get(work.listed, "routes"));
	work.at_told = json_object_iter(json_object_get(work.told, "advertisedRoutes"));
	work.peer[0] = '\0';
	event_active(work.turn, EV_TIMEOUT, 0);
}

static void on_listed(const json_t *json, void *arg)
{
	const struct cfg_link *link = link_of(work.guard);
	const struct cfg_bgp_peer *peer = link ? frr_peer(link, work.guard->order.v6) : NULL;

	(void)arg;
	if (json)
		work.listed = json_incref((json_t *)(uintptr_t)json);
	if (!json || !peer ||
		frr_show_routes(FRR_ADVERTISED, link->vrf->name, &peer->peer, NULL, on_told, NULL))
		work_end();
}

static void work_next(void)
{
	struct guard *guard;

	TAILQ_FOREACH(guard, &guards, entry) {
		const struct cfg_link *link = guard->due ? link_of(guard) : NULL;
		const struct cfg_bgp_peer *peer = link ? frr_peer(link, guard->order.v6) : NULL;

		if (!peer)
			continue;
		guard->due = false;
		work.guard = guard;
		work.config = control.running;
		if (!frr_show_routes(
			    FRR_LISTED, link->vrf->name, &peer->peer, link->name, on_listed, NULL))
			return;
		work.guard = NULL;
	}
}

/* ---- what others call ---- */
static struct guard *guard_find(const char *link, bool v6)
{
	struct guard *guard;

	TAILQ_FOREACH(guard, &guards, entry)
		if (guard->order.v6 == v6 && !strcmp(guard->order.link, link))
			return guard;
	return NULL;
}

static struct guard *guard_new(const char *link, bool v6)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	snprintf(guard->order.link, CFG_NAME_MAX, "%s", link);
	guard->order.v6 = v6;
	TAILQ_INSERT_TAIL(&guards, guard, entry);
	return guard;
}

bool frr_guard_adopt(struct frr_guard *found, unsigned n)
{
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		const struct cfg_link *link = config_link(control.running, found[i].link);
		const struct cfg_bgp_peer *peer = link ? frr_peer(link, found[i].v6) : NULL;
		struct guard *guard;

		if (!peer || !peer->max_out || peer->max_out > GUARDED_MAX ||
			guard_find(link->name, found[i].v6) ||
			!(guard = guard_new(link->name, found[i].v6)))
			continue;
		guard->order.items = found[i].items;
		guard->order.n = found[i].n < peer->max_out ? found[i].n : peer->max_out;
		guard->listed = any = true;
		found[i].items = NULL;
		log_event(LOG_LVL_INFO, link->name,
			"IPv%c: %u prefixes were told under guard, and stay told",
			found[i].v6 ? '6' : '4', guard->order.n);
	}
	return any;
}

void frr_guard_look(const struct cfg_link *link, bool v6, json_int_t received, json_int_t sent)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, v6);
	struct guard *guard = guard_find(link->name, v6);

	alarm_tell(link, v6, false, (unsigned)received, peer->max_in);
	alarm_tell(link, v6, true, (unsigned)sent, peer->max_out);
	if (!peer->max_out || peer->max_out > GUARDED_MAX)
		return;
	if (!guard && (uint64_t)sent * 100 >= (uint64_t)peer->max_out * ALARM)
		guard = guard_new(link->name, v6);
	if (guard)
		guard->due = true;
}

/* A guard whose session left the configuration goes; one whose session is down keeps its list. */
void frr_guard_done(void)
{
	struct guard *guard, *next;

	for (guard = TAILQ_FIRST(&guards); guard; guard = next) {
		const struct cfg_link *link = link_of(guard);
		const struct cfg_bgp_peer *peer = link ? frr_peer(link, guard->order.v6) : NULL;

		next = TAILQ_NEXT(guard, entry);
		if (guard != work.guard && (!peer || !peer->max_out)) {
			guard_free(guard);
			frr_sync();
		}
	}
	if (!work.turn)
		work.turn = event_new(control.base, -1, 0, on_turn, NULL);
	if (work.turn && !work.guard)
		work_next();
}

void frr_guard_orders(struct frr_orders *orders)
{
	struct guard *guard;
	unsigned n = 0;

	TAILQ_FOREACH(guard, &guards, entry)
		n += guard->listed;
	free(rendered);
	rendered = calloc(n ? n : 1, sizeof(*rendered));
	n = 0;
	if (rendered)
		TAILQ_FOREACH(guard, &guards, entry)
			if (guard->listed)
				rendered[n++] = guard->order;
	orders->guards = rendered;
	orders->n_guards = n;
}

unsigned frr_guard_waiting(const char *link, bool v6)
{
	const struct guard *guard = guard_find(link, v6);

	return guard ? guard->waiting : 0;
}

void frr_guard_stop(void)
{
	if (work.turn)
		event_free(work.turn);
	work.turn = NULL;
	while (!TAILQ_EMPTY(&guards))
		guard_free(TAILQ_FIRST(&guards));
	free(rendered);
	rendered = NULL;
}
