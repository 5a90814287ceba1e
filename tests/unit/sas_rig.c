/* The fast path played, a link, its underlay VRF, and charon's recorded requests: what tests of
 * SAs share (sas_rig.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "oracle.h"
#include "sas_rig.h"
#include "unit.h"

static struct cfg_vrf cfg_w = { .name = "sas-w" };
static struct cfg_link cfg_under = { .name = "sas-u", .vrf = &cfg_w };
struct sas_rig sas_rig = { .cfg_vpn = { .name = "sas-vpn",
				   .encap = CFG_ENCAP_IPSEC,
				   .vrf = &cfg_w,
				   .underlay = &cfg_under } };

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
	return sas_rig.fake.on ? 0 : __real_dp_esp_start(err, len);
}

int __wrap_dp_sa_set(unsigned sa, const struct dp_sa *conf)
{
	if (!sas_rig.fake.on)
		return __real_dp_sa_set(sa, conf);
	if (sas_rig.fake.error)
		return sas_rig.fake.error;
	sas_rig.fake.sets++;
	if (!sas_rig.fake.there[sa])
		sas_rig.fake.info[sa] =
			(struct dp_sa_info){ .used_ns = UINT64_MAX, .seq = conf->seq };
	sas_rig.fake.info[sa].conf = *conf;
	sas_rig.fake.there[sa] = true;
	return 0;
}

int __wrap_dp_sa_del(unsigned sa)
{
	if (!sas_rig.fake.on)
		return __real_dp_sa_del(sa);
	CU_ASSERT_TRUE(sas_rig.fake.there[sa]);
	sas_rig.fake.there[sa] = false;
	sas_rig.fake.dels++;
	return 0;
}

int __wrap_dp_sa_use(uint16_t link, int sa)
{
	if (!sas_rig.fake.on)
		return __real_dp_sa_use(link, sa);
	CU_ASSERT(sa < 0 || (sas_rig.fake.there[sa] && !sas_rig.fake.info[sa].conf.inbound));
	sas_rig.fake.used = sa;
	return 0;
}

int __wrap_dp_sa_info(unsigned sa, struct dp_sa_info *ret_info)
{
	if (!sas_rig.fake.on)
		return __real_dp_sa_info(sa, ret_info);
	if (!sas_rig.fake.there[sa])
		return -ENOENT;
	*ret_info = sas_rig.fake.info[sa];
	return 0;
}

static int keep(const struct sas_sa *sa)
{
	if (!sa->larval && !sa->conf.inbound && sa->seq == sa->conf.seq + (1u << 22))
		CU_ASSERT_NOT_EQUAL(sas_rig.fake.used, sa->index); /* told before it is used */
	sas_rig.kept++;
	sas_rig.kept_seq = sa->seq;
	return sas_rig.keep_error;
}

static int seq_moved(const struct sas_sa *sa)
{
	sas_rig.seqs++;
	if (!sas_rig.keep_error)
		sas_rig.kept_seq = sa->seq;
	return sas_rig.keep_error;
}

static void forget(const struct sas_sa *sa)
{
	(void)sa;
	sas_rig.forgotten++;
}

static void expired(const struct sas_sa *sa, bool is_hard)
{
	(void)sa;
	sas_rig.soft += !is_hard;
	sas_rig.hard += is_hard;
}

void sas_rig_begin(void)
{
	static const struct sas_hooks hooks = { keep, seq_moved, forget, expired };

	memset(&sas_rig.fake, 0, sizeof(sas_rig.fake));
	sas_rig.fake.on = oracle.on = true;
	sas_rig.fake.used = -1;
	sas_rig.kept = sas_rig.forgotten = sas_rig.seqs = sas_rig.soft = sas_rig.hard = 0;
	sas_rig.keep_error = 0;
	sas_rig.base_before = control.base;
	control.base = event_base_new();
	event_base_priority_init(control.base, 2);
	sas_rig.vrf = vrf_alloc("sas-w");
	sas_rig.vpn = link_alloc("sas-vpn");
	sas_rig.vpn->vrf = sas_rig.vrf;
	sas_rig.vpn->cfg = &sas_rig.cfg_vpn;
	ip_addr_parse("192.0.2.1", &sas_rig.cfg_vpn.local);
	ip_addr_parse("192.0.2.2", &sas_rig.cfg_vpn.remote);
	sas_rig.charon =
		(struct sas_from){ .source = SAS_CHARON, .vrf = sas_rig.vrf->id, .owner = 77 };
	sas_hook(SAS_CHARON, &hooks);
	CU_ASSERT_EQUAL(sas_start(), 0);
}

void sas_rig_end(void)
{
	sas_stop();
	sas_hook(SAS_CHARON, NULL);
	CU_ASSERT_EQUAL(sas_stats.sas, 0);
	CU_ASSERT_EQUAL(sas_stats.larval, 0);
	CU_ASSERT_EQUAL(sas_rig.fake.dels, sas_rig.fake.sets);
	link_release(sas_rig.vpn);
	vrf_release(sas_rig.vrf);
	event_base_free(control.base);
	control.base = sas_rig.base_before;
	sas_rig.fake.on = oracle.on = false;
}

static void answer(const struct xfrm_message *m, void *arg)
{
	(void)arg;
	sas_rig.answer_is = *m;
	sas_rig.answers++;
}

int sas_rig_ask(const struct nlmsghdr *h)
{
	const struct nlmsghdr *a = (const struct nlmsghdr *)sas_rig.answer_is.bytes;

	sas_rig.answers = 0;
	xfrm_request(&sas_rig.charon, h, answer, NULL);
	CU_ASSERT_EQUAL(sas_rig.answers, 1);
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
void sas_rig_load(struct stream *s)
{
	stream_load("gcm", s);
	for (unsigned i = 0; i < s->n; i++)
		set_if_id(s->h[i], config_if_id(&sas_rig.cfg_vpn));
}

/* The i-th pair of SAs: the inbound one as NEWSA, for its number was drawn by somebody else. */
void sas_rig_pair(struct stream *s, unsigned i)
{
	struct nlmsghdr *in = stream_find(s, XFRM_MSG_UPDSA, 0),
			*out = stream_find(s, XFRM_MSG_NEWSA, i);

	if (i) {
		in = stream_find(s, XFRM_MSG_UPDSA, 0);
		out = stream_find(s, XFRM_MSG_NEWSA, 1);
	}
	in->nlmsg_type = XFRM_MSG_NEWSA;
	CU_ASSERT_EQUAL(sas_rig_ask(in), 0);
	CU_ASSERT_EQUAL(sas_rig_ask(out), 0);
}

struct sas_sa *sas_rig_out(void)
{
	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa))
		if (!sa->larval && !sa->conf.inbound)
			return sa;
	return NULL;
}
