/* lintas-keeper: the privileged companion, and lintasd's side of talking to it.
 *
 * It listens on a SOCK_SEQPACKET unix socket (mode 0600, one client at a time; a second client is
 * told the first one's pid) and answers a closed list of typed, fixed-size requests; descriptors
 * travel by SCM_RIGHTS. It parses nothing from outside. It holds a duplicate of every TAP
 * descriptor it gave out, so that carrier stays up while lintasd is dead; the next lintasd gets the
 * same descriptor back. Requests are answered in order except KEEPER_RUN, whose answer comes when
 * the tool has ended. */
#ifndef LINTAS_KEEPER_H
#define LINTAS_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"

#define KEEPER_SOCKET	  "/run/lintas/keeper.sock"
#define KEEPER_PROTOCOL	  3
#define KEEPER_CHARON	  "%s/charon/%s/vici" /* folder, namespace */
#define KEEPER_BFD_SOCKET "bfdd_dplane.sock"
/* Behind what a keeper says that does not understand us. */
#define KEEPER_OTHER_RELEASE "; both must be of one release: restart lintas-keeper and lintasd"

enum keeper_op {
	KEEPER_HELLO = 1, /* protocol version; answers with the keeper's pid */
	KEEPER_VRF,	  /* create or adopt namespace `vrf`, lo up, sysctls set; answers
			   * adopted yes/no */
	KEEPER_VRF_DEL,	  /* delete namespace `vrf`, if the keeper created it */
	KEEPER_TAP, /* open (or give back) TAP `name`, or TUN when the MAC is zero, in namespace
		       `vrf` with MAC and MTU; value =
		       1: it was there. With a descriptor passed along: hold that one (the keeper
		       restarted) */
	KEEPER_TAP_DEL,
	KEEPER_NETLINK, /* a NETLINK_ROUTE socket opened inside namespace `vrf`; rcvbuf forced to
			   `value` */
	KEEPER_RUN,  /* run one of the tools below on the file passed along; answers exit status +
			output fd */
	KEEPER_LIST, /* the `value`-th TAP held: text = its VRF and name, CFG_NAME_MAX bytes each;
			value = how many. So that a new lintasd can drop what its configuration no
			longer has */
	KEEPER_OPEN, /* a socket of kind `tool`, opened inside namespace `vrf`, bound to its link
			`name` if that is not empty; value, mtu and mac are zero */
	KEEPER_BFD,  /* a connection to bfdd's data-plane socket, KEEPER_BFD_SOCKET in FRR's folder:
			one that bfdd has sent sessions on; else a new one, or -EAGAIN if value = 1
		      */
};

enum keeper_tool {
	KEEPER_FRR_APPLY, /* vtysh -f on the passed file, for the one daemon that `value` names */
	KEEPER_FRR_SHOW,  /* vtysh -c of one of the commands below, by number in `value` */
	KEEPER_SWAN, /* swanctl with the charon of namespace `vrf`: what, by number in `value` */
};

enum keeper_swan {	   /* charon's socket: KEEPER_CHARON below the folder of the keeper's own */
	KEEPER_SWAN_CREDS, /* --load-creds of the file passed along; what it lacks is forgotten */
	KEEPER_SWAN_CONNS, /* --load-conns of it; those it lacks are unloaded */
	KEEPER_SWAN_SAS,   /* --list-sas --raw */
	KEEPER_SWAN_DOWN,  /* --terminate of connection `name` */
	KEEPER_SWAN_UP,	   /* --initiate of its child; not waited for */
	KEEPER_SWAN_COUNT,
};

enum keeper_show {	   /* the first three also name the daemon for KEEPER_FRR_APPLY */
	KEEPER_SHOW_ZEBRA, /* show running-config no-header, of zebra alone */
	KEEPER_SHOW_BFDD,
	KEEPER_SHOW_BGPD, /* holds passwords */
	KEEPER_SHOW_BGP,  /* show bgp vrf all summary json */
	KEEPER_SHOW_BFD,  /* show bfd peers json: of every VRF */
	KEEPER_SHOW_PEER, /* show bgp vrf `vrf` neighbors `peer` json */
	/* The rest are of the family of the peer's address. */
	KEEPER_SHOW_RECEIVED,	/* what `peer` said, before any filter */
	KEEPER_SHOW_ADVERTISED, /* what `peer` was told */
	KEEPER_SHOW_TABLE,	/* all of the VRF's BGP table */
	KEEPER_SHOW_LISTED, /* of it what is in the prefix list by which link `name` announces */
	KEEPER_SHOW_COUNT,
};

enum keeper_socket {	     /* non-blocking, close-on-exec */
	KEEPER_SOCKET_ICMP4, /* raw: IP headers are received with it; set an ICMP_FILTER */
	KEEPER_SOCKET_ICMP6,
	KEEPER_SOCKET_TCP4,
	KEEPER_SOCKET_TCP6,
	KEEPER_SOCKET_UDP4,
	KEEPER_SOCKET_UDP6,
	KEEPER_SOCKET_VRRP4, /* raw, protocol 112 */
	KEEPER_SOCKET_VRRP6,
	KEEPER_SOCKET_PACKET_ARP,   /* whole frames of one link, which must be given: receives ARP,
				       sends what it is told */
	KEEPER_SOCKET_TCP_COUNTERS, /* no socket: /proc/net/netstat of the namespace, to be read */
	KEEPER_SOCKET_XFRM,	    /* NETLINK_XFRM, of the namespace: no link */
	KEEPER_SOCKET_PACKET_VRRP,  /* as PACKET_ARP, of IP protocol 112 */
	KEEPER_SOCKET_COUNT,
};

struct keeper_request {
	uint32_t id;
	uint16_t op;   /* enum keeper_op */
	uint16_t tool; /* KEEPER_RUN: enum keeper_tool; KEEPER_OPEN: enum keeper_socket */
	char vrf[CFG_NAME_MAX];
	char name[CFG_NAME_MAX];
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t value;
	struct ip_addr peer; /* KEEPER_SHOW_PEER and what follows it; bytes behind an IPv4 address
				are zero */
};

struct keeper_answer {
	uint32_t id;
	int32_t error; /* 0 or -errno; -EBUSY on HELLO: value = pid of the lintasd that
			* is connected */
	uint32_t value;
	char text[200]; /* what failed, for the log */
};

/* ---- keeper_client.c: the control thread's side ---- */
/* Connect and say hello; control.base must exist. When the keeper goes away later, the client
 * reconnects and hands the new one every TAP to hold. -EBUSY: *ret_pid holds the other lintasd's
 * pid. */
int keeper_open(const char *socket_path, int *ret_pid);
/* Synchronous: at start and on reload, when something is made or removed. A keeper answers these
 * within milliseconds; one that does not is waited for once, half a second at most, and after that
 * each is -ETIMEDOUT at once until it has answered something. */
int keeper_vrf(const char *vrf, bool *ret_adopted);
int keeper_vrf_del(const char *vrf);
/* *ret_held (may be NULL): the keeper had it already, with the carrier it had. */
int keeper_tap(const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu, int *ret_fd,
	bool *ret_held);
int keeper_tap_del(const char *vrf, const char *name);
/* The i-th TAP the keeper holds: -ENOENT past the last. */
int keeper_list(unsigned i, char ret_vrf[CFG_NAME_MAX], char ret_name[CFG_NAME_MAX]);
int keeper_netlink(const char *vrf, uint32_t rcvbuf, int *ret_fd);
/* link: a name, or NULL for any. The descriptor is the caller's to close. */
int keeper_socket(const char *vrf, enum keeper_socket kind, const char *link, int *ret_fd);
/* What the keeper said about the last failure of the calls above, or, inside a done() below, about
 * its; "" when it said nothing. */
const char *keeper_error(void);
/* Asynchronous: done(status, output_fd, arg) from the event loop, once for each call that returned
 * 0; output_fd is closed after it returns. status: the tool's exit status, or -errno (output_fd may
 * be -1). */
int keeper_run(enum keeper_tool tool, uint32_t value, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg);
/* KEEPER_FRR_SHOW of one session: KEEPER_SHOW_PEER and what follows it. link: NULL, but for
 * KEEPER_SHOW_LISTED. */
int keeper_show_peer(enum keeper_show what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(int status, int output_fd, void *arg), void *arg);
/* KEEPER_SWAN; name: of a connection, or NULL. */
int keeper_swan(enum keeper_swan what, const char *vrf, const char *name, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg);
/* Asynchronous as well; done(0, fd, arg) owns fd, done(-errno, -1, arg) has none. A connection that
 * bfdd has sent something on, or (fresh) another. -EAGAIN: none has news; -ENOENT, -ECONNREFUSED:
 * bfdd is not there, or has no such socket. */
int keeper_bfd(bool fresh, void (*done)(int status, int fd, void *arg), void *arg);
int keeper_socket_ask(const char *vrf, enum keeper_socket kind, const char *link,
	void (*done)(int status, int fd, void *arg), void *arg);
void keeper_forget(const void *arg); /* nothing is delivered to it any more */
void keeper_close(void);

#endif
