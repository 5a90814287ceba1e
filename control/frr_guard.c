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
 * at a time. The walk through what waits goes in slices; sorting and deciding do not, which is tens
 * of milliseconds where a hundred thousand prefixes wait. Control thread only. */
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

struct set {
	struct ip_prefix *items; /* sorted once complete */
	unsigned n;
};

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
	json_t *listed, *told; /* FRR's answers */
	struct set candidates, advertised;
	void *at; /* iterator within the object that is walked */
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

/* ---- sets of prefixes ---- */
static int prefix_order(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static bool set_has(const struct set *set, const struct ip_prefix *prefix)
{
	return set->n && bsearch(prefix, set->items, set->n, sizeof(*prefix), prefix_order);
}

static int set_add(struct set *set, const struct ip_prefix *prefix)
{
	if ((set->n & (set->n - 1)) == 0) { /* doubles at 1, 2, 4 … */
		struct ip_prefix *more =
			realloc(set->items, (set->n ? set->n * 2 : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		set->items = more;
	}
	set->items[set->n++] = *prefix;
	return 0;
}

static void set_free(struct set *set)
{
	free(set->items);
	*set = (struct set){ 0 };
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

/* The list as it shall be: what it holds and is still there; then, if nothing left it, others. */
static int list_next(const struct guard *guard, unsigned max, struct set *ret)
{
	const struct set old = { guard->order.items, guard->order.n };
	const struct set *keep = guard->listed ? &old : &work.advertised;
	unsigned room, both;
	int rc = 0;

	for (unsigned i = 0; !rc && i < keep->n && ret->n < max; i++)
		if (set_has(&work.candidates, &keep->items[i]))
			rc = set_add(ret, &keep->items[i]);
	both = guard->listed ? old.n : 0;
	for (unsigned i = 0; i < work.advertised.n; i++)
		both += !guard->listed || !set_has(&old, &work.advertised.items[i]);
	room = both < max && (!guard->listed || ret->n == old.n) ? max - both : 0;
	for (unsigned i = 0; !rc && room && i < work.candidates.n; i++) {
		const struct ip_prefix *p = &work.candidates.items[i];

		if (set_has(keep, p))
			continue;
		rc = set_add(ret, p);
		room--;
	}
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), prefix_order);
	return rc;
}

static void decide(struct guard *guard, const struct cfg_link *link)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, guard->order.v6);
	struct set next = { 0 };
	unsigned n = guard->order.n;

	if (work.candidates.n < (uint64_t)peer->max_out * CALM / 100) {
		if (guard->listed)
			frr_sync();
		guard_free(guard);
		return;
	}
	if (list_next(guard, peer->max_out, &next)) {
		set_free(&next);
		return;
	}
	guard->waiting = work.candidates.n > next.n ? work.candidates.n - next.n : 0;
	if (guard->listed && next.n == n &&
		(!n || !memcmp(next.items, guard->order.items, n * sizeof(*next.items)))) {
		set_free(&next);
		return;
	}
	log_event(LOG_LVL_INFO, link->name, "IPv%c: %u prefixes of at most %u are told, %u wait",
		guard->order.v6 ? '6' : '4', next.n, peer->max_out, guard->waiting);
	free(guard->order.items);
	guard->order.items = next.items;
	guard->order.n = next.n;
	guard->listed = true;
	frr_sync();
}

/* ---- walking FRR's answers ---- */
static void work_next(void);

static void work_end(void)
{
	frr_answer_free(work.listed);
	frr_answer_free(work.told);
	work.listed = work.told = NULL;
	set_free(&work.candidates);
	set_free(&work.advertised);
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
		set_add(&work.candidates, &prefix);
}

/* A slice of both answers; true: both are through. */
static bool walk(const struct cfg_link *link)
{
	json_t *listed = json_object_get(work.listed, "routes"),
	       *told = json_object_get(work.told, "advertisedRoutes");
	struct ip_prefix prefix;

	for (unsigned i = 0; i < SLICE; i++) {
		const char *name = work.at ? json_object_iter_key(work.at) : NULL;

		if (!name)
			break;
		candidate(link, name, json_object_iter_value(work.at));
		work.at = json_object_iter_next(listed, work.at);
	}
	if (work.at)
		return false;
	for (void *at = json_object_iter(told); at; at = json_object_iter_next(told, at))
		if (!ip_prefix_parse(json_object_iter_key(at), &prefix) &&
			set_add(&work.advertised, &prefix))
			return true;
	return true;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct guard *guard = work.guard;
	const struct cfg_link *link = link_of(guard);

	(void)fd, (void)what, (void)arg;
	if (work.config != control.running || !link || !frr_peer(link, guard->order.v6)) {
		work_end();
		return;
	}
	if (!walk(link)) {
		event_active(work.turn, EV_TIMEOUT, 0);
		return;
	}
	if (work.candidates.n)
		qsort(work.candidates.items, work.candidates.n, sizeof(struct ip_prefix),
			prefix_order);
	if (work.advertised.n)
		qsort(work.advertised.items, work.advertised.n, sizeof(struct ip_prefix),
			prefix_order);
	if (frr_settled()) /* else what FRR said may be older than what it was given */
		decide(guard, link);
	work_end();
}

static void on_told(const json_t *json, void *arg)
{
	(void)arg;
	if (!json) {
		work_end();
		return;
	}
	work.told = json_incref((json_t *)(uintptr_t)json);
	work.at = json_object_iter(json_object_get(work.listed, "routes"));
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

void frr_guard_look(const struct cfg_link *link, bool v6, json_int_t received, json_int_t sent)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, v6);
	struct guard *guard = guard_find(link->name, v6);

	alarm_tell(link, v6, false, (unsigned)received, peer->max_in);
	alarm_tell(link, v6, true, (unsigned)sent, peer->max_out);
	if (!peer->max_out || peer->max_out > GUARDED_MAX)
		return;
	if (!guard && (uint64_t)sent * 100 >= (uint64_t)peer->max_out * ALARM) {
		guard = calloc(1, sizeof(*guard));
		if (!guard)
			return;
		memcpy(guard->order.link, link->name, CFG_NAME_MAX);
		guard->order.v6 = v6;
		TAILQ_INSERT_TAIL(&guards, guard, entry);
	}
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
