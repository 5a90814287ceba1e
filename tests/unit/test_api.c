/* control/api.c over a real socket with commands of our own: framing, order, slow and vanishing
 * clients, bounds, permission. One thread: pump() runs the daemon's event loop while a client's end
 * is looked at. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control/api.h"
#include "unit.h"

#define DEADLINE_NS 5000000000ull

void unit_ctl(void); /* test_ctl.c: the other end of the socket */

static char dir[64], sock_path[96];
static unsigned steps, parts_wanted, done_calls;
static struct api_request *kept;
static bool more_allowed;

/* ---- commands ---- */

static void cmd_echo(struct api_request *request, const json_t *args)
{
	api_reply(request, json_deep_copy(args));
}

static void cmd_keep(struct api_request *request, const json_t *args)
{
	(void)args;
	kept = request;
}

/* About 10 KB a part. */
static json_t *stream_step(void *state)
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

static void stream_done(void *state)
{
	(void)state;
	done_calls++;
}

static void cmd_stream(struct api_request *request, const json_t *args)
{
	(void)args;
	api_stream(request, stream_step, stream_done, NULL);
}

static json_t *follow_step(void *state)
{
	(void)state;
	if (!more_allowed)
		return json_null();
	more_allowed = false;
	return json_pack("[i]", steps++);
}

static void cmd_follow(struct api_request *request, const json_t *args)
{
	(void)args;
	kept = request;
	api_stream(request, follow_step, stream_done, NULL);
}

static json_t *broken_step(void *state)
{
	(void)state;
	return json_string("the table went away");
}

static void cmd_broken(struct api_request *request, const json_t *args)
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

static bool server_start(
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

static void server_stop(void)
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

static void pump(void)
{
	event_base_loop(control.base, EVLOOP_NONBLOCK);
}

static int client_open(void)
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
static void send_text(int fd, const char *text, size_t len)
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

static void send_line(int fd, const char *text)
{
	send_text(fd, text, strlen(text));
	send_text(fd, "\n", 1);
}

/* The next line as JSON; NULL at the end of the connection or when the deadline passes (*ret_eof
 * tells). */
static json_t *receive(int fd, bool *ret_eof)
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

static bool answer_ok(json_t *answer)
{
	return json_is_true(json_object_get(answer, "ok"));
}

/* The next answer is an error that says `part`. */
static void expect_error(int fd, const char *part)
{
	json_t *answer = receive(fd, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));

	CU_ASSERT_PTR_NOT_NULL(error);
	CU_ASSERT_FALSE(answer_ok(answer));
	CU_ASSERT(error && strstr(error, part));
	json_decref(answer);
}

static void expect_echo(int fd, int n)
{
	json_t *answer = receive(fd, NULL);

	CU_ASSERT(answer_ok(answer));
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(answer, "data"), "n")), n);
	json_decref(answer);
}

static void expect_eof(int fd)
{
	bool eof;
	json_t *answer = receive(fd, &eof);

	CU_ASSERT_PTR_NULL(answer);
	CU_ASSERT(eof);
	json_decref(answer);
}

/* Reads a stream to its end; returns the number of elements, which must count up from 0. */
static unsigned expect_stream(int fd)
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

/* ---- tests ---- */

static void test_framing(void)
{
	static const char two[] =
		"{\"cmd\":\"echo\",\"args\":{\"n\":1}}\r\n{\"cmd\":\"echo\",\"args\":{\"n\":2}}\n";
	static const char last[] = "{\"cmd\":\"echo\",\"args\":{\"n\":3}}";

	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();
	send_text(fd, two, strlen(two));
	expect_echo(fd, 1);
	expect_echo(fd, 2);
	for (const char *p = two; *p; p++) /* a byte at a time */
		send_text(fd, p, 1);
	expect_echo(fd, 1);
	expect_echo(fd, 2);
	send_text(fd, last,
		strlen(last)); /* no newline, and our sending side ended: still answered */
	shutdown(fd, SHUT_WR);
	expect_echo(fd, 3);
	expect_eof(fd);
	close(fd);
	server_stop();
}

static void test_bad_requests(void)
{
	static const struct {
		const char *line, *error;
	} rows[] = {
		{ "hello", "not JSON" },
		{ "", "not JSON" },
		{ "\r", "not JSON" },
		{ "{\"cmd\":\"echo\"", "not JSON" },
		{ "{\"cmd\":\"echo\",\"cmd\":\"echo\"}", "not JSON" },
		{ "{\"cmd\":\"ec\\u0000ho\"}", "not JSON" },
		{ "{\"cmd\":\"\xff\xfe\"}", "not JSON" },
		{ "[1]", "JSON object" },
		{ "{}", "\"cmd\" must be a string" },
		{ "{\"cmd\":7}", "\"cmd\" must be a string" },
		{ "{\"cmd\":\"echo\",\"args\":[]}", "\"args\" must be an object" },
		{ "{\"cmd\":\"echo\",\"arg\":{}}", "no other" },
		{ "{\"cmd\":\"ech\"}", "no command \"ech\"" },
		{ "{\"cmd\":\"\"}", "no command" },
	};
	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		send_line(fd, rows[i].line);
		expect_error(fd, rows[i].error);
	}
	char *deep = malloc(60002);
	memset(deep, '[', 60000);
	deep[60000] = '\0';
	send_line(fd, deep);
	expect_error(fd, "not JSON");
	free(deep);
	send_line(fd, "{\"cmd\":\"broken\"}");
	expect_error(fd, "went away");
	CU_ASSERT_EQUAL(done_calls, 1);
	send_line(fd, "{\"cmd\":\"echo\",\"args\":{\"n\":7}}");
	expect_echo(fd, 7);
	close(fd);
	pump();
	server_stop();
}

static void test_oversized(void)
{
	size_t len = 3 * API_REQUEST_MAX;
	char *big = malloc(len + 1);

	memset(big, ' ', len);
	big[len] = '\0';
	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();
	send_line(fd, big);
	expect_error(fd, "longer than");
	send_line(fd, "{\"cmd\":\"echo\",\"args\":{\"n\":1}}"); /* answered once, framing intact */
	expect_echo(fd, 1);
	/* The longest that is allowed, and one byte more. */
	memcpy(big, "{\"cmd\":\"echo\",\"args\":{\"n\":2}}", 29);
	send_text(fd, big, API_REQUEST_MAX);
	send_text(fd, "\n", 1);
	expect_echo(fd, 2);
	send_text(fd, big, API_REQUEST_MAX + 1);
	send_text(fd, "\n", 1);
	expect_error(fd, "longer than");
	send_line(fd, "{\"cmd\":\"echo\",\"args\":{\"n\":3}}");
	expect_echo(fd, 3);
	close(fd);
	server_stop();
	free(big);
}

static void test_order(void)
{
	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open(), other = client_open();
	parts_wanted = 3;
	send_line(fd,
		"{\"cmd\":\"keep\"}\n{\"cmd\":\"stream\"}\n{\"cmd\":\"echo\",\"args\":{\"n\":5}}");
	send_line(other, "{\"cmd\":\"echo\",\"args\":{\"n\":6}}");
	expect_echo(other, 6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
	CU_ASSERT_EQUAL(steps, 0); /* the second waits for the first */
	api_reply(kept, json_pack("{s:i}", "n", 4));
	expect_echo(fd, 4);
	CU_ASSERT_EQUAL(expect_stream(fd), 3);
	expect_echo(fd, 5);
	CU_ASSERT_EQUAL(done_calls, 1);
	/* More requests at once than the input buffer takes: reading pauses, all are answered. */
	char line[64];
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "{\"cmd\":\"echo\",\"args\":{\"n\":%d}}", i);
		send_line(fd, line);
		if (i % 100 == 99)
			for (int j = i - 99; j <= i; j++)
				expect_echo(fd, j);
	}
	close(fd);
	close(other);
	pump();
	server_stop();
}

/* A client that sends and sends while its first request is not answered: reading pauses, nothing
 * spins. */
static void test_flood(void)
{
	char line[1024];
	size_t sent = 0;
	int idle = 0;

	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();
	send_line(fd, "{\"cmd\":\"keep\"}");
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"cmd\":\"echo\",\"args\":{\"n\":1}}", 29);
	line[sizeof(line) - 1] = '\n';
	while (idle < 100) { /* until nothing more is taken */
		ssize_t n = send(fd, line + sent % sizeof(line), sizeof(line) - sent % sizeof(line),
			MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
		pump();
	}
	CU_ASSERT(sent > API_REQUEST_MAX);
	CU_ASSERT(sent < 16 * API_REQUEST_MAX);
	CU_ASSERT_EQUAL(event_base_get_num_events(control.base, EVENT_BASE_COUNT_ACTIVE), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
	api_reply(kept, json_pack("{s:i}", "n", 1));
	for (size_t i = 0; i <= sent / sizeof(line); i++) /* all of it is answered, in order */
		expect_echo(fd, 1);
	send_text(fd, line + sent % sizeof(line), sizeof(line) - sent % sizeof(line));
	expect_echo(fd, 1);
	close(fd);
	pump();
	server_stop();
}

static void test_stalled_client(void)
{
	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int slow = client_open(), quick = client_open();
	parts_wanted = 2000; /* 20 MB */
	send_line(slow, "{\"cmd\":\"stream\"}");
	unsigned before;
	do { /* until nothing more is produced */
		before = steps;
		for (int i = 0; i < 100; i++)
			pump();
	} while (steps != before);
	CU_ASSERT(steps > 0);
	CU_ASSERT(steps < 200); /* what the buffers hold, not the whole answer */
	uint64_t start = now_ns();
	for (int i = 0; i < 100; i++) {
		send_line(quick, "{\"cmd\":\"echo\",\"args\":{\"n\":1}}");
		expect_echo(quick, 1);
	}
	CU_ASSERT(now_ns() - start < 1000000000ull);
	CU_ASSERT_EQUAL(steps, before);
	CU_ASSERT_EQUAL(done_calls, 0);
	CU_ASSERT_EQUAL(expect_stream(slow), 2000); /* it wakes up and misses nothing */
	CU_ASSERT_EQUAL(done_calls, 1);
	close(slow);
	close(quick);
	pump();
	server_stop();
}

static void test_stall_drop(void)
{
	CU_ASSERT_FATAL(server_start(60000, 50, NULL, NULL));
	int slow = client_open();
	uint64_t end = now_ns() + DEADLINE_NS;

	parts_wanted = 2000;
	send_line(slow, "{\"cmd\":\"stream\"}");
	while (!done_calls && now_ns() < end)
		pump();
	CU_ASSERT_EQUAL(done_calls, 1);
	CU_ASSERT(steps < 2000);
	close(slow);
	server_stop();
	CU_ASSERT_EQUAL(done_calls, 1);
}

static void test_idle(void)
{
	CU_ASSERT_FATAL(server_start(50, 60000, NULL, NULL));
	int idle = client_open(), waits = client_open();

	send_line(waits, "{\"cmd\":\"keep\"}");
	expect_eof(idle);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kept); /* waiting for us is not being idle */
	api_reply(kept, json_pack("{s:i}", "n", 1));
	expect_echo(waits, 1);
	close(idle);
	close(waits);
	server_stop();
}

static void test_vanish(void)
{
	uint64_t end = now_ns() + DEADLINE_NS;

	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();
	parts_wanted = 2000;
	send_line(fd, "{\"cmd\":\"stream\"}");
	pump();
	close(fd); /* in the middle of a stream */
	while (!done_calls && now_ns() < end)
		pump();
	CU_ASSERT_EQUAL(done_calls, 1);
	CU_ASSERT(steps < 2000);

	fd = client_open(); /* while its answer is being looked for */
	send_line(fd, "{\"cmd\":\"keep\"}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
	close(fd);
	pump();
	pump();
	api_reply(kept, json_pack("{s:i}", "n", 1)); /* frees it; ASan would tell */

	fd = client_open();
	send_line(fd, "{\"cmd\":\"follow\"}");
	close(fd); /* while the stream waits for news */
	while (done_calls < 2 && now_ns() < end)
		pump();
	CU_ASSERT_EQUAL(done_calls, 2);

	fd = client_open(); /* the server goes first */
	send_line(fd, "{\"cmd\":\"follow\"}");
	server_stop();
	CU_ASSERT_EQUAL(done_calls, 3);
	close(fd);
}

static void test_follow(void)
{
	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	int fd = client_open();
	send_line(fd, "{\"cmd\":\"follow\"}");
	for (int i = 0; i < 10; i++) {
		pump();
		more_allowed = true;
		api_wake(kept);
		json_t *answer = receive(fd, NULL);
		json_t *row = json_array_get(json_object_get(answer, "data"), 0);
		CU_ASSERT(json_is_true(json_object_get(answer, "more")));
		CU_ASSERT_EQUAL(json_integer_value(row), i);
		json_decref(answer);
	}
	close(fd);
	pump();
	server_stop();
}

static void test_too_many(void)
{
	int fds[API_CLIENTS_MAX];

	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	for (int i = 0; i < API_CLIENTS_MAX; i++) {
		fds[i] = client_open();
		send_line(fds[i], "{\"cmd\":\"echo\",\"args\":{\"n\":1}}");
		expect_echo(fds[i], 1);
	}
	int more = client_open();
	expect_error(more, "too many clients");
	expect_eof(more);
	close(more);
	close(fds[0]);
	pump();
	more = client_open();
	send_line(more, "{\"cmd\":\"echo\",\"args\":{\"n\":2}}");
	expect_echo(more, 2);
	close(more);
	for (int i = 1; i < API_CLIENTS_MAX; i++)
		close(fds[i]);
	pump();
	server_stop();
}

static void test_socket_file(void)
{
	struct stat st;
	char run[80];

	CU_ASSERT_FATAL(server_start(60000, 60000, NULL, NULL));
	snprintf(run, sizeof(run), "%s/run", dir);
	CU_ASSERT_EQUAL(stat(run, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0750);
	CU_ASSERT_EQUAL(stat(sock_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);

	/* Somebody answers there: what a second daemon sees. Its attempt must not take the socket
	 * away. */
	pid_t child = fork();
	if (!child) {
		struct api_options options = { commands, 1000, 1000 };

		event_reinit(control.base);
		api_close(); /* the copy of this process; removes the file, as an ending daemon
				would */
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		strcpy(addr.sun_path, sock_path);
		if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
			_exit(2);
		api_set_options(&options);
		if (api_open(sock_path, NULL, NULL) != -EADDRINUSE)
			_exit(3);
		close(fd); /* nobody listens now, the file is left over */
		if (api_open(sock_path, NULL, NULL))
			_exit(4);
		api_close();
		fd = open(sock_path, O_CREAT | O_WRONLY, 0600); /* no socket: not ours to remove */
		close(fd);
		if (api_open(sock_path, NULL, NULL) != -EEXIST)
			_exit(5);
		unlink(sock_path);
		if (api_open(sock_path, "no-such-group-here", NULL) != -ENOENT)
			_exit(6);
		_exit(0);
	}
	int status = -1;
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	server_stop();
}

/* In a child with that identity: 0 = reader, 1 = writer, 2 = may not connect, else a failure. */
static int identity_class(gid_t gid, gid_t extra)
{
	pid_t child = fork();

	if (!child) {
		char line[256] = { 0 };
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setgroups(extra ? 1 : 0, &extra) || setresgid(gid, gid, gid) ||
			setresuid(65534, 65534, 65534))
			_exit(10);
		strcpy(addr.sun_path, sock_path);
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			_exit(errno == EACCES ? 2 : 11);
		/* Who is refused may be cut off before this is sent; why is there to be read all
		 * the same. */
		if (send(fd, "{\"cmd\":\"echo\"}\n{\"cmd\":\"change\"}\n", 32, MSG_NOSIGNAL) < 0 &&
			errno != EPIPE)
			_exit(12);
		for (size_t len = 0;
			!(memchr(line, '\n', len) && strchr(strchr(line, '\n') + 1, '\n'));) {
			ssize_t n = recv(fd, line + len, sizeof(line) - 1 - len, 0);

			if (n <= 0)
				_exit(strstr(line, "for root") ? 2 : 13);
			len += (size_t)n;
		}
		if (strncmp(line, "{\"ok\":true", 10))
			_exit(14);
		if (strstr(line, "changes the router"))
			_exit(0);
		_exit(strncmp(strchr(line, '\n') + 1, "{\"ok\":true", 10) ? 15 : 1);
	}
	uint64_t end = now_ns() + DEADLINE_NS;
	int status = -1;
	while (waitpid(child, &status, WNOHANG) == 0 && now_ns() < end)
		pump();
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_permission(void)
{
	struct group *r = getgrnam("adm");
	gid_t readers = r ? r->gr_gid : 0;
	struct group *w = getgrnam("staff");
	gid_t writers = w ? w->gr_gid : 0;

	if (geteuid() || !readers || !writers) {
		printf("SKIP api.permission: needs root to become somebody else\n");
		return;
	}
	CU_ASSERT_FATAL(server_start(60000, 60000, "adm", "staff"));
	CU_ASSERT_EQUAL(identity_class(readers, 0), 0);
	CU_ASSERT_EQUAL(identity_class(65534, readers), 0);
	CU_ASSERT_EQUAL(identity_class(readers, writers), 1);
	CU_ASSERT_EQUAL(identity_class(writers, readers), 1);
	CU_ASSERT_EQUAL(identity_class(65534, 0), 2); /* the folder and the socket keep it out */
	/* And when the file modes do not: an administrator opened them. */
	char run[80];
	snprintf(run, sizeof(run), "%s/run", dir);
	chmod(run, 0755);
	chmod(sock_path, 0666);
	CU_ASSERT_EQUAL(identity_class(65534, 0), 2);
	CU_ASSERT_EQUAL(identity_class(65534, writers), 1);
	pump();

	/* Readers cannot take the last places from writers. */
	int fds[API_CLIENTS_MAX];
	for (int i = 0; i < API_CLIENTS_MAX - 8; i++)
		fds[i] = client_open();
	CU_ASSERT_EQUAL(identity_class(readers, 0), 13); /* "too many clients" */
	CU_ASSERT_EQUAL(identity_class(writers, readers), 1);
	for (int i = 0; i < API_CLIENTS_MAX - 8; i++)
		close(fds[i]);
	pump();
	server_stop();
}

void unit_api(void)
{
	static const struct unit_test tests[] = {
		{ "framing", test_framing },
		{ "bad_requests", test_bad_requests },
		{ "oversized", test_oversized },
		{ "order", test_order },
		{ "flood", test_flood },
		{ "stalled_client", test_stalled_client },
		{ "stall_drop", test_stall_drop },
		{ "idle", test_idle },
		{ "vanish", test_vanish },
		{ "follow", test_follow },
		{ "too_many", test_too_many },
		{ "socket_file", test_socket_file },
		{ "permission", test_permission },
	};

	UNIT_SUITE("api", tests);
	unit_ctl();
}
