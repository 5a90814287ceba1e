/* The documents of providers: reading them, knowing what they are, putting together what belongs
 * together.
 *
 * A document is JSON as a provider's own command prints it, or terraform's state. What it is shows
 * in its content, never in its name: each reader is asked whether it knows the object; a list is
 * read element by element. A reader makes views. What several objects say about one attachment (a
 * VLAN attachment and the BGP peer of its Cloud Router; an ExpressRoute circuit and its peerings)
 * comes as parts, which cloud_join lays into their view: what the view does not say itself it takes
 * from the part. Files are bounded in size and depth before a parser sees them; a parser's own
 * message is not passed on, because it quotes the document. */
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "config/pool.h"
#define uthash_malloc(size)    pool_alloc(cloud->pool, size)
#define uthash_free(ptr, size) ((void)(ptr), (void)(size))
#include <uthash.h>
#include "ctl_cloud.h"

static const struct {
	const char *shown, *names; /* names as people and profiles write them */
} providers[CLOUD_COUNT] = {
	[CLOUD_AWS] = { "AWS", " aws amazon " },
	[CLOUD_GCP] = { "Google", " gcp google " },
	[CLOUD_AZURE] = { "Azure", " azure microsoft " },
	[CLOUD_OCI] = { "OCI", " oci oracle " },
	[CLOUD_ALIBABA] = { "Alibaba", " alibaba alicloud aliyun " },
};

const char *cloud_provider_name(enum cloud_provider provider)
{
	return providers[provider].shown;
}

int cloud_provider_find(const char *name)
{
	char word[32];

	if (!name || !*name || strlen(name) > 16)
		return -1;
	snprintf(word, sizeof(word), " %s ", name);
	for (int i = 0; i < CLOUD_COUNT; i++)
		if (strcasestr(providers[i].names, word))
			return i;
	return -1;
}

struct cloud *cloud_new(void)
{
	struct cloud *cloud = calloc(1, sizeof(*cloud));

	if (!cloud)
		return NULL;
	cloud->views = calloc(CLOUD_VIEWS_MAX, sizeof(*cloud->views));
	cloud->pool = pool_new();
	if (cloud->views && cloud->pool)
		return cloud;
	cloud_free(cloud);
	return NULL;
}

void cloud_free(struct cloud *cloud)
{
	if (!cloud)
		return;
	pool_free(cloud->pool);
	free(cloud->views);
	free(cloud);
}

void cloud_errors_print(const struct cloud *cloud, FILE *out)
{
	unsigned n = cloud->n_errors < CLOUD_ERRORS_MAX ? cloud->n_errors : CLOUD_ERRORS_MAX;

	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%s: %s%s%s\n", cloud->errors[i].file,
			cloud->errors[i].at ? cloud->errors[i].at : "",
			cloud->errors[i].at ? ": " : "", cloud->errors[i].text);
	if (cloud->n_errors > n)
		fprintf(out, "%u more not shown\n", cloud->n_errors - n);
}

/* ---- reading ---- */

static bool read_object(struct node node)
{
	static bool (*const readers[])(struct node) = { cloud_terraform, cloud_aws, cloud_gcp,
		cloud_azure, cloud_oci, cloud_alibaba };

	for (unsigned i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (readers[i](node))
			return true;
	node_error(node,
		"is none of what is understood: aws directconnect describe-virtual-interfaces, "
		"aws ec2 describe-vpn-connections, gcloud compute interconnects attachments "
		"describe, gcloud compute routers describe, az network express-route show, "
		"az network vpn-connection show, oci network virtual-circuit get, aliyun vpc "
		"DescribeVirtualBorderRouters, terraform state pull or show -json");
	return false;
}

static void read_root(struct node root)
{
	if (json_is_object(root.json)) {
		read_object(root);
		return;
	}
	if (!json_is_array(root.json) || !json_array_size(root.json)) {
		node_error(root, "there is no object in it");
		return;
	}
	for (size_t i = 0; i < json_array_size(root.json); i++)
		if (!read_object(node_item(root, i)))
			break; /* one message is enough for a list */
}

/* Braces within braces, as far as a parser would follow them. */
static bool too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else
				quoted = text[i] != '"';
		} else if (text[i] == '"') {
			quoted = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > CLOUD_DEPTH_MAX)
				return true;
		} else if ((text[i] == '}' || text[i] == ']') && depth) {
			depth--;
		}
	}
	return false;
}

void cloud_parse(struct cloud *cloud, const char *name, const char *text, size_t len)
{
	struct node root = { cloud, NULL, NULL };
	jmp_buf *outer = cloud->pool->oom, oom;
	json_error_t error;
	json_t *json;

	cloud->file = pool_strdup(cloud->pool, name);
	if (len > CLOUD_FILE_MAX) {
		node_error(root, "is larger than %u MB", CLOUD_FILE_MAX >> 20);
		return;
	}
	if (too_deep(text, len)) {
		node_error(root, "has more than %u levels", CLOUD_DEPTH_MAX);
		return;
	}
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		/* error.text quotes the document, and there are secrets in it */
		node_error(root,
			"line %d, column %d: this is not JSON: save what the provider's command "
			"prints with JSON as its output format",
			error.line, error.column);
		return;
	}
	cloud->pool->oom = &oom;
	if (setjmp(oom)) { /* the tree is not the pool's */
		json_decref(json);
		cloud->pool->oom = outer;
		pool_oom(cloud->pool);
	}
	root.json = json;
	root.at = "$";
	read_root(root);
	cloud->pool->oom = outer;
	json_decref(json);
}

void cloud_read(struct cloud *cloud, const char *path)
{
	struct node root = { cloud, NULL, NULL };
	FILE *in = !strcmp(path, "-") ? stdin : fopen(path, "r");
	char *text = NULL;
	size_t len = 0;
	struct stat st;

	cloud->file = pool_strdup(cloud->pool, path);
	if (!in) {
		node_error(root, "%s", strerror(errno));
		return;
	}
	if (fstat(fileno(in), &st) < 0 || S_ISDIR(st.st_mode)) {
		node_error(root, "is no file");
		goto out;
	}
	/* one byte more than is allowed tells that there is more */
	text = malloc(CLOUD_FILE_MAX + 1);
	if (!text)
		pool_oom(cloud->pool);
	len = fread(text, 1, CLOUD_FILE_MAX + 1, in);
	if (ferror(in))
		node_error(root, "%s", strerror(errno));
	else {
		free(cloud->pool->held);
		cloud->pool->held = text;
		cloud_parse(cloud, path, text, len);
		explicit_bzero(text, len); /* it may have held secrets */
		cloud->pool->held = NULL;
	}
	free(text);
out:
	if (in != stdin)
		fclose(in);
}

/* ---- joining ---- */

static bool is_called(const struct cloud_view *view, const char *name)
{
	return (view->id && !strcasecmp(view->id, name)) ||
	       (view->name && !strcasecmp(view->name, name));
}

/* By the address of the path, which no two values share. */
struct cloud_moved {
	const char *at, *file;
	UT_hash_handle hh;
};

/* A value's place is shown with its own document; parts of parts keep the first. */
static void moved(struct cloud *cloud, const char *at, const char *file)
{
	struct cloud_moved *m;

	HASH_FIND_PTR(cloud->moved, &at, m);
	if (m || !at)
		return;
	m = pool_alloc(cloud->pool, sizeof(*m));
	m->at = at;
	m->file = file;
	HASH_ADD_PTR(cloud->moved, at, m);
}

const char *cloud_file_of(const struct cloud *cloud, const struct cloud_view *view, const char *at)
{
	struct cloud_moved *m;

	HASH_FIND_PTR(cloud->moved, &at, m);
	return m ? m->file : view->file;
}

/* What a part says of one family, with its document noted. */
static void moved_session(struct cloud *cloud, const struct cloud_session *s, const char *file)
{
	const char *const all[] = { s->at, s->ours.at, s->theirs.at, s->our_asn.at, s->their_asn.at,
		s->key.at, s->bfd.at, s->bfd_waits.at, s->bfd_ms.at, s->bfd_multiplier.at,
		s->keepalive_s.at, s->announced.at, s->state.at };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		moved(cloud, all[i], file);
}

static void moved_part(struct cloud *cloud, const struct cloud_view *v)
{
	const char *const all[] = { v->vlan.at, v->stag.at, v->mtu.at, v->jumbo.at, v->enabled.at,
		v->bgp.at, v->allowed.at, v->state.at };

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		moved(cloud, all[i], v->file);
	moved_session(cloud, &v->s[0], v->file);
	moved_session(cloud, &v->s[1], v->file);
}

#define TAKE(field)                              \
	do {                                     \
		if (!to->field.at)               \
			to->field = from->field; \
	} while (0)

static void join_session(struct cloud_session *to, const struct cloud_session *from)
{
	if (!from->at)
		return;
	if (!to->at)
		to->at = from->at;
	/* "169.254.60.1" of a peer says less than "169.254.60.1/29" of its interface */
	if (from->ours.at && (!to->ours.at || (to->ours.bare && !from->ours.bare)))
		to->ours = from->ours;
	if (from->theirs.at && (!to->theirs.at || (to->theirs.bare && !from->theirs.bare)))
		to->theirs = from->theirs;
	TAKE(our_asn);
	TAKE(their_asn);
	TAKE(key);
	TAKE(bfd);
	TAKE(bfd_waits);
	TAKE(bfd_ms);
	TAKE(bfd_multiplier);
	TAKE(keepalive_s);
	TAKE(announced);
	if (!to->state.at) {
		to->state = from->state;
		to->is = from->is;
	}
}

/* A session without addresses says what all sessions of its view have in common. */
static void join_sessions(struct cloud_view *to, const struct cloud_view *from)
{
	for (int i = 0; i < 2; i++) {
		const struct cloud_session *s = &from->s[i];
		bool common = s->at && !s->ours.at && !s->theirs.at,
		     any = to->s[0].at || to->s[1].at;

		for (int j = 0; j < 2; j++)
			if (common && any ? to->s[j].at != NULL : i == j)
				join_session(&to->s[j], s);
	}
}

static void join_part(struct cloud *cloud, struct cloud_view *to, struct cloud_view *from)
{
	if (to->file != from->file)
		moved_part(cloud, from);
	join_sessions(to, from);
	TAKE(vlan);
	TAKE(stag);
	TAKE(mtu);
	TAKE(jumbo);
	TAKE(enabled);
	TAKE(bgp);
	TAKE(allowed);
	if (!to->parent)
		to->parent = from->parent;
	if (!to->state.at || (to->is == CLOUD_UP && from->is != CLOUD_UP && from->state.at)) {
		to->state = from->state;
		to->is = from->is;
	}
	from->used = true;
}

static void join_rank(struct cloud *cloud, unsigned rank)
{
	for (unsigned i = 0; i < cloud->n; i++) {
		struct cloud_view *part = &cloud->views[i];

		if (part->rank != rank || (!part->part_of && !part->part_of_each))
			continue;
		for (unsigned j = 0; j < cloud->n; j++) {
			struct cloud_view *view = &cloud->views[j];
			bool each = part->part_of_each && view->parent &&
				    !strcasecmp(view->parent, part->part_of_each);

			if (j == i || view->provider != part->provider || view->rank >= rank)
				continue;
			/* interfaces of two routers may share a name */
			if (view->rank && view->parent && part->parent &&
				strcasecmp(view->parent, part->parent))
				continue;
			if (each || (part->part_of && is_called(view, part->part_of)))
				join_part(cloud, view, part);
		}
	}
}

/* Parts without a view remain as views when there is an address in them: a Cloud Router's peer is
 * worth comparing without its attachment. */
void cloud_join(struct cloud *cloud)
{
	unsigned n = 0;

	for (unsigned rank = 4; rank; rank--)
		join_rank(cloud, rank);
	for (unsigned i = 0; i < cloud->n; i++) {
		struct cloud_view *v = &cloud->views[i];
		bool part = v->part_of || v->part_of_each;

		for (int f = 0; f < 2; f++) /* the other side is one AS */
			if (v->s[f].at && !v->s[f].their_asn.at)
				v->s[f].their_asn = v->s[!f].their_asn;
		if (!part || (!v->used && (v->s[0].theirs.at || v->s[1].theirs.at)))
			cloud->views[n++] = *v;
	}
	cloud->n = n;
}
