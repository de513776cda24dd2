/* SPDX-License-Identifier: BSD-2-Clause */
/* naming.h - what the files of a series are called, and which names are of it.  Pure. */
#ifndef NAMING_H
#define NAMING_H

/*
 * tcpdump's way (MakeFilename() in its tcpdump.c):
 *
 *	FILE, FILE1, FILE2 ...		-C
 *	FILE00 ... FILE10		-C -W 11: so many digits as the highest number has
 *	strftime(FILE)			-G
 *	strftime(FILE)00 ...		-C -G -W 11: the numbers begin anew with each time
 *
 * dumpcap's (ringbuf_open_file() in Wireshark's ringbuffer.c), where FILE is BASE.EXT:
 *
 *	BASE_00001_YYYYMMDDHHMMSS.EXT		-b
 *	BASE_YYYYMMDDHHMMSS_00001.EXT		-b nametimenum:2
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct naming {
	const char *path; /* FILE */
	bool dated;	  /* FILE is a form for strftime() */
	bool utc;	  /* in UTC, not local time */
	uint32_t digits;  /* at least so many, also for number 0; 0: number 0 is not shown */
	bool ring;	  /* dumpcap's way */
	bool time_first;  /* nametimenum:2 */
};

/* naming_digits - how many digits tcpdump -W count uses: those of count - 1. */
uint32_t naming_digits(uint64_t count);

/*
 * naming_make - the name of a file.
 *
 *   number  in the series, from 0; dumpcap's way shows it from 1, modulo 100000
 *   at      when it begins
 *
 * Returns 0; -ENAMETOOLONG; -EINVAL (the form gives an empty name).
 */
int naming_make(char *out, size_t cap, const struct naming *n, uint64_t number, time_t at)
	__attribute__((warn_unused_result));

/*
 * naming_number - which number of the series a file is.
 *
 *   file  its path, or its last component: only that is compared
 *   at    when it began
 *
 * Returns 1 (*number is set), or 0: naming_make() gives that file no such name, whatever the number.
 */
int naming_number(const struct naming *n, const char *file, time_t at, uint64_t *number)
	__attribute__((warn_unused_result));

/* naming_may - may a name in FILE's directory be of the series, as far as that shows without knowing
 * when it began?  Cheap: spares a look into most of the others. */
bool naming_may(const struct naming *n, const char *name);

#endif
