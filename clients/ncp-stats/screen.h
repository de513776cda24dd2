/* SPDX-License-Identifier: BSD-2-Clause */
/* screen.h - a page of cells on a terminal, its keys; the terminal is given back as it was. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>

#include "grid.h"

/* screen_possible - is stdout a terminal whose cursor can be moved, as TERM tells? */
bool screen_possible(void);

/* screen_begin, screen_end - take the terminal's second page, and its keys if stdin is a terminal;
 * give back both.  May be repeated.  Between them nothing else may be printed.  0, -ENOTTY. */
int screen_begin(void) __attribute__((warn_unused_result));
void screen_end(void);

/* screen_size - of the terminal as it is now, each at least 1. */
void screen_size(unsigned int *rows, unsigned int *cols);

/* screen_show - show a page in place of the one before.  In colour where the terminal has it and
 * NO_COLOR is not set. */
void screen_show(const struct grid *g);

/* screen_redraw - the next page is sent whole, not only what has changed. */
void screen_redraw(void);

/* screen_key - the next key as in view.h, SCREEN_REDRAW, or -1: none was pressed. */
#define SCREEN_REDRAW ('L' & 31)
int screen_key(void);

#endif
