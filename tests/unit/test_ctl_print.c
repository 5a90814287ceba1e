/* lintasctl's screens: the JSON of an answer to golden text. */
#include <stdlib.h>
#include <string.h>
#include "tools/ctl.h"
#include "unit.h"

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

static void test_links(void)
{
	static const char *const parts[] = {
		"[{\"name\":\"aws-dx1\",\"health\":{\"state\":\"grey\",\"why\":\"IPv4: loss 2 "
		"%\"},\"up\":true,\"vrf\":\"prod\",\"zone\":\"aws\",\"partner\":"
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
		"LINK     STATE  HEALTH                 VRF   ZONE           PATH   ATTACHMENT     "
		"                  "
		"ADDRESSES                  "
		" MTU  RX PKTS  RX BYTES  TX PKTS  TX BYTES  DROPS\n"
		"aws-dx1  up     grey (IPv4: loss 2 %)  prod  aws            aws/1  colo0.200.101  "
		"                  "
		"169.254.1.1/30 fd00::1/64  "
		"8500    1.23M   1.50 GB        5     300 B      7\n"
		"bca-ll   shut   -                      bank  bca (partner)  -      vxlan 100 to "
		"10.9.0.2 over inet       "
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

	static const char *const shared_cpu[] = {
		"{\"interval_s\":2.0,\"workers\":[],\"all\":{\"vectors\":300,\"sampled_vectors\":0,"
		"\"disturbed_vectors\":3,\"stages\":[]}}",
		NULL
	};

	expect("stats cycles", shared_cpu,
		"WORKER  CPU  PACKETS/S  PACKETS/VECTOR  BUSY POLLS  WHOLE\n"
		"all                  0               -           -      -\n"
		"left out: 3 timed vectors of over a millisecond: something else ran on the CPU\n");
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
		"LINK  STATE  HEALTH  VRF  ZONE  PATH  ATTACHMENT  ADDRESSES  MTU  RX PKTS  RX "
		"BYTES  TX "
		"PKTS  TX BYTES  DROPS\n"
		"?     down   -       -    -     -     -                        0        0       0 "
		"B       "
		" 0       0 B      0\n");
}

/* Below the table of one link: its way, MTU and keys. */
static void test_below(void)
{
	static const char item[] =
		"{\"name\":\"vpn-a\",\"shape\":{\"remote\":\"192.0.2.33\"},\"tunnel\":{\"mtu\":"
		"1390,"
		"\"way\":{\"link\":\"inet\",\"nexthop\":\"198.51.100.9\"},\"keys\":{\"ike\":"
		"\"ESTABLISHED\"},\"sas\":[{\"direction\":\"in\",\"spi\":\"c0ffee01\","
		"\"algorithm\":"
		"\"aes256gcm16\",\"age_s\":723,\"packets\":55,\"bytes\":950,\"replayed\":2,"
		"\"used\":true}]}}";
	const struct ctl_command *c = ctl_commands;
	json_t *part = json_loads(item, 0, NULL);
	char *text = NULL;
	size_t len;

	while (c->item != print_link)
		c++;
	struct ctl_output o = { .command = c,
		.print = { .out = open_memstream(&text, &len), .named = true } };
	output_part(part, false, &o);
	output_end(&o);
	fclose(o.print.out);
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
		"0\n\nvpn-a: leaves by inet via 198.51.100.9, MTU now 1390, IKE ESTABLISHED\n"
		"  in   c0ffee01  aes256gcm16, 12m03s old, 55 packets, 950 B, 2 refused\n"));
	free(text);
	json_decref(part);
}

/* Every table ends its rows: an item of which nothing is known is still a line of its own. */
static void test_every_table(void)
{
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		char *text = NULL;
		size_t len, lines = 0;

		if (!c->columns || !c->item)
			continue;
		struct ctl_output o = { .command = c,
			.print = { .out = open_memstream(&text, &len) } };
		json_t *items = json_loads("[{\"legs\":[{}]},{\"legs\":[{}]}]", 0, NULL);

		output_part(items, false, &o);
		output_end(&o);
		fclose(o.print.out);
		for (const char *at = text; (at = strchr(at, '\n')); at++)
			lines++;
		if (lines != 3)
			printf("---- %s %s: %zu lines\n%s", c->object, c->verb, lines, text);
		CU_ASSERT_EQUAL(lines, 3);
		json_decref(items);
		free(text);
	}
}

void unit_ctl_print(void)
{
	static const struct unit_test tests[] = {
		{ "routes", test_routes },
		{ "links", test_links },
		{ "bgp", test_bgp },
		{ "get", test_get },
		{ "status", test_status },
		{ "cycles", test_cycles },
		{ "small_ones", test_small_ones },
		{ "every_table", test_every_table },
		{ "below", test_below },
	};

	UNIT_SUITE("ctl_print", tests);
}
