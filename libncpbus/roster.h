/* SPDX-License-Identifier: BSD-2-Clause */
/* roster.h - the producer's view of the client registry: who lives, who must be waited for. */
#ifndef NCPI_ROSTER_H
#define NCPI_ROSTER_H

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/segment.h"

struct ncpi_writer;

/* A granted client: row i of the reliable table belongs to entry i. */
struct ncpi_roster_entry {
	int fd; /* its line; -1: the row is free */
	uid_t uid;
	ino_t ino;
	uint64_t btime_ns;
	uint64_t granted;
	uint64_t cursor;	/* the furthest position it told, >= granted */
	uint64_t progress_ns;	/* CLOCK_MONOTONIC when the cursor last moved */
	bool evicted;
};

/* How many files of an owner the scan under way has opened. */
struct ncpi_roster_quota {
	uid_t uid;
	uint32_t n_opened;
};

struct ncpi_roster {
	int registry_fd; /* -1: no registry, nobody to wait for */
	pthread_mutex_t lock; /* entries and limit: the waker grants, capture threads re-read */
	struct ncpi_roster_entry *entry;
	uint32_t n;
	uint64_t limit; /* no claim may end beyond: lowest cursor + ring; UINT64_MAX: none */
	uint32_t live, granted;
	uint32_t asked; /* somebody wants live to be up to date */
	DIR *dir;	/* a scan under way: bounded pieces, so that a million files cost no stall */
	uint32_t scan_live;
	struct ncpi_roster_quota *quota;
	uint32_t n_quota;
};

/* ncpi_roster_init - take the registry's descriptor (not owned) and n_reliable rows.  0, -errno. */
int ncpi_roster_init(struct ncpi_roster *r, int registry_fd, const struct ncpi_segment *seg);
void ncpi_roster_fini(struct ncpi_roster *r);

/*
 * ncpi_roster_scan - look through a piece of the registry: count the living, grant who asks, free
 * the rows of the dead.  The waker's.
 *
 * Bounded per uid: of each owner some thousand files are opened, of the rest no more is asked than
 * whose they are.  So a flood of files delays its maker's own grants, the others' by a microsecond
 * for each file.
 */
void ncpi_roster_scan(struct ncpi_writer *w);

/*
 * ncpi_roster_refresh - read the granted clients' cursors again, raise the limit, evict who stalls.
 *
 *   blocked_since_ns  CLOCK_MONOTONIC since when a claim waits, 0: none does.  Who makes no
 *                     progress for longer than the timeout while one waits is evicted
 *
 * At most n_reliable preads.
 */
void ncpi_roster_refresh(struct ncpi_writer *w, uint64_t blocked_since_ns);

#endif
