/* A link that is the active router of a VRRP group: its virtual MAC, both ways. See virtual.c. */
#ifndef LINTAS_VIRTUAL_H
#define LINTAS_VIRTUAL_H

#include <string.h>
#include "pipeline.h"

#define VIRTUAL_NONE UINT64_MAX /* no six octets of a frame look so */

/* snapshot.c: l->virtual from l->conf. */
void virtual_build(struct link *l);

/* Destination of a frame, and group bit of its source, as parse reads them: is it a virtual MAC
 * that the link has now? */
static inline bool virtual_target(const struct link *l, uint64_t begin)
{
	return begin == l->virtual[0] || begin == l->virtual[1];
}

/* The kernel knows its interface by one MAC: a frame for the virtual one gets that instead. No tags
 * any more. */
void virtual_to_kernel(const struct link *l, uint8_t *frame);
/* What the kernel says of a virtual address, it says with the virtual MAC. No tags yet. */
void virtual_from_kernel(const struct link *l, uint8_t *frame, unsigned len);

/* local.c: an advertisement as RFC 9568 5.1 wants it, on a link that runs VRRP; what lies behind
 * the IP header is the control thread's to judge. */
bool virtual_advert(const struct link *l, const struct packet *k, uint8_t proto);

#endif
