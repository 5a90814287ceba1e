/* What `status` calls memory: pages that were written, not address space and not what was only
 * read. */
#include <sys/mman.h>
#include <unistd.h>
#include "dataplane/memory.h"
#include "unit.h"

#define PAGES 64

static void test_resident(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = PAGES * page;
	volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CU_ASSERT_FATAL(p != MAP_FAILED);
	madvise((void *)(uintptr_t)p, bytes, MADV_NOHUGEPAGE);
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, bytes), 0);
	for (size_t i = 0; i < bytes; i += page)
		(void)p[i]; /* the zero page, over and over */
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, bytes), 0);
	p[3 * page] = p[7 * page + 9] = 1;
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, bytes), 2 * (int64_t)page);
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, 4 * page), (int64_t)page);
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, 3 * page + 1),
		(int64_t)page); /* whole pages */
	munmap((void *)(uintptr_t)p, bytes);
}

/* More entries than are read at once. */
static void test_large(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 2000 * page;
	volatile char *p =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(p != MAP_FAILED);
	madvise((void *)(uintptr_t)p, bytes, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < bytes; i += 2 * page)
		p[i] = 1;
	CU_ASSERT_EQUAL(memory_resident((void *)(uintptr_t)p, bytes), 1000 * (int64_t)page);
	munmap((void *)(uintptr_t)p, bytes);
}

void unit_memory(void)
{
	static const struct unit_test tests[] = {
		{ "resident", test_resident },
		{ "large", test_large },
	};

	UNIT_SUITE("memory", tests);
}
