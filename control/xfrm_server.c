/* What charon believes to be a kernel's NETLINK_XFRM: unix sockets, one for each VRF that carries
 * IPsec links, to which its library (tools/strongswan/xfrm_shim.c) connects.
 *
 * Two sources of SAs exist, and this is the appliance's default. A kernel's own XFRM can be
 * followed as well (xfrm_mirror.c), but then the kernel acknowledges what no worker has yet, counts
 * bytes that never pass it, so that charon neither rekeys by volume nor sees that a peer is alive,
 * and holds the same keys with a sequence of its own: one packet that slipped by would be nonce
 * reuse. Here an SA is acknowledged when a worker holds it, counters are the workers', expiry comes
 * from where it happens, and a kernel without ESP serves as well as any. The price is the library
 * in charon, 400 lines; who must run charon himself sets gateway.ipsec = "kernel".
 *
 * Each connection stands for a netlink socket of charon's; its first message says what it is. News
 * (expired SAs) go to those that subscribed. Peers are root or our own user, or are closed; who
 * sends what is no message is closed; who does not read loses its connection and comes again.
 * Bounded in clients, in messages a turn, never waiting. A process whose last connection ends has
 * died: its SAs go on without it (sas_owner_gone), so that restarting charon interrupts nothing.
 * Control thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "xfrm_policy.h"
#include "xfrm_request.h"
#include "xfrm_server.h"
#include "xfrm_wire.h"

#define CLIENTS_MAX	(4 * DP_VRFS_MAX)
#define CLIENTS_OF_VRF	32
#define MESSAGES_A_TURN 32
#define LOST_MAX	DP_SAS_MAX /* all of them may be used up */

struct client {
	int fd;
	struct event *event;
	struct server *server;
	struct sas_from from;
	bool named, vault;
	uint32_t groups;
};

struct server {
	struct server *next;
	uint16_t vrf;
	char name[CFG_NAME_MAX];
	bool wanted;
	int fd;
	struct event *event;
	struct sockaddr_un addr;
	unsigned clients;
};

struct lost { /* told to charon as soon as it listens */
	struct lost *next;
	struct sas_from from;
	size_t len;
	uint8_t bytes[sizeof(struct xfrm_user_expire) + 64];
};

static struct server *servers;
static struct client *clients[CLIENTS_MAX];
static struct lost *losts;
static unsigned n_losts;
static char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

int xfrm_server_path(const char *vrf, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/xfrm-%s.sock", folder, vrf);

	return n < 0 || n >= (int)size ? -ENAMETOOLONG : 0;
}

/* ---- clients ---- */
static unsigned clients_of(const struct sas_from *from)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		n += clients[i] && !memcmp(&clients[i]->from, from, sizeof(*from));
	return n;
}

static void client_close(struct client *c, const char *why)
{
	struct sas_from from = c->from;

	log_event(LOG_LVL_DEBUG, c->server->name, "connection of charon (pid %u) ended: %s",
		from.owner, why);
	if (c->vault)
		xfrm_vault_set(&from, -1);
	c->server->clients--;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i] == c)
			clients[i] = NULL;
	event_free(c->event);
	close(c->fd);
	free(c);
	if (clients_of(&from) || !*folder)
		return; /* it has others, or it is lintasd that ends */
	log_event(LOG_LVL_NOTICE, vrf_by_id(from.vrf) ? vrf_by_id(from.vrf)->name : NULL,
		"charon (pid %u) has gone: its SAs go on until they end", from.owner);
	sas_owner_gone(&from);
	xfrm_policy_owner_gone(&from);
}

static bool say(struct client *c, const void *bytes, size_t len)
{
	if (send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return true;
	shutdown(c->fd, SHUT_RDWR); /* its event closes it */
	return false;
}

static void answer(const struct xfrm_message *m, void *arg)
{
	say(arg, m->bytes, m->len);
}

/* ---- news ---- */
static void on_expired(const struct sas_from *from, const struct nlmsghdr *expire, size_t len)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i] && clients[i]->from.vrf == from->vrf && !clients[i]->vault &&
			clients[i]->groups & XFRMGRP_EXPIRE)
			say(clients[i], expire, len);
}

static void lost_add(const struct nlmsghdr *expire, size_t len, void *arg)
{
	const struct client *c = arg;
	struct lost *l;

	if (n_losts == LOST_MAX || len > sizeof(l->bytes) || !(l = calloc(1, sizeof(*l)))) {
		log_event(LOG_LVL_WARN, c->server->name,
			"charon (pid %u) is not told that an SA has gone: too many at once; what "
			"does not come up again: swanctl --terminate it",
			c->from.owner);
		return;
	}
	n_losts++;
	l->from = c->from;
	l->len = len;
	memcpy(l->bytes, expire, len);
	l->next = losts;
	losts = l;
}

static void lost_free(struct lost **at)
{
	struct lost *l = *at;

	*at = l->next;
	free(l);
	n_losts--;
}

/* Those of a charon that has died, which nobody will ask for. */
static void lost_sweep(void)
{
	struct lost **at = &losts;

	while (*at)
		if (clients_of(&(*at)->from) || xfrm_vault_lives(&(*at)->from))
			at = &(*at)->next;
		else
			lost_free(at);
}

static void lost_say(struct client *c)
{
	struct lost **at = &losts, *l;

	while ((l = *at)) {
		if (memcmp(&l->from, &c->from, sizeof(l->from))) {
			at = &l->next;
			continue;
		}
		say(c, l->bytes, l->len);
		lost_free(at);
	}
}

/* ---- messages ---- */
static bool vault_message(struct client *c, const uint8_t *bytes, size_t len)
{
	struct xfrm_wire_head done = { { sizeof(done), XFRM_WIRE_DONE, 0, 0, 0 }, 0, 0, 0 };
	int rc = xfrm_vault_message(&c->from, bytes, len, lost_add, c);

	return rc > 0 ? say(c, &done, sizeof(done)) : !rc;
}

/* The first one says what the connection is; groups may be said again. */
static bool named(struct client *c, const struct xfrm_wire_head *head)
{
	if (head->h.nlmsg_type == XFRM_WIRE_GROUPS && !c->vault) {
		c->groups = (uint32_t)head->id;
		if (c->groups & XFRMGRP_EXPIRE)
			lost_say(c);
	} else if (head->h.nlmsg_type == XFRM_WIRE_VAULT && !c->named) {
		if (head->id != XFRM_WIRE_VERSION) {
			log_event(LOG_LVL_ERR, c->server->name,
				"charon's lintas-xfrm.so is of another version: restart charon");
			return false;
		}
		if (xfrm_vault_set(&c->from, c->fd)) {
			log_event(LOG_LVL_ERR, c->server->name,
				"charon (pid %u) is refused: more charons than VRFs; end those "
				"that are left over",
				c->from.owner);
			return false;
		}
		c->vault = true;
	} else {
		return false;
	}
	c->named = true;
	return true;
}

/* False: it is not the protocol. */
static bool message(struct client *c, const uint8_t *bytes, size_t len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;
	struct xfrm_wire_head head;

	if (len < sizeof(*h))
		return false;
	if (len == sizeof(head) && h->nlmsg_type <= XFRM_WIRE_VAULT &&
		h->nlmsg_type >= XFRM_WIRE_GROUPS) {
		memcpy(&head, bytes, sizeof(head));
		return named(c, &head);
	}
	if (c->vault)
		return vault_message(c, bytes, len);
	if (!c->named)
		return false;
	while (len >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= len) {
		size_t step = NLMSG_ALIGN(h->nlmsg_len);

		xfrm_request(&c->from, h, answer, c);
		if (step >= len)
			return true;
		len -= step;
		h = (const struct nlmsghdr *)((const uint8_t *)h + step);
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buf[XFRM_WIRE_MAX] __attribute__((aligned(8)));
	struct client *c = arg;

	(void)what;
	for (unsigned i = 0; i < MESSAGES_A_TURN; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		bool fine = n > 0 && n <= (ssize_t)sizeof(buf) && message(c, buf, (size_t)n);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0)
			explicit_bzero(buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf));
		if (!fine) {
			client_close(c, n > 0 ? "not the protocol" : "closed");
			return;
		}
	}
}

static const char *client_new(struct server *s, int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	struct client *c, **place = NULL;

	for (unsigned i = 0; i < CLIENTS_MAX && !place; i++)
		if (!clients[i])
			place = &clients[i];
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
		(cred.uid && cred.uid != geteuid()))
		return "only root may";
	if (!place || s->clients >= CLIENTS_OF_VRF)
		return "too many connections";
	c = calloc(1, sizeof(*c));
	if (!c)
		return "no memory";
	c->event = event_new(control.base, fd, EV_READ | EV_PERSIST, on_readable, c);
	if (!c->event || event_priority_set(c->event, 1) || event_add(c->event, NULL)) {
		event_free(c->event);
		free(c);
		return "no memory";
	}
	c->fd = fd;
	c->server = s;
	c->from.source = SAS_CHARON;
	c->from.vrf = s->vrf;
	c->from.owner = (uint32_t)cred.pid;
	s->clients++;
	*place = c;
	lost_sweep();
	return NULL;
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct server *s = arg;
	const char *why;

	(void)what;
	if (fd < 0)
		return;
	why = client_new(s, fd);
	if (!why)
		return;
	log_event(LOG_LVL_WARN, s->name, "%s: a connection was refused: %s", s->addr.sun_path, why);
	close(fd);
}

/* ---- sockets ---- */
static int listen_at(struct server *s)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;
	mode_t before = umask(0177);

	unlink(s->addr.sun_path); /* a former lintasd's: the keeper lets only one run */
	if (fd < 0 || bind(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) || listen(fd, 32))
		rc = -errno;
	umask(before);
	if (!rc) {
		s->event = event_new(control.base, fd, EV_READ | EV_PERSIST, on_accept, s);
		rc = !s->event || event_priority_set(s->event, 1) || event_add(s->event, NULL)
			     ? -ENOMEM
			     : 0;
	}
	s->fd = fd;
	return rc;
}

static void server_free(struct server *s)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients[i] && clients[i]->server == s)
			client_close(clients[i], "its VRF carries no IPsec links");
	event_free(s->event);
	if (s->fd >= 0) {
		close(s->fd);
		unlink(s->addr.sun_path);
	}
	free(s);
}

static struct server *server_of(uint16_t vrf)
{
	struct server *s = servers;

	while (s && s->vrf != vrf)
		s = s->next;
	return s;
}

static void server_want(const struct vrf *vrf)
{
	struct server *s = server_of(vrf->id);
	int rc;

	if (!s && !(s = calloc(1, sizeof(*s))))
		return;
	s->wanted = true;
	if (s->event)
		return;
	if (!s->addr.sun_family) {
		s->vrf = vrf->id;
		s->fd = -1;
		memcpy(s->name, vrf->name, sizeof(s->name));
		s->addr.sun_family = AF_UNIX;
		s->next = servers;
		servers = s;
	}
	rc = xfrm_server_path(vrf->name, s->addr.sun_path, sizeof(s->addr.sun_path));
	if (!rc)
		rc = listen_at(s);
	if (rc)
		log_event(LOG_LVL_ERR, s->name, "no socket for charon at %s: %s", s->addr.sun_path,
			strerror(-rc));
}

void xfrm_server_config_changed(void)
{
	struct server **at = &servers, *s;
	bool kernel;

	if (!*folder)
		return;
	kernel = control.running && control.running->gateway.ipsec == CFG_IPSEC_KERNEL;
	for (s = servers; s; s = s->next)
		s->wanted = false;
	for (const struct link *link = link_next(NULL); link; link = link_next(link)) {
		const struct vrf *vrf = link->cfg && link->cfg->underlay
						? vrf_by_name(link->cfg->underlay->vrf->name)
						: NULL;

		if (vrf && !kernel && link->cfg->encap == CFG_ENCAP_IPSEC)
			server_want(vrf);
	}
	while ((s = *at)) {
		const struct vrf *vrf = vrf_by_id(s->vrf);

		if (s->wanted && vrf && !strcmp(vrf->name, s->name)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		server_free(s);
	}
}

bool xfrm_server_info(uint16_t vrf, struct xfrm_server_info *ret_info)
{
	const struct server *s = server_of(vrf);

	if (!s || !s->event)
		return false;
	*ret_info = (struct xfrm_server_info){ s->addr.sun_path, s->clients, false };
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		ret_info->charon |= clients[i] && clients[i]->server == s && clients[i]->vault;
	return true;
}

int xfrm_server_start(const char *cli_socket)
{
	char *slash;

	snprintf(folder, sizeof(folder), "%s", cli_socket);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	else
		snprintf(folder, sizeof(folder), ".");
	xfrm_vault_start(on_expired);
	xfrm_server_config_changed();
	return 0;
}

/* Nobody is told that anything went: what is kept is for the next lintasd. */
void xfrm_server_stop(void)
{
	struct server *s;

	*folder = '\0';
	xfrm_vault_stop();
	xfrm_policy_stop();
	while ((s = servers)) {
		servers = s->next;
		server_free(s);
	}
	while (losts)
		lost_free(&losts);
}
