/* Light: what a transceiver's memory says. See optics.c. */
#ifndef LINTAS_OPTICS_H
#define LINTAS_OPTICS_H

#include "dataplane.h"

#define OPTICS_EEPROM_MAX 1024

/* kind as DPDK and Linux number them alike: 2 SFF-8472, 3 SFF-8636, 4 SFF-8436. Pure; every byte is
 * checked to be there. 0, or -ENODATA when the module does not measure. */
int optics_decode(uint32_t kind, const uint8_t *eeprom, unsigned len, struct dp_optics *ret_optics);

#endif
