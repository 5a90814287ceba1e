/* What parse.c reads of a snapshot; everybody else uses the functions of worker.h. */
#ifndef LINTAS_SNAPSHOT_H
#define LINTAS_SNAPSHOT_H

#include "worker.h"

#define VLAN_IDS 4096

struct tag_slot {
	uint16_t at;	/* position in links + 1 of who claims this tag alone; 0 = nobody */
	uint16_t inner; /* index + 1 of the table of second tags; 0 = none */
};

struct port_match {
	const struct link *untagged;	  /* NULL: nobody */
	struct tag_slot tag[2][VLAN_IDS]; /* outer TPID 0x8100, 0x88a8 */
};

struct vxlan_key {
	struct ip_addr local, remote;
	uint32_t vni;
	uint16_t vrf, udp_port;
};

struct vxlan_slot {
	struct vxlan_key key;
	uint16_t link; /* DP_NONE: free */
};

struct snapshot {
	struct link *links; /* n of them */
	unsigned n;
	bool partners;				/* one at least: policy has work */
	uint16_t index[DP_LINKS_MAX];		/* id -> position in links + 1; 0 = no such link */
	struct port_match *ports[DP_PORTS_MAX]; /* NULL: no link on it */
	uint16_t (*inner)[VLAN_IDS];		/* position in links + 1 by second tag */
	unsigned n_inner;
	struct vxlan_slot *vxlan; /* open addressing; vxlan_mask + 1 slots, at most half used */
	unsigned vxlan_mask;
	uint64_t vxlan_ports[65536 / 64]; /* which UDP ports are anybody's */
};

/* Is (vrf, local, udp_port) an end of any tunnel? With remote, whatever the port: is (vrf, local,
 * remote)? */
bool snapshot_is_endpoint(const struct snapshot *s, uint16_t vrf, const struct ip_addr *local,
	const struct ip_addr *remote, uint16_t udp_port);

static inline const struct link *snapshot_link_at(const struct snapshot *s, uint16_t id)
{
	return s->index[id] ? &s->links[s->index[id] - 1] : NULL;
}

#endif
