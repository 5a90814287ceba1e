/* `bgp routes NAME received|advertised|rejected`: what a link's neighbours said, what they are
 * told, and why not the rest.
 *
 * FRR has the facts: what came before any filter (soft-reconfiguration inbound), what went out, and
 * the VRF's table. The reasons are ours: the same rules that were rendered (frr_policy.c) judge
 * every route that is missing, and what they let pass was stopped by BGP itself: our AS number in
 * the path, a next hop nobody can reach, a route of the neighbour's own. The three lists of each
 * family are asked for one after the other, then walked as a stream, as fast as the client reads.
 * What FRR prints as told is what its route map made of a route, so prepending and MED are in it;
 * it lacks what is put on when the packet is written: our AS number, our address as next hop. Those
 * are put on here by the same rules, and the communities are those of the lever that is rendered:
 * FRR does not print them. Of what others' routes are not told only the number is shown, by reason,
 * unless `all` is asked for.
 * A reload meanwhile ends the answer: its reasons would be another configuration's. */
#include <stdlib.h>
#include <string.h>
#include "frr.h"
#include "frr_maps.h"
#include "frr_own.h"
#include "views.h"

#define ROWS	 100
#define PATH_LEN 4096 /* beyond it a path is shown as FRR has it */

enum direction { RECEIVED, ADVERTISED, REJECTED, DIRECTIONS };
static const char *const directions[DIRECTIONS] = { "received", "advertised", "rejected" };

struct routes {
	struct api_request *request;
	char link[CFG_NAME_MAX];
	enum direction direction;
	const struct config *config;
	json_t *answers[2][FRR_TABLE + 1]; /* by family and enum frr_routes */
	unsigned asking;		   /* family * (FRR_TABLE + 1) + list */
	struct frr_orders orders;	   /* of the step that runs */
	unsigned part; /* what is walked: family * 2 + (0: inward, 1: outward) */
	void *at;
	bool entered, all;
	unsigned untold[2][FRR_VERDICTS]; /* by family: rejected outward, where not all is shown */
};

static const struct cfg_link *link_of(const struct routes *r)
{
	return r->config == control.running ? config_link(r->config, r->link) : NULL;
}

static void routes_free(void *state)
{
	struct routes *r = state;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j <= FRR_TABLE; j++)
			frr_answer_free(r->answers[i][j]);
	free(r);
}

/* ---- reasons ---- */
/* Where the configuration says so; "" where nothing does. */
static void where(const struct cfg_link *link, bool v6, bool inward, enum frr_verdict verdict,
	char *text, size_t size)
{
	const struct cfg_source *src = NULL;

	text[0] = '\0';
	if (verdict == FRR_UNLISTED || verdict == FRR_NO_POLICY)
		src = config_given(&link->given, inward ? "bgp.accept" : "bgp.announce");
	else if (verdict == FRR_OVER)
		src = config_given(&link->given, v6 ? "bgp.v6.max_out" : "bgp.v4.max_out");
	else if (verdict == FRR_NO_REACH && link->zone)
		src = &link->zone->src;
	if (src && src->file)
		snprintf(text, size, "%.150s:%u", src->file, src->line);
}

/* Does our AS number stand in a path more often than the neighbour may show it? */
static bool loops(const struct config *config, const struct cfg_bgp_peer *peer, const char *path)
{
	unsigned n = 0;

	for (const char *at = path; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		unsigned long asn = strtoul(at, NULL, 10);

		n += asn == config->gateway.asn || (peer->local_as && asn == peer->local_as);
	}
	return n > peer->allowas_in;
}

static const json_t *path_from(const json_t *paths, const char *peer)
{
	const json_t *path;
	size_t i;

	json_array_foreach(paths, i, path) {
		const char *from = json_string_value(json_object_get(path, "peerId"));

		if (!peer ? !!json_object_get(path, "bestpath") : from && !strcmp(from, peer))
			return path;
	}
	return NULL;
}

static enum frr_verdict judge_received(const struct routes *r, const struct cfg_link *link,
	const char *name, const struct ip_prefix *prefix, const json_t *route)
{
	bool v6 = prefix->af == AF_INET6;
	const struct cfg_bgp_peer *peer = frr_peer(link, v6);
	const json_t *table = json_object_get(r->answers[v6][FRR_TABLE], "routes"), *mine;
	const char *path = json_string_value(json_object_get(route, "path"));
	enum frr_verdict verdict = frr_judge_in(link, prefix);
	char text[IP_STRLEN];

	if (verdict != FRR_PASSES)
		return verdict;
	if (path && loops(r->config, peer, path))
		return FRR_LOOP;
	if (!table)
		return FRR_PASSES;
	mine = path_from(json_object_get(table, name), ip_addr_format(&peer->peer, text));
	return mine && json_is_true(json_object_get(mine, "valid")) ? FRR_PASSES : FRR_NEXT_HOP;
}

static enum frr_verdict judge_told(struct routes *r, const struct cfg_link *link,
	const struct ip_prefix *prefix, const json_t *paths, char from_name[CFG_NAME_MAX])
{
	const json_t *best = path_from(paths, NULL);
	const char *peer = json_string_value(json_object_get(best, "peerId"));
	const struct cfg_bgp_peer *to = frr_peer(link, prefix->af == AF_INET6);
	const struct cfg_link *from = NULL;
	const struct cfg_zone *zone = NULL;
	enum frr_verdict verdict;
	struct ip_addr addr;
	bool own = false;

	if (!best)
		return FRR_NEXT_HOP;
	if (peer && !ip_addr_parse(peer, &addr))
		from = frr_link_of_peer(r->config, link->vrf, &addr);
	if (from)
		zone = from->zone;
	else if (!frr_own_of(r->config, link->vrf, prefix, &own, &zone))
		return FRR_NO_REACH; /* of nobody's zone */
	memcpy(from_name, from ? from->name : "own", from ? CFG_NAME_MAX : 4);
	if (from == link)
		return FRR_BACK;
	verdict = frr_judge_out(r->config, &r->orders, link, prefix, own, zone);
	if (verdict != FRR_PASSES)
		return verdict;
	return to->max_out && json_object_size(json_object_get(
				      r->answers[prefix->af == AF_INET6][FRR_ADVERTISED],
				      "advertisedRoutes")) >= to->max_out
		       ? FRR_OVER
		       : FRR_KEPT;
}

/* ---- as told ---- */
/* Whom the neighbour sends to: our address in its subnet, else the link's first. */
static bool own_address(const struct cfg_link *link, const struct ip_addr *peer, char *text)
{
	struct ip_addr addr, own = { 0 };

	for (unsigned i = 0; i < link->n_address; i++) {
		addr = ip_prefix_addr(&link->address[i]);
		if (addr.af != peer->af)
			continue;
		if (!own.af || ip_prefix_contains(&link->address[i], peer))
			own = addr;
		if (ip_prefix_contains(&link->address[i], peer))
			break;
	}
	return own.af && ip_addr_format(&own, text);
}

static json_t *communities_of(const struct routes *r, const struct cfg_link *link)
{
	enum frr_conduct conduct = frr_conduct_of(r->config, &r->orders, link);
	const struct cfg_words *words = &link->bgp.levers[frr_inbound(link, conduct)].communities;
	json_t *list = json_array();

	for (unsigned i = 0; i < words->n; i++)
		json_array_append_new(list, json_string(words->items[i]));
	return list;
}

/* What the packet says: FRR's route with what it puts on last. */
static void as_told(const struct routes *r, const struct cfg_link *link, bool v6, json_t *row)
{
	const struct cfg_bgp_peer *peer = frr_peer(link, v6);
	const char *path = json_string_value(json_object_get(row, "path")),
		   *hop = json_string_value(json_object_get(row, "next_hop"));
	uint32_t own = frr_local_as(r->config, peer);
	char text[PATH_LEN], address[IP_STRLEN];

	if (peer->asn != r->config->gateway.asn && path && strlen(path) < sizeof(text) - 12) {
		snprintf(text, sizeof(text), "%u%s%s", own, *path ? " " : "", path);
		json_object_set_new(row, "path", json_string(text));
	}
	if (hop && (!strcmp(hop, "0.0.0.0") || !strcmp(hop, "::")) &&
		own_address(link, &peer->peer, address))
		json_object_set_new(row, "next_hop", json_string(address));
	json_object_set_new(row, "communities", communities_of(r, link));
}

/* ---- rows ---- */
static json_t *row_of(const struct cfg_link *link, const char *prefix, bool inward,
	const json_t *route, enum frr_verdict verdict, const char *from)
{
	bool v6 = strchr(prefix, ':');
	const json_t *med = json_object_get(route, "metric");
	const char *hop = json_string_value(json_object_get(route, "nextHop")),
		   *path = json_string_value(json_object_get(route, "path"));
	char source[200], list[64] = "";

	if (!hop)
		hop = json_string_value(json_object_get(route, "nextHopGlobal"));
	where(link, v6, inward, verdict, source, sizeof(source));
	if (verdict == FRR_UNLISTED || verdict == FRR_NO_POLICY)
		snprintf(list, sizeof(list), " (%s)", inward ? "accept" : "announce");
	return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:O?, s:s?, s:b, s:o, s:s?}", "family",
		v6 ? "ipv6" : "ipv4", "prefix", prefix, "direction", inward ? "in" : "out",
		"next_hop", hop, "path", path, "med", med, "from", from && *from ? from : NULL,
		"passes", verdict == FRR_PASSES, "reason",
		verdict == FRR_PASSES ? json_null()
				      : json_sprintf("%s%s", frr_verdict_texts[verdict], list),
		"where", *source ? source : NULL);
}

static void inward_row(struct routes *r, const struct cfg_link *link, const char *name,
	const json_t *route, json_t *rows)
{
	enum frr_verdict verdict;
	struct ip_prefix prefix;

	if (ip_prefix_parse(name, &prefix))
		return;
	verdict = judge_received(r, link, name, &prefix, route);
	if (r->direction == RECEIVED || verdict != FRR_PASSES)
		json_array_append_new(rows, row_of(link, name, true, route, verdict, NULL));
}

static void outward_row(struct routes *r, const struct cfg_link *link, const char *name,
	const json_t *route, json_t *rows)
{
	const json_t *told;
	char from[CFG_NAME_MAX] = "";
	enum frr_verdict verdict;
	struct ip_prefix prefix;

	if (ip_prefix_parse(name, &prefix))
		return;
	if (r->direction == ADVERTISED) {
		json_t *row = row_of(link, name, false, route, FRR_PASSES, NULL);

		as_told(r, link, prefix.af == AF_INET6, row);
		json_array_append_new(rows, row);
		return;
	}
	told = json_object_get(
		r->answers[prefix.af == AF_INET6][FRR_ADVERTISED], "advertisedRoutes");
	if (json_object_get(told, name))
		return;
	verdict = judge_told(r, link, &prefix, route, from);
	if (verdict != FRR_BACK && !r->all)
		r->untold[prefix.af == AF_INET6][verdict]++;
	else if (verdict != FRR_BACK)
		json_array_append_new(
			rows, row_of(link, name, false, path_from(route, NULL), verdict, from));
}

/* A row for each reason, at the end of a family's outward walk. */
static void untold_rows(const struct routes *r, bool v6, json_t *rows)
{
	for (unsigned i = 0; i < FRR_VERDICTS; i++)
		if (r->untold[v6][i])
			json_array_append_new(
				rows, json_pack("{s:s, s:n, s:s, s:b, s:i, s:s}", "family",
					      v6 ? "ipv6" : "ipv4", "prefix", "direction", "out",
					      "passes", 0, "count", (int)r->untold[v6][i], "reason",
					      frr_verdict_texts[i]));
}

/* What part of the answers is walked; NULL: not at all. */
static json_t *walked(const struct routes *r)
{
	const json_t *const *answers = (const json_t *const *)r->answers[r->part / 2];
	bool inward = !(r->part % 2);

	if (inward && r->direction != ADVERTISED)
		return json_object_get(answers[FRR_RECEIVED], "receivedRoutes");
	if (!inward && r->direction == ADVERTISED)
		return json_object_get(answers[FRR_ADVERTISED], "advertisedRoutes");
	if (!inward && r->direction == REJECTED)
		return json_object_get(answers[FRR_TABLE], "routes");
	return NULL;
}

static json_t *step(void *state)
{
	struct routes *r = state;
	const struct cfg_link *link = link_of(r);
	uint64_t start = now_ns();
	json_t *rows, *all;

	if (!link)
		return json_string("the configuration changed meanwhile: ask again");
	if (r->part >= 4)
		return NULL;
	frr_orders_now(&r->orders);
	rows = json_array();
	for (; r->part < 4; r->part++, r->entered = false) {
		all = frr_peer(link, r->part / 2) ? walked(r) : NULL;
		if (!r->entered)
			r->at = json_object_iter(all);
		r->entered = true;
		for (; r->at; r->at = json_object_iter_next(all, r->at)) {
			if (json_array_size(rows) >= ROWS || !view_time_left(start))
				return rows;
			(r->part % 2 ? outward_row : inward_row)(r, link,
				json_object_iter_key(r->at), json_object_iter_value(r->at), rows);
		}
		if (r->part % 2 && !r->all)
			untold_rows(r, r->part / 2, rows);
	}
	return rows;
}

/* ---- asking ---- */
static bool needed(const struct routes *r, enum frr_routes list)
{
	if (list == FRR_RECEIVED)
		return r->direction != ADVERTISED;
	return r->direction == REJECTED || (list == FRR_ADVERTISED && r->direction == ADVERTISED);
}

static void ask_next(struct routes *r);

static void on_answer(const json_t *json, void *arg)
{
	struct routes *r = arg;
	unsigned i = r->asking++;

	if (!json) {
		api_fail(r->request, "FRR did not answer, or with more than 64 MB: `lintasctl "
				     "events`");
		routes_free(r);
		return;
	}
	r->answers[i / (FRR_TABLE + 1)][i % (FRR_TABLE + 1)] =
		json_incref((json_t *)(uintptr_t)json);
	ask_next(r);
}

static void ask_next(struct routes *r)
{
	const struct cfg_link *link = link_of(r);

	for (; link && r->asking < 2 * (FRR_TABLE + 1); r->asking++) {
		const struct cfg_bgp_peer *peer = frr_peer(link, r->asking / (FRR_TABLE + 1));
		enum frr_routes list = r->asking % (FRR_TABLE + 1);

		if (!peer || !needed(r, list))
			continue;
		if (!frr_show_routes(list, link->vrf->name, &peer->peer, NULL, on_answer, r))
			return;
		api_fail(r->request, "FRR cannot be asked now: is lintas-keeper connected?");
		routes_free(r);
		return;
	}
	api_stream(r->request, step, routes_free, r);
}

void view_bgp_routes(struct api_request *request, const json_t *args)
{
	const char *text = NULL;
	struct link *link = NULL;
	bool all = false;
	struct view_arg table[] = { { "name", VIEW_LINK, &link, true, 0, 0 },
		{ "direction", VIEW_STRING, &text, true, 0, 0 },
		{ "all", VIEW_BOOL, &all, false, 0, 0 } };
	unsigned direction = 0;
	struct routes *r;

	if (!VIEW_ARGS(request, args, table))
		return;
	while (direction < DIRECTIONS && strcmp(text, directions[direction]))
		direction++;
	if (direction == DIRECTIONS)
		api_fail(request, "received, advertised or rejected, not \"%.32s\"", text);
	else if (control.running->routing != CFG_ROUTING_FRR)
		api_fail(request, "routing is external: ask the daemon that does it");
	else if (!link->cfg || !link->cfg->bgp.present)
		api_fail(request, "link %s has no BGP", link->name);
	else if (!(r = calloc(1, sizeof(*r))))
		api_fail(request, "out of memory");
	else {
		r->request = request;
		r->config = control.running;
		r->all = all;
		r->direction = (enum direction)direction;
		memcpy(r->link, link->name, CFG_NAME_MAX);
		ask_next(r);
	}
}
