/* IPsec in the configuration: AWS's table of tunnel MTUs to the byte, tunnels of one connection
 * written out as links, what is offered to each provider, what is refused, keys of static SAs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config/ipsec.h"
#include "config/profile.h"
#include "confdir.h"
#include "unit.h"

static unsigned room(const char *proposal, bool ip6, bool nat_t)
{
	struct cfg_words words = { &proposal, 1 };

	return config_esp_room(&words, 1500, ip6, nat_t);
}

/* docs.aws.amazon.com, customer gateway best practices: MTU and MSS by algorithm. */
static void test_mtu(void)
{
	static const struct {
		const char *proposal;
		bool nat_t;
		unsigned mtu, mss;
	} rows[] = {
		{ "aes256gcm16", false, 1446, 1406 },
		{ "aes128gcm16-ecp384", true, 1438, 1398 },
		{ "aes256-sha1", false, 1438, 1398 },
		{ "aes128-sha256-modp2048", false, 1438, 1398 },
		{ "aes128-sha1", true, 1422, 1382 },
		{ "aes256-sha256", true, 1422, 1382 },
		{ "aes256-sha384", false, 1422, 1382 },
		{ "aes256-sha384", true, 1422, 1382 },
		{ "aes256-sha512", false, 1422, 1382 },
		{ "aes256-sha512", true, 1406, 1366 },
	};
	const char *several[] = { "aes256gcm16", "aes128-aes256-sha256-sha512" };
	struct cfg_words words = { several, 2 };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(room(rows[i].proposal, false, rows[i].nat_t), rows[i].mtu);
		CU_ASSERT_EQUAL(rows[i].mtu - 40, rows[i].mss);
	}
	CU_ASSERT_EQUAL(config_esp_room(&words, 1500, false, false), 1422); /* the worst */
	CU_ASSERT_EQUAL(room("aes256gcm16", true, false), 1426);
	CU_ASSERT_EQUAL(config_esp_room(&words, 53, false, false), 0);
	/* largest that fits, and not one byte more: over every MTU */
	for (unsigned mtu = 100; mtu < 9700; mtu++) {
		words = (struct cfg_words){ several + 1, 1 };
		unsigned inside = config_esp_room(&words, mtu, false, true);
		unsigned outside = 20 + 8 + 8 + 16 + (inside + 2 + 15) / 16 * 16 + 32;
		unsigned more = 20 + 8 + 8 + 16 + (inside + 1 + 2 + 15) / 16 * 16 + 32;

		CU_ASSERT(outside <= mtu && more > mtu);
		if (outside > mtu || more <= mtu)
			break;
	}
}

static const struct cfg_link *link_of(const struct config *config, const char *name)
{
	const struct cfg_link *link = config_link(config, name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(link);
	return link;
}

static void is_addr(const struct ip_addr *addr, const char *text)
{
	char buf[IP_STRLEN] = "";

	if (addr->af)
		ip_addr_format(addr, buf);
	CU_ASSERT_STRING_EQUAL(buf, text);
}

static void test_tunnels(void)
{
	struct config *config;
	const struct cfg_link *a, *b;

	confdir_make();
	config = confdir_load("providers/golden-aws-s2s-tgw.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_PTR_NULL(config_link(config, "vpn"));
	a = link_of(config, "vpn-a");
	b = link_of(config, "vpn-b");
	for (const struct cfg_link *l = a;; l = b) {
		CU_ASSERT_STRING_EQUAL(l->connection, "vpn");
		CU_ASSERT_EQUAL(l->encap, CFG_ENCAP_IPSEC);
		CU_ASSERT(cfg_link_is_plain(l));
		CU_ASSERT_STRING_EQUAL(l->underlay->name, "inet");
		CU_ASSERT_STRING_EQUAL(l->ipsec.key, "psk");
		CU_ASSERT_STRING_EQUAL(l->ipsec.local_id, "198.51.100.10");
		CU_ASSERT_EQUAL(l->mtu, 1400);
		CU_ASSERT_EQUAL(l->bgp.v4.asn, 64512);
		CU_ASSERT_EQUAL(l->bgp.v6.asn, 64512);
		CU_ASSERT_EQUAL(l->ipsec.rekey_s, 540);
		CU_ASSERT_EQUAL(l->ipsec.replay, 1024);
		if (l == b)
			break;
	}
	is_addr(&a->remote, "192.0.2.33");
	is_addr(&b->remote, "192.0.2.34");
	is_addr(&a->bgp.v4.peer, "169.254.33.1");
	is_addr(&b->bgp.v4.peer, "169.254.34.1");
	is_addr(&a->bgp.v6.peer, "fd00:33::1");
	is_addr(&b->bgp.v6.peer, "fd00:34::1");
	CU_ASSERT_EQUAL(config->paths[0].tiers[0].n, 2);
	CU_ASSERT_PTR_EQUAL(config->paths[0].tiers[0].links[0], a);
	CU_ASSERT_PTR_EQUAL(config->paths[0].tiers[0].links[1], b);
	CU_ASSERT_NOT_EQUAL(config_if_id(a), config_if_id(b));
	CU_ASSERT(config_if_id(a) & 0x80000000u);
	/* AWS takes SHA-1 and group 2: not offered unasked */
	CU_ASSERT_STRING_EQUAL(a->ipsec.esp.items[0],
		"aes256gcm16-aes128gcm16-ecp384-ecp256-ecp521-modp2048-modp3072-modp4096-modp6144-"
		"modp8192");
	CU_ASSERT_EQUAL(a->ipsec.ike.n, 2);
	CU_ASSERT_PTR_NULL(strstr(a->ipsec.ike.items[1], "sha1"));
	CU_ASSERT_PTR_NULL(strstr(a->ipsec.ike.items[1], "modp1024"));
	config_free(config);
	confdir_clean();
}

/* v4 and v6 without a peer: the other host of each tunnel's own address. */
static void test_peers(void)
{
	static const char old[] = "bgp = { asn = \"64512\"; };",
			  new[] = "bgp = { v4 = { asn = \"64512\"; }; };";
	struct config *config;
	char *text, *at, *out;
	size_t len;
	FILE *f;

	confdir_make();
	text = confdir_read(confdir_path("providers/golden-aws-s2s-tgw.conf"), &len);
	at = strstr(text, old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	f = open_memstream(&out, &len);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(f);
	confdir_write("providers/edit.conf", out, len);
	config = confdir_load("providers/edit.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	is_addr(&link_of(config, "vpn-a")->bgp.v4.peer, "169.254.33.1");
	is_addr(&link_of(config, "vpn-b")->bgp.v4.peer, "169.254.34.1");
	CU_ASSERT_FALSE(link_of(config, "vpn-a")->bgp.v6.present);
	config_free(config);
	free(text);
	free(out);
	confdir_clean();
}

/* Loads golden-aws with OLD replaced; the text of all errors, to be freed. */
static char *errors_of(const char *old, const char *new)
{
	size_t len, size;
	char *text, *at, *out = NULL;
	struct cfg_errors errors;
	struct config *config;
	FILE *f;

	text = confdir_read(confdir_path("providers/golden-aws-s2s-tgw.conf"), &len);
	at = strstr(text, old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	f = open_memstream(&out, &size);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(f);
	confdir_write("providers/edit.conf", out, size);
	free(text);
	free(out);
	config = config_load(confdir_path("providers/edit.conf"), &errors);
	f = open_memstream(&out, &size);
	cfg_errors_print(&errors, f);
	fclose(f);
	cfg_errors_free(&errors);
	config_free(config);
	return out;
}

static void test_refused(void)
{
	static const struct {
		const char *old, *new, *expected;
	} rows[] = {
		{ "a = { remote", "a = { remot = 3; remote",
			"unknown key of a tunnel: did you mean "
			"'remote'?" },
		{ "a = { remote", "a = { psk = \"x\"; remote", "PROV-09" },
		{ "key = \"psk\"; }", "}", "ipsec.key: is missing" },
		{ "169.254.33.2/30", "169.254.33.2/29", "the neighbour does not follow" },
		{ "\"169.254.33.2/30\"", "\"169.254.33.2/29\"", "into the tunnel's group" },
		{ "asn = \"64512\"", "v4 = { asn = \"64512\"; max_ni = 3; }",
			"links.vpn.bgp.v4.max_ni: unknown key" },
		{ "state = \"up\";", "state = \"up\"; address = [ \"10.0.0.1/30\" ];",
			"links.vpn.address: is each tunnel's: write it in tunnels.a" },
		{ "state = \"up\";",
			"state = \"up\"; encap = { type = \"ipsec\"; remote = \"192.0.2.1\"; };",
			"links.vpn.encap.remote: is each tunnel's" },
		{ "key = \"psk\"; }", "key = \"nobody\"; }", "keys/nobody: No such file" },
		{ "key = \"psk\"; }", "key = \"hUnter2-9\"; }", "keys: No such file" },
		{ "tunnels = { a = {", "tunnels = { a-long-name-b = {", "up to 15 of" },
		{ "tunnels = {", "tunnels = 3; x = {", "must be a group of 1 to 8 groups" },
		{ "links = {", "links = { vpn-a = { };", "is there already" },
		{ "state = \"up\";", "state = \"up\"; ipsec = { esp = [ \"aes256gmc16\" ]; };",
			"did you mean 'aes256gcm16'" },
		{ "state = \"up\";", "state = \"up\"; ipsec = { esp = [ \"aes256\" ]; };",
			"has no hash" },
		{ "state = \"up\";",
			"state = \"up\"; ipsec = { ike = [ \"aes256gcm16-prfsha256\" ]; };",
			"has no group" },
		{ "state = \"up\";", "state = \"up\"; ipsec = { local_id = \"a }\"; };",
			"without blanks" },
		{ "state = \"up\";", "state = \"up\"; ipsec = { rekey = \"2h\"; };",
			"leave more time" },
		{ "\"198.51.100.10/29\" ]; ",
			"\"198.51.100.10/29\" ]; ipsec = { key = \"psk\"; }; ",
			"is for tunnels of type ipsec" },
	};
	char *text;

	confdir_make();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text = errors_of(rows[i].old, rows[i].new);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].expected));
		if (!strstr(text, rows[i].expected))
			printf("row %u: %s\n", i, text);
		free(text);
	}
	confdir_clean();
}

#define STATIC                                                                                  \
	"encap = { remote = \"192.0.2.9\"; type = \"ipsec\"; }; ipsec = { sas = { algorithm = " \
	"\"aes256gcm16\"; in = { spi = 4096; key = \"sa-in\"; }; out = { spi = 4097; key = "    \
	"\"%s\"; }; }; };"

static void test_static(void)
{
	struct cfg_sa_keys keys;
	struct cfg_errors errors;
	struct config fake = { .n_links = 0 }, *config;
	struct cfg_link link = { .name = "t" };
	char conf[2000];

	confdir_make();
	snprintf(conf, sizeof(conf),
		"@include \"common.inc\"\nlinks = { inet = { circuit = \"ix\"; vrf = \"inet\"; "
		"address = [ \"198.51.100.10/29\" ]; };\n t = { underlay = \"inet\"; vrf = "
		"\"prod\"; "
		"address = [ \"10.9.0.1/30\" ]; " STATIC " }; };\n",
		"sa-out");
	confdir_write("providers/static.conf", conf, strlen(conf));
	config = config_load(confdir_path("providers/static.conf"), &errors);
	CU_ASSERT_PTR_NOT_NULL(config);
	config_free(config);
	cfg_errors_free(&errors);
	fake.defaults.keys = confdir_path("providers/keys");
	link.ipsec.algorithm = CFG_SA_AES256_GCM;
	CU_ASSERT_EQUAL(config_sa_keys(&fake, &link, &(struct cfg_sa){ 1, "sa-in" }, &keys), 0);
	CU_ASSERT_EQUAL(keys.key_len, 36);
	CU_ASSERT_EQUAL(keys.auth_len, 0);
	CU_ASSERT(keys.key[1] == 0x11 && keys.key[35] == 4);
	link.ipsec.algorithm = CFG_SA_AES256_SHA512;
	CU_ASSERT_EQUAL(
		config_sa_keys(&fake, &link, &(struct cfg_sa){ 1, "sa-in" }, &keys), -EINVAL);
	CU_ASSERT_EQUAL(
		config_sa_keys(&fake, &link, &(struct cfg_sa){ 1, "none" }, &keys), -ENOENT);
	snprintf(conf, sizeof(conf),
		"@include \"common.inc\"\nlinks = { inet = { circuit = \"ix\"; vrf = \"inet\"; "
		"address = [ \"198.51.100.10/29\" ]; };\n t = { underlay = \"inet\"; vrf = "
		"\"prod\"; "
		"address = [ \"10.9.0.1/30\" ]; " STATIC " }; };\n",
		"psk");
	confdir_write("providers/static.conf", conf, strlen(conf));
	config = config_load(confdir_path("providers/static.conf"), &errors);
	CU_ASSERT_PTR_NULL(config);
	CU_ASSERT(errors.n_fatal == 1 && strstr(errors.items[0].text, "hex digits"));
	cfg_errors_free(&errors);
	confdir_clean();
}

/* Two files, one key: what they are called does not make two of it. */
static void test_same_key(void)
{
	struct cfg_errors errors;
	struct config *config;
	char conf[2000], key[73];

	confdir_make();
	memset(key, 'a', 72);
	key[72] = 0;
	memset(key + 64, '1', 8); /* another salt */
	confdir_write("providers/keys/sa-one", key, 72);
	CU_ASSERT_EQUAL(chmod(confdir_path("providers/keys/sa-one"), 0600), 0);
	memset(key, 'A', 64);
	memset(key + 64, '2', 8);
	confdir_write("providers/keys/sa-two", key, 72);
	CU_ASSERT_EQUAL(chmod(confdir_path("providers/keys/sa-two"), 0600), 0);
	snprintf(conf, sizeof(conf),
		"@include \"common.inc\"\nlinks = { inet = { circuit = \"ix\"; vrf = \"inet\"; "
		"address = [ \"198.51.100.10/29\" ]; };\n t = { underlay = \"inet\"; vrf = "
		"\"prod\"; address = [ \"10.9.0.1/30\" ]; encap = { remote = \"192.0.2.9\"; "
		"type = \"ipsec\"; }; ipsec = { sas = { algorithm = \"aes256gcm16\"; in = { "
		"spi = 4096; key = \"sa-one\"; }; out = { spi = 4097; key = \"sa-two\"; }; }; "
		"}; }; };\n");
	confdir_write("providers/static.conf", conf, strlen(conf));
	config = config_load(confdir_path("providers/static.conf"), &errors);
	CU_ASSERT_PTR_NULL(config);
	CU_ASSERT(errors.n_fatal == 1 && strstr(errors.items[0].text, "the same key as 'sa-one'"));
	cfg_errors_free(&errors);
	confdir_clean();
}

void unit_ipsec(void)
{
	static const struct unit_test tests[] = {
		{ "what fits into ESP", test_mtu },
		{ "tunnels of one connection", test_tunnels },
		{ "peers", test_peers },
		{ "what is refused", test_refused },
		{ "static SAs", test_static },
		{ "one key twice", test_same_key },
	};

	UNIT_SUITE("ipsec", tests);
}
