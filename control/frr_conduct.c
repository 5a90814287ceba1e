/* How each link behaves toward its neighbours, as its health is now.
 *
 * A link that the probes call grey announces with the low lever, so that providers prefer others;
 * one they call bad announces nothing as long as another link of the same zone and VRF does and is
 * good: alive, announced over, its session up. When none is, the target of the probes is the
 * likelier culprit, and the link stays as a grey one. The hysteresis is health.c's. Computed
 * whenever frr_sync.c looks (twice a second, and at once when health_probe() says so), kept to be
 * compared. Control thread only. */
#include <stdlib.h>
#include <string.h>
#include "frr_own.h"
#include "health.h"
#include "views.h"

static struct {
	uint8_t *now;	     /* by index of the configuration of that generation */
	uint64_t generation; /* another one's links are others, however many there are */
} conduct;

/* Does this one carry what the other would not get any more? */
static bool announces_well(const struct cfg_link *cfg, bool v6)
{
	const struct cfg_bgp_peer *peer = frr_peer(cfg, v6);
	const struct link *link = link_by_name(cfg->name);

	return peer && !cfg->shut && cfg->bgp.announce.n && link && link->up && link->carrier &&
	       health_alive(link, peer->peer.af) && health_of(link) == HEALTH_GOOD &&
	       view_session_up(cfg->vrf->name, &peer->peer);
}

/* Another one for each family in which this link has a session. */
static bool others_do(const struct config *config, const struct cfg_link *cfg)
{
	bool missing[2] = { frr_peer(cfg, false), frr_peer(cfg, true) };

	for (unsigned i = 0; i < config->n_links; i++) {
		const struct cfg_link *other = &config->links[i];

		if (other == cfg || other->zone != cfg->zone || other->vrf != cfg->vrf)
			continue;
		for (int v6 = 0; v6 < 2; v6++)
			missing[v6] &= !announces_well(other, v6);
	}
	return !missing[0] && !missing[1];
}

static uint8_t conduct_of(const struct config *config, const struct cfg_link *cfg)
{
	const struct link *link = cfg->bgp.present ? link_by_name(cfg->name) : NULL;
	enum health health = link ? health_of(link) : HEALTH_GOOD;

	if (health == HEALTH_GOOD)
		return FRR_NORMAL;
	return health == HEALTH_BAD && cfg->zone && others_do(config, cfg) ? FRR_SILENT : FRR_LOW;
}

const uint8_t *frr_conduct_now(const struct config *config)
{
	uint8_t *now = calloc(config->n_links ? config->n_links : 1, 1);

	for (unsigned i = 0; now && i < config->n_links; i++) {
		const struct cfg_link *cfg = &config->links[i];

		now[i] = conduct_of(config, cfg);
		if (now[i] == FRR_SILENT)
			log_event(LOG_LVL_WARN, cfg->name,
				"bad: announces nothing while another link of %s is good",
				cfg->zone->name);
		else if (now[i] == FRR_LOW)
			log_event(
				LOG_LVL_WARN, cfg->name, "not good: announces with low preference");
	}
	free(conduct.now);
	conduct.now = now;
	conduct.generation = control.generation;
	return now;
}

bool frr_conduct_changed(const struct config *config)
{
	if (!conduct.now || conduct.generation != control.generation)
		return false; /* a reload asks for a sync itself */
	for (unsigned i = 0; i < config->n_links; i++)
		if (conduct.now[i] != conduct_of(config, &config->links[i]))
			return true;
	return false;
}

void frr_orders_now(struct frr_orders *orders)
{
	bool same = conduct.generation == control.generation;

	*orders = (struct frr_orders){ .conduct = same ? conduct.now : NULL };
	frr_guard_orders(orders);
}
