/* The mirror's decisions: netlink messages in, calls to the fast path out. The kernel is a pair of
 * sockets whose other ends are held here: `tell` sends a notification, and dumps are answered from
 * `state`, a list of messages that the test edits, so that lost, doubled, late and silent changes
 * can be played at will. The fast path is oracle.c, which also notices what is published in the
 * wrong order. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/mirror_state.h"
#include "nlbuild.h"
#include "oracle.h"
#include "test_mirror.h"
#include "unit.h"

#define WAIT_S 20
#define UP     (IFF_UP | IFF_LOWER_UP)

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };

static struct {
	struct event_base *base;
	struct config *running;
} saved;
static struct config config;
static struct cfg_link cfgs[3];
static struct vrf *vrf;
static struct link *links[3];	  /* l1, l2, l3: ifindex 11, 12, 13 */
static int notify, dump, request; /* the kernel's ends */
static struct nlbuf state[64];	  /* what a dump shows */
static unsigned n_state, asked;

/* ---- the kernel ---- */

static struct nlbuf *has(void) /* a further object, to be built by the caller */
{
	if (n_state == 64)
		abort();
	return &state[n_state++];
}

static void tell(const struct nlbuf *b)
{
	CU_ASSERT_FATAL(send(notify, b->bytes, b->len, 0) == (ssize_t)b->len);
}

static bool shown(const struct nlmsghdr *request_head, const struct nlbuf *b)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)b->bytes;
	uint8_t af = *(const uint8_t *)NLMSG_DATA(request_head);

	if (h->nlmsg_type != request_head->nlmsg_type - 2) /* GET is NEW + 2 */
		return false;
	return h->nlmsg_type != RTM_NEWROUTE || *(const uint8_t *)NLMSG_DATA(h) == af;
}

static void answer_dumps(void)
{
	struct nlbuf req, b;

	while (recv(dump, req.bytes, sizeof(req.bytes), MSG_DONTWAIT) > 0) {
		for (unsigned i = 0; i < n_state; i++) {
			if (!shown(nlb_head(&req), &state[i]))
				continue;
			b = state[i];
			nlb_head(&b)->nlmsg_seq = nlb_head(&req)->nlmsg_seq;
			nlb_head(&b)->nlmsg_flags = NLM_F_MULTI;
			send(dump, b.bytes, b.len, 0);
		}
		nlb_begin(&b, NLMSG_DONE, NLM_F_MULTI, sizeof(int));
		nlb_head(&b)->nlmsg_seq = nlb_head(&req)->nlmsg_seq;
		send(dump, b.bytes, b.len, 0);
	}
	while (recv(request, req.bytes, sizeof(req.bytes), MSG_DONTWAIT) > 0)
		asked++;
}

static bool pending(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Run the loop until everything told has been taken in, and the dumps that follow from it. */
static void settle(bool dumps)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	uint64_t end = now_ns() + WAIT_S * 1000000000ull;

	do {
		answer_dumps();
		event_base_loop(control.base, EVLOOP_NONBLOCK);
		answer_dumps();
		CU_ASSERT_FATAL(now_ns() < end);
	} while (kernel_neigh_pending() || pending(request) || pending(mv->sync.notify_fd) ||
		 mv->sync.phase != RESYNC_IDLE || mv->review || (dumps && mv->sync.want));
	mirror_settle(UINT64_MAX);
	CU_ASSERT_EQUAL(oracle.disorder, 0);
}

static void pair(int *ret_ours, int *ret_kernels)
{
	int fds[2], size = 4 << 20;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_ours = fds[0];
	*ret_kernels = fds[1];
}

/* ---- the router under test ---- */

static void start(void)
{
	static const char *const addrs[] = { "10.0.1.1/24", "10.0.2.1/24", "10.0.3.1/24" };
	static const char *const nets[] = { "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24" };
	char name[] = "l1";
	int ours[3];

	saved.base = control.base;
	saved.running = control.running;
	control.base = event_base_new();
	control.running = &config;
	memset(&config, 0, sizeof(config));
	oracle_reset();
	oracle.on = true;
	memset(&mirror_counters, 0, sizeof(mirror_counters));
	asked = n_state = 0;
	pair(&ours[0], &notify);
	pair(&ours[1], &dump);
	pair(&ours[2], &request);
	vrf = vrf_alloc("test");
	vrf->nl_request = ours[2];
	for (unsigned i = 0; i < 3; i++, name[1]++) {
		memset(&cfgs[i], 0, sizeof(cfgs[i]));
		memcpy(cfgs[i].name, name, sizeof(name));
		links[i] = link_alloc(name);
		links[i]->vrf = vrf;
		links[i]->cfg = &cfgs[i];
		links[i]->up = links[i]->carrier = true;
		nlb_link(has(), false, 11 + i, name, UP);
		nlb_ifaddr(has(), false, 11 + i, addrs[i]);
		nlb_route(has(), false, 0, nets[i], RTN_UNICAST, RT_TABLE_MAIN, 0);
		nlb_legs(&state[n_state - 1], &(struct nlb_leg){ NULL, 11 + i, 0, 0 }, 1);
	}
	CU_ASSERT_EQUAL_FATAL(mirror_attach(vrf, ours[0], ours[1]), 0);
	settle(true);
	CU_ASSERT_TRUE(mirror_synced());
}

static void stop(void)
{
	struct mirror_stats stats;
	int fd = vrf->nl_request;

	oracle_drop_fib();
	mirror_close();
	CU_ASSERT_EQUAL(oracle.disorder, 0);
	CU_ASSERT_EQUAL(oracle.groups, 0); /* nothing is left behind */
	CU_ASSERT_EQUAL(oracle.adjs, 0);
	mirror_stats(&stats);
	CU_ASSERT_EQUAL(stats.groups + stats.adjacencies + stats.routes, 0);
	for (unsigned i = 0; i < 3; i++)
		link_release(links[i]);
	vrf_release(vrf);
	close(fd);
	close(notify);
	close(dump);
	close(request);
	event_base_free(control.base);
	control.base = saved.base;
	control.running = saved.running;
	oracle.on = false;
}

/* ---- what was decided ---- */

/* The group of a prefix must have n legs; returns them. */
static const struct dp_leg *legs_of(const char *prefix, unsigned n)
{
	unsigned have = 0;
	const struct dp_leg *legs = oracle_group(oracle_fib(vrf->id, prefix), &have);

	CU_ASSERT_PTR_NOT_NULL_FATAL(legs);
	CU_ASSERT_EQUAL_FATAL(have, n);
	return legs;
}

static uint8_t kind_of_leg(const struct dp_leg *leg)
{
	const struct dp_adj *adj = oracle_adj(leg->adj);

	CU_ASSERT_PTR_NOT_NULL_FATAL(adj);
	return adj->kind;
}

static uint8_t kind(const char *prefix)
{
	return kind_of_leg(legs_of(prefix, 1));
}

static const struct dp_leg *leg_over(const char *prefix, unsigned n, unsigned link)
{
	const struct dp_leg *legs = legs_of(prefix, n);

	for (unsigned i = 0; i < n; i++)
		if (oracle_adj(legs[i].adj)->link == links[link]->id)
			return &legs[i];
	CU_FAIL_FATAL("no leg over this link");
	return NULL;
}

static unsigned alive(const char *prefix, unsigned n)
{
	const struct dp_leg *legs = legs_of(prefix, n);
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += legs[i].alive;
	return count;
}

static void route(struct nlbuf *b, bool del, uint16_t flags, const char *prefix, uint32_t metric,
	const struct nlb_leg *legs, unsigned n)
{
	nlb_route(b, del, flags, prefix, RTN_UNICAST, RT_TABLE_MAIN, metric);
	nlb_legs(b, legs, n);
}

static void tell_route(bool del, uint16_t flags, const char *prefix, uint32_t metric,
	const struct nlb_leg *legs, unsigned n)
{
	struct nlbuf b;

	route(&b, del, flags, prefix, metric, legs, n);
	tell(&b);
}

static void tell_neigh(int ifindex, const char *addr, uint16_t state_, const uint8_t *mac)
{
	struct nlbuf b;

	nlb_neigh(&b, state_ == 0, ifindex, addr, state_, mac);
	tell(&b);
}

#define NEW (NLM_F_CREATE | NLM_F_EXCL)
static const struct nlb_leg via1 = { "10.0.1.2", 11, 0, 0 }, via2 = { "10.0.2.2", 12, 0, 0 },
			    via3 = { "10.0.3.2", 13, 0, 0 };
static const struct nlb_leg both[] = { { "10.0.1.2", 11, 1, 0 }, { "10.0.2.2", 12, 3, 0 } };
static const struct nlb_leg both_turned[] = { { "10.0.2.2", 12, 3, 0 }, { "10.0.1.2", 11, 1, 0 } };

/* ---- tests ---- */

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

static unsigned link_of(const char *prefix)
{
	return oracle_adj(legs_of(prefix, 1)->adj)->link;
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
		{ "miss_cap", miss_cap },
		{ "names", names },
		{ "listing", listing },
		{ "anything", anything },
	};

	UNIT_SUITE("mirror", tests);
}
