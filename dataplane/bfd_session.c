/* One BFD session (RFC 5880, asynchronous mode): packet checks, state machine, timers. Pure: time
 * and chance are arguments, what is to be sent or told is the return value. bfd.c calls it on the
 * worker that owns the session.
 *
 * One thing is ours. A session that is not passive, is less than a second old, has not sent
 * anything yet and hears from its peer that it is Up with us is Up at once, under the discriminator
 * the peer knows: that peer has not noticed that we were restarted, and the RFC's handshake would
 * tell it so. Slow start leaves most of that second anyway, but what cannot be sent must not
 * lengthen it. */
#include <string.h>
#include "bfd.h"
#include "flow.h"

#define VERSION	    1
#define AUTH_MIN    26
#define BIT_POLL    0x20
#define BIT_FINAL   0x10
#define BIT_CPI	    0x08
#define BIT_AUTH    0x04
#define BIT_DEMAND  0x02
#define BIT_MULTI   0x01
#define AGAIN_US    100000  /* after what could not be sent */
#define RESUME_US   1000000 /* after a session's start: may be Up without a handshake */
#define PATIENCE_US 20000   /* how long packets that wait to be read may put off a detection */

uint64_t bfd_hz = 1000000;

const char *const dp_bfd_reject_names[DP_BFD_REJECT_COUNT] = {
#define BFD_REJECT(name, text, rfc) #name,
#include "bfd.def"
#undef BFD_REJECT
};

static uint64_t ticks(uint64_t us)
{
	return (uint64_t)((unsigned __int128)us * bfd_hz /
			  1000000); /* the wire's us fill 40 bits */
}

static uint64_t to_us(uint64_t t)
{
	return (uint64_t)((double)t * 1e6 / (double)bfd_hz);
}

static void put_be32(uint8_t *p, uint32_t x)
{
	x = rte_cpu_to_be_32(x);
	memcpy(p, &x, sizeof(x));
}

/* ---- packets ---- */
int bfd_parse(const uint8_t *p, unsigned len, struct bfd_control *ret)
{
	uint8_t flags;

	if (len < 4)
		return DP_BFD_REJECT_length;
	if (p[0] >> 5 != VERSION) /* RFC 5880 6.8.6 (1) */
		return DP_BFD_REJECT_version;
	flags = p[1] & 0x3f;
	if (p[3] < (flags & BIT_AUTH ? AUTH_MIN : BFD_LEN)) /* RFC 5880 6.8.6 (2) */
		return DP_BFD_REJECT_length;
	if (p[3] > len) /* RFC 5880 6.8.6 (3) */
		return DP_BFD_REJECT_length;
	if (!p[2]) /* RFC 5880 6.8.6 (4) */
		return DP_BFD_REJECT_multiplier;
	if (flags & BIT_MULTI) /* RFC 5880 6.8.6 (5) */
		return DP_BFD_REJECT_multipoint;
	*ret = (struct bfd_control){
		.diag = p[0] & 0x1f,
		.state = p[1] >> 6,
		.mult = p[2],
		.poll = flags & BIT_POLL,
		.final = flags & BIT_FINAL,
		.cpi = flags & BIT_CPI,
		.demand = flags & BIT_DEMAND,
		.my_discr = flow_be32(p + 4),
		.your_discr = flow_be32(p + 8),
		.min_tx_us = flow_be32(p + 12),
		.min_rx_us = flow_be32(p + 16),
		.min_echo_us = flow_be32(p + 20),
	};
	if (!ret->my_discr) /* RFC 5880 6.8.6 (6) */
		return DP_BFD_REJECT_my_discr;
	if (!ret->your_discr && ret->state > DP_BFD_DOWN) /* RFC 5880 6.8.6 (8) */
		return DP_BFD_REJECT_your_zero;
	if (flags & BIT_AUTH) /* RFC 5880 6.8.6 (10); (11), (12): no session of ours has it */
		return DP_BFD_REJECT_auth;
	return -1;
}

void bfd_build(const struct bfd_session *s, bool final, uint8_t out[BFD_LEN])
{
	/* Not independent of control's plane (C = 0): who restarts us restarts forwarding too. */
	out[0] = (uint8_t)(VERSION << 5 | s->diag);
	out[1] = (uint8_t)(s->state << 6 | (final ? BIT_FINAL : s->polling ? BIT_POLL : 0));
	out[2] = s->conf.multiplier;
	out[3] = BFD_LEN;
	put_be32(out + 4, s->discr);
	put_be32(out + 8, s->remote_discr);
	put_be32(out + 12, s->tell_tx_us);
	put_be32(out + 16, s->tell_rx_us);
	put_be32(out + 20, 0); /* RFC 5880 6.8.1: no echo wanted */
}

/* ---- timers ---- */
uint64_t bfd_session_tx_us(const struct bfd_session *s) /* RFC 5880 6.8.2 */
{
	return RTE_MAX(s->used_tx_us, s->remote_min_rx_us);
}

uint64_t bfd_session_detect_us(const struct bfd_session *s) /* RFC 5880 6.8.4 */
{
	return (uint64_t)s->remote_mult * RTE_MAX(s->used_rx_us, s->remote_min_tx_us);
}

/* RFC 5880 6.8.7: when silence is demanded. */
static bool mute(const struct bfd_session *s)
{
	if (s->conf.passive && !s->remote_discr)
		return true;
	if (!s->remote_min_rx_us)
		return true;
	return s->remote_demand && s->state == DP_BFD_UP && s->remote_state == DP_BFD_UP &&
	       !s->polling;
}

/* RFC 5880 6.8.7: 75 to 100 %, to 90 % when one lost packet is a detection. */
static uint64_t jittered(const struct bfd_session *s, uint64_t random)
{
	uint64_t interval = ticks(bfd_session_tx_us(s));
	uint64_t span = s->conf.multiplier == 1 ? interval * 15 / 100 : interval / 4;

	return interval * 3 / 4 + (span * (random & 0xffff) >> 16);
}

/* After anything it depends on may have changed: never later than before, or the peer would wait
 * for what used to come. */
static void reschedule(struct bfd_session *s, uint64_t now, uint64_t random)
{
	uint64_t due, us = bfd_session_tx_us(s);

	if (mute(s)) {
		s->tx_due = BFD_NEVER;
		return;
	}
	if (s->tx_due != BFD_NEVER && us == s->tx_due_us)
		return; /* another draw would make the mean shorter */
	due = (s->spoken ? s->tx_last : now) + jittered(s, random);
	if (due < s->tx_due)
		s->tx_due = RTE_MAX(due, now);
	s->tx_due_us = us;
}

/* RFC 5880 6.8.3: what we announce, and what we go by until the peer has confirmed it. */
static void retime(struct bfd_session *s)
{
	bool up = s->state == DP_BFD_UP;
	uint32_t tx = up ? s->conf.min_tx_us : RTE_MAX(s->conf.min_tx_us, BFD_SLOW_US);
	uint32_t rx = s->conf.min_rx_us;

	if (tx == s->tell_tx_us && rx == s->tell_rx_us)
		return;
	s->tell_tx_us = tx;
	s->tell_rx_us = rx;
	s->polling = up;
	s->used_tx_us = up ? RTE_MIN(s->used_tx_us, tx) : tx;
	s->used_rx_us = up ? RTE_MAX(s->used_rx_us, rx) : rx;
}

static unsigned state_set(struct bfd_session *s, uint8_t state, uint8_t diag, uint64_t now)
{
	if (s->state == DP_BFD_UP && state != DP_BFD_UP) {
		s->downs++;
		s->silence_us = to_us(now - s->rx_last);
	}
	if (state == DP_BFD_UP)
		s->ups++;
	s->state = state;
	s->diag = diag;
	s->since = now;
	s->polling = false;
	retime(s);
	return BFD_CHANGED | BFD_SEND;
}

uint64_t bfd_session_due(const struct bfd_session *s)
{
	return RTE_MIN(s->tx_due, s->detect_due);
}

void bfd_session_sent(struct bfd_session *s, uint64_t now, uint64_t random)
{
	s->tx_last = now;
	s->spoken = true;
	s->tx_due = mute(s) ? BFD_NEVER : now + jittered(s, random);
	s->tx_due_us = bfd_session_tx_us(s);
}

void bfd_session_unsent(struct bfd_session *s, uint64_t now)
{
	s->unsent++;
	s->tx_due = now + ticks(RTE_MIN(bfd_session_tx_us(s), AGAIN_US));
	s->tx_due_us = 0;
}

/* ---- what happens ---- */
static void session_new(struct bfd_session *s, const struct dp_bfd *conf, uint64_t now)
{
	memset(s, 0, sizeof(*s));
	s->conf = *conf;
	s->discr = conf->discr;
	s->state = conf->shut ? DP_BFD_ADMIN_DOWN : DP_BFD_DOWN;
	s->diag = conf->shut ? DP_BFD_ADMINISTRATIVE : DP_BFD_NO_DIAG;
	s->remote_state = DP_BFD_DOWN;
	s->remote_min_rx_us = 1; /* RFC 5880 6.8.1 */
	s->since = s->rx_last = now;
	s->tx_due = s->detect_due = BFD_NEVER;
	retime(s);
}

unsigned bfd_session_set(
	struct bfd_session *s, const struct dp_bfd *conf, bool fresh, uint64_t now, uint64_t random)
{
	bool was_shut = !fresh && s->conf.shut;
	unsigned act = 0;

	if (fresh) {
		session_new(s, conf, now);
	} else {
		s->conf = *conf;
		if (conf->shut != was_shut)
			act = state_set(s, conf->shut ? DP_BFD_ADMIN_DOWN : DP_BFD_DOWN,
				conf->shut ? DP_BFD_ADMINISTRATIVE : DP_BFD_NO_DIAG, now);
		retime(s);
		if (s->polling)
			act |= BFD_SEND; /* soon, rather than after an interval that may be long */
	}
	reschedule(s, now, random);
	return act;
}

static bool resumes(const struct bfd_session *s, const struct bfd_control *c, uint64_t now)
{
	return c->state == DP_BFD_UP && s->state == DP_BFD_DOWN && !s->spoken && !s->conf.passive &&
	       now - s->since < ticks(RESUME_US); /* see above */
}

/* RFC 5880 6.8.6, last part. */
static unsigned machine(struct bfd_session *s, const struct bfd_control *c, uint64_t now)
{
	if (c->state == DP_BFD_ADMIN_DOWN)
		return s->state == DP_BFD_DOWN
			       ? 0
			       : state_set(s, DP_BFD_DOWN, DP_BFD_NEIGHBOR_DOWN, now);
	switch (s->state) {
	case DP_BFD_DOWN:
		if (resumes(s, c, now))
			return state_set(s, DP_BFD_UP, DP_BFD_NO_DIAG, now);
		if (c->state == DP_BFD_DOWN)
			return state_set(s, DP_BFD_INIT, s->diag, now);
		if (c->state == DP_BFD_INIT)
			return state_set(s, DP_BFD_UP, DP_BFD_NO_DIAG, now);
		return 0;
	case DP_BFD_INIT:
		return c->state >= DP_BFD_INIT ? state_set(s, DP_BFD_UP, DP_BFD_NO_DIAG, now) : 0;
	default:
		return c->state == DP_BFD_DOWN
			       ? state_set(s, DP_BFD_DOWN, DP_BFD_NEIGHBOR_DOWN, now)
			       : 0;
	}
}

int bfd_session_receive(struct bfd_session *s, const struct bfd_control *c, uint64_t now,
	uint64_t random, unsigned *ret_act)
{
	*ret_act = 0;
	if (resumes(s, c, now))
		s->discr = c->your_discr;		/* what it knows us by */
	if (c->your_discr && c->your_discr != s->discr) /* RFC 5880 6.8.6 (7) */
		return DP_BFD_REJECT_your_discr;
	if (s->state == DP_BFD_UP)
		s->longest_us = RTE_MAX(s->longest_us, to_us(now - s->rx_last));
	s->rx++;
	s->remote_discr = c->my_discr; /* RFC 5880 6.8.6 (13) to (17) */
	s->remote_state = c->state;
	s->remote_diag = c->diag;
	s->remote_demand = c->demand;
	s->remote_cpi = c->cpi;
	s->remote_mult = c->mult;
	s->remote_min_tx_us = c->min_tx_us;
	s->remote_min_rx_us = c->min_rx_us;
	s->remote_echo_us = c->min_echo_us;
	if (s->polling && c->final) { /* RFC 5880 6.8.6 (18) */
		s->polling = false;
		s->used_tx_us = s->tell_tx_us;
		s->used_rx_us = s->tell_rx_us;
	}
	if (s->state == DP_BFD_ADMIN_DOWN) /* RFC 5880 6.8.6 (21) */
		return DP_BFD_REJECT_shut;
	*ret_act = machine(s, c, now);
	s->rx_last = now;
	s->detect_due = now + ticks(bfd_session_detect_us(s));
	reschedule(s, now, random);
	if (c->poll) /* RFC 5880 6.8.6, last: at once, whatever the timers say */
		*ret_act |= BFD_FINAL;
	return -1;
}

unsigned bfd_session_tick(struct bfd_session *s, uint64_t now, uint64_t random, bool more)
{
	unsigned act = 0;

	if (now >= s->detect_due) {
		if (more && now < s->detect_due + ticks(PATIENCE_US))
			return now >= s->tx_due ? BFD_SEND : 0;
		s->detect_due = BFD_NEVER;
		s->remote_discr = 0; /* RFC 5880 6.8.1 */
		s->remote_min_rx_us = 1;
		s->remote_demand = false;
		if (s->state == DP_BFD_INIT || s->state == DP_BFD_UP) /* RFC 5880 6.8.4 */
			act = state_set(s, DP_BFD_DOWN, DP_BFD_EXPIRED, now);
		s->remote_state = DP_BFD_DOWN;
		reschedule(s, now, random);
		if (mute(s))
			act &= ~(unsigned)BFD_SEND;
	}
	return now >= s->tx_due ? act | BFD_SEND : act;
}
