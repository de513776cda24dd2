/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_impl.h - what the files capture*.c share. */
#ifndef CAPTURE_IMPL_H
#define CAPTURE_IMPL_H

#include "capture.h"

/* Calls return 0 or a negative code, unless another result is named. */

/* --- capture_place.c: beginning, end, windows -------------------------------------------------- */

/* capture_place - go where the state file (resume) or --from says, and set what --to says. */
int capture_place(struct capture *cap, const struct state *resume);

/* capture_limit_now - end before the frame that is next now, unless an earlier end is set. */
int capture_limit_now(struct capture *cap);

/*
 * capture_limit_find - make --to TIME a frame number, as soon as there is a later frame.
 *
 * Another client looks for it, so that this one need not look at any frame's time.
 */
int capture_limit_find(struct capture *cap);

/* capture_at_limit - has everything before the end been read? */
bool capture_at_limit(const struct capture *cap);

/* capture_window_open - a window of this incarnation begins with that frame. */
int capture_window_open(struct capture *cap, uint64_t incarnation, uint64_t first_seq);

/* capture_window_begin - it begins where the library began it: with the first frame that was looked
 * at. */
int capture_window_begin(struct capture *cap, uint64_t incarnation);

/* capture_others_read - count what others got, told at the end of a window. */
void capture_others_read(struct capture *cap);

/*
 * capture_reach - up to where all is accounted for, where the order is not the ring's.
 *
 * Only the library knows; but it counts also what was read behind the limit.
 */
int capture_reach(struct capture *cap);

/* --- capture_read.c: what comes ---------------------------------------------------------------- */

/* capture_step_span, capture_step_frames - read once: a span for the file, or a batch of frames.
 * Returns 1 (something was done), 0 (nothing is there), < 0. */
int capture_step_span(struct capture *cap);
int capture_step_frames(struct capture *cap);

/* capture_moved - the client stands on another bus: before anything of it is used. */
int capture_moved(struct capture *cap);

/* --- capture_report.c: what is said ------------------------------------------------------------- */

/* capture_fail - say what a call of the library returned; capture_fail_store: one of the store's.
 * Returns EXIT_FAILED. */
int capture_fail(const struct capture *cap, int r);
int capture_fail_store(struct capture *cap, int r);

/* capture_say_progress - a line for SIGUSR1; capture_show_progress: the status line. */
void capture_say_progress(struct capture *cap);
void capture_show_progress(struct capture *cap, uint64_t now);

#endif
