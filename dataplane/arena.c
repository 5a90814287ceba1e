/* Arenas: where the forwarding tables live (trie.c).
 *
 * An arena is 1 GB of address space, aligned to its size, so that a block's address leads back to
 * its arena; memory is committed as it fills. Offsets of 32 bits keep the tables half the size
 * pointers would make them. Free blocks hang on one list a size (in units of 8 bytes) and one for
 * everything large; neighbours are merged at once. For that a bitmap beside the data marks the
 * first and last unit of each free block, and the block itself, free, holds its links and its size:
 * nothing is spent on blocks in use. What is free at the end is given back. No huge pages: the
 * processor's second TLB holds all of a table of a million routes (measured: no difference), while
 * the first touch of a huge page stops control for up to 9 ms. */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include "arena.h"

#define ARENA_BYTES ((size_t)1 << 30)
#define MAP_BYTES   (ARENA_BYTES / ARENA_UNIT / 8) /* a bit a unit, at the end */
#define MAP_START   (ARENA_BYTES - MAP_BYTES)
#define ASIDE_START ((size_t)ARENA_ASIDE * ARENA_UNIT)
#define FIRST	    (4096 / ARENA_UNIT) /* the struct arena itself is below */
#define COMMIT_MIN  ((size_t)64 << 10)
#define GIVE_BACK   ((size_t)1 << 20) /* worth a system call */
#define CLASSES	    64		      /* free lists: exactly 2..62 units; 63: that and more */
#define LARGE	    (CLASSES - 1)

struct arena {
	uint64_t zero[2]; /* block 0 */
	uint32_t top;	  /* units: nothing is allocated from here on */
	uint32_t touched; /* units: nothing was since memory was last given back */
	size_t committed; /* bytes of data that may be written */
	size_t aside;	  /* the same, from ARENA_ASIDE on */
	size_t retired;	  /* blocks on their way back */
	bool destroyed;
	uint64_t nonempty; /* bit a free list */
	uint32_t list[CLASSES];
};

/* A free block's first unit, and its size in the first half of the second and the last half of the
 * last. */
struct hole {
	uint32_t next, prev; /* 0 = none */
	uint32_t size;
};

static struct hole *hole_at(const struct arena *a, uint32_t unit)
{
	return (struct hole *)((char *)(uintptr_t)a + (size_t)unit * ARENA_UNIT);
}

static uint32_t *hole_tail(const struct arena *a, uint32_t unit, uint32_t size)
{
	return (uint32_t *)((char *)(uintptr_t)a + ((size_t)unit + size) * ARENA_UNIT) - 1;
}

static uint64_t *map_word(struct arena *a, uint32_t unit)
{
	return (uint64_t *)((char *)a + MAP_START) + unit / 64;
}

static bool map_test(struct arena *a, uint32_t unit)
{
	return *map_word(a, unit) >> unit % 64 & 1;
}

static void map_mark(struct arena *a, uint32_t first, uint32_t size, bool is_free)
{
	const uint32_t ends[2] = { first, first + size - 1 };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t bit = 1ull << ends[i] % 64;

		if (is_free)
			*map_word(a, ends[i]) |= bit;
		else
			*map_word(a, ends[i]) &= ~bit;
	}
}

struct arena *arena_create(void)
{
	char *p = mmap(NULL, 2 * ARENA_BYTES, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *aligned;
	struct arena *a;

	if (p == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)p + ARENA_BYTES - 1) & ~(uintptr_t)(ARENA_BYTES - 1));
	if (aligned > p)
		munmap(p, (size_t)(aligned - p));
	munmap(aligned + ARENA_BYTES, (size_t)(p + ARENA_BYTES - aligned));
	madvise(aligned, ARENA_BYTES, MADV_NOHUGEPAGE); /* where that is the default */
	if (mprotect(aligned, COMMIT_MIN, PROT_READ | PROT_WRITE) ||
		mprotect(aligned + MAP_START, 4096, PROT_READ | PROT_WRITE)) {
		munmap(aligned, ARENA_BYTES);
		return NULL;
	}
	a = (struct arena *)aligned;
	a->top = FIRST;
	a->committed = COMMIT_MIN;
	return a;
}

void arena_destroy(struct arena *a)
{
	if (!a)
		return;
	a->destroyed = true;
	if (!a->retired)
		munmap(a, ARENA_BYTES);
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int arena_reserve(struct arena *a, size_t bytes, size_t blocks)
{
	size_t end = (size_t)a->top * ARENA_UNIT + bytes + blocks * 2 * ARENA_UNIT + ARENA_SLACK;
	size_t map_end, committed;

	if (end <= a->committed)
		return 0;
	/* In steps of an eighth: few system calls, little waste. */
	committed = round_up(end + end / 8, COMMIT_MIN);
	if (committed > ASIDE_START)
		return -ENOMEM;
	map_end = round_up(committed / ARENA_UNIT / 8 + 8, 4096);
	if (mprotect((char *)a + MAP_START, map_end, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	if (mprotect(a, committed, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	a->committed = committed;
	return 0;
}

int arena_reserve_aside(struct arena *a, size_t bytes)
{
	if (bytes <= a->aside)
		return 0;
	bytes = round_up(bytes, COMMIT_MIN);
	if (bytes > MAP_START - ASIDE_START ||
		mprotect((char *)a + ASIDE_START, bytes, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	a->aside = bytes;
	return 0;
}

static unsigned class_of(uint32_t size)
{
	return size < LARGE ? size : LARGE;
}

static void hole_link(struct arena *a, uint32_t unit, uint32_t size)
{
	struct hole *h = hole_at(a, unit);
	unsigned class = class_of(size);

	h->next = a->list[class];
	h->prev = 0;
	h->size = size;
	*hole_tail(a, unit, size) = size;
	if (h->next)
		hole_at(a, h->next)->prev = unit;
	a->list[class] = unit;
	a->nonempty |= 1ull << class;
	map_mark(a, unit, size, true);
}

static void hole_unlink(struct arena *a, uint32_t unit)
{
	struct hole *h = hole_at(a, unit);
	unsigned class = class_of(h->size);

	map_mark(a, unit, h->size, false);
	if (h->next)
		hole_at(a, h->next)->prev = h->prev;
	if (h->prev)
		hole_at(a, h->prev)->next = h->next;
	else
		a->list[class] = h->next;
	if (!a->list[class])
		a->nonempty &= ~(1ull << class);
}

static uint32_t units(size_t bytes)
{
	uint32_t n = (uint32_t)((bytes + ARENA_UNIT - 1) / ARENA_UNIT);

	return n < 2 ? 2 : n;
}

/* A hole of size units, or of at least two more so that the rest can be a hole again. 0: none. */
static uint32_t hole_find(const struct arena *a, uint32_t size)
{
	uint64_t larger;
	uint32_t unit;

	if (size < LARGE && a->list[size])
		return a->list[size];
	larger = size + 2 < LARGE ? a->nonempty & ~0ull << (size + 2) : 0;
	if (larger && __builtin_ctzll(larger) < LARGE)
		return a->list[__builtin_ctzll(larger)];
	unit = a->list[LARGE];
	for (unsigned tries = 0; unit && tries < 8; tries++) {
		const struct hole *h = hole_at(a, unit);

		if (h->size == size || h->size >= size + 2)
			return unit;
		unit = h->next;
	}
	return 0;
}

uint32_t arena_alloc(struct arena *a, size_t bytes)
{
	uint32_t size = units(bytes), unit = hole_find(a, size), found;

	if (!unit) {
		unit = a->top;
		a->top += size;
		if (a->top > a->touched)
			a->touched = a->top;
		return unit;
	}
	found = hole_at(a, unit)->size;
	hole_unlink(a, unit);
	if (found > size)
		hole_link(a, unit + size, found - size);
	return unit;
}

void arena_free(struct arena *a, uint32_t block, size_t bytes)
{
	uint32_t size = units(bytes), after = block + size;

	if (after < a->top && map_test(a, after)) {
		uint32_t more = hole_at(a, after)->size;

		hole_unlink(a, after);
		size += more;
	}
	if (block > FIRST && map_test(a, block - 1)) {
		uint32_t more = *hole_tail(a, block, 0);

		hole_unlink(a, block - more);
		block -= more;
		size += more;
	}
	if (block + size < a->top) {
		hole_link(a, block, size);
		return;
	}
	a->top = block;
	if ((size_t)(a->touched - block) * ARENA_UNIT > GIVE_BACK) {
		size_t from = round_up((size_t)block * ARENA_UNIT, 4096);

		madvise((char *)a + from, a->committed - from, MADV_DONTNEED);
		a->touched = block;
	}
}

void arena_retire(struct arena *a)
{
	a->retired++;
}

void arena_free_retired(struct arena *a, uint32_t block, size_t bytes)
{
	a->retired--;
	if (!a->destroyed)
		arena_free(a, block, bytes);
	else if (!a->retired)
		munmap(a, ARENA_BYTES);
}

struct arena *arena_of(const void *block)
{
	return (struct arena *)((uintptr_t)block & ~(uintptr_t)(ARENA_BYTES - 1));
}

size_t arena_bytes(const struct arena *a)
{
	return (size_t)a->top * ARENA_UNIT;
}
