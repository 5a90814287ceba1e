/* Requests about SAs and policies: parsed, done, answered with what is true.
 *
 * An acknowledgement says that a worker holds the SA; counters are those of the worker that uses
 * it. Errors are those that kernels give, for charon knows them: ESRCH for an SA that is not there,
 * EEXIST, ENOENT for a policy. What is cut or lies about a length is EINVAL and has no effect;
 * what nobody asks a router for (acquires, migration, dumps) is EOPNOTSUPP. Buffers that held keys
 * are wiped before this returns. Control thread only; from xfrm_server.c. */
#include <errno.h>
#include <string.h>
#include "xfrm_policy.h"
#include "xfrm_request.h"

struct xfrm_request_stats xfrm_request_stats;

struct ask {
	const struct sas_from *from;
	const struct nlmsghdr *h;
	struct xfrm_message *m; /* the answer; len 0: an acknowledgement or error is to be made */
};

static int put_sa(struct ask *a)
{
	const char *why = "";
	struct xfrm_sa sa;
	int rc = xfrm_parse_sa(a->h, &sa, NULL);

	if (!rc)
		rc = sas_put(a->from, &sa, a->h, a->h->nlmsg_type == XFRM_MSG_UPDSA, &why);
	xfrm_wipe(&sa);
	return rc;
}

static int set_aside(struct ask *a)
{
	const char *why = "";
	struct xfrm_sa sa;
	uint32_t spi = 0;
	int rc = xfrm_parse_sa(a->h, &sa, NULL);

	if (!rc)
		rc = sas_set_aside(a->from, &sa, a->h, &spi, &why);
	if (!rc)
		xfrm_make_spi(a->m, a->h, spi);
	return rc;
}

static int find_sa(struct ask *a, struct sas_sa **ret_sa)
{
	struct xfrm_sa_id id;
	int rc = xfrm_parse_sa_id(a->h, &id);

	*ret_sa = rc ? NULL : sas_find(a->from->vrf, &id);
	if (*ret_sa && (*ret_sa)->from.source != a->from->source)
		*ret_sa = NULL; /* a static one is not charon's */
	return rc ? rc : *ret_sa ? 0 : -ESRCH;
}

static int del_sa(struct ask *a)
{
	struct sas_sa *sa;
	int rc = find_sa(a, &sa);

	if (!rc)
		sas_del(sa);
	return rc;
}

static int get_sa(struct ask *a)
{
	struct dp_sa_info info;
	struct xfrm_use use;
	struct sas_sa *sa;
	int rc;

	if (a->h->nlmsg_flags & NLM_F_DUMP)
		return -EOPNOTSUPP;
	rc = find_sa(a, &sa);
	if (rc)
		return rc;
	sas_use_of(sa, &use, &info);
	xfrm_make_sa(a->m, a->h, sa->given, &use, false);
	return 0;
}

static int get_ae(struct ask *a)
{
	struct dp_sa_info info;
	struct xfrm_use use;
	struct xfrm_sa said;
	struct sas_sa *sa;
	int rc = find_sa(a, &sa);

	if (rc)
		return rc;
	sas_use_of(sa, &use, &info);
	rc = xfrm_parse_sa(sa->given, &said, NULL);
	if (!rc) {
		said.id.spi = sa->key.spi;
		said.seq_in = sa->conf.inbound ? info.seq : 0;
		said.seq_out = sa->conf.inbound ? 0 : info.seq;
		xfrm_make_aevent(a->m, a->h, &said, &use);
	}
	xfrm_wipe(&said);
	return rc;
}

static int flush_sas(struct ask *a)
{
	uint8_t proto;
	int rc = xfrm_parse_flush(a->h, &proto);

	if (!rc)
		sas_flush(a->from->source, a->from->vrf, proto);
	return rc;
}

static int put_policy(struct ask *a)
{
	struct xfrm_policy policy;
	int rc = xfrm_parse_policy(a->h, &policy);

	return rc ? rc
		  : xfrm_policy_put(
			    a->from, &policy, a->h, a->h->nlmsg_type == XFRM_MSG_UPDPOLICY, 0);
}

static int del_policy(struct ask *a)
{
	struct xfrm_policy_id id;
	uint32_t index;
	int rc = xfrm_parse_policy_id(a->h, &id, &index);

	return rc ? rc : xfrm_policy_del(a->from, &id, index);
}

static int get_policy(struct ask *a)
{
	const struct xfrm_policy *policy;
	struct xfrm_policy_id id;
	struct xfrm_use use;
	uint32_t index;
	int rc;

	if (a->h->nlmsg_flags & NLM_F_DUMP)
		return -EOPNOTSUPP;
	rc = xfrm_parse_policy_id(a->h, &id, &index);
	if (rc)
		return rc;
	policy = xfrm_policy_find(a->from, &id, index, &use);
	if (!policy)
		return -ENOENT;
	xfrm_make_policy(a->m, a->h, policy, &use);
	return 0;
}

static int perform(struct ask *a)
{
	switch (a->h->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
		return put_sa(a);
	case XFRM_MSG_ALLOCSPI:
		return set_aside(a);
	case XFRM_MSG_DELSA:
		return del_sa(a);
	case XFRM_MSG_GETSA:
		return get_sa(a);
	case XFRM_MSG_GETAE:
		return get_ae(a);
	case XFRM_MSG_FLUSHSA:
		return flush_sas(a);
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY:
		return put_policy(a);
	case XFRM_MSG_DELPOLICY:
		return del_policy(a);
	case XFRM_MSG_GETPOLICY:
		return get_policy(a);
	case XFRM_MSG_FLUSHPOLICY:
		xfrm_policy_flush(a->from);
		return 0;
	case XFRM_MSG_GETSADINFO:
	case XFRM_MSG_GETSPDINFO:
		xfrm_make_info(a->m, a->h, sas_stats.sas);
		return 0;
	case XFRM_MSG_NEWSPDINFO: /* how it would hash them */
		return 0;
	}
	return -EOPNOTSUPP;
}

void xfrm_request(const struct sas_from *from, const struct nlmsghdr *h,
	void (*answer)(const struct xfrm_message *m, void *arg), void *arg)
{
	static struct xfrm_message m;
	struct ask a = { .from = from, .h = h, .m = &m };
	int rc;

	m.len = 0;
	xfrm_request_stats.requests++;
	rc = h->nlmsg_len > XFRM_SA_BYTES_MAX ? -EMSGSIZE : perform(&a);
	xfrm_request_stats.refused += rc && rc != -ESRCH;
	xfrm_request_stats.malformed += rc == -EBADMSG;
	if (rc == -EBADMSG)
		rc = -EINVAL;
	if (rc == -EBUSY) /* charon would ask for ever */
		rc = -EEXIST;
	if (!m.len && (rc || h->nlmsg_flags & NLM_F_ACK))
		xfrm_make_ack(&m, h, rc);
	if (m.len)
		answer(&m, arg);
	explicit_bzero(&m, m.len);
}
