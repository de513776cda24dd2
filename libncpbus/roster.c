/* SPDX-License-Identifier: BSD-2-Clause */
/* roster.c - grant reliable clients, follow their cursors, let go of the dead and the stalled. */
#include "libncpbus/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/line.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer_impl.h"

/* What a piece of a scan may cost, in files whose owner is asked for, one system call each: 8 ms or
 * so.  With SCAN_NS between them a scan meets a million files within the 5 s that a client waits. */
#define SCAN_COST 8192
/* A file that is opened, read, and asked whether it is locked costs so many of those. */
#define LOOK_COST 8
/* Files of one uid that are opened in a scan: whoever makes more of them delays himself. */
#define UID_FILES 2048
/* Uids that are told apart in a scan; all that come after share with the last. */
#define SCAN_UIDS 256
/* Rows one uid can hold, so that nobody takes them all: half of the default table. */
#define ROWS_PER_UID(n) ((n) > 1 ? ((n) + 1) / 2 : 1)

int ncpi_roster_init(struct ncpi_roster *r, int registry_fd, const struct ncpi_segment *seg)
{
	*r = (struct ncpi_roster){ .registry_fd = registry_fd, .limit = UINT64_MAX };
	r->n = seg->n_reliable;
	r->entry = calloc(r->n ? r->n : 1, sizeof(*r->entry));
	r->quota = calloc(SCAN_UIDS, sizeof(*r->quota));
	if (!r->entry || !r->quota) {
		free(r->entry);
		free(r->quota);
		return -ENOMEM;
	}
	pthread_mutex_init(&r->lock, NULL);
	for (uint32_t i = 0; i < r->n; i++) {
		r->entry[i].fd = -1;
		/* Granted by a producer that is gone: who still wants it is granted anew. */
		ncpi_store(&ncpi_reliable_at(seg, i)->state, NCPI_RELIABLE_FREE);
	}
	return 0;
}

void ncpi_roster_fini(struct ncpi_roster *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->entry[i].fd >= 0)
			close(r->entry[i].fd);
	if (r->dir)
		closedir(r->dir);
	free(r->entry);
	free(r->quota);
	pthread_mutex_destroy(&r->lock);
}

/* Under the lock: the lowest cursor of those we wait for, plus a ring. */
static void limit_update(struct ncpi_writer *w)
{
	struct ncpi_roster *r = &w->roster;
	uint64_t limit = UINT64_MAX;
	uint32_t granted = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		if (r->entry[i].fd < 0 || r->entry[i].evicted)
			continue;
		granted++;
		if (r->entry[i].cursor + w->seg->ring_size < limit)
			limit = r->entry[i].cursor + w->seg->ring_size;
	}
	ncpi_store(&r->granted, granted);
	/* Release, partner in position_take(): a claim that sees room here comes after the pread
	 * that found the client past those bytes. */
	ncpi_store_release(&r->limit, limit);
}

/* Under the lock. */
static void row_free(struct ncpi_writer *w, uint32_t i)
{
	struct ncpi_roster_entry *e = &w->roster.entry[i];

	ncpi_store_release(&ncpi_reliable_at(w->seg, i)->state, NCPI_RELIABLE_FREE);
	close(e->fd);
	*e = (struct ncpi_roster_entry){ .fd = -1 };
	limit_update(w);
}

/* Under the lock: a client that asks, with its line open at fd. True if it has a row now. */
static bool grant(struct ncpi_writer *w, int fd, uid_t uid, ino_t ino, uint64_t wish)
{
	struct ncpi_roster *r = &w->roster;
	struct ncpi_header *h = w->seg->h;
	uint64_t btime = ncpi_line_btime(fd);
	uint32_t free_row = r->n, of_uid = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct ncpi_roster_entry *e = &r->entry[i];

		if (e->fd < 0) {
			free_row = i < free_row ? i : free_row;
			continue;
		}
		if (e->ino == ino && e->btime_ns == btime)
			return false; /* it has one */
		of_uid += e->uid == uid;
	}
	if (free_row == r->n || of_uid >= ROWS_PER_UID(r->n))
		return false;

	uint64_t head = ncpi_load_acquire(&h->head);
	struct ncpi_roster_entry *e = &r->entry[free_row];

	*e = (struct ncpi_roster_entry){ .fd = fd,
					 .uid = uid,
					 .ino = ino,
					 .btime_ns = btime,
					 .cursor = wish < head ? wish : head,
					 .progress_ns = ncpi_now_monotonic() };
	limit_update(w);
	/* The limit stands before tail and the claims are read: a claim made from now on waits.
	 * Partner: the full fence in position_take(). */
	ncpi_fence_full();
	uint64_t tail = ncpi_load(&h->tail), claimed = ncpi_load(&w->next_position);
	uint64_t granted = e->cursor;

	if (tail > granted)
		granted = tail;
	if (claimed > w->seg->ring_size && claimed - w->seg->ring_size > granted)
		granted = claimed - w->seg->ring_size;
	e->granted = e->cursor = granted;
	limit_update(w);

	struct ncpi_reliable_line *row = ncpi_reliable_at(w->seg, free_row);
	ncpi_store(&row->inode, ino);
	ncpi_store(&row->btime_ns, btime);
	ncpi_store(&row->granted, granted);
	/* Release: the client that finds its row granted reads from granted on. */
	ncpi_store_release(&row->state, NCPI_RELIABLE_GRANTED);
	return true;
}

/* One file of the registry; true if its descriptor was kept. */
static bool look_at(struct ncpi_writer *w, int fd, uid_t uid, ino_t ino)
{
	struct ncpi_roster *r = &w->roster;
	struct ncpi_line_cursor wish;
	struct ncpi_line line;
	bool kept = false;

	if (ncpi_line_read(fd, &line) < 0 || ncpi_line_life(fd) != NCPI_LINE_LIVE ||
	    line.incarnation != w->seg->incarnation)
		return false;
	r->scan_live++;
	if (!w->reliable || !(line.flags & NCPI_LINE_RELIABLE) ||
	    !ncpi_line_cursor_get(&line, &wish))
		return false;
	pthread_mutex_lock(&r->lock);
	kept = grant(w, fd, uid, ino, wish.position);
	pthread_mutex_unlock(&r->lock);
	if (kept)
		ncpi_waker_bump(w);
	return kept;
}

static void bury_dead(struct ncpi_writer *w)
{
	struct ncpi_roster *r = &w->roster;
	struct stat st;

	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->entry[i].fd >= 0 &&
		    (ncpi_line_life(r->entry[i].fd) == NCPI_LINE_DEAD ||
		     (fstat(r->entry[i].fd, &st) == 0 && st.st_nlink == 0)))
			row_free(w, i);
	pthread_mutex_unlock(&r->lock);
}

/* May another file of this owner be opened in this scan? */
static bool quota_take(struct ncpi_roster *r, uid_t uid)
{
	uint32_t i = 0;

	while (i < r->n_quota && r->quota[i].uid != uid)
		i++;
	if (i == SCAN_UIDS)
		i--;
	else if (i == r->n_quota)
		r->quota[r->n_quota++] = (struct ncpi_roster_quota){ .uid = uid };
	return r->quota[i].n_opened++ < UID_FILES;
}

void ncpi_roster_scan(struct ncpi_writer *w)
{
	struct ncpi_roster *r = &w->roster;

	if (r->registry_fd < 0)
		return;
	if (!r->dir) {
		bury_dead(w);
		int fd = openat(r->registry_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r->dir = fd < 0 ? NULL : fdopendir(fd);
		if (!r->dir) {
			if (fd >= 0)
				close(fd);
			return;
		}
		r->scan_live = r->n_quota = 0;
	}
	for (int cost = 0; cost < SCAN_COST; cost++) {
		const struct dirent *e = readdir(r->dir);
		struct stat st;
		uid_t uid;
		ino_t ino;

		if (!e) {
			closedir(r->dir);
			r->dir = NULL;
			ncpi_store(&r->live, r->scan_live);
			return;
		}
		if (*e->d_name == '.' || *e->d_name == '+' ||
		    fstatat(r->registry_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(struct ncpi_line) ||
		    !quota_take(r, st.st_uid))
			continue;
		cost += LOOK_COST;
		int fd = ncpi_line_open(r->registry_fd, e->d_name, &uid, &ino);
		if (fd >= 0 && !look_at(w, fd, uid, ino))
			close(fd);
	}
}

void ncpi_roster_refresh(struct ncpi_writer *w, uint64_t blocked_since_ns)
{
	struct ncpi_roster *r = &w->roster;
	uint64_t head = ncpi_load_acquire(&w->seg->h->head), now = ncpi_now_monotonic();
	uint64_t timeout = w->o.reliable_timeout_ms * NCPI_MS;

	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->n; i++) {
		struct ncpi_roster_entry *e = &r->entry[i];
		struct ncpi_line_cursor c;
		struct ncpi_line line;

		if (e->fd < 0 || e->evicted || e->cursor == head)
			continue;
		/* Invalid, backwards, beyond head: a line that lies.  The last good one stands. */
		if (ncpi_line_read(e->fd, &line) == 0 && line.incarnation == w->seg->incarnation &&
		    ncpi_line_cursor_get(&line, &c) && c.position > e->cursor &&
		    c.position <= head) {
			e->cursor = c.position;
			e->progress_ns = now;
			continue;
		}
		uint64_t since = e->progress_ns > blocked_since_ns ? e->progress_ns
								   : blocked_since_ns;
		if (!blocked_since_ns || e->cursor + w->seg->ring_size > ncpi_load(&r->limit))
			continue; /* not the one that a claim waits for */
		if (ncpi_line_life(e->fd) == NCPI_LINE_DEAD) {
			row_free(w, i);
		} else if (now > since + timeout) {
			e->evicted = true;
			ncpi_store_release(&ncpi_reliable_at(w->seg, i)->state,
					   NCPI_RELIABLE_EVICTED);
		}
	}
	limit_update(w);
	pthread_mutex_unlock(&r->lock);
}
