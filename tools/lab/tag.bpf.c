/* Tags and untags frames at a peer, because a kernel may lack the 802.1Q module.
 *
 * A tagged attachment is two veth pairs: the peer's addresses sit on DEV, whose other end DEVw
 * stays in the peer's namespace without any; what leaves DEVw for the wire gets its tags here, what
 * comes from the wire with exactly these tags loses them and leaves through DEVw. Compiled once for
 * each attachment: CVID  inner (or only) VLAN     SVID, SPROTO  outer tag, absent when SVID is 0
 *   WIRE, DEVW  interface indexes
 * "push" runs on DEVw's ingress, "pop" on the wire's; "drop" is put before either to cut in
 * silence, "lose_push" and "lose_pop" to lose some. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("push")
int tag_push(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), CVID))
		return TC_ACT_SHOT;
	if (SVID && bpf_skb_vlan_push(skb, bpf_htons(SPROTO), SVID))
		return TC_ACT_SHOT;
	return bpf_redirect(WIRE, 0);
}

SEC("pop")
int tag_pop(struct __sk_buff *skb)
{
	__u16 outer_proto = SVID ? SPROTO : ETH_P_8021Q;
	__u16 outer_vid = SVID ? SVID : CVID;

	if (!skb->vlan_present || skb->vlan_proto != bpf_htons(outer_proto) ||
		(skb->vlan_tci & 0xfff) != outer_vid)
		return TC_ACT_UNSPEC; /* the next filter's, or nobody's */
	if (SVID) {
		__be16 inner[2]; /* the second tag is still in the frame, behind the addresses */

		if (bpf_skb_load_bytes(skb, 12, inner, sizeof(inner)) ||
			inner[0] != bpf_htons(ETH_P_8021Q) || (bpf_ntohs(inner[1]) & 0xfff) != CVID)
			return TC_ACT_UNSPEC;
		if (bpf_skb_vlan_pop(skb))
			return TC_ACT_SHOT;
	}
	if (bpf_skb_vlan_pop(skb))
		return TC_ACT_SHOT;
	return bpf_redirect(DEVW, 0);
}

/* A grey failure: LOSS packets of a hundred are lost, of those with the attachment's outer tag, or
 * of all that leave DEVw, BFD's too; the rest goes on to the filters above. */
#ifndef LOSS
#define LOSS 0
#endif

static int lose(struct __sk_buff *skb)
{
	(void)skb;
	if (bpf_get_prandom_u32() % 100 < LOSS)
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

SEC("lose_push")
int tag_lose_push(struct __sk_buff *skb)
{
	return lose(skb);
}

SEC("lose_pop")
int tag_lose_pop(struct __sk_buff *skb)
{
	if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != (SVID ? SVID : CVID))
		return TC_ACT_UNSPEC;
	return lose(skb);
}

SEC("drop")
int tag_drop(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

char tag_license[] SEC("license") = "GPL";
