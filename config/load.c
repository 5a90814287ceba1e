/* config_load: from a path to a checked configuration, or to the list of everything that is wrong
 * with it.
 *
 * The stations, in order: source.c reads the files, scan.c finds what libconfig would swallow,
 * libconfig (or json.c) makes a tree, expand.c writes out its tunnels, parse.c walks it along the
 * table of keys, resolve.c fills in what follows, check.c applies the rules. Nothing but the errors
 * leaves here unless all of it went well. Text and tree are gone at the end; the configuration
 * lives on a pool of its own, as do the errors. When memory is out the pools jump back to here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libconfig.h>
#include "check.h"
#include "errors.h"
#include "expand.h"
#include "json.h"
#include "parse.h"
#include "pool.h"
#include "scan.h"
#include "source.h"

struct load {
	struct source source;
	struct cfg_pool *work;	 /* text, names: gone at the end */
	struct cfg_pool *result; /* the configuration */
	struct cfg_errors *errors;
	config_t tree, shipped;
	struct config *config;
};

/* The text becomes a tree. */
static bool load_tree(struct load *l)
{
	struct cfg_source where;

	if (l->source.json)
		return json_tree(&l->source, &l->tree, l->errors);
	if (!scan_text(&l->source, l->work, l->errors))
		return false;
	if (config_read_string(&l->tree, l->source.text))
		return true;
	where = source_where(&l->source, config_error_line(&l->tree));
	errors_add(l->errors, where, false, NULL,
		"%s: look for a missing ';', a comma before ']' or ')', or a missing quote in this "
		"line or before",
		config_error_text(&l->tree) ? config_error_text(&l->tree) : "cannot be read");
	return false;
}

static void load_config(struct load *l, const char *path)
{
	struct parse p = { .pool = l->result, .errors = l->errors, .source = &l->source };

	if (!source_read(&l->source, path, l->work, l->errors) || !load_tree(l))
		return;
	l->config = pool_alloc(l->result, sizeof(*l->config));
	l->config->pool = l->result;
	memcpy(l->config->digest, l->source.digest, sizeof(l->config->digest));
	/* where things were written is asked for long after the text is gone */
	for (unsigned i = 0; i < l->source.n_segments; i++)
		l->source.segments[i].where.file =
			pool_strdup(l->result, l->source.segments[i].where.file);
	p.config = l->config;
	p.work = l->work;
	p.root = config_root_setting(&l->tree);
	p.shipped = &l->shipped;
	expand_all(&p);
	parse_tree(&p);
	given_links(&p);
	profile_load(&p);
	resolve_all(&p);
	check_all(&p);
	expand_fold(&p);
}

struct config *config_load(const char *path, struct cfg_errors *ret_errors)
{
	struct load *l = calloc(1, sizeof(*l)); /* not on the stack: it must survive the jump */
	struct config *config = NULL;
	jmp_buf oom;

	if (errors_init(ret_errors) < 0 || !l)
		goto no_memory;
	l->errors = ret_errors;
	l->work = pool_new();
	l->result = pool_new();
	if (!l->work || !l->result)
		goto no_memory;
	config_init(&l->tree);
	config_init(&l->shipped);
	l->work->oom = l->result->oom = ret_errors->pool->oom = &oom;
	if (setjmp(oom)) {
		errors_oom(ret_errors);
	} else {
		load_config(l, path);
		errors_finish(ret_errors);
	}
	config_destroy(&l->tree);
	config_destroy(&l->shipped);
	pool_free(l->work);
	l->result->oom = ret_errors->pool->oom = NULL;
	if (ret_errors->n_fatal || !l->config)
		pool_free(l->result);
	else
		config = l->config;
	free(l);
	return config;

no_memory:
	if (ret_errors->pool)
		errors_oom(ret_errors);
	if (l) {
		pool_free(l->work);
		pool_free(l->result);
	}
	free(l);
	return NULL;
}

void config_free(struct config *config)
{
	if (config)
		pool_free(config->pool);
}

static int by_name(const void *name, const void *object)
{
	return strcmp(name, ((const struct key_object *)object)->name);
}

const struct cfg_link *config_link(const struct config *config, const char *name)
{
	return bsearch(name, config->links, config->n_links, sizeof(*config->links), by_name);
}

const struct cfg_vrf *config_vrf(const struct config *config, const char *name)
{
	return bsearch(name, config->vrfs, config->n_vrfs, sizeof(*config->vrfs), by_name);
}

const struct cfg_source *config_given(const struct cfg_given_list *list, const char *key)
{
	for (unsigned i = 0; i < list->n; i++)
		if (!strcmp(list->items[i].key, key))
			return &list->items[i].src;
	return NULL;
}

const struct cfg_path *config_path_of(
	const struct config *config, const struct cfg_link *link, unsigned *ret_tier)
{
	const struct cfg_path *path;

	*ret_tier = 0;
	for (unsigned i = 0; i < config->n_paths; i++) {
		path = &config->paths[i];
		for (unsigned t = 0; path->zone == link->zone && t < path->n_tiers; t++) {
			for (unsigned j = 0; j < path->tiers[t].n; j++) {
				if (path->tiers[t].links[j] == link) {
					*ret_tier = t;
					return path;
				}
			}
		}
	}
	return NULL;
}

bool config_reaches(const struct config *config, const struct cfg_zone *a, const struct cfg_zone *b)
{
	(void)config;
	if (!a || !b)
		return a == b;
	return a->reach[b->id / 64] >> (b->id % 64) & 1;
}
