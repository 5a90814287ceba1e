/* Privileges, given up in two steps.
 *
 * At the very start, while there is one thread: no_new_privs and an empty bounding set, which every
 * later thread inherits; lintasd never runs another program. Starting the fast path then needs what
 * DPDK needs (huge pages, raw and AF_XDP sockets, BPF, locked memory). Once everything runs, one
 * capability remains and only in the control thread and the helpers it starts: CAP_NET_ADMIN,
 * without which the kernel takes no route, address or neighbour over netlink. Workers and the punt
 * thread keep none: they read and write descriptors they have.
 *
 * Capabilities belong to threads and only a thread can drop its own, so each is asked by a signal;
 * what it does in the handler is two system calls, a few microseconds, once. As root without
 * capabilities lintasd still opens what root owns: its configuration and the keys.
 * BGP's keys exist in memory only while frr_render.c writes them and are wiped at once, but what
 * authenticates STAMP (probe.c, reflector.c) stays as long as its stream: so a crash leaves no core
 * file and nobody without CAP_SYS_PTRACE looks inside, unless LINTAS_DUMPABLE=1 is in the
 * environment. */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "control.h"
#include "privileges.h"

#define DROP_SIGNAL (SIGRTMIN + 5)
#define WAIT_S	    2

static sem_t done;
static volatile sig_atomic_t refused;

int privileges_lock(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	for (cap_value_t cap = 0; cap < cap_max_bits(); cap++)
		if (cap_drop_bound(cap) &&
			errno != EPERM) /* EPERM: no privilege, so none to drop */
			return -errno;
	return 0;
}

/* Async-signal-safe: raw system calls only. keep: CAP_NET_ADMIN, as far as this thread has it. */
static int thread_drop(int keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	unsigned bit = keep ? 1u << CAP_NET_ADMIN : 0;

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].permitted &= bit;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1].permitted = data[1].effective = data[1].inheritable = 0;
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

static void on_signal(int number)
{
	int before = errno;

	(void)number;
	if (thread_drop(0))
		refused = 1;
	sem_post(&done);
	errno = before;
}

/* A thread that blocks the signal would answer never. */
static bool thread_listens(pid_t tid)
{
	char path[64], line[128];
	uint64_t blocked = UINT64_MAX;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "SigBlk:", 7))
			blocked = strtoull(line + 7, NULL, 16);
	if (f)
		fclose(f);
	return !(blocked >> (DROP_SIGNAL - 1) & 1);
}

static int threads_ask(unsigned *ret_n, unsigned *ret_deaf)
{
	DIR *dir = opendir("/proc/self/task");
	pid_t self = (pid_t)syscall(SYS_gettid);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0 || tid == self)
			continue;
		if (!thread_listens(tid))
			++*ret_deaf;
		else if (!syscall(SYS_tgkill, getpid(), tid, DROP_SIGNAL))
			++*ret_n;
	}
	closedir(dir);
	return 0;
}

int privileges_close(void)
{
	const char *open = getenv("LINTAS_DUMPABLE");

	if (open && !strcmp(open, "1"))
		return 0;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? -errno : 0;
}

int privileges_drop(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
	struct timespec deadline;
	unsigned n = 0, deaf = 0;
	int rc;

	if (sem_init(&done, 0, 0) || sigaction(DROP_SIGNAL, &action, &before))
		return -errno;
	rc = threads_ask(&n, &deaf);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += WAIT_S;
	while (!rc && n) {
		if (!sem_timedwait(&done, &deadline))
			n--;
		else if (errno != EINTR)
			rc = -errno; /* the handler stays: an answer that is late does no harm */
	}
	if (!rc)
		sigaction(DROP_SIGNAL, &before, NULL);
	if (!rc && refused)
		rc = -EPERM;
	if (deaf)
		log_event(LOG_LVL_WARN, NULL,
			"%u threads block signal %d and keep their privileges", deaf, DROP_SIGNAL);
	return rc ? rc : thread_drop(1);
}
