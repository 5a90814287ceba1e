/* Probes of every link that has something to be probed: probes.c. */
#ifndef LINTAS_PROBES_H
#define LINTAS_PROBES_H

#include "estimate.h"

int probes_start(void);
void probes_stop(void); /* before the mirror closes: probes hold hops */
/* control.running was replaced: streams come, go and change. */
void probes_config_changed(void);
void probes_link_gone(struct link *link);
/* The link's family is back (BFD): what was lost while it was away is BFD's matter and not judged.
 */
void probes_anew(struct link *link, uint8_t af);

/* ---- for views ---- */
struct probes_info {
	const struct dp_probe *conf;
	enum health state;
	const char *word; /* for people: that, or "waiting" for the first answer, or "not probed" */
	const char *why;  /* of the state; "" when good */
	const char *problem; /* it is not probed because …; NULL: it is */
	struct ip_addr via;  /* af 0: not known */
	bool authenticated;
	uint16_t timeout_ms;
};
bool probes_info(const struct link *link, uint8_t af, struct probes_info *ret_info);
/* Of a link whose health is good: "good", "waiting" (for the first answer of a family), or
 * "not probed". */
const char *probes_word(const struct link *link);
/* bucket: or ESTIMATE_LINK, the sum. */
void probes_bucket(const struct link *link, uint8_t af, uint8_t bucket,
	struct estimate_report *ret_report, struct dp_probe_stats *ret_stats);

#endif
