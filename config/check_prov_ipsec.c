/* The providers' rules about IPsec: what is proposed, for how long, and whether its packets fit.
 *
 * Everything is judged as it is in force, not as it is written: the proposals that the link will
 * make, and for each of its ciphers the provider's own table of tunnel MTU and MSS. Without a
 * profile only `strict` is looked after. */
#include <stdlib.h>
#include <string.h>
#include "ipsec.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"

static const char *at(char *buf, size_t size, const struct cfg_link *link, const char *key)
{
	snprintf(buf, size, "links.%s%s%s", link->name, *key ? "." : "", key);
	return buf;
}

#define AT(key) at(path, sizeof(path), link, key)

static bool has(const struct cfg_words *list, const char *word)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->items[i], word))
			return true;
	return false;
}

/* The profile's list for words of this kind; an empty one allows all. */
static const struct cfg_words *allowed(
	const struct cfg_ipsec *terms, enum ipsec_kind kind, bool esp)
{
	static const struct cfg_words all;

	switch (kind) {
	case IPSEC_AEAD:
	case IPSEC_CBC:
		return esp ? &terms->esp : &terms->ike;
	case IPSEC_HASH:
	case IPSEC_PRF:
		return &terms->integrity;
	case IPSEC_GROUP:
		return esp && terms->pfs.n ? &terms->pfs : &terms->dh;
	case IPSEC_ESN:
		break;
	}
	return &all;
}

static void weak(const struct parse *p, const struct cfg_link *link, const struct ipsec_word *w,
	const char *key)
{
	char path[80];

	prov_report(p, PROV_WEAK, AT(key), "%s under strict = true: take %s", w->name,
		w->kind == IPSEC_CBC	 ? "aes256gcm16"
		: w->kind == IPSEC_GROUP ? "ecp384 or modp2048"
					 : "sha256 or better");
}

/* Different ciphers in all proposals together. */
static unsigned ciphers(const struct cfg_words *list)
{
	const struct ipsec_word *w;
	uint64_t seen = 0;
	size_t len;

	for (unsigned i = 0; i < list->n; i++)
		for (const char *s = list->items[i]; (s = ipsec_next(s, &len)); s += len) {
			w = ipsec_word(s, len);
			if (w && (w->kind == IPSEC_AEAD || w->kind == IPSEC_CBC))
				seen |= UINT64_C(1) << (w - ipsec_words);
		}
	return (unsigned)__builtin_popcountll(seen);
}

/* One word of a proposal; false: complained about. */
static bool word(
	const struct parse *p, const struct cfg_link *link, const struct ipsec_word *w, bool esp)
{
	const char *key = esp ? "ipsec.esp" : "ipsec.ike", *text = "";
	const struct cfg_words *may;
	char path[80];

	if (w->weak && link->ipsec.strict) {
		weak(p, link, w, key);
		return false;
	}
	if (!link->profile)
		return true;
	may = allowed(&link->profile->ipsec, w->kind, esp);
	if (!may->n || has(may, w->profile))
		return true;
	for (unsigned j = 0; j < may->n; j++)
		text = pool_printf(p->work, "%s%s%s", text, j ? ", " : "", may->items[j]);
	prov_report(p, PROV_PROPOSAL, AT(key), "%s takes no %s: it takes %s", link->profile->name,
		w->name, text);
	return false;
}

static void proposals(
	const struct parse *p, const struct cfg_link *link, const struct cfg_words *list, bool esp)
{
	const struct cfg_ipsec *terms = link->profile ? &link->profile->ipsec : NULL;
	const struct cfg_words *one = !terms ? NULL : esp ? &terms->esp : &terms->ike;
	const struct ipsec_word *w;
	char path[80];
	size_t len;

	if (one && one->n == 1 && ciphers(list) > 1) {
		prov_report(p, PROV_MANY_CIPHERS, AT(esp ? "ipsec.esp" : "ipsec.ike"),
			"%u ciphers: %s wants one proposed, the same on both tunnels: %s",
			ciphers(list), link->profile->name, one->items[0]);
		return;
	}
	for (unsigned i = 0; i < list->n; i++)
		for (const char *s = list->items[i]; (s = ipsec_next(s, &len)); s += len) {
			w = ipsec_word(s, len);
			if (w && !word(p, link, w, esp))
				return;
		}
}

static void lifetime(const struct parse *p, const struct cfg_link *link, const char *key,
	uint32_t is, uint32_t most)
{
	const struct cfg_ipsec *terms = &link->profile->ipsec;
	char path[80];

	if (!most || is == most)
		return;
	if (terms->lifetime_fixed)
		prov_report(p, PROV_LIFETIME, AT(key), "%us: %s has %us and nothing else", is,
			link->profile->name, most);
	else if (is > most || is < terms->lifetime_min_s)
		prov_report(p, PROV_LIFETIME, AT(key), "%us: %s takes %us to %us", is,
			link->profile->name, terms->lifetime_min_s, most);
}

/* ---- MSS ---- */

/* Does a row of the profile's table ("aes+sha2-256+nat-t 1422 1382") speak of this cipher and hash?
 */
static bool row_is(const char *row, const struct ipsec_word *cipher, const struct ipsec_word *hash,
	bool nat_t, bool ip6)
{
	const char *blank = strchr(row, ' ');
	size_t len = blank ? (size_t)(blank - row) : 0;
	char name[64];

	if (len == 3 && !memcmp(row, "any", 3))
		return true;
	snprintf(name, sizeof(name), "%s%s%s%s%s", cipher->kind == IPSEC_AEAD ? "aes-gcm" : "aes",
		hash ? "+" : "", hash ? hash->profile : "", nat_t ? "+nat-t" : "",
		ip6 ? " ipv6" : "");
	return !strncmp(row, name, strlen(name)) && row[strlen(name)] == ' ' &&
	       row[strlen(name) + 1] >= '0' && row[strlen(name) + 1] <= '9';
}

/* One cipher of a proposal, with one hash of it. */
static bool row(const struct parse *p, const struct cfg_link *link, const struct ipsec_word *cipher,
	const struct ipsec_word *hash)
{
	const struct cfg_words *table = &link->profile->ipsec.mss;
	bool ip6 = link->remote.af == AF_INET6, nat_t = config_nat_t(link);
	const char *numbers;
	unsigned long mtu;
	char path[80];
	char *end;

	for (unsigned i = 0; i < table->n; i++) {
		if (!row_is(table->items[i], cipher, hash, nat_t, ip6))
			continue;
		numbers = strrchr(table->items[i], ' ');
		while (numbers > table->items[i] && numbers[-1] != ' ')
			numbers--;
		mtu = strtoul(numbers, &end, 10);
		if (!mtu || link->mtu <= mtu)
			return false;
		prov_report(p, PROV_MSS, AT("mtu"),
			"%u makes segments of %u, %s carries %lu with %s%s%s%s: mtu = %lu;",
			link->mtu, link->mtu - 40u, link->profile->name, mtu - 40, cipher->name,
			hash ? "-" : "", hash ? hash->name : "", nat_t ? " in UDP" : "", mtu);
		return true;
	}
	return false;
}

static bool proposal_mss(const struct parse *p, const struct cfg_link *link, const char *proposal)
{
	const struct ipsec_word *w, *hash;
	size_t len, other;

	for (const char *s = proposal; (s = ipsec_next(s, &len)); s += len) {
		w = ipsec_word(s, len);
		if (w && w->kind == IPSEC_AEAD && row(p, link, w, NULL))
			return true;
		for (const char *b = proposal;
			w && w->kind == IPSEC_CBC && (b = ipsec_next(b, &other)); b += other) {
			hash = ipsec_word(b, other);
			if (hash && hash->kind == IPSEC_HASH && row(p, link, w, hash))
				return true;
		}
	}
	return false;
}

void prov_check_ipsec(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_keying *k = &link->ipsec;
	bool ike = k->key && !k->algorithm; /* both: refused, and nothing is proposed */
	char path[80];

	if (link->encap != CFG_ENCAP_IPSEC)
		return;
	if (ike) {
		proposals(p, link, &k->ike, false);
		proposals(p, link, &k->esp, true);
	}
	if (ike && (!k->ike.n || !k->esp.n))
		prov_report(p, PROV_WEAK, AT("ipsec.strict"),
			"the provider takes nothing that a strict policy allows: remove it");
	if (!link->profile)
		return;
	if (ike) {
		lifetime(p, link, "ipsec.ike_lifetime", k->ike_lifetime_s,
			link->profile->ipsec.ike_lifetime_s);
		lifetime(p, link, "ipsec.esp_lifetime", k->esp_lifetime_s,
			link->profile->ipsec.esp_lifetime_s);
	}
	if (link->mtu && (!link->profile->mtu_max || link->mtu <= link->profile->mtu_max))
		for (unsigned i = 0; i < k->esp.n; i++)
			if (proposal_mss(p, link, k->esp.items[i]))
				break;
}
