/* Our half of a link as a provider would describe it: one address and one peer a family, AS
 * numbers, what we announce. The sheet, the comparer and the matcher start from this, so that "our
 * address" means the same to all of them. */
#include <string.h>
#include "config/profile.h"
#include "ctl_against.h"

/* Our address towards the peer; of several the one whose network the peer is in. */
static struct ip_prefix our_address(
	const struct cfg_link *link, uint8_t af, const struct ip_addr *peer)
{
	struct ip_prefix best = { 0 };

	for (unsigned i = 0; i < link->n_address; i++) {
		const struct ip_prefix *p = &link->address[i];
		struct ip_addr addr = ip_prefix_addr(p);
		bool local = af == AF_INET6 && ip_addr_is_link_local(&addr);

		if (p->af != af)
			continue;
		if (peer->af == af && ip_prefix_contains(p, peer))
			return *p;
		if (!best.af && !local)
			best = *p;
	}
	return best;
}

static struct half_session session(const struct config *config, const struct cfg_link *link,
	const struct cfg_bgp_peer *peer, int family)
{
	static const uint8_t afs[] = { AF_INET, AF_INET6 };
	struct half_session s = { .peer = peer };

	s.bgp = link->bgp.present && peer->present;
	if (s.bgp) {
		s.theirs = peer->peer;
		s.our_asn = peer->local_as ? peer->local_as : config->gateway.asn;
		s.their_asn = peer->asn;
	} else {
		s.theirs = link->static_via[family];
		if (!s.theirs.af)
			s.theirs = link->gateway[family];
	}
	s.ours = our_address(link, afs[family], &s.theirs);
	return s;
}

/* "aws-dx-transit": the provider is before the first dash, when nothing else tells. */
static int provider_of(const struct cfg_link *link)
{
	char word[CFG_NAME_MAX];
	int provider = -1;

	if (link->profile)
		provider = cloud_provider_find(link->profile->provider);
	if (provider < 0 && link->zone && !link->zone->partner)
		provider = cloud_provider_find(link->zone->provider);
	if (provider < 0 && link->profile_name) {
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(link->profile_name, "-"),
			link->profile_name);
		provider = cloud_provider_find(word);
	}
	return provider;
}

struct half half_of(const struct config *config, const struct cfg_link *link)
{
	return (struct half){
		.config = config,
		.link = link,
		.provider = provider_of(link),
		.tunnel = link->underlay != NULL,
		.s = { session(config, link, &link->bgp.v4, 0),
			session(config, link, &link->bgp.v6, 1) },
		.announce = link->bgp.announce,
	};
}
