/* SPDX-License-Identifier: BSD-2-Clause */
/* tap.h - what a unit test is written with: Test Anything Protocol, seeds, waiting, clean-up. */
#ifndef NCP_TAP_H
#define NCP_TAP_H

/*
 * A test program says first how many results it will give, then gives them, then returns
 * tap_done():
 *
 *	int main(void)
 *	{
 *		plan(2);
 *		is_i64(-EINVAL, parse("x"), "refuses a letter");
 *		ok(parse("1") == 1, "takes a digit");
 *		return tap_done();
 *	}
 *
 * Wanted comes before seen.  Names are sentences; they are printf formats.  Everything is
 * printed on stdout, except diag() lines, which go to stderr so that prove shows them.
 *
 * Only the process that planned may report: in a fork, leave by _exit() with a status and let
 * the planner judge it.  Threads may report only one at a time.
 *
 * In CI (the environment has CI=true) a skip is a failure: a check that silently stopped running
 * there would not be missed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define TAP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* plan - the number of results to come, 1 or more; once, before any result. */
void plan(unsigned int n);

/* Each reports one result and returns whether it was good.  A failure prints both values. */
bool ok(bool good, const char *name, ...) TAP_PRINTF(2, 3);
bool is_u64(uint64_t want, uint64_t got, const char *name, ...) TAP_PRINTF(3, 4);
bool is_i64(int64_t want, int64_t got, const char *name, ...) TAP_PRINTF(3, 4);

/* is_str - same string; NULL equals only NULL. */
bool is_str(const char *want, const char *got, const char *name, ...) TAP_PRINTF(3, 4);

/* is_mem - len bytes are the same; a failure prints the first offset that differs. */
bool is_mem(const void *want, const void *got, size_t len, const char *name, ...) TAP_PRINTF(4, 5);

/* diag - a remark for a person, of one or more lines. */
void diag(const char *text, ...) TAP_PRINTF(1, 2);

/* bail - the test cannot run (a set-up step failed): stops this test and the whole run. */
noreturn void bail(const char *why, ...) TAP_PRINTF(1, 2);

/* skip_all - instead of plan(): this machine lacks something.  Ends the program. */
noreturn void skip_all(const char *why, ...) TAP_PRINTF(1, 2);

/* skip - n results of the plan that this machine cannot give. */
void skip(unsigned int n, const char *why, ...) TAP_PRINTF(2, 3);

/* tap_done - main's return value: 0 if all that was planned ran and was good, else 1. */
int tap_done(void);

/*
 * tap_cleanup - call fn(arg) when the planner exits, last registered first.
 *
 * Also after bail(), and never in its forks.  At most 64.
 */
void tap_cleanup(void (*fn)(void *arg), void *arg);

/*
 * wait_until - wait for cond(arg) to become true, ms milliseconds at most.
 *
 * cond is asked at least once, then about every millisecond.  Returns its last answer.
 */
bool wait_until(bool (*cond)(void *arg), void *arg, unsigned int ms);

/*
 * tap_seed - the seed of this run.
 *
 * NCP_TEST_SEED (decimal, or hex after 0x) if set, else a new one from libsodium; printed by
 * the first call, so that a failure can be had again.
 */
uint64_t tap_seed(void);

/* tap_random_bytes - n bytes (up to 2^38) that follow from seed alone; libsodium's ChaCha20. */
void tap_random_bytes(uint64_t seed, size_t n, void *buf);

/* A stream of numbers that follows from a seed; {.seed = s} starts one. */
struct tap_rng {
	uint64_t seed;
	uint64_t n_drawn;
	uint64_t pool[64];
};

uint64_t tap_rng_u64(struct tap_rng *r);

/* tap_rng_below - a number in [0, limit), limit > 0.  The bias (limit / 2^64) is for tests only. */
uint64_t tap_rng_below(struct tap_rng *r, uint64_t limit);

/* tap_open_fds - how many descriptors this process has open; equal before and after = no leak. */
int tap_open_fds(void);

/* tap_bus_name - a valid bus name that no other test uses: stem (up to 30 characters), pid, random. */
#define TAP_BUS_NAME_CAP 64
void tap_bus_name(char buf[TAP_BUS_NAME_CAP], const char *stem);

/*
 * tap_tempdir - a new directory, removed with all it holds when the planner exits.
 *
 *   parent  where: "/dev/shm" for a bus, NULL for $TMPDIR or /tmp
 *
 * Returns its path, which lives as long as the program.
 */
const char *tap_tempdir(const char *parent);

#endif
