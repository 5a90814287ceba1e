/* What happened: one line each, to the journal or a terminal, and into the ring that `lintasctl
 * events` shows.
 *
 * Called by the control thread and, rarely, by helper threads; a mutex guards the ring. Every call
 * site may speak SITE_LINES times in SITE_NS; what it says beyond is counted, and the count is said
 * when it may speak again. Subscribers (`lintasctl monitor`) are called in the writer's thread and
 * only from the control thread. Under systemd a line begins with "<N>", the syslog priority the
 * journal understands. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "control.h"

#define RING	    4096 /* entries; a power of two */
#define SITE_LINES  10
#define SITE_NS	    (5ull * 1000000000ull)
#define READERS_MAX 8

static struct {
	pthread_mutex_t lock;
	pthread_t owner; /* the control thread */
	bool journal, debug;
	uint64_t next; /* sequence number of the next entry; the first is 1 */
	struct log_entry ring[RING];
	struct {
		void (*cb)(const struct log_entry *, void *arg);
		void *arg;
	} readers[READERS_MAX];
} logs = { .lock = PTHREAD_MUTEX_INITIALIZER, .next = 1 };

/* sd-daemon(3): stderr is a journal stream when it is the device and inode JOURNAL_STREAM names. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char have[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(have, sizeof(have), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(stream, have);
}

void log_init(bool debug)
{
	logs.owner = pthread_self();
	logs.debug = debug;
	logs.journal = is_journal();
}

/* How many lines of this site were left out and must be told now; -1: this one is left out too. */
static int site_pass(struct log_site *site)
{
	uint64_t now = now_ns();
	int left_out = 0;

	if (now - site->window_ns >= SITE_NS) {
		left_out = (int)site->suppressed;
		*site = (struct log_site){ .window_ns = now };
	}
	if (site->in_window >= SITE_LINES) {
		site->suppressed++;
		return -1;
	}
	site->in_window++;
	return left_out;
}

static void print(const struct log_entry *entry)
{
	static const int priority[] = { 3, 4, 5, 6, 7 };
	char when[32] = "";
	time_t t = (time_t)(entry->wall_ns / 1000000000);
	struct tm tm;

	if (logs.journal) {
		fprintf(stderr, "<%d>%s: %s\n", priority[entry->level], entry->subject,
			entry->text);
		return;
	}
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&t, &tm));
	fprintf(stderr, "%s.%03d %s: %s\n", when, (int)(entry->wall_ns / 1000000 % 1000),
		entry->subject, entry->text);
}

/* A name or a text from outside never breaks a line or reaches a terminal as more than text. */
static void make_plain(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

void log_write(
	struct log_site *site, enum log_level level, const char *subject, const char *fmt, ...)
{
	struct log_entry entry = { .level = level };
	struct timespec ts;
	int left_out, n;
	va_list ap;

	if (level == LOG_LVL_DEBUG && !logs.debug)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	entry.wall_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	snprintf(entry.subject, sizeof(entry.subject), "%s", subject ? subject : "lintasd");
	va_start(ap, fmt);
	n = vsnprintf(entry.text, sizeof(entry.text), fmt, ap);
	va_end(ap);

	pthread_mutex_lock(&logs.lock);
	left_out = site_pass(site);
	if (left_out < 0) {
		pthread_mutex_unlock(&logs.lock);
		return;
	}
	if (left_out && n >= 0 && (size_t)n < sizeof(entry.text))
		snprintf(entry.text + n, sizeof(entry.text) - (size_t)n,
			" (and %d like this before)", left_out);
	make_plain(entry.subject);
	make_plain(entry.text);
	entry.seq = logs.next++;
	logs.ring[entry.seq % RING] = entry;
	print(&entry);
	pthread_mutex_unlock(&logs.lock);

	for (unsigned i = 0; i < READERS_MAX && pthread_equal(pthread_self(), logs.owner); i++)
		if (logs.readers[i].cb)
			logs.readers[i].cb(&entry, logs.readers[i].arg);
}

unsigned log_read(uint64_t seq, struct log_entry *entries, unsigned max, uint64_t *ret_next)
{
	unsigned n = 0;

	pthread_mutex_lock(&logs.lock);
	if (seq + RING < logs.next)
		seq = logs.next - RING; /* what was before is gone */
	if (seq == 0)
		seq = 1;
	for (; seq < logs.next && n < max; seq++)
		entries[n++] = logs.ring[seq % RING];
	*ret_next = seq;
	pthread_mutex_unlock(&logs.lock);
	return n;
}

void log_subscribe(void (*cb)(const struct log_entry *, void *arg), void *arg)
{
	for (unsigned i = 0; i < READERS_MAX; i++) {
		if (!logs.readers[i].cb) {
			logs.readers[i].cb = cb;
			logs.readers[i].arg = arg;
			return;
		}
	}
	log_event(LOG_LVL_ERR, NULL, "more than %u subscribers to the log", READERS_MAX);
}
