/* Runs every suite and prints a line a test, as tests/run wants it: PASS name, FAIL name: where. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "unit.h"

void unit_suite(const char *suite, const struct unit_test *tests, unsigned n)
{
	CU_pSuite s = CU_add_suite(suite, NULL, NULL);

	for (unsigned i = 0; s && i < n; i++)
		CU_add_test(s, tests[i].name, tests[i].run);
}

static const char *only;
static int failed;

static void test_done(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	if (!failure) {
		printf("PASS %s.%s\n", suite->pName, test->pName);
	} else {
		failed++;
		printf("FAIL %s.%s: %s:%u: %s\n", suite->pName, test->pName, failure->strFileName,
			failure->uiLineNumber, failure->strCondition);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--only"))
			only = argv[i + 1];
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	unit_ip();
	unit_config();
	unit_diff();
	unit_providers();
	unit_ipsec();
	unit_swan();
	unit_fib();
	unit_group();
	unit_bfd();
	unit_reclaim();
	unit_rib();
	unit_mirror();
	unit_mirror_faults();
	unit_netlink();
	unit_frr();
	unit_frr_guard();
	unit_keeper();
	unit_keeper_client();
	unit_optics();
	unit_shed();
	unit_vrrp();
	unit_diagnose();
	unit_api();
	unit_api_clients();
	unit_cloud();
	unit_ctl();
	unit_ctl_print();
	unit_estimate();
	unit_memory();
	unit_lacp();
	unit_driver();
	unit_xfrm();
	unit_sas();
	unit_xfrm_vault();
	unit_sas_mirror();
	unit_lease();
	CU_set_test_complete_handler(test_done);
	for (CU_pSuite s = CU_get_registry()->pSuite; s; s = s->pNext)
		if (!only || strstr(s->pName, only))
			CU_run_suite(s);
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
