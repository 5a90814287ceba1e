/* LACPDUs and markers on the wire: IEEE 802.1AX-2014 6.4.2 and 6.5.3, in Ethernet frames of 124
 * octets.
 *
 * A received frame is trusted in nothing: its length covers every octet that is read, address, type
 * and subtype are those of the protocol, each field stands where its length octet says, and systems
 * and ports are such as may exist. The standard forbids to check version, TLV types and reserved
 * octets (6.4.12): later versions keep the first three TLVs and append others. Control thread, pure
 * functions. */
#include <string.h>
#include "lacp.h"

#define ETH_LEN	       14
#define SUBTYPE_LACP   1
#define SUBTYPE_MARKER 2
#define VERSION	       1

enum { /* offsets from the subtype, 6.4.2.3 and 6.5.3.3 */
	AT_VERSION = 1,
	AT_ACTOR = 2,
	AT_PARTNER = 22,
	AT_COLLECTOR = 42,
	AT_TERMINATOR = 58,
	INFO_LEN = 20,
	COLLECTOR_LEN = 16,
	AT_MARKER = 2,
	MARKER_LEN = 16,
	MARKER = 1,
	MARKER_RESPONSE = 2,
};

static const uint8_t slow_address[6] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x02 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static void get_info(const uint8_t *tlv, struct lacp_info *ret_info)
{
	ret_info->system_priority = get16(tlv + 2);
	memcpy(ret_info->system, tlv + 4, 6);
	ret_info->key = get16(tlv + 10);
	ret_info->port_priority = get16(tlv + 12);
	ret_info->port = get16(tlv + 14);
	ret_info->state = tlv[16];
}

static void put_info(uint8_t *tlv, uint8_t type, const struct lacp_info *info)
{
	tlv[0] = type;
	tlv[1] = INFO_LEN;
	put16(tlv + 2, info->system_priority);
	memcpy(tlv + 4, info->system, 6);
	put16(tlv + 10, info->key);
	put16(tlv + 12, info->port_priority);
	put16(tlv + 14, info->port);
	tlv[16] = info->state;
}

static bool is_zero(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return !memcmp(mac, zero, 6);
}

static const char *pdu_wrong(const uint8_t *p, const struct lacp_pdu *pdu)
{
	if (p[AT_ACTOR + 1] != INFO_LEN)
		return "the actor's length is not 20";
	if (p[AT_PARTNER + 1] != INFO_LEN)
		return "the partner's length is not 20";
	if (p[AT_COLLECTOR + 1] != COLLECTOR_LEN)
		return "the collector's length is not 16";
	if (p[AT_VERSION] <= VERSION && p[AT_TERMINATOR + 1])
		return "the terminator has a length";
	if (is_zero(pdu->actor.system) || pdu->actor.system[0] & 1)
		return "the actor's system is no station's address";
	if (pdu->partner.system[0] & 1)
		return "the partner's system is no station's address";
	if (!pdu->actor.port)
		return "the actor's port is 0";
	return NULL;
}

static enum lacp_kind marker_kind(const uint8_t *p, const char **ret_why)
{
	if (p[AT_MARKER + 1] != MARKER_LEN)
		*ret_why = "the marker's length is not 16";
	else if (p[AT_MARKER] == MARKER)
		return LACP_MARKER;
	else if (p[AT_MARKER] == MARKER_RESPONSE)
		return LACP_MARKER_RESPONSE;
	else
		*ret_why = "neither a marker nor a response";
	return LACP_BAD;
}

enum lacp_kind lacp_parse(
	const uint8_t *frame, unsigned len, struct lacp_pdu *ret_pdu, const char **ret_why)
{
	const uint8_t *p = frame + ETH_LEN;

	*ret_why = NULL;
	if (len < LACP_FRAME_LEN)
		*ret_why = "shorter than 124 octets";
	else if (memcmp(frame, slow_address, 6) || get16(frame + 12) != 0x8809)
		*ret_why = "not a frame of a slow protocol";
	else if (frame[6] & 1 || is_zero(frame + 6))
		*ret_why = "the source is no station's address";
	else if (p[0] == SUBTYPE_MARKER)
		return marker_kind(p, ret_why);
	else if (p[0] != SUBTYPE_LACP)
		*ret_why = "neither LACP nor marker";
	if (*ret_why)
		return LACP_BAD;
	get_info(p + AT_ACTOR, &ret_pdu->actor);
	get_info(p + AT_PARTNER, &ret_pdu->partner);
	*ret_why = pdu_wrong(p, ret_pdu);
	return *ret_why ? LACP_BAD : LACP_PDU;
}

static uint8_t *header(const uint8_t source[6], uint8_t frame[LACP_FRAME_LEN])
{
	memset(frame, 0, LACP_FRAME_LEN);
	memcpy(frame, slow_address, 6);
	memcpy(frame + 6, source, 6);
	put16(frame + 12, 0x8809);
	return frame + ETH_LEN;
}

void lacp_build(
	const struct lacp_pdu *pdu, const uint8_t source[6], uint8_t ret_frame[LACP_FRAME_LEN])
{
	uint8_t *p = header(source, ret_frame);

	p[0] = SUBTYPE_LACP;
	p[AT_VERSION] = VERSION;
	put_info(p + AT_ACTOR, 1, &pdu->actor);
	put_info(p + AT_PARTNER, 2, &pdu->partner);
	p[AT_COLLECTOR] = 3;
	p[AT_COLLECTOR + 1] = COLLECTOR_LEN; /* delay 0; terminator 0, 0 */
}

void lacp_build_response(
	const uint8_t *marker, const uint8_t source[6], uint8_t ret_frame[LACP_FRAME_LEN])
{
	uint8_t *p = header(source, ret_frame);

	memcpy(p, marker + ETH_LEN, AT_MARKER + MARKER_LEN);
	p[AT_MARKER] = MARKER_RESPONSE;
}
