/* What routers of the underlay said that a tunnel carries: pmtu.c. */
#ifndef LINTAS_PMTU_H
#define LINTAS_PMTU_H

#include <stdatomic.h>
#include "pipeline.h"

/* By link: milliseconds at which it is forgotten << 16 | the largest inner packet + 1; 0: nothing
 * was said. */
extern _Atomic uint64_t pmtu_said[DP_LINKS_MAX];

/* The largest packet that may go into this tunnel, as far as was said. */
static inline unsigned pmtu_limit(uint16_t link)
{
	return (uint16_t)(atomic_load_explicit(&pmtu_said[link], memory_order_relaxed) - 1);
}

/* The largest IP packet that an adjacency takes now. */
static inline unsigned pmtu_adj(const struct adj *a)
{
	return a->outer_ip_off ? RTE_MIN((unsigned)a->mtu, pmtu_limit(a->link)) : a->mtu;
}

/* An ICMP message to us on link l, at off in k, which is whole: does it say that a packet of a
 * tunnel of ours was too big? Then what that tunnel carries is lowered. k stays the caller's. */
void pmtu_hear(struct worker *w, const struct packet *k, const struct link *l, unsigned off);
/* Punt thread, once a second or so: what was said ten minutes ago. */
void pmtu_expire(uint64_t now);
/* dp_publish: link ids that are now another tunnel's. */
void pmtu_forget(const struct link *was, const struct link *is);

#endif
