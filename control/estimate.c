/* From single probes to a verdict about a path: good, grey or bad. Pure: no clock, no fast path.
 *
 * Every bucket is judged by itself and all together once more; one bucket that fails while others
 * do not makes the link grey. What is looked at:
 *   silence  no answer for max(1 s, 5 intervals) while at least 5 probes left: bad. With a loss of
 *            p, at 10 a second, a false one has probability p^10 a probe. Before the first answer
 *            nothing is judged and no loss counts, until 30 s are over: BGP has to bring the way
 *            back. What could not be sent is no silence.
 *   loss     Page's CUSUM between p1 = slo.loss (1 %) and p0 = p1 / 10: S = max(0, S + x), x =
 *            ln(p1/p0) for a lost probe, ln((1-p1)/(1-p0)) for an answered one; grey at S >= h. The
 *            mean number of probes to a false alarm at p0 is 0.315/p0 e^h (tests/unit/
 *            test_estimate.c measures it), so h = ln(rate T p0 / 0.315) with T = two days makes
 * less than one false alarm a link and day, at any rate; no test that keeps this promise finds p1
 * sooner in the mean. It takes (h + 0.7) / 0.0141 probes for 1 %. Between 0.4 p1 and p1 the link
 * becomes grey too, only later. The alarm ends when a second CUSUM, the other way round, says p0
 * with e^-4.6 = 1 % of error. p99      the same for the share of round trips over slo.p99: p0 = 1
 * %, p1 = 5 %. rise     the window's median over the usual one by three quarters of slo.rise (20
 * ms: a shift of 20 ms is found, not half of those), three windows in a row. If one round trip in
 * ten is late by that much of its own accord, a window of ten has a late median with P(Bin(10, 0.1)
 * >= 5) = 0.0016, three in a row with 4e-9. jitter   the mean difference of neighbours over
 * slo.jitter, three windows in a row. A window is a second, or as long as five probes take. The
 * usual median is that of the good windows of ten minutes; one that stays elsewhere for ten minutes
 * is usual from then on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "estimate.h"

#define S_NS	    1000000000ull
#define SILENCE_NS  S_NS
#define SILENCE_N   5
#define WAIT_NS	    (30 * S_NS) /* for the first answer: neighbours and BGP have to come up */
#define LATER_NS    (3 * S_NS)	/* a bucket may need longer than the first one that answers */
#define OUTAGE_NS   (3 * S_NS)	/* verdicts about an outage that come after its end */
#define WINDOW_NS   S_NS
#define WINDOW_N    5
#define WINDOWS_IN  3
#define WINDOWS_OUT 10
#define MOVE_NS	    (60 * S_NS) /* between two changes, unless to bad */
#define RELAPSE_NS  (120 * S_NS)
#define RELAPSE_MAX 600 /* windows */
#define FORGET_NS   (600 * S_NS)
#define FALSE_S	    172800.0 /* T above */
#define LOSS_PPM    10000
#define RISE_US	    20000
#define LOSS_RATIO  10.0
#define SURE	    4.6
#define SAMPLES	    64 /* of a window's round trips */
#define USUAL	    60
#define USUAL_EVERY 10 /* windows */
#define TENS	    60 /* ten minutes of ten seconds each */
#define HIST_LINEAR 32
#define HIST_STEPS  16 /* of an octave */
#define HIST_BINS   (HIST_LINEAR + 18 * HIST_STEPS)

struct cusum {
	double hit, miss, h; /* hit: lost or late */
	double sum, back;
	bool alarm;
};

struct track {			  /* one bucket, or all */
	uint64_t answered_ns;	  /* the last answer; at first: the beginning */
	uint64_t sent, sent_at;	  /* sent_at: when the last answer came */
	uint64_t asked, asked_ns; /* sent when it was last seen to grow, and then */
	uint64_t deaf_ns;	  /* losses up to here belong to an outage */
	uint64_t mute_ns;	  /* and those up to here are of before the first answer */
	bool heard, silent;
	uint64_t interval_ns, silence_ns; /* between two probes; how long is silence */
	struct cusum loss, late;
	/* the window */
	uint32_t rtt[SAMPLES];
	uint32_t n_rtt, n_diff, last_us;
	uint64_t sum_diff;
	unsigned over, jittery; /* windows in a row */
	bool risen, shaky;
	uint64_t risen_ns;
	uint32_t median_us, usual_us, jitter_us;
	uint32_t past[USUAL];
	unsigned n_past, n_windows;
	/* for people */
	struct {
		uint64_t at;
		uint32_t judged, lost;
	} tens[TENS];
	uint64_t hist_ns;
	uint32_t hist[2][HIST_BINS];
};

struct estimate {
	struct estimate_conf conf;
	uint32_t rise_us;
	uint64_t window_ns, end_ns; /* of the running window */
	enum health state, worst;   /* worst: in the running window */
	uint64_t since_ns, good_ns; /* good_ns: the last return to good */
	bool moved;
	unsigned clean, need; /* windows better than the state in a row; how many it takes */
	enum health clean_worst;
	char why[80];
	unsigned n_tracks;
	struct track tracks[]; /* [0] the link; with more than one bucket they follow */
};

/* ---- tests ---- */

static void cusum_init(struct cusum *c, double p0, double p1, double h)
{
	*c = (struct cusum){ .hit = log(p1 / p0), .miss = log((1 - p1) / (1 - p0)), .h = h };
}

static void cusum_add(struct cusum *c, bool hit)
{
	double x = hit ? c->hit : c->miss;

	c->sum = fmax(0, c->sum + x);
	if (!c->alarm && c->sum >= c->h) {
		c->alarm = true;
		c->back = 0;
	} else if (c->alarm) {
		c->back = fmax(0, c->back - x);
		if (c->back < SURE)
			return;
		c->alarm = false;
		c->sum = 0;
	}
}

static void cusum_forget(struct cusum *c)
{
	c->sum = c->back = 0;
	c->alarm = false;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t median(const uint32_t *values, unsigned n)
{
	uint32_t sorted[SAMPLES];

	memcpy(sorted, values, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_size);
	return sorted[n / 2];
}

/* ---- the end of a window ---- */

static void usual_add(struct track *t)
{
	_Static_assert(USUAL <= SAMPLES, "median() sorts it");
	if (t->n_past >= USUAL_EVERY && t->n_windows++ % USUAL_EVERY)
		return;
	t->past[t->n_past++ % USUAL] = t->median_us;
	if (t->n_past >= WINDOWS_IN)
		t->usual_us = median(t->past, t->n_past < USUAL ? t->n_past : USUAL);
	if (t->n_past >= 2 * USUAL)
		t->n_past -= USUAL; /* a ring that is full stays full */
}

static void window_rise(const struct estimate *e, struct track *t, uint64_t now)
{
	bool over = t->usual_us && t->median_us > t->usual_us + e->rise_us / 4 * 3;

	t->over = over ? t->over + 1 : 0;
	if (!t->risen && t->over >= WINDOWS_IN) {
		t->risen = true;
		t->risen_ns = now;
	} else if (t->risen && t->median_us <= t->usual_us + e->rise_us / 2) {
		t->risen = false;
	} else if (t->risen && now - t->risen_ns >= FORGET_NS) {
		t->risen = false;
		t->n_past = 0;
		t->usual_us = 0;
	}
	if (!over && !t->risen)
		usual_add(t);
}

static void window_end(const struct estimate *e, struct track *t, uint64_t now)
{
	unsigned n = t->n_rtt < SAMPLES ? t->n_rtt : SAMPLES;
	uint32_t limit = e->conf.slo.jitter_ms * 1000u;

	if (n >= WINDOWS_IN) {
		t->median_us = median(t->rtt, n);
		window_rise(e, t, now);
	}
	if (t->n_diff >= WINDOWS_IN && limit) {
		t->jittery = t->sum_diff / t->n_diff > limit ? t->jittery + 1 : 0;
		t->shaky = t->shaky ? t->jittery : t->jittery >= WINDOWS_IN;
	}
	t->n_rtt = t->n_diff = 0;
	t->sum_diff = 0;
}

/* ---- probes ---- */

static unsigned bin_of(uint32_t us)
{
	unsigned octave, bin;

	if (us < HIST_LINEAR)
		return us;
	octave = 31u - (unsigned)__builtin_clz(us);
	bin = HIST_LINEAR + (octave - 5) * HIST_STEPS + (us >> (octave - 4)) - HIST_STEPS;
	return bin < HIST_BINS ? bin : HIST_BINS - 1;
}

static uint32_t bin_middle(unsigned bin)
{
	unsigned octave;

	if (bin < HIST_LINEAR)
		return bin;
	octave = (bin - HIST_LINEAR) / HIST_STEPS + 5;
	bin = (bin - HIST_LINEAR) % HIST_STEPS + HIST_STEPS;
	return (bin << (octave - 4)) + (1u << (octave - 4)) / 2;
}

static void remember(struct track *t, bool lost, uint64_t now)
{
	uint64_t at = now / (10 * S_NS);
	unsigned i = (unsigned)(at % TENS);

	if (t->tens[i].at != at)
		memset(&t->tens[i], 0, sizeof(t->tens[i]));
	t->tens[i].at = at;
	t->tens[i].judged++;
	t->tens[i].lost += lost;
	if (now - t->hist_ns < 60 * S_NS)
		return;
	memcpy(t->hist[1], t->hist[0], sizeof(t->hist[1]));
	memset(t->hist[0], 0, sizeof(t->hist[0]));
	t->hist_ns = now;
}

static void track_answer(const struct estimate *e, struct track *t, uint32_t rtt, uint64_t now)
{
	uint32_t diff = rtt > t->last_us ? rtt - t->last_us : t->last_us - rtt;

	remember(t, false, now);
	t->hist[0][bin_of(rtt)]++;
	if (!t->heard)
		t->mute_ns = now + OUTAGE_NS;
	if (t->silent || !t->heard) { /* an outage was judged as one: it is not loss too */
		t->silent = false;
		t->deaf_ns = now + OUTAGE_NS;
		cusum_forget(&t->loss);
	}
	t->answered_ns = now;
	t->sent_at = t->sent;
	cusum_add(&t->loss, false);
	if (e->conf.slo.p99_ms)
		cusum_add(&t->late, rtt > e->conf.slo.p99_ms * 1000u);
	t->rtt[t->n_rtt++ % SAMPLES] = rtt;
	if (t->heard) {
		t->sum_diff += diff;
		t->n_diff++;
		t->jitter_us = (uint32_t)((int64_t)t->jitter_us +
					  ((int64_t)diff - (int64_t)t->jitter_us) / 16);
	}
	t->last_us = rtt;
	t->heard = true;
}

void estimate_answer(struct estimate *e, uint8_t bucket, uint32_t rtt_us, uint64_t now_ns)
{
	track_answer(e, &e->tracks[0], rtt_us, now_ns);
	if (bucket + 1u < e->n_tracks)
		track_answer(e, &e->tracks[bucket + 1], rtt_us, now_ns);
}

static void track_lost(struct track *t, uint64_t now)
{
	if (!t->heard || now < t->mute_ns)
		return;
	remember(t, true, now);
	if (!t->silent && now >= t->deaf_ns)
		cusum_add(&t->loss, true);
}

void estimate_lost(struct estimate *e, uint8_t bucket, uint64_t now_ns)
{
	track_lost(&e->tracks[0], now_ns);
	if (bucket + 1u < e->n_tracks)
		track_lost(&e->tracks[bucket + 1], now_ns);
}

void estimate_sent(struct estimate *e, uint8_t bucket, uint64_t sent)
{
	struct track *t = bucket + 1u < e->n_tracks ? &e->tracks[bucket + 1] : NULL;

	if (t && sent > t->sent) {
		e->tracks[0].sent += sent - t->sent;
		t->sent = sent;
	} else if (e->n_tracks == 1 && sent > e->tracks[0].sent) {
		e->tracks[0].sent = sent;
	}
}

/* ---- the verdict ---- */

/* Silence counts while we ask; who could not for a while (no carrier, no neighbour) begins anew,
 * and one that was not known to be bad waits for its first answer again. */
static void track_asking(struct estimate *e, struct track *t, uint64_t now)
{
	uint64_t passed = now - t->asked_ns, grown = t->sent - t->asked;

	if (!grown)
		return;
	/* few for so long a time: else it is us who have not looked */
	if (!t->silent && passed >= t->silence_ns + S_NS && grown < passed / t->interval_ns / 2) {
		t->answered_ns = now;
		t->sent_at = t->asked;
		t->heard = t->heard && e->state != HEALTH_GOOD;
		if (t == e->tracks && !t->heard)
			e->moved = false;
	}
	t->asked = t->sent;
	t->asked_ns = now;
}

static void track_silence(const struct estimate *e, struct track *t, uint64_t now)
{
	const struct track *all = e->tracks;
	uint64_t since = t->answered_ns, limit = t->silence_ns;

	if (!t->heard && !all->heard) {
		if (now - since >= WAIT_NS) /* whether or not it could be sent */
			t->silent = true;
		return;
	}
	if (!t->heard) { /* a bucket, and others have answers */
		since = all->mute_ns - OUTAGE_NS > since ? all->mute_ns - OUTAGE_NS : since;
		limit += LATER_NS;
	}
	if (t->sent - t->sent_at >= SILENCE_N && now - since >= limit)
		t->silent = true;
}

static bool suspect(const struct track *t)
{
	return t->silent || t->loss.alarm || t->late.alarm || t->risen || t->shaky;
}

static double percent(const struct track *t, uint64_t now, uint64_t seconds)
{
	uint64_t judged = 0, lost = 0, at = now / (10 * S_NS);

	for (unsigned i = 0; i < TENS; i++)
		if (t->tens[i].judged && at - t->tens[i].at <= seconds / 10) {
			judged += t->tens[i].judged;
			lost += t->tens[i].lost;
		}
	return judged ? 100.0 * (double)lost / (double)judged : -1;
}

static int64_t quantile(const struct track *t, double q);

static void explain(struct estimate *e, const struct track *t, uint64_t now)
{
	char where[16] = "";

	if (t != e->tracks)
		snprintf(where, sizeof(where), "bucket %u: ", (unsigned)(t - e->tracks - 1));
	if (t->silent)
		snprintf(e->why, sizeof(e->why), "%sno answer for %.1f s", where,
			(double)(now - t->answered_ns) / 1e9);
	else if (t->loss.alarm)
		snprintf(e->why, sizeof(e->why), "%sloss %.2f %% in the last minute", where,
			percent(t, now, 60));
	else if (t->risen)
		snprintf(e->why, sizeof(e->why),
			"%sround trip %.1f ms in the last %.0f s, usually %.1f ms", where,
			t->median_us / 1000.0, (double)e->window_ns / 1e9, t->usual_us / 1000.0);
	else if (t->late.alarm)
		snprintf(e->why, sizeof(e->why),
			"%sp99 over %u ms: %.1f ms in the last 1 to 2 minutes", where,
			e->conf.slo.p99_ms, (double)quantile(t, 0.99) / 1e3);
	else
		snprintf(e->why, sizeof(e->why), "%sjitter over %u ms in windows of %.0f s", where,
			e->conf.slo.jitter_ms, (double)e->window_ns / 1e9);
}

/* As the probes see it now, without memory. */
static enum health see(struct estimate *e, const struct track **ret_why)
{
	unsigned n_silent = 0;

	*ret_why = NULL;
	for (unsigned i = 0; i < e->n_tracks; i++) {
		if (!*ret_why && suspect(&e->tracks[i]))
			*ret_why = &e->tracks[i];
		if (i && e->tracks[i].silent && !n_silent++)
			*ret_why = &e->tracks[e->tracks[0].silent ? 0 : i];
	}
	if (e->tracks[0].silent || (e->n_tracks > 1 && n_silent == e->n_tracks - 1))
		return HEALTH_BAD;
	return *ret_why ? HEALTH_GREY : HEALTH_GOOD;
}

static void change(struct estimate *e, enum health to, uint64_t now)
{
	if (e->state == HEALTH_GOOD && e->good_ns && now - e->good_ns < RELAPSE_NS) {
		e->need = e->need * 2 > 120 ? e->need * 2 : 120;
		if (e->need > RELAPSE_MAX)
			e->need = RELAPSE_MAX;
	}
	if (to == HEALTH_GOOD)
		e->good_ns = now;
	e->state = to;
	e->since_ns = now;
	e->moved = e->tracks[0].heard; /* a verdict before the first answer binds nobody */
	e->clean = 0;
}

static void window_close(struct estimate *e, uint64_t now)
{
	if (now < e->end_ns)
		return;
	for (unsigned i = 0; i < e->n_tracks; i++)
		window_end(e, &e->tracks[i], now);
	e->clean = e->worst < e->state ? e->clean + 1 : 0;
	e->clean_worst = e->clean > 1 && e->clean_worst > e->worst ? e->clean_worst : e->worst;
	e->worst = HEALTH_GOOD;
	e->end_ns = now - e->end_ns > e->window_ns ? now + e->window_ns : e->end_ns + e->window_ns;
	if (e->state == HEALTH_GOOD && now - e->since_ns > FORGET_NS)
		e->need = WINDOWS_OUT;
}

enum health estimate_judge(struct estimate *e, uint64_t now, const char **ret_why)
{
	const struct track *why;
	enum health seen;
	bool may;

	for (unsigned i = 0; i < e->n_tracks; i++)
		track_asking(e, &e->tracks[i], now);
	for (unsigned i = 0; i < e->n_tracks; i++)
		track_silence(e, &e->tracks[i], now);
	window_close(e, now);
	seen = see(e, &why);
	if (seen > e->worst)
		e->worst = seen;
	may = !e->moved || now - e->since_ns >= MOVE_NS;
	if (seen > e->state && (may || seen == HEALTH_BAD))
		change(e, seen, now);
	else if (seen < e->state && may && e->clean >= e->need)
		change(e, seen > e->clean_worst ? seen : e->clean_worst, now);
	if (e->state == HEALTH_GOOD)
		e->why[0] = '\0';
	else if (why && seen == e->state)
		explain(e, why, now);
	*ret_why = e->why;
	return e->state;
}

bool estimate_waiting(const struct estimate *e)
{
	return !e->tracks[0].heard && e->state == HEALTH_GOOD;
}

/* ---- life ---- */

/* share: of the link's rate. */
static void track_init(struct estimate *e, struct track *t, double share, uint64_t now)
{
	double p1 = (e->conf.slo.loss_ppm ? e->conf.slo.loss_ppm : LOSS_PPM) / 1e6;
	double rate = e->conf.rate ? e->conf.rate : 1, several = e->n_tracks > 1 ? log(2) : 0;
	double p0, probes = rate * FALSE_S;

	if (p1 > 0.9) /* a link may lose all but this: the test needs something to hope for */
		p1 = 0.9;
	p0 = p1 / LOSS_RATIO;
	/* With the h of the whole rate all buckets together err as often as the link does: half
	 * of the false alarms each. */
	cusum_init(&t->loss, p0, p1, fmax(SURE, log(probes * p0 / 0.315) + several));
	cusum_init(&t->late, 0.01, 0.05, fmax(SURE, log(probes * 0.01 / 0.7) + several));
	t->answered_ns = t->asked_ns = t->hist_ns = now;
	t->interval_ns = (uint64_t)(1e9 / rate / share);
	t->silence_ns = SILENCE_N * t->interval_ns;
	if (t->silence_ns < SILENCE_NS)
		t->silence_ns = SILENCE_NS;
}

struct estimate *estimate_new(const struct estimate_conf *conf, uint64_t now_ns)
{
	unsigned n = conf->buckets > 1 ? conf->buckets + 1u : 1;
	struct estimate *e = calloc(1, sizeof(*e) + n * sizeof(e->tracks[0]));

	if (!e)
		return NULL;
	e->conf = *conf;
	e->n_tracks = n;
	e->rise_us = conf->slo.rise_ms ? conf->slo.rise_ms * 1000u : RISE_US;
	e->window_ns = WINDOW_N * S_NS * (conf->buckets ? conf->buckets : 1) /
		       (conf->rate ? conf->rate : 1);
	if (e->window_ns < WINDOW_NS)
		e->window_ns = WINDOW_NS;
	e->end_ns = now_ns + e->window_ns;
	e->since_ns = now_ns;
	e->need = WINDOWS_OUT;
	for (unsigned i = 0; i < n; i++)
		track_init(e, &e->tracks[i], i ? 1.0 / conf->buckets : 1, now_ns);
	return e;
}

void estimate_free(struct estimate *e)
{
	free(e);
}

/* ---- for people ---- */

static int64_t quantile(const struct track *t, double q)
{
	uint64_t n = 0, sum = 0;

	for (unsigned i = 0; i < HIST_BINS; i++)
		n += t->hist[0][i] + t->hist[1][i];
	if (!n)
		return -1;
	for (unsigned i = 0; i < HIST_BINS; i++) {
		sum += t->hist[0][i] + t->hist[1][i];
		if ((double)sum >= q * (double)n)
			return bin_middle(i);
	}
	return bin_middle(HIST_BINS - 1);
}

void estimate_report(const struct estimate *e, uint8_t bucket, uint64_t now_ns,
	struct estimate_report *ret_report)
{
	const struct track *t = &e->tracks[bucket + 1u < e->n_tracks ? bucket + 1 : 0];

	if (bucket == ESTIMATE_LINK)
		t = &e->tracks[0];
	*ret_report = (struct estimate_report){
		.suspect = suspect(t),
		.loss_1m_ppm = (int64_t)(percent(t, now_ns, 60) * 10000),
		.loss_10m_ppm = (int64_t)(percent(t, now_ns, 600) * 10000),
		.p50_us = quantile(t, 0.5),
		.p99_us = quantile(t, 0.99),
		.jitter_us = t->jitter_us,
		.usual_us = t->usual_us,
		.since_ns = e->since_ns,
	};
}
