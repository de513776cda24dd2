/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.c - how much a series may have: -b files:, --quota, --keep-free; the oldest files go for it. */
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <ncpbus.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "closer.h"
#include "kept.h"
#include "space.h"
#include "util/message.h"

/* A grant reaches so much further than was asked for, at most, so that not every append asks.  (Two
 * system calls: 5 us, at 2 GB/s 125 times a second.) */
#define GRANT (INT64_C(16) << 20)
#define BLOCK 512u /* of st_blocks */

struct limits {
	const struct dump_options *o;
	const struct naming *naming;
	const char *bus, *dir;
	struct space *space;
	bool own;    /* nobody else is in it */
	bool shared; /* others write files of this series, too: the list is read anew each time */
	bool told;   /* that something cannot be deleted */
	const char *missing; /* see limits_short() */

	pthread_mutex_t deleting; /* taken before lock: an old file is just being deleted */
	pthread_mutex_t lock;	  /* of what follows; taken last */
	struct kept kept;
	uint64_t dying;	  /* bytes of files off the list and not deleted yet */
	uint64_t closing; /* ... full, and not on the list yet */
	uint64_t to;	  /* the present one: granted, or asked for last */
	uint64_t taken;	  /* ... on the disk when that was asked */
};

static bool any(const struct limits *l)
{
	return l->o->quota || l->o->keep_free;
}

/* --- how much is left ------------------------------------------------------------------------- */

/* What is free beyond --keep-free; negative: so much is missing. */
static int64_t free_room(const struct limits *l)
{
	struct statvfs v;

	if (!l->o->keep_free || statvfs(l->dir, &v) < 0)
		return INT64_MAX;
	return (int64_t)(v.f_bavail * v.f_frsize) - (int64_t)l->o->keep_free;
}

/*
 * What there is still to be granted when the present file has its `to`; negative: so much is missing.
 * `taken` was read before the file system is asked, so what is written meanwhile counts twice, and
 * never not at all.  With the space's lock.
 */
static int64_t left(struct limits *l, int64_t *ahead)
{
	uint64_t granted, untaken;
	int64_t quota = INT64_MAX, room;

	space_others(l->space, l->o->writer_idx, &granted, &untaken);
	pthread_mutex_lock(&l->lock);
	if (l->o->quota)
		quota = (int64_t)l->o->quota - (int64_t)(l->kept.bytes + l->dying + l->closing + l->to +
							 (l->shared ? granted : 0));
	untaken += l->to > l->taken ? l->to - l->taken : 0;
	*ahead = (int64_t)(l->kept.bytes / 8);
	pthread_mutex_unlock(&l->lock);
	*ahead = *ahead < GRANT ? *ahead : GRANT;
	room = free_room(l);
	room = room == INT64_MAX ? room : room - (int64_t)untaken;
	l->missing = quota < room ? CLOSER_QUOTA : CLOSER_KEEP_FREE;
	return quota < room ? quota : room;
}

/* The files of the series that nobody writes at present.  With the space's lock. */
static int scan(struct limits *l)
{
	int r;

	pthread_mutex_lock(&l->lock);
	kept_free(&l->kept);
	r = kept_scan(&l->kept, l->naming, l->dir, l->bus, l->o->atomic);
	for (size_t i = 0; i < l->kept.n;) {
		const struct kept_file *f = &l->kept.file[i];

		if (space_grows(l->space, f->dev, f->ino))
			kept_remove(&l->kept, i);
		else
			i++;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

int limits_grant(struct limits *l, int fd, uint64_t to, uint64_t *granted)
{
	struct space_file f = { 0 };
	struct stat st;
	int64_t n, ahead;

	*granted = UINT64_MAX;
	if (!any(l))
		return 0;
	space_lock(l->space);
	if (l->shared)
		(void)scan(l); /* a directory that has gone says so when it is written to */
	if (fd >= 0 && fstat(fd, &st) == 0)
		f = (struct space_file){ .dev = st.st_dev, .ino = st.st_ino,
					 .taken = (uint64_t)st.st_blocks * BLOCK };
	pthread_mutex_lock(&l->lock);
	l->to = to;
	l->taken = f.taken;
	pthread_mutex_unlock(&l->lock);
	n = left(l, &ahead);
	if (n >= 0) {
		int64_t more = n / 4 < GRANT ? n / 4 : GRANT;

		n -= more;
		f.granted = to + (uint64_t)more;
		pthread_mutex_lock(&l->lock);
		l->to = f.granted;
		pthread_mutex_unlock(&l->lock);
		space_set(l->space, l->o->writer_idx, &f);
		*granted = f.granted;
	}
	space_unlock(l->space);
	return n < 0 ? -EAGAIN : n < ahead;
}

const char *limits_short(const struct limits *l)
{
	return l->missing;
}

/* --- old files -------------------------------------------------------------------------------- */

/* Delete the oldest file.  Returns its size; 0: there is none, or it cannot be deleted. */
static uint64_t drop(struct limits *l)
{
	struct kept_file f;
	int r;

	pthread_mutex_lock(&l->deleting);
	pthread_mutex_lock(&l->lock);
	r = kept_take(&l->kept, &f);
	l->dying += r ? f.size : 0;
	pthread_mutex_unlock(&l->lock);
	if (r == 0) {
		pthread_mutex_unlock(&l->deleting);
		return 0;
	}
	r = kept_delete(&f);
	pthread_mutex_lock(&l->lock);
	l->dying -= f.size;
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&l->deleting);
	if (r < 0 && !l->told) {
		l->told = true;
		message_note(l->dir, MESSAGE_TEXT("an old file cannot be deleted: %s", ncp_strerror(r)),
			     NULL);
	}
	return r < 0 ? 0 : f.size ? f.size : 1;
}

static size_t n_kept(struct limits *l)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->kept.n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* Delete until so many bytes are free, or nothing is there to be deleted.  Returns whether that was
 * enough. */
static bool drop_bytes(struct limits *l, int64_t missing)
{
	int64_t freed = 0, more = 1;
	int fd;

	while (more && freed < missing) {
		more = (int64_t)drop(l);
		freed += more;
	}
	/* Some file systems free the room with their next commit.  Without this the next look would
	 * delete more for nothing. */
	fd = freed ? open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		(void)syncfs(fd);
		close(fd);
	}
	return more > 0;
}

int limits_enforce(struct limits *l, uint32_t n_present)
{
	uint64_t more = 1;
	int64_t n, ahead;
	bool enough = true;

	while (more && l->o->keep_files && n_kept(l) + n_present > l->o->keep_files)
		more = drop(l);
	if (!any(l))
		return 0;
	space_lock(l->space);
	if (l->shared)
		(void)scan(l);
	n = left(l, &ahead);
	/* Among several who delete one must wait for the other; alone the writer need not wait, as long
	 * as it has what it needs. */
	if (!l->shared)
		space_unlock(l->space);
	if (n < ahead)
		enough = drop_bytes(l, ahead - n);
	if (l->shared)
		space_unlock(l->space);
	return !enough && free_room(l) < 0 ? -ENOSPC : 0;
}

/* --- files ------------------------------------------------------------------------------------ */

int limits_open(struct limits **out, const struct dump_options *o, const struct naming *n,
		const char *bus, const char *dir, uint64_t *number)
{
	struct limits *l = calloc(1, sizeof(*l));
	int r = 0;

	*out = l;
	if (!l)
		return -ENOMEM;
	l->o = o;
	l->naming = o->series ? o->series : n;
	l->bus = bus;
	l->dir = dir;
	l->shared = o->series;
	l->own = !o->space;
	pthread_mutex_init(&l->deleting, NULL);
	pthread_mutex_init(&l->lock, NULL);
	l->space = l->own ? space_make() : o->space;
	if (!l->space)
		return -ENOMEM;
	if (any(l) || (o->keep_files && o->resume)) {
		space_lock(l->space);
		r = scan(l);
		space_unlock(l->space);
	}
	for (size_t i = 0; i < l->kept.n && r == 0 && !l->shared; i++)
		if (*number <= l->kept.file[i].number)
			*number = l->kept.file[i].number + 1;
	return r;
}

void limits_closing(struct limits *l, uint64_t bytes)
{
	pthread_mutex_lock(&l->lock);
	l->closing += bytes;
	l->to = l->taken = 0;
	pthread_mutex_unlock(&l->lock);
	/* Among several, it stays what it was granted until whoever began it sees the end. */
	if (any(l) && !l->shared) {
		space_lock(l->space);
		space_set(l->space, l->o->writer_idx, &(struct space_file){ 0 });
		space_unlock(l->space);
	}
}

int limits_closed(struct limits *l, uint64_t bytes, const char *path, uint64_t created_ns)
{
	int r = 0;

	pthread_mutex_lock(&l->lock);
	l->closing -= bytes;
	if (path)
		r = kept_add(&l->kept, path, created_ns);
	pthread_mutex_unlock(&l->lock);
	/* Who moved it away meanwhile has it. */
	return r == -ENOMEM ? r : 0;
}

void limits_forget(struct limits *l, const char *path)
{
	pthread_mutex_lock(&l->deleting);
	pthread_mutex_lock(&l->lock);
	kept_forget(&l->kept, path);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&l->deleting);
}

void limits_close(struct limits *l)
{
	if (!l)
		return;
	kept_free(&l->kept);
	if (l->own)
		space_free(l->space);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->deleting);
	free(l);
}
