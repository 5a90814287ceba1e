/* Values that follow from others. See resolve.c. */
#ifndef LINTAS_CONFIG_RESOLVE_H
#define LINTAS_CONFIG_RESOLVE_H

#include "parse.h"

/* resolve.c: MTU, tunnel ends, filters, timers, a path's cloud; calls the rest. */
void resolve_all(struct parse *p);

/* resolve_profile.c: finds the links' profiles and fills in what the links leave to them. */
void resolve_profiles(struct parse *p);
/* Is this key of the link, as "bgp.v4.hold", one that its profile gave the value of? */
bool resolve_by_profile(const struct cfg_link *link, const char *key);

/* resolve_ipsec.c: proposals, lifetimes; who both ends say they are, once the ends are known. */
void resolve_ipsec(struct parse *p, struct cfg_link *link);
void resolve_ipsec_ids(struct parse *p, struct cfg_link *link);
bool resolve_ipsec_by_profile(const struct cfg_link *link, const char *key);

/* resolve_path.c: what follows from paths and reach: inbound, announce, probes. */
void resolve_paths(struct parse *p);

#endif
