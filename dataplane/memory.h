/* How much of some address space is memory: memory.c. */
#ifndef LINTAS_MEMORY_H
#define LINTAS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of whole pages that have been written; start on a page boundary. -errno: not known. */
int64_t memory_resident(const void *start, size_t bytes);

#endif
