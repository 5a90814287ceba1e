/* `tunnels` of a link and `bgp.asn`, written out in libconfig's tree. See expand.c. */
#ifndef LINTAS_CONFIG_EXPAND_H
#define LINTAS_CONFIG_EXPAND_H

#include "parse.h"

/* Before parse_tree. */
void expand_all(struct parse *p);
/* After all checks: what is wrong with a connection is said once, not once for each tunnel. */
void expand_fold(struct parse *p);

#endif
