/* The keeper's tools: FRR's vtysh and strongSwan's swanctl (keeper_swan.c), on files they are
 * given, with arguments that are constants, but for a VRF and an address, which were checked and
 * are formatted here.
 *
 * A tool runs as FRR's user in FRR's group of vty users, or as root when charon's socket is root's,
 * with no privilege, an empty environment and no descriptor but its three. The file it works on is
 * a copy in anonymous memory (never a disk, never an argument: it may hold BGP passwords) that only
 * that user may read; its output goes to another. The answer is sent when it has ended, or when its
 * time was over and it was killed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "keeper_own.h"

#define FRR_USER  "frr"
#define FRR_VTYSH "/usr/bin/vtysh"

struct run {
	bool used, late, forgotten;
	pid_t pid;
	int pidfd, out;
	uint32_t id;
	uint64_t deadline_ns;
};

static struct run runs[KEEPER_RUNS_MAX];

#define RUNNING "show running-config no-header"

static const struct {
	const char *daemon, *command;
} shows[KEEPER_SHOW_COUNT] = {
	[KEEPER_SHOW_ZEBRA] = { "zebra", RUNNING },
	[KEEPER_SHOW_BFDD] = { "bfdd", RUNNING },
	[KEEPER_SHOW_BGPD] = { "bgpd", RUNNING },
	[KEEPER_SHOW_BGP] = { "bgpd", "show bgp vrf all summary json" },
	[KEEPER_SHOW_BFD] = { "bfdd", "show bfd peers json" },
	[KEEPER_SHOW_PEER] = { "bgpd", NULL }, /* these: command_of() */
	[KEEPER_SHOW_RECEIVED] = { "bgpd", NULL },
	[KEEPER_SHOW_ADVERTISED] = { "bgpd", NULL },
	[KEEPER_SHOW_TABLE] = { "bgpd", NULL },
	[KEEPER_SHOW_LISTED] = { "bgpd", NULL },
};

/* A private copy: what the client may still write to is not what the tool reads. */
static int file_copy(int file, const struct passwd *user, struct keeper_answer *answer)
{
	struct stat st;
	off_t at = 0;
	int copy;

	if (file < 0 || fstat(file, &st) || !S_ISREG(st.st_mode)) {
		keeper_say(answer, -EBADF, "the tool needs a file, none was passed");
		return -1;
	}
	if (st.st_size > KEEPER_FILE_MAX) {
		keeper_say(answer, -EFBIG, "the file is above %u bytes", KEEPER_FILE_MAX);
		return -1;
	}
	copy = memfd_create("lintas-tool-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		goto failed;
	while (at < st.st_size)
		if (sendfile(copy, file, &at, (size_t)(st.st_size - at)) <= 0)
			goto failed;
	if (lseek(copy, 0, SEEK_SET) < 0 || fchmod(copy, 0400) ||
		fchown(copy, user->pw_uid, user->pw_gid) ||
		fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto failed;
	return copy;
failed:
	keeper_say(answer, errno ? -errno : -EIO, "cannot copy the file for the tool: %m");
	if (copy >= 0)
		close(copy);
	return -1;
}

/* In the child; only async-signal-safe calls would be needed had we other threads, and we have none
 * now. */
static void __attribute__((noreturn))
child(const struct passwd *user, char *const argv[], int in, int out, int err, const char *folder)
{
	char swan[300] = "";
	char *const environment[] = { "PATH=/usr/bin:/bin", "LC_ALL=C", swan, NULL };
	sigset_t none;

	if (folder) /* where nothing is: credentials of this machine are not our charon's */
		snprintf(swan, sizeof(swan), "SWANCTL_DIR=%s/charon/none", folder);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (in < 0)
		in = open("/dev/null", O_RDONLY);
	if (err < 0)
		err = open("/dev/null", O_WRONLY); /* an answer is not to be mixed with remarks */
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir("/"))
		_exit(126);
	syscall(SYS_close_range, 3u, ~0u, 0u);
	if (folder ? keeper_swan_confine()
		   : initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) ||
				setuid(user->pw_uid))
		_exit(126);
	execve(argv[0], argv, environment);
	_exit(127);
}

static const char *command_of(const struct keeper_request *request)
{
	static char text[96 + 2 * CFG_NAME_MAX + IP_STRLEN];
	char peer[IP_STRLEN];
	char family = request->peer.af == AF_INET6 ? '6' : '4';
	int n = snprintf(text, sizeof(text), "show bgp vrf %s", request->vrf);
	char *at = text + n;
	size_t left = sizeof(text) - (size_t)n;

	ip_addr_format(&request->peer, peer);
	switch (request->value) {
	case KEEPER_SHOW_PEER:
		snprintf(at, left, " neighbors %s json", peer);
		break;
	case KEEPER_SHOW_RECEIVED:
	case KEEPER_SHOW_ADVERTISED:
		snprintf(at, left, " ipv%c unicast neighbors %s %s-routes json", family, peer,
			request->value == KEEPER_SHOW_RECEIVED ? "received" : "advertised");
		break;
	case KEEPER_SHOW_TABLE:
		snprintf(at, left, " ipv%c unicast json", family);
		break;
	case KEEPER_SHOW_LISTED:
		snprintf(at, left, " ipv%c unicast prefix-list %s-out%c json", family,
			request->name, family);
		break;
	default:
		return shows[request->value].command;
	}
	return text;
}

static int tool_argv(const struct keeper_request *request, const char *frr_sockets,
	const char *folder, char *argv[12], struct keeper_answer *answer)
{
	unsigned n = 0;

	if (request->tool == KEEPER_SWAN)
		return keeper_swan_argv(request, folder, argv, answer);

	if (request->tool > KEEPER_FRR_SHOW || request->value >= KEEPER_SHOW_COUNT ||
		(request->tool == KEEPER_FRR_APPLY && request->value > KEEPER_SHOW_BGPD)) {
		keeper_say(
			answer, -EOPNOTSUPP, "no tool %u with %u", request->tool, request->value);
		return -EOPNOTSUPP;
	}
	argv[n++] = FRR_VTYSH;
	argv[n++] = "--vty_socket";
	argv[n++] = (char *)frr_sockets;
	argv[n++] = "-d";
	argv[n++] = (char *)shows[request->value].daemon;
	argv[n++] = request->tool == KEEPER_FRR_APPLY ? "-f" : "-c";
	argv[n++] =
		request->tool == KEEPER_FRR_APPLY ? "/proc/self/fd/0" : (char *)command_of(request);
	argv[n] = NULL;
	return 0;
}

int keeper_run_start(const struct keeper_request *request, struct keeper_answer *answer, int file,
	const char *frr_sockets, const char *folder)
{
	bool swan = request->tool == KEEPER_SWAN;
	const struct passwd *user = getpwnam(swan ? "root" : FRR_USER);
	struct run *run = NULL;
	char *argv[12];
	int in = -1, out = -1;

	for (unsigned i = 0; i < KEEPER_RUNS_MAX && !run; i++)
		run = runs[i].used ? NULL : &runs[i];
	if (!run) {
		keeper_say(answer, -EAGAIN, "%u tools run already", KEEPER_RUNS_MAX);
		return -EAGAIN;
	}
	if (!user) {
		keeper_say(answer, -ENOENT, "no user " FRR_USER ": is FRR installed?");
		return -ENOENT;
	}
	if (tool_argv(request, frr_sockets, folder, argv, answer))
		return answer->error;
	if ((request->tool == KEEPER_FRR_APPLY || (swan && request->value <= KEEPER_SWAN_CONNS)) &&
		(in = file_copy(file, user, answer)) < 0)
		return answer->error;
	out = memfd_create("lintas-tool-output", MFD_CLOEXEC);
	run->pid = out < 0 ? -1 : fork();
	if (run->pid == 0)
		child(user, argv, in, out,
			request->tool == KEEPER_FRR_SHOW ||
					(swan && request->value == KEEPER_SWAN_SAS)
				? -1
				: out,
			swan ? folder : NULL);
	if (run->pid < 0) {
		keeper_say(answer, -errno, "cannot start %s: %m", argv[0]);
		goto out;
	}
	run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	run->used = true;
	run->late = run->forgotten = false;
	run->out = out;
	run->id = request->id;
	run->deadline_ns = keeper_now_ns() + KEEPER_RUN_NS;
	out = -1;
out:
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return answer->error;
}

unsigned keeper_run_fds(struct pollfd *fds)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KEEPER_RUNS_MAX; i++)
		if (runs[i].used)
			fds[n++] = (struct pollfd){ .fd = runs[i].pidfd, .events = POLLIN };
	return n;
}

int keeper_run_timeout_ms(void)
{
	uint64_t now = keeper_now_ns(), first = UINT64_MAX;

	for (unsigned i = 0; i < KEEPER_RUNS_MAX; i++)
		if (runs[i].used && !runs[i].late && runs[i].deadline_ns < first)
			first = runs[i].deadline_ns;
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (int)((first - now) / 1000000 + 1);
}

static void ended(struct run *run, int status)
{
	struct keeper_answer answer = { .id = run->id };

	if (run->late)
		keeper_say(&answer, -ETIMEDOUT, "the tool was killed after %llu s",
			KEEPER_RUN_NS / 1000000000ull);
	else if (WIFEXITED(status) && WEXITSTATUS(status) >= 126)
		keeper_say(&answer, -ENOEXEC, "cannot run " FRR_VTYSH " or swanctl");
	answer.value = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status)
					 : 128u + (unsigned)WTERMSIG(status);
	if (!run->forgotten)
		keeper_answer_send(&answer, run->out);
	if (run->pidfd >= 0)
		close(run->pidfd);
	close(run->out);
	run->used = false;
}

void keeper_run_poll(void)
{
	uint64_t now = keeper_now_ns();
	int status;

	for (unsigned i = 0; i < KEEPER_RUNS_MAX; i++) {
		struct run *run = &runs[i];

		if (!run->used)
			continue;
		if (waitpid(run->pid, &status, WNOHANG) == run->pid) {
			ended(run, status);
		} else if (!run->late && run->deadline_ns <= now) {
			run->late = true;
			kill(run->pid, SIGKILL);
		}
	}
}

void keeper_run_forget(void)
{
	for (unsigned i = 0; i < KEEPER_RUNS_MAX; i++)
		runs[i].forgotten = true;
}

void keeper_run_stop(void)
{
	int status;

	for (unsigned i = 0; i < KEEPER_RUNS_MAX; i++) {
		if (!runs[i].used)
			continue;
		kill(runs[i].pid, SIGKILL);
		waitpid(runs[i].pid, &status, 0);
		runs[i].forgotten = true;
		ended(&runs[i], status);
	}
}
