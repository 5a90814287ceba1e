/* What charon says of its SAs: swanctl --list-sas --raw, run by the keeper, read in a helper
 * thread.
 *
 * The raw form is VICI's tree as one line an IKE SA: "list-sa event {NAME {key=value key=[a b]
 * child-sas {NAME-1 {key=value}}}}". It is read without believing any length or depth: a word that
 * does not fit is cut, a key nobody asked for is passed over, and what is not closed ends with the
 * text. Of several children the one that is installed and the youngest is shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "frr_own.h"
#include "keeper.h"
#include "swan.h"

#define SAS_MAX	  8192
#define WORD_MAX  160
#define DEPTH_MAX 16

struct child {
	char state[24], name[WORD_MAX];
	char encr[24], bits[12], integ[32], dh[32];
	int64_t since, rekey, life;
	uint32_t spi_in, spi_out;
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	bool udp;
};

struct reader {
	const char *at;
	char names[DEPTH_MAX][WORD_MAX]; /* of the groups around */
	unsigned depth;
	struct swan_sa *sas, *sa;
	unsigned n, room;
	struct child child;
	char encr[24], bits[12], prf[32], integ[32], dh[32];
	int rc;
};

static void word(struct reader *r, const char *ends, char to[WORD_MAX])
{
	size_t n = strcspn(r->at, ends), keep = n < WORD_MAX ? n : WORD_MAX - 1;

	memcpy(to, r->at, keep);
	to[keep] = '\0';
	r->at += n;
}

#define TEXT(field, value) snprintf(field, sizeof(field), "%.*s", (int)sizeof(field) - 1, value)

static void child_key(struct child *c, const char *key, const char *value)
{
	if (!strcmp(key, "state"))
		TEXT(c->state, value);
	else if (!strcmp(key, "name"))
		TEXT(c->name, value);
	else if (!strcmp(key, "encr-alg"))
		TEXT(c->encr, value);
	else if (!strcmp(key, "encr-keysize"))
		TEXT(c->bits, value);
	else if (!strcmp(key, "integ-alg"))
		TEXT(c->integ, value);
	else if (!strcmp(key, "dh-group"))
		TEXT(c->dh, value);
	else if (!strcmp(key, "install-time"))
		c->since = atoll(value);
	else if (!strcmp(key, "rekey-time"))
		c->rekey = atoll(value);
	else if (!strcmp(key, "life-time"))
		c->life = atoll(value);
	else if (!strcmp(key, "spi-in"))
		c->spi_in = (uint32_t)strtoul(value, NULL, 16);
	else if (!strcmp(key, "spi-out"))
		c->spi_out = (uint32_t)strtoul(value, NULL, 16);
	else if (!strcmp(key, "bytes-in"))
		c->bytes_in = strtoull(value, NULL, 10);
	else if (!strcmp(key, "bytes-out"))
		c->bytes_out = strtoull(value, NULL, 10);
	else if (!strcmp(key, "packets-in"))
		c->packets_in = strtoull(value, NULL, 10);
	else if (!strcmp(key, "packets-out"))
		c->packets_out = strtoull(value, NULL, 10);
	else if (!strcmp(key, "encap"))
		c->udp = !strcmp(value, "yes");
}

static void sa_key(struct reader *r, const char *key, const char *value)
{
	struct swan_sa *sa = r->sa;

	if (!strcmp(key, "state"))
		TEXT(sa->state, value);
	else if (!strcmp(key, "uniqueid"))
		sa->uniqueid = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "remote-host"))
		TEXT(sa->remote, value);
	else if (!strcmp(key, "remote-id"))
		TEXT(sa->remote_id, value);
	else if (!strcmp(key, "local-id"))
		TEXT(sa->local_id, value);
	else if (!strcmp(key, "initiator"))
		sa->initiator = !strcmp(value, "yes");
	else if (!strcmp(key, "nat-local"))
		sa->nat_local = !strcmp(value, "yes");
	else if (!strcmp(key, "nat-remote"))
		sa->nat_remote = !strcmp(value, "yes");
	else if (!strcmp(key, "nat-any"))
		sa->nat_any = !strcmp(value, "yes");
	else if (!strcmp(key, "established"))
		sa->since_s = atoll(value);
	else if (!strcmp(key, "rekey-time"))
		sa->rekey_s = atoll(value);
	else if (!strcmp(key, "encr-alg"))
		TEXT(r->encr, value);
	else if (!strcmp(key, "encr-keysize"))
		TEXT(r->bits, value);
	else if (!strcmp(key, "prf-alg"))
		TEXT(r->prf, value);
	else if (!strcmp(key, "integ-alg"))
		TEXT(r->integ, value);
	else if (!strcmp(key, "dh-group"))
		TEXT(r->dh, value);
}

static void joined(char *to, size_t size, const char *const *parts)
{
	size_t n = 0;

	*to = '\0';
	for (; *parts; parts++)
		if (**parts && n < size)
			n += (size_t)snprintf(to + n, size - n, "%s%s", n ? "/" : "", *parts);
}

static void child_end(struct reader *r)
{
	const struct child *c = &r->child;
	struct swan_sa *sa = r->sa;
	bool better = !*sa->child_state ||
		      (!strcmp(c->state, "INSTALLED") && (strcmp(sa->child_state, "INSTALLED") ||
								 c->since < sa->child_since_s));
	char cipher[40];

	sa->children++;
	if (!better)
		return;
	TEXT(sa->child_state, c->state);
	snprintf(cipher, sizeof(cipher), "%s%s%s", c->encr, *c->bits ? "-" : "", c->bits);
	joined(sa->esp, sizeof(sa->esp), (const char *const[]){ cipher, c->integ, c->dh, NULL });
	sa->child_since_s = c->since;
	sa->child_rekey_s = c->rekey;
	sa->child_life_s = c->life;
	sa->spi_in = c->spi_in;
	sa->spi_out = c->spi_out;
	sa->bytes_in = c->bytes_in;
	sa->bytes_out = c->bytes_out;
	sa->packets_in = c->packets_in;
	sa->packets_out = c->packets_out;
	sa->udp = c->udp;
}

/* Depth 1: "list-sa event"; 2: the IKE SA; 3: "child-sas"; 4: a child. */
static void group_begin(struct reader *r, const char *name)
{
	struct swan_sa *more;

	if (r->depth < DEPTH_MAX)
		TEXT(r->names[r->depth], name);
	r->depth++;
	if (r->depth == 4)
		r->child = (struct child){ .since = -1, .rekey = -1, .life = -1 };
	if (r->depth != 2 || strcmp(r->names[0], "list-sa event"))
		return;
	if (r->n == r->room) {
		more = r->n < SAS_MAX ? realloc(r->sas, (r->room + 64) * sizeof(*more)) : NULL;
		if (!more) {
			r->rc = -ENOMEM;
			return;
		}
		r->sas = more;
		r->room += 64;
	}
	r->sa = &r->sas[r->n++];
	memset(r->sa, 0, sizeof(*r->sa));
	r->sa->since_s = r->sa->rekey_s = -1;
	r->sa->child_since_s = r->sa->child_rekey_s = r->sa->child_life_s = -1;
	TEXT(r->sa->name, name);
	*r->encr = *r->bits = *r->prf = *r->integ = *r->dh = '\0';
}

static void group_end(struct reader *r)
{
	char cipher[40];

	if (r->depth == 4 && r->sa && !strcmp(r->names[2], "child-sas"))
		child_end(r);
	if (r->depth == 2 && r->sa) {
		snprintf(cipher, sizeof(cipher), "%s%s%s", r->encr, *r->bits ? "-" : "", r->bits);
		joined(r->sa->ike, sizeof(r->sa->ike),
			(const char *const[]){ cipher, r->integ, r->prf, r->dh, NULL });
		r->sa = NULL;
	}
	if (r->depth)
		r->depth--;
}

static void pair(struct reader *r, const char *key)
{
	char value[WORD_MAX];

	r->at++; /* '=' */
	if (*r->at == '[') {
		word(r, "]\n", value);
		r->at += *r->at == ']';
		return;
	}
	word(r, " }\n", value);
	if (r->depth == 2 && r->sa)
		sa_key(r, key, value);
	else if (r->depth == 4 && r->sa && !strcmp(r->names[2], "child-sas"))
		child_key(&r->child, key, value);
}

int swan_parse(const char *text, struct swan_sa **ret_sas, unsigned *ret_n)
{
	struct reader *r = calloc(1, sizeof(*r));
	char name[WORD_MAX];
	int rc;

	if (!r)
		return -ENOMEM;
	r->at = text;
	while (*r->at && !r->rc) {
		if (*r->at == '}') {
			group_end(r);
			r->at++;
		} else if (*r->at == '\n') {
			r->depth = 0;
			r->at++;
		} else if (*r->at == ' ' || *r->at == '{') {
			r->at++;
		} else {
			/* "list-sa event {": of the outermost group's name the blank is part */
			word(r, r->depth ? " ={}\n" : "={}\n", name);
			while (*name && name[strlen(name) - 1] == ' ')
				name[strlen(name) - 1] = '\0';
			if (*r->at == '=')
				pair(r, name);
			else if (r->at[0] == '{' || (r->at[0] == ' ' && r->at[1] == '{'))
				group_begin(r, name);
		}
	}
	rc = r->rc;
	if (rc) {
		free(r->sas);
	} else {
		*ret_sas = r->sas;
		*ret_n = r->n;
	}
	free(r);
	return rc;
}

/* ---- asking ---- */
struct question {
	void (*done)(const struct swan_sa *sas, unsigned n, const char *error, void *arg);
	void *arg;
	int fd;
	struct swan_sa *sas;
	unsigned n;
	const char *error;
};

static void question_work(void *arg)
{
	struct question *q = arg;
	struct frr_text text;

	if (frr_text_read(q->fd, &text)) {
		q->error = "charon's answer cannot be read";
		return;
	}
	if (swan_parse(text.bytes, &q->sas, &q->n))
		q->error = "out of memory";
	frr_text_wipe(&text);
}

static void question_end(void *arg)
{
	struct question *q = arg;

	q->done(q->sas, q->n, q->error, q->arg);
	if (q->fd >= 0)
		close(q->fd);
	free(q->sas);
	free(q);
}

static void on_answer(int status, int output, void *arg)
{
	struct question *q = arg;

	q->fd = status || output < 0 ? -1 : dup(output);
	if (q->fd < 0)
		q->error = "charon does not answer";
	if (q->fd < 0 || control_offload(question_work, question_end, q))
		question_end(q);
}

int swan_ask(const char *vrf,
	void (*done)(const struct swan_sa *sas, unsigned n, const char *error, void *arg),
	void *arg)
{
	struct question *q = calloc(1, sizeof(*q));
	int rc;

	if (!q)
		return -ENOMEM;
	*q = (struct question){ .done = done, .arg = arg, .fd = -1 };
	rc = keeper_swan(KEEPER_SWAN_SAS, vrf, NULL, -1, on_answer, q);
	if (rc)
		free(q);
	return rc;
}
