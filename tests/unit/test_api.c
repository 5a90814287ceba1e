/* control/api.c, requests and answers: framing, order, what is refused, streams. */
#include "api_rig.h"

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

void unit_api(void)
{
	static const struct unit_test tests[] = {
		{ "framing", test_framing },
		{ "bad_requests", test_bad_requests },
		{ "oversized", test_oversized },
		{ "order", test_order },
		{ "follow", test_follow },
	};

	UNIT_SUITE("api", tests);
}
