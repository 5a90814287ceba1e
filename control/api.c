/* The CLI's clients: lines in, lines out, and nobody waits for anybody.
 *
 * Control thread only. A client has at most one request in work; what it sends meanwhile stays in
 * its input buffer (bounded: reading pauses) so that pipelined requests are answered in order. All
 * work on a client is done by client_turn(), which stops well within CONTROL_BUDGET_US or when the
 * client's output buffer is full enough, and goes on from a zero timer or when the buffer has
 * drained: other events come in between. A request belongs to its client until it is answered; when
 * the client goes first, a stream is ended (done() runs) and a request that waits for something is
 * orphaned: its late answer only frees it. The socket they come through is api_socket.c's. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include "api.h"
#include "api_own.h"
#include "views.h"

#define TURN_NS	       (CONTROL_BUDGET_US / 4 * 1000ull)
#define TURN_SHARED_NS 200000ull    /* when others wait for theirs */
#define OUTPUT_HIGH    (128u << 10) /* bytes waiting for a client: above, nothing more is produced */
#define OUTPUT_LOW     (32u << 10)  /* … until no more than these are left */
#define IDLE_MS	       600000	    /* without a request */
#define STALL_MS       60000	    /* with output waiting and none of it read */

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
	TAILQ_ENTRY(client) turn;
	bool queued; /* for its turn */
	struct bufferevent *bev;
	struct api_request *active;
	bool writer;
	bool eof;	 /* nothing more will be received */
	bool discarding; /* inside a request that was too long */
	bool held;	 /* not read from: enough is waiting */
};

static struct {
	bool open;
	LIST_HEAD(, client) clients;
	TAILQ_HEAD(, client) queue; /* those with work to do */
	struct event *next;	    /* zero timer: the next one's turn */
	unsigned n_clients;
	char writers[64]; /* the group's name, for people */
	struct api_options options;
} api;

static const struct api_options default_options = {
	.commands = api_commands, .idle_ms = IDLE_MS, .stall_ms = STALL_MS
};

/* ---- answers ---- */

/* first: before those that are in the middle of a long answer. */
static void client_schedule(struct client *client, bool first)
{
	static const struct timeval now = { 0, 0 };

	if (!client->queued && first)
		TAILQ_INSERT_HEAD(&api.queue, client, turn);
	else if (!client->queued)
		TAILQ_INSERT_TAIL(&api.queue, client, turn);
	client->queued = true;
	evtimer_add(api.next, &now);
}

static void client_unschedule(struct client *client)
{
	if (client->queued)
		TAILQ_REMOVE(&api.queue, client, turn);
	client->queued = false;
}

/* One line. Takes the reference; NULL means that memory ran out while it was made. */
static void client_send(struct client *client, json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

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
		client_schedule(client, false);
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
	client_schedule(request->client, false);
}

void api_wake(struct api_request *request)
{
	request->paused = false;
	if (request->client)
		client_schedule(request->client, false);
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
	client_unschedule(client);
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
			*api.writers ? " or a member of the group " : "", api.writers);
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

/* Reading pauses while more than one request's worth waits. (Not by libevent's high watermark: it
 * calls the read callback for ever when that leaves the buffer full.) */
static void client_hold(struct client *client)
{
	bool full = evbuffer_get_length(bufferevent_get_input(client->bev)) > API_REQUEST_MAX;

	if (full == client->held || client->eof)
		return;
	client->held = full;
	if (full)
		bufferevent_disable(client->bev, EV_READ);
	else
		bufferevent_enable(client->bev, EV_READ);
}

static void client_turn(struct client *client)
{
	struct evbuffer *out = bufferevent_get_output(client->bev);
	uint64_t start = now_ns();
	size_t len;

	client_unschedule(client);
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
		client_hold(client);
		if (!line) {
			if (client->eof && !evbuffer_get_length(out))
				client_free(client);
			return;
		}
		if (len && line[len - 1] == '\r')
			len--;
		client_dispatch(client, line, len);
		free(line);
	} while (now_ns() - start < (TAILQ_EMPTY(&api.queue) ? TURN_NS : TURN_SHARED_NS));
	client_schedule(client, false);
}

/* One client a round of the event loop: however many long answers are under way, others are heard
 * between any two steps. */
static void on_next(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct client *client = TAILQ_FIRST(&api.queue);

	(void)fd, (void)what, (void)arg;
	if (client)
		client_turn(client);
	if (!TAILQ_EMPTY(&api.queue))
		evtimer_add(api.next, &now);
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct client *client = arg;

	(void)bev;
	client_hold(client);
	if (!client->active) /* else it waits in the input buffer */
		client_schedule(client, true);
}

static void on_drained(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_schedule(arg, false);
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
		client_schedule(client, false);
	} else if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && busy) {
		if (!client->held)
			bufferevent_enable(bev, EV_READ); /* it waits for us, not we for it */
	} else {
		if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_WRITING))
			log_event(LOG_LVL_NOTICE, "lintasd",
				"a CLI client that stopped reading was dropped");
		client_free(client);
	}
}

static struct timeval ms(unsigned n)
{
	return (struct timeval){ n / 1000, n % 1000 * 1000 };
}

int api_client_new(int fd, bool writer)
{
	struct client *client = calloc(1, sizeof(*client));
	int low = event_base_get_npriorities(control.base) - 1;

	if (!client)
		return -ENOMEM;
	client->writer = writer;
	client->bev = bufferevent_socket_new(control.base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->bev)
		goto fail;
	bufferevent_setcb(client->bev, on_readable, on_drained, on_client_event, client);
	bufferevent_setwatermark(client->bev, EV_WRITE, OUTPUT_LOW, 0);
	struct timeval idle = ms(api.options.idle_ms), stall = ms(api.options.stall_ms);
	bufferevent_set_timeouts(client->bev, &idle, &stall);
	bufferevent_priority_set(client->bev, low);
	if (bufferevent_enable(client->bev, EV_READ | EV_WRITE))
		goto fail;
	LIST_INSERT_HEAD(&api.clients, client, entry);
	api.n_clients++;
	return 0;
fail:
	if (client->bev) {
		bufferevent_setfd(client->bev, -1); /* the caller still owns fd */
		bufferevent_free(client->bev);
	}
	free(client);
	return -ENOMEM;
}

unsigned api_client_count(void)
{
	return api.n_clients;
}

/* ---- start and end ---- */

void api_set_options(const struct api_options *options)
{
	api.options = options ? *options : default_options;
}

int api_open(const char *socket_path, const char *readers_group, const char *writers_group)
{
	int err;

	if (api.open)
		return -EALREADY;
	if (!api.options.commands)
		api.options = default_options;
	snprintf(api.writers, sizeof(api.writers), "%s", writers_group ? writers_group : "");
	/* A client that vanishes is an error of write(), not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	err = api_socket_open(socket_path, readers_group, writers_group);
	if (err)
		return err;
	TAILQ_INIT(&api.queue);
	api.open = true;
	api.next = evtimer_new(control.base, on_next, NULL);
	if (!api.next) {
		api_close();
		return -ENOMEM;
	}
	event_priority_set(api.next, event_base_get_npriorities(control.base) - 1);
	err = api.options.commands == api_commands ? views_start() : 0;
	if (err)
		api_close();
	return err;
}

void api_close(void)
{
	if (!api.open)
		return;
	api.open = false;
	views_stop();
	while (!LIST_EMPTY(&api.clients))
		client_free(LIST_FIRST(&api.clients));
	api_socket_close();
	if (api.next)
		event_free(api.next);
	api.next = NULL;
}
