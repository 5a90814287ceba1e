/* pktrun: the widest vectors DPDK and we may use, from the environment: PKTRUN_SIMD=64 means none.
 * A tool that emulates the CPU (valgrind) does not know all of them, and counts are only comparable
 * when every machine takes the same branch. Linked with --wrap=rte_eal_init: dp.c asks for 512. */
#include <rte_eal.h>
#include "pktrun.h"

#define OPTION "--force-max-simd-bitwidth="

int __real_rte_eal_init(int argc, char **argv);
int __wrap_rte_eal_init(int argc, char **argv);

int __wrap_rte_eal_init(int argc, char **argv)
{
	const char *bits = getenv("PKTRUN_SIMD");
	static char option[64];

	for (int i = 0; bits && i < argc; i++)
		if (!strncmp(argv[i], OPTION, strlen(OPTION))) {
			snprintf(option, sizeof(option), OPTION "%d", atoi(bits));
			argv[i] = option;
		}
	return __real_rte_eal_init(argc, argv);
}
