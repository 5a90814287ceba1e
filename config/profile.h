/* A provider's rules, as a profile file says them. See profile.c.
 *
 * What of this a link may set itself is filled into struct cfg_link by resolve.c and is asked for
 * there; what stands only here is what the provider demands or does: the linter's rules, the sheet
 * for the provider, and what becomes of a session beyond its limits. */
#ifndef LINTAS_CONFIG_PROFILE_H
#define LINTAS_CONFIG_PROFILE_H

#include "config.h"

struct cfg_profile {
	const char *name;		       /* "aws-dx-transit" */
	struct cfg_source src;		       /* profile file */
	const char *version;		       /* "2026.11" */
	const char *provider, *title;	       /* "aws"; for people */
	const char *where_from, *date;	       /* source and date of its numbers */
	uint16_t mtu, mtu_max;		       /* default; the largest it carries */
	uint32_t max_in[2], max_out[2];	       /* prefixes, IPv4 and IPv6; 0 = none known */
	enum cfg_beyond in_beyond, out_beyond; /* what the provider does past them */
	uint16_t bfd_min_ms, bfd_max_ms;       /* of the interval; 0 = the provider has no BFD */
	uint8_t bfd_min_multiplier, bfd_max_multiplier;
	uint16_t detect_ms; /* a dead peer is known within */
			    /* … the rest: profile.c's owner */
};

#endif
