/* What a link makes of its security associations.
 *
 * A link sends by its newest outbound SA, from the moment it has come: who rekeys makes the new one
 * before it breaks the old, and a peer that knows a newer one expects it to be used. When that goes
 * the next newest is used; with the last one the link loses its carrier, its legs die, and the fast
 * path sends nothing (never in clear). Inbound SAs serve until they are deleted, however old.
 *
 * Room is shared fairly: a link may hold SAS_OF_LINK_MAX, a VRF as many of DP_SAS_MAX as its share
 * of the IPsec links, so that nobody who negotiates in one VRF can take another's. When the
 * configuration changes a link's ends its SAs are of no use, and charon is told that they expired.
 * Control thread only. */
#include <errno.h>
#include <string.h>
#include "sas_own.h"

#define SAS_VRF_MIN 64

const char *const sas_link_none = "none has been negotiated yet";

static struct of_link {
	struct sas_sa *out; /* by which it sends */
	uint16_t n;
	const char *why; /* the last one went */
} of_link[DP_LINKS_MAX];

static bool is_ipsec(const struct link *link)
{
	return link && link->cfg && link->cfg->encap == CFG_ENCAP_IPSEC && link->cfg->underlay;
}

static bool of_vrf(const struct link *link, uint16_t vrf)
{
	const struct vrf *under = vrf_by_name(link->cfg->underlay->vrf->name);

	return under && under->id == vrf;
}

static bool same_addr(const struct ip_addr *a, const struct ip_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* 1: inbound, 0: outbound, -1: between others. */
static int direction(const struct link *link, const struct ip_addr *src, const struct ip_addr *dst)
{
	const struct cfg_link *cfg = link->cfg;

	if (same_addr(dst, &cfg->local) && same_addr(src, &cfg->remote))
		return 1;
	if (same_addr(src, &cfg->local) && same_addr(dst, &cfg->remote))
		return 0;
	return -1;
}

/* By number; without one by its ends, if only one link has them. */
static struct link *link_of(uint16_t vrf, const struct xfrm_sa *sa)
{
	struct link *found = NULL;

	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		if (!is_ipsec(link) || !of_vrf(link, vrf))
			continue;
		if (sa->if_id && config_if_id(link->cfg) == sa->if_id)
			return link;
		if (sa->if_id || direction(link, &sa->src, &sa->id.dst) < 0)
			continue;
		if (found)
			return NULL;
		found = link;
	}
	return found;
}

int sas_link_of(const struct sas_from *from, const struct xfrm_sa *sa, struct link **ret_link,
	bool *ret_inbound, const char **ret_why)
{
	int way;

	*ret_link = link_of(from->vrf, sa);
	*ret_why = sa->if_id ? "no IPsec link of this VRF has this if_id"
			     : "without if_id, and not one IPsec link has these ends";
	if (!*ret_link)
		return -ENODEV;
	way = direction(*ret_link, &sa->src, &sa->id.dst);
	*ret_why = "its ends are not the link's local and remote";
	if (way < 0)
		return -EADDRNOTAVAIL;
	*ret_inbound = way;
	return 0;
}

static unsigned share(uint16_t vrf)
{
	unsigned all = 0, mine = 0, part;

	for (const struct link *link = link_next(NULL); link; link = link_next(link))
		if (is_ipsec(link)) {
			all++;
			mine += of_vrf(link, vrf);
		}
	part = all ? DP_SAS_MAX * mine / all : 0;
	return part < SAS_VRF_MIN ? SAS_VRF_MIN : part;
}

int sas_link_room(const struct link *link, const char **ret_why)
{
	const struct vrf *vrf = vrf_by_name(link->cfg->underlay->vrf->name);
	unsigned n = 0;

	*ret_why = "the link has too many SAs";
	if (of_link[link->id].n >= SAS_OF_LINK_MAX)
		return -ENOSPC;
	/* Exact only when it may matter. */
	if (sas_stats.sas < SAS_VRF_MIN)
		return 0;
	for (const struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa))
		n += !sa->larval && vrf && sa->key.vrf == vrf->id;
	*ret_why = "the VRF has its share of SAs";
	return vrf && n < share(vrf->id) ? 0 : -ENOSPC;
}

/* ---- which one it sends by ---- */
static void use(struct link *link, struct sas_sa *sa)
{
	struct of_link *l = &of_link[link->id];
	bool before = l->out;
	int rc = dp_sa_use(link->id, sa ? sa->index : -1);

	if (rc)
		log_event(LOG_LVL_ERR, link->name, "the fast path cannot send by SA %08x: %s",
			sa ? sa->key.spi : 0, strerror(-rc));
	l->out = rc ? NULL : sa;
	if (before != !!l->out)
		mirror_tunnels_changed();
}

static void orphans_doom(uint16_t link)
{
	uint64_t until = now_ns() + SAS_ORPHAN_S * 1000000000ull;

	for (struct sas_sa *sa = (struct sas_sa *)sas_next(NULL); sa; sa = sas_next(sa))
		if (sa->link == link && sa->orphan && !sa->doomed_ns)
			sa->doomed_ns = until;
}

void sas_link_add(struct sas_sa *sa)
{
	struct link *link = link_by_id(sa->link);

	of_link[sa->link].n++;
	log_event(LOG_LVL_INFO, link ? link->name : NULL, "SA %08x %s: %s%s", sa->key.spi,
		sa->conf.inbound ? "in" : "out", sa->name, sa->conf.udp_local ? " in UDP" : "");
	if (sa->conf.inbound || !link)
		return;
	use(link, sa);
	orphans_doom(sa->link);
}

void sas_link_take(struct sas_sa *sa, const char *why)
{
	struct of_link *l = &of_link[sa->link];
	struct link *link = link_by_id(sa->link);
	struct sas_sa *best = NULL;

	if (l->n)
		l->n--;
	if (l->out != sa)
		return;
	for (struct sas_sa *x = sas_next(NULL); x; x = sas_next(x))
		if (x != sa && x->link == sa->link && !x->larval && !x->conf.inbound &&
			(!best || x->id > best->id))
			best = x;
	if (!best)
		l->why = why;
	if (link)
		use(link, best);
	else
		l->out = best;
}

/* ---- what others ask ---- */
bool sas_link_ready(const struct link *link)
{
	return of_link[link->id].out;
}

const char *sas_link_why(const struct link *link)
{
	const struct of_link *l = &of_link[link->id];

	if (l->out)
		return "it has a security association";
	return l->why ? l->why : sas_link_none;
}

void sas_link_blame(const struct link *link, const char *why)
{
	of_link[link->id].why = why;
}

const struct sas_sa *sas_link_out(const struct link *link)
{
	return of_link[link->id].out;
}

uint64_t sas_link_used(uint16_t link, bool inbound)
{
	uint64_t last = 0;

	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa)) {
		struct dp_sa_info info;
		struct xfrm_use used;

		if (sa->larval || sa->link != link || sa->conf.inbound != inbound)
			continue;
		sas_use_of(sa, &used, &info);
		if (used.last_s > last)
			last = used.last_s;
	}
	return last;
}

/* ---- links that change ---- */
static void drop(struct sas_sa *sa, const char *why)
{
	if (sas_hooks_of(sa)->expired)
		sas_hooks_of(sa)->expired(sa, true);
	sas_remove(sa, why, true);
}

void sas_link_gone(const struct link *link)
{
	struct sas_sa *sa, *next;

	for (sa = sas_next(NULL); sa; sa = next) {
		next = sas_next(sa);
		if (!sa->larval && sa->link == link->id)
			drop(sa, "its link was removed");
	}
	of_link[link->id] = (struct of_link){ 0 };
}

void sas_config_changed(void)
{
	struct sas_sa *sa, *next;

	for (sa = sas_next(NULL); sa; sa = next) {
		const struct link *link = sa->larval ? NULL : link_by_id(sa->link);

		next = sas_next(sa);
		if (sa->larval || sa->from.source == SAS_STATIC)
			continue;
		if (!is_ipsec(link) || !of_vrf(link, sa->key.vrf) ||
			direction(link, &sa->src, &sa->key.dst) != sa->conf.inbound)
			drop(sa, "its link has other ends now");
	}
}

void sas_link_stop(void)
{
	memset(of_link, 0, sizeof(of_link));
}
