/* What is known of a link's life beyond carrier and neighbour: BFD and probes.
 *
 * One place joins them, so that path groups (legs.c), what BGP is told (frr_render.c) and the
 * screens agree. BFD down kills the legs of its family over the link, before FRR has withdrawn a
 * single route; the probes' word only demotes them (health_tier), because a far host that went away
 * looks like a dead path. Kept by link id; told from the event loop, control thread only. */
#include <netinet/in.h>
#include <string.h>
#include "bring.h"
#include "frr.h"
#include "health.h"
#include "probes.h"

const char *const health_names[HEALTH_COUNT] = { "good", "grey", "bad" };

static struct {
	bool bfd_down;
	uint8_t probe; /* enum health */
	char why[80];  /* of probe */
} states[DP_LINKS_MAX][2];

static unsigned family(uint8_t af)
{
	return af == AF_INET6;
}

void health_bfd(struct link *link, uint8_t af, bool up)
{
	if (states[link->id][family(af)].bfd_down == !up)
		return;
	states[link->id][family(af)].bfd_down = !up;
	if (up)
		probes_anew(link, af);
	mirror_health(link, up ? "BFD is up" : "BFD down");
}

void health_probe(struct link *link, uint8_t af, enum health health, const char *why)
{
	enum health before = states[link->id][family(af)].probe;
	char what[64];

	snprintf(states[link->id][family(af)].why, sizeof(states[0][0].why), "%s", why ? why : "");
	if (before == health)
		return;
	states[link->id][family(af)].probe = (uint8_t)health;
	snprintf(what, sizeof(what), "IPv%c %s, was %s", family(af) ? '6' : '4',
		health_names[health], health_names[before]);
	log_event(health > before ? LOG_LVL_WARN : LOG_LVL_NOTICE, link->name, "probes: %s%s%s",
		what, why && *why ? ": " : "", why ? why : "");
	mirror_health(link, health > before ? "probes are worse" : "probes are better");
	frr_nudge();
	bring_track(link);
}

void health_forget_bfd(struct link *link, uint8_t af)
{
	health_bfd(link, af, true);
}

void health_forget_probe(struct link *link, uint8_t af)
{
	if (states[link->id][family(af)].probe != HEALTH_GOOD)
		health_probe(link, af, HEALTH_GOOD, "what was known is past");
}

void health_forget(struct link *link)
{
	memset(states[link->id], 0, sizeof(states[link->id]));
}

bool health_alive(const struct link *link, uint8_t af)
{
	return !states[link->id][family(af)].bfd_down;
}

uint8_t health_tier(const struct link *link, uint8_t af)
{
	return (uint8_t)(states[link->id][family(af)].probe * CFG_TIERS_MAX);
}

enum health health_probed(const struct link *link, uint8_t af, const char **ret_why)
{
	if (ret_why)
		*ret_why = states[link->id][family(af)].why;
	return states[link->id][family(af)].probe;
}

enum health health_of(const struct link *link)
{
	enum health v4 = states[link->id][0].probe, v6 = states[link->id][1].probe;

	return v4 > v6 ? v4 : v6;
}
