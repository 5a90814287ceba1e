/* Ports: DPDK devices, their queues, and which worker polls and feeds which.
 *
 * dp_start calls port_plan (before EAL), port_open, port_setup and port_start in this order;
 * port_stop and port_close undo however much of it was done. A device that already is an ethdev of
 * that name is used as it is: a test program has made it. Rx queues are spread over the workers,
 * starting one worker further with each port. A LAG is a port without a device; its members are
 * ports behind the configured ones, opened like any other, and lag.c knows who belongs to whom. A
 * worker transmits by a queue of its own; a port with fewer tx queues than workers is owned by the
 * worker of its first rx queue and the others hand over by ring (tx.c). Nothing here is locked.
 * Runs in the control thread; what it writes is constant while workers run. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rte_pci.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include "lag.h"
#include "port.h"

struct port port_table[DP_PORTS_MAX];
unsigned port_count, port_workers;
_Atomic bool port_carrier[DP_PORTS_MAX];
struct port_worker port_worker[DP_WORKERS_MAX];

bool port_is_pci(const char *device)
{
	char name[64];
	struct rte_pci_addr addr;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	return rte_pci_addr_parse(name, &addr) == 0;
}

static bool is_xdp(const char *device)
{
	return !strncmp(device, "net_af_xdp", strlen("net_af_xdp"));
}

/* The interface a vdev string names, or "". */
static void iface_of(const char *device, char *ret_name, size_t len)
{
	const char *at = strstr(device, "iface=");

	snprintf(ret_name, len, "%.*s", at ? (int)strcspn(at + 6, ",") : 0, at ? at + 6 : "");
}

/* ---- plan: before EAL ---- */
/* The same device, or two drivers on the same interface. */
static bool same_device(const struct port *a, const struct port *b)
{
	char iface_a[IF_NAMESIZE], iface_b[IF_NAMESIZE];

	iface_of(a->conf.device, iface_a, sizeof(iface_a));
	iface_of(b->conf.device, iface_b, sizeof(iface_b));
	return !strcmp(a->bus_name, b->bus_name) || (*iface_a && !strcmp(iface_a, iface_b));
}

static int plan_port(unsigned p, struct dp_err *err)
{
	struct port *port = &port_table[p];
	const struct dp_port_conf *conf = &port->conf;
	size_t name_len = strcspn(conf->device, ",");

	if (!name_len || name_len >= sizeof(port->bus_name))
		return dp_fail(err, -EINVAL,
			"port %s: device \"%s\": need a PCI address or a DPDK vdev of up to %zu "
			"characters before the first comma",
			conf->name, conf->device, sizeof(port->bus_name) - 1);
	memcpy(port->bus_name, conf->device, name_len); /* the rest is zero */
	port->class = is_xdp(conf->device) ? PORT_XDP : PORT_WIRE;
	unsigned most = port->class == PORT_XDP ? PORT_XDP_MTU : PORT_MTU_MAX;
	if (conf->mtu < PORT_MTU_MIN || conf->mtu > most)
		return dp_fail(err, -EINVAL,
			"port %s: mtu %u: need %u to %u for this device: change it", conf->name,
			conf->mtu, PORT_MTU_MIN, most);
	for (unsigned q = 0; q < p; q++)
		if (!port_is_lag(&port_table[q]) && same_device(&port_table[q], port))
			return dp_fail(err, -EEXIST,
				"port %s: device \"%s\" is already port %s: each needs its own",
				conf->name, conf->device, port_table[q].conf.name);
	/* What port_open will find at most, for the estimate of memory. */
	port->n_rxq = RTE_MIN(RTE_MAX(conf->queues, 1), PORT_QUEUES_MAX);
	port->n_txq = RTE_MAX(port_workers, port->n_rxq);
	return 0;
}

/* The members of LAG p, behind all ports. */
static int plan_members(unsigned p, struct dp_err *err)
{
	struct port *lag = &port_table[p];
	const struct dp_port_conf *conf = &lag->conf;

	if (conf->n_members > DP_LAG_MAX || port_count + conf->n_members > DP_PORTS_MAX)
		return dp_fail(err, -EINVAL,
			"port %s: %u members: need at most %d, and %d ports with all members "
			"of all LAGs: leave some out",
			conf->name, conf->n_members, DP_LAG_MAX, DP_PORTS_MAX);
	lag->class = PORT_CLASSES;
	lag->watch = PORT_WATCH_MEMBERS;
	lag->ethdev = RTE_MAX_ETHPORTS; /* none */
	for (unsigned i = 0; i < conf->n_members; i++) {
		struct port *member = &port_table[port_count];

		member->conf = (struct dp_port_conf){ .mtu = conf->mtu, .queues = conf->queues };
		member->buffers = lag->buffers;
		snprintf(member->conf.name, sizeof(member->conf.name), "%.*s/%c", DP_NAME_MAX - 3,
			conf->name, '1' + i);
		memcpy(member->conf.device, conf->members[i], sizeof(member->conf.device));
		member->lag = (int)p;
		lag_member_add(p, port_count);
		int ret = plan_port(port_count++, err);
		if (ret)
			return ret;
	}
	return 0;
}

int port_plan(const struct dp_conf *conf, struct dp_err *err)
{
	int ret = 0;

	if (!conf->n_ports || conf->n_ports > DP_PORTS_MAX)
		return dp_fail(err, -EINVAL,
			"ports: need 1 to %d, have %u: change the configuration", DP_PORTS_MAX,
			conf->n_ports);
	memset(port_table, 0, sizeof(port_table));
	memset(port_worker, 0, sizeof(port_worker));
	port_count = conf->n_ports;
	port_workers = conf->n_workers;
	lag_forget();
	for (unsigned p = 0; p < DP_PORTS_MAX; p++) {
		atomic_store(&port_carrier[p], false);
		port_table[p].lag = -1;
	}
	for (unsigned p = 0; !ret && p < conf->n_ports; p++) {
		port_table[p].conf = conf->ports[p];
		port_table[p].buffers = conf->packet_buffers;
		ret = conf->ports[p].n_members ? 0 : plan_port(p, err);
	}
	for (unsigned p = 0; !ret && p < conf->n_ports; p++)
		if (port_is_lag(&port_table[p]))
			ret = plan_members(p, err);
	return ret;
}

/* ---- open: the device, its abilities, its queues ---- */
static int plug_pci(struct port *port, struct dp_err *err)
{
	char path[128], driver[128] = "no driver";
	int ret = rte_dev_probe(port->conf.device);
	ssize_t n;

	if (!ret)
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", port->bus_name);
	if (access(path, F_OK))
		return dp_fail(err, -ENODEV,
			"port %s: need PCI device %s, have none at that address (domain:bus:device."
			"function, as lspci -D shows it): correct device",
			port->conf.name, port->bus_name);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", port->bus_name);
	n = readlink(path, driver, sizeof(driver) - 1);
	if (n > 0)
		driver[n] = 0;
	return dp_fail(err, ret,
		"port %s: need PCI device %s with vfio-pci, have %s (%s): `dpdk-devbind.py -b "
		"vfio-pci "
		"%s`",
		port->conf.name, port->bus_name, n > 0 ? strrchr(driver, '/') + 1 : driver,
		rte_strerror(-ret), port->bus_name);
}

static int plug(struct port *port, struct dp_err *err)
{
	const char *args = strchr(port->conf.device, ',');
	char iface[IF_NAMESIZE];
	int ret;

	if (port_is_pci(port->conf.device))
		return plug_pci(port, err);
	iface_of(port->conf.device, iface, sizeof(iface));
	/* net_tap makes its interface, the others want one that is there. */
	if (*iface && strncmp(port->bus_name, "net_tap", 7) && !if_nametoindex(iface))
		return dp_fail(err, -ENODEV,
			"port %s: need interface %s in this network namespace, have none of that "
			"name: create it or correct device",
			port->conf.name, iface);
	ret = rte_eal_hotplug_add("vdev", port->bus_name, args ? args + 1 : "");
	return !ret ? 0
		    : dp_fail(err, ret,
			      "port %s: need device \"%s\", have an error (%s): check the driver's "
			      "name "
			      "and its arguments",
			      port->conf.name, port->conf.device,
			      rte_strerror(ret < 0 ? -ret : rte_errno));
}

/* More than one rx queue only helps when the device spreads packets over them. */
static void configure_rss(const struct rte_eth_dev_info *info, struct rte_eth_conf *eth)
{
	uint64_t want = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

	if (!(want & info->flow_type_rss_offloads))
		return;
	eth->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	eth->rx_adv_conf.rss_conf.rss_hf = want & info->flow_type_rss_offloads;
}

static int configure(struct port *port, const struct rte_eth_dev_info *info, struct dp_err *err)
{
	struct rte_eth_conf eth = { 0 };
	uint16_t rxq = RTE_MIN(port->n_rxq, info->max_rx_queues);
	uint16_t txq = info->max_tx_queues >= port_workers ? port_workers : 1;
	int ret;

	if (!rxq || !info->max_tx_queues)
		return dp_fail(err, -ENOTSUP,
			"port %s: need a queue each way, have %u rx and %u tx: use another device",
			port->conf.name, info->max_rx_queues, info->max_tx_queues);
	eth.intr_conf.lsc = port->watch == PORT_WATCH_LSC;
	eth.rxmode.mtu = RTE_MIN(RTE_MAX(port->conf.mtu, info->min_mtu), info->max_mtu);
	if (rxq > 1)
		configure_rss(info, &eth);
	ret = rte_eth_dev_configure(port->ethdev, rxq, txq, &eth);
	if (ret && rxq != txq) { /* af_xdp and tap have pairs only */
		uint16_t pairs = RTE_MIN(
			RTE_MAX(rxq, txq), RTE_MIN(info->max_rx_queues, info->max_tx_queues));
		rxq = txq = pairs;
		ret = rte_eth_dev_configure(port->ethdev, rxq, txq, &eth);
	}
	if (ret)
		return dp_fail(err, ret,
			"port %s: need %u rx and %u tx queues at mtu %u, %s refuses (%s): lower "
			"queues or "
			"mtu",
			port->conf.name, rxq, txq, port->conf.mtu, port->driver,
			rte_strerror(-ret));
	port->n_rxq = rxq;
	port->n_txq = txq;
	return 0;
}

static int open_port(struct port *port, struct dp_err *err)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	int ret;

	if (rte_eth_dev_get_port_by_name(port->bus_name, &port->ethdev)) {
		ret = plug(port, err);
		if (ret)
			return ret;
		port->plugged = true;
		if (rte_eth_dev_get_port_by_name(port->bus_name, &port->ethdev))
			return dp_fail(err, -ENODEV,
				"port %s: device %s opened, but it is not an Ethernet device",
				port->conf.name, port->bus_name);
	} else if (port_is_pci(port->conf.device)) {
		port->plugged = true; /* EAL found it by its allow-list */
	}
	ret = rte_eth_dev_info_get(port->ethdev, &info);
	if (!ret)
		ret = rte_eth_macaddr_get(port->ethdev, &mac);
	if (ret)
		return dp_fail(err, ret, "port %s: %s does not describe itself: %s",
			port->conf.name, port->bus_name, rte_strerror(-ret));
	snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	port->if_index = info.if_index;
	/* tap offers LSC and never raises it: what sits on a kernel interface is watched there. */
	if (info.if_index && !port_is_pci(port->conf.device))
		port->watch = PORT_WATCH_KERNEL;
	else if (info.dev_flags && *info.dev_flags & RTE_ETH_DEV_INTR_LSC)
		port->watch = PORT_WATCH_LSC;
	else
		port->watch = PORT_WATCH_POLL;
	return configure(port, &info, err);
}

/* Who polls and who transmits. The pair of rx queue q and tx queue q of a port belongs to one
 * worker. */
static void assign(unsigned p, unsigned base)
{
	struct port *port = &port_table[p];
	uint16_t link_port = (uint16_t)(port->lag < 0 ? (int)p : port->lag);

	port->base = base;
	port->owner = port->n_txq < port_workers ? (int)base : -1;
	for (unsigned q = 0; q < port->n_rxq; q++) {
		struct port_worker *pw = &port_worker[(base + q) % port_workers];
		struct port_rx rx = { link_port, port->ethdev, q, p };

		if (port->lag < 0)
			pw->rx[pw->n_rx++] = rx;
		else
			pw->member_rx[pw->n_member_rx++] = rx;
	}
	for (unsigned w = 0; w < port_workers; w++) {
		bool foreign = port->owner >= 0 && port->owner != (int)w;
		port_worker[w].tx[p] = (struct port_tx){
			.ethdev = port->ethdev,
			.queue = port->owner < 0 ? (w + port_workers - base) % port_workers : 0,
			.owner = foreign ? port->owner : -1,
		};
	}
}

/* What a LAG takes from its members, which are open. */
static void assign_lag(unsigned p)
{
	struct port *lag = &port_table[p], *first = &port_table[lag_table[p].port[0]];

	snprintf(lag->driver, sizeof(lag->driver), "lag");
	memcpy(lag->mac, first->mac, sizeof(lag->mac));
	lag->base = first->base;
	lag->owner = -1;
	for (unsigned w = 0; w < port_workers; w++)
		port_worker[w].tx[p] = (struct port_tx){ .owner = PORT_TX_LAG };
}

int port_open(struct dp_err *err)
{
	unsigned base = 0;

	for (unsigned p = 0; p < port_count; p++) {
		if (port_is_lag(&port_table[p]))
			continue;
		int ret = open_port(&port_table[p], err);
		if (ret)
			return ret;
		assign(p, base);
		base = (base + port_table[p].n_rxq) % port_workers;
	}
	for (unsigned p = 0; p < port_count; p++)
		if (port_is_lag(&port_table[p]))
			assign_lag(p);
	return 0;
}

/* ---- setup and start ---- */
/* A frame with two tags is four bytes longer than what a kernel interface lets through. */
static void set_mtu(struct port *port)
{
	uint16_t want = port->conf.mtu, room = port->watch == PORT_WATCH_KERNEL ? 4 : 0, got = 0;

	if (!room || rte_eth_dev_set_mtu(port->ethdev, want + room))
		rte_eth_dev_set_mtu(port->ethdev, want);
	port->mtu = rte_eth_dev_get_mtu(port->ethdev, &got) ? want : RTE_MIN(want, got);
}

static int setup_port(struct port *port, struct dp_err *err)
{
	uint16_t rx_desc = PORT_RX_DESC, tx_desc = PORT_TX_DESC;
	int socket = rte_eth_dev_socket_id(port->ethdev);
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->ethdev, &rx_desc, &tx_desc);

	for (unsigned q = 0; !ret && q < port->n_rxq; q++)
		ret = rte_eth_rx_queue_setup(port->ethdev, q, rx_desc, socket, NULL, port->pool);
	for (unsigned q = 0; !ret && q < port->n_txq; q++)
		ret = rte_eth_tx_queue_setup(port->ethdev, q, tx_desc, socket, NULL);
	if (!ret)
		set_mtu(port);
	return !ret ? 0
		    : dp_fail(err, ret, "port %s: %s cannot set its queues up (%s)%s",
			      port->conf.name, port->driver, rte_strerror(-ret),
			      port->class != PORT_XDP
				      ? ""
				      : ": need CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_IPC_LOCK "
					"and an interface without another XDP "
					"program: `ip link set dev IFACE xdp off` removes one");
}

/* One MTU for all; and one MAC where a device would filter by it (a kernel interface has its own,
 * and what is not for it comes in promiscuous mode). */
static void setup_lag(struct port *lag, const struct lag *l)
{
	struct rte_ether_addr mac;

	memcpy(mac.addr_bytes, lag->mac, sizeof(lag->mac));
	lag->mtu = UINT16_MAX;
	for (unsigned i = 0; i < l->n; i++) {
		struct port *member = &port_table[l->port[i]];

		lag->mtu = RTE_MIN(lag->mtu, member->mtu);
		if (i && !member->if_index)
			rte_eth_dev_default_mac_addr_set(member->ethdev, &mac);
	}
}

int port_setup(struct dp_err *err)
{
	for (unsigned p = 0; p < port_count; p++) {
		int ret = port_is_lag(&port_table[p]) ? 0 : setup_port(&port_table[p], err);
		if (ret)
			return ret;
	}
	for (unsigned p = 0; p < port_count; p++)
		if (port_is_lag(&port_table[p]))
			setup_lag(&port_table[p], &lag_table[p]);
	return 0;
}

int port_start(struct dp_err *err)
{
	for (unsigned p = 0; p < port_count; p++) {
		struct port *port = &port_table[p];
		int ret = port_is_lag(port) ? 0 : rte_eth_dev_start(port->ethdev);

		if (port_is_lag(port))
			continue;
		if (ret)
			return dp_fail(err, ret, "port %s: %s does not start: %s", port->conf.name,
				port->driver, rte_strerror(-ret));
		port->started = true;
		/* Where the driver cannot filter it takes everything anyway. */
		rte_eth_promiscuous_enable(port->ethdev);
		rte_eth_allmulticast_enable(port->ethdev);
	}
	return 0;
}

void port_stop(void)
{
	for (unsigned p = 0; p < port_count; p++) {
		if (port_table[p].started) {
			rte_eth_promiscuous_disable(port_table[p].ethdev);
			rte_eth_allmulticast_disable(port_table[p].ethdev);
			rte_eth_dev_stop(port_table[p].ethdev);
		}
		port_table[p].started = false;
		atomic_store(&port_carrier[p], false);
	}
}

void port_close(void)
{
	for (unsigned p = 0; p < port_count; p++) {
		struct port *port = &port_table[p];

		if (!port->plugged)
			continue;
		rte_eth_dev_close(port->ethdev);
		if (!port_is_pci(port->conf.device))
			rte_eal_hotplug_remove("vdev", port->bus_name);
		port->plugged = false;
	}
	port_count = 0;
}

/* ---- what control asks ---- */
/* Of one device. */
static int device_info(unsigned p, struct dp_port_info *ret_info)
{
	struct port *port = &port_table[p];
	struct rte_eth_link link = { 0 };
	struct rte_eth_stats stats = { 0 };
	int ret = missed_stats(p, true, &stats);

	if (ret)
		return ret;
	/* A virtual device's speed is made up. */
	if (port->watch != PORT_WATCH_KERNEL)
		rte_eth_link_get_nowait(port->ethdev, &link);
	if (link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN)
		link.link_speed = 0;
	*ret_info = (struct dp_port_info){
		.speed_mbps = link.link_speed,
		.rx_queues = port->n_rxq,
		.tx_queues = port->n_txq,
		.rx_packets = stats.ipackets,
		.rx_bytes = stats.ibytes,
		.rx_missed = missed_count(p, &stats),
		.rx_errors = stats.ierrors,
		.rx_nombuf = stats.rx_nombuf,
		.tx_packets = stats.opackets,
		.tx_bytes = stats.obytes,
		.tx_errors = stats.oerrors,
		.buffers = port->pool->size,
		.buffers_in_use = rte_mempool_in_use_count(port->pool),
	};
	return 0;
}

/* Sums; but pools are shared, and a speed is that of the members with carrier. */
static int members_info(unsigned p, struct dp_port_info *ret_info)
{
	struct dp_port_info sum = { 0 }, one;

	for (unsigned i = 0; i < lag_table[p].n; i++) {
		unsigned member = lag_table[p].port[i];
		int ret = device_info(member, &one);

		if (ret)
			return ret;
		if (atomic_load(&port_carrier[member]))
			sum.speed_mbps += one.speed_mbps;
		sum.rx_queues += one.rx_queues;
		sum.tx_queues += one.tx_queues;
		sum.rx_packets += one.rx_packets;
		sum.rx_bytes += one.rx_bytes;
		sum.rx_missed += one.rx_missed;
		sum.rx_errors += one.rx_errors;
		sum.rx_nombuf += one.rx_nombuf;
		sum.tx_packets += one.tx_packets;
		sum.tx_bytes += one.tx_bytes;
		sum.tx_errors += one.tx_errors;
		sum.buffers = RTE_MAX(sum.buffers, one.buffers);
		sum.buffers_in_use = RTE_MAX(sum.buffers_in_use, one.buffers_in_use);
	}
	*ret_info = sum;
	return 0;
}

int dp_port_info(unsigned p, struct dp_port_info *ret_info)
{
	struct port *port = &port_table[p];
	int ret;

	if (p >= port_count)
		return -ENOENT;
	ret = port_is_lag(port) ? members_info(p, ret_info) : device_info(p, ret_info);
	if (ret)
		return ret;
	ret_info->up = atomic_load(&port_carrier[p]);
	ret_info->mtu = port->mtu;
	ret_info->owner = port->owner;
	ret_info->lag = port->lag;
	memcpy(ret_info->name, port->conf.name, sizeof(ret_info->name));
	memcpy(ret_info->device, port->conf.device, sizeof(ret_info->device));
	memcpy(ret_info->driver, port->driver, sizeof(ret_info->driver));
	memcpy(ret_info->mac, port->mac, sizeof(ret_info->mac));
	return 0;
}
