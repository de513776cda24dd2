/* SPDX-License-Identifier: BSD-2-Clause */
/* naming.c - what the files of a series are called, and which names are of it.  Pure. */
#include "naming.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

#define RING_NUMBERS 100000u /* dumpcap's RINGBUFFER_MAX_NUM_FILES */
#define RING_DIGITS 5
#define RING_TIME 14 /* YYYYMMDDHHMMSS */

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where ".EXT" begins, or the end: a point in a directory's name is none. */
static const char *extension(const char *path)
{
	const char *point = strrchr(last_component(path), '.');

	return point ? point : path + strlen(path);
}

static struct tm when(const struct naming *n, time_t at)
{
	struct tm tm = { 0 };

	if (n->utc)
		gmtime_r(&at, &tm);
	else
		localtime_r(&at, &tm);
	return tm;
}

uint32_t naming_digits(uint64_t count)
{
	uint32_t digits = 0;

	for (uint64_t x = count ? count - 1 : 0; x; x /= 10)
		digits++;
	return digits;
}

static int make_ring(char *out, size_t cap, const struct naming *n, uint64_t number,
		     const struct tm *tm)
{
	const char *ext = extension(n->path);
	char when_text[RING_TIME + 1], num_text[RING_DIGITS + 1];
	int len;

	strftime(when_text, sizeof(when_text), "%Y%m%d%H%M%S", tm);
	snprintf(num_text, sizeof(num_text), "%05u", (unsigned int)((number + 1) % RING_NUMBERS));
	len = snprintf(out, cap, "%.*s_%s_%s%s", (int)(ext - n->path), n->path,
		       n->time_first ? when_text : num_text, n->time_first ? num_text : when_text,
		       ext);
	return len < 0 || (size_t)len >= cap ? -ENAMETOOLONG : 0;
}

int naming_make(char *out, size_t cap, const struct naming *n, uint64_t number, time_t at)
{
	struct tm tm = when(n, at);
	size_t len;
	int more = 0;

	if (n->ring)
		return make_ring(out, cap, n, number, &tm);
	if (!n->dated) {
		len = strlen(n->path);
		if (len >= cap)
			return -ENAMETOOLONG;
		memcpy(out, n->path, len + 1);
	} else {
		/* 0 is also the length of what does not fit. */
		*out = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* that is what -G is for */
		len = strftime(out, cap, n->path, &tm);
#pragma GCC diagnostic pop
		if (len == 0)
			return strlen(n->path) >= cap ? -ENAMETOOLONG : -EINVAL;
	}
	if (number || n->digits)
		more = snprintf(out + len, cap - len, "%0*llu", (int)n->digits,
				(unsigned long long)number);
	return more < 0 || (size_t)more >= cap - len ? -ENAMETOOLONG : 0;
}

int naming_number(const struct naming *n, const char *file, time_t at, uint64_t *number)
{
	char name[PATH_MAX];
	const char *base;
	uint64_t x = 0;

	file = last_component(file);
	if (n->ring) {
		size_t skip = (size_t)(extension(last_component(n->path)) -
				       last_component(n->path)) + 1;
		char digits[RING_DIGITS + 1] = "";

		skip += n->time_first ? RING_TIME + 1 : 0;
		if (strlen(file) < skip + RING_DIGITS)
			return 0;
		memcpy(digits, file + skip, RING_DIGITS);
		if (parse_u64(digits, 0, RING_NUMBERS - 1, &x) < 0)
			return 0;
		x = (x + RING_NUMBERS - 1) % RING_NUMBERS;
	} else {
		struct naming plain = *n;

		plain.digits = 0;
		if (naming_make(name, sizeof(name), &plain, 0, at) < 0)
			return 0;
		base = last_component(name);
		size_t len = strlen(base);
		if (strncmp(base, file, len) ||
		    (file[len] && parse_u64(file + len, 0, UINT64_MAX - 1, &x) < 0))
			return 0;
	}
	/* "x01" is a name of somebody's own where "x1" would be ours. */
	if (naming_make(name, sizeof(name), n, x, at) < 0 || strcmp(last_component(name), file))
		return 0;
	*number = x;
	return 1;
}

bool naming_may(const struct naming *n, const char *name)
{
	const char *base = last_component(n->path);
	size_t len = n->ring  ? (size_t)(extension(base) - base) :
		     n->dated ? strcspn(base, "%") :
				strlen(base);

	return !strncmp(base, name, len);
}
