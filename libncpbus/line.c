/* SPDX-License-Identifier: BSD-2-Clause */
/* line.c - read a registry line as what it is: something a stranger wrote. */
#include "libncpbus/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libncpbus/layout.h"
#include "libncpbus/stamp.h"

uint64_t ncpi_line_check(uint64_t incarnation, uint64_t position, uint64_t seq)
{
	/* The magic as third word keeps a waypoint from passing for a cursor. */
	return ncpi_waypoint_check(incarnation, position, seq, NCPI_LINE_MAGIC);
}

/* Make a name safe for any terminal: what is not printable ASCII becomes '?'. */
static void name_clean(char *name, size_t cap)
{
	name[cap - 1] = '\0';
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
}

int ncpi_line_read(int fd, struct ncpi_line *line)
{
	ssize_t n = pread(fd, line, sizeof(*line), 0);

	if (n < 0)
		return -errno;
	if ((size_t)n != sizeof(*line) || line->magic != NCPI_LINE_MAGIC || line->version != 1)
		return -EBADMSG;
	name_clean(line->name, sizeof(line->name));
	return 0;
}

bool ncpi_line_cursor_get(const struct ncpi_line *line, struct ncpi_line_cursor *c)
{
	bool found = false;

	for (int i = 0; i < 2; i++) {
		const struct ncpi_line_cursor *k = &line->cursor[i];

		if (k->check != ncpi_line_check(line->incarnation, k->position, k->seq))
			continue;
		if (!found || k->position > c->position)
			*c = *k;
		found = true;
	}
	return found;
}

int ncpi_line_open(int registry_fd, const char *name, uid_t *uid, ino_t *ino)
{
	struct stat st;
	int fd = openat(registry_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)sizeof(struct ncpi_line)) {
		close(fd);
		return -EBADMSG;
	}
	*uid = st.st_uid;
	*ino = st.st_ino;
	return fd;
}

/* Has the owner the write lock?  F_RDLCK conflicts with write locks only. */
static bool line_locked(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

uint64_t ncpi_line_btime(int fd)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) < 0 || !(sx.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)sx.stx_btime.tv_sec * NCPI_SECOND + sx.stx_btime.tv_nsec;
}

static bool younger_than_second(uint64_t made_ns)
{
	return made_ns + NCPI_SECOND > ncpi_now_realtime();
}

static uint64_t ctime_ns(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * NCPI_SECOND + (uint64_t)st->st_ctim.tv_nsec;
}

enum ncpi_line_life ncpi_line_life(int fd)
{
	struct stat st;
	uint64_t made;

	if (line_locked(fd))
		return NCPI_LINE_LIVE;
	made = ncpi_line_btime(fd);
	if (!made && fstat(fd, &st) == 0)
		made = ctime_ns(&st);
	return younger_than_second(made) ? NCPI_LINE_MAKING : NCPI_LINE_DEAD;
}

int ncpi_line_reap(int registry_fd, const char *name, bool force)
{
	struct stat st, now;
	int r = 0;
	int fd = openat(registry_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && !force) {
		/* Unreadable: a client that died before its fchmod, or a stranger's junk.  Judge by
		 * age alone, which for a living client is at most the moment of its making. */
		if (fstatat(registry_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (S_ISREG(st.st_mode) && younger_than_second(ctime_ns(&st)))
			return 0;
	} else if (fd >= 0 && !force) {
		if (fstat(fd, &st) < 0)
			r = -errno;
		else if (S_ISREG(st.st_mode) && ncpi_line_life(fd) != NCPI_LINE_DEAD)
			r = -EAGAIN;
		else if (fstatat(registry_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (now.st_ino != st.st_ino || now.st_dev != st.st_dev)
			r = -EAGAIN;
		if (r) {
			close(fd);
			return r == -EAGAIN ? 0 : r;
		}
	}
	if (unlinkat(registry_fd, name, 0) < 0 &&
	    (errno != EISDIR || unlinkat(registry_fd, name, AT_REMOVEDIR) < 0))
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : 1;
}
