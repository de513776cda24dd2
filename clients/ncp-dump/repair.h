/* SPDX-License-Identifier: BSD-2-Clause */
/* repair.h - files that were not closed: up to where they are whole, and cutting them there. */
#ifndef REPAIR_H
#define REPAIR_H

/*
 * What a kill or a power cut leaves is whole up to
 *
 *	max(verified, size - window), and, if the machine has not been started since, written
 *
 * as the file block has them (util/pcapng.h) - of a copy, which the block tells from what was written,
 * size - window says nothing -, and then to the last boundary between blocks before
 * that, which a walk from the start finds.  The head of the file, which is written before any frame,
 * is kept as far as it is there.
 *
 * The content is not trusted: any file ends in a result below, within its length.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file of ncp-dump that is to be cut. */
struct repair {
	int fd;
	uint64_t size;	 /* as it was found */
	bool complete;	 /* it was closed in order, or cut */
	uint64_t whole;	 /* bytes that a kill cannot have harmed */
	uint64_t frames; /* repair_walk(): in what it returns */
	uint64_t broken; /* repair_walk(): where no block stands, though one should */
	uint8_t *page;	 /* the file's beginning */
	size_t page_len, block_off; /* of the file block in it */
};

/*
 * repair_open - open a file to look at it, and perhaps cut it.
 *
 *   nofollow  the name must not be a symbolic link
 *
 * Waits up to two seconds until nobody writes it any more: writes of a killed process that are on
 * their way to the disk would make it longer again.  (Where the file system has no leases, or the
 * file is somebody else's, that cannot be seen.)
 * Returns 0; -EBADMSG (not a file of ncp-dump of this byte order); -EBUSY (it is being written);
 * -errno.  repair_close() in every case.
 */
int repair_open(struct repair *r, const char *path, bool nofollow)
	__attribute__((warn_unused_result));

/*
 * repair_walk - the length to which it is whole.
 *
 * Reads all of it.  Returns 0; -EUCLEAN (damaged in another way than a kill can: at r->broken,
 * before r->whole, there is no block); -errno.
 */
int repair_walk(struct repair *r, uint64_t *length) __attribute__((warn_unused_result));

/*
 * repair_cut - cut it to a length, <= size, and call it complete, durably.
 *
 * Stopped at any instant, doing it again ends the same.  A file that is so already is not touched.
 */
int repair_cut(struct repair *r, uint64_t length) __attribute__((warn_unused_result));

void repair_close(struct repair *r);

/* repair_boot - which start of the machine this is: 16 bytes; zeros: not known. */
void repair_boot(uint8_t id[16]);

/* repair_main - ncp-dump --repair: n files, one line for each.  Returns the exit status. */
int repair_main(char *const *files, int n, bool quiet);

#endif
