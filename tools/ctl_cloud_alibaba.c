/* Alibaba: virtual border routers (aliyun vpc DescribeVirtualBorderRouters), and terraform's VBRs,
 * BGP groups and BGP peers.
 *
 * "Local" is Alibaba's side and "peer" is ours. Masks are dotted for IPv4. AS numbers, MD5 and BFD
 * are the BGP group's and its peers': parts of the VBR. A VBR's BFD numbers are what it would use
 * and say nothing about whether BFD is on. */
#include <string.h>
#include "ctl_cloud.h"

#define STATES                                                                           \
	"active=up Available=up recovering=pending unconfirmed=pending Pending=pending " \
	"terminated=down terminating=pending deleting=gone Deleting=gone"

/* "255.255.255.252" or "30" or "2001:db8::/126" as a length; 0: none */
static unsigned mask_length(struct node node, const char *names, uint8_t af)
{
	struct node v = node_get(node, names);
	const char *s = json_string_value(v.json);
	struct ip_addr mask;
	struct ip_prefix p;
	unsigned len = 0;

	if (!v.json)
		return 0;
	if (s && !ip_prefix_parse(s, &p))
		return p.len;
	if (s && !ip_addr_parse(s, &mask) && mask.af == AF_INET && af == AF_INET) {
		while (len < 32 && mask.bytes[len / 8] >> (7 - len % 8) & 1)
			len++;
		return len;
	}
	return node_num(node, names, ip_bits(af)).n;
}

static struct cloud_addr with_mask(struct cloud_addr addr, unsigned len)
{
	if (addr.at && addr.bare && len && len <= ip_bits(addr.p.af)) {
		addr.p.len = len;
		addr.bare = false;
	}
	return addr;
}

static void session(struct cloud_view *view, struct node node, bool ip6)
{
	struct cloud_addr ours = node_addr(node, ip6 ? "peerIpv6GatewayIp" : "peerGatewayIp"),
			  theirs = node_addr(node, ip6 ? "localIpv6GatewayIp" : "localGatewayIp");
	unsigned len = mask_length(node, ip6 ? "peeringIpv6SubnetMask" : "peeringSubnetMask",
		ip6 ? AF_INET6 : AF_INET);

	ours = with_mask(ours, len);
	theirs = with_mask(theirs, len);
	view_between(view, &ours, &theirs);
}

static void vbr(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_ALIBABA, "virtual border router");

	view->id = node_string(node, "vbrId|id");
	view->name = node_string(node, "name|virtualBorderRouterName");
	view->parent = node_string(node, "physicalConnectionId");
	view->profile = "alibaba-vbr";
	view->vlan = node_num(node, "vlanId", 2999);
	view->mtu = node_num(node, "mtu", 9600);
	view->state = node_text(node, "status");
	view->is = node_state(&view->state, STATES);
	session(view, node, false);
	session(view, node, true);
	for (int i = 0; i < 2; i++)
		if (view->s[i].at) {
			view->s[i].bfd_ms = node_num(node, "minTxInterval", 60000);
			view->s[i].bfd_multiplier = node_num(node, "detectMultiplier", 255);
		}
}

bool cloud_alibaba(struct node node)
{
	struct node list =
		node_get(node_get(node, "VirtualBorderRouterSet"), "VirtualBorderRouterType");

	if (list.json)
		for (size_t i = 0; i < node_count(list); i++)
			vbr(node_item(list, i));
	else if (node_get(node, "vbrId").json && node_get(node, "localGatewayIp").json)
		vbr(node);
	else
		return false;
	return true;
}

static void group_resource(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_ALIBABA, "BGP group");
	struct cloud_session *s = &view->s[0];

	view->id = node_string(node, "id");
	view->name = node_string(node, "bgp_group_name");
	view->part_of = node_string(node, "router_id");
	view->rank = 1;
	s->at = node.at;
	s->our_asn = node_asn(node, "peer_asn");
	s->their_asn = node_asn(node, "local_asn");
	s->key = node_secret(node, "auth_key");
}

static void peer_resource(struct node node)
{
	struct cloud_view *view = view_new(node, CLOUD_ALIBABA, "BGP peer");
	struct cloud_session *s = &view->s[0];

	view->part_of = node_string(node, "bgp_group_id");
	view->rank = 2;
	s->at = node.at;
	s->bfd = node_flag(node, "enable_bfd");
	s->state = node_text(node, "status");
	s->is = node_state(&s->state, STATES);
}

bool cloud_alibaba_resource(struct node values, const char *type)
{
	if (!strcmp(type, "alicloud_express_connect_virtual_border_router"))
		vbr(values);
	else if (!strcmp(type, "alicloud_vpc_bgp_group"))
		group_resource(values);
	else if (!strcmp(type, "alicloud_vpc_bgp_peer"))
		peer_resource(values);
	else
		return false;
	return true;
}
