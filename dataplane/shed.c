/* Shedding: when a port receives more than its worker can take, control survives.
 *
 * A queue that overflows loses frames whoever they are for, BFD's as well, and then links that are
 * well are called dead. So when a device itself reports that it lost frames (imissed), and until it
 * has not for two seconds, every full vector of it, which means that more is waiting, is looked at
 * first: what the router lives by (BFD, BGP, IKE, VRRP, LACP, ARP, ND) goes on, everything else is
 * dropped early, by the name `shed`, at a fraction of the cost of forwarding it; so the queue is
 * emptied, vectors are no longer full, and those are forwarded whole. What merely looks like
 * control is no way around it: a quarter of a vector is kept at most, and budgets come later.
 * A device that does not report what it lost is never overloaded by this definition.
 *
 * shed_look runs in the punt thread, the rest in workers. */
#include <netinet/in.h>
#include <rte_ethdev.h>
#include "event.h"
#include "flow.h"
#include "parse.h"
#include "pipeline.h"
#include "port.h"
#include "shed.h"

#define CALM_LOOKS (2000 / SHED_LOOK_MS) /* without a loss, before it is over */
#define KEEP_MAX   (VECTOR_MAX / 4)

atomic_bool shed_ports[DP_PORTS_MAX];
static uint64_t missed[DP_PORTS_MAX]; /* punt thread's */
static unsigned calm[DP_PORTS_MAX];

void shed_init(void)
{
	struct rte_eth_stats stats;

	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		atomic_store(&shed_ports[p], false);
		if (!port_table[p].started || port_is_lag(&port_table[p]))
			continue;
		missed[p] = rte_eth_stats_get(port_table[p].ethdev, &stats) ? 0 : stats.imissed;
	}
}

static void set(unsigned p, bool on)
{
	struct dp_event event = { .kind = on ? DP_EV_SHED_ON : DP_EV_SHED_OFF,
		.port = (uint16_t)p };

	if (atomic_exchange_explicit(&shed_ports[p], on, memory_order_relaxed) != on)
		event_send(&event);
}

void shed_look(void)
{
	struct rte_eth_stats stats;

	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		if (!port_table[p].started || port_is_lag(&port_table[p]) ||
			rte_eth_stats_get(port_table[p].ethdev, &stats))
			continue;
		if (stats.imissed > missed[p]) {
			calm[p] = 0;
			set(p, true);
		} else if (atomic_load_explicit(&shed_ports[p], memory_order_relaxed) &&
			   ++calm[p] >= CALM_LOOKS) {
			set(p, false);
		}
		missed[p] = stats.imissed;
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

unsigned shed_vector(struct worker *w, struct rte_mbuf **pkts, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (kept < KEEP_MAX && shed_is_control(rte_pktmbuf_mtod(m, const uint8_t *),
					       rte_pktmbuf_data_len(m)))
			pkts[kept++] = m;
		else
			drop(w, m, 0, DP_DROP_shed);
	}
	return kept;
}
