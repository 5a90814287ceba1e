/* The LAGs of the configuration: LACP between fast path and clock (lag.c). */
#ifndef LINTAS_CONTROL_LAG_H
#define LINTAS_CONTROL_LAG_H

#include "control.h"
#include "lacp.h"

struct lag {
	char name[CFG_NAME_MAX];
	unsigned port, n, min_links;
	enum cfg_lacp mode;
	uint8_t mac[6];
	uint16_t member_port[LACP_MEMBERS_MAX];
	uint8_t member_mac[LACP_MEMBERS_MAX][6];
	bool carrier[LACP_MEMBERS_MAX];
	uint64_t rx_bad[LACP_MEMBERS_MAX], markers[LACP_MEMBERS_MAX];
	const char *bad_why[LACP_MEMBERS_MAX]; /* of the last one */
	uint32_t collecting, distributing;     /* as the fast path was told */
	struct lacp lacp;		       /* not with CFG_LACP_OFF */
};

int lag_start(const struct config *config); /* the fast path runs */
void lag_leave(void); /* the daemon ends: partners are told; dp_stop() follows */
void lag_stop(void);
void lag_member_carrier(unsigned port, unsigned member, bool up);
/* Next one after `after` (NULL = first); NULL at the end. */
const struct lag *lag_next(const struct lag *after);
const char *lag_why_not(const struct lag *lag, unsigned member); /* NULL: it distributes */

#endif
