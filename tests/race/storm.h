/* SPDX-License-Identifier: BSD-2-Clause */
/* storm.h - lives of clients and producers around one small ring, and what they must agree on. */
#ifndef TEST_STORM_H
#define TEST_STORM_H

/*
 * A life is one attach to one detach, or to one SIGKILL; a slot is a place that lives follow each
 * other in, all of one kind.  Lives are processes (test_storm) or threads (test_storm_threads): the
 * same code either way, and what they know of each other stands in struct storm, shared memory.
 *
 * What is checked, and where
 *
 *   life.c    after every call: the ledger's sum, its numbers against the client's own count; each
 *             frame byte for byte; numbers in turn; each worker's frames in his order; once
 *   table.c   between lives, by frame number: all read the same frame under it; of the shards one
 *             gave it and the others left it; of a group's members one gave it, a second only when
 *             the first was killed, and somebody gave it or lost it; a filter left only what it
 *             must
 */

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "support/bus.h"
#include "tap/tap.h"

/* --- frame.c: frames whose every byte follows from an id and a time ---------------------------- */

#define STORM_CAP 400u /* bytes of a frame at most */
#define STORM_WORKERS 4
#define STORM_WANTED 200u /* the length from which the filter takes a frame */

/* The id: who published the frame, and as his how-manieth. */
#define STORM_ID(life, worker, number)                                                             \
	((uint64_t)(life) << 44 | (uint64_t)(worker) << 40 | (uint64_t)(number))
#define STORM_ID_LIFE(id) ((id) >> 44)
#define STORM_ID_WORKER(id) ((id) >> 40 & 15)

/* storm_frame - the frame of an id; buf: STORM_CAP bytes.  The interface is an index, see below. */
struct ncpi_frame storm_frame(uint64_t id, uint64_t ts_ns, uint8_t *buf);

/* storm_frame_good - is f whole: every byte, and what stands beside them?  Sets *id, 0 if none can
 * be read.  Reads the ring as the library does, so that it is no race to a sanitizer. */
bool storm_frame_good(const struct ncp_frame *f, uint64_t *id);

/* --- what is shared ---------------------------------------------------------------------------- */

enum storm_kind {
	STORM_PLACE, STORM_COPY, STORM_BATCH, STORM_SPANS, STORM_FILTER, STORM_SEEKS,
	STORM_POLL, STORM_ORDERED, STORM_RELIABLE, STORM_SHARD, STORM_GROUP,
};
#define STORM_SHARDS 3u
#define STORM_MEMBERS 3u
#define STORM_SLOTS (STORM_SHARD + STORM_SHARDS + STORM_MEMBERS)
#define STORM_TIMEOUT_MS 200u /* a reliable client may stall for so long */
#define STORM_LIVES 65536u /* numbers of lives, used again after so many */

/* Sums over all lives; each is added to by ncpi_add(). */
struct storm_sums {
	uint64_t seen, filtered, others, lost; /* of the lives that ended in order */
	uint64_t laps;	    /* losses told */
	uint64_t taken_back; /* of these, of frames that had been given */
	uint64_t in_order;  /* lives that ended in order */
	uint64_t to_the_end; /* of these, with the bus */
	uint64_t granted, refused, evicted; /* reliable lives */
	uint64_t takeovers, restarts; /* producers that continued after a kill, after a stop */
	uint64_t again;	    /* frames that a group's member had of one who was killed */
	uint64_t overtaken; /* NCP_ORDERED: frames given after one of a higher number */
	uint64_t sharded, shared; /* numbers judged: by all shards, by the group */
	uint64_t waited;    /* times a producer waited for the table */
	uint64_t bad;
};

struct storm_cell;

/* How a producer is to leave: in state STOPPED or ENDED, or, if it is a thread, as if killed. */
enum storm_stop { STORM_STOP = 1, STORM_END, STORM_CRASH };

struct storm {
	uint32_t stop;		/* the producer: enum storm_stop */
	uint32_t holds_bus;	/* 1: the producer has the bus's lock, and was not told to stop */
	uint32_t may_leave[STORM_SLOTS]; /* 1: the life in it may end before the bus does; who takes
					  * the 1 (a life to leave, the controller) decides */
	uint32_t attached[STORM_SLOTS]; /* number of the life that is attached + 1 */
	uint64_t published;	/* frames in all, once the bus has ended */
	uint64_t lives;		/* numbers given out to clients */
	uint64_t producers;	/* the same for producers */
	uint64_t group_begin;	/* the group's first frame, UINT64_MAX: nobody read any */
	uint64_t group_at[STORM_MEMBERS]; /* where each member stands, UINT64_MAX: none */
	uint8_t killed[STORM_LIVES]; /* 1 from before the SIGKILL on */
	struct storm_sums sums;
	struct storm_cell *cells;
};
extern struct storm *storm;

/* storm_make - the shared memory.  storm_bad - a fault: counted, the first ten are printed. */
void storm_make(void);
void storm_bad(const char *kind, const char *what, uint64_t a, uint64_t b);

/* --- table.c ------------------------------------------------------------------------------------ */

#define STORM_CELLS (UINT64_C(1) << 20)

/* storm_saw - a whole frame seq has this id.  wanted: the filter would take it. */
void storm_saw(uint64_t seq, uint64_t id, bool wanted);
void storm_shard(uint32_t shard, uint64_t seq, bool given); /* given, or left to the others */
void storm_filtered(uint64_t seq);
void storm_group_saw(uint64_t seq, uint32_t life);
void storm_group_lost(uint64_t seq);

/* storm_judge - judge what no later number has displaced yet; frames below end are published. */
void storm_judge(uint64_t end);

/* --- life.c, produce.c -------------------------------------------------------------------------- */

/*
 * storm_client - one life in a slot, from attach to detach.
 *
 *   life   its number
 *   share  NULL, or the producer's segment: read through its mapping, so that a sanitizer sees both
 *          sides at the same addresses
 */
void storm_client(const struct test_bus *bus, unsigned slot, uint32_t life, uint64_t seed,
		  const struct ncpi_segment *share);
const char *storm_kind_name(unsigned slot);

/* storm_bus - the busses' geometry: a ring of 64 to 512 KiB. */
void storm_bus(struct test_bus *bus, struct tap_rng *rng);

/*
 * storm_producer - one life of a producer, until storm->stop.
 *
 *   open  false: bus->bus is open already, and stays so
 */
void storm_producer(struct test_bus *bus, uint64_t seed, bool open);

/* Is this thread one of the producer's workers? */
extern _Thread_local bool storm_worker;

/* --- report.c ------------------------------------------------------------------------------------ */

/* storm_seconds - how long: NCP_STORM_SECONDS, else otherwise. */
uint64_t storm_seconds(uint64_t otherwise);

/* storm_report - judge, and say what every storm must have seen and not seen. */
#define STORM_REPORT 9u
void storm_report(const struct test_bus *bus);

#endif
