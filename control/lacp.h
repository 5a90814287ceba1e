/* LACP (IEEE 802.1AX-2014 clause 6): what is on the wire (lacp_pdu.c) and the state machines of one
 * LAG (lacp.c). Both are pure: time is an argument, frames leave by a function the owner gives, so
 * that a test can play the partner. lag.c is the owner. */
#ifndef LINTAS_LACP_H
#define LINTAS_LACP_H

#include <stdbool.h>
#include <stdint.h>

#define LACP_MEMBERS_MAX 8
#define LACP_FRAME_LEN	 124 /* Ethernet header and LACPDU, without FCS; a marker is as long */

enum lacp_state { /* the octet of flags, 6.4.2.3 m */
	LACP_ACTIVITY = 1,
	LACP_TIMEOUT = 2, /* short */
	LACP_AGGREGATION = 4,
	LACP_SYNC = 8,
	LACP_COLLECTING = 16,
	LACP_DISTRIBUTING = 32,
	LACP_DEFAULTED = 64,
	LACP_EXPIRED = 128,
};

struct lacp_info { /* of one end of a member */
	uint16_t system_priority;
	uint8_t system[6];
	uint16_t key, port_priority, port;
	uint8_t state; /* enum lacp_state */
};

struct lacp_pdu {
	struct lacp_info actor, partner;
};

/* ---- lacp_pdu.c ---- */
enum lacp_kind { LACP_BAD, LACP_PDU, LACP_MARKER, LACP_MARKER_RESPONSE };
/* A whole Ethernet frame. LACP_PDU: ret_pdu is filled. LACP_BAD: ret_why says what is wrong. */
enum lacp_kind lacp_parse(
	const uint8_t *frame, unsigned len, struct lacp_pdu *ret_pdu, const char **ret_why);
void lacp_build(
	const struct lacp_pdu *pdu, const uint8_t source[6], uint8_t ret_frame[LACP_FRAME_LEN]);
/* The answer to a marker: the same, as a response. */
void lacp_build_response(
	const uint8_t *marker, const uint8_t source[6], uint8_t ret_frame[LACP_FRAME_LEN]);

/* ---- lacp.c ---- */
enum lacp_rx { LACP_RX_DISABLED, LACP_RX_EXPIRED, LACP_RX_DEFAULTED, LACP_RX_CURRENT };
enum lacp_mux { LACP_DETACHED, LACP_WAITING, LACP_ATTACHED, LACP_COLLECT, LACP_DISTRIBUTE };

struct lacp_member {
	bool enabled;	/* carrier */
	uint32_t speed; /* Mb/s; 0 = unknown */
	struct lacp_info actor, partner;
	enum lacp_rx rx;
	enum lacp_mux mux;
	bool selected;
	const char *unfit;	/* why it is not selected; NULL: it is */
	uint64_t current_until; /* ns: what the partner said holds */
	uint64_t wait_until;	/* WAITING */
	uint64_t period, next;	/* of sending; 0 = not */
	bool ntt;		/* need to transmit */
	uint64_t sent[3];	/* the last times, 6.4.16: three in a second */
	uint64_t rx_pdus, tx_pdus, expirations;
};

struct lacp {
	unsigned n;
	struct lacp_member member[LACP_MEMBERS_MAX];
	void (*send)(unsigned member, const struct lacp_pdu *pdu, void *arg);
	void *arg;
};

/* fast: the partner shall speak every second, not every 30. */
void lacp_init(struct lacp *l, unsigned n, const uint8_t system[6], uint16_t key, bool fast);
void lacp_enable(struct lacp *l, unsigned member, bool enabled);
void lacp_receive(struct lacp *l, unsigned member, const struct lacp_pdu *pdu, uint64_t now);
/* Everything that time or the above has brought about; returns when to be called at the latest. */
uint64_t lacp_run(struct lacp *l, uint64_t now);
/* The last word: each member leaves the LAG, so that the partner stops using it now and not when it
 * has heard nothing for long. Nothing else is to be called after it. */
void lacp_leave(struct lacp *l, uint64_t now);
uint32_t lacp_collecting(const struct lacp *l); /* bit = member */
uint32_t lacp_distributing(const struct lacp *l);
const char *lacp_why_not(const struct lacp_member *m); /* it does not distribute; NULL: it does */

#endif
