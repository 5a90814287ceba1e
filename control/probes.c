/* Which links are probed, from where, by which next hop; and what the answers mean.
 *
 * A stream a link and family that has `probe` (its own or its path's). The fast path sends and
 * counts (dataplane/probe.c), its index is link id and family; here every stream is looked at five
 * times a second, a slice of them a tick, its outcomes go to estimate.c and the verdict to
 * health.c. A probe leaves by the adjacency of the next hop that traffic takes too: the BGP peer,
 * or static.via, or gateway, or the far host itself or the only other host where it is on the link;
 * a reference keeps that neighbour resolved. When every link of a path is bad the target is
 * suspected, once: that moves nothing, for bad legs are last, not dead. Keys are read when a stream
 * or a reflector begins and wiped at once. Control thread only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/sha256.h"
#include "frr.h"
#include "mirror_state.h"
#include "probes.h"

#define TICK_MS	      25
#define TURNS	      8 /* ticks until each stream has been looked at */
#define READ_MAX      256
#define TIMEOUT_MS    1000
#define TIMEOUT_LOOKS 50 /* between two adjustments of the timeout */
#define STAMP_PORT    862
#define HTTPS_PORT    443
#define INDEX(id, v6) ((unsigned)(id)*2 + (v6))

_Static_assert(DP_PROBES_MAX == 2 * DP_LINKS_MAX, "INDEX");

struct stream {
	struct link *link;
	uint8_t af;
	bool wanted;
	struct dp_probe conf;
	struct estimate_conf judge;
	uint8_t key[32]; /* a digest of it */
	struct ip_addr via;
	struct hop *hop;
	uint16_t timeout_ms;
	uint32_t cursor;
	unsigned looks;
	uint64_t deaf_until_ns; /* outcomes of probes from before are still to come */
	uint64_t first_ns;	/* of the first answer; 0: none yet */
	uint64_t before_first[DP_PROBE_BUCKETS_MAX]; /* lost until then: the way was not there */
	struct estimate *estimate;
	const char *problem;
};

static struct stream *streams[DP_PROBES_MAX];
static unsigned order[DP_PROBES_MAX], n_streams, next_turn; /* indexes of those that are */
static struct event *tick_event;
static uint8_t reflecting[DP_LINKS_MAX][32]; /* digests of keys; all zero: not set */
static struct {
	const struct config *config;
	bool told[CFG_OBJECTS_MAX][2];
} dead_paths;

/* ---- from the configuration ---- */

static const struct ip_addr *connected(const struct cfg_link *cfg, const struct ip_addr *addr)
{
	static const uint8_t link_local[2] = { 0xfe, 0x80 };

	if (!addr->af)
		return NULL;
	if (addr->af == AF_INET6 && !memcmp(addr->bytes, link_local, 2))
		return addr;
	for (unsigned i = 0; i < cfg->n_address; i++)
		if (cfg->address[i].af == addr->af && ip_prefix_contains(&cfg->address[i], addr))
			return addr;
	return NULL;
}

/* On a /30, /31, /126 or /127 there is one other host. */
static struct ip_addr other_end(const struct cfg_link *cfg, uint8_t af)
{
	for (unsigned i = 0; i < cfg->n_address; i++) {
		struct ip_addr addr = ip_prefix_addr(&cfg->address[i]);
		unsigned last = ip_size(af) - 1, host = ip_bits(af) - cfg->address[i].len;

		if (addr.af != af || !host || host > 2 || ip_addr_is_link_local(&addr))
			continue;
		addr.bytes[last] ^= host == 1 ? 1 : 3; /* .1 and .2 of four */
		return addr;
	}
	return (struct ip_addr){ 0 };
}

static struct ip_addr next_hop(const struct cfg_link *cfg, bool v6)
{
	const struct cfg_bgp_peer *peer = v6 ? &cfg->bgp.v6 : &cfg->bgp.v4;

	if (cfg->bgp.present && peer->present && connected(cfg, &peer->peer))
		return peer->peer;
	if (cfg->static_via[v6].af)
		return cfg->static_via[v6];
	if (cfg->gateway[v6].af)
		return cfg->gateway[v6];
	if (connected(cfg, &cfg->probe[v6]))
		return cfg->probe[v6];
	return other_end(cfg, v6 ? AF_INET6 : AF_INET);
}

static struct ip_addr source(const struct cfg_link *cfg, bool v6, const struct ip_addr *via)
{
	uint8_t af = v6 ? AF_INET6 : AF_INET;
	struct ip_addr first = { 0 };

	if (cfg->probing.source[v6].af)
		return cfg->probing.source[v6];
	for (unsigned i = 0; i < cfg->vrf->loopback.n; i++)
		if (cfg->vrf->loopback.items[i].af == af)
			return ip_prefix_addr(&cfg->vrf->loopback.items[i]);
	for (unsigned i = 0; i < cfg->n_address; i++) {
		struct ip_addr addr = ip_prefix_addr(&cfg->address[i]);

		if (addr.af != af || (v6 && ip_addr_is_link_local(&addr)))
			continue;
		if (ip_prefix_contains(&cfg->address[i], via))
			return addr;
		if (!first.af)
			first = addr;
	}
	return first;
}

/* Its length, 0: none wanted, or -errno. */
static int key_take(const struct link *link, const char *name, char key[CFG_KEY_MAX + 16],
	uint8_t ret_digest[32])
{
	struct sha256 sha;
	int rc = name ? frr_key_read(control.running, name, key, CFG_KEY_MAX + 16) : 0;

	memset(ret_digest, 0, 32);
	if (rc < 0) {
		log_event(LOG_LVL_ERR, link->name,
			"probing: key '%s' unusable (%s): a 0600 file of one line, 1 to %u "
			"printable "
			"bytes",
			name, strerror(-rc), CFG_KEY_MAX);
		return rc;
	}
	sha256_init(&sha);
	if (name)
		sha256_update(&sha, key, strlen(key));
	sha256_final(&sha, ret_digest);
	explicit_bzero(&sha, sizeof(sha));
	return name ? (int)strlen(key) : 0;
}

/* Everything but the key, whose digest the caller has. */
static void conf_make(const struct link *link, bool v6, struct dp_probe *ret_conf,
	struct estimate_conf *ret_judge)
{
	static const uint8_t types[] = { [CFG_PROBE_STAMP] = DP_PROBE_STAMP,
		[CFG_PROBE_ICMP] = DP_PROBE_ICMP,
		[CFG_PROBE_TCP] = DP_PROBE_TCP };
	const struct cfg_link *cfg = link->cfg;
	const struct cfg_probing *how = &cfg->probing;
	struct ip_addr via = next_hop(cfg, v6);

	memset(ret_conf, 0, sizeof(*ret_conf));
	memset(ret_judge, 0, sizeof(*ret_judge));
	ret_conf->type = types[how->type];
	ret_conf->buckets = how->buckets ? how->buckets : 1;
	ret_conf->rate = how->rate ? how->rate : 10;
	ret_conf->vrf = link->vrf->id;
	ret_conf->link = link->id;
	ret_conf->port = how->port			? how->port
			 : how->type == CFG_PROBE_STAMP ? STAMP_PORT
							: HTTPS_PORT;
	ret_conf->src = source(cfg, v6, &via);
	ret_conf->dst = cfg->probe[v6];
	ret_judge->rate = ret_conf->rate;
	ret_judge->buckets = ret_conf->buckets;
	ret_judge->slo = cfg->slo;
}

/* ---- streams ---- */

static void detach(struct stream *s)
{
	if (!s->hop)
		return;
	dp_probe_way(INDEX(s->link->id, s->af == AF_INET6), 0, s->timeout_ms);
	hop_put(s->hop, true);
	s->hop = NULL;
}

static void attach(struct stream *s)
{
	struct iface *iface = iface_of_link(s->link);

	if (s->hop && s->hop->iface != iface)
		detach(s);
	if (s->hop || !iface || !s->via.af)
		return;
	s->hop = hop_get(iface, DP_ADJ_GLEAN, &s->via, true); /* not yet published: next time */
	if (s->hop)
		dp_probe_way(INDEX(s->link->id, s->af == AF_INET6), s->hop->adj, s->timeout_ms);
}

static void order_rebuild(void)
{
	n_streams = 0;
	for (unsigned i = 0; i < DP_PROBES_MAX; i++)
		if (streams[i])
			order[n_streams++] = i;
}

static void stream_end(unsigned index)
{
	struct stream *s = streams[index];

	if (!s)
		return;
	detach(s);
	dp_probe_del(index);
	health_forget_probe(s->link, s->af);
	estimate_free(s->estimate);
	free(s);
	streams[index] = NULL;
}

static const char *begin(struct stream *s, const char *key, int key_len)
{
	struct dp_probe conf = s->conf;
	int rc;

	if (!s->via.af)
		return "no next hop: give the link a gateway or static.via";
	if (!s->conf.src.af)
		return "no source: give probing.source or the link an address of this family";
	if (key_len < 0)
		return "its key cannot be read";
	conf.key = key_len ? key : NULL;
	conf.key_len = (size_t)key_len;
	rc = dp_probe_set(INDEX(s->link->id, s->af == AF_INET6), &conf);
	if (rc == -ENOSPC)
		return "no ports left: ask for fewer probing.buckets";
	s->estimate = rc ? NULL : estimate_new(&s->judge, now_ns());
	return s->estimate ? NULL : "no memory";
}

static void stream_begin(struct link *link, bool v6)
{
	unsigned index = INDEX(link->id, v6);
	struct stream *s = streams[index], made = { .link = link, .wanted = true };
	char key[CFG_KEY_MAX + 16] = "";
	int len = key_take(link, link->cfg->probing.key, key, made.key);

	made.af = v6 ? AF_INET6 : AF_INET;
	made.timeout_ms = TIMEOUT_MS;
	made.via = next_hop(link->cfg, v6);
	conf_make(link, v6, &made.conf, &made.judge);
	if (s && !s->problem && !memcmp(&s->conf, &made.conf, sizeof(made.conf)) &&
		!memcmp(&s->judge, &made.judge, sizeof(made.judge)) &&
		!memcmp(s->key, made.key, sizeof(made.key)) && len >= 0) {
		s->wanted = true;
		if (!ip_addr_equal(&s->via, &made.via)) {
			detach(s);
			s->via = made.via;
		}
		goto out;
	}
	stream_end(index);
	s = malloc(sizeof(*s));
	if (!s)
		goto out;
	*s = made;
	streams[index] = s;
	s->problem = begin(s, key, len);
	if (s->problem)
		log_event(LOG_LVL_ERR, link->name, "IPv%c is not probed: %s", v6 ? '6' : '4',
			s->problem);
	attach(s);
out:
	explicit_bzero(key, sizeof(key));
}

static void reflect(struct link *link)
{
	static const uint8_t off[32];
	const struct cfg_link *cfg = link->cfg;
	char key[CFG_KEY_MAX + 16] = "";
	uint8_t digest[32] = { 0 };
	int len = 0;

	if (cfg && cfg->reflector && link->up) {
		len = key_take(link, cfg->probing.key, key, digest);
		if (len < 0)
			memset(digest, 0, sizeof(digest)); /* rather silent than for everybody */
	}
	if (memcmp(digest, reflecting[link->id], sizeof(digest)) &&
		!dp_reflector_set(link->id, memcmp(digest, off, sizeof(off)), len > 0 ? key : NULL,
			len > 0 ? (size_t)len : 0))
		memcpy(reflecting[link->id], digest, sizeof(digest));
	explicit_bzero(key, sizeof(key));
}

void probes_config_changed(void)
{
	for (unsigned i = 0; i < DP_PROBES_MAX; i++)
		if (streams[i])
			streams[i]->wanted = false;
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		reflect(link);
		for (unsigned v6 = 0; v6 < 2; v6++)
			if (link->up && link->cfg && link->cfg->probe[v6].af)
				stream_begin(link, v6);
	}
	for (unsigned i = 0; i < DP_PROBES_MAX; i++)
		if (streams[i] && !streams[i]->wanted)
			stream_end(i);
	order_rebuild();
	dead_paths.config = NULL;
}

void probes_link_gone(struct link *link)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		stream_end(INDEX(link->id, v6));
	dp_reflector_set(link->id, false, NULL, 0);
	memset(reflecting[link->id], 0, sizeof(reflecting[0]));
	order_rebuild();
}

/* ---- looking ---- */

/* A link became bad, or better: has its path none left that answers? */
void probes_anew(struct link *link, uint8_t af)
{
	struct stream *s = streams[INDEX(link->id, af == AF_INET6)];
	struct estimate *fresh = s && s->estimate ? estimate_new(&s->judge, now_ns()) : NULL;

	if (!fresh)
		return;
	estimate_free(s->estimate);
	s->estimate = fresh;
	s->deaf_until_ns = now_ns() + (s->timeout_ms + 100) * 1000000ull;
	health_forget_probe(link, af);
}

static void suspect_target(const struct stream *s)
{
	unsigned v6 = s->af == AF_INET6, n = 0, bad = 0, at, tier;
	const struct cfg_path *path = config_path_of(control.running, s->link->cfg, &tier);
	char target[IP_STRLEN];

	if (!path)
		return;
	if (dead_paths.config != control.running)
		memset(&dead_paths, 0, sizeof(dead_paths));
	dead_paths.config = control.running;
	at = (unsigned)(path - control.running->paths) % CFG_OBJECTS_MAX;
	for (unsigned i = 0; i < n_streams; i++) {
		const struct stream *other = streams[order[i]];

		if (other->af != s->af || !other->estimate ||
			config_path_of(control.running, other->link->cfg, &tier) != path)
			continue;
		n++;
		bad += health_probed(other->link, other->af, NULL) == HEALTH_BAD;
	}
	if (n > 1 && bad == n && !dead_paths.told[at][v6])
		log_event(LOG_LVL_WARN, path->name,
			"probes: no link of this path has an answer from %s: is the target "
			"unreachable? traffic stays where the tiers put it",
			ip_addr_format(&s->conf.dst, target));
	dead_paths.told[at][v6] = bad == n;
}

/* What was on its way when the first answer came is told as lost within the timeout after it. */
static void count_early(struct stream *s, const struct dp_probe_outcome *o, uint64_t now)
{
	if (o->fate == DP_PROBE_ANSWERED && !s->first_ns)
		s->first_ns = now;
	else if (o->fate != DP_PROBE_ANSWERED && o->bucket < DP_PROBE_BUCKETS_MAX &&
		 (!s->first_ns || now - s->first_ns <= (s->timeout_ms + 200) * 1000000ull))
		s->before_first[o->bucket]++;
}

static void read_outcomes(struct stream *s, unsigned index, uint64_t now)
{
	struct dp_probe_outcome outcomes[READ_MAX];
	struct dp_probe_stats stats;
	unsigned n;

	for (uint8_t b = 0; b < s->conf.buckets; b++)
		if (!dp_probe_stats(index, b, &stats))
			estimate_sent(s->estimate, b,
				stats.sent > stats.unsent ? stats.sent - stats.unsent : 0);
	do {
		n = dp_probe_read(index, &s->cursor, outcomes, READ_MAX);
		for (unsigned i = 0; i < n; i++)
			count_early(s, &outcomes[i], now);
		for (unsigned i = 0; i < n && now >= s->deaf_until_ns; i++)
			if (outcomes[i].fate == DP_PROBE_ANSWERED)
				estimate_answer(
					s->estimate, outcomes[i].bucket, outcomes[i].rtt_us, now);
			else
				estimate_lost(s->estimate, outcomes[i].bucket, now);
	} while (n == READ_MAX);
}

/* Three times the p99, within bounds: a long way is not a lossy one. */
static void adjust_timeout(struct stream *s, unsigned index, uint64_t now)
{
	struct estimate_report report;
	int64_t ms;

	if (++s->looks % TIMEOUT_LOOKS)
		return;
	estimate_report(s->estimate, ESTIMATE_LINK, now, &report);
	ms = report.p99_us * 3 / 1000;
	if (ms < TIMEOUT_MS)
		ms = TIMEOUT_MS;
	if (ms > DP_PROBE_TIMEOUT_MAX_MS)
		ms = DP_PROBE_TIMEOUT_MAX_MS;
	if (s->timeout_ms == ms)
		return;
	s->timeout_ms = (uint16_t)ms;
	dp_probe_way(index, s->hop ? s->hop->adj : 0, s->timeout_ms);
}

static void look(unsigned index)
{
	struct stream *s = streams[index];
	enum health health, before;
	uint64_t now = now_ns();
	const char *why;

	if (!s->estimate)
		return;
	attach(s);
	read_outcomes(s, index, now);
	if (now < s->deaf_until_ns)
		return;
	adjust_timeout(s, index, now);
	before = health_probed(s->link, s->af, NULL);
	health = estimate_judge(s->estimate, now, &why);
	if (health != before || health != HEALTH_GOOD)
		health_probe(s->link, s->af, health, why);
	if (health != before)
		suspect_target(s);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	for (unsigned i = next_turn; i < n_streams; i += TURNS)
		look(order[i]);
	next_turn = (next_turn + 1) % TURNS;
}

int probes_start(void)
{
	struct timeval every = { .tv_usec = TICK_MS * 1000 };

	tick_event = event_new(control.base, -1, EV_PERSIST, on_tick, NULL);
	return tick_event && !event_add(tick_event, &every) ? 0 : -ENOMEM;
}

void probes_stop(void)
{
	if (tick_event)
		event_free(tick_event);
	tick_event = NULL;
	for (unsigned i = 0; i < DP_PROBES_MAX; i++)
		stream_end(i);
	n_streams = 0;
}

/* ---- for views ---- */

bool probes_info(const struct link *link, uint8_t af, struct probes_info *ret_info)
{
	const struct stream *s = streams[INDEX(link->id, af == AF_INET6)];

	if (!s)
		return false;
	*ret_info = (struct probes_info){
		.conf = &s->conf,
		.problem = s->problem,
		.via = s->via,
		.authenticated =
			link->cfg && link->cfg->probing.key && s->conf.type == DP_PROBE_STAMP,
		.timeout_ms = s->timeout_ms,
	};
	ret_info->state = health_probed(link, af, &ret_info->why);
	ret_info->word = s->problem			 ? "not probed"
			 : estimate_waiting(s->estimate) ? "waiting"
							 : health_names[ret_info->state];
	if (s->problem)
		ret_info->why = s->problem;
	return true;
}

const char *probes_word(const struct link *link)
{
	const char *word = "not probed";

	for (unsigned v6 = 0; v6 < 2; v6++) {
		const struct stream *s = streams[INDEX(link->id, v6)];

		if (!s || !s->estimate)
			continue;
		if (estimate_waiting(s->estimate))
			return "waiting";
		word = "good";
	}
	return word;
}

void probes_bucket(const struct link *link, uint8_t af, uint8_t bucket,
	struct estimate_report *ret_report, struct dp_probe_stats *ret_stats)
{
	unsigned index = INDEX(link->id, af == AF_INET6);
	const struct stream *s = streams[index];
	struct dp_probe_stats one;

	memset(ret_stats, 0, sizeof(*ret_stats));
	memset(ret_report, 0, sizeof(*ret_report));
	if (!s || !s->estimate)
		return;
	estimate_report(s->estimate, bucket, now_ns(), ret_report);
	if (bucket != ESTIMATE_LINK) {
		ret_report->before_first = s->first_ns ? s->before_first[bucket] : 0;
		dp_probe_stats(index, bucket, ret_stats);
		return;
	}
	for (uint8_t b = 0; s->first_ns && b < s->conf.buckets; b++)
		ret_report->before_first += s->before_first[b];
	ret_stats->quiet_ns = UINT64_MAX;
	for (uint8_t b = 0; b < s->conf.buckets && !dp_probe_stats(index, b, &one); b++) {
		ret_stats->sent += one.sent;
		ret_stats->unsent += one.unsent;
		ret_stats->received += one.received;
		ret_stats->lost += one.lost;
		ret_stats->late += one.late;
		ret_stats->duplicate += one.duplicate;
		ret_stats->reordered += one.reordered;
		ret_stats->refused += one.refused;
		if (one.quiet_ns < ret_stats->quiet_ns)
			ret_stats->quiet_ns = one.quiet_ns;
	}
	ret_stats->port = 0;
}
