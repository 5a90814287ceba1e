/* One link's kernel side, brought to what its configuration says. */
#ifndef LINTAS_BRING_H
#define LINTAS_BRING_H

#include "control.h"
#include "mirror.h"

/* Ports the fast path was started with: name to number, -1 = not started (staged until
 * a restart). */
void bring_ports(const struct config *config);
int bring_port_number(const char *name);

/* The link's kernel interface: the TAP in its VRF, with the MAC and MTU of cfg; carrier as the
 * port's. Also for a link that has one already: its MAC and MTU are brought up to date. 0 or
 * -errno, logged. */
int bring_tap(struct link *link, const struct cfg_link *cfg);
/* Addresses, up or down, static routes: from what `old` (NULL: nothing) had put there to what
 * link->cfg wants. What fails is logged and tried again. */
void bring_link(struct link *link, const struct cfg_link *old);
/* Links of the VRF assert their routes again: another link has given some up. */
void bring_again(const struct vrf *vrf);
/* The link leaves: its interface goes with everything on it. The fast path no longer uses it, but
 * its punt thread may hold the descriptor's number for a moment: the number is closed later. */
void bring_gone(struct link *link);
/* Some are still being taken apart: their names are not free yet. */
bool bring_closing(void);
void bring_loopback(struct vrf *vrf, const struct cfg_vrf *old, const struct cfg_vrf *cfg);

/* A port has or has lost carrier: every link on it has it too. */
void bring_carrier(unsigned port, bool up);
void bring_carriers(void); /* all ports, after links came or moved */
/* The kernel's carrier of tunnels as the mirror has found it. */
void bring_tunnel_carriers(void);
/* What has failed and what somebody removed is put back, a few links at a time. */
int bring_start(void);
void bring_stop(void);
/* Something of the link is missing in the kernel: it is asserted again, later each time. */
void bring_dirty(const struct link *link);

/* ---- bring_routes.c ---- */
struct bring_routes { /* the static routes of one link */
	struct kernel_route_op *ops;
	unsigned n;
};
/* Sorted, for bring_routes_has; the caller frees ops. */
int bring_routes_of(const struct cfg_link *cfg, int ifindex, struct bring_routes *ret_routes);
bool bring_routes_has(const struct bring_routes *routes, const struct kernel_route_op *op);
/* Those of `old` (may be NULL) that link->cfg has not leave; all it has come, or of a long list the
 * next few (some). 0 or -errno: nothing was sent. */
int bring_routes_set(struct link *link, const struct cfg_link *old, bool some);
/* What the probes say of the link has changed: tracked static routes leave the kernel, or return.
 */
void bring_track(struct link *link);
/* Static routes that tracking keeps out of the kernel now. */
unsigned bring_withdrawn(const struct link *link);
void bring_routes_forget(const struct link *link); /* the link leaves */

/* ---- bring.c ---- */
void bring_mac_of(const struct cfg_link *cfg, uint8_t ret_mac[6]);
/* The kernel interface's: zero for a link of packets, whose interface is a TUN and has none. */
void bring_kernel_mac_of(const struct cfg_link *cfg, uint8_t ret_mac[6]);
/* A tunnel carries another size than before: the kernel's interface follows. */
void bring_tunnel_mtu(struct link *link);
/* The configured MTU, or less where the port took less (a larger one waits for a restart). */
uint16_t bring_mtu_of(const struct cfg_link *cfg);

#endif
