/* The stateless STAMP reflector (RFC 8762 4.3): answers probes to UDP port 862 of our addresses, on
 * the links that ask for it, in the worker that received them.
 *
 * The answer is written over the probe: the sender's fields move to their new places, time stamps
 * and the TTL are added, and it goes back as long as it came, so nothing is gained by forging its
 * source. TLVs (RFC 8972 4) come back marked as not recognised, padding as it is; of authenticated
 * probes only the base packet comes back, the rest is not under its HMAC. A link with a key
 * answers only what bears it. It goes back by the link it came in where a route to the sender leads
 * there, so that a probe measures one link both ways, else as any packet of ours. Control sets a
 * link's entry; workers read it, each with budgets of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "parse.h"
#include "probe.h"
#include "reclaim.h"
#include "route.h"
#include "stamp.h"
#include "vrf.h"

#define LINK_PPS   4000 /* of a link, each worker */
#define LINK_BURST 200
#define UDP_LEN	   8

struct reflector {
	bool auth;
	struct hmac hmac;
	uint64_t answered[DP_WORKERS_MAX]; /* [counter] of each worker */
};

static struct reflector *_Atomic reflectors[DP_LINKS_MAX];
static struct {
	uint64_t tokens, stamp;
} budget[DP_WORKERS_MAX][DP_LINKS_MAX];

/* What a reply needs of the probe before that is written over. */
struct asked {
	uint32_t seq;
	uint64_t time;
	uint16_t error, ssid;
	uint8_t ttl;
};

static void write_plain(struct worker *w, uint8_t *s, unsigned len, const struct asked *a)
{
	memset(s + STAMP_RX, 0, RTE_MIN(len, (unsigned)STAMP_LEN) - STAMP_RX);
	probe_put64(s + STAMP_RX, probe_ntp(w, worker_now(w)));
	probe_put32(s + STAMP_S_SEQ, a->seq);
	probe_put64(s + STAMP_S_TIME, a->time);
	probe_put16(s + STAMP_S_ERR, a->error);
	s[STAMP_S_TTL] = a->ttl;
	probe_put16(s + STAMP_ERR, STAMP_ERROR);
	probe_put64(s + STAMP_TIME, probe_ntp(w, rte_rdtsc()));
}

static void write_auth(struct worker *w, uint8_t *s, const struct hmac *hmac, const struct asked *a)
{
	uint8_t mac[32];

	memset(s + STAMP_TIME, 0, STAMP_AUTH_LEN - STAMP_TIME);
	probe_put16(s + STAMP_AUTH_ERR, STAMP_ERROR);
	probe_put16(s + STAMP_AUTH_SSID, a->ssid);
	probe_put64(s + STAMP_AUTH_RX, probe_ntp(w, worker_now(w)));
	probe_put32(s + STAMP_AUTH_S_SEQ, a->seq);
	probe_put64(s + STAMP_AUTH_S_TIME, a->time);
	probe_put16(s + STAMP_AUTH_S_ERR, a->error);
	s[STAMP_AUTH_S_TTL] = a->ttl;
	probe_put64(s + STAMP_AUTH_TIME, probe_ntp(w, rte_rdtsc()));
	hmac_sign(hmac, s, STAMP_AUTH_MAC, mac);
	memcpy(s + STAMP_AUTH_MAC, mac, STAMP_MAC_LEN);
}

/* RFC 8972 4: flags of what follows the base packet. */
static void mark_tlvs(uint8_t *s, unsigned len)
{
	unsigned at = STAMP_LEN;

	for (unsigned i = 0; i < STAMP_TLVS_MAX && at + STAMP_TLV_LEN <= len; i++) {
		unsigned value = flow_be16(s + at + 2);

		if (at + STAMP_TLV_LEN + value > len) {
			s[at] = STAMP_TLV_MALFORMED;
			return;
		}
		s[at] = s[at + 1] == STAMP_TLV_PADDING ? 0 : STAMP_TLV_UNRECOGNIZED;
		at += STAMP_TLV_LEN + value;
	}
}

/* The UDP payload of len bytes becomes the reply; its length, 0: refused. */
static unsigned reflect(
	struct worker *w, const struct reflector *r, uint8_t *s, unsigned len, uint8_t ttl)
{
	struct asked a = { .ttl = ttl };

	if (len < (r->auth ? STAMP_AUTH_LEN : STAMP_TWAMP_LEN))
		return 0;
	if (r->auth && !hmac_right(&r->hmac, s, STAMP_AUTH_MAC, s + STAMP_AUTH_MAC, STAMP_MAC_LEN))
		return 0;
	a.seq = flow_be32(s + STAMP_SEQ);
	a.time = flow_be64(s + (r->auth ? STAMP_AUTH_TIME : STAMP_TIME));
	a.error = flow_be16(s + (r->auth ? STAMP_AUTH_ERR : STAMP_ERR));
	a.ssid = flow_be16(s + (r->auth ? STAMP_AUTH_SSID : STAMP_SSID));
	if (r->auth) {
		write_auth(w, s, &r->hmac, &a);
		return STAMP_AUTH_LEN;
	}
	write_plain(w, s, len, &a);
	mark_tlvs(s, len);
	return len;
}

static bool leads_back(const struct adj *a, uint16_t link)
{
	return a->kind == DP_ADJ_FORWARD && a->link == link && a->mtu;
}

/* To the sender: by the link the probe came in if a leg of the route is there. */
static const struct adj *way_back(const struct vrf_fib *vrf, uint8_t af, const uint8_t *ours,
	const uint8_t *sender, uint16_t link)
{
	const struct adj *a = route_find(vrf, af, ours, sender, IPPROTO_UDP);
	uint32_t group;

	if (leads_back(a, link))
		return a;
	group = route_lookup(vrf, af, sender);
	for (uint32_t i = 0; i < DP_BUCKETS; i++)
		if (leads_back(route_group_adj(group, i), link))
			return route_group_adj(group, i);
	return a;
}

static void refuse(struct worker *w, const struct packet *k, enum dp_drop reason)
{
	drop(w, k->m, k->in, reason);
}

static void answer(struct worker *w, const struct packet *k, struct reflector *r,
	const struct vrf_fib *vrf, unsigned off, unsigned len)
{
	unsigned size = ip_size(k->af), head = k->af == AF_INET ? IP4_MIN : IP6_LEN, n;
	const uint8_t *from = k->ip + (k->af == AF_INET ? 12 : 8);
	uint8_t *l4 = k->ip + off, *ip = l4 - head, sender[16], ours[16], port[2];
	uint8_t ttl = k->ip[k->af == AF_INET ? 8 : 7];
	uint8_t tos = k->af == AF_INET ? k->ip[1] : (uint8_t)(k->ip[0] << 4 | k->ip[1] >> 4);
	const struct adj *a;

	memcpy(sender, from, size);
	memcpy(ours, from + size, size);
	a = way_back(vrf, k->af, ours, sender, k->in);
	if (a->kind != DP_ADJ_FORWARD && a->kind != DP_ADJ_GLEAN)
		return refuse(w, k, DP_DROP_no_route);
	/* Not elsewhere than the asker's zone may reach; back to where it came from, always. */
	if (a->link != k->in && !policy_allows(w->snap, k->in, a->link))
		return refuse(w, k, DP_DROP_zone_deny);
	n = reflect(w, r, l4 + UDP_LEN, len - UDP_LEN, ttl);
	if (!n)
		return refuse(w, k, DP_DROP_stamp_bad);
	n += UDP_LEN;
	meter_count(w, k->in, 0, 1, k->len);
	count_add(&r->answered[w->index], 1);
	memcpy(port, l4, 2);
	memcpy(l4, l4 + 2, 2);
	memcpy(l4 + 2, port, 2);
	probe_put16(l4 + 4, n);
	probe_put16(l4 + 6, 0);
	probe_ip(w, ip, k->af, ours, sender, IPPROTO_UDP, n, STAMP_TTL, tos & 0xfc);
	probe_checksum(ip, k->af, l4, n, IPPROTO_UDP, 6);
	mbuf_meta(k->m)->link = 0;
	route_own(w, k->m, ip, (uint16_t)(head + n), k->af, a);
}

/* Another reflector's answer, or one that would come to ourselves: each would answer for ever. */
static bool endless(const struct packet *k, unsigned off)
{
	const uint8_t *src = k->ip + (k->af == AF_INET ? 12 : 8);
	unsigned size = ip_size(k->af);

	return flow_be16(k->ip + off) == STAMP_PORT || !memcmp(src, src + size, size);
}

bool reflector_take(
	struct worker *w, const struct packet *k, const struct link *l, unsigned off, unsigned len)
{
	struct reflector *r = atomic_load_explicit(&reflectors[k->in], memory_order_acquire);
	const struct vrf_fib *vrf = vrf_get(l->conf.vrf);
	const uint8_t *dst = k->ip + (k->af == AF_INET ? 16 : 24);
	uint64_t cost = rte_get_tsc_hz() / LINK_PPS;

	if (!r || !vrf)
		return false;
	/* To an address of ours alone: not to a subnet's broadcast, not in a link's. */
	if ((k->note & NOTE_MULTI) || endless(k, off) ||
		route_find(vrf, k->af, dst, dst, IPPROTO_UDP)->kind != DP_ADJ_LOCAL) {
		refuse(w, k, DP_DROP_stamp_bad);
		return true;
	}
	if (!budget_take(&budget[w->index][k->in].tokens, &budget[w->index][k->in].stamp,
		    worker_now(w), cost, cost * LINK_BURST)) {
		refuse(w, k, DP_DROP_stamp_limited);
		return true;
	}
	answer(w, k, r, vrf, off, len);
	return true;
}

/* ---- control ---- */

static void reflector_free(void *arg)
{
	struct reflector *r = arg;

	if (r)
		hmac_wipe(&r->hmac);
	free(r);
}

static void publish(uint16_t link, struct reflector *r)
{
	struct reflector *old = atomic_exchange(&reflectors[link], r);

	atomic_fetch_add(&probe_watching, (r ? 1u : 0u) - (old ? 1u : 0u));
	if (old)
		reclaim_defer(reflector_free, old);
}

int dp_reflector_set(uint16_t link, bool on, const void *key, size_t key_len)
{
	struct reflector *r = NULL;

	if (!link || link >= DP_LINKS_MAX)
		return -EINVAL;
	if (on) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->auth = key;
		if (key)
			hmac_key(&r->hmac, key, key_len);
	}
	publish(link, r);
	return 0;
}

uint64_t dp_reflector_count(uint16_t link)
{
	const struct reflector *r = link < DP_LINKS_MAX ? reflectors[link] : NULL;
	uint64_t sum = 0;

	for (unsigned i = 0; r && i < DP_WORKERS_MAX; i++)
		sum += __atomic_load_n(&r->answered[i], __ATOMIC_RELAXED);
	return sum;
}

void reflector_exit(void)
{
	for (unsigned i = 0; i < DP_LINKS_MAX; i++) {
		reflector_free(reflectors[i]);
		reflectors[i] = NULL;
	}
}
