/* Arguments of a request checked against the view's small table, and the makers of JSON all views
 * share.
 *
 * A request's arguments are a JSON object from outside: every member must be known, of the right
 * type and in range, or the request is refused with what was expected. */
#include <inttypes.h>
#include <string.h>
#include "views.h"

/* ---- arguments ---- */

static const char *type_name(enum view_type type)
{
	static const char *const names[] = {
		[VIEW_STRING] = "a string",
		[VIEW_INT] = "an integer",
		[VIEW_BOOL] = "true or false",
		[VIEW_ADDR] = "an address such as \"10.0.0.1\" or \"2001:db8::1\"",
		[VIEW_PREFIX] = "a prefix such as \"10.0.0.0/8\" or \"2001:db8::/32\"",
		[VIEW_VRF] = "the name of a VRF",
		[VIEW_LINK] = "the name of a link",
	};

	return names[type];
}

const char *view_names(enum view_type type, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	if (type == VIEW_VRF)
		for (struct vrf *v = vrf_next(NULL); v && len + 24 < size; v = vrf_next(v))
			len += (size_t)snprintf(
				buf + len, size - len, "%s%s", len ? ", " : "", v->name);
	else
		for (struct link *l = link_next(NULL); l && len + 24 < size; l = link_next(l))
			len += (size_t)snprintf(
				buf + len, size - len, "%s%s", len ? ", " : "", l->name);
	return len ? buf : "none at all";
}

static bool object_find(struct api_request *request, const struct view_arg *arg, const char *text)
{
	char names[400];
	void *found;

	if (arg->type == VIEW_VRF)
		found = *(struct vrf **)arg->out = vrf_by_name(text);
	else
		found = *(struct link **)arg->out = link_by_name(text);
	if (found)
		return true;
	api_fail(request, "no %s \"%.32s\": there is %s", arg->type == VIEW_VRF ? "VRF" : "link",
		text, view_names(arg->type, names, sizeof(names)));
	return false;
}

static bool arg_take(struct api_request *request, const struct view_arg *arg, const json_t *value)
{
	const char *text = json_string_value(value);
	bool right = false;

	switch (arg->type) {
	case VIEW_STRING:
		right = text;
		if (right)
			*(const char **)arg->out = text;
		break;
	case VIEW_INT:
		right = json_is_integer(value) && json_integer_value(value) >= arg->min &&
			json_integer_value(value) <= arg->max;
		if (right)
			*(int64_t *)arg->out = json_integer_value(value);
		else if (json_is_integer(value)) {
			api_fail(request, "argument \"%s\" must be %" PRId64 "..%" PRId64,
				arg->name, arg->min, arg->max);
			return false;
		}
		break;
	case VIEW_BOOL:
		right = json_is_boolean(value);
		if (right)
			*(bool *)arg->out = json_is_true(value);
		break;
	case VIEW_ADDR:
		right = text && !ip_addr_parse(text, arg->out);
		break;
	case VIEW_PREFIX:
		right = text && !ip_prefix_parse(text, arg->out);
		break;
	case VIEW_VRF:
	case VIEW_LINK:
		if (text)
			return object_find(request, arg, text);
		break;
	}
	if (!right)
		api_fail(request, "argument \"%s\" must be %s", arg->name, type_name(arg->type));
	return right;
}

bool view_args(
	struct api_request *request, const json_t *args, const struct view_arg *table, unsigned n)
{
	const struct api_command *command = api_request_command(request);
	const char *key;
	json_t *value;
	json_t *object =
		(json_t *)(uintptr_t)args; /* only iterated: jansson's iterators want it so */

	json_object_foreach(object, key, value) {
		unsigned i = 0;

		while (i < n && strcmp(key, table[i].name))
			i++;
		if (i == n) {
			api_fail(request, "\"%s\" has no argument \"%.32s\"; its arguments: %s",
				command->name, key, *command->args ? command->args : "none");
			return false;
		}
		if (!arg_take(request, &table[i], value))
			return false;
	}
	for (unsigned i = 0; i < n; i++)
		if (table[i].required && !json_object_get(args, table[i].name)) {
			api_fail(request, "\"%s\" needs the argument \"%s\", %s; its arguments: %s",
				command->name, table[i].name, type_name(table[i].type),
				command->args);
			return false;
		}
	return true;
}

/* ---- makers ---- */

json_t *view_addr(const struct ip_addr *addr)
{
	char text[IP_STRLEN];

	return addr->af ? json_string(ip_addr_format(addr, text)) : json_null();
}

json_t *view_prefix(const struct ip_prefix *prefix)
{
	char text[IP_STRLEN];

	return json_string(ip_prefix_format(prefix, text));
}

json_t *view_mac(const uint8_t mac[6])
{
	return json_sprintf(
		"%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

json_t *view_count(struct dp_count count)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)count.packets, "bytes",
		(json_int_t)count.bytes);
}

const char *view_link_name(uint16_t id)
{
	const struct link *link = id ? link_by_id(id) : NULL;

	return link ? link->name : "-";
}

static const char *tunnel_down(const struct link *link)
{
	if (!link->cfg || link->cfg->encap == CFG_ENCAP_ETHER)
		return "no carrier";
	return link->cfg->encap == CFG_ENCAP_IPSEC && mirror_underlay_adj(link) ? "no keys"
										: "underlay down";
}

const char *view_link_down(const struct link *link)
{
	if (!link->up)
		return "shut";
	if (!link->carrier)
		return tunnel_down(link);
	return NULL;
}
