/* Connections that we begin and that are not up are begun again.
 *
 * charon tries for ever where nobody answers; where the far end refuses (a key, a proposal, an
 * identity), or where somebody took a connection down by hand, it gives up. Every few seconds each
 * charon is asked what it has, and what is missing is initiated, with growing pauses, at most two
 * at a time, until the configuration changes or it comes up. The same answer tells the views and
 * the events which connections are up. Control thread only. */
#include <stdlib.h>
#include <string.h>
#include "keeper.h"
#include "swan.h"

#define LOOK_NS	     (5ull * 1000000000ull)
#define PAUSE_NS     (5ull * 1000000000ull)
#define PAUSE_MAX_NS (60ull * 1000000000ull)
#define AT_ONCE	     2

static struct {
	char name[CFG_NAME_MAX];
	uint64_t next_ns, pause_ns;
} care[DP_LINKS_MAX];

static struct swan_sa *last[DP_LINKS_MAX];

static struct {
	bool busy;
	char vrf[CFG_NAME_MAX];
	unsigned under_way;
} state;

/* Of several under one name the one that is up. */
static const struct swan_sa *sa_of(const struct swan_sa *sas, unsigned n, const char *name)
{
	const struct swan_sa *best = NULL;

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(sas[i].name, name) && (!best || !strcmp(sas[i].state, "ESTABLISHED")))
			best = &sas[i];
	return best;
}

static void remember(const struct link *link, const struct swan_sa *sa)
{
	struct swan_sa **at = &last[link->id];

	if (sa && !*at)
		*at = malloc(sizeof(**at));
	if (sa && *at) {
		**at = *sa;
	} else {
		free(*at);
		*at = NULL;
	}
}

const struct swan_sa *swan_last(const struct link *link)
{
	const struct swan_sa *sa = last[link->id];

	return sa && !strcmp(sa->name, link->name) ? sa : NULL;
}

static bool is_up(const struct swan_sa *sas, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(sas[i].name, name) &&
			(strcmp(sas[i].state, "ESTABLISHED") || sas[i].children))
			return true; /* or on its way */
	return false;
}

static void on_begun(int status, int output, void *arg)
{
	(void)status, (void)output, (void)arg; /* charon's log tells what becomes of it */
	if (state.under_way)
		state.under_way--;
}

static void begin(const struct link *link, uint64_t now)
{
	if (strcmp(care[link->id].name, link->name)) {
		memset(&care[link->id], 0, sizeof(care[link->id]));
		snprintf(care[link->id].name, sizeof(care[link->id].name), "%s", link->name);
	}
	if (now < care[link->id].next_ns || state.under_way >= AT_ONCE)
		return;
	if (keeper_swan(KEEPER_SWAN_UP, state.vrf, link->name, -1, on_begun, NULL))
		return;
	state.under_way++;
	care[link->id].pause_ns = care[link->id].pause_ns ? 2 * care[link->id].pause_ns : PAUSE_NS;
	if (care[link->id].pause_ns > PAUSE_MAX_NS)
		care[link->id].pause_ns = PAUSE_MAX_NS;
	care[link->id].next_ns = now + care[link->id].pause_ns;
}

static void on_sas(const struct swan_sa *sas, unsigned n, const char *error, void *arg)
{
	uint64_t now = now_ns();

	(void)arg;
	state.busy = false;
	for (struct link *l = error ? NULL : link_next(NULL); l; l = link_next(l)) {
		if (!swan_is_ike(l->cfg) || !l->cfg->underlay ||
			strcmp(l->cfg->underlay->vrf->name, state.vrf))
			continue;
		remember(l, sa_of(sas, n, l->name));
		if (l->cfg->ipsec.initiator == CFG_INITIATOR_THEM)
			continue;
		if (is_up(sas, n, l->name))
			memset(&care[l->id], 0, sizeof(care[l->id]));
		else
			begin(l, now);
	}
}

void swan_care(const char *vrf, uint64_t *next_ns)
{
	uint64_t now = now_ns();

	if (state.busy || now < *next_ns)
		return;
	*next_ns = now + LOOK_NS;
	snprintf(state.vrf, sizeof(state.vrf), "%s", vrf);
	state.busy = !swan_ask(vrf, on_sas, NULL);
}

void swan_care_anew(void)
{
	memset(care, 0, sizeof(care));
}

void swan_care_stop(void)
{
	for (unsigned i = 0; i < DP_LINKS_MAX; i++) {
		free(last[i]);
		last[i] = NULL;
	}
}
