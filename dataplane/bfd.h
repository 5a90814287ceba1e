/* BFD (RFC 5880, 5881): one session's state machine (bfd_session.c), and sessions on workers
 * (bfd.c). Times are in ticks of bfd_hz a second: the TSC's on a worker, microseconds in a test. */
#ifndef LINTAS_BFD_H
#define LINTAS_BFD_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane.h"

#define BFD_LEN	       24      /* of a control packet without authentication */
#define BFD_SLOW_US    1000000 /* RFC 5880 6.8.3: not faster while not up */
#define BFD_PORT       3784
#define BFD_SOURCE_MIN 49152 /* RFC 5881 4 */
#define BFD_NEVER      UINT64_MAX

struct bfd_control { /* what a packet says */
	uint8_t diag, state, mult;
	bool poll, final, cpi, demand;
	uint32_t my_discr, your_discr;
	uint32_t min_tx_us, min_rx_us, min_echo_us;
};

struct bfd_session {
	struct dp_bfd conf;
	uint32_t version; /* of conf; 0: no session */
	uint32_t serial;  /* another: another session */
	uint32_t discr;	  /* ours, on the wire */
	uint8_t state, diag, remote_state, remote_diag, remote_mult;
	bool remote_demand, remote_cpi;
	bool polling; /* a poll sequence is under way */
	bool spoken;  /* it has sent something */
	uint32_t remote_discr, remote_min_tx_us, remote_min_rx_us, remote_echo_us;
	uint32_t tell_tx_us, tell_rx_us; /* as we announce them */
	uint32_t used_tx_us, used_rx_us; /* as we reckon with, until a poll sequence ends */
	uint64_t tx_last, tx_due, rx_last, detect_due; /* ticks; BFD_NEVER */
	uint64_t tx_due_us;			       /* the interval that tx_due was drawn from */
	uint64_t longest_us, silence_us, since;
	uint64_t ups, downs, rx, tx, rx_bytes, tx_bytes, unsent;
	uint64_t rejected[DP_BFD_REJECT_COUNT];
};

enum { /* what the caller is to do */
	BFD_SEND = 1,
	BFD_FINAL = 2,	 /* send, with the final bit */
	BFD_CHANGED = 4, /* its state did */
};

extern uint64_t bfd_hz;

/* enum dp_bfd_reject, or -1 and *ret is filled. len: what UDP carried. */
int bfd_parse(const uint8_t *p, unsigned len, struct bfd_control *ret);
void bfd_build(const struct bfd_session *s, bool final, uint8_t out[BFD_LEN]);
/* conf is new: another session, or the same with other timers. random: any number. */
unsigned bfd_session_set(struct bfd_session *s, const struct dp_bfd *conf, bool fresh, uint64_t now,
	uint64_t random);
/* enum dp_bfd_reject or -1; *ret_act what to do. */
int bfd_session_receive(struct bfd_session *s, const struct bfd_control *c, uint64_t now,
	uint64_t random, unsigned *ret_act);
/* At bfd_session_due() or later. more: packets wait to be read, so silence proves nothing yet. */
unsigned bfd_session_tick(struct bfd_session *s, uint64_t now, uint64_t random, bool more);
uint64_t bfd_session_due(const struct bfd_session *s);
void bfd_session_sent(struct bfd_session *s, uint64_t now, uint64_t random);
void bfd_session_unsent(struct bfd_session *s, uint64_t now); /* could not be: soon again */
uint64_t bfd_session_detect_us(const struct bfd_session *s);
uint64_t bfd_session_tx_us(const struct bfd_session *s);

/* ---- bfd.c ---- */
struct worker;
struct packet;
int bfd_start(unsigned n_workers); /* -ENOMEM */
void bfd_stop(void);		   /* workers have stopped */
/* A UDP packet to port 3784, l4 bytes behind its IP header. True: it was a session's of ours, k->m
 * is consumed. */
bool bfd_receive(struct worker *w, const struct packet *k, unsigned l4);
void bfd_run(struct worker *w); /* what is due, what is new */
extern bool _Atomic bfd_news[DP_WORKERS_MAX];

#endif
