/* BFD sessions: what bfdd wants, kept in step with the fast path, and what follows from their
 * state.
 *
 * A session is known by its link's name and its peer: bfdd names no VRF, and link names are unique.
 * A restarted bfdd comes with other numbers for the same sessions; they take over what runs, which
 * keeps its discriminator on the wire, so that the peer notices nothing. Each holds its peer's
 * adjacency (hops.c), resolved for as long as the session exists. When a worker says that a state
 * changed, legs move first (health.c), then bfdd is told, then people. Only a session that was up
 * can declare its link dead; one whose peer said "administratively down" does not (RFC 5882 3.2).
 * Multihop has no link: it is not served, and said so once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bfd.h"
#include "health.h"
#include "mirror.h"

#define ORPHAN_NS 60000000000ull /* how long bfdd may be away */
#define SAY_NS	  3500000000ull	 /* a state is reported by then, though it never changed */
#define MIN_US	  10000u
#define MAX_US	  60000000u

static struct bfd_peer peers[DP_BFD_MAX];
static unsigned n_peers, top;

const char *const bfd_state_names[4] = { "admin-down", "down", "init", "up" };

const char *bfd_diag_text(uint8_t diag)
{
	static const char *const texts[] = { "no diagnostic", "control detection time expired",
		"echo failed", "neighbour signalled down", "forwarding plane reset", "path down",
		"concatenated path down", "administratively down",
		"reverse concatenated path down" };

	return diag < sizeof(texts) / sizeof(texts[0]) ? texts[diag] : "unknown diagnostic";
}

/* ---- the table ---- */
static struct bfd_peer *find_wanted(const struct bfd_wanted *w)
{
	for (unsigned i = 0; i < top; i++)
		if (peers[i].used && ip_addr_equal(&peers[i].wanted.peer, &w->peer) &&
			!strcmp(peers[i].wanted.ifname, w->ifname) &&
			(!w->multihop || ip_addr_equal(&peers[i].wanted.local, &w->local)))
			return &peers[i];
	return NULL;
}

static struct bfd_peer *find_lid(uint32_t lid, unsigned conn)
{
	for (unsigned i = 0; i < top; i++)
		if (peers[i].used && peers[i].lid == lid && peers[i].conn == conn)
			return &peers[i];
	return NULL;
}

static struct bfd_peer *peer_new(void)
{
	for (unsigned i = 0; i < DP_BFD_MAX; i++) {
		if (peers[i].used)
			continue;
		peers[i] = (struct bfd_peer){ .used = true, .index = (uint16_t)i };
		n_peers++;
		if (i >= top)
			top = i + 1;
		return &peers[i];
	}
	return NULL;
}

static void revive(struct bfd_peer *p)
{
	if (p->dead && p->link)
		health_forget_bfd(p->link, p->wanted.peer.af);
	p->dead = false;
}

/* Out of the fast path; the session stays wanted. */
static void unset(struct bfd_peer *p)
{
	if (p->set)
		dp_bfd_del(p->index);
	p->set = p->was_up = false;
	p->state = DP_BFD_DOWN;
	if (p->hop)
		mirror_hop_vouch(p->hop, false);
	mirror_hop_put(p->hop);
	p->hop = NULL;
	revive(p);
	p->link = NULL;
}

static void peer_free(struct bfd_peer *p)
{
	unset(p);
	p->used = false;
	n_peers--;
}

/* ---- into the fast path ---- */
static bool local_of(const struct bfd_peer *p, struct ip_addr *ret)
{
	const struct cfg_link *cfg = p->link->cfg;

	*ret = p->wanted.local;
	for (unsigned i = 0; !ret->af && cfg && i < cfg->n_address; i++)
		if (cfg->address[i].af == p->wanted.peer.af &&
			ip_prefix_contains(&cfg->address[i], &p->wanted.peer))
			*ret = ip_prefix_addr(&cfg->address[i]);
	return ret->af;
}

static uint32_t bounded(uint32_t us)
{
	return us < MIN_US ? MIN_US : us > MAX_US ? MAX_US : us;
}

/* discr: what is on the wire already, or the number bfdd gave. */
static int set(struct bfd_peer *p, uint32_t discr)
{
	struct dp_bfd conf = {
		.link = p->link->id,
		.peer = p->wanted.peer,
		.adj = mirror_hop_adj(p->hop),
		.discr = discr,
		.min_tx_us = bounded(p->wanted.min_tx_us),
		.min_rx_us = bounded(p->wanted.min_rx_us),
		.multiplier = p->wanted.multiplier,
		.passive = p->wanted.passive,
		.shut = p->wanted.shut,
	};

	if (!local_of(p, &conf.local))
		return -EADDRNOTAVAIL;
	return dp_bfd_set(p->index, &conf);
}

static uint32_t discr_of(const struct bfd_peer *p)
{
	struct dp_bfd_info info;

	return p->set && dp_bfd_info(p->index, &info) != -ENOENT && info.conf.discr
		       ? info.conf.discr
		       : p->lid;
}

static void refuse(struct bfd_peer *p, const char *why)
{
	if (strcmp(p->why, why))
		log_event(LOG_LVL_WARN, *p->wanted.ifname ? p->wanted.ifname : "bfd",
			"BFD session is not served: %s", why);
	snprintf(p->why, sizeof(p->why), "%s", why);
}

/* Whatever is missing may come: asked again every tick. */
static void serve(struct bfd_peer *p)
{
	int rc;

	if (p->wanted.multihop)
		return refuse(p, "multihop: not run here, take BFD off this peer");
	p->link = link_by_name(p->wanted.ifname);
	if (!p->link)
		return refuse(p, "no such link");
	p->hop = mirror_hop_get(p->link, &p->wanted.peer);
	if (!p->hop)
		return; /* the kernel's interface is not known yet */
	rc = set(p, p->lid);
	if (rc) {
		mirror_hop_put(p->hop);
		p->hop = NULL;
		return refuse(p, rc == -EADDRNOTAVAIL
					 ? "the link has no address in the peer's subnet"
					 : strerror(-rc));
	}
	p->set = true;
	p->why[0] = '\0';
}

/* ---- from bfdd ---- */
static void report(struct bfd_peer *p)
{
	uint8_t bytes[BFD_MESSAGE_MAX];
	struct dp_bfd_info info = { .state = DP_BFD_DOWN };

	if (!p->conn)
		return;
	if (p->set && dp_bfd_info(p->index, &info))
		return;
	bfd_server_send(p->conn, bytes, bfd_message_state(bytes, p->lid, &info));
	p->said = true;
}

void bfd_sessions_add(const struct bfd_wanted *wanted, unsigned conn)
{
	struct bfd_peer *p = find_wanted(wanted);
	uint32_t discr;

	if (!p) {
		p = peer_new();
		if (!p) {
			log_event(
				LOG_LVL_ERR, "bfd", "session refused: %d are the most", DP_BFD_MAX);
			return;
		}
	}
	discr = discr_of(p);
	if (p->lid != wanted->lid || p->conn != conn) {
		p->said = false;
		p->added_ns = now_ns();
	}
	p->wanted = *wanted;
	p->lid = wanted->lid;
	p->conn = conn;
	if (!p->set)
		serve(p);
	else if (set(p, discr))
		unset(p);
	if (p->set && p->state == DP_BFD_UP)
		report(p);
}

void bfd_sessions_delete(uint32_t lid, unsigned conn)
{
	struct bfd_peer *p = find_lid(lid, conn);

	if (!p)
		return;
	if (p->was_up)
		log_event(LOG_LVL_NOTICE, p->wanted.ifname, "BFD session removed");
	peer_free(p);
}

void bfd_sessions_lost(unsigned conn)
{
	for (unsigned i = 0; i < top; i++) {
		if (!peers[i].used || peers[i].conn != conn)
			continue;
		peers[i].conn = 0;
		peers[i].orphan_ns = now_ns();
	}
}

bool bfd_sessions_info(uint32_t lid, unsigned conn, struct dp_bfd_info *ret_info)
{
	const struct bfd_peer *p = find_lid(lid, conn);

	return p && p->set && !dp_bfd_info(p->index, ret_info);
}

/* ---- from the fast path ---- */
static void tell_down(const struct bfd_peer *p, const struct dp_bfd_info *info)
{
	char peer[IP_STRLEN];

	ip_addr_format(&p->wanted.peer, peer);
	if (info->diag == DP_BFD_EXPIRED)
		log_event(LOG_LVL_WARN, p->link->name, "BFD with %s is down: %s, after %llu ms",
			peer, bfd_diag_text(info->diag),
			(unsigned long long)(info->silence_us / 1000));
	else
		log_event(LOG_LVL_WARN, p->link->name, "BFD with %s is down: %s%s%s", peer,
			bfd_diag_text(info->diag), info->remote_diag ? "; it says: " : "",
			info->remote_diag ? bfd_diag_text(info->remote_diag) : "");
}

void bfd_sessions_event(unsigned session)
{
	struct bfd_peer *p = session < DP_BFD_MAX ? &peers[session] : NULL;
	struct dp_bfd_info info;
	char peer[IP_STRLEN];
	bool down;

	if (!p || !p->used || !p->set || !p->link || dp_bfd_info(session, &info))
		return;
	down = info.downs != p->downs || (p->state == DP_BFD_UP && info.state != DP_BFD_UP);
	p->downs = info.downs;
	p->state = info.state;
	mirror_hop_vouch(p->hop, info.state == DP_BFD_UP);
	if (info.state == DP_BFD_UP) {
		p->dead = false;
		health_bfd(p->link, p->wanted.peer.af, true);
	} else if (down && info.remote_state != DP_BFD_ADMIN_DOWN && !p->wanted.shut) {
		p->dead = true;
		health_bfd(p->link, p->wanted.peer.af, false);
	}
	report(p);
	if (down)
		tell_down(p, &info);
	if (info.state == DP_BFD_UP && info.ups != p->ups)
		log_event(LOG_LVL_NOTICE, p->link->name, "BFD with %s is up",
			ip_addr_format(&p->wanted.peer, peer));
	p->ups = info.ups;
	p->was_up |= info.state == DP_BFD_UP;
}

/* ---- time ---- */
static void tick(struct bfd_peer *p, uint64_t now)
{
	if (!p->conn && now - p->orphan_ns > ORPHAN_NS) {
		log_event(LOG_LVL_NOTICE, p->wanted.ifname,
			"BFD session given up: bfdd did not ask for it again");
		peer_free(p);
		return;
	}
	if (p->set && !mirror_hop_fits(p->hop, p->link)) /* another interface of that name */
		unset(p);
	if (!p->set)
		serve(p);
	if (!p->said && now - p->added_ns > SAY_NS)
		report(p);
}

void bfd_sessions_tick(void)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < top; i++)
		if (peers[i].used)
			tick(&peers[i], now);
}

void bfd_sessions_link_gone(struct link *link)
{
	for (unsigned i = 0; i < top; i++)
		if (peers[i].used && peers[i].link == link)
			unset(&peers[i]);
}

void bfd_sessions_stop(void)
{
	for (unsigned i = 0; i < top; i++) {
		mirror_hop_put(peers[i].hop);
		peers[i] = (struct bfd_peer){ 0 };
	}
	n_peers = top = 0;
}

/* ---- for others ---- */
unsigned bfd_sessions_count(void)
{
	return n_peers;
}

const struct bfd_peer *bfd_sessions_next(const struct bfd_peer *after)
{
	for (unsigned i = after ? after->index + 1u : 0; i < top; i++)
		if (peers[i].used)
			return &peers[i];
	return NULL;
}

bool bfd_sessions_has(const struct link *link, const struct ip_addr *peer)
{
	for (unsigned i = 0; i < top; i++)
		if (peers[i].used && peers[i].set && peers[i].link == link &&
			ip_addr_equal(&peers[i].wanted.peer, peer))
			return true;
	return false;
}
