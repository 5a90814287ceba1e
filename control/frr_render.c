/* frr.conf, whole, from the configuration.
 *
 * Pure but for the BGP keys, which are read from files and wiped again; the output holds them, so
 * it goes to anonymous memory or a 0600 file only. The text is what FRR 8.4 itself prints for the
 * same configuration (frr_diff.c compares the two line by line): what is FRR's default is not
 * written.
 *
 * One BGP instance a VRF that has sessions; a VRF is a namespace, adopted by `zebra -n`. Every
 * session has two route maps named after link and family: what they do not permit is denied, and a
 * session without them is denied everything (RFC 8212). Inbound they also set the metric to 0, so
 * that legs of one path that a provider tells apart by MED are equal and become multipath: the tier
 * is chosen by `paths`, not by BGP.
 *
 * accept is a filter on what the peer says. announce is a filter on what this VRF's BGP has: routes
 * learned over other links, and, by `network` statements, prefixes of our own (loopbacks, static
 * routes, link subnets) that some announce list of the VRF matches; FRR announces those only while
 * the kernel has them.
 *
 * No kernel next-hop objects: a flap of one ECMP leg would lose it for good in this version. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "frr.h"

#define BFD_MS	 300 /* FRR's defaults, which it does not print */
#define BFD_MULT 3
#define PATHS	 64

struct render {
	const struct config *config;
	FILE *out;
};

/* ---- small things ---- */
static bool link_local6(const struct ip_addr *addr)
{
	return addr->af == AF_INET6 && ip_addr_is_link_local(addr);
}

static bool filter_matches(const struct cfg_filter *f, const struct ip_prefix *p)
{
	unsigned low = f->ge ? f->ge : f->prefix.len;
	unsigned high = f->le ? f->le : f->ge ? ip_bits(f->prefix.af) : f->prefix.len;

	return ip_prefix_covers(&f->prefix, p) && p->len >= low && p->len <= high;
}

static bool list_matches(const struct cfg_filter_list *list, const struct ip_prefix *p)
{
	for (unsigned i = 0; i < list->n; i++)
		if (filter_matches(&list->items[i], p))
			return true;
	return false;
}

static const struct cfg_bgp_peer *peer_of(const struct cfg_link *link, unsigned i)
{
	const struct cfg_bgp_peer *peer = i ? &link->bgp.v6 : &link->bgp.v4;

	return link->bgp.present && peer->present ? peer : NULL;
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

static int password_write(const struct render *r, const struct cfg_link *link,
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
	return bfd->interval_ms == BFD_MS && bfd->multiplier == BFD_MULT;
}

static void bfd_name(const struct cfg_bfd *bfd, char *name, size_t size)
{
	snprintf(name, size, "lintas-%ux%u", bfd->interval_ms, bfd->multiplier);
}

/* The i-th session's timing, if it needs a profile and no session before it has the same. */
static const struct cfg_bfd *bfd_new(const struct config *config, unsigned i)
{
	const struct cfg_bgp_peer *peer = peer_of(&config->links[i / 2], i % 2), *other;

	if (!peer || !peer->bfd.enabled || bfd_is_default(&peer->bfd))
		return NULL;
	for (unsigned j = 0; j < i; j++) {
		other = peer_of(&config->links[j / 2], j % 2);
		if (other && other->bfd.enabled &&
			other->bfd.interval_ms == peer->bfd.interval_ms &&
			other->bfd.multiplier == peer->bfd.multiplier)
			return NULL;
	}
	return &peer->bfd;
}

static void bfd_write(const struct render *r)
{
	bool any = false;

	for (unsigned i = 0; i < r->config->n_links * 2; i++) {
		const struct cfg_bfd *bfd = bfd_new(r->config, i);
		char name[32];

		if (!bfd)
			continue;
		if (!any)
			fprintf(r->out, "bfd\n");
		any = true;
		bfd_name(bfd, name, sizeof(name));
		fprintf(r->out, " profile %s\n", name);
		if (bfd->multiplier != BFD_MULT)
			fprintf(r->out, "  detect-multiplier %u\n", bfd->multiplier);
		if (bfd->interval_ms != BFD_MS)
			fprintf(r->out, "  transmit-interval %u\n  receive-interval %u\n",
				bfd->interval_ms, bfd->interval_ms);
		fprintf(r->out, " exit\n !\n");
	}
	if (any)
		fprintf(r->out, "exit\n!\n");
}

/* ---- lists and maps ---- */
static void list_name(const struct cfg_link *link, bool v6, bool in, char *name, size_t size)
{
	snprintf(name, size, "%s-%s%c", link->name, in ? "in" : "out", v6 ? '6' : '4');
}

/* No sequence numbers: every entry permits, so order says nothing, and an entry more moves no
 * other. */
static void list_write(const struct render *r, const struct cfg_link *link, bool v6, bool in)
{
	const struct cfg_filter_list *list = in ? &link->bgp.accept : &link->bgp.announce;
	char name[32], text[IP_STRLEN];

	list_name(link, v6, in, name, sizeof(name));
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_filter *f = &list->items[i];

		if ((f->prefix.af == AF_INET6) != v6)
			continue;
		fprintf(r->out, "%s prefix-list %s permit %s", v6 ? "ipv6" : "ip", name,
			ip_prefix_format(&f->prefix, text));
		if (f->ge && f->ge != f->prefix.len)
			fprintf(r->out, " ge %u", f->ge);
		if (f->le && f->le != f->prefix.len)
			fprintf(r->out, " le %u", f->le);
		else if (f->ge == f->prefix.len && !f->le)
			fprintf(r->out, " le %u", ip_bits(f->prefix.af));
		fputc('\n', r->out);
	}
}

static void map_write(const struct render *r, const struct cfg_link *link, bool v6, bool in)
{
	char name[32];

	list_name(link, v6, in, name, sizeof(name));
	fprintf(r->out, "route-map %s permit 10\n match %s address prefix-list %s\n%sexit\n!\n",
		name, v6 ? "ipv6" : "ip", name, in ? " set metric 0\n" : "");
}

static void filters_write(const struct render *r)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < r->config->n_links * 4; i++) {
			const struct cfg_link *link = &r->config->links[i / 4];
			bool v6 = i & 2, in = i & 1;

			if (!peer_of(link, v6))
				continue;
			if (pass == 0)
				list_write(r, link, v6, in);
			else
				map_write(r, link, v6, in);
		}
		fprintf(r->out, "!\n");
	}
}

/* ---- BGP ---- */
static void neighbor_write(
	const struct render *r, const struct cfg_link *link, const struct cfg_bgp_peer *peer)
{
	char who[IP_STRLEN], profile[32];
	FILE *out = r->out;

	ip_addr_format(&peer->peer, who);
	fprintf(out, " neighbor %s remote-as %u\n", who, peer->asn);
	if (peer->local_as && peer->local_as != r->config->gateway.asn &&
		peer->asn != r->config->gateway.asn) /* FRR refuses it inside an AS */
		fprintf(out, " neighbor %s local-as %u no-prepend replace-as\n", who,
			peer->local_as);
	fprintf(out, " neighbor %s description %s\n", who, link->name);
	if (peer->bfd.enabled) {
		fprintf(out, " neighbor %s bfd\n", who);
		bfd_name(&peer->bfd, profile, sizeof(profile));
		if (!bfd_is_default(&peer->bfd))
			fprintf(out, " neighbor %s bfd profile %s\n", who, profile);
	}
	/* Without its secret a session stays down; the others need not. */
	if (peer->key && password_write(r, link, peer, who) && !link->shut)
		fprintf(out, " neighbor %s shutdown\n", who);
	if (peer->keepalive_s || peer->hold_s)
		fprintf(out, " neighbor %s timers %u %u\n", who,
			peer->keepalive_s ? peer->keepalive_s : peer->hold_s / 3,
			peer->hold_s ? peer->hold_s : peer->keepalive_s * 3);
	if (link_local6(&peer->peer))
		fprintf(out, " neighbor %s interface %s\n", who, link->name);
	if (link->shut)
		fprintf(out, " neighbor %s shutdown\n", who);
}

/* A prefix of our own, once, if some announce list of the VRF lets it out. */
static void network_write(const struct render *r, const struct cfg_vrf *vrf,
	struct ip_prefix prefix, struct ip_prefix **seen, unsigned *n_seen)
{
	const struct config *config = r->config;
	char text[IP_STRLEN];
	bool out = false;

	ip_prefix_mask(&prefix);
	for (unsigned i = 0; i < config->n_links && !out; i++)
		out = config->links[i].vrf == vrf &&
		      peer_of(&config->links[i], prefix.af == AF_INET6) &&
		      list_matches(&config->links[i].bgp.announce, &prefix);
	for (unsigned i = 0; i < *n_seen && out; i++)
		out = !ip_prefix_equal(&(*seen)[i], &prefix);
	if (!out)
		return;
	if ((*n_seen & (*n_seen - 1)) == 0) { /* grows by doubling: 1, 2, 4 … */
		struct ip_prefix *more =
			realloc(*seen, (*n_seen ? *n_seen * 2 : 1) * sizeof(*more));

		if (!more)
			return;
		*seen = more;
	}
	(*seen)[(*n_seen)++] = prefix;
	fprintf(r->out, "  network %s\n", ip_prefix_format(&prefix, text));
}

static void networks_write(const struct render *r, const struct cfg_vrf *vrf, uint8_t af)
{
	struct ip_prefix *seen = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < vrf->loopback.n; i++)
		if (vrf->loopback.items[i].af == af)
			network_write(r, vrf, vrf->loopback.items[i], &seen, &n);
	for (unsigned l = 0; l < r->config->n_links; l++) {
		const struct cfg_link *link = &r->config->links[l];

		if (link->vrf != vrf)
			continue;
		for (unsigned i = 0; i < link->statics.n; i++)
			if (link->statics.items[i].af == af)
				network_write(r, vrf, link->statics.items[i], &seen, &n);
		for (unsigned i = 0; i < link->n_address; i++)
			if (link->address[i].af == af)
				network_write(r, vrf, link->address[i], &seen, &n);
	}
	free(seen);
}

static void family_write(const struct render *r, const struct cfg_vrf *vrf, bool v6)
{
	char who[IP_STRLEN], name[32];
	FILE *out = r->out;

	fprintf(out, " !\n address-family %s unicast\n", v6 ? "ipv6" : "ipv4");
	networks_write(r, vrf, v6 ? AF_INET6 : AF_INET);
	for (unsigned i = 0; i < r->config->n_links; i++) {
		const struct cfg_link *link = &r->config->links[i];
		const struct cfg_bgp_peer *peer = peer_of(link, v6);

		if (link->vrf != vrf || !peer)
			continue;
		ip_addr_format(&peer->peer, who);
		fprintf(out, "  neighbor %s activate\n", who);
		fprintf(out, "  neighbor %s soft-reconfiguration inbound\n", who);
		list_name(link, v6, true, name, sizeof(name));
		fprintf(out, "  neighbor %s route-map %s in\n", who, name);
		list_name(link, v6, false, name, sizeof(name));
		fprintf(out, "  neighbor %s route-map %s out\n", who, name);
	}
	fprintf(out, "  maximum-paths %u\n  maximum-paths ibgp %u\n exit-address-family\n", PATHS,
		PATHS);
}

static void vrf_write(const struct render *r, const struct cfg_vrf *vrf)
{
	unsigned sessions[2] = { 0, 0 };
	char text[IP_STRLEN];

	for (unsigned i = 0; i < r->config->n_links * 2; i++)
		if (r->config->links[i / 2].vrf == vrf && peer_of(&r->config->links[i / 2], i % 2))
			sessions[i % 2]++;
	if (!sessions[0] && !sessions[1])
		return;
	fprintf(r->out, "router bgp %u vrf %s\n bgp router-id %s\n", r->config->gateway.asn,
		vrf->name, ip_addr_format(&r->config->gateway.router_id, text));
	fprintf(r->out, " no bgp default ipv4-unicast\n bgp bestpath as-path multipath-relax\n");
	for (unsigned i = 0; i < r->config->n_links * 2; i++) {
		const struct cfg_link *link = &r->config->links[i / 2];
		const struct cfg_bgp_peer *peer = peer_of(link, i % 2);

		if (link->vrf == vrf && peer)
			neighbor_write(r, link, peer);
	}
	if (sessions[0])
		family_write(r, vrf, false);
	if (sessions[1])
		family_write(r, vrf, true);
	fprintf(r->out, "exit\n!\n");
}

int frr_render(const struct config *config, FILE *out)
{
	struct render r = { .config = config, .out = out };

	fprintf(out, "frr defaults traditional\nhostname %s\nno zebra nexthop kernel enable\n",
		config->gateway.name);
	fprintf(out, "bgp route-map delay-timer 1\nservice integrated-vtysh-config\n!\n");
	for (unsigned i = 0; i < config->n_vrfs; i++)
		fprintf(out, "vrf %s\n netns /run/netns/%s\nexit-vrf\n!\n", config->vrfs[i].name,
			config->vrfs[i].name);
	for (unsigned i = 0; i < config->n_vrfs; i++)
		vrf_write(&r, &config->vrfs[i]);
	filters_write(&r);
	bfd_write(&r);
	fprintf(out, "end\n");
	return ferror(out) ? -EIO : 0;
}
