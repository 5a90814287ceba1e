/* The keeper's tool for IKE: swanctl, asking the charon of one namespace.
 *
 * Arguments are constants but for the socket, the namespace and a connection's name, which were
 * checked. charon's socket belongs to root, so swanctl runs as root, but without a single
 * capability and with no way to get one; it reads the file it is given and connects to that
 * socket, nothing else is asked of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include "keeper_own.h"

#define SWANCTL "/usr/sbin/swanctl"
#define UP_S	"1" /* charon goes on trying */

int keeper_swan_argv(const struct keeper_request *request, const char *folder, char *argv[12],
	struct keeper_answer *answer)
{
	static char uri[300], name[CFG_NAME_MAX];
	unsigned n = 0;

	if (snprintf(uri, sizeof(uri), "unix://" KEEPER_CHARON, folder, request->vrf) >=
		(int)sizeof(uri)) {
		keeper_say(answer, -ENAMETOOLONG, "the folder's name is too long");
		return -ENAMETOOLONG;
	}
	snprintf(name, sizeof(name), "%s", request->name);
	argv[n++] = (char *)SWANCTL;
	switch (request->value) {
	case KEEPER_SWAN_CREDS:
		argv[n++] = (char *)"--load-creds";
		argv[n++] = (char *)"--noprompt";
		break;
	case KEEPER_SWAN_CONNS:
		argv[n++] = (char *)"--load-conns";
		break;
	case KEEPER_SWAN_SAS:
		argv[n++] = (char *)"--list-sas";
		argv[n++] = (char *)"--raw";
		break;
	case KEEPER_SWAN_DOWN:
		argv[n++] = (char *)"--terminate";
		argv[n++] = (char *)"--ike";
		argv[n++] = name;
		argv[n++] = (char *)"--timeout";
		argv[n++] = (char *)"3";
		break;
	case KEEPER_SWAN_UP:
		argv[n++] = (char *)"--initiate";
		argv[n++] = (char *)"--child";
		argv[n++] = name;
		argv[n++] = (char *)"--timeout";
		argv[n++] = (char *)UP_S;
		break;
	}
	if (request->value <= KEEPER_SWAN_CONNS) {
		argv[n++] = (char *)"--file";
		argv[n++] = (char *)"/proc/self/fd/0";
	}
	argv[n++] = (char *)"--uri";
	argv[n++] = uri;
	argv[n] = NULL;
	return 0;
}

/* In the child. root's exec would give back what is in the bounding set: that is emptied. */
int keeper_swan_confine(void)
{
	cap_t none = cap_init();

	for (cap_value_t cap = 0; cap < cap_max_bits(); cap++)
		cap_drop_bound(cap); /* fails where it is not there */
	if (!none || cap_set_proc(none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -EPERM;
	cap_free(none);
	return 0;
}
