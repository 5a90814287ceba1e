/* Rules of IPsec that no provider makes: words of proposals, keys that need or exclude others.
 *
 * A word that nobody knows would make charon refuse the whole connection, and a cipher that the
 * fast path lacks would come up and carry nothing; both are told here, with the nearest word there
 * is. Where keys are static nothing of IKE may be said, and two directions under one key would
 * repeat counter values. */
#include <string.h>
#include "check.h"
#include "ipsec.h"
#include "pool.h"
#include "value.h"

static const char *at(char *buf, size_t size, const struct cfg_link *link, const char *key)
{
	snprintf(buf, size, "links.%s%s%s", link->name, *key ? "." : "", key);
	return buf;
}

#define AT(key) at(path, sizeof(path), link, key)

static void unknown(const struct parse *p, const char *path, const char *word)
{
	const char *names[64], *nearest;
	unsigned n = 0;

	for (const struct ipsec_word *w = ipsec_words; w->name && n < 63; w++)
		names[n++] = w->name;
	names[n] = NULL;
	nearest = value_nearest(word, names);
	parse_error(p, path, "'%.40s' is no algorithm we know%s%s%s", word,
		nearest ? ": did you mean '"
			: ": ciphers are as aes256gcm16, hashes as sha256, "
			  "groups as ecp384",
		nearest ? nearest : "", nearest ? "'?" : "");
}

/* The kinds of word a proposal has, a bit each. */
static unsigned words(const struct parse *p, const char *path, const char *proposal, bool esp)
{
	const struct ipsec_word *w;
	unsigned kinds = 0;
	size_t len;

	for (const char *at = proposal; (at = ipsec_next(at, &len)); at += len) {
		w = ipsec_word(at, len);
		if (!w)
			unknown(p, path, pool_printf(p->work, "%.*s", (int)len, at));
		else if (esp && !w->esp)
			parse_error(p, path, "%s is not to be had for ESP: take another %s",
				w->name, w->kind == IPSEC_HASH ? "hash" : "word");
		else if (!esp && w->kind == IPSEC_ESN)
			parse_error(p, path, "%s belongs into esp", w->name);
		kinds |= w ? 1u << w->kind : ~0u << 8;
	}
	return kinds;
}

static void proposals(
	const struct parse *p, const struct cfg_link *link, const struct cfg_words *list, bool esp)
{
	const char *key = esp ? "ipsec.esp" : "ipsec.ike";
	const unsigned aead = 1u << IPSEC_AEAD, cbc = 1u << IPSEC_CBC, hash = 1u << IPSEC_HASH;
	unsigned kinds;
	char path[80];

	if (!parse_given(p, AT(key)))
		return;
	for (unsigned i = 0; i < list->n; i++) {
		kinds = words(p, path, list->items[i], esp);
		if (kinds >> 8)
			continue; /* complained about */
		if (!(kinds & (aead | cbc)))
			parse_error(p, path, "\"%.60s\" has no cipher", list->items[i]);
		else if ((kinds & aead) && (kinds & cbc))
			parse_error(p, path,
				"\"%.60s\" has AES-GCM and AES-CBC: make two proposals of it",
				list->items[i]);
		else if ((kinds & cbc) && !(kinds & hash))
			parse_error(p, path, "\"%.60s\" has no hash: add sha256", list->items[i]);
		else if (esp && (kinds & aead) && (kinds & hash))
			parse_error(p, path, "\"%.60s\": AES-GCM needs no hash, remove it",
				list->items[i]);
		else if (!esp && (kinds & aead) && !(kinds & (hash | 1u << IPSEC_PRF)))
			parse_error(p, path, "\"%.60s\" has no PRF: add prfsha256", list->items[i]);
		else if (!esp && !(kinds & 1u << IPSEC_GROUP))
			parse_error(p, path, "\"%.60s\" has no group: add ecp256", list->items[i]);
	}
}

static bool plain(const char *id)
{
	for (; *id; id++)
		if (*id <= ' ' || *id > '~' || strchr("\"'{}#\\=%", *id))
			return false;
	return true;
}

static void keying(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_keying *k = &link->ipsec;
	char path[80];
	bool key = parse_given(p, AT("ipsec.key")), sas = parse_given(p, AT("ipsec.sas"));

	if (!key && !sas)
		parse_error(p, AT("ipsec.key"),
			"is missing: name the file in the folder of keys that has the pre-shared "
			"key");
	else if (key && sas)
		parse_error(p, AT("ipsec.sas"),
			"has a pre-shared key as well: IKEv2 or static "
			"SAs, keep one");
	else if (sas && (parse_given(p, AT("ipsec.ike")) || parse_given(p, AT("ipsec.esp")) ||
				parse_given(p, AT("ipsec.nat_t"))))
		parse_error(p, AT("ipsec"), "ike, esp and nat_t are IKE's: static SAs have none");
	if (sas && k->esn)
		parse_error(p, AT("ipsec.esn"),
			"static SAs have numbers of 32 bits: remove it, and change the keys in "
			"time");
	if (k->in.key && k->out.key && !strcmp(k->in.key, k->out.key))
		parse_error(p, AT("ipsec.sas.out.key"),
			"is that of the other direction: AES-GCM would repeat its nonces, give "
			"each "
			"one of its own");
	if (k->local_id && !plain(k->local_id))
		parse_error(p, AT("ipsec.local_id"),
			"an address or name without blanks, quotes "
			"and braces");
	if (k->remote_id && !plain(k->remote_id))
		parse_error(p, AT("ipsec.remote_id"),
			"an address or name without blanks, quotes "
			"and braces");
	if (k->key && k->rekey_s &&
		(k->rekey_s >= k->esp_lifetime_s || k->rekey_s >= k->ike_lifetime_s))
		parse_error(p, AT("ipsec.rekey"),
			"%us before the end of a lifetime of %us: leave more time between",
			k->rekey_s,
			k->esp_lifetime_s < k->ike_lifetime_s ? k->esp_lifetime_s
							      : k->ike_lifetime_s);
}

/* if_id tells their SAs apart in charon and in the kernel. */
static void same_id(const struct parse *p)
{
	const struct cfg_link *link, *other;
	char path[80];

	for (unsigned i = 1; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		if (link->encap != CFG_ENCAP_IPSEC)
			continue;
		for (unsigned j = 0; j < i; j++) {
			other = &p->config->links[j];
			if (other->encap == CFG_ENCAP_IPSEC &&
				config_if_id(other) == config_if_id(link))
				parse_error(p, AT(""),
					"the name gives the same number (if_id) as link '%s': "
					"rename one of them",
					other->name);
		}
	}
}

void check_ipsec_all(const struct parse *p)
{
	const struct cfg_link *link;
	char path[80];

	for (unsigned i = 0; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		if (link->encap != CFG_ENCAP_IPSEC) {
			if (parse_given(p, AT("ipsec")))
				parse_error(p, path,
					"is for tunnels of type ipsec: write encap = "
					"{ type = \"ipsec\"; ... };");
			continue;
		}
		keying(p, link);
		proposals(p, link, &link->ipsec.ike, false);
		proposals(p, link, &link->ipsec.esp, true);
	}
	same_id(p);
}
