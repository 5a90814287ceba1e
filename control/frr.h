/* FRR, rendered whole from the configuration and brought there by difference. */
#ifndef LINTAS_FRR_H
#define LINTAS_FRR_H

#include <stdio.h>
#include <jansson.h>
#include "config/config.h"
#include "frr_policy.h"

/* Write the complete frr.conf that config asks for; orders may be NULL. keys_dir is where MD5
 * secrets are read from: the output must go to a 0600 file or a memfd only. 0 or -errno. Pure but
 * for reading the keys; a session whose key cannot be had is rendered shut down, and logged. */
int frr_render(const struct config *config, const struct frr_orders *orders, FILE *out);
/* A secret of defaults.keys, terminated: a 0600 file of one line, 1 to CFG_KEY_MAX printable bytes.
 * size > CFG_KEY_MAX + 1. 0 or -errno; wipe it after use. */
int frr_key_read(const struct config *config, const char *name, char *ret_key, size_t size);
enum frr_daemon { FRR_ZEBRA, FRR_BFDD, FRR_BGPD, FRR_DAEMONS };

/* The commands that lead one daemon from what it prints (`show running-config no-header`) to what
 * frr_render wrote, as far as that is this daemon's, for `vtysh -d DAEMON -f`; they may hold
 * passwords. *ret_n: how many lines differ; 0 = nothing was written. ret_first: the first of them,
 * for people. Pure. 0 or -errno. */
int frr_diff(enum frr_daemon daemon, const char *running, const char *wanted, FILE *out,
	unsigned *ret_n, char *ret_first, size_t first_size);
/* Start bringing FRR to control.running; asynchronous, coalesced, retried while FRR is
 * not there. */
void frr_sync(void);
void frr_nudge(void); /* health has changed: look whether what is announced must */
void frr_stop(void);  /* at the end; FRR stays as it is */

struct frr_status {
	bool in_sync;
	uint64_t syncs, failures, lines_changed; /* since start */
	char last_error[200];
};
void frr_status(struct frr_status *ret_status);
/* `show bgp vrf all summary json` and the like, asynchronous: done(json or NULL, arg). */
int frr_show_bgp(void (*done)(const json_t *json, void *arg), void *arg);
int frr_show_bfd(void (*done)(const json_t *json, void *arg), void *arg);
/* `show bgp vrf VRF neighbors PEER json`: one session in full. */
int frr_show_peer(const char *vrf, const struct ip_addr *peer,
	void (*done)(const json_t *json, void *arg), void *arg);

enum frr_routes { FRR_RECEIVED, FRR_ADVERTISED, FRR_TABLE, FRR_LISTED };
/* Routes of the family of peer's address: what it said before any filter, what it was told, the
 * VRF's whole table, or of that what is in link's announce list. */
int frr_show_routes(enum frr_routes what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(const json_t *json, void *arg), void *arg);
/* An answer that was kept with json_incref(): freed in a helper thread if it was the last. */
void frr_answer_free(json_t *json);

/* ---- frr_guard.c: limits of prefixes ---- */
/* What FRR says of a session now, for each of them at every look. */
void frr_guard_look(const struct cfg_link *link, bool v6, json_int_t received, json_int_t sent);
void frr_guard_done(void);			       /* of this look */
unsigned frr_guard_waiting(const char *link, bool v6); /* prefixes that have no room */
void frr_guard_stop(void);

#endif
