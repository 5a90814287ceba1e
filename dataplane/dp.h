/* Starting and stopping, seen from inside (dp.c), and the workers' life (worker.c, rx.c). */
#ifndef LINTAS_DP_H
#define LINTAS_DP_H

#include "dataplane.h"

struct worker;

/* One line for the person who starts us: need, have, what to do. */
struct dp_err {
	char *text;
	size_t len;
};
int dp_fail(struct dp_err *err, int code, const char *fmt, ...) /* returns code */
	__attribute__((format(printf, 3, 4)));

/* EAL for this configuration, once; dp_start calls it, a test program may have done so before to
 * make devices of its own. The calling thread becomes the main lcore, on any CPU without a worker
 * if there is one; worker i is lcore i + 1, pinned to conf->cpus[i]. */
int dp_eal_start(const struct dp_conf *conf, struct dp_err *err);

/* worker.c: control thread. */
extern struct worker *worker_table[DP_WORKERS_MAX];
int worker_create(
	unsigned n, struct dp_err *err); /* counters, rings, the mbufs' meta field; needs pools */
int worker_launch(bool adaptive, struct dp_err *err);
void worker_join(void); /* tells them to finish and waits until they have */
void worker_free(void); /* rings are drained, every packet in them freed */

/* rx.c: a worker, one vector from each of its queues. Returns packets received. */
unsigned rx_poll(struct worker *w);
/* tx.c: a worker, frames others handed over. Returns how many. */
unsigned tx_inbox(struct worker *w);

#endif
