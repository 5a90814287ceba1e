/* STAMP on the wire (RFC 8762 4.2, 4.3; SSID and TLVs: RFC 8972 3, 4): offsets in the UDP payload.
 * What a reflector answers begins as what it was asked, so both share the first fields. */
#ifndef LINTAS_STAMP_H
#define LINTAS_STAMP_H

#define STAMP_PORT	862
#define STAMP_LEN	44
#define STAMP_TWAMP_LEN 41 /* a TWAMP Light packet ends with the sender's TTL */
#define STAMP_AUTH_LEN	112
#define STAMP_AUTH_MAC	96 /* the MAC covers what is before it */
#define STAMP_MAC_LEN	16 /* of HMAC-SHA-256's 32 bytes (RFC 8762 4.4) */
#define STAMP_TTL	255
/* RFC 4656 4.1.2: not known to be synchronised to UTC, NTP format, an error of 2^22 / 2^32 s. */
#define STAMP_ERROR 0x1601

/* RFC 8972 4: flags, type, length before each value */
#define STAMP_TLV_LEN	       4
#define STAMP_TLV_UNRECOGNIZED 0x80
#define STAMP_TLV_MALFORMED    0x40
#define STAMP_TLV_PADDING      1
#define STAMP_TLVS_MAX	       16 /* looked at in one packet */

enum stamp_field { /* offsets of one of the two modes */
	STAMP_SEQ = 0,
	STAMP_TIME = 4,
	STAMP_ERR = 12,
	STAMP_SSID = 14,
	STAMP_RX = 16,
	STAMP_S_SEQ = 24,
	STAMP_S_TIME = 28,
	STAMP_S_ERR = 36,
	STAMP_S_TTL = 40,

	STAMP_AUTH_TIME = 16,
	STAMP_AUTH_ERR = 24,
	STAMP_AUTH_SSID = 26,
	STAMP_AUTH_RX = 32,
	STAMP_AUTH_S_SEQ = 48,
	STAMP_AUTH_S_TIME = 64,
	STAMP_AUTH_S_ERR = 72,
	STAMP_AUTH_S_TTL = 80,
};

#endif
