/* The socket that charon's library connects to (xfrm_wire.h). */
#ifndef LINTAS_XFRM_SERVER_H
#define LINTAS_XFRM_SERVER_H

#include "sas.h"

/* Sockets lie beside the CLI's: FOLDER/xfrm-VRF.sock, one for each VRF that carries IPsec links. */
int xfrm_server_start(const char *cli_socket);
void xfrm_server_stop(void);
void xfrm_server_config_changed(void);
/* Where charon of this underlay VRF finds it. 0 or -ENAMETOOLONG. */
int xfrm_server_path(const char *vrf, char *ret_path, size_t size);

struct xfrm_server_info {
	const char *path;
	unsigned clients;
	bool charon; /* its library is there */
};
bool xfrm_server_info(uint16_t vrf, struct xfrm_server_info *ret_info); /* false: no socket */

/* ---- xfrm_vault.c: what charon's process keeps for lintasd ---- */
/* fd: the vault's connection of this owner, or -1 when it has gone. 0 or -ENOSPC. */
int xfrm_vault_set(const struct sas_from *from, int fd);
/* Does its process live, or may it? Then it comes again and has what it was given. */
bool xfrm_vault_lives(const struct sas_from *from);
/* A message of the vault. 1: it has said everything; 0; -errno: it makes no sense. */
int xfrm_vault_message(const struct sas_from *from, const uint8_t *bytes, size_t len,
	void (*lost)(const struct nlmsghdr *expire, size_t len, void *arg), void *arg);
void xfrm_vault_start(
	void (*expired)(const struct sas_from *from, const struct nlmsghdr *expire, size_t len));
void xfrm_vault_stop(void);

#endif
