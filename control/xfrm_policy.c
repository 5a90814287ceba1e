/* The policies that charon installs beside its SAs.
 *
 * A kernel would decide by them what is encrypted. Here an IPsec link is an interface: routes lead
 * into it, all that comes out of it has passed an SA of its own, and selectors are 0.0.0.0/0 and
 * ::/0 on both sides. So policies are kept to be answered for: charon updates and deletes what it
 * put, and asks for the time of last use (dead peer detection, inactivity), which is the link's.
 * One that selects less than everything is taken as well, and said once: traffic outside of it is
 * refused by the peer, if at all, not by us. Like SAs they survive lintasd in charon's process.
 * Bounded. Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "xfrm_policy.h"

#define POLICIES_MAX 8192 /* three a child, two families, of a thousand links */

struct key {
	struct xfrm_policy_id id;
	uint32_t owner;
	uint16_t vrf;
};

struct entry {
	UT_hash_handle hh;
	struct key key;
	struct sas_from from;
	struct xfrm_policy policy;
	uint64_t id;
	uint64_t added_s;
};

static struct entry *table;
static const struct xfrm_policy_keep *hook;

void xfrm_policy_hook(const struct xfrm_policy_keep *keep)
{
	hook = keep;
}

static struct key make_key(const struct sas_from *from, const struct xfrm_policy_id *id)
{
	struct key key;

	memset(&key, 0, sizeof(key));
	key.id.dir = id->dir;
	key.id.src = id->src;
	key.id.dst = id->dst;
	key.id.sport = id->sport;
	key.id.dport = id->dport;
	key.id.proto = id->proto;
	key.id.if_id = id->if_id;
	key.id.mark = id->mark;
	key.owner = from->owner;
	key.vrf = from->vrf;
	return key;
}

static struct entry *find(
	const struct sas_from *from, const struct xfrm_policy_id *id, uint32_t index)
{
	struct key key = make_key(from, id);
	struct entry *e;

	if (!index) {
		HASH_FIND(hh, table, &key, sizeof(key), e);
		return e;
	}
	for (e = table; e; e = e->hh.next)
		if (e->policy.index == index && e->from.vrf == from->vrf &&
			e->from.owner == from->owner)
			return e;
	return NULL;
}

static const struct link *link_of(const struct sas_from *from, uint32_t if_id)
{
	for (const struct link *link = link_next(NULL); if_id && link; link = link_next(link)) {
		const struct vrf *under;

		if (!link->cfg || link->cfg->encap != CFG_ENCAP_IPSEC || !link->cfg->underlay)
			continue;
		under = vrf_by_name(link->cfg->underlay->vrf->name);
		if (under && under->id == from->vrf && config_if_id(link->cfg) == if_id)
			return link;
	}
	return NULL;
}

static void drop(struct entry *e, bool tell)
{
	if (tell && hook)
		hook->forget(&e->from, e->id);
	HASH_DEL(table, e);
	free(e);
}

int xfrm_policy_put(const struct sas_from *from, const struct xfrm_policy *policy,
	const struct nlmsghdr *given, bool update, uint64_t id)
{
	static uint32_t next_index;
	const struct link *link = link_of(from, policy->id.if_id);
	struct entry *e = find(from, &policy->id, 0);
	bool fresh = !e;
	int rc;

	if (e && !update)
		return -EEXIST;
	if (!e && HASH_COUNT(table) >= POLICIES_MAX)
		return -ENOBUFS;
	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->key = make_key(from, &policy->id);
		e->from = *from;
		e->id = id ? id : now_ns() << 1 | 1; /* SAs' are kept beside them */
		e->added_s = (uint64_t)time(NULL);
		HASH_ADD(hh, table, key, sizeof(e->key), e);
		if (!e->hh.tbl) {
			free(e);
			return -ENOMEM;
		}
	}
	e->policy = *policy;
	/* As in kernels: the direction in the lowest bits. */
	e->policy.index = e->policy.index ? e->policy.index : ++next_index << 3 | policy->id.dir;
	if (fresh && link && policy->id.dir == XFRM_POLICY_OUT &&
		(policy->id.src.len || policy->id.dst.len))
		log_event(LOG_LVL_NOTICE, link->name,
			"traffic selectors narrower than everything: routes decide what is sent, "
			"the peer drops what is outside of them");
	rc = !id && hook ? hook->keep(&e->from, e->id, given) : 0;
	if (rc && fresh)
		drop(e, false);
	return rc;
}

int xfrm_policy_del(const struct sas_from *from, const struct xfrm_policy_id *id, uint32_t index)
{
	struct entry *e = find(from, id, index);

	if (!e)
		return -ENOENT;
	drop(e, true);
	return 0;
}

const struct xfrm_policy *xfrm_policy_find(const struct sas_from *from,
	const struct xfrm_policy_id *id, uint32_t index, struct xfrm_use *ret_use)
{
	struct entry *e = find(from, id, index);
	const struct link *link = e ? link_of(from, e->policy.id.if_id) : NULL;

	if (!e)
		return NULL;
	*ret_use = (struct xfrm_use){
		.added_s = e->added_s,
		.last_s = link ? sas_link_used(link->id, id->dir != XFRM_POLICY_OUT) : 0,
	};
	return &e->policy;
}

static unsigned drop_all(const struct sas_from *from, bool tell)
{
	struct entry *e, *next;
	unsigned n = 0;

	for (e = table; e; e = next) {
		next = e->hh.next;
		if (from && (e->from.vrf != from->vrf || e->from.owner != from->owner))
			continue;
		drop(e, tell);
		n++;
	}
	return n;
}

unsigned xfrm_policy_flush(const struct sas_from *from)
{
	return drop_all(from, true);
}

void xfrm_policy_owner_gone(const struct sas_from *from)
{
	drop_all(from, false);
}

void xfrm_policy_stop(void)
{
	drop_all(NULL, false);
}
