/* What keeper_client.c and keeper_calls.c share; nobody else includes it. */
#ifndef LINTAS_KEEPER_CLIENT_H
#define LINTAS_KEEPER_CLIENT_H

#include "control.h"
#include "keeper.h"

/* Sends and waits for the answer, as long as keeper.h says; its error or ours. pass_fd -1: none. */
int keeper_call(
	struct keeper_request *request, int pass_fd, struct keeper_answer *ret_answer, int *ret_fd);
/* Sends and returns; done() is called once if this returned 0. gives: the descriptor is done()'s to
 * close. -EAGAIN: too much is under way. */
int keeper_ask(struct keeper_request *request, int pass_fd, bool gives,
	void (*done)(int status, int fd, void *arg), void *arg);
struct keeper_request keeper_tap_request(
	const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu);

#endif
