/* Security associations: what somebody negotiated becomes what the fast path works with.
 *
 * charon (xfrm_server.c), a kernel with IPsec (xfrm_mirror.c) and the configuration (static ones)
 * put SAs here; each is told what becomes of its own by hooks. Control thread only. */
#ifndef LINTAS_SAS_H
#define LINTAS_SAS_H

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(obj) ((void)(obj))
#include <uthash.h>
#include "control.h"
#include "xfrm.h"

#define SAS_OF_LINK_MAX 16  /* a rekeying has four at most; peers that start it at once, eight */
#define SAS_LARVAL_S	165 /* a number that is set aside and never used, as in kernels */
#define SAS_ORPHAN_S	10  /* SAs of a charon that died, once a new one has brought others */

enum sas_source { SAS_CHARON, SAS_KERNEL, SAS_STATIC, SAS_SOURCES };

struct sas_key { /* no padding may differ: memset before it is filled */
	struct ip_addr dst;
	uint32_t spi;
	uint16_t vrf; /* the underlay's */
	uint8_t proto;
};

struct sas_from {
	uint32_t owner;	 /* of the source: which charon */
	uint16_t vrf;	 /* id */
	uint16_t source; /* enum sas_source */
};

struct sas_sa { /* read only, but for sas*.c */
	UT_hash_handle hh;
	struct sas_key key;
	struct sas_from from;
	struct ip_addr src;
	uint64_t id;	    /* of all times */
	bool larval;	    /* a number, nothing else */
	bool soft_said;	    /* its owner was told that it is time for another */
	bool orphan;	    /* its owner has gone */
	uint64_t doomed_ns; /* orphans: until then; 0: as long as nobody replaces it */
	uint16_t link;	    /* 0: larval */
	int index;	    /* of the fast path; -1: larval */
	struct dp_sa conf;  /* without keys */
	struct xfrm_limits limits;
	uint32_t reqid;
	char name[80];	   /* its algorithms */
	uint64_t added_ns; /* CLOCK_MONOTONIC */
	int64_t first_s;   /* of its first packet, since 1970; 0: none yet */
	/* What its owner has been told: outbound, numbers up to this may have been used; inbound,
	 * the highest seen. */
	uint64_t seq;
	uint64_t seq_ns;	/* when */
	struct nlmsghdr *given; /* the message that brought it, keys and all; NULL: static */
};

struct sas_hooks { /* each may be NULL */
	/* It is new or changed, and will be acknowledged: not 0 undoes it. */
	int (*keep)(const struct sas_sa *sa);
	int (*seq)(const struct sas_sa *sa); /* sa->seq has moved; not 0: nobody was told */
	void (*forget)(const struct sas_sa *sa);
	void (*expired)(const struct sas_sa *sa, bool hard); /* hard: it goes after this */
};
void sas_hook(enum sas_source source, const struct sas_hooks *hooks);

int sas_start(void); /* the timer; the ciphers, if a link wants them */
void sas_stop(void); /* nobody is told */

/* ---- sas.c: the table ---- */
/* ALLOCSPI: a number of ours nobody else has. */
int sas_set_aside(const struct sas_from *from, const struct xfrm_sa *sa,
	const struct nlmsghdr *given, uint32_t *ret_spi, const char **ret_why);
/* NEWSA; update: UPDSA. 0: the fast path has it. -ESRCH: nothing to update; -EEXIST; else *ret_why
 * says what to do. Keys in sa are the caller's to wipe. */
int sas_put(const struct sas_from *from, const struct xfrm_sa *sa, const struct nlmsghdr *given,
	bool update, const char **ret_why);
/* What a former lintasd gave away to be kept: with its number, and how old it is. */
int sas_take_back(const struct sas_from *from, const struct nlmsghdr *given, uint64_t id,
	uint64_t seq, uint64_t added_ns, const char **ret_why);
struct sas_sa *sas_find(uint16_t vrf, const struct xfrm_sa_id *id);
struct sas_sa *sas_next(const struct sas_sa *after); /* NULL: the first */
/* Its owner wants it gone. */
void sas_del(struct sas_sa *sa);
/* All of a source in a VRF, or of one protocol (0: any). Returns how many. */
unsigned sas_flush(enum sas_source source, uint16_t vrf, uint8_t proto);
/* SAs of this owner go on until they end or others have come. */
void sas_owner_gone(const struct sas_from *from);
/* It is this SA's again: it was only away. */
void sas_owner_back(struct sas_sa *sa);
void sas_use_of(struct sas_sa *sa, struct xfrm_use *ret_use, struct dp_sa_info *ret_info);

/* ---- static ones (SAS_STATIC) ---- */
/* conf: as for dp_sa_set, with a valid link; keys are copied. Of a link with static SAs the last
 * one put outbound is used. GCM needs a seq that never returns: the caller's duty. */
int sas_static_put(const struct dp_sa *conf, const char *name, const char **ret_why);
void sas_static_clear(const struct link *link);
/* sas_static.c: those of control.running are put, those that left are cleared, soon. */
void sas_static_config_changed(void);
void sas_static_stop(void);

/* ---- sas_link.c: what a link makes of its SAs ---- */
bool sas_link_ready(const struct link *link); /* it has one to send by */
/* Why not; never NULL. sas_link_none: it never had one. */
const char *sas_link_why(const struct link *link);
extern const char *const sas_link_none;
/* why: as long as the link is without, for sas_link_why; it must stay where it is. */
void sas_link_blame(const struct link *link, const char *why);
const struct sas_sa *sas_link_out(const struct link *link); /* by which it sends; NULL: none */
void sas_link_gone(const struct link *link);
void sas_config_changed(void);
/* When was a packet of the link last seen, seconds since 1970; 0: never. */
uint64_t sas_link_used(uint16_t link, bool inbound);

/* ---- sas_life.c ---- */
void sas_event(unsigned index); /* DP_EV_SA */

struct sas_stats {
	unsigned sas, larval, orphans;
	uint64_t puts, dels, refused, expired_soft, expired_hard, taken_back;
};
extern struct sas_stats sas_stats;

#endif
