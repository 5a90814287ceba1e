/* rtnetlink messages as plain structs, and the requests that make the kernel send them. */
#ifndef LINTAS_NETLINK_H
#define LINTAS_NETLINK_H

#include <net/if.h>
#include <linux/if.h> /* IFF_LOWER_UP */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include "config/ip.h"
#include "dataplane/dataplane.h"

/* Parsers return 0 with *ret_ filled; -EBADMSG when a length lies or something is cut; -ENOMSG when
 * the message is whole and not for a router (bridge ports, cached clones). *ret_ is undefined on
 * error. */

struct nl_link {
	int ifindex;
	unsigned flags; /* IFF_* */
	bool deleted;
	char name[IFNAMSIZ];
	bool has_mac;
	uint8_t mac[6];
};
int netlink_parse_link(const struct nlmsghdr *h, struct nl_link *ret_link);

struct nl_addr {
	int ifindex;
	bool deleted;
	struct ip_prefix addr; /* host bits meant */
};
int netlink_parse_addr(const struct nlmsghdr *h, struct nl_addr *ret_addr);

struct nl_neigh {
	int ifindex;
	bool deleted;
	bool has_mac;
	bool managed;
	uint16_t state; /* NUD_* */
	uint8_t flags;	/* NTF_* */
	uint8_t mac[6];
	struct ip_addr addr;
};
int netlink_parse_neigh(const struct nlmsghdr *h, struct nl_neigh *ret_neigh);

struct nl_member {
	uint32_t id;
	uint16_t weight; /* 1.. */
};

struct nl_nexthop {
	uint32_t id;
	bool deleted;
	bool blackhole, fdb;
	bool encap;    /* carries a lightweight tunnel, which we do not forward by */
	bool dead;     /* RTNH_F_DEAD or LINKDOWN */
	bool too_many; /* more than DP_LEGS_MAX members */
	int ifindex;
	struct ip_addr gateway;
	unsigned n_members;
	struct nl_member members[DP_LEGS_MAX];
};
int netlink_parse_nexthop(const struct nlmsghdr *h, struct nl_nexthop *ret_nexthop);

struct nl_leg {
	int ifindex;
	uint16_t weight; /* 1.. */
	bool encap, dead;
	struct ip_addr gateway; /* af 0: on link */
};

struct nl_route {
	struct ip_prefix prefix;
	bool deleted;
	bool too_many; /* more than DP_LEGS_MAX legs */
	bool from;     /* depends on the source address too */
	uint8_t type, protocol, scope, tos;
	uint16_t flags; /* NLM_F_REPLACE, NLM_F_APPEND … */
	uint32_t table, metric, nhid;
	unsigned n_legs;
	struct nl_leg legs[DP_LEGS_MAX];
};
int netlink_parse_route(const struct nlmsghdr *h, struct nl_route *ret_route);

struct nl_rule {
	uint8_t af;
	uint32_t priority, table;
	uint8_t action;
};
int netlink_parse_rule(const struct nlmsghdr *h, struct nl_rule *ret_rule);

/* The messages in a received buffer: next one or NULL; *ret_rc -EBADMSG when what is left is no
 * message. */
const struct nlmsghdr *netlink_next(const uint8_t *buf, size_t len, size_t *offset, int *ret_rc);

/* Subscribe a socket to everything the mirror follows; make a socket check dump requests strictly.
 * Both make it non-blocking. 0 or -errno. */
int netlink_listen(int fd);
int netlink_strict(int fd);
/* Ask for a dump: type RTM_GET*, ifindex 0 = all. 0 or -errno. */
int netlink_dump(int fd, uint16_t type, uint8_t af, int ifindex, uint32_t seq);

#endif
