/* SPDX-License-Identifier: BSD-2-Clause */
/* heavy.h - the keys that weigh most in a stream, in constant memory. */
#ifndef HEAVY_H
#define HEAVY_H

/*
 * The Space-Saving algorithm: a key that is not in a full table takes the place, and the weight, of the
 * lightest one.  A key whose true weight is above total / HEAVY_CAP is in the table; a weight shown is
 * never below the true one, and above it by `error` at most.  While there are no more than HEAVY_CAP
 * keys, everything is exact.
 * Source: Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements, 2005.
 */

#include <stddef.h>
#include <stdint.h>

#define HEAVY_CAP 512u
#define HEAVY_KEY 40u

struct heavy_entry {
	uint8_t key[HEAVY_KEY];
	uint64_t frames, bytes; /* bytes are the weight */
	uint64_t error;
	uint32_t next; /* in its bucket, + 1 */
};

struct heavy {
	struct heavy_entry entry[HEAVY_CAP];
	uint32_t bucket[2 * HEAVY_CAP]; /* index + 1 of the first one; 0: none */
	uint32_t n;
};

/* heavy_clear - empty it. */
void heavy_clear(struct heavy *h);

/* heavy_add - a frame of a key of HEAVY_KEY bytes.  h begins as all zero. */
void heavy_add(struct heavy *h, const uint8_t *key, uint64_t bytes);

/* heavy_top - pointers to the n heaviest, heaviest first; returns how many there are, n at most. */
size_t heavy_top(const struct heavy *h, const struct heavy_entry **top, size_t n);

#endif
