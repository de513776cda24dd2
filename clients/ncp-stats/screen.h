/* SPDX-License-Identifier: BSD-2-Clause */
/* screen.h - a text shown in place on a terminal, which is given back as it was. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* screen_possible - is stdout a terminal that knows ANSI sequences? */
bool screen_possible(void);

/* screen_begin, screen_end - take the terminal's second page and hide the cursor; give both back.
 * Between them nothing else may be printed. */
void screen_begin(void);
void screen_end(void);

/* screen_draw - show a text of lines in place of the one before, clipped to the terminal's size as
 * it is now.  Returns 0 or -errno of the write. */
int screen_draw(const char *text);

/*
 * screen_clip - the text as it fits on a page.
 *
 *   rows, cols  of the page, at least 1; the last row is left free when lines had to go, for a
 *               line that says how many
 *
 * Each line ends in "erase to the end of the line" and CR LF.  Characters count as one column each.
 */
void screen_clip(FILE *f, const char *text, unsigned int rows, unsigned int cols);

#endif
