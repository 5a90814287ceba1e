/* The CLI's listening socket: where it lies, who may connect, how many.
 *
 * Control thread only. The folder is 0750 and the socket born 0660, so that there is no moment in
 * which others may connect; a socket file that nobody answers behind is left over and replaced. Who
 * the peer is comes from SO_PEERCRED and SO_PEERGROUPS, what the kernel recorded at connect(): no
 * name service is asked in the event loop. What a client then says is api.c's. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "api.h"
#include "api_own.h"

#define WRITERS_RESERVE 8 /* places of API_CLIENTS_MAX that only writers get */
#define GROUPS_MAX	1024
#define NO_GROUP	((gid_t)-1)

static struct {
	int fd;
	struct event *accept, *accept_again;
	gid_t readers, writers;
	struct sockaddr_un addr;
	dev_t dev; /* of our socket: at the end only our own is removed */
	ino_t ino;
} api = { .fd = -1 };

/* ---- who may connect ---- */

enum peer_class { PEER_NOBODY, PEER_READER, PEER_WRITER };

static enum peer_class peer_class(int fd)
{
	struct ucred cred;
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(cred), groups_len = sizeof(groups);
	enum peer_class class = PEER_NOBODY;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return PEER_NOBODY;
	if (cred.uid == 0 || cred.uid == geteuid())
		return PEER_WRITER;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &groups_len))
		groups_len = 0; /* in more groups than we look at: its main one counts */
	for (unsigned i = 0; i <= groups_len / sizeof(groups[0]); i++) {
		gid_t gid = i ? groups[i - 1] : cred.gid;

		if (gid == NO_GROUP)
			continue;
		if (gid == api.writers)
			return PEER_WRITER;
		if (gid == api.readers)
			class = PEER_READER;
	}
	return class;
}

/* Best effort: the socket is new, a line fits. */
static void refuse(int fd, const char *why)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "{\"ok\":false,\"error\":\"%s\"}\n", why);

	if (n > 0 && send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_event(LOG_LVL_DEBUG, "lintasd", "a refused CLI client was gone already");
	close(fd);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	(void)what, (void)arg;
	static const struct timeval second = { 1, 0 };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_event(LOG_LVL_ERR, "lintasd", "CLI socket: accept: %s; trying again in 1 s",
			strerror(errno));
		event_del(api.accept);
		evtimer_add(api.accept_again, &second);
		return;
	}
	enum peer_class class = peer_class(fd);
	unsigned room = API_CLIENTS_MAX - (class == PEER_WRITER ? 0 : WRITERS_RESERVE);
	if (class == PEER_NOBODY)
		refuse(fd, "this socket is for root and the readers and writers of lintas.conf");
	else if (api_client_count() >= room)
		refuse(fd, "too many clients: close one, or try again");
	else if (api_client_new(fd, class == PEER_WRITER))
		refuse(fd, "lintasd: out of memory");
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	event_add(api.accept, NULL);
}

/* ---- its place ---- */

static int group_find(const char *name, gid_t *ret_gid)
{
	*ret_gid = NO_GROUP;
	if (!name)
		return 0;
	errno = 0;
	struct group *group = getgrnam(name);
	if (!group) {
		log_event(LOG_LVL_ERR, "lintasd",
			"CLI socket: no group \"%s\": groupadd --system %s", name, name);
		return errno ? -errno : -ENOENT;
	}
	*ret_gid = group->gr_gid;
	return 0;
}

/* The folder is made 0750. Its group is set where the group is what lets a reader in: a folder that
 * others may enter (/tmp of a test) is left alone. */
static int folder_prepare(const char *socket_path, gid_t group)
{
	char folder[sizeof(api.addr.sun_path)];
	struct stat st;
	char *slash;

	snprintf(folder, sizeof(folder), "%s", socket_path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	mode_t before = umask(0027);
	int made = mkdir(folder, 0750) ? -errno : 0;
	umask(before);
	if (made && made != -EEXIST)
		return made;
	if (stat(folder, &st))
		return -errno;
	if (group != NO_GROUP && !(st.st_mode & 0007) && st.st_gid != group &&
		chown(folder, -1, group))
		return -errno;
	return 0;
}

/* A socket file nobody listens behind is left over from a daemon that was killed. */
static int stale_remove(const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (err == ENOENT)
		return 0;
	if (err != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) && errno != ENOENT ? -errno : 0;
}

static int socket_listen(gid_t group)
{
	struct stat st;
	int err = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	mode_t before = umask(0117); /* born 0660: there is no moment in which others may connect */
	if (bind(fd, (struct sockaddr *)&api.addr, sizeof(api.addr)))
		err = -errno;
	umask(before);
	if (err)
		goto fail;
	if (group != NO_GROUP && chown(api.addr.sun_path, -1, group))
		err = -errno;
	else if (stat(api.addr.sun_path, &st) || listen(fd, 64))
		err = -errno;
	if (err) {
		unlink(api.addr.sun_path);
		goto fail;
	}
	api.dev = st.st_dev;
	api.ino = st.st_ino;
	return fd;
fail:
	close(fd);
	return err;
}

static int socket_events(void)
{
	api.accept = event_new(control.base, api.fd, EV_READ | EV_PERSIST, on_accept, NULL);
	api.accept_again = evtimer_new(control.base, on_accept_again, NULL);
	if (!api.accept || !api.accept_again)
		return -ENOMEM;
	event_priority_set(api.accept, event_base_get_npriorities(control.base) - 1);
	return event_add(api.accept, NULL) ? -ENOMEM : 0;
}

int api_socket_open(const char *path, const char *readers, const char *writers)
{
	int err;

	if (strlen(path) >= sizeof(api.addr.sun_path))
		return -ENAMETOOLONG;
	if ((err = group_find(readers, &api.readers)) || (err = group_find(writers, &api.writers)))
		return err;
	gid_t group = api.readers != NO_GROUP ? api.readers : api.writers;
	memset(&api.addr, 0, sizeof(api.addr));
	api.addr.sun_family = AF_UNIX;
	strcpy(api.addr.sun_path, path);
	if ((err = folder_prepare(path, group)) || (err = stale_remove(&api.addr)))
		goto fail;
	err = api.fd = socket_listen(group);
	if (err < 0 || (err = socket_events()))
		goto fail;
	return 0;
fail:
	log_event(LOG_LVL_ERR, "lintasd", "CLI socket %s: %s%s", path, strerror(-err),
		err == -EADDRINUSE ? ": another lintasd answers there" : "");
	api_socket_close();
	return err;
}

void api_socket_close(void)
{
	struct stat st;

	if (api.fd < 0)
		return;
	if (api.accept)
		event_free(api.accept);
	if (api.accept_again)
		event_free(api.accept_again);
	api.accept = api.accept_again = NULL;
	close(api.fd);
	api.fd = -1;
	if (!stat(api.addr.sun_path, &st) && st.st_dev == api.dev && st.st_ino == api.ino)
		unlink(api.addr.sun_path);
}
