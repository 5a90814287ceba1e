/* Between lintasd and the library in charon's process (tools/strongswan/xfrm_shim.c): a
 * SOCK_SEQPACKET unix socket, one connection for each netlink socket of charon's, on which the
 * messages are NETLINK_XFRM's; and one more, the vault. On that lintasd hands the library what has
 * to outlive lintasd, and gets it back from it when it starts anew. All messages begin with a
 * nlmsghdr; those that are not netlink's have these types, which no netlink family uses. */
#ifndef LINTAS_XFRM_WIRE_H
#define LINTAS_XFRM_WIRE_H

#include <linux/netlink.h>
#include <stdint.h>

#define XFRM_WIRE_ENV	  "LINTAS_XFRM" /* path of lintasd's socket, for the library */
#define XFRM_WIRE_VERSION 1
#define XFRM_WIRE_MAX	  8192 /* bytes of a message */

enum xfrm_wire {
	XFRM_WIRE_GROUPS = 0x7f0, /* first on a connection of charon's: value = groups */
	XFRM_WIRE_VAULT,	  /* first on the vault's: value = XFRM_WIRE_VERSION */
	XFRM_WIRE_KEEP,		  /* an entry, bytes behind it; in both directions */
	XFRM_WIRE_SEQ,		  /* its number changed */
	XFRM_WIRE_DROP,
	XFRM_WIRE_DONE, /* the library has said all it keeps; lintasd's answer: so be it */
};

struct xfrm_wire_head {
	struct nlmsghdr h;
	uint64_t id; /* of an entry, or value */
	uint64_t seq;
	uint64_t added_ns; /* CLOCK_MONOTONIC */
};

#endif
