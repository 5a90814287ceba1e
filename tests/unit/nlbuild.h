/* rtnetlink messages for tests, built byte by byte as the kernel would send them. */
#ifndef LINTAS_NLBUILD_H
#define LINTAS_NLBUILD_H

#include <stdlib.h>
#include <string.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include "control/netlink.h"

struct nlbuf {
	size_t len;
	uint8_t bytes[8192] __attribute__((aligned(4)));
};

static inline struct nlmsghdr *nlb_head(struct nlbuf *b)
{
	return (struct nlmsghdr *)b->bytes;
}

static inline void *nlb_begin(struct nlbuf *b, uint16_t type, uint16_t flags, size_t header)
{
	memset(b->bytes, 0, NLMSG_SPACE(header));
	b->len = NLMSG_SPACE(header);
	nlb_head(b)->nlmsg_type = type;
	nlb_head(b)->nlmsg_flags = flags;
	nlb_head(b)->nlmsg_len = b->len;
	return b->bytes + NLMSG_HDRLEN;
}

static inline void nlb_put(struct nlbuf *b, uint16_t type, const void *data, size_t len)
{
	struct rtattr *rta = (struct rtattr *)(b->bytes + b->len);

	rta->rta_type = type;
	rta->rta_len = RTA_LENGTH(len);
	memset(RTA_DATA(rta), 0, RTA_ALIGN(len));
	if (len)
		memcpy(RTA_DATA(rta), data, len);
	b->len += RTA_SPACE(len);
	nlb_head(b)->nlmsg_len = b->len;
}

static inline void nlb_u32(struct nlbuf *b, uint16_t type, uint32_t value)
{
	nlb_put(b, type, &value, sizeof(value));
}

static inline struct ip_addr nlb_ip(const char *text)
{
	struct ip_addr addr;

	if (ip_addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static inline void nlb_addr(struct nlbuf *b, uint16_t type, const char *text)
{
	struct ip_addr addr = nlb_ip(text);

	nlb_put(b, type, addr.bytes, ip_size(addr.af));
}

/* ---- whole messages ---- */

static inline void nlb_link(
	struct nlbuf *b, bool del, int ifindex, const char *name, unsigned flags)
{
	struct ifinfomsg *msg = nlb_begin(b, del ? RTM_DELLINK : RTM_NEWLINK, 0, sizeof(*msg));

	msg->ifi_index = ifindex;
	msg->ifi_flags = flags;
	nlb_put(b, IFLA_IFNAME, name, strlen(name) + 1);
}

static inline void nlb_ifaddr(struct nlbuf *b, bool del, int ifindex, const char *prefix)
{
	struct ifaddrmsg *msg = nlb_begin(b, del ? RTM_DELADDR : RTM_NEWADDR, 0, sizeof(*msg));
	struct ip_prefix p;

	if (ip_prefix_parse(prefix, &p) < 0)
		abort();
	msg->ifa_family = p.af;
	msg->ifa_prefixlen = p.len;
	msg->ifa_index = ifindex;
	nlb_put(b, IFA_ADDRESS, p.bytes, ip_size(p.af));
	nlb_put(b, IFA_LOCAL, p.bytes, ip_size(p.af));
}

static inline void nlb_neigh(struct nlbuf *b, bool del, int ifindex, const char *addr,
	uint16_t state, const uint8_t *mac)
{
	struct ndmsg *msg = nlb_begin(b, del ? RTM_DELNEIGH : RTM_NEWNEIGH, 0, sizeof(*msg));
	struct ip_addr a = nlb_ip(addr);

	msg->ndm_family = a.af;
	msg->ndm_ifindex = ifindex;
	msg->ndm_state = state;
	nlb_put(b, NDA_DST, a.bytes, ip_size(a.af));
	if (mac)
		nlb_put(b, NDA_LLADDR, mac, 6);
}

struct nlb_leg {
	const char *gateway; /* NULL: on link */
	int ifindex;
	unsigned weight; /* 0 = 1 */
	unsigned flags;	 /* RTNH_F_* */
};

/* Everything about the route but where it goes. */
static inline struct rtmsg *nlb_route(struct nlbuf *b, bool del, uint16_t flags, const char *prefix,
	uint8_t type, uint32_t table, uint32_t metric)
{
	struct rtmsg *msg = nlb_begin(b, del ? RTM_DELROUTE : RTM_NEWROUTE, flags, sizeof(*msg));
	struct ip_prefix p;

	if (ip_prefix_parse(prefix, &p) < 0)
		abort();
	msg->rtm_family = p.af;
	msg->rtm_dst_len = p.len;
	msg->rtm_type = type;
	msg->rtm_table = table < 256 ? table : RT_TABLE_COMPAT;
	msg->rtm_protocol = RTPROT_STATIC;
	nlb_u32(b, RTA_TABLE, table);
	if (p.len)
		nlb_put(b, RTA_DST, p.bytes, ip_size(p.af));
	if (metric)
		nlb_u32(b, RTA_PRIORITY, metric);
	return msg;
}

static inline void nlb_legs(struct nlbuf *b, const struct nlb_leg *legs, unsigned n)
{
	uint8_t bytes[4096] = { 0 };
	size_t len = 0;

	if (n == 1) {
		((struct rtmsg *)(b->bytes + NLMSG_HDRLEN))->rtm_flags = legs->flags;
		nlb_u32(b, RTA_OIF, legs->ifindex);
		if (legs->gateway)
			nlb_addr(b, RTA_GATEWAY, legs->gateway);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct rtnexthop *nh = (struct rtnexthop *)(bytes + len);
		struct rtattr *rta = RTNH_DATA(nh);
		struct ip_addr gateway;

		nh->rtnh_ifindex = legs[i].ifindex;
		nh->rtnh_hops = legs[i].weight ? legs[i].weight - 1 : 0;
		nh->rtnh_flags = legs[i].flags;
		nh->rtnh_len = sizeof(*nh);
		if (legs[i].gateway) {
			gateway = nlb_ip(legs[i].gateway);
			rta->rta_type = RTA_GATEWAY;
			rta->rta_len = RTA_LENGTH(ip_size(gateway.af));
			memcpy(RTA_DATA(rta), gateway.bytes, ip_size(gateway.af));
			nh->rtnh_len += RTA_ALIGN(rta->rta_len);
		}
		len += RTNH_ALIGN(nh->rtnh_len);
	}
	nlb_put(b, RTA_MULTIPATH, bytes, len);
}

static inline void nlb_nexthop(
	struct nlbuf *b, bool del, uint32_t id, const char *gateway, int ifindex)
{
	struct nhmsg *msg = nlb_begin(b, del ? RTM_DELNEXTHOP : RTM_NEWNEXTHOP, 0, sizeof(*msg));

	msg->nh_family = gateway && strchr(gateway, ':') ? AF_INET6 : AF_INET;
	nlb_u32(b, NHA_ID, id);
	if (ifindex)
		nlb_u32(b, NHA_OIF, ifindex);
	if (gateway)
		nlb_addr(b, NHA_GATEWAY, gateway);
}

static inline void nlb_nexthop_group(
	struct nlbuf *b, uint32_t id, const struct nexthop_grp *members, unsigned n)
{
	nlb_begin(b, RTM_NEWNEXTHOP, 0, sizeof(struct nhmsg));
	nlb_u32(b, NHA_ID, id);
	nlb_put(b, NHA_GROUP, members, n * sizeof(*members));
}

#endif
