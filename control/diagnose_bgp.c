/* link diagnose: what FRR says of the session: BGP, BFD, prefixes; in words, and whose turn it is.
 *
 * Pure but for control.running: FRR's JSON in, layers out. It is from outside: every member may be
 * missing or of another type. Notification codes are RFC 4271 4.5, cease RFC 4486 and 8538. */
#include <stdlib.h>
#include <string.h>
#include "diagnose.h"
#include "frr.h"

#define PERCENT_NEAR 80

static const char *str(const json_t *object, const char *key, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : otherwise;
}

static json_int_t num(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* {"169.254.10.1": {…}}: the one member. */
static const json_t *session_of(const struct diag_lane *lane)
{
	char peer[IP_STRLEN];

	return json_object_get(lane->peer_json, ip_addr_format(&lane->peer, peer));
}

bool diag_bgp_established(const struct diag_lane *lane)
{
	return !strcmp(str(session_of(lane), "bgpState", ""), "Established");
}

static const json_t *family_of(const struct diag_lane *lane)
{
	return json_object_get(json_object_get(session_of(lane), "addressFamilyInfo"),
		lane->af == AF_INET ? "ipv4Unicast" : "ipv6Unicast");
}

bool diag_bgp_nothing(const struct diag_lane *lane)
{
	return diag_bgp_established(lane) && !num(family_of(lane), "acceptedPrefixCounter");
}

json_int_t diag_bgp_heard(const json_t *received)
{
	const json_t *routes = json_object_get(received, "receivedRoutes");

	return json_is_object(routes) ? (json_int_t)json_object_size(routes) : -1;
}

/* ---- notifications ---- */
static const struct notification {
	uint8_t code, sub;
	uint8_t turn;
	const char *words, *todo;
} notifications[] = {
	{ 1, 0, DIAG_PROVIDER, "a message's header was wrong",
		"something between us changes segments" },
	{ 2, 1, DIAG_PROVIDER, "unsupported version", "only BGP-4 is spoken" },
	{ 2, 2, DIAG_PROVIDER, "wrong AS number",
		"compare AS numbers: what each side is, and what it expects of the other" },
	{ 2, 3, DIAG_OURS, "bad router id", "gateway.router_id must be unique" },
	{ 2, 4, DIAG_PROVIDER, "unsupported optional parameter", "compare capabilities" },
	{ 2, 6, DIAG_PROVIDER, "unacceptable hold time", "compare hold times" },
	{ 2, 7, DIAG_PROVIDER, "unsupported capability", "compare address families" },
	{ 2, 0, DIAG_PROVIDER, "the peer's OPEN was refused", "compare AS numbers and families" },
	{ 3, 0, DIAG_PROVIDER, "an UPDATE was malformed", "see FRR's log" },
	{ 4, 0, DIAG_PROVIDER, "the hold time went by without a word",
		"the way between us loses packets, or their side hung" },
	{ 5, 0, DIAG_PROVIDER, "a message out of turn", "see FRR's log" },
	{ 6, 1, DIAG_PROVIDER, "more prefixes than allowed",
		"compare what is announced with the limit" },
	{ 6, 2, DIAG_PROVIDER, "shut down by an administrator", "ask them to enable the session" },
	{ 6, 3, DIAG_PROVIDER, "not configured there any more",
		"ask them to configure the session" },
	{ 6, 4, DIAG_PROVIDER, "reset by an administrator", "it should come back by itself" },
	{ 6, 5, DIAG_PROVIDER, "connection rejected",
		"compare addresses and AS numbers; the session may be disabled there" },
	{ 6, 6, DIAG_PROVIDER, "their configuration changed", "it should come back by itself" },
	{ 6, 7, DIAG_PROVIDER, "two connections at once", "it should come back by itself" },
	{ 6, 8, DIAG_PROVIDER, "out of resources", "ask them" },
	{ 6, 10, DIAG_PROVIDER, "BFD went down", "see BFD" },
	{ 6, 0, DIAG_PROVIDER, "ceased", "ask them why" },
};

/* "0202" */
static const struct notification *notification_of(const json_t *s)
{
	const char *text = str(s, "lastErrorCodeSubcode", "");
	unsigned value = (unsigned)strtoul(text, NULL, 16);

	for (size_t i = 0; i < sizeof(notifications) / sizeof(notifications[0]); i++)
		if (strlen(text) == 4 && notifications[i].code == value >> 8 &&
			(!notifications[i].sub || notifications[i].sub == (value & 0xff)))
			return &notifications[i];
	return NULL;
}

/* ---- BGP ---- */
static void bgp_down(struct diag_lane *lane, const json_t *s)
{
	struct diag_layer *layer = &lane->layers[DIAG_BGP];
	const struct notification *n = notification_of(s);
	const char *state = str(s, "bgpState", "?"), *due = str(s, "lastResetDueTo", "");
	const struct diag *d = lane->d;
	bool received = strstr(due, "received");
	uint32_t own = lane->bgp->local_as ? lane->bgp->local_as : control.running->gateway.asn;
	char where[96], ids[256];

	diag_where(&lane->bgp->src, where);
	diag_ids(d, ids);
	if (!n) {
		diag_say(layer, DIAG_FAIL, "%s%s%s", state, *due ? "; last reset: " : "", due);
		diag_turn(layer, DIAG_PROVIDER,
			"Ask %s for their side's state and last error; we are AS %u and expect AS "
			"%u (links.%s, %s). %s",
			diag_provider(d), own, lane->bgp->asn, d->name, where, ids);
		return;
	}
	diag_say(layer, DIAG_FAIL, "%s; %s said: %s (%u/%u)", state,
		received ? "the peer" : "our side", n->words, n->code, n->sub);
	if (n->code == 2 && n->sub == 2)
		diag_turn(layer, n->turn,
			"AS numbers: we are %u%s and expect %u of the peer (links.%s, %s); ask %s "
			"what their side is and expects. %s",
			own, lane->bgp->local_as ? " (local_as)" : "", lane->bgp->asn, d->name,
			where, diag_provider(d), ids);
	else
		diag_turn(layer, n->turn, "%s: %s (links.%s, %s). %s", diag_provider(d), n->todo,
			d->name, where, ids);
}

static void bgp_layer(struct diag_lane *lane)
{
	struct diag_layer *layer = &lane->layers[DIAG_BGP];
	const json_t *s = session_of(lane);

	if (control.running->routing != CFG_ROUTING_FRR) {
		diag_say(layer, DIAG_SKIPPED, "routing is external");
	} else if (!lane->peer_json) {
		diag_say(layer, DIAG_FAIL, "FRR does not answer");
		diag_turn(layer, DIAG_OURS,
			"Look at `systemctl status frr` and `lintasctl events --since 10m`");
	} else if (!s) {
		diag_say(layer, DIAG_FAIL, "FRR does not have the session");
		diag_turn(layer, DIAG_OURS, "Look at `lintasctl status`: is FRR in sync?");
	} else if (diag_bgp_established(lane)) {
		diag_say(layer, DIAG_OK,
			"established for %llds, AS %lld; %llds without a word would end it (hold "
			"time)",
			(long long)(num(s, "bgpTimerUpMsec") / 1000), (long long)num(s, "remoteAs"),
			(long long)(num(s, "bgpTimerHoldTimeMsecs") / 1000));
	} else {
		bgp_down(lane, s);
	}
}

/* ---- BFD ---- */
static const json_t *bfd_of(const struct diag_lane *lane)
{
	char peer[IP_STRLEN];
	size_t i;
	json_t *p;

	ip_addr_format(&lane->peer, peer);
	json_array_foreach(lane->d->bfd, i, p)
		if (!strcmp(str(p, "peer", ""), peer) &&
			!strcmp(str(p, "vrf", "default"), lane->d->cfg->vrf->name))
			return p;
	return NULL;
}

static void bfd_layer(struct diag_lane *lane)
{
	struct diag_layer *layer = &lane->layers[DIAG_BFD];
	const struct cfg_bfd *want = &lane->bgp->bfd;
	const struct diag *d = lane->d;
	const json_t *p = bfd_of(lane);
	const char *status = str(p, "status", "not there");
	char ids[256];

	if (!want->enabled) {
		diag_say(layer, DIAG_SKIPPED, "not configured");
		return;
	}
	if (!d->bfd) {
		diag_say(layer, DIAG_UNKNOWN, "FRR's bfdd does not answer");
		return;
	}
	if (!strcmp(status, "up")) {
		diag_say(layer, DIAG_OK, "%ux%u, theirs %lldx%lld", want->interval_ms,
			want->multiplier, (long long)num(p, "remote-transmit-interval"),
			(long long)num(p, "remote-detect-multiplier"));
		return;
	}
	diag_say(layer, DIAG_FAIL, "%s, we offer %ux%u; diagnostic: %s, theirs: %s", status,
		want->interval_ms, want->multiplier, str(p, "diagnostic", "?"),
		str(p, "remote-diagnostic", "?"));
	if (p)
		diag_turn(layer, DIAG_PROVIDER,
			"Ask %s to enable BFD on this session, at %u ms or slower, and whether "
			"UDP 3784 is filtered. %s",
			diag_provider(d), want->interval_ms, diag_ids(d, ids));
	else
		diag_turn(layer, DIAG_OURS,
			"FRR has no BFD session with it: look at `lintasctl status`: is FRR in "
			"sync?");
}

/* ---- prefixes ---- */
static void near_limit(char *buf, size_t size, const char *what, json_int_t n, uint32_t limit)
{
	if (!limit)
		snprintf(buf, size, "%s %lld", what, (long long)n);
	else
		snprintf(buf, size, "%s %lld of %u%s", what, (long long)n, limit,
			n >= limit			  ? " (AT THE LIMIT)"
			: n * 100 >= limit * PERCENT_NEAR ? " (near the limit)"
							  : "");
}

static void prefixes_layer(struct diag_lane *lane)
{
	struct diag_layer *layer = &lane->layers[DIAG_PREFIXES];
	const json_t *f = family_of(lane);
	json_int_t in, out;
	char in_text[64], out_text[64], where[96], ids[256], more[48] = "";
	const struct diag *d = lane->d;
	unsigned waiting;

	in = num(f, "acceptedPrefixCounter");
	out = num(f, "sentPrefixCounter");
	near_limit(in_text, sizeof(in_text), "in", in, lane->bgp->max_in);
	near_limit(out_text, sizeof(out_text), "out", out, lane->bgp->max_out);
	if (!f) {
		diag_say(layer, DIAG_FAIL, "the family was not agreed upon");
		diag_turn(layer, DIAG_PROVIDER, "Ask %s to enable IPv%c on this session. %s",
			diag_provider(d), lane->af == AF_INET ? '4' : '6', diag_ids(d, ids));
		return;
	}
	waiting = frr_guard_waiting(d->name, lane->af == AF_INET6);
	if (waiting)
		snprintf(more, sizeof(more), ", %u wait for room", waiting);
	diag_say(layer, in ? DIAG_OK : DIAG_FAIL, "%s, %s%s", in_text, out_text, more);
	if (in)
		return;
	if (lane->heard > 0)
		diag_turn(layer, DIAG_OURS,
			"They announce %lld prefixes and all are refused: compare "
			"links.%s.bgp.accept "
			"(%s) with `lintasctl bgp routes %s rejected`",
			(long long)lane->heard, d->name, diag_where(&lane->bgp->src, where),
			d->name);
	else if (!lane->heard)
		diag_turn(layer, DIAG_PROVIDER,
			"They announce nothing: ask %s which prefixes are set up for us. %s",
			diag_provider(d), diag_ids(d, ids));
	else
		diag_turn(layer, DIAG_OURS,
			"Whether they announce nothing or all is refused is not known: look at "
			"`lintasctl bgp routes %s received`",
			d->name);
}

void diag_bgp(struct diag_lane *lane)
{
	static const enum diag_family all[] = { DIAG_BGP, DIAG_BFD, DIAG_PREFIXES };

	if (!lane->bgp) {
		for (unsigned i = 0; i < 3; i++)
			diag_say(&lane->layers[all[i]], DIAG_SKIPPED, "no BGP is configured");
		return;
	}
	bgp_layer(lane);
	bfd_layer(lane);
	if (lane->layers[DIAG_BGP].state == DIAG_OK)
		prefixes_layer(lane);
	else
		diag_say(&lane->layers[DIAG_PREFIXES], DIAG_SKIPPED, "no session");
}
