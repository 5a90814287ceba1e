/* XFRM messages, made: what a kernel with IPsec would answer or announce, from the structs of
 * xfrm.h.
 *
 * An SA is told as it was given: the message that brought it is copied, its counters are put in,
 * and the time of its last packet is added. So whatever charon sent comes back, what we never look
 * at too. Buffers of struct xfrm_message hold keys: who had one filled wipes it. Times are seconds
 * since 1970, as the kernel tells them: charon compares with time(2). Control thread only. */
#include <arpa/inet.h>
#include <string.h>
#include "xfrm.h"

static void *begin(
	struct xfrm_message *m, uint16_t type, const struct nlmsghdr *request, size_t size)
{
	struct nlmsghdr *h = (struct nlmsghdr *)m->bytes;

	memset(m->bytes, 0, NLMSG_SPACE(size));
	h->nlmsg_type = type;
	h->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	h->nlmsg_seq = request ? request->nlmsg_seq : 0;
	h->nlmsg_pid = request ? request->nlmsg_pid : 0;
	m->len = NLMSG_SPACE(size);
	return NLMSG_DATA(h);
}

static void put(struct xfrm_message *m, uint16_t type, const void *data, size_t len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)m->bytes;
	struct nlattr *attr;
	size_t at = NLMSG_ALIGN(h->nlmsg_len);

	if (at + NLA_HDRLEN + NLMSG_ALIGN(len) > sizeof(m->bytes))
		return;
	attr = (struct nlattr *)(m->bytes + at);
	memset(attr, 0, NLA_HDRLEN + NLMSG_ALIGN(len));
	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((uint8_t *)attr + NLA_HDRLEN, data, len);
	h->nlmsg_len = (uint32_t)(at + NLA_HDRLEN + NLMSG_ALIGN(len));
	m->len = h->nlmsg_len;
}

void xfrm_make_ack(struct xfrm_message *m, const struct nlmsghdr *request, int error)
{
	struct nlmsgerr *err = begin(m, NLMSG_ERROR, request, sizeof(*err));

	err->error = error;
	err->msg = *request;
}

void xfrm_make_done(struct xfrm_message *m, const struct nlmsghdr *request)
{
	memset(begin(m, NLMSG_DONE, request, sizeof(int)), 0, sizeof(int));
	((struct nlmsghdr *)m->bytes)->nlmsg_flags = NLM_F_MULTI;
}

static void lifetime(struct xfrm_lifetime_cur *cur, const struct xfrm_use *use)
{
	cur->bytes = use->bytes;
	cur->packets = use->packets;
	cur->add_time = use->added_s;
	cur->use_time = use->first_s;
}

void xfrm_make_sa(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct nlmsghdr *given, const struct xfrm_use *use, bool multi)
{
	struct nlmsghdr *h = (struct nlmsghdr *)m->bytes;
	struct xfrm_usersa_info *info = NLMSG_DATA(h);
	size_t len = given->nlmsg_len;

	if (given->nlmsg_type == XFRM_MSG_ALLOCSPI) /* a number set aside: what it begins with */
		len = NLMSG_LENGTH(sizeof(*info));
	memcpy(m->bytes, given, len);
	memset(m->bytes + len, 0, NLMSG_ALIGN(len) - len);
	*h = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)NLMSG_ALIGN(len),
		.nlmsg_type = XFRM_MSG_NEWSA,
		.nlmsg_flags = multi ? NLM_F_MULTI : 0,
		.nlmsg_seq = request ? request->nlmsg_seq : 0,
		.nlmsg_pid = request ? request->nlmsg_pid : 0,
	};
	m->len = h->nlmsg_len;
	lifetime(&info->curlft, use);
	if (use->last_s)
		put(m, XFRMA_LASTUSED, &use->last_s, sizeof(use->last_s));
}

void xfrm_make_expire(
	struct xfrm_message *m, const struct nlmsghdr *given, const struct xfrm_use *use, bool hard)
{
	struct xfrm_user_expire *expire = begin(m, XFRM_MSG_EXPIRE, NULL, sizeof(*expire));

	memcpy(&expire->state, NLMSG_DATA(given), sizeof(expire->state));
	lifetime(&expire->state.curlft, use);
	expire->hard = hard;
}

void xfrm_make_spi(struct xfrm_message *m, const struct nlmsghdr *request, uint32_t spi)
{
	struct xfrm_usersa_info *info = begin(m, XFRM_MSG_NEWSA, request, sizeof(*info));

	memcpy(info, NLMSG_DATA(request), sizeof(*info));
	info->id.spi = htonl(spi);
}

void xfrm_make_aevent(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct xfrm_sa *sa, const struct xfrm_use *use)
{
	struct xfrm_aevent_id *id = begin(m, XFRM_MSG_NEWAE, request, sizeof(*id));
	struct xfrm_lifetime_cur cur;
	struct xfrm_replay_state old = {
		.oseq = (uint32_t)sa->seq_out,
		.seq = (uint32_t)sa->seq_in,
	};
	struct xfrm_replay_state_esn esn = {
		.oseq = (uint32_t)sa->seq_out,
		.seq = (uint32_t)sa->seq_in,
		.oseq_hi = sa->esn ? (uint32_t)(sa->seq_out >> 32) : 0,
		.seq_hi = sa->esn ? (uint32_t)(sa->seq_in >> 32) : 0,
		.replay_window = sa->window,
	};

	id->sa_id.family = sa->id.dst.af;
	id->sa_id.spi = htonl(sa->id.spi);
	id->sa_id.proto = sa->id.proto;
	memcpy(&id->sa_id.daddr, sa->id.dst.bytes, ip_size(sa->id.dst.af));
	memcpy(&id->saddr, sa->src.bytes, ip_size(sa->src.af));
	id->reqid = sa->reqid;
	id->flags = XFRM_AE_RVAL | XFRM_AE_LVAL;
	if (sa->esn || sa->window > 32)
		put(m, XFRMA_REPLAY_ESN_VAL, &esn, sizeof(esn));
	else
		put(m, XFRMA_REPLAY_VAL, &old, sizeof(old));
	lifetime(&cur, use);
	put(m, XFRMA_LTIME_VAL, &cur, sizeof(cur));
}

static void side(const struct ip_prefix *from, xfrm_address_t *addr, uint8_t *ret_len)
{
	memcpy(addr, from->bytes, ip_size(from->af));
	*ret_len = from->len;
}

void xfrm_make_policy(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct xfrm_policy *policy, const struct xfrm_use *use)
{
	struct xfrm_userpolicy_info *info = begin(m, XFRM_MSG_NEWPOLICY, request, sizeof(*info));
	const struct xfrm_policy_id *id = &policy->id;

	info->sel.family = id->src.af;
	side(&id->src, &info->sel.saddr, &info->sel.prefixlen_s);
	side(&id->dst, &info->sel.daddr, &info->sel.prefixlen_d);
	info->sel.proto = id->proto;
	info->sel.sport = htons(id->sport);
	info->sel.dport = htons(id->dport);
	info->sel.sport_mask = id->sport ? 0xffff : 0;
	info->sel.dport_mask = id->dport ? 0xffff : 0;
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = XFRM_INF;
	lifetime(&info->curlft, use);
	info->curlft.use_time = use->last_s; /* of a policy: the last time, not the first */
	info->priority = policy->priority;
	info->index = policy->index;
	info->dir = id->dir;
	info->action = policy->action;
	if (id->if_id)
		put(m, XFRMA_IF_ID, &id->if_id, sizeof(id->if_id));
}

void xfrm_make_info(struct xfrm_message *m, const struct nlmsghdr *request, uint32_t n_sas)
{
	bool sad = request->nlmsg_type == XFRM_MSG_GETSADINFO;
	uint32_t flags = 0;
	struct xfrmu_spdinfo spd = { 0 };

	memcpy(begin(m, sad ? XFRM_MSG_NEWSADINFO : XFRM_MSG_NEWSPDINFO, request, sizeof(flags)),
		&flags, sizeof(flags));
	if (sad)
		put(m, XFRMA_SAD_CNT, &n_sas, sizeof(n_sas));
	else
		put(m, XFRMA_SPD_INFO, &spd, sizeof(spd));
}
