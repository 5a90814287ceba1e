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
 * An outbound SA never uses a number that was not handed over before (sas_life.c): if its next
 * lease cannot be, it ends. Requests whose message cannot be handed over are refused, and the
 * connection closed: the library comes again, says what it has, and is told what is other by now.
 *
 * What cannot be taken back (its link has gone, its numbers are used up) is told to charon as
 * expired, and negotiated anew. If charon dies first, what it kept dies with it: then lintasd still
 * has the SAs. Only both at once lose tunnels. Control thread only. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include "xfrm_policy.h"
#include "xfrm_server.h"
#include "xfrm_wire.h"

#define VAULTS_MAX DP_VRFS_MAX

static struct vault {
	struct sas_from from;
	int fd; /* of the server's client */
	bool used, said;
} vaults[VAULTS_MAX];
static uint64_t started_ns; /* what is younger is this lintasd's own */
static void (*on_expired)(const struct sas_from *from, const struct nlmsghdr *expire, size_t len);

static struct vault *vault_of(const struct sas_from *from)
{
	for (unsigned i = 0; i < VAULTS_MAX; i++)
		if (vaults[i].used && vaults[i].from.vrf == from->vrf &&
			vaults[i].from.owner == from->owner)
			return &vaults[i];
	return NULL;
}

int xfrm_vault_set(const struct sas_from *from, int fd)
{
	struct vault *v = vault_of(from);

	for (unsigned i = 0; !v && fd >= 0 && i < VAULTS_MAX; i++)
		if (!vaults[i].used)
			v = &vaults[i];
	if (!v)
		return fd < 0 ? 0 : -ENOSPC;
	*v = (struct vault){ .from = *from, .fd = fd, .used = fd >= 0 };
	return 0;
}

/* It keeps what it has as long as its process lives, whether it listens or not. A process that we
 * cannot see (0: of another namespace) is believed to live. */
bool xfrm_vault_lives(const struct sas_from *from)
{
	return !kill((pid_t)from->owner, 0) || errno != ESRCH;
}

static void say_full(struct vault *v, int error)
{
	const struct vrf *vrf = vrf_by_id(v->from.vrf);

	if (!v->said)
		log_event(LOG_LVL_WARN, vrf ? vrf->name : NULL,
			"charon (pid %u) does not take what it is to keep for lintasd's next "
			"start: %s; is it stopped, or has it no CPU?",
			v->from.owner, strerror(error));
	v->said = true;
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
		return -ENOTCONN;
	if (given_len > sizeof(m.bytes))
		return -EMSGSIZE;
	m.head = (struct xfrm_wire_head){ { (uint32_t)len, type, 0, 0, 0 }, id, seq, added_ns };
	if (given)
		memcpy(m.bytes, given, given_len);
	sent = send(v->fd, &m, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	explicit_bzero(m.bytes, given_len);
	if (sent == (ssize_t)len)
		return 0;
	say_full(v, sent < 0 ? errno : EMSGSIZE);
	if (type != XFRM_WIRE_SEQ) /* that is said again soon */
		shutdown(v->fd, SHUT_RDWR);
	return -ENOBUFS;
}

static int keep_sa(const struct sas_sa *sa)
{
	return give(&sa->from, XFRM_WIRE_KEEP, sa->id, sa->seq, sa->added_ns, sa->given);
}

static int keep_seq(const struct sas_sa *sa)
{
	int rc = give(&sa->from, XFRM_WIRE_SEQ, sa->id, sa->seq, sa->added_ns, NULL);

	return rc == -ENOTCONN && !xfrm_vault_lives(&sa->from) ? 0 : rc;
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
/* We have it, or had it: the library may have missed what became of it. */
static void set_right(const struct sas_from *from, const struct xfrm_wire_head *head,
	const struct nlmsghdr *given, struct sas_sa *sa)
{
	if (!sa || sa->id != head->id || memcmp(&sa->from, from, sizeof(*from))) {
		give(from, XFRM_WIRE_DROP, head->id, 0, 0, NULL);
		return;
	}
	sas_owner_back(sa);
	if (sa->given && (sa->given->nlmsg_len != given->nlmsg_len ||
				 memcmp(sa->given, given, given->nlmsg_len)))
		keep_sa(sa);
	else if (sa->seq != head->seq)
		keep_seq(sa);
}

static int take_back_policy(const struct sas_from *from, const struct xfrm_wire_head *head,
	const struct nlmsghdr *given)
{
	struct xfrm_policy policy;
	int rc = xfrm_parse_policy(given, &policy);

	if (!rc && xfrm_policy_put(from, &policy, given, true, head->id))
		give(from, XFRM_WIRE_DROP, head->id, 0, 0, NULL);
	return rc;
}

static int take_back(const struct sas_from *from, const struct xfrm_wire_head *head,
	const struct nlmsghdr *given,
	void (*lost)(const struct nlmsghdr *expire, size_t len, void *arg), void *arg)
{
	static const struct xfrm_use none;
	struct xfrm_message m;
	const char *why = "";
	struct sas_sa *sa;
	struct xfrm_sa x;
	int rc;

	switch (given->nlmsg_type) {
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY:
		return take_back_policy(from, head, given);
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
	case XFRM_MSG_ALLOCSPI:
		break;
	default:
		return -EBADMSG;
	}
	rc = xfrm_parse_sa(given, &x, NULL);
	sa = rc ? NULL : sas_find(from->vrf, &x.id);
	xfrm_wipe(&x);
	if (rc)
		return rc;
	if (sa || (given->nlmsg_type != XFRM_MSG_ALLOCSPI && head->id >= started_ns)) {
		set_right(from, head, given, sa);
		return 0;
	}
	rc = sas_take_back(from, given, head->id, head->seq, head->added_ns, &why);
	if (rc) {
		log_event(
			LOG_LVL_WARN, "ipsec", "an SA of the last run is not taken back: %s", why);
		give(from, XFRM_WIRE_DROP, head->id, 0, 0, NULL);
		xfrm_make_expire(&m, given, &none, true);
		lost((const struct nlmsghdr *)m.bytes, m.len, arg);
	}
	return 0;
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
	started_ns = now_ns();
	sas_hook(SAS_CHARON, &hooks);
	xfrm_policy_hook(&policies);
}

void xfrm_vault_stop(void)
{
	sas_hook(SAS_CHARON, NULL);
	xfrm_policy_hook(NULL);
	memset(vaults, 0, sizeof(vaults));
}
