/* The mirror's decisions: what a route, a neighbour, a next-hop object in the kernel becomes in the
 * fast path. */
#include "mirror_rig.h"

static void neighbour_of_a_route(void)
{
	start();
	CU_ASSERT_EQUAL(kind("10.0.1.0/24"), DP_ADJ_GLEAN);
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_GLEAN);
	CU_ASSERT_EQUAL(oracle_adj(legs_of("172.16.0.0/16", 1)->adj)->nexthop.bytes[3], 2);
	CU_ASSERT_EQUAL(asked, 1); /* once, for it to be kept */
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_FORWARD);
	CU_ASSERT_EQUAL(oracle_adj(legs_of("172.16.0.0/16", 1)->adj)->mac[5], 0xa);
	CU_ASSERT_EQUAL(oracle.releases_ok, 1);
	CU_ASSERT_EQUAL(kind("10.0.1.2/32"), DP_ADJ_FORWARD); /* on link: a host route */
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_b);
	settle(false);
	CU_ASSERT_EQUAL(oracle_adj(legs_of("172.16.0.0/16", 1)->adj)->mac[5], 0xb);
	tell_neigh(11, "10.0.1.2", NUD_FAILED, NULL);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_FAILED);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.2/32"), 0);
	CU_ASSERT_EQUAL(oracle.releases_failed, 1);
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_FORWARD);
	CU_ASSERT_EQUAL(alive("172.16.0.0/16", 1), 1);
	tell_neigh(11, "10.0.1.2", 0, NULL); /* deleted */
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_GLEAN);
	stop();
}

/* A host in a connected prefix has a route of ours exactly while the kernel would send straight to
 * it. */
static void host_routes(void)
{
	struct nlbuf b;

	start();
	tell_neigh(11, "10.0.1.77", NUD_STALE, mac_a);
	tell_neigh(11, "192.168.9.9", NUD_STALE, mac_a); /* in nobody's prefix */
	tell_neigh(11, "10.0.2.9", NUD_STALE, mac_a);	 /* in another link's */
	settle(false);
	CU_ASSERT_EQUAL(kind("10.0.1.77/32"), DP_ADJ_FORWARD);
	tell_neigh(11, "10.0.1.77", NUD_FAILED, NULL);
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.77/32"), 0);
	tell_neigh(11, "10.0.1.77", NUD_STALE, mac_a);
	settle(false);
	CU_ASSERT_EQUAL(kind("10.0.1.77/32"), DP_ADJ_FORWARD);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "192.168.9.9/32"), 0);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.2.9/32"), 0);
	tell_route(false, NEW, "10.0.1.64/27", 0, &via2, 1); /* now by another way */
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.77/32"), 0);
	tell_route(true, 0, "10.0.1.64/27", 0, &via2, 1);
	settle(false);
	CU_ASSERT_EQUAL(kind("10.0.1.77/32"), DP_ADJ_FORWARD);
	tell_route(false, NEW, "10.0.1.77/32", 0, &via2, 1); /* the kernel has one of its own */
	settle(false);
	CU_ASSERT_EQUAL(oracle_adj(legs_of("10.0.1.77/32", 1)->adj)->link, links[1]->id);
	tell_route(true, 0, "10.0.1.77/32", 0, &via2, 1);
	settle(false);
	CU_ASSERT_EQUAL(oracle_adj(legs_of("10.0.1.77/32", 1)->adj)->link, links[0]->id);
	nlb_route(
		&b, true, 0, "10.0.1.0/24", RTN_UNICAST, RT_TABLE_MAIN, 0); /* connected no more */
	nlb_legs(&b, &(struct nlb_leg){ NULL, 11, 0, 0 }, 1);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "10.0.1.77/32"), 0);
	stop();
}

static void multipath(void)
{
	char prefix[32];
	unsigned sets;

	start();
	tell_neigh(11, "10.0.1.2", NUD_REACHABLE, mac_a);
	tell_neigh(12, "10.0.2.2", NUD_REACHABLE, mac_b);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(prefix, sizeof(prefix), "172.16.%u.0/24", i);
		tell_route(false, NEW, prefix, 0, i % 2 ? both : both_turned, 2);
		settle(false);
	}
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/24"), oracle_fib(vrf->id, "172.16.1.0/24"));
	CU_ASSERT_EQUAL(leg_over("172.16.0.0/24", 2, 1)->weight, 3);
	CU_ASSERT_EQUAL(leg_over("172.16.0.0/24", 2, 0)->weight, 1);
	sets = oracle.fib_sets;
	mirror_carrier(links[0], false); /* one store for 200 prefixes */
	CU_ASSERT_EQUAL(alive("172.16.9.0/24", 2), 1);
	CU_ASSERT_FALSE(leg_over("172.16.9.0/24", 2, 0)->alive);
	mirror_carrier(links[0], true);
	CU_ASSERT_EQUAL(alive("172.16.9.0/24", 2), 2);
	tell_neigh(12, "10.0.2.2", NUD_FAILED, NULL);
	settle(false);
	CU_ASSERT_FALSE(leg_over("172.16.9.0/24", 2, 1)->alive);
	links[0]->up = false; /* shut */
	mirror_config_changed();
	CU_ASSERT_EQUAL(alive("172.16.9.0/24", 2), 0);
	CU_ASSERT_EQUAL(oracle.fib_sets, sets);
	stop();
}

static void key_survives(void)
{
	uint64_t key;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, both, 2);
	settle(false);
	key = leg_over("172.16.0.0/16", 2, 1)->key;
	tell_route(true, 0, "172.16.0.0/16", 0, both, 2);
	tell_route(false, NEW, "172.17.0.0/16", 0, &via3, 1);
	tell_route(false, NEW, "172.16.0.0/16", 0, &via2, 1);
	settle(false);
	CU_ASSERT_EQUAL(legs_of("172.16.0.0/16", 1)->key, key); /* {A,B} less A equals {B} */
	stop();
}

/* Several routes of one prefix: append, replace, metrics, tables, TOS; the next one takes over in
 * silence. */
static void ipv4_order(void)
{
	struct nlbuf b;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	tell_route(false, NLM_F_CREATE | NLM_F_APPEND, "172.16.0.0/16", 0, &via2, 1);
	tell_route(false, NLM_F_CREATE | NLM_F_APPEND, "172.16.0.0/16", 0, &via2, 1); /* doubled */
	tell_route(false, NEW, "172.16.0.0/16", 10, &via3, 1);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[0]->id);
	tell_route(true, 0, "172.16.0.0/16", 0, &via1, 1);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[1]->id);
	tell_route(true, 0, "172.16.0.0/16", 0, &via2, 1);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[2]->id);
	tell_route(false, NLM_F_REPLACE, "172.16.0.0/16", 10, &via1, 1);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[0]->id);
	nlb_route(&b, false, NEW, "172.16.0.0/16", RTN_UNICAST, RT_TABLE_MAIN, 0)->rtm_tos = 0x10;
	nlb_legs(&b, &via2, 1);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[0]->id); /* TOS routes are kept, not used */
	nlb_route(&b, false, NEW, "172.16.0.0/16", RTN_LOCAL, RT_TABLE_LOCAL, 0);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_LOCAL); /* local first, whatever the metric */
	nlb_route(&b, false, NEW, "172.20.0.0/16", RTN_UNICAST, 100, 0);
	nlb_legs(&b, &via1, 1);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.20.0.0/16"), 0);
	CU_ASSERT_EQUAL(mirror_counters.ignored_routes, 1);
	stop();
}

static void types(void)
{
	static const struct {
		const char *prefix;
		uint8_t type, kind;
	} rows[] = {
		{ "10.0.1.1/32", RTN_LOCAL, DP_ADJ_LOCAL },
		{ "10.9.0.0/16", RTN_BLACKHOLE, DP_ADJ_BLACKHOLE },
		{ "fd01::/32", RTN_UNREACHABLE, DP_ADJ_UNREACHABLE },
		{ "10.10.0.0/16", RTN_PROHIBIT, DP_ADJ_PROHIBIT },
		{ "10.11.0.0/16", RTN_THROW, DP_ADJ_NONE },
		{ "fd00::/128", RTN_ANYCAST, DP_ADJ_LOCAL },
		{ "10.0.1.255/32", RTN_BROADCAST, DP_ADJ_BROADCAST },
	};
	struct nlbuf b;

	start();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		nlb_route(&b, false, NEW, rows[i].prefix, rows[i].type, RT_TABLE_LOCAL, 0);
		nlb_u32(&b, RTA_OIF, 11);
		tell(&b);
	}
	nlb_route(&b, false, NEW, "ff00::/8", RTN_MULTICAST, RT_TABLE_LOCAL, 256);
	tell(&b);
	nlb_route(&b, false, NEW, "fe80::/64", RTN_UNICAST, RT_TABLE_MAIN, 256);
	nlb_u32(&b, RTA_OIF, 11);
	tell(&b);
	settle(false);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(kind(rows[i].prefix), rows[i].kind);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "ff00::/8"), 0);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "fe80::/64"), 0);
	stop();
}

static void ipv6_legs(void)
{
	static const struct nlb_leg one = { "fd00:1::2", 11, 0, 0 },
				    two = { "fd00:2::2", 12, 0, 0 },
				    three = { "fd00:3::2", 13, 0, 0 };
	const struct nlb_leg pair_[] = { one, two }, all[] = { one, two, three };
	struct nlbuf b;

	start();
	tell_route(false, NEW, "2001:db8::/32", 1024, &one, 1);
	tell_route(false, NLM_F_CREATE | NLM_F_APPEND, "2001:db8::/32", 1024, pair_,
		2); /* the whole set */
	settle(false);
	legs_of("2001:db8::/32", 2);
	tell_route(false, NLM_F_CREATE | NLM_F_APPEND, "2001:db8::/32", 1024, all, 3);
	tell_route(true, 0, "2001:db8::/32", 1024, &two, 1); /* one leg */
	settle(false);
	CU_ASSERT_EQUAL(alive("2001:db8::/32", 2), 2);
	leg_over("2001:db8::/32", 2, 2);
	tell_route(true, 0, "2001:db8::/32", 1024, &two, 1); /* doubled: nothing more */
	settle(false);
	legs_of("2001:db8::/32", 2);
	tell_route(true, 0, "2001:db8::/32", 1024, &one, 1);
	tell_route(true, 0, "2001:db8::/32", 1024, &three, 1);
	settle(false);
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "2001:db8::/32"), 0);
	/* on link: one route an interface, not one set */
	for (unsigned i = 0; i < 2; i++) {
		nlb_route(&b, false, NEW, "fd00:9::/64", RTN_UNICAST, RT_TABLE_MAIN, 256);
		nlb_u32(&b, RTA_OIF, 11 + i);
		tell(&b);
	}
	settle(false);
	CU_ASSERT_EQUAL(link_of("fd00:9::/64"), links[0]->id);
	nlb_route(&b, true, 0, "fd00:9::/64", RTN_UNICAST, RT_TABLE_MAIN, 256);
	nlb_u32(&b, RTA_OIF, 11);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(link_of("fd00:9::/64"), links[1]->id);
	stop();
}

static void tell_nexthop(bool del, uint32_t id, const char *gateway, int ifindex)
{
	struct nlbuf b;

	nlb_nexthop(&b, del, id, gateway, ifindex);
	tell(&b);
}

static void nexthop_objects(void)
{
	static const struct nexthop_grp members[] = { { .id = 1, .weight = 2 },
		{ .id = 2, .weight = 4 } };
	struct nlbuf b;
	unsigned sets;

	start();
	nlb_route(&b, false, NEW, "172.16.0.0/16", RTN_UNICAST, RT_TABLE_MAIN, 0);
	nlb_u32(&b, RTA_NH_ID, 10);
	tell(&b); /* before its object: compat_mode 0, and out of order */
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_UNREACHABLE);
	tell_nexthop(false, 1, "10.0.1.2", 11);
	tell_nexthop(false, 2, "10.0.2.2", 12);
	nlb_nexthop_group(&b, 10, members, 2);
	tell(&b);
	settle(false);
	CU_ASSERT_EQUAL(leg_over("172.16.0.0/16", 2, 0)->weight, 3);
	CU_ASSERT_EQUAL(leg_over("172.16.0.0/16", 2, 1)->weight, 5);
	sets = oracle.fib_sets;
	tell_nexthop(false, 2, "10.0.3.2", 13); /* a member is replaced: no prefix is touched */
	settle(false);
	CU_ASSERT_EQUAL(leg_over("172.16.0.0/16", 2, 2)->weight, 5);
	tell_nexthop(true, 1, "10.0.1.2", 11);
	settle(false);
	CU_ASSERT_EQUAL(link_of("172.16.0.0/16"), links[2]->id);
	tell_nexthop(true, 10, NULL, 0); /* its route goes without a word */
	settle(false);
	CU_ASSERT_EQUAL(kind("172.16.0.0/16"), DP_ADJ_UNREACHABLE);
	CU_ASSERT_EQUAL(oracle.fib_sets, sets);
	settle(true); /* confirmed by a dump */
	CU_ASSERT_EQUAL(oracle_fib(vrf->id, "172.16.0.0/16"), 0);
	stop();
}

static void miss_cap(void)
{
	struct ip_addr addr = nlb_ip("10.0.1.0");

	start();
	for (unsigned i = 1; i < 255; i++) {
		addr.bytes[3] = i;
		mirror_neigh_miss(links[0], &addr);
	}
	settle(false);
	CU_ASSERT(asked >= NEIGH_ASKS_PER_S &&
		  asked <= 2 * NEIGH_ASKS_PER_S); /* a second may begin between */
	CU_ASSERT_EQUAL(mirror_counters.neigh_capped, 254 - asked);
	addr.bytes[3] = 7;
	tell_neigh(11, "10.0.1.7", NUD_FAILED, NULL);
	settle(false);
	CU_ASSERT_EQUAL(oracle.releases_failed, 1);
	mirror_neigh_miss(links[0], &addr); /* it did not answer just now: refused without asking */
	CU_ASSERT_EQUAL(oracle.releases_failed, 2);
	stop();
}

static void names(void)
{
	CU_ASSERT_STRING_EQUAL(mirror_protocol_name(LINTAS_RTPROT), "lintas");
	CU_ASSERT_STRING_EQUAL(mirror_protocol_name(RTPROT_BGP), "bgp");
	CU_ASSERT_STRING_EQUAL(mirror_protocol_name(201), "201");
}

static bool count_route(const struct mirror_route *r, void *arg)
{
	unsigned *n = arg;

	CU_ASSERT(r->n_legs <= DP_LEGS_MAX);
	return ++*n % 2; /* two at a time */
}

static void listing(void)
{
	struct ip_prefix cursor = { 0 }, within;
	unsigned n = 0, calls = 0;

	start();
	tell_route(false, NEW, "172.16.0.0/16", 0, &via1, 1);
	tell_route(false, NEW, "2001:db8::/32", 1024, &(struct nlb_leg){ "fd00::2", 11, 0, 0 }, 1);
	tell_neigh(11, "10.0.1.77", NUD_STALE, mac_a);
	settle(false);
	while (mirror_route_walk(vrf, NULL, &cursor, count_route, &n))
		CU_ASSERT_FATAL(++calls < 10);
	CU_ASSERT_EQUAL(
		n, 5); /* three connected, two more; a neighbour's host route is not the kernel's */
	n = 0;
	cursor.af = 0;
	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse("10.0.0.0/8", &within), 0);
	while (mirror_route_walk(vrf, &within, &cursor, count_route, &n))
		CU_ASSERT_FATAL(++calls < 10);
	CU_ASSERT_EQUAL(n, 3);
	stop();
}

void unit_mirror(void)
{
	static const struct unit_test tests[] = {
		{ "neighbour_of_a_route", neighbour_of_a_route },
		{ "host_routes", host_routes },
		{ "multipath", multipath },
		{ "key_survives", key_survives },
		{ "ipv4_order", ipv4_order },
		{ "types", types },
		{ "ipv6_legs", ipv6_legs },
		{ "nexthop_objects", nexthop_objects },
		{ "miss_cap", miss_cap },
		{ "names", names },
		{ "listing", listing },
	};

	UNIT_SUITE("mirror", tests);
}
