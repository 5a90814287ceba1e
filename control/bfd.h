/* BFD: FRR's bfdd hands its sessions to us (bfd_server.c), the fast path runs them
 * (dataplane/bfd.c), bfd_sessions.c keeps both in step and tells health.c and people. */
#ifndef LINTAS_CONTROL_BFD_H
#define LINTAS_CONTROL_BFD_H

#include "control.h"

/* ---- bfd_message.c: bfdd's data-plane protocol, version 1, as FRR 8.4 speaks it. Pure. ---- */
#define BFD_MESSAGE_MAX	 256 /* bytes; the longest that is defined has 140 */
#define BFD_MESSAGE_HEAD 8

enum bfd_type {
	BFD_ECHO_REQUEST,
	BFD_ECHO_REPLY,
	BFD_ADD,
	BFD_DELETE,
	BFD_STATE,
	BFD_COUNTERS_REQUEST,
	BFD_COUNTERS,
};

struct bfd_wanted {   /* BFD_ADD, BFD_DELETE */
	uint32_t lid; /* bfdd's number of the session: our discriminator */
	struct ip_addr local, peer;
	uint32_t min_tx_us, min_rx_us;
	uint8_t multiplier;
	bool multihop, passive, shut, echo, demand;
	char ifname[CFG_NAME_MAX];
};

struct bfd_message {
	uint16_t type, id, length; /* length: of the whole message, to be skipped */
	struct bfd_wanted wanted;
	uint32_t lid;	  /* BFD_COUNTERS_REQUEST */
	uint64_t dp_time; /* BFD_ECHO_REQUEST */
};

/* 0; -EAGAIN: the message is not all there; -EPROTO: no message, the connection is of no more use;
 * -EINVAL: to be skipped (length is set): *ret_why says what is wrong. */
int bfd_message_parse(
	const uint8_t *bytes, size_t len, struct bfd_message *ret, const char **ret_why);
/* Each returns the bytes written, at most BFD_MESSAGE_MAX. */
size_t bfd_message_state(uint8_t *bytes, uint32_t lid, const struct dp_bfd_info *info);
size_t bfd_message_counters(
	uint8_t *bytes, uint16_t id, uint32_t lid, const struct dp_bfd_info *info);
size_t bfd_message_echo(uint8_t *bytes, uint16_t id, uint64_t dp_time, uint64_t our_time);

/* ---- bfd_server.c ---- */
int bfd_server_start(void);
void bfd_server_stop(void);
struct bfd_server_info {
	unsigned connections;
	uint64_t connects, messages, errors;
	const char *state; /* for people */
};
void bfd_server_info(struct bfd_server_info *ret_info);

/* ---- bfd_sessions.c ---- */
struct bfd_peer {
	bool used;
	uint16_t index;	    /* dataplane.h's */
	uint32_t lid;	    /* of the bfdd that is there now */
	unsigned conn;	    /* its connection; 0 = none: bfdd is away */
	uint64_t orphan_ns; /* since when */
	struct bfd_wanted wanted;
	struct link *link; /* NULL: not ours (yet) */
	struct hop *hop;
	bool set;	   /* in the fast path */
	bool said;	   /* bfdd knows a state from us */
	bool was_up, dead; /* dead: health.c thinks so because of us */
	uint64_t added_ns, downs, ups;
	uint8_t state;
	char why[48]; /* when it is not served */
};

void bfd_sessions_add(const struct bfd_wanted *wanted, unsigned conn);
void bfd_sessions_delete(uint32_t lid, unsigned conn);
void bfd_sessions_lost(unsigned conn); /* the connection has gone */
bool bfd_sessions_info(uint32_t lid, unsigned conn, struct dp_bfd_info *ret_info);
void bfd_sessions_event(unsigned session); /* DP_EV_BFD */
void bfd_sessions_tick(void);
void bfd_sessions_link_gone(struct link *link);
void bfd_sessions_stop(void);
unsigned bfd_sessions_count(void);
/* In the order of link and family; NULL past the last. */
const struct bfd_peer *bfd_sessions_next(const struct bfd_peer *after);
/* Do we run the session of this peer? Then its changes are told here, and at once. */
bool bfd_sessions_has(const struct link *link, const struct ip_addr *peer);
extern const char *const bfd_state_names[4];
const char *bfd_diag_text(uint8_t diag);
/* bfd_server.c: to the bfdd behind a connection. */
void bfd_server_send(unsigned conn, const uint8_t *bytes, size_t len);

#endif
