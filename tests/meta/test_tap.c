/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tap.c - the TAP helper itself: a test that fails must be seen to fail. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap/tap.h"

/* Runs itself with one of these as argument; what it printed and its status are judged. */
static int as_child(const char *what)
{
	if (!strcmp(what, "good")) {
		plan(2);
		ok(true, "one of %d", 2);
		is_u64(7, 7, "two");
	} else if (!strcmp(what, "bad")) {
		plan(1);
		is_str("a", "b", "letters");
	} else if (!strcmp(what, "short")) {
		plan(2);
		ok(true, "only one");
	} else if (!strcmp(what, "long")) {
		plan(1);
		ok(true, "one");
		ok(true, "two");
	} else if (!strcmp(what, "skip_all")) {
		skip_all("no %s here", "moon");
	} else if (!strcmp(what, "skip")) {
		plan(1);
		skip(1, "no moon");
	} else if (!strcmp(what, "unplanned")) {
		ok(true, "too early");
	} else if (!strcmp(what, "fork")) {
		plan(1);
		if (fork() == 0)
			ok(true, "from a fork");
		int status;
		wait(&status);
		ok(WIFEXITED(status) && WEXITSTATUS(status) == 255, "the fork bailed out");
	} else if (!strcmp(what, "tempdir")) {
		plan(1);
		const char *dir = tap_tempdir(NULL);
		char file[256];
		snprintf(file, sizeof(file), "%s/file", dir);
		ok(close(open(file, O_CREAT | O_WRONLY, 0600)) == 0, "%s", dir);
		if (fork() == 0)
			exit(access(file, F_OK));
		wait(NULL);
		if (access(file, F_OK))
			bail("a fork removed the directory");
	}
	return tap_done();
}

static char output[4096];

static int run(const char *self, const char *what, const char *env)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "%s '%s' %s 2>/dev/null", env, self, what);
	FILE *p = popen(cmd, "r");
	if (!p)
		bail("popen");
	size_t n = fread(output, 1, sizeof(output) - 1, p);
	output[n] = '\0';
	int status = pclose(p);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_third_call(void *arg)
{
	return ++*(int *)arg == 3;
}

static bool never(void *arg)
{
	++*(int *)arg;
	return false;
}

static void test_reports(const char *self)
{
	is_i64(0, run(self, "good", "CI="), "all good is exit status 0");
	is_str("1..2\nok 1 - one of 2\nok 2 - two\n", output, "prints plan and results");
	is_i64(1, run(self, "bad", "CI="), "a failed result is exit status 1");
	is_str("1..1\nnot ok 1 - letters\n", output, "prints the failure");
	is_i64(1, run(self, "short", "CI="), "fewer results than planned is a failure");
	is_i64(1, run(self, "long", "CI="), "more results than planned is a failure");
	is_i64(255, run(self, "unplanned", "CI="), "a result before the plan bails out");
	is_i64(0, run(self, "skip_all", "CI="), "skip_all is no failure for a person");
	is_str("1..0 # SKIP no moon here\n", output, "skip_all gives its reason");
	is_i64(1, run(self, "skip_all", "CI=true"), "skip_all is a failure in CI");
	is_i64(0, run(self, "skip", "CI="), "a skipped result is no failure for a person");
	is_i64(1, run(self, "skip", "CI=true"), "a skipped result is a failure in CI");
	is_i64(0, run(self, "fork", "CI="), "a fork that reports bails out, its planner goes on");
	is_i64(0, run(self, "tempdir", "CI="), "a fork's exit leaves the planner's directory alone");
	char *path = strstr(output, "/");
	path = path ? strsep(&path, "\n") : NULL;
	ok(path && access(path, F_OK) == -1, "the planner's exit removes its directory");
}

static void test_random(const char *self)
{
	unsigned char a[100], b[100];
	struct tap_rng r = { .seed = 1 }, s = { .seed = 1 };
	bool same = true;

	tap_random_bytes(1, sizeof(a), a);
	tap_random_bytes(1, sizeof(b), b);
	is_mem(a, b, sizeof(a), "the same seed gives the same bytes");
	tap_random_bytes(2, sizeof(b), b);
	ok(memcmp(a, b, sizeof(a)) != 0, "another seed gives others");
	for (int i = 0; i < 1000; i++)
		same &= tap_rng_u64(&r) == tap_rng_u64(&s);
	ok(same, "the same seed gives the same thousand numbers");
	r = (struct tap_rng){ .seed = 1 };
	uint64_t first = tap_rng_u64(&r);
	for (int i = 0; i < 63; i++)
		tap_rng_u64(&r);
	ok(first != tap_rng_u64(&r), "the stream goes on after its first pool");
	setenv("NCP_TEST_SEED", "0x1234", 1);
	is_u64(0x1234, tap_seed(), "NCP_TEST_SEED is taken back");
	(void)self;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return as_child(argv[1]);
	plan(25);
	test_reports(argv[0]);
	test_random(argv[0]);

	int calls = 0;
	ok(wait_until(is_third_call, &calls, 10000), "wait_until sees a condition come true");
	calls = 0;
	ok(!wait_until(never, &calls, 5) && calls >= 2, "wait_until gives up at its deadline");

	int before = tap_open_fds();
	int fd = open("/dev/null", O_RDONLY);
	is_i64(before + 1, tap_open_fds(), "tap_open_fds sees one more");
	close(fd);

	char name[TAP_BUS_NAME_CAP], other[TAP_BUS_NAME_CAP];
	tap_bus_name(name, "a-stem-that-is-longer-than-thirty-characters");
	tap_bus_name(other, "a-stem-that-is-longer-than-thirty-characters");
	ok(strlen(name) < 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name),
	   "tap_bus_name is a valid name: %s", name);
	ok(strcmp(name, other) != 0, "and never the same twice");
	return tap_done();
}
