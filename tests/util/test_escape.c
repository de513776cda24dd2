/* SPDX-License-Identifier: BSD-2-Clause */
/* test_escape.c - nothing that could steer a terminal gets through. */
#include <stdio.h>
#include <string.h>

#include "tap/tap.h"
#include "util/escape.h"

static const struct {
	const char *bytes, *text, *name;
} cases[] = {
	{ "", "", "nothing stays nothing" },
	{ "eth0 ~", "eth0 ~", "printable ASCII stays" },
	{ "a\\b", "a\\\\b", "a backslash is doubled" },
	{ "\033[2J\a\r\n\t", "\\x1b[2J\\x07\\x0d\\x0a\\x09", "controls become hex" },
	{ "\177", "\\x7f", "DEL becomes hex" },
	{ "Gr\303\274n \342\202\254 \360\237\220\247", "Gr\303\274n \342\202\254 \360\237\220\247",
	  "UTF-8 of two, three and four bytes stays" },
	{ "\302\233[2J", "\\xc2\\x9b[2J", "a C1 control in UTF-8 becomes hex" },
	{ "\233[2J", "\\x9b[2J", "a C1 control as a raw byte becomes hex" },
	{ "\342\200\256abc", "\\xe2\\x80\\xaeabc", "a direction override becomes hex" },
	{ "\300\257", "\\xc0\\xaf", "an overlong form of two bytes becomes hex" },
	{ "\340\200\257", "\\xe0\\x80\\xaf", "an overlong form of three bytes becomes hex" },
	{ "\360\200\200\257", "\\xf0\\x80\\x80\\xaf", "an overlong form of four becomes hex" },
	{ "\355\240\200", "\\xed\\xa0\\x80", "a surrogate becomes hex" },
	{ "\364\220\200\200", "\\xf4\\x90\\x80\\x80", "beyond U+10FFFF becomes hex" },
	{ "\342\202", "\\xe2\\x82", "a character cut off at the end becomes hex" },
	{ "\342(\241", "\\xe2(\\xa1", "a broken character leaves its neighbours alone" },
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* Cuts a text at every length: never over the end, never in the middle of a character. */
static bool cuts_cleanly(void)
{
	static const char bytes[] = "a\033\303\274\\z";
	static const size_t whole[] = { 0, 1, 5, 7, 9, 10 };
	char out[32];

	for (size_t cap = 1; cap < sizeof(out); cap++) {
		size_t want = 0, got;

		memset(out, 'x', sizeof(out));
		got = escape_str(out, cap, bytes);
		for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
			want = whole[i] < cap ? whole[i] : want;
		if (got != want || out[got] != '\0' || out[cap] != 'x')
			return false;
	}
	return true;
}

static bool random_is_safe(uint64_t seed)
{
	struct tap_rng r = { .seed = seed };

	for (int run = 0; run < 20000; run++) {
		unsigned char bytes[40];
		char out[ESCAPE_CAP(sizeof(bytes))];
		size_t len = tap_rng_below(&r, sizeof(bytes) + 1);
		size_t n;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (unsigned char)(tap_rng_u64(&r) >> 7);
		n = escape_bytes(out, sizeof(out), bytes, len);
		for (size_t i = 0; i < n;) {
			uint32_t cp;
			size_t step = escape_utf8(out + i, n - i, &cp);

			if (step == 0 || escape_is_unsafe(cp))
				return false;
			i += step;
		}
	}
	return true;
}

int main(void)
{
	plan(N_CASES + 3);
	for (size_t i = 0; i < N_CASES; i++) {
		char out[64];

		escape_str(out, sizeof(out), cases[i].bytes);
		is_str(cases[i].text, out, "%s", cases[i].name);
	}
	ok(cuts_cleanly(), "cuts at whole characters and stays within cap");
	char out[16];
	escape_bytes(out, sizeof(out), "a\0b", 3);
	is_str("a\\x00b", out, "a NUL among the bytes becomes hex");
	ok(random_is_safe(tap_seed()), "any bytes become well-formed text without controls");
	return tap_done();
}
