/* Leases of static SAs on the disk.
 *
 * Their keys live as long as the configuration, so a number used once must never come again, not
 * after kill -9 and not after a power cut (RFC 4106 3). The file says up to where numbers may have
 * been used; it is written beside, synced, renamed, and the folder synced, before the first packet
 * of that lease leaves. Its name is LINK-SPI-DIGEST, the digest of the key: a key is looked for by
 * the digest alone, so a link or SPI that is renamed goes on where it was, and a new key begins
 * anew. Files of keys that have gone stay, for who puts the key back. The folder is lintasd's own:
 * one that others may write to could give old numbers back, and is refused. So is a file that does
 * not say what it should: nobody guesses a number. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sas_lease.h"

#define NAME_LEN 128
#define FILE_LEN 64
#define SAYS	 "used "

static int complain(char *why, size_t len, int err, const char *folder, const char *name)
{
	snprintf(why, len, "%s%s%s: %s", folder, name ? "/" : "", name ? name : "", strerror(err));
	return -err;
}

/* Made if it can be. The descriptor, or -errno. */
static int folder_open(const char *folder, char *why, size_t len)
{
	struct stat st;
	int fd;

	if (mkdir(folder, 0700) && errno != EEXIST)
		goto no;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		goto no;
	if (!fstat(fd, &st) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	snprintf(why, len, "%s: others may write to it: give it to lintasd's user, mode 0700",
		folder);
	return -EACCES;
no:
	fd = -errno;
	snprintf(why, len, "%s: %s: make it, for lintasd's user only: install -d -m 0700 %s",
		folder, strerror(-fd), folder);
	return fd;
}

static void hex(const uint8_t digest[SAS_LEASE_DIGEST], char ret_text[2 * SAS_LEASE_DIGEST + 1])
{
	for (unsigned i = 0; i < SAS_LEASE_DIGEST; i++)
		sprintf(ret_text + 2 * i, "%02x", digest[i]);
}

static int number_read(int folder, const char *name, uint64_t *ret_number)
{
	char text[FILE_LEN + 1], *end;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return -errno;
	n = read(fd, text, FILE_LEN);
	if (n < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	text[n] = 0;
	if (strncmp(text, SAYS, strlen(SAYS)) || text[strlen(SAYS)] < '0' ||
		text[strlen(SAYS)] > '9')
		return -EBADMSG;
	errno = 0;
	*ret_number = strtoull(text + strlen(SAYS), &end, 10);
	return errno || strcmp(end, "\n") ? -EBADMSG : 0;
}

int sas_lease_read(const char *folder, const uint8_t digest[SAS_LEASE_DIGEST], uint64_t *ret_number,
	char *why, size_t len)
{
	char key[2 * SAS_LEASE_DIGEST + 1];
	int fd = folder_open(folder, why, len), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t number = 0;
	size_t n;

	*ret_number = 0;
	if (fd < 0)
		return fd;
	if (!dir) {
		close(fd);
		return complain(why, len, ENOMEM, folder, NULL);
	}
	hex(digest, key);
	while (!rc && (errno = 0, entry = readdir(dir))) {
		n = strlen(entry->d_name);
		if (n < strlen(key) || strcmp(entry->d_name + n - strlen(key), key))
			continue;
		rc = number_read(dirfd(dir), entry->d_name, &number);
		if (rc)
			complain(why, len, -rc, folder, entry->d_name);
		else if (number > *ret_number)
			*ret_number = number;
	}
	if (!rc && errno)
		rc = complain(why, len, errno, folder, NULL);
	closedir(dir);
	return rc;
}

static int whole(int fd, const char *text)
{
	size_t n = strlen(text);
	ssize_t wrote = write(fd, text, n);

	if (wrote != (ssize_t)n)
		return wrote < 0 ? -errno : -ENOSPC;
	return fsync(fd) ? -errno : 0;
}

int sas_lease_write(const char *folder, const char *link, uint32_t spi,
	const uint8_t digest[SAS_LEASE_DIGEST], uint64_t number, char *why, size_t len)
{
	char name[NAME_LEN], beside[NAME_LEN + 4], key[2 * SAS_LEASE_DIGEST + 1], text[FILE_LEN];
	int at = folder_open(folder, why, len), fd, rc;

	if (at < 0)
		return at;
	hex(digest, key);
	snprintf(name, sizeof(name), "%s-%08x-%s", link, spi, key);
	snprintf(beside, sizeof(beside), "%s.new", name);
	snprintf(text, sizeof(text), SAYS "%" PRIu64 "\n", number);
	unlinkat(at, beside, 0); /* of a lintasd that was killed meanwhile */
	fd = openat(at, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? -errno : whole(fd, text);
	if (fd >= 0)
		close(fd);
	if (!rc && (renameat(at, beside, at, name) || fsync(at)))
		rc = -errno;
	if (rc)
		complain(why, len, -rc, folder, name);
	close(at);
	return rc;
}
