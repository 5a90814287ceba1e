/* The punt thread: between the workers' rings and the kernel's interfaces (punt.c, tap.c). */
#ifndef LINTAS_PUNT_H
#define LINTAS_PUNT_H

#include "port.h"
#include "worker.h"

#define PUNT_HOLD_RING 256 /* a worker's packets for unknown neighbours */
enum {			   /* all of a worker's rings */
	PUNT_RINGS = PUNT_HOLD_RING
#define PUNT(name, text, budget, ring) +(ring)
#include "punt.def"
#undef PUNT
};
#define PUNT_INJECT  1024 /* frames and released packets for a worker */
#define WORKER_INBOX 2048 /* frames from other workers for a port this one owns */
#define WORKER_ESP   1024 /* packets from other workers for an SA this one owns */

/* What a worker does with an mbuf from its inject ring: mbuf_meta()->class holds it. */
enum inject { INJECT_FRAME, INJECT_RESUME, INJECT_FAIL };

int punt_start(struct dp_err *err); /* after pools and workers' rings exist */
void punt_stop(void);		    /* workers have stopped; frees every ring and what is in it */
void punt_wake(void);		    /* any thread: take a turn now */
/* Turns taken, and those that found something to do: counted before the turn itself. Any thread. */
uint64_t punt_turns(void);
uint64_t punt_busy_turns(void);
/* A worker: a slow-protocol frame of a LAG's member, by its port number. Consumes m. */
void punt_slow(struct worker *w, struct rte_mbuf *m, uint16_t member);
/* Punt thread: to the worker of that link, which does `what` with it. Consumes m. */
void punt_inject(struct worker *self, struct rte_mbuf *m, uint16_t link, enum inject what);

/* tap.c: the kernel's side. Punt thread, except tap_publish (control). */
void tap_init(int epoll_fd);
void tap_exit(void); /* no punt thread; forgets every interface */
int tap_publish(const struct dp_link *links, unsigned n);
bool tap_update(void); /* take what tap_publish left; true when there was something */
/* Write a frame to the interface of its link (mbuf_meta). Consumes m. */
void tap_write(struct worker *self, struct rte_mbuf *m);
/* The interface at index is readable, or broken: a bounded number of frames. Returns how many. */
unsigned tap_read(struct worker *self, unsigned index);
/* The worker that handles what goes out by link. */
unsigned tap_worker(uint16_t link);

#endif
