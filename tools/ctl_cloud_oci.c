/* Oracle: virtual circuits of FastConnect, as the command line (oci network virtual-circuit get or
 * list) and terraform have them.
 *
 * Each mapping of a virtual circuit to a cross-connect has a VLAN, a BGP session per family and so
 * is a view. BFD is a switch for IPv4 only; MTU is a word such as MTU_9000. */
#include <stdlib.h>
#include <string.h>
#include "ctl_cloud.h"

#define STATES                                                                          \
	"PROVISIONED=up AVAILABLE=up UP=up PENDING_PROVIDER=pending VERIFYING=pending " \
	"PROVISIONING=pending FAILED=down INACTIVE=down DOWN=down TERMINATING=gone "    \
	"TERMINATED=gone"

static struct cloud_num mtu_of(struct node node)
{
	struct cloud_text text = node_text(node, "ipMtu");
	struct cloud_num mtu = { text.at, 0 };

	if (!text.s)
		return (struct cloud_num){ 0 };
	mtu.n = strtoul(text.s + strcspn(text.s, "0123456789"), NULL, 10);
	if (mtu.n >= 576 && mtu.n <= 9600)
		return mtu;
	node_error(node, "ip_mtu: MTU_1500 or MTU_9000 was expected");
	return (struct cloud_num){ 0 };
}

static void session(struct cloud_view *view, struct node mapping, struct node circuit, bool ip6)
{
	struct cloud_addr ours = node_addr(
				  mapping, ip6 ? "customerBgpPeeringIpv6" : "customerBgpPeeringIp"),
			  theirs = node_addr(
				  mapping, ip6 ? "oracleBgpPeeringIpv6" : "oracleBgpPeeringIp");
	struct cloud_session *s = view_between(view, &ours, &theirs);

	if (!s)
		return;
	s->our_asn = node_asn(circuit, "customerAsn|customerBgpAsn");
	s->their_asn = node_asn(circuit, "oracleBgpAsn");
	s->key = node_secret(mapping, "bgpMd5AuthKey");
	if (!ip6)
		s->bfd = node_flag(circuit, "isBfdEnabled");
	s->state = node_text(circuit, ip6 ? "bgpIpv6SessionState" : "bgpSessionState");
	s->is = node_state(&s->state, STATES);
}

static void mapping(struct node node, struct node circuit, bool several)
{
	struct cloud_view *view = view_new(node, CLOUD_OCI, "virtual circuit");
	struct cloud_text admin = node_text(circuit, "bgpAdminState");

	view->id = node_string(circuit, "id");
	view->name = node_string(circuit, "displayName");
	view->parent = node_string(node, "crossConnectOrCrossConnectGroupId");
	view->side = several ? view->parent : NULL;
	view->profile = "oci-fastconnect";
	view->vlan = node_vlan(node, "vlan");
	view->mtu = mtu_of(circuit);
	view->state = node_text(circuit, "lifecycleState|state");
	view->is = node_state(&view->state, STATES);
	if (admin.at)
		view->enabled =
			(struct cloud_flag){ admin.at, strcasecmp(admin.s, "DISABLED") != 0 };
	session(view, node, circuit, false);
	session(view, node, circuit, true);
}

static void circuit(struct node node)
{
	struct node mappings = node_get(node, "crossConnectMappings");
	size_t n = node_count(mappings);

	for (size_t i = 0; i < n; i++)
		mapping(node_item(mappings, i), node, n > 1);
	if (!n)
		mapping((struct node){ node.cloud, NULL, node.at }, node, false);
}

bool cloud_oci(struct node node)
{
	struct node data = node_get(node, "data");

	if (!data.json)
		data = node;
	if (node_get(data, "crossConnectMappings").json) {
		circuit(data);
		return true;
	}
	if (!node_count(data) || !node_get(node_item(data, 0), "crossConnectMappings").json)
		return false;
	for (size_t i = 0; i < node_count(data); i++)
		circuit(node_item(data, i));
	return true;
}

bool cloud_oci_resource(struct node values, const char *type)
{
	if (strcmp(type, "oci_core_virtual_circuit"))
		return false;
	circuit(values);
	return true;
}
