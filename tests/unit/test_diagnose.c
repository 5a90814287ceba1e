/* link diagnose where it is pure: what connections and counters mean, what FRR's JSON says in
 * words, which tags came instead. The rest is tried on real faults:
 * tests/providers/test_diagnose.py. */
#include <string.h>
#include "control/diagnose.h"
#include "control/probes.h"
#include "unit.h"

static struct config config = {
	.gateway.asn = 65010, .routing = CFG_ROUTING_FRR, .defaults.keys = "/keys"
};
static struct cfg_vrf vrf = { .name = "prod" };
static struct cfg_zone zone = { .name = "aws" };
static struct cfg_link cfg = {
	.name = "dx1", .vrf = &vrf, .zone = &zone, .src = { "/etc/lintas/lintas.conf", 31 }
};
static struct diag d;
static struct diag_lane *lane = &d.lanes[0];
static struct cfg_bgp_peer bgp;
static struct config *before;

static void begin(bool key)
{
	before = before ? before : control.running;
	control.running = &config;
	memset(&d, 0, sizeof(d));
	strcpy(d.name, "dx1");
	d.cfg = &cfg;
	bgp = (struct cfg_bgp_peer){ .present = true,
		.asn = 64512,
		.key = key ? "dx1" : NULL,
		.src = { "/etc/lintas/lintas.conf", 40 } };
	ip_addr_parse("169.254.10.1", &lane->peer);
	lane->d = &d;
	lane->af = AF_INET;
	lane->bgp = &bgp;
	lane->heard = -1;
}

static const struct diag_layer *tcp(bool key, uint8_t with, uint8_t without, uint8_t other,
	struct diag_md5 seen, enum diag_family layer)
{
	begin(key);
	lane->connects[DIAG_SIGNED] = with;
	lane->connects[DIAG_PLAIN] = without;
	lane->connects[DIAG_OTHER] = other;
	diag_verdict_tcp(lane, &seen);
	return &lane->layers[layer];
}

#define EXPECT(l, s, t)                            \
	do {                                       \
		const struct diag_layer *l_ = (l); \
		CU_ASSERT_EQUAL(l_->state, s);     \
		CU_ASSERT_EQUAL(l_->turn, t);      \
	} while (0)

static void test_tcp(void)
{
	const struct diag_md5 none = { .known = true }, wrong = { .known = true, .wrong = 3 },
			      missing = { .known = true, .missing = 2 },
			      unexpected = { .known = true, .unexpected = 2 };
	const uint8_t A = DIAG_ACCEPTED, R = DIAG_REFUSED, S = DIAG_SILENT, U = DIAG_UNREACHED;

	EXPECT(tcp(true, A, S, R, none, DIAG_TCP), DIAG_OK, DIAG_NOBODY);
	EXPECT(tcp(true, A, S, R, none, DIAG_MD5), DIAG_OK, DIAG_NOBODY);
	EXPECT(tcp(true, S, R, R, none, DIAG_TCP), DIAG_FAIL, DIAG_PROVIDER);
	EXPECT(tcp(true, S, A, R, none, DIAG_MD5), DIAG_FAIL, DIAG_PROVIDER);
	EXPECT(tcp(true, S, S, R, none, DIAG_TCP), DIAG_OK, DIAG_NOBODY);
	EXPECT(tcp(true, S, S, R, none, DIAG_MD5), DIAG_FAIL, DIAG_OURS);
	EXPECT(tcp(true, S, S, S, wrong, DIAG_MD5), DIAG_FAIL, DIAG_OURS);
	EXPECT(tcp(true, S, S, S, missing, DIAG_MD5), DIAG_FAIL, DIAG_PROVIDER);
	EXPECT(tcp(true, S, S, S, none, DIAG_TCP), DIAG_FAIL, DIAG_PROVIDER);
	EXPECT(tcp(true, S, U, U, none, DIAG_TCP), DIAG_FAIL, DIAG_OURS);
	EXPECT(tcp(false, S, A, R, none, DIAG_TCP), DIAG_OK, DIAG_NOBODY);
	EXPECT(tcp(false, S, A, R, none, DIAG_MD5), DIAG_SKIPPED, DIAG_NOBODY);
	EXPECT(tcp(false, S, R, R, none, DIAG_TCP), DIAG_FAIL, DIAG_PROVIDER);
	EXPECT(tcp(false, S, S, S, unexpected, DIAG_MD5), DIAG_FAIL, DIAG_OURS);
	EXPECT(tcp(false, S, S, S, none, DIAG_TCP), DIAG_FAIL, DIAG_PROVIDER);
	CU_ASSERT_PTR_NOT_NULL(strstr(tcp(true, S, S, S, wrong, DIAG_MD5)->todo, "lintas.conf:40"));
}

static void test_counters(void)
{
	struct diag_md5 m;

	diag_md5_parse("TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure X\n"
		       "TcpExt: 9 1 2 3 4\nIpExt: InNoRoutes\nIpExt: 7\n",
		&m);
	CU_ASSERT(m.known);
	CU_ASSERT_EQUAL(m.missing, 1);
	CU_ASSERT_EQUAL(m.unexpected, 2);
	CU_ASSERT_EQUAL(m.wrong, 3);
	diag_md5_parse("TcpExt: A TCPMD5Failure\nTcpExt: 1\n", &m); /* fewer values than names */
	CU_ASSERT_EQUAL(m.wrong, 0);
	diag_md5_parse("TcpExt: TCPMD5Failure", &m);
	CU_ASSERT(!m.known);
	diag_md5_parse("", &m);
	CU_ASSERT(!m.known);
}

static void frr(const char *peer, const char *bfd)
{
	json_decref(lane->peer_json);
	json_decref(d.bfd);
	begin(true);
	bgp.bfd = (struct cfg_bfd){ .enabled = true, .interval_ms = 300, .multiplier = 3 };
	lane->peer_json = json_loads(peer, 0, NULL);
	d.bfd = json_loads(bfd, 0, NULL);
}

#define UP                                                                          \
	"{\"169.254.10.1\": {\"bgpState\": \"Established\", \"remoteAs\": 64512, "  \
	"\"addressFamilyInfo\": {\"ipv4Unicast\": {\"acceptedPrefixCounter\": %s, " \
	"\"sentPrefixCounter\": 4}}}}"

static void up(const char *accepted)
{
	char text[512];

	snprintf(text, sizeof(text), UP, accepted);
	frr(text, "[{\"peer\": \"169.254.10.1\", \"vrf\": \"prod\", \"status\": \"up\"}]");
}

static void test_bgp(void)
{
	up("90");
	bgp.max_in = 100;
	diag_bgp(lane);
	EXPECT(&lane->layers[DIAG_BGP], DIAG_OK, DIAG_NOBODY);
	EXPECT(&lane->layers[DIAG_BFD], DIAG_OK, DIAG_NOBODY);
	EXPECT(&lane->layers[DIAG_PREFIXES], DIAG_OK, DIAG_NOBODY);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(lane->layers[DIAG_PREFIXES].text, "90 of 100 (near the limit)"));
	up("0");
	CU_ASSERT(diag_bgp_nothing(lane));
	lane->heard = 0;
	diag_bgp(lane);
	EXPECT(&lane->layers[DIAG_PREFIXES], DIAG_FAIL, DIAG_PROVIDER);
	up("0");
	lane->heard = 7;
	diag_bgp(lane);
	EXPECT(&lane->layers[DIAG_PREFIXES], DIAG_FAIL, DIAG_OURS);
	frr("{\"169.254.10.1\": {\"bgpState\": \"Idle\", \"lastErrorCodeSubcode\": \"0202\", "
	    "\"lastResetDueTo\": \"BGP Notification send\"}}",
		"[]");
	diag_bgp(lane);
	EXPECT(&lane->layers[DIAG_BGP], DIAG_FAIL, DIAG_PROVIDER);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(lane->layers[DIAG_BGP].text, "our side said: wrong AS number (2/2)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(lane->layers[DIAG_BGP].todo, "65010"));
	EXPECT(&lane->layers[DIAG_BFD], DIAG_FAIL, DIAG_OURS); /* FRR has none */
	EXPECT(&lane->layers[DIAG_PREFIXES], DIAG_SKIPPED, DIAG_NOBODY);
	json_decref(lane->peer_json);
	json_decref(d.bfd);
	lane->peer_json = d.bfd = NULL;
}

/* Whatever FRR prints, nothing is believed to be there. */
static void test_strange(void)
{
	static const char *const strange[] = {
		"{}", "[]", "{\"169.254.10.1\": 7}", "{\"169.254.10.1\": {\"bgpState\": 7}}",
		"{\"169.254.10.1\": {\"bgpState\": \"Established\"}}",
		"{\"169.254.10.1\": {\"bgpState\": \"Active\", \"lastErrorCodeSubcode\": \"zz\"}}",
		"{\"169.254.10.1\": {\"bgpState\": \"Active\", \"lastErrorCodeSubcode\": \"FFFF\"}}"
	};

	for (unsigned i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		frr(strange[i], i & 1 ? "{}" : "[1, {\"peer\": 3}]");
		diag_bgp(lane);
		CU_ASSERT(lane->layers[DIAG_BGP].state == DIAG_FAIL ||
			  lane->layers[DIAG_PREFIXES].state == DIAG_FAIL);
	}
	CU_ASSERT_EQUAL(diag_bgp_heard(NULL), -1);
	json_decref(lane->peer_json);
	json_decref(d.bfd);
	lane->peer_json = d.bfd = NULL;
}

static void test_tags(void)
{
	const struct dp_stray strays[] = {
		{ .n_tags = 1, .tpid = 0x8100, .vid = { 102 }, .packets = 9, .age_ms = 100 },
		{ .n_tags = 2, .tpid = 0x88a8, .vid = { 300, 41 }, .packets = 1, .age_ms = 200 },
		{ .n_tags = 0, .packets = 1, .age_ms = 99999999 },
	};
	struct diag_layer l = { 0 };

	struct diag_heard h = { .received = 5, .ever = 5, .sent = 6, .age_ms = 5000 };

	diag_verdict_tag(&l, &h, "VLAN 101", strays, 3);
	CU_ASSERT_EQUAL(l.state, DIAG_OK);
	h.received = 0;
	diag_verdict_tag(&l, &h, "VLAN 101", strays, 3);
	CU_ASSERT_EQUAL(l.state, DIAG_FAIL);
	CU_ASSERT_PTR_NOT_NULL(strstr(l.text, "VLAN 102 (9 frames"));
	CU_ASSERT_PTR_NOT_NULL(strstr(l.text, "QinQ 300.41 (0x88a8)"));
	CU_ASSERT_PTR_NULL(strstr(l.text, "untagged")); /* too long ago */
	h.age_ms = 90; /* they came before ours ended, not instead of it */
	diag_verdict_tag(&l, &h, "VLAN 101", strays, 3);
	CU_ASSERT_EQUAL(l.state, DIAG_UNKNOWN); /* nobody was asked: it may be a quiet link */
	diag_verdict_tag(&l, &h, "VLAN 101", strays, 0);
	CU_ASSERT_EQUAL(l.state, DIAG_UNKNOWN);
	h.asked = true;
	h.age_ms = 37000;
	diag_verdict_tag(&l, &h, "VLAN 101", strays, 0);
	CU_ASSERT_EQUAL(l.state, DIAG_FAIL);
	CU_ASSERT_PTR_NOT_NULL(strstr(l.text, "no frame arrived for 37 s"));
	CU_ASSERT_PTR_NOT_NULL(strstr(l.text, "6 sent"));
	h = (struct diag_heard){ .age_ms = -1 };
	diag_verdict_tag(&l, &h, "VLAN 101", strays, 0);
	CU_ASSERT_EQUAL(l.state, DIAG_FAIL);
}

static void test_probe(void)
{
	struct dp_probe conf = { .rate = 50 };
	struct dp_probe_stats stats = { .sent = 100, .received = 90 };
	struct estimate_report report = { .loss_1m_ppm = 100000, .p50_us = 1500 };
	struct probes_info info = { .conf = &conf, .word = "good", .why = "" };
	const struct diag_layer *l = &lane->layers[DIAG_PROBE];

	begin(false);
	ip_addr_parse("10.40.0.10", &conf.dst);
	diag_verdict_probe(lane, &info, &report, &stats);
	EXPECT(l, DIAG_OK, DIAG_NOBODY);
	CU_ASSERT_PTR_NOT_NULL(strstr(l->text, "90 answers to 100"));
	info.word = "waiting";
	diag_verdict_probe(lane, &info, &report, &stats);
	EXPECT(l, DIAG_UNKNOWN, DIAG_NOBODY);
	info = (struct probes_info){
		.conf = &conf, .state = HEALTH_GREY, .word = "grey", .why = "loss"
	};
	diag_verdict_probe(lane, &info, &report, &stats);
	EXPECT(l, DIAG_FAIL, DIAG_PROVIDER);
	CU_ASSERT_PTR_NOT_NULL(strstr(l->text, "grey (loss)"));
	info.problem = "no key";
	diag_verdict_probe(lane, &info, &report, &stats);
	CU_ASSERT_EQUAL(l->state, DIAG_UNKNOWN);
}

static void test_end(void)
{
	control.running = before;
}

void unit_diagnose(void)
{
	static const struct unit_test tests[] = {
		{ "tcp", test_tcp },
		{ "counters", test_counters },
		{ "bgp", test_bgp },
		{ "strange", test_strange },
		{ "tags", test_tags },
		{ "probe", test_probe },
		{ "end", test_end },
	};

	UNIT_SUITE("diagnose", tests);
}
