/* See confdir.h. Everything lies below one folder, made with mkdtemp and removed at the end. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "confdir.h"
#include "unit.h"

#define FIXTURES "tests/unit/config"

static char folder[200];

char *confdir_read(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "r");
	char *text;
	long len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	fseek(in, 0, SEEK_END);
	len = ftell(in);
	rewind(in);
	text = calloc(1, len + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	*ret_len = fread(text, 1, len, in);
	fclose(in);
	return text;
}

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *rest = path + strlen(FIXTURES);
	size_t len;
	char *text;

	(void)st;
	(void)ftw;
	if (type == FTW_D)
		return *rest ? mkdir(confdir_path(rest + 1), 0700) : 0;
	text = confdir_read(path, &len);
	confdir_write(rest + 1, text, len);
	free(text);
	/* all secrets but the one that shall be refused */
	if (strstr(rest, "/keys/"))
		return chmod(confdir_path(rest + 1), strstr(rest, "/open") ? 0640 : 0600);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

const char *confdir_make(void)
{
	/* in memory where there is such a place: some tests write a file ten thousand times */
	const char *place = access("/dev/shm", W_OK | X_OK) ? "/tmp" : "/dev/shm";

	snprintf(folder, sizeof(folder), "%s/lintas-unit-XXXXXX", place);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL_FATAL(nftw(FIXTURES, copy_one, 16, FTW_PHYS), 0);
	return folder;
}

void confdir_clean(void)
{
	if (*folder)
		nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*folder = '\0';
}

const char *confdir_path(const char *name)
{
	static char paths[4][400];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

void confdir_write(const char *name, const char *text, size_t len)
{
	FILE *out = fopen(confdir_path(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(fwrite(text, 1, len, out), len);
	fclose(out);
}

void confdir_key(const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "keys/%s", name);
	mkdir(confdir_path("keys"), 0700);
	confdir_write(path, "x\n", 2);
	CU_ASSERT_EQUAL(chmod(confdir_path(path), 0600), 0);
}

struct config *confdir_load(const char *name)
{
	struct cfg_errors errors;
	struct config *config = config_load(confdir_path(name), &errors);

	CU_ASSERT_PTR_NOT_NULL(config);
	if (!config)
		cfg_errors_print(&errors, stdout);
	cfg_errors_free(&errors);
	return config;
}

struct config *confdir_load_edited(const char *old, const char *new)
{
	struct config *config;
	char *text, *at;
	size_t len;
	FILE *out;

	text = confdir_read(confdir_path("good/lintas.conf"), &len);
	at = old ? strstr(text, old) : text;
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	out = fopen(confdir_path("good/edit.conf"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fprintf(out, "%.*s%s%s", (int)(at - text), text, old ? new : "",
		at + (old ? strlen(old) : 0));
	fclose(out);
	free(text);
	config = confdir_load("good/edit.conf");
	return config;
}
