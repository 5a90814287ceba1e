/* Numbers of static SAs on the disk: what was written is found again whatever the link is called
 * now, a new key begins at 0, and where nothing can be kept, or what is there cannot be believed,
 * nobody gets a number. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control/sas_lease.h"
#include "unit.h"

static const uint8_t key[SAS_LEASE_DIGEST] = { 1, 2, 3 }, other[SAS_LEASE_DIGEST] = { 1, 2, 4 };
static char folder[64], state[80], why[256];

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/lintas-lease-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(state, sizeof(state), "%s/state", folder);
}

static void end(void)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -r '%s'", folder);
	CU_ASSERT_EQUAL(system(line), 0);
}

static int put(const char *link, uint32_t spi, const uint8_t *digest, uint64_t number)
{
	return sas_lease_write(state, link, spi, digest, number, why, sizeof(why));
}

static uint64_t number_of(const uint8_t *digest)
{
	uint64_t number = 1;

	CU_ASSERT_EQUAL(sas_lease_read(state, digest, &number, why, sizeof(why)), 0);
	return number;
}

static void resumes(void)
{
	struct stat st;

	begin();
	CU_ASSERT_EQUAL(number_of(key), 0);
	CU_ASSERT(!stat(state, &st) && (st.st_mode & 0777) == 0700);
	CU_ASSERT_EQUAL(put("t", 4097, key, 5242880), 0);
	CU_ASSERT_EQUAL(number_of(key), 5242880);
	CU_ASSERT_EQUAL(put("t", 4097, key, 10485760), 0);
	CU_ASSERT_EQUAL(number_of(key), 10485760);
	CU_ASSERT_EQUAL(number_of(other), 0); /* a new key begins anew */
	CU_ASSERT_EQUAL(put("t", 4097, other, 77), 0);
	CU_ASSERT_EQUAL(number_of(key), 10485760);
	/* Another link and number, the same key: the highest counts. */
	CU_ASSERT_EQUAL(put("renamed", 5000, key, 99), 0);
	CU_ASSERT_EQUAL(number_of(key), 10485760);
	end();
}

static void refused(void)
{
	char path[200];
	uint64_t number;
	int fd;

	begin();
	fd = open(state, O_WRONLY | O_CREAT, 0600); /* no folder, and none can be made */
	close(fd);
	CU_ASSERT_NOT_EQUAL(put("t", 4097, key, 1), 0);
	CU_ASSERT(strstr(why, state) && strstr(why, "install -d -m 0700"));
	CU_ASSERT_NOT_EQUAL(sas_lease_read(state, key, &number, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(unlink(state), 0);
	CU_ASSERT_EQUAL(put("t", 4097, key, 5), 0);
	CU_ASSERT_EQUAL(chmod(state, 0777), 0);
	CU_ASSERT_EQUAL(put("t", 4097, key, 9), -EACCES);
	CU_ASSERT_EQUAL(chmod(state, 0700), 0);
	CU_ASSERT_EQUAL(number_of(key), 5);
	/* What does not say a number is none. */
	snprintf(path, sizeof(path), "%s/t-00001001-01020300000000000000000000000000", state);
	for (unsigned i = 0; i < 5; i++) {
		static const char *const bad[] = { "", "used \n", "used -5\n", "used 5",
			"used 99999999999999999999\n" };

		fd = open(path, O_WRONLY | O_TRUNC);
		CU_ASSERT(fd >= 0 && write(fd, bad[i], strlen(bad[i])) == (ssize_t)strlen(bad[i]));
		close(fd);
		CU_ASSERT_NOT_EQUAL(sas_lease_read(state, key, &number, why, sizeof(why)), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "t-00001001"));
	}
	end();
}

void unit_lease(void)
{
	static const struct unit_test tests[] = { { "numbers go on", resumes },
		{ "nothing to keep them in", refused } };

	UNIT_SUITE("lease", tests);
}
