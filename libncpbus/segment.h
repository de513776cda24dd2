/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.h - names, and a mapped segment whose header has been believed only after a check. */
#ifndef NCPI_SEGMENT_H
#define NCPI_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libncpbus/layout.h"

#define NCPI_NAME_CAP 64		    /* a bus name and its NUL */
#define NCPI_FILE_CAP (NCPI_NAME_CAP + 16)  /* ncp.<bus>+clients and its NUL */

/* A mapped segment.  All offsets were checked against len; the copies here never change. */
struct ncpi_segment {
	struct ncpi_header *h; /* [0, ring_off) is mapped here; read-only for clients */
	uint8_t *ring;	       /* the ring, twice in a row: 2 * ring_size bytes */
	uint64_t ring_size;
	uint64_t ring_mask; /* ring_size - 1 */
	uint64_t ring_off;
	uint32_t block_max; /* no block is longer: NCPI_BLOCK_MAX, nor than the ring */
	uint8_t *workers, *interfaces, *reliable; /* tables of lines: use the calls below */
	uint32_t worker_stride, interface_stride, reliable_stride;
	struct ncpi_waypoint *waypoints;
	uint8_t *prologue;
	uint32_t prologue_cap;
	uint32_t n_waypoints; /* a power of two */
	uint32_t n_workers, n_interfaces, n_reliable;
	uint64_t incarnation;
	dev_t dev;
	ino_t ino;
	uid_t uid;
	bool writable;
};

/* ncpi_name_check - 0, or NCP_ENAME when bus is no bus name. */
int ncpi_name_check(const char *bus);

/* ncpi_name_file - "ncp.<bus><suffix>" into out, NCPI_FILE_CAP bytes.  bus was checked. */
void ncpi_name_file(char *out, const char *bus, const char *suffix);

/*
 * ncpi_dir_open - open the directory of the busses.
 *
 *   dir  NULL: $NCP_DIR, else /dev/shm
 *
 * Returns a descriptor (O_RDONLY|O_DIRECTORY|O_CLOEXEC), or -errno.
 */
int ncpi_dir_open(const char *dir);

/*
 * ncpi_segment_open - open ncp.<bus> and look who it is.
 *
 *   trusted  n_trusted uids whose segments are accepted beside root's and the caller's own
 *
 * O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC, then type, owner and length.
 * Returns a descriptor, or NCP_ENOBUS, NCP_EACCESS, NCP_ENOTBUS, NCP_EFOREIGN, NCP_ENOTREADY (not
 * yet as long as a header), -errno.
 */
int ncpi_segment_open(int dirfd, const char *bus, bool writable, const uid_t *trusted,
		      size_t n_trusted);

/* ncpi_segment_code - what the -errno of opening a segment means; other codes as they are. */
int ncpi_segment_code(int code);

/*
 * ncpi_segment_vet - the same look at a descriptor that came otherwise: type, owner and length.
 *
 * Returns 0, NCP_ENOTBUS, NCP_EFOREIGN, NCP_ENOTREADY, -errno.  The descriptor stays the caller's.
 */
int ncpi_segment_vet(int fd, const uid_t *trusted, size_t n_trusted);

/*
 * ncpi_segment_map - map an open segment, its ring twice, after checking every field of the header.
 *
 *   seg  filled on 0; undo with ncpi_segment_unmap()
 *   why  NULL or 128 bytes: gets what exactly is wrong, "" when the code says it all
 *
 * The descriptor stays the caller's and may be closed.
 * Returns 0, NCP_ENOTREADY (magic not there yet), NCP_ENOTBUS, NCP_EVERSION, NCP_ETRUNCATED,
 * NCP_ECORRUPT, -errno of fstat or mmap.
 * Ordering: magic (acquire) before every other field; the last store of ncpi_bus_open() is the partner.
 */
int ncpi_segment_map(int fd, bool writable, struct ncpi_segment *seg, char *why);

/* ncpi_segment_unmap - undo; a zeroed or unmapped seg is fine. */
void ncpi_segment_unmap(struct ncpi_segment *seg);

/* ncpi_segment_at - the address of ring position p; at least ring_size bytes follow it. */
static inline uint8_t *ncpi_segment_at(const struct ncpi_segment *seg, uint64_t p)
{
	return seg->ring + (p & seg->ring_mask);
}

/* Line i of a table, i below its n. */
static inline struct ncpi_worker_line *ncpi_worker_at(const struct ncpi_segment *seg, uint32_t i)
{
	return (struct ncpi_worker_line *)(void *)(seg->workers + (size_t)i * seg->worker_stride);
}

static inline struct ncpi_interface_line *ncpi_interface_at(const struct ncpi_segment *seg,
							    uint32_t i)
{
	return (struct ncpi_interface_line *)(void *)(seg->interfaces +
						      (size_t)i * seg->interface_stride);
}

static inline struct ncpi_reliable_line *ncpi_reliable_at(const struct ncpi_segment *seg,
							  uint32_t i)
{
	return (struct ncpi_reliable_line *)(void *)(seg->reliable +
						     (size_t)i * seg->reliable_stride);
}

#endif
