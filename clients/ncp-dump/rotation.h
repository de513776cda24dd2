/* SPDX-License-Identifier: BSD-2-Clause */
/* rotation.h - when a file of a series is full, and which one follows.  Pure. */
#ifndef ROTATION_H
#define ROTATION_H

#include <stdbool.h>
#include <stdint.h>

/* As the command line says it; 0: no such limit. */
struct rotation_options {
	/*
	 * tcpdump: a file that is larger than size is left before the next frame.
	 * dumpcap: one that has reached it is left at once.
	 */
	uint64_t size; /* bytes: -C, -b filesize:, -a filesize: */
	bool over;     /* tcpdump's meaning of it */
	uint64_t packets;     /* -b packets: */
	uint64_t duration_ns; /* -b duration: */
	uint64_t interval_s;  /* -b interval: at multiples of it */
	uint64_t every_s;     /* -G: so long after the file began */
	uint64_t count;	      /* -W: with -C so many files in turn, with -G alone the end after them */
	uint64_t stop_files;  /* -a files:, and 1 for -a filesize: alone: the end after them */
};

enum rotation_why {
	ROTATION_FULL,	/* size or packets */
	ROTATION_TIME,	/* duration, interval or every */
	ROTATION_ASKED, /* by a signal, or because the file cannot hold what comes */
};

struct rotation {
	const struct rotation_options *o;
	uint64_t number; /* of the present file, as its name shows it */
	uint64_t begun_ns; /* CLOCK_REALTIME when it began */
	uint64_t since_ns; /* the same, except that the clock was set back since */
	uint64_t since_mono_ns; /* CLOCK_MONOTONIC */
	uint64_t turns, files; /* that -G ended; that ended at all */
};

/* rotation_begin - the first file, of that number. */
void rotation_begin(struct rotation *r, const struct rotation_options *o, uint64_t number,
		    uint64_t now_ns, uint64_t mono_ns);

/* rotation_next - the present file has ended.  Returns true, and r is the next file's; false: there
 * is to be none. */
bool rotation_next(struct rotation *r, enum rotation_why why, uint64_t now_ns, uint64_t mono_ns);

/* rotation_full_at - the length that ends the present file; UINT64_MAX: none does. */
uint64_t rotation_full_at(const struct rotation *r);

/* rotation_packets - how many frames end it; UINT64_MAX: no number does. */
uint64_t rotation_packets(const struct rotation *r);

/* rotation_wait_ns - how long until its time is up: 0 it is; UINT64_MAX it has no such limit. */
uint64_t rotation_wait_ns(struct rotation *r, uint64_t now_ns, uint64_t mono_ns);

#endif
