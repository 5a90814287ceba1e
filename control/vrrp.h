/* VRRP on the links that are configured for it. See vrrp.c. */
#ifndef LINTAS_VRRP_H
#define LINTAS_VRRP_H

#include "control.h"
#include "vrrp_machine.h"

struct vrrp_stats {
	uint64_t in, out, zero_in, zero_out, taken;
	uint64_t errors[VRRP_ERRORS];
};

struct vrrp_router { /* one family of one link */
	struct vrrp_machine machine;
	struct vrrp_stats stats;
	uint8_t af, vrid, n;
	bool pseudo; /* the others sum IPv4 with a pseudo header */
	struct ip_addr address[VRRP_ADDRESSES_MAX], own;
	struct ip_addr active; /* who said last to be active; af 0: nobody, or we */
	uint8_t active_priority;
	uint64_t since_ns;
};

/* The configuration, up or down, or the carrier has changed. */
void vrrp_follow(struct link *link);
void vrrp_follow_all(void);
/* A link that a former lintasd held: whoever is active now, it is not us. Before the fast path has
 * the link. */
void vrrp_disown(const struct link *link, const struct cfg_link *cfg);
/* What the fast path shall know. */
void vrrp_shape(const struct link *link, struct dp_link *shape);
/* Before the fast path loses the link, or the link its virtual routers: priority 0, and the others
 * take over at once. next: what it shall be, NULL: it leaves. True: something was said, and needs
 * VRRP_WORDS_MS to leave. */
#define VRRP_WORDS_MS 10
bool vrrp_resign(struct link *link, const struct cfg_link *next);
void vrrp_gone(struct link *link); /* the link leaves */
void vrrp_end(void);		   /* the daemon ends: the others shall know */
/* NULL: none of that family runs there. */
const struct vrrp_router *vrrp_router(const struct link *link, unsigned v6);

#endif
