/* The table of API commands: what `lintasctl` can ask for, by object. Each view lives in the file
 * of its object (views_link.c, views_route.c, …) and answers from the control thread; the long ones
 * as streams. */
#include "views.h"

const struct api_command api_commands[] = {
	{ "status", "", "the router on one screen", false, view_status },
	{ "port show", "[name]", "ports: device, carrier, queues, packets, errors", false,
		view_port_show },
	{ "lag show", "[name]", "link aggregations: members, what LACP has agreed on", false,
		view_lag_show },
	{ "link show", "[name]", "links: state, health and why, VRF, addresses, traffic", false,
		view_link_show },
	{ "link effective", "name", "every value in force on a link, and where it is from", false,
		view_link_effective },
	{ "link diagnose", "name", "a link's layers, the first that fails, and whose turn it is",
		false, view_link_diagnose },
	{ "cloud show", "[name]", "a line a cloud: tier, rate, links, BGP, prefixes, what is wrong",
		false, view_cloud_show },
	{ "partner show", "[name]", "the same of partners", false, view_partner_show },
	{ "vrf show", "[name]", "VRFs: links, routes, memory", false, view_vrf_show },
	{ "route show", "[vrf] [prefix] [longer] [all]",
		"routes of the kernel, as the fast path has them", false, view_route_show },
	{ "route get", "addr vrf [from] [proto] [sport] [dport]",
		"how a packet to an address is forwarded, in full", false, view_route_get },
	{ "neighbor show", "[vrf]", "neighbours and their adjacencies", false, view_neighbor_show },
	{ "nexthop show", "", "path groups: legs, tiers, shares, prefixes", false,
		view_nexthop_show },
	{ "probe show", "[name]", "probes: loss, round trip and verdict by link and bucket", false,
		view_probe_show },
	{ "vrrp show", "[name]", "VRRP: who is active, by link and family", false, view_vrrp_show },
	{ "ipsec show", "[name]", "IPsec: security associations by link", false, view_ipsec_show },
	{ "bgp show", "", "BGP sessions by link, from FRR", false, view_bgp_show },
	{ "bgp routes", "name direction [all]",
		"what a neighbour said or is told, and why not the rest", false, view_bgp_routes },
	{ "bfd show", "[name]", "BFD sessions that the fast path runs", false, view_bfd_show },
	{ "ike show", "[name]", "IKE by link: state, what was agreed on, next keys, last error",
		false, view_ike_show },
	{ "stats", "", "drops, punt classes, stages, workers, mirror", false, view_stats },
	{ "stats drops", "[link] [all]", "drops by reason", false, view_stats_drops },
	{ "stats cycles", "[interval_s]", "cycles a packet by stage and worker, over an interval",
		false, view_stats_cycles },
	{ "stages", "", "the packet's way, from the program's own table", false, view_stages },
	{ "config show", "", "the running configuration with defaults filled in, line by line",
		false, view_config_show },
	{ "config errors", "", "why the last refused reload was refused", false,
		view_config_errors },
	{ "reload", "", "read the configuration again: parse, check, diff, apply", true,
		view_reload },
	{ "events", "[since_s] [level] [subject]", "what happened", false, view_events },
	{ "monitor", "[level] [subject]", "what happens, as it happens", false, view_monitor },
	{ "resync", "[vrf]", "dump the kernel's tables again, as after an overrun", true,
		view_resync },
	{ 0 },
};

int views_start(void)
{
	int err;

	view_events_start();
	err = view_rates_start();
	return err ? err : view_sessions_start();
}

void views_stop(void)
{
	view_diagnose_stop();
	view_cycles_stop();
	view_sessions_stop();
	view_rates_stop();
}
