/* What a session near its limit is told next, which lists a new lintasd takes over, and what our
 * filters say of one prefix. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control/control.h"
#include "control/frr.h"
#include "control/frr_own.h"
#include "control/privileges.h"
#include "unit.h"

static struct ip_prefix prefix_of(const char *text)
{
	struct ip_prefix prefix = { 0 };

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(text, &prefix), 0);
	return prefix;
}

/* ---- the decision ---- */
/* "1 2 3": 10.0.1.0/24 and so on. */
static struct frr_prefixes set_of(const char *numbers)
{
	struct frr_prefixes set = { 0 };
	char text[32];
	int n;

	while (sscanf(numbers, " %d", &n) == 1) {
		struct ip_prefix prefix;

		snprintf(text, sizeof(text), "10.0.%d.0/24", n);
		prefix = prefix_of(text);
		CU_ASSERT_EQUAL_FATAL(frr_prefixes_add(&set, &prefix), 0);
		numbers += strspn(numbers, " ");
		numbers += strspn(numbers, "0123456789");
	}
	return set;
}

/* old NULL: there is no list yet. */
static void decide(const char *candidates, const char *advertised, const char *old, unsigned max,
	const char *wanted, bool same)
{
	struct frr_decision *d = calloc(1, sizeof(*d));
	char said[256] = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	d->candidates = set_of(candidates);
	d->advertised = set_of(advertised);
	d->listed = old;
	d->old = set_of(old ? old : "");
	d->max = max;
	frr_guard_decide(d);
	CU_ASSERT_EQUAL(d->rc, 0);
	for (unsigned i = 0; i < d->next.n; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%u", i ? " " : "",
			d->next.items[i].bytes[2]);
	CU_ASSERT_STRING_EQUAL(said, wanted);
	CU_ASSERT_EQUAL(d->same, same);
	frr_decision_free(d);
}

static void test_begins(void)
{
	/* What was told stays told, whatever order the others have. */
	decide("1 2 3 4 5 6", "6 5 3", NULL, 4, "1 3 5 6", false);
	decide("1 2 3 4 5 6", "6 5 3 2", NULL, 4, "2 3 5 6", false);
	decide("6 1 4", "4 6", NULL, 10, "1 4 6", false);
	/* Told, and gone since: its place is not given away before FRR has taken it back. */
	decide("1 2 3 4", "8 9 4", NULL, 4, "1 4", false);
}

static void test_goes_on(void)
{
	decide("1 2 3 4 5 6", "3 4 5 6", "3 4 5 6", 4, "3 4 5 6", true);
	/* One has gone: first it leaves, later another takes its place. */
	decide("1 2 3 4 5", "3 4 5 6", "3 4 5 6", 4, "3 4 5", false);
	decide("1 2 3 4 5", "3 4 5 6", "3 4 5", 4, "3 4 5", true);
	decide("1 2 3 4 5", "3 4 5", "3 4 5", 4, "1 3 4 5", false);
	/* The limit became smaller. */
	decide("1 2 3 4 5", "2 3 4 5", "2 3 4 5", 2, "2 3", false);
	decide("", "", "3 4", 4, "", false);
	decide("1", "", "", 4, "1", false);
}

/* Whatever comes and goes: list and told together are never above the limit. */
static void test_never_above(void)
{
	bool alive[40] = { false }, told[40] = { false }, listed[40] = { false };
	unsigned random = 7;

	for (unsigned round = 0; round < 2000; round++) {
		struct frr_decision *d = calloc(1, sizeof(*d));
		unsigned both = 0;
		char text[32];

		for (unsigned i = 0; i < 40; i++) {
			struct ip_prefix p;

			random = random * 1103515245u + 12345u;
			if ((random >> 16) % 8 == 0)
				alive[i] = !alive[i];
			snprintf(text, sizeof(text), "10.0.%u.0/24", i);
			p = prefix_of(text);
			if (alive[i])
				frr_prefixes_add(&d->candidates, &p);
			if (told[i])
				frr_prefixes_add(&d->advertised, &p);
			if (listed[i])
				frr_prefixes_add(&d->old, &p);
		}
		d->listed = round > 0;
		d->max = 10;
		frr_guard_decide(d);
		memset(listed, 0, sizeof(listed));
		for (unsigned i = 0; i < d->next.n; i++)
			listed[d->next.items[i].bytes[2]] = true;
		for (unsigned i = 0; i < 40; i++)
			both += listed[i] || told[i];
		CU_ASSERT_FATAL(both <= 10);
		/* FRR may have carried it out by the next look, in part. */
		for (unsigned i = 0; i < 40; i++) {
			random = random * 1103515245u + 12345u;
			if ((random >> 16) % 2)
				told[i] = listed[i] && alive[i];
		}
		frr_decision_free(d);
	}
}

/* ---- the lists of a former lintasd ---- */
static void test_found(void)
{
	static const char running[] =
		"frr version 8.4.4\n"
		"ip prefix-list aws-dx1-out4 seq 5 permit 10.0.0.0/8 le 32\n"
		"ip prefix-list aws-dx1-out4-held seq 5 permit 10.2.0.0/16\n"
		"ip prefix-list aws-dx1-out4-held seq 10 permit 10.1.0.0/16\n"
		"ipv6 prefix-list aws-dx1-out6-held seq 5 permit 2001:db8::/32\n"
		"ipv6 prefix-list aws-dx1-out6-held seq 6 deny 2001:db9::/32\n"
		"ip prefix-list gcp-out4-held seq 5 permit nonsense\n"
		"ip prefix-list -out4-held seq 5 permit 10.0.0.0/8\n"
		"ip prefix-list gcp-out4-held-not seq 5 permit 10.0.0.0/8\n"
		"router bgp 64600 vrf prod";
	struct frr_guard *found = NULL;
	unsigned n = 0;

	CU_ASSERT_EQUAL_FATAL(frr_guard_found(running, &found, &n), 0);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT_STRING_EQUAL(found[0].link, "aws-dx1");
	CU_ASSERT(!found[0].v6 && found[0].n == 2);
	CU_ASSERT_EQUAL(found[0].items[0].bytes[1], 1); /* sorted */
	CU_ASSERT_STRING_EQUAL(found[1].link, "aws-dx1");
	CU_ASSERT(found[1].v6 && found[1].n == 1 && found[1].items[0].len == 32);
	frr_guard_found_free(found, n);
	CU_ASSERT_EQUAL(frr_guard_found("", &found, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	frr_guard_found_free(found, n);
}

/* ---- verdicts ---- */
static struct cfg_filter accept_items[2], announce_items[2];
static struct cfg_zone zones[2] = { { .name = "aws" }, { .name = "gcp" } };
static struct cfg_link aws;
static struct config config = { .zones = zones, .n_zones = 2, .links = &aws, .n_links = 1 };

static void begin(void)
{
	accept_items[0] = (struct cfg_filter){ .prefix = prefix_of("10.0.0.0/8"), .le = 24 };
	announce_items[0] = (struct cfg_filter){ .prefix = prefix_of("0.0.0.0/0"), .le = 32 };
	announce_items[1] = (struct cfg_filter){ .prefix = prefix_of("fd00::/8"), .le = 64 };
	memset(&aws, 0, sizeof(aws));
	strcpy(aws.name, "aws-dx1");
	aws.zone = &zones[0];
	aws.bgp.present = true;
	aws.bgp.accept = (struct cfg_filter_list){ .items = accept_items, .n = 1 };
	aws.bgp.announce = (struct cfg_filter_list){ .items = announce_items, .n = 2 };
}

static enum frr_verdict in(const char *text)
{
	struct ip_prefix prefix = prefix_of(text);

	return frr_judge_in(&aws, &prefix);
}

static enum frr_verdict out(
	const char *text, const struct frr_orders *orders, bool own, const struct cfg_zone *from)
{
	struct ip_prefix prefix = prefix_of(text);

	return frr_judge_out(&config, orders, &aws, &prefix, own, from);
}

static void test_verdicts_in(void)
{
	begin();
	CU_ASSERT_EQUAL(in("10.1.0.0/16"), FRR_PASSES);
	CU_ASSERT_EQUAL(in("10.1.1.0/25"), FRR_UNLISTED); /* le 24 */
	CU_ASSERT_EQUAL(in("11.0.0.0/8"), FRR_UNLISTED);
	CU_ASSERT_EQUAL(in("169.254.10.0/30"), FRR_NEVER);
	CU_ASSERT_EQUAL(in("fe80::/64"), FRR_NEVER);
	CU_ASSERT_EQUAL(in("2001:db8::/32"), FRR_NO_POLICY); /* the list is IPv4's alone */
	aws.bgp.accept.n = 0;
	CU_ASSERT_EQUAL(in("10.1.0.0/16"), FRR_NO_POLICY);
	for (unsigned i = 1; i < FRR_VERDICTS; i++)
		CU_ASSERT(frr_verdict_texts[i] && strlen(frr_verdict_texts[i]) > 5);
}

static void test_verdicts_out(void)
{
	struct ip_prefix held = prefix_of("10.1.0.0/16");
	uint8_t silent = FRR_SILENT, low = FRR_LOW;
	struct frr_guard guard = { .link = "aws-dx1", .items = &held, .n = 1 };
	const struct frr_orders quiet = { .conduct = &silent }, grey = { .conduct = &low },
				guarded = { .guards = &guard, .n_guards = 1 };

	begin();
	CU_ASSERT_EQUAL(out("10.1.0.0/16", NULL, true, NULL), FRR_PASSES);
	CU_ASSERT_EQUAL(out("10.1.0.0/16", NULL, false, &zones[1]), FRR_NO_REACH);
	CU_ASSERT_EQUAL(out("fd00:1::/64", NULL, true, NULL), FRR_PASSES);
	CU_ASSERT_EQUAL(out("fd00:1::/65", NULL, true, NULL), FRR_UNLISTED);
	CU_ASSERT_EQUAL(out("127.0.0.0/8", NULL, true, NULL), FRR_NEVER); /* whatever the list */
	CU_ASSERT_EQUAL(out("10.1.0.0/16", &quiet, true, NULL), FRR_QUIET);
	CU_ASSERT_EQUAL(out("10.1.0.0/16", &grey, true, NULL), FRR_PASSES);
	CU_ASSERT_EQUAL(out("10.1.0.0/16", &guarded, true, NULL), FRR_PASSES);
	CU_ASSERT_EQUAL(out("10.2.0.0/16", &guarded, true, NULL), FRR_OVER);
	CU_ASSERT_EQUAL(out("fd00:1::/64", &guarded, true, NULL), FRR_PASSES); /* IPv4's guard */
	/* The first reason in the order in which FRR asks. */
	CU_ASSERT_EQUAL(out("10.2.0.0/16", &guarded, false, &zones[1]), FRR_NO_REACH);
	aws.bgp.announce.n = 0;
	CU_ASSERT_EQUAL(out("10.1.0.0/16", NULL, true, NULL), FRR_NO_POLICY);
}

/* What links do is kept by their place in a configuration: another with as many links is another.
 */
static void test_conduct_of_its_configuration(void)
{
	struct config *running = control.running;
	uint64_t generation = control.generation;
	struct frr_orders orders;

	begin();
	control.running = &config;
	CU_ASSERT_PTR_NOT_NULL_FATAL(frr_conduct_now(&config));
	frr_orders_now(&orders);
	CU_ASSERT_PTR_NOT_NULL(orders.conduct);
	CU_ASSERT(!frr_conduct_changed(&config));
	control.generation++;
	frr_orders_now(&orders);
	CU_ASSERT_PTR_NULL(orders.conduct);
	CU_ASSERT_PTR_NOT_NULL(frr_conduct_now(&config));
	frr_orders_now(&orders);
	CU_ASSERT_PTR_NOT_NULL(orders.conduct);
	control.running = running;
	control.generation = generation;
}

/* No core file and no ptrace of what holds keys, unless it is asked for. */
static int dumpable_after(const char *wish)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (wish)
			setenv("LINTAS_DUMPABLE", wish, 1);
		else
			unsetenv("LINTAS_DUMPABLE");
		if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) || privileges_close())
			_exit(99);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	}
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_keys_stay_here(void)
{
	CU_ASSERT_EQUAL(dumpable_after(NULL), 0);
	CU_ASSERT_EQUAL(dumpable_after("0"), 0);
	CU_ASSERT_EQUAL(dumpable_after("1"), 1);
}

void unit_frr_guard(void)
{
	static const struct unit_test tests[] = {
		{ "begins", test_begins },
		{ "goes_on", test_goes_on },
		{ "never_above", test_never_above },
		{ "found", test_found },
		{ "verdicts_in", test_verdicts_in },
		{ "verdicts_out", test_verdicts_out },
		{ "conduct_of_its_configuration", test_conduct_of_its_configuration },
		{ "keys_stay_here", test_keys_stay_here },
	};

	UNIT_SUITE("frr_guard", tests);
}
