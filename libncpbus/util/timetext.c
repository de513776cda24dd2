/* SPDX-License-Identifier: BSD-2-Clause */
/* timetext.c - points in time as text, and back. */
#include "util/timetext.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define NS_PER_S 1000000000U

void timetext_format(char out[TIMETEXT_CAP], uint64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_S);
	char date[20];
	struct tm tm;

	/* Cannot fail: 2^64 ns end in the year 2554. */
	gmtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, TIMETEXT_CAP, "%s.%09uZ", date, (unsigned int)(ns % NS_PER_S));
}

/* Each of these takes something off the front of *s and tells whether it was there. */

static bool take(const char **s, char c)
{
	if (**s != c)
		return false;
	++*s;
	return true;
}

static bool take_digits(const char **s, int n, int least, int most, int *out)
{
	int value = 0;

	for (int i = 0; i < n; i++, ++*s) {
		if (**s < '0' || **s > '9')
			return false;
		value = value * 10 + (**s - '0');
	}
	*out = value;
	return value >= least && value <= most;
}

/* Nothing, or a point and one to nine digits. */
static bool take_fraction(const char **s, uint32_t *ns)
{
	int n = 0;

	*ns = 0;
	if (!take(s, '.'))
		return true;
	for (; **s >= '0' && **s <= '9' && n < 9; n++, ++*s)
		*ns = *ns * 10 + (uint32_t)(**s - '0');
	if (n == 0)
		return false;
	for (; n < 9; n++)
		*ns *= 10;
	return true;
}

static bool take_date(const char **s, struct tm *tm)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap;

	if (!take_digits(s, 4, 0, 9999, &tm->tm_year) || !take(s, '-') ||
	    !take_digits(s, 2, 1, 12, &tm->tm_mon) || !take(s, '-') ||
	    !take_digits(s, 2, 1, 31, &tm->tm_mday))
		return false;
	leap = tm->tm_year % 4 == 0 && (tm->tm_year % 100 != 0 || tm->tm_year % 400 == 0);
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return tm->tm_mday <= days[tm->tm_mon] + (leap && tm->tm_mon == 1);
}

static bool take_hours(const char **s, struct tm *tm, bool *seconds, uint32_t *ns)
{
	*ns = 0;
	if (!take_digits(s, 2, 0, 23, &tm->tm_hour) || !take(s, ':') ||
	    !take_digits(s, 2, 0, 59, &tm->tm_min))
		return false;
	*seconds = take(s, ':');
	tm->tm_sec = 0;
	/* 60 is RFC 3339's leap second; it becomes the second after, as in POSIX. */
	return !*seconds || (take_digits(s, 2, 0, 60, &tm->tm_sec) && take_fraction(s, ns));
}

/* Z or an offset, in seconds east of UTC. */
static bool take_zone(const char **s, int *east)
{
	int hours, minutes, sign;

	*east = 0;
	if (take(s, 'Z') || take(s, 'z'))
		return true;
	sign = take(s, '+') ? 1 : take(s, '-') ? -1 : 0;
	if (!sign || !take_digits(s, 2, 0, 23, &hours) || !take(s, ':') ||
	    !take_digits(s, 2, 0, 59, &minutes))
		return false;
	*east = sign * (hours * 3600 + minutes * 60);
	return true;
}

static int to_ns(int64_t s, uint32_t frac_ns, uint64_t *out)
{
	uint64_t ns;

	if (s < 0 || __builtin_mul_overflow((uint64_t)s, NS_PER_S, &ns) ||
	    __builtin_add_overflow(ns, frac_ns, &ns))
		return -ERANGE;
	*out = ns;
	return 0;
}

static int local(struct tm tm, uint32_t frac_ns, uint64_t *out)
{
	struct tm made = tm;
	time_t s;

	made.tm_isdst = -1;
	s = mktime(&made);
	/* An hour that the clock skips comes back as another one. */
	if (tm.tm_sec < 60 && (made.tm_hour != tm.tm_hour || made.tm_min != tm.tm_min))
		return -EINVAL;
	return to_ns(s, frac_ns, out);
}

static int epoch(const char *s, uint64_t *out)
{
	uint64_t seconds = 0;
	uint32_t frac_ns;
	bool fits = true;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (seconds > INT64_MAX / 10 - 1)
			fits = false;
		else
			seconds = seconds * 10 + (uint64_t)(*s - '0');
	}
	if (!take_fraction(&s, &frac_ns) || *s)
		return -EINVAL;
	return fits ? to_ns((int64_t)seconds, frac_ns, out) : -ERANGE;
}

int timetext_parse(const char *s, uint64_t now_ns, uint64_t *out)
{
	const char *date = s;
	struct tm tm = { 0 };
	time_t now = (time_t)(now_ns / NS_PER_S);
	uint32_t frac_ns;
	bool blank, seconds;
	int east;

	if (take(&s, '@'))
		return epoch(s, out);
	if (take_date(&date, &tm)) {
		s = date;
		blank = take(&s, ' ');
		if (!blank && !take(&s, 'T') && !take(&s, 't'))
			return -EINVAL;
		if (!take_hours(&s, &tm, &seconds, &frac_ns))
			return -EINVAL;
		if (blank && !*s)
			return local(tm, frac_ns, out);
		if (!seconds || !take_zone(&s, &east) || *s)
			return -EINVAL;
		return to_ns(timegm(&tm) - east, frac_ns, out);
	}
	localtime_r(&now, &tm);
	if (!take_hours(&s, &tm, &seconds, &frac_ns) || *s)
		return -EINVAL;
	return local(tm, frac_ns, out);
}
