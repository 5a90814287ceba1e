/* Start and stop: EAL, ports, pools, workers, the punt thread, in the order in which they need each
 * other.
 *
 * EAL is given its arguments here and nowhere else: --in-memory with huge pages, so that nothing is
 * left on kill; --no-huge without (22.11 refuses the two together) under a file prefix of this
 * process. No telemetry socket, no secondary processes, PCI only for the addresses that are
 * configured, 512-bit SIMD allowed. The calling thread, control, becomes the main lcore and stays
 * free to run on any CPU; worker i is lcore i + 1 on its CPU. Each step can be undone whether or
 * not it was done, so a failure and a stop share one ladder. All signals are blocked while threads
 * are made: they are control's to handle. */
#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_version.h>
#include "bfd.h"
#include "dp.h"
#include "event.h"
#include "lag.h"
#include "port.h"
#include "punt.h"
#include "reclaim.h"
#include "reassemble.h"
#include "sa.h"
#include "worker.h"

#define ARGS_MAX    (32 + 2 * DP_PORTS_MAX + 2 * DP_DRIVERS_MAX)
#define ARG_MAX	    512
#define OTHER_BYTES (64u << 20) /* EAL's, the drivers', the rings' own memory */

static bool eal_up, eal_ours;

int dp_fail(struct dp_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (err->len)
		vsnprintf(err->text, err->len, fmt, ap);
	va_end(ap);
	return code;
}

/* ---- EAL ---- */
struct args {
	char text[ARGS_MAX][ARG_MAX];
	char *argv[ARGS_MAX + 1];
	int n;
};

static void __attribute__((format(printf, 2, 3))) arg_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (a->n < ARGS_MAX) {
		vsnprintf(a->text[a->n], ARG_MAX, fmt, ap);
		a->argv[a->n] = a->text[a->n];
		a->n++;
	}
	va_end(ap);
}

/* "0-3,5" for a set of CPUs. */
static void cpus_print(const cpu_set_t *set, char *buf, size_t len)
{
	size_t at = 0;

	*buf = 0;
	for (int c = 0; c < CPU_SETSIZE && at < len; c++) {
		int last = c;
		if (!CPU_ISSET(c, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		at += snprintf(
			buf + at, len - at, last > c ? "%s%d-%d" : "%s%d", at ? "," : "", c, last);
		c = last;
	}
}

/* Where all other threads run, inherited from the calling one: not where a worker does, as long as
 * there is another CPU; what control has to do in a busy moment must not cost packets. */
static void others_print(cpu_set_t set, const struct dp_conf *conf, char *buf, size_t len)
{
	cpu_set_t others = set;

	for (unsigned i = 0; i < conf->n_workers; i++)
		CPU_CLR(conf->cpus[i], &others);
	cpus_print(CPU_COUNT(&others) ? &others : &set, buf, len);
}

static int lcores_add(const struct dp_conf *conf, struct args *a, struct dp_err *err)
{
	char have[128], others[128], lcores[ARG_MAX];
	cpu_set_t set;
	int at;

	if (!conf->n_workers || conf->n_workers > DP_WORKERS_MAX)
		return dp_fail(err, -EINVAL,
			"workers: need 1 to %d, have %u: change the configuration", DP_WORKERS_MAX,
			conf->n_workers);
	if (sched_getaffinity(0, sizeof(set), &set))
		return dp_fail(
			err, -errno, "need the list of CPUs, have none: %s", strerror(errno));
	cpus_print(&set, have, sizeof(have));
	others_print(set, conf, others, sizeof(others));
	at = snprintf(lcores, sizeof(lcores), "0@(%s)", others);
	for (unsigned i = 0; i < conf->n_workers; i++) {
		if (!CPU_ISSET(conf->cpus[i], &set))
			return dp_fail(err, -EINVAL,
				"worker %u: need CPU %u, have %s: change the workers' CPUs", i,
				conf->cpus[i], have);
		at += snprintf(lcores + at, sizeof(lcores) - at, ",%u@%u", i + 1, conf->cpus[i]);
	}
	arg_add(a, "--lcores=%s", lcores);
	arg_add(a, "--main-lcore=0");
	return 0;
}

static unsigned long file_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long n = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* Free huge pages of every size, in bytes. */
static size_t huge_free(void)
{
	static const char dir[] = "/sys/kernel/mm/hugepages/hugepages-";
	size_t bytes = 0;
	glob_t g;

	if (glob("/sys/kernel/mm/hugepages/hugepages-*kB/free_hugepages", 0, NULL, &g))
		return 0;
	for (size_t i = 0; i < g.gl_pathc; i++)
		bytes += file_number(g.gl_pathv[i]) *
			 strtoul(g.gl_pathv[i] + strlen(dir), NULL, 10) * 1024;
	globfree(&g);
	return bytes;
}

static int memory_add(const struct dp_conf *conf, struct args *a, struct dp_err *err)
{
	size_t need = pool_bytes() + OTHER_BYTES, have;

	if (!conf->hugepages) {
		arg_add(a, "--no-huge");
		arg_add(a, "--no-shconf");
		arg_add(a, "--file-prefix=lintas%d", getpid());
		arg_add(a, "-m");
		arg_add(a, "%zu", (need >> 20) + 1);
		return 0;
	}
	have = huge_free();
	if (have < need)
		return dp_fail(err, -ENOMEM,
			"huge pages: need %zu MB free, have %zu MB: `sysctl -w "
			"vm.nr_hugepages=%lu`, "
			"or hugepages = false",
			(need >> 20) + 1, have >> 20,
			file_number("/proc/sys/vm/nr_hugepages") + ((need - have) >> 21) + 1);
	arg_add(a, "--in-memory");
	return 0;
}

static void devices_add(const struct dp_conf *conf, struct args *a)
{
	unsigned pci = 0;

	for (unsigned p = 0; p < conf->n_ports; p++) {
		if (!port_is_pci(conf->ports[p].device))
			continue;
		pci++;
		arg_add(a, "--allow=%s", conf->ports[p].device);
	}
	if (!pci)
		arg_add(a, "--no-pci");
}

/* EAL would look for what is not there among the system's libraries, and take a folder for all its
 * files. */
static int drivers_add(const struct dp_conf *conf, struct args *a, struct dp_err *err)
{
	for (unsigned i = 0; i < conf->n_drivers && i < DP_DRIVERS_MAX; i++) {
		const char *path = conf->drivers[i];
		struct stat st;

		if (stat(path, &st))
			return dp_fail(err, -errno,
				"driver %s: need a DPDK driver in that file, have: %s: correct "
				"--driver",
				path, strerror(errno));
		if (!S_ISREG(st.st_mode) || strlen(path) >= ARG_MAX)
			return dp_fail(err, -EINVAL,
				"driver %s: need a file with a path of up to %d characters: "
				"correct --driver",
				path, ARG_MAX - 1);
		arg_add(a, "-d");
		arg_add(a, "%s", path);
	}
	return 0;
}

/* Threads made from here on leave the process's signals to the control thread. Real-time signals
 * stay open: by one of them control drops every thread's privileges. */
static void signals_block(sigset_t *ret_before)
{
	sigset_t most;

	sigfillset(&most);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		sigdelset(&most, s);
	pthread_sigmask(SIG_SETMASK, &most, ret_before);
}

int dp_eal_start(const struct dp_conf *conf, struct dp_err *err)
{
	static struct args a;
	sigset_t before;
	int ret;

	if (eal_up)
		return 0;
	a.n = 0;
	arg_add(&a, "lintasd");
	arg_add(&a, "--no-telemetry");
	arg_add(&a, "--force-max-simd-bitwidth=512");
	arg_add(&a, "--log-level=warning");
	/* Physical addresses would want privileges, and pools in one piece of physical memory. */
	arg_add(&a, "--iova-mode=va");
	ret = port_plan(conf, err);
	if (!ret)
		ret = lcores_add(conf, &a, err);
	if (!ret)
		ret = memory_add(conf, &a, err);
	if (!ret)
		ret = drivers_add(conf, &a, err);
	if (ret)
		return ret;
	devices_add(conf, &a);
	/* libxdp's dispatcher wants a bpffs, and what it pins there outlives a kill: one program,
	 * attached. */
	setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
	rte_openlog_stream(stderr);
	signals_block(&before);
	ret = rte_eal_init(a.n, a.argv);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret < 0)
		return dp_fail(err, -rte_errno, "DPDK does not start (%s): see its lines above%s%s",
			rte_strerror(rte_errno),
			conf->n_drivers ? "; a --driver has to be made for this " : "",
			conf->n_drivers ? rte_version() : "");
	eal_up = true;
	/* Nothing is kept there; gone now, it is not left behind on kill either. */
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}

/* ---- the ladder ---- */
static void dp_undo(void)
{
	worker_join();
	punt_stop();
	carrier_stop();
	missed_stop();
	port_stop();
	worker_free();
	bfd_stop();
	sa_stop();
	reassemble_stop();
	port_close();
	reclaim_flush();
	event_exit();
	lag_exit();
	pool_free_all();
	if (eal_up && eal_ours) {
		rte_eal_cleanup();
		eal_up = false;
	}
}

static int dp_steps(const struct dp_conf *conf, struct dp_err *err)
{
	int ret = dp_eal_start(conf, err);

	if (!ret)
		ret = port_plan(conf, err);
	if (!ret && ((ret = event_init()) || (ret = lag_init())))
		dp_fail(err, ret, "need rings and a descriptor for events, have none: %s",
			strerror(-ret));
	if (!ret && (ret = reclaim_init(conf->n_workers)))
		dp_fail(err, ret, "need memory for safe reclamation, have none: %s",
			strerror(-ret));
	if (!ret)
		ret = port_open(err);
	if (!ret)
		ret = pool_create(err);
	if (!ret)
		ret = worker_create(conf->n_workers, err);
	if (!ret && (ret = bfd_start(conf->n_workers)))
		dp_fail(err, ret, "need memory for rings of BFD, have none");
	sa_start(conf->n_workers);
	if (!ret && (ret = reassemble_start(conf->n_workers)))
		dp_fail(err, ret, "need memory for fragments of tunnels, have none");
	if (!ret)
		ret = port_setup(err);
	if (!ret)
		ret = port_start(err);
	if (!ret) {
		missed_start();
		ret = carrier_start(err);
	}
	if (!ret)
		ret = punt_start(err);
	if (!ret)
		ret = worker_launch(conf->adaptive, err);
	return ret;
}

int dp_start(const struct dp_conf *conf, char *err, size_t len)
{
	struct dp_err e = { err, len };
	sigset_t before;

	if (len)
		*err = 0;
	eal_ours = !eal_up;
	signals_block(&before);
	int ret = dp_steps(conf, &e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		dp_undo();
	return ret;
}

void dp_stop(void)
{
	dp_undo();
}

void dp_reclaim(void)
{
	reclaim_poll();
}
