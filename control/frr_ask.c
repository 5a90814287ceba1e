/* FRR asked for what it knows: one vtysh a question, run by the keeper, its JSON read in a helper
 * thread, because with thousands of sessions or routes the text is megabytes. The asker is called
 * from the event loop, once, with the answer or NULL. What an answer's text held is wiped: the
 * same functions read configurations for frr_sync.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "control.h"
#include "frr.h"
#include "frr_own.h"
#include "keeper.h"

#define TEXT_MAX (64u << 20)

/* ---- text ---- */
void frr_text_wipe(struct frr_text *text)
{
	if (text->bytes)
		explicit_bzero(text->bytes, text->len);
	free(text->bytes);
	*text = (struct frr_text){ 0 };
}

int frr_text_read(int fd, struct frr_text *ret_text)
{
	struct stat st;
	size_t at = 0;
	char *bytes;

	if (fd < 0 || fstat(fd, &st) || st.st_size > TEXT_MAX)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	while (at < (size_t)st.st_size) {
		ssize_t n = pread(fd, bytes + at, (size_t)st.st_size - at, (off_t)at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	bytes[at] = '\0';
	*ret_text = (struct frr_text){ bytes, at };
	return 0;
}

/* ---- questions ---- */
struct question {
	void (*done)(const json_t *json, void *arg);
	void *arg;
	int fd; /* a copy of the answer's */
	json_t *json;
};

static void question_work(void *arg)
{
	struct question *q = arg;
	struct frr_text text;

	if (frr_text_read(q->fd, &text))
		return;
	q->json = json_loads(text.bytes, 0, NULL);
	frr_text_wipe(&text);
}

/* A tree of many routes takes long to free. */
static void tree_free(void *arg)
{
	json_decref(arg);
}

static void tree_freed(void *arg)
{
	(void)arg;
}

void frr_answer_free(json_t *json)
{
	if (json && (json->refcount > 1 || control_offload(tree_free, tree_freed, json)))
		json_decref(json);
}

static void question_end(void *arg)
{
	struct question *q = arg;

	q->done(q->json, q->arg);
	frr_answer_free(q->json);
	if (q->fd >= 0)
		close(q->fd);
	free(q);
}

static void on_answer(int status, int output, void *arg)
{
	struct question *q = arg;

	q->fd = status || output < 0 ? -1 : dup(output);
	if (q->fd < 0 || control_offload(question_work, question_end, q))
		question_end(q);
}

static struct question *question_new(void (*done)(const json_t *json, void *arg), void *arg)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q)
		*q = (struct question){ .done = done, .arg = arg, .fd = -1 };
	return q;
}

static int ask(enum keeper_show what, void (*done)(const json_t *json, void *arg), void *arg)
{
	struct question *q = question_new(done, arg);
	int rc = q ? keeper_run(KEEPER_FRR_SHOW, what, -1, on_answer, q) : -ENOMEM;

	if (rc)
		free(q);
	return rc;
}

static int ask_peer(enum keeper_show what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(const json_t *json, void *arg), void *arg)
{
	struct question *q = question_new(done, arg);
	int rc = q ? keeper_show_peer(what, vrf, peer, link, on_answer, q) : -ENOMEM;

	if (rc)
		free(q);
	return rc;
}

int frr_show_peer(const char *vrf, const struct ip_addr *peer,
	void (*done)(const json_t *json, void *arg), void *arg)
{
	return ask_peer(KEEPER_SHOW_PEER, vrf, peer, NULL, done, arg);
}

int frr_show_routes(enum frr_routes what, const char *vrf, const struct ip_addr *peer,
	const char *link, void (*done)(const json_t *json, void *arg), void *arg)
{
	static const enum keeper_show shows[] = { KEEPER_SHOW_RECEIVED, KEEPER_SHOW_ADVERTISED,
		KEEPER_SHOW_TABLE, KEEPER_SHOW_LISTED };

	return ask_peer(shows[what], vrf, peer, what == FRR_LISTED ? link : NULL, done, arg);
}

int frr_show_bgp(void (*done)(const json_t *json, void *arg), void *arg)
{
	return ask(KEEPER_SHOW_BGP, done, arg);
}

int frr_show_bfd(void (*done)(const json_t *json, void *arg), void *arg)
{
	return ask(KEEPER_SHOW_BFD, done, arg);
}
