/* Google Cloud: VLAN attachments (gcloud compute interconnects attachments describe) and Cloud
 * Routers (gcloud compute routers describe), and the same as terraform's resources.
 *
 * An attachment has VLAN, MTU and addresses; AS numbers, BFD and what is announced are the BGP
 * peer's of its Cloud Router. A peer names an interface of the router, the interface names the
 * attachment or the VPN tunnel, so both are parts, peers of rank 3 and interfaces of rank 2, that
 * cloud_join lays into the attachment in that order; the router itself (terraform only) has the AS
 * number and comes first. */
#include <string.h>
#include "ctl_cloud.h"

#define STATES                                                                               \
	"ACTIVE=up OS_ACTIVE=up UNPROVISIONED=pending OS_UNPROVISIONED=pending "             \
	"PENDING_PARTNER=pending PARTNER_REQUEST_RECEIVED=pending PENDING_CUSTOMER=pending " \
	"DEFUNCT=gone STATE_UNSPECIFIED=pending"

/* ---- attachments ---- */

static void attachment_addresses(struct cloud_view *view, struct node node)
{
	static const char *const names[2][2] = {
		{ "customerRouterIpAddress", "cloudRouterIpAddress" },
		{ "customerRouterIpv6Address", "cloudRouterIpv6Address" },
	};

	for (int i = 0; i < 2; i++) {
		struct cloud_addr ours = node_addr(node, names[i][0]),
				  theirs = node_addr(node, names[i][1]);

		view_between(view, &ours, &theirs);
	}
}

static void attachment(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_GCP, "VLAN attachment");
	struct cloud_text operating = node_text(node, "operationalStatus");
	const char *type = node_string(node, "type");

	view->name = node_string(node, "name");
	view->id = view->name;
	view->parent = node_last(node, "interconnect");
	view->profile = type && !strncmp(type, "PARTNER", 7) ? "gcp-partner" : "gcp-dedicated";
	view->vlan = node_vlan(node, "vlanTag8021q");
	view->mtu = node_num(node, "mtu", 65535);
	view->enabled = node_flag(node, "adminEnabled");
	view->state = node_text(node, "state");
	view->is = node_state(&view->state, STATES);
	if (view->is == CLOUD_UP && operating.at && node_state(&operating, STATES) != CLOUD_UP) {
		view->state = operating;
		view->is = node_state(&operating, STATES);
	}
	attachment_addresses(view, node);
}

/* ---- Cloud Routers ---- */

static void peer_bfd(struct cloud_session *s, struct node bfd)
{
	const char *mode = node_string(bfd, "sessionInitializationMode");

	if (!bfd.json)
		return;
	s->bfd = (struct cloud_flag){ bfd.at, mode && strcasecmp(mode, "DISABLED") != 0 };
	s->bfd_waits = (struct cloud_flag){ bfd.at, mode && !strcasecmp(mode, "PASSIVE") };
	s->bfd_ms = node_num(bfd, "minTransmitInterval", 60000);
	s->bfd_multiplier = node_num(bfd, "multiplier", 255);
}

/* All that is announced is known only when no group of subnets is. */
static struct cloud_prefixes announced(struct node node)
{
	const char *mode = node_string(node, "advertiseMode");
	struct node groups = node_get(node, "advertisedGroups"),
		    ranges = node_get(node, "advertisedIpRanges");

	if (!mode || strcasecmp(mode, "CUSTOM") || node_count(groups) || !ranges.json)
		return (struct cloud_prefixes){ 0 };
	return node_prefixes(ranges, "range");
}

static void peer(struct node node, struct node router_bgp, const char *router)
{
	struct cloud_view *view = view_new(node, CLOUD_GCP, "BGP peer of a Cloud Router");
	struct cloud_addr ours = node_addr(node, "peerIpAddress"),
			  theirs = node_addr(node, "ipAddress");
	struct cloud_session *s = &view->s[ours.p.af == AF_INET6];
	struct node md5 = node_get(node, "md5AuthenticationKey");
	struct cloud_flag enable = node_flag(node, "enable");

	view->id = view->name = node_string(node, "name");
	view->part_of = node_string(node, "interfaceName|interface");
	view->parent = router;
	view->rank = 3;
	view->profile = "gcp-dedicated";
	s->at = node.at;
	s->ours = ours;
	s->theirs = theirs;
	s->our_asn = node_asn(node, "peerAsn");
	s->their_asn = node_asn(router_bgp, "asn");
	s->keepalive_s = node_num(router_bgp, "keepaliveInterval", 65535);
	s->key = node_secret(node, "md5AuthenticationKeyName");
	if (md5.json && !s->key.at)
		s->key = (struct cloud_flag){ md5.at, !json_is_array(md5.json) || node_count(md5) };
	if (enable.at && !enable.on) {
		s->state = (struct cloud_text){ enable.at, "not enabled" };
		s->is = CLOUD_DOWN;
	}
	peer_bfd(s, node_only(node_get(node, "bfd")));
	s->announced = announced(node);
	if (!s->announced.at &&
		!strcasecmp("CUSTOM", node_string(router_bgp, "advertiseMode") ?: "") &&
		strcasecmp("CUSTOM", node_string(node, "advertiseMode") ?: "DEFAULT"))
		s->announced = announced(router_bgp);
}

static void interface(struct node node, const char *router)
{
	struct cloud_view *view = view_new(node, CLOUD_GCP, "interface of a Cloud Router");
	struct cloud_addr theirs = node_addr(node, "ipRange");
	const char *tunnel = node_last(node, "linkedVpnTunnel|vpnTunnel"),
		   *attached =
			   node_last(node, "linkedInterconnectAttachment|interconnectAttachment");

	view->name = node_string(node, "name");
	view->id = tunnel ? tunnel : view->name;
	view->parent = router;
	view->rank = 2;
	view->tunnel = tunnel != NULL;
	view->what = tunnel ? "VPN tunnel" : view->what;
	view->profile = tunnel ? "gcp-ha-vpn" : "gcp-dedicated";
	view->part_of = attached ? attached : tunnel ? tunnel : " "; /* nobody's name */
	if (theirs.at)
		view_session(view, &theirs)->theirs = theirs;
}

static void router(struct node node)
{
	struct node bgp = node_only(node_get(node, "bgp")), peers = node_get(node, "bgpPeers"),
		    interfaces = node_get(node, "interfaces");
	const char *name = node_string(node, "name");

	for (size_t i = 0; i < node_count(interfaces); i++)
		interface(node_item(interfaces, i), name);
	for (size_t i = 0; i < node_count(peers); i++)
		peer(node_item(peers, i), bgp, name);
}

bool cloud_gcp(struct node node)
{
	const char *kind = node_string(node, "kind");

	if (kind && !strcmp(kind, "compute#router"))
		router(node);
	else if (kind && !strcmp(kind, "compute#interconnectAttachment"))
		attachment(node);
	else if (node_get(node, "vlanTag8021q|customerRouterIpAddress|edgeAvailabilityDomain").json)
		attachment(node);
	else if (node_get(node, "bgpPeers").json && node_get(node, "network|interfaces").json)
		router(node);
	else
		return false;
	return true;
}

/* ---- terraform ---- */

static void router_resource(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_GCP, "Cloud Router");
	struct node bgp = node_only(node_get(node, "bgp"));

	view->part_of_each = node_string(node, "name");
	view->rank = 4;
	view->s[0].at = bgp.at;
	view->s[0].their_asn = node_asn(bgp, "asn");
	view->s[0].keepalive_s = node_num(bgp, "keepaliveInterval", 65535);
	view->s[0].announced = announced(bgp);
}

bool cloud_gcp_resource(struct node values, const char *type)
{
	struct node nothing = { values.cloud, NULL, values.at };

	if (!strcmp(type, "google_compute_interconnect_attachment"))
		attachment(values);
	else if (!strcmp(type, "google_compute_router_peer"))
		peer(values, nothing, node_last(values, "router"));
	else if (!strcmp(type, "google_compute_router_interface"))
		interface(values, node_last(values, "router"));
	else if (!strcmp(type, "google_compute_router"))
		router_resource(values);
	else
		return false;
	return true;
}
