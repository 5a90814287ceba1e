/* link diagnose: a link's layers in the order they are built on each other, and the first that
 * fails: what was seen, and whose turn it is.
 *
 * One diagnosis of a link runs at a time; whoever asks meanwhile gets its answer. Each family is a
 * lane of its own, and a lane goes through a table of steps: a step asks the keeper for sockets
 * inside the VRF, sends when they come, and says what it saw when its time is over. FRR and the
 * transceiver are asked at the start and answer whenever they do. Everything happens in callbacks
 * of the event loop that never wait, and DEADLINE_S ends it in any case. Nothing here changes
 * anything: probes go to the peer only, and a session that is established is not disturbed. A
 * reload in between ends it, because what it was about may have changed. */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include "diagnose.h"
#include "frr.h"
#include "heard.h"
#include "views.h"

#define DEADLINE_S    13
#define DIAGNOSES_MAX 8 /* at once */

static TAILQ_HEAD(diag_runs, diag_run) runs = TAILQ_HEAD_INITIALIZER(runs);
static unsigned n_runs;

/* What ends a lane when it fails: what comes after it stands on it. */
static const struct step {
	void (*start)(struct diag_lane *lane);
	uint8_t layer, also; /* either: as md5 beside tcp179 */
	bool fatal;
} steps[] = {
	{ diag_neigh_start, DIAG_NEIGH, DIAG_NEIGH, true },
	{ diag_mtu_start, DIAG_MTU, DIAG_MTU, false },
	{ diag_tcp_start, DIAG_TCP, DIAG_MD5, true },
	{ diag_received_start, DIAG_PREFIXES, DIAG_PREFIXES, false },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- for the steps: words ---- */
void diag_say(struct diag_layer *layer, enum diag_state state, const char *fmt, ...)
{
	va_list ap;

	layer->state = (uint8_t)state;
	va_start(ap, fmt);
	vsnprintf(layer->text, sizeof(layer->text), fmt, ap);
	va_end(ap);
}

void diag_turn(struct diag_layer *layer, enum diag_turn turn, const char *fmt, ...)
{
	va_list ap;

	layer->turn = (uint8_t)turn;
	va_start(ap, fmt);
	vsnprintf(layer->todo, sizeof(layer->todo), fmt, ap);
	va_end(ap);
}

const char *diag_where(const struct cfg_source *src, char buf[96])
{
	const char *slash = src->file ? strrchr(src->file, '/') : NULL;

	snprintf(buf, 96, "%.80s:%u",
		slash	    ? slash + 1
		: src->file ? src->file
			    : "lintas.conf",
		src->line);
	return buf;
}

const char *diag_provider(const struct diag *d)
{
	const struct cfg_zone *zone = d->cfg->zone;

	return zone ? zone->name : "whoever carries it";
}

static void id_add(char buf[256], const char *what, const char *id)
{
	size_t len = strlen(buf);

	if (id && *id)
		snprintf(buf + len, 256 - len, "%s%s %.60s", len ? ", " : "", what, id);
}

const char *diag_ids(const struct diag *d, char buf[256])
{
	const struct cfg_circuit *circuit = d->cfg->circuit;
	const struct cfg_zone *zone = d->cfg->zone;

	buf[0] = '\0';
	id_add(buf, "circuit", circuit ? circuit->id : NULL);
	id_add(buf, "cross connect", circuit ? circuit->xconnect : NULL);
	id_add(buf, "id", d->cfg->id);
	id_add(buf, "account", zone ? zone->account : NULL);
	id_add(buf, "NOC", zone ? zone->noc : NULL);
	if (!buf[0])
		snprintf(buf, 256, "no circuit id is configured");
	return buf;
}

socklen_t diag_sockaddr(const struct diag_lane *lane, const struct ip_addr *addr, uint16_t port,
	struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ret_addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_addr;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (addr->af != AF_INET6) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, addr->bytes, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, addr->bytes, 16);
	if (ip_addr_is_link_local(addr))
		six->sin6_scope_id = (uint32_t)lane->d->link->ifindex;
	return sizeof(*six);
}

/* ---- the answer ---- */
static const char *const state_names[] = { "skipped", "ok", "FAIL", "unknown" };
static const char *const turn_names[] = { NULL, "ours", "provider", "colo" };
static const char *const common_names[] = { "link", "light", "ike", "sa", "carrier", "tag" };
static const char *const family_names[] = { "arp", "mtu", "tcp179", "md5", "bgp", "bfd", "prefixes",
	"probe" };

static const char *family_name(uint8_t af, unsigned layer)
{
	return layer == DIAG_NEIGH && af == AF_INET6 ? "nd" : family_names[layer];
}

static json_t *layer_json(const struct diag_layer *l, const char *name, uint8_t af)
{
	json_t *family = af == AF_INET	  ? json_string("ipv4")
			 : af == AF_INET6 ? json_string("ipv6")
					  : json_null();

	return json_pack("{s:s, s:o, s:s, s:s, s:s?, s:s?}", "layer", name, "family", family,
		"state", state_names[l->state], "text", l->text, "turn",
		l->state == DIAG_FAIL ? turn_names[l->turn] : NULL, "todo",
		l->state == DIAG_FAIL ? l->todo : NULL);
}

static void verdict_take(json_t **verdict, const json_t *layer)
{
	if (!*verdict && !strcmp(json_string_value(json_object_get(layer, "state")), "FAIL"))
		*verdict = json_deep_copy(layer);
}

static json_t *answer(struct diag *d)
{
	json_t *layers = json_array(), *verdict = NULL, *layer;
	const struct cfg_circuit *circuit = d->cfg->circuit;
	const struct cfg_zone *zone = d->cfg->zone;

	for (unsigned i = 0; i < DIAG_COMMON; i++) {
		layer = layer_json(&d->common[i], common_names[i], 0);
		verdict_take(&verdict, layer);
		json_array_append_new(layers, layer);
	}
	for (unsigned f = 0; f < 2; f++)
		for (unsigned i = 0; d->lanes[f].present && i < DIAG_FAMILY; i++) {
			uint8_t af = d->lanes[f].af;

			layer = layer_json(&d->lanes[f].layers[i], family_name(af, i), af);
			verdict_take(&verdict, layer);
			json_array_append_new(layers, layer);
		}
	return json_pack("{s:s, s:s, s:s?, s:b, s:s?, s:s?, s:s?, s:s?, s:f, s:o, s:o}", "link",
		d->name, "vrf", d->cfg->vrf->name, "zone", zone ? zone->name : NULL, "partner",
		zone && zone->partner, "circuit", circuit ? circuit->id : NULL, "cross_connect",
		circuit ? circuit->xconnect : NULL, "id", d->cfg->id, "noc",
		zone ? zone->noc : NULL, "seconds", (double)(now_ns() - d->start_ns) / 1e9,
		"layers", layers, "verdict", verdict ? verdict : json_null());
}

/* ---- the end ---- */
static void io_close(struct diag_lane *lane)
{
	for (unsigned i = 0; i < lane->n_io; i++) {
		event_free(lane->io[i].event);
		close(lane->io[i].fd);
	}
	lane->n_io = 0;
}

void diag_release(struct diag_run *run)
{
	if (!run->finished || run->outstanding)
		return;
	json_decref(run->d.bfd);
	json_decref(run->d.lanes[0].peer_json);
	json_decref(run->d.lanes[1].peer_json);
	free(run);
}

/* error: why there is no answer; NULL: there is one. */
static void finish(struct diag_run *run, const char *error)
{
	json_t *data = error ? NULL : answer(&run->d);

	for (unsigned i = 0; i < run->n_waiters; i++) {
		if (error)
			api_fail(run->waiters[i], "%s", error);
		else
			api_reply(run->waiters[i], json_incref(data));
	}
	json_decref(data);
	for (unsigned f = 0; f < 2; f++) {
		io_close(&run->d.lanes[f]);
		event_free(run->d.lanes[f].timer);
	}
	event_free(run->deadline);
	event_free(run->again);
	TAILQ_REMOVE(&runs, run, entry);
	n_runs--;
	run->finished = true;
	diag_release(run);
}

/* Has the world changed under it? Then it is over, and true. */
bool diag_stale(struct diag_run *run)
{
	if (run->d.generation == control.generation && run->d.link == link_by_name(run->d.name))
		return false;
	finish(run, "the configuration was reloaded meanwhile: ask again");
	return true;
}

static void layers_end(struct diag_layer *layers, unsigned n, bool late)
{
	for (unsigned i = 0; i < n; i++)
		if (!layers[i].text[0])
			diag_say(&layers[i], late ? DIAG_UNKNOWN : DIAG_SKIPPED, "%s",
				late ? "no time was left for it" : "what it stands on fails");
}

static bool lane_failed(const struct diag_lane *lane)
{
	for (unsigned i = 0; i < STEPS; i++)
		if (steps[i].fatal && (lane->layers[steps[i].layer].state == DIAG_FAIL ||
					      lane->layers[steps[i].also].state == DIAG_FAIL))
			return true;
	return false;
}

/* Can packets leave at all? Otherwise nobody is asked anything. */
static bool is_sound(const struct diag *d)
{
	return d->common[DIAG_LINK].state == DIAG_OK && d->common[DIAG_SA].state != DIAG_FAIL &&
	       d->common[DIAG_CARRIER].state != DIAG_FAIL;
}

/* Everything that had to be asked has been, or the time is over. */
static void conclude(struct diag_run *run, bool late)
{
	struct diag *d = &run->d;
	bool asked = is_sound(d);

	diag_light(d);
	if (asked)
		diag_tags(d);
	for (unsigned f = 0; f < 2; f++) {
		struct diag_lane *lane = &d->lanes[f];

		if (lane->present && asked && !lane_failed(lane) && lane->ended)
			diag_bgp(lane);
		if (lane->present && asked)
			diag_probe(lane);
		layers_end(lane->layers, DIAG_FAMILY, late && !lane->ended);
	}
	layers_end(d->common, DIAG_COMMON, late);
	finish(run, NULL);
}

void diag_settle(struct diag_run *run)
{
	struct diag *d = &run->d;

	if (!d->lanes[0].ended || !d->lanes[1].ended || d->optics_asking || d->bfd_asking)
		return;
	conclude(run, false);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct diag_run *run = arg;

	(void)fd, (void)what;
	if (!diag_stale(run))
		conclude(run, true);
}

/* ---- lanes ---- */
static void lane_end(struct diag_lane *lane)
{
	lane->ended = true;
	diag_settle(diag_run(lane->d));
}

static void on_step(struct diag_lane *lane)
{
	if (lane->step == STEPS || lane_failed(lane))
		return lane_end(lane);
	steps[lane->step++].start(lane);
}

void diag_step_done(struct diag_lane *lane)
{
	io_close(lane);
	lane->on_timer = on_step;
	diag_timer(lane, 0); /* in a turn of its own */
}

static void on_lane_timer(evutil_socket_t fd, short what, void *arg)
{
	struct diag_lane *lane = arg;

	(void)fd, (void)what;
	if (!diag_stale(diag_run(lane->d)))
		lane->on_timer(lane);
}

static void on_lane_io(evutil_socket_t fd, short what, void *arg)
{
	struct diag_io *io = arg;
	struct diag_lane *lane = io->lane;

	(void)fd, (void)what;
	if (!diag_stale(diag_run(lane->d)))
		lane->on_io(lane, (unsigned)(io - lane->io));
}

void diag_timer(struct diag_lane *lane, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(lane->timer, &tv);
}

int diag_watch(struct diag_lane *lane, unsigned i, short what)
{
	lane->io[i].event = event_new(control.base, lane->io[i].fd, what, on_lane_io, &lane->io[i]);
	return lane->io[i].event && !event_add(lane->io[i].event, NULL) ? 0 : -ENOMEM;
}

/* Whom the link looks for in this family: its BGP peer, else the gateway of its static routes. */
static void lane_init(struct diag *d, struct diag_lane *lane, uint8_t af)
{
	const struct cfg_link *cfg = d->cfg;
	const struct cfg_bgp_peer *bgp = af == AF_INET ? &cfg->bgp.v4 : &cfg->bgp.v6;
	unsigned f = af == AF_INET6;

	lane->d = d;
	lane->af = af;
	lane->bgp = cfg->bgp.present && bgp->present ? bgp : NULL;
	lane->peer = lane->bgp		     ? bgp->peer
		     : cfg->static_via[f].af ? cfg->static_via[f]
					     : cfg->gateway[f];
	lane->present = lane->peer.af != 0;
	for (unsigned i = 0; lane->present && i < cfg->n_address; i++)
		if (ip_prefix_contains(&cfg->address[i], &lane->peer)) {
			lane->own = ip_prefix_addr(&cfg->address[i]);
			lane->on_link = true;
		}
}

/* ---- the start ---- */
static int events_make(struct diag_run *run)
{
	run->deadline = evtimer_new(control.base, on_deadline, run);
	run->again = evtimer_new(control.base, diag_on_again, run);
	for (unsigned f = 0; f < 2; f++)
		run->d.lanes[f].timer = evtimer_new(control.base, on_lane_timer, &run->d.lanes[f]);
	if (run->deadline && run->again && run->d.lanes[0].timer && run->d.lanes[1].timer)
		return 0;
	event_free(run->deadline);
	event_free(run->again);
	event_free(run->d.lanes[0].timer);
	event_free(run->d.lanes[1].timer);
	return -ENOMEM;
}

static void run_start(struct diag_run *run)
{
	const struct timeval deadline = { .tv_sec = DEADLINE_S };
	struct diag *d = &run->d;
	bool sound;

	evtimer_add(run->deadline, &deadline);
	d->rx_packets = dp_link_rx(d->link->id).packets;
	heard_age_ns(d->link); /* looked at now: what is silent from here on is known to be */
	d->tx_packets = dp_link_tx(d->link->id).packets;
	d->refused = dp_link_drop_count(d->link->id, DP_DROP_nd_bad);
	diag_ask_md5(run); /* answered before the sockets that come later */
	diag_link(d);
	sound = is_sound(d);
	diag_ask_optics(run);
	for (unsigned f = 0; f < 2; f++) {
		d->lanes[f].ended = !sound || !d->lanes[f].present;
		d->lanes[f].on_timer = d->lanes[f].ended ? lane_end : on_step;
		if (!d->lanes[f].ended || f == 1) /* the last one settles it when none has to run */
			diag_timer(&d->lanes[f], 0);
	}
	if (!sound || control.running->routing != CFG_ROUTING_FRR ||
		(!d->lanes[0].bgp && !d->lanes[1].bgp))
		return;
	diag_ask_frr(run);
	diag_ask_bfd(run);
}

static struct diag_run *run_new(const struct link *link)
{
	struct diag_run *run = calloc(1, sizeof(*run));

	if (!run || events_make(run)) {
		free(run);
		return NULL;
	}
	memcpy(run->d.name, link->name, sizeof(run->d.name));
	run->d.generation = control.generation;
	run->d.start_ns = now_ns();
	run->d.cfg = config_link(control.running, link->name);
	run->d.link = link;
	lane_init(&run->d, &run->d.lanes[0], AF_INET);
	lane_init(&run->d, &run->d.lanes[1], AF_INET6);
	TAILQ_INSERT_TAIL(&runs, run, entry);
	n_runs++;
	return run;
}

void view_link_diagnose(struct api_request *request, const json_t *args)
{
	struct link *link = NULL;
	const struct view_arg table[] = {
		{ .name = "name", .type = VIEW_LINK, .out = &link, .required = true }
	};
	struct diag_run *run;
	bool new;

	if (!VIEW_ARGS(request, args, table))
		return;
	if (!config_link(control.running, link->name))
		return api_fail(request, "link %s is about to leave", link->name);
	TAILQ_FOREACH(run, &runs, entry)
		if (!strcmp(run->d.name, link->name) && run->d.generation == control.generation)
			break;
	if (!run && n_runs == DIAGNOSES_MAX)
		return api_fail(request, "%u diagnoses run already: try again in %u s",
			DIAGNOSES_MAX, DEADLINE_S);
	new = !run;
	if (new && !(run = run_new(link)))
		return api_fail(request, "lintasd: out of memory");
	if (run->n_waiters == DIAG_WAITERS_MAX)
		return api_fail(request, "%u wait for this diagnosis already", DIAG_WAITERS_MAX);
	run->waiters[run->n_waiters++] = request;
	if (new)
		run_start(run);
}

/* The daemon's end: clients are going too. */
void view_diagnose_stop(void)
{
	struct diag_run *run;

	while ((run = TAILQ_FIRST(&runs)))
		finish(run, "lintasd is stopping");
}
