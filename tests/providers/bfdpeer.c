/* Many BFD peers on one wire, written apart from lintasd's own code, for test_bfd_many.py.
 *
 *   bfdpeer INTERFACE FIRST-VLAN LINKS INTERVAL-MS MULTIPLIER SECONDS
 *
 * Behind VLAN FIRST + i stands a router 10.200.i.1 and 2001:db8:200:<hex i>::1, facing .2 and ::2.
 * It answers ARP and neighbour solicitations and runs one BFD session a family, single hop. Every
 * session that was up and is lost, by silence or because the other end said so (not:
 * administratively down), is a line "LOST …" and counts; the last line is "up N lost N longest N
 * us". Interval and multiplier may be changed while it runs: a line "INTERVAL-MS MULTIPLIER" on its
 * input. */
#include <arpa/inet.h>
#include <net/if.h>
#include <linux/if_packet.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 64
#define AUX_VLAN  8

enum { DOWN = 1, INIT = 2, UP = 3 };

struct session {
	uint8_t state, diag, gateway[6];
	bool known, polling, v6;
	unsigned link;
	uint32_t remote, remote_tx, remote_rx, remote_mult;
	uint64_t heard, next;
};

static struct session sessions[LINKS_MAX * 2];
static unsigned links, first_vlan, multiplier, lost, interval_us;
static int sock;
static uint64_t longest;
static const uint8_t mac[6] = { 2, 0xbf, 0xd0, 0, 0, 1 };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void put16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8), p[1] = (uint8_t)x;
}
static void put32(uint8_t *p, uint32_t x)
{
	put16(p, x >> 16), put16(p + 2, x & 0xffff);
}
static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void address(uint8_t *p, unsigned link, bool v6, unsigned host)
{
	static const uint8_t v6_net[16] = { 0x20, 1, 0xd, 0xb8, 2, 0 };

	if (v6) {
		memcpy(p, v6_net, 16);
		p[7] = (uint8_t)link;
		p[15] = (uint8_t)host;
	} else {
		p[0] = 10, p[1] = 200, p[2] = (uint8_t)link, p[3] = (uint8_t)host;
	}
}

static unsigned sum16(const uint8_t *p, unsigned len, unsigned sum)
{
	for (unsigned i = 0; i + 1 < len; i += 2)
		sum += (unsigned)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Ethernet and tag; returns where IP or ARP begins. */
static uint8_t *frame(uint8_t *f, const uint8_t *to, unsigned link, unsigned type)
{
	memcpy(f, to, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, ETH_P_8021Q);
	put16(f + 14, first_vlan + link);
	put16(f + 16, type);
	return f + 18;
}

static void transmit(const uint8_t *f, size_t len)
{
	if (write(sock, f, len) < 0)
		return; /* as a wire would */
}

static void bfd_send(struct session *s, bool final)
{
	uint8_t f[128] = { 0 }, *ip = frame(f, s->gateway, s->link, s->v6 ? ETH_P_IPV6 : ETH_P_IP);
	unsigned head = s->v6 ? 40 : 20, sum;
	uint8_t *udp = ip + head, *b = udp + 8;
	uint32_t tx = s->state == UP ? interval_us : 1000000;

	if (!s->known)
		return;
	ip[0] = s->v6 ? 0x60 : 0x45;
	if (s->v6)
		put16(ip + 4, 32), ip[6] = 17, ip[7] = 255;
	else
		put16(ip + 2, 52), ip[8] = 255, ip[9] = 17;
	address(ip + (s->v6 ? 8 : 12), s->link, s->v6, 1);
	address(ip + (s->v6 ? 24 : 16), s->link, s->v6, 2);
	if (!s->v6)
		put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
	put16(udp, 50000), put16(udp + 2, 3784), put16(udp + 4, 32);
	b[0] = (uint8_t)(0x20 | s->diag);
	b[1] = (uint8_t)(s->state << 6 | (final ? 0x10 : s->polling ? 0x20 : 0));
	b[2] = (uint8_t)multiplier;
	b[3] = 24;
	put32(b + 4, (uint32_t)(s - sessions) + 0x1000);
	put32(b + 8, s->remote);
	put32(b + 12, tx), put32(b + 16, interval_us);
	sum = sum16(ip + (s->v6 ? 8 : 12), s->v6 ? 32 : 8, 17 + 32);
	put16(udp + 6, ~sum16(udp, 32, sum) & 0xffff);
	transmit(f, (size_t)(b + 24 - f));
	if (!final) {
		uint64_t every = tx > s->remote_rx ? tx : s->remote_rx;

		s->next = now_us() + every * (75 + (unsigned)rand() % 25) / 100;
	}
}

static void state_set(struct session *s, uint8_t state, uint8_t diag, const char *why, bool orderly)
{
	if (s->state == UP && state != UP && !orderly) {
		lost++;
		printf("LOST link %u IPv%c: %s, %llu us\n", s->link, s->v6 ? '6' : '4', why,
			(unsigned long long)(now_us() - s->heard));
		fflush(stdout);
	}
	s->polling = state == UP;
	s->state = state;
	s->diag = diag;
	bfd_send(s, false);
}

static void bfd_receive(struct session *s, const uint8_t *b)
{
	unsigned state = b[1] >> 6;
	uint64_t now = now_us();

	if (get32(b + 8) && get32(b + 8) != (uint32_t)(s - sessions) + 0x1000)
		return;
	if (s->state == UP && now - s->heard > longest)
		longest = now - s->heard;
	s->remote = get32(b + 4);
	s->remote_tx = get32(b + 12);
	s->remote_rx = get32(b + 16);
	s->remote_mult = b[2];
	s->heard = now;
	if (b[1] & 0x10)
		s->polling = false;
	if (s->state == UP && state <= DOWN)
		state_set(s, DOWN, 3, "it says down", !state);
	else if (s->state == DOWN && state == DOWN)
		state_set(s, INIT, 0, "", false);
	else if ((s->state == DOWN && state == INIT) || (s->state == INIT && state >= INIT))
		state_set(s, UP, 0, "", false);
	if (b[1] & 0x20)
		bfd_send(s, true);
}

static void arp(const uint8_t *f, unsigned link)
{
	uint8_t r[64] = { 0 }, *a = frame(r, f + 6, link, ETH_P_ARP);
	const uint8_t *q = f + 18;

	if (q[7] != 1 || q[27] != 1)
		return;
	memcpy(a, q, 8);
	a[7] = 2;
	memcpy(a + 8, mac, 6);
	memcpy(a + 14, q + 24, 4);
	memcpy(a + 18, q + 8, 10);
	memcpy(sessions[link * 2].gateway, f + 6, 6);
	sessions[link * 2].known = true;
	transmit(r, 60);
}

static void solicited(const uint8_t *f, unsigned link)
{
	uint8_t r[128] = { 0 }, *ip = frame(r, f + 6, link, ETH_P_IPV6), *n = ip + 40;
	const uint8_t *q = f + 18;

	if (q[40] != 135 || q[40 + 8 + 15] != 1)
		return;
	ip[0] = 0x60, put16(ip + 4, 32), ip[6] = 58, ip[7] = 255;
	memcpy(ip + 8, q + 48, 16);
	memcpy(ip + 24, q + 8, 16);
	n[0] = 136;
	n[4] = 0x60;
	memcpy(n + 8, q + 48, 16);
	n[24] = 2, n[25] = 1;
	memcpy(n + 26, mac, 6);
	put16(n + 2, ~sum16(n, 32, sum16(ip + 8, 32, 58 + 32)) & 0xffff);
	memcpy(sessions[link * 2 + 1].gateway, f + 6, 6);
	sessions[link * 2 + 1].known = true;
	transmit(r, 18 + 40 + 32);
}

static void receive(const uint8_t *f, size_t len)
{
	unsigned type = (unsigned)(f[16] << 8 | f[17]),
		 link = ((unsigned)(f[14] << 8 | f[15]) & 0xfff);
	const uint8_t *ip = f + 18;

	if (len < 46 || f[12] != 0x81 || f[13] || link < first_vlan || link >= first_vlan + links)
		return;
	link -= first_vlan;
	if (type == ETH_P_ARP)
		arp(f, link);
	else if (type == ETH_P_IP && len >= 70 && ip[9] == 17 && ip[8] == 255 && ip[22] == 14 &&
		 ip[23] == 200)
		bfd_receive(&sessions[link * 2], ip + 28);
	else if (type == ETH_P_IPV6 && len >= 90 && ip[6] == 58)
		solicited(f, link);
	else if (type == ETH_P_IPV6 && len >= 90 && ip[6] == 17 && ip[7] == 255 && ip[42] == 14 &&
		 ip[43] == 200)
		bfd_receive(&sessions[link * 2 + 1], ip + 48);
}

/* The kernel takes the tag off what it gives to a packet socket. */
static void drain(void)
{
	uint8_t f[2048];

	for (;;) {
		union {
			struct cmsghdr h;
			char room[256];
		} control;
		struct iovec iov = { f + 4, sizeof(f) - 4 };
		struct msghdr m = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(sock, &m, MSG_DONTWAIT);
		struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
		struct tpacket_auxdata *aux = c ? (void *)CMSG_DATA(c) : NULL;

		if (n <= 0)
			return;
		if (aux && (aux->tp_status & TP_STATUS_VLAN_VALID)) {
			memmove(f, f + 4, 12);
			put16(f + 12, ETH_P_8021Q);
			put16(f + 14, aux->tp_vlan_tci);
			receive(f, (size_t)n + 4);
		} else {
			receive(f + 4, (size_t)n);
		}
	}
}

static uint64_t timers(uint64_t now)
{
	uint64_t next = now + 10000;

	for (unsigned i = 0; i < links * 2; i++) {
		struct session *s = &sessions[i];
		uint64_t rx = s->remote_tx > interval_us ? s->remote_tx : interval_us;

		if (s->state == UP && now > s->heard + rx * s->remote_mult)
			state_set(s, DOWN, 1, "silence", false);
		if (now >= s->next)
			bfd_send(s, false);
		if (!s->known)
			s->next = now + 10000;
		next = s->next < next ? s->next : next;
	}
	return next;
}

int main(int argc, char **argv)
{
	int one = 1, big = 8 << 20;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct packet_mreq promisc = { .mr_type = PACKET_MR_PROMISC };
	uint64_t end;
	unsigned up = 0;

	if (argc != 7)
		return 2;
	first_vlan = (unsigned)atoi(argv[2]);
	links = (unsigned)atoi(argv[3]);
	interval_us = (unsigned)atoi(argv[4]) * 1000;
	multiplier = (unsigned)atoi(argv[5]);
	end = now_us() + (uint64_t)atoi(argv[6]) * 1000000;
	sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	to.sll_ifindex = promisc.mr_ifindex = (int)if_nametoindex(argv[1]);
	if (links > LINKS_MAX || sock < 0 || bind(sock, (void *)&to, sizeof(to)) ||
		setsockopt(sock, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)) ||
		setsockopt(sock, SOL_PACKET, AUX_VLAN, &one, sizeof(one)) ||
		setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)) ||
		setsockopt(sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one))) {
		perror("bfdpeer");
		return 1;
	}
	for (unsigned i = 0; i < links * 2; i++)
		sessions[i] = (struct session){ .state = DOWN, .v6 = i & 1, .link = i / 2 };
	for (uint64_t now = now_us(); now < end; now = now_us()) {
		uint64_t next = timers(now);
		struct pollfd p[2] = { { .fd = sock, .events = POLLIN },
			{ .fd = 0, .events = POLLIN } };
		char line[64];

		poll(p, 2, (int)((next > now ? next - now : 0) / 1000));
		drain();
		if ((p[1].revents & POLLIN) && fgets(line, sizeof(line), stdin)) {
			unsigned ms, n;

			if (sscanf(line, "%u %u", &ms, &n) == 2) {
				interval_us = ms * 1000;
				multiplier = n;
				for (unsigned i = 0; i < links * 2; i++)
					sessions[i].polling = sessions[i].state == UP;
			} else if (!strcmp(line, "end\n")) {
				break;
			}
		} else if (p[1].revents) {
			break;
		}
	}
	for (unsigned i = 0; i < links * 2; i++)
		up += sessions[i].state == UP;
	printf("up %u lost %u longest %llu us\n", up, lost, (unsigned long long)longest);
	return 0;
}
