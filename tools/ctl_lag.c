/* `lag show`: a line a LAG, then one a member with what both ends of LACP say. */
#include <stdio.h>
#include <string.h>
#include "ctl.h"

static void words(FILE *out, const json_t *list)
{
	json_t *word;
	size_t i;

	json_array_foreach(list, i, word)
		fprintf(out, " %s", json_string_value(word));
	fputs("\n", out);
}

static void side(FILE *out, const char *who, const json_t *info)
{
	if (!json_is_object(info)) {
		fprintf(out, "      %-8s not heard\n", who);
		return;
	}
	fprintf(out, "      %-8s %s priority %lld key %lld port %lld:", who,
		get_str(info, "system", "?"), (long long)get_int(info, "system_priority"),
		(long long)get_int(info, "key"), (long long)get_int(info, "port"));
	words(out, json_object_get(info, "state"));
}

static void print_member(FILE *out, const json_t *m)
{
	const json_t *pdus = json_object_get(m, "pdus");
	const char *why = get_str(m, "why", NULL);
	char rx[FORMAT_LEN], tx[FORMAT_LEN];

	fprintf(out, "  %lld %s: %s%s%s, %lld of 256 shares, rx %s tx %s packets\n",
		(long long)get_int(m, "member"), get_str(m, "device", "?"),
		get_bool(m, "distributing") ? "distributing"
		: get_bool(m, "collecting") ? "collecting only"
					    : "not used",
		why ? ": " : "", why ? why : "", (long long)get_int(m, "slots"),
		format_count((uint64_t)get_int(m, "rx_packets"), rx),
		format_count((uint64_t)get_int(m, "tx_packets"), tx));
	if (!pdus)
		return;
	side(out, "actor", json_object_get(m, "actor"));
	side(out, "partner", json_object_get(m, "partner"));
	fprintf(out,
		"      pdus     rx %lld tx %lld bad %lld markers %lld; expired %lld times; "
		"receive %s, mux %s\n",
		(long long)get_int(pdus, "rx"), (long long)get_int(pdus, "tx"),
		(long long)get_int(pdus, "bad"), (long long)get_int(pdus, "markers"),
		(long long)get_int(pdus, "expirations"), get_str(m, "receive", "?"),
		get_str(m, "mux", "?"));
	if (get_str(pdus, "bad_why", NULL))
		fprintf(out, "      last bad %s\n", get_str(pdus, "bad_why", ""));
}

void print_lag(struct ctl_print *print, const json_t *l)
{
	const json_t *members = json_object_get(l, "members");
	const char *why = get_str(l, "why", NULL);
	json_t *m;
	size_t i;

	fprintf(print->out, "%s %s%s%s%s  lacp %s  min_links %lld  mac %s\n",
		get_str(l, "name", "?"), get_bool(l, "up") ? "up" : "down", why ? " (" : "",
		why ? why : "", why ? ")" : "", get_str(l, "lacp", "?"),
		(long long)get_int(l, "min_links"), get_str(l, "mac", "?"));
	json_array_foreach(members, i, m)
		print_member(print->out, m);
}
