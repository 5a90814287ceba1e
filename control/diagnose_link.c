/* link diagnose: what both families stand on: the link's own state, light, carrier, tags.
 *
 * The tag is judged at the end, by what came in while neighbours were asked: a peer that is there
 * answers something. When nothing did, what the port received with tags that nobody has
 * (dp_port_strays) says whether the provider delivers another VLAN than was agreed. */
#include <string.h>
#include "diagnose.h"
#include "heard.h"
#include "mirror.h"
#include "views.h"

#define STRAY_RECENT_MS	 30000
#define OTHERS_RECENT_NS 10000000000ull

/* ---- the link itself, and carrier ---- */
static void carrier_port(struct diag *d, struct diag_layer *layer)
{
	struct dp_port_info info;
	char ids[256], speed[32] = "";

	if (d->link->port < 0 || dp_port_info((unsigned)d->link->port, &info)) {
		diag_say(layer, DIAG_UNKNOWN, "its port is not there");
		return;
	}
	if (info.speed_mbps)
		snprintf(speed, sizeof(speed), ", %u Mbit/s", info.speed_mbps);
	diag_say(layer, info.up ? DIAG_OK : DIAG_FAIL, "port %s %s%s", info.name,
		info.up ? "has carrier" : "has no carrier", info.up ? speed : "");
	if (!info.up)
		diag_turn(layer, DIAG_COLO,
			"Look at the transceiver and patch of port %s; then ask the colo to test "
			"the "
			"cross connect, and the provider whether their port is up: %s",
			info.name, diag_ids(d, ids));
}

static void carrier_tunnel(struct diag *d, struct diag_layer *layer)
{
	const char *underlay = d->cfg->underlay ? d->cfg->underlay->name : "?";
	char remote[IP_STRLEN];
	bool way = mirror_underlay_adj(d->link);

	diag_say(layer, way ? DIAG_OK : DIAG_FAIL, "tunnel to %s over %s%s",
		ip_addr_format(&d->cfg->remote, remote), underlay, way ? "" : ": no way there");
	if (!way)
		diag_turn(layer, DIAG_OURS,
			"Diagnose what carries it first: `lintasctl link diagnose %s`, and "
			"`lintasctl route get %s vrf %s`",
			underlay, remote, d->cfg->underlay ? d->cfg->underlay->vrf->name : "?");
}

void diag_link(struct diag *d)
{
	struct diag_layer *layer = &d->common[DIAG_LINK];
	char where[96];

	if (d->link->up) {
		diag_say(layer, DIAG_OK, "in VRF %s, not shut", d->cfg->vrf->name);
	} else {
		diag_say(layer, DIAG_FAIL, "shut by the configuration");
		diag_turn(layer, DIAG_OURS, "Set state = \"up\" for links.%s at %s and reload",
			d->name, diag_where(&d->cfg->src, where));
	}
	diag_ipsec(d);
	if (d->cfg->encap == CFG_ENCAP_ETHER)
		carrier_port(d, &d->common[DIAG_CARRIER]);
	else
		carrier_tunnel(d, &d->common[DIAG_CARRIER]);
}

/* ---- light ---- */
void diag_light(struct diag *d)
{
	struct diag_layer *layer = &d->common[DIAG_LIGHT];
	const struct dp_optics *o = &d->optics;
	char fec[24] = ", FEC unknown", ids[256];
	float weakest = 100;

	if (d->link->port < 0) {
		diag_say(layer, DIAG_SKIPPED, "a tunnel has none");
		return;
	}
	if (o->fec)
		snprintf(fec, sizeof(fec), ", FEC %s", o->fec);
	if (!d->optics_known || !o->light_known) {
		diag_say(layer, DIAG_UNKNOWN, "unknown to this driver%s", o->fec ? fec : "");
		return;
	}
	for (unsigned i = 0; i < o->lanes; i++)
		if (o->rx_dbm[i] < weakest)
			weakest = o->rx_dbm[i];
	diag_say(layer, weakest > o->rx_low_dbm ? DIAG_OK : DIAG_FAIL,
		"receives %.1f dBm, sends %.1f dBm%s", (double)weakest, (double)o->tx_dbm[0], fec);
	if (layer->state == DIAG_FAIL)
		diag_turn(layer, DIAG_COLO,
			"Below the transceiver's alarm of %.1f dBm: clean and test the fibre; the "
			"provider's transmitter may be off: %s",
			(double)o->rx_low_dbm, diag_ids(d, ids));
}

/* ---- tags ---- */
static void tag_text(const struct dp_stray *s, char *buf, size_t size)
{
	if (s->n_tags == 0)
		snprintf(buf, size, "untagged");
	else if (s->n_tags == 1)
		snprintf(buf, size, "VLAN %u%s", s->vid[0], s->tpid == 0x88a8 ? " (0x88a8)" : "");
	else
		snprintf(buf, size, "QinQ %u.%u%s", s->vid[0], s->vid[1],
			s->tpid == 0x88a8 ? " (0x88a8)" : "");
}

/* Those younger than since_ms: what came while ours still arrived came not instead of ours. */
static unsigned strays_text(
	const struct dp_stray *strays, unsigned n, uint64_t since_ms, char *buf, size_t size)
{
	char tag[32];
	unsigned shown = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < n && strays[i].age_ms <= since_ms && len + 80 < size; i++) {
		tag_text(&strays[i], tag, sizeof(tag));
		len += (size_t)snprintf(buf + len, size - len, "%s%s (%llu frames, %.1f s ago)",
			len ? ", " : "", tag, (unsigned long long)strays[i].packets,
			(double)strays[i].age_ms / 1000);
		shown++;
	}
	return shown;
}

/* Light and carrier are there; what does a peer that is asked and does not say a word mean? */
static void verdict_silent(struct diag_layer *layer, const struct diag_heard *h, const char *tags)
{
	char since[48] = "ever";

	if (h->age_ms >= 0)
		snprintf(since, sizeof(since), "for %lld s", (long long)h->age_ms / 1000);
	else if (h->ever)
		snprintf(since, sizeof(since), "since this was asked");
	if (h->asked && h->sent)
		diag_say(layer, DIAG_FAIL,
			"%s: no frame arrived %s, with no other tag either; "
			"%llu sent meanwhile",
			tags, since, (unsigned long long)h->sent);
	else if (h->asked)
		diag_say(layer, DIAG_FAIL, "%s: no frame arrived %s, and none left meanwhile", tags,
			since);
	else
		diag_say(layer, h->ever ? DIAG_UNKNOWN : DIAG_FAIL,
			"%s: no frame arrived %s, with no other tag either", tags, since);
}

void diag_verdict_tag(struct diag_layer *layer, const struct diag_heard *heard, const char *tags,
	const struct dp_stray *strays, unsigned n)
{
	char others[160];
	uint64_t since_ms = heard->age_ms >= 0 && heard->age_ms < STRAY_RECENT_MS
				    ? (uint64_t)heard->age_ms
				    : STRAY_RECENT_MS;
	unsigned shown = strays_text(strays, n, since_ms, others, sizeof(others));

	if (heard->received)
		diag_say(layer, DIAG_OK, "%s: %llu packets came in meanwhile", tags,
			(unsigned long long)heard->received);
	else if (shown)
		diag_say(layer, DIAG_FAIL, "%s: nothing; seen on the port: %s", tags, others);
	else
		verdict_silent(layer, heard, tags);
}

static const char *own_tags(const struct diag *d, char buf[48])
{
	const struct cfg_circuit *circuit = d->cfg->circuit;

	if (circuit && circuit->stag && d->cfg->vlan)
		snprintf(buf, 48, "QinQ %u.%u (0x%04x)", circuit->stag, d->cfg->vlan,
			circuit->stag_tpid);
	else if (d->cfg->vlan || (circuit && circuit->stag))
		snprintf(buf, 48, "VLAN %u", d->cfg->vlan ? d->cfg->vlan : circuit->stag);
	else
		snprintf(buf, 48, "untagged");
	return buf;
}

/* Was the peer asked for in some family, and was nobody there in any? */
static bool nobody_answers(const struct diag *d)
{
	bool asked = false;

	for (unsigned f = 0; f < 2; f++) {
		const struct diag_lane *lane = &d->lanes[f];

		if (lane->present && lane->layers[DIAG_NEIGH].state == DIAG_OK)
			return false;
		asked |= lane->present && lane->layers[DIAG_NEIGH].state == DIAG_FAIL;
	}
	return asked;
}

static void heard_of(const struct diag *d, struct diag_heard *ret_heard)
{
	uint64_t ever = dp_link_rx(d->link->id).packets, age = heard_age_ns(d->link);

	*ret_heard = (struct diag_heard){
		.received = ever - d->rx_packets,
		.sent = dp_link_tx(d->link->id).packets - d->tx_packets,
		.ever = ever,
		.age_ms = age == UINT64_MAX ? -1 : (int64_t)(age / 1000000),
		.asked = nobody_answers(d),
	};
}

/* Is the port as a whole deaf, or this link only? */
static void others_text(const struct diag *d, char *buf, size_t size)
{
	const char *lives = NULL;
	bool others = false;

	for (const struct link *l = link_next(NULL); l && !lives; l = link_next(l))
		if (l != d->link && l->up && l->port == d->link->port) {
			others = true;
			lives = heard_age_ns(l) < OTHERS_RECENT_NS ? l->name : NULL;
		}
	if (lives)
		snprintf(buf, size, "Link %.31s on the same port does receive. ", lives);
	else
		snprintf(buf, size, "%s", others ? "No other link of the port receives. " : "");
}

static void turn_tags(struct diag *d, const struct diag_heard *heard, const char *tags)
{
	struct diag_layer *layer = &d->common[DIAG_TAG];
	char ids[256], where[96], others[80] = "";

	diag_where(&d->cfg->src, where);
	diag_ids(d, ids);
	if (heard->asked && !heard->sent)
		return diag_turn(layer, DIAG_OURS,
			"Nothing leaves: look at `lintasctl stats drops` and `lintasctl events`");
	if (d->link->port >= 0)
		others_text(d, others, sizeof(others));
	diag_turn(layer, DIAG_PROVIDER,
		"%sAsk %s whether the circuit is up at their end, which VLAN they deliver, and "
		"whether our frames arrive: we have %s (links.%s, %s). %s",
		others, diag_provider(d), tags, d->name, where, ids);
}

static void tunnel_id(const struct cfg_link *cfg, char buf[48])
{
	if (cfg->udp_port)
		snprintf(buf, 48, "VNI %u", cfg->vni);
	else if (cfg->encap == CFG_ENCAP_IPSEC)
		snprintf(buf, 48, "ESP");
	else if (cfg->encap == CFG_ENCAP_IPIP)
		snprintf(buf, 48, "IP in IP");
	else if (cfg->outer.key)
		snprintf(buf, 48, "GRE with key %u", cfg->outer.key);
	else
		snprintf(buf, 48, "GRE without key");
}

void diag_tags(struct diag *d)
{
	struct diag_layer *layer = &d->common[DIAG_TAG];
	struct dp_stray strays[DP_STRAYS_MAX];
	struct diag_heard heard;
	char tags[48];
	unsigned n = 0;

	heard_of(d, &heard);
	if (d->cfg->encap != CFG_ENCAP_ETHER)
		tunnel_id(d->cfg, tags);
	else
		own_tags(d, tags);
	if (d->cfg->encap == CFG_ENCAP_ETHER && d->link->port >= 0)
		n = dp_port_strays((unsigned)d->link->port, strays);
	if (d->cfg->encap != CFG_ENCAP_ETHER && !heard.asked && !heard.received)
		diag_say(layer, DIAG_UNKNOWN, "%s: nothing came in meanwhile", tags);
	else
		diag_verdict_tag(layer, &heard, tags, strays, n);
	if (layer->state == DIAG_FAIL)
		turn_tags(d, &heard, tags);
}
