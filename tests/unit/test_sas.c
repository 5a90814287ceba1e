/* Security associations without a fast path behind them: what is put is set, what is refused leaves
 * nothing, links send by the newest, numbers are told before they can be used, a VRF keeps to its
 * share, and no changed byte of a request breaks the table. The requests are charon's, recorded. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "config/config.h"
#include "control/sas.h"
#include "control/xfrm_mirror.h"
#include "control/xfrm_policy.h"
#include "control/xfrm_request.h"
#include "oracle.h"
#include "unit.h"
#include "xfrm_stream.h"

/* ---- the fast path, played ---- */
static struct {
	bool on;
	int error; /* what the next set answers */
	unsigned sets, dels;
	int used; /* last dp_sa_use */
	struct dp_sa_info info[DP_SAS_MAX];
	bool there[DP_SAS_MAX];
} fake;

int __real_dp_esp_start(char *err, size_t len);
int __wrap_dp_esp_start(char *err, size_t len);
int __real_dp_sa_set(unsigned sa, const struct dp_sa *conf);
int __wrap_dp_sa_set(unsigned sa, const struct dp_sa *conf);
int __real_dp_sa_del(unsigned sa);
int __wrap_dp_sa_del(unsigned sa);
int __real_dp_sa_use(uint16_t link, int sa);
int __wrap_dp_sa_use(uint16_t link, int sa);
int __real_dp_sa_info(unsigned sa, struct dp_sa_info *ret_info);
int __wrap_dp_sa_info(unsigned sa, struct dp_sa_info *ret_info);

int __wrap_dp_esp_start(char *err, size_t len)
{
	return fake.on ? 0 : __real_dp_esp_start(err, len);
}

int __wrap_dp_sa_set(unsigned sa, const struct dp_sa *conf)
{
	if (!fake.on)
		return __real_dp_sa_set(sa, conf);
	if (fake.error)
		return fake.error;
	fake.sets++;
	if (!fake.there[sa])
		fake.info[sa] = (struct dp_sa_info){ .used_ns = UINT64_MAX, .seq = conf->seq };
	fake.info[sa].conf = *conf;
	fake.there[sa] = true;
	return 0;
}

int __wrap_dp_sa_del(unsigned sa)
{
	if (!fake.on)
		return __real_dp_sa_del(sa);
	CU_ASSERT_TRUE(fake.there[sa]);
	fake.there[sa] = false;
	fake.dels++;
	return 0;
}

int __wrap_dp_sa_use(uint16_t link, int sa)
{
	if (!fake.on)
		return __real_dp_sa_use(link, sa);
	CU_ASSERT(sa < 0 || (fake.there[sa] && !fake.info[sa].conf.inbound));
	fake.used = sa;
	return 0;
}

int __wrap_dp_sa_info(unsigned sa, struct dp_sa_info *ret_info)
{
	if (!fake.on)
		return __real_dp_sa_info(sa, ret_info);
	if (!fake.there[sa])
		return -ENOENT;
	*ret_info = fake.info[sa];
	return 0;
}

/* ---- a link, its underlay, and charon ---- */
static struct cfg_vrf cfg_w = { .name = "sas-w" };
static struct cfg_link cfg_under = { .name = "sas-u", .vrf = &cfg_w };
static struct cfg_link cfg_vpn = {
	.name = "sas-vpn", .encap = CFG_ENCAP_IPSEC, .vrf = &cfg_w, .underlay = &cfg_under
};
static struct vrf *vrf;
static struct link *vpn;
static struct sas_from charon;
static struct event_base *base_before;

static unsigned kept, forgotten, seqs, soft, hard;
static uint64_t kept_seq;
static int keep_error;

static int keep(const struct sas_sa *sa)
{
	if (!sa->larval && !sa->conf.inbound && sa->seq == sa->conf.seq + (1u << 22))
		CU_ASSERT_NOT_EQUAL(fake.used, sa->index); /* told before it is used */
	kept++;
	kept_seq = sa->seq;
	return keep_error;
}

static void seq_moved(const struct sas_sa *sa)
{
	seqs++;
	kept_seq = sa->seq;
}

static void forget(const struct sas_sa *sa)
{
	(void)sa;
	forgotten++;
}

static void expired(const struct sas_sa *sa, bool is_hard)
{
	(void)sa;
	soft += !is_hard;
	hard += is_hard;
}

static void begin(void)
{
	static const struct sas_hooks hooks = { keep, seq_moved, forget, expired };

	memset(&fake, 0, sizeof(fake));
	fake.on = oracle.on = true;
	fake.used = -1;
	kept = forgotten = seqs = soft = hard = 0;
	keep_error = 0;
	base_before = control.base;
	control.base = event_base_new();
	event_base_priority_init(control.base, 2);
	vrf = vrf_alloc("sas-w");
	vpn = link_alloc("sas-vpn");
	vpn->vrf = vrf;
	vpn->cfg = &cfg_vpn;
	ip_addr_parse("192.0.2.1", &cfg_vpn.local);
	ip_addr_parse("192.0.2.2", &cfg_vpn.remote);
	charon = (struct sas_from){ .source = SAS_CHARON, .vrf = vrf->id, .owner = 77 };
	sas_hook(SAS_CHARON, &hooks);
	CU_ASSERT_EQUAL(sas_start(), 0);
}

static void end(void)
{
	sas_stop();
	sas_hook(SAS_CHARON, NULL);
	CU_ASSERT_EQUAL(sas_stats.sas, 0);
	CU_ASSERT_EQUAL(sas_stats.larval, 0);
	CU_ASSERT_EQUAL(fake.dels, fake.sets);
	link_release(vpn);
	vrf_release(vrf);
	event_base_free(control.base);
	control.base = base_before;
	fake.on = oracle.on = false;
}

static struct xfrm_message answer_is;
static unsigned answers;

static void answer(const struct xfrm_message *m, void *arg)
{
	(void)arg;
	answer_is = *m;
	answers++;
}

static int ask(const struct nlmsghdr *h)
{
	const struct nlmsghdr *a = (const struct nlmsghdr *)answer_is.bytes;

	answers = 0;
	xfrm_request(&charon, h, answer, NULL);
	CU_ASSERT_EQUAL(answers, 1);
	CU_ASSERT_EQUAL(a->nlmsg_seq, h->nlmsg_seq);
	return a->nlmsg_type == NLMSG_ERROR ? ((struct nlmsgerr *)NLMSG_DATA(a))->error : 0;
}

static void set_if_id(struct nlmsghdr *h, uint32_t if_id)
{
	uint32_t was = 0x80001234;
	uint8_t *p = (uint8_t *)h;

	for (uint32_t i = NLMSG_HDRLEN; i + 4 <= h->nlmsg_len; i += 4)
		if (!memcmp(p + i, &was, 4))
			memcpy(p + i, &if_id, 4);
}

/* The recording, as if it were of this link; SPIs of ALLOCSPI are those it was given then. */
static void load(struct stream *s)
{
	stream_load("gcm", s);
	for (unsigned i = 0; i < s->n; i++)
		set_if_id(s->h[i], config_if_id(&cfg_vpn));
}

/* The i-th pair of SAs: the inbound one as NEWSA, for its number was drawn by somebody else. */
static void pair(struct stream *s, unsigned i)
{
	struct nlmsghdr *in = stream_find(s, XFRM_MSG_UPDSA, 0),
			*out = stream_find(s, XFRM_MSG_NEWSA, i);

	if (i) {
		in = stream_find(s, XFRM_MSG_UPDSA, 0);
		out = stream_find(s, XFRM_MSG_NEWSA, 1);
	}
	in->nlmsg_type = XFRM_MSG_NEWSA;
	CU_ASSERT_EQUAL(ask(in), 0);
	CU_ASSERT_EQUAL(ask(out), 0);
}

static struct sas_sa *outbound(void)
{
	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa))
		if (!sa->larval && !sa->conf.inbound)
			return sa;
	return NULL;
}

/* ---- tests ---- */
static void life(void)
{
	struct stream s;
	struct nlmsghdr *out, *first_del;
	struct sas_sa *sa;
	int first;

	begin();
	load(&s);
	CU_ASSERT_FALSE(sas_link_ready(vpn));
	pair(&s, 0);
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	CU_ASSERT_EQUAL(kept, 2);
	CU_ASSERT_EQUAL(kept_seq, 1u << 22);
	first = fake.used;
	CU_ASSERT(first >= 0 && fake.info[first].conf.key_len == 36);
	sa = outbound();
	CU_ASSERT_EQUAL(sa->conf.key[0] | sa->conf.key[1] | sa->conf.key[2], 0); /* wiped */
	/* make before break: the newer one is used, and when it goes, the older one again */
	out = stream_find(&s, XFRM_MSG_NEWSA, 2); /* [0] is the first inbound now */
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(ask(out), 0);
	CU_ASSERT_NOT_EQUAL(fake.used, first);
	CU_ASSERT_EQUAL(ask(out), 0); /* said again: its answer was lost */
	CU_ASSERT_EQUAL(sas_stats.sas, 3);
	first_del = stream_find(&s, XFRM_MSG_DELSA, 0); /* of the first outbound one */
	CU_ASSERT_EQUAL(ask(first_del), 0);
	CU_ASSERT_EQUAL(ask(first_del), -ESRCH);
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	sas_del(outbound());
	CU_ASSERT_FALSE(sas_link_ready(vpn));
	CU_ASSERT_EQUAL(fake.used, -1);
	CU_ASSERT_NOT_EQUAL(sas_link_why(vpn), sas_link_none);
	CU_ASSERT_EQUAL(forgotten, 2);
	end();
	stream_free(&s);
}

/* What is refused leaves nothing behind. */
static void refusals(void)
{
	struct stream s;
	struct nlmsghdr *h;

	begin();
	load(&s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	fake.error = -ENOTSUP;
	CU_ASSERT_EQUAL(ask(h), -ENOTSUP);
	fake.error = 0;
	keep_error = -ENOBUFS;
	CU_ASSERT_EQUAL(ask(h), -ENOBUFS);
	CU_ASSERT_EQUAL(fake.used, -1);
	keep_error = 0;
	CU_ASSERT_EQUAL(ask(stream_find(&s, XFRM_MSG_UPDSA, 0)), -ESRCH);
	ip_addr_parse("192.0.2.3", &cfg_vpn.remote);
	CU_ASSERT_EQUAL(ask(h), -EADDRNOTAVAIL);
	ip_addr_parse("192.0.2.2", &cfg_vpn.remote);
	cfg_vpn.encap = CFG_ENCAP_GRE;
	CU_ASSERT_EQUAL(ask(h), -ENODEV);
	cfg_vpn.encap = CFG_ENCAP_IPSEC;
	((struct xfrm_usersa_info *)NLMSG_DATA(h))->mode = XFRM_MODE_TRANSPORT;
	CU_ASSERT_EQUAL(ask(h), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	CU_ASSERT_FALSE(sas_link_ready(vpn));
	end();
	stream_free(&s);
}

static void expiry(void)
{
	struct stream s;
	struct sas_sa *sa;

	begin();
	load(&s);
	pair(&s, 0);
	sa = outbound();
	fake.info[sa->index].state = DP_SA_SOFT;
	sas_event((unsigned)sa->index);
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(soft, 1); /* said once */
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	/* numbers: the next lease is told when half of this one is used */
	fake.info[sa->index].seq = (1u << 21) - 2;
	seqs = 0;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(seqs, 0);
	fake.info[sa->index].seq = (1u << 21) + 1;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(seqs, 1);
	CU_ASSERT_EQUAL(kept_seq, (1u << 22) + (1u << 21) + 1);
	sa->added_ns -= 3600 * 1000000000ull;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(hard, 1);
	CU_ASSERT_FALSE(sas_link_ready(vpn));
	end();
	stream_free(&s);
}

/* A new lintasd: from what was kept, beyond every number that may have been used. */
static void comes_again(void)
{
	struct stream s;
	const char *why;
	struct sas_sa *sa;

	begin();
	load(&s);
	CU_ASSERT_EQUAL(sas_take_back(&charon, stream_find(&s, XFRM_MSG_NEWSA, 0), 5, 1u << 22,
				now_ns(), &why),
		0);
	sa = outbound();
	CU_ASSERT_EQUAL(fake.info[sa->index].conf.seq, 1u << 22);
	CU_ASSERT_EQUAL(kept_seq, 2u << 22); /* told already */
	CU_ASSERT_EQUAL(sa->id, 5);
	CU_ASSERT_EQUAL(kept, 0);
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	CU_ASSERT_EQUAL(
		sas_take_back(&charon, stream_find(&s, XFRM_MSG_NEWSA, 0), 5, 0, now_ns(), &why),
		-EEXIST);
	/* its charon dies: it goes on; others take its place: it goes */
	sas_owner_gone(&charon);
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	CU_ASSERT_EQUAL(sas_stats.orphans, 1);
	charon.owner = 78;
	CU_ASSERT_EQUAL(ask(stream_find(&s, XFRM_MSG_NEWSA, 1)), 0);
	CU_ASSERT_NOT_EQUAL(sa->doomed_ns, 0);
	sa->doomed_ns = 1;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	CU_ASSERT_EQUAL(sas_stats.orphans, 0);
	end();
	stream_free(&s);
}

/* A link holds so many, and no more. */
static void bounds(void)
{
	struct xfrm_usersa_info *info;
	struct nlmsghdr *h;
	struct stream s;
	unsigned taken = 0;

	begin();
	load(&s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	info = NLMSG_DATA(h);
	for (uint32_t spi = 0x1000; spi < 0x1100; spi++) {
		info->id.spi = htonl(spi);
		taken += !ask(h);
	}
	CU_ASSERT_EQUAL(taken, SAS_OF_LINK_MAX);
	CU_ASSERT_EQUAL(sas_stats.sas, SAS_OF_LINK_MAX);
	h = stream_find(&s, XFRM_MSG_ALLOCSPI, 0);
	for (unsigned i = 0; i < 1200; i++)
		ask(h);
	CU_ASSERT_EQUAL(sas_stats.larval, 1024);
	CU_ASSERT_EQUAL(sas_flush(SAS_CHARON, vrf->id, 0), 1024 + SAS_OF_LINK_MAX);
	end();
	stream_free(&s);
}

/* Any byte of any request, changed: an answer each time, and the table stays whole. */
static void changed(void)
{
	static const uint8_t values[] = { 0, 1, 0x80, 0xff };
	struct stream s;

	begin();
	load(&s);
	for (unsigned i = 0; i < s.n; i++)
		for (size_t at = NLMSG_HDRLEN; at < s.len[i]; at++)
			for (unsigned v = 0; v < sizeof(values); v++) {
				uint8_t *bytes = (uint8_t *)s.h[i], before = bytes[at];

				bytes[at] = values[v];
				ask(s.h[i]);
				bytes[at] = before;
			}
	CU_ASSERT(sas_stats.sas <= SAS_OF_LINK_MAX);
	xfrm_policy_stop();
	end();
	stream_free(&s);
}

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

static void of_the_kernel(void)
{
	struct nlmsghdr *in, *out, *out2, *del, *said;
	uint8_t buf[1024] __attribute__((aligned(8)));
	struct stream s;
	int ends[2];

	begin();
	load(&s);
	xfrm_mirror_start();
	in = stream_find(&s, XFRM_MSG_UPDSA, 0);
	out = stream_find(&s, XFRM_MSG_NEWSA, 0);
	out2 = stream_find(&s, XFRM_MSG_NEWSA, 1);
	del = stream_find(&s, XFRM_MSG_DELSA, 0);
	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends);
	CU_ASSERT_EQUAL(xfrm_mirror_attach(vrf, ends[0]), 0);
	said = (struct nlmsghdr *)buf;
	CU_ASSERT(recv(ends[1], buf, sizeof(buf), 0) > 0 && said->nlmsg_type == XFRM_MSG_GETSA);
	/* there before us: inbound is taken, outbound never: the kernel is told that it expires */
	say(ends[1], in, XFRM_MSG_NEWSA, NLM_F_MULTI, 1);
	say(ends[1], out, XFRM_MSG_NEWSA, NLM_F_MULTI, 1);
	say_done(ends[1], 1);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	CU_ASSERT_FALSE(sas_link_ready(vpn));
	CU_ASSERT(recv(ends[1], buf, sizeof(buf), 0) > 0 && said->nlmsg_type == XFRM_MSG_EXPIRE);
	/* what comes now is new */
	say(ends[1], out2, XFRM_MSG_NEWSA, 0, 0);
	CU_ASSERT_TRUE(sas_link_ready(vpn));
	CU_ASSERT_EQUAL(sas_stats.sas, 2);
	say(ends[1], del, XFRM_MSG_DELSA, 0, 0); /* of the one that was not taken */
	CU_ASSERT_EQUAL(sas_stats.sas, 2);
	/* a limit of ours becomes the kernel's */
	fake.info[outbound()->index].state = DP_SA_SOFT;
	sas_event((unsigned)outbound()->index);
	CU_ASSERT(recv(ends[1], buf, sizeof(buf), 0) > 0 && said->nlmsg_type == XFRM_MSG_EXPIRE);
	xfrm_mirror_stop();
	CU_ASSERT_EQUAL(sas_stats.sas, 0);
	close(ends[1]);
	end();
	stream_free(&s);
}

static void policies(void)
{
	struct stream s;
	struct nlmsghdr *del, *h;

	begin();
	load(&s);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(ask(stream_find(&s, XFRM_MSG_NEWPOLICY, i)), 0);
	CU_ASSERT_EQUAL(ask(stream_find(&s, XFRM_MSG_NEWPOLICY, 0)), -EEXIST);
	pair(&s, 0);
	fake.info[outbound()->index].used_ns = 0;
	del = stream_find(&s, XFRM_MSG_DELPOLICY, 0);
	del->nlmsg_type = XFRM_MSG_GETPOLICY;
	CU_ASSERT_EQUAL(ask(del), 0);
	h = (struct nlmsghdr *)answer_is.bytes;
	CU_ASSERT_EQUAL(h->nlmsg_type, XFRM_MSG_NEWPOLICY);
	if (((struct xfrm_userpolicy_info *)NLMSG_DATA(h))->dir == XFRM_POLICY_OUT)
		CU_ASSERT(((struct xfrm_userpolicy_info *)NLMSG_DATA(h))->curlft.use_time > 0);
	del->nlmsg_type = XFRM_MSG_DELPOLICY;
	CU_ASSERT_EQUAL(ask(del), 0);
	CU_ASSERT_EQUAL(ask(del), -ENOENT);
	xfrm_policy_stop();
	end();
	stream_free(&s);
}

void unit_sas(void)
{
	static const struct unit_test tests[] = { { "life", life }, { "refusals", refusals },
		{ "expiry", expiry }, { "comes_again", comes_again }, { "bounds", bounds },
		{ "changed", changed }, { "policies", policies },
		{ "of_the_kernel", of_the_kernel } };

	UNIT_SUITE("sas", tests);
}
