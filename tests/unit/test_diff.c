/* The difference of two configurations: nothing for the same, the right keys for a change,
 * dependents marked, and an order that can be applied. Every row edits the good fixture in one
 * place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "confdir.h"
#include "unit.h"

static const char *op_text(const struct cfg_op *op, char *buf, size_t size)
{
	static const char *const changes[] = { "+", "-", "~" };
	static const char *const objects[] = { "gateway", "defaults", "port", "vrf", "zone",
		"circuit", "link", "path" };

	snprintf(buf, size, "%s%s.%s%s%s%s", changes[op->change], objects[op->object], op->name,
		*op->what ? ": " : "", op->what, op->restart ? " RESTART" : "");
	return buf;
}

/* All operations in order, one a line, from the good fixture to the edited one. */
static void expect(const char *old, const char *new, const char *expected)
{
	struct config *before = confdir_load("good/lintas.conf"),
		      *after = confdir_load_edited(old, new);
	char *text = NULL, buf[600];
	struct cfg_diff diff;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_FATAL(before && after);
	CU_ASSERT_EQUAL(config_diff(before, after, &diff), 0);
	for (unsigned i = 0; i < diff.n; i++)
		fprintf(out, "%s\n", op_text(&diff.ops[i], buf, sizeof(buf)));
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (strcmp(text, expected))
		printf("expected:\n%sgot:\n%s", expected, text);
	cfg_diff_free(&diff);

	/* and back again: as many operations */
	CU_ASSERT_EQUAL(config_diff(after, before, &diff), 0);
	cfg_diff_free(&diff);
	free(text);
	config_free(before);
	config_free(after);
}

static void test_same(void)
{
	confdir_make();
	expect(NULL, NULL, "");
	expect("/* The whole", "/* Nearly the whole", ""); /* a comment */
	confdir_clean();
}

static void test_values(void)
{
	confdir_make();
	expect("mtu = 8500", "mtu = 1500", "~link.aws-dx1: mtu 8500->1500\n");
	expect("vlan = 211", "vlan = 212", "~link.gcp-ic2: vlan 211->212\n");
	expect("asn = \"64550\"", "asn = \"64551\"", "~link.gcp-ic1: bgp.v4.asn 64550->64551\n");
	expect("bfd = true;", "", "~link.aws-dx1: bgp.v4.bfd removed\n");
	expect("multiplier = 5", "multiplier = 4", "~link.aws-dx1: bgp.v6.bfd.multiplier 5->4\n");
	expect("\"10.44.0.0/16\"", "\"10.45.0.0/16\"",
		"~link.aws-dx1: bgp.accept -10.44.0.0/16 +10.45.0.0/16\n");
	expect("state = \"shut\";", "", "~link.mdr-ll: state shut->up\n");
	expect("noc = \"BCA-LL-0417, ask for \\\"duty\\\"\";", "",
		"~zone.bca: noc BCA-LL-0417, ask for \\duty\\->none\n");
	expect("\"fd10::1/128\"", "\"fd10::2/128\"",
		"~vrf.prod: loopback -fd10::1/128 +fd10::2/128\n");
	expect("readers = \"lintas-ro\"", "readers = \"lintas-r\"",
		"~defaults.defaults: readers lintas-ro->lintas-r RESTART\n");
	expect("schema = 1;", "schema = 1; routing = \"external\";",
		"~gateway.gateway: routing frr->external\n");
	expect("[ \"169.254.10.2/30\", \"2001:db8:f::2/125\" ]",
		"[ \"2001:db8:f::2/125\", \"169.254.10.2/30\" ]",
		"~link.aws-dx1: address reordered\n");
	confdir_clean();
}

/* What a link is resolved through marks the link. */
static void test_dependents(void)
{
	confdir_make();
	expect("stag = 300", "stag = 301",
		"~circuit.er: stag 300->301\n~link.az-er-p: circuit er changed\n");
	expect("gic1 = { port = \"colo2\"", "gic1 = { port = \"colo1\"",
		"~circuit.gic1: port colo2->colo1\n~link.gcp-ic1: circuit gic1 changed\n");
	expect("id = \"er-sg-01\"", "id = \"er-sg-02\"", "~circuit.er: id er-sg-01->er-sg-02\n");
	expect("\"198.51.100.10/29\"", "\"198.51.100.11/29\"",
		"~link.inet: address -198.51.100.10/29 +198.51.100.11/29\n"
		"~link.gcp-vp6: underlay inet changed\n"
		"~link.gcp-vpc: encap.local 198.51.100.10->198.51.100.11, underlay inet changed\n");
	expect("gateway = [ \"198.51.100.9\", \"fe80::1\" ]", "gateway = \"198.51.100.9\"",
		"~link.inet: gateway [ 198.51.100.9, fe80::1 ]->[ 198.51.100.9 ]\n");
	expect("\"10.60.0.0/15\" ]; };\n", "\"10.62.0.0/15\" ]; };\n",
		"~zone.gcp: prefixes -10.60.0.0/15 +10.62.0.0/15\n"
		"~link.gcp-ic1: bgp.accept -10.60.0.0/15 le 32 +10.62.0.0/15 le 32\n"
		"~link.gcp-ic2: bgp.accept -10.60.0.0/15 le 32 +10.62.0.0/15 le 32\n");
	expect("[ \"gcp-ic1\", \"gcp-ic2\" ], [ \"gcp-vpc\" ]",
		"[ \"gcp-ic1\" ], [ \"gcp-ic2\", \"gcp-vpc\" ]",
		"~link.gcp-ic2: bgp.inbound high->medium, tier 0->1\n"
		"~path.gcp: tiers "
		"gcp-ic1+gcp-ic2/gcp-vpc/gcp-vp6->gcp-ic1/gcp-ic2+gcp-vpc/gcp-vp6\n");
	confdir_clean();
}

/* Edits the included file, then restores it. */
static void expect_in_gateway(const char *old, const char *new, const char *expected)
{
	struct config *before = confdir_load("good/lintas.conf"), *after;
	char *text, *at, *got = NULL, buf[600];
	struct cfg_diff diff;
	size_t len, n;
	FILE *out;

	text = confdir_read(confdir_path("good/gateways/jkt1.conf"), &len);
	at = strstr(text, old);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	out = fopen(confdir_path("good/gateways/jkt1.conf"), "w");
	fprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	fclose(out);
	after = confdir_load("good/lintas.conf");
	confdir_write("good/gateways/jkt1.conf", text, len);
	free(text);
	CU_ASSERT_FATAL(before && after);
	CU_ASSERT_EQUAL(config_diff(before, after, &diff), 0);
	out = open_memstream(&got, &n);
	for (unsigned i = 0; i < diff.n; i++)
		fprintf(out, "%s\n", op_text(&diff.ops[i], buf, sizeof(buf)));
	fclose(out);
	CU_ASSERT_STRING_EQUAL(got, expected);
	if (strcmp(got, expected))
		printf("expected:\n%sgot:\n%s", expected, got);
	free(got);
	cfg_diff_free(&diff);
	config_free(before);
	config_free(after);
}

static void test_restart(void)
{
	confdir_make();
	expect_in_gateway("workers = \"1-3\"", "workers = \"1-2\"",
		"~gateway.gateway: workers 1,2,3->1,2 RESTART\n");
	expect_in_gateway("hugepages = false", "hugepages = true",
		"~gateway.gateway: hugepages false->true RESTART\n");
	expect_in_gateway("packet_buffers = 65536;", "",
		"~gateway.gateway: packet_buffers 65536->none RESTART\n");
	expect_in_gateway("queues = 2", "queues = 3", "~port.colo0: queues 2->3 RESTART\n");
	/* the link's MTU follows the port's, and waits with it */
	expect_in_gateway("colo2  = { device = \"5e:00.0\"; mtu = 9100",
		"colo2  = { device = \"5e:00.0\"; mtu = 9000",
		"~port.colo2: mtu 9100->9000 RESTART\n~link.gcp-ic1: mtu 9100->9000 RESTART\n");
	expect_in_gateway("4200000001", "65010",
		"~gateway.gateway: asn 4200000001->65010\n"
		"~link.aws-dx1: gateway.asn 4200000001->65010\n"
		"~link.az-er-p: gateway.asn 4200000001->65010\n"
		"~link.gcp-ic1: gateway.asn 4200000001->65010\n"
		"~link.gcp-ic2: gateway.asn 4200000001->65010\n");
	confdir_clean();
}

static struct config *load_text(const char *name, const char *vrfs, const char *links)
{
	static const char head[] =
		"schema = 1; gateway = { name = \"g\"; workers = \"1\"; }; clouds = { a = { }; };"
		"ports = { p = { device = \"net_tap0\"; }; };";
	char text[3000];

	snprintf(text, sizeof(text), "%s vrfs = { %s }; %s", head, vrfs, links);
	confdir_write(name, text, strlen(text));
	return confdir_load(name);
}

/* Users go first and come last, tunnels around their underlays; what a changed link leaves goes
 * after it. */
static void test_order(void)
{
	static const char old[] =
		"circuits = { c = { port = \"p\"; }; gone = { port = \"p\"; stag = 5; }; };"
		"links = { a-tun = { underlay = \"under\"; vrf = \"v\"; cloud = \"a\"; address = "
		"\"10.9.0.1/30\";"
		" encap = { type = \"vxlan\"; vni = 5; remote = \"10.0.0.2\"; }; };"
		"under = { circuit = \"gone\"; vlan = 1; vrf = \"v\"; address = \"10.0.0.1/30\"; };"
		"moved = { circuit = \"c\"; vlan = 2; vrf = \"v\"; address = \"10.1.0.1/30\"; }; };"
		"paths = { a = { tiers = ( [ \"a-tun\" ] ); }; };";
	static const char new[] =
		"circuits = { c = { port = \"p\"; }; fresh = { port = \"p\"; stag = 6; }; };"
		"links = { b-tun = { underlay = \"wire\"; vrf = \"w\"; address = \"10.9.0.1/30\";"
		" encap = { type = \"vxlan\"; vni = 5; remote = \"10.0.0.2\"; }; };"
		"wire = { circuit = \"fresh\"; vlan = 1; vrf = \"w\"; address = \"10.0.0.1/30\"; };"
		"moved = { circuit = \"c\"; vlan = 2; vrf = \"w\"; address = \"10.1.0.1/30\"; }; "
		"};";
	static const char *const expected[] = { "-path.a", "-link.a-tun", "-link.under", "+vrf.w",
		"+circuit.fresh", "~link.moved: vrf v->w", "+link.wire", "+link.b-tun",
		"-circuit.gone", "-vrf.v" };
	struct config *before, *after;
	struct cfg_diff diff;
	char buf[600];

	confdir_make();
	expect("  azure = { tiers = ( [ \"az-er-p\" ] ); };\n", "",
		"-path.azure\n~link.az-er-p: tier 0->none\n");
	before = load_text("old.conf", "v = { };", old);
	after = load_text("new.conf", "w = { };", new);
	CU_ASSERT_FATAL(before && after);
	CU_ASSERT_EQUAL(config_diff(before, after, &diff), 0);
	CU_ASSERT_EQUAL(diff.n, sizeof(expected) / sizeof(expected[0]));
	for (unsigned i = 0; i < diff.n && i < sizeof(expected) / sizeof(expected[0]); i++)
		CU_ASSERT_STRING_EQUAL(op_text(&diff.ops[i], buf, sizeof(buf)), expected[i]);
	cfg_diff_free(&diff);
	config_free(before);
	config_free(after);
	confdir_clean();
}

static void test_start(void)
{
	struct config *c;
	struct cfg_diff diff;
	unsigned last_link = 0;

	confdir_make();
	c = confdir_load("good/lintas.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(config_diff(NULL, c, &diff), 0);
	CU_ASSERT_EQUAL(diff.n,
		2 + c->n_ports + c->n_vrfs + c->n_zones + c->n_circuits + c->n_links + c->n_paths);
	for (unsigned i = 0; i < diff.n; i++) {
		CU_ASSERT_EQUAL(diff.ops[i].change, CFG_ADD);
		CU_ASSERT_FALSE(diff.ops[i].restart);
		CU_ASSERT_PTR_NULL(diff.ops[i].before);
		CU_ASSERT_PTR_NOT_NULL(diff.ops[i].after);
		if (diff.ops[i].object == CFG_LINK)
			last_link = i;
	}
	/* tunnels after their underlay */
	CU_ASSERT_STRING_EQUAL(diff.ops[last_link].name, "gcp-vpc");
	CU_ASSERT_EQUAL(diff.ops[diff.n - 1].object, CFG_PATH);
	cfg_diff_free(&diff);
	config_free(c);
	confdir_clean();
}

void unit_diff(void)
{
	static const struct unit_test tests[] = {
		{ "same", test_same },
		{ "values", test_values },
		{ "dependents", test_dependents },
		{ "restart", test_restart },
		{ "order", test_order },
		{ "start", test_start },
	};

	UNIT_SUITE("diff", tests);
}
