/* Memory for one forwarding table: blocks named by 32-bit offsets, freed and merged, never moved.
 *
 * One writer. Blocks are whole units of 8 bytes, two at least. An arena outlives its table until
 * the last retired block has come back. */
#ifndef LINTAS_ARENA_H
#define LINTAS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_UNIT  8u
#define ARENA_SLACK 64u /* bytes that may be read from any block on */
#define ARENA_ASIDE \
	(1u << 26) /* block from which on the owner decides what is where; zero at first */

struct arena;

struct arena *arena_create(void); /* NULL: no memory */
/* Gone at once, or with the last block that is still retired. NULL is fine. */
void arena_destroy(struct arena *a);
/* The next allocations, `blocks` of together at most `bytes`, cannot fail. 0 or -ENOMEM. */
int arena_reserve(struct arena *a, size_t bytes, size_t blocks);
/* So many bytes from ARENA_ASIDE on can be used. 0 or -ENOMEM. */
int arena_reserve_aside(struct arena *a, size_t bytes);
/* Only within what was reserved. Contents undefined. */
uint32_t arena_alloc(struct arena *a, size_t bytes);
void arena_free(struct arena *a, uint32_t block, size_t bytes);
/* A block that readers may still see leaves the arena later, through arena_free_retired. */
void arena_retire(struct arena *a);
void arena_free_retired(struct arena *a, uint32_t block, size_t bytes);
struct arena *arena_of(const void *block);
/* Where the blocks are counted from: it is its own block 0. */
static inline void *arena_base(struct arena *a)
{
	return a;
}
size_t arena_bytes(const struct arena *a); /* used, with holes */

#endif
