/* The forwarding tables' random tests at length: more than ten million operations, updates and
 * lookups, a million IPv4 and 300,000 IPv6 prefixes. `make test T=speed`; the same in short is in
 * tests/unit/test_fib.c. */
#include <stdio.h>
#include "tests/unit/fib_table.h"

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		const char *(*run)(unsigned bits, unsigned n);
		unsigned bits, n;
	} tests[] = {
		{ "fiblong.list4", fib_against_list, 32, 400000 },
		{ "fiblong.list6", fib_against_list, 128, 400000 },
		{ "fiblong.hash4", fib_against_hash, 32, 1000000 },
		{ "fiblong.hash6", fib_against_hash, 128, 300000 },
		{ "fiblong.churn4", fib_churn, 32, 40000 },
		{ "fiblong.churn6", fib_churn, 128, 40000 },
	};
	int failed = 0;

	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		const char *bad;

		if (argc > 2 && !strcmp(argv[1], "--only") && !strstr(tests[i].name, argv[2]))
			continue;
		bad = tests[i].run(tests[i].bits, tests[i].n);
		if (bad)
			printf("FAIL %s: %s\n", tests[i].name, bad);
		else
			printf("PASS %s\n", tests[i].name);
		fflush(stdout);
		failed |= !!bad;
	}
	return failed;
}
