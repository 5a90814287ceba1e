/* lintas-keeper: what needs privileges, behind a closed list of typed requests.
 *
 * lintasd talks to it over one SOCK_SEQPACKET socket; keeper.h is the protocol. One thread and one
 * poll loop: the listener, the one client, SIGTERM, and a pidfd for each tool that runs.
 * keeper_ns.c works in namespaces, keeper_socket.c opens sockets there, keeper_run.c runs FRR's
 * tools. Nothing from outside is parsed: every field of a request is checked against a grammar or a
 * range here, files travel as descriptors and are copied unread, tools and their arguments are
 * constants.
 *
 * Privileges: namespaces and mounts (SYS_ADMIN), interfaces and receive buffers (NET_ADMIN),
 * raw sockets (NET_RAW), and running tools as FRR's user (SETUID, SETGID, KILL, CHOWN); everything
 * else is given up at start. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "keeper_own.h"

#define EXIT_CONFIG 78

static struct {
	int listener, client, signals;
	pid_t client_pid;
	const char *socket_path, *frr_sockets, *folder;
	bool keep, stop;
} keeper = {
	.listener = -1,
	.client = -1,
	.signals = -1,
	.socket_path = KEEPER_SOCKET,
	.frr_sockets = "/run/frr",
};

uint64_t keeper_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- answers ---- */
void keeper_say(struct keeper_answer *answer, int error, const char *fmt, ...)
{
	va_list ap;

	answer->error = error;
	va_start(ap, fmt);
	vsnprintf(answer->text, sizeof(answer->text), fmt, ap);
	va_end(ap);
}

static void send_to(int sock, const struct keeper_answer *answer, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { (void *)answer, sizeof(*answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(int));
	}
	/* A client that does not read loses its answers; the keeper goes on. */
	if (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		fprintf(stderr, "<4>lintas-keeper: an answer was lost: %m\n");
}

void keeper_answer_send(const struct keeper_answer *answer, int fd)
{
	if (keeper.client >= 0)
		send_to(keeper.client, answer, fd);
}

/* ---- what a request may hold ---- */
/* [a-z][a-z0-9-]*, terminated, zeros behind: it becomes a file name and an interface name. */
static bool name_ok(const char name[CFG_NAME_MAX])
{
	size_t len = strnlen(name, CFG_NAME_MAX);

	if (len == 0 || len == CFG_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			    name[i] == '-'))
			return false;
	for (size_t i = len; i < CFG_NAME_MAX; i++)
		if (name[i])
			return false;
	return true;
}

bool keeper_is_tun(const struct keeper_request *request)
{
	static const uint8_t zero[6];

	return !memcmp(request->mac, zero, sizeof(zero));
}

/* A session: both become words of a command. */
static void peer_check(const struct keeper_request *request, struct keeper_answer *answer)
{
	const struct ip_addr *peer = &request->peer;
	static const uint8_t zero[16];

	if (!name_ok(request->vrf))
		keeper_say(answer, -EINVAL, "VRF name outside [a-z][a-z0-9-]{0,14}");
	else if (peer->af != AF_INET && peer->af != AF_INET6)
		keeper_say(answer, -EINVAL, "a peer's address is IPv4 or IPv6");
	else if (memcmp(peer->bytes + ip_size(peer->af), zero, 16 - ip_size(peer->af)))
		keeper_say(answer, -EINVAL, "something behind an IPv4 address");
	else if (request->value == KEEPER_SHOW_LISTED && !name_ok(request->name))
		keeper_say(answer, -EINVAL, "link name outside [a-z][a-z0-9-]{0,14}");
}

/* Namespace and connection become a path and a word. */
static void swan_check(const struct keeper_request *request, struct keeper_answer *answer)
{
	bool named = request->value == KEEPER_SWAN_DOWN || request->value == KEEPER_SWAN_UP;

	if (request->value >= KEEPER_SWAN_COUNT)
		keeper_say(answer, -EOPNOTSUPP, "nothing to do with charon by number %u",
			request->value);
	else if (!name_ok(request->vrf))
		keeper_say(answer, -EINVAL, "VRF name outside [a-z][a-z0-9-]{0,14}");
	else if (named && !name_ok(request->name))
		keeper_say(answer, -EINVAL, "connection name outside [a-z][a-z0-9-]{0,14}");
}

/* Kind within the list; the link's name well formed or absent, and absent where it means nothing.
 */
static void socket_check(const struct keeper_request *request, struct keeper_answer *answer)
{
	static const char none[CFG_NAME_MAX];
	static const uint8_t zero[6];
	bool named = memcmp(request->name, none, sizeof(none));

	if (request->tool >= KEEPER_SOCKET_COUNT)
		keeper_say(answer, -EINVAL, "no kind of socket %u", request->tool);
	else if (named && !name_ok(request->name))
		keeper_say(answer, -EINVAL, "link name outside [a-z][a-z0-9-]{0,14}");
	else if (!named && (request->tool == KEEPER_SOCKET_PACKET_ARP ||
				   request->tool == KEEPER_SOCKET_PACKET_VRRP))
		keeper_say(answer, -EINVAL, "a packet socket is of one link");
	else if (named && (request->tool == KEEPER_SOCKET_TCP_COUNTERS ||
				  request->tool == KEEPER_SOCKET_XFRM))
		keeper_say(answer, -EINVAL, "counters are of a VRF, not of a link");
	else if (request->value || request->mtu || memcmp(request->mac, zero, sizeof(zero)))
		keeper_say(answer, -EINVAL, "a socket has neither value nor MTU nor MAC");
}

/* What every operation needs of its fields; 0, or the answer says what is wrong. */
static int request_check(const struct keeper_request *request, struct keeper_answer *answer)
{
	bool vrf = request->op == KEEPER_VRF || request->op == KEEPER_VRF_DEL ||
		   request->op == KEEPER_TAP || request->op == KEEPER_TAP_DEL ||
		   request->op == KEEPER_NETLINK || request->op == KEEPER_OPEN;
	bool tap = request->op == KEEPER_TAP || request->op == KEEPER_TAP_DEL;

	if (vrf && !name_ok(request->vrf))
		keeper_say(answer, -EINVAL, "VRF name outside [a-z][a-z0-9-]{0,14}");
	else if (tap && !name_ok(request->name))
		keeper_say(answer, -EINVAL, "link name outside [a-z][a-z0-9-]{0,14}");
	else if (tap && !strcmp(request->name, "lo"))
		keeper_say(answer, -EINVAL, "a link cannot be called lo");
	else if (request->op == KEEPER_TAP && (request->mac[0] & 1))
		keeper_say(answer, -EINVAL, "MAC address not unicast");
	else if (request->op == KEEPER_TAP &&
		 (request->mtu < KEEPER_MTU_MIN || request->mtu > KEEPER_MTU_MAX))
		keeper_say(answer, -ERANGE, "MTU %u outside %u..%u", request->mtu, KEEPER_MTU_MIN,
			KEEPER_MTU_MAX);
	else if (request->op == KEEPER_NETLINK && request->value > KEEPER_RCVBUF_MAX)
		keeper_say(answer, -ERANGE, "receive buffer above %u bytes", KEEPER_RCVBUF_MAX);
	else if (request->op == KEEPER_RUN && request->tool == KEEPER_FRR_SHOW &&
		 request->value >= KEEPER_SHOW_PEER)
		peer_check(request, answer);
	else if (request->op == KEEPER_RUN && request->tool == KEEPER_SWAN)
		swan_check(request, answer);
	else if (request->op == KEEPER_OPEN)
		socket_check(request, answer);
	return answer->error;
}

static void request_answer(const struct keeper_request *request, int passed)
{
	struct keeper_answer answer = { .id = request->id };
	int fd = -1;

	if (!request_check(request, &answer)) {
		switch (request->op) {
		case KEEPER_HELLO:
			answer.value = (uint32_t)getpid();
			if (request->value != KEEPER_PROTOCOL)
				keeper_say(&answer, -EPROTO, "protocol %u here, %u asked",
					KEEPER_PROTOCOL, request->value);
			break;
		case KEEPER_VRF:
			keeper_ns_vrf(request, &answer);
			break;
		case KEEPER_VRF_DEL:
			keeper_ns_vrf_del(request, &answer);
			break;
		case KEEPER_TAP:
			fd = keeper_ns_tap(request, &answer, passed);
			break;
		case KEEPER_TAP_DEL:
			keeper_ns_tap_del(request, &answer);
			break;
		case KEEPER_NETLINK:
			fd = keeper_socket_netlink(request, &answer);
			break;
		case KEEPER_BFD:
			fd = keeper_socket_bfd(request, &answer, keeper.frr_sockets);
			break;
		case KEEPER_OPEN:
			fd = keeper_socket_open(request, &answer);
			break;
		case KEEPER_RUN:
			if (!keeper_run_start(
				    request, &answer, passed, keeper.frr_sockets, keeper.folder))
				return; /* the answer comes when the tool has ended */
			break;
		case KEEPER_LIST:
			keeper_ns_list(request, &answer);
			break;
		default:
			keeper_say(&answer, -EOPNOTSUPP, "no operation %u", request->op);
		}
	}
	keeper_answer_send(&answer, fd);
	if (fd >= 0 && request->op != KEEPER_TAP)
		close(fd); /* a TAP's is kept: that is what we are for */
}

/* ---- the client ---- */
/* One message: 1 = there was one (ret_passed: its descriptor or -1), 0 = the client has gone,
 * -EAGAIN, -EBADMSG. Surplus descriptors are closed. */
static int client_receive(int sock, struct keeper_request *ret_request, int *ret_passed)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(4 * sizeof(int))];
	} control;
	char room[sizeof(*ret_request) + 1];
	struct iovec iov = { room, sizeof(room) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_passed = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t fds;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*ret_passed < 0)
				*ret_passed = fd;
			else
				close(fd);
		}
	}
	if (n == 0)
		return 0;
	if (n != sizeof(*ret_request))
		return -EBADMSG;
	memcpy(ret_request, room, sizeof(*ret_request));
	return 1;
}

static void client_gone(void)
{
	fprintf(stderr, "<5>lintas-keeper: lintasd (pid %d) has gone; its links are held\n",
		keeper.client_pid);
	close(keeper.client);
	keeper.client = -1;
	keeper_run_forget();
}

static void client_serve(void)
{
	struct keeper_answer bad = { 0 };
	struct keeper_request request;
	int passed, rc = client_receive(keeper.client, &request, &passed);

	if (rc == 1) {
		request_answer(&request, passed);
	} else if (rc == -EBADMSG) {
		keeper_say(&bad, -EBADMSG, "a request is %zu bytes", sizeof(request));
		keeper_answer_send(&bad, -1);
	} else if (rc == 0) {
		client_gone();
	}
	if (passed >= 0)
		close(passed);
}

/* The first is served; whoever comes while it lives is told its pid and shown out. */
static void client_accept(void)
{
	int sock = accept4(keeper.listener, NULL, NULL, SOCK_CLOEXEC);
	struct keeper_answer answer = { 0 };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (sock < 0)
		return;
	if (keeper.client >= 0 && recv(keeper.client, &answer, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		client_gone(); /* it died, and its successor was quicker than poll */
	if (keeper.client >= 0) {
		answer.value = (uint32_t)keeper.client_pid;
		keeper_say(&answer, -EBUSY, "lintasd runs already, pid %d", keeper.client_pid);
		send_to(sock, &answer, -1);
		/* Closing over an unread request would reset the connection and lose the answer. */
		shutdown(sock, SHUT_RDWR);
		while (recv(sock, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
		close(sock);
		return;
	}
	getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	keeper.client = sock;
	keeper.client_pid = peer.pid;
}

/* ---- start ---- */
static int cannot(const char *need, const char *have, const char *command)
{
	fprintf(stderr, "<3>lintas-keeper: cannot start: need %s, have %s; %s\n", need, have,
		command);
	return EXIT_CONFIG;
}

static int listen_open(const char *folder)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t before;
	int rc = 0, probe;

	if (strlen(keeper.socket_path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, keeper.socket_path);
	before = umask(0027);
	if (mkdir(folder, 0750) && errno != EEXIST)
		rc = -errno;
	umask(before);
	if (rc)
		return rc;
	probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	rc = connect(probe, (struct sockaddr *)&addr, sizeof(addr));
	close(probe);
	if (!rc)
		return -EADDRINUSE;
	unlink(keeper.socket_path); /* left by a keeper that was killed */
	keeper.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (keeper.listener < 0)
		return -errno;
	before = umask(0177);
	rc = bind(keeper.listener, (struct sockaddr *)&addr, sizeof(addr)) ||
			     listen(keeper.listener, 8)
		     ? -errno
		     : 0;
	umask(before);
	return rc;
}

/* Down to what the header says, as far as we have it; nothing more can be had by exec either. */
static int privileges_drop(void)
{
	static const cap_value_t need[] = { CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETUID,
		CAP_SETGID, CAP_KILL, CAP_CHOWN };
	cap_t have = cap_get_proc(), want = cap_init();
	int rc = have && want ? 0 : -ENOMEM;

	for (cap_value_t cap = 0; !rc && cap <= cap_max_bits(); cap++) {
		cap_flag_value_t set = CAP_CLEAR;
		bool needed = false;

		for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
			needed |= need[i] == cap;
		if (!needed) {
			cap_drop_bound(cap); /* refused only where there is nothing to drop */
			continue;
		}
		cap_get_flag(have, cap, CAP_PERMITTED, &set);
		cap_set_flag(want, CAP_PERMITTED, 1, &cap, set);
		cap_set_flag(want, CAP_EFFECTIVE, 1, &cap, set);
	}
	if (!rc && (cap_set_proc(want) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
			   prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		rc = -errno;
	cap_free(have);
	cap_free(want);
	return rc;
}

static int options(int argc, char **argv)
{
	static const struct option list[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "frr-sockets", required_argument, NULL, 'f' },
		{ "keep", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:f:kh", list, NULL)) != -1) {
		if (c == 's')
			keeper.socket_path = optarg;
		else if (c == 'f')
			keeper.frr_sockets = optarg;
		else if (c == 'k')
			keeper.keep = true;
		else
			break;
	}
	if (c == -1 && optind == argc)
		return 0;
	fprintf(c == 'h' ? stdout : stderr,
		"lintas-keeper [--socket PATH] [--frr-sockets FOLDER] [--keep]\n"
		"  --socket       where lintasd finds it (%s)\n"
		"  --frr-sockets  FRR's vty sockets (/run/frr)\n"
		"  --keep         leave the namespaces it made when it ends\n",
		KEEPER_SOCKET);
	return c == 'h' ? 1 : -EINVAL;
}

static int start(void)
{
	static char folder[256];
	char have[200];
	sigset_t set;
	int rc;

	if (snprintf(folder, sizeof(folder), "%s", keeper.socket_path) >= (int)sizeof(folder))
		return cannot("a socket path that fits", "one of over 255 bytes", "see --socket");
	rc = listen_open(dirname(folder));
	if (rc == -EADDRINUSE)
		return cannot("the socket to be free", "a lintas-keeper that answers on it",
			"stop it first, or give another --socket");
	keeper.folder = folder;
	if (rc || (rc = keeper_ns_start(folder))) {
		snprintf(have, sizeof(have), "%s: %s", keeper.socket_path, strerror(-rc));
		return cannot("a socket", have, "run it as root, or give another --socket");
	}
	rc = privileges_drop();
	if (rc)
		return cannot("to give up privileges", strerror(-rc), "run it as root");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	keeper.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return keeper.signals < 0 ? cannot("a signalfd", strerror(errno), "see ulimit -n") : 0;
}

static void serve(void)
{
	struct pollfd fds[3 + KEEPER_RUNS_MAX];
	nfds_t n = 3;

	fds[0] = (struct pollfd){ .fd = keeper.signals, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = keeper.listener, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = keeper.client, .events = POLLIN };
	n += keeper_run_fds(fds + n);
	if (poll(fds, n, keeper_run_timeout_ms()) < 0)
		return;
	if (fds[0].revents)
		keeper.stop = true;
	if (fds[2].revents)
		client_serve();
	if (fds[1].revents)
		client_accept();
	keeper_run_poll();
}

int main(int argc, char **argv)
{
	int rc = options(argc, argv);

	if (rc)
		return rc > 0 ? 0 : EXIT_CONFIG;
	rc = start();
	if (rc)
		return rc;
	while (!keeper.stop)
		serve();
	keeper_run_stop();
	if (!keeper.keep)
		keeper_ns_stop();
	unlink(keeper.socket_path);
	return 0;
}
