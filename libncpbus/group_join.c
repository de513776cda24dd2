/* SPDX-License-Identifier: BSD-2-Clause */
/* group_join.c - become a member of a group and leave it; its file. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/group.h"
#include "libncpbus/group_log.h"

static __attribute__((format(printf, 3, 4))) int fail(char *why, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, NCPI_GROUP_WHY, format, args);
	va_end(args);
	return code;
}

/* Open the file, or make it. */
static int file_open(struct ncp_client *c, char *why)
{
	char dir[NCPI_FILE_CAP], name[NCPI_NAME_CAP + 32];
	struct stat st;
	int fd = -1;

	ncpi_name_file(dir, c->bus, "+clients");
	int dirfd = openat(c->dirfd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return fail(why, NCP_EGROUP, "no client registry to keep it in: %s",
			    ncp_strerror(-errno));
	snprintf(name, sizeof(name), "+group.%u.%s", (unsigned)geteuid(), c->group->name);
	for (int i = 0; i < 16 && fd < 0; i++) {
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
		/* Without O_CREAT: fs.protected_regular forbids that with a file that is there. */
		if (fd < 0)
			fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	int e = errno;
	bool there = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	close(dirfd);
	/* The owner first: it explains also why it cannot be opened. */
	if (there && st.st_uid != geteuid())
		e = fail(why, NCP_EGROUP, "%s belongs to user %u", name, (unsigned)st.st_uid);
	else if (there && !S_ISREG(st.st_mode))
		e = fail(why, NCP_EGROUP, "%s is no file", name);
	else if (fd < 0)
		e = fail(why, NCP_EGROUP, "its file cannot be made in the client registry: %s",
			 ncp_strerror(-e));
	else if (fstat(fd, &st) < 0)
		e = -errno;
	else if (st.st_uid != geteuid() || !S_ISREG(st.st_mode) || st.st_size % (off_t)NCPI_GROUP_REC)
		e = fail(why, NCP_EGROUP, "%s holds something else", name);
	else
		e = 0;
	if (e < 0 && fd >= 0)
		close(fd);
	if (e == 0)
		c->group->fd = fd;
	return e;
}

/* G1: a number that nobody has, and its byte locked. */
static int life_begin(struct ncpi_group *g)
{
	for (int i = 0; i < 16; i++) {
		if (getrandom(&g->owner, sizeof(g->owner), 0) < 0)
			return -errno;
		g->owner %= NCPI_GROUP_OWNERS;
		int r = ncpi_group_lock(g, F_WRLCK, (uint64_t)NCPI_GROUP_LIFE + g->owner, 1);
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

/* Begin a window at the lowest frame that can still come to us. */
static void window_join(struct ncp_client *c)
{
	const struct ncpi_group *g = c->group;
	struct ncpi_place low = g->frontier;

	for (uint32_t i = 0; i < g->n_other; i++)
		if (g->other[i].from.seq < low.seq)
			low = g->other[i].from;
	c->at = low;
	ncpi_window_begin(c, true);
	c->now.others = g->frontier.seq - low.seq;
	c->now.next_seq = g->frontier.seq;
}

/* A claim is to be small beside the ring, or one stopped member loses much; and large beside what it
 * costs, some microseconds. */
static uint64_t span_max(uint64_t ring_size)
{
	uint64_t max = ring_size / 256;

	if (max < 64 << 10)
		max = 64 << 10;
	if (max > 1 << 20)
		max = 1 << 20;
	return max < ring_size / 16 ? max : ring_size / 16;
}

int ncpi_group_join(struct ncp_client *c, const char *name, const struct ncp_where *begin, char *why)
{
	struct ncpi_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	c->group = g;
	g->fd = -1;
	if (ncpi_name_check(name) < 0)
		return fail(why, NCP_EGROUP, "a group's name is made as a bus's");
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->span_max = span_max(c->seg.ring_size);
	int r = file_open(c, why);
	if (r == 0)
		r = life_begin(g);
	if (r == 0)
		r = ncpi_group_scan(c, why);
	if (r < 0)
		return r;
	if (r == 0) {
		c->at = (struct ncpi_place){ 0, 0 };
		if (begin)
			r = ncpi_go(c, begin);
		else
			ncpi_window_begin(c, true);
		if (r < 0)
			return r;
		uint64_t start = g->read;
		struct ncpi_place at = c->at;
		c->window_open = true;
		r = ncpi_group_append(c, NCPI_GROUP_START, at, at);
		if (r == 0)
			r = ncpi_group_fold(c, NULL);
		if (r < 0)
			return r;
		/* Ours stands if it was the first. */
		struct ncpi_group_record first;
		do {
			r = ncpi_group_read(g, start, &first);
			start += NCPI_GROUP_REC;
		} while (r == -EBADMSG || (r == 0 && first.incarnation != c->seg.incarnation));
		if (r < 0)
			return r;
		if (first.owner == g->owner) {
			c->at = g->frontier;
			c->head = c->at.position;
			return 0;
		}
		/* Another was faster: nothing has happened yet. */
		c->n_events = 0;
		c->window_open = false;
		if (begin) {
			memset(&c->total, 0, sizeof(c->total));
			memset(&c->before, 0, sizeof(c->before));
			c->reattached = 0;
		}
	}
	c->taken = 0;
	window_join(c);
	c->at = g->frontier;
	c->head = c->at.position;
	return 0;
}

void ncpi_group_leave(struct ncp_client *c, bool child)
{
	struct ncpi_group *g = c->group;

	if (!g)
		return;
	/* G7: what was not read, others read.  The last frame handed out was. */
	for (uint32_t i = 0; !child && i < g->n_mine; i++) {
		struct ncpi_group_mine *m = &g->mine[i];

		if (g->current && i == g->n_mine - 1 && !(c->flags & NCP_HOLD))
			m->done = c->at.position == m->to.position ? NCPI_GROUP_ALL
								   : c->at.seq - m->from.seq;
		if (m->done)
			(void)ncpi_group_done_write(g, m, m->done);
	}
	/* In a child of fork the locks are still the parent's. */
	if (g->fd >= 0)
		close(g->fd);
	free(g->mine);
	free(g->other);
	free(g);
	c->group = NULL;
}

int ncpi_group_rejoin(struct ncp_client *c)
{
	char name[NCPI_NAME_CAP], why[NCPI_GROUP_WHY] = "";

	memcpy(name, c->group->name, sizeof(name));
	ncpi_group_leave(c, false);
	return ncpi_group_join(c, name, NULL, why);
}

int ncpi_group_reap(int registry_fd, const char *name)
{
	static const char prefix[] = "+group.";
	struct stat st;
	char *end;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	unsigned long uid = strtoul(name + sizeof(prefix) - 1, &end, 10);
	if (end == name + sizeof(prefix) - 1 || *end != '.')
		return 0;
	if (fstatat(registry_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_uid == uid)
		return 0;
	if (unlinkat(registry_fd, name, 0) < 0 &&
	    (errno != EISDIR || unlinkat(registry_fd, name, AT_REMOVEDIR) < 0))
		return -errno;
	return 1;
}
