/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_impl.h - what the writer's parts share: publishing, waking, waiting for clients. */
#ifndef NCPI_WRITER_IMPL_H
#define NCPI_WRITER_IMPL_H

#include <pthread.h>

#include "libncpbus/roster.h"
#include "libncpbus/writer.h"

/* A claim never exceeds this, so that it has few waypoints and readers see frames soon. */
#define NCPI_CLAIM_MAX (UINT64_C(1) << 20)
#define NCPI_CLAIM_WAYPOINTS (NCPI_CLAIM_MAX / NCPI_WAYPOINT_EVERY + 4)
_Static_assert(NCPI_CLAIM_WAYPOINTS <= NCPI_WAYPOINTS_AHEAD, "a reader passes over fewer");
/* Claims made and not committed; more than one per worker, because a slow worker's claim holds up
 * the commits of the others, not their copying. */
#define NCPI_CLAIMS 1024u

/* A claim: [position, end) and frames [seq, end_seq), and what its commit will publish. */
struct ncpi_claim {
	uint64_t position, end;
	uint64_t seq, end_seq;
	uint64_t newest_ts_ns; /* highest time among its frames */
	uint32_t n_waypoints;
	bool done;
	struct ncpi_waypoint waypoint[NCPI_CLAIM_WAYPOINTS]; /* time_ns: highest within the claim
							      * before it; check not yet set */
};

struct ncpi_writer {
	struct ncpi_bus *bus;
	struct ncpi_segment *seg;
	struct ncpi_writer_options o;
	uint64_t claim_max;
	unsigned waypoint_shift; /* a waypoint every 1 << this bytes */
	bool reliable;
	uint32_t cancelled; /* set by ncpi_writer_cancel() */

	/* Claiming: under claim_lock when there are several workers. */
	pthread_mutex_t claim_lock;
	uint64_t next_position, next_seq; /* of the next claim */
	uint64_t next_claim;
	uint64_t tail;

	/* Committing: under commit_lock when there are several workers. */
	pthread_mutex_t commit_lock;
	struct ncpi_claim *claims; /* claim i at i mod NCPI_CLAIMS */
	uint64_t next_commit;	   /* the oldest claim not committed */
	uint64_t committed_seq;	   /* frames published */
	unsigned slot_idx;	   /* the slot that the next commit writes */
	uint64_t waypoints;
	uint64_t newest_ts_ns;

	pthread_mutex_t prologue_lock;

	/* Per worker: what only it writes, folded into the interface lines by the waker. */
	struct ncpi_interface_line (*worker_interface)[NCPI_INTERFACES];
	struct ncpi_interface_line interface_base[NCPI_INTERFACES]; /* of earlier epochs */

	/* The waker. */
	pthread_t waker;
	bool waker_runs;
	uint32_t poked; /* private futex: 1 when there is something to tell */
	uint32_t nap;	/* private futex: 1 ends the waker's nap between two wake-ups */
	uint32_t stop;

	struct ncpi_roster roster;
};

/* Claim lock and commit lock cost nothing when there is nobody to lock out. */
static inline void ncpi_lock(struct ncpi_writer *w, pthread_mutex_t *m)
{
	if (w->o.n_workers > 1)
		pthread_mutex_lock(m);
}

static inline void ncpi_unlock(struct ncpi_writer *w, pthread_mutex_t *m)
{
	if (w->o.n_workers > 1)
		pthread_mutex_unlock(m);
}

/* waker.c */
int ncpi_waker_start(struct ncpi_writer *w);
void ncpi_waker_stop(struct ncpi_writer *w);
void ncpi_waker_poke(struct ncpi_writer *w); /* after a head store, by the thread that made it */
void ncpi_waker_bump(struct ncpi_writer *w); /* wake everybody now */
void ncpi_waker_beat(struct ncpi_writer *w);

/*
 * ncpi_waker_next - when clients may be woken again who were to be woken at due and were at now.
 *
 * A period after due, not after now: a nap ends some 60 us late, and blocks that are retired at the same
 * pace would each be told of so much later than the one before, until a whole period is lost.  After a
 * pause of a period the new pace has half of one in hand, for blocks that come a little early.
 */
static inline uint64_t ncpi_waker_next(uint64_t due, uint64_t now, uint64_t period)
{
	return now - due < period ? due + period : now + period / 2;
}

#endif
