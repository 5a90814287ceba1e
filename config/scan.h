/* What libconfig would swallow or stop at: found, reported and made harmless before it parses. See
 * scan.c. */
#ifndef LINTAS_CONFIG_SCAN_H
#define LINTAS_CONFIG_SCAN_H

#include "source.h"

#define SCAN_DEPTH_MAX 16   /* groups, lists and arrays within one another */
#define SCAN_NAMES_MAX 4096 /* names in one group */

/* A name that has been reported already carries this character; so do values that have been. */
#define SCAN_MARK  '*'
#define SCAN_VALUE "*reported*"

/* Replaces source->text by one that libconfig accepts as far as these mistakes go. false: an error
 * was found that makes parsing pointless. */
bool scan_text(struct source *source, struct cfg_pool *pool, struct cfg_errors *errors);

#endif
