/* `link diagnose` for people: a line a layer, from the light up, then the first that fails and
 * whose turn it is. */
#include <string.h>
#include "ctl.h"

static const char *turn_text(const json_t *d, const char *turn)
{
	if (!strcmp(turn, "ours"))
		return "our turn";
	if (!strcmp(turn, "colo"))
		return "the colo's turn";
	return get_bool(d, "partner") ? "the partner's turn" : "the provider's turn";
}

static void print_layers(FILE *out, const json_t *layers)
{
	const json_t *layer;
	const char *before = NULL;
	size_t i;

	json_array_foreach(layers, i, layer) {
		const char *family = get_str(layer, "family", NULL);

		if (family && (!before || strcmp(family, before)))
			fprintf(out, "%s\n", family);
		before = family;
		fprintf(out, "%s%-9s %-7s %s\n", family ? "  " : "", get_str(layer, "layer", "?"),
			get_str(layer, "state", "?"), get_str(layer, "text", ""));
	}
}

void print_diagnose(struct ctl_print *print, const json_t *d)
{
	const json_t *verdict = json_object_get(d, "verdict");
	FILE *out = print->out;

	fprintf(out, "%s: %s, VRF %s%s%s%s%s\n", get_str(d, "link", "?"), get_str(d, "zone", "-"),
		get_str(d, "vrf", "-"), get_str(d, "circuit", NULL) ? ", circuit " : "",
		get_str(d, "circuit", ""), get_str(d, "id", NULL) ? ", id " : "",
		get_str(d, "id", ""));
	print_layers(out, json_object_get(d, "layers"));
	if (!json_is_object(verdict)) {
		fprintf(out, "nothing fails (%.1f s)\n", get_real(d, "seconds"));
		return;
	}
	fprintf(out, "\n%s%s%s fails first: %s\n%s: %s\n", get_str(verdict, "layer", "?"),
		get_str(verdict, "family", NULL) ? " of " : "", get_str(verdict, "family", ""),
		get_str(verdict, "text", ""), turn_text(d, get_str(verdict, "turn", "")),
		get_str(verdict, "todo", ""));
}
