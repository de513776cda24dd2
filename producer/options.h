/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - ncp-producer's command line, checked and made into what the rest works with. */
#ifndef PRODUCER_OPTIONS_H
#define PRODUCER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libncpbus/segment.h"
#include "producer/filter_text.h"
#include "producer/sources.h"
#include "util/options.h"

/* What a command line asks for. */
struct producer_options {
	/* One of these two instead of capturing. */
	bool list_interfaces;
	const char *remove; /* a bus, or NULL */

	char *source; /* all of them, as given */
	struct source_arg arg[NCPI_WORKERS];
	uint32_t n_args;
	struct source_options src;

	char bus[NCPI_NAME_CAP];
	const char *dir; /* NULL: $NCP_DIR, else /dev/shm */
	uint64_t ring_size; /* bytes, a power of two; 0: an existing one's, else the default */
	uint64_t ring_asked; /* the same before it was rounded up */
	uint64_t count;	    /* -c; 0: no limit */
	const char *netns;  /* a network namespace to capture in; NULL: this one */

	bool mlock;
	uint64_t numa; /* a node; UINT64_MAX: wherever */

	bool reliable;
	uint64_t reliable_timeout_ms, max_reliable, wait_clients;

	const char *user, *group; /* NULL: the defaults */
	bool keep, unlink;
	bool json;
	const char *json_file; /* NULL: stderr */

	char *filter; /* src.filter's memory */
	struct filter_text filter_from; /* what that was made of */
	char *pieces[NCPI_WORKERS]; /* arg's */
};

/*
 * producer_options_read - read a command line.
 *
 *   argv  as main() has it; reordered.  o points into it
 *   o     filled in on OPTIONS_RUN; undo with producer_options_free(), whatever came back
 *
 * With --json, messages are objects from here on.  Reads the file that -F names.  Errors are said.
 */
enum options_result producer_options_read(int argc, char **argv, struct producer_options *o)
	__attribute__((warn_unused_result));

void producer_options_free(struct producer_options *o);

/*
 * The pure parts.
 *
 * options_source_cut - cut the first SOURCE off a list "eth0,eth1": its comma becomes the end.
 *                      What takes commas itself (file:, synth:) goes to the end of the text.
 *                      Returns what follows, NULL if that was all.
 * options_speed - "max", "2" or "0.5" (times the original pace), "1000pps" or "1000 pps".
 */
int options_speed(const char *text, double *times, double *pps)
	__attribute__((warn_unused_result));
char *options_source_cut(char *list);

#endif
