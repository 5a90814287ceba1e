/* A link's static routes in the kernel: default routes of `gateway`, prefixes of `static`.
 *
 * They bear our protocol number and travel in batches, for there may be thousands. What is there
 * already is refused as such at little cost, so asserting is sending again, a slice at a time. The
 * prefixes of `static` with track = "probe" are in the kernel only while the probes of their family
 * do not call the link bad: when a bank's next hop answers ARP but nothing comes back from behind
 * it, the kernel takes the next best route, BGP no longer announces this one, and others take over.
 * `gateway` is not tracked. After a start nothing is known to be bad, so all are set. Control
 * thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bring.h"
#include "health.h"

#define SLICE 64 /* static routes asserted when it is a link's turn */

static struct {
	unsigned at;	  /* static route that is asserted next */
	bool withheld[2]; /* tracking keeps this family's prefixes out of the kernel */
} states[DP_LINKS_MAX];

static int op_compare(const void *a, const void *b)
{
	const struct kernel_route_op *x = a, *y = b;
	int rc = ip_prefix_compare(&x->prefix, &y->prefix);

	return rc ? rc : memcmp(x->via.bytes, y->via.bytes, sizeof(x->via.bytes));
}

bool bring_routes_has(const struct bring_routes *routes, const struct kernel_route_op *op)
{
	return bsearch(op, routes->ops, routes->n, sizeof(*op), op_compare);
}

static unsigned gateways(const struct cfg_link *cfg, int ifindex, struct kernel_route_op *ops)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++)
		if (cfg->gateway[i].af)
			ops[n++] = (struct kernel_route_op){ true, { .af = cfg->gateway[i].af },
				cfg->gateway[i], ifindex };
	return n;
}

/* Of the families that withheld (may be NULL) leaves. */
static unsigned prefixes(const struct cfg_link *cfg, int ifindex, const bool withheld[2],
	struct kernel_route_op *ops)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cfg->statics.n; i++) {
		const struct ip_prefix *prefix = &cfg->statics.items[i];
		bool v6 = prefix->af == AF_INET6;

		if (!withheld || !withheld[v6])
			ops[n++] = (struct kernel_route_op){ true, *prefix, cfg->static_via[v6],
				ifindex };
	}
	return n;
}

static int routes_of(const struct cfg_link *cfg, int ifindex, const bool withheld[2],
	struct bring_routes *ret_routes)
{
	struct kernel_route_op *ops = calloc(cfg->statics.n + 2, sizeof(*ops));
	unsigned n;

	if (!ops)
		return -ENOMEM;
	n = gateways(cfg, ifindex, ops);
	n += prefixes(cfg, ifindex, withheld, ops + n);
	qsort(ops, n, sizeof(*ops), op_compare);
	*ret_routes = (struct bring_routes){ ops, n };
	return 0;
}

int bring_routes_of(const struct cfg_link *cfg, int ifindex, struct bring_routes *ret_routes)
{
	return routes_of(cfg, ifindex, NULL, ret_routes);
}

static void route_failed(const struct kernel_route_op *op, int error, void *arg)
{
	struct link *link = link_by_id((uint16_t)(uintptr_t)arg);
	char text[IP_STRLEN];

	if (!link || error == -EEXIST || error == -ECANCELED || (!op->add && error == -ESRCH))
		return;
	bring_dirty(link);
	if (error == -ENETDOWN)
		return; /* somebody has set the interface down: nothing to report */
	log_event(LOG_LVL_WARN, link->name, "static route %s not %s: %s",
		ip_prefix_format(&op->prefix, text), op->add ? "set" : "removed", strerror(-error));
}

static int routes_send(struct link *link, const struct bring_routes *routes)
{
	struct kernel_batch_calls calls = { .failed = route_failed,
		.arg = (void *)(uintptr_t)link->id };

	return routes->n ? kernel_route_batch(link->vrf, routes->ops, routes->n, &calls) : 0;
}

/* ---- tracking ---- */
static unsigned count(const struct cfg_link *cfg, bool v6)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cfg->statics.n; i++)
		n += (cfg->statics.items[i].af == AF_INET6) == v6;
	return n;
}

/* One family's prefixes leave the kernel, or return. An error: the slow timer tries again. */
static int family_move(struct link *link, bool v6, bool withhold, const char *why)
{
	const bool other[2] = { v6, !v6 }; /* left out here */
	struct bring_routes move = { .ops = calloc(link->cfg->statics.n + 1, sizeof(*move.ops)) };
	unsigned all = count(link->cfg, v6);
	int rc = -ENOMEM;

	if (move.ops) {
		move.n = prefixes(link->cfg, link->ifindex, other, move.ops);
		for (unsigned i = 0; i < move.n; i++)
			move.ops[i].add = !withhold;
		rc = routes_send(link, &move);
	}
	free(move.ops);
	if (rc)
		log_event(LOG_LVL_ERR, link->name, "static routes not %s: %s",
			withhold ? "withdrawn" : "set", strerror(-rc));
	else if (all && withhold)
		log_event(LOG_LVL_WARN, link->name, "%u static IPv%c routes withdrawn: %s%s%s", all,
			v6 ? '6' : '4', "the probes call the link bad", *why ? ": " : "", why);
	else if (all)
		log_event(LOG_LVL_NOTICE, link->name, "%u static IPv%c routes are back", all,
			v6 ? '6' : '4');
	return rc;
}

void bring_track(struct link *link)
{
	static const uint8_t families[2] = { AF_INET, AF_INET6 };

	for (unsigned v6 = 0; v6 < 2; v6++) {
		bool *withheld = &states[link->id].withheld[v6];
		const char *why;
		bool bad = health_probed(link, families[v6], &why) == HEALTH_BAD && link->cfg &&
			   link->cfg->track == CFG_TRACK_PROBE;

		if (*withheld == bad)
			continue;
		if (!link->up || !link->ifindex || !family_move(link, v6, bad, why))
			*withheld = bad;
	}
}

unsigned bring_withdrawn(const struct link *link)
{
	unsigned n = 0;

	for (unsigned v6 = 0; v6 < 2; v6++)
		if (link->cfg && states[link->id].withheld[v6])
			n += count(link->cfg, v6);
	return n;
}

void bring_routes_forget(const struct link *link)
{
	memset(&states[link->id], 0, sizeof(states[0]));
}

/* ---- set ---- */
/* In the ordinary round the next few of a long list. */
static struct bring_routes next_slice(struct link *link, const struct bring_routes *want)
{
	unsigned *at = &states[link->id].at, from, n;

	if (*at >= want->n)
		*at = 0;
	from = *at;
	n = want->n - from < SLICE ? want->n - from : SLICE;
	*at += n;
	return (struct bring_routes){ want->ops + from, n };
}

int bring_routes_set(struct link *link, const struct cfg_link *old, bool some)
{
	struct bring_routes was = { 0 }, want = { 0 }, slice;
	unsigned n = 0;
	int rc;

	bring_track(link);
	rc = routes_of(link->cfg, link->ifindex, states[link->id].withheld, &want);
	if (!rc && old)
		rc = bring_routes_of(old, link->ifindex, &was);
	for (unsigned i = 0; !rc && i < was.n; i++) {
		if (bring_routes_has(&want, &was.ops[i]))
			continue;
		was.ops[n] = was.ops[i];
		was.ops[n++].add = false;
	}
	was.n = n;
	if (!rc)
		rc = routes_send(link, &was);
	slice = some ? next_slice(link, &want) : want;
	if (!rc && link->up)
		rc = routes_send(link, &slice);
	free(was.ops);
	free(want.ops);
	return rc;
}
