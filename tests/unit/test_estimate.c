/* control/estimate.c by simulation, seeded: how often it errs, how soon it knows, how often it
 * changes its mind. The figures are printed; what the issue promises is asserted. Also HMAC-SHA-256
 * by the vectors of RFC 4231. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/sha256.h"
#include "control/estimate.h"
#include "unit.h"

#define SECOND	1000000000ull
#define TIMEOUT SECOND
#define LOOK	(SECOND / 5)
#define TRIALS	400
#define QUEUE	2048

static uint64_t seed;

static double chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)(seed >> 11) * 0x1p-53;
}

struct path { /* what a packet meets there */
	double loss;
	double rtt_ms, noise_ms; /* noise: exponential */
	uint64_t dark;		 /* bit a bucket: nothing comes back */
};

struct sim {
	struct estimate *e;
	unsigned rate, buckets, bucket;
	struct path path;
	uint64_t now, look;
	enum health state;
	const char *why;
	unsigned changes, alarms;
	struct {
		uint64_t at;
		uint8_t bucket;
	} lost[QUEUE]; /* verdicts that the timeout brings */
	unsigned head, tail;
	uint64_t sent[64];
};

static void sim_begin(struct sim *s, unsigned rate, unsigned buckets, struct path path)
{
	struct estimate_conf conf = { .rate = (uint16_t)rate, .buckets = (uint8_t)buckets };

	memset(s, 0, sizeof(*s));
	s->rate = rate;
	s->buckets = buckets;
	s->path = path;
	s->now = 1000 * SECOND;
	s->look = s->now;
	s->e = estimate_new(&conf, s->now);
}

static void sim_look(struct sim *s)
{
	enum health before = s->state;

	for (; s->tail != s->head && s->lost[s->tail % QUEUE].at <= s->now; s->tail++)
		estimate_lost(s->e, s->lost[s->tail % QUEUE].bucket, s->now);
	for (uint8_t b = 0; b < s->buckets; b++)
		estimate_sent(s->e, b, s->sent[b]);
	s->state = estimate_judge(s->e, s->now, &s->why);
	s->changes += s->state != before;
	s->alarms += s->state > before;
	s->look += LOOK;
}

static void sim_probe(struct sim *s)
{
	uint8_t b = (uint8_t)s->bucket;
	double ms = s->path.rtt_ms - s->path.noise_ms * log(1 - chance());

	s->bucket = (s->bucket + 1) % s->buckets;
	s->sent[b]++;
	if ((s->path.dark >> b & 1) || chance() < s->path.loss) {
		s->lost[s->head % QUEUE].at = s->now + TIMEOUT;
		s->lost[s->head++ % QUEUE].bucket = b;
	} else {
		estimate_answer(s->e, b, (uint32_t)(ms * 1000), s->now);
	}
}

/* For so long, or until the state is `until`; seconds it took, < 0: it did not come to that. */
static double sim_run(struct sim *s, double seconds, int until)
{
	uint64_t begin = s->now, end = begin + (uint64_t)(seconds * 1e9);

	while (s->now < end) {
		if (s->now >= s->look)
			sim_look(s);
		if ((int)s->state == until)
			return (double)(s->now - begin) / 1e9;
		sim_probe(s);
		s->now += SECOND / s->rate;
	}
	return -1;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static const struct path fine = { .loss = 0.001, .rtt_ms = 10, .noise_ms = 1 };

/* Medians of how long it takes to see what `after` is. */
static double detection(const char *what, unsigned rate, struct path after, double most)
{
	static struct sim s;
	double took[TRIALS], mean = 0;

	seed = 42;
	for (unsigned i = 0; i < TRIALS; i++) {
		do {
			if (s.e)
				estimate_free(s.e);
			sim_begin(&s, rate, 1, fine);
			sim_run(&s, 20 + 10 * chance(), HEALTH_GREY);
		} while (s.state != HEALTH_GOOD);
		s.path = after;
		took[i] = sim_run(&s, most, HEALTH_GREY);
		if (took[i] < 0)
			took[i] = most;
		mean += took[i] / TRIALS;
	}
	estimate_free(s.e);
	s.e = NULL;
	qsort(took, TRIALS, sizeof(took[0]), by_size);
	printf("# %s at %u/s: median %.1f s, mean %.1f s, 90 %% %.1f s, 99 %% %.1f s\n", what, rate,
		took[TRIALS / 2], mean, took[TRIALS * 9 / 10], took[TRIALS * 99 / 100]);
	return took[TRIALS / 2];
}

static void test_loss(void)
{
	struct path lossy = fine;

	lossy.loss = 0.01;
	CU_ASSERT(detection("1 % loss", 10, lossy, 600) <= 60);
	CU_ASSERT(detection("1 % loss", 100, lossy, 60) <= 10);
	lossy.loss = 0.05;
	CU_ASSERT(detection("5 % loss", 10, lossy, 600) <= 15);
}

static void test_rise(void)
{
	static struct sim s;
	double took, most = 0;

	seed = 7;
	for (unsigned i = 0; i < TRIALS; i++) {
		sim_begin(&s, i % 2 ? 10 : 100, 1, fine);
		sim_run(&s, 30 + chance(), HEALTH_BAD);
		CU_ASSERT_EQUAL(s.state, HEALTH_GOOD);
		s.path.rtt_ms += 20;
		took = sim_run(&s, 60, HEALTH_GREY);
		CU_ASSERT(took > 0);
		most = took > most ? took : most;
		CU_ASSERT(s.why && strstr(s.why, "round trip"));
		estimate_free(s.e);
	}
	printf("# +20 ms: %.1f s at most in %u trials\n", most, TRIALS);
	CU_ASSERT(most <= 5);
}

/* 10^6 windows of a second at 10 a second, 0.1 % lost: less than one false alarm a day. */
static void test_false_alarms(void)
{
	static struct sim s;
	double days = 1e6 / 86400;

	seed = 1;
	sim_begin(&s, 10, 1, fine);
	sim_run(&s, 1e6, -1);
	printf("# 0.1 %% loss at 10/s: %u false alarms in %.1f days\n", s.alarms, days);
	CU_ASSERT(s.alarms <= days + 3 * sqrt(days));
	estimate_free(s.e);
	sim_begin(&s, 100, 4, fine);
	sim_run(&s, 2e5, -1);
	printf("# 0.1 %% loss at 100/s in 4 buckets: %u false alarms in %.1f days\n", s.alarms,
		2e5 / 86400);
	CU_ASSERT(s.alarms <= 2e5 / 86400 + 3 * sqrt(2e5 / 86400) + 1);
	estimate_free(s.e);
}

static void test_black_hole(void)
{
	static struct sim s;
	double took, back;

	seed = 3;
	sim_begin(&s, 10, 1, fine);
	sim_run(&s, 20, -1);
	s.path.dark = 1;
	took = sim_run(&s, 10, HEALTH_BAD);
	CU_ASSERT(took > 0.9 && took < 1.5);
	sim_run(&s, 5, -1);
	CU_ASSERT(s.why && strstr(s.why, "no answer"));
	s.path.dark = 0;
	back = sim_run(&s, 100, HEALTH_GOOD);
	printf("# black hole: bad after %.1f s, good again %.1f s after its end\n", took, back);
	CU_ASSERT(back > 10 && back < 62);
	estimate_free(s.e);
	/* nobody asks: no verdict */
	sim_begin(&s, 10, 1, fine);
	sim_run(&s, 20, -1);
	for (unsigned i = 0; i < 100; i++) {
		s.now += LOOK;
		sim_look(&s);
	}
	CU_ASSERT_EQUAL(s.state, HEALTH_GOOD);
	estimate_free(s.e);
}

static double shown_loss(const struct sim *s)
{
	struct estimate_report report;

	estimate_report(s->e, ESTIMATE_LINK, s->now, &report);
	return (double)report.loss_10m_ppm / 1e6;
}

/* At first, and again after a time in which nothing could be sent. */
static void test_waiting(void)
{
	static struct sim s;
	double took;

	seed = 11;
	for (unsigned buckets = 1; buckets <= 4; buckets += 3) {
		/* the way back comes after 25 s: never anything but good, and no loss is shown */
		sim_begin(&s, 40, buckets, fine);
		s.path.dark = 0xf;
		CU_ASSERT(sim_run(&s, 25, HEALTH_BAD) < 0);
		CU_ASSERT(estimate_waiting(s.e) && !s.changes && shown_loss(&s) < 0);
		s.path.dark = 0;
		s.path.loss = 0;
		sim_run(&s, 70, -1);
		CU_ASSERT(!estimate_waiting(s.e) && !s.changes && shown_loss(&s) == 0);
		estimate_free(s.e);
		/* it does not come: bad once; an answer ends that without the minute's hold */
		sim_begin(&s, 40, buckets, fine);
		s.path.dark = 0xf;
		took = sim_run(&s, 40, HEALTH_BAD);
		CU_ASSERT(took > 29.5 && took < 31);
		CU_ASSERT(!estimate_waiting(s.e) && s.why && strstr(s.why, "no answer"));
		sim_run(&s, 5, -1);
		s.path.dark = 0;
		took = sim_run(&s, 30, HEALTH_GOOD);
		CU_ASSERT(took > 8 && took < 20);
		CU_ASSERT_EQUAL(s.changes, 2);
		estimate_free(s.e);
	}
	/* a bucket that never answers while others do is not waited for */
	sim_begin(&s, 40, 4, fine);
	s.path.dark = 1;
	took = sim_run(&s, 30, HEALTH_GREY);
	CU_ASSERT(took > 3 && took < 7);
	estimate_free(s.e);
}

static void idle(struct sim *s, double seconds)
{
	for (uint64_t end = s->now + (uint64_t)(seconds * 1e9); s->now < end; s->now += LOOK)
		sim_look(s);
}

/* The link is down: nothing can be sent. Neither that nor the time until BGP is back is held
 * against it; what was bad before stays bad. */
static void test_unsendable(void)
{
	static struct sim s;
	double took;

	seed = 13;
	sim_begin(&s, 10, 1, fine);
	s.path.loss = 0;
	sim_run(&s, 20, -1);
	idle(&s, 100);
	CU_ASSERT(!s.changes);
	s.path.dark = 1; /* until BGP is back */
	CU_ASSERT(sim_run(&s, 20, HEALTH_BAD) < 0);
	CU_ASSERT(estimate_waiting(s.e));
	s.path.dark = 0;
	sim_run(&s, 30, -1);
	CU_ASSERT(!s.changes && !estimate_waiting(s.e) && shown_loss(&s) == 0);
	s.path.dark = 1;
	took = sim_run(&s, 10, HEALTH_BAD);
	CU_ASSERT(took > 0.9 && took < 1.5);
	idle(&s, 100);
	CU_ASSERT_EQUAL(s.state, HEALTH_BAD);
	sim_run(&s, 5, -1);
	CU_ASSERT(s.state == HEALTH_BAD && s.changes == 1);
	estimate_free(s.e);
	/* it is we who did not look for 5 s, not the link that was down */
	sim_begin(&s, 10, 1, fine);
	sim_run(&s, 20, -1);
	s.look += 5 * SECOND;
	s.path.dark = 1;
	took = sim_run(&s, 10, HEALTH_BAD);
	CU_ASSERT(took > 4.5 && took < 7);
	estimate_free(s.e);
}

static void test_bucket(void)
{
	static struct sim s;
	double took;

	seed = 5;
	sim_begin(&s, 40, 8, fine);
	sim_run(&s, 20, -1);
	s.path.dark = 1u << 3;
	took = sim_run(&s, 30, HEALTH_GREY);
	CU_ASSERT(took > 0 && took < 5);
	sim_run(&s, 10, -1);
	CU_ASSERT_EQUAL(s.state, HEALTH_GREY);
	CU_ASSERT(s.why && strstr(s.why, "bucket 3"));
	s.path.dark = 0xff;
	took = sim_run(&s, 10, HEALTH_BAD);
	CU_ASSERT(took > 0 && took < 2.5);
	estimate_free(s.e);
}

/* Good for so long, then dark for as long, for ten minutes. */
static void test_oscillation(void)
{
	static const double halves[] = { 2, 5, 12, 20, 35, 61, 70 };
	static struct sim s;

	seed = 9;
	for (unsigned i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		sim_begin(&s, 10, 1, fine);
		for (double t = 0; t < 600; t += halves[i]) {
			sim_run(&s, halves[i], -1);
			s.path.dark ^= 1;
		}
		printf("# %.0f s good, %.0f s dark: %u moves in 10 minutes\n", halves[i], halves[i],
			s.changes);
		CU_ASSERT(s.changes >= 1 && s.changes <= 10);
		estimate_free(s.e);
	}
}

/* RFC 4231 4.2, 4.3 and 4.7 */
static void test_hmac(void)
{
	static const uint8_t first[] = { 0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8,
		0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b };
	static const uint8_t second[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e };
	static const uint8_t sixth[] = { 0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f };
	static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t key[131], mac[32];
	struct hmac hmac;

	memset(key, 0x0b, 20);
	hmac_key(&hmac, key, 20);
	CU_ASSERT(hmac_right(&hmac, "Hi There", 8, first, sizeof(first)));
	CU_ASSERT(!hmac_right(&hmac, "Hi there", 8, first, sizeof(first)));
	hmac_key(&hmac, "Jefe", 4);
	hmac_sign(&hmac, "what do ya want for nothing?", 28, mac);
	CU_ASSERT(!memcmp(mac, second, sizeof(second)));
	memset(key, 0xaa, sizeof(key));
	hmac_key(&hmac, key, sizeof(key));
	hmac_sign(&hmac, long_key, sizeof(long_key) - 1, mac);
	CU_ASSERT(!memcmp(mac, sixth, sizeof(sixth)));
	hmac_wipe(&hmac);
	for (size_t i = 0; i < sizeof(hmac); i++)
		CU_ASSERT(!((const uint8_t *)&hmac)[i]);
}

void unit_estimate(void)
{
	static const struct unit_test tests[] = {
		{ "hmac", test_hmac },
		{ "false_alarms", test_false_alarms },
		{ "loss", test_loss },
		{ "rise", test_rise },
		{ "black_hole", test_black_hole },
		{ "waiting", test_waiting },
		{ "unsendable", test_unsendable },
		{ "bucket", test_bucket },
		{ "oscillation", test_oscillation },
	};

	UNIT_SUITE("estimate", tests);
}
