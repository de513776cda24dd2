/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - command lines from a table: the parser and the help text both come from it. */
#include "util/options.h"

#include <errno.h>
#include <string.h>

#include "util/message.h"
#include "util/parse.h"

/* Where the help's second column begins, and how wide the text may be. */
#define HELP_COLUMN 30
#define HELP_WIDTH 96

static const struct option_row builtin_rows[] = {
	{ .name = "help", .letter = 'h', .help = "print this text and exit" },
	{ .name = "version", .help = "print the version and exit" },
	{ 0 },
};

static bool is_end(const struct option_row *row)
{
	return !row->name && !row->letter && !row->help;
}

static bool is_heading(const struct option_row *row)
{
	return !row->name && !row->letter && row->help;
}

static const struct option_row *find_long(const struct option_row *row, const char *name,
					  size_t len)
{
	for (; !is_end(row); row++) {
		if (row->name && strlen(row->name) == len && !memcmp(row->name, name, len))
			return row;
	}
	return NULL;
}

static const struct option_row *find_letter(const struct option_row *row, char letter)
{
	for (; !is_end(row); row++) {
		if (row->letter == letter)
			return row;
	}
	return NULL;
}

static enum options_result bad(const struct options *o, const char *what, const char *why)
{
	message_error(EXIT_USAGE, what, why,
		      MESSAGE_TEXT("%s --help lists the options", o->program));
	return OPTIONS_BAD;
}

static int number(const struct option_row *row, const char *arg, const char **why)
{
	uint64_t n = 0, max = row->max ? row->max : UINT64_MAX;
	int rc;

	switch (row->type) {
	case OPTION_SIZE:
		rc = parse_size(arg, row->unit ? row->unit : 1, &n);
		*why = "not a size (digits, then K, M, G, T or nothing)";
		break;
	case OPTION_DURATION:
		rc = parse_duration(arg, row->unit, &n);
		*why = row->unit ? "not a duration (like 250ms, 10s, 5m, 1h)"
				 : "not a duration with its unit (like 250ms, 10s, 5m, 1h)";
		break;
	default:
		rc = parse_u64(arg, 0, UINT64_MAX, &n);
		*why = "not a number";
		break;
	}
	if (rc == -ERANGE || (!rc && n > max)) {
		rc = -ERANGE;
		*why = "too large";
	} else if (!rc && n < row->min) {
		rc = -ERANGE;
		*why = "too small";
	}
	if (!rc)
		*(uint64_t *)row->target = n;
	return rc;
}

static int apply(const struct option_row *row, const char *arg, const char **why)
{
	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)row->target = true;
		return 0;
	case OPTION_STRING:
		*(const char **)row->target = arg;
		return 0;
	case OPTION_CALL:
		return row->call(row->target, arg, why);
	default:
		return number(row, arg, why);
	}
}

/*
 * Does what one option says.  shown is its name for messages; joined its argument if that stood
 * in the same word, else NULL; *next the next word, if it is used the place after it.
 */
static enum options_result use(const struct options *o, const struct option_row *row,
			       const char *shown, const char *joined, char ***next)
{
	const char *arg = joined, *why = "not understood";

	if (row == &builtin_rows[0]) {
		options_help(o, stdout);
		return OPTIONS_SHOWN;
	}
	if (row == &builtin_rows[1]) {
		printf("%s %s\n", o->program, o->version);
		return OPTIONS_SHOWN;
	}
	if (row->arg && !joined) {
		if (row->otherwise)
			arg = row->otherwise;
		else if (**next)
			arg = *(*next)++;
		else
			return bad(o, shown, MESSAGE_TEXT("needs its argument %s", row->arg));
	}
	if (apply(row, arg, &why))
		return bad(o, arg ? MESSAGE_TEXT("%s %s", shown, arg) : shown, why);
	return OPTIONS_RUN;
}

static enum options_result use_long(const struct options *o, const char *word, char ***next)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find_long(o->rows, name, len);

	if (!row)
		row = find_long(builtin_rows, name, len);
	if (!row)
		return bad(o, word, "unknown option");
	if (equals && !row->arg)
		return bad(o, word, "takes no argument");
	return use(o, row, MESSAGE_TEXT("--%s", row->name), equals ? equals + 1 : NULL, next);
}

/* A word of letters: flags, of which the last may take the rest of the word as its argument. */
static enum options_result use_letters(const struct options *o, const char *word, char ***next)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct option_row *row = find_letter(o->rows, *letter);
		const char shown[] = { '-', *letter, '\0' };
		enum options_result result;

		if (!row)
			row = find_letter(builtin_rows, *letter);
		if (!row)
			return bad(o, shown, "unknown option");
		result = use(o, row, shown, row->arg && letter[1] ? letter + 1 : NULL, next);
		if (result != OPTIONS_RUN || row->arg)
			return result;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(const struct options *o, int argc, char **argv, int *n_words)
{
	/* Words move towards the front, never past the word that is being looked at. */
	char **words = argv + (argc > 0), **next = words;
	bool over = false;

	*n_words = 0;
	while (*next) {
		enum options_result result = OPTIONS_RUN;
		char *word = *next++;

		if (over || word[0] != '-' || !word[1]) {
			words[(*n_words)++] = word;
			over |= o->stop_at_word;
		} else if (!strcmp(word, "--")) {
			over = true;
		} else if (word[1] == '-') {
			result = use_long(o, word, &next);
		} else {
			result = use_letters(o, word, &next);
		}
		if (result != OPTIONS_RUN)
			return result;
	}
	words[*n_words] = NULL;
	return OPTIONS_RUN;
}

/* Prints text from column at on, breaking lines at blanks; every line begins at HELP_COLUMN. */
static void print_wrapped(const char *text, int at, FILE *f)
{
	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at >= HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
			fputc('\n', f);
			at = 0;
		}
		if (at < HELP_COLUMN)
			at += fprintf(f, "%*s", HELP_COLUMN - at, "");
		else
			at += fprintf(f, " ");
		at += fprintf(f, "%.*s", len, text);
		text += len;
		text += *text == ' ';
	}
	fputc('\n', f);
}

static void print_row(const struct option_row *row, FILE *f)
{
	char left[128], letter[] = { '-', row->letter, '\0' };
	const char *open = "", *close = "";

	if (is_heading(row)) {
		fprintf(f, "\n%s:\n", row->help);
		return;
	}
	if (row->arg) {
		open = row->otherwise ? row->name ? "[=" : "[" : " ";
		close = row->otherwise ? "]" : "";
	}
	snprintf(left, sizeof(left), "  %s%s%s%s%s%s%s", row->letter ? letter : "  ",
		 row->letter && row->name ? ", " : row->name ? "  " : "", row->name ? "--" : "",
		 row->name ? row->name : "", open, row->arg ? row->arg : "", close);
	fputs(left, f);
	if (strlen(left) < HELP_COLUMN) {
		print_wrapped(row->help, (int)strlen(left), f);
	} else {
		fputc('\n', f);
		print_wrapped(row->help, 0, f);
	}
}

void options_help(const struct options *o, FILE *f)
{
	const char *lead = "usage:", *line = o->usage;

	while (*line) {
		int len = (int)strcspn(line, "\n");

		fprintf(f, "%-6s %s %.*s\n", lead, o->program, len, line);
		line += len;
		line += *line == '\n';
		lead = "";
	}
	fprintf(f, "%s\n%s", o->purpose, is_heading(o->rows) ? "" : "\n");
	for (const struct option_row *row = o->rows; !is_end(row); row++)
		print_row(row, f);
	for (const struct option_row *row = builtin_rows; !is_end(row); row++)
		print_row(row, f);
}
