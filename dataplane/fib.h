/* Forwarding tables: longest prefix match from an address to a 32-bit value (a path group index).
 *
 * One table per VRF and family. One writer (control), any number of readers (workers) that never
 * wait and never get an answer that was not right just before or just after an update. What an
 * update replaces is handed to `retire` and must live until every reader has been quiescent once.
 * No EAL needed here. */
#ifndef LINTAS_FIB_H
#define LINTAS_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIB_VALUE_MAX ((1u << 24) - 1) /* values are 24 bits; 0 = no route */

/* Free ptr by calling fn(ptr) when no reader can hold it any more. */
typedef void (*fib_retire_fn)(void (*fn)(void *ptr), void *ptr);

struct fib4;
struct fib6;

struct fib4 *fib4_create(fib_retire_fn retire); /* NULL: no memory */
void fib4_destroy(struct fib4 *fib);		/* no reader left; NULL is fine */
/* prefix: network order, host bits ignored; len 0..32; value 1..FIB_VALUE_MAX. Adds or replaces.
 * 0, -EINVAL, -ENOMEM (table unchanged). */
int fib4_set(struct fib4 *fib, const uint8_t prefix[4], unsigned len, uint32_t value);
/* 0, -ENOENT, -ENOMEM (table unchanged). */
int fib4_del(struct fib4 *fib, const uint8_t prefix[4], unsigned len);
/* n lookups, all in one table: addr in host order. Readers only. */
void fib4_lookup_same(
	const struct fib4 *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n);
/* The same, each in its own table. */
void fib4_lookup_bulk(
	const struct fib4 *const *fib, const uint32_t *addr, uint32_t *ret_value, unsigned n);

struct fib6 *fib6_create(fib_retire_fn retire);
void fib6_destroy(struct fib6 *fib);
int fib6_set(struct fib6 *fib, const uint8_t prefix[16], unsigned len, uint32_t value);
int fib6_del(struct fib6 *fib, const uint8_t prefix[16], unsigned len);
/* addr: pointers to 16 bytes in network order, unaligned allowed. */
void fib6_lookup_same(
	const struct fib6 *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n);
void fib6_lookup_bulk(
	const struct fib6 *const *fib, const uint8_t *const *addr, uint32_t *ret_value, unsigned n);

struct fib_usage {
	uint64_t routes, lookup_bytes, control_bytes;
};
void fib4_usage(const struct fib4 *fib, struct fib_usage *ret_usage);
void fib6_usage(const struct fib6 *fib, struct fib_usage *ret_usage);

#endif
