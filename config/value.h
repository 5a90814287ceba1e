/* Values as people write them: numbers with units, AS numbers, CPU lists, filters, names. See
 * value.c. */
#ifndef LINTAS_CONFIG_VALUE_H
#define LINTAS_CONFIG_VALUE_H

#include "config.h"

#define VALUE_WHY_LEN 200

/* All return 0, or -EINVAL with a sentence in why (VALUE_WHY_LEN bytes) and ret_ untouched. */
int value_number(const char *text, uint64_t *ret_number, char *why);
int value_rate(const char *text, uint64_t *ret_bps, char *why);	  /* "10G" */
int value_time_ms(const char *text, uint64_t *ret_ms, char *why); /* "300ms", "10s", "2m", "1h" */
int value_ppm(const char *text, uint64_t *ret_ppm, char *why);	  /* "0.1%" */
int value_asn(const char *text, uint32_t *ret_asn, char *why);
int value_cpus(const char *text, uint8_t *ret_cpus, unsigned *ret_n, char *why); /* "1-3,6" */
int value_addr(const char *text, struct ip_addr *ret_addr, char *why);
int value_prefix(const char *text, struct ip_prefix *ret_prefix, char *why);
int value_network(const char *text, struct ip_prefix *ret_prefix, char *why); /* no host bits */
int value_host(const char *text, struct ip_prefix *ret_prefix, char *why);    /* /32 or /128 */
int value_filter(const char *text, struct cfg_filter *ret_filter, char *why);
int value_device(const char *text, char *why); /* of a port */
int value_name(const char *text, char *why);   /* of an object */
int value_plain(const char *text, char *why);  /* a string without control characters */

/* The candidate (NULL ends the list) that a person most likely meant, or NULL. */
const char *value_nearest(const char *word, const char *const *candidates);

#endif
