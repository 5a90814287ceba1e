/* sa: the table of security associations (RFC 4301 4.4.2).
 *
 * Control sets one by index; it is published by one store, and what changes with every packet (its
 * sequence number, window and counters) is apart and belongs to one worker, index mod n, so that
 * neither a lock nor an atomic operation is on a packet's way. Inbound ones are found by (underlay
 * VRF, our end, SPI) in an index of chains that readers walk while control links and unlinks;
 * outbound, a link names the one it sends by. Setting one again replaces its limits and ports and
 * nothing else. What is replaced is freed through reclaim.h and keys are wiped then.
 *
 * A sequence number is never used twice (RFC 4303 2.2): at the last the SA is HARD and sends
 * nothing more, and it turns SOFT early enough for IKE to bring another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_cycles.h>
#include "event.h"
#include "flow.h"
#include "reclaim.h"
#include "sa.h"
#include "snapshot.h"

#define INDEX	   8192 /* chains */
#define SPI_MIN	   256	/* RFC 4303 2.1: below are reserved */
#define REPLAY_MIN 64
#define ESN_WINDOW 64 /* to find the high half by, where replay is not checked */
/* SOFT when an eighth of the sequence numbers is left. */
#define SEQ_SOFT(last) ((last) / 8 * 7)

static const struct sa *_Atomic table[DP_SAS_MAX];
static const struct sa *_Atomic chains[INDEX];
static _Atomic uint16_t outbound[DP_LINKS_MAX]; /* index + 1; 0: none */
static unsigned workers = 1;

/* ---- readers ---- */
static unsigned place(uint16_t vrf, uint8_t af, const uint8_t *local, uint32_t spi_be)
{
	uint64_t h = flow_step(flow_step(FLOW_K1, (uint64_t)spi_be << 16 | vrf), flow_be32(local));

	if (af == AF_INET6)
		h = flow_step(flow_step(h, flow_be64(local)), flow_be64(local + 8));
	return flow_end(h) % INDEX;
}

const struct sa *sa_inbound(uint16_t vrf, uint8_t af, const uint8_t *local, uint32_t spi_be)
{
	const struct sa *sa =
		atomic_load_explicit(&chains[place(vrf, af, local, spi_be)], memory_order_acquire);

	while (sa && (sa->spi != spi_be || sa->vrf != vrf || sa->local.af != af ||
			     memcmp(sa->local.bytes, local, ip_size(af))))
		sa = atomic_load_explicit(&sa->next, memory_order_acquire);
	return sa;
}

const struct sa *sa_outbound(uint16_t link)
{
	uint16_t at = atomic_load_explicit(&outbound[link], memory_order_acquire);
	const struct sa *sa =
		at ? atomic_load_explicit(&table[at - 1], memory_order_acquire) : NULL;

	/* The index may have become another's between the two readings. */
	return sa && sa->link == link && !sa->conf.inbound ? sa : NULL;
}

/* ---- its state ---- */
static uint64_t read64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static enum dp_sa_state state_of(const struct sa *sa)
{
	uint64_t packets = read64(&sa->run->packets), bytes = read64(&sa->run->bytes),
		 seq = read64(&sa->run->seq);

	if (packets >= sa->hard_packets || bytes >= sa->hard_bytes || seq >= sa->seq_last)
		return DP_SA_HARD;
	if (packets >= sa->soft_packets || bytes >= sa->soft_bytes || seq >= SEQ_SOFT(sa->seq_last))
		return DP_SA_SOFT;
	return DP_SA_LIVE;
}

void sa_used(struct worker *w, const struct sa *sa)
{
	struct sa_run *run = sa->run;
	enum dp_sa_state state = state_of(sa);

	__atomic_store_n(&run->used, worker_now(w), __ATOMIC_RELAXED);
	if (likely(state == run->told))
		return;
	run->told = (uint8_t)state;
	if (state != DP_SA_LIVE)
		event_sa(sa->index);
}

/* ---- sequence numbers coming in ---- */

/* RFC 4303 A2.2, in numbers of 64 bits: of all that end in `low` the one that is in the window or
 * above its top. */
uint64_t sa_seq(const struct sa *sa, uint32_t low)
{
	uint64_t top = sa->run->seq, bottom, seq;

	if (!sa->esn)
		return low;
	bottom = top - (sa->replay ? sa->replay : ESN_WINDOW) + 1;
	if (bottom > top) /* the window has not left zero yet */
		return low;
	seq = (bottom & ~UINT64_C(0xffffffff)) | low;
	if (seq < bottom && __builtin_add_overflow(seq, UINT64_C(1) << 32, &seq))
		return 0;
	return seq;
}

static bool in_window(const struct sa *sa, uint64_t seq)
{
	return seq > sa->run->seq || sa->run->seq - seq < sa->replay;
}

bool sa_fresh(const struct sa *sa, uint64_t seq)
{
	const struct sa_run *run = sa->run;

	if (!sa->replay)
		return true;
	if (!seq || !in_window(sa, seq))
		return false;
	return seq > run->seq || !(run->window[seq / 64 & sa->window_mask] >> (seq % 64) & 1);
}

/* RFC 6479: the window is a ring of words, cleared as its top moves into them. */
bool sa_seen(const struct sa *sa, uint64_t seq)
{
	struct sa_run *run = sa->run;
	uint64_t word = seq / 64, top = run->seq / 64;

	if (!sa_fresh(sa, seq))
		return false;
	if (seq > run->seq) {
		uint64_t clear = RTE_MIN(word - top, (uint64_t)sa->window_mask + 1);

		for (uint64_t i = 1; i <= clear; i++)
			run->window[(top + i) & sa->window_mask] = 0;
		__atomic_store_n(&run->seq, seq, __ATOMIC_RELAXED);
	}
	run->window[word & sa->window_mask] |= UINT64_C(1) << (seq % 64);
	return true;
}

/* ---- control ---- */
static bool conf_ok(const struct dp_sa *c)
{
	if (!c->link || c->link >= DP_LINKS_MAX || c->spi < SPI_MIN || c->key_len > DP_SA_KEY_MAX ||
		c->auth_len > DP_SA_AUTH_MAX)
		return false;
	if (c->inbound && c->replay && (c->replay < REPLAY_MIN || c->replay > DP_REPLAY_MAX))
		return false;
	if (!c->esn && c->seq > UINT32_MAX)
		return false;
	if (!c->udp_local != !c->udp_remote)
		return false;
	return true;
}

static bool same(const struct dp_sa *a, const struct dp_sa *b)
{
	return a->link == b->link && a->inbound == b->inbound && a->spi == b->spi &&
	       a->cipher == b->cipher && a->auth == b->auth && a->key_len == b->key_len &&
	       a->auth_len == b->auth_len && a->esn == b->esn &&
	       (!a->inbound || a->replay == b->replay) && !memcmp(a->key, b->key, a->key_len) &&
	       !memcmp(a->auth_key, b->auth_key, a->auth_len);
}

static void sa_free(void *ptr)
{
	struct sa *sa = ptr;

	explicit_bzero(sa, sizeof(*sa));
	free(sa);
}

/* With what outlives a replacement. */
static void sa_free_all(void *ptr)
{
	struct sa *sa = ptr;

	crypto_close(&sa->crypto);
	free(sa->run);
	sa_free(sa);
}

static unsigned window_words(unsigned replay)
{
	unsigned words = 1;

	while (words * 64 < replay + 64)
		words *= 2;
	return words;
}

static uint64_t limit(uint64_t conf)
{
	return conf ? conf : UINT64_MAX;
}

/* What is read from conf alone. */
static void fill(struct sa *sa, const struct dp_sa *c, const struct dp_link *l)
{
	sa->conf = *c;
	sa->spi = rte_cpu_to_be_32(c->spi);
	sa->link = c->link;
	sa->esn = c->esn;
	sa->udp_local = c->udp_local;
	sa->udp_remote = c->udp_remote;
	sa->replay = c->inbound ? c->replay : 0;
	sa->window_mask = (uint16_t)(window_words(sa->replay) - 1);
	sa->seq_last = c->esn ? UINT64_MAX : UINT32_MAX;
	sa->hard_packets = limit(c->hard_packets);
	sa->hard_bytes = limit(c->hard_bytes);
	sa->soft_packets = limit(c->soft_packets);
	sa->soft_bytes = limit(c->soft_bytes);
	sa->vrf = l->tunnel.underlay_vrf;
	sa->local = l->tunnel.local;
	if (c->cipher == DP_CIPHER_AES_GCM && c->key_len > sizeof(sa->salt))
		memcpy(sa->salt, c->key + c->key_len - sizeof(sa->salt), sizeof(sa->salt));
}

static int begin(struct sa *sa, const struct dp_sa *c)
{
	size_t words = sa->window_mask + 1u;
	int ret = crypto_open(c, &sa->crypto);

	if (ret)
		return ret;
	sa->run = aligned_alloc(RTE_CACHE_LINE_SIZE,
		RTE_ALIGN(sizeof(*sa->run) + words * sizeof(uint64_t), RTE_CACHE_LINE_SIZE));
	if (!sa->run) {
		crypto_close(&sa->crypto);
		return -ENOMEM;
	}
	memset(sa->run, 0, sizeof(*sa->run) + words * sizeof(uint64_t));
	sa->run->seq = c->seq;
	if (c->inbound && c->seq) { /* nobody knows which of those below were seen: none again */
		memset(sa->run->window, 0xff, words * sizeof(uint64_t));
		sa->run->window[c->seq / 64 & sa->window_mask] = UINT64_MAX >> (63 - c->seq % 64);
	}
	return 0;
}

static const struct sa *_Atomic *chain_of(const struct sa *sa)
{
	return &chains[place(sa->vrf, sa->local.af, sa->local.bytes, sa->spi)];
}

/* In front of its chain, and then an older one of the same key, if any, out of it: whoever walks
 * meets the one or the other. */
static void chain_put(struct sa *sa)
{
	const struct sa *_Atomic *chain = chain_of(sa);

	atomic_store_explicit(&sa->next, atomic_load(chain), memory_order_relaxed);
	atomic_store_explicit(chain, sa, memory_order_release);
}

static void chain_take(const struct sa *sa)
{
	const struct sa *_Atomic *at = chain_of(sa);
	const struct sa *x;

	while ((x = atomic_load_explicit(at, memory_order_relaxed)) && x != sa)
		at = (const struct sa *_Atomic *)(uintptr_t)&x->next;
	if (x)
		atomic_store_explicit(at, atomic_load(&sa->next), memory_order_release);
}

/* Another inbound SA with these keys of the index. */
static bool taken(const struct sa *sa)
{
	const struct sa *x = sa_inbound(sa->vrf, sa->local.af, sa->local.bytes, sa->spi);

	return x && x->index != sa->index;
}

static int publish(unsigned index, struct sa *sa, const struct sa *old)
{
	if (sa->conf.inbound && taken(sa))
		return -EEXIST;
	if (old) { /* goes on under new limits */
		sa->run = old->run;
		sa->crypto = old->crypto;
	} else {
		int ret = begin(sa, &sa->conf);
		if (ret)
			return ret;
	}
	if (sa->conf.inbound)
		chain_put(sa);
	atomic_store_explicit(&table[index], sa, memory_order_release);
	if (!old)
		return 0;
	if (sa->conf.inbound)
		chain_take(old);
	reclaim_defer(sa_free, (void *)(uintptr_t)old);
	return 0;
}

int dp_sa_set(unsigned index, const struct dp_sa *conf)
{
	const struct sa *old;
	const struct link *l;
	struct sa *sa;
	int ret;

	if (index >= DP_SAS_MAX || !conf_ok(conf))
		return -EINVAL;
	if (conf->udp_local && conf->udp_local != ESP_PORT)
		return -ENOTSUP;
	l = snapshot_link(snapshot_published, conf->link);
	if (!l || l->conf.encap != DP_ENCAP_ESP)
		return -ENOENT;
	old = atomic_load_explicit(&table[index], memory_order_relaxed);
	if (old && !same(&old->conf, conf))
		return -EBUSY;
	ret = dp_esp_start(NULL, 0);
	if (ret)
		return ret;
	sa = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(sizeof(*sa), RTE_CACHE_LINE_SIZE));
	if (!sa)
		return -ENOMEM;
	memset(sa, 0, sizeof(*sa));
	sa->index = (uint16_t)index;
	sa->worker = (uint8_t)(index % workers);
	fill(sa, conf, &l->conf);
	ret = publish(index, sa, old);
	if (ret)
		sa_free(sa);
	return ret;
}

int dp_sa_del(unsigned index)
{
	const struct sa *sa;

	if (index >= DP_SAS_MAX)
		return -EINVAL;
	sa = atomic_load_explicit(&table[index], memory_order_relaxed);
	if (!sa)
		return -ENOENT;
	if (atomic_load(&outbound[sa->link]) == index + 1)
		atomic_store_explicit(&outbound[sa->link], 0, memory_order_release);
	atomic_store_explicit(&table[index], NULL, memory_order_release);
	if (sa->conf.inbound)
		chain_take(sa);
	reclaim_defer(sa_free_all, (void *)(uintptr_t)sa);
	return 0;
}

int dp_sa_use(uint16_t link, int index)
{
	const struct sa *sa;

	if (!link || link >= DP_LINKS_MAX || index >= DP_SAS_MAX)
		return -EINVAL;
	if (index >= 0) {
		sa = atomic_load_explicit(&table[index], memory_order_relaxed);
		if (!sa || sa->conf.inbound || sa->link != link)
			return -EINVAL;
	}
	atomic_store_explicit(
		&outbound[link], (uint16_t)(index < 0 ? 0 : index + 1), memory_order_release);
	return 0;
}

int dp_sa_info(unsigned index, struct dp_sa_info *ret_info)
{
	const struct sa *sa = index < DP_SAS_MAX
				      ? atomic_load_explicit(&table[index], memory_order_relaxed)
				      : NULL;
	uint64_t used;

	if (!sa)
		return -ENOENT;
	used = read64(&sa->run->used);
	*ret_info = (struct dp_sa_info){
		.conf = sa->conf,
		.worker = sa->worker,
		.state = (uint8_t)state_of(sa),
		.through = { read64(&sa->run->packets), read64(&sa->run->bytes) },
		.seq = read64(&sa->run->seq),
		.used_ns = UINT64_MAX,
		.bad_icv = read64(&sa->run->bad_icv),
		.replayed = read64(&sa->run->replayed),
		.bad_pad = read64(&sa->run->bad_pad),
		.wrapped = read64(&sa->run->wrapped),
	};
	if (used)
		ret_info->used_ns =
			(uint64_t)((double)(rte_rdtsc() - used) * 1e9 / (double)rte_get_tsc_hz());
	explicit_bzero(ret_info->conf.key, sizeof(ret_info->conf.key));
	explicit_bzero(ret_info->conf.auth_key, sizeof(ret_info->conf.auth_key));
	return 0;
}

int dp_esp_start(char *err, size_t len)
{
	char line[256] = "";
	int ret = crypto_start(line, sizeof(line));

	if (ret && len)
		snprintf(err, len, "%s", line);
	return ret;
}

void sa_start(unsigned n_workers)
{
	workers = n_workers;
}

void sa_stop(void)
{
	for (unsigned i = 0; i < DP_SAS_MAX; i++)
		if (atomic_load_explicit(&table[i], memory_order_relaxed))
			dp_sa_del(i);
	reclaim_flush();
	crypto_stop();
}
