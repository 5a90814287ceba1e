/* BFD: every check of a received packet (RFC 5880 6.8.6), the state machine in all its states,
 * timers, and the messages of bfdd's data-plane socket. Time is in microseconds here and stands
 * still unless told; no EAL, no workers. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "control/bfd.h"
#include "dataplane/bfd.h"
#include "unit.h"

#define OURS   0x11223344u
#define THEIRS 0x55667788u
#define SEC    1000000ull

static const struct dp_bfd conf = { .link = 1,
	.discr = OURS,
	.min_tx_us = 300000,
	.min_rx_us = 300000,
	.multiplier = 3,
	.local = { AF_INET, { 10, 0, 0, 2 } },
	.peer = { AF_INET, { 10, 0, 0, 1 } } };

static const uint8_t good[BFD_LEN] = { 0x20, DP_BFD_UP << 6, 3, 24, 0x55, 0x66, 0x77, 0x88, 0x11,
	0x22, 0x33, 0x44, 0, 4, 0x93, 0xe0, 0, 4, 0x93, 0xe0 };

/* ---- packets ---- */
static void parse_rows(void)
{
	static const struct {
		int at;
		uint8_t value;
		unsigned len;
		int want;
	} rows[] = {
		{ 0, 0x20, 24, -1 }, { 0, 0x00, 24, DP_BFD_REJECT_version },
		{ 0, 0x40, 24, DP_BFD_REJECT_version },
		{ 0, 0x20, 3, DP_BFD_REJECT_length },  /* ends inside its first word */
		{ 0, 0x20, 23, DP_BFD_REJECT_length }, /* says more than there is */
		{ 0, 0x20, 40, -1 },		       /* what follows is padding */
		{ 3, 23, 24, DP_BFD_REJECT_length }, { 3, 0, 24, DP_BFD_REJECT_length },
		{ 3, 255, 24, DP_BFD_REJECT_length }, { 2, 0, 24, DP_BFD_REJECT_multiplier },
		{ 1, DP_BFD_UP << 6 | 1, 24, DP_BFD_REJECT_multipoint },
		{ 1, DP_BFD_UP << 6 | 4, 24, DP_BFD_REJECT_length }, /* authentication wants 26 */
		{ 1, DP_BFD_UP << 6 | 0x28, 24, -1 }, /* poll and control plane independent */
	};
	uint8_t p[64];
	struct bfd_control c;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(p, 0, sizeof(p));
		memcpy(p, good, sizeof(good));
		p[rows[i].at] = rows[i].value;
		CU_ASSERT_EQUAL(bfd_parse(p, rows[i].len, &c), rows[i].want);
	}
	memcpy(p, good, sizeof(good));
	p[1] |= 4;
	p[3] = 26;
	CU_ASSERT_EQUAL(bfd_parse(p, 26, &c), DP_BFD_REJECT_auth);
	memcpy(p, good, sizeof(good));
	memset(p + 4, 0, 4);
	CU_ASSERT_EQUAL(bfd_parse(p, 24, &c), DP_BFD_REJECT_my_discr);
	memcpy(p, good, sizeof(good));
	memset(p + 8, 0, 4);
	for (int state = 0; state < 4; state++) {
		p[1] = (uint8_t)(state << 6);
		CU_ASSERT_EQUAL(
			bfd_parse(p, 24, &c), state > DP_BFD_DOWN ? DP_BFD_REJECT_your_zero : -1);
	}
	CU_ASSERT_EQUAL(bfd_parse(good, 24, &c), -1);
	CU_ASSERT(c.state == DP_BFD_UP && c.mult == 3 && c.my_discr == THEIRS &&
		  c.your_discr == OURS && c.min_tx_us == 300000 && c.min_rx_us == 300000 &&
		  !c.min_echo_us && !c.poll && !c.final);
}

/* ---- the machine ---- */
static struct bfd_control says(uint8_t state)
{
	return (struct bfd_control){ .state = state,
		.mult = 3,
		.my_discr = THEIRS,
		.your_discr = OURS,
		.min_tx_us = 300000,
		.min_rx_us = 300000 };
}

static unsigned hear(struct bfd_session *s, uint8_t state, uint64_t now)
{
	struct bfd_control c = says(state);
	unsigned act;

	CU_ASSERT_EQUAL(bfd_session_receive(s, &c, now, 0, &act), -1);
	return act;
}

static struct bfd_session in_state(uint8_t state)
{
	struct bfd_session s = { 0 };

	bfd_session_set(&s, &conf, true, 0, 0);
	bfd_session_sent(&s, 0, 0);
	if (state == DP_BFD_INIT || state == DP_BFD_UP)
		hear(&s, DP_BFD_DOWN, 0);
	if (state == DP_BFD_UP)
		hear(&s, DP_BFD_UP, 0);
	return s;
}

/* RFC 5880 6.2 and 6.8.6: from each state, what each received state leads to. */
static void machine_table(void)
{
	static const uint8_t want[4][4] = {
		[DP_BFD_DOWN] = { DP_BFD_DOWN, DP_BFD_INIT, DP_BFD_UP, DP_BFD_DOWN },
		[DP_BFD_INIT] = { DP_BFD_DOWN, DP_BFD_INIT, DP_BFD_UP, DP_BFD_UP },
		[DP_BFD_UP] = { DP_BFD_DOWN, DP_BFD_DOWN, DP_BFD_UP, DP_BFD_UP },
	};

	for (uint8_t from = DP_BFD_DOWN; from <= DP_BFD_UP; from++)
		for (uint8_t heard = 0; heard < 4; heard++) {
			struct bfd_session s = in_state(from);
			unsigned act;

			CU_ASSERT_EQUAL(s.state, from);
			act = hear(&s, heard, 10);
			CU_ASSERT_EQUAL(s.state, want[from][heard]);
			CU_ASSERT_EQUAL(!!(act & BFD_CHANGED), s.state != from);
			if (from == DP_BFD_UP && s.state == DP_BFD_DOWN)
				CU_ASSERT_EQUAL(s.diag, DP_BFD_NEIGHBOR_DOWN);
		}
}

static void wrong_session(void)
{
	struct bfd_session s = in_state(DP_BFD_UP);
	struct bfd_control c = says(DP_BFD_DOWN);
	unsigned act;

	c.your_discr = OURS + 1;
	CU_ASSERT_EQUAL(bfd_session_receive(&s, &c, 10, 0, &act), DP_BFD_REJECT_your_discr);
	CU_ASSERT(s.state == DP_BFD_UP && !act && s.rx == 2);
}

/* Only who is new, not passive and has not spoken takes a peer's Up at its word. */
static void resume(void)
{
	struct dp_bfd passive = conf;
	struct bfd_session s = { 0 };

	bfd_session_set(&s, &conf, true, 0, 0);
	CU_ASSERT(bfd_session_due(&s) >= 3 * SEC / 4); /* the window */
	CU_ASSERT(hear(&s, DP_BFD_UP, 100) & BFD_CHANGED);
	CU_ASSERT_EQUAL(s.state, DP_BFD_UP);
	bfd_session_set(&s, &conf, true, 0, 0);
	bfd_session_sent(&s, 50, 0);
	hear(&s, DP_BFD_UP, 100);
	CU_ASSERT_EQUAL(s.state, DP_BFD_DOWN);
	bfd_session_set(&s, &conf, true, 0, 0);
	hear(&s, DP_BFD_UP, SEC); /* could not send, but the second is over */
	CU_ASSERT_EQUAL(s.state, DP_BFD_DOWN);
	passive.passive = true;
	bfd_session_set(&s, &passive, true, 0, 0);
	hear(&s, DP_BFD_UP, 100);
	CU_ASSERT_EQUAL(s.state, DP_BFD_DOWN);
}

static void administrative(void)
{
	struct bfd_session s = in_state(DP_BFD_UP);
	struct dp_bfd shut = conf;
	struct bfd_control c = says(DP_BFD_UP);
	unsigned act;
	uint8_t p[BFD_LEN];

	shut.shut = true;
	CU_ASSERT(bfd_session_set(&s, &shut, false, 10, 0) & BFD_CHANGED);
	CU_ASSERT(s.state == DP_BFD_ADMIN_DOWN && s.diag == DP_BFD_ADMINISTRATIVE && s.downs == 1);
	CU_ASSERT_EQUAL(bfd_session_receive(&s, &c, 20, 0, &act), DP_BFD_REJECT_shut);
	bfd_build(&s, false, p);
	CU_ASSERT_EQUAL(p[0], 0x27);
	CU_ASSERT_EQUAL(p[1], 0);
	CU_ASSERT(bfd_session_set(&s, &conf, false, 30, 0) & BFD_CHANGED);
	CU_ASSERT_EQUAL(s.state, DP_BFD_DOWN);
}

/* ---- timers ---- */
static void detection(void)
{
	struct bfd_session s = in_state(DP_BFD_UP);
	unsigned act;

	hear(&s, DP_BFD_UP, 10);
	CU_ASSERT_EQUAL(bfd_session_detect_us(&s), 3 * BFD_SLOW_US / 10 * 3); /* 900 ms */
	bfd_session_tick(&s, 10 + 899999, 0, false);
	CU_ASSERT_EQUAL(s.state, DP_BFD_UP);
	bfd_session_tick(&s, 10 + 900001, 0, true); /* what waits in the ring may be its packet */
	CU_ASSERT_EQUAL(s.state, DP_BFD_UP);
	act = bfd_session_tick(&s, 10 + 900001, 0, false);
	CU_ASSERT(s.state == DP_BFD_DOWN && s.diag == DP_BFD_EXPIRED && act & BFD_CHANGED &&
		  act & BFD_SEND);
	CU_ASSERT(s.silence_us == 900001 && !s.remote_discr && s.downs == 1);
	s = in_state(DP_BFD_UP);
	hear(&s, DP_BFD_UP, 10);
	bfd_session_tick(&s, 10 + 900001 + 20000, 0, true); /* but not for ever */
	CU_ASSERT_EQUAL(s.state, DP_BFD_DOWN);
}

/* The longest a peer can ask for, in the ticks of a CPU's clock. */
static void long_detection(void)
{
	static const uint8_t mults[] = { 3, 255 };
	uint64_t hz = bfd_hz;

	bfd_hz = 3000000000;
	for (unsigned i = 0; i < sizeof(mults); i++) {
		struct bfd_session s = in_state(DP_BFD_UP);
		struct bfd_control c = says(DP_BFD_UP);
		unsigned act;

		c.min_tx_us = UINT32_MAX;
		c.mult = mults[i];
		bfd_session_receive(&s, &c, 10, 0, &act);
		CU_ASSERT_EQUAL(s.detect_due, 10 + mults[i] * (uint64_t)UINT32_MAX * 3000);
	}
	bfd_hz = hz;
}

static void jitter(void)
{
	struct bfd_session s = in_state(DP_BFD_UP);
	struct dp_bfd one = conf;
	struct bfd_control c = says(DP_BFD_UP);
	unsigned act;

	c.final = true;
	bfd_session_receive(&s, &c, 0, 0, &act);
	one.multiplier = 1;
	for (int m = 0; m < 2; m++) {
		uint64_t least = UINT64_MAX, most = 0;

		for (uint64_t r = 0; r < 65536; r += 5) {
			bfd_session_sent(&s, 0, r);
			least = s.tx_due < least ? s.tx_due : least;
			most = s.tx_due > most ? s.tx_due : most;
		}
		CU_ASSERT(least >= 225000 && least < 225100);
		CU_ASSERT(most <= (m ? 270000 : 300000) && most > (m ? 269000 : 299000));
		bfd_session_set(&s, &one, false, 0, 0);
	}
}

static void slow_start(void)
{
	struct bfd_session s = in_state(DP_BFD_DOWN);
	uint8_t p[BFD_LEN];

	CU_ASSERT_EQUAL(bfd_session_tx_us(&s), BFD_SLOW_US);
	bfd_build(&s, false, p);
	CU_ASSERT(!memcmp(p + 12, "\0\x0f\x42\x40", 4)); /* says a second, too */
	hear(&s, DP_BFD_DOWN, 0);
	CU_ASSERT_EQUAL(bfd_session_tx_us(&s), BFD_SLOW_US);
	hear(&s, DP_BFD_INIT, 0);
	CU_ASSERT_EQUAL(bfd_session_tx_us(&s), 300000);
	CU_ASSERT(s.polling);
	bfd_build(&s, false, p);
	CU_ASSERT_EQUAL(p[1], DP_BFD_UP << 6 | 0x20);
	bfd_build(&s, true, p); /* never both bits */
	CU_ASSERT_EQUAL(p[1], DP_BFD_UP << 6 | 0x10);
}

/* RFC 5880 6.8.3: slower sending and quicker detection wait for the peer's final bit. */
static void poll_sequence(void)
{
	struct bfd_session s = in_state(DP_BFD_UP);
	struct bfd_control c = says(DP_BFD_UP);
	struct dp_bfd other = conf;
	unsigned act;

	c.final = true;
	bfd_session_receive(&s, &c, 0, 0, &act);
	CU_ASSERT(!s.polling);
	other.min_tx_us = 500000;
	other.min_rx_us = 100000;
	CU_ASSERT(bfd_session_set(&s, &other, false, 10, 0) & BFD_SEND);
	CU_ASSERT(s.polling && bfd_session_tx_us(&s) == 300000 && s.used_rx_us == 300000);
	CU_ASSERT(s.tell_tx_us == 500000 && s.tell_rx_us == 100000);
	bfd_session_receive(&s, &c, 20, 0, &act);
	CU_ASSERT(!s.polling && bfd_session_tx_us(&s) == 500000 && s.used_rx_us == 100000);
	c.final = false;
	c.poll = true;
	bfd_session_receive(&s, &c, 30, 0, &act);
	CU_ASSERT(act & BFD_FINAL);
}

static void silence(void)
{
	struct dp_bfd passive = conf;
	struct bfd_session s = { 0 };
	struct bfd_control c = says(DP_BFD_UP);
	unsigned act;

	passive.passive = true;
	bfd_session_set(&s, &passive, true, 0, 0);
	CU_ASSERT_EQUAL(bfd_session_due(&s), BFD_NEVER);
	CU_ASSERT(hear(&s, DP_BFD_DOWN, 5) & BFD_SEND);
	CU_ASSERT(s.state == DP_BFD_INIT && s.tx_due != BFD_NEVER);
	s = in_state(DP_BFD_UP);
	c.min_rx_us = 0; /* RFC 5880 6.8.7: it wants none */
	bfd_session_receive(&s, &c, 5, 0, &act);
	CU_ASSERT_EQUAL(s.tx_due, BFD_NEVER);
	c = says(DP_BFD_UP);
	c.final = c.demand = true;
	bfd_session_receive(&s, &c, 5, 0, &act);
	CU_ASSERT_EQUAL(s.tx_due, BFD_NEVER);
}

/* ---- bfdd's socket ---- */
static void message_rows(void)
{
	uint8_t m[200] = { 1, 0, 0, BFD_ADD, 0, 0, 0, 140 }, *p = m + 8;
	struct bfd_message got;
	const char *why;

	p[20] = 10, p[23] = 1, p[39] = 7, p[61] = 3;
	p[42] = 1, p[46] = 1;
	strcpy((char *)p + 68, "aws-dx1");
	for (unsigned len = 0; len < 140; len++)
		CU_ASSERT_EQUAL(bfd_message_parse(m, len, &got, &why), -EAGAIN);
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), 0);
	CU_ASSERT(got.wanted.lid == 7 && got.wanted.peer.af == AF_INET &&
		  got.wanted.multiplier == 3 && got.wanted.min_tx_us == 256 &&
		  !strcmp(got.wanted.ifname, "aws-dx1") && !got.wanted.local.af);
	memset(p + 68, 'x', 64); /* a name that never ends */
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EINVAL);
	memset(p + 68, 0, 64);
	p[61] = 0;
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EINVAL);
	m[7] = 139; /* shorter than its type */
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EINVAL);
	CU_ASSERT_EQUAL(got.length, 139);
	m[7] = 7; /* shorter than a header: would never end */
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EPROTO);
	m[7] = 140, m[6] = 0xff;
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EPROTO);
	m[6] = 0, m[0] = 2;
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EPROTO);
	m[0] = 1, m[3] = 99;
	CU_ASSERT_EQUAL(bfd_message_parse(m, 140, &got, &why), -EINVAL);
}

void unit_bfd(void)
{
	static const struct unit_test tests[] = {
		{ "parse_rows", parse_rows },
		{ "machine_table", machine_table },
		{ "wrong_session", wrong_session },
		{ "resume", resume },
		{ "administrative", administrative },
		{ "detection", detection },
		{ "long_detection", long_detection },
		{ "jitter", jitter },
		{ "slow_start", slow_start },
		{ "poll_sequence", poll_sequence },
		{ "silence", silence },
		{ "message_rows", message_rows },
	};

	UNIT_SUITE("bfd", tests);
}
