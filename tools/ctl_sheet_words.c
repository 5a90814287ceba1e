/* What each provider calls the things that a link is made of, as its console and its forms have
 * them: who fills in a form looks for these words. A word that is NULL is the ordinary one. */
#include "ctl_sheet.h"

static const char *const ordinary[WORD_COUNT] = {
	[WORD_OBJECT] = "Link",
	[WORD_ID] = "Id",
	[WORD_CIRCUIT] = "Circuit",
	[WORD_VLAN] = "VLAN",
	[WORD_STAG] = "Outer VLAN (S-tag)",
	[WORD_MTU] = "MTU",
	[WORD_OUTSIDE] = "Tunnel, your end",
	[WORD_OURS] = "Our address",
	[WORD_THEIRS] = "Your address",
	[WORD_OUR_ASN] = "Our AS number",
	[WORD_THEIR_ASN] = "Your AS number",
	[WORD_KEY] = "TCP-MD5 key",
	[WORD_TIMERS] = "Keepalive, hold",
	[WORD_BFD] = "BFD",
	[WORD_ANNOUNCE] = "We announce",
	[WORD_EXPECT] = "We accept",
};

static const char *const words[SHEET_READERS][WORD_COUNT] = {
	[SHEET_AWS] = {
		[WORD_OBJECT] = "Virtual interface",
		[WORD_ID] = "Virtual interface ID",
		[WORD_CIRCUIT] = "Connection",
		[WORD_MTU] = "MTU",
		[WORD_OUTSIDE] = "Tunnel outside IP address",
		[WORD_OURS] = "Your router peer IP",
		[WORD_THEIRS] = "Amazon router peer IP",
		[WORD_OUR_ASN] = "BGP ASN",
		[WORD_THEIR_ASN] = "Amazon side ASN",
		[WORD_KEY] = "BGP authentication key",
		[WORD_ANNOUNCE] = "Prefixes we advertise",
		[WORD_EXPECT] = "Prefixes we expect",
	},
	[SHEET_GCP] = {
		[WORD_OBJECT] = "VLAN attachment",
		[WORD_ID] = "Attachment",
		[WORD_CIRCUIT] = "Interconnect",
		[WORD_VLAN] = "VLAN ID (802.1q tag)",
		[WORD_OUTSIDE] = "Cloud VPN gateway IP",
		[WORD_OURS] = "Peer router BGP IP",
		[WORD_THEIRS] = "Cloud Router BGP IP",
		[WORD_OUR_ASN] = "Peer ASN",
		[WORD_THEIR_ASN] = "Cloud Router ASN",
		[WORD_KEY] = "MD5 authentication key",
		[WORD_TIMERS] = "Keepalive interval, hold",
		[WORD_ANNOUNCE] = "Learned from our side",
		[WORD_EXPECT] = "Advertised routes",
	},
	[SHEET_AZURE] = {
		[WORD_OBJECT] = "ExpressRoute circuit, private peering",
		[WORD_ID] = "Peering",
		[WORD_CIRCUIT] = "Circuit",
		[WORD_VLAN] = "VLAN ID (C-tag)",
		[WORD_STAG] = "S-tag",
		[WORD_OUTSIDE] = "VPN gateway public IP",
		[WORD_OURS] = "Your router (first host)",
		[WORD_THEIRS] = "Microsoft router (second)",
		[WORD_OUR_ASN] = "Peer ASN",
		[WORD_THEIR_ASN] = "Azure ASN",
		[WORD_KEY] = "Shared key (MD5 hash)",
		[WORD_ANNOUNCE] = "Prefixes we advertise",
		[WORD_EXPECT] = "Prefixes we expect",
	},
	[SHEET_AZURE_VPN] = {
		[WORD_OUTSIDE] = "VPN gateway public IP",
		[WORD_OURS] = "BGP peer IP, local gateway",
		[WORD_THEIRS] = "BGP peer IP, VPN gateway",
		[WORD_OUR_ASN] = "ASN, local gateway",
		[WORD_THEIR_ASN] = "ASN, VPN gateway",
		[WORD_ANNOUNCE] = "Prefixes we advertise",
		[WORD_EXPECT] = "Prefixes we expect",
	},
	[SHEET_OCI] = {
		[WORD_OBJECT] = "FastConnect virtual circuit",
		[WORD_ID] = "Virtual circuit OCID",
		[WORD_CIRCUIT] = "Cross-connect (group)",
		[WORD_MTU] = "IP MTU",
		[WORD_OURS] = "Customer BGP IP address",
		[WORD_THEIRS] = "Oracle BGP IP address",
		[WORD_OUR_ASN] = "Customer BGP ASN",
		[WORD_THEIR_ASN] = "Oracle BGP ASN",
		[WORD_KEY] = "BGP MD5 authentication key",
		[WORD_BFD] = "Enable BFD",
	},
	[SHEET_ALIBABA] = {
		[WORD_OBJECT] = "Virtual border router",
		[WORD_ID] = "VBR ID",
		[WORD_CIRCUIT] = "Physical connection",
		[WORD_VLAN] = "VLAN ID",
		[WORD_OURS] = "Customer side gateway IP",
		[WORD_THEIRS] = "Alibaba side gateway IP",
		[WORD_OUR_ASN] = "Peer ASN (BGP group)",
		[WORD_THEIR_ASN] = "Local ASN (BGP group)",
		[WORD_KEY] = "Key of the BGP group",
	},
	[SHEET_FABRIC] = {
		[WORD_OBJECT] = "Virtual cross-connect",
		[WORD_ID] = "Service ID",
		[WORD_CIRCUIT] = "Port or service key",
		[WORD_VLAN] = "VLAN, our end",
		[WORD_STAG] = "Outer VLAN, our end",
	},
	[SHEET_PARTNER] = {
		[WORD_OBJECT] = "Line",
		[WORD_ID] = "Line's id",
		[WORD_KEY] = "TCP-MD5 key",
		[WORD_ANNOUNCE] = "Networks we announce",
		[WORD_EXPECT] = "Networks we accept",
	},
};

const char *sheet_word(enum sheet_reader reader, enum sheet_word word)
{
	const char *own = words[reader][word];

	return own ? own : ordinary[word];
}
