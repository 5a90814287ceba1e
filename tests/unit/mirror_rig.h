/* What the mirror's tests share: a kernel and a router to play with. The kernel is a pair of
 * sockets whose other ends are held here: `tell` sends a notification, and dumps are answered from
 * `state`, a list of messages that the test edits, so that lost, doubled, late and silent changes
 * can be played at will. The fast path is oracle.c, which also notices what is published in the
 * wrong order. */
#ifndef LINTAS_MIRROR_RIG_H
#define LINTAS_MIRROR_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/mirror_state.h"
#include "nlbuild.h"
#include "oracle.h"
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

static inline struct nlbuf *has(void) /* a further object, to be built by the caller */
{
	if (n_state == 64)
		abort();
	return &state[n_state++];
}

static inline void tell(const struct nlbuf *b)
{
	CU_ASSERT_FATAL(send(notify, b->bytes, b->len, 0) == (ssize_t)b->len);
}

static inline bool shown(const struct nlmsghdr *request_head, const struct nlbuf *b)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)b->bytes;
	uint8_t af = *(const uint8_t *)NLMSG_DATA(request_head);

	if (h->nlmsg_type != request_head->nlmsg_type - 2) /* GET is NEW + 2 */
		return false;
	return h->nlmsg_type != RTM_NEWROUTE || *(const uint8_t *)NLMSG_DATA(h) == af;
}

static inline void answer_dumps(void)
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

static inline bool pending(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* Run the loop until everything told has been taken in, and the dumps that follow from it. */
static inline void settle(bool dumps)
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

static inline void pair(int *ret_ours, int *ret_kernels)
{
	int fds[2], size = 4 << 20;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_ours = fds[0];
	*ret_kernels = fds[1];
}

/* ---- the router under test ---- */

static inline void start(void)
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

static inline void stop(void)
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
static inline const struct dp_leg *legs_of(const char *prefix, unsigned n)
{
	unsigned have = 0;
	const struct dp_leg *legs = oracle_group(oracle_fib(vrf->id, prefix), &have);

	CU_ASSERT_PTR_NOT_NULL_FATAL(legs);
	CU_ASSERT_EQUAL_FATAL(have, n);
	return legs;
}

static inline uint8_t kind_of_leg(const struct dp_leg *leg)
{
	const struct dp_adj *adj = oracle_adj(leg->adj);

	CU_ASSERT_PTR_NOT_NULL_FATAL(adj);
	return adj->kind;
}

static inline uint8_t kind(const char *prefix)
{
	return kind_of_leg(legs_of(prefix, 1));
}

static inline const struct dp_leg *leg_over(const char *prefix, unsigned n, unsigned link)
{
	const struct dp_leg *legs = legs_of(prefix, n);

	for (unsigned i = 0; i < n; i++)
		if (oracle_adj(legs[i].adj)->link == links[link]->id)
			return &legs[i];
	CU_FAIL_FATAL("no leg over this link");
	return NULL;
}

static inline unsigned alive(const char *prefix, unsigned n)
{
	const struct dp_leg *legs = legs_of(prefix, n);
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += legs[i].alive;
	return count;
}

static inline void route(struct nlbuf *b, bool del, uint16_t flags, const char *prefix,
	uint32_t metric, const struct nlb_leg *legs, unsigned n)
{
	nlb_route(b, del, flags, prefix, RTN_UNICAST, RT_TABLE_MAIN, metric);
	nlb_legs(b, legs, n);
}

static inline void tell_route(bool del, uint16_t flags, const char *prefix, uint32_t metric,
	const struct nlb_leg *legs, unsigned n)
{
	struct nlbuf b;

	route(&b, del, flags, prefix, metric, legs, n);
	tell(&b);
}

static inline void tell_neigh(int ifindex, const char *addr, uint16_t state_, const uint8_t *mac)
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

static inline unsigned link_of(const char *prefix)
{
	return oracle_adj(legs_of(prefix, 1)->adj)->link;
}

#endif
