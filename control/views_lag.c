/* `lag show`: link aggregations, their members and what LACP has agreed on. */
#include <string.h>
#include "lag.h"
#include "views.h"

static json_t *flags_json(uint8_t state)
{
	static const struct {
		uint8_t bit;
		const char *set, *clear;
	} words[] = {
		{ LACP_ACTIVITY, "active", "passive" },
		{ LACP_TIMEOUT, "fast", "slow" },
		{ LACP_AGGREGATION, "aggregatable", "individual" },
		{ LACP_SYNC, "in-sync", "out-of-sync" },
		{ LACP_COLLECTING, "collecting", NULL },
		{ LACP_DISTRIBUTING, "distributing", NULL },
		{ LACP_DEFAULTED, "defaulted", NULL },
		{ LACP_EXPIRED, "expired", NULL },
	};
	json_t *list = json_array();

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *word = state & words[i].bit ? words[i].set : words[i].clear;

		if (word)
			json_array_append_new(list, json_string(word));
	}
	return list;
}

static json_t *info_json(const struct lacp_info *info)
{
	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:o}", "system", view_mac(info->system),
		"system_priority", info->system_priority, "key", info->key, "port", info->port,
		"port_priority", info->port_priority, "state", flags_json(info->state));
}

/* The machine's states, in the standard's words. */
static const char *rx_name(enum lacp_rx rx)
{
	static const char *const names[] = { "port disabled", "expired", "defaulted", "current" };

	return names[rx];
}

static const char *mux_name(enum lacp_mux mux)
{
	static const char *const names[] = { "detached", "waiting", "attached", "collecting",
		"distributing" };

	return names[mux];
}

static void lacp_json(json_t *o, const struct lag *lag, unsigned i)
{
	const struct lacp_member *m = &lag->lacp.member[i];
	bool heard = !(m->actor.state & LACP_DEFAULTED);

	json_object_set_new(o, "receive", json_string(rx_name(m->rx)));
	json_object_set_new(o, "mux", json_string(mux_name(m->mux)));
	json_object_set_new(o, "actor", info_json(&m->actor));
	json_object_set_new(o, "partner", heard ? info_json(&m->partner) : json_null());
	json_object_set_new(o, "pdus",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:s?}", "rx", (json_int_t)m->rx_pdus, "tx",
			(json_int_t)m->tx_pdus, "bad", (json_int_t)lag->rx_bad[i], "markers",
			(json_int_t)lag->markers[i], "expirations", (json_int_t)m->expirations,
			"bad_why", lag->bad_why[i]));
}

static json_t *member_json(const struct lag *lag, unsigned i, const struct dp_lag_member *dp)
{
	struct dp_port_info info;
	json_t *o;

	if (dp_port_info(dp->port, &info))
		return json_null();
	o = json_pack("{s:i, s:s, s:b, s:b, s:b, s:s?, s:i, s:I, s:I, s:o}", "member", (int)i + 1,
		"device", info.device, "carrier", info.up, "collecting", dp->collecting,
		"distributing", dp->distributing, "why",
		dp->distributing ? NULL : lag_why_not(lag, i), "slots", dp->slots, "rx_packets",
		(json_int_t)info.rx_packets, "tx_packets", (json_int_t)info.tx_packets, "mac",
		view_mac(info.mac));
	if (o && lag->mode != CFG_LACP_OFF)
		lacp_json(o, lag, i);
	return o;
}

static json_t *lag_json(const struct lag *lag)
{
	static const char *const modes[] = { "fast", "slow", "off" };
	json_t *members = json_array(), *why = json_null();
	struct dp_port_info info = { 0 };
	struct dp_lag_info dp = { 0 };
	unsigned able = 0;

	dp_port_info(lag->port, &info);
	dp_lag_info(lag->port, &dp);
	for (unsigned i = 0; i < dp.n_members && i < lag->n; i++) {
		json_array_append_new(members, member_json(lag, i, &dp.members[i]));
		able += dp.members[i].distributing;
	}
	if (!info.up)
		why = json_sprintf("%u of %u members carry traffic, min_links is %u", able, lag->n,
			lag->min_links);
	return json_pack("{s:s, s:b, s:o, s:s, s:i, s:i, s:o, s:o}", "name", lag->name, "up",
		info.up, "why", why, "lacp", modes[lag->mode], "min_links", (int)lag->min_links,
		"distributing", (int)able, "mac", view_mac(lag->mac), "members", members);
}

void view_lag_show(struct api_request *request, const json_t *args)
{
	const char *name = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_STRING, .out = &name } };
	json_t *list;

	if (!VIEW_ARGS(request, args, table))
		return;
	list = json_array();
	for (const struct lag *lag = lag_next(NULL); lag; lag = lag_next(lag))
		if (!name || !strcmp(name, lag->name))
			json_array_append_new(list, lag_json(lag));
	if (name && !json_array_size(list)) {
		json_decref(list);
		api_fail(request, "no lag \"%.32s\": `lintasctl lag show` lists them", name);
		return;
	}
	api_reply(request, list);
}
