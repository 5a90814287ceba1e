/* BGP and BFD sessions that come and go, as events.
 *
 * FRR tells nobody by itself, so it is asked every LOOK_S, by way of the keeper, and what differs
 * from the last look becomes an event of the session's link. Only up and not up count: a session
 * that tries goes through Active and Connect for ever. One that was lost and is back before the
 * next look is known by its age. While FRR does not answer nothing is said here: frr_sync.c says
 * that. Looks are compared in a helper thread, because a thousand sessions are long. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bfd.h"
#include "frr.h"
#include "views.h"

#define LOOK_S	5
#define SLACK_S 2 /* FRR counts whole seconds, and answers a moment later */

static struct {
	struct event *timer;
	unsigned outstanding; /* answers still to come */
	bool comparing;	      /* the helper thread's: everything below */
	json_int_t at_s;      /* when it was asked */
	json_t *bgp, *bfd;    /* FRR's answers */
	json_t *known;	      /* the last look: {"BGP prod 10.0.0.1": session}; NULL: none yet */
	json_t *changes;      /* sessions, with "change" */
	bool first;
} look;

/* ---- comparing: pure ---- */

static void session_add(json_t *sessions, const char *kind, const char *vrf, const char *peer,
	const char *state, bool up, json_int_t age_s)
{
	char key[128];

	snprintf(key, sizeof(key), "%s %.40s %.60s", kind, vrf, peer);
	if (!json_object_get(sessions, key)) /* of either family: they share the session */
		json_object_set_new(sessions, key,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I}", "kind", kind, "vrf", vrf,
				"peer", peer, "state", state, "up", up, "age_s", age_s, "began_s",
				look.at_s - age_s));
}

static const char *text_of(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : otherwise;
}

static void add_bgp(json_t *sessions)
{
	static const char *const families[] = { "ipv4Unicast", "ipv6Unicast" };
	const char *vrf, *peer;
	json_t *instance, *p;

	json_object_foreach(look.bgp, vrf, instance)
		for (int f = 0; f < 2; f++) {
			json_t *peers =
				json_object_get(json_object_get(instance, families[f]), "peers");

			json_object_foreach(peers, peer, p) {
				const char *state = text_of(p, "state", "unknown");

				session_add(sessions, "BGP", vrf, peer, state,
					!strcmp(state, "Established"),
					json_integer_value(json_object_get(p, "peerUptimeMsec")) /
						1000);
			}
		}
}

static void add_bfd(json_t *sessions)
{
	json_t *p;
	size_t i;

	json_array_foreach(look.bfd, i, p) {
		const char *status = text_of(p, "status", "unknown");
		bool up = !strcmp(status, "up");

		session_add(sessions, "BFD", text_of(p, "vrf", "default"), text_of(p, "peer", "?"),
			status, up,
			json_integer_value(json_object_get(p, up ? "uptime" : "downtime")));
	}
}

/* No answer: as before. */
static void keep_bfd(json_t *sessions)
{
	const char *key;
	json_t *session;

	json_object_foreach(look.known, key, session)
		if (!strncmp(key, "BFD ", 4))
			json_object_set(sessions, key, session);
}

static json_int_t began(const json_t *session)
{
	return json_integer_value(json_object_get(session, "began_s"));
}

static void change_add(json_t *session, const char *change)
{
	json_t *copy = json_copy(session);

	json_object_set_new(copy, "change", json_string(change));
	json_array_append_new(look.changes, copy);
}

static void compare(void *arg)
{
	json_t *now = json_object(), *session, *before;
	const char *key;

	(void)arg;
	add_bgp(now);
	if (look.bfd)
		add_bfd(now);
	else
		keep_bfd(now);
	look.changes = json_array();
	look.first = !look.known;
	json_object_foreach(now, key, session) {
		bool up = json_is_true(json_object_get(session, "up"));
		bool was = (before = json_object_get(look.known, key)) &&
			   json_is_true(json_object_get(before, "up"));

		if (look.known && up != was)
			change_add(session, up ? "up" : "down");
		else if (up && was && began(session) > began(before) + SLACK_S)
			change_add(session, "again");
	}
	json_object_foreach(look.known, key, before)
		if (json_is_true(json_object_get(before, "up")) && !json_object_get(now, key))
			change_add(before, "gone");
	json_decref(look.known);
	look.known = now;
}

/* ---- telling ---- */

static void tell(const json_t *session)
{
	const char *change = text_of(session, "change", ""), *kind = text_of(session, "kind", ""),
		   *peer = text_of(session, "peer", ""), *vrf = text_of(session, "vrf", ""),
		   *state = text_of(session, "state", "");
	long long age = json_integer_value(json_object_get(session, "age_s"));
	struct ip_addr addr;
	const struct link *link = ip_addr_parse(peer, &addr) ? NULL : view_peer_link(vrf, &addr);
	const char *subject = link ? link->name : vrf;

	if (link && !strcmp(kind, "BFD") && bfd_sessions_has(link, &addr))
		return; /* bfd_sessions.c said so when it happened */
	if (!strcmp(change, "up"))
		log_event(
			LOG_LVL_NOTICE, subject, "%s with %s is up, since %llds", kind, peer, age);
	else if (!strcmp(change, "again"))
		log_event(LOG_LVL_WARN, subject, "%s with %s was lost and is up again, since %llds",
			kind, peer, age);
	else if (!strcmp(change, "gone"))
		log_event(LOG_LVL_WARN, subject, "%s with %s was up and is not in FRR any more",
			kind, peer);
	else
		log_event(LOG_LVL_WARN, subject, "%s with %s is down (%s), since %llds", kind, peer,
			state, age);
}

/* Where it starts from: the first look has nothing to compare with. */
static void tell_first(void)
{
	unsigned n[2] = { 0 }, up[2] = { 0 };
	const char *key;
	json_t *session;

	json_object_foreach(look.known, key, session) {
		bool bfd = !strncmp(key, "BFD ", 4);

		n[bfd]++;
		up[bfd] += json_is_true(json_object_get(session, "up"));
	}
	log_event(LOG_LVL_INFO, "frr", "%u of %u BGP sessions are up, %u of %u of BFD", up[0], n[0],
		up[1], n[1]);
}

static void compared(void *arg)
{
	json_t *session;
	size_t i;

	(void)arg;
	look.comparing = false;
	json_array_foreach(look.changes, i, session)
		tell(session);
	if (look.first)
		tell_first();
	json_decref(look.changes);
	json_decref(look.bgp);
	json_decref(look.bfd);
	look.changes = look.bgp = look.bfd = NULL;
}

/* ---- looking ---- */

static void answered(json_t **place, const json_t *json)
{
	*place = json_incref((json_t *)(uintptr_t)json);
	if (--look.outstanding)
		return;
	/* Without BGP's answer nobody can say that a session is gone. */
	look.comparing = look.bgp && !control_offload(compare, compared, NULL);
	if (look.comparing)
		return;
	json_decref(look.bgp);
	json_decref(look.bfd);
	look.bgp = look.bfd = NULL;
}

static void on_bgp(const json_t *json, void *arg)
{
	(void)arg;
	answered(&look.bgp, json);
}

static void on_bfd(const json_t *json, void *arg)
{
	(void)arg;
	answered(&look.bfd, json);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	if (look.outstanding || look.comparing || !view_bgp_wanted())
		return;
	look.outstanding = 2;
	look.at_s = (json_int_t)(now_ns() / 1000000000u);
	if (frr_show_bgp(on_bgp, NULL))
		answered(&look.bgp, NULL);
	if (frr_show_bfd(on_bfd, NULL))
		answered(&look.bfd, NULL);
}

int view_sessions_start(void)
{
	static const struct timeval period = { LOOK_S, 0 };

	look.timer = event_new(control.base, -1, EV_PERSIST, on_timer, NULL);
	if (!look.timer)
		return -ENOMEM;
	event_priority_set(look.timer, event_base_get_npriorities(control.base) - 1);
	return event_add(look.timer, &period) ? -ENOMEM : 0;
}

void view_sessions_stop(void)
{
	if (look.timer)
		event_free(look.timer);
	look.timer = NULL;
	if (look.comparing)
		return; /* the thread reads it still; it goes with the process */
	json_decref(look.known);
	look.known = NULL;
}
