/* The number an outbound SA of the configuration may have used, kept beyond the end of lintasd and
 * of the machine: one small file an SA. Any thread; nothing here is shared. */
#ifndef LINTAS_SAS_LEASE_H
#define LINTAS_SAS_LEASE_H

#include <stddef.h>
#include <stdint.h>

#define SAS_LEASE_DIGEST 16

/* The highest number any file of this key has; 0: the key is new. 0, or -errno with why. */
int sas_lease_read(const char *folder, const uint8_t digest[SAS_LEASE_DIGEST], uint64_t *ret_number,
	char *why, size_t len);
/* On the disk when it returns 0; else -errno with why, and nothing may be sent beyond what was read
 * or written before. */
int sas_lease_write(const char *folder, const char *link, uint32_t spi,
	const uint8_t digest[SAS_LEASE_DIGEST], uint64_t number, char *why, size_t len);

#endif
