/* A kernel's SAs, followed: an outbound one is used only when it was heard how it was made,
 * whatever is lost, listed again, changed or refused in between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/xfrm_mirror.h"
#include "sas_rig.h"
#include "unit.h"

/* ---- a kernel's SAs, followed: what it says comes out of a socket pair ---- */
static void say(int kernel, struct nlmsghdr *h, uint16_t type, uint16_t flags, uint32_t seq)
{
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_seq = seq;
	CU_ASSERT_EQUAL(send(kernel, h, h->nlmsg_len, 0), (ssize_t)h->nlmsg_len);
	event_base_loop(control.base, EVLOOP_NONBLOCK);
}

static void say_done(int kernel, uint32_t seq)
{
	struct nlmsghdr done = { .nlmsg_len = sizeof(done) };

	say(kernel, &done, NLMSG_DONE, NLM_F_MULTI, seq);
}

struct follow {
	struct stream s;
	struct nlmsghdr *in, *out, *out2, *del;
	int ends[2];
};

static void follow_begin(struct follow *f)
{
	sas_rig_begin();
	sas_rig_load(&f->s);
	xfrm_mirror_start();
	f->in = stream_find(&f->s, XFRM_MSG_UPDSA, 0);
	f->out = stream_find(&f->s, XFRM_MSG_NEWSA, 0);
	f->out2 = stream_find(&f->s, XFRM_MSG_NEWSA, 1);
	f->del = stream_find(&f->s, XFRM_MSG_DELSA, 0);
	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, f->ends);
}

static void follow_end(struct follow *f)
{
	xfrm_mirror_stop();
	CU_ASSERT_EQUAL(sas_stats.sas, 0);
	close(f->ends[1]);
	sas_rig_end();
	stream_free(&f->s);
}

/* The next thing said to the kernel; 0: nothing within wait_ms. */
static uint16_t told(struct follow *f, unsigned wait_ms, uint32_t *ret_seq)
{
	uint8_t buf[1024] __attribute__((aligned(8)));
	const struct nlmsghdr *said = (struct nlmsghdr *)buf;
	uint64_t until = now_ns() + wait_ms * 1000000ull;
	ssize_t n;

	while ((n = recv(f->ends[1], buf, sizeof(buf), MSG_DONTWAIT)) < 0 && now_ns() < until)
		event_base_loop(control.base, EVLOOP_NONBLOCK);
	if (n > 0 && ret_seq)
		*ret_seq = said->nlmsg_seq;
	return n > 0 ? said->nlmsg_type : 0;
}

static void of_the_kernel(void)
{
	struct follow f;

	follow_begin(&f);
	CU_ASSERT_EQUAL(xfrm_mirror_attach(sas_rig.vrf, f.ends[0]), 0);
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_GETSA);
	/* there before us: inbound is taken, outbound never: the kernel is told that it expires */
	say(f.ends[1], f.in, XFRM_MSG_NEWSA, NLM_F_MULTI, 1);
	say(f.ends[1], f.out, XFRM_MSG_NEWSA, NLM_F_MULTI, 1);
	say_done(f.ends[1], 1);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	/* what comes now is new */
	say(f.ends[1], f.out2, XFRM_MSG_NEWSA, 0, 0);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(sas_stats.sas, 2);
	say(f.ends[1], f.del, XFRM_MSG_DELSA, 0, 0); /* of the one that was not taken */
	CU_ASSERT_EQUAL(sas_stats.sas, 2);
	/* a limit of ours becomes the kernel's */
	sas_rig.fake.info[sas_rig_out()->index].state = DP_SA_SOFT;
	sas_event((unsigned)sas_rig_out()->index);
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	follow_end(&f);
}

/* More than the buffer holds: something was missed. Of the bytes nothing stays. */
static void say_too_much(int kernel)
{
	extern char __data_start, _end;
	static uint8_t much[40000]; /* wiped again before the search */
	uint8_t pattern[32];

	for (unsigned i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(0xa5 ^ i * 37);
	for (unsigned i = 0; i + 32 <= sizeof(much); i += 32)
		memcpy(much + i, pattern, 32);
	CU_ASSERT_EQUAL(send(kernel, much, sizeof(much), 0), (ssize_t)sizeof(much));
	memset(much, 0, sizeof(much));
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	CU_ASSERT_PTR_NULL(memmem(&__data_start, (size_t)(&_end - &__data_start), pattern, 32));
}

/* Messages were lost and all is listed again: what was not used is not used now either. */
static void listed_again(void)
{
	struct follow f;
	uint32_t seq = 0;
	uint32_t spi;

	follow_begin(&f);
	CU_ASSERT_EQUAL(xfrm_mirror_attach(sas_rig.vrf, f.ends[0]), 0);
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_GETSA);
	say(f.ends[1], f.out, XFRM_MSG_NEWSA, NLM_F_MULTI, 1);
	say_done(f.ends[1], 1);
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	say_too_much(f.ends[1]);
	CU_ASSERT_EQUAL(told(&f, 0, &seq), XFRM_MSG_GETSA);
	say(f.ends[1], f.in, XFRM_MSG_NEWSA, NLM_F_MULTI, seq);
	say(f.ends[1], f.out, XFRM_MSG_NEWSA, NLM_F_MULTI, seq);
	say_done(f.ends[1], seq);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	/* nor when somebody changes it */
	say(f.ends[1], f.out, XFRM_MSG_UPDSA, 0, 0);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	/* one that we saw made goes on when it is listed; one that we dropped does not return */
	say(f.ends[1], f.out2, XFRM_MSG_NEWSA, 0, 0);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	spi = sas_rig_out()->key.spi;
	for (unsigned i = 0; i < 3; i++) {
		say_too_much(f.ends[1]);
		CU_ASSERT_EQUAL(told(&f, 0, &seq), XFRM_MSG_GETSA);
		say(f.ends[1], f.in, XFRM_MSG_NEWSA, NLM_F_MULTI, seq);
		if (i != 1)
			say(f.ends[1], f.out2, XFRM_MSG_NEWSA, NLM_F_MULTI, seq);
		say_done(f.ends[1], seq);
		CU_ASSERT_EQUAL(sas_link_ready(sas_rig.vpn), i == 0);
		CU_ASSERT(i || sas_rig_out()->key.spi == spi);
	}
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_EXPIRE);
	follow_end(&f);
}

/* The kernel refuses to list them, or cannot be asked: asked again until it does. */
static void not_listed(void)
{
	struct nlmsghdr filler = { .nlmsg_len = sizeof(filler) };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} busy = { .h = { .nlmsg_len = sizeof(busy) },
		.e = { .error = -EBUSY, .msg.nlmsg_type = XFRM_MSG_GETSA } };
	struct follow f;
	uint32_t seq = 0, before;

	follow_begin(&f);
	while (send(f.ends[0], &filler, sizeof(filler), 0) > 0)
		;
	CU_ASSERT_EQUAL(xfrm_mirror_attach(sas_rig.vrf, f.ends[0]), 0);
	while (recv(f.ends[1], &filler, sizeof(filler), 0) > 0)
		;
	CU_ASSERT_EQUAL(told(&f, 3000, &seq), XFRM_MSG_GETSA);
	before = seq;
	busy.e.msg.nlmsg_seq = seq;
	say(f.ends[1], &busy.h, NLMSG_ERROR, 0, seq);
	CU_ASSERT_EQUAL(told(&f, 3000, &seq), XFRM_MSG_GETSA);
	CU_ASSERT_NOT_EQUAL(seq, before);
	say_done(f.ends[1], before); /* of a list that nobody waits for */
	say(f.ends[1], f.in, XFRM_MSG_NEWSA, NLM_F_MULTI, seq);
	say_done(f.ends[1], seq);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	say_too_much(f.ends[1]); /* and later ones as well */
	CU_ASSERT_EQUAL(told(&f, 0, NULL), XFRM_MSG_GETSA);
	follow_end(&f);
}

void unit_sas_mirror(void)
{
	static const struct unit_test tests[] = { { "of_the_kernel", of_the_kernel },
		{ "listed_again", listed_again }, { "not_listed", not_listed } };

	UNIT_SUITE("sas_mirror", tests);
}
