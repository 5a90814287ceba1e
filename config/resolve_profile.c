/* What a link leaves out and its provider's profile says.
 *
 * A table tells which field of the profile goes to which key of the link; a key that was written is
 * never touched. Groups of keys that belong together follow three rules of their own: keepalive and
 * hold come as a pair, BFD is switched as a whole and then filled key by key, and graceful restart
 * is the profile's only on a session without BFD, because the two fight over who decides that a
 * neighbour is alive. Multihop stands with BFD too: where BGP is multihop on a link, single-hop BFD
 * runs beside it (control/frr_render.c). A link with a profile is shut until it says state = "up".
 */
#include <string.h>
#include "pool.h"
#include "profile.h"
#include "prov.h"
#include "resolve.h"
#include "value.h"

struct fill {
	const char *key; /* of a session */
	size_t to, from, size;
	size_t step; /* from the profile's value of IPv4 to that of IPv6 */
};

#define FILL(key, to, from, step)                                                           \
	{                                                                                   \
		key, offsetof(struct cfg_bgp_peer, to), offsetof(struct cfg_profile, from), \
			sizeof(((struct cfg_bgp_peer *)0)->to), step                        \
	}
#define SAME(to, from)                                                                             \
	_Static_assert(                                                                            \
		sizeof(((struct cfg_bgp_peer *)0)->to) == sizeof(((struct cfg_profile *)0)->from), \
		"a field and what fills it")

SAME(bfd.interval_ms, bfd_interval_ms);
SAME(keepalive_s, keepalive_s);
SAME(graceful_restart, graceful_restart);
SAME(max_in, max_in[0]);

static const struct fill bfd_fills[] = {
	FILL("bfd.interval", bfd.interval_ms, bfd_interval_ms, 0),
	FILL("bfd.multiplier", bfd.multiplier, bfd_multiplier, 0),
	FILL("bfd.passive", bfd.passive, bfd_passive, 0),
	{ .key = NULL },
};

static const struct fill timer_fills[] = {
	FILL("keepalive", keepalive_s, keepalive_s, 0),
	FILL("hold", hold_s, hold_s, 0),
	{ .key = NULL },
};

static const struct fill peer_fills[] = {
	FILL("max_in", max_in, max_in[0], sizeof(uint32_t)),
	FILL("max_out", max_out, max_out[0], sizeof(uint32_t)),
	{ .key = NULL },
};

static bool zero(const char *bytes, size_t n)
{
	while (n && !*bytes)
		bytes++, n--;
	return !n;
}

static bool said(const struct cfg_link *link, const char *family, const char *key)
{
	char path[60];

	snprintf(path, sizeof(path), "bgp.%s.%s", family, key);
	return config_given(&link->given, path);
}

static void fill(struct cfg_link *link, struct cfg_bgp_peer *peer, const char *family,
	const struct fill *rows)
{
	const char *from;

	for (; rows->key; rows++) {
		from = (const char *)link->profile + rows->from +
		       (*family == 'v' && family[1] == '6' ? rows->step : 0);
		if (!said(link, family, rows->key) && !zero(from, rows->size))
			memcpy((char *)peer + rows->to, from, rows->size);
	}
}

static void session(struct cfg_link *link, struct cfg_bgp_peer *peer, const char *family)
{
	const struct cfg_profile *profile = link->profile;

	if (!peer->present)
		return;
	if (!said(link, family, "bfd"))
		peer->bfd.enabled = profile->bfd && profile->bfd_on;
	if (peer->bfd.enabled)
		fill(link, peer, family, bfd_fills);
	if (!said(link, family, "keepalive") && !said(link, family, "hold"))
		fill(link, peer, family, timer_fills);
	if (!peer->gtsm && !peer->multihop)
		peer->multihop = profile->multihop;
	if (!said(link, family, "graceful_restart"))
		peer->graceful_restart =
			peer->bfd.enabled ? CFG_RESTART_OFF : profile->graceful_restart;
	fill(link, peer, family, peer_fills);
}

static void unknown(const struct parse *p, const struct cfg_link *link, const char *path)
{
	const struct config *config = p->config;
	const char **names = pool_array(p->work, config->n_known + 1, sizeof(*names)), *nearest,
		   *text = "";

	for (unsigned i = 0; i < config->n_known; i++) {
		names[i] = config->known[i].name;
		text = pool_printf(p->work, "%s%s%s", text, i ? ", " : "", names[i]);
	}
	nearest = value_nearest(link->profile_name, names);
	if (nearest)
		prov_report(p, PROV_UNKNOWN, path, "no profile '%.40s': did you mean '%s'?",
			link->profile_name, nearest);
	else
		prov_report(p, PROV_UNKNOWN, path, "no profile '%.40s': there are %s",
			link->profile_name, text);
}

void resolve_profiles(struct parse *p)
{
	struct cfg_link *link;
	char path[60];

	for (unsigned i = 0; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		if (!link->profile_name)
			continue;
		if (!config_given(&link->given, "state"))
			link->shut = true;
		link->profile = config_profile(p->config, link->profile_name);
		snprintf(path, sizeof(path), "links.%s.profile", link->name);
		if (!link->profile && p->config->n_known)
			unknown(p, link, path);
		if (!link->profile)
			continue;
		session(link, &link->bgp.v4, "v4");
		session(link, &link->bgp.v6, "v6");
		memcpy(link->bgp.levers, link->profile->levers, sizeof(link->bgp.levers));
	}
}

/* ---- whose value is it? ---- */

static bool filled(const struct cfg_link *link, const char *key, bool v6, const struct fill *rows)
{
	for (; rows->key; rows++)
		if (!strcmp(rows->key, key))
			return !zero(
				(const char *)link->profile + rows->from + (v6 ? rows->step : 0),
				rows->size);
	return false;
}

bool resolve_by_profile(const struct cfg_link *link, const char *key)
{
	const struct cfg_profile *profile = link->profile;
	const char *family;
	bool v6;

	if (!profile || config_given(&link->given, key))
		return false;
	if (!strcmp(key, "state"))
		return true;
	if (!strcmp(key, "mtu"))
		return profile->mtu && link->mtu == profile->mtu;
	if (!strncmp(key, "ipsec.", 6))
		return resolve_ipsec_by_profile(link, key + 6);
	if (strncmp(key, "bgp.v", 5))
		return false;
	v6 = key[5] == '6';
	family = v6 ? "v6" : "v4";
	key += strlen("bgp.v4.");
	if (!strcmp(key, "multihop"))
		return profile->multihop && !said(link, family, "gtsm");
	if (!strcmp(key, "graceful_restart")) /* with BFD it is off, whatever the profile says */
		return !(v6 ? &link->bgp.v6 : &link->bgp.v4)->bfd.enabled;
	if (!strcmp(key, "bfd"))
		return true;
	if ((!strcmp(key, "keepalive") || !strcmp(key, "hold")) &&
		(said(link, family, "keepalive") || said(link, family, "hold")))
		return false;
	return filled(link, key, v6, bfd_fills) || filled(link, key, v6, timer_fills) ||
	       filled(link, key, v6, peer_fills);
}
