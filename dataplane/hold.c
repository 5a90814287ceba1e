/* Packets whose next hop's link-layer address is not known yet, held for the second or so that
 * asking takes.
 *
 * They are held by the punt thread, not by the workers: there is one place to look when the answer
 * comes, workers need no timers and no locks, and a scan of addresses that nobody has costs them a
 * ring write each and nothing else; neighbours that are known never come here. A worker's packet
 * comes up by ring (punt.c), the first one for a neighbour raises DP_EV_NEIGH_MISS, at most one a
 * second, and control asks the kernel and says dp_hold_release. The packets then go back to the
 * worker of the egress link, to be routed again or to be answered with an ICMP unreachable; so they
 * do after three seconds of silence. Of each neighbour the newest four are kept (RFC 4861 7.2.2: a
 * new one replaces the oldest; RFC 1122 2.3.2.2). A neighbour that failed stays known as such until
 * its three seconds are over, so that it is not asked for at once again. */
#define HASH_NONFATAL_OOM 1
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>
#include <rte_cycles.h>
#include "event.h"
#include "hold.h"
#include "port.h"
#include "punt.h"

#define HOLD_NEIGHS 4096 /* entries in all, with and without packets */

struct hold {
	struct hold_key {
		uint16_t link;
		struct ip_addr addr;
	} key;
	unsigned n;
	struct rte_mbuf *m[HOLD_NEIGH_MAX]; /* oldest first */
	uint64_t deadline, reported;	    /* TSC; reported 0 = not yet */
	UT_hash_handle hh;
	TAILQ_ENTRY(hold) order;
};
TAILQ_HEAD(hold_list, hold);

static struct hold entries[HOLD_NEIGHS];
static struct hold *by_key;
static struct hold_list by_deadline, unused;
static uint16_t of_link[DP_LINKS_MAX];
static atomic_uint held;

unsigned hold_count(void)
{
	return atomic_load_explicit(&held, memory_order_relaxed);
}

void hold_init(void)
{
	memset(of_link, 0, sizeof(of_link));
	by_key = NULL;
	TAILQ_INIT(&by_deadline);
	TAILQ_INIT(&unused);
	for (unsigned i = 0; i < HOLD_NEIGHS; i++)
		TAILQ_INSERT_TAIL(&unused, &entries[i], order);
	atomic_store(&held, 0);
}

static struct hold_key hold_key(uint16_t link, const struct ip_addr *addr)
{
	struct hold_key key;

	memset(&key, 0, sizeof(key)); /* hashed as bytes */
	key.link = link;
	key.addr.af = addr->af;
	memcpy(key.addr.bytes, addr->bytes, sizeof(key.addr.bytes));
	return key;
}

static struct hold *hold_find(const struct hold_key *key)
{
	struct hold *h;

	HASH_FIND(hh, by_key, key, sizeof(*key), h);
	return h;
}

static void hold_delete(struct hold *h)
{
	HASH_DEL(by_key, h);
	TAILQ_REMOVE(&by_deadline, h, order);
	TAILQ_INSERT_TAIL(&unused, h, order);
	of_link[h->key.link]--;
}

/* RFC 6583 7: a scan of unknown addresses fills its link's share; who came first makes room, so
 * that a neighbour that is really there is asked for all the same. */
static void hold_evict(struct worker *self, uint16_t link)
{
	struct hold *old;

	TAILQ_FOREACH(old, &by_deadline, order)
		if (old->key.link == link)
			break;
	if (!old)
		return;
	for (unsigned i = 0; i < old->n; i++)
		drop(self, old->m[i], mbuf_meta(old->m[i])->link, DP_DROP_neigh_full);
	atomic_fetch_sub_explicit(&held, old->n, memory_order_relaxed);
	old->n = 0;
	hold_delete(old);
}

static struct hold *hold_new(struct worker *self, const struct hold_key *key, uint64_t now)
{
	struct hold *h;

	if (of_link[key->link] >= HOLD_LINK_MAX)
		hold_evict(self, key->link);
	h = TAILQ_FIRST(&unused);
	if (!h)
		return NULL;
	h->key = *key;
	h->n = 0;
	h->reported = 0;
	h->deadline = now + HOLD_SECONDS * rte_get_tsc_hz();
	HASH_ADD(hh, by_key, key, sizeof(h->key), h);
	if (!h->hh.tbl) /* no memory */
		return NULL;
	TAILQ_REMOVE(&unused, h, order);
	TAILQ_INSERT_TAIL(&by_deadline, h, order);
	of_link[key->link]++;
	return h;
}

/* The packets leave: to their worker, in the order they came. */
static void hold_return(struct worker *self, struct hold *h, enum inject what)
{
	for (unsigned i = 0; i < h->n; i++)
		punt_inject(self, h->m[i], h->key.link, what);
	atomic_fetch_sub_explicit(&held, h->n, memory_order_relaxed);
	h->n = 0;
}

static void hold_report(struct hold *h, uint64_t now)
{
	struct dp_event event = {
		.kind = DP_EV_NEIGH_MISS, .port = DP_NONE, .link = h->key.link, .addr = h->key.addr
	};

	if (h->reported && now - h->reported < rte_get_tsc_hz())
		return;
	if (event_send(&event)) /* else the next packet tries again */
		h->reported = now;
}

void hold_add(struct worker *self, struct rte_mbuf *m, const struct ip_addr *nexthop, uint64_t now)
{
	struct hold_key key = hold_key(mbuf_meta(m)->out_link, nexthop);
	struct hold *h = hold_find(&key);

	if (!h)
		h = hold_new(self, &key, now);
	if (!h || (!h->n && hold_count() >= HOLD_MAX)) {
		drop(self, m, mbuf_meta(m)->link, DP_DROP_neigh_full);
		return;
	}
	if (h->n == HOLD_NEIGH_MAX || hold_count() >= HOLD_MAX) {
		drop(self, h->m[0], mbuf_meta(h->m[0])->link, DP_DROP_neigh_full);
		memmove(h->m, h->m + 1, --h->n * sizeof(h->m[0]));
		atomic_fetch_sub_explicit(&held, 1, memory_order_relaxed);
	}
	if (!h->n) { /* new, or failed a moment ago: three seconds from here */
		h->deadline = now + HOLD_SECONDS * rte_get_tsc_hz();
		TAILQ_REMOVE(&by_deadline, h, order);
		TAILQ_INSERT_TAIL(&by_deadline, h, order);
	}
	h->m[h->n++] = m;
	atomic_fetch_add_explicit(&held, 1, memory_order_relaxed);
	hold_report(h, now);
}

void hold_settle(struct worker *self, uint16_t link, const struct ip_addr *addr, bool ok)
{
	struct hold_key key = hold_key(link, addr);
	struct hold *h = hold_find(&key);

	if (!h)
		return;
	hold_return(self, h, ok ? INJECT_RESUME : INJECT_FAIL);
	if (ok)
		hold_delete(h);
}

int hold_expire(struct worker *self, uint64_t now)
{
	struct hold *h;

	while ((h = TAILQ_FIRST(&by_deadline)) && h->deadline <= now) {
		hold_return(self, h, INJECT_FAIL);
		hold_delete(h);
	}
	return h ? (int)((h->deadline - now) * 1000 / rte_get_tsc_hz()) + 1 : -1;
}

void hold_exit(struct worker *self)
{
	struct hold *h;

	while ((h = TAILQ_FIRST(&by_deadline))) {
		for (unsigned i = 0; i < h->n; i++)
			drop(self, h->m[i], mbuf_meta(h->m[i])->link, DP_DROP_neigh_fail);
		hold_delete(h);
	}
	atomic_store(&held, 0);
}
