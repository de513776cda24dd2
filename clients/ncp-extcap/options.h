/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - ncp-extcap's command line, and the one it makes of it for ncp-dump. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/options.h"

/* What Wireshark wants to be done. */
enum extcap_task {
	TASK_VERSION,	 /* who are you */
	TASK_INTERFACES, /* which interfaces are there */
	TASK_DLTS,	 /* which link types has this one */
	TASK_CONFIG,	 /* which options has its capture */
	TASK_FILTER,	 /* does this capture filter compile */
	TASK_CAPTURE,
};

struct extcap_options {
	enum extcap_task task;
	const char *bus;	/* TASK_DLTS and below: the interface's name without "ncp:" */
	const char *fifo;	/* TASK_CAPTURE */
	const char *filter;	/* Wireshark's capture filter; NULL: none */
	const char *also;	/* the filter of the capture options; NULL: none */
	const char *from;	/* as ncp-dump has it; NULL: latest */
	const char *direction;	/* in, out, inout; NULL: both */
	uint64_t snaplen;	/* 0: whole frames */
};

/* What stands before a bus's name in the name of its interface. */
#define EXTCAP_PREFIX "ncp:"

/*
 * extcap_options_parse - parse and check a command line; see options_parse().
 *
 * An empty argument of a capture option counts as not given: Wireshark hands over empty fields so.
 */
enum options_result extcap_options_parse(struct extcap_options *o, int argc, char **argv)
	__attribute__((warn_unused_result));

/* Words of ncp-dump's command line, and bytes of the texts that are made for it. */
#define EXTCAP_WORDS 16
#define EXTCAP_TEXT 65536

/*
 * extcap_words - ncp-dump's command line for a capture.
 *
 *   words  out: NULL-terminated; point into o, text and constants
 *   text   EXTCAP_TEXT bytes that must live as long as words
 *
 * Two filters are joined by "and".  Returns 0, or -E2BIG if they are too long for that.
 */
int extcap_words(const struct extcap_options *o, const char *words[EXTCAP_WORDS],
		 char text[EXTCAP_TEXT]) __attribute__((warn_unused_result));

#endif
