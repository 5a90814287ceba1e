/* What it takes to come from one configuration to another, object by object.
 *
 * Both lists of a kind are sorted by name and merged. What differs inside an object is found along
 * the table of keys, so a key cannot be forgotten here, and a change of a key marked KEY_RESTART
 * marks the operation. A link is also modified when something changed that it is resolved through -
 * its circuit's port or tags, its underlay, the gateway's AS number, its tier - so that whoever
 * applies links need not follow references; a link on a port that waits for a restart waits with
 * it. The order can be applied as it stands: users go first (paths, tunnels, links), then what is
 * used is added and changed, then links are changed and added with underlays before tunnels, then
 * paths; what is no longer used goes last, because a changed link may just have left it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "pool.h"
#include "profile.h"
#include "types.h"

struct diff {
	const struct config *before, *after;
	struct cfg_diff *out;
	struct cfg_pool *pool;
	unsigned max;
	const char *what; /* of the object at hand */
	bool restart;
};

/* ---- what differs ---- */

static void note(struct diff *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct diff *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	d->what = pool_printf(d->pool, "%s%s%s", *d->what ? d->what : "", *d->what ? ", " : "",
		pool_vprintf(d->pool, fmt, args));
	va_end(args);
}

static char *tiers_text(struct diff *d, const struct cfg_path *path)
{
	char *text = pool_strdup(d->pool, "");

	for (unsigned i = 0; i < path->n_tiers; i++)
		for (unsigned j = 0; j < path->tiers[i].n; j++)
			text = pool_printf(d->pool, "%s%s%s", text,
				j   ? "+"
				: i ? "/"
				    : "",
				path->tiers[i].links[j]->name);
	return text;
}

/* The value as a person reads it, on the pool. */
static char *value_text(struct diff *d, const struct key *key, const void *base)
{
	char *raw = NULL, *text, *from, *to;
	const struct key_object *object;
	size_t size;
	FILE *out;

	if (!types_is_set(key, base))
		return pool_strdup(d->pool, "none");
	if (key->type == KEY_TIERS)
		return tiers_text(d, base);
	if (key->type == KEY_BETWEEN)
		return pool_printf(d->pool, "%s+%s",
			((const struct cfg_reach *)base)->between[0]->name,
			((const struct cfg_reach *)base)->between[1]->name);
	if (key->type == KEY_REF) {
		memcpy(&object, (const char *)base + key->offset, sizeof(object));
		return pool_strdup(d->pool, object->name);
	}
	out = open_memstream(&raw, &size);
	if (!out)
		pool_oom(d->pool);
	types_write(key, base, out);
	if (fclose(out) || !raw) {
		free(raw);
		pool_oom(d->pool);
	}
	d->pool->held = raw; /* freed even when the copy jumps away */
	text = pool_strdup(d->pool, raw);
	d->pool->held = NULL;
	free(raw);
	for (from = to = text; *from; from++)
		if (*from != '"')
			*to++ = *from;
	*to = '\0';
	return text;
}

/* Names of at most this many added and removed elements; of more, how many. */
#define SHOWN 4

static int by_bytes(const void *a, const void *b, void *elem_size)
{
	return memcmp(a, b, *(size_t *)elem_size);
}

static char *elem_text(struct diff *d, const struct key *key, const char *elem)
{
	char buf[2 * IP_STRLEN] = "", *to = buf;
	FILE *out = fmemopen(buf, sizeof(buf), "w");

	if (!out)
		pool_oom(d->pool);
	types_of(key)->write(key, elem, out);
	fclose(out);
	for (const char *from = buf; *from; from++)
		if (*from != '"')
			*to++ = *from;
	*to = '\0';
	return pool_strdup(d->pool, buf);
}

static char *sorted_copy(struct diff *d, struct types_list list, size_t elem_size)
{
	char *copy = pool_array(d->pool, list.n + 1, elem_size);

	if (list.n)
		memcpy(copy, list.items, list.n * elem_size);
	qsort_r(copy, list.n, elem_size, by_bytes, &elem_size);
	return copy;
}

static void list_differs(struct diff *d, const struct key *key, const char *prefix,
	struct types_list b, struct types_list a)
{
	unsigned i = 0, j = 0, added = 0, removed = 0;
	const char *text = "", *was, *is;
	size_t elem_size = types_of(key)->elem;
	int order;

	if (a.n == b.n && (!a.n || !memcmp(a.items, b.items, a.n * elem_size)))
		return;
	was = sorted_copy(d, b, elem_size);
	is = sorted_copy(d, a, elem_size);
	while (i < b.n || j < a.n) {
		order = i == b.n   ? 1
			: j == a.n ? -1
				   : memcmp(was + i * elem_size, is + j * elem_size, elem_size);
		if (order < 0 && ++removed <= SHOWN)
			text = pool_printf(
				d->pool, "%s -%s", text, elem_text(d, key, was + i * elem_size));
		if (order > 0 && ++added <= SHOWN)
			text = pool_printf(
				d->pool, "%s +%s", text, elem_text(d, key, is + j * elem_size));
		i += order <= 0;
		j += order >= 0;
	}
	if (!added && !removed)
		note(d, "%s%s reordered", prefix, key->name);
	else if (added > SHOWN || removed > SHOWN)
		note(d, "%s%s %u added %u removed", prefix, key->name, added, removed);
	else
		note(d, "%s%s%s", prefix, key->name, text);
}

static bool value_differs(
	struct diff *d, const struct key *key, const char *prefix, const char *b, const char *a)
{
	const char *before = d->what, *was, *is;

	if (types_of(key) && types_of(key)->elem && key->type != KEY_WORDS) {
		list_differs(d, key, prefix, types_list(key, b), types_list(key, a));
	} else {
		was = value_text(d, key, b);
		is = value_text(d, key, a);
		if (strcmp(was, is))
			note(d, "%s%s %s->%s", prefix, key->name, was, is);
	}
	return d->what != before;
}

static void group_differs(
	struct diff *d, const struct key *keys, const char *prefix, const char *b, const char *a)
{
	const char *inner;
	bool was, is;

	for (const struct key *key = keys; key->name; key++) {
		if (key->type == KEY_LATER || key->type == KEY_SCHEMA || key->type == KEY_OBJECTS ||
			key->type == KEY_PROFILES)
			continue;
		if (key->type != KEY_GROUP) {
			if (value_differs(d, key, prefix, b, a) && (key->flags & KEY_RESTART))
				d->restart = true;
			continue;
		}
		was = types_is_set(key, b);
		is = types_is_set(key, a);
		if (was != is) {
			note(d, "%s%s %s", prefix, key->name, is ? "added" : "removed");
		} else if (is) {
			inner = pool_printf(d->pool, "%s%s.", prefix, key->name);
			group_differs(d, key->keys, inner, b + key->offset, a + key->offset);
		}
	}
}

/* ---- links and what they are resolved through ---- */

static bool same_name(const void *a, const void *b)
{
	const struct key_object *x = a, *y = b;

	return x && y ? !strcmp(x->name, y->name) : x == y;
}

static bool same_circuit(const struct cfg_circuit *b, const struct cfg_circuit *a)
{
	if (!a || !b)
		return a == b;
	return same_name(b->port, a->port) && b->stag == a->stag &&
	       (b->stag_tpid == a->stag_tpid || !a->stag);
}

static bool same_outer(const struct cfg_outer *b, const struct cfg_outer *a)
{
	return b->inner == a->inner && b->key == a->key && b->checksum == a->checksum &&
	       b->udp6_checksum == a->udp6_checksum;
}

/* Do packets of the link look the same and go the same way? Underlays are followed. */
static bool same_shape(const struct cfg_link *b, const struct cfg_link *a)
{
	for (; a && b; a = a->underlay, b = b->underlay) {
		if (!same_name(b, a) || b->shut != a->shut || b->vlan != a->vlan ||
			b->mtu != a->mtu || b->encap != a->encap || b->vni != a->vni ||
			b->udp_port != a->udp_port || !ip_addr_equal(&b->local, &a->local) ||
			!ip_addr_equal(&b->remote, &a->remote) ||
			!same_outer(&b->outer, &a->outer) || !same_name(b->vrf, a->vrf) ||
			!same_circuit(b->circuit, a->circuit) || b->n_address != a->n_address)
			return false;
		for (unsigned i = 0; i < a->n_address; i++)
			if (!ip_prefix_equal(&b->address[i], &a->address[i]))
				return false;
	}
	return a == b;
}

static const struct cfg_port *port_of(const struct cfg_link *link)
{
	while (link->underlay)
		link = link->underlay;
	return link->circuit ? link->circuit->port : NULL;
}

/* Is the link's port one that only a restart brings? */
static bool waits_for_port(const struct diff *d, const struct cfg_link *link)
{
	const struct cfg_port *port = port_of(link), *old;

	for (unsigned i = 0; port && i < d->before->n_ports; i++) {
		old = &d->before->ports[i];
		if (same_name(old, port))
			return strcmp(old->device, port->device) || old->mtu != port->mtu;
	}
	return port != NULL;
}

static const char *tier_text(
	struct diff *d, const struct config *config, const struct cfg_link *link)
{
	unsigned tier;

	if (!config_path_of(config, link, &tier))
		return "none";
	return pool_printf(d->pool, "%u", tier);
}

static void link_depends(struct diff *d, const struct cfg_link *b, const struct cfg_link *a)
{
	const char *was = tier_text(d, d->before, b), *is = tier_text(d, d->after, a);
	uint32_t old_as = d->before->gateway.asn, new_as = d->after->gateway.asn;

	if (a->circuit && same_name(b->circuit, a->circuit) &&
		!same_circuit(b->circuit, a->circuit))
		note(d, "circuit %s changed", a->circuit->name);
	if (a->underlay && same_name(b->underlay, a->underlay) &&
		!same_shape(b->underlay, a->underlay))
		note(d, "underlay %s changed", a->underlay->name);
	if (old_as != new_as && ((a->bgp.v4.present && !a->bgp.v4.local_as) ||
					(a->bgp.v6.present && !a->bgp.v6.local_as)))
		note(d, "gateway.asn %u->%u", old_as, new_as);
	if (strcmp(was, is))
		note(d, "tier %s->%s", was, is);
	if (a->profile && b->profile && !strcmp(a->profile->name, b->profile->name) &&
		memcmp(a->profile->digest, b->profile->digest, sizeof(a->profile->digest)))
		note(d, "profile %s changed", a->profile->name);
	if (*d->what && waits_for_port(d, a))
		d->restart = true;
}

/* ---- operations ---- */

static void add_op(struct diff *d, enum cfg_change change, enum cfg_object object, const char *name,
	const void *before, const void *after)
{
	struct cfg_op *op = &d->out->ops[d->out->n++];

	op->change = change;
	op->object = object;
	snprintf(op->name, sizeof(op->name), "%s", name);
	op->before = before;
	op->after = after;
	op->what = d->what;
	op->restart = d->restart;
}

static const struct key *keys_of(const struct key_kind *kind, const void *object)
{
	if (kind->object == CFG_ZONE && keys_is_kind(object, KIND_PARTNER))
		return keys_kinds[KIND_PARTNER].keys;
	return kind->keys;
}

static void object_differs(
	struct diff *d, const struct key_kind *kind, const void *b, const void *a)
{
	const struct key *keys = keys_of(kind, a);

	if (keys_of(kind, b) != keys)
		note(d, "%s", keys == kind->keys ? "partner->cloud" : "cloud->partner");
	group_differs(d, keys, "", b, a);
	if (kind->object == CFG_LINK)
		link_depends(d, b, a);
}

static void kind_diff(struct diff *d, const struct key_kind *kind)
{
	unsigned n_before = d->before ? keys_count(d->before, kind) : 0,
		 n_after = keys_count(d->after, kind);
	const struct key_object *b, *a;
	unsigned i = 0, j = 0;
	int order;

	while (i < n_before || j < n_after) {
		b = i < n_before ? keys_item(d->before, kind, i) : NULL;
		a = j < n_after ? keys_item(d->after, kind, j) : NULL;
		order = !b ? 1 : !a ? -1 : strcmp(b->name, a->name);
		d->what = "";
		/* ports come and go with the process; at start there is nothing to restart */
		d->restart = d->before && order && kind->object == CFG_PORT;
		if (d->before && order > 0 && kind->object == CFG_LINK)
			d->restart = waits_for_port(d, (const struct cfg_link *)a);
		if (order < 0)
			add_op(d, CFG_DEL, kind->object, b->name, b, NULL);
		else if (order > 0)
			add_op(d, CFG_ADD, kind->object, a->name, NULL, a);
		else
			object_differs(d, kind, b, a);
		if (!order && *d->what)
			add_op(d, CFG_MOD, kind->object, a->name, b, a);
		i += order <= 0;
		j += order >= 0;
	}
}

/* gateway (with routing, which has no group of its own) and defaults */
static void single_diff(struct diff *d, enum cfg_object object, const char *name)
{
	const struct key *key = keys_find(keys_top, name);
	const char *after = (const char *)d->after + key->offset, *before = NULL;
	const struct key routing[2] = { *keys_find(keys_top, "routing"), { .name = NULL } };

	d->what = "";
	d->restart = false;
	if (d->before) {
		before = (const char *)d->before + key->offset;
		group_differs(d, key->keys, "", before, after);
		if (object == CFG_GATEWAY)
			group_differs(
				d, routing, "", (const char *)d->before, (const char *)d->after);
	}
	if (!before || *d->what)
		add_op(d, before ? CFG_MOD : CFG_ADD, object, name, before, after);
}

/* ---- order ---- */

static unsigned tunnels(const struct cfg_link *link)
{
	unsigned n = 0;

	for (; link->underlay; link = link->underlay)
		n++;
	return n;
}

static unsigned rank(const struct cfg_op *op)
{
	static const unsigned used[] = { [CFG_GATEWAY] = 20,
		[CFG_DEFAULTS] = 21,
		[CFG_PORT] = 22,
		[CFG_VRF] = 23,
		[CFG_ZONE] = 24,
		[CFG_CIRCUIT] = 25 };

	switch (op->object) {
	case CFG_PATH:
	case CFG_REACH:
		return op->change == CFG_DEL ? 0 : 50;
	case CFG_LINK:
		if (op->change == CFG_DEL)
			return 10 - tunnels(op->before);
		return (op->change == CFG_MOD ? 30 : 40) + tunnels(op->after);
	default:
		return op->change == CFG_DEL ? 100 - used[op->object] : used[op->object];
	}
}

static int by_rank(const void *x, const void *y)
{
	const struct cfg_op *a = x, *b = y;
	unsigned ra = rank(a), rb = rank(b);

	return ra != rb ? (ra < rb ? -1 : 1) : strcmp(a->name, b->name);
}

static void diff_all(struct diff *d)
{
	unsigned max = 2;

	for (enum key_kind_id id = 0; id < KIND_COUNT; id++)
		if (id != KIND_PARTNER)
			max += keys_count(d->after, &keys_kinds[id]) +
			       (d->before ? keys_count(d->before, &keys_kinds[id]) : 0);
	d->out->ops = pool_array(d->pool, max, sizeof(*d->out->ops));
	single_diff(d, CFG_GATEWAY, "gateway");
	single_diff(d, CFG_DEFAULTS, "defaults");
	for (enum key_kind_id id = 0; id < KIND_COUNT; id++)
		if (id != KIND_PARTNER) /* in one array with the clouds */
			kind_diff(d, &keys_kinds[id]);
	qsort(d->out->ops, d->out->n, sizeof(*d->out->ops), by_rank);
}

int config_diff(const struct config *before, const struct config *after, struct cfg_diff *ret_diff)
{
	struct diff d = { .before = before, .after = after, .out = ret_diff };
	jmp_buf oom;

	memset(ret_diff, 0, sizeof(*ret_diff));
	ret_diff->pool = pool_new();
	if (!ret_diff->pool)
		return -ENOMEM;
	d.pool = ret_diff->pool;
	d.pool->oom = &oom;
	if (setjmp(oom)) {
		cfg_diff_free(ret_diff);
		return -ENOMEM;
	}
	diff_all(&d);
	ret_diff->pool->oom = NULL;
	return 0;
}

void cfg_diff_free(struct cfg_diff *diff)
{
	pool_free(diff->pool);
	memset(diff, 0, sizeof(*diff));
}
