/* BFD sessions as the fast path runs them: one object a session, and how bfdd is connected. */
#include "bfd.h"
#include "views.h"

static json_t *rejected(const struct dp_bfd_info *info)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < DP_BFD_REJECT_COUNT; i++)
		if (info->rejected[i])
			json_object_set_new(object, dp_bfd_reject_names[i],
				json_integer((json_int_t)info->rejected[i]));
	return object;
}

static json_t *ends(uint32_t discr, uint32_t tx_us, uint32_t rx_us, unsigned multiplier)
{
	return json_pack("{s:I, s:I, s:I, s:i}", "discriminator", (json_int_t)discr, "min_tx_us",
		(json_int_t)tx_us, "min_rx_us", (json_int_t)rx_us, "multiplier", (int)multiplier);
}

static void add_running(json_t *o, const struct dp_bfd_info *i)
{
	json_t *remote = ends(
		i->remote_discr, i->remote_min_tx_us, i->remote_min_rx_us, i->remote_multiplier);

	json_object_set_new(remote, "state", json_string(bfd_state_names[i->remote_state & 3]));
	json_object_set_new(remote, "diag", json_string(bfd_diag_text(i->remote_diag)));
	json_object_update_new(
		o, json_pack("{s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			   "state", bfd_state_names[i->state & 3], "diag", bfd_diag_text(i->diag),
			   "since_ms", (json_int_t)(i->since_us / 1000), "worker", (int)i->worker,
			   "tx_us", (json_int_t)i->tx_us, "detect_us", (json_int_t)i->detect_us,
			   "longest_silence_us", (json_int_t)i->longest_us, "ups",
			   (json_int_t)i->ups, "downs", (json_int_t)i->downs, "rx",
			   (json_int_t)i->rx, "tx", (json_int_t)i->tx, "unsent",
			   (json_int_t)i->unsent, "last_silence_us", (json_int_t)i->silence_us));
	json_object_set_new(o, "local",
		ends(i->discr, i->conf.min_tx_us, i->conf.min_rx_us, i->conf.multiplier));
	json_object_set_new(o, "remote", remote);
	json_object_set_new(o, "discarded", rejected(i));
}

static json_t *session(const struct bfd_peer *p)
{
	struct dp_bfd_info info;
	json_t *o = json_pack("{s:s, s:s?, s:o, s:b, s:b, s:s?, s:s}", "link", p->wanted.ifname,
		"vrf", p->link && p->link->vrf ? p->link->vrf->name : NULL, "peer",
		view_addr(&p->wanted.peer), "passive", p->wanted.passive, "bfdd", p->conn != 0,
		"why",
		p->set	  ? NULL
		: *p->why ? p->why
			  : "its interface is not known yet",
		"state", "not served");

	if (o && p->set && !dp_bfd_info(p->index, &info))
		add_running(o, &info);
	return o;
}

void view_bfd_show(struct api_request *request, const json_t *args)
{
	struct bfd_server_info server;
	const struct link *link = NULL;
	const struct view_arg table[] = { { "name", VIEW_LINK, &link, false, 0, 0 } };
	json_t *list = json_array();

	if (!VIEW_ARGS(request, args, table)) {
		json_decref(list);
		return;
	}
	bfd_server_info(&server);
	for (const struct bfd_peer *p = bfd_sessions_next(NULL); p; p = bfd_sessions_next(p))
		if (!link || p->link == link)
			json_array_append_new(list, session(p));
	api_reply(
		request, json_pack("{s:o, s:s, s:i, s:I, s:I, s:I}", "sessions", list, "bfdd",
				 server.state, "connections", (int)server.connections, "connects",
				 (json_int_t)server.connects, "messages",
				 (json_int_t)server.messages, "errors", (json_int_t)server.errors));
}
