/* The parser against streams of bytes: right objects from whole messages, and no byte read beyond a
 * message that is cut, lies about a length or carries an attribute too short for its type. Every
 * message is parsed from a buffer of exactly its size, so that the address sanitizer sees any step
 * too far. */
#include <errno.h>
#include <stdio.h>
#include "nlbuild.h"
#include "unit.h"

/* One of each struct; which parser is chosen by the message's type. */
static int parse(const struct nlmsghdr *h)
{
	static struct nl_route route;
	static struct nl_nexthop nexthop;
	struct nl_link link;
	struct nl_addr addr;
	struct nl_neigh neigh;
	struct nl_rule rule;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
		return netlink_parse_link(h, &link);
	case RTM_NEWADDR:
		return netlink_parse_addr(h, &addr);
	case RTM_NEWNEIGH:
		return netlink_parse_neigh(h, &neigh);
	case RTM_NEWNEXTHOP:
		return netlink_parse_nexthop(h, &nexthop);
	case RTM_NEWRULE:
		return netlink_parse_rule(h, &rule);
	default:
		return netlink_parse_route(h, &route);
	}
}

/* As a received stream in memory of exactly this size. */
static int parse_stream(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	const struct nlmsghdr *h;
	size_t offset = 0;
	int rc, worst = 0, one;

	if (len)
		memcpy(exact, bytes, len);
	while ((h = netlink_next(exact, len, &offset, &rc))) {
		one = parse(h);
		worst = one < 0 ? one : worst;
	}
	free(exact);
	return rc < 0 ? rc : worst;
}

static void sample(struct nlbuf *b, unsigned which)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	static const struct nlb_leg legs[] = { { "10.0.1.2", 3, 1, 0 }, { "10.0.2.2", 4, 7, 0 },
		{ NULL, 5, 2, RTNH_F_DEAD } };
	static const struct nlb_leg legs6[] = { { "fd00::2", 3, 0, 0 }, { "fe80::2", 4, 0, 0 } };
	static const struct nexthop_grp members[] = { { .id = 1, .weight = 2 },
		{ .id = 2, .weight = 0xff, .weight_high = 1 } };

	switch (which) {
	case 0:
		nlb_link(b, false, 7, "aws-dx1", IFF_UP | IFF_LOWER_UP);
		nlb_put(b, IFLA_ADDRESS, mac, 6);
		break;
	case 1:
		nlb_ifaddr(b, false, 7, "169.254.10.2/30");
		break;
	case 2:
		nlb_ifaddr(b, false, 7, "2001:db8:f::2/125");
		break;
	case 3:
		nlb_neigh(b, false, 7, "169.254.10.1", NUD_REACHABLE, mac);
		nlb_u32(b, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
		break;
	case 4:
		nlb_nexthop(b, false, 700, "fd00::1", 7);
		break;
	case 5:
		nlb_nexthop_group(b, 701, members, 2);
		break;
	case 6:
		nlb_route(b, false, NLM_F_REPLACE, "10.40.0.0/14", RTN_UNICAST, RT_TABLE_MAIN, 20);
		nlb_legs(b, legs, 3);
		break;
	case 7:
		nlb_route(b, false, 0, "2001:db8::/32", RTN_UNICAST, RT_TABLE_MAIN, 1024);
		nlb_legs(b, legs6, 2);
		break;
	case 8:
		nlb_route(b, false, 0, "0.0.0.0/0", RTN_UNICAST, 1000, 0);
		nlb_u32(b, RTA_NH_ID, 701);
		break;
	default:
		nlb_begin(b, RTM_NEWRULE, 0, 12);
		b->bytes[NLMSG_HDRLEN] = AF_INET;
		nlb_u32(b, 6 /* FRA_PRIORITY */, 100);
		nlb_u32(b, 15 /* FRA_TABLE */, 77);
		break;
	}
}
#define SAMPLES 10

static void objects(void)
{
	static struct nl_nexthop nexthop;
	struct nl_link link;
	struct nl_addr addr;
	struct nl_neigh neigh;
	struct nl_rule rule;
	struct nlbuf b;
	char text[IP_STRLEN];

	sample(&b, 0);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_link(nlb_head(&b), &link), 0);
	CU_ASSERT_EQUAL(link.ifindex, 7);
	CU_ASSERT_STRING_EQUAL(link.name, "aws-dx1");
	CU_ASSERT(link.has_mac && link.mac[5] == 1 && !link.deleted);
	sample(&b, 2);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_addr(nlb_head(&b), &addr), 0);
	CU_ASSERT_STRING_EQUAL(ip_prefix_format(&addr.addr, text), "2001:db8:f::2/125");
	sample(&b, 3);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_neigh(nlb_head(&b), &neigh), 0);
	CU_ASSERT(neigh.managed && neigh.has_mac && neigh.state == NUD_REACHABLE);
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&neigh.addr, text), "169.254.10.1");
	sample(&b, 4);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_nexthop(nlb_head(&b), &nexthop), 0);
	CU_ASSERT(nexthop.id == 700 && nexthop.ifindex == 7 && nexthop.gateway.af == AF_INET6);
	sample(&b, 5);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_nexthop(nlb_head(&b), &nexthop), 0);
	CU_ASSERT_EQUAL_FATAL(nexthop.n_members, 2);
	CU_ASSERT_EQUAL(nexthop.members[0].weight, 3);
	CU_ASSERT_EQUAL(nexthop.members[1].weight, 0x200); /* 16 bits, less one on the wire */
	sample(&b, 9);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_rule(nlb_head(&b), &rule), 0);
	CU_ASSERT(rule.priority == 100 && rule.table == 77 && rule.af == AF_INET);
}

static void routes(void)
{
	static struct nl_route route;
	struct nlbuf b;
	char text[IP_STRLEN];
	struct {
		uint16_t af;
		uint8_t addr[16];
	} via = { AF_INET6, { 0xfd, [15] = 9 } };

	sample(&b, 6);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_route(nlb_head(&b), &route), 0);
	CU_ASSERT_STRING_EQUAL(ip_prefix_format(&route.prefix, text), "10.40.0.0/14");
	CU_ASSERT(route.metric == 20 && route.table == RT_TABLE_MAIN && route.n_legs == 3);
	CU_ASSERT(route.flags & NLM_F_REPLACE);
	CU_ASSERT(route.legs[1].ifindex == 4 && route.legs[1].weight == 7 && !route.legs[1].dead);
	CU_ASSERT(!route.legs[2].gateway.af && route.legs[2].dead && route.legs[2].weight == 2);
	sample(&b, 7);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_route(nlb_head(&b), &route), 0);
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&route.legs[1].gateway, text), "fe80::2");
	sample(&b, 8);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_route(nlb_head(&b), &route), 0);
	CU_ASSERT(
		route.prefix.len == 0 && route.nhid == 701 && route.table == 1000 && !route.n_legs);
	/* RFC 8950: IPv4 by an IPv6 next hop */
	nlb_route(&b, false, 0, "10.0.0.0/8", RTN_UNICAST, RT_TABLE_MAIN, 0);
	nlb_u32(&b, RTA_OIF, 7);
	nlb_put(&b, RTA_VIA, &via, sizeof(via));
	CU_ASSERT_EQUAL_FATAL(netlink_parse_route(nlb_head(&b), &route), 0);
	CU_ASSERT_STRING_EQUAL(ip_addr_format(&route.legs[0].gateway, text), "fd00::9");
	/* clones and other families are whole, and not for us */
	nlb_route(&b, false, 0, "10.0.0.0/8", RTN_UNICAST, RT_TABLE_MAIN, 0)->rtm_flags =
		RTM_F_CLONED;
	CU_ASSERT_EQUAL(netlink_parse_route(nlb_head(&b), &route), -ENOMSG);
	nlb_route(&b, false, 0, "10.0.0.0/8", RTN_UNICAST, RT_TABLE_MAIN, 0)->rtm_family =
		RTNL_FAMILY_IPMR;
	CU_ASSERT_EQUAL(netlink_parse_route(nlb_head(&b), &route), -ENOMSG);
}

static void too_many_legs(void)
{
	static struct nl_route route;
	static struct nl_nexthop nexthop;
	struct nexthop_grp members[DP_LEGS_MAX + 1];
	struct nlb_leg legs[DP_LEGS_MAX + 1];
	struct nlbuf b;

	for (unsigned i = 0; i <= DP_LEGS_MAX; i++) {
		legs[i] = (struct nlb_leg){ "10.0.0.1", (int)i + 1, 0, 0 };
		members[i] = (struct nexthop_grp){ .id = i + 1 };
	}
	nlb_route(&b, false, 0, "10.0.0.0/8", RTN_UNICAST, RT_TABLE_MAIN, 0);
	nlb_legs(&b, legs, DP_LEGS_MAX + 1);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_route(nlb_head(&b), &route), 0);
	CU_ASSERT(route.too_many && route.n_legs == DP_LEGS_MAX);
	nlb_nexthop_group(&b, 5, members, DP_LEGS_MAX + 1);
	CU_ASSERT_EQUAL_FATAL(netlink_parse_nexthop(nlb_head(&b), &nexthop), 0);
	CU_ASSERT(nexthop.too_many && nexthop.n_members == DP_LEGS_MAX);
}

/* Each message cut at every byte: refused, or (at an attribute's end) understood; never read
 * beyond. */
static void truncated(void)
{
	struct nlbuf b;

	for (unsigned which = 0; which < SAMPLES; which++) {
		sample(&b, which);
		CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), 0);
		for (size_t len = 1; len < b.len;
			len++) /* the header promises more than there is */
			CU_ASSERT_EQUAL(parse_stream(b.bytes, len), -EBADMSG);
		for (size_t len = NLMSG_HDRLEN; len < b.len;
			len++) { /* the header goes along with the cut */
			nlb_head(&b)->nlmsg_len = len;
			parse_stream(b.bytes, len);
		}
	}
}

/* A 16-bit length anywhere in the message set to what it must not be. */
static void lying_lengths(void)
{
	static const uint16_t lies[] = { 0, 1, 3, 4, 5, 7, 8, 9, 12, 200, 4096, 32767, 65535 };
	struct nlbuf b;

	for (unsigned which = 0; which < SAMPLES; which++)
		for (size_t at = 0;; at += 2) {
			sample(&b, which);
			if (at + 2 > b.len)
				break;
			for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
				memcpy(b.bytes + at, &lies[i], 2);
				parse_stream(b.bytes, b.len);
			}
		}
	/* those that matter most, by name */
	sample(&b, 6);
	nlb_head(&b)->nlmsg_len = b.len + 4;
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	sample(&b, 6);
	((struct rtattr *)(b.bytes + NLMSG_SPACE(sizeof(struct rtmsg))))->rta_len = 2;
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	sample(&b, 1);
	((struct ifaddrmsg *)(b.bytes + NLMSG_HDRLEN))->ifa_prefixlen = 33;
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
}

static void nested_cut(void)
{
	struct rtattr *rta;
	struct rtnexthop *nh;
	struct nlbuf b;

	sample(&b, 6); /* the last attribute is RTA_MULTIPATH: find it */
	rta = (struct rtattr *)(b.bytes + NLMSG_SPACE(sizeof(struct rtmsg)));
	while (rta->rta_type != RTA_MULTIPATH)
		rta = (struct rtattr *)((uint8_t *)rta + RTA_ALIGN(rta->rta_len));
	nh = RTA_DATA(rta);
	nh->rtnh_len = 7; /* shorter than its own header: must not loop */
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	nh->rtnh_len = 0;
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	nh->rtnh_len = 200; /* beyond the attribute */
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	nh->rtnh_len = 12; /* its gateway attribute is cut */
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
	sample(&b, 5);
	rta = (struct rtattr *)(b.bytes + b.len - RTA_LENGTH(16));
	rta->rta_len -= 3; /* half a member */
	CU_ASSERT_EQUAL(parse_stream(b.bytes, b.len), -EBADMSG);
}

/* Random bytes over whole messages, and random streams: nothing but an answer may come of it. */
static void noise(void)
{
	struct nlbuf b;

	srandom(7);
	for (unsigned i = 0; i < 200000; i++) {
		sample(&b, i % SAMPLES);
		for (unsigned n = random() % 6 + 1; n--;)
			b.bytes[random() % b.len] = random();
		parse_stream(b.bytes, b.len);
	}
	CU_ASSERT(true);
}

void unit_netlink(void)
{
	static const struct unit_test tests[] = {
		{ "objects", objects },
		{ "routes", routes },
		{ "too_many_legs", too_many_legs },
		{ "truncated", truncated },
		{ "lying_lengths", lying_lengths },
		{ "nested_cut", nested_cut },
		{ "noise", noise },
	};

	UNIT_SUITE("netlink", tests);
}
