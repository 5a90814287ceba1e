/* charon: what is rendered for it, what is understood of its answers and of its log; text that is
 * cut or nonsense has no effect but a shorter answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "confdir.h"
#include "control/swan.h"
#include "unit.h"

static const char *const raw =
	"list-sa event {vpn-a {uniqueid=3 version=2 state=ESTABLISHED local-host=198.51.100.10 "
	"local-port=4500 local-id=198.51.100.10 remote-host=192.0.2.33 remote-port=4500 "
	"remote-id=192.0.2.33 initiator=yes initiator-spi=aa responder-spi=bb nat-remote=yes "
	"nat-any=yes encr-alg=AES_GCM_16 encr-keysize=256 prf-alg=PRF_HMAC_SHA2_384 "
	"dh-group=ECP_384 established=12 rekey-time=28000 tasks-active=[IKE_A IKE_B] child-sas "
	"{vpn-a-7 {name=vpn-a uniqueid=7 reqid=1 state=REKEYED mode=TUNNEL protocol=ESP "
	"spi-in=c1 spi-out=c2 encr-alg=AES_GCM_16 encr-keysize=256 bytes-in=5 install-time=9} "
	"vpn-a-8 {name=vpn-a uniqueid=8 reqid=1 state=INSTALLED mode=TUNNEL protocol=ESP encap=yes "
	"spi-in=cafe0001 spi-out=cafe0002 encr-alg=AES_CBC encr-keysize=128 "
	"integ-alg=HMAC_SHA2_256_128 bytes-in=840 packets-in=10 use-in=1 bytes-out=84 "
	"packets-out=1 "
	"rekey-time=2900 life-time=3600 install-time=2 local-ts=[0.0.0.0/0 ::/0] "
	"remote-ts=[0.0.0.0/0 ::/0]}}}}\n"
	"list-sa event {vpn-b {uniqueid=4 version=2 state=CONNECTING remote-host=192.0.2.34 "
	"tasks-active=[IKE_INIT]}}\n"
	"list-sas reply {}\n";

static void test_parse(void)
{
	struct swan_sa *sas = NULL;
	unsigned n = 0;

	CU_ASSERT_EQUAL_FATAL(swan_parse(raw, &sas, &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_STRING_EQUAL(sas[0].name, "vpn-a");
	CU_ASSERT_STRING_EQUAL(sas[0].state, "ESTABLISHED");
	CU_ASSERT_STRING_EQUAL(sas[0].remote, "192.0.2.33");
	CU_ASSERT_STRING_EQUAL(sas[0].ike, "AES_GCM_16-256/PRF_HMAC_SHA2_384/ECP_384");
	CU_ASSERT_STRING_EQUAL(sas[0].esp, "AES_CBC-128/HMAC_SHA2_256_128");
	CU_ASSERT_STRING_EQUAL(sas[0].child_state, "INSTALLED");
	CU_ASSERT_EQUAL(sas[0].children, 2);
	CU_ASSERT_EQUAL(sas[0].spi_in, 0xcafe0001);
	CU_ASSERT_EQUAL(sas[0].packets_in, 10);
	CU_ASSERT_EQUAL(sas[0].since_s, 12);
	CU_ASSERT_EQUAL(sas[0].child_rekey_s, 2900);
	CU_ASSERT(sas[0].initiator && sas[0].nat_any && sas[0].udp);
	CU_ASSERT_STRING_EQUAL(sas[1].name, "vpn-b");
	CU_ASSERT_STRING_EQUAL(sas[1].state, "CONNECTING");
	CU_ASSERT_EQUAL(sas[1].children, 0);
	CU_ASSERT_EQUAL(sas[1].since_s, -1);
	free(sas);
}

/* Cut at every byte, and every byte replaced: it ends, and no more is found than there is. */
static void test_parse_damaged(void)
{
	size_t len = strlen(raw);
	char *text = strdup(raw);
	static const char with[] = "{}=[] \n";
	struct swan_sa *sas;
	unsigned n;

	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		text[i] = '\0';
		sas = NULL;
		CU_ASSERT_EQUAL(swan_parse(text, &sas, &n), 0);
		CU_ASSERT(n <= 2);
		free(sas);
		text[i] = with[i % (sizeof(with) - 1)];
		sas = NULL;
		CU_ASSERT_EQUAL(swan_parse(text, &sas, &n), 0);
		CU_ASSERT(n <= 64);
		free(sas);
		text[i] = was;
	}
	free(text);
	text = malloc(100001);
	memset(text, '{', 100000);
	text[100000] = '\0';
	sas = NULL;
	CU_ASSERT_EQUAL(swan_parse(text, &sas, &n), 0);
	free(sas);
	free(text);
}

static void test_log(void)
{
	static const struct {
		const char *line, *name;
		enum swan_fault fault;
		bool up;
	} rows[] = {
		{ "08[IKE] <vpn-a|3> received AUTHENTICATION_FAILED notify error", "vpn-a",
			SWAN_AUTH, false },
		{ "08[IKE] <vpn-a|3> received NO_PROPOSAL_CHOSEN notify error", "vpn-a",
			SWAN_NO_PROPOSAL, false },
		{ "08[IKE] <vpn-a|3> received NO_PROPOSAL_CHOSEN notify, no CHILD_SA built",
			"vpn-a", SWAN_NO_PROPOSAL_ESP, false },
		{ "08[IKE] <b|3> received TS_UNACCEPTABLE notify, no CHILD_SA built", "b", SWAN_TS,
			false },
		{ "08[IKE] <b|3> giving up after 5 retransmits", "b", SWAN_SILENT, false },
		{ "08[IKE] <b|3> IKE_SA b[3] established between 1[1]...2[2]", "b", SWAN_FINE,
			true },
		{ "08[IKE] <b|3> CHILD_SA b{1} established with SPIs c_i d_o", "b", SWAN_FINE,
			true },
		{ "08[IKE] <3> giving up after 5 retransmits", NULL, SWAN_FAULTS, false },
		{ "08[IKE] <a-name-that-is-far-too-long|3> giving up after 5", NULL, SWAN_FAULTS,
			false },
		{ "08[IKE] <b|3> sending keep alive", "b", SWAN_FAULTS, false },
		{ "<|> giving up after", NULL, SWAN_FAULTS, false },
		{ "", NULL, SWAN_FAULTS, false },
	};
	char name[CFG_NAME_MAX];
	bool up;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		name[0] = '\0';
		CU_ASSERT_EQUAL(swan_log_line(rows[i].line, name, &up), rows[i].fault);
		CU_ASSERT_EQUAL(up, rows[i].up);
		if (rows[i].name)
			CU_ASSERT_STRING_EQUAL(name, rows[i].name);
	}
	for (unsigned i = 1; i < SWAN_FAULTS; i++)
		CU_ASSERT(strlen(swan_fault_names[i]) > 3 && strlen(swan_fault_advice[i]) > 20);
}

static char *render(const struct config *config, const char *vrf, unsigned *ret_n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(swan_render(config, config_vrf(config, vrf), out, ret_n), 0);
	fclose(out);
	return text;
}

static void test_render(void)
{
	struct config *config;
	char *text, id[40];
	unsigned n = 9;

	confdir_make();
	config = confdir_load("providers/golden-aws-s2s-tgw.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	text = render(config, "inet", &n);
	CU_ASSERT_EQUAL(n, 2);
	snprintf(id, sizeof(id), "if_id_in = %u\n", config_if_id(config_link(config, "vpn-a")));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, id));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "remote_addrs = 192.0.2.34\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "proposals = aes256gcm16-aes128gcm16-prfsha512-"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "life_time = 3600s\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "rekey_time = 3330s\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "dpd_delay = 40s\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "mobike = no\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "start_action = start\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "sha1"));
	/* the key in hex, so that no character of it means anything to charon's parser */
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "secret = 0x5871372e72545f346d507a4c39774b6532735662\n"));
	free(text);
	text = render(config, "prod", &n);
	CU_ASSERT_EQUAL(n, 0);
	free(text);
	/* gone between check and use: the connection stays, its secret is left out */
	remove(confdir_path("providers/keys/psk"));
	text = render(config, "inet", &n);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_PTR_NULL(strstr(text, "secret = "));
	free(text);
	config_free(config);
	confdir_clean();
}

/* Where this process writes: does a text lie there? */
static bool lies_in_memory(const char *text, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[400], *part;
	bool found = false;

	while (!found && maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, "[heap]"))
			continue;
		for (unsigned long at = from; at + len <= to && !found; at++) {
			part = (char *)at;
			found = part[0] == text[0] && !memcmp(part, text, len);
		}
	}
	if (maps)
		fclose(maps);
	return found;
}

/* What is handed to charon holds the key; the heap does not, afterwards. */
static void test_rendered(void)
{
	static const uint8_t hidden[] = "secret = 0x5871372e72545f346d507a4c39774b6532735662";
	struct config *before = control.running;
	uint8_t digest[32];
	char text[8192];
	unsigned n = 0;
	ssize_t len;
	int fd;

	confdir_make();
	control.running = confdir_load("providers/golden-aws-s2s-tgw.conf");
	CU_ASSERT_PTR_NOT_NULL_FATAL(control.running);
	memset(text, 0, sizeof(text));
	fd = swan_rendered(config_vrf(control.running, "inet"), digest, &n);
	CU_ASSERT(fd >= 0 && n == 2);
	CU_ASSERT_FALSE(lies_in_memory((const char *)hidden, sizeof(hidden) - 1));
	len = pread(fd, text, sizeof(text) - 1, 0);
	CU_ASSERT(len > 0 && strstr(text, (const char *)hidden));
	close(fd);
	config_free(control.running);
	control.running = before;
	confdir_clean();
}

void unit_swan(void)
{
	static const struct unit_test tests[] = {
		{ "charon's SAs", test_parse },
		{ "charon's SAs, damaged", test_parse_damaged },
		{ "charon's log", test_log },
		{ "connections, handed over", test_rendered },
		{ "connections", test_render },
	};

	UNIT_SUITE("swan", tests);
}
