/* Link aggregation in the fast path: who collects, who distributes, which flow by whom (lag.c). */
#ifndef LINTAS_LAG_H
#define LINTAS_LAG_H

#include <stdatomic.h>
#include "dp.h"
#include "worker.h"

#define LAG_ETH_SLOW 0x8809 /* IEEE 802.3 57A: LACP, marker */
#define LAG_SLOTS    256
#define LAG_NOBODY   0xff
#define LAG_MARK     0x8000 /* in an mbuf's port: received on a member, the rest is its number */

struct lag {
	uint8_t n, min_links;	     /* constant while workers run, and so is port[] */
	uint16_t port[DP_LAG_MAX];   /* port number of each member */
	_Atomic uint32_t collecting; /* bit = member; written under lag.c's lock */
	uint32_t distributing;	     /* under the lock */
	/* By flow: the port to send on, or LAG_NOBODY. Written one by one under the lock, read by
	 * workers as they are. */
	_Atomic uint8_t slot[LAG_SLOTS];
};
extern struct lag lag_table[DP_PORTS_MAX]; /* by the LAG's port number */

/* port.c, planning: no LAG any more; one more member. */
void lag_forget(void);
void lag_member_add(unsigned lag, unsigned port);
int lag_init(void); /* -ENOMEM, -EMFILE */
void lag_exit(void);

/* carrier.c: a member's carrier changed. Any thread but a worker. */
void lag_carrier(unsigned port, bool up);

/* Workers. rx: packets that came by a member; those the LAG takes stay, in order; returns how many.
 * tx: consumes them. */
unsigned lag_collect(
	struct worker *w, uint16_t lag, uint16_t member, struct rte_mbuf **pkts, unsigned n);
void lag_spread(struct worker *w, unsigned lag, struct rte_mbuf **pkts, unsigned n);
/* parse.c: an untagged frame of a slow protocol. Consumes m. */
void lag_slow(struct worker *w, struct rte_mbuf *m);
/* LACP or marker, whole, and sent to the slow protocols' address? */
bool lag_slow_sane(const struct rte_mbuf *m);
/* Punt thread: up to control; mbuf_meta(m)->link is the member's port number. Consumes m. */
void lag_deliver(struct worker *self, struct rte_mbuf *m);

#endif
