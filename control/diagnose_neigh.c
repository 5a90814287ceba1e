/* link diagnose: who answers for the peer's address: ARP (RFC 826) and neighbour discovery (RFC
 * 4861).
 *
 * Asked by ourselves, not read from the kernel's table, which remembers who answered earlier: three
 * questions, and every answer is collected until the time is over, because a second MAC address
 * among them is a second machine with the peer's address. Answers come by way of the fast path, so
 * what it refuses (a sender that is not of our subnet) does not arrive here, but is counted. */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <string.h>
#include <unistd.h>
#include "diagnose.h"

#define ROUNDS	 3
#define ROUND_MS 350

struct arp_frame {
	struct ether_header eth;
	struct ether_arp arp;
} __attribute__((packed));

struct solicitation { /* RFC 4861 4.3 with the source's link-layer address */
	struct nd_neighbor_solicit ns;
	uint8_t option, units, mac[6];
};

static void answered_by(struct diag_lane *lane, const uint8_t *mac)
{
	for (unsigned i = 0; i < lane->n_macs; i++)
		if (!memcmp(lane->macs[i], mac, 6))
			return;
	if (lane->n_macs < DIAG_MACS_MAX)
		memcpy(lane->macs[lane->n_macs++], mac, 6);
}

/* ---- ARP ---- */
static void arp_ask(struct diag_lane *lane)
{
	struct arp_frame f = { 0 };

	memset(f.eth.ether_dhost, 0xff, 6);
	memcpy(f.eth.ether_shost, lane->d->link->mac, 6);
	f.eth.ether_type = htons(ETH_P_ARP);
	f.arp.ea_hdr = (struct arphdr){ .ar_hrd = htons(ARPHRD_ETHER),
		.ar_pro = htons(ETH_P_IP),
		.ar_hln = 6,
		.ar_pln = 4,
		.ar_op = htons(ARPOP_REQUEST) };
	memcpy(f.arp.arp_sha, lane->d->link->mac, 6);
	memcpy(f.arp.arp_spa, lane->own.bytes, 4);
	memcpy(f.arp.arp_tpa, lane->peer.bytes, 4);
	if (write(lane->io[0].fd, &f, sizeof(f)) < 0)
		return; /* the next round */
}

static void arp_heard(struct diag_lane *lane, unsigned i)
{
	struct arp_frame f;
	ssize_t n;

	for (unsigned k = 0; k < 64 && (n = read(lane->io[i].fd, &f, sizeof(f))) > 0; k++)
		if (n == sizeof(f) && ntohs(f.arp.ea_hdr.ar_op) == ARPOP_REPLY &&
			!memcmp(f.arp.arp_spa, lane->peer.bytes, 4))
			answered_by(lane, f.arp.arp_sha);
}

/* ---- neighbour discovery ---- */
static void nd_ask(struct diag_lane *lane)
{
	struct solicitation s = {
		.ns.nd_ns_type = ND_NEIGHBOR_SOLICIT, .option = ND_OPT_SOURCE_LINKADDR, .units = 1
	};
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
		.sin6_addr.s6_addr = { 0xff, 2, [11] = 1, [12] = 0xff },
		.sin6_scope_id = (uint32_t)lane->d->link->ifindex };

	memcpy(&s.ns.nd_ns_target, lane->peer.bytes, 16);
	memcpy(s.mac, lane->d->link->mac, 6);
	memcpy(to.sin6_addr.s6_addr + 13, lane->peer.bytes + 13, 3);
	sendto(lane->io[0].fd, &s, sizeof(s), 0, (struct sockaddr *)&to, sizeof(to));
}

static void nd_heard(struct diag_lane *lane, unsigned i)
{
	uint8_t room[512];
	const struct nd_neighbor_advert *na = (const void *)room;
	ssize_t n;

	for (unsigned k = 0; k < 64 && (n = read(lane->io[i].fd, room, sizeof(room))) > 0; k++) {
		if ((size_t)n < sizeof(*na) || na->nd_na_type != ND_NEIGHBOR_ADVERT ||
			memcmp(&na->nd_na_target, lane->peer.bytes, 16))
			continue;
		for (size_t at = sizeof(*na); at + 8 <= (size_t)n && room[at + 1];
			at += room[at + 1] * 8u)
			if (room[at] == ND_OPT_TARGET_LINKADDR)
				answered_by(lane, room + at + 2);
	}
}

static int nd_prepare(struct diag_lane *lane)
{
	struct icmp6_filter filter;
	struct sockaddr_storage own;
	socklen_t len = diag_sockaddr(lane, &lane->own, 0, &own);
	int fd = lane->io[0].fd, hops = 255; /* RFC 4861 7.1.1 */

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) ||
		bind(fd, (struct sockaddr *)&own, len))
		return -errno;
	return 0;
}

/* ---- what it means ---- */
static void verdict(struct diag_lane *lane)
{
	struct diag_layer *layer = &lane->layers[DIAG_NEIGH];
	const struct diag *d = lane->d;
	uint64_t refused = dp_link_drop_count(d->link->id, DP_DROP_nd_bad) - d->refused;
	char peer[IP_STRLEN], own[IP_STRLEN], where[96], ids[256], more[96] = "";
	const uint8_t *m = lane->macs[0], *o = lane->macs[1];

	ip_addr_format(&lane->peer, peer);
	ip_addr_format(&lane->own, own);
	if (lane->n_macs == 1) {
		diag_say(layer, DIAG_OK, "%s is at %02x:%02x:%02x:%02x:%02x:%02x", peer, m[0], m[1],
			m[2], m[3], m[4], m[5]);
		return;
	}
	if (lane->n_macs) {
		diag_say(layer, DIAG_FAIL,
			"%s is answered for by %u: %02x:%02x:%02x:%02x:%02x:%02x, "
			"%02x:%02x:%02x:%02x:%02x:%02x",
			peer, lane->n_macs, m[0], m[1], m[2], m[3], m[4], m[5], o[0], o[1], o[2],
			o[3], o[4], o[5]);
		diag_turn(layer, DIAG_PROVIDER,
			"Two machines have %s: ask %s which of the MAC addresses is theirs. %s",
			peer, diag_provider(d), diag_ids(d, ids));
		return;
	}
	if (refused)
		snprintf(more, sizeof(more), "; %llu frames came from addresses outside our subnet",
			(unsigned long long)refused);
	diag_say(layer, DIAG_FAIL, "%s does not answer%s", peer, more);
	diag_turn(layer, DIAG_PROVIDER,
		"Compare addresses with %s: we are %s and look for %s (links.%s, %s). %s",
		diag_provider(d), own, peer, d->name, diag_where(&d->cfg->src, where),
		diag_ids(d, ids));
}

static void on_round(struct diag_lane *lane)
{
	if (lane->round++ < ROUNDS) {
		if (lane->af == AF_INET)
			arp_ask(lane);
		else
			nd_ask(lane);
		/* One who has answered may be one of two: wait once more. */
		if (lane->n_macs)
			lane->round = ROUNDS;
		diag_timer(lane, ROUND_MS);
		return;
	}
	verdict(lane);
	diag_step_done(lane);
}

static void on_sockets(struct diag_lane *lane, int rc)
{
	bool four = lane->af == AF_INET;

	if (!rc && !four)
		rc = nd_prepare(lane);
	if (!rc)
		rc = diag_watch(lane, 0, EV_READ | EV_PERSIST);
	if (rc) {
		diag_say(&lane->layers[DIAG_NEIGH], DIAG_UNKNOWN, "cannot ask: %s", strerror(-rc));
		return diag_step_done(lane);
	}
	on_round(lane);
}

void diag_neigh_start(struct diag_lane *lane)
{
	bool four = lane->af == AF_INET;

	if (!lane->on_link) {
		diag_say(&lane->layers[DIAG_NEIGH], DIAG_SKIPPED,
			"the peer is not in a subnet of this link");
		return diag_step_done(lane);
	}
	if (cfg_link_is_plain(lane->d->cfg)) {
		diag_say(&lane->layers[DIAG_NEIGH], DIAG_SKIPPED,
			"a tunnel of packets has no neighbours");
		return diag_step_done(lane);
	}
	lane->on_io = four ? arp_heard : nd_heard;
	lane->on_timer = on_round;
	diag_sockets(lane, four ? KEEPER_SOCKET_PACKET_ARP : KEEPER_SOCKET_ICMP6, 1, on_sockets);
}
