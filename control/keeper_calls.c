/* lintasd's requests to lintas-keeper, one function each: what a request holds and what is taken
 * from its answer. How they travel, and what waits and for how long, is keeper_client.c's. */
#include <errno.h>
#include <string.h>
#include "keeper_client.h"

static void name_set(char to[CFG_NAME_MAX], const char *from)
{
	memset(to, 0, CFG_NAME_MAX);
	memcpy(to, from, strnlen(from, CFG_NAME_MAX - 1));
}

/* ---- asked and left ---- */
int keeper_run(enum keeper_tool tool, uint32_t value, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct keeper_request request = {
		.op = KEEPER_RUN, .tool = (uint16_t)tool, .value = value
	};

	return keeper_ask(&request, file_fd, false, done, arg);
}

int keeper_show_peer(enum keeper_show what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct keeper_request request = {
		.op = KEEPER_RUN, .tool = KEEPER_FRR_SHOW, .value = what, .peer = *peer
	};

	name_set(request.vrf, vrf);
	if (link)
		name_set(request.name, link);
	return keeper_ask(&request, -1, false, done, arg);
}

int keeper_swan(enum keeper_swan what, const char *vrf, const char *name, int file_fd,
	void (*done)(int status, int output_fd, void *arg), void *arg)
{
	struct keeper_request request = { .op = KEEPER_RUN, .tool = KEEPER_SWAN, .value = what };

	name_set(request.vrf, vrf);
	if (name)
		name_set(request.name, name);
	return keeper_ask(&request, file_fd, false, done, arg);
}

int keeper_bfd(bool fresh, void (*done)(int status, int fd, void *arg), void *arg)
{
	struct keeper_request request = { .op = KEEPER_BFD, .value = !fresh };

	return keeper_ask(&request, -1, true, done, arg);
}

static struct keeper_request socket_request(
	const char *vrf, enum keeper_socket kind, const char *link)
{
	struct keeper_request request = { .op = KEEPER_OPEN, .tool = (uint16_t)kind };

	name_set(request.vrf, vrf);
	if (link)
		name_set(request.name, link);
	return request;
}

int keeper_socket_ask(const char *vrf, enum keeper_socket kind, const char *link,
	void (*done)(int status, int fd, void *arg), void *arg)
{
	struct keeper_request request = socket_request(vrf, kind, link);

	return keeper_ask(&request, -1, true, done, arg);
}

/* ---- waited for ---- */
struct keeper_request keeper_tap_request(
	const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu)
{
	struct keeper_request request = { .op = KEEPER_TAP, .mtu = mtu };

	name_set(request.vrf, vrf);
	name_set(request.name, name);
	memcpy(request.mac, mac, sizeof(request.mac));
	return request;
}

int keeper_vrf(const char *vrf, bool *ret_adopted)
{
	struct keeper_request request = { .op = KEEPER_VRF };
	struct keeper_answer answer;
	int rc;

	name_set(request.vrf, vrf);
	rc = keeper_call(&request, -1, &answer, NULL);
	if (!rc)
		*ret_adopted = answer.value;
	return rc;
}

int keeper_vrf_del(const char *vrf)
{
	struct keeper_request request = { .op = KEEPER_VRF_DEL };

	name_set(request.vrf, vrf);
	return keeper_call(&request, -1, NULL, NULL);
}

int keeper_tap(const char *vrf, const char *name, const uint8_t mac[6], uint16_t mtu, int *ret_fd,
	bool *ret_held)
{
	struct keeper_request request = keeper_tap_request(vrf, name, mac, mtu);
	struct keeper_answer answer;
	int rc = keeper_call(&request, -1, &answer, ret_fd);

	if (!rc && ret_held)
		*ret_held = answer.value;
	return rc;
}

int keeper_tap_del(const char *vrf, const char *name)
{
	struct keeper_request request = { .op = KEEPER_TAP_DEL };

	name_set(request.vrf, vrf);
	name_set(request.name, name);
	return keeper_call(&request, -1, NULL, NULL);
}

int keeper_list(unsigned i, char ret_vrf[CFG_NAME_MAX], char ret_name[CFG_NAME_MAX])
{
	struct keeper_request request = { .op = KEEPER_LIST, .value = i };
	struct keeper_answer answer;
	int rc = keeper_call(&request, -1, &answer, NULL);

	if (!rc && i >= answer.value)
		rc = -ENOENT;
	if (rc)
		return rc;
	name_set(ret_vrf, answer.text);
	name_set(ret_name, answer.text + CFG_NAME_MAX);
	return 0;
}

int keeper_netlink(const char *vrf, uint32_t rcvbuf, int *ret_fd)
{
	struct keeper_request request = { .op = KEEPER_NETLINK, .value = rcvbuf };

	name_set(request.vrf, vrf);
	return keeper_call(&request, -1, NULL, ret_fd);
}

int keeper_socket(const char *vrf, enum keeper_socket kind, const char *link, int *ret_fd)
{
	struct keeper_request request = socket_request(vrf, kind, link);

	return keeper_call(&request, -1, NULL, ret_fd);
}
