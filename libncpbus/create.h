/* SPDX-License-Identifier: BSD-2-Clause */
/* create.h - the producer's side of names: lock, make, continue, replace, remove a bus. */
#ifndef NCPI_CREATE_H
#define NCPI_CREATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libncpbus/segment.h"

/* What must be the same for a start to continue an existing segment. */
struct ncpi_geometry {
	uint64_t ring_size;   /* bytes, a power of two >= NCPI_RING_MIN; 0: that of an existing
			       * segment, else size_default */
	uint64_t size_default; /* bytes, a power of two, for a new segment when ring_size is 0 */
	uint32_t n_reliable;  /* --max-reliable: lines of the reliable table */
	uint32_t snaplen;     /* told in the header; may differ between starts */
	bool reliable;	      /* --reliable */
	mode_t mode;	      /* 0640 with a group, else 0600 */
	gid_t gid;	      /* the group who may read */
	gid_t registry_gid;   /* group of +clients/ */
};

/* How ncpi_bus_open() came by the segment. */
enum ncpi_bus_how { NCPI_BUS_CREATED, NCPI_BUS_CONTINUED, NCPI_BUS_REPLACED };

/* A bus held by its one producer. */
struct ncpi_bus {
	int dirfd;	 /* the directory's, the caller's */
	int lock_fd;	 /* OFD write lock on +lock, held while this is open */
	int registry_fd; /* +clients/, O_RDONLY|O_DIRECTORY; -1: none can be had */
	char name[NCPI_NAME_CAP];
	struct ncpi_segment seg; /* writable; its descriptor is already closed */
	enum ncpi_bus_how how;
};

/*
 * ncpi_bus_open - take the lock on a bus and map its segment, made new or continued.
 *
 *   dirfd  from ncpi_dir_open(); stays the caller's, must outlive bus
 *   name   of the bus
 *   geo    see there
 *   why    128 bytes: what exactly is wrong, on error
 *
 * An existing segment is continued if it is the caller's (effective uid), of this layout, of the
 * same geometry, valid, and not NCP_ENDED or NCP_CLOSED.  Else it is marked NCP_CLOSED (unless it
 * has ended), woken, unlinked, and a new one made that names it as replaced.  A new segment is
 * allocated in full before anything is written (fallocate).
 * Needs the right to the names; makes no thread; blocks never.
 * Returns 0; NCP_ENAME; -EBUSY (another producer holds the lock); NCP_EFOREIGN (the name is
 * somebody else's); NCP_ENOTBUS (not a regular file); -ENOSPC (no room: why says how much was asked
 * and is free); -EINVAL (geometry); -errno.
 */
int ncpi_bus_open(int dirfd, const char *name, const struct ncpi_geometry *geo,
		  struct ncpi_bus *bus, char *why);

/* ncpi_bus_close - unmap, close, let go of the lock.  The names stay. */
void ncpi_bus_close(struct ncpi_bus *bus);

/*
 * ncpi_bus_unlink - remove the names of a bus: the segment, dead clients' lines, their directory if
 * it is empty then, the lock.
 *
 *   dev, ino  of the segment as mapped; both 0: whatever stands there
 *   force     --remove: also names of another type or owner (the kernel decides whether one may),
 *             and directories with all they hold
 *
 * Called while the lock is held (by this process or, in the helper, by its parent).
 * Returns 0 (also when there was nothing), -ESTALE (the name leads to another inode), -errno.
 */
int ncpi_bus_unlink(int dirfd, const char *name, dev_t dev, ino_t ino, bool force);

/* ncpi_bus_remove - --remove NAME: lock, unlink with force.  0, -EBUSY (a producer lives),
 * NCP_ENOBUS, NCP_ENAME, -errno. */
int ncpi_bus_remove(int dirfd, const char *name);

#endif
