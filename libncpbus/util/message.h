/* SPDX-License-Identifier: BSD-2-Clause */
/* message.h - what a program says on stderr: one line, program: what: why: what to do. */
#ifndef NCP_UTIL_MESSAGE_H
#define NCP_UTIL_MESSAGE_H

#include <stdio.h>

/* The exit statuses of all programs. */
enum message_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_BUS = 3,
	EXIT_LOST = 4,		/* complete, but frames were lost; only with --strict */
};

/*
 * message_setup - once at the start of main().
 *
 *   program  its name as messages show it; must live on
 *
 * Where stderr is the journal's (JOURNAL_STREAM, systemd.exec(5)), plain lines begin with their
 * priority, as sd-daemon(3) has it.
 */
void message_setup(const char *program);

/*
 * message_json - from here on, messages are JSON objects on f; NULL: plain lines on stderr.
 *
 *   f  open for writing; stays the caller's, until message_json(NULL)
 */
void message_json(FILE *f);

/*
 * message_error - say what failed, why, and what to do about it.
 *
 * Plain: "program: what: why: what to do".  JSON: {"schema":1,"error":"what: why: what to do",
 * "what":..., "why":..., "do":..., "exit":status}.  Text from users or the wire may stand in any
 * part: it is made safe to print (escape.h).  Each call is one write, so that lines of several
 * processes stay whole.  That the write itself fails is not reported: there is nowhere to.
 *
 *   status  the exit status this will lead to
 *   what    the thing and, if need be, what was done to it: "bus eth0", "/tmp/x.pcapng: write"
 *   why     the reason, often ncp_strerror(); NULL if what says it all
 *   todo    what the reader should do; NULL if nothing can be done
 *
 * Returns status, so that `return message_error(...)` reports and ends.
 */
int message_error(int status, const char *what, const char *why, const char *todo);

/*
 * message_note - the same for what is no error; in JSON "note" stands for "error", without exit.
 */
void message_note(const char *what, const char *why, const char *todo);

/*
 * message_error_text - message_error() of one text, "what: why: what to do", which is cut at its
 * first two ": ".
 */
int message_error_text(int status, const char *text);

/*
 * message_status - show a line on the terminal that stderr is, in place of the last such line.
 *
 *   text  shorter than a row; NULL: take the line away
 *
 * A message takes its place; it comes back by the next call.
 */
void message_status(const char *text);

/*
 * MESSAGE_TEXT - printf into a string for one of the parts above.
 *
 * Its memory lives as long as the enclosing block; longer text is cut at MESSAGE_CAP - 1.
 */
#define MESSAGE_CAP 512
#define MESSAGE_TEXT(...) message_text((char[MESSAGE_CAP]){ 0 }, __VA_ARGS__)

const char *message_text(char buf[MESSAGE_CAP], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
