/* What the keeper's files share; nobody else includes it. */
#ifndef LINTAS_KEEPER_OWN_H
#define LINTAS_KEEPER_OWN_H

#include <poll.h>
#include "keeper.h"

#define KEEPER_NETNS_DIR  "/run/netns"
#define KEEPER_TAPS_MAX	  1024
#define KEEPER_RUNS_MAX	  4
#define KEEPER_RUN_NS	  (120ull * 1000000000ull) /* a fresh FRR once took 72 s */
#define KEEPER_FILE_MAX	  (64u << 20)
#define KEEPER_MTU_MIN	  68
#define KEEPER_MTU_MAX	  65520
#define KEEPER_RCVBUF_MAX (256u << 20)

/* ---- keeper.c ---- */
uint64_t keeper_now_ns(void);
void keeper_say(struct keeper_answer *answer, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* To the client, if there is one; fd -1 = none, never closed here. */
void keeper_answer_send(const struct keeper_answer *answer, int fd);
bool keeper_is_tun(const struct keeper_request *request); /* KEEPER_TAP: of packets, not frames */

/* ---- keeper_ns.c ---- */
/* folder: beside the socket; our namespaces are remembered there. 0 or -errno. */
int keeper_ns_start(const char *folder);
/* Each fills the answer; int: a descriptor to pass along, or -1. */
void keeper_ns_vrf(const struct keeper_request *request, struct keeper_answer *answer);
void keeper_ns_vrf_del(const struct keeper_request *request, struct keeper_answer *answer);
int keeper_ns_tap(const struct keeper_request *request, struct keeper_answer *answer, int passed);
void keeper_ns_tap_del(const struct keeper_request *request, struct keeper_answer *answer);
void keeper_ns_list(const struct keeper_request *request, struct keeper_answer *answer);
void keeper_ns_stop(void); /* every TAP closed, every namespace of ours removed */
/* Something done inside a namespace, in a thread that enters it. */
struct ns_call {
	int ns; /* -1: make a new one and mount it at path */
	const char *path;
	int (*run)(struct ns_call *call);
	struct keeper_answer *answer;
	const struct keeper_request *request;
	int fd; /* in or out */
	int result;
};
/* run() inside request->vrf; the descriptor it left in call->fd, or -1 and the answer says why. */
int keeper_ns_call(const struct keeper_request *request, struct keeper_answer *answer,
	int (*run)(struct ns_call *call));
bool keeper_ns_holds(const char *vrf, const char *name); /* a TAP of that name there? */

/* ---- keeper_socket.c: a descriptor to pass along and close, or -1 ---- */
int keeper_socket_netlink(const struct keeper_request *request, struct keeper_answer *answer);
int keeper_socket_bfd(const struct keeper_request *request, struct keeper_answer *answer,
	const char *frr_sockets);
int keeper_socket_open(const struct keeper_request *request, struct keeper_answer *answer);

/* ---- keeper_run.c ---- */
/* Starts the tool; on success the answer follows from keeper_run_poll. */
int keeper_run_start(const struct keeper_request *request, struct keeper_answer *answer, int file,
	const char *frr_sockets, const char *folder);
/* keeper_swan.c: the command line of KEEPER_SWAN, and what the child is allowed. */
int keeper_swan_argv(const struct keeper_request *request, const char *folder, char *argv[12],
	struct keeper_answer *answer);
int keeper_swan_confine(void);
unsigned keeper_run_fds(struct pollfd *fds); /* up to KEEPER_RUNS_MAX */
int keeper_run_timeout_ms(void);	     /* until the next tool is overdue; -1 = none runs */
void keeper_run_poll(void);		     /* answers for those that ended, kills those overdue */
void keeper_run_forget(void);		     /* the client has gone: nobody waits for the answers */
void keeper_run_stop(void);

#endif
