/* Providers' profiles: the built-in files of the pinned version, and the configuration's own.
 *
 * A profile is a named group along profile_keys. The files of a version are one text to libconfig,
 * as includes are, so that complaints name file and line. A profile starts as a copy of its base
 * and its own keys go over that; `custom` in lintas.conf is read last, by the same walk, and one of
 * a shipped name stands in its place - with that one as its base, if it says so. Files are built
 * in, so versions that a configuration may be pinned to stay in the program: a new version is a new
 * folder. What a profile says is checked here as far as the table cannot; that the shipped ones are
 * right is a unit test. */
#include <stdlib.h>
#include <string.h>
#include "errors.h"
#include "parse.h"
#include "pool.h"
#include "profile.h"
#include "profile_data.h"
#include "scan.h"
#include "sha256.h"
#include "types.h"
#include "value.h"

#define VERSIONS_MAX 32
#define NAME_MAX_LEN 40
#define CUSTOM_MAX   256 /* own profiles; also bounds how deep bases can be */

enum state { NEW, BUSY, DONE };

struct item { /* a profile to be made */
	const config_setting_t *setting;
	struct cfg_profile *profile;
	enum state state;
	bool custom;
};

struct build {
	struct parse *main, *shipped; /* where custom and shipped groups are complained about */
	struct item *items;	      /* shipped ones first */
	unsigned n, n_shipped;
	const char *version;
};

/* ---- versions ---- */

const char *const *profile_versions(void)
{
	static const char *versions[VERSIONS_MAX + 1];
	unsigned n = 0;

	for (const struct profile_file *f = profile_files; f->version && n < VERSIONS_MAX; f++)
		if (!n || strcmp(versions[n - 1], f->version))
			versions[n++] = f->version;
	versions[n] = NULL;
	return versions;
}

/* The version that holds, or NULL after complaining. */
static const char *version(const struct parse *p)
{
	const char *const *all = profile_versions(), *there = "", *pinned = p->config->profiles;
	unsigned n = 0;

	for (; all[n]; n++) {
		if (pinned && !strcmp(all[n], pinned))
			return all[n];
		there = pool_printf(p->work, "%s%s\"%s\"", there, n ? ", " : "", all[n]);
	}
	if (!pinned && n)
		return all[n - 1];
	parse_error(p, "profiles", "this program has no profiles \"%.40s\": it has %s",
		pinned ? pinned : "", there);
	return NULL;
}

/* ---- the text of the shipped files ---- */

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static struct source *shipped_text(struct parse *p, const char *wanted)
{
	struct source *source = pool_alloc(p->work, sizeof(*source));
	struct source_segment *segment;
	unsigned n = 0, line = 1;
	size_t len = 0;

	for (const struct profile_file *f = profile_files; f->version; f++) {
		n += !strcmp(f->version, wanted);
		len += strlen(f->text);
	}
	source->dir = "";
	source->text = pool_alloc(p->work, len + 1);
	source->segments = pool_array(p->work, n + 1, sizeof(*source->segments));
	for (const struct profile_file *f = profile_files; f->version; f++) {
		if (strcmp(f->version, wanted))
			continue;
		segment = &source->segments[source->n_segments++];
		segment->from = line;
		segment->where.line = 1;
		segment->where.file = pool_printf(p->pool, "profiles/%s/%s", f->version, f->name);
		memcpy(source->text + source->len, f->text, strlen(f->text));
		source->len += strlen(f->text);
		line += lines(f->text);
	}
	return source;
}

/* ---- what the table cannot check ---- */

static void words(
	struct parse *p, const struct cfg_words *list, const char *key, const char *const *allowed)
{
	unsigned j;

	for (unsigned i = 0; i < list->n; i++) {
		for (j = 0; allowed[j] && strcmp(allowed[j], list->items[i]); j++)
			;
		if (!allowed[j])
			parse_error(p, key,
				"'%.40s' is no encapsulation: \"untagged\", \"vlan\", "
				"\"qinq\", \"vxlan\", \"gre\", \"geneve\", \"ipip\" or \"ipsec\"",
				list->items[i]);
	}
}

/* "7224:7100", each half a number of 16 bits */
static bool is_community(const char *text)
{
	unsigned long high, low;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	high = strtoul(text, &end, 10);
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return false;
	low = strtoul(end + 1, &end, 10);
	return !*end && high <= UINT16_MAX && low <= UINT16_MAX;
}

static void communities(struct parse *p, const struct cfg_words *list, const char *path)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!is_community(list->items[i]))
			parse_error(p, path, "'%.40s' is no community: write it as \"7224:7100\"",
				list->items[i]);
}

static void check(struct parse *p, struct cfg_profile *profile)
{
	static const char *const encaps[] = { "untagged", "vlan", "qinq", "vxlan", "gre", "geneve",
		"ipip", "ipsec", NULL };
	static const char *const intents[CFG_INBOUND_COUNT] = { NULL, "high", "medium", "low",
		"drain" };
	const char *path = pool_strdup(p->work, p->path);

	words(p, &profile->encaps, pool_printf(p->work, "%s.encapsulation", path), encaps);
	communities(p, &profile->preferences, pool_printf(p->work, "%s.preferences", path));
	for (unsigned i = CFG_INBOUND_HIGH; i < CFG_INBOUND_COUNT; i++) {
		profile->levers[i].has_med = profile->levers[i].med;
		communities(p, &profile->levers[i].communities,
			pool_printf(p->work, "%s.levers.%s.communities", path, intents[i]));
	}
	if (profile->keepalive_s && profile->hold_s <= profile->keepalive_s)
		parse_error(p, pool_printf(p->work, "%s.hold", path),
			"is not longer than keepalive: take three times that");
	if (profile->mtu > profile->mtu_max && profile->mtu_max)
		parse_error(p, pool_printf(p->work, "%s.mtu", path), "is more than mtu_max");
	if (profile->bfd && profile->bfd_on &&
		(!profile->bfd_interval_ms || !profile->bfd_multiplier))
		parse_error(p, pool_printf(p->work, "%s.bfd", path),
			"is on, but interval or multiplier is missing");
}

/* ---- from group to profile ---- */

static void digest(struct parse *p, struct cfg_profile *profile, const struct key *keys,
	const char *base, struct sha256 *sha)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	for (; keys->name; keys++) {
		if (keys->type == KEY_GROUP && types_is_set(keys, base))
			digest(p, profile, keys->keys, base + keys->offset, sha);
		if (keys->type == KEY_GROUP || !types_is_set(keys, base))
			continue;
		out = open_memstream(&text, &len);
		if (!out)
			pool_oom(p->pool);
		fprintf(out, "%s=", keys->name);
		types_write(keys, base, out);
		if (fclose(out) || !text) {
			free(text);
			pool_oom(p->pool);
		}
		sha256_update(sha, text, len + 1);
		free(text);
	}
}

static struct item *find(struct build *b, const char *name, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (!strcmp(b->items[i].setting->name, name))
			return &b->items[i];
	return NULL;
}

static void make(struct build *b, struct item *item);

/* What the group calls its base, made; NULL: it has none, or has been complained about. */
static const struct cfg_profile *base_of(struct build *b, struct parse *p, struct item *item)
{
	const char *name, **names, *nearest;
	struct item *base = NULL;

	if (!config_setting_lookup_string((config_setting_t *)item->setting, "base", &name) ||
		strchr(name, SCAN_MARK))
		return NULL;
	if (item->custom && strcmp(name, item->setting->name))
		base = find(b, name, b->n_shipped, b->n);
	if (!base)
		base = find(b, name, 0, b->n_shipped);
	if (base && base->state != BUSY) {
		make(b, base);
		return base->profile;
	}
	names = pool_array(p->work, b->n + 1, sizeof(*names));
	for (unsigned i = 0; i < b->n; i++)
		names[i] = b->items[i].setting->name;
	nearest = value_nearest(name, names);
	if (base)
		parse_error(p, pool_printf(p->work, "%s.base", p->path),
			"'%.40s' is based on this one: one of them must stand by itself", name);
	else
		parse_error(p, pool_printf(p->work, "%s.base", p->path), "no profile '%.40s'%s%s%s",
			name, nearest ? ": did you mean '" : "", nearest ? nearest : "",
			nearest ? "'?" : "");
	return NULL;
}

static void make(struct build *b, struct item *item)
{
	struct parse *p = item->custom ? b->main : b->shipped;
	const char *name = item->setting->name, *outer;
	const struct cfg_profile *base;
	struct cfg_profile *profile;
	struct sha256 sha;

	if (item->state != NEW)
		return;
	item->state = BUSY;
	outer = pool_strdup(p->work, p->path);
	snprintf(p->path, sizeof(p->path), "%s%.60s", item->custom ? "custom." : "", name);
	profile = pool_alloc(p->pool, sizeof(*profile));
	base = base_of(b, p, item);
	if (base)
		*profile = *base;
	profile->name = pool_strdup(p->pool, name);
	profile->version = b->version;
	profile->custom = item->custom;
	profile->base = base;
	profile->given = given_collect(p, item->setting);
	profile->src = source_where(p->source, item->setting->line);
	if (profile->given.n) /* a file's name that stays */
		profile->src.file = profile->given.items[0].src.file;
	parse_group(p, profile_keys, item->setting, profile);
	profile->base_name = NULL; /* its values are all here */
	check(p, profile);
	sha256_init(&sha);
	digest(p, profile, profile_keys, (const char *)profile, &sha);
	sha256_final(&sha, profile->digest);
	item->profile = profile;
	item->state = DONE;
	snprintf(p->path, sizeof(p->path), "%s", outer);
}

/* ---- all of them ---- */

static bool usable(struct parse *p, const config_setting_t *setting)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *name = setting->name;

	if (strchr(name, SCAN_MARK))
		return false;
	if (config_setting_is_group(setting) && *name >= 'a' && *name <= 'z' &&
		!name[strspn(name, allowed)] && strlen(name) <= NAME_MAX_LEN)
		return true;
	parse_error(p, pool_printf(p->work, "custom.%.60s", name),
		"must be a group whose name has up to %u of a-z, 0-9 and '-', beginning "
		"with a letter",
		NAME_MAX_LEN);
	return false;
}

static void collect(struct build *b, struct parse *p, const config_setting_t *group, bool custom)
{
	unsigned n = group && config_setting_is_group(group) ? config_setting_length(group) : 0;
	struct item *items = pool_array(p->work, b->n + n + 1, sizeof(*items));

	if (b->n)
		memcpy(items, b->items, b->n * sizeof(*items));
	b->items = items;
	if (custom && n > CUSTOM_MAX) {
		parse_error(p, "custom", "%u profiles: at most %u", n, CUSTOM_MAX);
		n = 0;
	}
	for (unsigned i = 0; i < n; i++) {
		items[b->n].setting = config_setting_get_elem((config_setting_t *)group, i);
		items[b->n].custom = custom;
		b->n += usable(p, items[b->n].setting);
	}
}

static int by_name(const void *x, const void *y)
{
	const struct cfg_profile *a = x, *b = y;

	return strcmp(a->name, b->name);
}

static bool wanted(const struct parse *p)
{
	if (p->config->profiles || config_setting_get_member(p->root, "custom"))
		return true;
	for (unsigned i = 0; i < p->config->n_links; i++)
		if (p->config->links[i].profile_name)
			return true;
	return false;
}

void profile_load(struct parse *p)
{
	const config_setting_t *custom = config_setting_get_member(p->root, "custom");
	struct parse shipped = *p;
	struct build b = { .main = p, .shipped = &shipped };
	struct cfg_profile *known;
	struct source *text;

	if (!wanted(p) || !(b.version = version(p)))
		return;
	text = shipped_text(p, b.version);
	b.shipped->source = text;
	b.shipped->path[0] = '\0';
	if (!config_read_string(p->shipped, text->text)) {
		errors_add(p->errors, source_where(text, config_error_line(p->shipped)), false,
			NULL, "%s", config_error_text(p->shipped));
		return;
	}
	b.shipped->root = config_root_setting(p->shipped);
	collect(&b, b.shipped, b.shipped->root, false);
	b.n_shipped = b.n;
	if (custom && !config_setting_is_group(custom))
		parse_error(p, "custom", "must be a group, as in: custom = { ... };");
	collect(&b, p, custom, true);
	known = pool_array(p->pool, b.n + 1, sizeof(*known));
	for (unsigned i = 0; i < b.n; i++) {
		make(&b, &b.items[i]);
		if (b.items[i].custom || !find(&b, b.items[i].setting->name, b.n_shipped, b.n))
			known[p->config->n_known++] = *b.items[i].profile;
	}
	qsort(known, p->config->n_known, sizeof(*known), by_name);
	p->config->known = known;
}

/* ---- looking them up ---- */

static int is_called(const void *name, const void *profile)
{
	return strcmp(name, ((const struct cfg_profile *)profile)->name);
}

const struct cfg_profile *config_profile(const struct config *config, const char *name)
{
	return config->n_known ? bsearch(name, config->known, config->n_known,
					 sizeof(*config->known), is_called)
			       : NULL;
}

const struct cfg_source *profile_said(
	const struct cfg_profile *profile, const char *key, const struct cfg_profile **ret_profile)
{
	const struct cfg_source *src;

	for (; profile; profile = profile->base) {
		src = config_given(&profile->given, key);
		if (src && ret_profile)
			*ret_profile = profile;
		if (src)
			return src;
	}
	return NULL;
}

bool profile_has_asn(const struct cfg_asns *asns, uint32_t asn)
{
	for (unsigned i = 0; i < asns->n; i++)
		if (asn >= asns->items[i].first && asn <= asns->items[i].last)
			return true;
	return false;
}
