/* The control thread: one libevent loop, no callback longer than 2 ms. This header holds what its
 * files share: the daemon's root object, the inventory (the run-time side of VRFs and links) and
 * small services. */
#ifndef LINTAS_CONTROL_H
#define LINTAS_CONTROL_H

#include <event2/event.h>
#include <stdint.h>
#include "config/config.h"
#include "dataplane/dataplane.h"

/* Our protocol number: every route that we install into a kernel bears it. */
#define LINTAS_RTPROT	  66
#define CONTROL_BUDGET_US 2000
#define EXIT_CONFIG	  78 /* lintasd cannot start */

/* ---- inventory.c: VRFs and links as they exist now ---- */
/* Indexes are what dataplane.h calls vrf and link. */
struct vrf {
	bool used;
	uint16_t id;
	char name[CFG_NAME_MAX];
	bool adopted;	/* the namespace was there before us: never delete it */
	int nl_request; /* netlink socket inside the namespace for our own requests (kernel.c) */
};

struct link {
	bool used;
	uint16_t id; /* 1.. */
	char name[CFG_NAME_MAX];
	struct vrf *vrf;
	const struct cfg_link *cfg; /* into the running config */
	int port;		    /* number, or -1 (tunnel) */
	int tap;
	int ifindex; /* in its namespace; 0 until the mirror has seen it */
	uint8_t mac[6];
	uint16_t mtu;
	bool carrier; /* the port's; a tunnel's = its underlay's */
	bool up;      /* not shut */
};

struct vrf *vrf_by_id(uint16_t id);
struct vrf *vrf_by_name(const char *name);
struct link *link_by_id(uint16_t id);
struct link *link_by_name(const char *name);
struct link *link_by_ifindex(const struct vrf *vrf, int ifindex); /* NULL: not one of ours */
/* Next used one after `after` (NULL = first), in name order; NULL at the end. */
struct vrf *vrf_next(const struct vrf *after);
struct link *link_next(const struct link *after);
struct vrf *vrf_alloc(const char *name);
void vrf_release(struct vrf *vrf);
struct link *link_alloc(const char *name);
void link_release(struct link *link);

/* ---- the daemon ---- */
struct control {
	struct event_base *base;
	const char *config_path;
	const char *state_folder;
	struct config *running; /* the applied generation; never NULL after start */
	uint64_t generation;
	uint64_t start_ns;			       /* CLOCK_MONOTONIC */
	uint64_t reloads, reload_failures, reload_ops; /* ops: operations applied since start */
	uint64_t stalls, longest_ns;		       /* callbacks over CONTROL_BUDGET_US */
	uint64_t callback_ns;	       /* when the running one began; 0: none runs */
	struct cfg_errors last_errors; /* of the last reload that was refused */
	bool needs_restart;	       /* staged changes wait for a restart */
	char hostname[64];
};
extern struct control control;

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* Every callback of the control thread is timed, whoever's it is: control.stalls,
 * control.longest_ns. */
struct event *control_event_new(struct event_base *base, evutil_socket_t fd, short what,
	event_callback_fn callback, void *arg);
void control_event_free(struct event *event); /* NULL is fine */
#ifndef CONTROL_EVENT_UNTIMED
#define event_new  control_event_new
#define event_free control_event_free
#endif

/* What is pure and long: work(arg) in a thread of its own, then done(arg) from the event loop. work
 * touches nothing but arg. 0 or -errno, and then neither is called. */
int control_offload(void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* ---- log.c: journal or stderr, and the ring that `lintasctl events` shows ---- */
enum log_level { LOG_LVL_ERR, LOG_LVL_WARN, LOG_LVL_NOTICE, LOG_LVL_INFO, LOG_LVL_DEBUG };
void log_init(bool debug);
/* One line. subject: the link, port, VRF or "lintasd" it is about. Rate-limited by call site. */
#define log_event(level, subject, ...)                          \
	do {                                                    \
		static struct log_site site_;                   \
		log_write(&site_, level, subject, __VA_ARGS__); \
	} while (0)
struct log_site {
	uint64_t window_ns;
	unsigned in_window, suppressed;
};
void log_write(struct log_site *site, enum log_level level, const char *subject, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

struct log_entry {
	uint64_t seq;
	int64_t wall_ns;
	enum log_level level;
	char subject[CFG_NAME_MAX];
	char text[232];
};
/* Oldest first from seq on; returns how many were copied and sets *ret_next. Never blocks. */
unsigned log_read(uint64_t seq, struct log_entry *entries, unsigned max, uint64_t *ret_next);
/* cb(entry, arg) for each new entry: `lintasctl monitor`. */
void log_subscribe(void (*cb)(const struct log_entry *, void *arg), void *arg);

/* ---- reload.c ---- */
/* SIGHUP and `lintasctl reload`, without holding up the loop: files are read and checked in a
 * thread, the difference is applied in steps of at most CONTROL_BUDGET_US. done (may be NULL)
 * follows from the loop with the number of operations; rc: 0; -EINVAL with control.last_errors set
 * and nothing changed; -ECANCELED at the daemon's end. Requests that come meanwhile share one
 * further reload. */
int control_reload_async(void (*done)(int rc, unsigned ops, void *arg), void *arg);

/* ---- apply.c ---- */
/* Rebuild the links of the fast path from the inventory and dp_publish them: a tunnel's underlay
 * changed. */
int control_publish(void);

/* ---- adopt.c: what a former lintasd left and the configuration no longer has ---- */
int adopt_vrf(struct vrf *vrf, const struct config *config);
void adopt_taps(const struct config *config);

#endif
