/* What we write into the kernel: link state, addresses, our own static routes, neighbours to be
 * resolved. Every request goes through vrf->nl_request, a socket inside the VRF's namespace, and
 * its answer is awaited there, at most KERNEL_WAIT_MS (the kernel answers before sendto returns, so
 * in practice not at all). Many routes at once (kernel_route_batch) are sent from the event loop,
 * BURST messages a system call and a slice of time a callback, their answers read after each burst;
 * no answer is ever left behind for another request. Our routes bear LINTAS_RTPROT, and deletion
 * names it too: a foreign route is never hit. Errors are the kernel's own. Neighbours are asked for
 * at any time, also while somebody else holds the kernel's lock (replacing a next-hop object of a
 * million routes: two seconds, measured), so a thread of its own sends those; it shares nothing
 * with the rest but a pipe. Everything else: control thread only. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include "mirror.h"

#define KERNEL_WAIT_MS 100
#define REQUEST_MAX    256
#define ANSWER_MAX     8192
#define BURST	       32 /* messages a system call: their answers fit the default receive buffer */
#define SLICE_US       1500 /* of CONTROL_BUDGET_US */

static uint32_t seq;

/* ---- building ---- */

struct request {
	struct nlmsghdr h;
	uint8_t payload[REQUEST_MAX - sizeof(struct nlmsghdr)];
};

static void *begin(struct request *req, uint16_t type, uint16_t flags, size_t header)
{
	memset(req, 0, sizeof(*req));
	req->h.nlmsg_len = NLMSG_LENGTH(header);
	req->h.nlmsg_type = type;
	req->h.nlmsg_flags = NLM_F_REQUEST | flags;
	req->h.nlmsg_seq = ++seq;
	return req->payload;
}

/* Every request here is of fixed shape and fits: the largest has three attributes of 16 bytes. */
static void put(struct request *req, uint16_t type, const void *data, size_t len)
{
	struct nlattr *attr = (struct nlattr *)((uint8_t *)req + NLMSG_ALIGN(req->h.nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy(attr + 1, data, len);
	req->h.nlmsg_len = NLMSG_ALIGN(req->h.nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

/* ---- sending and answers ---- */

static int send_bytes(int fd, const void *bytes, size_t len)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (sendto(fd, bytes, len, MSG_DONTWAIT, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

/* What is left of requests that wanted no answer and failed all the same. */
static void drain(int fd)
{
	uint8_t bytes[64];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC) > 0 || errno == ENOBUFS)
		errno = 0;
}

/* The next datagram, or -ETIMEDOUT. */
static ssize_t receive(int fd, void *bytes, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct sockaddr_nl from;
	socklen_t from_len;
	ssize_t n;

	for (;;) {
		from_len = sizeof(from);
		n = recvfrom(fd, bytes, len, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
			&from_len);
		if (n > 0 && from.nl_pid)
			continue; /* not from the kernel */
		if (n >= 0)
			return n > (ssize_t)len ? -EMSGSIZE : n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (poll(&p, 1, KERNEL_WAIT_MS) <= 0)
			return -ETIMEDOUT;
	}
}

/* Send one request; its acknowledgement's error, and the first message of an answer before that, if
 * any. */
static int talk(struct vrf *vrf, struct request *req, uint8_t *ret_answer)
{
	uint8_t bytes[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsgerr *error;
	struct nlmsghdr *h;
	int fd = vrf->nl_request, rc, left;
	ssize_t n;

	if (fd < 0)
		return -ENOTCONN;
	drain(fd);
	req->h.nlmsg_flags |= NLM_F_ACK;
	rc = send_bytes(fd, req, req->h.nlmsg_len);
	while (!rc) {
		n = receive(fd, bytes, sizeof(bytes));
		if (n < 0)
			return n;
		left = n;
		for (h = (struct nlmsghdr *)bytes; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != req->h.nlmsg_seq)
				continue; /* an earlier request's */
			if (h->nlmsg_type != NLMSG_ERROR) {
				if (ret_answer && h->nlmsg_len <= ANSWER_MAX)
					memcpy(ret_answer, h, h->nlmsg_len);
				continue;
			}
			error = NLMSG_DATA(h);
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ? -EBADMSG
									   : error->error;
		}
	}
	return rc;
}

/* ---- links and addresses ---- */

int kernel_link_up(struct vrf *vrf, int ifindex, bool up)
{
	struct request req;
	struct ifinfomsg *msg = begin(&req, RTM_NEWLINK, 0, sizeof(*msg));

	msg->ifi_index = ifindex;
	msg->ifi_change = IFF_UP;
	msg->ifi_flags = up ? IFF_UP : 0;
	return talk(vrf, &req, NULL);
}

int kernel_link_mtu(struct vrf *vrf, int ifindex, unsigned mtu)
{
	struct request req;
	struct ifinfomsg *msg = begin(&req, RTM_NEWLINK, 0, sizeof(*msg));
	uint32_t value = mtu;

	msg->ifi_index = ifindex;
	put(&req, IFLA_MTU, &value, sizeof(value));
	return talk(vrf, &req, NULL);
}

int kernel_ifindex(struct vrf *vrf, const char *name)
{
	uint8_t answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
	struct request req;
	int rc;

	if (!name[0] || strlen(name) >= IFNAMSIZ)
		return -EINVAL;
	begin(&req, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	put(&req, IFLA_IFNAME, name, strlen(name) + 1);
	rc = talk(vrf, &req, answer);
	if (rc < 0)
		return rc;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return -EBADMSG;
	return ((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;
}

static int address(
	struct vrf *vrf, uint16_t type, uint16_t flags, int ifindex, const struct ip_prefix *addr)
{
	struct request req;
	struct ifaddrmsg *msg = begin(&req, type, flags, sizeof(*msg));

	msg->ifa_family = addr->af;
	msg->ifa_prefixlen = addr->len;
	msg->ifa_index = ifindex;
	if (addr->af == AF_INET6)
		msg->ifa_flags = IFA_F_NODAD; /* a router's address is usable at once */
	put(&req, IFA_LOCAL, addr->bytes, ip_size(addr->af));
	put(&req, IFA_ADDRESS, addr->bytes, ip_size(addr->af));
	if (addr->af == AF_INET && addr->len < 31 && type == RTM_NEWADDR) {
		uint32_t host = htobe32(UINT32_MAX >> addr->len), broadcast;

		memcpy(&broadcast, addr->bytes, sizeof(broadcast));
		broadcast |= host;
		put(&req, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	}
	return talk(vrf, &req, NULL);
}

int kernel_addr_add(struct vrf *vrf, int ifindex, const struct ip_prefix *addr)
{
	return address(vrf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, addr);
}

int kernel_addr_del(struct vrf *vrf, int ifindex, const struct ip_prefix *addr)
{
	return address(vrf, RTM_DELADDR, 0, ifindex, addr);
}

/* ---- routes ---- */

static void route(struct request *req, bool add, const struct ip_prefix *prefix,
	const struct ip_addr *via, int ifindex)
{
	struct rtmsg *msg = begin(req, add ? RTM_NEWROUTE : RTM_DELROUTE,
		add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof(*msg));
	bool gateway = via && via->af;
	struct {
		uint16_t af;
		uint8_t bytes[16];
	} other;

	msg->rtm_family = prefix->af;
	msg->rtm_dst_len = prefix->len;
	msg->rtm_table = RT_TABLE_MAIN;
	msg->rtm_protocol = LINTAS_RTPROT;
	msg->rtm_type = RTN_UNICAST;
	msg->rtm_scope = gateway || prefix->af == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	put(req, RTA_DST, prefix->bytes, ip_size(prefix->af));
	put(req, RTA_OIF, &ifindex, sizeof(ifindex));
	if (gateway && via->af == prefix->af) {
		put(req, RTA_GATEWAY, via->bytes, ip_size(via->af));
	} else if (gateway) { /* IPv4 by an IPv6 next hop: RFC 8950 */
		other.af = via->af;
		memcpy(other.bytes, via->bytes, sizeof(other.bytes));
		put(req, RTA_VIA, &other, sizeof(other.af) + ip_size(via->af));
	}
}

int kernel_route_add(
	struct vrf *vrf, const struct ip_prefix *prefix, const struct ip_addr *via, int ifindex)
{
	struct request req;

	route(&req, true, prefix, via, ifindex);
	return talk(vrf, &req, NULL);
}

int kernel_route_del(
	struct vrf *vrf, const struct ip_prefix *prefix, const struct ip_addr *via, int ifindex)
{
	struct request req;

	route(&req, false, prefix, via, ifindex);
	return talk(vrf, &req, NULL);
}

/* ---- neighbours ---- */

struct ask {	/* what goes through the pipe, whole: it is smaller than PIPE_BUF */
	int fd; /* a duplicate, for the VRF may go meanwhile; closed by the thread */
	struct request req;
};

static int ask_pipe = -1;
static atomic_uint asks_waiting;

static void *ask_thread(void *arg)
{
	int from = (int)(intptr_t)arg;
	struct ask ask;

	pthread_setname_np(pthread_self(), "lintas-ask");
	while (read(from, &ask, sizeof(ask)) == sizeof(ask)) {
		send_bytes(ask.fd, &ask.req, ask.req.h.nlmsg_len);
		close(ask.fd);
		atomic_fetch_sub(&asks_waiting, 1);
	}
	return NULL;
}

static int ask_start(void)
{
	sigset_t all, before;
	pthread_t thread;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(fds[1], F_SETFL, O_NONBLOCK); /* full: the neighbour is asked for again later */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, ask_thread, (void *)(intptr_t)fds[0]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		close(fds[0]);
		close(fds[1]);
		return -rc;
	}
	pthread_detach(thread);
	ask_pipe = fds[1];
	return 0;
}

bool kernel_neigh_pending(void)
{
	return atomic_load(&asks_waiting);
}

static void neigh_begin(struct ask *ask, uint16_t how, int ifindex, const struct ip_addr *addr,
	uint16_t state, uint8_t flags)
{
	struct ndmsg *msg = begin(&ask->req, RTM_NEWNEIGH, NLM_F_CREATE | how, sizeof(*msg));

	msg->ndm_family = addr->af;
	msg->ndm_ifindex = ifindex;
	msg->ndm_state = state;
	msg->ndm_flags = flags;
	put(&ask->req, NDA_DST, addr->bytes, ip_size(addr->af));
}

static int ask_send(struct vrf *vrf, struct ask *ask)
{
	int rc;

	if (vrf->nl_request < 0)
		return -ENOTCONN;
	rc = ask_pipe < 0 ? ask_start() : 0;
	if (rc < 0)
		return rc;
	drain(vrf->nl_request);
	ask->fd = fcntl(vrf->nl_request, F_DUPFD_CLOEXEC, 0);
	if (ask->fd < 0)
		return -errno;
	atomic_fetch_add(&asks_waiting, 1);
	if (write(ask_pipe, ask, sizeof(*ask)) == sizeof(*ask))
		return 0;
	rc = -errno;
	atomic_fetch_sub(&asks_waiting, 1);
	close(ask->fd);
	return rc;
}

int kernel_neigh_use(struct vrf *vrf, int ifindex, const struct ip_addr *addr, bool managed)
{
	struct ask ask = { .fd = -1 };
	uint32_t ext = NTF_EXT_MANAGED;

	neigh_begin(&ask, NLM_F_REPLACE, ifindex, addr, NUD_NONE, NTF_USE);
	if (managed)
		put(&ask.req, NDA_FLAGS_EXT, &ext, sizeof(ext));
	return ask_send(vrf, &ask);
}

/* Without NLM_F_REPLACE: this confirms the address that the kernel has, or gives one to an entry
 * without, but never takes the place of another, which the neighbour may just have announced. The
 * kernel takes no state together with "managed", and without it forgets that it was: so that is
 * said again. */
int kernel_neigh_confirm(
	struct vrf *vrf, int ifindex, const struct ip_addr *addr, const uint8_t mac[6])
{
	struct ask ask = { .fd = -1 };
	int rc;

	neigh_begin(&ask, 0, ifindex, addr, NUD_REACHABLE, 0);
	put(&ask.req, NDA_LLADDR, mac, 6);
	rc = ask_send(vrf, &ask);
	return rc ? rc : kernel_neigh_use(vrf, ifindex, addr, true);
}

int kernel_neigh_doubt(struct vrf *vrf, int ifindex, const struct ip_addr *addr)
{
	struct ask ask = { .fd = -1 };
	int rc;

	neigh_begin(&ask, 0, ifindex, addr, NUD_PROBE, 0);
	rc = ask_send(vrf, &ask);
	return rc ? rc : kernel_neigh_use(vrf, ifindex, addr, true);
}

/* ---- batches ---- */

struct batch {
	TAILQ_ENTRY(batch) of_list;
	struct vrf *vrf;
	struct kernel_batch_calls calls;
	unsigned n, sent, n_failed;
	int first_error;
	struct kernel_route_op ops[];
};

static TAILQ_HEAD(, batch) batches = TAILQ_HEAD_INITIALIZER(batches);
static struct event *batch_event;

static void batch_finish(struct batch *b, int error)
{
	TAILQ_REMOVE(&batches, b, of_list);
	if (b->calls.done)
		b->calls.done(b->vrf, b->n_failed, error ? error : b->first_error, b->calls.arg);
	free(b);
}

static void op_failed(struct batch *b, unsigned i, int error)
{
	b->n_failed++;
	if (!b->first_error)
		b->first_error = error;
	if (b->calls.failed)
		b->calls.failed(&b->ops[i], error, b->calls.arg);
}

/* The answers to ops [from, to), which bear the sequence numbers from first on. */
static void batch_answers(struct batch *b, unsigned from, unsigned to, uint32_t first)
{
	uint8_t bytes[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsgerr *error;
	struct nlmsghdr *h;
	uint64_t seen = 0;
	unsigned left = to - from, i;
	ssize_t n = 0;
	int len;

	while (left && n >= 0) {
		n = receive(b->vrf->nl_request, bytes, sizeof(bytes));
		len = n > 0 ? n : 0;
		for (h = (struct nlmsghdr *)bytes; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
			i = h->nlmsg_seq - first;
			error = NLMSG_DATA(h);
			if (h->nlmsg_type != NLMSG_ERROR ||
				h->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) || i >= to - from ||
				(seen >> i & 1))
				continue;
			seen |= 1ull << i;
			left--;
			if (error->error)
				op_failed(b, from + i, error->error);
		}
	}
	for (i = 0; left && i < to - from; i++)
		if (!(seen >> i & 1))
			op_failed(b, from + i, (int)n);
}

static void batch_burst(struct batch *b)
{
	uint8_t bytes[BURST * REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned from = b->sent, to = from;
	uint32_t first = seq + 1;
	struct request req;
	size_t len = 0;
	int rc;

	for (; to < b->n && to - from < BURST; to++) {
		const struct kernel_route_op *op = &b->ops[to];

		route(&req, op->add, &op->prefix, &op->via, op->ifindex);
		req.h.nlmsg_flags |= NLM_F_ACK;
		memcpy(bytes + len, &req, req.h.nlmsg_len);
		len += NLMSG_ALIGN(req.h.nlmsg_len);
	}
	b->sent = to;
	rc = -ENOTCONN;
	if (b->vrf->nl_request >= 0) {
		drain(b->vrf->nl_request);
		rc = send_bytes(b->vrf->nl_request, bytes, len);
	}
	if (!rc)
		batch_answers(b, from, to, first);
	for (unsigned i = from; rc < 0 && i < to; i++)
		op_failed(b, i, rc);
}

static void batch_cb(evutil_socket_t fd, short what, void *arg)
{
	uint64_t start = now_ns();
	struct timeval soon = { 0 };
	struct batch *b;

	(void)fd, (void)what, (void)arg;
	while ((b = TAILQ_FIRST(&batches)) && now_ns() - start < SLICE_US * 1000ull) {
		batch_burst(b);
		if (b->sent == b->n)
			batch_finish(b, 0);
	}
	if (!TAILQ_EMPTY(&batches))
		event_add(batch_event, &soon);
}

int kernel_route_batch(struct vrf *vrf, const struct kernel_route_op *ops, unsigned n,
	const struct kernel_batch_calls *calls)
{
	struct timeval soon = { 0 };
	struct batch *b;

	if (!batch_event)
		batch_event = event_new(control.base, -1, 0, batch_cb, NULL);
	b = batch_event ? calloc(1, sizeof(*b) + n * sizeof(b->ops[0])) : NULL;
	if (!b)
		return -ENOMEM;
	b->vrf = vrf;
	b->calls = *calls;
	b->n = n;
	if (n)
		memcpy(b->ops, ops, n * sizeof(ops[0]));
	TAILQ_INSERT_TAIL(&batches, b, of_list);
	event_add(batch_event, &soon);
	return 0;
}

void kernel_batch_cancel(struct vrf *vrf)
{
	struct batch *b, *next;

	for (b = TAILQ_FIRST(&batches); b; b = next) {
		next = TAILQ_NEXT(b, of_list);
		if (b->vrf == vrf)
			batch_finish(b, -ECANCELED);
	}
}
