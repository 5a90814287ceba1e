/* VRFs: vrf.c. Inline here is what the straight line asks of one. */
#ifndef LINTAS_VRF_H
#define LINTAS_VRF_H

#include <stdatomic.h>
#include <string.h>
#include "worker.h"

_Static_assert(OWN_BITS == 8192, "the shifts below");
#define VRF_OWN_FACTOR 0x9e3779b1u
#define VRF_OWN_SHIFT  19

static inline unsigned vrf_own_bit4(uint32_t addr) /* network order */
{
	return (addr * VRF_OWN_FACTOR) >> VRF_OWN_SHIFT;
}

static inline unsigned vrf_own_bit6(const uint8_t *addr)
{
	uint64_t a, b;

	memcpy(&a, addr, 8);
	memcpy(&b, addr + 8, 8);
	return (unsigned)(((a ^ (b << 31 | b >> 33)) * 0x9e3779b97f4a7c15u) >> 51);
}

/* False: certainly no address of ours. */
static inline bool vrf_may_own(const struct vrf_fib *vrf, unsigned bit)
{
	return atomic_load_explicit(&vrf->own[bit / 64], memory_order_relaxed) >> (bit % 64) & 1;
}

/* NULL: no such VRF. Workers. */
static inline const struct vrf_fib *vrf_get(uint16_t vrf)
{
	return atomic_load_explicit(&vrf_table[vrf], memory_order_acquire);
}

#endif
