/* VRRP: the packets byte for byte as scapy makes them, every check of RFC 9568 7.1, and the state
 * machine of 6.4 with a clock of its own. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/vrrp_machine.h"
#include "unit.h"

#define CS UINT64_C(10000000)

/* From 10.1.0.3 / fe80::3: VRID 10, priority 150, 20 cs. */
static const char plain4[] = "01005e00001200005e00010a080045c0002000000000ff70d0970a010003e00000123"
			     "10a960100142de10a0100fe";
static const char pseudo4[] = "01005e00001200005e00010a080045c0002000000000ff70d0970a010003e0000012"
			      "310a96010014434e0a0100fe";
static const char advert6[] = "33330000001200005e00020a86dd6c000000002870fffe8000000000000000000000"
			      "00000003ff02000000000000"
			      "0000000000000012310a960200143e1cfe800000000000000000000000000001fd10"
			      "00010000000000000000000000"
			      "fe";
static const char arp[] =
	"ffffffffffff00005e00010a0806000108000604000100005e00010a0a0100fe0000000000000a0100fe";
static const char advertisement[] =
	"33330000000100005e00020a86dd6c00000000203afffe800000000000000000000000000003ff020000000000"
	"00"
	"000000000000000188007a01a0000000fd1000010000000000000000000000fe020100005e00020a";

static size_t bytes(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
	return n;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	CU_ASSERT_EQUAL_FATAL(ip_addr_parse(text, &a), 0);
	return a;
}

static struct vrrp_advert wanted(bool v6, bool pseudo)
{
	struct vrrp_advert a = { .af = v6 ? AF_INET6 : AF_INET,
		.vrid = 10,
		.priority = 150,
		.pseudo = pseudo,
		.interval_cs = 20,
		.source = addr(v6 ? "fe80::3" : "10.1.0.3"),
		.n = v6 ? 2 : 1 };

	a.address[0] = addr(v6 ? "fe80::1" : "10.1.0.254");
	if (v6)
		a.address[1] = addr("fd10:1::fe");
	return a;
}

/* What is built is what scapy builds, and is read back. */
static void test_golden(void)
{
	static const struct {
		const char *hex;
		bool v6, pseudo;
	} rows[] = { { plain4, false, false }, { pseudo4, false, true }, { advert6, true, true } };
	uint8_t want[VRRP_FRAME_MAX], have[VRRP_FRAME_MAX];
	struct vrrp_advert a, got;
	struct ip_addr source;
	size_t n;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		a = wanted(rows[i].v6, rows[i].pseudo);
		n = bytes(rows[i].hex, want);
		CU_ASSERT_EQUAL_FATAL(vrrp_build(&a, have), n);
		CU_ASSERT(!memcmp(have, want, n));
		CU_ASSERT_EQUAL(vrrp_parse(want, n, &got), VRRP_FINE);
		CU_ASSERT(!memcmp(&got, &a, sizeof(a)));
	}
	a.address[0] = addr("10.1.0.254");
	source = addr("fe80::3");
	n = bytes(arp, want);
	CU_ASSERT_EQUAL(vrrp_announce(10, &a.address[0], &source, have), n);
	CU_ASSERT(!memcmp(have, want, n));
	n = bytes(advertisement, want);
	CU_ASSERT_EQUAL(vrrp_announce(10, &a.address[1], &source, have), n);
	CU_ASSERT(!memcmp(have, want, n));
}

/* RFC 9568 7.1, a row a check: one byte is changed; sums that cover it are made right again. */
static void test_refused(void)
{
	static const struct {
		const char *hex;
		unsigned at;
		uint8_t value;
		enum vrrp_error error;
	} rows[] = {
		{ plain4, 22, 254, VRRP_BAD_TTL },
		{ advert6, 21, 64, VRRP_BAD_TTL },
		{ plain4, 34, 0x21, VRRP_BAD_VERSION },
		{ advert6, 54, 0x41, VRRP_BAD_VERSION },
		{ plain4, 34, 0x32, VRRP_BAD_TYPE },
		{ advert6, 54, 0x30, VRRP_BAD_TYPE },
		{ plain4, 37, 0, VRRP_BAD_LENGTH },
		{ plain4, 37, 2, VRRP_BAD_LENGTH },
		{ advert6, 57, 3, VRRP_BAD_LENGTH },
		{ plain4, 36, 151, VRRP_BAD_CHECKSUM },
		{ pseudo4, 36, 151, VRRP_BAD_CHECKSUM },
		{ advert6, 56, 151, VRRP_BAD_CHECKSUM },
		{ advert6, 39, 0xff, VRRP_BAD_IP }, /* another group */
		{ plain4, 33, 0x13, VRRP_BAD_IP },
		{ plain4, 23, 17, VRRP_BAD_IP },
		{ plain4, 20, 0x20, VRRP_BAD_IP }, /* a fragment */
		{ plain4, 21, 1, VRRP_BAD_IP },
		{ plain4, 14, 0x55, VRRP_BAD_IP },
		{ plain4, 14, 0x44, VRRP_BAD_IP },
		{ plain4, 17, 33, VRRP_BAD_IP }, /* longer than the frame */
		{ plain4, 17, 19, VRRP_BAD_IP },
		{ plain4, 17, 27, VRRP_BAD_LENGTH },
		{ plain4, 17, 31, VRRP_BAD_LENGTH },
		{ advert6, 14, 0x4c, VRRP_BAD_IP },
		{ advert6, 19, 0x29, VRRP_BAD_IP },
		{ advert6, 20, 58, VRRP_BAD_IP },
		{ advert6, 19, 7, VRRP_BAD_LENGTH },
		{ plain4, 13, 0x06, VRRP_BAD_IP },
	};
	uint8_t frame[VRRP_FRAME_MAX];
	struct vrrp_advert got;
	size_t n;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = bytes(rows[i].hex, frame);
		frame[rows[i].at] = rows[i].value;
		CU_ASSERT_EQUAL(vrrp_parse(frame, n, &got), rows[i].error);
	}
	n = bytes(advert6, frame); /* IPv6 without its pseudo header is wrong, whoever reads it */
	frame[60] = frame[61] = 0;
	CU_ASSERT_EQUAL(vrrp_parse(frame, n, &got), VRRP_BAD_CHECKSUM);
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1); /* a byte too far is seen under SAN=1 */

		memcpy(copy, frame, cut);
		CU_ASSERT_NOT_EQUAL(vrrp_parse(copy, cut, &got), VRRP_FINE);
		free(copy);
	}
}

/* What is odd and allowed: padding, IP options, more addresses than we keep, reserved bits. */
static void test_accepted(void)
{
	struct vrrp_advert a = wanted(false, false), got;
	uint8_t frame[2048] = { 0 };
	size_t n = vrrp_build(&a, frame);

	CU_ASSERT_EQUAL(vrrp_parse(frame, n + 14, &got), VRRP_FINE); /* to 60 octets */
	a.interval_cs = VRRP_INTERVAL_MAX;
	a.priority = 255;
	a.n = VRRP_ADDRESSES_MAX;
	for (unsigned i = 0; i < a.n; i++)
		a.address[i] = addr("10.1.0.254");
	n = vrrp_build(&a, frame);
	CU_ASSERT_EQUAL(vrrp_parse(frame, n, &got), VRRP_FINE);
	CU_ASSERT(got.n == VRRP_ADDRESSES_MAX && got.interval_cs == 4095 && got.priority == 255);
}

/* ---- the machine ---- */
static struct vrrp_machine machine(uint8_t priority, bool preempt)
{
	struct vrrp_machine m = { 0 };

	vrrp_change(&m, priority, preempt, 100, 0);
	return m;
}

static struct vrrp_advert from(const char *source, uint8_t priority)
{
	return (struct vrrp_advert){
		.af = AF_INET, .priority = priority, .interval_cs = 100, .source = addr(source)
	};
}

static void test_election(void)
{
	struct vrrp_machine m = machine(100, true);
	struct ip_addr own = addr("10.1.0.2");
	struct vrrp_advert a;
	uint64_t down = 300 * CS + 156 * 100 * CS / 256; /* 6.1 */

	CU_ASSERT_EQUAL(vrrp_due(&m, 5), 0);
	CU_ASSERT_EQUAL(vrrp_start(&m, 1000), 0);
	CU_ASSERT(m.state == VRRP_BACKUP && m.due_ns == 1000 + down);
	CU_ASSERT_EQUAL(vrrp_due(&m, m.due_ns - 1), 0);
	CU_ASSERT_EQUAL(vrrp_due(&m, m.due_ns), VRRP_TAKE | VRRP_SEND);
	CU_ASSERT_EQUAL(m.state, VRRP_ACTIVE);
	CU_ASSERT_EQUAL(vrrp_due(&m, m.due_ns), VRRP_SEND); /* 6.4.3 (605) */
	a = from("10.1.0.3", 99);			    /* less: we say that it is us */
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1000 * CS), VRRP_SEND);
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1001 * CS), 0); /* not for every word */
	a.priority = 0;
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1100 * CS), VRRP_SEND);
	CU_ASSERT_EQUAL(m.state, VRRP_ACTIVE);
	a = from("10.1.0.1", 100); /* the same, from a lower address */
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1200 * CS), VRRP_SEND);
	a = from("10.1.0.3", 100); /* from a higher one */
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1300 * CS), VRRP_LEAVE);
	CU_ASSERT(m.state == VRRP_BACKUP && m.due_ns == 1300 * CS + down);
	a = from("10.1.0.1", 101);
	m.state = VRRP_ACTIVE;
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1400 * CS), VRRP_LEAVE);
	CU_ASSERT_EQUAL(vrrp_stop(&m), 0);
	CU_ASSERT(m.state == VRRP_INITIALIZE && !m.due_ns);
	CU_ASSERT_EQUAL(vrrp_hear(&m, &a, &own, 1500 * CS), 0);
	m.state = VRRP_ACTIVE;
	CU_ASSERT_EQUAL(vrrp_stop(&m), VRRP_LEAVE | VRRP_RESIGN);
}

static void test_backup(void)
{
	struct vrrp_machine m = machine(100, true);
	struct ip_addr own = addr("10.1.0.2");
	struct vrrp_advert a = from("10.1.0.3", 150);
	uint64_t skew = 156 * 100 * CS / 256;

	vrrp_start(&m, 0);
	vrrp_hear(&m, &a, &own, 50 * CS);
	CU_ASSERT_EQUAL(m.due_ns, 350 * CS + skew);
	a.interval_cs = 20; /* its interval counts, not ours: 6.4.2 */
	vrrp_hear(&m, &a, &own, 100 * CS);
	CU_ASSERT_EQUAL(m.due_ns, 160 * CS + 156 * 20 * CS / 256);
	a.interval_cs = 0; /* nobody's */
	vrrp_hear(&m, &a, &own, 100 * CS);
	CU_ASSERT_EQUAL(m.due_ns, 400 * CS + skew);
	a.priority = 50; /* less than ours: not heard */
	vrrp_hear(&m, &a, &own, 200 * CS);
	CU_ASSERT_EQUAL(m.due_ns, 400 * CS + skew);
	a.priority = 0; /* it goes: the skew alone */
	vrrp_hear(&m, &a, &own, 250 * CS);
	CU_ASSERT_EQUAL(m.due_ns, 250 * CS + skew);
	m = machine(100, false);
	vrrp_start(&m, 0);
	a = from("10.1.0.3", 50);
	vrrp_hear(&m, &a, &own, 200 * CS); /* no preemption: anybody is heard */
	CU_ASSERT_EQUAL(m.due_ns, 500 * CS + skew);
}

/* What a reload changes takes effect without a change of state. */
static void test_change(void)
{
	struct vrrp_machine m = machine(100, true);
	uint64_t due;

	vrrp_start(&m, 0);
	due = m.due_ns;
	vrrp_change(&m, 100, true, 100, 50 * CS);
	CU_ASSERT_EQUAL(m.due_ns, due); /* nothing changed */
	vrrp_change(&m, 200, true, 100, 50 * CS);
	CU_ASSERT(m.state == VRRP_BACKUP && m.due_ns == 350 * CS + 56 * 100 * CS / 256);
	vrrp_due(&m, m.due_ns);
	vrrp_change(&m, 50, false, 10, 1000 * CS);
	CU_ASSERT(m.state == VRRP_ACTIVE && m.due_ns == 1000 * CS); /* all shall know at once */
	CU_ASSERT_EQUAL(vrrp_due(&m, 1000 * CS), VRRP_SEND);
	CU_ASSERT_EQUAL(m.due_ns, 1010 * CS);
}

void unit_vrrp(void)
{
	static const struct unit_test tests[] = {
		{ "golden", test_golden },
		{ "refused", test_refused },
		{ "accepted", test_accepted },
		{ "election", test_election },
		{ "backup", test_backup },
		{ "change", test_change },
	};

	UNIT_SUITE("vrrp", tests);
}
