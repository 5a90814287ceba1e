/* See fake.h. One thread: what the daemon's control thread would do, the kernel's part and the
 * world outside the router take turns here, so that a test decides what comes between two messages;
 * the workers, the punt thread and the dumper are the real ones. Dumps are answered from `legs_of`,
 * in pieces as large as the kernel's. dp_group_set is wrapped to see when it was done. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include "dataplane/dp.h"
#include "fake.h"

#define UP	  (IFF_UP | IFF_LOWER_UP)
#define PIECE	  32768
#define FRAMES	  2047
#define IN_FLIGHT 512
#define BURST	  64
#define DRAIN_NS  2000000000ull
#define TOLD_MAX  8192

struct vrf *fake_vrf;
struct link *fake_links[LEGS + 1];
uint64_t fake_publications, fake_published_ns, fake_took_ns;

static struct config config;
static struct cfg_link cfgs[LEGS + 1];
static int notify, dump, request;     /* the kernel's ends */
static uint8_t legs_of[2][PREFIXES4]; /* [IPv6][prefix] */
static bool running[LEGS + 1];
static struct rte_mempool *frames;
static bool traffic;
static unsigned next_flow;

/* ---- the wrapped fast path ---- */
int __real_dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n);
int __wrap_dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n);

int __wrap_dp_group_set(uint32_t group, const struct dp_leg *legs, unsigned n)
{
	int rc = __real_dp_group_set(group, legs, n);

	fake_published_ns = now_ns();
	fake_took_ns = fake_published_ns - control.callback_ns;
	fake_publications++;
	return rc;
}

/* ---- messages ---- */
static int ifindex_of(unsigned link)
{
	return 10 + (int)link;
}

static void prefix_text(uint8_t af, unsigned i, char *ret_text, size_t len)
{
	if (af == AF_INET)
		snprintf(ret_text, len, "%u.%u.%u.0/24", 20 + (i >> 16), i >> 8 & 255, i & 255);
	else
		snprintf(ret_text, len, "2001:db8:%x::/48", 0x1000 + i);
}

struct ip_addr fake_address(uint8_t af, unsigned i)
{
	struct ip_prefix prefix;
	char text[64];

	prefix_text(af, i, text, sizeof(text));
	if (ip_prefix_parse(text, &prefix) < 0)
		abort();
	prefix.bytes[ip_size(af) - 1] = 9;
	return ip_prefix_addr(&prefix);
}

static void route_message(struct nlbuf *b, uint8_t af, unsigned i, unsigned legs, uint16_t flags)
{
	static const char *const via4[] = { "10.1.0.2", "10.2.0.2", "10.3.0.2", "10.4.0.2" };
	static const char *const via6[] = { "fd10:1::2", "fd10:2::2", "fd10:3::2", "fd10:4::2" };
	struct nlb_leg out[LEGS];
	char text[64];
	unsigned n = 0;

	prefix_text(af, i, text, sizeof(text));
	nlb_route(b, flags & 0x8000, flags & 0x7fff, text, RTN_UNICAST, RT_TABLE_MAIN,
		af == AF_INET ? 0 : 1024);
	for (unsigned l = 0; l < LEGS; l++)
		if (legs >> l & 1)
			out[n++] = (struct nlb_leg){ af == AF_INET ? via4[l] : via6[l],
				ifindex_of(l + 1), 0, running[l + 1] ? 0 : RTNH_F_LINKDOWN };
	nlb_legs(b, out, n);
}

/* What has been told since the last turn goes in one piece: control meets it in one read. */
static struct {
	size_t len;
	uint8_t bytes[TOLD_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
} news;

static bool news_send(void)
{
	if (news.len && send(notify, news.bytes, news.len, MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN)
			abort();
		return false;
	}
	news.len = 0;
	return true;
}

static void tell(const struct nlbuf *b)
{
	while (news.len + NLMSG_ALIGN(b->len) > sizeof(news.bytes))
		if (!news_send())
			fake_turn();
	memcpy(news.bytes + news.len, b->bytes, b->len);
	news.len += NLMSG_ALIGN(b->len);
}

void fake_route(uint8_t af, unsigned i, unsigned legs, uint16_t flags)
{
	uint8_t *now = &legs_of[af == AF_INET6][i];
	struct nlbuf b;

	route_message(&b, af, i, legs ? legs : *now, legs ? flags | NLM_F_CREATE : 0x8000);
	*now = legs;
	tell(&b);
}

static void link_message(struct nlbuf *b, unsigned link)
{
	char name[] = "l0";

	name[1] += link;
	nlb_link(b, false, ifindex_of(link), name, running[link] ? UP : IFF_UP);
}

void fake_interface(unsigned leg, bool up)
{
	struct nlbuf b;

	running[leg] = up;
	link_message(&b, leg);
	tell(&b);
}

/* ---- dumps ---- */
/* Object n of a class; false: there are no more. An empty message: skip it. */
static bool object(struct nlbuf *b, const struct nlmsghdr *asked, unsigned n)
{
	uint8_t af = *(const uint8_t *)NLMSG_DATA(asked), mac[6] = { 2, 0xaa, 0, 0, 0, 0 };
	unsigned link = n / 2, six = n % 2;
	char text[32];

	b->len = 0;
	switch (asked->nlmsg_type) {
	case RTM_GETLINK:
		if (n <= LEGS)
			link_message(b, n);
		return n <= LEGS;
	case RTM_GETADDR:
		snprintf(text, sizeof(text), six ? "fd10:%u::1/64" : "10.%u.0.1/16", link);
		if (link <= LEGS)
			nlb_ifaddr(b, false, ifindex_of(link), text);
		return link <= LEGS;
	case RTM_GETNEIGH:
		snprintf(text, sizeof(text), six ? "fd10:%u::2" : "10.%u.0.2", link);
		mac[5] = link;
		if (link <= LEGS)
			nlb_neigh(b, false, ifindex_of(link), text, NUD_PERMANENT, mac);
		return link <= LEGS;
	case RTM_GETROUTE:
		if (n < PREFIXES4 && legs_of[af == AF_INET6][n])
			route_message(b, af, n, legs_of[af == AF_INET6][n], NLM_F_MULTI);
		return n < PREFIXES4;
	default:
		return false;
	}
}

static struct {
	struct nlbuf asked;
	bool active;
	unsigned next;
	size_t len;
	uint8_t piece[PIECE + 8192];
} answer;

static void answer_fill(void)
{
	struct nlbuf b;

	while (answer.active && answer.len < PIECE) {
		answer.active = object(&b, nlb_head(&answer.asked), answer.next++);
		if (!answer.active)
			memset(nlb_begin(&b, NLMSG_DONE, 0, sizeof(int)), 0, sizeof(int));
		if (!b.len)
			continue;
		nlb_head(&b)->nlmsg_seq = nlb_head(&answer.asked)->nlmsg_seq;
		nlb_head(&b)->nlmsg_flags = NLM_F_MULTI;
		memcpy(answer.piece + answer.len, b.bytes, NLMSG_ALIGN(b.len));
		answer.len += NLMSG_ALIGN(b.len);
	}
}

static void answer_dumps(void)
{
	struct nlbuf ignored;

	if (!answer.active && !answer.len) {
		answer.active = recv(dump, answer.asked.bytes, sizeof(answer.asked.bytes),
					MSG_DONTWAIT) > 0;
		answer.next = 0;
	}
	answer_fill();
	if (answer.len && send(dump, answer.piece, answer.len, MSG_DONTWAIT) > 0)
		answer.len = 0;
	while (recv(request, ignored.bytes, sizeof(ignored.bytes), MSG_DONTWAIT) > 0)
		;
}

/* ---- packets ---- */
static int put(unsigned port, unsigned queue, struct rte_mbuf *m)
{
	return rte_ring_enqueue(wires[port].rx[queue], m);
}

static unsigned collect(void)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	for (unsigned p = 0; p <= LEGS; p++)
		for (; !rte_ring_dequeue(wires[p].tx[0], (void **)&m); n++) {
			flows_received(p, m);
			rte_pktmbuf_free(m);
		}
	return n;
}

void fake_flow(uint8_t af, unsigned i, uint16_t sport)
{
	struct ip_addr dst = fake_address(af, i);
	uint8_t f[96] = { 0x02, 0, 0, 0, 0x01, 0, 0x02, 0xaa }, *ip = f + 14, *udp;
	unsigned len = af == AF_INET ? 64 : 84, sum = 0;

	if (af == AF_INET) {
		memcpy(ip - 2,
			(uint8_t[]){ 0x08, 0x00, 0x45, 0, 0, (uint8_t)(len - 14), 0, 1, 0, 0, 64,
				17, 0, 0, 10, 0, 0, 2 },
			18);
		memcpy(ip + 16, dst.bytes, 4);
		for (unsigned k = 0; k < 20; k += 2)
			sum += ip[k] << 8 | ip[k + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		ip[10] = ~sum >> 8;
		ip[11] = ~sum;
		udp = ip + 20;
	} else {
		memcpy(ip - 2,
			(uint8_t[]){ 0x86, 0xdd, 0x60, 0, 0, 0, 0, (uint8_t)(len - 54), 17, 64,
				0xfd, 0x10 },
			12);
		ip[23] = 2; /* from fd10::2 */
		memcpy(ip + 24, dst.bytes, 16);
		udp = ip + 40;
	}
	udp[0] = sport >> 8;
	udp[1] = sport;
	udp[3] = 9;
	udp[5] = (uint8_t)(f + len - udp);
	if (flows_add(f, len, 0, 0) < 0)
		abort();
}

void fake_traffic(bool on)
{
	traffic = on;
}

static void traffic_turn(void)
{
	collect();
	for (unsigned k = 0; traffic && k < BURST; k++) {
		if (rte_mempool_in_use_count(frames) >= IN_FLIGHT ||
			!flows_send(frames, next_flow, put))
			break;
		next_flow = (next_flow + 1) % n_flows;
	}
}

void fake_drain(void)
{
	uint64_t end = now_ns() + DRAIN_NS;

	fake_traffic(false);
	while (rte_mempool_in_use_count(frames) && now_ns() < end)
		fake_turn();
}

/* ---- time ---- */
void fake_turn(void)
{
	news_send();
	answer_dumps();
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	traffic_turn();
}

static bool waiting(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

void fake_settle(void)
{
	const struct mirror_vrf *mv = mirror_of(fake_vrf);

	do
		fake_turn();
	while (news.len || waiting(mv->sync.notify_fd) || answer.active ||
		mv->sync.phase != RESYNC_IDLE || mv->sync.want || mv->review || late_due_ns());
}

static bool told[LEGS + 1];

static void on_dp_event(evutil_socket_t fd, short what, void *arg)
{
	struct dp_event e;

	(void)fd, (void)what, (void)arg;
	while (dp_event_next(&e)) {
		if (e.kind != DP_EV_PORT_UP && e.kind != DP_EV_PORT_DOWN)
			continue;
		mirror_carrier(fake_links[e.port], e.kind == DP_EV_PORT_UP);
		told[e.port] = true;
	}
}

bool fake_port(unsigned port, bool up)
{
	uint64_t end = now_ns() + 2000000000ull;

	told[port] = false;
	if (up)
		rte_eth_dev_set_link_up(wires[port].ethdev);
	else
		rte_eth_dev_set_link_down(wires[port].ethdev);
	while (!told[port] && now_ns() < end)
		fake_turn();
	return told[port];
}

/* ---- start and stop ---- */
static void pair(int *ret_ours, int *ret_kernels)
{
	int fds[2], size = 4 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_ours = fds[0];
	*ret_kernels = fds[1];
}

static int fast_path_start(void)
{
	static struct dp_conf conf = { .adaptive = true, .packet_buffers = 256 };
	static char why[256];
	struct dp_err err = { why, sizeof(why) };
	int rc;

	wires_conf(&conf, LEGS + 1, 1, 1);
	rc = dp_eal_start(&conf, &err);
	for (unsigned p = 0; !rc && p <= LEGS; p++)
		rc = wire_make(p, 1, 1);
	if (!rc) {
		frames = rte_pktmbuf_pool_create("frames", FRAMES, 0, 0, 2048, SOCKET_ID_ANY);
		rc = frames ? dp_start(&conf, why, sizeof(why)) : -ENOMEM;
	}
	if (rc)
		printf("the fast path does not start: %s\n", *why ? why : strerror(-rc));
	return rc;
}

static int links_start(void)
{
	struct dp_link links[LEGS + 1];
	char name[] = "l0";

	memset(links, 0, sizeof(links));
	for (unsigned i = 0; i <= LEGS; i++, name[1]++) {
		struct link *l = fake_links[i] = link_alloc(name);

		memcpy(cfgs[i].name, name, sizeof(name));
		l->vrf = fake_vrf;
		l->cfg = &cfgs[i];
		l->port = i;
		l->tap = -1;
		l->mtu = 1500;
		l->up = l->carrier = running[i] = true;
		memcpy(l->mac, (uint8_t[]){ 0x02, 0, 0, 0, 0x01, (uint8_t)i }, 6);
		links[i] = (struct dp_link){ .id = l->id,
			.vrf = fake_vrf->id,
			.up = true,
			.mtu = 1500,
			.tap = -1,
			.port = i };
		memcpy(links[i].name, name, sizeof(name));
		memcpy(links[i].mac, l->mac, 6);
	}
	return dp_publish(links, LEGS + 1);
}

int fake_start(void)
{
	struct event *event;
	int ours[3], rc;

	control.base = event_base_new();
	control.running = &config;
	event_base_priority_init(control.base, 2);
	rc = fast_path_start();
	if (rc)
		return rc;
	pair(&ours[0], &notify);
	pair(&ours[1], &dump);
	pair(&ours[2], &request);
	fake_vrf = vrf_alloc("fake");
	fake_vrf->nl_request = ours[2];
	rc = dp_vrf_add(fake_vrf->id);
	rc = rc ? rc : links_start();
	rc = rc ? rc : mirror_attach(fake_vrf, ours[0], ours[1]);
	event = event_new(control.base, dp_event_fd(), EV_READ | EV_PERSIST, on_dp_event, NULL);
	event_priority_set(event, 0);
	event_add(event, NULL);
	if (rc)
		printf("the router does not start: %s\n", strerror(-rc));
	else
		fake_settle();
	return rc;
}

void fake_stop(void)
{
	dp_vrf_del(fake_vrf->id);
	mirror_close();
	dp_stop();
}
