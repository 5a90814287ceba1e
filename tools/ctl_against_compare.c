/* One link against the provider's object for it: every disagreement by name.
 *
 * What a document does not say is not compared. Each function has one subject; `say` adds the place
 * on both sides. A text says what each side has, and what to change where; where only one side can
 * be right (a VLAN that a provider has already assigned) it says which way is the easy one. */
#include <string.h>
#include "config/profile.h"
#include "ctl_against.h"

#define LISTED_MAX 5 /* prefixes named in one finding */

struct compare {
	struct against *against;
	const struct half *half;
	const struct cfg_link *link;
	const struct cloud_view *view;
	const char *provider;
};

#define SAY(code, key, at, ...)	 say(c, code, false, key, at, NULL, __VA_ARGS__)
#define WARN(code, key, at, ...) say(c, code, true, key, at, NULL, __VA_ARGS__)

static void say(const struct compare *c, enum against_code code, bool warning, const char *key,
	const char *at, const struct cfg_source *src, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

static void say(const struct compare *c, enum against_code code, bool warning, const char *key,
	const char *at, const struct cfg_source *src, const char *fmt, ...)
{
	struct cfg_pool *pool = c->against->cloud->pool;
	const struct cfg_source *given = config_given(&c->link->given, key); /* its own line */
	struct finding finding = { .code = code,
		.warning = warning,
		.link = c->link,
		.src = given		  ? *given
		       : src && src->file ? *src
					  : c->link->src,
		.file = at ? cloud_file_of(c->against->cloud, c->view, at) : c->view->file,
		.at = at ? at : c->view->at };
	va_list args;

	finding.key = pool_printf(pool, "links.%s%s%s", c->link->name, *key ? "." : "", key);
	va_start(args, fmt);
	const char *text = pool_vprintf(pool, fmt, args);
	va_end(args);
	against_add(c->against, finding, "%s", text);
}

/* "virtual interface dxvif-fh2k1a9z" */
static const char *object(const struct compare *c)
{
	const struct cloud_view *v = c->view;

	return pool_printf(c->against->cloud->pool, "%s%s%s%s%s", v->what, v->id ? " " : "",
		v->id ? v->id : "", v->side ? ", " : "", v->side ? v->side : "");
}

/* ---- layer 2 ---- */

static void layer2(const struct compare *c)
{
	const struct cloud_view *v = c->view;
	const struct cfg_circuit *circuit = c->link->circuit;

	if (v->vlan.at && v->vlan.n != c->link->vlan)
		SAY(AGAINST_VLAN, "vlan", v->vlan.at,
			"VLAN %u here, %u at %s: set vlan = %u, or have %s made again with VLAN %u",
			c->link->vlan, v->vlan.n, c->provider, v->vlan.n, object(c), c->link->vlan);
	if (v->stag.at && v->stag.n && circuit && v->stag.n != circuit->stag)
		SAY(AGAINST_STAG, "circuit", v->stag.at,
			"outer tag %u here, %u at %s: set stag = %u in circuits.%s", circuit->stag,
			v->stag.n, c->provider, v->stag.n, circuit->name);
	if (v->mtu.at && c->link->mtu > v->mtu.n)
		SAY(AGAINST_MTU, "mtu", v->mtu.at,
			"MTU %u here, %u at %s: larger packets of ours are lost there; set mtu = "
			"%u, or %u on %s",
			c->link->mtu, v->mtu.n, c->provider, v->mtu.n, c->link->mtu, object(c));
	else if (v->mtu.at && c->link->mtu < v->mtu.n)
		WARN(AGAINST_MTU, "mtu", v->mtu.at,
			"MTU %u here, %u at %s: larger packets of theirs may be lost here; set "
			"mtu = %u, or %u on %s",
			c->link->mtu, v->mtu.n, c->provider, v->mtu.n, c->link->mtu, object(c));
	if (v->jumbo.at && !v->jumbo.on && c->link->mtu > 1500)
		SAY(AGAINST_JUMBO, "mtu", v->jumbo.at,
			"MTU %u here, but %s cannot carry jumbo frames: set mtu = 1500, or move "
			"it to a connection that can",
			c->link->mtu, object(c));
	if (v->outside.at && c->link->remote.af &&
		memcmp(v->outside.p.bytes, c->link->remote.bytes, sizeof(c->link->remote.bytes))) {
		char a[IP_STRLEN], b[IP_STRLEN];
		struct ip_addr outside = ip_prefix_addr(&v->outside.p);

		SAY(AGAINST_OUTSIDE, "encap.remote", v->outside.at,
			"the tunnel goes to %s here, %s's end is %s: set encap.remote = \"%s\"",
			ip_addr_format(&c->link->remote, a), c->provider,
			ip_addr_format(&outside, b), b);
	}
}

/* ---- names ---- */

/* Ids of one kind begin with the same word: "dxcon-". */
static bool same_kind(const char *a, const char *b)
{
	size_t n = strcspn(a, "-");

	return a[n] && n == strcspn(b, "-") && !strncasecmp(a, b, n + 1);
}

static void names(const struct compare *c)
{
	const struct cloud_view *v = c->view;
	const char *circuit = c->link->circuit ? c->link->circuit->id : NULL;

	if (!v->rank && c->link->id && v->id && strcasecmp(c->link->id, v->id) &&
		(!v->name || strcasecmp(c->link->id, v->name)))
		WARN(AGAINST_ID, "id", v->at,
			"id \"%s\" here, VLAN and addresses are those of %s: set id = \"%s\", or "
			"see whether this document is of another link",
			c->link->id, object(c), v->id);
	if (circuit && v->parent && same_kind(circuit, v->parent) && strcasecmp(circuit, v->parent))
		SAY(AGAINST_CIRCUIT, "circuit", v->at,
			"circuit %s is \"%s\" here, %s is on \"%s\": name that circuit here, or "
			"move it at %s",
			c->link->circuit->name, circuit, object(c), v->parent, c->provider);
}

/* ---- addresses and AS numbers ---- */

static bool equal(const struct cloud_addr *a, const struct ip_addr *b)
{
	return a->p.af == b->af && !memcmp(a->p.bytes, b->bytes, sizeof(b->bytes));
}

static void addresses(const struct compare *c, int f)
{
	const struct half_session *h = &c->half->s[f];
	const struct cloud_session *s = &c->view->s[f];
	struct ip_addr ours = ip_prefix_addr(&h->ours);
	char a[IP_STRLEN], b[IP_STRLEN];
	bool swapped = s->ours.at && s->theirs.at && h->theirs.af && h->ours.af &&
		       equal(&s->ours, &h->theirs) && equal(&s->theirs, &ours);

	if (swapped) {
		SAY(AGAINST_SWAPPED, "address", s->ours.at,
			"the two ends are swapped: %s is ours here and %s's there: exchange "
			"address and peer here, or the two addresses of %s",
			ip_addr_format(&ours, a), c->provider, object(c));
		return;
	}
	if (s->ours.at && h->ours.af && !equal(&s->ours, &ours))
		SAY(AGAINST_OURS, "address", s->ours.at,
			"our address is %s here, %s at %s: set address = \"%s\", or change it on "
			"%s",
			ip_prefix_format(&h->ours, a), ip_prefix_format(&s->ours.p, b), c->provider,
			b, object(c));
	else if (s->ours.at && h->ours.af && !s->ours.bare && s->ours.p.len != h->ours.len)
		SAY(AGAINST_LENGTH, "address", s->ours.at,
			"the network is /%u here, /%u at %s: set address = \"%s\"", h->ours.len,
			s->ours.p.len, c->provider, ip_prefix_format(&s->ours.p, b));
	if (s->theirs.at && h->theirs.af && !equal(&s->theirs, &h->theirs)) {
		struct ip_addr theirs = ip_prefix_addr(&s->theirs.p);

		say(c, AGAINST_THEIRS, false,
			!h->bgp ? "static.via"
			: f	? "bgp.v6.peer"
				: "bgp.v4.peer",
			s->theirs.at, h->bgp ? &h->peer->src : NULL,
			"the neighbour is %s here, %s is %s: set peer = \"%s\", or change it on %s",
			ip_addr_format(&h->theirs, a), c->provider, ip_addr_format(&theirs, b), b,
			object(c));
	}
}

static void asns(const struct compare *c, int f)
{
	const struct half_session *h = &c->half->s[f];
	const struct cloud_session *s = &c->view->s[f];

	if (s->our_asn.at && s->our_asn.n != h->our_asn)
		say(c, AGAINST_OUR_ASN, false, f ? "bgp.v6.local_as" : "bgp.v4.local_as",
			s->our_asn.at, &h->peer->src,
			"we say we are AS %u, %s expects %u: set local_as = \"%u\", or change the "
			"customer's AS number of %s",
			h->our_asn, c->provider, s->our_asn.n, s->our_asn.n, object(c));
	if (s->their_asn.at && s->their_asn.n != h->their_asn)
		say(c, AGAINST_THEIR_ASN, false, f ? "bgp.v6.asn" : "bgp.v4.asn", s->their_asn.at,
			&h->peer->src, "%s is AS %u here, %u in fact: set asn = \"%u\"",
			c->provider, h->their_asn, s->their_asn.n, s->their_asn.n);
}

/* ---- a session's other values ---- */

static void bfd(const struct compare *c, int f)
{
	const struct half_session *h = &c->half->s[f];
	const struct cloud_session *s = &c->view->s[f];
	const struct cfg_bfd *ours = &h->peer->bfd;
	const char *key = f ? "bgp.v6.bfd" : "bgp.v4.bfd";

	if (s->bfd.at && s->bfd.on != ours->enabled) {
		if (ours->enabled)
			say(c, AGAINST_BFD, false, key, s->bfd.at, &h->peer->src,
				"BFD is on here, off at %s: switch it on for %s, or set bfd = "
				"false",
				c->provider, object(c));
		else
			say(c, AGAINST_BFD, true, key, s->bfd.at, &h->peer->src,
				"BFD is on at %s, off here: set bfd = true, or a dead neighbour is "
				"noticed late",
				c->provider);
		return;
	}
	if (!ours->enabled)
		return;
	if (s->bfd_waits.at && s->bfd_waits.on && ours->passive)
		say(c, AGAINST_BFD_WAITS, false, key, s->bfd_waits.at, &h->peer->src,
			"both sides wait for the other to begin: set passive = false in bfd, or "
			"ACTIVE at %s",
			c->provider);
	if ((s->bfd_ms.at && s->bfd_ms.n != ours->interval_ms) ||
		(s->bfd_multiplier.at && s->bfd_multiplier.n != ours->multiplier))
		say(c, AGAINST_BFD_TIMERS, true, key,
			s->bfd_ms.at ? s->bfd_ms.at : s->bfd_multiplier.at, &h->peer->src,
			"BFD is %u ms x %u here, %u ms x %u at %s: the slower interval wins, and "
			"each end detects by the other's multiplier; set the same on both",
			ours->interval_ms, ours->multiplier,
			s->bfd_ms.at ? s->bfd_ms.n : ours->interval_ms,
			s->bfd_multiplier.at ? s->bfd_multiplier.n : ours->multiplier, c->provider);
}

static void key_and_timers(const struct compare *c, int f)
{
	const struct half_session *h = &c->half->s[f];
	const struct cloud_session *s = &c->view->s[f];
	const char *key = f ? "bgp.v6.key" : "bgp.v4.key";

	if (s->key.at && s->key.on && !h->peer->key)
		say(c, AGAINST_KEY, false, key, s->key.at, &h->peer->src,
			"%s has an MD5 key, here is none: put it in a file of the folder of keys "
			"(defaults.keys) and set key to that file's name",
			c->provider);
	if (s->key.at && !s->key.on && h->peer->key)
		say(c, AGAINST_KEY, false, key, s->key.at, &h->peer->src,
			"MD5 key \"%s\" here, none at %s: set it on %s, or remove key",
			h->peer->key, c->provider, object(c));
	if (s->keepalive_s.at && h->peer->keepalive_s && s->keepalive_s.n != h->peer->keepalive_s)
		say(c, AGAINST_KEEPALIVE, true, f ? "bgp.v6.keepalive" : "bgp.v4.keepalive",
			s->keepalive_s.at, &h->peer->src,
			"keepalive is %u s here, %u s at %s: the shorter wins; set the same on "
			"both",
			h->peer->keepalive_s, s->keepalive_s.n, c->provider);
}

static void states(const struct compare *c)
{
	const struct cloud_view *v = c->view;
	bool quiet = c->link->shut; /* then it need not be up there yet */

	if (v->enabled.at && !v->enabled.on && !quiet)
		SAY(AGAINST_DISABLED, "state", v->enabled.at,
			"%s has been disabled at %s: enable it, or set state = \"shut\"", object(c),
			c->provider);
	if (v->is == CLOUD_GONE)
		SAY(AGAINST_STATE, "", v->state.at,
			"%s is \"%s\" at %s: it is going away; remove the link, or have it made "
			"again",
			object(c), v->state.s, c->provider);
	else if (v->is == CLOUD_DOWN && !quiet)
		SAY(AGAINST_STATE, "", v->state.at, "%s is \"%s\" at %s: see `link show %s`",
			object(c), v->state.s, c->provider, c->link->name);
	else if (v->is == CLOUD_PENDING && !quiet)
		SAY(AGAINST_STATE, "", v->state.at,
			"%s is \"%s\" at %s: accept or finish it there; until then set state = "
			"\"shut\"",
			object(c), v->state.s, c->provider);
	for (int f = 0; f < 2 && v->is == CLOUD_UP && !quiet; f++) {
		const struct cloud_session *s = &v->s[f];

		if (s->at && (s->is == CLOUD_DOWN || s->is == CLOUD_PENDING))
			SAY(AGAINST_STATE, f ? "bgp.v6" : "bgp.v4", s->state.at,
				"the IPv%u session of %s is \"%s\" at %s: see `bgp show`",
				f ? 6 : 4, object(c), s->state.s, c->provider);
	}
}

/* ---- prefixes ---- */

static bool passes(const struct cfg_filter_list *list, const struct ip_prefix *p)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct cfg_filter *filter = &list->items[i];
		unsigned least = filter->ge ? filter->ge : filter->prefix.len,
			 most = filter->le   ? filter->le
				: filter->ge ? ip_bits(p->af)
					     : least;

		if (filter->prefix.af == p->af && ip_prefix_covers(&filter->prefix, p) &&
			p->len >= least && p->len <= most)
			return true;
	}
	return false;
}

/* Is there anything in the list that the filter's prefix has to do with? */
static bool touched(const struct cloud_prefixes *list, const struct ip_prefix *p)
{
	for (unsigned i = 0; i < list->n; i++)
		if (ip_prefix_covers(&list->items[i], p) || ip_prefix_covers(p, &list->items[i]))
			return true;
	return false;
}

struct listed { /* "10.0.0.0/8, 10.1.0.0/16 and 3 more" */
	char text[LISTED_MAX * (IP_STRLEN + 2) + 32];
	unsigned n;
};

static void listed_add(struct listed *l, const struct ip_prefix *p)
{
	size_t used = strlen(l->text);
	char a[IP_STRLEN];

	if (l->n++ < LISTED_MAX)
		snprintf(l->text + used, sizeof(l->text) - used, "%s%s", used ? ", " : "",
			ip_prefix_format(p, a));
}

static const char *listed_end(struct listed *l)
{
	size_t used = strlen(l->text);

	if (l->n > LISTED_MAX)
		snprintf(l->text + used, sizeof(l->text) - used, " and %u more", l->n - LISTED_MAX);
	return l->text;
}

static void prefixes(const struct compare *c, int f)
{
	const struct cloud_prefixes *announced = &c->view->s[f].announced;
	const struct cfg_filter_list *accept = &c->link->bgp.accept;
	struct listed refused = { .n = 0 }, missed = { .n = 0 };

	if (!announced->at)
		return;
	for (unsigned i = 0; i < announced->n; i++)
		if (!passes(accept, &announced->items[i]))
			listed_add(&refused, &announced->items[i]);
	for (unsigned i = 0; i < accept->n; i++)
		if ((accept->items[i].prefix.af == AF_INET6) == f &&
			!touched(announced, &accept->items[i].prefix))
			listed_add(&missed, &accept->items[i].prefix);
	if (refused.n)
		WARN(AGAINST_ANNOUNCED, "bgp.accept", announced->at,
			"%s announces what is not accepted here: %s: add it to accept or to the "
			"cloud's prefixes, or stop announcing it there",
			c->provider, listed_end(&refused));
	if (missed.n)
		WARN(AGAINST_EXPECTED, "bgp.accept", announced->at,
			"%s does not announce what is expected here: %s: announce it there, or "
			"remove it here",
			c->provider, listed_end(&missed));
}

static void allowed(const struct compare *c)
{
	const struct cloud_prefixes *allowed = &c->view->allowed;
	const struct cfg_filter_list *ours = &c->half->announce;
	struct listed refused = { .n = 0 };

	for (unsigned i = 0; allowed->at && i < ours->n; i++) {
		bool found = false;

		for (unsigned j = 0; j < allowed->n; j++)
			found |= ip_prefix_covers(&allowed->items[j], &ours->items[i].prefix);
		if (!found)
			listed_add(&refused, &ours->items[i].prefix);
	}
	if (refused.n)
		SAY(AGAINST_ALLOWED, "bgp.announce", allowed->at,
			"%s does not take what we announce: %s: have it allowed on %s, or stop "
			"announcing it",
			c->provider, listed_end(&refused), object(c));
}

/* ---- all of it ---- */

static void sessions(const struct compare *c)
{
	const struct cloud_session *s = c->view->s;
	const struct half_session *h = c->half->s;

	if (c->view->bgp.at && !c->view->bgp.on && c->link->bgp.present)
		SAY(AGAINST_STATIC, "bgp", c->view->bgp.at,
			"BGP here, static routes at %s: have %s made with BGP, or give the link "
			"static routes",
			c->provider, object(c));
	else if (c->view->bgp.at && c->view->bgp.on && c->link->statics.n)
		SAY(AGAINST_STATIC, "static", c->view->bgp.at,
			"static routes here, BGP at %s: give the link bgp instead of static",
			c->provider);
	for (int f = 0; f < 2; f++) {
		addresses(c, f);
		if (s[f].at && h[f].bgp) {
			asns(c, f);
			bfd(c, f);
			key_and_timers(c, f);
			prefixes(c, f);
		} else if (s[f].at && s[f].ours.at && !c->link->statics.n &&
			   (h[!f].bgp || !c->view->bgp.at || c->view->bgp.on)) {
			SAY(AGAINST_SESSION, f ? "bgp.v6" : "bgp.v4", s[f].at,
				"%s has an IPv%u session, here is none: add bgp.v%u, or remove it "
				"there",
				c->provider, f ? 6 : 4, f ? 6 : 4);
		} else if (h[f].bgp && s[!f].at) {
			say(c, AGAINST_SESSION, false, f ? "bgp.v6" : "bgp.v4", c->view->at,
				&h[f].peer->src,
				"an IPv%u session here, none at %s: add it to %s, or remove "
				"bgp.v%u",
				f ? 6 : 4, c->provider, object(c), f ? 6 : 4);
		}
	}
}

void against_compare(
	struct against *against, const struct half *half, const struct cloud_view *view)
{
	const struct compare here = { against, half, half->link, view,
		cloud_provider_name(view->provider) };
	const struct compare *c = &here;

	layer2(c);
	names(c);
	sessions(c);
	allowed(c);
	states(c);
}
