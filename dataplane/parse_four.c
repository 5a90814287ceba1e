/* parse, four at a time: plain, untagged IPv4 frames for one link.
 *
 * The same conditions as plain4() of parse.c, for four frames at once and with one branch: each
 * condition leaves bits in `bad`, and when any is set none of the four is taken here, parse.c looks
 * at them one by one. The header words of the four are turned so that a register holds the same
 * word of each: lengths, fragment field, sums and addresses then cost one instruction for four.
 * SSE4.1 is what Debian's DPDK is built for.
 *
 * A lane that holds nothing but what came this way is `quick`: one ingress link, time left, room
 * for an Ethernet header before each. rewrite and meter need not ask again.
 *
 * What is read of a frame that turns out too short lies within its buffer, and decides nothing. */
#include <smmintrin.h>
#include <string.h>
#include <rte_prefetch.h>
#include "parse.h"
#include "vrf.h"

#define MAC_ALL	  0xffffffffffffll
#define MAC_GROUP (1ll << 48) /* group bit of the source, in the word that begins a frame */

/* What the vector's frames are compared with. */
struct link_words {
	__m128i begin;	  /* the first 16 octets of such a frame, those of begin_care */
	__m128i own_tail; /* the last four of our MAC */
	uint16_t id;
};

static inline struct link_words link_words(const struct link *l)
{
	const long long after_mac = 0x00450008ll << 32; /* EtherType, version and header length */

	return (struct link_words){ _mm_set_epi64x(after_mac, (long long)(l->own & MAC_ALL)),
		_mm_set1_epi32((int)(l->own >> 16)), l->id };
}

static inline __m128i load128(const void *p)
{
	return _mm_loadu_si128(p);
}

static inline int load32(const void *p)
{
	int x;

	__builtin_memcpy(&x, p, sizeof(x));
	return x;
}

/* The same 32 bits of four frames. */
static __rte_always_inline __m128i gather32(uint8_t *const d[4], unsigned offset)
{
	return _mm_set_epi32(load32(d[3] + offset), load32(d[2] + offset), load32(d[1] + offset),
		load32(d[0] + offset));
}

/* A register for each of the first four words of four headers. */
static __rte_always_inline void turn(uint8_t *const d[4], __m128i ret_word[4])
{
	__m128i a = load128(d[0] + ETH_MIN), b = load128(d[1] + ETH_MIN);
	__m128i c = load128(d[2] + ETH_MIN), e = load128(d[3] + ETH_MIN);
	__m128i ab = _mm_unpacklo_epi32(a, b), ce = _mm_unpacklo_epi32(c, e);

	ret_word[0] = _mm_unpacklo_epi64(ab, ce);
	ret_word[1] = _mm_unpackhi_epi64(ab, ce);
	ab = _mm_unpackhi_epi32(a, b);
	ce = _mm_unpackhi_epi32(c, e);
	ret_word[2] = _mm_unpacklo_epi64(ab, ce);
	ret_word[3] = _mm_unpackhi_epi64(ab, ce);
}

static __rte_always_inline __m128i halves(__m128i w)
{
	return _mm_add_epi32(_mm_and_si128(w, _mm_set1_epi32(0xffff)), _mm_srli_epi32(w, 16));
}

/* Bits where the one's complement sum of the five words is not right: ten halves sum up to 20 bits,
 * and to a multiple of 0xffff exactly when one fold leaves that. */
static __rte_always_inline __m128i bad_sum(const __m128i w[4], __m128i dst)
{
	__m128i sum = _mm_add_epi32(_mm_add_epi32(halves(w[0]), halves(w[1])),
		_mm_add_epi32(_mm_add_epi32(halves(w[2]), halves(w[3])), halves(dst)));

	return _mm_xor_si128(halves(sum), _mm_set1_epi32(0xffff));
}

/* First octets 0, 127 and 224 and above, of source and destination. */
static __rte_always_inline __m128i bad_address(__m128i src, __m128i dst)
{
	const __m128i octet = _mm_set1_epi32(0xff);
	__m128i o = _mm_packus_epi32(_mm_and_si128(src, octet), _mm_and_si128(dst, octet));

	return _mm_or_si128(_mm_cmpeq_epi32(src, dst),
		_mm_or_si128(_mm_cmpgt_epi16(o, _mm_set1_epi16(223)),
			_mm_or_si128(_mm_cmpeq_epi16(o, _mm_setzero_si128()),
				_mm_cmpeq_epi16(o, _mm_set1_epi16(127)))));
}

/* Is any of the four sources perhaps an address of ours? vrf_own_bit4() and vrf_may_own(). */
static __rte_always_inline unsigned may_own(const struct vrf_fib *vrf, __m128i src)
{
	uint32_t bit[4];
	uint64_t set = 0;

	_mm_storeu_si128((void *)bit,
		_mm_srli_epi32(
			_mm_mullo_epi32(src, _mm_set1_epi32((int)VRF_OWN_FACTOR)), VRF_OWN_SHIFT));
#pragma GCC unroll 4
	for (unsigned k = 0; k < 4; k++)
		set |= atomic_load_explicit(&vrf->own[bit[k] / 64], memory_order_relaxed) >>
		       (bit[k] % 64);
	return set & 1;
}

/* TTL, protocol and checksum one hop on, as decrement() in rewrite.c has it. */
static __rte_always_inline __m128i aged(__m128i word)
{
	__m128i carry = _mm_cmpgt_epi32(_mm_srli_epi32(word, 16), _mm_set1_epi32(0xfffd));

	return _mm_sub_epi32(
		_mm_add_epi32(word, _mm_set1_epi32(0x10000 - 1)), _mm_slli_epi32(carry, 16));
}

/* Lengths of four frames, then how far each is from the beginning of its buffer. */
static __rte_always_inline __m128i size_and_room(struct rte_mbuf *const m[4])
{
	__m128i x = _mm_cvtsi32_si128(m[0]->data_len);

	x = _mm_insert_epi16(x, m[1]->data_len, 1);
	x = _mm_insert_epi16(x, m[2]->data_len, 2);
	x = _mm_insert_epi16(x, m[3]->data_len, 3);
	x = _mm_insert_epi16(x, m[0]->data_off, 4);
	x = _mm_insert_epi16(x, m[1]->data_off, 5);
	x = _mm_insert_epi16(x, m[2]->data_off, 6);
	return _mm_insert_epi16(x, m[3]->data_off, 7);
}

/* The four are plain: into the lane, behind those that are there. */
static __rte_always_inline void put_four(const struct link_words *l, struct lane *v,
	struct rte_mbuf *const m[4], uint8_t *const d[4], __m128i total, __m128i dst)
{
	const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
	unsigned at = v->n;

	_mm_storeu_si128((void *)&v->dst4[at], _mm_shuffle_epi8(dst, swap));
	_mm_storel_epi64((void *)&v->len[at], _mm_packus_epi32(total, total));
	_mm_storel_epi64((void *)&v->in[at], _mm_set1_epi16((short)l->id));
	memset(&v->note[at], 0, 4);
	for (unsigned k = 0; k < 4; k++) {
		v->m[at + k] = m[k];
		v->ip[at + k] = d[k] + ETH_MIN;
		mbuf_meta(m[k])->link = l->id;
	}
}

static __rte_always_inline bool four(const struct link_words *l, const struct vrf_fib *vrf,
	struct lane *v, struct rte_mbuf *const *m)
{
	const __m128i begin_care = _mm_set_epi64x(0x00ffffffll << 32, MAC_ALL | MAC_GROUP);
	const __m128i total_of =
		_mm_set_epi8(-1, -1, 14, 15, -1, -1, 10, 11, -1, -1, 6, 7, -1, -1, 2, 3);
	const short room = ADJ_TAIL - ETH_MIN, size = ETH_MIN + IP4_MIN;
	const __m128i least = _mm_set_epi16(room, room, room, room, size, size, size, size);
	const __m128i fragment =
		_mm_set1_epi32((int)((uint32_t)RTE_BE16(IP4_MF | IP4_OFFSET) << 16));
	__m128i bad = _mm_setzero_si128(), word[4], have, dst, total, tail, last_hop;
	uint8_t *d[4];

	for (unsigned k = 0; k < 4; k++) {
		d[k] = rte_pktmbuf_mtod(m[k], uint8_t *);
		bad = _mm_or_si128(bad, _mm_xor_si128(load128(d[k]), l->begin));
	}
	if (unlikely(!_mm_testz_si128(bad, begin_care)))
		return false;
	have = size_and_room(m);
	turn(d, word);
	dst = gather32(d, ETH_MIN + 16);
	tail = gather32(d, 8);
	total = _mm_shuffle_epi8(word[0], total_of);
	bad = _mm_xor_si128(_mm_min_epu16(have, least), least);
	bad = _mm_or_si128(bad, _mm_cmpgt_epi32(_mm_set1_epi32(IP4_MIN), total));
	bad = _mm_or_si128(bad, _mm_cmpgt_epi32(_mm_add_epi32(total, _mm_set1_epi32(ETH_MIN)),
					_mm_cvtepu16_epi32(have)));
	bad = _mm_or_si128(bad, _mm_and_si128(word[1], fragment));
	bad = _mm_or_si128(bad, bad_sum(word, dst));
	bad = _mm_or_si128(bad, bad_address(word[3], dst));
	/* The end of the source MAC is enough to be neither zero nor ours. */
	bad = _mm_or_si128(bad, _mm_cmpeq_epi32(tail, l->own_tail));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi32(tail, _mm_setzero_si128()));
	if (unlikely(!_mm_testz_si128(bad, bad)) || unlikely(may_own(vrf, word[3])))
		return false;
	_mm_storeu_si128((void *)&v->aged[v->n], aged(word[2]));
	put_four(l, v, m, d, total, dst);
	last_hop = _mm_cmpgt_epi32(_mm_set1_epi32(2), _mm_and_si128(word[2], _mm_set1_epi32(0xff)));
	if (unlikely(!_mm_testz_si128(last_hop, last_hop)))
		v->quick = false;
	return true;
}

unsigned parse_fours(const struct link *from, const struct vrf_fib *vrf, struct lane *v,
	struct rte_mbuf *const *pkts, unsigned n)
{
	const struct link_words l = link_words(from);
	ptrdiff_t frame_at = rte_pktmbuf_mtod(pkts[0], char *) - (char *)pkts[0];

	for (unsigned i = 0; i < n; i += 4) {
		for (unsigned k = 4; k < 8; k++)
			rte_prefetch0((char *)pkts[i + k] + frame_at);
		if (unlikely(!four(&l, vrf, v, pkts + i)))
			return i;
		v->n += RTE_MIN(n - i, 4u); /* the last of the four may be the same again */
	}
	return n;
}
