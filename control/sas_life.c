/* Time and numbers: when an SA has had enough, and what of it must not be forgotten.
 *
 * Bytes and packets are counted by the worker that uses the SA; it tells when a limit is reached
 * (DP_EV_SA). Seconds are counted here. Soft: whoever gave the SA is told once and negotiates
 * another; hard: it is told and the SA goes, as kernels do it. A timer looks at all of them, a
 * slice at a time, so news that an event queue lost are found a moment later.
 *
 * The same look keeps what a later lintasd has to know: the same key and sequence number twice is
 * the end of GCM's secrecy (RFC 4106 3, 9). An outbound SA therefore has a lease: its owner has
 * been told, before, a number that is not reached; half of the lease used up, it is told the next.
 * Who comes again begins at the lease's end. LEASE / 2 packets cannot pass between two looks (0.4 s
 * at most; five million packets a second of one SA). Of inbound SAs the highest number is told, a
 * second old at most: what is replayed of just that second could be taken again after a crash, and
 * nothing older. A lease that cannot be told is not used: told again every tick, and when the
 * present one comes to its end the SA does as well. Control thread only. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include "sas_own.h"

#define TICK_MS	  50
#define SLICE	  512 /* of DP_SAS_MAX a tick */
#define LEASE	  (UINT64_C(1) << 22)
#define SEQ_NS	  1000000000ull
#define SECOND_NS 1000000000ull

static struct event *timer;
static bool untold; /* a lease, of whichever SA */

uint64_t sas_lease(const struct dp_sa *conf, uint64_t seq)
{
	uint64_t last = conf->esn ? UINT64_MAX : UINT32_MAX;

	return last - seq < LEASE ? last : seq + LEASE;
}

int sas_renew(struct sas_sa *sa)
{
	static const struct dp_sa wide = { .esn = true };

	sa->seq = sas_lease(&wide, sa->seq); /* beyond the last of 32 bits: it will be refused */
	return sas_hooks_of(sa)->seq ? sas_hooks_of(sa)->seq(sa) : 0;
}

void sas_use_of(struct sas_sa *sa, struct xfrm_use *ret_use, struct dp_sa_info *ret_info)
{
	int64_t now_s = time(NULL);

	memset(ret_use, 0, sizeof(*ret_use));
	memset(ret_info, 0, sizeof(*ret_info));
	ret_use->added_s = (uint64_t)now_s - (now_ns() - sa->added_ns) / SECOND_NS;
	if (sa->larval || dp_sa_info((unsigned)sa->index, ret_info))
		return;
	ret_use->bytes = ret_info->through.bytes;
	ret_use->packets = ret_info->through.packets;
	if (ret_info->used_ns == UINT64_MAX)
		return;
	ret_use->last_s = (uint64_t)now_s - ret_info->used_ns / SECOND_NS;
	if (!sa->first_s)
		sa->first_s = (int64_t)ret_use->last_s;
	ret_use->first_s = (uint64_t)sa->first_s;
}

/* ---- limits ---- */
static void hard(struct sas_sa *sa, const char *why)
{
	sas_stats.expired_hard++;
	if (sas_hooks_of(sa)->expired)
		sas_hooks_of(sa)->expired(sa, true);
	sas_remove(sa, why, true);
}

static void soft(struct sas_sa *sa)
{
	if (sa->soft_said)
		return;
	sa->soft_said = true;
	sas_stats.expired_soft++;
	if (sas_hooks_of(sa)->expired)
		sas_hooks_of(sa)->expired(sa, false);
}

/* False: its numbers may not be used any further. */
static bool look_seq(struct sas_sa *sa, const struct dp_sa_info *info, uint64_t now)
{
	const struct sas_hooks *hooks = sas_hooks_of(sa);
	uint64_t told = sa->seq;

	if (!hooks->seq)
		return true;
	if (sa->conf.inbound) {
		if (info->seq == sa->seq || now - sa->seq_ns < SEQ_NS)
			return true;
		sa->seq = info->seq;
	} else {
		if (sa->seq == sas_lease(&sa->conf, info->seq) ||
			(sa->seq > info->seq && sa->seq - info->seq > LEASE / 2))
			return true;
		sa->seq = sas_lease(&sa->conf, info->seq);
	}
	sa->seq_ns = now;
	if (!hooks->seq(sa))
		return true;
	sa->seq = told;
	if (sa->conf.inbound)
		return true;
	untold = true;
	return told > info->seq && told - info->seq > LEASE / 4;
}

static void look(struct sas_sa *sa, uint64_t now)
{
	struct dp_sa_info info;
	struct xfrm_use used;
	uint64_t age_s = (now - sa->added_ns) / SECOND_NS;

	if (sa->larval) {
		if (age_s > SAS_LARVAL_S)
			sas_remove(sa, "set aside and never used", true);
		return;
	}
	sas_use_of(sa, &used, &info);
	if (sa->doomed_ns && now > sa->doomed_ns) {
		sas_remove(sa, "its charon ended, and a new one has made another", true);
		return;
	}
	if (!look_seq(sa, &info, now))
		hard(sa, "charon does not take its sequence numbers for lintasd's next start");
	else if (info.state == DP_SA_HARD)
		hard(sa, "its limit of bytes, packets or sequence numbers is reached");
	else if (sa->limits.hard_s && age_s >= sa->limits.hard_s)
		hard(sa, "its time is over");
	else if (info.state == DP_SA_SOFT || (sa->limits.soft_s && age_s >= sa->limits.soft_s))
		soft(sa);
}

void sas_event(unsigned index)
{
	struct sas_sa *sa = sas_by_index(index);

	if (sa)
		look(sa, now_ns());
}

/* ---- the timer ---- */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	static unsigned at;
	uint64_t now = now_ns();
	struct sas_sa *sa, *next;
	bool again = untold;

	(void)fd, (void)what, (void)arg;
	untold = false;
	for (unsigned i = 0; sas_stats.sas && i < SLICE; i++, at = (at + 1) % DP_SAS_MAX)
		if ((sa = sas_by_index(at)))
			look(sa, now);
	for (sa = sas_stats.larval || again ? sas_next(NULL) : NULL; sa; sa = next) {
		next = sas_next(sa);
		if (sa->larval || (again && !sa->conf.inbound))
			look(sa, now);
	}
}

static bool wanted(void)
{
	for (const struct link *link = link_next(NULL); link; link = link_next(link))
		if (link->cfg && link->cfg->encap == CFG_ENCAP_IPSEC)
			return true;
	return false;
}

int sas_life_start(void)
{
	static const struct timeval every = { 0, TICK_MS * 1000 };
	char err[256] = "";

	if (wanted() && dp_esp_start(err, sizeof(err)))
		log_event(LOG_LVL_ERR, "ipsec", "%s", err);
	timer = event_new(control.base, -1, EV_PERSIST, on_timer, NULL);
	return !timer || event_priority_set(timer, 1) || event_add(timer, &every) ? -ENOMEM : 0;
}

void sas_life_stop(void)
{
	event_free(timer);
	timer = NULL;
}
