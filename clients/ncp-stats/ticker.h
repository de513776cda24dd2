/* SPDX-License-Identifier: BSD-2-Clause */
/* ticker.h - sleep until a moment, or until a signal. */
#ifndef TICKER_H
#define TICKER_H

#include <stdbool.h>
#include <stdint.h>

struct ticker {
	int signals; /* signalfd */
	int keys;    /* a terminal to wait for, too; -1: none */
	bool ended;  /* SIGINT, SIGTERM, SIGHUP or SIGQUIT came, or the terminal has gone */
};

/* ticker_open - from now on signals come here; on_screen: those of a terminal's page, too.  Keys are
 * the caller's to set.  0, -errno */
int ticker_open(struct ticker *t, bool on_screen) __attribute__((warn_unused_result));

/*
 * ticker_sleep - sleep until a moment of CLOCK_MONOTONIC.
 *
 * True: it came.  False: a signal or a key did, look again: it may be the end, another size of the
 * terminal, or the return from a SIGTSTP, for which the page was given back and taken again.
 */
bool ticker_sleep(struct ticker *t, uint64_t until_ns);

/* ticker_next - the moment an interval after the last one; if that has passed (a SIGSTOP, a pause, looks
 * that take longer) an interval from now on: no burst catches up, and some time is slept. */
uint64_t ticker_next(uint64_t last_ns, uint64_t interval_ns);

#endif
