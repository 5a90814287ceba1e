/* Which keys a link or a profile was given, and on which line.
 *
 * The structs hold what is in force; who wrote it, or that nobody did, is known only while
 * libconfig's tree is there. The places are kept beside the values: resolve_profile.c fills what
 * was not given, `link show NAME --effective` says where a value is from. Linear lists: a link has
 * a dozen keys. */
#include <string.h>
#include "parse.h"
#include "pool.h"

/* Files' names lie in memory that goes with the text. */
static struct cfg_source keep(
	const struct parse *p, struct cfg_source src, const char **was, const char **is)
{
	if (src.file && src.file != *was) {
		*was = src.file;
		*is = pool_strdup(p->pool, src.file);
	}
	if (src.file)
		src.file = *is;
	return src;
}

static unsigned count(const config_setting_t *group)
{
	unsigned n = config_setting_length(group), sum = n;
	const config_setting_t *setting;

	for (unsigned i = 0; i < n; i++) {
		setting = config_setting_get_elem((config_setting_t *)group, i);
		if (config_setting_is_group(setting))
			sum += count(setting);
	}
	return sum;
}

struct collect {
	const struct parse *p;
	struct cfg_given_list list;
	const char *was, *is;
};

static void collect(struct collect *c, const config_setting_t *group, const char *prefix)
{
	unsigned n = config_setting_length(group);
	const config_setting_t *setting;
	struct cfg_given *given;

	for (unsigned i = 0; i < n; i++) {
		setting = config_setting_get_elem((config_setting_t *)group, i);
		given = &c->list.items[c->list.n++];
		given->key = pool_printf(
			c->p->pool, "%s%s%s", prefix, *prefix ? "." : "", setting->name);
		given->src = keep(c->p, source_where(c->p->source, setting->line), &c->was, &c->is);
		if (config_setting_is_group(setting))
			collect(c, setting, given->key);
	}
}

struct cfg_given_list given_collect(const struct parse *p, const config_setting_t *group)
{
	struct collect c = { .p = p };

	c.list.items = pool_array(p->pool, count(group) + 1, sizeof(*c.list.items));
	collect(&c, group, "");
	return c.list;
}

void given_links(const struct parse *p)
{
	const config_setting_t *group = config_setting_get_member(p->root, "links"), *setting;
	const char *was = NULL, *is = NULL;
	struct cfg_link *link;

	if (!group || !config_setting_is_group(group))
		return;
	for (int i = 0; i < config_setting_length(group); i++) {
		setting = config_setting_get_elem((config_setting_t *)group, i);
		link = setting->hook;
		if (!link)
			continue;
		link->given = given_collect(p, setting);
		link->src = keep(p, link->src, &was, &is);
		link->bgp.v4.src = keep(p, link->bgp.v4.src, &was, &is);
		link->bgp.v6.src = keep(p, link->bgp.v6.src, &was, &is);
	}
}
