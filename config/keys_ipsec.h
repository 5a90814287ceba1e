/* Rows of the table of keys that are about IPsec. See keys_ipsec.c. */
#ifndef LINTAS_CONFIG_KEYS_IPSEC_H
#define LINTAS_CONFIG_KEYS_IPSEC_H

#include "keys.h"

extern const struct key keys_ipsec[];  /* links.NAME.ipsec: relative to struct cfg_keying */
extern const struct key keys_tunnel[]; /* links.NAME.tunnels.NAME: names and the manual's words */

#endif
