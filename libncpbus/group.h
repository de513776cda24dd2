/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h - the file by which the members of a group share frames out: its format, and the calls. */
#ifndef NCPI_GROUP_H
#define NCPI_GROUP_H

/*
 * ncp.<bus>+clients/+group.<uid>.<name>, 0600, that uid's: a log of records of 128 bytes, only ever
 * appended to (O_APPEND's guarantee: the kernel puts each whole record at the end, one after the
 * other), read by pread, and locked by OFD locks.  Never mapped.
 *
 * What is decided, and by what
 *
 *   who has which frames    the order of the log.  A claim says "I take the frames from F to E".
 *                           It stands if F is where the claim that stood before it ended (for the
 *                           first: where the group began), and is void otherwise.  So whoever
 *                           reads the log from its beginning finds the same claims standing, one
 *                           behind the other, without a gap: each frame in exactly one of them.
 *                           Two members that take the same frames differ by who came first.
 *   who is alive            a write lock on byte NCPI_GROUP_LIFE + owner, taken before the first
 *                           record, held until the member leaves.  An owner's number is random and
 *                           never used twice: dead is dead
 *   who carries on          a claim that stands, is not done, and whose owner is dead belongs to
 *                           whoever has the write lock on the record's own bytes
 *   what is done            the words after the record's check word, written by who holds the
 *                           claim (its owner; after him the holder of that lock), nobody else
 *
 * Why there is no lock around it.  Between a lock and its unlock a member can be stopped (SIGSTOP),
 * and then all would stand still.  An append is one step: before it nothing happened, after it all
 * has.  A member may be stopped or killed between any two instructions, and holds up nobody: what it
 * wrote before it read the log again stands or is void, whether it knows or not.
 *
 * Order of steps
 *
 *   G1  lock own byte (life)
 *   G2  read the log to its end: F
 *   G3  append {from F, to E, seen: how far G2 read}
 *   G4  read on up to the own record: does it stand?  If not, again from G2
 *   G5  read the frames [F, E)
 *   G6  done <- all
 *   G7  leaving: done <- as far as it came, then unlock (close)
 *
 *   A death before G3 leaves nothing; after it, a claim whose owner is dead; after G6 nothing again.
 *   T1  a claim that stands, not done, its owner's byte not locked
 *   T2  lock the record's bytes (if somebody has: leave it to him)
 *   T3  read done again, after the lock: all?  then it was done meanwhile
 *   T4  read the frames from there on, then G6, then unlock
 *
 *   G1 before G3: a claim is never seen without its owner's life.  G6 before G7, and before T4's
 *   unlock: who finds nobody alive, or gets the lock, finds also what was done.
 *
 * What was overrun.  A claim whose frames were overrun before they were read is its holder's loss:
 * the member counts it when it gets there (a stopped one when it wakes); if it dies before, whoever
 * takes it over does.  Frames overrun before anybody claimed them are claimed all the same: the
 * next claim then ends at the first intact place, and its owner counts what is gone.  So every frame
 * is counted once, in one member's frames, filtered or lost, and in the others' as others.
 *
 * Several incarnations may stand in one log, while some members still drain the old bus: a reader
 * passes over all but its own.  Nothing is reset, so nothing can be reset under somebody.
 *
 * Old records.  Pages of the log in which nothing is needed any more are punched out (fallocate), so
 * the file is as long as all it ever held, but takes only some pages; the newest NCPI_GROUP_KEEP
 * bytes stay.  Before that, all claims that stand and are not done get the word stands: for a member
 * that joins later and cannot read the log from its beginning, and for one that was stopped for so
 * long that what it would have read next is gone.  Both begin behind the last hole with a record
 * whose writer had seen no hole: at the place of the log that it had seen, the claims ended where it
 * says (from).  Of what is before, only claims with stands count.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/client.h"

#define NCPI_GROUP_LIFE (INT64_C(1) << 62) /* lock offset: no file is that long */
#define NCPI_GROUP_OWNERS (UINT64_C(1) << 61)
#define NCPI_GROUP_KEEP (UINT64_C(64) << 10)
#define NCPI_GROUP_ALL UINT64_MAX
#define NCPI_GROUP_MAGIC UINT64_C(0x0a70756f7267636e) /* "ncgroup\n" when little-endian */

enum ncpi_group_kind {
	NCPI_GROUP_START = 1, /* the group begins at from == to; the first one of an incarnation stands */
	NCPI_GROUP_CLAIM,
};

struct ncpi_group_record {
	/* Appended. */
	uint64_t kind; /* enum ncpi_group_kind */
	uint64_t incarnation;
	uint64_t created_ns; /* of the segment of that incarnation */
	uint64_t owner;	     /* < NCPI_GROUP_OWNERS */
	struct ncpi_place from, to;
	uint64_t seen;	/* how much of the log its writer had read, in bytes */
	uint64_t check; /* ncpi_group_check() of all above */

	/* Written in place later. */
	uint64_t done;	     /* frames from from.seq on that are done with; NCPI_GROUP_ALL: all */
	uint64_t done_check; /* ncpi_mix(check ^ done); anything else: none are */
	uint64_t stands;     /* ncpi_mix(check): known to stand; else 0.  Who writes it writes the same */
	uint64_t pad[3];
};
_Static_assert(sizeof(struct ncpi_group_record) == 128, "ncpi_group_record changed size");

/* ncpi_group_check - the check word of a record. */
uint64_t ncpi_group_check(const struct ncpi_group_record *r);

/*
 * ncpi_group_join - become a member of the group of that name.
 *
 *   name   as a bus name
 *   begin  where the group begins if nobody has begun it in this incarnation, as in ncp_options;
 *          NULL: with frame 0, after a re-attach
 *   why    128 bytes, "" on entry: gets the reason
 *
 * Sets c->at to where the next claim will begin, and the window.
 * Returns 0, NCP_EGROUP, what ncpi_go() returns, -errno.
 */
int ncpi_group_join(struct ncp_client *c, const char *name, const struct ncp_where *begin, char *why);

/* ncpi_group_leave - give back what was not read, and let go (not in a child of fork). */
void ncpi_group_leave(struct ncp_client *c, bool child);

/* ncpi_group_rejoin - the bus was replaced: leave, and join in the new incarnation.  0, < 0. */
int ncpi_group_rejoin(struct ncp_client *c);

/*
 * ncpi_group_more - everything up to c->at was handed out, and the caller is done with it.
 *
 * 1: more frames are ours, from c->at to c->head.  2: they were overrun.  0: none; then c->at is
 * where the next claim will begin.  NCP_ECORRUPT, -errno of append.
 * System calls: some per claim.
 */
int ncpi_group_more(struct ncp_client *c);

/* ncpi_group_end - the place at c->head: the end of what is ours. */
struct ncpi_place ncpi_group_end(const struct ncp_client *c);

/* ncpi_group_lapped - what stood at c->at is gone: go on behind it in the claim, or to its end, and
 * queue NCP_LOST.  0, NCP_ECORRUPT. */
int ncpi_group_lapped(struct ncp_client *c);

/* ncpi_group_state - the state to tell: an end only when everything that was claimed is done (a
 * member that still holds frames could die), or has been held for long. */
uint32_t ncpi_group_state(struct ncp_client *c, uint32_t state);

/* ncpi_group_left - may this client leave for the bus that replaced this one? */
bool ncpi_group_left(struct ncp_client *c);

/* ncpi_group_due_ns - when to look whether somebody died: CLOCK_MONOTONIC, UINT64_MAX: nobody
 * holds anything. */
uint64_t ncpi_group_due_ns(const struct ncp_client *c);

/* ncpi_group_standing - the lowest place that a reliable client of a group still needs. */
struct ncpi_place ncpi_group_standing(const struct ncp_client *c);

/* ncpi_group_release - with NCP_HOLD: what was handed out up to position is done with. */
void ncpi_group_release(struct ncp_client *c, uint64_t position, uint64_t seq);

/*
 * ncpi_group_reap - unlink a group's file whose owner is not the uid in its name, or that is no file.
 *
 * Returns 1 (removed), 0 (it is as it should be, or no name of a group), -errno.
 */
int ncpi_group_reap(int registry_fd, const char *name);

#endif
