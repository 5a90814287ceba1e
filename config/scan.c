/* Walks over the tokens of the expanded text before libconfig sees it.
 *
 * libconfig 1.5 lets an integer overflow in silence, cuts a string at an escaped NUL, stops at the
 * first duplicate name without saying which it is, and compares every new name with every other in
 * its group. So this pass knows groups, names and numbers, no more: it reports every duplicate
 * together with the first place, every number that does not fit, and bounds depth and names, which
 * keeps libconfig's time linear. What it has reported it makes harmless in the text - a duplicate
 * gets a name of its own with a star, a number becomes a string of stars - so that the walk over
 * the tree can go on and find everything else. A star in a name that was not put there by this pass
 * is refused, though libconfig would allow it. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "errors.h"
#include "pool.h"
#include "scan.h"

/* the table of names lives on the pool as well */
#define uthash_malloc(size)    pool_alloc(s->pool, size)
#define uthash_free(ptr, size) ((void)(ptr), (void)(size))
#include <uthash.h>

struct name {
	const char *key; /* "group/name" */
	unsigned line;
	UT_hash_handle hh;
};

struct level {
	unsigned group; /* number of this group, list or array: names are unique in it */
	unsigned names;
	char name[64]; /* what it is called in messages */
};

struct scanner {
	const struct source *source;
	struct cfg_pool *pool;
	struct cfg_errors *errors;
	struct name *names;
	struct level levels[SCAN_DEPTH_MAX];
	unsigned depth, groups, line, duplicates;
	char *out;
	size_t len, size;
	/* the identifier or setting name seen last */
	const char *word_text;
	size_t word_len, word_end; /* where it ends in out; 0 = none */
	unsigned word_line;
	char word[64];	  /* these two for messages, therefore cut off */
	char setting[64]; /* the name whose value comes */
};

static void emit(struct scanner *s, const char *text, size_t len)
{
	char *bigger;

	if (s->size - s->len < len + 1) {
		s->size = 2 * s->size + len + 4096;
		bigger = pool_alloc(s->pool, s->size);
		if (s->len)
			memcpy(bigger, s->out, s->len);
		s->out = bigger;
	}
	memcpy(s->out + s->len, text, len);
	s->len += len;
}

static void complain(struct scanner *s, unsigned line, const char *last, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void complain(struct scanner *s, unsigned line, const char *last, const char *fmt, ...)
{
	char path[SCAN_DEPTH_MAX * 65 + 65];
	size_t n = 0;
	va_list args;

	for (unsigned i = 1; i <= s->depth; i++)
		if (*s->levels[i].name)
			n += snprintf(path + n, sizeof(path) - n, "%s.", s->levels[i].name);
	snprintf(path + n, sizeof(path) - n, "%s", last);
	n = strlen(path);
	if (n && path[n - 1] == '.')
		path[n - 1] = '\0';
	va_start(args, fmt);
	errors_vadd(s->errors, source_where(s->source, line), false, path, fmt, args);
	va_end(args);
}

/* The word before "=" names a setting: has its group got one of that name? */
static bool named(struct scanner *s)
{
	struct level *level = &s->levels[s->depth];
	struct name *name = pool_alloc(s->pool, sizeof(*name)), *first;
	struct cfg_source where;
	char suffix[24];
	size_t n, tail;

	if (++level->names > SCAN_NAMES_MAX) {
		complain(s, s->line, "", "more than %u names in one group", SCAN_NAMES_MAX);
		return false;
	}
	strcpy(s->setting, s->word);
	name->key = pool_printf(s->pool, "%u/%.*s", level->group, (int)s->word_len, s->word_text);
	name->line = s->word_line;
	HASH_FIND_STR(s->names, name->key, first);
	if (!first) {
		HASH_ADD_STR(s->names, key, name);
		return true;
	}
	where = source_where(s->source, first->line);
	complain(s, s->word_line, s->word,
		"given twice, first at %s:%u: remove one of them, or give it another name",
		where.file, where.line);
	n = snprintf(suffix, sizeof(suffix), "%c%u", SCAN_MARK, ++s->duplicates);
	tail = s->len - s->word_end;
	emit(s, suffix, n);
	memmove(s->out + s->word_end + n, s->out + s->word_end, tail);
	memcpy(s->out + s->word_end, suffix, n);
	return true;
}

static const char *identifier(struct scanner *s, const char *p, const char *end)
{
	const char *begin = p;

	while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_' || *p == SCAN_MARK))
		p++;
	emit(s, begin, p - begin);
	s->word_end = s->len;
	s->word_line = s->line;
	s->word_text = begin;
	s->word_len = p - begin;
	snprintf(s->word, sizeof(s->word), "%.*s", (int)s->word_len, begin);
	if (memchr(begin, SCAN_MARK, p - begin))
		complain(s, s->line, s->word,
			"'%c' is not allowed in a name: letters, digits and '-' are", SCAN_MARK);
	return p;
}

/* Does a token that libconfig would read as an integer fit into what it stores it in? */
static bool number_fits(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	unsigned long long value;
	char *rest;

	if (!isdigit((unsigned char)*digits))
		return true;
	errno = 0;
	value = strtoull(digits, &rest, hex ? 16 : 10);
	if (*rest == 'L')
		return !errno && value <= INT64_MAX;
	if (*rest)
		return true; /* a fraction, or a syntax error that libconfig will find */
	return !errno && value <= INT32_MAX;
}

static const char *number(struct scanner *s, const char *p, const char *end)
{
	const char *begin = p++;
	char text[64];
	size_t n;

	while (p < end && (isalnum((unsigned char)*p) || *p == '.'))
		p++;
	n = p - begin < (ptrdiff_t)sizeof(text) ? (size_t)(p - begin) : sizeof(text) - 1;
	memcpy(text, begin, n);
	text[n] = '\0';
	if (number_fits(text)) {
		emit(s, begin, p - begin);
		return p;
	}
	complain(s, s->line, s->setting,
		"the number %s does not fit and would become another one: AS numbers and rates "
		"are strings, write them in quotes; others from 2147483648 on end in L, as "
		"4294967295L",
		text);
	emit(s, "\"" SCAN_VALUE "\"", sizeof(SCAN_VALUE) + 1);
	return p;
}

static bool push(struct scanner *s)
{
	struct level *level;

	if (s->depth + 1 == SCAN_DEPTH_MAX) {
		complain(s, s->line, "", "more than %u groups and lists within one another",
			SCAN_DEPTH_MAX);
		return false;
	}
	level = &s->levels[++s->depth];
	level->group = ++s->groups;
	level->names = 0;
	strcpy(level->name, s->setting);
	s->setting[0] = '\0';
	return true;
}

static bool punctuation(struct scanner *s, char c)
{
	bool ok = true;

	emit(s, &c, 1);
	switch (c) {
	case '=':
	case ':':
		ok = !s->word_end || named(s);
		break;
	case '{':
	case '[':
	case '(':
		ok = push(s);
		break;
	case '}':
	case ']':
	case ')':
		if (s->depth)
			strcpy(s->setting, s->levels[s->depth--].name);
		break;
	}
	s->word_end = 0;
	return ok;
}

/* Strings and comments are copied; a string may not hide a NUL. */
static void skipped(struct scanner *s, const char *begin, const char *end)
{
	if (*begin == '"') {
		s->word_end = 0;
		for (const char *p = begin; p < end; p++) {
			if (*p != '\\')
				continue;
			if (end - p > 3 && !memcmp(p, "\\x00", 4))
				complain(
					s, s->line, s->setting, "\\x00 is not allowed in a string");
			p++;
		}
	}
	emit(s, begin, end - begin);
	for (const char *p = begin; (p = memchr(p, '\n', end - p)); p++)
		s->line++;
}

bool scan_text(struct source *source, struct cfg_pool *pool, struct cfg_errors *errors)
{
	struct scanner s = { .source = source, .pool = pool, .errors = errors, .line = 1 };
	const char *p = source->text, *end = p + source->len, *next;
	bool ok = true;

	s.size = source->len + 4096; /* marks hardly make it longer */
	s.out = pool_alloc(pool, s.size);
	while (ok && p < end) {
		next = source_skip(p, end);
		if (!next) { /* an include in the middle of one: libconfig will say */
			emit(&s, p, end - p);
			break;
		}
		if (next != p) {
			skipped(&s, p, next);
			p = next;
		} else if (isalpha((unsigned char)*p) || *p == SCAN_MARK) {
			p = identifier(&s, p, end);
		} else if (isdigit((unsigned char)*p) || *p == '-' || *p == '+') {
			p = number(&s, p, end);
		} else if (strchr("=:{}[]()", *p)) {
			ok = punctuation(&s, *p++);
		} else {
			s.line += *p == '\n';
			if (!isspace((unsigned char)*p))
				s.word_end = 0;
			emit(&s, p++, 1);
		}
	}
	emit(&s, "", 0);
	s.out[s.len] = '\0';
	source->text = s.out;
	source->len = s.len;
	return ok;
}
