/* Events from the punt thread and EAL's interrupt thread to control: two bounded rings and an
 * eventfd; from workers a bit for each BFD session or SA that changed, which cannot be lost.
 *
 * Ports have a ring of their own, which is emptied first: a storm of neighbour misses must never
 * delay or lose the news that a carrier went. When a ring is full the oldest events are kept and
 * the new one is counted as lost; what a lost event would have said can be had again (dp_port_info;
 * the next packet for the neighbour). Producers enqueue and then write the eventfd; the consumer,
 * control, clears the eventfd only after finding both rings empty and looks once more afterwards,
 * so that no event stays unannounced. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <rte_ring_elem.h>
#include "event.h"

#define PORT_EVENTS  256
#define NEIGH_EVENTS 1024

_Static_assert(sizeof(struct dp_event) % 4 == 0, "rte_ring elements are multiples of four bytes");

static struct rte_ring *port_ring, *neigh_ring;
static int event_fd = -1;
static uint64_t lost;
static struct changed {
	uint8_t kind;
	unsigned words;
	_Atomic uint64_t bits[DP_SAS_MAX / 64];
	atomic_bool any;
} bfd_changed = { .kind = DP_EV_BFD, .words = DP_BFD_MAX / 64 },
  sa_changed = { .kind = DP_EV_SA, .words = DP_SAS_MAX / 64 };

int event_init(void)
{
	port_ring = rte_ring_create_elem(
		"event_port", sizeof(struct dp_event), PORT_EVENTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	neigh_ring = rte_ring_create_elem(
		"event_neigh", sizeof(struct dp_event), NEIGH_EVENTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (port_ring && neigh_ring && event_fd >= 0)
		return 0;
	int err = event_fd < 0 ? -errno : -ENOMEM;
	event_exit();
	return err;
}

void event_exit(void)
{
	rte_ring_free(port_ring);
	rte_ring_free(neigh_ring);
	port_ring = neigh_ring = NULL;
	if (event_fd >= 0)
		close(event_fd);
	event_fd = -1;
}

static void event_ring_bell(void)
{
	uint64_t one = 1;

	/* Can only fail with EAGAIN, when the counter is full and so readable already. */
	if (write(event_fd, &one, sizeof(one)) < 0)
		return;
}

bool event_send(const struct dp_event *event)
{
	struct rte_ring *ring = event->kind == DP_EV_NEIGH_MISS || event->kind == DP_EV_MTU
					? neigh_ring
					: port_ring;

	if (!ring || rte_ring_enqueue_elem(ring, (void *)(uintptr_t)event, sizeof(*event))) {
		__atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	event_ring_bell();
	return true;
}

static void changed_set(struct changed *c, unsigned i)
{
	atomic_fetch_or(&c->bits[i / 64], UINT64_C(1) << i % 64);
	if (!atomic_exchange(&c->any, true))
		event_ring_bell();
}

void event_bfd(unsigned session)
{
	changed_set(&bfd_changed, session);
}

void event_sa(unsigned sa)
{
	changed_set(&sa_changed, sa);
}

static bool changed_take(struct changed *c, struct dp_event *ret_event)
{
	if (!atomic_load_explicit(&c->any, memory_order_relaxed))
		return false;
	atomic_store(&c->any, false); /* who sets a bit from here on rings again */
	for (unsigned i = 0; i < c->words; i++) {
		uint64_t bits = atomic_load(&c->bits[i]), bit = bits & -bits;

		if (!bits)
			continue;
		atomic_fetch_and(&c->bits[i], ~bit);
		atomic_store(
			&c->any, true); /* there may be more: asked again until there is none */
		*ret_event = (struct dp_event){ .kind = c->kind,
			.session = (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(bit)) };
		return true;
	}
	return false;
}

uint64_t event_lost(void)
{
	return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

int dp_event_fd(void)
{
	return event_fd;
}

static bool event_take(struct dp_event *ret_event)
{
	return !rte_ring_dequeue_elem(port_ring, ret_event, sizeof(*ret_event)) ||
	       changed_take(&bfd_changed, ret_event) || changed_take(&sa_changed, ret_event) ||
	       !rte_ring_dequeue_elem(neigh_ring, ret_event, sizeof(*ret_event));
}

bool dp_event_next(struct dp_event *ret_event)
{
	uint64_t count;

	if (!port_ring)
		return false;
	if (event_take(ret_event))
		return true;
	if (read(event_fd, &count, sizeof(count)) < 0)
		return false; /* not readable: nothing was announced since */
	if (!event_take(ret_event))
		return false;
	event_ring_bell(); /* it came in between, and others may have */
	return true;
}
