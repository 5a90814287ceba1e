/* A router whose kernel is played: the real mirror, the real fast path and its workers, packets on
 * net_ring, and netlink messages from here. fake.c makes it, failover.c judges it. */
#ifndef LINTAS_FAKE_H
#define LINTAS_FAKE_H

#include "control/mirror_state.h"
#include "tests/packet/flows.h"
#include "tests/packet/wires.h"
#include "tests/unit/nlbuild.h"

#define LEGS	  4 /* links l1..l4, ports 1..4; packets come in on l0, port 0 */
#define ALL_LEGS  ((1u << LEGS) - 1)
#define PREFIXES4 1000000u
#define PREFIXES6 20000u

extern struct vrf *fake_vrf;
extern struct link *fake_links[LEGS + 1];
extern uint64_t fake_publications; /* of path groups, and when the last one was done: */
extern uint64_t fake_published_ns, fake_took_ns; /* took: since its callback began */

int fake_start(void); /* 0 or -errno, said on stdout */
void fake_stop(void);

/* ---- the kernel says ---- */
/* Prefix i of a family leads to these legs (a bit each); 0: deleted. flags: NLM_F_REPLACE. */
void fake_route(uint8_t af, unsigned i, unsigned legs, uint16_t flags);
void fake_interface(unsigned leg, bool up); /* l1..l4: running or not, as RTM_NEWLINK tells */
struct ip_addr fake_address(uint8_t af, unsigned i); /* a host in prefix i */

/* ---- time passes ---- */
void fake_turn(void);	/* one turn of the loop, of the kernel's dumps, and of the packets */
void fake_settle(void); /* until everything told has been taken in, and the dumps that follow */
bool fake_port(unsigned port, bool up); /* carrier; returns when control has been told */

/* ---- packets ---- */
/* From now on fake_turn() sends and collects; each flow to prefix i of its family. */
void fake_flow(uint8_t af, unsigned i, uint16_t sport);
void fake_traffic(bool on);
void fake_drain(void); /* all that were sent have come out, or been dropped */

#endif
