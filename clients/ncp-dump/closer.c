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
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "limits.h"
#include "util/message.h"

#define SECOND UINT64_C(1000000000)
#define LOOK_NS (SECOND / 4) /* so often it is looked what others left of --keep-free */
#define REAP_NS (SECOND / 4)

struct job {
	struct job *next;
	struct outfile *f;
	uint64_t bytes, created_ns;
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

	struct limits *limits;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work, done;
	struct job *first, **last, *now; /* now: the one in work */
	bool busy, stop, look;
	struct outfile_options spare_options;
	struct outfile_bus spare_bus;
	bool spare_wanted;
	struct outfile *spare;
	uint32_t n_present; /* is a file being written? */
	int error;
	char failed[PATH_MAX];

	uint64_t looked_ns; /* the caller's own */
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
	r = limits_closed(c->limits, j->bytes, r == 0 && c->o->rotating ? j->final : NULL,
			  j->created_ns);
	if (r < 0)
		fail(c, r, j->final);
	if (c->names && (fprintf(c->names, "%s\n", j->final) < 0 || fflush(c->names)))
		fail(c, -errno, c->o->print_name);
	if (c->o->command)
		command_start(&c->command, c->o->command, j->final);
}

static void enforce(struct closer *c, uint32_t n_present, bool last)
{
	int r = limits_enforce(c->limits, n_present);

	/* What is still to be closed can be deleted then. */
	if (r < 0 && last)
		fail(c, r, CLOSER_KEEP_FREE);
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
			uint32_t n_present = c->n_present;
			bool last;

			if (j && !(c->first = j->next))
				c->last = &c->first;
			c->now = j;
			c->look = false;
			c->busy = true;
			last = !c->first;
			pthread_mutex_unlock(&c->lock);
			if (j)
				finish_job(c, j);
			enforce(c, n_present, last);
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
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->done, NULL);
	if (!slash)
		strcpy(c->dir, ".");
	else
		snprintf(c->dir, sizeof(c->dir), "%.*s", slash == first ? 1 : (int)(slash - first), first);
	r = open_names(c);
	if (r < 0)
		return r;
	r = limits_open(&c->limits, o, n, bus, c->dir, number);
	if (r < 0)
		snprintf(c->failed, sizeof(c->failed), "%s", c->dir);
	else
		enforce(c, 1, true);
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
	j->bytes = file->bytes;
	j->created_ns = file->created_ns;
	j->must_be_new = file->must_be_new;
	snprintf(j->path, sizeof(j->path), "%s", file->path);
	snprintf(j->final, sizeof(j->final), "%s", file->final);
	limits_closing(c->limits, j->bytes);
	if (!c->aside || start(c) < 0) {
		finish_job(c, j);
		free(j);
		return;
	}
	pthread_mutex_lock(&c->lock);
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
	limits_forget(c->limits, path);
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

/* Have the thread look at the limits; there may be none. */
static void ask(struct closer *c)
{
	pthread_mutex_lock(&c->lock);
	c->look = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

int closer_room(struct closer *c, int fd, uint64_t to, uint64_t *granted)
{
	int r = limits_grant(c->limits, fd, to, granted);

	if (r == 1 && c->running)
		ask(c);
	if (r >= 0)
		return 0;
	if (c->running) {
		ask(c);
		r = closer_wait(c);
	} else {
		enforce(c, 1, true);
		r = c->error;
	}
	if (r == 0 && limits_grant(c->limits, fd, to, granted) < 0) {
		fail(c, -ENOSPC, limits_short(c->limits));
		r = -ENOSPC;
	}
	return r;
}

int closer_check(struct closer *c)
{
	uint64_t now;
	int r = start(c);

	if (r < 0)
		return r;
	now = clock_ns(CLOCK_MONOTONIC);
	if (now - c->looked_ns < LOOK_NS)
		return 0;
	c->looked_ns = now;
	if (c->o->keep_free && c->running)
		ask(c);
	else if (c->o->keep_free)
		enforce(c, 1, true);
	pthread_mutex_lock(&c->lock);
	r = c->error;
	pthread_mutex_unlock(&c->lock);
	return r;
}

int closer_wait(struct closer *c)
{
	int r;

	pthread_mutex_lock(&c->lock);
	while (c->running && (c->first || c->busy || c->look))
		pthread_cond_wait(&c->done, &c->lock);
	r = c->error;
	pthread_mutex_unlock(&c->lock);
	return r;
}

const char *closer_failed(struct closer *c)
{
	bool failed;

	if (!c)
		return NULL;
	/* Its own thread may write it, once. */
	pthread_mutex_lock(&c->lock);
	failed = *c->failed;
	pthread_mutex_unlock(&c->lock);
	return failed ? c->failed : NULL;
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
	limits_close(c->limits);
	pthread_cond_destroy(&c->done);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
