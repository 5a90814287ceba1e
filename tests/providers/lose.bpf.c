/* A grey failure: LOSS packets of a hundred are lost where this is put, before a peer's wire. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

SEC("lose")
int lose_some(struct __sk_buff *skb)
{
	(void)skb;
	return bpf_get_prandom_u32() % 100 < LOSS ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char lose_license[] SEC("license") = "GPL";
