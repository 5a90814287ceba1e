/* lintasd's side of the keeper, with a keeper that answers what it is told, or not at all: nobody
 * in the event loop waits for one that is stuck. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "control/control.h"
#include "control/keeper.h"
#include "unit.h"

#define MS 1000000ull

static char path[64];
static int listener = -1, keeper = -1; /* the keeper's ends */
static struct event_base *base_before;
static int calls, status_last, fd_last;

/* ---- a keeper ---- */
static bool request_take(struct keeper_request *request)
{
	return recv(keeper, request, sizeof(*request), 0) == sizeof(*request);
}

static void answer_give(uint32_t id, int error, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} passed = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct keeper_answer answer = { .id = id, .error = error };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	snprintf(answer.text, sizeof(answer.text), "%s", error ? "it said no" : "");
	if (fd >= 0) {
		memcpy(CMSG_DATA(&passed.h), &fd, sizeof(fd));
		msg.msg_control = passed.room;
		msg.msg_controllen = sizeof(passed.room);
	}
	CU_ASSERT_EQUAL(sendmsg(keeper, &msg, MSG_NOSIGNAL), sizeof(answer));
}

static void *greet(void *arg)
{
	struct keeper_request request;

	keeper = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (keeper >= 0 && request_take(&request))
		answer_give(request.id, 0, -1);
	return arg;
}

static void listen_on(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, path);
	unlink(path);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 4), 0);
}

static void begin(void)
{
	pthread_t thread;

	snprintf(path, sizeof(path), "/tmp/lintas-unit-%d.sock", (int)getpid());
	base_before = control.base;
	control.base = event_base_new();
	listen_on();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, greet, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(keeper_open(path, NULL), 0);
	pthread_join(thread, NULL);
	calls = 0;
}

static void end(void)
{
	keeper_close();
	close(keeper);
	close(listener);
	unlink(path);
	event_base_free(control.base);
	control.base = base_before;
}

/* ---- the loop ---- */
static void loop_break(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	event_base_loopbreak(control.base);
}

static void in_loop(void (*run)(evutil_socket_t, short, void *), void *arg)
{
	const struct timeval now = { 0 };

	event_base_once(control.base, -1, EV_TIMEOUT, run, arg, &now);
	event_base_loop(control.base, EVLOOP_ONCE);
}

/* Until so many answers were delivered. */
static bool delivered(int n)
{
	const struct timeval late = { .tv_sec = 5 };
	struct event *over = event_new(control.base, -1, 0, loop_break, NULL);
	uint64_t until = now_ns() + 5000 * MS;

	event_add(over, &late);
	while (calls < n && now_ns() < until)
		event_base_loop(control.base, EVLOOP_ONCE);
	event_free(over);
	return calls == n;
}

static void done(int status, int fd, void *arg)
{
	calls++;
	status_last = status;
	fd_last = fd;
	*(bool *)arg = !strcmp(keeper_error(), status == -ENOENT ? "it said no" : "");
}

static void test_asked(void)
{
	struct keeper_request request;
	bool said = false, other = false;
	int pair[2];

	begin();
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &said), 0);
	CU_ASSERT_EQUAL(calls, 0); /* nobody answered yet, and nobody waited */
	CU_ASSERT_FATAL(request_take(&request));
	CU_ASSERT_EQUAL(request.op, KEEPER_BFD);
	answer_give(request.id, -ENOENT, -1);
	CU_ASSERT(delivered(1) && status_last == -ENOENT && said);
	/* A descriptor belongs to who asked. */
	CU_ASSERT_EQUAL_FATAL(pipe(pair), 0);
	CU_ASSERT_EQUAL(keeper_socket_ask("v", KEEPER_SOCKET_TCP4, "l", done, &said), 0);
	CU_ASSERT_FATAL(request_take(&request));
	answer_give(request.id, 0, pair[1]);
	close(pair[1]);
	CU_ASSERT(delivered(2) && !status_last && said);
	CU_ASSERT_EQUAL(write(fd_last, "x", 1), 1);
	close(fd_last);
	close(pair[0]);
	/* One without its descriptor is none; who has left hears nothing. */
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &other), 0);
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &said), 0);
	keeper_forget(&other);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(request_take(&request));
		answer_give(request.id, 0, -1);
	}
	CU_ASSERT(delivered(3) && status_last == -EPROTO);
	end();
}

static void vrf_dels(evutil_socket_t fd, short what, void *arg)
{
	uint64_t *took = arg;

	(void)fd, (void)what;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t start = now_ns();

		CU_ASSERT_EQUAL(keeper_vrf_del("v"), -ETIMEDOUT);
		CU_ASSERT(strlen(keeper_error()) > 20);
		took[i] = now_ns() - start;
	}
}

static void socket_call(evutil_socket_t fd, short what, void *arg)
{
	uint64_t start = now_ns();
	int sock;

	(void)fd, (void)what;
	CU_ASSERT_EQUAL(keeper_socket("v", KEEPER_SOCKET_TCP4, "l", &sock), -ETIMEDOUT);
	*(uint64_t *)arg = now_ns() - start;
}

/* Half a second once for what is made, a twentieth for a socket, then nothing until it answers. */
static void test_stuck(void)
{
	struct keeper_request request;
	uint64_t took[3] = { 0 }, one = 0;
	uint32_t late;

	begin();
	in_loop(vrf_dels, took);
	CU_ASSERT(took[0] >= 400 * MS && took[0] < 1500 * MS);
	CU_ASSERT(took[1] < 20 * MS && took[2] < 20 * MS);
	CU_ASSERT_FATAL(request_take(&request));
	late = request.id;
	answer_give(late, 0, -1); /* it has woken up: it is waited for again */
	in_loop(socket_call, &one);
	CU_ASSERT(one >= 40 * MS && one < 400 * MS);
	end();
}

static void *call_later(void *arg)
{
	*(int *)arg = keeper_vrf_del("v");
	return NULL;
}

/* The new one is greeted without waiting, and serves when it has answered. */
static void test_again(void)
{
	struct keeper_request request;
	pthread_t thread;
	bool said = false;
	int rc = -1;

	begin();
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &said), 0);
	close(listener);
	close(keeper);
	CU_ASSERT(delivered(1) && status_last == -EPIPE);
	listen_on();
	event_base_loop(control.base, EVLOOP_ONCE); /* its second */
	keeper = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CU_ASSERT_FATAL(request_take(&request));
	CU_ASSERT_EQUAL(request.op, KEEPER_HELLO);
	answer_give(request.id, -EPROTO, -1); /* another release's: nothing is asked of it */
	event_base_loop(control.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL(recv(keeper, &request, sizeof(request), 0), 0);
	close(keeper);
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &said), -ENOTCONN);
	event_base_loop(control.base, EVLOOP_ONCE); /* its second */
	keeper = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CU_ASSERT_FATAL(request_take(&request));
	CU_ASSERT_EQUAL(request.op, KEEPER_HELLO);
	CU_ASSERT_EQUAL(keeper_bfd(true, done, &said), -ENOTCONN);
	answer_give(request.id, 0, -1);
	event_base_loop(control.base, EVLOOP_ONCE);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, call_later, &rc), 0);
	CU_ASSERT_FATAL(request_take(&request));
	CU_ASSERT_EQUAL(request.op, KEEPER_VRF_DEL);
	answer_give(request.id, 0, -1);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(rc, 0);
	end();
}

void unit_keeper_client(void)
{
	static const struct unit_test tests[] = {
		{ "asked", test_asked },
		{ "stuck", test_stuck },
		{ "again", test_again },
	};

	UNIT_SUITE("keeper_client", tests);
}
