/* SIGHUP and `lintasctl reload`: read, check, compare, and drive apply.c through the difference.
 *
 * Reading and checking happen in a helper thread (a large file takes longer than the loop may be
 * held), one at a time; the difference is applied in steps of at most half the loop's budget.
 * Requests that come while one runs share the next: a hundred in a second are two. A file with
 * errors changes nothing; all its errors are kept in control.last_errors. */
#include <errno.h>
#include <string.h>
#include "apply.h"
#include "bring.h"
#include "frr.h"
#include "swan.h"

#define WAITERS_MAX 64
#define CLOSING_MS  5

struct waiter {
	void (*done)(int rc, unsigned ops, void *arg);
	void *arg;
};

static struct {
	bool running, again; /* again: asked for while one ran */
	bool parsed;	     /* read and checked, not begun */
	struct apply apply;
	struct cfg_errors errors;
	struct event *go_on;
	struct waiter waiters[2][WAITERS_MAX]; /* of this one, and of the next */
	unsigned n[2];
} reload;

static void reload_begin(void);

static void reload_end(int rc, unsigned ops)
{
	struct waiter waiters[WAITERS_MAX];
	unsigned n = reload.n[0];

	memcpy(waiters, reload.waiters[0], n * sizeof(waiters[0]));
	memcpy(reload.waiters[0], reload.waiters[1], reload.n[1] * sizeof(waiters[0]));
	reload.n[0] = reload.n[1];
	reload.n[1] = 0;
	reload.running = false;
	cfg_diff_free(&reload.apply.diff);
	memset(&reload.apply, 0, sizeof(reload.apply));
	for (unsigned i = 0; i < n; i++)
		waiters[i].done(rc, ops, waiters[i].arg);
	if (reload.again)
		reload_begin();
}

static void reload_refused(int rc)
{
	control.reload_failures++;
	cfg_errors_free(&control.last_errors);
	control.last_errors = reload.errors;
	memset(&reload.errors, 0, sizeof(reload.errors));
	for (unsigned i = 0; i < control.last_errors.n && i < 5; i++) {
		const struct cfg_error *e = &control.last_errors.items[i];

		if (!e->warning)
			log_event(LOG_LVL_ERR, NULL, "%s:%u: %s%s%s", e->file ? e->file : "",
				e->line, e->key ? e->key : "", e->key ? ": " : "", e->text);
	}
	log_event(LOG_LVL_ERR, NULL, "reload refused, nothing has changed: %u errors (%s)",
		control.last_errors.n_fatal, strerror(-rc));
	reload_end(rc, 0);
}

/* As many steps as the budget allows; the rest when the loop comes round again. */
static void reload_steps(void)
{
	uint64_t begin = now_ns();
	unsigned ops = reload.apply.diff.n;
	int rc;

	do {
		rc = apply_step(&reload.apply);
	} while (rc > 0 && now_ns() - begin < CONTROL_BUDGET_US * 500ull);
	if (rc > 0) {
		event_active(reload.go_on, 0, 0);
	} else if (rc) {
		config_free(reload.apply.next);
		reload_refused(rc);
	} else {
		cfg_errors_free(&reload.errors);
		log_event(LOG_LVL_NOTICE, NULL, "generation %llu applied: %u changes%s",
			(unsigned long long)control.generation, ops,
			control.needs_restart ? "; some wait for a restart" : "");
		reload_end(0, ops);
	}
}

static void reload_parsed(void);

static void on_go_on(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	if (reload.parsed)
		reload_parsed();
	else
		reload_steps();
}

static void reload_parsed(void)
{
	const struct timeval soon = { .tv_usec = CLOSING_MS * 1000 };
	struct apply *a = &reload.apply;
	int rc;

	if (bring_closing()) { /* what the change before removed may come back by this one */
		event_add(reload.go_on, &soon);
		return;
	}
	reload.parsed = false;
	if (!a->next) {
		reload_refused(-EINVAL);
		return;
	}
	control.reloads++;
	a->before = control.running;
	rc = apply_difference(a);
	if (rc) {
		config_free(a->next);
		reload_refused(rc);
	} else if (a->diff.n == 0) {
		config_free(a->next);
		cfg_errors_free(&reload.errors);
		log_event(LOG_LVL_INFO, NULL, "reload: nothing has changed");
		if (control.running->routing == CFG_ROUTING_FRR)
			frr_sync(); /* a key may have, and what somebody did at vtysh ends here */
		swan_sync();
		reload_end(0, 0);
	} else {
		reload_steps();
	}
}

static void parse(void *arg)
{
	(void)arg; /* the loop leaves apply.next and errors alone meanwhile */
	reload.apply.next = config_load(control.config_path, &reload.errors);
}

static void on_parsed(void *arg)
{
	(void)arg;
	reload.parsed = true;
	reload_parsed();
}

static void reload_begin(void)
{
	int rc;

	reload.again = false;
	reload.running = true;
	if (!reload.go_on)
		reload.go_on = event_new(control.base, -1, 0, on_go_on, NULL);
	rc = reload.go_on ? control_offload(parse, on_parsed, NULL) : -ENOMEM;
	if (rc)
		reload_refused(rc);
}

int control_reload_async(void (*done)(int rc, unsigned ops, void *arg), void *arg)
{
	unsigned which = reload.running;

	if (done && reload.n[which] == WAITERS_MAX)
		return -EAGAIN;
	if (done)
		reload.waiters[which][reload.n[which]++] = (struct waiter){ done, arg };
	if (reload.running)
		reload.again = true;
	else
		reload_begin();
	return 0;
}

void reload_stop(void)
{
	for (unsigned which = 0; which < 2; which++)
		for (unsigned i = 0; i < reload.n[which]; i++)
			reload.waiters[which][i].done(-ECANCELED, 0, reload.waiters[which][i].arg);
	reload.n[0] = reload.n[1] = 0;
	event_free(reload.go_on);
	reload.go_on = NULL;
}
