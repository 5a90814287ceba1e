/* The rules between keys and between objects. See check.c. */
#ifndef LINTAS_CONFIG_CHECK_H
#define LINTAS_CONFIG_CHECK_H

#include "parse.h"
#include "resolve.h"

/* check.c: gateway, ports, zones, paths; calls those below. */
void check_all(const struct parse *p);
/* check_link.c: one link by itself, and what links claim of ports and underlays. */
void check_link_all(const struct parse *p);
/* check_net.c: addresses of a VRF, next hops, static routes, BGP neighbours. */
void check_net_all(const struct parse *p);

/* check_vrrp.c: who may run VRRP, and for which addresses. */
void check_vrrp_all(const struct parse *p);

/* check_ipsec.c: proposals, what belongs together. */
void check_ipsec_all(const struct parse *p);
/* check_secret.c: the files in the folder of keys. */
void check_secret_all(const struct parse *p);

/* Can this be the address of one host? (not 0/8, 127/8, multicast, 240/4; not ::, ::1, ff00::/8,
 * mapped) */
bool check_unicast(const struct ip_addr *addr);

#endif
