/* AWS: virtual interfaces of Direct Connect and site-to-site VPN connections, from the API's
 * documents (aws … describe-…) and from terraform's resources, whose members have nearly the same
 * names.
 *
 * A virtual interface has a BGP peer per family; the members beside bgpPeers repeat the first one,
 * and a peer that is being deleted may still be listed beside its successor. A VPN connection has
 * two tunnels: each is a view, both under the connection's id. AWS takes the first host of a
 * tunnel's inside network and gives the second to the customer; the customer's AS number is the
 * customer gateway's and not in these documents. authKey and PreSharedKey are asked only whether
 * they are there. */
#include <string.h>
#include "ctl_cloud.h"

#define VIF_STATES                                                                     \
	"available=up down=down confirming=pending verifying=pending pending=pending " \
	"testing=pending "                                                             \
	"deleting=gone deleted=gone rejected=gone"
#define VPN_STATES "available=up pending=pending deleting=gone deleted=gone modifying=pending"

/* ---- Direct Connect ---- */

static void vif_peer(struct cloud_view *view, struct node peer, struct node vif)
{
	struct cloud_addr ours = node_addr(peer, "customerAddress"),
			  theirs = node_addr(peer, "amazonAddress");
	struct cloud_text state = node_text(peer, "bgpPeerState");
	struct cloud_session *s;

	if (node_state(&state, VIF_STATES) == CLOUD_GONE)
		return;
	s = view_between(view, &ours, &theirs);
	if (!s)
		return;
	s->at = peer.at;
	s->our_asn = node_asn(peer, "asnLong");
	if (!s->our_asn.at)
		s->our_asn = node_asn(peer, "asn|bgpAsn");
	s->their_asn = node_asn(vif, "amazonSideAsn");
	s->key = node_secret(peer, "authKey|bgpAuthKey");
	s->state = node_text(peer, "bgpStatus");
	s->is = node_state(&s->state, "up=up down=down");
	if (node_state(&state, VIF_STATES) == CLOUD_PENDING) {
		s->state = state;
		s->is = CLOUD_PENDING;
	}
}

static void vif(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_AWS, "virtual interface");
	struct node peers = node_get(node, "bgpPeers");
	const char *type = node_string(node, "virtualInterfaceType");

	view->id = node_string(node, "virtualInterfaceId|id");
	view->name = node_string(node, "virtualInterfaceName|name");
	view->parent = node_string(node, "connectionId");
	view->profile = type && !strcmp(type, "transit") ? "aws-dx-transit" : "aws-dx-private";
	view->vlan = node_vlan(node, "vlan");
	view->mtu = node_num(node, "mtu", 65535);
	view->jumbo = node_flag(node, "jumboFrameCapable");
	view->state = node_text(node, "virtualInterfaceState");
	view->is = node_state(&view->state, VIF_STATES);
	for (size_t i = 0; i < node_count(peers); i++)
		vif_peer(view, node_item(peers, i), node);
	if (!view->s[0].at && !view->s[1].at)
		vif_peer(view, node, node);
}

/* ---- VPN ---- */

static void tunnel_inside(struct cloud_view *view, struct node tunnel, const char *names)
{
	struct cloud_addr net = node_addr(tunnel, names);
	struct cloud_session *s;

	if (!net.at)
		return;
	s = view_session(view, &net);
	s->theirs = addr_host(&net, 1);
	s->ours = addr_host(&net, 2);
}

static struct cloud_view *vpn_tunnel(struct node vpn, struct node at, unsigned i)
{
	static const char *const sides[] = { "tunnel 1", "tunnel 2" };
	struct cloud_view *view = view_new(at, CLOUD_AWS, "VPN connection");
	struct cloud_flag fixed;

	view->id = node_string(vpn, "VpnConnectionId|id");
	view->parent = node_string(vpn, "TransitGatewayId|VpnGatewayId");
	view->side = sides[i];
	view->tunnel = true;
	view->profile = node_string(vpn, "TransitGatewayId") ? "aws-s2s-tgw" : "aws-s2s-vgw";
	view->state = node_text(vpn, "State");
	view->is = node_state(&view->state, VPN_STATES);
	fixed = node_flag(
		node_get(vpn, "Options").json ? node_get(vpn, "Options") : vpn, "StaticRoutesOnly");
	if (fixed.at)
		view->bgp = (struct cloud_flag){ fixed.at, !fixed.on };
	return view;
}

static void telemetry(struct cloud_view *view, struct node list)
{
	struct cloud_addr outside;
	struct node t;

	for (size_t i = 0; i < node_count(list); i++) {
		t = node_item(list, i);
		outside = node_addr(t, "OutsideIpAddress");
		if (!view->outside.at || !outside.at ||
			memcmp(view->outside.p.bytes, outside.p.bytes, sizeof(outside.p.bytes)))
			continue;
		if (view->is != CLOUD_UP && view->is != CLOUD_UNSAID)
			continue;
		view->state = node_text(t, "Status");
		view->is = node_state(&view->state, "UP=up DOWN=down");
	}
}

static void static_routes(struct cloud_view *view, struct node vpn)
{
	if (view->bgp.at && !view->bgp.on)
		view->allowed = node_prefixes(node_get(vpn, "Routes"), "DestinationCidrBlock");
}

static void vpn(struct node node)
{
	struct node options = node_get(node_get(node, "Options"), "TunnelOptions"),
		    seen = node_get(node, "VgwTelemetry"), tunnel;
	struct cloud_view *view;
	size_t n = node_count(options), n_seen = node_count(seen);

	if (!n) /* an old tool, or a connection from before tunnel options: outside addresses only
		 */
		options = seen, n = n_seen;
	for (size_t i = 0; i < n && i < 2; i++) {
		tunnel = node_item(options, i);
		view = vpn_tunnel(node, tunnel, i);
		view->outside = node_addr(tunnel, "OutsideIpAddress");
		tunnel_inside(view, tunnel, "TunnelInsideCidr");
		tunnel_inside(view, tunnel, "TunnelInsideIpv6Cidr");
		telemetry(view, seen);
		static_routes(view, node);
	}
	if (!n)
		vpn_tunnel(node, node, 0)->side = NULL;
}

/* ---- documents ---- */

static void each(struct node list, void (*read)(struct node))
{
	if (node_is_object(list))
		read(list);
	for (size_t i = 0; i < node_count(list); i++)
		read(node_item(list, i));
}

bool cloud_aws(struct node node)
{
	struct node vifs = node_get(node, "virtualInterfaces");
	struct node vpns = node_get(node, "VpnConnections|VpnConnection");

	if (vifs.json)
		each(vifs, vif);
	if (vpns.json)
		each(vpns, vpn);
	if (node_get(node, "virtualInterfaceId").json)
		vif(node);
	else if (node_get(node, "VpnConnectionId").json)
		vpn(node);
	else
		return vifs.json || vpns.json;
	return true;
}

/* ---- terraform ---- */

static void vif_resource(struct node node, const char *type)
{
	struct cloud_view *view;

	vif(node);
	view = &node.cloud->views[node.cloud->n - 1];
	view->profile = strstr(type, "transit") ? "aws-dx-transit" : "aws-dx-private";
}

/* A second family of a virtual interface. */
static void peer_resource(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_AWS, "BGP peer");

	view->part_of = node_string(node, "virtual_interface_id");
	view->rank = 1;
	vif_peer(view, node, node);
}

static void vpn_resource(struct node node)
{
	static const char *const names[2][4] = {
		{ "tunnel1_address", "tunnel1_inside_cidr", "tunnel1_inside_ipv6_cidr",
			"tunnel1_bgp_asn" },
		{ "tunnel2_address", "tunnel2_inside_cidr", "tunnel2_inside_ipv6_cidr",
			"tunnel2_bgp_asn" },
	};

	for (unsigned i = 0; i < 2; i++) {
		struct cloud_view *view = vpn_tunnel(node, node, i);

		view->outside = node_addr(node, names[i][0]);
		tunnel_inside(view, node, names[i][1]);
		tunnel_inside(view, node, names[i][2]);
		for (int f = 0; f < 2; f++)
			if (view->s[f].at)
				view->s[f].their_asn = node_asn(node, names[i][3]);
		telemetry(view, node_get(node, "vgw_telemetry"));
	}
}

bool cloud_aws_resource(struct node values, const char *type)
{
	if (!strcmp(type, "aws_dx_private_virtual_interface") ||
		!strcmp(type, "aws_dx_transit_virtual_interface") ||
		!strcmp(type, "aws_dx_hosted_private_virtual_interface") ||
		!strcmp(type, "aws_dx_hosted_transit_virtual_interface"))
		vif_resource(values, type);
	else if (!strcmp(type, "aws_dx_bgp_peer"))
		peer_resource(values);
	else if (!strcmp(type, "aws_vpn_connection"))
		vpn_resource(values);
	else
		return false;
	return true;
}
