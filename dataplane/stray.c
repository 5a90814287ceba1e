/* Strays: which tags come in on a port although no link has them.
 *
 * A circuit that delivers VLAN 102 where 101 was agreed is silent to its link; what it does deliver
 * is what a person wants to know. Only frames that are dropped for their tags come here, off the
 * line: each is noted in a small table of its port, four sets of four by VLAN, the oldest of a set
 * making room, so that a flood of invented tags costs four compares a frame and no memory. Several
 * workers may serve one port: words are atomic, and a count that two of them raise at once may lose
 * one, which nobody will miss. Untagged frames count when they are IP or ARP: switches talk among
 * themselves untagged on any trunk. Control reads (dp_port_strays). */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <rte_cycles.h>
#include <rte_ether.h>
#include "parse.h"
#include "port.h"
#include "stray.h"

#define WAYS  4
#define SLOTS DP_STRAYS_MAX
#define USED  (UINT64_C(1) << 63)

struct slot {
	_Atomic uint64_t tags; /* USED | number << 48 | outer TPID << 32 | outer << 16 | inner */
	_Atomic uint64_t packets, last; /* last: TSC */
};

static struct slot table[DP_PORTS_MAX][SLOTS];

static inline uint64_t get(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static bool is_tag(unsigned type)
{
	return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ;
}

/* 0: nothing worth noting. */
static uint64_t tags_of(const uint8_t *d, unsigned have)
{
	unsigned type = flow_be16(d + 12), n = 0, at = ETH_MIN;
	uint64_t tags = USED;

	for (; is_tag(type) && n < 2; n++, at += 4) {
		if (have < at + 4)
			return 0;
		if (!n)
			tags |= (uint64_t)type << 32;
		tags |= (uint64_t)(flow_be16(d + at) & (VLAN_IDS - 1)) << (n ? 0 : 16);
		type = flow_be16(d + at + 2);
	}
	if (!n && type != RTE_ETHER_TYPE_IPV4 && type != RTE_ETHER_TYPE_IPV6 &&
		type != RTE_ETHER_TYPE_ARP)
		return 0;
	return tags | (uint64_t)n << 48;
}

static void note(struct slot *slots, uint64_t tags, uint64_t now)
{
	struct slot *s, *oldest;

	slots += ((tags >> 16 ^ tags) % (SLOTS / WAYS)) * WAYS;
	oldest = slots;
	for (s = slots; s < slots + WAYS; s++) {
		if (get(&s->tags) == tags)
			break;
		if (get(&s->last) < get(&oldest->last))
			oldest = s;
	}
	if (s == slots + WAYS) {
		s = oldest;
		set(&s->packets, 0);
		set(&s->tags, tags);
	}
	set(&s->packets, get(&s->packets) + 1);
	set(&s->last, now);
}

void stray_note(struct worker *w, const struct port_match *pm, const struct rte_mbuf *m)
{
	uint64_t tags = tags_of(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));
	unsigned port = 0;

	while (port < DP_PORTS_MAX && w->snap->ports[port] != pm)
		port++; /* rare enough to be looked for: no way of a packet carries its port */
	if (tags && port < DP_PORTS_MAX)
		note(table[port], tags, worker_now(w));
}

/* ---- what control asks ---- */
static int newest_first(const void *a, const void *b)
{
	uint64_t x = ((const struct dp_stray *)a)->age_ms, y = ((const struct dp_stray *)b)->age_ms;

	return x < y ? -1 : x > y;
}

unsigned dp_port_strays(unsigned port, struct dp_stray ret_strays[DP_STRAYS_MAX])
{
	uint64_t now = rte_rdtsc(), hz = rte_get_tsc_hz();
	unsigned n = 0;

	for (unsigned i = 0; port < port_count && i < SLOTS; i++) {
		struct slot *s = &table[port][i];
		uint64_t tags = get(&s->tags), last = get(&s->last);

		if (!tags)
			continue;
		ret_strays[n++] = (struct dp_stray){ .n_tags = tags >> 48 & 3,
			.tpid = (uint16_t)(tags >> 32),
			.vid = { tags >> 16 & (VLAN_IDS - 1), tags & (VLAN_IDS - 1) },
			.packets = get(&s->packets),
			.age_ms = now > last ? (now - last) / (hz / 1000) : 0 };
	}
	qsort(ret_strays, n, sizeof(*ret_strays), newest_first);
	return n;
}
