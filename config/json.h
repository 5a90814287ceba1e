/* The same configuration as JSON. See json.c. */
#ifndef LINTAS_CONFIG_JSON_H
#define LINTAS_CONFIG_JSON_H

#include <libconfig.h>
#include "source.h"

/* Fills tree from the source's text. false: an error was added. */
bool json_tree(const struct source *source, config_t *tree, struct cfg_errors *errors);

#endif
