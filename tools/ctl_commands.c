/* The table of commands, and how words find their way into it. Parsing, `--help`, `--commands`
 * (which shell completion reads) and the printers all hang on this table. */
#include <string.h>
#include "ctl.h"

/* clang-format off */
#define VRF      { CTL_TEXT, "vrf", "vrf", "VRF", false, "vrf" }
#define LEVEL    { CTL_TEXT, "level", "level", "LEVEL", false, "level" }
#define CONFIG   { CTL_TEXT, "config", "config", "FILE", false, "file" }
#define NAME(of) { CTL_TEXT, NULL, "name", "NAME", false, of }
/* clang-format on */

const struct ctl_command ctl_commands[] = {
	{ .object = "status",
		.verb = "",
		.api = "status",
		.item = print_status,
		.help = "the router on one screen" },
	{ .object = "port",
		.verb = "show",
		.api = "port show",
		.args = { NAME("port") },
		.item = print_port,
		.columns = "PORT|STATE|DEVICE|DRIVER|SPEED|>MTU|>RXQ|>TXQ|"
			   ">RX PKTS|>TX PKTS|>RX BYTES|>TX BYTES|>MISSED|>ERRORS|>BUFFERS",
		.empty = "no ports",
		.help = "ports: device, carrier, queues, packets, errors" },
	{ .object = "lag",
		.verb = "show",
		.api = "lag show",
		.args = { NAME("lag") },
		.item = print_lag,
		.empty = "no link aggregations: a port with `lag` is one",
		.help = "link aggregations: members, what LACP has agreed on" },
	{ .object = "link",
		.verb = "show",
		.api = "link show",
		.args = { NAME("link") },
		.item = print_link,
		.columns = "LINK|STATE|HEALTH|VRF|ZONE|PATH|ATTACHMENT|ADDRESSES|>MTU|"
			   ">RX PKTS|>RX BYTES|>TX PKTS|>TX BYTES|>DROPS",
		.empty = "no links",
		.help = "links: state and why, VRF, addresses, traffic" },
	{ .object = "link",
		.verb = "effective",
		.api = "link effective",
		.args = { { CTL_TEXT, NULL, "name", "NAME", true, "link" }, CONFIG },
		.item = print_effective,
		.columns = CTL_EFFECTIVE_COLUMNS,
		.run = run_effective,
		.help = "every value in force on a link, and where it is from; `link show NAME "
			"--effective` is the same; with --config no daemon is asked" },
	{ .object = "link",
		.verb = "diagnose",
		.api = "link diagnose",
		.args = { { CTL_TEXT, NULL, "name", "NAME", true, "link" } },
		.item = print_diagnose,
		.help = "a link's layers, the first that fails, and whose turn it is" },
	{ .object = "link",
		.verb = "sheet",
		.args = { { CTL_TEXT, NULL, "name", "NAME", true, "link" }, CONFIG },
		.run = run_sheet,
		.help = "what to set at the provider, or to send to the partner; needs no daemon" },
	{ .object = "link",
		.verb = "import",
		.args = { { CTL_TEXT, NULL, "file", "FILE", true, "file" },
			{ CTL_TEXT, "name", "name", "NAME", false, NULL },
			{ CTL_TEXT, "id", "id", "ID", false, NULL }, CONFIG,
			{ CTL_LIST, "with", "with", "FILE...", false, "file" } },
		.run = run_import,
		.help = "entries for lintas.conf from what a provider's command or terraform "
			"printed; needs no daemon" },
	{ .object = "profile",
		.verb = "show",
		.args = { NAME(NULL), CONFIG },
		.run = run_profile,
		.help = "the providers' profiles with source and date; one: all that it says, and "
			"on which line; needs no daemon" },
	{ .object = "cloud",
		.verb = "show",
		.api = "cloud show",
		.args = { NAME(NULL) },
		.item = print_cloud,
		.columns = "CLOUD|STATE|TIER|>FROM THEM|>TO THEM|>CAPACITY|>LINKS|>BGP|"
			   ">PREFIXES IN|>OUT|>P99|>LOSS|CIRCUITS|WHAT IS WRONG",
		.empty = "no clouds",
		.help = "a line a cloud: tier, rate, links, BGP, prefixes, what is wrong" },
	{ .object = "partner",
		.verb = "show",
		.api = "partner show",
		.args = { NAME(NULL) },
		.item = print_cloud,
		.columns = "PARTNER|STATE|TIER|>FROM THEM|>TO THEM|>CAPACITY|>LINKS|>BGP|"
			   ">PREFIXES IN|>OUT|>P99|>LOSS|CIRCUITS|WHAT IS WRONG",
		.empty = "no partners",
		.help = "the same of partners" },
	{ .object = "vrf",
		.verb = "show",
		.api = "vrf show",
		.args = { NAME("vrf") },
		.item = print_vrf,
		.columns = "VRF|NAMESPACE|>IPV4 ROUTES|>IPV6 ROUTES|"
			   ">FAST PATH|>CONTROL|LOOPBACK|LINKS",
		.empty = "no VRFs",
		.help = "VRFs: links, routes, memory" },
	{ .object = "route",
		.verb = "show",
		.api = "route show",
		.args = { { CTL_TEXT, NULL, "prefix", "PREFIX", false, NULL },
			{ CTL_FLAG, "longer", "longer", NULL, false, NULL }, VRF,
			{ CTL_FLAG, "all", "all", NULL, false, NULL } },
		.item = print_route,
		.columns = " |VRF|PREFIX|PROTOCOL|>METRIC|VIA|DEV|>TIER|>WEIGHT|LEG",
		.empty = "no such route",
		.help = "routes; * = in the fast path; longer: all within PREFIX; all: "
			"also our own addresses" },
	{ .object = "route",
		.verb = "get",
		.api = "route get",
		.args = { { CTL_TEXT, NULL, "addr", "ADDRESS", true, NULL },
			{ CTL_TEXT, "vrf", "vrf", "VRF", true, "vrf" },
			{ CTL_TEXT, "from", "from", "ADDRESS", false, NULL },
			{ CTL_TEXT, "proto", "proto", "PROTOCOL", false, "proto" },
			{ CTL_NUMBER, "sport", "sport", "PORT", false, NULL },
			{ CTL_NUMBER, "dport", "dport", "PORT", false, NULL } },
		.item = print_get,
		.help = "how a packet to ADDRESS is forwarded: from the match to the header" },
	{ .object = "neighbor",
		.verb = "show",
		.api = "neighbor show",
		.args = { VRF },
		.item = print_neighbor,
		.columns = "VRF|ADDRESS|LINK|MAC|STATE|>ADJACENCY",
		.empty = "no neighbours",
		.help = "neighbours and their adjacencies" },
	{ .object = "nexthop",
		.verb = "show",
		.api = "nexthop show",
		.item = print_nexthop,
		.columns = ">GROUP|>PREFIXES|VIA|DEV|>TIER|>WEIGHT|>SHARE|LEG",
		.empty = "no path groups",
		.help = "path groups: legs, tiers, shares, prefixes" },
	{ .object = "probe",
		.verb = "show",
		.api = "probe show",
		.args = { NAME("link") },
		.item = print_probe,
		.columns = "LINK|AF|>BUCKET|STATE|>SINCE|>LOSS 1M|>LOSS 10M|>P50|>P99|>JITTER|"
			   ">SENT|>ANSWERED|>LATE|>REORDERED|TARGET|WHY",
		.empty = "nothing is probed: give a path or a link probe = \"ADDRESS\"",
		.help = "probes: loss, round trip and verdict by link and bucket" },
	{ .object = "vrrp",
		.verb = "show",
		.api = "vrrp show",
		.args = { NAME("link") },
		.item = print_vrrp,
		.columns = "LINK|FAMILY|>VRID|STATE|>SINCE|>PRIORITY|ACTIVE|ADDRESSES|"
			   ">IN|>OUT|ERRORS",
		.empty = "no link runs VRRP",
		.help = "VRRP: who is active, by link and family" },
	{ .object = "ipsec",
		.verb = "show",
		.api = "ipsec show",
		.args = { NAME("link") },
		.item = print_ipsec,
		.columns = "LINK|WAY|SPI|STATE|ALGORITHM|>AGE|>EXPIRES|>PACKETS|>BYTES|>SEQUENCE|"
			   ">REPLAYED|>BAD|FROM|WHY",
		.empty = "no link is an IPsec tunnel",
		.help = "IPsec: security associations by link" },
	{ .object = "ike",
		.verb = "show",
		.api = "ike show",
		.args = { NAME("link") },
		.item = print_ike,
		.columns =
			"LINK|PEER|IKE|>SINCE|>REKEY IN|AGREED ON|ESP|>SINCE|>REKEY IN|AGREED ON|"
			"IN UDP|LAST ERROR",
		.empty = "no link gets its keys by IKE",
		.help = "IKE by link: state, what was agreed on, next keys, last error" },
	{ .object = "bgp",
		.verb = "show",
		.api = "bgp show",
		.item = print_bgp,
		.help = "BGP sessions by link, from FRR" },
	{ .object = "bgp",
		.verb = "routes",
		.api = "bgp routes",
		.args = { { CTL_TEXT, NULL, "name", "NAME", true, "link" },
			{ CTL_TEXT, NULL, "direction", "received|advertised|rejected", true, NULL },
			{ CTL_FLAG, "all", "all", NULL, false, NULL } },
		.item = print_bgp_route,
		.columns = "PREFIX|DIR|NEXT HOP|PATH|>MED|COMMUNITIES|FROM|REASON|WHERE",
		.empty = "no such routes",
		.help = "routes of a link's neighbours: as received before any filter, as they are "
			"told, "
			"or those refused, and why; rejected counts what is not told to them, all "
			"lists it" },
	{ .object = "bfd",
		.verb = "show",
		.api = "bfd show",
		.args = { NAME("link") },
		.item = print_bfd,
		.help = "BFD sessions that the fast path runs: state, timers, packets, silence" },
	{ .object = "stats",
		.verb = "",
		.api = "stats",
		.item = print_stats,
		.help = "drops, punt classes, stages, workers, mirror" },
	{ .object = "stats",
		.verb = "drops",
		.api = "stats drops",
		.args = { { CTL_TEXT, "link", "link", "LINK", false, "link" },
			{ CTL_FLAG, "all", "all", NULL, false, NULL } },
		.item = print_drop,
		.columns = "REASON|>PACKETS|>PER SECOND|SEVERITY|TEXT|REFERENCE",
		.empty = "nothing was dropped",
		.help = "drops by reason, of all links or one" },
	{ .object = "stats",
		.verb = "cycles",
		.api = "stats cycles",
		.args = { { CTL_DURATION, "interval", "interval_s", "TIME", false, NULL } },
		.item = print_cycles,
		.help = "cycles a packet by stage and worker, over TIME (1s) from now" },
	{ .object = "stages",
		.verb = "",
		.api = "stages",
		.item = print_stage,
		.help = "the packet's way, from the program's own table" },
	{ .object = "config",
		.verb = "show",
		.api = "config show",
		.item = print_line,
		.json = config_json_part,
		.help = "the running configuration, defaults filled in" },
	{ .object = "config",
		.verb = "errors",
		.api = "config errors",
		.item = print_config_error,
		.empty = "the last reload was not refused",
		.help = "why the last refused reload was refused" },
	{ .object = "reload",
		.verb = "",
		.api = "reload",
		.item = print_reload,
		.help = "read the configuration again: parse, check, diff, apply" },
	{ .object = "events",
		.verb = "",
		.api = "events",
		.args = { { CTL_DURATION, "since", "since_s", "TIME", false, NULL }, LEVEL,
			{ CTL_TEXT, NULL, "subject", "SUBJECT", false, "link" } },
		.item = print_event,
		.empty = "no events",
		.help = "what happened; TIME as 90s, 30m, 2h, 1d" },
	{ .object = "monitor",
		.verb = "",
		.api = "monitor",
		.args = { LEVEL, { CTL_TEXT, NULL, "subject", "SUBJECT", false, "link" } },
		.item = print_event,
		.help = "what happens, until interrupted",
		.endless = true },
	{ .object = "resync",
		.verb = "",
		.api = "resync",
		.args = { VRF },
		.item = print_resync,
		.help = "dump the kernel's tables again, as after an overrun" },
	{ .object = "check",
		.verb = "",
		.args = { { CTL_TEXT, NULL, "file", "FILE", false, "file" }, CONFIG,
			{ CTL_LIST, "against", "against", "FILE...", false, "file" } },
		.run = run_check,
		.help = "check a configuration, and compare it with what providers' commands "
			"or terraform printed; needs no daemon, no root" },
	{ 0 },
};

/* ---- matching ---- */

/* 2: the word itself, 1: an abbreviation, 0: neither. British spelling is understood. */
static int match(const char *typed, const char *word)
{
	if (!strcmp(word, "neighbor") && !strncmp(typed, "neighbou", 8))
		return !strncmp("neighbour", typed, strlen(typed)) ? 2 : 0;
	if (!strcmp(typed, word))
		return 2;
	return *typed && *word && !strncmp(typed, word, strlen(typed));
}

/* The one object that `typed` means, or NULL with the error printed. */
static const char *find_object(const char *typed)
{
	const struct ctl_command *c;
	const char *found = NULL;
	unsigned n = 0;

	for (c = ctl_commands; c->object; c++) {
		int m = match(typed, c->object);

		if (m == 2)
			return c->object;
		if (m && (!found || strcmp(found, c->object))) {
			found = c->object;
			n++;
		}
	}
	if (n == 1)
		return found;
	fprintf(stderr, "lintasctl: %s \"%s\":", n ? "ambiguous:" : "no command", typed);
	found = NULL;
	for (c = ctl_commands; c->object; c++)
		if ((!n || match(typed, c->object)) && (!found || strcmp(found, c->object)))
			fprintf(stderr, " %s", found = c->object);
	fputs("\n", stderr);
	return NULL;
}

int command_find(int argc, char **argv, const struct ctl_command **ret_command)
{
	const struct ctl_command *standard = NULL, *verb = NULL;
	const char *object = find_object(argv[0]);
	unsigned n = 0, dashes = argc > 1 && !strncmp(argv[1], "--", 2) ? 2 : 0;

	if (!object)
		return -1;
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		if (strcmp(c->object, object))
			continue;
		int m = argc > 1 ? match(argv[1] + dashes, c->verb) : 0;
		if (!standard)
			standard = c; /* the first of an object is meant when no verb is given */
		if (m == 2) {
			*ret_command = c;
			return 2;
		}
		if (m) {
			verb = c;
			n++;
		}
	}
	/* `link sh` is what fingers know */
	if (n > 1 && match(argv[1] + dashes, standard->verb)) {
		*ret_command = standard;
		return 2;
	}
	if (n > 1) {
		fprintf(stderr, "lintasctl: ambiguous: \"%s %s\"\n", object, argv[1]);
		return -1;
	}
	*ret_command = n ? verb : standard;
	return n ? 2 : 1;
}

/* ---- help ---- */

void command_usage(const struct ctl_command *command, FILE *out)
{
	fprintf(out, "lintasctl %s%s%s", command->object, *command->verb ? " " : "", command->verb);
	for (const struct ctl_arg *a = command->args; a->type; a++)
		fprintf(out, " %s%s%s%s%s", a->required ? "" : "[", a->word ? a->word : "",
			a->word && a->shown ? " " : "", a->shown ? a->shown : "",
			a->required ? "" : "]");
	fputs("\n", out);
}

void command_help(const struct ctl_command *command, int used, FILE *out)
{
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		if (used > 1 ? c != command : strcmp(c->object, command->object))
			continue;
		command_usage(c, out);
		fprintf(out, "        %s\n", c->help);
	}
}

/* A line a command: its words, then its arguments: NAME:what (by position), word=what, word (flag).
 */
void commands_list(FILE *out)
{
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		fprintf(out, "%s%s%s", c->object, *c->verb ? " " : "", c->verb);
		for (const struct ctl_arg *a = c->args; a->type; a++) {
			const char *names = a->names ? a->names : "";

			if (a->type == CTL_FLAG)
				fprintf(out, "\t%s", a->word);
			else if (a->word)
				fprintf(out, "\t%s=%s", a->word, names);
			else
				fprintf(out, "\t%s:%s", a->shown, names);
		}
		fputs("\n", out);
	}
}

void commands_help(FILE *out)
{
	fputs("usage: lintasctl [--json] [--socket PATH] OBJECT [VERB] [ARGUMENTS]\n"
	      "Words may be abbreviated while they are unambiguous: `lintasctl ro sh`.\n\n",
		out);
	for (const struct ctl_command *c = ctl_commands; c->object; c++) {
		fputs("  ", out);
		command_usage(c, out);
		fprintf(out, "        %s\n", c->help);
	}
	fputs("\nexit status: 0 = fine, 1 = error, 2 = differences present. See lintasctl(8).\n",
		out);
}
