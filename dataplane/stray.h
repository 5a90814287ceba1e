/* Strays: frames on a port whose tags no link claims. See stray.c. */
#ifndef LINTAS_STRAY_H
#define LINTAS_STRAY_H

#include "snapshot.h"

/* A frame of at least an Ethernet header that nobody claims, before it is dropped. */
void stray_note(struct worker *w, const struct port_match *pm, const struct rte_mbuf *m);

#endif
