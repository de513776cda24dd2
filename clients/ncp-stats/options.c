/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - ncp-stats' command line. */
#include "options.h"

#include <ncpbus.h>

#include "serve.h"
#include "util/message.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum options_result stats_options_parse(struct stats_options *o, int argc, char **argv)
{
	const struct option_row rows[] = {
		{ .name = "bus", .letter = 'i', .type = OPTION_STRING, .target = &o->bus,
		  .arg = "BUS", .help = "the bus to look at; without it, the only one there is" },
		{ .name = "list", .letter = 'D', .type = OPTION_FLAG, .target = &o->list,
		  .help = "one line for each bus of this host, then leave" },
		{ .name = "once", .type = OPTION_FLAG, .target = &o->once,
		  .help = "look once, then leave" },
		{ .name = "json", .type = OPTION_STRING, .target = &o->json, .arg = "FILE",
		  .otherwise = "-",
		  .help = "one JSON object for each look, on stdout or appended to FILE" },
		{ .name = "interval", .letter = 'n', .type = OPTION_DURATION,
		  .target = &o->interval_ns, .arg = "S", .unit = SECOND, .min = 50 * MS,
		  .max = 86400 * SECOND, .help = "seconds between two looks; 1 if not given" },
		{ .name = "listen", .type = OPTION_STRING, .target = &o->listen,
		  .arg = "ADDR:PORT", .otherwise = SERVE_ADDRESS,
		  .help = "tell all busses, or -i's, by HTTP: /metrics for Prometheus, a page at /; "
			  "127.0.0.1:10469 if not given" },
		{ .name = "host", .type = OPTION_STRING, .target = &o->hosts, .arg = "NAME,...",
		  .help = "with --listen: answer to these names too, not only to addresses" },
		{ .name = "dir", .type = OPTION_STRING, .target = &o->dir, .arg = "DIR",
		  .help = "where the busses are; $NCP_DIR, else /dev/shm" },
		{ .name = "trust-owner", .type = OPTION_STRING, .target = &o->trust,
		  .arg = "USER,...", .help = "believe busses of these users too; $NCP_TRUST" },
		{ 0 },
	};
	const struct options table = {
		.program = "ncp-stats",
		.version = NCP_VERSION,
		.usage = "[-i BUS] [--once] [--json[=FILE]] [--interval S]\n--list [--json[=FILE]]\n"
			 "[-i BUS] --listen[=ADDR:PORT] [--interval S]",
		.purpose = "Shows what passes over a capture bus, and how its clients keep up.",
		.rows = rows,
	};
	int n_words;

	*o = (struct stats_options){ .interval_ns = SECOND };
	enum options_result r = options_parse(&table, argc, argv, &n_words);
	if (r != OPTIONS_RUN)
		return r;
	if (n_words) {
		message_error(EXIT_USAGE, MESSAGE_TEXT("argument %s", argv[1]), "not an option",
			      "name the bus with -i");
		return OPTIONS_BAD;
	}
	if (o->list && o->bus) {
		message_error(EXIT_USAGE, "--list with -i", "it lists every bus",
			      "leave one of the two out");
		return OPTIONS_BAD;
	}
	if (o->listen && (o->list || o->once || o->json)) {
		message_error(EXIT_USAGE, "--listen", "it only answers requests",
			      "leave out --list, --once and --json");
		return OPTIONS_BAD;
	}
	if (o->hosts && !o->listen) {
		message_error(EXIT_USAGE, "--host", "nothing listens", "give --listen too");
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}
