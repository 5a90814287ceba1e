/* link diagnose: what the probes of the link see, as its last layer: they go beyond the peer, to a
 * host behind it, and find the loss that everything below is blind to.
 *
 * Nothing is sent here: the streams run all the time (probes.c), and their verdict is put in words.
 * It is shown even when a layer below fails, because it tells since when. */
#include <string.h>
#include "diagnose.h"
#include "probes.h"

static void counts(char *buf, size_t size, const struct probes_info *info,
	const struct estimate_report *r, const struct dp_probe_stats *stats)
{
	char target[IP_STRLEN];
	size_t len = (size_t)snprintf(buf, size, "to %s, %u a second: %llu answers to %llu",
		ip_addr_format(&info->conf->dst, target), info->conf->rate,
		(unsigned long long)stats->received,
		(unsigned long long)(stats->sent - stats->unsent - r->before_first));

	if (!*info->why && r->loss_1m_ppm >= 0 && len < size)
		len += (size_t)snprintf(buf + len, size - len, ", %.2f %% lost in the last minute",
			(double)r->loss_1m_ppm / 1e4);
	if (r->p50_us >= 0 && len < size)
		snprintf(buf + len, size - len, ", %.1f ms", (double)r->p50_us / 1e3);
}

void diag_verdict_probe(struct diag_lane *lane, const struct probes_info *info,
	const struct estimate_report *report, const struct dp_probe_stats *stats)
{
	struct diag_layer *layer = &lane->layers[DIAG_PROBE];
	const struct diag *d = lane->d;
	char text[160], ids[256], target[IP_STRLEN];

	if (info->problem) {
		diag_say(layer, DIAG_UNKNOWN, "not probed: %s", info->problem);
		return;
	}
	counts(text, sizeof(text), info, report, stats);
	if (info->state == HEALTH_GOOD) {
		diag_say(layer, strcmp(info->word, "waiting") ? DIAG_OK : DIAG_UNKNOWN, "%s, %s",
			info->word, text);
		return;
	}
	diag_say(layer, DIAG_FAIL, "%s (%s), %s", info->word, info->why, text);
	diag_turn(layer, DIAG_PROVIDER,
		"Compare with `lintasctl probe show %s` and other links to %s: when only this one "
		"suffers, ask %s for errors and drops on their side. %s",
		d->name, ip_addr_format(&info->conf->dst, target), diag_provider(d),
		diag_ids(d, ids));
}

void diag_probe(struct diag_lane *lane)
{
	struct estimate_report report;
	struct dp_probe_stats stats;
	struct probes_info info;

	if (!probes_info(lane->d->link, lane->af, &info)) {
		diag_say(&lane->layers[DIAG_PROBE], DIAG_SKIPPED, "not configured");
		return;
	}
	probes_bucket(lane->d->link, lane->af, ESTIMATE_LINK, &report, &stats);
	diag_verdict_probe(lane, &info, &report, &stats);
}
