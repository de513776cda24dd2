/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - writes JSON, one object a line (RFC 8259). */
#include "util/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/escape.h"
#include "util/timetext.h"

void json_open(struct json *j)
{
	*j = (struct json){ .growing = true };
}

void json_open_fixed(struct json *j, char *buf, size_t cap)
{
	*j = (struct json){ .buf = buf, .cap = cap };
	buf[0] = '\0';
}

void json_close(struct json *j)
{
	if (j->growing)
		free(j->buf);
	*j = (struct json){ 0 };
}

void json_reset(struct json *j)
{
	j->len = 0;
	j->depth = 0;
	j->failed = false;
	j->comma = false;
	if (j->buf)
		j->buf[0] = '\0';
}

static bool reserve(struct json *j, size_t n)
{
	size_t cap = j->cap ? j->cap : 256;
	char *buf;

	if (j->failed)
		return false;
	if (n < j->cap - j->len)
		return true;
	j->failed = true;
	if (!j->growing)
		return false;
	while (cap - j->len <= n) {
		if (cap > SIZE_MAX / 2)
			return false;
		cap *= 2;
	}
	buf = realloc(j->buf, cap);
	if (!buf)
		return false;
	j->buf = buf;
	j->cap = cap;
	j->failed = false;
	return true;
}

static void put(struct json *j, const char *text, size_t n)
{
	if (!reserve(j, n))
		return;
	memcpy(j->buf + j->len, text, n);
	j->len += n;
	j->buf[j->len] = '\0';
}

static void value_begin(struct json *j)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
}

static void value(struct json *j, const char *text)
{
	value_begin(j);
	put(j, text, strlen(text));
}

static void nest(struct json *j, const char *bracket)
{
	value(j, bracket);
	j->depth++;
	j->comma = false;
}

static void unnest(struct json *j, const char *bracket)
{
	put(j, bracket, 1);
	/* One end too many is as unfinished as one too few. */
	if (j->depth == 0)
		j->failed = true;
	else
		j->depth--;
	j->comma = true;
}

void json_object_begin(struct json *j)
{
	nest(j, "{");
}

void json_object_end(struct json *j)
{
	unnest(j, "}");
}

void json_array_begin(struct json *j)
{
	nest(j, "[");
}

void json_array_end(struct json *j)
{
	unnest(j, "]");
}

static void quoted(struct json *j, const char *str)
{
	size_t len = strlen(str);

	put(j, "\"", 1);
	for (size_t i = 0; i < len;) {
		char text[8];
		uint32_t cp;
		size_t n = escape_utf8(str + i, len - i, &cp);

		if (n == 0) {
			put(j, "\\ufffd", 6);
			n = 1;
		} else if (cp == '"' || cp == '\\') {
			text[0] = '\\';
			text[1] = (char)cp;
			put(j, text, 2);
		} else if (escape_is_unsafe(cp)) {
			/* All of them lie below U+10000: one escape, no surrogates. */
			snprintf(text, sizeof(text), "\\u%04x", (unsigned int)cp & 0xffff);
			put(j, text, 6);
		} else {
			put(j, str + i, n);
		}
		i += n;
	}
	put(j, "\"", 1);
}

void json_key(struct json *j, const char *key)
{
	value_begin(j);
	quoted(j, key);
	put(j, ":", 1);
	j->comma = false;
}

void json_str(struct json *j, const char *str)
{
	if (!str) {
		json_null(j);
		return;
	}
	value_begin(j);
	quoted(j, str);
}

void json_u64(struct json *j, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	value(j, text);
}

void json_i64(struct json *j, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, n);
	value(j, text);
}

void json_bool(struct json *j, bool yes)
{
	value(j, yes ? "true" : "false");
}

void json_null(struct json *j)
{
	value(j, "null");
}

void json_hex(struct json *j, uint64_t id)
{
	char text[24];

	snprintf(text, sizeof(text), "\"%016" PRIx64 "\"", id);
	value(j, text);
}

void json_seconds(struct json *j, int64_t ns)
{
	uint64_t abs_ns = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	char text[32];

	snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "",
		 abs_ns / 1000000000, abs_ns % 1000000000);
	value(j, text);
}

void json_time(struct json *j, uint64_t ns)
{
	char text[TIMETEXT_CAP];

	timetext_format(text, ns);
	json_str(j, text);
}

const char *json_text(const struct json *j)
{
	return j->failed || j->depth > 0 || j->len == 0 ? NULL : j->buf;
}

int json_print(struct json *j, FILE *f)
{
	const char *text = json_text(j);
	int rc = 0;

	if (!text) {
		rc = -EOVERFLOW;
	} else {
		errno = 0;
		if (fprintf(f, "%s\n", text) < 0 || fflush(f))
			rc = errno ? -errno : -EIO;
	}
	json_reset(j);
	return rc;
}
