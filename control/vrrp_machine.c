/* The state machine of one virtual router, RFC 9568 6.3 and 6.4, word for word where it can be.
 *
 * Initialize: nothing runs, the link does not carry. Backup: somebody is active and says so;
 * silence for three of its intervals and a skew, shorter the higher our priority is, makes us
 * active. Active: the addresses are ours and we say so. Two that think they are active: the higher
 * priority stays, then the higher address, and the one that stays says so at once, but no more
 * often than every ASSERT_NS, so that two routers with one address cannot shout at each other for
 * ever. Pure: the caller brings the time and does what it is told. */
#include <string.h>
#include "vrrp_machine.h"

#define CS_NS	  10000000ull
#define ASSERT_NS 50000000ull

const char *const vrrp_state_names[] = { "initialize", "backup", "active" };

/* 6.1: the higher the priority, the sooner */
static uint64_t skew_ns(const struct vrrp_machine *m)
{
	return (256u - m->priority) * (m->active_cs * CS_NS) / 256;
}

static uint64_t down_ns(const struct vrrp_machine *m)
{
	return 3 * m->active_cs * CS_NS + skew_ns(m);
}

static void become_backup(struct vrrp_machine *m, uint16_t active_cs, uint64_t now_ns)
{
	m->state = VRRP_BACKUP;
	m->active_cs = active_cs ? active_cs : m->interval_cs; /* 0 is nobody's interval */
	m->due_ns = now_ns + down_ns(m);
}

void vrrp_change(struct vrrp_machine *m, uint8_t priority, bool preempt, uint16_t interval_cs,
	uint64_t now_ns)
{
	if (m->priority == priority && m->preempt == preempt && m->interval_cs == interval_cs)
		return;
	m->priority = priority;
	m->preempt = preempt;
	m->interval_cs = interval_cs;
	if (m->state == VRRP_BACKUP)
		m->due_ns = now_ns + down_ns(m);
	else if (m->state == VRRP_ACTIVE)
		m->due_ns = now_ns; /* all shall know */
}

unsigned vrrp_start(struct vrrp_machine *m, uint64_t now_ns)
{
	if (m->state == VRRP_INITIALIZE)
		become_backup(m, m->interval_cs, now_ns);
	return 0;
}

unsigned vrrp_stop(struct vrrp_machine *m)
{
	bool was_active = m->state == VRRP_ACTIVE;

	m->state = VRRP_INITIALIZE;
	m->due_ns = 0;
	return was_active ? VRRP_LEAVE | VRRP_RESIGN : 0;
}

unsigned vrrp_due(struct vrrp_machine *m, uint64_t now_ns)
{
	unsigned todo = m->state == VRRP_BACKUP ? VRRP_TAKE | VRRP_SEND : VRRP_SEND;

	if (m->state == VRRP_INITIALIZE || now_ns < m->due_ns)
		return 0;
	m->state = VRRP_ACTIVE;
	m->due_ns = now_ns + m->interval_cs * CS_NS;
	return todo;
}

static unsigned hear_backup(struct vrrp_machine *m, const struct vrrp_advert *a, uint64_t now_ns)
{
	if (!a->priority)
		m->due_ns = now_ns + skew_ns(m);
	else if (!m->preempt || a->priority >= m->priority)
		become_backup(m, a->interval_cs, now_ns);
	return 0; /* of less priority: it is not heard, and the timer runs out */
}

static unsigned hear_active(struct vrrp_machine *m, const struct vrrp_advert *a,
	const struct ip_addr *own, uint64_t now_ns)
{
	if (a->priority > m->priority ||
		(a->priority == m->priority &&
			memcmp(a->source.bytes, own->bytes, sizeof(own->bytes)) > 0)) {
		become_backup(m, a->interval_cs, now_ns);
		return VRRP_LEAVE;
	}
	if (now_ns - m->asserted_ns < ASSERT_NS)
		return 0;
	m->asserted_ns = now_ns;
	m->due_ns = now_ns + m->interval_cs * CS_NS;
	return VRRP_SEND;
}

unsigned vrrp_hear(struct vrrp_machine *m, const struct vrrp_advert *advert,
	const struct ip_addr *own, uint64_t now_ns)
{
	if (m->state == VRRP_BACKUP)
		return hear_backup(m, advert, now_ns);
	if (m->state == VRRP_ACTIVE)
		return hear_active(m, advert, own, now_ns);
	return 0;
}
