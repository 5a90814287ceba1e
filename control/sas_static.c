/* SAs that the configuration gives: links whose far end has no IKE.
 *
 * After each change of the configuration a helper thread reads the keys of all such links, and
 * takes a lease (sas_lease.c) for those that are new or have changed; only then are they put. What
 * is the same as before is not touched: a digest over ends, numbers and keys tells. Without a lease
 * on the disk there are no keys: the link stays down, says which folder to make, and tries again.
 *
 * sas_life.c tells when half a lease is used up; the next is written while the other half lasts. If
 * that fails, or is not done before the lease ends, the SA is taken away: AES-GCM must not see a
 * number twice. What is written is SLACK beyond, for the packets between two looks. Inbound windows
 * begin anew with lintasd: a far end that restarts at 1 would be shut out for good otherwise.
 * Control thread, but for job_*. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/sha256.h"
#include "sas_lease.h"
#include "sas_own.h"

#define SLACK	 (UINT64_C(1) << 20)
#define RETRY_MS 5000
#define WHY_LEN	 320

static struct of_link {
	bool put, failed, renew, overrun;
	char name[CFG_NAME_MAX];
	uint8_t print[32]; /* of all that was put */
	uint8_t digest[SAS_LEASE_DIGEST];
	uint64_t disk, want; /* numbers: written, to be written */
	uint64_t least;	     /* may have been used */
	char why[WHY_LEN];   /* its link's, while failed */
} of_link[DP_LINKS_MAX];

struct item { /* of a job: a link */
	uint16_t link;
	char name[CFG_NAME_MAX], words[32], in_key[CFG_STRING_MAX], out_key[CFG_STRING_MAX];
	enum cfg_sa_algorithm algorithm;
	struct ip_addr local, remote;
	uint16_t vrf;
	struct of_link was;
	struct dp_sa in, out;
	uint8_t print[32], digest[SAS_LEASE_DIGEST];
	uint64_t disk;
	bool same;
	int rc;
	char why[WHY_LEN];
};

static struct job {
	unsigned n;
	char state[CFG_STRING_MAX], keys[CFG_STRING_MAX];
	struct item items[];
} * running;
static bool again;
static struct event *timer;

/* ---- the helper thread ---- */
static int job_sa(const struct job *job, const struct item *item, const char *key, struct dp_sa *sa)
{
	struct cfg_link link = { .ipsec = { .algorithm = item->algorithm } };
	struct config config = { .defaults = { .keys = job->keys } };
	struct cfg_sa_keys k;
	int rc = config_sa_keys(&config, &link, &(struct cfg_sa){ .spi = sa->spi, .key = key }, &k);

	if (rc)
		return rc;
	sa->cipher = k.auth_len ? DP_CIPHER_AES_CBC : DP_CIPHER_AES_GCM;
	sa->auth = k.auth_len == 20   ? DP_AUTH_SHA1
		   : k.auth_len == 32 ? DP_AUTH_SHA256
		   : k.auth_len == 48 ? DP_AUTH_SHA384
		   : k.auth_len	      ? DP_AUTH_SHA512
				      : DP_AUTH_NONE;
	sa->key_len = (uint8_t)k.key_len;
	sa->auth_len = (uint8_t)k.auth_len;
	memcpy(sa->key, k.key, k.key_len);
	memcpy(sa->auth_key, k.auth, k.auth_len);
	explicit_bzero(&k, sizeof(k));
	return 0;
}

static void job_prints(struct item *item)
{
	uint8_t digest[32];
	struct sha256 sha;

	sha256_init(&sha);
	sha256_update(&sha, item->out.key, item->out.key_len);
	sha256_update(&sha, item->out.auth_key, item->out.auth_len);
	sha256_final(&sha, digest);
	memcpy(item->digest, digest, sizeof(item->digest));
	sha256_init(&sha);
	sha256_update(&sha, &item->in, sizeof(item->in));
	sha256_update(&sha, &item->out, sizeof(item->out));
	sha256_update(&sha, &item->local, sizeof(item->local));
	sha256_update(&sha, &item->remote, sizeof(item->remote));
	sha256_update(&sha, &item->vrf, sizeof(item->vrf));
	sha256_final(&sha, item->print);
	explicit_bzero(&sha, sizeof(sha));
}

static int job_lease(const struct job *job, struct item *item)
{
	uint64_t at, end;
	int rc = sas_lease_read(job->state, item->digest, &at, item->why, sizeof(item->why));

	if (rc)
		return rc;
	if (item->same) {
		end = item->was.want > at ? item->was.want : at;
	} else {
		if (!memcmp(item->was.digest, item->digest, sizeof(item->digest)) &&
			item->was.least > at)
			at = item->was.least;
		if (at >= UINT32_MAX) {
			snprintf(item->why, sizeof(item->why),
				"the numbers of ipsec.sas.out are used up: give both ends "
				"another key");
			return -EOVERFLOW;
		}
		item->out.seq = at;
		end = sas_lease(&item->out, at) + SLACK;
	}
	item->disk = end > UINT32_MAX ? UINT32_MAX : end;
	return sas_lease_write(job->state, item->name, item->out.spi, item->digest, item->disk,
		item->why, sizeof(item->why));
}

static void job_item(const struct job *job, struct item *item)
{
	const char *key = item->in_key;
	int rc = job_sa(job, item, key, &item->in);

	if (!rc)
		rc = job_sa(job, item, key = item->out_key, &item->out);
	if (rc && item->was.put) { /* it works without the file, which the next change will miss */
		memcpy(item->digest, item->was.digest, sizeof(item->digest));
		item->same = true;
	} else if (rc) {
		snprintf(item->why, sizeof(item->why), "key %.80s/%.60s: %s", job->keys, key,
			strerror(-rc));
		item->rc = rc;
		return;
	} else {
		job_prints(item);
		item->same =
			item->was.put && !memcmp(item->was.print, item->print, sizeof(item->print));
	}
	if (!item->same || item->was.renew)
		item->rc = job_lease(job, item);
}

static void job_work(void *arg)
{
	struct job *job = arg;

	for (unsigned i = 0; i < job->n; i++)
		job_item(job, &job->items[i]);
}

/* ---- what comes of it ---- */
static void wake(unsigned ms)
{
	struct timeval in = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (timer && (!ms || !event_pending(timer, EV_TIMEOUT, NULL)))
		event_add(timer, &in);
}

static uint64_t used_of(const struct link *link)
{
	const struct sas_sa *sa = sas_link_out(link);
	struct dp_sa_info info;

	return sa && !dp_sa_info((unsigned)sa->index, &info) ? info.seq : 0;
}

/* It has no keys from here on. retry: what is missing may come. */
static void lose(struct link *link, const char *why, bool retry)
{
	struct of_link *l = &of_link[link->id];

	if (l->put) {
		l->least = used_of(link) + SLACK;
		sas_static_clear(link);
	}
	if (!l->failed || strcmp(l->why, why))
		log_event(LOG_LVL_ERR, link->name, "has no keys: %s", why);
	l->put = l->renew = l->overrun = false;
	l->failed = true;
	snprintf(l->why, sizeof(l->why), "%s", why);
	sas_link_blame(link, l->why);
	if (retry)
		wake(RETRY_MS);
}

static void put(struct link *link, struct item *item)
{
	struct of_link *l = &of_link[link->id];
	const char *why;
	int rc;

	if (l->put && !memcmp(l->digest, item->digest, sizeof(l->digest)) &&
		used_of(link) >= item->out.seq) { /* too fast: from a number that is certain */
		lose(link, "its keys change while it sends more than a lease", false);
		wake(0);
		return;
	}
	sas_static_clear(link);
	l->put = false;
	rc = sas_static_put(&item->in, item->words, &why);
	if (!rc)
		rc = sas_static_put(&item->out, item->words, &why);
	if (rc) {
		sas_static_clear(link);
		lose(link, why, false);
		return;
	}
	memcpy(l->print, item->print, sizeof(l->print));
	memcpy(l->digest, item->digest, sizeof(l->digest));
	l->disk = l->want = item->disk;
	l->put = true;
	l->failed = l->renew = l->overrun = false;
}

static void job_done(void *arg)
{
	struct job *job = arg;

	running = NULL;
	for (unsigned i = 0; i < job->n; i++) {
		struct item *item = &job->items[i];
		struct of_link *l = &of_link[item->link];
		struct link *link = link_by_name(item->name);

		if (!link || link->id != item->link || strcmp(l->name, item->name))
			continue;
		if (item->rc && (!again || item->was.renew))
			lose(link, item->why, item->rc != -EOVERFLOW);
		else if (item->same && item->was.renew && !item->rc) {
			l->disk = item->disk;
			l->renew = l->want > l->disk;
		} else if (!item->same && !item->rc && !again) {
			put(link, item);
		}
	}
	explicit_bzero(job->items, job->n * sizeof(job->items[0]));
	free(job);
	if (again)
		wake(0);
	again = false;
}

/* ---- what there is to do ---- */
static bool is_static(const struct link *link)
{
	return link && link->cfg && link->cfg->encap == CFG_ENCAP_IPSEC && link->cfg->underlay &&
	       link->cfg->ipsec.algorithm;
}

static void item_make(struct item *item, const struct link *link)
{
	const struct cfg_keying *k = &link->cfg->ipsec;
	const struct vrf *vrf = vrf_by_name(link->cfg->underlay->vrf->name);
	unsigned window = k->replay && k->replay < 64 ? 64 : k->replay;

	item->link = link->id;
	snprintf(item->name, sizeof(item->name), "%s", link->name);
	snprintf(item->in_key, sizeof(item->in_key), "%s", k->in.key);
	snprintf(item->out_key, sizeof(item->out_key), "%s", k->out.key);
	item->algorithm = k->algorithm;
	snprintf(item->words, sizeof(item->words), "%s", k->esp.n ? k->esp.items[0] : "");
	item->local = link->cfg->local;
	item->remote = link->cfg->remote;
	item->vrf = vrf ? vrf->id : link->vrf->id;
	item->was = of_link[link->id];
	item->in.link = item->out.link = link->id;
	item->in.inbound = true;
	item->in.spi = k->in.spi;
	item->in.replay = (uint16_t)(window > DP_REPLAY_MAX ? DP_REPLAY_MAX : window);
	item->out.spi = k->out.spi;
}

static void job_start(void)
{
	unsigned n = 0;

	for (const struct link *link = link_next(NULL); link; link = link_next(link))
		n += is_static(link);
	if (!n)
		return;
	running = calloc(1, sizeof(*running) + n * sizeof(running->items[0]));
	if (running) {
		snprintf(running->state, sizeof(running->state), "%s", control.state_folder);
		snprintf(running->keys, sizeof(running->keys), "%s",
			control.running->defaults.keys ? control.running->defaults.keys : "");
		for (const struct link *link = link_next(NULL); link; link = link_next(link))
			if (is_static(link))
				item_make(&running->items[running->n++], link);
	}
	if (running && !control_offload(job_work, job_done, running))
		return;
	free(running);
	running = NULL;
	wake(RETRY_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	for (struct link *link = link_next(NULL); link; link = link_next(link))
		if (is_static(link) && of_link[link->id].overrun)
			lose(link, "its lease ended before the next one was on the disk", true);
	if (running)
		again = true;
	else
		job_start();
}

static int on_seq(const struct sas_sa *sa)
{
	struct of_link *l = &of_link[sa->link];

	if (sa->conf.inbound || !l->put)
		return 0;
	l->overrun = l->want > l->disk;
	l->want = sa->seq + SLACK > UINT32_MAX ? UINT32_MAX : sa->seq + SLACK;
	l->renew = true;
	wake(0);
	return 0; /* on_timer sees to one that comes too late */
}

void sas_static_config_changed(void)
{
	static const struct sas_hooks hooks = { .seq = on_seq };

	if (!timer) {
		sas_hook(SAS_STATIC, &hooks);
		timer = event_new(control.base, -1, 0, on_timer, NULL);
	}
	for (unsigned id = 0; id < DP_LINKS_MAX; id++) {
		struct of_link *l = &of_link[id];
		struct link *link = link_by_id((uint16_t)id);

		if (*l->name && is_static(link) && !strcmp(l->name, link->name))
			continue;
		if (l->put && link)
			sas_static_clear(link);
		memset(l, 0, sizeof(*l));
		if (is_static(link))
			snprintf(l->name, sizeof(l->name), "%s", link->name);
	}
	/* From the loop: at the start, threads must not exist before privileges are dropped. */
	wake(0);
}

void sas_static_stop(void)
{
	event_free(timer);
	timer = NULL;
	memset(of_link, 0, sizeof(of_link));
}
