/* --json: data only, the same shape every time. An object is indented; a list has one element a
 * line, so that a long one streams, and still is one JSON document. */
#include "ctl.h"

#define REALS JSON_REAL_PRECISION(15) /* 1.001, not 1.0009999999999999 */

void json_out_part(const json_t *data, bool more, void *arg)
{
	struct json_out *o = arg;
	json_t *item;
	size_t i;

	if (!json_is_array(data)) {
		json_dumpf(data, o->out, JSON_INDENT(2) | REALS | JSON_ENCODE_ANY);
		fputc('\n', o->out);
		return;
	}
	if (!o->in_array)
		fputc('[', o->out);
	o->in_array = true;
	json_array_foreach(data, i, item) {
		fputs(o->any ? ",\n" : "\n", o->out);
		json_dumpf(item, o->out, JSON_COMPACT | REALS | JSON_ENCODE_ANY);
		o->any = true;
	}
	if (!more)
		fputs(o->any ? "\n]\n" : "]\n", o->out);
	fflush(o->out);
}
