/* Sockets of a VRF's namespace for lintasd, which cannot enter one: netlink, and the closed list
 * enum keeper_socket, for probing a neighbour as the kernel would, for VRRP and for ARP.
 *
 * The kind decides domain, type and protocol; lintasd can choose the VRF and one of the links held
 * there to be bound to, nothing else. Raw and TCP sockets are bound to their link here, for good:
 * without CAP_NET_RAW nobody takes a device from a socket again. A packet socket could be bound
 * anew by its holder, so it gets its filter here, locked, and joins a fanout group of its own,
 * which the kernel lets nobody in it leave or bind out of: it hears its one protocol on its one
 * link. (A kernel before 6.13 makes no group on an interface that is down; such a socket stays
 * bindable.) What it sends can still be addressed to any interface of the VRF, frame by frame:
 * nothing in the kernel forbids that. One kind is a file: the namespace's TCP counters, which /proc
 * shows only to who is inside. */
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "keeper_own.h"

#define PROTO_VRRP 112 /* RFC 9568 5.1.1.4 */
#define BFD_SPARES 20  /* of 58 sessions each: more than a router has */

static const struct kind {
	int domain, type, protocol;
} kinds[KEEPER_SOCKET_COUNT] = {
	[KEEPER_SOCKET_ICMP4] = { AF_INET, SOCK_RAW, IPPROTO_ICMP },
	[KEEPER_SOCKET_ICMP6] = { AF_INET6, SOCK_RAW, IPPROTO_ICMPV6 },
	[KEEPER_SOCKET_TCP4] = { AF_INET, SOCK_STREAM, IPPROTO_TCP },
	[KEEPER_SOCKET_TCP6] = { AF_INET6, SOCK_STREAM, IPPROTO_TCP },
	[KEEPER_SOCKET_UDP4] = { AF_INET, SOCK_DGRAM, IPPROTO_UDP },
	[KEEPER_SOCKET_UDP6] = { AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	[KEEPER_SOCKET_VRRP4] = { AF_INET, SOCK_RAW, PROTO_VRRP },
	[KEEPER_SOCKET_VRRP6] = { AF_INET6, SOCK_RAW, PROTO_VRRP },
	[KEEPER_SOCKET_XFRM] = { AF_NETLINK, SOCK_RAW, NETLINK_XFRM },
	[KEEPER_SOCKET_PACKET_ARP] = { AF_PACKET, SOCK_RAW, 0 },
	[KEEPER_SOCKET_PACKET_VRRP] = { AF_PACKET, SOCK_RAW, 0 },
};

static int failed(struct ns_call *call, const char *what)
{
	keeper_say(call->answer, -errno, "%s: %m", what);
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
	return call->answer->error;
}

/* ---- netlink ---- */
static int netlink_in_ns(struct ns_call *call)
{
	int size = (int)call->request->value;

	call->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (call->fd < 0)
		return failed(call, "no netlink socket");
	if (size && setsockopt(call->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		return failed(call, "cannot force the receive buffer");
	return 0;
}

/* ---- the list ---- */
/* What comes in: nothing that this host sends. */
static int filter_arp(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 2048),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* IPv4 and IPv6 of protocol 112, the same way. */
static int filter_vrrp(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 8, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 9),
		BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROTO_VRRP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 2048),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Nothing is received before it is bound: the protocol comes with the bind. */
static int packet_bind(struct ns_call *call)
{
	bool arp = call->request->tool == KEEPER_SOCKET_PACKET_ARP;
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
		.sll_protocol = htons(arp ? ETH_P_ARP : ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(call->request->name) };
	int on = 1, group = (PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_UNIQUEID) << 16;

	if ((arp ? filter_arp(call->fd) : filter_vrrp(call->fd)) ||
		setsockopt(call->fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)))
		return failed(call, "cannot filter a packet socket");
	if (!addr.sll_ifindex || bind(call->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return failed(call, "cannot bind a packet socket to its link");
	if (setsockopt(call->fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) &&
		errno != EINVAL) /* down, and an old kernel */
		return failed(call, "cannot tie a packet socket to its link");
	return 0;
}

static int socket_in_ns(struct ns_call *call)
{
	const struct keeper_request *request = call->request;
	const struct kind *kind = &kinds[request->tool];

	if (request->tool == KEEPER_SOCKET_TCP_COUNTERS) {
		call->fd = open("/proc/thread-self/net/netstat", O_RDONLY | O_CLOEXEC);
		return call->fd < 0 ? failed(call, "cannot open the TCP counters") : 0;
	}
	call->fd = socket(kind->domain, kind->type | SOCK_CLOEXEC | SOCK_NONBLOCK, kind->protocol);
	if (call->fd < 0)
		return failed(call, "no socket");
	if (kind->domain == AF_PACKET)
		return packet_bind(call);
	if (request->name[0] && setsockopt(call->fd, SOL_SOCKET, SO_BINDTODEVICE, request->name,
					(socklen_t)strlen(request->name)))
		return failed(call, "cannot bind a socket to its link");
	return 0;
}

int keeper_socket_netlink(const struct keeper_request *request, struct keeper_answer *answer)
{
	return keeper_ns_call(request, answer, netlink_in_ns);
}

int keeper_socket_open(const struct keeper_request *request, struct keeper_answer *answer)
{
	if (request->name[0] && !keeper_ns_holds(request->vrf, request->name)) {
		keeper_say(answer, -ENOENT, "no link %s in %s", request->name, request->vrf);
		return -1;
	}
	return keeper_ns_call(request, answer, socket_in_ns);
}

/* The socket is frr's and closed to others; for the moment of connecting, in a program of one
 * thread, files are met as frr meets them. Waits for nobody. */
static int connect_as(const struct sockaddr_un *sun, const char *name)
{
	const struct passwd *user = getpwnam(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (user)
		setfsuid(user->pw_uid);
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ? -errno : 0;
	setfsuid(geteuid());
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Connections beside lintasd's. When lintasd dies its own close, and bfdd hands their sessions to
 * the next connection it has, 58 to each: as long as there is one it never falls back to itself,
 * which would call every peer dead. What bfdd wrote waits in them for the next lintasd. */
static int spares[BFD_SPARES];
static unsigned n_spares;

/* The first that bfdd wrote to, or -1; those it closed are closed here too. */
static int spare_take(void)
{
	char byte;

	for (unsigned i = 0; i < n_spares;) {
		int fd = spares[i];
		ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			i++;
			continue;
		}
		memmove(spares + i, spares + i + 1, (--n_spares - i) * sizeof(spares[0]));
		if (n > 0)
			return fd;
		close(fd);
	}
	return -1;
}

int keeper_socket_bfd(
	const struct keeper_request *request, struct keeper_answer *answer, const char *frr_sockets)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, spare = 0,
		n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s", frr_sockets,
			KEEPER_BFD_SOCKET);

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
		keeper_say(answer, -ENAMETOOLONG, "%s/%s: too long for a socket", frr_sockets,
			KEEPER_BFD_SOCKET);
		return -1;
	}
	fd = spare_take();
	if (fd < 0)
		fd = request->value ? -EAGAIN : connect_as(&sun, "frr");
	while ((fd >= 0 || fd == -EAGAIN) && n_spares < BFD_SPARES &&
		(spare = connect_as(&sun, "frr")) >= 0)
		spares[n_spares++] = spare;
	if (fd >= 0)
		return fd;
	keeper_say(answer, fd, "%s: %s", sun.sun_path, strerror(-fd));
	return -1;
}
