/* The CLI's socket: who may connect, lines in, lines out, and nobody waits for anybody.
 *
 * Control thread only. A client has at most one request in work; what it sends meanwhile stays in
 * its input buffer (bounded: reading pauses) so that pipelined requests are answered in order. All
 * work on a client is done by client_turn(), which stops after CONTROL_BUDGET_US or when the
 * client's output buffer is full enough, and goes on from a zero timer or when the buffer has
 * drained: other events come in between. A request belongs to its client until it is answered; when
 * the client goes first, a stream is ended (done() runs) and a request that waits for something is
 * orphaned: its late answer only frees it. Who the peer is comes from SO_PEERCRED and
 * SO_PEERGROUPS, what the kernel recorded at connect(): no name service is asked in the event loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include "api.h"
#include "views.h"

#define OUTPUT_HIGH	(256u << 10) /* bytes waiting for a client: above, nothing more is produced */
#define OUTPUT_LOW	(64u << 10) /* … until no more than these are left */
#define IDLE_MS		600000	    /* without a request */
#define STALL_MS	60000	    /* with output waiting and none of it read */
#define WRITERS_RESERVE 8	    /* places of API_CLIENTS_MAX that only writers get */
#define GROUPS_MAX	1024
#define NO_GROUP	((gid_t)-1)

struct api_request {
	struct client *client; /* NULL: orphaned */
	const struct api_command *command;
	json_t *(*step)(void *state); /* NULL: no stream */
	void (*done)(void *state);
	void *state;
	bool paused; /* the stream has nothing for now: api_wake() */
};

struct client {
	LIST_ENTRY(client) entry;
	struct bufferevent *bev;
	struct event *turn; /* zero timer: go on with what is left */
	struct api_request *active;
	bool writer;
	bool eof;	 /* nothing more will be received */
	bool discarding; /* inside a request that was too long */
};

static struct {
	int fd;
	struct event *accept, *accept_again;
	LIST_HEAD(, client) clients;
	unsigned n_clients;
	gid_t readers, writers;
	char readers_name[64], writers_name[64];
	struct sockaddr_un addr;
	dev_t dev; /* of our socket: at the end only our own is removed */
	ino_t ino;
	struct api_options options;
} api = { .fd = -1 };

static const struct api_options default_options = {
	.commands = api_commands, .idle_ms = IDLE_MS, .stall_ms = STALL_MS
};

/* ---- answers ---- */

static void client_schedule(struct client *client)
{
	static const struct timeval now = { 0, 0 };

	evtimer_add(client->turn, &now);
}

/* One line. Takes the reference; NULL means that memory ran out while it was made. */
static void client_send(struct client *client, json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (!text) {
		static const char oom[] = "{\"ok\":false,\"error\":\"lintasd: out of memory\"}\n";

		bufferevent_write(client->bev, oom, sizeof(oom) - 1);
		return;
	}
	bufferevent_write(client->bev, text, strlen(text));
	bufferevent_write(client->bev, "\n", 1);
	free(text);
}

static void client_error(struct client *client, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void client_error(struct client *client, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_t *text = json_vsprintf(fmt, ap);
	va_end(ap);
	if (!text) /* bytes that are no UTF-8 crept in from a request */
		text = json_string("the request holds text that is not UTF-8: send UTF-8");
	client_send(client, json_pack("{s:b, s:o}", "ok", 0, "error", text));
}

static void request_free(struct api_request *request)
{
	struct client *client = request->client;

	if (request->step)
		request->done(request->state);
	if (client) {
		client->active = NULL;
		client_schedule(client);
	}
	free(request);
}

void api_reply(struct api_request *request, json_t *data)
{
	if (request->client)
		client_send(request->client,
			data ? json_pack("{s:b, s:o}", "ok", 1, "data", data) : NULL);
	else
		json_decref(data);
	request_free(request);
}

void api_fail(struct api_request *request, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (request->client)
		client_error(request->client, "%s", text);
	request_free(request);
}

void api_stream(struct api_request *request, json_t *(*step)(void *state),
	void (*done)(void *state), void *state)
{
	if (!request->client) {
		done(state);
		free(request);
		return;
	}
	request->step = step;
	request->done = done;
	request->state = state;
	client_schedule(request->client);
}

void api_wake(struct api_request *request)
{
	request->paused = false;
	if (request->client)
		client_schedule(request->client);
}

const struct api_command *api_request_command(const struct api_request *request)
{
	return request->command;
}

/* ---- a client's life ---- */

static void client_free(struct client *client)
{
	if (!client)
		return;
	LIST_REMOVE(client, entry);
	api.n_clients--;
	if (client->active) {
		client->active->client = NULL;
		if (client->active->step)
			request_free(client->active);
	}
	event_free(client->turn);
	bufferevent_free(client->bev);
	free(client);
}

static const struct api_command *find_command(const char *name)
{
	for (const struct api_command *c = api.options.commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* Everything about the request that does not depend on the command is checked here. */
static const char *request_check(json_t *root, const char **ret_name, json_t **ret_args)
{
	const char *key;
	json_t *value;

	if (!json_is_object(root))
		return "a request is a JSON object: {\"cmd\": \"status\", \"args\": {}}";
	json_object_foreach(root, key, value)
		if (strcmp(key, "cmd") && strcmp(key, "args"))
			return "a request has the members \"cmd\" and "
			       "\"args\", and no other";
	*ret_name = json_string_value(json_object_get(root, "cmd"));
	if (!*ret_name)
		return "\"cmd\" must be a string: {\"cmd\": \"status\"}";
	*ret_args = json_object_get(root, "args");
	if (*ret_args && !json_is_object(*ret_args))
		return "\"args\" must be an object: {\"cmd\": \"link show\", \"args\": {\"name\": "
		       "…}}";
	return NULL;
}

static void client_dispatch(struct client *client, const char *line, size_t len)
{
	const char *name = NULL, *wrong;
	json_t *args = NULL, *none = NULL;
	json_error_t error;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	if (!root) {
		client_error(client,
			"the request is not JSON: %s at byte %d; send one object a line",
			error.text, error.position);
		return;
	}
	wrong = request_check(root, &name, &args);
	if (wrong) {
		client_error(client, "%s", wrong);
		goto out;
	}
	const struct api_command *command = find_command(name);
	if (!command) {
		client_error(
			client, "no command \"%.64s\": `lintasctl --commands` lists them", name);
		goto out;
	}
	if (command->write && !client->writer) {
		client_error(client, "\"%s\" changes the router: be root%s%s", command->name,
			api.writers == NO_GROUP ? "" : " or a member of the group ",
			api.writers_name);
		goto out;
	}
	struct api_request *request = calloc(1, sizeof(*request));
	none = json_object();
	if (!request || !none) {
		free(request);
		client_send(client, NULL);
		goto out;
	}
	request->client = client;
	request->command = command;
	client->active = request;
	command->handle(request, args ? args : none);
out:
	json_decref(none);
	json_decref(root);
}

/* The next complete request, or NULL. Too long a one is answered and skipped up to its end: the
 * framing is intact and the connection stays usable. */
static char *client_line(struct client *client, size_t *ret_len)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);

	for (;;) {
		char *line = evbuffer_readln(in, ret_len, EVBUFFER_EOL_LF);
		size_t left = evbuffer_get_length(in);

		if (!line && client->eof && left && !client->discarding &&
			left <= API_REQUEST_MAX) {
			line = malloc(left); /* the last line may lack its newline */
			if (line)
				evbuffer_remove(in, line, *ret_len = left);
		} else if (!line && (left > API_REQUEST_MAX || client->discarding)) {
			evbuffer_drain(in, left);
			if (!client->discarding)
				client_error(client, "the request is longer than %u bytes",
					API_REQUEST_MAX);
			client->discarding = true;
		} else if (line && client->discarding) {
			client->discarding = false;
			free(line);
			continue;
		} else if (line && *ret_len > API_REQUEST_MAX) {
			client_error(
				client, "the request is longer than %u bytes", API_REQUEST_MAX);
			free(line);
			continue;
		}
		return line;
	}
}

/* One part of the long answer; its end, or its failure. */
static void client_step(struct client *client)
{
	struct api_request *request = client->active;
	json_t *part = request->step(request->state);

	if (json_is_string(part)) {
		client_error(client, "%s", json_string_value(part));
		json_decref(part);
		request_free(request);
	} else if (part && !json_array_size(part)) {
		request->paused = json_is_null(part);
		json_decref(part);
	} else if (part) {
		client_send(client, json_pack("{s:b, s:b, s:o}", "ok", 1, "more", 1, "data", part));
	} else {
		client_send(client, json_pack("{s:b, s:[]}", "ok", 1, "data"));
		request_free(request);
	}
}

static void client_turn(struct client *client)
{
	struct evbuffer *out = bufferevent_get_output(client->bev);
	uint64_t start = now_ns();
	size_t len;

	evtimer_del(client->turn);
	do {
		if (evbuffer_get_length(out) >= OUTPUT_HIGH)
			return; /* on_drained goes on */
		if (client->active) {
			if (!client->active->step || client->active->paused)
				return; /* api_reply, api_fail or api_wake goes on */
			client_step(client);
			continue;
		}
		char *line = client_line(client, &len);
		if (!line) {
			if (client->eof && !evbuffer_get_length(out))
				client_free(client);
			return;
		}
		if (len && line[len - 1] == '\r')
			len--;
		client_dispatch(client, line, len);
		free(line);
	} while (now_ns() - start < CONTROL_BUDGET_US / 4 * 1000ull);
	client_schedule(client);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	client_turn(arg);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_turn(arg);
}

static void on_drained(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_turn(arg);
}

/* A peer that only ended its sending side still waits for answers; one that closed is gone. */
static bool peer_closed(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void on_client_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;
	bool busy = client->active || evbuffer_get_length(bufferevent_get_output(bev));

	if ((what & BEV_EVENT_EOF) && !peer_closed(bufferevent_getfd(bev))) {
		client->eof = true;
		client_turn(client);
	} else if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && busy) {
		bufferevent_enable(bev, EV_READ); /* it waits for us, not we for it */
	} else {
		if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_WRITING))
			log_event(LOG_LVL_NOTICE, "lintasd",
				"a CLI client that stopped reading was dropped");
		client_free(client);
	}
}

/* ---- who may connect ---- */

enum peer_class { PEER_NOBODY, PEER_READER, PEER_WRITER };

static enum peer_class peer_class(int fd)
{
	struct ucred cred;
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(cred), groups_len = sizeof(groups);
	enum peer_class class = PEER_NOBODY;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return PEER_NOBODY;
	if (cred.uid == 0 || cred.uid == geteuid())
		return PEER_WRITER;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len))
		groups_len = 0; /* in more groups than we look at: its main one counts */
	for (unsigned i = 0; i <= groups_len / sizeof(groups[0]); i++) {
		gid_t gid = i ? groups[i - 1] : cred.gid;

		if (gid == NO_GROUP)
			continue;
		if (gid == api.writers)
			return PEER_WRITER;
		if (gid == api.readers)
			class = PEER_READER;
	}
	return class;
}

/* Best effort: the socket is new, a line fits. */
static void refuse(int fd, const char *why)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "{\"ok\":false,\"error\":\"%s\"}\n", why);

	if (n > 0 && send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_event(LOG_LVL_DEBUG, "lintasd", "a refused CLI client was gone already");
	close(fd);
}

static struct timeval ms(unsigned n)
{
	return (struct timeval){ n / 1000, n % 1000 * 1000 };
}

static int client_new(int fd, bool writer)
{
	struct client *client = calloc(1, sizeof(*client));
	int low = event_base_get_npriorities(control.base) - 1;

	if (!client)
		return -ENOMEM;
	client->writer = writer;
	client->bev = bufferevent_socket_new(control.base, fd, BEV_OPT_CLOSE_ON_FREE);
	client->turn = evtimer_new(control.base, on_turn, client);
	if (!client->bev || !client->turn)
		goto fail;
	bufferevent_setcb(client->bev, on_readable, on_drained, on_client_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, API_REQUEST_MAX + 1);
	bufferevent_setwatermark(client->bev, EV_WRITE, OUTPUT_LOW, 0);
	struct timeval idle = ms(api.options.idle_ms), stall = ms(api.options.stall_ms);
	bufferevent_set_timeouts(client->bev, &idle, &stall);
	bufferevent_priority_set(client->bev, low);
	event_priority_set(client->turn, low);
	if (bufferevent_enable(client->bev, EV_READ | EV_WRITE))
		goto fail;
	LIST_INSERT_HEAD(&api.clients, client, entry);
	api.n_clients++;
	return 0;
fail:
	if (client->turn)
		event_free(client->turn);
	if (client->bev) {
		bufferevent_setfd(client->bev, -1); /* the caller still owns fd */
		bufferevent_free(client->bev);
	}
	free(client);
	return -ENOMEM;
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	(void)what, (void)arg;
	static const struct timeval second = { 1, 0 };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_event(LOG_LVL_ERR, "lintasd", "CLI socket: accept: %s; trying again in 1 s",
			strerror(errno));
		event_del(api.accept);
		evtimer_add(api.accept_again, &second);
		return;
	}
	enum peer_class class = peer_class(fd);
	unsigned room = API_CLIENTS_MAX - (class == PEER_WRITER ? 0 : WRITERS_RESERVE);
	if (class == PEER_NOBODY)
		refuse(fd, "this socket is for root and the readers and writers of lintas.conf");
	else if (api.n_clients >= room)
		refuse(fd, "too many clients: close one, or try again");
	else if (client_new(fd, class == PEER_WRITER))
		refuse(fd, "lintasd: out of memory");
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	event_add(api.accept, NULL);
}

/* ---- the socket ---- */

static int group_find(const char *name, gid_t *ret_gid)
{
	*ret_gid = NO_GROUP;
	if (!name)
		return 0;
	errno = 0;
	struct group *group = getgrnam(name);
	if (!group) {
		log_event(LOG_LVL_ERR, "lintasd",
			"CLI socket: no group \"%s\": groupadd --system %s", name, name);
		return errno ? -errno : -ENOENT;
	}
	*ret_gid = group->gr_gid;
	return 0;
}

/* The folder is made 0750. Its group is set where the group is what lets a reader in: a folder that
 * others may enter (/tmp of a test) is left alone. */
static int folder_prepare(const char *socket_path, gid_t group)
{
	char folder[sizeof(api.addr.sun_path)];
	struct stat st;
	char *slash;

	snprintf(folder, sizeof(folder), "%s", socket_path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	mode_t before = umask(0027);
	int made = mkdir(folder, 0750) ? -errno : 0;
	umask(before);
	if (made && made != -EEXIST)
		return made;
	if (stat(folder, &st))
		return -errno;
	if (group != NO_GROUP && !(st.st_mode & 0007) && st.st_gid != group &&
		chown(folder, -1, group))
		return -errno;
	return 0;
}

/* A socket file nobody listens behind is left over from a daemon that was killed. */
static int stale_remove(const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return 0;
	if (err != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) && errno != ENOENT ? -errno : 0;
}

static int socket_listen(gid_t group)
{
	struct stat st;
	int err = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	mode_t before = umask(0117); /* born 0660: there is no moment in which others may connect */
	if (bind(fd, (struct sockaddr *)&api.addr, sizeof(api.addr)))
		err = -errno;
	umask(before);
	if (err)
		goto fail;
	if (group != NO_GROUP && chown(api.addr.sun_path, -1, group))
		err = -errno;
	else if (stat(api.addr.sun_path, &st) || listen(fd, 64))
		err = -errno;
	if (err) {
		unlink(api.addr.sun_path);
		goto fail;
	}
	api.dev = st.st_dev;
	api.ino = st.st_ino;
	return fd;
fail:
	close(fd);
	return err;
}

void api_set_options(const struct api_options *options)
{
	api.options = options ? *options : default_options;
}

static int events_start(void)
{
	api.accept = event_new(control.base, api.fd, EV_READ | EV_PERSIST, on_accept, NULL);
	api.accept_again = evtimer_new(control.base, on_accept_again, NULL);
	if (!api.accept || !api.accept_again)
		return -ENOMEM;
	event_priority_set(api.accept, event_base_get_npriorities(control.base) - 1);
	if (event_add(api.accept, NULL))
		return -ENOMEM;
	return api.options.commands == api_commands ? views_start() : 0;
}

int api_open(const char *socket_path, const char *readers_group, const char *writers_group)
{
	int err;

	if (api.fd >= 0)
		return -EALREADY;
	if (!api.options.commands)
		api.options = default_options;
	if (strlen(socket_path) >= sizeof(api.addr.sun_path))
		return -ENAMETOOLONG;
	if ((err = group_find(readers_group, &api.readers)) ||
		(err = group_find(writers_group, &api.writers)))
		return err;
	snprintf(api.readers_name, sizeof(api.readers_name), "%s",
		readers_group ? readers_group : "");
	snprintf(api.writers_name, sizeof(api.writers_name), "%s",
		writers_group ? writers_group : "");
	gid_t group = api.readers != NO_GROUP ? api.readers : api.writers;
	signal(SIGPIPE,
		SIG_IGN); /* a client that vanishes is an error of write(), not a reason to die */
	memset(&api.addr, 0, sizeof(api.addr));
	api.addr.sun_family = AF_UNIX;
	strcpy(api.addr.sun_path, socket_path);
	if ((err = folder_prepare(socket_path, group)) || (err = stale_remove(&api.addr)))
		goto fail;
	err = api.fd = socket_listen(group);
	if (err < 0 || (err = events_start()))
		goto fail;
	return 0;
fail:
	log_event(LOG_LVL_ERR, "lintasd", "CLI socket %s: %s%s", socket_path, strerror(-err),
		err == -EADDRINUSE ? ": another lintasd answers there" : "");
	api_close();
	return err;
}

void api_close(void)
{
	struct stat st;

	if (api.fd < 0)
		return;
	views_stop();
	while (!LIST_EMPTY(&api.clients))
		client_free(LIST_FIRST(&api.clients));
	if (api.accept)
		event_free(api.accept);
	if (api.accept_again)
		event_free(api.accept_again);
	api.accept = api.accept_again = NULL;
	close(api.fd);
	api.fd = -1;
	if (!stat(api.addr.sun_path, &st) && st.st_dev == api.dev && st.st_ino == api.ino)
		unlink(api.addr.sun_path);
}
