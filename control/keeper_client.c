/* lintasd's side of lintas-keeper.
 *
 * One SOCK_SEQPACKET connection. A request and its answer are one datagram each; requests are
 * answered in order, within milliseconds, except KEEPER_RUN, whose answer comes when the tool has
 * ended: it is told apart by its id and delivered from the event loop, never from inside another
 * call. When the keeper goes away, tools that ran are reported as failed, and the client tries once
 * a second to reach a new one and hands it every TAP to hold: the links themselves never notice,
 * because lintasd has its own descriptors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "control.h"
#include "keeper.h"

#define WAIT_S	 5 /* for an answer; a keeper that is slower is ill */
#define RUNS_MAX 16

struct run {
	uint32_t id; /* 0: free */
	bool ended;
	int status, fd;
	void (*done)(int status, int output_fd, void *arg);
	void *arg;
};

static struct {
	int sock;
	char path[108];
	uint32_t next_id;
	struct event *readable, *retry, *deliver;
	struct keeper_answer last;
	struct run runs[RUNS_MAX];
} client = { .sock = -1 };

const char *keeper_error(void)
{
	return client.last.error ? client.last.text : "";
}

/* ---- datagrams ---- */
static int answer_receive(struct keeper_answer *ret_answer, int *ret_fd, int flags)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} room;
	struct iovec iov = { ret_answer, sizeof(*ret_answer) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room.room,
		.msg_controllen = sizeof(room.room),
	};
	struct cmsghdr *c;
	ssize_t n;

	*ret_fd = -1;
	do {
		n = recvmsg(client.sock, &msg, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN && !(flags & MSG_DONTWAIT) ? -ETIMEDOUT : -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n == sizeof(*ret_answer)) {
		ret_answer->text[sizeof(ret_answer->text) - 1] = '\0';
		return 0;
	}
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return n == 0 ? -EPIPE : -EPROTO;
}

static int request_send(struct keeper_request *request, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} room;
	struct iovec iov = { request, sizeof(*request) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (client.sock < 0)
		return -ENOTCONN;
	if (++client.next_id == 0)
		client.next_id = 1;
	request->id = client.next_id;
	if (fd >= 0) {
		memset(&room, 0, sizeof(room));
		msg.msg_control = room.room;
		msg.msg_controllen = sizeof(room.room);
		room.h.cmsg_level = SOL_SOCKET;
		room.h.cmsg_type = SCM_RIGHTS;
		room.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&room.h), &fd, sizeof(int));
	}
	do {
		n = sendmsg(client.sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- tools ---- */
static void name_set(char to[CFG_NAME_MAX], const char *from)
{
	memset(to, 0, CFG_NAME_MAX);
	memcpy(to, from, strnlen(from, CFG_NAME_MAX - 1));
}

static struct run *run_by_id(uint32_t id)
{
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (client.runs[i].id == id)
			return &client.runs[i];
	return NULL;
}

/* An answer that nobody waits for in this moment: a tool's, or one that came too late. */
static void answer_stray(const struct keeper_answer *answer, int fd)
{
	struct run *run = answer->id ? run_by_id(answer->id) : NULL;

	if (!run || run->ended) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (answer->error && answer->error != -EAGAIN) /* who asked tries again */
		log_event(LOG_LVL_WARN, NULL, "keeper: %s", answer->text);
	run->ended = true;
	run->status = answer->error ? answer->error : (int)answer->value;
	run->fd = fd;
	event_active(client.deliver, 0, 0);
}

static void runs_deliver(evutil_socket_t sock, short what, void *arg)
{
	(void)sock, (void)what, (void)arg;
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		struct run run = client.runs[i];

		if (!run.id || !run.ended)
			continue;
		client.runs[i].id = 0; /* done() may start another */
		run.done(run.status, run.fd, run.arg);
		if (run.fd >= 0)
			close(run.fd);
	}
}

static int run_start(struct keeper_request *request, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct run *run = run_by_id(0);
	int rc;

	if (!run)
		return -EAGAIN;
	rc = request_send(request, file_fd);
	if (rc)
		return rc;
	*run = (struct run){ .id = request->id, .fd = -1, .done = done, .arg = arg };
	return 0;
}

int keeper_run(enum keeper_tool tool, uint32_t value, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct keeper_request request = {
		.op = KEEPER_RUN, .tool = (uint16_t)tool, .value = value
	};

	return run_start(&request, file_fd, done, arg);
}

int keeper_show_peer(enum keeper_show what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct keeper_request request = {
		.op = KEEPER_RUN, .tool = KEEPER_FRR_SHOW, .value = what, .peer = *peer
	};

	name_set(request.vrf, vrf);
	if (link)
		name_set(request.name, link);
	return run_start(&request, -1, done, arg);
}

/* ---- synchronous calls ---- */
static int call(
	struct keeper_request *request, int pass_fd, struct keeper_answer *ret_answer, int *ret_fd)
{
	uint64_t deadline = now_ns() + WAIT_S * 1000000000ull;
	struct keeper_answer answer;
	int fd, rc = request_send(request, pass_fd);

	memset(&client.last, 0, sizeof(client.last));
	while (!rc) {
		rc = now_ns() < deadline ? answer_receive(&answer, &fd, 0) : -ETIMEDOUT;
		if (!rc && answer.id == request->id)
			break;
		if (!rc)
			answer_stray(&answer, fd);
	}
	if (rc) {
		client.last.error = rc;
		snprintf(client.last.text, sizeof(client.last.text), "lintas-keeper: %s",
			strerror(-rc));
		return rc;
	}
	client.last = answer;
	if (ret_answer)
		*ret_answer = answer;
	if (ret_fd && !answer.error && fd < 0) {
		client.last.error = -EPROTO;
		return -EPROTO;
	}
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return answer.error;
}

int keeper_vrf(const char *vrf, bool *ret_adopted)
{
	struct keeper_request request = { .op = KEEPER_VRF };
	struct keeper_answer answer;
	int rc;

	name_set(request.vrf, vrf);
	rc = call(&request, -1, &answer, NULL);
	if (!rc)
		*ret_adopted = answer.value;
	return rc;
}

int keeper_vrf_del(const char *vrf)
{
	struct keeper_request request = { .op = KEEPER_VRF_DEL };

	name_set(request.vrf, vrf);
	return call(&request, -1, NULL, NULL);
}

static int tap_call(const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu,
	int pass_fd, int *ret_fd, bool *ret_held)
{
	struct keeper_request request = { .op = KEEPER_TAP, .mtu = mtu };
	struct keeper_answer answer;
	int rc;

	name_set(request.vrf, vrf);
	name_set(request.name, name);
	memcpy(request.mac, mac, sizeof(request.mac));
	rc = call(&request, pass_fd, &answer, ret_fd);
	if (!rc && ret_held)
		*ret_held = answer.value;
	return rc;
}

int keeper_tap(const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu, int *ret_fd,
	bool *ret_held)
{
	return tap_call(vrf, name, mac, mtu, -1, ret_fd, ret_held);
}

int keeper_tap_del(const char *vrf, const char *name)
{
	struct keeper_request request = { .op = KEEPER_TAP_DEL };

	name_set(request.vrf, vrf);
	name_set(request.name, name);
	return call(&request, -1, NULL, NULL);
}

int keeper_list(unsigned i, char ret_vrf[CFG_NAME_MAX], char ret_name[CFG_NAME_MAX])
{
	struct keeper_request request = { .op = KEEPER_LIST, .value = i };
	struct keeper_answer answer;
	int rc = call(&request, -1, &answer, NULL);

	if (!rc && i >= answer.value)
		rc = -ENOENT;
	if (rc)
		return rc;
	name_set(ret_vrf, answer.text);
	name_set(ret_name, answer.text + CFG_NAME_MAX);
	return 0;
}

int keeper_bfd(bool fresh, int *ret_fd)
{
	struct keeper_request request = { .op = KEEPER_BFD, .value = !fresh };

	return call(&request, -1, NULL, ret_fd);
}

int keeper_netlink(const char *vrf, uint32_t rcvbuf, int *ret_fd)
{
	struct keeper_request request = { .op = KEEPER_NETLINK, .value = rcvbuf };

	name_set(request.vrf, vrf);
	return call(&request, -1, NULL, ret_fd);
}

int keeper_socket(const char *vrf, enum keeper_socket kind, const char *link, int *ret_fd)
{
	struct keeper_request request = { .op = KEEPER_OPEN, .tool = (uint16_t)kind };

	name_set(request.vrf, vrf);
	if (link)
		name_set(request.name, link);
	return call(&request, -1, NULL, ret_fd);
}

/* ---- the connection ---- */
static void disconnect(void)
{
	event_free(client.readable);
	client.readable = NULL;
	if (client.sock >= 0)
		close(client.sock);
	client.sock = -1;
}

static void lost(void)
{
	const struct timeval second = { .tv_sec = 1 };

	log_event(LOG_LVL_ERR, NULL,
		"lintas-keeper has gone: links go on, VRFs and links cannot be added");
	disconnect();
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		if (client.runs[i].id && !client.runs[i].ended) {
			client.runs[i].ended = true;
			client.runs[i].status = -EPIPE;
			event_active(client.deliver, 0, 0);
		}
	}
	event_add(client.retry, &second);
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct keeper_answer answer;
	int fd, rc;

	(void)sock, (void)what, (void)arg;
	while (!(rc = answer_receive(&answer, &fd, MSG_DONTWAIT)))
		answer_stray(&answer, fd);
	if (rc != -EAGAIN)
		lost();
}

static int hello(int *ret_pid)
{
	struct keeper_request request = { .op = KEEPER_HELLO, .value = KEEPER_PROTOCOL };
	struct keeper_answer answer;
	int fd, rc = request_send(&request, -1);

	/* One that is busy answers before it is asked, and closes: the sending may have failed. */
	if (rc && rc != -EPIPE)
		return rc;
	rc = answer_receive(&answer, &fd, 0);
	if (rc)
		return rc;
	if (fd >= 0)
		close(fd);
	client.last = answer;
	if (ret_pid)
		*ret_pid = (int)answer.value;
	return answer.error;
}

static int connect_now(int *ret_pid)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc;

	memcpy(addr.sun_path, client.path, sizeof(addr.sun_path));
	client.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client.sock < 0)
		return -errno;
	setsockopt(client.sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(client.sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	rc = connect(client.sock, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : hello(ret_pid);
	if (!rc) {
		client.readable = event_new(
			control.base, client.sock, EV_READ | EV_PERSIST, on_readable, NULL);
		if (!client.readable || event_add(client.readable, NULL))
			rc = -ENOMEM;
	}
	if (rc)
		disconnect();
	return rc;
}

static void on_retry(evutil_socket_t sock, short what, void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	int fd, rc = connect_now(NULL);

	(void)sock, (void)what, (void)arg;
	if (rc) {
		event_add(client.retry, &second);
		return;
	}
	log_event(LOG_LVL_NOTICE, NULL, "lintas-keeper is back");
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		rc = tap_call(
			link->vrf->name, link->name, link->mac, link->mtu, link->tap, &fd, NULL);
		if (rc)
			log_event(LOG_LVL_ERR, link->name, "not held by the new keeper: %s",
				keeper_error());
		else
			close(fd);
	}
}

int keeper_open(const char *socket_path, int *ret_pid)
{
	if (strlen(socket_path) >= sizeof(client.path))
		return -ENAMETOOLONG;
	strcpy(client.path, socket_path);
	if (!client.deliver)
		client.deliver = event_new(control.base, -1, 0, runs_deliver, NULL);
	if (!client.retry)
		client.retry = event_new(control.base, -1, 0, on_retry, NULL);
	if (!client.deliver || !client.retry)
		return -ENOMEM;
	return connect_now(ret_pid);
}

void keeper_close(void)
{
	disconnect();
	event_free(client.deliver);
	event_free(client.retry);
	client.deliver = client.retry = NULL;
	memset(client.runs, 0, sizeof(client.runs));
}
