/* ICMP errors: icmp.c. */
#ifndef LINTAS_ICMP_H
#define LINTAS_ICMP_H

#include "pipeline.h"

enum icmp_what {
	ICMP_NO_ROUTE,
	ICMP_NO_HOST,
	ICMP_PROHIBITED,
	ICMP_TIME,
	ICMP_BIG,	/* arg: next-hop MTU */
	ICMP_PARAMETER, /* arg: offset of what is wrong */
	ICMP_CHAIN,	/* IPv6: first fragment without the whole header chain */
	ICMP_WHATS
};

/* Answer k with an error, unless rules or budgets forbid; k->m is consumed and counted once: under
 * reason when the error was sent, else icmp_suppressed, icmp_limited or no_buffer. */
void icmp_error(struct worker *w, const struct packet *k, enum icmp_what what, uint32_t arg,
	enum dp_drop reason);

#endif
