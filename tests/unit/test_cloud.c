/* The cloud's half: what providers' documents say, against a configuration and into one.
 *
 * The fixtures in tests/unit/cloud and the configuration in tests/unit/config/cloud agree. Each row
 * changes one thing on one side and names the codes that must come of it, and no others. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "confdir.h"
#include "tools/ctl_sheet.h"
#include "unit.h"

#define DOCUMENTS "tests/unit/cloud/"
#define SECRET	  "s3cret-of-the-unit-tests"

/* ---- running ---- */

static char *edited(const char *path, const char *old, const char *new)
{
	size_t len, size;
	char *text = confdir_read(path, &len), *at, *out;
	FILE *f;

	if (!old)
		return text;
	at = strstr(text, old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	f = open_memstream(&out, &size);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(f);
	free(text);
	return out;
}

static void parse(struct cloud *cloud, const char *name, const char *old, const char *new)
{
	char path[100], *text;

	snprintf(path, sizeof(path), DOCUMENTS "%s.json", name);
	text = edited(path, old, new);
	cloud_parse(cloud, name, text, strlen(text));
	free(text);
}

static struct cloud *cloud_begin(void)
{
	struct cloud *cloud = cloud_new();
	static jmp_buf oom;

	CU_ASSERT_PTR_NOT_NULL_FATAL(cloud);
	if (setjmp(oom))
		abort();
	cloud->pool->oom = &oom;
	return cloud;
}

static struct config *config_edited(const char *old, const char *new)
{
	char *text = edited("tests/unit/config/cloud/lintas.conf", old, new);
	struct config *config;

	confdir_write("cloud/edit.conf", text, strlen(text));
	free(text);
	config = confdir_load("cloud/edit.conf");
	return config;
}

/* "03 11", the codes of all findings in order; the text in *ret_text. */
static const char *findings(struct cloud *cloud, struct config *config, char **ret_text)
{
	struct against against = { .config = config, .cloud = cloud };
	static char codes[200];
	size_t len;
	FILE *out = open_memstream(ret_text, &len);

	cloud_errors_print(cloud, out);
	if (cloud->n_errors)
		snprintf(codes, sizeof(codes), "error");
	else
		*codes = '\0';
	if (!cloud->n_errors) {
		cloud_join(cloud);
		against_run(&against);
		against_print(&against, out);
	}
	for (unsigned i = 0; i < against.n && strlen(codes) < 180; i++)
		snprintf(codes + strlen(codes), 16, "%s%02u", i ? " " : "",
			against.findings[i].code);
	fclose(out);
	return codes;
}

/* ---- against ---- */

static void test_agree(void)
{
	static const char *const names[] = { "aws-vifs", "gcp-attachment", "gcp-router",
		"azure-circuit", "oci-circuit", "alibaba-vbr", "terraform" };
	char *text;

	confdir_make();
	struct config *config = config_edited(NULL, NULL);
	for (unsigned i = 0; config && i < sizeof(names) / sizeof(names[0]); i++) {
		struct cloud *cloud = cloud_begin();

		parse(cloud, names[i], NULL, NULL);
		CU_ASSERT_STRING_EQUAL(findings(cloud, config, &text), "");
		if (*text)
			printf("%s", text);
		free(text);
		cloud_free(cloud);
	}
	config_free(config);
	confdir_clean();
}

struct row {
	const char *document, *old, *new; /* there */
	const char *ours, *mine;	  /* here; NULL: as it is */
	const char *codes, *says;
};

static void run_rows(const struct row *rows, unsigned n)
{
	confdir_make();
	for (unsigned i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		struct config *config = config_edited(r->ours, r->mine);
		struct cloud *cloud = cloud_begin();
		char *text = NULL;
		const char *codes;

		CU_ASSERT_PTR_NOT_NULL_FATAL(config);
		parse(cloud, r->document, r->old, r->new);
		codes = findings(cloud, config, &text);
		CU_ASSERT_STRING_EQUAL(codes, r->codes);
		CU_ASSERT(!r->says || strstr(text, r->says));
		CU_ASSERT_PTR_NULL(strstr(text, SECRET));
		if (strcmp(codes, r->codes) || (r->says && !strstr(text, r->says)))
			printf("row %u (%s: %s): \"%s\", not \"%s\":\n%s", i, r->document,
				r->new ? r->new : r->mine, codes, r->codes, text);
		free(text);
		cloud_free(cloud);
		config_free(config);
	}
	confdir_clean();
}

#define VIF    "aws-vifs"
#define ROUTER "gcp-router"

static void test_differ_aws(void)
{
	static const struct row rows[] = {
		{ VIF, "\"vlan\": 101", "\"vlan\": 102", NULL, NULL, "03",
			"links.aws-dx1.vlan: VLAN 101 here, 102 at AWS" },
		{ VIF, NULL, NULL, "vlan = 101", "vlan = 109", "03",
			"[aws-vifs $.virtualInterfaces[0].vlan]" },
		{ VIF,
			"\"customerAddress\": \"169.254.10.2/30\",\n                    "
			"\"bgpPeerState",
			"\"customerAddress\": \"169.254.10.6/30\",\n                    "
			"\"bgpPeerState",
			NULL, NULL, "05", "$.virtualInterfaces[0].bgpPeers[0].customerAddress" },
		{ VIF, NULL, NULL, "peer = \"169.254.10.1\"; asn = \"64512\"",
			"peer = \"169.254.10.3\"; asn = \"64512\"", "06",
			"links.aws-dx1.bgp.v4.peer" },
		{ VIF, NULL, NULL,
			"\"169.254.10.2/30\", \"2001:db8:f::2/125\" ];\n              bgp = { v4 = "
			"{ peer = \"169.254.10.1\"",
			"\"169.254.10.1/30\", \"2001:db8:f::2/125\" ];\n              bgp = { v4 = "
			"{ peer = \"169.254.10.2\"",
			"07", "the two ends are swapped" },
		{ VIF, "\"customerAddress\": \"2001:db8:f::2/125\"",
			"\"customerAddress\": \"2001:db8:f::2/126\"", NULL, NULL, "08",
			"/125 here, /126 at AWS" },
		{ VIF, "\"asnLong\": 65010,\n            \"amazonSideAsn\": 64512",
			"\"asnLong\": 65010,\n            \"amazonSideAsn\": 64599", NULL, NULL,
			"10 10", "64512 here, 64599 in fact" },
		{ VIF, "\"asn\": 65010,\n                    \"authKey\"",
			"\"asn\": 65011,\n                    \"authKey\"", NULL, NULL, "09",
			"AWS expects 65011" },
		{ VIF, NULL, NULL, "asn = \"64512\"; key = \"dx1\"; };\n                      v6",
			"asn = \"64512\"; key = \"dx1\"; local_as = \"65099\"; };\n                "
			"      v6",
			"09", "we say we are AS 65099" },
		{ VIF, "\"mtu\": 8500", "\"mtu\": 1500", NULL, NULL, "11", "MTU 8500 here, 1500" },
		{ VIF, NULL, NULL, "mtu = 8500;", "mtu = 1500;", "11", "warning" },
		{ VIF, "\"jumboFrameCapable\": true", "\"jumboFrameCapable\": false", NULL, NULL,
			"12", "cannot carry jumbo frames" },
		{ "oci-circuit", NULL, NULL, "key = \"fc\"; ", "", "16",
			"links.oci-fc1.bgp.v4.key: OCI has an MD5 key" },
		{ VIF,
			"\"authKey\": \"" SECRET
			"\",\n                    \"addressFamily\": \"ipv4\"",
			"\"authKey\": \"\",\n                    \"addressFamily\": \"ipv4\"", NULL,
			NULL, "16", "MD5 key \"dx1\" here, none at AWS" },
		{ VIF,
			"\"bgpPeerState\": \"available\",\n                    \"bgpStatus\": "
			"\"up\"\n                }\n            ]",
			"\"bgpPeerState\": \"deleted\",\n                    \"bgpStatus\": "
			"\"up\"\n                }\n            ]",
			NULL, NULL, "17", "IPv6 session here, none at AWS" },
		{ VIF, NULL, NULL,
			"\n                      v6 = { peer = \"2001:db8:f::1\"; asn = \"64512\"; "
			"key = \"dx1\"; };",
			"", "17", "add bgp.v6" },
		{ VIF, "\"virtualInterfaceState\": \"available\"",
			"\"virtualInterfaceState\": \"confirming\"", NULL, NULL, "21",
			"\"confirming\" at AWS" },
		{ VIF, "\"virtualInterfaceState\": \"available\"",
			"\"virtualInterfaceState\": \"confirming\"",
			"profile = \"aws-dx-transit\"; state = \"up\"",
			"profile = \"aws-dx-transit\"; state = \"shut\"", "", NULL },
		{ VIF, "\"virtualInterfaceState\": \"available\"",
			"\"virtualInterfaceState\": \"deleting\"", NULL, NULL, "21", "going away" },
		{ VIF, "\"bgpStatus\": \"up\"", "\"bgpStatus\": \"down\"", NULL, NULL, "21",
			"the IPv4 session" },
		{ VIF, "dxvif-fh2k1a9z\",\n            \"location\"",
			"dxvif-other\",\n            \"location\"", NULL, NULL, "22",
			"set id = \"dxvif-other\"" },
		{ VIF, "dxcon-fg31ab2c", "dxcon-another", NULL, NULL, "23",
			"is on \"dxcon-another\"" },
		{ VIF, "\"available\",\n            \"customer",
			"\"available\",\n            \"x\\u001b[2J\": 7,\n            \"customer",
			NULL, NULL, "", NULL },
		{ "aws-vpn", NULL, NULL, NULL, NULL, "01 01",
			"(tunnel 1), our address 169.254.33.2/30" },
	};

	run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_differ_others(void)
{
	static const struct row rows[] = {
		{ ROUTER, "\"peerAsn\": 65010", "\"peerAsn\": 65012", NULL, NULL, "09", "65012" },
		{ ROUTER, "\"asn\": 64550", "\"asn\": 64551", NULL, NULL, "10", "64551" },
		{ ROUTER, "\"ACTIVE\"", "\"DISABLED\"", NULL, NULL, "13",
			"BFD is on here, off at Google" },
		{ ROUTER, NULL, NULL, "bfd = { interval = \"1000ms\"; multiplier = 5; }",
			"bfd = false", "13", "on at Google, off here" },
		{ ROUTER, "\"multiplier\": 5", "\"multiplier\": 8", NULL, NULL, "14",
			"1000 ms x 8" },
		{ ROUTER, "\"ACTIVE\"", "\"PASSIVE\"", "multiplier = 5; }",
			"multiplier = 5; passive = true; }", "15", "both sides wait" },
		{ ROUTER, "\"managementType\": \"MANAGED_BY_USER\"\n    }\n  ]\n}",
			"\"md5AuthenticationKeyName\": \"k\"\n    }\n  ]\n}", NULL, NULL, "16",
			"Google has an MD5 key" },
		{ ROUTER, "10.61.0.0/16", "10.99.0.0/16", NULL, NULL, "18",
			"not accepted here: 10.99.0.0/16" },
		{ ROUTER, NULL, NULL, "\"10.60.0.0/15\" ]", "\"10.60.0.0/15\", \"10.66.0.0/16\" ]",
			"19", "expected here: 10.66.0.0/16" },
		{ ROUTER, "\"keepaliveInterval\": 20", "\"keepaliveInterval\": 30", NULL, NULL,
			"26", "30 s" },
		{ ROUTER, "\"TRUE\"", "\"FALSE\"", NULL, NULL, "",
			NULL }, /* the router alone says no state */
		{ "gcp-attachment", "\"adminEnabled\": true", "\"adminEnabled\": false", NULL, NULL,
			"27", "has been disabled" },
		{ "gcp-attachment", "\"mtu\": 1500", "\"mtu\": 1440", NULL, NULL, "11", "1440" },
		{ "gcp-attachment", "210", "211", NULL, NULL, "03", "211" },
		{ "gcp-attachment", "OS_ACTIVE", "OS_UNPROVISIONED", NULL, NULL, "21",
			"OS_UNPROVISIONED" },
		{ "gcp-attachment", "\"state\": \"ACTIVE\"", "\"state\": \"PENDING_CUSTOMER\"",
			NULL, NULL, "21", "accept or finish it" },
		{ "gcp-attachment", "169.254.60.2/29", "169.254.60.3/29", NULL, NULL, "05",
			"169.254.60.3/29" },
		{ "azure-circuit", "\"vlanId\": 40", "\"vlanId\": 41", NULL, NULL, "03 03",
			"41 at Azure" },
		{ "azure-circuit", "\"stag\": 300", "\"stag\": 301", NULL, NULL, "04 04",
			"stag = 301" },
		{ "azure-circuit", "10.250.0.4/30", "10.250.0.8/30", NULL, NULL, "05 06",
			"10.250.0.9/30" },
		{ "azure-circuit", "\"Provisioned\"", "\"NotProvisioned\"", NULL, NULL, "21 21",
			"NotProvisioned" },
		{ "azure-circuit", "\"peerASN\": 65010", "\"peerASN\": 65020", NULL, NULL, "09 09",
			"65020" },
		{ "oci-circuit", NULL, NULL,
			"\"10.251.0.1/30\"; bgp = { v4 = { peer = \"10.251.0.2\"",
			"\"10.251.0.2/30\"; bgp = { v4 = { peer = \"10.251.0.1\"", "07",
			"swapped" },
		{ "azure-circuit", NULL, NULL,
			"  az-er-s = { circuit = \"er-s\"; vlan = 40; vrf = \"prod\"; cloud = "
			"\"azure\"; profile = \"azure-er-private\"; state = \"up\"; mtu = 1500;\n"
			"              address = \"10.250.0.5/30\"; bgp = { v4 = { peer = "
			"\"10.250.0.6\"; asn = \"12076\"; }; }; };\n",
			"", "01",
			"private peering er-sg-01 (secondary), VLAN 40, our address 10.250.0.5/30 "
			"of Azure belongs to no link" },
		{ "azure-circuit", "\"secondaryPeerAddressPrefix\": \"10.250.0.4/30\"",
			"\"unused\": 1", NULL, NULL, "02",
			"links.az-er-s: no document speaks of it" },
		{ "oci-circuit", "MTU_9000", "MTU_1500", NULL, NULL, "11", "1500 at OCI" },
		{ "oci-circuit", "\"is-bfd-enabled\": true", "\"is-bfd-enabled\": false", NULL,
			NULL, "13", "off at OCI" },
		{ "oci-circuit", "\"ENABLED\"", "\"DISABLED\"", NULL, NULL, "27", "disabled" },
		{ "oci-circuit", "\"vlan\": 220", "\"vlan\": 221", NULL, NULL, "03", "221" },
		{ "alibaba-vbr", "\"VlanId\": 230", "\"VlanId\": 231", NULL, NULL, "03", "231" },
		{ "alibaba-vbr", "255.255.255.252", "255.255.255.248", NULL, NULL, "08",
			"/29 at Alibaba" },
		{ "alibaba-vbr", "\"DetectMultiplier\": 3", "\"DetectMultiplier\": 9", NULL, NULL,
			"14", "x 9" },
		{ "terraform", "\"local_asn\": 45104", "\"local_asn\": 45999", NULL, NULL, "10",
			"45999" },
		{ "terraform", "\"enable_bfd\": true", "\"enable_bfd\": false", NULL, NULL, "13",
			"off at Alibaba" },
		{ "terraform", "\"asn\": 64550", "\"asn\": 64551", NULL, NULL, "10", "64551" },
		{ "terraform", "2001:db8:f::1/125", "2001:db8:f::3/125", NULL, NULL, "06",
			"2001:db8:f::3" },
	};

	run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* A value that one document says of another's object is cited with its own document. */
static void test_joined_file(void)
{
	struct cloud *cloud = cloud_begin();
	struct config *config;
	char *said;

	confdir_make();
	config = confdir_load("cloud/lintas.conf");
	parse(cloud, "gcp-attachment", NULL, NULL);
	parse(cloud, "gcp-router", "\"ACTIVE\"", "\"DISABLED\"");
	cloud_join(cloud);
	findings(cloud, config, &said);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "AGAINST-13"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "gcp-router"));
	if (!strstr(said, "gcp-router"))
		printf("%s", said);
	free(said);
	config_free(config);
	cloud_free(cloud);
	confdir_clean();
}

/* ---- what is refused ---- */

static void test_refused(void)
{
	static const char *const rows[][2] = {
		{ "", "line 1, column 0: this is not JSON" },
		{ "{\"authKey\": \"" SECRET "\" x", "this is not JSON" },
		{ "{}", "is none of what is understood" },
		{ "[]", "there is no object in it" },
		{ "7", "this is not JSON" },
		{ "[1]", "$[0]: is none of what" },
		{ "{\"virtualInterfaces\": [ { \"virtualInterfaceId\": \"a\", \"vlan\": 5000 } ] }",
			"$.virtualInterfaces[0].vlan: a number from 0 to 4094 was expected" },
		{ "{\"virtualInterfaces\": [ { \"virtualInterfaceId\": [], \"vlan\": \"x\" } ] }",
			"$.virtualInterfaces[0].virtualInterfaceId: a text was expected" },
		{ "{\"virtualInterfaces\": [ { \"customerAddress\": \"10.0.0.1/99\" } ] }",
			"an address such as" },
		{ "{\"version\": 3, \"lineage\": \"x\", \"resources\": []}", "version 4 is read" },
		{ "{\"version\": 4, \"lineage\": \"x\", \"resources\": []}",
			"without any resource" },
		{ "{\"name\": \"er\", \"serviceProviderProvisioningState\": \"Provisioned\", "
		  "\"peerings\": [ "
		  "{ \"primaryPeerAddressPrefix\": \"10.0.0.0/31\" } ] }",
			"room for two hosts" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cloud *cloud = cloud_begin();
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		cloud_parse(cloud, "doc", rows[i][0], strlen(rows[i][0]));
		cloud_errors_print(cloud, out);
		fclose(out);
		CU_ASSERT(cloud->n_errors > 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i][1]));
		CU_ASSERT_PTR_NULL(strstr(text, SECRET));
		if (!strstr(text, rows[i][1]))
			printf("row %u: %s", i, text);
		free(text);
		cloud_free(cloud);
	}
}

static void test_deep(void)
{
	char deep[400];
	struct cloud *cloud = cloud_begin();

	memset(deep, '[', sizeof(deep));
	cloud_parse(cloud, "doc", deep, sizeof(deep));
	CU_ASSERT_EQUAL(cloud->n_errors, 1);
	CU_ASSERT_STRING_EQUAL(cloud->errors[0].text, "has more than 64 levels");
	cloud_free(cloud);
}

/* Bytes of every document changed, cut and doubled: whatever comes, nothing breaks, and no secret
 * is shown. */
static void test_fuzz(void)
{
	static const char *const names[] = { "aws-vifs", "aws-vpn", "gcp-attachment", "gcp-router",
		"azure-circuit", "azure-vpn", "oci-circuit", "alibaba-vbr", "terraform" };
	static const char marks[] = "{}[]\":,0-9a\\\x80\x1b";
	unsigned seed = 41, understood = 0;

	confdir_make();
	struct config *config = config_edited(NULL, NULL);
	for (unsigned i = 0; i < 4500; i++) {
		char path[100], *text, *said;
		size_t len;
		struct cloud *cloud = cloud_begin();

		snprintf(path, sizeof(path), DOCUMENTS "%s.json", names[i % 9]);
		text = confdir_read(path, &len);
		for (unsigned j = 0; j < 1 + i % 3; j++) {
			seed = seed * 1103515245 + 12345;
			text[(seed >> 8) % len] = marks[(seed >> 4) % (sizeof(marks) - 1)];
		}
		cloud_parse(cloud, "doc", text, i % 7 ? len : (seed >> 9) % len);
		understood += !cloud->n_errors;
		findings(cloud, config, &said);
		if (i % 9 != 1) /* a changed byte may make any text a name */
			CU_ASSERT_PTR_NULL(strstr(said, SECRET));
		FILE *out = fopen("/dev/null", "w");
		unsigned there;
		import_views(cloud, config, NULL, NULL, out, &there);
		fclose(out);
		free(said);
		free(text);
		cloud_free(cloud);
	}
	CU_ASSERT(understood > 500);
	config_free(config);
	confdir_clean();
}

/* ---- import ---- */

/* The configuration without links, with the entries instead: passes, and agrees with the document
 * it is from. */
static void import_one(const char *document, const char *with, unsigned n, bool known)
{
	char *text, *entries, *whole, *at, *said;
	struct cloud *cloud = cloud_begin();
	struct config *config;
	unsigned there;
	size_t len;
	FILE *out;

	text = edited("tests/unit/config/cloud/lintas.conf", NULL, NULL);
	at = strstr(text, "links = {");
	*at = '\0';
	confdir_write("cloud/base.conf", text, strlen(text));
	config = known ? confdir_load("cloud/base.conf") : NULL;
	parse(cloud, document, NULL, NULL);
	if (with)
		parse(cloud, with, NULL, NULL);
	cloud_join(cloud);
	out = open_memstream(&entries, &len);
	CU_ASSERT_EQUAL(import_views(cloud, config, NULL, NULL, out, &there), n);
	CU_ASSERT_EQUAL(there, 0);
	fclose(out);
	config_free(config);
	cloud_free(cloud);
	CU_ASSERT_PTR_NULL(strstr(entries, SECRET));
	out = open_memstream(&whole, &len);
	fprintf(out, "%slinks = {\n%s};\n", text, entries);
	fclose(out);
	confdir_write("cloud/import.conf", whole, len);
	if (known) {
		config = confdir_load("cloud/import.conf");
		cloud = cloud_begin();
		parse(cloud, document, NULL, NULL);
		if (with)
			parse(cloud, with, NULL, NULL);
		CU_ASSERT_STRING_EQUAL(findings(cloud, config, &said), "");
		if (*said)
			printf("%s", said);
		free(said);
		out = fopen("/dev/null", "w"); /* a second time there is nothing to write */
		CU_ASSERT_EQUAL(import_views(cloud, config, NULL, NULL, out, &there), 0);
		CU_ASSERT_EQUAL(there, n);
		fclose(out);
		cloud_free(cloud);
		config_free(config);
	}
	free(text);
	free(whole);
	free(entries);
}

static void test_import(void)
{
	static const struct {
		const char *document, *with;
		unsigned n;
	} rows[] = {
		{ "aws-vifs", NULL, 1 },
		{ "gcp-attachment", "gcp-router", 1 },
		{ "azure-circuit", NULL, 2 },
		{ "oci-circuit", NULL, 1 },
		{ "alibaba-vbr", NULL, 1 },
		{ "terraform", NULL, 6 },
	};
	static const char *const keys[] = { "cloud/keys/aws-101", "cloud/keys/oci-220" };

	confdir_make();
	for (unsigned i = 0; i < 2; i++) {
		confdir_write(keys[i], SECRET "\n", strlen(SECRET) + 1);
		CU_ASSERT_EQUAL(chmod(confdir_path(keys[i]), 0600), 0);
	}
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		import_one(rows[i].document, rows[i].with, rows[i].n, true);
	import_one("aws-vpn", NULL, 0, false);
	import_one("azure-vpn", NULL, 0, false);
	import_one("gcp-router", NULL, 0, false); /* it has no VLAN */
	confdir_clean();
}

/* Without a configuration: names that fit, and what to do about each. */
static void test_import_guesses(void)
{
	static const char *const wanted[] = {
		"circuit = \"dxcon-fg31ab2c\"; vlan = 101; vrf = \"prod\"; cloud = \"aws\";",
		"profile = \"aws-dx-transit\"; state = \"shut\"; id = \"dxvif-fh2k1a9z\"; mtu =",
		"# circuit \"dxcon-fg31ab2c\" is a guess", "say local_as = \"65010\"",
		"write it to the file \"edge\"", "  edge = {"
	};
	struct cloud *cloud = cloud_begin();
	unsigned lines = 0, there;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	parse(cloud, "aws-vifs", NULL, NULL);
	cloud_join(cloud);
	CU_ASSERT_EQUAL(import_views(cloud, NULL, "edge", "DXVIF-fh2k1a9z", out, &there), 1);
	CU_ASSERT_EQUAL(import_views(cloud, NULL, "edge", "dxvif-of-others", out, &there), 0);
	fclose(out);
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted[i]));
	for (char *p = strstr(text, "  edge = {"); p; p = strchr(p + 1, '\n'))
		lines++;
	CU_ASSERT(lines <= 11);
	free(text);
	cloud_free(cloud);
}

/* ---- sheets ---- */

/* Each as its file in tests/unit/cloud has it, but for the profile's sentences at the end. */
static void test_sheets(void)
{
	static const char *const links[] = { "aws-dx1", "gcp-ic1", "az-er-p", "az-er-s", "oci-fc1",
		"ali-vbr", "bca-ll", "mdr-ll", "mcr", "inet" };

	confdir_make();
	struct config *config = config_edited(NULL, NULL);
	for (unsigned i = 0; config && i < sizeof(links) / sizeof(links[0]); i++) {
		json_t *sheet = sheet_of(config, config_link(config, links[i]));
		char path[100], *text, *golden, *end;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		CU_ASSERT_PTR_NOT_NULL_FATAL(sheet);
		sheet_print(sheet, out);
		fclose(out);
		end = strstr(text, "\nTo know");
		if (end)
			*end = '\0';
		snprintf(path, sizeof(path), DOCUMENTS "sheet-%s.txt", links[i]);
		golden = confdir_read(path, &len);
		CU_ASSERT_STRING_EQUAL(text, golden);
		if (strcmp(text, golden))
			printf("%s:\n%s", links[i], text);
		CU_ASSERT_PTR_NULL(strstr(text, "key-of-the-unit-tests"));
		for (char *p = text; *p; p++)
			CU_ASSERT(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
		free(golden);
		free(text);
		json_decref(sheet);
	}
	config_free(config);
	confdir_clean();
}

static const json_t *sheet_value(const json_t *sheet, size_t section, const char *key)
{
	json_t *rows = json_object_get(
		json_array_get(json_object_get(sheet, "sections"), section), "rows");
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(json_string_value(json_object_get(row, "key")), key))
			return json_object_get(row, "value");
	return NULL;
}

/* Keys are the same whoever the provider is, numbers are numbers. */
static void test_sheet_json(void)
{
	confdir_make();
	struct config *config = config_edited(NULL, NULL);
	json_t *aws = sheet_of(config, config_link(config, "aws-dx1")),
	       *azure = sheet_of(config, config_link(config, "az-er-s"));

	CU_ASSERT_EQUAL(json_integer_value(sheet_value(aws, 0, "vlan")), 101);
	CU_ASSERT_EQUAL(json_integer_value(sheet_value(azure, 0, "vlan")), 40);
	CU_ASSERT_EQUAL(json_integer_value(sheet_value(azure, 0, "stag")), 300);
	CU_ASSERT_EQUAL(json_integer_value(sheet_value(azure, 1, "their_asn")), 12076);
	CU_ASSERT_EQUAL(json_array_size(sheet_value(aws, 1, "announce")), 1);
	json_decref(aws);
	json_decref(azure);
	config_free(config);
	confdir_clean();
}

/* Each kind of tunnel in its own words. */
static void test_sheet_tunnels(void)
{
	static const struct {
		const char *conf, *link;
		const char *says[4], *never;
	} rows[] = {
		{ "aws-tgw-connect", "a", { "GRE  (IP", "GRE key ", "169.254.35.3  (a session" },
			"VNI" },
		{ "azure-vpn", "z",
			{ "VPN gateway    10.70.255.30", "local gateway  10.250.9.1/30",
				"IKE version ", "0.0.0.0/0" },
			"Microsoft router" },
		{ "aws-s2s-tgw", "vpn-b", { "IPsec, ESP", "IKE version", "NAT traversal", "40 s" },
			"sha1" },
	};
	char path[100], *text;
	size_t len;

	confdir_make();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(path, sizeof(path), "providers/golden-%s.conf", rows[i].conf);
		struct config *config = confdir_load(path);
		json_t *sheet = sheet_of(config, config_link(config, rows[i].link));
		FILE *out = open_memstream(&text, &len);

		sheet_print(sheet, out);
		fclose(out);
		for (unsigned j = 0; j < 4 && rows[i].says[j]; j++)
			CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].says[j]));
		CU_ASSERT_PTR_NULL(strstr(text, rows[i].never));
		json_decref(sheet);
		config_free(config);
		free(text);
	}
	confdir_clean();
}

void unit_cloud(void)
{
	static const struct unit_test tests[] = {
		{ "agree", test_agree },
		{ "differ_aws", test_differ_aws },
		{ "differ_others", test_differ_others },
		{ "joined_file", test_joined_file },
		{ "refused", test_refused },
		{ "deep", test_deep },
		{ "fuzz", test_fuzz },
		{ "import", test_import },
		{ "import_guesses", test_import_guesses },
		{ "sheets", test_sheets },
		{ "sheet_json", test_sheet_json },
		{ "sheet_tunnels", test_sheet_tunnels },
	};

	UNIT_SUITE("cloud", tests);
}
