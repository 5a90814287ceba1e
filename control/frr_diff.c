/* From FRR's running configuration to the rendered one, by the lines that differ.
 *
 * Pure: two texts in FRR's own form in, commands for `vtysh -f` out. frr-reload.py does the same
 * for every configuration there is, takes a process and 0.6 s for it, and prints passwords on the
 * way; here both texts are of a few known kinds, so a comparison of lines with their contexts is
 * enough, and a session whose lines are all there is not touched.
 *
 * One daemon at a time: vtysh shows the union of what all daemons have, in which a line that a
 * restarted daemon has lost is hidden by another's copy, and it stops at the first daemon that
 * refuses a line.
 *
 * What is ours: BGP instances, route maps, prefix and large-community lists, BFD and two global
 * lines. Everything else somebody has configured in FRR stays. `vrf` blocks are zebra's own affair:
 * it makes them from the namespaces, and telling it so while it is about to has crashed it (8.4.4,
 * in ns_socket). A line is identified by its context and text; a line that sets one value of its
 * context has a key, and a new value replaces the old without removing it first. List entries are
 * compared without their numbers. A session that goes takes one command, `no neighbor`, not one a
 * line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "frr.h"

#define DEPTH_MAX 8
#define RANKS	  9

struct line {
	char *text;	     /* without indentation and sequence number */
	char *path;	     /* contexts and text, with \x1f between */
	char *key;	     /* the same with the key instead of the text */
	struct line *parent; /* NULL: top level */
	unsigned indent, depth;
	UT_hash_handle by_path, by_key;
};

struct text {
	struct line **lines; /* ours only, in order */
	unsigned n;
	struct line *paths, *keys;
};

/* ---- lines ---- */
static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Whose a top-level line is, and when it is added; deletions go the other way. -1: not ours. */
static int rank(enum frr_daemon daemon, const char *root)
{
	static const struct {
		const char *start;
		enum frr_daemon daemon;
	} order[] = {
		{ "no zebra nexthop kernel enable", FRR_ZEBRA },
		{ "bfd", FRR_BFDD },
		{ "bgp route-map delay-timer", FRR_BGPD },
		{ "bgp large-community-list ", FRR_BGPD },
		{ "ip prefix-list ", FRR_BGPD },
		{ "ipv6 prefix-list ", FRR_BGPD },
		{ "route-map ", FRR_BGPD },
		{ "router bgp ", FRR_BGPD },
	};

	for (int i = 0; i < (int)(sizeof(order) / sizeof(order[0])); i++)
		if (order[i].daemon == daemon && starts(root, order[i].start))
			return i;
	return -1;
}

/* Length of the first n words of text. */
static size_t words(const char *text, unsigned n)
{
	const char *at = text;

	for (unsigned i = 0; i < n && *at; i++) {
		at += strspn(at, " ");
		at += strcspn(at, " ");
	}
	return (size_t)(at - text);
}

static bool word_is(const char *text, unsigned n, const char *word)
{
	const char *at = text + words(text, n);
	size_t len;

	at += strspn(at, " ");
	len = strcspn(at, " ");
	return len == strlen(word) && !strncmp(at, word, len);
}

/* How much of a line names what it sets: the rest is the value. All of it where there is
 * no value. */
static size_t key_len(const char *text)
{
	static const struct {
		const char *start;
		unsigned words;
	} keyed[] = { { "bgp router-id ", 2 }, { "bgp graceful-restart select-defer-time ", 3 },
		{ "bgp graceful-restart restart-time ", 3 }, { "bgp route-map delay-timer ", 3 },
		{ "maximum-paths ibgp ", 2 }, { "maximum-paths ", 1 }, { "network ", 2 },
		{ "set metric ", 2 }, { "set community ", 2 }, { "set large-community ", 2 },
		{ "set as-path prepend ", 3 }, { "match large-community ", 2 },
		{ "match ip address prefix-list ", 4 }, { "match ipv6 address prefix-list ", 4 },
		{ "detect-multiplier ", 1 }, { "transmit-interval ", 1 },
		{ "receive-interval ", 1 } };
	static const char *const of_neighbor[] = { "remote-as", "local-as", "description",
		"password", "interface", "ebgp-multihop", "maximum-prefix", "maximum-prefix-out",
		"allowas-in" };

	for (size_t i = 0; i < sizeof(keyed) / sizeof(keyed[0]); i++)
		if (starts(text, keyed[i].start))
			return words(text, keyed[i].words);
	if (!starts(text, "neighbor "))
		return strlen(text);
	for (size_t i = 0; i < sizeof(of_neighbor) / sizeof(of_neighbor[0]); i++)
		if (word_is(text, 2, of_neighbor[i]))
			return words(text, 3);
	if ((word_is(text, 2, "bfd") && word_is(text, 3, "profile")) ||
		(word_is(text, 2, "timers") && word_is(text, 3, "connect")) ||
		word_is(text, 2, "ttl-security"))
		return words(text, 4);
	if (word_is(text, 2, "timers"))
		return words(text, 3);
	return strlen(text);
}

static char *key_of(const char *text)
{
	size_t len = key_len(text);
	char *key;

	/* Two route maps a session and family: the direction, the last word, belongs to the key. */
	if (starts(text, "neighbor ") && word_is(text, 2, "route-map"))
		return asprintf(&key, "%.*s%s", (int)words(text, 3), text, strrchr(text, ' ')) < 0
			       ? NULL
			       : key;
	return strndup(text, len);
}

static void line_free(struct line *line)
{
	if (!line)
		return;
	if (line->text)
		explicit_bzero(line->text, strlen(line->text));
	if (line->path)
		explicit_bzero(line->path, strlen(line->path));
	free(line->text);
	free(line->path);
	free(line->key);
	free(line);
}

/* "ip prefix-list X seq 5 permit …" -> "ip prefix-list X permit …" */
static char *text_of(const char *at, size_t len)
{
	char *text = strndup(at, len), *seq;

	if (text && (strstr(text, "prefix-list ") || strstr(text, "community-list ")) &&
		!starts(text, "match ")) {
		seq = strstr(text, " seq ");
		if (seq)
			memmove(seq, seq + words(seq, 2), strlen(seq + words(seq, 2)) + 1);
	}
	return text;
}

static struct line *line_make(struct line *parent, const char *at, size_t len, unsigned indent)
{
	struct line *line = calloc(1, sizeof(*line));
	char *key = NULL;
	int rc = -1;

	if (!line)
		return NULL;
	line->parent = parent;
	line->indent = indent;
	line->depth = parent ? parent->depth + 1 : 0;
	line->text = text_of(at, len);
	if (line->text)
		key = key_of(line->text);
	if (key) {
		rc = asprintf(&line->path, "%s\x1f%s", parent ? parent->path : "", line->text);
		if (rc < 0)
			line->path = NULL;
		else
			rc = asprintf(&line->key, "%s\x1f%s", parent ? parent->path : "", key);
		if (rc < 0)
			line->key = NULL;
	}
	free(key);
	if (rc >= 0)
		return line;
	line_free(line);
	return NULL;
}

static void text_free(struct text *text)
{
	HASH_CLEAR(by_path, text->paths);
	HASH_CLEAR(by_key, text->keys);
	for (unsigned i = 0; i < text->n; i++)
		line_free(text->lines[i]);
	free(text->lines);
	memset(text, 0, sizeof(*text));
}

static int text_add(struct text *text, struct line *line)
{
	struct line *other, **more;

	if ((text->n & (text->n - 1)) == 0) { /* doubles at 1, 2, 4 … */
		more = realloc(text->lines, (text->n ? text->n * 2 : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		text->lines = more;
	}
	text->lines[text->n++] = line;
	HASH_FIND(by_path, text->paths, line->path, strlen(line->path), other);
	if (!other)
		HASH_ADD_KEYPTR(by_path, text->paths, line->path, strlen(line->path), line);
	HASH_FIND(by_key, text->keys, line->key, strlen(line->key), other);
	if (!other)
		HASH_ADD_KEYPTR(by_key, text->keys, line->key, strlen(line->key), line);
	return 0;
}

/* Contexts are told by indentation, as FRR prints them. */
static int text_parse(enum frr_daemon daemon, const char *at, struct text *ret_text)
{
	struct text text = { 0 };
	struct line *open = NULL;
	bool ours = false;

	for (; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		unsigned indent = (unsigned)strspn(at, " ");
		const char *begin = at + indent;
		size_t len = strcspn(begin, "\r\n");
		struct line *line;

		if (len == 0 || *begin == '!' || *begin == '#' || starts(begin, "exit") ||
			(len == 3 && starts(begin, "end")))
			continue;
		while (open && open->indent >= indent)
			open = open->parent;
		if (indent == 0)
			ours = rank(daemon, begin) >= 0;
		if (!ours || (open && open->depth + 1 >= DEPTH_MAX))
			continue;
		line = line_make(open, begin, len, indent);
		if (!line || text_add(&text, line)) {
			line_free(line);
			text_free(&text);
			return -ENOMEM;
		}
		open = line;
	}
	*ret_text = text;
	return 0;
}

/* ---- commands ---- */
struct writer {
	enum frr_daemon daemon;
	FILE *out;
	const struct line *context; /* where vtysh is: NULL = top */
	unsigned n;
	char *first;
	size_t first_size;
};

static bool is_context(const char *text)
{
	return !strcmp(text, "bfd") || starts(text, "route-map ") || starts(text, "router bgp ") ||
	       starts(text, "address-family ") || starts(text, "profile ");
}

static void enter(FILE *out, const struct line *context)
{
	if (!context)
		return;
	enter(out, context->parent);
	fprintf(out, "%*s%s\n", (int)context->depth, "", context->text);
}

/* bgpd commits its tree of route maps and lists when a command comes that is not of it, and `exit`
 * is none: a hundred maps would be a hundred commits, each of everything. What follows a map leaves
 * it by itself. */
static void close_context(struct writer *w, const char *text, int indent)
{
	if (!starts(text, "route-map "))
		fprintf(w->out, "%*sexit\n", indent, "");
}

static void leave(struct writer *w)
{
	for (const struct line *l = w->context; l; l = l->parent)
		close_context(w, l->text, (int)l->depth);
	w->context = NULL;
}

static bool same_context(const struct line *a, const struct line *b)
{
	return a == b || (a && b && !strcmp(a->path, b->path));
}

static void command(
	struct writer *w, const struct line *context, const char *no, const char *text, size_t len)
{
	int indent = context ? (int)context->depth + 1 : 0;

	if (!same_context(w->context, context)) {
		leave(w);
		enter(w->out, context);
		w->context = context;
	}
	fprintf(w->out, "%*s%s%.*s\n", indent, "", no, (int)len, text);
	if (!*no && is_context(text))
		close_context(w, text, indent);
	if (w->n++ == 0 && w->first_size) {
		if (starts(text, "neighbor ") && word_is(text, 2, "password"))
			len = words(text, 3);
		snprintf(w->first, w->first_size, "%s%.*s", no, (int)len, text);
	}
}

static const struct line *root_of(const struct line *line)
{
	while (line->parent)
		line = line->parent;
	return line;
}

/* Is this a line of a session that goes, or of one that stays? */
static bool neighbor_goes(const struct line *line, const struct text *wanted)
{
	struct line *found;
	char *key;
	int len;

	if (!starts(line->text, "neighbor "))
		return false;
	len = asprintf(&key, "%s\x1f%.*s remote-as", root_of(line)->path, (int)words(line->text, 2),
		line->text);
	if (len < 0)
		return false;
	HASH_FIND(by_key, wanted->keys, key, (size_t)len, found);
	free(key);
	return !found;
}

static bool among(const struct line *line, struct line *paths)
{
	struct line *found;

	HASH_FIND(by_path, paths, line->path, strlen(line->path), found);
	return found;
}

/* An address family has no existence of its own; every other context goes as a whole. */
static bool context_goes(const struct line *line, const struct text *wanted)
{
	for (const struct line *l = line->parent; l; l = l->parent)
		if (!starts(l->text, "address-family ") && !among(l, wanted->paths))
			return true;
	return false;
}

static void line_delete(struct writer *w, const struct line *line, const struct text *wanted)
{
	struct line *found;
	const char *text = line->text;
	size_t len = strlen(text);

	if (among(line, wanted->paths) || context_goes(line, wanted) ||
		starts(text, "address-family "))
		return;
	if (neighbor_goes(line, wanted)) {
		if (word_is(text, 2, "remote-as"))
			command(w, line->parent, "no ", text, words(text, 2));
		return;
	}
	HASH_FIND(by_key, wanted->keys, line->key, strlen(line->key), found);
	if (found)
		return; /* its new value replaces it */
	if (starts(text, "neighbor ") &&
		(word_is(text, 2, "password") || word_is(text, 2, "description")))
		len = words(text, 3); /* no value: a secret has no business here */
	if (starts(text, "set as-path prepend "))
		len = words(text, 3); /* FRR knows no other form */
	if (starts(text, "no "))
		command(w, line->parent, "", text + 3, len - 3);
	else
		command(w, line->parent, "no ", text, len);
}

static void line_add(struct writer *w, const struct line *line, const struct text *running)
{
	if (!among(line, running->paths))
		command(w, line->parent, "", line->text, strlen(line->text));
}

/* The counter of what a session is told: set before anything else of a session that is there, taken
 * away after everything, so that at no moment neither it nor a list holds. */
static bool is_cap(const struct line *line)
{
	return starts(line->text, "neighbor ") && word_is(line->text, 2, "maximum-prefix-out");
}

static bool cap_early(const struct line *line, const struct text *running)
{
	struct line *found = NULL;
	char *path;
	int len;

	if (!is_cap(line) || !line->parent)
		return false;
	len = asprintf(&path, "%s\x1f%.*s activate", line->parent->path, (int)words(line->text, 2),
		line->text);
	if (len < 0)
		return false;
	HASH_FIND(by_path, running->paths, path, (size_t)len, found);
	free(path);
	return found;
}

static void commands_write(struct writer *w, const struct text *have, const struct text *want)
{
	for (unsigned i = 0; i < want->n; i++)
		if (cap_early(want->lines[i], have))
			line_add(w, want->lines[i], have);
	for (int r = RANKS - 1; r >= 0; r--)
		for (unsigned i = 0; i < have->n; i++)
			if (rank(w->daemon, root_of(have->lines[i])->text) == r &&
				!is_cap(have->lines[i]))
				line_delete(w, have->lines[i], want);
	for (int r = 0; r < RANKS; r++)
		for (unsigned i = 0; i < want->n; i++)
			if (rank(w->daemon, root_of(want->lines[i])->text) == r &&
				!cap_early(want->lines[i], have))
				line_add(w, want->lines[i], have);
	for (unsigned i = 0; i < have->n; i++)
		if (is_cap(have->lines[i]))
			line_delete(w, have->lines[i], want);
}

int frr_diff(enum frr_daemon daemon, const char *running, const char *wanted, FILE *out,
	unsigned *ret_n, char *ret_first, size_t first_size)
{
	struct text have = { 0 }, want = { 0 };
	struct writer w = {
		.daemon = daemon, .out = out, .first = ret_first, .first_size = first_size
	};
	int rc = text_parse(daemon, running, &have);

	if (first_size)
		ret_first[0] = '\0';
	if (!rc)
		rc = text_parse(daemon, wanted, &want);
	if (!rc)
		commands_write(&w, &have, &want);
	if (!rc) {
		leave(&w);
		*ret_n = w.n;
		rc = fflush(out) || ferror(out) ? -EIO : 0;
	}
	text_free(&have);
	text_free(&want);
	return rc;
}
