/* SPDX-License-Identifier: BSD-2-Clause */
/* outfile_open.c - open a file to be written: which kind it is, O_DIRECT or not, by which writer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "outfile_impl.h"
#include "util/pcapng.h"

#define PAGE OUTFILE_PAGE
#define TMPFS 0x01021994 /* statfs f_type; linux/magic.h */
#define RAMFS 0x858458f6

/* O_DIRECT if the file system has it, and what it asks offsets and addresses to be multiples of. */
static void choose_direct(struct outfile *f)
{
	struct statx x = { 0 };
	struct statfs fs;

	if (fstatfs(f->fd, &fs) == 0 &&
	    ((unsigned long)fs.f_type == TMPFS || (unsigned long)fs.f_type == RAMFS))
		return; /* newer kernels accept the flag there; there is nothing behind it */
	/* A page is what sectors of 512 and of 4096 bytes want.  The ring stands at addresses
	 * congruent to its positions modulo the page size: more than that cannot be had. */
	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &x) == 0 &&
	    x.stx_mask & STATX_DIOALIGN &&
	    (x.stx_dio_offset_align == 0 || x.stx_dio_offset_align > PAGE ||
	     x.stx_dio_mem_align > PAGE))
		return;
	if (fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) | O_DIRECT) < 0)
		return;
	f->direct = true;
	f->align = PAGE;
}

static int open_fd(struct outfile *f, const struct outfile_options *o)
{
	struct stat st;
	int flags = O_RDWR | O_CREAT;

	if (!strcmp(o->path, "-")) {
		f->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		f->stream = true;
		return f->fd < 0 ? -errno : 0;
	}
	if (o->unnamed) {
		f->fd = open(o->path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0640);
		return f->fd < 0 ? -errno : 0;
	}
	/* Opened for reading too, a FIFO would never tell that its reader has gone. */
	if (stat(o->path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		flags = O_WRONLY;
	f->fd = open(o->path, flags | (o->exclusive ? O_CREAT | O_EXCL : 0) | O_CLOEXEC | O_NOCTTY,
		     0640);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return -errno;
	f->stream = !S_ISREG(st.st_mode);
	f->named = st.st_nlink > 0;
	if (!f->stream && ftruncate(f->fd, 0) < 0)
		return -errno;
	return 0;
}

static int open_writer(struct outfile *f, enum outfile_writer which)
{
	int r;

	/* A pipe has one place to write to: there is nothing to have under way at once. */
	f->ops = which == OUTFILE_PWRITE || f->stream ? &out_pwrite : &out_uring;
	r = f->ops->open(&f->out, f->fd, f->depth, f->align);
	if (r < 0 && which == OUTFILE_AUTO && f->ops == &out_uring) {
		f->forbidden = r;
		f->ops = &out_pwrite;
		r = f->ops->open(&f->out, f->fd, f->depth, f->align);
	}
	return r;
}

static void set_bus(struct outfile *f, const struct outfile_bus *bus)
{
	f->bus = *bus;
	/* Little enough to stay far from tail while it waits; in a tiny ring nothing is far. */
	f->pend_max = bus->ring_size / 32 & ~(uint64_t)(PAGE - 1);
	if (f->pend_max > f->iobuf)
		f->pend_max = f->iobuf;
	if (f->pend_max < 4 * PAGE || f->stream || f->raw)
		f->pend_max = 0;
}

int outfile_open(struct outfile **out, const struct outfile_options *o,
		 const struct outfile_bus *bus)
{
	struct outfile *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	if (!f)
		return r;
	f->fd = -1;
	f->cur = -1;
	f->depth = o->depth;
	f->iobuf = o->iobuf;
	f->window = o->depth * (uint64_t)o->iobuf;
	f->raw = o->raw || o->coder;
	f->align = f->raw ? 1 : 4;
	if (f->raw)
		f->depth = 2; /* one under way, one being filled */
	f->fail_off = UINT64_MAX;
	f->cap_marks = 64;
	f->mark = calloc(f->cap_marks, sizeof(*f->mark));
	if (!f->mark)
		goto fail;
	r = open_fd(f, o);
	if (r < 0)
		goto fail;
	if (!f->stream)
		choose_direct(f);
	set_bus(f, bus);
	/* A whole block more than a write: what was copied can be checked before it is sent.
	 * Memory that is never touched is never there. */
	f->slot_cap = f->iobuf + PCAPNG_BLOCK_MAX + 4 * (size_t)f->align + PAGE;
	f->slot_cap &= ~(size_t)(PAGE - 1);
	f->arena_len = f->slot_cap * f->depth;
	f->arena = mmap(NULL, f->arena_len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->arena == MAP_FAILED) {
		r = -errno;
		f->arena = NULL;
		goto fail;
	}
	for (uint32_t i = 0; i < f->depth; i++)
		f->slot[i].buf = f->arena + i * f->slot_cap;
	r = open_writer(f, o->writer);
	if (r == 0 && o->coder)
		r = outfile_stage_open(f, o->coder, o->level);
	if (r < 0)
		goto fail;
	*out = f;
	return 0;
fail:
	outfile_close(f);
	return r;
}

int outfile_name(struct outfile *f, const char *path, bool exclusive)
{
	char proc[32];
	struct stat st;

	/* Without privileges only by this detour; see open(2), O_TMPFILE. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", f->fd);
	for (int tries = 0; linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0; tries++) {
		if (errno != EEXIST || exclusive || tries)
			return -errno;
		if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || unlink(path) < 0)
			return -EEXIST;
	}
	return 0;
}

int outfile_fd(const struct outfile *f)
{
	return f->fd;
}

void outfile_bus(struct outfile *f, const struct outfile_bus *bus)
{
	set_bus(f, bus);
}
