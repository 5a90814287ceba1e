/* What a port's device lost because nobody emptied its queue in time.
 *
 * Devices count that as imissed. DPDK's AF_XDP driver does not: it reads one of a socket's
 * counters, and not the one of a full queue, so that a port may lose half of what comes and say
 * nothing. The kernel interface underneath counts what it could not hand to the socket among its
 * dropped frames; that is read from its statistics, through a descriptor opened at the start, since
 * then.
 *
 * Two threads want to know: control, and the punt thread for shed.c. DPDK allows one at a time for
 * a device, and some drivers add up registers that reading clears; so there is a lock, for which
 * control waits and the punt thread does not. */
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include "port.h"

static struct {
	int fd; /* 0: none */
	uint64_t before;
} kernel[DP_PORTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t read_counter(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

void missed_start(void)
{
	char name[IF_NAMESIZE], path[64 + IF_NAMESIZE];

	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		const struct port *port = &port_table[p];
		int fd;

		if (!port->started || port_is_lag(port) || port->class != PORT_XDP ||
			!if_indextoname(port->if_index, name))
			continue;
		snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/rx_dropped", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd <= 0)
			continue; /* then only what the driver says */
		kernel[p].fd = fd;
		kernel[p].before = read_counter(fd);
	}
}

int missed_stats(unsigned p, bool wait, struct rte_eth_stats *ret_stats)
{
	int ret = wait ? pthread_mutex_lock(&lock) : pthread_mutex_trylock(&lock);

	if (ret)
		return -ret;
	ret = rte_eth_stats_get(port_table[p].ethdev, ret_stats);
	pthread_mutex_unlock(&lock);
	return ret;
}

uint64_t missed_count(unsigned p, const struct rte_eth_stats *stats)
{
	uint64_t n = kernel[p].fd ? read_counter(kernel[p].fd) : 0;

	n = n > kernel[p].before ? n - kernel[p].before : 0;
	return RTE_MAX(n, stats->imissed);
}

void missed_stop(void)
{
	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		if (kernel[p].fd)
			close(kernel[p].fd);
		kernel[p].fd = 0;
	}
}
