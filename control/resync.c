/* The sockets of a VRF's mirror: notifications as they come, dumps when they are needed. A round
 * dumps the classes that are in doubt, one after the other: links, addresses, next-hop objects,
 * neighbours, IPv4 routes, IPv6 routes, rules. Notifications of the class being dumped wait in a
 * bounded queue and are replayed after it; all others are applied as they come, so a link that goes
 * down during a dump of a million routes is acted on at once. Then what the dump did not show and
 * no notification renewed is swept. The fast path keeps its state throughout. A round follows the
 * first start, an overrun (ENOBUFS: the kernel dropped notifications), messages that cannot be
 * parsed, a dump the kernel calls interrupted, the events Linux does not announce (mirror_link.c,
 * mirror_nexthop.c), and the auditor's wish; wishes are gathered until it is quiet and rounds kept
 * apart. Dumps come by way of a thread (dumper.c), for they may wait for locks. Every callback
 * stays within CONTROL_BUDGET_US. Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mirror_state.h"

#define SLICE_US     1400 /* of CONTROL_BUDGET_US, for messages; the rest is for publishing */
#define NOTIFY_MAX   32	  /* datagrams a system call */
#define NOTIFY_SIZE  16384
#define CHUNK_SIZE   65536
#define QUIET_MS     150  /* wishes come in bursts */
#define LATEST_MS    1000 /* but are not put off longer */
#define APART_MIN_MS 100  /* between rounds: as long as the last one took, within these */
#define APART_MAX_MS 1000
#define FAILURES_MAX 5 /* doublings of that when rounds have to be repeated */

struct chunk { /* notifications that wait, one after the other */
	struct chunk *next;
	size_t used, offset;
	uint8_t bytes[CHUNK_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static uint64_t queued_bytes; /* in all VRFs */

static const struct {
	uint16_t type;
	uint8_t af;
	const char *name;
} classes[MIRROR_CLASSES] = {
	[MIRROR_LINK] = { RTM_GETLINK, AF_UNSPEC, "links" },
	[MIRROR_ADDR] = { RTM_GETADDR, AF_UNSPEC, "addresses" },
	[MIRROR_NEXTHOP] = { RTM_GETNEXTHOP, AF_UNSPEC, "next-hop objects" },
	[MIRROR_NEIGH] = { RTM_GETNEIGH, AF_UNSPEC, "neighbours" },
	[MIRROR_ROUTE4] = { RTM_GETROUTE, AF_INET, "IPv4 routes" },
	[MIRROR_ROUTE6] = { RTM_GETROUTE, AF_INET6, "IPv6 routes" },
	[MIRROR_RULE] = { RTM_GETRULE, AF_UNSPEC, "rules" },
};

static void next_class(struct mirror_vrf *mv);
static void step(struct mirror_vrf *mv, uint64_t end_ns);

/* ---- wishes ---- */

static uint64_t clamp_ns(uint64_t ns, uint64_t low_ms, uint64_t high_ms)
{
	return ns < low_ms * MS ? low_ms * MS : ns > high_ms * MS ? high_ms * MS : ns;
}

static void arm(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;
	uint64_t now = now_ns(), due, apart;
	struct timeval tv;

	if (!s->want || s->phase != RESYNC_IDLE)
		return;
	due = now + QUIET_MS * MS;
	if (due > s->want_ns + LATEST_MS * MS)
		due = s->want_ns + LATEST_MS * MS;
	apart = clamp_ns(s->last_duration_ns, APART_MIN_MS, APART_MAX_MS) << s->failures;
	if (due < s->last_end_ns + apart)
		due = s->last_end_ns + apart;
	due = due > now ? (due - now) / 1000 : 0;
	tv = (struct timeval){ .tv_sec = due / 1000000, .tv_usec = due % 1000000 };
	event_add(s->due_event, &tv);
}

void resync_want(struct mirror_vrf *mv, unsigned wanted, int ifindex)
{
	struct resync *s = &mv->sync;

	if (mv->dying)
		return;
	if (!s->want)
		s->want_ns = now_ns();
	if (wanted & MIRROR_ROUTES) {
		if (!(s->want & MIRROR_ROUTES))
			s->want_ifindex = ifindex;
		else if (s->want_ifindex != ifindex)
			s->want_ifindex = 0;
	}
	s->want |= wanted;
	s->audit = false;
	arm(mv);
}

void resync_audit(struct mirror_vrf *mv)
{
	if (mv->sync.want || mv->sync.phase != RESYNC_IDLE)
		return; /* there is one anyway */
	resync_want(mv, MIRROR_ALL, 0);
	mv->sync.audit = true;
}

/* What mirror_message() could not apply is made good by a dump. */
static void judge(struct mirror_vrf *mv, int rc, bool dump)
{
	if (rc >= 0 || rc == -ENOMSG)
		return;
	if (rc == -EBADMSG)
		mirror_counters.parse_errors++;
	log_event(LOG_LVL_WARN, mv->vrf->name, "netlink message not applied: %s", strerror(-rc));
	if (dump)
		mv->sync.broken = true;
	else
		resync_want(mv, MIRROR_ALL, 0);
}

/* ---- notifications ---- */

static void enqueue(struct mirror_vrf *mv, const struct nlmsghdr *h)
{
	struct resync *s = &mv->sync;
	size_t len = NLMSG_ALIGN(h->nlmsg_len);
	struct chunk *c = s->queue_tail;

	if (s->overflow)
		return;
	if (!c || c->used + len > CHUNK_SIZE) {
		c = queued_bytes + CHUNK_SIZE <= MIRROR_QUEUE_BYTES_MAX && len <= CHUNK_SIZE
			    ? malloc(sizeof(*c))
			    : NULL;
		if (!c) {
			s->overflow = true; /* the class is dumped once more */
			return;
		}
		c->next = NULL;
		c->used = c->offset = 0;
		if (s->queue_tail)
			s->queue_tail->next = c;
		else
			s->queue_head = c;
		s->queue_tail = c;
		queued_bytes += CHUNK_SIZE;
	}
	memcpy(c->bytes + c->used, h, h->nlmsg_len);
	c->used += len;
}

static void queue_pop(struct resync *s)
{
	struct chunk *c = s->queue_head;

	s->queue_head = c->next;
	if (!c->next)
		s->queue_tail = NULL;
	free(c);
	queued_bytes -= CHUNK_SIZE;
}

static void notified(struct mirror_vrf *mv, const uint8_t *buf, size_t len)
{
	struct resync *s = &mv->sync;
	const struct nlmsghdr *h;
	size_t offset = 0;
	int rc, class;

	while ((h = netlink_next(buf, len, &offset, &rc))) {
		mirror_counters.messages++;
		class = mirror_class_of(h);
		if (class < 0)
			continue;
		if ((s->phase == RESYNC_DUMP || s->phase == RESYNC_REPLAY) &&
			class == (int)s->class)
			enqueue(mv, h);
		else
			judge(mv, mirror_message(mv, h, false), false);
		if (class == MIRROR_LINK || class == MIRROR_NEXTHOP || class == MIRROR_NEIGH)
			mirror_urgent(); /* a dead leg does not wait for the routes behind it */
	}
	judge(mv, rc, false);
}

static void overrun(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;

	mirror_counters.overruns++;
	s->overrun = true;
	if (!s->told)
		log_event(LOG_LVL_WARN, mv->vrf->name,
			"netlink overrun: the kernel dropped notifications, everything is dumped "
			"again");
	s->told = true; /* once a round */
	resync_want(mv, MIRROR_ALL, 0);
}

/* One system call's worth. False: the socket is empty. */
static bool notify_some(struct mirror_vrf *mv)
{
	static uint8_t bytes[NOTIFY_MAX][NOTIFY_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct mmsghdr msgs[NOTIFY_MAX];
	struct sockaddr_nl from[NOTIFY_MAX];
	struct iovec iov[NOTIFY_MAX];
	int n;

	memset(msgs, 0, sizeof(msgs));
	memset(from, 0, sizeof(from));
	for (int i = 0; i < NOTIFY_MAX; i++) {
		iov[i] = (struct iovec){ bytes[i], NOTIFY_SIZE };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_name = &from[i];
		msgs[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	n = recvmmsg(mv->sync.notify_fd, msgs, NOTIFY_MAX, MSG_DONTWAIT, NULL);
	if (n < 0 && errno == ENOBUFS) {
		overrun(mv);
		return true;
	}
	if (n <= 0) /* read empty: what comes now is complete again */
		mv->sync.overrun = false;
	for (int i = 0; i < n; i++) {
		if (from[i].nl_pid) /* only the kernel has a say */
			continue;
		if (msgs[i].msg_hdr.msg_flags & MSG_TRUNC)
			judge(mv, -EBADMSG, false);
		else
			notified(mv, bytes[i], msgs[i].msg_len);
	}
	return n > 0;
}

static void notify_cb(evutil_socket_t fd, short what, void *arg)
{
	struct mirror_vrf *mv = arg;
	uint64_t start = now_ns();

	(void)fd, (void)what;
	while (notify_some(mv) && now_ns() < start + SLICE_US * 1000)
		;
	mirror_settle(start + CONTROL_BUDGET_US * 1000);
}

/* ---- a round ---- */

static void round_begin(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;

	s->buf = malloc(DUMP_BYTES_MAX);
	if (!s->buf) { /* later, then */
		s->last_end_ns = now_ns();
		arm(mv);
		return;
	}
	s->todo = s->want;
	s->ifindex = s->want & MIRROR_ROUTES ? s->want_ifindex : 0;
	s->auditing = s->audit;
	s->want = 0;
	s->again = 0;
	s->told = false;
	s->replayed = s->changes = 0;
	s->round_ns = now_ns();
	mirror_counters.resyncs += !s->auditing;
	next_class(mv);
}

static void round_end(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;
	uint64_t now = now_ns();

	free(s->buf);
	s->buf = NULL;
	s->phase = RESYNC_IDLE;
	s->last_end_ns = now;
	s->last_duration_ns = now - s->round_ns;
	s->failures = !s->again ? 0 : s->failures < FAILURES_MAX ? s->failures + 1 : FAILURES_MAX;
	if (s->again)
		resync_want(mv, s->again, s->ifindex);
	if (s->complete == MIRROR_ALL && !s->synced) {
		s->synced = true;
		log_event(LOG_LVL_NOTICE, mv->vrf->name,
			"mirror of the kernel complete: %lu routes in %lu ms",
			(unsigned long)mv->routes, (unsigned long)(s->last_duration_ns / MS));
	} else if (s->auditing && !s->again && !s->replayed && s->changes) {
		mirror_counters.audit_fixed +=
			s->changes; /* nothing was on its way that explains them */
		log_event(LOG_LVL_WARN, mv->vrf->name,
			"audit: %lu objects differed from the kernel, put right",
			(unsigned long)s->changes);
	}
	arm(mv);
}

static void class_done(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;

	if (s->broken || s->overflow)
		s->again |= 1u << s->class;
	else if (!s->ifindex)
		s->complete |= 1u << s->class;
	next_class(mv);
}

static void next_class(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;
	int rc;

	while (s->todo) {
		s->class = __builtin_ctz(s->todo);
		s->todo &= s->todo - 1;
		s->broken = s->overflow = false;
		s->len = s->offset = 0;
		mv->gen[s->class]++;
		mv->rules_seen = 0;
		s->phase = RESYNC_DUMP;
		rc = dumper_ask(s->dump_fd, classes[s->class].type, classes[s->class].af,
			s->ifindex, ++s->seq);
		if (!rc)
			return;
		log_event(LOG_LVL_ERR, mv->vrf->name, "dump of %s not begun: %s",
			classes[s->class].name, strerror(-rc));
		s->again |= 1u << s->class;
	}
	round_end(mv);
}

/* One message of the dump. True: it was the last. */
static bool dump_message(struct mirror_vrf *mv, const struct nlmsghdr *h)
{
	struct resync *s = &mv->sync;
	const int *error = NLMSG_DATA(h); /* of ERROR and DONE: the first field */
	bool has_error = h->nlmsg_len >= NLMSG_LENGTH(sizeof(*error));

	if (h->nlmsg_seq != s->seq)
		return false; /* of a dump that was given up */
	if ((h->nlmsg_flags & NLM_F_DUMP_INTR) && !s->broken) {
		mirror_counters.interrupted++;
		s->broken = true;
	}
	if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
		/* the interface asked for may be gone, the class unknown to this kernel: nothing to
		 * show */
		if (has_error && *error < 0 && *error != -ENODEV && *error != -EOPNOTSUPP) {
			log_event(LOG_LVL_WARN, mv->vrf->name, "dump of %s ended: %s",
				classes[s->class].name, strerror(-*error));
			s->broken = true;
		}
		return true;
	}
	if (mirror_class_of(h) == (int)s->class)
		judge(mv, mirror_message(mv, h, true), true);
	return false;
}

/* What is in the buffer, or the next piece of the dump. False: wait for the socket. */
static bool dump_some(struct mirror_vrf *mv, uint64_t end_ns)
{
	struct resync *s = &mv->sync;
	const struct nlmsghdr *h;
	ssize_t n;
	int rc;

	if (s->offset >= s->len) {
		n = recv(s->dump_fd, s->buf, DUMP_BYTES_MAX, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		if (n <= 0 || n > DUMP_BYTES_MAX) { /* cut short: all of it once more */
			s->broken = true;
			s->phase = RESYNC_REPLAY;
			return true;
		}
		s->len = n;
		s->offset = 0;
	}
	for (unsigned i = 1; (h = netlink_next(s->buf, s->len, &s->offset, &rc)); i++) {
		if (dump_message(mv, h)) {
			s->phase = RESYNC_REPLAY;
			return true;
		}
		if (i % 8 == 0 && now_ns() > end_ns)
			return true;
	}
	if (rc < 0) {
		judge(mv, rc, true);
		s->offset = s->len;
	}
	return true;
}

static void replay_some(struct mirror_vrf *mv, uint64_t end_ns)
{
	struct resync *s = &mv->sync;
	const struct nlmsghdr *h;
	struct chunk *c;
	int rc;

	for (unsigned i = 1; (c = s->queue_head); i++) {
		h = netlink_next(c->bytes, c->used, &c->offset, &rc);
		if (h) {
			judge(mv, mirror_message(mv, h, false), false);
			s->replayed++;
		} else {
			queue_pop(s);
		}
		if (i % 8 == 0 && now_ns() > end_ns)
			return;
	}
	s->cursor.af = 0;
	s->phase = RESYNC_SWEEP;
	if (s->broken) /* what it did not show may be there all the same */
		class_done(mv);
}

static void sweep_some(struct mirror_vrf *mv, uint64_t end_ns)
{
	switch (mv->sync.class) {
	case MIRROR_LINK:
		mirror_link_sweep(mv);
		break;
	case MIRROR_ADDR:
		mirror_addr_sweep(mv);
		break;
	case MIRROR_NEXTHOP:
		mirror_nexthop_sweep(mv);
		break;
	case MIRROR_NEIGH:
		mirror_neigh_sweep(mv);
		break;
	case MIRROR_ROUTE4:
	case MIRROR_ROUTE6:
		if (!mirror_route_sweep(mv, classes[mv->sync.class].af, end_ns))
			return;
		break;
	default:
		mv->rules = mv->rules_seen;
		break;
	}
	class_done(mv);
}

/* As far as the budget goes; comes back by itself unless the socket will call. */
static void step(struct mirror_vrf *mv, uint64_t end_ns)
{
	struct resync *s = &mv->sync;
	struct timeval soon = { 0 };

	while (s->phase != RESYNC_IDLE && now_ns() < end_ns) {
		if (s->phase == RESYNC_REPLAY)
			replay_some(mv, end_ns);
		else if (s->phase == RESYNC_SWEEP)
			sweep_some(mv, end_ns);
		else if (!dump_some(mv, end_ns))
			return;
	}
	if (s->phase != RESYNC_IDLE)
		event_add(s->work_event, &soon);
}

static void work_cb(evutil_socket_t fd, short what, void *arg)
{
	struct mirror_vrf *mv = arg;
	uint64_t start = now_ns();

	(void)fd, (void)what;
	step(mv, start + SLICE_US * 1000);
	mirror_settle(start + CONTROL_BUDGET_US * 1000);
}

static void dump_cb(evutil_socket_t fd, short what, void *arg)
{
	struct mirror_vrf *mv = arg;
	uint8_t bytes[64];

	if (mv->sync.phase == RESYNC_DUMP)
		work_cb(fd, what, arg);
	else if (mv->sync.phase == RESYNC_IDLE) /* nobody waits for it */
		while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC) > 0)
			;
}

static void due_cb(evutil_socket_t fd, short what, void *arg)
{
	struct mirror_vrf *mv = arg;
	struct timeval soon = { .tv_usec = 5000 };

	(void)fd, (void)what;
	if (mv->sync.phase != RESYNC_IDLE)
		return;
	/* while the socket is full the kernel drops and does not say so again */
	if (mv->sync.overrun)
		event_add(mv->sync.due_event, &soon);
	else
		round_begin(mv);
}

/* ---- open and close ---- */

int resync_open(struct mirror_vrf *mv, int notify_fd, int dump_fd)
{
	struct resync *s = &mv->sync;
	int rc;

	s->notify_fd = notify_fd;
	rc = dumper_open(dump_fd, &s->dump_fd);
	if (rc < 0) {
		s->dump_fd = dump_fd; /* closed by resync_close */
		return rc;
	}
	dump_fd = s->dump_fd;
	s->notify_event = event_new(control.base, notify_fd, EV_READ | EV_PERSIST, notify_cb, mv);
	s->dump_event = event_new(control.base, dump_fd, EV_READ | EV_PERSIST, dump_cb, mv);
	s->work_event = event_new(control.base, -1, 0, work_cb, mv);
	s->due_event = event_new(control.base, -1, 0, due_cb, mv);
	if (!s->notify_event || !s->dump_event || !s->work_event || !s->due_event ||
		event_add(s->notify_event, NULL) < 0 || event_add(s->dump_event, NULL) < 0)
		return -ENOMEM;
	s->want = MIRROR_ALL;
	round_begin(mv);
	return 0;
}

void resync_close(struct mirror_vrf *mv)
{
	struct resync *s = &mv->sync;
	struct event **events[] = { &s->notify_event, &s->dump_event, &s->work_event,
		&s->due_event };

	for (unsigned i = 0; i < 4; i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
	while (s->queue_head)
		queue_pop(s);
	free(s->buf);
	s->buf = NULL;
	s->phase = RESYNC_IDLE;
	close(s->notify_fd);
	close(s->dump_fd);
}
