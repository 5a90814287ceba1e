/* XFRM messages as plain structs: what charon and the kernel say about security associations. */
#ifndef LINTAS_XFRM_H
#define LINTAS_XFRM_H

#include <linux/netlink.h>
#include <linux/xfrm.h>
#include "config/ip.h"
#include "dataplane/dataplane.h"

#define XFRM_SA_BYTES_MAX 2048 /* of one message about an SA; charon's have 300 to 500 */

/* Parsers return 0 with *ret_ filled; -EBADMSG when a length lies or something is cut. They read
 * and write nothing else: a message is understood whole or has no effect. */

struct xfrm_sa_id {
	struct ip_addr dst;
	uint32_t spi; /* host order */
	uint8_t proto;
	uint32_t mark;
};

struct xfrm_limits { /* 0: none */
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets, soft_s, hard_s;
};

struct xfrm_sa {
	struct xfrm_sa_id id;
	struct ip_addr src;
	struct xfrm_limits limits;
	uint32_t reqid, if_id;
	uint8_t mode, flags;	    /* XFRM_MODE_*, XFRM_STATE_* */
	bool keyed;		    /* algorithms were given: more than a number set aside */
	bool hardware;		    /* XFRMA_OFFLOAD_DEV: its keys are a network card's */
	const char *foreign;	    /* an algorithm that we have not: which; keys are not filled */
	uint8_t cipher, auth;	    /* enum dp_cipher, dp_auth */
	uint8_t key_len, auth_len;  /* octets */
	uint8_t key[DP_SA_KEY_MAX]; /* wipe with xfrm_wipe */
	uint8_t auth_key[DP_SA_AUTH_MAX];
	bool esn;
	uint32_t window;	     /* of the replay check */
	uint64_t seq_out, seq_in;    /* as far as the message knows */
	bool udp;		     /* RFC 3948 */
	uint16_t udp_src, udp_dst;   /* ports, of the packets' way */
	uint32_t spi_min, spi_max;   /* ALLOCSPI */
	struct xfrm_lifetime_cur so; /* so far; the kernel's */
	char name[80];		     /* algorithms in words */
};

/* NEWSA, UPDSA, ALLOCSPI, EXPIRE (ret_hard then says which). */
int xfrm_parse_sa(const struct nlmsghdr *h, struct xfrm_sa *ret_sa, bool *ret_hard);
void xfrm_wipe(struct xfrm_sa *sa);
int xfrm_parse_sa_id(const struct nlmsghdr *h, struct xfrm_sa_id *ret_id); /* DELSA, GETSA, GETAE */
int xfrm_parse_flush(const struct nlmsghdr *h, uint8_t *ret_proto); /* FLUSHSA; 0 = every one */

struct xfrm_policy_id {
	uint8_t dir; /* XFRM_POLICY_* */
	struct ip_prefix src, dst;
	uint16_t sport, dport; /* 0: any */
	uint8_t proto;	       /* 0: any */
	uint32_t if_id, mark;
};

struct xfrm_policy {
	struct xfrm_policy_id id;
	uint32_t priority, index;
	uint8_t action; /* XFRM_POLICY_ALLOW, BLOCK */
	unsigned n_templates;
};
/* NEWPOLICY, UPDPOLICY; then the -_id: DELPOLICY, GETPOLICY. By index alone: ret_index is not 0. */
int xfrm_parse_policy(const struct nlmsghdr *h, struct xfrm_policy *ret_policy);
int xfrm_parse_policy_id(
	const struct nlmsghdr *h, struct xfrm_policy_id *ret_id, uint32_t *ret_index);

/* ---- made ---- */
struct xfrm_message {
	uint8_t bytes[XFRM_SA_BYTES_MAX + 512] __attribute__((aligned(8)));
	size_t len;
};

struct xfrm_use { /* what has passed */
	uint64_t bytes, packets;
	uint64_t added_s, first_s, last_s; /* seconds since 1970; 0: never */
};

/* The answer to a request: its seq and pid. error: 0 or -errno. */
void xfrm_make_ack(struct xfrm_message *m, const struct nlmsghdr *request, int error);
/* What charon gave us, with counters: type NEWSA; request may be NULL. */
void xfrm_make_sa(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct nlmsghdr *given, const struct xfrm_use *use, bool multi);
void xfrm_make_expire(struct xfrm_message *m, const struct nlmsghdr *given,
	const struct xfrm_use *use, bool hard);
/* ALLOCSPI's answer: its SA with the number. */
void xfrm_make_spi(struct xfrm_message *m, const struct nlmsghdr *request, uint32_t spi);
void xfrm_make_aevent(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct xfrm_sa *sa, const struct xfrm_use *use);
void xfrm_make_policy(struct xfrm_message *m, const struct nlmsghdr *request,
	const struct xfrm_policy *policy, const struct xfrm_use *use);
void xfrm_make_info(struct xfrm_message *m, const struct nlmsghdr *request, uint32_t n_sas);
void xfrm_make_done(struct xfrm_message *m, const struct nlmsghdr *request);

#endif
