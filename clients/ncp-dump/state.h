/* SPDX-License-Identifier: BSD-2-Clause */
/* state.h - the file of --resume: up to where a capture is safely on disk. */
#ifndef STATE_H
#define STATE_H

#include <limits.h>
#include <stdint.h>

/*
 * Text, one "key value" a line, replaced as a whole (file_replace), after the data it speaks of is
 * durable:
 *
 *	ncp-dump-state 1
 *	bus eth0
 *	incarnation 00c0ffee00c0ffee
 *	seq 4711
 *	length 1048576
 *	file /var/log/x.pcapng
 *
 * The file's name is the rest, up to the last newline.
 */
struct state {
	char bus[64];
	uint64_t incarnation;
	uint64_t seq;	    /* the next frame: all before it is in the files, or known to be lost */
	uint64_t length;    /* of file, up to there */
	char file[PATH_MAX]; /* absolute */
};

/*
 * state_load - read it.
 *
 *   why  out: static text, on -EBADMSG
 *
 * Returns 1; 0 (there is no such file); -EBADMSG (it is no such file); -errno.
 */
int state_load(const char *path, struct state *s, const char **why)
	__attribute__((warn_unused_result));

/* state_save - replace it, durably.  Returns 0 or -errno. */
int state_save(const char *path, const struct state *s) __attribute__((warn_unused_result));

/*
 * state_cut - cut the file named in a state to the state's length, and mark it complete.
 *
 * Touches nothing else.  Returns 0; -ENOENT (it has gone: nothing to cut); -ENODATA (it is shorter
 * than it should be, and is left alone); -EBADMSG (it is not a file of ncp-dump, and is left
 * alone); -EBUSY (somebody writes it); -errno.
 */
int state_cut(const struct state *s) __attribute__((warn_unused_result));

#endif
