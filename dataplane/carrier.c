/* Carrier: whether a port's link is up, and the event when that changes.
 *
 * Three ways to know. A driver with link-state interrupts calls back (EAL's interrupt thread). A
 * device on a kernel interface (af_xdp, af_packet, tap) follows that interface's own carrier, heard
 * over rtnetlink by the punt thread within the kernel's own delay; on overrun the interfaces are
 * dumped again. What is left is polled by the punt thread every 100 ms. port_carrier is what
 * workers and control read; an event goes out only when it changed. A LAG's carrier is made of its
 * members' (lag.c). RFC 2863: up means
 * administratively up and lower layer up. */
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include "event.h"
#include "lag.h"
#include "port.h"

#define READS_MAX 32 /* messages a turn; the rest waits, the descriptor stays readable */
#define READ_SIZE 32768

static int netlink_fd = -1;
static bool dump_again; /* messages were lost while a dump was running */

static void carrier_set(unsigned p, bool up)
{
	struct dp_event event = { .kind = up ? DP_EV_PORT_UP : DP_EV_PORT_DOWN, .port = p };

	if (atomic_exchange(&port_carrier[p], up) == up)
		return;
	if (port_table[p].lag >= 0)
		lag_carrier(p, up);
	else
		event_send(&event);
}

static unsigned port_of_ethdev(uint16_t ethdev)
{
	unsigned p = 0;

	while (p < port_count && port_table[p].ethdev != ethdev)
		p++;
	return p;
}

static void carrier_ask(unsigned p)
{
	struct rte_eth_link link = { 0 };

	if (!rte_eth_link_get_nowait(port_table[p].ethdev, &link))
		carrier_set(p, link.link_status == RTE_ETH_LINK_UP);
}

/* EAL's interrupt thread. */
static int carrier_interrupt(uint16_t ethdev, enum rte_eth_event_type type, void *arg, void *ret)
{
	unsigned p = port_of_ethdev(ethdev);

	(void)arg;
	(void)ret;
	if (p == port_count)
		return 0;
	if (type == RTE_ETH_EVENT_INTR_RMV)
		carrier_set(p, false);
	else
		carrier_ask(p);
	return 0;
}

/* ---- rtnetlink ---- */
static int netlink_dump(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg info;
	} request = {
		.h = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.info = { .ifi_family = AF_UNSPEC },
	};

	dump_again = false;
	if (send(netlink_fd, &request, sizeof(request), 0) < 0) {
		dump_again = errno == EBUSY;
		return -errno;
	}
	return 0;
}

static void netlink_link(const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	unsigned up = IFF_UP | IFF_LOWER_UP;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return;
	for (unsigned p = 0; p < port_count; p++)
		if (port_table[p].watch == PORT_WATCH_KERNEL &&
			port_table[p].if_index == (unsigned)info->ifi_index)
			carrier_set(
				p, h->nlmsg_type == RTM_NEWLINK && (info->ifi_flags & up) == up);
}

/* One datagram; false when there is none. */
static bool netlink_read(int flags, bool *ret_done)
{
	static char buf[READ_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(netlink_fd, buf, sizeof(buf), MSG_TRUNC | flags,
		(struct sockaddr *)&from, &from_len);

	if (n < 0 && errno == ENOBUFS) {
		netlink_dump(); /* lost some: ask for all */
		return true;
	}
	if (n < 0)
		return errno == EINTR;
	if (from.nl_pid) /* only the kernel is believed */
		return true;
	unsigned len = RTE_MIN((size_t)n, sizeof(buf));
	for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
			netlink_link(h);
		else if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			*ret_done = true;
	}
	return true;
}

void carrier_read(void)
{
	bool done = false;

	for (unsigned i = 0; i < READS_MAX && netlink_read(MSG_DONTWAIT, &done); i++)
		;
	if (done && dump_again)
		netlink_dump();
}

/* Subscribe, then dump, so that no change falls between; wait for the dump: the answer is local. */
static int netlink_start(struct dp_err *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct timeval patience = { .tv_sec = 2 };
	bool done = false;
	int ret;

	netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (netlink_fd < 0 || bind(netlink_fd, (struct sockaddr *)&addr, sizeof(addr)) ||
		setsockopt(netlink_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return dp_fail(
			err, -errno, "need an rtnetlink socket, have none: %s", strerror(errno));
	ret = netlink_dump();
	while (!ret && !done && netlink_read(0, &done))
		;
	if (!ret && !done)
		ret = -ETIMEDOUT;
	return !ret ? 0
		    : dp_fail(err, ret, "need the kernel's list of interfaces, have none: %s",
			      strerror(-ret));
}

/* ---- start and stop ---- */
int carrier_start(struct dp_err *err)
{
	bool kernel = false;
	int ret;

	for (unsigned p = 0; p < port_count; p++) {
		struct port *port = &port_table[p];

		kernel |= port->watch == PORT_WATCH_KERNEL;
		if (port->watch == PORT_WATCH_MEMBERS)
			continue;
		/* -EINVAL or -ENOTSUP from a driver that cannot be taken out is fine. */
		rte_eth_dev_callback_register(
			port->ethdev, RTE_ETH_EVENT_INTR_RMV, carrier_interrupt, NULL);
		if (port->watch == PORT_WATCH_LSC) {
			ret = rte_eth_dev_callback_register(
				port->ethdev, RTE_ETH_EVENT_INTR_LSC, carrier_interrupt, NULL);
			if (ret)
				return dp_fail(err, ret,
					"port %s: %s offers link events and refuses them: %s",
					port->conf.name, port->driver, strerror(-ret));
		}
		if (port->watch != PORT_WATCH_KERNEL)
			carrier_ask(p);
	}
	return kernel ? netlink_start(err) : 0;
}

void carrier_stop(void)
{
	for (unsigned p = 0; p < port_count; p++) {
		uint16_t ethdev = port_table[p].ethdev;

		if (!port_table[p].started)
			continue;
		rte_eth_dev_callback_unregister(
			ethdev, RTE_ETH_EVENT_INTR_RMV, carrier_interrupt, NULL);
		rte_eth_dev_callback_unregister(
			ethdev, RTE_ETH_EVENT_INTR_LSC, carrier_interrupt, NULL);
	}
	if (netlink_fd >= 0)
		close(netlink_fd);
	netlink_fd = -1;
}

int carrier_fd(void)
{
	return netlink_fd;
}

void carrier_poll(void)
{
	for (unsigned p = 0; p < port_count; p++)
		if (port_table[p].watch == PORT_WATCH_POLL)
			carrier_ask(p);
}

bool carrier_polls(void)
{
	for (unsigned p = 0; p < port_count; p++)
		if (port_table[p].watch == PORT_WATCH_POLL)
			return true;
	return false;
}
