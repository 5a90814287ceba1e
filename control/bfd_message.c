/* bfdd's data-plane protocol: bytes to structs and back.
 *
 * Fixed messages in network byte order behind a header of eight bytes (version, type, id, length);
 * FRR 8.4 speaks version 1. Every length is checked against the message's type before a field is
 * read; longer ones (a later FRR's) are read as far as they are known. Nothing here keeps state. */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "bfd.h"

#define VERSION	      1
#define SESSION_BYTES 132
#define STATE_BYTES   28 /* with the padding C gives its struct */
#define COUNTER_BYTES 72
#define IFNAME_BYTES  64

enum { /* flags of a session */
	FLAG_MULTIHOP = 1,
	FLAG_DEMAND = 2,
	FLAG_ECHO = 8,
	FLAG_IPV6 = 16,
	FLAG_PASSIVE = 32,
	FLAG_SHUTDOWN = 64,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static uint8_t *put16(uint8_t *p, uint16_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t x)
{
	return put16(put16(p, (uint16_t)(x >> 16)), (uint16_t)x);
}

static uint8_t *put64(uint8_t *p, uint64_t x)
{
	return put32(put32(p, (uint32_t)(x >> 32)), (uint32_t)x);
}

static uint8_t *put_head(uint8_t *p, uint16_t type, uint16_t id, uint16_t payload)
{
	*p++ = VERSION;
	*p++ = 0;
	return put16(put16(put16(p, type), id), (uint16_t)(BFD_MESSAGE_HEAD + payload));
}

/* ---- reading ---- */
static const char *session_parse(const uint8_t *p, struct bfd_wanted *w)
{
	uint32_t flags = get32(p);
	uint8_t af = flags & FLAG_IPV6 ? AF_INET6 : AF_INET;
	size_t size = af == AF_INET ? 4 : 16;
	static const uint8_t none[16];

	memset(w, 0, sizeof(*w));
	if (memcmp(p + 4, none, size)) {
		w->local.af = af;
		memcpy(w->local.bytes, p + 4, size);
	}
	w->peer.af = af;
	memcpy(w->peer.bytes, p + 20, size);
	w->lid = get32(p + 36);
	w->min_tx_us = get32(p + 40);
	w->min_rx_us = get32(p + 44);
	w->multiplier = p[61];
	w->multihop = flags & FLAG_MULTIHOP;
	w->demand = flags & FLAG_DEMAND;
	w->echo = flags & FLAG_ECHO;
	w->passive = flags & FLAG_PASSIVE;
	w->shut = flags & FLAG_SHUTDOWN;
	if (!memchr(p + 68, 0, IFNAME_BYTES))
		return "interface name without an end";
	if (strlen((const char *)p + 68) >= sizeof(w->ifname))
		return "interface name that no link has";
	memcpy(w->ifname, p + 68, strlen((const char *)p + 68) + 1);
	if (!w->lid)
		return "discriminator 0";
	if (!w->multiplier)
		return "detect multiplier 0";
	if (!memcmp(w->peer.bytes, none, size))
		return "peer without an address";
	return NULL;
}

static unsigned payload_min(uint16_t type)
{
	switch (type) {
	case BFD_ADD:
	case BFD_DELETE:
		return SESSION_BYTES;
	case BFD_COUNTERS_REQUEST:
		return 4;
	case BFD_ECHO_REQUEST:
		return 16;
	default:
		return 0;
	}
}

int bfd_message_parse(
	const uint8_t *bytes, size_t len, struct bfd_message *ret, const char **ret_why)
{
	const uint8_t *payload = bytes + BFD_MESSAGE_HEAD;

	*ret_why = NULL;
	if (len < BFD_MESSAGE_HEAD)
		return -EAGAIN;
	*ret = (struct bfd_message){
		.type = get16(bytes + 2), .id = get16(bytes + 4), .length = get16(bytes + 6)
	};
	if (bytes[0] != VERSION) {
		*ret_why = "it speaks another version of the protocol than FRR 8.4's";
		return -EPROTO;
	}
	if (ret->length < BFD_MESSAGE_HEAD || ret->length > 1024) {
		*ret_why = "a length that no message has";
		return -EPROTO;
	}
	if (len < ret->length)
		return -EAGAIN;
	if (ret->length < BFD_MESSAGE_HEAD + payload_min(ret->type)) {
		*ret_why = "a message shorter than its type";
		return -EINVAL;
	}
	switch (ret->type) {
	case BFD_ADD:
	case BFD_DELETE:
		*ret_why = session_parse(payload, &ret->wanted);
		break;
	case BFD_COUNTERS_REQUEST:
		ret->lid = get32(payload);
		break;
	case BFD_ECHO_REQUEST:
		ret->dp_time = get64(payload);
		break;
	case BFD_ECHO_REPLY:
		break;
	default:
		*ret_why = "a type we do not know";
	}
	return *ret_why ? -EINVAL : 0;
}

/* ---- writing ---- */
size_t bfd_message_state(uint8_t *bytes, uint32_t lid, const struct dp_bfd_info *info)
{
	uint8_t *p = put_head(bytes, BFD_STATE, 0, STATE_BYTES);

	p = put32(put32(p, lid), info->remote_discr);
	p = put32(p, 0); /* flags of the peer */
	p = put32(put32(put32(p, info->remote_min_tx_us), info->remote_min_rx_us),
		info->remote_echo_us);
	*p++ = info->state;
	*p++ = info->state == DP_BFD_UP ? info->remote_diag : info->diag;
	*p++ = info->remote_multiplier;
	*p++ = 0;
	return (size_t)(p - bytes);
}

size_t bfd_message_counters(
	uint8_t *bytes, uint16_t id, uint32_t lid, const struct dp_bfd_info *info)
{
	uint8_t *p = put_head(bytes, BFD_COUNTERS, id, COUNTER_BYTES);

	p = put32(put32(p, lid), 0); /* C aligns what follows */
	p = put64(put64(put64(put64(p, info->rx_bytes), info->rx), info->tx_bytes), info->tx);
	for (int i = 0; i < 4; i++) /* echo */
		p = put64(p, 0);
	return (size_t)(p - bytes);
}

size_t bfd_message_echo(uint8_t *bytes, uint16_t id, uint64_t dp_time, uint64_t our_time)
{
	uint8_t *p = put_head(bytes, BFD_ECHO_REPLY, id, 16);

	p = put64(put64(p, dp_time), our_time);
	return (size_t)(p - bytes);
}
