/* SPDX-License-Identifier: BSD-2-Clause */
/* series.c - the files that a capture writes one after the other: their names, beginnings and ends. */
#include "series.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capfile.h"

#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* The number after that of the file which the last run ended in; 0: it is of another series, or none. */
static uint64_t number_after(const struct series *s, const char *path)
{
	struct capfile_head head;
	uint64_t n;

	/* Its name may tell its time, which the file itself knows. */
	if (capfile_look(path, &head) < 0)
		head.created_ns = 0;
	if (!naming_number(&s->naming, path, (time_t)(head.created_ns / SECOND), &n))
		return 0;
	n++;
	return s->naming.digits && n >= s->o->rotate.count ? 0 : n;
}

void series_begin(struct series *s, const struct dump_options *o, const char *bus,
		  const struct state *last)
{
	const struct rotation_options *r = &o->rotate;
	bool round = o->overwrites && r->over && r->size && r->count;

	*s = (struct series){ .o = o };
	snprintf(s->bus, sizeof(s->bus), "%s", bus);
	s->naming = (struct naming){ .path = o->write,
				     .dated = r->every_s != 0,
				     .utc = o->utc,
				     .digits = round ? naming_digits(r->count) : 0,
				     .ring = o->ring_names,
				     .time_first = o->time_first };
	rotation_begin(&s->rotation, r, last ? number_after(s, last->file) : 0,
		       o->begun_ns ? o->begun_ns : clock_ns(CLOCK_REALTIME),
		       clock_ns(CLOCK_MONOTONIC));
}

/* May the present name not exist yet? */
static bool must_be_new(const struct series *s)
{
	const struct dump_options *o = s->o;
	const struct rotation_options *r = &o->rotate;

	/* Round and round: that is what -W is for. */
	if (o->overwrites && r->over && r->size && r->count)
		return false;
	if (o->resume || o->no_clobber || o->quota || (o->keep_free && o->rotating))
		return true;
	return s->rotation.files && !o->overwrites;
}

static int make_name(struct series *s)
{
	int r = naming_make(s->final, sizeof(s->final), &s->naming, s->rotation.number,
			    (time_t)(s->rotation.begun_ns / SECOND));

	if (r == 0 && snprintf(s->path, sizeof(s->path), "%s%s", s->final,
			       s->o->atomic ? ".part" : "") >= (int)sizeof(s->path))
		r = -ENAMETOOLONG;
	return r;
}

/* Open the file of the present name.  *spare: one that was opened before, or NULL; used up or closed. */
static int open_name(struct series *s, const struct outfile_options *oo,
		     const struct outfile_bus *bus, struct outfile **spare, struct outfile **f)
{
	struct stat st;
	int r;

	if (s->must_be_new && s->o->atomic && lstat(s->final, &st) == 0)
		return -EEXIST;
	if (!s->must_be_new) {
		closer_forget(s->closer, s->path);
		closer_forget(s->closer, s->final);
	}
	if (*spare) {
		r = outfile_name(*spare, s->path, s->must_be_new);
		if (r == 0) {
			*f = *spare;
			*spare = NULL;
			return 0;
		}
		if (r == -EEXIST && s->must_be_new)
			return r;
		/* What cannot be had that way is opened by its name, or fails so. */
		outfile_close(*spare);
		*spare = NULL;
	}
	return outfile_open(f, oo, bus);
}

/* Before the first file: what there is of the series. */
static int begin(struct series *s)
{
	uint64_t number = s->rotation.number;
	int r = closer_open(&s->closer, s->o, &s->naming, s->bus, s->path, &number);

	/* With each time the numbers begin anew, and with -W when they are used up. */
	if (!s->naming.dated)
		s->rotation.number = s->naming.digits && number >= s->o->rotate.count ? 0 : number;
	return r;
}

/* The present file may have so many bytes, and its end. */
static int room(struct series *s, int fd, uint64_t to)
{
	int r = closer_room(s->closer, fd, to + s->slack, &s->granted);

	if (r == 0 && s->granted != UINT64_MAX)
		s->granted -= s->slack;
	return r;
}

int series_room(struct series *s, const struct outfile *f, uint64_t end, uint64_t more)
{
	return room(s, outfile_fd(f), end + more);
}

int series_open(struct series *s, const struct outfile_bus *bus, struct outfile **f)
{
	struct outfile_options oo = { .path = s->path,
				      .depth = SERIES_DEPTH,
				      .iobuf = s->o->iobuf,
				      .writer = s->o->writer,
				      .raw = s->o->format != FORMAT_PCAPNG,
				      .coder = s->o->coder,
				      .level = s->o->level };
	struct outfile *spare = NULL;
	int r = make_name(s);

	if (r == 0 && !s->closer)
		r = begin(s);
	else if (r == 0)
		spare = closer_spare(s->closer);
	if (r == 0)
		r = room(s, -1, s->slack);
	oo.exclusive = s->must_be_new = must_be_new(s);
	while (r == 0) {
		r = make_name(s);
		if (r == 0)
			r = open_name(s, &oo, bus, &spare, f);
		if (r != -EEXIST || !s->must_be_new || (s->o->no_clobber && s->rotation.files == 0))
			break;
		s->rotation.number++;
		r = 0;
	}
	outfile_close(spare);
	s->begun_ns = s->rotation.begun_ns;
	if (r == 0)
		closer_prepare(s->closer, &oo, bus);
	return r;
}

static void count(struct series *s, uint64_t bytes, uint64_t frames)
{
	s->files += bytes > 0;
	s->bytes += bytes;
	s->frames += frames;
}

int series_close(struct series *s, struct outfile *f)
{
	struct closer_file file = { .f = f, .path = s->path, .final = s->final,
				    .must_be_new = s->must_be_new,
				    .created_ns = s->begun_ns };
	struct outfile_state st;

	outfile_state(f, &st);
	count(s, st.end, st.frames);
	file.bytes = st.end;
	closer_give(s->closer, &file);
	return s->o->resume || !s->o->rotating ? closer_wait(s->closer) : 0;
}

int series_check(struct series *s)
{
	return closer_check(s->closer);
}

int series_wait(struct series *s)
{
	return closer_wait(s->closer);
}

const char *series_failed(const struct series *s)
{
	const char *failed = closer_failed(s->closer);

	return failed ? failed : s->path;
}

void series_abandoned(struct series *s, struct outfile *f, const struct outfile_mark *kept,
		      bool cut)
{
	struct outfile_state st;

	outfile_state(f, &st);
	count(s, kept->off, kept->frames);
	if (cut && kept->off == 0 && s->files && !st.stream)
		unlink(s->path);
	outfile_close(f);
}

void series_end(struct series *s)
{
	closer_close(s->closer);
	s->closer = NULL;
}
