/* SPDX-License-Identifier: BSD-2-Clause */
/* series.c - the files that a capture writes one after the other: their names, beginnings and ends. */
#include "series.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capfile.h"
#include "util/file.h"

#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* What a file of ours says of itself.  Returns 0, -EBADMSG (it is none), -errno. */
static int look(const char *path, struct capfile_head *h)
{
	uint8_t page[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	ssize_t n = file_pread_all(fd, page, sizeof(page), 0);
	close(fd);
	if (n < 0)
		return (int)n;
	return capfile_head(page, (size_t)n, h) < 0 ? -EBADMSG : 0;
}

/* The number after that of the file which the last run ended in; 0: it is of another series, or none. */
static uint64_t number_after(const struct series *s, const char *path)
{
	struct capfile_head head;
	uint64_t n;

	/* Its name may tell its time, which the file itself knows. */
	if (look(path, &head) < 0)
		head.created_ns = 0;
	if (!naming_number(&s->naming, path, (time_t)(head.created_ns / SECOND), &n))
		return 0;
	n++;
	return s->naming.digits && n >= s->o->rotate.count ? 0 : n;
}

void series_begin(struct series *s, const struct dump_options *o, const struct state *last)
{
	const struct rotation_options *r = &o->rotate;
	bool numbered = r->over && r->size;

	*s = (struct series){ .o = o, .resumed = o->resume != NULL };
	s->naming = (struct naming){ .path = o->write,
				     .dated = r->every_s != 0,
				     .utc = o->utc,
				     .digits = numbered && r->count ? naming_digits(r->count) : 0 };
	rotation_begin(&s->rotation, r, last ? number_after(s, last->file) : 0,
		       clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC));
}

/* May the present name not exist yet? */
static bool must_be_new(const struct series *s)
{
	const struct rotation_options *r = &s->o->rotate;

	/* Round and round: that is what -W is for. */
	if (r->over && r->size && r->count)
		return false;
	if (s->resumed || s->o->no_clobber)
		return true;
	return s->rotation.files && !r->size && !r->every_s;
}

int series_open(struct series *s, const struct outfile_bus *bus, struct outfile **f)
{
	struct outfile_options oo = { .path = s->path,
				      .depth = SERIES_DEPTH,
				      .iobuf = s->o->iobuf,
				      .writer = s->o->writer,
				      .exclusive = must_be_new(s) };
	int r;

	for (;;) {
		r = naming_make(s->path, sizeof(s->path), &s->naming, s->rotation.number,
				(time_t)(s->rotation.begun_ns / SECOND));
		if (r == 0)
			r = outfile_open(f, &oo, bus);
		if (r != -EEXIST || (s->o->no_clobber && s->rotation.files == 0))
			return r;
		s->rotation.number++;
	}
}

static void count(struct series *s, uint64_t bytes, uint64_t frames)
{
	s->files += bytes > 0;
	s->bytes += bytes;
	s->frames += frames;
}

int series_close(struct series *s, struct outfile *f)
{
	struct outfile_state st;
	int r = outfile_finish(f, s->o->sync != SYNC_NONE || s->o->resume);

	if (r < 0)
		return r;
	outfile_state(f, &st);
	count(s, st.end, st.frames);
	outfile_close(f);
	return 0;
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
