/* Rules of the providers: codes and severities, and how one is reported. See prov.c. */
#ifndef LINTAS_CONFIG_PROV_H
#define LINTAS_CONFIG_PROV_H

#include "parse.h"

enum prov_code {
#define PROV(number, name, severity, title) PROV_##name = number,
#include "prov.def"
#undef PROV
};

struct prov_rule {
	enum prov_code code;
	const char *name; /* "PROV-16" */
	bool warning;
	const char *title;
};

extern const struct prov_rule prov_rules[]; /* in the order of the codes; code 0 ends them */

/* "PROV-16: TEXT" at the place of path, an error or a warning as the table says. */
void prov_report(const struct parse *p, enum prov_code code, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* check_prov.c: what a link's profile demands of it, its sessions, and links together. */
void prov_check_all(const struct parse *p);
/* check_prov_bgp.c: sessions of a link with a profile; raw lines of any link. */
void prov_check_bgp(const struct parse *p, const struct cfg_link *link);
void prov_check_raw(const struct parse *p, const struct cfg_link *link);
/* check_prov_ipsec.c: a tunnel's proposals, lifetimes, segments. */
void prov_check_ipsec(const struct parse *p, const struct cfg_link *link);
/* check_prov_many.c */
void prov_check_many(const struct parse *p);
/* Does a key of this name, unknown to us, look like a secret? */
bool prov_is_secret(const char *name);

#endif
