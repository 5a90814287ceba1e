/* The control thread's loop: its root object, the stopwatch around every callback, and the helper
 * threads.
 *
 * control_event_new() is event_new() with a stopwatch (control.h lets the second name mean the
 * first), so that "no callback runs longer than 2 ms" is a counter and not a hope.
 * control_offload() runs what is pure and long in a thread of its own and brings the end of it back
 * into the loop through a pipe; the thread shares nothing with the loop but its argument, and takes
 * no signal. */
#define CONTROL_EVENT_UNTIMED
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "control.h"

struct control control;

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- the stopwatch ---- */
struct timed {
	event_callback_fn callback;
	void *arg;
};

static void timed_run(evutil_socket_t fd, short what, void *arg)
{
	struct timed timed = *(struct timed *)arg; /* the callback may free its own event */
	uint64_t begin = now_ns(), took;

	control.callback_ns = begin;
	timed.callback(fd, what, timed.arg);
	control.callback_ns = 0;
	took = now_ns() - begin;
	if (took > control.longest_ns)
		control.longest_ns = took;
	if (took > CONTROL_BUDGET_US * 1000ull)
		control.stalls++;
}

struct event *control_event_new(struct event_base *base, evutil_socket_t fd, short what,
	event_callback_fn callback, void *arg)
{
	struct timed *timed = malloc(sizeof(*timed));
	struct event *event;

	if (!timed)
		return NULL;
	*timed = (struct timed){ callback, arg };
	event = event_new(base, fd, what, timed_run, timed);
	if (!event)
		free(timed);
	return event;
}

void control_event_free(struct event *event)
{
	void *timed;

	if (!event)
		return;
	timed = event_get_callback_arg(event);
	event_free(event);
	free(timed);
}

/* ---- helper threads ---- */
struct job {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static int pipe_fds[2] = { -1, -1 }; /* finished jobs, as pointers */

static void *job_thread(void *arg)
{
	struct job *job = arg;

	job->work(job->arg);
	/* A pipe takes thousands of pointers, and only a few jobs exist: this does not block or
	 * fail. */
	while (write(pipe_fds[1], &job, sizeof(job)) < 0 && errno == EINTR)
		;
	return NULL;
}

static void jobs_done(evutil_socket_t fd, short what, void *arg)
{
	struct job *job;

	(void)what, (void)arg;
	if (read(fd, &job, sizeof(job)) != sizeof(job))
		return;
	job->done(job->arg);
	free(job);
}

static int pipe_open(void)
{
	struct event *event;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	/* Lives as long as the loop does. */
	event = control_event_new(control.base, pipe_fds[0], EV_READ | EV_PERSIST, jobs_done, NULL);
	if (!event || event_add(event, NULL)) {
		control_event_free(event);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		pipe_fds[0] = pipe_fds[1] = -1;
		return -ENOMEM;
	}
	return 0;
}

int control_offload(void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *job;
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc = pipe_fds[0] < 0 ? pipe_open() : 0;

	if (rc)
		return rc;
	job = malloc(sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct job){ work, done, arg };
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, job_thread, job);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		free(job);
	return -rc;
}
