/* SPDX-License-Identifier: BSD-2-Clause */
/* decode.h - another program that decodes: tcpdump, or tshark, with our frames on its stdin. */
#ifndef DECODE_H
#define DECODE_H

#include <stdbool.h>
#include <sys/types.h>

struct decode {
	pid_t pid;
	const char *program;
};

/*
 * decode_words - take a line of arguments apart, as a shell does without expanding anything: blanks
 * part words, '...' and "..." keep them, a backslash keeps the next character (not in '...').
 *
 *   line   changed: the words lie in it
 *   words  cap of them at most
 *
 * Returns how many; -EINVAL (a quote has no end), -E2BIG.
 */
int decode_words(char *line, char **words, int cap) __attribute__((warn_unused_result));

/*
 * decode_begin - start it, with stdout (ours) leading to its stdin.
 *
 *   args  what stands behind "-r -" of its command line
 *   line_buffered, numeric  with -l, with -n
 *
 * In a process group of its own: a Ctrl-C is ours, and it ends when all was written to it.
 * Says what went wrong.  Returns EXIT_DONE, or the exit status.
 */
int decode_begin(struct decode *d, const char *args, bool line_buffered, bool numeric);

/*
 * decode_end - close stdout, and wait until it has ended.
 *
 *   status  ours so far
 *
 * Says how it failed.  Returns the exit status: ours, unless that is EXIT_DONE and it failed.
 */
int decode_end(struct decode *d, int status);

#endif
