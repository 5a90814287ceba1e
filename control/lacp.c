/* The state machines of LACP for one LAG: IEEE 802.1AX-2014 6.4.12 receive, 6.4.13 periodic, 6.4.14
 * selection, 6.4.15 mux with independent control of collecting and distributing, 6.4.16 transmit.
 *
 * We are always active, and have one aggregator: the members that may join it are those whose
 * partner is one system with one key. Which one is decided by the most members and then kept for as
 * long as one of them is left, so that a single miscabled member cannot move the others. A member
 * that hears nobody takes no part: there is no falling back to a link without LACP. One member is a
 * LAG. lacp_run repeats the machines until none moves; each only goes forward along the standard's
 * arcs, and the bound is a seat belt. */
#include <string.h>
#include "lacp.h"

#define SECOND	   1000000000ull
#define FAST_S	   1  /* 6.4.4 */
#define SLOW_S	   30 /* of the period; a timeout is three of them */
#define WAIT_S	   2
#define PRIORITY   65535 /* the partner decides where somebody must */
#define TURNS_MAX  32
#define SENT_COUNT (sizeof(((struct lacp_member *)0)->sent) / sizeof(uint64_t))

static const char alone[] = "no LACP from the partner";

/* What is assumed of a partner that has not spoken: short timeout, so that we speak every second.
 */
static const struct lacp_info nobody = { .state = LACP_TIMEOUT };

void lacp_init(struct lacp *l, unsigned n, const uint8_t system[6], uint16_t key, bool fast)
{
	memset(l->member, 0, sizeof(l->member));
	l->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct lacp_info *actor = &l->member[i].actor;

		*actor = (struct lacp_info){ .system_priority = PRIORITY,
			.key = key,
			.port_priority = PRIORITY,
			.port = (uint16_t)(i + 1) };
		memcpy(actor->system, system, 6);
		actor->state = LACP_ACTIVITY | LACP_AGGREGATION | (fast ? LACP_TIMEOUT : 0);
		actor->state |= LACP_DEFAULTED;
		l->member[i].partner = nobody;
		l->member[i].unfit = alone;
	}
}

static void set_state(struct lacp_info *info, uint8_t bits, bool on)
{
	info->state = (uint8_t)(on ? info->state | bits : info->state & ~bits);
}

/* ---- receive, 6.4.12 ---- */
static void rx_expired(struct lacp_member *m, uint64_t now)
{
	m->rx = LACP_RX_EXPIRED;
	set_state(&m->partner, LACP_SYNC, false);
	set_state(&m->partner, LACP_TIMEOUT, true);
	set_state(&m->actor, LACP_EXPIRED, true);
	m->current_until = now + 3 * FAST_S * SECOND;
}

static void rx_defaulted(struct lacp_member *m)
{
	m->rx = LACP_RX_DEFAULTED;
	m->selected = false;
	m->partner = nobody;
	set_state(&m->actor, LACP_DEFAULTED, true);
	set_state(&m->actor, LACP_EXPIRED, false);
}

static void run_receive(struct lacp_member *m, uint64_t now)
{
	if (!m->enabled) {
		m->rx = LACP_RX_DISABLED;
		set_state(&m->partner, LACP_SYNC, false);
	} else if (m->rx == LACP_RX_DISABLED) {
		rx_expired(m, now);
	} else if (m->rx == LACP_RX_CURRENT && now >= m->current_until) {
		m->expirations++;
		rx_expired(m, now);
	} else if (m->rx == LACP_RX_EXPIRED && now >= m->current_until) {
		rx_defaulted(m);
	}
}

/* Who it is, not what it does. */
static bool same_port(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->port == b->port && a->port_priority == b->port_priority &&
	       a->system_priority == b->system_priority && a->key == b->key &&
	       !memcmp(a->system, b->system, 6) && !((a->state ^ b->state) & LACP_AGGREGATION);
}

void lacp_enable(struct lacp *l, unsigned member, bool enabled)
{
	l->member[member].enabled = enabled;
}

void lacp_receive(struct lacp *l, unsigned member, const struct lacp_pdu *pdu, uint64_t now)
{
	struct lacp_member *m = &l->member[member];
	const uint8_t heed = LACP_ACTIVITY | LACP_TIMEOUT | LACP_SYNC | LACP_AGGREGATION;
	const struct lacp_info *us = &pdu->partner;
	bool knows_us = same_port(us, &m->actor), active, single;

	if (!m->enabled)
		return;
	m->rx_pdus++;
	if (!same_port(&pdu->actor, &m->partner)) /* update_Selected */
		m->selected = false;
	if (!knows_us || (us->state ^ m->actor.state) & heed) /* update_NTT */
		m->ntt = true;
	/* recordPDU: in sync, if it means us and one of us keeps speaking */
	active = pdu->actor.state & LACP_ACTIVITY || us->state & LACP_ACTIVITY;
	single = !(pdu->actor.state & LACP_AGGREGATION);
	m->partner = pdu->actor;
	if (!active || (!knows_us && !single))
		set_state(&m->partner, LACP_SYNC, false);
	set_state(&m->actor, LACP_DEFAULTED | LACP_EXPIRED, false);
	m->rx = LACP_RX_CURRENT;
	m->current_until = now + 3 * (m->actor.state & LACP_TIMEOUT ? FAST_S : SLOW_S) * SECOND;
}

/* ---- selection, 6.4.14 ---- */
static bool same_partner(const struct lacp_member *a, const struct lacp_member *b)
{
	if (a == b)
		return true;
	/* Who cannot aggregate is a link by itself. */
	return a->partner.state & b->partner.state & LACP_AGGREGATION &&
	       a->partner.system_priority == b->partner.system_priority &&
	       a->partner.key == b->partner.key &&
	       !memcmp(a->partner.system, b->partner.system, 6) &&
	       (a->speed == b->speed || !a->speed || !b->speed);
}

static bool is_fit(const struct lacp_member *m)
{
	if (m->actor.state & LACP_DEFAULTED || !m->partner.port)
		return false;
	return memcmp(m->partner.system, m->actor.system, 6) != 0;
}

/* The member whose partner is the LAG's: one that is in it, else one of the many. */
static const struct lacp_member *leader(const struct lacp *l)
{
	const struct lacp_member *best = NULL;
	unsigned most = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (l->member[i].mux >= LACP_ATTACHED && l->member[i].selected &&
			l->member[i].enabled && is_fit(&l->member[i]))
			return &l->member[i];
	for (unsigned i = 0; i < l->n; i++) {
		const struct lacp_member *m = &l->member[i];
		unsigned n = 0;

		for (unsigned k = 0; k < l->n && m->enabled && is_fit(m); k++)
			n += l->member[k].enabled && is_fit(&l->member[k]) &&
			     same_partner(m, &l->member[k]);
		if (n > most) {
			most = n;
			best = m;
		}
	}
	return best;
}

static const char *unfit_text(const struct lacp_member *m, const struct lacp_member *lead)
{
	if (m->actor.state & LACP_DEFAULTED || !m->partner.port)
		return alone;
	if (!memcmp(m->partner.system, m->actor.system, 6))
		return "looped back to this router";
	if (!lead)
		return NULL; /* none has carrier */
	if (same_partner(m, lead))
		return NULL;
	if (m->speed && lead->speed && m->speed != lead->speed)
		return "its speed differs from the other members'";
	if (!(m->partner.state & LACP_AGGREGATION) || !(lead->partner.state & LACP_AGGREGATION))
		return "the partner takes single links only";
	return "another partner than the other members'";
}

/* False: nothing changed. */
static bool run_selection(struct lacp *l)
{
	const struct lacp_member *lead = leader(l);
	bool changed = false;

	for (unsigned i = 0; i < l->n; i++) {
		struct lacp_member *m = &l->member[i];
		bool before = m->selected;

		m->unfit = unfit_text(m, lead);
		if (m->unfit)
			m->selected = false;
		else if (m->enabled)
			m->selected = true;
		changed |= m->selected != before;
	}
	return changed;
}

/* ---- mux, 6.4.15 ---- */
static void mux_enter(struct lacp_member *m, enum lacp_mux mux, uint64_t now)
{
	m->mux = mux;
	set_state(&m->actor, LACP_SYNC, mux >= LACP_ATTACHED);
	set_state(&m->actor, LACP_COLLECTING, mux >= LACP_COLLECT);
	set_state(&m->actor, LACP_DISTRIBUTING, mux == LACP_DISTRIBUTE);
	if (mux == LACP_WAITING)
		m->wait_until = now + WAIT_S * SECOND;
	else
		m->ntt = true;
}

/* One arc; false: it stays where it is. */
static bool run_mux(struct lacp_member *m, uint64_t now)
{
	bool sync = m->partner.state & LACP_SYNC, collects = m->partner.state & LACP_COLLECTING;
	enum lacp_mux to = m->mux;

	switch (m->mux) {
	case LACP_DETACHED:
		to = m->selected ? LACP_WAITING : LACP_DETACHED;
		break;
	case LACP_WAITING:
		if (!m->selected)
			to = LACP_DETACHED;
		else if (now >= m->wait_until)
			to = LACP_ATTACHED;
		break;
	case LACP_ATTACHED:
		if (!m->selected)
			to = LACP_DETACHED;
		else if (sync)
			to = LACP_COLLECT;
		break;
	case LACP_COLLECT:
		if (!m->selected || !sync)
			to = LACP_ATTACHED;
		else if (collects)
			to = LACP_DISTRIBUTE;
		break;
	case LACP_DISTRIBUTE:
		if (!m->selected || !sync || !collects)
			to = LACP_COLLECT;
		break;
	}
	if (to == m->mux)
		return false;
	mux_enter(m, to, now);
	return true;
}

/* ---- periodic, 6.4.13, and transmit, 6.4.16 ---- */
static void run_periodic(struct lacp_member *m, uint64_t now)
{
	uint64_t period = m->partner.state & LACP_TIMEOUT ? FAST_S * SECOND : SLOW_S * SECOND;

	if (!m->enabled) {
		m->period = 0;
		return;
	}
	if (period != m->period) {
		m->ntt |= period < m->period || !m->period;
		m->period = period;
		m->next = now + period;
	}
	if (now >= m->next) {
		m->ntt = true;
		m->next = now + period;
	}
}

/* When it may be sent; 0: nothing to send. */
static uint64_t may_send(const struct lacp_member *m)
{
	uint64_t oldest = m->sent[m->tx_pdus % SENT_COUNT];

	return !m->ntt || !m->enabled ? 0 : oldest ? oldest + FAST_S * SECOND : 1;
}

static void transmit(struct lacp *l, unsigned i, uint64_t now)
{
	struct lacp_member *m = &l->member[i];
	const struct lacp_pdu pdu = { m->actor, m->partner };

	m->ntt = false;
	m->sent[m->tx_pdus % SENT_COUNT] = now;
	m->tx_pdus++;
	l->send(i, &pdu, l->arg);
}

/* ---- all of them ---- */
static uint64_t deadline(const struct lacp_member *m)
{
	uint64_t at = UINT64_MAX, send = may_send(m);

	if (!m->enabled)
		return at;
	if (m->rx == LACP_RX_CURRENT || m->rx == LACP_RX_EXPIRED)
		at = m->current_until;
	if (m->mux == LACP_WAITING && m->wait_until < at)
		at = m->wait_until;
	if (m->next < at)
		at = m->next;
	return send && send < at ? send : at;
}

uint64_t lacp_run(struct lacp *l, uint64_t now)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < l->n; i++)
		run_receive(&l->member[i], now);
	/* Who was deselected leaves before it may be selected again. */
	for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
		bool moved = false;

		for (unsigned i = 0; i < l->n; i++)
			moved |= run_mux(&l->member[i], now);
		if (!moved && !run_selection(l))
			break;
	}
	for (unsigned i = 0; i < l->n; i++) {
		struct lacp_member *m = &l->member[i];
		uint64_t send;

		run_periodic(m, now);
		send = may_send(m);
		if (send && now >= send)
			transmit(l, i, now);
		if (deadline(m) < at)
			at = deadline(m);
	}
	return at;
}

void lacp_leave(struct lacp *l, uint64_t now)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct lacp_member *m = &l->member[i];

		if (!m->enabled)
			continue;
		m->selected = false;
		m->mux = LACP_DETACHED;
		set_state(&m->actor,
			LACP_AGGREGATION | LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING, false);
		transmit(l, i, now);
	}
}

static uint32_t mask(const struct lacp *l, enum lacp_mux least)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (l->member[i].enabled && l->member[i].mux >= least)
			bits |= 1u << i;
	return bits;
}

uint32_t lacp_collecting(const struct lacp *l)
{
	return mask(l, LACP_COLLECT);
}

uint32_t lacp_distributing(const struct lacp *l)
{
	return mask(l, LACP_DISTRIBUTE);
}

const char *lacp_why_not(const struct lacp_member *m)
{
	if (!m->enabled)
		return "no carrier";
	if (m->unfit)
		return m->unfit;
	if (m->rx == LACP_RX_EXPIRED)
		return "the partner has fallen silent";
	switch (m->mux) {
	case LACP_DETACHED:
	case LACP_WAITING:
		return "waits two seconds before it joins";
	case LACP_ATTACHED:
		return "the partner is not in sync";
	case LACP_COLLECT:
		return "the partner does not collect yet";
	default:
		return NULL;
	}
}
