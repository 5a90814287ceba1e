/* View of IPsec: a row for each security association, in the order of links, and one for a link
 * that has none, with why. */
#include "sas.h"
#include "views.h"
#include "xfrm_server.h"

static const char *state_of(const struct sas_sa *sa, const struct dp_sa_info *info)
{
	if (sa->orphan)
		return "orphan";
	return info->state == DP_SA_HARD ? "ended" : sa->soft_said ? "rekeying" : "live";
}

static json_t *expires(const struct sas_sa *sa, uint64_t age_s)
{
	if (!sa->limits.hard_s)
		return json_null();
	return json_integer(
		sa->limits.hard_s > age_s ? (json_int_t)(sa->limits.hard_s - age_s) : 0);
}

static json_t *sa_json(const struct link *link, struct sas_sa *sa, const struct sas_sa *out)
{
	static const char *const sources[] = {
		[SAS_CHARON] = "ike",
		[SAS_KERNEL] = "kernel",
		[SAS_STATIC] = "static",
	};
	const struct vrf *vrf = vrf_by_id(sa->key.vrf);
	uint64_t age_s = (now_ns() - sa->added_ns) / 1000000000u;
	struct dp_sa_info info;
	struct xfrm_use use;
	char spi[16];

	sas_use_of(sa, &use, &info);
	snprintf(spi, sizeof(spi), "%08x", sa->key.spi);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:b, s:b, s:i, s:o, s:o, s:I, s:o, "
		"s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:n}",
		"link", link->name, "underlay_vrf", vrf ? vrf->name : "?", "direction",
		sa->conf.inbound ? "in" : "out", "spi", spi, "used", sa->conf.inbound || sa == out,
		"state", state_of(sa, &info), "algorithm", sa->name, "source",
		sources[sa->from.source], "udp", sa->conf.udp_local != 0, "esn", sa->conf.esn,
		"replay_window", sa->conf.replay, "src", view_addr(&sa->src), "dst",
		view_addr(&sa->key.dst), "age_s", (json_int_t)age_s, "expires_s",
		expires(sa, age_s), "packets", (json_int_t)use.packets, "bytes",
		(json_int_t)use.bytes, "sequence", (json_int_t)info.seq, "replayed",
		(json_int_t)info.replayed, "bad_icv", (json_int_t)info.bad_icv, "bad_padding",
		(json_int_t)info.bad_pad, "worker", (int)info.worker, "why");
}

json_t *view_sas(const struct link *link)
{
	json_t *list = json_array();

	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa))
		if (!sa->larval && sa->link == link->id)
			json_array_append_new(list, sa_json(link, sa, sas_link_out(link)));
	return list;
}

static json_t *none_json(const struct link *link)
{
	const struct vrf *vrf = vrf_by_name(link->cfg->underlay->vrf->name);
	struct xfrm_server_info server;
	bool charon = vrf && xfrm_server_info(vrf->id, &server) && server.charon;

	return json_pack("{s:s, s:s, s:s, s:n, s:b, s:s, s:s}", "link", link->name, "underlay_vrf",
		vrf ? vrf->name : "?", "direction", "-", "spi", "used", false, "state", "no keys",
		"why",
		charon || sas_link_why(link) != sas_link_none
			? sas_link_why(link)
			: "charon of this VRF is not connected, and there are no static SAs");
}

void view_ipsec_show(struct api_request *request, const json_t *args)
{
	struct link *only = NULL;
	const struct view_arg table[] = { { .name = "name", .type = VIEW_LINK, .out = &only } };
	json_t *list;

	if (!VIEW_ARGS(request, args, table))
		return;
	list = json_array();
	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		bool any = false;

		if (!l->cfg || l->cfg->encap != CFG_ENCAP_IPSEC || (only && only != l))
			continue;
		for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa))
			if (!sa->larval && sa->link == l->id) {
				any = true;
				json_array_append_new(list, sa_json(l, sa, sas_link_out(l)));
			}
		if (!any && l->cfg->underlay)
			json_array_append_new(list, none_json(l));
	}
	api_reply(request, list);
}
