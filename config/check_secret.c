/* The secrets that a configuration names: are they there, for nobody else, and fit for use?
 *
 * Only these make the rules look outside of the configuration, at the folder of keys: FRR would
 * start without its password otherwise, and charon would say no more than that authentication
 * failed. A secret is read, judged and wiped; no message ever holds any of it. What a pre-shared
 * key may look like is the provider's word (PROV-77), for a key it refuses fails at its side. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "ipsec.h"
#include "pool.h"
#include "profile.h"
#include "prov.h"
#include "sha256.h"

#define SECRET_MAX 128

typedef const char *secret_rule_fn(const void *arg, const char *text, size_t n);

/* What is wrong with the secret in this file, or NULL. It never leaves this function. */
static const char *secret_flaw(
	const char *file, unsigned max, secret_rule_fn *rule, const void *arg)
{
	static char text[SECRET_MAX + 3]; /* one configuration is loaded at a time */
	const char *flaw = NULL;
	struct stat st;
	ssize_t n = -1;
	int fd;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0)
		return errno == ELOOP ? "a symbolic link: put the secret itself there"
				      : strerror(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		flaw = "not a regular file";
	else if (st.st_mode & 077)
		flaw = "group or others have access to it: chmod 0600";
	else if ((n = read(fd, text, max + 2)) < 0)
		flaw = strerror(errno);
	close(fd);
	if (flaw)
		return flaw;
	if (n && text[n - 1] == '\n')
		n--;
	if (!n)
		flaw = "it is empty";
	else if (n > (ssize_t)max)
		flaw = max == CFG_KEY_MAX ? "it is longer than 80 bytes"
					  : "it is longer than 128 bytes";
	for (ssize_t i = 0; i < n && !flaw; i++)
		if (text[i] <= ' ' || text[i] > '~')
			flaw = "it must be one line of printable characters without blanks";
	if (!flaw && rule)
		flaw = rule(arg, text, (size_t)n);
	explicit_bzero(text, sizeof(text));
	return flaw;
}

/* A name that people give to a file, or may it be the secret, written where the file's name should
 * be? Secrets have capitals and many digits. */
static bool is_name(const char *key)
{
	unsigned digits = 0;

	for (const char *c = key; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			return false;
		digits += *c >= '0' && *c <= '9';
	}
	return strlen(key) <= 32 && digits <= 3;
}

static const char *flaw_of(const struct parse *p, const char *key, unsigned max,
	secret_rule_fn *rule, const void *arg, const char **ret_file)
{
	const char *file = pool_printf(p->work, "%s/%s", p->config->defaults.keys, key);
	const char *flaw = secret_flaw(file, max, rule, arg);

	*ret_file = file;
	if (access(file, F_OK) < 0 && errno == ENOENT) {
		if (is_name(key))
			return "No such file: write the secret into it, mode 0600";
		*ret_file = p->config->defaults.keys; /* it may be the secret itself */
		return "No such file: write the secret into one of the name that key gives, mode "
		       "0600";
	}
	return flaw;
}

static void bgp_secret(const struct parse *p, const struct cfg_link *link, const char *family,
	const struct cfg_bgp_peer *peer)
{
	const char *flaw, *file;
	char path[80];

	if (!peer->key || !p->config->defaults.keys)
		return;
	flaw = flaw_of(p, peer->key, CFG_KEY_MAX, NULL, NULL, &file);
	snprintf(path, sizeof(path), "links.%s.bgp.%s.key", link->name, family);
	if (flaw && link->profile && link->profile->md5 == CFG_WANT_REQUIRED)
		prov_report(p, PROV_MD5_MISSING, path, "secret %s: %s", file, flaw);
	else if (flaw)
		parse_error(p, path, "secret %s: %s", file, flaw);
}

/* ---- IPsec ---- */

/* "A-Z 0-9 . _": single characters and ranges, blanks between them. */
static bool in_set(const char *set, char c)
{
	for (; *set; set++) {
		if (*set == ' ' || *set == ',')
			continue;
		if (set[1] == '-' && set[2] && set[2] != ' ' && set[2] != ',') {
			if (c >= set[0] && c <= set[2])
				return true;
			set += 2;
		} else if (*set == c) {
			return true;
		}
	}
	return false;
}

static const char *psk_rule(const void *arg, const char *text, size_t n)
{
	const struct cfg_ipsec *terms = arg;
	const char *flaw = NULL;

	if ((terms->psk_min && n < terms->psk_min) || (terms->psk_max && n > terms->psk_max))
		flaw = terms->psk;
	if (terms->psk_first_not && n && in_set(terms->psk_first_not, *text))
		flaw = terms->psk;
	for (size_t i = 0; terms->psk_chars && i < n && !flaw; i++)
		if (!in_set(terms->psk_chars, text[i]))
			flaw = terms->psk;
	return flaw;
}

static void psk(const struct parse *p, const struct cfg_link *link)
{
	const struct cfg_ipsec *terms = link->profile ? &link->profile->ipsec : NULL;
	const char *flaw, *file;
	char path[80];

	if (!link->ipsec.key || !p->config->defaults.keys)
		return;
	snprintf(path, sizeof(path), "links.%s.ipsec.key", link->name);
	flaw = flaw_of(p, link->ipsec.key, SECRET_MAX, terms ? psk_rule : NULL, terms, &file);
	if (flaw && terms && flaw == terms->psk)
		prov_report(p, PROV_PSK, path, "secret %s: %s takes %s", file, link->profile->name,
			flaw);
	else if (flaw)
		parse_error(p, path, "secret %s: %s", file, flaw);
}

/* Whose cipher keys have been seen: digests, for they are compared only. */
struct seen {
	struct seen_key {
		uint8_t digest[32];
		const char *name;
		const struct cfg_link *link;
	} * keys;
	unsigned n;
};

/* Two directions or links under one key would use a counter value twice, whatever the files are
 * called. GCM's salt does not count. */
static void same_key(const struct parse *p, const char *path, const struct cfg_link *link,
	const struct cfg_sa *sa, const struct cfg_sa_keys *keys, struct seen *seen)
{
	struct seen_key *mine = &seen->keys[seen->n];
	struct sha256 sha;

	sha256_init(&sha);
	sha256_update(&sha, keys->key, keys->key_len - (keys->auth_len ? 0 : 4));
	sha256_final(&sha, mine->digest);
	explicit_bzero(&sha, sizeof(sha));
	mine->name = sa->key;
	mine->link = link;
	for (unsigned i = 0; i < seen->n; i++) {
		const struct seen_key *other = &seen->keys[i];

		if (memcmp(other->digest, mine->digest, sizeof(mine->digest)) ||
			(other->link == link && !strcmp(other->name, sa->key)))
			continue; /* one file for both directions: check_ipsec.c has said it */
		parse_error(p, path,
			"the same key as '%s' of link '%s': AES-GCM would repeat its nonces, give "
			"each direction of each link one of its own",
			other->name, other->link->name);
		return;
	}
	seen->n++;
}

static void sa(const struct parse *p, const struct cfg_link *link, const char *way,
	const struct cfg_sa *sa, struct seen *seen)
{
	struct cfg_sa_keys keys;
	char path[80];
	int err;

	if (!link->ipsec.algorithm || !sa->key || !p->config->defaults.keys)
		return;
	snprintf(path, sizeof(path), "links.%s.ipsec.sas.%s.key", link->name, way);
	err = config_sa_keys(p->config, link, sa, &keys);
	if (!err && seen->keys)
		same_key(p, path, link, sa, &keys, seen);
	if (err == -EINVAL)
		parse_error(p, path,
			"secret %s/%s: must be %u hex digits, as %s takes them, and nothing else",
			p->config->defaults.keys, sa->key,
			ipsec_static_digits(link->ipsec.algorithm),
			ipsec_static_proposal(link->ipsec.algorithm));
	else if (err == -EACCES)
		parse_error(p, path,
			"secret %s/%s: not a regular file, or group or others have access to it: "
			"chmod 0600",
			p->config->defaults.keys, sa->key);
	else if (err)
		parse_error(p, path, "secret %s/%s: %s", p->config->defaults.keys, sa->key,
			strerror(-err));
	explicit_bzero(&keys, sizeof(keys));
}

void check_secret_all(const struct parse *p)
{
	const struct cfg_link *link;
	struct seen seen = { 0 };

	if (p->config->n_links)
		seen.keys = pool_array(p->work, 2 * p->config->n_links, sizeof(*seen.keys));

	for (unsigned i = 0; i < p->config->n_links; i++) {
		link = &p->config->links[i];
		bgp_secret(p, link, "v4", &link->bgp.v4);
		bgp_secret(p, link, "v6", &link->bgp.v6);
		psk(p, link);
		sa(p, link, "in", &link->ipsec.in, &seen);
		sa(p, link, "out", &link->ipsec.out, &seen);
	}
}
