/* What the mirror survives: changes that nobody announced, notifications lost, doubled, late or
 * malformed, a fast path that refuses or forgets, and anything in any order. */
#include "mirror_rig.h"

/* Admin down: IPv4 routes over the link are gone and nobody said so. */
static void link_down(void)
{
	struct nlbuf b;

	start();
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	tell_route(false, NEW, "172.17.0.0/16", 0, both, 2);
	tell_route(false, NEW, "172.18.0.0/16", 0, &via2, 1);
	settle(false);
	nlb_link(&b, false, 11, "l1", 0);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(alive("172.17.0.0/16", 2), 1); /* at once */
	CU_ASSERT_EQUAL(alive("172.16.0.0/16", 1), 0);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_UNREACHABLE);
	/* what the kernel still has: */
	nlb_link(&state[0], false, 11, "l1", 0);
	nlb_route(&state[2], false, 0, "172.18.0.0/16", RTN_UNICAST, RT_TABLE_MAIN, 0);
	nlb_legs(&state[2], &via2, 1);
	route(has(), false, 0, "172.17.0.0/16", 0,
		(const struct nlb_leg[]){ { "10.0.1.2", 11, 1, RTNH_F_DEAD }, both[1] }, 2);
	settle(true);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.0/24"), 0);
	CU_ASSERT_EQUAL(alive("172.17.0.0/16", 2), 1);
	CU_ASSERT_EQUAL(alive("172.18.0.0/16", 1), 1);
	nlb_link(&b, false, 11, "l1", UP); /* up again, and the dump says the leg lives */
	tell(&b);
	nlb_link(&state[0], false, 11, "l1", UP);
	route(&state[n_state - 1], false, 0, "172.17.0.0/16", 0, both, 2);
	settle(true);
	CU_ASSERT_EQUAL(alive("172.17.0.0/16", 2), 2);
	stop();
}

static void last_address(void)
{
	struct nlbuf b;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	settle(false);
	CU_ASSERT_EQUAL(alive("172.16.0.0/16", 1), 1);
	nlb_ifaddr(&b, true, 11, "10.0.1.1/24");
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(alive("172.16.0.0/16", 1), 0);
	settle(true); /* the dump does not show it */
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	CU_ASSERT_NOT_EQUAL(oracle_fib(vrf->id, "10.0.2.0/24"), 0);
	stop();
}

static void unknown_interface(void)
{
	struct nlbuf b;

	start();
	nlb_link(&b, true, 13, "l3", 0);
	tell(&b);
	settle(false);
	tell_route(false, NEW, "172.16.0.0/16", 0, &(struct nlb_leg){ "10.0.3.2", 99, 0, 0 }, 1);
	tell_neigh(99, "10.0.3.2", NUD_REACHABLE, mac_a);
	settle(false);
	CU_ASSERT_EQUAL(alive("172.16.0.0/16", 1), 0);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_UNREACHABLE);
	CU_ASSERT_EQUAL(mirror_counters.unknown_links, 1);
	nlb_link(&b, false, 99, "l3", UP); /* the interface shows up late */
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_FORWARD);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[2]->id);
	CU_ASSERT_EQUAL(links[2]->ifindex, 99);
	stop();
}

static void doubled(void)
{
	unsigned sets, groups;

	start();
	for (unsigned i = 0; i < 2; i++) {
		tell_route(false, NEW, "172.16.0.0/16", 0, both, 2);
		tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);
		tell_route(false, NEW, "2001:db8::/32", 1024,
			&(struct nlb_leg){ "fd00::2", 11, 0, 0 }, 1);
		settle(false);
		if (!i) {
			sets = oracle.fib_sets;
			groups = oracle.group_sets;
		}
	}
	CU_ASSERT_EQUAL(oracle.fib_sets, sets);
	CU_ASSERT_EQUAL(oracle.group_sets, groups);
	CU_ASSERT_EQUAL(mirror_of(vrf)->routes, 5);
	for (unsigned i = 0; i < 2; i++) {
		tell_route(true, 0, "172.16.0.0/16", 0, both, 2);
		settle(false);
	}
	CU_ASSERT_EQUAL(mirror_of(vrf)->routes, 4);
	stop();
}

/* Notifications were lost: the state differs in every way it can, then a dump puts it right. */
static void lost_then_resync(void)
{
	struct mirror_stats stats;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1); /* gone without a word */
	tell_route(false, NEW, "172.17.0.0/16", 0, &via1, 1); /* changed */
	tell_route(false, NEW, "172.18.0.0/16", 0, &via1, 1); /* an appended one came first */
	tell_route(false, NEW, "172.19.0.0/16", 0, &via1, 1); /* the same */
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);     /* gone */
	settle(false);
	route(has(), false, 0, "172.17.0.0/16", 0, both, 2);
	route(has(), false, 0, "172.18.0.0/16", 0, &via2, 1);
	route(has(), false, 0, "172.18.0.0/16", 0, &via1, 1);
	route(has(), false, 0, "172.19.0.0/16", 0, &via1, 1);
	route(has(), false, 0, "172.20.0.0/16", 0, &via3, 1); /* never heard of */
	nlb_neigh(has(), false, 13, "10.0.3.2", NUD_REACHABLE, mac_b);
	mirror_resync(NULL);
	settle(true);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	legs_of("172.17.0.0/16", 2);
	CU_ASSERT_EQUAL(link_of("172.18.0.0/16"), links[1]->id);
	CU_ASSERT_EQUAL(kind("172.19.0.0/16"), DP_ADJ_GLEAN);
	CU_ASSERT_EQUAL(kind("172.20.0.0/16"), DP_ADJ_FORWARD);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.2/32"), 0);
	CU_ASSERT_EQUAL(kind("10.0.3.2/32"), DP_ADJ_FORWARD);
	mirror_stats(&stats);
	CU_ASSERT_EQUAL(stats.resyncs, 2);
	CU_ASSERT_EQUAL(stats.routes, 8);
	stop();
}

/* Told while the dump of its class runs: replayed after it, so that the dump's older word does not
 * win. */
static void replayed(void)
{
	struct mirror_vrf *mv;
	struct nlbuf b;

	start();
	mv = mirror_of(vrf);
	route(has(), false, 0, "172.16.0.0/16", 0, &via1, 1);
	route(has(), false, 0, "172.17.0.0/16", 0, &via1, 1);
	tell_route(false, NEW, "172.17.0.0/16", 0, &via1, 1);
	settle(false);
	mirror_resync(vrf);
	while (mv->sync.phase != RESYNC_DUMP || mv->sync.class != MIRROR_ROUTE4) {
		event_base_loop(control.base, EVLOOP_NONBLOCK);
		if (mv->sync.phase != RESYNC_DUMP || mv->sync.class != MIRROR_ROUTE4)
			answer_dumps();
	}
	tell_route(true, 0, "172.16.0.0/16", 0, &via1, 1);    /* the dump will show it still */
	tell_route(false, NEW, "172.30.0.0/16", 0, &via2, 1); /* the dump will not show it yet */
	nlb_link(&b, false, 11, "l1", IFF_UP);		      /* no carrier: this does not wait */
	tell(&b);
	while (pending(mv->sync.notify_fd))
		event_base_loop(control.base, EVLOOP_NONBLOCK);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.30.0.0/16"), 0);
	CU_ASSERT_EQUAL(alive("172.17.0.0/16", 1), 0);
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	CU_ASSERT_EQUAL(link_of("172.30.0.0/16"), links[1]->id);
	CU_ASSERT_NOT_EQUAL(oracle_fib(vrf->id, "172.17.0.0/16"), 0);
	stop();
}

static void malformed(void)
{
	struct nlbuf b;

	start();
	route(&b, false, NEW, "172.16.0.0/16", 0, both, 2);
	nlb_head(&b)->nlmsg_len -= 3;
	b.len -= 3;
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(mirror_counters.parse_errors, 1);
	CU_ASSERT_NOT_EQUAL(mirror_of(vrf)->sync.want, 0);
	route(has(), false, 0, "172.16.0.0/16", 0, both, 2);
	settle(true); /* the dump had it whole */
	legs_of("172.16.0.0/16", 2);
	stop();
}

static void refused(void)
{
	uint32_t before;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	settle(false);
	before = oracle_fib(vrf->id, "172.16.0.0/16");
	oracle.fib_error = -ENOSPC;
	tell_route(false, NEW, "172.17.0.0/16", 0, &via1, 1);
	tell_route(false, NLM_F_REPLACE, "172.16.0.0/16", 0, both, 2);
	settle(false);
	CU_ASSERT_EQUAL(mirror_counters.fib_refused, 2);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.17.0.0/16"), 0);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), before); /* as it was, exactly */
	oracle.fib_error = 0;
	while (!oracle_fib(
		vrf->id, "172.17.0.0/16")) /* there is room again: the auditor sees to it */
		audit_tick();
	legs_of("172.16.0.0/16", 2);
	stop();
}

static void tables_full(void)
{
	char prefix[32], gateway[32];
	struct nlb_leg leg = { gateway, 11, 0, 0 };
	uint64_t begin = now_ns();
	unsigned in = 0;
	struct nlbuf b;

	start();
	for (unsigned i = 0; i < DP_ADJS_MAX + 100; i++) {
		snprintf(prefix, sizeof(prefix), "20.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255);
		snprintf(gateway, sizeof(gateway), "10.%u.%u.%u", 100 + (i >> 16), i >> 8 & 255,
			i & 255);
		route(&b, false, NEW, prefix, 0, &leg, 1);
		CU_ASSERT_EQUAL(mirror_message(mirror_of(vrf), nlb_head(&b), false), 0);
		in += oracle_fib(vrf->id, prefix) != 0;
	}
	CU_ASSERT(in > DP_ADJS_MAX - 50 && in < DP_ADJS_MAX);
	CU_ASSERT_EQUAL(mirror_counters.fib_refused, DP_ADJS_MAX + 100 - in);
	tell_route(false, NEW, "172.16.0.0/16", 0, both, 2); /* no half of it */
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	CU_ASSERT_EQUAL(kind("20.0.0.9/32"), DP_ADJ_GLEAN);
	CU_ASSERT(asked <= NEIGH_ASKS_PER_S *
				   ((now_ns() - begin) / 1000000000u + 2)); /* nobody was flooded */
	stop();
}

static void audited(void)
{
	uint32_t group;
	unsigned n;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	settle(false);
	group = oracle_fib(vrf->id, "172.16.0.0/16");
	oracle_break_fib(vrf->id, "172.16.0.0/16", 0);
	oracle_break_fib(vrf->id, "10.0.1.0/25", group); /* nobody asked for it */
	oracle_break_group(group);
	for (unsigned i = 0; i < 50; i++)
		audit_tick();
	mirror_settle(UINT64_MAX);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), group);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.0/25"), 0);
	CU_ASSERT_TRUE(oracle_group(group, &n)->alive);
	CU_ASSERT_EQUAL(mirror_counters.audit_fixed, 3);
	CU_ASSERT(mirror_counters.audit_rounds > 1);
	stop();
}

/* ---- anything, in any order ---- */

static unsigned pick(unsigned n)
{
	return (unsigned)(random() % n);
}

static void random_route(struct nlbuf *b)
{
	static const char *const prefixes[] = { "10.0.1.0/24", "10.0.1.64/27", "10.0.1.77/32",
		"0.0.0.0/0", "172.16.0.0/16", "172.16.9.0/24" };
	static const char *const prefixes6[] = { "fd00::/64", "fd00::77/128", "2001:db8::/32",
		"::/0" };
	static const uint8_t types_[] = { RTN_UNICAST, RTN_UNICAST, RTN_UNICAST, RTN_UNICAST,
		RTN_LOCAL, RTN_BROADCAST, RTN_BLACKHOLE, RTN_THROW };
	static const uint16_t flags[] = { 0, NEW, NLM_F_REPLACE, NLM_F_CREATE | NLM_F_APPEND,
		NLM_F_CREATE };
	static char gateways[4][16];
	bool v6 = pick(3) == 0;
	struct nlb_leg legs[4];
	unsigned n = pick(4);

	nlb_route(b, pick(3) == 0, flags[pick(5)], v6 ? prefixes6[pick(4)] : prefixes[pick(6)],
		types_[pick(8)], pick(5) ? RT_TABLE_MAIN : RT_TABLE_LOCAL, pick(3));
	if (pick(5) == 0) {
		nlb_u32(b, RTA_NH_ID, pick(5) + 1);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(gateways[i], sizeof(gateways[i]), v6 ? "fd00::%u" : "10.0.1.%u",
			pick(4) + 75);
		legs[i] = (struct nlb_leg){ pick(3) ? gateways[i] : NULL, (int)pick(5) + 10,
			pick(4), pick(6) ? 0 : RTNH_F_DEAD };
	}
	if (n)
		nlb_legs(b, legs, n);
}

static void random_nexthop(struct nlbuf *b)
{
	struct nexthop_grp members[3];

	if (pick(2)) {
		nlb_nexthop(b, pick(3) == 0, pick(3) + 1, pick(3) ? "10.0.1.77" : "fd00::77",
			(int)pick(4) + 10);
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		members[i] = (struct nexthop_grp){ .id = pick(3) + 1, .weight = pick(9) };
	nlb_nexthop_group(b, 4 + pick(2), members, pick(3) + 1);
}

static void random_message(struct nlbuf *b)
{
	static const uint16_t states[] = { NUD_REACHABLE, NUD_STALE, NUD_FAILED, NUD_INCOMPLETE,
		NUD_PERMANENT };
	static const unsigned flags[] = { 0, IFF_UP, UP, UP, UP };
	static const char *const names[] = { "l1", "l2", "l3", "lo" };
	uint16_t state_;

	switch (pick(8)) {
	case 0:
		nlb_link(b, pick(6) == 0, (int)pick(4) + 11, names[pick(4)], flags[pick(5)]);
		break;
	case 1:
		nlb_ifaddr(b, pick(2), (int)pick(4) + 11, pick(2) ? "10.0.1.1/24" : "fd00::1/64");
		break;
	case 2:
		random_nexthop(b);
		break;
	case 3:
	case 4:
		state_ = states[pick(5)];
		nlb_neigh(b, pick(6) == 0, (int)pick(4) + 10, pick(3) ? "10.0.1.77" : "fd00::77",
			state_, state_ & (NUD_FAILED | NUD_INCOMPLETE) ? NULL : mac_a);
		break;
	default:
		random_route(b);
	}
}

/* No crash, no leak, no wrong order, and a dump that shows nothing leaves nothing. */
static void anything(void)
{
	struct mirror_vrf *mv;
	struct nlbuf b;

	start();
	mv = mirror_of(vrf);
	srandom(11);
	for (unsigned i = 0; i < 60000; i++) {
		random_message(&b);
		CU_ASSERT_EQUAL_FATAL(mirror_message(mv, nlb_head(&b), pick(8) == 0), 0);
		if (pick(5) == 0)
			mirror_settle(UINT64_MAX);
		if (pick(50) == 0)
			mirror_carrier(links[pick(3)], pick(2));
		if (pick(50) == 0)
			mirror_neigh_miss(
				links[pick(3)], &(struct ip_addr){ AF_INET, { 10, 0, 1, 77 } });
		if (pick(200) == 0)
			audit_tick();
		if (pick(400) == 0) {
			links[pick(3)]->up = pick(2);
			mirror_config_changed();
		}
		CU_ASSERT_EQUAL_FATAL(oracle.disorder, 0);
	}
	n_state = 0;
	mirror_resync(NULL);
	settle(true);
	CU_ASSERT_EQUAL(mv->routes, 0);
	CU_ASSERT_EQUAL(mv->rib[0].nodes + mv->rib[1].nodes, 0);
	CU_ASSERT_EQUAL(oracle.routes, 0);
	CU_ASSERT_EQUAL(oracle.groups, 0);
	CU_ASSERT_EQUAL(
		HASH_COUNT(mv->ifaces) + HASH_COUNT(mv->neighs) + HASH_COUNT(mv->nexthops), 0);
	CU_ASSERT_EQUAL(mirror_counters.audit_fixed, 0); /* it was right all along */
	stop();
}

/* One prefix withdrawn and announced more often within a moment than withdrawals can be late: it
 * ends as the last word said, and nothing that has gone is read (ASan watches). */
static void flaps_without_end(void)
{
	struct mirror_vrf *mv;
	struct nlbuf b;
	uint64_t routes, nodes, shown_routes;

	start();
	mv = mirror_of(vrf);
	routes = mv->routes;
	nodes = mv->rib[0].nodes;
	shown_routes = oracle.routes;
	for (unsigned i = 0; i < 5000; i++) {
		route(&b, false, NEW, "172.16.0.0/16", 0, &via1, 1);
		mirror_message(mv, nlb_head(&b), false);
		route(&b, true, 0, "172.16.0.0/16", 0, &via1, 1);
		mirror_message(mv, nlb_head(&b), false);
	}
	settle(false);
	CU_ASSERT_EQUAL(mv->routes, routes);
	CU_ASSERT_EQUAL(mv->rib[0].nodes, nodes);
	CU_ASSERT_EQUAL(oracle.routes, shown_routes);
	stop();
}

void unit_mirror_faults(void)
{
	static const struct unit_test tests[] = {
		{ "link_down", link_down },
		{ "last_address", last_address },
		{ "unknown_interface", unknown_interface },
		{ "doubled", doubled },
		{ "lost_then_resync", lost_then_resync },
		{ "replayed", replayed },
		{ "malformed", malformed },
		{ "refused", refused },
		{ "tables_full", tables_full },
		{ "audited", audited },
		{ "flaps_without_end", flaps_without_end },
		{ "anything", anything },
	};

	UNIT_SUITE("mirror_faults", tests);
}
