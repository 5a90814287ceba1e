/* frr.conf, whole, from the configuration.
 *
 * Pure but for the BGP keys, which are read from files and wiped again; the output holds them, so
 * it goes to anonymous memory or a 0600 file only. The text is what FRR 8.4 itself prints for the
 * same configuration (frr_diff.c compares the two line by line): what is FRR's default is not
 * written.
 *
 * One BGP instance a VRF that has sessions; a VRF is a namespace, adopted by `zebra -n`. The
 * filters of a session are frr_maps.c's. Prefixes of our own (loopbacks, static routes, link
 * subnets) are `network` statements when some announce list of the VRF matches them, marked with
 * the zone they belong to; FRR announces those only while the kernel has the route. Graceful
 * restart is said explicitly for every session, because FRR's default is to help; never with BFD:
 * the two would decide differently about the same neighbour. A neighbour that is not on the link
 * and not several hops away either (Azure's VPN gateways) needs its connected check disabled. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "config/profile.h"
#include "frr.h"
#include "frr_maps.h"

#define BFD_MS	 300 /* FRR's defaults, which it does not print */
#define BFD_MULT 3
#define PATHS	 64
/* After its start FRR chooses no route before every neighbour that restarts gracefully has told
 * all, or this long; by its default 360 s, for which one neighbour that flaps holds up all others.
 */
#define SELECT_DEFER_S 10
#define RESTART_S      120 /* FRR's default */
#define ALLOWAS_IN     3   /* FRR's default, which it does not print */

#define MAX_IN_RESTART 5 /* minutes a session rests that brought too much */

/* ---- small things ---- */
static bool link_local6(const struct ip_addr *addr)
{
	return addr->af == AF_INET6 && ip_addr_is_link_local(addr);
}

/* ---- keys ---- */
/* The secret of that name: one line of printable bytes, from a file only its owner can read. */
int frr_key_read(const struct config *config, const char *name, char *ret_key, size_t size)
{
	char path[4096];
	struct stat st;
	ssize_t n;
	int fd;

	if (!config->defaults.keys || strchr(name, '/') || name[0] == '.' ||
		snprintf(path, sizeof(path), "%s/%s", config->defaults.keys, name) >=
			(int)sizeof(path))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		return -EACCES; /* others can read it: it is no secret */
	}
	n = read(fd, ret_key, size);
	close(fd);
	while (n > 0 && (ret_key[n - 1] == '\n' || ret_key[n - 1] == '\r'))
		n--;
	if (n <= 0 || n > CFG_KEY_MAX || (size_t)n >= size)
		return -EMSGSIZE;
	ret_key[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)ret_key[i]))
			return -EILSEQ;
	return 0;
}

static int password_write(const struct frr_render *r, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, const char *who)
{
	char key[CFG_KEY_MAX + 16];
	int rc = frr_key_read(r->config, peer->key, key, sizeof(key));

	if (rc)
		log_event(LOG_LVL_ERR, link->name,
			"key '%s' unusable (%s): a 0600 file of one line, 1 to %u printable bytes",
			peer->key, strerror(-rc), CFG_KEY_MAX);
	else
		fprintf(r->out, " neighbor %s password %s\n", who, key);
	explicit_bzero(key, sizeof(key));
	return rc;
}

/* ---- BFD profiles ---- */
static bool bfd_is_default(const struct cfg_bfd *bfd)
{
	return bfd->interval_ms == BFD_MS && bfd->multiplier == BFD_MULT && !bfd->passive;
}

static bool bfd_equal(const struct cfg_bfd *a, const struct cfg_bfd *b)
{
	return a->interval_ms == b->interval_ms && a->multiplier == b->multiplier &&
	       a->passive == b->passive;
}

static void bfd_name(const struct cfg_bfd *bfd, char *name, size_t size)
{
	snprintf(name, size, "lintas-%ux%u%s", bfd->interval_ms, bfd->multiplier,
		bfd->passive ? "-passive" : "");
}

/* The i-th session's timing, if it needs a profile and no session before it has the same. */
static const struct cfg_bfd *bfd_new(const struct config *config, unsigned i)
{
	const struct cfg_bgp_peer *peer = frr_peer(&config->links[i / 2], i % 2), *other;

	if (!peer || !peer->bfd.enabled || bfd_is_default(&peer->bfd))
		return NULL;
	for (unsigned j = 0; j < i; j++) {
		other = frr_peer(&config->links[j / 2], j % 2);
		if (other && other->bfd.enabled && bfd_equal(&other->bfd, &peer->bfd))
			return NULL;
	}
	return &peer->bfd;
}

static bool on_link(const struct cfg_link *link, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < link->n_address; i++)
		if (ip_prefix_contains(&link->address[i], addr))
			return true;
	return link_local6(addr);
}

/* Providers whose BGP lies behind their edge (multihop) answer BFD at the edge itself, one hop away
 * (RFC 5881). FRR would ask multihop BFD (RFC 5883) for such a neighbour: so its session is a peer
 * of bfdd's own, and not BGP's. What it says reaches the fast path and health.c all the same; the
 * BGP session ends by its hold time. */
static bool bfd_apart(const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	return peer->bfd.enabled && peer->multihop > 1 && on_link(link, &peer->peer);
}

static void bfd_peer_write(
	const struct frr_render *r, const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	char who[IP_STRLEN], local[IP_STRLEN], profile[32];
	struct ip_addr addr;

	for (unsigned i = 0; i < link->n_address; i++) {
		if (!ip_prefix_contains(&link->address[i], &peer->peer))
			continue;
		addr = ip_prefix_addr(&link->address[i]);
		fprintf(r->out, " peer %s local-address %s vrf %s interface %s\n",
			ip_addr_format(&peer->peer, who), ip_addr_format(&addr, local),
			link->vrf->name, link->name);
		bfd_name(&peer->bfd, profile, sizeof(profile));
		if (!bfd_is_default(&peer->bfd))
			fprintf(r->out, "  profile %s\n", profile);
		if (link->shut)
			fprintf(r->out, "  shutdown\n");
		fprintf(r->out, " exit\n !\n");
		return;
	}
}

static void bfd_profile_write(const struct frr_render *r, const struct cfg_bfd *bfd)
{
	char name[32];

	bfd_name(bfd, name, sizeof(name));
	fprintf(r->out, " profile %s\n", name);
	if (bfd->multiplier != BFD_MULT)
		fprintf(r->out, "  detect-multiplier %u\n", bfd->multiplier);
	if (bfd->interval_ms != BFD_MS)
		fprintf(r->out, "  transmit-interval %u\n  receive-interval %u\n", bfd->interval_ms,
			bfd->interval_ms);
	if (bfd->passive)
		fprintf(r->out, "  passive-mode\n");
	fprintf(r->out, " exit\n !\n");
}

static void bfd_write(const struct frr_render *r)
{
	const struct config *config = r->config;
	bool any = false;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < config->n_links * 2; i++) {
			const struct cfg_link *link = &config->links[i / 2];
			const struct cfg_bgp_peer *peer = frr_peer(link, i % 2);
			const struct cfg_bfd *bfd = pass ? NULL : bfd_new(config, i);

			if (!bfd && !(pass && peer && bfd_apart(link, peer)))
				continue;
			if (!any)
				fprintf(r->out, "bfd\n");
			any = true;
			if (bfd)
				bfd_profile_write(r, bfd);
			else
				bfd_peer_write(r, link, peer);
		}
	}
	if (any)
		fprintf(r->out, "exit\n!\n");
}

/* ---- sessions ---- */
/* How far away the neighbour may be. FRR takes one of the two. */
static void distance_write(const struct frr_render *r, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, const char *who)
{
	bool near = peer->multihop < 2 && peer->gtsm < 2;

	if (peer->asn == r->config->gateway.asn)
		return; /* inside an AS distance does not matter */
	if (peer->gtsm)
		fprintf(r->out, " neighbor %s ttl-security hops %u\n", who, peer->gtsm);
	else if (peer->multihop > 1)
		fprintf(r->out, " neighbor %s ebgp-multihop %u\n", who, peer->multihop);
	if (near && !on_link(link, &peer->peer))
		fprintf(r->out, " neighbor %s disable-connected-check\n", who);
}

static void bfd_use(const struct frr_render *r, const struct cfg_bfd *bfd, const char *who)
{
	char profile[32];

	if (!bfd->enabled)
		return;
	fprintf(r->out, " neighbor %s bfd\n", who);
	bfd_name(bfd, profile, sizeof(profile));
	if (!bfd_is_default(bfd))
		fprintf(r->out, " neighbor %s bfd profile %s\n", who, profile);
}

static enum cfg_restart restart_of(const struct cfg_bgp_peer *peer)
{
	return peer->bfd.enabled ? CFG_RESTART_OFF : peer->graceful_restart;
}

static void restart_write(
	const struct frr_render *r, const struct cfg_bgp_peer *peer, const char *who)
{
	static const char *const words[] = { [CFG_RESTART_OFF] = "-disable",
		[CFG_RESTART_HELPER] = "-helper",
		[CFG_RESTART_FULL] = "" };

	fprintf(r->out, " neighbor %s graceful-restart%s\n", who, words[restart_of(peer)]);
}

/* Lines we know nothing of; what FRR has per address family is told by its first word. */
static bool raw_is_of_family(const char *line)
{
	static const char *const words[] = { "addpath-", "advertise-map", "attribute-unchanged",
		"as-override", "allowas-in", "capability orf", "default-originate",
		"distribute-list", "filter-list", "maximum-prefix", "next-hop-self", "prefix-list",
		"remove-private-AS", "route-map", "route-reflector-client", "route-server-client",
		"send-community", "soft-reconfiguration", "unsuppress-map", "weight" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(line, words[i], strlen(words[i])))
			return true;
	return false;
}

static bool raw_is_sane(const char *line)
{
	for (const char *c = line; *c; c++)
		if (!isprint((unsigned char)*c))
			return false;
	return *line && *line != ' ' && line[strlen(line) - 1] != ' ';
}

static void raw_write(const struct frr_render *r, const struct cfg_bgp_peer *peer, const char *who,
	bool of_family)
{
	for (unsigned i = 0; i < peer->raw.n; i++)
		if (raw_is_sane(peer->raw.items[i]) &&
			raw_is_of_family(peer->raw.items[i]) == of_family)
			fprintf(r->out, "%s neighbor %s %s\n", of_family ? " " : "", who,
				peer->raw.items[i]);
}

static void neighbor_write(
	const struct frr_render *r, const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	uint32_t local_as = frr_local_as(r->config, peer);
	char who[IP_STRLEN];
	FILE *out = r->out;

	ip_addr_format(&peer->peer, who);
	fprintf(out, " neighbor %s remote-as %u\n", who, peer->asn);
	if (local_as != r->config->gateway.asn)
		fprintf(out, " neighbor %s local-as %u no-prepend replace-as\n", who, local_as);
	fprintf(out, " neighbor %s description %s\n", who, link->name);
	if (!bfd_apart(link, peer))
		bfd_use(r, &peer->bfd, who);
	/* Without its secret a session stays down; the others need not. */
	if (peer->key && password_write(r, link, peer, who) && !link->shut)
		fprintf(out, " neighbor %s shutdown\n", who);
	if (peer->passive)
		fprintf(out, " neighbor %s passive\n", who);
	distance_write(r, link, peer, who);
	if (peer->keepalive_s || peer->hold_s)
		fprintf(out, " neighbor %s timers %u %u\n", who,
			peer->keepalive_s ? peer->keepalive_s : peer->hold_s / 3,
			peer->hold_s ? peer->hold_s : peer->keepalive_s * 3);
	if (link_local6(&peer->peer))
		fprintf(out, " neighbor %s interface %s\n", who, link->name);
	restart_write(r, peer, who);
	raw_write(r, peer, who, false);
	if (link->shut)
		fprintf(out, " neighbor %s shutdown\n", who);
}

static void neighbors_write(
	const struct frr_render *r, const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	struct cfg_bgp_peer second = *peer;

	neighbor_write(r, link, peer);
	second.peer = peer->second;
	if (second.peer.af)
		neighbor_write(r, link, &second);
}

/* ---- our own prefixes ---- */
struct own { /* of one VRF and family, in the order of the configuration */
	struct ip_prefix *items;
	unsigned n;
};

static bool announced(
	const struct config *config, const struct cfg_vrf *vrf, const struct ip_prefix *prefix)
{
	for (unsigned i = 0; i < config->n_links; i++)
		if (config->links[i].vrf == vrf &&
			frr_peer(&config->links[i], prefix->af == AF_INET6) &&
			frr_filter_matches(&config->links[i].bgp.announce, prefix))
			return true;
	return false;
}

/* One that some neighbour may hear of; each once. */
static void own_add(const struct config *config, const struct cfg_vrf *vrf, uint8_t af,
	struct own *own, struct ip_prefix prefix)
{
	struct ip_prefix *more;

	ip_prefix_mask(&prefix);
	if (prefix.af != af || !announced(config, vrf, &prefix))
		return;
	for (unsigned i = 0; i < own->n; i++)
		if (ip_prefix_equal(&own->items[i], &prefix))
			return;
	if ((own->n & (own->n - 1)) == 0) { /* grows by doubling: 1, 2, 4 … */
		more = realloc(own->items, (own->n ? own->n * 2 : 1) * sizeof(*more));
		if (!more)
			return;
		own->items = more;
	}
	own->items[own->n++] = prefix;
}

static void own_collect(
	const struct config *config, const struct cfg_vrf *vrf, uint8_t af, struct own *own)
{
	for (unsigned i = 0; i < vrf->loopback.n; i++)
		own_add(config, vrf, af, own, vrf->loopback.items[i]);
	for (unsigned l = 0; l < config->n_links; l++) {
		const struct cfg_link *link = &config->links[l];

		if (link->vrf != vrf)
			continue;
		for (unsigned i = 0; i < link->statics.n; i++)
			own_add(config, vrf, af, own, link->statics.items[i]);
		for (unsigned i = 0; i < link->n_address; i++)
			own_add(config, vrf, af, own, link->address[i]);
	}
}

/* One that two zones claim is told to nobody: whose it is cannot be said. */
static void networks_write(const struct frr_render *r, const struct cfg_vrf *vrf, uint8_t af)
{
	struct own own = { 0 };
	char text[IP_STRLEN], map[32];

	own_collect(r->config, vrf, af, &own);
	for (unsigned i = 0; i < own.n; i++) {
		const struct cfg_zone *zone;
		bool ours;

		if (!frr_own_of(r->config, vrf, &own.items[i], &ours, &zone))
			continue;
		frr_map_own(ours, zone, map, sizeof(map));
		fprintf(r->out, "  network %s route-map %s\n",
			ip_prefix_format(&own.items[i], text), map);
	}
	free(own.items);
}

/* ---- instances ---- */
static void limits_write(
	const struct frr_render *r, const struct cfg_link *link, bool v6, const char *who)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, v6);

	if (peer->max_in)
		fprintf(r->out, "  neighbor %s maximum-prefix %u 80 restart %u\n", who,
			peer->max_in, MAX_IN_RESTART);
	if (peer->max_out && !frr_guard_of(r->orders, link, v6)) /* its list holds */
		fprintf(r->out, "  neighbor %s maximum-prefix-out %u\n", who, peer->max_out);
	if (peer->as_override && peer->asn != r->config->gateway.asn)
		fprintf(r->out, "  neighbor %s as-override\n", who);
	if (peer->allowas_in == ALLOWAS_IN)
		fprintf(r->out, "  neighbor %s allowas-in\n", who);
	else if (peer->allowas_in)
		fprintf(r->out, "  neighbor %s allowas-in %u\n", who, peer->allowas_in);
}

static void activate_write(const struct frr_render *r, const struct cfg_link *link, bool v6,
	const struct ip_addr *addr)
{
	char who[IP_STRLEN], name[32];
	FILE *out = r->out;

	ip_addr_format(addr, who);
	fprintf(out, "  neighbor %s activate\n", who);
	fprintf(out, "  neighbor %s soft-reconfiguration inbound\n", who);
	limits_write(r, link, v6, who);
	frr_map_name(link, v6, true, name, sizeof(name));
	fprintf(out, "  neighbor %s route-map %s in\n", who, name);
	frr_map_name(link, v6, false, name, sizeof(name));
	fprintf(out, "  neighbor %s route-map %s out\n", who, name);
	raw_write(r, frr_peer(link, v6), who, true);
}

static void family_write(const struct frr_render *r, const struct cfg_vrf *vrf, bool v6)
{
	FILE *out = r->out;

	fprintf(out, " !\n address-family %s unicast\n", v6 ? "ipv6" : "ipv4");
	networks_write(r, vrf, v6 ? AF_INET6 : AF_INET);
	for (unsigned i = 0; i < r->config->n_links; i++) {
		const struct cfg_link *link = &r->config->links[i];
		const struct cfg_bgp_peer *peer = frr_peer(link, v6);

		if (link->vrf != vrf || !peer)
			continue;
		activate_write(r, link, v6, &peer->peer);
		if (peer->second.af)
			activate_write(r, link, v6, &peer->second);
	}
	fprintf(out, "  maximum-paths %u\n  maximum-paths ibgp %u\n exit-address-family\n", PATHS,
		PATHS);
}

/* FRR has one restart time an instance, which is a VRF's: the shortest for which one of its
 * providers keeps our routes, so that all still have them when the time is over. 0: nobody is asked
 * to keep any. */
static uint16_t restart_time(const struct config *config, const struct cfg_vrf *vrf)
{
	uint16_t shortest = 0;

	for (unsigned i = 0; i < config->n_links * 2; i++) {
		const struct cfg_link *link = &config->links[i / 2];
		const struct cfg_bgp_peer *peer = frr_peer(link, i % 2);
		uint16_t s = link->profile ? link->profile->restart_s : 0;

		if (!peer || link->vrf != vrf || restart_of(peer) != CFG_RESTART_FULL)
			continue;
		s = s ? s : RESTART_S;
		if (!shortest || s < shortest)
			shortest = s;
	}
	return shortest;
}

static void restarts_write(const struct frr_render *r, const struct cfg_vrf *vrf)
{
	uint16_t time = restart_time(r->config, vrf);

	if (!time)
		return;
	if (time != RESTART_S) /* FRR does not print its own */
		fprintf(r->out, " bgp graceful-restart restart-time %u\n", time);
	/* zebra keeps the routes (-K), and says so */
	fprintf(r->out,
		" bgp graceful-restart select-defer-time %u\n"
		" bgp graceful-restart preserve-fw-state\n",
		SELECT_DEFER_S);
}

static void vrf_write(const struct frr_render *r, const struct cfg_vrf *vrf)
{
	unsigned sessions[2] = { 0, 0 };
	char text[IP_STRLEN];

	for (unsigned i = 0; i < r->config->n_links * 2; i++)
		if (r->config->links[i / 2].vrf == vrf && frr_peer(&r->config->links[i / 2], i % 2))
			sessions[i % 2]++;
	if (!sessions[0] && !sessions[1])
		return;
	fprintf(r->out, "router bgp %u vrf %s\n bgp router-id %s\n", r->config->gateway.asn,
		vrf->name, ip_addr_format(&r->config->gateway.router_id, text));
	fprintf(r->out, " no bgp default ipv4-unicast\n");
	restarts_write(r, vrf);
	fprintf(r->out, " bgp bestpath as-path multipath-relax\n");
	for (unsigned i = 0; i < r->config->n_links * 2; i++) {
		const struct cfg_link *link = &r->config->links[i / 2];
		const struct cfg_bgp_peer *peer = frr_peer(link, i % 2);

		if (link->vrf == vrf && peer)
			neighbors_write(r, link, peer);
	}
	if (sessions[0])
		family_write(r, vrf, false);
	if (sessions[1])
		family_write(r, vrf, true);
	fprintf(r->out, "exit\n!\n");
}

int frr_render(const struct config *config, const struct frr_orders *orders, FILE *out)
{
	struct frr_render r = { .config = config, .orders = orders, .out = out };

	fprintf(out, "frr defaults traditional\nhostname %s\nno zebra nexthop kernel enable\n",
		config->gateway.name);
	fprintf(out, "bgp route-map delay-timer 1\nservice integrated-vtysh-config\n!\n");
	for (unsigned i = 0; i < config->n_vrfs; i++)
		fprintf(out, "vrf %s\n netns /run/netns/%s\nexit-vrf\n!\n", config->vrfs[i].name,
			config->vrfs[i].name);
	for (unsigned i = 0; i < config->n_vrfs; i++)
		vrf_write(&r, &config->vrfs[i]);
	frr_maps_write(&r);
	bfd_write(&r);
	fprintf(out, "end\n");
	return ferror(out) ? -EIO : 0;
}
