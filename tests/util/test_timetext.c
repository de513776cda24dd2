/* SPDX-License-Identifier: BSD-2-Clause */
/* test_timetext.c - points in time: every form, every refusal, and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tap/tap.h"
#include "util/timetext.h"

#define S UINT64_C(1000000000)
#define UNTOUCHED 0x5555555555555555

/* 2026-11-21T04:13:30Z, a Saturday in winter. */
#define NOW (UINT64_C(1795234410) * S)

static const struct {
	const char *text;
	int rc;
	uint64_t value;
} cases[] = {
	{ "", -EINVAL, 0 },
	{ "now", -EINVAL, 0 },
	{ "@", -EINVAL, 0 },
	{ "@-1", -EINVAL, 0 },
	{ "@1.", -EINVAL, 0 },
	{ "@1.0000000001", -EINVAL, 0 },
	{ "@1x", -EINVAL, 0 },
	{ "@18446744074", -ERANGE, 0 },
	{ "@18446744073.709551616", -ERANGE, 0 },
	{ "@99999999999999999999999", -ERANGE, 0 },
	{ "2026-11-21", -EINVAL, 0 },
	{ "2026-11-21T", -EINVAL, 0 },
	{ "2026-11-21T04:13:30", -EINVAL, 0 },
	{ "2026-11-21T04:13Z", -EINVAL, 0 },
	{ "2026-11-21T04:13:30.Z", -EINVAL, 0 },
	{ "2026-11-21T04:13:30ZZ", -EINVAL, 0 },
	{ "2026-11-21T04:13:30+1:00", -EINVAL, 0 },
	{ "2026-11-21T04:13:30+24:00", -EINVAL, 0 },
	{ "2026-11-21T24:00:00Z", -EINVAL, 0 },
	{ "2026-11-21T04:60:00Z", -EINVAL, 0 },
	{ "2026-11-21T04:13:61Z", -EINVAL, 0 },
	{ "2026-13-21T04:13:30Z", -EINVAL, 0 },
	{ "2026-00-21T04:13:30Z", -EINVAL, 0 },
	{ "2026-02-29T04:13:30Z", -EINVAL, 0 },
	{ "2100-02-29T04:13:30Z", -EINVAL, 0 },
	{ "2026-04-31T04:13:30Z", -EINVAL, 0 },
	{ "26-11-21T04:13:30Z", -EINVAL, 0 },
	{ "1969-12-31T23:59:59Z", -ERANGE, 0 },
	{ "1970-01-01T00:00:00+00:01", -ERANGE, 0 },
	{ "2554-07-21T23:34:34Z", -ERANGE, 0 },
	{ "9999-12-31T23:59:59Z", -ERANGE, 0 },
	{ "4:13", -EINVAL, 0 },
	{ "04:13:", -EINVAL, 0 },
	{ "04:13Z", -EINVAL, 0 },
	{ "2026-11-21  04:13", -EINVAL, 0 },
	{ "2026-03-29 02:30", -EINVAL, 0 }, /* skipped: the clock goes from 2 to 3 */

	{ "@0", 0, 0 },
	{ "@1795234410.5", 0, NOW + S / 2 },
	{ "@18446744073.709551615", 0, UINT64_MAX },
	{ "1970-01-01T00:00:00Z", 0, 0 },
	{ "1970-01-01T00:00:00-00:01", 0, 60 * S },
	{ "2026-11-21T04:13:30Z", 0, NOW },
	{ "2026-11-21t04:13:30z", 0, NOW },
	{ "2026-11-21 04:13:30Z", 0, NOW },
	{ "2026-11-21T05:13:30.000000001+01:00", 0, NOW + 1 },
	{ "2026-11-20T18:43:30-09:30", 0, NOW },
	{ "2016-12-31T23:59:60Z", 0, UINT64_C(1483228800) * S },
	{ "2024-02-29T00:00:00Z", 0, UINT64_C(1709164800) * S },
	{ "2000-02-29T00:00:00Z", 0, UINT64_C(951782400) * S },
	{ "2554-07-21T23:34:33.709551615Z", 0, UINT64_MAX },
	{ "2026-11-21 05:13", 0, NOW - 30 * S }, /* local: an hour ahead in winter */
	{ "2026-11-21 05:13:30.25", 0, NOW + S / 4 },
	{ "2026-07-01 02:00:00", 0, UINT64_C(1782864000) * S }, /* two in summer */
	{ "05:13:30", 0, NOW },
	{ "05:13", 0, NOW - 30 * S },
	{ "00:00", 0, NOW - (5 * 3600 + 13 * 60 + 30) * S },
	{ "23:59:59.999999999", 0, NOW + (18 * 3600 + 46 * 60 + 30) * S - 1 },
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static bool comes_back(uint64_t ns)
{
	char text[TIMETEXT_CAP];
	uint64_t back;

	timetext_format(text, ns);
	return timetext_parse(text, 0, &back) == 0 && back == ns;
}

int main(void)
{
	char text[TIMETEXT_CAP];
	struct tap_rng r = { .seed = tap_seed() };
	bool good = true;

	plan(N_CASES + 4);
	/* Central Europe, spelt out so that no time zone database is needed. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (size_t i = 0; i < N_CASES; i++) {
		uint64_t ns = UNTOUCHED;
		int rc = timetext_parse(cases[i].text, NOW, &ns);

		if (rc)
			ok(rc == cases[i].rc && ns == UNTOUCHED, "refuses \"%s\" with %d, got %d",
			   cases[i].text, cases[i].rc, rc);
		else
			ok(cases[i].rc == 0 && ns == cases[i].value, "\"%s\" is @%ju ns, got %ju",
			   cases[i].text, (uintmax_t)cases[i].value, (uintmax_t)ns);
	}
	timetext_format(text, 0);
	is_str("1970-01-01T00:00:00.000000000Z", text, "formats the first nanosecond");
	timetext_format(text, UINT64_MAX);
	is_str("2554-07-21T23:34:33.709551615Z", text, "formats the last nanosecond");
	ok(comes_back(0) && comes_back(UINT64_MAX), "reads both back");
	for (int i = 0; good && i < 20000; i++)
		good = comes_back(tap_rng_u64(&r));
	ok(good, "reads back what it formatted, for any time");
	return tap_done();
}
