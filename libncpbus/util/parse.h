/* SPDX-License-Identifier: BSD-2-Clause */
/* parse.h - numbers, sizes, durations and rates as people write them. */
#ifndef NCP_UTIL_PARSE_H
#define NCP_UTIL_PARSE_H

#include <stdint.h>

/*
 * All take the whole string or nothing: no blanks, no sign, nothing behind.  The decimal point
 * is a point in every locale.  *out is written only on success.
 *
 * Each returns 0, -EINVAL (not of this form) or -ERANGE (does not fit).  Times of day:
 * timetext.h.
 */

/* parse_u64 - decimal digits; -ERANGE outside [min, max]. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
	__attribute__((warn_unused_result));

/*
 * parse_size - digits, then nothing or one of K M G T, either case: powers of 1024.
 *
 *   unit  bytes that a bare number counts in: 1, 1024 (-B), 1000000 (-C), ...
 */
int parse_size(const char *s, uint64_t unit, uint64_t *out)
	__attribute__((warn_unused_result));

/*
 * parse_duration - digits, up to nine decimals, then one of ns us ms s m h d, or nothing.
 *
 *   unit_ns  ns that a bare number counts in; 0: a bare number is -EINVAL
 *   out      ns, what is below one ns cut off
 */
int parse_duration(const char *s, uint64_t unit_ns, uint64_t *out)
	__attribute__((warn_unused_result));

/* parse_rate - digits, then nothing or one of K M G T, either case: powers of 1000, in bit/s. */
int parse_rate(const char *s, uint64_t *out) __attribute__((warn_unused_result));

#endif
