/* The configuration language: every fixture in config/bad yields exactly the errors it announces,
 * the good one means what it says and survives printing, and no sequence of bytes does harm.
 *
 * A bad fixture announces its errors in comments: "# ! KEY: PART OF THE TEXT", several after one
 * another, for the line they stand on; "# !@N ..." for line N. A file that is included announces
 * its own. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "config/value.h"
#include "confdir.h"
#include "unit.h"

#ifdef __SANITIZE_ADDRESS__
#define SLOWER 8 /* how much a sanitizer may cost */
#else
#define SLOWER 1
#endif

/* libconfig 1.5 loses the strings of a text that has a syntax error: 64 bytes a time, and no way to
 * free them. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\n";
}

/* Of CPU time: what else runs on the machine shall not matter. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* ---- bad fixtures ---- */

struct expected {
	char file[400];
	unsigned line;
	char key[100], text[200];
	bool met;
};

/* One announcement: "KEY: TEXT", as it stands between two marks. */
static void announce(struct expected *e, const char *path, unsigned line, char *mark)
{
	char *colon;

	if (*mark == '@')
		line = strtoul(mark + 1, &mark, 10);
	mark += strspn(mark, " ");
	colon = strstr(mark, ": ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(colon);
	*e = (struct expected){ .line = line };
	snprintf(e->file, sizeof(e->file), "%s", path);
	snprintf(e->key, sizeof(e->key), "%.*s", (int)(colon - mark), mark);
	while (e->key[0] && e->key[strlen(e->key) - 1] == ' ')
		e->key[strlen(e->key) - 1] = '\0';
	snprintf(e->text, sizeof(e->text), "%s", colon + 2);
}

static unsigned announced(const char *path, struct expected *expected, unsigned n, unsigned max)
{
	FILE *in = fopen(path, "r");
	char line[2000], *mark, *next;
	unsigned number = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	while (fgets(line, sizeof(line), in)) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		mark = strstr(line, "# !");
		for (mark = mark ? mark + 3 : NULL; mark && n < max; mark = next) {
			next = strstr(mark, " ! ");
			if (next) {
				*next = '\0';
				next += 3;
			}
			announce(&expected[n++], path, number, mark);
		}
	}
	fclose(in);
	return n;
}

static void check_bad(const char *name)
{
	static struct expected expected[100];
	char path[400], key[200];
	struct cfg_errors errors;
	struct config *config;
	unsigned n, fatal = 0, j;

	snprintf(path, sizeof(path), "%s", confdir_path(name));
	n = announced(path, expected, 0, 100);
	if (strstr(name, "include-loop"))
		n = announced(confdir_path("bad/sub/loop.conf"), expected, n, 100);
	if (strstr(name, "include-error"))
		n = announced(confdir_path("bad/sub/ports.conf"), expected, n, 100);
	config = config_load(path, &errors);
	CU_ASSERT_PTR_NULL(config);
	for (unsigned i = 0; i < errors.n; i++) {
		const struct cfg_error *e = &errors.items[i];

		if (e->warning)
			continue;
		fatal++;
		snprintf(key, sizeof(key), "%s", e->key ? e->key : "");
		for (j = 0; j < n; j++)
			if (!expected[j].met && expected[j].line == e->line &&
				!strcmp(expected[j].file, e->file) &&
				!strcmp(expected[j].key, key) && strstr(e->text, expected[j].text))
				break;
		CU_ASSERT(j < n);
		if (j < n)
			expected[j].met = true;
		else
			printf("not announced: %s:%u: %s: %s\n", e->file, e->line, key, e->text);
	}
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT(expected[i].met);
		if (!expected[i].met)
			printf("did not come: %s:%u: %s: %s\n", expected[i].file, expected[i].line,
				expected[i].key, expected[i].text);
	}
	CU_ASSERT_EQUAL(fatal, n);
	CU_ASSERT_EQUAL(errors.n_fatal, fatal);
	CU_ASSERT(n > 0);
	cfg_errors_free(&errors);
}

static void test_bad(void)
{
	struct dirent **entries;
	char name[300];
	int n;

	confdir_make();
	n = scandir(confdir_path("bad"), &entries, NULL, alphasort);
	CU_ASSERT(n > 40);
	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(entries[i]->d_name, '.');

		snprintf(name, sizeof(name), "bad/%s", entries[i]->d_name);
		if (dot && (!strcmp(dot, ".conf") || !strcmp(dot, ".json")))
			check_bad(name);
		free(entries[i]);
	}
	free(entries);
	confdir_clean();
}

/* ---- errors of the file itself, and their number ---- */

/* Loads and expects one error, whose text contains part. */
static void refused(const char *name, const char *part)
{
	struct cfg_errors errors;
	struct config *config = config_load(confdir_path(name), &errors);

	CU_ASSERT_PTR_NULL(config);
	CU_ASSERT_EQUAL(errors.n, 1);
	CU_ASSERT(errors.n == 1 && strstr(errors.items[0].text, part));
	if (errors.n != 1 || !strstr(errors.items[0].text, part))
		cfg_errors_print(&errors, stdout);
	cfg_errors_free(&errors);
	config_free(config);
}

static void test_files(void)
{
	static const char nul[] = "schema = 1;\nx = 2;\0 y = 3;\n";
	char *big, name[20], text[60];
	size_t len = CFG_FILE_BYTES_MAX / 2 + 10;

	confdir_make();
	refused("nothing.conf", "No such file");
	refused("nowhere/nothing.conf", "No such file");
	refused("bad", "not a regular file");
	CU_ASSERT_EQUAL(mkfifo(confdir_path("fifo.conf"), 0600), 0);
	refused("fifo.conf", "not a regular file"); /* and does not wait for a writer */
	confdir_write("nul.conf", nul, sizeof(nul) - 1);
	refused("nul.conf", "NUL");
	big = malloc(2 * len);
	memset(big, '\n', 2 * len);
	confdir_write("big.conf", big, 2 * len);
	refused("big.conf", "larger than");
	confdir_write("half.conf", big, len);
	memcpy(big, "@include \"half.conf\"", 20);
	confdir_write("halves.conf", big, len);
	refused("halves.conf", "larger than");
	free(big);
	for (unsigned i = 0; i < 12; i++) { /* one within another, deeper than allowed */
		snprintf(name, sizeof(name), "deep%u.conf", i);
		snprintf(text, sizeof(text), "@include \"deep%u.conf\"\n", i + 1);
		confdir_write(name, text, strlen(text));
	}
	confdir_write("deep12.conf", "", 0);
	refused("deep0.conf", "files deep");
	CU_ASSERT_EQUAL(symlink("/etc/hostname", confdir_path("link")), 0);
	confdir_write("symlink.conf", "@include \"link\"\n", 16);
	refused("symlink.conf", "outside");
	confdir_clean();
}

static void test_many_errors(void)
{
	struct cfg_errors errors;
	FILE *out;

	confdir_make();
	out = fopen(confdir_path("many.conf"), "w");
	fprintf(out, "schema = 1; gateway = { name = \"g\"; workers = \"1\"; };\nvrfs = {\n");
	for (unsigned i = 0; i < 300 && i < CFG_VRFS_MAX; i++)
		fprintf(out, "v%u = { wrong = %u; };\n", i, i);
	fprintf(out, "};\n");
	fclose(out);
	CU_ASSERT_PTR_NULL(config_load(confdir_path("many.conf"), &errors));
	CU_ASSERT_EQUAL(errors.n, CFG_ERRORS_MAX + 1);
	CU_ASSERT_EQUAL(errors.n_fatal, CFG_VRFS_MAX);
	CU_ASSERT_PTR_NOT_NULL(strstr(errors.items[CFG_ERRORS_MAX].text, "156 more"));
	CU_ASSERT_EQUAL(errors.items[0].line, 3);
	CU_ASSERT_EQUAL(errors.items[99].line, 102);
	cfg_errors_free(&errors);

	out = fopen(confdir_path("names.conf"),
		"w"); /* too many for libconfig's own comparison of names */
	for (unsigned i = 0; i < 5000; i++)
		fprintf(out, "n%u = %u;\n", i, i);
	fclose(out);
	refused("names.conf", "more than 4096 names");
	confdir_clean();
}

/* ---- the good one ---- */

static const char *address_text(const struct ip_addr *addr)
{
	static char text[IP_STRLEN];

	return ip_addr_format(addr, text);
}

static void test_good(void)
{
	const struct cfg_link *dx, *vpc, *vp6, *er, *inet, *bca;
	const struct cfg_path *path;
	struct config *c;
	unsigned tier;

	confdir_make();
	c = confdir_load("good/lintas.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->gateway.name, "jkt1");
	CU_ASSERT_EQUAL(c->gateway.asn, 4200000001u);
	CU_ASSERT_EQUAL(c->gateway.n_workers, 3);
	CU_ASSERT_EQUAL(c->gateway.workers[2], 3);
	CU_ASSERT_EQUAL(c->gateway.poll, CFG_POLL_ADAPTIVE);
	CU_ASSERT_FALSE(c->gateway.hugepages);
	CU_ASSERT_EQUAL(c->gateway.packet_buffers, 65536);
	CU_ASSERT_STRING_EQUAL(c->defaults.keys, confdir_path("good/keys"));
	CU_ASSERT_STRING_EQUAL(c->defaults.frr_sockets, "/run/frr");
	CU_ASSERT_EQUAL(c->n_ports, 4);
	CU_ASSERT_STRING_EQUAL(c->ports[3].device, "net_af_xdp0,iface=eth1");
	CU_ASSERT_EQUAL(c->n_zones, 5);
	CU_ASSERT_STRING_EQUAL(c->zones[2].name, "bca"); /* sorted, clouds and partners together */
	CU_ASSERT_TRUE(c->zones[2].partner);

	dx = config_link(c, "aws-dx1");
	er = config_link(c, "az-er-p");
	vpc = config_link(c, "gcp-vpc");
	vp6 = config_link(c, "gcp-vp6");
	inet = config_link(c, "inet");
	bca = config_link(c, "bca-ll");
	CU_ASSERT_FATAL(dx && er && vpc && vp6 && inet && bca);
	CU_ASSERT_PTR_NULL(config_link(c, "aws-dx2"));
	CU_ASSERT_PTR_EQUAL(dx->vrf, config_vrf(c, "prod"));
	CU_ASSERT_EQUAL(dx->vlan, 101);
	CU_ASSERT_EQUAL(dx->mtu, 8500);
	CU_ASSERT_EQUAL(dx->circuit->rate_bps, 10000000000ull);
	CU_ASSERT_TRUE(dx->bgp.v4.bfd.enabled && dx->bgp.v6.bfd.enabled);
	CU_ASSERT_EQUAL(dx->bgp.v4.bfd.interval_ms, 300);
	CU_ASSERT_EQUAL(dx->bgp.v6.bfd.interval_ms, 100);
	CU_ASSERT_EQUAL(dx->bgp.v6.bfd.multiplier, 5);
	CU_ASSERT_EQUAL(dx->bgp.v6.keepalive_s, 3);
	CU_ASSERT_EQUAL(dx->bgp.v4.src.line, 29);
	CU_ASSERT_EQUAL(dx->bgp.accept.n, 3);
	CU_ASSERT_EQUAL(dx->bgp.accept.items[0].ge, 16);
	CU_ASSERT_EQUAL(dx->bgp.accept.items[0].le, 24);
	CU_ASSERT_EQUAL(dx->bgp.accept.items[1].le, 0);
	CU_ASSERT_EQUAL(config_link(c, "gcp-ic1")->bgp.v4.keepalive_s, 3); /* a third of hold */
	CU_ASSERT_FALSE(config_link(c, "gcp-ic1")->bgp.v4.bfd.enabled);
	CU_ASSERT_EQUAL(er->circuit->stag, 300);
	CU_ASSERT_EQUAL(er->circuit->stag_tpid, 0x88a8);
	CU_ASSERT_EQUAL(er->mtu, 9100);	      /* the port's */
	CU_ASSERT_EQUAL(er->bgp.accept.n, 1); /* the zone's */
	CU_ASSERT_EQUAL(er->bgp.accept.items[0].le, 32);
	CU_ASSERT_EQUAL(vpc->mtu, 1450); /* the underlay's less the overhead */
	CU_ASSERT_EQUAL(vp6->mtu, 1430);
	CU_ASSERT_STRING_EQUAL(address_text(&vpc->local), "198.51.100.10");
	CU_ASSERT_STRING_EQUAL(address_text(&vp6->local), "2001:db8:ffff::2");
	CU_ASSERT_EQUAL(vpc->udp_port, 4789);
	CU_ASSERT_EQUAL(vp6->udp_port, 8472);
	CU_ASSERT_STRING_EQUAL(address_text(&inet->gateway[1]), "fe80::1");
	CU_ASSERT_PTR_NULL(inet->zone);
	CU_ASSERT_EQUAL(bca->statics.n, 1);
	CU_ASSERT_STRING_EQUAL(address_text(&bca->static_via[0]), "192.0.2.70");
	CU_ASSERT_TRUE(config_link(c, "mdr-ll")->shut);

	path = config_path_of(c, vp6, &tier);
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT_STRING_EQUAL(path->name, "gcp");
	CU_ASSERT_EQUAL(tier, 2);
	CU_ASSERT_PTR_NULL(config_path_of(c, inet, &tier));
	config_free(c);
	confdir_clean();
}

static char *printed(const struct config *config, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	config_print(config, out);
	fclose(out);
	return text;
}

/* What is printed reads back as the same; JSON of the same content is the same; no secret is shown.
 */
static void test_round_trip(void)
{
	char *first, *second, *json, *rest;
	struct config *c, *again, *from_json;
	size_t n, m, k;

	confdir_make();
	c = confdir_load("good/lintas.conf");
	first = printed(c, &n);
	confdir_write("good/printed.conf", first, n);
	again = confdir_load("good/printed.conf");
	second = printed(again, &m);
	from_json = confdir_load("good/lintas.json");
	json = printed(from_json, &k);
	CU_ASSERT_STRING_EQUAL(first, second);
	CU_ASSERT_STRING_EQUAL(first, json);
	CU_ASSERT_PTR_NULL(strstr(first, "S3cret"));
	rest = strstr(first, "key = \"dx1\"");
	CU_ASSERT_PTR_NOT_NULL(rest);
	free(first);
	free(second);
	free(json);
	config_free(c);
	config_free(again);
	config_free(from_json);
	confdir_clean();
}

/* JSON has no lines for values: the key says where. Its own syntax errors have one. */
static void test_json(void)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "{ \"schema\": 1,\n \"gateway\": { \"name\": }",
			"j.json:2: error: unexpected token" },
		{ "[ 1 ]", "j.json: error: must be one object" },
		{ "{ \"a\": 1, \"a\": 2 }", "duplicate object key" },
		{ "{ \"a b\": 1 }", "j.json: error: a b: is not a name" },
		{ "{ \"schema\": 1, \"gateway\": { \"name\": \"g\", \"workers\": \"1\", \"poll\": "
		  "null } }",
			"j.json: error: poll: null is no value" },
		{ "{ \"schema\": 1, \"gateway\": { \"name\": \"g\", \"workers\": \"1\", \"asn\": "
		  "65010 } }",
			"j.json: error: gateway.asn: must be an AS number" },
		{ "{ \"schema\": 1, \"gateway\": { \"name\": \"g\", \"workers\": \"1\" },"
		  " \"ports\": { \"p\": { \"device\": \"net_tap0\", \"mtu\": 99999999999 } } }",
			"j.json: error: ports.p.mtu: 99999999999 is out of range" },
		{ "{ \"schema\": 1, \"gateway\": { \"name\": \"g\", \"workers\": \"1\" }, "
		  "\"vrfs\": { \"v\": { \"lopback\": 1 } } }",
			"j.json: error: vrfs.v.lopback: unknown key: did you mean 'loopback'?" },
	};
	struct cfg_errors errors;
	char *text;
	size_t len;
	FILE *out;

	confdir_make();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		confdir_write("j.json", rows[i].text, strlen(rows[i].text));
		CU_ASSERT_PTR_NULL(config_load(confdir_path("j.json"), &errors));
		CU_ASSERT_EQUAL(errors.n, 1);
		text = NULL;
		out = open_memstream(&text, &len);
		cfg_errors_print(&errors, out);
		fclose(out);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].expected));
		if (!strstr(text, rows[i].expected))
			printf("expected %s, got %s", rows[i].expected, text);
		free(text);
		cfg_errors_free(&errors);
	}
	confdir_clean();
}

static void test_digest(void)
{
	struct config *a, *b, *c;
	char *text;
	size_t len;

	confdir_make();
	a = confdir_load("good/lintas.conf");
	b = confdir_load("good/lintas.conf");
	CU_ASSERT_EQUAL(memcmp(a->digest, b->digest, 32), 0);
	text = confdir_read(confdir_path("good/gateways/jkt1.conf"), &len);
	text[0] = '/'; /* the comment's first letter: in an included file, without a meaning */
	text[1] = '/';
	confdir_write("good/gateways/jkt1.conf", text, len);
	c = confdir_load("good/lintas.conf");
	CU_ASSERT_NOT_EQUAL(memcmp(a->digest, c->digest, 32), 0);
	free(text);
	config_free(a);
	config_free(b);
	config_free(c);
	confdir_clean();
}

static void test_warnings(void)
{
	struct cfg_errors errors;
	struct config *c;
	static const char text[] =
		"schema = 1; routing = \"external\";\n"
		"gateway = { name = \"g\"; workers = \"1\"; };\n"
		"ports = { p = { device = \"net_tap0\"; }; }; vrfs = { v = { }; }; circuits = { c "
		"= { port = \"p\"; }; };\n"
		"links = { a = { circuit = \"c\"; vrf = \"v\"; address = \"10.0.0.1/30\";\n"
		" bgp = { v4 = { peer = \"10.0.0.2\"; asn = \"64512\"; }; announce = [ "
		"\"2001:db8::/32\" ]; }; }; };\n";

	confdir_make();
	confdir_write("w.conf", text, sizeof(text) - 1);
	c = config_load(confdir_path("w.conf"), &errors);
	CU_ASSERT_PTR_NOT_NULL(c);
	CU_ASSERT_EQUAL(errors.n_fatal, 0);
	CU_ASSERT_EQUAL(errors.n, 3);
	for (unsigned i = 0; i < errors.n; i++) {
		CU_ASSERT_TRUE(errors.items[i].warning);
		CU_ASSERT_EQUAL(errors.items[i].line, 5);
	}
	cfg_errors_free(&errors);
	config_free(c);
	confdir_clean();
}

/* ---- values ---- */

static void test_values(void)
{
	char why[VALUE_WHY_LEN];
	uint8_t cpus[CFG_CPUS_MAX];
	struct cfg_filter filter;
	uint64_t number = 7;
	uint32_t asn;
	unsigned n;

	CU_ASSERT(!value_rate("10G", &number, why) && number == 10000000000ull);
	CU_ASSERT(!value_rate("1T", &number, why) && number == 1000000000000ull);
	CU_ASSERT(value_rate("10g", &number, why) < 0 && value_rate("-1G", &number, why) < 0);
	CU_ASSERT(
		value_rate("9999999999999G", &number, why) < 0 && value_rate("", &number, why) < 0);
	CU_ASSERT_EQUAL(number, 1000000000000ull); /* untouched by failures */
	CU_ASSERT(!value_time_ms("2m", &number, why) && number == 120000);
	CU_ASSERT(value_time_ms("2", &number, why) < 0 && value_time_ms("2 s", &number, why) < 0);
	CU_ASSERT(!value_asn("4294967294", &asn, why) && asn == 4294967294u);
	CU_ASSERT(value_asn("4294967295", &asn, why) < 0 && value_asn("0", &asn, why) < 0);
	CU_ASSERT(value_asn("+1", &asn, why) < 0 && value_asn("65535", &asn, why) < 0);
	CU_ASSERT(!value_cpus("0,4-6,2", cpus, &n, why) && n == 5 && cpus[3] == 6 && cpus[4] == 2);
	CU_ASSERT(value_cpus("3-1", cpus, &n, why) < 0 && value_cpus("1,", cpus, &n, why) < 0);
	CU_ASSERT(value_cpus("", cpus, &n, why) < 0 && value_cpus("256", cpus, &n, why) < 0);
	CU_ASSERT(value_cpus("1-2-3", cpus, &n, why) < 0 && value_cpus("0-16", cpus, &n, why) < 0);
	CU_ASSERT(!value_filter("::/0 ge 48 le 64", &filter, why) && filter.ge == 48 &&
		  filter.le == 64);
	CU_ASSERT(value_filter("10.0.0.0/8  le 24", &filter, why) < 0);
	CU_ASSERT(value_filter("10.0.0.0/8 le 24 ", &filter, why) < 0);
	CU_ASSERT(value_filter("10.0.0.0/8 le", &filter, why) < 0);
	CU_ASSERT(value_filter("10.0.0.0/8 le 256", &filter, why) < 0);
	CU_ASSERT(value_name("a-1", why) == 0 && value_name("-a", why) < 0 &&
		  value_name("", why) < 0);
	CU_ASSERT(
		value_name("abcdefghijklmno", why) == 0 && value_name("abcdefghijklmnop", why) < 0);
	CU_ASSERT(value_device("0000:3b:00.0", why) == 0 && value_device("3b:00.7", why) == 0);
	CU_ASSERT(value_device("3b:00.8", why) < 0 && value_device("3b:00", why) < 0);
	CU_ASSERT(value_device("net_", why) < 0 && value_device("3b:00.0x", why) < 0);
}

static void test_nearest(void)
{
	static const char *const names[] = { "vlan", "vrf", "address", "gateway", "mtu", NULL };

	CU_ASSERT_STRING_EQUAL(value_nearest("vlna", names), "vlan");
	CU_ASSERT_STRING_EQUAL(value_nearest("adress", names), "address");
	CU_ASSERT_STRING_EQUAL(value_nearest("addresses", names), "address");
	CU_ASSERT_STRING_EQUAL(value_nearest("gatewey", names), "gateway");
	CU_ASSERT_STRING_EQUAL(value_nearest("mut", names), "mtu");
	CU_ASSERT_PTR_NULL(value_nearest("frobnicate", names));
	CU_ASSERT_PTR_NULL(value_nearest("x", names));
	CU_ASSERT_PTR_NULL(value_nearest("a-word-of-more-than-thirty-one-characters", names));
}

/* ---- any bytes ---- */

static void survives(const char *name, const char *text, size_t len)
{
	struct cfg_errors errors;
	struct config *config;

	confdir_write(name, text, len);
	config = config_load(confdir_path(name), &errors);
	CU_ASSERT_EQUAL(config == NULL, errors.n_fatal > 0);
	cfg_errors_free(&errors);
	config_free(config);
}

static void mutate(const char *from, const char *name)
{
	static const char special[] = "{}[]()\"=;,:#/*\\@\n -+9L.x\0\x80";
	uint32_t random = 12345;
	char *text, kept;
	size_t len;

	text = confdir_read(confdir_path(from), &len);
	for (size_t i = 0; i < len; i++)
		survives(name, text, i);
	for (size_t i = 0; i<len; i += SLOWER> 1 ? 3 : 1) {
		kept = text[i];
		random = random * 1664525 + 1013904223;
		text[i] = special[(random >> 16) % (sizeof(special) - 1)];
		survives(name, text, len);
		text[i] = kept ^ (char)(1 << (random >> 28) % 8);
		survives(name, text, len);
		text[i] = kept;
	}
	free(text);
}

static void test_mutations(void)
{
	confdir_make();
	mutate("good/lintas.conf", "good/m.conf");
	mutate("good/lintas.json", "good/m.json");
	confdir_clean();
}

/* ---- size ---- */

static void test_scale(void)
{
	struct config *c;
	double start, took;
	FILE *out;

	confdir_make();
	out = fopen(confdir_path("scale.conf"), "w");
	fprintf(out, "schema = 1;\ngateway = { name = \"g\"; workers = \"1\"; router_id = "
		     "\"10.0.0.1\"; asn = \"65010\"; };\n"
		     "ports = { p = { device = \"net_tap0\"; }; };\nvrfs = { v = { }; };\ncircuits "
		     "= {\n");
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out, "c%u = { port = \"p\"; stag = %u; };\n", i, i + 1);
	fprintf(out, "};\nclouds = { a = { prefixes = \"10.0.0.0/8\"; }; };\nlinks = {\n");
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out,
			"l%u = { circuit = \"c%u\"; vlan = 5; vrf = \"v\"; cloud = \"a\"; address "
			"= [ \"172.16.%u.%u/30\" ];\n"
			"  bgp = { v4 = { peer = \"172.16.%u.%u\"; asn = \"64512\"; }; };\n};\n",
			i, i, i / 64, i % 64 * 4 + 1, i / 64, i % 64 * 4 + 2);
	fprintf(out,
		"big = { circuit = \"c0\"; vlan = 6; vrf = \"v\"; address = \"192.0.2.1/24\";\n"
		"static = { via = \"192.0.2.2\"; prefixes = [\n");
	for (unsigned i = 0; i < 100000; i++)
		fprintf(out, "%s\"%u.%u.%u.0/24\"\n", i ? "," : "", 20 + i / 65536, i / 256 % 256,
			i % 256);
	fprintf(out, "]; }; };\n};\npaths = { a = { tiers = ( [ ");
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out, "%s\"l%u\"", i ? ", " : "", i);
	fprintf(out, " ] ); }; };\n");
	fclose(out);
	start = seconds();
	c = confdir_load("scale.conf");
	took = seconds() - start;
	CU_ASSERT(took < SLOWER);
	printf("# 1,000 links and 100,000 static prefixes: %.3f s\n", took);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->n_links, 1001);
	CU_ASSERT_EQUAL(config_link(c, "big")->statics.n, 100000);
	config_free(c);
	confdir_clean();
}

/* Every key of the language has its place in the manual, and indents are closed. */
static void test_manual(void)
{
	static const char *const keys[] = { "hugepages", "stag_type", "multiplier", "announce",
		"tiers", "loopback", "noc", "tariffs", "frr_sockets" };
	unsigned in = 0, out = 0;
	char *text = NULL, heading[40];
	size_t len;
	FILE *f = open_memstream(&text, &len);

	config_man(f);
	fclose(f);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(heading, sizeof(heading), ".TP\n.B %s\n", keys[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, heading));
	}
	for (const char *p = text; (p = strstr(p, "\n.R")); p++) {
		in += p[3] == 'S';
		out += p[3] == 'E';
	}
	CU_ASSERT(in > 3);
	CU_ASSERT_EQUAL(in, out);
	free(text);
}

void unit_config(void)
{
	static const struct unit_test tests[] = {
		{ "bad", test_bad },
		{ "files", test_files },
		{ "many_errors", test_many_errors },
		{ "good", test_good },
		{ "round_trip", test_round_trip },
		{ "json", test_json },
		{ "digest", test_digest },
		{ "warnings", test_warnings },
		{ "values", test_values },
		{ "nearest", test_nearest },
		{ "scale", test_scale },
		{ "manual", test_manual },
		{ "mutations", test_mutations },
	};

	UNIT_SUITE("config", tests);
}
