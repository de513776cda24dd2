/* SPDX-License-Identifier: BSD-2-Clause */
/* group_log.h - a member's state and its group's log (group.h), as the group's files use them. */
#ifndef NCPI_GROUP_LOG_H
#define NCPI_GROUP_LOG_H

#include "libncpbus/group.h"

#define NCPI_GROUP_PAGE 4096u
#define NCPI_GROUP_REC sizeof(struct ncpi_group_record)
#define NCPI_GROUP_WHY 128 /* bytes of a reason */

/* A claim of this member. */
struct ncpi_group_mine {
	uint64_t off; /* of its record */
	struct ncpi_place from, to;
	uint64_t check;
	uint64_t done; /* frames released: NCP_HOLD */
	bool taken;    /* another's, who died: the record is locked */
};

/* A claim of another member that stands and was not done when it was last looked at. */
struct ncpi_group_other {
	uint64_t off, owner;
	struct ncpi_place from, to;
	uint64_t noticed_ns; /* CLOCK_MONOTONIC */
	uint64_t check;
};

struct ncpi_group {
	char name[NCPI_NAME_CAP];
	int fd;
	uint64_t owner;
	uint64_t span_max; /* bytes of a claim, about */

	uint64_t read;	  /* the log as far as it was read */
	bool begun;
	struct ncpi_place frontier; /* there the claims end that stand */
	uint64_t pending;	    /* check word of the claim appended last */
	uint64_t pending_off;	    /* its offset once it was seen to stand, else UINT64_MAX */

	struct ncpi_group_mine *mine; /* in the order they were begun; the last is being read while
				       * current */
	uint32_t n_mine, cap_mine;
	bool current;
	struct ncpi_group_other *other; /* by off */
	uint32_t n_other, cap_other;

	uint64_t looked_ns, end_ns;
	uint64_t trimmed;
};

/* --- a record -------------------------------------------------------------------------------- */

/* ncpi_group_good - is it a record, and one that makes sense? */
bool ncpi_group_good(const struct ncpi_group_record *r);

/* ncpi_group_done - how many of a good record's frames are done with; NCPI_GROUP_ALL. */
uint64_t ncpi_group_done(const struct ncpi_group_record *r);

/* ncpi_group_read - the record at an offset: 0, -EBADMSG (there is none, or it was punched out),
 * -errno. */
int ncpi_group_read(const struct ncpi_group *g, uint64_t off, struct ncpi_group_record *r);

/* ncpi_group_done_write - say how far a claim of ours is done with.  0, -errno. */
int ncpi_group_done_write(const struct ncpi_group *g, const struct ncpi_group_mine *m,
			  uint64_t done);

/* ncpi_group_mine_add - a claim is ours.  0, -ENOMEM. */
int ncpi_group_mine_add(struct ncpi_group *g, struct ncpi_group_mine m);

/* --- locks ----------------------------------------------------------------------------------- */

/* ncpi_group_lock - set or remove (F_WRLCK, F_UNLCK) a lock of this open file: 0, -EAGAIN
 * (another's), -errno. */
int ncpi_group_lock(const struct ncpi_group *g, short type, uint64_t off, uint64_t len);

/* ncpi_group_alive - does the owner live?  In doubt he does. */
bool ncpi_group_alive(const struct ncpi_group *g, uint64_t owner);

/* --- the log --------------------------------------------------------------------------------- */

/* ncpi_group_append - G3: our record of that kind, at the end.  0, -errno. */
int ncpi_group_append(struct ncp_client *c, enum ncpi_group_kind kind, struct ncpi_place from,
		      struct ncpi_place to);

/*
 * ncpi_group_fold - G2, G4: read the log up to its end, or up to our own next record.
 *
 *   own  NULL: to the end
 *
 * 1: there it is, and stands: *own is its offset.  0: the end; or there it is, and is void.  < 0
 */
int ncpi_group_fold(struct ncp_client *c, uint64_t *own);

/* ncpi_group_scan - read the log as one who knows nothing of it: 1, it has begun in this
 * incarnation.  0: not yet.  < 0, with the reason in why's NCPI_GROUP_WHY bytes. */
int ncpi_group_scan(struct ncp_client *c, char *why);

/* ncpi_group_trim - now and then: punch out the old pages that nobody needs. */
void ncpi_group_trim(struct ncp_client *c);

#endif
