/* SPDX-License-Identifier: BSD-2-Clause */
/* closer.c - what need not hold up the frames: finishing a file, opening the next, deleting old ones. */
#include "closer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ncpbus.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "kept.h"
#include "util/message.h"

#define SECOND UINT64_C(1000000000)
#define LOOK_NS (SECOND / 4)	    /* so often the limits of all files are looked at, */
#define LOOK_BYTES (16u << 20)	    /* or when the present file grew so much */
#define REAP_NS (SECOND / 4)

struct job {
	struct job *next;
	struct outfile *f;
	uint64_t created_ns;
	bool must_be_new;
	char path[PATH_MAX], final[PATH_MAX];
};

struct closer {
	const struct dump_options *o;
	char dir[PATH_MAX];
	FILE *names; /* printname:, or NULL */
	bool aside, running;
	pthread_t thread;

	/* The thread's own; without one, the caller's. */
	struct command command;
	bool told; /* that something cannot be deleted */

	pthread_mutex_t kept_lock;
	struct kept kept;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work, done;
	struct job *first, **last, *now; /* now: the one in work */
	bool busy, stop, look;
	struct outfile_options spare_options;
	struct outfile_bus spare_bus;
	bool spare_wanted;
	struct outfile *spare;
	uint64_t present;  /* bytes of the file being written */
	uint32_t n_present; /* is there one? */
	int error;
	char failed[PATH_MAX];

	uint64_t looked_ns, looked_bytes; /* the caller's own */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void fail(struct closer *c, int error, const char *path)
{
	pthread_mutex_lock(&c->lock);
	if (c->error == 0) {
		c->error = error;
		snprintf(c->failed, sizeof(c->failed), "%s", path);
	}
	pthread_mutex_unlock(&c->lock);
}

/* --- a file's end ----------------------------------------------------------------------------- */

/* The names in a directory are as durable as what is in the files. */
static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	/* EINVAL: a file system that has no such thing. */
	r = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return r;
}

static int finish(struct closer *c, struct job *j)
{
	bool durable = c->o->sync != SYNC_NONE || c->o->resume;
	struct outfile_state st;
	struct outfile_mark kept;
	int r = outfile_finish(j->f, durable);

	outfile_state(j->f, &st);
	if (r < 0)
		(void)outfile_abandon(j->f, &kept);
	outfile_close(j->f);
	if (r == 0 && !st.stream && strcmp(j->path, j->final)) {
		unsigned int flags = j->must_be_new ? RENAME_NOREPLACE : 0;

		r = renameat2(AT_FDCWD, j->path, AT_FDCWD, j->final, flags) < 0 ? -errno : 0;
		if (r == -EINVAL && flags) /* a file system without it */
			r = access(j->final, F_OK) == 0		      ? -EEXIST :
			    rename(j->path, j->final) < 0 ? -errno :
								      0;
	}
	if (r == 0 && durable && !st.stream && c->o->rotating)
		r = sync_dir(c->dir);
	return r;
}

static void finish_job(struct closer *c, struct job *j)
{
	int r = finish(c, j);

	if (r < 0)
		fail(c, r, j->final);
	if (r == 0 && c->o->rotating) {
		pthread_mutex_lock(&c->kept_lock);
		r = kept_add(&c->kept, j->final, j->created_ns);
		pthread_mutex_unlock(&c->kept_lock);
		/* Who moved it away meanwhile has it. */
		if (r == -ENOMEM)
			fail(c, r, j->final);
	}
	if (c->names && (fprintf(c->names, "%s\n", j->final) < 0 || fflush(c->names)))
		fail(c, -errno, c->o->print_name);
	if (c->o->command)
		command_start(&c->command, c->o->command, j->final);
}

/* --- old files -------------------------------------------------------------------------------- */

/* Delete the oldest file.  Returns its size, 0: there is none. */
static uint64_t drop(struct closer *c)
{
	uint64_t size = c->kept.n ? c->kept.file->size : 0;
	int r = kept_drop(&c->kept);

	if (r < 0 && !c->told) {
		c->told = true;
		message_note(c->dir, MESSAGE_TEXT("an old file cannot be deleted: %s", ncp_strerror(r)),
			     NULL);
	}
	return r == 0 ? 0 : size ? size : 1;
}

/* How much less than --keep-free is free. */
static uint64_t short_of_room(const struct closer *c)
{
	struct statvfs v;
	uint64_t room;

	if (!c->o->keep_free || statvfs(c->dir, &v) < 0)
		return 0;
	room = (uint64_t)v.f_bavail * v.f_frsize;
	return room < c->o->keep_free ? c->o->keep_free - room : 0;
}

static void enforce(struct closer *c, uint64_t present, uint32_t n_present)
{
	const struct dump_options *o = c->o;
	uint64_t need = short_of_room(c), freed = 0, more = 1;
	int fd = -1;

	pthread_mutex_lock(&c->kept_lock);
	while (more && o->keep_files && c->kept.n + n_present > o->keep_files)
		more = drop(c);
	while (more && o->quota && c->kept.bytes + present > o->quota)
		more = drop(c);
	while (more && freed < need) {
		more = drop(c);
		freed += more;
	}
	pthread_mutex_unlock(&c->kept_lock);
	/* Some file systems free the room with their next commit.  Without this the next look would
	 * delete more for nothing. */
	if (freed)
		fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)syncfs(fd);
		close(fd);
	}
	if (need && !more && short_of_room(c))
		fail(c, -ENOSPC, CLOSER_KEEP_FREE);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void open_spare(struct closer *c)
{
	struct outfile_options o = c->spare_options;
	struct outfile_bus bus = c->spare_bus;
	struct outfile *f = NULL;

	pthread_mutex_unlock(&c->lock);
	/* A file system that cannot do that, or a full one: the next file is opened by its name, and
	 * then it shows. */
	o.path = c->dir;
	o.unnamed = true;
	if (outfile_open(&f, &o, &bus) < 0)
		f = NULL;
	pthread_mutex_lock(&c->lock);
	c->spare = f;
	c->spare_wanted = false;
}

/* Wait for work; when children run, not for long. */
static void wait_work(struct closer *c)
{
	struct timespec t;
	uint64_t at = clock_ns(CLOCK_REALTIME) + REAP_NS;

	if (c->command.n == 0) {
		pthread_cond_wait(&c->work, &c->lock);
		return;
	}
	t = (struct timespec){ .tv_sec = (time_t)(at / SECOND), .tv_nsec = (long)(at % SECOND) };
	pthread_cond_timedwait(&c->work, &c->lock, &t);
	pthread_mutex_unlock(&c->lock);
	command_reap(&c->command, c->o->command, false);
	pthread_mutex_lock(&c->lock);
}

static void *run(void *arg)
{
	struct closer *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct job *j = c->first;

		if (j || c->look) {
			uint64_t present = c->present;
			uint32_t n_present = c->n_present;

			if (j && !(c->first = j->next))
				c->last = &c->first;
			c->now = j;
			c->look = false;
			c->busy = true;
			pthread_mutex_unlock(&c->lock);
			if (j)
				finish_job(c, j);
			enforce(c, present, n_present);
			pthread_mutex_lock(&c->lock);
			c->busy = false;
			c->now = NULL;
			free(j);
			pthread_cond_broadcast(&c->done);
		} else if (c->spare_wanted && !c->spare && !c->stop) {
			open_spare(c);
		} else if (c->stop) {
			break;
		} else {
			wait_work(c);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Signals are for the thread that reads frames. */
static int start(struct closer *c)
{
	sigset_t all, old;
	int r;

	if (!c->aside || c->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&c->thread, NULL, run, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->running = r == 0;
	return r;
}

/* --- the caller's side ------------------------------------------------------------------------ */

static int open_names(struct closer *c)
{
	const char *name = c->o->print_name;

	if (!name)
		return 0;
	c->names = !strcmp(name, "-") || !strcmp(name, "stdout") ? stdout :
		   !strcmp(name, "stderr")			 ? stderr :
								   fopen(name, "we");
	if (c->names)
		return 0;
	snprintf(c->failed, sizeof(c->failed), "%s", name);
	return -errno;
}

int closer_open(struct closer **out, const struct dump_options *o, const struct naming *n,
		const char *bus, const char *first, uint64_t *number)
{
	struct closer *c = calloc(1, sizeof(*c));
	const char *slash = strrchr(first, '/');
	int r;

	*out = c;
	if (!c)
		return -ENOMEM;
	c->o = o;
	c->aside = o->rotating;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->kept_lock, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->done, NULL);
	if (!slash)
		strcpy(c->dir, ".");
	else
		snprintf(c->dir, sizeof(c->dir), "%.*s", slash == first ? 1 : (int)(slash - first), first);
	r = open_names(c);
	if (r == 0 && (o->quota || o->keep_free || (o->keep_files && o->resume))) {
		r = kept_scan(&c->kept, n, c->dir, bus, o->atomic);
		for (size_t i = 0; i < c->kept.n && r == 0; i++)
			if (*number <= c->kept.file[i].number)
				*number = c->kept.file[i].number + 1;
		if (r == 0)
			enforce(c, 0, 1);
		if (r < 0)
			snprintf(c->failed, sizeof(c->failed), "%s", c->dir);
	}
	return r < 0 ? r : c->error;
}

void closer_give(struct closer *c, const struct closer_file *file)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		fail(c, -ENOMEM, file->path);
		outfile_close(file->f);
		return;
	}
	j->f = file->f;
	j->created_ns = file->created_ns;
	j->must_be_new = file->must_be_new;
	snprintf(j->path, sizeof(j->path), "%s", file->path);
	snprintf(j->final, sizeof(j->final), "%s", file->final);
	if (!c->aside || start(c) < 0) {
		finish_job(c, j);
		free(j);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->present = 0;
	c->n_present = 0;
	*c->last = j;
	c->last = &j->next;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

void closer_forget(struct closer *c, const char *path)
{
	pthread_mutex_lock(&c->lock);
	for (struct job *j = c->now ? c->now : c->first; c->running && j;) {
		bool same = !strcmp(j->final, path) || !strcmp(j->path, path);

		if (same)
			pthread_cond_wait(&c->done, &c->lock);
		j = same ? (c->now ? c->now : c->first) : j == c->now ? c->first : j->next;
	}
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_lock(&c->kept_lock);
	kept_forget(&c->kept, path);
	pthread_mutex_unlock(&c->kept_lock);
}

void closer_prepare(struct closer *c, const struct outfile_options *o,
		    const struct outfile_bus *bus)
{
	if (!c->aside)
		return;
	pthread_mutex_lock(&c->lock);
	c->spare_options = *o;
	c->spare_bus = *bus;
	c->spare_wanted = true;
	c->n_present = 1;
	c->look = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

struct outfile *closer_spare(struct closer *c)
{
	struct outfile *f;

	pthread_mutex_lock(&c->lock);
	f = c->spare;
	c->spare = NULL;
	pthread_mutex_unlock(&c->lock);
	return f;
}

int closer_check(struct closer *c, uint64_t present)
{
	uint64_t now;
	int r = start(c);

	if (r < 0 || !c->running)
		return r < 0 ? r : c->error;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - c->looked_ns < LOOK_NS && present >= c->looked_bytes &&
	    present - c->looked_bytes < LOOK_BYTES)
		return 0;
	c->looked_ns = now;
	c->looked_bytes = present;
	pthread_mutex_lock(&c->lock);
	c->present = present;
	r = c->error;
	if (c->o->quota || c->o->keep_free) {
		c->look = true;
		pthread_cond_signal(&c->work);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int closer_wait(struct closer *c)
{
	int r;

	pthread_mutex_lock(&c->lock);
	while (c->running && (c->first || c->busy))
		pthread_cond_wait(&c->done, &c->lock);
	r = c->error;
	pthread_mutex_unlock(&c->lock);
	return r;
}

const char *closer_failed(const struct closer *c)
{
	return c && *c->failed ? c->failed : NULL;
}

void closer_close(struct closer *c)
{
	if (!c)
		return;
	if (c->running) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_signal(&c->work);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	outfile_close(c->spare);
	if (c->names && c->names != stdout && c->names != stderr && fclose(c->names))
		message_note(c->o->print_name, ncp_strerror(-errno), NULL);
	command_reap(&c->command, c->o->command, true);
	command_free(&c->command);
	kept_free(&c->kept);
	pthread_cond_destroy(&c->done);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->kept_lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
