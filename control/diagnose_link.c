/* link diagnose: what both families stand on: the link's own state, light, carrier, tags.
 *
 * The tag is judged at the end, by what came in while neighbours were asked: a peer that is there
 * answers something. When nothing did, what the port received with tags that nobody has
 * (dp_port_strays) says whether the provider delivers another VLAN than was agreed. */
#include <string.h>
#include "diagnose.h"
#include "views.h"

#define STRAY_RECENT_MS 30000

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

	diag_say(layer, d->link->carrier ? DIAG_OK : DIAG_FAIL, "tunnel to %s over %s%s",
		ip_addr_format(&d->cfg->remote, remote), underlay,
		d->link->carrier ? "" : ": no way there");
	if (!d->link->carrier)
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

static unsigned strays_text(const struct dp_stray *strays, unsigned n, char *buf, size_t size)
{
	char tag[32];
	unsigned shown = 0;
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < n && strays[i].age_ms <= STRAY_RECENT_MS && len + 80 < size; i++) {
		tag_text(&strays[i], tag, sizeof(tag));
		len += (size_t)snprintf(buf + len, size - len, "%s%s (%llu frames, %.1f s ago)",
			len ? ", " : "", tag, (unsigned long long)strays[i].packets,
			(double)strays[i].age_ms / 1000);
		shown++;
	}
	return shown;
}

void diag_verdict_tag(struct diag_layer *layer, uint64_t received, uint64_t ever, const char *tags,
	const struct dp_stray *strays, unsigned n)
{
	char others[160];
	unsigned shown = strays_text(strays, n, others, sizeof(others));

	if (received)
		diag_say(layer, DIAG_OK, "%s: %llu packets came in meanwhile", tags,
			(unsigned long long)received);
	else if (shown)
		diag_say(layer, DIAG_FAIL, "%s: nothing; seen on the port: %s", tags, others);
	else if (ever)
		diag_say(layer, DIAG_UNKNOWN,
			"%s: nothing came in meanwhile, %llu packets before; no other tag either",
			tags, (unsigned long long)ever);
	else
		diag_say(layer, DIAG_FAIL, "%s: nothing ever came in, with no other tag either",
			tags);
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

void diag_tags(struct diag *d)
{
	struct diag_layer *layer = &d->common[DIAG_TAG];
	struct dp_stray strays[DP_STRAYS_MAX];
	char tags[48], ids[256], where[96];
	uint64_t ever = dp_link_rx(d->link->id).packets;
	unsigned n;

	if (d->cfg->encap != CFG_ENCAP_ETHER) {
		diag_say(layer, ever > d->rx_packets ? DIAG_OK : DIAG_UNKNOWN,
			"VNI %u: %llu packets came in meanwhile", d->cfg->vni,
			(unsigned long long)(ever - d->rx_packets));
		return;
	}
	n = d->link->port < 0 ? 0 : dp_port_strays((unsigned)d->link->port, strays);
	diag_verdict_tag(layer, ever - d->rx_packets, ever, own_tags(d, tags), strays, n);
	if (layer->state == DIAG_FAIL)
		diag_turn(layer, DIAG_PROVIDER,
			"Ask %s which VLAN they deliver: we have %s (links.%s, %s). %s",
			diag_provider(d), tags, d->name, diag_where(&d->cfg->src, where),
			diag_ids(d, ids));
}
