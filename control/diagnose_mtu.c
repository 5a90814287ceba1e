/* link diagnose: what size passes to the peer and back: ICMP echo with DF set, at the link's full
 * MTU and, when that fails while a small one passes, a search for the largest that does.
 *
 * The sequence number is the size, so answers need no table. Each round asks for several sizes at
 * once, twice against loss, and narrows eightfold: five rounds find the byte between 1280 and 9001.
 * A peer that answers no echo at all is no failure: many clouds do not. */
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "diagnose.h"

#define SMALL4	  576
#define SMALL6	  1280 /* RFC 8200 5 */
#define AGAIN_MS  120
#define FIRST_MS  700
#define ROUND_MS  330
#define ECHO_LEN  8
#define SIZE_MAX_ 9600

static unsigned ip_header(const struct diag_lane *lane)
{
	return lane->af == AF_INET ? 20 : 40;
}

/* IPv4's ICMP checksum is the sender's; IPv6's is the kernel's. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void echo_send(struct diag_lane *lane, uint16_t size)
{
	uint8_t room[SIZE_MAX_] = { lane->af == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST };
	size_t len = size - ip_header(lane);
	struct sockaddr_storage to;
	socklen_t to_len = diag_sockaddr(lane, &lane->peer, 0, &to);
	uint16_t sum;

	room[4] = (uint8_t)(lane->echo_id >> 8);
	room[5] = (uint8_t)lane->echo_id;
	room[6] = (uint8_t)(size >> 8);
	room[7] = (uint8_t)size;
	if (lane->af == AF_INET) {
		sum = checksum(room, len);
		room[2] = (uint8_t)(sum >> 8);
		room[3] = (uint8_t)sum;
	}
	sendto(lane->io[0].fd, room, len, 0, (struct sockaddr *)&to, to_len);
}

static void sizes_send(struct diag_lane *lane)
{
	for (unsigned i = 0; i < lane->n_sizes; i++)
		if (!lane->back[i])
			echo_send(lane, lane->sizes[i]);
}

static void sizes_set(struct diag_lane *lane, const uint16_t *sizes, unsigned n)
{
	memcpy(lane->sizes, sizes, n * sizeof(*sizes));
	memset(lane->back, 0, sizeof(lane->back));
	lane->n_sizes = n;
	sizes_send(lane);
}

/* ---- the search ---- */
static void verdict(struct diag_lane *lane)
{
	struct diag_layer *layer = &lane->layers[DIAG_MTU];
	const struct diag *d = lane->d;
	char peer[IP_STRLEN], where[96], ids[256];

	if (!lane->passes) {
		diag_say(layer, DIAG_UNKNOWN, "%s answers no echo of any size",
			ip_addr_format(&lane->peer, peer));
	} else if (lane->passes >= d->cfg->mtu) {
		diag_say(layer, DIAG_OK, "%u passes", d->cfg->mtu);
	} else {
		bool jumbo = d->cfg->mtu > 1500 && lane->passes <= 1508;

		diag_say(layer, DIAG_FAIL, "%u FAIL, %u passes%s", d->cfg->mtu, lane->passes,
			jumbo ? ": their side is not jumbo" : "");
		diag_turn(layer, DIAG_PROVIDER,
			"Ask %s to set MTU %u on it, or set mtu = %u for links.%s at %s. %s",
			diag_provider(d), d->cfg->mtu, lane->passes, d->name,
			diag_where(&d->cfg->src, where), diag_ids(d, ids));
	}
	diag_step_done(lane);
}

/* From what the last round said to the next sizes, evenly between what passes and what fails. */
static void on_round(struct diag_lane *lane)
{
	uint16_t next[DIAG_SIZES_MAX];
	unsigned n = 0, gap;

	if (lane->round % 2 == 0) { /* lost ones once more */
		lane->round++;
		sizes_send(lane);
		return diag_timer(lane, lane->round == 1 ? FIRST_MS : ROUND_MS);
	}
	lane->round++;
	for (unsigned i = 0; i < lane->n_sizes; i++)
		if (lane->back[i] && lane->sizes[i] > lane->passes)
			lane->passes = lane->sizes[i];
	for (unsigned i = 0; i < lane->n_sizes; i++)
		if (!lane->back[i] && lane->sizes[i] < lane->fails && lane->sizes[i] > lane->passes)
			lane->fails = lane->sizes[i];
	gap = lane->fails - lane->passes;
	if (!lane->passes || lane->passes >= lane->d->cfg->mtu || gap <= 1)
		return verdict(lane);
	for (unsigned i = 1; i <= DIAG_SIZES_MAX; i++) {
		uint16_t size = (uint16_t)(lane->passes + gap * i / (DIAG_SIZES_MAX + 1));

		if (size > lane->passes && size < lane->fails && (!n || size > next[n - 1]))
			next[n++] = size;
	}
	sizes_set(lane, next, n);
	diag_timer(lane, AGAIN_MS);
}

static void echo_back(struct diag_lane *lane, const uint8_t *icmp, size_t len, size_t all)
{
	bool same = len >= ECHO_LEN && (icmp[4] << 8 | icmp[5]) == lane->echo_id &&
		    (size_t)(icmp[6] << 8 | icmp[7]) == all;
	bool complete = true;

	if (same && icmp[0] == (lane->af == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		for (unsigned i = 0; i < lane->n_sizes; i++)
			if (lane->sizes[i] == all)
				lane->back[i] = true;
	for (unsigned i = 0; i < lane->n_sizes; i++)
		complete &= lane->back[i];
	if (same && complete) { /* no need to wait */
		lane->round |= 1;
		diag_timer(lane, 0);
	}
}

static void on_echo(struct diag_lane *lane, unsigned i)
{
	uint8_t room[SIZE_MAX_ + 64];
	ssize_t n;
	size_t head;

	for (unsigned k = 0; k < 32 && (n = read(lane->io[i].fd, room, sizeof(room))) > 0; k++) {
		head = lane->af == AF_INET ? (room[0] & 15u) * 4u : 0; /* a raw socket shows it */
		if ((size_t)n > head)
			echo_back(lane, room + head, (size_t)n - head,
				(size_t)n + ip_header(lane) - head);
	}
}

static int prepare(struct diag_lane *lane)
{
	int fd = lane->io[0].fd, probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE, yes = 1;
	struct icmp_filter filter4 = { ~(1u << ICMP_ECHOREPLY) };
	struct icmp6_filter filter6;
	struct sockaddr_storage own;
	socklen_t len = diag_sockaddr(lane, &lane->own, 0, &own);

	ICMP6_FILTER_SETBLOCKALL(&filter6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
	if (lane->af == AF_INET
			? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof(probe4)) ||
				  setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter4, sizeof(filter4))
			: setsockopt(
				  fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6)) ||
				  setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &yes, sizeof(yes)) ||
				  setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6,
					  sizeof(filter6)))
		return -errno;
	if (lane->own.af && bind(fd, (struct sockaddr *)&own, len))
		return -errno;
	return 0;
}

static void on_sockets(struct diag_lane *lane, int rc)
{
	uint16_t mtu = lane->d->cfg->mtu, small = lane->af == AF_INET ? SMALL4 : SMALL6;
	uint16_t first[2] = { small < mtu ? small : mtu, mtu };

	if (!rc)
		rc = prepare(lane);
	if (!rc && getrandom(&lane->echo_id, sizeof(lane->echo_id), 0) < 0)
		rc = -errno;
	if (!rc)
		rc = diag_watch(lane, 0, EV_READ | EV_PERSIST);
	if (rc) {
		diag_say(&lane->layers[DIAG_MTU], DIAG_UNKNOWN, "cannot ask: %s", strerror(-rc));
		return diag_step_done(lane);
	}
	sizes_set(lane, first, 2);
	diag_timer(lane, AGAIN_MS);
}

void diag_mtu_start(struct diag_lane *lane)
{
	lane->on_io = on_echo;
	lane->on_timer = on_round;
	lane->round = 0;
	lane->passes = 0;
	lane->fails = lane->d->cfg->mtu;
	if (lane->fails > SIZE_MAX_)
		return on_sockets(lane, -EMSGSIZE);
	diag_sockets(lane, lane->af == AF_INET ? KEEPER_SOCKET_ICMP4 : KEEPER_SOCKET_ICMP6, 1,
		on_sockets);
}
