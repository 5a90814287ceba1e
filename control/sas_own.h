/* What sas*.c share. Nobody else includes this. */
#ifndef LINTAS_SAS_OWN_H
#define LINTAS_SAS_OWN_H

#include "mirror.h"
#include "sas.h"

struct sas_sa *sas_by_index(unsigned index);
/* It goes, and whoever gave it is told (tell) that it need not be kept. why: for the log and for
 * its link. */
void sas_remove(struct sas_sa *sa, const char *why, bool tell);
const struct sas_hooks *sas_hooks_of(const struct sas_sa *sa);

/* ---- sas_link.c ---- */
/* Whose SA this is, and which way it goes. 0 or -errno with *ret_why. */
int sas_link_of(const struct sas_from *from, const struct xfrm_sa *sa, struct link **ret_link,
	bool *ret_inbound, const char **ret_why);
int sas_link_room(const struct link *link, const char **ret_why);
void sas_link_add(struct sas_sa *sa); /* outbound: the link sends by it from now on */
void sas_link_take(struct sas_sa *sa, const char *why);
void sas_link_stop(void);

/* ---- sas_life.c ---- */
/* Up to which number an outbound SA may go before its owner is told again. */
uint64_t sas_lease(const struct dp_sa *conf, uint64_t seq);
/* It begins anew at the number it was kept with: tell first that it may be beyond.
 * Not 0: nobody was told, and it must not be used. */
int sas_renew(struct sas_sa *sa);
int sas_life_start(void);
void sas_life_stop(void);

#endif
