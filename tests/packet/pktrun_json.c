/* pktrun: between JSON and C. Errors are in words, for whoever writes the next test. */
#include <stdarg.h>
#include "pktrun.h"

char why[512];

int fail(int ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return ret;
}

json_t *hex_json(const uint8_t *data, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	static char text[2 * FRAME_MAX + 1];

	for (size_t i = 0; i < n && i < FRAME_MAX; i++) {
		text[2 * i] = digit[data[i] >> 4];
		text[2 * i + 1] = digit[data[i] & 15];
	}
	return json_stringn(text, 2 * (n < FRAME_MAX ? n : FRAME_MAX));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Bytes, or -EINVAL. */
int hex_bytes(const json_t *j, uint8_t *ret_data, size_t room)
{
	const char *text = json_string_value(j);
	size_t n = text ? strlen(text) / 2 : 0;

	if (!text || strlen(text) % 2 || n > room)
		return fail(-EINVAL, "a frame is an even number of hex digits, at most %zu bytes",
			room);
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return fail(-EINVAL, "not hex: %.20s...", text);
		ret_data[i] = high << 4 | low;
	}
	return n;
}

int addr_get(const json_t *in, const char *key, struct ip_addr *ret_addr)
{
	const char *text = json_string_value(json_object_get(in, key));

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (!text || !*text)
		return 0;
	return ip_addr_parse(text, ret_addr) ? fail(-EINVAL, "%s: not an address: %s", key, text)
					     : 0;
}

int prefix_get(const json_t *in, struct ip_prefix *ret_prefix)
{
	const char *text = json_string_value(json_object_get(in, "prefix"));

	if (!text || ip_prefix_parse(text, ret_prefix))
		return fail(-EINVAL, "prefix: not one: %s", text ? text : "missing");
	return 0;
}

int mac_get(const json_t *in, uint8_t *ret_mac)
{
	const char *text = json_string_value(json_object_get(in, "mac"));
	int end = 0;

	if (!text)
		return 0;
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &ret_mac[0], &ret_mac[1], &ret_mac[2],
		    &ret_mac[3], &ret_mac[4], &ret_mac[5], &end) != 6 ||
		text[end])
		return fail(-EINVAL, "mac: not one: %s", text);
	return 0;
}

json_int_t int_get(const json_t *in, const char *key, json_int_t otherwise)
{
	const json_t *j = json_object_get(in, key);

	return json_is_integer(j) ? json_integer_value(j) : otherwise;
}

bool bool_get(const json_t *in, const char *key, bool otherwise)
{
	const json_t *j = json_object_get(in, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}

json_t *mac_json(const uint8_t *m)
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

json_t *addr_json(const struct ip_addr *addr)
{
	char text[IP_STRLEN];

	return json_string(addr->af ? ip_addr_format(addr, text) : "");
}
