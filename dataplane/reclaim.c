/* Safe reclamation: what control takes out of sight of the workers lives until each of them has
 * been quiescent.
 *
 * Control defers (function, pointer) with a token of the qsbr variable, started after the pointer
 * was unlinked; entries wait in a ring in order of their tokens and run from its head. Nobody waits
 * for a worker: reclaim_poll stops at the first entry that is not safe, and reclaim_defer polls a
 * little itself whenever the ring is long, so that a burst of a million updates is reclaimed while
 * it goes on. Only when the ring may not grow any more does reclaim_defer wait, counted and
 * bounded; if even that does not help (a worker is stuck) the entry is leaked and counted: freeing
 * early is the one thing that never happens. Everything but online, offline and quiescent belongs
 * to the control thread. The memory of the qsbr variable is ours, so that no EAL is needed. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <rte_rcu_qsbr.h>
#include "reclaim.h"

#define ENTRIES_MIN 1024u
#define ENTRIES_MAX (1u << 20) /* 24 MB */
#define POLL_MAX    8192u      /* entries run by one reclaim_poll: about a millisecond */
#define CROWDED	    256u       /* from here on defer polls too, every POLL_EVERY entries */
#define POLL_EVERY  32u
#define WAIT_NS	    1000000000ull

struct entry {
	void (*fn)(void *ptr);
	void *ptr;
	uint64_t token;
};

static struct rte_rcu_qsbr *qsbr;
static struct entry *ring; /* capacity is a power of two */
static unsigned capacity, head, count;
static struct reclaim_stats stats;
static bool stuck; /* the last wait was in vain: do not wait again before something has moved */

int reclaim_init(unsigned n_workers)
{
	size_t bytes = n_workers ? rte_rcu_qsbr_get_memsize(n_workers) : 1;
	struct entry *entries;
	struct rte_rcu_qsbr *v;

	if (bytes == 1)
		return -EINVAL;
	reclaim_flush();
	bytes = (bytes + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
	v = aligned_alloc(RTE_CACHE_LINE_SIZE, bytes);
	entries = malloc(ENTRIES_MIN * sizeof(*entries));
	if (!v || !entries || rte_rcu_qsbr_init(v, n_workers))
		goto fail;
	for (unsigned i = 0; i < n_workers; i++)
		if (rte_rcu_qsbr_thread_register(v, i))
			goto fail;
	free(qsbr);
	free(ring);
	qsbr = v;
	ring = entries;
	capacity = ENTRIES_MIN;
	head = count = 0;
	stats = (struct reclaim_stats){ 0 };
	stuck = false;
	return 0;
fail:
	free(v);
	free(entries);
	return -ENOMEM;
}

/* Run the head's entries that are safe, at most max of them. */
static unsigned run(unsigned max)
{
	unsigned done = 0;

	while (count && done < max && rte_rcu_qsbr_check(qsbr, ring[head].token, false) == 1) {
		struct entry e = ring[head];

		head = (head + 1) & (capacity - 1);
		count--;
		done++;
		e.fn(e.ptr); /* may defer again */
	}
	return done;
}

static int grow(void)
{
	struct entry *bigger;

	if (capacity >= ENTRIES_MAX)
		return -ENOSPC;
	bigger = malloc(2 * (size_t)capacity * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		bigger[i] = ring[(head + i) & (capacity - 1)];
	free(ring);
	ring = bigger;
	capacity *= 2;
	head = 0;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int wait_for_room(void)
{
	uint64_t end = now_ns() + WAIT_NS;

	stats.waits++;
	while (!run(POLL_MAX)) {
		struct timespec nap = { .tv_nsec = 50000 };

		if (stuck || now_ns() > end) {
			stuck = true;
			return -ETIMEDOUT;
		}
		nanosleep(&nap, NULL);
	}
	stuck = false;
	return 0;
}

void reclaim_defer(void (*fn)(void *ptr), void *ptr)
{
	if (!qsbr) { /* before reclaim_init there are no workers */
		fn(ptr);
		return;
	}
	if (count >= CROWDED && !(count % POLL_EVERY))
		run(2 * POLL_EVERY);
	if (count == capacity && grow() && wait_for_room()) {
		stats.leaked++;
		return;
	}
	ring[(head + count) & (capacity - 1)] = (struct entry){ fn, ptr, rte_rcu_qsbr_start(qsbr) };
	count++;
}

void reclaim_poll(void)
{
	if (qsbr)
		run(POLL_MAX);
}

void reclaim_flush(void)
{
	while (count) {
		struct entry e = ring[head];

		head = (head + 1) & (capacity - 1);
		count--;
		e.fn(e.ptr);
	}
}

void reclaim_stats(struct reclaim_stats *ret_stats)
{
	*ret_stats = stats;
	ret_stats->waiting = count;
}

void reclaim_online(unsigned worker)
{
	rte_rcu_qsbr_thread_online(qsbr, worker);
}

void reclaim_offline(unsigned worker)
{
	rte_rcu_qsbr_thread_offline(qsbr, worker);
}

void reclaim_quiescent(unsigned worker)
{
	rte_rcu_qsbr_quiescent(qsbr, worker);
}
