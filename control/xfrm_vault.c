/* What outlives lintasd in the process of charon.
 *
 * When lintasd ends, charon, its IKE SAs and the peers' SAs live on; only the fast path's are gone,
 * and the numbers they had come to. Asking charon again is impossible (it does not know that its
 * kernel forgot), negotiating everything anew takes seconds a tunnel and all tunnels at once. So
 * each message that brought an SA or policy is handed to the library in charon's process before it
 * is acknowledged, with its sequence number as sas_life.c leases it, and a new lintasd is told all
 * of them before charon's next request. The alternatives were worse: files hold keys longer than
 * processes do, and the keeper would have to be trusted with them for nothing; a list of SAs that
 * the library made by itself would be another parser.
 *
 * What cannot be taken back (its link has gone, its numbers are used up) is told to charon as
 * expired, and negotiated anew. If charon dies first, what it kept dies with it: then lintasd still
 * has the SAs. Only both at once lose tunnels. Control thread only. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "xfrm_policy.h"
#include "xfrm_server.h"
#include "xfrm_wire.h"

#define VAULTS_MAX 64

static struct vault {
	struct sas_from from;
	int fd; /* of the server's client */
	bool used;
} vaults[VAULTS_MAX];
static void (*on_expired)(const struct sas_from *from, const struct nlmsghdr *expire, size_t len);

static struct vault *vault_of(const struct sas_from *from)
{
	for (unsigned i = 0; i < VAULTS_MAX; i++)
		if (vaults[i].used && vaults[i].from.vrf == from->vrf &&
			vaults[i].from.owner == from->owner)
			return &vaults[i];
	return NULL;
}

void xfrm_vault_set(const struct sas_from *from, int fd)
{
	struct vault *v = vault_of(from);

	for (unsigned i = 0; !v && i < VAULTS_MAX; i++)
		if (!vaults[i].used)
			v = &vaults[i];
	if (!v)
		return;
	v->used = fd >= 0;
	v->from = *from;
	v->fd = fd;
}

/* ---- giving ---- */
static int give(const struct sas_from *from, uint16_t type, uint64_t id, uint64_t seq,
	uint64_t added_ns, const struct nlmsghdr *given)
{
	struct {
		struct xfrm_wire_head head;
		uint8_t bytes[XFRM_SA_BYTES_MAX];
	} m;
	struct vault *v = vault_of(from);
	size_t given_len = given ? given->nlmsg_len : 0, len = sizeof(m.head) + given_len;
	ssize_t sent;

	if (!v)
		return 0; /* not our library: then nobody keeps anything */
	if (given_len > sizeof(m.bytes))
		return -EMSGSIZE;
	m.head = (struct xfrm_wire_head){ { (uint32_t)len, type, 0, 0, 0 }, id, seq, added_ns };
	if (given)
		memcpy(m.bytes, given, given_len);
	sent = send(v->fd, &m, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	explicit_bzero(m.bytes, given_len);
	if (sent == (ssize_t)len)
		return 0;
	shutdown(v->fd, SHUT_RDWR); /* the library comes again and is told everything */
	return -ENOBUFS;
}

static int keep_sa(const struct sas_sa *sa)
{
	return give(&sa->from, XFRM_WIRE_KEEP, sa->id, sa->seq, sa->added_ns, sa->given);
}

static void keep_seq(const struct sas_sa *sa)
{
	give(&sa->from, XFRM_WIRE_SEQ, sa->id, sa->seq, sa->added_ns, NULL);
}

static void forget_sa(const struct sas_sa *sa)
{
	give(&sa->from, XFRM_WIRE_DROP, sa->id, 0, 0, NULL);
}

static int keep_policy(const struct sas_from *from, uint64_t id, const struct nlmsghdr *given)
{
	return give(from, XFRM_WIRE_KEEP, id, 0, 0, given);
}

static void forget_policy(const struct sas_from *from, uint64_t id)
{
	give(from, XFRM_WIRE_DROP, id, 0, 0, NULL);
}

static void expired(const struct sas_sa *sa, bool hard)
{
	struct xfrm_message m;
	struct dp_sa_info info;
	struct xfrm_use use;

	sas_use_of((struct sas_sa *)sa, &use, &info);
	xfrm_make_expire(&m, sa->given, &use, hard);
	on_expired(&sa->from, (const struct nlmsghdr *)m.bytes, m.len);
}

/* ---- taking back ---- */
static int take_back(const struct sas_from *from, const struct xfrm_wire_head *head,
	const struct nlmsghdr *given,
	void (*lost)(const struct nlmsghdr *expire, size_t len, void *arg), void *arg)
{
	static const struct xfrm_use none;
	struct xfrm_policy policy;
	struct xfrm_message m;
	const char *why = "";
	int rc;

	switch (given->nlmsg_type) {
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY:
		rc = xfrm_parse_policy(given, &policy);
		return rc ? rc : xfrm_policy_put(from, &policy, given, true, head->id);
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
	case XFRM_MSG_ALLOCSPI:
		break;
	default:
		return -EBADMSG;
	}
	rc = sas_take_back(from, given, head->id, head->seq, head->added_ns, &why);
	if (rc != -EBADMSG && rc != -EEXIST && rc) {
		log_event(
			LOG_LVL_WARN, "ipsec", "an SA of the last run is not taken back: %s", why);
		give(from, XFRM_WIRE_DROP, head->id, 0, 0, NULL);
		xfrm_make_expire(&m, given, &none, true);
		lost((const struct nlmsghdr *)m.bytes, m.len, arg);
	}
	return rc == -EBADMSG ? rc : 0;
}

int xfrm_vault_message(const struct sas_from *from, const uint8_t *bytes, size_t len,
	void (*lost)(const struct nlmsghdr *expire, size_t len, void *arg), void *arg)
{
	struct {
		uint8_t bytes[XFRM_SA_BYTES_MAX];
	} given __attribute__((aligned(8)));
	const struct nlmsghdr *h = (const struct nlmsghdr *)given.bytes;
	struct xfrm_wire_head head;
	int rc;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	if (head.h.nlmsg_type == XFRM_WIRE_DONE)
		return 1;
	len -= sizeof(head);
	if (head.h.nlmsg_type != XFRM_WIRE_KEEP || len > sizeof(given.bytes) || len < sizeof(*h))
		return -EBADMSG;
	memcpy(given.bytes, bytes + sizeof(head), len);
	rc = h->nlmsg_len != len ? -EBADMSG : take_back(from, &head, h, lost, arg);
	explicit_bzero(given.bytes, len);
	return rc;
}

void xfrm_vault_start(
	void (*expired_cb)(const struct sas_from *from, const struct nlmsghdr *expire, size_t len))
{
	static const struct sas_hooks hooks = { keep_sa, keep_seq, forget_sa, expired };
	static const struct xfrm_policy_keep policies = { keep_policy, forget_policy };

	on_expired = expired_cb;
	sas_hook(SAS_CHARON, &hooks);
	xfrm_policy_hook(&policies);
}

void xfrm_vault_stop(void)
{
	sas_hook(SAS_CHARON, NULL);
	xfrm_policy_hook(NULL);
	memset(vaults, 0, sizeof(vaults));
}
