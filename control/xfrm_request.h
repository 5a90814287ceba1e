/* One request of charon's, answered as a kernel would. */
#ifndef LINTAS_XFRM_REQUEST_H
#define LINTAS_XFRM_REQUEST_H

#include "sas.h"

/* h lies whole in memory. answer is called once for each message of the answer, while the call
 * lasts; a request that wants none (no NLM_F_ACK, no error) has none. */
void xfrm_request(const struct sas_from *from, const struct nlmsghdr *h,
	void (*answer)(const struct xfrm_message *m, void *arg), void *arg);

struct xfrm_request_stats {
	uint64_t requests, refused, malformed;
};
extern struct xfrm_request_stats xfrm_request_stats;

#endif
