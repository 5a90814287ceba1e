/* The CLI's socket: JSON requests and answers, one per line, over a unix stream socket in a 0750
 * directory.
 *
 *   -> {"cmd": "route get", "args": {"addr": "10.1.2.3", "vrf": "prod"}}
 *   <- {"ok": true, "data": …}                      one line for a small answer
 *   <- {"ok": true, "more": true, "data": [ … ]}    a part of a long one; the last lacks "more"
 *   <- {"ok": false, "error": "what is wrong, what to do"}
 *
 * Readers and writers are told apart by SO_PEERCRED. A client that stalls is not waited for: a long
 * answer is produced only as fast as it is read, in steps of at most 2 ms. */
#ifndef LINTAS_API_H
#define LINTAS_API_H

#include <jansson.h>
#include "control.h"

#define API_SOCKET	"/run/lintas/lintas.sock"
#define API_REQUEST_MAX 65536
#define API_CLIENTS_MAX 64

int api_open(const char *socket_path, const char *readers_group, const char *writers_group);
void api_close(void);

struct api_request; /* one being answered */

struct api_command {
	const char *name; /* "route get": the CLI's words */
	const char *args; /* "addr vrf [from]", for errors and help */
	const char *help;
	bool write; /* writers only */
	/* Either answers at once with api_reply/api_fail, or starts a long answer with api_stream,
	 * or keeps the request and answers later from the event loop. */
	void (*handle)(struct api_request *request, const json_t *args);
};
extern const struct api_command api_commands[]; /* views.c; ends with a NULL name */

void api_reply(struct api_request *request, json_t *data); /* takes the reference */
void api_fail(struct api_request *request, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* step(state) returns a part (a JSON array) or NULL at the end; called when the client can take
 * more. done(state) always follows, also when the client has gone. */
void api_stream(struct api_request *request, json_t *(*step)(void *state),
	void (*done)(void *state), void *state);
/* More that step may return: an empty array is not sent, step is called again later; JSON null
 * pauses the stream until api_wake(); a JSON string ends it as an error. The request is valid until
 * done() has run. */
void api_wake(struct api_request *request);
const struct api_command *api_request_command(const struct api_request *request);

/* Other commands and shorter times than the daemon's, for tests; before api_open. NULL: the
 * daemon's. */
struct api_options {
	const struct api_command *commands;
	unsigned idle_ms;  /* without a request */
	unsigned stall_ms; /* with an answer waiting and none of it read */
};
void api_set_options(const struct api_options *options);

#endif
