/* Memory of one configuration, one list of errors or one difference: allocated piece by piece,
 * freed at once. See pool.c. */
#ifndef LINTAS_POOL_H
#define LINTAS_POOL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

struct cfg_pool {
	struct pool_chunk *chunks;
	size_t used, size; /* of the first chunk */
	jmp_buf *oom;	   /* where to go when memory is out; never NULL while somebody allocates */
	void *held; /* from malloc, freed with the pool: in the caller's hands when it jumps */
};

struct cfg_pool *pool_new(void); /* NULL: no memory */
void pool_free(struct cfg_pool *pool);

/* Zeroed, aligned for anything. All of these jump to pool->oom instead of failing. */
void *pool_alloc(struct cfg_pool *pool, size_t size);
void *pool_array(struct cfg_pool *pool, size_t n, size_t size);
char *pool_strdup(struct cfg_pool *pool, const char *text);
char *pool_printf(struct cfg_pool *pool, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
char *pool_vprintf(struct cfg_pool *pool, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
void pool_oom(struct cfg_pool *pool) __attribute__((noreturn));

#endif
