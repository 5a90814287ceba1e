/* The table of the providers' rules, from prov.def, and the one way to report a broken one.
 *
 * Codes are stable: people write them into tickets and tools match them. The text begins with the
 * code and ends with what to do. */
#include <string.h>
#include "pool.h"
#include "prov.h"

#define ERROR	false
#define WARNING true

const struct prov_rule prov_rules[] = {
#define PROV(number, name, severity, title) \
	{ PROV_##name, number < 10 ? "PROV-0" #number : "PROV-" #number, severity, title },
#include "prov.def"
#undef PROV
	{ 0, NULL, false, NULL },
};

void prov_report(const struct parse *p, enum prov_code code, const char *path, const char *fmt, ...)
{
	const struct prov_rule *rule = prov_rules;
	char text[500];
	va_list args;

	while (rule->code && rule->code != code)
		rule++;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (rule->warning)
		parse_warning(p, path, "%s: %s", rule->name, text);
	else
		parse_error(p, path, "%s: %s", rule->name, text);
}

bool prov_is_secret(const char *name)
{
	static const char *const parts[] = { "password", "passwd", "passphrase", "secret", "psk",
		"md5", "token", NULL };

	for (unsigned i = 0; parts[i]; i++)
		if (strcasestr(name, parts[i]))
			return true;
	return false;
}
