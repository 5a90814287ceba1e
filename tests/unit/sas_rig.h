/* A fast path played, a link, its underlay VRF and charon's requests, for tests of SAs. */
#ifndef LINTAS_SAS_RIG_H
#define LINTAS_SAS_RIG_H

#include "config/config.h"
#include "control/sas.h"
#include "control/xfrm_request.h"
#include "xfrm_stream.h"

struct sas_rig {
	struct {
		bool on;
		int error; /* what the next set answers */
		unsigned sets, dels;
		int used; /* last dp_sa_use */
		struct dp_sa_info info[DP_SAS_MAX];
		bool there[DP_SAS_MAX];
	} fake;
	struct cfg_link cfg_vpn;
	struct vrf *vrf;
	struct link *vpn;
	struct sas_from charon;
	struct event_base *base_before;
	unsigned kept, forgotten, seqs, soft, hard; /* hooks called */
	uint64_t kept_seq;
	int keep_error; /* what the next keep answers */
	struct xfrm_message answer_is;
	unsigned answers;
};
extern struct sas_rig sas_rig;

void sas_rig_begin(void);
void sas_rig_end(void);
/* A request of charon's: its error. */
int sas_rig_ask(const struct nlmsghdr *h);
/* The recording, as if it were of this link; SPIs of ALLOCSPI are those it was given then. */
void sas_rig_load(struct stream *s);
/* The i-th pair of SAs: the inbound one as NEWSA, for its number was drawn by somebody else. */
void sas_rig_pair(struct stream *s, unsigned i);
struct sas_sa *sas_rig_out(void); /* any outbound one */

#endif
