/* SPDX-License-Identifier: BSD-2-Clause */
/* timetext.h - points in time as text, and back. */
#ifndef NCP_UTIL_TIMETEXT_H
#define NCP_UTIL_TIMETEXT_H

#include <stdint.h>

/* "2554-07-21T23:34:33.709551615Z" and its NUL, rounded up. */
#define TIMETEXT_CAP 32

/*
 * timetext_format - ns since 1970 UTC as RFC 3339 in UTC with nine digits and Z.
 */
void timetext_format(char out[TIMETEXT_CAP], uint64_t ns);

/*
 * timetext_parse - a TIME as on a command line.
 *
 * One of, as a whole string:
 *	2026-11-21T04:13:30.5Z  2026-11-21T04:13:30+01:00	RFC 3339; t, z and a blank for T too
 *	2026-11-21 04:13  2026-11-21 04:13:30.5			local time of that day
 *	04:13  04:13:30.123456789				local time of the day of now_ns
 *	@1795234410.5						seconds since 1970 UTC
 * A fraction has one to nine digits.  Local time is that of TZ; one that the clock passes twice
 * is which of the two the C library chooses, one that it skips is -EINVAL.
 *
 *   now_ns  ns since 1970 UTC: which day "today" is
 *   out     ns since 1970 UTC; written only on success
 *
 * Returns 0, -EINVAL (none of these forms, or no such day or hour) or -ERANGE (before 1970 or
 * after July 2554, where 64 bits of ns end).
 */
int timetext_parse(const char *s, uint64_t now_ns, uint64_t *out)
	__attribute__((warn_unused_result));

#endif
