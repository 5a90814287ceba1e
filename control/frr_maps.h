/* Prefix lists, community lists and route maps of frr.conf. See frr_maps.c. */
#ifndef LINTAS_FRR_MAPS_H
#define LINTAS_FRR_MAPS_H

#include <stdio.h>
#include "frr_policy.h"

struct frr_render {
	const struct config *config;
	const struct frr_orders *orders; /* NULL: nothing beside it */
	FILE *out;
};

void frr_maps_write(const struct frr_render *r);
/* "aws-dx1-in4": route map and prefix list of one direction. */
void frr_map_name(const struct cfg_link *link, bool v6, bool in, char *name, size_t size);
/* The route map that `network` needs for a prefix of our own: of a loopback, or of a zone. */
void frr_map_own(bool own, const struct cfg_zone *zone, char *name, size_t size);
/* What the neighbour knows us by. */
uint32_t frr_local_as(const struct config *config, const struct cfg_bgp_peer *peer);

#endif
