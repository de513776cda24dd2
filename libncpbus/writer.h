/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.h - publish frames on a bus: claim, write, commit; wake clients; wait for reliable ones. */
#ifndef NCPI_WRITER_H
#define NCPI_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libncpbus/create.h"

struct ncpi_writer;

struct ncpi_writer_options {
	uint32_t n_workers;	      /* 1..NCPI_WORKERS threads will publish */
	uint32_t largest_caplen;      /* no frame's caplen will be above this */
	uint32_t retire_ms;	      /* wake clients at most so often while frames flow; 0: 1 */
	uint32_t reliable_timeout_ms; /* a granted client that stalls longer is evicted; 0: 5000 */
	uint32_t snaplen;	      /* for the header */
	bool immediate;		      /* wake after every publish, the first from its own thread */
};

/* A frame to publish.  A source fills arrays of these; the bytes stay the source's. */
struct ncpi_frame {
	const uint8_t *data; /* caplen bytes (without an inserted VLAN tag) */
	uint64_t ts_ns;	     /* since 1970 UTC */
	uint64_t dropcount;  /* frames lost just before this one: epb_dropcount; 0: none, no option */
	uint32_t caplen;     /* bytes at data, <= largest_caplen; with a tag 4 more are published */
	uint32_t len;	     /* bytes on the wire, without the inserted tag, >= caplen */
	uint32_t interface;  /* id from ncpi_writer_interface() */
	uint32_t flags;	     /* epb_flags */
	uint16_t vlan_tpid;  /* 0: none; else the tag {tpid, tci} (host order) is inserted after */
	uint16_t vlan_tci;   /* vlan_off bytes: what the kernel stripped is put back */
	uint32_t vlan_off;   /* 12 on Ethernet; when caplen < vlan_off no tag is inserted */
};

/* An interface to describe in the prologue. */
struct ncpi_interface_desc {
	const char *name;	 /* if_name; "" or NULL: no such option (a file without names) */
	const char *description; /* if_description or NULL; the writer appends the real snaplen */
	const char *filter;	 /* if_filter: the capture filter's text, or NULL */
	uint32_t linktype;	 /* LINKTYPE_, 0..65535 */
	uint32_t snaplen;	 /* the real limit */
};

/* ncpi_writer_least_ring - the smallest ring, in bytes, that ncpi_writer_open() takes for these:
 * two of the largest blocks fit a claim, and all workers' claims half the ring. */
uint64_t ncpi_writer_least_ring(uint32_t n_workers, uint32_t largest_caplen);

/*
 * ncpi_writer_open - become the writer of a bus: take over what is there, begin a new epoch.
 *
 *   bus  open and locked; stays the caller's, must outlive the writer
 *
 * Leaves the state NCP_STARTING.  Publishes an epoch block (with the interval in which nobody
 * watched, when there was a producer before) and its waypoint.
 * Returns 0; -EINVAL (options; or the ring is smaller than ncpi_writer_least_ring(): why says
 * the least size); NCP_ECORRUPT (no slot bears head); -ENOMEM.
 * Makes no thread and no system call that a capture sandbox forbids later.
 */
int ncpi_writer_open(struct ncpi_bus *bus, const struct ncpi_writer_options *o,
		     struct ncpi_writer **w, char *why);

/*
 * ncpi_writer_start - start the waker thread: heartbeat, wake-ups, registry, per-interface counters.
 *
 * Call it after rights were dropped, so that the thread never had them.  Returns 0, -errno.
 */
int ncpi_writer_start(struct ncpi_writer *w);

/*
 * ncpi_writer_interface - the id of an interface, described in the prologue if it is new.
 *
 * The same name with the same linktype is the same id again, also across epochs; without a name,
 * the same linktype is.  Any thread; at any time.
 * Returns the id, -ENOSPC (the prologue or the table is full: a change of geometry), -EINVAL.
 */
int ncpi_writer_interface(struct ncpi_writer *w, const struct ncpi_interface_desc *d);

/*
 * ncpi_writer_publish - publish frames, in this order, with consecutive numbers within a claim.
 *
 *   worker  index < n_workers: one thread per worker
 *   frames  n >= 1 of them; read only during the call
 *
 * Splits the batch where a claim would be too large.  Blocks only for reliable clients and for
 * other workers' claims (then the waker's heartbeat goes on).
 * Returns how many were published: n, or fewer after ncpi_writer_cancel().
 * Ordering: steps P1-P8 of layout.h.
 */
size_t ncpi_writer_publish(struct ncpi_writer *w, uint32_t worker, const struct ncpi_frame *frames,
			   size_t n);

/* ncpi_writer_cancel - make present and later publish calls give up waiting.  Async-signal-safe. */
void ncpi_writer_cancel(struct ncpi_writer *w);

/* Increments for one worker's and one interface's counters; published, bytes and truncated are
 * counted by ncpi_writer_publish() itself. */
struct ncpi_counts {
	uint64_t received, kernel_drops, freezes, discarded;
};

/* ncpi_writer_count - add to the counters, by the worker's own thread. */
void ncpi_writer_count(struct ncpi_writer *w, uint32_t worker, uint32_t interface,
		       const struct ncpi_counts *add);

/* ncpi_writer_state - change state and reason; bumps wake and wakes everybody.  One thread at a
 * time. */
void ncpi_writer_state(struct ncpi_writer *w, uint32_t state, uint32_t reason);

/* ncpi_writer_mark - publish a block of ncp's own (NCPI_LOCAL_PAUSE, ...), by a worker's thread.
 * interface: of struct ncpi_local. */
void ncpi_writer_mark(struct ncpi_writer *w, uint32_t kind, uint64_t from_ns, uint64_t to_ns,
		      uint32_t reason, uint32_t interface);

/* What the writer knows about its clients: refreshed by the waker thread. */
struct ncpi_audience {
	uint32_t live;	  /* lines with a living owner */
	uint32_t granted; /* reliable clients being waited for */
};
void ncpi_writer_audience(const struct ncpi_writer *w, struct ncpi_audience *a);

/* ncpi_writer_drain - wait until every granted client has read up to head, or has gone, or was
 * evicted.  Returns 0, -ECANCELED after ncpi_writer_cancel(). */
int ncpi_writer_drain(struct ncpi_writer *w);

/* Totals, for status lines: this bus's, over all epochs. */
struct ncpi_totals {
	uint64_t epoch;
	uint64_t next_seq; /* frames published */
	struct ncpi_worker_line sum;
};
void ncpi_writer_totals(const struct ncpi_writer *w, struct ncpi_totals *t);

/*
 * ncpi_writer_close - last wake-up, set the final state, end the waker thread, free.
 *
 *   state  NCP_STOPPED, NCP_ENDED or NCP_CLOSED; NCP_LIVE: leave it as it is (a test's crash)
 */
void ncpi_writer_close(struct ncpi_writer *w, uint32_t state, uint32_t reason);

#endif
