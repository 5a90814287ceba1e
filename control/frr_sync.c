/* FRR brought to control.running.
 *
 * For each daemon: render -> `show running-config` -> frr_diff (in a helper thread: pure, and long
 * with a thousand sessions) -> `vtysh -f` with the lines that differ -> show again, until nothing
 * differs. The keeper runs the tools; files travel as descriptors of anonymous memory, so that no
 * password reaches a disk, an argument or a log, and what held one is wiped. A session whose lines
 * did not change is not touched.
 *
 * Requests coalesce; failures are retried with growing pauses; when FRR's daemons come back (their
 * sockets are new) they are given everything again. Once a minute FRR is compared without being
 * changed: somebody at vtysh is reported, not fought, until the next change of
 * the configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "frr.h"
#include "frr_own.h"
#include "keeper.h"

static const char *const daemons[FRR_DAEMONS] = { "zebra", "bfdd", "bgpd" };

#define WATCH_MS     500
#define DRIFT_NS     (60ull * 1000000000ull)
#define RETRY_MS     500
#define RETRY_MAX_MS 15000
#define ROUNDS_MAX   4 /* of comparing and applying, before what is left is called refused */

_Static_assert((int)FRR_ZEBRA == KEEPER_SHOW_ZEBRA && (int)FRR_BFDD == KEEPER_SHOW_BFDD &&
		       (int)FRR_BGPD == KEEPER_SHOW_BGPD,
	"the keeper's numbers for the daemons");

static struct {
	bool busy;	/* a tool or the helper thread is at it */
	bool wanted;	/* asked for, or asked for again */
	bool look_only; /* this time FRR is compared, not changed */
	enum frr_daemon daemon;
	unsigned rounds, retry_ms; /* rounds: of this daemon */
	bool differs;		   /* some daemon did, while only looked at */
	uint64_t retry_ns, look_ns;
	struct timespec born[FRR_DAEMONS]; /* of the daemons' sockets */
	struct event *watch;
	struct frr_status status;
	struct frr_text rendered;
	bool adopted; /* bgpd's lists of a former lintasd were looked at */
	struct frr_guard *found;
	unsigned n_found;
	bool comparing; /* then `rendered` and `running` are the helper thread's */
	struct frr_text running;
	int commands; /* descriptor */
	unsigned lines;
	char first[160];
	int rc;
} sync_state = { .commands = -1 };

/* ---- descriptors ---- */
/* A stream into anonymous memory whose buffer is ours to wipe; secret_close gives
 * the descriptor. */
struct secret {
	FILE *out;
	int fd;
	char buffer[8192];
};

static int secret_open(struct secret *s)
{
	int fd = memfd_create("lintas-frr", MFD_CLOEXEC);

	s->fd = fd < 0 ? -1 : dup(fd);
	s->out = s->fd < 0 ? NULL : fdopen(fd, "w");
	if (s->out) {
		setvbuf(s->out, s->buffer, _IOFBF, sizeof(s->buffer));
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (s->fd >= 0)
		close(s->fd);
	return -EMFILE;
}

static int secret_close(struct secret *s)
{
	int rc = fclose(s->out) ? -EIO : 0;

	explicit_bzero(s->buffer, sizeof(s->buffer));
	if (!rc)
		return s->fd;
	close(s->fd);
	return rc;
}

static int render(struct frr_text *ret_text)
{
	struct frr_orders orders = { .conduct = frr_conduct_now(control.running) };
	struct secret s;
	int fd, rc = secret_open(&s);

	if (rc)
		return rc;
	frr_guard_orders(&orders);
	rc = frr_render(control.running, &orders, s.out);
	fd = secret_close(&s);
	if (fd < 0)
		return fd;
	if (!rc)
		rc = frr_text_read(fd, ret_text);
	close(fd);
	return rc;
}

/* ---- a round: show, compare, apply, for one daemon after the other ---- */
static void show(void);

static void step_end(void)
{
	frr_text_wipe(&sync_state.running);
	if (sync_state.commands >= 0)
		close(sync_state.commands);
	sync_state.commands = -1;
}

static void round_end(void)
{
	step_end();
	frr_text_wipe(&sync_state.rendered);
	sync_state.busy = false;
	sync_state.look_ns = now_ns() + DRIFT_NS;
}

static void round_failed(const char *what, int rc)
{
	struct frr_status *status = &sync_state.status;
	char text[sizeof(status->last_error)];

	snprintf(text, sizeof(text), "%s: %s%s",
		sync_state.rendered.bytes ? daemons[sync_state.daemon] : "frr.conf", what,
		rc < 0 ? strerror(-rc) : "");
	if (strcmp(text, status->last_error))
		log_event(LOG_LVL_WARN, "frr", "%s; trying again", text);
	memcpy(status->last_error, text, sizeof(text));
	status->failures++;
	status->in_sync = false;
	round_end();
	sync_state.wanted |= !sync_state.look_only; /* a look that failed is a look again */
	sync_state.retry_ns = now_ns() + sync_state.retry_ms * 1000000ull;
	if ((sync_state.retry_ms *= 2) > RETRY_MAX_MS)
		sync_state.retry_ms = RETRY_MAX_MS;
}

static void daemon_next(void)
{
	sync_state.rounds = 0;
	step_end();
	if (++sync_state.daemon < FRR_DAEMONS) {
		show();
		return;
	}
	if (!sync_state.differs) {
		if (!sync_state.status.in_sync)
			log_event(LOG_LVL_INFO, "frr", "in sync with the configuration");
		sync_state.status.in_sync = true;
		sync_state.status.last_error[0] = '\0';
		sync_state.status.syncs++;
		sync_state.retry_ms = RETRY_MS;
	}
	round_end();
}

static void drift_found(void)
{
	struct frr_status *status = &sync_state.status;

	log_event(LOG_LVL_WARN, "frr", "%s: %u lines differ from the configuration, the first: %s",
		daemons[sync_state.daemon], sync_state.lines, sync_state.first);
	snprintf(status->last_error, sizeof(status->last_error),
		"%s: %u lines were changed by somebody else, the first: %.120s",
		daemons[sync_state.daemon], sync_state.lines, sync_state.first);
	status->in_sync = false;
	sync_state.differs = true;
	daemon_next();
}

/* FRR takes "pa" for "password": does a word of the line begin it? */
static bool may_be_secret(const char *line)
{
	static const char word[] = "password";
	size_t n;

	for (; *line; line += n) {
		line += strspn(line, " \t");
		n = strcspn(line, " \t");
		if (n >= 2 && !strncmp(line, word, n < sizeof(word) - 1 ? n : sizeof(word) - 1))
			return true;
	}
	return false;
}

/* vtysh's complaints are for the log, without what may hold a secret. */
static void complaints_log(int fd)
{
	struct frr_text text;
	char *at, *line;

	if (frr_text_read(fd, &text))
		return;
	for (at = text.bytes; (line = strsep(&at, "\r\n"));)
		if (*line && !strstr(line, "password") && !may_be_secret(line) &&
			!strstr(line, "already configured with NETNS") &&
			!strstr(line, "vtysh_pam:"))
			log_event(LOG_LVL_WARN, "frr", "vtysh: %.180s", line);
	frr_text_wipe(&text);
}

static void on_applied(int status, int output, void *arg)
{
	(void)arg;
	complaints_log(output);
	if (status < 0) {
		round_failed("applying: ", status);
		return;
	}
	/* Whether vtysh is content or not: what the daemon shows now decides. */
	step_end();
	show();
}

static void compare(void *arg)
{
	struct secret s;

	(void)arg;
	if (sync_state.daemon == FRR_BGPD && !sync_state.adopted)
		frr_guard_found(sync_state.running.bytes, &sync_state.found, &sync_state.n_found);
	sync_state.rc = secret_open(&s);
	if (sync_state.rc)
		return;
	sync_state.rc =
		frr_diff(sync_state.daemon, sync_state.running.bytes, sync_state.rendered.bytes,
			s.out, &sync_state.lines, sync_state.first, sizeof(sync_state.first));
	sync_state.commands = secret_close(&s);
	if (!sync_state.rc && sync_state.commands < 0)
		sync_state.rc = sync_state.commands;
}

/* Before anything is taken from bgpd: what a former lintasd had it tell. True: this round is over,
 * because something else shall be rendered. */
static bool guards_adopt(void)
{
	bool any;

	if (sync_state.daemon != FRR_BGPD || sync_state.adopted)
		return false;
	sync_state.adopted = true;
	any = frr_guard_adopt(sync_state.found, sync_state.n_found);
	frr_guard_found_free(sync_state.found, sync_state.n_found);
	sync_state.found = NULL;
	sync_state.n_found = 0;
	if (!any)
		return false;
	round_end();
	frr_sync();
	return true;
}

static void on_compared(void *arg)
{
	char what[180];
	int rc = sync_state.rc;

	(void)arg;
	sync_state.comparing = false;
	if (guards_adopt())
		return;
	if (rc) {
		round_failed("comparing: ", rc);
	} else if (sync_state.lines == 0) {
		daemon_next();
	} else if (sync_state.look_only) {
		drift_found();
	} else if (sync_state.rounds++ == ROUNDS_MAX) {
		snprintf(what, sizeof(what), "does not take %u lines, the first: %.120s",
			sync_state.lines, sync_state.first);
		round_failed(what, 0);
	} else {
		log_event(LOG_LVL_INFO, "frr", "%s: %u lines differ", daemons[sync_state.daemon],
			sync_state.lines);
		sync_state.status.lines_changed += sync_state.lines;
		rc = keeper_run(
			KEEPER_FRR_APPLY, sync_state.daemon, sync_state.commands, on_applied, NULL);
		if (rc)
			round_failed("applying: ", rc);
	}
}

static bool bfd_is_used(void)
{
	return strstr(sync_state.rendered.bytes, "bfd\n");
}

/* zebra -n adopts each namespace by itself, some time after it was made; a `netns` line that is
 * given earlier makes a VRF without a namespace, for good. */
static bool namespaces_adopted(void)
{
	const char *at = sync_state.rendered.bytes;
	char line[64];

	while ((at = strstr(at, "\n netns "))) {
		snprintf(line, sizeof(line), "%.*s", (int)(strcspn(at + 1, "\n") + 2), at);
		if (!strstr(sync_state.running.bytes, line))
			return false;
		at++;
	}
	return true;
}

static void on_shown(int status, int output, void *arg)
{
	int rc;

	(void)arg;
	if (status && sync_state.daemon == FRR_BFDD && !bfd_is_used()) {
		daemon_next(); /* not there, and not needed */
		return;
	}
	if (status) {
		round_failed(status < 0 ? "show running-config: " : "does not answer", status);
		return;
	}
	rc = frr_text_read(output, &sync_state.running);
	if (!rc && sync_state.daemon == FRR_ZEBRA && !namespaces_adopted()) {
		round_failed("has not adopted every namespace yet (does it run with -n?)", 0);
		return;
	}
	if (!rc) {
		sync_state.comparing = true;
		rc = control_offload(compare, on_compared, NULL);
		sync_state.comparing = !rc;
	}
	if (rc)
		round_failed("show running-config: ", rc);
}

static void show(void)
{
	int rc = keeper_run(KEEPER_FRR_SHOW, sync_state.daemon, -1, on_shown, NULL);

	if (rc)
		round_failed("asking the keeper: ", rc);
}

static void begin(bool look_only)
{
	int rc;

	sync_state.busy = true;
	sync_state.look_only = look_only;
	sync_state.differs = false;
	sync_state.daemon = 0;
	sync_state.rounds = 0;
	if (!look_only)
		sync_state.wanted = false;
	rc = render(&sync_state.rendered);
	if (rc)
		round_failed("rendering: ", rc);
	else
		show();
}

/* ---- when ---- */
/* The daemons' sockets are made anew when they start: then they know nothing of us. */
static bool daemons_new(void)
{
	bool fresh = false;
	struct stat st;
	char path[256];

	for (unsigned i = 0; i < FRR_DAEMONS; i++) {
		snprintf(path, sizeof(path), "%s/%s.vty",
			control.running->defaults.frr_sockets
				? control.running->defaults.frr_sockets
				: "/run/frr",
			daemons[i]);
		if (stat(path, &st))
			memset(&st.st_ctim, 0, sizeof(st.st_ctim));
		if (memcmp(&st.st_ctim, &sync_state.born[i], sizeof(st.st_ctim))) {
			sync_state.born[i] = st.st_ctim;
			fresh = true;
		}
	}
	return fresh;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ns();

	(void)fd, (void)what, (void)arg;
	if (control.running->routing != CFG_ROUTING_FRR) {
		sync_state.wanted = false;
		return;
	}
	if (daemons_new()) {
		sync_state.status.in_sync = false;
		sync_state.wanted = true;
		sync_state.retry_ns = 0;
		sync_state.retry_ms = RETRY_MS;
	}
	if (sync_state.busy)
		return;
	sync_state.wanted |= frr_conduct_changed(control.running);
	if (sync_state.wanted && now >= sync_state.retry_ns)
		begin(false);
	else if (!sync_state.wanted && sync_state.look_ns && now >= sync_state.look_ns)
		begin(true);
}

void frr_sync(void)
{
	const struct timeval every = { .tv_usec = WATCH_MS * 1000 };

	if (!sync_state.watch) {
		sync_state.watch = event_new(control.base, -1, EV_PERSIST, on_watch, NULL);
		if (!sync_state.watch || event_add(sync_state.watch, &every)) {
			log_event(LOG_LVL_ERR, "frr", "no timer: FRR is not managed");
			return;
		}
		sync_state.retry_ms = RETRY_MS;
		daemons_new();
	}
	sync_state.wanted = true;
	sync_state.retry_ns = 0;
	if (!sync_state.busy)
		event_active(sync_state.watch, EV_TIMEOUT, 0); /* not from inside the caller */
}

void frr_nudge(void)
{
	if (sync_state.watch)
		event_active(sync_state.watch, EV_TIMEOUT, 0);
}

bool frr_settled(void)
{
	return sync_state.status.in_sync && !sync_state.busy && !sync_state.wanted;
}

void frr_stop(void)
{
	event_free(sync_state.watch);
	sync_state.watch = NULL;
	if (sync_state.comparing)
		return; /* the thread reads them still; they go with the process */
	frr_text_wipe(&sync_state.running);
	frr_text_wipe(&sync_state.rendered);
}

void frr_status(struct frr_status *ret_status)
{
	*ret_status = sync_state.status;
}
