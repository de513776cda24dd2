/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.h - the capture loop: take frames from a source, publish them, count, give back. */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/layout.h"
#include "libncpbus/writer.h"
#include "producer/source.h"

/*
 * One thread per worker, one source (or member of one) per worker.  The main thread does everything
 * else: signals, status lines, the helper; so nothing that may block (a terminal, a pipe) stands in
 * the way of a frame.  With several workers each claims and commits by itself (writer.h): one that
 * is slow, or paused, holds up nobody's copying.
 *
 *	capture_init()    fill in
 *	worker_start()    once per worker
 *	capture_order()   stop, or give up
 *	capture_join()
 *
 * Per frame a worker writes its ring bytes and its own counters.  Per batch: one look at the clock
 * and at the orders.  No system call, allocation or lock of its own per batch; the source decides
 * what taking one costs.
 */

/* What the main thread wants.  Only ever raised. */
enum capture_order {
	CAPTURE_RUN = 0,
	CAPTURE_STOP,  /* accept nothing more, publish what was accepted, count, end */
	CAPTURE_ABORT, /* end at once; what is not published is discarded */
};

/* Why a worker ended. */
enum worker_end {
	WORKER_RUNNING = 0,
	WORKER_EXHAUSTED, /* the source had its last frame */
	WORKER_COUNTED,	  /* -c is reached */
	WORKER_STOPPED,	  /* it was ordered to */
	WORKER_FAILED,	  /* why tells: "what: why: what to do" */
};

struct capture;

struct worker {
	struct capture *capture;
	struct source *src; /* open and started; the caller's, used by this thread only */
	uint32_t index;
	uint32_t group; /* the workers of one SOURCE */
	int cpu;	/* the processor to stay on; -1: any */
	pthread_t thread;
	bool started;

	/* The thread's own. */
	uint32_t n_interfaces;		   /* known so far */
	uint32_t bus_id[NCPI_INTERFACES]; /* of the source's interface i */
	struct source_counts counted;	   /* already in the bus's counters */
	uint64_t discarded;		   /* by the worker, not yet in the bus's counters */
	uint64_t count_at_ns;		   /* CLOCK_MONOTONIC: when to count next */
	bool paused;

	/* Valid when the main thread sees end other than WORKER_RUNNING (acquire). */
	uint32_t end;	 /* enum worker_end (release) */
	uint32_t obeyed; /* enum capture_order it has seen (relaxed) */
	uint32_t rounds; /* how often it has looked at its orders (relaxed) */
	uint32_t publishing; /* it is, and may have to wait for reliable clients (relaxed) */
	/* The main thread's: the rounds that it saw last, and when they were new. */
	uint32_t rounds_seen;
	uint64_t moved_at_ns;
	char why[SOURCE_WHY_CAP];
};

/* The workers of one SOURCE: under the capture's lock. */
struct capture_group {
	uint32_t n, n_paused;
	uint64_t paused_since_ns; /* CLOCK_REALTIME; 0: not all are, or nothing was marked */
	uint32_t paused_id; /* the bus's id of the interface that went: it may come back as another */
};

/* What all workers share. */
struct capture {
	struct ncpi_writer *writer;
	uint32_t largest_caplen; /* of struct ncpi_writer_options */
	uint32_t retire_ms;	 /* a kernel block is retired after this at most */
	bool drain;		 /* wait for granted clients when the source has ended */
	int done_fd;		 /* an eventfd: bumped by each worker that ends */

	uint32_t order; /* enum capture_order (relaxed) */

	/* Under the lock, which a batch takes only with -c: */
	pthread_mutex_t lock;
	uint64_t wanted; /* frames until -c is reached; UINT64_MAX: no limit */
	uint32_t n_workers, n_paused, n_ended;
	bool paused; /* the bus is */
	struct capture_group group[NCPI_WORKERS];
	struct worker worker[NCPI_WORKERS];
};

/*
 * capture_init - ready for workers.
 *
 *   writer          open and started
 *   count           -c; 0: no limit
 *
 * Makes done_fd.  Installs a handler for WORKER_SIGNAL that does nothing.
 * Returns 0, -errno of eventfd or sigaction.
 */
int capture_init(struct capture *c, struct ncpi_writer *writer, uint32_t largest_caplen,
		 uint32_t retire_ms, uint64_t count) __attribute__((warn_unused_result));
void capture_fini(struct capture *c);

/* The signal by which a waiting worker is told that there is an order. */
#define WORKER_SIGNAL SIGRTMIN

/*
 * worker_learn - describe the interfaces that a source knows now to the bus.
 *
 * Also called by the worker itself for interfaces that appear later.
 * Returns 0; -errno of ncpi_writer_interface(), w->why set (-E2BIG: an interface whose frames may
 * be longer than largest_caplen).
 */
int worker_learn(struct worker *w) __attribute__((warn_unused_result));

/*
 * worker_add - the next worker of a capture, not yet running, for src.
 *
 *   group  the same for all whose frames are of one SOURCE, < NCPI_WORKERS
 *   cpu    the processor to stay on; -1: any
 *
 * While all workers of a group are paused, a pair of marks in the stream says so; the bus is paused
 * while all are.
 */
struct worker *worker_add(struct capture *c, struct source *src, uint32_t group, int cpu);

/* worker_start - begin to take frames, in a thread of its own.  Returns 0, -errno. */
int worker_start(struct worker *w) __attribute__((warn_unused_result));

/* capture_order - raise the order and tell all workers.  The main thread's. */
void capture_order(struct capture *c, enum capture_order order);

/*
 * capture_nudge - tell those who have not seen the order once more.
 *
 * A signal that comes between a worker's look at the order and its wait ends no wait: so the order
 * is told again, every few milliseconds, until it was seen.  Returns whether all have seen it.
 */
bool capture_nudge(struct capture *c);

/* capture_ended - have all workers ended? */
bool capture_ended(const struct capture *c);

/* capture_end - the first worker that ended so; NULL: none.  WORKER_RUNNING is no end. */
const struct worker *capture_end(const struct capture *c, enum worker_end end);

/*
 * capture_moves - has every worker that runs gone round its loop within patience_ns?
 *
 * One that has not since the last call is signalled, which ends any wait of a source; call it several
 * times in patience_ns.  One that waits for reliable clients is excused: these are evicted in time.
 */
bool capture_moves(struct capture *c, uint64_t patience_ns);

/* capture_join - wait for all threads that were started. */
void capture_join(struct capture *c);

#endif
