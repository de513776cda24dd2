/* SPDX-License-Identifier: BSD-2-Clause */
/* parse.c - numbers, sizes, durations and rates as people write them. */
#include "util/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Reads one digit or more; *end is what follows them, also when they do not fit. */
static int digits(const char *s, uint64_t *out, const char **end)
{
	uint64_t n = 0;
	int rc = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			rc = -ERANGE;
	}
	*out = n;
	*end = s;
	return rc;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *end;
	uint64_t n;
	int rc = digits(s, &n, &end);

	if (rc == -EINVAL || *end)
		return -EINVAL;
	if (rc || n < min || n > max)
		return -ERANGE;
	*out = n;
	return 0;
}

/* Digits and an optional letter that stands for a power of base; none stands for unit. */
static int scaled(const char *s, uint64_t unit, uint64_t base, uint64_t *out)
{
	static const char letters[] = "KMGT";
	const char *end, *letter;
	uint64_t n;
	int rc = digits(s, &n, &end);

	if (rc == -EINVAL)
		return rc;
	if (*end) {
		letter = strchr(letters, toupper((unsigned char)*end));
		if (!letter || end[1])
			return -EINVAL;
		unit = base;
		while (letter-- > letters)
			unit *= base;
	}
	if (rc || __builtin_mul_overflow(n, unit, &n))
		return -ERANGE;
	*out = n;
	return 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *out)
{
	return scaled(s, unit, 1024, out);
}

int parse_rate(const char *s, uint64_t *out)
{
	return scaled(s, 1, 1000, out);
}

int parse_duration(const char *s, uint64_t unit_ns, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", 60 * UINT64_C(1000000000) },
		{ "h", 3600 * UINT64_C(1000000000) },
		{ "d", 86400 * UINT64_C(1000000000) },
	};
	const char *end, *frac;
	uint64_t n, billionths = 0;
	size_t n_units = sizeof(units) / sizeof(units[0]), i = 0;
	int rc = digits(s, &n, &end);

	if (rc == -EINVAL)
		return rc;
	if (*end == '.') {
		frac = end + 1;
		if (digits(frac, &billionths, &end) || end - frac > 9)
			return -EINVAL;
		for (ptrdiff_t k = end - frac; k < 9; k++)
			billionths *= 10;
	}
	if (*end) {
		while (i < n_units && strcmp(end, units[i].name) != 0)
			i++;
		if (i == n_units)
			return -EINVAL;
		unit_ns = units[i].ns;
	}
	if (unit_ns == 0)
		return -EINVAL;
	/* A day is 8.64e13 ns: the fraction's product needs 77 bits. */
	billionths = (uint64_t)((unsigned __int128)billionths * unit_ns / 1000000000);
	if (rc || __builtin_mul_overflow(n, unit_ns, &n) ||
	    __builtin_add_overflow(n, billionths, &n))
		return -ERANGE;
	*out = n;
	return 0;
}
