/* BFD sessions on workers (RFC 5880, 5881): who owns one, how packets reach it and leave.
 *
 * Control publishes a session's configuration under its index; worker index mod n owns it and alone
 * touches its state, which control reads as it is (dp_bfd_info). local.c brings what came to UDP
 * 3784: the sender's session is found by (link, address) in an index published whole, and a packet
 * that another worker received is checked there and, if good, travels as 32 bytes by ring. Nobody's
 * packets go on to the kernel. What is due is found by one comparison a round of the loop; then all
 * of the worker's sessions are looked through, which costs a nanosecond each. A change of state
 * sets a bit for control and writes event.c's descriptor, the worker's one system call here; the
 * bit cannot be lost as a message can. Packets leave by the adjacency control named, with TTL 255
 * and DSCP CS6.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_ring_elem.h>
#include "bfd.h"
#include "csum.h"
#include "dp.h"
#include "event.h"
#include "parse.h"
#include "reclaim.h"
#include "route.h"

#define UDP_LEN	  8
#define TTL	  255
#define TOS	  0xc0 /* DSCP CS6 */
#define INBOX	  512  /* packets from other workers */
#define SLOTS	  4096 /* of the index: a quarter full at most */
#define SLOT_FREE UINT16_MAX

struct published { /* [published] */
	struct dp_bfd conf;
	uint32_t version;			      /* of this publication */
	uint32_t serial;			      /* of the session */
	uint64_t refused_before[DP_BFD_REJECT_COUNT]; /* under this index, other sessions' */
};

struct peer_slot {
	struct ip_addr peer;
	uint16_t link;
	uint16_t session; /* SLOT_FREE */
};

struct peer_index { /* [published] */
	struct peer_slot slots[SLOTS];
};

struct handed { /* between workers */
	uint16_t session, bytes;
	struct bfd_control control;
};
_Static_assert(sizeof(struct handed) % 4 == 0, "rte_ring elements are multiples of four bytes");

static const struct published *_Atomic table[DP_BFD_MAX];
static const struct peer_index *_Atomic peers;
static struct bfd_session sessions[DP_BFD_MAX];	 /* each its owner's */
static uint64_t due[DP_WORKERS_MAX][DP_BFD_MAX]; /* the owner's: by index / workers */
static uint64_t refused[DP_WORKERS_MAX][DP_BFD_MAX][DP_BFD_REJECT_COUNT]; /* the receiver's */
static struct rte_ring *inbox[DP_WORKERS_MAX];
bool _Atomic bfd_news[DP_WORKERS_MAX];
static unsigned workers = 1;
static unsigned _Atomic top; /* one more than the highest index ever used */
static uint32_t versions, serials;

static unsigned owner(unsigned session)
{
	return session % workers;
}

/* ---- sending ---- */
static unsigned write_header(uint8_t *p, const struct bfd_session *s, unsigned index)
{
	bool v4 = s->conf.peer.af == AF_INET;
	unsigned size = v4 ? 4 : 16, head = v4 ? IP4_MIN : IP6_LEN;
	uint16_t sport = rte_cpu_to_be_16((uint16_t)(BFD_SOURCE_MIN + index));
	uint16_t dport = RTE_BE16(BFD_PORT), len = RTE_BE16(UDP_LEN + BFD_LEN), sum;
	uint8_t *udp = p + head;

	memset(p, 0, head + UDP_LEN);
	if (v4) {
		p[0] = 0x45;
		p[1] = TOS;
		p[3] = IP4_MIN + UDP_LEN + BFD_LEN;
		p[6] = IP4_DF >> 8;
		p[8] = TTL;
		p[9] = IPPROTO_UDP;
	} else {
		p[0] = 0x60 | TOS >> 4;
		p[5] = UDP_LEN + BFD_LEN;
		p[6] = IPPROTO_UDP;
		p[7] = TTL;
	}
	memcpy(p + (v4 ? 12 : 8), s->conf.local.bytes, size);
	memcpy(p + (v4 ? 16 : 24), s->conf.peer.bytes, size);
	if (v4) {
		sum = (uint16_t)~rte_raw_cksum(p, IP4_MIN);
		memcpy(p + 10, &sum, sizeof(sum));
	}
	memcpy(udp, &sport, sizeof(sport));
	memcpy(udp + 2, &dport, sizeof(dport));
	memcpy(udp + 4, &len, sizeof(len));
	return head;
}

static bool send_packet(struct worker *w, struct bfd_session *s, unsigned index, bool final)
{
	const struct adj *a = atomic_load_explicit(&adj_table[s->conf.adj], memory_order_acquire);
	uint8_t af = s->conf.peer.af, *p;
	unsigned head = af == AF_INET ? IP4_MIN : IP6_LEN, total = head + UDP_LEN + BFD_LEN;
	struct rte_mbuf *m;
	uint16_t sum;

	if (!a || a->kind != DP_ADJ_FORWARD || a->link != s->conf.link || !a->mtu)
		return false;
	m = rte_pktmbuf_alloc(w->scratch);
	p = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)total) : NULL;
	if (!p) {
		rte_pktmbuf_free(m);
		return false;
	}
	write_header(p, s, index);
	bfd_build(s, final, p + head + UDP_LEN);
	sum = (uint16_t)~csum_l4(p, af, p + head, UDP_LEN + BFD_LEN, IPPROTO_UDP);
	sum = sum ? sum : 0xffff;
	memcpy(p + head + 6, &sum, sizeof(sum));
	mbuf_meta(m)->link = 0;
	count_add(&s->tx, 1);
	count_add(&s->tx_bytes, total);
	rewrite_own(w, m, p, (uint16_t)total, af, a);
	return true;
}

/* What session.c asked for. */
static void act(struct worker *w, unsigned index, unsigned what, uint64_t now)
{
	struct bfd_session *s = &sessions[index];

	if (what & BFD_FINAL)
		send_packet(w, s, index, true);
	if ((what & BFD_SEND) || now >= s->tx_due) {
		if (send_packet(w, s, index, false))
			bfd_session_sent(s, now, worker_random(w));
		else
			bfd_session_unsent(s, now);
	}
	if (what & BFD_CHANGED)
		event_bfd(index);
	uint64_t next = bfd_session_due(s);
	due[w->index][index / workers] = next;
	w->bfd_due = RTE_MIN(w->bfd_due, next);
}

/* ---- receiving ---- */
static void input(struct worker *w, const struct handed *h, uint64_t now)
{
	struct bfd_session *s = &sessions[h->session];
	unsigned what = 0;
	int rejected;

	if (!s->version)
		return; /* not taken yet: the peer will send another */
	s->rx_bytes += h->bytes;
	rejected = bfd_session_receive(s, &h->control, now, worker_random(w), &what);
	if (rejected >= 0)
		count_add(&s->rejected[rejected], 1);
	act(w, h->session, what, now);
}

static unsigned peer_hash(uint16_t link, const struct ip_addr *peer)
{
	uint64_t a, b;

	memcpy(&a, peer->bytes, 8);
	memcpy(&b, peer->bytes + 8, 8);
	return flow_end(flow_step(flow_step(flow_step(FLOW_K1, link), a), b)) % SLOTS;
}

static int peer_find(const struct peer_index *x, uint16_t link, const struct ip_addr *peer)
{
	unsigned i;

	for (i = peer_hash(link, peer); x->slots[i].session != SLOT_FREE; i = (i + 1) % SLOTS)
		if (x->slots[i].link == link && ip_addr_equal(&x->slots[i].peer, peer))
			return x->slots[i].session;
	return -1;
}

/* enum dp_bfd_reject or -1. */
static int check(const struct packet *k, unsigned l4, struct bfd_control *ret)
{
	const uint8_t *udp = k->ip + l4;
	unsigned len = flow_be16(udp + 4);

	if ((k->af == AF_INET ? k->ip[8] : k->ip[7]) != TTL) /* RFC 5881 5 */
		return DP_BFD_REJECT_ttl;
	if (len < UDP_LEN || len > k->len - l4)
		return DP_BFD_REJECT_udp;
	if ((k->af != AF_INET || flow_be16(udp + 6)) &&
		csum_l4(k->ip, k->af, udp, len, IPPROTO_UDP) != 0xffff)
		return DP_BFD_REJECT_udp;
	return bfd_parse(udp + UDP_LEN, len - UDP_LEN, ret);
}

/* To the session's owner. -ENOBUFS. */
static int hand_over(struct worker *w, const struct handed *h)
{
	unsigned to = owner(h->session);

	if (to == w->index) {
		input(w, h, worker_now(w));
		return 0;
	}
	if (rte_ring_enqueue_elem(inbox[to], (void *)(uintptr_t)h, sizeof(*h)))
		return -ENOBUFS;
	count_add(&w->ctr.stats.handed_over, 1);
	atomic_store_explicit(&bfd_news[to], true, memory_order_release);
	return 0;
}

bool bfd_receive(struct worker *w, const struct packet *k, unsigned l4)
{
	const struct peer_index *x = atomic_load_explicit(&peers, memory_order_acquire);
	struct handed h = { .bytes = k->len };
	struct ip_addr from = { .af = k->af };
	int session, rejected;

	if (!x)
		return false;
	memcpy(from.bytes, k->ip + (k->af == AF_INET ? 12 : 8), ip_size(k->af));
	session = peer_find(x, k->in, &from);
	if (session < 0)
		return false;
	h.session = (uint16_t)session;
	rejected = check(k, l4, &h.control);
	if (rejected >= 0) { /* anybody can send these: they cost the owner nothing */
		count_add(&refused[w->index][session][rejected], 1);
		drop(w, k->m, k->in, DP_DROP_bfd_bad);
	} else if (hand_over(w, &h)) {
		drop(w, k->m, k->in, DP_DROP_bfd_full);
	} else {
		count_add(&w->ctr.punted[k->in].packets, 1); /* for this router, and taken */
		count_add(&w->ctr.punted[k->in].bytes, rte_pktmbuf_pkt_len(k->m) - ETH_MIN);
		rte_pktmbuf_free(k->m);
	}
	return true;
}

/* ---- the owner's turn ---- */
static void goodbye(struct worker *w, unsigned index)
{
	struct bfd_session *s = &sessions[index];

	if (s->state != DP_BFD_UP)
		return;
	s->state = DP_BFD_ADMIN_DOWN; /* RFC 5880 6.8.16 */
	s->diag = DP_BFD_ADMINISTRATIVE;
	send_packet(w, s, index, false);
}

static void take(struct worker *w, unsigned index, uint64_t now)
{
	const struct published *p = atomic_load_explicit(&table[index], memory_order_acquire);
	struct bfd_session *s = &sessions[index];
	bool fresh;

	if ((p ? p->version : 0) == s->version)
		return;
	fresh = !s->version || !p || p->serial != s->serial;
	if (s->version && fresh)
		goodbye(w, index);
	if (!p) {
		memset(s, 0, sizeof(*s));
		due[w->index][index / workers] = BFD_NEVER;
		return;
	}
	unsigned what = bfd_session_set(s, &p->conf, fresh, now, worker_random(w));

	s->serial = p->serial;
	__atomic_store_n(&s->version, p->version, __ATOMIC_RELEASE);
	act(w, index, what, now);
}

static void news(struct worker *w, uint64_t now)
{
	unsigned n = atomic_load_explicit(&top, memory_order_acquire);
	struct handed h;

	for (unsigned i = 0; i < INBOX && inbox[w->index] &&
			     !rte_ring_sc_dequeue_elem(inbox[w->index], &h, sizeof(h));
		i++)
		input(w, &h, now);
	for (unsigned i = w->index; i < n; i += workers)
		take(w, i, now);
}

void bfd_run(struct worker *w)
{
	uint64_t now = rte_rdtsc(), next = BFD_NEVER;
	unsigned n;

	w->snap = atomic_load_explicit(&snapshot_published, memory_order_acquire);
	w->now = now;
	if (atomic_exchange_explicit(&bfd_news[w->index], false, memory_order_acquire))
		news(w, now);
	n = atomic_load_explicit(&top, memory_order_relaxed);
	for (unsigned i = w->index, k = 0; i < n; i += workers, k++) {
		if (due[w->index][k] <= now && sessions[i].version)
			act(w, i, bfd_session_tick(&sessions[i], now, worker_random(w), w->backlog),
				now);
		else if (!sessions[i].version)
			continue;
		next = RTE_MIN(next, due[w->index][k]);
	}
	w->bfd_due = next;
}

/* ---- control ---- */
static void kick(unsigned session)
{
	atomic_store_explicit(&bfd_news[owner(session)], true, memory_order_release);
}

static int peers_publish(void)
{
	struct peer_index *x = malloc(sizeof(*x));
	const struct peer_index *old;
	unsigned n = atomic_load_explicit(&top, memory_order_relaxed);

	if (!x)
		return -ENOMEM;
	memset(x, 0xff, sizeof(*x));
	for (unsigned s = 0; s < n; s++) {
		const struct published *p = atomic_load_explicit(&table[s], memory_order_relaxed);
		unsigned i;

		if (!p)
			continue;
		for (i = peer_hash(p->conf.link, &p->conf.peer); x->slots[i].session != SLOT_FREE;)
			i = (i + 1) % SLOTS;
		x->slots[i] = (struct peer_slot){ p->conf.peer, p->conf.link, (uint16_t)s };
	}
	old = atomic_exchange_explicit(&peers, x, memory_order_acq_rel);
	if (old)
		reclaim_defer(free, (void *)(uintptr_t)old);
	return 0;
}

static bool conf_ok(const struct dp_bfd *c)
{
	return c->link && c->link < DP_LINKS_MAX && c->discr && c->multiplier &&
	       c->adj < DP_ADJS_MAX && c->min_tx_us && c->min_rx_us &&
	       (c->peer.af == AF_INET || c->peer.af == AF_INET6) && c->local.af == c->peer.af;
}

static bool same_session(const struct dp_bfd *a, const struct dp_bfd *b)
{
	return a->link == b->link && a->discr == b->discr && ip_addr_equal(&a->peer, &b->peer) &&
	       ip_addr_equal(&a->local, &b->local);
}

static uint64_t refused_sum(unsigned session, unsigned why)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < workers; i++)
		sum += __atomic_load_n(&refused[i][session][why], __ATOMIC_RELAXED);
	return sum;
}

int dp_bfd_set(unsigned session, const struct dp_bfd *conf)
{
	const struct peer_index *x = atomic_load_explicit(&peers, memory_order_relaxed);
	const struct published *old;
	struct published *p;
	bool same;
	int other;

	if (session >= DP_BFD_MAX || !conf_ok(conf))
		return -EINVAL;
	other = x ? peer_find(x, conf->link, &conf->peer) : -1;
	if (other >= 0 && other != (int)session)
		return -EEXIST;
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	old = atomic_load_explicit(&table[session], memory_order_relaxed);
	same = old && same_session(&old->conf, conf);
	*p = (struct published){ *conf, ++versions, same ? old->serial : ++serials, { 0 } };
	for (unsigned i = 0; i < DP_BFD_REJECT_COUNT; i++)
		p->refused_before[i] = same ? old->refused_before[i] : refused_sum(session, i);
	if (!versions)
		p->version = ++versions;
	atomic_store_explicit(&table[session], p, memory_order_release);
	if (session >= atomic_load_explicit(&top, memory_order_relaxed))
		atomic_store_explicit(&top, session + 1, memory_order_release);
	if (!same && peers_publish()) {
		atomic_store_explicit(&table[session], old, memory_order_release);
		reclaim_defer(free, p);
		return -ENOMEM;
	}
	if (old)
		reclaim_defer(free, (void *)(uintptr_t)old);
	kick(session);
	return 0;
}

int dp_bfd_del(unsigned session)
{
	const struct published *old;

	if (session >= DP_BFD_MAX)
		return -EINVAL;
	old = atomic_load_explicit(&table[session], memory_order_relaxed);
	if (!old)
		return -ENOENT;
	atomic_store_explicit(&table[session], NULL, memory_order_release);
	peers_publish(); /* no memory: its packets find nobody there, as is right */
	reclaim_defer(free, (void *)(uintptr_t)old);
	kick(session);
	return 0;
}

int dp_bfd_info(unsigned session, struct dp_bfd_info *ret_info)
{
	const struct bfd_session *s = &sessions[session % DP_BFD_MAX];
	const struct published *p =
		session < DP_BFD_MAX ? atomic_load_explicit(&table[session], memory_order_relaxed)
				     : NULL;

	if (!p)
		return -ENOENT;
	if (__atomic_load_n(&s->version, __ATOMIC_ACQUIRE) == 0 || s->serial != p->serial)
		return -EAGAIN;
	*ret_info = (struct dp_bfd_info){
		.conf = p->conf,
		.worker = owner(session),
		.discr = s->discr,
		.state = s->state,
		.diag = s->diag,
		.remote_state = s->remote_state,
		.remote_diag = s->remote_diag,
		.remote_multiplier = s->remote_mult,
		.remote_discr = s->remote_discr,
		.remote_min_tx_us = s->remote_min_tx_us,
		.remote_min_rx_us = s->remote_min_rx_us,
		.remote_echo_us = s->remote_echo_us,
		.tx_us = bfd_session_tx_us(s),
		.detect_us = bfd_session_detect_us(s),
		.longest_us = s->longest_us,
		.silence_us = s->silence_us,
		.since_us = (rte_rdtsc() - s->since) / (bfd_hz / 1000000),
		.ups = s->ups,
		.downs = s->downs,
		.rx = s->rx,
		.tx = s->tx,
		.rx_bytes = s->rx_bytes,
		.tx_bytes = s->tx_bytes,
		.unsent = s->unsent,
	};
	for (unsigned i = 0; i < DP_BFD_REJECT_COUNT; i++)
		ret_info->rejected[i] =
			s->rejected[i] + refused_sum(session, i) - p->refused_before[i];
	return 0;
}

int bfd_start(unsigned n_workers)
{
	char name[RTE_RING_NAMESIZE];

	bfd_hz = rte_get_tsc_hz();
	workers = n_workers;
	memset(due, 0xff, sizeof(due));
	for (unsigned i = 0; i < n_workers && n_workers > 1; i++) {
		snprintf(name, sizeof(name), "bfd%u", i);
		inbox[i] = rte_ring_create_elem(name, sizeof(struct handed), INBOX, SOCKET_ID_ANY,
			RING_F_MP_RTS_ENQ | RING_F_SC_DEQ);
		if (!inbox[i])
			return -ENOMEM;
	}
	return 0;
}

void bfd_stop(void)
{
	for (unsigned s = 0; s < DP_BFD_MAX; s++)
		free((void *)(uintptr_t)atomic_exchange(&table[s], NULL));
	free((void *)(uintptr_t)atomic_exchange(&peers, NULL));
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		rte_ring_free(inbox[i]);
		inbox[i] = NULL;
	}
	memset(sessions, 0, sizeof(sessions));
	memset(refused, 0, sizeof(refused));
	atomic_store(&top, 0);
}
