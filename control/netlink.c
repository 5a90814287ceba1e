/* rtnetlink, parsed and nothing else: bytes from the kernel become the structs of netlink.h. No
 * state, no decisions; resync.c reads the sockets, mirror.c decides who gets what. libnl walks the
 * attributes (nla_*); its own objects are not used: they know no next-hop objects and cost three
 * times as much (a million routes). The kernel is trusted to mean well, not to be whole: a socket
 * may hand over a cut message, a newer kernel attributes we never saw. So every length is checked
 * before it is believed, a chain of attributes that does not end exactly where its message ends is
 * refused, and unknown attributes are skipped. Control thread only; tested with streams of bytes by
 * tests/unit/test_netlink.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <netlink/attr.h>
#include "netlink.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- attributes ---- */

/* Fill tb[type] for types below n. min[type]: the least payload that will be read. */
static int attrs(
	const void *head, int len, const struct nlattr **tb, const uint8_t *min, unsigned n)
{
	const struct nlattr *pos = head;

	memset(tb, 0, n * sizeof(*tb));
	while (nla_ok(pos, len)) {
		unsigned type = nla_type(pos);

		if (type < n) {
			if (nla_len(pos) < min[type])
				return -EBADMSG; /* shorter than its type */
			tb[type] = pos;
		}
		pos = nla_next(pos, &len);
	}
	return len > 0 ? -EBADMSG : 0; /* a length that lies, or the last attribute is cut */
}

/* The payload after a fixed header of hdr bytes: *ret_head, returns its length or -EBADMSG. */
static int body(const struct nlmsghdr *h, size_t hdr, const void **ret_head)
{
	size_t off = NLMSG_HDRLEN + NLMSG_ALIGN(hdr);

	if (h->nlmsg_len < NLMSG_HDRLEN + hdr) /* the fixed header itself is cut */
		return -EBADMSG;
	*ret_head = (const uint8_t *)h + off;
	return h->nlmsg_len > off ? (int)(h->nlmsg_len - off) : 0;
}

static int attr_addr(const struct nlattr *attr, uint8_t af, struct ip_addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	if (af != AF_INET && af != AF_INET6)
		return -EBADMSG;
	if (nla_len(attr) != (int)ip_size(af)) /* an address of the other family, or cut */
		return -EBADMSG;
	ret_addr->af = af;
	memcpy(ret_addr->bytes, nla_data(attr), ip_size(af));
	return 0;
}

static int attr_prefix(
	const struct nlattr *attr, uint8_t af, unsigned len, struct ip_prefix *ret_prefix)
{
	struct ip_addr addr = { 0 };
	int rc = 0;

	if (len > ip_bits(af))
		return -EBADMSG;
	if (attr)
		rc = attr_addr(attr, af, &addr);
	else if (len) /* only the default route may leave its address out */
		return -EBADMSG;
	memset(ret_prefix, 0, sizeof(*ret_prefix));
	ret_prefix->af = af;
	ret_prefix->len = len;
	memcpy(ret_prefix->bytes, addr.bytes, sizeof(addr.bytes));
	return rc;
}

static bool attr_mac(const struct nlattr *attr, uint8_t mac[6])
{
	if (!attr || nla_len(attr) != 6)
		return false;
	memcpy(mac, nla_data(attr), 6);
	return true;
}

/* ---- links, addresses, neighbours ---- */

int netlink_parse_link(const struct nlmsghdr *h, struct nl_link *ret_link)
{
	static const uint8_t min[IFLA_IFNAME + 1] = { [IFLA_IFNAME] = 1 };
	const struct nlattr *tb[ARRAY_SIZE(min)];
	const struct ifinfomsg *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head), name_len;

	if (len < 0 || attrs(head, len, tb, min, ARRAY_SIZE(min)) < 0)
		return -EBADMSG;
	if (msg->ifi_family != AF_UNSPEC)
		return -ENOMSG; /* a bridge port's or IPv6's view of the link */
	if (msg->ifi_index <= 0)
		return -EBADMSG;
	memset(ret_link, 0, sizeof(*ret_link));
	ret_link->ifindex = msg->ifi_index;
	ret_link->flags = msg->ifi_flags;
	ret_link->deleted = h->nlmsg_type == RTM_DELLINK;
	if (tb[IFLA_IFNAME]) {
		name_len = nla_len(tb[IFLA_IFNAME]);
		if (name_len > IFNAMSIZ || ((char *)nla_data(tb[IFLA_IFNAME]))[name_len - 1])
			return -EBADMSG; /* not terminated */
		memcpy(ret_link->name, nla_data(tb[IFLA_IFNAME]), name_len);
	}
	ret_link->has_mac = attr_mac(tb[IFLA_ADDRESS], ret_link->mac);
	return 0;
}

int netlink_parse_addr(const struct nlmsghdr *h, struct nl_addr *ret_addr)
{
	static const uint8_t min[IFA_LOCAL + 1];
	const struct nlattr *tb[ARRAY_SIZE(min)], *attr;
	const struct ifaddrmsg *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head);

	if (len < 0 || attrs(head, len, tb, min, ARRAY_SIZE(min)) < 0)
		return -EBADMSG;
	if (msg->ifa_family != AF_INET && msg->ifa_family != AF_INET6)
		return -ENOMSG;
	attr = tb[IFA_LOCAL] ? tb[IFA_LOCAL]
			     : tb[IFA_ADDRESS]; /* ADDRESS is the peer's where both exist */
	if (!attr || !msg->ifa_index)
		return -EBADMSG;
	ret_addr->ifindex = (int)msg->ifa_index;
	ret_addr->deleted = h->nlmsg_type == RTM_DELADDR;
	return attr_prefix(attr, msg->ifa_family, msg->ifa_prefixlen, &ret_addr->addr);
}

int netlink_parse_neigh(const struct nlmsghdr *h, struct nl_neigh *ret_neigh)
{
	static const uint8_t min[NDA_FLAGS_EXT + 1] = { [NDA_FLAGS_EXT] = 4 };
	const struct nlattr *tb[ARRAY_SIZE(min)];
	const struct ndmsg *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head);

	if (len < 0 || attrs(head, len, tb, min, ARRAY_SIZE(min)) < 0)
		return -EBADMSG;
	if ((msg->ndm_family != AF_INET && msg->ndm_family != AF_INET6) ||
		(msg->ndm_flags & NTF_PROXY))
		return -ENOMSG; /* a bridge's forwarding table; proxies are no neighbours */
	if (!tb[NDA_DST] || msg->ndm_ifindex <= 0)
		return -EBADMSG;
	memset(ret_neigh, 0, sizeof(*ret_neigh));
	ret_neigh->ifindex = msg->ndm_ifindex;
	ret_neigh->deleted = h->nlmsg_type == RTM_DELNEIGH;
	ret_neigh->state = msg->ndm_state;
	ret_neigh->flags = msg->ndm_flags;
	ret_neigh->has_mac = attr_mac(tb[NDA_LLADDR], ret_neigh->mac);
	if (tb[NDA_FLAGS_EXT])
		ret_neigh->managed = nla_get_u32(tb[NDA_FLAGS_EXT]) & NTF_EXT_MANAGED;
	return attr_addr(tb[NDA_DST], msg->ndm_family, &ret_neigh->addr);
}

/* ---- next-hop objects ---- */

static int nexthop_members(const struct nlattr *attr, struct nl_nexthop *nexthop)
{
	const struct nexthop_grp *grp = nla_data(attr);
	unsigned n = nla_len(attr) / sizeof(*grp);

	if (nla_len(attr) % sizeof(*grp) || !n)
		return -EBADMSG; /* the last member is cut */
	nexthop->too_many = n > DP_LEGS_MAX;
	nexthop->n_members = nexthop->too_many ? DP_LEGS_MAX : n;
	for (unsigned i = 0; i < nexthop->n_members; i++) {
		uint32_t weight = (grp[i].weight_high << 8 | grp[i].weight) +
				  1u; /* the wire has weight - 1 */

		if (!grp[i].id)
			return -EBADMSG;
		nexthop->members[i].id = grp[i].id;
		nexthop->members[i].weight = weight > UINT16_MAX ? UINT16_MAX : weight;
	}
	return 0;
}

int netlink_parse_nexthop(const struct nlmsghdr *h, struct nl_nexthop *ret_nexthop)
{
	static const uint8_t min[NHA_FDB + 1] = {
		[NHA_ID] = 4, [NHA_OIF] = 4, [NHA_ENCAP_TYPE] = 2
	};
	const struct nlattr *tb[ARRAY_SIZE(min)];
	const struct nhmsg *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head);

	if (len < 0 || attrs(head, len, tb, min, ARRAY_SIZE(min)) < 0)
		return -EBADMSG;
	if (!tb[NHA_ID] || !nla_get_u32(tb[NHA_ID]))
		return -EBADMSG;
	memset(ret_nexthop, 0, sizeof(*ret_nexthop));
	ret_nexthop->id = nla_get_u32(tb[NHA_ID]);
	ret_nexthop->deleted = h->nlmsg_type == RTM_DELNEXTHOP;
	ret_nexthop->blackhole = tb[NHA_BLACKHOLE];
	ret_nexthop->fdb = tb[NHA_FDB];
	ret_nexthop->encap = tb[NHA_ENCAP_TYPE] && nla_get_u16(tb[NHA_ENCAP_TYPE]);
	ret_nexthop->dead = msg->nh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	if (tb[NHA_OIF])
		ret_nexthop->ifindex = (int)nla_get_u32(tb[NHA_OIF]);
	if (tb[NHA_GATEWAY] &&
		attr_addr(tb[NHA_GATEWAY], msg->nh_family, &ret_nexthop->gateway) < 0)
		return -EBADMSG;
	return tb[NHA_GROUP] ? nexthop_members(tb[NHA_GROUP], ret_nexthop) : 0;
}

/* ---- routes ---- */

/* Gateway of a leg: RTA_GATEWAY in the route's family, or RTA_VIA in another (RFC 8950). */
static int leg_gateway(const struct nlattr *gateway, const struct nlattr *via, uint8_t af,
	struct ip_addr *ret_addr)
{
	uint16_t via_af;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (gateway)
		return attr_addr(gateway, af, ret_addr);
	if (!via)
		return 0;
	memcpy(&via_af, nla_data(via), sizeof(via_af));
	if (via_af != AF_INET && via_af != AF_INET6)
		return -EBADMSG;
	if (nla_len(via) != (int)(sizeof(via_af) + ip_size(via_af)))
		return -EBADMSG;
	ret_addr->af = via_af;
	memcpy(ret_addr->bytes, (const uint8_t *)nla_data(via) + sizeof(via_af), ip_size(via_af));
	return 0;
}

static const uint8_t route_min[RTA_NH_ID + 1] = {
	[RTA_OIF] = 4,
	[RTA_PRIORITY] = 4,
	[RTA_TABLE] = 4,
	[RTA_VIA] = 2,
	[RTA_ENCAP_TYPE] = 2,
	[RTA_NH_ID] = 4,
};

static int leg_parse(const struct rtnexthop *nh, uint8_t af, struct nl_leg *ret_leg)
{
	const struct nlattr *tb[ARRAY_SIZE(route_min)];

	if (attrs(RTNH_DATA(nh), nh->rtnh_len - sizeof(*nh), tb, route_min, ARRAY_SIZE(route_min)) <
		0)
		return -EBADMSG;
	ret_leg->ifindex = nh->rtnh_ifindex;
	ret_leg->weight = nh->rtnh_hops + 1; /* the wire has weight - 1 */
	ret_leg->dead = nh->rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	ret_leg->encap = tb[RTA_ENCAP_TYPE] && nla_get_u16(tb[RTA_ENCAP_TYPE]);
	return leg_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], af, &ret_leg->gateway);
}

static int route_legs(const struct nlattr *attr, struct nl_route *route)
{
	const struct rtnexthop *nh = nla_data(attr);
	int left = nla_len(attr);

	while (left >= (int)sizeof(*nh)) {
		/* a leg shorter than its header would loop for ever, one longer than the rest
		 * overrun */
		if (nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > left)
			return -EBADMSG;
		if (route->n_legs == DP_LEGS_MAX)
			route->too_many = true;
		else if (leg_parse(nh, route->prefix.af, &route->legs[route->n_legs++]) < 0)
			return -EBADMSG;
		left -= (int)RTNH_ALIGN(nh->rtnh_len);
		nh = RTNH_NEXT(nh);
	}
	return left > 0 ? -EBADMSG : 0; /* the last leg is cut */
}

static int route_single(const struct nlattr **tb, unsigned rtm_flags, struct nl_route *route)
{
	struct nl_leg *leg = &route->legs[0];

	if (!tb[RTA_OIF] && !tb[RTA_GATEWAY] && !tb[RTA_VIA])
		return 0;
	route->n_legs = 1;
	leg->ifindex = tb[RTA_OIF] ? (int)nla_get_u32(tb[RTA_OIF]) : 0;
	leg->weight = 1;
	leg->dead = rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
	leg->encap = tb[RTA_ENCAP_TYPE] && nla_get_u16(tb[RTA_ENCAP_TYPE]);
	return leg_gateway(tb[RTA_GATEWAY], tb[RTA_VIA], route->prefix.af, &leg->gateway);
}

int netlink_parse_route(const struct nlmsghdr *h, struct nl_route *ret_route)
{
	const struct nlattr *tb[ARRAY_SIZE(route_min)];
	const struct rtmsg *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head);

	if (len < 0 || attrs(head, len, tb, route_min, ARRAY_SIZE(route_min)) < 0)
		return -EBADMSG;
	if ((msg->rtm_family != AF_INET && msg->rtm_family != AF_INET6) ||
		(msg->rtm_flags & RTM_F_CLONED))
		return -ENOMSG; /* multicast routing, MPLS; clones are the kernel's own cache */
	if (attr_prefix(tb[RTA_DST], msg->rtm_family, msg->rtm_dst_len, &ret_route->prefix) < 0)
		return -EBADMSG;
	ip_prefix_mask(&ret_route->prefix);
	ret_route->deleted = h->nlmsg_type == RTM_DELROUTE;
	ret_route->from = msg->rtm_src_len;
	ret_route->type = msg->rtm_type;
	ret_route->protocol = msg->rtm_protocol;
	ret_route->scope = msg->rtm_scope;
	ret_route->tos = msg->rtm_tos;
	ret_route->flags = h->nlmsg_flags;
	ret_route->table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : msg->rtm_table;
	ret_route->metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0;
	ret_route->nhid = tb[RTA_NH_ID] ? nla_get_u32(tb[RTA_NH_ID]) : 0;
	ret_route->too_many = false;
	ret_route->n_legs = 0;
	if (tb[RTA_MULTIPATH])
		return route_legs(tb[RTA_MULTIPATH], ret_route);
	return route_single(tb, msg->rtm_flags, ret_route);
}

/* ---- rules ---- */

int netlink_parse_rule(const struct nlmsghdr *h, struct nl_rule *ret_rule)
{
	static const uint8_t min[FRA_TABLE + 1] = { [FRA_PRIORITY] = 4, [FRA_TABLE] = 4 };
	const struct nlattr *tb[ARRAY_SIZE(min)];
	const struct fib_rule_hdr *msg = NLMSG_DATA(h);
	const void *head;
	int len = body(h, sizeof(*msg), &head);

	if (len < 0 || attrs(head, len, tb, min, ARRAY_SIZE(min)) < 0)
		return -EBADMSG;
	if (msg->family != AF_INET && msg->family != AF_INET6)
		return -ENOMSG;
	ret_rule->af = msg->family;
	ret_rule->action = msg->action;
	ret_rule->priority = tb[FRA_PRIORITY] ? nla_get_u32(tb[FRA_PRIORITY]) : 0;
	ret_rule->table = tb[FRA_TABLE] ? nla_get_u32(tb[FRA_TABLE]) : msg->table;
	return 0;
}

/* ---- streams and sockets ---- */

const struct nlmsghdr *netlink_next(const uint8_t *buf, size_t len, size_t *offset, int *ret_rc)
{
	const struct nlmsghdr *h = (const void *)(buf + *offset);
	size_t left = len - *offset;

	*ret_rc = 0;
	if (!left)
		return NULL;
	if (left < sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left) {
		*ret_rc = -EBADMSG; /* cut, or a length that lies */
		return NULL;
	}
	*offset += NLMSG_ALIGN(h->nlmsg_len) < left ? NLMSG_ALIGN(h->nlmsg_len) : left;
	return h;
}

static int nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int netlink_listen(int fd)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_NEIGH, RTNLGRP_NEXTHOP, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE };
	struct sockaddr_nl us = { .nl_family = AF_NETLINK };

	/* Without a port of its own a socket hears nothing; one that has it already says EINVAL. */
	if (bind(fd, (struct sockaddr *)&us, sizeof(us)) < 0 && errno != EINVAL)
		return -errno;
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			return -errno;
	return nonblocking(fd);
}

int netlink_strict(int fd)
{
	int one = 1;

	if (setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one)) < 0)
		return -errno;
	return nonblocking(fd);
}

int netlink_dump(int fd, uint16_t type, uint8_t af, int ifindex, uint32_t seq)
{
	struct {
		struct nlmsghdr h;
		uint8_t payload[64];
	} req = { .h = { .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			  .nlmsg_seq = seq } };
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlattr *oif;
	size_t len;

	req.payload[0] = af; /* the family is the first byte of every one of these headers */
	switch (type) {
	case RTM_GETLINK:
		len = sizeof(struct ifinfomsg);
		break;
	case RTM_GETADDR:
		len = sizeof(struct ifaddrmsg);
		break;
	case RTM_GETNEIGH:
		len = sizeof(struct ndmsg);
		break;
	case RTM_GETNEXTHOP:
		len = sizeof(struct nhmsg);
		break;
	case RTM_GETROUTE:
		len = sizeof(struct rtmsg);
		break;
	case RTM_GETRULE:
		len = sizeof(struct fib_rule_hdr);
		break;
	default:
		return -EINVAL;
	}
	if (ifindex && type == RTM_GETROUTE) {
		oif = (struct nlattr *)(req.payload + NLMSG_ALIGN(len));
		oif->nla_type = RTA_OIF;
		oif->nla_len = NLA_HDRLEN + sizeof(ifindex);
		memcpy(oif + 1, &ifindex, sizeof(ifindex));
		len = NLMSG_ALIGN(len) + oif->nla_len;
	}
	req.h.nlmsg_len = NLMSG_HDRLEN + len;
	if (sendto(fd, &req, req.h.nlmsg_len, MSG_DONTWAIT, (struct sockaddr *)&kernel,
		    sizeof(kernel)) < 0)
		return -errno;
	return 0;
}
