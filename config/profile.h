/* A provider's rules, as a profile file says them. See profile.c.
 *
 * What of this a link may set itself is filled into struct cfg_link by resolve_profile.c and is
 * asked for there; what stands only here is what the provider demands or does: the linter's rules,
 * the sheet for the provider, and what becomes of a session beyond its limits. A number or list
 * that a profile does not give is zero or empty: the provider says nothing about it. */
#ifndef LINTAS_CONFIG_PROFILE_H
#define LINTAS_CONFIG_PROFILE_H

#include "config.h"

enum cfg_kind { CFG_KIND_INTERCONNECT, CFG_KIND_TUNNEL, CFG_KIND_PARTNER, CFG_KIND_INTERNET };
enum cfg_want { CFG_WANT_OPTIONAL, CFG_WANT_REQUIRED, CFG_WANT_NONE };

struct cfg_numbers {
	uint32_t *items;
	unsigned n;
};

struct cfg_asn_range {
	uint32_t first, last;
};

struct cfg_asns {
	struct cfg_asn_range *items;
	unsigned n;
};

struct cfg_ipsec {				       /* what the provider's tunnels take */
	struct cfg_words ike, esp, integrity, dh, pfs; /* proposals by name, preferred first */
	uint32_t ike_lifetime_s, esp_lifetime_s, rekey_s, dpd_s;
	uint32_t replay;			 /* packets */
	uint64_t esp_lifetime_kbytes;		 /* 0 = by time only */
	uint32_t lifetime_min_s;		 /* of both */
	bool lifetime_fixed;			 /* nothing else is taken */
	const char *initiator, *psk, *fragments; /* who begins, what a secret may look like, DF */
	const char *psk_chars, *psk_first_not;	 /* "A-Z a-z 0-9 . _": sets of characters */
	uint16_t psk_min, psk_max;
	struct cfg_words mss; /* "CIPHER MTU MSS" */
};

struct cfg_profile {
	const char *name;      /* "aws-dx-transit" */
	struct cfg_source src; /* profile file, or lintas.conf */
	const char *version;   /* "2026.11" */
	bool custom;	       /* from lintas.conf's `custom` */
	const char *base_name;
	const struct cfg_profile *base; /* what it does not say itself is from there */
	struct cfg_given_list given;	/* its own keys */
	uint8_t digest[32];		/* of all values: equal, whatever the version is called */
	const char *provider, *title;	/* "aws"; for people */
	const char *where_from, *date;	/* source and date of its numbers */
	struct cfg_words conduct;	/* what else to know, sentences for people */
	enum cfg_kind kind;
	/* layer 2 */
	struct cfg_words encaps; /* "untagged", "vlan", "qinq", or kinds of tunnels */
	uint16_t vlan_min, vlan_max;
	uint16_t stag_tpid;
	enum cfg_want lacp;
	uint8_t min_links;
	/* layer 3 */
	uint16_t mtu, mtu_max; /* default; the largest it carries */
	struct cfg_numbers mtus;
	bool mtu_same; /* links that carry the same prefix need the same MTU */
	bool no_ipv6;
	struct cfg_prefix_list inside, reserved; /* link addresses are from here, but not there */
	struct cfg_numbers lengths[2];		 /* of the link's network, per family */
	bool ours_first;			 /* we have the first host of the network */
	/* BGP */
	struct cfg_asns asn_theirs, asn_reserved;
	uint16_t keepalive_s, hold_s, keepalive_min_s, hold_min_s;
	bool timers_fixed, hold_thrice;
	uint8_t multihop;
	bool ttl_one; /* the neighbour sends with TTL 1: neither multihop nor GTSM */
	enum cfg_want md5;
	enum cfg_restart graceful_restart; /* of sessions without BFD */
	uint16_t restart_s;
	bool far_passive;		       /* the neighbour does not connect, we must */
	uint32_t max_in[2], max_out[2];	       /* prefixes, IPv4 and IPv6; 0 = none known */
	enum cfg_beyond in_beyond, out_beyond; /* what the provider does past them */
	struct cfg_lever levers[CFG_INBOUND_COUNT];
	uint32_t med_max;
	struct cfg_words preferences; /* communities of which a prefix may carry one */
	bool rejects_own;	      /* refuses prefixes equal to its own */
	/* BFD */
	bool bfd;		  /* false: the provider has none */
	bool bfd_on, bfd_passive; /* on unless the link says otherwise; our role */
	bool bfd_far_may_wait;	  /* the far side may be passive: we must not be */
	uint16_t bfd_interval_ms;
	uint8_t bfd_multiplier;
	uint16_t bfd_min_ms, bfd_max_ms; /* of the interval */
	uint8_t bfd_min_multiplier, bfd_max_multiplier;
	uint32_t detect_ms, detect_slow_ms; /* a dead peer is known within; without BFD */
	/* several links */
	uint8_t together;  /* so many links to one cloud, or the provider promises nothing */
	bool equal;	   /* which must look alike in preference and AS path */
	uint16_t ecmp_max; /* links the provider shares traffic over; 0 = not known */
	/* tunnels */
	uint64_t tunnel_bps, tunnel_pps;
	struct cfg_ipsec ipsec;
};

/* The shipped and own profiles of a configuration, by name; NULL when there is none. */
const struct cfg_profile *config_profile(const struct config *config, const char *name);
/* Where this profile or one that it is based on says the key; NULL: none of them does. The profile
 * that says it goes to *ret_profile when that is not NULL. */
const struct cfg_source *profile_said(
	const struct cfg_profile *profile, const char *key, const struct cfg_profile **ret_profile);
bool profile_has_asn(const struct cfg_asns *asns, uint32_t asn);

/* Versions that are built in, oldest first; NULL ends them. */
const char *const *profile_versions(void);

#endif
