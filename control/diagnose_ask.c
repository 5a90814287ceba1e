/* link diagnose: what FRR, the keeper and the transceiver are asked, and what becomes of answers
 * that come late.
 *
 * An answer may come after the diagnosis has ended: it is counted in `outstanding`, and the last
 * one frees what is left of it. FRR's tools are few and shared: a question that is refused, or not
 * answered, is asked again until FRR_GIVE_UP_NS. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "diagnose.h"
#include "frr.h"

#define FRR_AGAIN_MS   300
#define FRR_GIVE_UP_NS (4000 * 1000000ull)

static void on_peer(const json_t *json, void *arg)
{
	struct diag_lane *lane = arg;
	struct diag_run *run = diag_run(lane->d);

	run->outstanding--;
	lane->asking = false;
	if (run->finished)
		return diag_release(run);
	if (json)
		lane->peer_json = json_incref((json_t *)(uintptr_t)json);
	lane->answered = json != NULL;
}

static void on_bfd(const json_t *json, void *arg)
{
	struct diag_run *run = arg;

	run->outstanding--;
	if (run->finished)
		return diag_release(run);
	run->d.bfd = json_incref((json_t *)(uintptr_t)json);
	run->d.bfd_asking = false;
	if (!diag_stale(run))
		diag_settle(run);
}

/* FRR's tools are few: a question that is refused, or not answered, is asked again. */
void diag_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct diag_run *run = arg;

	(void)fd, (void)what;
	if (!diag_stale(run))
		diag_ask_frr(run);
}

void diag_ask_frr(struct diag_run *run)
{
	const struct timeval again = { .tv_usec = FRR_AGAIN_MS * 1000 };
	struct diag *d = &run->d;
	bool wanting = false;

	for (unsigned f = 0; f < 2; f++) {
		struct diag_lane *lane = &d->lanes[f];

		if (!lane->bgp || lane->answered)
			continue;
		wanting = true;
		if (lane->asking || frr_show_peer(d->cfg->vrf->name, &lane->peer, on_peer, lane))
			continue;
		lane->asking = true;
		run->outstanding++;
	}
	if (wanting && now_ns() - d->start_ns < FRR_GIVE_UP_NS)
		event_add(run->again, &again);
}

/* Nothing is accepted: is anything said? Asked only then, because it is every route of the peer. */
static void on_received(const json_t *json, void *arg)
{
	struct diag_lane *lane = arg;
	struct diag_run *run = diag_run(lane->d);

	run->outstanding--;
	if (run->finished)
		return diag_release(run);
	lane->heard = diag_bgp_heard(json);
	if (!diag_stale(run))
		diag_step_done(lane);
}

static void on_received_again(struct diag_lane *lane)
{
	struct diag_run *run = diag_run(lane->d);

	if (frr_show_routes(
		    FRR_RECEIVED, lane->d->cfg->vrf->name, &lane->peer, NULL, on_received, lane))
		return diag_step_done(lane);
	run->outstanding++;
}

void diag_received_start(struct diag_lane *lane)
{
	lane->heard = -1;
	if (!lane->bgp || !diag_bgp_nothing(lane))
		return diag_step_done(lane);
	lane->on_timer = on_received_again;
	diag_timer(lane, 200); /* the other lane may ask the keeper too */
}

/* ---- the keeper ---- */
static void socket_ask(struct diag_lane *lane);

static void on_socket(int status, int fd, void *arg)
{
	struct diag_lane *lane = arg;
	struct diag_run *run = diag_run(lane->d);

	run->outstanding--;
	if (!status && !run->finished) {
		lane->io[lane->n_io++] = (struct diag_io){ .fd = fd, .lane = lane };
	} else if (!status) {
		close(fd);
	}
	if (run->finished)
		return diag_release(run);
	if (diag_stale(run))
		return;
	if (!status && lane->n_io < lane->n_wanted)
		socket_ask(lane);
	else
		lane->on_sockets(lane, status);
}

static void socket_ask(struct diag_lane *lane)
{
	int rc = keeper_socket_ask(
		lane->d->cfg->vrf->name, lane->kind, lane->d->name, on_socket, lane);

	if (rc)
		lane->on_sockets(lane, rc);
	else
		diag_run(lane->d)->outstanding++;
}

void diag_sockets(struct diag_lane *lane, enum keeper_socket kind, unsigned n,
	void (*then)(struct diag_lane *lane, int rc))
{
	lane->kind = kind;
	lane->n_wanted = n;
	lane->on_sockets = then;
	socket_ask(lane);
}

static void md5_take(int fd, struct diag_md5 *ret_md5)
{
	char text[16384];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	diag_md5_parse(text, ret_md5);
}

static void on_md5(int status, int fd, void *arg)
{
	struct diag_run *run = arg;

	if (!status)
		md5_take(fd, &run->d.md5);
	run->outstanding--;
	diag_release(run);
}

void diag_ask_md5(struct diag_run *run)
{
	run->outstanding += !keeper_socket_ask(
		run->d.cfg->vrf->name, KEEPER_SOCKET_TCP_COUNTERS, NULL, on_md5, run);
}

static void on_md5_end(int status, int fd, void *arg)
{
	struct diag_lane *lane = arg;
	struct diag_run *run = diag_run(lane->d);

	if (!status)
		md5_take(fd, &lane->md5);
	run->outstanding--;
	if (run->finished)
		return diag_release(run);
	if (!diag_stale(run))
		lane->on_sockets(lane, status);
}

void diag_ask_md5_end(struct diag_lane *lane, void (*then)(struct diag_lane *lane, int rc))
{
	int rc = keeper_socket_ask(
		lane->d->cfg->vrf->name, KEEPER_SOCKET_TCP_COUNTERS, NULL, on_md5_end, lane);

	lane->md5 = (struct diag_md5){ .known = false };
	lane->on_sockets = then;
	if (rc)
		then(lane, rc);
	else
		diag_run(lane->d)->outstanding++;
}

/* ---- the transceiver ---- */
struct optics_job {
	struct diag_run *run;
	unsigned port;
	struct dp_optics optics;
	int rc;
};

static void optics_read(void *arg)
{
	struct optics_job *job = arg;

	job->rc = dp_port_optics(job->port, &job->optics);
}

static void optics_done(void *arg)
{
	struct optics_job *job = arg;
	struct diag_run *run = job->run;

	run->outstanding--;
	run->d.optics_asking = false;
	run->d.optics_known = !job->rc;
	run->d.optics = job->optics;
	free(job);
	if (run->finished)
		return diag_release(run);
	if (!diag_stale(run))
		diag_settle(run);
}

void diag_ask_optics(struct diag_run *run)
{
	struct optics_job *job;

	if (run->d.link->port < 0 || !(job = calloc(1, sizeof(*job))))
		return;
	job->run = run;
	job->port = (unsigned)run->d.link->port;
	if (control_offload(optics_read, optics_done, job)) {
		free(job);
		return;
	}
	run->outstanding++;
	run->d.optics_asking = true;
}

void diag_ask_bfd(struct diag_run *run)
{
	run->d.bfd_asking = !frr_show_bfd(on_bfd, run);
	run->outstanding += run->d.bfd_asking;
}
