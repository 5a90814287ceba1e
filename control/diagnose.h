/* What the files diagnose*.c share: one diagnosis, its lanes (a family each) and its layers. See
 * diagnose.c. */
#ifndef LINTAS_DIAGNOSE_H
#define LINTAS_DIAGNOSE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/queue.h>
#include "control.h"
#include "keeper.h"

#define DIAG_WAITERS_MAX 16 /* for one diagnosis */
#define DIAG_MACS_MAX	 4  /* who answers for the peer's address */
#define DIAG_SIZES_MAX	 7  /* probed at once */

enum diag_state { DIAG_SKIPPED, DIAG_OK, DIAG_FAIL, DIAG_UNKNOWN };
enum diag_turn { DIAG_NOBODY, DIAG_OURS, DIAG_PROVIDER, DIAG_COLO };

struct diag_layer {
	uint8_t state, turn;
	char text[240]; /* what was seen */
	char todo[480]; /* FAIL: what to do or to ask for */
};

/* In the order they are built on each other: the first that fails is what to look at. */
enum diag_common { DIAG_LINK, DIAG_LIGHT, DIAG_IKE, DIAG_SA, DIAG_CARRIER, DIAG_TAG, DIAG_COMMON };
enum diag_family {
	DIAG_NEIGH,
	DIAG_MTU,
	DIAG_TCP,
	DIAG_MD5,
	DIAG_BGP,
	DIAG_BFD,
	DIAG_PREFIXES,
	DIAG_PROBE,
	DIAG_FAMILY
};

struct diag_md5 { /* /proc/net/netstat of the VRF */
	bool known;
	uint64_t missing, unexpected, wrong;
};

enum diag_connect { DIAG_PENDING, DIAG_ACCEPTED, DIAG_REFUSED, DIAG_SILENT, DIAG_UNREACHED };
enum { DIAG_SIGNED, DIAG_PLAIN, DIAG_OTHER, DIAG_CONNECTS }; /* with the key, without, port 1 */

struct diag;

struct diag_lane {
	struct diag *d;
	uint8_t af;
	bool present, ended;
	bool on_link; /* the peer lies in a subnet of ours, own */
	struct ip_addr peer, own;
	const struct cfg_bgp_peer *bgp; /* NULL: none of this family */
	struct diag_layer layers[DIAG_FAMILY];

	/* ---- the engine's ---- */
	unsigned step;
	struct event *timer;
	struct diag_io {
		int fd;
		struct event *event;
		struct diag_lane *lane;
	} io[DIAG_CONNECTS];
	unsigned n_io, n_wanted;
	enum keeper_socket kind;
	void (*on_sockets)(struct diag_lane *lane, int rc);
	struct diag_md5 md5; /* in the end */
	void (*on_io)(struct diag_lane *lane, unsigned i);
	void (*on_timer)(struct diag_lane *lane);
	bool asking, answered; /* FRR about this peer */
	json_t *peer_json;     /* what it said; NULL: nothing */
	json_int_t heard;      /* prefixes of the peer before any filter; < 0: not known */

	/* ---- the steps' ---- */
	unsigned round;
	uint8_t macs[DIAG_MACS_MAX][6];
	unsigned n_macs;
	uint16_t echo_id, sizes[DIAG_SIZES_MAX], passes,
		fails; /* IP bytes: known to pass, to fail */
	bool back[DIAG_SIZES_MAX];
	unsigned n_sizes;
	uint8_t connects[DIAG_CONNECTS]; /* enum diag_connect */
};

struct diag {
	char name[CFG_NAME_MAX];
	uint64_t generation,
		start_ns; /* another generation: cfg may be gone, nothing is asked of it */
	const struct cfg_link *cfg;
	const struct link *link;
	struct diag_layer common[DIAG_COMMON];
	struct diag_lane lanes[2];
	uint64_t rx_packets, tx_packets, refused; /* at the start; refused: ARP or ND */
	struct diag_md5 md5;			  /* at the start */
	json_t *bfd;
	bool bfd_asking;
	struct dp_optics optics;
	bool optics_asking, optics_known;
};

/* One diagnosis with who waits for it and what it waits for. */
struct diag_run {
	struct diag d;
	TAILQ_ENTRY(diag_run) entry;
	struct api_request *waiters[DIAG_WAITERS_MAX];
	unsigned n_waiters;
	struct event *deadline, *again; /* again: FRR was busy */
	unsigned outstanding;		/* answers that will come, whatever happens */
	bool finished;
};

static inline struct diag_run *diag_run(struct diag *d)
{
	return (struct diag_run *)(void *)((char *)d - offsetof(struct diag_run, d));
}

/* ---- diagnose.c: for the steps ---- */
void diag_say(struct diag_layer *layer, enum diag_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Makes it a FAIL, after diag_say. */
void diag_turn(struct diag_layer *layer, enum diag_turn turn, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* So many sockets of the lane's VRF, bound to the link, in io[]: the keeper is asked, and then() is
 * called with 0 or -errno when all are there. */
void diag_sockets(struct diag_lane *lane, enum keeper_socket kind, unsigned n,
	void (*then)(struct diag_lane *lane, int rc));
int diag_watch(struct diag_lane *lane, unsigned i, short what); /* on_io */
void diag_timer(struct diag_lane *lane, unsigned ms);		/* on_timer */
void diag_step_done(struct diag_lane *lane);			/* sockets are closed */
/* Where the configuration says it: "lintas.conf:31". */
const char *diag_where(const struct cfg_source *src, char buf[96]);
/* Whom to call and what to name: "aws, circuit dxcon-fg31ab2c, id dxvif-1". */
const char *diag_ids(const struct diag *d, char buf[256]);
const char *diag_provider(const struct diag *d);
socklen_t diag_sockaddr(const struct diag_lane *lane, const struct ip_addr *addr, uint16_t port,
	struct sockaddr_storage *ret_addr);

/* Has the configuration changed under it? Then it is over, and true. */
bool diag_stale(struct diag_run *run);
void diag_settle(struct diag_run *run);	 /* an answer came: is it the last? */
void diag_release(struct diag_run *run); /* finished, and an answer came */

/* ---- diagnose_ask.c ---- */
void diag_ask_frr(struct diag_run *run); /* about both peers */
void diag_ask_bfd(struct diag_run *run);
void diag_ask_optics(struct diag_run *run);
void diag_on_again(evutil_socket_t fd, short what, void *run);
void diag_received_start(struct diag_lane *lane); /* a step */
/* The VRF's MD5 counters, into the diagnosis (at its start) or the lane (then() follows). */
void diag_ask_md5(struct diag_run *run);
void diag_ask_md5_end(struct diag_lane *lane, void (*then)(struct diag_lane *lane, int rc));

/* ---- diagnose_link.c: what both families stand on ---- */
void diag_link(struct diag *d);	 /* shut, carrier */
void diag_light(struct diag *d); /* once optics are known */
void diag_tags(struct diag *d);	 /* at the end: what came in meanwhile */
void diag_ipsec(struct diag *d); /* diagnose_ipsec.c: IKE and the keys, before carrier */
struct diag_heard {
	uint64_t received, sent; /* while neighbours were asked */
	uint64_t ever;		 /* received since it began */
	int64_t age_ms;		 /* since the last frame; < 0: not known */
	bool asked;		 /* a peer of this link was asked for, and nobody answered */
};
void diag_verdict_tag(struct diag_layer *layer, const struct diag_heard *heard, const char *tags,
	const struct dp_stray *strays, unsigned n); /* pure */

/* ---- the steps of a lane ---- */
void diag_neigh_start(struct diag_lane *lane);				    /* diagnose_neigh.c */
void diag_mtu_start(struct diag_lane *lane);				    /* diagnose_mtu.c */
void diag_tcp_start(struct diag_lane *lane);				    /* diagnose_tcp.c */
void diag_md5_parse(const char *text, struct diag_md5 *ret_md5);	    /* pure */
void diag_verdict_tcp(struct diag_lane *lane, const struct diag_md5 *seen); /* pure */
void diag_bgp(struct diag_lane *lane); /* diagnose_bgp.c: bgp, bfd, prefixes; pure */
bool diag_bgp_established(const struct diag_lane *lane);
bool diag_bgp_nothing(const struct diag_lane *lane); /* established, and no prefix accepted */
json_int_t diag_bgp_heard(const json_t *received);   /* of FRR's answer */
void diag_probe(struct diag_lane *lane);	     /* diagnose_probe.c */
struct probes_info;
struct estimate_report;
void diag_verdict_probe(struct diag_lane *lane, const struct probes_info *info,
	const struct estimate_report *report, const struct dp_probe_stats *stats); /* pure */

#endif
