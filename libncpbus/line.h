/* SPDX-License-Identifier: BSD-2-Clause */
/* line.h - a client's own line in the registry: format, and whether its owner lives. */
#ifndef NCPI_LINE_H
#define NCPI_LINE_H

/*
 * One file per client in ncp.<bus>+clients/, of any name that does not begin with '+' or '.', whose
 * content is struct ncpi_line.  Its owner writes it, everybody else only reads it: by pread, never
 * mapped, and everything in it may be a lie except who owns it.
 *
 * Life: made 0600, an OFD write lock taken on it, filled, then set to 0640.  Dead means: no write
 * lock is found by F_OFD_GETLK asked with F_RDLCK (a read lock somebody else took does not show).
 * No lock and younger than a second means: being made.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NCPI_LINE_MAGIC UINT64_C(0x0a656e696c70636e) /* "ncpline\n" when little-endian */
#define NCPI_LINE_RELIABLE 1u /* flags: asks to be waited for */

/* Where the owner stands; everything before it is done with. */
struct ncpi_line_cursor {
	uint64_t position;
	uint64_t seq;
	uint64_t check; /* ncpi_line_check() */
};

struct ncpi_line {
	uint64_t magic;
	uint32_t version; /* 1 */
	uint32_t pid;	  /* for display */
	uint64_t incarnation;
	uint64_t since_ns; /* attached at, CLOCK_REALTIME */
	uint32_t flags;	   /* NCPI_LINE_* */
	uint32_t serial;   /* +1 per update: the cursor copy written last is serial & 1 */
	uint64_t frames, filtered, lost;
	char name[64];
	struct ncpi_line_cursor cursor[2]; /* two copies: one is whole while the other is written */
	uint64_t others;
	uint8_t pad[72];
};
_Static_assert(sizeof(struct ncpi_line) == 256, "ncpi_line changed size");

/* ncpi_line_check - the check word of a cursor. */
uint64_t ncpi_line_check(uint64_t incarnation, uint64_t position, uint64_t seq);

/*
 * ncpi_line_read - read a line, believing nothing.
 *
 *   fd    of the file
 *   line  out; name is NUL-terminated and printable ASCII, every other byte a question mark
 *
 * Returns 0; -EBADMSG (short, no magic, another version); -errno of pread.
 */
int ncpi_line_read(int fd, struct ncpi_line *line);

/* ncpi_line_cursor_get - the furthest valid copy of a line's cursor; false when neither is. */
bool ncpi_line_cursor_get(const struct ncpi_line *line, struct ncpi_line_cursor *c);

/* ncpi_line_open - open a line of the registry: O_RDONLY, no link, a regular file of the right
 * size.  Returns a descriptor with *uid and *ino set, -EBADMSG for what is no line, -errno. */
int ncpi_line_open(int registry_fd, const char *name, uid_t *uid, ino_t *ino);

/* How a line's owner does. */
enum ncpi_line_life { NCPI_LINE_DEAD, NCPI_LINE_MAKING, NCPI_LINE_LIVE };
enum ncpi_line_life ncpi_line_life(int fd);

/* ncpi_line_btime - birth time of the file, ns; 0 when the file system keeps none. */
uint64_t ncpi_line_btime(int fd);

/*
 * ncpi_line_reap - unlink a line if its owner is dead, after checking that the name still leads to
 * the inode that was looked at.
 *
 *   force  also when it lives
 *
 * Returns 1 (removed), 0 (lives, or is being made), -errno.
 */
int ncpi_line_reap(int registry_fd, const char *name, bool force);

#endif
