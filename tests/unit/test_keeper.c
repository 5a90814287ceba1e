/* The keeper as a process: what it refuses, whom it serves, and that links outlive the client. It
 * runs in mount and network namespaces of its own where this user may make them; where not, the
 * tests that need a namespace are skipped. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "control/keeper.h"
#include "unit.h"

#define DEADLINE_S 10
#ifndef IFF_LOWER_UP /* linux/if.h has it, and cannot be included beside net/if.h */
#define IFF_LOWER_UP 0x10000
#endif

static char folder[64], socket_path[96];
static pid_t keeper_pid;
static bool namespaces; /* the keeper has its own */

/* ---- the keeper ---- */
/* A namespace that was there before the keeper: /run/netns/old. */
static int old_namespace(void)
{
	int fd;

	mkdir("/run/netns", 0755);
	fd = open("/run/netns/old", O_CREAT | O_RDONLY | O_CLOEXEC, 0444);
	if (fd < 0)
		return -1;
	close(fd);
	return mount("/proc/self/ns/net", "/run/netns/old", "none", MS_BIND, NULL) ||
	       unshare(CLONE_NEWNET);
}

static void keeper_exec(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	if (namespaces && (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
				  mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
				  mount("tmpfs", "/run", "tmpfs", 0, NULL) || old_namespace()))
		_exit(1);
	if (n < 0 || !freopen("/dev/null", "w", stderr))
		_exit(1);
	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/lintas-keeper");
	execl(path, path, "--socket", socket_path, NULL);
	_exit(1);
}

static int client_connect(void)
{
	const struct timeval wait = { .tv_sec = DEADLINE_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, socket_path);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (!connect(sock, (struct sockaddr *)&addr, sizeof(addr)))
		return sock;
	close(sock);
	return -1;
}

static bool keeper_start(void)
{
	time_t end = time(NULL) + DEADLINE_S;
	int sock = -1;

	snprintf(folder, sizeof(folder), "/tmp/lintas-unit-XXXXXX");
	if (!mkdtemp(folder))
		return false;
	snprintf(socket_path, sizeof(socket_path), "%s/keeper.sock", folder);
	namespaces = geteuid() == 0 && !access("/dev/net/tun", R_OK | W_OK);
	keeper_pid = fork();
	if (keeper_pid == 0)
		keeper_exec();
	while (keeper_pid > 0 && sock < 0 && time(NULL) < end &&
		waitpid(keeper_pid, NULL, WNOHANG) == 0) {
		sock = client_connect();
		if (sock < 0)
			poll(NULL, 0, 5); /* until it listens */
	}
	if (sock >= 0)
		close(sock);
	return sock >= 0;
}

static void keeper_end(void)
{
	char path[160];
	int status = -1;

	kill(keeper_pid, SIGTERM);
	CU_ASSERT_EQUAL(waitpid(keeper_pid, &status, 0), keeper_pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT_NOT_EQUAL(access(socket_path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/vrfs", folder);
	CU_ASSERT_EQUAL(rmdir(path), 0); /* no namespace is remembered any more */
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

/* ---- talking to it ---- */
static ssize_t receive(int sock, struct keeper_answer *answer, int *ret_fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { answer, sizeof(*answer) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c;
	ssize_t n;

	memset(answer, 0xa5, sizeof(*answer));
	*ret_fd = -1;
	n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n;
}

static int ask(int sock, struct keeper_request *request, struct keeper_answer *answer, int *ret_fd)
{
	static uint32_t id;
	int fd;

	request->id = ++id;
	CU_ASSERT_EQUAL(send(sock, request, sizeof(*request), MSG_NOSIGNAL), sizeof(*request));
	CU_ASSERT_EQUAL_FATAL(receive(sock, answer, &fd), sizeof(*answer));
	CU_ASSERT_EQUAL(answer->id, id);
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return answer->error;
}

static int hello(int sock)
{
	struct keeper_request request = { .op = KEEPER_HELLO, .value = KEEPER_PROTOCOL };
	struct keeper_answer answer;
	int rc = ask(sock, &request, &answer, NULL);

	if (!rc)
		CU_ASSERT_EQUAL(answer.value, (uint32_t)keeper_pid);
	return rc;
}

static int op(int sock, uint16_t what, const char *vrf, const char *name, uint32_t value,
	struct keeper_answer *answer, int *ret_fd)
{
	struct keeper_request request = {
		.op = what, .value = value, .mtu = 1500, .mac = { 0x02, 0, 0, 0, 0, 1 }
	};

	memcpy(request.vrf, vrf,
		strnlen(vrf, sizeof(request.vrf))); /* may fill it: no terminator */
	memcpy(request.name, name, strnlen(name, sizeof(request.name)));
	return ask(sock, &request, answer, ret_fd);
}

static unsigned keeper_fds(void)
{
	char path[64];
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", keeper_pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* ---- tests ---- */
static void test_lengths(void)
{
	static char room[70000];
	size_t lengths[] = { 1, sizeof(struct keeper_request) - 1,
		sizeof(struct keeper_request) + 1, 65536 };
	struct keeper_answer answer;
	int sock = client_connect(), fd;

	CU_ASSERT_FATAL(sock >= 0);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		CU_ASSERT_EQUAL(send(sock, room, lengths[i], MSG_NOSIGNAL), (ssize_t)lengths[i]);
		CU_ASSERT_EQUAL(receive(sock, &answer, &fd), sizeof(answer));
		CU_ASSERT_EQUAL(answer.error, -EBADMSG);
		CU_ASSERT_EQUAL(hello(sock), 0);
	}
	close(sock);
}

static void test_fields(void)
{
	static const char *const names[] = { "", "A", "0a", "a/b", "..", "a b", "a_b", "a\xff",
		"-a", "abcdefghijklmnop" /* 16: no room for the terminator */ };
	struct keeper_request request;
	struct keeper_answer answer;
	int sock = client_connect();

	CU_ASSERT_FATAL(sock >= 0);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CU_ASSERT_EQUAL(op(sock, KEEPER_VRF, names[i], "", 0, &answer, NULL), -EINVAL);
		CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, names[i], "", 0, &answer, NULL), -EINVAL);
		CU_ASSERT_EQUAL(op(sock, KEEPER_NETLINK, names[i], "", 0, &answer, NULL), -EINVAL);
		CU_ASSERT_EQUAL(op(sock, KEEPER_TAP, "red", names[i], 0, &answer, NULL), -EINVAL);
		CU_ASSERT_EQUAL(
			op(sock, KEEPER_TAP_DEL, names[i], "t0", 0, &answer, NULL), -EINVAL);
	}
	CU_ASSERT_EQUAL(op(sock, KEEPER_TAP, "red", "lo", 0, &answer, NULL), -EINVAL);
	CU_ASSERT_EQUAL(op(sock, KEEPER_NETLINK, "red", "", UINT32_MAX, &answer, NULL), -ERANGE);
	CU_ASSERT_EQUAL(op(sock, 0, "red", "t0", 0, &answer, NULL), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(op(sock, 999, "red", "t0", 0, &answer, NULL), -EOPNOTSUPP);

	memset(&request, 0, sizeof(request));
	request = (struct keeper_request){ .op = KEEPER_TAP,
		.vrf = "red",
		.name = "t0",
		.mtu = 1500,
		.mac = { 0x01, 0, 0, 0, 0, 1 } };
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL); /* multicast */
	request.mac[0] = 2;
	request.mtu = 67;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -ERANGE);
	request.mtu = 65521;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -ERANGE);
	request.mtu = 1500;
	memcpy(request.vrf, "red\0x", 5); /* something hides behind the terminator */
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	CU_ASSERT_EQUAL(hello(sock), 0);
	close(sock);
}

static struct keeper_request socket_request(uint16_t kind, const char *vrf, const char *link)
{
	struct keeper_request request = { .op = KEEPER_OPEN, .tool = kind };

	memccpy(request.vrf, vrf, 0, sizeof(request.vrf)); /* may fill it: no terminator */
	memccpy(request.name, link, 0, sizeof(request.name));
	return request;
}

/* Every field that says nothing sensible is refused before anything is opened. */
static void test_socket_fields(void)
{
	static const char *const names[] = { "A", "..", "a/b", "-a", "abcdefghijklmnop" };
	struct keeper_request request;
	struct keeper_answer answer;
	int sock = client_connect();

	CU_ASSERT_FATAL(sock >= 0);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		request = socket_request(KEEPER_SOCKET_TCP4, names[i], "");
		CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
		request = socket_request(KEEPER_SOCKET_TCP4, "red", names[i]);
		CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	}
	request = socket_request(KEEPER_SOCKET_TCP4, "", "");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_TCP4, "red", "");
	request.name[3] = 'x'; /* behind the terminator */
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_COUNT, "red", "");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(UINT16_MAX, "red", "");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_PACKET_VRRP, "red", "");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_PACKET_ARP, "red", "");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_TCP_COUNTERS, "red", "t0");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request = socket_request(KEEPER_SOCKET_ICMP4, "red", "");
	request.value = 1;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request.value = 0;
	request.mtu = 1;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request.mtu = 0;
	request.mac[5] = 1;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request.mac[5] = 0;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -ENOENT); /* no such VRF */
	request = socket_request(KEEPER_SOCKET_ICMP4, "red", "t0");
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -ENOENT); /* no such link */
	CU_ASSERT_EQUAL(hello(sock), 0);
	close(sock);
}

static void test_tools(void)
{
	struct keeper_request request = { .op = KEEPER_RUN, .tool = 7 };
	struct keeper_answer answer;
	int sock = client_connect();

	CU_ASSERT_FATAL(sock >= 0);
	CU_ASSERT(ask(sock, &request, &answer, NULL) < 0);
	request.tool = KEEPER_FRR_SHOW;
	request.value = KEEPER_SHOW_COUNT;
	CU_ASSERT(ask(sock, &request, &answer, NULL) < 0);
	request.tool = KEEPER_FRR_APPLY;
	request.value = KEEPER_SHOW_BGP; /* not a daemon */
	CU_ASSERT(ask(sock, &request, &answer, NULL) < 0);
	request.value = KEEPER_SHOW_BGPD;
	CU_ASSERT(ask(sock, &request, &answer, NULL) < 0); /* no file */
	request.tool = KEEPER_FRR_SHOW;
	request.value = KEEPER_SHOW_PEER;
	request.peer.af = AF_INET;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL); /* no VRF */
	memcpy(request.vrf, "red", 3);
	request.peer.af = AF_UNIX;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request.peer.af = AF_INET;
	request.peer.bytes[4] = 1; /* behind the address */
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	memset(&request, 0, sizeof(request));
	request.op = KEEPER_RUN;
	request.tool = KEEPER_SWAN;
	request.value = KEEPER_SWAN_SAS;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL); /* no VRF */
	memcpy(request.vrf, "../etc", 6);
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	memcpy(request.vrf, "red\0\0", 6);
	request.value = KEEPER_SWAN_COUNT;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EOPNOTSUPP);
	request.value = KEEPER_SWAN_DOWN;
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL); /* no connection */
	memcpy(request.name, "--all", 5);
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EINVAL);
	request.value = KEEPER_SWAN_CONNS;
	CU_ASSERT(ask(sock, &request, &answer, NULL) < 0); /* no file */
	CU_ASSERT_EQUAL(hello(sock), 0);
	close(sock);
}

static void test_protocol(void)
{
	struct keeper_request request = { .op = KEEPER_HELLO, .value = KEEPER_PROTOCOL + 1 };
	struct keeper_answer answer;
	int sock = client_connect();

	CU_ASSERT_FATAL(sock >= 0);
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -EPROTO);
	close(sock);
}

static void test_one_client(void)
{
	struct keeper_answer answer;
	struct keeper_request request = { .op = KEEPER_HELLO, .value = KEEPER_PROTOCOL };
	int first = client_connect(), second, fd;

	CU_ASSERT_EQUAL_FATAL(hello(first), 0);
	for (unsigned i = 0; i < 200; i++) { /* whether it speaks before it is answered or after */
		second = client_connect();
		send(second, &request, sizeof(request), MSG_NOSIGNAL);
		CU_ASSERT_EQUAL(receive(second, &answer, &fd), sizeof(answer));
		CU_ASSERT_EQUAL(answer.error, -EBUSY);
		close(second);
	}
	second = client_connect();
	CU_ASSERT_EQUAL(receive(second, &answer, &fd), sizeof(answer));
	CU_ASSERT_EQUAL(answer.error, -EBUSY);
	CU_ASSERT_EQUAL(answer.value, (uint32_t)getpid());
	CU_ASSERT_EQUAL(receive(second, &answer, &fd), 0); /* shown out */
	close(second);
	CU_ASSERT_EQUAL(hello(first), 0);
	close(first);
	second = client_connect(); /* the place is free at once */
	CU_ASSERT_EQUAL(hello(second), 0);
	close(second);
}

/* Descriptors nobody asked for are closed, however many come. */
static void test_stray_fds(void)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct keeper_request request = { .op = KEEPER_LIST, .id = 5 };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	int fds[8] = { 0, 0, 0, 0, 0, 0, 0, 0 }, sock = client_connect(), fd;
	struct keeper_answer answer;
	unsigned before;

	CU_ASSERT_EQUAL_FATAL(hello(sock), 0);
	before = keeper_fds();
	memset(&control, 0, sizeof(control));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.h), fds, sizeof(fds));
	for (unsigned i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(sendmsg(sock, &msg, MSG_NOSIGNAL), sizeof(request));
		CU_ASSERT_EQUAL(receive(sock, &answer, &fd), sizeof(answer));
	}
	CU_ASSERT_EQUAL(hello(sock), 0);
	CU_ASSERT_EQUAL(keeper_fds(), before);
	close(sock);
}

/* ---- with namespaces ---- */
/* Flags and MTU of an interface as the kernel has them; flags are set first when set_up. */
static int link_get(
	int netlink, const char *name, bool set_up, unsigned *ret_flags, unsigned *ret_mtu)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
		struct rtattr a;
		char name[IFNAMSIZ];
	} request = { .h = { .nlmsg_len = sizeof(request),
			      .nlmsg_type = set_up ? RTM_NEWLINK : RTM_GETLINK,
			      .nlmsg_flags = NLM_F_REQUEST | (set_up ? NLM_F_ACK : 0) },
		.ifi = { .ifi_change = set_up ? IFF_UP : 0, .ifi_flags = set_up ? IFF_UP : 0 },
		.a = { .rta_len = RTA_LENGTH(IFNAMSIZ), .rta_type = IFLA_IFNAME } };
	static char room[32768];
	struct nlmsghdr *h = (struct nlmsghdr *)room;
	struct ifinfomsg *ifi = NLMSG_DATA(h);
	ssize_t n;

	strncpy(request.name, name, sizeof(request.name) - 1);
	if (send(netlink, &request, sizeof(request), 0) < 0)
		return -errno;
	n = recv(netlink, room, sizeof(room), 0);
	if (n < (ssize_t)NLMSG_HDRLEN)
		return -EIO;
	if (h->nlmsg_type == NLMSG_ERROR)
		return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	*ret_flags = ifi->ifi_flags;
	n = (ssize_t)IFLA_PAYLOAD(h);
	for (struct rtattr *a = IFLA_RTA(ifi); RTA_OK(a, n); a = RTA_NEXT(a, n))
		if (a->rta_type == IFLA_MTU)
			memcpy(ret_mtu, RTA_DATA(a), sizeof(*ret_mtu));
	return 0;
}

static bool skipped(const char *name)
{
	if (namespaces)
		return false;
	printf("SKIP keeper.%s: needs root and /dev/net/tun: no namespace was made, no link held\n",
		name);
	return true;
}

static void test_link_outlives_client(void)
{
	struct keeper_request request = { .op = KEEPER_TAP,
		.vrf = "red",
		.name = "t0",
		.mtu = 1400,
		.mac = { 0x02, 0, 0, 0, 0, 1 } };
	unsigned flags = 0, mtu = 0;
	struct keeper_answer answer;
	struct ifreq ifr;
	int sock, tap, netlink;

	if (skipped("link_outlives_client"))
		return;
	sock = client_connect();
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_VRF, "red", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(answer.value, 0); /* made, not adopted */
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_TAP, "red", "t0", 0, &answer, &tap), 0);
	CU_ASSERT_EQUAL(answer.value, 0);
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_NETLINK, "red", "", 1 << 20, &answer, &netlink), 0);
	CU_ASSERT_EQUAL(link_get(netlink, "t0", true, &flags, &mtu), 0);
	CU_ASSERT_EQUAL(link_get(netlink, "t0", false, &flags, &mtu), 0);
	CU_ASSERT_EQUAL(flags & (IFF_UP | IFF_LOWER_UP), IFF_UP | IFF_LOWER_UP);
	CU_ASSERT_EQUAL(mtu, 1500);

	close(tap); /* lintasd dies */
	close(sock);
	sock = client_connect();
	CU_ASSERT_EQUAL(hello(sock), 0);
	CU_ASSERT_EQUAL(link_get(netlink, "t0", false, &flags, &mtu), 0);
	CU_ASSERT_EQUAL(flags & (IFF_UP | IFF_LOWER_UP), IFF_UP | IFF_LOWER_UP);
	CU_ASSERT_EQUAL(op(sock, KEEPER_LIST, "", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(answer.value, 1);
	CU_ASSERT_STRING_EQUAL(answer.text, "red");
	CU_ASSERT_STRING_EQUAL(answer.text + CFG_NAME_MAX, "t0");
	CU_ASSERT_EQUAL_FATAL(ask(sock, &request, &answer, &tap), 0);
	CU_ASSERT_EQUAL(answer.value, 1); /* it was there */
	CU_ASSERT_EQUAL(ioctl(tap, TUNGETIFF, &ifr), 0);
	CU_ASSERT_STRING_EQUAL(ifr.ifr_name, "t0");
	CU_ASSERT_EQUAL(link_get(netlink, "t0", false, &flags, &mtu), 0);
	CU_ASSERT_EQUAL(mtu, 1400);
	CU_ASSERT_EQUAL(flags & (IFF_UP | IFF_LOWER_UP), IFF_UP | IFF_LOWER_UP);

	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "red", "", 0, &answer, NULL), -EBUSY);
	CU_ASSERT_EQUAL(op(sock, KEEPER_TAP_DEL, "red", "t0", 0, &answer, NULL), 0);
	close(tap); /* the last one: the interface goes */
	CU_ASSERT_EQUAL(link_get(netlink, "t0", false, &flags, &mtu), -ENODEV);
	CU_ASSERT_EQUAL(op(sock, KEEPER_TAP_DEL, "red", "t0", 0, &answer, NULL), -ENOENT);
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "red", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(op(sock, KEEPER_NETLINK, "red", "", 0, &answer, NULL), -ENOENT);
	close(netlink);
	close(sock);
}

/* A TAP that lintasd still has when the keeper is new is held again, if it is what it is said to
 * be. */
static void test_link_handed_over(void)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct keeper_request request = { .op = KEEPER_TAP,
		.vrf = "red",
		.name = "t1",
		.mtu = 1500,
		.mac = { 0x02, 0, 0, 0, 0, 2 } };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct keeper_answer answer;
	int sock, tap, fd;

	if (skipped("link_handed_over"))
		return;
	sock = client_connect();
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_VRF, "red", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(ask(sock, &request, &answer, &tap), 0);
	CU_ASSERT_EQUAL(
		op(sock, KEEPER_TAP_DEL, "red", "t1", 0, &answer, NULL), 0); /* as if it were new */
	memset(&control, 0, sizeof(control));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &tap, sizeof(int));
	strcpy(request.name, "t2"); /* a lie */
	sendmsg(sock, &msg, MSG_NOSIGNAL);
	CU_ASSERT_EQUAL(receive(sock, &answer, &fd), sizeof(answer));
	CU_ASSERT_EQUAL(answer.error, -EINVAL);
	strcpy(request.name, "t1");
	sendmsg(sock, &msg, MSG_NOSIGNAL);
	CU_ASSERT_EQUAL(receive(sock, &answer, &fd), sizeof(answer));
	CU_ASSERT_EQUAL(answer.error, 0);
	CU_ASSERT_EQUAL(answer.value, 1);
	close(fd);
	CU_ASSERT_EQUAL(op(sock, KEEPER_TAP_DEL, "red", "t1", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "red", "", 0, &answer, NULL), 0);
	close(tap);
	close(sock);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CU_ASSERT_EQUAL(getsockopt(fd, SOL_SOCKET, name, &value, &len), 0);
	return value;
}

/* Is fd a socket of that namespace? Its own interface is known there, and not here. */
static bool bound_to(int fd, const char *name)
{
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(device);

	return !getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && !strcmp(device, name);
}

/* A packet socket stays on its link, with its protocol and its filter. */
static void tied(int sock, uint16_t kind)
{
	struct keeper_request request = socket_request(kind, "red", "t3");
	struct sockaddr_ll addr = { .sll_family = AF_PACKET }, had = { 0 };
	socklen_t len = sizeof(had);
	struct keeper_answer answer;
	int fd, none = 0;

	CU_ASSERT_EQUAL_FATAL(ask(sock, &request, &answer, &fd), 0);
	CU_ASSERT_EQUAL(option(fd, SO_DOMAIN), AF_PACKET);
	CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&had, &len), 0);
	CU_ASSERT(had.sll_ifindex > 1);
	addr.sll_ifindex = 1; /* lo */
	addr.sll_protocol = htons(ETH_P_ALL);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
	addr.sll_ifindex = had.sll_ifindex;
	addr.sll_protocol = htons(ETH_P_IP);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)), -1);
	close(fd);
}

/* Each kind is what it says, non-blocking, bound when asked to be, and the keeper keeps none. */
static void test_sockets(void)
{
	static const struct {
		uint16_t kind;
		int domain, type, protocol;
	} kinds[] = {
		{ KEEPER_SOCKET_ICMP4, AF_INET, SOCK_RAW, IPPROTO_ICMP },
		{ KEEPER_SOCKET_ICMP6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
		{ KEEPER_SOCKET_TCP4, AF_INET, SOCK_STREAM, IPPROTO_TCP },
		{ KEEPER_SOCKET_TCP6, AF_INET6, SOCK_STREAM, IPPROTO_TCP },
		{ KEEPER_SOCKET_UDP4, AF_INET, SOCK_DGRAM, IPPROTO_UDP },
		{ KEEPER_SOCKET_UDP6, AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
		{ KEEPER_SOCKET_VRRP4, AF_INET, SOCK_RAW, 112 },
		{ KEEPER_SOCKET_VRRP6, AF_INET6, SOCK_RAW, 112 },
	};
	struct keeper_request request;
	struct keeper_answer answer;
	struct ifreq ifr = { .ifr_name = "t3" };
	char text[256] = "";
	int sock, tap, fd;
	unsigned before;

	if (skipped("sockets"))
		return;
	sock = client_connect();
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_VRF, "red", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(op(sock, KEEPER_TAP, "red", "t3", 0, &answer, &tap), 0);
	before = keeper_fds();
	for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *link = i & 1 ? "t3" : "";

		request = socket_request(kinds[i / 2].kind, "red", link);
		CU_ASSERT_EQUAL_FATAL(ask(sock, &request, &answer, &fd), 0);
		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT_EQUAL(option(fd, SO_DOMAIN), kinds[i / 2].domain);
		CU_ASSERT_EQUAL(option(fd, SO_TYPE), kinds[i / 2].type);
		CU_ASSERT_EQUAL(option(fd, SO_PROTOCOL), kinds[i / 2].protocol);
		CU_ASSERT(fcntl(fd, F_GETFL) & O_NONBLOCK);
		CU_ASSERT(bound_to(fd, link));
		CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFINDEX, &ifr), 0); /* of that namespace */
		close(fd);
	}
	tied(sock, KEEPER_SOCKET_PACKET_ARP);
	tied(sock, KEEPER_SOCKET_PACKET_VRRP);
	request = socket_request(KEEPER_SOCKET_TCP_COUNTERS, "red", "");
	CU_ASSERT_EQUAL_FATAL(ask(sock, &request, &answer, &fd), 0);
	CU_ASSERT(read(fd, text, sizeof(text) - 1) > 0);
	CU_ASSERT(!strncmp(text, "TcpExt:", 7));
	close(fd);
	request = socket_request(KEEPER_SOCKET_ICMP4, "red", "lo"); /* not one of ours */
	CU_ASSERT_EQUAL(ask(sock, &request, &answer, NULL), -ENOENT);
	CU_ASSERT_EQUAL(keeper_fds(), before);
	CU_ASSERT_EQUAL(op(sock, KEEPER_TAP_DEL, "red", "t3", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "red", "", 0, &answer, NULL), 0);
	close(tap);
	close(sock);
}

static void test_adopted(void)
{
	struct keeper_answer answer;
	int sock;

	if (skipped("adopted"))
		return;
	sock = client_connect();
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF, "old", "", 0, &answer, NULL), 0);
	CU_ASSERT_EQUAL(answer.value, 1);
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "old", "", 0, &answer, NULL), -EPERM);
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF_DEL, "never", "", 0, &answer, NULL), -ENOENT);
	/* What is left is removed when the keeper ends, which keeper_end looks for. */
	CU_ASSERT_EQUAL(op(sock, KEEPER_VRF, "blue", "", 0, &answer, NULL), 0);
	close(sock);
}

static void test_start(void)
{
	CU_ASSERT_FATAL(keeper_start());
}

static void test_end(void)
{
	struct stat st;

	CU_ASSERT_EQUAL(stat(socket_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	keeper_end();
}

void unit_keeper(void)
{
	static const struct unit_test tests[] = {
		{ "start", test_start },
		{ "lengths", test_lengths },
		{ "fields", test_fields },
		{ "socket_fields", test_socket_fields },
		{ "tools", test_tools },
		{ "protocol", test_protocol },
		{ "one_client", test_one_client },
		{ "stray_fds", test_stray_fds },
		{ "link_outlives_client", test_link_outlives_client },
		{ "link_handed_over", test_link_handed_over },
		{ "sockets", test_sockets },
		{ "adopted", test_adopted },
		{ "end", test_end },
	};

	UNIT_SUITE("keeper", tests);
}
