/* SAs of a kernel that has IPsec itself, for who runs charon on his own: gateway.ipsec = "kernel".
 *
 * A socket in each underlay VRF subscribes to what the kernel says of SAs and asks once for all of
 * them; lost messages (ENOBUFS) make it ask again, and what is not said again goes. Our interfaces
 * bear disable_xfrm and disable_policy (keeper_ns.c), so the kernel encrypts nothing of ours and
 * does not drop what we have decrypted. Why this is not the default: xfrm_server.c.
 *
 * The kernel holds the same keys with a sequence of its own that never moves, so it cannot tell
 * where we were. An outbound SA is therefore used only when we heard how it was made: one that is
 * merely listed, or changed before we knew it, may have sent already, in this lintasd's time or
 * before it, and the same number twice is the end of GCM's secrecy. The kernel is told that it
 * expires, and who negotiates makes another. So it is with our limits: XFRM_MSG_EXPIRE, which
 * kernels pass on to charon. A list that is refused or never ends is asked for again by a timer.
 * Control thread only. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "keeper.h"
#include "netlink.h"
#include "xfrm_mirror.h"

#define MESSAGES_A_TURN 32
#define BYTES_MAX	32768
#define RETRY_MS	500  /* the list was refused */
#define LIST_MS		5000 /* it has not ended */

struct mirror {
	struct mirror *next;
	uint16_t vrf;
	char name[CFG_NAME_MAX];
	bool wanted;
	int fd;
	struct event *event, *timer;
	uint32_t seq;	/* of the dump in progress; 0: none */
	uint32_t round; /* SAs that were said in it have it as their owner */
	bool again;	/* what comes now cannot be trusted to be all */
	bool failing;	/* and this was said */
};

static struct mirror *mirrors;

static struct sas_from from_of(const struct mirror *m)
{
	return (struct sas_from){ .source = SAS_KERNEL, .vrf = m->vrf, .owner = m->round };
}

static void in_ms(struct mirror *m, unsigned ms)
{
	struct timeval wait = { ms / 1000, (ms % 1000) * 1000 };

	if (event_add(m->timer, &wait))
		log_event(LOG_LVL_ERR, m->name, "no timer: the kernel's SAs may be missed");
}

/* Until it has succeeded nothing is swept. */
static void dump_failed(struct mirror *m, int error)
{
	m->seq = 0;
	if (!m->failing)
		log_event(LOG_LVL_ERR, m->name,
			"the kernel does not list its SAs: %s; asked again until it does",
			strerror(error));
	m->failing = true;
	in_ms(m, RETRY_MS);
}

static void dump(struct mirror *m)
{
	struct {
		struct nlmsghdr h;
		struct xfrm_usersa_id id;
	} ask = { .h = { sizeof(ask), XFRM_MSG_GETSA, NLM_F_REQUEST | NLM_F_DUMP, 0, 0 } };

	ask.h.nlmsg_seq = m->seq = ++m->round;
	m->again = false;
	if (send(m->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		dump_failed(m, errno);
	else
		in_ms(m, LIST_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	dump(arg);
}

/* ---- what it says ---- */
static void tell_expired(int fd, const struct nlmsghdr *given, bool hard)
{
	static const struct xfrm_use none;
	struct xfrm_message m;

	xfrm_make_expire(&m, given, &none, hard);
	((struct nlmsghdr *)m.bytes)->nlmsg_flags = NLM_F_REQUEST;
	if (send(fd, m.bytes, m.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_event(LOG_LVL_WARN, "ipsec", "the kernel was not told that an SA expired: %s",
			strerror(errno));
}

static bool is_ours(const struct sas_sa *sa, const struct mirror *m)
{
	return sa->from.source == SAS_KERNEL && sa->from.vrf == m->vrf;
}

static bool sends(const struct mirror *m, const struct xfrm_sa *sa)
{
	for (const struct link *link = link_next(NULL); link; link = link_next(link)) {
		const struct cfg_link *cfg = link->cfg;

		if (cfg && cfg->encap == CFG_ENCAP_IPSEC && cfg->underlay &&
			!strcmp(cfg->underlay->vrf->name, m->name) &&
			!memcmp(&cfg->local, &sa->src, sizeof(sa->src)) &&
			!memcmp(&cfg->remote, &sa->id.dst, sizeof(sa->id.dst)))
			return true;
	}
	return false;
}

/* Did somebody make it just now, under our eyes? */
static bool is_news(const struct nlmsghdr *h)
{
	return h->nlmsg_type == XFRM_MSG_NEWSA && !(h->nlmsg_flags & NLM_F_MULTI);
}

static void new_sa(struct mirror *m, const struct nlmsghdr *h)
{
	struct sas_from from = from_of(m);
	const char *why = "";
	struct sas_sa *there;
	struct xfrm_sa sa;

	if (xfrm_parse_sa(h, &sa, NULL) || !sa.keyed) /* cut, or a number without keys */
		goto out;
	there = sas_find(m->vrf, &sa.id);
	if (there && !is_ours(there, m))
		goto out;
	if (there)
		there->from.owner = m->round;
	if (there && h->nlmsg_type == XFRM_MSG_NEWSA)
		goto out;
	if (!there && !is_news(h) && sends(m, &sa)) {
		log_event(LOG_LVL_NOTICE, m->name,
			"SA %08x is not used: it was there before, and its sequence numbers are "
			"not known; another is asked for",
			sa.id.spi);
		tell_expired(m->fd, h, false);
		goto out;
	}
	sas_put(&from, &sa, h, there != NULL, &why);
out:
	xfrm_wipe(&sa);
}

static void del_sa(struct mirror *m, const struct nlmsghdr *h)
{
	struct sas_sa *there;
	struct xfrm_sa_id id;

	if (xfrm_parse_sa_id(h, &id))
		return;
	there = sas_find(m->vrf, &id);
	if (there && is_ours(there, m))
		sas_del(there);
}

static void expired_sa(struct mirror *m, const struct nlmsghdr *h)
{
	struct sas_sa *there;
	struct xfrm_sa sa;
	bool hard = false;

	if (xfrm_parse_sa(h, &sa, &hard) || !hard)
		return;
	there = sas_find(m->vrf, &sa.id);
	if (there && is_ours(there, m))
		sas_del(there);
}

static void sweep(struct mirror *m)
{
	struct sas_sa *sa, *next;

	for (sa = sas_next(NULL); sa; sa = next) {
		next = sas_next(sa);
		if (is_ours(sa, m) && sa->from.owner != m->round)
			sas_del(sa);
	}
}

static void listed(struct mirror *m, const struct nlmsghdr *h)
{
	int error = 0;

	if (!m->seq || h->nlmsg_seq != m->seq)
		return;
	if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(h), sizeof(error));
	if (error < 0) {
		dump_failed(m, -error);
		return;
	}
	m->seq = 0;
	m->failing = false;
	event_del(m->timer);
	if (m->again)
		dump(m);
	else
		sweep(m);
}

static void refused(struct mirror *m, const struct nlmsghdr *h)
{
	struct nlmsgerr e;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(e)) || !m->seq || h->nlmsg_seq != m->seq)
		return;
	memcpy(&e, NLMSG_DATA(h), sizeof(e));
	if (e.error && e.msg.nlmsg_type == XFRM_MSG_GETSA)
		dump_failed(m, -e.error);
}

static void message(struct mirror *m, const struct nlmsghdr *h)
{
	uint8_t proto;

	switch (h->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
		new_sa(m, h);
		break;
	case XFRM_MSG_DELSA:
		del_sa(m, h);
		break;
	case XFRM_MSG_EXPIRE:
		expired_sa(m, h);
		break;
	case XFRM_MSG_FLUSHSA:
		if (!xfrm_parse_flush(h, &proto))
			sas_flush(SAS_KERNEL, m->vrf, proto);
		break;
	case NLMSG_DONE:
		listed(m, h);
		break;
	case NLMSG_ERROR:
		refused(m, h);
		break;
	}
}

static void missed(struct mirror *m)
{
	log_event(LOG_LVL_NOTICE, m->name, "SAs of the kernel were missed: all again");
	m->again = true;
	if (!m->seq && !event_pending(m->timer, EV_TIMEOUT, NULL))
		dump(m);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buf[BYTES_MAX] __attribute__((aligned(8)));
	struct mirror *m = arg;

	(void)what;
	for (unsigned i = 0; i < MESSAGES_A_TURN; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		const struct nlmsghdr *h;
		size_t offset = 0;
		int rc = 0;

		if (n < 0 && errno == ENOBUFS) {
			missed(m);
			continue;
		}
		if (n <= 0)
			return;
		if (n > (ssize_t)sizeof(buf))
			missed(m);
		while (n <= (ssize_t)sizeof(buf) &&
			(h = netlink_next(buf, (size_t)n, &offset, &rc)))
			message(m, h);
		explicit_bzero(buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf));
	}
}

static void on_expired(const struct sas_sa *sa, bool hard)
{
	for (struct mirror *m = mirrors; m; m = m->next)
		if (is_ours(sa, m) && sa->given)
			tell_expired(m->fd, sa->given, hard);
}

/* ---- sockets ---- */
static void mirror_free(struct mirror *m)
{
	sas_flush(SAS_KERNEL, m->vrf, 0);
	event_free(m->event);
	event_free(m->timer);
	close(m->fd);
	free(m);
}

int xfrm_mirror_attach(const struct vrf *vrf, int fd)
{
	struct mirror *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->event = event_new(control.base, fd, EV_READ | EV_PERSIST, on_readable, m);
	m->timer = evtimer_new(control.base, on_timer, m);
	if (!m->event || !m->timer || event_priority_set(m->event, 1) ||
		event_priority_set(m->timer, 1) || event_add(m->event, NULL)) {
		event_free(m->event);
		event_free(m->timer);
		free(m);
		return -ENOMEM;
	}
	m->vrf = vrf->id;
	memcpy(m->name, vrf->name, sizeof(m->name));
	m->fd = fd;
	m->wanted = true;
	m->next = mirrors;
	mirrors = m;
	dump(m);
	return 0;
}

static int open_in(const struct vrf *vrf)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK,
		.nl_groups = XFRMGRP_SA | XFRMGRP_EXPIRE };
	int fd = -1, rc = keeper_socket(vrf->name, KEEPER_SOCKET_XFRM, NULL, &fd);

	if (!rc && bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		rc = -errno;
	if (!rc)
		rc = xfrm_mirror_attach(vrf, fd);
	if (rc && fd >= 0)
		close(fd);
	return rc;
}

static void want(const struct vrf *vrf)
{
	struct mirror *m = mirrors;
	int rc;

	while (m && m->vrf != vrf->id)
		m = m->next;
	if (m) {
		m->wanted = true;
		return;
	}
	rc = open_in(vrf);
	if (rc)
		log_event(LOG_LVL_ERR, vrf->name, "the kernel's SAs cannot be followed: %s",
			strerror(-rc));
}

void xfrm_mirror_config_changed(void)
{
	bool wanted = control.running && control.running->gateway.ipsec == CFG_IPSEC_KERNEL;
	struct mirror **at = &mirrors, *m;

	for (m = mirrors; m; m = m->next)
		m->wanted = false;
	for (const struct link *link = link_next(NULL); wanted && link; link = link_next(link)) {
		const struct vrf *vrf = link->cfg && link->cfg->underlay
						? vrf_by_name(link->cfg->underlay->vrf->name)
						: NULL;

		if (vrf && link->cfg->encap == CFG_ENCAP_IPSEC)
			want(vrf);
	}
	while ((m = *at)) {
		if (m->wanted) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		mirror_free(m);
	}
}

int xfrm_mirror_start(void)
{
	static const struct sas_hooks hooks = { .expired = on_expired };

	sas_hook(SAS_KERNEL, &hooks);
	xfrm_mirror_config_changed();
	return 0;
}

void xfrm_mirror_stop(void)
{
	struct mirror *m;

	sas_hook(SAS_KERNEL, NULL); /* the kernel's own go on */
	while ((m = mirrors)) {
		mirrors = m->next;
		mirror_free(m);
	}
}
