/* SPDX-License-Identifier: BSD-2-Clause */
/* json.h - writes JSON, one object a line (RFC 8259). */
#ifndef NCP_UTIL_JSON_H
#define NCP_UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A text being written.  Calls append to it and cannot fail on their own: what does not fit, or
 * memory that cannot be had, is remembered, and json_text() and json_print() tell.  The caller
 * keeps the grammar: a key before each value in an object, as many ends as begins.
 *
 *	struct json j;
 *	json_open(&j);
 *	json_object_begin(&j);
 *	json_key(&j, "schema"), json_u64(&j, 1);
 *	json_object_end(&j);
 *	rc = json_print(&j, stderr);
 *	json_close(&j);
 *
 * One thread at a time.
 */
struct json {
	char *buf;
	size_t len;		/* without the NUL that always follows */
	size_t cap;
	unsigned int depth;
	bool growing;		/* buf is ours, by malloc */
	bool failed;
	bool comma;		/* a value stands before the place where the next one goes */
};

/* json_open - start an empty text in memory of its own, to be freed by json_close(). */
void json_open(struct json *j);

/* json_open_fixed - start one in buf, cap characters, 1 or more; makes no allocation. */
void json_open_fixed(struct json *j, char *buf, size_t cap);

/* json_close - free what json_open() took; for either kind. */
void json_close(struct json *j);

/* json_reset - make the text empty again, and forget a failure; its memory is kept. */
void json_reset(struct json *j);

void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);

/* json_key - the name of the next value. */
void json_key(struct json *j, const char *key);

/*
 * json_str - a string; NULL is null.
 *
 * Safe to print: what escape_is_unsafe() names is written as \uXXXX, and each byte that belongs
 * to no well-formed UTF-8 character as \ufffd.
 */
void json_str(struct json *j, const char *str);

void json_u64(struct json *j, uint64_t n);
void json_i64(struct json *j, int64_t n);
void json_bool(struct json *j, bool yes);
void json_null(struct json *j);

/* json_hex - an id as a string of 16 hexadecimal digits, the most significant first. */
void json_hex(struct json *j, uint64_t id);

/* json_seconds - ns as a number in seconds with nine digits: 1500000000 is 1.500000000. */
void json_seconds(struct json *j, int64_t ns);

/* json_time - ns since 1970 UTC as a string: RFC 3339, nine digits, Z. */
void json_time(struct json *j, uint64_t ns);

/*
 * json_text - the finished text.
 *
 * Returns it, NUL-terminated, valid until the next call on j; NULL if it did not fit, memory ran
 * out, or something is still open.
 */
const char *json_text(const struct json *j);

/*
 * json_print - write the finished text and a newline to f, flush, and reset j.
 *
 * Returns 0, -EOVERFLOW (as json_text() NULL; nothing is written), or the write's -errno.
 */
int json_print(struct json *j, FILE *f) __attribute__((warn_unused_result));

#endif
