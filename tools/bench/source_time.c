/* Time: frames at a given pace, and how old they are when the router sends them.
 *
 * Both are for measuring latency and cost nothing while their control words are zero. A paced frame
 * is due at a moment of its own, whether or not the router asks for it then; up to 1,024 wait, as
 * in a NIC's ring, and what comes due beyond is missed and counted. A stamp is the moment a frame
 * was due, so that waiting counts. Source and sink read the same TSC. */
#include <string.h>
#include <time.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include "source.h"

#define STAMPED_MIN (14 + 20 + 8 + 8) /* no stamp over a header */
#define OWN_LATE    (SOURCE_WAITING / 4)
#define OWN_EVERY   UINT64_C(2000000) /* cycles */
#define AGE_MAX	    (UINT64_C(1) << 40)

/* How long the worker did not run since the last look, in 256ths of a cycle. */
static uint64_t time_away(struct rx_queue *q)
{
	uint64_t tsc = rte_rdtsc(), ns, ran, passed = tsc - q->own_tsc;
	bool first = !q->own_tsc;
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	ran = (ns - q->own_ns) * (rte_get_tsc_hz() / 1000) / 1000000;
	q->own_tsc = tsc;
	q->own_ns = ns;
	return !first && passed > ran ? (passed - ran) << 8 : 0;
}

unsigned time_due(struct rx_queue *q, unsigned n)
{
	uint64_t now = rte_rdtsc() << 8, waiting;

	if (!q->due)
		q->due = now;
	/* A look costs a system call: when many have come due, and often enough. */
	if (q->own_time &&
		(now > q->due + OWN_LATE * q->pace || now - (q->own_tsc << 8) > OWN_EVERY << 8))
		q->due += time_away(q);
	if (now < q->due)
		return 0;
	waiting = (now - q->due) / q->pace + 1;
	if (waiting > SOURCE_WAITING) {
		uint64_t missed = waiting - SOURCE_WAITING;

		q->line->missed += missed;
		q->due += missed * q->pace;
		waiting = SOURCE_WAITING;
	}
	return RTE_MIN(n, waiting);
}

/* The last bytes of a frame of one segment that has room for a stamp, or NULL. */
static uint8_t *stamp_of(struct rte_mbuf *m)
{
	if (m->data_len < STAMPED_MIN || m->data_len != m->pkt_len)
		return NULL;
	return rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - sizeof(uint64_t));
}

void time_stamp(struct rx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	uint64_t moment = q->pace ? q->due : rte_rdtsc() << 8;

	q->due += n * q->pace;
	if (!q->stamp)
		return;
	for (unsigned i = 0; i < n; i++, moment += q->pace) {
		uint64_t tsc = moment >> 8;
		uint8_t *at = stamp_of(pkts[i]);

		if (at)
			memcpy(at, &tsc, sizeof(tsc));
	}
}

static unsigned age_word(uint64_t age)
{
	unsigned e = 63 - __builtin_clzll(age | 1);

	return age < 16 ? age : 16 * (e - 3) + (age >> (e - 4)) % 16;
}

void time_ages(struct tx_queue *q, struct rte_mbuf **pkts, unsigned n)
{
	uint64_t now = rte_rdtsc(), tsc;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = stamp_of(pkts[i]);

		if (!at)
			continue;
		memcpy(&tsc, at, sizeof(tsc));
		if (now - tsc < AGE_MAX) /* else it is none: an error of the router's own */
			q->ages[age_word(now - tsc)]++;
	}
}
