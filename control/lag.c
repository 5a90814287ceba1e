/* The LAGs of the configuration: carries what members receive to the machines of lacp.c, and what
 * those decide to the fast path.
 *
 * One timer fires when the first machine of any LAG wants it. A member's carrier comes as an event;
 * the fast path has taken it out of the distribution by then, and waits for us to let it back in.
 * With lacp = "off" a member counts while it has carrier. Frames come already limited to 1,000 a
 * second and member; the number of bad ones is kept, not each logged. A LAG's shape changes with a
 * restart only, like any port's. Control thread. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "lag.h"

#define LEAVE_MS    10
#define FRAMES_STEP 64 /* frames a callback handles before others get their turn */

static struct lag lags[DP_PORTS_MAX];
static unsigned n_lags;
static struct event *timer, *frames;

const struct lag *lag_next(const struct lag *after)
{
	const struct lag *next = after ? after + 1 : lags;

	return next < lags + n_lags ? next : NULL;
}

const char *lag_why_not(const struct lag *lag, unsigned member)
{
	if (lag->mode != CFG_LACP_OFF)
		return lacp_why_not(&lag->lacp.member[member]);
	return lag->carrier[member] ? NULL : "no carrier";
}

static struct lag *lag_of(unsigned port)
{
	for (unsigned i = 0; i < n_lags; i++)
		if (lags[i].port == port)
			return &lags[i];
	return NULL;
}

/* ---- to the fast path ---- */
static void member_log(const struct lag *lag, unsigned i)
{
	bool now = lag->distributing >> i & 1;
	const char *why = lag_why_not(lag, i);

	if (now)
		log_event(LOG_LVL_NOTICE, lag->name, "member %u carries traffic", i + 1);
	else
		log_event(LOG_LVL_WARN, lag->name, "member %u carries no traffic any more: %s",
			i + 1, why ? why : "no carrier");
}

static void members_set(struct lag *lag, uint32_t collecting, uint32_t distributing)
{
	uint32_t changed = distributing ^ lag->distributing;
	int rc;

	if (collecting == lag->collecting && !changed)
		return;
	rc = dp_lag_set_members(lag->port, collecting, distributing);
	if (rc) {
		log_event(LOG_LVL_ERR, lag->name, "the fast path refuses its members: %s",
			strerror(-rc));
		return;
	}
	lag->collecting = collecting;
	lag->distributing = distributing;
	for (unsigned i = 0; i < lag->n; i++)
		if (changed >> i & 1)
			member_log(lag, i);
}

static uint64_t lag_run(struct lag *lag, uint64_t now)
{
	uint64_t at = UINT64_MAX;
	uint32_t up = 0;

	if (lag->mode != CFG_LACP_OFF) {
		at = lacp_run(&lag->lacp, now);
		members_set(lag, lacp_collecting(&lag->lacp), lacp_distributing(&lag->lacp));
		return at;
	}
	for (unsigned i = 0; i < lag->n; i++)
		up |= (uint32_t)lag->carrier[i] << i;
	members_set(lag, up, up);
	return at;
}

/* Every LAG; then the timer is set anew. */
static void run_all(void)
{
	uint64_t now = now_ns(), first = UINT64_MAX;
	struct timeval wait;

	for (unsigned i = 0; i < n_lags; i++) {
		uint64_t at = lag_run(&lags[i], now);

		if (at < first)
			first = at;
	}
	if (first == UINT64_MAX)
		return;
	first = first > now ? (first - now) / 1000 + 1 : 1000;
	wait = (struct timeval){ (time_t)(first / 1000000), (suseconds_t)(first % 1000000) };
	event_add(timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	run_all();
}

/* ---- frames ---- */
static void frame_send(const struct lag *lag, unsigned member, const uint8_t *frame)
{
	struct dp_slow slow = { .port = (uint16_t)lag->port, .member = (uint16_t)member };
	int rc;

	slow.len = LACP_FRAME_LEN;
	memcpy(slow.bytes, frame, LACP_FRAME_LEN);
	rc = dp_slow_send(&slow);
	if (rc && rc != -ENETDOWN)
		log_event(LOG_LVL_WARN, lag->name, "member %u: LACP not sent: %s", member + 1,
			strerror(-rc));
}

static void pdu_send(unsigned member, const struct lacp_pdu *pdu, void *arg)
{
	const struct lag *lag = arg;
	uint8_t frame[LACP_FRAME_LEN];

	lacp_build(pdu, lag->member_mac[member], frame);
	frame_send(lag, member, frame);
}

static void frame_take(struct lag *lag, const struct dp_slow *slow)
{
	uint8_t response[LACP_FRAME_LEN];
	unsigned i = slow->member;
	struct lacp_pdu pdu;
	const char *why;

	switch (lacp_parse(slow->bytes, slow->len, &pdu, &why)) {
	case LACP_PDU:
		lacp_receive(&lag->lacp, i, &pdu, now_ns());
		break;
	case LACP_MARKER:
		lag->markers[i]++;
		lacp_build_response(slow->bytes, lag->member_mac[i], response);
		frame_send(lag, i, response);
		break;
	case LACP_MARKER_RESPONSE: /* to nothing that we asked */
		break;
	default:
		if (!lag->rx_bad[i]++)
			log_event(LOG_LVL_WARN, lag->name,
				"member %u: malformed slow protocol frame ignored: %s (the next "
				"ones are counted: lintasctl lag show)",
				i + 1, why);
		lag->bad_why[i] = why;
	}
}

static void on_frames(evutil_socket_t fd, short what, void *arg)
{
	struct dp_slow slow;

	(void)fd, (void)what, (void)arg;
	for (unsigned n = 0; n < FRAMES_STEP && dp_slow_next(&slow); n++) {
		struct lag *lag = lag_of(slow.port);

		if (lag && slow.member < lag->n && lag->mode != CFG_LACP_OFF)
			frame_take(lag, &slow);
	}
	run_all();
}

static void member_enable(struct lag *lag, unsigned i, bool up)
{
	struct dp_port_info info;

	lag->carrier[i] = up;
	if (up && !dp_port_info(lag->member_port[i], &info))
		lag->lacp.member[i].speed = info.speed_mbps;
	lacp_enable(&lag->lacp, i, up);
}

void lag_member_carrier(unsigned port, unsigned member, bool up)
{
	struct lag *lag = lag_of(port);

	if (!lag || member >= lag->n || lag->carrier[member] == up)
		return;
	member_enable(lag, member, up);
	run_all();
}

/* ---- start and stop ---- */
static int lag_open(const struct cfg_port *cfg, unsigned port)
{
	struct lag *lag = &lags[n_lags];
	struct dp_port_info info;
	struct dp_lag_info dp;
	int rc = dp_lag_info(port, &dp);

	if (!rc)
		rc = dp_port_info(port, &info);
	if (rc)
		return rc;
	*lag = (struct lag){ .port = port, .n = dp.n_members, .mode = cfg->lacp };
	lag->min_links = dp.min_links;
	memcpy(lag->name, cfg->name, sizeof(lag->name));
	memcpy(lag->mac, info.mac, sizeof(lag->mac));
	lacp_init(&lag->lacp, lag->n, lag->mac, (uint16_t)(port + 1), cfg->lacp == CFG_LACP_FAST);
	lag->lacp.send = pdu_send;
	lag->lacp.arg = lag;
	for (unsigned i = 0; i < lag->n; i++) {
		rc = dp_port_info(dp.members[i].port, &info);
		if (rc)
			return rc;
		memcpy(lag->member_mac[i], info.mac, sizeof(info.mac));
		lag->member_port[i] = dp.members[i].port;
		member_enable(lag, i, info.up);
	}
	n_lags++;
	return 0;
}

int lag_start(const struct config *config)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < config->n_ports && i < DP_PORTS_MAX; i++)
		if (config->ports[i].lag.n)
			rc = lag_open(&config->ports[i], i);
	if (rc || !n_lags)
		return rc;
	timer = event_new(control.base, -1, 0, on_timer, NULL);
	frames = event_new(control.base, dp_slow_fd(), EV_READ | EV_PERSIST, on_frames, NULL);
	if (!timer || !frames || event_add(frames, NULL))
		return -ENOMEM;
	event_priority_set(timer, 0);
	event_priority_set(frames, 0);
	run_all();
	return 0;
}

/* Partners would send to us until they had missed three of our frames. */
void lag_leave(void)
{
	const struct timespec moment = { .tv_nsec = LEAVE_MS * 1000000 };
	bool said = false;

	for (unsigned i = 0; i < n_lags; i++) {
		if (lags[i].mode == CFG_LACP_OFF)
			continue;
		lacp_leave(&lags[i].lacp, now_ns());
		said = true;
	}
	if (said)
		nanosleep(&moment, NULL); /* a worker takes them to the wire */
}

void lag_stop(void)
{
	event_free(timer);
	event_free(frames);
	timer = frames = NULL;
	n_lags = 0;
}
