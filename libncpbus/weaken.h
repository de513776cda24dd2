/* SPDX-License-Identifier: BSD-2-Clause */
/* weaken.h - builds with one order left out, to see what the tests make of it.  Nothing otherwise. */
#ifndef NCPI_WEAKEN_H
#define NCPI_WEAKEN_H

/*
 * -DNCPI_WEAKEN=NCPI_WEAK_P3 builds a library that is wrong at step P3 of layout.h; tests/race/fences
 * builds each in turn and runs the storms.  Two kinds:
 *
 *   P3 P5 P7 P8 C1 C3 S1 S3   the fence is left out, or the ordered access made relaxed: what the
 *   FULL                      compiler and the processor may do then is up to them.  C1: of every
 *                             acquire load but S1; C3: of every acquire fence but S3
 *   P2_LATE P6_LATE           the store is made late, as a machine may do that orders stores less:
 *                             tail behind the blocks, just before head; the slot behind head
 */
#define NCPI_WEAK_NONE 0
#define NCPI_WEAK_P3 1
#define NCPI_WEAK_P5 2
#define NCPI_WEAK_P7 3
#define NCPI_WEAK_P8 4
#define NCPI_WEAK_C1 5
#define NCPI_WEAK_C3 6
#define NCPI_WEAK_S1 7
#define NCPI_WEAK_S3 8
#define NCPI_WEAK_FULL 9
#define NCPI_WEAK_P2_LATE 10
#define NCPI_WEAK_P6_LATE 11

#ifndef NCPI_WEAKEN
#define NCPI_WEAKEN NCPI_WEAK_NONE
#endif
#define NCPI_WEAK(step) (NCPI_WEAKEN == NCPI_WEAK_##step)

#if NCPI_WEAKEN == NCPI_WEAK_NONE
#define ncpi_weak_store(late, p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define ncpi_weak_flush(now) ((void)0)
#else
#include <stdbool.h>
#include <stdint.h>

struct ncpi_weak_buffer {
	uint64_t *p[2];
	uint64_t v[2];
	unsigned n;
};
extern _Thread_local struct ncpi_weak_buffer ncpi_weak_buffer;

/* A relaxed store, or, when late, one that is put off until ncpi_weak_flush(). */
static inline void ncpi_weak_store(bool late, uint64_t *p, uint64_t v)
{
	if (late && ncpi_weak_buffer.n < 2) {
		ncpi_weak_buffer.p[ncpi_weak_buffer.n] = p;
		ncpi_weak_buffer.v[ncpi_weak_buffer.n++] = v;
	} else {
		__atomic_store_n(p, v, __ATOMIC_RELAXED);
	}
}

/* On either side of the store of head: make what was put off. */
static inline void ncpi_weak_flush(bool now)
{
	for (unsigned i = 0; now && i < ncpi_weak_buffer.n; i++)
		__atomic_store_n(ncpi_weak_buffer.p[i], ncpi_weak_buffer.v[i], __ATOMIC_RELAXED);
	if (now)
		ncpi_weak_buffer.n = 0;
}
#endif

#endif
