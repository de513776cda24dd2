/* SPDX-License-Identifier: BSD-2-Clause */
/* refilter.h - the filter's file, read again while frames flow: in force everywhere, or nowhere. */
#ifndef REFILTER_H
#define REFILTER_H

#include "producer/helper.h"
#include "producer/sources.h"

/*
 * refilter_all - have the file read again, compiled, and put in force in all sources.
 *
 *   why  SOURCE_WHY_CAP bytes: "what: why: what to do", on error
 *
 * Each socket goes from the one program to the other in one step, one socket after the other: a frame
 * that both accept is never missed.  What the old one accepted before is published.
 * The main thread's; blocks for as long as the helper reads and compiles.
 * Returns 0, or -errno: the old filter stands in all sources (-ENOTSUP: a source has none that could be
 * replaced).
 */
int refilter_all(struct helper *h, struct sources *s, char *why)
	__attribute__((warn_unused_result));

#endif
