/* The names of what is counted: drop reasons, punt classes, stages.
 *
 * Each list is written once, in a .def file; the enum, this table, the CLI, the metrics and the
 * documentation are made from it. Nothing here runs: the tables are constants that any thread may
 * read. */
#include "worker.h"

const struct dp_drop_desc dp_drop_desc[DP_DROP_COUNT] = {
#define DROP(name, severity, text, rfc) [DP_DROP_##name] = { #name, severity, text, rfc },
#include "drops.def"
#undef DROP
};

const struct dp_punt_desc dp_punt_desc[DP_PUNT_COUNT] = {
#define PUNT(name, text, budget, ring) [DP_PUNT_##name] = { #name, text, budget, ring },
#include "punt.def"
#undef PUNT
};

const struct dp_stage_desc dp_stage_desc[] = {
#define STAGE(name, file, text) { #name, file, text },
#include "stages.def"
#undef STAGE
};

const unsigned dp_stage_count = sizeof(dp_stage_desc) / sizeof(dp_stage_desc[0]);

_Static_assert(sizeof(dp_stage_desc) / sizeof(dp_stage_desc[0]) <=
		       sizeof(((struct dp_worker_stats *)0)->stage_cycles) / sizeof(uint64_t),
	"dp_worker_stats has room for every stage's cycles");
