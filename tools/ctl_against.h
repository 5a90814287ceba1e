/* `check --against`: our half of a link and the provider's, side by side. See ctl_against.c. */
#ifndef LINTAS_CTL_AGAINST_H
#define LINTAS_CTL_AGAINST_H

#include "ctl_cloud.h"

#define AGAINST_FINDINGS_MAX 2000

/* Stable: the number is what people and their programs know. Texts are in ctl_against.c. */
enum against_code {
	AGAINST_NO_LINK = 1,
	AGAINST_NO_OBJECT,
	AGAINST_VLAN,
	AGAINST_STAG,
	AGAINST_OURS,
	AGAINST_THEIRS,
	AGAINST_SWAPPED,
	AGAINST_LENGTH,
	AGAINST_OUR_ASN,
	AGAINST_THEIR_ASN,
	AGAINST_MTU,
	AGAINST_JUMBO,
	AGAINST_BFD,
	AGAINST_BFD_TIMERS,
	AGAINST_BFD_WAITS,
	AGAINST_KEY,
	AGAINST_SESSION,
	AGAINST_ANNOUNCED,
	AGAINST_EXPECTED,
	AGAINST_ALLOWED,
	AGAINST_STATE,
	AGAINST_ID,
	AGAINST_CIRCUIT,
	AGAINST_OUTSIDE,
	AGAINST_STATIC,
	AGAINST_KEEPALIVE,
	AGAINST_DISABLED,
	AGAINST_COUNT
};

/* ---- ctl_cloud_link.c: our half ---- */
struct half_session {
	bool bgp; /* a session is configured; peer is not NULL */
	const struct cfg_bgp_peer *peer;
	struct ip_prefix ours; /* our address towards it; af 0: none of this family */
	struct ip_addr theirs; /* BGP peer, or next hop of static routes */
	uint32_t our_asn, their_asn;
};
struct half {
	const struct config *config;
	const struct cfg_link *link;
	int provider; /* enum cloud_provider, -1: not one whose documents we read */
	bool tunnel;
	struct half_session s[2];	 /* IPv4, IPv6 */
	struct cfg_filter_list announce; /* given, or what reach opens */
};
struct half half_of(const struct config *config, const struct cfg_link *link);

/* ---- ctl_against_match.c ---- */
/* For each link of config, in their order, its view or NULL. On the cloud's pool. */
const struct cloud_view **against_match(
	const struct cloud *cloud, const struct half *halves, unsigned n);

/* ---- findings ---- */
struct finding {
	enum against_code code;
	bool warning;
	const struct cfg_link *link; /* NULL: of no link */
	struct cfg_source src;	     /* our side; file NULL: none */
	const char *key;	     /* ours: "links.aws-dx1.vlan" */
	const char *file, *at;	     /* their side; file NULL: none */
	const char *text;
};
struct against {
	const struct config *config;
	struct cloud *cloud;
	struct finding *findings; /* AGAINST_FINDINGS_MAX */
	unsigned n, n_more;
};
void against_add(struct against *against, struct finding finding, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Everything, in order of our lines. */
void against_run(struct against *against);
const char *against_title(enum against_code code); /* "VLAN", for the manual and for JSON */
void against_print(const struct against *against, FILE *out);
json_t *against_json(const struct against *against);

/* ---- ctl_against_compare.c ---- */
void against_compare(
	struct against *against, const struct half *half, const struct cloud_view *view);

#endif
