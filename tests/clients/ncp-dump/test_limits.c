/* SPDX-License-Identifier: BSD-2-Clause */
/* test_limits.c - how far a file may grow, and which files go for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/capfile.h"
#include "clients/ncp-dump/limits.h"
#include "clients/ncp-dump/space.h"
#include "tap/tap.h"
#include "util/file.h"

#define MB (UINT64_C(1) << 20)
#define T UINT64_C(1700000000)

static const char *dir;

static const char *in_dir(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static bool there(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

/* A file of bus "b" of 1 MiB that began then. */
static void make(const char *name, uint64_t at_s)
{
	static const uint8_t shb[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
	};
	struct capfile_section s = { .prologue = shb, .prologue_len = sizeof(shb),
				     .bus = "b", .created_ns = at_s * UINT64_C(1000000000) };
	uint8_t *out = calloc(1, MB);
	size_t off;

	if (!out || capfile_section(out, &s, 0, 0, 4, &off) < 0 ||
	    file_replace(in_dir(name), out, MB, 0600) < 0)
		bail("%s", name);
	free(out);
}

/* A file that is being written. */
static int make_present(const char *name)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		bail("%s", name);
	return fd;
}

int main(void)
{
	const struct naming plain = { .path = "x" };
	struct dump_options o = { .quota = 4 * MB, .rotating = true }, other;
	struct limits *l = NULL, *m = NULL;
	uint64_t number = 0, granted, granted_too;
	int fd;

	plan(31);
	dir = tap_tempdir(NULL);
	is_i64(-ENOENT, limits_open(&l, &o, &plain, "b", in_dir("none"), &number), "no directory");
	limits_close(l);

	make("x", T), make("x1", T + 1), make("x2", T + 2);
	is_i64(0, limits_open(&l, &o, &plain, "b", dir, &number), "three files are there");
	is_u64(3, number, "the next one is the fourth");
	fd = make_present("x3");
	ok(limits_grant(l, fd, MB / 2, &granted) >= 0, "half of what is left");
	ok(granted >= MB / 2 && granted < MB, "is granted, and some more, but not all");
	is_i64(0, limits_grant(l, fd, MB, &granted) < 0, "all that is left");
	is_u64(MB, granted, "and no more");
	is_i64(-EAGAIN, limits_grant(l, fd, MB + 1, &granted), "a byte more");
	is_str("--quota", limits_short(l), "is too much for the quota");
	is_i64(0, limits_enforce(l, 1), "until an old file goes");
	ok(!there("x") && there("x1") && there("x2"), "the oldest, and no other");
	ok(limits_grant(l, fd, MB + 1, &granted) >= 0 && granted > MB, "then it is granted");

	/* Full, not closed yet: what is closing counts, and cannot be deleted. */
	limits_closing(l, 2 * MB);
	is_i64(-EAGAIN, limits_grant(l, -1, 1, &granted), "a file that is being closed counts");
	is_i64(0, limits_enforce(l, 1), "older ones go");
	ok(!there("x1"), "first");
	if (ftruncate(fd, 2 * MB) < 0)
		bail("ftruncate");
	is_i64(0, limits_closed(l, 2 * MB, in_dir("x3"), (T + 3) * UINT64_C(1000000000)), "closed");
	close(fd);
	is_i64(-EAGAIN, limits_grant(l, -1, 4 * MB, &granted), "all of the quota");
	is_i64(0, limits_enforce(l, 1), "costs all the others");
	ok(!there("x2") && !there("x3"), "they are gone");
	ok(limits_grant(l, -1, 4 * MB, &granted) >= 0 && granted == 4 * MB, "and it is there");
	limits_close(l);

	/* Two that write files of the same series. */
	o.space = space_make();
	o.series = &plain;
	o.rotating = false;
	other = o;
	other.writer_idx = 1;
	make("x5", T);
	number = 7;
	is_i64(0, limits_open(&l, &o, &plain, "b", dir, &number) |
			  limits_open(&m, &other, &plain, "b", dir, &number),
	       "two that share the quota");
	is_u64(7, number, "neither is told a number");
	fd = make_present("x6");
	ok(limits_grant(l, fd, MB, &granted) >= 0, "one takes of what is left");
	is_i64(-EAGAIN, limits_grant(m, -1, 3 * MB - (granted - MB), &granted_too),
	       "the other cannot have that, too");
	ok(limits_grant(m, -1, 3 * MB - granted, &granted_too) >= 0, "but all the rest");
	is_i64(-EAGAIN, limits_grant(l, fd, granted + 1, &granted), "then nothing is left");
	is_i64(0, limits_enforce(l, 1), "so what is old goes");
	ok(!there("x5") && there("x6"), "and not what is being written");
	ok(limits_grant(l, fd, MB + MB / 2, &granted) >= 0, "which can go on");
	close(fd);
	limits_close(l);
	limits_close(m);

	/* The file system as a whole. */
	o = (struct dump_options){ .keep_free = UINT64_MAX / 4 };
	is_i64(0, limits_open(&l, &o, &plain, "other", dir, &number), "more is to stay free than there is");
	ok(limits_grant(l, -1, 1, &granted) == -EAGAIN && limits_enforce(l, 1) == -ENOSPC &&
		   !strcmp("--keep-free", limits_short(l)),
	   "so nothing is granted, and nothing can be deleted for it");
	limits_close(l);
	space_free(other.space);
	return tap_done();
}
