/* A pool owns everything that belongs to one configuration, one error list or one difference.
 *
 * Chunks are taken from malloc, doubled in size, and never given back before the pool goes: a
 * struct config is immutable, so nothing in it is ever freed alone. Whoever builds something on a
 * pool is a deep walk over a tree; checking every small allocation there would bury the walk.
 * Therefore allocation does not return when memory is out: it jumps to the place the entry point
 * named with setjmp (config_load, config_diff), which frees the pool and reports -ENOMEM. Between
 * the setjmp and the jump nothing outside the pool may be held in a local variable. One thread at a
 * time works on a pool. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pool.h"

#define POOL_ALIGN     16
#define POOL_CHUNK_MIN 4096
#define POOL_CHUNK_MAX (1u << 20)

struct pool_chunk {
	struct pool_chunk *next;
	size_t pad; /* keeps what follows aligned to POOL_ALIGN */
	unsigned char bytes[];
};

struct cfg_pool *pool_new(void)
{
	return calloc(1, sizeof(struct cfg_pool));
}

void pool_free(struct cfg_pool *pool)
{
	struct pool_chunk *chunk, *next;

	if (!pool)
		return;
	for (chunk = pool->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(pool->held);
	free(pool);
}

void pool_oom(struct cfg_pool *pool)
{
	if (!pool->oom)
		abort(); /* an entry point of this folder forgot its setjmp */
	longjmp(*pool->oom, 1);
}

static void pool_grow(struct cfg_pool *pool, size_t size)
{
	size_t want = pool->size ? pool->size * 2 : POOL_CHUNK_MIN;
	struct pool_chunk *chunk;

	if (want > POOL_CHUNK_MAX)
		want = POOL_CHUNK_MAX;
	if (want < size)
		want = size;
	chunk = calloc(1, sizeof(*chunk) + want);
	if (!chunk)
		pool_oom(pool);
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	pool->used = 0;
	pool->size = want;
}

void *pool_alloc(struct cfg_pool *pool, size_t size)
{
	void *bytes;

	if (size > SIZE_MAX / 2)
		pool_oom(pool);
	size = (size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
	if (!pool->chunks || pool->size - pool->used < size)
		pool_grow(pool, size);
	bytes = pool->chunks->bytes + pool->used;
	pool->used += size;
	return bytes;
}

void *pool_array(struct cfg_pool *pool, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / 2 / size)
		pool_oom(pool);
	return pool_alloc(pool, n * size);
}

char *pool_strdup(struct cfg_pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(pool_alloc(pool, size), text, size);
}

char *pool_vprintf(struct cfg_pool *pool, const char *fmt, va_list args)
{
	va_list again;
	char *text;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		pool_oom(pool);
	text = pool_alloc(pool, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, args);
	return text;
}

char *pool_printf(struct cfg_pool *pool, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = pool_vprintf(pool, fmt, args);
	va_end(args);
	return text;
}
