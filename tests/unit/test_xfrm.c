/* XFRM messages: recorded streams of charon are understood, and whatever is cut or changed in them
 * is refused or understood, never read beyond its end (each lies in memory of exactly its size, for
 * the address sanitizer). What we make is understood by the same parser. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netlink/attr.h>
#include "unit.h"
#include "xfrm_stream.h"

void stream_load(const char *name, struct stream *ret_stream)
{
	static char line[2 * XFRM_SA_BYTES_MAX + 32];
	char path[64];
	FILE *f;

	memset(ret_stream, 0, sizeof(*ret_stream));
	snprintf(path, sizeof(path), "tests/unit/xfrm/%s.hex", name);
	f = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (ret_stream->n < STREAM_MAX && fgets(line, sizeof(line), f)) {
		const char *hex = strchr(line, ' ');
		size_t len;
		uint8_t *bytes;

		CU_ASSERT_PTR_NOT_NULL_FATAL(hex);
		len = strspn(++hex, "0123456789abcdef") / 2;
		bytes = malloc(len);
		for (size_t i = 0; i < len; i++) {
			unsigned value = 0;

			sscanf(hex + 2 * i, "%2x", &value);
			bytes[i] = (uint8_t)value;
		}
		ret_stream->len[ret_stream->n] = len;
		ret_stream->h[ret_stream->n++] = (struct nlmsghdr *)bytes;
	}
	fclose(f);
}

void stream_free(struct stream *stream)
{
	for (unsigned i = 0; i < stream->n; i++)
		free(stream->h[i]);
}

struct nlmsghdr *stream_find(const struct stream *stream, uint16_t type, unsigned i)
{
	for (unsigned at = 0; at < stream->n; at++)
		if (stream->h[at]->nlmsg_type == type && !i--)
			return stream->h[at];
	return NULL;
}

static int parse(const struct nlmsghdr *h)
{
	struct xfrm_policy_id policy_id;
	struct xfrm_policy policy;
	struct xfrm_sa_id id;
	struct xfrm_sa sa;
	uint32_t index;
	uint8_t proto;
	bool hard;

	switch (h->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA:
	case XFRM_MSG_ALLOCSPI:
	case XFRM_MSG_EXPIRE:
		return xfrm_parse_sa(h, &sa, &hard);
	case XFRM_MSG_DELSA:
	case XFRM_MSG_GETSA:
	case XFRM_MSG_GETAE:
		return xfrm_parse_sa_id(h, &id);
	case XFRM_MSG_FLUSHSA:
		return xfrm_parse_flush(h, &proto);
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY:
		return xfrm_parse_policy(h, &policy);
	case XFRM_MSG_DELPOLICY:
	case XFRM_MSG_GETPOLICY:
		return xfrm_parse_policy_id(h, &policy_id, &index);
	}
	return 0;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	ip_addr_parse(text, &a);
	return a;
}

#define ADDR_IS(a, text)                                         \
	do {                                                     \
		struct ip_addr want_ = addr(text);               \
		CU_ASSERT(!memcmp(&(a), &want_, sizeof(want_))); \
	} while (0)

/* ---- what charon says ---- */
static void gcm(void)
{
	struct stream s;
	struct xfrm_sa in, out;

	stream_load("gcm", &s);
	for (unsigned i = 0; i < s.n; i++)
		CU_ASSERT_EQUAL(parse(s.h[i]), 0);
	CU_ASSERT_EQUAL(xfrm_parse_sa(stream_find(&s, XFRM_MSG_UPDSA, 0), &in, NULL), 0);
	CU_ASSERT_EQUAL(xfrm_parse_sa(stream_find(&s, XFRM_MSG_NEWSA, 0), &out, NULL), 0);
	ADDR_IS(in.id.dst, "192.0.2.1");
	ADDR_IS(in.src, "192.0.2.2");
	ADDR_IS(out.id.dst, "192.0.2.2");
	CU_ASSERT_EQUAL(in.id.spi >> 28, 0xc);
	CU_ASSERT_EQUAL(in.id.proto, IPPROTO_ESP);
	CU_ASSERT_EQUAL(in.mode, XFRM_MODE_TUNNEL);
	CU_ASSERT_EQUAL(in.if_id, 0x80001234);
	CU_ASSERT_PTR_NULL(in.foreign);
	CU_ASSERT_EQUAL(in.cipher, DP_CIPHER_AES_GCM);
	CU_ASSERT_EQUAL(in.key_len, 36);
	CU_ASSERT_EQUAL(in.auth, DP_AUTH_NONE);
	CU_ASSERT_STRING_EQUAL(in.name, "AES-GCM-256");
	CU_ASSERT(in.udp && in.udp_src == 4500 && in.udp_dst == 4500);
	CU_ASSERT_EQUAL(in.window, 128);
	CU_ASSERT_FALSE(in.esn);
	CU_ASSERT_EQUAL(in.limits.hard_s, 3600);
	CU_ASSERT_EQUAL(in.limits.hard_bytes, 1000000);
	CU_ASSERT(in.limits.soft_bytes > 0 && in.limits.soft_bytes <= 900000);
	CU_ASSERT_EQUAL(in.limits.hard_packets, 0);
	CU_ASSERT(memcmp(in.key, out.key, in.key_len));
	xfrm_wipe(&in);
	for (unsigned i = 0; i < sizeof(in.key); i++)
		CU_ASSERT_EQUAL(in.key[i], 0);
	stream_free(&s);
}

static void cbc(void)
{
	struct stream s;
	struct xfrm_sa sa;

	stream_load("cbc4", &s);
	for (unsigned i = 0; i < s.n; i++)
		CU_ASSERT_EQUAL(parse(s.h[i]), 0);
	CU_ASSERT_EQUAL(xfrm_parse_sa(stream_find(&s, XFRM_MSG_NEWSA, 0), &sa, NULL), 0);
	CU_ASSERT_STRING_EQUAL(sa.name, "AES-CBC-256 HMAC-SHA512-256");
	CU_ASSERT(sa.key_len == 32 && sa.auth_len == 64 && sa.auth == DP_AUTH_SHA512);
	stream_free(&s);
	stream_load("cbc6", &s);
	for (unsigned i = 0; i < s.n; i++)
		CU_ASSERT_EQUAL(parse(s.h[i]), 0);
	CU_ASSERT_EQUAL(xfrm_parse_sa(stream_find(&s, XFRM_MSG_UPDSA, 0), &sa, NULL), 0);
	ADDR_IS(sa.id.dst, "fd00:1::1");
	CU_ASSERT(sa.key_len == 16 && sa.auth_len == 32 && sa.auth == DP_AUTH_SHA256);
	stream_free(&s);
}

static void policies(void)
{
	struct stream s;
	struct xfrm_policy p;
	struct xfrm_policy_id id;
	uint32_t index;
	unsigned dirs = 0;

	stream_load("gcm", &s);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(xfrm_parse_policy(stream_find(&s, XFRM_MSG_NEWPOLICY, i), &p), 0);
		dirs |= 1u << p.id.dir;
		CU_ASSERT_EQUAL(p.n_templates, 1);
		CU_ASSERT_EQUAL(p.id.if_id, 0x80001234);
		CU_ASSERT_EQUAL(p.id.src.len, 16);
	}
	CU_ASSERT_EQUAL(dirs, 7);
	CU_ASSERT_EQUAL(
		xfrm_parse_policy_id(stream_find(&s, XFRM_MSG_DELPOLICY, 0), &id, &index), 0);
	CU_ASSERT_EQUAL(index, 0);
	CU_ASSERT_EQUAL(id.if_id, 0x80001234);
	stream_free(&s);
}

/* ---- what is cut or changed ---- */
static struct nlmsghdr *copy(const struct nlmsghdr *h, size_t len)
{
	struct nlmsghdr *c = malloc(len);

	memcpy(c, h, len);
	return c;
}

static void cut(void)
{
	static const char *const names[] = { "gcm", "cbc6" };
	struct stream s;

	for (unsigned k = 0; k < 2; k++) {
		stream_load(names[k], &s);
		for (unsigned i = 0; i < s.n; i++)
			for (uint32_t len = NLMSG_HDRLEN; len < s.h[i]->nlmsg_len; len++) {
				struct nlmsghdr *c = copy(s.h[i], len);
				int rc;

				c->nlmsg_len = len;
				rc = parse(c);
				CU_ASSERT(!rc || rc == -EBADMSG);
				free(c);
			}
		stream_free(&s);
	}
}

/* Every byte of every message takes every value that sets one bit, none or all of it. */
static void changed(void)
{
	static const uint8_t values[] = { 0, 1, 2, 4, 8, 16, 32, 64, 127, 128, 255 };
	struct stream s;

	stream_load("gcm", &s);
	for (unsigned i = 0; i < s.n; i++)
		for (size_t at = NLMSG_HDRLEN; at < s.len[i]; at++)
			for (unsigned v = 0; v < sizeof(values); v++) {
				uint8_t *bytes = (uint8_t *)s.h[i], before = bytes[at];
				int rc;

				bytes[at] = values[v];
				rc = parse(s.h[i]);
				CU_ASSERT(!rc || rc == -EBADMSG);
				bytes[at] = before;
			}
	stream_free(&s);
}

static struct nlattr *attr_of(struct nlmsghdr *h, int type)
{
	size_t at = NLMSG_LENGTH(sizeof(struct xfrm_usersa_info));

	while (at + NLA_HDRLEN <= h->nlmsg_len) {
		struct nlattr *a = (struct nlattr *)((uint8_t *)h + at);

		if (nla_type(a) == type)
			return a;
		at += (size_t)nla_total_size(nla_len(a));
	}
	return NULL;
}

static void said_no(void)
{
	struct stream s;
	struct nlmsghdr *h;
	struct xfrm_algo_aead *aead;
	struct xfrm_algo_auth *auth;
	struct xfrm_sa sa;

	stream_load("gcm", &s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	aead = nla_data(attr_of(h, XFRMA_ALG_AEAD));
	aead->alg_icv_len = 64; /* what RFC 8221 advises against and nobody here makes */
	CU_ASSERT(!xfrm_parse_sa(h, &sa, NULL) && sa.foreign && !sa.key_len);
	aead->alg_icv_len = 128;
	aead->alg_key_len = 8 * 35;
	CU_ASSERT(!xfrm_parse_sa(h, &sa, NULL) && sa.foreign);
	aead->alg_key_len = 8 * 37; /* more than there is */
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	aead->alg_key_len = UINT32_MAX;
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	aead->alg_key_len = 8 * 36;
	memcpy(aead->alg_name, "rfc7539esp(chacha20,poly1305)", 30);
	CU_ASSERT(!xfrm_parse_sa(h, &sa, NULL) && sa.foreign);
	memset(aead->alg_name, 'a', sizeof(aead->alg_name)); /* has no end */
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	stream_free(&s);
	stream_load("cbc6", &s);
	h = stream_find(&s, XFRM_MSG_NEWSA, 0);
	auth = nla_data(attr_of(h, XFRMA_ALG_AUTH_TRUNC));
	auth->alg_trunc_len = 96;
	CU_ASSERT(!xfrm_parse_sa(h, &sa, NULL) && sa.foreign);
	attr_of(h, XFRMA_ALG_AUTH_TRUNC)->nla_type = XFRMA_PAD; /* a cipher alone */
	CU_ASSERT(!xfrm_parse_sa(h, &sa, NULL) && sa.foreign);
	((struct xfrm_usersa_info *)NLMSG_DATA(h))->family = 1;
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	stream_free(&s);
}

/* Extended sequence numbers, as the kernel tells them. */
static void esn(void)
{
	struct stream s;
	struct nlmsghdr *h;
	struct xfrm_replay_state_esn *state;
	struct xfrm_usersa_info *info;
	struct xfrm_sa sa;

	stream_load("gcm", &s);
	h = stream_find(&s, XFRM_MSG_UPDSA, 0);
	info = NLMSG_DATA(h);
	info->flags |= XFRM_STATE_ESN;
	state = nla_data(attr_of(h, XFRMA_REPLAY_ESN_VAL));
	state->oseq = 7;
	state->oseq_hi = 1;
	state->seq = 9;
	state->seq_hi = 2;
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), 0);
	CU_ASSERT_TRUE(sa.esn);
	CU_ASSERT_EQUAL(sa.seq_out, 0x100000007ull);
	CU_ASSERT_EQUAL(sa.seq_in, 0x200000009ull);
	state->bmp_len = 5; /* more words than follow */
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	state->bmp_len = UINT32_MAX / 4 + 1;
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &sa, NULL), -EBADMSG);
	stream_free(&s);
}

/* ---- what we say ---- */
static void made(void)
{
	static struct xfrm_message m;
	const struct nlmsghdr *h = (const struct nlmsghdr *)m.bytes, *given, *request;
	struct xfrm_use use = {
		.bytes = 1000, .packets = 10, .added_s = 5, .first_s = 6, .last_s = 7
	};
	struct xfrm_sa sa, back;
	struct xfrm_policy policy, policy_back;
	struct stream s;
	bool hard = false;

	stream_load("gcm", &s);
	given = stream_find(&s, XFRM_MSG_NEWSA, 0);
	request = stream_find(&s, XFRM_MSG_GETSA, 0);
	xfrm_parse_sa(given, &sa, NULL);
	xfrm_make_sa(&m, request, given, &use, false);
	CU_ASSERT_EQUAL(h->nlmsg_type, XFRM_MSG_NEWSA);
	CU_ASSERT_EQUAL(h->nlmsg_seq, request->nlmsg_seq);
	CU_ASSERT_EQUAL(h->nlmsg_len, m.len);
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &back, NULL), 0);
	CU_ASSERT(!memcmp(back.key, sa.key, sizeof(sa.key)) && back.id.spi == sa.id.spi);
	CU_ASSERT(back.so.bytes == 1000 && back.so.packets == 10 && back.so.use_time == 6);
	xfrm_make_expire(&m, given, &use, true);
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &back, &hard), 0);
	CU_ASSERT(hard && back.id.spi == sa.id.spi && back.reqid == sa.reqid && !back.keyed);
	request = stream_find(&s, XFRM_MSG_ALLOCSPI, 0);
	xfrm_make_spi(&m, request, 0xc1234567);
	CU_ASSERT_EQUAL(xfrm_parse_sa(h, &back, NULL), 0);
	CU_ASSERT_EQUAL(back.id.spi, 0xc1234567);
	xfrm_make_ack(&m, request, -ESRCH);
	CU_ASSERT_EQUAL(((struct nlmsgerr *)NLMSG_DATA(h))->error, -ESRCH);
	CU_ASSERT_EQUAL(m.len, 36);
	given = stream_find(&s, XFRM_MSG_NEWPOLICY, 0);
	xfrm_parse_policy(given, &policy);
	xfrm_make_policy(&m, given, &policy, &use);
	CU_ASSERT_EQUAL(xfrm_parse_policy(h, &policy_back), 0);
	policy_back.n_templates = policy.n_templates;
	CU_ASSERT(!memcmp(&policy, &policy_back, sizeof(policy)));
	stream_free(&s);
}

void unit_xfrm(void)
{
	static const struct unit_test tests[] = { { "gcm", gcm }, { "cbc", cbc },
		{ "policies", policies }, { "cut", cut }, { "changed", changed },
		{ "said_no", said_no }, { "esn", esn }, { "made", made } };

	UNIT_SUITE("xfrm", tests);
}
