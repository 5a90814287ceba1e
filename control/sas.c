/* The table of security associations: by (underlay VRF, destination, SPI, protocol), as RFC 4301
 * 4.4.2 and every kernel have it.
 *
 * Who negotiates (sas.h) puts an SA here; it is acknowledged when the fast path has it, not before,
 * and a refusal says what would have to be different. What it belongs to is not in the packets but
 * in the SA's if_id: the number of a link of ours (config_if_id). An SA between other ends than the
 * link's, in another mode, with algorithms that we have not, is refused, for what cannot be done
 * must not be believed done. Numbers for inbound SAs are drawn here, from the kernel's random ones.
 *
 * The message that brought an SA is kept as it was, with its keys, because it is asked for (GETSA),
 * and because lintasd hands it to the process of charon to keep (hooks, xfrm_vault.c): lintasd may
 * end and come again without a single tunnel being negotiated anew. Keys are wiped from everything
 * else at once, from here when the SA goes. Bounded: DP_SAS_MAX, SAS_OF_LINK_MAX a link, and a VRF
 * may not take what is another's share (sas_link.c). Control thread only. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipsec.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "sas_own.h"

#define SPI_MIN	   256 /* RFC 4303 2.1 */
#define SPI_TRIES  64
#define ASIDE_MAX  1024 /* of one VRF: numbers set aside and not yet used */
#define REPLAY_MIN 64

struct sas_stats sas_stats;

static struct sas_sa *table, *by_index[DP_SAS_MAX];
static const struct sas_hooks *hooks[SAS_SOURCES];

/* ---- finding ---- */
void sas_hook(enum sas_source source, const struct sas_hooks *h)
{
	hooks[source] = h;
}

const struct sas_hooks *sas_hooks_of(const struct sas_sa *sa)
{
	static const struct sas_hooks none;

	return hooks[sa->from.source] ? hooks[sa->from.source] : &none;
}

static struct sas_key make_key(uint16_t vrf, const struct xfrm_sa_id *id)
{
	struct sas_key key;

	memset(&key, 0, sizeof(key));
	key.dst = id->dst;
	key.spi = id->spi;
	key.vrf = vrf;
	key.proto = id->proto;
	return key;
}

static struct sas_sa *find(const struct sas_key *key)
{
	struct sas_sa *sa;

	HASH_FIND(hh, table, key, sizeof(*key), sa);
	return sa;
}

struct sas_sa *sas_find(uint16_t vrf, const struct xfrm_sa_id *id)
{
	struct sas_key key = make_key(vrf, id);

	return find(&key);
}

struct sas_sa *sas_next(const struct sas_sa *after)
{
	return after ? after->hh.next : table;
}

struct sas_sa *sas_by_index(unsigned index)
{
	return index < DP_SAS_MAX ? by_index[index] : NULL;
}

/* ---- coming and going ---- */
static uint64_t fresh_id(void)
{
	static uint64_t last; /* the clock's: also a later lintasd's are others */
	uint64_t now = now_ns();

	last = now > last ? now : last + 1;
	return last;
}

static void given_free(struct sas_sa *sa)
{
	if (sa->given)
		explicit_bzero(sa->given, sa->given->nlmsg_len);
	free(sa->given);
	sa->given = NULL;
}

static int given_set(struct sas_sa *sa, const struct nlmsghdr *given)
{
	struct nlmsghdr *copy = given ? malloc(given->nlmsg_len) : NULL;

	if (given && !copy)
		return -ENOMEM;
	if (copy)
		memcpy(copy, given, given->nlmsg_len);
	given_free(sa);
	sa->given = copy;
	return 0;
}

/* In the table, without anything of its own. */
static struct sas_sa *sa_new(const struct sas_key *key, const struct sas_from *from)
{
	struct sas_sa *sa = calloc(1, sizeof(*sa));
	bool added = false;

	if (!sa)
		return NULL;
	sa->key = *key;
	sa->from = *from;
	sa->larval = true;
	sa->index = -1;
	sa->id = fresh_id();
	sa->added_ns = now_ns();
	HASH_ADD(hh, table, key, sizeof(sa->key), sa);
	added = sa->hh.tbl;
	if (!added) {
		free(sa);
		return NULL;
	}
	sas_stats.larval++;
	return sa;
}

static void sa_free(struct sas_sa *sa)
{
	HASH_DEL(table, sa);
	if (sa->larval)
		sas_stats.larval--;
	else
		sas_stats.sas--;
	sas_stats.orphans -= sa->orphan;
	given_free(sa);
	free(sa);
}

static const char *link_name(uint16_t id)
{
	const struct link *link = link_by_id(id);

	return link ? link->name : NULL;
}

void sas_remove(struct sas_sa *sa, const char *why, bool tell)
{
	if (tell && sas_hooks_of(sa)->forget)
		sas_hooks_of(sa)->forget(sa);
	if (!sa->larval) {
		sas_link_take(sa, why);
		by_index[sa->index] = NULL;
		dp_sa_del((unsigned)sa->index);
		log_event(LOG_LVL_INFO, link_name(sa->link), "SA %08x %s: %s", sa->key.spi,
			sa->conf.inbound ? "in" : "out", why);
	}
	sa_free(sa);
}

void sas_del(struct sas_sa *sa)
{
	sas_stats.dels++;
	sas_remove(sa, "deleted by who negotiated it", true);
}

unsigned sas_flush(enum sas_source source, uint16_t vrf, uint8_t proto)
{
	struct sas_sa *sa, *next;
	unsigned n = 0;

	for (sa = table; sa; sa = next) {
		next = sa->hh.next;
		if (sa->from.source != source || sa->from.vrf != vrf)
			continue;
		if (proto && proto != IPSEC_PROTO_ANY && proto != sa->key.proto)
			continue;
		sas_remove(sa, "all were deleted", true);
		n++;
	}
	return n;
}

void sas_owner_gone(const struct sas_from *from)
{
	struct sas_sa *sa, *next;

	for (sa = table; sa; sa = next) {
		next = sa->hh.next;
		if (memcmp(&sa->from, from, sizeof(*from)) || sa->orphan)
			continue;
		if (sa->larval) {
			sas_remove(sa, "its charon ended", false);
			continue;
		}
		sa->orphan = true;
		sas_stats.orphans++;
	}
}

void sas_owner_back(struct sas_sa *sa)
{
	sas_stats.orphans -= sa->orphan;
	sa->orphan = false;
	sa->doomed_ns = 0;
}

/* ---- numbers ---- */
static unsigned aside_of(uint16_t vrf)
{
	unsigned n = 0;

	for (const struct sas_sa *sa = table; sa; sa = sa->hh.next)
		n += sa->larval && sa->from.vrf == vrf;
	return n;
}

int sas_set_aside(const struct sas_from *from, const struct xfrm_sa *sa,
	const struct nlmsghdr *given, uint32_t *ret_spi, const char **ret_why)
{
	uint32_t min = sa->spi_min < SPI_MIN ? SPI_MIN : sa->spi_min, max = sa->spi_max, draw;
	struct sas_key key = make_key(from->vrf, &sa->id);
	struct nlmsghdr *named;
	struct sas_sa *fresh;
	int rc;

	*ret_why = "no such numbers";
	if (max < min || sa->id.proto != IPPROTO_ESP)
		return -EINVAL;
	*ret_why = "too many numbers set aside and not used";
	if (sas_stats.larval >= ASIDE_MAX && aside_of(from->vrf) >= ASIDE_MAX)
		return -ENOBUFS;
	for (unsigned i = 0; i < SPI_TRIES; i++) {
		if (getrandom(&draw, sizeof(draw), GRND_NONBLOCK) != sizeof(draw))
			return -EAGAIN;
		key.spi = min + (uint32_t)(draw % ((uint64_t)max - min + 1));
		if (find(&key))
			continue;
		fresh = sa_new(&key, from);
		if (!fresh || given_set(fresh, given)) {
			if (fresh)
				sa_free(fresh);
			return -ENOMEM;
		}
		fresh->src = sa->src;
		fresh->reqid = sa->reqid;
		named = fresh->given;
		((struct xfrm_usersa_info *)NLMSG_DATA(named))->id.spi = htonl(key.spi);
		*ret_why = "nobody keeps it for lintasd's next start";
		rc = sas_hooks_of(fresh)->keep ? sas_hooks_of(fresh)->keep(fresh) : 0;
		if (rc) {
			sa_free(fresh);
			return rc;
		}
		*ret_spi = key.spi;
		return 0;
	}
	*ret_why = "no number is free";
	return -ENOENT;
}

/* ---- putting ---- */
/* In words, what cannot be done; NULL: it can. */
static const char *cannot(const struct xfrm_sa *sa)
{
	if (sa->id.proto != IPPROTO_ESP)
		return "only ESP is supported: remove ah_proposals";
	if (sa->mode != XFRM_MODE_TUNNEL)
		return "only tunnel mode is supported: set mode = tunnel";
	if (sa->hardware)
		return "the fast path encrypts itself: set hw_offload = no";
	if (!sa->keyed)
		return "it has no algorithms";
	return sa->foreign;
}

static void shape(
	const struct xfrm_sa *sa, const struct link *link, bool inbound, struct dp_sa *ret_conf)
{
	uint32_t window = inbound ? sa->window : 0;

	if (window && window < REPLAY_MIN)
		window = REPLAY_MIN;
	if (window > DP_REPLAY_MAX)
		window = DP_REPLAY_MAX;
	*ret_conf = (struct dp_sa){
		.link = link->id,
		.inbound = inbound,
		.spi = sa->id.spi,
		.udp_local = sa->udp ? inbound ? sa->udp_dst : sa->udp_src : 0,
		.udp_remote = sa->udp ? inbound ? sa->udp_src : sa->udp_dst : 0,
		.cipher = sa->cipher,
		.auth = sa->auth,
		.key_len = sa->key_len,
		.auth_len = sa->auth_len,
		.esn = sa->esn,
		.replay = (uint16_t)window,
		.seq = inbound ? sa->seq_in : sa->seq_out,
		.soft_bytes = sa->limits.soft_bytes,
		.hard_bytes = sa->limits.hard_bytes,
		.soft_packets = sa->limits.soft_packets,
		.hard_packets = sa->limits.hard_packets,
	};
	memcpy(ret_conf->key, sa->key, sizeof(sa->key));
	memcpy(ret_conf->auth_key, sa->auth_key, sizeof(sa->auth_key));
}

static const char *refusal(int rc)
{
	switch (rc) {
	case -ENOTSUP:
		return "the fast path has no such algorithm, or not this key, or not this UDP port";
	case -EEXIST:
		return "another SA of these ends has this SPI";
	case -ENOENT:
		return "the fast path does not have the link yet";
	case -ENOMEM:
		return "no memory";
	case -EBUSY:
		return "the SA there has other keys";
	}
	return "the fast path refused it";
}

static int index_free(void)
{
	static unsigned next; /* not reused soon: counters of the last one may still be read */

	for (unsigned i = 0; i < DP_SAS_MAX; i++, next++)
		if (!by_index[next % DP_SAS_MAX])
			return (int)(next++ % DP_SAS_MAX);
	return -1;
}

/* The fast path takes it; sa is as it was if not. */
static int install(struct sas_sa *sa, const struct dp_sa *conf, const char **ret_why)
{
	int index = sa->larval ? index_free() : sa->index, rc;

	*ret_why = "no room";
	if (index < 0)
		return -ENOSPC;
	rc = dp_sa_set((unsigned)index, conf);
	*ret_why = rc ? refusal(rc) : "";
	if (rc)
		return rc;
	if (sa->larval) {
		sa->larval = false;
		sas_stats.larval--;
		sas_stats.sas++;
	}
	sa->index = index;
	by_index[index] = sa;
	sa->conf = *conf;
	explicit_bzero(sa->conf.key, sizeof(sa->conf.key));
	explicit_bzero(sa->conf.auth_key, sizeof(sa->conf.auth_key));
	sa->link = conf->link;
	return 0;
}

static bool same_message(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	return a && a->nlmsg_len == b->nlmsg_len &&
	       !memcmp(a + 1, b + 1, a->nlmsg_len - sizeof(*a));
}

/* It was larval and has its keys now, or its limits are others. */
static int fill(struct sas_sa *sa, const struct xfrm_sa *x, const struct nlmsghdr *given, bool keep,
	const char **ret_why)
{
	bool fresh = sa->larval, inbound;
	struct link *link = NULL;
	struct dp_sa conf;
	int rc = sas_link_of(&sa->from, x, &link, &inbound, ret_why);

	if (!rc && fresh)
		rc = sas_link_room(link, ret_why);
	if (rc)
		return rc;
	shape(x, link, inbound, &conf);
	if (!fresh)
		conf.seq = sa->conf.seq;
	rc = install(sa, &conf, ret_why);
	explicit_bzero(&conf, sizeof(conf));
	if (rc)
		return rc;
	sa->src = x->src;
	sa->reqid = x->reqid;
	sa->limits = x->limits;
	memcpy(sa->name, x->name, sizeof(sa->name));
	*ret_why = "no memory";
	if (given_set(sa, given))
		return -ENOMEM;
	/* Before the first packet leaves: else a lintasd that died now would come again and begin
	 * with the same sequence numbers. */
	if (fresh && !inbound && !sa->seq)
		sa->seq = sas_lease(&sa->conf, sa->conf.seq);
	*ret_why = "nobody keeps it for lintasd's next start";
	rc = keep && sas_hooks_of(sa)->keep ? sas_hooks_of(sa)->keep(sa) : 0;
	if (!rc && fresh)
		sas_link_add(sa);
	return rc;
}

static int refuse(const struct sas_from *from, const struct xfrm_sa *x, int rc, const char *why)
{
	const struct vrf *vrf = vrf_by_id(from->vrf);

	sas_stats.refused++;
	log_event(LOG_LVL_WARN, vrf ? vrf->name : NULL, "SA %08x (if_id %#x) refused: %s",
		x->id.spi, x->if_id, why);
	return rc;
}

int sas_put(const struct sas_from *from, const struct xfrm_sa *x, const struct nlmsghdr *given,
	bool update, const char **ret_why)
{
	struct sas_key key = make_key(from->vrf, &x->id);
	struct sas_sa *sa = find(&key);
	bool fresh = !sa, live;
	int rc;

	*ret_why = "there is none";
	if (update && !sa)
		return -ESRCH;
	*ret_why = "there is one already";
	if (!update && sa && !sa->larval) /* said again: the first answer was lost */
		return same_message(sa->given, given) ? 0 : -EEXIST;
	*ret_why = cannot(x);
	if (*ret_why)
		return refuse(from, x, -EPROTONOSUPPORT, *ret_why);
	if (!sa)
		sa = sa_new(&key, from);
	*ret_why = "no memory";
	if (!sa)
		return -ENOMEM;
	live = !sa->larval;
	rc = fill(sa, x, given, true, ret_why);
	if (!rc) {
		sas_stats.puts++;
		return 0;
	}
	if (!live && (fresh || !sa->larval)) /* a number stays set aside, what worked works on */
		sas_remove(sa, *ret_why, false);
	return refuse(from, x, rc, *ret_why);
}

int sas_take_back(const struct sas_from *from, const struct nlmsghdr *given, uint64_t id,
	uint64_t seq, uint64_t added_ns, const char **ret_why)
{
	const char *why;
	struct link *link;
	struct sas_key key;
	struct sas_sa *sa;
	struct xfrm_sa x;
	bool inbound;
	int rc = xfrm_parse_sa(given, &x, NULL);

	*ret_why = "cut";
	key = make_key(from->vrf, &x.id);
	if (!rc && find(&key)) {
		*ret_why = "it is here already";
		rc = -EEXIST;
	}
	sa = rc ? NULL : sa_new(&key, from);
	if (sa) {
		sa->id = id;
		sa->added_ns = added_ns;
		x.seq_in = x.seq_out = sa->seq = seq;
		sa->src = x.src;
		if (!sas_link_of(from, &x, &link, &inbound, &why) && !inbound)
			rc = sas_renew(sa);
		*ret_why = "its numbers cannot be kept for lintasd's next start";
		rc = rc					      ? rc
		     : given->nlmsg_type == XFRM_MSG_ALLOCSPI ? given_set(sa, given)
							      : fill(sa, &x, given, false, ret_why);
	} else if (!rc) {
		rc = -ENOMEM;
	}
	xfrm_wipe(&x);
	if (rc && sa)
		sas_remove(sa, *ret_why, false);
	sas_stats.taken_back += !rc;
	return rc;
}

/* ---- static ---- */
int sas_static_put(const struct dp_sa *conf, const char *name, const char **ret_why)
{
	const struct link *link = link_by_id(conf->link);
	const struct vrf *vrf;
	struct sas_from from;
	struct sas_key key;
	struct sas_sa *sa;
	int rc;

	*ret_why = "no such link";
	if (!link || !link->cfg || !link->cfg->underlay)
		return -ENOENT;
	vrf = vrf_by_name(link->cfg->underlay->vrf->name);
	memset(&from, 0, sizeof(from));
	from.source = SAS_STATIC;
	from.vrf = vrf ? vrf->id : link->vrf->id;
	memset(&key, 0, sizeof(key));
	key.dst = conf->inbound ? link->cfg->local : link->cfg->remote;
	key.spi = conf->spi;
	key.vrf = from.vrf;
	key.proto = IPPROTO_ESP;
	*ret_why = "another SA of these ends has this SPI";
	if (find(&key))
		return -EEXIST;
	rc = sas_link_room(link, ret_why);
	if (rc)
		return rc;
	*ret_why = "no memory";
	sa = sa_new(&key, &from);
	if (!sa)
		return -ENOMEM;
	rc = install(sa, conf, ret_why);
	if (rc) {
		sa_free(sa);
		return rc;
	}
	if (!conf->inbound) /* its owner has that on the disk */
		sa->seq = sas_lease(&sa->conf, sa->conf.seq);
	sa->src = conf->inbound ? link->cfg->remote : link->cfg->local;
	snprintf(sa->name, sizeof(sa->name), "%s", name);
	sas_link_add(sa);
	sas_stats.puts++;
	return 0;
}

void sas_static_clear(const struct link *link)
{
	struct sas_sa *sa, *next;

	for (sa = table; sa; sa = next) {
		next = sa->hh.next;
		if (sa->from.source == SAS_STATIC && sa->link == link->id)
			sas_remove(sa, "no longer in the configuration", true);
	}
}

/* ---- the whole ---- */
int sas_start(void)
{
	return sas_life_start();
}

/* Nobody is told: what is kept for us is for the next lintasd. */
void sas_stop(void)
{
	sas_life_stop();
	while (table)
		sas_remove(table, "lintasd ends", false);
	sas_link_stop();
}
