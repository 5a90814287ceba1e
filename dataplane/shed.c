/* Shedding: when a port receives more than its worker can take, control is not what is lost first.
 *
 * A queue that overflows loses frames whoever they are for, BFD's as well, and then links that are
 * well are called dead. So while a device itself reports that it lost frames, and not just some
 * (missed.c), a share of each full vector of it (full: more is waiting) is dropped early, by the
 * name `shed`, at a fraction of the cost of forwarding; what the router lives by (BFD, BGP, IKE,
 * VRRP, LACP, ARP, ND) is left out of that. The queue is emptied faster, and what is lost is then
 * chosen. The share is looked for: more after each look with losses but the first, which may have
 * been a burst; less after each without; never more than SHARE_MAX, so that most of what could be
 * forwarded still is. What merely looks like control is no way around it: a quarter of a vector at
 * most is spared. What cannot be seen here is data: sessions within a tunnel (ESP, GRE), later
 * fragments of IKE. A device that does not report what it lost is never overloaded by this
 * definition.
 *
 * shed_look runs in the punt thread, shed_vector in workers. */
#include <netinet/in.h>
#include <rte_ethdev.h>
#include "event.h"
#include "flow.h"
#include "parse.h"
#include "pipeline.h"
#include "port.h"
#include "shed.h"

#define LOSS_MIN   16	/* frames a look: what a kernel interface drops for other reasons is less */
#define LOSS_PART  1000 /* of those received: fewer do BFD no harm */
#define RAISE	   2	/* sixteenths a look */
#define CALM_LOOKS (2000 / SHED_LOOK_MS) /* without a loss, before it is said to be over */
#define SPARE_MAX  (VECTOR_MAX / 4)

_Atomic uint8_t shed_share[DP_PORTS_MAX];

static struct { /* the punt thread's */
	uint64_t missed, received;
	struct shed_state state;
} looked[DP_PORTS_MAX];

/* ---- the punt thread ---- */
static bool missed_now(unsigned p, uint64_t *ret, uint64_t *ret_received)
{
	struct rte_eth_stats stats;

	if (!port_table[p].started || port_is_lag(&port_table[p]) || missed_stats(p, false, &stats))
		return false;
	*ret = missed_count(p, &stats);
	*ret_received = stats.ipackets;
	return true;
}

void shed_init(void)
{
	memset(looked, 0, sizeof(looked));
	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		atomic_store(&shed_share[p], 0);
		missed_now(p, &looked[p].missed, &looked[p].received);
	}
}

bool shed_is_loss(uint64_t missed, uint64_t received)
{
	return missed >= LOSS_MIN && missed > received / LOSS_PART;
}

enum shed_said shed_step(struct shed_state *s, bool lost)
{
	if (lost) {
		s->calm = 0;
		s->losses++;
		if (s->losses >= 2)
			s->share = RTE_MIN(s->share + RAISE, SHED_SHARE_MAX);
	} else {
		s->calm++;
		s->losses = 0;
		s->share -= s->share > 0;
	}
	if (s->share && !s->on) {
		s->on = true;
		return SHED_BEGINS;
	}
	if (s->on && s->calm >= CALM_LOOKS) {
		s->on = false;
		return SHED_ENDS;
	}
	return SHED_SILENT;
}

void shed_look(void)
{
	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		struct dp_event event = { .port = (uint16_t)p };
		uint64_t missed, received, lost, got;
		enum shed_said said;

		if (!missed_now(p, &missed, &received))
			continue;
		lost = missed > looked[p].missed ? missed - looked[p].missed : 0;
		got = received > looked[p].received ? received - looked[p].received : 0;
		said = shed_step(&looked[p].state, shed_is_loss(lost, got));
		looked[p].missed = missed;
		looked[p].received = received;
		atomic_store_explicit(
			&shed_share[p], (uint8_t)looked[p].state.share, memory_order_relaxed);
		if (said == SHED_SILENT)
			continue;
		event.kind = said == SHED_BEGINS ? DP_EV_SHED_ON : DP_EV_SHED_OFF;
		event_send(&event);
	}
}

/* ---- workers ---- */
static bool is_control_l4(uint8_t proto, const uint8_t *l4, unsigned len)
{
	uint16_t to;

	if (proto == 112) /* VRRP, RFC 9568 5.1.1.4 */
		return true;
	if (proto == IPPROTO_ICMPV6) /* neighbour discovery, RFC 4861 4 */
		return len >= 1 && l4[0] >= 133 && l4[0] <= 137;
	if (len < 4 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return false;
	to = flow_be16(l4 + 2);
	if (proto == IPPROTO_TCP)
		return to == 179 || flow_be16(l4) == 179;
	if (to == 4500) /* IKE and not ESP: RFC 3948 2.2 */
		return len >= 12 && !flow_be32(l4 + 8);
	return to == 3784 || to == 3785 || to == 4784 || to == 500;
}

bool shed_is_control(const uint8_t *frame, unsigned len)
{
	unsigned at = 12, ihl;
	uint16_t type;

	if (len < ETH_MIN)
		return false;
	type = flow_be16(frame + at);
	for (unsigned tags = 0;
		tags < 2 && (type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ); tags++) {
		at += 4;
		if (len < at + 2)
			return false;
		type = flow_be16(frame + at);
	}
	at += 2;
	if (type == RTE_ETHER_TYPE_ARP || type == RTE_ETHER_TYPE_SLOW)
		return true;
	if (type == RTE_ETHER_TYPE_IPV4 && len >= at + 20) {
		ihl = (frame[at] & 15u) * 4;
		/* of a later fragment the ports are not here */
		return ihl >= 20 && len >= at + ihl && !(flow_be16(frame + at + 6) & 0x1fff) &&
		       is_control_l4(frame[at + 9], frame + at + ihl, len - at - ihl);
	}
	if (type == RTE_ETHER_TYPE_IPV6 && len >= at + 40)
		return is_control_l4(frame[at + 6], frame + at + 40, len - at - 40);
	return false;
}

unsigned shed_vector(struct worker *w, struct rte_mbuf **pkts, unsigned n, unsigned share)
{
	unsigned kept = 0, spared = 0, debt = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		debt += share;
		if (debt < 16) {
			pkts[kept++] = m;
		} else if (spared < SPARE_MAX &&
			   shed_is_control(
				   rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m))) {
			spared++; /* another one instead */
			pkts[kept++] = m;
		} else {
			debt -= 16;
			drop(w, m, 0, DP_DROP_shed);
		}
	}
	return kept;
}
