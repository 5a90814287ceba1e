/* What charon 5.9.8 said to us while an IPsec tunnel came up, was rekeyed and ended: recordings in
 * tests/unit/xfrm, a line a message: its type and its bytes. The keys in them never protected
 * anything. */
#ifndef LINTAS_XFRM_STREAM_H
#define LINTAS_XFRM_STREAM_H

#include <stdint.h>
#include "control/xfrm.h"

#define STREAM_MAX 64

struct stream {
	unsigned n;
	size_t len[STREAM_MAX];
	struct nlmsghdr *h[STREAM_MAX]; /* each in memory of exactly its size */
};

/* name: gcm, cbc4, cbc6. Fails the test when it is not there. */
void stream_load(const char *name, struct stream *ret_stream);
void stream_free(struct stream *stream);
/* The i-th message of a type, from 0; NULL: there are fewer. */
struct nlmsghdr *stream_find(const struct stream *stream, uint16_t type, unsigned i);

#endif
