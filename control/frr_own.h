/* What the files frr_*.c share that run in the daemon: text from tools, conduct and guards. */
#ifndef LINTAS_FRR_OWN_H
#define LINTAS_FRR_OWN_H

#include <jansson.h>
#include "frr_policy.h"

/* ---- frr_ask.c ---- */
struct frr_text { /* wiped when freed: it may hold a password */
	char *bytes;
	size_t len;
};
int frr_text_read(int fd, struct frr_text *ret_text);
void frr_text_wipe(struct frr_text *text);

/* ---- frr_conduct.c ---- */
/* By index of config->links; stays valid until the next call. */
const uint8_t *frr_conduct_now(const struct config *config);
/* Would it differ now from what frr_conduct_now() said last? */
bool frr_conduct_changed(const struct config *config);

void frr_orders_now(
	struct frr_orders *orders); /* as rendered last; valid until the caller returns */

/* ---- frr_sync.c ---- */
bool frr_settled(void); /* what was asked for is what FRR runs */

/* ---- frr_guard.c ---- */
void frr_guard_orders(struct frr_orders *orders);
/* Lists of a former lintasd, from frr_guard_found(); those that are taken over lose their items.
 * True: what is rendered has changed. */
bool frr_guard_adopt(struct frr_guard *found, unsigned n);

/* ---- frr_guard_list.c: pure ---- */
struct frr_prefixes {
	struct ip_prefix *items;
	unsigned n;
};

struct frr_decision {
	struct frr_prefixes candidates; /* what may be told, in any order */
	struct frr_prefixes advertised; /* what FRR told, in any order */
	struct frr_prefixes old;	/* the list, sorted */
	bool listed;			/* there is one */
	unsigned max;
	/* the answer */
	struct frr_prefixes next; /* sorted */
	bool same;		  /* as the list is */
	int rc;
};

int frr_prefixes_add(struct frr_prefixes *set, const struct ip_prefix *prefix);
void frr_guard_decide(struct frr_decision *decision);
void frr_decision_free(struct frr_decision *decision); /* NULL is fine */
/* The lists in what bgpd prints as its configuration. Free them in any case. */
int frr_guard_found(const char *running, struct frr_guard **ret_found, unsigned *ret_n);
void frr_guard_found_free(struct frr_guard *found, unsigned n);

#endif
