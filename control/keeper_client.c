/* lintasd's side of lintas-keeper.
 *
 * One SOCK_SEQPACKET connection. A request and its answer are one datagram each; requests are
 * answered in order, within milliseconds, except KEEPER_RUN, whose answer comes when the tool has
 * ended. What is asked while links run is asked and left: the answer is told apart by its id and
 * delivered from the event loop, never from inside another call. Only what makes or removes a VRF,
 * a link or its socket waits, and not for long: a keeper that is late once counts as stuck, nobody
 * waits for it again until it has answered something. When the keeper goes away, what was asked is
 * reported as failed, and the client tries once a second to reach a new one, greets it without
 * waiting and hands it every TAP to hold: the links themselves never notice, because lintasd has
 * its own descriptors. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "keeper_client.h"

#define START_MS 5000 /* for an answer, before the event loop runs */
#define MAKE_MS	 500  /* in it: the kernel makes or removes a namespace or an interface */
#define LOOP_MS	 50   /* in it: anything else */
#define RUNS_MAX 64

struct run {
	uint32_t id;	   /* 0: free */
	bool ended, gives; /* gives: the descriptor is done()'s to close */
	int status, fd;
	void (*done)(int status, int fd, void *arg); /* NULL: nobody wants it any more */
	void *arg;
	char text[200];
};

static struct {
	int sock;
	char path[108];
	uint32_t next_id, hello_id; /* hello_id: a new keeper has not answered it yet */
	unsigned held;		    /* links below this number were handed to it */
	bool looping;		    /* others wait when we do */
	bool stuck;		    /* it was late, and has not answered anything since */
	int refused;		    /* what a new keeper said to our hello; 0: nothing bad */
	struct event *readable, *retry, *deliver;
	struct keeper_answer last;
	struct run runs[RUNS_MAX];
} client = { .sock = -1 };

const char *keeper_error(void)
{
	return client.last.error ? client.last.text : "";
}

/* ---- datagrams ---- */
/* -EAGAIN: there is none. */
static int answer_receive(struct keeper_answer *ret_answer, int *ret_fd)
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
		n = recvmsg(client.sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	client.stuck = false;
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
		n = sendmsg(client.sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int answer_wait(struct keeper_answer *ret_answer, int *ret_fd, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = client.sock, .events = POLLIN };
	int rc;

	while ((rc = answer_receive(ret_answer, ret_fd)) == -EAGAIN) {
		uint64_t now = now_ns();

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline_ns - now) / 1000000 + 1)) < 0 && errno != EINTR)
			return -errno;
	}
	return rc;
}

/* ---- what is asked and left ---- */
static struct run *run_by_id(uint32_t id)
{
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (client.runs[i].id == id)
			return &client.runs[i];
	return NULL;
}

static void run_end(struct run *run, int status, int fd, const char *text)
{
	run->ended = true;
	run->status = status;
	run->fd = fd;
	snprintf(run->text, sizeof(run->text), "%s", text);
	event_active(client.deliver, 0, 0);
}

/* An answer that nobody waits for in this moment: of what was asked and left, or one that came too
 * late. */
static void answer_stray(const struct keeper_answer *answer, int fd)
{
	struct run *run = answer->id ? run_by_id(answer->id) : NULL;

	if (!run || run->ended) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (run->gives) {
		run_end(run,
			answer->error ? answer->error
			: fd < 0      ? -EPROTO
				      : 0,
			fd, answer->text);
		return;
	}
	if (answer->error && answer->error != -EAGAIN) /* who asked tries again */
		log_event(LOG_LVL_WARN, NULL, "keeper: %s", answer->text);
	run_end(run, answer->error ? answer->error : (int)answer->value, fd, answer->text);
}

static void runs_deliver(evutil_socket_t sock, short what, void *arg)
{
	(void)sock, (void)what, (void)arg;
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		struct run run = client.runs[i];

		if (!run.id || !run.ended)
			continue;
		client.runs[i].id = 0; /* done() may start another */
		client.last.error = run.status;
		memcpy(client.last.text, run.text, sizeof(client.last.text));
		if (run.done)
			run.done(run.status, run.fd, run.arg);
		if (run.fd >= 0 && !(run.gives && run.done && !run.status))
			close(run.fd);
	}
}

int keeper_ask(struct keeper_request *request, int pass_fd, bool gives,
	void (*done)(int status, int fd, void *arg), void *arg)
{
	struct run *run = run_by_id(0);
	int rc;

	if (!run)
		return -EAGAIN;
	rc = client.hello_id ? -ENOTCONN : request_send(request, pass_fd);
	if (rc)
		return rc;
	*run = (struct run){
		.id = request->id, .gives = gives, .fd = -1, .done = done, .arg = arg
	};
	return 0;
}

void keeper_forget(const void *arg)
{
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (client.runs[i].id && client.runs[i].arg == arg)
			client.runs[i].done = NULL;
}

/* ---- synchronous calls ---- */
static int call_failed(int error, const char *what)
{
	client.last.error = error;
	snprintf(client.last.text, sizeof(client.last.text), "lintas-keeper: %s", what);
	return error;
}

static unsigned wait_ms(uint16_t op)
{
	if (!client.looping)
		return START_MS;
	return op == KEEPER_VRF || op == KEEPER_VRF_DEL || op == KEEPER_TAP || op == KEEPER_TAP_DEL
		       ? MAKE_MS
		       : LOOP_MS;
}

static int call_wait(const struct keeper_request *request, struct keeper_answer *answer, int *fd)
{
	unsigned ms = wait_ms(request->op);
	uint64_t deadline = now_ns() + ms * 1000000ull;
	char why[80];
	int rc;

	while (!(rc = answer_wait(answer, fd, deadline)) && answer->id != request->id)
		answer_stray(answer, *fd);
	if (rc == -ETIMEDOUT) {
		client.stuck = true;
		snprintf(why, sizeof(why), "no answer within %u ms: see its state and log", ms);
		return call_failed(rc, why);
	}
	return rc ? call_failed(rc, strerror(-rc)) : 0;
}

int keeper_call(
	struct keeper_request *request, int pass_fd, struct keeper_answer *ret_answer, int *ret_fd)
{
	struct keeper_answer answer;
	int fd, rc;

	memset(&client.last, 0, sizeof(client.last));
	while (client.sock >= 0 && client.stuck && !answer_receive(&answer, &fd))
		answer_stray(&answer, fd); /* it has woken up */
	if (client.stuck || client.hello_id)
		return call_failed(-ETIMEDOUT, "it is stuck, nobody waits for it: see its state");
	rc = request_send(request, pass_fd);
	if (rc)
		return call_failed(rc, strerror(-rc));
	rc = call_wait(request, &answer, &fd);
	if (rc)
		return rc;
	client.last = answer;
	if (ret_answer)
		*ret_answer = answer;
	if (ret_fd && !answer.error && fd < 0)
		return call_failed(-EPROTO, "an answer without its descriptor");
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return answer.error;
}

/* ---- the connection ---- */
static void disconnect(void)
{
	event_free(client.readable);
	client.readable = NULL;
	if (client.sock >= 0)
		close(client.sock);
	client.sock = -1;
	client.hello_id = 0;
	client.held = DP_LINKS_MAX;
	client.stuck = false;
}

static void retry_later(void)
{
	const struct timeval second = { .tv_sec = 1 };

	event_add(client.retry, &second);
}

static void lost(void)
{
	log_event(LOG_LVL_ERR, NULL,
		"lintas-keeper has gone: links go on, VRFs and links cannot be added");
	disconnect();
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (client.runs[i].id && !client.runs[i].ended)
			run_end(&client.runs[i], -EPIPE, -1, "lintas-keeper has gone");
	retry_later();
}

static void hand_over(void);

static void on_held(int status, int fd, void *arg)
{
	struct link *link = link_by_id((uint16_t)(uintptr_t)arg);

	if (!status)
		close(fd);
	else if (status != -EPIPE && link)
		log_event(
			LOG_LVL_ERR, link->name, "not held by the new keeper: %s", keeper_error());
	hand_over();
}

/* Every TAP to a new keeper, as many at a time as may be under way; their answers bring more. */
static void hand_over(void)
{
	for (; client.held < DP_LINKS_MAX; client.held++) {
		struct link *link = link_by_id((uint16_t)client.held);
		struct keeper_request request;
		int rc;

		if (!link || link->tap < 0)
			continue;
		request = keeper_tap_request(link->vrf->name, link->name, link->mac, link->mtu);
		rc = keeper_ask(&request, link->tap, true, on_held, (void *)(uintptr_t)client.held);
		if (rc == -EAGAIN)
			return;
		if (rc)
			log_event(LOG_LVL_ERR, link->name, "not held by the new keeper: %s",
				strerror(-rc));
	}
}

/* A new keeper's first answer. */
static void greeted(const struct keeper_answer *answer)
{
	if (answer->error) {
		if (answer->error != client.refused)
			log_event(LOG_LVL_ERR, NULL, "lintas-keeper is back, and refuses: %s%s",
				answer->text, answer->error == -EBUSY ? "" : KEEPER_OTHER_RELEASE);
		client.refused = answer->error;
		disconnect();
		retry_later();
		return;
	}
	client.hello_id = client.refused = 0;
	client.held = 0;
	log_event(LOG_LVL_NOTICE, NULL, "lintas-keeper is back");
	hand_over();
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct keeper_answer answer;
	int fd, rc = 0;

	(void)sock, (void)what, (void)arg;
	while (client.sock >= 0 && !(rc = answer_receive(&answer, &fd))) {
		if (client.hello_id && fd >= 0)
			close(fd);
		if (client.hello_id)
			greeted(&answer);
		else
			answer_stray(&answer, fd);
	}
	if (client.sock < 0 || rc == -EAGAIN)
		return;
	if (!client.hello_id)
		return lost();
	disconnect();
	retry_later();
}

static int connect_start(void)
{
	struct keeper_request request = { .op = KEEPER_HELLO, .value = KEEPER_PROTOCOL };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc;

	memcpy(addr.sun_path, client.path, sizeof(addr.sun_path));
	client.sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client.sock < 0)
		return -errno;
	rc = connect(client.sock, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	/* One that is busy answers before it is asked, and closes: the sending may fail. */
	if (!rc && (rc = request_send(&request, -1)) == -EPIPE)
		rc = 0;
	if (!rc) {
		client.hello_id = client.next_id;
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
	(void)sock, (void)what, (void)arg;
	if (connect_start())
		retry_later();
}

/* At the start: nothing runs yet, and without a keeper nothing will. */
static int connect_now(int *ret_pid)
{
	struct keeper_answer answer;
	int fd, rc = connect_start();

	if (rc)
		return rc;
	rc = answer_wait(&answer, &fd, now_ns() + START_MS * 1000000ull);
	if (!rc) {
		if (fd >= 0)
			close(fd);
		client.last = answer;
		if (ret_pid)
			*ret_pid = (int)answer.value;
		rc = answer.error;
	}
	if (rc)
		disconnect();
	client.hello_id = 0;
	return rc;
}

static void on_loop(evutil_socket_t sock, short what, void *arg)
{
	(void)sock, (void)what, (void)arg;
	client.looping = true;
}

int keeper_open(const char *socket_path, int *ret_pid)
{
	const struct timeval now = { 0 };

	if (strlen(socket_path) >= sizeof(client.path))
		return -ENAMETOOLONG;
	strcpy(client.path, socket_path);
	if (!client.deliver)
		client.deliver = event_new(control.base, -1, 0, runs_deliver, NULL);
	if (!client.retry)
		client.retry = event_new(control.base, -1, 0, on_retry, NULL);
	if (!client.deliver || !client.retry ||
		event_base_once(control.base, -1, EV_TIMEOUT, on_loop, NULL, &now))
		return -ENOMEM;
	return connect_now(ret_pid);
}

void keeper_close(void)
{
	disconnect();
	event_free(client.deliver);
	event_free(client.retry);
	client.deliver = client.retry = NULL;
	client.looping = false;
	memset(client.runs, 0, sizeof(client.runs));
}
