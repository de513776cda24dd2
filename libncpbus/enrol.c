/* SPDX-License-Identifier: BSD-2-Clause */
/* enrol.c - a client's own line in the registry: make it, keep it up to date, take it away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* Four times a second at most, unless somebody waits for us. */
#define TELL_NS (250 * NCPI_MS)
#define GRANT_NS (5 * NCPI_SECOND)

/* Everything before this is done with; what the last call handed out is not. */
static struct ncpi_place standing(const struct ncp_client *c)
{
	if (c->group)
		return ncpi_group_standing(c);
	if (c->flags & NCP_HOLD)
		return c->released;
	if (c->reorder)
		return ncpi_reorder_used(c);
	return c->has_span ? c->span : c->n_held ? c->held[0].at : c->at;
}

/* Write the line, the cursor in the copy that is not the last one written. */
static void line_write(struct ncp_client *c)
{
	struct ncpi_place p = standing(c);
	struct ncpi_line *l = &c->line;
	struct ncpi_line_cursor *copy = &l->cursor[++l->serial & 1];

	copy->position = p.position;
	copy->seq = p.seq;
	copy->check = ncpi_line_check(l->incarnation, p.position, p.seq);
	struct ncp_stats s = NCP_STATS_INIT;
	if (ncp_stats(c, &s) == 0) {
		l->frames = s.total.frames;
		l->filtered = s.total.filtered;
		l->others = s.total.others;
		l->lost = s.total.lost;
	}
	/* One call; a reader that comes in the middle finds the other copy of the cursor whole. */
	if (pwrite(c->line_fd, l, sizeof(*l), 0) < 0 && errno == EBADF)
		c->line_fd = -1;
	c->line_told = p;
	c->line_told_ns = ncpi_now_monotonic();
}

/* Made 0600, locked, filled, and only then shown: without a lock it would look dead. */
static int line_make(struct ncp_client *c)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	uint64_t random;

	for (int i = 0; i < 16; i++) {
		if (getrandom(&random, sizeof(random), 0) < 0)
			return -errno;
		snprintf(c->line_name, sizeof(c->line_name), "%d.%016llx", getpid(),
			 (unsigned long long)random);
		int fd = openat(c->registry_fd, c->line_name,
				O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -errno;
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
			c->line_fd = fd;
			line_write(c);
			if (fchmod(fd, 0640) == 0)
				return 0;
		}
		int e = errno;
		unlinkat(c->registry_fd, c->line_name, 0);
		close(fd);
		c->line_fd = -1;
		return -e;
	}
	return -EEXIST;
}

void ncpi_enrol(struct ncp_client *c, const char *name)
{
	char dir[NCPI_FILE_CAP];
	struct stat st;

	ncpi_name_file(dir, c->bus, "+clients");
	c->registry_fd = openat(c->dirfd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->registry_fd < 0)
		return;
	c->line = (struct ncpi_line){ .magic = NCPI_LINE_MAGIC,
				      .version = 1,
				      .pid = (uint32_t)getpid(),
				      .incarnation = c->seg.incarnation,
				      .since_ns = ncpi_now_realtime(),
				      .flags = c->flags & NCP_RELIABLE ? NCPI_LINE_RELIABLE : 0 };
	snprintf(c->line.name, sizeof(c->line.name), "%s",
		 name && *name ? name : program_invocation_short_name);
	/* The registry of a stranger tells nobody of us but him. */
	if (fstat(c->registry_fd, &st) < 0 || st.st_uid != c->seg.uid || line_make(c) < 0) {
		close(c->registry_fd);
		c->registry_fd = -1;
	}
}

/* The state of a row of the reliable table, if it is ours. */
static uint32_t row_state(const struct ncp_client *c, const struct ncpi_reliable_line *row)
{
	/* Acquire: the row's other words were stored before it was granted. */
	uint32_t state = ncpi_load_acquire(&row->state);

	return ncpi_load(&row->inode) == c->line_ino &&
			       ncpi_load(&row->btime_ns) == c->line_btime_ns ?
		       state :
		       NCPI_RELIABLE_FREE;
}

/* Our row, granted or evicted; NULL: we have none. */
static struct ncpi_reliable_line *row_find(const struct ncp_client *c)
{
	for (uint32_t i = 0; i < c->seg.n_reliable; i++) {
		struct ncpi_reliable_line *row = ncpi_reliable_at(&c->seg, i);

		if (row_state(c, row) != NCPI_RELIABLE_FREE)
			return row;
	}
	return NULL;
}

bool ncpi_evicted(struct ncp_client *c)
{
	if (!c->grant)
		return false;
	uint32_t state = row_state(c, c->grant);
	if (state == NCPI_RELIABLE_FREE) {
		/* A producer that started anew grants anew, maybe in another row. */
		struct ncpi_reliable_line *row = row_find(c);

		if (row)
			state = row_state(c, c->grant = row);
	}
	return state == NCPI_RELIABLE_EVICTED;
}

int ncpi_enrol_reliable(struct ncp_client *c)
{
	struct stat st;

	c->grant = NULL;
	if (!(c->seg.h->flags & NCPI_FLAG_RELIABLE) || c->line_fd < 0 ||
	    fstat(c->line_fd, &st) < 0)
		return NCP_ENOTRELIABLE;
	c->line_ino = st.st_ino;
	c->line_btime_ns = ncpi_line_btime(c->line_fd);
	uint64_t until = ncpi_now_monotonic() + GRANT_NS;
	do {
		uint32_t wake = ncpi_load_acquire(&c->seg.h->wake);

		c->grant = row_find(c);
		if (c->grant)
			return 0;
		ncpi_futex_wait(&c->seg.h->wake, wake, 10 * NCPI_MS);
	} while (ncpi_now_monotonic() < until);
	return NCP_ENOTRELIABLE;
}

void ncpi_enrol_tell(struct ncp_client *c, bool idle)
{
	c->line_looked = c->at.position;
	if (c->line_fd < 0)
		return;
	struct ncpi_place p = standing(c);
	uint64_t moved = p.position - c->line_told.position;
	/* A producer that may wait for us hears it soon; others are only curious. */
	bool now = c->grant && moved && (idle || moved >= c->seg.ring_size / 32);

	if (!now && ncpi_now_monotonic() - c->line_told_ns < TELL_NS)
		return;
	struct stat st;
	/* Deleted under us, by logind's RemoveIPC perhaps: make it again, and say so. */
	if (fstat(c->line_fd, &st) == 0 && st.st_nlink == 0) {
		close(c->line_fd);
		c->line_fd = -1;
		if (!(c->flags & NCP_CONFINED) && line_make(c) == 0)
			ncpi_event(c, NCP_UNLISTED);
		if (c->grant && ncpi_enrol_reliable(c) < 0)
			ncpi_event(c, NCP_EVICTED);
		return;
	}
	line_write(c);
	if (c->grant)
		/* It sleeps there if it waits; waking works on a read-only mapping. */
		ncpi_futex_wake(&c->seg.h->room, 1);
}

void ncpi_unenrol(struct ncp_client *c, bool child)
{
	if (c->line_fd >= 0) {
		/* In a child of fork the line, and the lock, are still the parent's. */
		if (!child) {
			line_write(c);
			/* Without its lock the line is dead, and the producer's to remove. */
			if (!(c->flags & NCP_CONFINED))
				unlinkat(c->registry_fd, c->line_name, 0);
		}
		close(c->line_fd);
		if (!child && c->grant)
			ncpi_futex_wake(&c->seg.h->room, 1);
	}
	if (c->registry_fd >= 0)
		close(c->registry_fd);
	c->line_fd = c->registry_fd = -1;
}
