/* What BGP may be told and may tell us: the rules behind the rendered filters, as code. See
 * frr_policy.c. */
#ifndef LINTAS_FRR_POLICY_H
#define LINTAS_FRR_POLICY_H

#include "config/config.h"

/* The middle number of the large communities that say which zone a route came from; the first is
 * the gateway's AS number. They are set on everything learned and never leave. */
#define FRR_FROM    66
#define FRR_TAG_OWN 0 /* loopbacks: told to whoever announce names */

/* How a link behaves now, beside what the configuration says. */
enum frr_conduct {
	FRR_NORMAL,
	FRR_LOW,    /* the probes call it grey: announce with the low lever at most */
	FRR_SILENT, /* bad, and another link of its zone is not: announce nothing */
};

/* A session near its limit: exactly these prefixes are told. Owned by frr_guard.c. */
struct frr_guard {
	char link[CFG_NAME_MAX];
	bool v6;
	struct ip_prefix *items;
	unsigned n;
};

struct frr_orders {		/* what is rendered beside the configuration */
	const uint8_t *conduct; /* enum frr_conduct, by index of config->links; NULL = normal */
	const struct frr_guard *guards;
	unsigned n_guards;
};

enum frr_verdict {
	FRR_PASSES,
	FRR_NEVER,     /* martian or link-local */
	FRR_NO_POLICY, /* the list is empty for this family: RFC 8212 */
	FRR_UNLISTED,  /* not in accept or announce */
	FRR_NO_REACH,  /* its zone and the neighbour's may not speak to each other */
	FRR_QUIET,     /* FRR_SILENT */
	FRR_OVER,      /* waits: max_out */
	FRR_LOOP,      /* our AS number is in its path */
	FRR_NEXT_HOP,  /* cannot be reached */
	FRR_BACK,      /* learned from this very neighbour */
	FRR_KEPT,      /* BGP itself keeps it: no-export and the like, or a moment too early */
	FRR_VERDICTS
};
/* What to tell people; "" for FRR_PASSES. */
extern const char *const frr_verdict_texts[FRR_VERDICTS];

/* The session of that family, NULL when there is none. */
const struct cfg_bgp_peer *frr_peer(const struct cfg_link *link, bool v6);
bool frr_is_peer(
	const struct cfg_link *link, const struct ip_addr *addr); /* of one of its sessions */
bool frr_filter_matches(const struct cfg_filter_list *list, const struct ip_prefix *prefix);
/* Never learned and never told, whatever a list says; as written, `le 32` or `le 128` is meant. */
const struct ip_prefix *frr_never(bool v6, unsigned *ret_n);
bool frr_is_never(const struct ip_prefix *prefix);

/* Stable while zones come and go, distinct in one configuration, never FRR_TAG_OWN. */
uint32_t frr_tag(const struct config *config, const struct cfg_zone *zone);
enum cfg_inbound frr_inbound(const struct cfg_link *link, enum frr_conduct conduct);
enum frr_conduct frr_conduct_of(
	const struct config *config, const struct frr_orders *orders, const struct cfg_link *link);
const struct frr_guard *frr_guard_of(
	const struct frr_orders *orders, const struct cfg_link *link, bool v6);

const struct cfg_link *frr_link_of_peer(
	const struct config *config, const struct cfg_vrf *vrf, const struct ip_addr *peer);
/* Whose a prefix of our own is: of a loopback (*ret_own), or declared by a link of *ret_zone.
 * False: it is not ours, or two zones claim it. */
bool frr_own_of(const struct config *config, const struct cfg_vrf *vrf,
	const struct ip_prefix *prefix, bool *ret_own, const struct cfg_zone **ret_zone);
/* Our filters' word on one prefix, in the order in which FRR asks them. */
enum frr_verdict frr_judge_in(const struct cfg_link *link, const struct ip_prefix *prefix);
/* own: of a loopback; else learned over, or declared by, a link of zone `from` (NULL: of none). */
enum frr_verdict frr_judge_out(const struct config *config, const struct frr_orders *orders,
	const struct cfg_link *link, const struct ip_prefix *prefix, bool own,
	const struct cfg_zone *from);

#endif
