/* Failover that does not count prefixes: a leg of a million prefixes' path group dies, and what
 * happens next is timed and watched, with numbered packets of many flows on their way meanwhile.
 * Prints PASS or FAIL a test. The mirror, the path groups, the FIB and the worker are the daemon's;
 * the kernel's messages are fake.c's.
 *
 * Times are from the beginning of the callback that reads the event to the end of the last
 * dp_group_set. They are medians of ROUNDS; the two of them are allowed to differ by 10 % and
 * NOISE_US: a cold cache, a page of the million that was used in between or one timer interrupt
 * costs that much, whatever the number of prefixes, while work that counted prefixes would cost
 * hundreds of times as much at a million as at a thousand. */
#include <stdio.h>
#include "fake.h"

#define ROUNDS	   15
#define GAP_NS	   300000u /* between deletion and addition; control waits 10 ms for the latter */
#define GAP_MAX_NS 5000000u
#define RUN_NS	   10000000000ull /* what a slow machine may need for the packets of one step */
#define LIMIT_US   1000
#define NOISE_US   25
#define FLOWS4	   192
#define FLOWS6	   64
#define WORD4	   50000 /* prefixes of IPv4 that FRR tells of one by one; IPv6: all */

static char said[256];
static unsigned failed;

static bool fail_(const char *what, unsigned long a, unsigned long b)
{
	snprintf(said, sizeof(said), "%s: %lu, %lu", what, a, b);
	return false;
}

/* ---- where flows go ---- */
static int leg_before[FLOWS_MAX];
static bool excused[FLOWS_MAX]; /* of losses */

static uint32_t adj_of(unsigned flow)
{
	uint8_t af = flow < FLOWS4 ? AF_INET : AF_INET6;
	struct ip_addr dst = fake_address(af, flow < FLOWS4 ? flow : flow - FLOWS4), src;
	uint32_t adj = 0;
	unsigned bucket;

	memset(&src, 0, sizeof(src));
	src.af = af;
	if (af == AF_INET)
		memcpy(src.bytes, (uint8_t[]){ 10, 0, 0, 2 }, 4);
	else
		memcpy(src.bytes, (uint8_t[16]){ 0xfd, 0x10, [15] = 2 }, 16);
	dp_group_bucket(
		dp_fib_lookup(fake_vrf->id, &dst), &src, &dst, 17, 1000 + flow, 9, &bucket, &adj);
	return adj;
}

/* The link an adjacency leads to, 1..4. */
static int leg_of(unsigned flow)
{
	struct dp_adj_info info;

	if (dp_adj_info(adj_of(flow), &info) < 0)
		return 0;
	for (unsigned l = 1; l <= LEGS; l++)
		if (fake_links[l]->id == info.adj.link)
			return (int)l;
	return 0;
}

static void flows_make(void)
{
	flows_clear();
	for (unsigned i = 0; i < FLOWS4 + FLOWS6; i++) {
		fake_flow(i < FLOWS4 ? AF_INET : AF_INET6, i < FLOWS4 ? i : i - FLOWS4, 1000 + i);
		leg_before[i] = leg_of(i);
		excused[i] = false;
	}
}

/* Of every flow: nothing lost but by the dead leg's, nothing out of order, unaffected ones by one
 * exit, the one they had; the others by that one and their next. */
static bool flows_good(unsigned dead, bool may_lose)
{
	uint64_t sent = 0;

	fake_drain();
	for (unsigned i = 0; i < n_flows; i++) {
		const struct flow *f = &flows[i];
		bool moved = leg_before[i] == (int)dead;

		sent += f->sent;
		if (f->reordered)
			return fail_("flow, packets out of order", i, f->reordered);
		if (f->received != f->sent && !(moved && may_lose) && !excused[i])
			return fail_("flow, packets lost", i, f->sent - f->received);
		if (!moved && (f->n_exits != 1 || f->exits[0].port != leg_before[i]))
			return fail_("flow of another leg moved, exits", i, f->n_exits);
		if (moved && (f->n_exits > 2 || f->exits[0].port != dead))
			return fail_("flow of the dead leg, exits", i, f->n_exits);
	}
	if (flows_strange || sent < 20 * n_flows)
		return fail_("strange frames, sent", flows_strange, sent);
	return true;
}

/* ---- how long ---- */
static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median over ROUNDS of the time until l2's death is published, told by its port. */
static uint64_t carrier_us(void)
{
	uint64_t took[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = fake_publications;

		if (!fake_port(2, false) || fake_publications == before)
			return UINT64_MAX;
		took[i] = fake_took_ns;
		fake_port(2, true);
	}
	qsort(took, ROUNDS, sizeof(*took), compare);
	return took[ROUNDS / 2] / 1000;
}

static uint64_t us_few;

/* Every second one has but two legs: with one of them gone there are no buckets left. */
static unsigned legs6(unsigned i)
{
	return i % 2 ? 3u : ALL_LEGS;
}

static bool thousand_prefixes(void)
{
	for (unsigned i = 0; i < 1000; i++)
		fake_route(AF_INET, i, ALL_LEGS, 0);
	for (unsigned i = 0; i < PREFIXES6; i++)
		fake_route(AF_INET6, i, legs6(i), 0);
	fake_settle();
	us_few = carrier_us();
	snprintf(said, sizeof(said), "%lu us", (unsigned long)us_few);
	return us_few <= LIMIT_US;
}

static bool million_prefixes(void)
{
	uint64_t begin = now_ns(), us, allowed = us_few + us_few / 10 + NOISE_US;

	for (unsigned i = 1000; i < PREFIXES4; i++)
		fake_route(AF_INET, i, ALL_LEGS, 0);
	fake_settle();
	begin = now_ns() - begin;
	us = carrier_us();
	snprintf(said, sizeof(said), "%lu us, with a thousand %lu us; a million told in %.1f s",
		(unsigned long)us, (unsigned long)us_few, (double)begin / 1e9);
	return us <= LIMIT_US && us <= allowed;
}

/* ---- who notices ---- */
/* Until each flow has sent so many more. */
static void run_packets(unsigned count)
{
	uint64_t end = now_ns() + RUN_NS;
	uint32_t until = flows[n_flows - 1].sent + count;

	fake_traffic(true);
	while (flows[n_flows - 1].sent < until && now_ns() < end)
		fake_turn();
}

/* The port's carrier goes and returns while packets flow: only flows of that leg notice. */
static bool others_notice_nothing(void)
{
	flows_make();
	run_packets(40);
	for (unsigned i = 0; i < 3; i++) {
		if (!fake_port(2, false))
			return fail_("no event for port", 2, 0);
		run_packets(20);
		for (unsigned f = 0; f < n_flows; f++)
			if (leg_before[f] == 2 ? leg_of(f) == 2 : leg_of(f) != leg_before[f])
				return fail_("wrong leg, flow", leg_of(f), f);
		fake_port(2, true);
		run_packets(20);
	}
	for (unsigned f = 0; f < n_flows; f++)
		if (leg_of(f) != leg_before[f])
			return fail_("not back on its leg, flow", leg_of(f), f);
	for (unsigned f = 0; f < n_flows;
		f++) /* there and back again: more than two exits may be */
		if (leg_before[f] == 2 && flows[f].n_exits > 3)
			return fail_("exits, flow", flows[f].n_exits, f);
	snprintf(said, sizeof(said), "%u flows", n_flows);
	return flows_good(2, true);
}

/* An IPv6 prefix as FRR 8.4 changes it: deleted, added again. For those that have a flow control
 * meets the two apart, with packets in between. */
static void readd6(unsigned i, unsigned legs)
{
	uint64_t begin = now_ns();

	fake_route(AF_INET6, i, 0, 0);
	while (i < FLOWS6 && now_ns() < begin + GAP_NS)
		fake_turn();
	fake_route(AF_INET6, i, legs, 0);
	if (i >= FLOWS6)
		return;
	fake_turn();
	excused[FLOWS4 + i] |= now_ns() > begin + GAP_MAX_NS; /* this machine was elsewhere */
}

/* Prefix by prefix, IPv4 replaced in one message. */
static void frr_says(unsigned legs)
{
	for (unsigned i = 0; i < WORD4; i++) {
		fake_route(AF_INET, i, legs, NLM_F_REPLACE);
		if (i < PREFIXES6)
			readd6(i, legs & legs6(i));
		if (i % 64 == 0)
			fake_turn();
	}
	fake_settle();
}

/* FRR's later word: every prefix replaced by what is left of it. No flow moves, none loses. */
static bool frr_moves_no_bucket(void)
{
	uint64_t begin = now_ns();
	unsigned n = 0;

	flows_make();
	run_packets(20);
	fake_interface(2, false); /* the kernel's word: dumps follow while FRR speaks */
	frr_says(ALL_LEGS & ~(1u << 1));
	run_packets(20);
	for (unsigned f = 0; f < n_flows; n += excused[f++])
		if (leg_before[f] == 2 ? leg_of(f) == 2 : leg_of(f) != leg_before[f])
			return fail_("wrong leg, flow", leg_of(f), f);
	if (!flows_good(2, false))
		return false;
	snprintf(said, sizeof(said), "%u + %u prefixes one by one in %.1f s, %u flows excused",
		WORD4, PREFIXES6, (double)(now_ns() - begin) / 1e9, n);
	return true;
}

/* And back: each prefix gets its leg again, by FRR, and with it its old buckets, no other. */
static bool frr_brings_it_back(void)
{
	fake_interface(2, true);
	fake_settle();
	fake_traffic(true);
	frr_says(ALL_LEGS);
	fake_drain();
	for (unsigned f = 0; f < n_flows; f++) {
		if (leg_of(f) != leg_before[f])
			return fail_("not back on its leg, flow", leg_of(f), f);
		if ((flows[f].received != flows[f].sent && !excused[f]) || flows[f].reordered)
			return fail_("flow, packets lost", f, flows[f].sent - flows[f].received);
	}
	return true;
}

/* A prefix that is really withdrawn goes, some milliseconds later. */
static bool withdrawn_goes(void)
{
	struct ip_addr v4 = fake_address(AF_INET, 7), v6 = fake_address(AF_INET6, 7);
	uint64_t end = now_ns() + 1000000000ull, begin = now_ns();

	fake_route(AF_INET, 7, 0, 0);
	fake_route(AF_INET6, 7, 0, 0);
	while ((dp_fib_lookup(fake_vrf->id, &v4) || dp_fib_lookup(fake_vrf->id, &v6)) &&
		now_ns() < end)
		fake_turn();
	snprintf(said, sizeof(said), "after %lu us", (unsigned long)((now_ns() - begin) / 1000));
	return now_ns() < end;
}

static void test(const char *name, bool (*run)(void))
{
	*said = 0;
	if (run()) {
		printf("PASS failover/%s%s%s%s\n", name, *said ? "  [" : "", said,
			*said ? "]" : "");
	} else {
		printf("FAIL failover/%s: %s\n", name, said);
		failed++;
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--only") && !strstr("failover", argv[i + 1]))
			return 0; /* each test needs those before it: all of them or none */
	if (fake_start())
		return 1;
	test("thousand_prefixes", thousand_prefixes);
	test("million_prefixes", million_prefixes);
	test("others_notice_nothing", others_notice_nothing);
	test("frr_moves_no_bucket", frr_moves_no_bucket);
	test("frr_brings_it_back", frr_brings_it_back);
	test("withdrawn_goes", withdrawn_goes);
	fake_stop();
	return failed ? 1 : 0;
}
