/* strongSwan: one charon in each underlay's namespace, rendered whole from the configuration. */
#ifndef LINTAS_SWAN_H
#define LINTAS_SWAN_H

#include <stdio.h>
#include "control.h"

/* ---- swan_render.c ---- */
/* swanctl.conf of all IKE links whose underlay is in this VRF; it holds secrets: into anonymous
 * memory only. *ret_n: connections. A link whose key cannot be had is left out, and logged. Pure
 * but for reading the keys. 0 or -errno. */
int swan_render(const struct config *config, const struct cfg_vrf *vrf, FILE *out, unsigned *ret_n);
/* Does charon make this link's keys? Not when it is shut, or has static SAs. */
bool swan_is_ike(const struct cfg_link *link);
/* The name of the file that charon's folder and sockets lie below: that of the keeper's socket. */
void swan_start(const char *keeper_socket);

/* ---- swan_sync.c ---- */
/* Bring every charon to control.running; asynchronous, coalesced, retried while there is none. */
void swan_sync(void);
void swan_stop(void);
/* swan_render of control.running into anonymous memory: its descriptor or -errno. */
int swan_rendered(const struct cfg_vrf *vrf, uint8_t ret_digest[32], unsigned *ret_n);

struct swan_status {
	unsigned vrfs, in_sync; /* with IKE links; of them brought there */
	uint64_t loads, failures;
	char last_error[200];
};
void swan_status(struct swan_status *ret_status);
bool swan_there(const char *vrf); /* is there a charon, with its connections? */
const char *swan_folder(const char *vrf, char *buf, size_t size); /* "<run>/charon/<vrf>" */

/* ---- swan_care.c: what is not up is begun again ---- */
void swan_care(const char *vrf, uint64_t *next_ns); /* looks, when it is time */
void swan_care_anew(void); /* the configuration changed: no pause is left */
void swan_care_stop(void);
struct swan_sa;
/* As seen at the last look, some seconds ago; NULL: charon has none of it. */
const struct swan_sa *swan_last(const struct link *link);

/* ---- swan_log.c: what charon says of each connection ---- */
enum swan_fault {
	SWAN_FINE,
	SWAN_SILENT,	  /* no answer to what we sent */
	SWAN_NO_PROPOSAL, /* IKE */
	SWAN_NO_PROPOSAL_ESP,
	SWAN_AUTH,	/* the far end refuses us */
	SWAN_AUTH_PEER, /* we refuse the far end: its key or identity */
	SWAN_IDENTITY,
	SWAN_TS,
	SWAN_INSTALL, /* the SA could not be installed here */
	SWAN_DEAD,    /* it was up and does not answer any more */
	SWAN_CLOSED,  /* the far end ended it */
	SWAN_FAULTS
};
struct swan_note {
	enum swan_fault fault;
	int64_t wall_s; /* when */
	unsigned times; /* in a row */
	char text[160]; /* charon's own words */
};
extern const char *const swan_fault_names[SWAN_FAULTS];	 /* "NO_PROPOSAL_CHOSEN" */
extern const char *const swan_fault_advice[SWAN_FAULTS]; /* whose turn it is, and what to do */
void swan_log_watch(const char *vrf);			 /* the news since the last call */
void swan_log_drop(const char *vrf);			 /* it has no charon any more */
void swan_log_forget(void);
/* Zeroed when nothing is known. */
struct swan_note swan_note(const struct link *link);
/* One line of charon's log: the fault it tells of, and of which connection; SWAN_FAULTS: of none.
 * ret_up: it says that IKE or the child came up. Pure. */
enum swan_fault swan_log_line(const char *line, char ret_name[CFG_NAME_MAX], bool *ret_up);

/* ---- swan_ask.c: swanctl --list-sas --raw ---- */
struct swan_sa { /* of one connection */
	char name[CFG_NAME_MAX];
	char state[24], child_state[24]; /* "ESTABLISHED", "INSTALLED"; "" = none */
	char remote[64], remote_id[80], local_id[80];
	char ike[120], esp[80]; /* what was agreed on, in words */
	int64_t since_s, rekey_s, child_since_s, child_rekey_s,
		child_life_s; /* ages and seconds to
			       * come; -1: unknown */
	uint32_t spi_in, spi_out, uniqueid;
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	bool initiator, nat_local, nat_remote, nat_any, udp;
	unsigned children;
};
/* All that the text tells of, in its order; *ret_sas is to be freed. Pure. 0 or -errno. */
int swan_parse(const char *text, struct swan_sa **ret_sas, unsigned *ret_n);
/* done(sas, n, error or NULL): once, from the event loop. 0 or -errno, then it is not called. */
int swan_ask(const char *vrf,
	void (*done)(const struct swan_sa *sas, unsigned n, const char *error, void *arg),
	void *arg);

#endif
