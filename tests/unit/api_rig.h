/* What the tests of control/api.c share: a real socket with commands of our own behind it, and the
 * clients' ends. One thread: pump() runs the daemon's event loop while a client's end is looked at.
 */
#ifndef LINTAS_API_RIG_H
#define LINTAS_API_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "control/api.h"
#include "unit.h"

#define DEADLINE_NS 5000000000ull

static char dir[64], sock_path[96];
static unsigned steps, parts_wanted, done_calls;
static struct api_request *kept;
static bool more_allowed;

/* ---- commands ---- */

static inline void cmd_echo(struct api_request *request, const json_t *args)
{
	api_reply(request, json_deep_copy(args));
}

static inline void cmd_keep(struct api_request *request, const json_t *args)
{
	(void)args;
	kept = request;
}

/* About 10 KB a part. */
static inline json_t *stream_step(void *state)
{
	static bool nothing;
	char text[10000];

	if (steps == parts_wanted)
		return NULL;
	if ((nothing = !nothing))
		return json_array(); /* a step that found nothing to show */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)state;
	return json_pack("[{s:i, s:s}]", "n", steps++, "text", text);
}

static inline void stream_done(void *state)
{
	(void)state;
	done_calls++;
}

static inline void cmd_stream(struct api_request *request, const json_t *args)
{
	(void)args;
	api_stream(request, stream_step, stream_done, NULL);
}

static inline json_t *follow_step(void *state)
{
	(void)state;
	if (!more_allowed)
		return json_null();
	more_allowed = false;
	return json_pack("[i]", steps++);
}

static inline void cmd_follow(struct api_request *request, const json_t *args)
{
	(void)args;
	kept = request;
	api_stream(request, follow_step, stream_done, NULL);
}

static inline json_t *broken_step(void *state)
{
	(void)state;
	return json_string("the table went away");
}

static inline void cmd_broken(struct api_request *request, const json_t *args)
{
	(void)args;
	api_stream(request, broken_step, stream_done, NULL);
}

static const struct api_command commands[] = {
	{ "echo", "", "", false, cmd_echo },
	{ "keep", "", "", false, cmd_keep },
	{ "stream", "", "", false, cmd_stream },
	{ "follow", "", "", false, cmd_follow },
	{ "broken", "", "", false, cmd_broken },
	{ "change", "", "", true, cmd_echo },
	{ 0 },
};

/* ---- the server, and the clients' ends ---- */

static inline bool server_start(
	unsigned idle_ms, unsigned stall_ms, const char *readers, const char *writers)
{
	struct api_options options = { commands, idle_ms, stall_ms };

	strcpy(dir, "/tmp/lintas-api-XXXXXX");
	if (!mkdtemp(dir))
		return false;
	chmod(dir, 0755); /* its child is what api_open makes and guards */
	snprintf(sock_path, sizeof(sock_path), "%s/run/cli.sock", dir);
	control.base = event_base_new();
	event_base_priority_init(control.base, 3);
	steps = done_calls = 0;
	parts_wanted = 0;
	kept = NULL;
	more_allowed = false;
	api_set_options(&options);
	return api_open(sock_path, readers, writers) == 0;
}

static inline void server_stop(void)
{
	char run[80];

	api_close();
	api_set_options(NULL);
	event_base_free(control.base);
	control.base = NULL;
	snprintf(run, sizeof(run), "%s/run", dir);
	rmdir(run);
	CU_ASSERT_EQUAL(rmdir(dir), 0); /* nothing of ours is left */
}

static inline void pump(void)
{
	event_base_loop(control.base, EVLOOP_NONBLOCK);
}

static inline int client_open(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(addr.sun_path, sock_path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	pump();
	return fd;
}

/* Sends all of it, pumping when the socket is full. */
static inline void send_text(int fd, const char *text, size_t len)
{
	uint64_t end = now_ns() + DEADLINE_NS;

	while (len && now_ns() < end) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
		pump();
	}
	CU_ASSERT_EQUAL(len, 0);
}

static inline void send_line(int fd, const char *text)
{
	send_text(fd, text, strlen(text));
	send_text(fd, "\n", 1);
}

/* The next line as JSON; NULL at the end of the connection or when the deadline passes (*ret_eof
 * tells). */
static inline json_t *receive(int fd, bool *ret_eof)
{
	static char line[1 << 20];
	size_t len = 0;
	uint64_t end = now_ns() + DEADLINE_NS;

	if (ret_eof)
		*ret_eof = false;
	while (len < sizeof(line) && now_ns() < end) {
		/* Up to the newline and no further: the rest belongs to the next call. */
		ssize_t n = recv(fd, line + len, sizeof(line) - len, MSG_PEEK);
		char *newline = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;

		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			if (ret_eof)
				*ret_eof = true;
			return NULL;
		}
		if (n > 0) {
			size_t take = newline ? (size_t)(newline - (line + len)) + 1 : (size_t)n;

			len += (size_t)recv(fd, line + len, take, 0);
			if (newline)
				return json_loadb(line, len, 0, NULL);
		}
		pump();
	}
	return NULL;
}

static inline bool answer_ok(json_t *answer)
{
	return json_is_true(json_object_get(answer, "ok"));
}

/* The next answer is an error that says `part`. */
static inline void expect_error(int fd, const char *part)
{
	json_t *answer = receive(fd, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));

	CU_ASSERT_PTR_NOT_NULL(error);
	CU_ASSERT_FALSE(answer_ok(answer));
	CU_ASSERT(error && strstr(error, part));
	json_decref(answer);
}

static inline void expect_echo(int fd, int n)
{
	json_t *answer = receive(fd, NULL);

	CU_ASSERT(answer_ok(answer));
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(answer, "data"), "n")), n);
	json_decref(answer);
}

static inline void expect_eof(int fd)
{
	bool eof;
	json_t *answer = receive(fd, &eof);

	CU_ASSERT_PTR_NULL(answer);
	CU_ASSERT(eof);
	json_decref(answer);
}

/* Reads a stream to its end; returns the number of elements, which must count up from 0. */
static inline unsigned expect_stream(int fd)
{
	unsigned n = 0;

	for (;;) {
		json_t *answer = receive(fd, NULL), *data = json_object_get(answer, "data"), *row;
		bool more = json_is_true(json_object_get(answer, "more"));
		size_t i;

		CU_ASSERT(answer_ok(answer));
		json_array_foreach(data, i, row) {
			CU_ASSERT_EQUAL(json_integer_value(json_object_get(row, "n")), n);
			n++;
		}
		json_decref(answer);
		if (!more)
			return n;
	}
}

#endif
