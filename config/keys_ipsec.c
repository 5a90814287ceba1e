/* The keys of a link's `ipsec`, and of each of its `tunnels`: rows as in keys.c.
 *
 * Keys that a profile has too are called as they are there (profile_keys.c), so that the value's
 * origin can be told: ike_lifetime, esp_lifetime, rekey, dpd, replay. Those of a tunnel are never
 * read along these rows: expand.c moves each to where it belongs in the tunnel's own link, and
 * these are what it knows and what the manual says. */
#include "keys_ipsec.h"

#define AT(f)	   .offset = offsetof(struct cfg_keying, f), .size = sizeof(((struct cfg_keying *)0)->f)
#define LIST(f, n) .offset = offsetof(struct cfg_keying, f), .max = (n)
#define IN(f)	   .offset = offsetof(struct cfg_sa, f), .size = sizeof(((struct cfg_sa *)0)->f)
#define END                  \
	{                    \
		.name = NULL \
	}

static const char *const initiators[] = { "auto", "us", "them", NULL };
static const char *const nat_ts[] = { "auto", "forced", NULL };
/* In the order of enum cfg_sa_algorithm. */
static const char *const algorithms[] = { "none", "aes128gcm16", "aes256gcm16", "aes128-sha1",
	"aes128-sha256", "aes256-sha256", "aes256-sha384", "aes256-sha512", NULL };

static const struct key sa_keys[] = {
	{ "spi", KEY_NUMBER, KEY_REQUIRED, IN(spi), .min = 256, .max = 0xffffffff,
		.text = "Its number (RFC 4303 2.1): in, what the far end sends to us; 2147483648 "
			"and more are written with an L behind it." },
	{ "key", KEY_SECRET, KEY_REQUIRED, IN(key),
		.text = "File in defaults.keys with the key, hex digits: the cipher's (GCM's with "
			"4 octets of salt behind it), then the hash's. Both directions need keys "
			"of their own." },
	END,
};

static const struct key sas_keys[] = {
	{ "algorithm", KEY_ENUM, KEY_REQUIRED, AT(algorithm), .words = algorithms, .min = 1,
		.text = "What packets are encrypted and signed with." },
	{ "in", KEY_GROUP, KEY_REQUIRED, AT(in), .keys = sa_keys,
		.mark_size = sizeof(struct cfg_sa), .text = "SA of what comes in." },
	{ "out", KEY_GROUP, KEY_REQUIRED, AT(out), .keys = sa_keys,
		.mark_size = sizeof(struct cfg_sa), .text = "SA of what goes out." },
	END,
};

const struct key keys_ipsec[] = {
	{ "key", KEY_SECRET, 0, AT(key), .otherwise = "static SAs in sas",
		.text = "File in defaults.keys with the pre-shared key of IKEv2." },
	{ "local_id", KEY_STRING, 0, AT(local_id), .otherwise = "encap.local",
		.text = "Who we say we are: an address or a name. Behind NAT the public address "
			"that the provider was told." },
	{ "remote_id", KEY_STRING, 0, AT(remote_id), .otherwise = "encap.remote",
		.text = "Who the far end must say it is." },
	{ "ike", KEY_WORDS, 0, LIST(ike, 8),
		.otherwise = "what the profile takes of what is sound, or AES-GCM and AES-CBC with "
			     "SHA-2",
		.text = "Proposals of IKE, best first, as \"aes256gcm16-prfsha384-ecp384\"." },
	{ "esp", KEY_WORDS, 0, LIST(esp, 8), .otherwise = "as of ike",
		.text = "Proposals of ESP, best first, as \"aes256gcm16-ecp384\" or "
			"\"aes256-sha256-modp2048\"; the group is that of rekeying." },
	{ "strict", KEY_BOOL, 0, AT(strict), .fallback = "false",
		.text = "Offer and take neither AES-CBC nor SHA-1 nor groups below 128 bits of "
			"strength: PROV-25." },
	{ "ike_lifetime", KEY_TIME, 0, AT(ike_lifetime_s), .min = 60000, .max = 864000000,
		.unit_ms = 1000, .otherwise = "the profile's, or 4h",
		.text = "Of the IKE association." },
	{ "esp_lifetime", KEY_TIME, 0, AT(esp_lifetime_s), .min = 60000, .max = 864000000,
		.unit_ms = 1000, .otherwise = "the profile's, or 1h",
		.text = "Of the keys of the tunnel." },
	{ "esp_lifetime_kbytes", KEY_NUMBER, 0, AT(esp_lifetime_kbytes), .min = 1000,
		.max = 4000000000, .unit = "kilobytes",
		.otherwise = "the profile's, or by time "
			     "only",
		.text = "Or after so much." },
	{ "rekey", KEY_TIME, 0, AT(rekey_s), .min = 10000, .max = 86400000, .unit_ms = 1000,
		.otherwise = "the profile's, or a tenth of the shorter lifetime",
		.text = "New keys are made so long before the old ones end." },
	{ "dpd", KEY_TIME, 0, AT(dpd_s), .min = 1000, .max = 3600000, .unit_ms = 1000,
		.otherwise = "the profile's, or 30s",
		.text = "Silence after which the far end is asked whether it lives." },
	{ "replay", KEY_NUMBER, 0, AT(replay), .min = 64, .max = 4096, .unit = "packets",
		.otherwise = "the profile's, or 1024",
		.text = "Window in which packets may come out of order." },
	{ "esn", KEY_BOOL, 0, AT(esn), .fallback = "false",
		.text = "Offer sequence numbers of 64 bits (RFC 4304), for tunnels that would use "
			"up 4,294,967,295 packets within a lifetime." },
	{ "initiator", KEY_ENUM, 0, AT(initiator), .words = initiators, .fallback = "auto",
		.text = "Who begins: us, and again whenever it ended; them, and we wait; auto: us, "
			"unless the profile says otherwise." },
	{ "nat_t", KEY_ENUM, 0, AT(nat_t), .words = nat_ts, .fallback = "auto",
		.text = "ESP in UDP (RFC 3948) where IKE finds a NAT, or always." },
	{ "sas", KEY_GROUP, 0, 0, .keys = sas_keys, .mark = offsetof(struct cfg_keying, algorithm),
		.mark_size = sizeof(enum cfg_sa_algorithm), .otherwise = "IKEv2 makes the keys",
		.text = "Keys that never change, for a far end without IKE. Every key is for one "
			"direction of one link; numbers of packets are kept in lintasd's folder "
			"(--state)." },
	END,
};

const struct key keys_tunnel[] = {
	{ "remote", KEY_ADDR, KEY_REQUIRED, .text = "Far end: becomes encap.remote." },
	{ "address", KEY_ADDRESSES, KEY_REQUIRED, .max = CFG_ADDRESSES_MAX,
		.text = "Our addresses inside." },
	{ "key", KEY_SECRET, 0, .text = "Pre-shared key: becomes ipsec.key; of gre encap.key." },
	{ "local", KEY_ADDR, 0, .text = "Our end: becomes encap.local." },
	{ "local_id", KEY_STRING, 0, .text = "Becomes ipsec.local_id." },
	{ "remote_id", KEY_STRING, 0, .text = "Becomes ipsec.remote_id." },
	{ "peer", KEY_PER_FAMILY, 0, .otherwise = "the other host of address",
		.text = "BGP's neighbour: becomes bgp.v4.peer and bgp.v6.peer." },
	{ "id", KEY_STRING, 0, .text = "What the provider calls this tunnel; shown." },
	{ "state", KEY_STRING, 0, .text = "\"up\" or \"shut\", of this tunnel alone." },
	{ "underlay", KEY_STRING, 0, .text = "Link that carries this tunnel." },
	END,
};
