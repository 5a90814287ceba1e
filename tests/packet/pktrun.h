/* What pktrun's files share: the world outside the router, and how JSON and C speak of the same
 * things. */
#ifndef LINTAS_PKTRUN_H
#define LINTAS_PKTRUN_H

#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include "dataplane/dataplane.h"
#include "dataplane/dp.h"
#include "dataplane/hold.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"
#include "dataplane/worker.h"
#include "wires.h"

#define FRAME_MAX  9800
#define TIMEOUT_MS 5000

struct tap_pair {
	int router, kernel; /* the two ends of the pair that stands for the TAP */
	bool exists, known; /* now; ever */
};

extern struct tap_pair taps[DP_LINKS_MAX];
extern unsigned n_ports, n_queues, n_tx_queues, n_workers;
extern struct rte_mempool *frames;

/* pktrun_json.c: 0 or -EINVAL; what went wrong, for the answer's "error", is left in `why`. */
extern char why[512];
int fail(int ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
json_t *hex_json(const uint8_t *data, size_t n);
int hex_bytes(const json_t *j, uint8_t *ret_data, size_t room); /* how many */
int addr_get(const json_t *in, const char *key, struct ip_addr *ret_addr);
int prefix_get(const json_t *in, struct ip_prefix *ret_prefix);
int mac_get(const json_t *in, uint8_t *ret_mac);
json_int_t int_get(const json_t *in, const char *key, json_int_t otherwise);
bool bool_get(const json_t *in, const char *key, bool otherwise);
json_t *mac_json(const uint8_t *m);
json_t *addr_json(const struct ip_addr *addr);

/* pktrun_out.c: what comes out. */
uint64_t now_ms(void);
uint64_t deadline_of(const json_t *in);
unsigned collect(void); /* takes what is there; how much it was */
unsigned collect_port(unsigned p);
unsigned collect_tap(unsigned link);
extern void (*out_take)(unsigned p, struct rte_mbuf *m); /* looks at frames instead, if set */
void out_reset(void);
void out_count(void);	      /* from here to the next answer only count */
bool out_carrier(unsigned p); /* as the last event said */
void out_carrier_is(unsigned p, bool up);
int settle_and_report(const json_t *in, json_t *answer);

/* pktrun_tables.c: commands about links, routes, adjacencies and groups. */
struct command {
	const char *name; /* NULL ends the list */
	int (*run)(json_t *in, json_t *answer);
};
extern const struct command table_commands[];
extern const struct command sa_commands[]; /* pktrun_sa.c */

/* pktrun.c: what a line on stdin runs; pktrun_stream.c: two of the commands. */
int command_run(json_t *in, json_t *answer);
int cmd_stream(json_t *in, json_t *answer);
int cmd_push(json_t *in, json_t *answer);

#endif
