/* SPDX-License-Identifier: BSD-2-Clause */
/* test_options.c - command lines: refusals with their one line, every form, and the help text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap/tap.h"
#include "util/message.h"
#include "util/options.h"

static bool quiet, promiscuous;
static const char *bus, *json;
static uint64_t count, ring_size, interval_ns, kernel_buffer;
static char calls[256];

static int on_stop(void *target, const char *argument, const char **why)
{
	char *to = target;
	size_t at = strlen(to);

	if (!strcmp(argument, "bad")) {
		*why = "not a condition";
		return -EINVAL;
	}
	snprintf(to + at, sizeof(calls) - at, "<%s>", argument);
	return 0;
}

static int on_debug(void *target, const char *argument, const char **why)
{
	(void)why;
	strcat(target, argument ? argument : "<none>");
	return 0;
}

static const struct option_row rows[] = {
	{ .help = "Capture" },
	{ .name = "bus", .letter = 'i', .type = OPTION_STRING, .target = &bus, .arg = "BUS",
	  .help = "the bus to read" },
	{ .name = "count", .letter = 'c', .type = OPTION_U64, .target = &count, .arg = "N",
	  .min = 1, .max = 1000, .help = "stop after N frames" },
	{ .name = "ring-size", .letter = 'm', .type = OPTION_SIZE, .target = &ring_size,
	  .arg = "SIZE", .help = "bytes of the ring, which is rounded up to the next power of two "
	  "so that a position is a mask away from its byte" },
	{ .letter = 'B', .type = OPTION_SIZE, .target = &kernel_buffer, .arg = "SIZE",
	  .unit = 1024, .help = "kernel buffer, in KiB" },
	{ .name = "interval", .type = OPTION_DURATION, .target = &interval_ns, .arg = "S",
	  .unit = 1000000000, .help = "time between two looks" },
	{ .name = "quiet", .letter = 'q', .type = OPTION_FLAG, .target = &quiet,
	  .help = "say less" },
	{ .name = "no-promiscuous-mode", .letter = 'p', .type = OPTION_FLAG,
	  .target = &promiscuous, .help = "leave the interface's mode alone" },
	{ .name = "json", .type = OPTION_STRING, .target = &json, .arg = "FILE", .otherwise = "-",
	  .help = "status as JSON" },
	{ .name = "stop", .letter = 'a', .type = OPTION_CALL, .target = calls, .arg = "WHEN",
	  .call = on_stop, .help = "stop when" },
	{ .name = "debug", .type = OPTION_CALL, .target = calls, .call = on_debug,
	  .help = "print more" },
	{ 0 },
};

static struct options table = {
	.program = "ncp-test",
	.version = "1.2.3",
	.usage = "[options] [filter]\n-D",
	.purpose = "Tests options.",
	.rows = rows,
};

static char seen[4096];
static char *argv[20];
static int n_words;

/* Parses a line of words parted by blanks; what it prints on fd goes to seen. */
static enum options_result parse(int fd, const char *line)
{
	static char copy[256];
	int argc = 1, saved = dup(fd), fds[2];
	enum options_result result;
	char *rest = copy;
	ssize_t n;

	quiet = promiscuous = false;
	bus = json = NULL;
	count = ring_size = interval_ns = kernel_buffer = 0;
	calls[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	argv[0] = (char *)"ncp-test";
	while (*line && rest)
		argv[argc++] = strsep(&rest, " ");
	argv[argc] = NULL;

	fflush(NULL);
	if (saved < 0 || pipe(fds) || dup2(fds[1], fd) < 0)
		bail("pipe: %s", strerror(errno));
	close(fds[1]);
	result = options_parse(&table, argc, argv, &n_words);
	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	n = read(fds[0], seen, sizeof(seen) - 1);
	seen[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return result;
}

static const char *words(void)
{
	static char joined[256];

	joined[0] = '\0';
	for (int i = 1; i <= n_words; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
			 i > 1 ? " " : "", argv[i]);
	return joined;
}

static const struct {
	const char *line, *said;
} refusals[] = {
	{ "--nonsense", "--nonsense: unknown option" },
	{ "--quie", "--quie: unknown option" },
	{ "--quiets", "--quiets: unknown option" },
	{ "-x", "-x: unknown option" },
	{ "-qx", "-x: unknown option" },
	{ "--\033[2J", "--\\x1b[2J: unknown option" },
	{ "--quiet=1", "--quiet=1: takes no argument" },
	{ "--bus", "--bus: needs its argument BUS" },
	{ "-c", "-c: needs its argument N" },
	{ "-c x", "-c x: not a number" },
	{ "-c -1", "-c -1: not a number" },
	{ "-c 0", "-c 0: too small" },
	{ "-c1001", "-c 1001: too large" },
	{ "-c 99999999999999999999", "-c 99999999999999999999: too large" },
	{ "--ring-size=5X",
	  "--ring-size 5X: not a size (digits, then K, M, G, T or nothing)" },
	{ "--interval=1w", "--interval 1w: not a duration (like 250ms, 10s, 5m, 1h)" },
	{ "-a bad", "-a bad: not a condition" },
};

#define N_REFUSALS (sizeof(refusals) / sizeof(refusals[0]))

static void test_refusals(void)
{
	char want[256];

	for (size_t i = 0; i < N_REFUSALS; i++) {
		enum options_result result = parse(STDERR_FILENO, refusals[i].line);

		snprintf(want, sizeof(want), "ncp-test: %s: ncp-test --help lists the options\n",
			 refusals[i].said);
		if (result != OPTIONS_BAD)
			ok(false, "refuses a line, got %d", result);
		else
			is_str(want, seen, "refuses a line, and says why (%zu)", i);
	}
}

static void test_forms(void)
{
	is_i64(OPTIONS_RUN, parse(STDERR_FILENO, ""), "takes an empty line");
	is_i64(0, n_words, "in which there are no words");
	ok(!parse(STDERR_FILENO, "--bus=eth0") && !strcmp(bus, "eth0"), "--name=ARG");
	ok(!parse(STDERR_FILENO, "--bus eth0") && !strcmp(bus, "eth0"), "--name ARG");
	ok(!parse(STDERR_FILENO, "-ieth0") && !strcmp(bus, "eth0"), "-xARG");
	ok(!parse(STDERR_FILENO, "-i eth0") && !strcmp(bus, "eth0"), "-x ARG");
	ok(!parse(STDERR_FILENO, "--bus=") && !strcmp(bus, ""), "an argument may be empty");
	ok(!parse(STDERR_FILENO, "--bus -q") && !strcmp(bus, "-q") && !quiet,
	   "an argument may look like an option");
	ok(!parse(STDERR_FILENO, "-qpc7") && quiet && promiscuous && count == 7,
	   "letters in one word");
	ok(!parse(STDERR_FILENO, "-c 7 -c 9") && count == 9, "of two, the last one holds");
	ok(!parse(STDERR_FILENO, "-a x -a y --stop=z") && !strcmp(calls, "<x><y><z>"),
	   "a call is made each time, in order");
	ok(!parse(STDERR_FILENO, "--debug w") && !strcmp(calls, "<none>") &&
	   !strcmp(words(), "w"), "a call without argument takes no word");
	ok(!parse(STDERR_FILENO, "-m 64M -B 2 --interval 2") && ring_size == 64 << 20 &&
	   kernel_buffer == 2048 && interval_ns == 2000000000, "bare numbers have their row's unit");
	ok(!parse(STDERR_FILENO, "--json x") && !strcmp(json, "-") && !strcmp(words(), "x"),
	   "an argument that may be left out is not taken from the next word");
	ok(!parse(STDERR_FILENO, "--json=x") && !strcmp(json, "x"), "but from the same one");
	ok(!parse(STDERR_FILENO, "-c1") && count == 1 && !parse(STDERR_FILENO, "-c1000") &&
	   count == 1000, "the ends of a range belong to it");
}

static void test_words(void)
{
	ok(!parse(STDERR_FILENO, "tcp -q port -c 3 80") && !strcmp(words(), "tcp port 80") && quiet &&
	   count == 3, "words may stand between options");
	ok(argv[n_words + 1] == NULL, "a NULL follows the words");
	ok(!parse(STDERR_FILENO, "-q -- -x --y") && !strcmp(words(), "-x --y"),
	   "what follows -- is words");
	ok(!parse(STDERR_FILENO, "- -q") && !strcmp(words(), "-") && quiet, "- is a word");
	table.stop_at_word = true;
	ok(!parse(STDERR_FILENO, "-q tcp -x --y") && !strcmp(words(), "tcp -x --y") && quiet,
	   "the first word ends the options if so asked");
	table.stop_at_word = false;
}

static const char help[] =
	"usage: ncp-test [options] [filter]\n"
	"       ncp-test -D\n"
	"Tests options.\n"
	"\n"
	"Capture:\n"
	"  -i, --bus BUS               the bus to read\n"
	"  -c, --count N               stop after N frames\n"
	"  -m, --ring-size SIZE        bytes of the ring, which is rounded up to the next power of two so\n"
	"                              that a position is a mask away from its byte\n"
	"  -B SIZE                     kernel buffer, in KiB\n"
	"      --interval S            time between two looks\n"
	"  -q, --quiet                 say less\n"
	"  -p, --no-promiscuous-mode   leave the interface's mode alone\n"
	"      --json[=FILE]           status as JSON\n"
	"  -a, --stop WHEN             stop when\n"
	"      --debug                 print more\n"
	"  -h, --help                  print this text and exit\n"
	"      --version               print the version and exit\n";

static void test_shown(void)
{
	is_i64(OPTIONS_SHOWN, parse(STDOUT_FILENO, "--help"), "--help is shown");
	is_str(help, seen, "the help text comes from the table");
	is_i64(OPTIONS_SHOWN, parse(STDOUT_FILENO, "-qh"), "-h is the same");
	is_str(help, seen, "with the same text");
	is_i64(OPTIONS_SHOWN, parse(STDOUT_FILENO, "--version -x"), "--version is shown");
	is_str("ncp-test 1.2.3\n", seen, "program and version, whatever follows");
}

int main(void)
{
	int fds;

	plan(N_REFUSALS + 16 + 5 + 6 + 1);
	message_setup("ncp-test");
	fds = tap_open_fds();
	test_refusals();
	test_forms();
	test_words();
	test_shown();
	is_i64(fds, tap_open_fds(), "no descriptor leaked");
	return tap_done();
}
