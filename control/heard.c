/* When a link last received anything: "no frame for 37 s" says more at three in the morning than a
 * counter that stands still.
 *
 * The fast path counts and keeps no times, so counters are looked at in turns: every link once in
 * ROUND_S, whatever their number. Where a sum has shrunk (a number that another link had,
 * counters that began again) nothing is known until it grows. Control thread only; kept by link id.
 */
#include <errno.h>
#include "heard.h"

#define TICK_MS 100
#define ROUND_S 4
#define TURNS	(ROUND_S * 1000 / TICK_MS)

static struct {
	uint64_t packets, at_ns; /* at_ns: of the look that saw more than the one before; 0: none */
} heard[DP_LINKS_MAX];
static unsigned turn;
static struct event *tick_event;

static void look(const struct link *link)
{
	uint64_t packets = dp_link_rx(link->id).packets;

	if (packets > heard[link->id].packets)
		heard[link->id].at_ns = now_ns();
	else if (packets < heard[link->id].packets)
		heard[link->id].at_ns = 0; /* another link's number, or counters began again */
	heard[link->id].packets = packets;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	unsigned id = turn;

	(void)fd, (void)what, (void)arg;
	for (; id < DP_LINKS_MAX; id += TURNS) {
		const struct link *link = link_by_id((uint16_t)id);

		if (link)
			look(link);
		else
			heard[id].packets = heard[id].at_ns = 0;
	}
	turn = (turn + 1) % TURNS;
}

uint64_t heard_age_ns(const struct link *link)
{
	look(link);
	return heard[link->id].at_ns ? now_ns() - heard[link->id].at_ns : UINT64_MAX;
}

int heard_start(void)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };

	tick_event = event_new(control.base, -1, EV_PERSIST, on_tick, NULL);
	return tick_event && !event_add(tick_event, &every) ? 0 : -ENOMEM;
}

void heard_stop(void)
{
	if (tick_event)
		event_free(tick_event);
	tick_event = NULL;
}
