/* Addresses and prefixes: what is accepted, what is refused, and the questions asked about them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/ip.h"
#include "unit.h"

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p = { .af = 0 };

	CU_ASSERT_EQUAL(ip_prefix_parse(text, &p), 0);
	return p;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { .af = 0 };

	CU_ASSERT_EQUAL(ip_addr_parse(text, &a), 0);
	return a;
}

static void test_parse_and_format(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0/8" },
		{ "192.0.2.1/30", "192.0.2.1/30" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "255.255.255.255/32", "255.255.255.255/32" },
		{ "2001:DB8:0:0::1/64", "2001:db8::1/64" },
		{ "::/0", "::/0" },
		{ "::ffff:10.0.0.1/128", "::ffff:10.0.0.1/128" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	};
	char buf[IP_STRLEN];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_prefix p = prefix(rows[i].in);

		CU_ASSERT_STRING_EQUAL(ip_prefix_format(&p, buf), rows[i].out);
	}
}

static void test_refused(void)
{
	static const char *const prefixes[] = { "", "/", "/8", "10.0.0.0", "10.0.0.0/",
		"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/08",
		"10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8", "10.0.0/8", "010.0.0.0/8",
		"10.0.0.256/8", "2001:db8::/129", "2001:db8::/1000",
		"2001:db8::/99999999999999999999", "fe80::1%eth0/64", "1:2:3:4:5:6:7:8:9/64",
		"::1::/64",
		"0000000000000000000000000000000000000000000000000000000000000000000000/8" };
	static const char *const addrs[] = { "", ".", ":", "1.2.3", "1.2.3.4.5", "1.2.3.4/32",
		"0x1.2.3.4", "1.2.3.4 ", "fe80::1%lo", "::g" };
	struct ip_prefix p = { .af = 77 };
	struct ip_addr a = { .af = 77 };

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		CU_ASSERT_EQUAL(ip_prefix_parse(prefixes[i], &p), -EINVAL);
		CU_ASSERT_EQUAL(p.af, 77);
	}
	for (unsigned i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		CU_ASSERT_EQUAL(ip_addr_parse(addrs[i], &a), -EINVAL);
		CU_ASSERT_EQUAL(a.af, 77);
	}
}

static void test_none(void)
{
	struct ip_addr none = { .af = 0 };
	struct ip_prefix nothing = { .af = 0 };
	char buf[IP_STRLEN];

	CU_ASSERT_STRING_EQUAL(ip_addr_format(&none, buf), "none");
	CU_ASSERT_STRING_EQUAL(ip_prefix_format(&nothing, buf), "none");
}

/* Every length of both families against bit-by-bit arithmetic. */
static void test_mask(void)
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint8_t af = v6 ? AF_INET6 : AF_INET;

		for (unsigned len = 0; len <= ip_bits(af); len++) {
			struct ip_prefix p = { .af = af, .len = len }, masked;
			bool right = true;

			memset(p.bytes, 0xff, ip_size(af));
			masked = p;
			ip_prefix_mask(&masked);
			for (unsigned bit = 0; bit < 128; bit++)
				right &=
					(masked.bytes[bit / 8] >> (7 - bit % 8) & 1) == (bit < len);
			CU_ASSERT_TRUE(right);
			CU_ASSERT_TRUE(ip_prefix_is_network(&masked));
			CU_ASSERT_EQUAL(ip_prefix_is_network(&p), len == ip_bits(af));
		}
	}
}

static void test_contains(void)
{
	static const struct {
		const char *outer, *inner;
		bool contains;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.128.0.0/9", "10.127.255.255", false },
		{ "10.1.2.3/31", "10.1.2.2", true }, /* host bits do not matter */
		{ "10.1.2.3/31", "10.1.2.4", false },
		{ "0.0.0.0/0", "255.1.2.3", true },
		{ "0.0.0.0/0", "::", false },
		{ "::/0", "10.0.0.1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "2001:db8::1/128", "2001:db8::1", true },
		{ "2001:db8::1/128", "2001:db8::2", false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_prefix outer = prefix(rows[i].outer), host;
		struct ip_addr inner = addr(rows[i].inner);

		CU_ASSERT_EQUAL(ip_prefix_contains(&outer, &inner), rows[i].contains);
		host = ip_addr_host(&inner);
		CU_ASSERT_EQUAL(host.len, ip_bits(inner.af));
		CU_ASSERT_EQUAL(ip_prefix_covers(&outer, &host), rows[i].contains);
	}
}

static void test_covers(void)
{
	struct ip_prefix a = prefix("10.0.0.0/8"), b = prefix("10.1.0.0/16"),
			 c = prefix("10.0.0.0/8");

	CU_ASSERT_TRUE(ip_prefix_covers(&a, &b));
	CU_ASSERT_FALSE(ip_prefix_covers(&b, &a));
	CU_ASSERT_TRUE(ip_prefix_covers(&a, &c));
	CU_ASSERT_TRUE(ip_prefix_equal(&a, &c));
	CU_ASSERT_FALSE(ip_prefix_equal(&a, &b));
}

static void test_link_local(void)
{
	static const struct {
		const char *text;
		bool link_local;
	} rows[] = { { "169.254.0.1", true }, { "169.253.255.255", false }, { "fe80::1", true },
		{ "febf:ffff::1", true }, { "fec0::1", false }, { "fe7f::1", false },
		{ "2001:db8::", false } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ip_addr a = addr(rows[i].text);

		CU_ASSERT_EQUAL(ip_addr_is_link_local(&a), rows[i].link_local);
	}
}

/* A total order, in which a prefix stands before everything that it covers. */
static void test_order(void)
{
	static const char *const sorted[] = { "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16",
		"10.0.0.1/32", "10.1.0.0/16", "192.0.2.0/24", "::/0", "2001:db8::/32",
		"2001:db8::/64", "fe80::/10" };
	unsigned n = sizeof(sorted) / sizeof(sorted[0]);

	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < n; j++) {
			struct ip_prefix a = prefix(sorted[i]), b = prefix(sorted[j]);
			int order = ip_prefix_compare(&a, &b);

			CU_ASSERT_EQUAL((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

void unit_ip(void)
{
	static const struct unit_test tests[] = {
		{ "parse_and_format", test_parse_and_format },
		{ "refused", test_refused },
		{ "none", test_none },
		{ "mask", test_mask },
		{ "contains", test_contains },
		{ "covers", test_covers },
		{ "link_local", test_link_local },
		{ "order", test_order },
	};

	UNIT_SUITE("ip", tests);
}
