/* `ipsec show`: a line a security association. */
#include "ctl.h"

void print_ipsec(struct ctl_print *print, const json_t *sa)
{
	const json_t *expires = json_object_get(sa, "expires_s");
	struct table *t = print->table;
	char buf[FORMAT_LEN];
	bool keys = get_str(sa, "spi", NULL);

	table_cell(t, get_str(sa, "link", "?"));
	table_cell(t, get_str(sa, "direction", "-"));
	table_cell(t, get_str(sa, "spi", "-"));
	table_cellf(t, "%s%s", get_str(sa, "state", "?"),
		keys && !get_bool(sa, "used") ? ", not used" : "");
	table_cellf(t, "%s%s%s", get_str(sa, "algorithm", "-"), get_bool(sa, "esn") ? " ESN" : "",
		get_bool(sa, "udp") ? " in UDP" : "");
	table_cell(t, keys ? format_duration(get_int(sa, "age_s"), buf) : "-");
	table_cell(t,
		json_is_integer(expires) ? format_duration(json_integer_value(expires), buf) : "-");
	table_cell(t, format_count((uint64_t)get_int(sa, "packets"), buf));
	table_cell(t, format_count((uint64_t)get_int(sa, "bytes"), buf));
	table_cellf(t, "%lld", (long long)get_int(sa, "sequence"));
	table_cellf(t, "%lld", (long long)get_int(sa, "replayed"));
	table_cellf(t, "%lld", (long long)(get_int(sa, "bad_icv") + get_int(sa, "bad_padding")));
	table_cell(t, get_str(sa, "source", "-"));
	table_cell(t, get_str(sa, "why", ""));
	table_row(t);
}
