/* Azure: ExpressRoute circuits with their peerings (az network express-route show, or peering
 * show), site-to-site VPN connections (az network vpn-connection show), and terraform's resources.
 *
 * Only private peerings are links of ours. A peering has two /30 (IPv6: /126), one for each of the
 * two connections of the circuit, and both use one VLAN: each is a view, primary and secondary. We
 * take the first host, Microsoft the second. Documents of the REST API keep the members below
 * "properties", those of the command line do not; both are read. */
#include <string.h>
#include "ctl_cloud.h"

#define STATES                                                                             \
	"Enabled=up Provisioned=up Succeeded=up Connected=up Enabling=pending "            \
	"NotProvisioned=pending Provisioning=pending Updating=pending Connecting=pending " \
	"Disabled=down NotConnected=down Failed=down Disabling=gone Deprovisioning=gone "  \
	"Deleting=gone"

static struct node properties(struct node node)
{
	struct node inner = node_get(node, "properties");

	return node_is_object(inner) ? inner : node;
}

/* The worst of what several members say. */
static void worst(struct cloud_view *view, struct node node, const char *names)
{
	struct cloud_text text = node_text(node, names);
	enum cloud_state is = node_state(&text, STATES);

	if (!text.at || is == CLOUD_UNSAID || (view->state.at && is <= view->is))
		return;
	view->state = text;
	view->is = is;
}

/* ---- ExpressRoute ---- */

static void subnet(struct cloud_view *view, struct node node, const char *names)
{
	struct cloud_addr net = node_addr(node, names);
	struct cloud_session *s;

	if (!net.at)
		return;
	if (net.p.len > ip_bits(net.p.af) - 2) {
		node_error(node, "%s: a network with room for two hosts was expected, /%u", names,
			ip_bits(net.p.af) - 2);
		return;
	}
	s = view_session(view, &net);
	s->ours = addr_host(&net, 1);
	s->theirs = addr_host(&net, 2);
}

static void side(struct node peering, const char *circuit, const char *name, bool second)
{
	struct cloud_view *view = view_new(peering, CLOUD_AZURE, "private peering");
	struct node p = properties(peering), ip6 = node_only(node_get(p, "ipv6PeeringConfig|ipv6"));

	view->id = circuit;
	view->name = name;
	view->parent = circuit;
	view->side = second ? "secondary" : "primary";
	view->profile = "azure-er-private";
	view->vlan = node_vlan(p, "vlanId");
	worst(view, p, "state");
	worst(view, p, "provisioningState");
	subnet(view, p, second ? "secondaryPeerAddressPrefix" : "primaryPeerAddressPrefix");
	subnet(view, ip6,
		second ? "secondaryPeerAddressPrefix|secondaryPeerAddressPrefixIpv6"
		       : "primaryPeerAddressPrefix|primaryPeerAddressPrefixIpv6");
	for (int i = 0; i < 2; i++) {
		struct cloud_session *s = &view->s[i];

		if (!s->at)
			continue;
		s->our_asn = node_asn(p, "peerASN");
		s->their_asn = node_asn(p, "azureASN");
		s->key = node_secret(p, "sharedKey");
		if (!s->key.on) /* a key is not always shown: its absence says nothing */
			s->key.at = NULL;
	}
}

static void peering(struct node node, const char *circuit, const char *name)
{
	struct node p = properties(node);
	const char *type = node_string(p, "peeringType");

	if (type && strcasecmp(type, "AzurePrivatePeering"))
		return; /* Microsoft's and public peerings are not links of ours */
	if (node_get(p, "primaryPeerAddressPrefix").json)
		side(node, circuit, name, false);
	if (node_get(p, "secondaryPeerAddressPrefix").json)
		side(node, circuit, name, true);
}

/* ".../expressRouteCircuits/er-sg-01/peerings/AzurePrivatePeering": the circuit's name */
static const char *circuit_of(struct node node)
{
	const char *id = json_string_value(node_get(node, "id").json), *at;
	struct node name = node;
	json_t *copy;

	at = id ? strcasestr(id, "/expressRouteCircuits/") : NULL;
	if (!at)
		return NULL;
	at += strlen("/expressRouteCircuits/");
	copy = json_pack("{s:s%}", "name", at, strcspn(at, "/"));
	name.json = copy;
	at = copy ? node_string(name, "name") : NULL;
	json_decref(copy);
	return at;
}

/* What a circuit says of all that runs over it. */
static void circuit_state(struct cloud_view *view, struct node p)
{
	worst(view, p, "circuitProvisioningState");
	worst(view, p, "serviceProviderProvisioningState");
	view->stag = node_num(p, "stag", 4094);
}

static void circuit(struct node node)
{
	struct node p = properties(node), peerings = node_get(p, "peerings");
	const char *name = node_string(node, "name");
	unsigned first = node.cloud->n;

	for (size_t i = 0; i < node_count(peerings); i++)
		peering(node_item(peerings, i), name, name);
	for (unsigned i = first; i < node.cloud->n; i++)
		circuit_state(&node.cloud->views[i], p);
	if (first == node.cloud->n) {
		struct cloud_view *view = view_new(node, CLOUD_AZURE, "ExpressRoute circuit");

		view->id = view->name = view->parent = name;
		view->profile = "azure-er-private";
		circuit_state(view, p);
	}
}

/* ---- VPN ---- */

static void vpn(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_AZURE, "VPN connection");
	struct node p = properties(node);

	view->name = node_string(node, "name");
	view->id = view->name;
	view->parent = node_last(node_get(p, "virtualNetworkGateway1"), "id");
	view->tunnel = true;
	view->profile = "azure-vpn";
	view->bgp = node_flag(p, "enableBgp");
	worst(view, p, "provisioningState");
	worst(view, p, "connectionStatus");
}

bool cloud_azure(struct node node)
{
	struct node p = properties(node);
	const char *type = node_string(node, "type"), *peer = node_string(p, "peeringType"),
		   *connection = node_string(p, "connectionType");
	const char *name;

	if ((type && strcasestr(type, "/expressRouteCircuits/peerings")) || peer) {
		name = circuit_of(node);
		peering(node, name, name ? name : node_string(node, "name"));
	} else if ((type && strcasestr(type, "/expressRouteCircuits")) ||
		   node_get(p, "serviceProviderProvisioningState").json) {
		circuit(node);
	} else if (connection && !strcasecmp(connection, "IPsec")) {
		vpn(node);
	} else {
		return false;
	}
	return true;
}

/* ---- terraform ---- */

static void circuit_resource(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_AZURE, "ExpressRoute circuit");

	view->name = node_string(node, "name");
	view->part_of_each = view->name;
	view->rank = 1;
	circuit_state(view, node);
}

bool cloud_azure_resource(struct node values, const char *type)
{
	const char *name = node_string(values, "express_route_circuit_name");

	if (!strcmp(type, "azurerm_express_route_circuit"))
		circuit_resource(values);
	else if (!strcmp(type, "azurerm_express_route_circuit_peering"))
		peering(values, name, name);
	else if (!strcmp(type, "azurerm_virtual_network_gateway_connection") &&
		 !strcasecmp(node_string(values, "type") ?: "", "IPsec"))
		vpn(values);
	else
		return false;
	return true;
}
