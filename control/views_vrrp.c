/* View of VRRP: a row for each virtual router, that is for each link and family. */
#include <netinet/in.h>
#include "views.h"
#include "vrrp.h"

static json_t *errors_json(const struct vrrp_stats *stats)
{
	json_t *errors = json_object();

	for (unsigned e = VRRP_FINE + 1; e < VRRP_ERRORS; e++)
		if (stats->errors[e])
			json_object_set_new(errors, vrrp_error_names[e],
				json_integer((json_int_t)stats->errors[e]));
	return errors;
}

static json_t *addresses_json(const struct vrrp_router *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n; i++)
		json_array_append_new(list, view_addr(&r->address[i]));
	return list;
}

static json_t *router_json(const struct link *link, const struct vrrp_router *r)
{
	const struct vrrp_machine *m = &r->machine;
	bool backup = m->state == VRRP_BACKUP && r->active.af;
	uint64_t since = r->since_ns ? r->since_ns : control.start_ns;
	uint8_t mac[6];

	vrrp_mac(r->vrid, r->af, mac);
	return json_pack("{s:s, s:s, s:i, s:i, s:s, s:f, s:i, s:b, s:f, s:o, s:o, s:o, s:o, s:o, "
			 "s:I, s:I, s:I, s:I, s:I, s:o}",
		"link", link->name, "vrf", link->vrf->name, "family", r->af == AF_INET6 ? 6 : 4,
		"vrid", r->vrid, "state", vrrp_state_names[m->state], "since_s",
		(double)(now_ns() - since) / 1e9, "priority", m->priority, "preempt", m->preempt,
		"interval_s", m->interval_cs / 100.0, "active",
		m->state == VRRP_ACTIVE ? view_addr(&r->own)
		: backup		? view_addr(&r->active)
					: json_null(),
		"active_priority",
		m->state == VRRP_ACTIVE ? json_integer(m->priority)
		: backup		? json_integer(r->active_priority)
					: json_null(),
		"own", view_addr(&r->own), "mac", view_mac(mac), "addresses", addresses_json(r),
		"in", (json_int_t)r->stats.in, "out", (json_int_t)r->stats.out, "zero_in",
		(json_int_t)r->stats.zero_in, "zero_out", (json_int_t)r->stats.zero_out, "taken",
		(json_int_t)r->stats.taken, "errors", errors_json(&r->stats));
}

void view_vrrp_show(struct api_request *request, const json_t *args)
{
	struct link *only = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_LINK, .out = &only } };
	json_t *list;

	if (!VIEW_ARGS(request, args, table))
		return;
	list = json_array();
	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		const struct vrrp_router *r;

		for (unsigned v6 = 0; v6 < 2; v6++)
			if ((!only || only == l) && (r = vrrp_router(l, v6)))
				json_array_append_new(list, router_json(l, r));
	}
	api_reply(request, list);
}
