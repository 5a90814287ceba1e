/* What the stages read of a snapshot; who is not on the packet's way asks by worker.h. */
#ifndef LINTAS_SNAPSHOT_H
#define LINTAS_SNAPSHOT_H

#include <netinet/in.h>
#include "flow.h"
#include "worker.h"

#define VLAN_IDS 4096
#define ESP_PORT 4500 /* RFC 3948 */

struct tag_slot {
	uint16_t at;	/* position in links + 1 of who claims this tag alone; 0 = nobody */
	uint16_t inner; /* index + 1 of the table of second tags; 0 = none */
};

struct port_match {
	const struct link *untagged;	  /* NULL: nobody */
	struct tag_slot tag[2][VLAN_IDS]; /* outer TPID 0x8100, 0x88a8 */
};

/* IPv4: remote and local in the first word, then zeros; IPv6: two words each. The last: VNI
 * or key, family, kind, VRF, UDP port. */
struct tunnel_key {
	uint64_t word[5];
};

enum tunnel_kind {
	TUNNEL_NONE,
	TUNNEL_VXLAN,
	TUNNEL_GENEVE,
	TUNNEL_GRE,
	TUNNEL_GRE_KEY,
	TUNNEL_IPIP,
	TUNNEL_ESP,
	TUNNEL_END,  /* no tunnel: with protocol and port, an end of any, */
	TUNNEL_PAIR, /* and, with protocol, a pair of ends */
};

struct tunnel_slot {
	struct tunnel_key key;
	uint16_t at; /* position in links + 1; 0 = free */
};

struct snapshot {
	struct link *links; /* n of them */
	unsigned n;
	bool zones;					 /* one at least: policy has work */
	uint8_t zone[DP_LINKS_MAX];			 /* by link id */
	uint64_t reach[DP_ZONES_MAX][DP_ZONES_MAX / 64]; /* from zone: a bit a zone */
	uint16_t index[DP_LINKS_MAX];		/* id -> position in links + 1; 0 = no such link */
	struct port_match *ports[DP_PORTS_MAX]; /* NULL: no link on it */
	uint16_t (*inner)[VLAN_IDS];		/* position in links + 1 by second tag */
	unsigned n_inner;
	struct tunnel_slot *tunnels; /* open addressing; tunnel_mask + 1 slots, at most half used */
	unsigned tunnel_mask;
	bool protos[256];	 /* IP protocols that tunnels come in */
	uint8_t udp_kind[65536]; /* by UDP port: enum tunnel_kind, 0 = nobody's */
};

_Static_assert(DP_VRFS_MAX <= 256, "a VRF is eight bits of a key");

static __rte_always_inline struct tunnel_key tunnel_key(uint8_t af, enum tunnel_kind kind,
	const uint8_t *local, const uint8_t *remote, uint32_t vni, uint16_t vrf, uint16_t udp_port)
{
	uint64_t last = (uint64_t)vni << 32 | (uint64_t)kind << 24 | (uint64_t)vrf << 16 | udp_port;

	if (af == AF_INET)
		return (struct tunnel_key){
			{ (uint64_t)flow_be32(remote) << 32 | flow_be32(local), [4] = last }
		};
	return (struct tunnel_key){ { flow_be64(local), flow_be64(local + 8), flow_be64(remote),
		flow_be64(remote + 8), last | UINT64_C(1) << 31 } };
}

static __rte_always_inline unsigned tunnel_hash(const struct tunnel_key *k, uint8_t af)
{
	uint64_t h = flow_step(flow_step(FLOW_K2, k->word[4]), k->word[0]);

	if (af != AF_INET)
		h = flow_step(flow_step(flow_step(h, k->word[1]), k->word[2]), k->word[3]);
	return flow_end(h);
}

static __rte_always_inline bool tunnel_same(
	const struct tunnel_key *a, const struct tunnel_key *b, uint8_t af)
{
	return a->word[0] == b->word[0] && a->word[4] == b->word[4] &&
	       (af == AF_INET || (a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
					 a->word[3] == b->word[3]));
}

/* The slot that holds key, or the free one where it would go: the table is there and never more
 * than half full. */
static __rte_always_inline struct tunnel_slot *tunnel_find(
	const struct snapshot *s, const struct tunnel_key *key, uint8_t af)
{
	unsigned i = tunnel_hash(key, af) & s->tunnel_mask;

	while (s->tunnels[i].at && !tunnel_same(&s->tunnels[i].key, key, af))
		i = (i + 1) & s->tunnel_mask;
	return &s->tunnels[i];
}

static inline enum tunnel_kind tunnel_port(const struct snapshot *s, uint16_t port)
{
	return s->udp_kind[port];
}

static inline bool tunnel_proto(const struct snapshot *s, uint8_t proto)
{
	return s->protos[proto];
}

/* Is (vrf, local, proto, udp_port) an end of any tunnel? With remote, whatever the port: is (vrf,
 * local, remote, proto)? */
bool snapshot_is_endpoint(const struct snapshot *s, uint16_t vrf, uint8_t af, const uint8_t *local,
	const uint8_t *remote, uint8_t proto, uint16_t udp_port);

static inline const struct link *snapshot_link_at(const struct snapshot *s, uint16_t id)
{
	return s->index[id] ? &s->links[s->index[id] - 1] : NULL;
}

#endif
