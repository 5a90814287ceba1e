/* FRR: what is rendered, and the commands that lead from one configuration to the next. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "config/profile.h"
#include "control/frr.h"
#include "unit.h"

static const char sample[] =
	"schema = 1;\n"
	"gateway = { name = \"gw1\"; router_id = \"10.255.1.1\"; asn = \"64600\"; workers = \"1\"; "
	"};\n"
	"ports = { p0 = { device = \"net_null0\"; mtu = 1500; }; };\n"
	"vrfs = { prod = { loopback = [ \"10.255.1.1/32\", \"fd10::1/128\" ]; }; bank = { }; };\n"
	"clouds = { aws = { prefixes = [ \"10.40.0.0/14\", \"2001:db8:40::/44\" ]; };\n"
	"           gcp = { prefixes = [ \"10.60.0.0/15\" ]; }; };\n"
	"partners = { bank = { vrf = \"bank\"; prefixes = [ \"10.1.0.0/16\" ]; }; };\n"
	"circuits = { c0 = { port = \"p0\"; }; };\n"
	"links = {\n"
	"  aws-dx1 = { circuit = \"c0\"; vlan = 101; vrf = \"prod\"; cloud = \"aws\";\n"
	"    address = [ \"169.254.10.2/30\", \"2001:db8:f::2/125\" ];\n"
	"    bgp = { v4 = { peer = \"169.254.10.1\"; asn = \"64512\"; key = \"dx1\"; bfd = true; "
	"};\n"
	"            v6 = { peer = \"2001:db8:f::1\"; asn = \"64512\"; bfd = { interval = \"1s\"; "
	"multiplier = 5; }; };\n"
	"            announce = [ \"10.60.0.0/15 le 24\", \"10.255.1.1/32\", \"fd10::/64 ge 128\" "
	"]; }; };\n"
	"  gcp-ic1 = { circuit = \"c0\"; vlan = 102; vrf = \"prod\"; cloud = \"gcp\"; state = "
	"\"shut\";\n"
	"    address = [ \"169.254.60.2/29\" ];\n"
	"    bgp = { v4 = { peer = \"169.254.60.1\"; asn = \"16550\"; local_as = \"64999\"; hold = "
	"\"9s\"; };\n"
	"            accept = [ \"10.60.0.0/15 ge 16 le 24\" ]; }; };\n"
	"  bank-ll = { circuit = \"c0\"; vlan = 301; vrf = \"bank\"; partner = \"bank\";\n"
	"    address = [ \"192.0.2.66/29\" ]; static = { prefixes = [ \"10.1.0.0/16\" ]; via = "
	"\"192.0.2.70\"; }; };\n"
	"};\n";

static const char golden[] =
	"frr defaults traditional\n"
	"hostname gw1\n"
	"no zebra nexthop kernel enable\n"
	"bgp route-map delay-timer 1\n"
	"service integrated-vtysh-config\n"
	"!\n"
	"vrf bank\n"
	" netns /run/netns/bank\n"
	"exit-vrf\n"
	"!\n"
	"vrf prod\n"
	" netns /run/netns/prod\n"
	"exit-vrf\n"
	"!\n"
	"router bgp 64600 vrf prod\n"
	" bgp router-id 10.255.1.1\n"
	" no bgp default ipv4-unicast\n"
	" bgp bestpath as-path multipath-relax\n"
	" neighbor 169.254.10.1 remote-as 64512\n"
	" neighbor 169.254.10.1 description aws-dx1\n"
	" neighbor 169.254.10.1 bfd\n"
	" neighbor 169.254.10.1 password s3cret/of+dx1\n"
	" neighbor 169.254.10.1 graceful-restart-disable\n"
	" neighbor 2001:db8:f::1 remote-as 64512\n"
	" neighbor 2001:db8:f::1 description aws-dx1\n"
	" neighbor 2001:db8:f::1 bfd\n"
	" neighbor 2001:db8:f::1 bfd profile lintas-1000x5\n"
	" neighbor 2001:db8:f::1 graceful-restart-disable\n"
	" neighbor 169.254.60.1 remote-as 16550\n"
	" neighbor 169.254.60.1 local-as 64999 no-prepend replace-as\n"
	" neighbor 169.254.60.1 description gcp-ic1\n"
	" neighbor 169.254.60.1 timers 3 9\n"
	" neighbor 169.254.60.1 graceful-restart-disable\n"
	" neighbor 169.254.60.1 shutdown\n"
	" !\n"
	" address-family ipv4 unicast\n"
	"  network 10.255.1.1/32 route-map LINTAS-OWN\n"
	"  neighbor 169.254.10.1 activate\n"
	"  neighbor 169.254.10.1 soft-reconfiguration inbound\n"
	"  neighbor 169.254.10.1 route-map aws-dx1-in4 in\n"
	"  neighbor 169.254.10.1 route-map aws-dx1-out4 out\n"
	"  neighbor 169.254.60.1 activate\n"
	"  neighbor 169.254.60.1 soft-reconfiguration inbound\n"
	"  neighbor 169.254.60.1 route-map gcp-ic1-in4 in\n"
	"  neighbor 169.254.60.1 route-map gcp-ic1-out4 out\n"
	"  maximum-paths 64\n"
	"  maximum-paths ibgp 64\n"
	" exit-address-family\n"
	" !\n"
	" address-family ipv6 unicast\n"
	"  network fd10::1/128 route-map LINTAS-OWN\n"
	"  neighbor 2001:db8:f::1 activate\n"
	"  neighbor 2001:db8:f::1 soft-reconfiguration inbound\n"
	"  neighbor 2001:db8:f::1 route-map aws-dx1-in6 in\n"
	"  neighbor 2001:db8:f::1 route-map aws-dx1-out6 out\n"
	"  maximum-paths 64\n"
	"  maximum-paths ibgp 64\n"
	" exit-address-family\n"
	"exit\n"
	"!\n"
	"ip prefix-list LINTAS-NEVER4 permit 0.0.0.0/8 le 32\n"
	"ip prefix-list LINTAS-NEVER4 permit 127.0.0.0/8 le 32\n"
	"ip prefix-list LINTAS-NEVER4 permit 169.254.0.0/16 le 32\n"
	"ip prefix-list LINTAS-NEVER4 permit 224.0.0.0/3 le 32\n"
	"ipv6 prefix-list LINTAS-NEVER6 permit ::/16 le 128\n"
	"ipv6 prefix-list LINTAS-NEVER6 permit 100::/64 le 128\n"
	"ipv6 prefix-list LINTAS-NEVER6 permit fe80::/10 le 128\n"
	"ipv6 prefix-list LINTAS-NEVER6 permit fec0::/10 le 128\n"
	"ipv6 prefix-list LINTAS-NEVER6 permit ff00::/8 le 128\n"
	"ip prefix-list aws-dx1-out4 permit 10.60.0.0/15 le 24\n"
	"ip prefix-list aws-dx1-out4 permit 10.255.1.1/32\n"
	"ip prefix-list aws-dx1-in4 permit 10.40.0.0/14 le 32\n"
	"ipv6 prefix-list aws-dx1-out6 permit fd10::/64 ge 128\n"
	"ipv6 prefix-list aws-dx1-in6 permit 2001:db8:40::/44 le 128\n"
	"ip prefix-list gcp-ic1-in4 permit 10.60.0.0/15 ge 16 le 24\n"
	"!\n"
	"bgp large-community-list standard LINTAS-TO-NONE permit 64600:66:0\n"
	"bgp large-community-list standard LINTAS-TO-NONE permit 64600:66:2166136261\n"
	"bgp large-community-list standard LINTAS-TO-aws permit 64600:66:0\n"
	"bgp large-community-list standard LINTAS-TO-aws permit 64600:66:2590522550\n"
	"bgp large-community-list standard LINTAS-TO-bank permit 64600:66:0\n"
	"bgp large-community-list standard LINTAS-TO-gcp permit 64600:66:0\n"
	"bgp large-community-list standard LINTAS-TO-gcp permit 64600:66:3692114205\n"
	"!\n"
	"route-map LINTAS-OWN permit 10\n"
	" set large-community 64600:66:0\n"
	"exit\n"
	"!\n"
	"route-map LINTAS-FROM-NONE permit 10\n"
	" set large-community 64600:66:2166136261\n"
	"exit\n"
	"!\n"
	"route-map LINTAS-FROM-aws permit 10\n"
	" set large-community 64600:66:2590522550\n"
	"exit\n"
	"!\n"
	"route-map LINTAS-FROM-bank permit 10\n"
	" set large-community 64600:66:3147116183\n"
	"exit\n"
	"!\n"
	"route-map LINTAS-FROM-gcp permit 10\n"
	" set large-community 64600:66:3692114205\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-out4 deny 5\n"
	" match ip address prefix-list LINTAS-NEVER4\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-out4 permit 10\n"
	" match ip address prefix-list aws-dx1-out4\n"
	" match large-community LINTAS-TO-aws\n"
	" set community none\n"
	" set extcommunity none\n"
	" set large-community none\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-in4 deny 5\n"
	" match ip address prefix-list LINTAS-NEVER4\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-in4 permit 10\n"
	" match ip address prefix-list aws-dx1-in4\n"
	" set large-community 64600:66:2590522550\n"
	" set metric 0\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-out6 deny 5\n"
	" match ipv6 address prefix-list LINTAS-NEVER6\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-out6 permit 10\n"
	" match ipv6 address prefix-list aws-dx1-out6\n"
	" match large-community LINTAS-TO-aws\n"
	" set community none\n"
	" set extcommunity none\n"
	" set large-community none\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-in6 deny 5\n"
	" match ipv6 address prefix-list LINTAS-NEVER6\n"
	"exit\n"
	"!\n"
	"route-map aws-dx1-in6 permit 10\n"
	" match ipv6 address prefix-list aws-dx1-in6\n"
	" set large-community 64600:66:2590522550\n"
	" set metric 0\n"
	"exit\n"
	"!\n"
	"route-map gcp-ic1-out4 deny 5\n"
	" match ip address prefix-list LINTAS-NEVER4\n"
	"exit\n"
	"!\n"
	"route-map gcp-ic1-out4 permit 10\n"
	" match ip address prefix-list gcp-ic1-out4\n"
	" match large-community LINTAS-TO-gcp\n"
	" set community none\n"
	" set extcommunity none\n"
	" set large-community none\n"
	"exit\n"
	"!\n"
	"route-map gcp-ic1-in4 deny 5\n"
	" match ip address prefix-list LINTAS-NEVER4\n"
	"exit\n"
	"!\n"
	"route-map gcp-ic1-in4 permit 10\n"
	" match ip address prefix-list gcp-ic1-in4\n"
	" set large-community 64600:66:3692114205\n"
	" set metric 0\n"
	"exit\n"
	"!\n"
	"bfd\n"
	" profile lintas-1000x5\n"
	"  detect-multiplier 5\n"
	"  transmit-interval 1000\n"
	"  receive-interval 1000\n"
	" exit\n"
	" !\n"
	"exit\n"
	"!\n"
	"end\n";

static char folder[64], path[128], key_path[160];

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
	chmod(name, mode);
}

static struct config *sample_load(void)
{
	struct cfg_errors errors = { 0 };
	struct config *config;
	char keys[128];

	snprintf(folder, sizeof(folder), "/tmp/lintas-unit-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/lintas.conf", folder);
	snprintf(keys, sizeof(keys), "%s/keys", folder);
	snprintf(key_path, sizeof(key_path), "%s/dx1", keys);
	mkdir(keys, 0700);
	write_file(path, sample, 0644);
	write_file(key_path, "s3cret/of+dx1\n", 0600);
	config = config_load(path, &errors);
	if (!config)
		cfg_errors_print(&errors, stdout);
	cfg_errors_free(&errors);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

static void sample_free(struct config *config)
{
	config_free(config);
	unlink(key_path);
	*strrchr(key_path, '/') = '\0';
	rmdir(key_path);
	unlink(path);
	rmdir(folder);
}

static int render(const struct config *config, char **ret_text)
{
	size_t len = 0;
	FILE *out = open_memstream(ret_text, &len);
	int rc = frr_render(config, NULL, out);

	fclose(out);
	return rc;
}

static void test_golden(void)
{
	struct config *config = sample_load();
	char *text;

	CU_ASSERT_EQUAL(render(config, &text), 0);
	if (strcmp(text, golden))
		printf("rendered:\n%s", text);
	CU_ASSERT_STRING_EQUAL(text, golden);
	free(text);
	sample_free(config);
}

/* One time a VRF: the shortest of the sessions that restart in full; FRR's own is not written. The
 * links are sorted by name: gcp-ic1 is the third. */
static void expect_restart(struct config *config, uint16_t aws, uint16_t gcp, const char *wanted)
{
	struct cfg_profile profiles[2] = { { .restart_s = aws }, { .restart_s = gcp } };
	char *text;

	for (unsigned i = 0; i < 2; i++)
		config->links[i * 2].profile = &profiles[i];
	CU_ASSERT_EQUAL(render(config, &text), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " bgp graceful-restart select-defer-time"));
	CU_ASSERT_PTR_NULL(strstr(text, wanted ? "restart-time 120" : "restart-time"));
	if (wanted)
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
	free(text);
	for (unsigned i = 0; i < 2; i++)
		config->links[i * 2].profile = NULL;
}

static void test_restart_time(void)
{
	struct config *config = sample_load();

	config->links[0].bgp.v4.bfd.enabled = false;
	config->links[0].bgp.v4.graceful_restart = CFG_RESTART_FULL;
	expect_restart(config, 0, 0, NULL);
	expect_restart(config, 120, 30, NULL); /* the other's has none */
	expect_restart(config, 60, 30, "\n bgp graceful-restart restart-time 60\n");
	config->links[2].bgp.v4.graceful_restart = CFG_RESTART_FULL;
	expect_restart(config, 300, 200, "restart-time 200\n");
	expect_restart(config, 0, 200, NULL); /* 120 is FRR's */
	sample_free(config);
}

/* Rendered without the secret, and so that the session stays down; the rest is as ever. */
static void expect_down(const struct config *config)
{
	char *text;

	CU_ASSERT_EQUAL(render(config, &text), 0);
	CU_ASSERT_PTR_NULL(strstr(text, "s3cret"));
	CU_ASSERT_PTR_NULL(strstr(text, " password "));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " shutdown\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nend\n"));
	free(text);
}

static void test_key_refused(void)
{
	struct config *config = sample_load();

	chmod(key_path, 0644); /* others may read it */
	expect_down(config);
	write_file(key_path, "two words\n", 0600); /* would be more than one argument in FRR */
	expect_down(config);
	write_file(key_path, "\n", 0600);
	expect_down(config);
	unlink(key_path);
	expect_down(config);
	sample_free(config);
}

/* FRR's own parser takes every line. */
static void test_vtysh(void)
{
	struct config *config;
	char file[160], command[512], *text;

	if (access("/usr/bin/vtysh", X_OK)) {
		printf("SKIP frr.vtysh: no vtysh here: the rendering was not given to FRR's "
		       "parser\n");
		return;
	}
	config = sample_load();
	CU_ASSERT_EQUAL(render(config, &text), 0);
	snprintf(file, sizeof(file), "%s/frr.conf", folder);
	write_file(file, text, 0600);
	snprintf(command, sizeof(command), "vtysh -C -f %s >%s.out 2>&1", file, file);
	CU_ASSERT_EQUAL(system(command), 0);
	free(text);
	unlink(file);
	strcat(file, ".out");
	unlink(file);
	sample_free(config);
}

static unsigned diff(enum frr_daemon daemon, const char *running, const char *wanted,
	char **ret_commands, char first[160])
{
	size_t len = 0;
	FILE *out = open_memstream(ret_commands, &len);
	unsigned n = 999;

	CU_ASSERT_EQUAL(frr_diff(daemon, running, wanted, out, &n, first, 160), 0);
	fclose(out);
	return n;
}

static void expect(enum frr_daemon daemon, const char *running, const char *wanted, unsigned n,
	const char *commands)
{
	char *have, first[160];

	CU_ASSERT_EQUAL(diff(daemon, running, wanted, &have, first), n);
	if (strcmp(have, commands))
		printf("commands:\n%s", have);
	CU_ASSERT_STRING_EQUAL(have, commands);
	CU_ASSERT_PTR_NULL(strstr(first, "s3cret"));
	free(have);
}

/* What FRR prints for the golden text, with its numbers, its order and lines that are not ours. */
static void test_same(void)
{
	static const char running[] =
		"frr version 8.4.4\nlog syslog\nhostname other\n!\n"
		"vrf red\n netns /run/netns/red\nexit-vrf\n!\n"
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n !\n"
		" address-family ipv4 unicast\n  maximum-paths 64\n"
		"  neighbor 10.0.0.1 activate\n exit-address-family\nexit\n!\n"
		"ip prefix-list a seq 15 permit 10.0.0.0/8 le 24\n"
		"ip prefix-list a seq 20 permit 10.0.0.0/9\n!\nend\n";
	static const char wanted[] = "ip prefix-list a permit 10.0.0.0/9\n"
				     "ip prefix-list a permit 10.0.0.0/8 le 24\n"
				     "router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n"
				     " address-family ipv4 unicast\n  neighbor 10.0.0.1 activate\n"
				     "  maximum-paths 64\n exit-address-family\nexit\n";

	expect(FRR_BGPD, running, wanted, 0, "");
}

static void test_replace(void)
{
	expect(FRR_BGPD,
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n"
		" neighbor 10.0.0.1 password s3cret1\n neighbor 10.0.0.1 timers 1 3\nexit\n",
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 3\n"
		" neighbor 10.0.0.1 password s3cret2\nexit\n",
		3,
		"router bgp 1 vrf red\n no neighbor 10.0.0.1 timers 1 3\n"
		" neighbor 10.0.0.1 remote-as 3\n neighbor 10.0.0.1 password s3cret2\nexit\n");
	expect(FRR_BGPD,
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n"
		" neighbor 10.0.0.1 password s3cret1\nexit\n",
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\nexit\n", 1,
		"router bgp 1 vrf red\n no neighbor 10.0.0.1 password\nexit\n");
}

static void test_neighbor_goes(void)
{
	expect(FRR_BGPD,
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n neighbor 10.0.0.1 bfd\n"
		" neighbor 10.0.0.11 remote-as 2\n address-family ipv4 unicast\n"
		"  neighbor 10.0.0.1 activate\n  neighbor 10.0.0.1 route-map a-in4 in\n"
		"  neighbor 10.0.0.11 activate\n exit-address-family\nexit\n"
		"route-map a-in4 permit 10\n set metric 0\nexit\n"
		"ip prefix-list a-in4 seq 5 permit any\n",
		"router bgp 1 vrf red\n neighbor 10.0.0.11 remote-as 2\n address-family ipv4 "
		"unicast\n"
		"  neighbor 10.0.0.11 activate\n exit-address-family\nexit\n",
		3,
		"router bgp 1 vrf red\n no neighbor 10.0.0.1\nexit\n"
		"no route-map a-in4 permit 10\nno ip prefix-list a-in4 permit any\n");
}

static void test_contexts(void)
{
	/* An instance that goes takes one line; one that comes is entered again for
	 * its contents. */
	expect(FRR_BGPD, "router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\nexit\n",
		"router bgp 9 vrf red\n address-family ipv6 unicast\n  neighbor fe80::1 activate\n "
		"exit\nexit\n",
		4,
		"no router bgp 1 vrf red\n"
		"router bgp 9 vrf red\nexit\n"
		"router bgp 9 vrf red\n address-family ipv6 unicast\n exit\nexit\n"
		"router bgp 9 vrf red\n address-family ipv6 unicast\n  neighbor fe80::1 activate\n "
		"exit\nexit\n");
}

/* The counter of what is told comes before everything and goes after everything. */
static void test_cap_order(void)
{
	static const char capped[] =
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n address-family ipv4 "
		"unicast\n  neighbor 10.0.0.1 activate\n"
		"  neighbor 10.0.0.1 maximum-prefix-out 100\n exit\nexit\n"
		"route-map a permit 10\n match ip address prefix-list all\nexit\n";
	static const char listed[] =
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n address-family ipv4 "
		"unicast\n  neighbor 10.0.0.1 activate\n"
		" exit\nexit\nip prefix-list held permit 10.1.0.0/16\n"
		"route-map a permit 10\n match ip address prefix-list held\nexit\n";
	char *there, *back, first[160];

	CU_ASSERT_EQUAL(diff(FRR_BGPD, capped, listed, &there, first), 3);
	CU_ASSERT_EQUAL(diff(FRR_BGPD, listed, capped, &back, first), 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(there, "match ip address prefix-list held"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(there, "no neighbor 10.0.0.1 maximum-prefix-out 100"));
	CU_ASSERT(strstr(there, "match ip") < strstr(there, "no neighbor"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(back, "neighbor 10.0.0.1 maximum-prefix-out 100"));
	CU_ASSERT(strstr(back, "maximum-prefix-out") < strstr(back, "no ip prefix-list held"));
	CU_ASSERT(strstr(back, "maximum-prefix-out") < strstr(back, "match ip"));
	free(there);
	free(back);
}

/* No `exit` behind a route map: bgpd would commit everything at each. */
static void test_prepend_goes(void)
{
	expect(FRR_BGPD, "route-map a permit 10\n set as-path prepend 1 1\n set metric 5\nexit\n",
		"route-map a permit 10\nexit\n", 2,
		"route-map a permit 10\n no set as-path prepend\n no set metric 5\n");
}

static void test_restart_time_changes(void)
{
	expect(FRR_BGPD, "router bgp 1 vrf red\n bgp graceful-restart restart-time 60\nexit\n",
		"router bgp 1 vrf red\n bgp graceful-restart restart-time 90\nexit\n", 1,
		"router bgp 1 vrf red\n bgp graceful-restart restart-time 90\nexit\n");
}

/* Each daemon is given its own lines only, whatever copies of others' it holds. */
static void test_daemons(void)
{
	static const char running[] = "bfd\n profile x\n  detect-multiplier 5\n exit\nexit\n"
				      "vrf old\n netns /run/netns/old\nexit-vrf\n"
				      "ip prefix-list gone seq 5 permit any\n";
	static const char wanted[] =
		"no zebra nexthop kernel enable\nvrf new\n netns /run/netns/new\nexit-vrf\n"
		"bfd\n profile y\n exit\nexit\nip prefix-list a permit any\n";

	expect(FRR_ZEBRA, running, wanted, 1, "no zebra nexthop kernel enable\n");
	expect(FRR_BFDD, running, wanted, 2, "bfd\n no profile x\n profile y\n exit\nexit\n");
	expect(FRR_BGPD, running, wanted, 2,
		"no ip prefix-list gone permit any\nip prefix-list a permit any\n");
}

static void test_route_map_directions(void)
{
	expect(FRR_BGPD,
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n address-family ipv4 "
		"unicast\n"
		"  neighbor 10.0.0.1 route-map x in\n  neighbor 10.0.0.1 route-map x out\n "
		"exit\nexit\n",
		"router bgp 1 vrf red\n neighbor 10.0.0.1 remote-as 2\n address-family ipv4 "
		"unicast\n"
		"  neighbor 10.0.0.1 route-map y in\n exit\nexit\n",
		2,
		"router bgp 1 vrf red\n address-family ipv4 unicast\n  no neighbor 10.0.0.1 "
		"route-map x out\n"
		"  neighbor 10.0.0.1 route-map y in\n exit\nexit\n");
}

void unit_frr(void)
{
	static const struct unit_test tests[] = {
		{ "golden", test_golden },
		{ "restart_time", test_restart_time },
		{ "key_refused", test_key_refused },
		{ "vtysh", test_vtysh },
		{ "same", test_same },
		{ "replace", test_replace },
		{ "neighbor_goes", test_neighbor_goes },
		{ "contexts", test_contexts },
		{ "cap_order", test_cap_order },
		{ "prepend_goes", test_prepend_goes },
		{ "restart_time_changes", test_restart_time_changes },
		{ "daemons", test_daemons },
		{ "route_map_directions", test_route_map_directions },
	};

	UNIT_SUITE("frr", tests);
}
