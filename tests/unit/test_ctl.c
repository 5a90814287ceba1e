/* lintasctl without a daemon: words to requests, numbers to text, JSON to tables (golden text), and
 * that its command table and the daemon's agree. */
#include <stdlib.h>
#include <string.h>
#include "control/api.h"
#include "tools/ctl.h"
#include "unit.h"

void unit_ctl(void);

/* ---- words ---- */

/* Splits a line into argv, finds the command; "object verb" or NULL. */
static const char *found(const char *line, json_t **ret_args)
{
	static char name[64], copy[256];
	const struct ctl_command *command;
	char *argv[16], *rest = copy, *word;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) && argc < 16)
		argv[argc++] = word;
	int used = command_find(argc, argv, &command);
	if (used < 0)
		return NULL;
	if (ret_args)
		*ret_args = args_parse(command, argc - used, argv + used);
	snprintf(name, sizeof(name), "%s %s", command->object, command->verb);
	return name;
}

/* The request's arguments as text, or "error". */
static const char *args_of(const char *line)
{
	static char text[256];
	json_t *args = NULL;
	char *dump;

	if (!found(line, &args) || !args)
		return "error";
	dump = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(text, sizeof(text), "%s", dump);
	free(dump);
	json_decref(args);
	return text;
}

static void test_words(void)
{
	static const char *const rows[][2] = {
		{ "status", "status " },
		{ "ro sh", "route show" },
		{ "route", "route show" },
		{ "route g", "route get" },
		{ "l", "link show" },
		{ "link sh aws", "link show" },
		{ "link aws-dx1", "link show" },
		{ "stats", "stats " },
		{ "stats d", "stats drops" },
		{ "stats --cycles", "stats cycles" },
		{ "neighbour", "neighbor show" },
		{ "neighbou s", "neighbor show" },
		{ "n", NULL },
		{ "s", NULL },
		{ "stat", NULL },
		{ "re", NULL },
		{ "rel", "reload " },
		{ "foo", NULL },
		{ "", NULL },
		{ "config err", "config errors" },
		{ "c", NULL },
		{ "ne", NULL },
		{ "nei", "neighbor show" },
		{ "statu", "status " },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = found(rows[i][0], NULL);

		if (rows[i][1])
			CU_ASSERT_STRING_EQUAL(name ? name : "", rows[i][1])
		else
			CU_ASSERT_PTR_NULL(name);
	}
}

static void test_arguments(void)
{
	static const char *const rows[][2] = {
		{ "route show", "{}" },
		{ "route show 10.0.0.0/8 longer", "{\"longer\":true,\"prefix\":\"10.0.0.0/8\"}" },
		{ "route show vrf prod fd00::/8", "{\"prefix\":\"fd00::/8\",\"vrf\":\"prod\"}" },
		{ "ro sh v prod lo 10.0.0.0/8",
			"{\"longer\":true,\"prefix\":\"10.0.0.0/8\",\"vrf\":\"prod\"}" },
		{ "route get 10.0.0.1 vrf prod from 10.0.0.2 dport 443",
			"{\"addr\":\"10.0.0.1\",\"dport\":443,\"from\":\"10.0.0.2\",\"vrf\":"
			"\"prod\"}" },
		{ "events --since 1h30m", "{\"since_s\":5400}" },
		{ "events since 90 level warning aws",
			"{\"level\":\"warning\",\"since_s\":90,\"subject\":\"aws\"}" },
		{ "stats --cycles --interval 30s", "{\"interval_s\":30}" },
		{ "route get 10.0.0.1", "error" }, /* a VRF is needed */
		{ "route get vrf prod", "error" },
		{ "route show vrf", "error" },
		{ "route show vrf a vrf b", "error" },
		{ "route show 10.0.0.0/8 11.0.0.0/8", "error" },
		{ "route get 10.0.0.1 vrf prod dport x", "error" },
		{ "events --since soon", "error" },
		{ "events --until 3m", "error" },
		{ "status now", "error" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_STRING_EQUAL(args_of(rows[i][0]), rows[i][1]);
}

/* Every command asks for something the daemon has, with the arguments it has, and nothing is left
 * out. */
static void test_same_commands(void)
{
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		const struct api_command *a = api_commands;
		char args[128] = "";

		if (!c->api)
			continue;
		while (a->name && strcmp(a->name, c->api))
			a++;
		CU_ASSERT_PTR_NOT_NULL_FATAL(a->name);
		for (const struct ctl_arg *arg = c->args; arg->type; arg++) {
			char word[32];

			snprintf(word, sizeof(word), arg->required ? "%s" : "[%s]", arg->key);
			CU_ASSERT_PTR_NOT_NULL(strstr(a->args, word));
			CU_ASSERT_FATAL(strlen(args) + strlen(word) + 2 < sizeof(args));
			strcat(strcat(args, *args ? " " : ""), word);
		}
		CU_ASSERT_EQUAL(strlen(args), strlen(a->args));
	}
	for (const struct api_command *a = api_commands; a->name; a++) {
		const struct ctl_command *c = ctl_commands;

		while (c->object && !(c->api && !strcmp(c->api, a->name)))
			c++;
		CU_ASSERT_PTR_NOT_NULL(c->object);
	}
}

static void expect_help(const char *words, const char *has, const char *has_not)
{
	const struct ctl_command *command;
	char copy[32], *argv[2] = { copy, NULL }, *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	snprintf(copy, sizeof(copy), "%s", words);
	argv[1] = strchr(copy, ' ');
	if (argv[1])
		*argv[1]++ = '\0';
	command_help(command, command_find(argv[1] ? 2 : 1, argv, &command), out);
	fclose(out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, has));
	CU_ASSERT_PTR_NULL(strstr(text, has_not));
	free(text);
}

/* An object alone: all it can do. */
static void test_help(void)
{
	expect_help("route", "lintasctl route get ADDRESS", "lintasctl neighbor");
	expect_help("route", "lintasctl route show", "lintasctl neighbor");
	expect_help("route get", "lintasctl route get ADDRESS", "lintasctl route show");
}

/* ---- numbers ---- */

static void test_numbers(void)
{
	char b[FORMAT_LEN];
	int64_t s = 0;

	CU_ASSERT_STRING_EQUAL(format_count(0, b), "0");
	CU_ASSERT_STRING_EQUAL(format_count(9999, b), "9999");
	CU_ASSERT_STRING_EQUAL(format_count(12345, b), "12.3k");
	CU_ASSERT_STRING_EQUAL(format_count(999999, b), "1.00M");
	CU_ASSERT_STRING_EQUAL(format_count(123456789, b), "123M");
	CU_ASSERT_STRING_EQUAL(format_count(UINT64_MAX, b), "18447P");
	CU_ASSERT_STRING_EQUAL(format_bytes(999, b), "999 B");
	CU_ASSERT_STRING_EQUAL(format_bytes(1500, b), "1.50 kB");
	CU_ASSERT_STRING_EQUAL(format_bytes(1024ull * 1024 * 1024, b), "1.07 GB");
	CU_ASSERT_STRING_EQUAL(format_memory(64ull << 20, b), "64.0 MiB");
	CU_ASSERT_STRING_EQUAL(format_rate(0, b), "0");
	CU_ASSERT_STRING_EQUAL(format_rate(0.25, b), "0.2");
	CU_ASSERT_STRING_EQUAL(format_rate(812.4, b), "812");
	CU_ASSERT_STRING_EQUAL(format_duration(59, b), "59s");
	CU_ASSERT_STRING_EQUAL(format_duration(723, b), "12m03s");
	CU_ASSERT_STRING_EQUAL(format_duration(3600 * 3 + 720, b), "3h12m");
	CU_ASSERT_STRING_EQUAL(format_duration(86400 * 5 + 3600 * 4, b), "5d04h");
	CU_ASSERT_EQUAL(duration_parse("1d2h", &s), 0);
	CU_ASSERT_EQUAL(s, 93600);
	CU_ASSERT(duration_parse("", &s) && duration_parse("5x", &s) && duration_parse("m", &s));
	CU_ASSERT(duration_parse("99999999999999999999", &s) && duration_parse("-5m", &s));
}

/* ---- tables ---- */

/* What the command prints for these parts of an answer. */
static void expect(const char *api, const char *const *parts, const char *golden)
{
	const struct ctl_command *c = ctl_commands;
	char *text = NULL;
	size_t len;

	while (c->object && (!c->api || strcmp(c->api, api)))
		c++;
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->object);
	struct ctl_output o = { .command = c, .print = { .out = open_memstream(&text, &len) } };
	for (unsigned i = 0; parts[i]; i++) {
		json_t *part = json_loads(parts[i], 0, NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(part);
		output_part(part, parts[i + 1] != NULL, &o);
		json_decref(part);
	}
	o.print.items++; /* "nothing to show" goes to stderr: not looked at here */
	output_end(&o);
	fclose(o.print.out);
	if (strcmp(text, golden))
		printf("---- %s: got\n%s---- wanted\n%s----\n", api, text, golden);
	CU_ASSERT_STRING_EQUAL(text, golden);
	free(text);
}

static void test_routes(void)
{
	static const char *const parts[] = {
		"[{\"vrf\":\"prod\",\"prefix\":\"10.40.0.0/"
		"14\",\"type\":\"unicast\",\"protocol\":\"bgp\",\"metric\":20,"
		"\"active\":true,\"legs\":[{\"via\":\"169.254.1.2\",\"dev\":\"aws-dx1\",\"weight\":"
		"1,\"tier\":1,"
		"\"alive\":true},{\"via\":\"fe80::1\",\"dev\":\"oci-fc1\",\"weight\":20,\"tier\":2,"
		"\"alive\":false,"
		"\"why\":\"no carrier\"}]}]",
		"[{\"vrf\":\"prod\",\"prefix\":\"2001:db8:1234::/"
		"48\",\"type\":\"blackhole\",\"protocol\":\"lintas\","
		"\"metric\":0,\"active\":true,\"legs\":[]},"
		"{\"vrf\":\"prod\",\"prefix\":\"192.0.2.0/"
		"24\",\"type\":\"unicast\",\"protocol\":\"kernel\",\"metric\":0,"
		"\"active\":false,\"legs\":[{\"via\":null,\"dev\":\"inet\",\"weight\":1,\"tier\":1,"
		"\"alive\":true}]}]",
		"[]", NULL
	};

	expect("route show", parts,
		"   VRF   PREFIX              PROTOCOL  METRIC  VIA          DEV      TIER  WEIGHT "
		" LEG\n"
		"*  prod  10.40.0.0/14        bgp           20  169.254.1.2  aws-dx1     1       1 "
		" alive\n"
		"                                               fe80::1      oci-fc1     2      20 "
		" no carrier\n"
		"*  prod  2001:db8:1234::/48  lintas         0  blackhole\n"
		"   prod  192.0.2.0/24        kernel         0  on link      inet        1       1 "
		" alive\n");
}

/* Rows after the first few hundred are printed at once; a wider cell widens its column from there
 * on. */
static void test_long_table(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct table *t = table_new(out, "A|>B");
	unsigned lines = 0;

	for (int i = 0; i < 1000; i++) {
		table_cellf(t, "%s%d", i == 700 ? "a-much-longer-name-" : "n", i);
		table_cellf(t, "%d", i);
		table_cell(t, "one cell too many is not printed");
		table_row(t);
		if (i == 255) {
			fflush(out);
			CU_ASSERT(len > 256 * 8); /* nothing is kept back any more */
		}
	}
	table_free(t);
	fclose(out);
	for (char *p = text; *p; p++)
		lines += *p == '\n';
	CU_ASSERT_EQUAL(lines, 1001);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "A       B\nn0      0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nn699  699\na-much-longer-name-700  700\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nn701                    701\n"));
	free(text);

	out = open_memstream(&text, &len);
	table_free(table_new(out, "A|B")); /* no rows: no header */
	fclose(out);
	CU_ASSERT_EQUAL(len, 0);
	free(text);
}

static void test_links(void)
{
	static const char *const parts[] = {
		"[{\"name\":\"aws-dx1\",\"up\":true,\"vrf\":\"prod\",\"zone\":\"aws\",\"partner\":"
		"false,\"path\":\"aws\","
		"\"tier\":1,\"port\":\"colo0\",\"shape\":{\"encap\":\"ethernet\",\"tags\":[{"
		"\"vid\":200},{\"vid\":101}]},"
		"\"addresses\":[\"169.254.1.1/30\",\"fd00::1/"
		"64\"],\"mtu\":8500,\"rx\":{\"packets\":1234567,\"bytes\":"
		"1500000000},\"tx\":{\"packets\":5,\"bytes\":300},\"drops\":7},"
		"{\"name\":\"bca-ll\",\"up\":false,\"why\":\"shut\",\"vrf\":\"bank\",\"zone\":"
		"\"bca\",\"partner\":true,"
		"\"path\":null,\"tier\":null,\"port\":null,\"shape\":{\"encap\":\"vxlan\",\"vni\":"
		"100,\"remote\":"
		"\"10.9.0.2\",\"underlay\":\"inet\"},\"addresses\":[],\"mtu\":1430,\"rx\":{"
		"\"packets\":0,\"bytes\":0},"
		"\"tx\":{\"packets\":0,\"bytes\":0},\"drops\":0}]",
		NULL
	};

	expect("link show", parts,
		"LINK     STATE  VRF   ZONE           PATH   ATTACHMENT                       "
		"ADDRESSES                  "
		" MTU  RX PKTS  RX BYTES  TX PKTS  TX BYTES  DROPS\n"
		"aws-dx1  up     prod  aws            aws/1  colo0.200.101                    "
		"169.254.1.1/30 fd00::1/64  "
		"8500    1.23M   1.50 GB        5     300 B      7\n"
		"bca-ll   shut   bank  bca (partner)  -      vxlan 100 to 10.9.0.2 over inet       "
		"                      "
		"1430        0       0 B        0       0 B      0\n");
}

static void test_bgp(void)
{
	static const char *const parts[] = {
		"{\"sessions\":[{\"vrf\":\"prod\",\"peer\":\"169.254.1.2\",\"link\":\"aws-dx1\","
		"\"zone\":\"aws\","
		"\"remote_as\":64512,\"state\":\"Established\",\"since_s\":723,\"families\":{"
		"\"ipv4\":{\"received\":212,"
		"\"sent\":5}},\"bfd\":{\"status\":\"up\"}},{\"vrf\":\"prod\",\"peer\":\"fd00::2\","
		"\"link\":null,"
		"\"zone\":null,\"remote_as\":4200000000,\"state\":\"Active\",\"since_s\":null,"
		"\"families\":{},"
		"\"bfd\":null}],\"error\":null}",
		NULL
	};

	expect("bgp show", parts,
		"LINK     VRF   PEER                 AS  STATE         SINCE  RECEIVED  SENT    "
		"BFD  ZONE\n"
		"aws-dx1  prod  169.254.1.2       64512  Established  12m03s  ipv4 212  ipv4 5  up "
		"  aws\n"
		"-        prod  fd00::2      4200000000  Active            -  -         -       -  "
		"  -\n");
}

static void test_get(void)
{
	static const char *const parts[] = {
		"{\"addr\":\"10.40.8.9\",\"vrf\":\"prod\",\"from\":\"192.0.2.1\",\"verdict\":"
		"\"forwarded\",\"routes\":["
		"{\"prefix\":\"10.40.0.0/"
		"14\",\"type\":\"unicast\",\"protocol\":\"bgp\",\"metric\":20,\"nhid\":12,"
		"\"active\":true,\"legs\":[{\"via\":\"169.254.1.2\",\"dev\":\"aws-dx1\",\"weight\":"
		"1,\"alive\":false,"
		"\"why\":\"no "
		"carrier\"},{\"via\":\"169.254.2.2\",\"dev\":\"aws-vpn\",\"weight\":1,\"alive\":"
		"true}]}],"
		"\"path\":{\"group\":7,\"buckets\":256,\"tier\":2,\"bucket\":118,\"legs\":["
		"{\"adjacency\":11,\"tier\":1,\"weight\":1,\"alive\":false,\"why\":\"no "
		"carrier\",\"buckets\":0,"
		"\"taken\":false,\"to\":{\"adjacency\":11,\"kind\":\"forward\",\"link\":\"aws-"
		"dx1\"}},"
		"{\"adjacency\":12,\"tier\":2,\"weight\":1,\"alive\":true,\"buckets\":256,"
		"\"taken\":true,\"to\":"
		"{\"adjacency\":12,\"kind\":\"forward\",\"text\":\"forwarded\",\"link\":\"aws-"
		"vpn\",\"nexthop\":"
		"\"169.254.2.2\",\"mac\":\"02:00:00:00:00:01\",\"port\":\"inet0\",\"mtu\":1438,"
		"\"header\":"
		"\"0200000000010200000000020000\",\"layers\":[{\"layer\":\"ethernet\",\"dst\":\"02:"
		"00:00:00:00:01\","
		"\"src\":\"02:00:00:00:00:02\"}],\"link_up\":true,\"link_tx\":{\"packets\":10,"
		"\"bytes\":840}}}]},"
		"\"in_step\":true}",
		NULL
	};
	static const char *const none[] = { "{\"addr\":\"11.0.0.1\",\"vrf\":\"prod\",\"from\":null,"
					    "\"verdict\":\"no route to 11.0.0.1 in VRF prod\","
					    "\"routes\":[],\"path\":null,\"in_step\":false}",
		NULL };

	expect("route get", parts,
		"10.40.8.9 in VRF prod: forwarded\n"
		"match      10.40.0.0/14 unicast bgp, metric 20, next-hop object\n"
		"  kernel   169.254.1.2 dev aws-dx1 weight 1  dead (no carrier)\n"
		"           169.254.2.2 dev aws-vpn weight 1\n"
		"path       group 7, tier 2, bucket 118 of 256\n"
		"     aws-dx1, tier 1, weight 1, DEAD (no carrier)\n"
		"  => aws-vpn via 169.254.2.2, tier 2, weight 1, share 256/256\n"
		"    adjacency  12 forward on aws-vpn to 169.254.2.2 at 02:00:00:00:00:01: "
		"forwarded\n"
		"    port       inet0, MTU 1438, 14 bytes of header\n"
		"    header     eth 02:00:00:00:00:02 > 02:00:00:00:00:01\n"
		"               02 00 00 00 00 01 02 00 00 00 00 02 00 00\n"
		"    link       aws-vpn up, sent 10 packets, 840 B\n");
	expect("route get", none,
		"11.0.0.1 in VRF prod: no route to 11.0.0.1 in VRF prod\n"
		"NOT IN STEP: what the workers look up differs from the kernel's route; a resync "
		"is due\n");
}

static void test_status(void)
{
	static const char *const parts[] = {
		"{\"gateway\":\"jkt1\",\"host\":\"gw\",\"generation\":214,\"config\":\"/etc/lintas/"
		"lintas.conf\","
		"\"digest\":\"9f3c1e2a00000000\",\"uptime_s\":3700,\"needs_restart\":true,"
		"\"workers\":3,\"links\":"
		"{\"total\":9,\"up\":8,\"down\":[{\"name\":\"aws-dx1\",\"why\":\"no "
		"carrier\"}]},\"paths\":[{\"name\":"
		"\"aws\",\"tier\":2,\"tiers\":2,\"down\":[\"aws-dx1\"]}],\"bgp\":{\"sessions\":3,"
		"\"established\":2,"
		"\"down\":[{\"peer\":\"169.254.1.2\",\"link\":\"aws-dx1\",\"vrf\":\"prod\","
		"\"state\":\"Active\"}],"
		"\"error\":null},\"drops\":{\"per_second\":812.0,\"total\":99000,\"top\":[{"
		"\"name\":\"no_route\","
		"\"per_second\":657.7}]},\"mirror\":{\"synced\":true,\"routes\":1000000,"
		"\"overruns\":1,\"resyncs\":2,"
		"\"audit_fixed\":0,\"fib_refused\":0},\"frr\":{\"managed\":true,\"in_sync\":false,"
		"\"error\":\"bgpd is "
		"not running\"},\"neighbours\":{\"warning\":\"only "
		"1024\"},\"reload\":{\"reloads\":4,\"failures\":1,"
		"\"operations\":12,\"last_errors\":2},\"memory\":{\"routes\":{\"count\":1200000,"
		"\"lookup_bytes\":16777216,\"control_bytes\":67108864,\"lookup_bytes_each\":14,"
		"\"control_bytes_each\":56,\"mirrored\":1200000,\"mirror_bytes\":134217728,"
		"\"mirror_bytes_each\":112},\"vrfs\":{\"count\":4,\"bytes\":83886080,\"bytes_"
		"each\":"
		"20971520},\"links\":{\"count\":9,\"shape_bytes\":204800,\"counter_bytes\":null,"
		"\"bytes_each\":null},\"groups\":{\"count\":48,\"bytes\":573440},\"adjacencies\":{"
		"\"count\":32,\"bytes\":532480}},\"control\":{\"stalls\":0,\"longest_us\":"
		"1234}}",
		NULL
	};

	expect("status", parts,
		"gateway    jkt1 on gw, generation 214 of /etc/lintas/lintas.conf (9f3c1e2a), up "
		"1h01m, 3 workers\n"
		"links      8 of 9 up; DOWN aws-dx1 (no carrier)\n"
		"path       aws on tier 2 of 2; down: aws-dx1\n"
		"bgp        2 of 3 established; aws-dx1 169.254.1.2 Active\n"
		"drops      812/s, 99.0k since start; no_route 81%\n"
		"mirror     in step with the kernel, 1.00M routes, 1 overruns, 2 resyncs, 0 "
		"repaired by the auditor\n"
		"frr        NOT IN SYNC: bgpd is not running\n"
		"memory     a route 14 B in the fast path, 56 B in control's copy, 112 B in the "
		"mirror (1.20M)\n"
		"           a VRF 20.0 MiB (4), a link ? (9: counters ?, shape 200 KiB)\n"
		"           48 path groups 560 KiB, 32 adjacencies 520 KiB\n"
		"control    longest callback 1.2 ms, 0 over 2 ms; 4 reloads, 1 refused, 12 "
		"operations\n"
		"RESTART    changes of workers, memory or ports wait for a restart of lintasd\n"
		"CONFIG     the last reload was refused with 2 errors: lintasctl config errors\n"
		"NEIGHBOURS only 1024\n");
}

#define STAGES(a, b)                                                 \
	"\"stages\":[{\"name\":\"rx\",\"cycles_per_packet\":" a "}," \
	"{\"name\":\"parse\",\"cycles_per_packet\":" b "}]"

static void test_cycles(void)
{
	static const char *const two[] = {
		"{\"interval_s\":1.0004,\"workers\":[{\"worker\":0,\"cpu\":2,\"packets_per_"
		"second\":"
		"4512000,\"packets_per_vector\":63.9,\"busy_polls\":0.998,\"cycles_per_packet\":"
		"21.27," STAGES("11.25",
			"10.02") "},{\"worker\":1,\"cpu\":3,\"packets_per_second\":"
				 "0,\"packets_per_vector\":null,\"busy_polls\":0.0,\"cycles_per_"
				 "packet\":null," STAGES("null",
					 "null") "}],\"all\":{\"packets_per_second\":4512000,"
						 "\"packets_per_vector\":63.9,\"busy_polls\":0.499,"
						 "\"sampled_vectors\":276,"
						 "\"packets_per_sampled_vector\":63.8,\"clock_"
						 "cycles\":22,\"cycles_per_packet\":21.27," STAGES(
							 "11.25", "10.02") "}}",
		NULL
	};
	static const char *const idle[] = {
		"{\"interval_s\":1.0,\"workers\":[{\"worker\":0,\"cpu\":2,\"packets_per_second\":3,"
		"\"packets_per_vector\":1.0,\"busy_polls\":0.0,\"cycles_per_packet\":null," STAGES(
			"null",
			"null") "}],\"all\":{\"vectors\":3,\"sampled_vectors\":0," STAGES("null",
			"null") "}}",
		NULL
	};

	expect("stats cycles", two,
		"WORKER  CPU  PACKETS/S  PACKETS/VECTOR  BUSY POLLS    RX  PARSE  WHOLE\n"
		"0         2      4.51M            63.9       99.8%  11.2   10.0   21.3\n"
		"1         3          0               -        0.0%     -      -      -\n"
		"all              4.51M            63.9       49.9%  11.2   10.0   21.3\n"
		"cycles a packet over 1.0 s, from 276 timed vectors (one in 256) of 63.8 packets; "
		"22 cycles\n"
		"a stage and vector, which reading the clock costs, are subtracted\n");
	expect("stats cycles", idle,
		"WORKER  CPU  PACKETS/S  PACKETS/VECTOR  BUSY POLLS  RX  PARSE  WHOLE\n"
		"0         2        3.0             1.0        0.0%   -      -      -\n"
		"3 vectors came in 1.0 s and none was timed, which one in 256 is: ask for longer, "
		"as "
		"in\n`lintasctl stats cycles interval 30s`\n");
}

static void test_small_ones(void)
{
	static const char *const drops[] = {
		"[{\"name\":\"no_route\",\"packets\":12345,\"per_second\":3.25,"
		"\"severity\":\"info\",\"text\":\"no route\",\"reference\":\"RFC 1812\"}]",
		NULL
	};
	static const char *const events[] = {
		"[{\"seq\":3,\"time\":1795390131.5,\"level\":\"warning\",\"subject\":"
		"\"aws-dx1\",\"text\":\"carrier lost\"},{\"lost\":7}]",
		NULL
	};
	static const char *const lines[] = { "[\"a = 1;\",\"\"]", "[\"b = 2;\"]", NULL };
	static const char *const errors[] = {
		"[{\"file\":\"x.conf\",\"line\":3,\"warning\":false,\"key\":\"links.a\","
		"\"text\":\"bad\"},{\"file\":null,\"line\":0,\"warning\":true,\"key\":null,"
		"\"text\":\"hm\"}]",
		NULL
	};
	static const char *const stages[] = {
		"[{\"name\":\"rx\",\"file\":\"rx.c\",\"text\":\"in\"},{\"name\":\"tx\","
		"\"file\":\"tx.c\",\"text\":\"out\"}]",
		NULL
	};
	/* From another version: nothing of what we expect, and of other types. */
	static const char *const strange[] = {
		"[{\"name\":7,\"rx\":[],\"shape\":\"x\",\"addresses\":{\"a\":1}}]", NULL
	};

	setenv("TZ", "UTC", 1);
	expect("stats drops", drops,
		"REASON    PACKETS  PER SECOND  SEVERITY  TEXT      REFERENCE\n"
		"no_route    12.3k         3.2  info      no route  RFC 1812\n");
	expect("events", events,
		"2026-11-22 23:28:51.500  warning  aws-dx1          carrier lost\n"
		"(7 events were missed: this reader was too slow)\n");
	expect("config show", lines, "a = 1;\n\nb = 2;\n");
	expect("config errors", errors, "x.conf:3: links.a: bad\nlintas.conf:0: warning: hm\n");
	expect("stages", stages,
		"rx        rx.c         in\n    |\n    v\ntx        tx.c         out\n");
	expect("link show", strange,
		"LINK  STATE  VRF  ZONE  PATH  ATTACHMENT  ADDRESSES  MTU  RX PKTS  RX BYTES  TX "
		"PKTS  TX BYTES  DROPS\n"
		"?     down   -    -     -     -                        0        0       0 B       "
		" 0       0 B      0\n");
}

static void test_json(void)
{
	static const char *const parts[] = { "[{\"b\":1,\"a\":2}]", "[]", "[{\"c\":3}]" };
	char *text = NULL;
	size_t len;
	struct json_out o = { .out = open_memstream(&text, &len) };

	for (int i = 0; i < 3; i++) {
		json_t *part = json_loads(parts[i], 0, NULL);

		json_out_part(part, i < 2, &o);
		json_decref(part);
	}
	fclose(o.out);
	CU_ASSERT_STRING_EQUAL(text, "[\n{\"b\":1,\"a\":2},\n{\"c\":3}\n]\n");
	free(text);

	struct json_out empty = { .out = open_memstream(&text, &len) };
	json_t *nothing = json_array(), *object = json_pack("{s:i}", "a", 1);
	json_out_part(nothing, false, &empty);
	json_out_part(object, false, &empty);
	fclose(empty.out);
	CU_ASSERT_STRING_EQUAL(text, "[]\n{\n  \"a\": 1\n}\n");
	json_decref(nothing);
	json_decref(object);
	free(text);
}

/* The language as JSON, and a part may end anywhere between lines. */
static void test_config_json(void)
{
	static const char *const parts[] = {
		"[\"schema = 1;\",\"gateway = {\",\" name = \\\"a \\\\\\\"b\\\";\"]",
		"[\" hugepages = false;\",\"};\",\"paths = { aws = { tiers = ( [ \\\"x\\\", "
		"\\\"y\\\" ], [ \\\"z\\\" ] ); }; };\"]",
		"[]"
	};
	char *text = NULL;
	size_t len;
	struct json_out o = { .out = open_memstream(&text, &len) };

	for (int i = 0; i < 3; i++) {
		json_t *part = json_loads(parts[i], 0, NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(part);
		config_json_part(part, i < 2, &o);
		json_decref(part);
	}
	fclose(o.out);
	json_t *got = json_loads(text, 0, NULL),
	       *wanted = json_pack("{s:i, s:{s:s, s:b}, s:{s:{s:[[s,s],[s]]}}}", "schema", 1,
		       "gateway", "name", "a \"b", "hugepages", 0, "paths", "aws", "tiers", "x",
		       "y", "z");
	CU_ASSERT_FALSE(o.failed);
	CU_ASSERT(json_equal(got, wanted));
	json_decref(got);
	json_decref(wanted);
	free(text);
}

void unit_ctl(void)
{
	static const struct unit_test tests[] = {
		{ "words", test_words },
		{ "arguments", test_arguments },
		{ "same_commands", test_same_commands },
		{ "help", test_help },
		{ "numbers", test_numbers },
		{ "routes", test_routes },
		{ "long_table", test_long_table },
		{ "links", test_links },
		{ "bgp", test_bgp },
		{ "get", test_get },
		{ "status", test_status },
		{ "small_ones", test_small_ones },
		{ "cycles", test_cycles },
		{ "json", test_json },
		{ "config_json", test_config_json },
	};

	UNIT_SUITE("ctl", tests);
}
