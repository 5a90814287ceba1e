/* Who counts: every thread that handles packets has one struct counters (worker.h) and is its only
 * writer. Slots 0..DP_WORKERS_MAX-1 are the workers, two more the punt thread and control (packets
 * that control itself frees, such as those held for a neighbour that never came). Readers sum over
 * the slots. */
#ifndef LINTAS_COUNTERS_H
#define LINTAS_COUNTERS_H

#include <stdint.h>
#include "dataplane.h"

struct counters;

#define COUNTERS_PUNT	 DP_WORKERS_MAX
#define COUNTERS_CONTROL (DP_WORKERS_MAX + 1)
#define COUNTERS_SLOTS	 (DP_WORKERS_MAX + 2)

/* Everything zero; the matrix is address space until it is written. 0 or -ENOMEM. */
int counters_init(struct counters *c);
void counters_free(
	struct counters *c); /* its writer has stopped; forgets its slot too; zeroed c is fine */
/* From now on what c counts is seen by the dp_*_count functions. slot: the worker's index, or one
 * above. */
void counters_register(struct counters *c, unsigned slot);
/* A link id is used again: its rows, columns and drops read zero from here. Nothing is written
 * where a worker writes: what has been counted so far is remembered and subtracted. Control only.
 */
void counters_clear_link(uint16_t link);
/* Memory of everybody's matrix and rows, and of what is subtracted from them; -errno: not known. */
int64_t counters_resident(void);

#endif
