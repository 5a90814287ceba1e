/* The providers' profiles and rules: every shipped profile is whole, a golden configuration of each
 * breaks no rule, a bad fixture of each rule breaks that one and no other, and what a link leaves
 * out is what its provider demands.
 *
 * Fixtures lie in tests/unit/config/providers: golden-PROFILE.conf, and NN-what.conf for the rule
 * PROV-NN. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "config/profile.h"
#include "config/prov.h"
#include "confdir.h"
#include "unit.h"

#ifdef __SANITIZE_ADDRESS__
#define SLOWER 8
#else
#define SLOWER 1
#endif

#define FOLDER "providers"

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Calls visit with the name of every fixture that begins with a digit or as `with` says. */
static unsigned each(const char *with, void (*visit)(const char *name))
{
	struct dirent **entries;
	unsigned count = 0;
	int n = scandir(confdir_path(FOLDER), &entries, NULL, alphasort);

	CU_ASSERT_FATAL(n > 0);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name, *dot = strrchr(name, '.');
		bool wanted =
			with ? !strncmp(name, with, strlen(with)) : *name >= '0' && *name <= '9';

		if (wanted && dot && !strcmp(dot, ".conf")) {
			visit(name);
			count++;
		}
		free(entries[i]);
	}
	free(entries);
	return count;
}

static const char *fixture(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	return confdir_path(path);
}

/* ---- bad fixtures ---- */

static bool tried[100]; /* codes that have a fixture */

static void bad(const char *name)
{
	unsigned number = strtoul(name, NULL, 10);
	const struct prov_rule *rule = prov_rules;
	struct cfg_errors errors;
	struct config *config;
	char code[12];

	while (rule->code && rule->code != number)
		rule++;
	CU_ASSERT_FATAL(rule->code && number < 100);
	tried[number] = true;
	snprintf(code, sizeof(code), "PROV-%02u: ", number);
	config = config_load(fixture(name), &errors);
	CU_ASSERT(errors.n > 0);
	CU_ASSERT_EQUAL(errors.n_fatal > 0, !rule->warning);
	CU_ASSERT_EQUAL(config == NULL, !rule->warning);
	for (unsigned i = 0; i < errors.n; i++) {
		CU_ASSERT(!strncmp(errors.items[i].text, code, strlen(code)));
		CU_ASSERT_EQUAL(errors.items[i].warning, rule->warning);
		CU_ASSERT(errors.items[i].line > 0);
		CU_ASSERT_PTR_NOT_NULL(errors.items[i].file);
		if (strncmp(errors.items[i].text, code, strlen(code)))
			printf("%s: %s\n", name, errors.items[i].text);
	}
	if (!errors.n)
		printf("%s: nothing was found\n", name);
	cfg_errors_free(&errors);
	config_free(config);
}

static void test_rules(void)
{
	confdir_make();
	CU_ASSERT(each(NULL, bad) >= 60);
	for (const struct prov_rule *r = prov_rules; r->code; r++) {
		CU_ASSERT(tried[r->code]);
		CU_ASSERT(r == prov_rules || r->code > r[-1].code);
		if (!tried[r->code])
			printf("%s has no fixture\n", r->name);
	}
	confdir_clean();
}

/* ---- golden ones ---- */

static char *printed(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_print(config, out);
	fclose(out);
	return text;
}

/* No complaint, not even a warning; at most ten lines a link; what is printed reads back alike. */
static void golden(const char *name)
{
	struct cfg_errors errors;
	struct config *config = config_load(fixture(name), &errors), *again;
	char *text, *second, profile[60];
	unsigned lines = 0;
	size_t len;
	bool used = false;

	snprintf(profile, sizeof(profile), "%s", name + strlen("golden-"));
	*strrchr(profile, '.') = '\0';
	CU_ASSERT_EQUAL(errors.n, 0);
	if (errors.n)
		cfg_errors_print(&errors, stdout);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	for (unsigned i = 0; i < config->n_links; i++)
		used |= config->links[i].profile &&
			!strcmp(config->links[i].profile->name, profile);
	CU_ASSERT_TRUE(used);
	cfg_errors_free(&errors);
	text = confdir_read(fixture(name), &len);
	for (const char *at = strstr(text, "links"); at && *at; at++)
		lines += *at == '\n';
	CU_ASSERT(lines <= 2 + 10 * config->n_links);
	free(text);
	text = printed(config);
	confdir_write(FOLDER "/printed.conf", text, strlen(text));
	again = config_load(fixture("printed.conf"), &errors);
	if (!again)
		cfg_errors_print(&errors, stdout);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	second = printed(again);
	CU_ASSERT_STRING_EQUAL(text, second);
	free(text);
	free(second);
	cfg_errors_free(&errors);
	config_free(config);
	config_free(again);
}

/* What `profile show NAME` prints. */
static void count_value(void *arg, const char *key, const char *value, const char *origin)
{
	CU_ASSERT(!strncmp(key, "profile.", 8) && *value && strstr(origin, "profiles/2026.11/"));
	++*(unsigned *)arg;
}

static void test_golden(void)
{
	struct cfg_errors errors;
	struct config *config;
	char name[80];

	confdir_make();
	CU_ASSERT(each("golden-", golden) >= 16);
	config = config_load(fixture("golden-internet.conf"), &errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT(config->n_known >= 16);
	for (unsigned i = 0; i < config->n_known; i++) { /* each shipped one has its golden one */
		const struct cfg_profile *p = &config->known[i];
		FILE *file;

		snprintf(name, sizeof(name), "golden-%s.conf", p->name);
		file = fopen(fixture(name), "r");
		CU_ASSERT_PTR_NOT_NULL(file);
		if (file)
			fclose(file);
		CU_ASSERT(p->title && p->provider && p->where_from && p->date && p->conduct.n);
		CU_ASSERT(p->encaps.n > 0);
		unsigned n_values = 0;
		CU_ASSERT_EQUAL(config_profile_values(config, p, count_value, &n_values), 0);
		CU_ASSERT(n_values >= 8); /* title, source, conduct … */
		CU_ASSERT_STRING_EQUAL(p->version, "2026.11");
		CU_ASSERT(p->src.line > 0 && strstr(p->src.file, "profiles/2026.11/"));
	}
	cfg_errors_free(&errors);
	config_free(config);
	confdir_clean();
}

/* ---- the README's examples ---- */

/* Blocks that begin with a comment and say schema are whole configurations: they pass, silently. */
static unsigned readme_block(const char *text, size_t len)
{
	struct cfg_errors errors;
	struct config *config;

	if (strncmp(text, "    # ", 6) || !memmem(text, len, "    schema = 1;", 15))
		return 0;
	confdir_write("readme.conf", text, len);
	config = config_load(confdir_path("readme.conf"), &errors);
	CU_ASSERT_EQUAL(errors.n, 0);
	if (errors.n) {
		printf("README.md: %.*s\n", (int)strcspn(text, "\n"), text);
		cfg_errors_print(&errors, stdout);
	}
	CU_ASSERT_PTR_NOT_NULL(config);
	cfg_errors_free(&errors);
	config_free(config);
	return 1;
}

static void test_readme(void)
{
	FILE *file = fopen("README.md", "r");
	char *text = NULL, *end;
	unsigned n = 0;
	size_t size = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_FATAL(getdelim(&text, &size, '\0', file) > 0);
	fclose(file);
	confdir_make();
	for (char *at = text; at; at = end ? end + 2 : NULL) {
		end = strstr(at, "\n\n");
		n += readme_block(at, end ? (size_t)(end - at) + 1 : strlen(at));
	}
	CU_ASSERT(n >= 3);
	confdir_clean();
	free(text);
}

/* ---- effective values ---- */

static const char head[] =
	"schema = 1; gateway = { name = \"g\"; workers = \"1\"; asn = \"65010\"; router_id = "
	"\"10.0.0.1\"; };\n"
	"ports = { p = { device = \"net_tap0\"; mtu = 9100; }; }; vrfs = { v = { loopback = "
	"[ \"10.9.9.9/32\" ]; }; };\n"
	"circuits = { c = { port = \"p\"; }; };\n"
	"clouds = { aws = { prefixes = [ \"10.40.0.0/16\", \"2001:db8::/48\" ]; centre = \"x\"; "
	"};\n"
	"  gcp = { prefixes = [ \"10.60.0.0/16\" ]; centre = \"x\"; }; };\n"
	"reach = { r = { between = [ \"aws\", \"gcp\" ]; }; s = { between = [ \"gcp\", \"aws\" ]; "
	"}; };\n";

static struct config *load(const char *rest, struct cfg_errors *errors)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "%s%s", head, rest);
	fclose(out);
	confdir_write("p.conf", text, len);
	free(text);
	return config_load(confdir_path("p.conf"), errors);
}

static const char three[] =
	"profiles = \"2026.11\";\n"
	"custom = { my-dx = { base = \"aws-dx-transit\"; keepalive = \"5s\"; hold = \"15s\";\n"
	"    md5 = \"optional\"; levers = { high = { med = 7; }; }; };\n"
	"  aws-dx-transit = { base = \"aws-dx-transit\"; max_out_v4 = 50; md5 = \"optional\"; }; "
	"};\n"
	"paths = { aws = { tiers = ( [ \"a\" ], [ \"b\" ], [ \"c\" ] ); probe = \"10.40.0.9\";\n"
	"    slo = { loss = \"0.1%\"; }; }; };\n"
	"links = {\n"
	" a = { circuit = \"c\"; vlan = 1; vrf = \"v\"; cloud = \"aws\"; profile = \"my-dx\"; "
	"state = "
	"\"up\";\n"
	"  address = \"10.0.1.1/30\"; bgp = { v4 = { peer = \"10.0.1.2\"; asn = \"64512\"; }; }; "
	"};\n"
	" b = { circuit = \"c\"; vlan = 2; vrf = \"v\"; cloud = \"aws\"; profile = "
	"\"aws-dx-transit\";\n"
	"  address = \"10.0.2.1/30\"; bgp = { v4 = { peer = \"10.0.2.2\"; asn = \"64512\"; hold = "
	"\"12s\"; bfd = { interval = \"500ms\"; }; };\n"
	"    announce = [ \"10.60.1.0/24\" ]; }; };\n"
	" c = { circuit = \"c\"; vlan = 3; vrf = \"v\"; cloud = \"aws\"; profile = "
	"\"aws-dx-private\";\n"
	"  address = \"10.0.3.1/30\"; probe = \"10.40.0.8\"; probing = { type = \"tcp\"; };\n"
	"  bgp = { v4 = { peer = \"10.0.3.2\"; asn = \"64512\"; key = \"dx1\"; bfd = false; }; }; "
	"};\n"
	" d = { circuit = \"c\"; vlan = 4; vrf = \"v\"; cloud = \"gcp\"; profile = "
	"\"gcp-partner\"; "
	"address = \"169.254.1.2/29\";\n"
	"  bgp = { v4 = { peer = \"169.254.1.1\"; asn = \"16550\"; }; inbound = \"drain\"; }; };\n"
	"};\n";

static void test_effective(void)
{
	struct cfg_errors errors;
	struct config *c;
	const struct cfg_link *a, *b, *l, *d;

	confdir_make();
	confdir_key("dx1");
	c = load(three, &errors);
	cfg_errors_print(&errors, errors.n_fatal ? stdout : stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	a = config_link(c, "a");
	b = config_link(c, "b");
	l = config_link(c, "c");
	d = config_link(c, "d");
	/* shut unless told otherwise; the profile's MTU though the port has more */
	CU_ASSERT(!a->shut && b->shut && l->shut && d->shut);
	CU_ASSERT(a->mtu == 1500 && d->mtu == 1440);
	/* timers as a pair, BFD key by key, graceful restart only where BFD is not */
	CU_ASSERT(a->bgp.v4.keepalive_s == 5 && a->bgp.v4.hold_s == 15);
	CU_ASSERT(b->bgp.v4.keepalive_s == 4 && b->bgp.v4.hold_s == 12);
	CU_ASSERT(a->bgp.v4.bfd.enabled && a->bgp.v4.bfd.interval_ms == 300);
	CU_ASSERT(b->bgp.v4.bfd.interval_ms == 500 && b->bgp.v4.bfd.multiplier == 3);
	CU_ASSERT(!l->bgp.v4.bfd.enabled);
	CU_ASSERT_EQUAL(a->bgp.v4.graceful_restart, CFG_RESTART_OFF);
	CU_ASSERT_EQUAL(l->bgp.v4.graceful_restart, CFG_RESTART_FULL);
	CU_ASSERT(d->bgp.v4.bfd.interval_ms == 1000 && d->bgp.v4.bfd.multiplier == 5);
	CU_ASSERT(d->bgp.v4.multihop == 4 && !a->bgp.v4.multihop);
	/* own profiles over shipped ones, one of them in the place of its base */
	CU_ASSERT(a->bgp.v4.max_out == 50 && b->bgp.v4.max_out == 50);
	CU_ASSERT_TRUE(a->bgp.levers[CFG_INBOUND_HIGH].has_med);
	CU_ASSERT_EQUAL(a->bgp.levers[CFG_INBOUND_HIGH].med, 7);
	CU_ASSERT_STRING_EQUAL(a->bgp.levers[CFG_INBOUND_HIGH].communities.items[0], "7224:7300");
	/* inbound by the tier */
	CU_ASSERT_EQUAL(a->bgp.inbound, CFG_INBOUND_HIGH);
	CU_ASSERT_EQUAL(b->bgp.inbound, CFG_INBOUND_MEDIUM);
	CU_ASSERT_EQUAL(l->bgp.inbound, CFG_INBOUND_LOW);
	CU_ASSERT_EQUAL(d->bgp.inbound, CFG_INBOUND_DRAIN);
	/* reach opens each cloud once, own lists stay */
	CU_ASSERT(a->bgp.announce.n == 1 && a->bgp.announce.items[0].le == 32);
	CU_ASSERT(b->bgp.announce.n == 1 && b->bgp.announce.items[0].le == 0);
	CU_ASSERT_EQUAL(d->bgp.announce.n, 2);
	/* probes: the path's, with the defaults of what is left out */
	CU_ASSERT(a->probe[0].bytes[3] == 9 && l->probe[0].bytes[3] == 8);
	CU_ASSERT(a->probing.rate == 10 && a->probing.type == CFG_PROBE_ICMP);
	CU_ASSERT(l->probing.port == 443 && l->probing.buckets == 1);
	CU_ASSERT(a->probing.source[0].bytes[0] == 10 && a->probing.source[0].bytes[3] == 9);
	CU_ASSERT(a->slo.loss_ppm == 1000 && a->slo.rise_ms == 20);
	CU_ASSERT(!d->probing.rate);
	cfg_errors_free(&errors);
	config_free(c);
	confdir_clean();
}

struct told {
	const char *key, *value, *origin;
	bool met;
};

static void tell(void *arg, const char *key, const char *value, const char *origin)
{
	for (struct told *t = arg; t->key; t++)
		if (!strcmp(t->key, key) && !strcmp(t->value, value) && strstr(origin, t->origin))
			t->met = true;
}

static void test_origins(void)
{
	struct told b[] = { { "state", "\"shut\"", "profile aws-dx-transit 2026.11", false },
		{ "vlan", "2", "p.conf:16", false },
		{ "mtu", "1500", "profiles/2026.11/aws.conf:", false },
		{ "bgp.v4.hold", "\"12s\"", "p.conf:17", false },
		{ "bgp.v4.keepalive", "\"4s\"", "the other timer", false },
		{ "bgp.v4.bfd.interval", "\"500ms\"", "p.conf:17", false },
		{ "bgp.v4.bfd.multiplier", "3", "profile aws-dx-transit 2026.11 (profiles/",
			false },
		{ "bgp.v4.max_out", "50", "p.conf:10)", false },
		{ "bgp.announce", "[ \"10.60.1.0/24\" ]", "p.conf:18", false },
		{ "bgp.accept", "[ \"10.40.0.0/16 le 32\", \"2001:db8::/48 le 128\" ]", "cloud aws",
			false },
		{ "bgp.inbound", "\"medium\"", "path aws, tier 2", false },
		{ "probe", "[ \"10.40.0.9\" ]", "path aws", false },
		{ "reflector", "false", "default", false },
		{ "circuit.port", "\"p\"", "circuit c", false },
		{ "centre", "\"x\"", "cloud aws", false },
		{ "profile.out_beyond", "\"down\"", "profiles/2026.11/aws.conf", false },
		{ "profile.levers.high.communities", "[ \"7224:7300\" ]", "aws.conf", false },
		{ "profile.max_out_v4", "50", "p.conf:10)", false },
		{ "bgp.v4.graceful_restart", "\"off\"", "BFD is on", false },
		{ NULL, NULL, NULL, false } };
	struct cfg_errors errors;
	struct config *c;

	confdir_make();
	confdir_key("dx1");
	c = load(three, &errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(config_effective(c, config_link(c, "b"), tell, b), 0);
	for (struct told *t = b; t->key; t++) {
		CU_ASSERT(t->met);
		if (!t->met)
			printf("not told: %s = %s from %s\n", t->key, t->value, t->origin);
	}
	cfg_errors_free(&errors);
	config_free(c);
	confdir_clean();
}

/* ---- one mistake, one complaint ---- */

/* What follows from a typo is not said as well; and each is said where it was written. */
static void test_follow_on(void)
{
	static const struct {
		const char *vlan, *peer, *reach, *expected;
	} rows[] = {
		{ "5000", "aws", "", "links.l.vlan: 5000 is out of range" },
		{ "40", "awss", "", "reach.z.between: no cloud 'awss'" },
		{ "40", "aws", "local_as = \"65515\"; ", "links.l.bgp.v4.local_as: PROV-38" },
	};
	char text[1200], *all;
	struct cfg_errors errors;
	struct config *config;
	size_t len;

	confdir_make();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
			"profiles = \"2026.11\"; schema = 1;\n"
			"gateway = { name = \"g\"; workers = \"1\"; asn = \"65010\"; router_id = "
			"\"10.0.0.1\"; };\n"
			"ports = { p = { device = \"net_tap0\"; }; }; vrfs = { v = { }; };\n"
			"circuits = { c = { port = \"p\"; }; };\n"
			"clouds = { aws = { prefixes = [ \"10.40.0.0/16\" ]; };\n"
			" azure = { prefixes = [ \"10.70.0.0/16\" ]; centre = \"x\"; }; };\n"
			"reach = { z = { between = [ \"%s\", \"azure\" ]; }; };\n"
			"links = { l = { circuit = \"c\"; vlan = %s; vrf = \"v\"; cloud = "
			"\"azure\"; "
			"profile = \"azure-er-private\";\n"
			" address = [ \"10.250.0.1/30\" ]; bgp = { v4 = { peer = \"10.250.0.2\"; "
			"asn = \"12076\"; %s}; }; }; };\n",
			rows[i].peer, rows[i].vlan, rows[i].reach);
		confdir_write("p.conf", text, strlen(text));
		config = config_load(confdir_path("p.conf"), &errors);
		CU_ASSERT_PTR_NULL(config);
		CU_ASSERT_EQUAL(errors.n_fatal, 1);
		CU_ASSERT_EQUAL(errors.n, 2); /* and PROV-41: one link only */
		all = NULL;
		FILE *out = open_memstream(&all, &len);
		cfg_errors_print(&errors, out);
		fclose(out);
		CU_ASSERT_PTR_NOT_NULL(strstr(all, rows[i].expected));
		CU_ASSERT_PTR_NOT_NULL(strstr(all, "error: "));
		if (errors.n != 2 || !strstr(all, rows[i].expected))
			printf("expected %s, got %s\n", rows[i].expected, all);
		free(all);
		cfg_errors_free(&errors);
		config_free(config);
	}
	confdir_clean();
}

/* ---- what is wrong with profiles themselves ---- */

static void test_custom(void)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "profiles = \"2026.10\";", "no profiles \"2026.10\": it has \"2026.11\"" },
		{ "custom = { a = { base = \"b\"; }; b = { base = \"a\"; }; };",
			"is based on this one" },
		{ "custom = { a = { base = \"aws-dx-transt\"; }; };",
			"did you mean 'aws-dx-transit'" },
		{ "custom = { a = { mtu_mx = 9000; }; };", "did you mean 'mtu_max'" },
		{ "custom = { a = { mtu = 9000; mtu_max = 1500; }; };", "more than mtu_max" },
		{ "custom = { a = { encapsulation = [ \"vlna\" ]; }; };", "is no encapsulation" },
		{ "custom = { a = { levers = { low = { communities = [ \"7224\" ]; }; }; }; };",
			"is no community" },
		{ "custom = { a = { asn = { theirs = [ \"9-7\" ]; }; }; };", "is no range" },
		{ "custom = { a = { keepalive = \"20s\"; }; };", "longer than keepalive" },
		{ "custom = { a = { bfd = { on = true; }; }; };", "interval or multiplier" },
		{ "custom = { A = { }; };", "must be a group whose name" },
		{ "custom = { a = 1; };", "must be a group whose name" },
		{ "custom = 1;", "custom: must be a group" },
	};
	struct cfg_errors errors;
	char *text;
	size_t len;
	FILE *out;

	confdir_make();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config = load(rows[i].text, &errors);

		CU_ASSERT_PTR_NULL(config);
		text = NULL;
		out = open_memstream(&text, &len);
		cfg_errors_print(&errors, out);
		fclose(out);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].expected));
		if (!strstr(text, rows[i].expected))
			printf("%s: expected %s, got %s\n", rows[i].text, rows[i].expected, text);
		free(text);
		cfg_errors_free(&errors);
	}
	confdir_clean();
}

/* A profile that changed changes its links, and nothing else does. */
static void test_diff(void)
{
	struct cfg_errors errors;
	struct config *before, *after;
	struct cfg_diff diff;
	char *edited = strdup(three), *med = strstr(edited, "med = 7");

	confdir_make();
	confdir_key("dx1");
	before = load(three, &errors);
	cfg_errors_free(&errors);
	med[6] = '8';
	after = load(edited, &errors);
	cfg_errors_free(&errors);
	CU_ASSERT_FATAL(before && after);
	CU_ASSERT_EQUAL(config_diff(before, after, &diff), 0);
	CU_ASSERT_EQUAL(diff.n, 1);
	CU_ASSERT(diff.n == 1 && !strcmp(diff.ops[0].name, "a") &&
		  strstr(diff.ops[0].what, "profile my-dx changed"));
	cfg_diff_free(&diff);
	config_free(before);
	config_free(after);
	free(edited);
	confdir_clean();
}

/* ---- the keys of providers, probes and liveness, printed and compared ---- */

static const char whole[] =
	"profiles = \"2026.11\";\n"
	"custom = { own = { base = \"gcp-dedicated\"; mtu_list = [ 1440, 9000 ]; mtu_max = 9000;\n"
	"  asn = { theirs = [ \"16550\", \"64512-65534\" ]; }; bfd = false; lacp = \"none\"; };\n"
	"  bare = { max_out_v4 = 9; conduct = [ \"quote \\\" it\" ]; }; };\n"
	"paths = { gcp = { tiers = ( [ \"g\" ] ); probe = \"10.60.0.1\"; probing = { type = "
	"\"stamp\"; rate = 100; buckets = 4; key = \"dx1\"; };\n"
	"  slo = { loss = \"0.1%\"; p99 = \"20ms\"; jitter = \"5ms\"; rise = \"10ms\"; }; }; };\n"
	"links = {\n"
	" g = { circuit = \"c\"; vlan = 9; vrf = \"v\"; cloud = \"gcp\"; profile = \"own\"; "
	"address = "
	"\"169.254.1.2/29\"; reflector = true; centre = \"CC\";\n"
	"  bgp = { v4 = { peer = \"169.254.1.1\"; asn = \"16550\"; raw = [ \"weight 10\", "
	"\"send-community large\" ]; allowas_in = 2; }; inbound = \"low\"; }; };\n"
	" h = { circuit = \"c\"; vlan = 8; vrf = \"v\"; cloud = \"gcp\"; profile = \"bare\"; state "
	"= "
	"\"up\"; address = \"169.254.2.2/29\"; bgp = { v4 = { peer = \"169.254.2.1\"; asn = "
	"\"16550\"; gtsm = 1; passive = true; }; }; };\n"
	"};\n";

/* From `whole` to itself with one text replaced: what the difference says of link g, or "". */
static void changes(const char *old, const char *new, const char *expected)
{
	struct cfg_errors errors;
	struct config *before = load(whole, &errors), *after;
	char *text = strdup(whole), *at = strstr(text, old), *edited;
	struct cfg_diff diff;

	cfg_errors_free(&errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	*at = '\0';
	CU_ASSERT(asprintf(&edited, "%s%s%s", text, new, at + strlen(old)) > 0);
	after = load(edited, &errors);
	CU_ASSERT_FATAL(before && after);
	CU_ASSERT_EQUAL(config_diff(before, after, &diff), 0);
	CU_ASSERT(diff.n > 0 && strstr(diff.ops[0].what, expected));
	if (!diff.n || !strstr(diff.ops[0].what, expected))
		printf("%s -> %s: %s\n", old, new, diff.n ? diff.ops[0].what : "no difference");
	cfg_diff_free(&diff);
	cfg_errors_free(&errors);
	config_free(before);
	config_free(after);
	free(text);
	free(edited);
}

static void test_whole(void)
{
	struct cfg_errors errors;
	struct config *config, *again;
	struct cfg_diff diff;
	char *first, *second;

	confdir_make();
	confdir_key("dx1");
	config = load(whole, &errors);
	cfg_errors_print(&errors, errors.n_fatal ? stdout : stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	cfg_errors_free(&errors);
	first = printed(config);
	confdir_write("again.conf", first, strlen(first));
	again = config_load(confdir_path("again.conf"), &errors);
	cfg_errors_print(&errors, errors.n_fatal ? stdout : stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	second = printed(again);
	CU_ASSERT_STRING_EQUAL(first, second);
	CU_ASSERT_EQUAL(config_diff(config, again, &diff), 0);
	CU_ASSERT_EQUAL(diff.n, 0);
	if (diff.n)
		printf("%s: %s\n", diff.ops[0].name, diff.ops[0].what);
	cfg_diff_free(&diff);
	free(first);
	free(second);
	cfg_errors_free(&errors);
	config_free(config);
	config_free(again);
	changes("0.1%", "0.2%", "slo.loss 0.1%->0.2%");
	changes("rate = 100", "rate = 50", "probing.rate 100->50");
	changes("\"low\"", "\"drain\"", "bgp.inbound low->drain");
	changes("weight 10", "weight 20", "bgp.v4.raw");
	changes("mtu_max = 9000", "mtu_max = 9100", "profile own changed");
	changes("state = \"up\"; ", "", "state up->shut");
	changes("reflector = true; ", "", "reflector true->false");
	confdir_clean();
}

/* ---- size ---- */

static void test_thousand(void)
{
	struct cfg_errors errors;
	struct config *config;
	char *text = NULL;
	double start;
	size_t len;
	FILE *out;

	confdir_make();
	confdir_key("dx1");
	out = open_memstream(&text, &len);
	fprintf(out, "profiles = \"2026.11\";\nlinks = {\n");
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out,
			"l%u = { circuit = \"c\"; vlan = %u; vrf = \"v\"; cloud = \"aws\"; profile "
			"= "
			"\"aws-dx-transit\"; state = \"up\";\n address = \"10.%u.%u.1/30\"; bgp = "
			"{ v4 "
			"= { peer = \"10.%u.%u.2\"; asn = \"64512\"; key = \"dx1\"; }; }; };\n",
			i, i + 1, 100 + i / 250, i % 250, 100 + i / 250, i % 250);
	fprintf(out, "};\n");
	fclose(out);
	start = seconds();
	config = load(text, &errors);
	CU_ASSERT(seconds() - start < 1.0 * SLOWER);
	CU_ASSERT_PTR_NOT_NULL(config);
	CU_ASSERT_EQUAL(errors.n, 0);
	if (errors.n)
		cfg_errors_print(&errors, stdout);
	free(text);
	cfg_errors_free(&errors);
	config_free(config);
	confdir_clean();
}

void unit_providers(void)
{
	static const struct unit_test tests[] = {
		{ "rules", test_rules },
		{ "golden", test_golden },
		{ "readme", test_readme },
		{ "effective", test_effective },
		{ "follow_on", test_follow_on },
		{ "origins", test_origins },
		{ "custom", test_custom },
		{ "diff", test_diff },
		{ "whole", test_whole },
		{ "thousand", test_thousand },
	};

	UNIT_SUITE("providers", tests);
}
