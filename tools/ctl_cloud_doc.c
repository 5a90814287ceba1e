/* Looking into documents that other people's programs wrote: every byte may be hostile.
 *
 * A node is a value with its JSON path. Asking a node for a member never fails: what is absent,
 * null or empty is "not said"; what has the wrong type or lies outside its range is an error with
 * the path, and not said either. Names are compared without case, '_' and '-', so that one reader
 * understands customerRouterIpAddress of an API and customer_router_ip_address of terraform. Texts
 * are cut and reduced to printable ASCII before anything shows them; of a secret only its presence
 * is ever looked at. Memory is the pool's. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "config/value.h"
#include "ctl_cloud.h"

/* ---- names and paths ---- */

static bool filler(char c)
{
	return c == '_' || c == '-';
}

/* Is key the same name as the len bytes at name? */
static bool same_name(const char *key, const char *name, size_t len)
{
	const char *end = name + len;

	for (;;) {
		while (filler(*key))
			key++;
		while (name < end && filler(*name))
			name++;
		if (!*key || name == end)
			return !*key && name == end;
		if (tolower((unsigned char)*key++) != tolower((unsigned char)*name++))
			return false;
	}
}

/* Printable ASCII of a text, cut; what is not becomes '?', as do quotes and backslashes, so that it
 * can stand in a terminal, a comment and a string of our language. */
static const char *clean(struct cfg_pool *pool, const char *s)
{
	size_t len = strnlen(s, CLOUD_TEXT_MAX);
	char *text = pool_alloc(pool, len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = s[i] < 0x20 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\' ? '?' : s[i];
	return text;
}

void node_error(struct node node, const char *fmt, ...)
{
	struct cloud *cloud = node.cloud;
	va_list args;

	if (cloud->n_errors++ >= CLOUD_ERRORS_MAX)
		return;
	va_start(args, fmt);
	cloud->errors[cloud->n_errors - 1].text = pool_vprintf(cloud->pool, fmt, args);
	va_end(args);
	cloud->errors[cloud->n_errors - 1].file = cloud->file;
	cloud->errors[cloud->n_errors - 1].at = node.at;
}

static struct node member(struct node node, const char *name, size_t len)
{
	struct node found = { node.cloud, NULL, node.at };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)node.json, key, value) {
		if (!same_name(key, name, len))
			continue;
		if (json_is_null(value) || (json_is_string(value) && !*json_string_value(value)))
			continue;
		found.json = value;
		found.at = pool_printf(
			node.cloud->pool, "%s.%s", node.at, clean(node.cloud->pool, key));
		break;
	}
	return found;
}

struct node node_get(struct node node, const char *names)
{
	struct node found = { node.cloud, NULL, node.at };

	while (json_is_object(node.json) && *names && !found.json) {
		size_t len = strcspn(names, "|");

		found = member(node, names, len);
		names += len + (names[len] == '|');
	}
	return found;
}

struct node node_item(struct node node, size_t i)
{
	return (struct node){ node.cloud, json_array_get(node.json, i),
		pool_printf(node.cloud->pool, "%s[%zu]", node.at, i) };
}

size_t node_count(struct node node)
{
	return json_array_size(node.json);
}

struct node node_only(struct node node)
{
	return json_is_array(node.json) ? node_item(node, 0) : node;
}

bool node_is_object(struct node node)
{
	return json_is_object(node.json);
}

/* ---- values ---- */

struct cloud_num node_num(struct node node, const char *names, uint32_t max)
{
	struct node v = node_get(node, names);
	struct cloud_num none = { NULL, 0 };
	long long n = -1;
	char *end;

	if (!v.json)
		return none;
	if (json_is_integer(v.json)) {
		n = json_integer_value(v.json);
	} else if (json_is_string(v.json) && isdigit((unsigned char)*json_string_value(v.json))) {
		n = strtoll(json_string_value(v.json), &end, 10);
		if (*end)
			n = -1;
	}
	if (n < 0 || n > max) {
		node_error(v, "a number from 0 to %u was expected", max);
		return none;
	}
	return (struct cloud_num){ v.at, n };
}

struct cloud_num node_asn(struct node node, const char *names)
{
	struct cloud_num n = node_num(node, names, UINT32_MAX);

	return n.n ? n : (struct cloud_num){ NULL, 0 }; /* 0 is how some say that it is elsewhere */
}

struct cloud_num node_vlan(struct node node, const char *names)
{
	return node_num(node, names, 4094);
}

struct cloud_flag node_flag(struct node node, const char *names)
{
	struct node v = node_get(node, names);
	const char *s = json_string_value(v.json);

	if (!v.json)
		return (struct cloud_flag){ NULL, false };
	if (json_is_boolean(v.json))
		return (struct cloud_flag){ v.at, json_is_true(v.json) };
	if (s && (!strcasecmp(s, "true") || !strcasecmp(s, "false")))
		return (struct cloud_flag){ v.at, !strcasecmp(s, "true") };
	node_error(v, "true or false was expected");
	return (struct cloud_flag){ NULL, false };
}

struct cloud_text node_text(struct node node, const char *names)
{
	struct node v = node_get(node, names);

	if (!v.json)
		return (struct cloud_text){ NULL, NULL };
	if (json_is_string(v.json))
		return (struct cloud_text){ v.at,
			clean(node.cloud->pool, json_string_value(v.json)) };
	if (json_is_integer(v.json)) /* an id may be a number */
		return (struct cloud_text){ v.at, pool_printf(node.cloud->pool, "%lld",
							  (long long)json_integer_value(v.json)) };
	node_error(v, "a text was expected");
	return (struct cloud_text){ NULL, NULL };
}

const char *node_string(struct node node, const char *names)
{
	return node_text(node, names).s;
}

const char *node_last(struct node node, const char *names)
{
	struct node v = node_get(node, names);
	const char *s = json_string_value(v.json), *slash = s ? strrchr(s, '/') : NULL;

	/* looked for before it is cut: ids of a cloud are long, and their end tells them apart */
	if (!slash || !slash[1])
		return node_string(node, names);
	return clean(node.cloud->pool, slash + 1);
}

struct cloud_addr node_addr(struct node node, const char *names)
{
	struct node v = node_get(node, names);
	const char *s = json_string_value(v.json);
	struct cloud_addr found = { .at = v.at };
	struct ip_addr bare;

	if (!v.json)
		return (struct cloud_addr){ 0 };
	if (s && !ip_prefix_parse(s, &found.p))
		return found;
	if (s && !ip_addr_parse(s, &bare)) {
		found.p = ip_addr_host(&bare);
		found.bare = true;
		return found;
	}
	node_error(v, "an address such as 169.254.10.2/30 was expected");
	return (struct cloud_addr){ 0 };
}

/* Of the secret itself not a byte is copied. */
struct cloud_flag node_secret(struct node node, const char *names)
{
	struct node v = node;

	if (!json_is_object(node.json))
		return (struct cloud_flag){ NULL, false };
	while (*names) {
		size_t len = strcspn(names, "|");
		const char *key;
		json_t *value;

		json_object_foreach((json_t *)node.json, key, value) {
			if (!same_name(key, names, len))
				continue;
			v.at = pool_printf(
				node.cloud->pool, "%s.%s", node.at, clean(node.cloud->pool, key));
			return (struct cloud_flag){ v.at,
				json_string_length(value) > 0 || json_is_object(value) };
		}
		names += len + (names[len] == '|');
	}
	return (struct cloud_flag){ NULL, false };
}

struct cloud_prefixes node_prefixes(struct node list, const char *names)
{
	struct cloud_prefixes found = { .at = list.at };
	size_t n = json_array_size(list.json);

	if (!json_is_array(list.json))
		return (struct cloud_prefixes){ 0 };
	if (n > CLOUD_PREFIXES_MAX) {
		node_error(
			list, "has %zu prefixes: at most %u are compared", n, CLOUD_PREFIXES_MAX);
		return (struct cloud_prefixes){ 0 };
	}
	found.items = pool_array(list.cloud->pool, n ? n : 1, sizeof(*found.items));
	for (size_t i = 0; i < n; i++) {
		struct node item = node_item(list, i);

		if (json_is_object(item.json))
			item = node_get(item, names);
		const char *s = json_string_value(item.json);
		if (s && !ip_prefix_parse(s, &found.items[found.n]))
			ip_prefix_mask(&found.items[found.n++]);
		else if (item.json)
			node_error(item, "a prefix such as 10.0.0.0/8 was expected");
	}
	return found;
}

enum cloud_state node_state(const struct cloud_text *text, const char *words)
{
	static const char *const states[] = { "", "=up", "=pending", "=down", "=gone" };

	while (text->s && *words) {
		size_t len = strcspn(words, " "), name = strcspn(words, "=");

		if (strlen(text->s) == name && !strncasecmp(text->s, words, name))
			for (int i = CLOUD_UP; i <= CLOUD_GONE; i++)
				if (strlen(states[i]) == len - name &&
					!strncmp(words + name, states[i], len - name))
					return i;
		words += len + (words[len] == ' ');
	}
	return CLOUD_UNSAID;
}

/* ---- views ---- */

struct cloud_view *view_new(struct node node, enum cloud_provider provider, const char *what)
{
	static struct cloud_view spare; /* what is one too many goes here: that is an error */
	struct cloud *cloud = node.cloud;
	struct cloud_view *view = &spare;

	if (cloud->n < CLOUD_VIEWS_MAX)
		view = &cloud->views[cloud->n++];
	else
		node_error(node, "more than %u objects in these documents: compare fewer at a time",
			CLOUD_VIEWS_MAX);
	memset(view, 0, sizeof(*view));
	view->file = cloud->file;
	view->at = node.at;
	view->provider = provider;
	view->what = what;
	return view;
}

struct cloud_session *view_session(struct cloud_view *view, const struct cloud_addr *addr)
{
	struct cloud_session *s = &view->s[addr->p.af == AF_INET6];

	if (!s->at)
		s->at = addr->at;
	return s;
}

struct cloud_session *view_between(
	struct cloud_view *view, const struct cloud_addr *ours, const struct cloud_addr *theirs)
{
	struct cloud_session *s;

	if (!ours->at && !theirs->at)
		return NULL;
	s = view_session(view, ours->at ? ours : theirs);
	s->ours = *ours;
	s->theirs = *theirs;
	return s;
}

struct cloud_addr addr_host(const struct cloud_addr *addr, unsigned n)
{
	struct cloud_addr host = *addr;

	if (!host.p.af)
		return host;
	ip_prefix_mask(&host.p);
	host.p.bytes[ip_size(host.p.af) - 1] += n; /* networks end on a multiple of four */
	return host;
}
