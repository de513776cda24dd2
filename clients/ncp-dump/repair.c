/* SPDX-License-Identifier: BSD-2-Clause */
/* repair.c - files that were not closed: up to where they are whole, and cutting them there. */
#include "repair.h"

#include <errno.h>
#include <fcntl.h>
#include <ncpbus.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capfile.h"
#include "util/file.h"
#include "util/message.h"
#include "util/pcapng.h"

#define PAGE 4096u
#define CHUNK ((size_t)1 << 20)
#define BUSY_TRIES 200 /* of 10 ms */

void repair_boot(uint8_t id[16])
{
	static const char hex[] = "0123456789abcdef";
	unsigned int nibbles = 0;
	uint8_t read[16] = { 0 };
	char *text;
	size_t len;

	memset(id, 0, 16);
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, &len) < 0)
		return;
	for (size_t i = 0; i < len && nibbles < 32; i++) {
		const char *d = text[i] ? strchr(hex, text[i]) : NULL;

		if (!d)
			continue; /* the dashes */
		read[nibbles / 2] = (uint8_t)(read[nibbles / 2] << 4 | (d - hex));
		nibbles++;
	}
	free(text);
	if (nibbles == 32)
		memcpy(id, read, sizeof(read));
}

/* A lease for reading is given when nobody has the file open for writing. */
static bool is_written(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

static int wait_unwritten(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | flags), tries = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		while (is_written(fd) && ++tries < BUSY_TRIES)
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	close(fd);
	return tries == BUSY_TRIES ? -EBUSY : 0;
}

/* Is it a copy of the file that ncp-dump wrote? */
static bool is_copy(int fd, const struct pcapng_file *file)
{
	uint64_t inode, born_ns;

	capfile_identity(fd, &inode, &born_ns);
	return file->inode && inode &&
	       (inode != file->inode || (file->born_ns && born_ns && born_ns != file->born_ns));
}

/* What the file block says. */
static int head_read(struct repair *r)
{
	static const uint8_t unknown[16];
	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_file file;
	uint8_t boot[16];
	ssize_t n = file_pread_all(r->fd, r->page, PAGE, 0);
	long at;

	if (n < 0)
		return (int)n;
	at = capfile_find(r->page, (size_t)n);
	if (at < 0)
		return (int)at;
	r->page_len = (size_t)n;
	r->block_off = (size_t)at;
	if (pcapng_next(r->page + at, r->page_len - r->block_off, &b) != 1 ||
	    b.len != PCAPNG_FILE_LEN || !pcapng_local_read(&b, &l, &file, sizeof(file)))
		return -EBADMSG;
	/* A copy may have been made while it was written: what was being written then can lie anywhere
	 * behind what the file block told at its beginning. */
	if (r->size > file.window && !is_copy(r->fd, &file))
		r->whole = r->size - file.window;
	if (file.verified > r->whole)
		r->whole = file.verified;
	repair_boot(boot);
	if (file.written > r->whole && memcmp(boot, unknown, sizeof(boot)) &&
	    !memcmp(boot, file.boot, sizeof(boot)))
		r->whole = file.written;
	/* One that was cut by somebody else is not complete. */
	r->complete = file.complete == 1 && r->size >= file.verified;
	if (r->whole > r->size)
		r->whole = r->size;
	return 0;
}

int repair_open(struct repair *r, const char *path, bool nofollow)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (nofollow ? O_NOFOLLOW : 0), e;
	struct stat st;

	*r = (struct repair){ .fd = -1 };
	e = wait_unwritten(path, flags);
	if (e < 0)
		return e;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EBADMSG;
	r->page = malloc(PAGE);
	if (!r->page)
		return -ENOMEM;
	r->fd = open(path, O_RDWR | flags);
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	r->size = (uint64_t)st.st_size;
	return head_read(r);
}

/* The file, read a piece at a time. */
struct window {
	int fd;
	uint8_t *bytes; /* CHUNK */
	uint64_t off;
	size_t len;
};

/* n bytes at an offset, n <= CHUNK; they are in the file. */
static int window_get(struct window *w, uint64_t off, void *out, size_t n)
{
	if (off < w->off || off + n > w->off + w->len) {
		ssize_t got = file_pread_all(w->fd, w->bytes, CHUNK, off);

		w->len = 0;
		if (got < 0)
			return (int)got;
		if ((size_t)got < n)
			return -EIO; /* it got shorter */
		w->off = off;
		w->len = (size_t)got;
	}
	memcpy(out, w->bytes + (off - w->off), n);
	return 0;
}

/* The beginning of a block, as far as it is looked at: of ncp's own, up to the kind. */
struct beginning {
	uint32_t type, len;
	char magic[4];
	uint32_t kind;
};

/*
 * Look at the block at an offset.  1: it is whole; 0: the file ends before it does; -EUCLEAN: that
 * is no block, to be seen from the bytes below *until.
 */
static int block_at(struct window *w, uint64_t off, uint64_t size, struct beginning *b,
		    uint64_t *until)
{
	struct pcapng_block block;
	uint32_t last;
	int r;

	*until = off + 8;
	if (size < off + PCAPNG_BLOCK_MIN)
		return 0;
	*b = (struct beginning){ 0 };
	r = window_get(w, off, b, size - off < sizeof(*b) ? (size_t)(size - off) : sizeof(*b));
	if (r < 0)
		return r;
	if (pcapng_next((const uint8_t *)b, sizeof(*b), &block) < 0)
		return -EUCLEAN;
	*until = off + b->len;
	if (size < *until)
		return 0;
	r = window_get(w, *until - sizeof(last), &last, sizeof(last));
	return r < 0 ? r : last == b->len ? 1 : -EUCLEAN;
}

/* One of those before the first frame, which were copied into the file and so cannot be torn. */
static bool is_head(const struct beginning *b)
{
	return b->type == PCAPNG_SHB || b->type == PCAPNG_IDB ||
	       (b->type == PCAPNG_LOCAL && b->len >= PCAPNG_PADDING_MIN && !memcmp(b->magic, "ncp", 4) &&
		(b->kind == PCAPNG_FILE || b->kind == PCAPNG_PADDING));
}

int repair_walk(struct repair *r, uint64_t *length)
{
	struct window w = { .fd = r->fd, .bytes = malloc(CHUNK) };
	struct beginning b;
	uint64_t off = 0, until = 0;
	bool head = true;
	int e = 1;

	r->frames = 0;
	if (!w.bytes)
		return -ENOMEM;
	(void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	while (head || off < r->whole) {
		e = block_at(&w, off, r->size, &b, &until);
		if (e != 1)
			break;
		head = head && is_head(&b);
		if (!head && until > r->whole)
			break;
		r->frames += b.type == PCAPNG_EPB;
		off = until;
	}
	free(w.bytes);
	*length = r->broken = off;
	if ((e == 0 || e == -EUCLEAN) && off < r->block_off + PCAPNG_FILE_LEN)
		return -EBADMSG;
	/* Beyond that it only was not finished. */
	return e == -EUCLEAN && until > r->whole ? 0 : e < 0 ? e : 0;
}

/* Rewrite the file block, durably. */
static int head_write(struct repair *r, uint64_t verified, bool complete)
{
	uint8_t *block = r->page + r->block_off;
	int e = capfile_update(block, r->page_len - r->block_off, verified, verified, complete);

	if (e == 0)
		e = file_pwrite_all(r->fd, block, PCAPNG_FILE_LEN, r->block_off);
	return e == 0 && fsync(r->fd) < 0 ? -errno : e;
}

int repair_cut(struct repair *r, uint64_t length)
{
	int e;

	if (length < r->block_off + PCAPNG_FILE_LEN || length > r->size)
		return -EINVAL;
	if (r->complete && r->size == length)
		return 0;
	/* Said first: a second try must not take another window off what is left. */
	e = head_write(r, length, false);
	if (e == 0 && ftruncate(r->fd, (off_t)length) < 0)
		e = -errno;
	return e < 0 ? e : head_write(r, length, true);
}

void repair_close(struct repair *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->page);
	*r = (struct repair){ .fd = -1 };
}

static int repair_one(const char *path, bool quiet)
{
	struct repair r;
	uint64_t length = 0;
	const char *todo = NULL, *why;
	int e = repair_open(&r, path, false);

	if (e == 0 && r.complete) {
		if (!quiet)
			message_note(path, "complete: left alone", NULL);
		repair_close(&r);
		return EXIT_DONE;
	}
	if (e == 0)
		e = repair_walk(&r, &length);
	if (e == 0)
		e = repair_cut(&r, length);
	if (e == 0) {
		if (!quiet)
			message_note(path,
				     MESSAGE_TEXT("%llu bytes with %llu frames are whole, %llu cut off",
						  (unsigned long long)length,
						  (unsigned long long)r.frames,
						  (unsigned long long)(r.size - length)),
				     NULL);
		repair_close(&r);
		return EXIT_DONE;
	}
	why = ncp_strerror(e);
	if (e == -EBADMSG) {
		why = "not a pcapng file of ncp-dump: left alone";
	} else if (e == -EBUSY) {
		why = "it is being written: left alone";
		todo = "end that ncp-dump first";
	} else if (e == -EUCLEAN) {
		why = MESSAGE_TEXT("damaged, and not by a kill: no block at byte %llu: left alone",
				   (unsigned long long)r.broken);
		todo = MESSAGE_TEXT("the first %llu frames can be read all the same",
				    (unsigned long long)r.frames);
	}
	repair_close(&r);
	return message_error(EXIT_FAILED, path, why, todo);
}

int repair_main(char *const *files, int n, bool quiet)
{
	int status = EXIT_DONE;

	for (int i = 0; i < n; i++)
		if (repair_one(files[i], quiet) != EXIT_DONE)
			status = EXIT_FAILED;
	return status;
}
