/* SPDX-License-Identifier: BSD-2-Clause */
/* test_parse.c - numbers, sizes, durations and rates: whole strings, or an error. */
#include <errno.h>
#include <locale.h>

#include "tap/tap.h"
#include "util/parse.h"

enum kind { U64, SIZE, DURATION, RATE };

static const struct {
	enum kind kind;
	const char *text;
	uint64_t unit;
	int rc;
	uint64_t value;
} cases[] = {
	{ U64, "", 0, -EINVAL, 0 },
	{ U64, "-1", 0, -EINVAL, 0 },
	{ U64, "+1", 0, -EINVAL, 0 },
	{ U64, " 1", 0, -EINVAL, 0 },
	{ U64, "1 ", 0, -EINVAL, 0 },
	{ U64, "0x10", 0, -EINVAL, 0 },
	{ U64, "1e3", 0, -EINVAL, 0 },
	{ U64, "18446744073709551616", 0, -ERANGE, 0 },
	{ U64, "99999999999999999999999999", 0, -ERANGE, 0 },
	{ U64, "99999999999999999999999999x", 0, -EINVAL, 0 },
	{ U64, "0", 0, 0, 0 },
	{ U64, "007", 0, 0, 7 },
	{ U64, "18446744073709551615", 0, 0, UINT64_MAX },

	{ SIZE, "M", 1, -EINVAL, 0 },
	{ SIZE, "1X", 1, -EINVAL, 0 },
	{ SIZE, "1MB", 1, -EINVAL, 0 },
	{ SIZE, "1.5M", 1, -EINVAL, 0 },
	{ SIZE, "16777216T", 1, -ERANGE, 0 },
	{ SIZE, "18014398509481984", 1024, -ERANGE, 0 },
	{ SIZE, "16777215T", 1, 0, UINT64_C(16777215) << 40 },
	{ SIZE, "64M", 1000000, 0, 64 << 20 },
	{ SIZE, "64m", 1, 0, 64 << 20 },
	{ SIZE, "2K", 1, 0, 2048 },
	{ SIZE, "3G", 1, 0, UINT64_C(3) << 30 },
	{ SIZE, "64", 1000000, 0, 64000000 },
	{ SIZE, "64", 1024, 0, 65536 },
	{ SIZE, "0", 1, 0, 0 },

	{ DURATION, "s", 1, -EINVAL, 0 },
	{ DURATION, "1", 0, -EINVAL, 0 },
	{ DURATION, "1.s", 0, -EINVAL, 0 },
	{ DURATION, ".5s", 0, -EINVAL, 0 },
	{ DURATION, "1,5s", 0, -EINVAL, 0 },
	{ DURATION, "-1s", 0, -EINVAL, 0 },
	{ DURATION, "1 s", 0, -EINVAL, 0 },
	{ DURATION, "1sec", 0, -EINVAL, 0 },
	{ DURATION, "1.0000000001s", 0, -EINVAL, 0 },
	{ DURATION, "18446744074s", 0, -ERANGE, 0 },
	{ DURATION, "18446744073.709551616s", 0, -ERANGE, 0 },
	{ DURATION, "18446744073.709551615s", 0, 0, UINT64_MAX },
	{ DURATION, "7ns", 0, 0, 7 },
	{ DURATION, "7us", 0, 0, 7000 },
	{ DURATION, "250ms", 0, 0, 250000000 },
	{ DURATION, "60s", 0, 0, UINT64_C(60000000000) },
	{ DURATION, "5m", 0, 0, UINT64_C(300000000000) },
	{ DURATION, "1h", 0, 0, UINT64_C(3600000000000) },
	{ DURATION, "2d", 0, 0, UINT64_C(172800000000000) },
	{ DURATION, "1.5s", 0, 0, 1500000000 },
	{ DURATION, "0.999999999d", 0, 0, UINT64_C(86399999913600) },
	{ DURATION, "1.5ns", 0, 0, 1 },
	{ DURATION, "2.5", 1000000, 0, 2500000 },
	{ DURATION, "10", 1000000000, 0, UINT64_C(10000000000) },

	{ RATE, "G", 0, -EINVAL, 0 },
	{ RATE, "1Gbit", 0, -EINVAL, 0 },
	{ RATE, "18446745T", 0, -ERANGE, 0 },
	{ RATE, "1G", 0, 0, 1000000000 },
	{ RATE, "100M", 0, 0, 100000000 },
	{ RATE, "56k", 0, 0, 56000 },
	{ RATE, "1T", 0, 0, UINT64_C(1000000000000) },
	{ RATE, "9600", 0, 0, 9600 },
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))
#define UNTOUCHED 0x5555555555555555

static int parse(enum kind kind, const char *s, uint64_t unit, uint64_t *out)
{
	switch (kind) {
	case U64:
		return parse_u64(s, 0, UINT64_MAX, out);
	case SIZE:
		return parse_size(s, unit, out);
	case DURATION:
		return parse_duration(s, unit, out);
	default:
		return parse_rate(s, out);
	}
}

int main(void)
{
	uint64_t n;

	plan(N_CASES + 5);
	/* Where the decimal point is a comma, nothing may change; a missing locale proves less. */
	setlocale(LC_ALL, "de_DE.UTF-8");
	for (size_t i = 0; i < N_CASES; i++) {
		int rc;

		n = UNTOUCHED;
		rc = parse(cases[i].kind, cases[i].text, cases[i].unit, &n);
		if (rc)
			ok(rc == cases[i].rc && n == UNTOUCHED, "refuses \"%s\" with %d, got %d",
			   cases[i].text, cases[i].rc, rc);
		else
			ok(cases[i].rc == 0 && n == cases[i].value, "\"%s\" is %ju, got %ju",
			   cases[i].text, (uintmax_t)cases[i].value, (uintmax_t)n);
	}
	is_i64(-ERANGE, parse_u64("4", 5, 7, &n), "refuses what is below the range");
	is_i64(-ERANGE, parse_u64("8", 5, 7, &n), "refuses what is above the range");
	ok(parse_u64("5", 5, 7, &n) == 0 && n == 5, "takes the lower end of the range");
	ok(parse_u64("7", 5, 7, &n) == 0 && n == 7, "takes the upper end of the range");
	is_i64(-EINVAL, parse_u64("4x", 5, 7, &n), "no number at all comes before out of range");
	return tap_done();
}
