/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h - a client's state, and what the files that make up the reading side share. */
#ifndef NCPI_CLIENT_H
#define NCPI_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/layout.h"
#include "libncpbus/line.h"
#include "libncpbus/prologue.h"
#include "libncpbus/segment.h"

#define NCPI_EVENTS 4u	/* at most so many are due at once: LOST, STATE, REATTACHED, and one more */
#define NCPI_TRUSTED 16u

/* A block boundary and the number of the frame that follows it. */
struct ncpi_place {
	uint64_t position, seq;
};

/* A frame that was handed out, and how many had been left to others when it was. */
struct ncpi_held {
	struct ncpi_place at;
	uint64_t others;
};

/* What becomes of a frame. */
enum ncpi_choice { NCPI_GIVE, NCPI_FILTERED, NCPI_OTHERS };

struct ncpi_filter;
struct ncpi_poller;
struct ncpi_reorder;
struct ncpi_group;

/* A page that reads 0 in a child: MADV_WIPEONFORK. */
struct ncpi_wiped {
	uint32_t parent; /* 1 */
	const uint8_t *run_end; /* the short way may be taken for blocks up to here; NULL: not at all */
};

/* Two words that are loaded, added to and stored as one. */
typedef uint64_t ncpi_pair __attribute__((vector_size(16)));

/*
 * The short way of ncp_next() and ncp_recv(): all that they need for one more frame.  While
 * wiped->run_end is not NULL, where the client stands is said here, and c->at, c->now, c->held and
 * c->last_ts_ns are as they were when the run began; ncpi_run_stop() brings them up to date.
 */
struct ncpi_run {
	ncpi_pair seq;	/* of the next frame, and the one behind it */
	ncpi_pair base; /* what makes a block's address its position; the incarnation */
	ncpi_pair low;	/* what must be whole from here on: the frame handed out last, or, if that was
			 * copied, the next one; the incarnation */
	ncpi_pair last; /* of the frame handed out last: caplen and len; ts_ns */
	const uint8_t *w;     /* the next block */
	const uint64_t *tail;
	struct ncpi_wiped *wiped;
	uint64_t first_seq; /* the frame with which it began */
};

struct ncp_client {
	struct ncpi_run run;

	/* The bus. */
	struct ncpi_segment seg;
	struct ncpi_segment next; /* the bus that replaced it; taken at the call after
				   * NCP_REATTACHED, so that views stay valid until then */
	bool move;
	int dirfd; /* -1: out of reach, and open_bus is there */
	char bus[NCPI_NAME_CAP];
	uid_t trusted[NCPI_TRUSTED];
	uint32_t n_trusted;
	int (*open_bus)(void *open_arg); /* of ncp_options; NULL: by name */
	void *open_arg;
	uint32_t flags; /* of ncp_options */
	struct ncpi_prologue prologue;

	/* Where it stands. */
	struct ncpi_place at;	/* the next block */
	uint64_t head;		/* as last loaded (C1) */
	uint64_t last_ts_ns;	/* of the last frame handed out */
	struct ncpi_held *held; /* frames handed out by the last call, to be looked at again */
	uint32_t n_held, cap_held;
	bool held_in_row; /* only the first one is filled in: of the others just the position, the
			   * numbers follow one another, and nothing lies between */
	struct ncpi_place span;	/* where the span handed out last begins */
	bool has_span;
	struct ncpi_place released; /* with NCP_HOLD */

	/* The ledger. */
	struct ncp_window now, before, total; /* total: of the windows before now */
	uint64_t taken; /* of now.others: frames that came to us after all, and count elsewhere */
	bool window_open; /* false: the first frame given will begin it */
	uint32_t reattached;

	/* What it has told its caller, and what is due. */
	uint32_t told_state;
	struct ncp_frame event[NCPI_EVENTS];
	uint32_t n_events;

	/* Signs of life. */
	uint64_t heartbeat, heartbeat_seen_ns; /* value, and CLOCK_MONOTONIC when it came */
	uint64_t reopened_ns;

	/* Its line in the registry. */
	int registry_fd, line_fd; /* -1: none */
	char line_name[32];
	struct ncpi_line line;
	uint64_t line_told_ns;
	struct ncpi_place line_told;
	uint64_t line_looked; /* position when it was last seen whether it is time */
	uint64_t line_ino, line_btime_ns; /* what the reliable table names it by */
	struct ncpi_reliable_line *grant; /* its row, when last seen; NULL: not reliable */

	uint32_t shard_idx, shard_n; /* n <= 1: every flow */
	struct ncpi_filter *filter;  /* NULL: every frame */
	struct ncpi_poller *poller; /* NULL: ncp_fd() was not called */
	struct ncpi_group *group; /* NULL: all frames are this client's */
	struct ncpi_reorder *reorder; /* NULL: frames come as they stand in the ring */
};

/* ncpi_usable - 0, or NCP_EFORK in a child. */
static inline int ncpi_usable(const struct ncp_client *c)
{
	return c->run.wiped->parent ? 0 : NCP_EFORK;
}

/* --- locate.c: places in the ring ----------------------------------------------------------- */

/*
 * ncpi_locate_newest - {head, its frame number}: steps S1-S4.
 * Returns 0, NCP_ECORRUPT (no slot ever bears head).
 */
int ncpi_locate_newest(const struct ncpi_segment *seg, struct ncpi_place *p);

/*
 * ncpi_locate_oldest - the first intact waypoint at margin or more bytes from tail, else the newest.
 * Returns 0, NCP_ECORRUPT.
 */
int ncpi_locate_oldest(const struct ncpi_segment *seg, uint64_t margin, struct ncpi_place *p);

/* ncpi_locate_before - the last intact waypoint at or before position, false if there is none. */
bool ncpi_locate_before(const struct ncpi_segment *seg, uint64_t position, struct ncpi_place *p);

/*
 * ncpi_locate_seq, ncpi_locate_time - the block of frame seq; of the first frame at or after
 * time_ns, else the newest place.
 *
 * 1: found.  0: it is older than what can be found: *p is the oldest place.  NCP_ECORRUPT, -ERANGE
 * (seq beyond the newest).
 */
int ncpi_locate_seq(const struct ncpi_segment *seg, uint64_t seq, struct ncpi_place *p);
int ncpi_locate_time(const struct ncpi_segment *seg, uint64_t time_ns, struct ncpi_place *p);

/* ncpi_margin - how far from tail a client that was lapped starts again, not to fall behind at
 * once: a sixteenth of the ring. */
static inline uint64_t ncpi_margin(const struct ncpi_segment *seg)
{
	return seg->ring_size / 16;
}

/* ncpi_locate_from - the block of frame seq, walking from a place before it: 1, 0 (head came first),
 * -EAGAIN (overrun: then *p's first value was), NCP_ECORRUPT. */
int ncpi_locate_from(const struct ncpi_segment *seg, uint64_t seq, struct ncpi_place *p);

/* --- span.c ---------------------------------------------------------------------------------- */

/* ncpi_span_end - where a run of blocks from a place ends: a waypoint within max_len bytes (0: no
 * limit), else the next one after.  *end: the furthest place there is; set if there is a nearer one. */
void ncpi_span_end(const struct ncpi_segment *seg, struct ncpi_place from, size_t max_len,
		   struct ncpi_place *end);

/* --- event.c ---------------------------------------------------------------------------------- */

/* ncpi_event - queue an event; the caller fills what the kind needs. */
struct ncp_frame *ncpi_event(struct ncp_client *c, uint32_t kind);

/* ncpi_event_pop - give the first of those that are due (there is one). */
void ncpi_event_pop(struct ncp_client *c, struct ncp_frame *f);

/* ncpi_lapped - what stood at c->at is gone: go where something is, count, queue NCP_LOST.
 * Returns 0, NCP_ECORRUPT. */
int ncpi_lapped(struct ncp_client *c);

/* ncpi_held_check - were the frames that the last call handed out whole until now?  Those that are
 * not become lost, with NCP_LOST queued.  0, NCP_ECORRUPT. */
int ncpi_held_check(struct ncp_client *c);

/*
 * ncpi_prepare - what every reading call does first: complete a re-attach, look again at what was
 * handed out, give an event that is due.  1: *f was filled.  0: go on.  < 0: error.
 */
int ncpi_prepare(struct ncp_client *c, struct ncp_frame *f);

/*
 * ncpi_idle - nothing between c->at and head: look at the state, tell where we stand.
 * 1: *f was filled.  0: nothing.  2: there are frames after all.  < 0: error.
 */
int ncpi_idle(struct ncp_client *c, struct ncp_frame *f);

/* --- reader.c -------------------------------------------------------------------------------- */

/* ncpi_run_stop - account for what was taken the short way and take it no more.  First of all in every
 * call that looks at what the client did. */
void ncpi_run_stop(struct ncp_client *c);

/*
 * ncpi_scan - the next frame that is this client's, counting those that are not: step C1 to C4.
 *
 * 1: it stands at c->at, *f is filled, its block is *len bytes long and not yet passed.
 * 0: none up to head.  2: c->at was overrun.  NCP_ECORRUPT.
 */
int ncpi_scan(struct ncp_client *c, struct ncp_frame *f, uint32_t *len);

/* ncpi_frame_at - C2 again for a frame that was found before: fills *f from its block.  False: what
 * stands there is none (any more).  p is at most a ring below c->head.  The caller does C3, C4. */
bool ncpi_frame_at(const struct ncp_client *c, struct ncpi_place p, struct ncp_frame *f);

/* ncpi_tell_registry - now and then, without a clock for each frame: ncpi_enrol_tell(). */
void ncpi_tell_registry(struct ncp_client *c);

/* --- reorder.c: NCP_ORDERED ------------------------------------------------------------------ */

int ncpi_reorder_make(struct ncp_client *c, const struct ncp_options *o); /* 0, -ENOMEM, -EINVAL */
void ncpi_reorder_free(struct ncp_client *c);

/* ncpi_reorder_clear - the client goes elsewhere: forget the window; its frames were not read. */
void ncpi_reorder_clear(struct ncp_client *c);

/* ncpi_reorder_read - up to n frames in the order of their times, or an event; with copy the one
 * frame goes into buf.  Returns as ncp_next_batch(). */
int ncpi_reorder_read(struct ncp_client *c, struct ncp_frame *frames, int n, bool copy, void *buf,
		      size_t cap);

/* What the window holds: frames met and not yet handed out; those handed out late. */
uint64_t ncpi_reorder_waiting(const struct ncp_client *c);
uint64_t ncpi_reorder_late(const struct ncp_client *c);

/* ncpi_reorder_next - the lowest frame not yet handed out.  ncpi_reorder_used: the lowest that is in
 * use, by the window or by the caller. */
struct ncpi_place ncpi_reorder_next(const struct ncp_client *c);
struct ncpi_place ncpi_reorder_used(const struct ncp_client *c);

/* ncpi_reorder_due_ns - when the next frame is handed out if nothing new comes: CLOCK_MONOTONIC, 0
 * for now (also when a loss is to be told), UINT64_MAX when none waits. */
uint64_t ncpi_reorder_due_ns(struct ncp_client *c);

/* --- ledger.c -------------------------------------------------------------------------------- */

void ncpi_window_begin(struct ncp_client *c, bool open);
/* ncpi_window_pass - n frames from c->at.seq on are accounted for; the caller says as what. */
static inline void ncpi_window_pass(struct ncp_client *c, uint64_t n)
{
	if (!c->window_open) {
		c->now.first_seq = c->at.seq;
		c->window_open = true;
	}
	/* Below: a group's frames that were another member's, who died. */
	if (c->at.seq >= c->now.next_seq)
		c->now.next_seq = c->at.seq + n;
	else
		c->taken += n;
}
static inline void ncpi_window_frame(struct ncp_client *c, enum ncpi_choice choice)
{
	ncpi_window_pass(c, 1);
	if (choice == NCPI_GIVE)
		c->now.frames++;
	else if (choice == NCPI_FILTERED)
		c->now.filtered++;
	else
		c->now.others++;
}

/* --- attach.c -------------------------------------------------------------------------------- */

/* ncpi_replacement - is there another bus of this name now?  Maps it into c->next.  1, 0. */
int ncpi_replacement(struct ncp_client *c);

/* ncpi_move - c->next becomes the bus; reads on from its first frame.  0, or < 0. */
int ncpi_move(struct ncp_client *c);

/* ncpi_go - to a place given by ncp_where; opens or defers the window.  0, -ERANGE, -EINVAL,
 * NCP_ECORRUPT. */
int ncpi_go(struct ncp_client *c, const struct ncp_where *where);

/* ncpi_state - the bus's state as this client sees it: NCP_DEAD when the heartbeat stopped. */
uint32_t ncpi_state(struct ncp_client *c);

/* ncpi_interfaces - the prologue as far as it goes now; parses it again if it has grown. */
int ncpi_interfaces(struct ncp_client *c);

/* --- enrol.c: the client's own line ---------------------------------------------------------- */

void ncpi_enrol(struct ncp_client *c, const char *name); /* without a registry: nothing */
int ncpi_enrol_reliable(struct ncp_client *c);	/* waits for the grant; 0, NCP_ENOTRELIABLE */
/* ncpi_evicted - did the producer cease to wait for this client? */
bool ncpi_evicted(struct ncp_client *c);
void ncpi_enrol_tell(struct ncp_client *c, bool idle); /* if it is time to */
void ncpi_unenrol(struct ncp_client *c, bool child);

/* --- filter.c -------------------------------------------------------------------------------- */

/* ncpi_choose - is a frame this client's?  Its shard first, then its filter; a frame of an interface
 * that the filter does not fit is filtered.  The bytes may change meanwhile. */
enum ncpi_choice ncpi_choose(struct ncp_client *c, const struct ncp_frame *f);
/* ncpi_chooses - is there anything to ask ncpi_choose()? */
static inline bool ncpi_chooses(const struct ncp_client *c)
{
	return c->filter || c->shard_n > 1;
}
/* ncpi_filter_renew - the bus was replaced: forget what was compiled for the old interfaces. */
void ncpi_filter_renew(struct ncp_client *c);
void ncpi_filter_free(struct ncpi_filter *f);

/* --- wait.c ---------------------------------------------------------------------------------- */

/* ncpi_poller_rearm - ncp_next() found nothing: from now on the descriptor tells of news. */
void ncpi_poller_rearm(struct ncp_client *c);
/* ncpi_poller_pause, ncpi_poller_resume - around a change of the mapping that its thread sleeps on;
 * the descriptor stays the same. */
void ncpi_poller_pause(struct ncp_client *c);
void ncpi_poller_resume(struct ncp_client *c);
void ncpi_poller_stop(struct ncp_client *c, bool child);

#endif
