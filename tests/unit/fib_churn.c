/* Forwarding tables while readers read: every answer must have been right at some moment of its
 * lookup.
 *
 * History: version v of the table answers answer[v % HISTORY][probe]. The writer writes the next
 * row, announces it, updates, and then says it is done; so a lookup made between `done` = a and
 * `announced` = b must be in one of the rows a..b, and all it could have overlapped are those.
 * Atomics only, so that ThreadSanitizer follows. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "dataplane/reclaim.h"
#include "fib_table.h"

#define PROBES	 64u
#define UNIVERSE 192u
#define HISTORY	 4096u
#define READERS	 2u
#define FILLERS	 1200u /* make the root table grow; then they go, and it shrinks */

static struct {
	struct table table;
	uint8_t probe[PROBES][16];
	struct prefix universe[UNIVERSE];
	uint32_t value[UNIVERSE]; /* writer: 0 = not there */
	_Atomic uint32_t answer[HISTORY][PROBES];
	_Atomic uint64_t announced, done;
	atomic_bool stop;
	atomic_uint wrong;
	_Atomic uint64_t checked;
} churn;

static bool in_rows(uint64_t from, uint64_t to, unsigned probe, uint32_t value)
{
	for (uint64_t v = from; v <= to; v++)
		if (atomic_load_explicit(&churn.answer[v % HISTORY][probe], memory_order_acquire) ==
			value)
			return true;
	return false;
}

static void *churn_reader(void *arg)
{
	unsigned worker = *(const unsigned *)arg;
	bool mixed = false;

	reclaim_online(worker);
	while (!atomic_load_explicit(&churn.stop, memory_order_relaxed)) {
		uint64_t from = atomic_load_explicit(&churn.done, memory_order_acquire), to;
		uint32_t got[PROBES];
		unsigned wrong = 0;

		table_lookup(&churn.table, churn.probe, got, PROBES, mixed);
		mixed = !mixed;
		to = atomic_load_explicit(&churn.announced, memory_order_acquire);
		for (unsigned i = 0; i < PROBES; i++)
			wrong += !in_rows(from, to, i, got[i]);
		/* Was the oldest row overwritten meanwhile? Then nothing is proved. All loads above
		 * are acquire loads, so this one is the last. */
		if (atomic_load_explicit(&churn.announced, memory_order_acquire) - from <
			HISTORY - 1) {
			atomic_fetch_add(&churn.wrong, wrong);
			atomic_fetch_add(&churn.checked, PROBES);
		}
		reclaim_quiescent(worker);
	}
	reclaim_offline(worker);
	return NULL;
}

static uint32_t universe_lookup(const uint8_t *addr)
{
	int len = -1;
	uint32_t value = 0;

	for (unsigned i = 0; i < UNIVERSE; i++)
		if (churn.value[i] && churn.universe[i].len > len &&
			covers(&churn.universe[i], addr)) {
			len = churn.universe[i].len;
			value = churn.value[i];
		}
	return value;
}

static int churn_update(unsigned at, uint32_t value)
{
	uint64_t v = atomic_load_explicit(&churn.done, memory_order_relaxed) + 1;
	int err;

	churn.value[at] = value;
	for (unsigned i = 0; i < PROBES; i++) {
		uint32_t answer =
			covers(&churn.universe[at], churn.probe[i])
				? universe_lookup(churn.probe[i])
				: atomic_load_explicit(&churn.answer[(v - 1) % HISTORY][i],
					  memory_order_relaxed);

		atomic_store_explicit(&churn.answer[v % HISTORY][i], answer, memory_order_relaxed);
	}
	atomic_store_explicit(&churn.announced, v, memory_order_release);
	err = value ? table_set(&churn.table, &churn.universe[at], value)
		    : table_del(&churn.table, &churn.universe[at]);
	atomic_store_explicit(&churn.done, v, memory_order_release);
	return err;
}

static void churn_prepare(unsigned bits)
{
	memset(&churn, 0, sizeof(churn));
	seed = 1234 + bits;
	churn.table = table_create(bits, reclaim_defer);
	for (unsigned i = 0; i < UNIVERSE; i++) {
		struct prefix *p = &churn.universe[i];
		bool fresh;

		do { /* each prefix once */
			*p = random_nested(bits);
			fresh = true;
			for (unsigned j = 0; j < i; j++)
				fresh = fresh &&
					(churn.universe[j].len != p->len ||
						memcmp(churn.universe[j].bytes, p->bytes, 16));
		} while (!fresh);
	}
	for (unsigned i = 0; i < PROBES; i++)
		near(&churn.universe[random_below(UNIVERSE)], bits, churn.probe[i]);
}

static bool is_probe(const struct prefix *p)
{
	for (unsigned i = 0; i < PROBES; i++)
		if (!memcmp(churn.probe[i], p->bytes, 16))
			return true;
	return false;
}

/* Host routes beside the probes, a hundred at a time. */
static int churn_fill(struct prefix *filler, unsigned *n, bool up)
{
	int err = 0;

	for (unsigned i = 0; i < 100 && !err; i++) {
		if (up && *n < FILLERS && !is_probe(&filler[*n]))
			err = table_set(&churn.table, &filler[*n], 77);
		else if (!up && *n && !is_probe(&filler[*n - 1]))
			err = table_del(&churn.table, &filler[*n - 1]);
		if (up && *n < FILLERS)
			(*n)++;
		else if (!up && *n)
			(*n)--;
	}
	return err == -ENOENT ? 0 : err; /* the same filler twice */
}

/* They must be none of the prefixes. */
static void churn_fillers(unsigned bits, struct prefix *filler)
{
	for (unsigned i = 0; i < FILLERS; i++) {
		struct prefix noise;

		filler[i] = random_nested(bits);
		random_bytes(noise.bytes, bits);
		memcpy(filler[i].bytes + 2, noise.bytes + 2, bits / 8 - 2);
		filler[i].len = (uint8_t)bits;
		for (unsigned j = 0; j < UNIVERSE; j++)
			if (!memcmp(churn.universe[j].bytes, filler[i].bytes, 16))
				filler[i].bytes[0] ^= 0x40;
	}
}

static int churn_write(unsigned updates, struct prefix *filler)
{
	unsigned n_filler = 0;
	int err = 0;

	for (unsigned i = 0; i < updates && !err; i++) {
		unsigned at = random_below(UNIVERSE);

		err = churn_update(
			at, churn.value[at] && random_below(2) ? 0 : 1 + random_below(50));
		if (err == -ENOENT)
			err = 0; /* a delete of what was not there */
		if (!err && i % 50 == 0)
			err = churn_fill(filler, &n_filler, i / 750 % 2 == 0);
		if (i % 16 == 0)
			reclaim_poll();
	}
	return err;
}

const char *fib_churn(unsigned bits, unsigned updates)
{
	struct prefix *filler = calloc(FILLERS, sizeof(*filler));
	unsigned worker[READERS], started = 0;
	pthread_t reader[READERS];
	const char *bad = NULL;
	time_t deadline;

	if (!filler || reclaim_init(READERS))
		return "no memory";
	churn_prepare(bits);
	churn_fillers(bits, filler);
	for (; started < READERS; started++) {
		worker[started] = started;
		if (pthread_create(&reader[started], NULL, churn_reader, &worker[started])) {
			bad = "no thread";
			break;
		}
	}
	if (!bad && churn_write(updates, filler))
		bad = "an update was refused";
	deadline = time(NULL) + 60;
	while (!bad && atomic_load(&churn.checked) < 1000 * PROBES)
		if (time(NULL) >= deadline)
			bad = "readers have read nothing";
	atomic_store(&churn.stop, true);
	for (unsigned i = 0; i < started; i++)
		pthread_join(reader[i], NULL);
	if (!bad && atomic_load(&churn.wrong))
		bad = "a reader got what was right neither before nor after";
	reclaim_poll();
	table_destroy(&churn.table);
	reclaim_flush(); /* what was retired comes back after the table is gone */
	free(filler);
	return bad;
}
