/* SPDX-License-Identifier: BSD-2-Clause */
/* render.h - a snapshot as text for a person. */
#ifndef RENDER_H
#define RENDER_H

#include <stdint.h>
#include <stdio.h>

#include "snapshot.h"

/* Numbers as people read them; each writes at most RENDER_CAP characters and returns out. */
#define RENDER_CAP 32
const char *render_count(char out[RENDER_CAP], uint64_t n);    /* 1234567; "-": unknown */
const char *render_si(char out[RENDER_CAP], double x);	       /* 999, 1.00k, 12.3M: powers of 1000 */
const char *render_bytes(char out[RENDER_CAP], uint64_t n);    /* 512, 1.5K, 256M: powers of 1024 */
const char *render_duration(char out[RENDER_CAP], uint64_t ns); /* 0 s, 1.25 ms, 2.13 s, 3m04s, 2h05m,
								 * 4d07h; "-": unknown */

/* render_view - all there is to say, some ten lines and one for each client. */
void render_view(FILE *f, const struct snapshot *s);

/* render_line - the most important of it in one line, for logs. */
void render_line(FILE *f, const struct snapshot *s);

/* render_summary - one line about all looks together, at the end. */
void render_summary(FILE *f, const struct snapshot *s);

/* render_list_head, render_list_row - a table of busses, one row for each. */
void render_list_head(FILE *f);
void render_list_row(FILE *f, const struct snapshot *s);

/* render_list_unknown - the row of a bus that cannot be attached. */
void render_list_unknown(FILE *f, const char *bus, const char *why);

#endif
