/* Views of neighbours and of interned path groups ("next hops").
 *
 * The mirror walks these tables in one go, so the first step copies what there is into a compact
 * list (bounded) and the following steps make JSON of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "views.h"

#define ROWS_MAX 262144

struct list {
	void **items;
	unsigned n, size, next;
	bool failed;
};

static void *list_add(struct list *list, size_t bytes)
{
	if (list->n == list->size) {
		unsigned size = list->size ? 2 * list->size : 256;
		void **items =
			size <= ROWS_MAX ? realloc(list->items, size * sizeof(*items)) : NULL;

		if (!items) {
			list->failed = true;
			return NULL;
		}
		list->items = items;
		list->size = size;
	}
	void *item = malloc(bytes);
	if (!item) {
		list->failed = true;
		return NULL;
	}
	return list->items[list->n++] = item;
}

static void list_free(struct list *list)
{
	for (unsigned i = 0; i < list->n; i++)
		free(list->items[i]);
	free(list->items);
}

/* ---- neighbours ---- */

struct neigh_row {
	char vrf[CFG_NAME_MAX];
	struct mirror_neigh neigh;
};

struct neigh_stream {
	struct list list;
	const char *vrf; /* while it collects */
	bool collected;
	char only[CFG_NAME_MAX];
};

static bool neigh_collect(const struct mirror_neigh *neigh, void *arg)
{
	struct neigh_stream *s = arg;
	struct neigh_row *row = list_add(&s->list, sizeof(*row));

	if (!row)
		return false;
	snprintf(row->vrf, sizeof(row->vrf), "%s", s->vrf);
	row->neigh = *neigh;
	return true;
}

static json_t *neigh_json(const struct neigh_row *row)
{
	static const uint8_t zero[6];
	const struct mirror_neigh *n = &row->neigh;

	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:I}", "vrf", row->vrf, "address",
		view_addr(&n->addr), "link", view_link_name(n->link), "state", n->state, "mac",
		memcmp(n->mac, zero, 6) ? view_mac(n->mac) : json_null(), "adjacency",
		(json_int_t)n->adj);
}

static json_t *neigh_step(void *state)
{
	struct neigh_stream *s = state;
	uint64_t start = now_ns();

	if (!s->collected) {
		for (const struct vrf *v = vrf_next(NULL); v; v = vrf_next(v)) {
			s->vrf = v->name;
			if (!*s->only || !strcmp(s->only, v->name))
				mirror_neigh_walk(v, neigh_collect, s);
		}
		s->collected = true;
		if (s->list.failed)
			return json_string("too many neighbours for one listing: ask for one VRF");
	}
	if (s->list.next == s->list.n)
		return NULL;
	json_t *part = json_array();
	do {
		json_array_append_new(part, neigh_json(s->list.items[s->list.next++]));
	} while (s->list.next < s->list.n && view_time_left(start));
	return part;
}

static void neigh_done(void *state)
{
	struct neigh_stream *s = state;

	list_free(&s->list);
	free(s);
}

void view_neighbor_show(struct api_request *request, const json_t *args)
{
	struct vrf *vrf = NULL;
	const struct view_arg table[] = { { .name = "vrf", .type = VIEW_VRF, .out = &vrf } };

	if (!VIEW_ARGS(request, args, table))
		return;
	struct neigh_stream *s = calloc(1, sizeof(*s));
	if (!s) {
		api_fail(request, "lintasd: out of memory");
		return;
	}
	if (vrf)
		memcpy(s->only, vrf->name, sizeof(s->only));
	api_stream(request, neigh_step, neigh_done, s);
}

/* ---- path groups ---- */

struct group_row {
	uint32_t group;
	uint64_t prefixes;
	unsigned n_legs;
	struct mirror_leg legs[];
};

struct group_stream {
	struct list list;
	bool collected;
};

static bool group_collect(const struct mirror_group *group, void *arg)
{
	struct group_stream *s = arg;
	unsigned n = group->n_legs < DP_LEGS_MAX ? group->n_legs : DP_LEGS_MAX;
	struct group_row *row = list_add(&s->list, sizeof(*row) + n * sizeof(row->legs[0]));

	if (!row)
		return false;
	row->group = group->group;
	row->prefixes = group->prefixes;
	row->n_legs = n;
	memcpy(row->legs, group->legs, n * sizeof(row->legs[0]));
	return true;
}

/* Legs of one group share nothing but their adjacency with dp_group_info's. */
static unsigned buckets_of(const struct dp_group_info *info, uint32_t adj)
{
	for (unsigned i = 0; i < info->n_legs && i < DP_LEGS_MAX; i++)
		if (info->legs[i].adj == adj)
			return info->buckets_of[i];
	return 0;
}

static json_t *group_json(const struct group_row *row)
{
	struct dp_group_info info = { 0 };
	unsigned best = UINT8_MAX;
	json_t *legs = json_array();

	dp_group_info(row->group, &info); /* gone meanwhile: no buckets */
	for (unsigned i = 0; i < row->n_legs; i++) {
		json_t *leg = view_leg(&row->legs[i]);

		json_object_set_new(leg, "adjacency", json_integer(row->legs[i].adj));
		json_object_set_new(
			leg, "buckets", json_integer(buckets_of(&info, row->legs[i].adj)));
		json_array_append_new(legs, leg);
		if (row->legs[i].alive && row->legs[i].tier < best)
			best = row->legs[i].tier;
	}
	return json_pack("{s:I, s:I, s:o, s:i, s:o}", "group", (json_int_t)row->group, "prefixes",
		(json_int_t)row->prefixes, "tier",
		best == UINT8_MAX ? json_null() : json_integer(best + 1), "buckets",
		(int)info.n_buckets, "legs", legs);
}

static json_t *group_step(void *state)
{
	struct group_stream *s = state;
	uint64_t start = now_ns();

	if (!s->collected) {
		mirror_group_walk(group_collect, s);
		s->collected = true;
		if (s->list.failed)
			return json_string("lintasd: out of memory");
	}
	if (s->list.next == s->list.n)
		return NULL;
	json_t *part = json_array();
	do {
		json_array_append_new(part, group_json(s->list.items[s->list.next++]));
	} while (s->list.next < s->list.n && view_time_left(start));
	return part;
}

static void group_done(void *state)
{
	struct group_stream *s = state;

	list_free(&s->list);
	free(s);
}

void view_nexthop_show(struct api_request *request, const json_t *args)
{
	if (!view_args(request, args, NULL, 0))
		return;
	struct group_stream *s = calloc(1, sizeof(*s));
	if (s)
		api_stream(request, group_step, group_done, s);
	else
		api_fail(request, "lintasd: out of memory");
}
