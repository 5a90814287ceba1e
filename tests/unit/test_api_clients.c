/* control/api.c, clients: those that flood, stall, sleep, vanish or are too many; who may connect,
 * and the socket's file. */
#include <grp.h>
#include <sys/wait.h>
#include "api_rig.h"

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
		printf("SKIP api_clients.permission: needs root to become somebody else\n");
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

void unit_api_clients(void)
{
	static const struct unit_test tests[] = {
		{ "flood", test_flood },
		{ "stalled_client", test_stalled_client },
		{ "stall_drop", test_stall_drop },
		{ "idle", test_idle },
		{ "vanish", test_vanish },
		{ "too_many", test_too_many },
		{ "socket_file", test_socket_file },
		{ "permission", test_permission },
	};

	UNIT_SUITE("api_clients", tests);
}
