/* The keeper's hands inside network namespaces: VRFs and TAPs;
 * keeper_socket.c opens sockets there.
 *
 * Whatever must happen inside a namespace happens in a short-lived thread that enters it (setns is
 * a thread's own affair), so that the keeper itself never leaves the one it was started in.
 *
 * taps[] holds a duplicate of every TAP descriptor given out: as long as one is open the interface
 * has its carrier, its addresses and its routes, whatever becomes of lintasd. Which namespaces were
 * made here is remembered as symbolic links "vrfs/NAME -> device:inode" beside the socket: a
 * restarted keeper still deletes only its own, and a namespace somebody put in its place is not
 * taken for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <poll.h>
#include "keeper_own.h"

#define TAP_QUEUE 1000

struct tap {
	bool used;
	int fd;
	char vrf[CFG_NAME_MAX], name[CFG_NAME_MAX];
};

static struct tap taps[KEEPER_TAPS_MAX];
static int marks = -1; /* the folder of links */

/* ---- inside a namespace ---- */
static void *ns_thread(void *arg)
{
	struct ns_call *call = arg;

	if (call->ns >= 0 ? setns(call->ns, CLONE_NEWNET) : unshare(CLONE_NEWNET)) {
		call->result = -errno;
		keeper_say(call->answer, call->result, "cannot enter a network namespace: %m");
		return NULL;
	}
	if (call->ns < 0 && mount("/proc/thread-self/ns/net", call->path, "none", MS_BIND, NULL)) {
		call->result = -errno;
		keeper_say(call->answer, call->result, "cannot mount the namespace at %s: %m",
			call->path);
		return NULL;
	}
	call->result = call->run(call);
	return NULL;
}

static int ns_run(struct ns_call *call)
{
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, ns_thread, call);

	if (rc) {
		keeper_say(call->answer, -rc, "no thread: %s", strerror(rc));
		return -rc;
	}
	pthread_join(thread, NULL);
	return call->result;
}

static void ns_path(char *path, size_t size, const char *vrf)
{
	snprintf(path, size, KEEPER_NETNS_DIR "/%.*s", CFG_NAME_MAX - 1, vrf);
}

/* A descriptor of an existing namespace, or -ENOENT (also for a plain file that `ip
 * netns` left). */
static int ns_open(const char *vrf)
{
	char path[sizeof(KEEPER_NETNS_DIR) + 1 + CFG_NAME_MAX];
	struct statfs fs;
	int fd;

	ns_path(path, sizeof(path), vrf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) || fs.f_type != NSFS_MAGIC) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* ---- VRFs ---- */
static int mark_text(int ns, char *text, size_t size)
{
	struct stat st;

	if (fstat(ns, &st))
		return -errno;
	snprintf(text, size, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return 0;
}

static bool mark_is_ours(const char *vrf, int ns)
{
	char want[64], have[64];
	ssize_t n = readlinkat(marks, vrf, have, sizeof(have) - 1);

	if (n < 0 || mark_text(ns, want, sizeof(want)))
		return false;
	have[n] = '\0';
	return !strcmp(want, have);
}

static int sysctl_write(const char *name, const char *value)
{
	char path[96];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int interface_up(const char *name)
{
	struct ifreq ifr = { 0 };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (sock < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0) {
		rc = -errno;
	} else if (!(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
			rc = -errno;
	}
	close(sock);
	return rc;
}

/* The kernel answers for itself and forwards nothing; addresses outlive carrier and IFF_UP; one
 * link never answers ARP for another's address; deleting one address does not take its neighbours
 * along. */
static int vrf_setup(struct ns_call *call)
{
	static const struct {
		const char *name, *value;
	} sysctls[] = {
		{ "ipv4/ip_forward", "0" },
		{ "ipv4/conf/all/rp_filter", "0" },
		{ "ipv4/conf/default/rp_filter", "0" },
		{ "ipv4/conf/all/arp_ignore", "1" },
		{ "ipv4/conf/all/arp_announce", "2" },
		{ "ipv4/conf/all/promote_secondaries", "1" },
		{ "ipv6/conf/all/disable_ipv6", "0" },
		{ "ipv6/conf/default/disable_ipv6", "0" },
		{ "ipv6/conf/all/forwarding", "0" },
		{ "ipv6/conf/all/accept_ra", "0" },
		{ "ipv6/conf/default/accept_ra", "0" },
		{ "ipv6/conf/all/accept_redirects", "0" },
		{ "ipv6/conf/default/accept_redirects", "0" },
		{ "ipv4/conf/all/accept_redirects", "0" },
		{ "ipv4/conf/default/accept_redirects", "0" },
		{ "ipv6/conf/all/keep_addr_on_down", "1" },
		{ "ipv6/conf/default/keep_addr_on_down", "1" },
	};
	int rc = interface_up("lo");

	if (rc) {
		keeper_say(call->answer, rc, "cannot set lo up: %s", strerror(-rc));
		return rc;
	}
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		rc = sysctl_write(sysctls[i].name, sysctls[i].value);
		if (rc) {
			keeper_say(call->answer, rc, "cannot set net/%s to %s: %s", sysctls[i].name,
				sysctls[i].value, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

/* As `ip netns` does it: a shared mount, so that every mount namespace sees what is bound
 * below it. */
static int netns_dir(void)
{
	if (mkdir(KEEPER_NETNS_DIR, 0755) && errno != EEXIST)
		return -errno;
	if (!mount("", KEEPER_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL))
		return 0;
	if (errno != EINVAL ||
		mount(KEEPER_NETNS_DIR, KEEPER_NETNS_DIR, "none", MS_BIND | MS_REC, NULL))
		return -errno;
	return mount("", KEEPER_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) ? -errno : 0;
}

static int vrf_create(const struct keeper_request *request, struct keeper_answer *answer)
{
	char path[sizeof(KEEPER_NETNS_DIR) + 1 + CFG_NAME_MAX], mark[64];
	struct ns_call call = { .ns = -1, .path = path, .run = vrf_setup, .answer = answer };
	int fd, rc = netns_dir();

	if (rc) {
		keeper_say(answer, rc, "cannot prepare " KEEPER_NETNS_DIR ": %s", strerror(-rc));
		return rc;
	}
	ns_path(path, sizeof(path), request->vrf);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0) {
		keeper_say(answer, -errno, "cannot create %s: %m", path);
		return answer->error;
	}
	close(fd);
	rc = ns_run(&call);
	fd = rc ? -1 : ns_open(request->vrf);
	if (fd < 0) {
		umount2(path, MNT_DETACH);
		unlink(path);
		return rc ? rc : fd;
	}
	unlinkat(marks, request->vrf, 0);
	if (mark_text(fd, mark, sizeof(mark)) || symlinkat(mark, marks, request->vrf))
		fprintf(stderr, "<4>lintas-keeper: cannot remember that %s is ours: %m\n", path);
	close(fd);
	return 0;
}

void keeper_ns_vrf(const struct keeper_request *request, struct keeper_answer *answer)
{
	struct ns_call call = { .run = vrf_setup, .answer = answer };
	int ns = ns_open(request->vrf);

	if (ns == -ENOENT) {
		vrf_create(request, answer);
	} else if (ns < 0) {
		keeper_say(answer, ns, "cannot open " KEEPER_NETNS_DIR "/%s: %s", request->vrf,
			strerror(-ns));
	} else {
		call.ns = ns;
		answer->value = !mark_is_ours(request->vrf, ns);
		ns_run(&call);
		close(ns);
	}
}

void keeper_ns_vrf_del(const struct keeper_request *request, struct keeper_answer *answer)
{
	char path[sizeof(KEEPER_NETNS_DIR) + 1 + CFG_NAME_MAX];
	int ns = ns_open(request->vrf);
	bool ours = ns >= 0 && mark_is_ours(request->vrf, ns);

	if (ns >= 0)
		close(ns);
	if (ns == -ENOENT)
		unlinkat(marks, request->vrf, 0);
	if (!ours) {
		keeper_say(answer, ns < 0 ? ns : -EPERM, "namespace %s was not made here",
			request->vrf);
		return;
	}
	for (unsigned i = 0; i < KEEPER_TAPS_MAX; i++) {
		if (taps[i].used && !strcmp(taps[i].vrf, request->vrf)) {
			keeper_say(answer, -EBUSY, "link %s is still in it", taps[i].name);
			return;
		}
	}
	ns_path(path, sizeof(path), request->vrf);
	if (umount2(path, MNT_DETACH) || unlink(path))
		keeper_say(answer, -errno, "cannot remove %s: %m", path);
	unlinkat(marks, request->vrf, 0);
}

/* ---- TAPs ---- */
static struct tap *tap_find(const char *vrf, const char *name)
{
	for (unsigned i = 0; i < KEEPER_TAPS_MAX; i++)
		if (taps[i].used && !strcmp(taps[i].name, name) && !strcmp(taps[i].vrf, vrf))
			return &taps[i];
	return NULL;
}

static struct tap *tap_slot(void)
{
	for (unsigned i = 0; i < KEEPER_TAPS_MAX; i++)
		if (!taps[i].used)
			return &taps[i];
	return NULL;
}

/* A kernel with IPsec neither encrypts what leaves by an interface of ours nor drops, for a policy
 * of its own, what the fast path has decrypted; one without has no such files. */
static void tap_no_ipsec(const char *name)
{
	static const char *const names[] = { "ipv4/conf/%s/disable_xfrm",
		"ipv4/conf/%s/disable_policy", "ipv6/conf/%s/disable_policy" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), names[i], name);
		sysctl_write(path, "1");
	}
}

/* MAC, MTU and queue brought to what is asked; what is right already is not touched. */
static int tap_shape(struct ns_call *call)
{
	const struct keeper_request *request = call->request;
	struct ifreq ifr = { 0 };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		goto failed;
	memcpy(ifr.ifr_name, request->name, CFG_NAME_MAX);
	if (!keeper_is_tun(request) && ioctl(sock, SIOCGIFHWADDR, &ifr) < 0)
		goto failed;
	if (!keeper_is_tun(request) &&
		memcmp(ifr.ifr_hwaddr.sa_data, request->mac, sizeof(request->mac))) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, request->mac, sizeof(request->mac));
		if (ioctl(sock, SIOCSIFHWADDR, &ifr) < 0)
			goto failed;
	}
	if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
		goto failed;
	if (ifr.ifr_mtu != request->mtu) {
		ifr.ifr_mtu = request->mtu;
		if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
			goto failed;
	}
	ifr.ifr_qlen = TAP_QUEUE;
	if (ioctl(sock, SIOCSIFTXQLEN, &ifr) < 0)
		goto failed;
	tap_no_ipsec(ifr.ifr_name);
	close(sock);
	return 0;
failed:
	keeper_say(call->answer, -errno, "cannot set up interface %s: %m", request->name);
	if (sock >= 0)
		close(sock);
	return call->answer->error;
}

static int tap_create(struct ns_call *call)
{
	struct ifreq ifr = { .ifr_flags = IFF_NO_PI };
	int rc;

	ifr.ifr_flags |= keeper_is_tun(call->request) ? IFF_TUN : IFF_TAP;

	call->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (call->fd < 0) {
		keeper_say(call->answer, -errno, "cannot open /dev/net/tun: %m");
		return call->answer->error;
	}
	memcpy(ifr.ifr_name, call->request->name, CFG_NAME_MAX);
	if (ioctl(call->fd, TUNSETIFF, &ifr) < 0) {
		rc = -errno;
		keeper_say(call->answer, rc, "cannot make interface %s: %m%s", call->request->name,
			rc == -EBUSY || rc == -EINVAL ? " (is there another of that name?)" : "");
	} else {
		rc = tap_shape(call);
	}
	if (rc) {
		close(call->fd);
		call->fd = -1;
	}
	return rc;
}

static bool tap_of_kind(int fd, const struct keeper_request *request, struct ifreq *ret_ifr)
{
	return ioctl(fd, TUNGETIFF, ret_ifr) >= 0 &&
	       (ret_ifr->ifr_flags & (keeper_is_tun(request) ? IFF_TUN : IFF_TAP));
}

/* A TAP that lintasd still has although this keeper has not: it outlived a former keeper. Take it
 * only when it is what it is said to be. */
static bool tap_is(int fd, const struct keeper_request *request, int ns)
{
	struct stat a, b;
	struct ifreq ifr;
	int dev_ns;
	bool same;

	if (!tap_of_kind(fd, request, &ifr) || strncmp(ifr.ifr_name, request->name, IFNAMSIZ))
		return false;
	dev_ns = ioctl(fd, TUNGETDEVNETNS);
	if (dev_ns < 0)
		return false;
	same = !fstat(dev_ns, &a) && !fstat(ns, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	close(dev_ns);
	return same;
}

int keeper_ns_tap(const struct keeper_request *request, struct keeper_answer *answer, int passed)
{
	struct ns_call call = { .answer = answer, .request = request, .fd = -1 };
	struct tap *tap = tap_find(request->vrf, request->name), *slot = tap ? tap : tap_slot();
	struct ifreq ifr;
	int rc;

	if (!slot) {
		keeper_say(answer, -ENOSPC, "%u TAPs are the limit", KEEPER_TAPS_MAX);
		return -1;
	}
	call.ns = ns_open(request->vrf);
	if (call.ns < 0) {
		keeper_say(answer, call.ns, "no namespace %s", request->vrf);
		return -1;
	}
	if (tap && !tap_of_kind(tap->fd, request, &ifr)) { /* of a former configuration */
		close(tap->fd);
		tap->used = false;
		tap = NULL;
	}
	if (!tap && passed >= 0 && !tap_is(passed, request, call.ns)) {
		keeper_say(answer, -EINVAL, "the descriptor passed along is not %s", request->name);
		rc = -EINVAL;
	} else {
		answer->value = tap || passed >= 0; /* it was there before */
		call.run = answer->value ? tap_shape : tap_create;
		rc = ns_run(&call);
	}
	close(call.ns);
	if (rc)
		return -1;
	if (!tap) {
		slot->fd = passed >= 0 ? fcntl(passed, F_DUPFD_CLOEXEC, 3) : call.fd;
		if (slot->fd < 0) {
			keeper_say(answer, -errno, "cannot hold %s: %m", request->name);
			return -1;
		}
		slot->used = true;
		memcpy(slot->vrf, request->vrf, CFG_NAME_MAX);
		memcpy(slot->name, request->name, CFG_NAME_MAX);
	}
	return slot->fd;
}

void keeper_ns_tap_del(const struct keeper_request *request, struct keeper_answer *answer)
{
	struct tap *tap = tap_find(request->vrf, request->name);

	if (!tap) {
		keeper_say(answer, -ENOENT, "no TAP %s in %s", request->name, request->vrf);
		return;
	}
	close(tap->fd);
	tap->used = false;
}

/* value = how many there are; text = the value-th one's VRF and name, CFG_NAME_MAX bytes each */
void keeper_ns_list(const struct keeper_request *request, struct keeper_answer *answer)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < KEEPER_TAPS_MAX; i++) {
		if (!taps[i].used)
			continue;
		if (n++ == request->value) {
			memcpy(answer->text, taps[i].vrf, CFG_NAME_MAX);
			memcpy(answer->text + CFG_NAME_MAX, taps[i].name, CFG_NAME_MAX);
		}
	}
	answer->value = n;
}

/* ---- for keeper_socket.c ---- */
bool keeper_ns_holds(const char *vrf, const char *name)
{
	return tap_find(vrf, name) != NULL;
}

int keeper_ns_call(const struct keeper_request *request, struct keeper_answer *answer,
	int (*run)(struct ns_call *call))
{
	struct ns_call call = { .run = run, .answer = answer, .request = request, .fd = -1 };

	call.ns = ns_open(request->vrf);
	if (call.ns < 0) {
		keeper_say(answer, call.ns, "no namespace %s", request->vrf);
		return -1;
	}
	ns_run(&call);
	close(call.ns);
	return call.fd;
}

/* ---- start and stop ---- */
int keeper_ns_start(const char *folder)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (dir < 0)
		return -errno;
	if (mkdirat(dir, "vrfs", 0700) && errno != EEXIST)
		rc = -errno;
	marks = rc ? -1 : openat(dir, "vrfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (!rc && marks < 0)
		rc = -errno;
	close(dir);
	return rc;
}

void keeper_ns_stop(void)
{
	struct keeper_request request = { 0 };
	struct keeper_answer answer;
	struct dirent *entry;
	DIR *dir;

	for (unsigned i = 0; i < KEEPER_TAPS_MAX; i++) {
		if (taps[i].used)
			close(taps[i].fd);
		taps[i].used = false;
	}
	dir = marks < 0 ? NULL : fdopendir(marks);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= CFG_NAME_MAX)
			continue;
		memset(request.vrf, 0, sizeof(request.vrf));
		memcpy(request.vrf, entry->d_name, strlen(entry->d_name));
		memset(&answer, 0, sizeof(answer));
		keeper_ns_vrf_del(&request, &answer);
		if (answer.error)
			fprintf(stderr, "<4>lintas-keeper: %s: %s\n", request.vrf, answer.text);
	}
	closedir(dir);
	marks = -1;
}
