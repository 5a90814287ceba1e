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

#endif
