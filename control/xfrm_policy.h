/* Policies as charon installs them: kept, counted, answered for; what is forwarded is decided by
 * routes. */
#ifndef LINTAS_XFRM_POLICY_H
#define LINTAS_XFRM_POLICY_H

#include "sas.h"

struct xfrm_policy_keep { /* a policy has been put: nobody keeps it for the next lintasd if NULL */
	int (*keep)(const struct sas_from *from, uint64_t id, const struct nlmsghdr *given);
	void (*forget)(const struct sas_from *from, uint64_t id);
};
void xfrm_policy_hook(const struct xfrm_policy_keep *keep);
/* update: UPDPOLICY, which makes it when there is none. id: 0 = a new one. */
int xfrm_policy_put(const struct sas_from *from, const struct xfrm_policy *policy,
	const struct nlmsghdr *given, bool update, uint64_t id);
int xfrm_policy_del(const struct sas_from *from, const struct xfrm_policy_id *id, uint32_t index);
/* NULL: none. *ret_use: when its link last saw a packet in its direction. */
const struct xfrm_policy *xfrm_policy_find(const struct sas_from *from,
	const struct xfrm_policy_id *id, uint32_t index, struct xfrm_use *ret_use);
unsigned xfrm_policy_flush(const struct sas_from *from);
void xfrm_policy_owner_gone(const struct sas_from *from);
void xfrm_policy_stop(void);

#endif
