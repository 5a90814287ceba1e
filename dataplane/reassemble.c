/* reassemble: outer packets of tunnels that came in fragments (RFC 791 3.2, RFC 8200 4.5), by
 * librte_ip_frag.
 *
 * Only fragments between the two ends of a tunnel of ours get here; all others are the kernel's or
 * pass through. Each worker has a table of its own: cards spread fragments by their addresses
 * alone, so those of one packet meet the same worker. It holds PACKETS_MAX packets of at most eight
 * fragments for WAIT_MS; what is beyond that, overlaps (RFC 5722), comes too late or does not fit
 * one buffer is dropped as tun_frag. The library does not know VRFs: fragments of two underlays
 * that have the same ends and the same identification at the same moment make a packet that is
 * dropped, for each buffer remembers its own link. */
#include <errno.h>
#include <rte_ip_frag.h>
#include "parse.h"
#include "reassemble.h"
#include "snapshot.h"

#define BUCKETS	    32
#define PER_BUCKET  4
#define PACKETS_MAX 64
#define WAIT_MS	    500

static struct {
	struct rte_ip_frag_tbl *table;
	struct rte_ip_frag_death_row dead;
	unsigned held; /* fragments in the table */
} __rte_cache_aligned tables[DP_WORKERS_MAX];

int reassemble_start(unsigned n_workers)
{
	uint64_t wait = rte_get_tsc_hz() * WAIT_MS / 1000;

	for (unsigned i = 0; i < n_workers; i++) {
		tables[i].table = rte_ip_frag_table_create(
			BUCKETS, PER_BUCKET, PACKETS_MAX, wait, SOCKET_ID_ANY);
		if (!tables[i].table)
			return -ENOMEM;
	}
	return 0;
}

void reassemble_stop(void)
{
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		if (tables[i].table)
			rte_ip_frag_table_destroy(tables[i].table);
		tables[i].table = NULL;
		tables[i].dead.cnt = 0;
	}
}

unsigned reassemble_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DP_WORKERS_MAX; i++)
		n += tables[i].held;
	return n;
}

/* What the library gave up. */
static void bury(struct worker *w, struct rte_ip_frag_death_row *dead)
{
	tables[w->index].held -= dead->cnt;
	for (unsigned i = 0; i < dead->cnt; i++)
		drop(w, dead->row[i], mbuf_meta(dead->row[i])->link, DP_DROP_tun_frag);
	dead->cnt = 0;
}

static uint16_t vrf_of(const struct worker *w, const struct rte_mbuf *m)
{
	const struct link *l =
		snapshot_link(w->snap, mbuf_meta((struct rte_mbuf *)(uintptr_t)m)->link);

	return l ? l->conf.vrf : VRF_NONE;
}

static bool one_vrf(const struct worker *w, const struct rte_mbuf *m)
{
	uint16_t vrf = vrf_of(w, m);

	for (const struct rte_mbuf *s = m->next; s; s = s->next)
		if (vrf_of(w, s) != vrf)
			return false;
	return vrf != VRF_NONE;
}

static struct rte_mbuf *add(struct worker *w, const struct packet *k, unsigned l3_len)
{
	struct rte_ip_frag_tbl *table = tables[w->index].table;
	struct rte_ip_frag_death_row *dead = &tables[w->index].dead;
	struct rte_mbuf *m = k->m;
	uint64_t now = worker_now(w);

	m->l2_len = (uint16_t)(k->ip - rte_pktmbuf_mtod(m, uint8_t *));
	m->l3_len = (uint16_t)l3_len;
	m->data_len = (uint16_t)(m->l2_len + k->len); /* padding stays behind */
	m->pkt_len = m->data_len;
	tables[w->index].held++;
	*mbuf_meta(m) = (struct mbuf_meta){ .link = k->in, .af = k->af };
	rte_ip_frag_table_del_expired_entries(table, dead, now);
	if (k->af == AF_INET)
		return rte_ipv4_frag_reassemble_packet(
			table, dead, m, now, (struct rte_ipv4_hdr *)k->ip);
	return rte_ipv6_frag_reassemble_packet(table, dead, m, now, (struct rte_ipv6_hdr *)k->ip,
		(struct rte_ipv6_fragment_ext *)(k->ip + IP6_LEN));
}

bool reassemble(struct worker *w, const struct packet *k, unsigned l3_len, struct packet *ret_whole)
{
	unsigned l2_len = (unsigned)(k->ip - rte_pktmbuf_mtod(k->m, uint8_t *));
	struct rte_mbuf *m;

	/* The library wants the fragment header right behind IPv6's, and what is cut in eights. */
	if (k->af == AF_INET6 && (k->ip[6] != IPPROTO_FRAGMENT || l3_len != IP6_LEN + 8)) {
		drop(w, k->m, k->in, DP_DROP_tun_frag);
		return false;
	}
	m = add(w, k, l3_len);
	bury(w, &tables[w->index].dead);
	if (!m)
		return false;
	tables[w->index].held -= m->nb_segs;
	m->ol_flags = 0;
	if (!one_vrf(w, m) || rte_pktmbuf_linearize(m) || m->data_len <= l2_len) {
		drop(w, m, k->in, DP_DROP_tun_frag);
		return false;
	}
	*ret_whole = (struct packet){ .m = m,
		.ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l2_len),
		.len = (uint16_t)(m->data_len - l2_len),
		.in = k->in,
		.af = k->af,
		.note = k->note };
	return true;
}
