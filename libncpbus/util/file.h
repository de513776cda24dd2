/* SPDX-License-Identifier: BSD-2-Clause */
/* file.h - whole reads, whole writes, and the replacing of small files. */
#ifndef NCP_UTIL_FILE_H
#define NCP_UTIL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILE_MUST_CHECK __attribute__((warn_unused_result))

/*
 * file_read - read a whole file, which may be a pipe.
 *
 *   path  opened O_RDONLY | O_CLOEXEC | O_NOCTTY
 *   max   refuse more than so many bytes
 *   buf   out: *len bytes and a NUL behind them, by malloc, the caller's to free
 *
 * Returns 0, -EFBIG, -ENOMEM, or -errno of open or read.  May block.
 */
int file_read(const char *path, size_t max, char **buf, size_t *len) FILE_MUST_CHECK;

/*
 * file_replace - give a small file new content, so that whoever opens the name, also after a
 * power cut, finds the old or the new content whole.
 *
 * Writes a new file beside it, makes that durable, renames it over the name, makes the directory
 * durable.  A symbolic link at path is replaced, not followed.
 *
 *   mode  of the new file, exactly (no umask)
 *
 * Returns 0, or the -errno of what failed; the old file is then as it was, and nothing is left
 * beside it.  Exception: if only making the directory durable failed, the new content stands.
 */
int file_replace(const char *path, const void *data, size_t len, mode_t mode) FILE_MUST_CHECK;

/*
 * file_write_all - write len bytes, however many write() calls that takes.
 *
 * A descriptor that is not blocking is waited for by poll().  Returns 0 or -errno; after an
 * error some bytes may have been written.
 */
int file_write_all(int fd, const void *data, size_t len) FILE_MUST_CHECK;

/* file_pwrite_all - write len bytes at byte off of a file.  Returns 0 or -errno. */
int file_pwrite_all(int fd, const void *data, size_t len, uint64_t off) FILE_MUST_CHECK;

/*
 * file_pread_all - read up to len bytes at byte off of a file.
 *
 * Returns how many were read, less than len only at the end of the file, or -errno.
 */
ssize_t file_pread_all(int fd, void *buf, size_t len, uint64_t off) FILE_MUST_CHECK;

#endif
