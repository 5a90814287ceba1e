/* lintasd --driver: what is no DPDK driver is told before DPDK starts, by name and with what to do.
 * DPDK would look for a missing file among the system's libraries and load every file of a
 * folder. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "dataplane/dp.h"
#include "unit.h"

void unit_driver(void);

static int start(const char *driver, char *ret_why, size_t len)
{
	static struct dp_conf conf;
	struct dp_err err = { ret_why, len };

	conf = (struct dp_conf){ .n_ports = 1, .n_workers = 1, .n_drivers = 2 };
	conf.ports[0] = (struct dp_port_conf){
		.name = "p", .device = "net_null0", .mtu = 1500, .queues = 1
	};
	conf.cpus[0] = sched_getcpu();
	conf.drivers[0] = "/proc/self/exe"; /* a file; nothing loads it */
	conf.drivers[1] = driver;
	return dp_eal_start(&conf, &err);
}

static void test_refused(void)
{
	char why[512], longer[600];

	memset(longer, '/', sizeof(longer));
	memcpy(longer + sizeof(longer) - sizeof("proc/self/exe"), "proc/self/exe",
		sizeof("proc/self/exe"));
	CU_ASSERT_EQUAL(start("/no/such/driver.so", why, sizeof(why)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/no/such/driver.so"));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "--driver"));
	CU_ASSERT_EQUAL(start("/usr/lib", why, sizeof(why)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/usr/lib"));
	CU_ASSERT_EQUAL(start(longer, why, sizeof(why)), -EINVAL);
}

void unit_driver(void)
{
	static const struct unit_test tests[] = { { "refused", test_refused } };

	UNIT_SUITE("driver", tests);
}
