/* The other source of SAs: a kernel with IPsec, followed (gateway.ipsec = "kernel"). */
#ifndef LINTAS_XFRM_MIRROR_H
#define LINTAS_XFRM_MIRROR_H

#include "sas.h"

int xfrm_mirror_start(void);
void xfrm_mirror_stop(void);
void xfrm_mirror_config_changed(void);
/* Follow fd, a NETLINK_XFRM socket bound to SAs' and expiry's groups; owned from here on if 0. */
int xfrm_mirror_attach(const struct vrf *vrf, int fd);

#endif
