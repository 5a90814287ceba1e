/* What an IPsec link leaves out: proposals, lifetimes, who both ends say they are.
 *
 * Proposals are made of what the profile's provider takes and the fast path can do, in the
 * profile's order, one for AES-GCM and one for AES-CBC with hashes. What is weak (SHA-1, MD5,
 * groups below 112 bits and those that RFC 8247 warns of) is offered only where the provider has
 * nothing better of that kind, and never under `strict`, which takes CBC out as well where the
 * provider has GCM. Without a profile: what is sound everywhere. A static SA "offers" its one
 * algorithm, for the MTU's sake. */
#include <string.h>
#include "ipsec.h"
#include "pool.h"
#include "profile.h"
#include "resolve.h"

#define IKE_LIFETIME_S 14400
#define ESP_LIFETIME_S 3600
#define DPD_S	       30
#define REPLAY	       1024

static const char *const sound_ciphers[] = { "aes256gcm16", "aes128gcm16", "aes256", "aes128" };
static const char *const sound_hashes[] = { "sha2-512", "sha2-384", "sha2-256" };
static const char *const sound_groups[] = { "20", "19", "curve25519", "14" };
#define SOUND(list)                                                     \
	(struct cfg_words)                                              \
	{                                                               \
		(const char **)(list), sizeof(list) / sizeof((list)[0]) \
	}

/* The words of one kind that the list has, joined by '-', in its order. */
static const char *join(
	struct parse *p, const struct cfg_words *list, enum ipsec_kind kind, bool weak, bool esp)
{
	const char *text = "";

	for (unsigned i = 0; i < list->n; i++)
		for (const struct ipsec_word *w = ipsec_words; w->name; w++) {
			if (w->kind != kind || strcmp(w->profile, list->items[i]) ||
				(w->weak && !weak && kind != IPSEC_CBC) || (esp && !w->esp))
				continue;
			text = pool_printf(p->pool, "%s%s%s", text, *text ? "-" : "", w->name);
			break; /* x25519 is curve25519 */
		}
	return text;
}

/* Sound ones; weak ones where there are no others. */
static const char *best(
	struct parse *p, const struct cfg_words *list, enum ipsec_kind kind, bool strict, bool esp)
{
	const char *text = join(p, list, kind, false, esp);

	return *text || strict ? text : join(p, list, kind, true, esp);
}

static void offer(struct parse *p, struct cfg_words *proposals, const char *a, const char *b,
	const char *c, const char *d)
{
	const char *parts[] = { a, b, c, d }, *text = "";

	for (unsigned i = 0; i < 4; i++)
		if (*parts[i])
			text = pool_printf(p->pool, "%s%s%s", text, *text ? "-" : "", parts[i]);
	proposals->items[proposals->n++] = text;
}

static void proposals(struct parse *p, struct cfg_link *link, bool esp)
{
	const struct cfg_ipsec *terms = link->profile ? &link->profile->ipsec : NULL;
	struct cfg_words ciphers = terms && terms->ike.n ? terms->ike : SOUND(sound_ciphers);
	struct cfg_words hashes =
		terms && terms->integrity.n ? terms->integrity : SOUND(sound_hashes);
	struct cfg_words groups = terms && terms->dh.n ? terms->dh : SOUND(sound_groups);
	struct cfg_words *to = esp ? &link->ipsec.esp : &link->ipsec.ike;
	const char *aead, *cbc, *hash, *group, *esn = "";
	bool strict = link->ipsec.strict;

	if (esp && terms && terms->esp.n)
		ciphers = terms->esp;
	if (esp && terms && terms->pfs.n)
		groups = terms->pfs;
	to->items = pool_array(p->pool, 2, sizeof(*to->items));
	to->n = 0;
	aead = join(p, &ciphers, IPSEC_AEAD, false, esp);
	cbc = strict ? "" : join(p, &ciphers, IPSEC_CBC, true, esp);
	hash = best(p, &hashes, IPSEC_HASH, strict, esp);
	group = best(p, &groups, IPSEC_GROUP, strict, esp);
	if (esp && link->ipsec.esn)
		esn = "esn-noesn";
	if (*aead)
		offer(p, to, aead, esp ? "" : best(p, &hashes, IPSEC_PRF, strict, false), group,
			esn);
	if (*cbc && *hash)
		offer(p, to, cbc, hash, group, esn);
}

static uint32_t either(uint32_t given, uint32_t profile, uint32_t otherwise)
{
	return given ? given : profile ? profile : otherwise;
}

void resolve_ipsec(struct parse *p, struct cfg_link *link)
{
	struct cfg_keying *k = &link->ipsec;
	const struct cfg_ipsec none = { .dpd_s = 0 },
			       *terms = link->profile ? &link->profile->ipsec : &none;
	const char **one;
	uint32_t shorter;

	if (link->encap != CFG_ENCAP_IPSEC)
		return;
	k->replay = either(k->replay, terms->replay, REPLAY);
	if (k->algorithm) {
		one = pool_array(p->pool, 1, sizeof(*one));
		*one = ipsec_static_proposal(k->algorithm);
		k->esp = (struct cfg_words){ one, 1 };
		return;
	}
	if (!k->ike.n)
		proposals(p, link, false);
	if (!k->esp.n)
		proposals(p, link, true);
	k->ike_lifetime_s = either(k->ike_lifetime_s, terms->ike_lifetime_s, IKE_LIFETIME_S);
	k->esp_lifetime_s = either(k->esp_lifetime_s, terms->esp_lifetime_s, ESP_LIFETIME_S);
	shorter = k->esp_lifetime_s < k->ike_lifetime_s ? k->esp_lifetime_s : k->ike_lifetime_s;
	k->rekey_s = either(k->rekey_s, terms->rekey_s, shorter / 10);
	k->dpd_s = either(k->dpd_s, terms->dpd_s, DPD_S);
	if (!k->esp_lifetime_kbytes)
		k->esp_lifetime_kbytes = terms->esp_lifetime_kbytes;
}

static const char *end(struct parse *p, const struct ip_addr *addr)
{
	char text[IP_STRLEN];

	return addr->af ? pool_strdup(p->pool, ip_addr_format(addr, text)) : NULL;
}

void resolve_ipsec_ids(struct parse *p, struct cfg_link *link)
{
	if (link->encap != CFG_ENCAP_IPSEC || link->ipsec.algorithm)
		return;
	if (!link->ipsec.local_id)
		link->ipsec.local_id = end(p, &link->local);
	if (!link->ipsec.remote_id)
		link->ipsec.remote_id = end(p, &link->remote);
}

bool resolve_ipsec_by_profile(const struct cfg_link *link, const char *key)
{
	const struct cfg_ipsec *terms = &link->profile->ipsec;

	if (link->ipsec.algorithm)
		return !strcmp(key, "replay") && terms->replay;
	if (!strcmp(key, "ike"))
		return terms->ike.n;
	if (!strcmp(key, "esp"))
		return terms->esp.n || terms->ike.n;
	if (!strcmp(key, "ike_lifetime"))
		return terms->ike_lifetime_s;
	if (!strcmp(key, "esp_lifetime"))
		return terms->esp_lifetime_s;
	if (!strcmp(key, "esp_lifetime_kbytes"))
		return terms->esp_lifetime_kbytes;
	if (!strcmp(key, "rekey"))
		return terms->rekey_s;
	if (!strcmp(key, "dpd"))
		return terms->dpd_s;
	return !strcmp(key, "replay") && terms->replay;
}
