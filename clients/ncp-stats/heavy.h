/* SPDX-License-Identifier: BSD-2-Clause */
/* heavy.h - the keys that weigh most in a stream, in constant memory. */
#ifndef HEAVY_H
#define HEAVY_H

/*
 * The Space-Saving algorithm: a key that is not in a full table takes the place, and the weight, of the
 * lightest one.  A key whose true weight is above total / HEAVY_CAP is in the table; its weight there
 * is never below the true one, and above it by `missed` at most.  What is told of a key is what was
 * counted since it came into the table: never too much, and too little by `missed` at most.  While
 * there are no more than HEAVY_CAP keys, everything is exact.  A frame costs log2(HEAVY_CAP) steps.
 * Source: Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements, 2005.
 */

#include <stddef.h>
#include <stdint.h>

#include "estimate.h"

#define HEAVY_CAP 512u
#define HEAVY_KEY 40u

struct heavy_entry {
	uint8_t key[HEAVY_KEY];
	struct volume volume;
	double weight; /* bytes, those of the keys that had its place before included */
	double missed; /* bytes that may have been its own before it came */
	uint32_t next; /* in its bucket, + 1 */
	uint32_t at;   /* in the heap */
};

struct heavy {
	struct heavy_entry entry[HEAVY_CAP];
	uint32_t bucket[2 * HEAVY_CAP]; /* index + 1 of the first one; 0: none */
	uint32_t heap[HEAVY_CAP];	/* indexes: none is lighter than its parent, at (i - 1) / 2 */
	uint32_t n;
};

/* heavy_clear - empty it. */
void heavy_clear(struct heavy *h);

/*
 * heavy_add - a frame of a key of HEAVY_KEY bytes.
 *
 *   bytes  its own
 *   scale  how many frames it stands for
 *
 * h begins as all zero.
 */
void heavy_add(struct heavy *h, const uint8_t *key, double bytes, double scale);

/* heavy_run_end, heavy_stratum_end - as in estimate.h, for every key. */
void heavy_run_end(struct heavy *h, double n);
void heavy_stratum_end(struct heavy *h, const struct estimate_stratum *s);

/* heavy_top - pointers to the n heaviest, by the bytes that were counted, heaviest first; returns how
 * many there are, n at most. */
size_t heavy_top(const struct heavy *h, const struct heavy_entry **top, size_t n);

#endif
