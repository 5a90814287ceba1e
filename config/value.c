/* Turns the text of one value into what the program works with, or says in a sentence why it
 * cannot.
 *
 * Every function takes the text exactly as it stood between the quotes and accepts one spelling: no
 * blanks around, no sign, no missing unit. The sentence names the text and shows the right form,
 * because it is all that the person gets to see. No library function knows these forms; addresses
 * are left to ip.c. Pure functions. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "value.h"

static int no(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int no(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, VALUE_WHY_LEN, fmt, args);
	va_end(args);
	return -EINVAL;
}

/* Digits at *text, at most 18 of them; moves *text behind them. */
static bool digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;
	unsigned n = 0;

	for (; **text >= '0' && **text <= '9'; ++*text) {
		if (++n > 18)
			return false;
		number = number * 10 + (**text - '0');
	}
	*ret_number = number;
	return n > 0;
}

int value_number(const char *text, uint64_t *ret_number, char *why)
{
	const char *p = text;
	uint64_t number;

	if (!digits(&p, &number) || *p)
		return no(why, "'%.40s' is not a whole number", text);
	*ret_number = number;
	return 0;
}

int value_rate(const char *text, uint64_t *ret_bps, char *why)
{
	const char *p = text;
	uint64_t number, unit = 0;

	if (digits(&p, &number) && number <= 1000000) {
		if (!strcmp(p, "K"))
			unit = 1000;
		else if (!strcmp(p, "M"))
			unit = 1000000;
		else if (!strcmp(p, "G"))
			unit = 1000000000;
		else if (!strcmp(p, "T"))
			unit = 1000000000000;
	}
	if (!unit || !number)
		return no(why,
			"'%.40s' is not a rate: write bits per second as \"200M\" or \"10G\"",
			text);
	*ret_bps = number * unit;
	return 0;
}

int value_time_ms(const char *text, uint64_t *ret_ms, char *why)
{
	const char *p = text;
	uint64_t number, unit = 0;

	if (digits(&p, &number) && number <= 1000000000) {
		if (!strcmp(p, "ms"))
			unit = 1;
		else if (!strcmp(p, "s"))
			unit = 1000;
		else if (!strcmp(p, "m"))
			unit = 60000;
		else if (!strcmp(p, "h"))
			unit = 3600000;
	}
	if (!unit)
		return no(why, "'%.40s' is not a time: write \"300ms\", \"10s\", \"2m\" or \"1h\"",
			text);
	*ret_ms = number * unit;
	return 0;
}

int value_ppm(const char *text, uint64_t *ret_ppm, char *why)
{
	const char *p = text;
	uint64_t whole, part = 0, unit = 1000;

	if (!digits(&p, &whole) || whole > 100)
		goto bad;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && unit; p++, unit /= 10)
			part += (uint64_t)(*p - '0') * unit;
		if (p[-1] == '.')
			goto bad;
	}
	if (strcmp(p, "%") || whole * 10000 + part > 1000000)
		goto bad;
	*ret_ppm = whole * 10000 + part;
	return 0;
bad:
	return no(why, "'%.40s' is not a percentage: write \"0.1%%\", at most four decimals", text);
}

int value_asn(const char *text, uint32_t *ret_asn, char *why)
{
	const char *p = text;
	uint64_t number;

	if (!digits(&p, &number) || *p || number > UINT32_MAX)
		return no(why,
			"'%.40s' is not an AS number: write \"64512\", at most \"4294967294\"",
			text);
	/* RFC 7607, RFC 6793, RFC 7300 */
	if (number == 0 || number == 23456 || number == 65535 || number == UINT32_MAX)
		return no(why, "AS number %.40s is reserved: no peer can have it", text);
	*ret_asn = number;
	return 0;
}

int value_cpus(const char *text, uint8_t *ret_cpus, unsigned *ret_n, char *why)
{
	bool taken[UINT8_MAX + 1] = { false };
	uint8_t cpus[CFG_CPUS_MAX];
	const char *p = text;
	uint64_t from, to;
	unsigned n = 0;

	do {
		if (!digits(&p, &from) || from > UINT8_MAX)
			return no(why, "'%.40s' is not a list of CPUs: write \"1-3\" or \"1,3\"",
				text);
		to = from;
		if (*p == '-' && (p++, !digits(&p, &to) || to > UINT8_MAX || to < from))
			return no(why, "'%.40s' is not a list of CPUs: write \"1-3\" or \"1,3\"",
				text);
		for (; from <= to; from++) {
			if (taken[from])
				return no(why,
					"CPU %u is named twice: a worker needs one of its own",
					(unsigned)from);
			if (n == CFG_WORKERS_MAX)
				return no(why, "more than %u workers", CFG_WORKERS_MAX);
			taken[from] = true;
			cpus[n++] = from;
		}
	} while (*p == ',' && p++);
	if (*p)
		return no(why, "'%.40s' is not a list of CPUs: write \"1-3\" or \"1,3\"", text);
	memcpy(ret_cpus, cpus, n);
	*ret_n = n;
	return 0;
}

int value_addr(const char *text, struct ip_addr *ret_addr, char *why)
{
	if (ip_addr_parse(text, ret_addr) < 0)
		return no(why, "'%.60s' is not an address: write \"192.0.2.1\" or \"2001:db8::1\"",
			text);
	return 0;
}

int value_prefix(const char *text, struct ip_prefix *ret_prefix, char *why)
{
	const char *slash = strchr(text, '/');
	struct ip_addr addr;

	if (!slash && ip_addr_parse(text, &addr) == 0)
		return no(why, "'%s' has no prefix length: write \"%s/%u\" or shorter", text, text,
			ip_bits(addr.af));
	if (ip_prefix_parse(text, ret_prefix) < 0)
		return no(why,
			"'%.60s' is not a prefix: write \"10.0.0.0/8\" (to /32) or "
			"\"2001:db8::/32\" (to /128)",
			text);
	return 0;
}

int value_network(const char *text, struct ip_prefix *ret_prefix, char *why)
{
	char suggestion[IP_STRLEN];
	struct ip_prefix prefix, masked;

	if (value_prefix(text, &prefix, why) < 0)
		return -EINVAL;
	if (!ip_prefix_is_network(&prefix)) {
		masked = prefix;
		ip_prefix_mask(&masked);
		return no(why, "'%.60s' has host bits set: the network is \"%s\"", text,
			ip_prefix_format(&masked, suggestion));
	}
	*ret_prefix = prefix;
	return 0;
}

int value_host(const char *text, struct ip_prefix *ret_prefix, char *why)
{
	struct ip_prefix prefix;

	if (value_prefix(text, &prefix, why) < 0)
		return -EINVAL;
	if (prefix.len != ip_bits(prefix.af))
		return no(why, "'%.60s' is not one address: it ends in /%u here", text,
			ip_bits(prefix.af));
	*ret_prefix = prefix;
	return 0;
}

/* "ge 16" or "le 24" at *text. */
static bool bound(const char **text, const char *word, unsigned max, uint8_t *ret_bound)
{
	uint64_t number;

	if (strncmp(*text, word, 4))
		return true; /* not given */
	*text += 4;
	if (!digits(text, &number) || number > max || (**text && **text != ' ') || !number)
		return false;
	*ret_bound = number;
	return true;
}

int value_filter(const char *text, struct cfg_filter *ret_filter, char *why)
{
	struct cfg_filter filter = { .ge = 0 };
	size_t head = strcspn(text, " ");
	const char *p = text + head;
	char prefix[IP_STRLEN];
	unsigned max;

	if (head >= sizeof(prefix))
		return no(why, "'%.60s' is not a prefix", text);
	memcpy(prefix, text, head);
	prefix[head] = '\0';
	if (value_network(prefix, &filter.prefix, why) < 0)
		return -EINVAL;
	max = ip_bits(filter.prefix.af);
	if (!bound(&p, " ge ", max, &filter.ge) || !bound(&p, " le ", max, &filter.le) || *p)
		return no(why,
			"'%.60s': after the prefix stands nothing, \"le 24\", \"ge 16\" or "
			"\"ge 16 le 24\", at most %u",
			text, max);
	if ((filter.ge && filter.ge < filter.prefix.len) ||
		(filter.le && filter.le < (filter.ge ? filter.ge : filter.prefix.len)))
		return no(why, "'%.60s': length, ge and le must not fall: %u <= ge <= le <= %u",
			text, filter.prefix.len, max);
	*ret_filter = filter;
	return 0;
}

static bool hex(const char **p, unsigned n)
{
	for (; n; n--, ++*p)
		if (!strchr("0123456789abcdefABCDEF", **p) || !**p)
			return false;
	return true;
}

/* "0000:3b:00.0", the domain may be left out */
static bool is_pci(const char *text)
{
	const char *p = text;

	if (!hex(&p, 4) || *p++ != ':')
		p = text;
	return hex(&p, 2) && *p++ == ':' && hex(&p, 2) && *p++ == '.' && *p >= '0' && *p <= '7' &&
	       !p[1];
}

int value_device(const char *text, char *why)
{
	if (!strncmp(text, "xdp:", 4))
		return no(why,
			"'xdp:' devices are not implemented yet in this version: use "
			"\"net_af_xdp0,iface=%.40s\"",
			text + 4);
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return no(why, "'%.60s' has a blank or control character", text);
	if (!is_pci(text) && (strncmp(text, "net_", 4) || !text[4]))
		return no(why,
			"'%.60s' is neither a PCI address such as \"0000:3b:00.0\" nor a DPDK "
			"device "
			"such as \"net_af_xdp0,iface=eth1\"",
			text);
	return 0;
}

int value_name(const char *text, char *why)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (*text < 'a' || *text > 'z' || text[strspn(text, allowed)] ||
		strlen(text) >= CFG_NAME_MAX)
		return no(why,
			"'%.40s' cannot be a name: up to %u of a-z, 0-9 and '-', beginning with a "
			"letter",
			text, CFG_NAME_MAX - 1);
	return 0;
}

int value_plain(const char *text, char *why)
{
	if (!*text)
		return no(why, "an empty string: leave the key out instead");
	if (strlen(text) > CFG_STRING_MAX)
		return no(why, "longer than %u bytes", CFG_STRING_MAX);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return no(why, "a control character (0x%02x) in the string",
				(unsigned char)*p);
	return 0;
}

/* Edits (insert, delete, replace, swap neighbours) between two words, of at most 31 characters. */
static unsigned distance(const char *a, const char *b)
{
	unsigned cell[32][32], n = strlen(a), m = strlen(b), best;

	if (n > 31 || m > 31)
		return UINT8_MAX;
	for (unsigned i = 0; i <= n; i++) {
		for (unsigned j = 0; j <= m; j++) {
			if (!i || !j) {
				cell[i][j] = i + j;
				continue;
			}
			best = cell[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (cell[i - 1][j] + 1 < best)
				best = cell[i - 1][j] + 1;
			if (cell[i][j - 1] + 1 < best)
				best = cell[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				cell[i - 2][j - 2] + 1 < best)
				best = cell[i - 2][j - 2] + 1;
			cell[i][j] = best;
		}
	}
	return cell[n][m];
}

const char *value_nearest(const char *word, const char *const *candidates)
{
	unsigned best = strlen(word) < 5 ? 1 : 2, d;
	const char *nearest = NULL;

	for (; *candidates; candidates++) {
		d = distance(word, *candidates);
		if (d < best || (d == best && !nearest)) {
			best = d;
			nearest = *candidates;
		}
	}
	return nearest;
}
