/* What is control when a port is overloaded: frames by hand, every cut of them, and what only looks
 * like it. */
#include <stdlib.h>
#include <string.h>
#include <CUnit/CUnit.h>
#include "dataplane/shed.h"
#include "unit.h"

static uint8_t frame[128];

/* An Ethernet frame with so many tags and an IP packet of that protocol and destination port. */
static unsigned make(unsigned tags, bool v6, uint8_t proto, uint16_t port)
{
	unsigned at = 12;

	memset(frame, 0, sizeof(frame));
	for (unsigned i = 0; i < tags; i++, at += 4)
		memcpy(frame + at, (uint8_t[]){ 0x81, 0, 0, 101 }, 4);
	memcpy(frame + at, v6 ? (uint8_t[]){ 0x86, 0xdd } : (uint8_t[]){ 8, 0 }, 2);
	at += 2;
	frame[at] = v6 ? 0x60 : 0x45;
	frame[at + (v6 ? 6 : 9)] = proto;
	at += v6 ? 40 : 20;
	frame[at + 2] = (uint8_t)(port >> 8);
	frame[at + 3] = (uint8_t)port;
	return at + 8;
}

static void test_control(void)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
		bool control;
	} rows[] = { { 17, 3784, true }, { 17, 4784, true }, { 17, 500, true }, { 6, 179, true },
		{ 112, 0, true }, { 17, 53, false }, { 6, 443, false }, { 50, 0, false } };

	for (unsigned tags = 0; tags < 3; tags++)
		for (unsigned v6 = 0; v6 < 2; v6++)
			for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
				unsigned len = make(tags, v6, rows[i].proto, rows[i].port);

				CU_ASSERT_EQUAL(shed_is_control(frame, len), rows[i].control);
			}
	memcpy(frame + 12, (uint8_t[]){ 0x08, 0x06 }, 2);
	CU_ASSERT_TRUE(shed_is_control(frame, 60));
	memcpy(frame + 12, (uint8_t[]){ 0x88, 0x09 }, 2);
	CU_ASSERT_TRUE(shed_is_control(frame, 60));
	make(0, true, 58, 0);
	frame[54] = 135; /* neighbour solicitation */
	CU_ASSERT_TRUE(shed_is_control(frame, 62));
	frame[54] = 128; /* echo */
	CU_ASSERT_FALSE(shed_is_control(frame, 62));
}

/* Behind a NAT IKE shares its port with ESP: four zeros tell them apart. */
static void test_ike_nat(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		unsigned len = make(1, v6, 17, 4500) + 4;

		CU_ASSERT_TRUE(shed_is_control(frame, len));
		CU_ASSERT_FALSE(shed_is_control(frame, len - 1));
		frame[len - 1] = 1;
		CU_ASSERT_FALSE(shed_is_control(frame, len));
	}
}

/* A later fragment has no ports; three tags are nobody's; a header that reaches past the end. */
static void test_looks_like(void)
{
	unsigned len = make(0, false, 17, 3784);

	frame[20] = 1;
	CU_ASSERT_FALSE(shed_is_control(frame, len));
	CU_ASSERT_FALSE(shed_is_control(frame, make(3, false, 17, 3784)));
	len = make(0, false, 17, 3784);
	frame[14] = 0x4f;
	CU_ASSERT_FALSE(shed_is_control(frame, len));
}

/* Nothing is read past the end: the sanitizers watch a copy of exactly that size. */
static void test_cut(void)
{
	unsigned len = make(2, true, 17, 3784);

	for (unsigned cut = 0; cut <= len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, frame, cut);
		CU_ASSERT_EQUAL(shed_is_control(copy, cut), cut >= len - 4);
		free(copy);
	}
}

/* A frame now and then, or one of thousands, is no overload. */
static void test_loss(void)
{
	CU_ASSERT_FALSE(shed_is_loss(0, 0));
	CU_ASSERT_FALSE(shed_is_loss(15, 0));
	CU_ASSERT_FALSE(shed_is_loss(16, 16000));
	CU_ASSERT_TRUE(shed_is_loss(16, 0));
	CU_ASSERT_TRUE(shed_is_loss(17, 16000));
}

/* One look with losses is a burst; then it rises look by look to its most, and falls as fast as
 * looks come without; said once each. */
static void test_share(void)
{
	struct shed_state s = { 0 };
	unsigned before = 0;

	for (unsigned i = 0; i < 8; i++) { /* a burst every other look */
		CU_ASSERT_EQUAL(shed_step(&s, i % 2), SHED_SILENT);
		CU_ASSERT_EQUAL(s.share, 0);
	}
	CU_ASSERT_EQUAL(shed_step(&s, true), SHED_BEGINS);
	for (unsigned i = 0; i < 20; i++) {
		CU_ASSERT_TRUE(s.share > before || s.share == SHED_SHARE_MAX);
		before = s.share;
		CU_ASSERT_EQUAL(shed_step(&s, true), SHED_SILENT);
	}
	for (unsigned i = 0; i < SHED_SHARE_MAX; i++)
		CU_ASSERT_EQUAL(shed_step(&s, false), SHED_SILENT);
	CU_ASSERT_EQUAL(s.share, 0);
	for (unsigned i = SHED_SHARE_MAX + 1; i < 2000 / SHED_LOOK_MS; i++)
		CU_ASSERT_EQUAL(shed_step(&s, false), SHED_SILENT);
	CU_ASSERT_EQUAL(shed_step(&s, false), SHED_ENDS);
	CU_ASSERT_EQUAL(shed_step(&s, false), SHED_SILENT);
}

void unit_shed(void)
{
	static const struct unit_test tests[] = {
		{ "control", test_control },
		{ "ike_nat", test_ike_nat },
		{ "looks_like", test_looks_like },
		{ "cut", test_cut },
		{ "loss", test_loss },
		{ "share", test_share },
	};

	UNIT_SUITE("shed", tests);
}
