/* From one configuration to the next.
 *
 * Start and reload are the same thing: at start the configuration before is none. A change goes
 * through phases, each in steps that the event loop may spread (no step is long, and what is urgent
 * comes between): prepare  new VRFs and links are made: namespaces, sockets, TAPs; nothing that
 * exists is touched resign   virtual routers that end say so, while their frames still leave
 * publish  the fast path gets the new set of links by one store; if it refuses, what prepare made
 * is taken back and nothing has changed commit   the kernel follows, link by link; then what left
 * goes; then mirror and FRR are told An unchanged file is no difference, and no difference is no
 * step at all. What only a restart can change (workers, memory, ports) is left as it was, said in
 * the log and in control.needs_restart; links on a port that is not there yet wait with it. Control
 * thread; reload.c drives it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "apply.h"
#include "bfd.h"
#include "bring.h"
#include "frr.h"
#include "health.h"
#include "keeper.h"
#include "mirror.h"
#include "probes.h"
#include "sas.h"
#include "swan.h"
#include "vrrp.h"
#include "xfrm_mirror.h"
#include "xfrm_server.h"

#define NOTIFY_RCVBUF (64u << 20) /* 161,000 route notifications */

struct plan {			     /* of one link, by its id */
	const struct cfg_link *next; /* what it shall be; NULL: it leaves */
	const struct cfg_link *old;  /* what it was, while the kernel does not know yet */
	bool fresh;		     /* made by this apply */
	bool published;		     /* the fast path has it */
};

static struct plan plans[DP_LINKS_MAX];
static bool fresh_vrfs[DP_VRFS_MAX];
static struct dp_link shapes[DP_LINKS_MAX];
static struct config *started; /* what workers, memory and ports are made of */

/* ---- the fast path's view ---- */
static void shape_ether(const struct cfg_link *cfg, struct dp_link *d)
{
	d->encap = DP_ENCAP_ETHER;
	d->port = (uint16_t)bring_port_number(cfg->circuit->port->name);
	if (cfg->circuit->stag) {
		d->tpid[d->n_tags] = cfg->circuit->stag_tpid;
		d->vid[d->n_tags++] = cfg->circuit->stag;
	}
	if (cfg->vlan) {
		d->tpid[d->n_tags] = 0x8100;
		d->vid[d->n_tags++] = cfg->vlan;
	}
}

_Static_assert(sizeof(((struct dp_link *)0)->reach) == sizeof(((struct cfg_zone *)0)->reach),
	"zones of the configuration and of the fast path");

static uint16_t mss_of(unsigned mtu, unsigned headers)
{
	return mtu > headers ? (uint16_t)(mtu - headers) : 0;
}

static void shape_tunnel(const struct link *link, const struct cfg_link *cfg, struct dp_link *d)
{
	static const uint8_t encaps[] = {
		[CFG_ENCAP_VXLAN] = DP_ENCAP_VXLAN,
		[CFG_ENCAP_GENEVE] = DP_ENCAP_GENEVE,
		[CFG_ENCAP_GRE] = DP_ENCAP_GRE,
		[CFG_ENCAP_IPIP] = DP_ENCAP_IPIP,
		[CFG_ENCAP_IPSEC] = DP_ENCAP_ESP,
	};
	static const uint8_t dfs[] = {
		[CFG_DF_SET] = DP_DF_SET,
		[CFG_DF_COPY] = DP_DF_COPY,
		[CFG_DF_CLEAR] = DP_DF_CLEAR,
	};
	const struct vrf *vrf = vrf_by_name(cfg->underlay->vrf->name);
	const struct cfg_outer *outer = &cfg->outer;

	d->encap = encaps[cfg->encap];
	d->tunnel = (struct dp_tunnel){
		.underlay_vrf = vrf ? vrf->id : link->vrf->id,
		.vni = outer->key ? outer->key : cfg->vni,
		.keyed = outer->key,
		.local = cfg->local,
		.remote = cfg->remote,
		.udp_port = cfg->udp_port,
		.inner_ether = outer->inner == CFG_INNER_ETHER,
		/* ESP in UDP over IPv6 has one always: RFC 6935's leave to do without is not given
		 * to it, and Linux drops it. */
		.checksum =
			outer->checksum || outer->udp6_checksum || cfg->encap == CFG_ENCAP_IPSEC,
		.ttl = outer->ttl,
		.dscp = config_dscp(outer),
		.df = dfs[outer->df],
		.underlay_adj = mirror_underlay_adj(link),
	};
	if (outer->clamp) { /* without options: RFC 6691 2 */
		d->tunnel.mss4 = mss_of(d->mtu, 20 + 20);
		d->tunnel.mss6 = mss_of(d->mtu, 40 + 20);
	}
}

static void shape(const struct link *link, const struct cfg_link *cfg, struct dp_link *ret_shape)
{
	struct dp_link d = { .id = link->id, .vrf = link->vrf->id, .tap = link->tap };

	memcpy(d.name, link->name, sizeof(d.name));
	d.mtu = bring_mtu_of(cfg);
	d.up = !cfg->shut;
	d.reach[0] = 1; /* no zone reaches no zone */
	if (cfg->zone) {
		d.zone = cfg->zone->id;
		memcpy(d.reach, cfg->zone->reach, sizeof(d.reach));
	}
	bring_mac_of(cfg, d.mac);
	for (unsigned i = 0; i < cfg->n_address; i++) {
		struct ip_addr *src = cfg->address[i].af == AF_INET6 ? &d.src6 : &d.src4;

		if (!src->af)
			*src = ip_prefix_addr(&cfg->address[i]);
	}
	if (cfg->underlay)
		shape_tunnel(link, cfg, &d);
	else
		shape_ether(cfg, &d);
	vrrp_shape(link, &d);
	*ret_shape = d;
}

int control_publish(void)
{
	unsigned n = 0;
	int rc;

	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (plans[link->id].published)
			shape(link, link->cfg, &shapes[n++]);
	rc = dp_publish(shapes, n);
	if (rc)
		log_event(
			LOG_LVL_ERR, NULL, "the fast path refused %u links: %s", n, strerror(-rc));
	bring_tunnel_carriers();
	return rc;
}

/* ---- prepare ---- */
static int vrf_make(const char *name)
{
	struct vrf *vrf = vrf_alloc(name);
	int rc;

	if (!vrf)
		return -errno;
	rc = keeper_vrf(name, &vrf->adopted);
	if (!rc)
		rc = keeper_netlink(name, 0, &vrf->nl_request);
	if (rc)
		log_event(LOG_LVL_ERR, name, "no namespace: %s", keeper_error());
	if (!rc)
		rc = dp_vrf_add(vrf->id);
	if (!rc) {
		fresh_vrfs[vrf->id] = true;
		return 0;
	}
	if (vrf->nl_request >= 0)
		close(vrf->nl_request);
	vrf_release(vrf);
	return rc;
}

static void vrf_drop(struct vrf *vrf)
{
	int rc;

	dp_vrf_del(vrf->id);
	if (!fresh_vrfs[vrf->id])
		mirror_vrf_del(vrf);
	fresh_vrfs[vrf->id] = false;
	close(vrf->nl_request);
	if (!vrf->adopted) {
		rc = keeper_vrf_del(vrf->name);
		if (rc)
			log_event(LOG_LVL_WARN, vrf->name, "namespace left: %s", keeper_error());
	}
	vrf_release(vrf);
}

/* What this link of the configuration can stay: one of its name in its VRF. */
static struct link *link_kept(const struct cfg_link *cfg)
{
	struct link *link = link_by_name(cfg->name);

	return link && !strcmp(link->vrf->name, cfg->vrf->name) ? link : NULL;
}

static int link_make(const struct cfg_link *cfg)
{
	struct link *link = link_alloc(cfg->name);
	int rc;

	if (!link)
		return -errno;
	link->vrf = vrf_by_name(cfg->vrf->name);
	link->cfg = cfg;
	plans[link->id] = (struct plan){ .next = cfg, .fresh = true };
	rc = bring_tap(link, cfg);
	if (!rc && cfg->vrrp.present)
		vrrp_disown(link, cfg);
	if (rc) {
		if (link->tap >= 0)
			bring_gone(link);
		plans[link->id] = (struct plan){ 0 };
		link_release(link);
	}
	return rc;
}

static int prepare_link(const struct cfg_link *cfg)
{
	const struct cfg_link *ether = cfg;
	struct link *link = link_kept(cfg);

	while (ether->underlay)
		ether = ether->underlay;
	if (bring_port_number(ether->circuit->port->name) < 0) {
		if (link) { /* it forwards now, and would stop */
			log_event(LOG_LVL_ERR, cfg->name,
				"cannot move to port %s, which is new, before a restart: restart "
				"lintasd, or leave it where it is",
				ether->circuit->port->name);
			return -EBUSY;
		}
		log_event(LOG_LVL_WARN, cfg->name, "waits for a restart: port %s is new",
			ether->circuit->port->name);
		return 0;
	}
	if (!link)
		return link_make(cfg);
	if (cfg_link_is_plain(cfg) != cfg_link_is_plain(link->cfg)) {
		log_event(LOG_LVL_ERR, cfg->name,
			"cannot change between a link of frames and one of packets: its kernel "
			"interface is of another kind. Give it another name, or remove it first");
		return -EBUSY;
	}
	plans[link->id].next = cfg;
	return 0;
}

/* ---- publish ---- */
static int publish(struct apply *a)
{
	unsigned n = 0;
	int rc;

	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (plans[link->id].next)
			shape(link, plans[link->id].next, &shapes[n++]);
	rc = dp_publish(shapes, n);
	if (rc) {
		log_event(LOG_LVL_ERR, NULL, "the fast path refused the new links: %s",
			strerror(-rc));
		return rc;
	}
	for (struct link *link = link_next(NULL); link; link = link_next(link)) {
		struct plan *plan = &plans[link->id];

		plan->published = plan->next;
		if (!plan->next)
			continue;
		plan->old = plan->fresh ? NULL : link->cfg;
		link->cfg = plan->next;
		link->port =
			link->cfg->circuit ? bring_port_number(link->cfg->circuit->port->name) : -1;
	}
	(void)a;
	return 0;
}

/* Everything prepare made goes again; what existed was not touched. */
static void take_back(void)
{
	struct link *link = link_next(NULL), *next;
	struct vrf *vrf = vrf_next(NULL), *next_vrf;

	for (; link; link = next) {
		next = link_next(link);
		plans[link->id].next = NULL;
		if (!plans[link->id].fresh)
			continue;
		plans[link->id] = (struct plan){ 0 };
		if (link->tap >= 0)
			bring_gone(link);
		link_release(link);
	}
	for (; vrf; vrf = next_vrf) {
		next_vrf = vrf_next(vrf);
		if (fresh_vrfs[vrf->id])
			vrf_drop(vrf);
	}
}

/* ---- commit ---- */
static int vrf_mirror(struct vrf *vrf)
{
	int notify = -1, dump = -1;
	int rc = keeper_netlink(vrf->name, NOTIFY_RCVBUF, &notify);

	if (!rc)
		rc = keeper_netlink(vrf->name, 0, &dump);
	if (!rc)
		rc = mirror_vrf_add(vrf, notify, dump);
	else if (notify >= 0)
		close(notify);
	return rc;
}

static void commit_vrf(struct apply *a, const struct cfg_vrf *cfg)
{
	const struct cfg_vrf *old = a->before ? config_vrf(a->before, cfg->name) : NULL;
	struct vrf *vrf = vrf_by_name(cfg->name);
	int rc;

	if (fresh_vrfs[vrf->id]) {
		rc = vrf_mirror(vrf);
		if (rc)
			log_event(LOG_LVL_ERR, vrf->name, "its routes are not mirrored: %s",
				strerror(-rc));
		fresh_vrfs[vrf->id] = false;
	}
	if (!a->before && (rc = adopt_vrf(vrf, a->next)))
		log_event(LOG_LVL_WARN, vrf->name, "cannot look for what was left behind: %s",
			strerror(-rc));
	bring_loopback(vrf, old, cfg);
}

static bool same_interface(const struct link *link)
{
	uint8_t mac[6];

	bring_kernel_mac_of(link->cfg, mac);
	return link->mtu == bring_mtu_of(link->cfg) && !memcmp(mac, link->mac, sizeof(mac));
}

static bool same_bytes(const void *a, unsigned n_a, const void *b, unsigned n_b, size_t size)
{
	return n_a == n_b && (!n_a || !memcmp(a, b, n_a * size));
}

/* Does the kernel have anything to learn of the change? */
static bool same_kernel(const struct cfg_link *a, const struct cfg_link *b)
{
	return a->shut == b->shut && a->track == b->track &&
	       same_bytes(
		       a->address, a->n_address, b->address, b->n_address, sizeof(*a->address)) &&
	       same_bytes(a->statics.items, a->statics.n, b->statics.items, b->statics.n,
		       sizeof(*a->statics.items)) &&
	       ip_addr_equal(&a->gateway[0], &b->gateway[0]) &&
	       ip_addr_equal(&a->gateway[1], &b->gateway[1]) &&
	       ip_addr_equal(&a->static_via[0], &b->static_via[0]) &&
	       ip_addr_equal(&a->static_via[1], &b->static_via[1]);
}

static void commit_link(struct link *link)
{
	struct plan *plan = &plans[link->id];
	const struct cfg_link *old = plan->old;

	if (!plan->next || (old && same_kernel(old, link->cfg) && same_interface(link)))
		return;
	if (old && !same_interface(link))
		bring_tap(link, link->cfg);
	bring_link(link, old);
	if (old && (old->statics.n || old->gateway[0].af || old->gateway[1].af))
		bring_again(link->vrf); /* a route it gave up may be another's now */
}

static void remove_link(struct link *link)
{
	struct vrf *vrf = link->vrf;

	log_event(LOG_LVL_INFO, link->name, "removed from VRF %s", vrf->name);
	if (link->ifindex > 0) /* its routes leave now, not with the last descriptor */
		kernel_link_up(vrf, link->ifindex, false);
	vrrp_gone(link);
	sas_link_gone(link);
	bring_gone(link);
	bring_again(vrf);
	plans[link->id] = (struct plan){ 0 };
	probes_link_gone(link);
	bfd_sessions_link_gone(link);
	health_forget(link);
	link_release(link);
}

/* Is there anything that only a restart can bring, between what was started and what
 * is configured? */
static void restart_check(void)
{
	struct cfg_diff diff;

	control.needs_restart = false;
	if (control.running == started || config_diff(started, control.running, &diff))
		return;
	for (unsigned i = 0; i < diff.n; i++)
		control.needs_restart |= diff.ops[i].restart;
	cfg_diff_free(&diff);
}

static void finish(struct apply *a)
{
	for (unsigned id = 0; id < DP_LINKS_MAX; id++) {
		plans[id].next = plans[id].old = NULL;
		plans[id].fresh = false;
	}
	bring_carriers();
	if (control.running != started)
		config_free(control.running);
	control.running = a->next;
	restart_check();
	control.generation++;
	control.reload_ops += a->diff.n;
	sas_config_changed();
	sas_static_config_changed();
	xfrm_server_config_changed();
	xfrm_mirror_config_changed();
	mirror_config_changed();
	probes_config_changed();
	vrrp_follow_all();
	if (control.running->routing == CFG_ROUTING_FRR)
		frr_sync();
	swan_sync();
}

/* ---- the machine ---- */
static void phase_next(struct apply *a)
{
	a->phase++;
	a->i = 0;
	a->link = link_next(NULL);
}

static int step_list(struct apply *a)
{
	const struct config *next = a->next;
	int rc = 0;

	switch (a->phase) {
	case PREPARE_VRFS:
		if (a->i == next->n_vrfs)
			phase_next(a);
		else if (!vrf_by_name(next->vrfs[a->i++].name))
			rc = vrf_make(next->vrfs[a->i - 1].name);
		break;
	case PREPARE_LINKS:
		if (a->i == next->n_links)
			phase_next(a);
		else
			rc = prepare_link(&next->links[a->i++]);
		break;
	default: /* COMMIT_VRFS */
		if (a->i == next->n_vrfs)
			phase_next(a);
		else
			commit_vrf(a, &next->vrfs[a->i++]);
	}
	return rc;
}

/* What is refused later has resigned for nothing, and comes back as backup. */
static void resign(struct apply *a)
{
	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (!plans[link->id].fresh && vrrp_resign(link, plans[link->id].next))
			a->resigned_ns = now_ns() + VRRP_WORDS_MS * 1000000ull;
	phase_next(a);
}

static void step_inventory(struct apply *a)
{
	struct link *link = a->link;
	struct vrf *vrf;

	if (a->phase == REMOVE_VRFS) {
		for (vrf = vrf_next(NULL); vrf && config_vrf(a->next, vrf->name);
			vrf = vrf_next(vrf))
			;
		if (vrf)
			vrf_drop(vrf);
		else
			phase_next(a);
		return;
	}
	if (!link) {
		phase_next(a);
		return;
	}
	a->link = link_next(link);
	if (a->phase == COMMIT_LINKS)
		commit_link(link);
	else if (!plans[link->id].next)
		remove_link(link);
}

int apply_step(struct apply *a)
{
	int rc = 0;

	if (a->phase == PREPARE_VRFS || a->phase == PREPARE_LINKS || a->phase == COMMIT_VRFS)
		rc = step_list(a);
	else if (a->phase == RESIGN)
		resign(a);
	else if (a->phase == PUBLISH && now_ns() >= a->resigned_ns && !(rc = publish(a)))
		phase_next(a);
	else if (a->phase > COMMIT_VRFS && a->phase < DONE)
		step_inventory(a);
	if (rc) {
		take_back();
		if (a->resigned_ns)
			vrrp_follow_all();
		return rc;
	}
	if (a->phase < DONE)
		return 1;
	finish(a);
	return 0;
}

int apply_difference(struct apply *a)
{
	int rc = config_diff(a->before, a->next, &a->diff);

	if (rc || !a->before)
		return rc;
	for (unsigned i = 0; i < a->diff.n; i++) {
		const struct cfg_op *op = &a->diff.ops[i];
		static const char *const change[] = { "added", "removed", "changed" };

		log_event(LOG_LVL_NOTICE, op->name, "%s%s%s%s", change[op->change],
			op->what && *op->what ? ": " : "", op->what ? op->what : "",
			op->restart ? " (staged: needs a restart)" : "");
	}
	return 0;
}

/* ---- start ---- */
int apply_start(struct config *config)
{
	struct apply a = { .next = config };
	int rc;

	started = config;
	bring_ports(config);
	adopt_taps(config);
	rc = apply_difference(&a);
	if (!rc)
		while ((rc = apply_step(&a)) > 0)
			;
	cfg_diff_free(&a.diff);
	control.reload_ops = 0;
	return rc;
}

void apply_stop(void)
{
	if (control.running != started)
		config_free(control.running);
	config_free(started);
	started = control.running = NULL;
}
