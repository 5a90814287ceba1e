/* The state machine of one virtual router (RFC 9568 6): pure, time comes in. See vrrp_machine.c. */
#ifndef LINTAS_VRRP_MACHINE_H
#define LINTAS_VRRP_MACHINE_H

#include "vrrp_packet.h"

enum vrrp_state { VRRP_INITIALIZE, VRRP_BACKUP, VRRP_ACTIVE };
extern const char *const vrrp_state_names[];

/* What the caller shall do, in this order. */
enum vrrp_todo {
	VRRP_LEAVE = 1,	 /* the addresses are not ours any more */
	VRRP_TAKE = 2,	 /* they are: add them, announce them */
	VRRP_SEND = 4,	 /* an advertisement with our priority */
	VRRP_RESIGN = 8, /* one with priority 0 */
};

struct vrrp_machine {
	/* set by vrrp_change */
	uint8_t priority;
	bool preempt;
	uint16_t interval_cs;
	/* the machine's */
	uint8_t state;	      /* enum vrrp_state */
	uint16_t active_cs;   /* Active_Adver_Interval: of whom we listen to */
	uint64_t due_ns;      /* vrrp_due is to be called then; 0 = never */
	uint64_t asserted_ns; /* when we last answered somebody who also thinks to be active */
};

/* Parameters, at first and at any time later: nothing flaps. */
void vrrp_change(struct vrrp_machine *m, uint8_t priority, bool preempt, uint16_t interval_cs,
	uint64_t now_ns);
/* Each returns what to do: bits of enum vrrp_todo. */
unsigned vrrp_start(struct vrrp_machine *m, uint64_t now_ns);
unsigned vrrp_stop(struct vrrp_machine *m);
unsigned vrrp_due(struct vrrp_machine *m, uint64_t now_ns);
/* A valid advertisement of this virtual router; own: our primary address. */
unsigned vrrp_hear(struct vrrp_machine *m, const struct vrrp_advert *advert,
	const struct ip_addr *own, uint64_t now_ns);

#endif
