/* `ike show`: what IKE makes of every link, charon's answer joined with the configuration.
 *
 * A line a link: who it speaks to, its state and since when, what was agreed on, when keys are
 * renewed, and what went wrong last, by name and with whose turn it is. Each VRF's charon is asked
 * once a question (swan_ask); one that does not answer is said so for its links. */
#include <stdlib.h>
#include <string.h>
#include "swan.h"
#include "views.h"

struct collect {
	struct api_request *request;
	char only[CFG_NAME_MAX]; /* a link, a connection, or "" */
	json_t *list;
	char vrf[CFG_NAME_MAX]; /* being asked */
	uint64_t vrfs_done;
};

static json_t *number_or_null(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static void add_sa(json_t *o, const struct swan_sa *sa)
{
	json_object_update_new(
		o, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o}", "state", sa->state,
			   "remote_id", sa->remote_id, "local_id", sa->local_id, "proposal",
			   sa->ike, "initiator", sa->initiator, "nat", sa->nat_any, "since_s",
			   number_or_null(sa->since_s), "rekey_s", number_or_null(sa->rekey_s)));
	if (!*sa->child_state)
		return;
	json_object_set_new(o, "child",
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:i}",
			"state", sa->child_state, "proposal", sa->esp, "since_s",
			number_or_null(sa->child_since_s), "rekey_s",
			number_or_null(sa->child_rekey_s), "life_s",
			number_or_null(sa->child_life_s), "spi_in",
			json_sprintf("%08x", sa->spi_in), "spi_out",
			json_sprintf("%08x", sa->spi_out), "udp", sa->udp, "bytes_in",
			(json_int_t)sa->bytes_in, "bytes_out", (json_int_t)sa->bytes_out,
			"packets_in", (json_int_t)sa->packets_in, "packets_out",
			(json_int_t)sa->packets_out, "sas", (int)sa->children));
}

/* Of several IKE SAs of one name the one that is up. */
static const struct swan_sa *sa_of(const struct swan_sa *sas, unsigned n, const char *name)
{
	const struct swan_sa *best = NULL;

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(sas[i].name, name) &&
			(!best || (!strcmp(sas[i].state, "ESTABLISHED") &&
					  (strcmp(best->state, "ESTABLISHED") ||
						  sas[i].uniqueid > best->uniqueid))))
			best = &sas[i];
	return best;
}

static json_t *link_ike(const struct link *l, const struct swan_sa *sa, const char *error)
{
	const struct cfg_link *cfg = l->cfg;
	struct swan_note note = swan_note(l);
	json_t *o = json_pack("{s:s, s:s?, s:s, s:o, s:o, s:s, s:s}", "link", l->name, "connection",
		cfg->connection, "vrf", cfg->underlay->vrf->name, "local", view_addr(&cfg->local),
		"peer", view_addr(&cfg->remote), "remote_id",
		cfg->ipsec.remote_id ? cfg->ipsec.remote_id : "", "state",
		error ? "unknown" : "down");

	if (sa && o)
		add_sa(o, sa);
	if (note.fault)
		json_object_set_new(o, "error",
			json_pack("{s:s, s:s, s:s, s:I, s:i}", "name", swan_fault_names[note.fault],
				"advice", swan_fault_advice[note.fault], "text", note.text, "at",
				(json_int_t)note.wall_s, "times", (int)note.times));
	else if (error)
		json_object_set_new(o, "error",
			json_pack("{s:s, s:s, s:s, s:I, s:i}", "name", "NO_CHARON", "advice",
				"start lintas-charon@ of this VRF", "text", error, "at",
				(json_int_t)0, "times", 1));
	return o;
}

static bool wanted(const struct collect *c, const struct link *l)
{
	return swan_is_ike(l->cfg) && l->cfg->underlay &&
	       (!*c->only || !strcmp(c->only, l->name) ||
		       (l->cfg->connection && !strcmp(c->only, l->cfg->connection)));
}

static void ask_next(struct collect *c);

static void on_sas(const struct swan_sa *sas, unsigned n, const char *error, void *arg)
{
	struct collect *c = arg;

	for (const struct link *l = link_next(NULL); l; l = link_next(l))
		if (wanted(c, l) && !strcmp(l->cfg->underlay->vrf->name, c->vrf))
			json_array_append_new(c->list, link_ike(l, sa_of(sas, n, l->name), error));
	ask_next(c);
}

/* The VRF behind the one that was asked, in the order of their names. */
static bool vrf_next_of(struct collect *c)
{
	const char *next = NULL, *name;

	for (const struct link *l = link_next(NULL); l; l = link_next(l)) {
		if (!wanted(c, l))
			continue;
		name = l->cfg->underlay->vrf->name;
		if (strcmp(name, c->vrf) > 0 && (!next || strcmp(name, next) < 0))
			next = name;
	}
	if (next)
		snprintf(c->vrf, sizeof(c->vrf), "%s", next);
	return next;
}

static void ask_next(struct collect *c)
{
	while (vrf_next_of(c)) {
		if (!swan_ask(c->vrf, on_sas, c))
			return;
		for (const struct link *l = link_next(NULL); l; l = link_next(l))
			if (wanted(c, l) && !strcmp(l->cfg->underlay->vrf->name, c->vrf))
				json_array_append_new(c->list,
					link_ike(l, NULL, "the keeper is busy: ask again"));
	}
	api_reply(c->request, c->list);
	free(c);
}

void view_ike_show(struct api_request *request, const json_t *args)
{
	const char *name = NULL;
	const struct view_arg table[] = { { "name", VIEW_STRING, &name, false, 0, 0 } };
	struct collect *c;

	if (!VIEW_ARGS(request, args, table))
		return;
	c = calloc(1, sizeof(*c));
	if (!c || !(c->list = json_array())) {
		free(c);
		api_fail(request, "lintasd: out of memory");
		return;
	}
	c->request = request;
	snprintf(c->only, sizeof(c->only), "%s", name ? name : "");
	ask_next(c);
}
