/* Every charon brought to control.running.
 *
 * For each VRF with IKE links over it: render -> swanctl --load-creds -> --load-conns ->
 * --list-sas, and what is up there under a name that is no connection of ours any more is taken
 * down. charon compares what it is given with what it has: a connection that did not change is not
 * touched, and when not one byte of a VRF changed nothing is loaded at all. The text travels as a
 * descriptor of anonymous memory through the keeper (KEEPER_SWAN): no pre-shared key reaches a
 * disk, an argument or a log.
 *
 * A charon that starts makes a new socket and knows nothing of us: it is given everything. One that
 * is not there is waited for, and said once. VRFs are served one after the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/sha256.h"
#include "frr_own.h"
#include "keeper.h"
#include "swan.h"

#define WATCH_MS     500
#define RETRY_MS     500
#define RETRY_MAX_MS 15000
#define CARE_NS	     (3ull * 1000000000ull) /* charon begins by itself what it was just given */
#define MISSING_NS   (5ull * 1000000000ull) /* a charon may take so long to start */

struct site { /* a VRF with IKE links, or that had some */
	char vrf[CFG_NAME_MAX];
	struct timespec born; /* of charon's socket; zero: there is none */
	uint8_t digest[32];   /* of what was loaded */
	bool loaded;	      /* this charon has it */
	bool wanted, missing_said;
	uint64_t missing_ns, retry_ns, care_ns;
	unsigned retry_ms;
	char error[160];
};

static struct {
	struct site *sites;
	unsigned n_sites;
	struct site *at; /* being served; NULL: none */
	uint8_t digest[32];
	int text; /* descriptor of what is being loaded */
	bool busy;
	struct event *watch;
	struct swan_status status;
	char folder[200];
} sync_state = { .text = -1 };

void swan_start(const char *keeper_socket)
{
	const char *slash = strrchr(keeper_socket, '/');

	snprintf(sync_state.folder, sizeof(sync_state.folder), "%.*s",
		slash ? (int)(slash - keeper_socket) : 1, slash ? keeper_socket : ".");
}

const char *swan_folder(const char *vrf, char *buf, size_t size)
{
	snprintf(buf, size, "%s/charon/%s", sync_state.folder, vrf);
	return buf;
}

/* ---- sites ---- */
/* Made when it is not there; only while nothing is being served, which points into the array. */
static struct site *site_of(const char *vrf)
{
	struct site *more;

	for (unsigned i = 0; i < sync_state.n_sites; i++)
		if (!strcmp(sync_state.sites[i].vrf, vrf))
			return &sync_state.sites[i];
	more = realloc(sync_state.sites, (sync_state.n_sites + 1) * sizeof(*more));
	if (!more)
		return NULL;
	sync_state.sites = more;
	more += sync_state.n_sites++;
	memset(more, 0, sizeof(*more));
	snprintf(more->vrf, sizeof(more->vrf), "%s", vrf);
	more->retry_ms = RETRY_MS;
	return more;
}

static unsigned links_over(const char *vrf)
{
	const struct config *config = control.running;
	unsigned n = 0;

	for (unsigned i = 0; i < config->n_links; i++)
		n += swan_is_ike(&config->links[i]) && config->links[i].underlay &&
		     !strcmp(config->links[i].underlay->vrf->name, vrf);
	return n;
}

/* Has a charon come or gone? */
static void site_look(struct site *site)
{
	char folder[300], path[320];
	struct stat st;

	snprintf(path, sizeof(path), "%s/vici", swan_folder(site->vrf, folder, sizeof(folder)));
	if (stat(path, &st))
		memset(&st.st_ctim, 0, sizeof(st.st_ctim));
	if (!memcmp(&st.st_ctim, &site->born, sizeof(site->born)))
		return;
	site->born = st.st_ctim;
	site->loaded = false;
	site->wanted = true;
	site->retry_ns = 0;
	site->retry_ms = RETRY_MS;
}

static bool site_there(const struct site *site)
{
	return site->born.tv_sec || site->born.tv_nsec;
}

static void site_missing(struct site *site)
{
	uint64_t now = now_ns();

	if (site_there(site) || !links_over(site->vrf)) {
		site->missing_ns = 0;
		site->missing_said = false;
	} else if (!site->missing_ns) {
		site->missing_ns = now;
	} else if (!site->missing_said && now - site->missing_ns > MISSING_NS) {
		site->missing_said = true;
		log_event(LOG_LVL_WARN, site->vrf,
			"no charon here: IPsec links over it have no keys; systemctl start "
			"lintas-charon@%s",
			site->vrf);
	}
}

bool swan_there(const char *vrf)
{
	for (unsigned i = 0; i < sync_state.n_sites; i++)
		if (!strcmp(sync_state.sites[i].vrf, vrf))
			return site_there(&sync_state.sites[i]);
	return false;
}

/* ---- loading ---- */
static void finish(const char *error)
{
	struct site *site = sync_state.at;

	if (sync_state.text >= 0)
		close(sync_state.text);
	sync_state.text = -1;
	sync_state.busy = false;
	sync_state.at = NULL;
	if (!error) {
		site->loaded = true;
		site->care_ns = now_ns() + CARE_NS;
		site->retry_ms = RETRY_MS;
		site->error[0] = '\0';
		memcpy(site->digest, sync_state.digest, sizeof(site->digest));
		sync_state.status.loads++;
		return;
	}
	if (strcmp(error, site->error))
		log_event(LOG_LVL_WARN, site->vrf, "charon: %s; trying again", error);
	snprintf(site->error, sizeof(site->error), "%s", error);
	snprintf(sync_state.status.last_error, sizeof(sync_state.status.last_error), "%s: %s",
		site->vrf, error);
	sync_state.status.failures++;
	site->wanted = true;
	site->retry_ns = now_ns() + site->retry_ms * 1000000ull;
	if ((site->retry_ms *= 2) > RETRY_MAX_MS)
		site->retry_ms = RETRY_MAX_MS;
}

/* The last line that swanctl said is why; none of them holds a secret. */
static void failed(const char *what, int status, int output)
{
	struct frr_text text = { 0 };
	char error[160], *line, *at, *last = NULL;

	if (output >= 0 && !frr_text_read(output, &text))
		for (at = text.bytes; (line = strsep(&at, "\n"));)
			if (strstr(line, "fail") || strstr(line, "rror") || strstr(line, "invalid"))
				last = last && !strstr(line, "connection '") ? last : line;
	snprintf(error, sizeof(error), "%s: %.130s", what,
		status < 0 ? strerror(-status)
		: last	   ? last
			   : "swanctl failed");
	frr_text_wipe(&text);
	finish(error);
}

static void on_down(int status, int output, void *arg)
{
	(void)status, (void)output, (void)arg;
}

/* What is up and is no connection of ours. */
static void on_sas(const struct swan_sa *sas, unsigned n, const char *error, void *arg)
{
	const struct site *site = sync_state.at;
	const struct cfg_link *link;

	(void)arg;
	for (unsigned i = 0; i < n && !error; i++) {
		link = config_link(control.running, sas[i].name);
		if (swan_is_ike(link) && !strcmp(link->underlay->vrf->name, site->vrf))
			continue;
		log_event(LOG_LVL_NOTICE, sas[i].name,
			"IKE is taken down: the configuration has no such connection any more");
		keeper_swan(KEEPER_SWAN_DOWN, site->vrf, sas[i].name, -1, on_down, NULL);
	}
	finish(NULL);
}

static void on_conns(int status, int output, void *arg)
{
	int rc;

	(void)arg;
	if (status) {
		failed("connections", status, output);
		return;
	}
	rc = swan_ask(sync_state.at->vrf, on_sas, NULL);
	if (rc)
		failed("asking", rc, -1);
}

static void on_creds(int status, int output, void *arg)
{
	int rc;

	(void)arg;
	if (status) {
		failed("pre-shared keys", status, output);
		return;
	}
	rc = keeper_swan(
		KEEPER_SWAN_CONNS, sync_state.at->vrf, NULL, sync_state.text, on_conns, NULL);
	if (rc)
		failed("connections", rc, -1);
}

static int digest_of(int fd, uint8_t ret_digest[32])
{
	uint8_t part[1024];
	struct sha256 sha;
	off_t at = 0;
	ssize_t n;

	sha256_init(&sha);
	while ((n = pread(fd, part, sizeof(part), at)) > 0) {
		sha256_update(&sha, part, (size_t)n);
		at += n;
	}
	sha256_final(&sha, ret_digest);
	explicit_bzero(part, sizeof(part));
	explicit_bzero(&sha, sizeof(sha));
	return n ? -EIO : 0;
}

/* Into anonymous memory and nowhere else, the heap least of all; *ret_digest of it. A descriptor or
 * -errno. */
int swan_rendered(const struct cfg_vrf *vrf, uint8_t ret_digest[32], unsigned *ret_n)
{
	static char buf[4096];
	int fd = memfd_create("lintas-swan", MFD_CLOEXEC), copy = fd < 0 ? -1 : dup(fd), rc;
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	rc = out ? 0 : -errno;
	if (out) {
		setvbuf(out, buf, _IOFBF, sizeof(buf));
		rc = swan_render(control.running, vrf, out, ret_n);
		if (fclose(out) && !rc)
			rc = -EIO;
		explicit_bzero(buf, sizeof(buf));
	} else if (copy >= 0) {
		close(copy);
	}
	if (!rc)
		rc = digest_of(fd, ret_digest);
	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}

static void serve(struct site *site)
{
	const struct cfg_vrf *vrf = config_vrf(control.running, site->vrf);
	unsigned n = 0;
	int rc;

	site->wanted = false;
	if (!vrf)
		return; /* its charon ended with the namespace */
	sync_state.at = site;
	sync_state.busy = true;
	sync_state.text = swan_rendered(vrf, sync_state.digest, &n);
	if (sync_state.text < 0) {
		failed("rendering", sync_state.text, -1);
		return;
	}
	if (site->loaded && !memcmp(site->digest, sync_state.digest, sizeof(site->digest))) {
		close(sync_state.text);
		sync_state.text = -1;
		sync_state.busy = false;
		sync_state.at = NULL;
		return;
	}
	site->loaded = false;
	log_event(LOG_LVL_INFO, site->vrf, "charon: loading %u connections", n);
	rc = keeper_swan(KEEPER_SWAN_CREDS, site->vrf, NULL, sync_state.text, on_creds, NULL);
	if (rc)
		failed("pre-shared keys", rc, -1);
}

/* ---- when ---- */
static void sites_make(void)
{
	const struct config *config = control.running;

	for (unsigned i = 0; i < config->n_links && !sync_state.busy; i++)
		if (swan_is_ike(&config->links[i]) && config->links[i].underlay)
			site_of(config->links[i].underlay->vrf->name);
}

/* A VRF without IKE links and without a charon is no site; nothing points into the array now. */
static void sites_sweep(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sync_state.n_sites; i++) {
		struct site *site = &sync_state.sites[i];

		if (links_over(site->vrf) || site_there(site))
			sync_state.sites[n++] = *site;
		else
			swan_log_drop(site->vrf);
	}
	sync_state.n_sites = n;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ns();

	(void)fd, (void)what, (void)arg;
	sites_make();
	for (unsigned i = 0; i < sync_state.n_sites; i++) {
		site_look(&sync_state.sites[i]);
		site_missing(&sync_state.sites[i]);
		if (site_there(&sync_state.sites[i]))
			swan_log_watch(sync_state.sites[i].vrf);
	}
	if (!sync_state.busy)
		sites_sweep();
	for (unsigned i = 0; i < sync_state.n_sites && !sync_state.busy; i++)
		if (site_there(&sync_state.sites[i]) && sync_state.sites[i].wanted &&
			now >= sync_state.sites[i].retry_ns)
			serve(&sync_state.sites[i]);
	for (unsigned i = 0; i < sync_state.n_sites && !sync_state.busy; i++)
		if (sync_state.sites[i].loaded && site_there(&sync_state.sites[i]))
			swan_care(sync_state.sites[i].vrf, &sync_state.sites[i].care_ns);
}

void swan_sync(void)
{
	const struct timeval every = { .tv_usec = WATCH_MS * 1000 };

	if (!sync_state.watch) {
		sync_state.watch = event_new(control.base, -1, EV_PERSIST, on_watch, NULL);
		if (!sync_state.watch || event_add(sync_state.watch, &every)) {
			log_event(LOG_LVL_ERR, NULL, "no timer: charon is not managed");
			return;
		}
	}
	for (unsigned i = 0; i < sync_state.n_sites; i++) {
		sync_state.sites[i].wanted = true; /* the digest decides whether it is loaded */
		sync_state.sites[i].retry_ns = 0;
	}
	swan_care_anew();
	event_active(sync_state.watch, EV_TIMEOUT, 0);
}

void swan_stop(void)
{
	event_free(sync_state.watch);
	sync_state.watch = NULL;
	swan_log_forget();
	swan_care_stop();
	free(sync_state.sites);
	sync_state.sites = NULL;
	sync_state.n_sites = 0;
	if (sync_state.text >= 0)
		close(sync_state.text);
	sync_state.text = -1;
}

void swan_status(struct swan_status *ret_status)
{
	struct site *site;

	*ret_status = sync_state.status;
	for (unsigned i = 0; i < sync_state.n_sites; i++) {
		site = &sync_state.sites[i];
		if (!links_over(site->vrf))
			continue;
		ret_status->vrfs++;
		ret_status->in_sync += site->loaded;
		if (!site_there(site))
			snprintf(ret_status->last_error, sizeof(ret_status->last_error),
				"%s: no charon: systemctl start lintas-charon@%s", site->vrf,
				site->vrf);
	}
	if (ret_status->vrfs == ret_status->in_sync)
		ret_status->last_error[0] = '\0';
}
