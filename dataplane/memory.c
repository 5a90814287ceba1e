/* How much memory the tables take: for `status`, so that "bytes a route" is read and not guessed.
 *
 * Asked by control, which also writes all of these tables, so nothing moves meanwhile but counters.
 * Tables of known shape are counted entry by entry without looking into them: with 65,536
 * adjacencies that would take longer than a callback may. The counters' matrices are address space
 * until they are written; what they hold of it is asked of the kernel, page by page: present and
 * mapped by nobody else, which leaves out the zero page that reading alone maps. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <unistd.h>
#include "counters.h"
#include "memory.h"
#include "route.h"
#include "snapshot.h"

#define PAGE_PRESENT   (UINT64_C(1) << 63)
#define PAGE_EXCLUSIVE (UINT64_C(1) << 56)

int64_t memory_resident(const void *start, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, n;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry[512];
	int64_t resident = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < pages; i += n) {
		n = pages - i < 512 ? pages - i : 512;
		ssize_t got = pread(fd, entry, n * sizeof(entry[0]),
			(off_t)(((uintptr_t)start / page + i) * sizeof(entry[0])));

		if (got != (ssize_t)(n * sizeof(entry[0]))) {
			resident = -EIO;
			break;
		}
		for (size_t k = 0; k < n; k++)
			if ((entry[k] & PAGE_PRESENT) && (entry[k] & PAGE_EXCLUSIVE))
				resident += (int64_t)page;
	}
	close(fd);
	return resident;
}

static void add_vrfs(struct dp_memory *m)
{
	struct dp_fib_info fib;

	for (unsigned vrf = 0; vrf < DP_VRFS_MAX; vrf++) {
		if (dp_fib_info(vrf, &fib))
			continue;
		m->vrfs++;
		m->routes += fib.routes4 + fib.routes6;
		m->lookup_bytes += fib.lookup_bytes;
		m->control_bytes += fib.control_bytes;
		m->vrf_bytes += malloc_usable_size(vrf_table[vrf]);
	}
}

static void add_links(struct dp_memory *m)
{
	const struct snapshot *s = snapshot_published;

	if (!s)
		return;
	m->links = s->n;
	m->link_bytes = sizeof(*s) + s->n * sizeof(s->links[0]) + s->n_inner * sizeof(s->inner[0]);
	if (s->tunnels)
		m->link_bytes += ((uint64_t)s->tunnel_mask + 1) * sizeof(s->tunnels[0]);
	for (unsigned port = 0; port < DP_PORTS_MAX; port++)
		if (s->ports[port])
			m->link_bytes += sizeof(*s->ports[port]);
}

static void add_ways(struct dp_memory *m)
{
	unsigned several = 0; /* groups with buckets: the others are a word in the table */

	for (unsigned i = 0; i < DP_ADJS_MAX; i++)
		m->adjacencies += atomic_load_explicit(&adj_table[i], memory_order_relaxed) != 0;
	for (unsigned i = 0; i < DP_GROUPS_MAX; i++) {
		uintptr_t word = atomic_load_explicit(&group_table[i], memory_order_relaxed);

		m->groups += word != 0;
		several += word && !(word & GROUP_SINGLE);
	}
	m->adjacency_bytes = sizeof(adj_table) + m->adjacencies * sizeof(struct adj);
	m->group_bytes = sizeof(group_table) + (uint64_t)several * sizeof(struct group);
}

void dp_memory(struct dp_memory *ret_memory)
{
	*ret_memory = (struct dp_memory){ .counter_bytes = counters_resident() };
	add_vrfs(ret_memory);
	add_links(ret_memory);
	add_ways(ret_memory);
}
