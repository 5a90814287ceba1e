/* link diagnose: TCP port 179 and MD5 (RFC 2385).
 *
 * A session that is established has answered both questions, and is left alone: another connection
 * may make a peer with graceful restart think we died. Else we connect as BGP would (source, TTL),
 * with the key and without, and to a port that nobody serves, and derive what can be known from
 * what comes back. Silence is the answer to a wrong signature as well as to a filter; what tells
 * them apart is whether other ports refuse, and what the VRF's own counters say of the segments
 * that the peer sends to us. Keys are read for one system call and wiped. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diagnose.h"
#include "frr.h"

#define BGP_PORT   179
#define OTHER_PORT 1
#define WAIT_MS	   1700 /* a lost SYN is sent again after one second */
#define FRR_MS	   4000 /* for what FRR knows of the session */

/* ---- the VRF's counters ---- */
/* Two lines, names and values, word by word. */
static uint64_t counter(const char *names, const char *values, const char *name)
{
	size_t len = strlen(name);

	for (;;) {
		names += strcspn(names, " \n");
		values += strcspn(values, " \n");
		if (*names != ' ' || *values != ' ')
			return 0;
		names++;
		values++;
		if (strcspn(names, " \n") == len && !memcmp(names, name, len))
			return strtoull(values, NULL, 10);
	}
}

void diag_md5_parse(const char *text, struct diag_md5 *ret_md5)
{
	const char *names = strstr(text, "TcpExt: "), *values = names ? strchr(names, '\n') : NULL;

	*ret_md5 = (struct diag_md5){ .known = false };
	values = values ? values + 1 : NULL;
	if (!values || strncmp(values, "TcpExt: ", 8))
		return;
	*ret_md5 = (struct diag_md5){ .known = true,
		.missing = counter(names, values, "TCPMD5NotFound"),
		.unexpected = counter(names, values, "TCPMD5Unexpected"),
		.wrong = counter(names, values, "TCPMD5Failure") };
}

/* ---- what it means ---- */
static void key_turn(struct diag_lane *lane, const char *what)
{
	const struct diag *d = lane->d;
	char where[96], ids[256];

	diag_turn(&lane->layers[DIAG_MD5], DIAG_OURS,
		"%s Compare key \"%s\" in %s (links.%s, %s) with what %s has set, give both sides "
		"the same and reload. %s",
		what, lane->bgp->key, control.running->defaults.keys, d->name,
		diag_where(&lane->bgp->src, where), diag_provider(d), diag_ids(d, ids));
}

/* Both connections met silence. */
static void verdict_silent(struct diag_lane *lane, const struct diag_md5 *seen)
{
	struct diag_layer *tcp = &lane->layers[DIAG_TCP], *md5 = &lane->layers[DIAG_MD5];
	bool key = lane->bgp->key, alive = lane->connects[DIAG_OTHER] == DIAG_REFUSED ||
					   lane->connects[DIAG_OTHER] == DIAG_ACCEPTED;
	const struct diag *d = lane->d;
	char ids[256], where[96];

	if (!alive && !seen->wrong && !seen->missing && !seen->unexpected) {
		diag_say(tcp, DIAG_FAIL, "no answer%s, nor from another port",
			key ? " with the key or without" : "");
		diag_turn(tcp, DIAG_PROVIDER,
			"Ask %s whether BGP is set up toward our address, whether a filter stops "
			"TCP 179%s. %s",
			diag_provider(d), key ? ", and which key they have" : "", diag_ids(d, ids));
		return;
	}
	diag_say(tcp, DIAG_OK, "the host is there; 179 stays silent");
	if (key && seen->wrong) {
		diag_say(md5, DIAG_FAIL, "%llu segments with a wrong signature came in meanwhile",
			(unsigned long long)seen->wrong);
		key_turn(lane, "The keys differ.");
	} else if (key && seen->missing) {
		diag_say(md5, DIAG_FAIL, "%llu segments without signature came in meanwhile",
			(unsigned long long)seen->missing);
		diag_turn(md5, DIAG_PROVIDER, "Ask %s to set the MD5 key on this session. %s",
			diag_provider(d), diag_ids(d, ids));
	} else if (key) {
		diag_say(md5, DIAG_FAIL, "no answer with the key or without; other ports answer");
		key_turn(lane, "The keys differ, or the peer does not know our address.");
	} else {
		diag_say(md5, DIAG_FAIL, "no key here, and the peer %s",
			seen->unexpected ? "signs" : "answers nothing unsigned");
		diag_turn(md5, DIAG_OURS,
			"Set key = \"NAME\" for links.%s at %s, the secret in a 0600 file of that "
			"name in defaults.keys, and reload. %s",
			d->name, diag_where(&lane->bgp->src, where), diag_ids(d, ids));
	}
}

void diag_verdict_tcp(struct diag_lane *lane, const struct diag_md5 *seen)
{
	struct diag_layer *tcp = &lane->layers[DIAG_TCP], *md5 = &lane->layers[DIAG_MD5];
	const struct diag *d = lane->d;
	char ids[256];

	if (!lane->bgp->key)
		diag_say(md5, DIAG_SKIPPED, "no key is configured");
	if (lane->connects[DIAG_SIGNED] == DIAG_ACCEPTED) {
		diag_say(tcp, DIAG_OK, "accepted");
		diag_say(md5, DIAG_OK, "accepted with the key");
	} else if (lane->connects[DIAG_PLAIN] == DIAG_ACCEPTED) {
		diag_say(tcp, DIAG_OK, "accepted");
		if (!lane->bgp->key)
			return;
		diag_say(md5, DIAG_FAIL, "the peer answers without the key, and not with it");
		diag_turn(md5, DIAG_PROVIDER,
			"Ask %s to set the MD5 key on this session, or take key out of links.%s. "
			"%s",
			diag_provider(d), d->name, diag_ids(d, ids));
	} else if (lane->connects[DIAG_PLAIN] == DIAG_REFUSED) {
		diag_say(tcp, DIAG_FAIL, "refused");
		diag_turn(tcp, DIAG_PROVIDER,
			"Nobody listens: ask %s whether BGP is enabled and runs on their side. %s",
			diag_provider(d), diag_ids(d, ids));
	} else if (lane->connects[DIAG_PLAIN] == DIAG_UNREACHED) {
		diag_say(tcp, DIAG_FAIL, "no route to the peer");
		diag_turn(tcp, DIAG_OURS,
			"Look at `lintasctl route get` and `lintasctl link show %s`", d->name);
	} else {
		verdict_silent(lane, seen);
	}
}

/* ---- connecting ---- */
static int sign(struct diag_lane *lane, int fd, const struct sockaddr_storage *to)
{
	struct tcp_md5sig md5 = { 0 };
	char key[CFG_KEY_MAX + 16];
	int rc = frr_key_read(control.running, lane->bgp->key, key, sizeof(key));

	if (!rc) {
		memcpy(&md5.tcpm_addr, to, sizeof(md5.tcpm_addr));
		md5.tcpm_keylen = (uint16_t)strlen(key);
		memcpy(md5.tcpm_key, key, md5.tcpm_keylen);
		if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)))
			rc = -errno;
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(&md5, sizeof(md5));
	return rc;
}

/* As BGP would: RFC 5082 wants 255, eBGP to a neighbour 1. */
static int as_bgp(const struct diag_lane *lane, int fd)
{
	const struct cfg_bgp_peer *bgp = lane->bgp;
	int ttl = bgp->gtsm ? 255 : bgp->multihop ? bgp->multihop : 1;
	struct sockaddr_storage own;
	socklen_t len = diag_sockaddr(lane, &lane->own, 0, &own);

	if (lane->af == AF_INET
			? setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl))
			: setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl)))
		return -errno;
	return lane->own.af && bind(fd, (struct sockaddr *)&own, len) ? -errno : 0;
}

static uint8_t outcome(int error)
{
	switch (error) {
	case 0:
		return DIAG_ACCEPTED;
	case EINPROGRESS:
		return DIAG_PENDING;
	case ECONNREFUSED:
	case ECONNRESET:
		return DIAG_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
		return DIAG_UNREACHED;
	default:
		return DIAG_SILENT;
	}
}

static int connect_start(struct diag_lane *lane, unsigned which)
{
	uint16_t port = which == DIAG_OTHER ? OTHER_PORT : BGP_PORT;
	struct sockaddr_storage to;
	socklen_t len = diag_sockaddr(lane, &lane->peer, port, &to);
	unsigned i = lane->bgp->key ? which : which - 1;
	int fd = lane->io[i].fd, rc = as_bgp(lane, fd);

	if (!rc && which == DIAG_SIGNED && (rc = sign(lane, fd, &to))) {
		diag_say(&lane->layers[DIAG_MD5], DIAG_FAIL, "the key cannot be used: %s",
			strerror(-rc));
		diag_turn(&lane->layers[DIAG_MD5], DIAG_OURS,
			"Key \"%s\" must be a 0600 file of one line, 1 to %u printable bytes, in "
			"defaults.keys",
			lane->bgp->key, CFG_KEY_MAX);
	}
	if (rc)
		return rc;
	if (connect(fd, (struct sockaddr *)&to, len) && errno != EINPROGRESS)
		lane->connects[which] = outcome(errno);
	else
		return diag_watch(lane, i, EV_WRITE);
	return 0;
}

static void on_counters(struct diag_lane *lane, int rc)
{
	const struct diag_md5 *before = &lane->d->md5, *now = &lane->md5;
	struct diag_md5 seen = { 0 };

	if (!rc && now->known && before->known)
		seen = (struct diag_md5){ .known = true,
			.missing = now->missing - before->missing,
			.unexpected = now->unexpected - before->unexpected,
			.wrong = now->wrong - before->wrong };
	diag_verdict_tcp(lane, &seen);
	diag_step_done(lane);
}

static void nothing(struct diag_lane *lane)
{
	(void)lane;
}

static void nothing_io(struct diag_lane *lane, unsigned i)
{
	(void)lane, (void)i;
}

static void finish(struct diag_lane *lane)
{
	for (unsigned i = 0; i < DIAG_CONNECTS; i++)
		if (lane->connects[i] == DIAG_PENDING)
			lane->connects[i] = DIAG_SILENT;
	lane->on_timer = nothing;
	lane->on_io = nothing_io;
	diag_ask_md5_end(lane, on_counters);
}

static void on_connect(struct diag_lane *lane, unsigned i)
{
	unsigned which = lane->bgp->key ? i : i + 1; /* in the order they were started */
	socklen_t len = sizeof(int);
	int error = EIO;

	getsockopt(lane->io[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
	lane->connects[which] = outcome(error);
	if (lane->connects[DIAG_SIGNED] == DIAG_ACCEPTED ||
		(lane->connects[DIAG_PLAIN] != DIAG_PENDING && !lane->bgp->key))
		finish(lane);
}

/* One connection a turn of the loop. */
static void on_open(struct diag_lane *lane)
{
	unsigned which = lane->round++;
	int rc;

	if (which == DIAG_CONNECTS)
		return finish(lane);
	if (which == DIAG_SIGNED && !lane->bgp->key) {
		lane->connects[which] = DIAG_SILENT;
		return on_open(lane);
	}
	rc = connect_start(lane, which);
	if (lane->layers[DIAG_MD5].state == DIAG_FAIL)
		return diag_step_done(lane);
	if (rc) {
		diag_say(&lane->layers[DIAG_TCP], DIAG_UNKNOWN, "cannot ask: %s", strerror(-rc));
		return diag_step_done(lane);
	}
	diag_timer(lane, lane->round == DIAG_CONNECTS ? WAIT_MS : 0);
}

static void on_sockets(struct diag_lane *lane, int rc)
{
	if (rc) {
		diag_say(&lane->layers[DIAG_TCP], DIAG_UNKNOWN, "cannot ask: %s", strerror(-rc));
		return diag_step_done(lane);
	}
	lane->round = 0;
	lane->on_io = on_connect;
	lane->on_timer = on_open;
	diag_timer(lane, 0);
}

/* What FRR knows of the session comes first. */
static void on_wait(struct diag_lane *lane)
{
	if (!lane->answered && now_ns() - lane->d->start_ns < FRR_MS * 1000000ull)
		return diag_timer(lane, 50);
	if (diag_bgp_established(lane)) {
		diag_say(&lane->layers[DIAG_TCP], DIAG_OK, "a session is established");
		diag_say(&lane->layers[DIAG_MD5], lane->bgp->key ? DIAG_OK : DIAG_SKIPPED, "%s",
			lane->bgp->key ? "the session is signed" : "no key is configured");
		return diag_step_done(lane);
	}
	diag_sockets(lane, lane->af == AF_INET ? KEEPER_SOCKET_TCP4 : KEEPER_SOCKET_TCP6,
		lane->bgp->key ? DIAG_CONNECTS : DIAG_CONNECTS - 1, on_sockets);
}

void diag_tcp_start(struct diag_lane *lane)
{
	if (!lane->bgp || control.running->routing != CFG_ROUTING_FRR) {
		const char *why =
			lane->bgp ? "routing is external: not disturbed" : "no BGP is configured";

		diag_say(&lane->layers[DIAG_TCP], DIAG_SKIPPED, "%s", why);
		diag_say(&lane->layers[DIAG_MD5], DIAG_SKIPPED, "%s", why);
		return diag_step_done(lane);
	}
	lane->on_timer = on_wait;
	on_wait(lane);
}
