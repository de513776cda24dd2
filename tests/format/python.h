/* SPDX-License-Identifier: BSD-2-Clause */
/* python.h - run reader.py beside a test: a line in, a line out, its exit status. */
#ifndef TEST_PYTHON_H
#define TEST_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A running reader.py; {0} is none. */
struct python {
	pid_t pid;
	int in, out; /* its stdin; its stdout and stderr */
	size_t len, used;
	char buf[8192]; /* read and not yet given: [used, len) */
};

/* python_start - run reader.py with args, NULL-terminated, 18 at most.  Bails when it cannot. */
void python_start(struct python *p, const char *const *args);

/* python_step - send a line: reader.py --step then prints the next item. */
void python_step(struct python *p);

/*
 * python_line - its next line, without the newline; NULL at the end of its output.
 *
 * Valid until the next call on p.  Bails after ten seconds of silence: a reader that hangs is
 * no result.
 */
const char *python_line(struct python *p);

/* python_finish - close its stdin: reader.py --step then prints its summary and leaves. */
void python_finish(struct python *p);

/* python_end - close its stdin, read what is left, wait.  Returns the exit status; 128 + signal. */
int python_end(struct python *p);

/* Values of a line by key, which must be there: bails otherwise.  null is UINT64_MAX. */
uint64_t json_u64(const char *line, const char *key);

/* json_is - is the value of key this text? */
bool json_is(const char *line, const char *key, const char *value);

/* json_hex - decode the value of key: up to cap bytes.  Returns how many there are. */
size_t json_hex(const char *line, const char *key, uint8_t *buf, size_t cap);

#endif
