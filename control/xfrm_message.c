/* XFRM messages, parsed and nothing else: bytes become the structs of xfrm.h.
 *
 * They come from charon (xfrm_server.c) or from a kernel that has IPsec (xfrm_mirror.c), and both
 * say the same. Whoever speaks is trusted with our keys, not with our memory: no byte is read
 * before its length is checked, attributes must end exactly where their message ends, an algorithm
 * whose key is longer than said is refused, and what is not understood (a cipher, a transport mode,
 * a card's offload) is named, for whoever has to say no. Structs that hold keys are wiped by those
 * who had them filled, also when parsing failed. Layouts are those of linux/xfrm.h, as kernels have
 * had them since 2008; attributes in any order, unknown ones skipped. Control thread only. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <netlink/attr.h>
#include "xfrm.h"

#define ATTRS	      (XFRMA_MAX + 1)
#define TEMPLATES_MAX 6 /* of one policy, as in kernels */

/* ---- pieces ---- */

/* A fixed part of size bytes behind the header: *ret_fixed points to it. tb: what follows it. */
static int split(const struct nlmsghdr *h, size_t size, const void **ret_fixed,
	const struct nlattr *tb[ATTRS])
{
	size_t off = NLMSG_HDRLEN + NLMSG_ALIGN(size);
	const struct nlattr *pos;
	int len;

	if (h->nlmsg_len < NLMSG_HDRLEN + size)
		return -EBADMSG;
	*ret_fixed = (const uint8_t *)h + NLMSG_HDRLEN;
	memset(tb, 0, ATTRS * sizeof(tb[0]));
	if (h->nlmsg_len <= off)
		return 0;
	pos = (const struct nlattr *)((const uint8_t *)h + off);
	len = (int)(h->nlmsg_len - off);
	while (nla_ok(pos, len)) {
		unsigned type = (unsigned)nla_type(pos);

		if (type < ATTRS)
			tb[type] = pos;
		pos = nla_next(pos, &len);
	}
	return len > 0 ? -EBADMSG : 0; /* the last attribute is cut, or a length lies */
}

/* The payload of an attribute that has at least size bytes. */
static int fixed(const struct nlattr *attr, size_t size, void *ret)
{
	if (!attr)
		return 0;
	if (nla_len(attr) < (int)size)
		return -EBADMSG;
	memcpy(ret, nla_data(attr), size);
	return 0;
}

static int address(const xfrm_address_t *from, uint16_t family, struct ip_addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (family != AF_INET && family != AF_INET6)
		return -EBADMSG;
	ret_addr->af = (uint8_t)family;
	memcpy(ret_addr->bytes, from, ip_size((uint8_t)family));
	return 0;
}

static int mark_of(const struct nlattr *attr, uint32_t *ret_mark)
{
	struct xfrm_mark mark = { 0 };
	int rc = fixed(attr, sizeof(mark), &mark);

	*ret_mark = mark.v & mark.m;
	return rc;
}

static uint64_t limit(uint64_t value)
{
	return value == XFRM_INF ? 0 : value;
}

/* ---- algorithms ---- */

static const struct {
	const char *name, *word;
	uint8_t cipher;
	uint8_t min, max; /* octets of its key */
} ciphers[] = {
	{ "rfc4106(gcm(aes))", "AES-GCM", DP_CIPHER_AES_GCM, 20, 36 },
	{ "aes", "AES-CBC", DP_CIPHER_AES_CBC, 16, 32 }, /* as charon says it */
	{ "cbc(aes)", "AES-CBC", DP_CIPHER_AES_CBC, 16, 32 },
	{ "ecb(cipher_null)", "NULL", DP_CIPHER_NULL, 0, 0 },
	{ "cipher_null", "NULL", DP_CIPHER_NULL, 0, 0 },
};

static const struct {
	const char *name, *word;
	uint8_t auth, len;
	uint16_t icv; /* bits */
} auths[] = {
	{ "sha1", "HMAC-SHA1-96", DP_AUTH_SHA1, 20, 96 }, /* as charon says it */
	{ "hmac(sha1)", "HMAC-SHA1-96", DP_AUTH_SHA1, 20, 96 },
	{ "hmac(sha256)", "HMAC-SHA256-128", DP_AUTH_SHA256, 32, 128 },
	{ "hmac(sha384)", "HMAC-SHA384-192", DP_AUTH_SHA384, 48, 192 },
	{ "hmac(sha512)", "HMAC-SHA512-256", DP_AUTH_SHA512, 64, 256 },
	{ "digest_null", "none", DP_AUTH_NONE, 0, 0 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* name[64], key bits, for some a second number (bits of the ICV), the key. */
struct algorithm {
	char name[64];
	uint32_t bits, icv;
	const uint8_t *key;
	size_t len;
};

static int algorithm(const struct nlattr *attr, bool has_icv, struct algorithm *ret)
{
	size_t head = sizeof(struct xfrm_algo) + (has_icv ? sizeof(uint32_t) : 0);
	const uint8_t *data;

	memset(ret, 0, sizeof(*ret));
	if (nla_len(attr) < (int)head)
		return -EBADMSG;
	data = nla_data(attr);
	memcpy(ret->name, data, sizeof(ret->name));
	if (ret->name[sizeof(ret->name) - 1]) /* not terminated */
		return -EBADMSG;
	memcpy(&ret->bits, data + sizeof(ret->name), sizeof(ret->bits));
	if (has_icv)
		memcpy(&ret->icv, data + sizeof(ret->name) + sizeof(ret->bits), sizeof(ret->icv));
	ret->len = ((size_t)ret->bits + 7) / 8;
	ret->key = data + head;
	return ret->len > (size_t)nla_len(attr) - head ? -EBADMSG : 0;
}

static int cipher(const struct nlattr *attr, bool aead, struct xfrm_sa *sa)
{
	struct algorithm a;
	int rc = algorithm(attr, aead, &a);
	char *end;

	if (rc)
		return rc;
	sa->keyed = true;
	sa->foreign = "cipher";
	snprintf(sa->name, sizeof(sa->name), "%s", a.name);
	for (unsigned i = 0; i < COUNT(ciphers); i++) {
		bool gcm = ciphers[i].cipher == DP_CIPHER_AES_GCM;

		if (strcmp(ciphers[i].name, a.name) || gcm != aead)
			continue;
		if (a.len < ciphers[i].min || a.len > ciphers[i].max || (a.len & 3))
			sa->foreign = "length of the cipher's key";
		else if (aead && a.icv != 128)
			sa->foreign = "length of the ICV: 16 octets are supported";
		else
			sa->foreign = NULL;
		if (sa->foreign)
			return 0;
		sa->cipher = ciphers[i].cipher;
		sa->key_len = (uint8_t)a.len;
		memcpy(sa->key, a.key, a.len);
		end = sa->name;
		end += snprintf(end, 40, "%s", ciphers[i].word);
		if (a.len)
			snprintf(end, 40, "-%zu", (a.len - (gcm ? 4 : 0)) * 8);
		return 0;
	}
	return 0;
}

static int auth(const struct nlattr *attr, bool truncated, struct xfrm_sa *sa)
{
	struct algorithm a;
	int rc = algorithm(attr, truncated, &a);
	size_t at = strlen(sa->name);

	if (rc)
		return rc;
	sa->keyed = true;
	for (unsigned i = 0; i < COUNT(auths); i++) {
		if (strcmp(auths[i].name, a.name))
			continue;
		/* Without a length kernels mean that of the RFC, but for SHA-256: 96 bits. */
		if (a.len != auths[i].len ||
			(truncated ? a.icv != auths[i].icv : auths[i].auth == DP_AUTH_SHA256)) {
			if (!sa->foreign)
				sa->foreign = "length of the ICV or of its key";
			return 0;
		}
		sa->auth = auths[i].auth;
		sa->auth_len = (uint8_t)a.len;
		memcpy(sa->auth_key, a.key, a.len);
		snprintf(sa->name + at, sizeof(sa->name) - at, " %s", auths[i].word);
		return 0;
	}
	snprintf(sa->name + at, sizeof(sa->name) - at, " %.40s", a.name);
	if (!sa->foreign)
		sa->foreign = "integrity algorithm";
	return 0;
}

static int algorithms(const struct nlattr *tb[ATTRS], struct xfrm_sa *sa)
{
	int rc = 0;

	if (tb[XFRMA_ALG_AEAD])
		rc = cipher(tb[XFRMA_ALG_AEAD], true, sa);
	else if (tb[XFRMA_ALG_CRYPT])
		rc = cipher(tb[XFRMA_ALG_CRYPT], false, sa);
	if (!rc && tb[XFRMA_ALG_AUTH_TRUNC]) /* the kernel tells both: this one says more */
		rc = auth(tb[XFRMA_ALG_AUTH_TRUNC], true, sa);
	else if (!rc && tb[XFRMA_ALG_AUTH])
		rc = auth(tb[XFRMA_ALG_AUTH], false, sa);
	if (rc || !sa->keyed || sa->foreign)
		return rc;
	if (sa->cipher != DP_CIPHER_AES_GCM && sa->auth == DP_AUTH_NONE)
		sa->foreign = "cipher without integrity";
	else if (sa->cipher == DP_CIPHER_AES_GCM && sa->auth != DP_AUTH_NONE)
		sa->foreign = "second integrity algorithm beside GCM";
	else if (tb[XFRMA_ALG_COMP])
		sa->foreign = "compression";
	return 0;
}

/* ---- security associations ---- */

static int replay(const struct nlattr *tb[ATTRS], uint8_t flags, struct xfrm_sa *sa)
{
	struct xfrm_replay_state old = { 0 };
	struct xfrm_replay_state_esn esn = { 0 };
	int rc = fixed(tb[XFRMA_REPLAY_VAL], sizeof(old), &old);

	if (rc)
		return rc;
	sa->seq_out = old.oseq;
	sa->seq_in = old.seq;
	if (!tb[XFRMA_REPLAY_ESN_VAL])
		return 0;
	rc = fixed(tb[XFRMA_REPLAY_ESN_VAL], sizeof(esn), &esn);
	if (rc)
		return rc;
	if (esn.bmp_len > XFRMA_REPLAY_ESN_MAX / 32 ||
		nla_len(tb[XFRMA_REPLAY_ESN_VAL]) < (int)(sizeof(esn) + esn.bmp_len * 4))
		return -EBADMSG;
	sa->window = esn.replay_window;
	sa->esn = flags & XFRM_STATE_ESN;
	sa->seq_out = esn.oseq | (sa->esn ? (uint64_t)esn.oseq_hi << 32 : 0);
	sa->seq_in = esn.seq | (sa->esn ? (uint64_t)esn.seq_hi << 32 : 0);
	return 0;
}

static int encapsulation(const struct nlattr *attr, struct xfrm_sa *sa)
{
	struct xfrm_encap_tmpl encap = { 0 };
	int rc = fixed(attr, sizeof(encap), &encap);

	if (rc || !attr)
		return rc;
	if (encap.encap_type != 2 /* UDP_ENCAP_ESPINUDP */ && !sa->foreign)
		sa->foreign = "encapsulation";
	sa->udp = true;
	sa->udp_src = ntohs(encap.encap_sport);
	sa->udp_dst = ntohs(encap.encap_dport);
	return 0;
}

static void limits(const struct xfrm_lifetime_cfg *from, struct xfrm_limits *ret_limits)
{
	*ret_limits = (struct xfrm_limits){
		.soft_bytes = limit(from->soft_byte_limit),
		.hard_bytes = limit(from->hard_byte_limit),
		.soft_packets = limit(from->soft_packet_limit),
		.hard_packets = limit(from->hard_packet_limit),
		.soft_s = limit(from->soft_add_expires_seconds),
		.hard_s = limit(from->hard_add_expires_seconds),
	};
}

static int sa_attrs(const struct nlattr *tb[ATTRS], struct xfrm_sa *sa)
{
	struct xfrm_lifetime_cur cur;
	int rc = mark_of(tb[XFRMA_MARK], &sa->id.mark);

	rc = rc ? rc : fixed(tb[XFRMA_IF_ID], sizeof(sa->if_id), &sa->if_id);
	rc = rc ? rc : algorithms(tb, sa);
	rc = rc ? rc : replay(tb, sa->flags, sa);
	rc = rc ? rc : encapsulation(tb[XFRMA_ENCAP], sa);
	if (!rc && tb[XFRMA_LTIME_VAL]) {
		rc = fixed(tb[XFRMA_LTIME_VAL], sizeof(cur), &cur);
		sa->so = rc ? sa->so : cur;
	}
	sa->hardware = tb[XFRMA_OFFLOAD_DEV];
	return rc;
}

static size_t sa_size(uint16_t type)
{
	return type == XFRM_MSG_ALLOCSPI ? sizeof(struct xfrm_userspi_info)
	       : type == XFRM_MSG_EXPIRE ? sizeof(struct xfrm_user_expire)
					 : sizeof(struct xfrm_usersa_info);
}

int xfrm_parse_sa(const struct nlmsghdr *h, struct xfrm_sa *ret_sa, bool *ret_hard)
{
	const struct nlattr *tb[ATTRS];
	struct xfrm_usersa_info info;
	const void *head;
	int rc;

	memset(ret_sa, 0, sizeof(*ret_sa));
	rc = split(h, sa_size(h->nlmsg_type), &head, tb);
	if (rc)
		return rc;
	memcpy(&info, head, sizeof(info)); /* the other two begin with it */
	rc = address(&info.id.daddr, info.family, &ret_sa->id.dst);
	rc = rc ? rc : address(&info.saddr, info.family, &ret_sa->src);
	if (rc)
		return rc;
	ret_sa->id.spi = ntohl(info.id.spi);
	ret_sa->id.proto = info.id.proto;
	ret_sa->reqid = info.reqid;
	ret_sa->mode = info.mode;
	ret_sa->flags = info.flags;
	ret_sa->window = info.replay_window;
	ret_sa->so = info.curlft;
	limits(&info.lft, &ret_sa->limits);
	if (h->nlmsg_type == XFRM_MSG_ALLOCSPI) {
		const struct xfrm_userspi_info *spi = head;

		ret_sa->spi_min = spi->min;
		ret_sa->spi_max = spi->max;
	} else if (h->nlmsg_type == XFRM_MSG_EXPIRE && ret_hard) {
		*ret_hard = ((const struct xfrm_user_expire *)head)->hard;
	}
	return sa_attrs(tb, ret_sa);
}

void xfrm_wipe(struct xfrm_sa *sa)
{
	explicit_bzero(sa->key, sizeof(sa->key));
	explicit_bzero(sa->auth_key, sizeof(sa->auth_key));
}

int xfrm_parse_sa_id(const struct nlmsghdr *h, struct xfrm_sa_id *ret_id)
{
	bool aevent = h->nlmsg_type == XFRM_MSG_GETAE || h->nlmsg_type == XFRM_MSG_NEWAE;
	const struct nlattr *tb[ATTRS];
	struct xfrm_usersa_id id;
	const void *head;
	int rc = split(h, aevent ? sizeof(struct xfrm_aevent_id) : sizeof(id), &head, tb);

	if (rc)
		return rc;
	memcpy(&id, head, sizeof(id)); /* an aevent's begins with it */
	memset(ret_id, 0, sizeof(*ret_id));
	rc = address(&id.daddr, id.family, &ret_id->dst);
	ret_id->spi = ntohl(id.spi);
	ret_id->proto = id.proto;
	return rc ? rc : mark_of(tb[XFRMA_MARK], &ret_id->mark);
}

int xfrm_parse_flush(const struct nlmsghdr *h, uint8_t *ret_proto)
{
	const struct nlattr *tb[ATTRS];
	const void *head;
	int rc = split(h, sizeof(struct xfrm_usersa_flush), &head, tb);

	if (!rc)
		*ret_proto = ((const struct xfrm_usersa_flush *)head)->proto;
	return rc;
}

/* ---- policies ---- */

static int side(const xfrm_address_t *addr, uint16_t family, unsigned len, struct ip_prefix *ret)
{
	struct ip_addr whole;
	int rc = address(addr, family, &whole);

	if (rc || len > ip_bits(whole.af))
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	ret->af = whole.af;
	ret->len = (uint8_t)len;
	memcpy(ret->bytes, whole.bytes, sizeof(ret->bytes));
	ip_prefix_mask(ret);
	return 0;
}

static int selector(const struct xfrm_selector *sel, struct xfrm_policy_id *id)
{
	int rc = side(&sel->saddr, sel->family, sel->prefixlen_s, &id->src);

	id->sport = ntohs(sel->sport & sel->sport_mask);
	id->dport = ntohs(sel->dport & sel->dport_mask);
	id->proto = sel->proto;
	return rc ? rc : side(&sel->daddr, sel->family, sel->prefixlen_d, &id->dst);
}

static int policy_attrs(const struct nlattr *tb[ATTRS], struct xfrm_policy_id *id)
{
	int rc = mark_of(tb[XFRMA_MARK], &id->mark);

	return rc ? rc : fixed(tb[XFRMA_IF_ID], sizeof(id->if_id), &id->if_id);
}

int xfrm_parse_policy(const struct nlmsghdr *h, struct xfrm_policy *ret_policy)
{
	const struct nlattr *tb[ATTRS];
	struct xfrm_userpolicy_info info;
	const void *head;
	int rc = split(h, sizeof(info), &head, tb);

	memset(ret_policy, 0, sizeof(*ret_policy));
	if (rc)
		return rc;
	memcpy(&info, head, sizeof(info));
	if (info.dir > XFRM_POLICY_FWD)
		return -EBADMSG;
	ret_policy->id.dir = info.dir;
	ret_policy->priority = info.priority;
	ret_policy->index = info.index;
	ret_policy->action = info.action;
	if (tb[XFRMA_TMPL]) {
		if (nla_len(tb[XFRMA_TMPL]) % (int)sizeof(struct xfrm_user_tmpl))
			return -EBADMSG;
		ret_policy->n_templates =
			(unsigned)nla_len(tb[XFRMA_TMPL]) / sizeof(struct xfrm_user_tmpl);
		if (ret_policy->n_templates > TEMPLATES_MAX)
			return -EBADMSG;
	}
	rc = selector(&info.sel, &ret_policy->id);
	return rc ? rc : policy_attrs(tb, &ret_policy->id);
}

int xfrm_parse_policy_id(
	const struct nlmsghdr *h, struct xfrm_policy_id *ret_id, uint32_t *ret_index)
{
	const struct nlattr *tb[ATTRS];
	struct xfrm_userpolicy_id id;
	const void *head;
	int rc = split(h, sizeof(id), &head, tb);

	memset(ret_id, 0, sizeof(*ret_id));
	if (rc)
		return rc;
	memcpy(&id, head, sizeof(id));
	if (id.dir > XFRM_POLICY_FWD)
		return -EBADMSG;
	ret_id->dir = id.dir;
	*ret_index = id.index;
	rc = policy_attrs(tb, ret_id);
	if (rc || id.index)
		return rc;
	return selector(&id.sel, ret_id);
}
