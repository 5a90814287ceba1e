/* What is known of a link's life beyond carrier and neighbour: BFD and probes. See health.c. */
#ifndef LINTAS_HEALTH_H
#define LINTAS_HEALTH_H

#include "control.h"

/* As the probes see a link: grey: it loses or delays more than its slo; bad: nothing comes back. */
enum health { HEALTH_GOOD, HEALTH_GREY, HEALTH_BAD, HEALTH_COUNT };
extern const char *const health_names[HEALTH_COUNT];

/* Told by bfd_server.c and probe.c; af is AF_INET or AF_INET6. A change moves legs before the call
 * returns (or in the next turns of the loop, when there are very many groups), tells FRR's
 * renderer, and is an event with the time it took. */
void health_bfd(struct link *link, uint8_t af, bool up);
void health_probe(struct link *link, uint8_t af, enum health health, const char *why);
/* The session or the probe is gone: it says nothing any more. */
void health_forget_bfd(struct link *link, uint8_t af);
void health_forget_probe(struct link *link, uint8_t af);
void health_forget(struct link *link); /* the link leaves; its id may be another's soon */

/* Asked by legs.c, for a leg of that family over the link. False: no packet should take it. */
bool health_alive(const struct link *link, uint8_t af);
/* Added to a leg's tier: a grey leg comes after all good ones, a bad one after the grey ones. A bad
 * leg is not dead: were every leg bad, the target of the probes is the likelier culprit. */
uint8_t health_tier(const struct link *link, uint8_t af);
enum health health_probed(const struct link *link, uint8_t af, const char **ret_why);
/* The worse of both families. */
enum health health_of(const struct link *link);

#endif
