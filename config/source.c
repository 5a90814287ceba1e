/* Reads the main file and what it includes into one buffer that libconfig then parses as a string.
 *
 * libconfig can include by itself, but it follows any path, bounds nothing, and reads a file some
 * time after we might have looked at it. Here each file is opened once, must be a regular file
 * below the main file's folder (symbolic links followed first), must not change while it is read,
 * and is hashed as it was read. Depth, number of files and bytes are bounded; a file that includes
 * itself, directly or not, is named. As in libconfig a directive stands alone at the start of a
 * line, outside of strings and comments, and its name is relative to the main file's folder, also
 * in an included file. A table of segments leads from a line of the buffer back to file and line.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "errors.h"
#include "pool.h"
#include "sha256.h"
#include "source.h"

struct file {
	const char *name; /* as messages show it */
	dev_t dev;
	ino_t ino;
	char *text;
	size_t len;
	const struct file *parent; /* who includes it, and where */
	unsigned parent_line;
};

struct reader {
	struct source *source;
	struct cfg_pool *pool;
	struct cfg_errors *errors;
	const char
		*prefix; /* the main file's folder as it was given, with its slash: for messages */
	struct sha256 sha;
	size_t bytes, size; /* read so far; size of source->text */
	unsigned files, depth, line, segments_max;
};

static bool refuse(struct reader *r, const struct file *file, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static bool refuse(struct reader *r, const struct file *file, unsigned line, const char *fmt, ...)
{
	struct cfg_source where = { .file = file ? file->name : NULL, .line = line };
	va_list args;

	va_start(args, fmt);
	errors_vadd(r->errors, where, false, NULL, fmt, args);
	va_end(args);
	return false;
}

/* ---- the buffer ---- */

static void emit(struct reader *r, const char *text, size_t len)
{
	struct source *s = r->source;
	char *bigger;

	if (r->size - s->len < len + 1) {
		r->size = 2 * r->size + len + 4096;
		bigger = pool_alloc(r->pool, r->size);
		if (s->len)
			memcpy(bigger, s->text, s->len);
		s->text = bigger;
	}
	memcpy(s->text + s->len, text, len);
	s->len += len;
	for (const char *p = text; (p = memchr(p, '\n', len - (p - text))); p++)
		r->line++;
}

/* What follows in the buffer is this line of this file. */
static void segment(struct reader *r, const char *file, unsigned line)
{
	struct source *s = r->source;
	struct source_segment *bigger;

	if (s->n_segments == r->segments_max) {
		r->segments_max = 2 * r->segments_max + 16;
		bigger = pool_array(r->pool, r->segments_max, sizeof(*bigger));
		if (s->n_segments)
			memcpy(bigger, s->segments, s->n_segments * sizeof(*bigger));
		s->segments = bigger;
	}
	s->segments[s->n_segments++] = (struct source_segment){ r->line, { file, line } };
}

struct cfg_source source_where(const struct source *source, unsigned line)
{
	struct cfg_source where = { source->n_segments ? source->segments[0].where.file : NULL, 0 };
	unsigned low = 0, high = source->n_segments, middle;

	while (low < high) { /* the last segment that begins at or before line */
		middle = (low + high) / 2;
		if (source->segments[middle].from <= line)
			low = middle + 1;
		else
			high = middle;
	}
	if (low) {
		where = source->segments[low - 1].where;
		where.line += line - source->segments[low - 1].from;
	}
	return where;
}

/* ---- files ---- */

/* The whole file into file->text; what it was called by whom is in file already. */
static bool read_whole(struct reader *r, struct file *file, int fd, const struct stat *before)
{
	struct stat after;
	size_t got = 0;
	uint8_t length[8];
	ssize_t n;

	file->len = before->st_size;
	file->text = pool_alloc(r->pool, file->len + 1);
	while (got <= file->len && (n = read(fd, file->text + got, file->len + 1 - got)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(r, file, 0, "cannot read: %s", strerror(errno));
		got += n;
	}
	if (fstat(fd, &after) < 0 || got != file->len || after.st_size != before->st_size ||
		after.st_mtim.tv_sec != before->st_mtim.tv_sec ||
		after.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
		return refuse(r, file, 0, "changed while it was read: try again");
	for (unsigned i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)file->len >> (56 - 8 * i));
	sha256_update(&r->sha, length, sizeof(length));
	sha256_update(&r->sha, file->text, file->len);
	return true;
}

static bool read_file(struct reader *r, struct file *file, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	bool ok = false;

	if (fd < 0 || fstat(fd, &st) < 0) {
		if (file->parent)
			refuse(r, file->parent, file->parent_line, "cannot include '%s': %s",
				file->name, strerror(errno));
		else
			refuse(r, file, 0, "cannot open: %s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		refuse(r, file->parent ? file->parent : file, file->parent_line,
			"%s is not a regular file", file->name);
	} else if ((uint64_t)st.st_size > CFG_FILE_BYTES_MAX - r->bytes) {
		refuse(r, file->parent ? file->parent : file, file->parent_line,
			"%s: all files together are larger than %u bytes", file->name,
			CFG_FILE_BYTES_MAX);
	} else if (++r->files > SOURCE_FILES_MAX) {
		refuse(r, file->parent, file->parent_line, "more than %u files", SOURCE_FILES_MAX);
	} else {
		r->bytes += st.st_size;
		file->dev = st.st_dev;
		file->ino = st.st_ino;
		ok = read_whole(r, file, fd, &st);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

/* ---- include ---- */

static unsigned line_of(const struct file *file, const char *at)
{
	unsigned line = 1;

	for (const char *p = file->text; (p = memchr(p, '\n', at - p)); p++)
		line++;
	return line;
}

const char *source_skip(const char *p, const char *end)
{
	if (*p == '#' || (*p == '/' && p + 1 < end && p[1] == '/')) {
		p = memchr(p, '\n', end - p);
		return p ? p : end;
	}
	if (*p == '/' && p + 1 < end && p[1] == '*') {
		p = memmem(p + 2, end - p - 2, "*/", 2);
		return p ? p + 2 : NULL;
	}
	if (*p != '"')
		return p;
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

/* Does the line that begins at p include something? Its name, and what follows it, or NULL. */
static const char *directive(const char *p, const char *end, const char **ret_name, size_t *ret_len)
{
	static const char word[] = "@include";
	const char *quote;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if ((size_t)(end - p) <= sizeof(word) || memcmp(p, word, sizeof(word) - 1))
		return NULL;
	p += sizeof(word) - 1;
	if (*p != ' ' && *p != '\t')
		return NULL;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p != '"')
		return NULL;
	quote = memchr(p + 1, '"', end - p - 1);
	if (!quote || memchr(p + 1, '\n', quote - p - 1))
		return NULL;
	*ret_name = p + 1;
	*ret_len = quote - p - 1;
	return quote + 1;
}

static bool expand(struct reader *r, const struct file *file);

/* Name, as written in the directive, resolved below the main file's folder. */
static bool include(struct reader *r, const struct file *parent, unsigned line, const char *name)
{
	struct file file = { .parent = parent, .parent_line = line };
	size_t len = strlen(r->source->dir);
	char resolved[PATH_MAX];
	bool inside;

	file.name = pool_printf(r->pool, "%s%s", r->prefix, name);
	if (!*name || *name == '/')
		return refuse(r, parent, line,
			"cannot include '%s': give a name relative to the main file's folder",
			name);
	if (!realpath(pool_printf(r->pool, "%s/%s", r->source->dir, name), resolved))
		return refuse(
			r, parent, line, "cannot include '%s': %s", file.name, strerror(errno));
	inside = !strcmp(r->source->dir, "/") ||
		 (!strncmp(resolved, r->source->dir, len) && resolved[len] == '/');
	if (!inside)
		return refuse(r, parent, line,
			"cannot include '%s': it lies outside of the main file's folder", name);
	if (r->depth == SOURCE_DEPTH_MAX)
		return refuse(r, parent, line, "cannot include '%s': more than %u files deep", name,
			SOURCE_DEPTH_MAX);
	if (!read_file(r, &file, resolved))
		return false;
	for (const struct file *f = parent; f; f = f->parent)
		if (f->dev == file.dev && f->ino == file.ino)
			return refuse(r, parent, line,
				"cannot include '%s': it includes itself by this", name);
	r->depth++;
	segment(r, file.name, 1);
	if (!expand(r, &file))
		return false;
	r->depth--;
	if (r->source->len && r->source->text[r->source->len - 1] != '\n')
		emit(r, "\n", 1);
	segment(r, parent->name, line);
	return true;
}

/* Copy the file into the buffer, its includes in their places. */
static bool expand(struct reader *r, const struct file *file)
{
	const char *p = file->text, *end = p + file->len, *done = p, *next, *name;
	char *wanted;
	bool line_start = true;
	size_t len;

	if (memchr(p, '\0', file->len))
		return refuse(r, file, line_of(file, memchr(p, '\0', file->len)),
			"a NUL byte: this is not a text file");
	while (p < end) {
		next = line_start ? directive(p, end, &name, &len) : NULL;
		if (next) {
			emit(r, done, p - done);
			wanted = pool_printf(r->pool, "%.*s", (int)len, name);
			if (!include(r, file, line_of(file, p), wanted))
				return false;
			p = done = next;
			line_start = false;
			continue;
		}
		next = source_skip(p, end);
		if (!next)
			return refuse(r, file, line_of(file, p), "%s that begins here does not end",
				*p == '"' ? "the string" : "the comment");
		if (next == p)
			next = p + 1;
		line_start = next[-1] == '\n';
		p = next;
	}
	emit(r, done, end - done);
	return true;
}

bool source_read(
	struct source *source, const char *path, struct cfg_pool *pool, struct cfg_errors *errors)
{
	struct reader r = { .source = source, .pool = pool, .errors = errors, .line = 1 };
	struct file file = { .name = pool_strdup(pool, path) };
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
	char resolved[PATH_MAX];

	memset(source, 0, sizeof(*source));
	sha256_init(&r.sha);
	r.prefix = pool_printf(pool, "%.*s", slash ? (int)(slash + 1 - path) : 0, path);
	if (!realpath(*r.prefix ? r.prefix : ".", resolved))
		return refuse(&r, &file, 0, "cannot open: %s", strerror(errno));
	source->dir = pool_strdup(pool, resolved);
	source->json = dot && !strcmp(dot, ".json");
	if (!read_file(&r, &file, path))
		return false;
	segment(&r, file.name, 1);
	if (source->json)
		emit(&r, file.text, file.len);
	else if (!expand(&r, &file))
		return false;
	emit(&r, "", 0);
	source->text[source->len] = '\0';
	sha256_final(&r.sha, source->digest);
	return true;
}
