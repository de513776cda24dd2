/* SPDX-License-Identifier: BSD-2-Clause */
/* stamp.h - clocks in ns, and the two futex calls. */
#ifndef NCPI_STAMP_H
#define NCPI_STAMP_H

#include <errno.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NCPI_MS UINT64_C(1000000)
#define NCPI_SECOND UINT64_C(1000000000)

static inline uint64_t ncpi_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NCPI_SECOND + (uint64_t)t.tv_nsec;
}

/* ns since 1970 UTC; steps when somebody sets the clock. */
static inline uint64_t ncpi_now_realtime(void)
{
	return ncpi_now(CLOCK_REALTIME);
}

/* ns since some moment; never goes back. */
static inline uint64_t ncpi_now_monotonic(void)
{
	return ncpi_now(CLOCK_MONOTONIC);
}

/*
 * ncpi_futex_wait - sleep while *word is expected, timeout_ns at most.
 *
 * Works on a read-only mapping.  Returns 0 (woken, or for no reason), -EAGAIN (another value stood
 * there), -ETIMEDOUT, -EINTR.
 */
static inline int ncpi_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec t = { .tv_sec = (time_t)(timeout_ns / NCPI_SECOND),
			      .tv_nsec = (long)(timeout_ns % NCPI_SECOND) };

	return syscall(SYS_futex, word, FUTEX_WAIT, expected, &t, NULL, 0) < 0 ? -errno : 0;
}

/* ncpi_futex_wake - wake up to n sleepers, in whatever process.  Works on a read-only mapping.
 * Returns how many: fewer than n if there were no more. */
static inline int ncpi_futex_wake(const uint32_t *word, int n)
{
	return (int)syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

#endif
