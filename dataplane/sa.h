/* Security associations as workers see them: sa.c. */
#ifndef LINTAS_SA_H
#define LINTAS_SA_H

#include <stdatomic.h>
#include "crypto.h"
#include "worker.h"

/* What changes with every packet. The owner writes it, control reads it. */
struct sa_run {
	uint64_t seq; /* last sent; top of the window */
	uint64_t packets, bytes;
	uint64_t used; /* TSC; 0: never */
	uint64_t bad_icv, replayed, bad_pad, wrapped;
	uint8_t told; /* enum dp_sa_state: what control knows */
	uint64_t
		window[]; /* bit = sequence number modulo its size, which is more than the window */
};

struct sa { /* [published] */
	/* what a packet asks */
	struct sa_run *run;
	struct crypto crypto;
	uint32_t spi; /* as on the wire */
	uint8_t salt[4];
	uint16_t link, index;
	uint8_t worker; /* its owner */
	bool esn;
	uint16_t udp_local, udp_remote; /* host order; 0: not in UDP */
	uint16_t replay;
	uint16_t window_mask; /* of the words in run->window */
	uint64_t seq_last;    /* that may be used */
	uint64_t hard_packets, hard_bytes, soft_packets, soft_bytes; /* UINT64_MAX: no limit */

	uint16_t vrf; /* of the underlay, and our end there: inbound */
	struct ip_addr local;
	const struct sa *_Atomic next; /* inbound: in its place of the index */
	struct dp_sa conf;
};

/* Any worker, between two quiescent states. */
const struct sa *sa_outbound(uint16_t link); /* NULL: none in use */
const struct sa *sa_inbound(uint16_t vrf, uint8_t af, const uint8_t *local, uint32_t spi_be);

static inline bool sa_ended(const struct sa *sa)
{
	return sa->run->packets >= sa->hard_packets || sa->run->bytes >= sa->hard_bytes;
}

/* The owner: something has passed; tells control when a limit was crossed. */
void sa_used(struct worker *w, const struct sa *sa);

/* Sequence numbers coming in (RFC 4303 3.4.3, appendix A). */
/* The whole number to the low half on the wire; 0: it can be none. */
uint64_t sa_seq(const struct sa *sa, uint32_t low);
bool sa_fresh(const struct sa *sa, uint64_t seq); /* not seen, and not too old */
bool sa_seen(const struct sa *sa, uint64_t seq);  /* the same, and from now on it has been seen */

void sa_start(unsigned workers);
void sa_stop(void); /* workers have stopped */

#endif
