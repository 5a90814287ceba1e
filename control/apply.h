/* From one configuration to the next, a step at a time: apply.c does it, reload.c and main.c drive
 * it. */
#ifndef LINTAS_APPLY_H
#define LINTAS_APPLY_H

#include "control.h"

enum apply_phase {
	PREPARE_VRFS,
	PREPARE_LINKS,
	RESIGN,
	PUBLISH,
	COMMIT_VRFS,
	COMMIT_LINKS,
	REMOVE_LINKS,
	REMOVE_VRFS,
	DONE
};

struct apply {
	enum apply_phase phase;
	struct config *next;
	const struct config *before; /* NULL at start */
	unsigned i;		     /* in the phase's list */
	struct link *link;
	uint64_t resigned_ns; /* until then last words may be on their way */
	struct cfg_diff diff;
};

/* Everything the configuration asks for, once the fast path runs; it is control.running afterwards.
 * 0 or -errno, logged. */
int apply_start(struct config *config);
/* What differs, into a->diff and the log. */
int apply_difference(struct apply *a);
/* One step: 1 = more to do; 0 = done, a->next is control.running; -errno = refused and
 * taken back. */
int apply_step(struct apply *a);
void apply_stop(void);

/* ---- reload.c ---- */
void reload_stop(void); /* whoever waits is told -ECANCELED */

#endif
