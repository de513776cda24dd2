/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - ncp-stats' command line. */
#ifndef STATS_OPTIONS_H
#define STATS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/options.h"

struct stats_options {
	const char *bus;   /* NULL: the only one there is */
	const char *dir;   /* NULL: the library's default */
	const char *trust; /* NULL: likewise */
	const char *json;  /* NULL: text; "-": stdout; else a file */
	const char *listen; /* NULL: no server; as in serve.h */
	const char *hosts;  /* NULL, or names by commas */
	uint64_t interval_ns;
	bool list;
	bool once;
};

/* stats_options_parse - fill o from a command line; errors are said. */
enum options_result stats_options_parse(struct stats_options *o, int argc, char **argv);

#endif
