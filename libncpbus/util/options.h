/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - command lines from a table: the parser and the help text both come from it. */
#ifndef NCP_UTIL_OPTIONS_H
#define NCP_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What an option's argument is, and what its target points to. */
enum option_type {
	OPTION_FLAG = 1,	/* no argument; bool: set to true */
	OPTION_STRING,		/* const char *: the argument, which lives as long as argv */
	OPTION_U64,		/* uint64_t, in [min, max] */
	OPTION_SIZE,		/* uint64_t, bytes; parse_size() with unit, in [min, max] */
	OPTION_DURATION,	/* uint64_t, ns; parse_duration() with unit, in [min, max] */
	OPTION_CALL,		/* call(target, argument) decides */
};

/*
 * A row of the table.  A row with only help is a heading in the help text; an empty row ends the
 * table.  Options may be given again: the last one holds, and call is made each time, in order.
 */
struct option_row {
	const char *name;	/* long name, without "--" */
	char letter;		/* short one, or 0 */
	enum option_type type;
	void *target;
	const char *arg;	/* its argument's name in the help; NULL: takes none */
	const char *otherwise;	/* if not NULL, the argument may be left out and is then this; it
				 * must be joined to the option (--json=FILE) */
	const char *help;	/* one sentence; wrapped as needed */
	uint64_t unit;		/* of a bare number: bytes for SIZE (0: 1), ns for DURATION (0: a
				 * bare number is refused) */
	uint64_t min, max;	/* 0 for max: no limit */
	/*
	 * Returns 0, or a negative code after pointing *why to the reason, a text that lives on.
	 * argument is NULL if the row takes none.
	 */
	int (*call)(void *target, const char *argument, const char **why);
};

struct options {
	const char *program;	/* its name */
	const char *version;	/* NCP_VERSION */
	const char *usage;	/* what follows the name, one line for each form of the command */
	const char *purpose;	/* one sentence */
	const struct option_row *rows;
	bool stop_at_word;	/* the first word ends the options; else they may stand anywhere */
};

enum options_result {
	OPTIONS_RUN = 0,	/* go on */
	OPTIONS_SHOWN = 1,	/* help or version was asked for and printed: exit with EXIT_DONE */
	OPTIONS_BAD = 2,	/* a usage error was found and said: exit with EXIT_USAGE */
};

/*
 * options_parse - parse a command line.
 *
 * Takes --name, --name=ARG, --name ARG, -x, -xARG, -x ARG, -xy; "--" ends the options; "-" is a
 * word.  Long names are taken whole, not abbreviated.  -h, --help and --version need no row.
 *
 *   argv     as main() has it; the words (what is no option) are moved to argv[1] to
 *            argv[*n_words], in their order, and a NULL after them
 *
 * An option's argument is the next word whatever it begins with (--from -60s).  Errors are said
 * by message_error().  Never exits.
 */
enum options_result options_parse(const struct options *o, int argc, char **argv, int *n_words)
	__attribute__((warn_unused_result));

/* options_help - print what --help prints. */
void options_help(const struct options *o, FILE *f);

#endif
