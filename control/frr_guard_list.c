/* What a session under guard is told: sets of prefixes, the decision, and the lists that FRR runs
 * with when lintasd starts.
 *
 * Pure, because a hundred thousand prefixes are tens of milliseconds: frr_guard.c has it done in a
 * helper thread. The decision: what the list holds and is still there stays; only when nothing left
 * it, others that wait are added, first come by order of prefix, while the list and all that was
 * told together stay within the limit. So no order in which FRR carries it out can exceed it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "frr_own.h"

#define GUARDS_MAX 256 /* lists that are taken over */

/* ---- sets ---- */
static int prefix_order(const void *a, const void *b)
{
	return ip_prefix_compare(a, b);
}

static bool set_has(const struct frr_prefixes *set, const struct ip_prefix *prefix)
{
	return set->n && bsearch(prefix, set->items, set->n, sizeof(*prefix), prefix_order);
}

static void set_sort(struct frr_prefixes *set)
{
	if (set->n)
		qsort(set->items, set->n, sizeof(*set->items), prefix_order);
}

int frr_prefixes_add(struct frr_prefixes *set, const struct ip_prefix *prefix)
{
	if ((set->n & (set->n - 1)) == 0) { /* doubles at 1, 2, 4 … */
		struct ip_prefix *more =
			realloc(set->items, (set->n ? set->n * 2 : 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		set->items = more;
	}
	set->items[set->n++] = *prefix;
	return 0;
}

void frr_decision_free(struct frr_decision *d)
{
	if (!d)
		return;
	free(d->candidates.items);
	free(d->advertised.items);
	free(d->old.items);
	free(d->next.items);
	free(d);
}

/* ---- deciding ---- */
static int others_add(struct frr_decision *d, const struct frr_prefixes *keep, unsigned room)
{
	int rc = 0;

	for (unsigned i = 0; !rc && room && i < d->candidates.n; i++) {
		const struct ip_prefix *p = &d->candidates.items[i];

		if (set_has(keep, p))
			continue;
		rc = frr_prefixes_add(&d->next, p);
		room--;
	}
	return rc;
}

void frr_guard_decide(struct frr_decision *d)
{
	const struct frr_prefixes *keep = d->listed ? &d->old : &d->advertised;
	unsigned both = d->listed ? d->old.n : 0;

	d->rc = 0;
	set_sort(&d->candidates);
	set_sort(&d->advertised);
	for (unsigned i = 0; !d->rc && i < keep->n && d->next.n < d->max; i++)
		if (set_has(&d->candidates, &keep->items[i]))
			d->rc = frr_prefixes_add(&d->next, &keep->items[i]);
	for (unsigned i = 0; i < d->advertised.n; i++)
		both += !d->listed || !set_has(&d->old, &d->advertised.items[i]);
	if (!d->rc && both < d->max && (!d->listed || d->next.n == d->old.n))
		d->rc = others_add(d, keep, d->max - both);
	set_sort(&d->next);
	d->same = d->listed && d->next.n == d->old.n &&
		  (!d->old.n ||
			  !memcmp(d->next.items, d->old.items, d->old.n * sizeof(*d->next.items)));
}

/* ---- the lists that FRR runs with ---- */
/* "ip prefix-list LINK-out4-held seq 5 permit 10.0.0.0/24", and what else begins like it. */
static bool line_parse(const char *line, size_t len, char link[CFG_NAME_MAX], bool *ret_v6,
	struct ip_prefix *ret_prefix)
{
	char text[256], name[64], action[8], prefix[64], *tail;
	unsigned seq;

	if (len >= sizeof(text) || strncmp(line, "ip", 2))
		return false;
	memcpy(text, line, len);
	text[len] = '\0';
	*ret_v6 = text[2] == 'v';
	if (sscanf(text,
		    *ret_v6 ? "ipv6 prefix-list %63s seq %u %7s %63s"
			    : "ip prefix-list %63s seq %u %7s %63s",
		    name, &seq, action, prefix) != 4 ||
		strcmp(action, "permit") || ip_prefix_parse(prefix, ret_prefix))
		return false;
	tail = strstr(name, *ret_v6 ? "-out6-held" : "-out4-held");
	if (!tail || tail[10] || tail == name || tail - name >= CFG_NAME_MAX)
		return false;
	*tail = '\0';
	strcpy(link, name);
	return (ret_prefix->af == AF_INET6) == *ret_v6;
}

struct found {
	struct frr_guard *guards;
	struct frr_prefixes set; /* of the last */
	unsigned n;
};

static void found_end(struct found *f)
{
	if (!f->n)
		return;
	set_sort(&f->set);
	f->guards[f->n - 1].items = f->set.items;
	f->guards[f->n - 1].n = f->set.n;
	f->set = (struct frr_prefixes){ 0 };
}

void frr_guard_found_free(struct frr_guard *found, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free(found[i].items);
	free(found);
}

int frr_guard_found(const char *running, struct frr_guard **ret_found, unsigned *ret_n)
{
	struct found f = { calloc(GUARDS_MAX, sizeof(*f.guards)), { 0 }, 0 };
	struct frr_guard *last = NULL;
	char link[CFG_NAME_MAX];
	struct ip_prefix prefix;
	int rc = f.guards ? 0 : -ENOMEM;
	bool v6;

	for (size_t len; !rc && *running; running += len + (running[len] == '\n')) {
		len = strcspn(running, "\n");
		if (!line_parse(running, len, link, &v6, &prefix))
			continue;
		if (!last || last->v6 != v6 || strcmp(last->link, link)) {
			if (f.n == GUARDS_MAX)
				break;
			found_end(&f);
			last = &f.guards[f.n++];
			strcpy(last->link, link);
			last->v6 = v6;
		}
		rc = frr_prefixes_add(&f.set, &prefix);
	}
	if (f.guards)
		found_end(&f);
	*ret_found = f.guards;
	*ret_n = f.n;
	return rc;
}
