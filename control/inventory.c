/* VRFs and links as they exist now: where configuration, kernel and fast path meet.
 *
 * Tables by index (what dataplane.h calls vrf and link), an order by name for listings, and a small
 * cache for the mirror's question "whose is interface N of this VRF", which it asks for every
 * route. Control thread only. An object keeps its index as long as it lives; indexes are given out
 * lowest first, so that arrays in the fast path stay short. A link being replaced by another of its
 * name (it moved to another VRF) is found by index only: link_release() of the old one comes after
 * link_alloc() of the new. */
#include <errno.h>
#include <string.h>
#include "control.h"

#define HINTS 4096 /* a power of two */

static struct vrf vrfs[DP_VRFS_MAX];
static struct link links[DP_LINKS_MAX];
/* In name order; of two of one name the newer comes first. */
static struct vrf *vrf_order[DP_VRFS_MAX];
static struct link *link_order[DP_LINKS_MAX];
static unsigned n_vrfs, n_links;
static uint16_t hints[HINTS]; /* (vrf, ifindex) -> a link id to try first; 0 = none */

/* ---- VRFs ---- */
/* First place in the order whose name is not before `name`. */
static unsigned vrf_place(const char *name)
{
	unsigned low = 0, high = n_vrfs;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (strcmp(vrf_order[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vrf *vrf_by_id(uint16_t id)
{
	return id < DP_VRFS_MAX && vrfs[id].used ? &vrfs[id] : NULL;
}

struct vrf *vrf_by_name(const char *name)
{
	unsigned i = vrf_place(name);

	return i < n_vrfs && !strcmp(vrf_order[i]->name, name) ? vrf_order[i] : NULL;
}

struct vrf *vrf_next(const struct vrf *after)
{
	unsigned i = 0;

	if (after)
		for (i = vrf_place(after->name); i < n_vrfs && vrf_order[i++] != after;)
			;
	return i < n_vrfs ? vrf_order[i] : NULL;
}

struct vrf *vrf_alloc(const char *name)
{
	unsigned place = vrf_place(name);

	for (uint16_t id = 0; id < DP_VRFS_MAX; id++) {
		struct vrf *vrf = &vrfs[id];

		if (vrf->used)
			continue;
		*vrf = (struct vrf){ .used = true, .id = id, .nl_request = -1 };
		strncpy(vrf->name, name, sizeof(vrf->name) - 1);
		memmove(&vrf_order[place + 1], &vrf_order[place],
			(n_vrfs - place) * sizeof(vrf_order[0]));
		vrf_order[place] = vrf;
		n_vrfs++;
		return vrf;
	}
	errno = ENOSPC;
	return NULL;
}

void vrf_release(struct vrf *vrf)
{
	unsigned i = 0;

	while (i < n_vrfs && vrf_order[i] != vrf)
		i++;
	if (i == n_vrfs)
		return;
	n_vrfs--;
	memmove(&vrf_order[i], &vrf_order[i + 1], (n_vrfs - i) * sizeof(vrf_order[0]));
	vrf->used = false;
}

/* ---- links ---- */
static unsigned link_place(const char *name)
{
	unsigned low = 0, high = n_links;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (strcmp(link_order[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct link *link_by_id(uint16_t id)
{
	return id < DP_LINKS_MAX && links[id].used ? &links[id] : NULL;
}

struct link *link_by_name(const char *name)
{
	unsigned i = link_place(name);

	return i < n_links && !strcmp(link_order[i]->name, name) ? link_order[i] : NULL;
}

struct link *link_by_ifindex(const struct vrf *vrf, int ifindex)
{
	uint16_t *hint = &hints[((unsigned)ifindex * 31u + vrf->id) & (HINTS - 1)];
	struct link *link = &links[*hint];

	if (ifindex <= 0)
		return NULL;
	if (link->used && link->ifindex == ifindex && link->vrf == vrf)
		return link;
	for (unsigned i = 0; i < n_links; i++) {
		link = link_order[i];
		if (link->ifindex == ifindex && link->vrf == vrf) {
			*hint = link->id;
			return link;
		}
	}
	return NULL;
}

struct link *link_next(const struct link *after)
{
	unsigned i = 0;

	if (after)
		for (i = link_place(after->name); i < n_links && link_order[i++] != after;)
			;
	return i < n_links ? link_order[i] : NULL;
}

struct link *link_alloc(const char *name)
{
	unsigned place = link_place(name);

	for (uint16_t id = 1; id < DP_LINKS_MAX; id++) {
		struct link *link = &links[id];

		if (link->used)
			continue;
		*link = (struct link){ .used = true, .id = id, .port = -1, .tap = -1 };
		strncpy(link->name, name, sizeof(link->name) - 1);
		memmove(&link_order[place + 1], &link_order[place],
			(n_links - place) * sizeof(link_order[0]));
		link_order[place] = link;
		n_links++;
		return link;
	}
	errno = ENOSPC;
	return NULL;
}

void link_release(struct link *link)
{
	unsigned i = 0;

	while (i < n_links && link_order[i] != link)
		i++;
	if (i == n_links)
		return;
	n_links--;
	memmove(&link_order[i], &link_order[i + 1], (n_links - i) * sizeof(link_order[0]));
	link->used = false;
	link->ifindex = 0;
}
