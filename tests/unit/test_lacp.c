/* LACP without a wire: two of our own face to face, a partner played by hand, frames made wrong one
 * octet at a time. Time is a number. */
#include <string.h>
#include "control/lacp.h"
#include "unit.h"

#define MS 1000000ull
#define S  (1000 * MS)

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static const uint8_t mac_c[6] = { 2, 0, 0, 0, 0, 0xc };

struct end {
	struct lacp l;
	struct end *peer;
	bool cut[LACP_MEMBERS_MAX]; /* what it sends there is lost */
	unsigned sent;
	struct lacp_pdu last[LACP_MEMBERS_MAX];
};

static struct end a, b;
static uint64_t now;

static void deliver(unsigned member, const struct lacp_pdu *pdu, void *arg)
{
	struct end *from = arg;
	uint8_t frame[LACP_FRAME_LEN];
	struct lacp_pdu got;
	const char *why;

	from->sent++;
	from->last[member] = *pdu;
	lacp_build(pdu, mac_a, frame);
	CU_ASSERT_EQUAL(lacp_parse(frame, sizeof(frame), &got, &why), LACP_PDU);
	CU_ASSERT(!memcmp(&got, pdu, sizeof(got)) || got.actor.state == pdu->actor.state);
	if (from->peer && !from->cut[member])
		lacp_receive(&from->peer->l, member, &got, now);
}

static void end_start(struct end *e, unsigned n, const uint8_t *mac, bool fast, struct end *peer)
{
	memset(e, 0, sizeof(*e));
	lacp_init(&e->l, n, mac, 7, fast);
	e->l.send = deliver;
	e->l.arg = e;
	e->peer = peer;
	for (unsigned i = 0; i < n; i++)
		lacp_enable(&e->l, i, true);
}

static void start(unsigned n, bool fast_a, bool fast_b)
{
	now = 100 * S;
	end_start(&a, n, mac_a, fast_a, &b);
	end_start(&b, n, mac_b, fast_b, &a);
}

/* Both, by the clock they ask for. */
static void pass(uint64_t ns)
{
	uint64_t end = now + ns;

	while (now < end) {
		uint64_t at_a = lacp_run(&a.l, now);
		uint64_t at_b = b.peer ? lacp_run(&b.l, now) : UINT64_MAX;
		uint64_t at = at_a < at_b ? at_a : at_b;

		now = at <= now ? now + MS : at < end ? at : end;
	}
	lacp_run(&a.l, now);
	if (b.peer)
		lacp_run(&b.l, now);
}

static void comes_up(void)
{
	for (unsigned mode = 0; mode < 4; mode++) {
		start(2, mode & 1, mode & 2);
		CU_ASSERT_EQUAL(lacp_distributing(&a.l), 0);
		pass(1900 * MS);
		CU_ASSERT_EQUAL(lacp_collecting(&a.l), 0); /* the wait of 6.4.15 */
		pass(1500 * MS);
		CU_ASSERT_EQUAL(lacp_distributing(&a.l), 3);
		CU_ASSERT_EQUAL(lacp_distributing(&b.l), 3);
		CU_ASSERT_PTR_NULL(lacp_why_not(&a.l.member[0]));
		CU_ASSERT_EQUAL(a.l.member[0].partner.port, 1);
		CU_ASSERT_EQUAL(a.l.member[1].actor.state & ~LACP_TIMEOUT,
			LACP_ACTIVITY | LACP_AGGREGATION | LACP_SYNC | LACP_COLLECTING |
				LACP_DISTRIBUTING);
		/* From now on the pace is what the other asks for. */
		a.sent = b.sent = 0;
		pass(60 * S);
		CU_ASSERT(mode & 2 ? a.sent >= 118 && a.sent <= 122 : a.sent >= 4 && a.sent <= 6);
		CU_ASSERT(mode & 1 ? b.sent >= 118 && b.sent <= 122 : b.sent >= 4 && b.sent <= 6);
		CU_ASSERT_EQUAL(lacp_distributing(&a.l), 3);
	}
}

static void one_is_legal(void)
{
	start(1, true, true);
	pass(4 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
}

static void silence_expires(void)
{
	uint64_t since;

	start(2, true, true);
	pass(10 * S);
	b.cut[1] = true;
	since = now;
	while (lacp_distributing(&a.l) == 3 && now < since + 10 * S)
		pass(50 * MS);
	CU_ASSERT(now - since <= 3100 * MS && now - since >= 1900 * MS);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
	CU_ASSERT_EQUAL(lacp_collecting(&a.l), 1);
	CU_ASSERT_EQUAL(a.l.member[1].rx, LACP_RX_EXPIRED);
	CU_ASSERT(a.l.member[1].actor.state & LACP_EXPIRED);
	CU_ASSERT_EQUAL(lacp_distributing(&b.l), 1); /* it is told by what we say */
	pass(3100 * MS);
	CU_ASSERT_EQUAL(a.l.member[1].rx, LACP_RX_DEFAULTED);
	CU_ASSERT_STRING_EQUAL(lacp_why_not(&a.l.member[1]), "no LACP from the partner");
	b.cut[1] = false;
	pass(5 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 3);
	CU_ASSERT_EQUAL(a.l.member[1].expirations, 1);
}

/* We end: the partner, which would wait 90 s for us, stops with our last frame. */
static void leaves(void)
{
	start(2, false, false);
	pass(40 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&b.l), 3);
	a.sent = 0;
	lacp_leave(&a.l, now);
	CU_ASSERT_EQUAL(a.sent, 2);
	CU_ASSERT(!(a.last[0].actor.state &
		    (LACP_AGGREGATION | LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING)));
	CU_ASSERT(a.last[0].actor.state & LACP_ACTIVITY);
	lacp_run(&b.l, now);
	CU_ASSERT_EQUAL(lacp_distributing(&b.l), 0);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 0);
}

static void slow_expires(void)
{
	start(1, false, false);
	pass(40 * S);
	b.cut[0] = true;
	pass(59 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
	pass(32 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 0);
}

static void carrier(void)
{
	start(3, true, true);
	pass(10 * S);
	lacp_enable(&a.l, 1, false);
	lacp_run(&a.l, now);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 5);
	CU_ASSERT_STRING_EQUAL(lacp_why_not(&a.l.member[1]), "no carrier");
	a.sent = 0;
	pass(60 * S);
	CU_ASSERT_EQUAL(a.last[1].actor.port, 2);
	CU_ASSERT(a.sent < 130); /* nothing is sent on it */
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 5);
	lacp_enable(&a.l, 1, true);
	pass(4 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 7);
	CU_ASSERT_EQUAL(lacp_distributing(&b.l), 7);
}

/* ---- a partner by hand ---- */
static struct lacp_pdu pdu_from(unsigned member, const uint8_t *mac, uint16_t key, uint8_t state)
{
	struct lacp_pdu pdu = { .partner = a.l.member[member].actor };

	pdu.actor = (struct lacp_info){ .system_priority = 1,
		.key = key,
		.port_priority = 1,
		.port = (uint16_t)(100 + member),
		.state = state };
	memcpy(pdu.actor.system, mac, 6);
	return pdu;
}

#define ALL (LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNC | LACP_COLLECTING)

static void say(unsigned member, const uint8_t *mac, uint16_t key, uint8_t state, uint64_t ns)
{
	for (uint64_t end = now + ns; now < end; now += 250 * MS) {
		struct lacp_pdu pdu = pdu_from(member, mac, key, state);

		lacp_receive(&a.l, member, &pdu, now);
		lacp_run(&a.l, now);
	}
}

static void alone(unsigned n)
{
	start(n, true, true);
	a.peer = b.peer = NULL;
	lacp_run(&a.l, now);
}

static void arcs(void)
{
	struct lacp_pdu pdu;

	alone(1);
	say(0, mac_b, 5, ALL & ~(LACP_SYNC | LACP_COLLECTING), 3 * S);
	CU_ASSERT_EQUAL(a.l.member[0].mux, LACP_ATTACHED);
	CU_ASSERT(a.last[0].actor.state & LACP_SYNC);
	CU_ASSERT_EQUAL(lacp_collecting(&a.l), 0);
	CU_ASSERT_STRING_EQUAL(lacp_why_not(&a.l.member[0]), "the partner is not in sync");
	say(0, mac_b, 5, ALL & ~LACP_COLLECTING, S);
	CU_ASSERT_EQUAL(lacp_collecting(&a.l), 1);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 0);
	say(0, mac_b, 5, ALL, S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
	/* It means somebody else: not in sync, whatever it says. */
	pdu = pdu_from(0, mac_b, 5, ALL);
	memcpy(pdu.partner.system, mac_c, 6);
	lacp_receive(&a.l, 0, &pdu, now);
	a.sent = 0;
	now += S;
	lacp_run(&a.l, now);
	CU_ASSERT_EQUAL(lacp_collecting(&a.l), 0);
	CU_ASSERT(a.sent > 0);
	say(0, mac_b, 5, ALL, S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
	/* Another key: it is another link, and waits again. */
	say(0, mac_b, 6, ALL, S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 0);
	CU_ASSERT_EQUAL(a.l.member[0].mux, LACP_WAITING);
	say(0, mac_b, 6, ALL, 2 * S);
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
}

static void which_partner(void)
{
	alone(3);
	for (unsigned k = 0; k < 20; k++) {
		say(0, mac_c, 9, ALL, 1);
		now -= 250 * MS;
		say(1, mac_b, 5, ALL, 1);
		now -= 250 * MS;
		say(2, mac_b, 5, ALL, 1);
	}
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 6); /* the many */
	CU_ASSERT_STRING_EQUAL(
		lacp_why_not(&a.l.member[0]), "another partner than the other members'");
	/* Looped to ourselves. */
	say(0, mac_a, 7, ALL, S);
	CU_ASSERT_STRING_EQUAL(lacp_why_not(&a.l.member[0]), "looped back to this router");
	/* Who takes single links gets one. */
	alone(2);
	for (unsigned k = 0; k < 20; k++) {
		say(0, mac_b, 5, ALL & ~LACP_AGGREGATION, 1);
		now -= 250 * MS;
		say(1, mac_b, 5, ALL & ~LACP_AGGREGATION, 1);
	}
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
}

static void speeds(void)
{
	alone(2);
	a.l.member[0].speed = 10000;
	a.l.member[1].speed = 1000;
	for (unsigned k = 0; k < 20; k++) {
		say(0, mac_b, 5, ALL, 1);
		now -= 250 * MS;
		say(1, mac_b, 5, ALL, 1);
	}
	CU_ASSERT_EQUAL(lacp_distributing(&a.l), 1);
	CU_ASSERT_STRING_EQUAL(
		lacp_why_not(&a.l.member[1]), "its speed differs from the other members'");
}

/* 6.4.16: never more than three a second, whatever the partner does. */
static void transmit_limit(void)
{
	alone(1);
	say(0, mac_b, 5, ALL, 4 * S);
	a.sent = 0;
	for (unsigned k = 0; k < 10000; k++) {
		struct lacp_pdu pdu = pdu_from(0, k & 1 ? mac_b : mac_c, 5, ALL);

		lacp_receive(&a.l, 0, &pdu, now);
		lacp_run(&a.l, now);
		now += MS;
	}
	CU_ASSERT(a.sent <= 33);
	CU_ASSERT(a.sent >= 27);
}

/* ---- octets ---- */
static void bytes(void)
{
	static const uint8_t want[LACP_FRAME_LEN] = { 0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 0xa,
		0x88, 0x09, 1, 1, 1, 20, 0x80, 0, 2, 0, 0, 0, 0, 0xa, 0x12, 0x34, 0xff, 0xff, 0, 3,
		0x3d, 0, 0, 0, 2, 20, 0, 1, 2, 0, 0, 0, 0, 0xb, 0, 9, 0, 2, 0x01, 0x02, 0x47, 0, 0,
		0, 3, 16 };
	const struct lacp_pdu pdu = {
		{ 0x8000, { 2, 0, 0, 0, 0, 0xa }, 0x1234, 0xffff, 3, 0x3d },
		{ 1, { 2, 0, 0, 0, 0, 0xb }, 9, 2, 0x102, 0x47 },
	};
	uint8_t frame[LACP_FRAME_LEN];

	lacp_build(&pdu, mac_a, frame);
	CU_ASSERT(!memcmp(frame, want, sizeof(want)));
}

static enum lacp_kind with(unsigned at, uint8_t value)
{
	struct lacp_pdu pdu = { .actor.system = { 2, 0, 0, 0, 0, 1 }, .actor.port = 1 };
	uint8_t frame[LACP_FRAME_LEN];
	const char *why;

	lacp_build(&pdu, mac_a, frame);
	frame[at] = value;
	enum lacp_kind kind = lacp_parse(frame, sizeof(frame), &pdu, &why);
	CU_ASSERT_EQUAL(kind == LACP_BAD, why != NULL);
	return kind;
}

static void malformed(void)
{
	static const unsigned fixed[] = { 0, 1, 2, 3, 4, 5, 12, 13, 17, 37, 57, 73 };
	uint8_t frame[LACP_FRAME_LEN];
	struct lacp_pdu pdu = { .actor.system = { 2 }, .actor.port = 1 };
	const char *why;

	CU_ASSERT_EQUAL(with(6, 2), LACP_PDU);
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		CU_ASSERT_EQUAL(with(fixed[i], 0x5a), LACP_BAD);
	CU_ASSERT_EQUAL(with(6, 3), LACP_BAD); /* group bit: source, both systems */
	CU_ASSERT_EQUAL(with(20, 3), LACP_BAD);
	CU_ASSERT_EQUAL(with(40, 1), LACP_BAD);
	CU_ASSERT_EQUAL(with(31, 0), LACP_BAD); /* port 0 */
	CU_ASSERT_EQUAL(with(14, 3), LACP_BAD); /* OAM */
	CU_ASSERT_EQUAL(with(15, 2), LACP_PDU); /* a later version */
	CU_ASSERT_EQUAL(with(16, 9), LACP_PDU); /* types are not checked: 6.4.12 */
	CU_ASSERT_EQUAL(with(100, 9), LACP_PDU);
	lacp_build(&pdu, mac_a, frame);
	for (unsigned len = 0; len < LACP_FRAME_LEN; len++)
		CU_ASSERT_EQUAL(lacp_parse(frame, len, &pdu, &why), LACP_BAD);
}

static void marker(void)
{
	uint8_t frame[LACP_FRAME_LEN] = { 0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 0xb, 0x88, 0x09,
		2, 1, 1, 16, 0, 5, 2, 0, 0, 0, 0, 0xb, 1, 2, 3, 4 },
		response[LACP_FRAME_LEN];
	struct lacp_pdu pdu;
	const char *why;

	CU_ASSERT_EQUAL(lacp_parse(frame, sizeof(frame), &pdu, &why), LACP_MARKER);
	lacp_build_response(frame, mac_a, response);
	CU_ASSERT_EQUAL(lacp_parse(response, sizeof(response), &pdu, &why), LACP_MARKER_RESPONSE);
	CU_ASSERT(!memcmp(response + 6, mac_a, 6));
	CU_ASSERT(!memcmp(response + 17, frame + 17, LACP_FRAME_LEN - 17));
	frame[17] = 15;
	CU_ASSERT_EQUAL(lacp_parse(frame, sizeof(frame), &pdu, &why), LACP_BAD);
}

void unit_lacp(void)
{
	static const struct unit_test tests[] = {
		{ "comes_up", comes_up },
		{ "one_is_legal", one_is_legal },
		{ "silence_expires", silence_expires },
		{ "leaves", leaves },
		{ "slow_expires", slow_expires },
		{ "carrier", carrier },
		{ "arcs", arcs },
		{ "which_partner", which_partner },
		{ "speeds", speeds },
		{ "transmit_limit", transmit_limit },
		{ "bytes", bytes },
		{ "malformed", malformed },
		{ "marker", marker },
	};

	UNIT_SUITE("lacp", tests);
}
