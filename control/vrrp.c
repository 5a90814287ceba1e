/* VRRP (RFC 9568): addresses that this gateway shares with others, for neighbours without BGP.
 *
 * Each link has at most one virtual router a family. vrrp_machine.c decides; this file brings it
 * frames and time and does what it says: addresses come and go in the kernel, and with them in
 * mirror and fast path; the fast path is told whose virtual MAC is ours (control_publish, once a
 * turn of the loop); advertisements and announcements leave by a packet socket on the link's TAP,
 * from the virtual MAC; the keeper has tied it to the link and filters what comes. The first three
 * advertisements of a new active router announce the addresses again, for a bridge may have lost
 * one.
 *
 * lintasd dies: nobody advertises, no packet reaches the TAP that the keeper holds, the others take
 * over; whoever starts next removes the addresses before the fast path has the link, and comes back
 * as backup. Ends in order: priority 0, and the others take over at once. Control thread only. */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "keeper.h"
#include "mirror.h"
#include "vrrp.h"

#define FRAMES_STEP 16 /* a callback */
#define ANNOUNCES   3
#define END_MS	    50 /* how long the last words may take to leave */
#define RETRY_MS    1000

struct side {
	struct link *link;
	int fd;
	uint8_t vrid;
	struct event *readable, *due[2];
	struct vrrp_router router[2];
	unsigned announce[2]; /* so many advertisements shall still announce the addresses */
};

static struct side *sides[DP_LINKS_MAX];
static struct event *publish, *retry;

static struct ip_prefix host(const struct ip_addr *addr)
{
	struct ip_prefix prefix = { .af = addr->af, .len = (uint8_t)ip_bits(addr->af) };

	memcpy(prefix.bytes, addr->bytes, sizeof(prefix.bytes));
	return prefix;
}

static char digit(const struct vrrp_router *r)
{
	return r->af == AF_INET6 ? '6' : '4';
}

/* ---- the fast path ---- */
static void on_publish(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	control_publish();
}

static void publish_soon(void)
{
	const struct timeval now = { 0 };

	if (!publish)
		publish = event_new(control.base, -1, 0, on_publish, NULL);
	if (!publish || event_add(publish, &now))
		log_event(LOG_LVL_ERR, NULL, "VRRP: the fast path is not told: out of memory");
}

void vrrp_shape(const struct link *link, struct dp_link *shape)
{
	const struct side *side = sides[link->id];

	if (!side)
		return;
	shape->vrid = side->vrid;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct vrrp_router *r = &side->router[v6];

		shape->active[v6] = r->machine.state == VRRP_ACTIVE;
		for (unsigned i = 0; shape->active[v6] && i < r->n; i++)
			if (shape->n_virtual < DP_VIRTUAL_MAX)
				shape->virtual_addr[shape->n_virtual++] = r->address[i];
	}
}

/* ---- sending ---- */
static bool send_frame(struct side *side, const uint8_t *frame, size_t len)
{
	return send(side->fd, frame, len, MSG_DONTWAIT) == (ssize_t)len;
}

static void send_advert(struct side *side, struct vrrp_router *r, uint8_t priority)
{
	struct vrrp_advert a = {
		.af = r->af,
		.vrid = r->vrid,
		.priority = priority,
		.pseudo = r->pseudo,
		.interval_cs = r->machine.interval_cs,
		.source = r->own,
		.n = r->n,
	};
	uint8_t frame[VRRP_FRAME_MAX];

	memcpy(a.address, r->address, sizeof(a.address));
	if (!send_frame(side, frame, vrrp_build(&a, frame))) {
		log_event(LOG_LVL_WARN, side->link->name, "VRRP %u: advertisement not sent: %s",
			r->vrid, strerror(errno));
		return;
	}
	r->stats.out++;
	r->stats.zero_out += !priority;
}

static void announce(struct side *side, const struct vrrp_router *r)
{
	uint8_t frame[VRRP_FRAME_MAX];

	for (unsigned i = 0; i < r->n; i++)
		send_frame(side, frame, vrrp_announce(r->vrid, &r->address[i], &r->own, frame));
}

/* ---- what the machine says ---- */
static void addresses_set(struct side *side, const struct vrrp_router *r, bool ours)
{
	char text[IP_STRLEN];

	for (unsigned i = 0; i < r->n; i++) {
		struct ip_prefix prefix = host(&r->address[i]);
		int rc = ours ? kernel_addr_add(side->link->vrf, side->link->ifindex, &prefix)
			      : kernel_addr_del(side->link->vrf, side->link->ifindex, &prefix);

		if (rc && rc != (ours ? -EEXIST : -EADDRNOTAVAIL))
			log_event(LOG_LVL_ERR, side->link->name, "virtual address %s not %s: %s",
				ip_addr_format(&r->address[i], text), ours ? "set" : "removed",
				strerror(-rc));
	}
}

static void timer_set(struct side *side, unsigned v6)
{
	const struct vrrp_machine *m = &side->router[v6].machine;
	uint64_t now = now_ns(), wait = m->due_ns > now ? m->due_ns - now : 0;
	struct timeval tv = { (time_t)(wait / 1000000000), (suseconds_t)(wait / 1000 % 1000000) };

	if (!m->due_ns)
		event_del(side->due[v6]);
	else
		event_add(side->due[v6], &tv);
}

static void carry_out(struct side *side, unsigned v6, unsigned todo)
{
	struct vrrp_router *r = &side->router[v6];

	if (todo & VRRP_RESIGN)
		send_advert(side, r, 0);
	if (todo & VRRP_LEAVE)
		addresses_set(side, r, false);
	if (todo & VRRP_TAKE) {
		addresses_set(side, r, true);
		r->active = (struct ip_addr){ 0 };
		r->stats.taken++;
		side->announce[v6] = ANNOUNCES;
	}
	if (todo & (VRRP_TAKE | VRRP_LEAVE))
		publish_soon();
	if (todo & VRRP_SEND)
		send_advert(side, r, r->machine.priority);
	if (todo & VRRP_SEND && side->announce[v6]) {
		side->announce[v6]--;
		announce(side, r);
	}
	timer_set(side, v6);
}

static void told(struct side *side, unsigned v6, uint8_t before, const char *why)
{
	struct vrrp_router *r = &side->router[v6];
	bool worse = before == VRRP_ACTIVE || r->machine.state == VRRP_INITIALIZE;

	if (r->machine.state == before)
		return;
	r->since_ns = now_ns();
	log_event(worse ? LOG_LVL_WARN : LOG_LVL_NOTICE, side->link->name,
		"VRRP %u IPv%c: %s, was %s: %s", r->vrid, digit(r),
		vrrp_state_names[r->machine.state], vrrp_state_names[before], why);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct side *side = arg;

	(void)fd, (void)what;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct vrrp_router *r = &side->router[v6];
		uint8_t before = r->machine.state;
		unsigned todo = vrrp_due(&r->machine, now_ns());

		if (todo) {
			carry_out(side, v6, todo);
			told(side, v6, before, "nobody else says to be");
		} else if (r->machine.due_ns) {
			timer_set(side, v6); /* the other family's, or a moment early */
		}
	}
}

/* ---- receiving ---- */
static bool same_addresses(const struct vrrp_router *r, const struct vrrp_advert *a)
{
	unsigned found = 0;

	for (unsigned i = 0; a->n == r->n && i < r->n; i++)
		for (unsigned k = 0; k < r->n; k++)
			found += ip_addr_equal(&r->address[i], &a->address[k]);
	return found == r->n;
}

static void refused(struct side *side, struct vrrp_router *r, const struct vrrp_advert *a,
	enum vrrp_error error)
{
	char text[IP_STRLEN] = "-";

	r->stats.errors[error]++;
	if (a->source.af)
		ip_addr_format(&a->source, text);
	if (error == VRRP_OTHER_ADDRESSES || error == VRRP_OTHER_INTERVAL)
		log_event(LOG_LVL_WARN, side->link->name,
			"VRRP %u IPv%c: %s advertises other %s than are configured here", r->vrid,
			digit(r), text, vrrp_error_names[error]);
	else if (error != VRRP_BAD_VRID)
		log_event(LOG_LVL_WARN, side->link->name,
			"VRRP %u IPv%c: advertisement of %s refused: %s", r->vrid, digit(r), text,
			vrrp_error_names[error]);
}

static void heard(struct side *side, const uint8_t *frame, size_t len)
{
	struct vrrp_advert a;
	enum vrrp_error error = vrrp_parse(frame, len, &a);
	unsigned v6 = a.af == AF_INET6;
	struct vrrp_router *r = &side->router[v6];
	uint8_t before = r->machine.state;
	char text[IP_STRLEN], why[80];
	unsigned todo;

	if (!r->n)
		return; /* the family is not ours */
	if (!error && a.vrid != r->vrid)
		error = VRRP_BAD_VRID;
	if (!error && ip_addr_equal(&a.source, &r->own))
		error = VRRP_BAD_SOURCE;
	if (error) {
		refused(side, r, &a, error);
		return;
	}
	r->stats.in++;
	r->stats.zero_in += !a.priority;
	r->pseudo = a.pseudo;
	if (!same_addresses(r, &a))
		refused(side, r, &a, VRRP_OTHER_ADDRESSES);
	if (a.interval_cs != r->machine.interval_cs)
		refused(side, r, &a, VRRP_OTHER_INTERVAL);
	todo = vrrp_hear(&r->machine, &a, &r->own, now_ns());
	if (r->machine.state == VRRP_BACKUP) {
		r->active = a.source;
		r->active_priority = a.priority;
	}
	if (before == VRRP_INITIALIZE)
		return;
	carry_out(side, v6, todo);
	snprintf(why, sizeof(why), "%s has priority %u", ip_addr_format(&a.source, text),
		a.priority);
	told(side, v6, before, why);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint8_t frame[2048];

	(void)what;
	for (unsigned i = 0; i < FRAMES_STEP; i++) {
		ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

		if (n < 0)
			break;
		heard(arg, frame, (size_t)n);
	}
}

/* ---- coming and going ---- */
static void side_free(struct side *side)
{
	if (!side)
		return;
	event_free(side->readable);
	event_free(side->due[0]);
	event_free(side->due[1]);
	if (side->fd >= 0)
		close(side->fd);
	free(side);
}

/* The keeper may have been busy for longer than anybody waits. */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	vrrp_follow_all();
}

static void retry_later(void)
{
	const struct timeval later = { .tv_sec = RETRY_MS / 1000 };

	if (!retry)
		retry = event_new(control.base, -1, 0, on_retry, NULL);
	if (retry)
		event_add(retry, &later);
}

static struct side *side_new(struct link *link)
{
	struct side *side = calloc(1, sizeof(*side));
	int rc = -ENOMEM;

	if (!side)
		goto failed;
	side->link = link;
	side->vrid = link->cfg->vrrp.id;
	side->fd = -1;
	rc = keeper_socket(link->vrf->name, KEEPER_SOCKET_PACKET_VRRP, link->name, &side->fd);
	if (rc)
		goto failed;
	rc = -ENOMEM;
	side->readable = event_new(control.base, side->fd, EV_READ | EV_PERSIST, on_readable, side);
	for (unsigned v6 = 0; v6 < 2; v6++)
		side->due[v6] = event_new(control.base, -1, 0, on_due, side);
	if (!side->readable || !side->due[0] || !side->due[1] || event_add(side->readable, NULL))
		goto failed;
	event_priority_set(side->due[0], 0);
	event_priority_set(side->due[1], 0);
	return side;
failed:
	log_event(LOG_LVL_ERR, link->name, "VRRP does not run, and is tried again: %s",
		strerror(-rc));
	side_free(side);
	retry_later();
	return NULL;
}

/* What we send from: the first address, for IPv6 the link-local one that the kernel makes of the
 * MAC (RFC 4291 appendix A) if none is configured. */
static struct ip_addr own_address(const struct link *link, uint8_t af)
{
	const struct cfg_link *cfg = link->cfg;
	struct ip_addr addr;
	const uint8_t *m = link->mac;

	for (unsigned i = 0; i < cfg->n_address; i++) {
		addr = ip_prefix_addr(&cfg->address[i]);
		if (addr.af == af && (af == AF_INET || ip_addr_is_link_local(&addr)))
			return addr;
	}
	addr = (struct ip_addr){ .af = AF_INET6,
		.bytes = { 0xfe, 0x80, [8] = m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] } };
	return addr;
}

/* The addresses of a family, the link-local one first (RFC 9568 5.2.9). */
static unsigned addresses_of(const struct cfg_vrrp *cfg, uint8_t af, struct ip_addr *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cfg->address.n && n < VRRP_ADDRESSES_MAX; i++) {
		struct ip_addr addr = ip_prefix_addr(&cfg->address.items[i]);

		if (addr.af != af)
			continue;
		ret[n++] = addr;
		if (n > 1 && af == AF_INET6 && ip_addr_is_link_local(&addr)) {
			ret[n - 1] = ret[0];
			ret[0] = addr;
		}
	}
	return n;
}

static void router_follow(struct side *side, unsigned v6, bool run, const char *why)
{
	struct vrrp_router *r = &side->router[v6];
	uint8_t before = r->machine.state;
	unsigned todo;

	if (run && side->link->up && side->link->carrier && r->n)
		todo = vrrp_start(&r->machine, now_ns());
	else
		todo = vrrp_stop(&r->machine);
	carry_out(side, v6, todo);
	told(side, v6, before, why);
}

/* Addresses changed under an active router: old ones go, new ones come, nobody is asked. One
 * without any more resigns while it knows which they were. */
static void router_configure(struct side *side, unsigned v6)
{
	const struct cfg_vrrp *cfg = &side->link->cfg->vrrp;
	struct vrrp_router *r = &side->router[v6];
	struct ip_addr address[VRRP_ADDRESSES_MAX];
	struct vrrp_router next;
	bool active;

	if (r->n && !addresses_of(cfg, v6 ? AF_INET6 : AF_INET, address))
		router_follow(side, v6, false, "the configuration changed");
	active = r->machine.state == VRRP_ACTIVE;
	next = *r;
	next.af = v6 ? AF_INET6 : AF_INET;
	next.vrid = side->vrid;
	memset(next.address, 0, sizeof(next.address));
	next.n = (uint8_t)addresses_of(cfg, next.af, next.address);
	next.own = own_address(side->link, next.af);
	if (active && (next.n != r->n || memcmp(next.address, r->address, sizeof(r->address)))) {
		addresses_set(side, r, false);
		addresses_set(side, &next, true);
		side->announce[v6] = ANNOUNCES;
		publish_soon();
	}
	*r = next;
	vrrp_change(&r->machine, cfg->priority, cfg->preempt, cfg->interval_ms / 10, now_ns());
	timer_set(side, v6);
}

static void side_stop(struct side *side, const char *why)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		router_follow(side, v6, false, why);
}

void vrrp_follow(struct link *link)
{
	struct side *side = sides[link->id];
	const struct cfg_vrrp *cfg = &link->cfg->vrrp;
	const char *why = !link->up	   ? "the link is shut"
			  : !link->carrier ? "no carrier"
					   : "the link carries";

	if (side && (!cfg->present || cfg->id != side->vrid)) {
		side_stop(side, "the configuration changed");
		sides[link->id] = NULL;
		side_free(side);
		side = NULL;
		publish_soon();
	}
	if (!cfg->present || link->ifindex <= 0)
		return;
	if (!side) {
		side = sides[link->id] = side_new(link);
		if (!side)
			return;
		publish_soon();
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		router_configure(side, v6);
		router_follow(side, v6, true, why);
	}
}

void vrrp_follow_all(void)
{
	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (link->cfg && (link->cfg->vrrp.present || sides[link->id]))
			vrrp_follow(link);
}

void vrrp_disown(const struct link *link, const struct cfg_link *cfg)
{
	for (unsigned i = 0; i < cfg->vrrp.address.n; i++)
		kernel_addr_del(link->vrf, link->ifindex, &cfg->vrrp.address.items[i]);
}

bool vrrp_resign(struct link *link, const struct cfg_link *next)
{
	struct side *side = sides[link->id];
	bool active = false;

	if (!side || (next && !next->shut && next->vrrp.present && next->vrrp.id == side->vrid))
		return false;
	for (unsigned v6 = 0; v6 < 2; v6++)
		active |= side->router[v6].machine.state == VRRP_ACTIVE;
	side_stop(side, "the configuration changes");
	return active;
}

void vrrp_gone(struct link *link)
{
	side_free(sides[link->id]);
	sides[link->id] = NULL;
}

void vrrp_end(void)
{
	struct dp_punt_stats before = { 0 }, now = { 0 };
	const struct timespec moment = { .tv_nsec = 1000000 };
	uint64_t words = 0;

	dp_punt_stats(DP_PUNT_vrrp, &before);
	for (unsigned id = 0; id < DP_LINKS_MAX; id++) {
		struct side *side = sides[id];

		if (!side)
			continue;
		words += (side->router[0].machine.state == VRRP_ACTIVE) +
			 (side->router[1].machine.state == VRRP_ACTIVE);
		side_stop(side, "lintasd ends");
		sides[id] = NULL;
		side_free(side);
	}
	for (unsigned ms = 0; words && ms < END_MS; ms++) {
		dp_punt_stats(DP_PUNT_vrrp, &now);
		if (now.from_kernel >= before.from_kernel + words)
			ms = ms < END_MS - 5 ? END_MS - 5 : ms; /* from the ring to the wire */
		nanosleep(&moment, NULL);
	}
	event_free(publish);
	event_free(retry);
	publish = retry = NULL;
}

const struct vrrp_router *vrrp_router(const struct link *link, unsigned v6)
{
	const struct side *side = sides[link->id];

	return side && side->router[v6].n ? &side->router[v6] : NULL;
}
