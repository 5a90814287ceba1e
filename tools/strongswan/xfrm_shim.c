/* lintas-xfrm.so: what an unmodified charon says to the kernel about IPsec goes to lintasd.
 *
 * Loaded by LD_PRELOAD with LINTAS_XFRM=SOCKET. socket(AF_NETLINK, _, NETLINK_XFRM) then gives one
 * end of a socket pair; a thread of this library holds the other and carries messages to and from a
 * connection to lintasd, one for each. Everything else of netlink is the kernel's as ever. charon's
 * descriptor therefore never breaks: while lintasd is away a question waits, five seconds at most,
 * then it is answered with an error, and what was asked and not answered is asked again.
 *
 * lintasd's memory is here as well. On a connection of its own it hands over what must outlive it
 * (the SAs it holds, and numbers up to which their sequences may have been used), opaque to us, and
 * gets all of it back before anything else when it comes again. charon's process is the right
 * place: it knows these keys anyway, and when it ends they are of no more use to it. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "control/xfrm_wire.h"

#define PAIRS	 16
#define KEPT_MAX 8192
#define RETRY_MS 200
#define HOLD_MS	 5000
#define SAY_MS	 2000 /* lintasd takes back what we kept for it */

#define REAL(type, name, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (!real)                        \
	real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

struct pair {
	int near, far; /* to charon, to lintasd; -1: none */
	uint32_t groups;
	uint64_t asked_ms; /* 0: nothing is unanswered */
	size_t len;
	uint8_t asked[XFRM_WIRE_MAX];
};

struct kept {
	struct kept *next;
	size_t len;
	uint8_t bytes[]; /* a struct xfrm_wire_head and what follows */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fresh[PAIRS], n_fresh, wake = -1; /* under the lock: for the thread to take over */
static struct pair pairs[PAIRS];	     /* the rest is the thread's */
static unsigned n_pairs, n_kept;
static struct kept *kept;
static int vault = -1;
static uint64_t away_ms; /* since when lintasd is away */
static uint8_t buf[XFRM_WIRE_MAX];

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + 1;
}

static bool say(int fd, const void *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static bool say_head(int fd, uint16_t type, uint64_t value)
{
	struct xfrm_wire_head head = { { sizeof(head), type, 0, 0, 0 }, value, 0, 0 };

	return say(fd, &head, sizeof(head));
}

/* ---- what lintasd wants kept ---- */
static void keep(const uint8_t *bytes, size_t len)
{
	struct xfrm_wire_head head;
	struct kept **at = &kept, *k;

	if (len < sizeof(head))
		return;
	memcpy(&head, bytes, sizeof(head));
	while (*at && ((struct xfrm_wire_head *)(*at)->bytes)->id != head.id)
		at = &(*at)->next;
	k = *at;
	if (k && head.h.nlmsg_type == XFRM_WIRE_SEQ) {
		((struct xfrm_wire_head *)k->bytes)->seq = head.seq;
	} else if (k &&
		   (head.h.nlmsg_type == XFRM_WIRE_DROP || head.h.nlmsg_type == XFRM_WIRE_KEEP)) {
		*at = k->next;
		explicit_bzero(k->bytes, k->len);
		free(k);
		n_kept--;
	}
	if (head.h.nlmsg_type != XFRM_WIRE_KEEP || n_kept == KEPT_MAX)
		return;
	k = malloc(sizeof(*k) + len);
	if (!k)
		return;
	k->len = len;
	memcpy(k->bytes, bytes, len);
	k->next = kept;
	kept = k;
	n_kept++;
}

/* ---- lintasd ---- */
static int far_open(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = getenv(XFRM_WIRE_ENV);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	strncpy(addr.sun_path, path ? path : "", sizeof(addr.sun_path) - 1);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static void far_lost(void)
{
	ssize_t n;

	/* What lintasd said last is still there to be read. */
	while (vault >= 0 && (n = recv(vault, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		keep(buf, (size_t)n);
	if (vault >= 0)
		close(vault);
	vault = -1;
	for (unsigned i = 0; i < n_pairs; i++) {
		if (pairs[i].far >= 0)
			close(pairs[i].far);
		pairs[i].far = -1;
	}
	if (!away_ms)
		away_ms = now_ms();
}

static bool pair_open(struct pair *p)
{
	p->far = far_open();
	if (p->far < 0 || !say_head(p->far, XFRM_WIRE_GROUPS, p->groups))
		return false;
	return !p->asked_ms || say(p->far, p->asked, p->len);
}

/* First all that is kept, until lintasd has taken it in; then charon's own. */
static bool far_join(void)
{
	struct timeval wait = { SAY_MS / 1000, 0 };
	struct nlmsghdr *h = (struct nlmsghdr *)buf;
	ssize_t n;

	vault = far_open();
	if (vault < 0)
		return false;
	setsockopt(vault, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(vault, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (!say_head(vault, XFRM_WIRE_VAULT, XFRM_WIRE_VERSION))
		return false;
	for (const struct kept *k = kept, *next; k; k = next) {
		next = k->next; /* lintasd drops nothing that it has not been told yet */
		if (send(vault, k->bytes, k->len, MSG_NOSIGNAL) < 0)
			return false;
		while ((n = recv(vault, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			keep(buf, (size_t)n);
	}
	if (!say_head(vault, XFRM_WIRE_DONE, 0))
		return false;
	while ((n = recv(vault, buf, sizeof(buf), 0)) >= (ssize_t)sizeof(*h) &&
		h->nlmsg_type != XFRM_WIRE_DONE)
		keep(buf, (size_t)n);
	if (n < (ssize_t)sizeof(*h))
		return false;
	for (unsigned i = 0; i < n_pairs; i++)
		if (!pair_open(&pairs[i]))
			return false;
	away_ms = 0;
	return true;
}

/* ---- charon ---- */
static void refuse(struct pair *p, int error)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} m = { .h = { sizeof(m), NLMSG_ERROR, 0, 0, 0 }, .e.error = -error };

	memcpy(&m.e.msg, p->asked, sizeof(m.e.msg));
	m.h.nlmsg_seq = m.e.msg.nlmsg_seq;
	m.h.nlmsg_pid = m.e.msg.nlmsg_pid;
	explicit_bzero(p->asked, p->len);
	p->asked_ms = 0;
	say(p->near, &m, sizeof(m));
}

static void pair_close(unsigned i)
{
	close(pairs[i].near);
	if (pairs[i].far >= 0)
		close(pairs[i].far);
	explicit_bzero(pairs[i].asked, sizeof(pairs[i].asked));
	pairs[i] = pairs[--n_pairs];
}

static bool from_near(struct pair *p) /* false: charon has closed it */
{
	const struct xfrm_wire_head *head = (const struct xfrm_wire_head *)p->asked;
	ssize_t n = recv(p->near, p->asked, sizeof(p->asked), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (n < (ssize_t)sizeof(struct nlmsghdr))
		return true;
	if (n == sizeof(*head) && head->h.nlmsg_type == XFRM_WIRE_GROUPS)
		p->groups = (uint32_t)head->id;
	else
		p->asked_ms = now_ms();
	p->len = (size_t)n;
	if (p->far >= 0 && !say(p->far, p->asked, p->len))
		far_lost();
	return true;
}

static bool from_far(struct pair *p) /* false: lintasd has gone */
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf, *mine = (void *)p->asked;
	ssize_t n = recv(p->far, buf, sizeof(buf), MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (p->asked_ms && n >= (ssize_t)sizeof(*h) && h->nlmsg_seq == mine->nlmsg_seq) {
		explicit_bzero(p->asked, p->len);
		p->asked_ms = 0;
	}
	say(p->near, buf, (size_t)n); /* who does not read loses news, as with the kernel */
	explicit_bzero(buf, (size_t)n);
	return true;
}

/* ---- the thread ---- */
static void take_over(void)
{
	uint64_t count;

	pthread_mutex_lock(&lock);
	if (read(wake, &count, sizeof(count)) > 0)
		while (n_fresh && n_pairs < PAIRS) {
			struct pair *p = &pairs[n_pairs++];

			*p = (struct pair){ .near = fresh[--n_fresh], .far = -1 };
			if (!away_ms && !pair_open(p))
				far_lost();
		}
	pthread_mutex_unlock(&lock);
}

/* lintasd does not answer, or has been away for as long as anybody waits. */
static bool overdue(uint64_t asked_ms)
{
	uint64_t now = now_ms();

	return now - asked_ms > HOLD_MS || (away_ms && now - away_ms > HOLD_MS);
}

static void one_round(void)
{
	struct pollfd fds[2 + 2 * PAIRS] = { { .fd = wake, .events = POLLIN },
		{ .fd = vault, .events = POLLIN } };
	bool wait = away_ms && !overdue(now_ms());
	unsigned n = n_pairs;
	ssize_t got;

	for (unsigned i = 0; i < n; i++) {
		/* One question at a time: the next is read when this one has its answer. */
		fds[2 + 2 * i] = (struct pollfd){ .fd = pairs[i].near,
			.events = pairs[i].asked_ms || wait ? 0 : POLLIN };
		fds[3 + 2 * i] = (struct pollfd){ .fd = pairs[i].far, .events = POLLIN };
	}
	poll(fds, 2 + 2 * n, RETRY_MS);
	if (fds[1].revents) {
		got = recv(vault, buf, sizeof(buf), MSG_DONTWAIT);
		if (got > 0)
			keep(buf, (size_t)got);
		else if (!got || errno != EAGAIN)
			far_lost();
	}
	for (unsigned i = n; i-- > 0;) { /* downwards: one that closes is replaced by the last */
		if (fds[3 + 2 * i].revents && pairs[i].far >= 0 && !from_far(&pairs[i]))
			far_lost();
		if (fds[2 + 2 * i].revents && !from_near(&pairs[i]))
			pair_close(i);
		else if (pairs[i].asked_ms && overdue(pairs[i].asked_ms))
			refuse(&pairs[i], ETIMEDOUT);
	}
	if (fds[0].revents)
		take_over();
	if (away_ms && !far_join())
		far_lost();
}

static void *thread(void *arg)
{
	(void)arg;
	away_ms = now_ms();
	for (;;)
		one_round();
	return NULL;
}

/* ---- what charon calls ---- */
static int start(void) /* under the lock */
{
	sigset_t all, before;
	pthread_t id;
	int rc;

	if (wake >= 0)
		return 0;
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = wake < 0 ? errno : pthread_create(&id, NULL, thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

__attribute__((visibility("default"))) int socket(int domain, int type, int protocol)
{
	REAL(int, "socket", int, int, int);
	int ends[2], rc;
	uint64_t one = 1;

	if (domain != AF_NETLINK || protocol != NETLINK_XFRM || !getenv(XFRM_WIRE_ENV))
		return real(domain, type, protocol);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)), 0, ends))
		return -1;
	pthread_mutex_lock(&lock);
	rc = n_fresh == PAIRS ? EMFILE : start();
	if (!rc) {
		fresh[n_fresh++] = ends[1];
		rc = write(wake, &one, sizeof(one)) < 0 ? errno : 0;
	}
	pthread_mutex_unlock(&lock);
	if (!rc)
		return ends[0];
	close(ends[0]);
	close(ends[1]);
	errno = rc;
	return -1;
}

static bool ours(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(domain), type_len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) && type == SOCK_SEQPACKET;
}

__attribute__((visibility("default"))) int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	REAL(int, "bind", int, const struct sockaddr *, socklen_t);
	struct sockaddr_nl nl;

	if (len < sizeof(nl) || addr->sa_family != AF_NETLINK || !ours(fd))
		return real(fd, addr, len);
	memcpy(&nl, addr, sizeof(nl));
	return say_head(fd, XFRM_WIRE_GROUPS, nl.nl_groups) ? 0 : -1;
}

__attribute__((visibility("default"))) int setsockopt(
	int fd, int level, int name, const void *value, socklen_t len)
{
	REAL(int, "setsockopt", int, int, int, const void *, socklen_t);

	return level == SOL_NETLINK && ours(fd) ? 0 : real(fd, level, name, value, len);
}

__attribute__((visibility("default"))) ssize_t recvfrom(
	int fd, void *bytes, size_t size, int flags, struct sockaddr *addr, socklen_t *len)
{
	REAL(ssize_t, "recvfrom", int, void *, size_t, int, struct sockaddr *, socklen_t *);
	socklen_t room = addr && len ? *len : 0;
	ssize_t n = real(fd, bytes, size, flags, addr, len);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK }; /* nl_pid 0: who has sent it */

	if (n >= 0 && room >= sizeof(kernel) && !*len && ours(fd)) {
		memcpy(addr, &kernel, sizeof(kernel));
		*len = sizeof(kernel);
	}
	return n;
}
