/* `lintasctl check --against FILE…`: does the provider have what we have? Offline, from documents
 * that its command prints; no credentials.
 *
 * Reads the documents (ctl_cloud.c), finds each link's object (ctl_against_match.c), compares the
 * two halves (ctl_against_compare.c), and says besides which links no document speaks of and which
 * objects belong to no link. A link is missed only where the documents have others of its provider
 * and kind: who compares VPN connections is not told of interconnects. Every difference has a
 * stable code, our file and line, their file and JSON path. */
#include <stdlib.h>
#include <string.h>
#include "ctl_against.h"

static const char *const titles[AGAINST_COUNT] = {
	[AGAINST_NO_LINK] = "object without a link",
	[AGAINST_NO_OBJECT] = "link without an object",
	[AGAINST_VLAN] = "VLAN",
	[AGAINST_STAG] = "outer VLAN",
	[AGAINST_OURS] = "our address",
	[AGAINST_THEIRS] = "their address",
	[AGAINST_SWAPPED] = "addresses swapped",
	[AGAINST_LENGTH] = "network's length",
	[AGAINST_OUR_ASN] = "our AS number",
	[AGAINST_THEIR_ASN] = "their AS number",
	[AGAINST_MTU] = "MTU",
	[AGAINST_JUMBO] = "no jumbo frames",
	[AGAINST_BFD] = "BFD on one side only",
	[AGAINST_BFD_TIMERS] = "BFD timers",
	[AGAINST_BFD_WAITS] = "BFD: nobody begins",
	[AGAINST_KEY] = "MD5 key on one side only",
	[AGAINST_SESSION] = "BGP session on one side only",
	[AGAINST_ANNOUNCED] = "announced there, not accepted here",
	[AGAINST_EXPECTED] = "expected here, not announced there",
	[AGAINST_ALLOWED] = "announced here, not allowed there",
	[AGAINST_STATE] = "state at the provider",
	[AGAINST_ID] = "id",
	[AGAINST_CIRCUIT] = "circuit",
	[AGAINST_OUTSIDE] = "tunnel's far end",
	[AGAINST_STATIC] = "BGP on one side, static routes on the other",
	[AGAINST_KEEPALIVE] = "keepalive",
	[AGAINST_DISABLED] = "disabled at the provider",
};

const char *against_title(enum against_code code)
{
	return code < AGAINST_COUNT ? titles[code] : NULL;
}

void against_add(struct against *against, struct finding finding, const char *fmt, ...)
{
	va_list args;

	if (against->n == AGAINST_FINDINGS_MAX) {
		against->n_more++;
		return;
	}
	va_start(args, fmt);
	finding.text = pool_vprintf(against->cloud->pool, fmt, args);
	va_end(args);
	against->findings[against->n++] = finding;
}

/* ---- who is missing ---- */

static void no_link(struct against *against, const struct cloud_view *view)
{
	struct finding finding = { .code = AGAINST_NO_LINK, .file = view->file, .at = view->at };
	struct cfg_pool *pool = against->cloud->pool;
	char a[IP_STRLEN] = "";
	const char *vlan = "";

	if (view->is == CLOUD_GONE)
		return; /* nobody misses it */
	for (int f = 1; f >= 0; f--)
		if (view->s[f].ours.at)
			ip_prefix_format(&view->s[f].ours.p, a);
	if (view->vlan.at)
		vlan = pool_printf(pool, ", VLAN %u", view->vlan.n);
	against_add(against, finding,
		"%s %s%s%s%s%s%s%s of %s belongs to no link: `lintasctl link import` writes one; "
		"or it is another gateway's, or no longer needed",
		view->what,
		view->id     ? view->id
		: view->name ? view->name
			     : "without an id",
		view->side ? " (" : "", view->side ? view->side : "", view->side ? ")" : "", vlan,
		*a ? ", our address " : "", a, cloud_provider_name(view->provider));
}

static void no_object(
	struct against *against, const struct half *half, const bool covered[CLOUD_COUNT][2])
{
	struct finding finding = { .code = AGAINST_NO_OBJECT,
		.warning = true,
		.link = half->link,
		.src = half->link->src };

	if (half->provider < 0 || !covered[half->provider][half->tunnel])
		return;
	finding.key = pool_printf(against->cloud->pool, "links.%s", half->link->name);
	against_add(against, finding,
		"no document speaks of it: %s may not have it, or it is in another account or "
		"region; set id to what %s calls it",
		cloud_provider_name(half->provider), cloud_provider_name(half->provider));
}

static int by_place(const void *x, const void *y)
{
	const struct finding *a = x, *b = y;
	int order;

	if (!a->src.file != !b->src.file)
		return a->src.file ? -1 : 1;
	order = a->src.file ? strcmp(a->src.file, b->src.file) : 0;
	if (order)
		return order;
	if (a->src.line != b->src.line)
		return a->src.line < b->src.line ? -1 : 1;
	if (a->code != b->code)
		return a->code < b->code ? -1 : 1;
	order = strcmp(a->key ? a->key : "", b->key ? b->key : "");
	return order ? order : strcmp(a->text, b->text);
}

void against_run(struct against *against)
{
	const struct config *config = against->config;
	struct cloud *cloud = against->cloud;
	struct half *halves = pool_array(cloud->pool, config->n_links + 1, sizeof(*halves));
	bool covered[CLOUD_COUNT][2] = { { false } };
	const struct cloud_view **found;

	against->findings =
		pool_array(cloud->pool, AGAINST_FINDINGS_MAX, sizeof(*against->findings));
	for (unsigned i = 0; i < config->n_links; i++)
		halves[i] = half_of(config, &config->links[i]);
	found = against_match(cloud, halves, config->n_links);
	for (unsigned i = 0; i < cloud->n; i++)
		covered[cloud->views[i].provider][cloud->views[i].tunnel] = true;
	for (unsigned i = 0; i < config->n_links; i++) {
		if (found[i])
			against_compare(against, &halves[i], found[i]);
		else
			no_object(against, &halves[i], covered);
	}
	for (unsigned i = 0; i < cloud->n; i++) {
		bool taken = false;

		for (unsigned j = 0; j < config->n_links; j++)
			taken |= found[j] == &cloud->views[i];
		if (!taken)
			no_link(against, &cloud->views[i]);
	}
	qsort(against->findings, against->n, sizeof(*against->findings), by_place);
}

/* ---- what is shown ---- */

void against_print(const struct against *against, FILE *out)
{
	for (unsigned i = 0; i < against->n; i++) {
		const struct finding *f = &against->findings[i];

		if (f->src.file)
			fprintf(out, "%s:%u: ", f->src.file, f->src.line);
		fprintf(out, "AGAINST-%02u: %s%s%s%s", f->code, f->warning ? "warning: " : "",
			f->key ? f->key : "", f->key ? ": " : "", f->text);
		if (f->file)
			fprintf(out, " [%s %s]", f->file, f->at);
		fputc('\n', out);
	}
	if (against->n_more)
		fprintf(out, "%u more not shown: mend these first\n", against->n_more);
}

json_t *against_json(const struct against *against)
{
	json_t *list = json_array();
	char code[16];

	for (unsigned i = 0; i < against->n; i++) {
		const struct finding *f = &against->findings[i];

		snprintf(code, sizeof(code), "AGAINST-%02u", f->code);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:i, s:s?, s:s?, s:s?, s:s}",
				      "code", code, "about", against_title(f->code), "warning",
				      f->warning, "link", f->link ? f->link->name : NULL, "file",
				      f->src.file, "line", (int)f->src.line, "key", f->key,
				      "document", f->file, "path", f->at, "text", f->text));
	}
	return list;
}
