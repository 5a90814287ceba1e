/* The pipeline: a vector of packets through every stage, in the order of stages.def and no other.
 *
 * Three ways in. pipeline_run takes what a port received. pipeline_inject takes frames the kernel
 * sent on a link's interface: complete, so they only get the link's tags or its tunnel header.
 * pipeline_resume takes packets that waited for a neighbour, from route on; pipeline_fail answers
 * those whose neighbour never came. All run on the worker's own thread, between two quiescent
 * states, with w->snap loaded for the vector.
 *
 * Decapsulation is the one loop: what comes out of a tunnel is parsed and routed behind the packets
 * already in the lanes, and everybody goes on together. Each round takes a tunnel off, and decap
 * allows two. */
#include <rte_ether.h>
#include "encap.h"
#include "esp.h"
#include "flow.h"
#include "icmp.h"
#include "parse.h"
#include "pmtu.h"
#include "rewrite.h"
#include "route.h"
#include "snapshot.h"
#include "virtual.h"
#include "vrf.h"

void lane_compact(struct lane *v)
{
	unsigned k = 0;

	for (unsigned i = 0; i < v->n; i++) {
		if (!v->m[i])
			continue;
		v->m[k] = v->m[i];
		v->ip[k] = v->ip[i];
		v->adj[k] = v->adj[i];
		v->len[k] = v->len[i];
		v->in[k] = v->in[i];
		v->note[k] = v->note[i];
		v->aged[k] = v->aged[i];
		k++; /* what only route reads stays behind */
	}
	v->n = k;
	v->gone = 0;
}

/* Does a lane of one ingress link go one way? */
static inline bool one_way(const struct lane *v)
{
	uint32_t way = v->adj[0]->way, differ = 0;

	for (unsigned i = 1; i < v->n; i++)
		differ |= v->adj[i]->way ^ way;
	return !differ;
}

/* Where flows are spread over links no branch could foresee where a run ends: so none is taken,
 * each packet writes the end of the run it is in. */
void lane_runs(struct lane *v)
{
	uint32_t sum = 0, way = 0, in = UINT32_MAX;
	unsigned r = 0, n = v->n;

	v->n_runs = 0;
	if (!n)
		return;
	if (v->quick && one_way(v)) {
		for (unsigned i = 0; i < n; i++)
			sum += v->len[i];
		v->run[1] = (struct run){ v->adj[0], sum, v->in[0], (uint8_t)n };
		v->n_runs = 1;
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct adj *a = v->adj[i];

		r += (v->in[i] != in) | (a->way != way);
		in = v->in[i];
		way = a->way;
		sum += v->len[i];
		v->run[r] = (struct run){ a, sum, (uint16_t)in, (uint8_t)(i + 1) };
	}
	v->n_runs = r;
}

/* With the first packet the lane's VRF is its own; with the first of another VRF there is none for
 * all any more. */
void lane_mix(struct lane *v, const struct vrf_fib *vrf, uint8_t af)
{
	if (!v->n) {
		v->vrf = vrf;
		return;
	}
	for (unsigned i = 0; v->vrf && i < v->n; i++)
		af == AF_INET ? (void)(v->fib4[i] = v->vrf->v4) : (void)(v->fib6[i] = v->vrf->v6);
	v->vrf = NULL;
	af == AF_INET ? (void)(v->fib4[v->n] = vrf->v4) : (void)(v->fib6[v->n] = vrf->v6);
}

/* ---- timing: one vector in 256 ---- */

struct clock {
	bool on;
	uint64_t last;
};

static inline void clock_stage(struct worker *w, struct clock *c, enum stage stage)
{
	uint64_t now;

	_Static_assert(STAGE_COUNT <= RTE_DIM(w->lap), "a counter each");
	if (likely(!c->on))
		return;
	now = rte_rdtsc();
	w->lap[stage] += clock_spent(w, c->last, now);
	c->last = now;
}

/* The least that clock_stage ever takes with nothing between two calls. */
unsigned pipeline_clock_cost(void)
{
	uint64_t least = UINT32_MAX, sum = 0, last = rte_rdtsc();

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t now = rte_rdtsc();

		count_add(&sum, now - last);
		least = RTE_MIN(least, now - last);
		last = now;
	}
	return (unsigned)least;
}

/* ---- the stages ---- */

static void tx_lane(struct worker *w, const struct lane *v)
{
	if (unlikely(v->n_runs > v->n / 4)) { /* spread: who knows to which port the next goes */
		for (unsigned i = 0; i < v->n; i++)
			tx_send(w, v->adj[i]->port, v->m[i]);
		return;
	}
	for (const struct run *r = v->run + 1; r <= v->run + v->n_runs; r++)
		tx_send_bulk(w, r->adj->port, v->m + r[-1].end, r->end - r[-1].end);
}

static void run_from_route(struct worker *w, struct pass *p, struct clock *c)
{
	unsigned from4 = 0, from6 = 0;

	route_run(w, p, 0, 0);
	clock_stage(w, c, STAGE_route);
	while (unlikely(p->n_decap | p->n_esp)) {
		from4 = p->v4.n;
		from6 = p->v6.n;
		decap_run(w, p);
		clock_stage(w, c, STAGE_decap);
		if (p->n_esp) {
			esp_open(w, p);
			clock_stage(w, c, STAGE_decrypt);
		}
		route_run(w, p, from4, from6);
		clock_stage(w, c, STAGE_route);
	}
	policy_run(w, p);
	clock_stage(w, c, STAGE_policy);
	rewrite_run(w, p);
	clock_stage(w, c, STAGE_rewrite);
	if (w->esp_pending) {
		esp_flush(w);
		clock_stage(w, c, STAGE_encrypt);
	}
	meter_run(w, p);
	clock_stage(w, c, STAGE_meter);
	tx_lane(w, &p->v4);
	tx_lane(w, &p->v6);
	clock_stage(w, c, STAGE_tx);
}

static inline void lane_init(struct lane *v)
{
	v->n = v->gone = 0;
	v->quick = true;
	v->run[0] = (struct run){ 0 };
	v->vrf = NULL;
}

static inline void pass_init(struct pass *p)
{
	lane_init(&p->v4);
	lane_init(&p->v6);
	p->n_decap = p->n_esp = 0;
}

void pipeline_run(struct worker *w, uint16_t port, struct rte_mbuf **pkts, unsigned n)
{
	struct clock c = { .on = w->sample, .last = w->sample ? rte_rdtsc() : 0 };
	struct pass p;

	pass_init(&p);
	parse_run(w, &p, port, pkts, n);
	clock_stage(w, &c, STAGE_parse);
	run_from_route(w, &p, &c);
}

/* ---- held packets ---- */

static const struct link *vrf_link(const struct worker *w, const struct mbuf_meta *meta)
{
	return snapshot_link(w->snap, meta->link ? meta->link : meta->out_link);
}

/* The packet as hold_send had it. False: its link, VRF or shape is gone, and so is m. */
static bool unhold(
	struct worker *w, struct rte_mbuf *m, struct packet *ret_k, const struct vrf_fib **ret_vrf)
{
	const struct mbuf_meta *meta = mbuf_meta(m);
	const struct link *l = vrf_link(w, meta);
	unsigned min = meta->af == AF_INET ? IP4_MIN : IP6_LEN;
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, meta->l3_off);

	*ret_vrf = l ? vrf_get(l->conf.vrf) : NULL;
	if (!*ret_vrf || meta->l3_off + min > rte_pktmbuf_data_len(m)) {
		drop(w, m, 0, DP_DROP_link_down);
		return false;
	}
	*ret_k = (struct packet){ .m = m, .ip = ip, .in = meta->link, .af = meta->af };
	ret_k->len =
		meta->af == AF_INET ? flow_be16(ip + 2) : (uint16_t)(flow_be16(ip + 4) + IP6_LEN);
	if (meta->af == AF_INET && ip[0] != 0x45)
		ret_k->note = NOTE_OPTIONS;
	return true;
}

/* Ours: routed again, but its time does not run. */
static void resume_own(struct worker *w, const struct packet *k, const struct vrf_fib *vrf)
{
	const uint8_t *src = k->ip + (k->af == AF_INET ? 12 : 8);
	uint8_t proto = k->af == AF_INET ? k->ip[9] : k->ip[6];

	route_own(w, k->m, k->ip, k->len, k->af,
		route_find(vrf, k->af, src, src + ip_size(k->af), proto));
}

void pipeline_resume(struct worker *w, struct rte_mbuf **pkts, unsigned n)
{
	struct clock c = { 0 };
	struct pass p;

	pass_init(&p);
	for (unsigned i = 0; i < n; i++) {
		const struct vrf_fib *vrf;
		struct packet k;

		if (!unhold(w, pkts[i], &k, &vrf))
			continue;
		if (!k.in)
			resume_own(w, &k, vrf);
		else
			pass_put(&p, &k, vrf);
	}
	run_from_route(w, &p, &c);
}

void pipeline_fail(struct worker *w, struct rte_mbuf **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct vrf_fib *vrf;
		struct packet k;

		if (!unhold(w, pkts[i], &k, &vrf))
			continue;
		if (!k.in)
			drop(w, k.m, 0, DP_DROP_neigh_fail);
		else
			icmp_error(w, &k, ICMP_NO_HOST, 0, DP_DROP_neigh_fail);
	}
}

/* ---- from other workers, for this one's SAs ---- */

void pipeline_esp(struct worker *w, struct rte_mbuf **pkts, unsigned n)
{
	struct clock c = { 0 };
	struct pass p;

	pass_init(&p);
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct mbuf_meta meta = *mbuf_meta(m);
		struct packet k = { .m = m,
			.ip = rte_pktmbuf_mtod(m, uint8_t *),
			.len = rte_pktmbuf_data_len(m),
			.in = meta.link,
			.af = meta.af,
			.note = (uint8_t)meta.l3_off,
			.proto = (uint8_t)(meta.out_link >> 8),
			.l4 = (uint8_t)meta.out_link };

		if (meta.class == ESP_IN)
			esp_take(w, &p, &k);
		else
			esp_send(w, &(struct esp_packet){
					    m, k.ip, k.len, k.in, meta.out_link, k.af, k.note });
	}
	run_from_route(w, &p, &c);
}

/* ---- from the kernel ---- */

static void insert_tags(struct rte_mbuf *m, const struct link *l)
{
	unsigned tags = l->l2_len - RTE_ETHER_HDR_LEN;
	uint8_t *d;

	if (!tags)
		return;
	d = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)tags);
	memmove(d, d + tags, 2 * RTE_ETHER_ADDR_LEN);
	memcpy(d + 2 * RTE_ETHER_ADDR_LEN, l->l2 + 2 * RTE_ETHER_ADDR_LEN, tags);
}

/* Family and flow hash of a frame; 0 where it is not IP or cut. */
static uint8_t frame_flow(const uint8_t *d, unsigned len, uint32_t *ret_hash)
{
	const uint8_t *ip = d + ETH_MIN;
	unsigned type = flow_be16(d + 12), room = len - ETH_MIN;
	uint8_t af = 0;

	*ret_hash = flow_end(flow_step(flow_be64(d), flow_be32(d + 8)));
	if (type == RTE_ETHER_TYPE_IPV4 && room >= IP4_MIN && (ip[0] & 15u) * 4 >= IP4_MIN)
		af = AF_INET;
	else if (type == RTE_ETHER_TYPE_IPV6 && room >= IP6_LEN)
		af = AF_INET6;
	if (af)
		*ret_hash = flow_hash(ip, (uint16_t)room, af);
	return af;
}

static void inject_esp(struct worker *w, struct rte_mbuf *m, const struct link *l, uint8_t af)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETH_MIN);
	unsigned room = rte_pktmbuf_data_len(m) - ETH_MIN, len;

	len = af == AF_INET ? flow_be16(ip + 2) : flow_be16(ip + 4) + (unsigned)IP6_LEN;
	if (len > room || (af == AF_INET && len < IP4_MIN))
		return drop(w, m, 0, af == AF_INET ? DP_DROP_ip4_trunc : DP_DROP_ip6_trunc);
	esp_send(w, &(struct esp_packet){ m, ip, (uint16_t)len, 0, l->id, af, 0 });
}

/* Into the tunnel: outer headers from the link, the underlay's Ethernet header from its adjacency.
 * Where no frames are inside, what is no IP has no way and the Ethernet header was ours. */
static void inject_tunnel(struct worker *w, struct rte_mbuf *m, const struct link *l)
{
	const struct adj *u =
		atomic_load_explicit(&adj_table[l->conf.tunnel.underlay_adj], memory_order_acquire);
	unsigned len = rte_pktmbuf_data_len(m), total;
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *), *ip = d + ETH_MIN, outer_af = l->encap.af, af;
	uint32_t hash;
	bool cut;

	af = frame_flow(d, len, &hash);
	if (l->plain && !af)
		return drop(w, m, 0, DP_DROP_eth_type);
	if (l->conf.encap == DP_ENCAP_ESP)
		return inject_esp(w, m, l, af);
	if (!u || u->kind != DP_ADJ_FORWARD || u->outer_ip_off || !u->mtu)
		return drop(w, m, 0, DP_DROP_tun_down);
	total = l->tun_len + len - (l->plain ? ETH_MIN : 0);
	cut = total > u->mtu || len - ETH_MIN > pmtu_limit(l->id);
	if (cut && !(af && encap_may_cut(&l->encap, af, len - ETH_MIN)))
		return drop(
			w, m, 0, outer_af == AF_INET ? DP_DROP_ip4_too_big : DP_DROP_ip6_too_big);
	if (l->plain)
		rte_pktmbuf_adj(m, ETH_MIN);
	d = (uint8_t *)rte_pktmbuf_prepend(m, l->tun_len);
	if (!d)
		return drop(w, m, 0, DP_DROP_no_buffer);
	memcpy(d, l->tun, l->tun_len);
	encap_fill(&l->encap, d, total, ip, af, hash,
		outer_af == AF_INET ? rte_raw_cksum(d, IP4_MIN) : 0);
	meter_count(w, 0, l->conf.id, 1, len - ETH_MIN);
	if (cut) {
		struct packet k = { .m = m, .ip = d, .len = (uint16_t)total, .af = AF_INET };
		encap_clear_df(d);
		return frag_send(w, &k, u);
	}
	if (!rewrite_push(m, d, (uint16_t)total, outer_af, u, hash))
		return drop(w, m, 0, DP_DROP_no_buffer);
	meter_count(w, 0, u->link, 1, total);
	tx_send(w, u->port, m);
}

static void inject(struct worker *w, struct rte_mbuf *m)
{
	const struct link *l = snapshot_link(w->snap, mbuf_meta(m)->link);
	unsigned len = rte_pktmbuf_data_len(m);

	mbuf_meta(m)->link = 0; /* ours from here on */
	if (!l || !l->conf.up)
		return drop(w, m, 0, DP_DROP_link_down);
	if (len < ETH_MIN)
		return drop(w, m, 0, DP_DROP_eth_short);
	if (l->conf.encap != DP_ENCAP_ETHER)
		return inject_tunnel(w, m, l);
	if (len - ETH_MIN > l->conf.mtu)
		return drop(w, m, 0,
			flow_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, 12)) == RTE_ETHER_TYPE_IPV6
				? DP_DROP_ip6_too_big
				: DP_DROP_ip4_too_big);
	if (rte_pktmbuf_headroom(m) < l->l2_len - (unsigned)ETH_MIN)
		return drop(w, m, 0, DP_DROP_no_buffer);
	virtual_from_kernel(l, rte_pktmbuf_mtod(m, uint8_t *), len);
	insert_tags(m, l);
	meter_count(w, 0, l->conf.id, 1, len - ETH_MIN);
	tx_send(w, l->port, m);
}

void pipeline_inject(struct worker *w, struct rte_mbuf **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		inject(w, pkts[i]);
}
