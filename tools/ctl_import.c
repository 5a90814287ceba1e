/* `lintasctl link import FILE`: entries for `links` from what a provider has already made.
 *
 * One entry an object, in our language, on standard output, shut, never more than ten lines of it;
 * comments say what the document does not know. Where a configuration can be read, circuit, VRF,
 * cloud and AS number are taken from it: the circuit by its id, the VRF
 * from another link of that cloud. Otherwise they are names that fit, and `lintasctl check`
 * says of each that it does not exist yet. What a profile gives (timers, BFD, limits) is not
 * written again, unless the provider says something of its own. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/profile.h"
#include "ctl.h"
#include "ctl_against.h"

#define NAME_LEN (CFG_NAME_MAX - 1)

struct import {
	struct cloud *cloud;
	struct config *config; /* NULL: none could be read */
	const char *name, *id; /* as given; NULL: not given */
	FILE *out;
	const char **names; /* used so far */
	unsigned n_names, n_written, n_passed, n_there;
};

static const struct {
	const char *cloud;   /* a name for it */
	uint32_t asn;	     /* of its end, where a document does not say; 0: any */
	const char *asn_why; /* what to say about that */
} habits[CLOUD_COUNT] = {
	[CLOUD_AWS] = { "aws", 64512, "AWS's default: see its gateway" },
	[CLOUD_GCP] = { "gcp", 64512,
		"the Cloud Router's is not in this document: see `gcloud compute routers "
		"describe`" },
	[CLOUD_AZURE] = { "azure", 12076, "Microsoft's" },
	[CLOUD_OCI] = { "oci", 31898, "Oracle's" },
	[CLOUD_ALIBABA] = { "alibaba", 45104,
		"Alibaba's, unless there is an Express Connect router" },
};

/* ---- names ---- */

/* A valid name of ours out of any text: [a-z][a-z0-9-]{0,14}. */
static const char *name_of(struct import *im, const char *text, const char *otherwise)
{
	char name[CFG_NAME_MAX];
	size_t n = 0;

	for (; text && *text && n < NAME_LEN; text++) {
		char c = tolower((unsigned char)*text);

		if (n ? isalnum((unsigned char)c) : islower((unsigned char)c))
			name[n++] = c;
		else if (n && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	return n >= 2 ? pool_strdup(im->cloud->pool, name) : otherwise;
}

static bool name_taken(const struct import *im, const char *name)
{
	for (unsigned i = 0; i < im->n_names; i++)
		if (!strcmp(im->names[i], name))
			return true;
	return im->config && config_link(im->config, name);
}

/* "aws-101", or what --name says; numbered from the second on. */
static const char *link_name(struct import *im, const struct cloud_view *v)
{
	const char *base = im->name, *side = v->side ? strrchr(v->side, ' ') : NULL, *name;
	struct cfg_pool *pool = im->cloud->pool;

	if (!base && v->vlan.at)
		base = pool_printf(pool, "%s-%u%s%.1s", habits[v->provider].cloud, v->vlan.n,
			v->side ? "-" : "", v->side ? v->side : "");
	else if (!base)
		base = pool_printf(pool, "%s-%s%s%s", habits[v->provider].cloud,
			v->tunnel ? "vpn" : "link", side ? "-" : "", side ? side + 1 : "");
	name = name_of(im, base, "link");
	for (unsigned i = 2; name_taken(im, name); i++) {
		int digits = i < 10 ? 1 : i < 100 ? 2 : i < 1000 ? 3 : 4;

		name = pool_printf(pool, "%.*s-%u", NAME_LEN - 1 - digits, base, i);
	}
	im->names[im->n_names++] = name;
	return name;
}

/* ---- what the configuration knows ---- */

/* Of two circuits with one id the second is for the secondary side. */
static const char *circuit_for(struct import *im, const struct cloud_view *v, bool *ret_known)
{
	const struct config *config = im->config;
	unsigned skip = v->side && !strcmp(v->side, "secondary");
	const char *name;

	*ret_known = true;
	for (unsigned i = 0; config && i < config->n_circuits; i++) {
		const char *id = config->circuits[i].id;
		bool it = id && ((v->parent && !strcasecmp(id, v->parent)) ||
					(v->id && !strcasecmp(id, v->id)));

		if (it && !skip--)
			return config->circuits[i].name;
	}
	*ret_known = false;
	name = name_of(im, v->parent ? v->parent : v->id, "circuit");
	if (v->side)
		name = pool_printf(im->cloud->pool, "%.*s-%.1s", NAME_LEN - 2, name, v->side);
	return name;
}

static const struct cfg_zone *zone_for(const struct import *im, const struct cloud_view *v)
{
	const struct config *config = im->config;

	for (unsigned i = 0; config && i < config->n_zones; i++)
		if (!config->zones[i].partner && config->zones[i].provider &&
			cloud_provider_find(config->zones[i].provider) == (int)v->provider)
			return &config->zones[i];
	return NULL;
}

static const char *vrf_for(const struct import *im, const struct cfg_zone *zone)
{
	const struct config *config = im->config;

	for (unsigned i = 0; zone && i < config->n_links; i++)
		if (config->links[i].zone == zone)
			return config->links[i].vrf->name;
	for (unsigned i = 0; config && i < config->n_vrfs; i++)
		if (!strcmp(config->vrfs[i].name, "prod") || config->n_vrfs == 1)
			return config->vrfs[i].name;
	return "prod";
}

/* ---- one entry ---- */

static void comment(const struct import *im, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void comment(const struct import *im, const char *fmt, ...)
{
	va_list args;

	fputs("  # ", im->out);
	va_start(args, fmt);
	vfprintf(im->out, fmt, args);
	va_end(args);
	fputc('\n', im->out);
}

/* Our address with its length; theirs says it when ours does not. */
static struct ip_prefix our_address(const struct cloud_session *s)
{
	struct ip_prefix p = s->ours.p;

	if (s->ours.bare)
		p.len = !s->theirs.at || s->theirs.bare ? ip_bits(p.af) - 2 : s->theirs.p.len;
	return p;
}

static bool complete(const struct cloud_session *s)
{
	return s->ours.at && s->theirs.at;
}

static void write_session(struct import *im, const struct cloud_view *v, int f, const char *key)
{
	const struct cloud_session *s = &v->s[f];
	uint32_t asn = s->their_asn.at ? s->their_asn.n : habits[v->provider].asn;
	struct ip_addr theirs = ip_prefix_addr(&s->theirs.p);
	char a[IP_STRLEN];

	if (!s->their_asn.at && !strcmp(v->profile, "gcp-partner"))
		asn = 16550;
	fprintf(im->out, " v%d = { peer = \"%s\"; asn = \"%u\";", f ? 6 : 4,
		ip_addr_format(&theirs, a), asn);
	if (s->our_asn.at && im->config && im->config->gateway.asn != s->our_asn.n)
		fprintf(im->out, " local_as = \"%u\";", s->our_asn.n);
	if (s->key.at && s->key.on)
		fprintf(im->out, " key = \"%s\";", key);
	if (s->bfd.at && !s->bfd.on)
		fputs(" bfd = false;", im->out);
	else if (s->bfd.on && s->bfd_ms.at && s->bfd_multiplier.at)
		fprintf(im->out, " bfd = { interval = \"%ums\"; multiplier = %u; };", s->bfd_ms.n,
			s->bfd_multiplier.n);
	else if (s->bfd.on)
		fputs(" bfd = true;", im->out);
	fputs(" };", im->out);
}

/* What holds of a session; the second one is not told what the first was. */
static void say_session(struct import *im, const struct cloud_view *v, int f, const char *key)
{
	const struct cloud_session *s = &v->s[f], *other = &v->s[0];
	bool again = f && complete(other);

	if (!s->their_asn.at && strcmp(v->profile, "gcp-partner") && !again)
		comment(im, "asn %u: %s", habits[v->provider].asn, habits[v->provider].asn_why);
	if (s->our_asn.at && !im->config && !(again && other->our_asn.n == s->our_asn.n))
		comment(im,
			"%s expects us to be AS %u: say local_as = \"%u\" beside asn if the "
			"gateway is another",
			cloud_provider_name(v->provider), s->our_asn.n, s->our_asn.n);
	if (s->key.on && !(again && other->key.on))
		comment(im,
			"the provider has an MD5 key: write it to the file \"%s\" in the folder of "
			"keys (defaults.keys), mode 0600",
			key);
	if (s->bfd_waits.on && !(again && other->bfd_waits.on))
		comment(im, "BFD at the provider waits for us to begin");
}

/* What a person has to look at before the entry. */
static void say_view(struct import *im, const struct cloud_view *v, const char *circuit, bool known,
	const struct cfg_zone *zone, const char *key)
{
	comment(im, "%s%s%s%s%s of %s, from %s %s", v->what, v->id ? " " : "", v->id ? v->id : "",
		v->side ? ", " : "", v->side ? v->side : "", cloud_provider_name(v->provider),
		v->file, v->at);
	if (v->state.at && v->is != CLOUD_UP)
		comment(im, "%s says it is \"%s\"", cloud_provider_name(v->provider), v->state.s);
	if (!v->tunnel && !known)
		comment(im, "circuit \"%s\" is a guess: name the circuit it runs over%s%s", circuit,
			v->parent ? ", which the provider calls " : "", v->parent ? v->parent : "");
	if (v->stag.at && v->stag.n)
		comment(im, "there is an outer tag: the circuit needs stag = %u", v->stag.n);
	if (!zone)
		comment(im, "cloud and VRF are guesses: name yours");
	for (int f = 0; f < 2; f++)
		if (complete(&v->s[f]))
			say_session(im, v, f, key);
}

static void write_addresses(struct import *im, const struct cloud_view *v)
{
	const char *comma = " ";
	char a[IP_STRLEN];

	fputs("address = [", im->out);
	for (int f = 0; f < 2; f++) {
		struct ip_prefix ours = our_address(&v->s[f]);

		if (!complete(&v->s[f]))
			continue;
		fprintf(im->out, "%s\"%s\"", comma, ip_prefix_format(&ours, a));
		comma = ", ";
	}
	fputs(" ];\n", im->out);
}

static void write_link(struct import *im, const struct cloud_view *v)
{
	const struct cfg_zone *zone = zone_for(im, v);
	const char *circuit, *name = link_name(im, v);
	bool known;

	circuit = circuit_for(im, v, &known);
	say_view(im, v, circuit, known, zone, name);
	fprintf(im->out, "  %s = {\n    circuit = \"%s\"; ", name, circuit);
	if (v->vlan.at && v->vlan.n)
		fprintf(im->out, "vlan = %u; ", v->vlan.n);
	fprintf(im->out, "vrf = \"%s\"; cloud = \"%s\";\n    profile = \"%s\"; state = \"shut\";",
		vrf_for(im, zone), zone ? zone->name : habits[v->provider].cloud, v->profile);
	if (v->id)
		fprintf(im->out, " id = \"%s\";", v->id);
	if (v->mtu.at)
		fprintf(im->out, " mtu = %u;", v->mtu.n);
	fputs("\n    ", im->out);
	write_addresses(im, v);
	fputs("    bgp = {", im->out);
	for (int f = 0; f < 2; f++) {
		if (f && complete(&v->s[0]) && complete(&v->s[1]))
			fputs("\n           ", im->out);
		if (complete(&v->s[f]))
			write_session(im, v, f, name);
	}
	fputs(" };\n  };\n", im->out);
	im->n_written++;
}

static bool wanted(const struct import *im, const struct cloud_view *v)
{
	return !im->id || (v->id && !strcasecmp(v->id, im->id)) ||
	       (v->name && !strcasecmp(v->name, im->id));
}

static void pass(struct import *im, const struct cloud_view *v, const char *why)
{
	comment(im, "%s%s%s%s%s of %s: %s", v->what, v->id ? " " : "", v->id ? v->id : "",
		v->side ? ", " : "", v->side ? v->side : "", cloud_provider_name(v->provider), why);
	im->n_passed++;
}

/* A link of the configuration that is this object already: by its id, of two ends of one id the one
 * with the address; or by tag and both addresses. */
static const struct cfg_link *there_already(const struct import *im, const struct cloud_view *v)
{
	for (unsigned i = 0; im->config && i < im->config->n_links; i++) {
		const struct cfg_link *link = &im->config->links[i];
		const struct cfg_bgp_peer *peers[] = { &link->bgp.v4, &link->bgp.v6 };
		bool same_id = link->id && v->id && !strcasecmp(link->id, v->id), same = false;

		for (unsigned f = 0; f < 2; f++) {
			struct ip_addr theirs = ip_prefix_addr(&v->s[f].theirs.p);

			same |= complete(&v->s[f]) && peers[f]->present &&
				ip_addr_equal(&peers[f]->peer, &theirs);
		}
		if ((same_id && (!v->side || same)) ||
			(same && !link->id && v->vlan.at && link->vlan == v->vlan.n))
			return link;
	}
	return NULL;
}

static void import_view(struct import *im, const struct cloud_view *v)
{
	const struct cfg_link *link;

	if (!wanted(im, v))
		return;
	link = there_already(im, v);
	if (link) {
		pass(im, v,
			pool_printf(im->cloud->pool,
				"link '%s' has it already, not written: compare with `lintasctl "
				"check --against`",
				link->name));
		im->n_there++;
	} else if (v->is == CLOUD_GONE)
		pass(im, v, "is going away, not written");
	else if (v->tunnel)
		pass(im, v, "an IPsec tunnel, which this version does not make: not written");
	else if (v->rank)
		pass(im, v,
			"its attachment, and so its VLAN, is in another document: import both, "
			"`link import FILE --with FILE`");
	else if (!complete(&v->s[0]) && !complete(&v->s[1]))
		pass(im, v, "has no addresses yet: finish it at the provider and import it again");
	else
		write_link(im, v);
}

/* ---- the command ---- */

unsigned import_views(struct cloud *cloud, struct config *config, const char *name, const char *id,
	FILE *out, unsigned *ret_there)
{
	struct import im = { cloud, config, name, id, out, NULL, 0, 0, 0, 0 };

	im.names = pool_array(cloud->pool, cloud->n + 1, sizeof(*im.names));
	if (!config)
		comment(&im,
			"no configuration was read (--config FILE): circuit, VRF and cloud are "
			"guesses");
	for (unsigned i = 0; i < cloud->n; i++)
		import_view(&im, &cloud->views[i]);
	if (id && !im.n_written && !im.n_passed)
		fprintf(stderr, "lintasctl: nothing here has the id or name \"%s\"\n", id);
	*ret_there = im.n_there;
	return im.n_written;
}

static int import_all(struct cloud *cloud, struct config *config, const json_t *args)
{
	json_t *with;
	unsigned there;
	size_t n;

	cloud_read(cloud, get_str(args, "file", ""));
	json_array_foreach(json_object_get(args, "with"), n, with)
		cloud_read(cloud, json_string_value(with));
	if (cloud->n_errors) {
		cloud_errors_print(cloud, stderr);
		return CTL_ERROR;
	}
	cloud_join(cloud);
	if (import_views(cloud, config, get_str(args, "name", NULL), get_str(args, "id", NULL),
		    stdout, &there) ||
		there)
		return CTL_OK;
	fprintf(stderr, "lintasctl: nothing that can be written as a link\n");
	return CTL_ERROR;
}

static bool name_valid(const char *name)
{
	size_t n = strlen(name);

	return islower((unsigned char)*name) && n <= NAME_LEN &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Where the pool jumps to when memory is out. */
static int guarded(struct cloud *cloud, struct config *config, const json_t *args)
{
	jmp_buf oom;

	cloud->pool->oom = &oom;
	if (setjmp(oom)) {
		fprintf(stderr, "lintasctl: out of memory\n");
		return CTL_ERROR;
	}
	return import_all(cloud, config, args);
}

int run_import(const json_t *args, bool as_json)
{
	const char *path = get_str(args, "config", NULL), *name = get_str(args, "name", "a");
	struct config *config = NULL;
	struct cloud *cloud;
	int status = CTL_ERROR;

	if (as_json) {
		fprintf(stderr, "lintasctl: link import writes lintas.conf's language, not JSON\n");
		return CTL_ERROR;
	}
	if (!name_valid(name)) {
		fprintf(stderr,
			"lintasctl: a link's name is at most %d of a-z, 0-9 and '-', beginning "
			"with a letter\n",
			NAME_LEN);
		return CTL_ERROR;
	}
	if (path || !access(CTL_CONFIG, R_OK))
		config = config_for(path ? path : CTL_CONFIG);
	if (path && !config)
		return CTL_ERROR;
	cloud = cloud_new();
	if (cloud)
		status = guarded(cloud, config, args);
	else
		fprintf(stderr, "lintasctl: out of memory\n");
	cloud_free(cloud);
	config_free(config);
	return status;
}
