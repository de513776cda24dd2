/* SPDX-License-Identifier: BSD-2-Clause */
/* escape.c - any bytes as text that is safe to print on a terminal. */
#include "util/escape.h"

#include <string.h>

size_t escape_utf8(const void *bytes, size_t len, uint32_t *cp)
{
	const unsigned char *p = bytes;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3
		 : p[0] < 0xf5 ? 4 : 0;
	/* The least code point that needs n bytes: a lower one is an overlong form. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*cp = c;
	return n;
}

int escape_is_unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c ||
	       (cp >= 0x200e && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}

size_t escape_bytes(char *out, size_t cap, const void *bytes, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		char text[4 * 4];
		size_t n_text = 0;
		uint32_t cp;
		size_t n = escape_utf8(p + i, len - i, &cp);

		if (n > 0 && !escape_is_unsafe(cp)) {
			memcpy(text, p + i, n);
			n_text = n;
			if (cp == '\\')
				text[n_text++] = '\\';
		} else {
			if (n == 0)
				n = 1;
			for (size_t k = 0; k < n; k++) {
				text[n_text++] = '\\';
				text[n_text++] = 'x';
				text[n_text++] = hex[p[i + k] >> 4];
				text[n_text++] = hex[p[i + k] & 15];
			}
		}
		if (at + n_text >= cap)
			break;
		memcpy(out + at, text, n_text);
		at += n_text;
		i += n;
	}
	out[at] = '\0';
	return at;
}

size_t escape_str(char *out, size_t cap, const char *str)
{
	return escape_bytes(out, cap, str, strlen(str));
}
