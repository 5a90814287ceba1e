/* pktrun: links, routes, adjacencies and path groups: each command is one call of dataplane.h. */
#include <sys/socket.h>
#include "pktrun.h"

/* ---- links ---- */
static int tags_get(const json_t *in, struct dp_link *l)
{
	json_t *tags = json_object_get(in, "tags"), *tag;
	size_t i;

	if (json_array_size(tags) > 2)
		return fail(-EINVAL, "link %u: two tags at most", l->id);
	json_array_foreach(tags, i, tag) {
		l->tpid[i] = json_integer_value(json_array_get(tag, 0));
		l->vid[i] = json_integer_value(json_array_get(tag, 1));
	}
	l->n_tags = json_array_size(tags);
	return 0;
}

static int tap_get(struct dp_link *l)
{
	int ends[2], size = 1 << 20;

	if (!taps[l->id].exists) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
			return fail(-errno, "no socket pair for link %u", l->id);
		taps[l->id].router = ends[0];
		taps[l->id].kernel = ends[1];
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		taps[l->id].exists = true;
	}
	l->tap = taps[l->id].router;
	return 0;
}

static int virtual_get(const json_t *in, struct dp_link *l)
{
	json_t *list = json_object_get(in, "virtual"), *active = json_object_get(in, "active"), *j;
	size_t i;

	l->vrid = int_get(in, "vrid", 0);
	for (i = 0; i < 2; i++)
		l->active[i] = json_is_true(json_array_get(active, i));
	if (json_array_size(list) > DP_VIRTUAL_MAX)
		return fail(
			-EINVAL, "link %u: %d virtual addresses at most", l->id, DP_VIRTUAL_MAX);
	json_array_foreach(list, i, j)
		if (ip_addr_parse(json_string_value(j), &l->virtual_addr[i]))
			return fail(-EINVAL, "link %u: bad virtual address", l->id);
	l->n_virtual = json_array_size(list);
	return 0;
}

static int encap_get(const json_t *in, uint8_t *ret_encap)
{
	static const char *const names[] = { "ether", "vxlan", "geneve", "gre", "ipip", "esp" };
	const char *encap = json_string_value(json_object_get(in, "encap"));

	*ret_encap = DP_ENCAP_ETHER;
	for (uint8_t i = 0; encap && i < RTE_DIM(names); i++)
		if (!strcmp(encap, names[i]))
			*ret_encap = i;
	return encap && strcmp(encap, names[*ret_encap])
		       ? fail(-EINVAL, "encap: unknown: %s", encap)
		       : 0;
}

static int tunnel_get(const json_t *in, struct dp_link *l)
{
	int ret;

	if ((ret = encap_get(in, &l->encap)) || (ret = addr_get(in, "local", &l->tunnel.local)))
		return ret;
	l->tunnel.underlay_vrf = int_get(in, "underlay_vrf", 0);
	l->tunnel.vni = int_get(in, "vni", 0);
	l->tunnel.udp_port = int_get(in, "udp_port", l->encap == DP_ENCAP_GENEVE ? 6081 : 4789);
	l->tunnel.underlay_adj = int_get(in, "underlay_adj", 0);
	l->tunnel.inner_ether = bool_get(in, "inner_ether", l->encap == DP_ENCAP_VXLAN);
	l->tunnel.keyed = bool_get(in, "keyed", false);
	l->tunnel.checksum = bool_get(in, "checksum", false);
	l->tunnel.ttl = int_get(in, "ttl", 0);
	l->tunnel.dscp = int_get(in, "dscp", DP_DSCP_COPY);
	l->tunnel.df = int_get(in, "df", DP_DF_SET);
	l->tunnel.mss4 = int_get(in, "mss4", 0);
	l->tunnel.mss6 = int_get(in, "mss6", 0);
	return addr_get(in, "remote", &l->tunnel.remote);
}

static int link_get(const json_t *in, struct dp_link *l)
{
	const char *name = json_string_value(json_object_get(in, "name"));
	int ret;

	memset(l, 0, sizeof(*l));
	l->id = int_get(in, "id", 0);
	if (l->id >= DP_LINKS_MAX)
		return fail(-EINVAL, "link id %u: out of range", l->id);
	snprintf(l->name, sizeof(l->name), "link%u", l->id);
	if (name)
		snprintf(l->name, sizeof(l->name), "%s", name);
	l->vrf = int_get(in, "vrf", 0);
	l->port = int_get(in, "port", 0);
	l->up = bool_get(in, "up", true);
	l->zone = int_get(in, "zone", 0);
	l->reach[0] = (uint64_t)int_get(in, "reach", 1);
	l->mtu = int_get(in, "mtu", 1500);
	l->tap = -1;
	if ((ret = mac_get(in, l->mac)) || (ret = addr_get(in, "src4", &l->src4)) ||
		(ret = addr_get(in, "src6", &l->src6)) || (ret = tunnel_get(in, l)) ||
		(ret = tags_get(in, l)) || (ret = virtual_get(in, l)))
		return ret;
	taps[l->id].known = true;
	return bool_get(in, "tap", true) ? tap_get(l) : 0;
}

static int cmd_publish(json_t *in, json_t *answer)
{
	static struct dp_link links[DP_LINKS_MAX];
	static bool used[DP_LINKS_MAX];
	json_t *list = json_object_get(in, "links"), *j;
	size_t i;
	int ret = 0;

	(void)answer;
	if (!json_is_array(list) || json_array_size(list) > DP_LINKS_MAX)
		return fail(-EINVAL, "links: need an array of at most %d", DP_LINKS_MAX);
	memset(used, 0, sizeof(used));
	json_array_foreach(list, i, j) {
		if ((ret = link_get(j, &links[i])))
			return ret;
		used[links[i].id] = links[i].tap >= 0;
	}
	ret = dp_publish(links, json_array_size(list));
	for (unsigned id = 1; !ret && id < DP_LINKS_MAX; id++) {
		if (!taps[id].exists || used[id])
			continue;
		collect_tap(id);
		close(taps[id].router); /* the punt thread has its own */
		close(taps[id].kernel);
		taps[id].exists = false;
	}
	return ret;
}

/* ---- routes, adjacencies, groups ---- */
static const char *const adj_kinds[] = { "none", "local", "blackhole", "unreachable", "prohibit",
	"glean", "forward", "failed", "broadcast" };

static int cmd_vrf_add(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_vrf_add(int_get(in, "vrf", 0));
}

static int cmd_vrf_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_vrf_del(int_get(in, "vrf", 0));
}

static int cmd_fib_set(json_t *in, json_t *answer)
{
	struct ip_prefix prefix;
	int ret = prefix_get(in, &prefix);

	(void)answer;
	return ret ? ret : dp_fib_set(int_get(in, "vrf", 0), &prefix, int_get(in, "group", 0));
}

static int cmd_fib_del(json_t *in, json_t *answer)
{
	struct ip_prefix prefix;
	int ret = prefix_get(in, &prefix);

	(void)answer;
	return ret ? ret : dp_fib_del(int_get(in, "vrf", 0), &prefix);
}

static int cmd_fib_lookup(json_t *in, json_t *answer)
{
	struct ip_addr addr;
	int ret = addr_get(in, "addr", &addr);

	if (!ret)
		json_object_set_new(
			answer, "group", json_integer(dp_fib_lookup(int_get(in, "vrf", 0), &addr)));
	return ret;
}

static int cmd_fib_info(json_t *in, json_t *answer)
{
	struct dp_fib_info i;
	int ret = dp_fib_info(int_get(in, "vrf", 0), &i);

	if (!ret) {
		json_object_set_new(answer, "routes4", json_integer(i.routes4));
		json_object_set_new(answer, "routes6", json_integer(i.routes6));
		json_object_set_new(answer, "lookup_bytes", json_integer(i.lookup_bytes));
		json_object_set_new(answer, "control_bytes", json_integer(i.control_bytes));
	}
	return ret;
}

static int cmd_adj_set(json_t *in, json_t *answer)
{
	const char *kind = json_string_value(json_object_get(in, "kind"));
	struct dp_adj a = { .link = int_get(in, "link", 0) };
	int ret;

	(void)answer;
	while (kind && a.kind < RTE_DIM(adj_kinds) && strcmp(kind, adj_kinds[a.kind]))
		a.kind++;
	if (!kind || a.kind == RTE_DIM(adj_kinds))
		return fail(-EINVAL, "kind: unknown: %s", kind ? kind : "missing");
	if ((ret = addr_get(in, "nexthop", &a.nexthop)) || (ret = mac_get(in, a.mac)))
		return ret;
	return dp_adj_set(int_get(in, "adj", 0), &a);
}

static int cmd_adj_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_adj_del(int_get(in, "adj", 0));
}

static int cmd_adj_info(json_t *in, json_t *answer)
{
	struct dp_adj_info i;
	int ret = dp_adj_info(int_get(in, "adj", 0), &i);

	if (ret)
		return ret;
	json_object_set_new(answer, "kind", json_string(adj_kinds[i.adj.kind]));
	json_object_set_new(answer, "link", json_integer(i.adj.link));
	json_object_set_new(answer, "nexthop", addr_json(&i.adj.nexthop));
	json_object_set_new(answer, "mac", mac_json(i.adj.mac));
	json_object_set_new(answer, "port", json_integer(i.port));
	json_object_set_new(answer, "mtu", json_integer(i.mtu));
	json_object_set_new(answer, "header", hex_json(i.header, i.header_len));
	return 0;
}

static int cmd_group_set(json_t *in, json_t *answer)
{
	json_t *list = json_object_get(in, "legs"), *j;
	struct dp_leg legs[DP_LEGS_MAX];
	size_t i;

	(void)answer;
	if (json_array_size(list) > DP_LEGS_MAX)
		return fail(-EINVAL, "legs: at most %d", DP_LEGS_MAX);
	json_array_foreach(list, i, j)
		legs[i] = (struct dp_leg){
			.key = int_get(j, "key", int_get(j, "adj", 0)),
			.adj = int_get(j, "adj", 0),
			.weight = int_get(j, "weight", 1),
			.tier = int_get(j, "tier", 0),
			.alive = bool_get(j, "alive", true),
		};
	return dp_group_set(int_get(in, "group", 0), legs, json_array_size(list));
}

static int cmd_group_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_group_del(int_get(in, "group", 0));
}

static int cmd_group_info(json_t *in, json_t *answer)
{
	struct dp_group_info i;
	int ret = dp_group_info(int_get(in, "group", 0), &i);
	json_t *legs = json_array();

	for (unsigned k = 0; !ret && k < i.n_legs; k++)
		json_array_append_new(
			legs, json_pack("{s:I, s:I, s:i, s:i, s:b, s:i}", "key",
				      (json_int_t)i.legs[k].key, "adj", (json_int_t)i.legs[k].adj,
				      "weight", i.legs[k].weight, "tier", i.legs[k].tier, "alive",
				      i.legs[k].alive, "buckets", i.buckets_of[k]));
	json_object_set_new(answer, "legs", legs);
	json_object_set_new(answer, "n_buckets", json_integer(ret ? 0 : i.n_buckets));
	return ret;
}

static int cmd_group_bucket(json_t *in, json_t *answer)
{
	struct ip_addr src, dst;
	unsigned bucket = 0;
	uint32_t adj = 0;
	int ret;

	if ((ret = addr_get(in, "src", &src)) || (ret = addr_get(in, "dst", &dst)))
		return ret;
	ret = dp_group_bucket(int_get(in, "group", 0), &src, &dst, int_get(in, "proto", 0),
		int_get(in, "sport", 0), int_get(in, "dport", 0), &bucket, &adj);
	json_object_set_new(answer, "bucket", json_integer(bucket));
	json_object_set_new(answer, "adj", json_integer(adj));
	return ret;
}

static int cmd_tunnel_mtu(json_t *in, json_t *answer)
{
	json_object_set_new(answer, "mtu", json_integer(dp_tunnel_mtu(int_get(in, "link", 0))));
	return 0;
}

const struct command table_commands[] = {
	{ "tunnel_mtu", cmd_tunnel_mtu },
	{ "publish", cmd_publish },
	{ "vrf_add", cmd_vrf_add },
	{ "vrf_del", cmd_vrf_del },
	{ "fib_set", cmd_fib_set },
	{ "fib_del", cmd_fib_del },
	{ "fib_lookup", cmd_fib_lookup },
	{ "fib_info", cmd_fib_info },
	{ "adj_set", cmd_adj_set },
	{ "adj_del", cmd_adj_del },
	{ "adj_info", cmd_adj_info },
	{ "group_set", cmd_group_set },
	{ "group_del", cmd_group_del },
	{ "group_info", cmd_group_info },
	{ "group_bucket", cmd_group_bucket },
	{ NULL, NULL },
};
