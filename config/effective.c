/* Every value in force on a link, and where it is from: `link show NAME --effective`.
 *
 * Walks the table of a link's keys, so no key can be forgotten here. A key that was written has its
 * file and line; any other one is the profile's (with the profile file's line), or follows from the
 * path, the zone, reach, the circuit's port or the underlay, or is the language's default. The
 * profile's own keys come behind, with the line that says each: a base's where the profile itself
 * is silent. Works on a loaded configuration alone, in the daemon as in `lintasctl`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile.h"
#include "resolve.h"
#include "types.h"

struct walk {
	const struct config *config;
	const struct cfg_link *link;
	config_effective_fn *callback;
	void *arg;
	char path[200]; /* of the key at hand */
	bool oom;
};

/* ---- where it is from ---- */

/* "profile aws-dx-transit 2026.11 (profiles/2026.11/aws.conf:31)" */
static void by_profile(
	const struct walk *w, const struct cfg_source *src, char *origin, size_t size)
{
	const struct cfg_profile *profile = w->link->profile;

	if (src)
		snprintf(origin, size, "profile %s %s (%s:%u)", profile->name, profile->version,
			src->file ? src->file : "?", src->line);
	else
		snprintf(origin, size, "profile %s %s", profile->name, profile->version);
}

static bool begins(const char *text, const char *with)
{
	size_t n = strlen(with);

	return !strncmp(text, with, n) && (!text[n] || text[n] == '.');
}

/* The profile's key behind a link's: "bgp.v4.bfd.interval" is its "bfd.interval". */
static const struct cfg_source *profile_line(const struct walk *w)
{
	const char *key = w->path;
	char other[40];

	if (!strcmp(key, "state"))
		return NULL;
	if (strncmp(key, "bgp.v", 5))
		return profile_said(w->link->profile, key, NULL);
	key += strlen("bgp.v4.");
	snprintf(other, sizeof(other), "%s_v%c", key, w->path[5]);
	return profile_said(w->link->profile, strncmp(key, "max_", 4) ? key : other, NULL);
}

static void by_room(const struct walk *w, char *origin, size_t size)
{
	const struct cfg_link *link = w->link;

	if (link->circuit && link->circuit->port)
		snprintf(origin, size, "port %s", link->circuit->port->name);
	else if (link->underlay)
		snprintf(origin, size, "underlay %s", link->underlay->name);
}

/* "off: BFD is on (lintas.conf:12)": the profile's graceful restart does not hold beside BFD. */
static void by_bfd(const struct walk *w, char *origin, size_t size)
{
	const struct cfg_source *src;
	char key[24];

	snprintf(key, sizeof(key), "%.6s.bfd", w->path);
	src = config_given(&w->link->given, key);
	if (!src && w->link->profile)
		src = profile_said(w->link->profile, "bfd", NULL);
	if (src)
		snprintf(origin, size, "BFD is on (%s:%u)", src->file ? src->file : "?", src->line);
	else
		snprintf(origin, size, "BFD is on");
}

static void derived(const struct walk *w, const struct key *key, char *origin, size_t size)
{
	const struct cfg_link *link = w->link;
	unsigned tier;
	const struct cfg_path *path = config_path_of(w->config, link, &tier);
	const char *k = w->path;

	snprintf(origin, size, "%s", key->fallback ? "default" : "follows");
	if (!strcmp(k, "mtu"))
		by_room(w, origin, size);
	else if (begins(k, "encap.local"))
		snprintf(origin, size, "underlay %s", link->underlay->name);
	else if (!strcmp(k, "bgp.accept") && link->zone)
		snprintf(origin, size, "%s %s", link->zone->partner ? "partner" : "cloud",
			link->zone->name);
	else if (!strcmp(k, "bgp.announce"))
		snprintf(origin, size, "reach");
	else if (!strcmp(k, "bgp.inbound") && path)
		snprintf(origin, size, "path %s, tier %u", path->name, tier + 1);
	else if (!strcmp(k, "bgp.inbound"))
		snprintf(origin, size, "default: in no path");
	else if (strstr(k, ".graceful_restart") && link->profile)
		by_bfd(w, origin, size);
	else if (!strcmp(k, "probe") && !path)
		snprintf(origin, size, "static.via");
	else if (!strncmp(k, "probing.source", 14))
		snprintf(origin, size, "default");
	else if ((begins(k, "probe") && path) || (begins(k, "slo") && path && path->slo.rise_ms) ||
		 (begins(k, "probing") && path && path->probing.rate))
		snprintf(origin, size, "path %s", path->name);
	else if (begins(k, "probing") || begins(k, "slo"))
		snprintf(origin, size, "default");
	else if (!strcmp(k, "ipsec.local_id"))
		snprintf(origin, size, "encap.local");
	else if (!strcmp(k, "ipsec.remote_id"))
		snprintf(origin, size, "encap.remote");
	else if (!strcmp(k, "ipsec.rekey"))
		snprintf(origin, size, "a tenth of the shorter lifetime");
	else if (begins(k, "ipsec"))
		snprintf(origin, size, "default");
	else if (strstr(k, ".keepalive") || strstr(k, ".hold"))
		snprintf(origin, size, "the other timer");
}

static void origin_of(const struct walk *w, const struct key *key, char *origin, size_t size)
{
	const struct cfg_source *src = config_given(&w->link->given, w->path);

	if (src)
		snprintf(origin, size, "%s:%u", src->file ? src->file : "?", src->line);
	else if (resolve_by_profile(w->link, w->path))
		by_profile(w, profile_line(w), origin, size);
	else
		derived(w, key, origin, size);
}

/* ---- the walk ---- */

static char *value_text(struct walk *w, const struct key *key, const void *base)
{
	const struct key_object *object;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		w->oom = true;
		return NULL;
	}
	if (key->type == KEY_REF) {
		memcpy(&object, (const char *)base + key->offset, sizeof(object));
		fprintf(out, "\"%s\"", object->name);
	} else {
		types_write(key, base, out);
	}
	if (fclose(out) || !text)
		w->oom = true;
	return text;
}

static size_t enter(struct walk *w, const char *name)
{
	size_t n = strlen(w->path);

	snprintf(w->path + n, sizeof(w->path) - n, "%s%s", n ? "." : "", name);
	return n;
}

static void tell(struct walk *w, const struct key *key, const void *base, const char *origin)
{
	char *text = value_text(w, key, base);

	if (text)
		w->callback(w->arg, w->path, text, origin);
	free(text);
}

static void link_group(struct walk *w, const struct key *keys, const char *base)
{
	char origin[300];
	size_t outer;

	for (const struct key *key = keys; key->name && !w->oom; key++) {
		outer = enter(w, key->name);
		if (key->type == KEY_GROUP && types_is_set(key, base)) {
			link_group(w, key->keys, base + key->offset);
		} else if (key->type == KEY_GROUP && (key->flags & KEY_OR_BOOL)) {
			origin_of(w, key, origin, sizeof(origin));
			w->callback(w->arg, w->path, "false", origin);
		} else if (key->type != KEY_GROUP && key->type != KEY_LATER &&
			   types_is_set(key, base)) {
			origin_of(w, key, origin, sizeof(origin));
			tell(w, key, base, origin);
		}
		w->path[outer] = '\0';
	}
}

/* What the circuit and port add that no key of the link says. */
static void around(struct walk *w)
{
	const struct cfg_circuit *circuit = w->link->circuit;
	char origin[80], text[80];

	if (!circuit || !circuit->port)
		return;
	snprintf(origin, sizeof(origin), "circuit %s", circuit->name);
	snprintf(text, sizeof(text), "\"%s\"", circuit->port->name);
	w->callback(w->arg, "circuit.port", text, origin);
	snprintf(text, sizeof(text), "%u", circuit->stag);
	if (circuit->stag)
		w->callback(w->arg, "circuit.stag", text, origin);
	snprintf(text, sizeof(text), "\"0x%04x\"", circuit->stag_tpid);
	if (circuit->stag)
		w->callback(w->arg, "circuit.stag_type", text, origin);
	if (w->link->centre || !w->link->zone || !w->link->zone->centre)
		return;
	snprintf(text, sizeof(text), "\"%.70s\"", w->link->zone->centre);
	snprintf(origin, sizeof(origin), "%s %s", w->link->zone->partner ? "partner" : "cloud",
		w->link->zone->name);
	w->callback(w->arg, "centre", text, origin);
}

/* In what is shown "profile." stands before the keys; in a profile it does not. */
static void profile_group(struct walk *w, const struct key *keys, const char *base)
{
	const struct cfg_source *src;
	char origin[300];
	size_t outer;

	for (const struct key *key = keys; key->name && !w->oom; key++) {
		outer = enter(w, key->name);
		src = profile_said(w->link->profile, w->path + strlen("profile."), NULL);
		by_profile(w, src, origin, sizeof(origin));
		if (key->type == KEY_GROUP && types_is_set(key, base))
			profile_group(w, key->keys, base + key->offset);
		else if (key->type == KEY_GROUP && (key->flags & KEY_OR_BOOL) && src)
			w->callback(w->arg, w->path, "false", origin);
		else if (key->type != KEY_GROUP && src && types_is_set(key, base))
			tell(w, key, base, origin);
		w->path[outer] = '\0';
	}
}

int config_effective(const struct config *config, const struct cfg_link *link,
	config_effective_fn *callback, void *arg)
{
	struct walk w = { .config = config, .link = link, .callback = callback, .arg = arg };

	link_group(&w, keys_link, (const char *)link);
	around(&w);
	snprintf(w.path, sizeof(w.path), "profile");
	if (link->profile && !w.oom)
		profile_group(&w, profile_keys, (const char *)link->profile);
	return w.oom ? -ENOMEM : 0;
}

int config_profile_values(const struct config *config, const struct cfg_profile *profile,
	config_effective_fn *callback, void *arg)
{
	const struct cfg_link link = { .profile = profile };
	struct walk w = { .config = config, .link = &link, .callback = callback, .arg = arg };

	snprintf(w.path, sizeof(w.path), "profile");
	profile_group(&w, profile_keys, (const char *)profile);
	return w.oom ? -ENOMEM : 0;
}
