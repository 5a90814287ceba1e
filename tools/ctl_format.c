/* Numbers for people. Counts and bytes of traffic use powers of 1000 (k, M, G, T); memory uses
 * powers of 1024 and says so (KiB, MiB, GiB). Three digits that count, small counts whole; --json
 * has the exact ones. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "ctl.h"

static const char *scaled(double n, double base, const char *const *units, char *buf)
{
	unsigned u = 0;

	while (n >= base * 0.9995 && units[u + 1]) {
		n /= base;
		u++;
	}
	if (u == 0)
		snprintf(buf, FORMAT_LEN, "%.0f%s", n, units[0]);
	else
		snprintf(buf, FORMAT_LEN, "%.*f%s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, units[u]);
	return buf;
}

const char *format_count(uint64_t n, char *buf)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", NULL };

	if (n < 10000) {
		snprintf(buf, FORMAT_LEN, "%" PRIu64, n);
		return buf;
	}
	return scaled((double)n, 1000, units, buf);
}

const char *format_rate(double n, char *buf)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", NULL };

	if (n > 0 && n < 10) {
		snprintf(buf, FORMAT_LEN, "%.1f", n);
		return buf;
	}
	return scaled(n, 1000, units, buf);
}

const char *format_bytes(uint64_t n, char *buf)
{
	static const char *const units[] = { " B", " kB", " MB", " GB", " TB", " PB", NULL };

	return scaled((double)n, 1000, units, buf);
}

const char *format_memory(uint64_t n, char *buf)
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", NULL };

	return scaled((double)n, 1024, units, buf);
}

const char *format_duration(int64_t s, char *buf)
{
	if (s < 0)
		s = 0;
	if (s < 60)
		snprintf(buf, FORMAT_LEN, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(buf, FORMAT_LEN, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, FORMAT_LEN, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, FORMAT_LEN, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

int duration_parse(const char *text, int64_t *ret_seconds)
{
	static const char units[] = "smhdw";
	static const int64_t seconds[] = { 1, 60, 3600, 86400, 7 * 86400 };
	int64_t sum = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	while (*text) {
		int64_t n = 0;
		const char *unit;

		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		for (; isdigit((unsigned char)*text); text++)
			if ((n = n * 10 + (*text - '0')) > 1000000000)
				return -EINVAL;
		unit = *text ? strchr(units, *text) : units;
		if (!unit)
			return -EINVAL;
		text += *text != '\0';
		sum += n * seconds[unit - units];
	}
	if (sum > 10 * 365 * 86400ll)
		return -EINVAL;
	*ret_seconds = sum;
	return 0;
}
