/* What a former lintasd left in the kernel and the configuration no longer has.
 *
 * After a crash the keeper still holds the TAPs, and with them their addresses and routes. Whoever
 * starts next takes them over as they are and removes the rest: TAPs by the keeper's list;
 * addresses on our links by a dump; static routes by a dump that the kernel filters on our protocol
 * number, so that a million foreign routes cost nothing and are never touched. Runs once a VRF,
 * before the loop, synchronously. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "bring.h"
#include "keeper.h"

#define REPLY_BYTES 65536
#define WAIT_S	    5

struct adopt {
	struct vrf *vrf;
	const struct config *config;
	int lo;
	unsigned removed;
	struct bring_routes
		routes[DP_LINKS_MAX]; /* of each link, once one of its routes was seen */
};

static const struct cfg_link *configured(
	const struct config *config, const char *vrf, const char *name)
{
	const struct cfg_link *link = config_link(config, name);

	return link && !strcmp(link->vrf->name, vrf) ? link : NULL;
}

void adopt_taps(const struct config *config)
{
	char vrf[CFG_NAME_MAX], name[CFG_NAME_MAX];
	unsigned i = 0;

	while (!keeper_list(i, vrf, name)) {
		if (configured(config, vrf, name)) {
			i++;
			continue;
		}
		if (keeper_tap_del(vrf, name)) {
			log_event(LOG_LVL_WARN, name, "not removed: %s", keeper_error());
			i++;
			continue;
		}
		log_event(LOG_LVL_NOTICE, name, "removed: the configuration no longer has it");
	}
}

static int bytes_to_prefix(
	struct nlattr *attr, uint8_t af, uint8_t len, struct ip_prefix *ret_prefix)
{
	if ((af != AF_INET && af != AF_INET6) || len > ip_bits(af) ||
		(attr && nla_len(attr) != (int)ip_size(af)))
		return -EINVAL;
	*ret_prefix = (struct ip_prefix){ .af = af, .len = len };
	if (attr)
		memcpy(ret_prefix->bytes, nla_data(attr), ip_size(af));
	return 0;
}

/* ---- addresses ---- */
static bool wanted(const struct ip_prefix *addr, const struct ip_prefix *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ip_prefix_equal(addr, &list[i]))
			return true;
	return false;
}

static void address_seen(struct adopt *a, struct nlmsghdr *h)
{
	struct nlattr *tb[IFA_MAX + 1];
	const struct ifaddrmsg *ifa = nlmsg_data(h);
	const struct cfg_vrf *vrf = config_vrf(a->config, a->vrf->name);
	struct ip_prefix addr;
	struct link *link;
	char text[IP_STRLEN];

	if (nlmsg_parse(h, sizeof(*ifa), tb, IFA_MAX, NULL) < 0 ||
		bytes_to_prefix(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family,
			ifa->ifa_prefixlen, &addr))
		return;
	link = link_by_ifindex(a->vrf, (int)ifa->ifa_index);
	if (ifa->ifa_scope != RT_SCOPE_UNIVERSE && !(link && addr.len == 128))
		return; /* 127.0.0.1, ::1, fe80::/64: the kernel's own; fe80::/128 was VRRP's */
	if (link) {
		if (wanted(&addr, link->cfg->address, link->cfg->n_address))
			return;
	} else if ((int)ifa->ifa_index != a->lo || a->vrf->adopted || !vrf ||
		   wanted(&addr, vrf->loopback.items, vrf->loopback.n)) {
		return;
	}
	if (!kernel_addr_del(a->vrf, (int)ifa->ifa_index, &addr)) {
		a->removed++;
		log_event(LOG_LVL_NOTICE, link ? link->name : a->vrf->name,
			"address %s removed: the configuration no longer has it",
			ip_prefix_format(&addr, text));
	}
}

/* ---- routes ---- */
static bool route_wanted(struct adopt *a, const struct link *link, const struct ip_prefix *prefix,
	const struct ip_addr *via)
{
	struct kernel_route_op op = { .prefix = *prefix, .via = *via };
	struct bring_routes *routes;

	if (!link)
		return false;
	routes = &a->routes[link->id];
	if (!routes->ops && bring_routes_of(link->cfg, link->ifindex, routes))
		return true; /* when in doubt it stays */
	return bring_routes_has(routes, &op);
}

static void route_seen(struct adopt *a, struct nlmsghdr *h)
{
	struct nlattr *tb[RTA_MAX + 1];
	const struct rtmsg *rtm = nlmsg_data(h);
	struct ip_prefix prefix, via_host;
	struct ip_addr via = { 0 };
	char text[IP_STRLEN];
	int oif;

	if (nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0 ||
		rtm->rtm_protocol != LINTAS_RTPROT || !tb[RTA_OIF] ||
		nla_len(tb[RTA_OIF]) != sizeof(uint32_t) ||
		bytes_to_prefix(tb[RTA_DST], rtm->rtm_family, rtm->rtm_dst_len, &prefix))
		return;
	if (tb[RTA_GATEWAY]) {
		if (bytes_to_prefix(tb[RTA_GATEWAY], rtm->rtm_family,
			    (uint8_t)ip_bits(rtm->rtm_family), &via_host))
			return;
		via = ip_prefix_addr(&via_host);
	}
	oif = (int)nla_get_u32(tb[RTA_OIF]);
	if (route_wanted(a, link_by_ifindex(a->vrf, oif), &prefix, &via))
		return;
	if (!kernel_route_del(a->vrf, &prefix, &via, oif)) {
		a->removed++;
		log_event(LOG_LVL_NOTICE, a->vrf->name,
			"static route %s removed: the configuration no longer has it",
			ip_prefix_format(&prefix, text));
	}
}

/* ---- dumps ---- */
static int dump(struct adopt *a, int sock, const void *request, size_t len,
	void (*seen)(struct adopt *a, struct nlmsghdr *h))
{
	char *reply = malloc(REPLY_BYTES);
	int rc = -ENOMEM;

	if (!reply)
		return rc;
	rc = send(sock, request, len, 0) < 0 ? -errno : -EAGAIN;
	while (rc == -EAGAIN) {
		ssize_t n = recv(sock, reply, REPLY_BYTES, 0);
		int left = (int)n;

		if (n < 0) {
			rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
			break;
		}
		for (struct nlmsghdr *h = (struct nlmsghdr *)reply;
			rc == -EAGAIN && nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				rc = 0;
			else if (h->nlmsg_type == NLMSG_ERROR)
				rc = h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))
					     ? ((struct nlmsgerr *)nlmsg_data(h))->error
					     : -EPROTO;
			else
				seen(a, h);
		}
	}
	free(reply);
	return rc;
}

static int dump_addresses(struct adopt *a, int sock)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg ifa;
	} request = {
		.h = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETADDR,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
	};

	return dump(a, sock, &request, sizeof(request), address_seen);
}

static int dump_routes(struct adopt *a, int sock, uint8_t af)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg rtm;
	} request = {
		.h = { .nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.rtm = { .rtm_family = af, .rtm_protocol = LINTAS_RTPROT },
	};

	return dump(a, sock, &request, sizeof(request), route_seen);
}

int adopt_vrf(struct vrf *vrf, const struct config *config)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	struct adopt *a = calloc(1, sizeof(*a));
	int sock = -1, on = 1, rc = a ? keeper_netlink(vrf->name, 0, &sock) : -ENOMEM;

	if (rc)
		goto out;
	a->vrf = vrf;
	a->config = config;
	a->lo = kernel_ifindex(vrf, "lo");
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	/* Strict: the kernel filters by what the request says. */
	setsockopt(sock, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	/* A dump may miss what follows a deletion: again until one finds nothing. */
	for (unsigned round = 0; round < 4; round++) {
		a->removed = 0;
		rc = dump_addresses(a, sock);
		if (!rc)
			rc = dump_routes(a, sock, AF_INET);
		if (!rc)
			rc = dump_routes(a, sock, AF_INET6);
		if (rc || !a->removed)
			break;
	}
	close(sock);
	for (unsigned i = 0; i < DP_LINKS_MAX; i++)
		free(a->routes[i].ops);
out:
	free(a);
	return rc;
}
