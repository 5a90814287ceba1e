/* BGP sessions: what the configuration wants, joined with what FRR says (BGP and BFD), by link.
 *
 * FRR is asked through the keeper, which runs vtysh: tens of milliseconds, asynchronous. One
 * question is under way at a time; who asks meanwhile shares its answer. After BGP_WAIT_S the
 * answer is what is known by then, with the error; callbacks that come later find their collection
 * finished and only drop it. FRR's JSON is from outside: every member may be missing or of another
 * type. */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include "frr.h"
#include "frr_policy.h"
#include "views.h"

#define WAITERS_MAX   256
#define BGP_RECENT_NS 1000000000ull

struct waiter {
	STAILQ_ENTRY(waiter) entry;
	void (*done)(const json_t *bgp, void *arg);
	void *arg;
};

struct collection {
	STAILQ_HEAD(, waiter) waiters;
	unsigned n_waiters;
	struct event *deadline;
	json_t *bgp, *bfd; /* FRR's answers */
	const char *error;
	unsigned outstanding; /* callbacks still to come */
	bool asking, finished;
};

static struct collection *current;
static json_t *recent; /* the last answer, for `status` of people who watch */
static uint64_t recent_ns;

/* ---- joining ---- */

static const char *str(const json_t *object, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : otherwise;
}

static json_int_t num(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const struct link *view_peer_link(const char *vrf, const struct ip_addr *peer)
{
	const struct link *subnet = NULL;

	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		const struct cfg_link *cfg = l->cfg;

		if (!cfg || !l->vrf || strcmp(l->vrf->name, vrf))
			continue;
		if (frr_is_peer(cfg, peer))
			return l;
		for (unsigned i = 0; i < cfg->n_address; i++)
			if (ip_prefix_contains(&cfg->address[i], peer))
				subnet = l;
	}
	return subnet;
}

/* The session of a peer in `sessions`, an object keyed by VRF and address; made when it is not
 * there. */
static json_t *session_get(json_t *sessions, const char *vrf, const char *peer,
	const struct link *link, bool configured)
{
	char key[CFG_NAME_MAX + IP_STRLEN + 2];
	json_t *s;

	snprintf(key, sizeof(key), "%.15s %.60s", vrf, peer);
	s = json_object_get(sessions, key);
	if (s)
		return s;
	s = json_pack("{s:s, s:s, s:s?, s:s?, s:n, s:n, s:s, s:n, s:b, s:{}, s:n}", "vrf", vrf,
		"peer", peer, "link", link ? link->name : NULL, "zone",
		link && link->cfg && link->cfg->zone ? link->cfg->zone->name : NULL, "remote_as",
		"local_as", "state", "unknown", "since_s", "configured", configured, "families",
		"bfd");
	json_object_set_new(sessions, key, s);
	return s;
}

static void add_configured(json_t *sessions, const struct cfg_link *cfg,
	const struct cfg_bgp_peer *peer, const struct ip_addr *addr, const char *state)
{
	char text[IP_STRLEN];
	json_t *s;

	if (!peer->present || !addr->af)
		return;
	s = session_get(sessions, cfg->vrf->name, ip_addr_format(addr, text),
		link_by_name(cfg->name), true);
	json_object_set_new(s, "remote_as", json_integer(peer->asn));
	json_object_set_new(s, "local_as",
		json_integer(peer->local_as ? peer->local_as : control.running->gateway.asn));
	json_object_set_new(s, "state", json_string(state));
	if (peer->bfd.enabled)
		json_object_set_new(s, "bfd", json_pack("{s:s, s:n}", "status", state, "since_s"));
}

/* Prefixes against their limits; waiting: for room within max_out. */
static json_t *family_pack(const struct link *link, const char *family, const json_t *p)
{
	bool v6 = !strcmp(family, "ipv6");
	const struct cfg_bgp_peer *peer = link && link->cfg ? frr_peer(link->cfg, v6) : NULL;
	json_t *o = json_pack("{s:I, s:I, s:n, s:n, s:i}", "received", num(p, "pfxRcd"), "sent",
		num(p, "pfxSnt"), "max_in", "max_out", "waiting",
		link ? (int)frr_guard_waiting(link->name, v6) : 0);

	if (peer && peer->max_in)
		json_object_set_new(o, "max_in", json_integer(peer->max_in));
	if (peer && peer->max_out)
		json_object_set_new(o, "max_out", json_integer(peer->max_out));
	return o;
}

static void add_peer(
	json_t *sessions, const char *vrf, const char *family, const char *peer, const json_t *p)
{
	const struct link *link;
	struct ip_addr addr;
	json_t *s;

	if (ip_addr_parse(peer, &addr))
		return;
	link = view_peer_link(vrf, &addr);
	s = session_get(sessions, vrf, peer, link, false);
	json_object_set_new(s, "remote_as", json_integer(num(p, "remoteAs")));
	json_object_set_new(s, "local_as", json_integer(num(p, "localAs")));
	json_object_set_new(s, "state", json_string(str(p, "state", "unknown")));
	json_object_set_new(s, "since_s",
		num(p, "peerUptimeMsec") ? json_integer(num(p, "peerUptimeMsec") / 1000)
					 : json_null());
	json_object_set_new(json_object_get(s, "families"), family, family_pack(link, family, p));
}

static void add_bgp(json_t *sessions, json_t *bgp)
{
	static const char *const families[][2] = { { "ipv4Unicast", "ipv4" },
		{ "ipv6Unicast", "ipv6" } };
	const char *vrf, *peer;
	json_t *instance, *p;

	json_object_foreach(bgp, vrf, instance)
		for (int f = 0; f < 2; f++) {
			json_t *peers =
				json_object_get(json_object_get(instance, families[f][0]), "peers");

			json_object_foreach(peers, peer, p)
				add_peer(sessions, vrf, families[f][1], peer, p);
		}
}

static void add_bfd(json_t *sessions, json_t *bfd)
{
	json_t *p, *s;
	size_t i;

	json_array_foreach(bfd, i, p) {
		const char *status = str(p, "status", "unknown");
		const char *since = strcmp(status, "up") ? "downtime" : "uptime";
		char key[CFG_NAME_MAX + IP_STRLEN + 2];

		snprintf(key, sizeof(key), "%.15s %.60s", str(p, "vrf", "default"),
			str(p, "peer", ""));
		s = json_object_get(sessions, key);
		if (s)
			json_object_set_new(s, "bfd",
				json_pack(
					"{s:s, s:I}", "status", status, "since_s", num(p, since)));
	}
}

static json_t *join(const struct collection *c)
{
	json_t *sessions = json_object(), *list = json_array(), *s;
	const struct config *config = control.running;
	const char *key;

	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *l = &config->links[i];
		const char *state = l->shut ? "shut" : c->bgp ? "not in FRR" : "unknown";

		if (!l->bgp.present)
			continue;
		add_configured(sessions, l, &l->bgp.v4, &l->bgp.v4.peer, state);
		add_configured(sessions, l, &l->bgp.v4, &l->bgp.v4.second, state);
		add_configured(sessions, l, &l->bgp.v6, &l->bgp.v6.peer, state);
		add_configured(sessions, l, &l->bgp.v6, &l->bgp.v6.second, state);
	}
	add_bgp(sessions, c->bgp);
	add_bfd(sessions, c->bfd);
	json_object_foreach(sessions, key, s)
		json_array_append(list, s);
	json_decref(sessions);
	return json_pack("{s:o, s:s?}", "sessions", list, "error", c->bgp ? NULL : c->error);
}

/* ---- asking ---- */

static void collection_release(struct collection *c)
{
	if (!c->finished || c->outstanding)
		return;
	json_decref(c->bgp);
	json_decref(c->bfd);
	free(c);
}

static void collection_finish(struct collection *c)
{
	struct waiter *w;
	json_t *bgp = join(c);

	json_decref(recent);
	recent = json_incref(bgp);
	recent_ns = now_ns();
	current = NULL;
	c->finished = true;
	if (c->deadline)
		event_free(c->deadline);
	c->deadline = NULL;
	while ((w = STAILQ_FIRST(&c->waiters))) {
		STAILQ_REMOVE_HEAD(&c->waiters, entry);
		w->done(bgp, w->arg);
		free(w);
	}
	json_decref(bgp);
	collection_release(c);
}

static void answered(struct collection *c, json_t **place, const json_t *json)
{
	c->outstanding--;
	if (c->finished) {
		collection_release(c);
		return;
	}
	if (json)
		*place = json_incref((json_t *)(uintptr_t)json);
	if (!c->outstanding && !c->asking)
		collection_finish(c);
}

static void on_bgp(const json_t *json, void *arg)
{
	struct collection *c = arg;

	if (!json)
		c->error = "FRR did not answer: `systemctl status frr`, `lintasctl events`";
	answered(c, &c->bgp, json);
}

static void on_bfd(const json_t *json, void *arg)
{
	struct collection *c = arg;

	answered(c, &c->bfd, json);
}

/* Returns how long to wait: not at all when everything is known or nothing can be asked. The answer
 * is given from the event loop in either case. */
static const struct timeval *ask(struct collection *c)
{
	static const struct timeval at_once = { 0, 0 }, wait = { BGP_WAIT_S, 0 };

	c->asking = true; /* an answer that comes within the call does not finish it yet */
	c->outstanding = 2;
	if (frr_show_bgp(on_bgp, c)) {
		c->outstanding--;
		c->error = "FRR cannot be asked: lintas-keeper is not connected";
	}
	if (frr_show_bfd(on_bfd, c))
		c->outstanding--;
	c->asking = false;
	return c->outstanding ? &wait : &at_once;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct collection *c = arg;

	(void)fd, (void)what;
	if (c->outstanding)
		c->error = "FRR did not answer in time: `systemctl status frr`, `lintasctl events`";
	collection_finish(c);
}

int view_bgp_collect(void (*done)(const json_t *bgp, void *arg), void *arg)
{
	struct waiter *w;

	if (current && current->n_waiters >= WAITERS_MAX)
		return -1;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -1;
	w->done = done;
	w->arg = arg;
	if (!current) {
		struct collection *c = calloc(1, sizeof(*c));

		if (!c || !(c->deadline = evtimer_new(control.base, on_deadline, c))) {
			free(c);
			free(w);
			return -1;
		}
		STAILQ_INIT(&c->waiters);
		current = c;
		evtimer_add(c->deadline, ask(c));
	}
	STAILQ_INSERT_TAIL(&current->waiters, w, entry);
	current->n_waiters++;
	return 0;
}

const json_t *view_bgp_recent(void)
{
	return recent && now_ns() - recent_ns < BGP_RECENT_NS ? recent : NULL;
}

static void reply_sessions(const json_t *bgp, void *arg)
{
	const char *error = json_string_value(json_object_get(bgp, "error"));

	if (error && !json_array_size(json_object_get(bgp, "sessions")))
		api_fail(arg, "%s", error);
	else
		api_reply(arg, json_incref((json_t *)(uintptr_t)bgp));
}

void view_bgp_show(struct api_request *request, const json_t *args)
{
	if (!view_args(request, args, NULL, 0))
		return;
	if (view_bgp_collect(reply_sessions, request))
		api_fail(request, "too many questions to FRR at once: try again");
}
