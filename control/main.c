/* lintasd: options, the order of the start, the loop, the end.
 *
 * configuration -> keeper (a second lintasd ends here) -> fast path -> VRFs, TAPs, links (apply.c)
 * -> FRR -> the CLI's socket -> privileges -> the loop. Whatever is missing is said in one line
 * (what is needed, what is there, what to do) and ends with status 78. SIGHUP reads the
 * configuration again, SIGTERM and SIGINT end the daemon within five seconds; the keeper then holds
 * the links for the next. Signals reach the control thread only: they are blocked before other
 * threads exist. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "api.h"
#include "apply.h"
#include "bfd.h"
#include "bring.h"
#include "frr.h"
#include "heard.h"
#include "keeper.h"
#include "lag.h"
#include "mirror.h"
#include "notify.h"
#include "privileges.h"
#include "probes.h"
#include "sas.h"
#include "swan.h"
#include "vrrp.h"
#include "xfrm_mirror.h"
#include "xfrm_server.h"

#ifndef LINTAS_VERSION
#define LINTAS_VERSION "0.1"
#endif
#define CONFIG_PATH "/etc/lintas/lintas.conf"
#define STATE_PATH  "/var/lib/lintas"
#define RECLAIM_MS  10
#define ENDING_MS   1000
#define EVENTS_STEP 64 /* fast-path events a callback handles before others get their turn */

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "keeper", required_argument, NULL, 'k' },
	{ "socket", required_argument, NULL, 's' },
	{ "state", required_argument, NULL, 't' },
	{ "driver", required_argument, NULL, 'D' },
	{ "check", no_argument, NULL, 'C' },
	{ "stages", no_argument, NULL, 'S' },
	{ "man", no_argument, NULL, 'M' },
	{ "version", no_argument, NULL, 'V' },
	{ "debug", no_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static struct {
	const char *config, *keeper, *socket, *state;
	bool debug;
	int mode; /* the option that only prints something, or 0 */
	const char *drivers[DP_DRIVERS_MAX];
	unsigned n_drivers;
} options = { CONFIG_PATH, KEEPER_SOCKET, API_SOCKET, STATE_PATH, false, 0, { NULL }, 0 };

static struct event *events[8];
static unsigned n_events;

static void usage(FILE *out)
{
	fprintf(out, "lintasd [-c FILE] [--keeper SOCKET] [--socket SOCKET] [--state FOLDER]\n"
		     "        [--driver FILE]... [-d]\n"
		     "  -c, --config FILE  the configuration (" CONFIG_PATH ")\n"
		     "  --keeper SOCKET    where lintas-keeper listens (" KEEPER_SOCKET ")\n"
		     "  --socket SOCKET    where lintasctl is answered (" API_SOCKET ")\n"
		     "  --state FOLDER     numbers of static SAs, kept beyond a reboot (" STATE_PATH
		     ")\n"
		     "  --driver FILE      a DPDK driver to load before the devices are opened; up "
		     "to 8 times\n"
		     "  --check            read and check the configuration, print every error, "
		     "end with 0 or 1\n"
		     "  --stages           the packet's way, as the fast path has it\n"
		     "  --man              lintas.conf(5) from the table of keys\n"
		     "  --version\n"
		     "  -d, --debug        log more\n");
}

static int parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:dh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config = optarg;
			break;
		case 'k':
			options.keeper = optarg;
			break;
		case 's':
			options.socket = optarg;
			break;
		case 't':
			options.state = optarg;
			break;
		case 'D':
			if (options.n_drivers == DP_DRIVERS_MAX) {
				fprintf(stderr, "lintasd: --driver %s: %d are the most\n", optarg,
					DP_DRIVERS_MAX);
				return -EINVAL;
			}
			options.drivers[options.n_drivers++] = optarg;
			break;
		case 'd':
			options.debug = true;
			break;
		case '?':
			usage(stderr);
			return -EINVAL;
		default:
			options.mode = c;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "lintasd: what is '%s'? lintasd --help lists the options\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* Everything is read from one table; the README's picture is made of this. */
static void print_stages(void)
{
	for (unsigned i = 0; i < dp_stage_count; i++)
		printf("%s\t%s\t%s\n", dp_stage_desc[i].name, dp_stage_desc[i].file,
			dp_stage_desc[i].text);
}

static int print_check(void)
{
	struct cfg_errors errors = { 0 };
	struct config *config = config_load(options.config, &errors);
	int rc = config ? 0 : 1;

	cfg_errors_print(&errors, stderr);
	if (config)
		printf("%s: fine: %u ports, %u VRFs, %u links\n", options.config, config->n_ports,
			config->n_vrfs, config->n_links);
	cfg_errors_free(&errors);
	config_free(config);
	return rc;
}

static int print_mode(void)
{
	switch (options.mode) {
	case 'C':
		return print_check();
	case 'S':
		print_stages();
		break;
	case 'M':
		config_man(stdout);
		break;
	case 'V':
		puts("lintasd " LINTAS_VERSION);
		break;
	default:
		usage(stdout);
	}
	return 0;
}

/* ---- callbacks ---- */
static void on_reclaim(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	dp_reclaim();
}

/* port: or, behind the configured ones, a member of a LAG. */
static void shed_told(unsigned port, bool on)
{
	struct dp_port_info info;
	const char *name = dp_port_info(port, &info) ? "port" : info.name;

	if (on)
		log_event(LOG_LVL_ERR, name,
			"overloaded: it loses frames; data is dropped early (shed), so that "
			"fewer of BFD, BGP and neighbours are among them");
	else
		log_event(LOG_LVL_NOTICE, name,
			"not overloaded any more: %lu packets were shed "
			"since the start",
			(unsigned long)dp_drop_count(DP_DROP_shed));
}

static void on_dp_event(evutil_socket_t fd, short what, void *arg)
{
	struct dp_event event;
	struct link *link;

	(void)fd, (void)what, (void)arg;
	for (unsigned i = 0; i < EVENTS_STEP && dp_event_next(&event); i++) {
		switch (event.kind) {
		case DP_EV_PORT_UP:
		case DP_EV_PORT_DOWN:
			bring_carrier(event.port, event.kind == DP_EV_PORT_UP);
			break;
		case DP_EV_SA:
			sas_event(event.session);
			break;
		case DP_EV_BFD:
			bfd_sessions_event(event.session);
			break;
		case DP_EV_MEMBER_UP:
		case DP_EV_MEMBER_DOWN:
			lag_member_carrier(event.port, event.link, event.kind == DP_EV_MEMBER_UP);
			break;
		case DP_EV_SHED_ON:
		case DP_EV_SHED_OFF:
			shed_told(event.port, event.kind == DP_EV_SHED_ON);
			break;
		case DP_EV_MTU:
			link = link_by_id(event.link);
			if (link)
				bring_tunnel_mtu(link);
			break;
		case DP_EV_NEIGH_MISS:
			link = link_by_id(event.link);
			if (link)
				mirror_neigh_miss(link, &event.addr);
			break;
		}
	}
}

static void on_hangup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	log_event(LOG_LVL_NOTICE, NULL, "SIGHUP: reading %s", control.config_path);
	control_reload_async(NULL, NULL);
}

static void on_terminate(evutil_socket_t number, short what, void *arg)
{
	(void)what, (void)arg;
	log_event(LOG_LVL_NOTICE, NULL, "%s: stopping", strsignal((int)number));
	event_base_loopbreak(control.base);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	notify_send("WATCHDOG=1");
}

static int event_start(
	int fd, short what, event_callback_fn callback, uint64_t every_us, int priority)
{
	struct timeval every = { (time_t)(every_us / 1000000), (suseconds_t)(every_us % 1000000) };
	struct event *event = event_new(control.base, fd, what | EV_PERSIST, callback, NULL);

	if (!event)
		return -ENOMEM;
	events[n_events++] = event;
	event_priority_set(event, priority);
	return event_add(event, every_us ? &every : NULL) ? -ENOMEM : 0;
}

static int events_start(void)
{
	uint64_t watchdog = notify_watchdog_us();
	int rc = event_start(dp_event_fd(), EV_READ, on_dp_event, 0, 0); /* carrier comes first */

	if (!rc)
		rc = event_start(SIGTERM, EV_SIGNAL, on_terminate, 0, 0);
	if (!rc)
		rc = event_start(SIGINT, EV_SIGNAL, on_terminate, 0, 0);
	if (!rc)
		rc = event_start(SIGHUP, EV_SIGNAL, on_hangup, 0, 1);
	if (!rc)
		rc = event_start(-1, 0, on_reclaim, RECLAIM_MS * 1000, 1);
	if (!rc && watchdog)
		rc = event_start(-1, 0, on_watchdog, watchdog, 1);
	if (!rc)
		rc = probes_start();
	if (!rc)
		rc = heard_start();
	return rc ? rc : bring_start();
}

/* Under SAN=1: libxdp, below DPDK's driver, frees less than it takes. Nothing else calls this. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libxdp";
}

/* ---- start ---- */
static void signals_block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static int cannot(const char *need, const char *have, const char *todo)
{
	fprintf(stderr, "lintasd: cannot start: need %s, have %s; %s\n", need, have, todo);
	return EXIT_CONFIG;
}

static struct config *start_config(void)
{
	struct cfg_errors errors = { 0 };
	struct config *config = config_load(options.config, &errors);

	cfg_errors_print(&errors, stderr);
	cfg_errors_free(&errors);
	if (!config)
		cannot("a configuration without errors", "the above",
			"correct them and try: lintasd --check -c FILE");
	return config;
}

/* Whoever holds the place may be on its way out: killed, its memory not yet given back. */
static bool is_ending(pid_t pid)
{
	struct pollfd p = { .events = POLLIN };
	bool ended;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return errno == ESRCH;
	ended = poll(&p, 1, ENDING_MS) > 0;
	close(p.fd);
	return ended;
}

static int start_keeper(void)
{
	char have[160];
	int pid = 0, rc = keeper_open(options.keeper, &pid);

	if (rc == -EBUSY && is_ending(pid))
		rc = keeper_open(options.keeper, &pid);
	if (!rc)
		return 0;
	if (rc == -EBUSY) {
		snprintf(have, sizeof(have), "lintasd with pid %d running", pid);
		return cannot("to be the only one", have, "stop it first, or use another --keeper");
	}
	if (*keeper_error()) { /* it is there, and refuses */
		snprintf(have, sizeof(have), "one that refuses: %.120s", keeper_error());
		return cannot("lintas-keeper of this release", have,
			"restart lintas-keeper, then lintasd");
	}
	snprintf(have, sizeof(have), "%s: %s", options.keeper, strerror(-rc));
	return cannot("lintas-keeper", have, "start lintas-keeper as root first");
}

static int start_fast_path(const struct config *config)
{
	static struct dp_conf conf;
	char err[512] = "";

	for (unsigned i = 0; i < config->n_ports && i < DP_PORTS_MAX; i++) {
		struct dp_port_conf *port = &conf.ports[conf.n_ports++];

		snprintf(port->name, sizeof(port->name), "%s", config->ports[i].name);
		snprintf(port->device, sizeof(port->device), "%s", config->ports[i].device);
		port->n_members = 0;
		for (unsigned m = 0; m < config->ports[i].lag.n && m < DP_LAG_MAX; m++)
			snprintf(port->members[port->n_members++], sizeof(port->members[0]), "%s",
				config->ports[i].lag.items[m]);
		port->min_links = config->ports[i].min_links;
		port->mtu = config->ports[i].mtu;
		port->queues = config->ports[i].queues;
	}
	for (unsigned i = 0; i < config->gateway.n_workers && i < DP_WORKERS_MAX; i++)
		conf.cpus[conf.n_workers++] = config->gateway.workers[i];
	conf.adaptive = config->gateway.poll == CFG_POLL_ADAPTIVE;
	conf.hugepages = config->gateway.hugepages;
	conf.packet_buffers = config->gateway.packet_buffers;
	memcpy(conf.drivers, options.drivers, sizeof(conf.drivers));
	conf.n_drivers = options.n_drivers;
	if (!dp_start(&conf, err, sizeof(err)))
		return 0;
	fprintf(stderr, "lintasd: cannot start: %s\n", err);
	return EXIT_CONFIG;
}

static int start(void)
{
	struct config *config = start_config();
	const char *part = "events";
	int rc;

	if (!config)
		return EXIT_CONFIG;
	rc = start_keeper();
	if (!rc)
		rc = start_fast_path(config);
	swan_start(options.keeper);
	if (rc) {
		config_free(config);
		return rc;
	}
	rc = events_start();
	if (!rc && (rc = lag_start(config)))
		part = "the link aggregations";
	if (!rc && (rc = apply_start(config)))
		part = "every link and VRF";
	if (!rc && (rc = bfd_server_start()))
		part = "events for BFD";
	if (!rc && (rc = sas_start()))
		part = "events for IPsec";
	if (!rc &&
		(rc = api_open(options.socket, config->defaults.readers, config->defaults.writers)))
		part = "the CLI's socket";
	if (!rc && (rc = xfrm_server_start(options.socket)))
		part = "a socket for charon";
	if (!rc && (rc = xfrm_mirror_start()))
		part = "the kernel's SAs";
	if (!rc && (rc = privileges_drop()))
		part = "to give up privileges";
	if (!rc && (rc = privileges_close()))
		part = "to forbid core files";
	if (!rc)
		return 0;
	return cannot(part, strerror(-rc), "see the lines above");
}

static void stop(void)
{
	notify_send("STOPPING=1");
	api_close();
	vrrp_end(); /* while frames still leave */
	reload_stop();
	bfd_server_stop();
	xfrm_server_stop();
	xfrm_mirror_stop();
	sas_static_stop();
	sas_stop();
	frr_stop();
	swan_stop();
	probes_stop();
	heard_stop();
	frr_guard_stop();
	bring_stop();
	lag_leave();
	lag_stop();
	for (unsigned i = 0; i < n_events; i++)
		event_free(events[i]);
	dp_stop();
	keeper_close();
	apply_stop();
	cfg_errors_free(&control.last_errors);
}

int main(int argc, char **argv)
{
	int rc;

	if (parse_options(argc, argv))
		return EXIT_CONFIG;
	if (options.mode)
		return print_mode();
	log_init(options.debug);
	control.config_path = options.config;
	control.state_folder = options.state;
	control.start_ns = now_ns();
	gethostname(control.hostname, sizeof(control.hostname) - 1);
	signal(SIGPIPE, SIG_IGN);
	signals_block(SIG_BLOCK);
	rc = privileges_lock();
	if (rc)
		return cannot("no_new_privs", strerror(-rc), "see prctl(2)");
	control.base = event_base_new();
	if (!control.base || event_base_priority_init(control.base, 2))
		return cannot("an event loop", "no memory", "see ulimit -v");
	rc = start();
	if (rc)
		return rc;
	signals_block(SIG_UNBLOCK);
	notify_send("READY=1\nSTATUS=forwarding, %u links", control.running->n_links);
	log_event(LOG_LVL_NOTICE, NULL, "%s forwards: %u links in %u VRFs",
		control.running->gateway.name, control.running->n_links, control.running->n_vrfs);
	event_base_dispatch(control.base);
	stop();
	return 0;
}
