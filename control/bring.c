/* One link's kernel side: TAP, addresses, carrier; bring_routes.c has its static routes.
 *
 * apply.c decides what has changed; this file makes one link so, with the least disturbance: a
 * changed MTU or address touches nothing else. Addresses are few and set at once; static routes may
 * be thousands and travel as a batch through the event loop. What the kernel refuses (a gateway
 * that is not reachable yet) marks the link, and a slow timer asserts marked links first and then
 * every link in turn, so that what the kernel drops silently with an interface that was down, or
 * what somebody removed by hand, comes back.
 *
 * Carrier is the port's, told to the kernel by TUNSETCARRIER, and to the mirror; a tunnel's is
 * found by the mirror (it forwards or it does not) and told to the kernel here. A link that a
 * former lintasd left behind keeps its carrier in the kernel for GRACE_MS after the start, although
 * its port or underlay is still coming up: to BGP the restart did not happen. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "bring.h"
#include "keeper.h"
#include "vrrp.h"

#define TICK_MS	     100
#define IP6_MTU_MIN  1280
#define GRACE_MS     3000
#define RETRY_MS     1000
#define RETRY_MAX_MS 60000
#define CLOSE_MS     1000 /* the punt thread has long seen the new set of links by then */

struct side {	    /* what only this file knows of a link, by its id */
	bool dirty; /* something is missing: assert it, not before retry_ns */
	uint64_t retry_ns;
	unsigned retry_ms; /* the pause, doubled with every failure */
	bool tap_carrier;  /* as told to the kernel */
	uint64_t grace_ns; /* carrier may not be taken away before; 0 = it may */
};

static struct side sides[DP_LINKS_MAX];
static struct event *tick;
static uint16_t tick_at; /* id of the link whose turn it was */
static char port_names[DP_PORTS_MAX][CFG_NAME_MAX];
static unsigned n_ports;
static char gateway[CFG_NAME_MAX];
static unsigned n_closing; /* interfaces that helper threads are taking apart */

void bring_dirty(const struct link *link)
{
	struct side *side = &sides[link->id];
	uint64_t now = now_ns();

	if (side->dirty && side->retry_ns > now)
		return; /* this failure is counted already */
	side->retry_ms = side->retry_ms ? side->retry_ms * 2 : RETRY_MS;
	if (side->retry_ms > RETRY_MAX_MS)
		side->retry_ms = RETRY_MAX_MS;
	side->dirty = true;
	side->retry_ns = now + side->retry_ms * 1000000ull;
}

/* ---- ports ---- */
void bring_ports(const struct config *config)
{
	memcpy(gateway, config->gateway.name, sizeof(gateway));
	n_ports = config->n_ports < DP_PORTS_MAX ? config->n_ports : DP_PORTS_MAX;
	for (unsigned i = 0; i < n_ports; i++)
		memcpy(port_names[i], config->ports[i].name, CFG_NAME_MAX);
}

int bring_port_number(const char *name)
{
	for (unsigned i = 0; i < n_ports; i++)
		if (!strcmp(port_names[i], name))
			return (int)i;
	return -1;
}

static bool port_up(int port)
{
	struct dp_port_info info;

	return port >= 0 && !dp_port_info((unsigned)port, &info) && info.up;
}

/* ---- the TAP ---- */
/* FNV-1a over the gateway's and the link's name: the same after every restart, different on two
 * gateways. */
static void mac_derive(const char *link, uint8_t mac[6])
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (const char *c = gateway; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
	hash *= 0x100000001b3ull; /* a separator */
	for (const char *c = link; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3ull;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

void bring_mac_of(const struct cfg_link *cfg, uint8_t ret_mac[6])
{
	struct dp_port_info info;
	int port = cfg->circuit ? bring_port_number(cfg->circuit->port->name) : -1;

	if (port >= 0 && !dp_port_info((unsigned)port, &info))
		memcpy(ret_mac, info.mac, sizeof(info.mac));
	else
		mac_derive(cfg->name, ret_mac);
}

void bring_kernel_mac_of(const struct cfg_link *cfg, uint8_t ret_mac[6])
{
	if (cfg_link_is_plain(cfg))
		memset(ret_mac, 0, 6);
	else
		bring_mac_of(cfg, ret_mac);
}

uint16_t bring_mtu_of(const struct cfg_link *cfg)
{
	struct dp_port_info info;
	unsigned less = 0;
	int port;

	if (cfg->underlay) {
		less = cfg->underlay->mtu - bring_mtu_of(cfg->underlay);
	} else {
		port = bring_port_number(cfg->circuit->port->name);
		if (port >= 0 && !dp_port_info((unsigned)port, &info) && info.mtu < cfg->mtu)
			less = cfg->mtu - info.mtu;
	}
	return (uint16_t)(cfg->mtu - (less < cfg->mtu ? less : 0));
}

/* So that what the kernel sends itself (BGP) fits too. IPv6 leaves an interface below 1,280. */
void bring_tunnel_mtu(struct link *link)
{
	unsigned now = dp_tunnel_mtu(link->id), mtu = now < IP6_MTU_MIN ? IP6_MTU_MIN : now;
	int rc;

	if (!now)
		return; /* unresolved: what it was holds */
	if (mtu > link->mtu)
		mtu = link->mtu;
	log_event(now < link->mtu ? LOG_LVL_WARN : LOG_LVL_NOTICE, link->name,
		now < link->mtu ? "a router of the underlay takes less: MTU %u for ten minutes, %u "
				  "is configured"
				: "MTU %u again, as configured (%u)",
		now, link->mtu);
	rc = kernel_link_mtu(link->vrf, link->ifindex, mtu);
	if (rc)
		log_event(LOG_LVL_ERR, link->name, "MTU %u refused by the kernel: %s", mtu,
			strerror(-rc));
}

static void tap_carrier_set(struct link *link, bool up)
{
	int value = up;

	if (link->tap < 0 || ioctl(link->tap, TUNSETCARRIER, &value) < 0)
		log_event(LOG_LVL_ERR, link->name, "kernel refused carrier %s: %s",
			up ? "on" : "off", strerror(errno));
	else
		sides[link->id].tap_carrier = up;
}

int bring_tap(struct link *link, const struct cfg_link *cfg)
{
	uint16_t mtu = bring_mtu_of(cfg);
	uint8_t mac[6];
	bool held = false;
	int fd, rc;

	if (mtu < cfg->mtu)
		log_event(LOG_LVL_WARN, link->name,
			"MTU %u instead of %u: the port carries no more", mtu, cfg->mtu);
	bring_kernel_mac_of(cfg, mac);
	rc = keeper_tap(link->vrf->name, link->name, mac, mtu, &fd, &held);
	if (rc) {
		log_event(LOG_LVL_ERR, link->name, "no kernel interface: %s", keeper_error());
		return rc;
	}
	if (link->tap >= 0) {
		close(fd); /* it is the one we have */
	} else {
		link->tap = fd;
		link->ifindex = kernel_ifindex(link->vrf, link->name);
		if (link->ifindex < 0) {
			rc = link->ifindex;
			link->ifindex = 0;
			log_event(LOG_LVL_ERR, link->name, "not in namespace %s: %s",
				link->vrf->name, strerror(-rc));
			return rc;
		}
		link->port = cfg->circuit ? bring_port_number(cfg->circuit->port->name) : -1;
		link->carrier = port_up(link->port); /* a tunnel's is the mirror's to find */
		sides[link->id] = (struct side){ .tap_carrier = true, .dirty = held };
		if (held && !link->carrier)
			sides[link->id].grace_ns = now_ns() + GRACE_MS * 1000000ull;
		else
			tap_carrier_set(link, link->carrier);
	}
	memcpy(link->mac, mac, sizeof(mac));
	link->mtu = mtu;
	return 0;
}

static void close_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	close((int)(intptr_t)arg);
}

/* The number lives on, but names an end of a pipe where nothing ever comes: the interface is gone,
 * and a number that somebody still polls is not given to another file. The kernel takes tens of
 * milliseconds to take an interface apart, so this is for a helper thread. */
struct gone {
	int tap, nothing;
};

static void gone_work(void *arg)
{
	struct gone *gone = arg;

	dup3(gone->nothing, gone->tap, O_CLOEXEC);
	close(gone->nothing);
}

static void gone_done(void *arg)
{
	const struct timeval later = { .tv_sec = CLOSE_MS / 1000,
		.tv_usec = CLOSE_MS % 1000 * 1000 };
	struct gone *gone = arg;

	n_closing--;
	event_base_once(
		control.base, -1, EV_TIMEOUT, close_later, (void *)(intptr_t)gone->tap, &later);
	free(gone);
}

void bring_gone(struct link *link)
{
	struct gone *gone = calloc(1, sizeof(*gone));
	int rc = keeper_tap_del(link->vrf->name, link->name), ends[2];

	if (rc && rc != -ENOENT)
		log_event(
			LOG_LVL_WARN, link->name, "the keeper does not let go: %s", keeper_error());
	if (gone && link->tap >= 0 && !pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
		close(ends[1]);
		*gone = (struct gone){ link->tap, ends[0] };
		n_closing++;
		if (control_offload(gone_work, gone_done, gone)) {
			gone_work(gone);
			gone_done(gone);
		}
	} else {
		free(gone); /* it stays open: no memory for more */
	}
	link->tap = -1;
	bring_routes_forget(link);
}

bool bring_closing(void)
{
	return n_closing;
}

/* ---- addresses ---- */
static bool prefix_among(const struct ip_prefix *prefix, const struct ip_prefix *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ip_prefix_equal(prefix, &list[i]))
			return true;
	return false;
}

static bool same_host_among(
	const struct ip_prefix *prefix, const struct ip_prefix *list, unsigned n)
{
	struct ip_addr a = ip_prefix_addr(prefix), b;

	for (unsigned i = 0; i < n; i++) {
		b = ip_prefix_addr(&list[i]);
		if (ip_addr_equal(&a, &b))
			return true;
	}
	return false;
}

struct addresses {
	struct vrf *vrf;
	int ifindex;
	const char *subject;
	const struct ip_prefix *before, *after;
	unsigned n_before, n_after;
};

static void addresses_delete(const struct addresses *a, bool replaced)
{
	char text[IP_STRLEN];

	for (unsigned i = 0; i < a->n_before; i++) {
		const struct ip_prefix *p = &a->before[i];
		int rc;

		if (prefix_among(p, a->after, a->n_after) ||
			same_host_among(p, a->after, a->n_after) != replaced)
			continue;
		rc = kernel_addr_del(a->vrf, a->ifindex, p);
		if (rc && rc != -EADDRNOTAVAIL)
			log_event(LOG_LVL_WARN, a->subject, "address %s not removed: %s",
				ip_prefix_format(p, text), strerror(-rc));
	}
}

/* An address whose length changes must go before it comes; every other comes before the old one
 * goes. */
static int addresses_set(const struct addresses *a)
{
	char text[IP_STRLEN];
	int failed = 0;

	addresses_delete(a, true);
	for (unsigned i = 0; i < a->n_after; i++) {
		int rc = kernel_addr_add(a->vrf, a->ifindex, &a->after[i]);

		if (rc && rc != -EEXIST) {
			failed = rc;
			log_event(LOG_LVL_ERR, a->subject, "address %s refused by the kernel: %s",
				ip_prefix_format(&a->after[i], text), strerror(-rc));
		}
	}
	addresses_delete(a, false);
	return failed;
}

void bring_loopback(struct vrf *vrf, const struct cfg_vrf *old, const struct cfg_vrf *cfg)
{
	struct addresses a = {
		.vrf = vrf, .ifindex = kernel_ifindex(vrf, "lo"), .subject = vrf->name
	};

	if (a.ifindex <= 0) {
		log_event(
			LOG_LVL_ERR, vrf->name, "no lo in the namespace: %s", strerror(-a.ifindex));
		return;
	}
	a.before = old ? old->loopback.items : NULL;
	a.n_before = old ? old->loopback.n : 0;
	a.after = cfg->loopback.items;
	a.n_after = cfg->loopback.n;
	addresses_set(&a);
}

/* ---- a whole link ---- */
static void link_assert(struct link *link, const struct cfg_link *old, bool some)
{
	struct addresses a = {
		.vrf = link->vrf,
		.ifindex = link->ifindex,
		.subject = link->name,
		.before = old ? old->address : NULL,
		.n_before = old ? old->n_address : 0,
		.after = link->cfg->address,
		.n_after = link->cfg->n_address,
	};
	int rc;

	sides[link->id].dirty = false;
	if (addresses_set(&a))
		bring_dirty(link);
	rc = bring_routes_set(link, old, some);
	if (rc) {
		bring_dirty(link);
		log_event(LOG_LVL_ERR, link->name, "static routes not set: %s", strerror(-rc));
	}
}

void bring_link(struct link *link, const struct cfg_link *old)
{
	int rc;

	sides[link->id].retry_ms = 0;
	sides[link->id].retry_ns = 0;
	link->up = !link->cfg->shut;
	rc = kernel_link_up(link->vrf, link->ifindex, link->up);
	if (rc)
		log_event(LOG_LVL_ERR, link->name, "cannot be set %s: %s", link->up ? "up" : "down",
			strerror(-rc));
	link_assert(link, old, false);
	if (rc)
		bring_dirty(link);
}

void bring_again(const struct vrf *vrf)
{
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		if (link->vrf != vrf)
			continue;
		sides[link->id].dirty = true;
		sides[link->id].retry_ns = 0;
	}
}

/* ---- carrier ---- */
/* The kernel is told what link->carrier is, unless the link may still keep what it had before the
 * restart. */
static void tap_carrier_follow(struct link *link, uint64_t now)
{
	struct side *side = &sides[link->id];

	if (link->carrier || now > side->grace_ns)
		side->grace_ns = 0;
	if (!side->grace_ns && side->tap_carrier != link->carrier && link->tap >= 0)
		tap_carrier_set(link, link->carrier);
}

static void carrier_told(struct link *link, bool up)
{
	struct side *side = &sides[link->id];

	side->grace_ns = 0; /* it has been up, or is: there is nothing to wait for */
	if (up) {	    /* what was refused without carrier may pass now */
		side->dirty = true;
		side->retry_ms = 0;
		side->retry_ns = 0;
	}
	tap_carrier_follow(link, now_ns());
	log_event(up ? LOG_LVL_NOTICE : LOG_LVL_WARN, link->name, "carrier %s",
		up ? "is back" : "lost");
	if (link->cfg->vrrp.present)
		vrrp_follow(link);
}

/* The mirror first moves what is behind all of the links: telling the kernel waits for a lock that
 * somebody may hold for long. */
void bring_carrier(unsigned port, bool up)
{
	static bool changed[DP_LINKS_MAX];
	struct link *link;

	for (link = link_next(NULL); link; link = link_next(link)) {
		changed[link->id] = link->port == (int)port && link->carrier != up;
		if (changed[link->id])
			mirror_carrier(link, up);
	}
	for (link = link_next(NULL); link; link = link_next(link))
		if (changed[link->id])
			carrier_told(link, up);
}

void bring_carriers(void)
{
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		bool up = link->port >= 0 ? port_up(link->port) : link->carrier;

		if (up == link->carrier)
			continue;
		mirror_carrier(link, up);
		carrier_told(link, up);
	}
}

void bring_tunnel_carriers(void)
{
	uint64_t now = now_ns();

	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (link->port < 0)
			tap_carrier_follow(link, now);
}

/* ---- the timer ---- */
static void on_turn(struct link *link, uint64_t now)
{
	struct side *side = &sides[link->id];

	tap_carrier_follow(link, now);
	if (link->up && link->ifindex && now > side->retry_ns)
		link_assert(link, NULL, !side->dirty);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t begin = now_ns();
	struct link *link;

	(void)fd, (void)what, (void)arg;
	for (link = link_next(NULL); link && now_ns() - begin < CONTROL_BUDGET_US * 500ull;
		link = link_next(link))
		if (sides[link->id].dirty || sides[link->id].grace_ns)
			on_turn(link, begin);
	for (unsigned i = 0; i < DP_LINKS_MAX; i++) {
		tick_at = (uint16_t)((tick_at + 1) % DP_LINKS_MAX);
		link = link_by_id(tick_at);
		if (link) {
			on_turn(link, begin);
			break;
		}
	}
}

int bring_start(void)
{
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };

	tick = event_new(control.base, -1, EV_PERSIST, on_tick, NULL);
	return tick && !event_add(tick, &every) ? 0 : -ENOMEM;
}

void bring_stop(void)
{
	event_free(tick);
	tick = NULL;
}
