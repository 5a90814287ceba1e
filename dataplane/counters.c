/* Counters: written by one thread each, summed by whoever asks.
 *
 * Each worker, the punt thread and control have a struct counters of their own (slots, counters.h).
 * The writer adds with plain 64-bit stores; a reader loads relaxed, so a number is never torn, only
 * a moment old. Matrix and drop rows are anonymous memory that costs nothing until it is touched;
 * huge pages are asked for, because a worker walks its matrix at random.
 *
 * A link id that is used again must read zero, but only the writer may write its counters. So
 * control keeps what had been counted up to then and readers subtract it. A reader takes what is
 * subtracted before what it is subtracted from: the latter only grows, so the difference is never
 * negative. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include "counters.h"
#include "memory.h"
#include "worker.h"

#define PAIR_BYTES ((size_t)DP_LINKS_MAX * sizeof(struct dp_count[DP_LINKS_MAX]))
#define DROP_BYTES ((size_t)DP_LINKS_MAX * sizeof(uint64_t[DP_DROP_COUNT]))
#define PUNT_BYTES ((size_t)DP_LINKS_MAX * sizeof(struct dp_count))

static struct counters *_Atomic slots[COUNTERS_SLOTS];

/* Written by control, read by anyone: what counters_clear_link subtracts. */
#define PAGE 4096
static struct dp_count pair_base[DP_LINKS_MAX][DP_LINKS_MAX] __attribute__((aligned(PAGE)));
static uint64_t drop_base[DP_LINKS_MAX][DP_DROP_COUNT] __attribute__((aligned(PAGE)));
static struct dp_count punted_base[DP_LINKS_MAX] __attribute__((aligned(PAGE)));

static void *map_zeroed(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE); /* without: slower, not wrong */
	return p;
}

int counters_init(struct counters *c)
{
	memset(c, 0, sizeof(*c));
	c->pair = map_zeroed(PAIR_BYTES);
	c->drop = map_zeroed(DROP_BYTES);
	c->punted = map_zeroed(PUNT_BYTES);
	if (c->pair && c->drop && c->punted)
		return 0;
	counters_free(c);
	return -ENOMEM;
}

void counters_free(struct counters *c)
{
	for (unsigned i = 0; i < COUNTERS_SLOTS; i++)
		if (atomic_load_explicit(&slots[i], memory_order_relaxed) == c)
			atomic_store_explicit(&slots[i], NULL, memory_order_release);
	if (c->pair)
		munmap(c->pair, PAIR_BYTES);
	if (c->drop)
		munmap(c->drop, DROP_BYTES);
	if (c->punted)
		munmap(c->punted, PUNT_BYTES);
	memset(c, 0, sizeof(*c));
}

void counters_register(struct counters *c, unsigned slot)
{
	if (slot < COUNTERS_SLOTS)
		atomic_store_explicit(&slots[slot], c, memory_order_release);
}

static const struct counters *slot_get(unsigned slot)
{
	return atomic_load_explicit(&slots[slot], memory_order_acquire);
}

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The base comes first: the acquire keeps the sums that follow from being older than it. */
static uint64_t load_base(const uint64_t *base)
{
	return __atomic_load_n(base, __ATOMIC_ACQUIRE);
}

static void add(struct dp_count *sum, const struct dp_count *c)
{
	sum->packets += load(&c->packets);
	sum->bytes += load(&c->bytes);
}

static struct dp_count pair_sum(unsigned in, unsigned out)
{
	struct dp_count sum = { 0 };

	for (unsigned i = 0; i < COUNTERS_SLOTS; i++) {
		const struct counters *c = slot_get(i);

		if (c)
			add(&sum, &c->pair[in][out]);
	}
	return sum;
}

static struct dp_count punted_sum(unsigned link)
{
	struct dp_count sum = { 0 };

	for (unsigned i = 0; i < COUNTERS_SLOTS; i++) {
		const struct counters *c = slot_get(i);

		if (c)
			add(&sum, &c->punted[link]);
	}
	return sum;
}

static uint64_t drop_sum(unsigned link, enum dp_drop reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < COUNTERS_SLOTS; i++) {
		const struct counters *c = slot_get(i);

		if (c)
			sum += load(&c->drop[link][reason]);
	}
	return sum;
}

static uint64_t less(uint64_t sum, uint64_t base)
{
	return sum > base ? sum - base
			  : 0; /* a slot was freed: its part is gone, the base is not */
}

static struct dp_count load_count_base(const struct dp_count *base)
{
	return (struct dp_count){ load_base(&base->packets), load_base(&base->bytes) };
}

static struct dp_count count_less(struct dp_count sum, struct dp_count base)
{
	return (struct dp_count){ less(sum.packets, base.packets), less(sum.bytes, base.bytes) };
}

struct dp_count dp_pair_count(uint16_t in, uint16_t out)
{
	struct dp_count base;

	if (in >= DP_LINKS_MAX || out >= DP_LINKS_MAX)
		return (struct dp_count){ 0 };
	base = load_count_base(&pair_base[in][out]);
	return count_less(pair_sum(in, out), base);
}

uint64_t dp_link_drop_count(uint16_t link, enum dp_drop reason)
{
	uint64_t base;

	if (link >= DP_LINKS_MAX || (unsigned)reason >= DP_DROP_COUNT)
		return 0;
	base = load_base(&drop_base[link][reason]);
	return less(drop_sum(link, reason), base);
}

/* Since start, of all links that are and were: a total never goes back. */
uint64_t dp_drop_count(enum dp_drop reason)
{
	uint64_t sum = 0;

	if ((unsigned)reason >= DP_DROP_COUNT)
		return 0;
	for (unsigned link = 0; link < DP_LINKS_MAX; link++)
		sum += drop_sum(link, reason);
	return sum;
}

/* Reasons that only come after the meter: the packet is in its row of the matrix already. */
static bool after_meter(enum dp_drop reason)
{
	return reason == DP_DROP_tx_full || reason == DP_DROP_handover_full ||
	       reason == DP_DROP_no_carrier;
}

/* Dropped packets have no bytes: nobody knows the IP length of what is no IP packet. */
struct dp_count dp_link_rx(uint16_t link)
{
	struct dp_count sum, base;

	if (link >= DP_LINKS_MAX)
		return (struct dp_count){ 0 };
	base = load_count_base(&punted_base[link]);
	sum = count_less(punted_sum(link), base);
	for (unsigned out = 0; out < DP_LINKS_MAX; out++) {
		struct dp_count pair = dp_pair_count(link, out);

		sum.packets += pair.packets;
		sum.bytes += pair.bytes;
	}
	for (unsigned reason = 0; reason < DP_DROP_COUNT; reason++)
		if (!after_meter(reason))
			sum.packets += dp_link_drop_count(link, reason);
	return sum;
}

struct dp_count dp_link_tx(uint16_t link)
{
	struct dp_count sum = { 0 };

	for (unsigned in = 0; in < DP_LINKS_MAX; in++) {
		struct dp_count pair = dp_pair_count(in, link);

		sum.packets += pair.packets;
		sum.bytes += pair.bytes;
	}
	return sum;
}

static void base_store(struct dp_count *base, struct dp_count sum)
{
	if (sum.packets != base->packets) /* keep untouched pages untouched */
		__atomic_store_n(&base->packets, sum.packets, __ATOMIC_RELEASE);
	if (sum.bytes != base->bytes)
		__atomic_store_n(&base->bytes, sum.bytes, __ATOMIC_RELEASE);
}

void counters_clear_link(uint16_t link)
{
	if (link >= DP_LINKS_MAX)
		return;
	for (unsigned other = 0; other < DP_LINKS_MAX; other++) {
		base_store(&pair_base[link][other], pair_sum(link, other));
		base_store(&pair_base[other][link], pair_sum(other, link));
	}
	base_store(&punted_base[link], punted_sum(link));
	for (unsigned reason = 0; reason < DP_DROP_COUNT; reason++)
		__atomic_store_n(
			&drop_base[link][reason], drop_sum(link, reason), __ATOMIC_RELEASE);
}

static int64_t plus_resident(int64_t sum, const void *start, size_t bytes)
{
	int64_t more = sum < 0 ? sum : memory_resident(start, bytes);

	return more < 0 ? more : sum + more;
}

int64_t counters_resident(void)
{
	int64_t sum = plus_resident(0, pair_base, sizeof(pair_base));

	sum = plus_resident(sum, drop_base, sizeof(drop_base));
	sum = plus_resident(sum, punted_base, sizeof(punted_base));
	for (unsigned i = 0; i < COUNTERS_SLOTS; i++) {
		const struct counters *c = slot_get(i);

		if (!c)
			continue;
		sum = plus_resident(sum, c->pair, PAIR_BYTES);
		sum = plus_resident(sum, c->drop, DROP_BYTES);
		sum = plus_resident(sum, c->punted, PUNT_BYTES);
	}
	return sum;
}

int dp_punt_stats(enum dp_punt_class class, struct dp_punt_stats *ret_stats)
{
	struct dp_punt_stats sum = { 0 };

	if ((unsigned)class >= DP_PUNT_COUNT)
		return -ENOENT;
	for (unsigned i = 0; i < COUNTERS_SLOTS; i++) {
		const struct counters *c = slot_get(i);

		if (!c)
			continue;
		sum.to_kernel += load(&c->punt[class].to_kernel);
		sum.dropped += load(&c->punt[class].dropped);
		sum.from_kernel += load(&c->punt[class].from_kernel);
	}
	*ret_stats = sum;
	return 0;
}

int dp_worker_stats(unsigned worker, struct dp_worker_stats *ret_stats)
{
	const struct counters *c = worker < DP_WORKERS_MAX ? slot_get(worker) : NULL;
	const struct dp_worker_stats *s;

	if (!c)
		return -ENOENT;
	s = &c->stats;
	memset(ret_stats, 0, sizeof(*ret_stats));
	ret_stats->cpu = __atomic_load_n(&s->cpu, __ATOMIC_RELAXED);
	ret_stats->vectors = load(&s->vectors);
	ret_stats->packets = load(&s->packets);
	ret_stats->polls = load(&s->polls);
	ret_stats->idle_polls = load(&s->idle_polls);
	ret_stats->naps = load(&s->naps);
	ret_stats->handed_over = load(&s->handed_over);
	ret_stats->sampled_vectors = load(&s->sampled_vectors);
	ret_stats->sampled_packets = load(&s->sampled_packets);
	ret_stats->disturbed_vectors = load(&s->disturbed_vectors);
	ret_stats->clock_cycles = __atomic_load_n(&s->clock_cycles, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < sizeof(s->stage_cycles) / sizeof(s->stage_cycles[0]); i++)
		ret_stats->stage_cycles[i] = load(&s->stage_cycles[i]);
	return 0;
}
