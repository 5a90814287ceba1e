/* pktrun: security associations: each command is one call of dataplane.h.
 *
 *   {"cmd":"sa_set", "sa":1, "link":9, "inbound":true, "spi":4096, "cipher":"gcm", "key":hex,
 *        "auth":"none", "auth_key":hex, "esn":false, "replay":64, "seq":0, "udp_local":0,
 *        "udp_remote":0, "soft_bytes":0, "hard_bytes":0, "soft_packets":0, "hard_packets":0}
 *        cipher: gcm cbc null; auth: none sha1 sha256 sha384 sha512
 *   {"cmd":"sa_del", "sa":1}    {"cmd":"sa_use", "link":9, "sa":1}    sa -1: none
 *   {"cmd":"sa_info", "sa":1} -> "worker", "state", "packets", "bytes", "seq", "used",
 *        "bad_icv", "replayed", "bad_pad", "wrapped" */
#include "pktrun.h"

/* Which of the names; -1: none of them. */
static int named(const json_t *in, const char *key, const char *const *names, unsigned n)
{
	const char *text = json_string_value(json_object_get(in, key));

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(text ? text : names[0], names[i]))
			return (int)i;
	return fail(-1, "%s: unknown: %s", key, text);
}

static int key_get(const json_t *in, const char *key, uint8_t *ret_key, size_t room, uint8_t *ret_n)
{
	const json_t *j = json_object_get(in, key);
	int n = j ? hex_bytes(j, ret_key, room) : 0;

	*ret_n = n < 0 ? 0 : (uint8_t)n;
	return n < 0 ? n : 0;
}

static int cmd_sa_set(json_t *in, json_t *answer)
{
	static const char *const ciphers[] = { "gcm", "cbc", "null" };
	static const char *const auths[] = { "none", "sha1", "sha256", "sha384", "sha512" };
	int cipher = named(in, "cipher", ciphers, RTE_DIM(ciphers));
	int auth = named(in, "auth", auths, RTE_DIM(auths)), ret;
	struct dp_sa sa = { .link = int_get(in, "link", 0),
		.inbound = bool_get(in, "inbound", false),
		.spi = int_get(in, "spi", 0),
		.udp_local = int_get(in, "udp_local", 0),
		.udp_remote = int_get(in, "udp_remote", 0),
		.cipher = cipher,
		.auth = auth,
		.esn = bool_get(in, "esn", false),
		.replay = int_get(in, "replay", 64),
		.seq = int_get(in, "seq", 0),
		.soft_bytes = int_get(in, "soft_bytes", 0),
		.hard_bytes = int_get(in, "hard_bytes", 0),
		.soft_packets = int_get(in, "soft_packets", 0),
		.hard_packets = int_get(in, "hard_packets", 0) };

	(void)answer;
	if (cipher < 0 || auth < 0)
		return -EINVAL;
	if ((ret = key_get(in, "key", sa.key, sizeof(sa.key), &sa.key_len)) ||
		(ret = key_get(in, "auth_key", sa.auth_key, sizeof(sa.auth_key), &sa.auth_len)))
		return ret;
	return dp_sa_set(int_get(in, "sa", 0), &sa);
}

static int cmd_sa_del(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_sa_del(int_get(in, "sa", 0));
}

static int cmd_sa_use(json_t *in, json_t *answer)
{
	(void)answer;
	return dp_sa_use(int_get(in, "link", 0), (int)int_get(in, "sa", -1));
}

static int cmd_sa_info(json_t *in, json_t *answer)
{
	static const char *const states[] = { "live", "soft", "hard" };
	struct dp_sa_info i;
	int ret = dp_sa_info(int_get(in, "sa", 0), &i);

	if (ret)
		return ret;
	for (unsigned k = 0; k < sizeof(i.conf.key); k++)
		if (i.conf.key[k])
			return fail(-EINVAL, "a key is told");
	json_object_update_new(answer,
		json_pack("{s:i, s:s, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I}", "worker", i.worker,
			"state", states[i.state], "packets", (json_int_t)i.through.packets, "bytes",
			(json_int_t)i.through.bytes, "seq", (json_int_t)i.seq, "used",
			i.used_ns != UINT64_MAX, "bad_icv", (json_int_t)i.bad_icv, "replayed",
			(json_int_t)i.replayed, "bad_pad", (json_int_t)i.bad_pad, "wrapped",
			(json_int_t)i.wrapped));
	return 0;
}

const struct command sa_commands[] = {
	{ "sa_set", cmd_sa_set },
	{ "sa_del", cmd_sa_del },
	{ "sa_use", cmd_sa_use },
	{ "sa_info", cmd_sa_info },
	{ NULL, NULL },
};
