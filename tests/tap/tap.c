/* SPDX-License-Identifier: BSD-2-Clause */
/* tap.c - Test Anything Protocol and the helpers every unit test shares. */
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

static unsigned int planned, n_run, n_failed;
static pid_t planner;

static struct {
	void (*fn)(void *arg);
	void *arg;
} cleanups[64];
static unsigned int n_cleanups;

static bool in_ci(void)
{
	const char *ci = getenv("CI");

	return ci && *ci && strcmp(ci, "false") != 0 && strcmp(ci, "0") != 0;
}

static void run_cleanups(void)
{
	if (getpid() != planner)
		return;
	while (n_cleanups > 0) {
		n_cleanups--;
		cleanups[n_cleanups].fn(cleanups[n_cleanups].arg);
	}
}

/* Before the first output or registration, whichever call that is. */
static void begin(void)
{
	if (planner)
		return;
	planner = getpid();
	/* By lines, so that a fork inherits no half-written buffer to print again. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sodium_init() < 0)
		bail("libsodium does not start");
	if (atexit(run_cleanups))
		bail("atexit: no memory");
}

void plan(unsigned int n)
{
	begin();
	if (planned)
		bail("planned twice");
	if (!n)
		bail("a plan of nothing");
	planned = n;
	printf("1..%u\n", n);
}

static TAP_PRINTF(2, 0) bool report(bool good, const char *name, va_list args)
{
	if (!planned)
		bail("a result before the plan");
	if (getpid() != planner)
		bail("a result from a fork of the planner");
	printf("%sok %u - ", good ? "" : "not ", ++n_run);
	vprintf(name, args);
	putchar('\n');
	n_failed += !good;
	return good;
}

#define REPORT(good, name) __extension__({		\
	va_list args_;					\
	va_start(args_, name);				\
	bool good_ = report(good, name, args_);		\
	va_end(args_);					\
	good_;						\
})

bool ok(bool good, const char *name, ...)
{
	return REPORT(good, name);
}

bool is_u64(uint64_t want, uint64_t got, const char *name, ...)
{
	bool same = REPORT(want == got, name);

	if (!same)
		diag("  want %" PRIu64 " (0x%" PRIx64 ")\n   got %" PRIu64 " (0x%" PRIx64 ")",
		     want, want, got, got);
	return same;
}

bool is_i64(int64_t want, int64_t got, const char *name, ...)
{
	bool same = REPORT(want == got, name);

	if (!same)
		diag("  want %" PRId64 "\n   got %" PRId64, want, got);
	return same;
}

bool is_str(const char *want, const char *got, const char *name, ...)
{
	bool same = REPORT(want && got ? !strcmp(want, got) : want == got, name);

	if (!same)
		diag("  want %s\n   got %s", want ? want : "(null)", got ? got : "(null)");
	return same;
}

bool is_mem(const void *want, const void *got, size_t len, const char *name, ...)
{
	bool same = REPORT(len == 0 || !memcmp(want, got, len), name);
	const unsigned char *w = want, *g = got;

	for (size_t i = 0; !same && i < len; i++) {
		if (w[i] == g[i])
			continue;
		diag("  first difference at byte %zu of %zu: want 0x%02x, got 0x%02x", i, len,
		     w[i], g[i]);
		break;
	}
	return same;
}

static TAP_PRINTF(1, 0) void vdiag(const char *text, va_list args)
{
	char buf[4096], *line, *rest = buf;

	vsnprintf(buf, sizeof(buf), text, args);
	while ((line = strsep(&rest, "\n")))
		fprintf(stderr, "# %s\n", line);
}

void diag(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vdiag(text, args);
	va_end(args);
}

void bail(const char *why, ...)
{
	va_list args;

	printf("Bail out!  ");
	va_start(args, why);
	vprintf(why, args);
	va_end(args);
	putchar('\n');
	exit(255);
}

void skip_all(const char *why, ...)
{
	va_list args;

	begin();
	if (planned)
		bail("skip_all after the plan");
	printf(in_ci() ? "1..1\nnot ok 1 - skipped in CI: " : "1..0 # SKIP ");
	va_start(args, why);
	vprintf(why, args);
	va_end(args);
	putchar('\n');
	exit(in_ci());
}

void skip(unsigned int n, const char *why, ...)
{
	char buf[512];
	va_list args;

	va_start(args, why);
	vsnprintf(buf, sizeof(buf), why, args);
	va_end(args);
	while (n--) {
		if (in_ci())
			ok(false, "skipped in CI: %s", buf);
		else
			ok(true, "# SKIP %s", buf);
	}
}

int tap_done(void)
{
	if (n_run != planned)
		diag("planned %u results, gave %u", planned, n_run);
	return n_run != planned || n_failed > 0;
}

void tap_cleanup(void (*fn)(void *arg), void *arg)
{
	begin();
	if (n_cleanups == sizeof(cleanups) / sizeof(cleanups[0]))
		bail("too many clean-ups");
	cleanups[n_cleanups].fn = fn;
	cleanups[n_cleanups].arg = arg;
	n_cleanups++;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool wait_until(bool (*cond)(void *arg), void *arg, unsigned int ms)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t deadline = now_ms() + ms;

	while (!cond(arg)) {
		if (now_ms() >= deadline)
			return cond(arg);
		nanosleep(&pause, NULL);
	}
	return true;
}

uint64_t tap_seed(void)
{
	static uint64_t seed;
	static bool known;
	const char *env = getenv("NCP_TEST_SEED");
	char *end;

	begin();
	if (known)
		return seed;
	if (env) {
		errno = 0;
		seed = strtoull(env, &end, 0);
		if (errno || end == env || *end)
			bail("NCP_TEST_SEED: not a number: %s", env);
	} else {
		randombytes_buf(&seed, sizeof(seed));
	}
	known = true;
	diag("NCP_TEST_SEED=0x%" PRIx64, seed);
	return seed;
}

static void expand(uint64_t seed, uint64_t counter, size_t n, void *buf)
{
	unsigned char key[randombytes_SEEDBYTES] = { 0 };

	memcpy(key, &seed, sizeof(seed));
	memcpy(key + sizeof(seed), &counter, sizeof(counter));
	randombytes_buf_deterministic(buf, n, key);
}

void tap_random_bytes(uint64_t seed, size_t n, void *buf)
{
	expand(seed, UINT64_MAX, n, buf);
}

uint64_t tap_rng_u64(struct tap_rng *r)
{
	const size_t n = sizeof(r->pool) / sizeof(r->pool[0]);
	size_t i = r->n_drawn % n;

	if (i == 0)
		expand(r->seed, r->n_drawn, sizeof(r->pool), r->pool);
	r->n_drawn++;
	return r->pool[i];
}

uint64_t tap_rng_below(struct tap_rng *r, uint64_t limit)
{
	return tap_rng_u64(r) % limit;
}

int tap_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		bail("/proc/self/fd: %s", strerror(errno));
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* without the one that was looking */
}

void tap_bus_name(char buf[TAP_BUS_NAME_CAP], const char *stem)
{
	begin();
	snprintf(buf, TAP_BUS_NAME_CAP, "%.30s-%d-%08" PRIx32, stem, getpid(), randombytes_random());
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void remove_tree(void *arg)
{
	if (nftw(arg, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		diag("%s: cannot be removed: %s", (char *)arg, strerror(errno));
	free(arg);
}

const char *tap_tempdir(const char *parent)
{
	char *path;

	begin();
	if (!parent)
		parent = getenv("TMPDIR");
	if (asprintf(&path, "%s/ncp-test.XXXXXX", parent ? parent : "/tmp") < 0)
		bail("no memory");
	if (!mkdtemp(path))
		bail("%s: %s", path, strerror(errno));
	tap_cleanup(remove_tree, path);
	return path;
}
