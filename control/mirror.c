/* The mirror's front: VRFs come and go, messages find their handlers, and every callback ends in
 * mirror_settle(), which publishes what became dirty, a slice at a time. The parts, in the route's
 * order: netlink.c (bytes to structs), resync.c (sockets, dumps, replay), mirror_link.c,
 * mirror_nexthop.c, mirror_neigh.c, mirror_route.c (one class of messages each), rib.c (the tries),
 * legs.c and hops.c (path groups and adjacencies), tunnel.c (underlays), audit.c (is it still
 * true), mirror_view.c (what the CLI shows). The fast path is told only by hops.c, legs.c,
 * mirror_route.c, mirror_neigh.c (held packets) and audit.c. Control thread only; apply.c calls
 * what mirror.h declares. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mirror_state.h"

#define CLEAR_US 1000 /* a slice of taking a VRF's RIB apart */

struct mirror_vrfs mirror_vrfs = LIST_HEAD_INITIALIZER(mirror_vrfs);
struct mirror_stats mirror_counters;

static struct mirror_vrfs dying = LIST_HEAD_INITIALIZER(dying);
static struct mirror_vrf *by_id[DP_VRFS_MAX];
static struct event *tick_event, *settle_event;

struct mirror_vrf *mirror_of(const struct vrf *vrf)
{
	return vrf && vrf->id < DP_VRFS_MAX ? by_id[vrf->id] : NULL;
}

/* ---- messages ---- */

int mirror_class_of(const struct nlmsghdr *h)
{
	const uint8_t *family = NLMSG_DATA(h); /* the first byte of each of these headers */

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return MIRROR_LINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return MIRROR_ADDR;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return MIRROR_NEXTHOP;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return MIRROR_NEIGH;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (h->nlmsg_len < NLMSG_LENGTH(1)) /* no family: the parser will say so */
			return MIRROR_ROUTE4;
		return *family == AF_INET6 ? MIRROR_ROUTE6 : MIRROR_ROUTE4;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return MIRROR_RULE;
	default:
		return -1;
	}
}

/* Rules other than the kernel's own three are counted and told of: a route may not mean what it
 * says. */
static int rule_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	struct nl_rule rule;
	int rc = netlink_parse_rule(h, &rule);

	if (rc < 0)
		return rc;
	if (!dump) {
		resync_want(mv, 1u << MIRROR_RULE, 0);
		return 0;
	}
	if ((rule.priority == 0 && rule.table == RT_TABLE_LOCAL) ||
		(rule.priority == 32766 && rule.table == RT_TABLE_MAIN) ||
		(rule.priority == 32767 && rule.table == RT_TABLE_DEFAULT))
		return 0;
	if (!mv->rules_seen++ && !mv->rules)
		log_event(LOG_LVL_WARN, mv->vrf->name,
			"policy rules are not followed (priority %u, table %u)", rule.priority,
			rule.table);
	return 0;
}

int mirror_message(struct mirror_vrf *mv, const struct nlmsghdr *h, bool dump)
{
	switch (mirror_class_of(h)) {
	case MIRROR_LINK:
		return mirror_link_message(mv, h, dump);
	case MIRROR_ADDR:
		return mirror_addr_message(mv, h, dump);
	case MIRROR_NEXTHOP:
		return mirror_nexthop_message(mv, h, dump);
	case MIRROR_NEIGH:
		return mirror_neigh_message(mv, h, dump);
	case MIRROR_ROUTE4:
	case MIRROR_ROUTE6:
		return mirror_route_message(mv, h, dump);
	case MIRROR_RULE:
		return rule_message(mv, h, dump);
	default:
		return 0;
	}
}

/* ---- settling ---- */

static bool clear_some(uint64_t end_ns)
{
	struct mirror_vrf *mv = LIST_FIRST(&dying);

	if (!mv)
		return true;
	if (!mirror_route_clear(mv, end_ns))
		return false;
	LIST_REMOVE(mv, of_list);
	mirror_nexthop_clear(mv);
	mirror_link_clear(mv);
	free(mv);
	return LIST_EMPTY(&dying);
}

/* What a dead or living leg moved, from the moment its event was read: one line, once all has
 * moved. */
static struct {
	uint64_t since_ns; /* 0: nothing moves */
	char subject[CFG_NAME_MAX];
	const char *what;
} moving;

void mirror_moving(const char *subject, const char *what)
{
	if (moving.since_ns) /* one of several legs: the first tells */
		return;
	legs_moved();
	moving.since_ns = control.callback_ns ? control.callback_ns : now_ns();
	moving.what = what;
	snprintf(moving.subject, sizeof(moving.subject), "%s", subject);
}

static void moved(void)
{
	uint64_t us = (now_ns() - moving.since_ns) / 1000;
	struct legs_moved m = legs_moved();

	moving.since_ns = 0;
	if (m.prefixes)
		log_event(LOG_LVL_NOTICE, moving.subject,
			"%s: %u path group%s with %lu prefix%s moved in %lu us", moving.what,
			m.groups, m.groups == 1 ? "" : "s", (unsigned long)m.prefixes,
			m.prefixes == 1 ? "" : "es", (unsigned long)us);
}

void mirror_urgent(void)
{
	uint64_t now = now_ns(), begin = control.callback_ns ? control.callback_ns : now;
	uint64_t end = begin + CONTROL_BUDGET_US * 1000 / 2;

	if (now < end && legs_flush(end) && moving.since_ns)
		moved();
}

/* The next turn: at once if work is left, or when the first withdrawal has waited long enough. */
static void settle_again(bool done)
{
	uint64_t due = late_due_ns(), now = now_ns(), wait;
	struct timeval tv = { 0 };

	if (!settle_event || (done && !due))
		return;
	wait = done && due > now && LIST_EMPTY(&dying) ? (due - now) / 1000 + 1 : 0;
	tv.tv_usec = wait;
	event_add(settle_event, &tv);
}

void mirror_settle(uint64_t end_ns)
{
	struct mirror_vrf *mv;
	bool done;

	done = legs_flush(end_ns);
	if (done && moving.since_ns)
		moved();
	done = hops_flush(end_ns) && done;
	done = late_flush(end_ns) && done;
	LIST_FOREACH(mv, &mirror_vrfs, of_list) {
		tunnels_stale |= mv->fib_changed;
		mv->fib_changed = false;
		done = done && mirror_neigh_review(mv, end_ns);
	}
	if (tunnels_stale) {
		tunnels_resolve();
		done = hops_flush(end_ns) && legs_flush(end_ns) && done;
	}
	dp_reclaim();
	settle_again(done);
}

static void settle_cb(evutil_socket_t fd, short what, void *arg)
{
	struct timeval soon = { 0 };
	uint64_t start = now_ns();

	(void)fd, (void)what, (void)arg;
	if (!clear_some(start + CLEAR_US * 1000))
		event_add(settle_event, &soon);
	mirror_settle(start + CONTROL_BUDGET_US * 1000);
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct mirror_vrf *mv;

	(void)fd, (void)what, (void)arg;
	LIST_FOREACH(mv, &mirror_vrfs, of_list)
		iface_tick(mv);
	hops_tick();
	audit_tick();
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 4);
}

static int timers_start(void)
{
	struct timeval tick = { .tv_usec = MIRROR_TICK_MS * 1000 };

	if (tick_event)
		return 0;
	/* A million small blocks freed one by one are joined as they go, not all at once by whoever
	 * frees a large one next: that took 40 ms in one callback. */
	mallopt(M_MXFAST, 0);
	settle_event = event_new(control.base, -1, 0, settle_cb, NULL);
	tick_event = event_new(control.base, -1, EV_PERSIST, tick_cb, NULL);
	if (settle_event && tick_event && !event_add(tick_event, &tick))
		return 0;
	return -ENOMEM;
}

static void timers_stop(void)
{
	if (tick_event)
		event_free(tick_event);
	if (settle_event)
		event_free(settle_event);
	tick_event = settle_event = NULL;
}

/* ---- VRFs ---- */

int mirror_vrf_add(struct vrf *vrf, int notify_fd, int dump_fd)
{
	int rc = netlink_listen(notify_fd);

	if (!rc)
		rc = netlink_strict(dump_fd);
	if (!rc)
		return mirror_attach(vrf, notify_fd, dump_fd);
	close(notify_fd);
	close(dump_fd);
	return rc;
}

int mirror_attach(struct vrf *vrf, int notify_fd, int dump_fd)
{
	struct mirror_vrf *mv = NULL;
	int rc = -EEXIST;

	if (mirror_of(vrf) || vrf->id >= DP_VRFS_MAX)
		goto fail;
	rc = legs_init();
	if (!rc)
		rc = timers_start();
	if (rc < 0)
		goto fail;
	rc = -ENOMEM;
	mv = calloc(1, sizeof(*mv));
	if (!mv)
		goto fail;
	mv->vrf = vrf;
	mv->id = vrf->id;
	rib_init(&mv->rib[0], AF_INET);
	rib_init(&mv->rib[1], AF_INET6);
	rc = resync_open(mv, notify_fd, dump_fd);
	if (rc < 0) {
		resync_close(mv);
		free(mv);
		return rc;
	}
	by_id[vrf->id] = mv;
	LIST_INSERT_HEAD(&mirror_vrfs, mv, of_list);
	return 0;
fail:
	close(notify_fd);
	close(dump_fd);
	return rc;
}

void mirror_vrf_del(struct vrf *vrf)
{
	struct mirror_vrf *mv = mirror_of(vrf);
	struct timeval soon = { 0 };

	kernel_batch_cancel(vrf);
	if (!mv)
		return;
	resync_close(mv);
	audit_vrf_gone(mv);
	by_id[mv->id] = NULL;
	LIST_REMOVE(mv, of_list);
	mv->dying = true;
	mirror_link_forget(mv);
	late_forget(mv);
	tunnels_vrf_gone(mv);
	mirror_neigh_clear(mv);
	LIST_INSERT_HEAD(&dying, mv, of_list);
	event_add(settle_event, &soon);
}

/* The daemon's end: everything at once. */
void mirror_close(void)
{
	struct mirror_vrf *mv;

	while ((mv = LIST_FIRST(&mirror_vrfs)))
		mirror_vrf_del(mv->vrf);
	while (!clear_some(UINT64_MAX))
		;
	hops_close();
	timers_stop();
}

void mirror_config_changed(void)
{
	struct mirror_vrf *mv;

	LIST_FOREACH(mv, &mirror_vrfs, of_list)
		iface_config_changed(mv);
	tunnels_config_changed();
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 2);
}

void mirror_carrier(struct link *link, bool up)
{
	struct iface *iface = iface_of_link(link);

	link->carrier = up;
	tunnels_stale = true;
	if (iface) {
		mirror_moving(link->name, up ? "carrier is back" : "carrier lost");
		legs_iface_dirty(iface);
	}
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 2);
}

void mirror_tunnels_changed(void)
{
	tunnels_stale = true;
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 2);
}

void mirror_health(struct link *link, const char *what)
{
	struct iface *iface = iface_of_link(link);

	if (!iface)
		return;
	tunnels_stale = true;
	mirror_moving(link->name, what);
	legs_iface_dirty(iface);
	mirror_settle(now_ns() + CONTROL_BUDGET_US * 1000 / 2);
}

bool mirror_synced(void)
{
	struct mirror_vrf *mv;

	LIST_FOREACH(mv, &mirror_vrfs, of_list)
		if (!mv->sync.synced)
			return false;
	return true;
}

int mirror_resync(struct vrf *vrf)
{
	struct mirror_vrf *mv;

	if (vrf && !mirror_of(vrf))
		return -ENOENT;
	LIST_FOREACH(mv, &mirror_vrfs, of_list)
		if (!vrf || mv->vrf == vrf)
			resync_want(mv, MIRROR_ALL, 0);
	return 0;
}

void mirror_stats(struct mirror_stats *ret_stats)
{
	struct mirror_vrf *mv;

	*ret_stats = mirror_counters;
	ret_stats->groups = legs_groups();
	ret_stats->adjacencies = hops_count();
	LIST_FOREACH(mv, &mirror_vrfs, of_list) {
		ret_stats->routes += mv->routes;
		ret_stats->neighbours += HASH_COUNT(mv->neighs);
		ret_stats->nexthops += HASH_COUNT(mv->nexthops);
		ret_stats->policy_rules += mv->rules;
		ret_stats->route_bytes += mv->routes * sizeof(struct rib_route) +
					  mv->rib[0].nodes * (sizeof(struct rib_node) + 4) +
					  mv->rib[1].nodes * (sizeof(struct rib_node) + 16);
	}
}
