/* Safe reclamation: control replaces, workers may still be reading, memory goes when nobody can be.
 * One rte_rcu_qsbr variable; a FIFO of (function, pointer, token). Control thread only. */
#ifndef LINTAS_RECLAIM_H
#define LINTAS_RECLAIM_H

#include <stdint.h>

int reclaim_init(unsigned n_workers);
/* Call fn(ptr) once every worker has been quiescent. Never waits; on no memory it waits up to a
 * bound, counted, rather than leak or free early. */
void reclaim_defer(void (*fn)(void *ptr), void *ptr);
void reclaim_poll(void);  /* run what has become safe */
void reclaim_flush(void); /* workers have stopped: run everything */
struct reclaim_stats {
	uint64_t waiting; /* entries not yet safe */
	uint64_t waits;	  /* times reclaim_defer had to wait for room */
	uint64_t leaked; /* entries given up, because a worker did not become quiescent even then */
};
void reclaim_stats(struct reclaim_stats *ret_stats);
/* Workers: */
void reclaim_online(unsigned worker);
void reclaim_offline(unsigned worker); /* before a nap or exit */
void reclaim_quiescent(unsigned worker);

#endif
