/* Events to control: event.c. */
#ifndef LINTAS_EVENT_H
#define LINTAS_EVENT_H

#include "dataplane.h"

int event_init(void);  /* -ENOMEM, -EMFILE */
void event_exit(void); /* no producer left; fine when init failed or was not called */
/* Any thread but a worker (event_bfd is for them). False: the ring was full, the event is lost and
 * counted. */
bool event_send(const struct dp_event *event);
/* A worker: its state changed; never lost. */
void event_bfd(unsigned session);
void event_sa(unsigned sa);
uint64_t event_lost(void);

#endif
