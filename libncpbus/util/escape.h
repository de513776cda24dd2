/* SPDX-License-Identifier: BSD-2-Clause */
/* escape.h - any bytes as text that is safe to print on a terminal. */
#ifndef NCP_UTIL_ESCAPE_H
#define NCP_UTIL_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/* One byte becomes four characters at most. */
#define ESCAPE_CAP(len) (4 * (size_t)(len) + 1)

/*
 * escape_bytes - write bytes as printable text.
 *
 * Printable ASCII and well-formed UTF-8 stay; a backslash is doubled; every other byte, and each
 * byte of a character that escape_is_unsafe(), becomes \xHH.
 *
 *   out    cap characters, 1 or more; ends in NUL.  ESCAPE_CAP(len) always suffices; what does
 *          not fit is left out from a whole character or escape on
 *   bytes  len bytes, any
 *
 * Returns the length of the text.
 */
size_t escape_bytes(char *out, size_t cap, const void *bytes, size_t len);

/* escape_str - the same of a string. */
size_t escape_str(char *out, size_t cap, const char *str);

/*
 * escape_utf8 - decode the character at p.
 *
 *   p    len bytes, 1 or more
 *   *cp  its code point, written only on success
 *
 * Returns its length (1 to 4), or 0 where no well-formed character starts: overlong forms,
 * surrogates and what lies beyond U+10FFFF included.  Source: Unicode 15, table 3-7.
 */
size_t escape_utf8(const void *p, size_t len, uint32_t *cp);

/*
 * escape_is_unsafe - 1 if printing code point cp could do more than show a character, else 0.
 *
 * Controls (C0, DEL, C1), line and paragraph separators, direction marks and overrides, the byte
 * order mark.
 */
int escape_is_unsafe(uint32_t cp);

#endif
