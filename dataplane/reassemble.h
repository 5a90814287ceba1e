/* Fragments of a tunnel's outer packets, put together again (reassemble.c). */
#ifndef LINTAS_REASSEMBLE_H
#define LINTAS_REASSEMBLE_H

#include "pipeline.h"

int reassemble_start(unsigned n_workers); /* -ENOMEM */
void reassemble_stop(void);
unsigned reassemble_count(void); /* fragments that wait; for tests, while no worker runs */
/* A fragment for an end of a tunnel; consumes k->m. True: it was the last one, and *ret_whole is
 * the packet. l3_len: IPv4: of its header; IPv6: offset behind the fragment header. */
bool reassemble(
	struct worker *w, const struct packet *k, unsigned l3_len, struct packet *ret_whole);

#endif
