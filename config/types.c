/* The types of values: for each how it is written in a file, how it is read, how it is printed
 * again.
 *
 * What is printed can be read again and gives the same field: config_print and the comparison of
 * two configurations rest on that. Fields are reached by the offsets of the key table; numbers are
 * copied by their size, because the structs use the smallest that holds the range. Called on the
 * thread that loads; memory comes from the pool of the configuration. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <libconfig.h>
#include "pool.h"
#include "profile.h"
#include "types.h"
#include "value.h"

/* ---- numbers of any width ---- */

static void store(void *field, size_t size, uint64_t number)
{
	uint8_t n8 = number;
	uint16_t n16 = number;
	uint32_t n32 = number;

	switch (size) {
	case sizeof(n8):
		memcpy(field, &n8, size);
		break;
	case sizeof(n16):
		memcpy(field, &n16, size);
		break;
	case sizeof(n32):
		memcpy(field, &n32, size);
		break;
	default:
		memcpy(field, &number, sizeof(number));
	}
}

static uint64_t fetch(const void *field, size_t size)
{
	uint8_t n8;
	uint16_t n16;
	uint32_t n32;
	uint64_t n64;

	switch (size) {
	case sizeof(n8):
		memcpy(&n8, field, size);
		return n8;
	case sizeof(n16):
		memcpy(&n16, field, size);
		return n16;
	case sizeof(n32):
		memcpy(&n32, field, size);
		return n32;
	default:
		memcpy(&n64, field, sizeof(n64));
		return n64;
	}
}

static int read_bool(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)pool;
	(void)why;
	store(field, key->size, !strcmp(text, "true"));
	return 0;
}

static void write_bool(const struct key *key, const void *field, FILE *out)
{
	fputs(fetch(field, key->size) ? "true" : "false", out);
}

/* The range of the number itself: of a time its milliseconds. */
static int in_range(
	const struct key *key, const char *text, uint64_t number, const char *unit, char *why)
{
	if (number >= (uint64_t)key->min && number <= (uint64_t)key->max)
		return 0;
	snprintf(why, VALUE_WHY_LEN, "%.40s is out of range: %ld to %ld%s%s", text, key->min,
		key->max, unit ? " " : "", unit ? unit : "");
	return -EINVAL;
}

static int read_number(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	uint64_t number = UINT64_MAX; /* a negative one is out of every range */

	(void)pool;
	if ((*text != '-' && value_number(text, &number, why) < 0) ||
		in_range(key, text, number, key->unit, why) < 0)
		return -EINVAL;
	store(field, key->size, number);
	return 0;
}

static void write_number(const struct key *key, const void *field, FILE *out)
{
	fprintf(out, "%" PRIu64, fetch(field, key->size));
}

static int read_time(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	uint64_t ms;

	(void)pool;
	if (value_time_ms(text, &ms, why) < 0 || in_range(key, text, ms, "ms", why) < 0)
		return -EINVAL;
	if (ms % key->unit_ms) {
		snprintf(why, VALUE_WHY_LEN, "'%.40s' is not a whole number of seconds", text);
		return -EINVAL;
	}
	store(field, key->size, ms / key->unit_ms);
	return 0;
}

static int read_element(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	uint64_t number;

	(void)key;
	(void)pool;
	if (*text == '-' || value_number(text, &number, why) < 0 || number > UINT32_MAX) {
		snprintf(
			why, VALUE_WHY_LEN, "%.40s is not a number from 0 to %u", text, UINT32_MAX);
		return -EINVAL;
	}
	store(field, sizeof(uint32_t), number);
	return 0;
}

static void write_element(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	fprintf(out, "%" PRIu64, fetch(field, sizeof(uint32_t)));
}

/* "64512" or "64512-65534" */
static int read_asns(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	const char *dash = strchr(text, '-');
	struct cfg_asn_range range;
	char first[12];

	(void)key;
	(void)pool;
	snprintf(first, sizeof(first), "%.*s", dash ? (int)(dash - text) : 11, text);
	if (value_asn(first, &range.first, why) < 0 ||
		value_asn(dash ? dash + 1 : first, &range.last, why) < 0)
		return -EINVAL;
	if (range.last < range.first || (dash && dash - text > 10)) {
		snprintf(why, VALUE_WHY_LEN, "'%.40s' is no range: FIRST-LAST", text);
		return -EINVAL;
	}
	memcpy(field, &range, sizeof(range));
	return 0;
}

static void write_asns(const struct key *key, const void *field, FILE *out)
{
	struct cfg_asn_range range;

	(void)key;
	memcpy(&range, field, sizeof(range));
	fprintf(out, range.first == range.last ? "\"%u\"" : "\"%u-%u\"", range.first, range.last);
}

static void write_time(const struct key *key, const void *field, FILE *out)
{
	fprintf(out, "\"%" PRIu64 "%s\"", fetch(field, key->size), key->unit_ms == 1 ? "ms" : "s");
}

static int read_ppm(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	uint64_t ppm;

	(void)pool;
	if (value_ppm(text, &ppm, why) < 0 || in_range(key, text, ppm, "millionths", why) < 0)
		return -EINVAL;
	store(field, key->size, ppm);
	return 0;
}

static void write_ppm(const struct key *key, const void *field, FILE *out)
{
	uint64_t ppm = fetch(field, key->size);
	unsigned digits = 4, part = ppm % 10000;

	for (; digits > 1 && part % 10 == 0; digits--)
		part /= 10;
	fprintf(out, "\"%" PRIu64, ppm / 10000);
	if (part)
		fprintf(out, ".%0*u", (int)digits, part);
	fputs("%\"", out);
}

static int read_asn(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)key;
	(void)pool;
	return value_asn(text, field, why);
}

static void write_quoted_number(const struct key *key, const void *field, FILE *out)
{
	fprintf(out, "\"%" PRIu64 "\"", fetch(field, key->size));
}

static int read_rate(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)key;
	(void)pool;
	return value_rate(text, field, why);
}

static void write_rate(const struct key *key, const void *field, FILE *out)
{
	static const char units[] = "KMGT";
	uint64_t bps = fetch(field, key->size) / 1000;
	unsigned unit = 0;

	for (; bps % 1000 == 0 && units[unit + 1]; unit++)
		bps /= 1000;
	fprintf(out, "\"%" PRIu64 "%c\"", bps, units[unit]);
}

static int read_tpid(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)pool;
	if (strcmp(text, "0x8100") && strcmp(text, "0x88a8")) {
		snprintf(why, VALUE_WHY_LEN,
			"'%.40s' is not the type of a tag: \"0x8100\" or \"0x88a8\"", text);
		return -EINVAL;
	}
	store(field, key->size, strtoul(text, NULL, 16));
	return 0;
}

static void write_tpid(const struct key *key, const void *field, FILE *out)
{
	fprintf(out, "\"0x%04x\"", (unsigned)fetch(field, key->size));
}

/* ---- words ---- */

static int read_enum(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	size_t n = 0;

	(void)pool;
	for (long i = key->min; key->words[i]; i++) {
		if (strcmp(key->words[i], text))
			continue;
		store(field, key->size, i);
		return 0;
	}
	for (unsigned i = 0; key->later && key->later[i]; i++) {
		if (strcmp(key->later[i], text))
			continue;
		snprintf(why, VALUE_WHY_LEN, "'%s' is not implemented yet in this version", text);
		return -EINVAL;
	}
	n = snprintf(why, VALUE_WHY_LEN, "'%.40s' is not one of:", text);
	for (long i = key->min; key->words[i]; i++)
		n += snprintf(why + n, VALUE_WHY_LEN - n, " \"%s\"", key->words[i]);
	return -EINVAL;
}

static void write_enum(const struct key *key, const void *field, FILE *out)
{
	fprintf(out, "\"%s\"", key->words[fetch(field, key->size)]);
}

/* ---- strings ---- */

static int read_string(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)key;
	if (value_plain(text, why) < 0)
		return -EINVAL;
	*(const char **)field = pool_strdup(pool, text);
	return 0;
}

static void write_string(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	types_quote(*(const char *const *)field, out);
}

static int read_secret(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	(void)key;
	/* a file's name, which must not lead out of the folder */
	if (!*text || *text == '.' || text[strspn(text, allowed)] || strlen(text) > 64) {
		snprintf(why, VALUE_WHY_LEN,
			"PROV-09: not the name of a key file (letters, digits, '-', '_', '.'): a "
			"secret "
			"stands in such a file, of mode 0600, in the folder of keys");
		return -EINVAL;
	}
	*(const char **)field = pool_strdup(pool, text);
	return 0;
}

static int read_in_place(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)pool;
	if ((key->type == KEY_NAME ? value_name(text, why) : value_device(text, why)) < 0)
		return -EINVAL;
	if (strlen(text) >= key->size) {
		snprintf(why, VALUE_WHY_LEN, "longer than %zu bytes", key->size - 1);
		return -EINVAL;
	}
	strcpy(field, text);
	return 0;
}

static void write_in_place(const struct key *key, const void *field, FILE *out)
{
	(void)key;
	types_quote(field, out);
}

/* ---- addresses ---- */

static int read_addr(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)key;
	(void)pool;
	return value_addr(text, field, why);
}

static void write_addr(const struct key *key, const void *field, FILE *out)
{
	char text[IP_STRLEN];

	(void)key;
	fprintf(out, "\"%s\"", ip_addr_format(field, text));
}

/* Each address goes to the place of its family. */
static int read_per_family(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	struct ip_addr *pair = field, addr;

	(void)key;
	(void)pool;
	if (value_addr(text, &addr, why) < 0)
		return -EINVAL;
	if (pair[addr.af == AF_INET6].af) {
		snprintf(why, VALUE_WHY_LEN, "'%.60s' is the second %s address: one a family", text,
			addr.af == AF_INET6 ? "IPv6" : "IPv4");
		return -EINVAL;
	}
	pair[addr.af == AF_INET6] = addr;
	return 0;
}

static void write_per_family(const struct key *key, const void *field, FILE *out)
{
	const struct ip_addr *pair = field;
	const char *between = "";

	fputs("[ ", out);
	for (unsigned i = 0; i < 2; i++) {
		if (!pair[i].af)
			continue;
		fputs(between, out);
		write_addr(key, &pair[i], out);
		between = ", ";
	}
	fputs(" ]", out);
}

static int read_prefix(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)pool;
	switch (key->type) {
	case KEY_NETWORKS:
		return value_network(text, field, why);
	case KEY_HOSTS:
		return value_host(text, field, why);
	default:
		return value_prefix(text, field, why);
	}
}

static void write_prefix(const struct key *key, const void *field, FILE *out)
{
	char text[IP_STRLEN];

	(void)key;
	fprintf(out, "\"%s\"", ip_prefix_format(field, text));
}

static int read_filter(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	(void)key;
	(void)pool;
	return value_filter(text, field, why);
}

static void write_filter(const struct key *key, const void *field, FILE *out)
{
	const struct cfg_filter *filter = field;
	char text[IP_STRLEN];

	(void)key;
	fprintf(out, "\"%s", ip_prefix_format(&filter->prefix, text));
	if (filter->ge)
		fprintf(out, " ge %u", filter->ge);
	if (filter->le)
		fprintf(out, " le %u", filter->le);
	fputc('"', out);
}

static int read_cpus(
	const struct key *key, const char *text, void *field, struct cfg_pool *pool, char *why)
{
	struct cfg_gateway *gateway =
		(void *)((char *)field - offsetof(struct cfg_gateway, workers));

	(void)key;
	(void)pool;
	return value_cpus(text, gateway->workers, &gateway->n_workers, why);
}

static void write_cpus(const struct key *key, const void *field, FILE *out)
{
	const struct cfg_gateway *gateway =
		(const void *)((const char *)field - offsetof(struct cfg_gateway, workers));

	(void)key;
	for (unsigned i = 0; i < gateway->n_workers; i++)
		fprintf(out, "%s%u", i ? "," : "\"", gateway->workers[i]);
	fputc('"', out);
}

/* ---- the types ---- */

#define S CONFIG_TYPE_STRING
#define P sizeof(struct ip_prefix)

static const struct type types[] = {
	[KEY_BOOL] = { "true or false", "true", CONFIG_TYPE_BOOL, 0, read_bool, write_bool },
	[KEY_NUMBER] = { "a number", "1500", CONFIG_TYPE_INT, 0, read_number, write_number },
	[KEY_ENUM] = { "a word", "\"word\"", S, 0, read_enum, write_enum },
	[KEY_STRING] = { "a string", "\"text\"", S, 0, read_string, write_string },
	[KEY_NAME] = { "a name", "\"jkt1\"", S, 0, read_in_place, write_in_place },
	[KEY_DEVICE] = { "a device", "\"0000:3b:00.0\"", S, 0, read_in_place, write_in_place },
	[KEY_SECRET] = { "the name of a key file", "\"dx1\"", S, 0, read_secret, write_string },
	[KEY_ASN] = { "an AS number, as a string", "\"64512\"", S, 0, read_asn,
		write_quoted_number },
	[KEY_RATE] = { "a rate", "\"10G\"", S, 0, read_rate, write_rate },
	[KEY_TIME] = { "a time", "\"300ms\"", S, 0, read_time, write_time },
	[KEY_PPM] = { "a percentage", "\"0.1%\"", S, 0, read_ppm, write_ppm },
	[KEY_TPID] = { "an EtherType", "\"0x8100\"", S, 0, read_tpid, write_tpid },
	[KEY_ADDR] = { "an address", "\"192.0.2.1\"", S, 0, read_addr, write_addr },
	[KEY_PER_FAMILY] = { "one address a family", "[ \"192.0.2.1\", \"2001:db8::1\" ]", S, 0,
		read_per_family, write_per_family },
	[KEY_CPUS] = { "a list of CPUs", "\"1-3\"", S, 0, read_cpus, write_cpus },
	[KEY_NETWORKS] = { "a list of networks", "[ \"10.0.0.0/8\" ]", S, P, read_prefix,
		write_prefix },
	[KEY_ADDRESSES] = { "a list of addresses with length", "[ \"192.0.2.1/30\" ]", S, P,
		read_prefix, write_prefix },
	[KEY_HOSTS] = { "a list of single addresses", "[ \"192.0.2.1/32\" ]", S, P, read_prefix,
		write_prefix },
	[KEY_FILTERS] = { "a list of filters", "[ \"10.0.0.0/8 le 24\" ]", S,
		sizeof(struct cfg_filter), read_filter, write_filter },
	[KEY_NUMBERS] = { "a list of numbers", "[ 1500, 9000 ]", CONFIG_TYPE_INT, sizeof(uint32_t),
		read_element, write_element },
	[KEY_ASNS] = { "a list of AS numbers, as strings", "[ \"64512-65534\" ]", S,
		sizeof(struct cfg_asn_range), read_asns, write_asns },
	[KEY_WORDS] = { "a list of strings", "[ \"text\" ]", S, sizeof(char *), read_string,
		write_string },
};

const struct type *types_of(const struct key *key)
{
	return key->type < sizeof(types) / sizeof(types[0]) && types[key->type].name
		       ? &types[key->type]
		       : NULL;
}

const char *types_example(const struct key *key)
{
	static const struct {
		long number;
		const char *text;
	} numbers[] = { { 1500, "1500" }, { 101, "101" }, { 10, "10" }, { 2, "2" }, { 1, "1" } };
	size_t first = key->max > 4094 ? 0 : 1;

	for (size_t i = first; key->type == KEY_NUMBER && i < 5; i++)
		if (numbers[i].number >= key->min && numbers[i].number <= key->max)
			return numbers[i].text;
	return key->type == KEY_TIME && key->unit_ms == 1000 ? "\"10s\"" : types[key->type].example;
}

static bool all_zero(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

bool types_is_set(const struct key *key, const void *base)
{
	const char *field = (const char *)base + key->offset;
	const void *object;

	switch (key->type) {
	case KEY_GROUP:
		return !key->mark_size || !all_zero(field + key->mark, key->mark_size);
	case KEY_REF:
		memcpy(&object, field, sizeof(object));
		return object && keys_is_kind(object, key->kind);
	case KEY_BOOL:
	case KEY_SCHEMA:
	case KEY_TIERS:
	case KEY_BETWEEN:
		return true;
	case KEY_PROFILES: /* print.c knows */
	case KEY_TUNNELS:
		return false;
	case KEY_ENUM:
		return fetch(field, key->size) >= (uint64_t)key->min;
	default:
		/* an empty list has a pointer all the same when it was given: "accept = [ ]" */
		return !all_zero(
			field, types_of(key) && types_of(key)->elem ? sizeof(void *) : key->size);
	}
}

struct types_list types_list(const struct key *key, const void *base)
{
	struct types_list list = { NULL, 0 };
	const char *field = (const char *)base + key->offset;

	memcpy(&list.items, field, sizeof(list.items));
	memcpy(&list.n, field + sizeof(list.items), sizeof(list.n));
	return list;
}

void types_write(const struct key *key, const void *base, FILE *out)
{
	const struct type *type = types_of(key);
	struct types_list list;

	if (!type->elem) {
		type->write(key, (const char *)base + key->offset, out);
		return;
	}
	list = types_list(key, base);
	fputs("[ ", out);
	for (unsigned i = 0; i < list.n; i++) {
		fputs(i ? ", " : "", out);
		type->write(key, (const char *)list.items + i * type->elem, out);
	}
	fputs(list.n ? " ]" : "]", out);
}

void types_quote(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}
