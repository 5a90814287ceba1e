/* Dumps are read by a thread of their own, one a VRF: a dump waits for the kernel's lock whenever
 * somebody else holds it, and a filtered one walks every route in a single system call (170 ms
 * measured at a million routes); the control thread may do neither. The thread knows nothing of
 * what it carries: it takes a request from its end of a socket pair, asks the kernel, and passes
 * each piece on until the last, at the pace at which the control thread takes them. It ends when
 * the other end is closed. It shares no memory with anybody, needs no privilege, and takes no
 * signal but the real-time ones (privileges.c uses one of them). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "mirror_state.h"

#define STACK_BYTES (256 * 1024)

struct dump_request {
	uint16_t type;
	uint8_t af;
	int ifindex;
	uint32_t seq;
};

struct dumper {
	int kernel, control;
};

static bool pass_on(const struct dumper *d, const void *bytes, size_t len)
{
	ssize_t n;

	do
		n = send(d->control, bytes, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

/* The dump ends here, and not as the kernel meant it to. */
static bool pass_error(const struct dumper *d, uint32_t seq, int error)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} msg = { .h = { .nlmsg_len = sizeof(msg), .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = seq },
		.e = { .error = error } };

	return pass_on(d, &msg, sizeof(msg));
}

static bool is_last(const uint8_t *bytes, size_t len, uint32_t seq)
{
	const struct nlmsghdr *h;
	size_t offset = 0;
	int rc;

	while ((h = netlink_next(bytes, len, &offset, &rc)))
		if (h->nlmsg_seq == seq &&
			(h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR))
			return true;
	return false;
}

/* False: nobody listens any more. */
static bool wait_for_kernel(const struct dumper *d)
{
	struct pollfd fds[2] = { { .fd = d->kernel, .events = POLLIN }, { .fd = d->control } };

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return !(fds[1].revents & (POLLHUP | POLLERR));
}

/* One dump from request to end. False: nobody listens any more. */
static bool dump(const struct dumper *d, const struct dump_request *req)
{
	uint8_t bytes[DUMP_BYTES_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	int rc = netlink_dump(d->kernel, req->type, req->af, req->ifindex, req->seq);
	ssize_t n;

	if (rc < 0)
		return pass_error(d, req->seq, rc);
	while (wait_for_kernel(d)) {
		n = recv(d->kernel, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0 || n > (ssize_t)sizeof(bytes))
			return pass_error(d, req->seq, n < 0 ? -errno : -EMSGSIZE);
		if (!pass_on(d, bytes, n))
			return false;
		if (is_last(bytes, n, req->seq))
			return true;
	}
	return false;
}

static void *dumper_thread(void *arg)
{
	struct dumper d = *(struct dumper *)arg;
	struct dump_request req;
	ssize_t n;

	free(arg);
	pthread_setname_np(pthread_self(), "lintas-dump");
	for (;;) {
		n = recv(d.control, &req, sizeof(req), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(req) || !dump(&d, &req))
			break;
	}
	close(d.kernel);
	close(d.control);
	return NULL;
}

static int thread_start(struct dumper *d)
{
	sigset_t blocked, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sigfillset(&blocked);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigdelset(&blocked, sig);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	rc = pthread_create(&thread, &attr, dumper_thread, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

int dumper_open(int kernel_fd, int *ret_fd)
{
	struct dumper *d = malloc(sizeof(*d));
	int fds[2], rc;

	if (!d)
		return -ENOMEM;
	rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
	if (rc < 0)
		goto fail;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*d = (struct dumper){ .kernel = kernel_fd, .control = fds[1] };
	rc = thread_start(d);
	if (rc < 0)
		goto fail_pair;
	*ret_fd = fds[0];
	return 0;
fail_pair:
	close(fds[0]);
	close(fds[1]);
fail:
	free(d);
	return rc;
}

int dumper_ask(int fd, uint16_t type, uint8_t af, int ifindex, uint32_t seq)
{
	struct dump_request req = { .type = type, .af = af, .ifindex = ifindex, .seq = seq };

	return send(fd, &req, sizeof(req), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
