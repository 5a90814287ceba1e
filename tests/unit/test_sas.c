/* Security associations without a fast path behind them: what is put is set, what is refused leaves
 * nothing, links send by the newest, numbers are told before they can be used, a VRF keeps to its
 * share, and no changed byte of a request breaks the table. The requests are charon's, recorded. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/config.h"
#include "control/sas.h"
#include "control/xfrm_policy.h"
#include "control/xfrm_request.h"
#include "sas_rig.h"
#include "unit.h"
#include "xfrm_stream.h"

/* ---- tests ---- */
static void life(void)
{
	struct stream s;
	struct nlmsghdr *out, *first_del;
	struct sas_sa *sa;
	int first;

	sas_rig_begin();
	sas_rig_load(&s);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	sas_rig_pair(&s, 0);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(sas_rig.kept, 2);
	CU_ASSERT_EQUAL(sas_rig.kept_seq, 1u << 22);
	first = sas_rig.fake.used;
	CU_ASSERT(first >= 0 && sas_rig.fake.info[first].conf.key_len == 36);
	sa = sas_rig_out();
	CU_ASSERT_EQUAL(sa->conf.key[0] | sa->conf.key[1] | sa->conf.key[2], 0); /* wiped */
	/* make before break: the newer one is used, and when it goes, the older one again */
	out = stream_find(&s, XFRM_MSG_NEWSA, 2); /* [0] is the first inbound now */
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(sas_rig_ask(out), 0);
	CU_ASSERT_NOT_EQUAL(sas_rig.fake.used, first);
	CU_ASSERT_EQUAL(sas_rig_ask(out), 0); /* said again: its answer was lost */
	CU_ASSERT_EQUAL(sas_stats.sas, 3);
	first_del = stream_find(&s, XFRM_MSG_DELSA, 0); /* of the first outbound one */
	CU_ASSERT_EQUAL(sas_rig_ask(first_del), 0);
	CU_ASSERT_EQUAL(sas_rig_ask(first_del), -ESRCH);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	sas_del(sas_rig_out());
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(sas_rig.fake.used, -1);
	CU_ASSERT_NOT_EQUAL(sas_link_why(sas_rig.vpn), sas_link_none);
	CU_ASSERT_EQUAL(sas_rig.forgotten, 2);
	sas_rig_end();
	stream_free(&s);
}

/* What is refused leaves nothing behind. */
static void refusals(void)
{
	struct stream s;
	struct nlmsghdr *h;

	sas_rig_begin();
	sas_rig_load(&s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	sas_rig.fake.error = -ENOTSUP;
	CU_ASSERT_EQUAL(sas_rig_ask(h), -ENOTSUP);
	sas_rig.fake.error = 0;
	sas_rig.keep_error = -ENOBUFS;
	CU_ASSERT_EQUAL(sas_rig_ask(h), -ENOBUFS);
	CU_ASSERT_EQUAL(sas_rig.fake.used, -1);
	sas_rig.keep_error = 0;
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_UPDSA, 0)), -ESRCH);
	ip_addr_parse("192.0.2.3", &sas_rig.cfg_vpn.remote);
	CU_ASSERT_EQUAL(sas_rig_ask(h), -EADDRNOTAVAIL);
	ip_addr_parse("192.0.2.2", &sas_rig.cfg_vpn.remote);
	sas_rig.cfg_vpn.encap = CFG_ENCAP_GRE;
	CU_ASSERT_EQUAL(sas_rig_ask(h), -ENODEV);
	sas_rig.cfg_vpn.encap = CFG_ENCAP_IPSEC;
	((struct xfrm_usersa_info *)NLMSG_DATA(h))->mode = XFRM_MODE_TRANSPORT;
	CU_ASSERT_EQUAL(sas_rig_ask(h), -EPROTONOSUPPORT);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	sas_rig_end();
	stream_free(&s);
}

static void expiry(void)
{
	struct stream s;
	struct sas_sa *sa;

	sas_rig_begin();
	sas_rig_load(&s);
	sas_rig_pair(&s, 0);
	sa = sas_rig_out();
	sas_rig.fake.info[sa->index].state = DP_SA_SOFT;
	sas_event((unsigned)sa->index);
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_rig.soft, 1); /* said once */
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	/* numbers: the next lease is told when half of this one is used */
	sas_rig.fake.info[sa->index].seq = (1u << 21) - 2;
	sas_rig.seqs = 0;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_rig.seqs, 0);
	sas_rig.fake.info[sa->index].seq = (1u << 21) + 1;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_rig.seqs, 1);
	CU_ASSERT_EQUAL(sas_rig.kept_seq, (1u << 22) + (1u << 21) + 1);
	sa->added_ns -= 3600 * 1000000000ull;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_rig.hard, 1);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	sas_rig_end();
	stream_free(&s);
}

/* A new lintasd: from what was kept, beyond every number that may have been used. */
static void comes_again(void)
{
	struct stream s;
	const char *why;
	struct sas_sa *sa;

	sas_rig_begin();
	sas_rig_load(&s);
	CU_ASSERT_EQUAL(sas_take_back(&sas_rig.charon, stream_find(&s, XFRM_MSG_NEWSA, 0), 5,
				1u << 22, now_ns(), &why),
		0);
	sa = sas_rig_out();
	CU_ASSERT_EQUAL(sas_rig.fake.info[sa->index].conf.seq, 1u << 22);
	CU_ASSERT_EQUAL(sas_rig.kept_seq, 2u << 22); /* told already */
	CU_ASSERT_EQUAL(sa->id, 5);
	CU_ASSERT_EQUAL(sas_rig.kept, 0);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(sas_take_back(&sas_rig.charon, stream_find(&s, XFRM_MSG_NEWSA, 0), 5, 0,
				now_ns(), &why),
		-EEXIST);
	/* its charon dies: it goes on; others take its place: it goes */
	sas_owner_gone(&sas_rig.charon);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(sas_stats.orphans, 1);
	sas_rig.charon.owner = 78;
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWSA, 1)), 0);
	CU_ASSERT_NOT_EQUAL(sa->doomed_ns, 0);
	sa->doomed_ns = 1;
	sas_event((unsigned)sa->index);
	CU_ASSERT_EQUAL(sas_stats.sas, 1);
	CU_ASSERT_EQUAL(sas_stats.orphans, 0);
	sas_rig_end();
	stream_free(&s);
}

/* A link holds so many, and no more. */
static void bounds(void)
{
	struct xfrm_usersa_info *info;
	struct nlmsghdr *h;
	struct stream s;
	unsigned taken = 0;

	sas_rig_begin();
	sas_rig_load(&s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	info = NLMSG_DATA(h);
	for (uint32_t spi = 0x1000; spi < 0x1100; spi++) {
		info->id.spi = htonl(spi);
		taken += !sas_rig_ask(h);
	}
	CU_ASSERT_EQUAL(taken, SAS_OF_LINK_MAX);
	CU_ASSERT_EQUAL(sas_stats.sas, SAS_OF_LINK_MAX);
	h = stream_find(&s, XFRM_MSG_ALLOCSPI, 0);
	for (unsigned i = 0; i < 1200; i++)
		sas_rig_ask(h);
	CU_ASSERT_EQUAL(sas_stats.larval, 1024);
	CU_ASSERT_EQUAL(sas_flush(SAS_CHARON, sas_rig.vrf->id, 0), 1024 + SAS_OF_LINK_MAX);
	sas_rig_end();
	stream_free(&s);
}

/* Any byte of any request, changed: an answer each time, and the table stays whole. */
static void changed(void)
{
	static const uint8_t values[] = { 0, 1, 0x80, 0xff };
	struct stream s;

	sas_rig_begin();
	sas_rig_load(&s);
	for (unsigned i = 0; i < s.n; i++)
		for (size_t at = NLMSG_HDRLEN; at < s.len[i]; at++)
			for (unsigned v = 0; v < sizeof(values); v++) {
				uint8_t *bytes = (uint8_t *)s.h[i], before = bytes[at];

				bytes[at] = values[v];
				sas_rig_ask(s.h[i]);
				bytes[at] = before;
			}
	CU_ASSERT(sas_stats.sas <= SAS_OF_LINK_MAX);
	xfrm_policy_stop();
	sas_rig_end();
	stream_free(&s);
}

static void policies(void)
{
	struct stream s;
	struct nlmsghdr *del, *h;

	sas_rig_begin();
	sas_rig_load(&s);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWPOLICY, i)), 0);
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWPOLICY, 0)), -EEXIST);
	sas_rig_pair(&s, 0);
	sas_rig.fake.info[sas_rig_out()->index].used_ns = 0;
	del = stream_find(&s, XFRM_MSG_DELPOLICY, 0);
	del->nlmsg_type = XFRM_MSG_GETPOLICY;
	CU_ASSERT_EQUAL(sas_rig_ask(del), 0);
	h = (struct nlmsghdr *)sas_rig.answer_is.bytes;
	CU_ASSERT_EQUAL(h->nlmsg_type, XFRM_MSG_NEWPOLICY);
	if (((struct xfrm_userpolicy_info *)NLMSG_DATA(h))->dir == XFRM_POLICY_OUT)
		CU_ASSERT(((struct xfrm_userpolicy_info *)NLMSG_DATA(h))->curlft.use_time > 0);
	del->nlmsg_type = XFRM_MSG_DELPOLICY;
	CU_ASSERT_EQUAL(sas_rig_ask(del), 0);
	CU_ASSERT_EQUAL(sas_rig_ask(del), -ENOENT);
	xfrm_policy_stop();
	sas_rig_end();
	stream_free(&s);
}

void unit_sas(void)
{
	static const struct unit_test tests[] = { { "life", life }, { "refusals", refusals },
		{ "expiry", expiry }, { "comes_again", comes_again }, { "bounds", bounds },
		{ "changed", changed }, { "policies", policies } };

	UNIT_SUITE("sas", tests);
}
