/* Unit tests: one file a subject, one function that registers its suite, one line here. */
#ifndef LINTAS_UNIT_H
#define LINTAS_UNIT_H

#include <CUnit/CUnit.h>

/* Each adds a suite to the registry. */
void unit_ip(void);
void unit_config(void);
void unit_diff(void);
void unit_providers(void);
void unit_ipsec(void);
void unit_swan(void);
void unit_fib(void);
void unit_group(void);
void unit_bfd(void);
void unit_reclaim(void);
void unit_rib(void);
void unit_mirror(void);
void unit_mirror_faults(void);
void unit_netlink(void);
void unit_frr(void);
void unit_frr_guard(void);
void unit_keeper(void);
void unit_keeper_client(void);
void unit_optics(void);
void unit_shed(void);
void unit_vrrp(void);
void unit_diagnose(void);
void unit_api(void);
void unit_api_clients(void);
void unit_cloud(void);
void unit_ctl(void);
void unit_ctl_print(void);
void unit_estimate(void);
void unit_memory(void);
void unit_lacp(void);
void unit_driver(void);
void unit_xfrm(void);
void unit_sas(void);
void unit_xfrm_vault(void);
void unit_sas_mirror(void);
void unit_lease(void);

/* A suite from an array of {name, function}. */
struct unit_test {
	const char *name;
	void (*run)(void);
};
void unit_suite(const char *suite, const struct unit_test *tests, unsigned n);
#define UNIT_SUITE(suite, tests) unit_suite(suite, tests, sizeof(tests) / sizeof((tests)[0]))

#endif
