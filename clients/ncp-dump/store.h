/* SPDX-License-Identifier: BSD-2-Clause */
/* store.h - what goes into the files of a capture: sections, frames, gaps; durability, --resume. */
#ifndef STORE_H
#define STORE_H

/*
 * One file is open at a time.  Another one follows it when a limit of the options is reached, when
 * that is asked for, and where the bus comes back with other link types; frames go on in it without
 * a hole.  Calls return 0 or -errno; an error ends the capture, and store_abandon() keeps what was
 * saved.
 */

#include <ncpbus.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "options.h"
#include "outfile.h"
#include "series.h"
#include "state.h"

#define STORE_INTERFACES 256u
#define STORE_BATCH 32 /* frames that store_frames() takes at once */
#define STORE_ALL UINT32_MAX

struct split;

struct store {
	struct split *split; /* --split-interfaces: the files are its stores', this one has none */
	uint32_t only;	     /* one of these: the interface whose frames it gets; else STORE_ALL */
	const struct dump_options *o;
	struct ncp_client *c;
	struct ledger *ledger;

	struct series series;
	struct outfile *file; /* NULL: between two files */
	bool ended;	      /* the last file that was asked for is full */
	uint64_t left_out;    /* frames that store_frames() was given and had no file for */
	bool uncut;	      /* it failed, and what is unfinished could not be cut off either */

	/* The section. */
	uint64_t incarnation;
	uint64_t ring_size;
	uint64_t section_off;	/* where it begins in the file */
	uint64_t section_seq;	/* its first frame's number */
	uint32_t prologue_len;	/* bytes of the prologue that the file has */
	uint32_t linktype;	/* of a pcap */
	uint32_t n_interfaces;
	struct store_interface {
		uint32_t linktype;
		uint64_t received, kernel_drops; /* when the section began */
		uint64_t received_now, kernel_drops_now;
	} interface[STORE_INTERFACES];
	uint64_t begun_ns;
	uint64_t lost_before; /* by the ledger, when the section began */
	bool realign; /* what was appended last was no span */

	/* What is read from here on is not wanted; NCP_UNKNOWN: all of it is. */
	uint64_t cut_position, cut_seq;

	const char *writer;
	bool direct;

	struct state state;   /* what --resume's file says */
	uint64_t saved_off;
	uint64_t synced_ns, flushed_ns, told_ns; /* CLOCK_MONOTONIC */
	int error_of_state;   /* the error was in writing the state file */
};

/*
 * store_open - open the first file and begin a section where the client stands.
 *
 *   resumed  1: state was loaded, its file was cut; 0: not
 *
 * Says what is to be said (message_note), but not the error.
 */
int store_open(struct store *s, const struct dump_options *o, struct ncp_client *c,
	       struct ledger *ledger, const struct state *resumed)
	__attribute__((warn_unused_result));

/* store_open_interface - the same for the frames of one interface, of which that at `at` is the
 * first. */
int store_open_interface(struct store *s, const struct dump_options *o, struct ncp_client *c,
			 struct ledger *ledger, uint32_t interface, const struct ncp_cursor *at)
	__attribute__((warn_unused_result));

/* store_rest - before the client moves to another bus: all that was read is in the file. */
int store_rest(struct store *s) __attribute__((warn_unused_result));

/* store_reattached - the client reads another incarnation now: a new section, or file. */
int store_reattached(struct store *s) __attribute__((warn_unused_result));

/* store_span - append a span, at most its first max_frames frames.  Counts in the ledger.  When
 * s->ended afterwards, frames may be left over: they are not counted. */
int store_span(struct store *s, const struct ncp_span *span, uint64_t max_frames)
	__attribute__((warn_unused_result));

/* store_cut - the capture ends before this frame: what is read behind it stays somebody else's. */
void store_cut(struct store *s, uint64_t position, uint64_t seq);

/* store_frames - append single frames, STORE_BATCH at most: copied, cut to -s.  They are the last that were read, but for
 * those not wanted, in any order. */
int store_frames(struct store *s, struct ncp_frame *f, int n)
	__attribute__((warn_unused_result));

/* store_gap - frames are missing here. */
int store_gap(struct store *s, uint64_t incarnation, uint64_t first, uint64_t next)
	__attribute__((warn_unused_result));

/* store_rotate - go on in the next file, without waiting for a limit.  A pipe stays. */
int store_rotate(struct store *s) __attribute__((warn_unused_result));

/*
 * store_tick - what is due by time: flush, sync, state, the next file.
 *
 *   idle  there is nothing to read
 */
int store_tick(struct store *s, uint64_t now_ns, bool idle) __attribute__((warn_unused_result));

/* store_nap_ms - how long one may sleep before store_tick() has something to do; -1: for ever. */
int store_nap_ms(struct store *s, uint64_t now_ns);

/* store_flush - everything read so far is in the file. */
int store_flush(struct store *s) __attribute__((warn_unused_result));

/* store_queued - bytes that are read and not yet in the file. */
uint64_t store_queued(const struct store *s);

/* store_size - bytes of the files so far. */
uint64_t store_size(const struct store *s);

/* store_finish - statistics, exact length, "complete", durable as --sync wants, state. */
int store_finish(struct store *s) __attribute__((warn_unused_result));

/* store_abandon - after an error: keep what is whole, and make the ledger say so. */
void store_abandon(struct store *s);

/* store_close - free; what is open is closed as it is.  Waits for the commands of -z. */
void store_close(struct store *s);

#endif
