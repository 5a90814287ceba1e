/* The conversation with lintasd: one request, one or many lines back. What went wrong is told with
 * what to run next. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "ctl.h"

#define ANSWER_S 60 /* the daemon answers within milliseconds, a reload within seconds */

/* Who may use the socket: for the error message. */
static const char *socket_group(const char *path)
{
	struct stat st;
	struct group *group;
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (stat(path, &st)) { /* its folder keeps us from even seeing it */
		snprintf(folder, sizeof(folder), "%s", path);
		char *slash = strrchr(folder, '/');
		if (slash && slash != folder)
			*slash = '\0';
		if (stat(folder, &st))
			return "root";
	}
	group = getgrgid(st.st_gid);
	return group ? group->gr_name : "root";
}

static int client_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "lintasctl: %s: longer than a socket's path can be\n", path);
		return -1;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		fprintf(stderr,
			"lintasctl: lintasd is not running: nobody answers at %s.\n"
			"Start it: systemctl start lintasd    Why it stopped: journalctl -u "
			"lintasd\n"
			"`lintasctl check FILE` works without it.\n",
			path);
	else if (errno == EACCES || errno == EPERM)
		fprintf(stderr,
			"lintasctl: you may not use %s: be root (sudo) or a member of the group "
			"%s.\n",
			path, socket_group(path));
	else
		fprintf(stderr, "lintasctl: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* 1: more follows; 0: that was the last; -1: an error, printed. */
static int take_line(
	const char *line, size_t len, void (*part)(const json_t *, bool, void *), void *arg)
{
	json_error_t error;
	json_t *answer = json_loadb(line, len, 0, &error);
	const char *text = json_string_value(json_object_get(answer, "error"));
	bool more = json_is_true(json_object_get(answer, "more"));
	int result = more;

	if (!answer) {
		fprintf(stderr,
			"lintasctl: lintasd's answer is not JSON (%s): is it another version?\n",
			error.text);
		result = -1;
	} else if (!json_is_true(json_object_get(answer, "ok"))) {
		fprintf(stderr, "lintasctl: %s\n",
			text ? text : "lintasd refused without a reason");
		result = -1;
	} else {
		part(json_object_get(answer, "data"), more, arg);
	}
	json_decref(answer);
	return result;
}

static int client_send(int fd, const char *api, json_t *args)
{
	json_t *request = json_pack("{s:s, s:O}", "cmd", api, "args", args);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int err = text ? 0 : -ENOMEM;

	for (size_t at = 0, len = text ? strlen(text) : 0; at <= len && !err;) {
		const char *from = at < len ? text + at : "\n";
		ssize_t n = send(fd, from, at < len ? len - at : 1, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	json_decref(request);
	free(text);
	return err;
}

int client_call(const char *socket_path, const char *api, json_t *args, bool endless,
	void (*part)(const json_t *data, bool more, void *arg), void *arg)
{
	struct timeval wait = { .tv_sec = endless ? 0 : ANSWER_S };
	int result = 1, fd = client_connect(socket_path);
	FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
	char *line = NULL;
	size_t size = 0;

	if (!in)
		return CTL_ERROR;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	client_send(fd, api, args); /* a daemon that refuses us has closed already, but said why */
	while (result > 0) {
		ssize_t n = getline(&line, &size, in);

		if (n > 0 && line[n - 1] == '\n') {
			result = take_line(line, (size_t)n, part, arg);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !feof(in))
			fprintf(stderr,
				"lintasctl: lintasd does not answer since %d s: journalctl -u "
				"lintasd\n",
				ANSWER_S);
		else
			fprintf(stderr, "lintasctl: lintasd closed the connection in the middle of "
					"its answer\n");
		result = -1;
	}
	free(line);
	fclose(in);
	return result < 0 ? CTL_ERROR : CTL_OK;
}
