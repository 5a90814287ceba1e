/* Free indexes of a table of the fast path, handed out oldest first: a worker that still holds an
 * index when it is given back meets an empty slot, not another's contents, for as long as possible.
 * 0 is never given. */
#ifndef LINTAS_INDEX_H
#define LINTAS_INDEX_H

#include <stdint.h>

#define INDEX_MAX 65536u

struct index_pool {
	unsigned size, head, n; /* n free ones from ring[head] on */
	uint16_t ring[INDEX_MAX];
};

static inline void index_init(struct index_pool *pool, unsigned size)
{
	pool->size = size;
	pool->head = 0;
	pool->n = size - 1;
	for (unsigned i = 0; i + 1 < size; i++)
		pool->ring[i] = i + 1;
}

static inline uint32_t index_take(struct index_pool *pool) /* 0: none left */
{
	uint32_t index;

	if (!pool->n)
		return 0;
	index = pool->ring[pool->head];
	pool->head = (pool->head + 1) % INDEX_MAX;
	pool->n--;
	return index;
}

static inline void index_give(struct index_pool *pool, uint32_t index)
{
	pool->ring[(pool->head + pool->n++) % INDEX_MAX] = index;
}

#endif
