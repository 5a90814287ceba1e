/* From single probes to a verdict about a path: estimate.c. Pure; times are CLOCK_MONOTONIC ns, or
 * any clock that only grows. */
#ifndef LINTAS_ESTIMATE_H
#define LINTAS_ESTIMATE_H

#include "health.h"

#define ESTIMATE_LINK UINT8_MAX /* all buckets together */

struct estimate_conf {
	uint16_t rate; /* probes a second, of all buckets together */
	uint8_t buckets;
	struct cfg_slo slo; /* 0: loss 1 %, rise 20 ms; p99 and jitter are not judged */
};

struct estimate;
struct estimate *estimate_new(const struct estimate_conf *conf, uint64_t now_ns); /* NULL: memory */
void estimate_free(struct estimate *e);
/* A probe of this bucket has been judged. */
void estimate_answer(struct estimate *e, uint8_t bucket, uint32_t rtt_us, uint64_t now_ns);
void estimate_lost(struct estimate *e, uint8_t bucket, uint64_t now_ns);
/* So many probes of the bucket have left since its beginning, without those that could not: silence
 * counts only while we ask. */
void estimate_sent(struct estimate *e, uint8_t bucket, uint64_t sent);
/* Several times a second: the verdict, and the reason for it when it is not good. */
enum health estimate_judge(struct estimate *e, uint64_t now_ns, const char **ret_why);

/* No answer yet, and not yet for so long that it is bad: unknown, which is judged as good. */
bool estimate_waiting(const struct estimate *e);

struct estimate_report {
	bool suspect;			   /* what would make the link grey, or bad, is seen here */
	int64_t loss_1m_ppm, loss_10m_ppm; /* < 0: nothing judged */
	int64_t p50_us, p99_us;		   /* of one to two minutes; < 0: no answer */
	uint32_t jitter_us, usual_us;	   /* usual: the median's own past; 0: not known yet */
	uint64_t since_ns;		   /* the link's verdict holds since then */
	uint64_t before_first; /* probes.c's: sent before anything answered, and lost: not judged */
};
void estimate_report(const struct estimate *e, uint8_t bucket, uint64_t now_ns,
	struct estimate_report *ret_report);

#endif
