/* Between api.c (clients and their requests) and api_socket.c (the listening socket). */
#ifndef LINTAS_API_OWN_H
#define LINTAS_API_OWN_H

#include <stdbool.h>

/* api_socket.c. The error is logged. */
int api_socket_open(const char *path, const char *readers, const char *writers);
void api_socket_close(void);

/* api.c. A connected peer, non-blocking; fd is taken on success only. 0 or -ENOMEM. */
int api_client_new(int fd, bool writer);
unsigned api_client_count(void);

#endif
