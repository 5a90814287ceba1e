/* Our end of bfdd's data-plane socket.
 *
 * bfdd (--dplaneaddr unix:…) listens in FRR's socket folder; lintas-keeper connects, because only
 * frr may, and passes the descriptor. On each new connection bfdd 8.4 writes all sessions that no
 * connection has yet into a buffer of 8 KB: 58 fit, the others wait for the next. So the keeper
 * opens a number of them and we are given each that bfdd has written to. It always keeps some in
 * reserve: when lintasd dies bfdd moves our sessions to those, and the next lintasd finds them
 * there; without one bfdd would call every peer dead. When bfdd goes, what runs here goes on for a
 * minute (bfd_sessions.c), so that a restarted bfdd finds it up. bfdd waits for some of our answers
 * without doing anything else: they are written at once, and who does not read is left. Without
 * --dplaneaddr there is no socket and bfdd works as ever, by way of the kernel. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bfd.h"
#include "keeper.h"

#define CONNS_MAX 32 /* of 58 sessions: more than there can be sessions */
#define TICK_MS	  100
#define RETRY_NS  1000000000ull
#define LOOK_NS	  500000000ull /* for sessions on connections that the keeper holds */
#define BUFFER	  16384

struct conn {
	unsigned id; /* 0: free */
	int fd;
	struct event *event;
	uint64_t opened_ns, heard_ns;
	unsigned added;
	size_t len;
	uint8_t buf[BUFFER];
};

static struct conn conns[CONNS_MAX];
static struct event *timer;
static unsigned next_id;
static uint64_t next_ns;
static bool refused_said, asked; /* asked: the keeper will answer */
static struct bfd_server_info info = { .state = "bfdd is not there, or runs without --dplaneaddr" };

static struct conn *conn_by_id(unsigned id)
{
	for (unsigned i = 0; id && i < CONNS_MAX; i++)
		if (conns[i].id == id)
			return &conns[i];
	return NULL;
}

static void conn_close(struct conn *c, const char *why)
{
	unsigned id = c->id;

	log_event(c->added ? LOG_LVL_NOTICE : LOG_LVL_DEBUG, "bfd",
		"connection %u to bfdd ended: %s", id, why);
	event_free(c->event);
	close(c->fd);
	c->id = 0;
	info.connections--;
	if (!info.connections)
		info.state = "bfdd is away";
	bfd_sessions_lost(id);
}

void bfd_server_send(unsigned conn, const uint8_t *bytes, size_t len)
{
	struct conn *c = conn_by_id(conn);

	/* A unix socket's buffer takes thousands of these; who has not read those is ill, and
	 * half a message would be worse than none. */
	if (c && send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
		shutdown(c->fd, SHUT_RDWR); /* its event closes it */
}

/* ---- messages ---- */
static void answer_counters(const struct conn *c, const struct bfd_message *m)
{
	uint8_t bytes[BFD_MESSAGE_MAX];
	struct dp_bfd_info none = { 0 }, session;

	/* bfdd waits for it: an unknown session has zeros. */
	if (!bfd_sessions_info(m->lid, c->id, &session))
		session = none;
	bfd_server_send(c->id, bytes, bfd_message_counters(bytes, m->id, m->lid, &session));
}

static void message(struct conn *c, const struct bfd_message *m)
{
	uint8_t bytes[BFD_MESSAGE_MAX];

	info.messages++;
	switch (m->type) {
	case BFD_ADD:
		c->added++;
		bfd_sessions_add(&m->wanted, c->id);
		break;
	case BFD_DELETE:
		bfd_sessions_delete(m->wanted.lid, c->id);
		break;
	case BFD_COUNTERS_REQUEST:
		answer_counters(c, m);
		break;
	case BFD_ECHO_REQUEST:
		bfd_server_send(
			c->id, bytes, bfd_message_echo(bytes, m->id, m->dp_time, now_ns() / 1000));
		break;
	}
}

/* False: the connection is of no more use. */
static bool messages(struct conn *c)
{
	struct bfd_message m;
	const char *why;
	size_t at = 0;
	int rc;

	while ((rc = bfd_message_parse(c->buf + at, c->len - at, &m, &why)) != -EAGAIN) {
		if (rc) {
			info.errors++;
			log_event(LOG_LVL_WARN, "bfd", "bfdd sent what cannot be used: %s", why);
		}
		if (rc == -EPROTO)
			return false;
		if (!rc)
			message(c, &m);
		at += m.length;
	}
	memmove(c->buf, c->buf + at, c->len - at);
	c->len -= at;
	return c->len < sizeof(c->buf);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n = recv(fd, c->buf + c->len, sizeof(c->buf) - c->len, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c, n ? strerror(errno) : "closed by bfdd");
		return;
	}
	c->len += (size_t)n;
	c->heard_ns = now_ns();
	if (!messages(c))
		conn_close(c, "not the protocol of FRR 8.4");
}

/* ---- connections ---- */
static void refused(int rc)
{
	bool away = rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN;

	if (!away && rc != -EPIPE && !refused_said)
		log_event(LOG_LVL_WARN, "bfd", "bfdd's data-plane socket: %s", keeper_error());
	refused_said = !away;
	next_ns = now_ns() + (info.connections ? LOOK_NS : RETRY_NS);
}

static void conn_take(int fd)
{
	struct conn *c = NULL;

	for (unsigned i = 0; i < CONNS_MAX && !c; i++)
		if (!conns[i].id)
			c = &conns[i];
	if (!c) {
		close(fd);
		return;
	}
	c->event = event_new(control.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	if (!c->event || event_priority_set(c->event, 0) || event_add(c->event, NULL)) {
		event_free(c->event);
		close(fd);
		return;
	}
	c->id = ++next_id ? next_id : ++next_id;
	c->fd = fd;
	c->len = c->added = 0;
	c->opened_ns = c->heard_ns = now_ns();
	info.connections++;
	info.connects++;
	info.state = "bfdd's sessions run here";
}

static void on_conn(int status, int fd, void *arg)
{
	(void)arg;
	asked = false;
	if (status)
		refused(status);
	else
		conn_take(fd); /* and the next tick asks for another */
}

/* The keeper is asked and left: however long it takes, sessions run. */
static void conn_ask(uint64_t now)
{
	if (info.connections == CONNS_MAX || keeper_bfd(!info.connections, on_conn, &info))
		next_ns = now + (info.connections ? LOOK_NS : RETRY_NS);
	else
		asked = true;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ns();

	(void)fd, (void)what, (void)arg;
	bfd_sessions_tick();
	if (!asked && now >= next_ns)
		conn_ask(now);
}

int bfd_server_start(void)
{
	static const struct timeval every = { 0, TICK_MS * 1000 };

	timer = event_new(control.base, -1, EV_PERSIST, on_timer, NULL);
	if (!timer || event_priority_set(timer, 1) || event_add(timer, &every))
		return -ENOMEM;
	return 0;
}

/* bfdd moves the sessions to connections that the keeper holds; peers hear nothing from us, so that
 * a restart within their detection time goes unnoticed. */
void bfd_server_stop(void)
{
	bfd_sessions_stop();
	for (unsigned i = 0; i < CONNS_MAX; i++)
		if (conns[i].id)
			conn_close(&conns[i], "lintasd ends");
	keeper_forget(&info);
	asked = false;
	event_free(timer);
	timer = NULL;
}

void bfd_server_info(struct bfd_server_info *ret_info)
{
	*ret_info = info;
}
